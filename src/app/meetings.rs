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
use crate::web::admin::movable::{MovableView, MovablesAsked, MovablesView, UnlistedView};
use crate::work::{ErrandFilter, ErrandNow, ErrandRefused, Errandry, MoveAsked, Refusal};
use crate::worker::{Budget, Errands, InPoolRow, MeetingChange, Meetings, MeetingsError, Movable, Parts, Place};
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

    async fn list(&self, filter: &ErrandFilter, page: (Option<ErrandId>, usize)) -> Result<Vec<ErrandNow>, StoreError> {
        self.errands.list(filter, page).await
    }

    async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        self.errands.alarms().await
    }

    async fn check(&self, account: &AccountId, asked: MoveAsked) -> Result<CheckView, ApiProblem> {
        let (meeting, to) = (asked.meeting.number(), asked.to.to_string());
        Ok(match self.meetings.check(account, asked).await? {
            Movable::Yes { how, why, left_today } => {
                let left_today = Some(left_today);
                CheckView { meeting, to, can_move: true, how, why, code: None, advice: None, left_today }
            }
            Movable::No(Refusal { code, why, advice }) => {
                let code = Some(code);
                CheckView { meeting, to, can_move: false, how: None, why, code, advice, left_today: None }
            }
        })
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

    async fn movable(&self, account: &AccountId, asked: MovablesAsked) -> Result<MovablesView, ApiProblem> {
        let from = match &asked.after {
            None => Place::default(),
            Some(after) => {
                after.parse().map_err(|error| ApiProblem::bad_request(format!("after {after:?}: {error}")))?
            }
        };
        let page = self.meetings.in_pool(account, &asked.users, (from, asked.limit)).await?;
        let looked_at = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
        let rows = page.rows.into_iter().filter(|row| asked.all || row.said.is_err());
        let unlisted = page.unlisted.into_iter().map(|(user, why)| UnlistedView { user, why });
        Ok(MovablesView {
            meetings: rows.map(in_pool).collect(),
            looked_at,
            users: page.users,
            users_total: page.users_total,
            unlisted: unlisted.collect(),
            next: page.next.map(|next| next.to_string()),
        })
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

fn in_pool(InPoolRow { row, host, said }: InPoolRow) -> MovableView {
    let (code, why, advice) = match said {
        Ok(why) => (None, why, None),
        Err(Refusal { code, why, advice }) => (Some(code), why, advice),
    };
    let start = row.start.map(|at| at.to_string());
    MovableView { meeting: row.id.number(), topic: row.topic, start, host, can_move: code.is_none(), code, why, advice }
}

impl From<MeetingsError> for ApiProblem {
    fn from(error: MeetingsError) -> Self {
        let said = error.to_string();
        match error {
            MeetingsError::NoAccount(_) => Self::refused("account-unknown", said),
            MeetingsError::NoMeeting(..) => Self::refused("meeting-unknown", said),
            MeetingsError::NoUser(..) => Self::refused("host-unknown", said),
            MeetingsError::Refused(Refusal { code, why, advice }) => {
                Self { advice: advice.map(Into::into), ..Self::refused(&code, why) }
            }
            MeetingsError::Zoom(_) => Self::new(StatusCode::BAD_GATEWAY, said),
            MeetingsError::Store(error) => error.into(),
        }
    }
}
