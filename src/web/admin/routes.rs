//! What each route does. Reads come from the store alone; moves go through it, so that they are on record.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{MatchedPath, Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::Deserialize;

use super::caller::Caller;
use super::problem::ApiProblem;
use super::view::{
    AppView, AttentionView, BackupView, DeliveryView, MovedView, NotifierView, RefusedView, ReloadView, StatusView,
};
use super::{AdminState, DifferenceView, Reload, delivered, table};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName};
use crate::store::local::CopyError;
use crate::store::{AppState, DeliveryFilter};

/// Rows in one answer.
const ROWS: usize = 100;
const ROWS_MAX: usize = 1_000;

pub(super) type Shared = State<Arc<AdminState>>;
pub(super) type Answer<T> = Result<Json<T>, ApiProblem>;
/// A query string, whose mistakes are told as problems.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

pub(super) fn asked<T>(query: Asked<T>) -> Result<T, ApiProblem> {
    match query {
        Ok(Query(asked)) => Ok(asked),
        Err(rejection) => Err(ApiProblem::bad_request(rejection.body_text())),
    }
}

pub(super) fn rows(limit: Option<usize>) -> Result<usize, ApiProblem> {
    let limit = limit.unwrap_or(ROWS);
    if (1..=ROWS_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiProblem::bad_request(format!("limit is {limit}, expected 1 to {ROWS_MAX}")))
    }
}

pub(super) fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, ApiProblem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| ApiProblem::bad_request(error.to_string()))
}

pub(super) fn maybe<T: std::str::FromStr>(text: Option<&String>) -> Result<Option<T>, ApiProblem>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| parsed(text)).transpose()
}

/// A span, as in `90s`, `5m`, `2h`, `7d`.
pub(super) fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let secs: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(secs)?))
}

/// Ten years: what is to be good for longer is good until somebody ends it.
const LATEST: Duration = Duration::from_secs(3_653 * 86_400);

/// A moment to come, or after so long.
pub(super) fn later(text: &str, now: Timestamp) -> Result<Timestamp, ApiProblem> {
    let at = span(text).map(|after| now.plus(after)).or_else(|| Timestamp::parse(text));
    at.filter(|at| *at > now && *at <= now.plus(LATEST)).ok_or_else(|| {
        let form = "expected a time to come, within ten years, as in 12h, 90d or 2030-01-01T00:00:00Z";
        ApiProblem::bad_request(format!("expires is {text:?}, {form}"))
    })
}

pub(super) async fn livez() -> &'static str {
    "alive\n"
}

/// Says no more than yes or no: nobody has to show a token here.
pub(super) async fn readyz(State(state): Shared) -> impl IntoResponse {
    match state.store.status().await {
        Ok(status) if status.refusing.is_none() => (StatusCode::OK, "ready\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

pub(super) async fn status(State(state): Shared) -> Answer<StatusView> {
    let counts = state.stats.counts();
    let refused = counts.refused.iter().filter(|(_, count)| *count > 0);
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: state.started_at.to_string(),
        now: state.clock.now().to_string(),
        store: state.store.status().await?.into(),
        accepted: counts.accepted,
        validated: counts.validated,
        refused: refused.map(|(kind, count)| RefusedView { kind: (*kind).to_owned(), count: *count }).collect(),
    }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesAsked {
    app: Option<String>,
    /// Only those whose body names it.
    account: Option<String>,
    #[serde(default)]
    parked: bool,
    before: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn deliveries(
    State(state): Shared,
    caller: Caller,
    query: Asked<DeliveriesAsked>,
) -> Answer<Vec<DeliveryView>> {
    let asked = asked(query)?;
    let mut app = maybe::<AppName>(asked.app.as_ref())?;
    if let Some(own) = &caller.account {
        let holds = state.app_of(own).filter(|holds| app.as_ref().is_none_or(|app| app == holds));
        // Nobody else's word about the account counts.
        let Some(holds) = holds else { return Ok(Json(Vec::new())) };
        app = Some(holds);
    }
    let filter = DeliveryFilter {
        app,
        account: caller.scope(maybe(asked.account.as_ref())?)?,
        parked: asked.parked,
        before: maybe(asked.before.as_ref())?,
        limit: rows(asked.limit)?,
    };
    Ok(Json(state.store.deliveries(filter).await?.iter().map(DeliveryView::from).collect()))
}

pub(super) async fn delivery(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<DeliveryView> {
    let (delivery, status) = delivered::seen(&state, &caller, parsed(&id)?).await?;
    let view = DeliveryView::of(&delivery, &status);
    // That one has another body, which may be another account's.
    let same_request_as = view.same_request_as.clone().filter(|_| caller.account.is_none());
    Ok(Json(DeliveryView { same_request_as, ..view }))
}

pub(super) async fn replay(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<MovedView> {
    let (delivery, _) = delivered::seen(&state, &caller, parsed(&id)?).await?;
    state.store.replay(delivery.id, &caller.actor, state.clock.now()).await?;
    Ok(Json(MovedView { moved: 1, left: 0 }))
}

fn reloader(state: &AdminState) -> Result<Arc<dyn Reload>, ApiProblem> {
    let none = || ApiProblem::bad_request("nothing runs that could take in a configuration");
    state.reload.clone().ok_or_else(none)
}

pub(super) async fn difference(State(state): Shared) -> Answer<DifferenceView> {
    reloader(&state)?.difference().await.map(Json).map_err(ApiProblem::bad_request)
}

pub(super) async fn reload(State(state): Shared) -> Answer<ReloadView> {
    let reload = reloader(&state)?;
    // Whoever asked may be gone by then: what was begun is done all the same.
    let reloaded = tokio::spawn(async move { reload.reload().await }).await;
    match reloaded {
        Ok(Ok(view)) => Ok(Json(view)),
        Ok(Err(problem)) => Err(ApiProblem::bad_request(problem)),
        Err(error) => Err(ApiProblem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct BackupQuery {
    /// A folder on the machine of the service: empty, or not there yet.
    to: PathBuf,
}

/// Says which folder, and at the bottom of it why. 507 where the machine would not.
fn not_copied(to: &FilePath, error: &CopyError) -> ApiProblem {
    match error {
        CopyError::Io { source, .. } => {
            ApiProblem::new(StatusCode::INSUFFICIENT_STORAGE, format!("{}: {error}: {source}", to.display()))
        }
        CopyError::Write(_) => ApiProblem::new(StatusCode::INSUFFICIENT_STORAGE, format!("{}: {error}", to.display())),
        error => ApiProblem::new(StatusCode::CONFLICT, error.to_string()),
    }
}

pub(super) async fn backup(State(state): Shared, query: Asked<BackupQuery>) -> Answer<BackupView> {
    let to = asked(query)?.to;
    let Some(store) = &state.local else {
        return Err(ApiProblem::bad_request("this store has no files to copy".to_owned()));
    };
    if !to.is_absolute() {
        return Err(ApiProblem::bad_request(format!("{} is no absolute path", to.display())));
    }
    let done = store.backup(&to, |_, _| {}).await.map_err(|error| not_copied(&to, &error))?;
    Ok(Json(BackupView {
        folder: done.folder.display().to_string(),
        records: done.records,
        deliveries: done.deliveries,
        missing: done.missing,
    }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfAccount {
    /// Only what is about this one.
    account: Option<String>,
}

impl OfAccount {
    pub(super) const fn account(&self) -> Option<&String> {
        self.account.as_ref()
    }
}

pub(super) async fn attention(State(state): Shared, caller: Caller, query: Asked<OfAccount>) -> Answer<AttentionView> {
    Ok(Json(match caller.scope(maybe(asked(query)?.account())?)? {
        None => super::attention(&state).await?,
        Some(account) => super::attention::of_account(&state, &account).await?,
    }))
}

pub(super) async fn notify(State(state): Shared) -> Json<Vec<NotifierView>> {
    Json(state.stats.counts().notifiers)
}

pub(super) async fn apps(State(state): Shared, caller: Caller, query: Asked<OfAccount>) -> Answer<Vec<AppView>> {
    let only: Option<AccountId> = caller.scope(maybe(asked(query)?.account())?)?;
    let mut views = Vec::new();
    let apps = state.apps.borrow().clone();
    for app in &apps {
        let is_meant = |account: &&AccountId| only.as_ref().is_none_or(|only| only == *account);
        let accounts: Vec<_> = app.ids().filter(is_meant).collect();
        let is_shared = caller.account.is_some() && accounts.len() < app.accounts.len();
        if accounts.is_empty() && only.is_some() {
            continue;
        }
        // When other accounts sent something is none of the caller's business.
        let seen = if is_shared { AppState::default() } else { state.store.app_state(&app.name).await? };
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        views.push(AppView {
            name: app.name.to_string(),
            kind: app.kind,
            accounts: accounts.into_iter().map(ToString::to_string).collect(),
            verified_at: text(seen.verified_at),
            validated_at: text(seen.validated_at),
            secrets_changed_at: text(seen.secrets_changed_at),
        });
    }
    Ok(Json(views))
}

pub(super) async fn nowhere() -> ApiProblem {
    ApiProblem::new(StatusCode::NOT_FOUND, "there is no such route")
}

pub(super) async fn wrong_method(path: MatchedPath) -> ApiProblem {
    takes(&table::methods(path.as_str()).join(", "))
}

/// Of a route that takes these methods alone.
pub(super) fn takes(methods: &str) -> ApiProblem {
    ApiProblem::new(StatusCode::METHOD_NOT_ALLOWED, format!("this route takes another method: {methods}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_to_come_is_within_ten_years() {
        let now = Timestamp::from_secs(1_795_176_000);
        for good in ["1s", "90d", "3653d", "2036-01-01T00:00:00Z"] {
            assert!(later(good, now).is_ok_and(|at| at > now), "{good}");
        }
        for bad in
            ["0d", "3654d", "99999999999d", "99999999999999999999d", "2001-01-01T00:00:00Z", "9999-01-01T00:00:00Z"]
        {
            assert!(later(bad, now).is_err(), "{bad}");
        }
    }
}
