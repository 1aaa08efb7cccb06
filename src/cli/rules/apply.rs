//! `adjutant rules apply`

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::{Apply, Out, fits};
use crate::cli::out::{count, has_to_ask};
use crate::cli::remote::{Remote, segment};
use crate::cli::{Context, Exit, Failure};
use crate::job::Effect;
use crate::web::admin::TOO_LARGE;
use crate::web::admin::view::JobView;
use crate::work::{AppliedAccount, SavedPlan, span_in_words};

/// Between two looks at the jobs.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Jobs that are looked at and found unfinished before the next pause.
const UNFINISHED_MAX: usize = 16;

/// What became of a plan.
#[derive(Debug, Serialize)]
struct Came {
    accounts: Vec<AppliedAccount>,
    /// How many changes, by what they came to; none where nobody waited.
    came: Option<BTreeMap<String, u64>>,
}

pub(super) async fn run(context: &Context, asked: Apply, out: &mut Out) -> Result<Exit, Failure> {
    let shown = asked.file.display();
    let text =
        std::fs::read(&asked.file).map_err(|error| Failure::new(Exit::Io, format!("cannot read {shown}: {error}")))?;
    let plan: SavedPlan = serde_json::from_slice(&text).map_err(|error| {
        Failure::new(Exit::Usage, format!("{shown} is no plan as `adjutant rules plan --out` writes it: {error}"))
    })?;
    if !fits(&plan)? {
        return Err(Failure::new(Exit::Failed, TOO_LARGE));
    }
    let remote = Remote::running(&context.admin()?)?.patient()?;
    let meant: Vec<AppliedAccount> = remote.post_json("/v1/plan/apply", &[("check", "true".to_owned())], &plan).await?;
    let changes = if asked.json { meant.iter().map(AppliedAccount::changes).sum() } else { tell(&plan, &meant, out)? };
    if changes > 0 && has_to_ask(asked.yes, asked.json)? {
        out.agree("apply it?")?;
    }
    let accounts: Vec<AppliedAccount> = remote.post_json("/v1/plan/apply", &[], &plan).await?;
    let left: u64 = accounts.iter().map(|account| account.left).sum();
    let jobs: VecDeque<String> = accounts.iter().flat_map(|account| account.jobs.clone()).collect();
    if !asked.json && left > 0 {
        out.line(format!(
            "{} left: the account has too many unfinished jobs. apply the plan again later",
            count(left, "change is", "changes are")
        ))?;
    }
    let came = if asked.no_wait { None } else { Some(follow(&remote, jobs, asked.json, out).await?) };
    let is_done = |came: &BTreeMap<String, u64>| {
        came.keys().all(|what| ["changed", Effect::ALREADY_RIGHT].contains(&what.as_str()))
    };
    let is_good = left == 0 && came.as_ref().is_none_or(is_done);
    if asked.json {
        out.json(&Came { accounts, came })?;
    } else {
        for (what, number) in came.iter().flatten() {
            out.line(format!("{}: {what}", count(*number, "change", "changes")))?;
        }
    }
    Ok(if is_good { Exit::Good } else { Exit::Failed })
}

/// Says what is about to be done, and what it may do; how many changes that are.
fn tell(plan: &SavedPlan, meant: &[AppliedAccount], out: &mut Out) -> Result<u64, Failure> {
    let mut changes: u64 = 0;
    for (account, planned) in meant.iter().zip(&plan.accounts) {
        for rule in &account.rules {
            let of_rule = count(rule.changes, "change", "changes");
            let but = if rule.observes { ", left out: the rule observes" } else { "" };
            out.line(format!("account {}, {}: {of_rule}{but}", account.account, rule.rule))?;
        }
        changes = changes.saturating_add(account.changes());
        out.line(format!("account {}: about {}", account.account, span_in_words(planned.applied_secs)))?;
    }
    out.line(format!(
        "{} planned at {}, each made only where it is still as planned. they carry their own allowance: the rules' \
         max_changes_per_hour and max_changes_percent neither hold them up nor count them",
        count(changes, "change", "changes"),
        plan.created_at,
    ))?;
    Ok(changes)
}

/// Waits until each job is done, or waits for somebody else; how many came to what.
async fn follow(
    remote: &Remote,
    mut jobs: VecDeque<String>,
    is_quiet: bool,
    out: &mut Out,
) -> Result<BTreeMap<String, u64>, Failure> {
    let (all, mut came, mut told) = (jobs.len(), BTreeMap::<String, u64>::new(), 0);
    loop {
        // The oldest come first, so that mostly those in front are done.
        let mut unfinished = VecDeque::new();
        while unfinished.len() < UNFINISHED_MAX
            && let Some(id) = jobs.pop_front()
        {
            match end_of(remote, &id).await? {
                Some(what) => *came.entry(what).or_default() += 1,
                None => unfinished.push_back(id),
            }
        }
        jobs.append(&mut unfinished);
        let done = all.saturating_sub(jobs.len());
        if !is_quiet && done > told {
            out.line(format!("{done} of {all}"))?;
            out.flush()?;
            told = done;
        }
        if jobs.is_empty() {
            return Ok(came);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the job came to, where it goes on no more by itself.
async fn end_of(remote: &Remote, id: &str) -> Result<Option<String>, Failure> {
    let job: JobView = match remote.get(&format!("/v1/jobs/{}", segment(id)), &[]).await {
        Err(failure) if failure.exit == Exit::Failed => return Ok(Some("done, and its job kept no more".to_owned())),
        job => job?,
    };
    let (why, cause) = (job.why.unwrap_or_default(), job.cause.unwrap_or_default());
    Ok(match job.state.as_str() {
        "done" => {
            let why = why.strip_prefix("not applicable: ").unwrap_or(why.split(':').next().unwrap_or_default());
            Some(why.to_owned())
        }
        "cancelled" => Some(format!("cancelled: {why}")),
        "parked" | "waiting" => Some(format!("{}: {cause}", job.state)),
        _ => None,
    })
}
