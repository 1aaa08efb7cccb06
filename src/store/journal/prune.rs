//! Making sealed segments smaller, and removing the oldest.
//!
//! Numbers never change. Who reads a segment meanwhile keeps the old file.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use thiserror::Error;

use super::aside;
use super::files::File;
use super::floor;
use super::frame::{self, HEADER_BYTES, Header, Meta, PAYLOAD_BYTES_MAX};
use super::read::{Record, Shared};
use super::segment::{Marks, Segment, Trouble};
use super::survey::{Footer, Survey, Until};
use super::walk::{Step, Walker};
use crate::chance::Chance;
use crate::clock::lock;
use crate::store::wide;

const FLUSH_BYTES: usize = 1 << 20;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    Keep,
    /// Another record with the same number, at the same place of its batch.
    Replace {
        kind: u8,
        version: u8,
        payload: Vec<u8>,
    },
}

/// What a rewrite did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    pub records: u64,
    /// Where this is 0 the file was left alone.
    pub replaced: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Why nothing was pruned. The segment is as it was, except after `Failed`.
#[derive(Debug, Error)]
pub enum PruneError {
    #[error("no sealed segment begins with record {first}")]
    NoSuchSegment { first: u64 },
    #[error("{file} is damaged: it is left as it is")]
    Damaged { file: String },
    #[error("a payload of {bytes} bytes where at most {bytes_max} are possible")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("no room on disk to prune")]
    Full(#[source] io::Error),
    /// A write or a sync failed: the journal takes nothing any more. Exit.
    #[error("failed to prune")]
    Failed(#[source] io::Error),
    #[error("failed to read what is to be pruned")]
    Read(#[source] io::Error),
    #[error("the journal takes nothing after a failed write or sync")]
    Poisoned,
}

impl From<Trouble> for PruneError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Full(error) => Self::Full(error),
            Trouble::Failed(error) => Self::Failed(error),
        }
    }
}

/// Rewrites and removes sealed segments. For any thread; one at a time works, the others wait.
#[derive(Debug, Clone)]
pub struct Pruner {
    pub(super) shared: Arc<Shared>,
    pub(super) chance: Arc<dyn Chance>,
}

impl Pruner {
    /// Nothing is rewritten or removed while this is held.
    pub fn pause(&self) -> MutexGuard<'_, ()> {
        lock(&self.shared.pruning)
    }

    /// Lets `decide` say of every record of a sealed segment what becomes of it. A cut leaves the old or the new file.
    pub fn rewrite_segment(
        &self,
        first_number: u64,
        decide: impl FnMut(&Record) -> Rewrite,
    ) -> Result<Rewritten, PruneError> {
        let _one_at_a_time = lock(&self.shared.pruning);
        self.guard(self.rewrite(first_number, decide))
    }

    /// Removes the sealed segments whose records are all below `number`. Returns how many that were. What is removed cannot
    /// be missed later: the journal knows its first retained number.
    pub fn remove_before(&self, number: u64) -> Result<usize, PruneError> {
        let _one_at_a_time = lock(&self.shared.pruning);
        self.guard(self.remove(number))
    }

    fn guard<T>(&self, done: Result<T, PruneError>) -> Result<T, PruneError> {
        if let Err(PruneError::Failed(_)) = done {
            // The system tells a failed sync once, to whoever asks first: the writer would not hear of it.
            self.shared.poisoned.store(true, Ordering::Release);
        }
        done
    }

    fn check(&self) -> Result<(), PruneError> {
        if self.shared.poisoned.load(Ordering::Acquire) { Err(PruneError::Poisoned) } else { Ok(()) }
    }

    fn rewrite(&self, first: u64, decide: impl FnMut(&Record) -> Rewrite) -> Result<Rewritten, PruneError> {
        self.check()?;
        let shared = self.shared.as_ref();
        let found = shared.segments().iter().find(|segment| segment.first == first && segment.sealed).cloned();
        let old = found.ok_or(PruneError::NoSuchSegment { first })?;
        let name = old.name.to_string();
        // All of it is read first: what is damaged stays as evidence.
        let survey = Survey::of(shared.files.as_ref(), &shared.dir, name.clone(), first, Until::End);
        let footer =
            survey.footer.filter(|footer| footer.exact && survey.problems().is_empty() && survey.next == old.next);
        let Some(footer) = footer else { return Err(PruneError::Damaged { file: name }) };
        let source = shared.files.open(&shared.path(&name)).map_err(PruneError::Read)?;
        let walker = Walker::new(source, old.id, HEADER_BYTES, old.end, first).at_batch();
        let id = self.chance.next_u64();
        let mut copy =
            NewFile { id, decide, buffer: Header { first, id }.encode(), at: 0, marks: Marks::default(), replaced: 0 };
        let mut end = 0;
        let replaced = aside::replace(shared.files.as_ref(), &shared.dir, &name, |file| {
            end = copy.all(walker, file, &old, footer)?;
            if copy.replaced == 0 { Err(Outcome::Unchanged) } else { Ok(()) }
        });
        let mut done = Rewritten {
            records: old.next - old.first,
            replaced: copy.replaced,
            bytes_before: old.bytes,
            bytes_after: old.bytes,
        };
        match replaced {
            Err(Outcome::Unchanged) => return Ok(done),
            Err(Outcome::Error(error)) => return Err(error),
            Ok(file) => {
                done.bytes_after = copy.at;
                let mut segments = shared.segments_mut();
                if let Some(segment) = segments.iter_mut().find(|segment| segment.first == first) {
                    let file = segment.file.is_some().then_some(file);
                    *segment = Segment { id, end, bytes: copy.at, marks: copy.marks, file, ..old };
                }
            }
        }
        Ok(done)
    }

    fn remove(&self, number: u64) -> Result<usize, PruneError> {
        self.check()?;
        let shared = self.shared.as_ref();
        let doomed: Vec<Segment> = {
            let segments = shared.segments();
            let kept = segments.len().saturating_sub(1);
            segments.iter().take(kept).take_while(|old| old.sealed && old.next <= number).cloned().collect()
        };
        let Some(floor) = doomed.last().map(|segment| segment.next) else { return Ok(0) };
        floor::write(shared.files.as_ref(), &shared.dir, floor)?;
        for segment in &doomed {
            shared.segments_mut().retain(|other| other.first != segment.first);
            shared.files.remove(&shared.path(&segment.name)).map_err(PruneError::Failed)?;
            // One by one and oldest first, so that no cut leaves a hole.
            shared.files.sync_dir(&shared.dir).map_err(PruneError::Failed)?;
        }
        Ok(doomed.len())
    }
}

/// Why a new file was not put in place.
enum Outcome {
    /// It would be the same.
    Unchanged,
    Error(PruneError),
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Self {
        Self::Error(trouble.into())
    }
}

impl From<PruneError> for Outcome {
    fn from(error: PruneError) -> Self {
        Self::Error(error)
    }
}

/// A new segment file in the making.
struct NewFile<D> {
    id: u64,
    decide: D,
    buffer: Vec<u8>,
    /// Bytes written.
    at: u64,
    marks: Marks,
    replaced: u64,
}

impl<D: FnMut(&Record) -> Rewrite> NewFile<D> {
    /// Returns where the records end.
    fn all(&mut self, mut walker: Walker, file: &dyn File, old: &Segment, footer: Footer) -> Result<u64, PruneError> {
        loop {
            match walker.next().map_err(PruneError::Read)? {
                Step::Frame(seen) => {
                    let payload = walker.payload(&seen).map_err(PruneError::Read)?;
                    self.one(seen.meta, payload)?;
                }
                Step::End { offset, .. } if offset == old.end => break,
                _ => return Err(PruneError::Damaged { file: old.name.to_string() }),
            }
            if self.buffer.len() >= FLUSH_BYTES {
                self.flush(file)?;
            }
        }
        let end = self.at + wide(self.buffer.len());
        frame::put_footer(&mut self.buffer, self.id, footer.seal, old.next, footer.count);
        self.flush(file)?;
        Ok(end)
    }

    fn one(&mut self, meta: Meta, payload: &[u8]) -> Result<(), PruneError> {
        self.marks.note(meta.number, self.at + wide(self.buffer.len()));
        let record = Record {
            number: meta.number,
            kind: meta.kind,
            version: meta.version,
            last_of_batch: meta.last,
            payload: payload.to_vec(),
        };
        match (self.decide)(&record) {
            Rewrite::Keep => frame::put(&mut self.buffer, self.id, meta, payload),
            Rewrite::Replace { kind, version, payload } => {
                if payload.len() > PAYLOAD_BYTES_MAX {
                    let (bytes, bytes_max) = (wide(payload.len()), wide(PAYLOAD_BYTES_MAX));
                    return Err(PruneError::TooLarge { bytes, bytes_max });
                }
                self.replaced += 1;
                frame::put(&mut self.buffer, self.id, Meta { kind, version, ..meta }, &payload);
            }
        }
        Ok(())
    }

    fn flush(&mut self, file: &dyn File) -> Result<(), Trouble> {
        file.write_all_at(&self.buffer, self.at).map_err(Trouble::writing)?;
        self.at += wide(self.buffer.len());
        self.buffer.clear();
        Ok(())
    }
}
