//! Against a small server on loopback, over a store in memory, in which days pass at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::audit::{Detail, Kind as Of};
use crate::chance::SeededChance;
use crate::clock::{ManualClock, Timestamp};
use crate::feed::{Consumer, Kind, Webhook};
use crate::store::{MemoryStore, Note};
use crate::web::admin::view::EntryView;

/// 2026-11-20T12:00:00Z
const NOON: Timestamp = Timestamp::from_secs(1_795_176_000);
const LOG: &str = "adjutant/test";

/// A request, and how it was answered.
#[derive(Debug, Clone)]
struct Came {
    id: String,
    kind: String,
    body: String,
    status: u16,
}

type Answers = Arc<dyn Fn(usize, &str) -> u16 + Send + Sync>;
type All = Arc<Mutex<Vec<Came>>>;

/// Answers by the number and the body of a request.
async fn inbox(answers: Answers) -> (String, All) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, all) = (format!("http://{}", listener.local_addr().unwrap()), All::default());
    let kept = Arc::clone(&all);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, Arc::clone(&answers), Arc::clone(&kept)));
        }
    });
    (url, all)
}

async fn serve(mut stream: TcpStream, answers: Answers, all: All) {
    let (reading, mut writing) = stream.split();
    let mut reading = BufReader::new(reading);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let from = head.len();
            if reading.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
            let line = head[from..].trim().to_ascii_lowercase();
            length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
        }
        let mut body = vec![0; length];
        reading.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let status = {
            let mut all = all.lock().unwrap();
            let status = answers(all.len(), &body);
            let (id, kind) = (header("webhook-id: "), header("content-type: "));
            all.push(Came { id, kind, body, status });
            status
        };
        let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n");
        writing.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn push() -> Push {
    Push {
        audit: true,
        deliveries: false,
        format: Format::CloudEvents,
        filter: None,
        on_refused: OnRefused::Block,
        batch_max: 1,
        secrets: false,
        from: From::Start,
    }
}

struct Bench {
    store: Arc<MemoryStore>,
    clock: ManualClock,
    consumers: Arc<Consumers>,
    pushers: Arc<Pushers>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    is_over: Arc<AtomicBool>,
}

impl Bench {
    fn on(store: Arc<MemoryStore>, url: &str, push: Push) -> Self {
        let clock = ManualClock::at(NOON);
        let headers = http::HeaderMap::new();
        let webhook = Webhook { url: url.to_owned(), secrets: Vec::new(), allow_private: true, headers };
        let consumer = Consumer { name: "siem".parse().unwrap(), kind: Kind::Webhook(webhook), push: Some(push) };
        let consumers = Arc::new(Consumers::new(&[consumer], Arc::new(clock.clone())));
        let parts = Parts {
            store: Arc::<MemoryStore>::clone(&store),
            clock: Arc::new(clock.clone()),
            chance: Arc::new(SeededChance::new(1)),
            log: LOG.to_owned(),
            show: |entry| serde_json::to_value(EntryView::from(entry)).unwrap(),
        };
        let pushers = Arc::new(Pushers::new(Arc::clone(&consumers), parts));
        let (stop, is_over) = (CancellationToken::new(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        let (running, until) = (Arc::clone(&pushers), stop.clone());
        tasks.spawn(async move { running.run(&until).await });
        Self { store, clock, consumers, pushers, stop, tasks, is_over }
    }

    /// From now on time passes by itself, a second for each look.
    fn let_time_pass(&self) {
        let (clock, is_over) = (self.clock.clone(), Arc::clone(&self.is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        });
    }

    async fn enter(&self, codes: impl IntoIterator<Item = String>) {
        for code in codes {
            enter(&self.store, code).await;
        }
    }

    fn doing(&self) -> Doing {
        self.pushers.doing().pop().unwrap()
    }

    /// Until it has the whole log.
    async fn settle(&self) {
        loop {
            let size = self.store.tree_head().await.unwrap().size;
            if self.doing().next == size && self.doing().behind == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn until(&self, holds: impl Fn(&Doing) -> bool) {
        while !holds(&self.doing()) {
            tokio::task::yield_now().await;
        }
    }

    async fn end(mut self) -> Arc<MemoryStore> {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.is_over.store(true, Ordering::Relaxed);
        self.store
    }
}

async fn enter(store: &MemoryStore, code: String) {
    let detail = Detail::note("a note");
    store.note(Note { kind: Of::Service, app: None, account: None, code, detail }, NOON).await.unwrap();
}

/// The indices of the events that were taken, in order.
fn taken(all: &All) -> Vec<u64> {
    let all = all.lock().unwrap().clone();
    let good = all.iter().filter(|came| came.status == 200);
    let events = good.flat_map(|came| match serde_json::from_str(&came.body).unwrap() {
        Value::Array(events) => events,
        event => vec![event],
    });
    let index = |event: Value| {
        let index = event["data"]["index"].as_u64().unwrap();
        assert_eq!(event["id"], format!("{LOG}/{index}"));
        index
    };
    events.map(index).collect()
}

fn codes(from: u64, to: u64) -> impl Iterator<Item = String> {
    (from..to).map(|n| format!("n{n}"))
}

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
    for code in codes(0, 25) {
        enter(&store, code).await;
    }
    let bench = Bench::on(store, &url, Push { batch_max: 10, ..push() });
    bench.until(|doing| doing.failing.is_some()).await;
    bench.enter(codes(25, 60)).await;
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

/// What the log says of gaps.
async fn gaps(store: &MemoryStore) -> Vec<String> {
    let entries = store.entries(0, 1_000).await.unwrap();
    let gaps = entries.into_iter().filter(|entry| entry.code == "consumer-gap");
    gaps.map(|entry| entry.detail.unwrap().note).collect()
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
    let headers = http::HeaderMap::new();
    let webhook = Webhook { url: other, secrets: Vec::new(), allow_private: true, headers };
    let changed = Consumer { name: "siem".parse().unwrap(), kind: Kind::Webhook(webhook), push: Some(push()) };
    bench.consumers.replace(&[changed]);
    bench.enter(codes(7, 9)).await;
    while others.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(taken(&others), [7, 8]);
    bench.end().await;
}

#[test]
fn a_batch_is_bounded_by_its_bytes_and_takes_one_that_is_longer_alone() {
    let parcel = |bytes: usize| crate::feed::Parcel { at: NOON, kind: "service", text: "x".repeat(bytes) };
    let mut batch = batch::Batch::default();
    assert!(batch.takes(3 << 20, 100), "the first always");
    batch.add(0, parcel(600 << 10), false);
    assert!(!batch.takes(500 << 10, 100) && batch.takes(400 << 10, 100) && !batch.takes(1, 1));
    assert_eq!(json!(batch.of), json!([0, 0]));
}
