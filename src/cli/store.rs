//! `adjutant store`, and how the command line opens a store.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::out::{Out, count};
use super::remote::Remote;
use super::{Context, Exit, Failure};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::note::Verifier;
use crate::chance::SystemChance;
use crate::clock::SystemClock;
use crate::config::{Outline, StoreSection};
use crate::store::local::{
    Elsewhere, Finding, KeyError, LocalStore, MasterKey, OpenError, OpenReport, Rekeyed, Restore, Stage,
};
use crate::web::admin::view::BackupView;

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Read everything on disk and report each fault with its place; the service must be stopped
    Verify {
        /// Another folder than that of the configuration: a backup
        folder: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy the store into an empty folder, also while the service runs
    ///
    /// The copy is sealed by the same master key, which is not in it. It keeps what is forgotten later: delete it in time.
    Backup {
        /// The folder for the copy; made where it is not there
        folder: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the index anew from the journal; the service must be stopped
    Rebuild(super::JsonOnly),
    /// Seal the store with another master key; the service must be stopped
    ///
    /// Without --to a new key takes the place of the old one in `[store] master_key_file`, and the old one is kept beside it
    /// as FILE.old: backups from before are sealed with it. Where this is interrupted, one of the two keys opens the
    /// store, and the same command again goes on. The keys that seal the data stay as they are, so whoever had both the old
    /// master key and a copy of the data can still read that copy.
    Rekey {
        /// The file of the new key, made where there is none; it is for you to name it in the configuration then
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a backup in the place of an empty store; the service must be stopped
    Restore {
        /// The folder of the backup
        folder: PathBuf,
        /// A checkpoint that was kept elsewhere, beside `[store] checkpoint_file`: a backup that is behind it is refused
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
        /// Restore also what is behind: its audit log goes on under another name, and accounts that installed the app have to
        /// authorise it again, since their tokens may be used up
        #[arg(long)]
        new_log: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    match asked {
        Asked::Verify { folder, json } => {
            let outline = context.outline()?;
            let folder = folder.map_or_else(|| Ok(outline.store.folder.clone()), |folder| absolute(&folder))?;
            verify(folder, None, json, &outline, out).await
        }
        Asked::Backup { folder, json } => backup(&absolute(&folder)?, context, json, out).await,
        Asked::Rebuild(asked) => rebuild(context.outline()?, asked.json, out).await,
        Asked::Rekey { to, json } => {
            rekey(to.as_deref().map(absolute).transpose()?, context.outline()?, json, out).await
        }
        Asked::Restore { folder, against, new_log, json } => {
            let outline = context.outline()?;
            let set = outline.store.settings.checkpoint_file.clone().filter(|path| path.exists());
            let against =
                against.into_iter().chain(set).map(|path| elsewhere(&path, Vec::new())).collect::<Result<_, _>>()?;
            restore(absolute(&folder)?, outline, Restore { against, new_log }, json, out).await
        }
    }
}

/// A folder that was named on the command line, as it is called from anywhere: the service may run elsewhere.
pub(super) fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(folder).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// Runs what blocks.
async fn apart<T: Send + 'static>(what: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(what).await;
    done.map_err(|error| Failure::new(Exit::Io, format!("a task ended: {error}")))?
}

/// Verifies a folder; as an audit log where there is something that it has to agree with, of which there may be nothing.
pub(super) async fn verify(
    folder: PathBuf,
    as_log: Option<Vec<Elsewhere>>,
    json: bool,
    outline: &Outline,
    out: &mut Out,
) -> Result<Exit, Failure> {
    must_be_there(&folder)?;
    let StoreSection { master_key, .. } = outline.store.clone();
    let (place, is_log) = (folder.clone(), as_log.is_some());
    let elsewhere = as_log.unwrap_or_default();
    let kept: Vec<String> = elsewhere.iter().map(|kept| kept.name.clone()).collect();
    let found = apart(move || {
        let bar = bar("verifying", "records");
        let mut progress = |done, of| bar.tell(done, of);
        LocalStore::verify_folder(&folder, &master_key, &elsewhere, &mut progress)
            .map_err(|error| Failure::from((folder, error)))
    });
    let mut found = found.await?;
    if is_log && kept.is_empty() && found.checkpoints == 0 && found.entries > 0 {
        let what = "no checkpoint is there, so nothing shows that nothing was changed or cut off: name one that was kept elsewhere \
                    with --against";
        found.findings.push(Finding { place: "log".to_owned(), what: what.to_owned() });
    }
    let whole = found.findings.is_empty();
    let exit = if whole { Exit::Good } else { Exit::Failed };
    let agrees: Vec<&String> =
        kept.iter().filter(|kept| found.findings.iter().all(|finding| finding.place != **kept)).collect();
    if json {
        let findings: Vec<Value> =
            found.findings.iter().map(|finding| json!({"place": finding.place, "what": finding.what})).collect();
        out.json(&json!({
            "good": whole, "folder": place.display().to_string(), "records": found.records, "deliveries": found.deliveries,
            "entries": found.entries, "pruned": found.pruned, "forgotten": found.forgotten, "tiles": found.tiles,
            "checkpoints": found.checkpoints, "bytes": found.bytes, "root": hex::encode(found.head.root),
            "agrees_with": agrees, "findings": findings,
        }))?;
        return Ok(exit);
    }
    for finding in &found.findings {
        out.line(format!("{}: {}", finding.place, finding.what))?;
    }
    out.line(format!(
        "{}: {}, {}, {}, {}, {}, {} bytes; root {} over {} entries; {}",
        place.display(),
        count(found.records, "record", "records"),
        count(found.deliveries, "delivery", "deliveries"),
        count(found.entries, "entry", "entries"),
        count(found.tiles, "tile", "tiles"),
        count(found.checkpoints, "checkpoint", "checkpoints"),
        found.bytes,
        hex::encode(found.head.root),
        found.head.size,
        if whole { "whole".to_owned() } else { count(found.findings.len(), "fault", "faults") },
    ))?;
    for kept in agrees {
        out.line(format!("it agrees with {kept}"))?;
    }
    if found.pruned > 0 || found.forgotten > 0 {
        out.line(format!(
            "of the entries, {} known by the hash of a body that was pruned, and {} by the leaf alone, since something was forgotten or is older than [store] entry_days",
            count(found.pruned, "is", "are"),
            count(found.forgotten, "is", "are"),
        ))?;
    }
    Ok(exit)
}

async fn backup(folder: &Path, context: &Context, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let running = Remote::running(&context.admin()?).ok();
    let asked = [("to", folder.display().to_string())];
    let done: BackupView = match &running {
        Some(service) if service.get::<Value>("/v1/status", &[]).await.is_ok() => {
            service.post("/v1/store/backup", &asked).await?
        }
        _ => {
            let stopped = Remote::stopped(&context.outline()?).await?;
            let done = stopped.post("/v1/store/backup", &asked).await;
            stopped.close().await?;
            done?
        }
    };
    let exit = if done.missing.is_empty() { Exit::Good } else { Exit::Failed };
    if json {
        out.json(&done)?;
        return Ok(exit);
    }
    let (records, deliveries) =
        (count(done.records, "record", "records"), count(done.deliveries, "delivery", "deliveries"));
    out.line(format!("{}: {records}, {deliveries}; sealed by the master key, which is not in it", done.folder))?;
    out.line("what is forgotten later stays in this copy until you delete it")?;
    for missing in &done.missing {
        out.line(format!("MISSING  {missing}"))?;
    }
    if !done.missing.is_empty() {
        out.line("what is missing could not be read; to open this copy, set [store] accept_damage = true, as for the original")?;
    }
    Ok(exit)
}

async fn rebuild(outline: Outline, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    must_be_there(&outline.store.folder)?;
    let place = outline.store.folder.display().to_string();
    let report = apart(move || {
        let StoreSection { folder, master_key, settings, .. } = outline.store;
        let mut shown = Opening(None);
        let mut progress = |stage: Stage, done: u64, of: u64| shown.tell(stage, done, of);
        LocalStore::rebuild(&folder, settings, master_key, Arc::new(SystemClock), &mut progress)
            .map_err(|error| Failure::from((folder, error)))
    });
    report.await?;
    if json {
        out.json(&json!({ "folder": place }))?;
        return Ok(Exit::Good);
    }
    out.line("the index was built anew from the journal")?;
    Ok(Exit::Good)
}

async fn rekey(to: Option<PathBuf>, outline: Outline, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    must_be_there(&outline.store.folder)?;
    let done = apart(move || {
        let StoreSection { folder, master_key, .. } = outline.store;
        LocalStore::rekey(&folder, &master_key, to.as_deref()).map_err(|error| Failure::from((folder, error)))
    });
    match done.await? {
        Rekeyed::InPlace { old } if json => out.json(&json!({ "new": null, "old": old.display().to_string() }))?,
        Rekeyed::Beside { new } if json => out.json(&json!({ "new": new.display().to_string(), "old": null }))?,
        Rekeyed::InPlace { old } => {
            out.line("the store is sealed with a new master key, which is in the place of the old one")?;
            out.line(format!(
                "backups from before are sealed with the old one, {}: keep it apart from them as long as you keep them",
                old.display()
            ))?;
        }
        Rekeyed::Beside { new } => {
            out.line(format!("the store is sealed with the master key in {}", new.display()))?;
            out.line(
                "name it as [store] master_key_file, or give it as ADJUTANT__STORE__MASTER_KEY, before the next start; \
                 backups from before are sealed with the old one",
            )?;
        }
    }
    Ok(Exit::Good)
}

/// A checkpoint that was kept elsewhere. A file that holds none says nothing about the log.
pub(super) fn elsewhere(path: &Path, keys: Vec<Verifier>) -> Result<Elsewhere, Failure> {
    let name = path.display().to_string();
    let note = std::fs::read(path).map_err(|error| Failure::new(Exit::Io, format!("cannot read {name}: {error}")))?;
    let wrong = |why: String| Failure::new(Exit::Usage, format!("{why}. it says nothing about the log: name another"));
    if note.is_empty() {
        return Err(wrong(format!("{name} is empty")));
    }
    let note = String::from_utf8(note).map_err(|_| wrong(format!("{name} holds no checkpoint: it is no text")))?;
    Checkpoint::check_form(&note).map_err(|error| wrong(format!("{name} holds no checkpoint: {error}")))?;
    Ok(Elsewhere { name, note, keys })
}

async fn restore(from: PathBuf, outline: Outline, how: Restore, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let StoreSection { folder: to, master_key, .. } = outline.store;
    let (source, target, new_log, is_held) = (from.clone(), to.clone(), how.new_log, !how.against.is_empty());
    let done = apart(move || {
        LocalStore::restore(&source, &target, &master_key, &how).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("cannot restore {} into {}: {error}", source.display(), target.display()),
            )
        })
    });
    done.await?;
    if json {
        out.json(&json!({ "folder": to.display().to_string(), "copy_of": from.display().to_string() }))?;
        return Ok(Exit::Good);
    }
    out.line(format!("{} is now a copy of {}; check it with `adjutant store verify`", to.display(), from.display()))?;
    if new_log {
        out.line(
            "with the next start its audit log goes on under another name, and accounts that installed the app have to authorise \
             it again: `adjutant audit key` prints the new key",
        )?;
    } else if !is_held {
        out.line(
            "no checkpoint was there to hold it against ([store] checkpoint_file, --against): where the store went on after this \
             backup, its log was signed for more; begin another with --new-log",
        )?;
    }
    Ok(Exit::Good)
}

fn must_be_there(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        return Ok(());
    }
    let text =
        format!("there is no store at {}: the service was never started with this configuration", folder.display());
    Err(Failure::new(Exit::Failed, text))
}

/// What is wrong with the file of the master key, so that the next start would fail. A store that is not there yet gets one.
pub(super) fn master_key_trouble(StoreSection { folder, master_key, .. }: &StoreSection) -> Option<String> {
    let MasterKey::File(file) = master_key else { return None };
    match std::fs::read_to_string(file) {
        Ok(text) if MasterKey::parse(&text).is_some() => None,
        Ok(_) => Some(KeyError::MasterMalformed(file.clone()).to_string()),
        // What it seals is beside the journal.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            folder.join("keys").exists().then(|| KeyError::MasterMissing(file.clone()).to_string())
        }
        Err(error) => Some(format!("cannot read the master key {}: {error}", file.display())),
    }
}

/// Opens the store of a stopped service.
pub(super) async fn open(outline: &Outline) -> Result<LocalStore, Failure> {
    must_be_there(&outline.store.folder)?;
    open_local(outline.store.clone()).await.map(|(store, _report)| store)
}

/// Opens the store, with a progress bar on a terminal where it takes long.
pub(super) async fn open_local(section: StoreSection) -> Result<(LocalStore, OpenReport), Failure> {
    apart(move || {
        let StoreSection { folder, master_key, settings, .. } = section;
        let mut shown = Opening(None);
        let mut progress = |stage: Stage, done: u64, of: u64| shown.tell(stage, done, of);
        let (clock, chance) = (Arc::new(SystemClock), Arc::new(SystemChance));
        LocalStore::open(&folder, settings, master_key, clock, chance, &mut progress)
            .map_err(|error| Failure::from((folder, error)))
    })
    .await
}

/// A bar of progress, which hides itself where there is no terminal, and goes when it is dropped.
pub(super) struct Bar(ProgressBar);

/// A bar for what is being done, over so many of what.
pub(super) fn bar(what: &'static str, of: &'static str) -> Bar {
    let bar = ProgressBar::new(0).with_message(what).with_prefix(of);
    let template = "{msg} {wide_bar} {human_pos} of {human_len} {prefix}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    Bar(bar)
}

impl Bar {
    pub(super) fn tell(&self, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
    }

    /// Lines may be written meanwhile.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The bar of each stage of opening.
struct Opening(Option<(Stage, Bar)>);

impl Opening {
    fn tell(&mut self, stage: Stage, done: u64, of: u64) {
        if self.0.as_ref().is_none_or(|(shown, _)| *shown != stage) {
            let what = match stage {
                Stage::Replaying => "reading the journal",
                Stage::Indexing => "building the index",
            };
            self.0 = Some((stage, bar(what, "records")));
        }
        if let Some((_, bar)) = &self.0 {
            bar.tell(done, of);
        }
    }
}

impl From<(PathBuf, OpenError)> for Failure {
    fn from((folder, error): (PathBuf, OpenError)) -> Self {
        let place = folder.display();
        match error {
            OpenError::InUse(_) => {
                Self::new(Exit::Held, format!("another process holds the store at {place}. stop it first"))
            }
            error @ (OpenError::Damaged(_) | OpenError::JournalShort { .. } | OpenError::Record { .. }) => {
                Self::new(Exit::Failed, format!("the store at {place}: {error}. `adjutant store verify` says more"))
            }
            error @ OpenError::Unfinished(_) => Self::new(Exit::Failed, format!("the store at {place}: {error}")),
            // What `[store]` names is not there, or no key.
            OpenError::Keys(error @ (KeyError::MasterMissing(_) | KeyError::MasterMalformed(_))) => {
                Self::new(Exit::Config, format!("the store at {place}: {error}"))
            }
            error => {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                Self::new(Exit::Io, format!("the store at {place}: {error}{source}"))
            }
        }
    }
}
