//! What is in the journal: two kinds of records, each with a version, as postcard.
//!
//! - [`DELIVERY`]: one delivery with its entry. Written by hand in two pieces (the second is made before the delivery has
//!   its number), read as one [`Delivery`].
//! - [`CHANGES`]: entries and changes of the live state, of one atomic unit or of a part of one.
//! - [`LOST`]: in a copy of a damaged journal, in the place of what was lost.
//!
//! Records say what *became* true (a job as it is now), not what was asked: old records read the same however the rules of
//! the state machine change. Order of fields and variants is the format: add at the end, with a new version and a fixture.
//!
//! # The leaf of an entry
//! The RFC 6962 hash of a line of JSON, as [`crate::audit::leaf`] has it: what is sealed, a detail or a delivery's body, is in
//! it by hash, so that it can go without breaking the leaf. Logs that are older begin with leaves of version 1, which are
//! hashes of a byte 1 and the postcard of the line, sealed parts included.

mod change;
mod delivery;
mod line;

use serde::{Deserialize, Serialize};

pub(super) use change::{AsideFor, Change, Decided};
pub(super) use delivery::{Delivery, Head, Salted, StoredBody, Tail, line_of_delivery, said_of_delivery};
use line::FirstEntry;
pub(super) use line::{
    Commitment, Committed, Kept, Line, LineRef, Said, StoredEntry, first_detail, line_of_first_leaf,
};

pub(super) const DELIVERY: u8 = 1;
pub(super) const CHANGES: u8 = 2;
/// Stands in a backup for a record that could not be read. Empty.
pub(super) const LOST: u8 = 3;
pub(super) const LOST_VERSION: u8 = 1;
/// The version of deliveries that is written. Version 2 is the same but for its body, and version 1 for its leaf, too.
pub(super) const DELIVERY_VERSION: u8 = 3;
/// The version of changes that is written.
pub(super) const CHANGES_VERSION: u8 = 4;
/// As changes were first written, with leaves of version 1.
const FIRST: u8 = 1;
/// Of version 1, of which something was forgotten since: read as those of today, as are those of version 3, in which no entry says
/// what led to it.
const REWRITTEN: u8 = 2;

/// Bytes, as one piece.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Blob(pub(super) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Visitor)
    }
}

/// Adds the postcard of a thing.
pub(super) fn put<T: Serialize + ?Sized>(thing: &T, to: &mut Vec<u8>) {
    // Encoding plain data into memory has nothing that could fail.
    let _encoded = postcard::to_io(thing, to);
}

/// The payload of a [`CHANGES`] record as it was [`FIRST`] written.
#[derive(Deserialize)]
struct FirstChanges {
    first_index: u64,
    entries: Vec<FirstEntry>,
    made: Vec<Change>,
}

impl From<FirstChanges> for Changes {
    fn from(first: FirstChanges) -> Self {
        let entry = |FirstEntry { leaf, line, .. }| StoredEntry { leaf, kept: Kept::Line(line) };
        let FirstChanges { first_index, entries, made } = first;
        Self { first_index, entries: entries.into_iter().map(entry).collect(), made }
    }
}

/// The payload of a [`CHANGES`] record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changes {
    /// The index of the first entry.
    pub(super) first_index: u64,
    pub(super) entries: Vec<StoredEntry>,
    pub(super) made: Vec<Change>,
}

impl Changes {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(self, &mut bytes);
        bytes
    }
}

/// A record, read.
#[derive(Debug)]
pub(super) enum Stored {
    Delivery(Box<Delivery>),
    Changes(Changes),
}

impl Stored {
    /// The number of its first entry; of one without any, that of the next.
    pub(super) const fn first_index(&self) -> u64 {
        match self {
            Self::Delivery(delivery) => delivery.head.index,
            Self::Changes(changes) => changes.first_index,
        }
    }

    /// None for what this program does not know.
    pub(super) fn decode(kind: u8, version: u8, payload: &[u8]) -> Option<Self> {
        match (kind, version) {
            (DELIVERY, 1..=DELIVERY_VERSION) => {
                Delivery::decode(version, payload).map(|delivery| Self::Delivery(Box::new(delivery)))
            }
            (CHANGES, FIRST) => {
                postcard::from_bytes::<FirstChanges>(payload).ok().map(|first| Self::Changes(first.into()))
            }
            (CHANGES, REWRITTEN..=CHANGES_VERSION) => postcard::from_bytes(payload).ok().map(Self::Changes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
