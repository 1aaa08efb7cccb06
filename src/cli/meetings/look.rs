//! Meetings are looked at and changed, as Zoom has them now.

use clap::Args;

use super::errand::{Fields, number};
use super::leaver::listed;
use crate::account::UserKey;
use crate::cli::out::{Out, count, has_to_ask};
use crate::cli::remote::{Remote, segment};
use crate::cli::users::Of;
use crate::cli::{Exit, Failure};
use crate::web::admin::meetings::{BudgetView, MeetingChangedView, MeetingRowView};
use crate::zoom::Object;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Whose, by email or id
    #[arg(long = "for", value_name = "USER")]
    host: UserKey,
    /// However far ahead, and not of the next six months alone
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    of: Of,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(remote: &Remote, asked: List, out: &mut Out) -> Result<Exit, Failure> {
    let account = asked.of.account(remote).await?;
    let found = listed(remote, &account, asked.host.as_str(), !asked.all).await?;
    if asked.json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|row| {
            vec![row.id.to_string(), row.start.clone().unwrap_or_default(), row.topic.clone().unwrap_or_default()]
        })
        .collect();
    out.table(&["ID", "START", "TOPIC"], &rows)?;
    let hidden = if asked.all { 0 } else { hidden(remote, &account, asked.host.as_str(), &found).await? };
    let more = match hidden {
        0 => String::new(),
        1 => "; 1 more is over or further ahead than six months: --all".to_owned(),
        many => format!("; {many} more are over or further ahead than six months: --all"),
    };
    out.line(format!("{}{more}", count(found.len(), "meeting", "meetings")))?;
    Ok(Exit::Good)
}

/// How many the list of the next six months leaves out.
async fn hidden(remote: &Remote, account: &str, host: &str, shown: &[MeetingRowView]) -> Result<usize, Failure> {
    let all = listed(remote, account, host, false).await?;
    Ok(all.iter().filter(|row| shown.iter().all(|other| other.id != row.id)).count())
}

#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// Zoom's number of the meeting, as in 81234567890 or "812 3456 7890"
    #[arg(value_parser = number)]
    meeting: u64,
    #[command(flatten)]
    of: Of,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl One {
    async fn path(&self, remote: &Remote) -> Result<String, Failure> {
        let account = self.of.account(remote).await?;
        Ok(format!("/v1/accounts/{}/meetings/{}", segment(&account), self.meeting))
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    one: One,
}

pub(super) async fn show(remote: &Remote, asked: Show, out: &mut Out) -> Result<Exit, Failure> {
    let meeting: Object = remote.get(&asked.one.path(remote).await?, &[]).await?;
    shown(&meeting, asked.one.json, out)
}

fn shown(meeting: &Object, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    if json {
        out.json(meeting)?;
        return Ok(Exit::Good);
    }
    let text = |name: &str| match meeting.get(name)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Null => None,
        other => Some(other.to_string()),
    };
    let names = ["id", "topic", "status", "host_email", "start_time", "duration", "timezone", "join_url", "start_url"];
    let fields: Vec<(&str, Option<String>)> = names.into_iter().map(|name| (name, text(name))).collect();
    out.fields(&fields)?;
    Ok(Exit::Good)
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Update {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    fields: Fields,
}

pub(super) async fn update(remote: &Remote, asked: Update, out: &mut Out) -> Result<Exit, Failure> {
    let sent = asked.fields.object()?;
    let changed: MeetingChangedView = remote.patch_json(&asked.one.path(remote).await?, &sent).await?;
    shown(&changed.meeting.unwrap_or_default(), asked.one.json, out)
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    #[command(flatten)]
    one: One,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn delete(remote: &Remote, asked: Delete, out: &mut Out) -> Result<Exit, Failure> {
    let path = asked.one.path(remote).await?;
    agreed(remote, (&asked.one, asked.yes), "delete it, with its link?", out).await?;
    let changed: MeetingChangedView = remote.delete(&path, &[]).await?;
    gone(&changed, (asked.one.json, "is deleted"), out)
}

#[derive(Debug, Args)]
pub(in crate::cli) struct End {
    #[command(flatten)]
    one: One,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn end(remote: &Remote, asked: End, out: &mut Out) -> Result<Exit, Failure> {
    let path = asked.one.path(remote).await?;
    agreed(remote, (&asked.one, asked.yes), "end it, for everybody in it?", out).await?;
    let changed: MeetingChangedView = remote.post(&format!("{path}/end"), &[]).await?;
    gone(&changed, (asked.one.json, "is not running"), out)
}

async fn agreed(remote: &Remote, (one, yes): (&One, bool), question: &str, out: &mut Out) -> Result<(), Failure> {
    if !has_to_ask(yes, one.json)? {
        return Ok(());
    }
    let meeting: Object = remote.get(&one.path(remote).await?, &[]).await?;
    shown(&meeting, false, out)?;
    out.agree(question)
}

fn gone(changed: &MeetingChangedView, (json, what): (bool, &str), out: &mut Out) -> Result<Exit, Failure> {
    if json {
        out.json(changed)?;
    } else {
        out.line(format!("meeting {} {what}", changed.id))?;
    }
    Ok(Exit::Good)
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Budgets {
    /// Of these users, by email or id. Default: the account's API users
    #[arg(long = "user", value_name = "USER")]
    users: Vec<UserKey>,
    #[command(flatten)]
    of: Of,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn budgets(remote: &Remote, asked: Budgets, out: &mut Out) -> Result<Exit, Failure> {
    let path = format!("/v1/accounts/{}/budgets", segment(&asked.of.account(remote).await?));
    let users = asked.users.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let query: Vec<_> = (!users.is_empty()).then_some(("users", users)).into_iter().collect();
    let found: Vec<BudgetView> = remote.get(&path, &query).await?;
    if asked.json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    let row = |one: &BudgetView| {
        let left = if one.is_spent { "0, as Zoom says".to_owned() } else { one.left.to_string() };
        vec![one.user.clone(), one.used.to_string(), left, one.per_day.to_string()]
    };
    out.table(&["USER", "USED TODAY", "LEFT", "A DAY"], &found.iter().map(row).collect::<Vec<_>>())?;
    if let Some(first) = found.first() {
        out.line(format!("creates and changes of meetings; they begin anew at {}", first.anew_at))?;
    }
    Ok(Exit::Good)
}
