//! The audit log as server-sent events: what is there, then what comes, for as long as somebody reads.
//!
//! Guarantees: the next entries are read when the last ones were taken, so that a slow reader holds one page of them; who may
//! read is asked again before every page and every heartbeat. The id of an event is the cursor behind it, so that
//! `Last-Event-ID` goes on without a gap; a heartbeat has one too, since entries that are not told are passed by.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::Deserialize;

use super::caller::Caller;
use super::cursor::Cursors;
use super::described::{Argument, Operation, Told};
use super::guard::Credentials;
use super::problem::ApiProblem;
use super::readers::{Seat, Waiter};
use super::reading::{Reading, kinds};
use super::routes::{Asked, Shared, asked, maybe};
use super::view::EntryView;
use super::{AdminState, log, reading};
use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::store::StoreError;

/// After so long without an entry the connection is shown to be alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Entries that are read at once.
const PAGE: usize = 100;
/// A comment, before the first entries.
const PRUNED_TOLD: &str = ": the first entries are older than they are kept: of those only time, kind and hash are left, and whose they were is not known\n\n";
/// Between two looks where entries keep coming: what comes meanwhile is read at once.
const PACE: Duration = Duration::from_millis(20);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamAsked {
    /// Only entries of this account.
    account: Option<String>,
    /// The cursor after which to go on; `Last-Event-ID` counts before it. Without both, from the next entry on.
    after: Option<String>,
    /// From here on: the number of an entry, or a time.
    from: Option<String>,
    /// Up to here, and without it: then the stream ends.
    to: Option<String>,
    /// Only these kinds, as in `intent,outcome`.
    kind: Option<String>,
    /// Only those that meet a condition over `entry`, as in `entry.call.status >= 400`. For operators of all accounts.
    filter: Option<String>,
}

/// The header `Last-Event-ID`: where a stream that broke off goes on.
#[derive(Debug)]
pub(super) struct LastEventId(Option<String>);

impl Argument for LastEventId {
    fn describe(operation: &mut Operation) {
        operation.header =
            Some(("Last-Event-ID", "The id of the last event that was read: the stream goes on after it"));
    }
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, ApiProblem> {
        let id = parts.headers.get("last-event-id").map(|id| id.to_str().map(str::to_owned)).transpose();
        id.map(Self).map_err(|_| ApiProblem::bad_request("Last-Event-ID is no text"))
    }
}

pub(super) async fn stream(
    State(state): Shared,
    caller: Caller,
    credentials: Credentials,
    LastEventId(last): LastEventId,
    query: Asked<StreamAsked>,
) -> Result<EventStream, ApiProblem> {
    let StreamAsked { account, after, from, to, kind, filter } = asked(query)?;
    let account = caller.scope(maybe(account.as_ref())?)?;
    let filter = reading::filter(filter.as_deref(), &caller)?;
    let to = log::ends(&state, to.as_deref()).await?;
    let reading = Reading { account, kinds: kinds(kind.as_deref())?, filter, to };
    // Who connects again does so with the address of the first time.
    let from = from.filter(|_| last.is_none());
    let after = last.or(after);
    if after.is_none() {
        log::is_known(&state, reading.account.as_ref()).await?;
    }
    let next = match (after, from) {
        (None, None) => state.store.tree_head().await?.size,
        (after, from) => log::begins(&state, after.as_deref(), from.as_deref()).await?,
    };
    let seat = state.readers.enter(&caller.actor)?;
    let (beat, cursors) = (state.clock.now(), Cursors::of(&state)?);
    let begin = next..next.saturating_add(1_000);
    let has_pruned = reading::is_pruned(&*state.store, begin).await?;
    let events =
        Events { state, caller, credentials, reading, cursors, next, beat, is_pressed: false, has_pruned, _seat: seat };
    Ok(EventStream(events))
}

/// What is answered.
pub(super) struct EventStream(Events);

impl Told for EventStream {
    fn describe(operation: &mut Operation) {
        let mut schema = operation.schema::<EntryView>();
        schema.insert("description".to_owned(), "The data of each event. Its id is the cursor behind it".into());
        operation.answer = Some((200, "text/event-stream", schema));
    }
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // nginx would keep events until it has a bufferful.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        (headers, Body::new(Unfolding(Some(Box::pin(self.0.next()))))).into_response()
    }
}

struct Events {
    state: Arc<AdminState>,
    caller: Caller,
    credentials: Credentials,
    reading: Reading,
    cursors: Cursors,
    next: u64,
    /// When something was told last.
    beat: Timestamp,
    /// The last page had entries.
    is_pressed: bool,
    /// It begins among entries that are older than entries are kept, and nobody was told as yet.
    has_pruned: bool,
    _seat: Seat,
}

impl Events {
    /// What is sent next; none at the end of the stream.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.is_pressed {
            tokio::time::sleep(PACE).await;
        }
        loop {
            let waiter = Waiter::new(&self.state);
            if self.state.readers.is_ended() || self.credentials.caller(&self.state).await.ok()? != self.caller {
                return None;
            }
            if std::mem::take(&mut self.has_pruned) {
                return Some((Bytes::from_static(PRUNED_TOLD.as_bytes()), self));
            }
            let (entries, is_behind) = self.look().await.ok()?;
            let (now, due) = (self.state.clock.now(), self.beat.plus(HEARTBEAT));
            self.is_pressed = !entries.is_empty();
            if !self.is_pressed && self.next >= self.reading.to {
                return None;
            }
            if self.is_pressed || now >= due {
                self.beat = now;
                let text = if self.is_pressed { self.events(entries) } else { self.heartbeat() };
                return Some((text.into(), self));
            }
            if !is_behind {
                waiter.wait(&self.state, due).await;
            }
        }
    }

    /// The next entries, and whether there may be others already.
    async fn look(&mut self) -> Result<(Vec<Entry>, bool), StoreError> {
        let before = self.next;
        let (entries, next) = self.reading.page(&*self.state.store, before, PAGE).await?;
        self.next = next;
        Ok((entries, next > before))
    }

    fn events(&self, entries: Vec<Entry>) -> String {
        let event = |entry: Entry| {
            let id = self.cursors.encode(entry.index.saturating_add(1));
            // A view is JSON of one line.
            let data = serde_json::to_string(&EntryView::from(entry)).unwrap_or_default();
            format!("id: {id}\ndata: {data}\n\n")
        };
        entries.into_iter().map(event).collect()
    }

    /// Without data it is no event, and its id counts all the same.
    fn heartbeat(&self) -> String {
        format!(": heartbeat\nid: {}\n\n", self.cursors.encode(self.next))
    }
}

/// What is sent next, and what comes after it.
type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Events)>> + Send>>;

/// A body that is made piece by piece, each when the one before was taken.
struct Unfolding(Option<Next>);

impl HttpBody for Unfolding {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(next) = self.0.as_mut() else { return Poll::Ready(None) };
        let Poll::Ready(made) = next.as_mut().poll(cx) else { return Poll::Pending };
        let (piece, rest) = made.map_or((None, None), |(piece, rest)| (Some(piece), Some(rest)));
        self.0 = rest.map(|rest| {
            let next: Next = Box::pin(rest.next());
            next
        });
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
