//! What can be changed at Zoom: each change is a value.

use serde::{Deserialize, Serialize};

use super::port::Object;
use crate::account::UserKey;
use crate::ids::{Email, GroupId, MeetingId, UserId};
use crate::rules::{Leaves, MeetingState};

/// How a user comes to be \[D].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub enum CreateAction {
    /// An invitation by mail: the user is pending until it is accepted.
    #[default]
    #[serde(rename = "create")]
    Create,
    /// Without one, in an enterprise with a managed domain.
    #[serde(rename = "autoCreate")]
    AutoCreate,
    /// For integrators with a contract: such a user cannot log in.
    #[serde(rename = "custCreate")]
    CustCreate,
    /// For single sign-on, before the first one.
    #[serde(rename = "ssoCreate")]
    SsoCreate,
}

impl CreateAction {
    pub const ALL: [Self; 4] = [Self::Create, Self::AutoCreate, Self::CustCreate, Self::SsoCreate];

    /// As Zoom writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::AutoCreate => "autoCreate",
            Self::CustCreate => "custCreate",
            Self::SsoCreate => "ssoCreate",
        }
    }

    /// Whether it counts against the invitations that an account has for a day \[D].
    pub const fn invites(self) -> bool {
        matches!(self, Self::Create)
    }
}

/// A user to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    pub action: CreateAction,
    /// 128 bytes at most \[D].
    pub email: Email,
    /// 64 bytes at most, as the last name; 128 of the display name \[D].
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub display_name: Option<String>,
    /// The licence: 1 Basic, 2 Licensed.
    pub kind: i64,
}

/// How a user leaves the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Gone from Zoom with everything; else only out of the account. A pending user can only be disassociated \[D].
    pub is_for_good: bool,
    /// Who gets the meetings, webinars and recordings; without one they are lost.
    pub transfer_to: Option<Email>,
}

/// One change at Zoom. All of them but the creation of a user or a meeting are idempotent: what is as wanted already stays
/// so. Whoever creates one, and lost the answer, looks for it before it creates one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    CreateUser(NewUser),
    /// Deactivated, a user has no licence and cannot log in; activated, no licence still \[D].
    SetUserActive {
        of: UserKey,
        to: bool,
    },
    RemoveUser {
        of: UserKey,
        how: Removal,
    },
    /// For a pending user, who can be in no other way put into one \[D].
    SetPendingGroup {
        of: UserKey,
        group: GroupId,
    },
    /// [`ASSISTANTS_MAX`] at most.
    AddAssistants {
        of: UserKey,
        who: Vec<UserKey>,
    },
    RemoveAssistant {
        of: UserKey,
        who: UserKey,
    },
    /// All of them.
    RemoveAssistants {
        of: UserKey,
    },
    /// Takes from `of` the right to schedule for `who`.
    RemoveScheduler {
        of: UserKey,
        who: UserKey,
    },
    /// Takes from `of` the right to schedule for anybody.
    RemoveSchedulers {
        of: UserKey,
    },
    /// The licence: 1 Basic, 2 Licensed.
    SetUserKind {
        of: UserKey,
        kind: i64,
    },
    /// Feature flags are leaves of the branch `feature`.
    SetUserSettings {
        of: UserKey,
        to: Leaves,
    },
    /// [`GROUP_MEMBERS_AT_ONCE`] at most.
    AddToGroup {
        group: GroupId,
        who: Vec<UserKey>,
    },
    RemoveFromGroup {
        group: GroupId,
        who: UserId,
    },
    SetMeeting {
        id: MeetingId,
        to: Leaves,
    },
    /// A meeting in the path of this user, who counts when it is moved later. `schedule_for` among the fields names another
    /// host.
    CreateMeeting {
        path: UserKey,
        fields: Object,
    },
    /// Fields as Zoom names them.
    UpdateMeeting {
        id: MeetingId,
        fields: Object,
    },
    /// Gives it another host, in place: number, link, passcode and recurrence stay \[C].
    MoveMeeting {
        id: MeetingId,
        to: UserKey,
    },
    DeleteMeeting {
        id: MeetingId,
    },
    /// Ends the run that is in progress, or recovers a meeting that was deleted. No draw on the host's 100 changes a day is
    /// documented, and ending is said to be exempt \[F]: it is not counted here, and a 429 that names that limit counts.
    SetMeetingStatus {
        id: MeetingId,
        to: MeetingState,
    },
}

/// What a change made, where Zoom's answer says so and nothing else would: a new meeting. Who is created is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Made {
    pub meeting: Option<MeetingId>,
}

/// How many assistants a user can have, and how many one call can add \[D: the specification's `maxItems`].
pub const ASSISTANTS_MAX: usize = 30;
/// How many members one call can add \[D: the specification's `maxItems`].
pub const GROUP_MEMBERS_AT_ONCE: usize = 30;
