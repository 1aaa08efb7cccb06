//! The whole state of the simulated Zoom, and what admins and people do in it.
//!
//! Everything here happens at once, under one lock, on the world's clock: there is no network and no waiting.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::clock::{Clock, Timestamp, lock};

use super::account::{Account, NewAccount, Quirks, Subscription};
use super::answer::Refusal;
use super::call::{Call, CallLog};
use super::event;
use super::fault::{Fault, Faults};
use super::meeting::writes_left;
use super::outbox::{Attempt, Mischief, Outbox, Tally};
use super::rest::token::Tokens;
use super::user::{NewUser, User, UserStatus, Users};

/// Why the world did not do what a test or demo asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    #[error("account {0} does not exist in the simulated Zoom")]
    NoAccount(String),
    #[error("account {0} is there already")]
    AccountTaken(String),
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
            WorldError::NoAccount(_) | WorldError::AccountTaken(_) => Self::InvalidToken,
        }
    }
}

pub(crate) struct State {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Which account an email belongs to: Zoom knows each address once.
    pub(crate) homes: HashMap<String, String>,
    pub(crate) tokens: Tokens,
    pub(crate) faults: Faults,
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
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) chance: &'a dyn Chance,
    pub(crate) now: Timestamp,
}

impl Act<'_> {
    /// Queues an event for every subscription that wants it.
    pub(crate) fn emit(&mut self, event: &str, body: String) {
        let body = Bytes::from(body);
        for subscription in self.account.subscriptions.iter().filter(|to| to.wants(event)) {
            self.outbox.post(&self.account.id, event, &body, subscription, (self.chance, self.now));
        }
    }
}

impl World {
    pub fn new(clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        let state = State {
            accounts: BTreeMap::new(),
            homes: HashMap::new(),
            tokens: Tokens::default(),
            faults: Faults::default(),
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

    pub(crate) fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut lock(&self.0.state))
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

    /// The admin removes the app: its tokens stop, and `app_deauthorized` goes out.
    pub fn deauthorize(&self, account: &str) -> Result<(), WorldError> {
        self.act(account, |act| {
            act.account.app_active = false;
            let body = event::app_deauthorized(act.account, act.chance, act.now);
            act.emit("app_deauthorized", body);
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

    // People.

    /// Adds a user as if they had been there for ever: no event. Gives the id.
    pub fn add_user(&self, account: &str, new: NewUser) -> Result<String, WorldError> {
        self.act(account, |act| act.add_user(new))
    }

    /// An admin adds a user: `user.created`. Gives the id.
    pub fn create_user(&self, account: &str, new: NewUser) -> Result<String, WorldError> {
        self.act(account, |act| act.create_user(new))
    }

    pub fn accept_invitation(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.accept_invitation(user))
    }

    /// 1 Basic, 2 Licensed: `user.updated`.
    pub fn set_licence(&self, account: &str, user: &str, kind: i64) -> Result<(), WorldError> {
        self.update_user(account, user, &serde_json::json!({ "type": kind }))
    }

    /// Any fields under Zoom's names: `user.updated` with those that changed.
    pub fn update_user(&self, account: &str, user: &str, fields: &Value) -> Result<(), WorldError> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.act(account, |act| act.update_user(user, &fields))
    }

    pub fn deactivate(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.deactivate(user))
    }

    pub fn activate(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.activate(user))
    }

    pub fn delete_user(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.remove_user(user, true))
    }

    pub fn disassociate(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.remove_user(user, false))
    }

    /// A person grants the privilege in the web portal, under the same rules: no event, Zoom has none for it \[DOC].
    pub fn grant(&self, account: &str, host: &str, assistant: &str) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.grant(host, &[(assistant.to_owned(), false)]).map(|_| ())?))
    }

    /// A person takes the privilege back: no event.
    pub fn withdraw(&self, account: &str, host: &str, assistant: &str) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.withdraw(host, assistant)?))
    }

    /// One user, by id or email.
    pub fn user(&self, account: &str, key: &str) -> Option<User> {
        self.state(|state| state.accounts.get(account)?.users.find(key).cloned())
    }

    pub fn users(&self, account: &str) -> Vec<User> {
        self.state(|state| state.accounts.get(account).map(|a| a.users.iter().cloned().collect()).unwrap_or_default())
    }

    /// Looks at the users of an account; none where there is no such account.
    pub(crate) fn look<T: Default>(&self, account: &str, look: impl FnOnce(&Users) -> T) -> T {
        self.state(|state| state.accounts.get(account).map(|account| look(&account.users)).unwrap_or_default())
    }

    /// Emails of a user's assistants, sorted.
    pub fn assistants(&self, account: &str, key: &str) -> Vec<String> {
        let mut emails: Vec<String> = self.look(account, |users| {
            let assistants = users.find(key).into_iter().flat_map(|user| &user.assistants);
            assistants.filter_map(|assistant| Some(users.find(&assistant.id)?.email.clone())).collect()
        });
        emails.sort();
        emails
    }

    /// Emails of active licensed users without that assistant, itself aside: empty when everybody has it.
    pub fn without_assistant(&self, account: &str, assistant: &str) -> Vec<String> {
        self.look(account, |users| {
            let Some(assistant) = users.find(assistant) else { return Vec::new() };
            let lacks = |user: &&User| {
                user.status == UserStatus::Active
                    && user.is_licensed()
                    && user.id != assistant.id
                    && !user.has_assistant(&assistant.id)
            };
            users.iter().filter(lacks).map(|user| user.email.clone()).collect()
        })
    }

    /// How many requests tried to change that user's assistants.
    pub fn assistant_writes(&self, account: &str, key: &str) -> u64 {
        self.user(account, key).map_or(0, |user| user.assistant_writes)
    }

    /// What the user has left of 100 creates and updates of meetings today.
    pub fn meeting_writes_left(&self, account: &str, key: &str) -> u32 {
        self.user(account, key).map_or(0, |user| writes_left(user.meeting_writes, self.now()))
    }

    /// Somebody else's app creates or updates so many meetings that count for the user.
    pub fn spend_meeting_writes(&self, account: &str, key: &str, count: u32) -> Result<(), WorldError> {
        let now = self.now();
        let spend = |user: &mut User| (0..count).for_each(|_| user.meeting_writes.take(now));
        self.act(account, |act| act.account.users.edit(key, spend).ok_or_else(|| WorldError::NoUser(key.to_owned())))
    }

    // Faults, calls, deliveries.

    pub fn fault(&self, fault: Fault) {
        self.state(|state| state.faults.add(fault));
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
        let found = self.accounts.get_mut(account);
        let account = found.ok_or_else(|| WorldError::NoAccount(account.to_owned()))?;
        act(&mut Act { account, homes: &mut self.homes, outbox: &mut self.outbox, chance, now })
    }
}
