//! A full disk, and one that fails.

use std::time::Duration;

use adjutant::store::local::Settings;
use adjutant::store::{Limits, Note, Store, StoreError};

use super::kit::{self, Disk, Folder, answers, deliver, fill, settings};
use crate::contract::kit::START;

fn note() -> Note {
    let (kind, code) = (adjutant::audit::Kind::Service, "reloaded".to_owned());
    Note { kind, app: None, account: None, code, detail: adjutant::audit::Detail::note("new rules") }
}

/// Bodies that do not fit into what is left of the segment, while no other can be made.
async fn deliver_until_refused(store: &adjutant::store::LocalStore) -> (usize, StoreError) {
    for n in 0..1000 {
        let body = format!("{{\"n\":{n},\"p\":\"{}\"}}", "p".repeat(8000));
        if let Err(error) = deliver(store, &body).await {
            return (n, error);
        }
    }
    panic!("a full disk took 8 MB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_deliveries_are_refused_and_the_rest_waits_until_there_is_room() {
    let disk = Disk::new(1);
    let store = disk.open_with(Limits::default()).unwrap();
    deliver(&store, "{\"n\":\"first\"}").await.unwrap();
    disk.files.set_copy_on_write(true);
    disk.files.set_free(100 << 10);
    let (taken, error) = deliver_until_refused(&store).await;
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(taken > 3);
    assert!(matches!(deliver(&store, "{}").await, Err(StoreError::Full)), "while it is stalled the answer is at once");
    assert_eq!(store.status().await.unwrap().refusing.as_deref(), Some("the disk is full"));
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.note(note(), START).await }
    });
    assert!(tokio::time::timeout(Duration::from_millis(50), store.changed().changed()).await.is_err());
    assert!(!waiting.is_finished(), "what is not a delivery waits");
    disk.files.set_free(u64::MAX / 2);
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap().unwrap();
    deliver(&store, "{\"n\":\"last\"}").await.unwrap();
    assert_eq!(store.status().await.unwrap().refusing, None);
    let before = answers(&store).await;
    store.abandon();
    let after = disk.cut().open_with(Limits::default()).unwrap();
    kit::assert_same(&before, &answers(&after).await);
}

#[tokio::test]
async fn below_the_reserve_deliveries_are_refused_and_jobs_still_settle() {
    let disk = Disk::new(2);
    let store = disk.open(Settings { disk_reserve_bytes: 1 << 30, ..settings(Limits::default()) }).unwrap().0;
    fill(&store, "before", 2).await;
    store.close().await.unwrap();
    disk.files.set_free(100 << 20);
    let store = disk.open(Settings { disk_reserve_bytes: 1 << 30, ..settings(Limits::default()) }).unwrap().0;
    assert!(matches!(deliver(&store, "{}").await, Err(StoreError::Full)));
    let settled = kit::work_one(&store, crate::contract::kit::changed()).await.unwrap();
    assert!(settled.is_some());
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_and_a_start_finds_all_that_was() {
    for seed in 0..20 {
        let disk = Disk::new(seed);
        let store = disk.open_with(Limits::default()).unwrap();
        fill(&store, "before", 3).await;
        let before = answers(&store).await;
        disk.files.fail_syncs(1);
        let error = deliver(&store, "{\"n\":1}").await.unwrap_err();
        assert!(matches!(error, StoreError::Failed(_)), "seed {seed}: {error:?}");
        assert!(matches!(deliver(&store, "{\"n\":2}").await, Err(StoreError::Failed(_))), "seed {seed}");
        assert!(matches!(store.status().await, Err(StoreError::Failed(_))), "seed {seed}");
        assert!(store.failure().borrow().is_some(), "seed {seed}");
        assert!(store.close().await.is_err(), "seed {seed}");
        let disk = disk.cut();
        let store = disk.open_with(Limits::default()).unwrap();
        let after = answers(&store).await;
        // The delivery that was not acknowledged may be there.
        let kept = after.iter().filter(|line| before.contains(line)).count();
        assert!(kept >= before.len() - 2, "seed {seed}: {kept} of {} lines", before.len());
        assert!(store.verify(|_, _| {}).await.unwrap().findings.is_empty(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_closes_at_the_same_time_comes_back_when_the_store_is_closed() {
    let folder = Folder::new();
    for _ in 0..10 {
        let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
        fill(&store, "some", 5).await;
        let closing: Vec<_> = (0..4)
            .map(|_| {
                let (store, path) = (store.clone(), folder.path());
                tokio::spawn(async move {
                    store.close().await.unwrap();
                    // The folder is free for the next.
                    let held = std::fs::File::open(path.join("lock")).unwrap();
                    held.try_lock_shared().is_ok()
                })
            })
            .collect();
        for one in closing {
            assert!(one.await.unwrap(), "it came back while the store was closing");
        }
    }
}
