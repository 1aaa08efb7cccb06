//! What all handles and threads of a store share.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tokio::sync::{oneshot, watch};

use super::Settings;
use super::checkpoints::Checkpoints;
use super::index::IndexCell;
use super::keys::{Keys, Owner};
use super::state::State;
use crate::audit::tree::Frontier;
use crate::clock::{Clock, lock};
use crate::ids::AccountId;
use crate::store::journal::files::{Files, is_full};
use crate::store::journal::{self, Pruner, Reader};
use crate::store::port::StoreError;

/// How often the free space is asked for, in milliseconds.
const SPACE_EVERY_MILLIS: i64 = 1000;

/// Whether the store takes anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Writes what was taken, takes nothing more.
    Closing,
    /// The handles are gone without a close: as if the process had been killed.
    Abandoned,
    Closed,
    Failed(String),
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) state: State,
    pub(super) phase: Phase,
    /// The writer has nothing to do: who gives it something wakes it.
    pub(super) writer_sleeps: bool,
    /// A unit is being made; found so by another one only where its maker panicked.
    pub(super) in_unit: bool,
}

/// What is on disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Synced {
    /// One past the last record.
    pub(super) next: u64,
    pub(super) tree: Frontier,
}

pub(super) struct Core {
    pub(super) guarded: Mutex<Guarded>,
    /// Something to write, or another phase.
    pub(super) wake: Condvar,
    pub(super) synced: Mutex<Synced>,
    /// One past the last record that the index took in.
    pub(super) applied: watch::Sender<u64>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) failure: watch::Sender<Option<String>>,
    /// The writer waits for room on the disk.
    pub(super) stalled: AtomicBool,
    free_bytes: AtomicU64,
    free_asked_at: AtomicI64,
    pub(super) settings: Settings,
    pub(super) files: Arc<dyn Files>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: Arc<Keys>,
    pub(super) index: Arc<IndexCell>,
    pub(super) reader: Reader,
    pub(super) pruner: Pruner,
    /// Held while something is forgotten.
    pub(super) forgetting: Mutex<()>,
    pub(super) not_forgotten: Mutex<Option<super::forget::NotForgotten>>,
    /// Who wants the writer to close its segment, and a snapshot as of there: is told the number of the snapshot, and of the
    /// first record behind the segment.
    pub(super) wanted: Mutex<Option<super::housekeeper::Tell>>,
    pub(super) checkpoints: Checkpoints,
    /// None when the store ends.
    pub(super) to_checkpoints: Mutex<Option<std::sync::mpsc::Sender<super::checkpoints::Told>>>,
    /// Held while a segment is pruned, so that the folder is not let go of meanwhile.
    pub(super) rewriting: Mutex<()>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Lets whoever waits for a change look again when it goes: also where the one who made the change stopped waiting for the
/// disk, since the change stands.
pub(super) struct Bump<'a>(pub(super) &'a Core);

impl Drop for Bump<'_> {
    fn drop(&mut self) {
        self.0.bump();
    }
}

/// Parts of a core that come from opening.
pub(super) struct Parts {
    pub(super) state: State,
    pub(super) settings: Settings,
    pub(super) files: Arc<dyn Files>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: Arc<Keys>,
    pub(super) index: Arc<IndexCell>,
    pub(super) reader: Reader,
    pub(super) pruner: Pruner,
}

impl Core {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { mut state, settings, files, clock, keys, index, reader, pruner } = parts;
        let checkpoints = Checkpoints::new(settings.checkpoint_file.clone());
        // From here the writer has it, and the state no more.
        let synced = Synced { next: state.next_record, tree: std::mem::take(&mut state.tree) };
        let applied = if index.get().is_some() { synced.next } else { journal::FIRST_NUMBER };
        Self {
            applied: watch::Sender::new(applied),
            guarded: Mutex::new(Guarded { state, phase: Phase::Open, writer_sleeps: false, in_unit: false }),
            wake: Condvar::new(),
            synced: Mutex::new(synced),
            changed: watch::Sender::new(0),
            failure: watch::Sender::new(None),
            stalled: AtomicBool::new(false),
            free_bytes: AtomicU64::new(u64::MAX),
            free_asked_at: AtomicI64::new(i64::MIN),
            settings,
            files,
            clock,
            keys,
            index,
            reader,
            pruner,
            not_forgotten: Mutex::default(),
            forgetting: Mutex::new(()),
            wanted: Mutex::new(None),
            checkpoints,
            to_checkpoints: Mutex::new(None),
            rewriting: Mutex::new(()),
        }
    }

    /// The lock, where the store is open.
    pub(super) fn open(&self) -> Result<MutexGuard<'_, Guarded>, StoreError> {
        let guarded = lock(&self.guarded);
        match &guarded.phase {
            Phase::Open if guarded.in_unit => {
                drop(guarded);
                Err(self.half_a_unit())
            }
            Phase::Open => Ok(guarded),
            Phase::Failed(why) => Err(StoreError::Failed(why.clone())),
            Phase::Closing | Phase::Abandoned | Phase::Closed => Err(StoreError::Closed),
        }
    }

    /// Looks at the state.
    pub(super) fn read<T>(&self, what: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        self.open().map(|guarded| what(&guarded.state))
    }

    /// Changes what is in memory only.
    pub(super) fn touch<T>(&self, what: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.open().and_then(|mut guarded| what(&mut guarded.state))
    }

    /// Does one unit, and returns what it came to when it is on disk.
    pub(super) async fn write<T>(
        &self,
        what: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (done, written) = self.begin(false, what)?;
        if let Some(written) = written {
            // The writer ends without a word only when the store does.
            written.await.unwrap_or(Err(StoreError::Closed))?;
        }
        Ok(done)
    }

    /// Does one unit; the receiver ends when that is on disk, and there is none where nothing was to be written.
    #[expect(clippy::type_complexity, reason = "a result with what to wait for")]
    pub(super) fn begin<T>(
        &self,
        impatient: bool,
        what: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<(T, Option<oneshot::Receiver<Result<(), StoreError>>>), StoreError> {
        let mut guarded = self.open()?;
        guarded.in_unit = true;
        let done = what(&mut guarded.state);
        guarded.in_unit = false;
        if done.is_err() && guarded.state.is_in_unit() {
            drop(guarded);
            return Err(self.half_a_unit());
        }
        let done = done?;
        let wrote = guarded.state.end_unit();
        let written = if wrote { guarded.state.outbox.wait(impatient) } else { None };
        if wrote && guarded.writer_sleeps {
            self.wake.notify_all();
        }
        Ok((done, written))
    }

    /// Half a unit must not become durable, nor be built upon: a start finds the whole ones.
    pub(super) fn half_a_unit(&self) -> StoreError {
        let why = "a defect in adjutant interrupted a write";
        self.fail(why);
        StoreError::Failed(why.to_owned())
    }

    /// Whoever waits for a change looks again.
    pub(super) fn bump(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Nothing is taken or acknowledged any more.
    pub(super) fn fail(&self, why: &str) {
        let mut guarded = lock(&self.guarded);
        if !matches!(guarded.phase, Phase::Failed(_)) {
            tracing::error!(why, "the store failed: nothing is acknowledged any more, the process must exit");
            guarded.phase = Phase::Failed(why.to_owned());
        }
        guarded.state.outbox.end_all(&Err(StoreError::Failed(why.to_owned())));
        drop(guarded);
        self.end_wanted();
        self.wake.notify_all();
        self.failure.send_replace(Some(why.to_owned()));
        self.bump();
    }

    /// Whoever wants a snapshot of the writer hears that there will be none.
    pub(super) fn end_wanted(&self) {
        drop(lock(&self.wanted).take());
    }

    /// Free space on the disk, asked for once a second at most.
    pub(super) fn free_bytes(&self) -> u64 {
        let now = self.clock.now().as_millis();
        let asked_at = self.free_asked_at.load(Ordering::Relaxed);
        let due = now < asked_at || now.saturating_sub(asked_at) >= SPACE_EVERY_MILLIS;
        if due && self.free_asked_at.compare_exchange(asked_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // Where it cannot be told, the write itself will.
            let free = self.files.free_space().unwrap_or(u64::MAX);
            self.free_bytes.store(free, Ordering::Relaxed);
        }
        self.free_bytes.load(Ordering::Relaxed)
    }

    /// Why no delivery is taken now, if so. Asks the disk.
    pub(super) fn refusal(&self, unplanned: u64) -> Option<StoreError> {
        let _asked = self.free_bytes();
        self.known_refusal(unplanned)
    }

    /// The same by what is known of the disk already: for under the lock, where nobody is to wait for it.
    pub(super) fn known_refusal(&self, unplanned: u64) -> Option<StoreError> {
        let free = self.free_bytes.load(Ordering::Relaxed);
        if self.stalled.load(Ordering::Relaxed) || free < self.settings.disk_reserve_bytes {
            return Some(StoreError::Full);
        }
        if unplanned >= self.settings.unplanned_max {
            return Some(StoreError::Behind(format!("{unplanned} deliveries wait to be planned")));
        }
        let waiting = self.index.waiting.load(Ordering::Relaxed);
        if waiting >= self.settings.index_lag_max {
            return Some(StoreError::Behind(format!("the index has {waiting} steps to take in")));
        }
        None
    }

    /// Makes the keys of these owners, where they are missing, before anything is sealed with them.
    /// [`StoreError::Conflict`] for one that is being forgotten, or was.
    pub(super) async fn ensure_keys(self: &Arc<Self>, owners: Vec<Owner>) -> Result<(), StoreError> {
        for owner in &owners {
            self.keys.may_use(owner)?;
        }
        if owners.iter().all(|owner| self.keys.of(owner).is_some()) {
            return Ok(());
        }
        drop(self.open()?);
        let keys = Arc::clone(&self.keys);
        let made = self.apart(move || keys.ensure(&owners)).await?;
        made.map_err(|error| self.key_trouble(&error))
    }

    fn key_trouble(&self, error: &io::Error) -> StoreError {
        if is_full(error) {
            return StoreError::Full;
        }
        let why = format!("failed to write the key file: {error}");
        self.fail(&why);
        StoreError::Failed(why)
    }

    pub(super) async fn ensure_account_key(self: &Arc<Self>, account: &AccountId) -> Result<(), StoreError> {
        self.keys.may_write(account)?;
        if self.keys.of(&Owner::Account(account.clone())).is_some() {
            return Ok(());
        }
        self.ensure_keys(vec![Owner::Account(account.clone())]).await
    }

    /// Runs something that blocks on a thread that may.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = tokio::task::spawn_blocking(what).await;
        done.map_err(|error| StoreError::Failed(format!("a task of the store ended: {error}")))
    }

    pub(super) fn synced_next(&self) -> u64 {
        lock(&self.synced).next
    }
}
