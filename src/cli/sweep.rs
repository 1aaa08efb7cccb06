//! `adjutant sweep`

use std::collections::HashMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::accounts::NONE_SERVED;
use super::out::{Out, count};
use super::remote::Remote;
use super::show_config::tell_difference;
use super::{Context, Exit, Failure};
use crate::web::admin::sweeps::{SweepAskedView, SweepFailedView, SweepKindView, SweepRunView, SweepView};

/// Between two looks at a sweep that runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Asked {
    #[command(subcommand)]
    list: Option<Look>,
    #[command(flatten)]
    now: Now,
}

#[derive(Debug, Subcommand)]
enum Look {
    /// Where the sweeps of each account stand, and how old the last whole one is
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Now {
    /// Only this account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Only what this rule wants
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Say what would be found, and ask for no work
    #[arg(long)]
    dry_run: bool,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of the sweep of one account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Came {
    Ended(SweepRunView),
    Failed(SweepFailedView),
    /// The service ended meanwhile and forgot what it was asked for, or serves the account no more.
    Forgotten,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let admin = context.admin()?;
    let remote = Remote::running(&admin)?;
    if asked.list.is_none() && asked.now.rule.is_some() {
        tell_difference(&admin).await;
    }
    match asked.list {
        Some(Look::List { json }) => list(&remote, json, out).await,
        None => now(&remote, &asked.now, out).await,
    }
}

async fn list(remote: &Remote, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let all: Vec<SweepView> = remote.get("/v1/sweeps", &[]).await?;
    if json {
        out.json(&all)?;
        return Ok(Exit::Good);
    }
    let row = |view: &SweepView| {
        let whole = match &view.whole_at {
            Some(at) if view.is_stale => format!("{at} (stale)"),
            Some(at) => at.clone(),
            None if view.is_stale => "never (stale)".to_owned(),
            None => "never".to_owned(),
        };
        let last = match (&view.run, &view.failed, &view.last) {
            (Some(run), _, _) => progress(run),
            (None, Some(failed), _) => format!("failed {}: {}", failed.at, failed.why),
            (None, None, Some(last)) => counts(last),
            (None, None, None) => String::new(),
        };
        let next = |of: &SweepKindView| format!("{} {} {}", of.kind, of.next_at, of.next_why);
        let next = view.kinds.iter().map(next).collect::<Vec<_>>().join("; ");
        vec![view.account.clone(), view.state.clone(), whole, next, last]
    };
    out.table(&["ACCOUNT", "STATE", "LAST WHOLE", "NEXT", "WHAT"], &all.iter().map(row).collect::<Vec<_>>())?;
    out.line(count(all.len(), "account", "accounts"))?;
    Ok(Exit::Good)
}

async fn now(remote: &Remote, asked: &Now, out: &mut Out) -> Result<Exit, Failure> {
    let dry = asked.dry_run.then(|| "true".to_owned());
    let query = [("account", asked.account.clone()), ("rule", asked.rule.clone()), ("dry_run", dry)];
    let query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let begun: SweepAskedView = remote.post("/v1/sweeps", &query).await?;
    if begun.accounts.is_empty() {
        return Err(Failure::new(Exit::Failed, NONE_SERVED));
    }
    if asked.no_wait {
        if asked.json {
            out.json(&begun)?;
        } else {
            refused(&begun, out)?;
            let taken = begun.accounts.iter().filter(|account| account.taken).count();
            out.line(format!("{} to be swept: see `adjutant sweep list`", count(taken, "account is", "accounts are")))?;
        }
    } else {
        let came = wait(remote, &begun, asked, out).await?;
        let all = begun.accounts.iter().all(|account| account.taken);
        let ended = came.values().all(|came| matches!(came, Came::Ended(_)));
        return Ok(if all && ended { Exit::Good } else { Exit::Failed });
    }
    Ok(if begun.accounts.iter().all(|account| account.taken) { Exit::Good } else { Exit::Failed })
}

fn refused(begun: &SweepAskedView, out: &mut Out) -> Result<(), Failure> {
    begun.accounts.iter().filter_map(|account| account.why.as_ref()).try_for_each(|why| out.line(why))
}

/// Waits for all that were asked for, and says how far each is whenever it got further.
async fn wait(
    remote: &Remote,
    begun: &SweepAskedView,
    asked: &Now,
    out: &mut Out,
) -> Result<HashMap<String, Came>, Failure> {
    if !asked.json {
        refused(begun, out)?;
    }
    let mut left: Vec<&str> =
        begun.accounts.iter().filter(|account| account.taken).map(|account| account.account.as_str()).collect();
    let (mut came, mut told) = (HashMap::new(), HashMap::new());
    loop {
        let all: Vec<SweepView> = remote.get("/v1/sweeps", &[]).await?;
        for account in std::mem::take(&mut left) {
            let view = all.iter().find(|view| view.account == account);
            // At its start there is nothing to say.
            if let Some(run) = view.and_then(|view| view.run.as_ref()).filter(|_| !asked.json)
                && told.insert(account, run.users).unwrap_or(0) != run.users
            {
                out.line(format!("account {account}: {}", progress(run)))?;
            }
            let ended = match view {
                Some(view) if matches!(view.state.as_str(), "runs" | "asked") => {
                    left.push(account);
                    continue;
                }
                Some(view) => outcome(view, asked.dry_run, &begun.asked_at),
                None => Came::Forgotten,
            };
            if !asked.json {
                out.line(format!("account {account}: {}", ended.told()))?;
            }
            came.insert(account.to_owned(), ended);
        }
        out.flush()?;
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if asked.json {
        out.json(&came)?;
    }
    Ok(came)
}

/// What the newest sweep of the kind that was asked for came to. The moments are of one shape, so that text compares.
fn outcome(view: &SweepView, is_dry: bool, asked_at: &str) -> Came {
    let newest = if is_dry { &view.last_dry } else { &view.last };
    match (&view.failed, newest) {
        (Some(failed), _) if failed.at.as_str() >= asked_at => Came::Failed(failed.clone()),
        (_, Some(run)) if run.started_at.as_str() >= asked_at => Came::Ended(run.clone()),
        _ => Came::Forgotten,
    }
}

impl Came {
    fn told(&self) -> String {
        match self {
            Self::Ended(run) => counts(run),
            Self::Failed(failed) => format!("the sweep failed: {}", failed.why),
            Self::Forgotten => {
                "the sweep did not begin: the service was restarted, or the account is no more in its configuration. see \
                 `adjutant sweep list`, and ask again"
                    .to_owned()
            },
        }
    }
}

fn progress(run: &SweepRunView) -> String {
    let of = run.users_total.map(|total| format!(" of {total}")).unwrap_or_default();
    format!("{}{of} users compared, {} found to {}", run.users, run.found, differ(run))
}

/// What is found: settings and meetings are in no list, so that a job reads them.
fn differ(run: &SweepRunView) -> &'static str {
    if run.kind == "users" { "differ" } else { "be read" }
}

/// What a sweep came to, as a sentence.
fn counts(run: &SweepRunView) -> String {
    let words = if run.kind == "users" { ("differs", "differ") } else { ("is to be read", "are to be read") };
    let (users, differ) = (count(run.users, "user", "users"), count(run.found, words.0, words.1));
    let rules: Vec<String> = run.found_by_rule.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
    let rules = if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) };
    if run.is_dry {
        return format!("{users} compared, {differ}{rules}; no job was made");
    }
    let under_way = run.found.saturating_sub(run.made).saturating_sub(run.woken).saturating_sub(run.left);
    format!(
        "{users} compared, {differ}{rules}: {} made, {} woken, {under_way} under way already, {} left for the next sweep",
        count(run.made, "job", "jobs"),
        run.woken,
        run.left,
    )
}
