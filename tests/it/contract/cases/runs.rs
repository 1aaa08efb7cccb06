//! Timers of runs of meetings, and records of them.

use std::time::Duration;

use adjutant::clock::Timestamp;
use adjutant::ids::{DeliveryId, JobId, MeetingId, MeetingUuid};
use adjutant::job::{JobState, Outcome, ParkCause, Snooze, WaitReason};
use adjutant::rules::{Fold, Step};
use adjutant::store::{Collected, DeliveryStatus, Limits, Move, Selector, Verdict};

use crate::contract::Harness;
use crate::contract::kit::{
    DAY, HOUR, Kit, LEASE, SECOND, START, changed, happened, instance, later, meant, meeting, rule, user, work,
};

fn unless(uuid: Option<&str>) -> Step {
    let uuid = uuid.map(|uuid| MeetingUuid::parse(uuid).unwrap());
    let meeting = MeetingId::from_number(1);
    Step::Unless { rule: rule("assist"), meeting, uuid, why: "meeting.started".to_owned() }
}

fn collect(is_last: bool) -> Step {
    Step::Collect { rule: rule("assist"), subject: instance(1, "r1"), on: None, is_last }
}

async fn due<H: Harness>(kit: &Kit<H>, id: JobId) -> Timestamp {
    match kit.job(id).await.state {
        JobState::Due { at, .. } => at,
        other => panic!("{id} should be due and is {other:?}"),
    }
}

pub(crate) async fn a_timer_is_due_after_its_event_once_for_each_rule_and_run_for_ever<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { finished_max: 1, ..Limits::default() }).await;
    let (timer, ask) = (later("assist", instance(1, "r1")), |step: &Step| happened(START, vec![step.clone()]));
    kit.pass(20 * SECOND);
    let (_, jobs) = kit.event(ask(&timer)).await;
    assert_eq!((jobs.len(), due(&kit, jobs[0]).await), (1, START.plus(LEASE)));
    assert_eq!(kit.event(ask(&timer)).await.1, [], "it runs already");
    assert_eq!(kit.event(ask(&later("tidy", instance(1, "r1")))).await.1.len(), 1, "another rule's");
    assert_eq!(kit.event(ask(&later("assist", instance(1, "r2")))).await.1.len(), 1, "another run's");
    assert_eq!(kit.event_for("bcc", ask(&timer)).await.1.len(), 1, "another account's");
    kit.restart().await;
    kit.pass(39 * SECOND);
    assert_eq!(kit.claim(9).await.len(), 0);
    kit.pass(SECOND);
    let mut leased = kit.claim(9).await;
    assert_eq!(leased.len(), 4 - 1, "two rules' timers of one run go one after the other");
    for mut leased in leased.drain(..) {
        kit.store.start(&mut leased, kit.now).await.unwrap();
        kit.settle(leased, changed()).await;
    }
    kit.run(changed()).await;
    assert_eq!(kit.store.job(jobs[0]).await.unwrap(), None, "it is not kept any more");
    for _ in 0..2 {
        assert_eq!(kit.event(ask(&timer)).await.1, []);
        kit.restart().await;
    }
    // What is late is due now.
    let (_, jobs) = kit.event(ask(&later("assist", instance(1, "r3")))).await;
    assert_eq!(due(&kit, jobs[0]).await, kit.now);
}

pub(crate) async fn what_ends_a_timer_counts_whether_it_comes_before_or_after<H: Harness>() {
    let at = |secs: u32| START.plus(SECOND * secs);
    // The uuid of what ends it, when that happened, and whether it does: the timer's event is of second 10.
    let cases = [
        (Some("r1"), 20, true),
        (Some("r1"), 5, true),
        (Some("r2"), 10, true),
        (Some("r2"), 9, false),
        (None, 10, true),
        (None, 9, false),
    ];
    for (uuid, second, ends) in cases {
        for is_first in [false, true] {
            let case = format!("{uuid:?} {second} first: {is_first}");
            let mut kit = Kit::<H>::new().await;
            kit.pass(30 * SECOND);
            let (timer, end) =
                (happened(at(10), vec![later("assist", instance(1, "r1"))]), happened(at(second), vec![unless(uuid)]));
            let (one, other) = if is_first { (end, timer) } else { (timer, end) };
            let (_, first) = kit.event(one).await;
            kit.restart().await;
            let (_, second) = kit.event(other).await;
            let timers: Vec<JobId> = [first, second].concat();
            let mut states = Vec::new();
            for id in &timers {
                states.push(kit.state(*id).await);
            }
            let expected: &[&str] = match (ends, is_first) {
                (true, true) => &[],
                (true, false) => &["cancelled", "cancelled"],
                (false, _) => &["due"],
            };
            assert_eq!(states, expected, "{case}");
            // Nor does another event of the run begin one.
            assert_eq!(kit.event(happened(at(29), vec![later("assist", instance(1, "r1"))])).await.1, [], "{case}");
        }
    }
}

pub(crate) async fn a_timer_that_has_fired_goes_on_whatever_would_end_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (_, jobs) = kit.event(happened(START, vec![later("assist", instance(1, "r1"))])).await;
    kit.pass(LEASE);
    let leased = kit.started().await;
    assert_eq!(kit.event(happened(kit.now, vec![unless(Some("r1"))])).await.1, []);
    assert_eq!(kit.settle(leased, changed()).await.id, jobs[0]);
    assert_eq!(kit.state(jobs[0]).await, "done");
    // Nor does another event of the run begin one.
    assert_eq!(kit.event(happened(kit.now, vec![later("assist", instance(1, "r1"))])).await.1, []);
}

pub(crate) async fn an_older_event_of_the_run_makes_a_timer_due_earlier<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let timer = |secs: u32| happened(START.plus(SECOND * secs), vec![later("assist", instance(1, "r1"))]);
    kit.pass(30 * SECOND);
    let (_, jobs) = kit.event(timer(20)).await;
    assert_eq!(kit.event(timer(25)).await.1, [], "a newer one changes nothing");
    assert_eq!((kit.event(timer(10)).await.1, due(&kit, jobs[0]).await), (jobs.clone(), START.plus(70 * SECOND)));
    // Of another run of the meeting, in between what the timer was begun by first and what it is begun by now.
    kit.event(happened(START.plus(5 * SECOND), vec![unless(Some("r2"))])).await;
    assert_eq!(kit.state(jobs[0]).await, "due");
    assert_eq!((kit.event(timer(4)).await.1, kit.state(jobs[0]).await), (jobs.clone(), "cancelled"));
}

pub(crate) async fn a_record_takes_all_events_until_it_was_tried_and_those_after_amend_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let event = |is_last| Verdict::Work { meaning: None, event_at: Some(START), steps: vec![collect(is_last)] };
    let mut of = Vec::new();
    let mut told = async |kit: &mut Kit<H>, is_last: bool| {
        let delivery = kit.deliver().await;
        of.push(delivery);
        kit.plan(delivery, event(is_last)).await;
        (kit.store.jobs(adjutant::store::JobFilter { limit: 9, ..Default::default() }).await.unwrap()[0].id, of.clone())
    };
    let (first, _) = told(&mut kit, false).await;
    assert_eq!(due(&kit, first).await, START.plus(Fold::GIVES_UP));
    kit.pass(SECOND);
    told(&mut kit, true).await;
    assert_eq!(due(&kit, first).await, START.plus(Fold::GRACE), "after the end, whenever it is told");
    let (same, mut all) = told(&mut kit, false).await;
    assert_eq!(same, first);
    let collected = |deliveries: &[DeliveryId], number, of_before| {
        Some(Collected { number, deliveries: deliveries.to_vec(), of_before, is_cut: false })
    };
    kit.restart().await;
    assert_eq!(kit.store.collected(first).await.unwrap(), collected(&all, 1, 0));
    kit.pass(Fold::GRACE);
    let leased = kit.started().await;
    // While it runs, what comes is for another record.
    let (second, more) = told(&mut kit, false).await;
    assert!(second > first);
    assert_eq!(due(&kit, second).await, kit.now.plus(Fold::GRACE));
    assert_eq!(kit.store.collected(first).await.unwrap(), collected(&all, 1, 0), "it stays what was sent");
    kit.settle(leased, Outcome::Retry { error: "503".to_owned() }).await;
    assert_eq!(told(&mut kit, false).await.0, second);
    all = more;
    kit.restart().await;
    let record = kit.store.collected(second).await.unwrap().unwrap();
    assert_eq!((record.number, record.of_before, record.deliveries.len()), (2, 3, 5));
    assert_eq!(record.deliveries[..4], all[..]);
    kit.pass(HOUR);
    assert_eq!(kit.run(changed()).await.id, first);
    assert_eq!(kit.run(changed()).await.id, second);
    kit.restart().await;
    let (third, _) = told(&mut kit, false).await;
    assert_eq!(kit.store.collected(third).await.unwrap().unwrap().number, 3);
}

pub(crate) async fn a_record_without_an_end_is_made_all_the_same<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (_, jobs) = kit.event(happened(START, vec![collect(false)])).await;
    kit.pass(Fold::GIVES_UP.saturating_sub(SECOND));
    assert_eq!(kit.claim(9).await.len(), 0);
    kit.pass(SECOND);
    assert_eq!(kit.run(changed()).await.id, jobs[0]);
}

pub(crate) async fn a_release_lets_one_rule_go_on<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let waits = || Outcome::Snooze(Snooze::ForEvent(WaitReason::MeetingInProgress));
    let steps = vec![
        crate::contract::kit::ensure("assist", meeting(1)),
        crate::contract::kit::ensure("tidy", meeting(1)),
        Step::Later { rule: rule("assist"), subject: instance(1, "r1"), on: None, after: Duration::ZERO },
        Step::Later { rule: rule("assist"), subject: instance(2, "r2"), on: None, after: Duration::ZERO },
    ];
    let (_, jobs) = kit.event(happened(START, steps)).await;
    for _ in 0..2 {
        for mut leased in kit.claim(9).await {
            kit.store.start(&mut leased, kit.now).await.unwrap();
            kit.settle(leased, waits()).await;
        }
    }
    let release = Step::Release { rule: rule("assist"), meeting: MeetingId::from_number(1) };
    assert_eq!(kit.event(work(vec![release])).await.1, [jobs[0], jobs[2]]);
    let mut states = Vec::new();
    for id in jobs {
        states.push(kit.state(id).await);
    }
    assert_eq!(states, ["due", "waiting", "due", "waiting"]);
}

pub(crate) async fn of_a_meeting_the_first_telling_and_the_newest_fifteen_are_remembered<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let told = |is_first: bool| Step::Remember { meeting: MeetingId::from_number(1), is_first };
    let mut of = Vec::new();
    // The newest event comes first, and what made the meeting somewhere in between.
    for n in (1..=20_u32).rev() {
        let delivery = kit.deliver().await;
        kit.plan(delivery, happened(START.plus(SECOND * n), vec![told(n == 10)])).await;
        of.push(delivery);
    }
    of.reverse();
    let other = kit.deliver().await;
    kit.plan_for(other, "bcc", happened(START, vec![told(false)])).await;
    let expected: Vec<DeliveryId> = [&of[9..10], &of[4..9], &of[10..]].concat();
    for _ in 0..2 {
        let of_meeting = async |name: &str, meeting| {
            let (app, account) = (crate::contract::kit::app("main"), crate::contract::kit::account(name));
            kit.store.told_of(&app, &account, MeetingId::from_number(meeting)).await.unwrap()
        };
        assert_eq!(of_meeting("acc", 1).await, expected);
        assert_eq!((of_meeting("bcc", 1).await, of_meeting("acc", 2).await), (vec![other], Vec::new()));
        kit.restart().await;
    }
}

pub(crate) async fn what_has_been_due_for_longest_goes_first_whenever_it_was_made<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let mut timers = Vec::new();
    for run in 1..=3 {
        timers.extend(kit.event(happened(START, vec![later("assist", instance(run, "r"))])).await.1);
    }
    kit.pass(LEASE.saturating_sub(SECOND));
    let before = kit.ask(user("u1")).await;
    kit.pass(SECOND);
    let beside = kit.ask(user("u2")).await;
    let order: Vec<JobId> = kit.claim(9).await.iter().map(|leased| leased.job.id).collect();
    assert_eq!(order, [vec![before], timers, vec![beside]].concat());
}

pub(crate) async fn a_timer_is_never_due_in_the_past_nor_put_off_by_anything<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.pass(HOUR);
    let timer = |at: Timestamp, run: &str, after: Duration| {
        happened(at, vec![Step::Later { rule: rule("assist"), subject: instance(1, run), on: None, after }])
    };
    let late = kit.event(timer(START, "late", LEASE)).await.1[0];
    assert_eq!(due(&kit, late).await, kit.now);
    // By Zoom's clock, which runs ahead.
    let ahead = kit.event(timer(kit.now.plus(HOUR), "ahead", LEASE)).await.1[0];
    assert_eq!(due(&kit, ahead).await, kit.now.plus(LEASE));
    // An older event of the run, by when the rule waits for longer.
    kit.event(timer(kit.now.minus(SECOND), "ahead", DAY)).await;
    assert_eq!(due(&kit, ahead).await, kit.now.plus(LEASE));
    // Once it was tried, no event moves it.
    let leased = kit.started().await;
    assert_eq!(leased.job.id, late);
    kit.settle(leased, Outcome::Retry { error: "503".to_owned() }).await;
    let again = due(&kit, late).await;
    assert!(again > kit.now);
    assert_eq!(kit.event(timer(START.minus(SECOND), "late", LEASE)).await.1, []);
    assert_eq!(due(&kit, late).await, again);
}

pub(crate) async fn a_timer_ends_by_events_of_its_own_rule_and_app_and_a_repeated_event_begins_none<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let steps = vec![later("assist", instance(1, "r1")), later("tidy", instance(1, "r1"))];
    let (_, jobs) = kit.event(happened(START, steps)).await;
    let elsewhere = kit.deliver_to("other").await;
    kit.plan(elsewhere, happened(START.plus(SECOND), vec![unless(Some("r1"))])).await;
    assert_eq!((kit.state(jobs[0]).await, kit.state(jobs[1]).await), ("due", "due"), "of another app");
    kit.event(happened(START.plus(SECOND), vec![unless(Some("r1"))])).await;
    assert_eq!((kit.state(jobs[0]).await, kit.state(jobs[1]).await), ("cancelled", "due"), "of another rule");
    assert_eq!(kit.event(meant(1, vec![later("assist", instance(2, "r2"))])).await.1.len(), 1);
    assert_eq!(kit.event(meant(1, vec![later("assist", instance(3, "r3"))])).await.1, []);
}

pub(crate) async fn timers_and_records_count_against_the_backlog_where_they_make_a_job<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { backlog_max: 2, ..Limits::default() }).await;
    kit.event(happened(START, vec![unless(Some("ended"))])).await;
    kit.event(happened(START, vec![later("assist", instance(2, "r2")), collect(false)])).await;
    let held = DeliveryStatus::Parked { cause: "backlog".to_owned() };
    let other = Step::Collect { rule: rule("tidy"), subject: instance(3, "r3"), on: None, is_last: false };
    for (step, is_held) in [
        (later("assist", instance(4, "r4")), true),
        (later("assist", instance(1, "ended")), false),
        (later("assist", instance(2, "r2")), false),
        (collect(false), false),
        (other, true),
    ] {
        let delivery = kit.deliver().await;
        kit.plan(delivery, happened(START.minus(SECOND), vec![step.clone()])).await;
        assert_eq!(kit.delivery_status(delivery).await == held, is_held, "{step:?}");
    }
}

pub(crate) async fn a_record_that_was_tried_takes_no_more_also_when_a_person_has_it_tried_anew<H: Harness>() {
    for outcome in [Outcome::Retry { error: "503".to_owned() }, Outcome::Park(ParkCause::NotFound)] {
        let mut kit = Kit::<H>::new().await;
        let (_, jobs) = kit.event(happened(START, vec![collect(true)])).await;
        kit.pass(Fold::GRACE);
        let leased = kit.started().await;
        let is_parked = matches!(outcome, Outcome::Park(_));
        kit.settle(leased, outcome).await;
        if is_parked {
            let retried = kit.store.move_jobs(Selector::Job(jobs[0]), Move::Retry, "a person", kit.now).await;
            assert_eq!((retried.unwrap(), kit.job(jobs[0]).await.attempts), (1, 0));
        }
        let (_, more) = kit.event(happened(START, vec![collect(false)])).await;
        assert!(more.len() == 1 && more[0] != jobs[0], "{more:?}");
        assert_eq!(kit.store.collected(jobs[0]).await.unwrap().unwrap().deliveries.len(), 1);
    }
}
