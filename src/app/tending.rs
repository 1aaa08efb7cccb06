//! Sees to the accounts that are not the configuration's: takes in who came and went, looks after API users and tokens,
//! and lets go of who left. All of it can be repeated, and a start begins with it.
//!
//! Guarantees: who came, went or was paused is taken in at once, whatever else goes on; what is done about one account waits
//! for no other's, and what fails is tried again, ever less often.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::reload::Reloader;
use super::serving::Serving;
use crate::accounts::{Accounts, Failing, KeptAccount, Standing, ToDo};
use crate::clock::{Clock, Timestamp, lock};
use crate::ids::AccountId;
use crate::job::ParkCause;
use crate::store::{Forgotten, LocalStore, Move, Selector, Store as _, StoreError, SweepRecord, SweepStep};
use crate::worker::{Errands, Onboarder, Sweeper, TAKE_BACK, TakeBack};
use crate::zoom::Zoom as _;

/// Between two looks, where nothing changed.
const EVERY: Duration = Duration::from_secs(60);
/// An API user that is not fit is looked at again so soon, and ever less often.
const API_USER_FIRST: Duration = Duration::from_secs(15);
const API_USER_LAST: Duration = Duration::from_secs(3_600);
/// What fails, or is not over yet, is looked at again so soon. What fails, ever less often.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(600);
/// Between two looks for tokens that nobody used for long.
const TOKENS_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Accounts at once.
const AT_ONCE: usize = 16;

#[derive(Debug)]
pub(super) struct Tending {
    pub(super) accounts: Arc<Accounts>,
    pub(super) serving: Arc<Serving>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) sweeper: Arc<Sweeper>,
    pub(super) take_back: Arc<TakeBack>,
    pub(super) onboarder: Arc<Onboarder>,
    pub(super) errands: Arc<Errands>,
    pub(super) local: LocalStore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) refresh_idle: Duration,
    pub(super) forgets: TaskTracker,
    pub(super) later: Mutex<HashMap<AccountId, Later>>,
    /// Active accounts whose jobs were parked for their API user: none before anybody has looked.
    pub(super) to_retry: Mutex<Option<HashSet<AccountId>>>,
}

/// What is done about one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    LetGo(ToDo),
    ApiUsers,
    Retry,
}

/// When the same is done again, and after which wait.
#[derive(Debug, Clone)]
pub(super) struct Later {
    of: (Work, Option<Timestamp>),
    at: Timestamp,
    wait: Duration,
    failed: Option<Failing>,
}

/// How it went.
#[derive(Debug)]
enum Came {
    /// Nothing is left to do for now.
    Done,
    /// It is not over yet, and something else sees to it.
    Waits,
    /// What was found is not as it should be.
    NotFit,
    Failed(String),
}

impl From<Result<Came, StoreError>> for Came {
    fn from(came: Result<Self, StoreError>) -> Self {
        came.unwrap_or_else(|error| Self::Failed(error.to_string()))
    }
}

/// Work that goes on, each with whose and what it is; nobody's are tokens that nobody uses.
#[derive(Debug, Default)]
struct GoesOn {
    tasks: JoinSet<Came>,
    whose: HashMap<Id, (KeptAccount, Work)>,
    tokens_at: Option<Timestamp>,
}

impl Tending {
    /// Goes on until `stop`.
    pub(super) async fn run(self: &Arc<Self>, stop: &CancellationToken) {
        tokio::join!(self.take_in(stop), self.tend(stop));
        // The store is not closed under it.
        self.forgets.close();
        self.forgets.wait().await;
    }

    async fn take_in(&self, stop: &CancellationToken) {
        let mut changed = self.accounts.changed();
        let mut wait = FIRST;
        loop {
            changed.borrow_and_update();
            let next = match self.reloader.renew().await {
                Ok(()) => {
                    wait = FIRST;
                    EVERY
                }
                Err(error) => {
                    tracing::warn!(%error, "who is served now could not be taken in; it is tried again");
                    wait = wait.saturating_mul(2).min(EVERY);
                    wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                more = changed.changed() => if more.is_err() { return },
                () = self.clock.sleep_until(self.clock.now().plus(next)) => {}
            }
        }
    }

    /// What goes on at the end is cut off, but for forgetting: it can be repeated.
    async fn tend(self: &Arc<Self>, stop: &CancellationToken) {
        let mut changed = self.accounts.changed();
        let mut on = GoesOn::default();
        loop {
            changed.borrow_and_update();
            self.find_who_waits().await;
            let next = self.begin(&mut on);
            tokio::select! {
                () = stop.cancelled() => return,
                more = changed.changed() => if more.is_err() { return },
                Some(ended) = on.tasks.join_next_with_id() => {
                    let (id, came) = ended.unwrap_or_else(|error| (error.id(), Came::Failed(error.to_string())));
                    if let Some((account, work)) = on.whose.remove(&id) {
                        self.ended(&account, work, came);
                    }
                }
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Jobs may have been parked when the process ended between finding an API user fit and letting them go on.
    async fn find_who_waits(&self) {
        if lock(&self.to_retry).is_some() {
            return;
        }
        match self.local.parked().await {
            Ok(groups) => {
                let code = ParkCause::ApiUserUnusable { detail: String::new() }.code();
                let who = groups.into_iter().filter(|group| group.cause == code).map(|group| group.account);
                *lock(&self.to_retry) = Some(who.collect());
            }
            Err(error) => tracing::warn!(%error, "parked jobs could not be looked at; it is tried again"),
        }
    }

    /// All that could be done about somebody now.
    fn all(&self) -> Vec<(KeptAccount, Work)> {
        let gone = self.accounts.to_do(self.clock.now()).into_iter();
        let mut all: Vec<_> = gone.map(|(account, to_do)| (account, Work::LetGo(to_do))).collect();
        all.extend(self.accounts.to_look_at().into_iter().map(|account| (account, Work::ApiUsers)));
        let to_retry = lock(&self.to_retry).clone().unwrap_or_default();
        let active = to_retry.iter().filter_map(|id| self.accounts.account(id));
        let active = active.filter(|account| account.standing == Standing::Active);
        all.extend(active.map(|account| (account, Work::Retry)));
        all
    }

    /// Begins what is due; when something else is.
    fn begin(self: &Arc<Self>, on: &mut GoesOn) -> Timestamp {
        let (now, all) = (self.clock.now(), self.all());
        let mut next = now.plus(EVERY);
        let mut later = lock(&self.later);
        let known: HashMap<&AccountId, _> = all.iter().map(|(account, work)| (&account.id, (account, *work))).collect();
        later.retain(|id, later| known.get(id).is_some_and(|(account, work)| is_of(later, account, *work)));
        for (account, work) in all {
            if matches!(account.standing, Standing::Leaving { .. }) {
                // It goes on by the time as well.
                next = next.min(now.plus(FIRST));
            }
            if let Some(later) = later.get(&account.id).filter(|later| now < later.at) {
                next = next.min(later.at);
                continue;
            }
            // The store forgets one at a time.
            let forgets = Work::LetGo(ToDo::Forget);
            let is_in_the_way =
                |other: &(KeptAccount, Work)| other.0.id == account.id || (work == forgets && other.1 == forgets);
            if on.whose.len() >= AT_ONCE || on.whose.values().any(is_in_the_way) {
                continue;
            }
            let (tending, whose) = (Arc::clone(self), account.clone());
            let task = on.tasks.spawn(async move { tending.work(&whose, work).await.into() });
            on.whose.insert(task.id(), (account, work));
        }
        drop(later);
        if on.tokens_at.is_none_or(|at| now >= at) {
            on.tokens_at = Some(now.plus(TOKENS_EVERY));
            let tending = Arc::clone(self);
            on.tasks.spawn(async move {
                tending.keep_tokens().await;
                Came::Done
            });
        }
        next
    }

    fn ended(&self, account: &KeptAccount, work: Work, came: Came) {
        let now = self.clock.now();
        let mut later = lock(&self.later);
        let before = later.get(&account.id).filter(|later| is_of(later, account, work)).cloned();
        let grown = |first: Duration, last: Duration| {
            before.as_ref().map_or(first, |before| before.wait.saturating_mul(2).clamp(first, last))
        };
        let mut failed = None;
        let wait = match came {
            Came::Done => EVERY,
            Came::Waits => FIRST,
            Came::NotFit => grown(API_USER_FIRST, API_USER_LAST),
            Came::Failed(why) => {
                tracing::warn!(account = %account.id, "an account could not be looked after; it is tried again: {why}");
                let so_far = before.as_ref().and_then(|before| before.failed.clone());
                let (tries, since) = so_far.map_or((0, now), |so_far| (so_far.tries, so_far.since));
                failed = Some(Failing { tries: tries.saturating_add(1), since, why });
                grown(FIRST, LAST)
            }
        };
        self.accounts.tell_failing(&account.id, failed.clone().filter(|_| matches!(work, Work::LetGo(_))));
        let of = (work, account.standing.since());
        later.insert(account.id.clone(), Later { of, at: now.plus(wait), wait, failed });
    }

    async fn work(&self, account: &KeptAccount, work: Work) -> Result<Came, StoreError> {
        match work {
            Work::LetGo(ToDo::EndLending) => self.end_lending(account).await,
            Work::LetGo(ToDo::TakeBack) => self.take_back(account).await,
            Work::LetGo(to_do) => self.let_go(account, to_do).await,
            Work::ApiUsers => self.look_at_api_users(account).await,
            Work::Retry => self.retry(&account.id).await,
        }
    }

    async fn look_at_api_users(&self, account: &KeptAccount) -> Result<Came, StoreError> {
        if account.standing.waits_for_look() {
            self.end_of_others(&account.id).await?;
        }
        let Some(client) = self.serving.zooms().client(&account.id) else { return Ok(Came::Waits) };
        let zoom = client.handle();
        let looked = self.accounts.look_at_api_users(&account.id, &zoom).await;
        let is_active = |account: KeptAccount| account.standing == Standing::Active;
        let is_fit = self.accounts.account(&account.id).is_some_and(is_active);
        if is_fit && let Some(to_retry) = lock(&self.to_retry).as_mut() {
            to_retry.insert(account.id.clone());
        }
        let (app, id) = (account.app.clone(), account.id.clone());
        let record = SweepRecord { app, account: id, step: SweepStep::Called, calls: zoom.calls() };
        self.local.record_sweep(record, self.clock.now()).await?;
        Ok(match looked {
            _ if is_fit => Came::Done,
            Ok(()) => Came::NotFit,
            Err(error) => Came::Failed(format!("its API user could not be looked at ({})", error.kind())),
        })
    }

    /// What another app had to do still, before a person said that this one acts: this one's deliveries and sweeps ask for it.
    async fn end_of_others(&self, id: &AccountId) -> Result<(), StoreError> {
        self.reloader.renew().await?;
        let Some(acting) = self.accounts.account(id).map(|account| account.app) else { return Ok(()) };
        let why = format!("app {acting} acts for account {id} now");
        while self.local.cancel_jobs(id, Some(&acting), &why, self.clock.now()).await? > 0 {}
        Ok(())
    }

    /// What it observed until now, it does from now on.
    async fn retry(&self, id: &AccountId) -> Result<Came, StoreError> {
        self.reloader.renew().await?;
        self.sweeper.look_anew_at_api_users(id);
        let cause = ParkCause::ApiUserUnusable { detail: String::new() }.code().to_owned();
        let which = Selector::ParkedFor { cause, rule: None, account: Some(id.clone()) };
        let by = "adjutant, since the API user is there and licensed";
        while self.local.move_jobs(which.clone(), Move::Retry, by, self.clock.now()).await? > 0 {}
        if let Some(to_retry) = lock(&self.to_retry).as_mut() {
            to_retry.remove(id);
        }
        Ok(Came::Done)
    }

    /// Tokens that nobody used for long are refreshed before Zoom ends them. One that Zoom is slow about holds up no other.
    async fn keep_tokens(&self) {
        let (zooms, idle) = (self.serving.zooms(), self.refresh_idle);
        let not_acting = zooms.apart(self.accounts.not_acting());
        let mut keeping = JoinSet::new();
        for client in zooms.clients().into_iter().chain(not_acting) {
            if keeping.len() >= AT_ONCE {
                keeping.join_next().await;
            }
            keeping.spawn(async move { client.keep_alive(idle).await });
        }
        while keeping.join_next().await.is_some() {}
    }

    async fn let_go(&self, account: &KeptAccount, to_do: ToDo) -> Result<Came, StoreError> {
        let id = &account.id;
        if to_do == ToDo::Drop {
            self.accounts.erase_tokens(account, to_do).await?;
            self.accounts.drop_unused(account).await?;
            return Ok(Came::Done);
        }
        // Nothing is planned for it any more.
        if self.reloader.roster().borrow().by_id(id).is_some() {
            self.reloader.renew().await?;
        }
        let forgetting = match to_do {
            ToDo::Forget => match self.accounts.forgetting(account).await {
                Some(forgetting) => Some(forgetting),
                // Installed again, or something else happened to it.
                None => return Ok(Came::Done),
            },
            _ => None,
        };
        if self.accounts.account(id).is_none_or(|now| now.standing.is_served()) {
            return Ok(Came::Done);
        }
        self.cancel_jobs(id).await?;
        self.errands.tell_left(id, &account.app).await?;
        if to_do != ToDo::Stop {
            self.accounts.erase_tokens(account, to_do).await?;
        }
        if let Some(forgetting) = &forgetting {
            let (local, gone, now) = (self.local.clone(), Forgotten::Account(id.clone()), self.clock.now());
            let forgets = self.forgets.spawn(async move { local.forget(&gone, now, |_, _| {}).await });
            forgets.await.unwrap_or(Err(StoreError::Closed))?;
            self.accounts.forgotten(forgetting).await?;
            tracing::info!(account = %id, "the account is forgotten");
        }
        Ok(Came::Done)
    }

    async fn cancel_jobs(&self, id: &AccountId) -> Result<(), StoreError> {
        let why = format!("account {id} is not served any more");
        let mut has_ended = false;
        while self.local.cancel_jobs(id, None, &why, self.clock.now()).await? > 0 {
            has_ended = true;
        }
        if has_ended {
            // Before it is forgotten who was to be told.
            self.onboarder.tell().await?;
        }
        Ok(())
    }

    /// Takes back what moves have lent there, before the access to it is given up: when those that run have come to their end,
    /// and all others are cancelled.
    async fn end_lending(&self, account: &KeptAccount) -> Result<Came, StoreError> {
        let id = &account.id;
        // Nobody claims its jobs any more.
        self.reloader.renew().await?;
        if self.errands.is_moving(id).await? {
            return Ok(Came::Waits);
        }
        self.cancel_jobs(id).await?;
        if let Err(error) = self.errands.give_back(id, "the removal of the account").await? {
            return Ok(Came::Failed(format!("what was lent cannot be taken back yet ({})", error.kind())));
        }
        self.accounts.lending_ended(id).await?;
        Ok(Came::Done)
    }

    /// Takes back what its API users were granted, before the access to it is given up.
    async fn take_back(&self, account: &KeptAccount) -> Result<Came, StoreError> {
        let notices = self.local.notices().await?;
        if notices.iter().any(|notice| notice.account == account.id && notice.code == TAKE_BACK) {
            return Ok(Came::Waits);
        }
        let mut is_done = true;
        for api_user in account.api_users.iter().chain(&account.former_api_users) {
            match self.take_back.look(api_user, Some(&account.id)).await {
                Ok(grants) => {
                    for grants in grants.iter().filter(|grants| !grants.users.is_empty()) {
                        is_done = false;
                        self.take_back.begin(grants, "the removal of the account").await?;
                    }
                }
                Err(why) => return Ok(Came::Failed(format!("what was granted cannot be taken back yet: {why}"))),
            }
        }
        if !is_done {
            return Ok(Came::Waits);
        }
        self.accounts.taken_back(&account.id).await?;
        Ok(Came::Done)
    }
}

/// Whether it is about the same, of the same standing: what changed since is looked at at once.
fn is_of(later: &Later, account: &KeptAccount, work: Work) -> bool {
    later.of == (work, account.standing.since())
}
