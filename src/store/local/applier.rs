//! The applier: the one thread that writes the index, behind the journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::core::Core;
use super::dedupe::{GENERATION, Generation, Seen, generation_of};
use super::index::{Applied, Broken, Index};
use super::outbox::IndexOp;
use super::record::{Change, Stored};
use super::state::{DELIVERIES_A_MARK, ENTRIES_A_MARK};
use crate::breakpoint;
use crate::clock::{Stopwatch, lock};
use crate::store::journal::{FIRST_NUMBER, Reader};
use crate::store::wide;

/// So many operations go into one batch, or somewhat more.
const OPS: usize = 8192;
/// Records that are read between two steps of a progress bar.
const RECORDS: u64 = 4096;
/// Between two batches for sled it sleeps this long, unless somebody waits for the index: each batch wakes threads, and to
/// be woken for every batch of the journal costs more than to take them in.
const GATHER: Duration = Duration::from_millis(25);
/// How often it looks whether somebody found the index broken, while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a batch of the journal means for the index.
#[derive(Debug)]
pub(super) struct ToApply {
    pub(super) ops: Vec<IndexOp>,
    /// One past its last record.
    pub(super) next: u64,
    pub(super) crc: u32,
}

/// Until the writer is gone.
pub(super) fn run(core: &Arc<Core>, place: &Path, incoming: &Receiver<ToApply>) {
    core.index.applied_by_this_thread();
    let mut last = Stopwatch::start();
    loop {
        let first = match incoming.recv_timeout(LOOK_EVERY) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(why) = core.index.take_broken() {
            lose(core, why);
        }
        if core.index.is_due(core.clock.now()) {
            build_anew(core, place);
        }
        if let Some(mut group) = first {
            gather(core, incoming, &mut group, last);
            take_in(core, group);
            last = Stopwatch::start();
        }
    }
}

/// Adds what else is there, or comes before it is time for the next batch.
fn gather(core: &Core, incoming: &Receiver<ToApply>, group: &mut ToApply, last: Stopwatch) {
    while group.ops.len() < OPS {
        match incoming.try_recv() {
            Ok(more) => {
                group.ops.extend(more.ops);
                (group.next, group.crc) = (more.next, more.crc);
            }
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => match GATHER.checked_sub(last.elapsed()) {
                Some(left) if !left.is_zero() && core.index.nobody_waits() => std::thread::park_timeout(left),
                _ => return,
            },
        }
    }
}

/// Where there is no index, nothing is lost: it is made from the journal.
fn take_in(core: &Core, group: ToApply) {
    let (count, next) = (wide(group.ops.len()), group.next);
    let spills = group.ops.iter().any(|op| matches!(op, IndexOp::Spill(_)));
    let applied = core.index.get().map(|index| match count {
        // What is on disk lags a little: a start takes in the rest.
        0 => Ok(Vec::new()),
        _ => index.apply(group.ops, Applied::new(next, group.crc)),
    });
    match applied {
        Some(Ok(filters)) if spills => {
            let mut guarded = lock(&core.guarded);
            for (generation, filter) in filters {
                guarded.state.dedupe.spilled(generation, filter);
            }
        }
        Some(Ok(_)) | None => {}
        Some(Err(Broken(why))) => {
            tracing::warn!(why, "the index is unusable and will be built anew");
            lose(core, why);
        }
    }
    core.index.waiting.fetch_sub(count, Ordering::Relaxed);
    if core.index.get().is_some() {
        applied_up_to(core, next);
    }
    breakpoint::reached("index-applied");
}

/// What it had taken in is gone with it.
fn lose(core: &Core, why: String) {
    core.index.lose(why, core.clock.now());
    core.applied.send_replace(FIRST_NUMBER);
}

fn applied_up_to(core: &Core, next: u64) {
    core.applied.send_if_modified(|applied| next > std::mem::replace(applied, next.max(*applied)));
}

/// Makes the index from the journal while the store runs. Where that fails, the store goes on without.
fn build_anew(core: &Arc<Core>, place: &Path) {
    // All that was written before is in it: what comes now waits for this thread.
    let next = core.reader.next_number();
    let generations = lock(&core.guarded).state.dedupe.spilled_numbers();
    match build(place, core.settings.index_cache_bytes, &core.reader, &generations, &mut |_, _| {}) {
        Ok(index) => {
            let filters = generations.iter().filter_map(|number| Some((*number, index.filter(*number).ok()??)));
            let filters: Vec<_> = filters.collect();
            let mut guarded = lock(&core.guarded);
            for (number, filter) in filters {
                guarded.state.dedupe.spilled(number, Arc::new(filter));
            }
            drop(guarded);
            core.index.set(Arc::new(index));
            applied_up_to(core, next);
        }
        Err(Broken(why)) => core.index.fail(&why, core.clock.now()),
    }
}

/// Tells how far a rebuild is: records done, of how many.
pub(super) type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// An index made from the whole journal.
pub(super) fn build(
    place: &Path,
    cache_bytes: u64,
    reader: &Reader,
    generations: &[u64],
    progress: Progress<'_>,
) -> Result<Index, Broken> {
    Index::remove(place).map_err(|error| Broken(format!("cannot be removed: {error}")))?;
    let index = Index::open(place, cache_bytes)?;
    feed(&index, reader, reader.first_number(), generations, progress)?;
    Ok(index)
}

/// Takes in all records from a number on, up to the last that is synced. Generations that are asked for must begin there.
pub(super) fn feed(
    index: &Index,
    reader: &Reader,
    from: u64,
    generations: &[u64],
    progress: Progress<'_>,
) -> Result<(), Broken> {
    let total = reader.next_number().saturating_sub(from);
    let mut feeding = Feeding { ops: Vec::new(), wanted: generations, open: BTreeMap::new() };
    let mut last = Applied::new(from, 0);
    for found in reader.scan(from) {
        // What is damaged was told when the journal was opened.
        let Ok(record) = found else { continue };
        if let Some(stored) = Stored::decode(record.kind, record.version, &record.payload) {
            feeding.take(record.number, stored);
        }
        last = Applied::new(record.number.saturating_add(1), crc32c::crc32c(&record.payload));
        let done = last.next.saturating_sub(from);
        if feeding.ops.len() >= OPS || done.is_multiple_of(RECORDS) {
            index.apply(std::mem::take(&mut feeding.ops), last)?;
            progress(done.min(total), total);
        }
    }
    for (_, generation) in std::mem::take(&mut feeding.open) {
        feeding.ops.push(IndexOp::Spill(Arc::new(generation)));
    }
    if last.next > from || !feeding.ops.is_empty() {
        index.apply(feeding.ops, last)?;
    }
    progress(total, total);
    Ok(())
}

struct Feeding<'a> {
    ops: Vec<IndexOp>,
    wanted: &'a [u64],
    open: BTreeMap<u64, Generation>,
}

impl Feeding<'_> {
    fn take(&mut self, number: u64, stored: Stored) {
        match stored {
            Stored::Delivery(delivery) => {
                let id = delivery.head.id;
                if id.is_multiple_of(DELIVERIES_A_MARK) || id == 1 {
                    self.ops.push(IndexOp::Delivery { id, record: number });
                }
                self.mark_entries(number, delivery.head.index, 1);
                let generation = generation_of(id);
                if self.wanted.contains(&generation) {
                    let seen = Seen {
                        body: delivery.tail.body_print,
                        request: delivery.tail.request_print,
                        received_at: delivery.tail.received_at,
                        original: delivery.head.duplicate_of.is_none(),
                    };
                    self.open.entry(generation).or_insert_with(|| Generation::new(generation, number)).add(id, seen);
                    if id.is_multiple_of(GENERATION)
                        && let Some(whole) = self.open.remove(&generation)
                    {
                        self.ops.push(IndexOp::Spill(Arc::new(whole)));
                    }
                }
            }
            Stored::Changes(changes) => {
                self.mark_entries(number, changes.first_index, wide(changes.entries.len()));
                for change in changes.made {
                    if let Change::Planned { delivery, decided, jobs } = change {
                        self.ops.push(IndexOp::Decided { delivery, decided, jobs });
                    }
                }
            }
        }
    }

    fn mark_entries(&mut self, record: u64, first: u64, count: u64) {
        let mut index = first.next_multiple_of(ENTRIES_A_MARK);
        while index < first.saturating_add(count) {
            self.ops.push(IndexOp::Entry { index, record });
            index = index.saturating_add(ENTRIES_A_MARK);
        }
    }
}
