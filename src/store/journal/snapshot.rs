//! Snapshot files: all live state as of one record, in one file each. What is in them is the owner's.
//!
//! # File: `<record number, 20 digits>.snap`, numbers little-endian
//! ```text
//!    0  magic            8 bytes  "ADJSNAPS"
//!    8  format version   u16      1
//!   10  zero             u16
//!   12  crc32c           u32      over bytes 0..12 and 16..32
//!   16  record number    u64
//!   24  length           u64      of the content, in bytes
//!   32  chunks: 1 MiB of content each (the last one less), each followed by
//!       crc32c           u32      over record number (u64), number of the chunk from 0 (u64), the chunk
//! ```
//! Nothing comes after the last chunk. Whatever later versions change, the first 32 bytes keep this shape.

use std::io;

use thiserror::Error;

use super::aside;
use super::files::{File, Files};
use super::frame;
use super::problem::{Fault, Problem};
use super::segment::Trouble;
use crate::store::{narrow, wide};

const MAGIC: &[u8; 8] = b"ADJSNAPS";
const VERSION: u16 = 1;
const HEADER_BYTES: u64 = 32;
const CHUNK_BYTES: usize = 1 << 20;
/// So many are kept: a newer one may turn out to be damaged.
pub const KEPT: usize = 2;

/// A snapshot as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The record up to which it goes; what exactly that means is the owner's.
    pub number: u64,
    pub bytes: Vec<u8>,
}

/// What a search for a snapshot found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest good one.
    pub snapshot: Option<Snapshot>,
    /// Newer ones that are damaged.
    pub damaged: Vec<Problem>,
}

/// Why a snapshot was not written or not found. The ones that were there before still are.
#[derive(Debug, Error)]
pub enum SnapshotError {
    #[error("no room on disk to write a snapshot")]
    Full(#[source] io::Error),
    /// What is on disk of the new one is unknown.
    #[error("failed to write a snapshot")]
    Failed(#[source] io::Error),
    #[error("failed to list snapshots")]
    List(#[source] io::Error),
    #[error("{file} has format version {found}, this program knows {known}: use a newer one")]
    NewerFormat { file: String, found: u16, known: u16 },
}

impl From<Trouble> for SnapshotError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Full(error) => Self::Full(error),
            Trouble::Failed(error) => Self::Failed(error),
        }
    }
}

fn file_name(number: u64) -> String {
    format!("{number:020}.snap")
}

fn named_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".snap")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn header(number: u64, length: u64) -> Vec<u8> {
    let mut start = MAGIC.to_vec();
    start.extend_from_slice(&VERSION.to_le_bytes());
    start.extend_from_slice(&[0; 2]);
    let mut rest = number.to_le_bytes().to_vec();
    rest.extend_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&start), &rest);
    start.extend_from_slice(&crc.to_le_bytes());
    start.extend_from_slice(&rest);
    start
}

fn chunk_crc(number: u64, index: u64, chunk: &[u8]) -> u32 {
    let place = (u128::from(number) | u128::from(index) << 64).to_le_bytes();
    crc32c::crc32c_append(crc32c::crc32c(&place), chunk)
}

/// Writes a snapshot, makes it durable under its name, and then removes all but the [`KEPT`] newest. The folder is made
/// where it is missing.
pub fn write(files: &dyn Files, dir: &str, number: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
    files.make_dir(dir).map_err(Trouble::writing)?;
    aside::clean(files, dir)?;
    aside::replace(files, dir, &file_name(number), |file| put(file, number, bytes).map_err(Trouble::writing))?;
    let mut numbers = numbers(files, dir)?;
    let old = numbers.split_off(KEPT.min(numbers.len()));
    for number in &old {
        files.remove(&format!("{dir}/{}", file_name(*number))).map_err(Trouble::writing)?;
    }
    if !old.is_empty() {
        files.sync_dir(dir).map_err(Trouble::Failed)?;
    }
    Ok(())
}

/// Removes all that are older than this one.
pub fn remove_before(files: &dyn Files, dir: &str, number: u64) -> Result<(), SnapshotError> {
    for old in numbers(files, dir)?.into_iter().filter(|old| *old < number) {
        files.remove(&format!("{dir}/{}", file_name(old))).map_err(Trouble::writing)?;
    }
    Ok(files.sync_dir(dir).map_err(Trouble::Failed)?)
}

fn put(file: &dyn File, number: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(&header(number, wide(bytes.len())), 0)?;
    let mut at = HEADER_BYTES;
    for (index, chunk) in (0_u64..).zip(bytes.chunks(CHUNK_BYTES)) {
        file.write_all_at(chunk, at)?;
        at += wide(chunk.len());
        file.write_all_at(&chunk_crc(number, index, chunk).to_le_bytes(), at)?;
        at += 4;
    }
    Ok(())
}

/// The numbers of the snapshots that there are, newest first. None where there is no folder.
pub fn numbers(files: &dyn Files, dir: &str) -> Result<Vec<u64>, SnapshotError> {
    let names = match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(SnapshotError::List)?,
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| named_number(name)).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers)
}

/// Reads the newest snapshot that is good, and says which newer ones are not.
pub fn newest_good(files: &dyn Files, dir: &str) -> Result<Found, SnapshotError> {
    let mut found = Found::default();
    for number in numbers(files, dir)? {
        match read(files, dir, number)? {
            Ok(bytes) => {
                found.snapshot = Some(Snapshot { number, bytes });
                break;
            }
            Err(problem) => found.damaged.push(problem),
        }
    }
    Ok(found)
}

/// Reads one snapshot, all of it checked.
pub fn read(files: &dyn Files, dir: &str, number: u64) -> Result<Result<Vec<u8>, Problem>, SnapshotError> {
    let file = file_name(number);
    match content(files, &format!("{dir}/{file}"), number) {
        Ok(bytes) => Ok(Ok(bytes)),
        Err((_, Fault::NewerFormat { found, known })) => Err(SnapshotError::NewerFormat { file, found, known }),
        Err((offset, what)) => Ok(Err(Problem { file, offset, what })),
    }
}

fn content(files: &dyn Files, path: &str, number: u64) -> Result<Vec<u8>, (u64, Fault)> {
    let io = |offset| move |error: io::Error| (offset, Fault::Io { error: error.to_string() });
    let file = files.open(path).map_err(io(0))?;
    let size = file.size().map_err(io(0))?;
    let mut head = vec![0; narrow(HEADER_BYTES.min(size))];
    file.read_exact_at(&mut head, 0).map_err(io(0))?;
    let length = check_header(&head, number)?;
    let chunks = length.div_ceil(wide(CHUNK_BYTES));
    let wanted = length.saturating_add(chunks.saturating_mul(4)).saturating_add(HEADER_BYTES);
    if size != wanted {
        return Err((size.min(wanted), Fault::NotSealed));
    }
    let mut bytes = vec![0; narrow(length)];
    let mut at = HEADER_BYTES;
    for (index, chunk) in (0_u64..).zip(bytes.chunks_mut(CHUNK_BYTES)) {
        let mut crc = [0; 4];
        let end = at + wide(chunk.len());
        file.read_exact_at(chunk, at).map_err(io(at))?;
        file.read_exact_at(&mut crc, end).map_err(io(end))?;
        if u32::from_le_bytes(crc) != chunk_crc(number, index, chunk) {
            return Err((at, Fault::Unreadable { until: end + 4, missing: number..number }));
        }
        at = end + 4;
    }
    Ok(bytes)
}

fn check_header(head: &[u8], number: u64) -> Result<u64, (u64, Fault)> {
    let fields =
        || Some((frame::u16_at(head, 8)?, frame::u64_at(head, 16)?, frame::u64_at(head, 24)?, head.get(..12)?));
    let (found, named, length, start) = fields().ok_or((0, Fault::BadHeader))?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(start), head.get(16..).unwrap_or_default());
    if !head.starts_with(MAGIC) || frame::u32_at(head, 12) != Some(crc) {
        return Err((0, Fault::BadHeader));
    }
    if found > VERSION {
        return Err((8, Fault::NewerFormat { found, known: VERSION }));
    }
    if named != number {
        return Err((16, Fault::Misnamed { found: named }));
    }
    Ok(length)
}
