//! What of a move is kept: what was asked for, what may have been done, and what has to be undone.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

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
    /// The same, as people know them.
    #[serde(default)]
    pub named: Option<String>,
    pub since: Timestamp,
    /// It was there before, and stays.
    pub was_there: bool,
    pub ended: Option<Timestamp>,
    /// Why it was not taken back at its end.
    #[serde(default)]
    pub stays: Option<String>,
    /// It is on record that it stays at Zoom, since nobody takes calls for the account any more.
    #[serde(default)]
    pub is_left: bool,
}

impl Lent {
    /// Whether it has to be taken back.
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && !self.was_there
    }

    pub fn is_same(&self, other: &Self) -> bool {
        self.is_between(&other.of, &other.to)
    }

    pub fn is_between(&self, of: &UserId, to: &UserId) -> bool {
        self.of == *of && self.to == *to
    }

    pub fn to_name(&self) -> &str {
        self.named.as_deref().unwrap_or(self.to.as_str())
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

impl Verdict {
    /// There is nothing to do.
    pub(super) fn already(MoveAsked { meeting, to, .. }: &MoveAsked) -> Self {
        let notes = vec![format!("{to} hosts it already")];
        Self::Done { meeting: *meeting, notes, what: format!("meeting {meeting} is {to}'s already") }
    }
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
    /// Who hosted it before.
    #[serde(default)]
    pub from: Option<UserId>,
    /// What Zoom said against it last, so that every attempt after that comes to the same.
    #[serde(default)]
    pub said: Option<Refusal>,
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
            from: None,
            said: None,
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

/// Longer values are kept as their hash alone: all that is kept is in memory.
const VALUE_BYTES_MAX: usize = 256;
/// Of all of them, before the larger fields are kept as the hash of a whole one.
const BEFORE_BYTES_MAX: usize = 24 << 10;
/// The one name in what stands for a value.
const HASH: &str = "sha256";

/// What of a meeting has to stay, to be compared with what comes after it.
pub(super) fn before(meeting: &Meeting) -> Object {
    let stays: Object =
        STAYS.into_iter().filter_map(|name| Some((name.to_owned(), meeting.whole.get(name)?.clone()))).collect();
    let mut kept = stays.clone();
    for (name, value) in &mut kept {
        match value {
            Value::Object(each) if name == "settings" => each.values_mut().for_each(shorten),
            value => shorten(value),
        }
    }
    if bytes(&Value::Object(kept.clone())) <= BEFORE_BYTES_MAX {
        return kept;
    }
    let mut kept = stays;
    kept.values_mut().for_each(shorten);
    kept
}

pub(super) fn bytes(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

fn hash(value: &Value) -> String {
    hex::encode(Sha256::digest(serde_json::to_vec(value).unwrap_or_default()))
}

fn shorten(value: &mut Value) {
    if bytes(value) > VALUE_BYTES_MAX {
        *value = serde_json::json!({ HASH: hash(value) });
    }
}

fn is_same(was: &Value, is: &Value) -> bool {
    was == is || was.get(HASH).and_then(Value::as_str).is_some_and(|was| *was == hash(is))
}

/// What is otherwise after it, by name and never by value: passcodes are among them.
pub(super) fn differs(before: &Object, after: &Meeting) -> Vec<String> {
    let mut names = Vec::new();
    for name in STAYS {
        let (was, is) = (before.get(name).unwrap_or(&Value::Null), after.whole.get(name).unwrap_or(&Value::Null));
        match (was, is) {
            (was, is) if is_same(was, is) => {}
            (Value::Object(was), Value::Object(is)) if name == "settings" && !was.contains_key(HASH) => {
                let all = was.keys().chain(is.keys().filter(|key| !was.contains_key(*key)));
                let of = |all: &Object, key: &str| all.get(key).cloned().unwrap_or_default();
                let changed = all.filter(|key| !is_same(&of(was, key), &of(is, key)));
                names.extend(changed.map(|key| format!("settings.{key}")));
            }
            _ => names.push(name.to_owned()),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::zoom::MeetingStatus;

    fn meeting(settings: &Value) -> Meeting {
        let Value::Object(whole) = json!({ "topic": "Algebra", "settings": settings }) else { panic!() };
        Meeting {
            id: MeetingId::from_number(7),
            host_id: None,
            host_email: None,
            assistant_id: None,
            kind: Some(2),
            status: MeetingStatus::Waiting,
            settings: Object::new(),
            whole,
        }
    }

    #[test]
    fn what_is_otherwise_is_named_however_much_there_is_of_it() {
        let long = |end: &str| format!("{}{end}", "x".repeat(70 << 10));
        let kept = before(&meeting(&json!({ "long": long("a"), "short": 1 })));
        assert!(bytes(&kept.clone().into()) < 1_000);
        let after = |settings: Value| differs(&kept, &meeting(&settings));
        assert_eq!(after(json!({ "long": long("a"), "short": 1 })), [""; 0]);
        assert_eq!(after(json!({ "long": long("b"), "short": 1 })), ["settings.long"]);
        assert_eq!(after(json!({ "long": long("a"), "short": 2, "new": 3 })), ["settings.short", "settings.new"]);
        assert_eq!(after(json!({ "short": 1 })), ["settings.long"]);
        let many = |value: i64| Value::from((0..5_000).map(|n| (format!("s{n}"), json!(value))).collect::<Object>());
        let kept = before(&meeting(&many(1)));
        assert!(bytes(&kept.clone().into()) < 1_000);
        assert_eq!(differs(&kept, &meeting(&many(1))), [""; 0]);
        assert_eq!(differs(&kept, &meeting(&many(2))), ["settings"]);
    }

    #[test]
    fn what_was_kept_in_full_before_is_compared_as_it_is() {
        let Value::Object(kept) = json!({ "topic": "Algebra", "settings": { "a": "x".repeat(1000) } }) else {
            panic!()
        };
        assert_eq!(differs(&kept, &meeting(&json!({ "a": "x".repeat(1000) }))), [""; 0]);
        assert_eq!(differs(&kept, &meeting(&json!({ "a": "y".repeat(1000) }))), ["settings.a"]);
    }
}
