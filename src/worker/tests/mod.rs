//! Planner, runner and tasks together, over the store in memory and a small Zoom behind the port.

mod engine;
mod errands;
mod fake;
mod forgotten;
mod lent;
mod lost;
mod movable;
mod planning;
mod returning;
mod sweeping;
mod tasks;
mod tidying;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Parts, Planner, Roster, Runner, Settings};
use crate::account::{Account, Plan};
use crate::audit::Entry;
use crate::chance::SeededChance;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::event::signature::{Secret, Verified, Window, sign, verify};
use crate::feed::Consumers;
use crate::ids::{AccountId, AppName, DeliveryId};
use crate::job::{Job, JobState};
use crate::rules::{Condition, Rule};
use crate::store::{JobFilter, MemoryStore, NewDelivery, Store};
use crate::work::Moves;
use crate::zoom::Status;
use fake::FakeZoom;

const ASSISTANTS: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
except = ["Boss@Example.com"]
"#;

const WAITING_ROOM: &str = r#"
name = "waiting-room"
for = "meeting"
ensure = { settings = { waiting_room = true } }
mode = "enforce"
"#;

/// The start of the tests: some hour, ten minutes in.
const START: Timestamp = Timestamp::from_secs(1_800_000_600);

fn rule(text: &str) -> Rule {
    let mut table: toml::Table = text.parse().unwrap();
    let when = table.remove("when");
    let mut rule: Rule = table.try_into().unwrap();
    let when = when.map(|when| Condition::compile(when.as_str().unwrap(), rule.subject.topic()).unwrap());
    rule.when = when;
    rule.check().unwrap();
    rule
}

fn app() -> AppName {
    AppName::parse("main").unwrap()
}

fn account(id: &str, api_users: &[&str]) -> Account {
    let api_users = api_users.iter().map(|key| key.parse().unwrap()).collect();
    Account { api_users, ..Account::new(AccountId::parse(id).unwrap(), app(), Plan::Business) }
}

/// A delivery that was signed and verified, since nothing else makes one.
fn verified(body: &Value, at: Timestamp) -> Verified {
    let secret = Secret::new(&"a-webhook-secret-of-tests".into()).unwrap();
    let (body, secs) = (body.to_string(), at.as_secs());
    let mut headers = http::HeaderMap::new();
    headers.insert("x-zm-signature", sign(&secret, &secs.to_string(), body.as_bytes()).parse().unwrap());
    headers.insert("x-zm-request-timestamp", secs.into());
    verify(&headers, body.into(), &[secret], secs, Window { past: 1, future: 1 }).unwrap().0
}

struct Bench {
    store: MemoryStore,
    zoom: FakeZoom,
    clock: ManualClock,
    roster: watch::Sender<Arc<Roster>>,
    parts: Parts,
    event_ts: AtomicI64,
}

impl Bench {
    fn new(rules: &[&str]) -> Self {
        Self::with(vec![account("acme", &["api@example.com"])], rules, Settings::default())
    }

    fn with(accounts: Vec<Account>, rules: &[&str], settings: Settings) -> Self {
        Self::on(MemoryStore::default(), accounts, rules, settings)
    }

    fn on(store: MemoryStore, accounts: Vec<Account>, rules: &[&str], settings: Settings) -> Self {
        let (zoom, clock) = (FakeZoom::default(), ManualClock::at(START));
        zoom.put_user("api", Status::Active, 2);
        zoom.set_active_users(10, true);
        let roster = Roster::new(accounts, rules.iter().map(|text| rule(text)).collect());
        let roster = watch::Sender::new(Arc::new(roster));
        let parts = Parts {
            store: Arc::new(store.clone()),
            zooms: Arc::new(zoom.clone()),
            roster: roster.subscribe(),
            clock: Arc::new(clock.clone()),
            chance: Arc::new(SeededChance::new(1)),
            facts: Arc::default(),
            feed: Arc::new(Consumers::new(&[], Arc::new(clock.clone()))),
            accounts: None,
            stats: Arc::default(),
            // Tests give it the turns that it needs, and wait for no time.
            settings: Settings { pace_ms: 0, moves: Moves { watch_hosts: false, ..settings.moves }, ..settings },
        };
        Self { store, zoom, clock, roster, parts, event_ts: AtomicI64::new(START.as_millis()) }
    }

    fn set_rules(&self, rules: &[&str]) {
        let accounts: Vec<_> = self.roster.borrow().accounts().cloned().collect();
        let roster = Roster::new(accounts, rules.iter().map(|text| rule(text)).collect());
        self.roster.send_replace(Arc::new(roster));
    }

    fn event(&self, account: &str, name: &str, object: &Value) -> Value {
        let at = self.event_ts.fetch_add(1, Ordering::Relaxed);
        json!({ "event": name, "event_ts": at, "payload": { "account_id": account, "object": object } })
    }

    async fn deliver(&self, body: &Value) -> DeliveryId {
        let received_at = self.clock.now();
        let delivery = NewDelivery { app: app(), received_at, verified: verified(body, received_at) };
        self.store.deliver(delivery).await.unwrap().delivery()
    }

    async fn user_event(&self, name: &str, id: &str) {
        self.user_event_of("acme", name, id).await;
    }

    async fn user_event_of(&self, account: &str, name: &str, id: &str) {
        let object = json!({ "id": id, "email": format!("{id}@example.com"), "type": 2 });
        self.deliver(&self.event(account, name, &object)).await;
    }

    async fn meeting_event(&self, name: &str, id: u64) {
        self.deliver(&self.event("acme", name, &json!({ "id": id, "host_id": "host" }))).await;
    }

    async fn plan(&self) {
        let planner = Planner::new(self.parts.clone());
        let roster = Arc::clone(&self.roster.borrow());
        while planner.plan_once(&roster).await.unwrap() > 0 {}
    }

    /// Plans and works until nothing is due now.
    async fn drain(&self) {
        self.plan().await;
        Runner::new(self.parts.clone()).run_due().await.unwrap();
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.drain().await;
    }

    /// Drains and advances to the next due time until no job is due at all.
    async fn exhaust(&self) {
        self.drain().await;
        while let Some(due) = self.store.next_due().await.unwrap() {
            self.clock.set(due);
            self.drain().await;
        }
    }

    /// A user is created and everything is done about it that can be done without another event.
    async fn create(&self, id: &str) -> Job {
        self.user_event("user.created", id).await;
        self.exhaust().await;
        self.newest().await
    }

    async fn jobs(&self) -> Vec<Job> {
        self.store.jobs(JobFilter { limit: 10_000, ..JobFilter::default() }).await.unwrap()
    }

    async fn newest(&self) -> Job {
        self.jobs().await.swap_remove(0)
    }

    /// The state of the newest job in one line: `waiting user-pending`, `parked not-found`, `done changed`.
    async fn state(&self) -> String {
        in_a_line(&self.newest().await.state)
    }

    async fn entries(&self, code: &str) -> Vec<Entry> {
        let all = self.store.entries(0, 100_000).await.unwrap();
        all.into_iter().filter(|entry| entry.code == code).collect()
    }
}

fn in_a_line(state: &JobState) -> String {
    use crate::job::Effect;
    use crate::job::Effect::{AlreadyRight, Changed, NotApplicable, Reported, WouldChange};
    match state {
        JobState::Due { .. } | JobState::Running { .. } => state.name().to_owned(),
        JobState::Waiting { reason, .. } => format!("waiting {}", reason.code()),
        JobState::Parked { cause, .. } => format!("parked {}", cause.code()),
        JobState::Done { effect: Changed { what }, .. } => format!("done changed: {what}"),
        JobState::Done { effect: AlreadyRight, .. } => "done already-right".to_owned(),
        JobState::Done { effect: WouldChange { what }, .. } => format!("done would-change: {what}"),
        JobState::Done { effect: NotApplicable { why }, .. } => format!("done not-applicable: {why}"),
        JobState::Done { effect: Reported { what }, .. } => format!("done reported: {what}"),
        JobState::Done { effect: Effect::Sent { what }, .. } => format!("done sent: {what}"),
        JobState::Done { effect: Effect::WouldSend { what }, .. } => format!("done would-send: {what}"),
        JobState::Done { effect: Effect::Refused { code, .. }, .. } => format!("done refused: {code}"),
        JobState::Cancelled { why, .. } => format!("cancelled {why}"),
    }
}
