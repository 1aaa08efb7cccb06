//! The version of the folder's layout, so that an older program refuses what it does not know.

use std::io;

use super::place;
use crate::store::journal::files::Files;

const FILE: &str = "format";
/// What this program writes and reads.
pub(super) const VERSION: u32 = 1;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No store was ever finished here.
    Nothing,
    Version(u32),
    Garbled,
}

pub(super) fn read(files: &dyn Files) -> io::Result<Found> {
    let Some(bytes) = place::read(files, FILE)? else { return Ok(Found::Nothing) };
    let text = String::from_utf8_lossy(&bytes);
    let version = text.trim_end().strip_prefix("adjutant store ").and_then(|number| number.parse().ok());
    Ok(version.map_or(Found::Garbled, Found::Version))
}

/// Written last when a store is made: from here on it is one.
pub(super) fn write(files: &dyn Files) -> io::Result<()> {
    place::replace(files, FILE, &text())
}

pub(super) fn text() -> Vec<u8> {
    format!("adjutant store {VERSION}\n").into_bytes()
}
