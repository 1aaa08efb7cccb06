//! What each route does. Reads come from the store alone; moves go through it, so that they are on record.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;

use super::problem::ApiProblem;
use super::view::{
    AppView, AttentionView, BackupView, DeliveryView, EntriesView, FaultView, HeadView, LeavesView, MovedView,
    NotifierView, RefusedView, ReloadView, StatusView,
};
use super::{AdminState, DifferenceView, Reload, cursor};
use crate::ids::{AppName, DeliveryId};
use crate::store::DeliveryFilter;

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesAsked {
    app: Option<String>,
    #[serde(default)]
    parked: bool,
    before: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn deliveries(State(state): Shared, query: Asked<DeliveriesAsked>) -> Answer<Vec<DeliveryView>> {
    let asked = asked(query)?;
    let filter = DeliveryFilter {
        app: maybe::<AppName>(asked.app.as_ref())?,
        parked: asked.parked,
        before: maybe(asked.before.as_ref())?,
        limit: rows(asked.limit)?,
    };
    Ok(Json(state.store.deliveries(filter).await?.iter().map(DeliveryView::from).collect()))
}

pub(super) async fn delivery(State(state): Shared, Path(id): Path<String>) -> Answer<DeliveryView> {
    let id: DeliveryId = parsed(&id)?;
    let found = state.store.delivery(id).await?;
    let (delivery, status) = found.ok_or_else(|| ApiProblem::not_found(format!("delivery {id}")))?;
    Ok(Json(DeliveryView::of(&delivery, &status)))
}

pub(super) async fn replay(State(state): Shared, Path(id): Path<String>) -> Answer<MovedView> {
    let id: DeliveryId = parsed(&id)?;
    state.store.replay(id, &state.actor, state.clock.now()).await?;
    Ok(Json(MovedView { moved: 1, left: 0 }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditAsked {
    after: Option<String>,
    limit: Option<usize>,
    /// The newest so many, instead of `after`.
    last: Option<u64>,
}

pub(super) async fn audit(State(state): Shared, query: Asked<AuditAsked>) -> Answer<EntriesView> {
    let AuditAsked { after, limit, last } = asked(query)?;
    let from = match (after, last) {
        (Some(_), Some(_)) => return Err(ApiProblem::bad_request("give after or last, not both")),
        (Some(after), None) => {
            cursor::decode(&after).ok_or_else(|| ApiProblem::bad_request("after is no cursor of this log"))?
        }
        (None, Some(last)) => state.store.tree_head().await?.size.saturating_sub(last),
        (None, None) => 0,
    };
    let entries = state.store.entries(from, rows(limit)?).await?;
    let next = entries.last().map_or(from, |entry| entry.index.saturating_add(1));
    Ok(Json(EntriesView { entries: entries.into_iter().map(Into::into).collect(), next: cursor::encode(next) }))
}

pub(super) async fn audit_head(State(state): Shared) -> Answer<HeadView> {
    let head = state.store.tree_head().await?;
    Ok(Json(HeadView { size: head.size, root: hex::encode(head.root) }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyAsked {
    after: Option<String>,
    limit: Option<usize>,
}

/// A page of the log, read and hashed anew: whoever asks for all of them verifies the log.
pub(super) async fn audit_verify(State(state): Shared, query: Asked<VerifyAsked>) -> Answer<LeavesView> {
    let VerifyAsked { after, limit } = asked(query)?;
    let Some(store) = &state.local else {
        return Err(ApiProblem::bad_request("this store has no files to verify"));
    };
    let from = after.map_or(Some(0), |after| cursor::decode(&after));
    let from = from.ok_or_else(|| ApiProblem::bad_request("after is no cursor of this log"))?;
    let page = store.leaves(from, rows(limit)?).await?;
    let next = from.saturating_add(u64::try_from(page.leaves.len()).unwrap_or(u64::MAX));
    Ok(Json(LeavesView {
        leaves: page.leaves.into_iter().map(|leaf| leaf.map(hex::encode)).collect(),
        pruned: page.pruned,
        faults: page.findings.into_iter().map(|found| FaultView { place: found.place, what: found.what }).collect(),
        next: cursor::encode(next),
    }))
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

#[derive(Debug, Deserialize)]
pub(super) struct BackupQuery {
    /// A folder on the machine of the service: empty, or not there yet.
    to: PathBuf,
}

pub(super) async fn backup(State(state): Shared, query: Asked<BackupQuery>) -> Answer<BackupView> {
    let to = asked(query)?.to;
    let Some(store) = &state.local else {
        return Err(ApiProblem::bad_request("this store has no files to copy".to_owned()));
    };
    if !to.is_absolute() {
        return Err(ApiProblem::bad_request(format!("{} is no absolute path", to.display())));
    }
    let done =
        store.backup(&to, |_, _| {}).await.map_err(|error| ApiProblem::new(StatusCode::CONFLICT, error.to_string()))?;
    Ok(Json(BackupView {
        folder: done.folder.display().to_string(),
        records: done.records,
        deliveries: done.deliveries,
        missing: done.missing,
    }))
}

pub(super) async fn attention(State(state): Shared) -> Answer<AttentionView> {
    Ok(Json(super::attention(&state).await?))
}

pub(super) async fn notify(State(state): Shared) -> Json<Vec<NotifierView>> {
    Json(state.stats.counts().notifiers)
}

pub(super) async fn apps(State(state): Shared) -> Answer<Vec<AppView>> {
    let mut views = Vec::new();
    let apps = state.apps.borrow().clone();
    for app in &apps {
        let seen = state.store.app_state(&app.name).await?;
        let text = |at: Option<crate::clock::Timestamp>| at.map(|at| at.to_string());
        views.push(AppView {
            name: app.name.to_string(),
            kind: app.kind,
            accounts: app.accounts.iter().map(ToString::to_string).collect(),
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

pub(super) async fn wrong_method() -> ApiProblem {
    ApiProblem::new(StatusCode::METHOD_NOT_ALLOWED, "this route takes another method")
}
