//! Meetings, judged: settings, alternative hosts, and whether they can be given another host. Pure.

use serde_json::Value;

use super::around::Around;
use super::asked::conditioned;
use super::judge::{
    Difference, EXCEPTS_HOST, EXCEPTS_HOSTS_ROLE, Judged, Need, Picture, Verdict, not_applicable, settings,
};
use super::user::excepts_role;
use crate::account::UserKey;
use crate::ids::{MeetingId, MeetingUuid, UserId};
use crate::job::{ParkCause, WaitReason};
use crate::rules::{Leaves, MeetingState, Mode, Report, Rule};
use crate::zoom::{Edit, Meeting, MeetingStatus};

pub(super) fn judge(rule: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<Verdict> {
    if rule.recovers() {
        return recovered(rule, around, picture);
    }
    if rule.ends() && picture.gone.is_some() {
        return Ok(Verdict::Right);
    }
    let meeting = picture.meeting.as_ref().ok_or(Verdict::Needs(Need::Meeting))?;
    if !rule.except.is_empty() && is_excepted(rule, picture, meeting)? {
        return Err(not_applicable(EXCEPTS_HOST));
    }
    if !rule.except_roles.is_empty() {
        let host = picture.host.as_ref().ok_or(Verdict::Needs(Need::Host))?;
        if excepts_role(rule, host.role)? {
            return Err(not_applicable(EXCEPTS_HOSTS_ROLE));
        }
    }
    conditioned(rule, around, picture)?;
    match rule.ensure.report {
        Some(Report::Movable) => return Ok(Verdict::Reports(movable(around, meeting, None)?.in_words())),
        None => {}
    }
    if rule.ends() {
        return ended(picture, meeting);
    }
    let edit = |to| Edit::SetMeeting { id: meeting.id, to };
    let (hosts, obstacle) = alternative_hosts(rule, around, meeting)?;
    let differences = settings(&rule.ensure.settings.clone().with(hosts), &meeting.settings, edit);
    if differences.is_empty() {
        // What can be done is done first; what cannot shows then.
        return Ok(obstacle.unwrap_or(Verdict::Right));
    }
    // A rule that observes can say at once what it would do.
    if meeting.status == MeetingStatus::Started && rule.mode == Mode::Enforce {
        return Err(Verdict::Waits(WaitReason::MeetingInProgress));
    }
    Ok(Verdict::Differs(differences))
}

/// One that Zoom knows was recovered already.
fn recovered(rule: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<Verdict> {
    let Some(id) = picture.gone else {
        return if picture.meeting.is_some() { Ok(Verdict::Right) } else { Err(Verdict::Needs(Need::Meeting)) };
    };
    conditioned(rule, around, picture)?;
    Ok(Verdict::Differs(vec![status(id, "deleted", MeetingState::Recovered)]))
}

/// A run that is not in progress is over. Each has a uuid of its own \[D], so that a later one is told apart.
fn ended(picture: &Picture, meeting: &Meeting) -> Judged<Verdict> {
    match meeting.status {
        MeetingStatus::Waiting => return Ok(Verdict::Right),
        MeetingStatus::Unknown => {
            return Err(Verdict::Unclear("Zoom does not say whether the meeting is in progress".to_owned()));
        }
        MeetingStatus::Started => {}
    }
    if let Some(run) = &picture.run {
        let stated = meeting.whole.get("uuid").and_then(Value::as_str).and_then(|uuid| MeetingUuid::parse(uuid).ok());
        match stated {
            None => return Err(Verdict::Unclear("Zoom does not say which run of the meeting it is".to_owned())),
            Some(stated) if stated != *run => {
                return Err(not_applicable("another run of the meeting is in progress than the one it is about"));
            }
            Some(_) => {}
        }
    }
    Ok(Verdict::Differs(vec![status(meeting.id, "started", MeetingState::Ended)]))
}

fn status(id: MeetingId, is: &str, wanted: MeetingState) -> Difference {
    Difference {
        about: "status".to_owned(),
        is: is.into(),
        wanted: wanted.as_str().into(),
        edit: Edit::SetMeetingStatus { id, to: wanted },
        takes_away: wanted == MeetingState::Ended,
    }
}

/// The wish for the alternative hosts that are missing, as far as they can be: users of the account with a licence \[D]. The
/// host is none of their own. And what to say of the others.
fn alternative_hosts(rule: &Rule, around: &Around<'_>, meeting: &Meeting) -> Judged<(Leaves, Option<Verdict>)> {
    let wanted = &rule.ensure.alternative_hosts;
    if wanted.is_empty() {
        return Ok((Leaves::default(), None));
    }
    // Zoom is sent all of them, so that those who are not known would be taken off.
    let there = Leaves::hosts_in(&meeting.settings)
        .ok_or_else(|| Verdict::Unclear("Zoom does not say who the alternative hosts of the meeting are".to_owned()))?;
    let (mut missing, mut unusable) = (Vec::new(), Vec::new());
    for email in wanted.iter().filter(|email| !there.contains(email.as_str())) {
        let key = UserKey::Email(email.clone());
        let known = around.known.get(&key).ok_or_else(|| Verdict::Needs(Need::ApiUser(key.clone())))?;
        match &known.unusable {
            _ if known.is(meeting.host_id.as_ref(), meeting.host_email.as_ref()) => {}
            None => missing.push(email.as_str()),
            Some(why) => unusable.push(format!("{email}: {why}")),
        }
    }
    let detail = unusable.join("; ");
    let obstacle = (!unusable.is_empty()).then_some(Verdict::Impossible(ParkCause::ApiUserUnusable { detail }));
    let hosts = if missing.is_empty() { Leaves::default() } else { Leaves::with_hosts(&meeting.settings, &missing) };
    Ok((hosts, obstacle))
}

fn is_excepted(rule: &Rule, picture: &Picture, meeting: &Meeting) -> Judged<bool> {
    if let Some(email) = &meeting.host_email {
        return Ok(rule.except.contains(email));
    }
    let unclear = |why: &str| Verdict::Unclear(why.to_owned());
    if meeting.host_id.is_none() {
        return Err(unclear("Zoom does not say who hosts the meeting"));
    }
    let host = picture.host.as_ref().ok_or(Verdict::Needs(Need::Host))?;
    let why = "Zoom does not say the host's email, and the rule excepts some hosts";
    let email = host.email.as_ref().ok_or_else(|| unclear(why))?;
    Ok(rule.except.contains(email))
}

/// Whether a meeting can be given another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Movable {
    /// The API user whose privilege counts; none where it cannot be.
    pub(super) by: Option<UserKey>,
    /// Not before it is over.
    pub(super) is_running: bool,
    pub(super) why: String,
}

impl Movable {
    pub(super) fn in_words(&self) -> String {
        let word = match (&self.by, self.is_running) {
            (None, _) => "not movable",
            (Some(_), true) => "movable when it is over",
            (Some(_), false) => "movable",
        };
        format!("{word}: {}", self.why)
    }
}

/// A meeting moves where the user in whose path it was made is an assistant of the new host. The meeting says who scheduled
/// it for its host; where that is nobody, the host did. `remembered` is whose privilege counted when it was moved before.
pub(super) fn movable(around: &Around<'_>, meeting: &Meeting, remembered: Option<&UserId>) -> Judged<Movable> {
    let is_running = meeting.status == MeetingStatus::Started;
    let not = |why: String| Movable { by: None, is_running, why };
    if meeting.is_instant() {
        return Ok(not("an instant meeting".to_owned()));
    }
    if meeting.is_webinar() {
        return Ok(not("a webinar".to_owned()));
    }
    let (made, maker) = match (remembered, &meeting.assistant_id) {
        (Some(by), _) => ("is whose privilege counted when it was moved before", Some(by)),
        (None, Some(scheduler)) => ("scheduled it", Some(scheduler)),
        (None, None) => ("hosts it", meeting.host_id.as_ref()),
    };
    for key in &around.account.api_users {
        let known = around.known.get(key).ok_or_else(|| Verdict::Needs(Need::ApiUser(key.clone())))?;
        if !known.is(maker, None) {
            continue;
        }
        let why = format!("API user {key} {made}");
        return Ok(match &known.unusable {
            Some(unusable) => not(format!("{why}, and {unusable}")),
            None => Movable { by: Some(key.clone()), is_running, why },
        });
    }
    let maker = if meeting.assistant_id.is_some() { "somebody scheduled it" } else { "its host made it" };
    Ok(not(format!("{maker}, and that is no API user")))
}
