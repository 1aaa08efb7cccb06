//! Sweeps: where each account's stand, and one on demand. What sweeps are, the parts that run know; here they are shown.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::problem::ApiProblem;
use super::routes::{Answer, Asked, OfAccount, Shared, asked, maybe};
use super::{AdminApp, AdminState};
use crate::alarm::Alarm;
use crate::clock::Timestamp;
use crate::ids::{AccountId, RuleName};
use crate::store::{StoreError, SweepRun};

/// Who sweeps.
#[async_trait::async_trait]
pub trait Sweeps: fmt::Debug + Send + Sync {
    /// All accounts, by id.
    async fn list(&self) -> Result<Vec<SweepView>, StoreError>;

    /// Of one account; none where nobody sweeps it.
    async fn of(&self, account: &AccountId) -> Result<Option<SweepView>, StoreError> {
        Ok(self.list().await?.into_iter().find(|view| view.account == account.as_str()))
    }

    /// Asks for a sweep of the account. False where one runs, or is asked for already.
    async fn ask(&self, account: &AccountId, rule: Option<RuleName>, is_dry: bool) -> Result<bool, StoreError>;

    /// Why no sweep can look at the rule, or at any, if none can.
    fn is_not_swept(&self, rule: Option<&RuleName>) -> Option<String>;
}

/// Nothing runs: a store that is looked at while the service is stopped.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSweeps;

#[async_trait::async_trait]
impl Sweeps for NoSweeps {
    async fn list(&self) -> Result<Vec<SweepView>, StoreError> {
        Ok(Vec::new())
    }

    async fn ask(&self, _account: &AccountId, _rule: Option<RuleName>, _is_dry: bool) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn is_not_swept(&self, _rule: Option<&RuleName>) -> Option<String> {
        Some("the service is stopped".to_owned())
    }
}

/// Where the sweeps of one account stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepView {
    pub account: String,
    /// `runs`, `asked` (and about to begin), `waits` for its schedule, or `off` where there is no rule.
    pub state: String,
    /// The one that runs.
    pub run: Option<SweepRunView>,
    /// The last that came to its end.
    pub last: Option<SweepRunView>,
    /// The last dry one that came to its end.
    pub last_dry: Option<SweepRunView>,
    /// The newest one that could not come to its end, where none did since.
    pub failed: Option<SweepFailedView>,
    /// Of each kind that some rule is of.
    pub kinds: Vec<SweepKindView>,
    /// The kind that is stale soonest.
    pub stalest: Option<String>,
    /// When the last one of that kind over all rules ended, and how long ago that was.
    pub whole_at: Option<String>,
    pub whole_age_secs: Option<u64>,
    /// That is longer ago than two intervals of the schedule.
    pub is_stale: bool,
}

/// The sweeps of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepKindView {
    /// `users` (by lists), `settings` (of users, each read by itself) or `meetings` (each read by itself).
    pub kind: String,
    /// When the last one over all of its rules ended.
    pub whole_at: Option<String>,
    pub next_at: String,
    pub next_why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepFailedView {
    pub at: String,
    pub is_dry: bool,
    pub why: String,
}

/// As [`SweepRun`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepRunView {
    pub kind: String,
    pub why: String,
    pub rule: Option<String>,
    pub is_dry: bool,
    pub started_at: String,
    pub ended_at: Option<String>,
    pub users: u64,
    pub users_total: Option<u64>,
    pub found: u64,
    pub found_by_rule: BTreeMap<String, u64>,
    pub made: u64,
    pub woken: u64,
    pub left: u64,
    pub changed: u64,
}

impl From<&SweepRun> for SweepRunView {
    fn from(run: &SweepRun) -> Self {
        let by_rule = run.found_by_rule.iter().map(|(rule, count)| (rule.to_string(), *count));
        Self {
            kind: run.kind.code().to_owned(),
            why: run.why.code().to_owned(),
            rule: run.rule.as_ref().map(ToString::to_string),
            is_dry: run.is_dry,
            started_at: run.started_at.to_string(),
            ended_at: run.ended_at.map(|at| at.to_string()),
            users: run.users,
            users_total: run.total,
            found: run.found,
            found_by_rule: by_rule.collect(),
            made: run.made,
            woken: run.woken,
            left: run.left,
            changed: run.changed,
        }
    }
}

/// What was asked for, account by account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepAskedView {
    pub asked_at: String,
    pub accounts: Vec<SweepTakenView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepTakenView {
    pub account: String,
    /// False where one runs, or is asked for already: there are never two.
    pub taken: bool,
    /// How far that one is.
    pub why: Option<String>,
}

pub(super) async fn list(State(state): Shared, caller: Caller, query: Asked<OfAccount>) -> Answer<Vec<SweepView>> {
    let only: Option<AccountId> = caller.scope(maybe(asked(query)?.account())?)?;
    let mut all = state.sweeps.list().await?;
    all.retain(|view| only.as_ref().is_none_or(|only| view.account == only.as_str()));
    Ok(Json(all))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SweepAsked {
    account: Option<String>,
    rule: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// Asks for sweeps. 409 where all accounts that are meant are being swept already.
pub(super) async fn ask(State(state): Shared, caller: Caller, query: Asked<SweepAsked>) -> Answer<SweepAskedView> {
    let SweepAsked { account, rule, dry_run } = asked(query)?;
    let (only, rule) = (caller.scope(maybe(account.as_ref())?)?, maybe::<RuleName>(rule.as_ref())?);
    if let Some(why) = state.sweeps.is_not_swept(rule.as_ref()) {
        return Err(ApiProblem::bad_request(why));
    }
    let all: Vec<AccountId> = state.apps.borrow().iter().flat_map(AdminApp::ids).cloned().collect();
    let meant: Vec<&AccountId> = all.iter().filter(|id| only.as_ref().is_none_or(|only| only == *id)).collect();
    if let Some(only) = only.filter(|_| meant.is_empty()) {
        return Err(ApiProblem::new(StatusCode::NOT_FOUND, format!("no account {only} is served")));
    }
    let asked_at = state.clock.now().to_string();
    let (mut accounts, mut all) = (Vec::new(), None);
    for account in meant {
        let is_paused = state.accounts.as_ref().is_some_and(|kept| kept.paused_by(account).is_some());
        let taken = !is_paused && state.sweeps.ask(account, rule.clone(), dry_run).await?;
        let why = match (taken, is_paused) {
            (true, _) => None,
            (false, true) => {
                Some(format!("account {account} is paused: `adjutant accounts resume {account}` lets it go on"))
            }
            (false, false) => {
                let all = match &mut all {
                    Some(all) => all,
                    all => all.insert(by_account(&state).await?),
                };
                Some(how_far(all, account))
            }
        };
        accounts.push(SweepTakenView { account: account.to_string(), taken, why });
    }
    if let Some(SweepTakenView { why: Some(why), .. }) = accounts.first()
        && !accounts.iter().any(|account| account.taken)
    {
        return Err(ApiProblem::new(StatusCode::CONFLICT, why.clone()));
    }
    Ok(Json(SweepAskedView { asked_at, accounts }))
}

/// Where all stand.
async fn by_account(state: &AdminState) -> Result<HashMap<String, SweepView>, StoreError> {
    Ok(state.sweeps.list().await?.into_iter().map(|view| (view.account.clone(), view)).collect())
}

fn how_far(all: &HashMap<String, SweepView>, account: &AccountId) -> String {
    match all.get(account.as_str()).and_then(|view| view.run.as_ref()) {
        Some(run) => {
            let of = run.users_total.map(|total| format!(" of {total}")).unwrap_or_default();
            format!("account {account} is being swept since {}: {}{of} users so far", run.started_at, run.users)
        }
        None => format!("a sweep of account {account} is asked for already, and about to begin"),
    }
}

/// Accounts whose last sweep failed, or whose last whole one is too long ago.
pub(super) async fn alarms(state: &AdminState) -> Result<Vec<Alarm>, StoreError> {
    let views = state.sweeps.list().await?;
    let failed = views.iter().filter_map(failed).collect::<Vec<_>>();
    Ok(failed.into_iter().chain(views.into_iter().filter(|view| view.is_stale).map(stale)).collect())
}

fn failed(view: &SweepView) -> Option<Alarm> {
    let SweepFailedView { at, why, .. } = view.failed.as_ref()?;
    let what = format!("account {}: the sweep of {at} did not come to its end: {why}", view.account);
    let advice = "mend what it says; the next one that comes to its end, by itself or asked for, ends this";
    let alarm = Alarm::new("sweep-failed", what, advice, sweep(view)).of_account(&view.account);
    Some(Alarm { since: Some(at.clone()), ..alarm })
}

fn sweep(view: &SweepView) -> String {
    format!("adjutant sweep --account {}", view.account)
}

fn stale(view: SweepView) -> Alarm {
    let (command, since) = (sweep(&view), view.whole_at.clone());
    let last = view.whole_at.map_or_else(|| "never".to_owned(), |at| format!("at {at}"));
    let failed = view.failed.map(|failed| format!(" (the one of {}: {})", failed.at, failed.why)).unwrap_or_default();
    // One account has one sweep at a time, and one of settings or meetings may take hours.
    let runs = view.run.map(|run| match view.stalest.filter(|stalest| *stalest != run.kind) {
        Some(stalest) => {
            format!("; the {stalest} sweep waits for the {} sweep that began at {}", run.kind, run.started_at)
        }
        None => format!("; the {} sweep that began at {} still runs", run.kind, run.started_at),
    });
    let advice = match runs {
        Some(_) => "what webhooks missed is not healed until then: see `adjutant sweep list` for how far it is",
        None => "what webhooks missed is not healed: see `adjutant sweep list`, then `adjutant sweep`",
    };
    let what = format!(
        "account {} was last swept whole {last}, more than two intervals of its schedule ago{failed}{}",
        view.account,
        runs.unwrap_or_default()
    );
    Alarm { since, ..Alarm::new("sweep-stale", what, advice, command).of_account(&view.account) }
}

/// For each app, how long ago the last whole sweep of its account was that waits longest for one.
pub(super) async fn ages(state: &Arc<AdminState>) -> Result<Vec<(String, u64)>, StoreError> {
    let views = by_account(state).await?;
    let age = |account: &AccountId| views.get(account.as_str())?.whole_age_secs;
    let apps = state.apps.borrow();
    let of_app = apps.iter().filter_map(|app| {
        let oldest = app.ids().filter_map(age).max()?;
        Some((app.name.to_string(), oldest))
    });
    Ok(of_app.collect())
}

impl SweepView {
    /// Of an account that was never swept, and is not by any rule.
    pub fn new(account: &AccountId) -> Self {
        Self {
            account: account.to_string(),
            state: "off".to_owned(),
            run: None,
            last: None,
            last_dry: None,
            failed: None,
            kinds: Vec::new(),
            stalest: None,
            whole_at: None,
            whole_age_secs: None,
            is_stale: false,
        }
    }

    /// With the end of the last whole sweep, as `now` sees it.
    #[must_use]
    pub fn with_whole(self, ended: Option<Timestamp>, stale_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            whole_at: ended.map(|at| at.to_string()),
            whole_age_secs: ended.map(|at| now.since(at).as_secs()),
            is_stale: stale_at.is_some_and(|at| at <= now),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm_while(kind: Option<&str>) -> String {
        let run = kind.map(|kind| SweepRunView {
            kind: kind.to_owned(),
            why: "schedule".to_owned(),
            rule: None,
            is_dry: false,
            started_at: Timestamp::from_secs(1_800_000_000).to_string(),
            ended_at: None,
            users: 0,
            users_total: None,
            found: 0,
            found_by_rule: BTreeMap::new(),
            made: 0,
            woken: 0,
            left: 0,
            changed: 0,
        });
        let view = SweepView::new(&AccountId::parse("acme").unwrap());
        stale(SweepView { run, stalest: Some("users".to_owned()), ..view }).what
    }

    #[test]
    fn a_stale_sweep_says_which_one_it_waits_for() {
        let bare = "account acme was last swept whole never, more than two intervals of its schedule ago";
        assert_eq!(alarm_while(None), bare);
        let began = "sweep that began at 2027-01-15T08:00:00.000Z";
        let waits = format!("{bare}; the users sweep waits for the settings {began}");
        assert_eq!(alarm_while(Some("settings")), waits);
        assert_eq!(alarm_while(Some("users")), format!("{bare}; the users {began} still runs"));
    }
}
