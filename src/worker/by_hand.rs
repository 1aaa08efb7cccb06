//! A change that a person told: on record before it is made, with who told it, and afterwards with what came of it.

use super::Parts;
use crate::account::Account;
use crate::audit::{Detail, Kind};
use crate::job::Intent;
use crate::store::{Note, StoreError};

pub(super) struct ByHand<'a> {
    pub(super) parts: &'a Parts,
    pub(super) account: &'a Account,
    /// Of the user whom it is about, as it prints.
    pub(super) subject: String,
}

impl ByHand<'_> {
    /// On disk when it returns.
    pub(super) async fn intend(&self, words: &str, actor: &str) -> Result<Intent, StoreError> {
        let intended = self.note(Kind::Intent, "granted", format!("{words}, told by {actor}"));
        self.parts.store.intend_as_told(intended, Vec::new(), self.parts.clock.now()).await?.unlimited()
    }

    /// It was read back.
    pub(super) async fn changed(&self, words: &str) -> Result<(), StoreError> {
        self.came("changed", words.to_owned()).await
    }

    /// Nobody but a person goes on with it.
    pub(super) async fn parked(&self, why: String) -> Result<(), StoreError> {
        self.came("parked", why).await
    }

    async fn came(&self, code: &str, words: String) -> Result<(), StoreError> {
        self.parts.store.note(self.note(Kind::Outcome, code, words), self.parts.clock.now()).await
    }

    fn note(&self, kind: Kind, code: &str, note: String) -> Note {
        Note {
            kind,
            app: Some(self.account.app.clone()),
            account: Some(self.account.id.clone()),
            code: code.to_owned(),
            detail: Detail { subject: Some(self.subject.clone()), note, ..Detail::default() },
        }
    }
}
