//! What takes grants back, as the admin listener asks it.

use std::sync::Arc;

use crate::account::UserKey;
use crate::ids::{AccountId, RuleName};
use crate::store::StoreError;
use crate::web::admin::take_back::{GrantsView, TakesBack};
use crate::worker::{Grants, TakeBack};

#[derive(Debug)]
pub(super) struct Taking(pub(super) Arc<TakeBack>);

#[async_trait::async_trait]
impl TakesBack for Taking {
    async fn look(&self, who: &UserKey, only: Option<&AccountId>) -> Result<Vec<GrantsView>, String> {
        let view = |grants: Grants| GrantsView {
            account: grants.account.to_string(),
            api_user: grants.api_user,
            users: grants.users,
            rules: grants.rules.iter().map(ToString::to_string).collect(),
            failed: grants.failed,
        };
        Ok(self.0.look(who, only).await?.into_iter().map(view).collect())
    }

    async fn begin(&self, view: &GrantsView, actor: &str) -> Result<(), StoreError> {
        let invalid = |error: crate::ids::InvalidId| StoreError::NotFound(error.to_string());
        let rules: Result<Vec<_>, _> = view.rules.iter().map(|rule| RuleName::parse(rule)).collect();
        let grants = Grants {
            account: AccountId::parse(&view.account).map_err(invalid)?,
            api_user: view.api_user.clone(),
            users: view.users.clone(),
            rules: rules.map_err(invalid)?,
            failed: None,
        };
        self.0.begin(&grants, actor).await
    }
}
