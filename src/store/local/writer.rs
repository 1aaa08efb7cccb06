//! The writer: the one thread that owns the journal. One write and one sync for everybody who waits.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, TryRecvError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::applier::ToApply;
use super::checkpoints::Told;
use super::core::{Core, Phase};
use super::housekeeper::{Chore, Spares, Tell, Wanted, with_source};
use super::outbox::Batch;
use super::snapshot::Frozen;
use crate::audit::tree::Frontier;
use crate::breakpoint;
use crate::clock::lock;
use crate::store::journal::{AppendError, Journal};
use crate::store::port::StoreError;
use crate::store::wide;

/// How long the writer waits for room on the disk: doubled from the first to the last.
const ROOM_WAIT_MIN: Duration = Duration::from_millis(10);
const ROOM_WAIT_MAX: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) core: Arc<Core>,
    pub(super) journal: Journal,
    pub(super) applier: Sender<ToApply>,
    /// Nothing is sent: when the writer is gone, no leaf comes any more.
    pub(super) _checkpoints: Sender<Told>,
    pub(super) chores: Sender<Chore>,
    pub(super) spares: Spares,
    /// The log as of the last record that was hashed.
    pub(super) tree: Frontier,
    /// Bytes since the last snapshot.
    pub(super) since_snapshot: u64,
}

/// What is left when the writer ends.
pub(super) struct Ended {
    pub(super) journal: Journal,
    /// Everything that was taken is on disk.
    pub(super) whole: bool,
}

impl Writer {
    /// Until the store is closed, abandoned or failed.
    pub(super) fn run(self) -> Ended {
        let core = Arc::clone(&self.core);
        let ended = self.until_the_end();
        core.end_wanted();
        ended
    }

    fn until_the_end(mut self) -> Ended {
        loop {
            let Some((mut batch, frozen, wanted)) = self.next() else {
                let whole = lock(&self.core.guarded).phase == Phase::Closing;
                return Ended { journal: self.journal, whole };
            };
            if !batch.hash(&mut self.tree) {
                let _failed =
                    self.fail(&mut batch, "a defect in adjutant: an entry of the log has no place in a record");
                return Ended { journal: self.journal, whole: false };
            }
            if !self.write(batch, frozen, wanted) {
                return Ended { journal: self.journal, whole: false };
            }
            self.tend_spares();
        }
    }

    /// Waits for something to write, and takes all of it.
    fn next(&mut self) -> Option<(Batch, Option<Frozen>, Option<Tell>)> {
        let core = Arc::clone(&self.core);
        let mut guarded = lock(&core.guarded);
        loop {
            if matches!(guarded.phase, Phase::Abandoned | Phase::Failed(_) | Phase::Closed) {
                guarded.state.outbox.end_all(&Err(StoreError::Closed));
                return None;
            }
            if guarded.in_unit {
                drop(guarded);
                let _told = core.half_a_unit();
                return None;
            }
            let state = &mut guarded.state;
            if let Some(batch) = state.outbox.take() {
                // Now the state is as of the last record of the batch, and cheap to copy.
                let is_last = state.outbox.is_empty();
                let wanted = if is_last { lock(&core.wanted).take() } else { None };
                let due = wanted.is_some() || self.since_snapshot >= core.settings.snapshot_every_bytes;
                let frozen = (due && is_last).then(|| state.freeze());
                return Some((batch, frozen, wanted));
            }
            if guarded.phase == Phase::Closing {
                return None;
            }
            guarded.writer_sleeps = true;
            guarded = core.wake.wait(guarded).unwrap_or_else(PoisonError::into_inner);
            guarded.writer_sleeps = false;
        }
    }

    /// Makes a batch durable and tells everybody. False where the writer ends.
    fn write(&mut self, mut batch: Batch, frozen: Option<Frozen>, wanted: Option<Tell>) -> bool {
        let mut wait = ROOM_WAIT_MIN;
        breakpoint::reached("journal-before-write");
        if breakpoint::is_faulty("acknowledge-early") && batch.deliveries > 0 {
            // Until the test kills the process, however slow the machine is.
            std::thread::sleep(Duration::from_secs(3600));
        }
        loop {
            match self.journal.append(&batch.records()) {
                Ok(numbers) if numbers.start == batch.first => break,
                Ok(numbers) => {
                    let why = format!("the journal gave number {} where {} was due", numbers.start, batch.first);
                    return self.fail(&mut batch, &why);
                }
                Err(AppendError::Full { .. }) => {
                    if !self.wait_for_room(&mut batch, wait) {
                        batch.done(&Err(StoreError::Full));
                        return false;
                    }
                    wait = wait.saturating_mul(2).min(ROOM_WAIT_MAX);
                }
                Err(error) => {
                    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                    return self.fail(&mut batch, &format!("{error}{}", source.unwrap_or_default()));
                }
            }
        }
        breakpoint::reached("journal-after-sync");
        if self.core.stalled.swap(false, Ordering::Relaxed) {
            tracing::info!("there is room on the disk again");
        }
        let wanted = match wanted.map(|tell| (tell, self.journal.turn_page())) {
            Some((tell, Ok(()))) => Some((tell, self.journal.next_number())),
            // Whoever waits to be told hears that nobody will.
            Some((_, Err(AppendError::Full { .. }))) | None => None,
            Some((_, Err(error))) => return self.fail(&mut batch, &with_source(&error)),
        };
        self.tell(batch, frozen, wanted);
        true
    }

    fn tell(&mut self, mut batch: Batch, frozen: Option<Frozen>, wanted: Option<Wanted>) {
        let core = &self.core;
        let next = batch.next();
        {
            let mut synced = lock(&core.synced);
            synced.next = next;
            synced.tree.clone_from(&self.tree);
        }
        // Before the answer: who was answered may rely on others having heard.
        core.take_leaves(&mut batch.leaves);
        if batch.deliveries > 0 {
            core.bump();
        }
        batch.done(&Ok(()));
        let ops = std::mem::take(&mut batch.ops);
        core.index.note_waiting(ops.len());
        // Gone only when the store ends.
        let _gone = self.applier.send(ToApply { ops, next, crc: batch.last_crc() });
        self.since_snapshot = self.since_snapshot.saturating_add(wide(batch.bytes()));
        if let Some(frozen) = frozen {
            self.since_snapshot = 0;
            let _gone = self.chores.send(Chore::Snapshot(Box::new((frozen, self.tree.clone())), wanted));
        }
        lock(&core.guarded).state.outbox.give_back(batch);
    }

    /// Waits a little for room on the disk. False where the store ends meanwhile.
    fn wait_for_room(&self, batch: &mut Batch, wait: Duration) -> bool {
        let core = &self.core;
        if !core.stalled.swap(true, Ordering::Relaxed) {
            tracing::error!("the disk is full: deliveries are refused until there is room");
        }
        batch.turn_away();
        let mut guarded = lock(&core.guarded);
        guarded.state.outbox.turn_away();
        if guarded.phase != Phase::Open {
            guarded.state.outbox.end_all(&Err(StoreError::Full));
            return false;
        }
        let (guarded, _timed_out) = core.wake.wait_timeout(guarded, wait).unwrap_or_else(PoisonError::into_inner);
        drop(guarded);
        true
    }

    fn fail(&self, batch: &mut Batch, why: &str) -> bool {
        self.core.fail(why);
        batch.done(&Err(StoreError::Failed(why.to_owned())));
        false
    }

    /// Has the next segment made by the thread that has time, and takes it when it is there.
    fn tend_spares(&mut self) {
        match self.spares.made.try_recv() {
            Ok(spare) => {
                self.spares.asked = false;
                if let Some(spare) = spare {
                    self.journal.put_spare(spare);
                }
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        if !self.spares.asked && self.journal.wants_spare() {
            self.spares.asked = true;
            let _gone = self.spares.wanted.send(self.journal.spare_maker());
        }
    }
}
