//! How each task is done: read, compare, write only what differs, read it back.
//!
//! Guarantees: a task may run any number of times, be cut off anywhere and be run again; nothing is written that was right
//! already; an effect is claimed only after it was read back. What changes Zoom needs an [`Intent`], and only the
//! [`Guard`] of a rule that enforces gives one: a rule that observes has no guard, so for it no changing call compiles.
//!
//! Deliberately does not know leases, claims and timers: those are the worker's.

mod around;
mod asked;
mod contest;
mod echo;
mod end;
mod ensure;
mod errand;
mod facts;
mod fold;
mod groups;
mod judge;
mod lost;
mod meeting;
mod needs;
mod onboard;
mod orphaned;
mod planned;
mod privilege;
mod saved;
mod seen;
mod send;
mod told;
mod user;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

pub use around::{ApiUser, Around};
pub use echo::Echo;
use end::{End, Ended, failed};
pub use errand::{
    Errand, ErrandEnded, ErrandFilter, ErrandNow, ErrandRefused, ErrandResult, ErrandStands, ErrandState, Errandry,
    How, InPool, Lent, Making, MoveAsked, MoveVerdict, Moving, Pool, Refusal, ScheduleAsked, Scheduling, Through, Way,
    Within, api_assistants, errand_id, errand_job, errand_kept, fault_of_start, fullest, granted_for_good, idle_words,
    is_for_good, is_shared, lending, look_at_move, named, no_word, not_for_good, remembered_principal, told_no,
};
pub use facts::{Facts, FactsSettings};
pub use fold::{Folded, Record, fold};
pub use judge::{Difference, Need, Picture, Verdict, edits, in_words, is_excepted, judge};
pub use lost::{GONE_HOST, lost};
pub use needs::needs;
pub use onboard::{
    Beside, Came, Held, Onboarding, RefusedFor, Row, RowRefused, Standing, Stands, Step, Wanted, WithJobs,
    fault_of_key, id_of, jobs_about, of_rules, own_job, stands, tell, told, unknown_group, would,
};
pub use orphaned::{Host, OrphanedMeeting, OrphanedRecord, Successor};
pub use planned::{
    Cost, PlannedAccount, PlannedChange, PlannedDifference, PlannedOthers, PlannedRule, PlannedSince, WOULD_SEND,
    span_in_words, would_change,
};
pub use privilege::{Fact, Lack, Missing, Privilege, Sides, Who, grants};
pub use saved::{AppliedAccount, AppliedRule, DecidedNow, NotPlanned, PlanScope, PlannedMeetings, SavedPlan};
pub use seen::{saw, seen};
pub use send::{Feed, Message, Sending};
pub use told::{Past, Person, Told};

use crate::account::{Account, UserKey};
use crate::audit::{Detail, Kind, Saw};
use crate::clock::{Clock, Timestamp};
use crate::ids::{AccountId, MeetingId, UserId};
use crate::job::{Change, Counts, DayOf, DayUse, Effect, Intent, Job, Outcome, ParkCause, Snooze};
use crate::rules::{Mode, Rule, SubjectKind};
use crate::store::{Allowance, Note, Store, StoreError};
use crate::zoom::{Meeting, Zoom, ZoomError};

/// Attempts during which Zoom may not know a user or meeting yet that an event has just told of.
const UNKNOWN_ATTEMPTS: u32 = 4;
/// Attempts after which a write that Zoom confirmed and does not show is given to a person.
const INEFFECTIVE_ATTEMPTS: u32 = 3;
/// Below so many active users, a share of the account says nothing.
pub const SHARE_FROM_USERS: u64 = 50;

/// What all tasks share.
#[derive(Debug, Clone)]
pub struct Ctx {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub facts: Arc<Facts>,
    pub host_writes: HostWrites,
    pub moves: Moves,
    /// Of an errand.
    pub kin: Vec<Kin>,
    pub feed: Arc<dyn Feed>,
}

/// Another account of the organisation, with a token of its own.
#[derive(Debug, Clone)]
pub struct Kin {
    pub account: AccountId,
    pub zoom: Arc<dyn Zoom>,
}

/// What may be created and changed of meetings of one host in a UTC day, before Zoom refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostWrites {
    /// Zoom's limit, which all apps of the account use up.
    pub per_day: u32,
    /// What of it rules leave to people.
    pub reserve: u32,
    /// For whom a change of a meeting counts, which Zoom does not document.
    pub changes: ChangesCount,
}

/// For whom Zoom counts a change of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangesCount {
    /// For both, to be on the safe side.
    #[default]
    Both,
    Host,
    /// The user in whose path it was made.
    Path,
}

/// What may be done to give a meeting another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Moves {
    /// Whether a privilege that is missing may be lent for a move.
    pub lend: bool,
    /// For longer, whatever fails, it is not lent.
    pub lend_max: Duration,
    /// Whether a person is told of a host of upcoming meetings who can host no more.
    pub watch_hosts: bool,
}

impl Default for Moves {
    fn default() -> Self {
        Self { lend: false, lend_max: Duration::from_secs(300), watch_hosts: true }
    }
}

impl Default for HostWrites {
    fn default() -> Self {
        Self { per_day: 100, reserve: 20, changes: ChangesCount::Both }
    }
}

impl HostWrites {
    /// What rules may use.
    pub const fn for_rules(self) -> u32 {
        self.per_day.saturating_sub(self.reserve)
    }

    /// What a rule's change of a meeting uses up: once for a job, and the reserve is left. Where Zoom names no path user it is
    /// the host's alone.
    pub fn of_rule(self, meeting: &Meeting) -> Vec<DayUse> {
        let max_per_day = self.for_rules();
        let all = self.of_change(meeting.host_id.as_ref(), meeting.assistant_id.as_ref(), meeting.id);
        all.into_iter().map(|day| DayUse { max_per_day, counts: Counts::Job, ..day }).collect()
    }

    /// What one change of a meeting uses up that somebody asks for.
    pub fn of_change(self, host: Option<&UserId>, path: Option<&UserId>, meeting: MeetingId) -> Vec<DayUse> {
        let (host, path) = match self.changes {
            ChangesCount::Both => (host, path.filter(|path| Some(*path) != host)),
            ChangesCount::Host => (host, None),
            ChangesCount::Path => (None, path.or(host)),
        };
        let users = [host, path].into_iter().flatten().cloned().map(DayOf::Host);
        let all = users.chain([DayOf::Meeting(meeting)]);
        all.map(|of| DayUse { of, max_per_day: self.per_day, counts: Counts::Each }).collect()
    }
}

/// Where an intent is asked for: on behalf of the one job that runs.
#[async_trait::async_trait]
pub trait Guard: fmt::Debug + Send + Sync {
    async fn intend(&self, change: Change) -> Result<Allowance, StoreError>;

    /// Zoom says that the UTC day of `at` is used up for this.
    async fn day_spent(&self, of: &DayOf, at: Timestamp) -> Result<(), StoreError>;

    /// How the rule's condition looked, for the record of what came of the attempt.
    async fn saw(&self, saw: Vec<Saw>);
}

/// Runs one attempt at an onboarding in an account with these rules. An error is that of the store, as of [`run`].
pub async fn onboard(
    job: &Job,
    rules: &[Rule],
    account: &Account,
    zoom: &dyn Zoom,
    guard: &dyn Guard,
    ctx: &Ctx,
) -> Result<Outcome, StoreError> {
    onboard::run(job, rules, account, zoom, guard, ctx).await
}

/// Runs one attempt at an errand in an account with these rules. An error is that of the store, as of [`run`].
pub async fn errand(
    job: &Job,
    rules: &[Rule],
    account: &Account,
    zoom: &dyn Zoom,
    guard: &dyn Guard,
    ctx: &Ctx,
) -> Result<Outcome, StoreError> {
    errand::run(job, rules, account, zoom, guard, ctx).await
}

/// Runs one look at a host who may host no more. An error is that of the store, as of [`run`].
pub async fn lost_host(job: &Job, account: &Account, zoom: &dyn Zoom, ctx: &Ctx) -> Result<Outcome, StoreError> {
    lost::run(job, account, zoom, ctx).await
}

/// Runs one attempt at `job`, whose rule is `rule`, one of `rules`. An error means that the store did not take an intent, so
/// that nothing was changed for it.
pub async fn run(
    job: &Job,
    (rule, rules): (&Rule, &[Rule]),
    account: &Account,
    zoom: &dyn Zoom,
    guard: &dyn Guard,
    ctx: &Ctx,
) -> Result<Outcome, StoreError> {
    if rule.send.is_none()
        && let Some(how) = rule.on.as_ref().and_then(|on| on.fold)
    {
        return Ok(Outcome::Done(match fold(&*ctx.store, job, how).await? {
            Folded::Record(record) => Effect::Reported { what: record.in_words() },
            Folded::Nothing(why) => Effect::NotApplicable { why: why.to_owned() },
        }));
    }
    let hand = match rule.mode {
        Mode::Observe => Hand::Observe,
        Mode::Enforce => Hand::Enforce(guard),
    };
    let asks_zoom = rule.send.is_none() || rule.looks_further() || rule.orphaned().is_some();
    if asks_zoom && let Some(outcome) = known(job, rule, ctx).await? {
        return Ok(outcome);
    }
    let task = Task { job, rule, rules, account, zoom, hand, ctx };
    let mut saw = Vec::new();
    let ended = match &rule.send {
        Some(to) => send::send(&task, to, &mut saw).await,
        None => ensure::ensure(&task, &mut saw).await.map(Outcome::Done),
    };
    guard.saw(saw).await;
    if !matches!(&ended, Err(End::NextHour { .. })) {
        ctx.facts.not_put_off(job);
    }
    if let Err(End::Outcome(Outcome::Park(cause @ ParkCause::ScopesMissing { .. }))) = &ended {
        ctx.facts.lacks_scopes(job, cause, ctx.clock.now());
    }
    if let Err(End::NextHour { at, notice }) = &ended {
        ctx.facts.put_off(job, *at, notice);
    }
    ended.map_or_else(End::outcome, Ok)
}

/// What the attempt would come to, where that is known without asking Zoom: what stops a rule in an account stops thousands
/// of jobs alike, and none of them need spend calls on it.
async fn known(job: &Job, rule: &Rule, ctx: &Ctx) -> Result<Option<Outcome>, StoreError> {
    let now = ctx.clock.now();
    if let Some(cause) = ctx.facts.is_without_scopes(job, now) {
        return Ok(Some(Outcome::Park(cause)));
    }
    // What was planned carries its own allowance.
    if rule.mode == Mode::Observe || job.planned.is_some_and(|planned| now <= planned.until) {
        return Ok(None);
    }
    if ctx.store.is_stopped(&job.account, &job.rule).await? {
        return Ok(Some(Outcome::Park(over_share(rule))));
    }
    let put_off = ctx.facts.is_put_off(job, now);
    Ok(put_off.map(|(at, why)| Outcome::Snooze(Snooze::NextBudget { at, why })))
}

fn over_share(rule: &Rule) -> ParkCause {
    ParkCause::OverShare { rule: rule.name.to_string() }
}

/// Whether a task may change something.
#[derive(Debug, Clone, Copy)]
enum Hand<'a> {
    Observe,
    Enforce(&'a dyn Guard),
}

/// One attempt.
#[derive(Debug)]
struct Task<'a> {
    job: &'a Job,
    rule: &'a Rule,
    /// All that are in the configuration.
    rules: &'a [Rule],
    account: &'a Account,
    zoom: &'a dyn Zoom,
    hand: Hand<'a>,
    ctx: &'a Ctx,
}

impl Task<'_> {
    fn failed(&self, error: ZoomError) -> End {
        failed(self.job, self.ctx.clock.now(), error)
    }

    /// Zoom confirmed it, and reading it back does not show it.
    fn not_effective(&self, detail: String) -> End {
        if self.job.attempts < INEFFECTIVE_ATTEMPTS {
            End::retry(format!("Zoom confirmed it, but it cannot be read back: {detail}"))
        } else {
            End::park(ParkCause::NotEffective { detail })
        }
    }

    /// Puts the intent on disk, or ends the attempt where the rule's limits do not allow it now. One for all that differs:
    /// to the rule's limits, a subject is one change.
    async fn intend(
        &self,
        guard: &dyn Guard,
        differences: &[Difference],
        is_planned: bool,
        days: Vec<DayUse>,
    ) -> Ended<Intent> {
        let takes_away = differences.iter().any(|one| one.takes_away);
        let max_per_day = if is_planned { None } else { self.changes_per_day_max(takes_away).await? };
        let max_per_hour = self.rule.max_changes_per_hour;
        let (what, marks) = (in_words(differences), differences.iter().map(contest::mark).collect());
        let change = Change { what, max_per_hour, max_per_day, is_planned, marks, days };
        match guard.intend(change).await? {
            Allowance::Granted(intent) => Ok(intent),
            Allowance::NextHour { at, notice } => Err(End::NextHour { at, notice }),
            Allowance::NextDay { at, notice, .. } => {
                Err(End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why: notice })))
            }
            Allowance::OverShare => Err(End::park(over_share(self.rule))),
            Allowance::Contested { marks, askers } => Err(self.contested(differences, &marks, &askers).await?),
        }
    }

    /// The rule's share of the account in changes; none where the account is small, and none for meetings: a number of
    /// users says nothing about how many of those there are. Nor for what a sweep asked for: see [`Store::intend`]; but
    /// what takes something away counts, whoever asked.
    async fn changes_per_day_max(&self, takes_away: bool) -> Ended<Option<u32>> {
        let is_by_name = self.rule.name.is_onboard();
        if self.rule.subject != SubjectKind::User || is_by_name || (self.job.is_of_sweep() && !takes_away) {
            return Ok(None);
        }
        let now = self.ctx.clock.now();
        let users = self.ctx.facts.active_users(&self.account.id, self.zoom, now).await;
        let users = users.map_err(|error| self.failed(error))?;
        if users < SHARE_FROM_USERS {
            return Ok(None);
        }
        let share = users.saturating_mul(u64::from(self.rule.max_changes_percent)) / 100;
        Ok(Some(u32::try_from(share.max(1)).unwrap_or(u32::MAX)))
    }

    /// A rule that changed this of the subject to something else, not long ago, and that still would.
    fn opponent(&self, about: &str, wanted: &Value, now: Timestamp) -> Option<&Rule> {
        let (name, was) = self.ctx.facts.undone(self.job, about, wanted, now)?;
        let is_in_force = |rule: &&Rule| rule.name == name && rule.mode == Mode::Enforce && rule.fingerprint() == was;
        self.rules.iter().find(is_in_force)
    }

    /// One of the account's API users, as Zoom knows it. Where it cannot be granted, somebody is told, once until it
    /// can be again.
    async fn api_user(&self, key: &UserKey) -> Ended<ApiUser> {
        let (facts, now) = (&self.ctx.facts, self.ctx.clock.now());
        let found = facts.api_user(&self.account.id, key, self.zoom, now).await;
        let found = found.map_err(|error| self.failed(error))?;
        if let Some(why) = &found.unusable
            // Who serves the account has told it, and looks at it again by itself.
            && !self.account.only_observes
            && facts.set_reported(&self.account.id, key)
        {
            let note = api_user_gone(self.account, key, found.id.as_ref(), why);
            let told = self.ctx.store.note(note, now).await;
            told.inspect_err(|_| facts.not_reported(&self.account.id, key))?;
        }
        Ok(found)
    }
}

/// The attention entry about an API user that cannot be granted any more.
pub(crate) fn api_user_gone(account: &Account, key: &UserKey, id: Option<&UserId>, why: &str) -> Note {
    let subject = id.map_or_else(|| format!("user:{key}"), |id| format!("user:{id} {key}"));
    let note = if account.api_users.contains(key) {
        format!("API user {key} cannot be anyone's assistant: {why}; work for the account parks until it can")
    } else {
        format!(
            "{key}, whom a rule names, cannot be an assistant or alternative host: {why}; work for that parks until it can"
        )
    };
    Note {
        kind: Kind::Attention,
        app: Some(account.app.clone()),
        account: Some(account.id.clone()),
        code: "api-user-gone".to_owned(),
        detail: Detail { subject: Some(subject), note, ..Detail::default() },
    }
}

#[cfg(test)]
mod tests;
