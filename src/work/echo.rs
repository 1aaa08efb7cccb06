//! Zoom tells of each change, also of ours: what tells of nothing else is an echo, and no news.
//!
//! Sure, or not at all: an echo names a subject that we changed, all that we changed of it and nothing else, and happened
//! when we did it. What is remembered was read back, and is in memory only: after a restart an echo costs a read.
//! Assistants are not here, since no event tells of them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Facts;
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::event::wire::Changed;
use crate::event::{Event, MeetingChange, UserChange, What};
use crate::ids::{AccountId, JobId, RuleName, UserId};
use crate::job::Job;
use crate::rules::{Leaves, Rule, Step};
use crate::zoom::Edit;

/// Zoom's clock may be so much behind ours.
const EARLY: Duration = Duration::from_secs(2);
/// An event happens so soon after its change, when that was read back.
const LATE: Duration = Duration::from_secs(10);
/// Zoom delivers for so long; what comes later is no echo any more.
const REMEMBERED: Duration = Duration::from_secs(2 * 3600);
/// Beyond so many subjects, only those of the last minutes are remembered.
const SUBJECTS_MAX: usize = 50_000;
const REMEMBERED_WHEN_MANY: Duration = Duration::from_secs(300);
/// Of one subject; the oldest go.
const OF_ONE_MAX: usize = 16;

/// Changes of an account's subjects, by the key of the subject.
pub(super) type Wrote = HashMap<String, Vec<Written>>;

/// A change that was made for a rule, and read back.
#[derive(Debug, Clone)]
pub(super) struct Written {
    job: JobId,
    /// With its fingerprint: one that was changed since may want something else.
    rule: (RuleName, [u8; 16]),
    began: Timestamp,
    ended: Timestamp,
    edit: Edit,
}

/// What an event tells of: a change of ours.
#[derive(Debug)]
pub struct Echo {
    pub job: JobId,
    rule: (RuleName, [u8; 16]),
    edit: Edit,
}

impl Facts {
    /// The job made these changes for its rule, each at its moment, and has read them back.
    pub(super) fn wrote(&self, job: &Job, rule: &Rule, changes: Vec<(Timestamp, Edit)>, now: Timestamp) {
        let rule = (rule.name.clone(), rule.fingerprint());
        self.with_wrote(&job.account, |wrote| {
            for (began, edit) in changes {
                let Some(key) = subject_of(&edit) else { continue };
                let of_one = wrote.entry(key).or_default();
                of_one.push(Written { job: job.id, rule: rule.clone(), began, ended: now, edit });
                of_one.drain(..of_one.len().saturating_sub(OF_ONE_MAX));
            }
            if wrote.len() > SUBJECTS_MAX {
                let is_new = |one: &Written| now.since(one.ended) < REMEMBERED_WHEN_MANY;
                wrote.retain(|_, of_one| of_one.iter().any(is_new));
            }
        });
    }

    /// The change of ours that the event tells of, and of nothing else. `changed` reads what that says; it is asked only where
    /// something was changed of the event's subject.
    pub fn echo(
        &self,
        account: &AccountId,
        event: &Event,
        now: Timestamp,
        changed: impl FnOnce() -> Option<Changed>,
    ) -> Option<Echo> {
        let (at, key) = (event.at?, told_subject(event)?);
        let is_near = |one: &Written| one.began.minus(EARLY) <= at && at <= one.ended.plus(LATE);
        let near: Vec<Written> = self.with_wrote(account, |wrote| {
            let of_one = wrote.get_mut(&key)?;
            of_one.retain(|one| now.since(one.ended) < REMEMBERED);
            Some(of_one.iter().filter(|one| is_near(one)).cloned().collect())
        })?;
        if near.is_empty() {
            return None;
        }
        let changed = changed()?;
        let told = near.into_iter().find(|one| one.is_told_by(event, &changed))?;
        Some(Echo { job: told.job, rule: told.rule, edit: told.edit })
    }
}

impl Echo {
    /// Whether there is nothing to do for a step: it is the rule's own change, which it has read back, or the rule looks at
    /// nothing that was changed.
    pub fn answers(&self, step: &Step, rules: &[Rule]) -> bool {
        let Step::Ensure { rule, .. } = step else { return false };
        let Some(rule) = rules.iter().find(|one| one.name == *rule) else { return false };
        if rule.name == self.rule.0 {
            return rule.fingerprint() == self.rule.1;
        }
        match &self.edit {
            // It asks about the event, whatever that tells of.
            _ if rule.on.is_some() => false,
            Edit::SetMeeting { to, .. } => !rule.asks_for_settings() && !share(&rule.ensure.settings, to),
            Edit::SetUserSettings { to, .. } => !rule.asks_for_settings() && !share(&rule.ensure.user_settings(), to),
            _ => false,
        }
    }
}

fn share(one: &Leaves, other: &Leaves) -> bool {
    one.named_twice(other).is_some()
}

/// The key under which the subject of a change is known; none where no event would tell of it by that.
fn subject_of(edit: &Edit) -> Option<String> {
    let by_id = |key: &UserKey| match key {
        UserKey::Id(id) => Some(user(id)),
        UserKey::Email(_) => None,
    };
    match edit {
        Edit::SetMeeting { id, .. } => Some(format!("meeting:{id}")),
        Edit::SetUserKind { of, .. } | Edit::SetUserSettings { of, .. } => by_id(of),
        Edit::AddToGroup { who, .. } => match who.as_slice() {
            [one] => by_id(one),
            _ => None,
        },
        // Of a status the event is another than those that ask for it.
        Edit::CreateUser(_)
        | Edit::SetUserActive { .. }
        | Edit::RemoveUser { .. }
        | Edit::SetPendingGroup { .. }
        | Edit::SetMeetingStatus { .. }
        | Edit::AddAssistants { .. }
        | Edit::RemoveAssistant { .. }
        | Edit::RemoveAssistants { .. }
        | Edit::RemoveScheduler { .. }
        | Edit::RemoveSchedulers { .. }
        | Edit::CreateMeeting { .. }
        | Edit::UpdateMeeting { .. }
        | Edit::MoveMeeting { .. }
        | Edit::DeleteMeeting { .. }
        | Edit::RemoveFromGroup { .. } => None,
    }
}

fn user(id: &UserId) -> String {
    format!("user:{id}")
}

/// The subject of an event that can be an echo.
fn told_subject(event: &Event) -> Option<String> {
    match &event.what {
        What::Meeting { change: MeetingChange::Updated, meeting } => Some(format!("meeting:{}", meeting.id)),
        What::User { change: UserChange::Updated | UserChange::SettingsUpdated, user: told } => {
            told.id.as_ref().map(user)
        }
        What::GroupMembers { users } => match users.as_slice() {
            [one] => one.id.as_ref().map(user),
            _ => None,
        },
        _ => None,
    }
}

impl Written {
    /// Whether the event tells of all that was changed, and of nothing else.
    fn is_told_by(&self, event: &Event, changed: &Changed) -> bool {
        let Changed { id, new, old } = changed;
        let old = old.as_ref();
        match (&self.edit, event.name.as_str()) {
            (Edit::SetMeeting { to, .. }, "meeting.updated") => has_only(new, &["settings"]) && tells_of(to, new, old),
            (Edit::SetUserSettings { to, .. }, "user.settings_updated") => {
                has_only(new, &["settings"]) && tells_of(to, new, old)
            }
            (Edit::SetUserKind { kind, .. }, "user.updated") => {
                let is_wanted = |value: &Value| value.as_i64() == Some(*kind);
                let was_other = old.and_then(|old| old.get("type")).is_some_and(|was| !is_wanted(was));
                has_only(new, &["type"]) && new.get("type").is_some_and(is_wanted) && was_other
            }
            (Edit::AddToGroup { group, .. }, "group.member_added" | "group.members_added") => {
                let members = new.get("members").and_then(Value::as_array).map_or(0, Vec::len);
                has_only(new, &["name", "members"]) && id.as_deref() == Some(group.as_str()) && members == 1
            }
            _ => false,
        }
    }
}

fn has_only(object: &Map<String, Value>, names: &[&str]) -> bool {
    object.keys().all(|name| names.contains(&name.as_str()))
}

/// Whether these settings, all of them and no others, became so and were otherwise before.
fn tells_of(to: &Leaves, new: &Map<String, Value>, old: Option<&Map<String, Value>>) -> bool {
    let leaves = |object: &Map<String, Value>| object.get("settings").and_then(Value::as_object).map(Leaves::of);
    let (Some(new), Some(old)) = (leaves(new), old.and_then(leaves)) else { return false };
    let is_as_long = |other: &Leaves| other.iter().count() == to.iter().count();
    let is_told = |(path, wanted): (&[String], &Value)| {
        new.leaf(path).is_some_and(|is| Leaves::agree(path, wanted, is))
            && old.leaf(path).is_some_and(|was| !Leaves::agree(path, wanted, was))
    };
    is_as_long(&new) && is_as_long(&old) && to.iter().all(is_told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::signature::Verified;
    use crate::event::wire;
    use crate::ids::GroupId;

    fn is_told(edit: Edit, event: &str, (id, new, old): (&str, Value, Value)) -> bool {
        let object = |value: Value| value.as_object().cloned();
        let body = json!({ "event": event, "event_ts": 1, "payload": { "account_id": "a", "object": { "id": id } } });
        let event = wire::parse(&Verified::reread(body.to_string().into(), 0, None)).unwrap();
        let changed = Changed { id: Some(id.to_owned()), new: object(new).unwrap(), old: object(old) };
        let rule = (RuleName::parse("one").unwrap(), [0; 16]);
        let (began, ended) = (Timestamp::EPOCH, Timestamp::EPOCH);
        Written { job: JobId::from_number(1), rule, began, ended, edit }.is_told_by(&event, &changed)
    }

    #[test]
    fn an_echo_of_a_licence_or_a_group_tells_of_that_alone_and_of_what_was_before() {
        let of = UserKey::Id(UserId::parse("u1").unwrap());
        let kind = |new: Value, old: Value| {
            is_told(Edit::SetUserKind { of: of.clone(), kind: 2 }, "user.updated", ("u1", new, old))
        };
        assert!(kind(json!({ "type": 2 }), json!({ "type": 1 })), "the control");
        for (new, old) in [
            (json!({ "type": 2 }), json!({ "type": 2 })),
            (json!({ "type": 2 }), json!({})),
            (json!({ "type": 2 }), Value::Null),
            (json!({ "type": 1 }), json!({ "type": 2 })),
            (json!({ "type": 2, "dept": "x" }), json!({ "type": 1, "dept": "y" })),
        ] {
            assert!(!kind(new.clone(), old.clone()), "{new} {old}");
        }
        let group = |id: &str, new: Value| {
            let edit = Edit::AddToGroup { group: GroupId::parse("g1").unwrap(), who: vec![of.clone()] };
            is_told(edit, "group.member_added", (id, new, Value::Null))
        };
        let one = json!({ "name": "Staff", "members": [{ "id": "u1" }] });
        assert!(group("g1", one.clone()), "the control");
        assert!(!group("g2", one));
        assert!(!group("g1", json!({ "name": "Staff", "members": [{ "id": "u1" }, { "id": "u2" }] })));
        assert!(!group("g1", json!({ "name": "Staff" })));
    }
}
