//! `adjutant store`

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::out::Out;
use super::{Context, Exit, Failure};
use crate::config::Outline;
use crate::store::Store;

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
#[expect(clippy::unused_async, reason = "what it calls is not there yet")]
pub(super) async fn open(outline: &Outline) -> Result<Arc<dyn Store>, Failure> {
    let folder = outline.store.folder.display();
    Err(Failure::new(Exit::Failed, format!("cannot open {folder} yet: this build has no store on disk")))
}
