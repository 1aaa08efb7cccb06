//! Sweeps: an account's users are listed and compared with what the rules want, and who differs gets a job. What a webhook
//! missed, a sweep finds.
//!
//! Events narrow, sweeps widen: both end in the same jobs, which read Zoom before they write, so a sweep can be mistaken
//! about a user and do no harm. A sweep goes page by page, and each page is one write with the jobs that it asks for, so a
//! restart goes on where it was.
//!
//! Deliberately writes nothing at Zoom, and asks nothing about single users: that is the jobs'.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::agenda::Agenda;
use super::due::{Due, SweepSettings, compared_with};
use super::lists::Lists;
use super::runner::caught;
use super::walk::Walk;
use super::{Parts, Roster};
use crate::account::{Account, UserKey};
use crate::audit::Call;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, JobId, MeetingId, RuleName};
use crate::store::{StoreError, SweepCause, SweepKind, SweepRecord, SweepRun, SweepStep, Swept};
use crate::zoom::ZoomError;

/// After something that heals by itself.
const RETRY: Duration = Duration::from_secs(60);
/// The shortest wait for a rate limit, so that one that is over already does not spin.
const LIMITED_MIN: Duration = Duration::from_millis(250);
/// How long to sleep at most: accounts and rules may have changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Accounts that are swept at once.
const AT_ONCE: usize = 32;
/// How often one sweep may begin anew because a page was refused: a token that is over explains one or two.
const AGAIN_MAX: u8 = 2;

#[derive(Debug)]
pub struct Sweeper {
    pub(super) parts: Parts,
    pub(super) settings: SweepSettings,
    accounts: Mutex<HashMap<AccountId, Known>>,
    /// Somebody asked: the next look at these accounts is now.
    wanted: Mutex<HashSet<AccountId>>,
    asked: Notify,
    pub(super) since: Timestamp,
}

/// What is in memory of an account: worth nothing after a restart.
#[derive(Debug, Default, Clone)]
pub(super) struct Known {
    /// After the moments of the schedule.
    pub(super) offset: Option<Duration>,
    /// The last one of each kind over all of its rules that was tried, whether it ended or not.
    pub(super) tried: HashMap<SweepKind, Timestamp>,
    pub(super) not_before: Timestamp,
    pub(super) asked: Option<Order>,
    /// What was listed, while a sweep runs.
    pub(super) lists: Lists,
    /// The meetings of hosts of the page that is under way.
    pub(super) hosted: HashMap<UserKey, Vec<MeetingId>>,
    /// The newest jobs of the pages so far: the next page waits for the oldest of them to begin.
    pub(super) ahead: VecDeque<JobId>,
    /// And at most so long.
    pub(super) ahead_until: Timestamp,
    /// How far the users were read since the first page.
    pub(super) walk: Walk,
    /// How often the sweep that runs began anew.
    again: u8,
    /// A hash of what the sweep that runs compares with, since its first page; none where a restart came between.
    pub(super) compares_with: Option<[u8; 16]>,
    /// Rules that the sweep that runs leaves out, each with the subject of the notice that says why.
    pub(super) left_out: Vec<(RuleName, String)>,
}

impl Known {
    /// The users are read from the first page, with new lists.
    fn begin_anew(&mut self) {
        (self.walk, self.lists) = (Walk::default(), Lists::default());
        (self.hosted, self.ahead, self.left_out) = (HashMap::new(), VecDeque::new(), Vec::new());
    }
}

/// The sweep that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    /// Over one rule; none for all.
    pub rule: Option<RuleName>,
    /// It says what it finds, and asks for no work.
    pub is_dry: bool,
}

/// When to go on with an account.
type Stepped = (Result<Timestamp, StoreError>, AccountId);

/// Why a page came to nothing.
pub(super) enum Fault {
    Zoom(ZoomError),
    /// Zoom's pages lead nowhere.
    Endless(ZoomError),
    /// Zoom refuses a list that only some rules need.
    List(String, ZoomError),
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
        Self { parts, settings, accounts: Mutex::default(), wanted: Mutex::default(), asked: Notify::new(), since }
    }

    /// Sweeps by the schedule until `shutdown`. A page that is under way then is dropped: it is read again after the next
    /// start. An error means that the store can take nothing more.
    pub async fn run(self: &Arc<Self>, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let mut under_way = JoinSet::new();
        let failed = shutdown.run_until_cancelled(self.go_on(&mut under_way)).await;
        under_way.shutdown().await;
        failed.map_or(Ok(()), Err)
    }

    /// Takes a step for each account when that is due, of several at once: one that has to wait for Zoom holds up no other.
    async fn go_on(self: &Arc<Self>, under_way: &mut JoinSet<Stepped>) -> StoreError {
        let mut agenda = Agenda::default();
        let (clock, mut rosters) = (&self.parts.clock, self.parts.roster.clone());
        let mut roster = Arc::clone(&rosters.borrow_and_update());
        agenda.meet(roster.accounts().map(|account| &account.id));
        loop {
            let now = clock.now();
            while under_way.len() < AT_ONCE {
                let Some(account) = agenda.take(now) else { break };
                // One that is not served any more is not looked at again.
                let Some(account) = roster.by_id(&account).cloned() else { continue };
                let (sweeper, roster) = (Arc::clone(self), Arc::clone(&roster));
                under_way.spawn(async move { (sweeper.step(&account, &roster).await, account.id) });
            }
            // Where as many as may are under way, the first that ends makes room.
            let ahead = agenda.next().filter(|_| under_way.len() < AT_ONCE).unwrap_or(Timestamp::MAX);
            let wake = ahead.min(now.plus(LOOK_EVERY));
            tokio::select! {
                Some(stepped) = under_way.join_next() => match stepped {
                    Ok((stepped, account)) => {
                        let at = match stepped {
                            Ok(at) => at,
                            Err(StoreError::Full | StoreError::Behind(_)) => clock.now().plus(RETRY),
                            // The account was let go while its page was read.
                            Err(StoreError::Conflict(why)) => {
                                tracing::info!(%account, "a step of a sweep came to nothing: {why}");
                                clock.now().plus(RETRY)
                            }
                            Err(error) => return error,
                        };
                        agenda.put(account, at.min(clock.now().plus(LOOK_EVERY)));
                    }
                    // Pages are guarded: it is around them.
                    Err(error) => if let Ok(panic) = error.try_into_panic() { resume_unwind(panic) },
                },
                () = self.asked.notified() => {
                    for account in mem::take(&mut *lock(&self.wanted)) {
                        agenda.hurry(account);
                    }
                }
                // An error means that there are no more.
                Ok(()) = rosters.changed() => {
                    roster = Arc::clone(&rosters.borrow_and_update());
                    agenda.meet(roster.accounts().map(|account| &account.id));
                    lock(&self.accounts).retain(|account, _| roster.by_id(account).is_some());
                }
                () = clock.sleep_until(wake) => {}
            }
        }
    }

    /// Somebody wants a sweep of the account now. False where one runs, or is asked for already: there are never two.
    pub async fn ask(&self, account: &AccountId, order: Order) -> Result<bool, StoreError> {
        if self.parts.store.sweep_state(account).await?.run.is_some() {
            // It may be waiting for something that is over by now.
            self.with(account, |known| known.not_before = Timestamp::EPOCH);
            self.look_now(account);
            return Ok(false);
        }
        let is_first = self.with(account, |known| {
            let is_first = known.asked.is_none();
            known.asked.get_or_insert(order);
            known.not_before = Timestamp::EPOCH;
            is_first
        });
        self.look_now(account);
        Ok(is_first)
    }

    fn look_now(&self, account: &AccountId) {
        lock(&self.wanted).insert(account.clone());
        self.asked.notify_one();
    }

    /// What is remembered of an account's API users does not count any more.
    pub fn look_anew_at_api_users(&self, account: &AccountId) {
        let roster = Arc::clone(&self.parts.roster.borrow());
        for key in roster.by_id(account).iter().flat_map(|account| &account.api_users) {
            self.parts.facts.forget_api_user(account, key);
        }
    }

    /// The accounts of now.
    pub fn accounts(&self) -> Vec<Account> {
        self.parts.roster.borrow().accounts().cloned().collect()
    }

    /// One of them.
    pub fn account(&self, id: &AccountId) -> Option<Account> {
        self.parts.roster.borrow().by_id(id).cloned()
    }

    /// Goes on until nothing is due now. For tools and tests.
    pub async fn run_due(&self) -> Result<(), StoreError> {
        while self.step_all().await? <= self.parts.clock.now() {}
        Ok(())
    }

    /// One step for each account; when there is more to do. For tools and tests.
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
        if not_before > now || roster.rules().is_empty() || roster.paused().contains(&account.id) {
            return Ok(not_before.max(now.plus(LOOK_EVERY)));
        }
        let state = self.parts.store.sweep_state(&account.id).await?;
        let Some(run) = &state.run else {
            let Some(Due { at, kind, why, order: Order { rule, is_dry } }) = self.due(account, roster, &state, now)
            else {
                return Ok(now.plus(LOOK_EVERY));
            };
            if at > now {
                return Ok(at);
            }
            self.parts.facts.begin_sweep(&account.id, why != SweepCause::Schedule, now);
            let is_whole = rule.is_none() && !is_dry;
            self.record(account, SweepStep::Begin { kind, why, rule, is_dry }, Vec::new()).await?;
            self.with(&account.id, |known| {
                known.asked = None;
                (known.again, known.compares_with) = (0, Some(compared_with(kind, account, roster)));
                known.begin_anew();
                if is_whole {
                    known.tried.insert(kind, now);
                }
            });
            return Ok(now);
        };
        if self.is_ahead(account, now).await? {
            return Ok(now.plus(super::pages::AHEAD_LOOK));
        }
        let with = compared_with(run.kind, account, roster);
        if self.with(&account.id, |known| known.compares_with.is_some_and(|began_with| began_with != with)) {
            // The rules, or the API users, are others now: also those of the first pages are to be compared with them.
            self.record(account, SweepStep::Again, Vec::new()).await?;
            self.with(&account.id, |known| {
                known.compares_with = Some(with);
                known.begin_anew();
            });
            return Ok(now);
        }
        let Some(zoom) = self.parts.zooms.sweeping(&account.id) else { return Ok(now.plus(LOOK_EVERY)) };
        match caught(self.page(account, roster, run, &*zoom)).await {
            Ok(Ok(())) => Ok(now),
            Ok(Err(Fault::Store(error))) => Err(error),
            Ok(Err(Fault::Zoom(error))) => self.failed(account, run, error, zoom.calls()).await,
            // Rules that need a list are left out before: this would be a defect.
            Ok(Err(Fault::Endless(error) | Fault::List(_, error))) => {
                self.give_up(account, error.to_string(), zoom.calls()).await
            }
            Err(message) => {
                tracing::error!(account = %account.id, "a page of a sweep panicked; the sweep is given up");
                self.parts.stats.count("panicked");
                let why = format!("a defect in adjutant: comparing a page panicked: {message}");
                self.give_up(account, why, zoom.calls()).await
            }
        }
    }

    pub(super) async fn record(
        &self,
        account: &Account,
        step: SweepStep,
        calls: Vec<Call>,
    ) -> Result<Swept, StoreError> {
        let (app, account) = (account.app.clone(), account.id.clone());
        self.parts.store.record_sweep(SweepRecord { app, account, step, calls }, self.parts.clock.now()).await
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
            ZoomError::Refused { .. } if run.next.is_some() && self.may_begin_anew(account) => (SweepStep::Again, now),
            error => return self.give_up(account, error.to_string(), calls).await,
        };
        self.with(&account.id, |known| known.not_before = next);
        self.record(account, step, calls).await?;
        Ok(next)
    }

    async fn give_up(&self, account: &Account, why: String, calls: Vec<Call>) -> Result<Timestamp, StoreError> {
        let next = self.parts.clock.now().plus(RETRY);
        self.with(&account.id, |known| known.not_before = next);
        self.record(account, SweepStep::GiveUp { why }, calls).await?;
        Ok(next)
    }

    fn may_begin_anew(&self, account: &Account) -> bool {
        self.with(&account.id, |known| {
            (known.walk, known.again) = (Walk::default(), known.again.saturating_add(1));
            known.again <= AGAIN_MAX
        })
    }
}
