//! Snapshots: the live state as of one record, so that a start need not read everything.
//!
//! What is in one is plain data, encoded as postcard behind a version, sealed as a whole with the store's key. The number
//! of a snapshot is that of the first record that is *not* in it. Fingerprints of recent deliveries are not in it: they
//! are many, and a start finds them in the records.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::dedupe::{self, Dedupe};
use super::keys::Keys;
use super::seal::{Fingerprint, Purpose};
use super::state::{Aside, Budget, Contest, FrozenApp, FrozenJobs, HostUse, Jobs, Made, Queued, State};
use crate::audit::tree::Frontier;
use crate::clock::Timestamp;
use crate::ids::{AccountId, RuleName};
use crate::job::Job;
use crate::store::port::{GivenUp, Notice, QuotaUse};
use crate::store::runs::{Fold, Told};
use crate::store::sweep::SweepState;

const VERSION: u8 = 1;

/// What is kept of runs of meetings, in the order in which it is forgotten.
type ByAccount<T> = BTreeMap<AccountId, Vec<(Fingerprint, T)>>;

/// A copy of the state that shares what is large.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) next_record: u64,
    tree: Frontier,
    deliveries: u64,
    newest_at: Timestamp,
    unplanned: BTreeMap<u64, Queued>,
    aside: BTreeMap<u64, Aside>,
    replayed: BTreeSet<u64>,
    apps: Vec<FrozenApp>,
    jobs: FrozenJobs,
    meanings: Vec<(Fingerprint, Timestamp)>,
    budgets: BTreeMap<(AccountId, RuleName), Budget>,
    quotas: BTreeMap<(AccountId, i64), QuotaUse>,
    sweeps: BTreeMap<AccountId, SweepState>,
    notices: BTreeMap<AccountId, Vec<Notice>>,
    planned: BTreeMap<RuleName, [u8; 16]>,
    given_up: Option<GivenUp>,
    made: BTreeMap<Fingerprint, Vec<Made>>,
    hosts: BTreeMap<(i64, Fingerprint), HostUse>,
    dedupe: dedupe::Frozen,
    remembered: ByAccount<Option<Timestamp>>,
    folds: ByAccount<Fold>,
    told: ByAccount<Told>,
}

/// The same as it is on disk, borrowed. Order of fields is the format.
#[derive(Serialize)]
struct Written<'a> {
    next_record: u64,
    tree: &'a Frontier,
    deliveries: u64,
    newest_at: Timestamp,
    unplanned: &'a BTreeMap<u64, Queued>,
    aside: &'a BTreeMap<u64, Aside>,
    replayed: &'a BTreeSet<u64>,
    apps: &'a [FrozenApp],
    unfinished: Vec<&'a Job>,
    finished: Vec<&'a Job>,
    jobs_made: u64,
    jobs_done: u64,
    jobs_cancelled: u64,
    meanings: &'a [(Fingerprint, Timestamp)],
    budgets: &'a BTreeMap<(AccountId, RuleName), Budget>,
    quotas: &'a BTreeMap<(AccountId, i64), QuotaUse>,
    sweeps: &'a BTreeMap<AccountId, SweepState>,
    notices: &'a BTreeMap<AccountId, Vec<Notice>>,
    planned: &'a BTreeMap<RuleName, [u8; 16]>,
    given_up: Option<GivenUp>,
    made: &'a BTreeMap<Fingerprint, Vec<Made>>,
    hosts: &'a BTreeMap<(i64, Fingerprint), HostUse>,
    dedupe: &'a dedupe::Frozen,
    runs: Runs<'a>,
    told: &'a ByAccount<Told>,
}

/// What came later, behind all else: a snapshot without it is read as one that holds nothing of it.
#[derive(Default, Serialize, Deserialize)]
struct Runs<'a> {
    remembered: Cow<'a, ByAccount<Option<Timestamp>>>,
    folds: Cow<'a, ByAccount<Fold>>,
}

/// What came later, each after the other.
type Later<'a> = (Runs<'a>, ByAccount<Told>);

/// The same, read.
#[derive(Deserialize)]
struct Read {
    next_record: u64,
    tree: Frontier,
    deliveries: u64,
    newest_at: Timestamp,
    unplanned: BTreeMap<u64, Queued>,
    aside: BTreeMap<u64, Aside>,
    replayed: BTreeSet<u64>,
    apps: Vec<FrozenApp>,
    unfinished: Vec<Job>,
    finished: Vec<Job>,
    jobs_made: u64,
    jobs_done: u64,
    jobs_cancelled: u64,
    meanings: Vec<(Fingerprint, Timestamp)>,
    budgets: BTreeMap<(AccountId, RuleName), Budget>,
    quotas: BTreeMap<(AccountId, i64), QuotaUse>,
    sweeps: BTreeMap<AccountId, SweepState>,
    notices: BTreeMap<AccountId, Vec<Notice>>,
    planned: BTreeMap<RuleName, [u8; 16]>,
    given_up: Option<GivenUp>,
    made: BTreeMap<Fingerprint, Vec<Made>>,
    hosts: BTreeMap<(i64, Fingerprint), HostUse>,
    dedupe: dedupe::Frozen,
}

impl State {
    pub(super) fn freeze(&self) -> Frozen {
        let meaning = |print: &Fingerprint| self.meanings.get(print).map(|at| (*print, *at));
        Frozen {
            next_record: self.next_record,
            tree: self.tree.clone(),
            deliveries: self.deliveries,
            newest_at: self.newest_at,
            unplanned: self.unplanned.clone(),
            aside: self.aside.clone(),
            replayed: self.replayed.clone(),
            apps: self.freeze_apps(),
            jobs: self.jobs.freeze(),
            meanings: self.meaning_order.iter().filter_map(meaning).collect(),
            budgets: self.budgets.clone(),
            quotas: self.quotas.clone(),
            sweeps: self.sweeps.clone(),
            notices: self.notices.clone(),
            planned: self.planned.clone(),
            given_up: self.given_up,
            made: self.contest.freeze(),
            hosts: self.hosts.clone(),
            dedupe: self.dedupe.freeze(),
            remembered: self.remembered.iter().map(|(account, of)| (account.clone(), of.iter().collect())).collect(),
            folds: self.folds.iter().map(|(account, of)| (account.clone(), of.iter().collect())).collect(),
            told: self.told.iter().map(|(account, of)| (account.clone(), of.iter().collect())).collect(),
        }
    }

    /// Becomes what a snapshot says.
    fn thaw(&mut self, read: Read, (runs, told): Later<'_>) {
        self.next_record = read.next_record;
        self.tree = read.tree;
        self.deliveries = read.deliveries;
        self.newest_at = read.newest_at;
        self.replayed = read.replayed;
        for (delivery, aside) in read.aside {
            self.set_aside(delivery, aside);
        }
        let counts = (read.jobs_done, read.jobs_cancelled);
        self.jobs = Jobs::thaw(read.unfinished, read.finished, read.jobs_made, counts);
        self.meaning_order = read.meanings.iter().map(|(print, _)| *print).collect::<VecDeque<_>>();
        self.meanings = read.meanings.into_iter().collect::<HashMap<_, _>>();
        self.budgets = read.budgets;
        self.quotas = read.quotas;
        self.sweeps = read.sweeps;
        (self.notices, self.planned, self.given_up) = (read.notices, read.planned, read.given_up);
        (self.contest, self.hosts) = (Contest::thaw(read.made), read.hosts);
        self.dedupe = Dedupe::thaw(read.dedupe);
        for (account, prints) in runs.remembered.into_owned() {
            let of = self.remembered.entry(account).or_default();
            for (print, event_at) in prints {
                of.put(print, event_at);
            }
        }
        for (account, folds) in runs.folds.into_owned() {
            let of = self.folds.entry(account).or_default();
            for (print, fold) in folds {
                of.put(print, fold);
            }
        }
        for (account, tellings) in told {
            let of = self.told.entry(account).or_default();
            for (print, told) in tellings {
                of.put(print, told);
            }
        }
        self.thaw_apps(read.apps, read.unplanned);
    }

    /// Reads a snapshot; false where it is not one that this program wrote.
    pub(super) fn read_snapshot(&mut self, number: u64, sealed: &[u8]) -> bool {
        let plain = self.keys.open_blob(Purpose::Snapshot, sealed);
        let read = plain.as_deref().and_then(|plain| match plain.split_first() {
            Some((&VERSION, rest)) => {
                let (read, more) = postcard::take_from_bytes::<Read>(rest).ok()?;
                let (runs, more) =
                    if more.is_empty() { Default::default() } else { postcard::take_from_bytes(more).ok()? };
                let told = if more.is_empty() { ByAccount::default() } else { postcard::from_bytes(more).ok()? };
                Some((read, (runs, told)))
            }
            _ => None,
        });
        let read = read.filter(|(read, _)| read.next_record == number);
        read.map(|(read, later)| self.thaw(read, later)).is_some()
    }
}

impl Frozen {
    /// Encoded and sealed.
    pub(super) fn seal(&self, keys: &Keys) -> Vec<u8> {
        keys.store().seal(Purpose::Snapshot, &[&self.encode()], keys.chance())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let written = Written {
            next_record: self.next_record,
            tree: &self.tree,
            deliveries: self.deliveries,
            newest_at: self.newest_at,
            unplanned: &self.unplanned,
            aside: &self.aside,
            replayed: &self.replayed,
            apps: &self.apps,
            unfinished: self.jobs.unfinished.iter().map(AsRef::as_ref).collect(),
            finished: self.jobs.finished.iter().map(AsRef::as_ref).collect(),
            jobs_made: self.jobs.made,
            jobs_done: self.jobs.done,
            jobs_cancelled: self.jobs.cancelled,
            meanings: &self.meanings,
            budgets: &self.budgets,
            quotas: &self.quotas,
            sweeps: &self.sweeps,
            notices: &self.notices,
            planned: &self.planned,
            given_up: self.given_up,
            made: &self.made,
            hosts: &self.hosts,
            dedupe: &self.dedupe,
            runs: Runs { remembered: Cow::Borrowed(&self.remembered), folds: Cow::Borrowed(&self.folds) },
            told: &self.told,
        };
        let mut bytes = vec![VERSION];
        super::record::put(&written, &mut bytes);
        bytes
    }
}
