//! Onboardings: asked for, row by row, and read. What they are, the parts that run know; here they are shown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AdminState;
use super::caller::Caller;
use super::described::{IdempotencyKey, Raw};
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed, rows};
use super::view::JobView;
use crate::clock::Timestamp;
use crate::ids::{AccountId, OnboardingId};
use crate::rules::nearest;
use crate::store::StoreError;
use crate::work::{RefusedFor, Row, RowRefused, Stands, Wanted, WithJobs, of_rules};

/// Rows of one request.
pub const ROWS_MAX: usize = 1_000;
/// Of one request: a row of them may be about a kilobyte.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// How long anybody is kept waiting.
const WAIT_SECS_MAX: u64 = 60;
const BATCH_CHARS_MAX: usize = 200;

/// Who onboards.
#[async_trait::async_trait]
pub trait Onboards: fmt::Debug + Send + Sync {
    /// Asks for them: on disk when it returns.
    async fn ask(
        &self,
        account: &AccountId,
        rows: Vec<Row>,
        batch: Option<&str>,
        by: &str,
    ) -> Result<Vec<Result<WithJobs, RowRefused>>, StoreError>;

    /// What would become of each, or why that cannot be said.
    async fn look(&self, account: &AccountId, rows: Vec<Row>) -> Result<Vec<Result<String, RowRefused>>, String>;

    async fn read(&self, id: OnboardingId) -> Result<Option<WithJobs>, StoreError>;

    async fn list(
        &self,
        account: Option<&AccountId>,
        batch: Option<&str>,
        page: (Option<OnboardingId>, usize),
    ) -> Result<Vec<WithJobs>, StoreError>;
}

/// One onboarding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OnboardingView {
    pub id: String,
    pub account: String,
    pub email: String,
    /// Zoom's id of the user, once that is known.
    pub user: Option<String>,
    pub label: Option<String>,
    pub batch: Option<String>,
    pub asked_at: String,
    pub asked_by: String,
    /// `asked`, `creating`, `invited`, `waiting`, `working`, `done`, `parked` or `cancelled`.
    pub state: String,
    /// `created`, `was there already` or `invited from another account`, once that is known.
    pub came: Option<String>,
    /// What it waits for, was parked for, or came to.
    pub why: Option<String>,
    /// The code of what it waits or is parked for.
    pub cause: Option<String>,
    /// What a person can do.
    pub advice: Option<String>,
    /// Its own job.
    pub job: Option<String>,
    /// What the rules do, or did, for the user.
    pub rules: Vec<JobView>,
}

impl OnboardingView {
    fn of(with: &WithJobs, now: Timestamp) -> Self {
        let WithJobs { kept, jobs, .. } = with;
        let Stands { standing, why, cause, advice } = with.stands(now);
        Self {
            id: kept.id.to_string(),
            account: kept.account.to_string(),
            email: kept.wanted.email.to_string(),
            user: kept.user.as_ref().map(ToString::to_string),
            label: kept.wanted.label.clone(),
            batch: kept.batch.clone(),
            asked_at: kept.asked_at.to_string(),
            asked_by: kept.by.clone(),
            state: standing.name().to_owned(),
            came: kept.came.map(|came| came.in_words().to_owned()),
            why,
            cause: cause.map(str::to_owned),
            advice,
            job: jobs.iter().find(|job| kept.is_of(job)).map(|job| job.id.to_string()),
            rules: of_rules(kept, jobs).into_iter().map(JobView::from).collect(),
        }
    }
}

/// What became of one row of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowView {
    /// From 1.
    pub row: usize,
    pub onboarding: Option<OnboardingView>,
    /// It was asked for by this request, and not before.
    pub is_new: bool,
    /// Of a dry run: what would become of it.
    pub would: Option<String>,
    /// Why it was not taken; the others were.
    pub error: Option<RowErrorView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowErrorView {
    pub code: RefusedFor,
    pub detail: String,
}

/// What became of a request of several rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowsView {
    pub taken: usize,
    pub refused: usize,
    pub rows: Vec<RowView>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OnboardAsked {
    wait: Option<String>,
    #[serde(default)]
    dry_run: bool,
    batch: Option<String>,
}

/// A row as it is written: what is wanted, and its key.
fn row(mut value: Value) -> Result<Row, RowRefused> {
    let key = match value.as_object_mut().and_then(|row| row.remove("key")) {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key),
        Some(_) => return Err(RowRefused::invalid("key has to be a text")),
    };
    let wanted = Wanted::deserialize(&value).map_err(|error| RowRefused::invalid(plain(&error.to_string(), &value)))?;
    Ok(Row { wanted, key })
}

/// What is wrong with a row, in words for whoever wrote it.
fn plain(error: &str, row: &Value) -> String {
    let parted = error.split('`').collect::<Vec<_>>();
    let names = || parted.iter().skip(3).step_by(2).copied().collect::<Vec<_>>();
    match parted.as_slice() {
        ["missing field ", name, ..] => format!("{name} is missing"),
        ["unknown field ", name, ..] => {
            let near = nearest(name, names());
            let help =
                near.map_or_else(|| format!("expected {}", names().join(", ")), |near| format!("did you mean {near}?"));
            format!("there is no {name}: {help}")
        }
        ["unknown variant ", word, ..] => {
            let is_it = |(_, value): &(&String, &Value)| value.as_str() == Some(*word);
            let of = row.as_object().and_then(|row| row.iter().find(is_it)).map_or("it", |(name, _)| name.as_str());
            format!("{of} is {word:?}, expected {}", names().join(" or "))
        }
        _ => error.to_owned(),
    }
}

/// Consumers are the whole service's: whoever is bound to one account neither sends to one, nor learns which there are.
fn tells_nobody(row: Row) -> Result<Row, RowRefused> {
    if row.wanted.notify.is_some() {
        return Err(RowRefused::invalid("notify is about the whole service, and the token is bound to one account"));
    }
    Ok(row)
}

/// The rows of a body: one object, an array of them, or a line of JSON for each. And whether there is just one object.
fn rows_of(body: &[u8]) -> Result<(Vec<Result<Row, RowRefused>>, bool), ApiProblem> {
    let text = std::str::from_utf8(body).map_err(|_| ApiProblem::bad_request("the body is not UTF-8"))?;
    let values: Vec<Result<Value, RowRefused>> = match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(values)) => values.into_iter().map(Ok).collect(),
        Ok(one @ Value::Object(_)) => return Ok((vec![row(one)], true)),
        Ok(_) => {
            return Err(ApiProblem::bad_request("expected an object, an array of objects, or a line of JSON for each"));
        }
        Err(error) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let read =
                |line| serde_json::from_str(line).map_err(|error| RowRefused::invalid(format!("no JSON: {error}")));
            let values: Vec<Result<Value, RowRefused>> = lines.map(read).collect();
            if !values.is_empty() && values.iter().all(Result::is_err) {
                return Err(ApiProblem::bad_request(format!("the body is neither JSON nor lines of JSON: {error}")));
            }
            values
        }
    };
    match values.len() {
        1..=ROWS_MAX => Ok((values.into_iter().map(|value| value.and_then(row)).collect(), false)),
        count => Err(ApiProblem::bad_request(format!("the body has {count} rows, expected 1 to {ROWS_MAX}"))),
    }
}

pub(super) fn wait_of(text: Option<&str>) -> Result<Duration, ApiProblem> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let secs = text.strip_suffix('s').unwrap_or(text).parse::<u64>().ok().filter(|secs| *secs <= WAIT_SECS_MAX);
    let wrong = || ApiProblem::bad_request(format!("wait is {text:?}, expected 0s to {WAIT_SECS_MAX}s"));
    secs.map(Duration::from_secs).ok_or_else(wrong)
}

fn onboards(state: &AdminState) -> Result<&Arc<dyn Onboards>, ApiProblem> {
    state.onboards.as_ref().ok_or_else(|| ApiProblem::bad_request("the service is stopped, and Zoom has to be asked"))
}

impl From<RowRefused> for ApiProblem {
    fn from(refused: RowRefused) -> Self {
        let status = match refused.code {
            RefusedFor::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusedFor::UnderWay => StatusCode::CONFLICT,
            RefusedFor::NoAccount => StatusCode::NOT_FOUND,
            RefusedFor::Zoom => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, refused.why)
    }
}

/// Who is to be onboarded: one person, or rows of them; as `application/x-ndjson`, a line of JSON for each.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it says the form: a row that is wrong is refused by itself, so each is read by itself")]
pub(super) enum OnboardSent {
    One(RowSent),
    Many(Vec<RowSent>),
}

/// One person. The same `key` is the same onboarding for seven days after that has ended.
#[derive(Debug)]
pub(super) struct RowSent;

impl JsonSchema for RowSent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RowSent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = Wanted::json_schema(generator);
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            let about = "1 to 200 printable ASCII characters: the same key is the same onboarding";
            properties.insert(
                "key".to_owned(),
                serde_json::json!({ "type": "string", "maxLength": 200, "description": about }),
            );
        }
        schema
    }
}

/// What became of what was asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OnboardAnswer {
    One(Box<OnboardingView>),
    /// Of a dry run.
    Row(Box<RowView>),
    Rows(RowsView),
}

/// Asks for one onboarding (202, or 200 where the key was known) or for many (200, with what became of each row).
pub(super) async fn onboard(
    State(state): Shared,
    caller: Caller,
    Path(account): Path<String>,
    query: Asked<OnboardAsked>,
    IdempotencyKey(key): IdempotencyKey,
    body: Raw<OnboardSent>,
) -> Result<(StatusCode, Json<OnboardAnswer>), ApiProblem> {
    let body = body.bytes.map_err(|rejection| ApiProblem::new(rejection.status(), rejection.body_text()))?;
    let account: AccountId = parsed(&account)?;
    let OnboardAsked { wait, dry_run, batch } = asked(query)?;
    let wait = wait_of(wait.as_deref())?;
    if let Some(chars) = batch.as_ref().map(|batch| batch.chars().count()).filter(|chars| *chars > BATCH_CHARS_MAX) {
        return Err(ApiProblem::bad_request(format!(
            "batch has {chars} characters, expected {BATCH_CHARS_MAX} or fewer"
        )));
    }
    if batch.as_ref().is_some_and(|batch| batch.chars().any(char::is_control)) {
        return Err(ApiProblem::bad_request("batch holds a control character"));
    }
    let (mut asked, is_one) = rows_of(&body)?;
    if caller.account.is_some() {
        asked = asked.into_iter().map(|row| row.and_then(tells_nobody)).collect();
    }
    if let Some(key) = key {
        let one = asked.first_mut().filter(|_| is_one);
        let Some(one) = one else {
            return Err(ApiProblem::bad_request("Idempotency-Key is for one object: give each row a key of its own"));
        };
        if let Ok(row) = one {
            row.key.get_or_insert(key);
        }
    }
    let (mut view, mut found) = if dry_run {
        (looked(&state, &account, asked).await?, Vec::new())
    } else {
        taken(&state, &caller, &account, asked, batch.as_deref()).await?
    };
    if !dry_run && !wait.is_zero() {
        found = settled(&state, found, wait).await?;
        let now = state.clock.now();
        for (row, one) in view.iter_mut().filter(|row| row.onboarding.is_some()).zip(&found) {
            row.onboarding = Some(OnboardingView::of(one, now));
        }
    }
    if !is_one {
        let refused = view.iter().filter(|row| row.error.is_some()).count();
        let taken = view.len().saturating_sub(refused);
        return Ok((StatusCode::OK, Json(OnboardAnswer::Rows(RowsView { taken, refused, rows: view }))));
    }
    let Some(row) = view.pop() else { return Err(ApiProblem::bad_request("nothing was asked for")) };
    if let Some(RowErrorView { code, detail }) = row.error {
        return Err(RowRefused { code, why: detail }.into());
    }
    let status = if row.is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(match row.onboarding {
        Some(one) => (status, Json(OnboardAnswer::One(Box::new(one)))),
        None => (StatusCode::OK, Json(OnboardAnswer::Row(Box::new(row)))),
    })
}

fn refused_row(row: usize, refused: &RowRefused) -> RowView {
    let error = RowErrorView { code: refused.code, detail: refused.why.clone() };
    RowView { row, onboarding: None, is_new: false, would: None, error: Some(error) }
}

/// Puts what became of the rows that could be read between those that could not.
fn woven<T>(
    asked: Vec<Result<Row, RowRefused>>,
    done: Vec<Result<T, RowRefused>>,
    mut view: impl FnMut(usize, T) -> RowView,
) -> Vec<RowView> {
    let mut done = done.into_iter();
    let each = asked.into_iter().enumerate().filter_map(|(place, one)| {
        let row = place.saturating_add(1);
        Some(match one {
            Err(refused) => refused_row(row, &refused),
            Ok(_) => match done.next()? {
                Err(refused) => refused_row(row, &refused),
                Ok(done) => view(row, done),
            },
        })
    });
    each.collect()
}

async fn looked(
    state: &AdminState,
    account: &AccountId,
    asked: Vec<Result<Row, RowRefused>>,
) -> Result<Vec<RowView>, ApiProblem> {
    let rows: Vec<Row> = asked.iter().flatten().cloned().collect();
    let looked = onboards(state)?.look(account, rows).await;
    let looked = looked.map_err(|why| ApiProblem::new(StatusCode::CONFLICT, why))?;
    let view = |row, would| RowView { row, onboarding: None, is_new: false, would: Some(would), error: None };
    Ok(woven(asked, looked, view))
}

async fn taken(
    state: &AdminState,
    caller: &Caller,
    account: &AccountId,
    asked: Vec<Result<Row, RowRefused>>,
    batch: Option<&str>,
) -> Result<(Vec<RowView>, Vec<WithJobs>), ApiProblem> {
    let rows: Vec<Row> = asked.iter().flatten().cloned().collect();
    let taken = onboards(state)?.ask(account, rows, batch, &caller.actor).await?;
    let (now, mut found) = (state.clock.now(), Vec::new());
    let views = woven(asked, taken, |row, one: WithJobs| {
        let view = RowView {
            row,
            onboarding: Some(OnboardingView::of(&one, now)),
            is_new: one.is_new,
            would: None,
            error: None,
        };
        found.push(one);
        view
    });
    Ok((views, found))
}

/// Of reading: so many rows, then whoever else waits for the thread has a turn.
const ROWS_AT_ONCE: usize = 16;
/// Between two looks at each row.
const LOOK_MS: u64 = 2;
/// Between two looks, at most.
const LOOK_MS_MAX: u64 = 200;

/// Waits until none of them goes on by itself, or the time is over. Only those that still go on are looked at again.
async fn settled(state: &AdminState, mut found: Vec<WithJobs>, wait: Duration) -> Result<Vec<WithJobs>, ApiProblem> {
    let (onboards, until) = (onboards(state)?, state.clock.now().plus(wait));
    let mut moving: Vec<usize> = (0..found.len()).collect();
    loop {
        let (mut changed, began) = (state.store.changed(), state.clock.now());
        changed.borrow_and_update();
        let mut still = Vec::new();
        for (count, place) in moving.into_iter().enumerate() {
            if state.clock.now() >= until {
                return Ok(found);
            }
            if count % ROWS_AT_ONCE == ROWS_AT_ONCE.saturating_sub(1) {
                tokio::task::yield_now().await;
            }
            let Some(one) = found.get_mut(place) else { continue };
            if let Some(newer) = onboards.read(one.kept.id).await? {
                *one = newer;
            }
            still.extend(Some(place).filter(|_| one.stands(began).standing.is_moving()));
        }
        if still.is_empty() {
            return Ok(found);
        }
        let pause = u64::try_from(still.len()).unwrap_or(u64::MAX).saturating_mul(LOOK_MS).min(LOOK_MS_MAX);
        moving = still;
        tokio::select! {
            more = changed.changed() => {
                if more.is_err() {
                    return Ok(found);
                }
            }
            () = state.clock.sleep_until(until) => {}
        }
        state.clock.sleep_until(began.plus(Duration::from_millis(pause)).min(until)).await;
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitAsked {
    wait: Option<String>,
}

pub(super) async fn one(
    State(state): Shared,
    caller: Caller,
    Path(id): Path<String>,
    query: Asked<WaitAsked>,
) -> Answer<OnboardingView> {
    let id: OnboardingId = parsed(&id)?;
    let wait = wait_of(asked(query)?.wait.as_deref())?;
    let found = onboards(&state)?.read(id).await?.filter(|found| caller.sees(&found.kept.account));
    let found = found.ok_or_else(|| ApiProblem::not_found(format!("onboarding {id}")))?;
    let found = settled(&state, vec![found], wait).await?;
    let view = found.first().map(|one| OnboardingView::of(one, state.clock.now()));
    view.map(Json).ok_or_else(|| ApiProblem::not_found(format!("onboarding {id}")))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListAsked {
    account: Option<String>,
    batch: Option<String>,
    /// Only those after this one: the last of the page before.
    after: Option<String>,
    limit: Option<usize>,
}

/// The oldest first.
pub(super) async fn list(State(state): Shared, caller: Caller, query: Asked<ListAsked>) -> Answer<Vec<OnboardingView>> {
    let ListAsked { account, batch, after, limit } = asked(query)?;
    let page = (maybe(after.as_ref())?, rows(limit)?);
    let account = caller.scope(maybe::<AccountId>(account.as_ref())?)?;
    let found = onboards(&state)?.list(account.as_ref(), batch.as_deref(), page).await?;
    let now = state.clock.now();
    Ok(Json(found.iter().map(|one| OnboardingView::of(one, now)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_object_an_array_or_lines_and_each_wrong_row_is_told_by_itself() {
        let codes = |body: &str| {
            rows_of(body.as_bytes()).map(|(rows, is_one)| (rows.iter().map(Result::is_ok).collect(), is_one))
        };
        assert_eq!(codes(r#"{"email":"a@x.example","key":"1"}"#), Ok((vec![true], true)));
        assert_eq!(codes(r#"[{"email":"a@x.example"},{"email":"nobody"},7]"#), Ok((vec![true, false, false], false)));
        let lines = "{\"email\":\"a@x.example\"}\n\n{\"email\":\n{\"email\":\"b@x.example\",\"key\":7}\n";
        assert_eq!(codes(lines), Ok((vec![true, false, false], false)));
        for wrong in ["", "[]", "7", "null"] {
            assert!(codes(wrong).is_err(), "{wrong}");
        }
        assert!(codes("{\"email\":\"a@x.example\",\n").unwrap_err().detail.contains("neither JSON nor lines"));
        let many = format!("[{}]", vec![r#"{"email":"a@x.example"}"#; ROWS_MAX + 1].join(","));
        assert!(codes(&many).unwrap_err().detail.contains("1001 rows"));
        assert!(rows_of(b"\xff").is_err());
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said_in_plain_words() {
        for (body, said) in [
            (r#"{"email":"a@x.example","licence":"gold"}"#, "licence is \"gold\", expected licensed or basic"),
            (r#"{"email":"a@x.example","licens":"basic"}"#, "there is no licens: did you mean licence?"),
            (r#"{"first_name":"A"}"#, "email is missing"),
        ] {
            let (rows, _) = rows_of(body.as_bytes()).unwrap();
            assert_eq!(rows[0].as_ref().unwrap_err().why, said);
        }
    }

    #[test]
    fn nobody_waits_longer_than_a_minute() {
        assert_eq!(
            (wait_of(None), wait_of(Some("30s")), wait_of(Some("5"))),
            (Ok(Duration::ZERO), Ok(Duration::from_secs(30)), Ok(Duration::from_secs(5)))
        );
        for wrong in ["61s", "-1", "1m", "", "s"] {
            assert!(wait_of(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
