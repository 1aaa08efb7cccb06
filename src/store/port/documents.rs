//! Small values that are kept until they are removed: accounts, installations, tokens, invites, requests.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::ids::AccountId;

/// What documents are about. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Shelf {
    App,
    Account,
    Installation,
    Invite,
    AccessToken,
    Onboarding,
    /// What the service itself keeps: keys that sign.
    Service,
    /// What somebody asked to be done to a meeting, and is not done yet.
    Errand,
    /// What became of it, and what is known of meetings for as long as that is kept.
    ErrandEnded,
    /// Up to where a consumer has the log.
    Consumer,
}

/// A small value that is kept until it is removed. Whoever keeps it knows its form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub shelf: Shelf,
    /// Unique on its shelf. Sealed on disk, as the value is.
    pub key: String,
    /// Whose it is: sealed with that account's key (the store's key where there is none), and gone when the account is
    /// forgotten.
    pub account: Option<AccountId>,
    pub value: Vec<u8>,
}

impl Document {
    /// How long key and value may be together: all documents are in memory.
    pub const BYTES_MAX: usize = 64 << 10;

    fn bytes(&self) -> usize {
        self.key.len().saturating_add(self.value.len())
    }
}

impl fmt::Debug for Document {
    /// Without the value: it may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shelf, key, account, value } = self;
        let mut told = f.debug_struct("Document");
        told.field("shelf", shelf).field("key", key).field("account", account);
        told.field("bytes", &value.len()).finish()
    }
}

/// A change of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Also in the place of an older one.
    Put(Document),
    /// [`StoreError::Conflict`] where there is one with that shelf and key; then nothing of the call is written.
    PutNew(Document),
    /// Nothing happens where there is none.
    Remove { shelf: Shelf, key: String },
}

impl Write {
    const fn what(&self) -> (Shelf, &String) {
        match self {
            Self::Put(Document { shelf, key, .. })
            | Self::PutNew(Document { shelf, key, .. })
            | Self::Remove { shelf, key } => (*shelf, key),
        }
    }

    /// Whose document is put.
    pub(in crate::store) const fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Put(document) | Self::PutNew(document) => document.account.as_ref(),
            Self::Remove { .. } => None,
        }
    }

    /// Of what is to be written.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Put(document) | Self::PutNew(document) => document.bytes(),
            Self::Remove { key, .. } => key.len(),
        }
    }

    /// Why these cannot be written, one after the other, over what `is_there`.
    pub(in crate::store) fn check(writes: &[Self], is_there: impl Fn(Shelf, &str) -> bool) -> Result<(), StoreError> {
        let mut changed: BTreeMap<(Shelf, &String), bool> = BTreeMap::new();
        for write in writes {
            let (shelf, key) = write.what();
            let before = changed.get(&(shelf, key)).copied().unwrap_or_else(|| is_there(shelf, key));
            match write {
                Self::PutNew(_) if before => {
                    // Keys may name people.
                    return Err(StoreError::Conflict(format!("there is a document on shelf {shelf:?} with this key")));
                }
                Self::Put(document) | Self::PutNew(document) => {
                    let bytes = document.bytes();
                    if bytes > Document::BYTES_MAX {
                        let most = Document::BYTES_MAX;
                        return Err(StoreError::Conflict(format!("a document of {bytes} bytes: {most} are possible")));
                    }
                }
                Self::Remove { .. } => {}
            }
            changed.insert((shelf, key), !matches!(write, Self::Remove { .. }));
        }
        Ok(())
    }
}
