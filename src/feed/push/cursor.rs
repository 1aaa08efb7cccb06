//! Up to where a consumer has the log: kept in the store, so that a restart goes on from there.

use serde::{Deserialize, Serialize};

use super::batch::Batch;
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
    /// The checkpoint that it had last, by its number. None where it never was to have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) checkpoint: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<Paused>,
    /// What was pruned before it got it, where that is not on record yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pruned: Option<Pruned>,
}

/// Entries that came to a consumer when they, or what they tell of, were pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pruned {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) count: u64,
}

impl Pruned {
    /// The same, and these after them.
    pub(super) fn and(before: Option<Self>, more: Option<Self>) -> Option<Self> {
        match (before, more) {
            (Some(before), Some(more)) if more.last > before.last => {
                let count = before.count.saturating_add(more.count);
                Some(Self { first: before.first, last: more.last, count })
            }
            (before, more) => before.or(more),
        }
    }
}

/// How far something brings a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upto {
    /// The entry that comes next.
    Entry(u64),
    /// The checkpoint that it has.
    Checkpoint(u64),
}

/// It gets nothing more until a person says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub at: Timestamp,
    pub why: String,
}

impl Cursor {
    pub(super) const fn at(next: u64) -> Self {
        Self { v: VERSION, next, checkpoint: None, paused: None, pruned: None }
    }

    /// It has this, and what comes before it.
    pub(super) fn has(&mut self, batch: &Batch) {
        match batch.upto {
            Upto::Entry(next) => self.next = next,
            Upto::Checkpoint(number) => self.checkpoint = Some(number),
        }
        self.pruned = Pruned::and(self.pruned, batch.pruned);
    }

    /// Those of all who ever took the log, by name; one that cannot be read is none of them.
    pub(super) async fn all(store: &dyn Store) -> Result<Vec<(ConsumerName, Self)>, StoreError> {
        let read = |document: Document| {
            let cursor = serde_json::from_slice(&document.value).ok()?;
            Some((ConsumerName::parse(&document.key).ok()?, cursor))
        };
        Ok(store.documents(Shelf::Consumer).await?.into_iter().filter_map(read).collect())
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

    pub(super) fn forget(name: &ConsumerName) -> Write {
        Write::Remove { shelf: Shelf::Consumer, key: name.to_string() }
    }

    pub(super) fn write(&self, name: &ConsumerName) -> Write {
        let value = serde_json::to_vec(self).unwrap_or_default();
        Write::Put(Document { shelf: Shelf::Consumer, key: name.to_string(), account: None, value })
    }
}
