//! A real receiver behind a real accept loop, and a store that remembers what it was given.

mod recorder;
pub(crate) mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use adjutant::clock::{ManualClock, Timestamp};
use adjutant::event::signature::Secret;
use adjutant::ids::AppName;
use adjutant::web::accept::{AcceptSettings, AcceptStats, Acceptor, Served};
use adjutant::web::lanes::Lanes;
use adjutant::web::peer::Proxies;
use adjutant::web::webhook::{Receiver, ReceiverApp, ReceiverSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) use recorder::Recorder;

/// The moment at which the manual clock stands, in seconds.
pub(crate) const NOW: i64 = 1_739_923_528;
pub(crate) const SECRET: &str = "zoom-test-secret-token";
pub(crate) const OLD_SECRET: &str = "zoom-test-older-secret";
pub(crate) const OTHER_SECRET: &str = "secret-of-the-other-app";
/// Longer than anything that is waited for here: it is there to fail a test instead of hanging it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(&text.into()).unwrap()
}

pub(crate) fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

/// Two apps: `main` with a new and an old secret, `other` with one.
pub(crate) fn apps() -> Vec<ReceiverApp> {
    vec![
        ReceiverApp { name: app("main"), secrets: vec![secret(SECRET), secret(OLD_SECRET)] },
        ReceiverApp { name: app("other"), secrets: vec![secret(OTHER_SECRET)] },
    ]
}

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Recorder>,
    pub(crate) clock: ManualClock,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) accepted: Arc<AcceptStats>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Served>,
}

impl Service {
    /// A service whose secrets have proven themselves.
    pub(crate) async fn start() -> Self {
        Self::with(Recorder::proven(), ReceiverSettings::default(), AcceptSettings::default()).await
    }

    pub(crate) async fn with(store: Recorder, settings: ReceiverSettings, accept: AcceptSettings) -> Self {
        let (store, clock) = (Arc::new(store), ManualClock::at(Timestamp::from_secs(NOW)));
        let receiver = Receiver::open(apps(), store.clone(), Arc::new(clock.clone()), settings).await.unwrap();
        let site = receiver.site(axum::Router::new(), Proxies::default());
        let (stop, stopped) = oneshot::channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = Acceptor::new(accept).on(Lanes::start().unwrap());
        let accepted = acceptor.stats().clone();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            acceptor.serve(listener, site, stopped, Duration::from_secs(5)).await
        });
        Self { address, store, clock, receiver, accepted, stop: Some(stop), serving }
    }

    pub(crate) async fn connect(&self) -> Client {
        let stream = timeout(PATIENCE, TcpStream::connect(self.address)).await.unwrap().unwrap();
        Client { stream, left: Vec::new() }
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        let mut client = self.connect().await;
        client.write(request).await;
        client.answer().await.unwrap()
    }

    pub(crate) async fn stop(&mut self) -> Served {
        drop(self.stop.take());
        timeout(PATIENCE, &mut self.serving).await.unwrap().unwrap()
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    left: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Client {
    /// Writes as much as the service takes: it may answer and close before it has read everything.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _closed = timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn finish_writing(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next answer; none where the service closed the connection instead.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, used)) = self.read_answer() {
                self.left.drain(..used);
                return Some(answer);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Waits until the service closes the connection; says what came before that.
    pub(crate) async fn closed(mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&self.left).into_owned()
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0; 4096];
        let got = timeout(PATIENCE, self.stream.read(&mut piece)).await.unwrap().unwrap_or(0);
        self.left.extend_from_slice(&piece[..got]);
        got > 0
    }

    fn read_answer(&self) -> Option<(Answer, usize)> {
        let text = String::from_utf8_lossy(&self.left);
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let head = head.to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        let body = rest.get(..length)?.to_owned();
        let used = head.len() + 4 + length;
        Some((Answer { status, head, body }, used))
    }
}
