//! Opening a store: what is found on disk becomes the live state, or the reason why not.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::applier;
use super::core::{Core, Parts};
use super::housekeeper::SNAPSHOTS;
use super::index::{Applied, Broken, Index, IndexCell};
use super::keys::{KeyError, Keys, MasterKey};
use super::maintain::is_unfinished;
use super::record::{self, Stored};
use super::state::State;
use super::{Settings, format, place};
use crate::chance::Chance;
use crate::clock::Clock;
use crate::store::journal::files::Files;
use crate::store::journal::snapshot::{self, SnapshotError};
use crate::store::journal::{self, Journal, Problem, ReadError, Reader, Record};

/// Folder of the journal.
pub(super) const JOURNAL: &str = "journal";

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The store was closed, or is new.
    pub clean: bool,
    /// Bytes at the end of the journal that were never acknowledged, and discarded.
    pub torn_bytes: u64,
    /// Records that were read after the snapshot.
    pub replayed: u64,
    /// Why the index was built anew, if it was.
    pub rebuilt_index: Option<String>,
    /// Snapshots that are damaged; an older one, or the whole journal, was read instead.
    pub damaged_snapshots: Vec<Problem>,
    /// Damage that was accepted.
    pub damage: Vec<Problem>,
}

/// What opening is doing, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the records after the snapshot.
    Replaying,
    /// Building the index.
    Indexing,
}

/// Tells how far opening is: records done, of how many.
pub type OpenProgress<'a> = &'a mut dyn FnMut(Stage, u64, u64);

/// Problems, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("the store has format version {found}, this program knows {known}: use a newer one")]
    Newer { found: u32, known: u32 },
    #[error(
        "the file that holds the format version of the store, format, is damaged: it should say `adjutant store 1`"
    )]
    FormatDamaged,
    #[error("the folder holds a journal, but no file `format`: put it back, or look whether this is the right folder")]
    FormatMissing,
    #[error("{0} holds an unfinished copy: a backup, or a restore, was interrupted. delete it, and take another")]
    Unfinished(String),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("acknowledged data is damaged: {0}; restore a backup, or lose it with [store] accept_damage = true")]
    Damaged(Problems),
    #[error(
        "the newest snapshot goes up to record {snapshot}, the journal only to {journal}: its newest file is missing, or its end \
         was cut off; restore a backup"
    )]
    JournalShort { snapshot: u64, journal: u64 },
    #[error("record {number} cannot be understood: {why}")]
    Record { number: u64, why: &'static str },
    #[error("failed to {doing}")]
    Io { doing: &'static str, source: io::Error },
    #[error("the index cannot be built: {0}")]
    Index(String),
}

/// What a store is opened with.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) settings: Settings,
    pub(super) files: Arc<dyn Files>,
    pub(super) index: PathBuf,
    pub(super) master: MasterKey,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Arc<dyn Chance>,
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { doing, source }
}

/// Sees to the format and the keys. Crash-safe: the format is written last, and without it nothing was ever acknowledged.
pub(super) fn found(
    files: &Arc<dyn Files>,
    master: &MasterKey,
    chance: &Arc<dyn Chance>,
    may_make: bool,
) -> Result<Keys, OpenError> {
    if may_make {
        files.make_dir(place::ROOT).map_err(io_error("make the folder of the store"))?;
    }
    let keys = |may_make| -> Result<Keys, OpenError> {
        let master = master.load(may_make, chance.as_ref())?;
        Ok(Keys::open(Arc::clone(files), Arc::clone(chance), master, may_make)?)
    };
    match format::read(files.as_ref()).map_err(io_error("read the format version"))? {
        format::Found::Version(format::VERSION) => return keys(false),
        format::Found::Version(found) => return Err(OpenError::Newer { found, known: format::VERSION }),
        format::Found::Garbled => return Err(OpenError::FormatDamaged),
        format::Found::Nothing => {}
    }
    let has_journal = match files.list(JOURNAL) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        listed => listed
            .map_err(io_error("look into the journal"))?
            .iter()
            .any(|name| Path::new(name).extension().is_some_and(|extension| extension == "seg")),
    };
    if is_unfinished(files.as_ref()).map_err(io_error("look into the folder"))? {
        return Err(OpenError::Unfinished("the folder".to_owned()));
    }
    if has_journal || !may_make {
        return Err(OpenError::FormatMissing);
    }
    let keys = keys(true)?;
    for folder in [JOURNAL, SNAPSHOTS] {
        files.make_dir(folder).map_err(io_error("make the folders of the store"))?;
    }
    format::write(files.as_ref()).map_err(io_error("write the format version"))?;
    Ok(keys)
}

/// The state as of the last record of the journal.
pub(super) fn replay(
    state: &mut State,
    files: &dyn Files,
    reader: &Reader,
    accept_damage: bool,
    report: &mut OpenReport,
    progress: OpenProgress<'_>,
) -> Result<(), OpenError> {
    for number in snapshot::numbers(files, SNAPSHOTS)? {
        match snapshot::read(files, SNAPSHOTS, number)? {
            Ok(sealed) if state.read_snapshot(number, &sealed) => break,
            Ok(_) => return Err(OpenError::Record { number, why: "the snapshot does not open with the store's key" }),
            Err(problem) => report.damaged_snapshots.push(problem),
        }
    }
    refill(state, reader, accept_damage)?;
    let (from, next) = (state.next_record, reader.next_number());
    if from > next {
        // Accepted it cannot be: what came next would have numbers that others had.
        return Err(OpenError::JournalShort { snapshot: from.saturating_sub(1), journal: next.saturating_sub(1) });
    }
    let total = next.saturating_sub(from);
    for found in reader.scan(from) {
        let Some(record) = readable(found, accept_damage)? else { continue };
        let number = record.number;
        let stored = Stored::decode(record.kind, record.version, &record.payload);
        let stored = stored.ok_or(OpenError::Record { number, why: "its kind or version is not known" })?;
        if !state.replay_record(number, stored, accept_damage) {
            return Err(OpenError::Record { number, why: "its entries do not follow those before" });
        }
        report.replayed += 1;
        if report.replayed.is_multiple_of(4096) {
            progress(Stage::Replaying, report.replayed, total);
        }
    }
    state.next_record = next.max(state.next_record);
    state.replayed_all();
    Ok(())
}

/// A record; none where it is damaged and that was accepted.
fn readable(found: Result<Record, ReadError>, accept_damage: bool) -> Result<Option<Record>, OpenError> {
    match found {
        Ok(record) if record.kind == record::LOST && accept_damage => Ok(None),
        Ok(record) if record.kind == record::LOST => {
            let what = journal::Fault::Missing { missing: Some(record.number..record.number.saturating_add(1)) };
            let problem = Problem { file: JOURNAL.to_owned(), offset: 0, what };
            Err(OpenError::Damaged(Problems(vec![problem])))
        }
        Ok(record) => Ok(Some(record)),
        Err(ReadError::Damaged(_) | ReadError::Removed { .. }) if accept_damage => Ok(None),
        Err(ReadError::Damaged(gap)) => {
            let what = journal::Fault::Unreadable { until: gap.until, missing: gap.missing };
            let problem = Problem { file: gap.file, offset: gap.offset, what };
            Err(OpenError::Damaged(Problems(vec![problem])))
        }
        Err(ReadError::Removed { first }) => {
            Err(OpenError::Record { number: first, why: "those before it were removed" })
        }
        Err(ReadError::Io { source, .. }) => Err(io_error("read the journal")(source)),
    }
}

/// Reads the fingerprints that were held when the snapshot was taken.
fn refill(state: &mut State, reader: &Reader, accept_damage: bool) -> Result<(), OpenError> {
    let Some(first) = state.dedupe.first_record() else { return Ok(()) };
    for found in reader.scan(first) {
        let Some(record) = readable(found, accept_damage)? else { continue };
        if record.number >= state.next_record {
            break;
        }
        if let Some(Stored::Delivery(delivery)) = Stored::decode(record.kind, record.version, &record.payload) {
            state.refill(&delivery);
        }
    }
    Ok(())
}

/// The index, made to go as far as the journal.
pub(super) fn index(
    place: &Path,
    settings: &Settings,
    state: &mut State,
    reader: &Reader,
    report: &mut OpenReport,
    progress: OpenProgress<'_>,
) -> Result<Index, Broken> {
    let generations = state.dedupe.spilled_numbers();
    let mut tell = |done, total| progress(Stage::Indexing, done, total);
    let index = match existing(place, settings, reader, &generations, &mut tell) {
        Ok(index) => index,
        Err(Broken(why)) => {
            let fresh = reader.next_number() == journal::FIRST_NUMBER;
            let index = applier::build(place, settings.index_cache_bytes, reader, &generations, &mut tell)?;
            report.rebuilt_index = (!fresh).then_some(why);
            index
        }
    };
    for number in generations {
        if let Some(filter) = index.filter(number)? {
            state.dedupe.spilled(number, Arc::new(filter));
        }
    }
    Ok(index)
}

/// The index that is there, where it can be trusted.
fn existing(
    place: &Path,
    settings: &Settings,
    reader: &Reader,
    generations: &[u64],
    progress: applier::Progress<'_>,
) -> Result<Index, Broken> {
    if !place.exists() {
        return Err(Broken("there is none".to_owned()));
    }
    let index = Index::open(place, settings.index_cache_bytes)?;
    let applied = index.applied()?.ok_or_else(|| Broken("it is empty".to_owned()))?;
    if !fits(&applied, reader) {
        return Err(Broken("it is of another journal, or ahead of this one".to_owned()));
    }
    index.check()?;
    for number in generations {
        if index.filter(*number)?.is_none() {
            return Err(Broken("fingerprints are missing".to_owned()));
        }
    }
    applier::feed(&index, reader, applied.next, &[], progress)?;
    Ok(index)
}

/// Whether the last record that the index took in is the one that the journal has there.
fn fits(applied: &Applied, reader: &Reader) -> bool {
    if applied.next > reader.next_number() {
        return false;
    }
    let last = applied.next.checked_sub(1).filter(|last| *last >= reader.first_number());
    let Some(last) = last else { return applied.next == journal::FIRST_NUMBER };
    reader.read(last).is_ok_and(|record| record.is_some_and(|record| crc32c::crc32c(&record.payload) == applied.crc))
}

/// Opens everything; the threads are not there yet.
pub(super) fn open(
    opening: Opening,
    progress: OpenProgress<'_>,
) -> Result<(Core, Journal, PathBuf, OpenReport), OpenError> {
    let Opening { settings, files, index: place, master, clock, chance } = opening;
    let keys = Arc::new(found(&files, &master, &chance, true)?);
    let (journal, recovery) = Journal::open(Arc::clone(&files), JOURNAL, settings.journal, Arc::clone(&chance))?;
    let mut report = OpenReport {
        clean: recovery.clean,
        torn_bytes: recovery.torn.iter().map(|torn| torn.bytes.end.saturating_sub(torn.bytes.start)).sum(),
        ..OpenReport::default()
    };
    if !recovery.damage.is_empty() && !settings.accept_damage {
        return Err(OpenError::Damaged(Problems(recovery.damage)));
    }
    report.damage = recovery.damage;
    let cell = Arc::new(IndexCell::default());
    let mut state = State::new(&settings, Arc::clone(&keys));
    let reader = journal.reader();
    replay(&mut state, files.as_ref(), &reader, settings.accept_damage, &mut report, progress)?;
    match index(&place, &settings, &mut state, &reader, &mut report, progress) {
        Ok(index) => cell.set(Arc::new(index)),
        // What is acknowledged does not need it, and the applier goes on trying.
        Err(Broken(why)) => cell.fail(&why, clock.now()),
    }
    let pruner = journal.pruner();
    let parts = Parts { state, settings, files, clock, keys, index: cell, reader, pruner };
    Ok((Core::new(parts), journal, place, report))
}
