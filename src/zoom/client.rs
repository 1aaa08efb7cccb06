//! The client: one per process, with one account client per app and account, and a handle per attempt.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio_util::task::TaskTracker;

use super::edit::{CreateAction, Edit, Made};
use super::endpoint::Endpoint;
use super::errors::{Failure, classify};
use super::health::{Health, Standing};
use super::limits::{Limits, Turn};
use super::port::{
    Assistant, FailedDelivery, Group, Listed, Meeting, MeetingRow, Member, Object, Page, Scheduler, Status, User,
    UserPage, Which, Zoom, ZoomError,
};
use super::request::Request;
use super::settings::{Settings, SettingsError};
use super::stats::ZoomStats;
use super::token::{Access, Token, Tokens};
use super::told::ToldLimit;
use super::transport::{Answer, Http, TlsError};
use super::{answers, paths};
use crate::account::{Account, Plan, QuotaUse, UserKey};
use crate::audit::Call;
use crate::chance::Chance;
use crate::clock::{Clock, Stopwatch, Timestamp, lock};
use crate::ids::{AccountId, GroupId, MarketplaceId, MeetingId};
use crate::job::Intent;

/// A token that is older may lack scopes that the app was given since, so that a new one is worth a try.
const SCOPES_SETTLE: Duration = Duration::from_secs(60);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What all account clients of the process share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) http: Http,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Arc<dyn Chance>,
    pub(super) stats: Arc<ZoomStats>,
    /// Fetches of tokens, which go on where nobody waits for them any more: on the runtime of the clients, since that of
    /// whoever asks may end before.
    pub(super) fetching: TaskTracker,
    pub(super) runtime: tokio::runtime::Handle,
}

/// Makes account clients. One per process: connections, counters and the limits of each account are shared.
#[derive(Debug)]
pub struct ZoomClients {
    shared: Arc<Shared>,
    limits: Mutex<HashMap<AccountId, (Plan, Arc<Limits>)>>,
}

impl ZoomClients {
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Result<Self, ClientError> {
        settings.check()?;
        let http = Http::new(&settings)?;
        let shared = Shared {
            settings,
            http,
            clock,
            chance,
            stats: Arc::default(),
            fetching: TaskTracker::new(),
            runtime: tokio::runtime::Handle::current(),
        };
        Ok(Self { shared: Arc::new(shared), limits: Mutex::default() })
    }

    /// A client for an account that an app holds. Two apps that hold the same account share its limits, as long as they name
    /// the same plan.
    pub fn account(&self, account: &Account, access: impl Into<Access>) -> AccountClient {
        let tokens = Tokens::new(Arc::clone(&self.shared), account.id.clone(), access.into());
        self.with_tokens(account, tokens)
    }

    /// The same, by the tokens of another of its clients: whoever refreshes them stays one.
    pub fn again(&self, account: &Account, before: &AccountClient) -> AccountClient {
        self.with_tokens(account, Arc::clone(&before.inner.tokens))
    }

    fn with_tokens(&self, account: &Account, tokens: Arc<Tokens>) -> AccountClient {
        let now = self.shared.clock.now();
        let limits = || {
            let settings = &self.shared.settings;
            let limits = Limits::new(account.plan, settings.rate_share_percent, now);
            (account.plan, Arc::new(limits.with_sweeps(account.plan, settings.sweep_share_percent, now)))
        };
        let limits = {
            let mut all = lock(&self.limits);
            let of_account = all.entry(account.id.clone()).or_insert_with(limits);
            if of_account.0 != account.plan {
                *of_account = limits();
            }
            Arc::clone(&of_account.1)
        };
        let (id, shared) = (account.id.clone(), Arc::clone(&self.shared));
        AccountClient { inner: Arc::new(Inner { id, shared, tokens, limits, health: Health::default() }) }
    }

    /// Forgets what is known of all other accounts.
    pub fn retain(&self, is_served: impl Fn(&AccountId) -> bool) {
        lock(&self.limits).retain(|account, _| is_served(account));
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Ends when no token is being fetched: a process that ends before may lose one that cannot be had again.
    pub async fn settled(&self) {
        self.shared.fetching.close();
        self.shared.fetching.wait().await;
        self.shared.fetching.reopen();
    }

    pub fn stats(&self) -> Arc<ZoomStats> {
        Arc::clone(&self.shared.stats)
    }
}

/// One Zoom account, as one app may use it. Cheap to clone; the clones share everything.
#[derive(Debug, Clone)]
pub struct AccountClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: AccountId,
    shared: Arc<Shared>,
    tokens: Arc<Tokens>,
    limits: Arc<Limits>,
    health: Health,
}

impl AccountClient {
    pub fn id(&self) -> &AccountId {
        &self.inner.id
    }

    /// A handle for one attempt, which keeps a list of its calls.
    pub fn handle(&self) -> Handle {
        Handle { account: Arc::clone(&self.inner), calls: Mutex::default(), is_sweep: false }
    }

    /// A handle that uses no more of the rate than sweeps may.
    pub fn sweeping_handle(&self) -> Handle {
        Handle { is_sweep: true, ..self.handle() }
    }

    /// Takes in the calls of this UTC day that were made before the start. A number that is lower than what was counted
    /// since is ignored.
    pub fn seed_today(&self, used: QuotaUse) {
        self.inner.limits.seed_today(used, self.inner.shared.clock.now());
    }

    /// The calls of this UTC day, as far as they are known here.
    pub fn used_today(&self) -> QuotaUse {
        self.inner.limits.used_today(self.inner.shared.clock.now())
    }

    /// What is wrong between us and Zoom, by the last calls.
    pub fn standing(&self) -> Standing {
        self.inner.health.standing()
    }

    /// The rate limits that Zoom's answers stated so far.
    pub fn told_limits(&self) -> BTreeSet<ToldLimit> {
        self.inner.limits.told_so_far()
    }

    /// Refreshes what an installation was given, where that was longer ago than `idle`.
    pub async fn keep_alive(&self, idle: Duration) {
        self.inner.tokens.keep_alive(idle).await;
    }

    /// The scopes of the app's token, which is fetched if there is none. Compare with [`Endpoint::scopes`].
    pub async fn granted_scopes(&self) -> Result<BTreeSet<String>, ZoomError> {
        Ok(self.inner.tokens.get().await?.scopes.clone())
    }
}

/// Zoom for one attempt: implements [`Zoom`] and remembers its calls.
#[derive(Debug)]
pub struct Handle {
    account: Arc<Inner>,
    calls: Mutex<Vec<Call>>,
    /// Only the part of the rate that is for sweeps.
    is_sweep: bool,
}

impl Handle {
    /// Does a call, with a new token and once more where the token is not taken. Ends within
    /// [`Settings::call_longest`], so that a lease can outlast it.
    async fn call(&self, request: Request) -> Result<Answer, ZoomError> {
        let longest = self.account.shared.settings.call_longest();
        let came_to = match tokio::time::timeout(longest, self.attempts(&request)).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(ZoomError::Transient(format!("Zoom was not done within {longest:?}"))),
        };
        self.account.health.saw(&came_to, self.account.shared.clock.now());
        came_to
    }

    async fn attempts(&self, request: &Request) -> Result<Answer, ZoomError> {
        let mut is_second = false;
        loop {
            let token = self.account.tokens.get().await?;
            self.account.turn(request.endpoint, self.is_sweep).await?;
            let answer = self.send(request, &token).await?;
            if answer.is_success() {
                // Of a 429 the pause says enough, and one about a single user has headers of another bucket.
                self.account.limits.told(&answer.headers, self.account.shared.clock.now());
                return Ok(answer);
            }
            let failure = self.account.failure(request.endpoint, &answer);
            let now = self.account.shared.clock.now();
            let token_is_why = match &failure {
                Failure::Token { .. } => true,
                Failure::Scopes(_) => token.fetched_at.plus(SCOPES_SETTLE) <= now,
                Failure::Limited(_) | Failure::Other(_) => false,
            };
            let is_certain = is_second && matches!(failure, Failure::Token { is_sure: true, .. });
            let error = ZoomError::from(failure);
            if token_is_why {
                let refused = if is_certain { Some(error.clone()) } else { None };
                self.account.tokens.discard(&token, refused).await;
            }
            if !token_is_why || is_second {
                return Err(error);
            }
            is_second = true;
        }
    }

    async fn send(&self, request: &Request, token: &Token) -> Result<Answer, ZoomError> {
        let shared = &self.account.shared;
        let base = token.api_url.as_deref().unwrap_or(&shared.settings.api_url);
        let Some(url) = paths::below(base, &request.path) else {
            return Err(ZoomError::unsent("its address would lead elsewhere"));
        };
        let call = shared.http.client().request(request.endpoint.method(), url);
        let call = call.bearer_auth(token.secret.expose_secret()).header(http::header::ACCEPT, "application/json");
        let call = match &request.body {
            Some(body) => call.json(body),
            None => call,
        };
        let place = self.record(request);
        let (watch, mut under_way) = (Stopwatch::start(), shared.stats.begin());
        let answer = shared.http.send(call).await;
        let status = answer.as_ref().ok().map(|answer| answer.status);
        under_way.status = status;
        if let Some(call) = lock(&self.calls).get_mut(place) {
            call.status = status;
            call.millis = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        answer
    }

    /// Notes a call before it is made, so that one that is cut off is not forgotten.
    fn record(&self, request: &Request) -> usize {
        let call = Call {
            method: request.endpoint.method().to_string(),
            path: request.path.clone(),
            category: request.endpoint.category().name().to_owned(),
            status: None,
            millis: 0,
            intent: request.intent,
        };
        let mut calls = lock(&self.calls);
        calls.push(call);
        calls.len().saturating_sub(1)
    }

    async fn get(&self, request: Request) -> Result<Vec<u8>, ZoomError> {
        self.call(request).await?.body
    }
}

impl Inner {
    /// Waits for a turn under the account's limits, or says until when there is none.
    async fn turn(&self, endpoint: Endpoint, is_sweep: bool) -> Result<(), ZoomError> {
        let (clock, category) = (&self.shared.clock, endpoint.category());
        let latest = clock.now().plus(self.shared.settings.limit_wait_max());
        loop {
            let now = clock.now();
            match self.limits.turn_of(is_sweep, category, now, latest.max(now)) {
                Turn::At(at) if at <= now => return Ok(()),
                Turn::At(at) => clock.sleep_until(at).await,
                Turn::Limited { until, why } => {
                    self.shared.stats.held_back();
                    return Err(ZoomError::Limited { until, why });
                }
            }
            let now = clock.now();
            if !self.limits.is_paused(category, now) {
                return Ok(());
            }
            // Zoom throttled somebody meanwhile.
            self.limits.give_back(is_sweep, category, now);
        }
    }

    fn failure(&self, endpoint: Endpoint, answer: &Answer) -> Failure {
        let now = self.shared.clock.now();
        let (unit, body) = (self.shared.chance.unit(), answer.error_body());
        let failure = classify(endpoint, answer.status, &answer.headers, body, now, unit);
        if let Failure::Limited(limited) = &failure {
            tracing::info!(account = %self.id, until = %limited.until, "Zoom throttles");
            if limited.all {
                self.limits.pause(endpoint.category(), now, limited.until, &limited.why);
            }
        }
        failure
    }
}

#[async_trait::async_trait]
impl Zoom for Handle {
    async fn user(&self, user: &UserKey) -> Result<User, ZoomError> {
        answers::user(&self.get(Request::new(Endpoint::GetUser, &[user.as_str()])).await?)
    }

    async fn users(&self, status: Status, page: Page) -> Result<UserPage, ZoomError> {
        let word = match status {
            Status::Active => "active",
            Status::Inactive => "inactive",
            Status::Pending => "pending",
            Status::Unknown => return Err(ZoomError::unsent("users cannot be listed by an unknown status")),
        };
        let request = Request::new(Endpoint::ListUsers, &[]).with_page(&[("status", word)], &page);
        answers::users(status, &self.get(request).await?)
    }

    async fn assistants(&self, of: &UserKey) -> Result<Vec<Assistant>, ZoomError> {
        answers::assistants(&self.get(Request::new(Endpoint::ListAssistants, &[of.as_str()])).await?)
    }

    async fn schedulers(&self, of: &UserKey) -> Result<Vec<Scheduler>, ZoomError> {
        answers::schedulers(&self.get(Request::new(Endpoint::ListSchedulers, &[of.as_str()])).await?)
    }

    async fn user_settings(&self, of: &UserKey) -> Result<Object, ZoomError> {
        let request = Request::new(Endpoint::GetUserSettings, &[of.as_str()]);
        answers::object("a user's settings", &self.get(request).await?)
    }

    async fn account_settings(&self) -> Result<Object, ZoomError> {
        let request = Request::new(Endpoint::GetAccountSettings, &[]);
        answers::object("the account's settings", &self.get(request).await?)
    }

    async fn groups(&self, page: Page) -> Result<Listed<Group>, ZoomError> {
        let request = Request::new(Endpoint::ListGroups, &[]).with_page(&[], &page);
        answers::groups(&self.get(request).await?)
    }

    async fn group_members(&self, group: &GroupId, page: Page) -> Result<Listed<Member>, ZoomError> {
        let request = Request::new(Endpoint::ListGroupMembers, &[group.as_str()]).with_page(&[], &page);
        answers::members(&self.get(request).await?)
    }

    async fn meeting(&self, id: MeetingId) -> Result<Meeting, ZoomError> {
        answers::meeting(id, &self.get(Request::new(Endpoint::GetMeeting, &[&id.to_string()])).await?)
    }

    async fn meetings(&self, of: &UserKey, which: Which, page: Page) -> Result<Listed<MeetingRow>, ZoomError> {
        let kind = match which {
            Which::Upcoming => "upcoming",
            Which::Scheduled => "scheduled",
        };
        let request = Request::new(Endpoint::ListMeetings, &[of.as_str()]).with_page(&[("type", kind)], &page);
        answers::meetings(&self.get(request).await?)
    }

    async fn failed_deliveries(
        &self,
        app: &MarketplaceId,
        (from, to): (Timestamp, Timestamp),
        page: Page,
    ) -> Result<Listed<FailedDelivery>, ZoomError> {
        let (from, to) = (from.to_string(), to.to_string());
        // Of the types 1 (all), 2 (failed) and 3 (successful).
        let pairs = [("from", from.as_str()), ("to", to.as_str()), ("type", "2")];
        let request = Request::new(Endpoint::ListWebhookLogs, &[app.as_str()]).with_page(&pairs, &page);
        answers::failed_deliveries(&self.get(request).await?)
    }

    /// The status says that it was done; whether it was, reading back shows. So of the body only the number of what was made
    /// matters.
    async fn change(&self, intent: &Intent, edit: Edit) -> Result<Made, ZoomError> {
        let request = Request::of(&edit).ok_or_else(|| ZoomError::unsent("no one call can make this change"))?;
        let request = match &edit {
            Edit::CreateUser(new) if new.action == CreateAction::AutoCreate => {
                request.with_password(self.account.shared.chance.next_u64())
            }
            _ => request,
        };
        let request = Request { intent: Some(intent.entry()), ..request };
        let answer = self.call(request).await?;
        crate::breakpoint::reached("zoom-changed");
        match edit {
            Edit::CreateMeeting { .. } => Ok(Made { meeting: Some(answers::made(&answer.body?)?) }),
            _ => Ok(Made::default()),
        }
    }

    fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }
}
