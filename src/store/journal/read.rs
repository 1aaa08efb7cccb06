//! Reading records by number, from any thread, while the journal is written.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use thiserror::Error;

use super::files::{File, Files};
use super::frame::{FIRST_NUMBER, HEADER_BYTES};
use super::segment::Segment;
use super::survey::read_header;
use super::walk::{Seen, Step, Walker};

/// So many of the newest segments keep their file open.
const OPEN_FILES: usize = 16;
/// How often a reader looks again for a segment that was rewritten under its hands.
const ATTEMPTS: usize = 8;

/// A record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub number: u64,
    pub kind: u8,
    pub version: u8,
    /// Nothing of its batch comes after it.
    pub last_of_batch: bool,
    pub payload: Vec<u8>,
}

/// Records that cannot be read, and the bytes where they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file} is damaged from byte {offset} to {until}, where records {} to {} should be", missing.start, missing.end.saturating_sub(1))]
pub struct Gap {
    /// The file's name in the journal's folder.
    pub file: String,
    pub offset: u64,
    pub until: u64,
    /// The numbers of the records, the end excluded.
    pub missing: std::ops::Range<u64>,
}

/// Why a record cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It was there, and is damaged or its file is gone.
    #[error(transparent)]
    Damaged(Gap),
    /// It was removed on purpose.
    #[error("the journal begins at record {first}")]
    Removed { first: u64 },
    #[error("failed to read {file}")]
    Io { file: String, source: io::Error },
}

/// What writer, readers and pruner have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) files: Arc<dyn Files>,
    pub(super) dir: Arc<str>,
    segments: RwLock<Vec<Segment>>,
    /// Set by whoever saw a sync fail.
    pub(super) poisoned: AtomicBool,
    /// Held while segments are rewritten, removed or verified.
    pub(super) pruning: Mutex<()>,
}

impl Shared {
    pub(super) fn new(files: Arc<dyn Files>, dir: Arc<str>, segments: Vec<Segment>) -> Self {
        let (poisoned, pruning) = (AtomicBool::new(false), Mutex::new(()));
        Self { files, dir, segments: RwLock::new(segments), poisoned, pruning }
    }

    // Each change under the lock is one statement that cannot fail half-way, so a holder's panic leaves it valid.
    pub(super) fn segments(&self) -> RwLockReadGuard<'_, Vec<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segments_mut(&self) -> RwLockWriteGuard<'_, Vec<Segment>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new segment to write to; old ones give their files back.
    pub(super) fn push(&self, segment: Segment) {
        let mut segments = self.segments_mut();
        segments.push(segment);
        if let Some(old) = segments.len().checked_sub(OPEN_FILES + 1).and_then(|old| segments.get_mut(old)) {
            old.file = None;
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// The file of a segment; `None` where it is another one by now.
    pub(super) fn open(&self, segment: &View) -> io::Result<Option<Arc<dyn File>>> {
        if let Some(file) = &segment.file {
            return Ok(Some(Arc::clone(file)));
        }
        match self.files.open(&self.path(&segment.name)) {
            Ok(file) => {
                let same = read_header(file.as_ref())?.is_ok_and(|header| header.id == segment.id);
                Ok(same.then_some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a reader needs of a segment, so that it holds no lock while it reads.
#[derive(Debug)]
pub(super) struct View {
    pub(super) name: Arc<str>,
    pub(super) id: u64,
    pub(super) next: u64,
    pub(super) end: u64,
    pub(super) file: Option<Arc<dyn File>>,
    /// A record at or before the one wanted, and its offset.
    start: (u64, u64),
}

/// Where a number is.
enum Place {
    In(View),
    Removed { first: u64 },
    NotYet,
    Nowhere(Gap),
}

/// A segment as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    pub first: u64,
    /// One past its last record.
    pub next: u64,
    /// On disk.
    pub bytes: u64,
    pub sealed: bool,
}

/// Reads what has been synced. Cheap to clone, and for any thread.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

impl Reader {
    /// The first record that is kept; equal to [`next_number`](Self::next_number) where there is none.
    pub fn first_number(&self) -> u64 {
        self.shared.segments().first().map_or(FIRST_NUMBER, |segment| segment.first)
    }

    /// One past the last record that was synced.
    pub fn next_number(&self) -> u64 {
        self.shared.segments().last().map_or(FIRST_NUMBER, |segment| segment.next)
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let info = |segment: &Segment| SegmentInfo {
            first: segment.first,
            next: segment.next,
            bytes: segment.bytes,
            sealed: segment.sealed,
        };
        self.shared.segments().iter().map(info).collect()
    }

    /// Memory that finding records takes.
    pub fn index_bytes(&self) -> usize {
        self.shared.segments().iter().map(|segment| segment.marks.bytes() + size_of::<Segment>()).sum()
    }

    /// One record; `None` where that number has not been synced yet.
    pub fn read(&self, number: u64) -> Result<Option<Record>, ReadError> {
        match self.scan(number).next() {
            Some(Ok(record)) if record.number == number => Ok(Some(record)),
            Some(Ok(_)) | None => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }

    /// All records from a number on, in order, up to the last that is synced when the scan gets there; asking again later
    /// goes on. Damage is told once and stepped over; after an error of the disk the scan tries the same place again.
    /// Memory: one buffer, no larger than 64 KiB or the longest record.
    pub fn scan(&self, from: u64) -> Scan {
        Scan { shared: Arc::clone(&self.shared), next: from, at: None }
    }
}

impl Shared {
    pub(super) fn view(segment: &Segment, number: u64) -> View {
        View {
            name: Arc::clone(&segment.name),
            id: segment.id,
            next: segment.next,
            end: segment.end,
            file: segment.file.clone(),
            start: segment.marks.before(number).unwrap_or((segment.first, HEADER_BYTES)),
        }
    }
}

fn find(shared: &Shared, number: u64) -> Place {
    let segments = shared.segments();
    let behind = segments.partition_point(|segment| segment.first <= number);
    let Some(segment) = behind.checked_sub(1).and_then(|index| segments.get(index)) else {
        return segments.first().map_or(Place::NotYet, |segment| Place::Removed { first: segment.first });
    };
    if number < segment.next {
        return Place::In(Shared::view(segment, number));
    }
    match segments.get(behind) {
        None => Place::NotYet,
        Some(next) => Place::Nowhere(Gap {
            file: segment.name.to_string(),
            offset: segment.end,
            until: segment.end,
            missing: number..next.first,
        }),
    }
}

/// See [`Reader::scan`].
#[derive(Debug)]
pub struct Scan {
    shared: Arc<Shared>,
    next: u64,
    at: Option<(View, Walker)>,
}

impl Scan {
    /// The number that comes next.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Stands where `next` is, or says why it cannot; `Ok(false)` where it is not there yet.
    fn stand(&mut self) -> Result<bool, ReadError> {
        for _ in 0..ATTEMPTS {
            let view = match find(&self.shared, self.next) {
                Place::In(view) => view,
                Place::NotYet => return Ok(false),
                Place::Removed { first } => {
                    self.next = first;
                    return Err(ReadError::Removed { first });
                }
                Place::Nowhere(gap) => {
                    self.next = gap.missing.end;
                    return Err(ReadError::Damaged(gap));
                }
            };
            let opened = self.shared.open(&view);
            let opened = opened.map_err(|source| ReadError::Io { file: view.name.to_string(), source })?;
            if let Some(file) = opened {
                let (number, offset) = view.start;
                let walker = Walker::new(file, view.id, offset, view.end, number);
                self.at = Some((view, walker));
                return Ok(true);
            }
        }
        // Not rewritten each time: gone.
        let (file, missing) = match find(&self.shared, self.next) {
            Place::In(view) => (view.name.to_string(), self.next..view.next),
            _ => (String::new(), self.next..self.next.saturating_add(1)),
        };
        self.next = missing.end;
        Err(ReadError::Damaged(Gap { file, offset: 0, until: 0, missing }))
    }

    /// The next thing in this segment; `None` at its end.
    fn step(&mut self) -> Result<Option<Record>, ReadError> {
        let Some((view, walker)) = &mut self.at else { return Ok(None) };
        let io = |source| ReadError::Io { file: view.name.to_string(), source };
        loop {
            let (bytes, missing) = match walker.next().map_err(io)? {
                Step::Frame(seen) if seen.meta.ours => return Ok(None),
                Step::Frame(seen) if seen.meta.number < self.next => continue,
                Step::Frame(seen) => {
                    let record = record(&seen, walker.payload(&seen).map_err(io)?);
                    self.next = record.number.saturating_add(1);
                    return Ok(Some(record));
                }
                Step::Hole(hole) if hole.missing.end <= self.next => continue,
                Step::Hole(hole) => (hole.bytes, hole.missing),
                Step::End { .. } if self.next >= view.next => return Ok(None),
                Step::End { offset, .. } => (offset..view.end, self.next..view.next),
            };
            let missing = missing.start.max(self.next)..missing.end;
            self.next = missing.end;
            let gap = Gap { file: view.name.to_string(), offset: bytes.start, until: bytes.end, missing };
            return Err(ReadError::Damaged(gap));
        }
    }
}

fn record(seen: &Seen, payload: &[u8]) -> Record {
    Record {
        number: seen.meta.number,
        kind: seen.meta.kind,
        version: seen.meta.version,
        last_of_batch: seen.meta.last,
        payload: payload.to_vec(),
    }
}

impl Iterator for Scan {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.at.is_none() {
                match self.stand() {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(error) => return Some(Err(error)),
                }
            }
            match self.step() {
                Ok(Some(record)) => return Some(Ok(record)),
                // The end of this segment, as far as it went when the scan came to it.
                Ok(None) => self.at = None,
                Err(error) => {
                    if matches!(error, ReadError::Io { .. }) {
                        self.at = None;
                    }
                    return Some(Err(error));
                }
            }
        }
    }
}
