//! Files that nobody else may read: written aside, synced and put in place. So there is never half a file, a failure leaves
//! the old one, and what an old one let others read is gone with it.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Writes a file, in place of the one that is there. What is there and no file, as a link or a device, stays.
pub(super) fn put(path: &Path, text: &str) -> Result<()> {
    let mut aside = Aside::beside(path)?;
    aside.file.write_all(text.as_bytes())?;
    aside.replace()
}

/// Writes a file where there is nothing; else nothing is changed.
pub(super) fn put_new(path: &Path, text: &str) -> Result<()> {
    let mut aside = Aside::beside(path)?;
    aside.file.write_all(text.as_bytes())?;
    aside.put(|aside, path| std::fs::hard_link(aside, path))
}

/// A file that is written beside its place; gone when it is dropped before it was put there.
pub(super) struct Aside {
    file: File,
    beside: PathBuf,
    path: PathBuf,
}

impl Aside {
    pub(super) fn beside(path: &Path) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{}", std::process::id()));
        let beside = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        Ok(Self { file, beside, path: path.to_owned() })
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Puts it in the place of the file that is there. What is there and no file, as a link or a device, stays.
    pub(super) fn replace(self) -> Result<()> {
        match self.path.symlink_metadata() {
            Ok(there) if !there.is_file() => Err(Error::new(ErrorKind::InvalidInput, "what is there is no file")),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => self.put(|aside, path| std::fs::rename(aside, path)),
        }
    }

    fn put(&self, how: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
        self.file.sync_all()?;
        how(&self.beside, &self.path)?;
        File::open(folder_of(&self.path))?.sync_all()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Gone where it was renamed.
        let _gone = std::fs::remove_file(&self.beside);
    }
}

/// Where a file is, or will be.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, read_dir, read_to_string, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_that_others_could_read_is_replaced_by_one_that_they_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.json");
        std::fs::write(&file, "old").unwrap();
        set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let still_open = File::open(&file).unwrap();
        put(&file, "new").unwrap();
        assert_eq!(read_to_string(&file).unwrap(), "new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::io::read_to_string(still_open).unwrap(), "old", "the old one was written over");
        assert_eq!(put_new(&file, "newer").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(read_to_string(&file).unwrap(), "new");
        assert_eq!(read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("/dev/null", &link).unwrap();
        for path in [link.as_path(), folder.path()] {
            assert_eq!(put(path, "text").unwrap_err().kind(), ErrorKind::InvalidInput, "{}", path.display());
        }
        assert!(link.symlink_metadata().unwrap().is_symlink());
    }
}
