//! A store that takes deliveries, remembers them, fails when it is told to, and does nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use adjutant::audit::{Call, Entry};
use adjutant::clock::Timestamp;
use adjutant::event::signature::Verified;
use adjutant::ids::{AccountId, AppName, DeliveryId, JobId, MeetingId, RuleName};
use adjutant::job::{Change, DayOf, DayUse, Job, NewJob, Outcome};
use adjutant::store::{
    Allowance, AppState, Applied, Claimable, Collected, DayUsed, Decision, DeliveryFilter, DeliveryStatus,
    DeliverySummary, Document, JobFilter, Leased, MemoryStore, Move, NewDelivery, Note, Notice, ParkedGroup, PutOff,
    QuotaUse, Receipt, Selector, Shelf, Signed, Spender, Status, Store, StoreError, StoredDelivery, SweepRecord,
    SweepState, Swept, TreeHead, Write,
};
use tokio::sync::watch;

use super::NOW;

#[derive(Debug)]
pub(crate) struct Recorder {
    /// Only a store makes receipts.
    memory: MemoryStore,
    state: AppState,
    delivered: Mutex<Vec<(AppName, Verified)>>,
    failure: Mutex<Option<StoreError>>,
    validated: watch::Sender<Vec<AppName>>,
}

impl Recorder {
    /// No delivery ever fitted the secrets.
    pub(crate) fn unproven() -> Self {
        Self::in_state(AppState::default())
    }

    pub(crate) fn proven() -> Self {
        Self::in_state(AppState { verified_at: Some(Timestamp::from_secs(NOW - 86_400)), ..AppState::default() })
    }

    pub(crate) fn in_state(state: AppState) -> Self {
        Self {
            memory: MemoryStore::default(),
            state,
            delivered: Mutex::default(),
            failure: Mutex::default(),
            validated: watch::Sender::default(),
        }
    }

    /// Takes what was stored since the last call.
    pub(crate) fn take(&self) -> Vec<(AppName, Verified)> {
        std::mem::take(&mut self.delivered.lock().unwrap())
    }

    pub(crate) fn fail_with(&self, failure: Option<StoreError>) {
        *self.failure.lock().unwrap() = failure;
    }

    /// Waits until this many url validations were noted.
    pub(crate) async fn validated(&self, count: usize) -> Vec<AppName> {
        self.validated.subscribe().wait_for(|noted| noted.len() >= count).await.unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Store for Recorder {
    async fn deliver(&self, delivery: NewDelivery) -> Result<Receipt, StoreError> {
        if let Some(failure) = self.failure.lock().unwrap().clone() {
            return Err(failure);
        }
        self.delivered.lock().unwrap().push((delivery.app.clone(), delivery.verified.clone()));
        self.memory.deliver(delivery).await
    }

    async fn backfill(&self, delivery: NewDelivery) -> Result<Option<Receipt>, StoreError> {
        self.memory.backfill(delivery).await
    }

    async fn apply_plan(&self, _: Applied, _: Timestamp) -> Result<Vec<Option<JobId>>, StoreError> {
        unreachable!()
    }

    async fn ask(&self, _: Vec<NewJob>, _: &str, _: Timestamp) -> Result<Vec<Option<JobId>>, StoreError> {
        unreachable!()
    }

    async fn write_documents(&self, _: Vec<Write>, _: Vec<Note>, _: Timestamp) -> Result<(), StoreError> {
        unreachable!()
    }

    async fn documents(&self, _: Shelf) -> Result<Vec<Document>, StoreError> {
        unreachable!()
    }

    async fn document(&self, _: Shelf, _: &str) -> Result<Option<Document>, StoreError> {
        unreachable!()
    }

    async fn notices(&self) -> Result<Vec<Notice>, StoreError> {
        unreachable!()
    }

    async fn notices_of(&self, _: &AccountId) -> Result<Vec<Notice>, StoreError> {
        unreachable!()
    }

    async fn mend(&self, _: &Notice, _: Timestamp) -> Result<bool, StoreError> {
        unreachable!()
    }

    async fn record_planned(&self, _: &RuleName, _: [u8; 16], _: Timestamp) -> Result<(), StoreError> {
        unreachable!()
    }

    async fn planned(&self) -> Result<BTreeMap<RuleName, [u8; 16]>, StoreError> {
        unreachable!()
    }

    async fn validated(&self, app: &AppName, _at: Timestamp) -> Result<(), StoreError> {
        self.validated.send_modify(|noted| noted.push(app.clone()));
        Ok(())
    }

    async fn secrets_seen(&self, _app: &AppName, _: [u8; 16], _at: Timestamp) -> Result<AppState, StoreError> {
        Ok(self.state)
    }

    async fn app_state(&self, _app: &AppName) -> Result<AppState, StoreError> {
        Ok(self.state)
    }

    async fn unplanned(&self, _but: &[DeliveryId], _limit: usize) -> Result<Vec<StoredDelivery>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn record_plan(&self, _decisions: Vec<Decision>, _at: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn claim(&self, _wanted: Claimable, _now: Timestamp) -> Result<Vec<Leased>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn pause(&self, _accounts: Arc<BTreeSet<AccountId>>) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn renew(&self, _leased: &mut Leased, _until: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn start(&self, _leased: &mut Leased, _now: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn intend(&self, _leased: &Leased, _change: Change, _now: Timestamp) -> Result<Allowance, StoreError> {
        Err(StoreError::Closed)
    }

    async fn day_spent(&self, _who: Spender<'_>, _of: &DayOf, _now: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn day_used(&self, _account: &AccountId, _of: &DayOf, _now: Timestamp) -> Result<DayUsed, StoreError> {
        Err(StoreError::Closed)
    }

    async fn intend_as_told(&self, _: Note, _: Vec<DayUse>, _: Timestamp) -> Result<Allowance, StoreError> {
        Err(StoreError::Closed)
    }

    async fn settle(
        &self,
        _leased: Leased,
        _outcome: Outcome,
        _calls: Vec<Call>,
        _now: Timestamp,
        _unit: f64,
    ) -> Result<Job, StoreError> {
        Err(StoreError::Closed)
    }

    async fn give_back(&self, _leased: Leased, _now: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn move_jobs(&self, _which: Selector, _to: Move, _actor: &str, _now: Timestamp) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn cancel_jobs(
        &self,
        _account: &AccountId,
        _acting: Option<&AppName>,
        _why: &str,
        _now: Timestamp,
    ) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn replay(&self, _delivery: DeliveryId, _actor: &str, _now: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn release(&self, _app: &AppName, _account: &AccountId, _now: Timestamp) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn is_stopped(&self, _account: &AccountId, _rule: &RuleName) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn release_held(&self, _limit: usize, _now: Timestamp) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn note(&self, _note: Note, _at: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn quota_use(&self, _account: &AccountId, _at: Timestamp) -> Result<QuotaUse, StoreError> {
        Err(StoreError::Closed)
    }

    async fn record_sweep(&self, _record: SweepRecord, _at: Timestamp) -> Result<Swept, StoreError> {
        Err(StoreError::Closed)
    }

    async fn sweep_state(&self, _account: &AccountId) -> Result<SweepState, StoreError> {
        Err(StoreError::Closed)
    }

    async fn job(&self, _id: JobId) -> Result<Option<Job>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn told_of(
        &self,
        _app: &AppName,
        _account: &AccountId,
        _meeting: MeetingId,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn collected(&self, _job: JobId) -> Result<Option<Collected>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn jobs(&self, _filter: JobFilter) -> Result<Vec<Job>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn put_off(&self, _now: Timestamp) -> Result<Vec<PutOff>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn parked(&self) -> Result<Vec<ParkedGroup>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn delivery(&self, _id: DeliveryId) -> Result<Option<(StoredDelivery, DeliveryStatus)>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn deliveries(&self, _filter: DeliveryFilter) -> Result<Vec<DeliverySummary>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn entries(&self, _from: u64, _limit: usize) -> Result<Vec<Entry>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn entries_of(&self, _: &AccountId, _: Range<u64>, _: usize) -> Result<(Vec<Entry>, u64), StoreError> {
        Err(StoreError::Closed)
    }

    async fn checkpoints(&self, _after: u64, _limit: usize) -> Result<Signed, StoreError> {
        Err(StoreError::Closed)
    }

    async fn tree_head(&self) -> Result<TreeHead, StoreError> {
        Err(StoreError::Closed)
    }

    async fn status(&self) -> Result<Status, StoreError> {
        Err(StoreError::Closed)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Err(StoreError::Closed)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    async fn close(&self) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
}
