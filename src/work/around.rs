//! What is known around the subjects of an account: its API users and its groups. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::privilege::Lack;
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::{Email, UserId};
use crate::zoom::{Group, User};

/// What rules of all kinds are judged with, beside the subject itself.
#[derive(Debug, Clone)]
pub struct Around<'a> {
    pub account: &'a Account,
    pub now: Timestamp,
    /// Those who are granted or made alternative hosts, API users and others, as far as they were read.
    pub known: HashMap<UserKey, ApiUser>,
    /// Ids of API users that the configuration names otherwise, as far as they were learned.
    pub ids: HashMap<UserId, UserKey>,
    /// All groups of the account; none where they were not read.
    pub groups: Option<Arc<Vec<Group>>>,
}

impl Around<'_> {
    /// The API user that has this id or email, as far as that is known.
    pub fn api_user(&self, id: Option<&UserId>, email: Option<&Email>) -> Option<UserKey> {
        which(self.account, &self.ids, id, email).or_else(|| {
            let known = self.known.values().filter(|user| self.account.api_users.contains(&user.key));
            known.into_iter().find(|user| user.is(id, email)).map(|user| user.key.clone())
        })
    }

    /// The same, with nobody who is granted known.
    #[must_use]
    pub fn with_nobody(self) -> Self {
        Self { known: HashMap::new(), ..self }
    }

    /// Takes in what was read.
    pub fn learn(&mut self, user: ApiUser) {
        self.known.insert(user.key.clone(), user);
    }
}

pub(super) fn which(
    account: &Account,
    ids: &HashMap<UserId, UserKey>,
    id: Option<&UserId>,
    email: Option<&Email>,
) -> Option<UserKey> {
    let configured = account.api_users.iter().find(|key| key.is(id, email));
    let learned = || ids.get(id?).filter(|key| account.api_users.contains(key));
    configured.or_else(learned).cloned()
}

/// An API user, as Zoom knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUser {
    /// As it is configured: what is granted.
    pub key: UserKey,
    pub id: Option<UserId>,
    pub email: Option<Email>,
    /// Why it cannot be an assistant or an alternative host, if it cannot.
    pub unusable: Option<String>,
}

impl ApiUser {
    pub(super) fn found(key: &UserKey, user: User) -> Self {
        let unusable = Lack::of(&user).map(|lack| format!("it {}", lack.in_words()));
        Self { key: key.clone(), id: user.id, email: user.email, unusable }
    }

    pub(super) fn missing(key: &UserKey) -> Self {
        let (id, email) = match key {
            UserKey::Id(id) => (Some(id.clone()), None),
            UserKey::Email(email) => (None, Some(email.clone())),
        };
        Self { key: key.clone(), id, email, unusable: Some("Zoom does not know it".to_owned()) }
    }

    /// Whether this is the user with that id or email.
    pub fn is(&self, id: Option<&UserId>, email: Option<&Email>) -> bool {
        self.key.is(id, email)
            || (self.id.is_some() && self.id.as_ref() == id)
            || (self.email.is_some() && self.email.as_ref() == email)
    }
}
