//! What can be had where a meeting cannot be moved: an alternative host, or another meeting.

use serde_json::Value;

use super::kept::{Moving, Verdict, bytes};
use super::{Attempt, Refusal};
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::job::{Outcome, ParkCause, Snooze};
use crate::rules::Leaves;
use crate::store::Allowance;
use crate::work::errand::schedule::{Made, made_before, make, told_no};
use crate::work::errand::{Errandry, Making, ScheduleAsked, Through, named};
use crate::work::{End, Ended, Facts};
use crate::zoom::{Edit, Meeting, Object, User, Zoom, ZoomError};

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
        Err(Allowance::NextDay { at, notice, .. }) => {
            let host = meeting.host_id.as_ref().zip(meeting.host_email.as_ref().map(ToString::to_string));
            return full(moving, at, named(&notice, host));
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

/// It waits for the next day, unless whoever asked does not.
pub(super) fn full(moving: &Moving, at: Timestamp, notice: String) -> Ended<Verdict> {
    if moving.asked.no_wait {
        let advice = Some(format!("ask again after {at}, or without --no-wait"));
        return Ok(Verdict::Refused(Refusal { code: "budget-used-up".to_owned(), why: notice, advice }));
    }
    Err(End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why: notice })))
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

const LINK: &str = "join_url";

/// A new meeting for the new host; when it is there the old one goes.
pub(super) async fn recreate(attempt: &mut Attempt<'_>, moving: &mut Moving) -> Ended<Verdict> {
    let old_id = moving.asked.meeting;
    let old = match attempt.zoom.meeting(old_id).await {
        Ok(old) => Some(old),
        Err(ZoomError::NotFound(_)) => None,
        Err(error) => return Err(attempt.failed(error)),
    };
    // Read once: what is looked for after a lost answer is what was asked for.
    if moving.anew == Making::Asked {
        let Some(old) = &old else {
            let why = format!("meeting {old_id} is gone: it was deleted, or is over");
            return Ok(Verdict::Refused(Refusal { code: "meeting-unknown".to_owned(), why, advice: None }));
        };
        if moving.asked.to.is(old.host_id.as_ref(), old.host_email.as_ref()) {
            return Ok(Verdict::already(&moving.asked));
        }
        let link = old.whole.get(LINK).map(|link| (LINK.to_owned(), link.clone()));
        moving.from.clone_from(&old.host_id);
        moving.before = Some(taken_over(&old.whole).into_iter().chain(link).collect());
    }
    let facts = (&*attempt.ctx.facts, attempt.now());
    let assistants = api_assistants(attempt.account, attempt.zoom, facts, &moving.asked.to).await;
    let is_assisted = !assistants.map_err(|error| attempt.failed(error))?.is_empty();
    let through = if is_assisted { Through::Movable } else { Through::Own };
    let made = make(attempt, &asked_anew(moving, through), moving.anew.clone(), &put(moving)).await?;
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

/// The meeting that takes the place of the old one.
fn asked_anew(moving: &Moving, through: Through) -> ScheduleAsked {
    let fields = moving.before.as_ref().map(taken_over).unwrap_or_default();
    ScheduleAsked { host: moving.asked.to.clone(), through, fields, no_wait: moving.asked.no_wait }
}

fn put(moving: &Moving) -> impl Fn(Making) -> Errandry + Send + Sync + use<> {
    let again = moving.clone();
    move |anew| Errandry::Move(Moving { anew, ..again.clone() })
}

/// Its job was cancelled when the new meeting may have been made already: done where the old one is gone as well; else what was
/// made is named, and stays.
pub(super) async fn called_off(attempt: &mut Attempt<'_>, moving: &mut Moving, why: String) -> Ended<Verdict> {
    let asked = asked_anew(moving, Through::Own);
    let made = match made_before(attempt, &asked, &moving.anew, &put(moving)).await {
        Ok(Some(made)) => made,
        Ok(None) => return Ok(Verdict::Cancelled(why)),
        Err(End::Outcome(Outcome::Park(cause @ ParkCause::Ambiguous { .. }))) => {
            let unknown = format!("{why}; it is not known whether another was made before: {cause}");
            return Ok(Verdict::Cancelled(unknown));
        }
        Err(end) => return Err(end),
    };
    if let Errandry::Move(kept) = &attempt.kept.what {
        *moving = kept.clone();
    }
    let (old, to) = (moving.asked.meeting, &moving.asked.to);
    match attempt.zoom.meeting(old).await {
        Ok(_) => {
            let made = made.id;
            Ok(Verdict::Cancelled(format!("{why}; meeting {made} was made for {to} before, and stays, as {old} does")))
        }
        Err(ZoomError::NotFound(_)) => recreate(attempt, moving).await,
        Err(error) => Err(attempt.failed(error)),
    }
}

fn link(meeting: Option<&Object>) -> String {
    let url = meeting.and_then(|meeting| meeting.get(LINK)).and_then(Value::as_str);
    url.map_or_else(|| "Zoom states no link".to_owned(), str::to_owned)
}

fn taken_over(of: &Object) -> Object {
    let taken = of.iter().filter(|(name, _)| TAKEN_OVER.contains(&name.as_str()));
    taken.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether another meeting can take over all that it has: that is kept, and what is kept has a limit.
pub(super) fn fits(meeting: &Meeting) -> Result<(), Refusal> {
    let (bytes, max) = (bytes(&taken_over(&meeting.whole).into()), ScheduleAsked::FIELDS_BYTES_MAX);
    if bytes <= max {
        return Ok(());
    }
    let why = format!("meeting {} has {bytes} bytes of settings, and one in its place takes over {max}", meeting.id);
    let advice = Some("make the other meeting with `adjutant meetings create`, and delete this one then".to_owned());
    Err(Refusal { code: "too-large".to_owned(), why, advice })
}

/// The API users who can make a meeting for that host.
pub async fn api_assistants(
    account: &Account,
    zoom: &dyn Zoom,
    (facts, now): (&Facts, Timestamp),
    host: &UserKey,
) -> Result<Vec<UserId>, ZoomError> {
    match zoom.user(host).await {
        Ok(user) if user.is_licensed() => {}
        Ok(_) | Err(ZoomError::NotFound(_) | ZoomError::Pending(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let (there, mut found) = (zoom.assistants(host).await?, Vec::new());
    for key in &account.api_users {
        let known = facts.api_user(&account.id, key, zoom, now).await?;
        let is_there = there.iter().any(|one| known.is(one.id.as_ref(), one.email.as_ref()));
        found.extend(known.id.filter(|_| known.unusable.is_none() && is_there));
    }
    Ok(found)
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
