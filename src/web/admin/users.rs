//! Users of an account, as Zoom has them now; and who has what of the rules.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::assistants::KnowsAssistants;
use super::caller::Caller;
use super::forgetting::ForgettingView;
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed, rows};
use crate::account::UserKey;
use crate::ids::{AccountId, Email, RuleName};
use crate::job::{Effect, JobState, Subject};
use crate::store::JobFilter;
use crate::work::PlanScope;

/// Zoom gives no more on a page \[D].
const PAGE_MAX: usize = 300;
/// Parked jobs of an account that are looked at for who has what.
const PARKED_MAX: usize = 10_000;

/// Who knows the users of accounts.
#[async_trait::async_trait]
pub trait KnowsUsers: KnowsAssistants {
    /// One page of those with this status.
    async fn list(
        &self,
        account: &AccountId,
        status: UserStatus,
        page: (usize, Option<String>),
    ) -> Result<UsersView, ApiProblem>;

    async fn show(&self, account: &AccountId, user: &UserKey) -> Result<UserView, ApiProblem>;

    /// What would be lost; where `is_check` is false, it is done.
    async fn let_go(
        &self,
        account: &AccountId,
        user: &UserKey,
        how: LetGoAsked,
        by: &Caller,
        is_check: bool,
    ) -> Result<LossView, ApiProblem>;

    /// Forgets what is kept of a person, who is known as `also` as well, and waits so long for the end. Where it is under way
    /// it is not begun again. Without a time to wait it is only said who that is.
    async fn forget(
        &self,
        account: &AccountId,
        user: &UserKey,
        also: Option<UserKey>,
        wait: Option<Duration>,
        actor: &str,
    ) -> Result<ForgettingView, ApiProblem>;
}

/// Zoom lists one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    #[default]
    Active,
    Inactive,
    Pending,
}

/// A user as Zoom states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserView {
    /// Missing for some who are pending.
    pub id: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    /// `active`, `inactive`, `pending`, or `unknown`.
    pub status: String,
    /// `basic`, `licensed`, or Zoom's number.
    pub licence: Option<String>,
    /// `owner`, `admin` or `other`.
    pub role: Option<String>,
    /// Ids of groups.
    pub groups: Vec<String>,
    /// One of the account's, which nobody can let go here.
    pub is_api_user: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsersView {
    pub users: Vec<UserView>,
    pub total: Option<u64>,
    /// Of the next page; it lives 15 minutes at Zoom.
    pub next: Option<String>,
}

/// How somebody is let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetGoAsked {
    Deactivate,
    Remove { is_for_good: bool, transfer_to: Option<Email> },
}

/// Who was let go, or would be, and what is lost by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LossView {
    pub user: UserView,
    pub lost: Vec<String>,
    /// False for a check: nothing was changed.
    pub is_done: bool,
}

pub(super) fn knows(state: &AdminState) -> Result<&Arc<dyn KnowsUsers>, ApiProblem> {
    state.users.as_ref().ok_or_else(|| ApiProblem::bad_request("the service is stopped, and Zoom has to be asked"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UsersAsked {
    #[serde(default)]
    status: UserStatus,
    limit: Option<usize>,
    next: Option<String>,
}

pub(super) async fn list(
    State(state): Shared,
    Path(account): Path<String>,
    query: Asked<UsersAsked>,
) -> Answer<UsersView> {
    let UsersAsked { status, limit, next } = asked(query)?;
    let limit = rows(limit)?.min(PAGE_MAX);
    Ok(Json(knows(&state)?.list(&parsed(&account)?, status, (limit, next)).await?))
}

pub(super) async fn show(State(state): Shared, Path((account, user)): Path<(String, String)>) -> Answer<UserView> {
    Ok(Json(knows(&state)?.show(&parsed(&account)?, &parsed(&user)?).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeactivateAsked {
    #[serde(default)]
    check: bool,
}

pub(super) async fn deactivate(
    State(state): Shared,
    caller: Caller,
    Path((account, user)): Path<(String, String)>,
    query: Asked<DeactivateAsked>,
) -> Answer<LossView> {
    let check = asked(query)?.check;
    let_go(&state, &caller, (&account, &user), LetGoAsked::Deactivate, check).await
}

/// In the place of an email: what is left is lost.
const NOBODY: &str = "nobody";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RemoveAction {
    #[default]
    Disassociate,
    Delete,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveAsked {
    #[serde(default)]
    action: RemoveAction,
    /// The email of who gets the meetings, webinars and recordings, or `nobody`: to delete somebody it has to be said.
    transfer_to: Option<String>,
    #[serde(default)]
    check: bool,
}

pub(super) async fn remove(
    State(state): Shared,
    caller: Caller,
    Path((account, user)): Path<(String, String)>,
    query: Asked<RemoveAsked>,
) -> Answer<LossView> {
    let RemoveAsked { action, transfer_to, check } = asked(query)?;
    let is_for_good = action == RemoveAction::Delete;
    if is_for_good && transfer_to.is_none() && !check {
        return Err(ApiProblem::bad_request(
            "transfer_to is missing: say who gets the meetings, webinars and recordings, or transfer_to=nobody",
        ));
    }
    let transfer_to = maybe(transfer_to.as_ref().filter(|to| *to != NOBODY))?;
    let how = LetGoAsked::Remove { is_for_good, transfer_to };
    let_go(&state, &caller, (&account, &user), how, check).await
}

async fn let_go(
    state: &AdminState,
    caller: &Caller,
    (account, user): (&str, &str),
    how: LetGoAsked,
    check: bool,
) -> Answer<LossView> {
    Ok(Json(knows(state)?.let_go(&parsed(account)?, &parsed(user)?, how, caller, check).await?))
}

/// Who has what of the rules for users in one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageView {
    pub account: String,
    /// Users that were looked at, of all statuses.
    pub users: u64,
    pub rules: Vec<CoveredRuleView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoveredRuleView {
    pub rule: String,
    pub is_enforced: bool,
    /// Users who have what the rule wants.
    pub have: u64,
    /// Users who do not have it yet and can.
    pub lack: GroupView,
    /// Users for whom it does nothing, and what they wait for.
    pub others: Vec<GroupView>,
    /// What of its work was set aside for a person.
    pub parked: Vec<GroupView>,
}

/// Users who have one thing in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupView {
    pub why: String,
    pub count: u64,
    /// As in `user:abc jill@example.com`: a page of them.
    pub named: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CoverageAsked {
    rule: Option<String>,
    /// Of each group, so many are named, after the first `from`.
    limit: Option<usize>,
    #[serde(default)]
    from: usize,
}

/// Reads the account at Zoom, as a plan does.
pub(super) async fn coverage(
    State(state): Shared,
    Path(account): Path<String>,
    query: Asked<CoverageAsked>,
) -> Answer<CoverageView> {
    let CoverageAsked { rule, limit, from } = asked(query)?;
    let (account, limit): (AccountId, _) = (parsed(&account)?, rows(limit)?);
    let scope = PlanScope { rule: maybe::<RuleName>(rule.as_ref())?, ..PlanScope::default() };
    let plan = state.engine.plan(Some(account.clone()), scope).await;
    let plan = plan.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?;
    let Some(planned) = plan.accounts.into_iter().next() else {
        return Err(ApiProblem::not_found(format!("account {account}")));
    };
    let filter = JobFilter {
        state: Some("parked".to_owned()),
        account: Some(account),
        limit: PARKED_MAX,
        ..JobFilter::default()
    };
    let parked = state.store.jobs(filter).await?;
    let page = |named: &mut dyn Iterator<Item = String>| named.skip(from).take(limit).collect::<Vec<_>>();
    let rules = planned.rules.into_iter().map(|rule| {
        let right = rule.others.get(Effect::ALREADY_RIGHT).map_or(0, |others| others.count);
        let others = rule.others.iter().filter(|(why, _)| *why != Effect::ALREADY_RIGHT);
        let others = others.map(|(why, others)| GroupView {
            why: why.clone(),
            count: others.count,
            named: page(&mut others.named.iter().cloned()),
        });
        let mut groups: Vec<GroupView> = Vec::new();
        for job in parked.iter().filter(|job| job.rule.as_str() == rule.rule) {
            let (JobState::Parked { cause, .. }, Subject::User { .. }) = (&job.state, &job.subject) else { continue };
            let named = job.subject.to_string();
            match groups.iter_mut().find(|group| group.why == cause.code()) {
                Some(group) => {
                    group.count = group.count.saturating_add(1);
                    group.named.push(named);
                }
                None => groups.push(GroupView { why: cause.code().to_owned(), count: 1, named: vec![named] }),
            }
        }
        for group in &mut groups {
            group.named = page(&mut std::mem::take(&mut group.named).into_iter());
        }
        CoveredRuleView {
            rule: rule.rule,
            is_enforced: rule.is_enforced,
            have: right,
            lack: GroupView {
                why: "to be changed".to_owned(),
                count: u64::try_from(rule.changes.len()).unwrap_or(u64::MAX),
                named: page(&mut rule.changes.iter().map(|change| change.subject.clone())),
            },
            others: others.collect(),
            parked: groups,
        }
    });
    Ok(Json(CoverageView { account: planned.account, users: planned.users, rules: rules.collect() }))
}
