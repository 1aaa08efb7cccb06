//! What can be set.

use std::path::PathBuf;

use crate::store::journal;
use crate::store::memory::Limits;

/// How a store behaves. Nothing of it is part of the format on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub limits: Limits,
    pub journal: journal::Settings,
    /// Deliveries are refused while the disk has less free than this, so that jobs can still settle and prune.
    pub disk_reserve_bytes: u64,
    /// Deliveries are refused while so many wait to be planned.
    pub unplanned_max: u64,
    /// Deliveries are refused while so many steps wait to be taken in by the index.
    pub index_lag_max: u64,
    /// Fingerprints of so many deliveries are kept in memory; older ones go to the index.
    pub dedupe_memory_max: u64,
    /// A snapshot is written after so many bytes of records.
    pub snapshot_every_bytes: u64,
    /// Memory for the index's own cache.
    pub index_cache_bytes: u64,
    /// Each checkpoint of the audit log also goes here at once: best on another disk.
    pub checkpoint_file: Option<PathBuf>,
    /// Open although acknowledged data is damaged: it is lost then.
    pub accept_damage: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            journal: journal::Settings::default(),
            disk_reserve_bytes: 256 << 20,
            unplanned_max: 1_000_000,
            index_lag_max: 500_000,
            dedupe_memory_max: 200_000,
            snapshot_every_bytes: 256 << 20,
            index_cache_bytes: 16 << 20,
            checkpoint_file: None,
            accept_damage: false,
        }
    }
}
