//! Who is served: apps, the accounts that they hold, and the API users of each.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, Email, InvalidId, UserId};

/// A user as a person or a configuration names one: by id or by email.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum UserKey {
    Id(UserId),
    Email(Email),
}

impl UserKey {
    /// The id, which stays, where it is known.
    pub fn of(id: Option<&UserId>, email: Option<&Email>) -> Option<Self> {
        id.cloned().map(Self::Id).or_else(|| email.cloned().map(Self::Email))
    }

    /// Whether it names the user who has these.
    pub fn is(&self, id: Option<&UserId>, email: Option<&Email>) -> bool {
        match self {
            Self::Id(own) => id == Some(own),
            Self::Email(own) => email == Some(own),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::Email(email) => email.as_str(),
        }
    }
}

impl FromStr for UserKey {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.contains('@') { Email::parse(text).map(Self::Email) } else { UserId::parse(text).map(Self::Id) }
    }
}

impl TryFrom<String> for UserKey {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<UserKey> for String {
    fn from(key: UserKey) -> Self {
        key.as_str().to_owned()
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a user may do in the account. Other roles are made by each account for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Owner,
    Admin,
    Other,
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Other => "other",
        }
    }
}

/// How an app is let in by accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppKind {
    /// One account, the one in which the app was made.
    ServerToServer,
    /// Any number of accounts, whose admins install it (Zoom's "general app", managed by admins).
    General,
}

/// A Zoom plan, as far as it decides rate limits (Zoom's "rate limits" page: Free, Pro, Business+).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    Free,
    #[default]
    Pro,
    /// Also Education, Enterprise and Partner.
    #[serde(alias = "education", alias = "enterprise", alias = "partner")]
    Business,
}

impl Plan {
    pub const ALL: [Self; 3] = [Self::Free, Self::Pro, Self::Business];

    /// Zoom's limit of invitations in a UTC day \[D].
    pub const fn invites_per_day(self) -> u32 {
        match self {
            Self::Free => 50,
            Self::Pro => 1_500,
            Self::Business => 10_000,
        }
    }

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Business => "business",
        }
    }
}

/// One Zoom account that an app holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub app: AppName,
    pub plan: Plan,
    /// The users that are granted scheduling privilege; with `may_grant`, the only ones.
    pub api_users: Vec<UserKey>,
    /// Others whom a rule may name as assistants.
    pub may_grant: Vec<Email>,
    /// Whom Zoom names as operator of what the app does, beside its API users: it is the token's user, and of a
    /// server-to-server app that is the owner \[D], but which events name whom is not documented.
    pub acts_as: Vec<UserKey>,
    /// Its API user is missing or has no licence: whatever the rules say, they only observe.
    pub only_observes: bool,
    /// Nobody has looked at its API users yet: its jobs wait until somebody has.
    pub waits_for_look: bool,
    /// Invitations that onboarding sends in a UTC day; people in Zoom's admin pages use up the same limit of Zoom's.
    pub invites_per_day: u32,
    /// When it came, or came back, where that was at run time: its first sweep since only says what it finds, and the next is
    /// the schedule's.
    pub joined_at: Option<Timestamp>,
}

impl Account {
    /// An account with nobody to grant to.
    pub const fn new(id: AccountId, app: AppName, plan: Plan) -> Self {
        Self {
            id,
            app,
            plan,
            api_users: Vec::new(),
            may_grant: Vec::new(),
            acts_as: Vec::new(),
            only_observes: false,
            waits_for_look: false,
            invites_per_day: plan.invites_per_day(),
            joined_at: None,
        }
    }
}

/// Calls made for one account in one UTC day, by rate-limit category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QuotaUse {
    pub light: u64,
    pub medium: u64,
    pub heavy: u64,
}
