//! Assistants and schedulers of a user: who may schedule for whom, as Zoom has it now.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::described::Sent;
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed};
use super::users::knows;
use crate::account::UserKey;
use crate::ids::AccountId;

/// Zoom takes no more in one call, and has no more of one user \[D].
const AT_ONCE: usize = 30;

/// Who knows which users may schedule for which.
#[async_trait::async_trait]
pub trait KnowsAssistants: std::fmt::Debug + Send + Sync {
    async fn people(&self, account: &AccountId, user: &UserKey, list: PeopleOf) -> Result<PeopleView, ApiProblem>;

    /// Makes these assistants of the user; where `is_check`, it is only said what would come of it.
    async fn add(
        &self,
        account: &AccountId,
        user: &UserKey,
        who: Vec<UserKey>,
        by: &Caller,
        is_check: bool,
    ) -> Result<AddedView, ApiProblem>;

    /// Who would lose what; where `is_check` is false, it is done.
    async fn withdraw(
        &self,
        account: &AccountId,
        user: &UserKey,
        what: Withdrawing,
        by: &Caller,
        is_check: bool,
    ) -> Result<RemovedView, ApiProblem>;

    /// Whether this one can schedule for the user; where nobody is named, each API user.
    async fn verify(
        &self,
        account: &AccountId,
        user: &UserKey,
        who: Option<UserKey>,
    ) -> Result<VerifiedView, ApiProblem>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeopleOf {
    /// Who may schedule for the user.
    Assistants,
    /// For whom the user may schedule.
    Schedulers,
}

/// What is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawing {
    pub list: PeopleOf,
    /// One; without, all of them.
    pub who: Option<UserKey>,
    pub at_most: Option<usize>,
}

/// A user, as far as Zoom says who that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonView {
    pub id: Option<String>,
    pub email: Option<String>,
    /// One of the account's.
    pub is_api_user: bool,
}

impl PersonView {
    pub fn name(&self) -> &str {
        self.email.as_deref().or(self.id.as_deref()).unwrap_or("somebody")
    }
}

/// A user's assistants, or schedulers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeopleView {
    pub user: PersonView,
    /// As Zoom lists them now; it may cut a long list of schedulers short.
    pub people: Vec<PersonView>,
}

/// What came of adding one assistant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddedPersonView {
    /// As asked for.
    pub asked: String,
    /// None where nobody knows them.
    pub person: Option<PersonView>,
    /// `added`, `already`, `would` (of a check) or `refused`.
    pub state: String,
    /// Where refused: `unknown`, `unlicensed`, `pending`, `inactive`, `oneself`, `full`, `twice`, or the kind of Zoom's refusal.
    pub code: Option<String>,
    pub why: Option<String>,
}

impl AddedPersonView {
    pub const REFUSED: &str = "refused";

    pub fn is_refused(&self) -> bool {
        self.state == Self::REFUSED
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddedView {
    pub user: PersonView,
    /// Each, in the order in which they were asked for.
    pub assistants: Vec<AddedPersonView>,
    /// What an assistant of the user may see and do.
    pub may: String,
    /// False for a check: nothing was changed.
    pub is_done: bool,
}

/// Somebody may schedule for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrivilegeView {
    pub assistant: PersonView,
    pub user: PersonView,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedView {
    pub user: PersonView,
    /// Who may not schedule for whom any more, or would not.
    pub lost: Vec<PrivilegeView>,
    /// Rules in force that grant it again.
    pub rules: Vec<String>,
    /// False for a check: nothing was changed.
    pub is_done: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FactView {
    pub what: String,
    pub holds: bool,
}

/// Whether one user can schedule for another, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictView {
    /// Who would schedule.
    pub assistant: String,
    pub facts: Vec<FactView>,
    pub can_schedule: bool,
    /// The first thing that is missing, and what to do about it.
    pub missing: Option<String>,
    pub to_do: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedView {
    pub user: PersonView,
    /// Of whoever was asked for, or of each API user.
    pub verdicts: Vec<VerdictView>,
}

pub(super) async fn list(State(state): Shared, Path((account, user)): Path<(String, String)>) -> Answer<PeopleView> {
    Ok(Json(knows(&state)?.people(&parsed(&account)?, &parsed(&user)?, PeopleOf::Assistants).await?))
}

pub(super) async fn schedulers(
    State(state): Shared,
    Path((account, user)): Path<(String, String)>,
) -> Answer<PeopleView> {
    Ok(Json(knows(&state)?.people(&parsed(&account)?, &parsed(&user)?, PeopleOf::Schedulers).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddAsked {
    /// Say what would come of it, and do nothing.
    #[serde(default)]
    check: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddSent {
    /// By id or email.
    #[schemars(length(min = 1, max = 30))]
    assistants: Vec<String>,
}

pub(super) async fn add(
    State(state): Shared,
    caller: Caller,
    Path((account, user)): Path<(String, String)>,
    query: Asked<AddAsked>,
    Sent(AddSent { assistants }): Sent<AddSent>,
) -> Answer<AddedView> {
    let check = asked(query)?.check;
    if !(1..=AT_ONCE).contains(&assistants.len()) {
        let count = assistants.len();
        return Err(ApiProblem::bad_request(format!("assistants names {count}, expected 1 to {AT_ONCE}")));
    }
    let who = assistants.iter().map(|one| parsed(one)).collect::<Result<Vec<UserKey>, _>>()?;
    Ok(Json(knows(&state)?.add(&parsed(&account)?, &parsed(&user)?, who, &caller, check).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneAsked {
    /// Say who would lose what, and do nothing.
    #[serde(default)]
    check: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AllAsked {
    /// Say who would lose what, and do nothing.
    #[serde(default)]
    check: bool,
    /// As many as a check told of: where there are more by now, nothing is removed.
    at_most: Option<usize>,
}

pub(super) async fn remove_one(
    State(state): Shared,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
    query: Asked<OneAsked>,
) -> Answer<RemovedView> {
    one(&state, &caller, path, query, PeopleOf::Assistants).await
}

pub(super) async fn remove_scheduler(
    State(state): Shared,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
    query: Asked<OneAsked>,
) -> Answer<RemovedView> {
    one(&state, &caller, path, query, PeopleOf::Schedulers).await
}

pub(super) async fn remove_all(
    State(state): Shared,
    caller: Caller,
    Path(path): Path<(String, String)>,
    query: Asked<AllAsked>,
) -> Answer<RemovedView> {
    all(&state, &caller, path, query, PeopleOf::Assistants).await
}

pub(super) async fn remove_schedulers(
    State(state): Shared,
    caller: Caller,
    Path(path): Path<(String, String)>,
    query: Asked<AllAsked>,
) -> Answer<RemovedView> {
    all(&state, &caller, path, query, PeopleOf::Schedulers).await
}

async fn one(
    state: &super::AdminState,
    caller: &Caller,
    (account, user, who): (String, String, String),
    query: Asked<OneAsked>,
    list: PeopleOf,
) -> Answer<RemovedView> {
    let (check, who) = (asked(query)?.check, Some(parsed(&who)?));
    let what = Withdrawing { list, who, at_most: None };
    Ok(Json(knows(state)?.withdraw(&parsed(&account)?, &parsed(&user)?, what, caller, check).await?))
}

async fn all(
    state: &super::AdminState,
    caller: &Caller,
    (account, user): (String, String),
    query: Asked<AllAsked>,
    list: PeopleOf,
) -> Answer<RemovedView> {
    let AllAsked { check, at_most } = asked(query)?;
    let what = Withdrawing { list, who: None, at_most };
    Ok(Json(knows(state)?.withdraw(&parsed(&account)?, &parsed(&user)?, what, caller, check).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyAsked {
    /// By id or email, who would schedule; without, each API user of the account.
    assistant: Option<String>,
}

pub(super) async fn verify(
    State(state): Shared,
    Path((account, user)): Path<(String, String)>,
    query: Asked<VerifyAsked>,
) -> Answer<VerifiedView> {
    let who = maybe(asked(query)?.assistant.as_ref())?;
    Ok(Json(knows(&state)?.verify(&parsed(&account)?, &parsed(&user)?, who).await?))
}
