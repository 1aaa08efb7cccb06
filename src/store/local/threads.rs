//! The threads of a store: started when it is open, joined when it is closed or the last handle goes.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::applier;
use super::core::{Core, Phase};
use super::housekeeper::{self, Spares};
use super::lock::FolderLock;
use super::writer::{Ended, Writer};
use crate::audit::tree::Frontier;
use crate::clock::lock;
use crate::store::journal::Journal;
use crate::store::journal::snapshot::SnapshotError;
use crate::store::port::StoreError;

/// What is held open together: dropped when the last handle is.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) core: Arc<Core>,
    threads: Mutex<Option<Threads>>,
    folder: Mutex<Option<FolderLock>>,
    /// Held while the store closes, so that whoever closes it at the same time waits until it is closed.
    closing: Mutex<()>,
}

#[derive(Debug)]
struct Threads {
    writer: JoinHandle<Ended>,
    others: Vec<JoinHandle<()>>,
}

impl Running {
    /// Whether this is the folder of the store, or one in it.
    pub(super) fn holds(&self, folder: &Path) -> bool {
        lock(&self.folder).as_ref().is_some_and(|held| held.holds(folder))
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ended").field("whole", &self.whole).finish_non_exhaustive()
    }
}

/// Fails the store where its thread panics: whoever waits for that thread would wait without end.
struct Alarm {
    core: Arc<Core>,
    name: &'static str,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.core.fail(&format!("a defect in adjutant ended the thread store-{}", self.name));
        }
    }
}

pub(super) fn start<T: Send + 'static>(
    core: &Arc<Core>,
    name: &'static str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    let alarm = Alarm { core: Arc::clone(core), name };
    thread::Builder::new().name(format!("store-{name}")).spawn(move || {
        let _alarm = alarm;
        run()
    })
}

impl Running {
    pub(super) fn start(
        core: Core,
        journal: Journal,
        place: PathBuf,
        replayed_bytes: u64,
        folder: Option<FolderLock>,
        is_forgetting: bool,
    ) -> std::io::Result<Self> {
        let core = Arc::new(core);
        let ((to_apply, incoming), (chores, to_do)) = (channel(), channel());
        let ((wanted, to_make), (made_here, made)) = (channel(), channel());
        let (checkpoints, to_check) = channel();
        *lock(&core.to_checkpoints) = Some(checkpoints.clone());
        // Before the writer adds to them.
        let tree = lock(&core.synced).tree.clone();
        let entries = tree.size();
        let spares = Spares { wanted, made, asked: false };
        let since_snapshot = replayed_bytes;
        let writer = Writer {
            core: Arc::clone(&core),
            journal,
            applier: to_apply,
            _checkpoints: checkpoints,
            chores,
            spares,
            tree,
            since_snapshot,
        };
        let [applying, keeping, signing] = [&core; 3].map(Arc::clone);
        let mut others = vec![
            start(&core, "index", move || applier::run(&applying, &place, &incoming))?,
            start(&core, "snapshots", move || housekeeper::run(&keeping, &to_do))?,
            start(&core, "checkpoints", move || signing.keep_checkpoints(entries, &to_check))?,
            start(&core, "segments", move || housekeeper::make_spares(&to_make, &made_here))?,
        ];
        let writer = start(&core, "writer", move || writer.run())?;
        if is_forgetting {
            let forgetting = Arc::clone(&core);
            others.push(start(&core, "forgetting", move || forgetting.finish_forgetting())?);
        }
        let threads = Mutex::new(Some(Threads { writer, others }));
        Ok(Self { core, threads, folder: Mutex::new(folder), closing: Mutex::new(()) })
    }

    /// Ends the threads, and says what the writer did, or that it panicked. None where somebody else ended them.
    fn end(&self, phase: Phase) -> Option<Result<Ended, StoreError>> {
        {
            let mut guarded = lock(&self.core.guarded);
            if guarded.phase == Phase::Open {
                guarded.phase = phase;
            }
        }
        self.core.wake.notify_all();
        let threads = lock(&self.threads).take()?;
        // The writer's ends of the channels go with it, and the other threads after them.
        lock(&self.core.to_checkpoints).take();
        let ended = threads.writer.join().map_err(|_| StoreError::Failed("the writer panicked".to_owned()));
        for other in threads.others {
            // One that panicked has failed the store already.
            let _ended = other.join();
        }
        Some(ended)
    }

    /// Writes what is in memory and closes. Blocks.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let _one_at_a_time = lock(&self.closing);
        let Some(ended) = self.end(Phase::Closing) else { return Ok(()) };
        let core = &self.core;
        let (frozen, failed) = {
            let mut guarded = lock(&core.guarded);
            let failed = match &guarded.phase {
                Phase::Failed(why) => Some(why.clone()),
                _ => None,
            };
            guarded.phase = Phase::Closed;
            (guarded.state.freeze(), failed)
        };
        let tree = lock(&core.synced).tree.clone();
        let closed = match (failed, ended) {
            (Some(why), _) => Err(StoreError::Failed(why)),
            (None, Ok(Ended { journal, whole: true })) => self.finish(journal, &frozen, &tree),
            (None, Ok(_)) => Err(StoreError::Full),
            (None, Err(panicked)) => Err(panicked),
        };
        if let Some(index) = core.index.get() {
            index.flush();
        }
        self.let_go();
        core.bump();
        closed
    }

    /// Leaves the folder to whoever opens it next.
    fn let_go(&self) {
        self.core.index.let_go();
        let _none_is_pruned = lock(&self.core.rewriting);
        lock(&self.folder).take();
    }

    fn finish(&self, journal: Journal, frozen: &super::snapshot::Frozen, tree: &Frontier) -> Result<(), StoreError> {
        match housekeeper::write_snapshot(&self.core, frozen, tree) {
            // Without room for it the next start reads more of the journal.
            Ok(()) | Err(SnapshotError::Full(_)) => {}
            Err(error) => return Err(StoreError::Failed(housekeeper::with_source(&error))),
        }
        journal.close().map_err(|error| StoreError::Failed(housekeeper::with_source(&error)))
    }
}

impl Running {
    /// As if the process had been killed.
    pub(super) fn abandon(&self) {
        if self.end(Phase::Abandoned).is_some() {
            self.let_go();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abandon();
    }
}
