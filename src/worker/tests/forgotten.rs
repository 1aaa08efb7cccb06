//! Accounts that are forgotten while something goes on for them: that comes to nothing, and the service goes on.

use std::sync::mpsc;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::engine::bench;
use super::fake::{Trouble, email, uid};
use super::*;
use crate::chance::SystemChance;
use crate::store::local::{self, MasterKey};
use crate::store::{Forgotten, LocalStore};
use crate::worker::{ComeBack, Grants, TakeBack};
use crate::zoom::{Assistant, ZoomError};

/// The bench's parts, over a store that forgets.
fn forgetful(bench: &Bench) -> (TempDir, LocalStore, Parts) {
    let folder = tempfile::tempdir().unwrap();
    let settings = local::Settings { disk_reserve_bytes: 0, ..local::Settings::default() };
    let (key, clock) = (MasterKey::Bytes([7; 32]), Arc::new(bench.clock.clone()));
    let opened = LocalStore::open(folder.path(), settings, key, clock, Arc::new(SystemChance), &mut |_, _, _| {});
    let (store, _report) = opened.unwrap();
    let parts = Parts { store: Arc::new(store.clone()), ..bench.parts.clone() };
    (folder, store, parts)
}

fn acme() -> Forgotten {
    Forgotten::Account(AccountId::parse("acme").unwrap())
}

/// What is unfinished ends, and the account is forgotten.
async fn forget(store: &LocalStore) {
    while store.cancel_jobs(acme().account(), None, "it left", START).await.unwrap() > 0 {}
    store.forget(&acme(), START, |_, _| {}).await.unwrap();
}

async fn created(bench: &Bench, store: &LocalStore, id: &str) {
    let body =
        bench.event("acme", "user.created", &json!({ "id": id, "email": format!("{id}@example.com"), "type": 2 }));
    let delivery = NewDelivery { app: app(), received_at: START, verified: verified(&body, START) };
    store.deliver(delivery).await.unwrap();
}

/// Whoever stands in the middle of a call goes on to the end.
async fn opened<T>(bench: &Bench, task: JoinHandle<T>) -> T {
    while !task.is_finished() {
        bench.zoom.open();
        tokio::task::yield_now().await;
    }
    task.await.unwrap()
}

/// Until Zoom was asked for it.
async fn asked(bench: &Bench, call: &str) {
    while bench.zoom.count(call) == 0 {
        tokio::task::yield_now().await;
    }
}

fn grants(account: &str) -> Grants {
    let (account, api_user) = (AccountId::parse(account).unwrap(), "user:api".to_owned());
    Grants { account, api_user, users: vec!["jill".to_owned()], rules: Vec::new(), failed: None }
}

#[tokio::test]
async fn an_account_that_is_forgotten_while_zoom_is_asked_about_its_credentials_stops_nothing() {
    let bench = bench();
    let (_folder, store, parts) = forgetful(&bench);
    created(&bench, &store, "jill").await;
    let roster = Arc::clone(&bench.roster.borrow());
    Planner::new(parts.clone()).plan_once(&roster).await.unwrap();
    bench.zoom.trouble("assistants", 1, Trouble::Fail(ZoomError::Credentials("invalid client".to_owned())));
    Runner::new(parts.clone()).run_due().await.unwrap();
    assert_eq!(store.parked().await.unwrap()[0].cause, "credentials-refused");
    bench.zoom.trouble("users", 1, Trouble::Gate);
    let back = ComeBack::new(parts);
    let looks = tokio::spawn(async move { back.look().await });
    asked(&bench, " users ").await;
    forget(&store).await;
    assert!(!opened(&bench, looks).await.unwrap(), "it looks again");
}

#[tokio::test]
async fn an_account_that_is_forgotten_while_grants_are_taken_back_stops_nothing() {
    let bench = bench();
    let (_folder, store, parts) = forgetful(&bench);
    let takes = Arc::new(TakeBack::new(parts));
    takes.begin(&grants("acme"), "Ada").await.unwrap();
    bench.zoom.trouble("schedulers", 1, Trouble::Gate);
    let stepping = Arc::clone(&takes);
    let steps = tokio::spawn(async move { stepping.step(&CancellationToken::new()).await });
    asked(&bench, " schedulers ").await;
    forget(&store).await;
    assert!(opened(&bench, steps).await.unwrap().is_some(), "it looks again");
    assert_eq!(takes.step(&CancellationToken::new()).await.unwrap(), None, "and nothing is left");
}

#[tokio::test]
async fn an_account_that_comes_back_while_it_is_being_forgotten_is_served_when_that_is_over() {
    let bench = bench();
    let (_folder, store, parts) = forgetful(&bench);
    let ((tell, told), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
    let forgetting = store.clone();
    let forgets = tokio::spawn(async move {
        let hold = move |_, _| {
            tell.send(()).unwrap();
            // Whoever holds it up is gone: it goes on.
            let _go = may_go.recv();
        };
        forgetting.forget(&acme(), START, hold).await
    });
    while told.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    created(&bench, &store, "jill").await;
    let (planner, shutdown) = (Planner::new(parts), CancellationToken::new());
    let until = shutdown.clone();
    let plans = tokio::spawn(async move { planner.run(&until).await });
    let is_aside = |entry: &Entry| entry.code == "unclaimed";
    while !store.entries(0, 100).await.unwrap().iter().any(is_aside) {
        assert!(!plans.is_finished(), "{:?}", plans.await);
        tokio::task::yield_now().await;
    }
    drop(go);
    forgets.await.unwrap().unwrap();
    while store.jobs(JobFilter { limit: 1, ..JobFilter::default() }).await.unwrap().is_empty() {
        assert!(!plans.is_finished(), "{:?}", plans.await);
        bench.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    plans.await.unwrap().unwrap();
}

#[tokio::test]
async fn grants_of_a_large_account_are_taken_back_in_portions_between_which_the_others_have_their_turn() {
    let accounts = vec![account("acme", &["api@example.com"]), account("tiny", &["api@example.com"])];
    let bench = Bench::with(accounts, &[], Settings::default());
    for n in 0..100 {
        let id = format!("u-{n}");
        bench.zoom.put_user(&id, Status::Active, 2);
        bench.zoom.put_assistant(&id, Assistant { id: Some(uid("api")), email: Some(email("api@example.com")) });
    }
    let takes = TakeBack::new(bench.parts.clone());
    for account in ["acme", "tiny"] {
        takes.begin(&grants(account), "Ada").await.unwrap();
    }
    assert_eq!(takes.step(&CancellationToken::new()).await.unwrap(), None);
    let log = bench.zoom.log();
    let turns = log.iter().filter(|line| line.contains(" schedulers ")).map(|line| &line[..4]);
    assert_eq!(turns.collect::<Vec<_>>(), ["acme", "tiny", "acme", "tiny", "acme", "tiny"]);
    assert_eq!(bench.zoom.count("remove_assistant"), 100);
}
