//! What is done to whole stores: verify, back up, restore, build the index anew.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoints;
use super::core::Core;
use super::housekeeper::{SNAPSHOTS, with_source};
use super::keys::{Keys, MasterKey};
use super::log_keys::LogKeys;
use super::open::{self, JOURNAL, OpenError, OpenProgress, OpenReport, Problems};
use super::verify::{self, Verified, VerifyProgress};
use super::{LocalStore, Settings, forget, format, lock, place, record};
use crate::audit::checkpoint::Checkpoint;
use crate::chance::{Chance, SystemChance};
use crate::clock::Clock;
use crate::store::journal::files::{Files, RealFiles, make_folder};
use crate::store::journal::{self, AppendError, Fault, Journal, Problem, ReadError, Record, RecordRef, snapshot};
use crate::store::port::StoreError;
use crate::store::wide;

/// Bytes of records that become one batch of a backup, or somewhat more.
const BATCH_BYTES: usize = 4 << 20;

/// There from a restore that began another log until the service has entered that.
const BEGUN_ANEW: &str = "new-log";

/// There while a copy is made: without it, and with a `format`, the copy is whole.
const UNFINISHED: &str = "unfinished";

/// Whether a folder has a copy that was begun and not ended.
pub(super) fn is_unfinished(files: &dyn Files) -> io::Result<bool> {
    Ok(format::read(files)? == format::Found::Nothing && place::read(files, UNFINISHED)?.is_some())
}

/// A copy is whole from here on.
fn finish(files: &dyn Files) -> Result<(), CopyError> {
    let removed = files.remove(UNFINISHED).and_then(|()| files.sync_dir(place::ROOT));
    removed.map_err(io_error("end the copy"))
}

/// How a copy becomes a store.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    /// Checkpoints that were kept elsewhere.
    pub against: Vec<super::Elsewhere>,
    /// Begin another log, with a key and a name of its own: the one that was goes on nowhere.
    pub new_log: bool,
}

/// The next start signs with a key that begins another log, and enters that. Until then nothing else may open the folder.
fn begin_anew(files: &Arc<dyn Files>, against: &[super::Elsewhere], master: [u8; 32]) -> Result<(), CopyError> {
    let own = checkpoints::newest(files.as_ref()).map_err(io_error("read the newest checkpoint"))?;
    let known = own.into_iter().chain(against.iter().map(|kept| kept.note.clone()));
    let last = known.max_by_key(|note| Checkpoint::parse_note(note).map(|checkpoint| checkpoint.size));
    place::replace(files.as_ref(), BEGUN_ANEW, last.unwrap_or_default().as_bytes())
        .map_err(io_error("write a file"))?;
    let keys = Keys::open(Arc::clone(files), Arc::new(SystemChance), master, false).map_err(OpenError::from)?;
    let next = LogKeys::read(&keys)?.next_log();
    keys.ensure(&[next]).map_err(io_error("write the key of the new log"))
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    pub folder: PathBuf,
    /// Everything up to this record.
    pub up_to_record: u64,
    pub deliveries: u64,
    /// Records in the copy, those that stand for lost ones included.
    pub records: u64,
    /// What could not be read, and so is not in it.
    pub missing: Vec<String>,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error(
        "it is behind what its audit log had signed: {0}. with --new-log it becomes a store all the same, with an audit log of \
         another name that says where it goes on from"
    )]
    Behind(String),
    #[error("{} is in the folder of the store itself: copy it to another place", .0.display())]
    Within(PathBuf),
    #[error("{} is no store: it has no file `format`", .0.display())]
    NoStore(PathBuf),
    #[error("what is to be copied is damaged: {0}")]
    Damaged(Problems),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("failed to {doing}")]
    Io { doing: &'static str, source: io::Error },
    #[error("failed to write the copy: {0}")]
    Write(String),
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> CopyError {
    move |source| CopyError::Io { doing, source }
}

/// Makes a folder, or takes an empty one.
fn empty_folder(folder: &Path) -> Result<Arc<dyn Files>, CopyError> {
    make_folder(folder).map_err(io_error("make the folder"))?;
    let mut inside = std::fs::read_dir(folder).map_err(io_error("look into the folder"))?;
    let files: Arc<dyn Files> = Arc::new(RealFiles::new(folder));
    if inside.next().is_some() {
        return Err(match is_unfinished(files.as_ref()) {
            Ok(true) => OpenError::Unfinished(folder.display().to_string()).into(),
            _ => CopyError::NotEmpty(folder.to_owned()),
        });
    }
    place::replace(files.as_ref(), UNFINISHED, b"").map_err(io_error("begin the copy"))?;
    for dir in [place::ROOT, JOURNAL, SNAPSHOTS] {
        files.make_dir(dir).map_err(io_error("make the folder"))?;
    }
    Ok(files)
}

impl Core {
    /// Copies all that is on disk now, while the store goes on. Blocks.
    pub(super) fn backup(&self, to: &Path, progress: VerifyProgress<'_>) -> Result<BackedUp, CopyError> {
        drop(self.open()?);
        let files = empty_folder(to)?;
        if checkpoints::newest(self.files.as_ref()).map_err(io_error("read the newest checkpoint"))?.is_none() {
            // Where nothing can be signed, the copy says so when it is verified.
            let _unsigned = self.sign_now();
        }
        // Before the records: what was signed is in them.
        checkpoints::copy(self.files.as_ref(), &files).map_err(io_error("copy what was signed"))?;
        let next = self.synced_next();
        // What is being forgotten is forgotten in the copy by whoever starts it: part of it may be copied as it was.
        let begun = || place::read(self.files.as_ref(), forget::FILE).map_err(io_error("read what is forgotten"));
        let begun_before = begun()?;
        // Keys are made before their first use, so these open all records up to now.
        let (records, missing) = self.copy_records(&files, next, progress)?;
        if let Some(forgetting) = begun_before.map_or_else(begun, |begun| Ok(Some(begun)))? {
            place::replace(files.as_ref(), forget::FILE, &forgetting).map_err(io_error("write what is forgotten"))?;
        }
        if let Some(anew) = place::read(self.files.as_ref(), BEGUN_ANEW).map_err(io_error("read what began anew"))? {
            place::replace(files.as_ref(), BEGUN_ANEW, &anew).map_err(io_error("write what began anew"))?;
        }
        let keys = self.keys.file_bytes().map_err(io_error("read the key file"))?;
        place::replace(files.as_ref(), "keys", &keys).map_err(io_error("write the key file"))?;
        for number in snapshot::numbers(self.files.as_ref(), SNAPSHOTS).map_err(OpenError::from)? {
            let read = snapshot::read(self.files.as_ref(), SNAPSHOTS, number).map_err(OpenError::from)?;
            if let (Ok(bytes), true) = (read, number <= next) {
                let written = snapshot::write(files.as_ref(), SNAPSHOTS, number, &bytes);
                written.map_err(|error| CopyError::Write(with_source(&error)))?;
                break;
            }
        }
        format::write(files.as_ref()).map_err(io_error("write the format version"))?;
        finish(files.as_ref())?;
        let deliveries = self.read(|state| state.deliveries)?;
        let up_to_record = next.saturating_sub(1);
        Ok(BackedUp { folder: to.to_owned(), up_to_record, deliveries, records, missing })
    }

    /// Copies the records before a number. Where one cannot be read, an empty one takes its place, so that those after it
    /// keep their numbers, and it is told.
    fn copy_records(
        &self,
        files: &Arc<dyn Files>,
        next: u64,
        progress: VerifyProgress<'_>,
    ) -> Result<(u64, Vec<String>), CopyError> {
        let chance: Arc<dyn Chance> = Arc::new(SystemChance);
        let opened = Journal::open(Arc::clone(files), JOURNAL, journal::Settings::default(), chance);
        let (copy, _) = opened.map_err(OpenError::from)?;
        let mut copying = Copying { copy, batch: Vec::new(), bytes: 0 };
        let mut missing = Vec::new();
        for found in self.reader.scan(self.reader.first_number()) {
            match found {
                Ok(record) if record.number >= next => break,
                Ok(record) => {
                    copying.lose_up_to(record.number)?;
                    copying.take(record)?;
                    progress(copying.copy.next_number(), next);
                }
                Err(ReadError::Damaged(gap)) => missing.push(gap.to_string()),
                Err(error) => return Err(StoreError::Damaged(with_source(&error)).into()),
            }
        }
        copying.lose_up_to(next)?;
        copying.write()?;
        let records = copying.copy.next_number().saturating_sub(journal::FIRST_NUMBER);
        copying.copy.close().map_err(|error| write_error(&error))?;
        progress(next, next);
        Ok((records, missing))
    }
}

/// A journal that is being copied.
struct Copying {
    copy: Journal,
    batch: Vec<Record>,
    bytes: usize,
}

impl Copying {
    fn take(&mut self, record: Record) -> Result<(), CopyError> {
        self.bytes = self.bytes.saturating_add(record.payload.len());
        let whole = record.last_of_batch;
        self.batch.push(record);
        if whole && self.bytes >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    /// Stands in for the records that are not there before this one.
    fn lose_up_to(&mut self, number: u64) -> Result<(), CopyError> {
        let mut due = self.copy.next_number().saturating_add(wide(self.batch.len()));
        while due < number {
            let (kind, version) = (record::LOST, record::LOST_VERSION);
            // Each counts for a little, so that many of them are not one batch.
            self.bytes = self.bytes.saturating_add(size_of::<Record>());
            self.batch.push(Record { number: due, kind, version, last_of_batch: true, payload: Vec::new() });
            if self.bytes >= BATCH_BYTES {
                self.write()?;
            }
            due = due.saturating_add(1);
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), CopyError> {
        append(&mut self.copy, &self.batch)?;
        self.batch.clear();
        self.bytes = 0;
        Ok(())
    }
}

fn append(copy: &mut Journal, batch: &[Record]) -> Result<(), CopyError> {
    let refs: Vec<RecordRef<'_>> = batch
        .iter()
        .map(|record| RecordRef { kind: record.kind, version: record.version, payload: &record.payload })
        .collect();
    copy.append(&refs).map(drop).map_err(|error| write_error(&error))
}

fn write_error(error: &AppendError) -> CopyError {
    CopyError::Write(with_source(error))
}

pub(super) fn held(folder: &Path) -> Result<lock::FolderLock, OpenError> {
    let io = |source| OpenError::Io { doing: "lock the store", source };
    lock::take(folder).map_err(io)?.ok_or_else(|| OpenError::InUse(folder.to_owned()))
}

/// The same for whoever changes nothing in it.
fn held_to_read(folder: &Path) -> Result<lock::FolderLock, OpenError> {
    let io = |source| OpenError::Io { doing: "lock the store", source };
    lock::take_to_read(folder).map_err(io)?.ok_or_else(|| OpenError::InUse(folder.to_owned()))
}

impl LocalStore {
    /// Verifies the store while it is in use.
    pub async fn verify(&self, mut progress: impl FnMut(u64, u64) + Send + 'static) -> Result<Verified, StoreError> {
        self.core().reading(move |core| core.verify(&mut progress)).await
    }

    /// Reads and hashes entries of the log anew, from one on, while the store is in use.
    pub async fn leaves(&self, from: u64, limit: usize, with_lines: bool) -> Result<super::Leaves, StoreError> {
        self.core().reading(move |core| core.leaves(from, limit, with_lines)).await
    }

    /// Takes out what is older.
    pub async fn prune(
        &self,
        before: super::Before,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<super::Pruned, StoreError> {
        self.core().reading(move |core| core.prune(before, &mut progress)).await
    }

    /// Copies the store as it is on disk now into an empty folder, while it is in use. The copy's keys are still sealed
    /// with the master key, which is not in it; what is forgotten later stays in the copy.
    pub async fn backup(
        &self,
        to: &Path,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<BackedUp, CopyError> {
        let (running, to) = (Arc::clone(self.running()), to.to_owned());
        let done = self.core().apart(move || {
            if running.holds(&to) { Err(CopyError::Within(to)) } else { running.core.backup(&to, &mut progress) }
        });
        done.await?
    }

    /// Verifies the store in a folder that no process uses, and changes nothing in it. The torn end that an unclean
    /// stop left, which a start discards, is told as well.
    pub fn verify_folder(
        folder: &Path,
        master: &MasterKey,
        elsewhere: &[super::Elsewhere],
        progress: VerifyProgress<'_>,
    ) -> Result<Verified, OpenError> {
        let _held = held_to_read(folder)?;
        let files: Arc<dyn Files> = Arc::new(RealFiles::new(folder));
        let chance: Arc<dyn Chance> = Arc::new(SystemChance);
        let keys = Arc::new(open::found(&files, master, &chance, false)?);
        let (reader, bytes) = journal::look(Arc::clone(&files), JOURNAL)?;
        Ok(verify::verify(&reader, &bytes, (&files, &keys), elsewhere, progress))
    }

    /// Copies a store that no process uses, mostly a backup, into an empty folder. What is damaged is refused, and so are what
    /// the master key does not open, and a log that is behind a checkpoint of it, unless another log is to begin.
    pub fn restore(from: &Path, to: &Path, master: &MasterKey, how: &Restore) -> Result<(), CopyError> {
        let source = RealFiles::new(from);
        match format::read(&source).map_err(io_error("read the format version"))? {
            format::Found::Version(format::VERSION) => {}
            format::Found::Version(found) => {
                return Err(OpenError::Newer { found, known: format::VERSION }.into());
            }
            format::Found::Nothing if is_unfinished(&source).map_err(io_error("look into the folder"))? => {
                return Err(OpenError::Unfinished("the folder".to_owned()).into());
            }
            format::Found::Nothing | format::Found::Garbled => return Err(CopyError::NoStore(from.to_owned())),
        }
        let _held = held_to_read(from)?;
        let chance: Arc<dyn Chance> = Arc::new(SystemChance);
        let found: Arc<dyn Files> = Arc::new(source.clone());
        let keys = Arc::new(open::found(&found, master, &chance, false)?);
        let report = journal::verify_folder(&source, JOURNAL).map_err(OpenError::from)?;
        let damage = report.problems.into_iter().filter(|problem| !matches!(problem.what, Fault::Torn { .. }));
        let damage: Vec<Problem> = damage.collect();
        if !damage.is_empty() {
            return Err(CopyError::Damaged(Problems(damage)));
        }
        let (reader, bytes) = journal::look(Arc::clone(&found), JOURNAL).map_err(OpenError::from)?;
        let verified = verify::verify(&reader, &bytes, (&found, &keys), &how.against, &mut |_, _| {});
        let behind = verified.findings.into_iter().find(|one| how.against.iter().any(|kept| kept.name == one.place));
        if let Some(behind) = behind.filter(|_| !how.new_log) {
            return Err(CopyError::Behind(format!("{}: {}", behind.place, behind.what)));
        }
        let files = empty_folder(to)?;
        for dir in [JOURNAL, SNAPSHOTS] {
            for name in source.list(dir).map_err(io_error("look into the backup"))? {
                if Path::new(&name).extension().is_none_or(|extension| extension != "tmp") {
                    copy_file(&from.join(dir).join(&name), &to.join(dir).join(&name))
                        .map_err(io_error("copy a file"))?;
                }
            }
            files.sync_dir(dir).map_err(io_error("sync a folder"))?;
        }
        checkpoints::copy(&source, &files).map_err(io_error("copy what was signed"))?;
        let copied = |name: &str| {
            let bytes = place::read(&source, name).map_err(io_error("read the backup"))?;
            let Some(bytes) = bytes else { return Ok(false) };
            place::replace(files.as_ref(), name, &bytes).map_err(io_error("write a file")).map(|()| true)
        };
        let no_store = || CopyError::NoStore(from.to_owned());
        copied("keys")?.then_some(()).ok_or_else(no_store)?;
        copied(forget::FILE)?;
        copied(BEGUN_ANEW)?;
        if how.new_log {
            begin_anew(&files, &how.against, master.load(false, &SystemChance).map_err(OpenError::from)?)?;
        }
        // Last: without it there is no store, whatever else is there.
        copied("format")?.then_some(()).ok_or_else(no_store)?;
        finish(files.as_ref())
    }

    /// The last checkpoint that is known of the log before this one, where this one was begun by a restore and that was not
    /// entered yet.
    pub fn begun_anew(&self) -> Result<Option<String>, StoreError> {
        let read = place::read(self.core().files.as_ref(), BEGUN_ANEW);
        let read = read.map_err(|error| StoreError::Failed(format!("{BEGUN_ANEW}: {error}")))?;
        Ok(read.map(|note| String::from_utf8_lossy(&note).into_owned()))
    }

    /// It was entered.
    pub fn anew_entered(&self) -> Result<(), StoreError> {
        let files = self.core().files.as_ref();
        let removed = files.remove(BEGUN_ANEW).and_then(|()| files.sync_dir(place::ROOT));
        removed.map_err(|error| StoreError::Failed(format!("{BEGUN_ANEW}: {error}")))
    }

    /// Builds the index of a store that no process uses anew.
    pub fn rebuild(
        folder: &Path,
        settings: Settings,
        master: MasterKey,
        clock: Arc<dyn Clock>,
        progress: OpenProgress<'_>,
    ) -> Result<OpenReport, OpenError> {
        {
            let _held = held(folder)?;
            let index = folder.join("index");
            match std::fs::remove_dir_all(&index) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(OpenError::Io { doing: "remove the index", source: error });
                }
                _ => {}
            }
        }
        let (store, report) = Self::open(folder, settings, master, clock, Arc::new(SystemChance), progress)?;
        let trouble = store.core().index.trouble();
        let closed = store.close_now();
        closed.map_err(|error| OpenError::Io { doing: "close the store", source: io::Error::other(error) })?;
        match trouble {
            None => Ok(report),
            Some(trouble) => Err(OpenError::Index(trouble.why)),
        }
    }
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = std::fs::File::open(from)?;
    let mut copy = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}
