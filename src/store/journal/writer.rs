//! Appending: one buffer, one write, one sync for a whole batch.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use super::Settings;
use super::files::{BLOCK_BYTES, Blocks};
use super::frame::{self, FOOTER_BYTES, HEADER_BYTES, Meta, PAYLOAD_BYTES_MAX, Seal};
use super::prune::Pruner;
use super::read::{Reader, Shared};
use super::segment::{self, Active, Spare, SpareMaker, Trouble};
use crate::chance::Chance;
use crate::store::{narrow, wide};

/// A record to append. Kind and version are the owner's.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    pub kind: u8,
    pub version: u8,
    /// At most [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: &'a [u8],
}

/// Why a batch was not appended. Nothing of it is acknowledged, and it used up no numbers.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The disk is full: the same batch can be tried again, as often as one likes. Another one only where nothing is lost by
    /// it when the power goes: parts of this one may be on disk, under its numbers.
    #[error("no room on disk to {doing}")]
    Full { doing: &'static str, source: io::Error },
    /// A sync or a write failed: what is on disk is unknown, so this journal takes nothing any more. Exit.
    #[error("failed to {doing}")]
    Failed { doing: &'static str, source: io::Error },
    /// An earlier sync or write failed.
    #[error("the journal takes nothing after a failed write or sync")]
    Poisoned,
    /// The batch can never be appended: a payload is too long, or it does not fit into one segment.
    #[error("{bytes} bytes where at most {bytes_max} are possible")]
    TooLarge { bytes: u64, bytes_max: u64 },
}

/// The writing end of a journal: one owner, on one thread.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    settings: Settings,
    chance: Arc<dyn Chance>,
    serial: Arc<AtomicU64>,
    active: Option<Active>,
    /// On disk and empty, while the one before is not sealed yet.
    staged: Option<Active>,
    spare: Option<Spare>,
    next: u64,
    buffer: Blocks,
}

impl Journal {
    pub(super) fn new(shared: Shared, settings: Settings, chance: Arc<dyn Chance>, next: u64) -> Self {
        Self {
            shared: Arc::new(shared),
            settings,
            chance,
            serial: Arc::new(AtomicU64::new(0)),
            active: None,
            staged: None,
            spare: None,
            next,
            buffer: Blocks::default(),
        }
    }

    /// The number that the next record will have.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// A handle to read with, for any thread.
    pub fn reader(&self) -> Reader {
        Reader { shared: Arc::clone(&self.shared) }
    }

    /// A handle to rewrite and remove sealed segments with, for any thread.
    pub fn pruner(&self) -> Pruner {
        Pruner { shared: Arc::clone(&self.shared), chance: Arc::clone(&self.chance) }
    }

    /// Whether the next segment should be prepared now: half of this one is used, and none is at hand. The owner then lets
    /// a thread that has time [make one](SpareMaker::make) and [gives it](Self::put_spare); or an append makes it when it
    /// needs it, and takes as long.
    pub fn wants_spare(&self) -> bool {
        let half_used = self.active.as_ref().is_none_or(|active| active.room() < active.bytes / 2);
        self.spare.is_none() && half_used
    }

    /// Makes spare segments, for any thread.
    pub fn spare_maker(&self) -> SpareMaker {
        SpareMaker {
            files: Arc::clone(&self.shared.files),
            dir: Arc::clone(&self.shared.dir),
            bytes: self.settings.segment_bytes,
            serial: Arc::clone(&self.serial),
        }
    }

    /// Takes a spare segment for later. A second one is given up.
    pub fn put_spare(&mut self, spare: Spare) {
        if let Some(old) = self.spare.replace(spare) {
            let _left = self.shared.files.remove(&old.path);
        }
    }

    /// Makes the next segment now, on this thread, where [`wants_spare`](Self::wants_spare). Only a full disk is an error
    /// that concerns nobody; every other one ends the journal, as in [`append`](Self::append).
    pub fn prepare_next(&mut self) -> Result<(), AppendError> {
        self.check()?;
        if self.wants_spare() {
            let spare = self.make_spare()?;
            self.put_spare(spare);
        }
        Ok(())
    }

    /// Appends a batch and returns its numbers: on disk, all of it, when this returns. After a crash a batch that was not
    /// acknowledged is there as a whole or not at all.
    pub fn append(&mut self, batch: &[RecordRef<'_>]) -> Result<Range<u64>, AppendError> {
        self.check()?;
        let bytes = self.measure(batch)?;
        if batch.is_empty() {
            return Ok(self.next..self.next);
        }
        if self.staged.is_some() || self.active.as_ref().is_none_or(|active| active.room() < bytes) {
            self.turn_page()?;
        }
        let Some(active) = &mut self.active else { return Err(AppendError::Poisoned) };
        // Whole blocks: what is in the tail's block already is written again as it is, as the page cache would do it too.
        let from = active.tail.saturating_sub(wide(active.head.len()));
        let end = active.tail + bytes;
        // What an earlier batch left that found no room goes in the same write.
        let until = end.max(active.dirty_until).next_multiple_of(wide(BLOCK_BYTES)).min(active.bytes);
        self.buffer.begin(narrow(until - from));
        self.buffer.tail().extend_from_slice(&active.head);
        let next = encode(batch, active.id, self.next, self.buffer.tail());
        self.buffer.pad(narrow(until - from));
        if let Err(error) = active.file.write_all_at(self.buffer.bytes(), from) {
            active.dirty_until = active.dirty_until.max(until);
            return Err(self.trouble("write a batch", Trouble::writing(error)));
        }
        if let Err(error) = active.file.sync_data() {
            return Err(self.trouble("sync a batch", Trouble::Failed(error)));
        }
        let mut offset = std::mem::replace(&mut active.tail, end);
        let kept = narrow(end % wide(BLOCK_BYTES));
        let block = narrow(end - from) - kept;
        active.head.clear();
        active.head.extend_from_slice(self.buffer.bytes().get(block..block + kept).unwrap_or_default());
        let numbers = self.next..next;
        self.next = next;
        if let Some(segment) = self.shared.segments_mut().last_mut() {
            for (number, record) in numbers.clone().zip(batch) {
                segment.marks.note(number, offset);
                offset += frame::frame_bytes(record.payload.len());
            }
            (segment.next, segment.end) = (next, end);
        }
        Ok(numbers)
    }

    /// Ends the journal with a mark that says so, so that the next open has nothing to mend.
    pub fn close(mut self) -> Result<(), AppendError> {
        self.check()?;
        if let Some(spare) = self.spare.take() {
            let _left = self.shared.files.remove(&spare.path);
        }
        if self.staged.is_some() {
            self.turn_page()?;
        }
        if let Some(active) = self.active.take() {
            self.seal(&active, Seal::Closed)?;
        }
        Ok(())
    }

    /// Goes on in a new segment. Can be tried again at whatever step there was no room.
    pub fn turn_page(&mut self) -> Result<(), AppendError> {
        let staged = match self.staged.take() {
            Some(staged) => staged,
            None => self.stage()?,
        };
        if let Some(active) = self.active.take()
            && let Err(error) = self.seal(&active, Seal::Followed)
        {
            (self.active, self.staged) = (Some(active), Some(staged));
            return Err(error);
        }
        self.shared.push(staged.segment());
        self.active = Some(staged);
        Ok(())
    }

    fn stage(&mut self) -> Result<Active, AppendError> {
        let spare = match self.spare.take() {
            Some(spare) => spare,
            None => self.make_spare()?,
        };
        let id = self.chance.next_u64();
        match segment::start(self.shared.files.as_ref(), &self.shared.dir, &spare, self.next, id) {
            Ok(active) => Ok(active),
            Err(trouble) => {
                self.spare = Some(spare);
                Err(self.trouble("start a segment", trouble))
            }
        }
    }

    fn make_spare(&mut self) -> Result<Spare, AppendError> {
        // A sync that finds no room is no failed sync here: nothing acknowledged is in that file.
        self.spare_maker().make().map_err(|error| self.trouble("prepare a segment", Trouble::writing(error)))
    }

    fn seal(&mut self, active: &Active, seal: Seal) -> Result<(), AppendError> {
        let sealed = segment::seal(active, self.next, seal);
        let bytes = sealed.map_err(|trouble| self.trouble("seal a segment", trouble))?;
        if let Some(segment) = self.shared.segments_mut().last_mut() {
            (segment.sealed, segment.bytes) = (true, bytes);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), AppendError> {
        if self.shared.poisoned.load(Ordering::Acquire) { Err(AppendError::Poisoned) } else { Ok(()) }
    }

    fn trouble(&self, doing: &'static str, trouble: Trouble) -> AppendError {
        match trouble {
            Trouble::Full(source) => AppendError::Full { doing, source },
            Trouble::Failed(source) => {
                self.shared.poisoned.store(true, Ordering::Release);
                AppendError::Failed { doing, source }
            }
        }
    }

    fn measure(&self, batch: &[RecordRef<'_>]) -> Result<u64, AppendError> {
        let payload_max = batch.iter().map(|record| record.payload.len()).max().unwrap_or(0);
        let batch_bytes: u64 = batch.iter().map(|record| frame::frame_bytes(record.payload.len())).sum();
        let room = self.settings.segment_bytes.saturating_sub(HEADER_BYTES + FOOTER_BYTES);
        for (bytes, bytes_max) in [(wide(payload_max), wide(PAYLOAD_BYTES_MAX)), (batch_bytes, room)] {
            if bytes > bytes_max {
                return Err(AppendError::TooLarge { bytes, bytes_max });
            }
        }
        Ok(batch_bytes)
    }
}

/// Adds the frames of a batch to the buffer; returns the number after the last.
fn encode(batch: &[RecordRef<'_>], id: u64, first: u64, buffer: &mut Vec<u8>) -> u64 {
    let (mut number, mut position) = (first, 0_u32);
    let after = first + wide(batch.len());
    for record in batch {
        let last = number + 1 == after;
        let meta = Meta { number, position, kind: record.kind, version: record.version, last, ours: false };
        frame::put(buffer, id, meta, record.payload);
        (number, position) = (number + 1, position.saturating_add(1));
    }
    after
}
