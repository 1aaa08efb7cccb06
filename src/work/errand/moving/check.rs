//! Whether Zoom will take a move, said before it is asked: by the meeting, both users, and whose privilege counts.
//!
//! The user in whose path the meeting was made counts, whoever calls \[F 88501]. The meeting's `assistant_id` names that user
//! where somebody scheduled it for the host; else the host did \[D]. Which of the two it is after a second move is not documented:
//! the favoured one is tried first, then the other.

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

impl Principal {
    fn in_words(&self) -> String {
        format!("{}, {},", self.name, self.why)
    }
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
    /// The other account of the organisation whose user that is.
    pub home: Option<&'a AccountId>,
    /// Whose privilege counts, and the user, where Zoom knows it.
    pub principal: Option<(&'a Principal, Option<&'a User>)>,
    /// The one whose privilege counts is of another account than the new host.
    pub is_apart: bool,
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

fn refusal(code: &str, why: String, advice: Option<&str>) -> Refusal {
    Refusal { code: code.to_owned(), why, advice: advice.map(str::to_owned) }
}

fn no(code: &str, why: String, advice: Option<&str>) -> Checked {
    Checked::No { refusal: refusal(code, why, advice), lacks: None }
}

/// What is never given another host, whoever that is.
pub(super) fn of_kind(meeting: &Meeting) -> Option<Refusal> {
    let id = meeting.id;
    if meeting.is_webinar() {
        return Some(refusal("webinar", format!("{id} is a webinar, which cannot be given another host"), None));
    }
    meeting
        .is_instant()
        .then(|| refusal("instant-meeting", format!("meeting {id} is instant: it cannot be given another host"), None))
}

pub(super) fn of_nobody(meeting: &Meeting) -> Refusal {
    let why = format!("Zoom does not say who made meeting {}, and nobody else counts", meeting.id);
    refusal("principal-unknown", why, None)
}

/// What keeps whose privilege counts from having any, whoever the new host is.
pub(super) fn of_principal(by: &Principal, user: Option<&User>) -> Option<Refusal> {
    let who = by.in_words();
    match user {
        None => {
            let why = format!("{who} is gone, and so is the privilege that counts");
            Some(refusal("principal-gone", why, None))
        }
        Some(user) if user.status != Status::Active => {
            let advice = "activate that user in Zoom's admin pages, then ask again";
            let why = format!("{who} is not active, and their privilege counts");
            Some(refusal("principal-inactive", why, Some(advice)))
        }
        Some(user) if !user.is_licensed() => {
            let advice = "give that user a licence, then ask again";
            let why = format!("{who} has no licence, and their privilege counts");
            Some(refusal("principal-unlicensed", why, Some(advice)))
        }
        Some(_) => None,
    }
}

/// Says yes, or the one thing that is missing.
pub(super) fn check(sight: &Sight<'_>) -> Checked {
    let Sight { meeting, key, .. } = sight;
    // Also where nobody could give it to that user any more: what they have is not made anew.
    if sight.to.is_some_and(|to| to.id.is_some() && to.id == meeting.host_id) {
        return Checked::Already;
    }
    if let Some(refusal) = of_kind(meeting) {
        return Checked::No { refusal, lacks: None };
    }
    if let Some(refused) = of_host(sight) {
        return refused;
    }
    let Some(to) = sight.to else { return unknown(key, sight.account) };
    if meeting.status == MeetingStatus::Started {
        let advice = "ask with --when-ended: it is moved when it has ended";
        return no(
            "in-progress",
            format!("meeting {} is running, and cannot be given another host meanwhile", meeting.id),
            Some(advice),
        );
    }
    let Some((by, user)) = sight.principal else {
        return Checked::No { refusal: of_nobody(meeting), lacks: None };
    };
    if to.id.as_ref() == Some(&by.id) {
        return Checked::Yes { by: by.clone() };
    }
    if let Some(refusal) = of_principal(by, user) {
        return Checked::No { refusal, lacks: None };
    }
    let email = user.and_then(|user| user.email.as_ref());
    let is_it =
        |one: &Assistant| one.id.as_ref() == Some(&by.id) || (one.email.is_some() && one.email.as_ref() == email);
    if sight.assistants.iter().any(is_it) {
        return Checked::Yes { by: by.clone() };
    }
    let who = by.in_words();
    if sight.assistants.len() >= ASSISTANTS_MAX {
        let why = format!("{who} is no assistant of {key}, who has {ASSISTANTS_MAX} already, Zoom's limit");
        return no("assistants-full", why, Some("remove one of those assistants, then ask again"));
    }
    let why = format!("{who} is no assistant of {key}: only an assistant of the new host can give them a meeting");
    // Across accounts only people assign it: that an app can is documented nowhere.
    let home = sight.home.or_else(|| sight.is_apart.then_some(sight.account));
    let (advice, lacks) = match home {
        Some(home) => {
            (format!("{key} of account {home} assigns it in Zoom's settings, under scheduling privilege"), None)
        }
        None => (format!("`adjutant assistants add --user {key} {}` grants it for good", by.name), Some(by.clone())),
    };
    let refusal = Refusal { code: "no-privilege".to_owned(), why, advice: Some(advice) };
    Checked::No { refusal, lacks }
}

fn unknown(key: &UserKey, account: &AccountId) -> Checked {
    no("host-unknown", format!("account {account} has no user {key}"), None)
}

/// What keeps the new host from being given a meeting.
fn of_host(sight: &Sight<'_>) -> Option<Checked> {
    let Sight { key, .. } = sight;
    of_user(sight).or_else(|| {
        let is_unlicensed = sight.to.is_some_and(|user| !user.is_licensed());
        let why = format!("{key} has no licence, and a meeting is given only to a user who has one");
        is_unlicensed.then(|| no("host-unlicensed", why, Some("give the user a licence, then ask again")))
    })
}

/// What keeps the new host from hosting any.
fn of_user(sight: &Sight<'_>) -> Option<Checked> {
    let Sight { account, key, .. } = sight;
    let Some(user) = sight.to else { return Some(unknown(key, account)) };
    if sight.home.is_none() && user.home().is_some_and(|home| home != account.as_str()) {
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
        Status::Active | Status::Unknown => None,
    }
}

/// Whether somebody who is refused could be an alternative host.
pub(super) fn can_be_alternative(sight: &Sight<'_>) -> bool {
    let is_there = sight.to.is_some_and(|user| user.email.is_some() && user.status == Status::Active);
    // Both have to be of one account [api.md §6].
    is_there && sight.home.is_none() && of_host(sight).is_none() && is_to_come(sight.meeting)
}

/// Whether somebody who is refused could host another meeting in its place, which takes no licence.
pub(super) fn can_be_anew(sight: &Sight<'_>) -> bool {
    sight.home.is_none() && of_user(sight).is_none() && is_to_come(sight.meeting)
}

fn is_to_come(meeting: &Meeting) -> bool {
    !meeting.is_instant() && !matches!(meeting.kind, Some(5 | 6 | 9)) && meeting.status != MeetingStatus::Started
}
