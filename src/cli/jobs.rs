//! `adjutant jobs`

use std::collections::BTreeSet;

use clap::{ArgGroup, Args, Subcommand};

use super::listing::{Listed, Page, list};
use super::out::{Out, count};
use super::remote::{Remote, Where, segment};
use super::{Context, Exit, Failure};
use crate::web::admin::view::{AttentionView, JobView, MovedView};

#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// List jobs, the newest first
    List(List),
    /// Show one job
    Show(One),
    /// Try a job again now, with all attempts; or all that are parked for one cause
    Retry(Retry),
    /// Set a job aside until somebody retries it
    Park(One),
    /// End a job for good; or all that are parked for one cause, as `rule-gone` of a rule that was taken away
    Cancel(Cancel),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only jobs in this state
    #[arg(long, value_parser = ["due", "running", "waiting", "parked", "done", "cancelled"])]
    state: Option<String>,
    /// Only jobs of this account
    #[arg(long)]
    account: Option<String>,
    /// Only jobs parked for this cause
    #[arg(long)]
    cause: Option<String>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// As the list prints it: `job_42`
    job: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["job", "cause"]))]
pub(super) struct Retry {
    /// As the list prints it: `job_42`
    job: Option<String>,
    /// All jobs that are parked for this cause, as the list prints it
    #[arg(long)]
    cause: Option<String>,
    /// With --cause: only jobs of this account
    #[arg(long, requires = "cause")]
    account: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["job", "cause"]))]
pub(super) struct Cancel {
    /// As the list prints it: `job_42`
    job: Option<String>,
    /// All jobs that are parked for this cause, as the list prints it
    #[arg(long)]
    cause: Option<String>,
    /// With --cause, where `attention` tells it rule by rule: only jobs of this rule
    #[arg(long, requires = "cause")]
    rule: Option<String>,
    /// With --cause: only jobs of this account
    #[arg(long, requires = "cause")]
    account: Option<String>,
    /// With --cause: do not ask
    #[arg(long, requires = "cause")]
    yes: bool,
    /// Print JSON; with --cause, --yes is needed
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    match asked {
        Asked::List(List { state, account, cause, page }) => {
            let filters = vec![("state", state), ("account", account), ("cause", cause)];
            list::<JobView>(context, filters, page, out).await
        }
        Asked::Show(asked) => {
            let remote = Remote::open(context, asked.place).await?;
            let job: JobView = remote.get(&format!("/v1/jobs/{}", segment(&asked.job)), &[]).await?;
            remote.close().await?;
            show(&job, asked.json, out)
        }
        Asked::Retry(asked) => {
            let remote = Remote::open(context, asked.place).await?;
            let moved = retried(&remote, &asked).await;
            remote.close().await?;
            tell(&moved?, asked.json, "tried again", out)
        }
        Asked::Park(asked) => {
            let remote = Remote::open(context, asked.place).await?;
            let moved: MovedView = remote.post(&format!("/v1/jobs/{}/park", segment(&asked.job)), &[]).await?;
            remote.close().await?;
            tell(&moved, asked.json, "set aside", out)
        }
        Asked::Cancel(asked) => cancel(context, asked, out).await,
    }
}

async fn retried(remote: &Remote, asked: &Retry) -> Result<MovedView, Failure> {
    if let Some(job) = &asked.job {
        return remote.post(&format!("/v1/jobs/{}/retry", segment(job)), &[]).await;
    }
    let query = [("cause", &asked.cause), ("account", &asked.account)];
    let query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
    let moved: MovedView = remote.post("/v1/jobs/retry", &query).await?;
    if asked.json || moved.moved > 0 || moved.left > 0 {
        return Ok(moved);
    }
    let found: AttentionView = remote.get("/v1/attention", &[]).await?;
    let of_account = |account: &String| asked.account.as_ref().is_none_or(|only| only == account);
    let causes: BTreeSet<&str> =
        found.parked.iter().filter(|group| of_account(&group.account)).map(|group| group.cause.as_str()).collect();
    let causes: Vec<&str> = causes.into_iter().collect();
    let others = if causes.is_empty() { "none".to_owned() } else { causes.join(", ") };
    let cause = asked.cause.as_deref().unwrap_or_default();
    Err(Failure::new(Exit::Failed, format!("no job is parked for {cause}. causes that jobs are parked for: {others}")))
}

async fn cancel(context: &Context, asked: Cancel, out: &mut Out) -> Result<Exit, Failure> {
    let remote = Remote::open(context, asked.place).await?;
    let moved = cancelled(&remote, &asked, out).await;
    remote.close().await?;
    match moved? {
        Some(moved) => tell(&moved, asked.json, "cancelled", out),
        None => Ok(Exit::Failed),
    }
}

/// None where there is nothing.
async fn cancelled(remote: &Remote, asked: &Cancel, out: &mut Out) -> Result<Option<MovedView>, Failure> {
    if let Some(job) = &asked.job {
        return Ok(Some(remote.post(&format!("/v1/jobs/{}/cancel", segment(job)), &[]).await?));
    }
    let query = [("cause", &asked.cause), ("rule", &asked.rule), ("account", &asked.account)];
    let mut query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
    if !asked.yes {
        query.push(("check", "true".to_owned()));
        let meant: MovedView = remote.post("/v1/jobs/cancel", &query).await?;
        query.pop();
        let cause = asked.cause.as_deref().unwrap_or_default();
        out.line(format!("{} parked for {cause}", count(meant.left, "job is", "jobs are")))?;
        let question =
            "end them for good? events and sweeps may ask for the same work again, these jobs do not come back.";
        if meant.left == 0 {
            return Ok(None);
        }
        out.agree(question)?;
    }
    remote.post("/v1/jobs/cancel", &query).await.map(Some)
}

impl Listed for JobView {
    const ONE: &'static str = "job";
    const MANY: &'static str = "jobs";
    const HEAD: &'static [&'static str] = &["JOB", "STATE", "AT", "ACCOUNT", "RULE", "SUBJECT", "CAUSE", "WHY"];

    fn id(&self) -> &str {
        &self.id
    }

    fn row(&self) -> Vec<String> {
        let (cause, why) = (self.cause.clone().unwrap_or_default(), self.why.clone().unwrap_or_default());
        [&self.id, &self.state, &self.at, &self.account, &self.rule, &self.subject, &cause, &why]
            .map(Clone::clone)
            .to_vec()
    }
}

fn show(job: &JobView, json: bool, out: &mut Out) -> Result<Exit, Failure> {
    if json {
        out.json(job)?;
        return Ok(Exit::Good);
    }
    let some = |text: &String| Some(text.clone());
    out.fields(&[
        ("job", some(&job.id)),
        ("state", some(&job.state)),
        ("at", some(&job.at)),
        ("why", job.why.clone()),
        ("cause", job.cause.clone()),
        ("to do", job.advice.clone()),
        ("rule", some(&job.rule)),
        ("subject", some(&job.subject)),
        ("account", some(&job.account)),
        ("app", some(&job.app)),
        ("snoozed", job.snoozed_since.as_ref().map(|since| format!("since {since}"))),
        ("attempts", Some(job.attempts.to_string())),
        ("made at", some(&job.made_at)),
        ("made by", some(&job.made_by)),
        ("asked by", some(&job.asked_by)),
    ])?;
    Ok(Exit::Good)
}

fn tell(moved: &MovedView, json: bool, verb: &str, out: &mut Out) -> Result<Exit, Failure> {
    if json {
        out.json(moved)?;
    } else {
        let were = if moved.moved == 1 { "is" } else { "are" };
        out.line(format!("{} {were} {verb}", count(moved.moved, "job", "jobs")))?;
        if moved.left > 0 {
            out.line(format!("{} left: give the same command again", count(moved.left, "job is", "jobs are")))?;
        }
    }
    Ok(if moved.moved == 0 { Exit::Failed } else { Exit::Good })
}
