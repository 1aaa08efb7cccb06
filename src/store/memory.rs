//! The store in memory: the reference model, against which the others are tested.
//!
//! Naive on purpose: maps, full scans and one lock, so that it can be checked by reading. Every method checks first and
//! writes then, so an error has written nothing. Nothing outlives the process; [`MemoryStore::restart`] does what a start
//! of a durable store does to its state.

mod asked;
mod contest;
mod day;
mod log;
mod plan;
mod read;
mod runs;
mod sweep;
mod work;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::port::{
    Allowance, AppState, Applied, Claimable, Collected, DayUsed, Decision, DeliveryFilter, DeliveryStatus,
    DeliverySummary, Document, JobFilter, Leased, Move, NewDelivery, Note, Notice, ParkedGroup, PutOff, QuotaUse,
    Receipt, Selector, Shelf, Signed, Spender, Status, Store, StoreError, StoredDelivery, TreeHead, Write,
};
use super::sweep::{SweepRecord, SweepState, Swept};
use super::wide;
use crate::audit::{Call, Entry};
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, AppName, DeliveryId, JobId, MeetingId, RuleName};
use crate::job::{Backoff, Change, DayOf, DayUse, Job, NewJob, Outcome};
use world::World;

/// The limits that shape what a store does, the same for every implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long bodies, request ids and meanings are known again.
    pub dedupe_window: Duration,
    /// Unplanned deliveries of one app, from which on its deliveries are refused; and unfinished jobs of one account, from
    /// which on what would make more is held back.
    pub backlog_max: u64,
    /// Finished jobs that are kept for listings, those that finished last.
    pub finished_max: usize,
    /// Jobs that a person moves or cancels with one request: all of them become durable together.
    pub moved_max: usize,
    /// Deliveries that are set aside; beyond it the oldest of them is given up.
    pub parked_deliveries_max: usize,
    /// Of all notices that stand about one account: they are one record.
    pub notices_bytes_max: usize,
    pub backoff: Backoff,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dedupe_window: Duration::from_secs(24 * 3600),
            backlog_max: 1_000_000,
            finished_max: 10_000,
            moved_max: 50_000,
            parked_deliveries_max: 100_000,
            notices_bytes_max: 512 << 10,
            backoff: Backoff::default(),
        }
    }
}

/// A store in memory. Clones are handles to the same store.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    /// None once it is closed.
    world: Arc<Mutex<Option<World>>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl MemoryStore {
    pub fn new(limits: Limits) -> Self {
        Self::holding(World::new(limits))
    }

    fn holding(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(Some(world))), changed: Arc::new(watch::Sender::new(0)) }
    }

    /// What is found after the process ended and started again. This handle and its clones are closed by it; none where
    /// they were closed before.
    #[must_use]
    pub fn restart(&self) -> Option<Self> {
        let mut world = lock(&self.world).take()?;
        self.bump();
        world.end_all_leases();
        Some(Self::holding(world))
    }

    /// Keeps a checkpoint that somebody signed: this store has no keys.
    pub fn keep_checkpoint(&self, note: String) -> Result<(), StoreError> {
        self.write(|world| {
            world.signed.push(note);
            Ok(())
        })
    }

    fn read<T>(&self, what: impl FnOnce(&World) -> T) -> Result<T, StoreError> {
        lock(&self.world).as_ref().map(what).ok_or(StoreError::Closed)
    }

    /// For what can make no work.
    fn write_quietly<T>(&self, what: impl FnOnce(&mut World) -> Result<T, StoreError>) -> Result<T, StoreError> {
        lock(&self.world).as_mut().map_or(Err(StoreError::Closed), what)
    }

    /// For what can make work: whoever waits for a change looks again.
    fn write<T>(&self, what: impl FnOnce(&mut World) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let done = self.write_quietly(what)?;
        self.bump();
        Ok(done)
    }

    fn bump(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn deliver(&self, delivery: NewDelivery) -> Result<Receipt, StoreError> {
        self.write(|world| world.deliver(delivery)).map(Receipt::new)
    }

    async fn backfill(&self, delivery: NewDelivery) -> Result<Option<Receipt>, StoreError> {
        Ok(self.write(|world| world.store_delivery(delivery, true))?.map(Receipt::new))
    }

    async fn unplanned(&self, but: &[DeliveryId], limit: usize) -> Result<Vec<StoredDelivery>, StoreError> {
        self.read(|world| world.unplanned(but, limit))
    }

    async fn record_plan(&self, decisions: Vec<Decision>, at: Timestamp) -> Result<(), StoreError> {
        self.write(|world| world.record_plan(decisions, at))
    }

    async fn claim(&self, wanted: Claimable, now: Timestamp) -> Result<Vec<Leased>, StoreError> {
        self.write_quietly(|world| Ok(world.claim(wanted, now)))
    }

    async fn pause(&self, accounts: Arc<BTreeSet<AccountId>>) -> Result<(), StoreError> {
        self.write(|world| {
            world.paused = accounts;
            Ok(())
        })
    }

    async fn renew(&self, leased: &mut Leased, until: Timestamp) -> Result<(), StoreError> {
        self.write_quietly(|world| world.renew(leased, until))
    }

    async fn start(&self, leased: &mut Leased, now: Timestamp) -> Result<(), StoreError> {
        self.write_quietly(|world| world.start(leased, now))
    }

    async fn intend(&self, leased: &Leased, change: Change, now: Timestamp) -> Result<Allowance, StoreError> {
        self.write_quietly(|world| world.intend(leased, &change, now))
    }

    async fn day_spent(&self, who: Spender<'_>, of: &DayOf, now: Timestamp) -> Result<(), StoreError> {
        self.write_quietly(|world| {
            world.day_spent(who, of, now);
            Ok(())
        })
    }

    async fn day_used(&self, account: &AccountId, of: &DayOf, now: Timestamp) -> Result<DayUsed, StoreError> {
        self.read(|world| world.day_used(account, of, now))
    }

    async fn intend_as_told(&self, note: Note, days: Vec<DayUse>, now: Timestamp) -> Result<Allowance, StoreError> {
        self.write_quietly(|world| world.intend_as_told(note, &days, now))
    }

    async fn is_stopped(&self, account: &AccountId, rule: &RuleName) -> Result<bool, StoreError> {
        self.read(|world| world.is_stopped(account, rule))
    }

    async fn settle(
        &self,
        leased: Leased,
        outcome: Outcome,
        calls: Vec<Call>,
        now: Timestamp,
        unit: f64,
    ) -> Result<Job, StoreError> {
        self.write(|world| world.settle(&leased, outcome, calls, now, unit))
    }

    async fn give_back(&self, leased: Leased, _now: Timestamp) -> Result<(), StoreError> {
        self.write(|world| world.give_back(&leased))
    }

    async fn move_jobs(&self, which: Selector, to: Move, actor: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.write(|world| world.move_jobs(&which, to, actor, now))
    }

    async fn cancel_jobs(
        &self,
        account: &AccountId,
        acting: Option<&AppName>,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write(|world| Ok(world.cancel_jobs(account, acting, why, now)))
    }

    async fn replay(&self, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|world| world.replay(delivery, actor, now))
    }

    async fn release(&self, app: &AppName, account: &AccountId, now: Timestamp) -> Result<u64, StoreError> {
        self.write(|world| Ok(world.release(app, account, now)))
    }

    async fn release_held(&self, limit: usize, now: Timestamp) -> Result<u64, StoreError> {
        self.write_quietly(|world| Ok(world.release_held(limit, now)))
    }

    async fn note(&self, note: Note, at: Timestamp) -> Result<(), StoreError> {
        self.write_quietly(|world| {
            world.note(note, at);
            Ok(())
        })
    }

    async fn write_documents(&self, writes: Vec<Write>, notes: Vec<Note>, at: Timestamp) -> Result<(), StoreError> {
        self.write(|world| world.write_documents(writes, notes, at))
    }

    async fn documents(&self, on: Shelf) -> Result<Vec<Document>, StoreError> {
        self.read(|world| world.documents.values().filter(|document| document.shelf == on).cloned().collect())
    }

    async fn document(&self, on: Shelf, key: &str) -> Result<Option<Document>, StoreError> {
        self.read(|world| world.documents.get(&(on, key.to_owned())).cloned())
    }

    async fn notices(&self) -> Result<Vec<Notice>, StoreError> {
        self.read(|world| world.notices.clone())
    }

    async fn notices_of(&self, account: &AccountId) -> Result<Vec<Notice>, StoreError> {
        self.read(|world| world.notices.iter().filter(|notice| notice.account == *account).cloned().collect())
    }

    async fn mend(&self, notice: &Notice, at: Timestamp) -> Result<bool, StoreError> {
        self.write_quietly(|world| Ok(world.mend(notice, at)))
    }

    async fn record_planned(&self, rule: &RuleName, hash: [u8; 16], at: Timestamp) -> Result<(), StoreError> {
        self.write_quietly(|world| {
            world.record_planned(rule, hash, at);
            Ok(())
        })
    }

    async fn planned(&self) -> Result<BTreeMap<RuleName, [u8; 16]>, StoreError> {
        self.read(|world| world.planned.clone())
    }

    async fn validated(&self, app: &AppName, at: Timestamp) -> Result<(), StoreError> {
        self.write_quietly(|world| {
            world.validated(app, at);
            Ok(())
        })
    }

    async fn secrets_seen(&self, app: &AppName, secrets: [u8; 16], at: Timestamp) -> Result<AppState, StoreError> {
        self.write_quietly(|world| Ok(world.secrets_seen(app, secrets, at)))
    }

    async fn app_state(&self, app: &AppName) -> Result<AppState, StoreError> {
        self.read(|world| world.app_state(app))
    }

    async fn quota_use(&self, account: &AccountId, at: Timestamp) -> Result<QuotaUse, StoreError> {
        self.read(|world| world.quota_use(account, at))
    }

    async fn record_sweep(&self, record: SweepRecord, at: Timestamp) -> Result<Swept, StoreError> {
        self.write(|world| world.record_sweep(record, at))
    }

    async fn apply_plan(&self, applied: Applied, at: Timestamp) -> Result<Vec<Option<JobId>>, StoreError> {
        self.write(|world| Ok(world.apply_plan(applied, at)))
    }

    async fn ask(&self, asked: Vec<NewJob>, why: &str, at: Timestamp) -> Result<Vec<Option<JobId>>, StoreError> {
        self.write(|world| Ok(world.ask(asked, why, at)))
    }

    async fn sweep_state(&self, account: &AccountId) -> Result<SweepState, StoreError> {
        self.read(|world| world.sweep_state(account))
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.read(|world| world.job(id))
    }

    async fn told_of(
        &self,
        app: &AppName,
        account: &AccountId,
        meeting: MeetingId,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        self.read(|world| world.told_of(app, account, meeting))
    }

    async fn collected(&self, job: JobId) -> Result<Option<Collected>, StoreError> {
        self.read(|world| world.collected(job))
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError> {
        self.read(|world| world.list_jobs(&filter))
    }

    async fn put_off(&self, now: Timestamp) -> Result<Vec<PutOff>, StoreError> {
        self.read(|world| world.put_off(now))
    }

    async fn parked(&self) -> Result<Vec<ParkedGroup>, StoreError> {
        self.read(World::parked)
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<(StoredDelivery, DeliveryStatus)>, StoreError> {
        self.read(|world| world.delivery(id))
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliverySummary>, StoreError> {
        self.read(|world| world.list_deliveries(&filter))
    }

    async fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.read(|world| world.log.entries(from, limit))
    }

    async fn entries_of(
        &self,
        account: &AccountId,
        among: Range<u64>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        self.read(|world| world.log.entries_of(account, among, limit))
    }

    async fn tree_head(&self) -> Result<TreeHead, StoreError> {
        self.read(|world| world.log.head())
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Signed, StoreError> {
        self.read(|world| {
            let all = (1..).zip(world.signed.iter().cloned());
            let notes = all.filter(|(number, _)| *number > after).take(limit).collect();
            Signed { last: wide(world.signed.len()), notes }
        })
    }

    async fn status(&self) -> Result<Status, StoreError> {
        self.read(World::status)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(World::next_due)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    async fn close(&self) -> Result<(), StoreError> {
        lock(&self.world).take();
        self.bump();
        Ok(())
    }
}
