//! The port: what the rest of the program asks of a store.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::account::QuotaUse;
use crate::audit::tree::Hash;
use crate::audit::{Call, Detail, Entry, Kind, Saw};
use crate::clock::Timestamp;
use crate::event::Meaning;
use crate::event::signature::Verified;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::{Change, Input, Intent, Job, Lease, Outcome, ParkCause, Subject, WaitReason};
use crate::rules::Step;
use crate::store::sweep::{SweepRecord, SweepState, Swept};

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No space. Nothing is lost; it goes on by itself when there is space again.
    #[error("the disk is full")]
    Full,
    /// Planner or index are too far behind to take more deliveries now.
    #[error("too far behind: {0}")]
    Behind(String),
    /// The app has as many unplanned deliveries as it may.
    #[error("the backlog of the app is full")]
    Backlog,
    /// A write or sync failed, or a defect stopped the store. It takes nothing more; the process must exit.
    #[error("the store failed: {0}")]
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
    /// An earlier delivery to the same app with the same body (see [`Store::deliver`]); none once it is replayed.
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
    /// How the rule's condition looked to the attempt, for the entry of its outcome.
    pub saw: Vec<Saw>,
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
    /// The rule is at its limit for this hour. Nothing was written, except one notice an hour. `notice` says the limit and
    /// how many jobs of the same rule and account wait already, for the reason of a snooze.
    NextHour { at: Timestamp, notice: String },
    /// The rule came to its share of the account, now or before, and is stopped there until a person resumes it.
    OverShare,
}

/// What a person applies of a plan in one account.
#[derive(Debug, Clone)]
pub struct Applied {
    pub app: AppName,
    pub account: AccountId,
    /// Each with the hash of the differences that were planned ([`Job::planned`]).
    pub changes: Vec<(RuleName, Subject, [u8; 16])>,
    pub by: String,
}

/// What a person does to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Try again now, with all attempts. For jobs parked with `over-share` the rule goes on, and its count starts again.
    Retry,
    Park,
    /// Try again now, and let it take away what it was parked for, as it was told then. For jobs parked with `takes-away`.
    Allow,
}

impl Move {
    /// Whether it moves what a rule holds back for this cause.
    pub(in crate::store) const fn is_for(self, cause: &ParkCause) -> bool {
        match self {
            Self::Allow => matches!(cause, ParkCause::TakesAway { .. }),
            Self::Retry | Self::Park => cause.is_for_resume(),
        }
    }

    /// The code of its entries, and what it puts in.
    pub(in crate::store) const fn input(self, at: Timestamp) -> (&'static str, Input) {
        match self {
            Self::Retry => ("retried", Input::Retry { at }),
            Self::Park => ("parked", Input::Park { at, cause: ParkCause::ByPerson }),
            Self::Allow => ("allowed", Input::Allow { at }),
        }
    }
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
    /// What a rule that is stopped holds back: its jobs that are parked until a person resumes it; with [`Move::Allow`], those
    /// that would take something away.
    HeldBy {
        rule: RuleName,
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

/// Something that a person should know and mend, and that stands until it is mended, also over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub account: AccountId,
    pub code: String,
    /// As [`Detail::subject`].
    pub subject: Option<String>,
    pub what: String,
    pub since: Timestamp,
}

impl Notice {
    /// What a note leaves standing.
    pub(in crate::store) fn of(note: &Note, at: Timestamp) -> Option<Self> {
        let account = note.account.clone().filter(|_| note.kind == Kind::Attention)?;
        let Detail { subject, note: what, .. } = note.detail.clone();
        Some(Self { account, code: note.code.clone(), subject, what, since: at })
    }

    /// Whom it is about, without the kind: the last word of the subject.
    pub fn about(&self) -> &str {
        let last = self.subject.as_deref().and_then(|subject| subject.rsplit(' ').next()).unwrap_or_default();
        last.strip_prefix("user:").unwrap_or(last)
    }

    /// What tells notices apart.
    pub(in crate::store) fn key(&self) -> (&AccountId, &str, Option<&str>) {
        (&self.account, &self.code, self.subject.as_deref())
    }
}

#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// As [`crate::job::JobState::name`] says it.
    pub state: Option<String>,
    pub account: Option<AccountId>,
    /// Parked jobs with this cause.
    pub cause: Option<String>,
    /// Jobs about the same subject ([`Subject::is_same`]), whoever knows it by what.
    pub subject: Option<Subject>,
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
    /// Set aside: `unreadable`, `unclaimed` until its account is added, or `backlog` until its account has room.
    Parked { cause: String },
}

/// A delivery in a listing, without its body.
#[derive(Debug, Clone, Serialize)]
pub struct DeliverySummary {
    pub id: DeliveryId,
    pub app: AppName,
    pub received_at: Timestamp,
    pub bytes: u64,
    pub is_backfilled: bool,
    pub status: DeliveryStatus,
}

/// Parked jobs of one cause and account, and where a rule is to be resumed, of that rule: one item for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedGroup {
    pub cause: String,
    pub account: AccountId,
    /// The rule that a person resumes to move them, where that is what moves them.
    pub rule: Option<RuleName>,
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

/// The store. See the module for what each method promises.
///
/// # What holds for every method
/// - Time is an argument. `at` and `now` are "now"; the now of [`Store::deliver`] is `received_at`. "Within the window" of an
///   earlier moment means `now.since(earlier) <= window`, so a clock that went back counts as no time passed.
/// - An error means that nothing was written, for batches as well.
/// - Listings with a limit of 0 are empty.
/// - Entries follow each other in the order in which the methods below name them. Their codes are fixed; the wording of
///   `detail.note` is free. An entry about a job carries the job's app, account, rule and id, and `detail.subject` is the
///   subject as it prints. An entry about a delivery carries its app and id.
///
/// # Leases
/// A claim is held while the job is `running` with the token of the lease. A lease is *over* from `until` on
/// (`now >= until`), but stays held until a [`Store::claim`] ends it. A job whose lease ended, was given back, or was held
/// when the process ended is `due` at the moment at which it was due before the claim; the attempts that were started stay
/// counted and [`Job::again`] is cleared (the next run begins after whatever was asked). A start of the store ends all
/// leases.
///
/// # Lanes
/// Jobs of one account whose subjects are the same ([`crate::job::Subject::is_same`]: equal ids where both are
/// known, else equal emails; whatever the rule and app) share a lane. That relation is not transitive, so it is asked for each pair.
#[async_trait::async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Stores a delivery. Duplicates are stored too, and known as such from then on.
    ///
    /// - `duplicate_of` is the newest delivery of the same app and the same body that is itself no duplicate, if it is
    ///   within the window. So a duplicate does not lengthen the window.
    /// - `same_request_as` is the newest delivery of the same app with the same request id, if it is within the window and
    ///   has another body.
    /// - [`StoreError::Backlog`] where the app's unplanned deliveries have reached the limit. Whose they are is not known
    ///   before they are planned; unfinished jobs are limited by account, see [`Store::record_plan`].
    /// - Entry: [`Kind::Delivery`] `stored`, without account. `detail` is none, or a note where `same_request_as` is some.
    /// - [`AppState::verified_at`] becomes `received_at` where that is newer.
    async fn deliver(&self, delivery: NewDelivery) -> Result<Receipt, StoreError>;

    /// Stores a delivery that did not come by itself, but was found in Zoom's log, and says so for ever. As
    /// [`Store::deliver`], but: none, and nothing is written, where it would be a duplicate; the entry is
    /// [`Kind::Delivery`] `backfilled`; and [`AppState::verified_at`] stays, since nothing shows that deliveries arrive.
    async fn backfill(&self, delivery: NewDelivery) -> Result<Option<Receipt>, StoreError>;

    /// The oldest deliveries that were not planned yet, by id.
    async fn unplanned(&self, limit: usize) -> Result<Vec<StoredDelivery>, StoreError>;

    /// Records decisions and what follows from them: jobs made, merged, woken, cancelled. `at` is now.
    ///
    /// Decisions are taken in order, the steps of each too. Where one delivery of the batch is unknown
    /// ([`StoreError::NotFound`]), is not unplanned, comes twice, or asks for [`Verdict::Work`] without an account
    /// ([`StoreError::Conflict`]), nothing of the batch is written.
    ///
    /// - `Ensure`: the oldest unfinished job of the same app, account and rule whose subject is the same is asked again
    ///   ([`crate::job::Input::Ask`]) and learns the id or email that it lacks; else a job is made, due now.
    /// - A `meaning` is remembered (by app and account, with `at`) when a decision with it made or merged a job. A later
    ///   decision with it within the window is `repeated`: it makes no job, but merges, wakes and cancels as ever, and the
    ///   moment that is remembered stays. For a replayed delivery it is not looked at, only remembered.
    /// - `Wake` and `Cancel` go to all unfinished jobs of the decision's account whose subject is the same, whatever
    ///   their app and rule; `Cancel` not to those that a newer event asked for ([`Job::is_asked_after`]).
    /// - Work that would make a job, for an account whose unfinished jobs have reached the limit, is held back: none of its
    ///   steps is taken, and the delivery waits for [`Store::release_held`]. Work that only merges, wakes or cancels goes
    ///   on, since it is what makes room.
    /// - The delivery's status becomes `Planned` with the code, or `Parked` with `unreadable`, `unclaimed` or `backlog`. `jobs` are
    ///   those made, merged, cancelled, and woken (moved from `waiting`, or marked [`Job::again`]), ascending, each once.
    /// - Entries: [`Kind::Decision`] with `nothing`, `work`, `repeated`, `duplicate`, `unreadable`, `unclaimed` or `backlog` and
    ///   the decision's account, with job and rule where `jobs` is exactly one; then [`Kind::Moved`] `cancelled` for each job
    ///   that was cancelled, with the delivery.
    /// - Where more deliveries are `unreadable` or `unclaimed` then than the limits allow, the oldest are given up:
    ///   `Planned` with `given-up`, and [`Status::given_up`] counts them. They are not released any more; a person can still have them planned again. Entry for
    ///   each: [`Kind::Moved`] `given-up`.
    async fn record_plan(&self, decisions: Vec<Decision>, at: Timestamp) -> Result<(), StoreError>;

    /// Takes due jobs: in turn over accounts, in order within a subject, never two of one subject at once. Ends leases
    /// that are over. Not written to disk on one machine: a start ends all leases. No entry.
    ///
    /// - A job may be taken when it is due (`at <= now`), no job of its lane runs, no older (smaller id) job of its lane
    ///   is `due` (now or later), and fewer than `per_account_max` of its account's jobs run. Waiting and parked jobs hold
    ///   nobody up.
    /// - Turns: accounts in the order of their ids, from the first one after the account that was served last (by any
    ///   claim since the start), and round again; at each turn the account's oldest job (smallest id) that may be taken;
    ///   those that a sweep or a plan asked for last ([`Job::is_patient`]) after all others.
    async fn claim(&self, wanted: Claimable, now: Timestamp) -> Result<Vec<Leased>, StoreError>;

    /// Lengthens a lease; [`StoreError::Conflict`] where it is not held any more. A lease is never shortened: an earlier
    /// `until` changes nothing.
    async fn renew(&self, leased: &mut Leased, until: Timestamp) -> Result<(), StoreError>;

    /// Counts an attempt, before its first call. [`StoreError::Conflict`] where the lease is not held or is over, or an
    /// attempt was started under it already. Entry: [`Kind::Attempt`] `started`.
    async fn start(&self, leased: &mut Leased, now: Timestamp) -> Result<(), StoreError>;

    /// Asks to change something: counts it against the rule's limits and puts the intent on disk.
    /// [`StoreError::Conflict`] where the lease is not held or is over, or no attempt was started under it.
    ///
    /// Granted intents are counted by account and rule in UTC hours: those of one job once an hour against the hour, and
    /// once within 24 hours against the share, however often it is tried. A job that was done and is asked again counts
    /// anew. What a sweep asked for last ([`Job::is_of_sweep`]) counts against the hour alone where it states no
    /// `max_per_day`; a rule that is stopped stops it too.
    /// - What a person applied a plan for ([`Change::is_planned`]) is granted, and counted nowhere.
    /// - The rule is stopped for the account, or the hour of `now` and the 23 before it have `max_per_day` or more together:
    ///   [`Allowance::OverShare`], and the rule is stopped from now on ([`Store::is_stopped`]). Looked at first.
    /// - The hour of `now` has `max_per_hour` or more: [`Allowance::NextHour`] at the start of the next. The first time in
    ///   that hour for that account and rule, also after a restart, an entry [`Kind::Attention`] `rule-limit` is written
    ///   (app, account, rule; no job).
    /// - Else entry [`Kind::Intent`] `granted`, with the change in the note.
    async fn intend(&self, leased: &Leased, change: Change, now: Timestamp) -> Result<Allowance, StoreError>;

    /// Asks to change something that a person has told to, beside all rules and their limits: the note is on disk before.
    /// The note is of [`Kind::Intent`], and says who told it.
    async fn intend_as_told(&self, note: Note, now: Timestamp) -> Result<Intent, StoreError> {
        self.note(note, now).await?;
        Ok(Intent::recorded_by_store())
    }

    /// Whether the rule came to its share of the account and no person has resumed it since, however long ago that was.
    async fn is_stopped(&self, account: &AccountId, rule: &RuleName) -> Result<bool, StoreError>;

    /// Records what an attempt came to and the calls that it made. `unit` is a random number in `0.0..1.0` for the jitter
    /// of a retry. Gives the lease back. Returns the job as it is afterwards.
    ///
    /// - [`StoreError::Conflict`] where the lease is not held, or no attempt was started under it. A lease that is over but
    ///   still held is good enough: the work was done.
    /// - Where the job was cancelled while this lease was held, calls and outcome are recorded and the job stays cancelled.
    /// - A retry without attempts left parks with [`crate::job::ParkCause::AttemptsUsedUp`].
    /// - Entries: [`Kind::Call`] for each call, in order (code: the status in digits, or `no-answer`; `detail.call`), then
    ///   [`Kind::Outcome`]: `changed`, `already-right`, `would-change`, `not-applicable`, `snoozed`, `waits`, `retries` or
    ///   `parked`, with [`Leased::saw`] in `detail.saw`.
    /// - Calls whose category is `light`, `medium` or `heavy` count into [`Store::quota_use`] for the UTC day of `now`.
    async fn settle(
        &self,
        leased: Leased,
        outcome: Outcome,
        calls: Vec<Call>,
        now: Timestamp,
        unit: f64,
    ) -> Result<Job, StoreError>;

    /// Gives jobs back untouched (shutdown before their attempt started). [`StoreError::Conflict`] where the lease is not
    /// held. No entry.
    async fn give_back(&self, leased: Leased, now: Timestamp) -> Result<(), StoreError>;

    /// Moves jobs for a person, named in `actor`; returns how many. Entry for each, by id: [`Kind::Moved`] `retried` or
    /// `parked`.
    ///
    /// `Retry` is for jobs that are due, waiting or parked, `Park` for those that are due or waiting. One job that is
    /// unknown: [`StoreError::NotFound`]. Any job in another state: [`StoreError::Conflict`], and none is moved; so
    /// `ParkedFor` with `Park` fails unless it finds none.
    /// Retrying a job that is parked with `over-share` resumes its rule for its account and empties the count against
    /// `max_per_day`; the count of the hour goes on.
    /// `Allow` is for jobs that are parked with `takes-away`; its entries are [`Kind::Moved`] `allowed`, and no count changes.
    /// `HeldBy` with `Allow` is [`StoreError::NotFound`] where there are none.
    /// `HeldBy` with `Retry` does the same for the rule in each account where it is stopped or holds jobs back, also where it
    /// holds none; entry for each before those of the jobs: [`Kind::Moved`] `resumed`, with account and rule.
    /// [`StoreError::NotFound`] where there is none.
    /// Of very many that are meant, only the oldest are moved (`moved_max` of the limits): ask again for the rest.
    async fn move_jobs(&self, which: Selector, to: Move, actor: &str, now: Timestamp) -> Result<u64, StoreError>;

    /// Cancels what is unfinished of an account, or of the rule named, running jobs too; returns how many. Entry for each,
    /// by id: [`Kind::Moved`] `cancelled`. At most as many at once as can be moved: ask again until there are none.
    async fn cancel_jobs(
        &self,
        account: &AccountId,
        rule: Option<&RuleName>,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Plans a delivery again, whatever was decided before: it is unplanned from now on, `replayed` for ever, and
    /// `duplicate_of` reads as none. Also where it is unplanned already. [`StoreError::NotFound`] for an unknown delivery,
    /// [`StoreError::Conflict`] where its body was pruned. Entry: [`Kind::Moved`] `replayed`.
    async fn replay(&self, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<(), StoreError>;

    /// Releases deliveries of the last 7 days (`received_at`, inclusive) that were set aside because `app` did not hold
    /// `account` (the one in [`Verdict::Unclaimed`]): they are unplanned again. Returns how many. Entry for each, by id:
    /// [`Kind::Moved`] `released`, with the account.
    async fn release(&self, app: &AppName, account: &AccountId, now: Timestamp) -> Result<u64, StoreError>;

    /// Releases deliveries that were held back because their account had too many unfinished jobs: for each account the
    /// oldest ones, as many as it has room for, and no more than `limit` in all, by account. They are unplanned again.
    /// Returns how many. Entry for each: [`Kind::Moved`] `released`, with the account.
    async fn release_held(&self, limit: usize, now: Timestamp) -> Result<u64, StoreError>;

    /// Writes an audit entry about something that is no job. One of [`Kind::Attention`] about an account stands from then on
    /// as a [`Notice`], until it is mended; where one with its account, code and subject stands, that one stays.
    async fn note(&self, note: Note, at: Timestamp) -> Result<(), StoreError>;

    /// What stands, by account, code and subject.
    async fn notices(&self) -> Result<Vec<Notice>, StoreError>;

    /// Ends the notice with this one's account, code and subject; whether it stood. Entry where it did: [`Kind::Attention`]
    /// `mended` with the account, the subject, and the code as the note.
    async fn mend(&self, notice: &Notice, at: Timestamp) -> Result<bool, StoreError>;

    /// Remembers that somebody saw what the rule would change, as it was with this hash. Entry, where that is new:
    /// [`Kind::Service`] `planned` with the rule.
    async fn record_planned(&self, rule: &RuleName, hash: [u8; 16], at: Timestamp) -> Result<(), StoreError>;

    /// The newest hash of each rule for which [`Store::record_planned`] was called.
    async fn planned(&self) -> Result<BTreeMap<RuleName, [u8; 16]>, StoreError>;

    /// Remembers that a url validation was answered for the app; an older `at` than what is remembered changes nothing.
    async fn validated(&self, app: &AppName, at: Timestamp) -> Result<(), StoreError>;

    /// Compares the app's webhook secrets (as a hash) with those of the last start, and remembers a change. Returns the
    /// state afterwards. The first look at an app is no change: `secrets_changed_at` stays none.
    async fn secrets_seen(&self, app: &AppName, secrets: [u8; 16], at: Timestamp) -> Result<AppState, StoreError>;

    /// All none for an app that was never seen.
    async fn app_state(&self, app: &AppName) -> Result<AppState, StoreError>;

    /// The calls of the UTC day of `at` that this store knows of, by account.
    async fn quota_use(&self, account: &AccountId, at: Timestamp) -> Result<QuotaUse, StoreError>;

    /// Records a step of a sweep, with the calls that were made for it and the jobs that it asks for, in one write. One
    /// sweep of an account runs at a time, until it ends or is given up, also over a restart.
    /// [`StoreError::Conflict`] where one runs already (`SweepStep::Begin`), or none does (all others but
    /// `SweepStep::Called` and `SweepStep::Backfilled`).
    ///
    /// - For each [`Step::Ensure`] of a page, the oldest unfinished job of the same app, account and rule whose subject is
    ///   the same is asked again where it waits or was not found ([`Job::is_moved_by_sweep`]), and else left as it is.
    ///   Where there is none, a job is made, due now, by [`crate::job::Asker::Sweep`], unless the unfinished jobs of the account
    ///   have reached half the limit: what is left of it is for events.
    ///   A dry sweep only counts them.
    /// - A settled outcome `changed` of a job of a sweep ([`Job::is_of_sweep`]) counts to the sweep that runs, else to the
    ///   last ([`SweepRun::changed`](crate::store::SweepRun)).
    /// - Entries: [`Kind::Call`] as in [`Store::settle`], without job; [`Kind::Decision`] `swept` for each job that was made
    ///   and `woken` for each that was asked again; [`Kind::Sweep`] `started` (with the rule where it is about one),
    ///   `ended` or `failed`; `backfilled` where deliveries of Zoom's log were stored or refused.
    async fn record_sweep(&self, record: SweepRecord, at: Timestamp) -> Result<Swept, StoreError>;

    /// Asks for what a person applies of a plan, in one write. For each, the oldest unfinished job of the same app, account
    /// and rule whose subject is the same is put to it, whatever held it up ([`crate::job::Input::Apply`]); else a job is made,
    /// due now, by [`crate::job::Asker::Plan`], unless the unfinished jobs of the account have reached half the limit. Returns
    /// the job of each, in order; none where no job could be made. Entry for each job: [`Kind::Decision`] `applied`, with who
    /// did.
    async fn apply_plan(&self, applied: Applied, at: Timestamp) -> Result<Vec<Option<JobId>>, StoreError>;

    /// All none for an account that was never swept.
    async fn sweep_state(&self, account: &AccountId) -> Result<SweepState, StoreError>;

    /// None also for a job that finished so long ago that it is not kept any more: the store keeps a number of finished
    /// jobs, those that finished last.
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// Newest first. Conditions that are given must all hold.
    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError>;

    /// By cause, account, then rule. The longest parked is the one with the smallest `at`, then id.
    async fn parked(&self) -> Result<Vec<ParkedGroup>, StoreError>;

    async fn delivery(&self, id: DeliveryId) -> Result<Option<(StoredDelivery, DeliveryStatus)>, StoreError>;

    /// Newest first. Conditions that are given must all hold.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliverySummary>, StoreError>;

    /// Entries from index `from` on, in order. Fewer than `limit` only at the end.
    async fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    async fn tree_head(&self) -> Result<TreeHead, StoreError>;

    /// `done` and `cancelled` count all that ever were, also those that are not kept any more; the other counts are of now.
    async fn status(&self) -> Result<Status, StoreError>;

    /// The first moment after the `now` of the newest claim (since the start) at which a job becomes due or a lease is over,
    /// if any. What is due already is left out: a claim has just had it, or something that holds it up will end and
    /// [`Store::changed`] says so. So claim until it brings fewer than it was asked for, then wait for the first of both.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Ends when there may be something new to plan or to claim. Ask for it *before* looking, so that nothing that comes
    /// in between is missed. Changes with every delivery, plan, settle, return of a lease, move, cancellation, replay and
    /// release, after the write, and when the store is closed.
    fn changed(&self) -> tokio::sync::watch::Receiver<u64>;

    /// Writes what is in memory, closes cleanly. Later calls of any method, reads too, fail with [`StoreError::Closed`];
    /// closing again is no error.
    async fn close(&self) -> Result<(), StoreError>;
}
