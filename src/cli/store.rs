//! `adjutant store`, and how the command line opens a store.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::out::Out;
use super::{Context, Exit, Failure};
use crate::chance::SystemChance;
use crate::clock::SystemClock;
use crate::config::{Outline, StoreSection};
use crate::store::Store;
use crate::store::local::{LocalStore, MasterKey, OpenError, OpenReport, Stage};

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Read everything on disk and report each fault with its place
    Verify,
    /// Copy the store, also while the service runs
    Backup(Folder),
    /// Make the index anew from the journal; the service must be stopped
    Rebuild,
    /// Put a backup in the place of an empty store; the service must be stopped
    Restore(Folder),
}

#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The folder of the backup
    folder: PathBuf,
}

pub(super) async fn run(context: &Context, asked: Asked, _out: &mut Out) -> Result<Exit, Failure> {
    let outline = context.outline()?;
    let what = match asked {
        Asked::Verify => "verify the store".to_owned(),
        Asked::Backup(to) => format!("back up to {}", to.folder.display()),
        Asked::Rebuild => "rebuild the index".to_owned(),
        Asked::Restore(from) => format!("restore from {}", from.folder.display()),
    };
    open(&outline).await?;
    Err(Failure::new(Exit::Failed, format!("cannot {what} yet: this build has no store on disk")))
}

/// Opens the store of a stopped service.
pub(super) async fn open(outline: &Outline) -> Result<Arc<dyn Store>, Failure> {
    let folder = &outline.store.folder;
    if !folder.exists() {
        let text =
            format!("there is no store at {}: the service was never started with this configuration", folder.display());
        return Err(Failure::new(Exit::Failed, text));
    }
    let (store, _report) = open_local(outline.store.clone()).await?;
    Ok(Arc::new(store))
}

/// Opens the store, with a progress bar on a terminal where it takes long.
pub(super) async fn open_local(section: StoreSection) -> Result<(LocalStore, OpenReport), Failure> {
    let opened = tokio::task::spawn_blocking(move || {
        let StoreSection { folder, master_key_file, settings } = section;
        let mut shown = None;
        let mut progress = |stage: Stage, done: u64, of: u64| shown.get_or_insert_with(bar).tell(stage, done, of);
        let (clock, chance) = (Arc::new(SystemClock), Arc::new(SystemChance));
        LocalStore::open(&folder, settings, MasterKey::File(master_key_file), clock, chance, &mut progress)
            .map_err(|error| Failure::from((folder, error)))
    });
    opened.await.map_err(|error| Failure::new(Exit::Io, format!("cannot open the store: {error}")))?
}

/// What opening tells people: a bar, which hides itself where there is no terminal.
struct Bar(ProgressBar, Option<Stage>);

fn bar() -> Bar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} records, {eta} left") {
        bar.set_style(style);
    }
    Bar(bar, None)
}

impl Bar {
    fn tell(&mut self, stage: Stage, done: u64, of: u64) {
        if self.1 != Some(stage) {
            self.1 = Some(stage);
            self.0.set_message(match stage {
                Stage::Replaying => "reading the journal",
                Stage::Indexing => "building the index",
            });
        }
        self.0.set_length(of);
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl From<(PathBuf, OpenError)> for Failure {
    fn from((folder, error): (PathBuf, OpenError)) -> Self {
        let place = folder.display();
        match error {
            OpenError::InUse(_) => Self::new(
                Exit::Held,
                format!("another process holds the store at {place}. stop it, or ask it without --offline"),
            ),
            error @ (OpenError::Damaged(_) | OpenError::JournalShort { .. } | OpenError::Record { .. }) => {
                Self::new(Exit::Failed, format!("the store at {place}: {error}. `adjutant store verify` says more"))
            }
            error => {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                Self::new(Exit::Io, format!("the store at {place}: {error}{source}"))
            }
        }
    }
}
