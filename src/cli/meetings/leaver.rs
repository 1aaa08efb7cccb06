//! All meetings of one host are given to another: what will be is said first, meeting by meeting.

use std::collections::HashMap;

use serde::Serialize;

use super::errand::{Move, check, is_good, path_of};
use crate::cli::out::{Out, count, has_to_ask};
use crate::cli::remote::{Remote, segment};
use crate::cli::{Exit, Failure};
use crate::web::admin::errands::{CheckView, ErrandView};
use crate::web::admin::meetings::{MeetingRowView, MeetingsView};
use crate::work::How;

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

/// What was said before, and what became of it.
#[derive(Debug, Serialize)]
struct Given {
    plan: CheckView,
    /// None where it cannot be, where there was nothing to do, and where `error` says why it was not taken.
    errand: Option<ErrandView>,
    error: Option<String>,
}

impl Given {
    /// Nothing is left to do, or it goes on by itself.
    fn is_good(&self) -> bool {
        self.plan.can_move && self.error.is_none() && self.errand.as_ref().is_none_or(is_good)
    }

    fn is_done(&self) -> bool {
        self.is_good() && self.errand.as_ref().is_none_or(|errand| errand.state == "done")
    }
}

pub(super) async fn give(remote: &Remote, account: &str, asked: &Move, out: &mut Out) -> Result<Exit, Failure> {
    let Some(from) = &asked.from else { return Err(Failure::new(Exit::Usage, "name a meeting, or --from")) };
    let is_asked = !asked.check && has_to_ask(asked.yes, asked.how.json)?;
    let meetings = listed(remote, account, from.as_str(), asked.upcoming).await?;
    let mut plan: Vec<CheckView> = Vec::new();
    let mut said = HashMap::new();
    for (row, number) in meetings.into_iter().zip(1_usize..) {
        let view = check(remote, account, (row.id, &asked.sent(None))).await?;
        if !asked.how.json {
            tell(&row, &view, (number, &mut said), out)?;
        }
        plan.push(view);
    }
    if asked.check || plan.is_empty() {
        if asked.how.json {
            out.json(&plan)?;
        } else {
            out.line(summary(&plan))?;
        }
        return Ok(if plan.iter().all(|view| view.can_move) { Exit::Good } else { Exit::Failed });
    }
    if is_asked {
        out.line(summary(&plan))?;
        out.agree(&format!("give them to {}?", asked.to))?;
    }
    let (mut given, all) = (Vec::new(), plan.len());
    for (plan, number) in plan.into_iter().zip(1_usize..) {
        given.push(one(remote, account, asked, plan, (&format!("{number} of {all}"), out)).await?);
    }
    let done = given.iter().filter(|one| one.is_done()).count();
    let is_good = given.iter().all(Given::is_good);
    if asked.how.json {
        out.json(&given)?;
    } else {
        out.line(format!("{done} of {} moved to {}", count(all, "meeting", "meetings"), asked.to))?;
    }
    Ok(if is_good { Exit::Good } else { Exit::Failed })
}

/// One of them holds up no other; the same command, given again, lists what is left.
async fn one(
    remote: &Remote,
    account: &str,
    asked: &Move,
    plan: CheckView,
    (number, out): (&str, &mut Out),
) -> Result<Given, Failure> {
    let (id, is_told) = (plan.meeting, !asked.how.json);
    if !plan.can_move || plan.how.is_none() {
        return Ok(Given { plan, errand: None, error: None });
    }
    let mut query = vec![("wait", WAIT.to_owned())];
    query.extend(asked.how.no_wait.then(|| ("no_wait", "true".to_owned())));
    let errand = match remote.errand(&path_of(account, id), &query, &asked.sent(None)).await {
        Ok(errand) => errand,
        Err(failure) => {
            if is_told {
                out.line(format!("{number}: {id} {failure}"))?;
            }
            return Ok(Given { plan, errand: None, error: Some(failure.to_string()) });
        }
    };
    if is_told {
        let why = errand.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        out.line(format!("{number}: {id} {}{why}", errand.state))?;
        for note in &errand.notes {
            out.line(format!("   note: {note}"))?;
        }
    }
    Ok(Given { plan, errand: Some(errand), error: None })
}

/// Of a meeting how it would be done, or why not. A sentence that was said of another is not said again.
fn tell(
    row: &MeetingRowView,
    view: &CheckView,
    (number, said): (usize, &mut HashMap<String, usize>),
    out: &mut Out,
) -> Result<(), Failure> {
    let word = match view.how {
        _ if !view.can_move => "no".to_owned(),
        None => "yes".to_owned(),
        Some(how) => format!("yes, {}", in_words(how)),
    };
    let first = *said.entry(view.why.clone()).or_insert(number);
    let why = if first == number { view.why.clone() } else { format!("as {first}") };
    out.line(format!("{number}. {} {}: {word}: {why}", row.id, row.topic.as_deref().unwrap_or_default()))?;
    match &view.advice {
        Some(advice) if first == number => out.line(format!("   what can be done: {advice}")),
        _ => Ok(()),
    }
}

const fn in_words(how: How) -> &'static str {
    match how {
        How::Direct => "directly",
        How::Lend => "by lending",
        How::Alternative => "as alternative host",
        How::Recreate => "made anew",
        How::WhenEnded => "when it has ended",
    }
}

fn summary(plan: &[CheckView]) -> String {
    let ways = [How::Direct, How::Lend, How::Alternative, How::Recreate, How::WhenEnded];
    let counted = ways.map(|how| (in_words(how), plan.iter().filter(|view| view.how == Some(how)).count()));
    // Each is one create or one change.
    let takes: usize = counted.iter().map(|(_, count)| count).sum();
    let each: Vec<String> =
        counted.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{count} {word}")).collect();
    let each = if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) };
    let left = plan.iter().filter(|view| view.how.is_some()).filter_map(|view| view.left_today).min();
    let left = left.map_or_else(String::new, |left| {
        format!("; it takes {takes} of Zoom's creates and changes, of which {left} are left today: what is beyond waits for 00:00 UTC")
    });
    let can = plan.iter().filter(|view| view.can_move).count();
    format!("{can} of {} can be moved as asked{each}{left}", count(plan.len(), "meeting", "meetings"))
}
