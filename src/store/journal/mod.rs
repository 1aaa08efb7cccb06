//! The journal: numbered, checksummed records in files that are only appended to.
//!
//! **For**: being the one durable truth of a store. **Guarantees**: a batch whose [`append`](Journal::append) returned `Ok`
//! outlasts kill, power cut, full disk and failed syncs, byte for byte and in order; a batch is there after a crash as a
//! whole or not at all; a changed byte is found and never passes for a record. **Does not know** what a record means.
//!
//! One [`Journal`] writes, on one thread; any number of [`Reader`]s read what has been synced; [`Pruner`]s make sealed
//! segments smaller or remove them; [`snapshot`] keeps the state that makes removing possible. The format is written down
//! in `frame.rs`, what counts as torn and what as damage in `survey.rs`.
//!
//! **Unclean stops**: [`Journal::open`] copies the whole batches of the last segment to a new file, and returns when that is
//! on disk. **Damage** is reported and left alone.
//!
//! What the files alone cannot tell: damage to the last batch of a journal that was not closed (it looks torn), and a
//! newest segment that somebody deleted after a clean close. Whoever keeps a number elsewhere (a snapshot, a checkpoint)
//! should compare it with [`Recovery::next_number`].

mod aside;
pub mod files;
mod floor;
mod frame;
mod problem;
mod prune;
mod read;
mod recover;
mod segment;
pub mod simulated;
pub mod snapshot;
mod survey;
mod verify;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

use thiserror::Error;

pub use frame::{FIRST_NUMBER, PAYLOAD_BYTES_MAX};
pub use problem::{Fault, Problem};
pub use prune::{PruneError, Pruner, Rewrite, Rewritten};
pub use read::{Gap, ReadError, Reader, Record, Scan, SegmentInfo};
pub use recover::{OpenError, Recovery, Torn};
pub use segment::{Spare, SpareMaker};
pub use verify::{Report, look, verify_folder};
pub use writer::{AppendError, Journal, RecordRef};

/// How a journal is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of one segment file: 512 to 4 GiB, a multiple of 8. A batch must fit into one.
    pub segment_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20 }
    }
}

/// A segment size that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("segments of {segment_bytes} bytes: 512 to 4294967296 are possible, in multiples of 8")]
pub struct SettingsError {
    segment_bytes: u64,
}

impl Settings {
    fn check(self) -> Result<(), SettingsError> {
        let Self { segment_bytes } = self;
        let fits = (512..=4 << 30).contains(&segment_bytes) && segment_bytes.is_multiple_of(8);
        if fits { Ok(()) } else { Err(SettingsError { segment_bytes }) }
    }
}
