//! What must not be lost: the port ([`Store`]), and its implementations.
//!
//! Every method that changes something is one atomic unit: when it returns `Ok`, all of it is on disk; when it returns an
//! error, none of it may be relied on. Each writes the audit entries that tell of it in the same unit. Ids are opaque, and
//! positions do not leak.

pub mod journal;
pub mod local;
mod memory;
mod port;
mod recent;
mod runs;
mod sweep;

pub use local::{Forgotten, LocalStore};
pub use memory::{Limits, MemoryStore};
pub use port::{
    Allowance, AppState, Applied, AppliedChange, CONTESTED_AFTER, CONTESTED_WITHIN, Claimable, Collected, DayUsed,
    Decision, DeliveryFilter, DeliveryStatus, DeliverySummary, Document, FullBacklog, GivenUp, IndexTrouble, JobFilter,
    Leased, Move, NewDelivery, Note, Notice, ParkedGroup, PutOff, QuotaUse, Receipt, Selector, Shelf, Signed, Spender,
    Status, Store, StoreError, StoredDelivery, TreeHead, Verdict, Write,
};
pub use sweep::{SweepCause, SweepFailure, SweepKind, SweepRecord, SweepRun, SweepState, SweepStep, Swept, WholeSweep};

/// The code of an entry of which only time, kind and hash are left, since it is older than entries are kept.
pub const PRUNED: &str = "pruned";

/// No machine that this runs on has more than 64 bits.
fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn narrow(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
