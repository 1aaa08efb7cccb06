//! The store on one machine: the contract, and what a disk, a power cut and damage can do to it.

mod canary;
mod copies;
mod damage;
mod disk;
mod index;
mod kit;
mod lateness;
mod power;
mod pruning;
mod secrets;
mod spill;
mod timers;
mod told;

use std::sync::Arc;

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::store::{Limits, LocalStore, Store};
use async_trait::async_trait;

use crate::contract::{Harness, contract};
use kit::{Disk, Folder};

/// A store in a real folder, closed at every other restart and dropped at the others.
#[derive(Debug)]
struct FolderHarness {
    folder: Folder,
    store: Option<LocalStore>,
    limits: Limits,
    restarts: u32,
}

#[async_trait]
impl Harness for FolderHarness {
    async fn new(limits: Limits) -> Self {
        let folder = Folder::new();
        let store = folder.open_with(limits.clone());
        Self { folder, store: Some(store), limits, restarts: 0 }
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone().expect("open"))
    }

    async fn reopen(&mut self) -> Arc<dyn Store> {
        let store = self.store.take().expect("open");
        self.restarts += 1;
        if self.restarts.is_multiple_of(2) {
            store.close().await.unwrap();
        }
        store.abandon();
        self.store = Some(self.folder.open_with(self.limits.clone()));
        self.open().await
    }
}

/// A store on a simulated disk, whose power goes off at every restart.
#[derive(Debug)]
struct PowerHarness {
    disk: Disk,
    store: Option<LocalStore>,
    limits: Limits,
}

#[async_trait]
impl Harness for PowerHarness {
    async fn new(limits: Limits) -> Self {
        let disk = Disk::new(SeededChance::new(7).next_u64());
        let store = disk.open_with(limits.clone()).expect("opens");
        Self { disk, store: Some(store), limits }
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone().expect("open"))
    }

    async fn reopen(&mut self) -> Arc<dyn Store> {
        let after = self.disk.cut();
        self.store.take().expect("open").abandon();
        self.disk = after;
        self.store = Some(self.disk.open_with(self.limits.clone()).expect("opens after a power cut"));
        self.open().await
    }
}

contract!(in_a_folder, crate::durable::FolderHarness);
contract!(over_power_cuts, crate::durable::PowerHarness);
