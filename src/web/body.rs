//! Request bodies: a deadline on the whole of one, and a cap while it is read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::BoxError;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::RefusalKind;
use super::connection::Conn;

/// A request body that fails when it has not all come by the deadline. The timer is only made when a body is waited for.
#[derive(Debug)]
pub struct Deadlined {
    body: Incoming,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// Is told when the body is over.
    conn: Arc<Conn>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time")]
pub(super) struct TooSlow;

impl Deadlined {
    pub(super) fn new(body: Incoming, deadline: Instant, conn: Arc<Conn>) -> Self {
        Self { body, deadline, timer: None, conn }
    }
}

impl Drop for Deadlined {
    fn drop(&mut self) {
        self.conn.body_over();
    }
}

impl HttpBody for Deadlined {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Memory for bodies that come in more than one piece, shared by all requests.
#[derive(Debug)]
pub(super) struct Room {
    used: Arc<AtomicUsize>,
    max: usize,
}

/// Gives its bytes back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    pub(super) fn new(max: usize) -> Self {
        Self { used: Arc::default(), max }
    }

    fn share(&self) -> Share {
        Share { used: Arc::clone(&self.used), bytes: 0 }
    }
}

impl Share {
    fn grow(&mut self, by: usize, max: usize) -> Result<(), RefusalKind> {
        let before = self.used.fetch_add(by, Ordering::Relaxed);
        self.bytes = self.bytes.saturating_add(by);
        if before.saturating_add(by) > max { Err(RefusalKind::Crowded) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads all of a body, at most `bytes_max`. One that came in one piece, as most do, is not copied. The share is to be kept
/// for as long as the bytes are.
pub(super) async fn read<B>(mut body: B, bytes_max: usize, room: &Room) -> Result<(Bytes, Option<Share>), RefusalKind>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let Some(first) = next(&mut body).await? else { return Ok((Bytes::new(), None)) };
    if first.len() > bytes_max {
        return Err(RefusalKind::TooLarge);
    }
    let Some(mut piece) = next(&mut body).await? else { return Ok((first, None)) };
    let mut share = room.share();
    share.grow(first.len(), room.max)?;
    let mut whole = BytesMut::from(first);
    loop {
        if whole.len().saturating_add(piece.len()) > bytes_max {
            return Err(RefusalKind::TooLarge);
        }
        share.grow(piece.len(), room.max)?;
        whole.extend_from_slice(&piece);
        match next(&mut body).await? {
            Some(next) => piece = next,
            None => return Ok((whole.freeze(), Some(share))),
        }
    }
}

/// The next piece with bytes in it. Trailers are nothing to us.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, RefusalKind>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    loop {
        if body.is_end_stream() {
            return Ok(None);
        }
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => {
                let slow = is_too_slow(error.into());
                return Err(if slow { RefusalKind::SlowBody } else { RefusalKind::BrokenBody });
            }
        }
    }
}

/// axum wraps the error of a body that went through its router.
fn is_too_slow(error: BoxError) -> bool {
    match error.downcast::<axum::Error>() {
        Ok(wrapped) => wrapped.into_inner().is::<TooSlow>(),
        Err(error) => error.is::<TooSlow>(),
    }
}
