//! One segment, as the program holds it: where its records are, and how a segment file is made.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::{Blocks, File, Files};
use super::frame::{self, FOOTER_BYTES, HEADER_BYTES, Header, Seal};
use crate::store::{narrow, wide};

/// Every so many records one offset is remembered.
const MARK_EVERY: u64 = 64;
/// Small enough that a batch, which the disk takes in turn with it, does not wait for long.
const ZEROES_BYTES: usize = 1 << 18;

/// Where some of the records begin: 16 bytes for every 64 records, so 250 kB for a million.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Vec<(u64, u64)>);

impl Marks {
    /// Remembers a record, if it is far enough from the one remembered last.
    pub(super) fn note(&mut self, number: u64, offset: u64) {
        if self.0.last().is_none_or(|(last, _)| number >= last.saturating_add(MARK_EVERY)) {
            self.0.push((number, offset));
        }
    }

    /// The nearest record at or before `number`, and its offset.
    pub(super) fn before(&self, number: u64) -> Option<(u64, u64)> {
        let behind = self.0.partition_point(|(at, _)| *at <= number);
        self.0.get(behind.checked_sub(1)?).copied()
    }

    /// Forgets what is at `next` or later.
    pub(super) fn cut(&mut self, next: u64) {
        self.0.retain(|(number, _)| *number < next);
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity().saturating_mul(size_of::<(u64, u64)>())
    }
}

/// A segment that can be read.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) name: Arc<str>,
    pub(super) id: u64,
    pub(super) first: u64,
    /// One past the last record that can be read, and where that ends.
    pub(super) next: u64,
    pub(super) end: u64,
    /// Bytes on disk.
    pub(super) bytes: u64,
    pub(super) sealed: bool,
    pub(super) marks: Marks,
    /// Kept open for the newest ones only.
    pub(super) file: Option<Arc<dyn File>>,
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Arc<dyn File>,
    pub(super) name: Arc<str>,
    pub(super) id: u64,
    pub(super) first: u64,
    /// Where the next batch goes.
    pub(super) tail: u64,
    /// What is before the tail in its block: at most a block less a byte.
    pub(super) head: Vec<u8>,
    /// A write that found no room may have left something up to here.
    pub(super) dirty_until: u64,
    pub(super) bytes: u64,
}

impl Active {
    /// Bytes that batches may still take.
    pub(super) fn room(&self) -> u64 {
        self.bytes.saturating_sub(FOOTER_BYTES).saturating_sub(self.tail)
    }

    pub(super) fn segment(&self) -> Segment {
        Segment {
            name: Arc::clone(&self.name),
            id: self.id,
            first: self.first,
            next: self.first,
            end: HEADER_BYTES,
            bytes: self.bytes,
            sealed: false,
            marks: Marks::default(),
            file: Some(Arc::clone(&self.file)),
        }
    }
}

/// An error while files are made or changed, by what it means.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No room: can be tried again.
    Full(io::Error),
    /// What is on disk is unknown.
    Failed(io::Error),
}

impl Trouble {
    /// Of anything but a sync.
    pub(super) fn writing(error: io::Error) -> Self {
        if super::files::is_full(&error) { Self::Full(error) } else { Self::Failed(error) }
    }
}

/// A file that is on disk and reads as zeroes, to become a segment.
#[derive(Debug)]
pub struct Spare {
    pub(super) path: String,
    pub(super) file: Arc<dyn File>,
    pub(super) bytes: u64,
}

/// Makes [`Spare`]s, on whatever thread has time for it: 64 MiB of zeroes take their time.
///
/// Written zeroes save each sync of a batch from writing metadata of the file as well: with a batch of 14 kB past the page
/// cache a sync takes 120 µs, and 270 µs where the space was only claimed (ext4).
#[derive(Debug, Clone)]
pub struct SpareMaker {
    pub(super) files: Arc<dyn Files>,
    pub(super) dir: Arc<str>,
    pub(super) bytes: u64,
    pub(super) serial: Arc<AtomicU64>,
}

impl SpareMaker {
    /// Makes and syncs a file of zeroes. On an error nothing is left behind, and nothing acknowledged is concerned.
    pub fn make(&self) -> io::Result<Spare> {
        // Zeroes would take the last byte from those who can still make room.
        if self.files.free_space()? < self.bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let path = format!("{}/spare-{}.tmp", self.dir, self.serial.fetch_add(1, Ordering::Relaxed));
        let made = self.files.create_for_blocks(&path).and_then(|file| self.fill(file.as_ref()).map(|()| file));
        match made {
            Ok(file) => Ok(Spare { path, file, bytes: self.bytes }),
            Err(error) => {
                // Best effort: the next open removes it too.
                let _left = self.files.remove(&path);
                Err(error)
            }
        }
    }

    fn fill(&self, file: &dyn File) -> io::Result<()> {
        let mut zeroes = Blocks::default();
        zeroes.begin(ZEROES_BYTES);
        zeroes.pad(ZEROES_BYTES);
        let mut at = 0;
        while at < self.bytes {
            let len = wide(ZEROES_BYTES).min(self.bytes - at);
            file.write_all_at(zeroes.bytes().get(..narrow(len)).unwrap_or_default(), at)?;
            at += len;
        }
        file.sync_all()
    }
}

/// Makes a spare the segment that begins with `first`: on disk under its name when this returns.
pub(super) fn start(files: &dyn Files, dir: &str, spare: &Spare, first: u64, id: u64) -> Result<Active, Trouble> {
    let name: Arc<str> = frame::segment_name(first).into();
    let head = Header { first, id }.encode();
    spare.file.write_all_at(&head, 0).map_err(Trouble::writing)?;
    spare.file.sync_data().map_err(Trouble::Failed)?;
    files.rename(&spare.path, &format!("{dir}/{name}")).map_err(Trouble::writing)?;
    files.sync_dir(dir).map_err(Trouble::Failed)?;
    let file = Arc::clone(&spare.file);
    Ok(Active { file, name, id, first, tail: HEADER_BYTES, head, dirty_until: HEADER_BYTES, bytes: spare.bytes })
}

/// Writes the footer, cuts the file there, and syncs it. Returns the length of the file.
pub(super) fn seal(active: &Active, next: u64, seal: Seal) -> Result<u64, Trouble> {
    let mut footer = Vec::new();
    frame::put_footer(&mut footer, active.id, seal, next, next.saturating_sub(active.first));
    let bytes = active.tail + wide(footer.len());
    active.file.write_all_at(&footer, active.tail).map_err(Trouble::writing)?;
    active.file.set_len(bytes).map_err(Trouble::writing)?;
    active.file.sync_all().map_err(Trouble::Failed)?;
    Ok(bytes)
}
