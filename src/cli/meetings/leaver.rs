//! All meetings of one host are given to another: what will be is said first, meeting by meeting.

use super::errand::{Move, check, path_of};
use crate::cli::out::{Out, count};
use crate::cli::remote::{Remote, segment};
use crate::cli::{Exit, Failure};
use crate::web::admin::errands::{CheckView, ErrandView};
use crate::web::admin::meetings::{MeetingRowView, MeetingsView};

/// So long is waited for each at a time.
const WAIT: &str = "60s";

/// Every meeting of the host once: a recurring one has a row for each time.
pub(super) async fn listed(
    remote: &Remote,
    account: &str,
    host: &str,
    is_upcoming: bool,
) -> Result<Vec<MeetingRowView>, Failure> {
    let path = format!("/v1/accounts/{}/users/{}/meetings", segment(account), segment(host));
    let (mut found, mut next): (Vec<MeetingRowView>, Option<String>) = (Vec::new(), None);
    loop {
        let which = if is_upcoming { "upcoming" } else { "scheduled" };
        let mut query = vec![("type", which.to_owned()), ("limit", "300".to_owned())];
        query.extend(next.map(|next| ("next", next)));
        let page: MeetingsView = remote.get(&path, &query).await?;
        for row in page.meetings {
            if found.iter().all(|known| known.id != row.id) {
                found.push(row);
            }
        }
        next = page.next;
        if next.is_none() {
            return Ok(found);
        }
    }
}

pub(super) async fn give(remote: &Remote, account: &str, asked: &Move, out: &mut Out) -> Result<Exit, Failure> {
    let Some(from) = &asked.from else { return Err(Failure::new(Exit::Usage, "name a meeting, or --from")) };
    let meetings = listed(remote, account, from.as_str(), asked.upcoming).await?;
    let mut plan: Vec<(MeetingRowView, CheckView)> = Vec::new();
    for (row, number) in meetings.into_iter().zip(1_usize..) {
        let view = check(remote, account, (row.id, &asked.sent(None))).await?;
        if !asked.how.json {
            let word = if view.can_move { "yes" } else { "no" };
            let topic = row.topic.clone().unwrap_or_default();
            out.line(format!("{number}. {} {topic}: {word}: {}", row.id, view.why))?;
        }
        plan.push((row, view));
    }
    let can = plan.iter().filter(|(_, view)| view.can_move).count();
    let is_otherwise = asked.lend || asked.alternative || asked.recreate || asked.when_ended;
    let left = plan.iter().filter_map(|(_, view)| view.left_today).min();
    if asked.check || plan.is_empty() {
        if asked.how.json {
            out.json(&plan.iter().map(|(_, view)| view).collect::<Vec<_>>())?;
        } else {
            out.line(summary(can, plan.len(), left))?;
        }
        return Ok(if can == plan.len() { Exit::Good } else { Exit::Failed });
    }
    if !asked.yes {
        if asked.how.json {
            return Err(Failure::new(Exit::Usage, "nobody is asked with --json: add --yes"));
        }
        out.line(summary(can, plan.len(), left))?;
        if !out.is_agreed(&format!("give them to {}?", asked.to), "add --yes")? {
            return Err(Failure::new(Exit::Failed, "nothing was changed"));
        }
    }
    let (mut moved, mut done) = (Vec::new(), 0_usize);
    let all = plan.len();
    for ((row, view), number) in plan.into_iter().zip(1_usize..) {
        if !view.can_move && !is_otherwise {
            continue;
        }
        let mut query = vec![("wait", WAIT.to_owned())];
        query.extend(asked.how.no_wait.then(|| ("no_wait", "true".to_owned())));
        let sent = remote.post_json::<ErrandView>(&path_of(account, row.id), &query, &asked.sent(None)).await;
        let errand = match sent {
            Ok(errand) => errand,
            // One of them holds up no other; the same command, given again, lists what is left.
            Err(failure) => {
                said(out, asked.how.json, format!("{number} of {all}: {} {failure}", row.id))?;
                continue;
            }
        };
        if !asked.how.json {
            let why = errand.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            out.line(format!("{number} of {all}: {} {}{why}", row.id, errand.state))?;
            for note in &errand.notes {
                out.line(format!("   note: {note}"))?;
            }
        }
        done = done.saturating_add(usize::from(errand.state == "done"));
        moved.push(errand);
    }
    if asked.how.json {
        out.json(&moved)?;
    } else {
        out.line(format!("{done} of {} moved to {}", count(all, "meeting", "meetings"), asked.to))?;
    }
    Ok(if done == all { Exit::Good } else { Exit::Failed })
}

/// Beside JSON nothing is said.
fn said(out: &mut Out, json: bool, line: String) -> Result<(), Failure> {
    if json { Ok(()) } else { out.line(line) }
}

fn summary(can: usize, all: usize, left: Option<u32>) -> String {
    let left = left.map_or_else(String::new, |left| {
        format!("; it takes {can} of Zoom's creates and changes, of which {left} are left today: what is beyond waits for 00:00 UTC")
    });
    format!("{can} of {} can be moved as asked{left}", count(all, "meeting", "meetings"))
}
