//! What can be wrong with a journal's files, told so that a person can look at the bytes.

use std::fmt;
use std::ops::Range;

/// Something wrong at one place of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name in the journal's folder.
    pub file: String,
    /// The first byte concerned.
    pub offset: u64,
    pub what: Fault,
}

/// What is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The first 32 bytes are no header: no record of the file can be told from noise.
    BadHeader,
    /// The file was written by a newer program.
    NewerFormat { found: u16, known: u16 },
    /// The header or the records belong to another first number than the file's name says.
    Misnamed { found: u64 },
    /// Bytes up to `until` hold no good record; acknowledged records were there (or may have been).
    Unreadable { until: u64, missing: Range<u64> },
    /// What follows the last whole batch: a batch that was never acknowledged, or noise.
    Torn { bytes: u64 },
    /// The footer is not where it should be, or there are bytes after it.
    NotSealed,
    /// The footer counts other than there are records.
    Miscounted { counted: u64, found: u64 },
    /// Records between this file and what should follow it, or come before it, are in no file.
    Missing { missing: Option<Range<u64>> },
    /// The file begins with a number that an earlier file holds.
    Overlap { expected: u64 },
    /// The disk does not give the bytes.
    Io { error: String },
    /// The file that remembers the first retained number is damaged.
    BadFloor,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.file, self.offset)?;
        match &self.what {
            Fault::BadHeader => write!(f, "the header is damaged"),
            Fault::NewerFormat { found, known } => write!(f, "format version {found}, this program knows {known}"),
            Fault::Misnamed { found } => write!(f, "the file begins with record {found}, its name says otherwise"),
            Fault::Unreadable { until, missing } => {
                write!(f, "damaged up to byte {until}, without {}", Numbers(missing))
            }
            Fault::Torn { bytes } => write!(f, "{bytes} bytes after the last whole batch"),
            Fault::NotSealed => write!(f, "the footer is missing or not at the end"),
            Fault::Miscounted { counted, found } => write!(f, "the footer counts {counted} records, {found} are there"),
            Fault::Missing { missing: Some(missing) } => write!(f, "no file has {}", Numbers(missing)),
            Fault::Missing { missing: None } => write!(f, "the segment that follows is missing"),
            Fault::Overlap { expected } => write!(f, "record {expected} should come first here"),
            Fault::Io { error } => write!(f, "cannot be read: {error}"),
            Fault::BadFloor => write!(f, "the note of the first retained record is damaged"),
        }
    }
}

struct Numbers<'a>(&'a Range<u64>);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.end.saturating_sub(self.0.start) {
            0 => write!(f, "no records"),
            1 => write!(f, "record {}", self.0.start),
            _ => write!(f, "records {} to {}", self.0.start, self.0.end.saturating_sub(1)),
        }
    }
}
