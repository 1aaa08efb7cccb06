//! The whole service without its process: the receiver on a real socket, planner and workers, a store, and the simulated
//! Zoom over real HTTP in both directions. Time stands still unless a test moves it.
//!
//! A test does something at Zoom, drains, and looks at Zoom and at the audit log. When a [`TestApp`] goes, it fails on work
//! that was left, on calls that Zoom refused and nobody expected, and on an audit log that does not add up.

mod backfilling;
mod big_world;
mod contests;
mod converging;
mod ending;
mod ensuring;
mod explaining;
mod folding;
mod guarding;
mod kinds;
mod looking;
mod on_events;
mod onboarding;
mod orphaned;
mod planning;
mod returning;
mod running;
mod scenarios;
mod sending;
mod silence;
mod sweeping;
mod taking_back;
mod telling;
mod timers;
mod waiting;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use adjutant::account::{Account, Plan};
use adjutant::alarm::Severity;
use adjutant::audit::Entry;
use adjutant::audit::tree::Frontier;
use adjutant::chance::SeededChance;
use adjutant::clock::{Clock, ManualClock, Timestamp};
use adjutant::event::signature::Secret;
use adjutant::feed::{Consumers, Template};
use adjutant::ids::{AccountId, AppName, Email};
use adjutant::job::{Effect, Job, JobState};
use adjutant::rules::{Condition, Fold, On, Orphaned, Rule, SendTo, Timer};
use adjutant::sim::{Call, NewAccount, Sim, Subscription, World};
use adjutant::store::{JobFilter, MemoryStore, Move, Selector, Store, SweepState};
use adjutant::web::accept::{AcceptSettings, Acceptor};
use adjutant::web::webhook::{Receiver, ReceiverApp, ReceiverSettings};
use adjutant::work::Moves;
use adjutant::worker::{Order, Parts, Planner, Roster, Runner, Settings, SweepSettings, Sweeper};
use adjutant::zoom::{self, AccountClient, Credentials, ZoomClients, ZoomStats};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) const ACCOUNT: &str = "acme";
pub(crate) const API_USER: &str = "api@acme.example";
/// Somebody whom a rule may name as an assistant.
pub(crate) const DEPUTY: &str = "deputy@acme.example";
const SECRET: &str = "a-webhook-secret-of-tests";
/// Ten minutes into some hour.
const START: Timestamp = Timestamp::from_secs(1_800_000_600);

/// A store that a test can take down and open again.
pub(crate) trait Reopen: Send {
    fn store(&self) -> Arc<dyn Store>;

    /// As the process finds it after its end and a new start.
    fn reopen(&mut self);
}

impl Reopen for MemoryStore {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    fn reopen(&mut self) {
        *self = self.restart().unwrap();
    }
}

/// A rule as in the configuration, which reads conditions by itself for the sake of their places.
fn rule(text: &str) -> Rule {
    let mut table: toml::Table = text.parse().unwrap();
    let condition = table.remove("when");
    let on = table.remove("on").map(|events| events.try_into::<Vec<String>>().unwrap());
    let after = table.remove("after").map(|after| Timer::span(after.as_str().unwrap()).unwrap());
    let unless = table.remove("unless").map_or(Vec::new(), |events| events.try_into().unwrap());
    let fold = table.remove("fold").map(|fold| fold.try_into::<Fold>().unwrap());
    let successor = table.remove("successor").map(|email| Email::parse(email.as_str().unwrap()).unwrap());
    let orphaned = table.remove("report").and(successor).map(|successor| Orphaned { successor });
    let timer = after.map(|after| Timer { after, unless });
    let text = |value: toml::Value| value.as_str().unwrap().to_owned();
    let template = table.remove("template").map(text);
    let consumer = table.remove("send").map(|name| text(name).parse().unwrap());
    let severity = table.remove("severity").map(|severity| severity.try_into::<Severity>().unwrap());
    let rule: Rule = table.try_into().unwrap();
    let names = template.as_deref().map(|text: &str| Template::parse(text).unwrap().names()).unwrap_or_default();
    let send = |consumer| SendTo { consumer, is_to_people: false, severity, template, names };
    let rule = Rule { send: consumer.map(send), ..rule };
    let Some(events) = on else {
        let when = |text: toml::Value| Condition::compile(text.as_str().unwrap(), rule.subject.topic()).unwrap();
        return Rule { when: condition.map(when), ..rule };
    };
    let when = condition.map(|text| Condition::about_events(text.as_str().unwrap(), &events).unwrap());
    Rule { on: Some(On { events, timer, fold, orphaned, ..On::default() }.asking(when.as_ref())), ..rule }
}

/// What a test may leave behind where it says so.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Left {
    pub(crate) waiting: u64,
    pub(crate) parked: u64,
}

pub(crate) struct TestApp {
    pub(crate) world: World,
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<dyn Store>,
    sim: Sim,
    disk: Box<dyn Reopen>,
    roster: watch::Sender<Arc<Roster>>,
    pub(crate) sweeper: Arc<Sweeper>,
    parts: Parts,
    /// To whom rules send: nobody, where a test says nothing else.
    pub(crate) consumers: Arc<Consumers>,
    /// Calls, as the client counts them.
    zoom_stats: Arc<ZoomStats>,
    address: SocketAddr,
    door: Option<Door>,
    /// Method, part of the path and status of calls that Zoom may refuse.
    refusals: Mutex<Vec<(&'static str, &'static str, u16)>>,
    left: Mutex<Left>,
}

/// The public listener, open.
struct Door {
    close: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl TestApp {
    /// Everything with one account, one API user, these rules, and the store in memory.
    pub(crate) async fn start(rules: &[&str]) -> Self {
        Self::start_on(Box::new(MemoryStore::default()), rules).await
    }

    /// With a client that waits for its turn, as the service's does. Only for work under [`TestApp::ticking`].
    pub(crate) async fn start_patient(rules: &[&str]) -> Self {
        Self::start_with(Box::new(MemoryStore::default()), rules, zoom::Settings::default().limit_wait_max_ms).await
    }

    pub(crate) async fn start_on(disk: Box<dyn Reopen>, rules: &[&str]) -> Self {
        Self::start_with(disk, rules, 0).await
    }

    async fn start_with(disk: Box<dyn Reopen>, rules: &[&str], limit_wait_max_ms: u32) -> Self {
        let clock = ManualClock::at(START);
        let world = World::new(Arc::new(clock.clone()), Arc::new(SeededChance::new(7)));
        world.add_account(NewAccount::named(ACCOUNT)).unwrap();
        world.add_user(ACCOUNT, adjutant::sim::NewUser::licensed(API_USER)).unwrap();
        Self::start_in_world(disk, rules, limit_wait_max_ms, (world, clock), API_USER).await
    }

    /// In a world that is there already, with a client that waits for its turn.
    pub(crate) async fn start_in(world: World, clock: ManualClock, api_user: &str, rules: &[&str]) -> Self {
        let wait_ms = zoom::Settings::default().limit_wait_max_ms;
        Self::start_in_world(Box::new(MemoryStore::default()), rules, wait_ms, (world, clock), api_user).await
    }

    async fn start_in_world(
        disk: Box<dyn Reopen>,
        rules: &[&str],
        limit_wait_max_ms: u32,
        (world, clock): (World, ManualClock),
        api_user: &str,
    ) -> Self {
        let sim = Sim::start(world.clone()).await.unwrap();
        let rules: Vec<Rule> = rules.iter().map(|text| rule(text)).collect();
        let account = Account {
            api_users: vec![api_user.parse().unwrap()],
            may_grant: vec![Email::parse(DEPUTY).unwrap()],
            ..Account::new(AccountId::parse(ACCOUNT).unwrap(), AppName::parse("main").unwrap(), Plan::Business)
        };
        let store = disk.store();
        let (client, zoom_stats) = client(&sim, &account, &clock, limit_wait_max_ms);
        let zooms = HashMap::from([(account.id.clone(), client)]);
        let roster = watch::Sender::new(Arc::new(Roster::new([account], rules)));
        let consumers = Arc::new(Consumers::new(&[], Arc::new(clock.clone())));
        let parts = Parts {
            store: Arc::clone(&store),
            zooms: Arc::new(zooms),
            roster: roster.subscribe(),
            clock: Arc::new(clock.clone()),
            chance: Arc::new(SeededChance::new(11)),
            facts: Arc::default(),
            feed: Arc::<Consumers>::clone(&consumers),
            accounts: None,
            stats: Arc::default(),
            // Hosts who can host no more have tests of their own.
            settings: Settings { moves: Moves { watch_hosts: false, ..Moves::default() }, ..Settings::default() },
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let (refusals, left) = (Mutex::default(), Mutex::default());
        let sweeper = Arc::new(Sweeper::new(parts.clone(), SweepSettings::default()));
        let mut app = Self {
            world,
            clock,
            store,
            sim,
            disk,
            roster,
            sweeper,
            parts,
            consumers,
            zoom_stats,
            address,
            door: None,
            refusals,
            left,
        };
        app.open().await;
        app.subscribe();
        app
    }

    /// Zoom tells us of everything, once more than before.
    pub(crate) fn subscribe(&self) {
        let url = format!("http://{}/webhooks/main", self.address);
        self.world.subscribe(ACCOUNT, Subscription::to_all(url, SECRET)).unwrap();
    }

    async fn open(&mut self) {
        let name = AppName::parse("main").unwrap();
        let apps = vec![ReceiverApp { name, secrets: vec![Secret::new(&SECRET.into()).unwrap()] }];
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let receiver = Receiver::open(apps, Arc::clone(&self.store), clock, ReceiverSettings::default()).await.unwrap();
        // Another test may have been given the port meanwhile, and gives it back.
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => tokio::task::yield_now().await,
                bound => break bound.unwrap(),
            }
        };
        self.address = listener.local_addr().unwrap();
        let (close, closed) = oneshot::channel::<()>();
        let router = receiver.router();
        let served = tokio::spawn(async move {
            let until = async {
                let _closed = closed.await;
            };
            Acceptor::new(AcceptSettings::default()).serve(listener, router, until, Duration::ZERO).await;
        });
        self.door = Some(Door { close, served });
    }

    /// The listener is closed: Zoom cannot deliver.
    pub(crate) async fn close(&mut self) {
        if let Some(door) = self.door.take() {
            let _gone = door.close.send(());
            door.served.await.unwrap();
        }
    }

    /// The process ends and starts again; what it had in memory is gone.
    pub(crate) async fn restart(&mut self) {
        self.close().await;
        self.disk.reopen();
        self.store = self.disk.store();
        self.parts.store = Arc::clone(&self.store);
        self.parts.facts = Arc::default();
        self.sweeper = Arc::new(Sweeper::new(self.parts.clone(), SweepSettings::default()));
        self.open().await;
    }

    pub(crate) fn set_rules(&self, rules: &[&str]) {
        let accounts: Vec<_> = self.roster.borrow().accounts().cloned().collect();
        let rules = rules.iter().map(|text| rule(text)).collect();
        self.roster.send_replace(Arc::new(Roster::new(accounts, rules)));
    }

    /// As many invitations a day as the configuration allows.
    pub(crate) fn set_invites_per_day(&self, invites_per_day: u32) {
        let (accounts, rules): (Vec<Account>, Vec<Rule>) = {
            let roster = self.roster.borrow();
            (roster.accounts().map(|one| Account { invites_per_day, ..one.clone() }).collect(), roster.rules().to_vec())
        };
        self.roster.send_replace(Arc::new(Roster::new(accounts, rules)));
    }

    /// Whether a person stopped the account for a while, and whether it has no API user that is fit.
    pub(crate) fn hold(&self, is_paused: bool, only_observes: bool) {
        let (accounts, rules): (Vec<Account>, Vec<Rule>) = {
            let roster = self.roster.borrow();
            (roster.accounts().map(|one| Account { only_observes, ..one.clone() }).collect(), roster.rules().to_vec())
        };
        let paused = accounts.first().filter(|_| is_paused).map(|one| one.id.clone());
        self.roster.send_replace(Arc::new(Roster::new(accounts, rules).with_paused(paused)));
    }

    /// Lets Zoom deliver what is due, and waits for the receipts.
    pub(crate) async fn deliver(&self) {
        self.sim.settle().await;
    }

    /// Delivers, plans and works until nothing is due now, also none of the events that our own changes made.
    pub(crate) async fn drain(&self) {
        let (planner, runner) = (Planner::new(self.parts.clone()), Runner::new(self.parts.clone()));
        loop {
            self.deliver().await;
            let deliveries = planner.plan_once(&Arc::clone(&self.roster.borrow())).await.unwrap();
            let attempts = runner.run_due().await.unwrap();
            if deliveries == 0 && attempts == 0 {
                return;
            }
        }
    }

    /// Lets time pass, from one due job to the next, and drains at each.
    pub(crate) async fn advance(&self, by: Duration) {
        let end = self.clock.now().plus(by);
        self.drain().await;
        while let Some(due) = self.store.next_due().await.unwrap().filter(|due| *due <= end) {
            self.clock.set(due.max(self.clock.now()));
            self.drain().await;
        }
        self.clock.set(end.max(self.clock.now()));
        self.drain().await;
    }

    /// A sweep of the whole account, from its beginning to the end of the work that it asks for.
    pub(crate) async fn sweep(&self) {
        assert!(self.sweeper.ask(&AccountId::parse(ACCOUNT).unwrap(), Order::default()).await.unwrap());
        self.ticking(self.finish_sweep()).await;
        self.ticking(self.drain()).await;
        self.ticking(self.advance(Duration::from_secs(120))).await;
    }

    /// The sweeps that are due, and the work that they ask for.
    pub(crate) async fn sweep_due(&self) {
        self.ticking(self.sweeper.run_due()).await.unwrap();
        self.ticking(self.drain()).await;
        self.ticking(self.advance(Duration::from_secs(1))).await;
    }

    /// Time passes while this is done, for what waits for its turn under the rate limits.
    pub(crate) async fn ticking<T>(&self, work: impl Future<Output = T>) -> T {
        let (mut work, mut tick) = (std::pin::pin!(work), tokio::time::interval(Duration::from_millis(1)));
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = tick.tick() => self.clock.advance(Duration::from_millis(10)),
            }
        }
    }

    /// Goes on with a sweep to its end; works while it waits for that.
    pub(crate) async fn finish_sweep(&self) {
        loop {
            let next = self.sweeper.step_all().await.unwrap();
            if self.swept().await.run.is_none() {
                break;
            }
            if next > self.clock.now() {
                self.drain().await;
                self.clock.set(next.max(self.clock.now()));
            }
        }
    }

    /// Calls of the API whose path contains this.
    pub(crate) fn calls(&self, path_contains: &str) -> usize {
        self.world
            .calls()
            .iter()
            .filter(|call| !call.path.starts_with("/oauth") && call.path.contains(path_contains))
            .count()
    }

    /// Work that nothing would end by itself.
    pub(crate) async fn cancel_all(&self) {
        let account = AccountId::parse(ACCOUNT).unwrap();
        self.store.cancel_jobs(&account, None, "the end of a test", self.clock.now()).await.unwrap();
    }

    pub(crate) fn account(&self) -> Account {
        self.roster.borrow().accounts().next().unwrap().clone()
    }

    pub(crate) async fn swept(&self) -> SweepState {
        self.store.sweep_state(&AccountId::parse(ACCOUNT).unwrap()).await.unwrap()
    }

    pub(crate) async fn jobs(&self) -> Vec<Job> {
        self.store.jobs(JobFilter { limit: 10_000, ..JobFilter::default() }).await.unwrap()
    }

    /// The state of the newest job in a few words: `waiting user-pending`, `parked not-found`, `changed`.
    pub(crate) async fn state(&self) -> String {
        let newest = self.jobs().await.swap_remove(0);
        match newest.state {
            JobState::Waiting { reason, .. } => format!("waiting {}", reason.code()),
            JobState::Parked { cause, .. } => format!("parked {}", cause.code()),
            JobState::Done { effect, .. } => match effect {
                Effect::Changed { .. } => "changed".to_owned(),
                Effect::AlreadyRight => "already right".to_owned(),
                Effect::WouldChange { what } => format!("would {what}"),
                Effect::NotApplicable { why } => why,
                Effect::Reported { what } => what,
                Effect::Sent { what } => format!("sent {what}"),
                Effect::WouldSend { what } => format!("would send {what}"),
                Effect::Refused { code, .. } => format!("refused {code}"),
            },
            JobState::Cancelled { why, .. } => format!("cancelled {why}"),
            state => state.name().to_owned(),
        }
    }

    pub(crate) async fn retry_parked(&self, cause: &str) -> u64 {
        let which = Selector::ParkedFor { cause: cause.to_owned(), rule: None, account: None };
        self.store.move_jobs(which, Move::Retry, "a test", self.clock.now()).await.unwrap()
    }

    pub(crate) async fn entries(&self, code: &str) -> Vec<Entry> {
        let all = self.store.entries(0, usize::MAX).await.unwrap();
        all.into_iter().filter(|entry| entry.code == code).collect()
    }

    /// Zoom will refuse such a call. Without this word for it a refusal fails the test, since work reads before it writes;
    /// and so does the word without a refusal.
    pub(crate) fn expect_refusal(&self, method: &'static str, path_contains: &'static str, status: u16) {
        self.refusals.lock().unwrap().push((method, path_contains, status));
    }

    /// So many jobs are left when the test ends, and the test has looked at each.
    pub(crate) fn expect_left(&self, left: Left) {
        *self.left.lock().unwrap() = left;
    }

    /// What Zoom itself refused, planned faults aside.
    fn refused(&self) -> Vec<Call> {
        let refused = |call: &Call| call.acted && call.status.is_some_and(|status| status >= 400);
        self.world.calls().into_iter().filter(refused).collect()
    }

    pub(crate) fn assistants(&self, user: &str) -> Vec<String> {
        self.world.assistants(ACCOUNT, user)
    }
}

/// The real client. Mostly it does not wait for its turn: a clock that stands still would let it wait for ever.
fn client(
    sim: &Sim,
    account: &Account,
    clock: &ManualClock,
    limit_wait_max_ms: u32,
) -> (AccountClient, Arc<ZoomStats>) {
    let settings = zoom::Settings {
        api_url: sim.api_url(),
        oauth_url: sim.oauth_url(),
        limit_wait_max_ms,
        ..zoom::Settings::default()
    };
    let clients = ZoomClients::new(settings, Arc::new(clock.clone()), Arc::new(SeededChance::new(13))).unwrap();
    let (client_id, secret) = (format!("client-{}", account.id), format!("client-secret-{}", account.id));
    let credentials = Credentials { client_id, client_secret: secret.into() };
    (clients.account(account, credentials), clients.stats())
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let status = block_on(self.store.status()).unwrap();
        let left = [status.unplanned, status.due, status.running, status.waiting, status.parked];
        let Left { waiting, parked } = *self.left.lock().unwrap();
        let expected = left == [0, 0, 0, waiting, parked];
        assert!(expected, "left behind: unplanned, due, running, waiting, parked = {left:?}");
        assert_eq!(self.world.faults_left(), 0, "planned faults that nothing met");
        let (mut refused, expected) = (self.refused(), self.refusals.lock().unwrap().clone());
        for (method, path, status) in expected {
            let before = refused.len();
            refused.retain(|call| {
                (call.method.as_str(), call.status) != (method, Some(status)) || !call.path.contains(path)
            });
            assert!(refused.len() < before, "expected, but not refused: {method} {path} {status}");
        }
        assert!(refused.is_empty(), "calls that nobody expected: {refused:#?}");
        let (entries, head) = (block_on(self.store.entries(0, usize::MAX)).unwrap(), block_on(self.store.tree_head()));
        let (mut tree, head) = (Frontier::default(), head.unwrap());
        for entry in &entries {
            assert_eq!(tree.push(entry.leaf), entry.index, "the audit log has a gap");
        }
        assert_eq!((tree.size(), tree.root()), (head.size, head.root), "the audit log does not add up");
    }
}

/// Waits for a store without a runtime: a drop cannot be async.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
