//! A meeting is scheduled: in whose path, within whose budget, and once.
//!
//! Zoom counts what is created against the user in whose path it is \[D], and that user is the one who counts when the meeting is
//! moved later \[F 88501]. So a meeting that is to be movable goes through the API user who has the host's privilege and has
//! created the least today.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::find::{claim, find};
use super::making::{Making, Scheduling};
use super::{Attempt, Errandry, Refusal, named};
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::{MeetingId, UserId};
use crate::job::{Counts, DayOf, DayUse, Outcome, ParkCause, Snooze};
use crate::store::{Allowance, StoreError, Write};
use crate::work::{End, Ended};
use crate::zoom::{Edit, Meeting, Object, Status, User, ZoomError};

/// In whose path a meeting is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Through {
    /// An API user's, so that it can be moved to whoever has that user as assistant.
    #[default]
    Movable,
    /// The host's own, against whose budget it counts.
    Own,
}

/// A meeting that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleAsked {
    pub host: UserKey,
    pub through: Through,
    /// As Zoom names them.
    pub fields: Object,
    /// Where today's budgets are used up it is refused, and does not wait for tomorrow's.
    pub no_wait: bool,
}

impl ScheduleAsked {
    /// JSON of the fields, at most: what is kept is in memory.
    pub const FIELDS_BYTES_MAX: usize = 32 << 10;

    /// Why it can be nothing that Zoom takes.
    pub fn fault(&self) -> Option<String> {
        let bytes = serde_json::to_vec(&self.fields).map_or(usize::MAX, |json| json.len());
        if bytes > Self::FIELDS_BYTES_MAX {
            return Some(format!("the meeting has {bytes} bytes of JSON, and {} are possible", Self::FIELDS_BYTES_MAX));
        }
        if self.fields.contains_key("schedule_for") {
            return Some("schedule_for says who hosts it, which `for` says already: leave it out".to_owned());
        }
        if let Some(fault) = fault_of_start(&self.fields) {
            return Some(fault);
        }
        match self.fields.get("type").map(Value::as_i64) {
            None | Some(Some(2 | 3 | 8 | 10)) => None,
            Some(Some(Meeting::INSTANT)) if self.through == Through::Own => None,
            Some(Some(Meeting::INSTANT)) => Some(
                "an instant meeting cannot be made for somebody else: ask for it in the host's own path (--own), or schedule it".to_owned(),
            ),
            Some(_) => {
                Some("type is not one of Zoom's: 2 scheduled, 3 recurring without a time, 8 recurring".to_owned())
            }
        }
    }
}

/// Zoom takes a wrong one for none: a meeting that is made begins at once, and one that is changed stays as it was.
pub fn fault_of_start(fields: &Object) -> Option<String> {
    let start = fields.get("start_time").filter(|start| !start.as_str().is_some_and(is_time))?;
    Some(format!("start_time is {start}: expected a time as in \"2026-12-01T09:00:00Z\""))
}

fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() || (text.contains('T') && text.parse::<jiff::civil::DateTime>().is_ok())
}

pub(super) async fn run(attempt: &mut Attempt<'_>, scheduling: Scheduling) -> Ended<Outcome> {
    let (asked, put) = (scheduling.asked.clone(), put(scheduling.asked));
    match make(attempt, &asked, scheduling.making, &put).await? {
        Err(refusal) => attempt.refuse(refusal).await,
        Ok(made) => is_made(attempt, made).await,
    }
}

fn put(asked: ScheduleAsked) -> impl Fn(Making) -> Errandry + Send + Sync {
    move |making| Errandry::Schedule(Scheduling { making, ..Scheduling::new(asked.clone()) })
}

async fn is_made(attempt: &mut Attempt<'_>, Made { id, path, host, notes }: Made) -> Ended<Outcome> {
    let what = format!("schedule meeting {id} for {host}, in the path of {path}");
    attempt.done(id, notes, what).await
}

/// Its job was cancelled when it may have been made already: it is told as made where it was.
pub(super) async fn called_off(attempt: &mut Attempt<'_>, scheduling: Scheduling, why: String) -> Ended<Outcome> {
    let (asked, put) = (scheduling.asked.clone(), put(scheduling.asked));
    match made_before(attempt, &asked, &scheduling.making, &put).await {
        Ok(Some(mut made)) => {
            made.notes.push(super::done_before(&why));
            is_made(attempt, made).await
        }
        Ok(None) => attempt.cancel(why).await,
        Err(End::Outcome(Outcome::Park(cause @ ParkCause::Ambiguous { .. }))) => {
            attempt.cancel(format!("{why}; it is not known whether it was made before: {cause}")).await
        }
        Err(end) => Err(end),
    }
}

/// A meeting that is there, read back.
pub(super) struct Made {
    pub(super) id: MeetingId,
    pub(super) path: UserKey,
    pub(super) host: UserKey,
    pub(super) notes: Vec<String>,
}

/// Somebody in whose path it can be made.
struct Path {
    key: UserKey,
    id: UserId,
}

/// Makes the meeting once, however often it is tried. `put` says what is kept of how far it is.
pub(super) async fn make(
    attempt: &mut Attempt<'_>,
    asked: &ScheduleAsked,
    making: Making,
    put: &(dyn Fn(Making) -> Errandry + Send + Sync),
) -> Ended<Result<Made, Refusal>> {
    if let Some(made) = made_before(attempt, asked, &making, put).await? {
        return Ok(Ok(made));
    }
    let host = match host(attempt, &asked.host).await? {
        Ok(host) => host,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let paths = match paths(attempt, asked, &host).await? {
        Ok(paths) => paths,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (mut full, names) = (None, names(&paths));
    for path in by_room(attempt, paths).await? {
        match try_in(attempt, asked, (&path, &host.0), put).await? {
            Tried::Made(id) => return made(attempt, (id, path.key, &host.0), put).await.map(Ok),
            Tried::Refused(refusal) => return Ok(Err(refusal)),
            Tried::Full { at, notice } => full = Some((at, notice)),
        }
    }
    let (at, notice) = full.unwrap_or_else(|| {
        let at = attempt.now().next_utc_midnight();
        (at, format!("what may be created in this UTC day is used up, in the path of {names}"))
    });
    if asked.no_wait {
        let advice = format!("ask again after {at}, or without --no-wait");
        return Ok(Err(refusal("budget-used-up", notice, Some(advice))));
    }
    Err(End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why: notice })))
}

/// What an earlier attempt has made.
pub(super) async fn made_before(
    attempt: &mut Attempt<'_>,
    asked: &ScheduleAsked,
    making: &Making,
    put: &(dyn Fn(Making) -> Errandry + Send + Sync),
) -> Ended<Option<Made>> {
    match making {
        Making::Asked => Ok(None),
        Making::Made { id, path, host } => read_back(attempt, *id, path.clone(), host).await.map(Some),
        // Lists do not show it before it runs.
        Making::Tried { .. } if asked.fields.get("type").and_then(Value::as_i64) == Some(Meeting::INSTANT) => {
            Err(End::park(ParkCause::Ambiguous { what: "an instant meeting".to_owned() }))
        }
        Making::Tried { path, host, since } => match find(attempt, asked, host, *since).await? {
            Some(id) => made(attempt, (id, path.clone(), host), put).await.map(Some),
            None => Ok(None),
        },
    }
}

pub(super) fn refusal(code: &str, why: impl Into<String>, advice: Option<String>) -> Refusal {
    Refusal { code: code.to_owned(), why: why.into(), advice }
}

/// Whoever is to host, active in this account.
async fn host(attempt: &Attempt<'_>, key: &UserKey) -> Ended<Result<(UserId, User), Refusal>> {
    let user = match attempt.zoom.user(key).await {
        Ok(user) => user,
        Err(ZoomError::NotFound(_)) => {
            let why = format!("the account has no user {key}");
            return Ok(Err(refusal("host-unknown", why, None)));
        }
        Err(ZoomError::Pending(_)) => return Ok(Err(pending(key))),
        Err(error) => return Err(attempt.failed(error)),
    };
    if user.home().is_some_and(|home| home != attempt.account.id.as_str()) {
        let why = format!("{key} is a user of another account");
        return Ok(Err(refusal("host-elsewhere", why, None)));
    }
    match user.status {
        Status::Pending => return Ok(Err(pending(key))),
        Status::Inactive => {
            let advice = "activate the user in Zoom's admin pages, then ask again".to_owned();
            return Ok(Err(refusal("host-inactive", format!("{key} is deactivated"), Some(advice))));
        }
        Status::Active | Status::Unknown => {}
    }
    match user.id.clone() {
        Some(id) => Ok(Ok((id, user))),
        None => Err(End::retry(format!("Zoom does not say the id of {key}"))),
    }
}

fn pending(key: &UserKey) -> Refusal {
    let advice = "ask again when the person has accepted".to_owned();
    refusal("host-pending", format!("{key} has not accepted the invitation to the account"), Some(advice))
}

/// In whose path it can be made, as asked.
async fn paths(
    attempt: &Attempt<'_>,
    asked: &ScheduleAsked,
    (id, user): &(UserId, User),
) -> Ended<Result<Vec<Path>, Refusal>> {
    let key = &asked.host;
    if asked.through == Through::Own {
        return Ok(Ok(vec![Path { key: key.clone(), id: id.clone() }]));
    }
    if !user.is_licensed() {
        let why = format!("{key} has no licence, and nobody can schedule for a user without one");
        let advice = "give the user a licence, or ask for it in the host's own path (--own)".to_owned();
        return Ok(Err(refusal("host-unlicensed", why, Some(advice))));
    }
    let there = attempt.zoom.assistants(&UserKey::Id(id.clone())).await.map_err(|error| attempt.failed(error))?;
    let (mut paths, mut unusable) = (Vec::new(), Vec::new());
    for key in &attempt.account.api_users {
        let facts = &attempt.ctx.facts;
        let known = facts.api_user(&attempt.account.id, key, attempt.zoom, attempt.now()).await;
        let known = known.map_err(|error| attempt.failed(error))?;
        let is_host = known.is(Some(id), user.email.as_ref());
        let is_there = there.iter().any(|one| known.is(one.id.as_ref(), one.email.as_ref()));
        match (&known.unusable, known.id) {
            (Some(why), _) => unusable.push(format!("{key}: {why}")),
            (None, Some(own)) if is_host || is_there => paths.push(Path { key: key.clone(), id: own }),
            (None, _) => {}
        }
    }
    if !paths.is_empty() {
        return Ok(Ok(paths));
    }
    if attempt.account.api_users.len() == unusable.len() {
        let which = if unusable.is_empty() { "it has none".to_owned() } else { unusable.join("; ") };
        let why = format!("no API user of the account can schedule: {which}");
        let advice = "name one that is active and licensed, or ask for it in the host's own path (--own)".to_owned();
        return Ok(Err(refusal("no-api-user", why, Some(advice))));
    }
    let why = format!("no API user of the account is an assistant of {key}, and so none may schedule for them");
    let api = attempt.account.api_users.first().map_or_else(String::new, ToString::to_string);
    let advice =
        format!("`adjutant assistants add --user {key} {api}` grants it; or ask for it in the host's own path (--own)");
    Ok(Err(refusal("no-privilege", why, Some(advice))))
}

fn names(paths: &[Path]) -> String {
    paths.iter().map(|path| path.key.to_string()).collect::<Vec<_>>().join(" and ")
}

/// Whoever has created the least today comes first; who has nothing left does not come.
async fn by_room(attempt: &Attempt<'_>, paths: Vec<Path>) -> Ended<Vec<Path>> {
    let mut with_room = Vec::new();
    for path in paths {
        let of = DayOf::Host(path.id.clone());
        let used = attempt.ctx.store.day_used(&attempt.account.id, &of, attempt.now()).await?;
        if !used.is_spent && used.used < attempt.ctx.host_writes.per_day {
            with_room.push((used.used, path));
        }
    }
    with_room.sort_by_key(|(used, _)| *used);
    Ok(with_room.into_iter().map(|(_, path)| path).collect())
}

enum Tried {
    Made(MeetingId),
    Refused(Refusal),
    /// The path user has nothing left today.
    Full {
        at: Timestamp,
        notice: String,
    },
}

async fn try_in(
    attempt: &mut Attempt<'_>,
    asked: &ScheduleAsked,
    (path, host): (&Path, &UserId),
    put: &(dyn Fn(Making) -> Errandry + Send + Sync),
) -> Ended<Tried> {
    let of = DayOf::Host(path.id.clone());
    let day = DayUse { of: of.clone(), max_per_day: attempt.ctx.host_writes.per_day, counts: Counts::Each };
    let what = format!("schedule a meeting for {}, in the path of {}", asked.host, path.key);
    let intent = match attempt.intend(what, vec![day]).await? {
        Ok(intent) => intent,
        Err(Allowance::NextDay { at, notice, .. }) => {
            return Ok(Tried::Full { at, notice: named(&notice, [(&path.id, path.key.to_string())]) });
        }
        Err(_) => return Err(End::retry("the store allows it at no time")),
    };
    let began = attempt.now();
    attempt.keep(put(Making::Tried { path: path.key.clone(), host: host.clone(), since: began })).await?;
    crate::breakpoint::reached("meeting-tried");
    let mut fields = asked.fields.clone();
    if path.id != *host {
        fields.insert("schedule_for".to_owned(), host.as_str().into());
    }
    let edit = Edit::CreateMeeting { path: UserKey::Id(path.id.clone()), fields };
    match attempt.zoom.change(&intent, edit).await {
        Ok(made) => match made.meeting {
            Some(id) => Ok(Tried::Made(id)),
            None => Err(End::retry("Zoom does not say which meeting it made")),
        },
        Err(ZoomError::HostDay { why, .. }) => {
            attempt.guard.day_spent(&of, began).await?;
            attempt.keep(put(Making::Asked)).await?;
            Ok(Tried::Full { at: began.next_utc_midnight(), notice: why })
        }
        Err(error) => {
            let Refusal { code, why, advice } = told_no(error).map_err(|error| attempt.failed(error))?;
            let people = [(host, asked.host.to_string()), (&path.id, path.key.to_string())];
            Ok(Tried::Refused(Refusal { code, why: named(&why, people), advice }))
        }
    }
}

/// What Zoom refuses for good, as a refusal; else the error.
pub fn told_no(error: ZoomError) -> Result<Refusal, ZoomError> {
    let (code, why, advice) = match error {
        ZoomError::CannotScheduleFor(said) => (
            "cannot-schedule-for",
            said,
            Some(
                "the host has to have the path user as assistant, and both a licence: `adjutant assistants verify` says what is missing",
            ),
        ),
        ZoomError::NotMovable(said) => ("not-movable", said, None),
        ZoomError::MayNotHost(said) => {
            ("may-not-host", said, Some("see the user's rights to host in Zoom's admin pages"))
        }
        ZoomError::Refused { status, code, message } if status != 0 => {
            let why = format!("Zoom refuses it: {status}, code {code}, {message}");
            return Ok(refusal("zoom-refuses", why, Some("mend what Zoom's message names, then ask again".to_owned())));
        }
        error => return Err(error),
    };
    Ok(refusal(code, format!("Zoom says: {why}"), advice.map(str::to_owned)))
}

/// Claims it, so that no other errand takes it for its own, and reads it back.
async fn made(
    attempt: &mut Attempt<'_>,
    (id, path, host): (MeetingId, UserKey, &UserId),
    put: &(dyn Fn(Making) -> Errandry + Send + Sync),
) -> Ended<Made> {
    crate::breakpoint::reached("meeting-made");
    attempt.kept.what = put(Making::Made { id, path: path.clone(), host: host.clone() });
    let writes = vec![Write::PutNew(claim(&attempt.kept, id)), Write::Put(attempt.kept.document())];
    match attempt.ctx.store.write_documents(writes, Vec::new(), attempt.now()).await {
        Ok(()) => read_back(attempt, id, path, host).await,
        Err(StoreError::Conflict(_)) => Err(End::park(ParkCause::Ambiguous { what: format!("meeting {id}") })),
        Err(error) => Err(error.into()),
    }
}

/// Who hosts it: Zoom's answer may name whoever made it \[C moodle].
async fn read_back(attempt: &Attempt<'_>, id: MeetingId, path: UserKey, host: &UserId) -> Ended<Made> {
    let meeting = attempt.zoom.meeting(id).await.map_err(|error| attempt.failed(error))?;
    let mut notes = Vec::new();
    if meeting.host_id.as_ref().is_some_and(|is| is != host) {
        let is = meeting.host_email.as_ref().map_or_else(|| "somebody else".to_owned(), ToString::to_string);
        notes.push(format!("Zoom says that {is} hosts it"));
    }
    let host = UserKey::of(meeting.host_id.as_ref(), meeting.host_email.as_ref());
    let host = meeting.host_email.clone().map(UserKey::Email).or(host).unwrap_or_else(|| path.clone());
    Ok(Made { id, path, host, notes })
}
