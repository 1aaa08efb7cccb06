//! The whole state of the simulated Zoom, and what admins and people do in it.
//!
//! Everything here happens at once, under one lock, on the world's clock: there is no network and no waiting.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::clock::{Clock, Timestamp, lock};

use super::account::{Account, NewAccount, Offers, Organisation, Quirks, Subscription};
use super::answer::Refusal;
use super::app::App;
use super::call::{Call, CallLog};
use super::event;
use super::fault::{Fault, Faults};
use super::later::Later;
use super::outbox::{Attempt, Mischief, Outbox, Tally};
use super::rest::token::Tokens;
use super::user::{NewUser, User};

/// Why the world did not do what a test or demo asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    #[error("account {0} does not exist in the simulated Zoom")]
    NoAccount(String),
    #[error("account {0} is there already")]
    AccountTaken(String),
    #[error("app {0} does not exist in the simulated Zoom")]
    NoApp(String),
    #[error("app {0} is there already")]
    AppTaken(String),
    /// Where a browser should have gone on.
    #[error("zoom shows a page with status {status}: {text}")]
    Page { status: u16, text: String },
    #[error("user {0} does not exist in the account")]
    NoUser(String),
    #[error("{0}")]
    State(&'static str),
    #[error("zoom refuses: {0}")]
    Refused(#[from] Refusal),
}

/// What a caller of the REST API is told where the world says no.
impl From<WorldError> for Refusal {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Refused(refusal) => refusal,
            WorldError::NoUser(key) => Self::NoSuchUser(key),
            WorldError::State(why) => Self::Validation { field: "action", message: why.to_owned() },
            // The token named the account.
            WorldError::NoAccount(_)
            | WorldError::AccountTaken(_)
            | WorldError::NoApp(_)
            | WorldError::AppTaken(_)
            | WorldError::Page { .. } => Self::InvalidToken,
        }
    }
}

pub(crate) struct State {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Which account an email belongs to: Zoom knows each address once.
    pub(crate) homes: HashMap<String, String>,
    /// General apps by client id.
    pub(crate) apps: HashMap<String, App>,
    /// Which account a server-to-server app belongs to, by client id.
    pub(crate) clients: HashMap<String, String>,
    pub(crate) tokens: Tokens,
    pub(crate) later: Later,
    pub(crate) faults: Faults,
    /// Before each answer.
    pub(crate) latency: Duration,
    pub(crate) log: CallLog,
    pub(crate) outbox: Outbox,
    /// What the token endpoint gives as `api_url`: the address of this server.
    pub(crate) api_url: String,
}

struct Inner {
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    state: Mutex<State>,
    /// The sender waits for it: something was queued.
    woken: Notify,
    /// Whoever waits for the sender waits for it: a delivery was settled.
    settled: Notify,
}

/// A handle on the simulated Zoom; clones share it.
#[derive(Clone)]
pub struct World(Arc<Inner>);

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("clock", &self.0.clock).finish_non_exhaustive()
    }
}

/// One account at one moment, with what is needed to change it and to tell of it.
pub(crate) struct Act<'a> {
    pub(crate) account: &'a mut Account,
    pub(crate) homes: &'a mut HashMap<String, String>,
    pub(crate) apps: &'a HashMap<String, App>,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) later: &'a mut Later,
    /// Users of other accounts to whom users of this one may assign the privilege, and who may to them.
    pub(crate) kin: Vec<User>,
    pub(crate) chance: &'a dyn Chance,
    pub(crate) now: Timestamp,
}

impl Act<'_> {
    /// Queues an event for every subscription that wants it: those of the account's own app, and those of general apps that
    /// are installed in it.
    pub(crate) fn emit(&mut self, event: &str, body: String) {
        let (body, account) = (Bytes::from(body), &self.account.id);
        let own = self.account.subscriptions.iter().map(|to| (&self.account.client_id, to));
        let installed = self.account.installed.iter().filter_map(|client| self.apps.get_key_value(client));
        let general = installed.flat_map(|(client, app)| app.subscriptions.iter().map(move |to| (client, to)));
        for (client, to) in own.chain(general).filter(|(_, to)| to.wants(event)) {
            self.outbox.post((account, client), event, &body, to, (self.chance, self.now));
        }
    }
}

impl World {
    pub fn new(clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        let state = State {
            accounts: BTreeMap::new(),
            homes: HashMap::new(),
            apps: HashMap::new(),
            clients: HashMap::new(),
            tokens: Tokens::default(),
            later: Later::default(),
            faults: Faults::default(),
            latency: Duration::ZERO,
            log: CallLog::default(),
            outbox: Outbox::default(),
            api_url: String::new(),
        };
        let (woken, settled) = (Notify::new(), Notify::new());
        Self(Arc::new(Inner { clock, chance, state: Mutex::new(state), woken, settled }))
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn chance(&self) -> &dyn Chance {
        self.0.chance.as_ref()
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn woken(&self) -> &Notify {
        &self.0.woken
    }

    pub(crate) fn settled(&self) -> &Notify {
        &self.0.settled
    }

    /// Everybody comes through here, so what is due by the clock has happened before anybody looks.
    pub(crate) fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.0.state);
        if state.later.next_due().is_some_and(|due| due <= self.now()) {
            state.catch_up(self.chance(), self.now());
        }
        look(&mut state)
    }

    /// The account is part of an organisation from now on.
    pub fn join(&self, account: &str, organisation: Organisation) -> Result<(), WorldError> {
        self.act(account, |act| {
            act.account.organisation = Some(organisation);
            Ok(())
        })
    }

    /// Acts in one account, then wakes the sender.
    pub(crate) fn act<T, E: From<WorldError>>(
        &self,
        account: &str,
        act: impl FnOnce(&mut Act<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let result = self.state(|state| state.act(account, self.chance(), self.now(), act));
        self.0.woken.notify_one();
        result
    }

    /// The same, where the operator of the events is a user and not the owner.
    pub(crate) fn act_as<T>(
        &self,
        account: &str,
        operator: &str,
        act: impl FnOnce(&mut Act<'_>) -> Result<T, WorldError>,
    ) -> Result<T, WorldError> {
        self.act(account, |all| {
            all.account.acting = Some(all.one(operator)?.id.clone());
            let done = act(all);
            all.account.acting = None;
            done
        })
    }

    pub(crate) fn edit(&self, account: &str, edit: impl FnOnce(&mut Account)) -> Result<(), WorldError> {
        self.act(account, |act| {
            edit(act.account);
            Ok(())
        })
    }

    // Accounts.

    /// Adds an account, and gives its owner's user id.
    pub fn add_account(&self, new: NewAccount) -> Result<String, WorldError> {
        let (account, owner) = (new.id.clone(), NewUser::licensed(&new.owner_email));
        self.state(|state| {
            if state.accounts.contains_key(&account) {
                return Err(WorldError::AccountTaken(account.clone()));
            }
            state.clients.insert(new.client_id.clone(), account.clone());
            state.accounts.insert(account.clone(), Account::new(new, String::new()));
            Ok(())
        })?;
        self.act(&account, |act| {
            let id = act.add_user(owner)?;
            act.account.users.edit(&id, |owner| "0".clone_into(&mut owner.role_id));
            act.account.owner_id.clone_from(&id);
            Ok(id)
        })
    }

    pub fn subscribe(&self, account: &str, subscription: Subscription) -> Result<(), WorldError> {
        self.edit(account, |account| account.subscriptions.push(subscription))
    }

    /// Ends all subscriptions of the account, as Zoom does after six failed validations \[DOC].
    pub fn unsubscribe(&self, account: &str) -> Result<(), WorldError> {
        self.edit(account, |account| account.subscriptions.clear())
    }

    pub fn set_quirks(&self, account: &str, change: impl FnOnce(&mut Quirks)) -> Result<(), WorldError> {
        self.edit(account, |account| change(&mut account.quirks))
    }

    /// How many licences the account has; with none left, Zoom refuses to give another.
    pub fn set_seats(&self, account: &str, seats: Option<usize>) -> Result<(), WorldError> {
        self.edit(account, |account| account.seats = seats)
    }

    /// Which ways to make a user the account has.
    pub fn set_offers(&self, account: &str, change: impl FnOnce(&mut Offers)) -> Result<(), WorldError> {
        self.edit(account, |account| change(&mut account.offers))
    }

    pub fn set_plan(&self, account: &str, plan: super::Plan) -> Result<(), WorldError> {
        self.edit(account, |account| account.plan = plan)
    }

    /// Scopes of tokens that are given out from now on: earlier tokens keep theirs.
    pub fn set_scopes(&self, account: &str, scopes: &[&str]) -> Result<(), WorldError> {
        self.edit(account, |account| account.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect())
    }

    pub fn set_client_secret(&self, account: &str, secret: &str) -> Result<(), WorldError> {
        self.edit(account, |account| secret.clone_into(&mut account.client_secret))
    }

    /// A deactivated app gets no tokens, and the ones it has stop \[D].
    pub fn set_app_active(&self, account: &str, active: bool) -> Result<(), WorldError> {
        self.edit(account, |account| account.app_active = active)
    }

    /// Makes all tokens of the account invalid.
    pub fn revoke_tokens(&self, account: &str) {
        self.state(|state| state.tokens.revoke(account));
    }

    /// The admin removes the account's own app: its tokens stop, and `app_deauthorized` goes out.
    pub fn deauthorize(&self, account: &str) -> Result<(), WorldError> {
        self.act(account, |act| {
            act.account.app_active = false;
            let whose = (act.account.id.as_str(), act.account.client_id.as_str(), act.account.owner_id.as_str());
            let body = event::app_deauthorized(whose, false, act.chance, act.now).into();
            for to in act.account.subscriptions.iter().filter(|to| to.wants("app_deauthorized")) {
                act.outbox.post((whose.0, whose.1), "app_deauthorized", &body, to, (act.chance, act.now));
            }
            Ok(())
        })
    }

    /// Sends any body as an event of that name to the account's subscriptions.
    pub fn emit(&self, account: &str, event: &str, body: String) -> Result<(), WorldError> {
        self.act(account, |act| {
            act.emit(event, body);
            Ok(())
        })
    }

    // Faults, calls, deliveries.

    pub fn fault(&self, fault: Fault) {
        self.state(|state| state.faults.add(fault));
    }

    /// Every answer takes so long on the world's clock, on top of what faults take; over HTTP only.
    pub fn set_latency(&self, latency: Duration) {
        self.state(|state| state.latency = latency);
    }

    pub fn clear_faults(&self) {
        self.state(|state| state.faults.clear());
    }

    /// How many planned faults have not happened.
    pub fn faults_left(&self) -> u32 {
        self.state(|state| state.faults.left())
    }

    /// The newest 200,000 requests, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.state(|state| state.log.iter().cloned().collect())
    }

    /// The first 1,000 requests that named a user, group or meeting of another account than their token's, whatever they were
    /// answered, oldest first: a service with many accounts makes none. [`World::clear_calls`] leaves them.
    pub fn crossings(&self) -> Vec<Call> {
        self.state(|state| state.log.crossings().to_vec())
    }

    /// How many requests had that method and a path that contains the text.
    pub fn count_calls(&self, method: &str, path_contains: &str) -> usize {
        let meets = |call: &&Call| call.method == method && call.path.contains(path_contains);
        self.state(|state| state.log.iter().filter(meets).count())
    }

    /// How many requests there were of each kind, forgotten ones too: `GET /users/{id}/assistants` and so on.
    pub fn calls_by_kind(&self) -> BTreeMap<String, u64> {
        self.state(|state| state.log.by_kind().clone())
    }

    /// How many requests there were, forgotten ones too.
    pub fn calls_total(&self) -> u64 {
        self.state(|state| state.log.total())
    }

    pub fn clear_calls(&self) {
        self.state(|state| state.log.clear());
    }

    pub fn set_mischief(&self, mischief: Mischief) {
        self.state(|state| state.outbox.mischief = mischief);
    }

    /// Every try to deliver, the newest 100,000, oldest first.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state(|state| state.outbox.attempts())
    }

    pub fn tally(&self) -> Tally {
        self.state(|state| state.outbox.tally)
    }

    /// Deliveries that wait, retries included.
    pub fn deliveries_waiting(&self) -> usize {
        self.state(|state| state.outbox.waiting())
    }
}

impl State {
    pub(crate) fn act<T, E: From<WorldError>>(
        &mut self,
        account: &str,
        chance: &dyn Chance,
        now: Timestamp,
        act: impl FnOnce(&mut Act<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let kin = self.kin(account);
        let found = self.accounts.get_mut(account);
        let account = found.ok_or_else(|| WorldError::NoAccount(account.to_owned()))?;
        let (homes, outbox, later) = (&mut self.homes, &mut self.outbox, &mut self.later);
        act(&mut Act { account, homes, apps: &self.apps, outbox, later, kin, chance, now })
    }

    fn kin(&self, account: &str) -> Vec<User> {
        let Some(own) = self.accounts.get(account).filter(|own| own.organisation.is_some()) else { return Vec::new() };
        let others = self.accounts.values().filter(|other| other.id != own.id && own.shares_with(other));
        others.flat_map(|other| other.users.iter().cloned()).collect()
    }
}
