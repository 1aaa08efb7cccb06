//! The port: the calls to Zoom that rules need, for one account.

use std::fmt;

use serde_json::Value;

use crate::account::UserKey;
use crate::audit::Call;
use crate::clock::Timestamp;
use crate::ids::{Email, MeetingId, UserId};
use crate::job::Intent;
use crate::rules::MeetingSettings;

/// Rate-limit categories of Zoom, per account and shared by all its apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    Light,
    Medium,
    Heavy,
}

impl Category {
    /// As the audit log and the metrics write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Medium => "medium",
            Self::Heavy => "heavy",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Inactive,
    Pending,
    /// A word that is not documented.
    Unknown,
}

/// A user, as far as rules look at one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Missing for some pending users.
    pub id: Option<UserId>,
    pub email: Option<Email>,
    /// 1 Basic, 2 Licensed, 3 On-prem; others exist (4, 99), and more may come.
    pub kind: Option<i64>,
    pub status: Status,
    /// All that Zoom states of the user, for the conditions of rules; null where the user comes from a list.
    pub raw: Value,
}

impl User {
    /// Both sides of a scheduling privilege must be Licensed or On-prem.
    pub fn is_licensed(&self) -> bool {
        matches!(self.kind, Some(2 | 3))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assistant {
    pub id: Option<UserId>,
    pub email: Option<Email>,
}

/// A user for whom another may schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    pub id: Option<UserId>,
    pub email: Option<Email>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeetingStatus {
    Waiting,
    Started,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    pub id: MeetingId,
    pub host_id: Option<UserId>,
    pub host_email: Option<Email>,
    pub status: MeetingStatus,
    /// The settings that rules know, as Zoom states them; none where Zoom does not say.
    pub settings: MeetingSettings,
    /// All that Zoom states of the meeting, for the conditions of rules.
    pub raw: Value,
}

/// Which page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    pub size: u32,
    pub token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    pub users: Vec<User>,
    pub next: Option<String>,
    pub total: Option<u64>,
}

/// Why Zoom did not do what it was asked: the error table of the facts page, as a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoomError {
    /// A rate limit, ours or Zoom's. Uses no attempt.
    #[error("rate limit: {why}")]
    Limited { until: Timestamp, why: String },
    /// Network, time-out, 5xx: may or may not have happened.
    #[error("{0}")]
    Transient(String),
    /// Zoom does not know the user or meeting.
    #[error("Zoom does not know it: {0}")]
    NotFound(String),
    /// The token lacks scopes.
    #[error("the app lacks the scopes {0}")]
    ScopesMissing(String),
    /// Client id, secret or account are refused, or the token is, also when fetched anew.
    #[error("Zoom refuses the app's credentials: {0}")]
    Credentials(String),
    /// "has already granted scheduling privilege": it is as wanted.
    #[error("already granted")]
    AlreadyGranted,
    #[error("a user cannot be their own assistant")]
    Oneself,
    /// One of the two users is neither Licensed nor On-prem. Read both to learn which.
    #[error("not licensed: {0}")]
    Unlicensed(String),
    /// The list of assistants is full.
    #[error("the list is full: {0}")]
    Full(String),
    /// The meeting is running.
    #[error("the meeting is in progress")]
    InProgress,
    /// The user is pending, so that nothing can be set.
    #[error("the user is pending: {0}")]
    Pending(String),
    /// Refused for good. Status 0 means that it was refused here, before any call.
    #[error("Zoom refuses it: {status}, code {code}, {message}")]
    Refused { status: u16, code: i64, message: String },
    /// The answer is not what Zoom documents.
    #[error("Zoom's answer cannot be understood: {0}")]
    Unreadable(String),
}

impl ZoomError {
    /// What a change comes to where Zoom is only looked at: no call was made.
    pub fn read_only() -> Self {
        Self::unsent("a change was asked for where Zoom is only looked at")
    }

    pub fn is_read_only(&self) -> bool {
        *self == Self::read_only()
    }

    /// Refused here, for good: no call was made.
    pub(in crate::zoom) fn unsent(why: &str) -> Self {
        Self::Refused { status: 0, code: 0, message: format!("not sent: {why}") }
    }
}

/// Zoom, as one account sees it. Calls wait for their turn under the account's rate limits, for a short while at most.
#[async_trait::async_trait]
pub trait Zoom: fmt::Debug + Send + Sync {
    async fn user(&self, user: &UserKey) -> Result<User, ZoomError>;
    async fn users(&self, status: Status, page: Page) -> Result<UserPage, ZoomError>;
    async fn assistants(&self, of: &UserKey) -> Result<Vec<Assistant>, ZoomError>;
    async fn schedulers(&self, of: &UserKey) -> Result<Vec<Scheduler>, ZoomError>;
    async fn add_assistant(&self, intent: &Intent, of: &UserKey, who: &UserKey) -> Result<(), ZoomError>;
    async fn meeting(&self, id: MeetingId) -> Result<Meeting, ZoomError>;
    async fn set_meeting(&self, intent: &Intent, id: MeetingId, to: MeetingSettings) -> Result<(), ZoomError>;
    /// The calls made through this handle so far, oldest first, for the audit log.
    fn calls(&self) -> Vec<Call>;
}
