//! Pruning: bodies go, everything else stays.

use std::time::Duration;

use adjutant::audit::tree::leaf_hash;
use adjutant::ids::DeliveryId;
use adjutant::store::local::Before;
use adjutant::store::{Limits, Store, StoreError};

use super::kit::{Folder, answers, assert_same, decision, fill, settings};
use crate::contract::kit::START;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_pruning_a_rebuilt_index_equals_the_one_before_and_the_log_verifies() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "old", 150).await;
    // The index has taken in all of it when this returns.
    let first = DeliveryId::from_number(1);
    assert!(store.delivery(first).await.unwrap().unwrap().0.verified.is_some());
    let (digest, head) = (store.index_digest().unwrap(), store.tree_head().await.unwrap());
    let pruned = store.prune(Before::bodies(START.plus(Duration::from_secs(1))), |_, _| {}).await.unwrap();
    assert!(pruned.bodies > 300 && pruned.segments > 1 && pruned.bytes > 100_000, "{pruned:?}");
    assert!(store.delivery(first).await.unwrap().unwrap().0.verified.is_none());
    let again = store.prune(Before::bodies(START.plus(Duration::from_secs(1))), |_, _| {}).await.unwrap();
    assert_eq!(again.bodies, 0);
    assert!(matches!(store.replay(first, "jill", START).await, Err(StoreError::Conflict(_))));
    let unplanned = store.unplanned(&[], usize::MAX).await.unwrap();
    assert!(!unplanned.is_empty() && unplanned.iter().all(|delivery| delivery.verified.is_some()));
    let verified = store.verify(|_, _| {}).await.unwrap();
    assert_eq!((verified.findings, verified.head), (Vec::new(), head));
    assert_eq!(store.index_digest().unwrap(), digest);
    let before = answers(&store).await;
    store.close().await.unwrap();
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, report) = folder.try_open(settings(Limits::default())).unwrap();
    assert!(report.rebuilt_index.is_some());
    assert_eq!(store.index_digest().unwrap(), digest);
    assert_same(&before, &answers(&store).await);
}

#[tokio::test]
async fn what_is_not_planned_yet_and_what_is_newer_keeps_its_body() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "some", 60).await;
    let pruned = store.prune(Before::bodies(START), |_, _| {}).await.unwrap();
    assert_eq!(pruned.bodies, 0, "all of it came at this moment, not before");
    store.close().await.unwrap();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    let waiting: Vec<DeliveryId> =
        store.unplanned(&[], usize::MAX).await.unwrap().into_iter().map(|delivery| delivery.id).collect();
    store.prune(Before::bodies(START.plus(Duration::from_secs(1))), |_, _| {}).await.unwrap();
    for id in waiting {
        let (stored, _) = store.delivery(id).await.unwrap().unwrap();
        assert!(stored.verified.is_some(), "{id}");
        store.record_plan(vec![decision(id, adjutant::store::Verdict::Nothing)], START).await.unwrap();
    }
    assert!(store.prune(Before::bodies(START.plus(Duration::from_secs(1))), |_, _| {}).await.unwrap().bodies > 0);
}

#[tokio::test]
async fn a_pruned_body_is_still_known_as_a_duplicate() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "some", 1).await;
    let (stored, _) = store.delivery(DeliveryId::from_number(1)).await.unwrap().unwrap();
    let body = stored.verified.unwrap().body().clone();
    store.close().await.unwrap();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    assert!(store.prune(Before::bodies(START.plus(Duration::from_secs(1))), |_, _| {}).await.unwrap().bodies > 0);
    let again = super::kit::deliver(&store, std::str::from_utf8(&body).unwrap()).await.unwrap();
    let (again, _) = store.delivery(again).await.unwrap().unwrap();
    assert_eq!(again.duplicate_of, Some(DeliveryId::from_number(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_replayed_while_bodies_are_pruned_keeps_its_body_or_is_refused() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "old", 150).await;
    let ids = || (1..=600).step_by(7).map(DeliveryId::from_number);
    let pruning = tokio::spawn({
        let store = store.clone();
        async move { store.prune(Before::bodies(START.plus(Duration::from_secs(1))), |_, _| {}).await }
    });
    let mut kept = Vec::new();
    for id in ids() {
        match store.replay(id, "jill", START).await {
            Ok(()) => kept.push(id),
            Err(StoreError::Conflict(why)) => assert_eq!(why, format!("the body of {id} was pruned")),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(pruning.await.unwrap().unwrap().bodies > 0);
    for id in kept {
        assert!(store.delivery(id).await.unwrap().unwrap().0.verified.is_some(), "{id}");
    }
}

#[tokio::test]
async fn an_entry_that_is_old_says_when_and_of_what_kind_and_no_more_and_the_log_verifies() {
    let folder = Folder::new();
    let store = folder.open_with(Limits::default());
    fill(&store, "some", 200).await;
    let (before, head) = (store.entries(0, 100_000).await.unwrap(), store.tree_head().await.unwrap());
    let pruned = Before { bodies: START, entries: START.plus(Duration::from_secs(1)) };
    let done = store.prune(pruned, |_, _| {}).await.unwrap();
    assert!(done.entries > 100 && done.bytes > 0 && done.bodies == 0, "{done:?}");
    assert_eq!(store.prune(pruned, |_, _| {}).await.unwrap().segments, 0, "once");
    let after = store.entries(0, 100_000).await.unwrap();
    let gone = after.iter().filter(|entry| entry.code == "pruned").count();
    assert_eq!(u64::try_from(gone).unwrap(), done.entries);
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((old.index, old.at, old.kind, old.leaf), (new.index, new.at, new.kind, new.leaf));
        assert!(new.code != "pruned" || (new.detail.is_none() && new.job.is_none() && new.account.is_none()));
    }
    let lines = store.leaves(0, usize::MAX, true).await.unwrap().lines;
    for (entry, line) in after.iter().zip(&lines) {
        let hash = line.as_deref().map(leaf_hash);
        assert_eq!(hash, Some(entry.leaf).filter(|_| entry.code != "pruned"), "{entry:?}");
    }
    assert_eq!(lines.len(), after.len());
    let verified = store.verify(|_, _| {}).await.unwrap();
    assert_eq!((verified.head, verified.forgotten), (head, done.entries));
    assert_eq!(verified.findings, []);
    store.close().await.unwrap();
    let store = folder.open_with(Limits::default());
    assert_eq!(store.entries(0, 100_000).await.unwrap(), after);
}
