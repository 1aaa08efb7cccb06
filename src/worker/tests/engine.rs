//! How jobs are run, whatever their task.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fake::Trouble;
use super::{ASSISTANTS, Bench, WAITING_ROOM, account, in_a_line};
use crate::clock::Clock;
use crate::job::Change;
use crate::rules::Mode;
use crate::store::{Allowance, Claimable, Store, StoreError};
use crate::work::Guard;
use crate::worker::held::{Fenced, Held};
use crate::worker::{Roster, Runner, Settings, ZoomFor, run};
use crate::zoom::{MeetingStatus, Status, Zoom, ZoomError};

pub(super) fn bench() -> Bench {
    let bench = Bench::new(&[ASSISTANTS]);
    bench.zoom.put_user("jill", Status::Active, 2);
    bench
}

/// Lets every task that can go on go on.
pub(super) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

const ONE: Claimable = Claimable { jobs_max: 1, per_account_max: 1, lease: Duration::from_secs(120) };

/// The service, running, with a job that stands in the middle of a call.
pub(super) async fn stuck(bench: &Bench) -> (CancellationToken, JoinHandle<Result<(), StoreError>>) {
    bench.zoom.trouble("assistants", 1, Trouble::Gate);
    bench.user_event("user.created", "jill").await;
    let shutdown = CancellationToken::new();
    let (parts, token) = (bench.parts.clone(), shutdown.clone());
    let service = tokio::spawn(async move { run(&parts, &token).await });
    settle().await;
    assert_eq!(bench.zoom.count("assistants jill"), 1);
    (shutdown, service)
}

#[tokio::test]
async fn a_panic_parks_its_job_and_no_other() {
    let bench = bench();
    bench.zoom.put_user("joan", Status::Active, 2);
    bench.zoom.trouble("assistants", 1, Trouble::Panic("a defect"));
    bench.user_event("user.created", "jill").await;
    bench.user_event("user.created", "joan").await;
    bench.drain().await;
    let mut states: Vec<_> = bench.jobs().await.iter().map(|job| in_a_line(&job.state)).collect();
    states.sort();
    assert_eq!(states, ["done changed: add assistant api@example.com", "parked panicked"]);
    assert_eq!(bench.parts.stats.get("panicked"), 1);
}

#[tokio::test]
async fn a_job_whose_rule_or_account_is_gone_is_parked() {
    let bench = bench();
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    bench.set_rules(&[]);
    bench.drain().await;
    assert_eq!(bench.state().await, "parked rule-gone");
    // The same name may stand for another kind of rule now.
    bench.set_rules(&[ASSISTANTS]);
    bench.user_event("user.created", "joan").await;
    bench.plan().await;
    bench.set_rules(&[&WAITING_ROOM.replace("waiting-room", "assist")]);
    bench.drain().await;
    assert_eq!(bench.state().await, "parked rule-gone");

    let bench = super::engine::bench();
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    bench.roster.send_replace(Roster::new([], vec![super::rule(ASSISTANTS)]).into());
    bench.drain().await;
    assert_eq!(bench.state().await, "parked account-gone");
    assert!(bench.zoom.log().is_empty());
}

#[tokio::test]
async fn work_for_one_user_never_overlaps_and_work_of_one_account_leaves_room() {
    let second = ASSISTANTS.replace("\"assist\"", "\"assist-2\"");
    let bench = Bench::new(&[ASSISTANTS, &second]);
    bench.zoom.put_user("jill", Status::Active, 2);
    bench.user_event("user.created", "jill").await;
    bench.drain().await;
    assert_eq!((bench.jobs().await.len(), bench.zoom.peak("acme")), (2, 1));

    let accounts = vec![account("acme", &["api@example.com"]), account("tiny", &["api@example.com"])];
    let bench = Bench::with(accounts, &[ASSISTANTS], Settings::default());
    for n in 0..100 {
        bench.zoom.put_user(&format!("u-{n}"), Status::Active, 2);
        bench.user_event("user.created", &format!("u-{n}")).await;
    }
    bench.zoom.put_user("last", Status::Active, 2);
    bench.user_event_of("tiny", "user.created", "last").await;
    bench.drain().await;
    assert_eq!(bench.zoom.peak("acme"), 4);
    let first = bench.zoom.log().iter().position(|line| line.starts_with("tiny")).unwrap();
    assert!(first < 8, "the small account is served at once, and not after a storm: call {first}");
    assert_eq!(bench.zoom.changes(), 101);
}

#[tokio::test]
async fn a_lease_is_renewed_for_as_long_as_its_job_runs() {
    let bench = bench();
    let (shutdown, service) = stuck(&bench).await;
    for _ in 0..10 {
        bench.clock.advance(Duration::from_secs(40));
        settle().await;
        assert_eq!(bench.zoom.count("assistants jill"), 1, "nobody else was given the job");
    }
    bench.zoom.open();
    settle().await;
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test]
async fn no_call_starts_unless_the_lease_outlasts_it() {
    let bench = bench();
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    let mut leased = bench.store.claim(ONE, bench.clock.now()).await.unwrap().pop().unwrap();
    bench.store.start(&mut leased, bench.clock.now()).await.unwrap();
    let held = Held::new(leased, Arc::clone(&bench.parts.store), Arc::new(bench.clock.clone()), ONE.lease);
    let zoom = bench.zoom.zoom(&account("acme", &[]).id).unwrap();
    let fenced = Fenced { zoom: &*zoom, held: &held, call_max: Duration::from_secs(60) };
    let jill = "jill".parse().unwrap();
    // 50 s are left of the lease: it is renewed first, and lasts.
    bench.clock.advance(Duration::from_secs(70));
    fenced.user(&jill).await.unwrap();
    bench.clock.advance(Duration::from_secs(119));
    assert!(bench.store.claim(ONE, bench.clock.now()).await.unwrap().is_empty());
    // It is over and another has the job: nothing is called any more.
    bench.clock.advance(Duration::from_secs(1));
    let other = bench.store.claim(ONE, bench.clock.now()).await.unwrap();
    assert_eq!(other.len(), 1);
    assert!(matches!(fenced.user(&jill).await, Err(ZoomError::Transient(_))));
    assert_eq!(bench.zoom.log().len(), 1);
}

#[tokio::test]
async fn whoever_lost_the_lease_stops_and_settles_nothing() {
    let bench = bench();
    let (shutdown, service) = stuck(&bench).await;
    // The machine slept, and another worker was faster.
    bench.clock.advance(Duration::from_secs(121));
    let other = bench.store.claim(ONE, bench.clock.now()).await.unwrap().pop().unwrap();
    settle().await;
    bench.zoom.open();
    settle().await;
    assert_eq!((bench.state().await.as_str(), bench.zoom.changes()), ("running", 0));
    assert_eq!(bench.parts.stats.get("lease-lost"), 1);
    bench.store.give_back(other, bench.clock.now()).await.unwrap();
    settle().await;
    assert_eq!(
        (bench.state().await.as_str(), bench.zoom.changes()),
        ("done changed: add assistant api@example.com", 1)
    );
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_user_deleted_in_the_middle_of_it_is_granted_nothing() {
    let bench = bench();
    let (shutdown, service) = stuck(&bench).await;
    bench.user_event("user.deleted", "jill").await;
    settle().await;
    assert_eq!(bench.state().await, "cancelled user.deleted");
    bench.zoom.open();
    settle().await;
    assert_eq!((bench.state().await.as_str(), bench.zoom.changes()), ("cancelled user.deleted", 0));
    assert_eq!(bench.entries("200").await.len(), bench.zoom.log().len(), "the calls are on record all the same");
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_lets_what_runs_end_and_starts_nothing_more() {
    let bench = bench();
    let (shutdown, service) = stuck(&bench).await;
    shutdown.cancel();
    settle().await;
    bench.zoom.put_user("joan", Status::Active, 2);
    bench.user_event("user.created", "joan").await;
    bench.zoom.open();
    service.await.unwrap().unwrap();
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
    assert_eq!(bench.store.status().await.unwrap().unplanned, 1, "what came after the shutdown is for the next start");
}

#[tokio::test]
async fn what_outlasts_the_drain_is_abandoned_and_done_once_after_the_next_start() {
    let mut bench = bench();
    let (shutdown, service) = stuck(&bench).await;
    shutdown.cancel();
    settle().await;
    bench.clock.advance(Duration::from_secs(10));
    service.await.unwrap().unwrap();
    assert_eq!((bench.parts.stats.get("abandoned"), bench.state().await.as_str()), (1, "running"));
    bench.store = bench.store.restart().unwrap();
    bench.parts.store = Arc::new(bench.store.clone());
    bench.drain().await;
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
    assert_eq!((bench.newest().await.attempts, bench.zoom.changes()), (2, 1));
}

#[tokio::test]
async fn a_job_with_which_the_process_ends_again_and_again_is_given_to_a_person() {
    let mut bench = bench();
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    for _ in 0..24 {
        let mut leased = bench.store.claim(ONE, bench.clock.now()).await.unwrap().pop().unwrap();
        bench.store.start(&mut leased, bench.clock.now()).await.unwrap();
        bench.store = bench.store.restart().unwrap();
    }
    bench.parts.store = Arc::new(bench.store.clone());
    bench.drain().await;
    assert_eq!((bench.state().await.as_str(), bench.zoom.log().len()), ("parked attempts-used-up", 0));
}

#[tokio::test]
async fn where_a_rule_observes_even_an_intent_changes_nothing() {
    let bench = bench();
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    let mut leased = bench.store.claim(ONE, bench.clock.now()).await.unwrap().pop().unwrap();
    bench.store.start(&mut leased, bench.clock.now()).await.unwrap();
    let held = Held::new(leased, Arc::clone(&bench.parts.store), Arc::new(bench.clock.clone()), ONE.lease);
    let zoom = bench.zoom.zoom(&account("acme", &[]).id).unwrap();
    let (jill, api) = ("jill".parse().unwrap(), "api".parse().unwrap());
    for (mode, changes) in [(Mode::Observe, 0), (Mode::Enforce, 1)] {
        let change = Change {
            what: "add assistant api".to_owned(),
            max_per_hour: 9,
            max_per_day: None,
            is_planned: false,
            marks: Vec::new(),
            days: Vec::new(),
        };
        let Allowance::Granted(intent) = held.intend(change).await.unwrap() else { panic!("not granted") };
        let fenced = Fenced { zoom: &*zoom, held: &held, call_max: Duration::from_secs(60) };
        let zoom = fenced.of(mode);
        zoom.user(&jill).await.unwrap();
        let tried = zoom.add_assistant(&intent, &jill, &api).await;
        assert_eq!((tried.is_ok(), bench.zoom.changes()), (changes == 1, changes), "{mode:?}");
    }
}

#[tokio::test]
async fn a_job_that_was_claimed_and_not_started_is_given_back() {
    let bench = bench();
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    let leased = bench.store.claim(ONE, bench.clock.now()).await.unwrap().pop().unwrap();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    Runner::new(bench.parts.clone()).one(leased, &shutdown).await.unwrap();
    assert_eq!((bench.state().await.as_str(), bench.newest().await.attempts), ("due", 0));
    assert_eq!(bench.parts.stats.get("given-back"), 1);
}

#[tokio::test]
async fn the_service_wakes_for_deliveries_and_for_timers() {
    let bench = Bench::new(&[ASSISTANTS, WAITING_ROOM]);
    let shutdown = CancellationToken::new();
    let (parts, token) = (bench.parts.clone(), shutdown.clone());
    let service = tokio::spawn(async move { run(&parts, &token).await });
    settle().await;
    let off = serde_json::json!({ "waiting_room": false });
    bench.zoom.put_meeting(1, "jill", MeetingStatus::Waiting, &off);
    bench.meeting_event("meeting.created", 1).await;
    settle().await;
    assert_eq!(bench.state().await, "done changed: set waiting_room on");
    // Zoom does not show this user before the third look.
    bench.user_event("user.created", "jill").await;
    settle().await;
    assert_eq!(bench.state().await, "due");
    bench.zoom.put_user("jill", Status::Active, 2);
    bench.clock.advance(Duration::from_secs(2));
    settle().await;
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_store_that_takes_nothing_more_ends_the_service() {
    let bench = bench();
    let (_shutdown, service) = stuck(&bench).await;
    bench.store.close().await.unwrap();
    bench.clock.advance(Duration::from_secs(10));
    settle().await;
    bench.clock.advance(Duration::from_secs(10));
    assert!(matches!(service.await.unwrap(), Err(StoreError::Closed)));
}
