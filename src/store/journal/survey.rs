//! Reading one whole segment file, and judging what was found: good, torn, or damaged.
//!
//! Torn or damaged: in the segment that is being written, the bytes of a batch whose sync did not return may be on disk in
//! any part and order. So a hole with nothing but frames of the *same* batch behind it is a torn batch, which nobody was
//! promised. A good frame of a *later* batch shows that the batch before was acknowledged: then the hole is damage. In a
//! sealed segment every hole is. What cannot be told from the bytes alone: damage to the very last batch of a journal that
//! was not closed looks like a torn one.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::files::{File, Files};
use super::frame::{self, FOOTER_BYTES, FORMAT_VERSION, HEADER_BYTES, Header, HeaderFault, Seal};
use super::problem::{Fault, Problem};
use super::segment::Marks;
use super::walk::{Hole, Seen, Step, Walker};
use crate::store::narrow;

/// What is in one segment file.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) name: String,
    /// The first number, as the name says.
    pub(super) first: u64,
    pub(super) bytes: u64,
    pub(super) header: Result<Header, HeaderFault>,
    pub(super) marks: Marks,
    /// Good records.
    pub(super) records: u64,
    /// One past the last record of the last whole batch, and where it ends.
    pub(super) next: u64,
    pub(super) end: u64,
    /// Holes in front of later batches.
    pub(super) damage: Vec<Hole>,
    /// Everything behind the last whole batch that is not zero, or no footer's.
    pub(super) torn: Option<Range<u64>>,
    pub(super) footer: Option<Footer>,
    pub(super) io: Option<(u64, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) seal: Seal,
    pub(super) count: u64,
    /// Nothing comes after it.
    pub(super) exact: bool,
}

/// How a survey treats the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// To the last byte.
    End,
    /// To byte `end`, before which all records below `next` are known to be synced: every hole is damage.
    Synced { end: u64, next: u64 },
}

/// Reads the first 32 bytes.
pub(super) fn read_header(file: &dyn File) -> io::Result<Result<Header, HeaderFault>> {
    let mut bytes = vec![0; narrow(HEADER_BYTES)];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(Header::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(HeaderFault::Damaged)),
        Err(error) => Err(error),
    }
}

impl Survey {
    /// Reads a file to its end. An error of the disk is part of what was found.
    pub(super) fn of(files: &dyn Files, dir: &str, name: String, first: u64, until: Until) -> Self {
        let mut survey = Self {
            name,
            first,
            bytes: 0,
            header: Err(HeaderFault::Damaged),
            marks: Marks::default(),
            records: 0,
            next: first,
            end: HEADER_BYTES,
            damage: Vec::new(),
            torn: None,
            footer: None,
            io: None,
        };
        let opened = files.open(&format!("{dir}/{}", survey.name));
        if let Err(error) = opened.and_then(|file| survey.read(file, until)) {
            survey.io = Some((survey.end, error.to_string()));
        }
        survey
    }

    fn read(&mut self, file: Arc<dyn File>, until: Until) -> io::Result<()> {
        self.bytes = file.size()?;
        self.header = read_header(file.as_ref())?;
        let Ok(header) = self.header else { return Ok(()) };
        let stop = match until {
            Until::End => self.bytes,
            Until::Synced { end, .. } => end.min(self.bytes),
        };
        let mut walker = Walker::new(file, header.id, HEADER_BYTES, stop, self.first).at_batch();
        let mut holes = Vec::new();
        let mut state = Batches { reached: HEADER_BYTES, ..Batches::default() };
        let junk = loop {
            match walker.next()? {
                Step::Hole(hole) => {
                    // The rest of a batch with a hole in it is no more whole than its start.
                    state.torn_batch =
                        hole.batch.is_some_and(|batch| hole.next_batch <= batch).then_some(hole.next_batch);
                    holes.push(hole);
                }
                Step::Frame(seen) if seen.meta.ours => {
                    self.footer = Footer::read(&mut walker, &seen, self.bytes)?;
                    state.last_batch = seen.meta.number;
                    self.end = seen.offset;
                    self.next = seen.meta.number;
                    state.reached = seen.end();
                    // Bytes behind a footer are told by `exact`.
                    break None;
                }
                Step::Frame(seen) => self.count(&seen, &mut state),
                Step::End { junk, .. } => break junk,
            }
        };
        if let Until::Synced { end, next } = until {
            if state.reached < end {
                let missing = state.next.max(self.first)..next;
                holes.push(Hole { bytes: state.reached..end, missing, batch: None, next_batch: next });
            }
            (self.end, self.next) = (end, next);
        } else if self.footer.is_none() {
            let reached = junk.map_or(state.reached, |junk| junk.end.max(state.reached));
            self.torn = (reached > self.end).then_some(self.end..reached);
            self.records = state.whole;
        }
        let all = self.footer.is_some() || until != Until::End;
        self.damage = holes;
        self.damage.retain(|hole| all || hole.batch.is_none_or(|batch| state.last_batch > batch));
        self.marks.cut(self.next);
        Ok(())
    }

    fn count(&mut self, seen: &Seen, state: &mut Batches) {
        self.records = self.records.saturating_add(1);
        self.marks.note(seen.meta.number, seen.offset);
        state.last_batch = seen.meta.batch();
        (state.reached, state.next) = (seen.end(), seen.meta.number.saturating_add(1));
        if seen.meta.last && state.torn_batch != Some(seen.meta.batch()) {
            (self.end, self.next) = (state.reached, state.next);
            state.whole = self.records;
        }
    }

    /// Whether it can be told how far the file goes.
    fn is_readable(&self) -> bool {
        self.io.is_none() && self.header.is_ok_and(|header| header.first == self.first)
    }

    /// Sealed, to the byte.
    pub(super) fn is_sealed(&self) -> bool {
        self.footer.is_some_and(|footer| footer.exact)
    }

    /// A good header, and nothing but zeroes behind it.
    pub(super) fn is_blank(&self) -> bool {
        self.header.is_ok() && self.records == 0 && self.footer.is_none() && self.torn.is_none() && self.io.is_none()
    }

    fn tell(&self, offset: u64, what: Fault) -> Problem {
        Problem { file: self.name.clone(), offset, what }
    }

    /// What is wrong inside the file, a torn end excepted.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        match (self.header, &self.io) {
            (_, Some((offset, error))) => found.push(self.tell(*offset, Fault::Io { error: error.clone() })),
            (Err(HeaderFault::Damaged), None) => found.push(self.tell(0, Fault::BadHeader)),
            (Err(HeaderFault::Newer { found: version }), None) => {
                found.push(self.tell(8, Fault::NewerFormat { found: version, known: FORMAT_VERSION }));
            }
            (Ok(header), None) if header.first != self.first => {
                found.push(self.tell(16, Fault::Misnamed { found: header.first }));
            }
            (Ok(_), None) => {}
        }
        for hole in &self.damage {
            let what = Fault::Unreadable { until: hole.bytes.end, missing: hole.missing.clone() };
            found.push(self.tell(hole.bytes.start, what));
        }
        if let Some(footer) = self.footer
            && (footer.count != self.next.saturating_sub(self.first) || footer.count != self.records)
            && self.damage.is_empty()
        {
            let what = Fault::Miscounted { counted: footer.count, found: self.records };
            found.push(self.tell(self.end, what));
        }
        found
    }

    /// The torn end, if there is one.
    pub(super) fn torn_problem(&self) -> Option<Problem> {
        let torn = self.torn.as_ref()?;
        Some(self.tell(torn.start, Fault::Torn { bytes: torn.end - torn.start }))
    }

    /// No number from here on was ever given to a record of this file.
    pub(super) fn next_unused(&self) -> u64 {
        if self.is_readable() {
            return self.next;
        }
        self.next.max(self.first.saturating_add(self.bytes / frame::FRAME_BYTES))
    }
}

/// Where the walk stands among batches.
#[derive(Debug, Default)]
struct Batches {
    last_batch: u64,
    /// A batch that some frame is missing from.
    torn_batch: Option<u64>,
    /// Behind the last good frame.
    reached: u64,
    next: u64,
    whole: u64,
}

impl Footer {
    fn read(walker: &mut Walker, seen: &Seen, bytes: u64) -> io::Result<Option<Self>> {
        let count = frame::u64_at(walker.payload(seen)?, 0);
        let exact = seen.end() == bytes;
        Ok(count.zip(Seal::of(seen.meta.kind)).map(|(count, seal)| Self { seal, count, exact }))
    }
}

/// Everything that is wrong with a journal, by where it leaves us.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// Acknowledged data is or may be gone.
    pub(super) damage: Vec<Problem>,
    /// An unclean stop, as it is to be expected: nothing acknowledged is concerned.
    pub(super) torn: Vec<Problem>,
    /// Which segments want to be copied and sealed, by index.
    pub(super) repair: Vec<usize>,
}

/// Judges all segments of a journal, in order; `floor` is the first number that must be there.
pub(super) fn judge(surveys: &[Survey], floor: u64) -> Judgement {
    let mut judgement = Judgement::default();
    let count = surveys.len();
    let blank_end = surveys.last().is_some_and(Survey::is_blank);
    let mut expected = floor;
    for (index, survey) in surveys.iter().enumerate() {
        // The next segment is there before the footer of the one before: both may be found open. And where all records up to
        // the next segment are there, a footer that a failed sync lost is no more than a footer.
        let follows = surveys.get(index + 1).is_some_and(|next| next.first == survey.next);
        let only_footer = follows && survey.torn.as_ref().is_none_or(|torn| torn.end - torn.start <= FOOTER_BYTES);
        let may_be_open = index + 1 == count || (index + 2 == count && blank_end) || only_footer;
        let mut problems = survey.problems();
        if survey.first > expected {
            let missing = Some(expected..survey.first);
            problems.push(survey.tell(0, Fault::Missing { missing }));
        } else if survey.first < expected && index > 0 {
            problems.push(survey.tell(0, Fault::Overlap { expected }));
        }
        if !survey.is_sealed() && problems.is_empty() {
            if may_be_open {
                judgement.repair.push(index);
                judgement.torn.extend(survey.torn_problem());
                if survey.footer.is_some() || (only_footer && survey.torn.is_none()) {
                    judgement.torn.push(survey.tell(survey.end, Fault::NotSealed));
                }
            } else {
                problems.push(survey.tell(survey.end, Fault::NotSealed));
                problems.extend(survey.torn_problem());
            }
        }
        let followed = survey.footer.is_some_and(|footer| footer.seal == Seal::Followed);
        if followed && survey.is_sealed() && index + 1 == count {
            problems.push(survey.tell(survey.bytes, Fault::Missing { missing: None }));
        }
        judgement.damage.append(&mut problems);
        // Where a file cannot tell how far it goes, the next one is believed.
        expected = match surveys.get(index + 1) {
            Some(next) if !survey.is_readable() => next.first,
            // A cut while segments were removed may have left some below the floor.
            _ if index == 0 => survey.next,
            _ => survey.next.max(expected),
        };
    }
    if let Some(last) = surveys.last()
        && expected < floor
    {
        judgement.damage.push(last.tell(last.bytes, Fault::Missing { missing: Some(expected..floor) }));
    }
    judgement
}
