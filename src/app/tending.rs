//! Sees to the accounts that are not the configuration's: takes in who came and went, greets who is new, looks after API
//! users and tokens, and lets go of who left. All of it can be repeated, and a start begins with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::reload::Reloader;
use super::serving::Serving;
use crate::accounts::{Accounts, KeptAccount, Standing, ToDo};
use crate::clock::{Clock, Timestamp, lock};
use crate::ids::AccountId;
use crate::job::ParkCause;
use crate::store::{Forgotten, LocalStore, Move, Selector, Store as _, StoreError, SweepRecord, SweepStep};
use crate::worker::{Order, Sweeper, TAKE_BACK, TakeBack};
use crate::zoom::Zoom as _;

/// Between two looks, where nothing changed.
const EVERY: Duration = Duration::from_secs(60);
/// An API user that is not fit is looked at again so soon, and ever less often.
const API_USER_FIRST: Duration = Duration::from_secs(15);
const API_USER_LAST: Duration = Duration::from_secs(3_600);
/// Between two looks at who is leaving.
const LEAVING: Duration = Duration::from_secs(1);
/// Between two looks for tokens that nobody used for long.
const TOKENS_EVERY: Duration = Duration::from_secs(6 * 3_600);

#[derive(Debug)]
pub(super) struct Tending {
    pub(super) accounts: Arc<Accounts>,
    pub(super) serving: Arc<Serving>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) sweeper: Arc<Sweeper>,
    pub(super) take_back: Arc<TakeBack>,
    pub(super) local: LocalStore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) refresh_idle: Duration,
    pub(super) looked: Mutex<Looked>,
}

/// What was done, and when it is done again.
#[derive(Debug, Default)]
pub(super) struct Looked {
    api_users: HashMap<AccountId, (Timestamp, Duration)>,
    tokens_at: Option<Timestamp>,
}

impl Tending {
    /// Goes on until `stop`.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut changed = self.accounts.changed();
        loop {
            changed.borrow_and_update();
            if let Err(error) = self.all().await {
                tracing::warn!(%error, "accounts could not be looked after; it is tried again");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                more = changed.changed() => if more.is_err() { return },
                () = self.clock.sleep_until(self.clock.now().plus(EVERY).min(self.soonest())) => {}
            }
        }
    }

    async fn all(&self) -> Result<(), StoreError> {
        self.reloader.renew().await?;
        for (account, to_do) in self.accounts.to_do(self.clock.now()) {
            self.let_go(&account, to_do).await?;
        }
        for listed in self.accounts.list() {
            if listed.configured.is_none() && listed.account.standing.is_served() {
                self.look_after(&listed.account).await?;
            }
        }
        self.keep_tokens().await;
        Ok(())
    }

    /// When an API user is looked at next, or who is leaving.
    fn soonest(&self) -> Timestamp {
        let now = self.clock.now();
        let is_leaving = |account: &KeptAccount| matches!(account.standing, Standing::Leaving { .. });
        if self.accounts.to_do(now).iter().any(|(account, _)| is_leaving(account)) {
            return now.plus(LEAVING);
        }
        let looked = lock(&self.looked);
        looked.api_users.values().map(|(at, _)| *at).min().unwrap_or(Timestamp::MAX)
    }

    async fn look_after(&self, account: &KeptAccount) -> Result<(), StoreError> {
        let state = self.local.sweep_state(&account.id).await?;
        if state.last_dry.is_none() && state.last.is_none() && state.run.is_none() && state.failed.is_none() {
            // The first one says what it finds, and asks for no work. What rules want comes with the first of the schedule.
            self.sweeper.ask(&account.id, Order { rule: None, is_dry: true }).await?;
        }
        if !matches!(account.standing, Standing::NeedsApiUser { .. }) {
            lock(&self.looked).api_users.remove(&account.id);
            return Ok(());
        }
        let now = self.clock.now();
        let next = lock(&self.looked).api_users.get(&account.id).copied();
        if next.is_some_and(|(at, _)| now < at) {
            return Ok(());
        }
        let wait = next.map_or(API_USER_FIRST, |(_, wait)| wait.saturating_mul(2).min(API_USER_LAST));
        lock(&self.looked).api_users.insert(account.id.clone(), (now.plus(wait), wait));
        let Some(client) = self.serving.zooms().client(&account.id) else { return Ok(()) };
        let zoom = client.handle();
        if let Err(error) = self.accounts.look_at_api_users(&account.id, &zoom).await {
            tracing::info!(account = %account.id, error = error.kind(), "the API user could not be looked at");
        }
        let (app, id) = (account.app.clone(), account.id.clone());
        let record = SweepRecord { app, account: id, step: SweepStep::Called, calls: zoom.calls() };
        self.local.record_sweep(record, self.clock.now()).await?;
        let now_fit = self.accounts.account(&account.id).is_some_and(|account| account.standing == Standing::Active);
        if now_fit {
            // What it observed until now, it does from now on.
            self.reloader.renew().await?;
            self.sweeper.look_anew_at_api_users(&account.id);
            let cause = ParkCause::ApiUserUnusable { detail: String::new() }.code().to_owned();
            let which = Selector::ParkedFor { cause, rule: None, account: Some(account.id.clone()) };
            let by = "adjutant, since the API user is there and licensed";
            while self.local.move_jobs(which.clone(), Move::Retry, by, self.clock.now()).await? > 0 {}
            self.sweeper.ask(&account.id, Order::default()).await?;
        }
        Ok(())
    }

    /// Tokens that nobody used for long are refreshed before Zoom ends them.
    async fn keep_tokens(&self) {
        let now = self.clock.now();
        let is_due = lock(&self.looked).tokens_at.is_none_or(|at| now >= at);
        if !is_due {
            return;
        }
        lock(&self.looked).tokens_at = Some(now.plus(TOKENS_EVERY));
        for client in self.serving.zooms().clients() {
            client.keep_alive(self.refresh_idle).await;
        }
    }

    async fn let_go(&self, account: &KeptAccount, to_do: ToDo) -> Result<(), StoreError> {
        let id = &account.id;
        if to_do == ToDo::TakeBack {
            return self.take_back(account).await;
        }
        let why = format!("account {id} is not served any more");
        while self.local.cancel_jobs(id, None, &why, self.clock.now()).await? > 0 {}
        self.accounts.erase_tokens(account).await?;
        if to_do == ToDo::Forget {
            self.local.forget(&Forgotten::Account(id.clone()), self.clock.now(), |_, _| {}).await?;
            self.accounts.forgotten(account).await?;
            tracing::info!(account = %id, "the account is forgotten");
        }
        Ok(())
    }

    /// Takes back what its API users were granted, before the access to it is given up.
    async fn take_back(&self, account: &KeptAccount) -> Result<(), StoreError> {
        let notices = self.local.notices().await?;
        if notices.iter().any(|notice| notice.account == account.id && notice.code == TAKE_BACK) {
            return Ok(());
        }
        let mut is_done = true;
        for api_user in &account.api_users {
            match self.take_back.look(api_user, Some(&account.id)).await {
                Ok(grants) => {
                    for grants in grants.iter().filter(|grants| !grants.users.is_empty()) {
                        is_done = false;
                        self.take_back.begin(grants, "the removal of the account").await?;
                    }
                }
                Err(why) => {
                    tracing::warn!(account = %account.id, "what was granted cannot be taken back yet: {why}");
                    is_done = false;
                }
            }
        }
        if is_done { self.accounts.taken_back(&account.id).await } else { Ok(()) }
    }
}
