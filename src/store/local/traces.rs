//! Where a text still is in what a key of the store opens: what a forgetting is held against.

use super::LocalStore;
use super::core::Core;
use super::forgotten::occurs;
use super::housekeeper::{SNAPSHOTS, with_source};
use super::place;
use super::record::{Blob, Change, Stored, StoredEntry};
use super::seal::Purpose;
use crate::store::journal::snapshot;
use crate::store::port::StoreError;

impl LocalStore {
    /// Every place that holds one of these texts, without regard to case: records of the journal and all that is sealed in
    /// them, snapshots, what others keep aside, the names of the keys. It reads everything, and opens what a key is there for;
    /// what no key opens says nothing. Files as they are, for whoever has no key, are not looked at.
    pub async fn traces(&self, texts: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.core().reading(move |core| core.traces(&texts)).await
    }
}

impl Core {
    fn traces(&self, texts: &[String]) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let mut look = |place: &dyn Fn() -> String, bytes: &[u8]| {
            let here = texts.iter().filter(|text| occurs(bytes, text.as_bytes()));
            found.extend(here.map(|text| format!("{text} in {}", place())));
        };
        let open = |purpose, sealed: &[u8]| self.keys.open_blob(purpose, sealed).unwrap_or_default();
        let damaged = |error: &dyn std::error::Error| StoreError::Damaged(with_source(error));
        for read in self.reader.scan(self.reader.first_number()) {
            let record = read.map_err(|error| damaged(&error))?;
            let number = record.number;
            look(&|| format!("the payload of record {number}"), &record.payload);
            match Stored::decode(record.kind, record.version, &record.payload) {
                Some(Stored::Delivery(delivery)) => {
                    if let Some(Blob(sealed)) = delivery.tail.body.sealed() {
                        look(&|| format!("the body of record {number}"), &open(Purpose::Body, sealed));
                    }
                    if let Some(Blob(sealed)) = delivery.said().sealed() {
                        look(&|| format!("the detail of record {number}"), &open(Purpose::Detail, sealed));
                    }
                }
                Some(Stored::Changes(changes)) => {
                    for line in changes.entries.iter().filter_map(StoredEntry::line) {
                        if let Some(Blob(sealed)) = line.said.sealed() {
                            look(&|| format!("an entry of record {number}"), &open(Purpose::Detail, sealed));
                        }
                    }
                    for (purpose, sealed) in changes.made.iter().filter_map(sealed_in) {
                        look(&|| format!("a change of record {number}"), &open(purpose, sealed));
                    }
                }
                None => return Err(StoreError::Damaged(format!("record {number} cannot be understood"))),
            }
        }
        let files = self.files.as_ref();
        for number in snapshot::numbers(files, SNAPSHOTS).map_err(|error| damaged(&error))? {
            let sealed = snapshot::read(files, SNAPSHOTS, number).map_err(|error| damaged(&error))?;
            look(&|| format!("snapshot {number}"), &open(Purpose::Snapshot, &sealed.unwrap_or_default()));
        }
        for name in files.list(place::ROOT).map_err(|error| damaged(&error))? {
            let sealed = place::read(files, &name).map_err(|error| damaged(&error))?;
            look(&|| name.clone(), &open(Purpose::Aside, &sealed.unwrap_or_default()));
        }
        look(&|| "the names of the keys".to_owned(), &self.keys.owners());
        Ok(found)
    }
}

/// What is sealed in a change, and what for.
fn sealed_in(change: &Change) -> Option<(Purpose, &[u8])> {
    match change {
        Change::Job { sealed: Blob(sealed), .. } => Some((Purpose::Job, sealed)),
        Change::Document { sealed: Some(Blob(sealed)), .. } => Some((Purpose::Document, sealed)),
        Change::Sweep { sealed: Blob(sealed), .. }
        | Change::Notices { sealed: Blob(sealed), .. }
        | Change::Forgotten { sealed: Some(Blob(sealed)) } => Some((Purpose::Detail, sealed)),
        _ => None,
    }
}
