//! A forgetting that was begun before a start, and fails.

use std::sync::atomic::AtomicU32;
use std::sync::{Condvar, Mutex};

use super::late::Watched;
use super::*;
use crate::store::journal::files::RealFiles;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_at_a_start_is_told_and_tried_again_by_itself() {
    let (folder, store) = planted().await;
    while store.cancel_jobs(&account(ONE), None, "the school left", NOW).await.unwrap() > 0 {}
    let (core, mut plain) = (store.core(), Vec::new());
    record::put(&(Forgotten::Account(account(ONE)), NOW), &mut plain);
    let sealed = core.keys.store().seal(Purpose::Aside, &[&plain], core.keys.chance());
    place::replace(core.files.as_ref(), FILE, &sealed).unwrap();
    store.close().await.unwrap();

    let data = folder.path().join("data");
    let (may, fails) = (Arc::new((Mutex::new(true), Condvar::new())), AtomicU32::new(1));
    let files = Watched { files: RealFiles::new(&data), may, fails, made: Arc::default() };
    let (clock, chance) = (Arc::new(ManualClock::at(NOW)), Arc::new(SystemChance));
    let settings = Settings { disk_reserve_bytes: 0, ..Settings::default() };
    let key = MasterKey::Bytes([7; 32]);
    let opened = LocalStore::open_on(Arc::new(files), data.join("index"), settings, key, clock, chance);
    let store = opened.unwrap().0;
    let told = loop {
        match store.not_forgotten() {
            Some(told) => break told,
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!((told.since, told.why.contains("the disk is ill")), (NOW, true), "{told:?}");
    is_finished(folder.path()).await;
    while store.not_forgotten().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(traces(&store, folder.path(), ONE).await, Vec::<String>::new());
}
