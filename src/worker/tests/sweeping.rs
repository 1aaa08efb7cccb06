//! Sweeps of several accounts at once, and what ends one.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::engine::settle;
use super::fake::Trouble;
use super::{ASSISTANTS, Bench, account};
use crate::ids::AccountId;
use crate::store::{Store, SweepState};
use crate::worker::{Settings, SweepSettings, Sweeper};

async fn swept(bench: &Bench, account: &str) -> SweepState {
    bench.store.sweep_state(&AccountId::parse(account).unwrap()).await.unwrap()
}

/// Nobody is active, so that a sweep is one page.
fn bench(accounts: &[&str]) -> (Bench, Arc<Sweeper>) {
    let accounts = accounts.iter().map(|id| account(id, &["api@example.com"])).collect();
    let bench = Bench::with(accounts, &[ASSISTANTS], Settings::default());
    bench.zoom.set_active_users(0, true);
    let sweeper = Arc::new(Sweeper::new(bench.parts.clone(), SweepSettings::default()));
    (bench, sweeper)
}

#[tokio::test]
async fn an_account_that_waits_for_zoom_holds_up_no_other_nor_the_end() {
    let (bench, sweeper) = bench(&["acme", "other", "third"]);
    bench.zoom.trouble("users", 1, Trouble::Gate);
    let shutdown = CancellationToken::new();
    let (ends, runs) = (shutdown.clone(), Arc::clone(&sweeper));
    let service = tokio::spawn(async move { runs.run(&ends).await });
    settle().await;
    let mut ended = 0;
    for account in ["acme", "other", "third"] {
        ended += usize::from(swept(&bench, account).await.last.is_some());
    }
    assert_eq!(ended, 2, "all but the one that waits");
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_in_a_page_gives_its_sweep_up_with_the_reason_and_the_next_goes_well() {
    let (bench, sweeper) = bench(&["acme"]);
    bench.zoom.trouble("users", 1, Trouble::Panic("on purpose"));
    sweeper.run_due().await.unwrap();
    let state = swept(&bench, "acme").await;
    assert_eq!(state.run, None);
    assert_eq!(state.failed.unwrap().why, "a defect in adjutant: comparing a page panicked: on purpose");
    bench.clock.advance(std::time::Duration::from_secs(7200));
    sweeper.run_due().await.unwrap();
    assert!(swept(&bench, "acme").await.last.is_some());
}
