//! Spilled generations of fingerprints: one file each, beside sled, and like it never trusted and never synced.
//!
//! Held by sled the same rows took three times their size in memory; here they take none, and a look-up, which a Bloom
//! filter makes rare, reads a few blocks.
//!
//! # File `<generation, 20 digits>.prints`, numbers little-endian
//! ```text
//!   0  magic            8 bytes  "ADJPRNT1"
//!   8  generation       u64
//!  16  blocks of bodies u32, blocks of request ids u32
//!  24  Bloom filter, then crc32c u32 over all so far
//!      blocks: 64 rows (the last one less, filled up with zeroes), then crc32c u32 over number of the block (u64) and rows
//!      row: fingerprint 16, delivery's place in its generation u32, received_at i64, body's fingerprint 16, original u8
//! ```
//! Rows are sorted by fingerprint; the blocks of bodies come first.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::dedupe::{Before, Bloom, GENERATION, Generation, Looked, Seen};
use super::index::Broken;
use super::seal::Fingerprint;
use crate::clock::Timestamp;
use crate::store::journal::files::make_folder;
use crate::store::wide;

const MAGIC: &[u8; 8] = b"ADJPRNT1";
const HEAD_BYTES: usize = 24;
const ROW_BYTES: usize = 16 + 4 + 8 + 16 + 1;
const ROWS: usize = 64;
const BLOCK_BYTES: usize = ROW_BYTES * ROWS + 4;
const FILTER_END: usize = HEAD_BYTES + Bloom::BYTES + 4;

/// The folder of the files.
#[derive(Debug)]
pub(super) struct PrintFiles {
    folder: PathBuf,
}

fn broken(error: impl std::fmt::Display) -> Broken {
    Broken(format!("fingerprints: {error}"))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl PrintFiles {
    pub(super) fn open(folder: PathBuf) -> Result<Self, Broken> {
        make_folder(&folder).map_err(broken)?;
        Ok(Self { folder })
    }

    fn path(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("{generation:020}.prints"))
    }

    pub(super) fn write(&self, generation: &Generation, filter: &Bloom) -> Result<(), Broken> {
        let tables = [Looked::Body, Looked::Request].map(|what| generation.findable(what));
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&generation.number.to_le_bytes());
        for table in &tables {
            let blocks = u32::try_from(table.len().div_ceil(ROWS)).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&blocks.to_le_bytes());
        }
        bytes.extend_from_slice(&filter.to_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let first = generation.number.saturating_mul(GENERATION).saturating_add(1);
        let blocks = tables.iter().flat_map(|table| table.chunks(ROWS));
        for (number, rows) in (0_u64..).zip(blocks) {
            let start = bytes.len();
            for (print, before) in rows {
                put_row(print, before, first, &mut bytes);
            }
            bytes.resize(start + ROW_BYTES * ROWS, 0);
            let crc = block_crc(number, bytes.get(start..).unwrap_or_default());
            bytes.extend_from_slice(&crc.to_le_bytes());
        }
        // Aside and renamed, so that no reader sees half; not synced, since all of it can be made again.
        let aside = self.folder.join("new.tmp");
        fs::write(&aside, bytes).and_then(|()| fs::rename(aside, self.path(generation.number))).map_err(broken)
    }

    /// The filter of a generation; none where there is no file.
    pub(super) fn filter(&self, generation: u64) -> Result<Option<Bloom>, Broken> {
        let file = match File::open(self.path(generation)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(broken)?,
        };
        let mut head = vec![0; FILTER_END];
        file.read_exact_at(&mut head, 0).map_err(broken)?;
        let (content, crc) = head.split_last_chunk::<4>().ok_or_else(|| broken("too short"))?;
        let of_it = content.starts_with(MAGIC) && array(content, 8).map(u64::from_le_bytes) == Some(generation);
        if !of_it || crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return Err(broken("a file is damaged"));
        }
        Ok(Bloom::from_bytes(content.get(HEAD_BYTES..).unwrap_or_default()))
    }

    pub(super) fn lookup(&self, generation: u64, what: Looked, print: &Fingerprint) -> Result<Option<Before>, Broken> {
        let file = File::open(self.path(generation)).map_err(broken)?;
        let mut head = [0; HEAD_BYTES];
        file.read_exact_at(&mut head, 0).map_err(broken)?;
        let blocks = |at| array(&head, at).map_or(0, |count| u64::from(u32::from_le_bytes(count)));
        let (bodies, requests) = (blocks(16), blocks(20));
        let (mut low, mut high) = match what {
            Looked::Body => (0, bodies),
            Looked::Request => (bodies, bodies.saturating_add(requests)),
        };
        // The last block whose first row is not above.
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            let block = read_block(&file, middle)?;
            if block.get(..16).is_some_and(|first| first <= print.as_slice()) {
                low = middle;
            } else {
                high = middle;
            }
        }
        if low >= high {
            return Ok(None);
        }
        let block = read_block(&file, low)?;
        let row = block.chunks_exact(ROW_BYTES).find(|row| row.starts_with(print));
        let first = generation.saturating_mul(GENERATION).saturating_add(1);
        Ok(row.and_then(|row| row_of(row, what, first)))
    }

    /// Removes the files of generations before one.
    pub(super) fn remove_before(&self, first: u64) -> Result<(), Broken> {
        let kept = self.path(first);
        for path in self.all()? {
            if path < kept {
                fs::remove_file(path).map_err(broken)?;
            }
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<PathBuf>, Broken> {
        let entries = fs::read_dir(&self.folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(broken)?;
        let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "prints"));
        paths.sort();
        Ok(paths)
    }

    /// Gives every file to `look`, in order.
    pub(super) fn each(&self, mut look: impl FnMut(&Path, &[u8])) -> Result<(), Broken> {
        for path in self.all()? {
            look(&path, &fs::read(&path).map_err(broken)?);
        }
        Ok(())
    }
}

fn block_crc(number: u64, rows: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), rows)
}

fn read_block(file: &File, number: u64) -> Result<Vec<u8>, Broken> {
    let at = wide(FILTER_END).saturating_add(number.saturating_mul(wide(BLOCK_BYTES)));
    let mut block = vec![0; BLOCK_BYTES];
    file.read_exact_at(&mut block, at).map_err(broken)?;
    let (rows, crc) = block.split_last_chunk::<4>().ok_or_else(|| broken("too short"))?;
    if block_crc(number, rows) != u32::from_le_bytes(*crc) {
        return Err(broken("a block is damaged"));
    }
    block.truncate(ROW_BYTES * ROWS);
    Ok(block)
}

fn put_row(print: &Fingerprint, before: &Before, first: u64, to: &mut Vec<u8>) {
    let place = u32::try_from(before.delivery.saturating_sub(first)).unwrap_or(u32::MAX);
    to.extend_from_slice(print);
    to.extend_from_slice(&place.to_le_bytes());
    to.extend_from_slice(&before.seen.received_at.as_millis().to_le_bytes());
    to.extend_from_slice(&before.seen.body);
    to.push(u8::from(before.seen.original));
}

fn row_of(row: &[u8], what: Looked, first: u64) -> Option<Before> {
    let (print, body) = (array(row, 0)?, array(row, 28)?);
    let place = u32::from_le_bytes(array(row, 16)?);
    let received_at = Timestamp::from_millis(i64::from_le_bytes(array(row, 20)?));
    let request = (what == Looked::Request).then_some(print);
    let seen = Seen { body, request, received_at, original: row.get(44) == Some(&1) };
    Some(Before { delivery: first.saturating_add(u64::from(place)), seen })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(n: u64) -> Fingerprint {
        use sha2::Digest as _;
        sha2::Sha256::digest(n.to_le_bytes())[..16].try_into().unwrap()
    }

    fn generation() -> Generation {
        let mut generation = Generation::new(3, 1);
        let first = 3 * GENERATION + 1;
        for n in first..first + 1000 {
            let received_at = Timestamp::from_millis(i64::try_from(n).unwrap());
            let request = (n % 5 != 0).then(|| print(n + 1_000_000));
            generation.add(n, Seen { body: print(n), request, received_at, original: n % 7 != 0 });
        }
        generation
    }

    #[test]
    fn what_was_spilled_is_found_again_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (files, generation) = (PrintFiles::open(folder.path().join("prints")).unwrap(), generation());
        assert_eq!(files.filter(3).unwrap(), None);
        files.write(&generation, &Bloom::of(&generation)).unwrap();
        assert_eq!(files.filter(3).unwrap(), Some(Bloom::of(&generation)));
        let first = 3 * GENERATION + 1;
        for n in first - 5..first + 1005 {
            let found = files.lookup(3, Looked::Body, &print(n)).unwrap();
            let held = generation.body(&print(n));
            assert_eq!(found.map(|before| before.delivery), held.map(|before| before.delivery));
            let found = files.lookup(3, Looked::Request, &print(n + 1_000_000)).unwrap();
            assert_eq!(found, generation.request(&print(n + 1_000_000)));
        }
        files.remove_before(4).unwrap();
        assert_eq!(files.filter(3).unwrap(), None);
    }

    #[test]
    fn a_changed_byte_is_never_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let (files, generation) = (PrintFiles::open(folder.path().to_owned()).unwrap(), generation());
        files.write(&generation, &Bloom::of(&generation)).unwrap();
        let path = files.path(3);
        let whole = fs::read(&path).unwrap();
        let known = print(3 * GENERATION + 1);
        let right = files.lookup(3, Looked::Body, &known).unwrap();
        for at in (0..24).chain((24..whole.len()).step_by(997)) {
            let mut changed = whole.clone();
            changed[at] ^= 8;
            fs::write(&path, changed).unwrap();
            let filter = files.filter(3);
            assert!(at >= FILTER_END || filter.is_err(), "byte {at}");
            // The head is checked when the store is opened.
            if at >= HEAD_BYTES
                && let Ok(found) = files.lookup(3, Looked::Body, &known)
            {
                assert_eq!(found, right, "byte {at}");
            }
        }
        fs::write(&path, &whole[..whole.len() / 3]).unwrap();
        assert!(files.lookup(3, Looked::Request, &print(3 * GENERATION + 1_000_001)).is_err());
    }
}
