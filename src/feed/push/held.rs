//! The cursor of a consumer while it runs: how it moves on, how a person moves it, and when it is written.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::MutexGuard;

use super::From;
use super::batch::Batch;
use super::cursor::{Cursor, Paused, Pruned, Upto};
use super::one::Pusher;
use crate::audit::{Detail, Kind};
use crate::clock::{Timestamp, lock};
use crate::store::{Note, StoreError};

/// A cursor is written no more often than this while there is more to send: what is sent again after a sudden end.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Of an entry that tells that others were left out.
pub(super) const GAP: &str = "consumer-gap";

/// The cursor, and what of it is not written yet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) cursor: Cursor,
    /// Grows when somebody moves it: what was under way then moves it no more.
    pub(super) moves: u64,
    is_dirty: bool,
    written_at: Timestamp,
}

impl Pusher {
    /// Leaves out what it refuses, which is on record. What tells of a gap is left out without a word, and so is any but the first
    /// checkpoint: it would go on for ever.
    pub(super) async fn leave_out(&self, batch: &Batch, why: &str, moves: u64) -> Result<(), StoreError> {
        let (name, what) = (self.name(), batch.what());
        lock(&self.doing).failing = None;
        // What is entered is signed, and that is a checkpoint again.
        let is_checkpoint = matches!(batch.upto, Upto::Checkpoint(_));
        if batch.is_of_gaps || (is_checkpoint && self.refuses_checkpoints.swap(true, Ordering::Relaxed)) {
            tracing::warn!(consumer = %name, what, error = %why, "what tells of a gap, or follows from it, was refused and left out");
            return self.advance(batch, moves).await;
        }
        let why = without_its_words(why.to_owned());
        let note = note(GAP, format!("consumer {name} did not get {what}: {why}"));
        let change = |cursor: &mut Cursor| cursor.has(batch);
        self.written_as(change, vec![note], moves).await
    }

    /// Tells what it got pruned, once for all of it.
    pub(super) async fn tell(&self, pruned: Pruned, moves: u64) -> Result<(), StoreError> {
        let (name, Pruned { first, last, count }) = (self.name(), pruned);
        let told = format!(
            "consumer {name} got {count} of the entries {first} to {last} when they, or their bodies, were pruned"
        );
        self.written_as(|cursor| cursor.pruned = None, vec![note(GAP, told)], moves).await
    }

    /// Writes the cursor, changed like this, with what tells of that, unless somebody moved it meanwhile.
    async fn written_as(
        &self,
        change: impl FnOnce(&mut Cursor),
        notes: Vec<Note>,
        moves: u64,
    ) -> Result<(), StoreError> {
        let mut held = self.held().await?;
        let Some(held) = held.as_mut().filter(|held| held.moves == moves) else { return Ok(()) };
        let mut cursor = held.cursor.clone();
        change(&mut cursor);
        self.written(held, cursor, notes).await
    }

    /// It has all before this, unless somebody moved it meanwhile.
    pub(super) async fn advance(&self, batch: &Batch, moves: u64) -> Result<(), StoreError> {
        let mut held = self.held().await?;
        let Some(held) = held.as_mut().filter(|held| held.moves == moves) else { return Ok(()) };
        held.cursor.has(batch);
        held.is_dirty = true;
        lock(&self.doing).has(&held.cursor);
        if self.parts.clock.now().since(held.written_at) < WRITE_EVERY {
            return Ok(());
        }
        let cursor = held.cursor.clone();
        self.written(held, cursor, Vec::new()).await
    }

    /// Writes what is not written yet.
    pub(super) async fn keep(&self) -> Result<(), StoreError> {
        let mut held = self.held.lock().await;
        let Some(held) = held.as_mut().filter(|held| held.is_dirty) else { return Ok(()) };
        let cursor = held.cursor.clone();
        self.written(held, cursor, Vec::new()).await
    }

    async fn written(&self, held: &mut Held, cursor: Cursor, notes: Vec<Note>) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        self.parts.store.write_documents(vec![cursor.write(self.name())], notes, now).await?;
        lock(&self.doing).has(&cursor);
        (held.cursor, held.is_dirty, held.written_at) = (cursor, false, now);
        Ok(())
    }

    /// The cursor, which is made where it is new.
    pub(super) async fn held(&self) -> Result<MutexGuard<'_, Option<Held>>, StoreError> {
        let mut held = self.held.lock().await;
        if held.is_none() {
            let (store, now) = (&self.parts.store, self.parts.clock.now());
            let found = Cursor::kept(&**store, self.name()).await?;
            let mut is_dirty = found.is_none();
            let mut cursor = match (found, self.push.from) {
                (Some(cursor), _) => cursor,
                (None, From::Start) => Cursor::at(0),
                (None, From::End) => Cursor::at(store.tree_head().await?.size),
            };
            if self.push.checkpoints && cursor.checkpoint.is_none() {
                // The newest is an anchor from now on.
                let newest = store.checkpoints(u64::MAX, 0).await?.last;
                let had = if self.push.from == From::Start { 0 } else { newest.saturating_sub(1) };
                (cursor.checkpoint, is_dirty) = (Some(had), true);
            }
            let made = held.insert(Held { cursor, moves: 0, is_dirty, written_at: now });
            let cursor = made.cursor.clone();
            if is_dirty {
                self.written(made, cursor, Vec::new()).await?;
            } else {
                lock(&self.doing).has(&cursor);
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
        self.moved(|cursor, _| (cursor.next, cursor.pruned) = (from, None), told, Some(by)).await
    }
}

pub(super) fn note(code: &str, what: String) -> Note {
    Note { kind: Kind::Service, app: None, account: None, code: code.to_owned(), detail: Detail::note(what) }
}

/// What a consumer answered, by its status alone: its words, and where it would lead to, may have what it was sent, or the secret
/// in its URL, and this goes into the log.
pub(super) fn without_its_words(why: String) -> String {
    match why.strip_prefix("it answered ").and_then(|answer| answer.split([':', ',', ' ']).next()) {
        Some(status) => format!("it answered {status}"),
        None => why,
    }
}
