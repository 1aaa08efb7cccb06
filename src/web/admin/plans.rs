//! Plans: what the rules would change, and that it be done.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe};
use crate::account::UserKey;
use crate::ids::{DeliveryId, InvalidId, RuleName};
use crate::work::{AppliedAccount, DecidedNow, PlanScope, PlannedMeetings, SavedPlan};

/// A plan of some 100,000 changes.
pub(super) const PLAN_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanAsked {
    account: Option<String>,
    rule: Option<String>,
    /// The meetings of this host alone.
    host: Option<String>,
    /// Also the meetings of all active users.
    #[serde(default)]
    meetings: bool,
}

/// What would be changed. Whoever asks for it has seen what the rules would do, which is what `require_plan` wants: all of
/// it, in each account.
pub(super) async fn plan(State(state): Shared, query: Asked<PlanAsked>) -> Answer<SavedPlan> {
    let asked = asked(query)?;
    let (account, rule) = (maybe(asked.account.as_ref())?, maybe(asked.rule.as_ref())?);
    let host: Option<UserKey> = maybe(asked.host.as_ref())?;
    let is_whole = host.is_none();
    let meetings = match host {
        Some(host) => PlannedMeetings::Of(host),
        None if asked.meetings => PlannedMeetings::All,
        None => PlannedMeetings::None,
    };
    let planned = state.engine.plan(account, PlanScope { rule, meetings }).await;
    let planned = planned.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?;
    let accounts: usize = state.apps.borrow().iter().map(|app| app.accounts.len()).sum();
    if let Some(reload) = state.reload.as_ref().filter(|_| is_whole && planned.accounts.len() == accounts) {
        let seen: Vec<RuleName> = planned.rules.keys().cloned().collect();
        reload.planned(&seen).await?;
    }
    Ok(Json(planned))
}

/// What a delivery would come to by the rules of now.
pub(super) async fn decide(State(state): Shared, Path(id): Path<String>) -> Answer<Vec<DecidedNow>> {
    let id: DeliveryId = id.parse().map_err(|error: InvalidId| ApiProblem::bad_request(error.to_string()))?;
    let found = state.store.delivery(id).await?;
    let (delivery, _) = found.ok_or_else(|| ApiProblem::not_found(format!("delivery {id}")))?;
    let decided = state.engine.decide(&delivery).await;
    Ok(Json(decided.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyAsked {
    /// Say what would be asked for, and ask for nothing.
    #[serde(default)]
    check: bool,
}

/// Asks for what the plan in the body would change. 409 where it may not be applied any more.
pub(super) async fn apply(State(state): Shared, query: Asked<ApplyAsked>, body: Bytes) -> Answer<Vec<AppliedAccount>> {
    let check = asked(query)?.check;
    let plan: SavedPlan = serde_json::from_slice(&body).map_err(|error| {
        ApiProblem::bad_request(format!("this is no plan as `rules plan --out` writes it: {error}"))
    })?;
    let applied = state.engine.apply(&plan, &state.actor, check).await;
    Ok(Json(applied.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?))
}
