//! Storing deliveries, and knowing them again.

use adjutant::audit::Kind;
use adjutant::event::signature::Verified;
use adjutant::ids::DeliveryId;
use adjutant::store::{DeliveryFilter, DeliveryStatus, FullBacklog, Limits, NewDelivery, StoreError, Verdict};

use crate::contract::Harness;
use crate::contract::kit::{DAY, HOUR, Kit, SECOND, START, account, app, ensure, user, work};

pub(crate) async fn a_delivery_reads_back_as_it_came<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let body = "{\"event\":\"user.created\", \"name\":\"Zoë\"}\n";
    let id = kit.try_deliver("main", body, Some("request-1")).await.unwrap();
    let read = kit.delivery(id).await;
    let verified = read.verified.expect("nothing was pruned");
    assert_eq!((read.id, read.app, read.received_at), (id, app("main"), START));
    assert_eq!(verified.body().as_ref(), body.as_bytes());
    assert_eq!((verified.signed_at_secs(), verified.request_id()), (START.as_secs(), Some("request-1")));
    assert_eq!((read.duplicate_of, read.same_request_as, read.replayed), (None, None, false));
    assert_eq!(kit.delivery_status(id).await, DeliveryStatus::Unplanned);
}

pub(crate) async fn deliveries_are_planned_oldest_first<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(kit.deliver().await);
    }
    assert!(made.is_sorted(), "a later delivery has a larger id");
    let oldest = kit.store.unplanned(&[], 3).await.unwrap();
    assert_eq!(oldest.iter().map(|d| d.id).collect::<Vec<_>>(), made[..3]);
    assert!(kit.store.unplanned(&[], 0).await.unwrap().is_empty());
    let ahead = kit.store.unplanned(&made[..2], 2).await.unwrap();
    assert_eq!(ahead.iter().map(|d| d.id).collect::<Vec<_>>(), made[2..4], "to read ahead");
    assert!(kit.store.unplanned(&made, 9).await.unwrap().is_empty());
}

pub(crate) async fn deliveries_are_planned_in_turn_over_apps<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let mut made = Vec::new();
    for to in ["main", "main", "main", "main", "main", "main", "other", "third", "other"] {
        made.push(kit.deliver_to(to).await);
    }
    for (but, limit, wanted) in [
        (&[][..], 1, &[0][..]),
        (&[], 3, &[0, 6, 7]),
        (&[], 5, &[0, 1, 6, 7, 8]),
        (&[], 99, &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (&[0, 6, 7], 3, &[1, 2, 8]),
        (&[0, 1, 2, 3, 4, 5], 2, &[6, 7]),
    ] {
        let but: Vec<DeliveryId> = but.iter().map(|at: &usize| made[*at]).collect();
        let found = kit.store.unplanned(&but, limit).await.unwrap();
        let found: Vec<usize> = found.iter().map(|one| made.iter().position(|id| *id == one.id).unwrap()).collect();
        assert_eq!(found, wanted, "{limit} but {but:?}");
    }
}

pub(crate) async fn the_same_body_is_a_duplicate_of_the_first<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.deliver_body("{}").await;
    kit.pass(HOUR);
    let (second, third) = (kit.deliver_body("{}").await, kit.deliver_body("{}").await);
    assert_eq!(kit.delivery(first).await.duplicate_of, None);
    assert_eq!(kit.delivery(second).await.duplicate_of, Some(first));
    assert_eq!(kit.delivery(third).await.duplicate_of, Some(first));
    assert_eq!(kit.store.unplanned(&[], 9).await.unwrap()[2].duplicate_of, Some(first), "the planner is told");
}

pub(crate) async fn one_byte_makes_another_body<H: Harness>() {
    let kit = Kit::<H>::new().await;
    kit.deliver_body("{}").await;
    let second = kit.deliver_body("{} ").await;
    assert_eq!(kit.delivery(second).await.duplicate_of, None);
}

pub(crate) async fn the_same_body_for_another_app_is_no_duplicate<H: Harness>() {
    let kit = Kit::<H>::new().await;
    kit.deliver_body("{}").await;
    let other = kit.try_deliver("other", "{}", None).await.unwrap();
    assert_eq!(kit.delivery(other).await.duplicate_of, None);
}

pub(crate) async fn a_body_is_forgotten_after_the_window_and_a_duplicate_does_not_lengthen_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.deliver_body("{}").await;
    kit.pass(DAY);
    let at_its_end = kit.deliver_body("{}").await;
    kit.pass(SECOND);
    let after = kit.deliver_body("{}").await;
    let again = kit.deliver_body("{}").await;
    assert_eq!(kit.delivery(at_its_end).await.duplicate_of, Some(first));
    assert_eq!(kit.delivery(after).await.duplicate_of, None);
    assert_eq!(kit.delivery(again).await.duplicate_of, Some(after));
}

pub(crate) async fn a_duplicate_is_known_also_when_the_first_was_planned_long_ago<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.deliver_body("{}").await;
    kit.plan(first, Verdict::Nothing).await;
    kit.pass(23 * HOUR);
    kit.restart().await;
    let second = kit.deliver_body("{}").await;
    assert_eq!(kit.delivery(second).await.duplicate_of, Some(first));
}

pub(crate) async fn a_request_id_with_another_body_is_no_duplicate_but_is_marked<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.try_deliver("main", "{\"a\":1}", Some("r")).await.unwrap();
    let second = kit.try_deliver("main", "{\"a\":2}", Some("r")).await.unwrap();
    let read = kit.delivery(second).await;
    assert_eq!((read.duplicate_of, read.same_request_as), (None, Some(first)));
    let entries = kit.entries().await;
    assert!(entries[0].detail.is_none() && entries[1].detail.is_some(), "the second is remarked on in the log");
    kit.pass(DAY + SECOND);
    let late = kit.try_deliver("main", "{\"a\":3}", Some("r")).await.unwrap();
    assert_eq!(kit.delivery(late).await.same_request_as, None);
}

pub(crate) async fn a_request_id_with_the_same_body_is_only_a_duplicate<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let first = kit.try_deliver("main", "{}", Some("r")).await.unwrap();
    let second = kit.try_deliver("main", "{}", Some("r")).await.unwrap();
    let elsewhere = kit.try_deliver("other", "{\"a\":1}", Some("r")).await.unwrap();
    let read = kit.delivery(second).await;
    assert_eq!((read.duplicate_of, read.same_request_as), (Some(first), None));
    assert_eq!(kit.delivery(elsewhere).await.same_request_as, None, "apps know nothing of each other");
}

pub(crate) async fn the_newest_delivery_with_a_request_id_is_the_one_that_counts<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let first = kit.try_deliver("main", "a", Some("r")).await.unwrap();
    let second = kit.try_deliver("main", "b", Some("r")).await.unwrap();
    let third = kit.try_deliver("main", "a", Some("r")).await.unwrap();
    let read = kit.delivery(third).await;
    assert_eq!((read.duplicate_of, read.same_request_as), (Some(first), Some(second)));
}

pub(crate) async fn deliveries_without_a_request_id_have_none_in_common<H: Harness>() {
    let kit = Kit::<H>::new().await;
    kit.deliver_body("a").await;
    let second = kit.deliver_body("b").await;
    assert_eq!(kit.delivery(second).await.same_request_as, None);
}

pub(crate) async fn a_full_backlog_refuses_deliveries_of_its_app_alone_and_leaves_no_trace<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { backlog_max: 3, ..Limits::default() }).await;
    for _ in 0..3 {
        kit.deliver().await;
    }
    let (size, seen) = (kit.log_size().await, kit.store.app_state(&app("main")).await.unwrap());
    kit.pass(SECOND);
    let refused = kit.try_deliver("main", "x", None).await;
    assert!(matches!(refused, Err(StoreError::Backlog)), "{refused:?}");
    assert_eq!(kit.log_size().await, size);
    assert_eq!(kit.store.app_state(&app("main")).await.unwrap(), seen);
    kit.try_deliver("other", "x", None).await.expect("another app has room");
}

pub(crate) async fn what_is_planned_makes_room_in_the_backlog_of_the_app<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { backlog_max: 1, ..Limits::default() }).await;
    let delivery = kit.deliver().await;
    assert!(kit.try_deliver("main", "x", None).await.is_err());
    kit.plan(delivery, work(vec![ensure("assist", user("u1"))])).await;
    kit.try_deliver("main", "x", None).await.expect("unfinished jobs count for their account alone");
}

pub(crate) async fn a_delivery_says_when_its_app_last_verified_one<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    assert_eq!(kit.store.app_state(&app("main")).await.unwrap().verified_at, None);
    kit.deliver().await;
    let newest = kit.now;
    kit.now = kit.now.minus(HOUR);
    kit.deliver().await;
    assert_eq!(kit.store.app_state(&app("main")).await.unwrap().verified_at, Some(newest));
    assert_eq!(kit.store.app_state(&app("other")).await.unwrap().verified_at, None);
}

pub(crate) async fn deliveries_are_listed_newest_first_in_pages<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let made = [kit.deliver().await, kit.deliver_to("other").await, kit.deliver().await, kit.deliver().await];
    kit.plan(made[2], Verdict::Unreadable { why: "no JSON".to_owned() }).await;
    let list = async |filter: DeliveryFilter| -> Vec<_> {
        kit.store.deliveries(filter).await.unwrap().into_iter().map(|summary| summary.id).collect()
    };
    let all = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
    assert_eq!(list(all.clone()).await, [made[3], made[2], made[1], made[0]]);
    assert_eq!(list(DeliveryFilter { limit: 2, before: Some(made[3]), ..all.clone() }).await, [made[2], made[1]]);
    assert_eq!(list(DeliveryFilter { app: Some(app("other")), ..all.clone() }).await, [made[1]]);
    assert_eq!(list(DeliveryFilter { parked: true, ..all.clone() }).await, [made[2]]);
    assert!(list(DeliveryFilter { limit: 0, ..all }).await.is_empty());
}

pub(crate) async fn deliveries_of_an_account_are_those_whose_body_names_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let body = |of: &str, n: u32| {
        format!(r#"{{"event":"user.created","event_ts":{n},"payload":{{"account_id":"{of}","object":{{"id":"u"}}}}}}"#)
    };
    let mut made = Vec::new();
    for (of, n) in [("acc", 1), ("other", 2), ("acc", 3), ("acc", 4)] {
        made.push(kit.deliver_body(&body(of, n)).await);
    }
    kit.deliver_body("no JSON").await;
    kit.plan(made[2], Verdict::Unclaimed { account: Some(account("acc")) }).await;
    kit.restart().await;
    let all = DeliveryFilter { account: Some(account("acc")), limit: 9, ..DeliveryFilter::default() };
    let list = async |filter: DeliveryFilter| -> Vec<_> {
        kit.store.deliveries(filter).await.unwrap().into_iter().map(|summary| summary.id).collect()
    };
    assert_eq!(list(all.clone()).await, [made[3], made[2], made[0]]);
    assert_eq!(list(DeliveryFilter { limit: 1, before: Some(made[2]), ..all.clone() }).await, [made[0]]);
    assert_eq!(list(DeliveryFilter { parked: true, ..all.clone() }).await, [made[2]]);
    assert!(list(DeliveryFilter { app: Some(app("other")), ..all }).await.is_empty());
}

pub(crate) async fn what_is_found_in_the_log_of_zoom_says_so_and_is_stored_once<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let came = kit.deliver_body("{\"n\":1}").await;
    let verified_at = kit.store.app_state(&app("main")).await.unwrap().verified_at;
    kit.pass(SECOND);
    let mut stored = Vec::new();
    for body in ["{\"n\":1}", "{\"n\":2}", "{\"n\":2}"] {
        let verified = Verified::reread(body.into(), kit.now.as_secs(), None);
        let new = NewDelivery { app: app("main"), received_at: kit.now, verified };
        stored.extend(kit.store.backfill(new).await.unwrap());
    }
    let [found] = stored.as_slice() else { panic!("{stored:?}") };
    kit.restart().await;
    assert!(kit.delivery(found.delivery()).await.is_backfilled && !kit.delivery(came).await.is_backfilled);
    assert_eq!(kit.told_since(0).await, ["delivery stored", "delivery backfilled"]);
    assert_eq!(kit.store.app_state(&app("main")).await.unwrap().verified_at, verified_at);
    assert_eq!(kit.store.unplanned(&[], 9).await.unwrap().len(), 2, "it goes the way of all others");
}

pub(crate) async fn what_was_never_stored_is_not_there<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let far = (u64::MAX - 1, u64::MAX);
    let (delivery, no_job) = (DeliveryId::from_number(far.0), adjutant::ids::JobId::from_number(far.1));
    assert!(kit.store.delivery(delivery).await.unwrap().is_none());
    assert!(kit.store.job(no_job).await.unwrap().is_none());
    assert!(kit.store.job(job).await.unwrap().is_some());
}

pub(crate) async fn a_stored_delivery_is_told_in_the_log<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let id = kit.deliver().await;
    let entries = kit.entries().await;
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!((entry.kind, entry.code.as_str(), entry.at), (Kind::Delivery, "stored", kit.now));
    assert_eq!((entry.app.clone(), entry.account.clone()), (Some(app("main")), None));
    assert_eq!((entry.delivery, entry.job), (Some(id), None));
}

pub(crate) async fn an_app_with_a_full_backlog_is_told_since_the_first_delivery_that_waits<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { backlog_max: 2, ..Limits::default() }).await;
    let since = kit.now;
    let first = kit.deliver().await;
    kit.deliver_to("other").await;
    assert_eq!(kit.store.status().await.unwrap().full_backlogs, []);
    kit.pass(SECOND);
    kit.deliver().await;
    let full = |since| vec![FullBacklog { app: app("main"), unplanned: 2, since }];
    assert_eq!(kit.store.status().await.unwrap().full_backlogs, full(since));
    kit.restart().await;
    assert_eq!(kit.store.status().await.unwrap().full_backlogs, full(since));
    kit.plan(first, Verdict::Nothing).await;
    assert_eq!(kit.store.status().await.unwrap().full_backlogs, []);
    kit.deliver().await;
    assert_eq!(kit.store.status().await.unwrap().full_backlogs, full(since.plus(SECOND)));
}
