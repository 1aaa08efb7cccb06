//! What goes to a consumer at once, and as which bytes. Pure.

use sha2::{Digest as _, Sha256};

use super::super::Parcel;
use crate::feed::format::Format;

/// Bytes at once, but for one entry that is longer by itself.
const BYTES_MAX: usize = 1 << 20;

/// Entries in a row, as a consumer gets them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) parcels: Vec<Parcel>,
    /// The indices of the first and the last entry that is in it.
    pub(super) of: Option<(u64, u64)>,
    /// The entry that comes after it, those that were left out counted.
    pub(super) end: u64,
    /// Whether all in it tell of gaps.
    pub(super) is_of_gaps: bool,
    bytes: usize,
}

impl Batch {
    /// Whether it has room for so many bytes.
    pub(super) fn takes(&self, bytes: usize, entries_max: usize) -> bool {
        let is_short = self.bytes.saturating_add(bytes) <= BYTES_MAX;
        self.parcels.is_empty() || (self.parcels.len() < entries_max && is_short)
    }

    pub(super) fn add(&mut self, index: u64, parcel: Parcel, is_gap: bool) {
        self.bytes = self.bytes.saturating_add(parcel.text.len());
        self.is_of_gaps = is_gap && (self.is_of_gaps || self.parcels.is_empty());
        self.of = Some((self.of.map_or(index, |(first, _)| first), index));
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
