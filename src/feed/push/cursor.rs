//! Up to where a consumer has the log: kept in the store, so that a restart goes on from there.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::ConsumerName;
use crate::store::{Document, Shelf, Store, StoreError, Write};

/// The form of the document: others are told apart by it.
const VERSION: u32 = 1;

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    v: u32,
    /// The entry that it gets next.
    pub(super) next: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<Paused>,
}

/// It gets nothing more until a person says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub at: Timestamp,
    pub why: String,
}

impl Cursor {
    pub(super) const fn at(next: u64) -> Self {
        Self { v: VERSION, next, paused: None }
    }

    /// None where it is new. Where what is kept of it cannot be read, nobody knows what it has: an error, and no jump.
    pub(super) async fn kept(store: &dyn Store, name: &ConsumerName) -> Result<Option<Self>, StoreError> {
        let found = store.document(Shelf::Consumer, name.as_str()).await?;
        let read = |document: Document| match serde_json::from_slice::<Self>(&document.value) {
            Ok(cursor) if cursor.v == VERSION => Ok(cursor),
            _ => Err(StoreError::Damaged(format!(
                "the cursor of consumer {name} is in a form that this program does not know"
            ))),
        };
        found.map(read).transpose()
    }

    pub(super) fn write(&self, name: &ConsumerName) -> Write {
        let value = serde_json::to_vec(self).unwrap_or_default();
        Write::Put(Document { shelf: Shelf::Consumer, key: name.to_string(), account: None, value })
    }
}
