//! Sweeps of several accounts at once, and what ends one.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::engine::settle;
use super::fake::Trouble;
use super::{ASSISTANTS, Bench, account, rule};
use crate::account::Account;
use crate::clock::Clock;
use crate::ids::AccountId;
use crate::store::{Store, SweepState};
use crate::worker::{Roster, Settings, SweepSettings, Sweeper};

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
    bench.clock.advance(Duration::from_secs(7200));
    sweeper.run_due().await.unwrap();
    assert!(swept(&bench, "acme").await.last.is_some());
}

#[tokio::test]
async fn an_account_that_comes_back_is_only_looked_at_first_as_when_it_came() {
    let (bench, _) = bench(&[]);
    let sweeper = Arc::new(Sweeper::new(bench.parts.clone(), SweepSettings::default()));
    let joins = || {
        let joined_at = Some(bench.clock.now());
        let acme = Account { joined_at, ..account("acme", &["api@example.com"]) };
        bench.roster.send_replace(Roster::new([acme], vec![rule(ASSISTANTS)]).into());
    };
    joins();
    sweeper.run_due().await.unwrap();
    let state = swept(&bench, "acme").await;
    assert!(state.last_dry.is_some() && state.last.is_none(), "{state:?}");
    for _ in 0..2 {
        bench.clock.advance(Duration::from_secs(86_400));
        sweeper.run_due().await.unwrap();
    }
    let before = swept(&bench, "acme").await;
    assert!(before.last.is_some());
    bench.clock.advance(Duration::from_secs(86_400));
    joins();
    for _ in 0..2 {
        sweeper.run_due().await.unwrap();
        let state = swept(&bench, "acme").await;
        assert_eq!(state.last_dry.map(|run| run.started_at), Some(bench.clock.now()));
        assert_eq!(state.last, before.last, "what rules want of who is there comes with the schedule");
    }
}
