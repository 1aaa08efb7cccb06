//! What moves have lent in an account, as whoever looks at the account is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::accounts::AccountView;
use crate::ids::AccountId;
use crate::store::StoreError;
use crate::work::lending;

/// A privilege that was granted for the move of a meeting alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LentView {
    /// For whom somebody can schedule.
    pub user: String,
    pub assistant: String,
    pub since: String,
    /// Zoom takes no calls for the account, so that only an admin of it can take it back.
    pub stays: bool,
}

/// Says in each of these what is lent there.
pub(super) async fn with_lent(state: &AdminState, views: &mut [AccountView]) -> Result<(), StoreError> {
    let only = match &*views {
        [view] => AccountId::parse(&view.id).ok(),
        _ => None,
    };
    for (errand, moving, lent) in lending(&*state.store, only.as_ref()).await? {
        let Some(view) = views.iter_mut().find(|view| view.id == errand.account.as_str()) else { continue };
        let account = state.accounts.as_ref().and_then(|accounts| accounts.account(&errand.account));
        view.lent.push(LentView {
            user: moving.asked.to.to_string(),
            assistant: lent.to_name().to_owned(),
            since: lent.since.to_string(),
            stays: account.is_some_and(|account| !account.standing.is_reached()),
        });
    }
    Ok(())
}
