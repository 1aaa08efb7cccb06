//! Checkpoints: signed heads of the audit log, and what is proved by them.
//!
//! The writer leaves the leaf of each entry here when it is synced. A thread of its own takes them, keeps the
//! [`tiles`](super::tiles), and signs a checkpoint at least every minute in which something was entered, and when the store
//! closes. So a checkpoint covers what is synced, and nobody waits for it but who asks for a proof. All checkpoints are kept in `log/checkpoints`, a file for each hour, and the newest
//! in `log/checkpoint`: as C2SP `tlog-tiles` names it, so that any server of static files can serve the folder `log`.

mod elsewhere;
mod kept;
mod resume;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::core::{Core, Phase};
use super::log_keys::LogKeys;
use super::outbox::Leaves;
use super::place;
use super::record::{Blob, Said, Stored};
use super::seal::Purpose;
use super::tiles::{LOG, TileFiles};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::leaf::Disclosed;
use crate::audit::note::{Signer, Verifier, open};
use crate::audit::proof::Proof;
use crate::audit::tile::{Reader, TileId, Tiles as _, WIDTH};
use crate::audit::tree::{Frontier, Hash};
use crate::clock::{Timestamp, lock};
use crate::store::journal::FIRST_NUMBER;
use crate::store::journal::files::{Files, is_full};
use crate::store::port::{Signed, StoreError};

use elsewhere::Running;
pub(super) use kept::{ALL, Kept, NEWEST, all, copy, newest};
use kept::{hour_of, read_kept};

/// Between two checkpoints, where something was entered.
const EVERY: Duration = Duration::from_secs(60);
/// How long a checkpoint waits for the disk that it is kept on as well.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);
/// So many leaves do not wait for that: a few tiles, which the caches of a processor still have.
const MANY_LEAVES: usize = 4_096;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Told {
    /// Sign one now; ends when it is on disk.
    Sign(Sender<Result<(), StoreError>>),
    /// Sign with another key from now on; ends when that has signed.
    Turn(Sender<Result<(), StoreError>>),
    /// Many leaves wait.
    Leaves,
    /// Ends when it is known whether the log is as it was signed.
    Look(Sender<()>),
}

/// The log as others may check it.
#[derive(Debug)]
pub(super) struct Log {
    tiles: TileFiles,
    /// Empty: leaves on their way to the tiles.
    taken: Leaves,
    /// The newest checkpoint, and its note.
    newest: Option<(Checkpoint, String)>,
    /// How many were signed.
    count: u64,
}

/// What a leaf is the hash of, and the detail that is in it by hash.
type Hashed = (Vec<u8>, Option<Disclosed>);

/// What proves an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    pub proof: Proof,
    /// For whoever may see it: what may name a person, and is in the entry by hash. None where there is none, or none any more.
    pub detail: Option<Disclosed>,
}

/// What is signed and proved.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// None until the tiles are there.
    log: Mutex<Option<Log>>,
    /// Of entries that are synced, in order, and not in the tiles yet. None where there are no tiles to take them.
    leaves: Mutex<Option<Leaves>>,
    keys: Mutex<Option<Arc<LogKeys>>>,
    /// Why none is signed any more.
    trouble: Mutex<Option<String>>,
    /// Why the last could not be signed; it is tried again.
    failing: Mutex<Option<String>>,
    /// Where the newest is kept as well.
    elsewhere: Option<Running>,
}

impl Checkpoints {
    pub(super) fn new(elsewhere: Option<PathBuf>) -> Self {
        Self {
            elsewhere: elsewhere.map(Running::start),
            leaves: Mutex::new(Some(Leaves::default())),
            ..Self::default()
        }
    }

    /// Adds the leaves of entries that are synced. Whether these made them many.
    fn take(&self, leaves: &mut Leaves) -> bool {
        let mut waiting = lock(&self.leaves);
        let Some(waiting) = &mut *waiting else {
            leaves.clear();
            return false;
        };
        let before = waiting.hashes.len();
        waiting.append(leaves);
        before < MANY_LEAVES && waiting.hashes.len() >= MANY_LEAVES
    }

    /// The log, with the leaves of all that is synced.
    fn log(&self) -> MutexGuard<'_, Option<Log>> {
        let mut log = lock(&self.log);
        if let Some(Log { tiles, taken, .. }) = &mut *log {
            // Two that take turns, so that their memory is used again.
            if let Some(waiting) = &mut *lock(&self.leaves) {
                std::mem::swap(waiting, taken);
            }
            tiles.take(taken);
            taken.shrink();
            if let Err(error) = tiles.write() {
                // They wait in memory, and are tried again.
                tracing::debug!(%error, "a tile was not written");
            }
        }
        log
    }
}

impl Core {
    /// Adds the leaves of entries that are synced.
    pub(super) fn take_leaves(&self, leaves: &mut Leaves) {
        if self.checkpoints.take(leaves)
            && let Some(to) = &*lock(&self.to_checkpoints)
        {
            // Gone only when the store ends.
            let _gone = to.send(Told::Leaves);
        }
    }

    /// The keys of the log; the first is made where there is none.
    pub(super) fn keys_of_log(&self) -> Result<Arc<LogKeys>, StoreError> {
        let mut kept = lock(&self.checkpoints.keys);
        if let Some(keys) = &*kept {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(LogKeys::ensure(&self.keys)?);
        *kept = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// The keys that verify the log, the newest first.
    pub(super) fn log_keys(&self) -> Result<Vec<Verifier>, StoreError> {
        Ok(self.keys_of_log()?.verifiers())
    }

    /// The newest checkpoint, as it was signed.
    fn checkpoint(&self) -> Option<String> {
        lock(&self.checkpoints.log).as_ref().and_then(|log| log.newest.as_ref()).map(|(_, note)| note.clone())
    }

    /// Those with a higher number than this, as they are on disk.
    pub(super) fn signed(&self, after: u64, limit: usize) -> Result<Signed, StoreError> {
        if lock(&self.checkpoints.log).is_none() {
            self.look()?;
        }
        let last = lock(&self.checkpoints.log).as_ref().map_or(0, |log| log.count);
        if after >= last || limit == 0 {
            return Ok(Signed { last, notes: Vec::new() });
        }
        let kept = kept::after(self.files.as_ref(), after, limit);
        let kept = kept.map_err(|error| StoreError::Failed(format!("{ALL}: {error}")))?;
        // What is written and does not count may be written anew.
        let notes = kept.into_iter().filter(|one| one.number <= last).map(|one| (one.number, one.note)).collect();
        Ok(Signed { last, notes })
    }

    /// Waits until it is known whether the log is as it was signed. Blocks.
    fn look(&self) -> Result<(), StoreError> {
        let (tell, told) = std::sync::mpsc::channel();
        let sent = lock(&self.to_checkpoints).as_ref().is_some_and(|to| to.send(Told::Look(tell)).is_ok());
        if sent && told.recv().is_ok() { Ok(()) } else { Err(StoreError::Closed) }
    }

    /// Signs what is entered now. Blocks until that is on disk.
    pub(super) fn sign_now(&self) -> Result<(), StoreError> {
        self.ask_checkpoints(Told::Sign)
    }

    fn ask_checkpoints(&self, what: impl FnOnce(Sender<Result<(), StoreError>>) -> Told) -> Result<(), StoreError> {
        let (tell, told) = std::sync::mpsc::channel();
        let sent = lock(&self.to_checkpoints).as_ref().is_some_and(|to| to.send(what(tell)).is_ok());
        if !sent {
            return Err(StoreError::Closed);
        }
        told.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// What proves an entry by the newest checkpoint. None where there is no such entry, or it is not covered yet.
    pub(super) fn proof(&self, index: u64) -> Result<Option<Proved>, StoreError> {
        let (path, checkpoint) = {
            let mut log = self.checkpoints.log();
            let Some(Log { tiles, newest: Some((checkpoint, note)), .. }) = &mut *log else { return Ok(None) };
            if index >= checkpoint.size {
                return Ok(None);
            }
            let path = Reader::new(tiles, checkpoint.size).inclusion(index);
            (path.map_err(|error| StoreError::Damaged(format!("the tiles of the log: {error}")))?, note.clone())
        };
        let (extra, detail) = self.leaf_data(index)?.unwrap_or_default();
        Ok(Some(Proved { proof: Proof { extra, index, path, checkpoint }, detail }))
    }

    /// The tree of the first entries, by the tiles. None where these have not so many.
    pub(super) fn frontier(&self, size: u64) -> Result<Option<Frontier>, StoreError> {
        let mut log = self.checkpoints.log();
        let Some(Log { tiles, .. }) = (*log).as_mut().filter(|log| log.tiles.size() >= size) else { return Ok(None) };
        let read = Reader::new(tiles, size).frontier();
        read.map(Some).map_err(|error| StoreError::Damaged(format!("the tiles of the log: {error}")))
    }

    /// The leaves that the tiles have of these entries: as many as they have.
    pub(super) fn leaves_of_tiles(&self, from: u64, limit: u64) -> Result<Vec<Hash>, StoreError> {
        let mut log = self.checkpoints.log();
        let Some(Log { tiles, .. }) = &mut *log else { return Ok(Vec::new()) };
        let end = from.saturating_add(limit).min(tiles.size());
        let mut leaves = Vec::new();
        let mut next = from;
        while next < end {
            let tile = TileId { level: 0, index: next / WIDTH };
            let first = tile.index.saturating_mul(WIDTH);
            let hashes = tiles.hashes(tile, tile.width(end));
            let hashes = hashes.map_err(|error| StoreError::Damaged(format!("the tiles of the log: {error}")))?;
            let skipped = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
            leaves.extend(hashes.into_iter().skip(skipped));
            next = first.saturating_add(WIDTH).min(end);
        }
        Ok(leaves)
    }

    /// What the leaf of an entry is the hash of, and the detail that is in it by hash. None where there is no such entry, or
    /// only its leaf is left.
    fn leaf_data(&self, index: u64) -> Result<Option<Hashed>, StoreError> {
        let start = self.index.ask(|found| found.before_entry(index)).flatten();
        let start = start.unwrap_or(FIRST_NUMBER).max(self.reader.first_number());
        for read in self.reader.scan(start) {
            let record = read.map_err(|error| StoreError::Damaged(super::housekeeper::with_source(&error)))?;
            let stored = Stored::decode(record.kind, record.version, &record.payload);
            match stored.ok_or_else(|| StoreError::Damaged(format!("record {} cannot be understood", record.number)))? {
                Stored::Delivery(delivery) if delivery.head.index == index => {
                    let mut data = Vec::new();
                    delivery.put_leaf(&mut data);
                    return Ok(Some((data, None)));
                }
                Stored::Delivery(delivery) if delivery.head.index > index => return Ok(None),
                Stored::Delivery(_) => {}
                Stored::Changes(changes) => {
                    let entries = (changes.first_index..).zip(&changes.entries);
                    if let Some((_, entry)) = entries.into_iter().find(|(at, _)| *at == index) {
                        let mut data = Vec::new();
                        let detail = entry.line().and_then(|line| self.disclosed(&line.said));
                        return Ok(entry.put_leaf(&mut data).map(|()| (data, detail)));
                    }
                    if changes.first_index > index {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(None)
    }

    fn disclosed(&self, said: &Said) -> Option<Disclosed> {
        let Said::Salted { sealed: Blob(sealed), .. } = said else { return None };
        Disclosed::read(&self.keys.open_blob(Purpose::Detail, sealed)?)
    }

    /// Until the store is gone. `size` is how many entries there were when it opened.
    pub(super) fn keep_checkpoints(&self, size: u64, told: &Receiver<Told>) {
        if let Err(error) = self.resume_log(size) {
            tracing::error!(%error, "the tiles and checkpoints of the audit log are not kept");
            *lock(&self.checkpoints.trouble) = Some(error.to_string());
            lock(&self.checkpoints.leaves).take();
            while let Ok(told) = told.recv() {
                match told {
                    Told::Sign(tell) | Told::Turn(tell) => drop(tell.send(Err(error.clone()))),
                    Told::Look(tell) => drop(tell.send(())),
                    Told::Leaves => {}
                }
            }
            return;
        }
        let (mut signed_at, mut is_failing) = (self.clock.now(), false);
        let _told_in_the_log = self.sign(&mut signed_at, &mut is_failing);
        loop {
            match told.recv_timeout(TICK) {
                Ok(Told::Look(tell)) => drop(tell.send(())),
                Ok(Told::Turn(tell)) => {
                    let _gone = tell.send(self.turn(&mut signed_at, &mut is_failing));
                    continue;
                }
                Ok(Told::Sign(tell)) => {
                    let _gone = tell.send(self.sign(&mut signed_at, &mut is_failing));
                    continue;
                }
                Ok(Told::Leaves) | Err(RecvTimeoutError::Timeout) => drop(self.checkpoints.log()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.clock.now().since(signed_at) >= EVERY {
                // What fails is tried again a minute later.
                let _told_in_the_log = self.sign(&mut signed_at, &mut is_failing);
            }
        }
        // Killed, in a simulation: nothing more is written.
        if lock(&self.guarded).phase == Phase::Closing {
            if let Some(log) = &mut *lock(&self.checkpoints.log) {
                log.tiles.sync_each();
            }
            let _told_in_the_log = self.sign(&mut signed_at, &mut is_failing);
        }
    }

    /// Another key. The checkpoint of now is signed by both, so that who trusts the old one can trust the new one.
    fn turn(&self, signed_at: &mut Timestamp, is_failing: &mut bool) -> Result<(), StoreError> {
        let keys = self.keys_of_log()?;
        let newest =
            lock(&self.checkpoints.log).as_ref().and_then(|log| log.newest.as_ref().map(|(_, note)| note.clone()));
        let signer = keys.signer()?.verifier();
        if newest.is_some_and(|note| open(&note, &[signer]).is_err()) {
            // A key was made before, and could not sign yet.
            return self.sign(signed_at, is_failing);
        }
        let owner = keys.next_turn();
        let made = self.keys.ensure(std::slice::from_ref(&owner));
        made.map_err(|error| StoreError::Failed(format!("a key of the audit log: {error}")))?;
        crate::breakpoint::reached("log-key-made");
        *lock(&self.checkpoints.keys) = None;
        self.sign(signed_at, is_failing)
    }

    /// Signs what is in the tiles, where that is more than the newest checkpoint has.
    fn sign(&self, signed_at: &mut Timestamp, is_failing: &mut bool) -> Result<(), StoreError> {
        *signed_at = self.clock.now();
        let keys = self.keys_of_log()?;
        let mut guard = self.checkpoints.log();
        let Some(log) = &mut *guard else { return Err(StoreError::Closed) };
        let signer = keys.signer()?;
        let covered = log.newest.as_ref().map_or(0, |(newest, _)| newest.size);
        let is_by = |signer: &Signer, note: &str| open(note, &[signer.verifier()]).is_ok();
        let is_signed = log.newest.as_ref().is_none_or(|(_, note)| is_by(signer, note));
        if covered >= log.tiles.size() && is_signed {
            return Ok(());
        }
        // The first of a new key.
        let before = keys.before().filter(|before| log.newest.as_ref().is_some_and(|(_, note)| is_by(before, note)));
        let signers: Vec<&Signer> = [Some(signer), before.filter(|_| !is_signed)].into_iter().flatten().collect();
        let done = log.sign(self.files.as_ref(), &signers, *signed_at);
        let note = log.newest.as_ref().filter(|_| done.is_ok()).map(|(_, note)| note.clone());
        // The other disk may be slow.
        drop(guard);
        if let Some(note) = note {
            // Before that disk: who takes checkpoints need not wait for it.
            self.bump();
            if let Some(elsewhere) = &self.checkpoints.elsewhere {
                elsewhere.keep(note, PATIENCE);
            }
        }
        *lock(&self.checkpoints.failing) = done.as_ref().err().map(ToString::to_string);
        match &done {
            Ok(()) => *is_failing = false,
            Err(error) if !*is_failing => {
                *is_failing = true;
                tracing::error!(%error, "no checkpoint of the audit log can be written: it is tried again each minute");
            }
            Err(_) => {}
        }
        done.map_err(|error| if is_full(&error) { StoreError::Full } else { StoreError::Failed(error.to_string()) })
    }
}

impl Log {
    fn sign(&mut self, files: &dyn Files, signers: &[&Signer], now: Timestamp) -> io::Result<()> {
        let Some(name) = signers.first().map(|signer| signer.name()) else { return Ok(()) };
        let size = self.tiles.size();
        // Whoever has the checkpoint may ask for all of its tiles.
        self.tiles.sync()?;
        let root = Reader::new(&mut self.tiles, size).root()?;
        let checkpoint = Checkpoint { origin: name.to_owned(), size, root };
        let note = checkpoint.sign(signers);
        // Among all of this hour: whoever holds one of them finds it here.
        let hour = hour_of(now);
        let mut all = place::read_in(files, ALL, &hour)?.unwrap_or_default();
        // What failed after it was written there counts.
        let written = read_kept(&all).0.last().map_or(0, |one| one.number);
        let number = self.count.max(written).saturating_add(1);
        Kept { number, note: note.clone() }.put(&mut all);
        place::replace_in(files, ALL, &hour, &all)?;
        self.count = number;
        place::replace_in(files, LOG, NEWEST, note.as_bytes())?;
        crate::breakpoint::reached("checkpoint-signed");
        self.newest = Some((checkpoint, note));
        Ok(())
    }
}

impl super::LocalStore {
    /// Why no checkpoint is signed any more, if so.
    pub fn log_trouble(&self) -> Option<String> {
        lock(&self.core().checkpoints.trouble).clone()
    }

    /// Why none can be signed now, if so.
    pub fn log_unsigned(&self) -> Option<String> {
        lock(&self.core().checkpoints.failing).clone()
    }

    /// Why the newest is not in `checkpoint_file`, if so.
    pub fn not_elsewhere(&self) -> Option<String> {
        self.core().checkpoints.elsewhere.as_ref().and_then(|elsewhere| elsewhere.trouble())
    }

    /// The newest checkpoint of the audit log, as it was signed. None where nothing was entered yet, and where there is
    /// [`trouble`](Self::log_trouble).
    pub async fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        self.core().reading(|core| core.look().map(|()| core.checkpoint())).await
    }

    /// Signs a checkpoint now, where something was entered since the newest.
    pub async fn sign_checkpoint(&self) -> Result<(), StoreError> {
        self.core().reading(Core::sign_now).await
    }

    /// Another key signs from now on.
    pub async fn turn_log_key(&self) -> Result<(), StoreError> {
        self.core().reading(|core| core.ask_checkpoints(Told::Turn)).await
    }

    /// The keys that verify the checkpoints, as C2SP `signed-note` writes them.
    pub async fn log_keys(&self) -> Result<Vec<Verifier>, StoreError> {
        self.core().reading(Core::log_keys).await
    }

    /// What proves an entry to anybody who has the key. None where there is no such entry.
    pub async fn prove(&self, index: u64) -> Result<Option<Proved>, StoreError> {
        let proved = self.core().reading(move |core| match core.proof(index)? {
            Some(proof) => Ok(Some(proof)),
            // It may be younger than the newest checkpoint.
            None => core.sign_now().and_then(|()| core.proof(index)),
        });
        proved.await
    }
}
