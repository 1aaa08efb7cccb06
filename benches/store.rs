//! How fast the local store is: `cargo bench --bench store [deliveries] [folder]`.
//!
//! 64 tasks deliver distinct bodies of 1 KiB; first alone, then with a planner that decides each to nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a bench"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use adjutant::chance::SystemChance;
use adjutant::clock::{Clock, Stopwatch, SystemClock};
use adjutant::event::signature::Verified;
use adjutant::ids::{AccountId, AppName};
use adjutant::store::local::{MasterKey, Settings};
use adjutant::store::{Decision, LocalStore, NewDelivery, Store, StoreError, Verdict};

const TASKS: u64 = 64;

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn deliver(store: Arc<LocalStore>, from: u64, count: u64, late: Arc<Mutex<Vec<u32>>>) {
    let mut micros = Vec::new();
    let app = AppName::parse("main").unwrap();
    let filler = "x".repeat(980);
    for n in from..from + count {
        let body = format!("{{\"event\":\"user.updated\",\"n\":{n:020},\"f\":\"{filler}\"}}");
        let watch = Stopwatch::start();
        loop {
            let verified = Verified::reread(body.clone().into(), 1, Some(format!("request-{n}")));
            let new = NewDelivery { app: app.clone(), received_at: SystemClock.now(), verified };
            match store.deliver(new).await {
                Err(StoreError::Behind(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
                taken => {
                    taken.unwrap();
                    break;
                }
            }
        }
        micros.push(u32::try_from(watch.elapsed().as_micros()).unwrap());
    }
    late.lock().unwrap().extend(micros);
}

async fn deliver_all(store: &Arc<LocalStore>, from: u64, total: u64) -> Duration {
    let (watch, late) = (Stopwatch::start(), Arc::new(Mutex::new(Vec::new())));
    let each = total / TASKS;
    let tasks: Vec<_> = (0..TASKS)
        .map(|n| tokio::spawn(deliver(Arc::clone(store), from + n * each, each, Arc::clone(&late))))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = watch.elapsed();
    let mut micros = std::mem::take(&mut *late.lock().unwrap());
    micros.sort_unstable();
    let at = |share: usize| micros.get(micros.len() * share / 1000).copied().unwrap_or(0);
    println!("  acknowledged after: p50 {} us, p99 {} us, p99.9 {} us", at(500), at(990), at(999));
    took
}

async fn plan(store: Arc<LocalStore>, until: u64) {
    let account = AccountId::parse("account-1").unwrap();
    let mut planned = 0;
    let mut changed = store.changed();
    while planned < until {
        changed.borrow_and_update();
        let some = store.unplanned(&[], 512).await.unwrap();
        if some.is_empty() {
            changed.changed().await.unwrap();
            continue;
        }
        planned += some.len() as u64;
        let decision = |delivery: adjutant::store::StoredDelivery| Decision {
            delivery: delivery.id,
            account: Some(account.clone()),
            event: "user.updated".to_owned(),
            verdict: Verdict::Nothing,
        };
        store.record_plan(some.into_iter().map(decision).collect(), SystemClock.now()).await.unwrap();
    }
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let total: u64 = numbers.next().map_or(1_000_000, |n| n.parse().unwrap());
    let folder = match numbers.next() {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let settings = Settings { unplanned_max: 200_000, ..Settings::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let master = MasterKey::Bytes([7; 32]);
    let open = |settings| {
        let (clock, master) = (Arc::clone(&clock), master.clone());
        LocalStore::open(folder.path(), settings, master, clock, Arc::new(SystemChance), &mut |_, _, _| {}).unwrap()
    };
    let store = Arc::new(open(settings.clone()).0);
    let burst = 150_000 / TASKS * TASKS;
    let took = deliver_all(&store, 0, burst).await;
    println!("burst: {burst} deliveries in {took:?}: {:.0}/s", burst as f64 / took.as_secs_f64());
    let watch = Stopwatch::start();
    plan(Arc::clone(&store), burst).await;
    println!("planning alone: {:.0}/s", burst as f64 / watch.elapsed().as_secs_f64());
    let total = total / TASKS * TASKS;
    let watch = Stopwatch::start();
    let planner = tokio::spawn(plan(Arc::clone(&store), total));
    let took = deliver_all(&store, burst, total).await;
    println!("sustained: {total} acknowledged in {took:?}: {:.0}/s", total as f64 / took.as_secs_f64());
    planner.await.unwrap();
    println!("  and planned: {:.0}/s", total as f64 / watch.elapsed().as_secs_f64());
    let watch = Stopwatch::start();
    while store.status().await.unwrap().index_lag > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("  index lag gone after {:?}", watch.elapsed());
    println!("  resident {} MB", resident_kb() / 1024);
    let watch = Stopwatch::start();
    store.close().await.unwrap();
    println!("closed in {:?}", watch.elapsed());
    drop(store);
    let watch = Stopwatch::start();
    let (store, report) = open(settings);
    println!("opened in {:?}: {report:?}, resident {} MB", watch.elapsed(), resident_kb() / 1024);
    drop(store);
}
