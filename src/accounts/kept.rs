//! What the store keeps of who is served: the forms of its documents, as JSON that later versions add fields to.

use std::fmt;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::account::{Plan, UserKey};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, Email, UserId};
use crate::store::{Document, Shelf, StoreError, Write};
use crate::zoom::Granted;

/// An account that is served because somebody installed an app, or added it at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAccount {
    pub id: AccountId,
    /// The app that acts.
    pub app: AppName,
    /// What people call it, as in "School X".
    pub label: Option<String>,
    pub plan: Plan,
    pub api_users: Vec<UserKey>,
    pub may_grant: Vec<Email>,
    pub acts_as: Vec<UserKey>,
    pub added_at: Timestamp,
    /// Who installed or added it.
    pub added_by: String,
    /// When it came back last, where it was lost.
    #[serde(default)]
    pub came_back_at: Option<Timestamp>,
    pub standing: Standing,
    /// As in [`crate::account::Account`]; what the plan allows where nobody said otherwise.
    #[serde(default)]
    pub invites_per_day: Option<u32>,
    /// Another app that was installed as well, until a person says which of the two acts.
    pub rival: Option<AppName>,
    /// Who was its API user before, and may have what was granted still.
    #[serde(default)]
    pub former_api_users: Vec<UserKey>,
}

/// Whether an account can be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Standing {
    Active,
    /// Its API user is not there, or not licensed: rules only observe. It is looked at again by itself.
    NeedsApiUser {
        why: String,
        since: Timestamp,
        /// Whether anybody has looked at Zoom, so that `why` is what was found.
        #[serde(default)]
        is_looked: bool,
    },
    /// No installation is good any more. Its jobs are cancelled, and nothing is asked of Zoom.
    Lost {
        why: String,
        since: Timestamp,
        /// Zoom said so (`app_deauthorized`), or a person: not inferred from what Zoom refuses.
        is_certain: bool,
    },
    /// A person removes it.
    Leaving {
        since: Timestamp,
        by: String,
        /// What was granted is taken back first.
        take_back: bool,
        /// So is what was lent, before anything else.
        #[serde(default)]
        lends: bool,
    },
}

impl Standing {
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsApiUser { .. } => "needs-api-user",
            Self::Lost { .. } => "needs-authorising",
            Self::Leaving { .. } => "leaving",
        }
    }

    /// Whether anything is asked of Zoom for it.
    pub const fn is_reached(&self) -> bool {
        self.is_served() || matches!(self, Self::Leaving { take_back: true, .. } | Self::Leaving { lends: true, .. })
    }

    /// Nobody has looked at its API users yet.
    pub(super) fn not_looked(why: &str, since: Timestamp) -> Self {
        Self::NeedsApiUser { why: why.to_owned(), since, is_looked: false }
    }

    pub const fn waits_for_look(&self) -> bool {
        matches!(self, Self::NeedsApiUser { is_looked: false, .. })
    }

    /// Since when it stands so.
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Active => None,
            Self::NeedsApiUser { since, .. } | Self::Lost { since, .. } | Self::Leaving { since, .. } => Some(*since),
        }
    }

    /// Since when it is not served.
    pub(super) const fn not_served_since(&self) -> Option<Timestamp> {
        match self {
            Self::Active | Self::NeedsApiUser { .. } => None,
            Self::Lost { since, .. } | Self::Leaving { since, .. } => Some(*since),
        }
    }

    /// Whether its events count and its jobs run.
    pub const fn is_served(&self) -> bool {
        matches!(self, Self::Active | Self::NeedsApiUser { .. })
    }
}

/// A person stopped an account's jobs for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub account: AccountId,
    pub at: Timestamp,
    pub by: String,
}

/// One admin's authorisation of a general app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Installation {
    pub app: AppName,
    pub account: AccountId,
    pub user: UserId,
    pub email: Option<Email>,
    pub installed_at: Timestamp,
    pub granted: Granted,
    /// Since when, and why, its tokens are good for nothing.
    pub lost: Option<(Timestamp, String)>,
}

impl Installation {
    pub(super) fn key(&self) -> String {
        format!("{}/{}/{}", self.app, self.account, self.user)
    }
}

/// Lets one account install an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// A short name, which is no secret.
    pub id: String,
    pub app: AppName,
    pub label: Option<String>,
    /// SHA-256 of the secret in the link, in hex.
    pub hash: String,
    pub made_at: Timestamp,
    pub made_by: String,
    pub until: Timestamp,
    pub used: Option<(Timestamp, AccountId)>,
    pub revoked: Option<Timestamp>,
}

/// A server-to-server app that was added at run time.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeptApp {
    pub name: AppName,
    /// The one that it serves, and is forgotten with.
    pub account: AccountId,
    pub client_id: String,
    #[serde(with = "crate::exposed::one")]
    pub client_secret: SecretString,
    #[serde(with = "crate::exposed::many")]
    pub webhook_secrets: Vec<SecretString>,
    pub added_at: Timestamp,
    pub added_by: String,
}

impl fmt::Debug for KeptApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptApp").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What is on the shelf of accounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnShelf {
    Account(Box<KeptAccount>),
    Paused(Paused),
}

/// A document of a thing.
fn document<T: Serialize>(shelf: Shelf, key: String, account: Option<&AccountId>, thing: &T) -> Document {
    // Encoding plain data into memory has nothing that could fail.
    let value = serde_json::to_vec(thing).unwrap_or_default();
    Document { shelf, key, account: account.cloned(), value }
}

/// The thing of a document. One that cannot be read is no reason to serve nobody, but to say so and stop.
pub(super) fn read<T: DeserializeOwned>(document: &Document) -> Result<T, StoreError> {
    let unreadable = |error| {
        StoreError::Damaged(format!("a document on the shelf {:?} cannot be understood: {error}", document.shelf))
    };
    serde_json::from_slice(&document.value).map_err(unreadable)
}

/// More than these are not remembered: nobody has so many.
const FORMER_MAX: usize = 100;

impl KeptAccount {
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.standing, Standing::Lost { .. })
    }

    /// What a person may change of it, as the audit log says it.
    pub(super) fn told(&self) -> [(&'static str, String); 6] {
        let list = |all: Vec<&str>| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let invites = self.invites_per_day.map_or_else(|| "as the plan allows".to_owned(), |count| count.to_string());
        [
            ("app", self.app.to_string()),
            ("label", self.label.clone().unwrap_or_else(|| "none".to_owned())),
            ("plan", self.plan.name().to_owned()),
            ("api_users", list(self.api_users.iter().map(UserKey::as_str).collect())),
            ("may_grant", list(self.may_grant.iter().map(Email::as_str).collect())),
            ("invites_per_day", invites),
        ]
    }

    /// When it came, or came back: who installs an app again is shown what that would change as well.
    pub fn joined_at(&self) -> Timestamp {
        self.came_back_at.unwrap_or(self.added_at)
    }

    /// These are its API users from now on, and are to be looked at.
    pub(super) fn with_api_users(self, api_users: Vec<UserKey>, now: Timestamp) -> Self {
        if api_users == self.api_users {
            return self;
        }
        let mut former = self.former_api_users;
        former.extend(self.api_users.into_iter().filter(|user| !former.contains(user)).collect::<Vec<_>>());
        former.retain(|user| !api_users.contains(user));
        former.drain(..former.len().saturating_sub(FORMER_MAX));
        let not_looked = Standing::not_looked("its API users were changed, and nobody has looked at them yet", now);
        let standing = if self.standing.is_served() { not_looked } else { self.standing };
        Self { api_users, former_api_users: former, standing, ..self }
    }

    fn key(id: &AccountId) -> String {
        format!("account/{id}")
    }

    pub(super) fn put(&self) -> Write {
        let on_shelf = OnShelf::Account(Box::new(self.clone()));
        Write::Put(document(Shelf::Account, Self::key(&self.id), Some(&self.id), &on_shelf))
    }

    pub(super) fn remove(id: &AccountId) -> Write {
        Write::Remove { shelf: Shelf::Account, key: Self::key(id) }
    }
}

impl Paused {
    fn key(id: &AccountId) -> String {
        format!("paused/{id}")
    }

    pub(super) fn put(&self) -> Write {
        let on_shelf = OnShelf::Paused(self.clone());
        Write::Put(document(Shelf::Account, Self::key(&self.account), Some(&self.account), &on_shelf))
    }

    pub(super) fn remove(id: &AccountId) -> Write {
        Write::Remove { shelf: Shelf::Account, key: Self::key(id) }
    }
}

impl Installation {
    pub(super) fn put(&self) -> Write {
        Write::Put(document(Shelf::Installation, self.key(), Some(&self.account), self))
    }

    pub(super) fn remove(&self) -> Write {
        Write::Remove { shelf: Shelf::Installation, key: self.key() }
    }
}

impl Invite {
    /// Once it is used it is its account's, and forgotten with that.
    pub(super) fn put(&self) -> Write {
        let account = self.used.as_ref().map(|(_, account)| account);
        Write::Put(document(Shelf::Invite, self.id.clone(), account, self))
    }

    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.used.is_none() && self.revoked.is_none() && now < self.until
    }
}

impl KeptApp {
    pub(super) fn put(&self) -> Write {
        Write::Put(document(Shelf::App, self.name.to_string(), Some(&self.account), self))
    }

    pub(super) fn remove(name: &AppName) -> Write {
        Write::Remove { shelf: Shelf::App, key: name.to_string() }
    }
}
