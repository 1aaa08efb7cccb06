//! Meetings, as Zoom has them now; and what of the day's budgets is used.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::Caller;
use super::described::Sent;
use super::movable::{MovablesAsked, MovablesView};
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, parsed, rows};
use crate::account::UserKey;
use crate::ids::{AccountId, MeetingId};
use crate::zoom::{Object, Which};

/// Zoom gives no more on a page \[D].
const PAGE_MAX: usize = 300;

/// Who knows meetings.
#[async_trait::async_trait]
pub trait KnowsMeetings: fmt::Debug + Send + Sync {
    /// One page of a host's.
    async fn list(
        &self,
        account: &AccountId,
        host: (&UserKey, Which),
        page: (usize, Option<String>),
    ) -> Result<MeetingsView, ApiProblem>;

    async fn show(&self, account: &AccountId, id: MeetingId) -> Result<Object, ApiProblem>;

    /// One page of what could be given to another host, and of what could not.
    async fn movable(&self, account: &AccountId, asked: MovablesAsked) -> Result<MovablesView, ApiProblem>;

    /// The meeting as it is then; none where it is gone.
    async fn change(
        &self,
        account: &AccountId,
        id: MeetingId,
        change: MeetingChangeAsked,
        actor: &str,
    ) -> Result<Option<Object>, ApiProblem>;

    /// Of the account's API users, or of the users named.
    async fn budgets(&self, account: &AccountId, users: &[UserKey]) -> Result<Vec<BudgetView>, ApiProblem>;
}

/// What is asked of a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeetingChangeAsked {
    Update(Object),
    Delete,
    End,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeetingRowView {
    pub id: u64,
    pub topic: Option<String>,
    /// 2 scheduled, 3 recurring without a time, 8 recurring.
    #[serde(rename = "type")]
    pub kind: Option<i64>,
    pub start: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeetingsView {
    pub meetings: Vec<MeetingRowView>,
    pub total: Option<u64>,
    /// Of the next page; it lives 15 minutes at Zoom.
    pub next: Option<String>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeetingChangedView {
    pub id: u64,
    /// As Zoom has it now; none where it is gone.
    pub meeting: Option<Object>,
}

/// What of Zoom's limit for one user and UTC day is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetView {
    pub user: String,
    /// Creates and changes of meetings that were counted today.
    pub used: u32,
    pub per_day: u32,
    pub left: u32,
    /// Zoom says that nothing is left.
    pub is_spent: bool,
    /// When it begins anew.
    pub anew_at: String,
}

pub(super) fn knows(state: &AdminState) -> Result<&Arc<dyn KnowsMeetings>, ApiProblem> {
    state.meetings.as_ref().ok_or_else(|| ApiProblem::bad_request("the service is stopped, and Zoom has to be asked"))
}

fn id_of(text: &str) -> Result<MeetingId, ApiProblem> {
    MeetingId::parse(text).map_err(|error| ApiProblem::bad_request(error.to_string()))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MeetingsAsked {
    /// `upcoming` (default): those of the next six months; `scheduled`: all, however far ahead.
    #[serde(default, rename = "type")]
    which: Which,
    limit: Option<usize>,
    next: Option<String>,
}

pub(super) async fn list(
    State(state): Shared,
    Path((account, user)): Path<(String, String)>,
    query: Asked<MeetingsAsked>,
) -> Answer<MeetingsView> {
    let MeetingsAsked { which, limit, next } = asked(query)?;
    let page = (rows(limit)?.min(PAGE_MAX), next);
    Ok(Json(knows(&state)?.list(&parsed(&account)?, (&parsed(&user)?, which), page).await?))
}

/// With its links and its passcode.
pub(super) async fn show(State(state): Shared, Path((account, meeting)): Path<(String, String)>) -> Answer<Object> {
    Ok(Json(knows(&state)?.show(&parsed(&account)?, id_of(&meeting)?).await?))
}

async fn change(
    state: &AdminState,
    caller: &Caller,
    (account, meeting): (String, String),
    change: MeetingChangeAsked,
) -> Answer<MeetingChangedView> {
    let id = id_of(&meeting)?;
    let meeting = knows(state)?.change(&parsed(&account)?, id, change, &caller.actor).await?;
    Ok(Json(MeetingChangedView { id: id.number(), meeting }))
}

/// Zoom's own fields, but for the host.
pub(super) async fn update(
    State(state): Shared,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Sent(fields): Sent<Object>,
) -> Answer<MeetingChangedView> {
    if fields.is_empty() {
        return Err(ApiProblem::bad_request("the body names no field to be changed"));
    }
    change(&state, &caller, path, MeetingChangeAsked::Update(fields)).await
}

pub(super) async fn delete(
    State(state): Shared,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> Answer<MeetingChangedView> {
    change(&state, &caller, path, MeetingChangeAsked::Delete).await
}

pub(super) async fn end(
    State(state): Shared,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> Answer<MeetingChangedView> {
    change(&state, &caller, path, MeetingChangeAsked::End).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetsAsked {
    /// Ids or emails, parted by commas. Default: the account's API users.
    users: Option<String>,
}

pub(super) async fn budgets(
    State(state): Shared,
    Path(account): Path<String>,
    query: Asked<BudgetsAsked>,
) -> Answer<Vec<BudgetView>> {
    let users = asked(query)?.users.unwrap_or_default();
    let users =
        users.split(',').map(str::trim).filter(|user| !user.is_empty()).map(parsed).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(knows(&state)?.budgets(&parsed(&account)?, &users).await?))
}
