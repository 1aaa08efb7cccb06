//! Which upcoming meetings could be given to another host, and why the others could not.

use std::collections::HashSet;
use std::io::IsTerminal as _;

use clap::Args;

use crate::account::UserKey;
use crate::cli::out::{Out, count};
use crate::cli::remote::{Remote, segment};
use crate::cli::store::bar;
use crate::cli::users::Of;
use crate::cli::{Exit, Failure};
use crate::web::admin::movable::{MovableView, MovablesView};

#[derive(Debug, Args)]
pub(in crate::cli) struct Asked {
    /// Only of this host, by email or id; may be given again
    #[arg(long = "user", value_name = "USER")]
    users: Vec<UserKey>,
    /// Also those that can be given to another host
    #[arg(long)]
    all: bool,
    /// Go on where a list before was cut off, which said so
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    #[command(flatten)]
    of: Of,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    known: HashSet<u64>,
    rows: Vec<MovableView>,
    users: u64,
    looked_at: u64,
    unlisted: usize,
}

pub(super) async fn list(remote: &Remote, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let account = asked.of.account(remote).await?;
    let path = format!("/v1/accounts/{}/meetings/movable", segment(&account));
    let users = asked.users.iter().map(UserKey::as_str).collect::<Vec<_>>().join(",");
    let bar = (std::io::stderr().is_terminal() && !asked.json).then(|| bar("looking at meetings", "users"));
    let (mut seen, mut next) = (Seen::default(), asked.after.clone());
    loop {
        let mut query = vec![("all", asked.all.to_string())];
        query.extend((!users.is_empty()).then(|| ("user", users.clone())));
        query.extend(next.clone().map(|next| ("after", next)));
        let page: MovablesView =
            remote.get(&path, &query).await.map_err(|failure| cut_off(failure, next.as_deref()))?;
        let of = page.users_total;
        next.clone_from(&page.next);
        let fresh = seen.take(page);
        let mut written = || -> Result<(), Failure> {
            if asked.json {
                return Ok(());
            }
            for row in &fresh.0 {
                out.line(in_words(row))?;
            }
            for (user, why) in &fresh.1 {
                out.line(format!("{user}: the meetings cannot be listed: {why}"))?;
            }
            if bar.is_none() && next.is_some() {
                let of = of.map_or_else(String::new, |of| format!(" of {of}"));
                out.line(format!("… looked at {}{of} users", seen.users))?;
            }
            out.flush()
        };
        match &bar {
            Some(bar) => {
                bar.tell(seen.users, of.unwrap_or(seen.users).max(seen.users));
                bar.aside(written)?;
            }
            None => written()?,
        }
        if next.is_none() {
            break;
        }
    }
    drop(bar);
    if asked.json {
        out.json(&seen.rows)?;
    } else {
        out.line(summary(&seen))?;
    }
    Ok(Exit::Good)
}

impl Seen {
    /// What is new in the page: it may begin with what the one before ended with.
    fn take(&mut self, page: MovablesView) -> (Vec<MovableView>, Vec<(String, String)>) {
        self.users = self.users.saturating_add(page.users);
        self.looked_at = self.looked_at.saturating_add(page.looked_at);
        let unlisted: Vec<_> = page.unlisted.into_iter().map(|one| (one.user, one.why)).collect();
        self.unlisted = self.unlisted.saturating_add(unlisted.len());
        let mut fresh = page.meetings;
        fresh.retain(|row| self.known.insert(row.meeting));
        self.rows.extend(fresh.iter().cloned());
        (fresh, unlisted)
    }
}

/// What was said so far counts, and the rest can be had.
fn cut_off(failure: Failure, next: Option<&str>) -> Failure {
    match next {
        Some(next) => Failure::new(failure.exit, format!("{failure}; to go on, within 15 minutes: --after {next}")),
        None => failure,
    }
}

fn in_words(row: &MovableView) -> String {
    let MovableView { meeting, topic, start, host, code, why, advice, .. } = row;
    let topic = topic.as_ref().map_or_else(String::new, |topic| format!(" {topic}"));
    let start = start.as_ref().map_or_else(String::new, |start| format!(" at {start}"));
    let advice = advice.as_ref().map_or_else(String::new, |advice| format!(". {advice}"));
    match code {
        Some(code) => format!("{meeting}{topic}, of {host}{start}: no, {code}: {why}{advice}"),
        None => format!("{meeting}{topic}, of {host}{start}: yes: {why}"),
    }
}

fn summary(seen: &Seen) -> String {
    let cannot = seen.rows.iter().filter(|row| !row.can_move).count();
    let unlisted = match seen.unlisted {
        0 => String::new(),
        unlisted => format!("; of {} Zoom lists no meetings", count(unlisted, "user", "users")),
    };
    format!(
        "{cannot} of {} of {} cannot be given to another host through the API users{unlisted}",
        count(seen.looked_at, "upcoming meeting", "upcoming meetings"),
        count(seen.users, "user", "users")
    )
}
