//! The file port: what the journal asks of a disk, and the real disk.
//!
//! Small enough that [`simulated`](super::simulated) can stand in for it, and honest about durability: nothing outlasts a
//! power cut until the file was synced, and no name does until its folder was.
//!
//! Paths are relative to the root of the port, with `/` between folder and name, as in `journal/00000000000000000001.seg`.

use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::store::wide;

/// A place with folders and files.
pub trait Files: fmt::Debug + Send + Sync {
    /// Makes a folder, where it is missing, and syncs the folder that it is in.
    fn make_dir(&self, dir: &str) -> io::Result<()>;

    /// Makes an empty file to read and write; an existing one loses its content.
    fn create(&self, path: &str) -> io::Result<Arc<dyn File>>;

    /// The same of one that is written in whole [`Blocks`], past the page cache where the file system can.
    fn create_for_blocks(&self, path: &str) -> io::Result<Arc<dyn File>> {
        self.create(path)
    }

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

    /// A hold on the file system that a folder is on, taken before what is to be synced by it is written. None where a sync of
    /// all of it would not tell what failed.
    fn file_system(&self, dir: &str) -> io::Result<Option<Box<dyn FileSystem>>>;

    /// Bytes that can still be written.
    fn free_space(&self) -> io::Result<u64>;
}

/// A file system as a whole.
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// Makes durable all that was written to files, and all names. Others' as well, so it may take long. An error where anything
    /// failed to be written since the hold was taken, or since the last time: it need not be ours.
    fn sync(&self) -> io::Result<()>;
}

/// What disks are written by: a write that begins, ends and lies in memory at multiples of this can go past the page cache.
pub const BLOCK_BYTES: usize = 4096;

/// An open file. Offsets and lengths are bytes.
pub trait File: fmt::Debug + Send + Sync {
    /// Writes all of it.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Fills all of `bytes`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    fn size(&self) -> io::Result<u64>;

    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// `fdatasync`: content, and what is needed to read it back.
    fn sync_data(&self) -> io::Result<()>;

    /// `fsync`: content, length and everything else.
    fn sync_all(&self) -> io::Result<()>;
}

/// Bytes that lie in memory as whole blocks of a disk do. The memory is used again and again.
#[derive(Debug, Default)]
pub struct Blocks {
    memory: Vec<u8>,
    start: usize,
}

impl Blocks {
    /// Forgets what is in it, and makes room for so many bytes, rounded up to whole blocks.
    pub fn begin(&mut self, room: usize) {
        self.memory.clear();
        self.memory.reserve(room.saturating_add(2 * BLOCK_BYTES));
        self.start = self.memory.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        self.memory.resize(self.start, 0);
    }

    /// To add to. More than there is room for is kept as well, and no longer lies as blocks do.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.memory
    }

    /// Adds zeroes up to so many bytes.
    pub fn pad(&mut self, len: usize) {
        self.memory.resize((self.start + len).max(self.memory.len()), 0);
    }

    pub fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }
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

/// Makes a folder of a store, with those that it is in: its owner's alone, whatever the umask says.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn create_file(path: &Path) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

impl Files for RealFiles {
    fn make_dir(&self, dir: &str) -> io::Result<()> {
        let folder = self.at(dir);
        // Its owner's alone, whatever the umask says: what is sealed still tells how much there is of what.
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Also where it was there: the start that made it may have been killed before this.
        folder.parent().map_or(Ok(()), sync_folder)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile { cached: create_file(&self.at(path))?, direct: None }))
    }

    fn create_for_blocks(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let path = self.at(path);
        let cached = create_file(&path)?;
        // Not every file system has it; then everything goes through the cache.
        let direct = rustix::fs::open(&path, OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC, Mode::empty());
        Ok(Arc::new(RealFile { cached, direct: direct.ok().map(std::fs::File::from) }))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile { cached: std::fs::File::open(self.at(path))?, direct: None }))
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

    fn file_system(&self, dir: &str) -> io::Result<Option<Box<dyn FileSystem>>> {
        if !tells_of_failed_writes(rustix::system::uname().release().to_bytes()) {
            return Ok(None);
        }
        Ok(Some(Box::new(RealFileSystem(std::fs::File::open(self.at(dir))?))))
    }

    fn free_space(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Whether `syncfs` of this Linux does: from 5.8 on, and of whoever had the file system open before.
fn tells_of_failed_writes(release: &[u8]) -> bool {
    let release = String::from_utf8_lossy(release);
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version >= (5, 8))
}

/// Any file on it.
#[derive(Debug)]
struct RealFileSystem(std::fs::File);

impl FileSystem for RealFileSystem {
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

#[derive(Debug)]
struct RealFile {
    cached: std::fs::File,
    /// The same file, past the page cache: half the time and half the processor for a batch and its sync.
    direct: Option<std::fs::File>,
}

impl File for RealFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let is_aligned = bytes.as_ptr().align_offset(BLOCK_BYTES) == 0
            && bytes.len().is_multiple_of(BLOCK_BYTES)
            && offset.is_multiple_of(wide(BLOCK_BYTES));
        match &self.direct {
            Some(direct) if is_aligned => match direct.write_all_at(bytes, offset) {
                // A disk whose blocks are larger, or a file system that says only now that it cannot.
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    self.cached.write_all_at(bytes, offset)
                }
                done => done,
            },
            _ => self.cached.write_all_at(bytes, offset),
        }
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.cached.read_exact_at(bytes, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.cached.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.cached.set_len(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.cached.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.cached.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_synced_as_a_whole_only_where_the_system_tells_what_failed() {
        for (release, tells) in
            [("4.18.0-553.el8_10.x86_64", false), ("5.7.19", false), ("5.8.0-rc1", true), ("6.12", true), ("", false)]
        {
            assert_eq!(tells_of_failed_writes(release.as_bytes()), tells, "{release}");
        }
        let folder = tempfile::tempdir().unwrap();
        let files = RealFiles::new(folder.path());
        files.make_dir("log").unwrap();
        let held = files.file_system("log").unwrap();
        files.create("log/one").unwrap().write_all_at(b"one", 0).unwrap();
        held.map_or(Ok(()), |held| held.sync()).unwrap();
        assert!(files.file_system("none").is_err());
    }
}
