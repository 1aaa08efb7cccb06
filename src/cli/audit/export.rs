//! `adjutant audit export`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::csv::Table;
use super::{PAGE, tlog};
use crate::audit::note::Verifier;
use crate::cli::exit::tell;
use crate::cli::out::{Out, count};
use crate::cli::private::Aside;
use crate::cli::remote::{Remote, Where};
use crate::cli::store::bar;
use crate::cli::{Context, Exit, Failure};
use crate::feed::format;
use crate::web::admin::view::{CheckpointView, EntriesView, EntryView, HeadView};

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// From here on: the number of an entry, or a time as in 2026-11-21 or 2026-11-21T08:00:00Z. Without it, from the first
    #[arg(long, value_name = "ENTRY|TIME")]
    from: Option<String>,
    /// Up to here, and without it: the number of an entry, or a time. Without it, up to the newest
    #[arg(long, value_name = "ENTRY|TIME")]
    to: Option<String>,
    /// Only entries of this account
    #[arg(long)]
    account: Option<String>,
    /// Only these kinds, as in intent,outcome
    #[arg(long)]
    kind: Option<String>,
    /// Only those that meet a condition over `entry`, as in 'entry.kind == "call" && entry.call.status >= 400'; one of which it
    /// has no answer passes
    #[arg(long, value_name = "CONDITION")]
    filter: Option<String>,
    #[arg(long, value_enum)]
    format: Format,
    /// Write to this file, which is there when it is whole, and not to standard output; of the format tlog, to this folder
    #[arg(short, long, value_name = "FILE|FOLDER", required_if_eq("format", "tlog"))]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One entry a line, as `audit schema` describes it
    Jsonl,
    /// `CloudEvents` 1.0 in JSON, one a line
    Cloudevents,
    /// OCSF in JSON, one event a line
    Ocsf,
    /// RFC 4180, with a head. A cell that begins with = + - @ (also in full width), tab, CR or LF has an apostrophe before it, so that no spreadsheet
    /// takes it for a formula; control characters are replaced
    Csv,
    /// The whole log as a folder of tiles, entries by their lines, the newest checkpoint and the public keys, as C2SP tlog-tiles lays it
    /// out: `audit verify --export` checks it without the service
    Tlog,
}

pub(super) async fn run(context: &Context, asked: Export, out: &mut Out) -> Result<Exit, Failure> {
    let chooses = [&asked.from, &asked.to, &asked.account, &asked.kind, &asked.filter].iter().any(|one| one.is_some());
    if asked.format == Format::Tlog && chooses {
        let why = "the format tlog is of the whole log: give it without --from, --to, --account, --kind and --filter";
        return Err(Failure::new(Exit::Usage, why));
    }
    let remote = Remote::open(context, asked.place).await?;
    if let (Format::Tlog, Some(folder)) = (asked.format, &asked.output) {
        let written = tlog::write(&remote, folder).await;
        remote.close().await?;
        return written.map(|()| Exit::Good);
    }
    let exported = match &asked.output {
        None => export(&remote, &asked, out).await,
        Some(path) => to_file(&remote, &asked, path).await,
    };
    remote.close().await?;
    let Exported { start, end, entries, has_pruned } = exported?;
    let entries = count(entries, "entry", "entries");
    let among = match end.checked_sub(1).filter(|last| *last >= start) {
        Some(last) => format!(", of those from {start} to {last}"),
        None => format!(": there is none from {start} on"),
    };
    tell(&format!("exported {entries}{among}; go on with --from {end}"));
    if has_pruned {
        tell(
            "the first of them are older than [store] entry_days: only their time, kind and hash are left, and none of them is among \
             the entries of an account, nor meets a condition about what they said",
        );
    }
    Ok(Exit::Good)
}

async fn to_file(remote: &Remote, asked: &Export, path: &Path) -> Result<Exported, Failure> {
    let failed = |error| Failure::new(Exit::Io, format!("cannot write {}: {error}", path.display()));
    let aside = Aside::beside(path).map_err(failed)?;
    let mut out = Out::file(aside.file().try_clone().map_err(failed)?);
    let exported = export(remote, asked, &mut out).await?;
    out.flush()?;
    aside.replace().map_err(failed)?;
    Ok(exported)
}

/// What was written, of which part of the log.
struct Exported {
    start: u64,
    end: u64,
    entries: u64,
    /// It begins among entries that are older than entries are kept.
    has_pruned: bool,
}

/// The entry at which a place is: a number, or the first entry of a time.
async fn index(remote: &Remote, place: &str, size: u64) -> Result<u64, Failure> {
    if let Ok(index) = place.parse::<u64>() {
        return Ok(index);
    }
    let page: EntriesView = remote.get("/v1/audit", &[("from", place.to_owned()), ("limit", "1".to_owned())]).await?;
    Ok(page.entries.first().map_or(size, |entry| entry.index.min(size)))
}

async fn export(remote: &Remote, asked: &Export, out: &mut Out) -> Result<Exported, Failure> {
    let HeadView { size, .. } = remote.get("/v1/audit/head", &[]).await?;
    let start = match &asked.from {
        Some(from) => index(remote, from, size).await?,
        None => 0,
    };
    let end = match &asked.to {
        Some(to) => index(remote, to, size).await?.min(size),
        None => size,
    };
    if start > size {
        let size = count(size, "entry", "entries");
        return Err(Failure::new(Exit::Failed, format!("--from is entry {start}, and the log has {size}")));
    }
    if start > end {
        return Err(Failure::new(Exit::Usage, format!("--from is entry {start}, and --to is before it: entry {end}")));
    }
    let some = [("account", &asked.account), ("kind", &asked.kind), ("filter", &asked.filter)];
    let mut chosen: Vec<_> = some.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
    // What is left out on purpose leaves gaps.
    let mut whole = chosen.is_empty().then_some(start);
    chosen.push(("to", end.to_string()));
    let form = Form::of(asked.format, remote).await?;
    form.head(out)?;
    let (bar, mut entries, mut has_pruned) = (bar("exporting", "entries"), 0_u64, false);
    let mut place = ("from", start.to_string());
    loop {
        let paged = [place.clone(), ("limit", PAGE.to_string())];
        let query: Vec<_> = chosen.iter().cloned().chain(paged).collect();
        let page: EntriesView = remote.get("/v1/audit", &query).await?;
        has_pruned |= page.has_pruned;
        for entry in &page.entries {
            if let Some(due) = &mut whole {
                is_next(entry, due)?;
            }
            form.write(entry, out)?;
        }
        entries = entries.saturating_add(u64::try_from(page.entries.len()).unwrap_or(u64::MAX));
        if let Some(last) = page.entries.last() {
            bar.tell(last.index.saturating_sub(start), end.saturating_sub(start));
        }
        let next = ("after", page.next);
        if next == place {
            break;
        }
        place = next;
    }
    match whole {
        Some(due) if due != end => Err(missing(due)),
        _ => Ok(Exported { start, end, entries, has_pruned }),
    }
}

fn missing(index: u64) -> Failure {
    Failure::new(Exit::Failed, format!("entry {index} is missing: `adjutant audit verify` says what is wrong"))
}

fn is_next(entry: &EntryView, due: &mut u64) -> Result<(), Failure> {
    if entry.index != *due {
        return Err(missing(*due));
    }
    *due = due.saturating_add(1);
    Ok(())
}

/// How an entry is written.
enum Form {
    /// As it is.
    Entry,
    /// In the words of others, with the name of the log.
    Event(format::Format, String),
    Row(Table),
}

impl Form {
    async fn of(format: Format, remote: &Remote) -> Result<Self, Failure> {
        Ok(match format {
            // Of the last, what is written is no list of entries.
            Format::Jsonl | Format::Tlog => Self::Entry,
            Format::Cloudevents => Self::Event(format::Format::CloudEvents, log_of(remote).await?),
            Format::Ocsf => Self::Event(format::Format::Ocsf, log_of(remote).await?),
            Format::Csv => Self::Row(Table::new()),
        })
    }

    fn head(&self, out: &mut Out) -> Result<(), Failure> {
        match self {
            Self::Row(table) => out.text(&table.head()?),
            Self::Entry | Self::Event(..) => Ok(()),
        }
    }

    fn write(&self, entry: &EntryView, out: &mut Out) -> Result<(), Failure> {
        match self {
            Self::Entry => out.json_line(entry),
            Self::Event(form, log) => {
                let entry = serde_json::to_value(entry);
                let entry = entry.map_err(|error| Failure::new(Exit::Io, format!("cannot write JSON: {error}")))?;
                out.json_line(&form.write(&format::Item { log, entry: &entry, body: None }))
            }
            Self::Row(table) => out.text(&table.row(entry)?),
        }
    }
}

/// What the log is called in its checkpoints.
async fn log_of(remote: &Remote) -> Result<String, Failure> {
    let view: CheckpointView = remote.get("/v1/audit/checkpoint", &[]).await?;
    let key = view.keys.first().and_then(|key| key.parse::<Verifier>().ok());
    let none = || Failure::new(Exit::Failed, "the log has no key, and so no name");
    key.map(|key| key.name().to_owned()).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Entry, Kind};
    use crate::clock::Timestamp;

    #[test]
    fn an_entry_that_is_not_the_next_one_ends_an_export() {
        let entry = |index| {
            let (app, account, delivery, job, rule) = (None, None, None, None, None);
            let (at, kind, code) = (Timestamp::EPOCH, Kind::Service, String::new());
            let entry = Entry {
                index,
                at,
                kind,
                app,
                account,
                delivery,
                job,
                rule,
                code,
                detail: None,
                led_by: None,
                leaf: [0; 32],
            };
            EntryView::from(entry)
        };
        let mut due = 5;
        is_next(&entry(5), &mut due).unwrap();
        assert_eq!(due, 6);
        for wrong in [5, 7] {
            let failure = is_next(&entry(wrong), &mut due).unwrap_err();
            assert!(format!("{failure:?}").contains("entry 6 is missing"), "{failure:?}");
        }
    }
}
