//! Going through the frames of one segment file, good or not.
//!
//! A bad frame does not end the walk: the next good one is looked for, and the hole between them is told. Whether a hole is
//! a torn batch or damage is not decided here: see [`survey`](super::survey).

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::files::File;
use super::frame::{self, FRAME_BYTES, Meta};
use crate::store::{narrow, wide};

const CHUNK_BYTES: u64 = 64 << 10;
const PAGE_BYTES: u64 = 4096;
static ZEROES: [u8; 4096] = [0; 4096];

/// A piece of a file in memory: at most the longest frame.
#[derive(Debug, Default)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// `len` bytes at `offset`; `None` where they would go beyond `end`.
    fn get(&mut self, file: &dyn File, offset: u64, len: u64, end: u64) -> io::Result<Option<&[u8]>> {
        if offset.saturating_add(len) > end {
            return Ok(None);
        }
        if offset < self.at || offset + len > self.at + wide(self.bytes.len()) {
            self.bytes.resize(narrow(len.max(CHUNK_BYTES).min(end - offset)), 0);
            self.at = offset;
            if let Err(error) = file.read_exact_at(&mut self.bytes, offset) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let start = narrow(offset - self.at);
        Ok(self.bytes.get(start..start + narrow(len)))
    }
}

/// A good frame, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) offset: u64,
    pub(super) payload_bytes: usize,
    pub(super) meta: Meta,
}

impl Seen {
    pub(super) fn end(&self) -> u64 {
        self.offset + frame::frame_bytes(self.payload_bytes)
    }
}

/// Bytes that hold no good frame, with a good frame after them.
#[derive(Debug, Clone)]
pub(super) struct Hole {
    pub(super) bytes: Range<u64>,
    pub(super) missing: Range<u64>,
    /// The first number of the batch that the missing record belongs to, where that is known.
    pub(super) batch: Option<u64>,
    /// The same of the good frame behind the hole.
    pub(super) next_batch: u64,
}

#[derive(Debug)]
pub(super) enum Step {
    Frame(Seen),
    Hole(Hole),
    /// No good frame from `offset` on. `junk` goes from the first to behind the last byte there that is not zero.
    End {
        offset: u64,
        junk: Option<Range<u64>>,
    },
}

/// A walk over one segment file.
#[derive(Debug)]
pub(super) struct Walker {
    file: Arc<dyn File>,
    id: u64,
    offset: u64,
    end: u64,
    expected: u64,
    /// `None` at the start of a walk from the middle of a segment, where any position is taken.
    batch: Option<u64>,
    window: Window,
}

impl Walker {
    /// From a frame boundary at `offset`, where the record `expected` should be, up to `end`.
    pub(super) fn new(file: Arc<dyn File>, id: u64, offset: u64, end: u64, expected: u64) -> Self {
        Self { file, id, offset, end, expected, batch: None, window: Window::default() }
    }

    /// The same, at the start of a batch.
    pub(super) fn at_batch(self) -> Self {
        Self { batch: Some(self.expected), ..self }
    }

    pub(super) fn next(&mut self) -> io::Result<Step> {
        if let Some(seen) = self.good_at(self.offset)? {
            let fits = self.batch.is_none_or(|batch| batch == seen.meta.batch());
            if seen.meta.number == self.expected && fits {
                self.step_over(&seen);
                return Ok(Step::Frame(seen));
            }
        }
        let start = self.offset;
        let Some(seen) = self.find_after(start)? else {
            return Ok(Step::End { offset: start, junk: self.junk(start)? });
        };
        let (batch, next_batch) = (self.batch, seen.meta.batch());
        let missing = self.expected..seen.meta.number;
        (self.offset, self.expected, self.batch) = (seen.offset, seen.meta.number, Some(next_batch));
        Ok(Step::Hole(Hole { bytes: start..seen.offset, missing, batch, next_batch }))
    }

    /// The payload of the frame that [`next`](Self::next) gave last.
    pub(super) fn payload(&mut self, seen: &Seen) -> io::Result<&[u8]> {
        let (at, len) = (seen.offset + FRAME_BYTES, wide(seen.payload_bytes));
        Ok(self.window.get(self.file.as_ref(), at, len, self.end)?.unwrap_or_default())
    }

    fn step_over(&mut self, seen: &Seen) {
        self.offset = seen.end();
        if !seen.meta.ours {
            self.expected = seen.meta.number.saturating_add(1);
        }
        self.batch = Some(if seen.meta.last { self.expected } else { seen.meta.batch() });
    }

    fn good_at(&mut self, offset: u64) -> io::Result<Option<Seen>> {
        let Some(head) = self.window.get(self.file.as_ref(), offset, FRAME_BYTES, self.end)? else { return Ok(None) };
        let Some((payload_bytes, meta)) = frame::peek(head) else { return Ok(None) };
        let len = frame::frame_bytes(payload_bytes);
        let whole = self.window.get(self.file.as_ref(), offset, len, self.end)?;
        let good = whole.is_some_and(|bytes| frame::is_good(self.id, bytes, payload_bytes));
        Ok(good.then_some(Seen { offset, payload_bytes, meta }))
    }

    /// The next good frame with a number that can be there: as many may be missing as there is room for.
    fn find_after(&mut self, start: u64) -> io::Result<Option<Seen>> {
        let mut at = start + 8;
        while at + FRAME_BYTES <= self.end {
            let page = self.window.get(self.file.as_ref(), at, PAGE_BYTES, self.end)?;
            if page.is_some_and(|page| page == ZEROES) {
                // A frame may start with zeroes (its length): so not over the last of them.
                at += PAGE_BYTES - 8;
                continue;
            }
            // One page, eight bytes at a time.
            let stop = (at + PAGE_BYTES - 8).min(self.end);
            while at < stop {
                let head = self.window.get(self.file.as_ref(), at, FRAME_BYTES, self.end)?;
                let number = head.and_then(|head| frame::u64_at(head, 8)).unwrap_or(0);
                let skipped = number.saturating_sub(self.expected);
                if skipped > 0
                    && skipped <= (at - start) / FRAME_BYTES
                    && let Some(seen) = self.good_at(at)?
                {
                    return Ok(Some(seen));
                }
                at += 8;
            }
        }
        Ok(None)
    }

    fn junk(&mut self, start: u64) -> io::Result<Option<Range<u64>>> {
        let (mut at, mut junk) = (start, None::<Range<u64>>);
        while at < self.end {
            let len = PAGE_BYTES.min(self.end - at);
            let page = self.window.get(self.file.as_ref(), at, len, self.end)?.unwrap_or_default();
            if !ZEROES.starts_with(page) {
                let first = page.iter().position(|byte| *byte != 0).map_or(at, |i| at + wide(i));
                let last = page.iter().rposition(|byte| *byte != 0).map_or(at, |i| at + wide(i));
                junk = Some(junk.map_or(first, |junk| junk.start)..last + 1);
            }
            at += len;
        }
        Ok(junk)
    }
}
