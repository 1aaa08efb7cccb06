//! The accept loop of both listeners: HTTP/1.1 with a deadline on everything.
//!
//! `axum::serve` 0.8 sets no timer, so half a header would stay for ever. Guarantees:
//! - a header comes within its deadline, from its first byte (or from the accept), and so does a body; a connection that
//!   asks nothing is closed, and so is one whose client does not read what it was answered;
//! - there is room for a new connection as long as one of those that are open is not being worked on: the one that has been
//!   quiet the longest is closed for it, and where none is quiet the one whose body or answer has been on its way the longest;
//! - connections leave file descriptors to the rest of the process; running out of them all the same is survived, and makes
//!   room in the same way;
//! - when told to stop it takes no more connections, finishes what is in flight, and ends at the caller's deadline.
//!
//! Deliberately does not know what is served, and speaks no TLS: that is the proxy's.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

pub use super::connection::Site;
use super::connection::{self, Conn, End, Order, Phase};
use super::lanes::Lanes;
use crate::clock::lock;

/// Limits of a listener, the same for `[server]` and `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptSettings {
    /// Connections that may be open at once. Beyond it the one that was quiet the longest is closed.
    pub connections_max: u32,
    /// How long a request's header may take from its first byte, and a new connection until its first header is complete,
    /// in seconds.
    pub header_secs: u32,
    /// How long a request's body may take in all, in seconds. Then 408.
    pub body_secs: u32,
    /// How long a client may take to read what it was answered, in seconds, from when it first keeps us waiting. Then its
    /// connection is closed.
    pub answer_secs: u32,
    /// How long a connection may be quiet between two requests, in seconds.
    pub idle_secs: u32,
    /// Requests on one connection, after which it is closed.
    pub keep_alive_requests_max: u32,
    /// How old a connection may get, in seconds; it is closed with the next answer.
    pub keep_alive_secs: u32,
    /// The largest header that is taken, the request line included, in bytes. Beyond it 431.
    pub header_bytes_max: u32,
}

impl Default for AcceptSettings {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            header_secs: 10,
            body_secs: 10,
            answer_secs: 30,
            idle_secs: 30,
            keep_alive_requests_max: 10_000,
            keep_alive_secs: 3600,
            header_bytes_max: 32_768,
        }
    }
}

/// What a listener did since it started.
#[derive(Debug, Default)]
pub struct AcceptStats {
    accepted: AtomicU64,
    closed: AtomicU64,
    evicted: AtomicU64,
    late: AtomicU64,
    accept_errors: AtomicU64,
}

impl AcceptStats {
    /// Connections taken.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.accepted().saturating_sub(self.closed.load(Ordering::Relaxed))
    }

    /// Quiet connections closed to make room.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Connections closed because a header or the next request did not come, or an answer was not read, in time.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Failures to take a connection, such as running out of file descriptors.
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were still busy at the deadline and were cut off.
    pub cut_off: u64,
}

/// A listener's loop.
#[derive(Debug)]
pub struct Acceptor {
    settings: Arc<AcceptSettings>,
    stats: Arc<AcceptStats>,
    lanes: Option<Lanes>,
}

impl Acceptor {
    /// Serves connections on the runtime that it is on itself.
    pub fn new(settings: AcceptSettings) -> Self {
        Self { settings: Arc::new(settings), stats: Arc::default(), lanes: None }
    }

    /// Serves connections on these lanes instead.
    #[must_use]
    pub fn on(self, lanes: Lanes) -> Self {
        Self { lanes: Some(lanes), ..self }
    }

    pub const fn stats(&self) -> &Arc<AcceptStats> {
        &self.stats
    }

    /// Serves `site` until `stop` ends; then finishes what is in flight, within `drain`. Dropped before, it closes all
    /// connections at once.
    pub async fn serve(
        &self,
        listener: TcpListener,
        site: impl Site,
        stop: impl Future<Output = ()> + Send,
        drain: Duration,
    ) -> Served {
        let mut http = http1::Builder::new();
        let header_bytes_max = usize::try_from(self.settings.header_bytes_max).unwrap_or(usize::MAX).max(1024);
        // The deadline of a header is the connection's own; see there.
        http.timer(TokioTimer::new()).header_read_timeout(None);
        http.max_header_size(header_bytes_max).max_buf_size(header_bytes_max.saturating_add(32_768));
        let wanted = usize::try_from(self.settings.connections_max).unwrap_or(usize::MAX);
        let room = wanted.min(descriptors_for_one_listener()).clamp(1, Semaphore::MAX_PERMITS);
        if room < wanted {
            tracing::warn!(wanted, room, "fewer connections than connections_max: raise LimitNOFILE");
        }
        let floor = Floor(Arc::new(Connections { open: Mutex::default(), stats: Arc::clone(&self.stats) }));
        let permits = Arc::new(Semaphore::new(room));
        let mut stop = std::pin::pin!(stop);
        let mut grumbled = None;
        loop {
            let next = async {
                let stream = accept(&listener, &floor.0, &mut grumbled).await;
                let permit = make_room(&permits, &floor.0, room).await;
                (stream, permit)
            };
            let ((stream, peer), permit) = tokio::select! {
                () = stop.as_mut() => break,
                (stream, Some(permit)) = next => (stream, permit),
                else => break,
            };
            self.spawn((stream, peer), permit, site.clone(), http.clone(), &floor.0);
        }
        drop(listener);
        floor.0.tell_all(Order::Drain);
        let all = u32::try_from(room).unwrap_or(u32::MAX);
        let cut_off = if timeout(drain, permits.acquire_many(all)).await.is_ok() { 0 } else { floor.0.count() };
        Served { cut_off }
    }

    fn spawn(
        &self,
        (stream, peer): (TcpStream, IpAddr),
        permit: OwnedSemaphorePermit,
        site: impl Site,
        http: http1::Builder,
        connections: &Arc<Connections>,
    ) {
        // Answers are small and must not wait for more. A connection that is gone already shows that soon enough.
        let _gone = stream.set_nodelay(true);
        let place = connections.enter();
        let settings = Arc::clone(&self.settings);
        let serving = move |stream| async move {
            let end = connection::serve((stream, peer), site, Arc::clone(&place.conn), http, settings).await;
            if end == End::Late {
                place.connections.stats.late.fetch_add(1, Ordering::Relaxed);
            }
            // In this order: who gets the permit finds the place free.
            drop(place);
            drop(permit);
        };
        match self.lanes.as_ref().and_then(Lanes::next) {
            None => drop(tokio::spawn(serving(stream))),
            Some(lane) => {
                // A stream belongs to the runtime where it was made. One that cannot change over is closed.
                let Ok(stream) = stream.into_std() else { return };
                lane.spawn(async move {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        serving(stream).await;
                    }
                });
            }
        }
    }
}

/// For this long a body or an answer may be on its way and its connection is not closed for another. Zoom waits 3 seconds for
/// an answer.
const UNTOUCHED: Duration = Duration::from_secs(1);

/// File descriptors that are left to the store, to calls to Zoom and to the runtime.
const DESCRIPTORS_OF_OTHERS: u64 = 128;

/// There are two listeners, and either may be full.
fn descriptors_for_one_listener() -> usize {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = most.map_or(u64::MAX, |most| (most.saturating_sub(DESCRIPTORS_OF_OTHERS) / 2).max(16));
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// Takes the next connection, whatever goes wrong.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
    grumbled: &mut Option<Instant>,
) -> (TcpStream, IpAddr) {
    loop {
        let error = match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(error) => error,
        };
        // The client was gone before we took it: nothing is wrong with us.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
        ) {
            continue;
        }
        connections.stats.accept_errors.fetch_add(1, Ordering::Relaxed);
        if grumbled.is_none_or(|at: Instant| at.elapsed() >= Duration::from_secs(60)) {
            *grumbled = Some(Instant::now());
            tracing::error!(%error, open = connections.count(), "failed to accept a connection; raise LimitNOFILE?");
        }
        // Out of file descriptors or memory: the connection stays in the kernel's queue. Make room and try again.
        connections.evict(connections.len() / 8 + 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until one connection fewer than allowed is open, closing quiet ones. None only where the semaphore is closed.
async fn make_room(permits: &Arc<Semaphore>, connections: &Connections, room: usize) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        return Some(permit);
    }
    loop {
        // Some at a time, since to look for them goes over all of them.
        connections.evict((room / 100).max(1));
        // Where all are busy, look again soon.
        match timeout(Duration::from_millis(50), Arc::clone(permits).acquire_owned()).await {
            Ok(permit) => return permit.ok(),
            Err(_elapsed) => {}
        }
    }
}

/// The connections that are open.
#[derive(Debug)]
struct Connections {
    open: Mutex<Open>,
    stats: Arc<AcceptStats>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    conns: HashMap<u64, Arc<Conn>>,
}

impl Connections {
    fn enter(self: &Arc<Self>) -> Place {
        let conn = Arc::new(Conn::new());
        let mut open = lock(&self.open);
        let number = open.next;
        open.next = number.wrapping_add(1);
        open.conns.insert(number, Arc::clone(&conn));
        self.stats.accepted.fetch_add(1, Ordering::Relaxed);
        Place { connections: Arc::clone(self), number, conn }
    }

    fn len(&self) -> usize {
        lock(&self.open).conns.len()
    }

    fn count(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }

    fn tell_all(&self, order: Order) {
        for conn in lock(&self.open).conns.values() {
            conn.tell(order);
        }
    }

    /// Closes those that have been quiet the longest, `wanted` at most, and after them those that keep us waiting with a
    /// body, or with reading an answer: whoever is in earnest does it at once.
    fn evict(&self, wanted: usize) {
        let now = Instant::now();
        let mut quiet: Vec<_> = {
            let open = lock(&self.open);
            let spare = open.conns.values().filter_map(|conn| match conn.phase() {
                Phase::Busy => None,
                Phase::Body | Phase::Answer if now.saturating_duration_since(conn.since()) < UNTOUCHED => None,
                Phase::Body | Phase::Answer => Some((true, conn.since(), Arc::clone(conn))),
                Phase::Fresh | Phase::Head | Phase::Idle => Some((false, conn.since(), Arc::clone(conn))),
            });
            spare.collect()
        };
        quiet.sort_unstable_by_key(|(is_under_way, since, _)| (*is_under_way, *since));
        for (_, _, conn) in quiet.into_iter().take(wanted) {
            conn.tell(Order::Close);
            self.stats.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Closes everything when the loop is gone.
struct Floor(Arc<Connections>);

impl Drop for Floor {
    fn drop(&mut self) {
        self.0.tell_all(Order::Close);
    }
}

/// One open connection's place; free when it is dropped.
struct Place {
    connections: Arc<Connections>,
    number: u64,
    conn: Arc<Conn>,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.connections.open).conns.remove(&self.number);
        self.connections.stats.closed.fetch_add(1, Ordering::Relaxed);
    }
}
