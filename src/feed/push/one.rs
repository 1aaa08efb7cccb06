//! One consumer that takes the log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::batch::{BYTES_MAX, Batch, id_of};
use super::cursor::{Cursor, Pruned, Upto};
use super::doing::{Doing, Failing};
use super::held::{Held, without_its_words};
use super::{OnRefused, Parts, Push};
use crate::audit::Entry;
use crate::clock::{Timestamp, lock};
use crate::feed::{Line, Sent, Way};
use crate::ids::ConsumerName;
use crate::job::Backoff;
use crate::store::StoreError;

/// Entries that are read at once.
const PAGE: usize = 100;
/// What was pruned within so many entries is told of at once.
const PAGED: u64 = 100;
/// Between two looks where nothing wakes it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After the first and after many failures in a row.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(900);
/// How long less goes at once, after it was too much.
const LESS_FOR: Duration = Duration::from_secs(3_600);
/// Failures for as long as this end in a pause.
const RETRY_FOR: Duration = Duration::from_secs(3 * 86_400);
/// Refusals in a row after which entries are left out, where that is meant.
const PARK_AFTER: u32 = 5;

/// What waits for a consumer.
struct Page {
    checkpoint: Option<Batch>,
    /// The number of the last of all checkpoints.
    signed: u64,
    entries: VecDeque<Entry>,
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
    pub(super) held: tokio::sync::Mutex<Option<Held>>,
    pub(super) doing: Mutex<Doing>,
    /// Entries below this go one by one, so that only those are left out that are refused.
    pub(super) singly_below: Mutex<u64>,
    /// Bytes that go at once since then: the consumer said that more is too much.
    less_at_once: Mutex<Option<(usize, Timestamp)>>,
    /// A checkpoint was left out, and none was taken since.
    pub(super) refuses_checkpoints: AtomicBool,
    pub(super) moved: Notify,
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
            checkpoint: None,
            checkpoints_behind: 0,
            oldest: None,
            paused: None,
            failing: None,
            sent_at: None,
            sent: 0,
        };
        let (held, doing, singly_below) = (tokio::sync::Mutex::default(), Mutex::new(doing), Mutex::default());
        let less_at_once = Mutex::default();
        let refuses_checkpoints = AtomicBool::new(false);
        Self { line, push, parts, held, doing, singly_below, less_at_once, refuses_checkpoints, moved: Notify::new() }
    }

    /// Bytes that go at once. Whoever took less is asked again after a while: it may take more by now.
    pub(super) fn bytes_max(&self) -> usize {
        let now = self.parts.clock.now();
        let less = lock(&self.less_at_once).filter(|(_, since)| now.since(*since) < LESS_FOR);
        less.map_or(BYTES_MAX, |(bytes, _)| bytes)
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
        self.noted((Upto::Entry(next), format!("the log: {error}"), false), Some(again));
        Next::At(again)
    }

    /// One checkpoint, or one page of the log.
    async fn turn(&self) -> Result<Next, StoreError> {
        let held = self.held().await?.as_ref().map(|held| (held.cursor.clone(), held.moves));
        let Some((cursor, moves)) = held else { return Ok(Next::Idle) };
        let mut page = self.page(&cursor).await?;
        let is_beyond = |pruned: &Pruned| page.entries.is_empty() || cursor.next > pruned.last.saturating_add(PAGED);
        if let Some(pruned) = cursor.pruned.filter(is_beyond) {
            self.tell(pruned, moves).await?;
            return Ok(Next::AtOnce);
        }
        if page.checkpoint.is_none() && page.entries.is_empty() {
            self.keep().await?;
            return Ok(Next::Idle);
        }
        let (waits_until, is_of_entries) = {
            let doing = lock(&self.doing);
            let failing = doing.failing.as_ref();
            let is_of_entries = failing.is_some_and(|failing| matches!(failing.upto, Upto::Entry(_)));
            (failing.map_or(Timestamp::EPOCH, |failing| failing.not_before), is_of_entries)
        };
        let now = self.parts.clock.now();
        if cursor.paused.is_some() || waits_until > now {
            return Ok(Next::At(waits_until.max(now.plus(LOOK_EVERY))));
        }
        // What failed is tried again before anything else.
        let first = page.checkpoint.take().filter(|_| !is_of_entries || page.entries.is_empty());
        if let Some(checkpoint) = first {
            return Ok(self.give(&checkpoint, moves).await?.unwrap_or(Next::AtOnce));
        }
        while !page.entries.is_empty() {
            // A person paused it, or has it go on elsewhere.
            if self.held().await?.as_ref().is_none_or(|held| held.moves != moves) {
                return Ok(Next::AtOnce);
            }
            let batch = self.gather(&mut page.entries).await?;
            if let Some(next) = self.give(&batch, moves).await? {
                return Ok(next);
            }
            // One that was signed meanwhile does not wait for the whole page.
            if self.push.checkpoints && self.parts.store.checkpoints(u64::MAX, 0).await?.last != page.signed {
                return Ok(Next::AtOnce);
            }
        }
        Ok(Next::AtOnce)
    }

    /// What it gets next, and how far it is behind.
    async fn page(&self, cursor: &Cursor) -> Result<Page, StoreError> {
        let (store, mut page) = (&self.parts.store, Page { checkpoint: None, signed: 0, entries: VecDeque::new() });
        let (mut behind, mut checkpoints_behind) = (0, 0);
        if self.push.takes_entries() {
            // What is on disk alone: another entry could come in the place of one that a power cut takes away.
            let size = store.tree_head().await?.size;
            let found = store.entries(cursor.next, PAGE.max(self.push.batch_max)).await?;
            page.entries = found.into_iter().filter(|entry| entry.index < size).collect();
            behind = size.saturating_sub(cursor.next);
        }
        if let Some(had) = cursor.checkpoint.filter(|_| self.push.checkpoints) {
            let mut signed = store.checkpoints(had, 1).await?;
            checkpoints_behind = signed.last.saturating_sub(had);
            if (1..had).contains(&signed.last) {
                // A restore took away those that it had: it gets the newest that there is.
                (signed, checkpoints_behind) = (store.checkpoints(signed.last - 1, 1).await?, 1);
            }
            page.signed = signed.last;
            if let Some((number, note)) = signed.notes.first() {
                page.checkpoint = Some(self.checkpoint(*number, note).await?);
            }
        }
        let of_checkpoint = page.checkpoint.iter().flat_map(|batch| &batch.parcels).filter_map(|parcel| parcel.at);
        let oldest = page.entries.front().map(|entry| entry.at).into_iter().chain(of_checkpoint).min();
        let mut doing = lock(&self.doing);
        (doing.next, doing.behind, doing.oldest) = (cursor.next, behind, oldest);
        doing.checkpoints_behind = checkpoints_behind;
        Ok(page)
    }

    /// Gives it a batch. None where the next can follow.
    async fn give(&self, batch: &Batch, moves: u64) -> Result<Option<Next>, StoreError> {
        if batch.parcels.is_empty() {
            self.advance(batch, moves).await?;
            return Ok(None);
        }
        let (upto, now) = (batch.upto, self.parts.clock.now());
        match self.sent(batch, now).await {
            Sent::Done(_) => {
                {
                    let mut doing = lock(&self.doing);
                    let count = u64::try_from(batch.parcels.len()).unwrap_or(u64::MAX);
                    (doing.failing, doing.sent_at) = (None, Some(self.parts.clock.now()));
                    doing.sent = doing.sent.saturating_add(count);
                }
                if matches!(upto, Upto::Checkpoint(_)) {
                    self.refuses_checkpoints.store(false, Ordering::Relaxed);
                }
                self.advance(batch, moves).await?;
                Ok(None)
            }
            Sent::Gone => {
                self.pause("it answered 410: it wants no more".to_owned(), None).await?;
                Ok(Some(Next::AtOnce))
            }
            Sent::Later { at, why } => self.failed((upto, why, false), Some(at)).await.map(Some),
            Sent::TooLong(_) if batch.parcels.len() > 1 => {
                *lock(&self.less_at_once) = Some((batch.bytes / 2, now));
                Ok(Some(Next::AtOnce))
            }
            Sent::TooLong(why) | Sent::Rejected(why) => self.refused(batch, why, moves).await,
            Sent::Failed(why) | Sent::Refused(why) | Sent::NextHour { why, .. } => {
                self.failed((upto, why, false), None).await.map(Some)
            }
        }
    }

    /// It does not take this: it is tried again, or left out.
    async fn refused(&self, batch: &Batch, why: String, moves: u64) -> Result<Option<Next>, StoreError> {
        let is_single = batch.parcels.len() == 1;
        let is_alone = batch.first.is_some_and(|first| first < *lock(&self.singly_below));
        let is_over =
            self.push.on_refused == OnRefused::Park && (is_alone || self.refused_times(batch.upto) >= PARK_AFTER);
        match (is_over, is_single, batch.upto) {
            (true, false, Upto::Entry(end)) => {
                *lock(&self.singly_below) = end;
                Ok(Some(Next::AtOnce))
            }
            (true, ..) => self.leave_out(batch, &why, moves).await.map(|()| None),
            (false, _, upto) => self.failed((upto, why, true), None).await.map(Some),
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
    fn refused_times(&self, upto: Upto) -> u32 {
        let doing = lock(&self.doing);
        let same = doing.failing.as_ref().filter(|failing| failing.upto == upto);
        same.map_or(0, |failing| failing.refused).saturating_add(1)
    }

    /// What could not be given, why, and whether it was refused.
    fn noted(&self, (upto, why, is_refused): (Upto, String, bool), not_before: Option<Timestamp>) -> Failing {
        let now = self.parts.clock.now();
        let failing = {
            let mut doing = lock(&self.doing);
            let before = doing.failing.as_ref().filter(|failing| failing.upto == upto);
            let (since, times) = before.map_or((now, 0), |failing| (failing.since, failing.times));
            let refused = before.map_or(0, |failing| failing.refused).saturating_add(1);
            let refused = if is_refused { refused } else { 0 };
            let times = times.saturating_add(1);
            let backoff = Backoff::new(RETRY_MIN, RETRY_MAX, u32::MAX).unwrap_or_default();
            let wait = backoff.after(times, self.parts.chance.unit()).unwrap_or(RETRY_MAX);
            let not_before = not_before.unwrap_or(now.plus(wait)).max(now.plus(RETRY_MIN / 2));
            let failing = Failing { since, times, refused, why: without_its_words(why), upto, not_before };
            doing.failing = Some(failing.clone());
            failing
        };
        if failing.times == 1 {
            let (name, what) = (self.name(), if is_refused { "refused" } else { "failed" });
            tracing::warn!(consumer = %name, error = %failing.why, "{what}; it is tried again");
        }
        failing
    }

    async fn failed(&self, what: (Upto, String, bool), not_before: Option<Timestamp>) -> Result<Next, StoreError> {
        let Failing { since, times, why, not_before, .. } = self.noted(what, not_before);
        if self.parts.clock.now().since(since) >= RETRY_FOR {
            self.pause(format!("it failed {times} times since {since}: {why}"), None).await?;
        }
        Ok(Next::At(not_before))
    }
}
