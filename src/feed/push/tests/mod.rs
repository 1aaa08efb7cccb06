//! Against a small server on loopback, over a store in memory, in which days pass at once.

mod checkpoints;
mod entries;
mod moves;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// In the place of an answer.
const HANGS_UP: u16 = 0;

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
        if status == HANGS_UP {
            return;
        }
        let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n");
        writing.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn push() -> Push {
    Push {
        audit: true,
        deliveries: false,
        checkpoints: false,
        format: Format::CloudEvents,
        filter: None,
        on_refused: OnRefused::Block,
        batch_max: 1,
        secrets: false,
        from: From::Start,
    }
}

/// The consumer that the tests look at.
fn consumer(kind: Kind, push: Push) -> Consumer {
    Consumer { name: "siem".parse().unwrap(), kind, push: Some(push) }
}

fn webhook(url: &str) -> Kind {
    let headers = http::HeaderMap::new();
    Kind::Webhook(Webhook { url: url.to_owned(), secrets: Vec::new(), allow_private: true, headers })
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
        Self::with(store, ManualClock::at(NOON), &[consumer(webhook(url), push)])
    }

    fn with(store: Arc<MemoryStore>, clock: ManualClock, consumers: &[Consumer]) -> Self {
        let consumers = Arc::new(Consumers::new(consumers, Arc::new(clock.clone())));
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

    /// As if it had been killed: what was not written is not. Gives what a start finds.
    async fn kill(mut self) -> Arc<MemoryStore> {
        let found = self.store.restart().unwrap();
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.is_over.store(true, Ordering::Relaxed);
        Arc::new(found)
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

/// What the log says of gaps.
async fn gaps(store: &MemoryStore) -> Vec<String> {
    let entries = store.entries(0, 1_000).await.unwrap();
    let gaps = entries.into_iter().filter(|entry| entry.code == "consumer-gap");
    gaps.map(|entry| entry.detail.unwrap().note).collect()
}

/// Without those that came again.
fn first_of(all: &[u64]) -> Vec<u64> {
    let mut seen = std::collections::BTreeSet::new();
    all.iter().copied().filter(|index| seen.insert(*index)).collect()
}
