//! Damage, and what a start says of it.

use std::path::{Path, PathBuf};

use adjutant::audit::Entry;
use adjutant::store::local::{KeyError, MasterKey, OpenError, Settings};
use adjutant::store::{Limits, LocalStore, Store};

use super::kit::{Folder, MASTER, answers, assert_same, clock, fill, settings};

pub(crate) fn first_segment(store: &Path) -> PathBuf {
    let names = std::fs::read_dir(store.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).min().unwrap()
}

fn snapshots(store: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(store.join("snapshots")).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<PathBuf> = names.collect();
    names.sort();
    names
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 16;
    std::fs::write(path, bytes).unwrap();
}

async fn closed(folder: &Folder) -> Vec<String> {
    let store = folder.open_with(Limits::default());
    fill(&store, "some", 60).await;
    let before = answers(&store).await;
    store.close().await.unwrap();
    before
}

fn refused(folder: &Folder) -> OpenError {
    folder.try_open(settings(Limits::default())).expect_err("opens")
}

#[tokio::test]
async fn a_damaged_snapshot_makes_the_older_one_count_and_without_any_the_journal_does() {
    let folder = Folder::new();
    let before = closed(&folder).await;
    let kept = snapshots(&folder.path());
    assert_eq!(kept.len(), 2);
    flip(&kept[1], 100);
    let (store, report) = folder.try_open(settings(Limits::default())).unwrap();
    assert_eq!(report.damaged_snapshots.len(), 1);
    assert!(report.replayed > 0);
    assert_same(&before, &answers(&store).await);
    store.abandon();
    flip(&kept[0], 100);
    let (store, report) = folder.try_open(settings(Limits::default())).unwrap();
    assert_eq!(report.damaged_snapshots.len(), 2);
    assert_same(&before, &answers(&store).await);
    fill(&store, "afterwards", 3).await;
}

#[tokio::test]
async fn damage_to_acknowledged_data_is_refused_with_its_place_unless_it_is_accepted() {
    let folder = Folder::new();
    closed(&folder).await;
    let segment = first_segment(&folder.path());
    flip(&segment, 9000);
    let OpenError::Damaged(problems) = refused(&folder) else { panic!("another error") };
    assert_eq!(problems.0.len(), 1);
    let problem = &problems.0[0];
    assert_eq!(Some(problem.file.as_str()), segment.file_name().and_then(|name| name.to_str()));
    assert!((8000..9001).contains(&problem.offset), "{problem:?}");
    let accepting = Settings { accept_damage: true, ..settings(Limits::default()) };
    let (store, report) = folder.try_open(accepting.clone()).unwrap();
    assert_eq!(report.damage.len(), 1);
    fill(&store, "afterwards", 3).await;
    let found = store.verify(|_, _| {}).await.unwrap();
    assert!(!found.findings.is_empty());
    store.close().await.unwrap();
    // Also from the journal alone the numbers stay.
    for snapshot in snapshots(&folder.path()) {
        std::fs::remove_file(snapshot).unwrap();
    }
    let (store, _) = folder.try_open(accepting).unwrap();
    assert_eq!(store.tree_head().await.unwrap().size, found.head.size);
}

#[tokio::test]
async fn a_journal_without_its_newest_file_is_refused() {
    let folder = Folder::new();
    closed(&folder).await;
    let mut newest = None;
    for entry in std::fs::read_dir(folder.path().join("journal")).unwrap() {
        newest = newest.max(Some(entry.unwrap().path()));
    }
    std::fs::remove_file(newest.unwrap()).unwrap();
    let error = refused(&folder);
    assert!(matches!(error, OpenError::JournalShort { .. } | OpenError::Damaged(_)), "{error:?}");
}

#[tokio::test]
async fn a_store_without_its_keys_says_so_and_makes_no_new_ones() {
    let folder = Folder::new();
    let before = closed(&folder).await;
    let path = folder.path().join("keys");
    let keys = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(refused(&folder), OpenError::Keys(KeyError::Missing)));
    assert!(!path.exists());
    for at in [0, 12, 40, keys.len() - 1] {
        let mut damaged = keys.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(refused(&folder), OpenError::Keys(KeyError::Damaged)), "byte {at}");
    }
    std::fs::write(&path, &keys).unwrap();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    assert_same(&before, &answers(&store).await);
}

fn open_with_key(folder: &Path, master: MasterKey) -> Result<LocalStore, OpenError> {
    let chance = std::sync::Arc::new(adjutant::chance::SystemChance);
    LocalStore::open(folder, settings(Limits::default()), master, clock(), chance, &mut |_, _, _| {})
        .map(|(store, _)| store)
}

#[tokio::test]
async fn the_master_key_is_made_once_for_its_owner_alone_and_never_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (data, key) = (folder.path().join("data"), folder.path().join("master.key"));
    let master = MasterKey::File(key.clone());
    let store = open_with_key(&data, master.clone()).unwrap();
    fill(&store, "some", 2).await;
    store.close().await.unwrap();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&key).unwrap();
    drop(open_with_key(&data, master.clone()).unwrap());
    std::fs::remove_file(&key).unwrap();
    let gone = open_with_key(&data, master.clone()).unwrap_err();
    assert!(matches!(gone, OpenError::Keys(KeyError::MasterMissing(_))), "{gone:?}");
    assert!(!key.exists());
    std::fs::write(&key, "no key").unwrap();
    let malformed = open_with_key(&data, master.clone()).unwrap_err();
    assert!(matches!(malformed, OpenError::Keys(KeyError::MasterMalformed(_))), "{malformed:?}");
    let wrong = open_with_key(&data, MasterKey::Bytes(MASTER)).unwrap_err();
    assert!(matches!(wrong, OpenError::Keys(KeyError::MasterWrong)), "{wrong:?}");
    std::fs::write(&key, text).unwrap();
    open_with_key(&data, master).unwrap();
}

#[tokio::test]
async fn a_newer_or_garbled_format_is_refused_and_a_second_process_too() {
    let folder = Folder::new();
    closed(&folder).await;
    let path = folder.path().join("format");
    let format = std::fs::read(&path).unwrap();
    std::fs::write(&path, "adjutant store 7\n").unwrap();
    let newer = refused(&folder);
    assert!(matches!(newer, OpenError::Newer { found: 7, known: 1 }));
    assert_eq!(newer.to_string(), "the store has format version 7, this program knows 1: use a newer one");
    std::fs::write(&path, "something").unwrap();
    assert!(matches!(refused(&folder), OpenError::FormatDamaged));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(refused(&folder), OpenError::FormatMissing));
    std::fs::write(&path, format).unwrap();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    assert!(matches!(refused(&folder), OpenError::InUse(_)));
    store.close().await.unwrap();
    folder.try_open(settings(Limits::default())).unwrap();
}

#[tokio::test]
async fn a_byte_that_changes_under_a_running_store_is_told_with_its_entry() {
    let folder = Folder::new();
    let store = folder.open_with(Limits::default());
    fill(&store, "some", 60).await;
    let head = store.tree_head().await.unwrap();
    let good = store.leaves(0, usize::MAX, false).await.unwrap();
    assert_eq!((good.leaves.len(), good.findings.len()), (usize::try_from(head.size).unwrap(), 0));
    let mut tree = adjutant::audit::tree::Frontier::default();
    for leaf in &good.leaves {
        tree.push(leaf.unwrap());
    }
    assert_eq!(tree.root(), head.root);
    flip(&first_segment(&folder.path()), 9000);
    let bad = store.leaves(0, usize::MAX, false).await.unwrap();
    let lost: Vec<usize> = (0..bad.leaves.len()).filter(|at| bad.leaves[*at].is_none()).collect();
    let place = match lost.as_slice() {
        [one] => format!("entry {one}"),
        lost => format!("entries {} to {}", lost[0], lost[lost.len() - 1]),
    };
    assert_eq!(bad.findings.len(), 1, "{:?}", bad.findings);
    assert_eq!(bad.findings[0].place, place);
    assert!(bad.findings[0].what.contains("is damaged from byte"), "{:?}", bad.findings);
    // Readers get what comes before and after it, and are told where it goes on.
    let (first, end) = (lost[0], lost[lost.len() - 1] + 1);
    let places = |entries: Vec<Entry>| entries.into_iter().map(|entry| usize::try_from(entry.index).unwrap());
    let read = |from: usize| store.entries(u64::try_from(from).unwrap(), usize::MAX);
    assert!(first > 0, "there is something before it");
    assert_eq!(places(read(0).await.unwrap()).collect::<Vec<_>>(), (0..first).collect::<Vec<_>>());
    for inside in lost.clone() {
        let told = read(inside).await.unwrap_err().to_string();
        assert!(told.ends_with(&format!("the log goes on from entry {end}")), "{told}");
    }
    for behind in end..good.leaves.len() {
        assert_eq!(
            places(read(behind).await.unwrap()).collect::<Vec<_>>(),
            (behind..good.leaves.len()).collect::<Vec<_>>()
        );
    }
    // In pages it comes to the same, whatever their size.
    for page in [1, 7, 100] {
        let (mut leaves, mut places) = (Vec::new(), std::collections::BTreeSet::new());
        while leaves.len() < good.leaves.len() {
            let some = store.leaves(u64::try_from(leaves.len()).unwrap(), page, false).await.unwrap();
            places.extend(some.findings.into_iter().map(|finding| finding.place));
            leaves.extend(some.leaves);
        }
        assert_eq!(leaves, bad.leaves, "in pages of {page}");
        assert!(!places.is_empty() && places.len() <= lost.len() + 1, "{places:?}");
    }
}

#[tokio::test]
async fn looking_at_a_store_that_was_not_closed_changes_none_of_its_bytes() {
    let folder = Folder::new();
    let store = folder.open_with(Limits::default());
    fill(&store, "some", 20).await;
    let head = store.tree_head().await.unwrap();
    store.abandon();
    let files = || {
        let names = ["journal", "snapshots"].map(|dir| std::fs::read_dir(folder.path().join(dir)).unwrap());
        let mut paths: Vec<PathBuf> = names.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = files();
    let master = MasterKey::Bytes(MASTER);
    let found = LocalStore::verify_folder(&folder.path(), &master, &[], &mut |_, _| {}).unwrap();
    assert_eq!((found.head, found.findings), (head, Vec::new()));
    assert!(before == files(), "a file changed");
}
