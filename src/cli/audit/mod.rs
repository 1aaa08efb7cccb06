//! `adjutant audit`

mod completeness;
mod csv;
mod export;
mod exported;
mod prove;
mod tlog;
mod trace;
mod verify;

use clap::{Args, Subcommand};

use super::out::{Out, count};
use super::remote::{Remote, Where};
use super::{Context, Exit, Failure};
use crate::audit::{Call, Saw};
use crate::web::admin::entry_schema;
use crate::web::admin::view::{EntriesView, EntryView, HeadView};

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Print the newest entries, the oldest of them first
    Tail(Tail),
    /// Show one entry
    Show(Show),
    /// Write a part of the log, entry by entry and without gaps, for other tools; or all of it as a folder that proves itself
    ///
    /// How much it was is told on standard error. Exit code 1 where an entry is missing.
    Export(export::Export),
    /// Follow one thing through the log, both ways: what led to it, and what it led to, each line under the one that led to it
    ///
    /// One look takes in 100,000 entries, and says how to go on where there are more. Exit code 1 where no entry is about it.
    Trace(trace::Trace),
    /// Say of each day what came of an account's events: received, recovered, set aside, missing as far as known, and what is not known
    Completeness(completeness::Completeness),
    /// Print the JSON Schema of an entry, as all readers get one
    Schema,
    /// Read every entry from disk, hash it anew, and check that all are there and hash to the head of the log, to its newest
    /// checkpoint, and to one that was kept elsewhere
    Verify(verify::Verify),
    /// Print the newest checkpoint: the signed head of the log. Keep it elsewhere, and `verify --against` finds what was cut off or changed
    Checkpoint(prove::Checkpoint),
    /// Print the public key of the log, which whoever verifies has to have from you
    Key(prove::Key),
    /// Write what proves one entry to anybody who has the key: one small text
    Prove(prove::Prove),
    /// Check such a proof, offline, with the key alone
    VerifyProof(prove::VerifyProof),
}

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: u64,
    /// Only entries of this account
    #[arg(long)]
    account: Option<String>,
    /// Go on printing entries as they come
    #[arg(short, long, conflicts_with = "offline")]
    follow: bool,
    /// Print JSON, one entry a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its place in the log, from 0
    index: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// How long the service keeps a follower waiting: less than an answer may take.
const WAIT_SECS: u64 = 20;
const PAGE: u64 = 1_000;

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    match asked {
        Asked::Tail(asked) => {
            let remote = Remote::open(context, asked.place).await?;
            let told = tail(&remote, &asked, out).await;
            remote.close().await?;
            told.map(|()| Exit::Good)
        }
        Asked::Show(asked) => {
            let remote = Remote::open(context, asked.place).await?;
            let entry = one(&remote, asked.index).await?;
            remote.close().await?;
            show(&entry, asked.json, out)
        }
        Asked::Export(asked) => export::run(context, asked, out).await,
        Asked::Trace(asked) => trace::run(context, asked, out).await,
        Asked::Completeness(asked) => completeness::run(context, asked, out).await,
        Asked::Schema => out.json(&entry_schema()).map(|()| Exit::Good),
        Asked::Verify(asked) => verify::run(context, asked, out).await,
        Asked::Checkpoint(asked) => prove::checkpoint(context, asked, out).await,
        Asked::Key(asked) => prove::key(context, asked, out).await,
        Asked::Prove(asked) => prove::prove(context, asked, out).await,
        Asked::VerifyProof(asked) => prove::verify(&asked, out),
    }
}

/// A failure where nothing is about the account that was named.
async fn tail(remote: &Remote, asked: &Tail, out: &mut Out) -> Result<(), Failure> {
    let mut left = if asked.follow { u64::MAX } else { asked.lines };
    let limit = |left: u64| ("limit", left.clamp(1, PAGE).to_string());
    let account = asked.account.clone().map(|account| ("account", account));
    let mut told = 0_usize;
    let mut query: Vec<_> =
        [("last", asked.lines.to_string()), limit(left)].into_iter().chain(account.clone()).collect();
    while left > 0 {
        let page: EntriesView = remote.get("/v1/audit", &query).await?;
        for entry in &page.entries {
            if asked.json { out.json_line(entry)? } else { out.line(line(entry, 0))? }
        }
        told = told.saturating_add(page.entries.len());
        left = left.saturating_sub(u64::try_from(page.entries.len()).unwrap_or(u64::MAX));
        if page.entries.is_empty() && !asked.follow {
            break;
        }
        out.flush()?;
        let wait = asked.follow.then(|| ("wait_secs", WAIT_SECS.to_string()));
        query = [("after", page.next), limit(left)].into_iter().chain(account.clone()).chain(wait).collect();
    }
    match &asked.account {
        Some(account) if told == 0 => {
            let text =
                format!("no entry is about account {account}: `adjutant accounts list` names those that are served");
            Err(Failure::new(Exit::Failed, text))
        }
        _ => Ok(()),
    }
}

/// On one line, this deep under what led to it.
fn line(entry: &EntryView, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let mut line = format!("{:>6}  {}  {indent}{:<9}  {}", entry.index, entry.at, entry.kind, entry.code);
    // What is about a delivery or a job says whose it is by that.
    let is_alone = entry.delivery.is_none() && entry.job.is_none();
    let account = entry.account.as_ref().filter(|_| is_alone).map(|account| format!("account {account}"));
    let severity = entry.severity.map(|severity| severity.word().to_owned());
    let parts = [&account, &entry.delivery, &entry.job, &entry.rule, &entry.subject, &severity, &entry.note];
    for part in parts.into_iter().flatten() {
        line.push_str("  ");
        line.push_str(part);
    }
    if let Some(call) = &entry.call {
        line.push_str("  ");
        line.push_str(&call_in_words(call));
    }
    line.replace('\n', " ")
}

fn call_in_words(call: &Call) -> String {
    let status = call.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    format!("{} {} → {status} in {} ms", call.method, call.path, call.millis)
}

async fn one(remote: &Remote, index: u64) -> Result<EntryView, Failure> {
    let none = |more: &str| Failure::new(Exit::Failed, format!("there is no entry {index}{more}"));
    // Whoever is bound to an account is not told of the head.
    let head = remote.get::<HeadView>("/v1/audit/head", &[]).await.ok();
    if let Some(head) = head.filter(|head| index >= head.size) {
        return Err(none(&format!(": the log has {}, counted from 0", count(head.size, "entry", "entries"))));
    }
    let page: EntriesView = remote.get("/v1/audit", &[("from", index.to_string()), ("limit", "1".to_owned())]).await?;
    let found = page.entries.into_iter().next().filter(|entry| entry.index == index);
    found.ok_or_else(|| none(" that this token may read"))
}

fn show(entry: &EntryView, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    if json {
        out.json(entry)?;
        return Ok(Exit::Good);
    }
    let some = |text: &String| Some(text.clone());
    let mut fields = vec![
        ("entry", Some(entry.index.to_string())),
        ("at", some(&entry.at)),
        ("kind", some(&entry.kind)),
        ("code", some(&entry.code)),
        ("app", entry.app.clone()),
        ("account", entry.account.clone()),
        ("delivery", entry.delivery.clone()),
        ("job", entry.job.clone()),
        ("rule", entry.rule.clone()),
        ("led by", entry.led_by.map(|index| format!("entry {index}"))),
        ("subject", entry.subject.clone()),
        ("severity", entry.severity.map(|severity| severity.word().to_owned())),
        ("note", entry.note.clone()),
        ("call", entry.call.as_ref().map(call_in_words)),
    ];
    fields.extend(entry.saw.iter().map(|saw| ("saw", Some(seen(saw)))));
    fields.push(("leaf", some(&entry.leaf)));
    out.fields(&fields)?;
    Ok(Exit::Good)
}

/// A part of a condition, as an attempt saw it.
pub(super) fn seen(Saw { text, outcome, facts }: &Saw) -> String {
    let facts: Vec<_> = facts.iter().map(|(name, value)| format!("{name} was {value}")).collect();
    format!("{text}: {outcome} ({})", facts.join(", "))
}
