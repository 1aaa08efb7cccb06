//! The store itself: the port's methods, each one step over the [`state`](super::state).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::Settings;
use super::core::{Bump, Core};
use super::dedupe::Answers;
use super::keys::{MasterKey, Owner};
use super::open::{self, OpenError, OpenProgress, OpenReport, Opening};
use super::state::Prepared;
use super::threads::Running;
use crate::audit::{Call, Entry};
use crate::breakpoint;
use crate::chance::Chance;
use crate::clock::{Clock, Timestamp, lock};
use crate::ids::{AccountId, AppName, DeliveryId, JobId, MeetingId, RuleName};
use crate::job::{Change, DayOf, DayUse, Job, NewJob, Outcome};
use crate::store::journal::files::{Files, RealFiles, make_folder};
use crate::store::port::{
    Allowance, AppState, Applied, Claimable, Collected, DayUsed, Decision, DeliveryFilter, DeliveryStatus,
    DeliverySummary, Document, JobFilter, Leased, Move, NewDelivery, Note, Notice, ParkedGroup, PutOff, QuotaUse,
    Receipt, Selector, Shelf, Signed, Spender, Status, Store, StoreError, StoredDelivery, TreeHead, Write,
};
use crate::store::sweep::{SweepRecord, SweepState, Swept};
use crate::store::wide;

/// The durable store of one machine. Clones are handles to the same store.
#[derive(Debug, Clone)]
pub struct LocalStore {
    running: Arc<Running>,
}

impl LocalStore {
    /// Opens the store in a folder, which is made where it is missing. Blocks; not for an async task.
    pub fn open(
        folder: &Path,
        settings: Settings,
        master: MasterKey,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        progress: OpenProgress<'_>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let io = |source| OpenError::Io { doing: "make the folder of the store", source };
        make_folder(folder).map_err(io)?;
        let io = |source| OpenError::Io { doing: "lock the store", source };
        let held = super::lock::take(folder).map_err(io)?.ok_or_else(|| OpenError::InUse(folder.to_owned()))?;
        let files: Arc<dyn Files> = Arc::new(RealFiles::new(folder));
        let index = folder.join("index");
        Self::start(Opening { settings, files, index, master, clock, chance }, Some(held), progress)
    }

    /// The same over any files, for simulations; the index is in a folder of the machine. Nothing keeps a second process
    /// out.
    pub fn open_on(
        files: Arc<dyn Files>,
        index: PathBuf,
        settings: Settings,
        master: MasterKey,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let opening = Opening { settings, files, index, master, clock, chance };
        Self::start(opening, None, &mut |_, _, _| {})
    }

    fn start(
        opening: Opening,
        held: Option<super::lock::FolderLock>,
        progress: OpenProgress<'_>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let (core, journal, place, report) = open::open(opening, progress)?;
        let is_forgetting = core.goes_on_forgetting()?;
        // Much to replay once is much to replay again: as if it had just been written.
        let replayed_bytes = report.replayed.saturating_mul(1024);
        let running = Running::start(core, journal, place, replayed_bytes, held, is_forgetting);
        let running = running.map_err(|source| OpenError::Io { doing: "start the threads of the store", source })?;
        Ok((Self { running: Arc::new(running) }, report))
    }

    /// Whether this is the folder of the store, or one in it.
    pub(super) const fn running(&self) -> &Arc<Running> {
        &self.running
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.running.core
    }

    /// Becomes the reason when the store failed: its disk, or a defect of its own. The process must exit then.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.core().failure.subscribe()
    }

    /// As [`Store::close`], where blocking does no harm.
    pub fn close_now(&self) -> Result<(), StoreError> {
        self.running.close()
    }

    /// A hash of all that is in the index, but for how far it goes: the same for the same journal, however the index
    /// came to be. None where it is being built.
    pub fn index_digest(&self) -> Option<[u8; 32]> {
        self.core().index.ask(super::index::Index::digest)
    }

    /// Ends as if the process had been killed: nothing more is written, and handles are of no use. For tests. Blocks.
    pub fn abandon(&self) {
        self.running.abandon();
    }

    /// One unit after which whoever waits for a change looks again.
    async fn write<T>(
        &self,
        what: impl FnOnce(&mut super::state::State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _told = Bump(self.core());
        self.core().write(what).await
    }
}

impl LocalStore {
    /// One unit with a note of an account, as long as that may be written about.
    async fn write_note<T>(
        &self,
        note: &Note,
        what: impl FnOnce(&mut super::state::State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(account) = &note.account else { return self.core().write(what).await };
        self.core().ensure_account_key(account).await?;
        let written = self.core().write(|state| {
            state.keys.may_write(account)?;
            what(state)
        });
        written.await
    }

    /// None where it is known, and one of Zoom's log.
    async fn take(&self, delivery: NewDelivery, is_backfilled: bool) -> Result<Option<Receipt>, StoreError> {
        let core = self.core();
        let owner = Prepared::owner(&delivery.app);
        if let Some(refusal) = core.refusal(0) {
            drop(core.open()?);
            return Err(refusal);
        }
        if core.keys.of(&owner).is_none() {
            core.ensure_keys(vec![owner.clone()]).await?;
        }
        let Some(key) = core.keys.of(&owner) else { return Err(StoreError::Damaged("a key is missing".to_owned())) };
        let prepared = Prepared::new(delivery, is_backfilled, &core.keys, &key);
        if prepared.bytes() > core.settings.journal.segment_bytes / 2 {
            return Err(StoreError::Conflict("the body is too long".to_owned()));
        }
        let mut answers = Answers::default();
        let (id, written) = loop {
            let (taken, written) = core.begin(true, |state| {
                if let Some(refusal) = core.known_refusal(wide(state.unplanned.len())) {
                    return Err(refusal);
                }
                core.keys.may_use(&owner)?;
                state.deliver(&prepared, &answers)
            })?;
            match taken {
                Ok(id) => break (id, written),
                Err(question) => {
                    let (index, print) = (Arc::clone(&core.index), prepared.print(question.what));
                    answers.add(question, core.apart(move || index.lookup(question, &print)).await?);
                }
            }
        };
        drop(prepared);
        if let Some(written) = written.filter(|_| !breakpoint::is_faulty("acknowledge-early")) {
            written.await.unwrap_or(Err(StoreError::Closed))?;
        }
        breakpoint::reached("delivery-acknowledged");
        Ok(id.map(Receipt::new))
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn deliver(&self, delivery: NewDelivery) -> Result<Receipt, StoreError> {
        let known = || StoreError::Failed("a delivery that came by itself is always stored".to_owned());
        self.take(delivery, false).await?.ok_or_else(known)
    }

    async fn backfill(&self, delivery: NewDelivery) -> Result<Option<Receipt>, StoreError> {
        self.take(delivery, true).await
    }

    async fn unplanned(&self, but: &[DeliveryId], limit: usize) -> Result<Vec<StoredDelivery>, StoreError> {
        // Mostly there is nothing to read.
        if self.core().read(|state| state.unplanned.is_empty())? {
            return Ok(Vec::new());
        }
        let but = but.iter().map(|id| id.number()).collect();
        self.core().reading(move |core| core.unplanned(&but, limit)).await
    }

    async fn record_plan(&self, decisions: Vec<Decision>, at: Timestamp) -> Result<(), StoreError> {
        let mut last = None;
        for account in decisions.iter().filter_map(|decision| decision.account.as_ref()) {
            // Mostly the same account again and again.
            if last != Some(account) {
                self.core().ensure_account_key(account).await?;
                last = Some(account);
            }
        }
        self.write(|state| state.record_plan(decisions, at)).await?;
        breakpoint::reached("plan-recorded");
        Ok(())
    }

    async fn claim(&self, wanted: Claimable, now: Timestamp) -> Result<Vec<Leased>, StoreError> {
        self.core().touch(|state| Ok(state.claim(wanted, now)))
    }

    async fn pause(&self, accounts: Arc<BTreeSet<AccountId>>) -> Result<(), StoreError> {
        self.core().touch(|state| {
            state.jobs.paused = accounts;
            Ok(())
        })?;
        self.core().bump();
        Ok(())
    }

    async fn renew(&self, leased: &mut Leased, until: Timestamp) -> Result<(), StoreError> {
        self.core().touch(|state| state.renew(leased, until))
    }

    async fn start(&self, leased: &mut Leased, now: Timestamp) -> Result<(), StoreError> {
        leased.job = self.core().write(|state| state.start(leased, now)).await?;
        breakpoint::reached("attempt-started");
        Ok(())
    }

    async fn intend(&self, leased: &Leased, change: Change, now: Timestamp) -> Result<Allowance, StoreError> {
        let allowance = self.core().write(|state| state.intend(leased, &change, now)).await?;
        breakpoint::reached("intent-recorded");
        Ok(allowance)
    }

    async fn day_spent(&self, who: Spender<'_>, of: &DayOf, now: Timestamp) -> Result<(), StoreError> {
        self.core().ensure_account_key(who.account()).await?;
        self.core()
            .write(|state| {
                state.keys.may_write(who.account())?;
                state.day_spent(who, of, now);
                Ok(())
            })
            .await
    }

    async fn day_used(&self, account: &AccountId, of: &DayOf, now: Timestamp) -> Result<DayUsed, StoreError> {
        self.core().read(|state| state.day_used(account, of, now))
    }

    async fn intend_as_told(&self, note: Note, days: Vec<DayUse>, now: Timestamp) -> Result<Allowance, StoreError> {
        self.write_note(&note, |state| state.intend_as_told(&note, &days, now)).await
    }

    async fn is_stopped(&self, account: &AccountId, rule: &RuleName) -> Result<bool, StoreError> {
        self.core().read(|state| state.is_stopped(account, rule))
    }

    async fn settle(
        &self,
        leased: Leased,
        outcome: Outcome,
        calls: Vec<Call>,
        now: Timestamp,
        unit: f64,
    ) -> Result<Job, StoreError> {
        let job = self.write(|state| state.settle(&leased, outcome, calls, now, unit)).await?;
        breakpoint::reached("job-settled");
        Ok(job)
    }

    async fn give_back(&self, leased: Leased, _now: Timestamp) -> Result<(), StoreError> {
        self.core().touch(|state| state.give_back(&leased))?;
        self.core().bump();
        Ok(())
    }

    async fn move_jobs(&self, which: Selector, to: Move, actor: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.write(|state| state.move_jobs(&which, to, actor, now)).await
    }

    async fn cancel_jobs(
        &self,
        account: &AccountId,
        acting: Option<&AppName>,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write(|state| Ok(state.cancel_jobs(account, acting, why, now))).await
    }

    async fn replay(&self, delivery: DeliveryId, actor: &str, now: Timestamp) -> Result<(), StoreError> {
        let actor = actor.to_owned();
        let written = self.core().reading(move |core| core.replay(delivery, &actor, now)).await?;
        if let Some(written) = written {
            written.await.unwrap_or(Err(StoreError::Closed))?;
        }
        Ok(())
    }

    async fn release(&self, app: &AppName, account: &AccountId, now: Timestamp) -> Result<u64, StoreError> {
        // Whoever lets it go on serves the account, also where it is the configuration's.
        self.core().keys.welcome(account);
        self.write(|state| {
            state.keys.may_write(account)?;
            Ok(state.release(app, account, now))
        })
        .await
    }

    async fn release_held(&self, limit: usize, now: Timestamp) -> Result<u64, StoreError> {
        // Mostly there is nothing to write. Whoever plans asks for it, and looks afterwards anyway.
        if self.core().read(|state| state.held.is_empty())? {
            return Ok(0);
        }
        self.core().write(|state| Ok(state.release_held(limit, now))).await
    }

    async fn note(&self, note: Note, at: Timestamp) -> Result<(), StoreError> {
        self.write_note(&note, |state| {
            state.note(&note, at);
            Ok(())
        })
        .await
    }

    async fn write_documents(&self, writes: Vec<Write>, notes: Vec<Note>, at: Timestamp) -> Result<(), StoreError> {
        let kept = writes.iter().filter_map(Write::account);
        // Somebody brings back an account that was forgotten.
        let comes =
            |write: &&Write| matches!(write, Write::Put(one) | Write::PutNew(one) if one.shelf == Shelf::Account);
        for account in writes.iter().filter(comes).filter_map(Write::account) {
            self.core().keys.welcome(account);
        }
        let accounts = kept.chain(notes.iter().filter_map(|note| note.account.as_ref()));
        let owners: BTreeSet<&AccountId> = accounts.collect();
        self.core().ensure_keys(owners.into_iter().cloned().map(Owner::Account).collect()).await?;
        let bytes: u64 = writes.iter().map(|write| wide(write.bytes())).sum();
        if bytes > self.core().settings.journal.segment_bytes / 2 {
            return Err(StoreError::Conflict(format!("{bytes} bytes of documents are too much for one write")));
        }
        self.write(|state| state.write_documents(writes, &notes, at)).await?;
        Ok(())
    }

    async fn documents(&self, on: Shelf) -> Result<Vec<Document>, StoreError> {
        let mut all = self.core().read(|state| state.list_documents(on))?;
        all.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Ok(all.into_iter().map(Arc::unwrap_or_clone).collect())
    }

    async fn document(&self, on: Shelf, key: &str) -> Result<Option<Document>, StoreError> {
        let found = self.core().read(|state| state.document(on, key).cloned())?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    async fn notices(&self) -> Result<Vec<Notice>, StoreError> {
        self.core().read(super::state::State::list_notices)
    }

    async fn notices_of(&self, account: &AccountId) -> Result<Vec<Notice>, StoreError> {
        self.core().read(|state| state.notices_of(account))
    }

    async fn mend(&self, notice: &Notice, at: Timestamp) -> Result<bool, StoreError> {
        if self.core().keys.may_write(&notice.account).is_err() {
            return Ok(false);
        }
        self.core().ensure_account_key(&notice.account).await?;
        self.core().write(|state| Ok(state.mend(notice, at))).await
    }

    async fn record_planned(&self, rule: &RuleName, hash: [u8; 16], at: Timestamp) -> Result<(), StoreError> {
        self.core()
            .write(|state| {
                state.record_planned(rule, hash, at);
                Ok(())
            })
            .await
    }

    async fn planned(&self) -> Result<BTreeMap<RuleName, [u8; 16]>, StoreError> {
        self.core().read(super::state::State::planned_rules)
    }

    async fn validated(&self, app: &AppName, at: Timestamp) -> Result<(), StoreError> {
        self.core()
            .write(|state| {
                state.validated(app, at);
                Ok(())
            })
            .await
    }

    async fn secrets_seen(&self, app: &AppName, secrets: [u8; 16], at: Timestamp) -> Result<AppState, StoreError> {
        self.core().write(|state| Ok(state.secrets_seen(app, secrets, at))).await
    }

    async fn app_state(&self, app: &AppName) -> Result<AppState, StoreError> {
        self.core().read(|state| state.app_state(app))
    }

    async fn quota_use(&self, account: &AccountId, at: Timestamp) -> Result<QuotaUse, StoreError> {
        self.core().read(|state| state.quota_use(account, at))
    }

    async fn record_sweep(&self, record: SweepRecord, at: Timestamp) -> Result<Swept, StoreError> {
        self.core().ensure_account_key(&record.account).await?;
        self.write(|state| state.record_sweep(record, at)).await
    }

    async fn apply_plan(&self, applied: Applied, at: Timestamp) -> Result<Vec<Option<JobId>>, StoreError> {
        self.core().ensure_account_key(&applied.account).await?;
        self.write(|state| {
            state.keys.may_write(&applied.account)?;
            Ok(state.apply_plan(applied, at))
        })
        .await
    }

    async fn ask(&self, asked: Vec<NewJob>, why: &str, at: Timestamp) -> Result<Vec<Option<JobId>>, StoreError> {
        for new in &asked {
            self.core().ensure_account_key(&new.account).await?;
        }
        self.write(|state| {
            asked.iter().try_for_each(|new| state.keys.may_write(&new.account))?;
            Ok(state.ask(asked, why, at))
        })
        .await
    }

    async fn sweep_state(&self, account: &AccountId) -> Result<SweepState, StoreError> {
        self.core().read(|state| state.sweep_state(account))
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.core().read(|state| state.jobs.get(id).map(|job| Job::clone(job)))
    }

    async fn told_of(
        &self,
        app: &AppName,
        account: &AccountId,
        meeting: MeetingId,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        self.core().read(|state| state.told_of(app, account, meeting))
    }

    async fn collected(&self, job: JobId) -> Result<Option<Collected>, StoreError> {
        self.core().read(|state| state.collected(job))
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError> {
        self.core().read(|state| state.list_jobs(&filter))
    }

    async fn put_off(&self, now: Timestamp) -> Result<Vec<PutOff>, StoreError> {
        self.core().read(|state| state.put_off(now))
    }

    async fn parked(&self) -> Result<Vec<ParkedGroup>, StoreError> {
        self.core().read(super::state::State::parked)
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<(StoredDelivery, DeliveryStatus)>, StoreError> {
        drop(self.core().open()?);
        self.core().index_caught_up().await?;
        self.core().reading(move |core| core.delivery(id)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliverySummary>, StoreError> {
        drop(self.core().open()?);
        self.core().index_caught_up().await?;
        self.core().reading(move |core| core.deliveries(&filter)).await
    }

    async fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.core().reading(move |core| core.entries(from, limit)).await
    }

    async fn entries_of(
        &self,
        account: &AccountId,
        among: Range<u64>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        let account = account.clone();
        self.core().reading(move |core| core.entries_of(&account, among, limit)).await
    }

    async fn tree_head(&self) -> Result<TreeHead, StoreError> {
        drop(self.core().open()?);
        let synced = lock(&self.core().synced);
        Ok(TreeHead { size: synced.tree.size(), root: synced.tree.root() })
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Signed, StoreError> {
        self.core().reading(move |core| core.signed(after, limit)).await
    }

    async fn status(&self) -> Result<Status, StoreError> {
        let core = self.core();
        let status = core.read(super::state::State::status)?;
        let applied = *core.applied.borrow();
        Ok(Status {
            unplanned_max: Some(core.settings.unplanned_max.min(core.settings.limits.backlog_max)),
            index_lag: core.synced_next().saturating_sub(applied),
            index_trouble: core.index.trouble(),
            disk_free_bytes: Some(core.free_bytes()),
            disk_reserve_bytes: Some(core.settings.disk_reserve_bytes),
            refusing: core.refusal(status.unplanned).map(|refusal| refusal.to_string()),
            ..status
        })
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.core().read(super::state::State::next_due)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.core().changed.subscribe()
    }

    async fn close(&self) -> Result<(), StoreError> {
        let running = Arc::clone(&self.running);
        self.core().apart(move || running.close()).await?
    }
}
