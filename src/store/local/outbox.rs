//! What waits to be written: units, one after the other, in batches that the writer takes whole.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::dedupe::Generation;
use super::record::Decided;
use crate::audit::tree::{Frontier, Hash, LeafData};
use crate::store::journal::RecordRef;
use crate::store::port::StoreError;
use crate::store::wide;

/// Memory of a written batch that is kept for the next ones.
const KEPT_BYTES: usize = 16 << 20;

const KEPT_LEAVES: usize = 16_384;

/// What the index is to take in.
#[derive(Debug)]
pub(super) enum IndexOp {
    /// Where a delivery is, for some.
    Delivery {
        id: u64,
        record: u64,
    },
    /// Where an entry is, for some.
    Entry {
        index: u64,
        record: u64,
    },
    Decided {
        delivery: u64,
        decided: Decided,
        jobs: Vec<u64>,
    },
    Spill(Arc<Generation>),
    /// Generations before this one count no more.
    DropBefore(u64),
    /// Nothing but that the index goes up to here: the record that it went up to before reads otherwise now.
    Mark,
}

/// Somebody who waits for the sync.
#[derive(Debug)]
pub(super) struct Waiter {
    done: oneshot::Sender<Result<(), StoreError>>,
    /// Does not wait for room on the disk.
    impatient: bool,
}

#[derive(Debug)]
struct Span {
    kind: u8,
    version: u8,
    bytes: Range<usize>,
}

/// Leaves of the log, one after the other, and the roots over the tiles that they complete.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    pub(super) hashes: Vec<Hash>,
    pub(super) roots: Vec<Hash>,
}

impl Leaves {
    /// Takes all out of others that follow.
    pub(super) fn append(&mut self, next: &mut Self) {
        self.hashes.append(&mut next.hashes);
        self.roots.append(&mut next.roots);
    }

    /// Keeps no more memory than is mostly needed.
    pub(super) fn shrink(&mut self) {
        self.hashes.shrink_to(KEPT_LEAVES);
        self.roots.shrink_to(KEPT_LEAVES);
    }

    pub(super) fn clear(&mut self) {
        self.hashes.clear();
        self.roots.clear();
    }
}

/// Records that become durable with one sync.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The number of its first record.
    pub(super) first: u64,
    bytes: Vec<u8>,
    spans: Vec<Span>,
    waiters: Vec<Waiter>,
    pub(super) ops: Vec<IndexOp>,
    /// What the leaves of its entries are the hashes of.
    lines: LeafData,
    /// Where in the records each leaf belongs.
    leaf_places: Vec<usize>,
    /// Of its entries, once they are hashed.
    pub(super) leaves: Leaves,
    pub(super) deliveries: u64,
}

impl Batch {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn records(&self) -> Vec<RecordRef<'_>> {
        let record = |span: &Span| {
            let payload = self.bytes.get(span.bytes.clone()).unwrap_or_default();
            RecordRef { kind: span.kind, version: span.version, payload }
        };
        self.spans.iter().map(record).collect()
    }

    /// Hashes its entries, adds them to the log, and writes the leaves into the records: before it is written, and not under the
    /// lock of the state, which everybody waits for. False where entries and records do not match: a defect.
    #[must_use]
    pub(super) fn hash(&mut self, tree: &mut Frontier) -> bool {
        let Self { bytes, lines, leaf_places, leaves: Leaves { hashes, roots }, .. } = self;
        #[cfg(test)]
        if super::is_without_tree() {
            for _place in leaf_places.drain(..) {
                tree.skip();
            }
            return true;
        }
        lines.hash(|leaf| hashes.push(leaf));
        if hashes.len() != leaf_places.len() {
            return false;
        }
        for (leaf, place) in hashes.iter().zip(leaf_places.drain(..)) {
            let place = bytes.get_mut(place..).and_then(|record| record.first_chunk_mut());
            let Some(to) = place.filter(|there| **there == [0; 32]) else { return false };
            *to = *leaf;
            tree.push_to_tiles(*leaf, |root| roots.push(root));
        }
        true
    }

    /// One past its last record.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(wide(self.spans.len()))
    }

    /// Checksum of the last record's payload.
    pub(super) fn last_crc(&self) -> u32 {
        let last = self.spans.last().and_then(|span| self.bytes.get(span.bytes.clone()));
        crc32c::crc32c(last.unwrap_or_default())
    }

    pub(super) fn done(&mut self, result: &Result<(), StoreError>) {
        for waiter in self.waiters.drain(..) {
            // Who does not wait any more does not mind.
            let _gone = waiter.done.send(result.clone());
        }
    }

    /// Tells those who do not wait for room that there is none.
    pub(super) fn turn_away(&mut self) {
        for waiter in self.waiters.extract_if(.., |waiter| waiter.impatient) {
            let _gone = waiter.done.send(Err(StoreError::Full));
        }
    }
}

/// All batches that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// A batch that is as long as this takes no further unit.
    batch_bytes: usize,
    batches: VecDeque<Batch>,
    /// A batch that was written, to be used again.
    empty: Option<Batch>,
}

impl Outbox {
    pub(super) fn new(batch_bytes: usize) -> Self {
        Self { batch_bytes, ..Self::default() }
    }

    /// Adds a record; `fill` writes its payload, and says where in it the leaves of its entries belong: each where zeroes are.
    pub(super) fn push(
        &mut self,
        number: u64,
        kind: u8,
        version: u8,
        fill: impl FnOnce(&mut Vec<u8>, &mut Vec<usize>),
    ) {
        if self.batches.is_empty() {
            self.start(number);
        }
        let Some(batch) = self.batches.back_mut() else { return };
        let start = batch.bytes.len();
        fill(&mut batch.bytes, &mut batch.leaf_places);
        batch.spans.push(Span { kind, version, bytes: start..batch.bytes.len() });
    }

    fn start(&mut self, first: u64) {
        let empty = self.empty.take().unwrap_or_default();
        self.batches.push_back(Batch { first, ..empty });
    }

    /// After a whole unit: the next one may begin a new batch.
    pub(super) fn end_unit(&mut self, next: u64) {
        if self.batches.back().is_some_and(|batch| batch.bytes.len() >= self.batch_bytes) {
            self.start(next);
        }
    }

    /// For the record `number`, which is pushed next, or was pushed last.
    pub(super) fn op(&mut self, number: u64, op: IndexOp) {
        if self.batches.is_empty() {
            self.start(number);
        }
        if let Some(batch) = self.batches.back_mut() {
            batch.ops.push(op);
        }
    }

    /// Adds what the leaf of the next entry is the hash of; the entry is in the record `number`, which is pushed next.
    pub(super) fn line(&mut self, number: u64, fill: impl FnOnce(&mut Vec<u8>)) {
        #[cfg(test)]
        if super::is_without_tree() {
            return;
        }
        if self.batches.is_empty() {
            self.start(number);
        }
        let Some(batch) = self.batches.back_mut() else { return };
        batch.lines.push(fill);
    }

    pub(super) fn count_delivery(&mut self) {
        if let Some(batch) = self.batches.back_mut() {
            batch.deliveries = batch.deliveries.saturating_add(1);
        }
    }

    /// Ends when the unit that was added last is on disk. None where nothing waits to be written.
    pub(super) fn wait(&mut self, impatient: bool) -> Option<oneshot::Receiver<Result<(), StoreError>>> {
        // Where the last unit filled its batch, the one that is empty yet would be waited for without end.
        let newest = self.batches.iter_mut().rev().find(|batch| !batch.spans.is_empty())?;
        let (done, receiver) = oneshot::channel();
        newest.waiters.push(Waiter { done, impatient });
        Some(receiver)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.iter().all(|batch| batch.spans.is_empty())
    }

    /// The next batch to write.
    pub(super) fn take(&mut self) -> Option<Batch> {
        if self.is_empty() { None } else { self.batches.pop_front() }
    }

    /// Takes a written batch back, for its memory.
    pub(super) fn give_back(&mut self, mut batch: Batch) {
        if batch.bytes.capacity().max(batch.lines.capacity()) <= KEPT_BYTES {
            batch.bytes.clear();
            batch.spans.clear();
            batch.waiters.clear();
            batch.ops = Vec::new();
            batch.leaves.clear();
            batch.deliveries = 0;
            self.empty = Some(batch);
        }
    }

    /// Tells everybody who waits.
    pub(super) fn end_all(&mut self, result: &Result<(), StoreError>) {
        for batch in &mut self.batches {
            batch.done(result);
        }
        self.batches.clear();
    }

    pub(super) fn turn_away(&mut self) {
        self.batches.iter_mut().for_each(Batch::turn_away);
    }
}
