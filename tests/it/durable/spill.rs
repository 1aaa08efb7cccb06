//! Fingerprints beyond what is kept in memory.

use std::collections::BTreeSet;

use adjutant::ids::DeliveryId;
use adjutant::store::local::Settings;
use adjutant::store::{Limits, LocalStore, Store, StoredDelivery};

use super::kit::{Folder, new_delivery, settings};

/// More than two generations of 65,536.
const MANY: u64 = 140_000;

async fn deliver_many(store: &LocalStore) {
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in (task..MANY).step_by(64) {
                    let request = format!("request-{n}");
                    store.deliver(new_delivery(&format!("{{\"n\":{n}}}"), Some(&request))).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn again(store: &LocalStore, body: &str, request: &str) -> StoredDelivery {
    let id = store.deliver(new_delivery(body, Some(request))).await.unwrap().delivery();
    store.delivery(id).await.unwrap().unwrap().0
}

/// The oldest bodies and request ids, and newer ones.
async fn all_are_known(store: &LocalStore) {
    let mut found = BTreeSet::new();
    for n in [0, 63, 64, 65_000, 66_000, MANY - 1] {
        let same = again(store, &format!("{{\"n\":{n}}}"), "new").await;
        let of = same.duplicate_of.unwrap_or_else(|| panic!("body {n} is not known"));
        let other = again(store, &format!("{{\"other\":{n}}}"), &format!("request-{n}")).await;
        assert!(found.insert(of), "{of} twice");
        assert_eq!((other.duplicate_of, other.same_request_as), (None, Some(of)), "request id {n}");
    }
    assert!(again(store, "{\"never\":1}", "never").await.duplicate_of.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_and_request_ids_that_memory_has_no_room_for_are_still_known() {
    let folder = Folder::new();
    let few = || Settings { dedupe_memory_max: 1, snapshot_every_bytes: 16 << 20, ..settings(Limits::default()) };
    let few = || Settings { journal: adjutant::store::journal::Settings { segment_bytes: 16 << 20 }, ..few() };
    let (store, _) = folder.try_open(few()).unwrap();
    deliver_many(&store).await;
    // The index has taken in all of it when this returns.
    store.delivery(DeliveryId::from_number(1)).await.unwrap().unwrap();
    let spilled = || std::fs::read_dir(folder.path().join("index/prints")).unwrap().count();
    assert_eq!(spilled(), 2);
    all_are_known(&store).await;
    let digest = store.index_digest();
    store.close().await.unwrap();
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, report) = folder.try_open(few()).unwrap();
    assert!(report.rebuilt_index.is_some());
    assert_eq!((spilled(), store.index_digest()), (2, digest));
    store.abandon();
    std::fs::write(folder.path().join("index/prints/00000000000000000000.prints"), "damage").unwrap();
    let (store, report) = folder.try_open(few()).unwrap();
    assert!(report.rebuilt_index.is_some_and(|why| why.contains("fingerprints")));
    let same = again(&store, "{\"n\":7}", "new").await;
    assert!(same.duplicate_of.is_some());
}
