//! The upcoming meetings of a host who is gone or cannot host any more, and what could become of each. Reads Zoom, and changes
//! nothing there: whoever gets the record decides.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::around::ApiUser;
use super::judge::Verdict;
use super::meeting::{Movable, movable};
use super::send::{Message, blank};
use super::told::Told;
use super::{End, Ended, Task};
use crate::account::UserKey;
use crate::ids::{Email, MeetingId, UserId};
use crate::job::{ParkCause, Subject};
use crate::rules::{self, Leaves, Orphaned};
use crate::zoom::{Meeting, MeetingRow, Page, Status, User, Which, Zoom, ZoomError};

/// Each costs a call.
const MEETINGS_MAX: usize = 300;
const PAGE_SIZE: u32 = 300;
/// More pages are needed only where Zoom gives few rows on each.
const PAGES_MAX: usize = 30;
/// What Zoom's reference says of deleting a user: meetings can be transferred before, and the user's data go with the user \[D].
const UNKNOWN: &str = "Zoom does not know the host any more, and lists nothing of who is gone: what was not transferred when the \
                       user was deleted (transfer_meeting) went with the user";

/// What such a rule sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanedRecord {
    pub host: Host,
    pub successor: Successor,
    pub meetings: Vec<OrphanedMeeting>,
    /// There are more than 300, which are not in it.
    pub is_cut_short: bool,
    /// Why nothing can be said of meetings.
    pub note: Option<String>,
}

/// Whom the event names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    pub id: Option<UserId>,
    pub email: Option<Email>,
    /// `active`, `inactive`, `pending`, or `unknown` where Zoom does not say or does not know the user.
    pub status: &'static str,
    pub is_licensed: bool,
}

/// Who could host the meetings, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Successor {
    pub email: Email,
    pub can_host: bool,
    pub why_not: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanedMeeting {
    pub id: MeetingId,
    pub topic: Option<String>,
    /// 2 scheduled, 3 recurring without a time, 8 recurring.
    pub r#type: Option<i64>,
    /// As Zoom states it.
    pub start: Option<String>,
    pub movable: bool,
    pub why: String,
    /// What to do, in a sentence.
    pub proposal: String,
}

/// The record about whom the job's delivery names.
pub(super) async fn message(task: &Task<'_>, orphaned: &Orphaned, told: &Told) -> Ended<Message> {
    let Subject::Event { delivery } = task.job.subject else {
        return Err(End::park(ParkCause::RuleGone { is_another: true }));
    };
    let named = rules::subjects(&told.event, &told.whole).into_iter().find_map(|subject| match subject {
        Subject::User { id, email } => Some((UserKey::of(id.as_ref(), email.as_ref())?, id, email)),
        _ => None,
    });
    let (key, id, email) = named.ok_or_else(|| End::not_applicable("the event names no user"))?;
    let record = record(task, orphaned, (&key, id, email)).await?;
    let record = serde_json::to_value(record).map_err(|error| End::retry(error.to_string()))?;
    Ok(Message {
        event: "adjutant.orphaned".to_owned(),
        at: told.at,
        record: Some(record),
        ..blank(task.job, Some(delivery))
    })
}

async fn record(
    task: &Task<'_>,
    orphaned: &Orphaned,
    (key, id, email): (&UserKey, Option<UserId>, Option<Email>),
) -> Ended<OrphanedRecord> {
    let user = known(task, task.zoom.user(key).await)?;
    let listed = match &user {
        Some(_) => known(task, upcoming(task.zoom, key).await)?,
        None => None,
    };
    if listed.as_ref().is_some_and(|(rows, _)| rows.is_empty()) {
        return Err(End::not_applicable("no upcoming meetings"));
    }
    let successor = successor(task, &orphaned.successor).await?;
    let note = listed.is_none().then(|| UNKNOWN.to_owned());
    let (rows, is_cut_short) = listed.unwrap_or_default();
    let (mut meetings, mut around) = (Vec::new(), task.ctx.facts.around(task.account, task.ctx.clock.now()));
    around.known = HashMap::new();
    for row in rows {
        // One that is gone meanwhile needs nobody.
        let Some(meeting) = known(task, task.zoom.meeting(row.id).await)? else { continue };
        let movable = loop {
            match movable(&around, &meeting, None) {
                Ok(movable) => break movable,
                Err(Verdict::Needs(super::Need::ApiUser(key))) => around.learn(task.api_user(&key).await?),
                Err(_) => return Err(End::retry("too much would have to be read")),
            }
        };
        meetings.push(told(&meeting, &movable, user.as_ref(), &successor));
    }
    let status = match user.as_ref().map_or(Status::Unknown, |user| user.status) {
        Status::Active => "active",
        Status::Inactive => "inactive",
        Status::Pending => "pending",
        Status::Unknown => "unknown",
    };
    let is_licensed = user.as_ref().is_some_and(User::is_licensed);
    let (of_user, email_of) = user.map_or((None, None), |user| (user.id, user.email));
    Ok(OrphanedRecord {
        host: Host { id: of_user.or(id), email: email_of.or(email), status, is_licensed },
        successor: Successor {
            email: orphaned.successor.clone(),
            can_host: successor.unusable.is_none(),
            why_not: successor.unusable,
        },
        meetings,
        is_cut_short,
        note,
    })
}

/// None where Zoom does not know it.
fn known<T>(task: &Task<'_>, read: Result<T, ZoomError>) -> Ended<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(ZoomError::NotFound(_)) => Ok(None),
        Err(error) => Err(task.failed(error)),
    }
}

/// The first of the host's meetings, and whether there are more.
pub(super) async fn upcoming(zoom: &dyn Zoom, host: &UserKey) -> Result<(Vec<MeetingRow>, bool), ZoomError> {
    let (mut rows, mut token): (Vec<MeetingRow>, _) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = zoom.meetings(host, Which::Upcoming, Page { size: PAGE_SIZE, token }).await?;
        for row in page.rows {
            // A recurring one has a row for each time.
            if rows.iter().all(|known| known.id != row.id) {
                rows.push(row);
            }
        }
        token = page.next;
        if rows.len() > MEETINGS_MAX {
            rows.truncate(MEETINGS_MAX);
            return Ok((rows, true));
        }
        if token.is_none() {
            return Ok((rows, false));
        }
    }
    Err(ZoomError::Unreadable(format!("the list of meetings has more than {PAGES_MAX} pages")))
}

/// As Zoom knows them now. Nobody is told where they cannot host: the record says so.
async fn successor(task: &Task<'_>, email: &Email) -> Ended<ApiUser> {
    let key = UserKey::Email(email.clone());
    let user = known(task, task.zoom.user(&key).await)?;
    Ok(user.map_or_else(|| ApiUser::missing(&key), |user| ApiUser::found(&key, user)))
}

fn told(meeting: &Meeting, movable: &Movable, host: Option<&User>, successor: &ApiUser) -> OrphanedMeeting {
    let text = |name: &str| meeting.whole.get(name).and_then(Value::as_str).map(str::to_owned);
    OrphanedMeeting {
        id: meeting.id,
        topic: text("topic"),
        r#type: meeting.whole.get("type").and_then(Value::as_i64),
        start: text("start_time"),
        movable: movable.by.is_some(),
        why: movable.in_words(),
        proposal: proposal(meeting, movable, host, successor),
    }
}

/// What to do for the meeting, or why nothing can be done.
fn proposal(meeting: &Meeting, movable: &Movable, host: Option<&User>, successor: &ApiUser) -> String {
    let (to, why) = (&successor.key, &movable.why);
    if successor.is(meeting.host_id.as_ref(), meeting.host_email.as_ref()) {
        return format!("find somebody else: {to} hosts it");
    }
    if let Some(why) = &successor.unusable {
        return format!("find somebody else: {to} cannot host it, since {why}");
    }
    if let Some(by) = &movable.by {
        let when = if movable.is_running { " when it is over" } else { "" };
        // The privilege that Zoom asks for is that of who scheduled it, for the new host.
        return if successor.key == *by {
            format!("move to {to}{when}")
        } else {
            format!("move to {to}{when}, whom API user {by} has to assist")
        };
    }
    let is_active = host.is_some_and(|host| host.status == Status::Active);
    let is_there = Leaves::hosts_in(&meeting.settings)
        .zip(successor.email.as_ref())
        .is_some_and(|(hosts, email)| hosts.contains(email.as_str()));
    match (is_active, is_there) {
        (true, true) => format!("nothing: {to} is an alternative host already. It cannot be moved: {why}"),
        (true, false) => format!("make {to} an alternative host. It cannot be moved: {why}"),
        (false, _) => format!("make it anew for {to}, with a new link. It cannot be moved: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::zoom::Object;

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else { panic!("{value} is no object") };
        object
    }

    fn meeting(more: Value) -> Meeting {
        let mut whole = object(json!({ "id": 1, "host_id": "jill", "status": "waiting", "settings": {} }));
        whole.extend(object(more));
        Meeting::try_from(whole).unwrap()
    }

    fn user(id: &str, status: &str, kind: i64) -> User {
        let email = format!("{id}@x.example");
        User::from(object(json!({ "id": id, "email": email, "status": status, "type": kind })))
    }

    #[test]
    fn what_is_proposed_follows_from_the_meeting_its_host_and_the_successor() {
        let key: UserKey = "deputy@x.example".parse().unwrap();
        let able = ApiUser::found(&key, user("deputy", "active", 2));
        let (unable, missing) = (ApiUser::found(&key, user("deputy", "active", 1)), ApiUser::missing(&key));
        let by = |by: Option<&str>, is_running| Movable {
            by: by.map(|by| by.parse().unwrap()),
            is_running,
            why: "its host made it".to_owned(),
        };
        let (api, own, none) = (by(Some("api@x.example"), false), by(Some("deputy@x.example"), false), by(None, false));
        let runs = by(Some("api@x.example"), true);
        let (here, gone) = (user("jill", "active", 1), user("jill", "inactive", 1));
        let plain = meeting(json!({}));
        let shared = meeting(json!({ "settings": { "alternative_hosts": "deputy@x.example" } }));
        let theirs = meeting(json!({ "host_id": "deputy" }));
        for (meeting, movable, host, successor, expected) in [
            (&plain, &api, &gone, &able, "move to deputy@x.example, whom API user api@x.example has to assist"),
            (
                &plain,
                &runs,
                &gone,
                &able,
                "move to deputy@x.example when it is over, whom API user api@x.example has to assist",
            ),
            (&plain, &own, &gone, &able, "move to deputy@x.example"),
            (
                &plain,
                &api,
                &gone,
                &unable,
                "find somebody else: deputy@x.example cannot host it, since it has no licence",
            ),
            (
                &plain,
                &none,
                &here,
                &missing,
                "find somebody else: deputy@x.example cannot host it, since Zoom does not know it",
            ),
            (&theirs, &api, &here, &able, "find somebody else: deputy@x.example hosts it"),
            (
                &plain,
                &none,
                &here,
                &able,
                "make deputy@x.example an alternative host. It cannot be moved: its host made it",
            ),
            (
                &shared,
                &none,
                &here,
                &able,
                "nothing: deputy@x.example is an alternative host already. It cannot be moved: its host made it",
            ),
            (
                &shared,
                &none,
                &gone,
                &able,
                "make it anew for deputy@x.example, with a new link. It cannot be moved: its host made it",
            ),
        ] {
            assert_eq!(proposal(meeting, movable, Some(host), successor), expected);
        }
        let unknown = proposal(&plain, &none, None, &able);
        assert!(unknown.starts_with("make it anew"), "{unknown}");
    }
}
