//! One consumer that takes the log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{MutexGuard, Notify};
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, id_of};
use super::cursor::{Cursor, Paused};
use super::{From, OnRefused, Parts, Push};
use crate::alarm::Alarm;
use crate::audit::{Detail, Entry, Kind};
use crate::clock::{Timestamp, lock};
use crate::event::wire;
use crate::feed::format::{Item, Original};
use crate::feed::{Line, Parcel, Sent, Way};
use crate::ids::{ConsumerName, DeliveryId};
use crate::job::Backoff;
use crate::rules::without_secrets;
use crate::store::{Note, StoreError};

/// Entries that are read at once.
const PAGE: usize = 100;
/// Between two looks where nothing wakes it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A cursor is written no more often than this while there is more to send: what is sent again after a sudden end.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// After the first and after many failures in a row.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(900);
/// Failures for as long as this end in a pause.
const RETRY_FOR: Duration = Duration::from_secs(3 * 86_400);
/// Refusals in a row after which entries are left out, where that is meant.
const PARK_AFTER: u32 = 5;
/// An entry that waits longer is told.
const BEHIND_AFTER: Duration = Duration::from_secs(900);
/// Of an entry that tells that others were left out.
const GAP: &str = "consumer-gap";

/// How a consumer does.
#[derive(Debug, Clone)]
pub struct Doing {
    pub name: ConsumerName,
    pub kind: &'static str,
    pub place: String,
    pub push: Push,
    /// The entry that it gets next.
    pub next: u64,
    /// Entries that it has not got.
    pub behind: u64,
    /// Since when the first of them is there.
    pub oldest: Option<Timestamp>,
    pub paused: Option<Paused>,
    pub failing: Option<Failing>,
    pub sent_at: Option<Timestamp>,
    /// Since the start.
    pub sent: u64,
}

/// It did not take the same entries again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    pub since: Timestamp,
    pub times: u32,
    pub why: String,
    /// The last entry of what it did not take: it is tried as it was.
    until: u64,
    not_before: Timestamp,
}

impl Doing {
    pub fn behind_secs(&self, now: Timestamp) -> u64 {
        self.oldest.map_or(0, |oldest| now.since(oldest).as_secs())
    }

    pub(super) fn alarm(&self, now: Timestamp) -> Option<Alarm> {
        let (name, behind) = (&self.name, self.behind);
        if let Some(Paused { at, why }) = &self.paused {
            let what = format!("consumer {name} gets nothing since {at}, and {behind} entries wait: {why}");
            let command = format!("adjutant consumers resume {name}");
            let advice = "mend it, and let it go on: nothing is lost meanwhile";
            return Some(Alarm::new("consumer-paused", what, advice, command).about(name).since(*at));
        }
        let oldest = self.oldest.filter(|oldest| now.since(*oldest) >= BEHIND_AFTER)?;
        let why = self.failing.as_ref().map_or_else(String::new, |failing| format!(": {}", failing.why));
        let what = format!("consumer {name} is behind by {behind} entries, the oldest of {oldest}{why}");
        let advice = "see what it says; it is tried again by itself, and nothing is lost meanwhile";
        let command = format!("adjutant consumers show {name}");
        Some(Alarm::new("consumer-behind", what, advice, command).about(name).since(oldest))
    }
}

/// The cursor, and what of it is not written yet.
#[derive(Debug)]
struct Held {
    cursor: Cursor,
    /// Grows when somebody moves it: what was under way then moves it no more.
    moves: u64,
    is_dirty: bool,
    written_at: Timestamp,
}

/// What comes next.
enum Next {
    AtOnce,
    At(Timestamp),
    /// Everything was sent.
    Idle,
}

#[derive(Debug)]
pub(super) struct Pusher {
    line: Arc<Line>,
    push: Push,
    parts: Parts,
    /// None until it was read.
    held: tokio::sync::Mutex<Option<Held>>,
    doing: Mutex<Doing>,
    /// Entries below this go one by one, so that only those are left out that are refused.
    singly_below: Mutex<u64>,
    moved: Notify,
}

impl Pusher {
    pub(super) fn new(line: Arc<Line>, push: Push, parts: Parts) -> Self {
        let doing = Doing {
            name: line.consumer.name.clone(),
            kind: line.consumer.kind.code(),
            place: line.consumer.kind.place(),
            push: push.clone(),
            next: 0,
            behind: 0,
            oldest: None,
            paused: None,
            failing: None,
            sent_at: None,
            sent: 0,
        };
        let (held, doing, singly_below) = (tokio::sync::Mutex::default(), Mutex::new(doing), Mutex::default());
        Self { line, push, parts, held, doing, singly_below, moved: Notify::new() }
    }

    pub(super) fn is_of(&self, line: &Arc<Line>) -> bool {
        Arc::ptr_eq(&self.line, line)
    }

    pub(super) fn name(&self) -> &ConsumerName {
        &self.line.consumer.name
    }

    pub(super) fn doing(&self) -> Doing {
        lock(&self.doing).clone()
    }

    pub(super) async fn run(&self, stop: &CancellationToken) {
        stop.run_until_cancelled(self.push()).await;
        if let Err(error) = self.keep().await {
            tracing::debug!(consumer = %self.name(), %error, "the cursor could not be kept: the last entries come again");
        }
    }

    async fn push(&self) {
        let mut changed = self.parts.store.changed();
        loop {
            changed.borrow_and_update();
            let now = self.parts.clock.now();
            let next = self.turn().await.unwrap_or_else(|error| {
                tracing::debug!(consumer = %self.name(), %error, "the log cannot be read now");
                Next::At(now.plus(LOOK_EVERY))
            });
            let at = match next {
                Next::AtOnce => continue,
                // How far it is behind is seen anew meanwhile.
                Next::At(at) => at.min(self.parts.clock.now().plus(LOOK_EVERY)),
                Next::Idle => self.parts.clock.now().plus(LOOK_EVERY),
            };
            let is_idle = matches!(next, Next::Idle);
            tokio::select! {
                () = self.parts.clock.sleep_until(at) => {}
                () = self.moved.notified() => {}
                Ok(()) = changed.changed(), if is_idle => {}
            }
        }
    }

    /// One page of the log.
    async fn turn(&self) -> Result<Next, StoreError> {
        let (next, moves, is_paused) = {
            let held = self.held().await?;
            let found = held.as_ref().map(|held| (held.cursor.next, held.moves, held.cursor.paused.is_some()));
            found.unwrap_or_default()
        };
        // What is on disk alone: another entry could come in the place of one that a power cut takes away.
        let size = self.parts.store.tree_head().await?.size;
        let mut page = self.parts.store.entries(next, PAGE).await?;
        page.retain(|entry| entry.index < size);
        let waits_until = {
            let mut doing = lock(&self.doing);
            (doing.next, doing.behind) = (next, size.saturating_sub(next));
            doing.oldest = page.first().map(|entry| entry.at);
            doing.failing.as_ref().map_or(Timestamp::EPOCH, |failing| failing.not_before)
        };
        let now = self.parts.clock.now();
        if page.is_empty() {
            self.keep().await?;
            return Ok(Next::Idle);
        }
        if is_paused || waits_until > now {
            return Ok(Next::At(waits_until.max(now.plus(LOOK_EVERY))));
        }
        let mut left = VecDeque::from(page);
        while !left.is_empty() {
            let batch = self.gather(&mut left).await?;
            if let Some(next) = self.give(&batch, moves).await? {
                return Ok(next);
            }
        }
        Ok(Next::AtOnce)
    }

    /// What goes next of these entries. They are fewer then.
    async fn gather(&self, left: &mut VecDeque<Entry>) -> Result<Batch, StoreError> {
        let until = lock(&self.doing).failing.as_ref().map(|failing| failing.until);
        let singly_below = *lock(&self.singly_below);
        let mut batch = Batch::default();
        while let Some(entry) = left.pop_front() {
            let index = entry.index;
            let is_over =
                until.is_some_and(|until| index > until) || batch.of.is_some_and(|(first, _)| first < singly_below);
            if is_over && batch.of.is_some() {
                left.push_front(entry);
                break;
            }
            let is_gap = entry.code == GAP;
            if let Some(parcel) = self.parcel(entry.clone()).await? {
                if !batch.takes(parcel.text.len(), self.push.batch_max) {
                    left.push_front(entry);
                    break;
                }
                batch.add(index, parcel, is_gap);
            }
            batch.end = index.saturating_add(1);
            if batch.parcels.len() >= self.push.batch_max {
                break;
            }
        }
        Ok(batch)
    }

    /// An entry as it is sent; none where it is not wanted.
    async fn parcel(&self, entry: Entry) -> Result<Option<Parcel>, StoreError> {
        let body_of = entry.delivery.filter(|_| entry.kind == Kind::Delivery && self.push.deliveries);
        if !self.push.audit && body_of.is_none() {
            return Ok(None);
        }
        let (at, kind) = (entry.at, entry.kind.code());
        let entry = (self.parts.show)(entry);
        if self.push.filter.as_ref().is_some_and(|filter| !filter.passes(&entry)) {
            return Ok(None);
        }
        let body = match body_of {
            Some(delivery) => self.original(delivery).await?,
            None => None,
        };
        let item = Item { log: &self.parts.log, entry: &entry, body: body.as_ref() };
        Ok(Some(Parcel { at, kind, text: self.push.format.write(&item).to_string() }))
    }

    /// The body of a delivery; none where it was pruned, or is no JSON that secrets could be taken out of.
    async fn original(&self, delivery: DeliveryId) -> Result<Option<Original>, StoreError> {
        let found = self.parts.store.delivery(delivery).await?;
        let Some(verified) = found.and_then(|(delivery, _)| delivery.verified) else { return Ok(None) };
        if self.push.secrets {
            return Ok(Some(Original::Bytes(verified.body().to_vec())));
        }
        let mut body = wire::body(&verified).ok();
        body.as_mut().into_iter().for_each(|body| without_secrets(body, Some("***")));
        Ok(body.map(Original::Json))
    }

    /// Gives it a batch. None where the next can follow.
    async fn give(&self, batch: &Batch, moves: u64) -> Result<Option<Next>, StoreError> {
        let Some((first, last)) = batch.of else {
            self.advance(batch.end, moves).await?;
            return Ok(None);
        };
        let now = self.parts.clock.now();
        match self.sent(batch, now).await {
            Sent::Done(_) => {
                {
                    let mut doing = lock(&self.doing);
                    let count = u64::try_from(batch.parcels.len()).unwrap_or(u64::MAX);
                    (doing.failing, doing.sent_at) = (None, Some(self.parts.clock.now()));
                    doing.sent = doing.sent.saturating_add(count);
                }
                self.advance(batch.end, moves).await?;
                Ok(None)
            }
            Sent::Gone => {
                self.pause("it answered 410: it wants no more".to_owned()).await?;
                Ok(Some(Next::AtOnce))
            }
            Sent::Later { at, why } => self.failed((last, why, false), Some(at)).await.map(Some),
            Sent::Rejected(why) => {
                let is_single = first == last;
                let is_over = self.push.on_refused == OnRefused::Park
                    && (first < *lock(&self.singly_below) || self.refused_times(last) >= PARK_AFTER);
                match (is_over, is_single) {
                    (true, true) => self.leave_out(batch, first, &why, moves).await.map(|()| None),
                    (true, false) => {
                        *lock(&self.singly_below) = batch.end;
                        Ok(Some(Next::AtOnce))
                    }
                    (false, _) => self.failed((last, why, true), None).await.map(Some),
                }
            }
            Sent::Failed(why) | Sent::Refused(why) | Sent::NextHour { why, .. } => {
                self.failed((last, why, false), None).await.map(Some)
            }
        }
    }

    async fn sent(&self, batch: &Batch, now: Timestamp) -> Sent {
        match &self.line.way {
            Way::Webhook(webhook) => {
                let (kind, bytes) = batch.posted(self.push.format, self.push.batch_max > 1);
                webhook.send(&id_of(&bytes), kind, bytes, now).await
            }
            way => way.take(&batch.parcels, now).await,
        }
    }

    /// How often in a row it failed to take what ends there, this time counted.
    fn refused_times(&self, last: u64) -> u32 {
        let doing = lock(&self.doing);
        let same = doing.failing.as_ref().filter(|failing| failing.until == last);
        same.map_or(0, |failing| failing.times).saturating_add(1)
    }

    async fn failed(
        &self,
        (last, why, is_refused): (u64, String, bool),
        not_before: Option<Timestamp>,
    ) -> Result<Next, StoreError> {
        let now = self.parts.clock.now();
        let failing = {
            let mut doing = lock(&self.doing);
            let before = doing.failing.as_ref().filter(|failing| failing.until == last);
            let (since, times) = before.map_or((now, 0), |failing| (failing.since, failing.times));
            let times = times.saturating_add(1);
            let backoff = Backoff::new(RETRY_MIN, RETRY_MAX, u32::MAX).unwrap_or_default();
            let wait = backoff.after(times, self.parts.chance.unit()).unwrap_or(RETRY_MAX);
            let not_before = not_before.unwrap_or(now.plus(wait)).max(now.plus(RETRY_MIN / 2));
            let failing = Failing { since, times, why, until: last, not_before };
            doing.failing = Some(failing.clone());
            failing
        };
        let Failing { since, times, why, not_before, .. } = failing;
        if times == 1 {
            let (name, what) = (self.name(), if is_refused { "refused" } else { "failed" });
            tracing::warn!(consumer = %name, error = %why, "{what}; it is tried again");
        }
        if now.since(since) >= RETRY_FOR {
            self.pause(format!("it failed {times} times since {since}: {why}")).await?;
        }
        Ok(Next::At(not_before))
    }

    /// Leaves out what it refuses, which is on record. What tells of a gap is left out without a word: it would go on for ever.
    async fn leave_out(&self, batch: &Batch, index: u64, why: &str, moves: u64) -> Result<(), StoreError> {
        let name = self.name();
        lock(&self.doing).failing = None;
        if batch.is_of_gaps {
            tracing::warn!(consumer = %name, index, error = %why, "an entry about a gap was refused and left out");
            return self.advance(batch.end, moves).await;
        }
        let note = note(GAP, format!("consumer {name} did not get entry {index}: {why}"));
        let mut held = self.held().await?;
        let Some(held) = held.as_mut().filter(|held| held.moves == moves) else { return Ok(()) };
        let mut cursor = held.cursor.clone();
        cursor.next = batch.end;
        self.written(held, cursor, vec![note]).await
    }

    /// It has all before this, unless somebody moved it meanwhile.
    async fn advance(&self, next: u64, moves: u64) -> Result<(), StoreError> {
        let mut held = self.held().await?;
        let Some(held) = held.as_mut().filter(|held| held.moves == moves) else { return Ok(()) };
        (held.cursor.next, held.is_dirty) = (next, true);
        lock(&self.doing).next = next;
        if self.parts.clock.now().since(held.written_at) < WRITE_EVERY {
            return Ok(());
        }
        let cursor = held.cursor.clone();
        self.written(held, cursor, Vec::new()).await
    }

    /// Writes what is not written yet.
    async fn keep(&self) -> Result<(), StoreError> {
        let mut held = self.held.lock().await;
        let Some(held) = held.as_mut().filter(|held| held.is_dirty) else { return Ok(()) };
        let cursor = held.cursor.clone();
        self.written(held, cursor, Vec::new()).await
    }

    async fn written(&self, held: &mut Held, cursor: Cursor, notes: Vec<Note>) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        self.parts.store.write_documents(vec![cursor.write(self.name())], notes, now).await?;
        let mut doing = lock(&self.doing);
        (doing.next, doing.paused) = (cursor.next, cursor.paused.clone());
        (held.cursor, held.is_dirty, held.written_at) = (cursor, false, now);
        Ok(())
    }

    /// The cursor, which is made where it is new.
    async fn held(&self) -> Result<MutexGuard<'_, Option<Held>>, StoreError> {
        let mut held = self.held.lock().await;
        if held.is_none() {
            let (store, now) = (&self.parts.store, self.parts.clock.now());
            let found = Cursor::kept(&**store, self.name()).await?;
            let is_dirty = found.is_none();
            let cursor = match (found, self.push.from) {
                (Some(cursor), _) => cursor,
                (None, From::Start) => Cursor::at(0),
                (None, From::End) => Cursor::at(store.tree_head().await?.size),
            };
            let made = held.insert(Held { cursor, moves: 0, is_dirty, written_at: Timestamp::EPOCH });
            let cursor = made.cursor.clone();
            if is_dirty {
                self.written(made, cursor, Vec::new()).await?;
            } else {
                made.written_at = now;
                let mut doing = lock(&self.doing);
                (doing.next, doing.paused) = (cursor.next, cursor.paused);
            }
        }
        Ok(held)
    }

    /// Moves the cursor as this says, with an entry about it.
    async fn moved(
        &self,
        change: impl FnOnce(&mut Cursor, Timestamp),
        (code, what): (&str, String),
    ) -> Result<(), StoreError> {
        let mut held = self.held().await?;
        let Some(held) = held.as_mut() else { return Ok(()) };
        let mut cursor = held.cursor.clone();
        change(&mut cursor, self.parts.clock.now());
        self.written(held, cursor, vec![note(code, format!("consumer {}: {what}", self.name()))]).await?;
        held.moves = held.moves.saturating_add(1);
        lock(&self.doing).failing = None;
        *lock(&self.singly_below) = 0;
        self.moved.notify_one();
        Ok(())
    }

    pub(super) async fn pause(&self, why: String) -> Result<(), StoreError> {
        let told = ("consumer-paused", why.clone());
        self.moved(|cursor, at| cursor.paused = Some(Paused { at, why }), told).await
    }

    pub(super) async fn resume(&self, by: &str) -> Result<(), StoreError> {
        self.moved(|cursor, _| cursor.paused = None, ("consumer-resumed", format!("resumed by {by}"))).await
    }

    pub(super) async fn replay(&self, from: u64, by: &str) -> Result<(), StoreError> {
        let told = ("consumer-replayed", format!("gets the log again from entry {from}, asked by {by}"));
        self.moved(|cursor, _| cursor.next = from, told).await
    }
}

fn note(code: &str, what: String) -> Note {
    Note { kind: Kind::Service, app: None, account: None, code: code.to_owned(), detail: Detail::note(what) }
}
