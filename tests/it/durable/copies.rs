//! Backups, and what is restored from them.

use adjutant::store::local::{CopyError, MasterKey, OpenError, Restore, Settings};
use adjutant::store::{DeliveryFilter, Limits, LocalStore, Store};

use super::kit::{Folder, MASTER, answers, assert_same, fill, open_at, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_store_in_use_restores_to_the_same_answers() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "some", 60).await;
    let before = answers(&store).await;
    let (copy, restored) = (folder.path().with_extension("copy"), folder.path().with_extension("restored"));
    let busy = tokio::spawn({
        let store = store.clone();
        async move { fill(&store, "meanwhile", 30).await }
    });
    let backup = store.backup(&copy, |_, _| {}).await.unwrap();
    busy.await.unwrap();
    assert!(backup.records > 200 && backup.up_to_record == backup.records, "{backup:?}");
    assert!(matches!(store.backup(&copy, |_, _| {}).await, Err(CopyError::NotEmpty(_))));
    let verified = LocalStore::verify_folder(&copy, &MasterKey::Bytes(MASTER), &[], &mut |_, _| {});
    assert_eq!(verified.unwrap().findings, Vec::new());
    LocalStore::restore(&copy, &restored, &MasterKey::Bytes(MASTER), &Restore::default()).unwrap();
    assert!(matches!(
        LocalStore::restore(&copy, &restored, &MasterKey::Bytes(MASTER), &Restore::default()),
        Err(CopyError::NotEmpty(_))
    ));
    let (back, report) = open_at(&restored, settings(Limits::default())).unwrap();
    assert!(report.clean, "{report:?}");
    // All of before is there; what came meanwhile may be, and a job may have been worked meanwhile.
    let what = |line: &String| line.split(", attempts: ").next().unwrap().to_owned();
    let after: std::collections::BTreeSet<String> = answers(&back).await.iter().map(what).collect();
    let lost: Vec<&String> = before.iter().rev().skip(2).filter(|line| !after.contains(&what(line))).collect();
    assert!(lost.is_empty(), "{lost:?}");
    fill(&back, "afterwards", 3).await;
    assert!(back.verify(|_, _| {}).await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn a_backup_of_a_store_at_rest_is_the_same_store() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "some", 30).await;
    let (before, copy) = (answers(&store).await, folder.path().with_extension("copy"));
    store.backup(&copy, |_, _| {}).await.unwrap();
    store.close().await.unwrap();
    let (back, _) = open_at(&copy, settings(Limits::default())).unwrap();
    assert_same(&before, &answers(&back).await);
}

/// What is on a disk that cannot be written can be verified and restored: nothing is made or changed there.
#[tokio::test]
async fn a_backup_is_verified_and_restored_without_a_write_to_it() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "some", 30).await;
    let (copy, restored) = (folder.path().with_extension("copy"), folder.path().with_extension("restored"));
    store.backup(&copy, |_, _| {}).await.unwrap();
    let there = || {
        let inside = std::fs::read_dir(&copy).unwrap().map(Result::unwrap);
        let mut inside: Vec<_> =
            inside.map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap())).collect();
        inside.sort();
        (inside, copy.metadata().unwrap().modified().unwrap())
    };
    let before = there();
    assert!(before.0.iter().all(|(name, _)| name != "lock"));
    let verified = LocalStore::verify_folder(&copy, &MasterKey::Bytes(MASTER), &[], &mut |_, _| {});
    assert_eq!(verified.unwrap().findings, Vec::new());
    LocalStore::restore(&copy, &restored, &MasterKey::Bytes(MASTER), &Restore::default()).unwrap();
    assert_eq!(there(), before);
}

#[tokio::test]
async fn a_copy_that_was_interrupted_is_called_that_and_none_is_made_in_the_store_itself() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "some", 30).await;
    for within in [folder.path().join("journal/copy"), folder.path().join("index/../copy"), folder.path()] {
        let refused = store.backup(&within, |_, _| {}).await;
        assert!(matches!(refused, Err(CopyError::Within(_))), "{}: {refused:?}", within.display());
    }
    let (copy, restored) = (folder.path().with_extension("copy"), folder.path().with_extension("restored"));
    store.backup(&folder.path().join("..").join(copy.file_name().unwrap()), |_, _| {}).await.unwrap();
    assert!(!copy.join("unfinished").exists());
    // As a kill in the midst of it leaves it.
    std::fs::remove_file(copy.join("format")).unwrap();
    std::fs::remove_file(copy.join("keys")).unwrap();
    std::fs::write(copy.join("unfinished"), "").unwrap();
    let is_told = |error: &dyn std::fmt::Display| error.to_string().contains("an unfinished copy: a backup");
    assert!(is_told(&store.backup(&copy, |_, _| {}).await.unwrap_err()));
    let key = MasterKey::Bytes(MASTER);
    assert!(is_told(&LocalStore::verify_folder(&copy, &key, &[], &mut |_, _| {}).unwrap_err()));
    assert!(is_told(&LocalStore::restore(&copy, &restored, &key, &Restore::default()).unwrap_err()));
    assert!(is_told(&open_at(&copy, settings(Limits::default())).unwrap_err()));
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    fill(&store, "some", 30).await;
    let copy = folder.path().with_extension("copy");
    store.backup(&copy, |_, _| {}).await.unwrap();
    let segment = super::damage::first_segment(&copy);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[5000] ^= 4;
    std::fs::write(&segment, bytes).unwrap();
    let restored = folder.path().with_extension("restored");
    let refused = LocalStore::restore(&copy, &restored, &MasterKey::Bytes(MASTER), &Restore::default());
    assert!(matches!(refused, Err(CopyError::Damaged(_))), "{refused:?}");
    assert!(!restored.exists() || std::fs::read_dir(&restored).unwrap().next().is_none());
    let unopened = LocalStore::restore(&copy, &restored, &MasterKey::Bytes([1; 32]), &Restore::default());
    let told = "the master key is not the one that this store is sealed with";
    assert!(unopened.as_ref().is_err_and(|error| error.to_string().starts_with(told)), "{unopened:?}");
    assert!(!restored.exists() || std::fs::read_dir(&restored).unwrap().next().is_none());
    std::fs::remove_file(copy.join("format")).unwrap();
    assert!(matches!(
        LocalStore::restore(&copy, &restored, &MasterKey::Bytes(MASTER), &Restore::default()),
        Err(CopyError::NoStore(_))
    ));
    let other = MasterKey::Bytes([1; 32]);
    let wrong = LocalStore::verify_folder(&folder.path(), &other, &[], &mut |_, _| {});
    assert!(matches!(wrong, Err(OpenError::InUse(_))), "{wrong:?}");
}

#[tokio::test]
async fn a_backup_of_a_damaged_store_holds_the_rest_and_says_what_is_missing() {
    let folder = Folder::new();
    let store = folder.open_with(Limits::default());
    fill(&store, "some", 60).await;
    store.close().await.unwrap();
    let segment = super::damage::first_segment(&folder.path());
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[9000] ^= 16;
    std::fs::write(&segment, bytes).unwrap();
    let accepting = Settings { accept_damage: true, ..settings(Limits::default()) };
    let (store, _) = folder.try_open(accepting.clone()).unwrap();
    fill(&store, "afterwards", 3).await;
    let (head, copy) = (store.tree_head().await.unwrap(), folder.path().with_extension("copy"));
    let backup = store.backup(&copy, |_, _| {}).await.unwrap();
    assert_eq!(backup.missing.len(), 1, "{backup:?}");
    assert!(backup.missing[0].contains("is damaged from byte"), "{backup:?}");
    assert_eq!(backup.records, backup.up_to_record, "every record has its number in the copy");
    let newest = store.deliveries(DeliveryFilter { limit: 1, ..DeliveryFilter::default() }).await.unwrap().remove(0);
    let restored = folder.path().with_extension("restored");
    LocalStore::restore(&copy, &restored, &MasterKey::Bytes(MASTER), &Restore::default()).unwrap();
    // Without its snapshot all of the copy's journal is read.
    for snapshot in std::fs::read_dir(restored.join("snapshots")).unwrap() {
        std::fs::remove_file(snapshot.unwrap().path()).unwrap();
    }
    let refused = open_at(&restored, settings(Limits::default())).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged(_)), "{refused:?}");
    let (back, _) = open_at(&restored, accepting).unwrap();
    assert_eq!(back.tree_head().await.unwrap().size, head.size);
    let (stored, _) = back.delivery(newest.id).await.unwrap().unwrap();
    assert!(stored.verified.is_some());
    fill(&back, "more", 3).await;
}
