//! Who knows users and makes them, as the admin listener asks it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;

use crate::account::UserKey;
use crate::clock::Clock;
use crate::ids::{AccountId, Email, OnboardingId, UserId};
use crate::store::{LocalStore, StoreError};
use crate::web::admin::forgetting::ForgettingView;
use crate::web::admin::onboarding::Onboards;
use crate::web::admin::users::{KnowsUsers, LetGoAsked, LossView, UserStatus, UserView, UsersView};
use crate::web::admin::{ApiProblem, Caller, Role};
use crate::work::{Row, RowRefused, WithJobs};
use crate::worker::{
    Assistants, By, ForgetError, Forgets, LetGo, Loss, Onboarder, Parts, Person, Progress, Roster, Run, Users,
    UsersError,
};
use crate::zoom::{Page, Removal, Status, User};
use tokio::sync::watch;

/// What knows users, and what makes them.
pub(super) struct People {
    pub(super) onboarder: Arc<Onboarder>,
    pub(super) known: Known,
}

impl People {
    pub(super) fn new(parts: &Parts, local: &LocalStore) -> Self {
        let forgets = Arc::new(Forgets::new(parts.clone(), local.clone()));
        let (roster, clock) = (parts.roster.clone(), Arc::clone(&parts.clock));
        let (users, assistants) = (Arc::new(Users::new(parts.clone())), Arc::new(Assistants::new(parts.clone())));
        let known = Known { users, assistants, forgets, clock, roster };
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
        // Whoever asked may be gone by then: what was begun is done all the same.
        let (onboarder, account, by) = (Arc::clone(&self.0), account.clone(), by.to_owned());
        let batch = batch.map(str::to_owned);
        let asked = tokio::spawn(async move { onboarder.ask(&account, rows, batch.as_deref(), &by).await });
        asked.await.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
    }

    async fn look(&self, account: &AccountId, rows: Vec<Row>) -> Result<Vec<Result<String, RowRefused>>, String> {
        let (onboarder, account) = (Arc::clone(&self.0), account.clone());
        let looked = tokio::spawn(async move { onboarder.look(&account, rows).await });
        looked.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn read(&self, id: OnboardingId) -> Result<Option<WithJobs>, StoreError> {
        self.0.read(id).await
    }

    async fn list(
        &self,
        account: Option<&AccountId>,
        batch: Option<&str>,
        page: (Option<OnboardingId>, usize),
    ) -> Result<Vec<WithJobs>, StoreError> {
        self.0.list(account, batch, page).await
    }
}

#[derive(Debug)]
pub(super) struct Known {
    users: Arc<Users>,
    pub(super) assistants: Arc<Assistants>,
    forgets: Arc<Forgets>,
    clock: Arc<dyn Clock>,
    roster: watch::Receiver<Arc<Roster>>,
}

impl Known {
    pub(super) fn is_api_user(&self, account: &AccountId, (id, email): (Option<&UserId>, Option<&Email>)) -> bool {
        let roster = Arc::clone(&self.roster.borrow());
        roster.by_id(account).is_some_and(|held| held.api_users.iter().any(|key| key.is(id, email)))
    }

    fn view(&self, account: &AccountId, user: &User) -> UserView {
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
            is_api_user: self.is_api_user(account, (user.id.as_ref(), user.email.as_ref())),
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
        by: &Caller,
        is_check: bool,
    ) -> Result<LossView, ApiProblem> {
        let how = match how {
            LetGoAsked::Deactivate => LetGo::Deactivate,
            LetGoAsked::Remove { is_for_good, transfer_to } => LetGo::Remove(Removal { is_for_good, transfer_to }),
        };
        // Whoever asked may be gone by then: what was intended gets its outcome all the same.
        let (users, of, whom) = (Arc::clone(&self.users), account.clone(), user.clone());
        let by = By::from(by);
        let done = tokio::spawn(async move { users.let_go(&of, (&whom, how), &by, is_check).await }).await;
        let done = done.unwrap_or_else(|error| Err(UsersError::Refused(error.to_string())));
        let Loss { user, what } = done.map_err(|error| problem(&error))?;
        Ok(LossView { user: self.view(account, &user), lost: what, is_done: !is_check })
    }

    async fn forget(
        &self,
        account: &AccountId,
        user: &UserKey,
        also: Option<UserKey>,
        wait: Option<Duration>,
        actor: &str,
    ) -> Result<ForgettingView, ApiProblem> {
        let refused = |error: ForgetError| forget_problem(&error);
        let Some(run) = self.forgets.run_of(account, user) else {
            let person = self.forgets.look(account, user, also.as_ref()).await.map_err(refused)?;
            let Some(wait) = wait else { return Ok(forgetting(account, &person, "check", &Progress::default())) };
            return self.far((account, user), self.forgets.begin(account, user, person, actor), wait).await;
        };
        self.far((account, user), run, wait.unwrap_or_default()).await
    }
}

impl From<&Caller> for By {
    fn from(caller: &Caller) -> Self {
        Self { actor: caller.actor.clone(), is_operator: caller.role == Role::Operator }
    }
}

impl Known {
    /// How far it is after so long, or at its end.
    async fn far(
        &self,
        (account, user): (&AccountId, &UserKey),
        mut run: Run,
        wait: Duration,
    ) -> Result<ForgettingView, ApiProblem> {
        tokio::select! {
            // Whoever tells of it tells of its end, unless the process ends.
            _told = run.progress.wait_for(|progress| progress.ended.is_some()) => {}
            () = self.clock.sleep_until(self.clock.now().plus(wait)) => {}
        }
        let progress = run.progress.borrow().clone();
        if progress.ended.is_some() {
            self.forgets.was_told(account, user);
        }
        match &progress.ended {
            None => Ok(forgetting(account, &run.person, "running", &progress)),
            Some((_, Ok(_))) => Ok(forgetting(account, &run.person, "done", &progress)),
            Some((_, Err(error))) => Err(ApiProblem::new(StatusCode::CONFLICT, error.clone())),
        }
    }
}

fn forgetting(account: &AccountId, person: &Person, state: &str, progress: &Progress) -> ForgettingView {
    ForgettingView {
        account: account.to_string(),
        id: person.id.as_ref().map(ToString::to_string),
        email: person.email.as_ref().map(ToString::to_string),
        state: state.to_owned(),
        is_at_zoom: person.is_at_zoom,
        jobs: person.jobs,
        onboardings: person.onboardings.len(),
        files_done: progress.done,
        files: progress.of,
        records: progress.ended.as_ref().and_then(|(_, ended)| ended.as_ref().ok().copied()),
    }
}

fn forget_problem(error: &ForgetError) -> ApiProblem {
    match error {
        ForgetError::NoAccount(_) => ApiProblem::new(StatusCode::NOT_FOUND, error.to_string()),
        ForgetError::Refused(why) => ApiProblem::new(StatusCode::CONFLICT, why.clone()),
        ForgetError::Store(error) => error.clone().into(),
    }
}

pub(super) fn problem(error: &UsersError) -> ApiProblem {
    let (status, code) = match error {
        UsersError::NoAccount(_) => (StatusCode::NOT_FOUND, Some("account-unknown")),
        UsersError::NoUser(..) => (StatusCode::NOT_FOUND, Some("unknown")),
        UsersError::NotThere(_) => (StatusCode::NOT_FOUND, None),
        UsersError::Lacks { code, .. } => (StatusCode::CONFLICT, Some(*code)),
        UsersError::ApiUser(..) | UsersError::ActsAs(_) | UsersError::Refused(_) => (StatusCode::CONFLICT, None),
        UsersError::OperatorsOnly(..) | UsersError::OperatorsDo(_) => (StatusCode::FORBIDDEN, None),
        UsersError::Zoom(error) => (StatusCode::BAD_GATEWAY, Some(error.kind())),
        UsersError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
    };
    ApiProblem { code: code.map(Into::into), ..ApiProblem::new(status, error.to_string()) }
}
