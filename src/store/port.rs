//! The port: what the rest of the program asks of a store.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::tree::Hash;
use crate::audit::{Call, Detail, Entry, Kind};
use crate::clock::Timestamp;
use crate::event::Meaning;
use crate::event::signature::Verified;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::{Change, Intent, Job, Lease, Outcome};
use crate::rules::Step;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No space. Nothing is lost; it goes on by itself when there is space again.
    #[error("the disk is full")]
    Full,
    /// Planner or index are too far behind to take more deliveries now.
    #[error("too far behind: {0}")]
    Behind(String),
    /// The account has as many unfinished jobs or unplanned deliveries as it may.
    #[error("the backlog of the account is full")]
    Backlog,
    /// A write or sync failed. The store takes nothing more; the process must exit.
    #[error("the disk failed: {0}")]
    Failed(String),
    /// What is stored cannot be read as it was written.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The lease is not held any more, or the job is in a state that does not allow the move.
    #[error("{0}")]
    Conflict(String),
    #[error("there is no {0}")]
    NotFound(String),
    /// The store is being shut down.
    #[error("the store is closed")]
    Closed,
}

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
    /// An earlier delivery to the same app with the same body.
    pub duplicate_of: Option<DeliveryId>,
    /// An earlier delivery with the same request id and another body: no duplicate, since the id is not signed.
    pub same_request_as: Option<DeliveryId>,
    /// A person asked for it to be planned again: duplicates are not looked for.
    pub replayed: bool,
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
        steps: Vec<Step>,
    },
    Duplicate {
        of: DeliveryId,
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

/// A job that this worker may run until the lease ends. Settling consumes it.
#[derive(Debug)]
pub struct Leased {
    pub job: Job,
    pub lease: Lease,
}

/// How much a worker can take.
#[derive(Debug, Clone, Copy)]
pub struct Claimable {
    /// Jobs at most.
    pub jobs_max: usize,
    /// Jobs of one account that may run at once, those that already run included.
    pub per_account_max: usize,
    pub lease: Duration,
}

/// Whether a change may be made now.
#[derive(Debug)]
pub enum Allowance {
    /// The intent is on disk and counts against the rule's limits.
    Granted(Intent),
    /// The rule is at its limit for this hour. Nothing was written, except one notice an hour. `ahead` changes of the same
    /// rule and account wait already.
    NextHour { at: Timestamp, notice: String },
    /// The rule changed more than its share of the account. Nothing was written.
    OverShare,
}

/// What a person does to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Try again now, with all attempts. For jobs parked with `over-share` the rule's count starts again as well.
    Retry,
    Park,
}

/// Which jobs a person means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    Job(JobId),
    /// All parked jobs with this cause, as `jobs list` prints it.
    ParkedFor {
        cause: String,
        account: Option<AccountId>,
    },
}

/// An audit entry about something that is no job.
#[derive(Debug, Clone)]
pub struct Note {
    pub kind: Kind,
    pub app: Option<AppName>,
    pub account: Option<AccountId>,
    pub code: String,
    pub detail: Detail,
}

#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// As [`crate::job::JobState::name`] says it.
    pub state: Option<String>,
    pub account: Option<AccountId>,
    /// Parked jobs with this cause.
    pub cause: Option<String>,
    /// Only jobs before this one: newest first.
    pub before: Option<JobId>,
    pub limit: usize,
}

#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub app: Option<AppName>,
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
    /// Set aside: `unreadable`, or `unclaimed` until its account is added.
    Parked { cause: String },
}

/// A delivery in a listing, without its body.
#[derive(Debug, Clone, Serialize)]
pub struct DeliverySummary {
    pub id: DeliveryId,
    pub app: AppName,
    pub received_at: Timestamp,
    pub bytes: u64,
    pub status: DeliveryStatus,
}

/// Parked jobs of one cause and account: one item for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedGroup {
    pub cause: String,
    pub account: AccountId,
    pub count: u64,
    /// The longest parked of them.
    pub example: JobId,
    pub since: Timestamp,
}

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

/// Calls made for one account in one UTC day, by rate-limit category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QuotaUse {
    pub light: u64,
    pub medium: u64,
    pub heavy: u64,
}

/// How the store is doing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    pub deliveries: u64,
    pub unplanned: u64,
    pub parked_deliveries: u64,
    pub due: u64,
    pub running: u64,
    pub waiting: u64,
    pub parked: u64,
    pub done: u64,
    pub cancelled: u64,
    /// Records that the index has yet to take in.
    pub index_lag: u64,
    /// Free space where the store lives, in bytes; none where it has no disk.
    pub disk_free_bytes: Option<u64>,
    /// Whether deliveries are taken now; the reason if not.
    pub refusing: Option<String>,
}

/// The head of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    pub size: u64,
    pub root: Hash,
}

/// The store. See the module for what each method promises.
#[async_trait::async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Stores a delivery. Duplicates are stored too, and known as such from then on.
    async fn deliver(&self, delivery: NewDelivery) -> Result<Receipt, StoreError>;

    /// The oldest deliveries that were not planned yet.
    async fn unplanned(&self, limit: usize) -> Result<Vec<StoredDelivery>, StoreError>;

    /// Records decisions and what follows from them: jobs made, merged, woken, cancelled. `at` is now.
    async fn record_plan(&self, decisions: Vec<Decision>, at: Timestamp) -> Result<(), StoreError>;

    /// Takes due jobs: in turn over accounts, in order within a subject, never two of one subject at once. Ends leases
    /// that are over. Not written to disk on one machine: a start ends all leases.
    async fn claim(&self, wanted: Claimable, now: Timestamp) -> Result<Vec<Leased>, StoreError>;

    /// Lengthens a lease; an error where it is not held any more.
    async fn renew(&self, leased: &mut Leased, until: Timestamp) -> Result<(), StoreError>;

    /// Counts an attempt, before its first call.
    async fn start(&self, leased: &mut Leased, now: Timestamp) -> Result<(), StoreError>;

    /// Asks to change something: counts it against the rule's limits and puts the intent on disk.
    async fn intend(&self, leased: &Leased, change: Change, now: Timestamp) -> Result<Allowance, StoreError>;

    /// Records what an attempt came to and the calls that it made. `unit` is a random number in `0.0..1.0` for the jitter
    /// of a retry. Gives the lease back.
    async fn settle(
        &self,
        leased: Leased,
        outcome: Outcome,
        calls: Vec<Call>,
        now: Timestamp,
        unit: f64,
    ) -> Result<Job, StoreError>;

    /// Gives jobs back untouched (shutdown before their attempt started).
    async fn give_back(&self, leased: Leased, now: Timestamp) -> Result<(), StoreError>;

    /// Moves jobs for a person, named in `actor`; returns how many.
    async fn move_jobs(&self, which: Selector, to: Move, actor: &str, now: Timestamp) -> Result<u64, StoreError>;

    /// Cancels what is unfinished of an account, or of the rule named; returns how many.
    async fn cancel_jobs(
        &self,
        account: &AccountId,
        rule: Option<&RuleName>,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Plans a delivery again, whatever was decided before.
    async fn replay(&self, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<(), StoreError>;

    /// Releases deliveries of the last 7 days that were set aside because `app` did not hold `account`; returns how many.
    async fn release(&self, app: &AppName, account: &AccountId, now: Timestamp) -> Result<u64, StoreError>;

    /// Writes an audit entry about something that is no job.
    async fn note(&self, note: Note, at: Timestamp) -> Result<(), StoreError>;

    /// Remembers that a url validation was answered for the app.
    async fn validated(&self, app: &AppName, at: Timestamp) -> Result<(), StoreError>;

    /// Compares the app's webhook secrets (as a hash) with those of the last start, and remembers a change.
    async fn secrets_seen(&self, app: &AppName, secrets: [u8; 16], at: Timestamp) -> Result<AppState, StoreError>;

    async fn app_state(&self, app: &AppName) -> Result<AppState, StoreError>;

    /// The calls of the UTC day of `at` that this store knows of, by account.
    async fn quota_use(&self, account: &AccountId, at: Timestamp) -> Result<QuotaUse, StoreError>;

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// Newest first.
    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError>;

    async fn parked(&self) -> Result<Vec<ParkedGroup>, StoreError>;

    async fn delivery(&self, id: DeliveryId) -> Result<Option<(StoredDelivery, DeliveryStatus)>, StoreError>;

    /// Newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliverySummary>, StoreError>;

    /// Entries from index `from` on, in order. Fewer than `limit` only at the end.
    async fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    async fn tree_head(&self) -> Result<TreeHead, StoreError>;

    async fn status(&self) -> Result<Status, StoreError>;

    /// When the next job that is put off becomes due, if any.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Ends when there may be something new to plan or to claim. Ask for it *before* looking, so that nothing that comes
    /// in between is missed.
    fn changed(&self) -> tokio::sync::watch::Receiver<u64>;

    /// Writes what is in memory, closes cleanly. Later calls fail with [`StoreError::Closed`].
    async fn close(&self) -> Result<(), StoreError>;
}
