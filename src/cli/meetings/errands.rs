//! `adjutant meetings errands`: what was asked for, and how it stands.

use clap::{Args, Subcommand};

use super::errand::told;
use crate::account::UserKey;
use crate::cli::listing::all;
use crate::cli::out::{Out, count};
use crate::cli::remote::{Remote, segment};
use crate::cli::{Exit, Failure};
use crate::ids::ErrandId;
use crate::web::admin::errands::ErrandView;
use crate::work::{ErrandState, span_in_words};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Errands {
    #[command(subcommand)]
    one: Option<One>,
    /// Only those of this account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Only those in this state: working, waiting, done, refused, parked or cancelled
    #[arg(long)]
    state: Option<ErrandState>,
    /// Only those whose host is to be this user, by email or id, as they were named
    #[arg(long = "for", value_name = "USER")]
    host: Option<UserKey>,
    /// So many at most, the newest
    #[arg(long)]
    limit: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum One {
    /// Show one of them, as it stands now
    Show(Show),
}

#[derive(Debug, Args)]
struct Show {
    /// As in `errand_…`
    id: ErrandId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(remote: &Remote, asked: Errands, out: &mut Out) -> Result<Exit, Failure> {
    match asked.one {
        Some(One::Show(Show { id, json })) => {
            let errand: ErrandView = remote.get(&format!("/v1/errands/{}", segment(&id.to_string())), &[]).await?;
            told(&errand, json, out)?;
            Ok(Exit::Good)
        }
        None => list(remote, asked, out).await,
    }
}

async fn list(remote: &Remote, asked: Errands, out: &mut Out) -> Result<Exit, Failure> {
    let filters = [
        ("account", asked.account),
        ("state", asked.state.map(|state| state.name().to_owned())),
        ("for", asked.host.map(|host| host.to_string())),
    ];
    let mut found = all(remote, "/v1/errands", &filters, |one: &ErrandView| one.id.as_str()).await?;
    let known = found.len();
    found.drain(..known.saturating_sub(asked.limit.unwrap_or(known)));
    if asked.json {
        out.json(&found)?;
        return Ok(Exit::Good);
    }
    let row = |one: &ErrandView| {
        let meeting = one.meeting.map(|id| id.to_string()).unwrap_or_default();
        let asked_at = format!("{}, {} ago", one.asked_at, span_in_words(one.age_secs));
        let (of, why) = (one.clone(), one.why.clone().unwrap_or_default());
        vec![of.id, asked_at, of.kind, meeting, of.host, of.state, why]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    out.table(&["ID", "ASKED", "KIND", "MEETING", "FOR", "STATE", "WHY"], &rows)?;
    let is_cut = found.len() < known;
    let before = if is_cut { format!(" of {known}: older ones with a larger --limit") } else { String::new() };
    out.line(format!("{}{before}", count(found.len(), "errand", "errands")))?;
    Ok(Exit::Good)
}
