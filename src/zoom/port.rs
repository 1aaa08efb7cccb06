//! The port: the calls to Zoom that rules need, for one account.

use std::fmt;

use serde::Deserialize;

use super::edit::{Edit, Made};
pub use crate::account::Role;
use crate::account::UserKey;
use crate::audit::Call;
use crate::clock::Timestamp;
use crate::ids::{Email, GroupId, MarketplaceId, MeetingId, UserId};
use crate::job::Intent;
use crate::rules::Leaves;

/// A JSON object as Zoom states it.
pub type Object = serde_json::Map<String, serde_json::Value>;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    Active,
    Inactive,
    Pending,
    /// A word that is not documented.
    #[default]
    Unknown,
}

/// A user: what rules look at most, parsed, and everything else as Zoom states it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Missing for some pending users.
    pub id: Option<UserId>,
    pub email: Option<Email>,
    /// 1 Basic, 2 Licensed, 3 On-prem; others exist (4, 99), and more may come.
    pub kind: Option<i64>,
    pub status: Status,
    /// None where Zoom does not say: a list gives the role's id, and reading one user its name as well \[D].
    pub role: Option<Role>,
    /// The whole object. It names a person and may hold secrets (`host_key`): it belongs in no log.
    pub whole: Object,
}

impl User {
    /// The account, as Zoom states it: reading one user does, a list does not \[D].
    pub fn home(&self) -> Option<&str> {
        self.whole.get("account_id").and_then(serde_json::Value::as_str)
    }

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
    /// Who scheduled it on behalf of the host; none where nobody did \[D].
    pub assistant_id: Option<UserId>,
    /// 1 instant, 2 scheduled, 3 recurring without a time, 8 recurring.
    pub kind: Option<i64>,
    pub status: MeetingStatus,
    /// Its settings (`waiting_room`, `alternative_hosts` and so on), to compare [`Leaves`] with.
    pub settings: Object,
    /// The whole object, for the conditions of rules. It names people and holds a password: it belongs in no log.
    pub whole: Object,
}

impl Meeting {
    /// Zoom's number for a meeting that begins when it is made.
    pub const INSTANT: i64 = 1;

    pub fn is_instant(&self) -> bool {
        self.kind == Some(Self::INSTANT)
    }

    pub const fn is_webinar(&self) -> bool {
        matches!(self.kind, Some(5 | 6 | 9))
    }
}

/// One row of a user's meetings: the settings need a call of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingRow {
    pub id: MeetingId,
    pub host_id: Option<UserId>,
    /// Names what people meet for: it belongs in no log.
    pub topic: Option<String>,
    pub created_at: Option<Timestamp>,
    /// 2 scheduled, 3 recurring without a time, 8 recurring; instant ones are not listed \[D].
    pub kind: Option<i64>,
    /// The first one's of a series; none where Zoom does not say, or there is no time.
    pub start: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub name: String,
    /// As Zoom counts them; none where it does not say.
    pub members: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Missing for a pending user, as in the list of users \[I].
    pub id: Option<UserId>,
    pub email: Option<Email>,
}

/// A webhook that Zoom could not deliver, as its log of the last seven days states it. A try that failed and a later one
/// that did not are two rows with one request id \[D].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDelivery {
    /// A row that does not state it is one row, and no reason to leave the others of its page.
    pub event: Option<String>,
    /// Stays the same when Zoom tries again \[D].
    pub request_id: Option<String>,
    /// 0 for the first try, up to 3.
    pub retry: Option<i64>,
    /// The body that was sent, which is what the signature is over. It names people: it belongs in no log.
    pub body: Option<String>,
    /// The whole row, with `request_headers`, `date_time` and `failed_reason_type`.
    pub whole: Object,
}

/// Which of a host's meetings are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// Those of the next six months \[D].
    #[default]
    Upcoming,
    /// All that are not over, however far ahead, and those of before that can be started still \[D].
    Scheduled,
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

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    pub next: Option<String>,
    pub total: Option<u64>,
}

/// Why Zoom did not do what it was asked: the error table of the facts page, as a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoomError {
    /// A rate limit, ours or Zoom's. Uses no attempt.
    #[error("rate limit: {why}")]
    Limited { until: Timestamp, why: String },
    /// Zoom's limit of what may be created and changed of meetings of one host in a UTC day. Uses no attempt.
    #[error("rate limit: {why}")]
    HostDay { until: Timestamp, why: String },
    /// Zoom's limit of invitations for one account in a UTC day. Uses no attempt.
    #[error("rate limit: {why}")]
    InviteDay { until: Timestamp, why: String },
    /// The email has a user already, in this account or in another.
    #[error("the email is used already: {0}")]
    Exists(String),
    /// Nobody can be made of this email, of this kind or in this way: a rule of the account's or of Zoom's.
    #[error("no user can be made: code {code}, {message}")]
    NotCreatable { code: i64, message: String },
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
    /// The account has no licence left to give.
    #[error("no licence is left: code {code}, {message}")]
    NoSeats { code: i64, message: String },
    /// The meeting is running.
    #[error("the meeting is in progress")]
    InProgress,
    /// "You cannot schedule a meeting for …": the user whose privilege counts may not, or one of the two has no licence.
    /// Zoom does not say which \[F 88501].
    #[error("nobody may schedule this meeting for that user: {0}")]
    CannotScheduleFor(String),
    /// The meeting is of a kind that cannot be moved: instant, a webinar, or as the account forbids.
    #[error("the meeting cannot be moved: {0}")]
    NotMovable(String),
    /// The user may host no meeting.
    #[error("the user may not host: {0}")]
    MayNotHost(String),
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
    /// For logs: what Zoom says in its own words may name a user.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Limited { .. } => "limited",
            Self::HostDay { .. } => "host-day",
            Self::InviteDay { .. } => "invite-day",
            Self::Exists(_) => "exists",
            Self::NotCreatable { .. } => "not-creatable",
            Self::Transient(_) => "transient",
            Self::NotFound(_) => "not-found",
            Self::ScopesMissing(_) => "scopes-missing",
            Self::Credentials(_) => "credentials-refused",
            Self::AlreadyGranted => "already-granted",
            Self::Oneself => "oneself",
            Self::Unlicensed(_) => "unlicensed",
            Self::Full(_) => "full",
            Self::NoSeats { .. } => "no-seats",
            Self::InProgress => "in-progress",
            Self::CannotScheduleFor(_) => "cannot-schedule-for",
            Self::NotMovable(_) => "not-movable",
            Self::MayNotHost(_) => "may-not-host",
            Self::Pending(_) => "pending",
            Self::Refused { .. } => "refused",
            Self::Unreadable(_) => "unreadable",
        }
    }

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
    /// All of them: 30 at most, in one answer \[D].
    async fn assistants(&self, of: &UserKey) -> Result<Vec<Assistant>, ZoomError>;
    /// Everybody for whom the user may schedule, in one answer: no paging is documented, nor how long the list may get
    /// \[D]. It may be cut short, so that who is on it is sure, and who is not has to be asked for.
    async fn schedulers(&self, of: &UserKey) -> Result<Vec<Scheduler>, ZoomError>;
    async fn user_settings(&self, of: &UserKey) -> Result<Object, ZoomError>;
    /// The settings of the account: `in_meeting.co_host` says whether an assistant can be an alternative host \[D, M].
    async fn account_settings(&self) -> Result<Object, ZoomError>;
    async fn groups(&self, page: Page) -> Result<Listed<Group>, ZoomError>;
    async fn group_members(&self, group: &GroupId, page: Page) -> Result<Listed<Member>, ZoomError>;
    async fn meeting(&self, id: MeetingId) -> Result<Meeting, ZoomError>;
    /// A host's meetings, and none that are instant \[D].
    async fn meetings(&self, of: &UserKey, which: Which, page: Page) -> Result<Listed<MeetingRow>, ZoomError>;
    /// Deliveries that failed between two moments of the last seven days.
    async fn failed_deliveries(
        &self,
        app: &MarketplaceId,
        between: (Timestamp, Timestamp),
        page: Page,
    ) -> Result<Listed<FailedDelivery>, ZoomError>;
    /// Makes one change. Success says that Zoom took it; whether it has an effect, only reading back shows: what is set for
    /// a pending user is answered with success and not done \[C `SailPoint`].
    async fn change(&self, intent: &Intent, edit: Edit) -> Result<Made, ZoomError>;
    /// The calls made through this handle so far, oldest first, for the audit log.
    fn calls(&self) -> Vec<Call>;

    async fn add_assistant(&self, intent: &Intent, of: &UserKey, who: &UserKey) -> Result<Made, ZoomError> {
        self.change(intent, Edit::AddAssistants { of: of.clone(), who: vec![who.clone()] }).await
    }

    async fn set_meeting(&self, intent: &Intent, id: MeetingId, to: Leaves) -> Result<Made, ZoomError> {
        self.change(intent, Edit::SetMeeting { id, to }).await
    }
}
