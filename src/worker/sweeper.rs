//! Sweeps: an account's users are listed and compared with what the rules want, and who differs gets a job. What a webhook
//! missed, a sweep finds.
//!
//! Events narrow, sweeps widen: both end in the same jobs, which read Zoom before they write, so a sweep can be mistaken
//! about a user and do no harm. A sweep goes page by page, and each page is one write with the jobs that it asks for, so a
//! restart goes on where it was.
//!
//! Deliberately writes nothing at Zoom, and asks nothing about single users: that is the jobs'.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::lists::{Listable, Lists, is_listable};
use super::schedule::Schedule;
use super::{Parts, Roster};
use crate::account::Account;
use crate::audit::Call;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, JobId, RuleName};
use crate::job::JobState;
use crate::rules::{Mode, Step};
use crate::store::{StoreError, SweepCause, SweepRecord, SweepRun, SweepState, SweepStep, Swept};
use crate::zoom::{Page, Status, User, Zoom, ZoomError};

/// Users in a page, the most that Zoom is sure to give.
const PAGE_USERS: u32 = 300;
/// Jobs of a page that may be left when the next is read: a user whose row is old has to be read again, and rows that wait
/// are held in memory.
const AHEAD_JOBS: usize = 100;
const AHEAD_LOOK: Duration = Duration::from_secs(1);
/// The token of the next page lives 15 minutes.
const AHEAD_MAX: Duration = Duration::from_secs(300);
/// After something that heals by itself.
const RETRY: Duration = Duration::from_secs(60);
/// The shortest wait for a rate limit, so that one that is over already does not spin.
const LIMITED_MIN: Duration = Duration::from_millis(250);
/// How long to sleep at most: accounts and rules may have changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// `[sweep]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweepSettings {
    pub schedule: Schedule,
    /// Each account's sweeps begin up to so long after the moments of the schedule, so that not all begin at once.
    pub jitter: Duration,
    /// Of accounts that have a schedule of their own.
    pub accounts: HashMap<AccountId, Schedule>,
}

impl SweepSettings {
    pub(super) fn schedule_of(&self, account: &AccountId) -> &Schedule {
        self.accounts.get(account).unwrap_or(&self.schedule)
    }
}

#[derive(Debug)]
pub struct Sweeper {
    pub(super) parts: Parts,
    settings: SweepSettings,
    accounts: Mutex<HashMap<AccountId, Known>>,
    /// Somebody asked: the next look is now.
    asked: Notify,
    since: Timestamp,
}

/// What is in memory of an account: worth nothing after a restart.
#[derive(Debug, Default, Clone)]
pub(super) struct Known {
    /// After the moments of the schedule.
    offset: Option<Duration>,
    /// The last one that was tried, whether it ended or not.
    tried: Option<Timestamp>,
    not_before: Timestamp,
    asked: Option<Order>,
    /// What was listed, while a sweep runs.
    pub(super) lists: Lists,
    /// The next page waits for this job of the last one to begin, and at most so long.
    ahead: Option<(JobId, Timestamp)>,
}

/// The sweep that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    /// Over one rule; none for all.
    pub rule: Option<RuleName>,
    /// It says what it finds, and asks for no work.
    pub is_dry: bool,
}

/// Where an account's sweeps stand.
#[derive(Debug, Clone)]
pub struct Standing {
    pub state: SweepState,
    /// Somebody wants one, and it did not begin yet.
    pub is_asked: bool,
    /// When the next is due by what is known now, and why; none where no rule is about users.
    pub next: Option<(Timestamp, SweepCause)>,
    /// From then on the last whole one is older than two intervals of the schedule; none where no rule is about users.
    pub stale_at: Option<Timestamp>,
}

/// Why a page came to nothing.
pub(super) enum Fault {
    Zoom(ZoomError),
    Store(StoreError),
}

impl From<ZoomError> for Fault {
    fn from(error: ZoomError) -> Self {
        Self::Zoom(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Sweeper {
    pub fn new(parts: Parts, settings: SweepSettings) -> Self {
        let since = parts.clock.now();
        Self { parts, settings, accounts: Mutex::default(), asked: Notify::new(), since }
    }

    /// Sweeps by the schedule until `shutdown`. An error means that the store can take nothing more.
    pub async fn run(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        loop {
            let next = match self.step_all().await {
                Ok(next) => next,
                Err(StoreError::Full | StoreError::Behind(_)) => self.parts.clock.now().plus(RETRY),
                Err(StoreError::Closed) if shutdown.is_cancelled() => return Ok(()),
                Err(error) => return Err(error),
            };
            let next = next.min(self.parts.clock.now().plus(LOOK_EVERY));
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.asked.notified() => {}
                () = self.parts.clock.sleep_until(next) => {}
            }
        }
    }

    /// Somebody wants a sweep of the account now. False where one runs, or is asked for already: there are never two.
    pub async fn ask(&self, account: &AccountId, order: Order) -> Result<bool, StoreError> {
        if self.parts.store.sweep_state(account).await?.run.is_some() {
            return Ok(false);
        }
        let is_first = self.with(account, |known| {
            let is_first = known.asked.is_none();
            known.asked.get_or_insert(order);
            known.not_before = Timestamp::EPOCH;
            is_first
        });
        self.asked.notify_one();
        Ok(is_first)
    }

    /// The accounts of now.
    pub fn accounts(&self) -> Vec<Account> {
        self.parts.roster.borrow().accounts().cloned().collect()
    }

    pub async fn standing(&self, account: &Account) -> Result<Standing, StoreError> {
        let (roster, now) = (Arc::clone(&self.parts.roster.borrow()), self.parts.clock.now());
        let state = self.parts.store.sweep_state(&account.id).await?;
        let known = self.with(&account.id, |known| known.clone());
        if !is_swept(&roster) {
            return Ok(Standing { state, is_asked: known.asked.is_some(), next: None, stale_at: None });
        }
        let (at, why, _) = self.due(account, &roster, &state, now);
        let next = Some((at.max(known.not_before), why));
        let (schedule, offset) = (self.settings.schedule_of(&account.id), known.offset.unwrap_or_default());
        let fresh = state.whole.map_or(self.since, |(ended, _)| ended);
        let stale_at = Some(schedule.next(schedule.next(fresh, offset), offset));
        Ok(Standing { state, is_asked: known.asked.is_some(), next, stale_at })
    }

    /// Why no sweep can look at the rule, or at any, if none can.
    pub fn is_not_swept(&self, rule: Option<&RuleName>) -> Option<String> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let Some(rule) = rule else {
            return (!is_swept(&roster))
                .then(|| "no rule wants what lists say: assistants, groups or licences of users".to_owned());
        };
        match roster.rule(rule) {
            None => Some(format!("there is no rule {rule}")),
            Some(rule) if !is_listable(rule) => Some(format!(
                "rule {} wants nothing that lists say: assistants, groups or licences of users",
                rule.name
            )),
            Some(_) => None,
        }
    }

    /// Goes on until nothing is due now. For tools and tests.
    pub async fn run_due(&self) -> Result<(), StoreError> {
        while self.step_all().await? <= self.parts.clock.now() {}
        Ok(())
    }

    /// One step for each account; when there is more to do.
    pub async fn step_all(&self) -> Result<Timestamp, StoreError> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let mut next = Timestamp::MAX;
        for account in roster.accounts() {
            next = next.min(self.step(account, &roster).await?);
        }
        Ok(next)
    }

    pub(super) fn with<T>(&self, account: &AccountId, look: impl FnOnce(&mut Known) -> T) -> T {
        look(lock(&self.accounts).entry(account.clone()).or_default())
    }

    async fn step(&self, account: &Account, roster: &Roster) -> Result<Timestamp, StoreError> {
        let now = self.parts.clock.now();
        let not_before = self.with(&account.id, |known| known.not_before);
        if not_before > now || !is_swept(roster) {
            return Ok(not_before.max(now.plus(LOOK_EVERY)));
        }
        let state = self.parts.store.sweep_state(&account.id).await?;
        let Some(run) = &state.run else {
            let (at, why, Order { rule, is_dry }) = self.due(account, roster, &state, now);
            if at > now {
                return Ok(at);
            }
            self.parts.facts.begin_sweep(&account.id, why != SweepCause::Schedule);
            self.record(account, SweepStep::Begin { why, rule, is_dry }, Vec::new()).await?;
            self.with(&account.id, |known| {
                (known.asked, known.lists, known.ahead) = (None, Lists::default(), None);
                known.tried = if is_dry { known.tried } else { Some(now) };
            });
            return Ok(now);
        };
        if self.is_ahead(account, now).await? {
            return Ok(now.plus(AHEAD_LOOK));
        }
        let Some(zoom) = self.parts.zooms.sweeping(&account.id) else { return Ok(now.plus(LOOK_EVERY)) };
        match self.page(account, roster, run, &*zoom).await {
            Ok(()) => Ok(now),
            Err(Fault::Store(error)) => Err(error),
            Err(Fault::Zoom(error)) => self.failed(account, run, error, zoom.calls()).await,
        }
    }

    /// Whether so many jobs of the last page are left that the next one is not read yet.
    async fn is_ahead(&self, account: &Account, now: Timestamp) -> Result<bool, StoreError> {
        let Some((job, _)) = self.with(&account.id, |known| known.ahead).filter(|(_, until)| now < *until) else {
            return Ok(false);
        };
        let job = self.parts.store.job(job).await?;
        Ok(job.is_some_and(|job| job.attempts == 0 && matches!(job.state, JobState::Due { at, .. } if at <= now)))
    }

    /// When the next sweep is due, why, and which.
    fn due(
        &self,
        account: &Account,
        roster: &Roster,
        state: &SweepState,
        now: Timestamp,
    ) -> (Timestamp, SweepCause, Order) {
        let known = self.with(&account.id, |known| {
            known.offset.get_or_insert_with(|| self.settings.jitter.mul_f64(self.parts.chance.unit()));
            known.clone()
        });
        let offset = known.offset.unwrap_or_default();
        if let Some(order) = known.asked {
            return (now, SweepCause::Person, order);
        }
        let began = state.last.as_ref().filter(|last| last.rule.is_none()).map(|last| last.started_at);
        let began = began.or(state.whole.map(|(ended, _)| ended)).max(known.tried);
        // One that failed is tried again by the schedule, whatever the rules are.
        let is_new = |(_, with): (Timestamp, [u8; 16])| with != compared_with(account, roster);
        let Some(began) = began else { return (now, SweepCause::Outage, Order::default()) };
        if known.tried.is_none_or(|tried| state.whole.is_some_and(|(ended, _)| ended >= tried))
            && state.whole.is_some_and(is_new)
        {
            return (now, SweepCause::NewRules, Order::default());
        }
        let schedule = self.settings.schedule_of(&account.id);
        let next = schedule.next(began, offset);
        let missed = schedule.next(next, offset) <= now;
        (next, if missed { SweepCause::Outage } else { SweepCause::Schedule }, Order::default())
    }

    async fn record(&self, account: &Account, step: SweepStep, calls: Vec<Call>) -> Result<Swept, StoreError> {
        let (app, account) = (account.app.clone(), account.id.clone());
        self.parts.store.record_sweep(SweepRecord { app, account, step, calls }, self.parts.clock.now()).await
    }

    /// Compares one page, and ends the sweep after the last.
    async fn page(&self, account: &Account, roster: &Roster, run: &SweepRun, zoom: &dyn Zoom) -> Result<(), Fault> {
        let wanted = self.wanted(account, roster, run).await?;
        let lists = self.lists(account, &wanted, zoom, self.parts.clock.now()).await?;
        let seen_at = self.parts.clock.now();
        // Only they can be given what the rules want: whoever waits to become one of them is found when they have.
        let page = zoom.users(Status::Active, Page { size: PAGE_USERS, token: run.next.clone() }).await?;
        let mut around = self.parts.facts.around(account, seen_at);
        let (mut steps, mut differing) = (Vec::new(), Vec::new());
        for user in &page.users {
            for listable in &wanted {
                if let Some(step) = self.compare(&mut around, listable, user, &lists, zoom).await? {
                    steps.push(step);
                    differing.push(user);
                }
            }
        }
        let (users, total) = (u64::try_from(page.users.len()).unwrap_or(u64::MAX), page.total);
        let next = page.next.clone();
        let subjects: Vec<_> = steps.iter().zip(differing).map(|(step, user)| (step.clone(), user.clone())).collect();
        let step = SweepStep::Page { users, total, steps, next: page.next, seen_at };
        let swept = self.record(account, step, zoom.calls()).await?;
        let ahead = swept.made.iter().rev().nth(AHEAD_JOBS).map(|job| (*job, seen_at.plus(AHEAD_MAX)));
        self.with(&account.id, |known| known.ahead = ahead);
        self.hand_over(account, &swept, &subjects, seen_at).await?;
        if next.is_none() {
            self.with(&account.id, |known| known.lists = Lists::default());
            self.record(account, SweepStep::End { with: compared_with(account, roster) }, Vec::new()).await?;
        }
        Ok(())
    }

    /// A job that was made need not read again what the page has just said of its user.
    async fn hand_over(
        &self,
        account: &Account,
        swept: &Swept,
        differing: &[(Step, User)],
        seen_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut left = differing.iter();
        for id in &swept.made {
            let Some(job) = self.parts.store.job(*id).await? else { continue };
            let is_its = |(step, _): &&(Step, User)| match step {
                Step::Ensure { rule, subject } => job.rule == *rule && job.subject == *subject,
                Step::Wake { .. } | Step::Cancel { .. } => false,
            };
            if let Some((_, user)) = left.find(is_its) {
                self.parts.facts.listed(&account.id, *id, user.clone(), seen_at);
            }
        }
        Ok(())
    }

    /// The rules that this sweep looks at. One that is stopped would only park what it is asked for.
    async fn wanted<'r>(
        &self,
        account: &Account,
        roster: &'r Roster,
        run: &SweepRun,
    ) -> Result<Vec<Listable<'r>>, StoreError> {
        let mut wanted = Vec::new();
        for rule in roster.rules() {
            let asked = run.rule.as_ref().is_none_or(|only| *only == rule.name);
            if asked
                && let Some(listable) = Listable::of(rule)
                && (rule.mode == Mode::Observe || !self.parts.store.is_stopped(&account.id, &rule.name).await?)
            {
                wanted.push(listable);
            }
        }
        Ok(wanted)
    }

    /// When to go on after an error of Zoom's.
    async fn failed(
        &self,
        account: &Account,
        run: &SweepRun,
        error: ZoomError,
        calls: Vec<Call>,
    ) -> Result<Timestamp, StoreError> {
        let now = self.parts.clock.now();
        let (step, next) = match error {
            ZoomError::Limited { until, .. } => (SweepStep::Called, until.max(now.plus(LIMITED_MIN))),
            ZoomError::Transient(_) | ZoomError::Unreadable(_) => (SweepStep::Called, now.plus(RETRY)),
            // The token of a page lives 15 minutes.
            ZoomError::Refused { .. } if run.next.is_some() => (SweepStep::Again, now),
            error => (SweepStep::GiveUp { why: error.to_string() }, now.plus(RETRY)),
        };
        self.with(&account.id, |known| known.not_before = next);
        self.record(account, step, calls).await?;
        Ok(next)
    }
}

/// Whether any rule is about what a sweep lists.
fn is_swept(roster: &Roster) -> bool {
    roster.rules().iter().any(is_listable)
}

/// A hash of what the account's users are compared with.
fn compared_with(account: &Account, roster: &Roster) -> [u8; 16] {
    let text = format!("{:?} {:?} {:?}", account.api_users, account.may_grant, roster.rules());
    let hash: [u8; 32] = Sha256::digest(text).into();
    hash.first_chunk().copied().unwrap_or_default()
}
