//! Stores to test: in a real folder, and on a simulated disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adjutant::chance::SystemChance;
use adjutant::clock::{Clock, ManualClock};
use adjutant::event::signature::Verified;
use adjutant::ids::DeliveryId;
use adjutant::job::Outcome;
use adjutant::store::journal;
use adjutant::store::journal::simulated::SimFiles;
use adjutant::store::local::{MasterKey, OpenError, OpenReport, Settings};
use adjutant::store::{
    Claimable, Decision, DeliveryFilter, JobFilter, Limits, LocalStore, NewDelivery, Store, StoreError, Verdict,
};

use crate::contract::kit::{LEASE, START, account, app, call, change, changed, ensure, user_with_email, work};

pub(crate) const MASTER: [u8; 32] = [42; 32];

/// Small, so that tests see many segments and snapshots.
pub(crate) fn settings(limits: Limits) -> Settings {
    Settings {
        limits,
        journal: journal::Settings { segment_bytes: 256 << 10 },
        disk_reserve_bytes: 0,
        snapshot_every_bytes: 96 << 10,
        ..Settings::default()
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(START))
}

/// A store in a folder of its own.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn open_with(&self, limits: Limits) -> LocalStore {
        self.try_open(settings(limits)).expect("opens").0
    }

    pub(crate) fn try_open(&self, settings: Settings) -> Result<(LocalStore, OpenReport), OpenError> {
        open_at(&self.path(), settings)
    }
}

pub(crate) fn open_at(folder: &Path, settings: Settings) -> Result<(LocalStore, OpenReport), OpenError> {
    let master = MasterKey::Bytes(MASTER);
    LocalStore::open(folder, settings, master, clock(), Arc::new(SystemChance), &mut |_, _, _| {})
}

/// A store on a simulated disk. The index is on the real one, and stays where it is through a cut.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) files: SimFiles,
    index: Arc<tempfile::TempDir>,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        Self { files: SimFiles::new(seed), index: Arc::new(tempfile::tempdir().unwrap()) }
    }

    /// The same disk after a power cut.
    pub(crate) fn cut(&self) -> Self {
        Self { files: self.files.cut(), index: Arc::clone(&self.index) }
    }

    pub(crate) fn open_with(&self, limits: Limits) -> Result<LocalStore, OpenError> {
        self.open(settings(limits)).map(|(store, _)| store)
    }

    pub(crate) fn open(&self, settings: Settings) -> Result<(LocalStore, OpenReport), OpenError> {
        let files = Arc::new(self.files.clone());
        let index = self.index.path().join("index");
        LocalStore::open_on(files, index, settings, MasterKey::Bytes(MASTER), clock(), Arc::new(SystemChance))
    }
}

pub(crate) fn new_delivery(body: &str, request: Option<&str>) -> NewDelivery {
    let verified = Verified::reread(body.to_owned().into(), START.as_secs(), request.map(str::to_owned));
    NewDelivery { app: app("main"), received_at: START, verified }
}

pub(crate) async fn deliver(store: &LocalStore, body: &str) -> Result<DeliveryId, StoreError> {
    store.deliver(new_delivery(body, Some("r"))).await.map(adjutant::store::Receipt::delivery)
}

pub(crate) fn decision(delivery: DeliveryId, verdict: Verdict) -> Decision {
    Decision { delivery, account: Some(account("acc")), event: "user.created".to_owned(), verdict }
}

/// Takes the next due job through an attempt, if there is one.
pub(crate) async fn work_one(store: &LocalStore, outcome: Outcome) -> Result<Option<adjutant::job::Job>, StoreError> {
    let wanted = Claimable { jobs_max: 1, per_account_max: 9, lease: LEASE };
    let Some(mut leased) = store.claim(wanted, START).await?.pop() else { return Ok(None) };
    store.start(&mut leased, START).await?;
    let _allowed = store.intend(&leased, change(1000, None), START).await?;
    store.settle(leased, outcome, vec![call("light", Some(200))], START, 0.5).await.map(Some)
}

/// A little of everything: `rounds` times some deliveries, decisions and jobs. Bodies start with `name`.
pub(crate) async fn fill(store: &LocalStore, name: &str, rounds: usize) {
    for round in 0..rounds {
        let (padding, of) = ("p".repeat(500), format!("{name}-{round}"));
        let mut all = Vec::new();
        for n in 0..4 {
            all.push(deliver(store, &format!("{{\"of\":\"{of}-{n}\",\"p\":\"{padding}\"}}")).await.unwrap());
        }
        let who = user_with_email(&of, &format!("{of}@example.com"));
        let unread = Verdict::Unreadable { why: "no JSON".to_owned() };
        let verdicts = [Verdict::Nothing, work(vec![ensure("assist", who)]), Verdict::Nothing, unread];
        let last = if round % 5 == 0 { 4 } else { 3 };
        let decisions = all.iter().zip(verdicts).take(last).map(|(id, verdict)| decision(*id, verdict));
        store.record_plan(decisions.collect(), START).await.unwrap();
        if round % 3 != 0 {
            work_one(store, changed()).await.unwrap();
        }
    }
}

/// All that the store says, a line each.
pub(crate) async fn answers(store: &LocalStore) -> Vec<String> {
    let mut lines = Vec::new();
    let all = DeliveryFilter { limit: usize::MAX, ..DeliveryFilter::default() };
    for summary in store.deliveries(all).await.unwrap() {
        let read = store.delivery(summary.id).await.unwrap();
        lines.push(format!("{summary:?} {read:?}"));
    }
    for job in store.jobs(JobFilter { limit: usize::MAX, ..JobFilter::default() }).await.unwrap() {
        lines.push(format!("{job:?}"));
    }
    for entry in store.entries(0, usize::MAX).await.unwrap() {
        lines.push(format!("{entry:?}"));
    }
    let status = store.status().await.unwrap();
    lines.push(format!("{:?}", adjutant::store::Status { index_lag: 0, disk_free_bytes: None, ..status }));
    lines.push(format!("{:?} {:?}", store.tree_head().await.unwrap(), store.parked().await.unwrap()));
    lines
}

/// Answers differ in too many lines to read: says the first.
#[track_caller]
pub(crate) fn assert_same(before: &[String], after: &[String]) {
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
}

/// How many rounds a test makes: more with `ADJUTANT_LONG=1`.
pub(crate) fn rounds(normal: u64, long: u64) -> u64 {
    if std::env::var_os("ADJUTANT_LONG").is_some_and(|long| long == "1") { long } else { normal }
}
