//! The file port: what the journal asks of a disk, and the real disk.
//!
//! Small enough that [`simulated`](super::simulated) can stand in for it, and honest about durability: nothing outlasts a
//! power cut until the file was synced, and no name does until its folder was.
//!
//! Paths are relative to the root of the port, with `/` between folder and name, as in `journal/00000000000000000001.seg`.

use std::fmt;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place with folders and files.
pub trait Files: fmt::Debug + Send + Sync {
    /// Makes a folder, where it is missing, and syncs the folder that it is in.
    fn make_dir(&self, dir: &str) -> io::Result<()>;

    /// Makes an empty file to read and write; an existing one loses its content.
    fn create(&self, path: &str) -> io::Result<Arc<dyn File>>;

    /// Opens a file to read.
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>>;

    /// The names (not paths) of the files in a folder, sorted.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Gives a file another name in the same folder, atomically, in place of what had that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a name away; who has the file open keeps it.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes durable which names the folder holds.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Bytes that can still be written.
    fn free_space(&self) -> io::Result<u64>;
}

/// An open file. Offsets and lengths are bytes.
pub trait File: fmt::Debug + Send + Sync {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Fills all of `bytes`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    fn size(&self) -> io::Result<u64>;

    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Claims disk space for the first `bytes` bytes, which read as zeroes, so that writing them later finds room. False where
    /// the file system cannot: then only writing claims it.
    fn reserve(&self, bytes: u64) -> io::Result<bool>;

    /// `fdatasync`: content, and what is needed to read it back.
    fn sync_data(&self) -> io::Result<()>;

    /// `fsync`: content, length and everything else.
    fn sync_all(&self) -> io::Result<()>;
}

/// Whether an error only says that there is no room: of the disk, or of a quota.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Folders and files below a folder of the machine.
#[derive(Debug, Clone)]
pub struct RealFiles {
    root: PathBuf,
}

impl RealFiles {
    /// `root` must be there.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

impl Files for RealFiles {
    fn make_dir(&self, dir: &str) -> io::Result<()> {
        let folder = self.at(dir);
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Also where it was there: the start that made it may have been killed before this.
        folder.parent().map_or(Ok(()), sync_folder)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let file =
            std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.at(path))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile(std::fs::File::open(self.at(path))?)))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.at(dir))? {
            let entry = entry?;
            // A name that is not Unicode is none of ours.
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.at(path))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        sync_folder(&self.at(dir))
    }

    fn free_space(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[derive(Debug)]
struct RealFile(std::fs::File);

impl File for RealFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn reserve(&self, bytes: u64) -> io::Result<bool> {
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}
