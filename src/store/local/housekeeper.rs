//! Work that takes time and nobody waits for: snapshots, and the next segment of the journal.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::core::Core;
use super::snapshot::Frozen;
use crate::audit::tree::Frontier;
use crate::store::journal::snapshot::{self, SnapshotError};
use crate::store::journal::{Spare, SpareMaker};

/// Folder of the snapshots.
pub(super) const SNAPSHOTS: &str = "snapshots";

/// Something to do.
#[derive(Debug)]
pub(super) enum Chore {
    /// Of the state, and the log as of then.
    Snapshot(Box<(Frozen, Frontier)>, Option<Wanted>),
}

/// Who is to be told when a snapshot is on disk, and the first record behind the segment that was closed for it.
pub(super) type Wanted = (Tell, u64);
pub(super) type Tell = Sender<(u64, u64)>;

/// The writer's end of having segments made.
#[derive(Debug)]
pub(super) struct Spares {
    pub(super) wanted: Sender<SpareMaker>,
    pub(super) made: Receiver<Option<Spare>>,
    pub(super) asked: bool,
}

/// Until the writer is gone.
pub(super) fn run(core: &Arc<Core>, chores: &Receiver<Chore>) {
    while let Ok(Chore::Snapshot(taken, wanted)) = chores.recv() {
        let (frozen, tree) = *taken;
        match write_snapshot(core, &frozen, &tree) {
            Ok(()) => {
                crate::breakpoint::reached("snapshot-written");
                tracing::debug!(record = frozen.next_record, "wrote a snapshot");
                if let Some((tell, behind)) = wanted {
                    let _gone = tell.send((frozen.next_record, behind));
                }
            }
            // The next one is tried when it is due.
            Err(SnapshotError::Full(_)) => tracing::warn!("no room on the disk for a snapshot"),
            Err(error) => core.fail(&with_source(&error)),
        }
    }
}

pub(super) fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

pub(super) fn write_snapshot(core: &Core, frozen: &Frozen, tree: &Frontier) -> Result<(), SnapshotError> {
    snapshot::write(core.files.as_ref(), SNAPSHOTS, frozen.next_record, &frozen.seal(tree, &core.keys))
}

/// Makes segments until the writer is gone. Where there is no room the writer finds out by itself.
pub(super) fn make_spares(wanted: &Receiver<SpareMaker>, made: &Sender<Option<Spare>>) {
    while let Ok(maker) = wanted.recv() {
        if made.send(maker.make().ok()).is_err() {
            return;
        }
    }
}
