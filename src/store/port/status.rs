//! How the store, its apps and its log are doing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::tree::Hash;
use crate::clock::Timestamp;
use crate::ids::AppName;
use crate::job::WaitReason;

/// What is remembered of an app between starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AppState {
    /// The newest verified delivery.
    pub verified_at: Option<Timestamp>,
    /// The newest answered `endpoint.url_validation`.
    pub validated_at: Option<Timestamp>,
    /// A keyed hash of the webhook secrets when they were last looked at.
    pub secrets: Option<[u8; 16]>,
    /// When that hash last changed.
    pub secrets_changed_at: Option<Timestamp>,
}

/// How the store is doing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    pub deliveries: u64,
    pub unplanned: u64,
    /// So many of them at most, before deliveries are refused; none where nothing limits them.
    pub unplanned_max: Option<u64>,
    pub parked_deliveries: u64,
    /// Of those: held back until their account has fewer unfinished jobs.
    pub held_deliveries: u64,
    pub due: u64,
    pub running: u64,
    pub waiting: u64,
    /// The same by what they wait for; reasons for which nothing waits are left out.
    pub waiting_for: BTreeMap<WaitReason, u64>,
    pub parked: u64,
    pub done: u64,
    pub cancelled: u64,
    /// Records that the index has yet to take in.
    pub index_lag: u64,
    /// Why the index takes in nothing now; none where it does.
    pub index_trouble: Option<IndexTrouble>,
    /// Free space where the store lives, in bytes; none where it has no disk.
    pub disk_free_bytes: Option<u64>,
    /// With less than that deliveries are refused.
    pub disk_reserve_bytes: Option<u64>,
    /// Whether deliveries are taken now; the reason if not.
    pub refusing: Option<String>,
    /// Apps whose deliveries alone are refused now, by name.
    pub full_backlogs: Vec<FullBacklog>,
    /// Deliveries that were given up, if any.
    pub given_up: Option<GivenUp>,
}

/// An app with as many unplanned deliveries as it may have: more of them are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FullBacklog {
    pub app: AppName,
    pub unplanned: u64,
    /// When the first of those that wait came.
    pub since: Timestamp,
}

/// Deliveries that were set aside and then given up, since there were too many of these. Those count together between which
/// no 7 days passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    pub count: u64,
    pub since: Timestamp,
    pub last: Timestamp,
}

impl GivenUp {
    /// For so long after the last one a person should know.
    pub const TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

    pub(in crate::store) fn one_more(before: Option<Self>, at: Timestamp) -> Self {
        match before.filter(|before| at.since(before.last) <= Self::TOLD_FOR) {
            Some(Self { count, since, .. }) => Self { count: count.saturating_add(1), since, last: at },
            None => Self { count: 1, since: at, last: at },
        }
    }
}

/// An index that is not there. Nothing is lost by that, and deliveries are taken; but old ones cannot be listed, and
/// duplicates of very old ones are planned again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexTrouble {
    pub since: Timestamp,
    pub why: String,
    /// Times that it could not be made again; 0 while that is tried for the first time.
    pub failed: u32,
}

/// The head of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    pub size: u64,
    pub root: Hash,
}

/// Checkpoints of the log that were signed and are on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signed {
    /// The number of the last of all; 0 where there is none. They count from 1, without gaps.
    pub last: u64,
    /// Some of them, by number.
    pub notes: Vec<(u64, String)>,
}
