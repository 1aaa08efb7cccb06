//! Opening a journal: read all of it, say what is wrong, mend what an unclean stop leaves.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::aside;
use super::files::Files;
use super::floor;
use super::frame::{self, FIRST_NUMBER, FORMAT_VERSION, HeaderFault, Seal};
use super::problem::{Fault, Problem};
use super::read::Shared;
use super::segment::{Segment, Trouble};
use super::survey::{Judgement, Survey, Until, judge};
use super::writer::{AppendError, Journal};
use super::{Settings, SettingsError};
use crate::chance::Chance;
use crate::store::{narrow, wide};

const COPY_BYTES: u64 = 1 << 20;

/// What an open found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The first record that is kept; equal to `next_number` where there is none.
    pub first_number: u64,
    /// The number that the next record will have.
    pub next_number: u64,
    /// Good records.
    pub records: u64,
    /// The journal was closed, or never written to: there was nothing to mend.
    pub clean: bool,
    /// What was discarded: never acknowledged.
    pub torn: Vec<Torn>,
    /// Acknowledged data that is or may be gone. Where this is not empty nothing was changed at those places; whether to
    /// go on is the owner's decision.
    pub damage: Vec<Problem>,
    /// Unfinished files that were removed.
    pub leftovers_removed: usize,
}

/// Bytes that an unclean stop left behind the last whole batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file's name in the journal's folder.
    pub file: String,
    pub bytes: Range<u64>,
}

/// Why a journal cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{file} has format version {found}, this program knows {known}: use a newer one")]
    NewerFormat { file: String, found: u16, known: u16 },
    /// There is no room to mend the end of the journal: about `bytes` are wanted.
    #[error("no room on disk to mend {file}: about {bytes} bytes are wanted")]
    Full { file: String, bytes: u64, source: io::Error },
    #[error("failed to {doing} {file}")]
    Io { doing: &'static str, file: String, source: io::Error },
}

pub(super) fn io_error(doing: &'static str, file: &str, trouble: Trouble) -> OpenError {
    let (Trouble::Full(source) | Trouble::Failed(source)) = trouble;
    OpenError::Io { doing, file: file.to_owned(), source }
}

impl Journal {
    /// Opens the journal in a folder, which is made where it is missing. Reads all of it. When this returns, everything
    /// that it holds is on disk under its final name.
    pub fn open(
        files: Arc<dyn Files>,
        dir: &str,
        settings: Settings,
        chance: Arc<dyn Chance>,
    ) -> Result<(Self, Recovery), OpenError> {
        settings.check()?;
        let disk = files.as_ref();
        disk.make_dir(dir).map_err(|error| io_error("make the folder", dir, Trouble::Failed(error)))?;
        let leftovers_removed = aside::clean(disk, dir).map_err(|trouble| io_error("clean up in", dir, trouble))?;
        let (mut surveys, mut judgement) = survey_all(disk, dir)?;
        refuse(&surveys)?;
        let torn = surveys
            .iter()
            .filter_map(|survey| survey.torn.clone().map(|bytes| Torn { file: survey.name.clone(), bytes }));
        let torn = if judgement.repair.is_empty() { Vec::new() } else { torn.collect() };
        // A blank last segment is replaced by a fresh one anyway.
        let clean = judgement.repair.iter().all(|index| surveys.get(*index).is_some_and(Survey::is_blank));
        for index in judgement.repair.drain(..) {
            if let Some(survey) = surveys.get_mut(index)
                && survey.next > survey.first
            {
                mend(disk, dir, survey)?;
            }
        }
        let next = surveys.last().map_or(FIRST_NUMBER, Survey::next_unused);
        let next = surveys.iter().map(|survey| survey.next).fold(next, u64::max);
        let segments: Vec<Segment> = surveys.iter().filter_map(as_segment).collect();
        let recovery = Recovery {
            first_number: segments.first().map_or(next, |segment| segment.first),
            next_number: next,
            records: surveys.iter().map(|survey| survey.records).sum(),
            clean: clean && judgement.damage.is_empty(),
            torn,
            damage: judgement.damage,
            leftovers_removed,
        };
        let mut journal = Self::new(Shared::new(files, dir.into(), segments), settings, chance, next);
        match journal.turn_page() {
            // Where there is no room yet the first append asks again.
            Ok(()) | Err(AppendError::Full { .. }) => Ok((journal, recovery)),
            Err(AppendError::Failed { doing, source }) => Err(OpenError::Io { doing, file: dir.to_owned(), source }),
            Err(other) => {
                let source = io::Error::other(other);
                Err(OpenError::Io { doing: "start a segment in", file: dir.to_owned(), source })
            }
        }
    }
}

/// Reads all segment files of a folder, in order.
pub(super) fn survey_all(files: &dyn Files, dir: &str) -> Result<(Vec<Survey>, Judgement), OpenError> {
    let names = files.list(dir).map_err(|error| io_error("list", dir, Trouble::Failed(error)))?;
    let mut surveys = Vec::new();
    for name in names {
        if let Some(first) = frame::named_first(&name) {
            surveys.push(Survey::of(files, dir, name, first, Until::End));
        }
    }
    let (floor, bad_floor) = match floor::read(files, dir) {
        Ok(floor) => (floor, None),
        Err(problem) => (surveys.first().map_or(FIRST_NUMBER, |survey| survey.first), Some(problem)),
    };
    let mut judgement = judge(&surveys, floor);
    judgement.damage.extend(bad_floor);
    if surveys.is_empty() && floor > FIRST_NUMBER {
        let what = Fault::Missing { missing: None };
        judgement.damage.push(Problem { file: dir.to_owned(), offset: 0, what });
    }
    Ok((surveys, judgement))
}

/// Some things cannot be gone on with, whatever the owner decides.
pub(super) fn refuse(surveys: &[Survey]) -> Result<(), OpenError> {
    for survey in surveys {
        if let Err(HeaderFault::Newer { found }) = survey.header {
            return Err(OpenError::NewerFormat { file: survey.name.clone(), found, known: FORMAT_VERSION });
        }
    }
    match surveys.last().and_then(|survey| survey.io.as_ref().map(|(_, error)| (survey, error))) {
        // A disk that may give the bytes next time: nothing is discarded on its word.
        Some((survey, error)) => {
            let source = io::Error::other(error.clone());
            Err(OpenError::Io { doing: "read", file: survey.name.clone(), source })
        }
        None => Ok(()),
    }
}

/// Copies the whole batches of a segment to a new file with a footer, in the place of the old one.
fn mend(files: &dyn Files, dir: &str, survey: &mut Survey) -> Result<(), OpenError> {
    let Ok(header) = survey.header else { return Ok(()) };
    let (name, end) = (survey.name.clone(), survey.end);
    let count = survey.next.saturating_sub(survey.first);
    let mut footer = Vec::new();
    frame::put_footer(&mut footer, header.id, Seal::Recovered, survey.next, count);
    let bytes = end + wide(footer.len());
    let copied = aside::replace(files, dir, &name, |new| {
        let old = files.open(&format!("{dir}/{name}")).map_err(Trouble::Failed)?;
        let mut at = 0;
        let mut buffer = Vec::new();
        while at < end {
            buffer.resize(narrow(COPY_BYTES.min(end - at)), 0);
            old.read_exact_at(&mut buffer, at).map_err(Trouble::Failed)?;
            new.write_all_at(&buffer, at).map_err(Trouble::writing)?;
            at += wide(buffer.len());
        }
        new.write_all_at(&footer, end).map_err(Trouble::writing)
    });
    match copied {
        Ok(_) => {}
        Err(Trouble::Full(source)) => return Err(OpenError::Full { file: name, bytes, source }),
        Err(trouble) => return Err(io_error("mend", &name, trouble)),
    }
    (survey.bytes, survey.torn) = (bytes, None);
    survey.footer = Some(super::survey::Footer { seal: Seal::Recovered, count, exact: true });
    Ok(())
}

/// A segment to read; `None` where there is nothing in it to read.
pub(super) fn as_segment(survey: &Survey) -> Option<Segment> {
    let header = survey.header.ok()?;
    (survey.next > survey.first).then(|| Segment {
        name: survey.name.as_str().into(),
        id: header.id,
        first: survey.first,
        next: survey.next,
        end: survey.end,
        bytes: survey.bytes,
        sealed: survey.is_sealed(),
        marks: survey.marks.clone(),
        file: None,
    })
}
