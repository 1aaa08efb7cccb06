//! Small values that are kept until they are removed.

use std::sync::Arc;

use super::State;
use crate::clock::Timestamp;
use crate::ids::AccountId;
use crate::store::local::record::{self, Blob, Change};
use crate::store::local::seal::{Fingerprint, Purpose};
use crate::store::port::{Document, Note, Shelf, StoreError, Write};

/// What fingerprints are of, beside those of deliveries and contests.
const DOCUMENT: u8 = 20;

impl State {
    fn document_print(&self, key: &str) -> Fingerprint {
        self.keys.prints().of(DOCUMENT, &[key.as_bytes()])
    }

    pub(in crate::store::local) fn document(&self, on: Shelf, key: &str) -> Option<&Arc<Document>> {
        self.documents.get(&(on, self.document_print(key)))
    }

    /// In no order: there may be many, and others wait for the lock.
    pub(in crate::store::local) fn list_documents(&self, on: Shelf) -> Vec<Arc<Document>> {
        self.documents.range((on, [0; 16])..=(on, [0xFF; 16])).map(|(_, document)| Arc::clone(document)).collect()
    }

    pub(in crate::store::local) fn write_documents(
        &mut self,
        writes: Vec<Write>,
        notes: &[Note],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        Write::check(&writes, |shelf, key| self.document(shelf, key).is_some())?;
        let put = writes.iter().filter_map(Write::account);
        for account in put.chain(notes.iter().filter_map(|note| note.account.as_ref())) {
            self.keys.may_write(account)?;
        }
        for write in writes {
            match write {
                Write::Put(document) | Write::PutNew(document) => self.put_document(document),
                Write::Remove { shelf, key } if self.document(shelf, &key).is_some() => {
                    let print = self.document_print(&key);
                    self.change(Change::Document { shelf, print, account: None, sealed: None });
                }
                Write::Remove { .. } => {}
            }
        }
        for note in notes {
            self.note(note, at);
        }
        Ok(())
    }

    fn put_document(&mut self, document: Document) {
        let Document { shelf, key, account, value } = document;
        self.scratch.clear();
        record::put(&(&key, &value), &mut self.scratch);
        let sealed = Some(Blob(self.seal_for(account.as_ref(), Purpose::Document, &self.scratch)));
        let print = self.document_print(&key);
        self.change(Change::Document { shelf, print, account, sealed });
    }

    /// One that does not open is gone, and what was there before it as well.
    pub(super) fn apply_document(
        &mut self,
        place: (Shelf, Fingerprint),
        account: Option<AccountId>,
        sealed: Option<Blob>,
    ) {
        self.documents.remove(&place);
        let plain = sealed.and_then(|Blob(sealed)| self.keys.open_blob(Purpose::Document, &sealed));
        if let Some((key, value)) = plain.and_then(|plain| postcard::from_bytes(&plain).ok()) {
            self.documents.insert(place, Arc::new(Document { shelf: place.0, key, account, value }));
        }
    }

    pub(in crate::store::local) fn keep_document(&mut self, document: Document) {
        let print = self.document_print(&document.key);
        self.documents.insert((document.shelf, print), Arc::new(document));
    }
}
