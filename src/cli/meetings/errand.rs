//! A meeting is made, or given another host.

use clap::{ArgGroup, Args};
use serde_json::Value;

use super::leaver;
use crate::account::UserKey;
use crate::cli::out::Out;
use crate::cli::remote::{Remote, segment};
use crate::cli::users::Of;
use crate::cli::{Exit, Failure};
use crate::ids::MeetingId;
use crate::web::admin::errands::{CheckView, ErrandView, MeetingSent, MoveSent};
use crate::work::{How as Kind, Through};
use crate::zoom::Object;

/// Of one request: the service waits no longer.
const WAIT: &str = "60s";

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// Who hosts it, by email or id
    #[arg(long = "for", value_name = "USER")]
    host: UserKey,
    #[command(flatten)]
    fields: Fields,
    /// In the host's own path: it counts against the host's budget, and cannot be moved later without more
    #[arg(long)]
    own: bool,
    /// The same key is the same meeting, for seven days
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    how: How,
}

/// What a meeting is.
#[derive(Debug, Args)]
pub(super) struct Fields {
    /// What it is about
    #[arg(long)]
    topic: Option<String>,
    /// When it begins, as in 2026-12-01T09:00:00Z or 2026-12-01T10:00:00+01:00
    #[arg(long, value_name = "TIME", value_parser = time)]
    start: Option<String>,
    /// How long it is to last, in minutes
    #[arg(long, value_name = "MINUTES")]
    duration: Option<u64>,
    /// More of Zoom's fields, as JSON: `{"settings": {"waiting_room": true}}`; from a file with @FILE
    #[arg(long = "fields", value_name = "JSON")]
    more: Option<String>,
}

impl Fields {
    /// As Zoom names them.
    pub(super) fn object(self) -> Result<Object, Failure> {
        let mut all = json(self.more.as_deref())?;
        let named = [
            ("topic", self.topic.map(Value::from)),
            ("start_time", self.start.map(Value::from)),
            ("duration", self.duration.map(Value::from)),
        ];
        all.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(all)
    }
}

#[derive(Debug, Args)]
pub(super) struct How {
    #[command(flatten)]
    pub(super) of: Of,
    /// Where today's budget is used up, fail in place of waiting for 00:00 UTC
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Only ask for it, and do not wait for what becomes of it
    #[arg(long)]
    pub(super) detach: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl How {
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        query.extend(self.no_wait.then(|| ("no_wait", "true".to_owned())));
        query.extend((!self.detach).then(|| ("wait", WAIT.to_owned())));
        query
    }
}

/// As Zoom wants it: a time with another offset is taken for none.
fn time(text: &str) -> Result<String, String> {
    let at = text.parse::<jiff::Timestamp>().map_err(|_| "expected a time as in 2026-12-01T09:00:00Z".to_owned())?;
    Ok(at.to_string())
}

/// Zoom shows them in groups, as in `812 3456 7890`.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    MeetingId::parse(&digits).map(MeetingId::number).map_err(|error| error.to_string())
}

/// Fields as they are written, or as a file has them.
fn json(text: Option<&str>) -> Result<Object, Failure> {
    let Some(text) = text else { return Ok(Object::new()) };
    let wrong = |why: String| Failure::new(Exit::Usage, format!("the fields of the meeting: {why}"));
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| wrong(format!("{path}: {error}")))?,
        None => text.to_owned(),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(wrong("expected an object of JSON".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

pub(super) async fn create(remote: &Remote, asked: Create, out: &mut Out) -> Result<Exit, Failure> {
    let meeting = asked.fields.object()?;
    let account = asked.how.of.account(remote).await?;
    let path = format!("/v1/accounts/{}/meetings", segment(&account));
    let through = if asked.own { Through::Own } else { Through::Movable };
    let sent = MeetingSent { host: asked.host, path: through, meeting, key: asked.key };
    let errand = remote.errand(&path, &asked.how.query(), &sent).await?;
    told(&errand, asked.how.json, out)
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").args(["meeting", "from"]).required(true)))]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(in crate::cli) struct Move {
    /// Zoom's number of the meeting, as in 81234567890 or "812 3456 7890"
    #[arg(value_parser = number)]
    pub(super) meeting: Option<u64>,
    /// All meetings of this host, by email or id
    #[arg(long, value_name = "USER")]
    pub(super) from: Option<UserKey>,
    /// Of --from: only those of the next six months
    #[arg(long, requires = "from", conflicts_with = "meeting")]
    pub(super) upcoming: bool,
    /// Who is to host, by email or id
    #[arg(long, value_name = "USER")]
    pub(super) to: UserKey,
    /// Only say whether it can be, and change nothing
    #[arg(long)]
    pub(super) check: bool,
    /// Where only the privilege is missing, lend it: granted for this, and taken back. moves.lend has to allow it
    #[arg(long)]
    pub(super) lend: bool,
    /// Where it cannot be moved, make the new host an alternative host
    #[arg(long)]
    pub(super) alternative: bool,
    /// Where it cannot be moved, make a new meeting with another link, and delete the old one then
    #[arg(long)]
    pub(super) recreate: bool,
    /// Move one that is running when it has ended
    #[arg(long)]
    pub(super) when_ended: bool,
    /// Of --from: do not ask
    #[arg(long, requires = "from", conflicts_with = "meeting")]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) how: How,
}

impl Move {
    pub(super) fn sent(&self, key: Option<String>) -> MoveSent {
        MoveSent {
            to: self.to.clone(),
            lend: self.lend,
            alternative: self.alternative,
            recreate: self.recreate,
            when_ended: self.when_ended,
            key,
        }
    }
}

pub(super) fn path_of(account: &str, meeting: u64) -> String {
    format!("/v1/accounts/{}/meetings/{meeting}/move", segment(account))
}

pub(super) async fn check(
    remote: &Remote,
    account: &str,
    (meeting, sent): (u64, &MoveSent),
) -> Result<CheckView, Failure> {
    remote.post_json(&path_of(account, meeting), &[("check", "true".to_owned())], sent).await
}

pub(super) async fn give(remote: &Remote, asked: Move, out: &mut Out) -> Result<Exit, Failure> {
    let account = asked.how.of.account(remote).await?;
    let Some(meeting) = asked.meeting else { return leaver::give(remote, &account, &asked, out).await };
    let sent = asked.sent(None);
    if asked.check {
        let view = check(remote, &account, (meeting, &sent)).await?;
        if asked.how.json {
            out.json(&view)?;
        } else {
            out.line(in_words(&view))?;
        }
        return Ok(if view.can_move { Exit::Good } else { Exit::Failed });
    }
    let errand = remote.errand(&path_of(&account, meeting), &asked.how.query(), &sent).await?;
    told(&errand, asked.how.json, out)
}

fn in_words(view: &CheckView) -> String {
    let CheckView { meeting, to, why, advice, left_today, .. } = view;
    if view.can_move {
        let what = match view.how {
            None | Some(Kind::Direct | Kind::Lend) => format!("meeting {meeting} can be given to {to}"),
            Some(Kind::Alternative | Kind::Recreate | Kind::WhenEnded) => format!("meeting {meeting}"),
        };
        let left = left_today.map_or_else(String::new, |left| format!("; {left} creates and changes are left today"));
        return format!("yes: {what}: {why}{left}");
    }
    let advice = advice.as_ref().map_or_else(String::new, |advice| format!("\nwhat can be done: {advice}"));
    format!("no: {why}{advice}")
}

/// What goes on by itself is as good as done.
pub(super) fn is_good(errand: &ErrandView) -> bool {
    ["done", "working", "waiting"].contains(&errand.state.as_str())
}

/// What became of it.
pub(super) fn told(errand: &ErrandView, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let exit = if is_good(errand) { Exit::Good } else { Exit::Failed };
    if json {
        out.json(errand)?;
        return Ok(exit);
    }
    let text = |name: &str| errand.zoom.as_ref()?.get(name)?.as_str().map(str::to_owned);
    out.fields(&[
        ("errand", Some(errand.id.clone())),
        ("asked", Some(format!("{} by {}", errand.asked_at, errand.asked_by))),
        ("state", Some(errand.state.clone())),
        ("meeting", errand.meeting.map(|id| id.to_string())),
        ("for", Some(errand.host.clone())),
        ("topic", text("topic")),
        ("start", text("start_time")),
        ("join", text("join_url")),
        ("why", errand.why.clone()),
        ("code", errand.code.clone()),
        ("what can be done", errand.advice.clone()),
    ])?;
    for note in &errand.notes {
        out.line(format!("note: {note}"))?;
    }
    Ok(exit)
}
