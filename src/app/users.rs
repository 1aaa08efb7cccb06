//! Who knows users and makes them, as the admin listener asks it.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::account::UserKey;
use crate::ids::{AccountId, OnboardingId};
use crate::store::StoreError;
use crate::web::admin::ApiProblem;
use crate::web::admin::onboarding::Onboards;
use crate::web::admin::users::{KnowsUsers, LetGoAsked, LossView, UserStatus, UserView, UsersView};
use crate::work::{Row, RowRefused, WithJobs};
use crate::worker::{LetGo, Loss, Onboarder, Parts, Roster, Users, UsersError};
use crate::zoom::{Page, Removal, Status, User};
use tokio::sync::watch;

/// What knows users, and what makes them.
pub(super) struct People {
    pub(super) onboarder: Arc<Onboarder>,
    pub(super) known: Known,
}

impl People {
    pub(super) fn new(parts: &Parts) -> Self {
        let known = Known { users: Users::new(parts.clone()), roster: parts.roster.clone() };
        Self { onboarder: Arc::new(Onboarder::new(parts.clone())), known }
    }
}

#[derive(Debug)]
pub(super) struct Onboarding(pub(super) Arc<Onboarder>);

#[async_trait::async_trait]
impl Onboards for Onboarding {
    async fn ask(
        &self,
        account: &AccountId,
        rows: Vec<Row>,
        batch: Option<&str>,
        by: &str,
    ) -> Result<Vec<Result<WithJobs, RowRefused>>, StoreError> {
        self.0.ask(account, rows, batch, by).await
    }

    async fn look(&self, account: &AccountId, rows: &[Row]) -> Result<Vec<Result<String, RowRefused>>, String> {
        self.0.look(account, rows).await
    }

    async fn read(&self, id: OnboardingId) -> Result<Option<WithJobs>, StoreError> {
        self.0.read(id).await
    }

    async fn list(
        &self,
        account: Option<&AccountId>,
        batch: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WithJobs>, StoreError> {
        self.0.list(account, batch, limit).await
    }
}

#[derive(Debug)]
pub(super) struct Known {
    users: Users,
    roster: watch::Receiver<Arc<Roster>>,
}

impl Known {
    fn view(&self, account: &AccountId, user: &User) -> UserView {
        let roster = Arc::clone(&self.roster.borrow());
        let held = roster.accounts().find(|one| one.id == *account);
        let is_it = |key: &UserKey| key.is(user.id.as_ref(), user.email.as_ref());
        let status = match user.status {
            Status::Active => "active",
            Status::Inactive => "inactive",
            Status::Pending => "pending",
            Status::Unknown => "unknown",
        };
        let licence = |kind| match kind {
            1 => "basic".to_owned(),
            2 => "licensed".to_owned(),
            other => other.to_string(),
        };
        let groups = user.whole.get("group_ids").and_then(serde_json::Value::as_array).into_iter().flatten();
        UserView {
            id: user.id.as_ref().map(ToString::to_string),
            email: user.email.as_ref().map(ToString::to_string),
            name: name(user),
            status: status.to_owned(),
            licence: user.kind.map(licence),
            role: user.role.map(|role| role.name().to_owned()),
            groups: groups.filter_map(|id| id.as_str().map(str::to_owned)).collect(),
            is_api_user: held.is_some_and(|held| held.api_users.iter().any(is_it)),
        }
    }
}

fn name(user: &User) -> Option<String> {
    let text = |key: &str| user.whole.get(key).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let both = || [text("first_name"), text("last_name")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    text("display_name").map(str::to_owned).or_else(|| Some(both()).filter(|name| !name.is_empty()))
}

#[async_trait::async_trait]
impl KnowsUsers for Known {
    async fn list(
        &self,
        account: &AccountId,
        status: UserStatus,
        (limit, next): (usize, Option<String>),
    ) -> Result<UsersView, ApiProblem> {
        let status = match status {
            UserStatus::Active => Status::Active,
            UserStatus::Inactive => Status::Inactive,
            UserStatus::Pending => Status::Pending,
        };
        let page = Page { size: u32::try_from(limit).unwrap_or(u32::MAX), token: next };
        let page = self.users.list(account, status, page).await.map_err(|error| problem(&error))?;
        let users = page.users.iter().map(|user| self.view(account, user)).collect();
        Ok(UsersView { users, total: page.total, next: page.next })
    }

    async fn show(&self, account: &AccountId, user: &UserKey) -> Result<UserView, ApiProblem> {
        Ok(self.view(account, &self.users.show(account, user).await.map_err(|error| problem(&error))?))
    }

    async fn let_go(
        &self,
        account: &AccountId,
        user: &UserKey,
        how: LetGoAsked,
        actor: &str,
        is_check: bool,
    ) -> Result<LossView, ApiProblem> {
        let how = match how {
            LetGoAsked::Deactivate => LetGo::Deactivate,
            LetGoAsked::Remove { is_for_good, transfer_to } => LetGo::Remove(Removal { is_for_good, transfer_to }),
        };
        let Loss { user, what } =
            self.users.let_go(account, (user, how), actor, is_check).await.map_err(|error| problem(&error))?;
        Ok(LossView { user: self.view(account, &user), lost: what, is_done: !is_check })
    }
}

fn problem(error: &UsersError) -> ApiProblem {
    let status = match error {
        UsersError::NoAccount(_) | UsersError::NoUser(..) => StatusCode::NOT_FOUND,
        UsersError::ApiUser(_) | UsersError::Refused(_) => StatusCode::CONFLICT,
        UsersError::Zoom(_) => StatusCode::BAD_GATEWAY,
        UsersError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    ApiProblem::new(status, error.to_string())
}
