//! The real binary, loaded and killed: whatever it acknowledged has its effect at Zoom, once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use adjutant::breakpoint;
use adjutant::chance::{Chance as _, SeededChance};
use adjutant::clock::SystemClock;
use adjutant::sim::{NewAccount, NewUser, Plan, Sim, World};
use std::sync::Arc;

use crate::process::service::{ACCOUNT, API_USER, Service};
use crate::process::{long, seed};

/// Users whose creation is told to the service in one round.
const USERS: usize = 16;
const SENDERS: usize = 8;

/// How the service is killed in a round.
#[derive(Debug)]
enum Kill {
    /// By the test, when so many deliveries were acknowledged.
    AfterAcknowledged(usize),
    /// By itself, when it comes to a place for the nth time.
    At(&'static str, u64),
}

struct Round {
    /// Users whose `user.created` was answered 200.
    acknowledged: Vec<String>,
    /// All others: the service may or may not know of them.
    others: Vec<String>,
}

async fn zoom() -> (Sim, World) {
    let world = World::new(Arc::new(SystemClock), Arc::new(SeededChance::new(1)));
    let account = NewAccount { plan: Plan::Business, ..NewAccount::named(ACCOUNT) };
    world.add_account(account).unwrap();
    world.add_user(ACCOUNT, NewUser::licensed(API_USER)).unwrap();
    let sim = Sim::start(world.clone()).await.unwrap();
    (sim, world)
}

/// The service, stopped, with no sweep that could heal what it lost: those of the first start are over, the next are due on
/// New Year's Day.
fn service(sim: &Sim) -> Service {
    let mut service = Service::new(&sim.api_url(), &sim.oauth_url());
    let path = service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let never = ["cron", "settings_cron", "meetings_cron"].map(|key| format!("{key} = \"0 0 1 1 *\"\n")).concat();
    std::fs::write(path, format!("{config}[sweep]\n{never}jitter_secs = 0\n")).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    let is_whole = |kind: &serde_json::Value| !kind["whole_at"].is_null();
    while !service.admin("GET", "/v1/sweeps").unwrap()[0]["kinds"].as_array().unwrap().iter().all(is_whole) {
        assert!(service.is_running(), "it died: {}", service.log());
        std::thread::yield_now();
    }
    service.wait_until_idle();
    service.kill();
    service
}

/// Long, so that a round fills a segment now and then, and has a snapshot due.
fn user_created(id: &str, email: &str) -> String {
    let filler = "x".repeat(100_000);
    format!(
        r#"{{"filler":"{filler}","event":"user.created","event_ts":1700000000000,"payload":{{"account_id":"{ACCOUNT}","operator":"admin@school.example","operator_id":"op","creation_type":"create","object":{{"id":"{id}","first_name":"A","last_name":"B","email":"{email}","type":2}}}}}}"#
    )
}

/// Loads the service until it is dead, and says what it acknowledged.
fn load_and_kill(service: &mut Service, world: &World, kill: &Kill, round: usize) -> Round {
    let users: Vec<(String, String)> = (0..USERS)
        .map(|n| {
            let email = format!("teacher-{round}-{n}@school.example");
            (world.add_user(ACCOUNT, NewUser::licensed(&email)).unwrap(), email)
        })
        .collect();
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let acknowledged = Mutex::new(Vec::new());
    let enough = match kill {
        Kill::AfterAcknowledged(n) => *n,
        Kill::At(..) => usize::MAX,
    };
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                while count.load(Ordering::SeqCst) < enough
                    && let Some((id, email)) = users.get(next.fetch_add(1, Ordering::SeqCst))
                {
                    if service.deliver(&user_created(id, email)).is_ok_and(|status| status == 200) {
                        acknowledged.lock().unwrap().push(email.clone());
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    if matches!(kill, Kill::At(..)) {
        // A place that only working comes to: let it work until it is dead, or has nothing left to do.
        while service.is_running() {
            let Ok(status) = service.status() else { continue };
            if ["unplanned", "due", "running", "index_lag"].iter().all(|key| status[*key] == 0) {
                break;
            }
        }
    }
    service.kill();
    let acknowledged = acknowledged.into_inner().unwrap();
    let others = users.into_iter().map(|(_, email)| email).filter(|email| !acknowledged.contains(email)).collect();
    Round { acknowledged, others }
}

/// What is wrong with the world after everything was worked off.
fn wrong(world: &World, round: &Round) -> Vec<String> {
    let mut wrong = Vec::new();
    for email in &round.acknowledged {
        let (assistants, writes) = (world.assistants(ACCOUNT, email), world.assistant_writes(ACCOUNT, email));
        if assistants != [API_USER] || writes != 1 {
            wrong.push(format!("{email} was acknowledged, and has {assistants:?} after {writes} writes"));
        }
    }
    for email in &round.others {
        if world.assistants(ACCOUNT, email).len() > 1 || world.assistant_writes(ACCOUNT, email) > 1 {
            wrong.push(format!("{email} was changed more than once"));
        }
    }
    wrong
}

#[test]
fn what_was_acknowledged_before_a_sigkill_has_its_effect_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sim, world) = runtime.block_on(zoom());
    let (seed, rounds) = (seed(), if long() { 200 } else { 40 });
    let chance = SeededChance::new(seed);
    let mut service = service(&sim);
    let (mut acknowledged, mut killed_by_itself) = (0, 0);
    for round in 0..rounds {
        // Every other round at a random moment; the rest go through all places in turn.
        let kill = if round % 2 == 0 {
            Kill::AfterAcknowledged(usize::try_from(chance.next_u64() % 16).unwrap())
        } else {
            Kill::At(breakpoint::ALL[round / 2 % breakpoint::ALL.len()], 1 + chance.next_u64() % 6)
        };
        let place = match &kill {
            Kill::At(name, times) => format!("{name}:{times}"),
            Kill::AfterAcknowledged(_) => String::new(),
        };
        if service.start(&[("ADJUTANT_BREAK_AT", place.as_str())]) {
            let done = load_and_kill(&mut service, &world, &kill, round);
            assert!(service.start(&[]), "it does not start after {kill:?}, seed {seed}: {}", service.log());
            service.wait_until_idle();
            let wrong = wrong(&world, &done);
            assert!(wrong.is_empty(), "seed {seed}, round {round}, {kill:?}: {wrong:#?}\n{}", service.log());
            acknowledged += done.acknowledged.len();
        } else {
            killed_by_itself += 1;
            assert!(service.start(&[]), "it does not start after {kill:?}, seed {seed}: {}", service.log());
        }
        service.kill();
    }
    crate::process::say(&format!(
        "ADJUTANT_SEED={seed}: {rounds} rounds, {acknowledged} acknowledged, {killed_by_itself} kills while starting"
    ));
    assert!(acknowledged > rounds, "too little was acknowledged to prove anything: {acknowledged}");
    let (code, out, err) = service.command(&["audit", "verify", "--offline"]);
    assert_eq!(code, 0, "the audit log does not verify: {out}{err}");
}

#[test]
fn a_store_that_acknowledges_before_the_sync_is_caught() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sim, world) = runtime.block_on(zoom());
    let mut service = service(&sim);
    let kill = Kill::AfterAcknowledged(8);
    assert!(service.start(&[("ADJUTANT_FAULT", "acknowledge-early")]));
    let done = load_and_kill(&mut service, &world, &kill, 0);
    assert!(service.start(&[]), "{}", service.log());
    service.wait_until_idle();
    assert!(!wrong(&world, &done).is_empty(), "the test above would not notice a store that loses deliveries");
}
