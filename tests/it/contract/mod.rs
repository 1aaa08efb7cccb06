//! The contract of the store's port, one sentence a case, run for every implementation; and random operation sequences
//! against the model in memory ([`model`]).

pub(crate) mod cases;
pub(crate) mod kit;
pub(crate) mod model;
mod wrong;

use std::sync::Arc;

use adjutant::store::{Limits, MemoryStore, Store};
use async_trait::async_trait;

/// One implementation under test.
#[async_trait]
pub(crate) trait Harness: Send + Sync + Sized + 'static {
    /// A new, empty store.
    async fn new(limits: Limits) -> Self;

    /// A handle to the store: each call gives another one to the same store.
    async fn open(&self) -> Arc<dyn Store>;

    /// Ends the process, in effect, and starts on what is there. Handles from before are of no use afterwards.
    async fn reopen(&mut self) -> Arc<dyn Store>;
}

#[derive(Debug)]
pub(crate) struct MemoryHarness(MemoryStore);

#[async_trait]
impl Harness for MemoryHarness {
    async fn new(limits: Limits) -> Self {
        Self(MemoryStore::new(limits))
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&mut self) -> Arc<dyn Store> {
        self.0 = self.0.restart().expect("restarted from a closed store");
        self.open().await
    }
}

/// Runs every case, and random sequences against the model, for an implementation: `contract!(journal, JournalHarness);`.
macro_rules! contract {
    ($name:ident, $harness:ty) => {
        mod $name {
            $crate::contract::cases::every_case!($harness);

            #[tokio::test]
            async fn random_operations_come_to_the_same_as_in_the_model() {
                for seed in 0..8 {
                    $crate::contract::model::run_or_panic::<$harness>(seed, 300).await;
                }
            }
        }
    };
}

pub(crate) use contract;

contract!(memory, crate::contract::MemoryHarness);
