//! The null control of [`super::model`]: stores with one fault each, which the comparison must find.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use adjutant::audit::{Call, Entry};
use adjutant::clock::Timestamp;
use adjutant::ids::{AccountId, AppName, DeliveryId, JobId, MeetingId, RuleName};
use adjutant::job::{Change, Counts, DayOf, DayUse, Job, NewJob, Outcome, Snooze};
use adjutant::rules::Step;
use adjutant::store::{
    Allowance, AppState, Applied, Claimable, Collected, DayUsed, Decision, DeliveryFilter, DeliveryStatus,
    DeliverySummary, Document, JobFilter, Leased, Limits, MemoryStore, Move, NewDelivery, Note, Notice, ParkedGroup,
    PutOff, QuotaUse, Receipt, Selector, Shelf, Signed, Spender, Status, Store, StoreError, StoredDelivery,
    SweepRecord, SweepState, Swept, TreeHead, Verdict, Write,
};
use async_trait::async_trait;

use super::{Harness, model};

const FORGETS_ALL_AT_A_RESTART: u8 = 0;
const KEEPS_LEASES_AT_A_RESTART: u8 = 1;
const IGNORES_MEANINGS: u8 = 2;
const LOSES_A_WAKE: u8 = 3;
const RUNS_ONE_TOO_MANY: u8 = 4;
const SETTLES_WITH_ITS_OWN_JITTER: u8 = 5;
const LOSES_CALLS: u8 = 6;
const TAKES_A_SNOOZE_FOR_A_RETRY: u8 = 7;
const GRANTS_ONE_MORE_AN_HOUR: u8 = 8;
const LOSES_THE_LAST_OF_A_PLAN: u8 = 9;
const IGNORES_WHEN_EVENTS_HAPPENED: u8 = 10;
const LOSES_A_REMOVAL: u8 = 11;
const USES_UP_ONE_DAY_OF_TWO: u8 = 12;
const COUNTS_EACH_JOB_ONCE: u8 = 13;
const CORRECT: u8 = 14;

#[derive(Debug)]
struct WrongHarness<const FAULT: u8> {
    limits: Limits,
    store: MemoryStore,
}

#[async_trait]
impl<const FAULT: u8> Harness for WrongHarness<FAULT> {
    async fn new(limits: Limits) -> Self {
        Self { store: MemoryStore::new(limits.clone()), limits }
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(Wrong::<FAULT>(self.store.clone()))
    }

    async fn reopen(&mut self) -> Arc<dyn Store> {
        self.store = match FAULT {
            FORGETS_ALL_AT_A_RESTART => MemoryStore::new(self.limits.clone()),
            KEEPS_LEASES_AT_A_RESTART => self.store.clone(),
            _ => self.store.restart().unwrap(),
        };
        self.open().await
    }
}

#[derive(Debug)]
struct Wrong<const FAULT: u8>(MemoryStore);

fn without_wakes(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Work { meaning, event_at, mut steps } => {
            steps.retain(|step| !matches!(step, Step::Wake { .. }));
            Verdict::Work { meaning, event_at, steps }
        }
        other => other,
    }
}

#[async_trait]
impl<const FAULT: u8> Store for Wrong<FAULT> {
    async fn deliver(&self, delivery: NewDelivery) -> Result<Receipt, StoreError> {
        self.0.deliver(delivery).await
    }

    async fn backfill(&self, delivery: NewDelivery) -> Result<Option<Receipt>, StoreError> {
        self.0.backfill(delivery).await
    }

    async fn unplanned(&self, but: &[DeliveryId], limit: usize) -> Result<Vec<StoredDelivery>, StoreError> {
        self.0.unplanned(but, limit).await
    }

    async fn record_plan(&self, mut decisions: Vec<Decision>, at: Timestamp) -> Result<(), StoreError> {
        for decision in &mut decisions {
            match &mut decision.verdict {
                Verdict::Work { meaning, .. } if FAULT == IGNORES_MEANINGS => *meaning = None,
                Verdict::Work { event_at, .. } if FAULT == IGNORES_WHEN_EVENTS_HAPPENED => *event_at = None,
                verdict if FAULT == LOSES_A_WAKE => *verdict = without_wakes(verdict.clone()),
                _ => {}
            }
        }
        if FAULT == LOSES_THE_LAST_OF_A_PLAN && decisions.len() > 1 {
            decisions.pop();
        }
        self.0.record_plan(decisions, at).await
    }

    async fn claim(&self, mut wanted: Claimable, now: Timestamp) -> Result<Vec<Leased>, StoreError> {
        wanted.per_account_max += usize::from(FAULT == RUNS_ONE_TOO_MANY);
        self.0.claim(wanted, now).await
    }

    async fn pause(&self, accounts: Arc<BTreeSet<AccountId>>) -> Result<(), StoreError> {
        self.0.pause(accounts).await
    }

    async fn renew(&self, leased: &mut Leased, until: Timestamp) -> Result<(), StoreError> {
        self.0.renew(leased, until).await
    }

    async fn start(&self, leased: &mut Leased, now: Timestamp) -> Result<(), StoreError> {
        self.0.start(leased, now).await
    }

    async fn intend(&self, leased: &Leased, mut change: Change, now: Timestamp) -> Result<Allowance, StoreError> {
        change.max_per_hour += u32::from(FAULT == GRANTS_ONE_MORE_AN_HOUR);
        for day in change.days.iter_mut().filter(|_| FAULT == COUNTS_EACH_JOB_ONCE) {
            day.counts = Counts::Job;
        }
        self.0.intend(leased, change, now).await
    }

    async fn day_spent(&self, who: Spender<'_>, of: &DayOf, now: Timestamp) -> Result<(), StoreError> {
        self.0.day_spent(who, of, now).await
    }

    async fn day_used(&self, account: &AccountId, of: &DayOf, now: Timestamp) -> Result<DayUsed, StoreError> {
        self.0.day_used(account, of, now).await
    }

    async fn intend_as_told(&self, note: Note, mut days: Vec<DayUse>, now: Timestamp) -> Result<Allowance, StoreError> {
        if FAULT == USES_UP_ONE_DAY_OF_TWO {
            days.truncate(1);
        }
        self.0.intend_as_told(note, days, now).await
    }

    async fn is_stopped(&self, account: &AccountId, rule: &RuleName) -> Result<bool, StoreError> {
        self.0.is_stopped(account, rule).await
    }

    async fn release_held(&self, limit: usize, now: Timestamp) -> Result<u64, StoreError> {
        self.0.release_held(limit, now).await
    }

    async fn settle(
        &self,
        leased: Leased,
        mut outcome: Outcome,
        mut calls: Vec<Call>,
        now: Timestamp,
        mut unit: f64,
    ) -> Result<Job, StoreError> {
        match (FAULT, &outcome) {
            (TAKES_A_SNOOZE_FOR_A_RETRY, Outcome::Snooze(Snooze::Until { .. })) => {
                outcome = Outcome::Retry { error: "later".to_owned() };
            }
            (SETTLES_WITH_ITS_OWN_JITTER, _) => unit = 0.5,
            (LOSES_CALLS, _) => calls.truncate(2),
            _ => {}
        }
        self.0.settle(leased, outcome, calls, now, unit).await
    }

    async fn give_back(&self, leased: Leased, now: Timestamp) -> Result<(), StoreError> {
        self.0.give_back(leased, now).await
    }

    async fn move_jobs(&self, which: Selector, to: Move, actor: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.0.move_jobs(which, to, actor, now).await
    }

    async fn cancel_jobs(
        &self,
        account: &AccountId,
        acting: Option<&AppName>,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.0.cancel_jobs(account, acting, why, now).await
    }

    async fn replay(&self, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<(), StoreError> {
        self.0.replay(delivery, actor, now).await
    }

    async fn release(&self, app: &AppName, account: &AccountId, now: Timestamp) -> Result<u64, StoreError> {
        self.0.release(app, account, now).await
    }

    async fn note(&self, note: Note, at: Timestamp) -> Result<(), StoreError> {
        self.0.note(note, at).await
    }

    async fn apply_plan(&self, applied: Applied, at: Timestamp) -> Result<Vec<Option<JobId>>, StoreError> {
        self.0.apply_plan(applied, at).await
    }

    async fn ask(&self, asked: Vec<NewJob>, why: &str, at: Timestamp) -> Result<Vec<Option<JobId>>, StoreError> {
        self.0.ask(asked, why, at).await
    }

    async fn write_documents(&self, mut writes: Vec<Write>, notes: Vec<Note>, at: Timestamp) -> Result<(), StoreError> {
        if FAULT == LOSES_A_REMOVAL {
            writes.retain(|write| !matches!(write, Write::Remove { .. }));
        }
        self.0.write_documents(writes, notes, at).await
    }

    async fn documents(&self, on: Shelf) -> Result<Vec<Document>, StoreError> {
        self.0.documents(on).await
    }

    async fn document(&self, on: Shelf, key: &str) -> Result<Option<Document>, StoreError> {
        self.0.document(on, key).await
    }

    async fn notices(&self) -> Result<Vec<Notice>, StoreError> {
        self.0.notices().await
    }

    async fn notices_of(&self, account: &AccountId) -> Result<Vec<Notice>, StoreError> {
        self.0.notices_of(account).await
    }

    async fn mend(&self, notice: &Notice, at: Timestamp) -> Result<bool, StoreError> {
        self.0.mend(notice, at).await
    }

    async fn record_planned(&self, rule: &RuleName, hash: [u8; 16], at: Timestamp) -> Result<(), StoreError> {
        self.0.record_planned(rule, hash, at).await
    }

    async fn planned(&self) -> Result<BTreeMap<RuleName, [u8; 16]>, StoreError> {
        self.0.planned().await
    }

    async fn validated(&self, app: &AppName, at: Timestamp) -> Result<(), StoreError> {
        self.0.validated(app, at).await
    }

    async fn secrets_seen(&self, app: &AppName, secrets: [u8; 16], at: Timestamp) -> Result<AppState, StoreError> {
        self.0.secrets_seen(app, secrets, at).await
    }

    async fn app_state(&self, app: &AppName) -> Result<AppState, StoreError> {
        self.0.app_state(app).await
    }

    async fn quota_use(&self, account: &AccountId, at: Timestamp) -> Result<QuotaUse, StoreError> {
        self.0.quota_use(account, at).await
    }

    async fn record_sweep(&self, record: SweepRecord, at: Timestamp) -> Result<Swept, StoreError> {
        self.0.record_sweep(record, at).await
    }

    async fn sweep_state(&self, account: &AccountId) -> Result<SweepState, StoreError> {
        self.0.sweep_state(account).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.0.job(id).await
    }

    async fn told_of(
        &self,
        app: &AppName,
        account: &AccountId,
        meeting: MeetingId,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        self.0.told_of(app, account, meeting).await
    }

    async fn collected(&self, job: JobId) -> Result<Option<Collected>, StoreError> {
        self.0.collected(job).await
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError> {
        self.0.jobs(filter).await
    }

    async fn put_off(&self, now: Timestamp) -> Result<Vec<PutOff>, StoreError> {
        self.0.put_off(now).await
    }

    async fn parked(&self) -> Result<Vec<ParkedGroup>, StoreError> {
        self.0.parked().await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<(StoredDelivery, DeliveryStatus)>, StoreError> {
        self.0.delivery(id).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliverySummary>, StoreError> {
        self.0.deliveries(filter).await
    }

    async fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.0.entries(from, limit).await
    }

    async fn entries_of(
        &self,
        account: &AccountId,
        among: Range<u64>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        self.0.entries_of(account, among, limit).await
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Signed, StoreError> {
        self.0.checkpoints(after, limit).await
    }

    async fn tree_head(&self) -> Result<TreeHead, StoreError> {
        self.0.tree_head().await
    }

    async fn status(&self) -> Result<Status, StoreError> {
        self.0.status().await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.0.next_due().await
    }

    fn changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.changed()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

/// Within how many seeds the fault shows.
async fn is_found<const FAULT: u8>() -> bool {
    for seed in 0..36 {
        if model::run::<WrongHarness<FAULT>>(seed, 300).await.is_err() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn the_comparison_finds_every_fault() {
    let found = [
        ("forgets all at a restart", is_found::<FORGETS_ALL_AT_A_RESTART>().await),
        ("keeps leases at a restart", is_found::<KEEPS_LEASES_AT_A_RESTART>().await),
        ("ignores meanings", is_found::<IGNORES_MEANINGS>().await),
        ("loses a wake", is_found::<LOSES_A_WAKE>().await),
        ("runs one too many", is_found::<RUNS_ONE_TOO_MANY>().await),
        ("settles with its own jitter", is_found::<SETTLES_WITH_ITS_OWN_JITTER>().await),
        ("loses calls", is_found::<LOSES_CALLS>().await),
        ("takes a snooze for a retry", is_found::<TAKES_A_SNOOZE_FOR_A_RETRY>().await),
        ("grants one more an hour", is_found::<GRANTS_ONE_MORE_AN_HOUR>().await),
        ("ignores when events happened", is_found::<IGNORES_WHEN_EVENTS_HAPPENED>().await),
        ("loses the last of a plan", is_found::<LOSES_THE_LAST_OF_A_PLAN>().await),
        ("loses a removal", is_found::<LOSES_A_REMOVAL>().await),
        ("uses up one day of two", is_found::<USES_UP_ONE_DAY_OF_TWO>().await),
        ("counts each job once", is_found::<COUNTS_EACH_JOB_ONCE>().await),
    ];
    let missed: Vec<&str> = found.iter().filter(|(_, found)| !found).map(|(fault, _)| *fault).collect();
    assert!(missed.is_empty(), "the comparison did not notice a store that {missed:?}");
}

#[tokio::test]
async fn the_comparison_has_nothing_to_say_of_a_store_that_is_right() {
    assert!(!is_found::<CORRECT>().await);
}
