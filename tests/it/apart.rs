//! Accounts beside each other, each with an app of its own: what one of them sends, has waiting or uses up is not another's
//! affair. The real receiver, planner and store.

mod forgetting;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use adjutant::account::{Account, Plan, UserKey};
use adjutant::accounts::{self, Accounts, NewAccount, Standing};
use adjutant::chance::{Chance as _, SeededChance};
use adjutant::clock::{Clock, ManualClock, Timestamp};
use adjutant::event::signature::{Secret, Verified};
use adjutant::feed::Consumers;
use adjutant::ids::{AccountId, AppName, RuleName, UserId};
use adjutant::job::{Asker, Effect, Job, NewJob, Outcome, Subject};
use adjutant::rules::Rule;
use adjutant::sim::{self, Fault, FaultKind, NewUser, Sim, Target, TooMany, World, sign};
use adjutant::store::local::{MasterKey, Settings as StoreSettings};
use adjutant::store::{Claimable, DeliveryFilter, JobFilter, Leased, LocalStore, NewDelivery, Store, StoreError};
use adjutant::web::webhook::{Receiver, ReceiverApp, ReceiverSettings};
use adjutant::worker::{Parts, Planner, Roster, Settings, ZoomFor};
use adjutant::zoom::{self, AccountClient, Credentials, Zoom as _, ZoomClients, ZoomError};
use axum::Router;
use axum::body::Body;
use http::Request;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

const NOW: Timestamp = Timestamp::from_secs(1_795_248_000);
const PAIRS: usize = 100;

fn account(n: usize) -> AccountId {
    AccountId::parse(&format!("account-{n}")).unwrap()
}

fn app(n: usize) -> AppName {
    AppName::parse(&format!("app-{n}")).unwrap()
}

fn secret(n: usize) -> String {
    format!("webhook-secret-of-app-{n}")
}

fn rule() -> Rule {
    toml::from_str("name = \"r\"\nfor = \"user\"\nensure = { assistants = [\"api-user\"] }\n").unwrap()
}

fn event(name: &str, account: &AccountId, user: &str) -> String {
    let object = serde_json::json!({ "id": user, "email": format!("{user}@school.example"), "type": 2 });
    let payload = serde_json::json!({ "account_id": account, "user_id": user, "object": object });
    serde_json::json!({ "event": name, "event_ts": NOW.as_millis(), "payload": payload }).to_string()
}

/// So many accounts, each of which was added at run time with an app of its own, on a store in files.
struct Bench {
    _folder: tempfile::TempDir,
    store: LocalStore,
    accounts: Arc<Accounts>,
    roster: watch::Sender<Arc<Roster>>,
    parts: Parts,
    planner: Planner,
    doors: Router,
}

impl Bench {
    async fn of(count: usize) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::at(NOW)));
        let chance = Arc::new(SeededChance::new(3));
        let settings = StoreSettings { disk_reserve_bytes: 0, ..StoreSettings::default() };
        let (key, now): (_, Arc<dyn Clock>) = (MasterKey::Bytes([7; 32]), Arc::<ManualClock>::clone(&clock));
        let path = folder.path().join("data");
        let (store, _) = LocalStore::open(&path, settings, key, now, chance.clone(), &mut |_, _, _| {}).unwrap();
        let zooms = ZoomClients::new(zoom::Settings::default(), clock.clone(), chance.clone()).unwrap();
        let parts = accounts::Parts {
            store: Arc::new(store.clone()),
            oauth: zooms.oauth(),
            clock: clock.clone(),
            chance: chance.clone(),
            settings: accounts::Settings::default(),
            apps: Vec::new(),
            public_url: None,
        };
        let accounts = Accounts::open(parts, &[]).await.unwrap();
        for n in 0..count {
            accounts.add(added(n), "the test", &[]).await.unwrap();
        }
        let kept = accounts.kept_apps().into_iter();
        let apps = kept.map(|app| ReceiverApp {
            secrets: app.webhook_secrets.iter().map(|secret| Secret::new(secret).unwrap()).collect(),
            name: app.name,
        });
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let receiver =
            Receiver::open(apps.collect(), shared, clock.clone(), ReceiverSettings::default()).await.unwrap();
        let roster = watch::Sender::new(Arc::new(Roster::new(accounts.served(), vec![rule()])));
        let no_zoom: HashMap<AccountId, AccountClient> = HashMap::new();
        let zooms: Arc<dyn ZoomFor> = Arc::new(no_zoom);
        let parts = Parts {
            store: Arc::new(store.clone()),
            zooms,
            roster: roster.subscribe(),
            clock: clock.clone(),
            chance,
            facts: Arc::default(),
            feed: Arc::new(Consumers::new(&[], clock)),
            accounts: Some(Arc::clone(&accounts)),
            stats: Arc::default(),
            settings: Settings { pace_ms: 0, ..Settings::default() },
        };
        let planner = Planner::new(parts.clone());
        Self { _folder: folder, store, accounts, roster, parts, planner, doors: receiver.router() }
    }

    /// All of these, many at once: who sends, and what; each is signed as it should be.
    async fn deliver(&self, all: Vec<(usize, String)>) {
        for some in all.chunks(500) {
            let posts = some.iter().map(|(from, body)| post(self.doors.clone(), (*from, *from), body.clone()));
            let statuses = posts.collect::<JoinSet<_>>().join_all().await;
            assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        }
    }

    async fn plan(&self) {
        let roster = Roster::new(self.accounts.served(), vec![rule()]);
        while self.planner.plan_once(&roster).await.unwrap() > 0 {}
    }

    async fn jobs(&self) -> Vec<(String, String)> {
        let filter = JobFilter { limit: 100_000, ..JobFilter::default() };
        let jobs = self.store.jobs(filter).await.unwrap().into_iter();
        jobs.map(|job| (job.app.to_string(), job.account.to_string())).collect()
    }
}

/// What the door of an app answers to what was signed with the secret of one.
async fn post(doors: Router, (to, signed_by): (usize, usize), body: String) -> u16 {
    let signature = sign(&secret(signed_by), NOW.as_secs(), body.as_bytes());
    let request = Request::post(format!("/webhooks/{}", app(to)))
        .header("x-zm-signature", signature)
        .header("x-zm-request-timestamp", NOW.as_secs())
        .body(Body::from(body));
    doors.oneshot(request.unwrap()).await.unwrap().status().as_u16()
}

fn added(n: usize) -> NewAccount {
    NewAccount {
        app: app(n),
        client_id: format!("client-{n}"),
        client_secret: format!("client-secret-of-app-{n}").into(),
        webhook_secrets: vec![secret(n).into()],
        id: account(n),
        label: None,
        plan: Plan::Business,
        api_users: vec!["api-user".parse().unwrap()],
        may_grant: Vec::new(),
    }
}

/// All pairs of sender and account, in an order of its own.
fn pairs(seed: u64) -> Vec<(usize, usize)> {
    let mut all: Vec<(usize, usize)> = (0..PAIRS).flat_map(|i| (0..PAIRS).map(move |j| (i, j))).collect();
    let chance = SeededChance::new(seed);
    for n in (1..all.len()).rev() {
        let other = chance.next_u64() % u64::try_from(n + 1).unwrap();
        all.swap(n, usize::try_from(other).unwrap());
    }
    all
}

#[tokio::test]
async fn of_100_apps_and_100_accounts_an_event_leads_to_work_only_where_the_app_that_signed_it_holds_the_account() {
    let seed = 20;
    let bench = Bench::of(PAIRS).await;
    // To one account, all apps send the same bytes: whoever is first takes nothing from whoever may.
    let body = |j: usize| event("user.created", &account(j), &format!("user-{j}"));
    bench.deliver(pairs(seed).into_iter().map(|(i, j)| (i, body(j))).collect()).await;
    bench.plan().await;
    let own: BTreeMap<String, String> = (0..PAIRS).map(|n| (app(n).to_string(), account(n).to_string())).collect();
    let jobs = bench.jobs().await;
    assert_eq!(jobs.len(), PAIRS, "seed {seed}");
    assert_eq!(jobs.into_iter().collect::<BTreeMap<_, _>>(), own, "seed {seed}");
    let all = DeliveryFilter { limit: 100_000, ..DeliveryFilter::default() };
    let all = bench.store.deliveries(all).await.unwrap();
    let parked = DeliveryFilter { limit: 100_000, parked: true, ..DeliveryFilter::default() };
    let parked = bench.store.deliveries(parked).await.unwrap();
    assert_eq!((all.len(), parked.len()), (PAIRS * PAIRS, PAIRS * (PAIRS - 1)), "seed {seed}");
}

#[tokio::test]
async fn of_100_apps_none_removes_another_from_its_account_nor_comes_in_by_its_door() {
    let seed = 21;
    let bench = Bench::of(PAIRS).await;
    let removed = |j: usize| event("app_deauthorized", &account(j), &format!("user-{j}"));
    let foreign = || pairs(seed).into_iter().filter(|(i, j)| i != j);
    bench.deliver(foreign().map(|(i, j)| (i, removed(j))).collect()).await;
    bench.plan().await;
    assert_eq!(bench.accounts.served().len(), PAIRS, "seed {seed}");
    for (i, j) in foreign() {
        let status = post(bench.doors.clone(), (j, i), removed(j)).await;
        assert_eq!(status, 401, "what app {i} signed, at the door of app {j}");
    }
    bench.plan().await;
    assert_eq!(bench.accounts.served().len(), PAIRS, "seed {seed}");
    // The null control: the one that holds it does.
    bench.deliver(vec![(7, removed(7))]).await;
    bench.plan().await;
    let lost = bench.accounts.list().into_iter().filter(|one| matches!(one.account.standing, Standing::Lost { .. }));
    assert_eq!(lost.map(|one| one.account.id).collect::<Vec<_>>(), [account(7)]);
}

/// For whoever runs the tests to read.
#[expect(clippy::print_stderr, reason = "a number that is asked for")]
fn tell(what: &str) {
    eprintln!("foreign jobs claimed before the new user's, {what}");
}

const STORM: usize = 100_000;

/// Account 0 has so many jobs waiting.
async fn storm(store: &LocalStore) {
    let job = |n: usize| NewJob {
        app: app(0),
        account: account(0),
        rule: RuleName::parse("r").unwrap(),
        subject: Subject::User { id: Some(UserId::parse(&format!("storm-{n}")).unwrap()), email: None },
        by: Asker::Plan,
        event_at: None,
        on: None,
    };
    for from in (0..STORM).step_by(5_000) {
        store.ask((from..from + 5_000).map(job).collect(), "a storm", NOW).await.unwrap();
    }
}

/// App 0 has so many deliveries waiting to be planned.
async fn flood(store: &LocalStore) {
    let delivery = |n: usize| {
        let body = event("user.created", &account(0), &format!("flood-{n}"));
        let verified = Verified::reread(body.into(), NOW.as_secs(), None);
        NewDelivery { app: app(0), received_at: NOW, verified }
    };
    for from in (0..STORM).step_by(5_000) {
        let some = (from..from + 5_000).map(|n| {
            let (store, delivery) = (store.clone(), delivery(n));
            async move { store.deliver(delivery).await.unwrap() }
        });
        some.collect::<JoinSet<_>>().join_all().await;
    }
}

#[tokio::test]
async fn an_app_with_100_000_deliveries_to_plan_does_not_delay_the_new_user_of_another() {
    let bench = Bench::of(2).await;
    flood(&bench.store).await;
    assert_eq!(bench.store.status().await.unwrap().unplanned, u64::try_from(STORM).unwrap());
    bench.deliver(vec![(1, event("user.created", &account(1), "jill"))]).await;
    let roster = Roster::new(bench.accounts.served(), vec![rule()]);
    let planned = bench.planner.plan_once(&roster).await.unwrap();
    let foreign = bench.jobs().await.into_iter().filter(|(of, _)| *of != app(1).to_string()).count();
    assert_eq!(bench.jobs().await.len() - foreign, 1, "{foreign} jobs of the other, none of its own");
    assert_eq!(planned, foreign + 1);
    assert!(planned <= usize::from(Settings::default().plan_batch_max), "{planned} were planned for it to be");
}

async fn take(store: &LocalStore, jobs_max: usize, per_account_max: usize) -> Vec<Leased> {
    let wanted = Claimable { jobs_max, per_account_max, lease: Duration::from_secs(60) };
    store.claim(wanted, NOW).await.unwrap()
}

async fn done(store: &LocalStore, mut leased: Leased) -> Result<Job, StoreError> {
    store.start(&mut leased, NOW).await?;
    store.settle(leased, Outcome::Done(Effect::AlreadyRight), Vec::new(), NOW, 0.5).await
}

/// How many jobs of others were taken before the one of the account was.
fn before(taken: &[Leased], of: &AccountId) -> Option<usize> {
    taken.iter().position(|leased| leased.job.account == *of)
}

#[tokio::test]
async fn an_account_with_100_000_jobs_waiting_does_not_delay_the_new_user_of_another() {
    let bench = Bench::of(2).await;
    storm(&bench.store).await;
    assert_eq!(bench.store.status().await.unwrap().due, u64::try_from(STORM).unwrap());
    let settings = Settings::default();
    let (workers, per_account) = (usize::from(settings.workers), usize::from(settings.per_account_max));

    // All workers that it may have are at its jobs, and stay there.
    let busy = take(&bench.store, workers, per_account).await;
    assert_eq!(busy.len(), per_account, "the others are free for whoever comes");
    bench.deliver(vec![(1, event("user.created", &account(1), "jill"))]).await;
    bench.plan().await;
    let taken = take(&bench.store, workers - busy.len(), per_account).await;
    let foreign = before(&taken, &account(1));
    tell(&format!("with {} of them running for good: {foreign:?}", busy.len()));
    assert_eq!(foreign, Some(0));
    for leased in taken.into_iter().chain(busy) {
        done(&bench.store, leased).await.unwrap();
    }

    // One worker for everybody, which goes from job to job.
    let mut worst = 0;
    for n in 0..50 {
        bench.deliver(vec![(1, event("user.created", &account(1), &format!("joan-{n}")))]).await;
        bench.plan().await;
        let mut foreign = 0;
        loop {
            let leased = take(&bench.store, 1, 1).await.remove(0);
            let is_own = leased.job.account == account(1);
            done(&bench.store, leased).await.unwrap();
            if is_own {
                break;
            }
            foreign += 1;
            assert!(foreign <= 1, "{foreign} of them");
        }
        worst = worst.max(foreign);
    }
    tell(&format!("with one worker: {worst} at most"));
}

#[tokio::test]
async fn of_accounts_that_all_have_much_to_do_each_gets_its_turn_before_any_gets_two_and_the_paused_get_none() {
    let bench = Bench::of(20).await;
    for n in 0..20 {
        let many = (0..5).map(|user| (n, event("user.created", &account(n), &format!("user-{n}-{user}"))));
        bench.deliver(many.collect()).await;
    }
    bench.plan().await;
    bench.store.pause(Arc::new([account(3), account(4)].into())).await.unwrap();
    for _ in 0..5 {
        let mut turn = BTreeSet::new();
        for _ in 0..18 {
            let leased = take(&bench.store, 1, 4).await.remove(0);
            assert!(turn.insert(leased.job.account.clone()), "{} has two turns", leased.job.account);
            done(&bench.store, leased).await.unwrap();
        }
        assert!(!turn.contains(&account(3)) && !turn.contains(&account(4)));
    }
    assert!(take(&bench.store, 1, 4).await.is_empty());
    bench.store.pause(Arc::default()).await.unwrap();
    assert_eq!(take(&bench.store, 99, 99).await.len(), 10, "they lost nothing by it");
}

/// How many calls of the account go out in this second, until the client holds one back.
async fn calls_in_a_second(client: &AccountClient, whom: &UserKey) -> usize {
    let mut calls = 0;
    loop {
        match client.handle().user(whom).await {
            Ok(_) => calls += 1,
            Err(ZoomError::Limited { .. }) => return calls,
            Err(error) => panic!("{error}"),
        }
        assert!(calls < 10_000, "there is no limit");
    }
}

#[tokio::test]
async fn an_account_that_used_up_its_rate_or_is_paused_by_zoom_leaves_another_all_of_its_own() {
    let clock = ManualClock::at(NOW);
    let world = World::new(Arc::new(clock.clone()), Arc::new(SeededChance::new(5)));
    for n in 0..2 {
        world.add_account(sim::NewAccount::named(account(n).as_str())).unwrap();
        world.add_user(account(n).as_str(), NewUser::licensed(&format!("jill@school-{n}.example"))).unwrap();
    }
    let sim = Sim::start(world.clone()).await.unwrap();
    let settings = zoom::Settings {
        api_url: sim.api_url(),
        oauth_url: sim.oauth_url(),
        limit_wait_max_ms: 0,
        ..zoom::Settings::default()
    };
    let clients = ZoomClients::new(settings, Arc::new(clock.clone()), Arc::new(SeededChance::new(6))).unwrap();
    let [one, other] = [0, 1].map(|n| {
        let held = Account::new(account(n), app(n), Plan::Business);
        let client_secret = format!("client-secret-{}", account(n)).into();
        clients.account(&held, Credentials { client_id: format!("client-{}", account(n)), client_secret })
    });
    let [of_one, of_other]: [UserKey; 2] = [0, 1].map(|n| format!("jill@school-{n}.example").parse().unwrap());
    let (first, second) = (calls_in_a_second(&one, &of_one).await, calls_in_a_second(&other, &of_other).await);
    assert!(first > 1 && first == second, "{first} and then {second}");

    // Zoom refuses the one until the next day: the other does not even notice.
    clock.advance(Duration::from_secs(1));
    world.fault(Fault {
        target: Target::api("GET", "/users/jill"),
        times: 1,
        kind: FaultKind::TooMany(TooMany::Daily),
    });
    assert!(matches!(one.handle().user(&of_one).await, Err(ZoomError::Limited { .. })));
    clock.advance(Duration::from_secs(60));
    assert_eq!(calls_in_a_second(&one, &of_one).await, 0, "it is paused");
    assert_eq!(calls_in_a_second(&other, &of_other).await, second);
}
