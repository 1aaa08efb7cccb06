//! What of the log arrives, in which order and form, and what becomes of what is not taken.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_come_in_order_and_once_while_a_fifth_of_all_requests_fails_and_a_try_has_the_same_id() {
    let (url, all) = inbox(Arc::new(|number, _| if number % 5 == 3 { 500 } else { 200 })).await;
    let bench = Bench::on(Arc::default(), &url, push());
    bench.let_time_pass();
    bench.enter(codes(0, 150)).await;
    bench.settle().await;
    assert_eq!(taken(&all), (0..150).collect::<Vec<_>>());
    let all = all.lock().unwrap().clone();
    let failed: Vec<_> = all.windows(2).filter(|pair| pair[0].status == 500).collect();
    assert!(failed.len() > 20, "{}", failed.len());
    for pair in failed {
        assert_eq!((&pair[0].id, &pair[0].body), (&pair[1].id, &pair[1].body), "the same again");
    }
    assert!(all.iter().all(|came| came.kind == "application/cloudevents+json"), "{all:?}");
    let size = bench.store.tree_head().await.unwrap().size;
    assert_eq!(size, 150, "a cursor that moves makes no entry");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_an_array_or_lines_and_a_failed_one_comes_again_as_it_was() {
    let (url, all) = inbox(Arc::new(|number, _| if number < 3 { 503 } else { 200 })).await;
    let store: Arc<MemoryStore> = Arc::default();
    for code in codes(0, 5) {
        enter(&store, code).await;
    }
    let bench = Bench::on(store, &url, Push { batch_max: 10, ..push() });
    bench.until(|doing| doing.failing.is_some()).await;
    bench.enter(codes(5, 60)).await;
    bench.let_time_pass();
    bench.settle().await;
    assert_eq!(taken(&all), (0..60).collect::<Vec<_>>());
    let came = all.lock().unwrap().clone();
    assert_eq!(came[0].kind, "application/cloudevents-batch+json");
    assert!(came[..4].iter().all(|one| one.id == came[0].id && one.body == came[0].body), "{came:?}");
    let store = bench.end().await;
    let (url, all) = inbox(Arc::new(|_, _| 200)).await;
    let raw = Push { batch_max: 10, format: Format::Raw, ..push() };
    let consumer = Bench::on(store, &url, raw);
    consumer.pushers.replay("siem", 0, "a person").await.unwrap();
    consumer.settle().await;
    let came = all.lock().unwrap().clone();
    assert_eq!(came[0].kind, "application/x-ndjson");
    let lines: Vec<Value> = came[0].body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[9]["code"]), (10, &"n9".into()));
    consumer.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_new_begins_at_the_end_and_who_is_known_where_it_was_also_after_a_restart() {
    let (url, all) = inbox(Arc::new(|_, _| 200)).await;
    let store: Arc<MemoryStore> = Arc::default();
    for code in codes(0, 5) {
        enter(&store, code).await;
    }
    let bench = Bench::on(store, &url, Push { from: From::End, ..push() });
    bench.let_time_pass();
    bench.until(|doing| doing.next == 5).await;
    bench.enter(codes(5, 8)).await;
    bench.settle().await;
    let store = bench.end().await;
    for code in codes(8, 11) {
        enter(&store, code).await;
    }
    let again = Bench::on(store, &url, Push { from: From::End, ..push() });
    again.let_time_pass();
    again.until(|doing| doing.next == 11).await;
    assert_eq!(taken(&all), (5..11).collect::<Vec<_>>());
    again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_leaves_out_what_it_says_and_nothing_else() {
    let (url, all) = inbox(Arc::new(|_, _| 200)).await;
    let filter = Filter::parse("entry.code in [\"n3\", \"n250\"]").unwrap();
    let bench = Bench::on(Arc::default(), &url, Push { filter: Some(filter), ..push() });
    bench.let_time_pass();
    bench.enter(codes(0, 300)).await;
    bench.settle().await;
    assert_eq!(taken(&all), [3, 250]);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_410_is_paused_until_a_person_resumes_it_and_loses_nothing() {
    let gone = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&gone);
    let (url, all) = inbox(Arc::new(move |_, _| if says.load(Ordering::Relaxed) { 410 } else { 200 })).await;
    let bench = Bench::on(Arc::default(), &url, push());
    bench.enter(codes(0, 3)).await;
    bench.let_time_pass();
    bench.until(|doing| doing.paused.is_some()).await;
    let alarms = bench.pushers.alarms();
    assert!(alarms.len() == 1 && alarms[0].code == "consumer-paused", "{alarms:?}");
    assert!(alarms[0].what.contains("410") && alarms[0].command == "adjutant consumers resume siem", "{alarms:?}");
    assert_eq!(all.lock().unwrap().len(), 1, "nothing more is sent");
    // A start changes nothing about that.
    let bench = Bench::on(bench.end().await, &url, push());
    bench.let_time_pass();
    bench.until(|doing| doing.paused.is_some() && doing.behind > 0).await;
    gone.store(false, Ordering::Relaxed);
    bench.pushers.resume("siem", "a person").await.unwrap();
    bench.settle().await;
    let taken = taken(&all);
    assert!(taken.starts_with(&[0, 1, 2]) && bench.pushers.alarms().is_empty(), "{taken:?}");
    let entries = bench.store.entries(3, 10).await.unwrap();
    let codes: Vec<_> = entries.iter().map(|entry| entry.code.as_str()).collect();
    assert_eq!(codes, ["consumer-paused", "consumer-resumed"], "who moved it is on record");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_fails_for_days_is_told_first_as_behind_and_then_paused() {
    let (url, all) = inbox(Arc::new(|_, _| 500)).await;
    let store: Arc<MemoryStore> = Arc::default();
    for code in codes(0, 3) {
        enter(&store, code).await;
    }
    let bench = Bench::on(store, &url, push());
    bench.until(|doing| doing.failing.is_some()).await;
    assert!(bench.pushers.alarms().is_empty(), "one failure heals by itself");
    bench.let_time_pass();
    while bench.pushers.alarms().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.pushers.alarms()[0].code, "consumer-behind");
    bench.until(|doing| doing.paused.is_some()).await;
    assert!(bench.doing().paused.unwrap().at.since(NOON) >= Duration::from_secs(3 * 86_400));
    let tries = all.lock().unwrap().len();
    assert!((10..2_000).contains(&tries), "{tries} tries in three days");
    assert_eq!(bench.doing().next, 0);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_refused_is_left_out_where_that_is_meant_and_the_gap_is_on_record() {
    let refuses = |_, body: &str| if body.contains("\"n4\"") || body.contains("\"n17\"") { 400 } else { 200 };
    let (url, all) = inbox(Arc::new(refuses)).await;
    let park = Push { on_refused: OnRefused::Park, batch_max: 10, ..push() };
    let store: Arc<MemoryStore> = Arc::default();
    for code in codes(0, 25) {
        enter(&store, code).await;
    }
    let bench = Bench::on(store, &url, park);
    bench.let_time_pass();
    bench.settle().await;
    let taken = taken(&all);
    // Two entries tell of the two gaps, and were taken.
    let expected: Vec<u64> = (0..27).filter(|index| ![4, 17].contains(index)).collect();
    assert_eq!(taken, expected);
    let gaps = gaps(&bench.store).await;
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(gaps[0].contains("did not get entry 4: it answered 400") && gaps[1].contains("entry 17:"), "{gaps:?}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_everything_does_not_fill_the_log_with_its_gaps() {
    let (url, _) = inbox(Arc::new(|_, _| 422)).await;
    let bench = Bench::on(Arc::default(), &url, Push { on_refused: OnRefused::Park, ..push() });
    bench.let_time_pass();
    bench.enter(codes(0, 3)).await;
    bench.settle().await;
    assert_eq!(gaps(&bench.store).await.len(), 3);
    assert_eq!(bench.store.tree_head().await.unwrap().size, 6);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_gives_the_same_ids_again_and_a_changed_consumer_goes_on_where_it_was() {
    let (url, all) = inbox(Arc::new(|_, _| 200)).await;
    let bench = Bench::on(Arc::default(), &url, push());
    bench.let_time_pass();
    bench.enter(codes(0, 6)).await;
    bench.settle().await;
    bench.pushers.replay("siem", 4, "a person").await.unwrap();
    bench.settle().await;
    assert_eq!(taken(&all), [0, 1, 2, 3, 4, 5, 4, 5, 6], "the last tells of the replay");
    let came = all.lock().unwrap().clone();
    assert_eq!((&came[4].id, &came[4].body), (&came[6].id, &came[6].body));
    let error = bench.pushers.replay("siem", 99, "a person").await.unwrap_err().to_string();
    assert_eq!(error, "entry 99 is beyond the end of the log, which has 7");
    assert!(bench.pushers.pause("nobody", "a person").await.unwrap_err().to_string().contains("no consumer nobody"));
    let (other, others) = inbox(Arc::new(|_, _| 200)).await;
    bench.consumers.replace(&[consumer(webhook(&other), push())]);
    bench.enter(codes(7, 9)).await;
    while others.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(taken(&others), [7, 8]);
    bench.end().await;
}

#[test]
fn a_batch_is_bounded_by_its_bytes_and_takes_one_that_is_longer_alone() {
    let parcel = |bytes: usize| crate::feed::Parcel { at: None, kind: "service", text: "x".repeat(bytes) };
    let room = |entries: usize| batch::Room { entries, bytes: batch::BYTES_MAX };
    let mut batch = batch::Batch::new(cursor::Upto::Entry(0));
    assert!(batch.takes(3 << 20, room(100)), "the first always");
    batch.add(0, parcel(600 << 10), false);
    assert!(!batch.takes(500 << 10, room(100)) && batch.takes(400 << 10, room(100)) && !batch.takes(1, room(1)));
    assert_eq!(batch.first, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_too_long_for_its_receiver_is_parted_and_nothing_of_it_is_left_out() {
    let (url, all) = inbox(Arc::new(|_, body: &str| if body.matches("\"id\"").count() > 3 { 413 } else { 200 })).await;
    let store: Arc<MemoryStore> = Arc::default();
    for code in codes(0, 40) {
        enter(&store, code).await;
    }
    // The clock stands still: that something is too long is no failure that is waited for.
    let bench = Bench::on(store, &url, Push { batch_max: 16, on_refused: OnRefused::Park, ..push() });
    bench.settle().await;
    assert_eq!(taken(&all), (0..40).collect::<Vec<_>>());
    let too_long = || all.lock().unwrap().iter().filter(|came| came.status == 413).count();
    let at_first = too_long();
    assert!((1..6).contains(&at_first), "{at_first}: what is too long is remembered");
    // For an hour: then it may take more.
    for (after, is_asked_again) in [(60, false), (3_600, true)] {
        for code in codes(0, 20) {
            enter(&bench.store, code).await;
        }
        bench.clock.advance(Duration::from_secs(after));
        bench.settle().await;
        assert_eq!(too_long() > at_first, is_asked_again, "after {after} s");
    }
    assert_eq!(gaps(&bench.store).await, [""; 0]);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pruned_before_it_came_is_told_once_with_its_first_and_its_last_entry() {
    let (url, all) = inbox(Arc::new(|_, _| 200)).await;
    let store: Arc<MemoryStore> = Arc::default();
    for index in 0..300_u64 {
        // As one reads whose line is gone.
        enter(&store, if (4..60).contains(&index) { "pruned".to_owned() } else { format!("n{index}") }).await;
    }
    let bench = Bench::on(store, &url, push());
    bench.until(|doing| doing.next > 20).await;
    let bench = Bench::on(bench.kill().await, &url, push());
    bench.let_time_pass();
    bench.settle().await;
    let expected = "consumer siem got 56 of the entries 4 to 59 when they, or their bodies, were pruned";
    assert_eq!(gaps(&bench.store).await, [expected]);
    let first: Vec<u64> = first_of(&taken(&all));
    assert_eq!(first, (0..301).collect::<Vec<_>>(), "what is left of them came, and what tells of them");
    bench.end().await;
}
