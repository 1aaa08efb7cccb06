//! Sweeps: an account's users are listed and compared with what the rules want, and who differs gets a job. What a webhook
//! missed, a sweep finds.
//!
//! Events narrow, sweeps widen: both end in the same jobs, which read Zoom before they write, so a sweep can be mistaken
//! about a user and do no harm. A sweep goes page by page, and each page is one write with the jobs that it asks for, so a
//! restart goes on where it was.
//!
//! Deliberately writes nothing at Zoom, and asks nothing about single users: that is the jobs'.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::schedule::Schedule;
use super::{Parts, Roster};
use crate::account::{Account, UserKey};
use crate::audit::Call;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, Email, RuleName, UserId};
use crate::job::Subject;
use crate::rules::{self, Mode, Rule, Step, SubjectKind};
use crate::store::{StoreError, SweepCause, SweepRecord, SweepRun, SweepState, SweepStep, Swept};
use crate::work::api_user_gone;
use crate::zoom::{Page, Status, User, Zoom, ZoomError};

/// Users in a page, the most that Zoom is sure to give.
const PAGE_USERS: u32 = 300;
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
}

#[derive(Debug)]
pub struct Sweeper {
    parts: Parts,
    settings: SweepSettings,
    accounts: Mutex<HashMap<AccountId, Known>>,
}

/// What is in memory of an account: worth nothing after a restart.
#[derive(Debug, Default, Clone)]
struct Known {
    /// After the moments of the schedule.
    offset: Option<Duration>,
    /// The last one that was tried, whether it ended or not.
    tried: Option<Timestamp>,
    not_before: Timestamp,
    asked: Option<Asked>,
    /// Who granted which API user, while a sweep runs.
    granted: Option<Arc<Vec<Granted>>>,
}

/// Somebody wants a sweep, over one rule or all.
#[derive(Debug, Clone)]
struct Asked {
    rule: Option<RuleName>,
}

/// An API user, and who granted it.
#[derive(Debug)]
struct Granted {
    key: UserKey,
    ids: HashSet<UserId>,
    emails: HashSet<Email>,
}

impl Granted {
    fn by(&self, user: &User) -> bool {
        user.id.as_ref().is_some_and(|id| self.ids.contains(id))
            || user.email.as_ref().is_some_and(|email| self.emails.contains(email))
    }
}

/// Why a page came to nothing.
enum Fault {
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
        Self { parts, settings, accounts: Mutex::default() }
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
                () = self.parts.clock.sleep_until(next) => {}
            }
        }
    }

    /// Somebody wants a sweep of the account now, over one rule or all. The look after the next takes it up; one that runs
    /// already is enough.
    pub fn ask(&self, account: &AccountId, rule: Option<RuleName>) {
        self.with(account, |known| (known.asked, known.not_before) = (Some(Asked { rule }), Timestamp::EPOCH));
    }

    /// When the account's next sweep is due, by what is known now.
    pub fn next(&self, account: &AccountId, state: &SweepState) -> Option<Timestamp> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let account = roster.accounts().find(|one| one.id == *account)?;
        Some(self.due(account, &roster, state, self.parts.clock.now()).0)
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

    fn with<T>(&self, account: &AccountId, look: impl FnOnce(&mut Known) -> T) -> T {
        look(lock(&self.accounts).entry(account.clone()).or_default())
    }

    async fn step(&self, account: &Account, roster: &Roster) -> Result<Timestamp, StoreError> {
        let now = self.parts.clock.now();
        let not_before = self.with(&account.id, |known| known.not_before);
        if not_before > now || !roster.rules().iter().any(|rule| rule.subject == SubjectKind::User) {
            return Ok(not_before.max(now.plus(LOOK_EVERY)));
        }
        let state = self.parts.store.sweep_state(&account.id).await?;
        let Some(run) = &state.run else {
            let (at, why, rule) = self.due(account, roster, &state, now);
            if at > now {
                return Ok(at);
            }
            self.with(&account.id, |known| (known.tried, known.asked, known.granted) = (Some(now), None, None));
            self.parts.facts.begin_sweep(&account.id, why != SweepCause::Schedule);
            self.record(account, SweepStep::Begin { why, rule }, Vec::new()).await?;
            return Ok(now);
        };
        let Some(zoom) = self.parts.zooms.sweeping(&account.id) else { return Ok(now.plus(LOOK_EVERY)) };
        match self.page(account, roster, run, &*zoom).await {
            Ok(()) => Ok(now),
            Err(Fault::Store(error)) => Err(error),
            Err(Fault::Zoom(error)) => self.failed(account, run, error, zoom.calls()).await,
        }
    }

    /// When the next sweep is due, why, and over which rule.
    fn due(
        &self,
        account: &Account,
        roster: &Roster,
        state: &SweepState,
        now: Timestamp,
    ) -> (Timestamp, SweepCause, Option<RuleName>) {
        let known = self.with(&account.id, |known| {
            known.offset.get_or_insert_with(|| self.settings.jitter.mul_f64(self.parts.chance.unit()));
            known.clone()
        });
        let offset = known.offset.unwrap_or_default();
        if let Some(Asked { rule }) = known.asked {
            return (now, SweepCause::Person, rule);
        }
        let began = state.last.as_ref().filter(|last| last.rule.is_none()).map(|last| last.started_at);
        let began = began.or(state.whole.map(|(ended, _)| ended)).max(known.tried);
        // One that failed is tried again by the schedule, whatever the rules are.
        let is_new = |(_, with): (Timestamp, [u8; 16])| with != compared_with(account, roster);
        let Some(began) = began else { return (now, SweepCause::Outage, None) };
        if known.tried.is_none_or(|tried| state.whole.is_some_and(|(ended, _)| ended >= tried))
            && state.whole.is_some_and(is_new)
        {
            return (now, SweepCause::NewRules, None);
        }
        let next = self.settings.schedule.next(began, offset);
        let missed = self.settings.schedule.next(next, offset) <= now;
        (next, if missed { SweepCause::Outage } else { SweepCause::Schedule }, None)
    }

    async fn record(&self, account: &Account, step: SweepStep, calls: Vec<Call>) -> Result<Swept, StoreError> {
        let (app, account) = (account.app.clone(), account.id.clone());
        self.parts.store.record_sweep(SweepRecord { app, account, step, calls }, self.parts.clock.now()).await
    }

    /// Compares one page, and ends the sweep after the last.
    async fn page(&self, account: &Account, roster: &Roster, run: &SweepRun, zoom: &dyn Zoom) -> Result<(), Fault> {
        let granted = self.granted(account, zoom).await?;
        let seen_at = self.parts.clock.now();
        // Only they can be given what the rules want: whoever waits to become one of them is found when they have.
        let page = zoom.users(Status::Active, Page { size: PAGE_USERS, token: run.next.clone() }).await?;
        let wanted = self.wanted(account, roster, run).await?;
        let (mut steps, mut differing) = (Vec::new(), Vec::new());
        for user in &page.users {
            for rule in &wanted {
                if let Some(step) = self.compare(account, rule, user, &granted, zoom).await? {
                    steps.push(step);
                    differing.push(user);
                }
            }
        }
        let users = u64::try_from(page.users.len()).unwrap_or(u64::MAX);
        let next = page.next.clone();
        let subjects: Vec<_> = steps.iter().zip(differing).map(|(step, user)| (step.clone(), user.clone())).collect();
        let swept =
            self.record(account, SweepStep::Page { users, steps, next: page.next, seen_at }, zoom.calls()).await?;
        self.hand_over(account, &swept, &subjects, seen_at).await?;
        if next.is_none() {
            self.with(&account.id, |known| known.granted = None);
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
    ) -> Result<Vec<&'r Rule>, StoreError> {
        let mut wanted = Vec::new();
        for rule in roster.rules() {
            let asked = run.rule.as_ref().is_none_or(|only| *only == rule.name);
            if asked
                && rule.subject == SubjectKind::User
                && !rule.ensure.assistants.is_empty()
                && (rule.mode == Mode::Observe || !self.parts.store.is_stopped(&account.id, &rule.name).await?)
            {
                wanted.push(rule);
            }
        }
        Ok(wanted)
    }

    /// What the rule asks for, where the lists say that it is not true for this user.
    async fn compare(
        &self,
        account: &Account,
        rule: &Rule,
        user: &User,
        granted: &[Granted],
        zoom: &dyn Zoom,
    ) -> Result<Option<Step>, Fault> {
        let facts = &self.parts.facts;
        let excepted = user.email.as_ref().is_some_and(|email| rule.except.contains(email));
        if excepted || !user.is_licensed() || user.status != Status::Active {
            return Ok(None);
        }
        if let Some(key) = facts.is_api_user(account, user.id.as_ref(), user.email.as_ref()) {
            facts.saw_api_user(&account.id, &key, user.clone(), self.parts.clock.now());
            return Ok(None);
        }
        let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
        if facts.is_answered(&account.id, &rule.name, &subject, self.parts.clock.now()) {
            return Ok(None);
        }
        for one in granted {
            if !one.by(user) && self.is_usable(account, &one.key, zoom).await? {
                let steps = rules::for_subject(SubjectKind::User, &subject, std::slice::from_ref(rule));
                return Ok(steps.into_iter().next());
            }
        }
        Ok(None)
    }

    /// Whether anybody could be given this API user now; where not, somebody is told, once.
    async fn is_usable(&self, account: &Account, key: &UserKey, zoom: &dyn Zoom) -> Result<bool, Fault> {
        let (facts, now) = (&self.parts.facts, self.parts.clock.now());
        let found = facts.api_user(&account.id, key, zoom, now).await?;
        if let Some(why) = &found.unusable
            && facts.set_reported(&account.id, key)
        {
            self.parts.store.note(api_user_gone(account, key, found.id.as_ref(), why), now).await?;
        }
        Ok(found.unusable.is_none())
    }

    /// One call for each API user. Where Zoom cuts its list short, the users that are not on it get jobs, which ask for each
    /// and find it right; that they did is remembered for a day.
    async fn granted(&self, account: &Account, zoom: &dyn Zoom) -> Result<Arc<Vec<Granted>>, ZoomError> {
        if let Some(granted) = self.with(&account.id, |known| known.granted.clone()) {
            return Ok(granted);
        }
        let mut all = Vec::new();
        for key in &account.api_users {
            let schedulers = match zoom.schedulers(key).await {
                Err(ZoomError::NotFound(_)) => Vec::new(),
                listed => listed?,
            };
            let mut one = Granted { key: key.clone(), ids: HashSet::new(), emails: HashSet::new() };
            for scheduler in schedulers {
                match (scheduler.id, scheduler.email) {
                    (Some(id), _) => drop(one.ids.insert(id)),
                    (None, Some(email)) => drop(one.emails.insert(email)),
                    (None, None) => {}
                }
            }
            all.push(one);
        }
        let all = Arc::new(all);
        self.with(&account.id, |known| known.granted = Some(Arc::clone(&all)));
        Ok(all)
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

/// A hash of what the account's users are compared with.
fn compared_with(account: &Account, roster: &Roster) -> [u8; 16] {
    let text = format!("{:?} {:?}", account.api_users, roster.rules());
    let hash: [u8; 32] = Sha256::digest(text).into();
    hash.first_chunk().copied().unwrap_or_default()
}
