//! What of a move is kept: what was asked for, what may have been done, and what has to be undone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::{MeetingId, UserId};
use crate::work::errand::{Making, Refusal};
use crate::zoom::{Meeting, Object};

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own that somebody may ask for")]
pub struct MoveAsked {
    pub meeting: MeetingId,
    /// Who is to host it.
    pub to: UserKey,
    /// Where only the privilege is missing it is lent: granted, and taken back after.
    #[serde(default)]
    pub lend: bool,
    /// Where it cannot be moved, that user becomes an alternative host.
    #[serde(default)]
    pub alternative: bool,
    /// Where it cannot be moved, a new meeting is made, and the old one deleted then.
    #[serde(default)]
    pub recreate: bool,
    /// One that is running is moved when it has ended.
    #[serde(default)]
    pub when_ended: bool,
    /// Where today's budgets are used up it is refused, and does not wait for tomorrow's.
    #[serde(default)]
    pub no_wait: bool,
}

/// A privilege that was granted for this move alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// Whose meetings can be seen and changed meanwhile.
    pub of: UserId,
    /// Who can.
    pub to: UserId,
    pub since: Timestamp,
    /// It was there before, and stays.
    pub was_there: bool,
    pub ended: Option<Timestamp>,
}

impl Lent {
    /// Whether it has to be taken back.
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && !self.was_there
    }

    pub fn is_same(&self, other: &Self) -> bool {
        self.of == other.of && self.to == other.to
    }
}

/// What was decided; what was lent is taken back, then it ends so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Done { meeting: MeetingId, notes: Vec<String>, what: String },
    Refused(Refusal),
    Cancelled(String),
}

/// A move, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    pub asked: MoveAsked,
    /// The user whose privilege was relied on; with it, the meeting may have been moved already.
    #[serde(default)]
    pub tried: Option<UserId>,
    /// Whose privilege Zoom did not take, though it is there.
    #[serde(default)]
    pub refused: Vec<UserId>,
    /// What of the meeting has to stay as it was.
    #[serde(default)]
    pub before: Option<Object>,
    #[serde(default)]
    pub lent: Option<Lent>,
    /// How far the new meeting is, where one is made.
    #[serde(default)]
    pub anew: Making,
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

impl Moving {
    pub fn new(asked: MoveAsked) -> Self {
        Self {
            asked,
            tried: None,
            refused: Vec::new(),
            before: None,
            lent: None,
            anew: Making::default(),
            verdict: None,
        }
    }

    /// What has to be taken back still.
    pub fn open(&self) -> Option<&Lent> {
        self.lent.as_ref().filter(|lent| lent.is_open())
    }
}

/// What a new host must not change: link, passcode, recurrence, settings and all that people see of it.
const STAYS: [&str; 10] =
    ["type", "topic", "agenda", "start_time", "duration", "timezone", "password", "join_url", "recurrence", "settings"];

/// What of a meeting has to stay.
pub(super) fn before(meeting: &Meeting) -> Object {
    let kept = STAYS.into_iter().filter_map(|name| Some((name.to_owned(), meeting.whole.get(name)?.clone())));
    kept.collect()
}

/// What is otherwise after it, by name and never by value: passcodes are among them.
pub(super) fn differs(before: &Object, after: &Meeting) -> Vec<String> {
    let mut names = Vec::new();
    for name in STAYS {
        let (was, is) = (before.get(name).unwrap_or(&Value::Null), after.whole.get(name).unwrap_or(&Value::Null));
        match (was, is) {
            (Value::Object(was), Value::Object(is)) if name == "settings" => {
                let all = was.keys().chain(is.keys().filter(|key| !was.contains_key(*key)));
                let changed = all.filter(|key| was.get(*key) != is.get(*key));
                names.extend(changed.map(|key| format!("settings.{key}")));
            }
            (was, is) if was != is => names.push(name.to_owned()),
            _ => {}
        }
    }
    names
}
