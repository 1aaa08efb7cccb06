//! What the simulated Zoom answers: statuses, bodies, and every error text it has.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::clock::Timestamp;

use super::body::Object;
use super::oauth::OauthError;

/// One HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    pub(crate) fn object(status: u16, body: Object) -> Self {
        Self::text(status, body.finish())
    }

    pub(crate) fn text(status: u16, body: String) -> Self {
        let headers = vec![("Content-Type", "application/json;charset=UTF-8".to_owned())];
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        let headers = vec![("Content-Type", "text/html;charset=UTF-8".to_owned())];
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn error(status: u16, code: u32, message: &str) -> Self {
        Self::object(status, Object::new().put("code", code).put("message", message))
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// One header's value, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// `2018-10-31T04:32:37Z`, as Zoom prints moments.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_secs()).map_or_else(|_| at.to_string(), |at| at.to_string())
}

/// Everything that Zoom refuses to do here, with the exact text of api.md §5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// \[F 74432]
    #[error("Invalid access token.")]
    InvalidToken,
    /// \[M]
    #[error("Access token is expired.")]
    ExpiredToken,
    /// Why a general app's token is dead, where the API says it.
    #[error("{}", .0.message())]
    DeadToken(OauthError),
    /// \[F 108207]; the HTTP status is \[M] and can be set.
    #[error("Invalid access token, does not contain scopes:[{scopes}].")]
    Scopes { scopes: String, status: u16 },
    /// \[M]
    #[error("This API endpoint is not recognized.")]
    NoSuchEndpoint,
    /// \[E22]
    #[error("Current account must be paid account: {0}")]
    FreeAccount(String),
    /// \[E22]; of the user or of the assistant, by id or by email.
    #[error("The user must either be a Licensed user or an On-prem user : {0}.")]
    NotLicensed(String),
    /// \[E22]
    #[error("Can't assign scheduling privilege to yourself.")]
    Yourself,
    /// \[E22]
    #[error("Can't find user {0}.")]
    CannotFind(String),
    /// \[E18]
    #[error("User {0} doesn't belong to current account.")]
    OtherAccount(String),
    /// \[E22]
    #[error("User {0} has already granted scheduling privilege.")]
    AlreadyGranted(String),
    /// The same \[E18].
    #[error("User {0} already has the scheduling privilege for you.")]
    AlreadyHas(String),
    /// \[E22] The field and its message are \[I].
    #[error("Validation Failed.")]
    Validation { field: &'static str, message: String },
    /// \[E22]
    #[error("Request Body should be a valid JSON object.")]
    NotAnObject,
    /// \[M]
    #[error("The next page token is either invalid or has expired.")]
    BadPageToken,
    /// \[D U]
    #[error("User does not exist: {0}.")]
    NoSuchUser(String),
    /// \[D MT]
    #[error("Meeting does not exist: {0}.")]
    NoSuchMeeting(String),
    /// \[D MT]
    #[error("The value that you entered in the schedule_for field is invalid. Enter a valid value and try again.")]
    BadScheduleFor,
    /// \[D MT]: no privilege, unlicensed, or the wrong creator.
    #[error("You cannot schedule a meeting for {0}")]
    CannotScheduleFor(String),
    /// The code is \[D MT], the words are \[M].
    #[error("Instant meetings do not support the schedule_for parameter.")]
    InstantMeeting,
    /// The code is \[D MT], the words are \[I].
    #[error("Pre-scheduled meetings do not support the schedule_for parameter.")]
    PreScheduled,
    /// The code and the end of the words are \[D MT].
    #[error("You cannot schedule a meeting for a user outside of your account for a meeting with continuous chat.")]
    ChatOutside,
    /// The code is \[D MT], the words are \[I].
    #[error("You cannot schedule a meeting with {0}, who is of a blocked domain.")]
    BlockedDomain(String),
    /// \[D MT], of a webinar that is asked for as a meeting.
    #[error("Cannot access webinar info.")]
    Webinar,
    /// The privilege was lost, or not both are licensed \[D of 2018 and 2024, KB].
    #[error("Not meeting host")]
    NotMeetingHost,
    /// \[D MT]
    #[error("Your user account is not allowed meeting hosting and scheduling capabilities.")]
    MayNotHost,
    /// The code is \[D MT], the words those of a published integration's documents \[C].
    #[error("You cannot update or delete meetings that have started using this method")]
    InProgress,
    /// \[E22], and 409 of \[D U].
    #[error("Email \"{0}\" has already been used.")]
    EmailTaken(String),
    /// The code is \[E22], the words are \[I].
    #[error("The user already holds an active account: {0}.")]
    ActiveElsewhere(String),
    /// The code is one of those for domains \[E22], the words are \[I].
    #[error("The email's domain is not managed by this account.")]
    NoManagedDomain,
    /// The code is one of those for single sign-on \[E22], the words are \[I].
    #[error("Single sign-on is not enabled for this account.")]
    NoSingleSignOn,
    /// No code is documented \[I].
    #[error("This account may not create custom users.")]
    NoCustomUsers,
    /// The code is \[E22], the words are \[I].
    #[error("Invite not found.")]
    NoInvite,
    /// The code is one of four for seats \[E18, E22], the words are \[I].
    #[error("You have reached the maximum number of licensed users.")]
    NoSeats(u32),
    /// The account's invitations of a day \[D U].
    #[error("{}", super::limit::TooMany::Invites.text())]
    Invites,
    /// \[E18]
    #[error("Can not access pending user settings.")]
    PendingSettings,
    /// The code is \[E22], the words are \[M].
    #[error("Group does not exist: {0}.")]
    NoSuchGroup(String),
    /// \[D U], of groups.
    #[error("Only available for paid accounts.")]
    PaidOnly,
    /// One user's 100 creates and updates a day \[F 18928].
    #[error("{}", super::limit::TooMany::UserDaily.text())]
    UserDaily,
}

impl Refusal {
    pub const fn status(&self) -> u16 {
        match self {
            Self::InvalidToken | Self::ExpiredToken | Self::DeadToken(_) => 401,
            Self::Scopes { status, .. } => *status,
            Self::NoSuchEndpoint | Self::NoSuchUser(_) | Self::NoSuchMeeting(_) | Self::NoSuchGroup(_) => 404,
            Self::EmailTaken(_) => 409,
            Self::UserDaily | Self::Invites => 429,
            _ => 400,
        }
    }

    /// Code 200 stands for half a dozen failures, as at Zoom.
    pub const fn code(&self) -> u32 {
        match self {
            Self::InvalidToken | Self::ExpiredToken => 124,
            Self::DeadToken(error) => error.code(),
            Self::Scopes { .. } => 4711,
            Self::NoSuchEndpoint => 2300,
            Self::FreeAccount(_)
            | Self::NotLicensed(_)
            | Self::Yourself
            | Self::CannotFind(_)
            | Self::OtherAccount(_)
            | Self::AlreadyGranted(_)
            | Self::AlreadyHas(_)
            | Self::NoCustomUsers
            | Self::PaidOnly => 200,
            Self::NoSeats(code) => *code,
            Self::ActiveElsewhere(_) => 1009,
            Self::NoManagedDomain => 1107,
            Self::NoSingleSignOn => 2002,
            Self::NoInvite => 1120,
            Self::PendingSettings => 1000,
            Self::NoSuchGroup(_) => 4130,
            Self::Validation { .. } | Self::NotAnObject | Self::BadPageToken | Self::BadScheduleFor => 300,
            Self::NoSuchUser(_) => 1001,
            Self::EmailTaken(_) => 1005,
            Self::NoSuchMeeting(_) => 3001,
            Self::CannotScheduleFor(_)
            | Self::InstantMeeting
            | Self::PreScheduled
            | Self::ChatOutside
            | Self::BlockedDomain(_)
            | Self::Webinar => 3000,
            Self::NotMeetingHost => 3003,
            Self::InProgress => 3002,
            Self::MayNotHost => 3161,
            Self::UserDaily | Self::Invites => 429,
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        let body = Object::new().put("code", self.code()).put("message", self.to_string());
        let body = match self {
            Self::Validation { field, message } => body.put("errors", json!([{ "field": field, "message": message }])),
            _ => body,
        };
        Answer::object(self.status(), body)
    }
}
