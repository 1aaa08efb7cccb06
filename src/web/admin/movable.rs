//! Which upcoming meetings could be given to another host through the API users, and why the others could not.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::meetings::knows;
use super::routes::{Answer, Asked, Shared, asked, parsed, rows};
use crate::account::UserKey;

/// One upcoming meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MovableView {
    pub meeting: u64,
    pub topic: Option<String>,
    /// The first one's of a series.
    pub start: Option<String>,
    /// The email, or the id where Zoom does not say it.
    pub host: String,
    /// An API user made it, so that it can be given to any host whom that one assists.
    pub can_move: bool,
    /// Of what is missing: short and stable.
    pub code: Option<String>,
    /// Whose privilege counts, or the one thing that is missing.
    pub why: String,
    /// What somebody can do.
    pub advice: Option<String>,
}

/// Users whose meetings Zoom does not list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnlistedView {
    pub user: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MovablesView {
    pub meetings: Vec<MovableView>,
    /// How many meetings were looked at for this page.
    pub looked_at: u64,
    /// Users whose meetings were all looked at with this page.
    pub users: u64,
    /// Of how many: those who were named, or those of one status, as far as Zoom says: who is active comes first, who is
    /// deactivated then.
    pub users_total: Option<u64>,
    pub unlisted: Vec<UnlistedView>,
    /// The `after` of the next page; none after the last. It is good for 15 minutes.
    pub next: Option<String>,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub struct MovablesAsked {
    /// None are all.
    pub users: Vec<UserKey>,
    pub after: Option<String>,
    /// So many meetings are looked at, at most.
    pub limit: usize,
    /// Also those that can be moved.
    pub all: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MovableQuery {
    /// Of these hosts alone: ids or emails, parted by commas.
    user: Option<String>,
    /// Also those that can be given to another host.
    #[serde(default)]
    all: bool,
    /// So many meetings are looked at, at most: 100 by default. A page takes some 60 calls to Zoom, and so may have fewer.
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

pub(super) async fn list(
    State(state): Shared,
    Path(account): Path<String>,
    query: Asked<MovableQuery>,
) -> Answer<MovablesView> {
    let MovableQuery { user, all, limit, after } = asked(query)?;
    let users = user.unwrap_or_default();
    let users =
        users.split(',').map(str::trim).filter(|user| !user.is_empty()).map(parsed).collect::<Result<_, _>>()?;
    let asked = MovablesAsked { users, after, limit: rows(limit)?, all };
    Ok(Json(knows(&state)?.movable(&parsed(&account)?, asked).await?))
}
