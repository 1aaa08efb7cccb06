//! One consumer that takes the log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{MutexGuard, Notify};
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, id_of};
use super::cursor::{Cursor, Paused};
use super::doing::{Doing, Failing};
use super::{From, OnRefused, Parts, Push};
use crate::audit::{Detail, Kind};
use crate::clock::{Timestamp, lock};
use crate::feed::{Line, Sent, Way};
use crate::ids::ConsumerName;
use crate::job::Backoff;
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
/// Of an entry that tells that others were left out.
pub(super) const GAP: &str = "consumer-gap";

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
    pub(super) push: Push,
    pub(super) parts: Parts,
    /// None until it was read.
    held: tokio::sync::Mutex<Option<Held>>,
    pub(super) doing: Mutex<Doing>,
    /// Entries below this go one by one, so that only those are left out that are refused.
    pub(super) singly_below: Mutex<u64>,
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
            let next = match self.turn().await {
                Ok(next) => next,
                Err(error) => self.unread(&error),
            };
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

    /// The log cannot be read or its cursor not be written: it is told as what it gets next is.
    fn unread(&self, error: &StoreError) -> Next {
        let next = lock(&self.doing).next;
        let again = self.parts.clock.now().plus(LOOK_EVERY);
        self.noted((next, format!("the log: {error}"), false), Some(again));
        Next::At(again)
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
        let mut page = self.parts.store.entries(next, PAGE.max(self.push.batch_max)).await?;
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
            // A person paused it, or has it go on elsewhere.
            if self.held().await?.as_ref().is_none_or(|held| held.moves != moves) {
                return Ok(Next::AtOnce);
            }
            let batch = self.gather(&mut left).await?;
            if let Some(next) = self.give(&batch, moves).await? {
                return Ok(next);
            }
        }
        Ok(Next::AtOnce)
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
                self.pause("it answered 410: it wants no more".to_owned(), None).await?;
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

    /// How often in a row it refused to take what ends there, this time counted.
    fn refused_times(&self, last: u64) -> u32 {
        let doing = lock(&self.doing);
        let same = doing.failing.as_ref().filter(|failing| failing.until == last);
        same.map_or(0, |failing| failing.refused).saturating_add(1)
    }

    /// What could not be given, up to which entry, and whether it was refused.
    fn noted(&self, (last, why, is_refused): (u64, String, bool), not_before: Option<Timestamp>) -> Failing {
        let now = self.parts.clock.now();
        let failing = {
            let mut doing = lock(&self.doing);
            let before = doing.failing.as_ref().filter(|failing| failing.until == last);
            let (since, times) = before.map_or((now, 0), |failing| (failing.since, failing.times));
            let refused = before.map_or(0, |failing| failing.refused).saturating_add(1);
            let refused = if is_refused { refused } else { 0 };
            let times = times.saturating_add(1);
            let backoff = Backoff::new(RETRY_MIN, RETRY_MAX, u32::MAX).unwrap_or_default();
            let wait = backoff.after(times, self.parts.chance.unit()).unwrap_or(RETRY_MAX);
            let not_before = not_before.unwrap_or(now.plus(wait)).max(now.plus(RETRY_MIN / 2));
            let failing = Failing { since, times, refused, why: without_its_words(why), until: last, not_before };
            doing.failing = Some(failing.clone());
            failing
        };
        if failing.times == 1 {
            let (name, what) = (self.name(), if is_refused { "refused" } else { "failed" });
            tracing::warn!(consumer = %name, error = %failing.why, "{what}; it is tried again");
        }
        failing
    }

    async fn failed(&self, what: (u64, String, bool), not_before: Option<Timestamp>) -> Result<Next, StoreError> {
        let Failing { since, times, why, not_before, .. } = self.noted(what, not_before);
        if self.parts.clock.now().since(since) >= RETRY_FOR {
            self.pause(format!("it failed {times} times since {since}: {why}"), None).await?;
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
        let why = without_its_words(why.to_owned());
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
        by: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut held = self.held().await?;
        let Some(held) = held.as_mut() else { return Ok(()) };
        let mut cursor = held.cursor.clone();
        change(&mut cursor, self.parts.clock.now());
        let mut note = note(code, format!("consumer {}: {what}", self.name()));
        note.detail.actor = by.map(str::to_owned);
        self.written(held, cursor, vec![note]).await?;
        held.moves = held.moves.saturating_add(1);
        lock(&self.doing).failing = None;
        *lock(&self.singly_below) = 0;
        self.moved.notify_one();
        Ok(())
    }

    pub(super) async fn pause(&self, why: String, by: Option<&str>) -> Result<(), StoreError> {
        let told = ("consumer-paused", why.clone());
        self.moved(|cursor, at| cursor.paused = Some(Paused { at, why }), told, by).await
    }

    pub(super) async fn resume(&self, by: &str) -> Result<(), StoreError> {
        self.moved(|cursor, _| cursor.paused = None, ("consumer-resumed", format!("resumed by {by}")), Some(by)).await
    }

    pub(super) async fn replay(&self, from: u64, by: &str) -> Result<(), StoreError> {
        let told = ("consumer-replayed", format!("gets the log again from entry {from}, asked by {by}"));
        self.moved(|cursor, _| cursor.next = from, told, Some(by)).await
    }
}

fn note(code: &str, what: String) -> Note {
    Note { kind: Kind::Service, app: None, account: None, code: code.to_owned(), detail: Detail::note(what) }
}

/// What a consumer answered, by its status alone: its words, and where it would lead to, may have what it was sent, or the secret
/// in its URL, and this goes into the log.
fn without_its_words(why: String) -> String {
    match why.strip_prefix("it answered ").and_then(|answer| answer.split([':', ',', ' ']).next()) {
        Some(status) => format!("it answered {status}"),
        None => why,
    }
}
