//! The store on one machine: a journal that is the truth, the live state in memory, and an index that can be deleted.
//!
//! **For**: one process on one disk. **Guarantees**: what a method returned `Ok` for outlasts kill, power cut, full disk
//! and failed syncs; no body, and nothing that may name a person, is on disk in plain. **Does not know** HTTP, rules, or
//! what is in a body.
//!
//! # The folder
//! - `format`: the version of this layout. Newer ones are refused. Written last when a store is made.
//! - `lock`: one process at a time.
//! - `keys`: the keys that seal everything, sealed with the master key ([`keys`]).
//! - `forgetting`: [`forget`]; there only while something is being forgotten.
//! - `journal/`: all records ([`record`]), in the order in which they became true.
//! - `snapshots/`: the live state as of some record ([`snapshot`]); two are kept.
//! - `index/`: [`index`]; may be deleted at any time.
//! - `log/`: [`tiles`] and [`checkpoints`] of the audit log, which anybody may read.
//! - `aside-…`: [`aside`]; what others keep, and may be deleted, too.
//!
//! # A write
//! [`core`] takes the lock on the [`state`]; the method checks, changes the state, and leaves records in the [`outbox`];
//! the lock is free again. The [`writer`] takes everything that waits, writes it with one write and one sync, tells
//! everybody, and hands what the index needs to the [`applier`]. What costs time for a delivery (hashes, sealing) is done
//! before the lock.
//!
//! # A start
//! [`open`]: format, keys, journal (which mends its end), newest good snapshot, later records, index.

mod applier;
mod aside;
mod checkpoints;
mod core;
mod dedupe;
mod forget;
mod forgotten;
mod format;
mod housekeeper;
mod index;
mod keys;
mod lock;
mod log_keys;
mod maintain;
mod open;
mod outbox;
mod place;
mod prints;
mod prune;
mod reads;
mod record;
mod rekey;
mod seal;
mod settings;
mod snapshot;
mod state;
mod store;
mod threads;
mod tiles;
mod traces;
mod trouble;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use checkpoints::Proved;
pub use forget::{Erased, NotForgotten};
pub use forgotten::Forgotten;
pub use keys::{KeyError, MasterKey};
pub use log_keys::ThisLog;
pub use maintain::{BackedUp, CopyError, Restore};
pub use open::{OpenError, OpenProgress, OpenReport, Problems, Stage};
pub use prune::{Before, Pruned};
pub use reads::entry_of_leaf;
pub use rekey::Rekeyed;
pub use settings::Settings;
pub use store::LocalStore;
pub use verify::{Elsewhere, Finding, Leaves, Verified, VerifyProgress};

/// Set where the store is to do without the tree, so that a test can measure what that costs.
#[cfg(test)]
pub(crate) const WITHOUT_TREE: &str = "ADJUTANT_WITHOUT_TREE";

#[cfg(test)]
fn is_without_tree() -> bool {
    static IS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| std::env::var_os(WITHOUT_TREE).is_some());
    *IS
}
