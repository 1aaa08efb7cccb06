//! What is under way for an account while it is forgotten, and after.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};

use super::*;
use crate::job::{Asker, Change as Wanted, DayOf, NewJob};
use crate::store::journal::files::{File, FileSystem, Files, RealFiles};
use crate::store::local::OpenReport;
use crate::store::port::{Leased, Spender};

#[expect(clippy::needless_pass_by_value, reason = "shorter where it is called")]
fn is_refused<T: std::fmt::Debug>(done: Result<T, StoreError>, why: &str) {
    assert!(matches!(&done, Err(StoreError::Conflict(told)) if told.contains(why)), "{why}: {done:?}");
}

fn swept(step: SweepStep) -> SweepRecord {
    let path = format!("/users/{}", ANN.1);
    let call =
        Call { method: "GET".into(), path, category: "light".into(), status: Some(200), millis: 1, intent: None };
    SweepRecord { app: AppName::parse("main").unwrap(), account: account(ONE), step, calls: vec![call] }
}

fn noted() -> Note {
    let detail = Detail::note(format!("see {}", ANN.1));
    let account = Some(account(ONE));
    Note { kind: crate::audit::Kind::Attention, app: None, account, code: "gone".to_owned(), detail }
}

/// A job of the account runs, its attempt was started.
async fn running(store: &LocalStore) -> Leased {
    let delivery = deliver(store, body(ONE, ANN, 1)).await;
    let subject = Subject::User { id: UserId::parse(ANN.0).ok(), email: Email::parse(ANN.1).ok() };
    let steps = vec![Step::Ensure { rule: RuleName::parse("assist").unwrap(), subject, on: None }];
    let verdict = Verdict::Work { meaning: None, event_at: Some(NOW), steps };
    let decision = Decision { delivery, account: Some(account(ONE)), event: "user.created".to_owned(), verdict };
    store.record_plan(vec![decision], NOW).await.unwrap();
    let wanted = Claimable { jobs_max: 1, per_account_max: 9, lease: Duration::from_secs(60) };
    let mut leased = store.claim(wanted, NOW).await.unwrap().remove(0);
    store.start(&mut leased, NOW).await.unwrap();
    leased
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_for_an_account_that_is_forgotten_comes_to_nothing_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.write_documents(vec![Write::Put(installed())], vec![], NOW).await.unwrap();
    tell(&store, ONE, JIM, 1).await;
    let leased = running(&store).await;
    let (kind, why) = (SweepKind::Users, SweepCause::Person);
    let begin = || SweepStep::Begin { kind, why, rule: None, is_dry: false };
    store.record_sweep(swept(begin()), NOW).await.unwrap();
    while store.cancel_jobs(&account(ONE), None, "the school left", NOW).await.unwrap() > 0 {}
    let jobs_before = store.jobs(all().1).await.unwrap().len();
    store.forget(&Forgotten::Account(account(ONE)), NOW, |_, _| {}).await.unwrap();
    let size = store.tree_head().await.unwrap().size;

    let (what, max_per_hour, marks) = (ANN.1.to_owned(), 9, vec![]);
    let change = Wanted { what, max_per_hour, max_per_day: None, is_planned: false, marks, days: Vec::new() };
    is_refused(store.intend(&leased, change, NOW).await, "not held any more");
    let effect = Effect::Changed { what: format!("granted to {}", ANN.1) };
    is_refused(store.settle(leased, Outcome::Done(effect), vec![], NOW, 0.5).await, "not held any more");
    let page = SweepStep::Page { users: 1, total: None, steps: vec![], next: Some(ANN.1.to_owned()), seen_at: NOW };
    for step in [begin(), page, SweepStep::Called] {
        is_refused(store.record_sweep(swept(step), NOW).await, "was forgotten");
    }
    let put = |shelf| Write::Put(Document { shelf, ..installed() });
    is_refused(store.write_documents(vec![put(Shelf::Onboarding)], vec![], NOW).await, "was forgotten");
    is_refused(store.write_documents(vec![], vec![noted()], NOW).await, "was forgotten");
    is_refused(store.note(noted(), NOW).await, "was forgotten");
    is_refused(store.intend_as_told(noted(), vec![], NOW).await, "was forgotten");
    let (app, of) = (None, account(ONE));
    let spent = store.day_spent(Spender::Person { app, account: &of }, &DayOf::Invitations, NOW).await;
    is_refused(spent, "was forgotten");
    let (rule, by) = (RuleName::parse("assist").unwrap(), Asker::Sweep);
    let (app, subject) = (AppName::parse("main").unwrap(), Subject::Meeting { id: MeetingId::from_number(1) });
    let asked = NewJob { app: app.clone(), account: account(ONE), rule, subject, by, event_at: None, on: None };
    is_refused(store.ask(vec![asked], "x", NOW).await, "was forgotten");

    assert_eq!(store.tree_head().await.unwrap().size, size, "no entry tells of any of it");
    for name in [ONE, ANN.0, ANN.1] {
        assert_eq!(traces(&store, folder.path(), name).await, Vec::<String>::new(), "{name}");
    }
    // Whoever installs the app again is served again.
    store.write_documents(vec![put(Shelf::Account), put(Shelf::Onboarding)], vec![noted()], NOW).await.unwrap();
    store.record_sweep(swept(begin()), NOW).await.unwrap();
    let leased = running(&store).await;
    assert!(leased.job.id.number() > u64::try_from(jobs_before).unwrap(), "no id is given twice");
    // So is one that the configuration names from now on.
    store.give_back(leased, NOW).await.unwrap();
    while store.cancel_jobs(&account(ONE), None, "x", NOW).await.unwrap() > 0 {}
    store.forget(&Forgotten::Account(account(ONE)), NOW, |_, _| {}).await.unwrap();
    is_refused(store.note(noted(), NOW).await, "was forgotten");
    store.release(&app, &account(ONE), NOW).await.unwrap();
    store.note(noted(), NOW).await.unwrap();
}

/// Forgets as far as the first file, and goes on when it is let.
async fn halfway(store: &LocalStore) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<Erased, StoreError>>) {
    while store.cancel_jobs(&account(ONE), None, "the school left", NOW).await.unwrap() > 0 {}
    let ((go_on, may), (tell, told)) = (mpsc::channel::<()>(), tokio::sync::oneshot::channel());
    let mut tell = Some(tell);
    let held = move |_: u64, _: u64| {
        if let Some(tell) = tell.take() {
            tell.send(()).unwrap();
            let _go_on = may.recv();
        }
    };
    let store = store.clone();
    let forgetting = async move { store.forget(&Forgotten::Account(account(ONE)), NOW, held).await };
    let forgetting = tokio::spawn(forgetting);
    told.await.unwrap();
    (go_on, forgetting)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_being_forgotten_can_come_again_only_when_that_is_done_and_is_kept_then() {
    let (folder, store) = planted().await;
    let (go_on, forgetting) = halfway(&store).await;
    let again = || store.write_documents(vec![Write::Put(installed())], vec![], NOW);
    is_refused(again().await, "is being forgotten: try again in some minutes");
    let released = store.release(&AppName::parse("main").unwrap(), &account(ONE), NOW).await;
    is_refused(released, "is being forgotten");
    is_refused(again().await, "is being forgotten: try again in some minutes");
    drop(go_on);
    forgetting.await.unwrap().unwrap();
    again().await.unwrap();
    store.abandon();
    let store = open(folder.path());
    is_finished(folder.path()).await;
    assert_eq!(store.documents(Shelf::Account).await.unwrap(), [installed()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_made_meanwhile_forgets_as_well_where_it_is_restored() {
    let (folder, store) = planted().await;
    let (go_on, forgetting) = halfway(&store).await;
    let (backup, restored) = (folder.path().join("backup"), folder.path().join("restored/data"));
    store.backup(&backup, |_, _| {}).await.unwrap();
    drop(go_on);
    forgetting.await.unwrap().unwrap();
    LocalStore::restore(&backup, &restored, &MasterKey::Bytes([7; 32]), &crate::store::local::Restore::default())
        .unwrap();
    let restored = folder.path().join("restored");
    let store = open(&restored);
    is_finished(&restored).await;
    for name in [ONE, ANN.1] {
        assert_eq!(traces(&store, &restored, name).await, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_of_a_job_is_given_twice_where_the_first_is_sealed_with_a_key_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = running(&store).await.job.id;
    store.core().keys.drop_key(&Owner::Account(account(ONE))).unwrap();
    store.abandon();
    let store = open(folder.path());
    assert_eq!(store.job(first).await.unwrap(), None, "nothing opens it");
    assert!(running(&store).await.job.id > first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_account_was_told_of_a_forgotten_one_stays_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let created = |of: &str| {
        format!(r#"{{"event":"account.created","payload":{{"account_id":"{of}","object":{{"id":"{ONE}"}}}}}}"#)
    };
    let mut told = Vec::new();
    for (body, account, verdict) in [
        (created(OTHER), Some(account(OTHER)), Verdict::Nothing),
        (created(OTHER), None, Verdict::Unclaimed { account: Some(account(OTHER)) }),
        (created(ONE), None, Verdict::Unclaimed { account: Some(account(ONE)) }),
        (format!("no JSON, and {ONE}"), None, Verdict::Unreadable { why: "x".to_owned() }),
    ] {
        let delivery = deliver(&store, body).await;
        let decision = Decision { delivery, account, event: "account.created".to_owned(), verdict };
        store.record_plan(vec![decision], NOW).await.unwrap();
        told.push(delivery);
    }
    let waits = deliver(&store, created(OTHER)).await;
    store.forget(&Forgotten::Account(account(ONE)), NOW, |_, _| {}).await.unwrap();
    told.push(waits);
    let mut kept = Vec::new();
    for delivery in told {
        let (stored, status) = store.delivery(delivery).await.unwrap().unwrap();
        kept.push((stored.verified.is_some(), matches!(status, crate::store::DeliveryStatus::Planned { .. })));
    }
    assert_eq!(kept, [(true, true), (true, false), (false, true), (false, true), (true, false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_the_writer_hears_when_it_ends() {
    let all: [fn(&LocalStore); 3] =
        [LocalStore::abandon, |store| store.close_now().unwrap(), |store| store.core().fail("x")];
    for ends in all {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let (tell, told) = mpsc::channel();
        *lock(&store.core().wanted) = Some(tell);
        ends(&store);
        assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}

fn reopened(folder: &Path) -> (LocalStore, OpenReport) {
    let (clock, chance) = (Arc::new(ManualClock::at(NOW)), Arc::new(SystemChance));
    let settings = Settings { disk_reserve_bytes: 0, ..Settings::default() };
    let key = MasterKey::Bytes([7; 32]);
    LocalStore::open(&folder.join("data"), settings, key, clock, chance, &mut |_, _, _| {}).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_forgetting_the_index_is_taken_as_it_is() {
    let (folder, store) = planted().await;
    while store.cancel_jobs(&account(ONE), None, "the school left", NOW).await.unwrap() > 0 {}
    store.forget(&Forgotten::Account(account(ONE)), NOW, |_, _| {}).await.unwrap();
    store.close().await.unwrap();
    let (_store, report) = reopened(folder.path());
    assert_eq!(report.rebuilt_index, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_names_a_forgotten_person_among_others_the_rest_is_in_the_journal_too() {
    let (folder, store) = planted().await;
    store.forget(&person(ANN), NOW, |_, _| {}).await.unwrap();
    let (notices, sweeps) = (store.notices().await.unwrap(), store.sweep_state(&account(ONE)).await.unwrap());
    assert!(notices.iter().any(|notice| notice.account == account(ONE)), "{notices:?}");
    store.close().await.unwrap();
    for gone in ["snapshots", "index"] {
        std::fs::remove_dir_all(folder.path().join("data").join(gone)).unwrap();
        std::fs::create_dir(folder.path().join("data").join(gone)).unwrap();
    }
    let (store, report) = reopened(folder.path());
    assert!(report.replayed > 100, "all was read");
    assert_eq!(store.notices().await.unwrap(), notices);
    assert_eq!(store.sweep_state(&account(ONE)).await.unwrap(), sweeps);
}

/// Real files, of which one is not removed before it may be, and it is known what is made.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) files: RealFiles,
    /// Whether `forgetting` may go.
    pub(super) may: Arc<(Mutex<bool>, Condvar)>,
    /// How often it cannot be removed then.
    pub(super) fails: AtomicU32,
    pub(super) made: Arc<Mutex<Vec<String>>>,
}

impl Files for Watched {
    fn make_dir(&self, dir: &str) -> io::Result<()> {
        self.files.make_dir(dir)
    }
    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        self.made.lock().unwrap().push(path.to_owned());
        self.files.create(path)
    }
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        self.files.open(path)
    }
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.files.list(dir)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        if path.ends_with("forgetting") {
            let (may, moved) = &*self.may;
            drop(moved.wait_while(may.lock().unwrap(), |may| !*may).unwrap());
            let less = self.fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if less.is_ok() {
                return Err(io::Error::other("the disk is ill"));
            }
        }
        self.files.remove(path)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.files.sync_dir(dir)
    }
    fn file_system(&self, dir: &str) -> io::Result<Option<Box<dyn FileSystem>>> {
        self.files.file_system(dir)
    }
    fn free_space(&self) -> io::Result<u64> {
        self.files.free_space()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_serves_while_it_finishes_a_forgetting_and_a_segment_without_a_trace_is_not_copied() {
    let (folder, store) = planted().await;
    while store.cancel_jobs(&account(ONE), None, "the school left", NOW).await.unwrap() > 0 {}
    let (core, mut plain) = (store.core(), Vec::new());
    record::put(&(Forgotten::Account(account(ONE)), NOW), &mut plain);
    let sealed = core.keys.store().seal(Purpose::Aside, &[&plain], core.keys.chance());
    place::replace(core.files.as_ref(), FILE, &sealed).unwrap();
    store.close().await.unwrap();

    let data = folder.path().join("data");
    let (may, made) = (Arc::<(Mutex<bool>, Condvar)>::default(), Arc::<Mutex<Vec<String>>>::default());
    let (files, fails) = (RealFiles::new(&data), AtomicU32::new(0));
    let files = Watched { files, may: Arc::clone(&may), fails, made: Arc::clone(&made) };
    let (clock, chance) = (Arc::new(ManualClock::at(NOW)), Arc::new(SystemChance));
    let settings = Settings { disk_reserve_bytes: 0, ..Settings::default() };
    let key = MasterKey::Bytes([7; 32]);
    let opened = LocalStore::open_on(Arc::new(files), data.join("index"), settings, key, clock, chance);
    let store = opened.unwrap().0;
    tell(&store, OTHER, JIM, 7_000).await;
    is_refused(store.note(noted(), NOW).await, "is being forgotten");
    *may.0.lock().unwrap() = true;
    may.1.notify_all();
    is_finished(folder.path()).await;
    assert_eq!(traces(&store, folder.path(), ONE).await, Vec::<String>::new());
    assert!(!said(&store, JIM.1).await.is_empty());

    made.lock().unwrap().clear();
    let nobody = Forgotten::Person { account: account(OTHER), id: UserId::parse("nobody").ok(), email: None };
    // What tells that it was forgotten is in one of them.
    assert_eq!(store.forget(&nobody, NOW, |_, _| {}).await.unwrap(), Erased { records: 1, segments: 1 });
    let is_copy = |path: &&String| path.contains("journal/") && path.ends_with(".seg.tmp");
    let copies = made.lock().unwrap().iter().filter(is_copy).count();
    assert!(
        copies == 1 && store.core().reader.segments().len() > 2,
        "{copies} of {:?}",
        store.core().reader.segments()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_was_added_for_a_forgotten_account_goes_with_it_and_another_of_its_name_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let app = |name: &str| AppName::parse(name).unwrap();
    let deliver_to = async |name: &str, n: u64| {
        let text = format!(r#"{{"n":{n},"payload":{{"account_id":"{ONE}"}}}}"#);
        let verified = Verified::reread(text.into(), NOW.as_secs(), None);
        let new = NewDelivery { app: app(name), received_at: NOW, verified };
        store.deliver(new).await.unwrap().delivery()
    };
    let value = b"{}".to_vec();
    let its_app = Document { shelf: Shelf::App, key: "school".to_owned(), account: Some(account(ONE)), value };
    store.write_documents(vec![Write::Put(installed()), Write::Put(its_app)], vec![], NOW).await.unwrap();
    for name in ["first", "school", "last"] {
        store.validated(&app(name), NOW).await.unwrap();
    }
    let (first, school) = (deliver_to("first", 1).await, deliver_to("school", 2).await);
    // It says of no account that it is its own.
    let unsaid = NewDelivery {
        app: app("school"),
        received_at: NOW,
        verified: Verified::reread("{}".into(), NOW.as_secs(), None),
    };
    let unsaid = store.deliver(unsaid).await.unwrap().delivery();
    let body = Verified::reread(format!(r#"{{"payload":{{"account_id":"{OTHER}"}}}}"#).into(), NOW.as_secs(), None);
    let last = NewDelivery { app: app("last"), received_at: NOW, verified: body };
    let last = store.deliver(last).await.unwrap().delivery();
    store.forget(&Forgotten::Account(account(ONE)), NOW, |_, _| {}).await.unwrap();
    let waiting = |all: Vec<crate::store::StoredDelivery>| -> Vec<(DeliveryId, String)> {
        all.into_iter().map(|one| (one.id, one.app.to_string())).collect()
    };
    assert_eq!(waiting(store.unplanned(&[], 9).await.unwrap()), [(last, "last".to_owned())]);
    for gone in [first, school, unsaid] {
        assert_eq!(store.delivery(gone).await.unwrap().unwrap().0.verified, None, "{gone}");
    }
    let owners = String::from_utf8(store.core().keys.owners()).unwrap();
    assert!(!owners.contains("school") && owners.contains("first"), "{owners}");
    let validated = async |store: &LocalStore, name: &str| store.app_state(&app(name)).await.unwrap().validated_at;
    for name in ["first", "last"] {
        assert_eq!(validated(&store, name).await, Some(NOW), "{name}");
    }
    assert_eq!(validated(&store, "school").await, None);
    deliver_to("school", 3).await;
    store.abandon();
    let store = open(folder.path());
    let after: Vec<String> = waiting(store.unplanned(&[], 9).await.unwrap()).into_iter().map(|one| one.1).collect();
    assert_eq!(after, ["last", "school"]);
    assert_eq!(validated(&store, "school").await, None);
}
