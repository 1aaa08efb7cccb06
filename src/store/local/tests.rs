//! What only somebody inside can do to a store: interrupt a unit, end a thread, hold up a pruning.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{LocalStore, MasterKey, Restore, Settings, lock, threads};
use crate::audit::{Detail, Kind};
use crate::chance::SystemChance;
use crate::clock::{ManualClock, Timestamp};
use crate::event::signature::Verified;
use crate::ids::{AccountId, AppName, DeliveryId};
use crate::store::journal::files::RealFiles;
use crate::store::port::{Decision, NewDelivery, Note, Receipt, Store, StoreError, Verdict};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn open(folder: &Path) -> LocalStore {
    let (clock, chance) = (Arc::new(ManualClock::at(NOW)), Arc::new(SystemChance));
    let settings = Settings { disk_reserve_bytes: 0, ..Settings::default() };
    LocalStore::open(folder, settings, MasterKey::Bytes([7; 32]), clock, chance, &mut |_, _, _| {}).unwrap().0
}

async fn deliver(store: &LocalStore, body: &str) -> Result<DeliveryId, StoreError> {
    let verified = Verified::reread(body.to_owned().into(), NOW.as_secs(), None);
    let delivery = NewDelivery { app: AppName::parse("main").unwrap(), received_at: NOW, verified };
    store.deliver(delivery).await.map(Receipt::delivery)
}

fn note() -> Note {
    let detail = Detail::note("half");
    Note { kind: Kind::Service, app: None, account: None, code: "half".to_owned(), detail }
}

#[tokio::test]
async fn half_a_unit_is_neither_written_nor_built_upon() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    deliver(&store, "{}").await.unwrap();
    let before = store.tree_head().await.unwrap();
    let interrupted = catch_unwind(AssertUnwindSafe(|| {
        store.core().begin(false, |state| -> Result<(), StoreError> {
            state.note(&note(), NOW);
            // Its record is among those that wait for the writer.
            state.end_unit();
            panic!("on purpose");
        })
    }));
    assert!(interrupted.is_err());
    // Not one that asks first: the writer finds it by itself.
    assert!(matches!(store.close_now(), Err(StoreError::Failed(_))));
    let store = open(folder.path());
    assert_eq!(store.tree_head().await.unwrap(), before);

    let interrupted = catch_unwind(AssertUnwindSafe(|| {
        store.core().begin(false, |_| -> Result<(), StoreError> { panic!("on purpose") })
    }));
    assert!(interrupted.is_err());
    assert!(matches!(store.status().await, Err(StoreError::Failed(_))), "what is half is not read either");
    assert!(matches!(deliver(&store, "{}").await, Err(StoreError::Failed(_))));
    assert!(store.failure().borrow().is_some());
}

#[tokio::test]
async fn a_thread_that_panics_fails_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ended = threads::start(store.core(), "of-a-test", || panic!("on purpose")).unwrap();
    assert!(ended.join().is_err());
    let why = "a defect in adjutant ended the thread store-of-a-test";
    assert_eq!(store.failure().borrow().as_deref(), Some(why));
    assert!(matches!(deliver(&store, "{}").await, Err(StoreError::Failed(_))), "it is answered, and at once");
    assert!(matches!(store.close_now(), Err(StoreError::Failed(_))));
}

#[tokio::test]
async fn a_change_is_told_also_where_nobody_waits_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let account = AccountId::parse("acc").unwrap();
    store.core().ensure_account_key(&account).await.unwrap();
    let delivery = deliver(&store, "{}").await.unwrap();
    let mut changed = store.changed();
    changed.borrow_and_update();
    let (event, verdict) = ("user.created".to_owned(), Verdict::Nothing);
    let decision = Decision { delivery, account: Some(account), event, verdict };
    {
        let mut planning = pin!(store.record_plan(vec![decision], NOW));
        let _on_its_way = planning.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    assert!(changed.has_changed().unwrap());
    // Behind that plan, so that it is on disk.
    store.note(note(), NOW).await.unwrap();
    changed.borrow_and_update();
    {
        let mut replaying = pin!(store.replay(delivery, "jill", NOW));
        let _on_its_way = replaying.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    tokio::time::timeout(Duration::from_secs(30), changed.changed()).await.unwrap().unwrap();
    assert_eq!(store.unplanned(&[], 9).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_is_not_let_go_of_while_a_segment_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let core = Arc::clone(store.core());
    let pruning = crate::clock::lock(&core.rewriting);
    let (tell, told) = mpsc::channel();
    let closing = std::thread::spawn(move || tell.send(store.close_now()));
    assert!(told.recv_timeout(Duration::from_millis(100)).is_err(), "it waits for the pruning");
    assert!(lock::take(folder.path()).unwrap().is_none());
    drop(pruning);
    closing.join().unwrap().unwrap();
    told.recv().unwrap().unwrap();
    assert!(lock::take(folder.path()).unwrap().is_some());
}

/// A store whose index has a folder of its own, for a test to take away.
fn open_beside(folder: &Path, clock: &Arc<ManualClock>) -> LocalStore {
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let (files, chance) = (Arc::new(RealFiles::new(folder.join("data"))), Arc::new(SystemChance));
    let settings = Settings { disk_reserve_bytes: 0, ..Settings::default() };
    let (index, clock) = (folder.join("beside/index"), Arc::clone(clock));
    LocalStore::open_on(files, index, settings, MasterKey::Bytes([7; 32]), clock, chance).unwrap().0
}

/// Delivers, and lets the applier see it.
async fn deliver_and_apply(store: &LocalStore, body: &str) -> DeliveryId {
    let id = deliver(store, body).await.unwrap();
    while store.core().index.waiting.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    id
}

async fn until_applied(store: &LocalStore) {
    let target = store.core().synced_next();
    store.core().applied.subscribe().wait_for(|next| *next >= target).await.unwrap();
}

#[tokio::test]
async fn an_index_that_cannot_be_written_is_tried_now_and_then_and_told_and_heals_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let beside = folder.path().join("beside");
    let clock = Arc::new(ManualClock::at(NOW));
    let store = open_beside(folder.path(), &clock);
    let first = deliver(&store, "{\"n\":0}").await.unwrap();
    until_applied(&store).await;
    assert_eq!(store.status().await.unwrap().index_trouble, None);

    std::fs::remove_dir_all(&beside).unwrap();
    std::fs::write(&beside, "no folder").unwrap();
    store.core().index.found_broken("on purpose");
    for n in 1..200 {
        deliver_and_apply(&store, &format!("{{\"n\":{n}}}")).await;
    }
    let status = store.status().await.unwrap();
    let trouble = status.index_trouble.unwrap();
    assert_eq!((trouble.failed, trouble.since), (1, NOW), "however many deliveries come: {}", trouble.why);
    assert_eq!((status.deliveries, status.index_lag, status.refusing), (200, 200, None));
    let listed = store.delivery(first).await;
    assert!(matches!(&listed, Err(StoreError::Behind(why)) if why.contains("cannot be built")), "{listed:?}");
    store.close().await.unwrap();

    let store = open_beside(folder.path(), &clock);
    assert_eq!(store.status().await.unwrap().index_trouble.map(|trouble| trouble.failed), Some(1), "it starts without");
    let last = deliver_and_apply(&store, "{\"n\":0}").await;
    std::fs::remove_file(&beside).unwrap();
    clock.advance(Duration::from_secs(1));
    until_applied(&store).await;
    let status = store.status().await.unwrap();
    assert_eq!((status.index_trouble, status.index_lag), (None, 0));
    assert_eq!(store.delivery(last).await.unwrap().unwrap().0.duplicate_of, Some(first));
    let digest = store.index_digest();
    store.close().await.unwrap();
    let whole = open_beside(folder.path(), &clock);
    assert_eq!(whole.index_digest(), digest);
    std::fs::remove_dir_all(&beside).unwrap();
}

/// On a runtime whose one thread for what blocks is busy until `release` is told to.
fn with_blocking_held<F: Future<Output = ()>>(test: impl FnOnce(LocalStore, mpsc::Sender<()>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let store = open(folder.path());
        deliver(&store, "{}").await.unwrap();
        let (release, held) = mpsc::channel();
        let _busy = tokio::task::spawn_blocking(move || held.recv());
        test(store, release).await;
    });
}

fn begun<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

#[test]
fn what_is_unplanned_is_read_where_it_may_block() {
    with_blocking_held(async |store, release| {
        let mut unplanned = pin!(store.unplanned(&[], 9));
        assert!(begun(unplanned.as_mut()).is_none(), "it was read on the thread that asked");
        release.send(()).unwrap();
        assert_eq!(unplanned.await.unwrap().len(), 1);
    });
}

#[test]
fn fingerprints_are_read_from_files_outside_the_lock_and_duplicates_are_found_all_the_same() {
    with_blocking_held(async |store, release| {
        // A generation without a filter: its file is asked for whatever comes.
        crate::clock::lock(&store.core().guarded).state.dedupe.spilled_without_filter(7, NOW);
        let mut one = pin!(deliver(&store, "{\"n\":1}"));
        let mut other = pin!(deliver(&store, "{\"n\":1}"));
        assert!(begun(one.as_mut()).is_none());
        assert!(begun(other.as_mut()).is_none());
        assert_eq!(store.status().await.unwrap().deliveries, 1, "the lock is free, and neither was taken yet");
        release.send(()).unwrap();
        let (one, other) = tokio::join!(one, other);
        let (one, other) = (one.unwrap(), other.unwrap());
        let all = store.unplanned(&[], 9).await.unwrap();
        let of = |id: DeliveryId| all.iter().find(|kept| kept.id == id).unwrap().duplicate_of;
        assert_eq!((of(one.min(other)), of(one.max(other))), (None, Some(one.min(other))));
    });
}

#[tokio::test]
async fn what_a_store_and_its_copies_make_is_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (data, copy, restored) = ("deep/data", "copies/copy", "again/restored");
    let (data, copy, restored) = (folder.path().join(data), folder.path().join(copy), folder.path().join(restored));
    let store = open(&data);
    deliver(&store, "{}").await.unwrap();
    store.keep_aside("ledger", vec![1]).await.unwrap();
    store.backup(&copy, |_, _| {}).await.unwrap();
    store.close().await.unwrap();
    LocalStore::restore(&copy, &restored, &MasterKey::Bytes([7; 32]), &Restore::default()).unwrap();
    let mut looked = 0;
    for root in [&data, &copy, &restored] {
        let mut paths = vec![root.parent().unwrap().to_owned()];
        while let Some(path) = paths.pop() {
            let found = std::fs::metadata(&path).unwrap();
            assert_eq!(found.permissions().mode() & 0o077, 0, "{}", path.display());
            looked += 1;
            // Nobody else gets to what sled makes in its folder.
            if found.is_dir() && !path.ends_with("index") {
                paths.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }
    assert!(looked > 20, "{looked}");
}
