//! Snapshots: the live state as of one record, so that a start need not read everything.
//!
//! What is in one is plain data, encoded as postcard behind a version, sealed as a whole with the store's key. The number
//! of a snapshot is that of the first record that is *not* in it. Fingerprints of recent deliveries are not in it: they
//! are many, and a start finds them in the records.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dedupe::{self, Dedupe};
use super::keys::Keys;
use super::seal::{Fingerprint, Purpose};
use super::state::{Aside, Budget, Contest, DayUses, FrozenApp, FrozenJobs, Jobs, Made, Queued, State};
use crate::audit::leads::{FrozenLeads, Leads};
use crate::audit::tree::Frontier;
use crate::clock::Timestamp;
use crate::ids::{AccountId, RuleName};
use crate::job::Job;
use crate::store::port::{Document, GivenUp, Notice, QuotaUse};
use crate::store::runs::{Fold, Told};
use crate::store::sweep::SweepState;

const VERSION: u8 = 1;

/// What is kept of runs of meetings, in the order in which it is forgotten.
type ByAccount<T> = BTreeMap<AccountId, Vec<(Fingerprint, T)>>;

/// A copy of the state that shares what is large.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) next_record: u64,
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
    days: BTreeMap<(i64, Fingerprint), DayUses>,
    dedupe: dedupe::Frozen,
    remembered: ByAccount<Option<Timestamp>>,
    folds: ByAccount<Fold>,
    told: ByAccount<Told>,
    documents: Vec<Arc<Document>>,
    leads: FrozenLeads,
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
    days: &'a BTreeMap<(i64, Fingerprint), DayUses>,
    dedupe: &'a dedupe::Frozen,
    runs: Runs<'a>,
    told: &'a ByAccount<Told>,
    documents: Vec<&'a Document>,
    leads: &'a FrozenLeads,
}

/// What came later, behind all else: a snapshot without it is read as one that holds nothing of it.
#[derive(Default, Serialize, Deserialize)]
struct Runs<'a> {
    remembered: Cow<'a, ByAccount<Option<Timestamp>>>,
    folds: Cow<'a, ByAccount<Fold>>,
}

/// What came later, each after the other.
type Later<'a> = (Runs<'a>, ByAccount<Told>, Vec<Document>, FrozenLeads);

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
    days: BTreeMap<(i64, Fingerprint), DayUses>,
    dedupe: dedupe::Frozen,
}

/// What came later, and what is behind it.
fn later<'a, T: Default + Deserialize<'a>>(bytes: &'a [u8]) -> Option<(T, &'a [u8])> {
    if bytes.is_empty() { Some((T::default(), bytes)) } else { postcard::take_from_bytes(bytes).ok() }
}

impl State {
    pub(super) fn freeze(&self) -> Frozen {
        let meaning = |print: &Fingerprint| self.meanings.get(print).map(|at| (*print, *at));
        Frozen {
            next_record: self.next_record,
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
            days: self.days.clone(),
            dedupe: self.dedupe.freeze(),
            remembered: self.remembered.iter().map(|(account, of)| (account.clone(), of.iter().collect())).collect(),
            folds: self.folds.iter().map(|(account, of)| (account.clone(), of.iter().collect())).collect(),
            told: self.told.iter().map(|(account, of)| (account.clone(), of.iter().collect())).collect(),
            documents: self.documents.values().cloned().collect(),
            leads: self.leads.freeze(|job| self.jobs.is_unfinished(job)),
        }
    }

    /// Becomes what a snapshot says.
    fn thaw(&mut self, read: Read, (runs, told, documents, leads): Later<'_>) {
        self.next_record = read.next_record;
        (self.entries, self.tree) = (read.tree.size(), read.tree);
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
        (self.contest, self.days) = (Contest::thaw(read.made), read.days);
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
        for document in documents {
            self.keep_document(document);
        }
        self.leads = Leads::thaw(leads);
        self.thaw_apps(read.apps, read.unplanned);
    }

    /// Reads a snapshot; false where it is not one that this program wrote.
    pub(super) fn read_snapshot(&mut self, number: u64, sealed: &[u8]) -> bool {
        let plain = self.keys.open_blob(Purpose::Snapshot, sealed);
        let read = plain.as_deref().and_then(|plain| match plain.split_first() {
            Some((&VERSION, rest)) => {
                let (read, more) = postcard::take_from_bytes::<Read>(rest).ok()?;
                let (runs, more) = later(more)?;
                let (told, more) = later(more)?;
                let (documents, more) = later(more)?;
                let (leads, more) = later(more)?;
                more.is_empty().then_some((read, (runs, told, documents, leads)))
            }
            _ => None,
        });
        let read = read.filter(|(read, _)| read.next_record == number);
        read.map(|(read, later)| self.thaw(read, later)).is_some()
    }
}

impl Frozen {
    /// Encoded and sealed, with the log as of then.
    pub(super) fn seal(&self, tree: &Frontier, keys: &Keys) -> Vec<u8> {
        keys.store().seal(Purpose::Snapshot, &[&self.encode(tree)], keys.chance())
    }

    fn encode(&self, tree: &Frontier) -> Vec<u8> {
        let written = Written {
            next_record: self.next_record,
            tree,
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
            days: &self.days,
            dedupe: &self.dedupe,
            runs: Runs { remembered: Cow::Borrowed(&self.remembered), folds: Cow::Borrowed(&self.folds) },
            told: &self.told,
            documents: self.documents.iter().map(AsRef::as_ref).collect(),
            leads: &self.leads,
        };
        let mut bytes = vec![VERSION];
        super::record::put(&written, &mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::audit::{Detail, Kind};
    use crate::chance::{Chance as _, SeededChance, SystemChance};
    use crate::clock::ManualClock;
    use crate::event::signature::Verified;
    use crate::ids::{AppName, MeetingId, MeetingUuid};
    use crate::job::{Counts, DayOf, DayUse, Subject};
    use crate::rules::Step;
    use crate::store::local::{LocalStore, MasterKey, OpenReport, Settings};
    use crate::store::port::{Decision, NewDelivery, Note, Shelf, Store as _, Verdict, Write};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn open(folder: &Path) -> (LocalStore, OpenReport) {
        let (clock, chance) = (Arc::new(ManualClock::at(NOW)), Arc::new(SystemChance));
        let settings = Settings { disk_reserve_bytes: 0, snapshot_every_bytes: 64 << 10, ..Settings::default() };
        LocalStore::open(folder, settings, MasterKey::Bytes([7; 32]), clock, chance, &mut |_, _, _| {}).unwrap()
    }

    /// An event about one of a few runs: it begins a timer or ends one, or belongs to a record.
    async fn tell(store: &LocalStore, chance: &SeededChance, number: u64) {
        let below = |end: u64| chance.next_u64() % end;
        let rule = RuleName::parse(["one", "other"][usize::from(below(2) == 0)]).unwrap();
        let (meeting, uuid) = (MeetingId::from_number(below(9)), MeetingUuid::parse(&below(200).to_string()).unwrap());
        let subject = Subject::Instance { meeting, uuid: uuid.clone() };
        let step = match below(3) {
            0 => Step::Later { rule, subject, on: None, after: Duration::from_secs(below(900)) },
            1 => {
                let uuid = Some(uuid).filter(|_| below(4) > 0);
                Step::Unless { rule, meeting, uuid, why: "meeting.started".to_owned() }
            }
            _ => Step::Collect { rule, subject, on: None, is_last: below(9) == 0 },
        };
        let verified = Verified::reread(format!("{{\"n\":{number}}}").into(), NOW.as_secs(), None);
        let new = NewDelivery { app: AppName::parse("main").unwrap(), received_at: NOW, verified };
        let delivery = store.deliver(new).await.unwrap().delivery();
        let event_at = Some(NOW.minus(Duration::from_secs(below(600))));
        let verdict = Verdict::Work { meaning: None, event_at, steps: vec![step] };
        let account = Some(AccountId::parse(["acc", "bcc"][usize::from(below(2) == 0)]).unwrap());
        let decision = Decision { delivery, account, event: "meeting.started".to_owned(), verdict };
        store.record_plan(vec![decision], NOW).await.unwrap();
        let (shelf, key) = (Shelf::Account, below(150).to_string());
        let (account, value) = (Some(AccountId::parse("acc").unwrap()).filter(|_| below(2) == 0), vec![1; 3]);
        let put = Write::Put(Document { shelf, key: key.clone(), account, value });
        let write = if below(3) == 0 { Write::Remove { shelf, key } } else { put };
        store.write_documents(vec![write], Vec::new(), NOW).await.unwrap();
        let (code, detail, account) = ("granted".to_owned(), Detail::note("told"), AccountId::parse("acc").ok());
        let note = Note { kind: Kind::Intent, app: None, account, code, detail };
        let of = DayOf::Meeting(MeetingId::from_number(below(150)));
        let days = vec![DayUse { of, counts: Counts::Each, max_per_day: 3 }];
        let _granted = store.intend_as_told(note, days, NOW).await.unwrap();
    }

    /// What is known of runs, in words: jobs, what is remembered, records; and documents, what is used up of a day, and
    /// what leads to what.
    fn known(store: &LocalStore) -> [Vec<String>; 6] {
        let frozen = store.core().begin(false, |state| Ok(state.freeze())).unwrap().0;
        let jobs = frozen.jobs.unfinished.iter().chain(&frozen.jobs.finished).map(|job| format!("{job:?}"));
        let prints = |account: &AccountId, print: &Fingerprint, what: String| format!("{account} {print:?} {what}");
        let remembered = frozen.remembered.iter().flat_map(|(account, of)| {
            of.iter().map(move |(print, event_at)| prints(account, print, format!("{event_at:?}")))
        });
        let folds = frozen
            .folds
            .iter()
            .flat_map(|(account, of)| of.iter().map(move |(print, fold)| prints(account, print, format!("{fold:?}"))));
        let documents = frozen.documents.iter().map(|document| format!("{document:?}"));
        let days = frozen.days.iter().map(|day| format!("{day:?}"));
        let (deliveries, jobs_led, sweeps) = &frozen.leads;
        assert!(deliveries.is_empty() && sweeps.is_empty(), "all are planned");
        let leads = jobs_led.iter().map(|lead| format!("{lead:?}"));
        [jobs.collect(), remembered.collect(), folds.collect(), documents.collect(), days.collect(), leads.collect()]
    }

    #[tokio::test]
    async fn a_start_from_a_snapshot_and_what_came_behind_it_knows_the_same_timers_runs_records_documents_and_days() {
        for seed in 0..3 {
            let (folder, chance) = (tempfile::tempdir().unwrap(), SeededChance::new(seed));
            let (mut store, _) = open(folder.path());
            for round in 0..3 {
                for number in 0..300 {
                    tell(&store, &chance, round * 1_000 + number).await;
                }
                let before = known(&store);
                assert!(before.iter().all(|lines| lines.len() > 50), "seed {seed}: {before:?}");
                let records = store.core().begin(false, |state| Ok(state.next_record)).unwrap().0;
                store.abandon();
                let (again, report) = open(folder.path());
                assert!((1..records).contains(&report.replayed), "seed {seed}: {} of {records}", report.replayed);
                for (before, after) in before.iter().zip(known(&again)) {
                    assert_eq!(*before, after, "seed {seed}, round {round}");
                }
                store = again;
            }
        }
    }
}
