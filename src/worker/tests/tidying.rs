//! Onboardings are looked after, on a store in files, which takes only so much in one write.

use std::sync::Arc;

use super::{Bench, START, app};
use crate::chance::SystemChance;
use crate::clock::ManualClock;
use crate::ids::{AccountId, Email};
use crate::store::local::{MasterKey, Settings};
use crate::store::{LocalStore, Shelf, Store, StoreError, Write, journal};
use crate::work::{Onboarding, Wanted, id_of};
use crate::worker::Onboarder;

const COUNT: usize = 400;

/// Somebody whose job ended a while ago and is not kept any more.
fn kept(n: usize) -> Onboarding {
    let (account, label) = (AccountId::parse("acme").unwrap(), Some("l".repeat(2_000)));
    let wanted = Wanted { label, ..Wanted::of(Email::parse(&format!("user-{n}@acme.example")).unwrap()) };
    let id = id_of(&account, &n.to_string());
    Onboarding::new(id, (app(), account), wanted, None, ("a test".to_owned(), START))
}

#[tokio::test]
async fn more_onboardings_than_one_write_takes_come_to_their_end_in_portions() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal::Settings { segment_bytes: 1 << 20 };
    let settings = Settings { disk_reserve_bytes: 0, journal, ..Settings::default() };
    let (key, clock) = (MasterKey::Bytes([7; 32]), Arc::new(ManualClock::at(START)));
    let path = folder.path().join("data");
    let opened = LocalStore::open(&path, settings, key, clock, Arc::new(SystemChance), &mut |_, _, _| {});
    let store = opened.unwrap().0;
    let all: Vec<Write> = (0..COUNT).map(|n| Write::Put(kept(n).document())).collect();
    let whole = store.write_documents(all.clone(), Vec::new(), START).await;
    assert!(matches!(whole, Err(StoreError::Conflict(why)) if why.contains("too much for one write")));
    for some in all.chunks(100) {
        store.write_documents(some.to_vec(), Vec::new(), START).await.unwrap();
    }
    let mut parts = Bench::new(&[]).parts;
    parts.store = Arc::new(store.clone());
    Onboarder::new(parts).tidy().await.unwrap();
    let documents = store.documents(Shelf::Onboarding).await.unwrap();
    let ended = documents.iter().filter_map(Onboarding::read).filter(|one| one.ended.is_some()).count();
    assert_eq!((documents.len(), ended), (COUNT, COUNT));
}
