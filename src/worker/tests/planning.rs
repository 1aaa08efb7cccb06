//! What becomes of deliveries.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{ASSISTANTS, Bench, WAITING_ROOM, account};
use crate::clock::{Clock, Sleep, Timestamp};
use crate::ids::DeliveryId;
use crate::store::{Decision, DeliveryFilter, DeliveryStatus, MemoryStore, Store, Verdict};
use crate::worker::planner::guarded;
use crate::worker::{Planner, Roster, Settings};
use crate::zoom::Status;

fn bench() -> Bench {
    let bench = Bench::new(&[ASSISTANTS]);
    bench.zoom.put_user("jill", Status::Active, 2);
    bench
}

impl Bench {
    /// The statuses of all deliveries, oldest first.
    async fn statuses(&self) -> Vec<String> {
        let filter = DeliveryFilter { limit: 10_000, ..DeliveryFilter::default() };
        let all = self.store.deliveries(filter).await.unwrap();
        let word = |status: &DeliveryStatus| match status {
            DeliveryStatus::Unplanned => "unplanned".to_owned(),
            DeliveryStatus::Planned { code, .. } => code.clone(),
            DeliveryStatus::Parked { cause } => format!("parked {cause}"),
        };
        all.iter().rev().map(|delivery| word(&delivery.status)).collect()
    }
}

impl Bench {
    /// Gives the planner, which runs beside, the time that it needs and not more.
    async fn become_planned(&self, expected: &[&str]) {
        for _ in 0..1000 {
            if self.statuses().await == expected {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{:?} did not become {expected:?}", self.statuses().await);
    }
}

#[tokio::test]
async fn one_event_delivered_three_times_is_one_job() {
    let bench = bench();
    let body = bench.event("acme", "user.created", &json!({ "id": "jill", "email": "jill@example.com" }));
    for _ in 0..3 {
        bench.deliver(&body).await;
        bench.drain().await;
    }
    assert_eq!(bench.statuses().await, ["work", "duplicate", "duplicate"]);
    assert_eq!((bench.jobs().await.len(), bench.zoom.changes()), (1, 1));
}

#[tokio::test]
async fn a_replayed_delivery_is_planned_again_whatever_it_was() {
    let bench = bench();
    let body = bench.event("acme", "user.created", &json!({ "id": "jill" }));
    bench.deliver(&body).await;
    let copy = bench.deliver(&body).await;
    bench.drain().await;
    bench.store.replay(copy, "op", bench.clock.now()).await.unwrap();
    bench.drain().await;
    assert_eq!(bench.statuses().await, ["work", "work"]);
    assert_eq!(bench.state().await, "done already-right");
}

#[tokio::test]
async fn events_that_overtake_each_other_are_one_job_that_reads_the_newest_state() {
    let bench = bench();
    bench.zoom.put_user("jill", Status::Active, 2);
    for name in ["user.updated", "user.created", "user.updated", "user.invitation_accepted"] {
        bench.user_event(name, "jill").await;
    }
    bench.drain().await;
    assert_eq!((bench.jobs().await.len(), bench.zoom.changes()), (1, 1));
}

#[tokio::test]
async fn a_user_made_anew_under_the_address_of_one_who_left_is_somebody_else() {
    let bench = bench();
    bench.zoom.put_user("jill", Status::Pending, 2);
    bench.create("jill").await;
    bench.zoom.put_user("jill-2", Status::Active, 2);
    let anew = json!({ "id": "jill-2", "email": "jill@example.com" });
    bench.deliver(&bench.event("acme", "user.created", &anew)).await;
    // What Zoom tells late of the one who left says nothing of the other.
    bench.user_event("user.deleted", "jill").await;
    bench.drain().await;
    assert_eq!(bench.zoom.assistants_of("jill-2"), ["api@example.com"]);
    let states: Vec<_> = bench.jobs().await.iter().map(|job| super::in_a_line(&job.state)).collect();
    assert_eq!(states, ["done changed: add assistant api@example.com", "cancelled user.deleted"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_and_holds_nothing_up() {
    let bench = bench();
    bench.deliver(&json!(["no", "event"])).await;
    bench.deliver(&json!({ "event": 7 })).await;
    bench.user_event("user.created", "jill").await;
    bench.drain().await;
    assert_eq!(bench.statuses().await, ["parked unreadable", "parked unreadable", "work"]);
    assert_eq!(bench.zoom.changes(), 1);
}

#[tokio::test]
async fn a_defect_in_planning_sets_one_delivery_aside() {
    let bench = bench();
    bench.user_event("user.created", "jill").await;
    let delivery = bench.store.unplanned(&[], 1).await.unwrap().remove(0);
    let (decision, note) = guarded(&delivery, || panic!("a defect"));
    assert!(matches!(&decision.verdict, Verdict::Unreadable { why } if why.contains("panicked")));
    assert!(note.is_empty());
    bench.store.record_plan(vec![decision], bench.clock.now()).await.unwrap();
    assert_eq!(bench.statuses().await, ["parked unreadable"]);
}

#[tokio::test]
async fn what_a_body_claims_counts_only_for_an_account_that_the_app_holds() {
    let bench = bench();
    bench.user_event_of("other", "user.created", "jill").await;
    let nobodys = json!({ "event": "user.created", "event_ts": 1, "payload": { "object": { "id": "jill" } } });
    bench.deliver(&nobodys).await;
    bench.deliver(&json!({ "event": "something.new", "payload": { "account_id": "other" } })).await;
    bench.deliver(&json!({ "event": "something.new", "payload": {} })).await;
    let token = json!({ "event": "endpoint.url_validation", "payload": { "plainToken": "qgg8vlvZRS6UYooatFL8Aw" } });
    bench.deliver(&token).await;
    bench.drain().await;
    let unclaimed = "parked unclaimed";
    assert_eq!(bench.statuses().await, [unclaimed, unclaimed, unclaimed, "nothing", "nothing"]);
    assert_eq!(bench.entries("nothing").await[0].account, Some(account("acme", &[]).id));
    assert!(bench.zoom.log().is_empty());
}

#[tokio::test]
async fn what_waits_for_an_account_is_planned_when_the_account_is_added() {
    let bench = bench();
    let shutdown = CancellationToken::new();
    let (planner, token) = (Planner::new(bench.parts.clone()), shutdown.clone());
    let planning = tokio::spawn(async move { planner.run(&token).await });
    bench.user_event_of("other", "user.created", "jill").await;
    bench.become_planned(&["parked unclaimed"]).await;
    let accounts = ["acme", "other"].map(|id| account(id, &["api@example.com"]));
    bench.roster.send_replace(Roster::new(accounts, vec![super::rule(ASSISTANTS)]).into());
    bench.become_planned(&["work"]).await;
    shutdown.cancel();
    planning.await.unwrap().unwrap();
    bench.drain().await;
    assert_eq!(bench.zoom.assistants_of("jill"), ["api@example.com"]);
}

#[tokio::test]
async fn events_that_no_rule_is_about_make_no_work() {
    let bench = bench();
    bench.meeting_event("meeting.created", 1).await;
    bench.meeting_event("meeting.started", 1).await;
    bench.drain().await;
    assert_eq!(bench.statuses().await, ["nothing", "nothing"]);
}

#[tokio::test]
async fn batches_follow_each_other_until_all_is_planned() {
    let settings = Settings { plan_batch_max: 7, ..Settings::default() };
    let bench = Bench::with(vec![account("acme", &["api@example.com"])], &[ASSISTANTS], settings);
    for n in 0..50 {
        bench.user_event("user.created", &format!("u-{n}")).await;
    }
    bench.plan().await;
    assert_eq!((bench.jobs().await.len(), bench.parts.stats.get("planned")), (50, 50));
}

#[tokio::test]
async fn what_is_read_ahead_is_planned_once_and_what_is_let_go_on_meanwhile_as_well() {
    let settings = Settings { plan_batch_max: 7, ..Settings::default() };
    let bench = Bench::with(vec![account("acme", &["api@example.com"])], &[ASSISTANTS], settings);
    for n in 0..20 {
        bench.deliver(&bench.event("other", "user.created", &json!({ "id": format!("o-{n}") }))).await;
    }
    bench.plan().await;
    assert_eq!(bench.parts.stats.get("planned"), 20, "set aside, for nobody holds the account");
    for n in 0..60 {
        bench.user_event("user.created", &format!("u-{n}")).await;
    }
    let both = [account("acme", &["api@example.com"]), account("other", &["api@example.com"])];
    bench.roster.send_replace(Arc::new(Roster::new(both, vec![super::rule(ASSISTANTS)])));
    let (shutdown, mut changed) = (CancellationToken::new(), bench.store.changed());
    let planner = Planner::new(bench.parts.clone());
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { planner.run(&shutdown).await }
    });
    while bench.jobs().await.len() < 80 {
        changed.changed().await.unwrap();
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!((bench.jobs().await.len(), bench.parts.stats.get("planned")), (80, 100));
}

#[tokio::test]
async fn an_api_user_that_is_gone_is_told_and_its_work_parks() {
    for (gone, by_email) in [("user.deactivated", true), ("user.deleted", false), ("user.disassociated", false)] {
        let bench = bench();
        // The event may name nothing but the id of a user that is configured by email: it was learned before.
        bench.create("jill").await;
        bench.zoom.put_user("joan", Status::Pending, 1);
        bench.create("joan").await;
        bench.zoom.put_user("api", Status::Inactive, 2);
        let object = if by_email { json!({ "email": "API@example.com" }) } else { json!({ "id": "api" }) };
        bench.deliver(&bench.event("acme", gone, &object)).await;
        bench.drain().await;
        assert_eq!(bench.entries("api-user-gone").await.len(), 1, "{gone}");

        bench.zoom.put_user("joan", Status::Active, 2);
        bench.user_event("user.activated", "joan").await;
        bench.drain().await;
        assert_eq!(bench.state().await, "parked api-user-unusable");
        assert_eq!(bench.zoom.count("add_assistant joan"), 0);
        assert_eq!(bench.entries("api-user-gone").await.len(), 1, "told once");
    }
}

#[tokio::test]
async fn an_api_user_that_lost_its_licence_is_told_when_its_event_comes() {
    let bench = bench();
    bench.create("jill").await;
    bench.zoom.put_user("api", Status::Active, 1);
    bench.deliver(&bench.event("acme", "user.updated", &json!({ "id": "api", "type": 1 }))).await;
    bench.drain().await;
    assert_eq!(bench.entries("api-user-gone").await.len(), 1);
    // It is told again only after it was well in between.
    bench.zoom.put_user("api", Status::Active, 2);
    bench.user_event("user.updated", "api").await;
    bench.drain().await;
    bench.zoom.put_user("api", Status::Active, 1);
    bench.user_event("user.updated", "api").await;
    bench.drain().await;
    assert_eq!(bench.entries("api-user-gone").await.len(), 2);
}

#[tokio::test]
async fn an_app_that_was_removed_is_told() {
    let bench = Bench::new(&[ASSISTANTS, WAITING_ROOM]);
    let body = json!({ "event": "app_deauthorized", "event_ts": 1, "payload": { "account_id": "acme" } });
    bench.deliver(&body).await;
    bench.drain().await;
    assert_eq!(bench.entries("app-deauthorized").await.len(), 1);
}

#[tokio::test]
async fn a_duplicate_that_comes_a_day_later_is_found_and_one_after_the_window_changes_nothing_either() {
    let bench = bench();
    let body = bench.event("acme", "user.created", &json!({ "id": "jill" }));
    bench.deliver(&body).await;
    bench.drain().await;
    bench.advance(Duration::from_secs(24 * 3600)).await;
    bench.deliver(&body).await;
    bench.advance(Duration::from_secs(1)).await;
    bench.deliver(&body).await;
    bench.drain().await;
    assert_eq!(bench.statuses().await, ["work", "duplicate", "work"]);
    assert_eq!((bench.state().await.as_str(), bench.zoom.changes()), ("done already-right", 1));
}

#[tokio::test]
async fn deliveries_are_planned_by_the_roster_that_was_released_whatever_comes_meanwhile() {
    let bench = bench();
    let held = Arc::clone(&bench.roster.borrow());
    bench.user_event("user.created", "jill").await;
    bench.roster.send_replace(Arc::default());
    Planner::new(bench.parts.clone()).plan_once(&held).await.unwrap();
    assert_eq!(bench.statuses().await, ["work"]);
}

/// Decides itself about a delivery when the time is asked for the n-th time from now on: as who forgets an account does, while
/// the planner has the delivery in its hands.
#[derive(Debug)]
struct Meddler {
    store: MemoryStore,
    asked: AtomicUsize,
    at: usize,
    of: DeliveryId,
}

impl Clock for Meddler {
    fn now(&self) -> Timestamp {
        if self.asked.fetch_add(1, Ordering::Relaxed) == self.at {
            let decision =
                Decision { delivery: self.of, account: None, event: "given.up".to_owned(), verdict: Verdict::Nothing };
            let mut decided = Box::pin(self.store.record_plan(vec![decision], super::START));
            // Where the planner was quicker, there is nothing to meddle with. The store in memory never waits.
            let _decided = decided.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        super::START
    }

    fn sleep_until(&self, _: Timestamp) -> Sleep {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn who_decides_about_a_delivery_that_the_planner_holds_or_read_ahead_does_not_end_the_service() {
    let mut codes = BTreeSet::new();
    for (plan_batch_max, at, which) in
        [1, 3].into_iter().flat_map(|max| (0..30).flat_map(move |at| [(max, at, 0), (max, at, 1)]))
    {
        let settings = Settings { plan_batch_max, ..Settings::default() };
        let mut bench = Bench::with(vec![account("acme", &["api@example.com"])], &[ASSISTANTS], settings);
        let mut all = Vec::new();
        for n in 0..3 {
            let object = json!({ "id": format!("u-{n}"), "email": format!("u-{n}@example.com") });
            all.push(bench.deliver(&bench.event("acme", "user.created", &object)).await);
        }
        let (store, asked) = (bench.store.clone(), AtomicUsize::new(0));
        bench.parts.clock = Arc::new(Meddler { store, asked, at, of: all[which + 1] });
        let (planner, shutdown) = (Planner::new(bench.parts.clone()), CancellationToken::new());
        let mut running = std::pin::pin!(planner.run(&shutdown));
        let mut first = polled(running.as_mut());
        while first.is_pending() && bench.store.status().await.unwrap().unplanned > 0 {
            tokio::task::yield_now().await;
            first = polled(running.as_mut());
        }
        assert!(first.is_pending(), "batches of {plan_batch_max}, meddled at {at}: {first:?}");
        let statuses = bench.statuses().await;
        assert_eq!((statuses.len(), &*statuses[0]), (3, "work"), "batches of {plan_batch_max}, meddled at {at}");
        codes.extend(statuses);
    }
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["nothing", "work"]);
}

fn polled<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
