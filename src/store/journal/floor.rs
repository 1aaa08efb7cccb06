//! The first number that must be there, on disk before older segments are removed: without it a lost oldest segment would
//! look like a removed one.
//!
//! File `floor`, 24 bytes: magic "ADJFLOOR", number u64, crc32c u32 over both, four zero bytes. No file means 1.

use std::io;

use super::aside;
use super::files::Files;
use super::frame::{self, FIRST_NUMBER};
use super::problem::{Fault, Problem};
use super::segment::Trouble;
use crate::store::narrow;

const NAME: &str = "floor";
const MAGIC: &[u8; 8] = b"ADJFLOOR";
const BYTES: usize = 24;

fn encode(number: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes.resize(BYTES, 0);
    bytes
}

/// The first number that must be there; a problem where that cannot be told.
pub(super) fn read(files: &dyn Files, dir: &str) -> Result<u64, Problem> {
    let tell = |what| Problem { file: NAME.to_owned(), offset: 0, what };
    let content = || -> io::Result<Vec<u8>> {
        let file = files.open(&format!("{dir}/{NAME}"))?;
        let mut bytes = vec![0; narrow(file.size()?).min(BYTES + 1)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    match content() {
        Ok(bytes) => {
            let number = frame::u64_at(&bytes, 8).filter(|number| bytes == encode(*number));
            number.ok_or_else(|| tell(Fault::BadFloor))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FIRST_NUMBER),
        Err(error) => Err(tell(Fault::Io { error: error.to_string() })),
    }
}

pub(super) fn write(files: &dyn Files, dir: &str, number: u64) -> Result<(), Trouble> {
    let write = |file: &dyn super::files::File| file.write_all_at(&encode(number), 0).map_err(Trouble::writing);
    aside::replace(files, dir, NAME, write).map(drop)
}
