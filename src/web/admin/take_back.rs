//! Grants of an API user: who gave them, and all of them taken back.

use std::fmt;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::Caller;
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed};
use crate::account::UserKey;
use crate::ids::AccountId;
use crate::store::StoreError;

/// Who takes grants back.
#[async_trait::async_trait]
pub trait TakesBack: fmt::Debug + Send + Sync {
    /// Who granted this user, in each account or in the one that is named, or why that cannot be said.
    async fn look(&self, who: &UserKey, only: Option<&AccountId>) -> Result<Vec<GrantsView>, String>;

    /// Takes all of these back, also after a restart. It goes on after this has returned.
    async fn begin(&self, grants: &GrantsView, actor: &str) -> Result<(), StoreError>;
}

/// Who granted an API user in one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantsView {
    pub account: String,
    pub api_user: String,
    /// As Zoom lists them now; it may cut a long list short.
    pub users: Vec<String>,
    /// Rules that would grant it again.
    pub rules: Vec<String>,
    /// Why nobody can say who did, where that is so: nothing is taken back there.
    #[serde(default)]
    pub failed: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantsAsked {
    api_user: String,
    account: Option<String>,
    /// To take back: as many users as whoever asks was told of.
    users_max: Option<usize>,
    /// To take back although rules grant it again.
    #[serde(default)]
    though_rules_grant: bool,
}

pub(super) async fn look(State(state): Shared, caller: Caller, query: Asked<GrantsAsked>) -> Answer<Vec<GrantsView>> {
    found(&state, &caller, &asked(query)?).await.map(Json)
}

/// Begins to take back what was looked at. Nothing begins where more users granted it than whoever asks was told of.
pub(super) async fn begin(State(state): Shared, caller: Caller, query: Asked<GrantsAsked>) -> Answer<Vec<GrantsView>> {
    let asked = asked(query)?;
    let max = asked.users_max.ok_or_else(|| ApiProblem::bad_request("users_max is missing: look before"))?;
    let refused = |why: String| ApiProblem::new(StatusCode::CONFLICT, why);
    let grants = found(&state, &caller, &asked).await?;
    let users: usize = grants.iter().map(|one| one.users.len()).sum();
    if users > max {
        return Err(refused(format!("{users} users granted it, which is more than the {max} that were agreed to")));
    }
    let rules: Vec<&str> = grants.iter().flat_map(|one| one.rules.iter().map(String::as_str)).collect();
    if let (Some(rule), false) = (rules.first(), asked.though_rules_grant) {
        return Err(refused(format!("rule {rule} grants it again: let the rule observe, or take it away, and reload")));
    }
    if let Some(takes) = &state.take_back {
        for one in grants.iter().filter(|one| !one.users.is_empty()) {
            takes.begin(one, &caller.actor).await?;
        }
    }
    Ok(Json(grants))
}

async fn found(state: &AdminState, caller: &Caller, asked: &GrantsAsked) -> Result<Vec<GrantsView>, ApiProblem> {
    let who: UserKey = parsed(&asked.api_user)?;
    let account = caller.scope(maybe(asked.account.as_ref())?)?;
    let Some(takes) = &state.take_back else {
        return Err(ApiProblem::bad_request("the service is stopped, and Zoom has to be asked"));
    };
    takes.look(&who, account.as_ref()).await.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))
}
