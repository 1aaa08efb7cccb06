//! A person is forgotten: who that is and what of theirs goes is said first, and how far it is while it lasts.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::onboarding::wait_of;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed};
use super::users::knows;
use crate::account::UserKey;

/// Who is forgotten, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgettingView {
    pub account: String,
    /// What the person is known by: what names one of these goes. None where nobody knows it.
    pub id: Option<String>,
    pub email: Option<String>,
    /// `check` (nothing is done), `running` or `done`.
    pub state: String,
    /// Whether Zoom has the user still, whose next event is stored anew; none where it did not say.
    pub is_at_zoom: Option<bool>,
    /// Jobs about the person, and onboardings that have ended, which go.
    pub jobs: usize,
    pub onboardings: usize,
    /// Files of the store that were gone through, of how many.
    pub files_done: u64,
    pub files: u64,
    /// Records that were rewritten, in the end.
    pub records: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgetAsked {
    /// The person's id where the path has the email, or the other way round: else it is looked for at Zoom and in the store.
    also: Option<String>,
    /// Say who it is and what goes, and do nothing.
    #[serde(default)]
    check: bool,
    /// As in `20s`: how long to wait for the end. Whoever asks again is told how far it is.
    wait: Option<String>,
}

pub(super) async fn forget(
    State(state): Shared,
    caller: Caller,
    Path((account, user)): Path<(String, String)>,
    query: Asked<ForgetAsked>,
) -> Answer<ForgettingView> {
    let ForgetAsked { also, check, wait } = asked(query)?;
    let (also, wait) = (maybe::<UserKey>(also.as_ref())?, wait_of(wait.as_deref())?);
    let wait = (!check).then_some(wait);
    Ok(Json(knows(&state)?.forget(&parsed(&account)?, &parsed(&user)?, also, wait, &caller.actor).await?))
}
