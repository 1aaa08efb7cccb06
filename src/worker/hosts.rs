//! What a sweep of meetings looks at: each host's meetings of the next days. Their settings are in no list, so that a job
//! reads each.

use std::time::Duration;

use super::sweeper::{Fault, Sweeper};
use super::walk::Pages;
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::MeetingId;
use crate::job::Subject;
use crate::rules::{Rule, Step};
use crate::zoom::{MeetingRow, User, Which, Zoom, ZoomError};

/// Later ones are looked at on a later night.
const AHEAD: Duration = Duration::from_secs(14 * 86_400);
const PAGE_MEETINGS: u32 = 300;

impl Sweeper {
    /// A job for each meeting of the host and each rule, where the host can have any and some rule does not except them.
    pub(super) async fn meetings_of(
        &self,
        account: &Account,
        rules: &[&Rule],
        host: &User,
        zoom: &dyn Zoom,
        now: Timestamp,
    ) -> Result<Vec<Step>, Fault> {
        let is_excepted = |rule: &Rule| host.email.as_ref().is_some_and(|email| rule.except.contains(email));
        let about: Vec<&&Rule> = rules.iter().filter(|rule| !is_excepted(rule)).collect();
        let key = UserKey::of(host.id.as_ref(), host.email.as_ref());
        let Some(key) = key.filter(|_| host.is_licensed() && !about.is_empty()) else { return Ok(Vec::new()) };
        let known = self.with(&account.id, |known| known.hosted.get(&key).cloned());
        let meetings = if let Some(meetings) = known {
            meetings
        } else {
            // Kept until the page is recorded, so that an error costs one host.
            let meetings = upcoming(&key, zoom, now).await?;
            self.with(&account.id, |known| known.hosted.insert(key, meetings.clone()));
            meetings
        };
        let step = |id: MeetingId, rule: &Rule| Step::Ensure {
            rule: rule.name.clone(),
            subject: Subject::Meeting { id },
            on: None,
        };
        let of = |id: MeetingId| about.iter().map(move |rule| step(id, rule));
        Ok(meetings.into_iter().flat_map(of).collect())
    }
}

/// The host's meetings until [`AHEAD`], each once, however often it takes place.
async fn upcoming(host: &UserKey, zoom: &dyn Zoom, now: Timestamp) -> Result<Vec<MeetingId>, ZoomError> {
    let (rows, refused) = upcoming_rows(host, zoom).await?;
    // Nothing that would end the sweep of all others.
    if let Some(error) = refused {
        tracing::warn!(error = error.kind(), "the meetings of a host cannot be listed");
    }
    Ok(rows.iter().filter(|row| is_soon(row, now)).map(|row| row.id).collect())
}

/// The host's meetings of the next six months, by number, each once with its first start; and why Zoom lists no more of them,
/// where it does not: the host is gone meanwhile, or nobody who can host.
pub(super) async fn upcoming_rows(
    host: &UserKey,
    zoom: &dyn Zoom,
) -> Result<(Vec<MeetingRow>, Option<ZoomError>), ZoomError> {
    let (mut rows, mut pages, mut refused) = (Vec::new(), Pages::of(PAGE_MEETINGS), None);
    while let Some(page) = pages.wanted() {
        let page = match zoom.meetings(host, Which::Upcoming, page).await {
            Err(error @ (ZoomError::NotFound(_) | ZoomError::Refused { .. })) => {
                refused = Some(error);
                break;
            }
            page => page?,
        };
        let read = pages.read(page.rows.len(), page.next, page.total);
        rows.extend(page.rows);
        // What was listed counts, as where a host's list is refused in the middle.
        if let Err(error) = read {
            refused = Some(error);
            break;
        }
    }
    rows.sort_by_key(|row| (row.id, row.start));
    rows.dedup_by_key(|row| row.id);
    Ok((rows, refused))
}

/// One without a time can begin at any.
fn is_soon(row: &MeetingRow, now: Timestamp) -> bool {
    row.start.is_none_or(|start| start <= now.plus(AHEAD))
}
