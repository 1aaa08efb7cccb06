//! Consumers that take the audit log, as the running service has them.

use clap::Args;

use super::super::out::{Out, has_to_ask};
use super::super::remote::{Remote, segment};
use super::super::{Context, Exit, Failure};
use crate::web::admin::ConsumerView;

#[derive(Debug, Args)]
pub(in crate::cli) struct Named {
    /// The name of the consumer
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Forget {
    #[command(flatten)]
    of: Named,
    /// Do not ask for a yes
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Replay {
    #[command(flatten)]
    of: Named,
    /// The first entry that it gets again: its number, as `audit tail` has them, where 0 is the first of all, or a time as in
    /// 2026-11-21 or 2026-11-21T08:00:00Z
    #[arg(long, value_name = "ENTRY|TIME")]
    from: String,
}

/// Those of the running service; none where it does not answer.
pub(super) async fn all(context: &Context) -> Vec<ConsumerView> {
    let remote = context.admin().and_then(|admin| Remote::running(&admin)).and_then(Remote::impatient);
    match remote {
        Ok(remote) => remote.get("/v1/consumers", &[]).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// How far it is: `7 (30 s)`.
pub(super) fn behind(of: &ConsumerView) -> String {
    match (of.behind_entries, of.behind_checkpoints) {
        (0, 0) => "0".to_owned(),
        (entries, 0) => format!("{entries} ({} s)", of.behind_seconds),
        (entries, checkpoints) => format!("{entries} and {checkpoints} checkpoints ({} s)", of.behind_seconds),
    }
}

/// In words.
pub(super) fn state(of: &ConsumerView) -> String {
    of.state.replace('-', " ")
}

pub(super) async fn show(context: &Context, Named { name, json }: Named, out: &mut Out) -> Result<Exit, Failure> {
    let view: ConsumerView = running(context)?.get(&path(&name, ""), &[]).await?;
    shown(&view, json, out)
}

/// Pauses or resumes it.
pub(super) async fn moved(
    context: &Context,
    Named { name, json }: Named,
    how: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let view: ConsumerView = running(context)?.post(&path(&name, how), &[]).await?;
    shown(&view, json, out)
}

pub(super) async fn replay(context: &Context, Replay { of, from }: Replay, out: &mut Out) -> Result<Exit, Failure> {
    let query = [("from", from)];
    let view: ConsumerView = running(context)?.post(&path(&of.name, "/replay"), &query).await?;
    shown(&view, of.json, out)
}

pub(super) async fn forget(context: &Context, Forget { of, yes }: Forget, out: &mut Out) -> Result<Exit, Failure> {
    let Named { name, json } = of;
    let remote = running(context)?;
    let view: ConsumerView = remote.get(&path(&name, ""), &[]).await?;
    if view.state != "not-configured" {
        let what =
            format!("consumer {name} is in the configuration: take it out there and reload; nothing was changed");
        return Err(Failure::new(Exit::Failed, what));
    }
    if has_to_ask(yes, json)? {
        out.agree(&format!("forget that consumer {name} was to get entry {} next?", view.next))?;
    }
    let view: ConsumerView = remote.post(&path(&name, "/forget"), &[]).await?;
    if json {
        out.json(&view)?;
    } else {
        out.line(format!("consumer {name} is forgotten, which was to get entry {} next", view.next))?;
    }
    Ok(Exit::Good)
}

fn running(context: &Context) -> Result<Remote, Failure> {
    Remote::running(&context.admin()?)
}

fn path(name: &str, how: &str) -> String {
    format!("/v1/consumers/{}{how}", segment(name))
}

fn shown(view: &ConsumerView, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    if json {
        out.json(view)?;
        return Ok(Exit::Good);
    }
    let since = view.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
    let sent = view.sent_at.as_ref().map(|at| format!("{} since the start, the last at {at}", view.sent));
    let is_known = !view.kind.is_empty();
    out.fields(&[
        ("name", Some(view.name.clone())),
        ("where", is_known.then(|| format!("{} {}", view.kind, view.place))),
        ("takes", is_known.then(|| format!("{} as {}", view.include.join(" and "), view.format))),
        ("filter", view.filter.clone()),
        ("state", Some(format!("{}{since}", state(view)))),
        ("why", view.why.clone()),
        ("next", Some(format!("entry {}", view.next))),
        ("had", view.checkpoint.map(|number| format!("checkpoint {number}"))),
        ("behind", Some(behind(view))),
        ("sent", sent),
    ])?;
    Ok(Exit::Good)
}
