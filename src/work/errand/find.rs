//! A meeting whose making was answered by nobody is looked for, so that it is not made again.

use std::time::Duration;

use serde_json::Value;

use super::{Attempt, Errand, Errandry, Making, ScheduleAsked, Scheduling, known_of_meeting};
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::{MeetingId, UserId};
use crate::job::ParkCause;
use crate::store::{Document, Shelf};
use crate::work::{End, Ended};
use crate::zoom::{MeetingRow, Object, Page, Which, ZoomError};

/// How far Zoom's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(120);
/// Of a host's meetings, among which one is looked for.
const PAGES_MAX: usize = 10;
const PAGE_ROWS: u32 = 300;
/// During which another errand may say what it made.
const TWIN_ATTEMPTS: u32 = 5;

/// One that was made by an attempt whose answer was lost: of the host's, the one that looks like it, was made since and belongs
/// to no other errand. Where another errand asks for the same and does not know either, it may be that one's, which says so
/// soon, or a person has to.
pub(super) async fn find(
    attempt: &Attempt<'_>,
    asked: &ScheduleAsked,
    host: &UserId,
    since: Timestamp,
) -> Ended<Option<MeetingId>> {
    let start = start_of(&asked.fields);
    let mut found = Vec::new();
    for row in rows(attempt, host).await? {
        let is_new = row.created_at.is_none_or(|at| at.plus(SKEW) >= since);
        if !is_new || !is_like(&row, &asked.fields, start) || found.contains(&row.id) {
            continue;
        }
        if is_claimed(attempt, row.id).await? {
            continue;
        }
        let meeting = match attempt.zoom.meeting(row.id).await {
            Ok(meeting) => meeting,
            Err(ZoomError::NotFound(_)) => continue,
            Err(error) => return Err(attempt.failed(error)),
        };
        // What people made in Zoom's own pages is not ours.
        let source = meeting.whole.get("creation_source").and_then(Value::as_str);
        if source.is_none_or(|source| source == "open_api") {
            found.push(row.id);
        }
    }
    let is_shared = !found.is_empty() && has_twin(attempt, asked, host).await?;
    if is_shared && attempt.job.attempts < TWIN_ATTEMPTS {
        return Err(End::retry(
            "another errand asks for the same, and which of the two made the meeting is not known yet",
        ));
    }
    if is_shared || found.len() > 1 || (start == Start::Unclear && !found.is_empty()) {
        let named: Vec<String> = found.iter().map(ToString::to_string).collect();
        return Err(End::park(ParkCause::Ambiguous { what: format!("meeting {}", named.join(" or ")) }));
    }
    Ok(found.first().copied())
}

/// Whether another errand may have made one that looks the same.
async fn has_twin(attempt: &Attempt<'_>, asked: &ScheduleAsked, host: &UserId) -> Ended<bool> {
    let errands = attempt.ctx.store.documents(Shelf::Errand).await?;
    let is_its = |document: &&Document| document.account.as_ref() == Some(&attempt.account.id);
    let mut others =
        errands.iter().filter(is_its).filter_map(Errand::read).filter(|errand| errand.id != attempt.kept.id);
    let is_twin = |errand: &Errand| match &errand.what {
        Errandry::Schedule(Scheduling { asked: other, making: Making::Tried { host: theirs, .. }, .. }) => {
            let starts = [start_of(&other.fields), start_of(&asked.fields)];
            let name = |fields: &Object, name: &str| fields.get(name).cloned();
            errand.ended.is_none()
                && theirs == host
                && (starts[0] == starts[1] || starts.contains(&Start::Unclear))
                && ["topic", "type"].iter().all(|key| name(&other.fields, key) == name(&asked.fields, key))
        }
        _ => false,
    };
    Ok(others.any(|errand| is_twin(&errand)))
}

async fn rows(attempt: &Attempt<'_>, host: &UserId) -> Ended<Vec<MeetingRow>> {
    let (host, mut rows, mut token) = (UserKey::Id(host.clone()), Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = attempt.zoom.meetings(&host, Which::Scheduled, Page { size: PAGE_ROWS, token }).await;
        let page = page.map_err(|error| attempt.failed(error))?;
        rows.extend(page.rows);
        token = page.next;
        if token.is_none() {
            return Ok(rows);
        }
    }
    Err(End::retry(format!("the host has more meetings than {PAGES_MAX} pages of the list hold")))
}

/// When a meeting is to begin, as far as it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Nothing,
    At(Timestamp),
    /// A time without a zone is of a time zone that only Zoom knows.
    Unclear,
}

fn start_of(fields: &Object) -> Start {
    let Some(text) = fields.get("start_time").and_then(Value::as_str) else { return Start::Nothing };
    let zone = fields.get("timezone").and_then(Value::as_str).and_then(|zone| jiff::tz::TimeZone::get(zone).ok());
    let local = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(zone?).ok().map(|at| at.timestamp());
    let at = text.parse::<jiff::Timestamp>().ok().or_else(local);
    at.map_or(Start::Unclear, |at| Start::At(Timestamp::from_millis(at.as_millisecond())))
}

fn is_like(row: &MeetingRow, fields: &Object, start: Start) -> bool {
    let topic = fields.get("topic").and_then(Value::as_str);
    let kind = fields.get("type").map_or(Some(2), Value::as_i64);
    let is_then = match start {
        Start::At(start) => row.start.is_none_or(|is| is == start),
        Start::Nothing | Start::Unclear => true,
    };
    topic.is_none_or(|topic| row.topic.as_deref() == Some(topic.trim()))
        && (row.kind.is_none() || row.kind == kind)
        && is_then
}

/// The document that says that a meeting belongs to an errand.
pub(super) fn claim(of: &Errand, meeting: MeetingId) -> Document {
    let key = format!("made {meeting}");
    Document {
        shelf: Shelf::ErrandEnded,
        key,
        account: Some(of.account.clone()),
        value: of.id.to_string().into_bytes(),
    }
}

async fn is_claimed(attempt: &Attempt<'_>, meeting: MeetingId) -> Ended<bool> {
    let claim = claim(&attempt.kept, meeting);
    let known = known_of_meeting(&*attempt.ctx.store, &claim.key).await?;
    Ok(known.is_some_and(|of| of != claim.value))
}
