//! Reading every byte again, to find what is wrong before somebody needs it.

use std::sync::Arc;

use super::files::Files;
use super::floor;
use super::frame::{self, FIRST_NUMBER};
use super::problem::{Fault, Problem};
use super::read::{Reader, Shared};
use super::recover::{OpenError, as_segment, refuse, survey_all};
use super::segment::Segment;
use super::survey::{Judgement, Survey, Until};
use crate::clock::lock;

/// What a verification read and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub segments: usize,
    /// Good records.
    pub records: u64,
    /// Bytes of the files.
    pub bytes: u64,
    pub problems: Vec<Problem>,
}

impl Report {
    fn add(&mut self, survey: &Survey) {
        self.segments = self.segments.saturating_add(1);
        self.records = self.records.saturating_add(survey.records);
        self.bytes = self.bytes.saturating_add(survey.bytes);
    }
}

/// Verifies a journal that nobody writes to, and changes nothing. The torn end that an unclean stop left is among the
/// problems here, as [`Fault::Torn`], and unfinished files are not.
pub fn verify_folder(files: &dyn Files, dir: &str) -> Result<Report, OpenError> {
    let (surveys, mut judgement) = survey_all(files, dir)?;
    Ok(report(&surveys, &mut judgement))
}

fn report(surveys: &[Survey], judgement: &mut Judgement) -> Report {
    let mut report = Report::default();
    for survey in surveys {
        report.add(survey);
    }
    report.problems.append(&mut judgement.damage);
    report.problems.append(&mut judgement.torn);
    report
}

/// The same, and a reader of what is good, up to the end of the last whole batch.
pub fn look(files: Arc<dyn Files>, dir: &str) -> Result<(Reader, Report), OpenError> {
    let (surveys, mut judgement) = survey_all(files.as_ref(), dir)?;
    refuse(&surveys)?;
    let report = report(&surveys, &mut judgement);
    let segments = surveys.iter().filter_map(as_segment).collect();
    Ok((Reader { shared: Arc::new(Shared::new(files, dir.into(), segments)) }, report))
}

impl Reader {
    /// Verifies everything that was synced when this was called, while the journal is in use: a page for each segment. Only
    /// while a page is read no segment is rewritten or removed; before each it is asked whether the answer is still wanted.
    pub fn verify(&self, mut is_wanted: impl FnMut() -> bool) -> Report {
        let shared = self.shared.as_ref();
        let mut report = Report::default();
        let (segments, mut expected) = {
            let _still = lock(&shared.pruning);
            let floor = floor::read(shared.files.as_ref(), &shared.dir);
            let expected = floor.as_ref().map_or(FIRST_NUMBER, |floor| *floor);
            report.problems.extend(floor.err());
            (shared.segments().clone(), expected)
        };
        for segment in segments {
            if !is_wanted() {
                return report;
            }
            let _still = lock(&shared.pruning);
            let as_it_is = shared.segments().iter().find(|other| other.first == segment.first).cloned();
            expected = match as_it_is {
                Some(segment) => verify_page(shared, &segment, expected, &mut report),
                // Removed on purpose since the page before.
                None => segment.next,
            };
        }
        let _still = lock(&shared.pruning);
        report.problems.extend(lost_files(shared));
        report
    }
}

/// Returns the number that comes after it.
fn verify_page(shared: &Shared, segment: &Segment, expected: u64, report: &mut Report) -> u64 {
    let (end, next) = (segment.end, segment.next);
    let until = if segment.sealed { Until::End } else { Until::Synced { end, next } };
    let survey = Survey::of(shared.files.as_ref(), &shared.dir, segment.name.to_string(), segment.first, until);
    report.add(&survey);
    let mut tell = |offset, what| report.problems.push(Problem { file: survey.name.clone(), offset, what });
    for problem in survey.problems() {
        tell(problem.offset, problem.what);
    }
    if segment.first > expected {
        tell(0, Fault::Missing { missing: Some(expected..segment.first) });
    }
    if segment.sealed && !survey.is_sealed() && survey.header.is_ok() {
        tell(survey.end, Fault::NotSealed);
    }
    next
}

/// Segments of the disk that the program does not know: damaged beyond reading when it was opened.
fn lost_files(shared: &Shared) -> Vec<Problem> {
    let Ok(names) = shared.files.list(&shared.dir) else { return Vec::new() };
    let segments = shared.segments();
    let next = segments.last().map_or(FIRST_NUMBER, |segment| segment.first);
    let unknown = |name: &String| {
        let first = frame::named_first(name);
        first.is_some_and(|first| first < next && segments.iter().all(|segment| segment.first != first))
    };
    let lost = names.into_iter().filter(unknown);
    lost.map(|file| Problem { file, offset: 0, what: Fault::BadHeader }).collect()
}
