//! What Zoom says: a verified request ([`signature`]) and the event in it ([`wire`]).
//!
//! Pure: no clock, no store, no network. [`signature::verify`] is the only maker of a [`signature::Verified`], and that is
//! all that [`wire::parse`] takes: no unsigned byte reaches a parser.

pub mod fold;
pub mod signature;
pub mod wire;

use crate::clock::Timestamp;
use crate::ids::{AccountId, Email, MeetingId, MeetingUuid, UserId};

/// One event, parsed leniently: Zoom's own samples break Zoom's own schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// As in `user.created`; at most 128 bytes.
    pub name: String,
    /// The account that the body claims. It counts only where the verified app holds that account.
    pub account: Option<AccountId>,
    /// `event_ts`: when it happened, in Zoom's words. Missing or not a number in some events.
    pub at: Option<Timestamp>,
    /// Equal for two events that mean the same: account, event, `event_ts`, payload without volatile fields.
    /// None where `event_ts` is missing.
    pub meaning: Option<Meaning>,
    pub what: What,
}

/// See [`Event::meaning`]: 16 bytes of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Meaning(pub [u8; 16]);

/// The events that something is done about; all others are stored and recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    UrlValidation {
        plain_token: String,
    },
    User {
        change: UserChange,
        user: UserRef,
    },
    Meeting {
        change: MeetingChange,
        meeting: MeetingRef,
    },
    /// These users came into a group or left it.
    GroupMembers {
        users: Vec<UserRef>,
    },
    /// An admin removed the app; of several, this one.
    AppDeauthorized {
        user: Option<UserId>,
    },
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    Created,
    Activated,
    InvitationAccepted,
    Updated,
    /// Some of the user's settings.
    SettingsUpdated,
    Deleted,
    Deactivated,
    Disassociated,
}

impl UserChange {
    /// Whether the user is out of reach after it, so that waiting work for them has no more sense.
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Deleted | Self::Deactivated | Self::Disassociated)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeetingChange {
    Created,
    Updated,
    Started,
    Ended,
    Deleted,
}

/// The user that an event is about; at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRef {
    pub id: Option<UserId>,
    pub email: Option<Email>,
}

/// The meeting that an event is about. `meeting.updated` may lack host and UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingRef {
    pub id: MeetingId,
    pub uuid: Option<MeetingUuid>,
    pub host: Option<UserId>,
}
