//! What goes to a consumer at once, and as which bytes. Pure.

use sha2::{Digest as _, Sha256};

use super::super::Parcel;
use super::cursor::{Pruned, Upto};
use crate::feed::format::Format;

/// Bytes at once, but for one entry that is longer by itself.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// What a consumer takes at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// Entries in a row, or a checkpoint, as a consumer gets them.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) parcels: Vec<Parcel>,
    /// The index of the first entry that is in it.
    pub(super) first: Option<u64>,
    /// How far it brings a consumer, entries that were left out counted.
    pub(super) upto: Upto,
    /// Whether all in it tell of gaps.
    pub(super) is_of_gaps: bool,
    pub(super) pruned: Option<Pruned>,
    pub(super) bytes: usize,
}

impl Batch {
    /// One without anything in it yet.
    pub(super) const fn new(upto: Upto) -> Self {
        Self { parcels: Vec::new(), first: None, upto, is_of_gaps: false, pruned: None, bytes: 0 }
    }

    /// A checkpoint alone.
    pub(super) fn of_checkpoint(number: u64, parcel: Parcel) -> Self {
        Self { bytes: parcel.text.len(), parcels: vec![parcel], ..Self::new(Upto::Checkpoint(number)) }
    }

    /// Whether so many bytes find room in it.
    pub(super) fn takes(&self, bytes: usize, room: Room) -> bool {
        let is_short = self.bytes.saturating_add(bytes) <= room.bytes;
        self.parcels.is_empty() || (self.parcels.len() < room.entries && is_short)
    }

    /// What it begins with, in words.
    pub(super) fn what(&self) -> String {
        match (self.upto, self.first) {
            (Upto::Checkpoint(number), _) => format!("checkpoint {number}"),
            (Upto::Entry(_), Some(first)) => format!("entry {first}"),
            (Upto::Entry(next), None) => format!("what comes before entry {next}"),
        }
    }

    pub(super) fn add(&mut self, index: u64, parcel: Parcel, is_gap: bool) {
        self.bytes = self.bytes.saturating_add(parcel.text.len());
        self.is_of_gaps = is_gap && (self.is_of_gaps || self.parcels.is_empty());
        self.first = self.first.or(Some(index));
        self.parcels.push(parcel);
    }

    /// What is posted: its content type, and its bytes. With `many`, in the form of several even where it is one.
    pub(super) fn posted(&self, format: Format, many: bool) -> (&'static str, Vec<u8>) {
        let texts: Vec<&str> = self.parcels.iter().map(|parcel| parcel.text.as_str()).collect();
        let array = || format!("[{}]", texts.join(",")).into_bytes();
        let lines = || texts.join("\n").into_bytes();
        match (format, many) {
            (Format::CloudEvents, false) => ("application/cloudevents+json", lines()),
            (Format::CloudEvents, true) => ("application/cloudevents-batch+json", array()),
            (Format::Raw | Format::Ocsf, false) => ("application/json", lines()),
            (Format::Ocsf, true) => ("application/json", array()),
            (Format::Raw, true) => ("application/x-ndjson", lines()),
        }
    }
}

/// The id of what is posted: the same for the same bytes.
pub(super) fn id_of(bytes: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    format!("msg_{}", hex::encode(hash.get(..16).unwrap_or_default()))
}
