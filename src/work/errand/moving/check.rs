//! Whether Zoom will take a move, said before it is asked: by the meeting, both users, and whose privilege counts.
//!
//! The user in whose path the meeting was made counts, whoever calls \[F 88501]. The meeting's `assistant_id` names that user
//! where somebody scheduled it for the host; else the host did \[D]. Which of the two it is after a second move is not documented:
//! the favoured one is tried first, then the other.

use serde_json::Value;

use crate::account::UserKey;
use crate::ids::{AccountId, UserId};
use crate::work::errand::Refusal;
use crate::zoom::{ASSISTANTS_MAX, Assistant, Meeting, MeetingStatus, Status, User};

/// The user whose privilege counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub id: UserId,
    /// As people know them.
    pub name: String,
    pub why: &'static str,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// That user hosts it already.
    Already,
    /// Zoom will take it.
    Yes { by: Principal },
    /// The one thing that is missing. `lacks` where it is the privilege alone.
    No { refusal: Refusal, lacks: Option<Principal> },
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub account: &'a AccountId,
    pub meeting: &'a Meeting,
    /// As who asked named the new host.
    pub key: &'a UserKey,
    /// None where the account has no such user.
    pub to: Option<&'a User>,
    /// Whose privilege counts, and the user, where Zoom knows it.
    pub principal: Option<(&'a Principal, Option<&'a User>)>,
    /// Of the new host.
    pub assistants: &'a [Assistant],
}

/// Who may count, the favoured first; without those whom Zoom did not take.
pub(super) fn principals(meeting: &Meeting, remembered: Option<&UserId>, refused: &[UserId]) -> Vec<Principal> {
    let mut all: Vec<Principal> = Vec::new();
    let candidates = [
        (remembered, "whose privilege counted when it was moved before"),
        (meeting.assistant_id.as_ref(), "who scheduled it for its host"),
        (meeting.host_id.as_ref(), "who hosts it"),
    ];
    for (id, why) in candidates {
        let Some(id) = id.filter(|id| !refused.contains(id) && all.iter().all(|one| one.id != **id)) else { continue };
        let is_host = meeting.host_id.as_ref() == Some(id);
        let email = meeting.host_email.as_ref().filter(|_| is_host);
        let name = email.map_or_else(|| id.to_string(), ToString::to_string);
        all.push(Principal { id: id.clone(), name, why });
    }
    all
}

fn no(code: &str, why: String, advice: Option<&str>) -> Checked {
    let refusal = Refusal { code: code.to_owned(), why, advice: advice.map(str::to_owned) };
    Checked::No { refusal, lacks: None }
}

/// Says yes, or the one thing that is missing.
pub(super) fn check(sight: &Sight<'_>) -> Checked {
    let Sight { meeting, key, .. } = sight;
    let id = meeting.id;
    if matches!(meeting.kind, Some(5 | 6 | 9)) {
        return no("webinar", format!("{id} is a webinar, which cannot be given another host"), None);
    }
    if meeting.is_instant() {
        return no("instant-meeting", format!("meeting {id} is instant: it cannot be given another host"), None);
    }
    if let Some(refused) = of_host(sight) {
        return refused;
    }
    let Some(to) = sight.to else { return unknown(key, sight.account) };
    if to.id.is_some() && to.id == meeting.host_id {
        return Checked::Already;
    }
    if meeting.status == MeetingStatus::Started {
        let advice = "ask with --when-ended: it is moved when it has ended";
        return no(
            "in-progress",
            format!("meeting {id} is running, and cannot be given another host meanwhile"),
            Some(advice),
        );
    }
    let Some((by, user)) = sight.principal else {
        return no(
            "principal-unknown",
            format!("Zoom does not say who made meeting {id}, and nobody else counts"),
            None,
        );
    };
    if to.id.as_ref() == Some(&by.id) {
        return Checked::Yes { by: by.clone() };
    }
    let who = format!("{}, {},", by.name, by.why);
    match user {
        None => {
            let why = format!("{who} is gone, and so is the privilege that counts");
            return no("principal-gone", why, None);
        }
        Some(user) if user.status != Status::Active => {
            let advice = "activate that user in Zoom's admin pages, then ask again";
            return no("principal-inactive", format!("{who} is not active, and their privilege counts"), Some(advice));
        }
        Some(user) if !user.is_licensed() => {
            let advice = "give that user a licence, then ask again";
            return no(
                "principal-unlicensed",
                format!("{who} has no licence, and their privilege counts"),
                Some(advice),
            );
        }
        Some(user) => {
            let is_it =
                |one: &Assistant| one.id.as_ref() == Some(&by.id) || (one.email.is_some() && one.email == user.email);
            if sight.assistants.iter().any(is_it) {
                return Checked::Yes { by: by.clone() };
            }
        }
    }
    if sight.assistants.len() >= ASSISTANTS_MAX {
        let why = format!("{who} is no assistant of {key}, who has {ASSISTANTS_MAX} already, Zoom's limit");
        return no("assistants-full", why, Some("remove one of those assistants, then ask again"));
    }
    let why = format!("{who} is no assistant of {key}: only an assistant of the new host can give them a meeting");
    let advice = Some(format!("`adjutant assistants add --user {key} {}` grants it for good", by.name));
    let refusal = Refusal { code: "no-privilege".to_owned(), why, advice };
    Checked::No { refusal, lacks: Some(by.clone()) }
}

fn unknown(key: &UserKey, account: &AccountId) -> Checked {
    no("host-unknown", format!("account {account} has no user {key}"), None)
}

/// What keeps the new host from hosting.
fn of_host(sight: &Sight<'_>) -> Option<Checked> {
    let Sight { account, key, .. } = sight;
    let Some(user) = sight.to else { return Some(unknown(key, account)) };
    let home = user.whole.get("account_id").and_then(Value::as_str);
    if home.is_some_and(|home| home != account.as_str()) {
        let why = format!("{key} is a user of another account, and a meeting stays in its own");
        return Some(no("host-elsewhere", why, None));
    }
    match user.status {
        Status::Pending => {
            let why = format!("{key} has not accepted the invitation to the account");
            Some(no("host-pending", why, Some("ask again when the person has accepted")))
        }
        Status::Inactive => {
            let advice = "activate the user in Zoom's admin pages, then ask again";
            Some(no("host-inactive", format!("{key} is deactivated"), Some(advice)))
        }
        Status::Active | Status::Unknown if !user.is_licensed() => {
            let why = format!("{key} has no licence, and a meeting is given only to a user who has one");
            Some(no("host-unlicensed", why, Some("give the user a licence, then ask again")))
        }
        Status::Active | Status::Unknown => None,
    }
}

/// Whether somebody who is refused could be an alternative host.
pub(super) fn can_be_alternative(sight: &Sight<'_>) -> bool {
    let is_kind = !sight.meeting.is_instant() && !matches!(sight.meeting.kind, Some(5 | 6 | 9));
    let is_there = sight.to.is_some_and(|user| user.email.is_some() && user.status == Status::Active);
    is_kind && is_there && of_host(sight).is_none() && sight.meeting.status != MeetingStatus::Started
}
