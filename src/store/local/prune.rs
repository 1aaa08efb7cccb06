//! Pruning: bodies of old deliveries become stubs, and much later entries become leaves. Fingerprints and decisions stay, and
//! every leaf holds.

use std::time::Duration;

use super::core::{Bump, Core};
use super::housekeeper::with_source;
use super::record::{self, AsideFor, Delivery, Kept, Stored, StoredBody, StoredEntry};
use crate::clock::{Timestamp, lock};
use crate::ids::DeliveryId;
use crate::store::journal::{PruneError, Record, Rewrite, SegmentInfo};
use crate::store::port::StoreError;
use crate::store::wide;

/// What waits for its account keeps its body as long as it can be released.
const RELEASED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Ends when something is on disk.
type Written = tokio::sync::oneshot::Receiver<Result<(), StoreError>>;

/// What is older than this goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Bodies of deliveries.
    pub bodies: Timestamp,
    /// What entries say: when and what kind is left, and the leaf.
    pub entries: Timestamp,
}

impl Before {
    /// Bodies alone.
    pub const fn bodies(bodies: Timestamp) -> Self {
        Self { bodies, entries: Timestamp::EPOCH }
    }

    fn last(self) -> Timestamp {
        self.bodies.max(self.entries)
    }
}

/// What was pruned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub bodies: u64,
    pub entries: u64,
    pub segments: u64,
    /// What the files take less on disk.
    pub bytes: u64,
}

/// Changes without what their entries say. The changes themselves stay: the index is made from them.
fn told_no_more(record: &Record, before: Timestamp, count: &mut u64) -> Option<Rewrite> {
    if record.kind != record::CHANGES || before == Timestamp::EPOCH {
        return None;
    }
    let Stored::Changes(mut changes) = Stored::decode(record.kind, record.version, &record.payload)? else {
        return None;
    };
    let is_old = |entry: &&mut StoredEntry| !matches!(entry.kept, Kept::Pruned { .. }) && entry.at() < before;
    let old = changes.entries.iter_mut().filter(is_old);
    let pruned = old.map(|entry| entry.kept = Kept::Pruned { at: entry.at(), kind: entry.kind() }).count();
    *count += wide(pruned);
    let (kind, version) = (record::CHANGES, record::CHANGES_VERSION);
    (pruned > 0).then(|| Rewrite::Replace { kind, version, payload: changes.encode() })
}

impl Core {
    /// Takes out what is older, in segments that are not written to any more. Blocks.
    pub(super) fn prune(&self, before: Before, progress: &mut dyn FnMut(u64, u64)) -> Result<Pruned, StoreError> {
        drop(self.open()?);
        let sealed: Vec<SegmentInfo> = self.reader.segments().into_iter().filter(|segment| segment.sealed).collect();
        let mut pruned = Pruned::default();
        for (done, segment) in (1_u64..).zip(&sealed) {
            if !self.begins_before(segment, before.last()) {
                break;
            }
            let _held = lock(&self.rewriting);
            drop(self.open()?);
            let (mut bodies, mut entries) = (0, 0);
            let rewritten = self.pruner.rewrite_segment(segment.first, |record| {
                self.pruned(record, before.bodies, &mut bodies)
                    .or_else(|| told_no_more(record, before.entries, &mut entries))
                    .unwrap_or(Rewrite::Keep)
            });
            let rewritten = rewritten.map_err(|error| self.prune_trouble(&error))?;
            if rewritten.replaced > 0 {
                pruned.bodies += bodies;
                pruned.entries += entries;
                pruned.segments += 1;
                pruned.bytes += rewritten.bytes_before.saturating_sub(rewritten.bytes_after);
            }
            progress(done, wide(sealed.len()));
        }
        // A writer that waits for room may find some.
        self.wake.notify_all();
        Ok(pruned)
    }

    /// Records come in the order of time, but for a clock that was set back.
    fn begins_before(&self, segment: &SegmentInfo, before: Timestamp) -> bool {
        let records = self
            .reader
            .scan(segment.first)
            .take_while(|record| matches!(record, Ok(record) if record.number < segment.next));
        let at = |record: Record| match Stored::decode(record.kind, record.version, &record.payload)? {
            Stored::Delivery(delivery) => Some(delivery.tail.received_at),
            Stored::Changes(changes) => changes.entries.first().map(StoredEntry::at),
        };
        records.flatten().find_map(at).is_some_and(|first| first < before)
    }

    fn pruned(&self, record: &Record, before: Timestamp, count: &mut u64) -> Option<Rewrite> {
        if record.kind != record::DELIVERY {
            return None;
        }
        let mut delivery = Delivery::decode(record.version, &record.payload)?;
        if delivery.is_pruned() || delivery.tail.received_at >= before || self.is_wanted(&delivery) {
            return None;
        }
        delivery.tail.body = StoredBody::Stub(delivery.commitment());
        *count += 1;
        Some(Rewrite::Replace { kind: record::DELIVERY, version: record.version, payload: delivery.encode() })
    }

    /// Whether somebody may still have to read the body.
    fn is_wanted(&self, delivery: &Delivery) -> bool {
        let id = delivery.head.id;
        let released_until = delivery.tail.received_at.plus(RELEASED_FOR);
        let now = self.clock.now();
        let wanted = self.read(|state| {
            let wanted = state.aside.get(&id).is_some_and(|aside| match aside.why {
                AsideFor::Unreadable => false,
                AsideFor::Unclaimed(_) => now <= released_until,
                AsideFor::Backlog(_) => true,
            });
            wanted || state.unplanned.contains_key(&id)
        });
        // Closed meanwhile: nothing more is pruned.
        wanted.unwrap_or(true)
    }

    /// Has a delivery planned again. Whether its body is there, and that it is wanted, are one step between two prunings.
    /// Blocks.
    pub(super) fn replay(&self, id: DeliveryId, actor: &str, now: Timestamp) -> Result<Option<Written>, StoreError> {
        let _still = self.pruner.pause();
        let Some((found, _, _)) = self.find(id)? else { return Err(StoreError::NotFound(format!("delivery {id}"))) };
        if found.delivery.is_pruned() {
            return Err(StoreError::Conflict(format!("the body of {id} was pruned")));
        }
        let place = (found.record, found.delivery.tail.received_at);
        let app = found.delivery.tail.app;
        // Here, since this goes on where the one who asked has stopped waiting.
        let _told = Bump(self);
        let begun = self.begin(false, |state| {
            state.replay(id.number(), app, place, (actor, now));
            Ok(())
        });
        begun.map(|((), written)| written)
    }

    pub(super) fn prune_trouble(&self, error: &PruneError) -> StoreError {
        match error {
            PruneError::Full(_) => StoreError::Full,
            PruneError::Failed(_) | PruneError::Poisoned => {
                self.fail(&with_source(error));
                StoreError::Failed(with_source(error))
            }
            _ => StoreError::Damaged(with_source(error)),
        }
    }
}
