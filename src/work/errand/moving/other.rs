//! What can be had where a meeting cannot be moved: an alternative host, or another meeting.

use serde_json::Value;

use super::kept::{Moving, Verdict};
use super::{Attempt, Refusal};
use crate::job::{Outcome, Snooze};
use crate::rules::Leaves;
use crate::store::Allowance;
use crate::work::errand::schedule::{Made, make, told_no};
use crate::work::errand::{Errandry, Making, ScheduleAsked, Through};
use crate::work::{End, Ended};
use crate::zoom::{Edit, Meeting, Object, User, ZoomError};

/// The new host becomes one who can start it.
pub(super) async fn alternative(
    attempt: &mut Attempt<'_>,
    moving: &Moving,
    (meeting, to): (&Meeting, Option<&User>),
    refusal: &Refusal,
) -> Ended<Verdict> {
    let (id, Some(email)) = (meeting.id, to.and_then(|user| user.email.clone())) else {
        return Ok(Verdict::Refused(refusal.clone()));
    };
    let why = format!("it was not moved: {}", refusal.why);
    let is_there =
        |meeting: &Meeting| Leaves::hosts_in(&meeting.settings).is_some_and(|hosts| hosts.contains(email.as_str()));
    let done = |what: &str| Verdict::Done {
        meeting: id,
        notes: vec![format!("{email} {what} an alternative host, who can start it"), why.clone()],
        what: format!("{email} {what} an alternative host of meeting {id}; {why}"),
    };
    if is_there(meeting) {
        return Ok(done("is"));
    }
    let days = attempt.ctx.host_writes.of_change(meeting.host_id.as_ref(), meeting.assistant_id.as_ref(), id);
    let intent = match attempt.intend(format!("make {email} an alternative host of meeting {id}"), days).await? {
        Ok(intent) => intent,
        Err(Allowance::NextDay { notice, .. }) if moving.asked.no_wait => {
            return Ok(Verdict::Refused(Refusal { code: "budget-used-up".to_owned(), why: notice, advice: None }));
        }
        Err(Allowance::NextDay { at, notice, .. }) => {
            return Err(End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why: notice })));
        }
        Err(_) => return Err(End::retry("the store allows it at no time")),
    };
    let to = Leaves::with_hosts(&meeting.settings, &[email.as_str()]);
    if let Err(error) = attempt.zoom.change(&intent, Edit::SetMeeting { id, to }).await {
        return told_no(error).map(Verdict::Refused).map_err(|error| attempt.failed(error));
    }
    let read = attempt.zoom.meeting(id).await.map_err(|error| attempt.failed(error))?;
    if is_there(&read) {
        Ok(done("is now"))
    } else {
        Err(End::retry("Zoom confirmed the alternative host, but it cannot be read back"))
    }
}

/// What a new meeting takes over.
const TAKEN_OVER: [&str; 10] = [
    "topic",
    "type",
    "start_time",
    "duration",
    "timezone",
    "agenda",
    "password",
    "recurrence",
    "settings",
    "tracking_fields",
];

/// A new meeting for the new host; when it is there the old one goes.
pub(super) async fn recreate(attempt: &mut Attempt<'_>, moving: &mut Moving) -> Ended<Verdict> {
    let old_id = moving.asked.meeting;
    let old = match attempt.zoom.meeting(old_id).await {
        Ok(old) => Some(old),
        Err(ZoomError::NotFound(_)) => None,
        Err(error) => return Err(attempt.failed(error)),
    };
    // Read once: what is looked for after a lost answer is what was asked for.
    if moving.before.is_none() {
        moving.before = old.as_ref().map(super::kept::before);
    }
    let fields = taken_over(moving.before.as_ref());
    let through = if is_assisted(attempt, moving).await? { Through::Movable } else { Through::Own };
    let asked = ScheduleAsked { host: moving.asked.to.clone(), through, fields, no_wait: moving.asked.no_wait };
    let again = moving.clone();
    let put = move |anew: Making| Errandry::Move(Moving { anew, ..again.clone() });
    let made = make(attempt, &asked, moving.anew.clone(), &put).await?;
    if let Errandry::Move(kept) = &attempt.kept.what {
        *moving = kept.clone();
    }
    let Made { id, mut notes, .. } = match made {
        Ok(made) => made,
        Err(refusal) => return Ok(Verdict::Refused(refusal)),
    };
    let new = attempt.zoom.meeting(id).await.map_err(|error| attempt.failed(error))?;
    notes.push(format!("a new meeting: {}", link(Some(&new.whole))));
    notes.push(format!("in place of {old_id}, which is deleted: {}", link(moving.before.as_ref())));
    if let Some(old) = &old {
        delete(attempt, old).await?;
    }
    let what = format!("make meeting {id} for {} in place of {old_id}, which is deleted", moving.asked.to);
    Ok(Verdict::Done { meeting: id, notes, what })
}

fn link(meeting: Option<&Object>) -> String {
    let url = meeting.and_then(|meeting| meeting.get("join_url")).and_then(Value::as_str);
    url.map_or_else(|| "Zoom states no link".to_owned(), str::to_owned)
}

fn taken_over(before: Option<&Object>) -> Object {
    let before = before.cloned().unwrap_or_default();
    before.into_iter().filter(|(name, _)| TAKEN_OVER.contains(&name.as_str())).collect()
}

/// Whether an API user can make it for the new host.
async fn is_assisted(attempt: &Attempt<'_>, moving: &Moving) -> Ended<bool> {
    let there = match attempt.zoom.assistants(&moving.asked.to).await {
        Ok(there) => there,
        Err(ZoomError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(attempt.failed(error)),
    };
    for key in &attempt.account.api_users {
        let known = attempt.ctx.facts.api_user(&attempt.account.id, key, attempt.zoom, attempt.now()).await;
        let known = known.map_err(|error| attempt.failed(error))?;
        if known.unusable.is_none() && there.iter().any(|one| known.is(one.id.as_ref(), one.email.as_ref())) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deleting draws on nobody's 100 a day \[F 59670].
async fn delete(attempt: &Attempt<'_>, old: &Meeting) -> Ended<()> {
    let Ok(intent) = attempt.intend(format!("delete meeting {}, which another replaces", old.id), Vec::new()).await?
    else {
        return Err(End::retry("the store allows it at no time"));
    };
    crate::breakpoint::reached("old-meeting-to-delete");
    match attempt.zoom.change(&intent, Edit::DeleteMeeting { id: old.id }).await {
        Ok(_) | Err(ZoomError::NotFound(_)) => Ok(()),
        Err(error) => Err(attempt.failed(error)),
    }
}
