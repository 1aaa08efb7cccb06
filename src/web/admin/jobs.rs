//! Jobs: listed, and moved by a person. What a person moves is on record with who.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Deserialize;

use super::AdminState;
use super::caller::Caller;
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed, rows};
use super::view::{JobView, MovedView};
use crate::ids::{JobId, RuleName};
use crate::job::Job;
use crate::store::{JobFilter, Move, ParkedGroup, Selector};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsAsked {
    state: Option<String>,
    account: Option<String>,
    cause: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn jobs(State(state): Shared, caller: Caller, query: Asked<JobsAsked>) -> Answer<Vec<JobView>> {
    const STATES: [&str; 6] = ["due", "running", "waiting", "parked", "done", "cancelled"];
    let asked = asked(query)?;
    if let Some(wrong) = asked.state.as_deref().filter(|state| !STATES.contains(state)) {
        return Err(ApiProblem::bad_request(format!("state is {wrong:?}, expected one of {}", STATES.join(", "))));
    }
    let filter = JobFilter {
        account: caller.scope(maybe(asked.account.as_ref())?)?,
        before: maybe(asked.before.as_ref())?,
        limit: rows(asked.limit)?,
        state: asked.state,
        cause: asked.cause,
        ..JobFilter::default()
    };
    Ok(Json(state.store.jobs(filter).await?.iter().map(JobView::from).collect()))
}

pub(super) async fn job(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<JobView> {
    Ok(Json(JobView::from(&seen(&state, &caller, parsed(&id)?).await?)))
}

/// A job that the caller may know of.
pub(super) async fn seen(state: &AdminState, caller: &Caller, id: JobId) -> Result<Job, ApiProblem> {
    let job = state.store.job(id).await?.filter(|job| caller.sees(&job.account));
    job.ok_or_else(|| ApiProblem::not_found(format!("job {id}")))
}

pub(super) async fn retry(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<MovedView> {
    move_one(&state, &caller, &id, Move::Retry).await
}

pub(super) async fn park(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<MovedView> {
    move_one(&state, &caller, &id, Move::Park).await
}

pub(super) async fn cancel(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<MovedView> {
    move_one(&state, &caller, &id, Move::Cancel).await
}

async fn move_one(state: &AdminState, caller: &Caller, id: &str, to: Move) -> Answer<MovedView> {
    let job = seen(state, caller, parsed(id)?).await?;
    move_jobs(state, caller, Selector::Job(job.id), to).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelAsked {
    cause: String,
    rule: Option<String>,
    account: Option<String>,
    /// Say how many are meant, and end none.
    #[serde(default)]
    check: bool,
}

/// Ends all that is parked for a cause.
pub(super) async fn cancel_cause(State(state): Shared, caller: Caller, query: Asked<CancelAsked>) -> Answer<MovedView> {
    let CancelAsked { cause, rule, account, check } = asked(query)?;
    let (rule, account) = (maybe::<RuleName>(rule.as_ref())?, caller.scope(maybe(account.as_ref())?)?);
    let is_meant = |group: &ParkedGroup| {
        group.cause == cause
            && rule.as_ref().is_none_or(|rule| group.rule.as_ref() == Some(rule))
            && account.as_ref().is_none_or(|account| group.account == *account)
    };
    let is_whole = |group: &ParkedGroup| group.cause == cause && group.rule.is_none() && caller.sees(&group.account);
    if rule.is_some() && state.store.parked().await?.iter().any(is_whole) {
        let why =
            format!("what is parked for {cause} is not told rule by rule: leave the rule out, or cancel job by job");
        return Err(ApiProblem::bad_request(why));
    }
    let which = Selector::ParkedFor { cause: cause.clone(), rule: rule.clone(), account: account.clone() };
    let moved = if check { 0 } else { move_jobs(&state, &caller, which, Move::Cancel).await?.moved };
    Ok(Json(MovedView { moved, left: left(&state, is_meant).await? }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CauseAsked {
    cause: String,
    account: Option<String>,
}

pub(super) async fn retry_cause(State(state): Shared, caller: Caller, query: Asked<CauseAsked>) -> Answer<MovedView> {
    let CauseAsked { cause, account } = asked(query)?;
    let account = caller.scope(maybe(account.as_ref())?)?;
    let which = Selector::ParkedFor { cause: cause.clone(), rule: None, account: account.clone() };
    let Json(moved) = move_jobs(&state, &caller, which, Move::Retry).await?;
    let is_meant =
        |group: &ParkedGroup| group.cause == cause && account.as_ref().is_none_or(|account| group.account == *account);
    Ok(Json(MovedView { left: left(&state, is_meant).await?, ..moved }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResumeAsked {
    account: Option<String>,
    #[serde(default)]
    takes_away: bool,
}

/// Lets a rule go on that is stopped, with all that it holds back; or lets through what it would take away.
pub(super) async fn resume(
    State(state): Shared,
    caller: Caller,
    Path(rule): Path<String>,
    query: Asked<ResumeAsked>,
) -> Answer<MovedView> {
    let rule: RuleName = parsed(&rule)?;
    let ResumeAsked { account, takes_away } = asked(query)?;
    let account = caller.scope(maybe(account.as_ref())?)?;
    let which = Selector::HeldBy { rule: rule.clone(), account: account.clone() };
    let Json(moved) = move_jobs(&state, &caller, which, if takes_away { Move::Allow } else { Move::Retry }).await?;
    let is_meant = |group: &ParkedGroup| {
        group.rule.as_ref() == Some(&rule)
            && (group.cause == "takes-away") == takes_away
            && account.as_ref().is_none_or(|account| group.account == *account)
    };
    Ok(Json(MovedView { left: left(&state, is_meant).await?, ..moved }))
}

/// How many parked jobs are in the groups that are meant.
async fn left(state: &AdminState, is_meant: impl Fn(&ParkedGroup) -> bool) -> Result<u64, ApiProblem> {
    Ok(state.store.parked().await?.iter().filter(|group| is_meant(group)).map(|group| group.count).sum())
}

async fn move_jobs(state: &AdminState, caller: &Caller, which: Selector, to: Move) -> Answer<MovedView> {
    let moved = state.store.move_jobs(which, to, &caller.actor, state.clock.now()).await?;
    Ok(Json(MovedView { moved, left: 0 }))
}
