//! Onboardings: asked for, row by row, and read. What they are, the parts that run know; here they are shown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::Caller;
use super::described::{IdempotencyKey, Raw};
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed, rows};
use super::rows::{OnboardSent, rows_of, tells_nobody};
use super::view::JobView;
use crate::clock::Timestamp;
use crate::ids::{AccountId, OnboardingId};
use crate::store::StoreError;
use crate::work::{RefusedFor, Row, RowRefused, Stands, WithJobs, of_rules};

/// How long anybody is kept waiting.
const WAIT_SECS_MAX: u64 = 60;
const BATCH_CHARS_MAX: usize = 200;

/// Who onboards.
#[async_trait::async_trait]
pub trait Onboards: fmt::Debug + Send + Sync {
    /// Asks for them: on disk when it returns.
    async fn ask(
        &self,
        account: &AccountId,
        rows: Vec<Row>,
        batch: Option<&str>,
        by: &str,
    ) -> Result<Vec<Result<WithJobs, RowRefused>>, StoreError>;

    /// What would become of each, or why that cannot be said.
    async fn look(&self, account: &AccountId, rows: Vec<Row>) -> Result<Vec<Result<String, RowRefused>>, String>;

    async fn read(&self, id: OnboardingId) -> Result<Option<WithJobs>, StoreError>;

    async fn list(
        &self,
        account: Option<&AccountId>,
        batch: Option<&str>,
        page: (Option<OnboardingId>, usize),
    ) -> Result<Vec<WithJobs>, StoreError>;
}

/// One onboarding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OnboardingView {
    pub id: String,
    pub account: String,
    pub email: String,
    /// Zoom's id of the user, once that is known.
    pub user: Option<String>,
    pub label: Option<String>,
    pub batch: Option<String>,
    pub asked_at: String,
    pub asked_by: String,
    /// `asked`, `creating`, `invited`, `waiting`, `working`, `done`, `parked` or `cancelled`.
    pub state: String,
    /// `created`, `was there already` or `invited from another account`, once that is known.
    pub came: Option<String>,
    /// What it waits for, was parked for, or came to.
    pub why: Option<String>,
    /// The code of what it waits or is parked for.
    pub cause: Option<String>,
    /// What a person can do.
    pub advice: Option<String>,
    /// Its own job.
    pub job: Option<String>,
    /// What the rules do, or did, for the user.
    pub rules: Vec<JobView>,
}

impl OnboardingView {
    fn of(with: &WithJobs, now: Timestamp) -> Self {
        let WithJobs { kept, jobs, .. } = with;
        let Stands { standing, why, cause, advice } = with.stands(now);
        Self {
            id: kept.id.to_string(),
            account: kept.account.to_string(),
            email: kept.wanted.email.to_string(),
            user: kept.user.as_ref().map(ToString::to_string),
            label: kept.wanted.label.clone(),
            batch: kept.batch.clone(),
            asked_at: kept.asked_at.to_string(),
            asked_by: kept.by.clone(),
            state: standing.name().to_owned(),
            came: kept.came.map(|came| came.in_words().to_owned()),
            why,
            cause: cause.map(str::to_owned),
            advice,
            job: jobs.iter().find(|job| kept.is_of(job)).map(|job| job.id.to_string()),
            rules: of_rules(kept, jobs).into_iter().map(JobView::from).collect(),
        }
    }
}

/// What became of one row of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowView {
    /// From 1.
    pub row: usize,
    pub onboarding: Option<OnboardingView>,
    /// It was asked for by this request, and not before.
    pub is_new: bool,
    /// Of a dry run: what would become of it.
    pub would: Option<String>,
    /// Why it was not taken; the others were.
    pub error: Option<RowErrorView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowErrorView {
    pub code: RefusedFor,
    pub detail: String,
}

/// What became of a request of several rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowsView {
    pub taken: usize,
    pub refused: usize,
    pub rows: Vec<RowView>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OnboardAsked {
    wait: Option<String>,
    #[serde(default)]
    dry_run: bool,
    batch: Option<String>,
}

pub(super) fn wait_of(text: Option<&str>) -> Result<Duration, ApiProblem> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let secs = text.strip_suffix('s').unwrap_or(text).parse::<u64>().ok().filter(|secs| *secs <= WAIT_SECS_MAX);
    let wrong = || ApiProblem::bad_request(format!("wait is {text:?}, expected 0s to {WAIT_SECS_MAX}s"));
    secs.map(Duration::from_secs).ok_or_else(wrong)
}

fn onboards(state: &AdminState) -> Result<&Arc<dyn Onboards>, ApiProblem> {
    state.onboards.as_ref().ok_or_else(|| ApiProblem::bad_request("the service is stopped, and Zoom has to be asked"))
}

impl From<RowRefused> for ApiProblem {
    fn from(refused: RowRefused) -> Self {
        let status = match refused.code {
            RefusedFor::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusedFor::UnderWay => StatusCode::CONFLICT,
            RefusedFor::NoAccount => StatusCode::NOT_FOUND,
            RefusedFor::Zoom => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, refused.why)
    }
}

/// What became of what was asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OnboardAnswer {
    One(Box<OnboardingView>),
    /// Of a dry run.
    Row(Box<RowView>),
    Rows(RowsView),
}

/// Asks for one onboarding (202, or 200 where the key was known) or for many (200, with what became of each row).
pub(super) async fn onboard(
    State(state): Shared,
    caller: Caller,
    Path(account): Path<String>,
    query: Asked<OnboardAsked>,
    IdempotencyKey(key): IdempotencyKey,
    body: Raw<OnboardSent>,
) -> Result<(StatusCode, Json<OnboardAnswer>), ApiProblem> {
    let body = body.bytes.map_err(|rejection| ApiProblem::new(rejection.status(), rejection.body_text()))?;
    let account: AccountId = parsed(&account)?;
    let OnboardAsked { wait, dry_run, batch } = asked(query)?;
    let wait = wait_of(wait.as_deref())?;
    if let Some(chars) = batch.as_ref().map(|batch| batch.chars().count()).filter(|chars| *chars > BATCH_CHARS_MAX) {
        return Err(ApiProblem::bad_request(format!(
            "batch has {chars} characters, expected {BATCH_CHARS_MAX} or fewer"
        )));
    }
    if batch.as_ref().is_some_and(|batch| batch.chars().any(char::is_control)) {
        return Err(ApiProblem::bad_request("batch holds a control character"));
    }
    let (mut asked, is_one) = rows_of(&body)?;
    if caller.account.is_some() {
        asked = asked.into_iter().map(|row| row.and_then(tells_nobody)).collect();
    }
    if let Some(key) = key {
        let one = asked.first_mut().filter(|_| is_one);
        let Some(one) = one else {
            return Err(ApiProblem::bad_request("Idempotency-Key is for one object: give each row a key of its own"));
        };
        if let Ok(row) = one {
            row.key.get_or_insert(key);
        }
    }
    let (mut view, mut found) = if dry_run {
        (looked(&state, &account, asked).await?, Vec::new())
    } else {
        taken(&state, &caller, &account, asked, batch.as_deref()).await?
    };
    if !dry_run && !wait.is_zero() {
        found = settled(&state, found, wait).await?;
        let now = state.clock.now();
        for (row, one) in view.iter_mut().filter(|row| row.onboarding.is_some()).zip(&found) {
            row.onboarding = Some(OnboardingView::of(one, now));
        }
    }
    if !is_one {
        let refused = view.iter().filter(|row| row.error.is_some()).count();
        let taken = view.len().saturating_sub(refused);
        return Ok((StatusCode::OK, Json(OnboardAnswer::Rows(RowsView { taken, refused, rows: view }))));
    }
    let Some(row) = view.pop() else { return Err(ApiProblem::bad_request("nothing was asked for")) };
    if let Some(RowErrorView { code, detail }) = row.error {
        return Err(RowRefused { code, why: detail }.into());
    }
    let status = if row.is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(match row.onboarding {
        Some(one) => (status, Json(OnboardAnswer::One(Box::new(one)))),
        None => (StatusCode::OK, Json(OnboardAnswer::Row(Box::new(row)))),
    })
}

fn refused_row(row: usize, refused: &RowRefused) -> RowView {
    let error = RowErrorView { code: refused.code, detail: refused.why.clone() };
    RowView { row, onboarding: None, is_new: false, would: None, error: Some(error) }
}

/// Puts what became of the rows that could be read between those that could not.
fn woven<T>(
    asked: Vec<Result<Row, RowRefused>>,
    done: Vec<Result<T, RowRefused>>,
    mut view: impl FnMut(usize, T) -> RowView,
) -> Vec<RowView> {
    let mut done = done.into_iter();
    let each = asked.into_iter().enumerate().filter_map(|(place, one)| {
        let row = place.saturating_add(1);
        Some(match one {
            Err(refused) => refused_row(row, &refused),
            Ok(_) => match done.next()? {
                Err(refused) => refused_row(row, &refused),
                Ok(done) => view(row, done),
            },
        })
    });
    each.collect()
}

async fn looked(
    state: &AdminState,
    account: &AccountId,
    asked: Vec<Result<Row, RowRefused>>,
) -> Result<Vec<RowView>, ApiProblem> {
    let rows: Vec<Row> = asked.iter().flatten().cloned().collect();
    let looked = onboards(state)?.look(account, rows).await;
    let looked = looked.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?;
    let view = |row, would| RowView { row, onboarding: None, is_new: false, would: Some(would), error: None };
    Ok(woven(asked, looked, view))
}

async fn taken(
    state: &AdminState,
    caller: &Caller,
    account: &AccountId,
    asked: Vec<Result<Row, RowRefused>>,
    batch: Option<&str>,
) -> Result<(Vec<RowView>, Vec<WithJobs>), ApiProblem> {
    let rows: Vec<Row> = asked.iter().flatten().cloned().collect();
    let taken = onboards(state)?.ask(account, rows, batch, &caller.actor).await?;
    let (now, mut found) = (state.clock.now(), Vec::new());
    let views = woven(asked, taken, |row, one: WithJobs| {
        let view = RowView {
            row,
            onboarding: Some(OnboardingView::of(&one, now)),
            is_new: one.is_new,
            would: None,
            error: None,
        };
        found.push(one);
        view
    });
    Ok((views, found))
}

/// Of reading: so many rows, then whoever else waits for the thread has a turn.
const ROWS_AT_ONCE: usize = 16;
/// Between two looks at each row.
const LOOK_MS: u64 = 2;
/// Between two looks, at most.
const LOOK_MS_MAX: u64 = 200;

/// Waits until none of them goes on by itself, or the time is over. Only those that still go on are looked at again.
async fn settled(state: &AdminState, mut found: Vec<WithJobs>, wait: Duration) -> Result<Vec<WithJobs>, ApiProblem> {
    let (onboards, until) = (onboards(state)?, state.clock.now().plus(wait));
    let mut moving: Vec<usize> = (0..found.len()).collect();
    loop {
        let (mut changed, began) = (state.store.changed(), state.clock.now());
        changed.borrow_and_update();
        let mut still = Vec::new();
        for (count, place) in moving.into_iter().enumerate() {
            if state.clock.now() >= until {
                return Ok(found);
            }
            if count % ROWS_AT_ONCE == ROWS_AT_ONCE.saturating_sub(1) {
                tokio::task::yield_now().await;
            }
            let Some(one) = found.get_mut(place) else { continue };
            if let Some(newer) = onboards.read(one.kept.id).await? {
                *one = newer;
            }
            still.extend(Some(place).filter(|_| one.stands(began).standing.is_moving()));
        }
        if still.is_empty() {
            return Ok(found);
        }
        let pause = u64::try_from(still.len()).unwrap_or(u64::MAX).saturating_mul(LOOK_MS).min(LOOK_MS_MAX);
        moving = still;
        tokio::select! {
            more = changed.changed() => {
                if more.is_err() {
                    return Ok(found);
                }
            }
            () = state.clock.sleep_until(until) => {}
        }
        state.clock.sleep_until(began.plus(Duration::from_millis(pause)).min(until)).await;
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitAsked {
    pub(super) wait: Option<String>,
}

pub(super) async fn one(
    State(state): Shared,
    caller: Caller,
    Path(id): Path<String>,
    query: Asked<WaitAsked>,
) -> Answer<OnboardingView> {
    let id: OnboardingId = parsed(&id)?;
    let wait = wait_of(asked(query)?.wait.as_deref())?;
    let found = onboards(&state)?.read(id).await?.filter(|found| caller.sees(&found.kept.account));
    let found = found.ok_or_else(|| ApiProblem::not_found(format!("onboarding {id}")))?;
    let found = settled(&state, vec![found], wait).await?;
    let view = found.first().map(|one| OnboardingView::of(one, state.clock.now()));
    view.map(Json).ok_or_else(|| ApiProblem::not_found(format!("onboarding {id}")))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListAsked {
    account: Option<String>,
    batch: Option<String>,
    /// Only those after this one: the last of the page before.
    after: Option<String>,
    limit: Option<usize>,
}

/// The oldest first.
pub(super) async fn list(State(state): Shared, caller: Caller, query: Asked<ListAsked>) -> Answer<Vec<OnboardingView>> {
    let ListAsked { account, batch, after, limit } = asked(query)?;
    let page = (maybe(after.as_ref())?, rows(limit)?);
    let account = caller.scope(maybe::<AccountId>(account.as_ref())?)?;
    let found = onboards(&state)?.list(account.as_ref(), batch.as_deref(), page).await?;
    let now = state.clock.now();
    Ok(Json(found.iter().map(|one| OnboardingView::of(one, now)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_longer_than_a_minute() {
        assert_eq!(
            (wait_of(None), wait_of(Some("30s")), wait_of(Some("5"))),
            (Ok(Duration::ZERO), Ok(Duration::from_secs(30)), Ok(Duration::from_secs(5)))
        );
        for wrong in ["61s", "-1", "1m", "", "s"] {
            assert!(wait_of(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
