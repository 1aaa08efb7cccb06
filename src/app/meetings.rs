//! Who makes, moves and knows meetings, as the admin listener asks it.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::account::UserKey;
use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::ids::{AccountId, ErrandId, MeetingId};
use crate::store::StoreError;
use crate::web::admin::ApiProblem;
use crate::web::admin::errands::{CheckView, RunsErrands};
use crate::web::admin::meetings::{BudgetView, KnowsMeetings, MeetingChangeAsked, MeetingRowView, MeetingsView};
use crate::work::{ErrandNow, ErrandRefused, Errandry, MoveAsked, Refusal};
use crate::worker::{Budget, Errands, MeetingChange, Meetings, MeetingsError, Movable, Parts};
use crate::zoom::{Listed, MeetingRow, Object, Page, Which};

#[derive(Debug)]
pub(super) struct Running {
    errands: Arc<Errands>,
    meetings: Arc<Meetings>,
    clock: Arc<dyn Clock>,
}

impl Running {
    pub(super) fn new(errands: &Arc<Errands>, parts: &Parts) -> Self {
        let meetings = Arc::new(Meetings::new(parts.clone()));
        Self { errands: Arc::clone(errands), meetings, clock: Arc::clone(&parts.clock) }
    }
}

#[async_trait::async_trait]
impl RunsErrands for Running {
    async fn ask(
        &self,
        account: &AccountId,
        what: Errandry,
        key: Option<String>,
        by: &str,
    ) -> Result<ErrandNow, ErrandRefused> {
        // Whoever asked may be gone by then: what was begun is done all the same.
        let (errands, account, by) = (Arc::clone(&self.errands), account.clone(), by.to_owned());
        let asked = tokio::spawn(async move { errands.ask(&account, what, key.as_deref(), &by).await });
        asked.await.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string()).into()))
    }

    async fn read(&self, id: ErrandId) -> Result<Option<ErrandNow>, StoreError> {
        self.errands.read(id).await
    }

    async fn list(
        &self,
        account: Option<&AccountId>,
        page: (Option<ErrandId>, usize),
    ) -> Result<Vec<ErrandNow>, StoreError> {
        self.errands.list(account, page).await
    }

    async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        self.errands.alarms().await
    }

    async fn check(&self, account: &AccountId, asked: MoveAsked) -> Result<CheckView, ApiProblem> {
        let (meeting, to) = (asked.meeting.number(), asked.to.to_string());
        let (code, why, advice, left_today) = match self.meetings.check(account, asked).await? {
            Movable::Yes { why, left_today } => (None, why, None, Some(left_today)),
            Movable::No(Refusal { code, why, advice }) => (Some(code), why, advice, None),
        };
        Ok(CheckView { meeting, to, can_move: code.is_none(), why, code, advice, left_today })
    }

    async fn meeting(&self, account: &AccountId, id: MeetingId) -> Result<Option<Object>, StoreError> {
        self.meetings.seen(account, id).await
    }
}

#[async_trait::async_trait]
impl KnowsMeetings for Running {
    async fn list(
        &self,
        account: &AccountId,
        host: (&UserKey, Which),
        (limit, token): (usize, Option<String>),
    ) -> Result<MeetingsView, ApiProblem> {
        let page = Page { size: u32::try_from(limit).unwrap_or(u32::MAX), token };
        let Listed { rows, next, total } = self.meetings.list(account, host, page).await?;
        let row = |row: MeetingRow| MeetingRowView {
            id: row.id.number(),
            topic: row.topic,
            kind: row.kind,
            start: row.start.map(|at| at.to_string()),
        };
        Ok(MeetingsView { meetings: rows.into_iter().map(row).collect(), total, next })
    }

    async fn show(&self, account: &AccountId, id: MeetingId) -> Result<Object, ApiProblem> {
        Ok(self.meetings.show(account, id).await?)
    }

    async fn change(
        &self,
        account: &AccountId,
        id: MeetingId,
        change: MeetingChangeAsked,
        actor: &str,
    ) -> Result<Option<Object>, ApiProblem> {
        let change = match change {
            MeetingChangeAsked::Update(fields) => MeetingChange::Update(fields),
            MeetingChangeAsked::Delete => MeetingChange::Delete,
            MeetingChangeAsked::End => MeetingChange::End,
        };
        // Whoever asked may be gone by then: what was begun is done all the same.
        let (meetings, account, actor) = (Arc::clone(&self.meetings), account.clone(), actor.to_owned());
        let changed = tokio::spawn(async move { meetings.change(&account, id, change, &actor).await });
        let changed = changed.await.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string()).into()));
        Ok(changed?)
    }

    async fn budgets(&self, account: &AccountId, users: &[UserKey]) -> Result<Vec<BudgetView>, ApiProblem> {
        let anew_at = self.clock.now().next_utc_midnight().to_string();
        let view = |Budget { user, used, per_day, is_spent }: Budget| BudgetView {
            user: user.to_string(),
            used,
            per_day,
            left: if is_spent { 0 } else { per_day.saturating_sub(used) },
            is_spent,
            anew_at: anew_at.clone(),
        };
        Ok(self.meetings.budgets(account, users).await?.into_iter().map(view).collect())
    }
}

impl From<MeetingsError> for ApiProblem {
    fn from(error: MeetingsError) -> Self {
        let said = error.to_string();
        match error {
            MeetingsError::NoAccount(account) => Self::no_account(account.as_str()),
            MeetingsError::NoMeeting(..) | MeetingsError::NoUser(..) => Self::new(StatusCode::NOT_FOUND, said),
            MeetingsError::Refused(_) => Self::new(StatusCode::CONFLICT, said),
            MeetingsError::BudgetUsedUp(_) => Self::new(StatusCode::TOO_MANY_REQUESTS, said),
            MeetingsError::Zoom(_) => Self::new(StatusCode::BAD_GATEWAY, said),
            MeetingsError::Store(error) => error.into(),
        }
    }
}
