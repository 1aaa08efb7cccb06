//! Plans: what the rules would change, and that it be done.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::caller::{Caller, Role};
use super::delivered;
use super::described::Raw;
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed, span};
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::RuleName;
use crate::work::{AppliedAccount, DecidedNow, PlanScope, PlannedMeetings, SavedPlan};

/// A plan of some 100,000 changes.
pub const PLAN_BYTES_MAX: usize = 64 << 20;

/// What to do with a plan that is larger.
pub const TOO_LARGE: &str =
    "the plan is larger than 64 MiB, which the service does not take: plan a part with --rule or --account";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanAsked {
    account: Option<String>,
    rule: Option<String>,
    /// The meetings of this host alone.
    host: Option<String>,
    /// Also the meetings of all active users.
    #[serde(default)]
    meetings: bool,
    /// Only what something happened to since then: `2h`, `7d`, or a moment in RFC 3339.
    since: Option<String>,
}

/// A plan of events shows what a rule about them does where it covers so much time.
const SEEN: Duration = Duration::from_secs(86_400);

/// A plan of all accounts counts as one where no more than one in so many could not be read.
const FAILED_ONE_IN: usize = 10;

/// What would be changed. Whoever asks for it has seen what the rules would do, which is what `require_plan` wants: all of
/// it, in each account; of a rule about events, what it would have done for those of a day or more. Whoever may change nothing
/// may not let it go on either.
pub(super) async fn plan(State(state): Shared, caller: Caller, query: Asked<PlanAsked>) -> Answer<SavedPlan> {
    let asked = asked(query)?;
    let (account, rule) = (caller.scope(maybe(asked.account.as_ref())?)?, maybe(asked.rule.as_ref())?);
    let host: Option<UserKey> = maybe(asked.host.as_ref())?;
    let now = state.clock.now();
    let since = asked.since.as_deref().map(|since| moment(since, now)).transpose()?;
    if since.is_some() && (host.is_some() || asked.meetings) {
        return Err(ApiProblem::bad_request(
            "since is about users and meetings alike: give it without host and meetings",
        ));
    }
    let is_whole = host.is_none() && caller.role == Role::Operator;
    let meetings = match host {
        Some(host) => PlannedMeetings::Of(host),
        None if asked.meetings => PlannedMeetings::All,
        None => PlannedMeetings::None,
    };
    let planned = state.engine.plan(account, PlanScope { rule, meetings, since }).await;
    let planned = planned.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?;
    let accounts: usize = state.apps.borrow().iter().map(|app| app.accounts.len()).sum();
    let is_all = is_of_all(planned.accounts.len(), planned.failed.len(), accounts);
    if let Some(reload) = state.reload.as_ref().filter(|_| is_whole && is_all) {
        let rules = state.engine.rules();
        let is_seen = |name: &RuleName| match since {
            None => true,
            Some(at) => now.since(at) >= SEEN && rules.iter().any(|rule| rule.name == *name && rule.on.is_some()),
        };
        // A plan takes minutes, and a reload may have come meanwhile: what was seen is the rules that the plan names.
        let mut seen = planned.rules.clone();
        seen.retain(|name, _| is_seen(name));
        reload.planned(&seen).await?;
    }
    Ok(Json(planned))
}

/// Of many accounts some always fail, and are named in the answer.
const fn is_of_all(planned: usize, failed: usize, accounts: usize) -> bool {
    planned.saturating_add(failed) == accounts && failed.saturating_mul(FAILED_ONE_IN) <= accounts
}

/// A moment, or so long ago.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, ApiProblem> {
    let at = span(text).map(|ago| now.minus(ago)).or_else(|| Timestamp::parse(text)).filter(|at| *at <= now);
    at.ok_or_else(|| {
        let form = "expected a time that is over, as in 2h, 7d or 2026-11-20T00:00:00Z";
        ApiProblem::bad_request(format!("since is {text:?}, {form}"))
    })
}

/// What a delivery would come to by the rules of now.
pub(super) async fn decide(State(state): Shared, caller: Caller, Path(id): Path<String>) -> Answer<Vec<DecidedNow>> {
    let (delivery, _) = delivered::seen(&state, &caller, parsed(&id)?).await?;
    let decided = state.engine.decide(&delivery).await;
    Ok(Json(decided.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyAsked {
    /// Say what would be asked for, and ask for nothing.
    #[serde(default)]
    check: bool,
}

/// Asks for what the plan in the body would change. 409 where it may not be applied any more.
pub(super) async fn apply(
    State(state): Shared,
    caller: Caller,
    query: Asked<ApplyAsked>,
    body: Raw<SavedPlan>,
) -> Answer<Vec<AppliedAccount>> {
    let check = asked(query)?.check;
    let body = body.bytes.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiProblem::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE),
        status => ApiProblem::new(status, rejection.body_text()),
    })?;
    let plan: SavedPlan = serde_json::from_slice(&body).map_err(|error| {
        ApiProblem::bad_request(format!("this is no plan as `rules plan --out` writes it: {error}"))
    })?;
    for planned in &plan.accounts {
        caller.scope(Some(parsed(&planned.account)?))?;
    }
    let applied = state.engine.apply(&plan, &caller.actor, check).await;
    Ok(Json(applied.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_all_accounts_is_one_where_no_more_than_one_in_ten_could_not_be_read() {
        for (planned, failed, accounts, is_all) in [
            (1, 0, 1, true),
            (1, 1, 2, false),
            (9, 1, 10, true),
            (8, 2, 10, false),
            (1_900, 100, 2_000, true),
            (5, 0, 6, false),
        ] {
            assert_eq!(is_of_all(planned, failed, accounts), is_all, "{planned} {failed} {accounts}");
        }
    }
}
