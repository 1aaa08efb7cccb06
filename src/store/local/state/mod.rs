//! The live state: everything that decisions need, in memory, and only what follows from the records.
//!
//! One lock guards it. Whoever changes something does so under the lock, and with it adds the record that says so to the
//! [`Outbox`]; the writer makes it durable, and only then is anybody told. So the order of the lock is the order of the
//! journal, and a decision sees all that were made before, also those on their way to the disk: harmless, because nothing
//! is acknowledged, and nothing is done at Zoom, that was not written *after* them.
//!
//! What a record changes is done in [`apply`](State::apply) alone, by the one who makes the record and by a replay.

mod asked;
mod contest;
mod day;
mod deliver;
mod documents;
mod forget;
mod jobs;
mod notices;
mod people;
mod plan;
mod read;
mod runs;
mod sweep;
mod unit;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::dedupe::Dedupe;
use super::keys::Keys;
use super::outbox::{IndexOp, Outbox};
use super::record::{self, AsideFor, Blob, Change};
use super::seal::{Fingerprint, Purpose};
use crate::audit::leads::{About, Leads};
use crate::audit::tree::{Frontier, Hash};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::Job;
use crate::store::memory::Limits;
use crate::store::port::{AppState, Document, FullBacklog, GivenUp, Notice, QuotaUse, Shelf};
use crate::store::runs::{Folds, Remembered, Tellings};
use crate::store::sweep::SweepState;
use crate::store::{narrow, wide};

pub(super) use contest::{Contest, Made};
pub(super) use day::DayUses;
pub(super) use deliver::Prepared;
pub(super) use forget::is_of;
pub(super) use jobs::{FrozenJobs, Jobs};
pub(super) use read::Where;
use unit::Draft;

/// A record that is as long as this ends, and the unit goes on in another.
const RECORD_BYTES_MAX: u64 = 1 << 20;
/// A batch that is as long as this is written before the next unit.
const BATCH_BYTES_MAX: u64 = 8 << 20;
/// Marks for reading: one for so many entries.
pub(super) const ENTRIES_A_MARK: u64 = 256;
/// Marks for reading: one for so many deliveries.
pub(super) const DELIVERIES_A_MARK: u64 = 64;
/// Hours of counted changes that are kept: the last 24 count, and a clock may be set back.
const HOURS_KEPT: i64 = 48;

/// Where a delivery is that has still to be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Queued {
    pub(super) record: u64,
    app: u32,
    received_at: Timestamp,
}

/// A delivery that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Aside {
    pub(super) record: u64,
    app: u32,
    received_at: Timestamp,
    pub(super) why: AsideFor,
}

/// What is known of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct App {
    pub(super) name: AppName,
    pub(super) state: AppState,
    unplanned: BTreeSet<u64>,
}

/// An app in a snapshot; what it counts follows from the rest.
pub(super) type FrozenApp = (AppName, AppState);

/// Intents of one account and rule, by UTC hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budget {
    /// Against the limit of the hour.
    pub(super) hours: BTreeMap<i64, u32>,
    /// Against the limit of 24 hours: emptied when a person resumes the rule.
    pub(super) share: BTreeMap<i64, u32>,
    /// The hour of the last notice.
    pub(super) noticed: Option<i64>,
    /// It came to the limit of 24 hours, and no person has resumed it.
    pub(super) is_stopped: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) dedupe_memory_max: u64,
    pub(super) keys: Arc<Keys>,
    record_bytes: usize,
    /// The number of the next record.
    pub(super) next_record: u64,
    /// Entries of the log.
    pub(super) entries: u64,
    /// The log, while records are replayed. Afterwards the writer has it.
    pub(super) tree: Frontier,
    /// The number of the newest delivery.
    pub(super) deliveries: u64,
    pub(super) unplanned: BTreeMap<u64, Queued>,
    pub(super) aside: BTreeMap<u64, Aside>,
    /// Those of them that are held back because their account has too many unfinished jobs.
    pub(super) held: BTreeMap<AccountId, BTreeSet<u64>>,
    /// Those of them that nothing here will ever let go on by itself.
    pub(super) strays: BTreeSet<u64>,
    /// Deliveries that a person had planned again, for ever.
    pub(super) replayed: BTreeSet<u64>,
    pub(super) apps: Vec<App>,
    pub(super) jobs: Jobs,
    pub(super) meanings: HashMap<Fingerprint, Timestamp>,
    /// The same, in the order in which they came.
    pub(super) meaning_order: VecDeque<Fingerprint>,
    pub(super) budgets: BTreeMap<(AccountId, RuleName), Budget>,
    pub(super) quotas: BTreeMap<(AccountId, i64), QuotaUse>,
    pub(super) contest: Contest,
    /// By UTC day and what it is of: of the newest day and the one before.
    pub(super) days: BTreeMap<(i64, Fingerprint), DayUses>,
    pub(super) sweeps: BTreeMap<AccountId, SweepState>,
    pub(super) notices: BTreeMap<AccountId, Vec<Notice>>,
    pub(super) planned: BTreeMap<RuleName, [u8; 16]>,
    pub(super) given_up: Option<GivenUp>,
    /// What is known of runs of meetings beside the jobs about them.
    pub(super) remembered: BTreeMap<AccountId, Remembered<Fingerprint>>,
    pub(super) folds: BTreeMap<AccountId, Folds<Fingerprint>>,
    pub(super) told: BTreeMap<AccountId, Tellings<Fingerprint>>,
    /// By shelf, and by what the change on disk names them by.
    pub(super) documents: BTreeMap<(Shelf, Fingerprint), Arc<Document>>,
    pub(super) leads: Leads,
    pub(super) dedupe: Dedupe,
    pub(super) outbox: Outbox,
    draft: Draft,
    scratch: Vec<u8>,
    /// The `received_at` of the newest delivery.
    pub(super) newest_at: Timestamp,
    /// The first record of the unit in the making.
    unit_start: u64,
}

impl State {
    pub(super) fn new(settings: &Settings, keys: Arc<Keys>) -> Self {
        let segment_bytes = settings.journal.segment_bytes;
        Self {
            limits: settings.limits.clone(),
            dedupe_memory_max: settings.dedupe_memory_max,
            keys,
            record_bytes: narrow(RECORD_BYTES_MAX.min(segment_bytes / 16)),
            next_record: crate::store::journal::FIRST_NUMBER,
            entries: 0,
            tree: Frontier::default(),
            deliveries: 0,
            unplanned: BTreeMap::new(),
            aside: BTreeMap::new(),
            held: BTreeMap::new(),
            strays: BTreeSet::new(),
            replayed: BTreeSet::new(),
            apps: Vec::new(),
            jobs: Jobs::default(),
            meanings: HashMap::new(),
            meaning_order: VecDeque::new(),
            budgets: BTreeMap::new(),
            quotas: BTreeMap::new(),
            contest: Contest::default(),
            days: BTreeMap::new(),
            sweeps: BTreeMap::new(),
            notices: BTreeMap::new(),
            planned: BTreeMap::new(),
            given_up: None,
            remembered: BTreeMap::new(),
            folds: BTreeMap::new(),
            told: BTreeMap::new(),
            documents: BTreeMap::new(),
            leads: Leads::default(),
            dedupe: Dedupe::default(),
            outbox: Outbox::new(narrow(BATCH_BYTES_MAX.min(segment_bytes / 4))),
            draft: Draft::default(),
            scratch: Vec::new(),
            newest_at: Timestamp::EPOCH,
            unit_start: crate::store::journal::FIRST_NUMBER,
        }
    }

    /// The number of an app, as long as it is not dropped.
    fn app_number(&mut self, name: &AppName) -> u32 {
        let at = self.apps.iter().position(|app| app.name == *name).unwrap_or_else(|| {
            self.apps.push(App { name: name.clone(), state: AppState::default(), unplanned: BTreeSet::new() });
            self.apps.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Nothing is known of the app any more, and its place goes to those behind it. Where deliveries of it wait, only what is
    /// known goes.
    fn drop_app(&mut self, name: &AppName) {
        let Some(at) = self.apps.iter().position(|app| app.name == *name) else { return };
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let waits = self.unplanned.values().map(|queued| queued.app).chain(self.aside.values().map(|aside| aside.app));
        if waits.into_iter().any(|of| of == number) {
            return self.set_app(name, AppState::default());
        }
        self.apps.remove(at);
        let numbers = self.unplanned.values_mut().map(|queued| &mut queued.app);
        for behind in numbers.chain(self.aside.values_mut().map(|aside| &mut aside.app)).filter(|of| **of > number) {
            *behind -= 1;
        }
    }

    fn app_at(&mut self, number: u32) -> Option<&mut App> {
        self.apps.get_mut(usize::try_from(number).ok()?)
    }

    pub(super) fn app(&self, name: &AppName) -> Option<&App> {
        self.apps.iter().find(|app| app.name == *name)
    }

    /// Apps of which no more deliveries are taken.
    pub(super) fn full_backlogs(&self) -> Vec<FullBacklog> {
        let full = self.apps.iter().filter(|app| wide(app.unplanned.len()) >= self.limits.backlog_max);
        let full = full.filter_map(|App { name, unplanned, .. }| {
            let first = self.unplanned.get(unplanned.first()?)?;
            Some(FullBacklog { app: name.clone(), unplanned: wide(unplanned.len()), since: first.received_at })
        });
        let mut full: Vec<FullBacklog> = full.collect();
        full.sort_unstable_by(|one, other| one.app.cmp(&other.app));
        full
    }

    pub(super) fn freeze_apps(&self) -> Vec<FrozenApp> {
        self.apps.iter().map(|app| (app.name.clone(), app.state)).collect()
    }

    pub(super) fn thaw_apps(&mut self, apps: Vec<FrozenApp>, unplanned: BTreeMap<u64, Queued>) {
        let app = |(name, state)| App { name, state, unplanned: BTreeSet::new() };
        self.apps = apps.into_iter().map(app).collect();
        for (delivery, queued) in unplanned {
            self.queue(delivery, queued);
        }
        self.unit_start = self.next_record;
    }

    fn queue(&mut self, delivery: u64, queued: Queued) {
        if self.unplanned.insert(delivery, queued).is_none()
            && let Some(app) = self.app_at(queued.app)
        {
            app.unplanned.insert(delivery);
        }
    }

    fn unqueue(&mut self, delivery: u64) -> Option<Queued> {
        let queued = self.unplanned.remove(&delivery)?;
        if let Some(app) = self.app_at(queued.app) {
            app.unplanned.remove(&delivery);
        }
        Some(queued)
    }

    /// The oldest that wait of each app in turn, but for these; by number.
    pub(super) fn next_to_plan(&self, but: &HashSet<u64>, limit: usize) -> BTreeSet<u64> {
        let waiting = self.apps.iter().filter(|app| !app.unplanned.is_empty());
        let unread = waiting.map(|app| app.unplanned.iter().copied().filter(|id| !but.contains(id)));
        let mut queues: Vec<_> = unread.map(Iterator::peekable).collect();
        queues.sort_by_cached_key(|queue| queue.clone().next());
        let mut chosen = BTreeSet::new();
        while chosen.len() < limit && !queues.is_empty() {
            let room = limit.saturating_sub(chosen.len());
            chosen.extend(queues.iter_mut().filter_map(Iterator::next).take(room));
            queues.retain_mut(|queue| queue.peek().is_some());
        }
        chosen
    }

    /// What a change does to the state, when it is made and when it is replayed.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Planned { delivery, jobs, .. } => {
                let asked = jobs.into_iter().map(JobId::from_number);
                let unfinished = asked.filter(|id| self.jobs.is_unfinished(*id));
                self.leads.planned(DeliveryId::from_number(delivery), unfinished);
                self.unqueue(delivery);
                self.take_back(delivery);
            }
            Change::SetAside { delivery, why } => {
                if let Some(Queued { record, app, received_at }) = self.unqueue(delivery) {
                    self.set_aside(delivery, Aside { record, app, received_at, why });
                }
            }
            Change::Unplanned { delivery, record, app, received_at, replayed } => {
                self.take_back(delivery);
                let app = self.app_number(&app);
                self.queue(delivery, Queued { record, app, received_at });
                if replayed {
                    self.replayed.insert(delivery);
                }
            }
            Change::Job { id, sealed: Blob(sealed) } => self.apply_job(JobId::from_number(id), &sealed),
            Change::Meaning { print, at } => self.keep_meaning(print, at),
            Change::Intended { account, rule, hour, job, share } => {
                if let Some(job) = self.jobs.get(JobId::from_number(job)) {
                    self.keep(Job { counted: Some(hour), ..Job::clone(job) });
                }
                let budget = self.budgets.entry((account, rule)).or_default();
                *budget.hours.entry(hour).or_default() += 1;
                *budget.share.entry(hour).or_default() += u32::from(share);
                budget.hours.retain(|kept, _| *kept > hour.saturating_sub(HOURS_KEPT));
                budget.share.retain(|kept, _| *kept > hour.saturating_sub(HOURS_KEPT));
            }
            Change::Noticed { account, rule, hour } => {
                self.budgets.entry((account, rule)).or_default().noticed = Some(hour);
            }
            Change::Stopped { account, rule } => self.budgets.entry((account, rule)).or_default().is_stopped = true,
            Change::Resumed { account, rule } => {
                let budget = self.budgets.entry((account, rule)).or_default();
                budget.share.clear();
                budget.is_stopped = false;
            }
            Change::Called { account, day, calls } => self.called(account, day, calls),
            Change::Sweep { account, sealed: Blob(sealed) } => self.apply_sweeps(account, &sealed),
            Change::Notices { account, sealed: Blob(sealed) } => self.apply_notices(account, &sealed),
            Change::RulePlanned { rule, hash } => drop(self.planned.insert(rule, hash)),
            Change::Made { of, at, by, marks } => self.contest.add(of, Made { at, by, marks }),
            Change::MadeAnew { of } => self.contest.forget(&of),
            Change::DayUsed { of, day, by } => self.keep_day(of, day, |known| known.used_by(by)),
            Change::DayTold { of, day, is_spent } => self.keep_day(of, day, |known| known.told(is_spent)),
            Change::GaveUp { at } => self.given_up = Some(GivenUp::one_more(self.given_up, at)),
            Change::Remembered { account, print, event_at } => {
                self.remembered.entry(account).or_default().put(print, event_at);
            }
            Change::Folded { account, print, delivery, job } => {
                let of_account = self.folds.entry(account).or_default();
                of_account.add(&print, DeliveryId::from_number(delivery), JobId::from_number(job));
            }
            Change::Told { account, print, delivery, event_at, is_first } => {
                let of_account = self.told.entry(account).or_default();
                of_account.add(print, DeliveryId::from_number(delivery), event_at, is_first);
            }
            Change::Document { shelf, print, account, sealed } => {
                self.apply_document((shelf, print), account, sealed);
            }
            Change::Forgotten { sealed } => self.apply_forgotten(sealed),
            Change::App { app, state } => self.set_app(&app, state),
        }
    }

    fn apply_job(&mut self, id: JobId, sealed: &[u8]) {
        // Also where it does not open any more: no id is given twice.
        self.jobs.was_made(id);
        let plain = self.keys.open_blob(Purpose::Job, sealed);
        if let Some(job) = plain.and_then(|plain| postcard::from_bytes::<Job>(&plain).ok()) {
            self.keep(job);
        }
    }

    fn set_app(&mut self, app: &AppName, state: AppState) {
        let number = self.app_number(app);
        if let Some(app) = self.app_at(number) {
            app.state = state;
        }
    }

    fn called(&mut self, account: AccountId, day: i64, calls: QuotaUse) {
        self.quotas.retain(|(_, kept), _| *kept >= day.saturating_sub(2));
        let used = self.quotas.entry((account, day)).or_default();
        used.light = used.light.saturating_add(calls.light);
        used.medium = used.medium.saturating_add(calls.medium);
        used.heavy = used.heavy.saturating_add(calls.heavy);
    }

    fn replay_leaf(&mut self, leaf: Hash) {
        self.tree.push(leaf);
        self.entries = self.tree.size();
    }

    /// The state after a record. False where its entries do not follow those before, unless that is accepted: then what
    /// is missing leaves empty places, so that the numbers stay.
    pub(super) fn replay_record(&mut self, number: u64, stored: record::Stored, accept_gaps: bool) -> bool {
        let first = stored.first_index();
        while accept_gaps && self.entries < first {
            self.replay_leaf([0; 32]);
        }
        if self.entries != first {
            return false;
        }
        match stored {
            record::Stored::Delivery(delivery) => self.replay_delivery(number, &delivery),
            record::Stored::Changes(changes) => {
                for (index, entry) in (changes.first_index..).zip(&changes.entries) {
                    self.replay_leaf(entry.leaf);
                    if let Some(line) = entry.told() {
                        self.leads.enter(index, &about(&line));
                    }
                }
                for change in changes.made {
                    self.apply(change);
                }
            }
        }
        self.next_record = number.saturating_add(1);
        true
    }

    /// From here on units are made.
    pub(super) fn replayed_all(&mut self) {
        self.unit_start = self.next_record;
    }

    /// Puts a job in place of what it was.
    fn keep(&mut self, job: Job) {
        if job.state.is_finished() {
            self.leads.ended(job.id);
        }
        self.jobs.put(job, self.limits.finished_max);
    }

    pub(super) fn set_aside(&mut self, delivery: u64, aside: Aside) {
        if let AsideFor::Backlog(account) = &aside.why {
            self.held.entry(account.clone()).or_default().insert(delivery);
        } else {
            self.strays.insert(delivery);
        }
        self.aside.insert(delivery, aside);
    }

    fn take_back(&mut self, delivery: u64) {
        self.strays.remove(&delivery);
        if let Some(Aside { why: AsideFor::Backlog(account), .. }) = self.aside.remove(&delivery)
            && let Some(held) = self.held.get_mut(&account)
        {
            held.remove(&delivery);
            if held.is_empty() {
                self.held.remove(&account);
            }
        }
    }

    /// How many jobs may still be made for the account.
    pub(super) fn room_of(&self, account: &AccountId) -> u64 {
        self.limits.backlog_max.saturating_sub(self.jobs.unfinished_of(account))
    }

    fn keep_meaning(&mut self, print: Fingerprint, at: Timestamp) {
        if self.meanings.insert(print, at).is_none() {
            self.meaning_order.push_back(print);
        }
        // Beyond the limit the oldest goes: its event would be planned again, which is harmless.
        while let Some(oldest) = self.meaning_order.front() {
            let seen_at = self.meanings.get(oldest).copied().unwrap_or(Timestamp::MAX);
            let over = at.since(seen_at) > self.limits.dedupe_window.saturating_mul(2);
            if !over && wide(self.meanings.len()) <= self.dedupe_memory_max {
                break;
            }
            if let Some(oldest) = self.meaning_order.pop_front() {
                self.meanings.remove(&oldest);
            }
        }
    }

    /// Takes in what the index has spilled, and gives it more where there is more.
    fn spill(&mut self) {
        let (now, window) = (self.newest_at, self.limits.dedupe_window);
        while let Some(generation) = self.dedupe.overflow(self.dedupe_memory_max, now, window) {
            self.outbox.op(self.next_record, IndexOp::Spill(generation));
        }
        if let Some(first) = self.dedupe.expire(now, window) {
            self.outbox.op(self.next_record, IndexOp::DropBefore(first));
        }
    }
}

/// What an entry is about, as far as one leads to another.
fn about<'a>(line: &record::LineRef<'a>) -> About<'a> {
    let record::LineRef { kind, code, account, delivery, job, led_by, .. } = *line;
    About { kind, code, account, delivery, job, led_by }
}
