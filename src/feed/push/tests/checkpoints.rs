//! Checkpoints, to those who take them.

use super::*;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::note::Signer;

fn signed(size: u64) -> String {
    let root = [u8::try_from(size % 251).unwrap(); 32];
    Checkpoint { origin: LOG.to_owned(), size, root }.sign(&[&Signer::from_seed(LOG, &[3; 32]).unwrap()])
}

fn checkpoints() -> Push {
    Push { audit: false, checkpoints: true, ..push() }
}

/// What was taken: an entry by its index, a checkpoint by its number.
fn came(all: &All) -> Vec<String> {
    let all = all.lock().unwrap().clone();
    let good = all.iter().filter(|came| came.status == 200);
    let word = |came: &Came| {
        let event: Value = serde_json::from_str(&came.body).unwrap();
        match event["type"].as_str() {
            Some("adjutant.audit.checkpoint.v1") => format!("c{}", event["data"]["number"]),
            _ => event["data"]["index"].to_string(),
        }
    };
    good.map(word).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_checkpoint_comes_as_it_was_signed_when_it_is_signed_and_under_an_id_of_its_own() {
    let (url, all) = inbox(Arc::new(|number, _| if number == 1 { 500 } else { 200 })).await;
    let store: Arc<MemoryStore> = Arc::default();
    enter(&store, "n0".to_owned()).await;
    store.keep_checkpoint(signed(1)).unwrap();
    // A filter is for entries.
    let filter = Some(Filter::parse("entry.code == \"nothing\"").unwrap());
    let bench = Bench::on(store, &url, Push { filter, audit: true, ..checkpoints() });
    bench.until(|doing| doing.checkpoint == Some(1)).await;
    bench.store.keep_checkpoint(signed(1)).unwrap();
    // The store wakes it, and time what failed.
    bench.until(|doing| doing.failing.is_some()).await;
    bench.let_time_pass();
    bench.until(|doing| doing.checkpoint == Some(2)).await;
    assert_eq!(came(&all), ["c1", "c2"]);
    let all = all.lock().unwrap().clone();
    assert_eq!((&all[1].id, &all[1].body), (&all[2].id, &all[2].body), "the same again");
    let event: Value = serde_json::from_str(&all[0].body).unwrap();
    let (note, root) = (signed(1), "01".repeat(32));
    let data = serde_json::json!({ "kind": "checkpoint", "number": 1, "at": "2026-11-20T12:00:00.000Z", "origin": LOG,
                                   "size": 1, "root": root, "note": note });
    assert_eq!((&event["data"], &event["source"], &event["time"]), (&data, &LOG.into(), &data["at"]));
    let id = |came: &Came| serde_json::from_str::<Value>(&came.body).unwrap()["id"].as_str().unwrap().to_owned();
    assert!(id(&all[0]).starts_with("adjutant/test/checkpoint/1/") && id(&all[0]) != id(&all[1]), "{all:?}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_down_gets_every_checkpoint_that_it_missed_and_before_the_entries_that_wait() {
    let is_down = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&is_down);
    let down = move |_: usize, _: &str| if says.load(Ordering::Relaxed) { 503 } else { 200 };
    let (url, all) = inbox(Arc::new(down)).await;
    let store: Arc<MemoryStore> = Arc::default();
    for (size, code) in (1..6).zip(codes(0, 5)) {
        enter(&store, code).await;
        store.keep_checkpoint(signed(size)).unwrap();
    }
    let bench = Bench::on(store, &url, Push { audit: true, ..checkpoints() });
    bench.let_time_pass();
    bench.until(|doing| doing.failing.as_ref().is_some_and(|failing| failing.times > 3)).await;
    assert_eq!((bench.doing().behind, bench.doing().checkpoints_behind), (5, 5));
    // A start goes on where it was.
    let bench = Bench::on(bench.kill().await, &url, Push { audit: true, ..checkpoints() });
    bench.let_time_pass();
    is_down.store(false, Ordering::Relaxed);
    bench.settle().await;
    assert_eq!(came(&all), ["c1", "c2", "c3", "c4", "c5", "0", "1", "2", "3", "4"]);
    assert_eq!(bench.doing().checkpoints_behind, 0);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_new_gets_the_newest_checkpoint_and_who_had_more_than_a_restore_left_gets_what_is_the_newest_now() {
    let (url, all) = inbox(Arc::new(|_, _| 200)).await;
    let store: Arc<MemoryStore> = Arc::default();
    for size in 1..6 {
        store.keep_checkpoint(signed(size)).unwrap();
    }
    let end = || Push { from: From::End, ..checkpoints() };
    let bench = Bench::on(store, &url, end());
    bench.until(|doing| doing.checkpoint == Some(5)).await;
    bench.end().await;
    assert_eq!(came(&all), ["c5"]);
    // Its cursor is of a store that had five.
    let restored: Arc<MemoryStore> = Arc::default();
    let mut cursor = Cursor::at(0);
    cursor.checkpoint = Some(5);
    restored.write_documents(vec![cursor.write(&"siem".parse().unwrap())], Vec::new(), NOON).await.unwrap();
    for size in 1..4 {
        restored.keep_checkpoint(signed(size)).unwrap();
    }
    let bench = Bench::on(restored, &url, end());
    bench.until(|doing| doing.checkpoint == Some(3)).await;
    bench.store.keep_checkpoint(signed(4)).unwrap();
    bench.until(|doing| doing.checkpoint == Some(4)).await;
    assert_eq!(came(&all), ["c5", "c3", "c4"]);
    let error = bench.pushers.replay("siem", 0, "a person").await.unwrap_err().to_string();
    assert_eq!(error, "consumer siem takes checkpoints alone: there are no entries to give it again");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_is_refused_is_left_out_where_that_is_meant_and_the_gap_is_on_record() {
    let (url, all) = inbox(Arc::new(|_, body: &str| if body.contains("\"number\":2,") { 400 } else { 200 })).await;
    let store: Arc<MemoryStore> = Arc::default();
    for size in 1..4 {
        store.keep_checkpoint(signed(size)).unwrap();
    }
    let bench = Bench::on(store, &url, Push { on_refused: OnRefused::Park, ..checkpoints() });
    bench.let_time_pass();
    bench.until(|doing| doing.checkpoint == Some(3)).await;
    assert_eq!(came(&all), ["c1", "c3"]);
    assert_eq!(gaps(&bench.store).await, ["consumer siem did not get checkpoint 2: it answered 400"]);
    bench.end().await;
}
