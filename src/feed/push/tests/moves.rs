//! How a person moves a consumer, and forgets one.

use std::sync::mpsc;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_a_pause_and_goes_away_gets_it_whole() {
    let (url, _) = inbox(Arc::new(|_, _| 200)).await;
    let bench = Bench::on(Arc::default(), &url, push());
    bench.until(|doing| doing.behind == 0).await;
    let pusher = bench.pushers.one("siem").unwrap();
    let held = pusher.held.lock().await;
    tokio::select! {
        biased;
        done = bench.pushers.pause("siem", "a person") => panic!("{done:?}, and the cursor is held"),
        () = std::future::ready(()) => {}
    }
    drop(held);
    bench.until(|doing| doing.paused.is_some()).await;
    assert_eq!(bench.store.entries(0, 9).await.unwrap()[0].code, "consumer-paused");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_not_configured_any_more_is_known_until_it_is_forgotten() {
    let (url, all) = inbox(Arc::new(|_, _| 200)).await;
    let bench = Bench::on(Arc::default(), &url, push());
    bench.let_time_pass();
    bench.enter(codes(0, 3)).await;
    bench.settle().await;
    let error = bench.pushers.forget("siem", "a person").await.unwrap_err().to_string();
    assert!(error.contains("consumer siem takes the log: take it out of the configuration"), "{error}");
    assert_eq!(bench.pushers.left().await.unwrap(), []);
    let store = bench.end().await;
    let none = Bench::with(store, ManualClock::at(NOON), &[]);
    let left = Left { name: "siem".parse().unwrap(), next: 3, behind: 0 };
    assert_eq!(none.pushers.left().await.unwrap(), [left]);
    none.pushers.forget("siem", "a person").await.unwrap();
    assert_eq!(none.pushers.left().await.unwrap(), []);
    let error = none.pushers.forget("siem", "a person").await.unwrap_err().to_string();
    assert!(error.contains("there is no consumer siem"), "{error}");
    let entry = none.store.entries(3, 9).await.unwrap().remove(0);
    assert_eq!((entry.code.as_str(), entry.detail.unwrap().actor.as_deref()), ("consumer-forgotten", Some("a person")));
    // Under its name, another begins anew.
    let again = Bench::on(none.end().await, &url, push());
    again.let_time_pass();
    again.settle().await;
    assert_eq!(taken(&all), [0, 1, 2, 0, 1, 2, 3]);
    again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_the_log_again_in_the_midst_of_a_page_gets_it_from_there() {
    let ((came, comes), (go, goes)) = (mpsc::channel(), mpsc::channel());
    let held = Mutex::new((came, goes));
    let (url, all) = inbox(Arc::new(move |number, _| {
        if number == 3 {
            let (came, goes) = &*held.lock().unwrap();
            came.send(()).unwrap();
            // Tasks of this thread go on in another one meanwhile.
            tokio::task::block_in_place(|| goes.recv().unwrap());
        }
        200
    }))
    .await;
    // All in one page: they are there before it looks.
    let store: Arc<MemoryStore> = Arc::default();
    for code in codes(0, 6) {
        enter(&store, code).await;
    }
    let bench = Bench::on(store, &url, push());
    tokio::task::block_in_place(|| comes.recv().unwrap());
    bench.pushers.replay("siem", 1, "a person").await.unwrap();
    go.send(()).unwrap();
    bench.settle().await;
    assert_eq!(taken(&all), [0, 1, 2, 3, 1, 2, 3, 4, 5, 6], "the last tells of the replay");
    bench.end().await;
}
