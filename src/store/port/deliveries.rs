//! Deliveries: to be stored, read back, decided on, listed.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::event::Meaning;
use crate::event::signature::Verified;
use crate::ids::{AccountId, AppName, DeliveryId, JobId};
use crate::rules::Step;

/// A delivery to be stored.
#[derive(Debug)]
pub struct NewDelivery {
    pub app: AppName,
    pub received_at: Timestamp,
    pub verified: Verified,
}

/// Proof that a delivery is on disk. The receiver's 200 is made from one.
#[derive(Debug, Clone, Copy)]
pub struct Receipt(DeliveryId);

impl Receipt {
    /// For stores alone, after the sync.
    pub(in crate::store) const fn new(id: DeliveryId) -> Self {
        Self(id)
    }

    pub const fn delivery(self) -> DeliveryId {
        self.0
    }
}

/// A delivery, read back.
#[derive(Debug, Clone)]
pub struct StoredDelivery {
    pub id: DeliveryId,
    pub app: AppName,
    pub received_at: Timestamp,
    /// As Zoom sent it; none once it was pruned.
    pub verified: Option<Verified>,
    /// An earlier delivery to the same app with the same body, see [`deliver`](super::Store::deliver); none once it is
    /// replayed.
    pub duplicate_of: Option<DeliveryId>,
    /// An earlier delivery with the same request id and another body: no duplicate, since the id is not signed.
    pub same_request_as: Option<DeliveryId>,
    /// A person asked for it to be planned again: duplicates are not looked for.
    pub replayed: bool,
    /// It was found in Zoom's log of deliveries that failed.
    pub is_backfilled: bool,
}

/// What the planner decided about one delivery.
#[derive(Debug, Clone)]
pub struct Decision {
    pub delivery: DeliveryId,
    /// The account that it counts for: one that the app holds.
    pub account: Option<AccountId>,
    /// The event's name, for the log; empty where the body cannot be understood.
    pub event: String,
    pub verdict: Verdict,
}

#[derive(Debug, Clone)]
pub enum Verdict {
    /// Nothing asks for work: no rule is about it.
    Nothing,
    /// The event asks for this. The store makes, merges, wakes and cancels jobs in the same write. An event whose meaning
    /// was seen before makes no new job where one was made for it already.
    Work {
        meaning: Option<Meaning>,
        /// The event's `event_ts`.
        event_at: Option<Timestamp>,
        steps: Vec<Step>,
    },
    Duplicate {
        of: DeliveryId,
    },
    /// It tells of nothing but what this job has changed and read back.
    Echo {
        of: JobId,
    },
    /// Signed, but cannot be understood: set aside, never acted on.
    Unreadable {
        why: String,
    },
    /// The app does not hold the account that the body names: set aside until it does.
    Unclaimed {
        account: Option<AccountId>,
    },
}

#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub app: Option<AppName>,
    /// Only those whose body names it: what was pruned names none.
    pub account: Option<AccountId>,
    /// Only those that are set aside.
    pub parked: bool,
    /// Only deliveries before this one: newest first.
    pub before: Option<DeliveryId>,
    pub limit: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum DeliveryStatus {
    /// Stored, not planned yet.
    Unplanned,
    /// Planned: `code` is the decision's, as in the audit log.
    Planned { code: String, jobs: Vec<JobId> },
    /// Set aside: `unreadable`, `unclaimed` until its account is added, or `backlog` until its account has room.
    Parked { cause: String },
}

/// A delivery in a listing, without its body.
#[derive(Debug, Clone, Serialize)]
pub struct DeliverySummary {
    pub id: DeliveryId,
    pub app: AppName,
    pub received_at: Timestamp,
    /// Its name; none where the body cannot be read, or was pruned.
    pub event: Option<String>,
    pub bytes: u64,
    pub is_backfilled: bool,
    pub status: DeliveryStatus,
}
