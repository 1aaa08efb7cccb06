//! One process per store: an advisory lock on a file, which the system gives up when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::FlockOperation;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Whether this is the folder that is held, or one in it.
    pub(super) fn holds(&self, folder: &Path) -> bool {
        let id = |file: std::fs::Metadata| (file.dev(), file.ino());
        let Ok(own) = self.file.metadata().map(id) else { return false };
        let is_held = |folder: &Path| std::fs::metadata(folder.join("lock")).is_ok_and(|there| id(there) == own);
        // It need not be there yet.
        let there = folder.ancestors().find_map(|above| above.canonicalize().ok());
        there.is_some_and(|there| there.ancestors().any(is_held))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing alone is not enough: a process that this one is just starting has the file open as well, until it runs.
        // Best effort: if it fails, the lock goes with that process.
        let _held = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// None where another process holds it.
pub(super) fn take(folder: &Path) -> io::Result<Option<FolderLock>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"))?;
    hold(file, FlockOperation::NonBlockingLockExclusive)
}

/// The same for whoever only reads, maybe from a disk that cannot be written. Where there is no such file nobody ever held it, and
/// the folder itself stands in for it.
pub(super) fn take_to_read(folder: &Path) -> io::Result<Option<FolderLock>> {
    match File::open(folder.join("lock")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => hold(File::open(folder)?, SHARED),
        opened => hold(opened?, SHARED),
    }
}

/// Over NFS no other is had of a file that is open for reading alone.
const SHARED: FlockOperation = FlockOperation::NonBlockingLockShared;

fn hold(file: File, how: FlockOperation) -> io::Result<Option<FolderLock>> {
    match rustix::fs::flock(&file, how) {
        Ok(()) => Ok(Some(FolderLock { file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_as_soon_as_its_holder_lets_go_also_while_a_process_is_being_started() {
        let folder = tempfile::tempdir().unwrap();
        let held = take(folder.path()).unwrap().unwrap();
        assert!(take(folder.path()).unwrap().is_none());
        assert!(take_to_read(folder.path()).unwrap().is_none());
        // As a fork leaves it.
        let _inherited = held.file.try_clone().unwrap();
        drop(held);
        let reading = take_to_read(folder.path()).unwrap().unwrap();
        assert!(take(folder.path()).unwrap().is_none());
        drop(reading);
        assert!(take(folder.path()).unwrap().is_some());
    }
}
