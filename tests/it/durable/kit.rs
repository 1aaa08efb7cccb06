//! Stores to test: in a real folder, and on a simulated disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adjutant::chance::SystemChance;
use adjutant::clock::{Clock, ManualClock};
use adjutant::store::journal;
use adjutant::store::journal::simulated::SimFiles;
use adjutant::store::local::{IndexPlace, MasterKey, OpenError, OpenReport, Settings};
use adjutant::store::{Limits, LocalStore};

use crate::contract::kit::START;

pub(crate) const MASTER: [u8; 32] = [42; 32];

/// Small, so that tests see many segments and snapshots.
pub(crate) fn settings(limits: Limits) -> Settings {
    Settings {
        limits,
        journal: journal::Settings { segment_bytes: 256 << 10 },
        disk_reserve_bytes: 0,
        snapshot_every_bytes: 96 << 10,
        ..Settings::default()
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(START))
}

/// A store in a folder of its own.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn open_with(&self, limits: Limits) -> LocalStore {
        self.try_open(settings(limits)).expect("opens").0
    }

    pub(crate) fn try_open(&self, settings: Settings) -> Result<(LocalStore, OpenReport), OpenError> {
        open_at(&self.path(), settings)
    }
}

pub(crate) fn open_at(folder: &Path, settings: Settings) -> Result<(LocalStore, OpenReport), OpenError> {
    let master = MasterKey::Bytes(MASTER);
    LocalStore::open(folder, settings, master, clock(), Arc::new(SystemChance), &mut |_, _, _| {})
}

/// A store on a simulated disk. The index is on the real one, and stays where it is through a cut.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) files: SimFiles,
    index: Arc<tempfile::TempDir>,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        Self { files: SimFiles::new(seed), index: Arc::new(tempfile::tempdir().unwrap()) }
    }

    /// The same disk after a power cut.
    pub(crate) fn cut(&self) -> Self {
        Self { files: self.files.cut(), index: Arc::clone(&self.index) }
    }

    pub(crate) fn open_with(&self, limits: Limits) -> Result<LocalStore, OpenError> {
        self.open(settings(limits)).map(|(store, _)| store)
    }

    pub(crate) fn open(&self, settings: Settings) -> Result<(LocalStore, OpenReport), OpenError> {
        let files = Arc::new(self.files.clone());
        let index = IndexPlace::Folder(self.index.path().join("index"));
        LocalStore::open_on(files, index, settings, MasterKey::Bytes(MASTER), clock(), Arc::new(SystemChance))
    }
}
