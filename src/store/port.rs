//! The port: what the rest of the program asks of a store.

mod deliveries;
mod documents;
mod jobs;
mod notices;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use crate::account::QuotaUse;
use crate::audit::{Call, Entry};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, MeetingId, RuleName};
use crate::job::{Change, DayOf, DayUse, Job, NewJob, Outcome};
use crate::store::sweep::{SweepRecord, SweepState, Swept};
#[expect(unused_imports, reason = "what the methods promise names them")]
use crate::{audit::Kind, job::Counts, rules::Step};

pub use deliveries::{
    Decision, DeliveryFilter, DeliveryStatus, DeliverySummary, NewDelivery, Receipt, StoredDelivery, Verdict,
};
pub use documents::{Document, Shelf, Write};
pub(in crate::store) use jobs::day_notice;
pub use jobs::{
    Allowance, Applied, AppliedChange, CONTESTED_AFTER, CONTESTED_WITHIN, Claimable, Collected, DayUsed, JobFilter,
    Leased, Move, ParkedGroup, PutOff, Selector, Spender,
};
pub use notices::{Note, Notice};
pub use status::{AppState, FullBacklog, GivenUp, IndexTrouble, Signed, Status, TreeHead};

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

/// As many entries one call of [`Store::entries_of`] looks at.
pub(in crate::store) const ENTRIES_LOOKED_MAX: usize = 100_000;

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

    /// Deliveries that were not planned yet, but for these, to read ahead: the oldest of each app in turn, the app first whose
    /// oldest is the oldest. What is chosen so is given by id.
    async fn unplanned(&self, but: &[DeliveryId], limit: usize) -> Result<Vec<StoredDelivery>, StoreError>;

    /// Records decisions and what follows from them: jobs made, merged, woken, cancelled. `at` is now.
    ///
    /// Decisions are taken in order, the steps of each too. Where one delivery of the batch is unknown
    /// ([`StoreError::NotFound`]), is not unplanned, comes twice, or asks for [`Verdict::Work`] without an account
    /// ([`StoreError::Conflict`]), nothing of the batch is written. A `Duplicate` that a person replayed since it was read is
    /// passed over: it stays unplanned.
    ///
    /// - `Ensure`: the oldest unfinished job of the same app, account and rule whose subject is the same is asked again
    ///   ([`crate::job::Input::Ask`]) and learns the id or email that it lacks; else a job is made, due now.
    /// - A `meaning` is remembered (by app and account, with `at`) when a decision with it made or merged a job. A later
    ///   decision with it within the window is `repeated`: it makes no job, but merges, wakes and cancels as ever, and the
    ///   moment that is remembered stays. For a replayed delivery it is not looked at, only remembered.
    /// - `Wake` and `Cancel` go to all unfinished jobs of the decision's account whose subject is the same, whatever
    ///   their app and rule; `Cancel` not to those that a newer event asked for ([`Job::is_asked_after`]).
    /// - `Later`: a job of the same app, account and rule about that run of a meeting, due that long after `event_at` (where
    ///   that is none, or later than `received_at`, after `received_at`) and not before now, unless there is or ever was one, as
    ///   far back as is remembered. One that is due, and was never tried, is due earlier where this event is older than those
    ///   that asked for it, and ends where what ends it came before. None is made where `Unless` came for the run, or for the
    ///   meeting with an `event_at` that is not older.
    /// - `Unless` cancels unfinished jobs, but not those that run, of the same app, account and rule about the run with that uuid,
    ///   and those about runs of that meeting which no newer event asked for ([`Job::is_asked_after`]); and is remembered.
    /// - `Collect`: the delivery belongs to the record of the run from now on. The newest job about it takes it where it was
    ///   never tried and does not run; else a job is made. The first is due [`crate::rules::Fold::GIVES_UP`] after the event, or
    ///   [`crate::rules::Fold::GRACE`] after the last one; later ones that long after now.
    /// - `Remember`: the delivery is one that [`Store::told_of`] the meeting gives.
    /// - `Release` goes to unfinished jobs of the same app, account and rule about the meeting or a run of it, as `Wake` does.
    /// - Work that would make a job, for an account whose unfinished jobs have reached the limit, is held back: none of its
    ///   steps is taken, and the delivery waits for [`Store::release_held`]. Work that only merges, wakes or cancels goes
    ///   on, since it is what makes room.
    /// - [`Verdict::Echo`] asks for nothing, and no meaning is remembered.
    /// - The delivery's status becomes `Planned` with the code, or `Parked` with `unreadable`, `unclaimed` or `backlog`. `jobs` are
    ///   those made, merged, cancelled, and woken (moved from `waiting`, or marked [`Job::again`]), ascending, each once.
    /// - Entries: [`Kind::Decision`] with `nothing`, `echo`, `work`, `repeated`, `duplicate`, `unreadable`, `unclaimed` or `backlog` and
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
    ///   is due as well, and fewer than `per_account_max` of its account's jobs run. Waiting and parked jobs, and those that
    ///   are due later, hold nobody up.
    /// - Turns: accounts in the order of their ids, from the first one after the account that was served last (by any
    ///   claim since the start), and round again; at each turn the account's job that may be taken and has been due for longest
    ///   (of several the smallest id); those that a sweep or a plan asked for last after all others ([`Job::place`]).
    async fn claim(&self, wanted: Claimable, now: Timestamp) -> Result<Vec<Leased>, StoreError>;

    /// Jobs of these accounts, and of no others, are taken by no [`Store::claim`] from now on; those that run go on. Not
    /// written to disk: a start takes all. No entry. Whoever waits for [`Store::changed`] hears of it.
    async fn pause(&self, accounts: Arc<BTreeSet<AccountId>>) -> Result<(), StoreError>;

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
    /// - Before the hour is looked at: a mark of the change was made [`CONTESTED_AFTER`] times by the rule for the subject
    ///   within [`CONTESTED_WITHIN`], as settled outcomes `changed` say: [`Allowance::Contested`]. What is planned is not held
    ///   up by it, and not counted. Retrying a job that is parked with `contested` begins the count of its rule and subject anew.
    /// - After all others: of one of [`Change::days`], [`DayUse::max_per_day`] or more is used ([`Store::day_used`]), or Zoom
    ///   says that it is spent: [`Allowance::NextDay`] for the first of them, and none of them is counted. The first time in
    ///   that UTC day for that, also after a restart, an entry [`Kind::Attention`] with [`DayOf::code`] about the job is
    ///   written. What is planned counts as well: the limit is Zoom's. A job that counts once ([`Counts::Job`]) and was
    ///   counted in that UTC day uses up no more of it. Who names the same day twice uses it up once.
    /// - Else all of them are counted, by account; entry [`Kind::Intent`] `granted`, with the change in the note.
    async fn intend(&self, leased: &Leased, change: Change, now: Timestamp) -> Result<Allowance, StoreError>;

    /// Zoom says that the UTC day of `now` is used up for this, whatever was counted: nothing is granted any more that uses it.
    /// The notice of [`Store::intend`] is written where it was not yet; for a person, about the app and the account alone.
    async fn day_spent(&self, who: Spender<'_>, of: &DayOf, now: Timestamp) -> Result<(), StoreError>;

    /// What was granted in the UTC day of `now`, and whether Zoom called it spent; for a meeting, in that day or the one
    /// before.
    async fn day_used(&self, account: &AccountId, of: &DayOf, now: Timestamp) -> Result<DayUsed, StoreError>;

    /// Asks to change something that a person has told to, beside all rules and their limits: the note is on disk before.
    /// The note is of [`Kind::Intent`], and says who told it. `days` are those of the note's account, and are looked at and
    /// counted as in [`Store::intend`], with a notice as in [`Store::day_spent`]: [`Allowance::NextDay`], and then the note is
    /// not written, or [`Allowance::Granted`]. [`StoreError::Conflict`] where there are days, and the note has no account.
    async fn intend_as_told(&self, note: Note, days: Vec<DayUse>, now: Timestamp) -> Result<Allowance, StoreError>;

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
    ///   `parked`, with [`Leased::saw`] in `detail.saw` and [`Leased::severity`] in `detail.severity`.
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

    /// Moves jobs for a person, named in `actor`; returns how many. Entry for each, by id: [`Kind::Moved`] `retried`,
    /// `parked` or `cancelled`.
    ///
    /// `Retry` is for jobs that are due, waiting or parked, `Park` for those that are due or waiting, `Cancel` for all that
    /// are unfinished; one that runs ends its attempt, and stays cancelled. One job that is unknown: [`StoreError::NotFound`]. Any job in another state: [`StoreError::Conflict`], and none is moved; so
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

    /// Cancels what is unfinished of an account, running jobs too; where an app is named, only what is another's, and no
    /// onboarding, which is done by whatever app acts. Returns how many. Entry for each, by id: [`Kind::Moved`] `cancelled`.
    /// At most as many at once as can be moved: ask again until there are none.
    async fn cancel_jobs(
        &self,
        account: &AccountId,
        acting: Option<&AppName>,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Plans a delivery again, whatever was decided before: it is unplanned from now on, `replayed` for ever, and
    /// `duplicate_of` reads as none. Also where it is unplanned already. [`StoreError::NotFound`] for an unknown delivery,
    /// [`StoreError::Conflict`] where its body was pruned. Entry: [`Kind::Moved`] `replayed`.
    async fn replay(&self, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<(), StoreError>;

    /// Releases deliveries of the last 7 days (`received_at`, inclusive) that were set aside because `app` did not hold
    /// `account` (the one in [`Verdict::Unclaimed`]): they are unplanned again. Returns how many. Entry for each, by id:
    /// [`Kind::Moved`] `released`, with the account. [`StoreError::Conflict`] while the account is being forgotten.
    async fn release(&self, app: &AppName, account: &AccountId, now: Timestamp) -> Result<u64, StoreError>;

    /// Releases deliveries that were held back because their account had too many unfinished jobs: for each account the
    /// oldest ones, as many as it has room for, and no more than `limit` in all, by account. They are unplanned again.
    /// Returns how many. Entry for each: [`Kind::Moved`] `released`, with the account.
    async fn release_held(&self, limit: usize, now: Timestamp) -> Result<u64, StoreError>;

    /// Writes an audit entry about something that is no job. One of [`Kind::Attention`] about an account stands from then on
    /// as a [`Notice`], until it is mended; where one with its account, code and subject stands, that
    /// one stays, and says what this one says. Beyond what may stand of an account the entry is all that is written:
    /// what stood stays as it was.
    async fn note(&self, note: Note, at: Timestamp) -> Result<(), StoreError>;

    /// Writes documents, one after the other, and an entry for each note as [`Store::note`] does: all of it in one write.
    /// [`StoreError::Conflict`] where a [`Write::PutNew`] finds its key taken, or a document is longer than
    /// [`Document::BYTES_MAX`].
    async fn write_documents(&self, writes: Vec<Write>, notes: Vec<Note>, at: Timestamp) -> Result<(), StoreError>;

    /// All of a shelf, by key.
    async fn documents(&self, on: Shelf) -> Result<Vec<Document>, StoreError>;

    async fn document(&self, on: Shelf, key: &str) -> Result<Option<Document>, StoreError>;

    /// What stands, by account, code and subject.
    async fn notices(&self) -> Result<Vec<Notice>, StoreError>;

    /// What stands about the account, by code and subject.
    async fn notices_of(&self, account: &AccountId) -> Result<Vec<Notice>, StoreError>;

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

    /// Asks for work that neither an event nor a sweep told of, in one write. For each, the oldest unfinished job of the same
    /// app, account and rule whose subject is the same is asked again ([`crate::job::Input::Ask`]) and learns the id or email
    /// that it lacks; else a job is made, due now, unless the unfinished jobs of the account have reached the limit. Returns
    /// the job of each, in order; none where no job could be made. Entry for each job: [`Kind::Decision`] `asked`, with `why`.
    async fn ask(&self, asked: Vec<NewJob>, why: &str, at: Timestamp) -> Result<Vec<Option<JobId>>, StoreError>;

    /// All none for an account that was never swept.
    async fn sweep_state(&self, account: &AccountId) -> Result<SweepState, StoreError>;

    /// None also for a job that finished so long ago that it is not kept any more: the store keeps a number of finished
    /// jobs, those that finished last.
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// The deliveries that stated what the meeting is ([`Step::Remember`]): the first, then the newest 15 of the others in the
    /// order of their events. Of 100,000 meetings of the account at most.
    async fn told_of(
        &self,
        app: &AppName,
        account: &AccountId,
        meeting: MeetingId,
    ) -> Result<Vec<DeliveryId>, StoreError>;

    /// What a job of [`Step::Collect`] makes its record of; none for others, and where it is not known any more.
    async fn collected(&self, job: JobId) -> Result<Option<Collected>, StoreError>;

    /// Newest first. Conditions that are given must all hold.
    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError>;

    /// Rules that came to their limit in the UTC hour of `now`, and have jobs that are due when the next begins; by account,
    /// then rule.
    async fn put_off(&self, now: Timestamp) -> Result<Vec<PutOff>, StoreError>;

    /// By cause, account, then rule. The longest parked is the one with the smallest `at`, then id.
    async fn parked(&self) -> Result<Vec<ParkedGroup>, StoreError>;

    async fn delivery(&self, id: DeliveryId) -> Result<Option<(StoredDelivery, DeliveryStatus)>, StoreError>;

    /// Newest first. Conditions that are given must all hold.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliverySummary>, StoreError>;

    /// Entries from index `from` on, in order. Fewer than `limit` only at the end.
    async fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Entries of the account with an index `among` these, in order, and the index to go on from. Fewer than `limit` at the
    /// end, and where there are no more among the first [`ENTRIES_LOOKED_MAX`]. A delivery as it came is of no account: nobody
    /// had read it.
    async fn entries_of(
        &self,
        account: &AccountId,
        among: Range<u64>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError>;

    async fn tree_head(&self) -> Result<TreeHead, StoreError>;

    /// Checkpoints with a number above `after`, in order: as many as `limit` at most, and some where there are any. One that
    /// cannot be read is left out.
    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Signed, StoreError>;

    /// `done` and `cancelled` count all that ever were, also those that are not kept any more; the other counts are of now.
    async fn status(&self) -> Result<Status, StoreError>;

    /// The first moment after the `now` of the newest claim (since the start) at which a job becomes due or a lease is over,
    /// if any. What is due already is left out: a claim has just had it, or something that holds it up will end and
    /// [`Store::changed`] says so. So claim until it brings fewer than it was asked for, then wait for the first of both.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Ends when there may be something new to plan or to claim. Ask for it *before* looking, so that nothing that comes
    /// in between is missed. Changes with every delivery, plan, settle, return of a lease, move, cancellation, replay,
    /// release and write of documents, with every checkpoint, after the write, and when the store is closed. Not with every
    /// entry: whoever reads the log looks now and then as well.
    fn changed(&self) -> tokio::sync::watch::Receiver<u64>;

    /// Writes what is in memory, closes cleanly. Later calls of any method, reads too, fail with [`StoreError::Closed`];
    /// closing again is no error.
    async fn close(&self) -> Result<(), StoreError>;
}
