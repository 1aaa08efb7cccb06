//! Consumers that take the audit log: each by itself, from a cursor of its own, in order, at least once.
//!
//! Guarantees: a cursor moves on when what was before it was taken in, or when a gap is on record; an entry has the same id
//! each time; what is held in memory is bounded; a consumer that is slow, down or gone costs the others nothing, and no
//! cursor that moves makes an entry. Deliberately does not know what an entry is to be shown as: whoever puts the parts
//! together says that.

mod batch;
mod cursor;
mod doing;
mod gather;
mod held;
mod one;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Consumers;
use super::filter::Filter;
use super::format::Format;
use crate::alarm::Alarm;
use crate::audit::Entry;
use crate::chance::Chance;
use crate::clock::{Clock, lock};
use crate::ids::ConsumerName;
use crate::store::{Store, StoreError};
use cursor::Cursor;
use one::Pusher;

pub use cursor::Paused;
pub use doing::{Doing, Failing};

/// What a consumer takes of the log, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word or a key of the configuration, free of the others")]
pub struct Push {
    /// Every entry.
    pub audit: bool,
    /// The bodies of deliveries.
    pub deliveries: bool,
    /// Each checkpoint, when it is signed.
    pub checkpoints: bool,
    pub format: Format,
    pub filter: Option<Filter>,
    pub on_refused: OnRefused,
    /// Entries in one request.
    pub batch_max: usize,
    /// Bodies as they came, with what opens a meeting or an account.
    pub secrets: bool,
    /// Where a consumer that is new begins.
    pub from: From,
}

impl Push {
    pub fn includes(&self) -> Vec<&'static str> {
        let all = [("audit", self.audit), ("deliveries", self.deliveries), ("checkpoints", self.checkpoints)];
        all.into_iter().filter(|(_, is_in)| *is_in).map(|(word, _)| word).collect()
    }

    const fn takes_entries(&self) -> bool {
        self.audit || self.deliveries
    }
}

/// What becomes of entries that a consumer refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRefused {
    /// It is tried again for days, and then everything waits for a person.
    #[default]
    Block,
    /// They are left out, which is on record.
    Park,
}

impl OnRefused {
    pub const CHOICES: [(&str, Self); 2] = [("block", Self::Block), ("park", Self::Park)];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    Start,
    #[default]
    End,
}

impl From {
    pub const CHOICES: [(&str, Self); 2] = [("start", Self::Start), ("end", Self::End)];
}

/// What those who push work with.
#[derive(Debug, Clone)]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    /// The name of the log.
    pub log: String,
    /// An entry as it is shown.
    pub show: fn(Entry) -> Value,
}

/// Why a consumer could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("there is no consumer {0} that takes the log: `include` says which do")]
    Unknown(String),
    #[error("consumer {0} takes checkpoints alone: there are no entries to give it again")]
    NoEntries(String),
    #[error("consumer {0} takes the log: take it out of the configuration, and reload that, before it is forgotten")]
    Configured(String),
    #[error("entry {from} is beyond the end of the log, which has {size}")]
    Beyond { from: u64, size: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One who took the log, and is not in the configuration any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub name: ConsumerName,
    /// The entry that it would get next, and how many have come since.
    pub next: u64,
    pub behind: u64,
}

/// All consumers that take the log.
#[derive(Debug)]
pub struct Pushers {
    consumers: Arc<Consumers>,
    parts: Parts,
    all: Mutex<BTreeMap<ConsumerName, Arc<Pusher>>>,
}

impl Pushers {
    pub fn new(consumers: Arc<Consumers>, parts: Parts) -> Self {
        let all = Self { consumers, parts, all: Mutex::default() };
        all.renew();
        all
    }

    /// Those of the configuration now. One that stays as it is goes on as it was.
    fn renew(&self) -> Vec<Arc<Pusher>> {
        let mut all = lock(&self.all);
        let before = std::mem::take(&mut *all);
        for line in self.consumers.lines() {
            let Some(push) = line.consumer.push.clone() else { continue };
            let name = line.consumer.name.clone();
            let kept = before.get(&name).filter(|pusher| pusher.is_of(&line)).map(Arc::clone);
            let pusher = kept.unwrap_or_else(|| Arc::new(Pusher::new(line, push, self.parts.clone())));
            all.insert(name, pusher);
        }
        all.values().cloned().collect()
    }

    /// Runs each by itself until `stop`, as the configuration has them.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut changed = self.consumers.changed();
        let mut running: Vec<(Arc<Pusher>, CancellationToken, JoinHandle<()>)> = Vec::new();
        loop {
            changed.borrow_and_update();
            let wanted = if stop.is_cancelled() { Vec::new() } else { self.renew() };
            let is_wanted = |pusher: &Arc<Pusher>| wanted.iter().any(|other| Arc::ptr_eq(other, pusher));
            let (stay, end): (Vec<_>, Vec<_>) = running.into_iter().partition(|(pusher, ..)| is_wanted(pusher));
            running = stay;
            // One that changed begins where the one before it ended.
            for (_, stop, _) in &end {
                stop.cancel();
            }
            for (.., task) in end {
                let _ended = task.await;
            }
            if stop.is_cancelled() {
                return;
            }
            for pusher in wanted {
                if running.iter().all(|(other, ..)| !Arc::ptr_eq(other, &pusher)) {
                    let (one, stop) = (Arc::clone(&pusher), CancellationToken::new());
                    let until = stop.clone();
                    running.push((pusher, stop, tokio::spawn(async move { one.run(&until).await })));
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // The sender is as long there as this.
                _ = changed.changed() => {}
            }
        }
    }

    fn all(&self) -> Vec<Arc<Pusher>> {
        lock(&self.all).values().cloned().collect()
    }

    fn one(&self, name: &str) -> Result<Arc<Pusher>, MoveError> {
        let found = self.all().into_iter().find(|pusher| pusher.name().as_str() == name);
        found.ok_or_else(|| MoveError::Unknown(name.to_owned()))
    }

    /// How each does, by name.
    pub fn doing(&self) -> Vec<Doing> {
        self.all().iter().map(|pusher| pusher.doing()).collect()
    }

    pub fn alarms(&self) -> Vec<Alarm> {
        let now = self.parts.clock.now();
        self.doing().iter().filter_map(|doing| doing.alarm(now)).collect()
    }

    /// Nothing more goes to it until it is resumed.
    pub async fn pause(&self, name: &str, by: &str) -> Result<(), MoveError> {
        let (pusher, by) = (self.one(name)?, by.to_owned());
        whole(async move { pusher.pause(format!("paused by {by}"), Some(&by)).await }).await
    }

    pub async fn resume(&self, name: &str, by: &str) -> Result<(), MoveError> {
        let (pusher, by) = (self.one(name)?, by.to_owned());
        whole(async move { pusher.resume(&by).await }).await
    }

    /// It gets the log again from this entry on.
    pub async fn replay(&self, name: &str, from: u64, by: &str) -> Result<(), MoveError> {
        let (pusher, by) = (self.one(name)?, by.to_owned());
        if !pusher.push.takes_entries() {
            return Err(MoveError::NoEntries(name.to_owned()));
        }
        let size = self.parts.store.tree_head().await?.size;
        if from > size {
            return Err(MoveError::Beyond { from, size });
        }
        whole(async move { pusher.replay(from, &by).await }).await
    }

    /// Those who took the log, and are not in the configuration any more.
    pub async fn left(&self) -> Result<Vec<Left>, StoreError> {
        let (all, size) = (Cursor::all(&*self.parts.store).await?, self.parts.store.tree_head().await?.size);
        let left = all.into_iter().filter(|(name, _)| !lock(&self.all).contains_key(name));
        Ok(left.map(|(name, Cursor { next, .. })| Left { name, next, behind: size.saturating_sub(next) }).collect())
    }

    /// How far one was that is not in the configuration any more is forgotten: under its name, another begins anew.
    pub async fn forget(&self, name: &str, by: &str) -> Result<(), MoveError> {
        if self.one(name).is_ok() {
            return Err(MoveError::Configured(name.to_owned()));
        }
        let left = self.left().await?.into_iter().find(|left| left.name.as_str() == name);
        let Left { name, next, .. } = left.ok_or_else(|| MoveError::Unknown(name.to_owned()))?;
        let told = format!("consumer {name}: forgotten by {by}, which was to get entry {next}");
        let mut note = held::note("consumer-forgotten", told);
        note.detail.actor = Some(by.to_owned());
        let (store, now) = (Arc::clone(&self.parts.store), self.parts.clock.now());
        whole(async move { store.write_documents(vec![Cursor::forget(&name)], vec![note], now).await }).await
    }
}

/// Done whole, also where nobody waits for it any more: half of it would be in the store, and not here.
async fn whole(change: impl Future<Output = Result<(), StoreError>> + Send + 'static) -> Result<(), MoveError> {
    let done = tokio::spawn(change).await;
    Ok(done.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))?)
}
