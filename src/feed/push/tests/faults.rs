//! All faults together, for hours that pass at once: a receiver that is down, slow and at fault, and sudden ends of the
//! service. With the real binary, `tests/it/taking/faults.rs` has the same for some minutes.

use super::*;
use crate::chance::Chance as _;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_an_hour_down_errors_and_sudden_ends_every_entry_arrives_in_order_and_one_that_comes_again_is_the_same() {
    let (clock, chance) = (ManualClock::at(NOON), Arc::new(SeededChance::new(7)));
    let (now, up_at) = (clock.clone(), NOON.plus(HOUR));
    let (url, all) = inbox(Arc::new(move |_, _| {
        let kind = chance.unit();
        match now.now() {
            now if now < up_at && kind < 0.5 => HANGS_UP,
            now if now < up_at => 503,
            _ if kind < 0.05 => 500,
            _ => 200,
        }
    }))
    .await;
    let mut store: Arc<MemoryStore> = Arc::default();
    let all_of_it = Push { batch_max: 4, ..push() };
    for life in 0..8_u64 {
        let had = taken(&all).len();
        let bench = Bench::with(store, clock.clone(), &[consumer(webhook(&url), all_of_it.clone())]);
        bench.enter(codes(life * 50, life * 50 + 50)).await;
        bench.let_time_pass();
        // The first three lives are in the hour; the others end in the midst of what is sent.
        let lives_until = NOON.plus(HOUR / 4 * u32::try_from(life + 1).unwrap());
        while if life < 3 { clock.now() < lives_until } else { taken(&all).len() < had + 20 } {
            tokio::task::yield_now().await;
        }
        store = bench.kill().await;
    }
    let bench = Bench::with(store, clock, &[consumer(webhook(&url), all_of_it)]);
    bench.let_time_pass();
    bench.settle().await;
    let (taken, came) = (taken(&all), all.lock().unwrap().clone());
    assert_eq!(first_of(&taken), (0..400).collect::<Vec<_>>());
    assert!(taken.len() > 400, "some come again after a sudden end");
    let mut texts = BTreeMap::new();
    for event in came.iter().flat_map(|came| serde_json::from_str::<Vec<Value>>(&came.body).unwrap()) {
        let id = event["id"].as_str().unwrap().to_owned();
        assert_eq!(texts.entry(id).or_insert_with(|| event.clone()), &event, "an id is of one entry for ever");
    }
    let failed = came.iter().filter(|came| came.status != 200).count();
    assert!((10..400).contains(&failed), "{failed} tries failed");
    bench.end().await;
}
