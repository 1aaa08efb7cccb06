//! The index can go, or be anything, at any time.

use std::path::PathBuf;

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::store::{Limits, Store};

use super::kit::{Folder, answers, assert_same, fill, settings};

fn files_of(folder: &Folder) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.path().join("index")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

async fn filled(folder: &Folder) -> Vec<String> {
    let store = folder.open_with(Limits::default());
    fill(&store, "some", 40).await;
    let before = answers(&store).await;
    store.close().await.unwrap();
    before
}

/// Opens, compares, closes; the reason where the index was built anew.
async fn compare(folder: &Folder, before: &[String]) -> Option<String> {
    let (store, report) = folder.try_open(settings(Limits::default())).unwrap();
    assert_same(before, &answers(&store).await);
    store.close().await.unwrap();
    report.rebuilt_index
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_gone_is_built_anew_with_the_same_answers() {
    let folder = Folder::new();
    let before = filled(&folder).await;
    assert_eq!(compare(&folder, &before).await, None);
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    assert!(compare(&folder, &before).await.is_some());
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    std::fs::write(folder.path().join("index"), "a file").unwrap();
    assert!(compare(&folder, &before).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_damaged_gives_the_same_answers() {
    let folder = Folder::new();
    let before = filled(&folder).await;
    let chance = SeededChance::new(3);
    let (mut rebuilt, mut tried) = (0, 0);
    for file in files_of(&folder) {
        for kind in 0..5 {
            let Ok(whole) = std::fs::read(&file) else { continue };
            if whole.is_empty() {
                continue;
            }
            let mut bytes = whole.clone();
            let at = usize::try_from(chance.next_u64()).unwrap() % bytes.len();
            match kind {
                0 => bytes.truncate(at),
                1 => bytes.iter_mut().skip(at).take(4096).for_each(|byte| *byte = 0xA5),
                2 => bytes.iter_mut().for_each(|byte| *byte = 0x5A),
                3 => bytes.truncate(0),
                _ => bytes[at] ^= 1 << (at % 8),
            }
            std::fs::write(&file, bytes).unwrap();
            tried += 1;
            rebuilt += u32::from(compare(&folder, &before).await.is_some());
        }
    }
    assert!(tried >= 5 && rebuilt >= 3, "{rebuilt} of {tried} were noticed");
}

#[tokio::test]
async fn an_index_of_another_store_is_not_believed() {
    let (one, other) = (Folder::new(), Folder::new());
    let before = filled(&one).await;
    let store = other.open_with(Limits::default());
    fill(&store, "other", 10).await;
    store.close().await.unwrap();
    std::fs::remove_dir_all(one.path().join("index")).unwrap();
    std::fs::rename(other.path().join("index"), one.path().join("index")).unwrap();
    assert!(compare(&one, &before).await.is_some());
}

#[tokio::test]
async fn a_rebuild_tells_how_far_it_is_and_comes_to_the_same() {
    let folder = Folder::new();
    let before = filled(&folder).await;
    let mut told = 0;
    let master = adjutant::store::local::MasterKey::Bytes(super::kit::MASTER);
    let report = adjutant::store::LocalStore::rebuild(
        &folder.path(),
        settings(Limits::default()),
        master,
        super::kit::clock(),
        &mut |_, done, total| {
            assert!(done <= total);
            told += 1;
        },
    );
    assert!(report.unwrap().rebuilt_index.is_some());
    assert!(told > 0);
    assert_eq!(compare(&folder, &before).await, None);
}
