//! How fast a log is verified, and an entry proved: measured by `ADJUTANT_LONG=1` in a release build; else it shows that the way of
//! measuring works.

use super::*;
use crate::audit::tree::leaf_hash;
use crate::chance;
use crate::clock::Stopwatch;
use crate::store::Limits;
use crate::store::port::Receipt;

/// `ADJUTANT_ENTRIES` says how many else.
fn count() -> usize {
    let many = if std::env::var_os("ADJUTANT_LONG").is_some() { 500_000 } else { 1_000 };
    std::env::var("ADJUTANT_ENTRIES").map_or(many, |count| count.parse().unwrap())
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

async fn deliver(store: &LocalStore, count: usize) {
    let app = AppName::parse("main").unwrap();
    let filler = "x".repeat(700);
    for first in (0..count).step_by(500) {
        let some = (first..count.min(first + 500)).map(|n| {
            let body = format!(r#"{{"event":"user.updated","payload":{{"n":{n},"filler":"{filler}"}}}}"#);
            let verified = Verified::reread(body.into(), NOW.as_secs(), None);
            let (store, app) = (store.clone(), app.clone());
            async move { store.deliver(NewDelivery { app, received_at: NOW, verified }).await.map(Receipt::delivery) }
        });
        let done = some.collect::<tokio::task::JoinSet<_>>().join_all().await;
        let refused = done.into_iter().find_map(Result::err);
        assert!(refused.is_none(), "from {first} on: {refused:?}");
    }
}

fn open(folder: &Path) -> LocalStore {
    // Nothing is refused, however far the index is behind, and no body is looked for in it.
    let limits = Limits { dedupe_window: Duration::ZERO, backlog_max: u64::MAX, ..Limits::default() };
    let (disk_reserve_bytes, unplanned_max, index_lag_max) = (0, u64::MAX, u64::MAX);
    let settings = Settings { limits, disk_reserve_bytes, unplanned_max, index_lag_max, ..Settings::default() };
    let (clock, chance) = (Arc::new(ManualClock::at(NOW)), Arc::new(SystemChance));
    LocalStore::open(folder, settings, MASTER, clock, chance, &mut |_, _, _| {}).unwrap().0
}

/// Of entries all over the log.
async fn prove(store: &LocalStore, count: usize) {
    let keys = store.log_keys().await.unwrap();
    let chance = SeededChance::new(7);
    let mut took = Vec::new();
    for _ in 0..100 {
        let index = u64::from_le_bytes(chance::bytes(&chance)) % wide(count);
        let watch = Stopwatch::start();
        let proved = store.prove(index).await.unwrap().unwrap();
        took.push(watch.elapsed());
        proved.proof.verify(&leaf_hash(&proved.proof.extra), &keys).unwrap();
    }
    took.sort();
    say!("the proof of an entry of {count}: {:?} in the middle of 100, {:?} at most", took[50], took[99]);
}

fn verify(folder: &Path, count: usize) {
    let watch = Stopwatch::start();
    let verified = LocalStore::verify_folder(folder, &MASTER, &[], &mut |_, _| {}).unwrap();
    let took = watch.elapsed();
    assert_eq!((verified.entries, verified.findings.as_slice()), (wide(count), [].as_slice()));
    let rate = float(count) / took.as_secs_f64();
    say!("{count} entries, {} MB, verified in {took:?}: {rate:.0} a second", verified.bytes / 1_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_verified_and_proved_fast() {
    let count = count();
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    deliver(&store, count).await;
    let watch = Stopwatch::start();
    store.sign_checkpoint().await.unwrap();
    say!("a checkpoint of {count} entries: {:?}", watch.elapsed());
    prove(&store, count).await;
    store.close_now().unwrap();
    verify(folder.path(), count);
    say!("without the bodies:");
    let store = open(folder.path());
    store.prune(Before::bodies(NOW.plus(Duration::from_secs(1))), |_, _| {}).await.unwrap();
    prove(&store, count).await;
    store.close_now().unwrap();
    verify(folder.path(), count);
}
