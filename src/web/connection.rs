//! One connection: what it is doing, for how long it may, and who ends it.
//!
//! hyper's own header timer starts with the end of the last answer, so it would also be the limit of an idle connection,
//! and proxies that keep connections longer would lose requests to it. So bytes are noticed here as they come, and the
//! deadline of a header runs from its first byte.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::Service;

use super::accept::AcceptSettings;
use super::body::Deadlined;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was sent yet.
    Fresh,
    /// The first bytes of a request are here.
    Head,
    /// A request is being answered.
    Busy,
    /// A request's body is on its way.
    Body,
    /// An answer is on its way.
    Answer,
    /// The last request was answered.
    Idle,
}

/// What the accept loop wants of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Serve,
    /// Finish what is in flight, then close.
    Drain,
    /// Close now.
    Close,
}

/// What the connection's task and the accept loop both see.
#[derive(Debug)]
pub(super) struct Conn {
    opened: Instant,
    phase: AtomicU8,
    /// When the phase began, in milliseconds since `opened`.
    since: AtomicU64,
    /// Since when the client has not read all that was written for it, in milliseconds since `opened`, and one more; 0 where
    /// it has.
    unread: AtomicU64,
    requests: AtomicU32,
    order: AtomicU8,
    told: Notify,
}

impl Conn {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            phase: AtomicU8::new(0),
            since: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            order: AtomicU8::new(0),
            told: Notify::new(),
        }
    }

    pub(super) fn tell(&self, order: Order) {
        let code = match order {
            Order::Serve => 0,
            Order::Drain => 1,
            Order::Close => 2,
        };
        self.order.fetch_max(code, Ordering::Relaxed);
        self.told.notify_one();
    }

    fn order(&self) -> Order {
        match self.order.load(Ordering::Relaxed) {
            0 => Order::Serve,
            1 => Order::Drain,
            _ => Order::Close,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Fresh,
            1 => Phase::Head,
            2 => Phase::Busy,
            3 => Phase::Idle,
            4 => Phase::Body,
            _ => Phase::Answer,
        }
    }

    fn enter(&self, phase: Phase) {
        let code = match phase {
            Phase::Fresh => 0,
            Phase::Head => 1,
            Phase::Busy => 2,
            Phase::Idle => 3,
            Phase::Body => 4,
            Phase::Answer => 5,
        };
        self.since.store(millis(self.opened.elapsed()), Ordering::Relaxed);
        self.phase.store(code, Ordering::Relaxed);
    }

    pub(super) fn since(&self) -> Instant {
        self.opened + Duration::from_millis(self.since.load(Ordering::Relaxed))
    }

    fn bytes_came(&self) {
        match self.phase() {
            // The deadline still runs from the accept.
            Phase::Fresh => self.phase.store(1, Ordering::Relaxed),
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head | Phase::Busy | Phase::Body | Phase::Answer => {}
        }
    }

    /// Bytes wait for the client to read others.
    fn writing_waits(&self) {
        if self.unread.load(Ordering::Relaxed) == 0 {
            self.unread.store(millis(self.opened.elapsed()).saturating_add(1), Ordering::Relaxed);
        }
    }

    /// What is left of the answer is in the hands of whoever writes it. When the phase began stays the same, as for a body.
    fn is_answered(&self) {
        self.phase.store(5, Ordering::Relaxed);
    }

    fn all_is_written(&self) {
        if self.unread.load(Ordering::Relaxed) != 0 {
            self.unread.store(0, Ordering::Relaxed);
        }
        if self.phase() == Phase::Answer {
            self.enter(Phase::Idle);
        }
    }

    fn unread_since(&self) -> Option<Instant> {
        let millis = self.unread.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.opened + Duration::from_millis(millis))
    }

    /// The body is here, or nobody wants it. When the phase began stays the same: it is one request.
    pub(super) fn body_over(&self) {
        let _other_phase = self.phase.compare_exchange(4, 2, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether it is used up after one more request.
    fn request_came(&self, has_body: bool, settings: &AcceptSettings) -> bool {
        self.enter(if has_body { Phase::Body } else { Phase::Busy });
        let requests = self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let age = Duration::from_secs(u64::from(settings.keep_alive_secs));
        requests >= settings.keep_alive_requests_max || self.opened.elapsed() >= age
    }

    /// When it is to be closed if its phase does not change, and when to look again.
    fn deadlines(&self, settings: &AcceptSettings) -> (Option<Instant>, Instant) {
        let header = Duration::from_secs(u64::from(settings.header_secs));
        let idle = Duration::from_secs(u64::from(settings.idle_secs));
        let answer = Duration::from_secs(u64::from(settings.answer_secs));
        let due = match (self.unread_since(), self.phase()) {
            // Whatever else it does: somebody who reads keeps nobody waiting for long.
            (Some(unread), _) => Some(unread + answer),
            (None, Phase::Fresh | Phase::Head) => Some(self.since() + header),
            (None, Phase::Idle) => Some(self.since() + idle),
            // The body has a deadline of its own, after which it is answered.
            (None, Phase::Busy | Phase::Body | Phase::Answer) => None,
        };
        // What begins after we looked is not due before this.
        let soonest = Instant::now() + header.min(idle).min(answer);
        (due, due.map_or(soonest, |due| due.min(soonest)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, or by the client.
    Closed,
    /// By an order.
    Ordered,
    /// A header, or the next request, did not come in time, or an answer was not read.
    Late,
}

/// What a listener serves.
pub trait Site: Clone + Send + Sync + 'static {
    /// `peer` is the other end of the connection.
    fn answer(
        &self,
        request: http::Request<Deadlined>,
        peer: IpAddr,
    ) -> impl Future<Output = http::Response<Body>> + Send;
}

impl Site for Router {
    async fn answer(&self, request: http::Request<Deadlined>, _peer: IpAddr) -> http::Response<Body> {
        // A router is always ready.
        match self.clone().call(request).await {
            Ok(response) => response,
        }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(
    (stream, peer): (TcpStream, IpAddr),
    site: impl Site,
    conn: Arc<Conn>,
    http: http1::Builder,
    settings: Arc<AcceptSettings>,
) -> End {
    let io = TokioIo::new(Watched { stream, conn: Arc::clone(&conn) });
    let service = service_fn(|request: http::Request<Incoming>| answer(request, peer, &site, &conn, &settings));
    let mut serving = std::pin::pin!(http.serve_connection(io, service));
    let (_, first) = conn.deadlines(&settings);
    let mut look = std::pin::pin!(tokio::time::sleep_until(first));
    loop {
        tokio::select! {
            biased;
            _ = serving.as_mut() => return End::Closed,
            () = conn.told.notified() => match conn.order() {
                Order::Serve => {}
                Order::Drain if conn.phase() == Phase::Fresh => return End::Ordered,
                Order::Drain => serving.as_mut().graceful_shutdown(),
                Order::Close => return End::Ordered,
            },
            () = look.as_mut() => {
                let (due, next) = conn.deadlines(&settings);
                if due.is_some_and(|due| due <= Instant::now()) {
                    return End::Late;
                }
                look.as_mut().reset(next);
            }
        }
    }
}

async fn answer(
    request: http::Request<Incoming>,
    peer: IpAddr,
    site: &impl Site,
    conn: &Arc<Conn>,
    settings: &AcceptSettings,
) -> Result<http::Response<Body>, std::convert::Infallible> {
    let used_up = conn.request_came(!request.body().is_end_stream(), settings);
    let deadline = conn.since() + Duration::from_secs(u64::from(settings.body_secs));
    let request = request.map(|body| Deadlined::new(body, deadline, Arc::clone(conn)));
    let mut response = site.answer(request, peer).await;
    if used_up {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if response.body().is_end_stream() || response.body().size_hint().exact().is_some() {
        conn.is_answered();
        return Ok(response);
    }
    // A stream keeps the connection busy until it ends.
    Ok(response.map(|body| Body::new(Streaming { body, conn: Arc::clone(conn) })))
}

/// A response body of unknown length.
struct Streaming {
    body: Body,
    conn: Arc<Conn>,
}

impl HttpBody for Streaming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.conn.is_answered();
    }
}

/// A stream that tells its connection when bytes come, and when they cannot go.
struct Watched {
    stream: TcpStream,
    conn: Arc<Conn>,
}

impl Watched {
    fn noticed<T>(&self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() {
            self.conn.writing_waits();
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.conn.bytes_came();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noticed(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noticed(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has written everything.
        self.conn.all_is_written();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_quiet_only_once_its_answer_is_written() {
        let (conn, settings) = (Conn::new(), AcceptSettings::default());
        conn.request_came(false, &settings);
        conn.is_answered();
        assert_eq!((conn.phase(), conn.deadlines(&settings).0), (Phase::Answer, None));
        conn.writing_waits();
        assert!(conn.deadlines(&settings).0.is_some(), "whoever does not read it keeps nobody waiting for ever");
        conn.all_is_written();
        let quiet = conn.since() + Duration::from_secs(u64::from(settings.idle_secs));
        assert_eq!((conn.phase(), conn.deadlines(&settings).0), (Phase::Idle, Some(quiet)));
    }
}
