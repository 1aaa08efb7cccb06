//! All faults together, for hours that pass at once: a receiver that is down, slow and at fault, and sudden ends of the
//! service. With the real binary, `tests/it/taking/faults.rs` has the same for some minutes.

use super::*;
use crate::chance::Chance as _;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_an_hour_down_errors_and_sudden_ends_every_entry_arrives_in_order_and_one_that_comes_again_is_the_same() {
    let (clock, chance) = (ManualClock::at(NOON), SeededChance::new(7));
    let is_down = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&is_down);
    let (url, all) = inbox(Arc::new(move |_, _| match (says.load(Ordering::SeqCst), chance.unit()) {
        (true, kind) if kind < 0.5 => HANGS_UP,
        (true, _) => 503,
        (false, kind) if kind < 0.05 => 500,
        (false, _) => 200,
    }))
    .await;
    let mut store: Arc<MemoryStore> = Arc::default();
    let all_of_it = Push { batch_max: 4, ..push() };
    for life in 0..8_u64 {
        let had = taken(&all).len();
        let bench = Bench::with(store, clock.clone(), &[consumer(webhook(&url), all_of_it.clone())]);
        bench.enter(codes(life * 50, life * 50 + 50)).await;
        if life < 3 {
            bench.until(|doing| doing.failing.is_some()).await;
        }
        bench.let_time_pass();
        // The first three lives take the hour; the others end in the midst of what is sent.
        let lives_until = NOON.plus(HOUR / 3 * u32::try_from(life + 1).unwrap());
        while if life < 3 { clock.now() < lives_until } else { taken(&all).len() < had + 20 } {
            tokio::task::yield_now().await;
        }
        store = bench.kill().await;
        is_down.store(life < 2, Ordering::SeqCst);
    }
    let bench = Bench::with(store, clock, &[consumer(webhook(&url), all_of_it)]);
    bench.let_time_pass();
    bench.settle().await;
    let came = all.lock().unwrap().clone();
    assert_eq!(first_of(&taken(&all)), (0..400).collect::<Vec<_>>());
    let mut texts = BTreeMap::new();
    for event in came.iter().flat_map(|came| serde_json::from_str::<Vec<Value>>(&came.body).unwrap()) {
        let id = event["id"].as_str().unwrap().to_owned();
        assert_eq!(texts.entry(id).or_insert_with(|| event.clone()), &event, "an id is of one entry for ever");
    }
    let failed = came.iter().filter(|came| came.status != 200).count();
    assert!((3..400).contains(&failed), "{failed} tries failed");
    bench.end().await;
}
