//! The admin listener: what operators, their scripts and the command line ask for.
//!
//! Guarantees: but for `/livez` and `/readyz`, which say yes or no, nothing is answered without the bearer token, also on
//! loopback; a request under a foreign host name is turned away first; a refused request changes nothing; a token that is bound
//! to one account is told of no other. Which routes there are, and who may ask, says one [`table`]. It deliberately sends no
//! CORS headers, and knows neither Zoom nor how the store keeps things.

pub mod accounts;
mod alarms;
pub mod assistants;
mod attention;
mod caller;
mod chain;
pub mod completeness;
mod consumers;
mod cursor;
mod delivered;
mod described;
mod entry_schema;
pub mod errands;
mod explain;
pub mod explained;
pub mod forgetting;
mod guard;
mod jobs;
pub mod lent;
mod log;
pub mod meetings;
mod metrics;
pub mod movable;
pub mod onboarding;
mod openapi;
mod plans;
mod problem;
mod readers;
mod reading;
mod redact;
mod refusals;
mod routes;
mod rows;
mod stream;
pub mod sweeps;
pub mod table;
pub mod take_back;
pub mod token;
mod tokens;
pub mod trace;
pub mod users;
pub mod view;

pub use attention::attention;
pub use caller::{Caller, Role};
pub use consumers::ConsumerView;
pub use entry_schema::entry_schema;
pub use explain::wants;
pub use guard::Hosts;
pub use openapi::document;
pub use plans::{PLAN_BYTES_MAX, TOO_LARGE};
pub use problem::ApiProblem;
pub use readers::Readers;
pub use refusals::{REFUSALS, Refused};
pub use sweeps::{NoSweeps, Sweeps};
pub use token::TokenHash;
pub use tokens::{NewTokenView, TokenAsked, TokenView, Tokens};
pub use view::{AttentionView, DifferenceView, NotifierView, ReloadView};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::watch;

use crate::account::{Account, AppKind};
use crate::accounts::Accounts;
use crate::alarm::Alarm;
use crate::clock::{Clock, Timestamp};
use crate::feed::push::Pushers;
use crate::ids::{AccountId, AppName, RuleName};
use crate::rules::Rule;
use crate::store::{LocalStore, Store, StoreError, StoredDelivery};
use crate::work::{AppliedAccount, DecidedNow, PlanScope, SavedPlan};

/// What the admin listener works with.
#[derive(Debug)]
pub struct AdminState {
    pub store: Arc<dyn Store>,
    /// The same, where it is one that can be copied.
    pub local: Option<LocalStore>,
    pub clock: Arc<dyn Clock>,
    pub tokens: Tokens,
    pub hosts: Hosts,
    pub apps: watch::Receiver<Vec<AdminApp>>,
    /// Reads the configuration again; none where nothing runs.
    pub reload: Option<Arc<dyn Reload>>,
    pub stats: Arc<dyn Stats>,
    pub sweeps: Arc<dyn Sweeps>,
    pub engine: Arc<dyn Engine>,
    /// None where nothing runs.
    pub take_back: Option<Arc<dyn take_back::TakesBack>>,
    /// Who is served beside the configuration; none where nothing runs.
    pub accounts: Option<Arc<Accounts>>,
    /// None where nothing runs.
    pub onboards: Option<Arc<dyn onboarding::Onboards>>,
    pub errands: Option<Arc<dyn errands::RunsErrands>>,
    pub meetings: Option<Arc<dyn meetings::KnowsMeetings>>,
    /// None where nothing runs.
    pub users: Option<Arc<dyn users::KnowsUsers>>,
    /// Who waits for entries of the audit log.
    pub readers: Readers,
    /// Consumers that take the log; none where nothing runs.
    pub pushers: Option<Arc<Pushers>>,
    pub started_at: Timestamp,
}

/// An app as the configuration has it, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminApp {
    pub name: AppName,
    pub kind: AppKind,
    pub accounts: Vec<Account>,
}

impl AdminApp {
    fn ids(&self) -> impl Iterator<Item = &AccountId> {
        self.accounts.iter().map(|account| &account.id)
    }
}

impl AdminState {
    /// The one app that holds the account.
    fn app_of(&self, account: &AccountId) -> Option<AppName> {
        let apps = self.apps.borrow();
        apps.iter().find(|app| app.ids().any(|id| id == account)).map(|app| app.name.clone())
    }

    /// The accounts that the caller may know of.
    fn accounts_of(&self, caller: &Caller) -> Vec<AccountId> {
        let apps = self.apps.borrow();
        apps.iter().flat_map(AdminApp::ids).filter(|account| caller.sees(account)).cloned().collect()
    }

    /// Refused, with those that there are, for an account that the caller knows no app to hold.
    fn serves(&self, caller: &Caller, account: &AccountId) -> Result<(), ApiProblem> {
        let known = self.accounts_of(caller);
        if known.contains(account) {
            return Ok(());
        }
        let known: Vec<&str> = known.iter().map(AccountId::as_str).collect();
        Err(ApiProblem::not_found(format!("account {account}: expected one of {}", known.join(", "))))
    }
}

/// Takes in a changed configuration.
#[async_trait]
pub trait Reload: fmt::Debug + Send + Sync {
    /// All of it or nothing.
    ///
    /// # Errors
    /// Everything that is wrong with it, as text for a person.
    async fn reload(&self) -> Result<ReloadView, String>;

    /// What a reload, and beyond it a start, would take in. Changes nothing.
    ///
    /// # Errors
    /// What a reload would be refused for.
    async fn difference(&self) -> Result<DifferenceView, String>;

    /// Somebody saw what these rules would change, each with what tells it from what it was, in hex: where a plan is
    /// required, those that run as they were then do from now on what their mode says.
    async fn planned(&self, rules: &BTreeMap<RuleName, String>) -> Result<(), StoreError>;
}

/// What the running parts have counted since the start.
pub trait Stats: fmt::Debug + Send + Sync {
    fn counts(&self) -> Counts;
}

#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Deliveries stored.
    pub accepted: u64,
    /// Url validations answered.
    pub validated: u64,
    /// Requests refused, by [`RefusalKind::code`](crate::web::RefusalKind::code).
    pub refused: Vec<(&'static str, u64)>,
    /// By what an attempt came to: `done`, `snooze`, `retry`, `park`.
    pub outcomes: Vec<(&'static str, u64)>,
    /// By class: `2xx`, `4xx`, `429`, `5xx`, `none`.
    pub zoom_calls: Vec<(&'static str, u64)>,
    pub alarms: Vec<Alarm>,
    pub notifiers: Vec<NotifierView>,
}

/// What decides: the rules as they are now.
#[async_trait::async_trait]
pub trait Engine: fmt::Debug + Send + Sync {
    fn rules(&self) -> Vec<Rule>;

    /// What the rules would change in each account, or in the one that is named; or why that cannot be said.
    async fn plan(&self, account: Option<AccountId>, scope: PlanScope) -> Result<SavedPlan, String>;

    /// What the rules of now would do about a delivery, as Zoom is now; or why that cannot be said.
    async fn decide(&self, delivery: &StoredDelivery) -> Result<Vec<DecidedNow>, String>;

    /// Asks for all that the plan would change, or, for a check, says what that would be; or why the plan may not be applied.
    async fn apply(&self, plan: &SavedPlan, by: &str, is_check: bool) -> Result<Vec<AppliedAccount>, String>;
}

/// The rules of a service that is stopped.
#[async_trait::async_trait]
impl Engine for Vec<Rule> {
    fn rules(&self) -> Vec<Rule> {
        self.clone()
    }

    async fn plan(&self, _: Option<AccountId>, _: PlanScope) -> Result<SavedPlan, String> {
        Err("the service is stopped, and a plan asks Zoom".to_owned())
    }

    async fn decide(&self, _: &StoredDelivery) -> Result<Vec<DecidedNow>, String> {
        Err("the service is stopped, and this asks Zoom".to_owned())
    }

    async fn apply(&self, _: &SavedPlan, _: &str, _: bool) -> Result<Vec<AppliedAccount>, String> {
        Err("the service is stopped, and cannot apply a plan".to_owned())
    }
}

/// Nothing runs, so nothing was counted: a store that is looked at while the service is stopped.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStats;

impl Stats for NoStats {
    fn counts(&self) -> Counts {
        Counts::default()
    }
}

/// The listener's routes, guarded.
pub fn router(state: Arc<AdminState>) -> Router {
    let open = Router::new().route("/livez", get(routes::livez)).route("/readyz", get(routes::readyz));
    let guarded = table::router(Arc::clone(&state)).layer(from_fn_with_state(Arc::clone(&state), guard::guard));
    let open = open.method_not_allowed_fallback(async || routes::takes("GET"));
    open.with_state(state).fallback_service(guarded)
}

/// The routes for whoever asks without a token: the command line, on the folder of a stopped service.
pub fn api(state: Arc<AdminState>, caller: Caller) -> Router {
    table::router(state).layer(Extension(caller))
}
