//! Errands: what is asked to be done to one meeting, and what became of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::{Caller, Role};
use super::described::{IdempotencyKey, Sent};
use super::onboarding::{WaitAsked, wait_of};
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed, rows};
use crate::account::UserKey;
use crate::alarm::Alarm;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ErrandId, MeetingId};
use crate::store::StoreError;
use crate::work::{
    ErrandFilter, ErrandNow, ErrandRefused, ErrandResult, ErrandState, Errandry, How, MoveAsked, Moving, ScheduleAsked,
    Scheduling, Through,
};
use crate::zoom::Object;

/// Who runs errands.
#[async_trait::async_trait]
pub trait RunsErrands: fmt::Debug + Send + Sync {
    /// Asks for it: on disk when it returns.
    async fn ask(
        &self,
        account: &AccountId,
        what: Errandry,
        key: Option<String>,
        by: &str,
    ) -> Result<ErrandNow, ErrandRefused>;

    async fn read(&self, id: ErrandId) -> Result<Option<ErrandNow>, StoreError>;

    async fn list(&self, filter: &ErrandFilter, page: (Option<ErrandId>, usize)) -> Result<Vec<ErrandNow>, StoreError>;

    /// What of them a person should know.
    async fn alarms(&self) -> Result<Vec<Alarm>, StoreError>;

    /// Whether a meeting could be moved as asked, which changes nothing.
    async fn check(&self, account: &AccountId, asked: MoveAsked) -> Result<CheckView, ApiProblem>;

    /// The meeting as Zoom has it now; none where Zoom does not say.
    async fn meeting(&self, account: &AccountId, id: MeetingId) -> Result<Option<Object>, StoreError>;
}

/// One errand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrandView {
    pub id: String,
    pub account: String,
    /// `schedule` or `move`.
    pub kind: String,
    /// Who is to host.
    #[serde(rename = "for")]
    pub host: String,
    /// Zoom's number: of the meeting that is moved, or of the one that was made.
    pub meeting: Option<u64>,
    pub asked_at: String,
    /// How long ago that was.
    pub age_secs: u64,
    pub asked_by: String,
    /// `working`, `waiting`, `done`, `refused`, `parked` or `cancelled`.
    pub state: String,
    /// What it waits for, was refused or parked for.
    pub why: Option<String>,
    /// The code of that: short and stable.
    pub code: Option<String>,
    /// What a person can do.
    pub advice: Option<String>,
    /// What whoever asked should know of what was done.
    pub notes: Vec<String>,
    pub job: Option<String>,
    /// Of one that is done, where it is asked for by itself: the meeting as Zoom has it now, with a `start_url` that is fresh.
    pub zoom: Option<Object>,
}

impl ErrandView {
    /// Notes may have links, which are not for auditors, who read everything else.
    fn of(now: &ErrandNow, at: Timestamp, caller: &Caller) -> Self {
        let (kept, stands) = (&now.kept, now.stands(at));
        let (notes, made) = match kept.ended.as_ref().map(|ended| &ended.result) {
            Some(ErrandResult::Done { meeting, .. }) if caller.role == Role::Auditor => (Vec::new(), Some(*meeting)),
            Some(ErrandResult::Done { meeting, notes }) => (notes.clone(), Some(*meeting)),
            _ => (Vec::new(), None),
        };
        let meeting = match &kept.what {
            Errandry::Schedule(_) => made,
            Errandry::Move(moving) => made.or(Some(moving.asked.meeting)),
        };
        Self {
            id: kept.id.to_string(),
            account: kept.account.to_string(),
            kind: kept.what.rule().to_string(),
            host: kept.what.host().to_string(),
            meeting: meeting.map(MeetingId::number),
            asked_at: kept.asked_at.to_string(),
            age_secs: at.since(kept.asked_at).as_secs(),
            asked_by: kept.by.clone(),
            state: stands.state.name().to_owned(),
            why: stands.why,
            code: stands.code,
            advice: stands.advice,
            notes,
            job: now.job.as_ref().map(|job| job.id.to_string()),
            zoom: None,
        }
    }
}

impl From<ErrandRefused> for ApiProblem {
    fn from(refused: ErrandRefused) -> Self {
        let said = refused.to_string();
        let (code, advice) = match refused {
            ErrandRefused::Invalid(_) => ("invalid", None),
            ErrandRefused::KeyUsed(_) => ("key-used", Some("give each request a key of its own".to_owned())),
            ErrandRefused::UnderWay(_, other) => ("under-way", Some(format!("ask again when {other} has ended"))),
            ErrandRefused::NoAccount(_) => ("account-unknown", None),
            ErrandRefused::Full => ("full", None),
            ErrandRefused::TooMany(..) => ("too-many", Some("ask again when some of them have ended".to_owned())),
            ErrandRefused::Store(error) => return error.into(),
        };
        Self { advice: advice.map(Into::into), ..Self::refused(code, said) }
    }
}

impl From<ErrandView> for ApiProblem {
    /// Of one that was refused.
    fn from(view: ErrandView) -> Self {
        let (code, why) = (view.code.clone().unwrap_or_default(), view.why.clone().unwrap_or_default());
        let advice = view.advice.clone().map(Into::into);
        Self { advice, errand: Some(Box::new(view)), ..Self::refused(&code, why) }
    }
}

pub(super) fn runs(state: &AdminState) -> Result<&Arc<dyn RunsErrands>, ApiProblem> {
    state.errands.as_ref().ok_or_else(|| ApiProblem::bad_request("the service is stopped, and Zoom has to be asked"))
}

/// Waits until it does not go on by itself, or the time is over.
async fn settled(state: &AdminState, mut found: ErrandNow, wait: Duration) -> Result<ErrandNow, ApiProblem> {
    let (runs, until) = (runs(state)?, state.clock.now().plus(wait));
    let mut changed = state.store.changed();
    loop {
        changed.borrow_and_update();
        if let Some(newer) = runs.read(found.kept.id).await? {
            found = ErrandNow { is_new: found.is_new, ..newer };
        }
        let now = state.clock.now();
        if found.stands(now).state != ErrandState::Working || now >= until {
            return Ok(found);
        }
        tokio::select! {
            more = changed.changed() => {
                if more.is_err() {
                    return Ok(found);
                }
            }
            () = state.clock.sleep_until(until) => {}
        }
    }
}

/// With the meeting itself, where there is one. Its links are not for auditors, who read everything else.
async fn shown(state: &AdminState, caller: &Caller, found: &ErrandNow) -> Result<ErrandView, ApiProblem> {
    let mut view = ErrandView::of(found, state.clock.now(), caller);
    if caller.role == Role::Auditor {
        return Ok(view);
    }
    if view.state == ErrandState::Done.name()
        && let Some(ErrandResult::Done { meeting, .. }) = found.kept.ended.as_ref().map(|ended| &ended.result)
    {
        view.zoom = runs(state)?.meeting(&found.kept.account, *meeting).await?;
    }
    Ok(view)
}

/// A meeting to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeetingSent {
    /// Who hosts it, by id or email.
    #[serde(rename = "for")]
    #[schemars(with = "String")]
    pub host: UserKey,
    /// `movable` (default): made by an API user for the host, so that it can be moved later. `own`: in the host's own path.
    #[serde(default)]
    pub path: Through,
    /// Zoom's own fields of a meeting, as in `{"topic": "Algebra", "type": 2, "start_time": "2026-12-01T09:00:00Z"}`.
    pub meeting: Object,
    /// As the header `Idempotency-Key`: the same key is the same meeting, for seven days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrandAsked {
    wait: Option<String>,
    /// Refuse it where today's budget of Zoom's is used up.
    #[serde(default)]
    no_wait: bool,
}

/// Asks for a meeting (202, or 200 where the key was known). Whoever waits is told of a refusal as a problem.
pub(super) async fn schedule(
    State(state): Shared,
    caller: Caller,
    Path(account): Path<String>,
    query: Asked<ErrandAsked>,
    IdempotencyKey(key): IdempotencyKey,
    Sent(sent): Sent<MeetingSent>,
) -> Result<(StatusCode, Json<ErrandView>), ApiProblem> {
    let ErrandAsked { wait, no_wait } = asked(query)?;
    let MeetingSent { host, path, meeting, key: own } = sent;
    let asked = ScheduleAsked { host, through: path, fields: meeting, no_wait };
    let what = Errandry::Schedule(Scheduling::new(asked));
    ask(&state, &caller, &account, what, (key.or(own), wait)).await
}

/// Who a meeting is to be given to, and what may be done where that cannot be at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own that somebody may send")]
pub struct MoveSent {
    /// Who is to host it, by id or email.
    #[schemars(with = "String")]
    pub to: UserKey,
    /// Where only the privilege is missing, it is lent: granted, and taken back after. Only where `[moves] lend = true`.
    #[serde(default)]
    pub lend: bool,
    /// Where it cannot be moved, that user becomes an alternative host.
    #[serde(default)]
    pub alternative: bool,
    /// Where it cannot be moved, a new meeting is made with another link, and the old one deleted then.
    #[serde(default)]
    pub recreate: bool,
    /// One that is running is moved when it has ended.
    #[serde(default)]
    pub when_ended: bool,
    /// As the header `Idempotency-Key`: the same key is the same move, for seven days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Whether what is asked of a meeting would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckView {
    pub meeting: u64,
    pub to: String,
    /// It would be done, by `how`.
    pub can_move: bool,
    /// `direct` and `lend`: with the same link; `alternative`: the user could start it; `recreate`: made anew with another link;
    /// `when_ended`: it is running, and looked at again then. None where there is nothing to do, or it cannot be.
    pub how: Option<How>,
    /// Whose privilege counts, what would be done, or the one thing that is missing.
    pub why: String,
    /// The code of what is missing: short and stable.
    pub code: Option<String>,
    /// What somebody can do, or ask for instead.
    pub advice: Option<String>,
    /// How many creates and changes are left today to those for whom it would count.
    pub left_today: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveQuery {
    wait: Option<String>,
    /// Refuse it where today's budget of Zoom's is used up.
    #[serde(default)]
    no_wait: bool,
    /// Only say whether it can be, and change nothing.
    #[serde(default)]
    check: bool,
}

/// What became of a request to move.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum MoveAnswer {
    Errand(Box<ErrandView>),
    Check(CheckView),
}

/// Asks for another host of a meeting (202, or 200 where the key was known); or whether that can be (200).
pub(super) async fn give(
    State(state): Shared,
    caller: Caller,
    Path((account, meeting)): Path<(String, String)>,
    query: Asked<MoveQuery>,
    IdempotencyKey(key): IdempotencyKey,
    Sent(sent): Sent<MoveSent>,
) -> Result<(StatusCode, Json<MoveAnswer>), ApiProblem> {
    let MoveQuery { wait, no_wait, check } = asked(query)?;
    let MoveSent { to, lend, alternative, recreate, when_ended, key: own } = sent;
    let meeting = MeetingId::parse(&meeting).map_err(|error| ApiProblem::bad_request(error.to_string()))?;
    let asked = MoveAsked { meeting, to, lend, alternative, recreate, when_ended, no_wait };
    if check {
        let view = runs(&state)?.check(&parsed(&account)?, asked).await?;
        return Ok((StatusCode::OK, Json(MoveAnswer::Check(view))));
    }
    let (status, Json(view)) =
        ask(&state, &caller, &account, Errandry::Move(Moving::new(asked)), (key.or(own), wait)).await?;
    Ok((status, Json(MoveAnswer::Errand(Box::new(view)))))
}

pub(super) async fn ask(
    state: &AdminState,
    caller: &Caller,
    account: &str,
    what: Errandry,
    (key, wait): (Option<String>, Option<String>),
) -> Result<(StatusCode, Json<ErrandView>), ApiProblem> {
    let wait = wait_of(wait.as_deref())?;
    let found = runs(state)?.ask(&parsed(account)?, what, key, &caller.actor).await?;
    let status = if found.is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    if wait.is_zero() {
        return Ok((status, Json(shown(state, caller, &found).await?)));
    }
    let view = shown(state, caller, &settled(state, found, wait).await?).await?;
    if view.state == ErrandState::Refused.name() { Err(view.into()) } else { Ok((status, Json(view))) }
}

pub(super) async fn one(
    State(state): Shared,
    caller: Caller,
    Path(id): Path<String>,
    query: Asked<WaitAsked>,
) -> Answer<ErrandView> {
    let id: ErrandId = parsed(&id)?;
    let wait = wait_of(asked(query)?.wait.as_deref())?;
    let found = runs(&state)?.read(id).await?.filter(|found| caller.sees(&found.kept.account));
    let found = found.ok_or_else(|| ApiProblem::not_found(format!("errand {id}")))?;
    let found = settled(&state, found, wait).await?;
    Ok(Json(shown(&state, &caller, &found).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrandsAsked {
    account: Option<String>,
    /// `working`, `waiting`, `done`, `refused`, `parked` or `cancelled`.
    state: Option<String>,
    /// Who is to host, by id or email, as they were named.
    #[serde(rename = "for")]
    host: Option<String>,
    /// Only those after this one: the last of the page before.
    after: Option<String>,
    limit: Option<usize>,
}

/// The oldest first.
pub(super) async fn list(State(state): Shared, caller: Caller, query: Asked<ErrandsAsked>) -> Answer<Vec<ErrandView>> {
    let asked = asked(query)?;
    let page = (maybe(asked.after.as_ref())?, rows(asked.limit)?);
    let filter = ErrandFilter {
        account: caller.scope(maybe::<AccountId>(asked.account.as_ref())?)?,
        state: maybe(asked.state.as_ref())?,
        user: maybe(asked.host.as_ref())?,
    };
    let found = runs(&state)?.list(&filter, page).await?;
    let is_nothing = found.is_empty() && asked.after.is_none() && caller.account.is_none();
    if let Some(account) = filter.account.as_ref().filter(|_| is_nothing) {
        state.serves(&caller, account)?;
    }
    let now = state.clock.now();
    Ok(Json(found.iter().map(|one| ErrandView::of(one, now, &caller)).collect()))
}
