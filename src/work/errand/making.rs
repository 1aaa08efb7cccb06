//! The making of a meeting, as it is kept: what was asked for, and how far it is.

use serde::{Deserialize, Serialize};

use super::ScheduleAsked;
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::{AccountId, MeetingId, UserId};
use crate::work::onboard::hashed;
use crate::zoom::Object;

/// How far the making of a meeting is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Making {
    #[default]
    Asked,
    /// It may have been made, whether or not Zoom's answer came.
    Tried { path: UserKey, host: UserId, since: Timestamp },
    /// It was made, and is this one.
    Made { id: MeetingId, path: UserKey, host: UserId },
}

impl Making {
    pub const fn host(&self) -> Option<&UserId> {
        match self {
            Self::Asked => None,
            Self::Tried { host, .. } | Self::Made { host, .. } => Some(host),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduling {
    pub asked: ScheduleAsked,
    #[serde(default)]
    pub making: Making,
    /// Of the fields, which are not kept any more: it tells the same request from another.
    #[serde(default)]
    pub(super) fields_hash: Option<[u8; 16]>,
}

impl Scheduling {
    pub const fn new(asked: ScheduleAsked) -> Self {
        Self { asked, making: Making::Asked, fields_hash: None }
    }

    pub(super) fn without_fields(self, account: &AccountId) -> Self {
        let fields_hash = self.fields_hash.unwrap_or_else(|| hash_of(account, &self.asked.fields));
        let asked = ScheduleAsked { fields: Object::new(), ..self.asked };
        Self { asked, making: self.making, fields_hash: Some(fields_hash) }
    }

    /// Whether this asks for the same.
    pub(super) fn asks_as(&self, other: &ScheduleAsked, account: &AccountId) -> bool {
        let Some(hash) = self.fields_hash else { return self.asked == *other };
        hash == hash_of(account, &other.fields)
            && self.asked == ScheduleAsked { fields: Object::new(), ..other.clone() }
    }
}

fn hash_of(account: &AccountId, fields: &Object) -> [u8; 16] {
    // Names are in order, and encoding plain data has nothing that could fail.
    let text = serde_json::to_string(fields).unwrap_or_default();
    hashed(b"adjutant fields\0", account, &text)
}
