//! One process per store: an advisory lock on a file, which the system gives up when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

/// None where another process holds it.
pub(super) fn take(folder: &Path) -> io::Result<Option<FolderLock>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(FolderLock { _file: file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
