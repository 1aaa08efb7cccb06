//! From deliveries to jobs.

use adjutant::audit::Kind;
use adjutant::ids::{DeliveryId, JobId};
use adjutant::job::{Asker, JobState, Outcome, ParkCause, Snooze, WaitReason};
use adjutant::rules::Step;
use adjutant::store::{Decision, DeliveryStatus, Limits, StoreError, Verdict};

use crate::contract::Harness;
use crate::contract::kit::{
    DAY, HOUR, Kit, SECOND, account, app, assert_conflict, changed, email, ensure, happened, meant, meeting, rule,
    user, user_with_email, work,
};

fn waits() -> Outcome {
    Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))
}

fn cancel(subject: adjutant::job::Subject) -> Step {
    Step::Cancel { subject, why: "user.deleted".to_owned(), spared: Vec::new() }
}

pub(crate) async fn a_decision_takes_a_delivery_off_the_list_of_the_unplanned<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let id = kit.deliver().await;
    kit.plan(id, Verdict::Nothing).await;
    assert!(kit.store.unplanned(&[], 9).await.unwrap().is_empty());
    let (code, jobs) = ("nothing".to_owned(), Vec::new());
    assert_eq!(kit.delivery_status(id).await, DeliveryStatus::Planned { code, jobs });
}

pub(crate) async fn an_event_makes_a_job_that_is_due_now<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let delivery = kit.deliver().await;
    kit.pass(SECOND);
    kit.plan(delivery, work(vec![ensure("assist", user("u1"))])).await;
    let leased = kit.claim_one().await;
    let job = kit.job(leased.job.id).await;
    assert_eq!((job.app, job.account, job.rule), (app("main"), account("acc"), rule("assist")));
    assert_eq!((job.subject, job.made_at, job.attempts, job.again), (user("u1"), kit.now, 0, false));
    let by = Asker::Delivery(delivery);
    assert_eq!((job.made_by, job.asked_by), (by, by));
}

pub(crate) async fn a_second_event_about_the_same_subject_merges<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.ask(user("u1")).await;
    let delivery = kit.deliver().await;
    kit.plan(delivery, work(vec![ensure("assist", user("u1"))])).await;
    let job = kit.job(first).await;
    assert_eq!(job.asked_by, Asker::Delivery(delivery));
    assert_ne!(job.made_by, Asker::Delivery(delivery));
    assert_eq!(kit.store.status().await.unwrap().due, 1);
}

pub(crate) async fn other_rules_accounts_apps_and_subjects_have_jobs_of_their_own<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.ask(user("u1")).await;
    let mut made = vec![first, kit.ask_for("bcc", user("u1")).await, kit.ask(user("u2")).await];
    made.push(kit.ask(meeting(1)).await);
    made.extend(kit.event(work(vec![ensure("tidy", user("u1"))])).await.1);
    let delivery = kit.deliver_to("other").await;
    kit.plan(delivery, work(vec![ensure("assist", user("u1"))])).await;
    assert_eq!(kit.store.status().await.unwrap().due, 6);
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), 5);
}

pub(crate) async fn a_finished_job_is_not_taken_up_again<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.ask(user("u1")).await;
    kit.run(changed()).await;
    let second = kit.ask(user("u1")).await;
    assert_ne!(first, second);
    assert_eq!((kit.state(first).await, kit.state(second).await), ("done", "due"));
}

pub(crate) async fn a_user_known_by_email_and_one_known_by_id_merge_where_either_is_the_same<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.ask(email("Jill@example.com")).await;
    assert_eq!(kit.ask(user_with_email("u1", "jill@example.com")).await, first, "the email is the same");
    assert_eq!(kit.job(first).await.subject, user_with_email("u1", "jill@example.com"), "the job learned the id");
    assert_eq!(kit.ask(user("u1")).await, first, "the id is the same");
    assert_eq!(kit.ask(user_with_email("u1", "new@example.com")).await, first);
    assert_eq!(kit.job(first).await.subject, user_with_email("u1", "jill@example.com"), "what it has stays");
    assert_ne!(kit.ask(user_with_email("u2", "other@example.com")).await, first);
}

pub(crate) async fn where_two_jobs_fit_the_older_is_merged_into<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let by_id = kit.ask(user("u1")).await;
    let by_email = kit.ask(email("jill@example.com")).await;
    assert_ne!(by_id, by_email, "nothing says that they are one");
    assert_eq!(kit.ask(user_with_email("u1", "jill@example.com")).await, by_id);
}

pub(crate) async fn a_parked_job_is_merged_into_and_stays_parked<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    kit.run(Outcome::Park(ParkCause::AssistantsFull)).await;
    assert_eq!(kit.ask(user("u1")).await, job);
    assert_eq!(kit.state(job).await, "parked");
}

pub(crate) async fn a_waiting_job_goes_on_when_an_event_asks_for_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    kit.run(waits()).await;
    assert_eq!(kit.state(job).await, "waiting");
    assert!(kit.claim(9).await.is_empty());
    assert_eq!(kit.ask(user("u1")).await, job);
    kit.run(changed()).await;
    assert_eq!(kit.state(job).await, "done");
}

pub(crate) async fn an_event_during_a_run_makes_the_job_run_once_more<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let leased = kit.started().await;
    assert_eq!(kit.ask(user("u1")).await, job);
    assert!(kit.job(job).await.again);
    let after = kit.settle(leased, changed()).await;
    assert!(matches!(after.state, JobState::Due { at, .. } if at == kit.now), "{:?}", after.state);
    assert_eq!((after.again, after.attempts), (false, 0));
    kit.run(changed()).await;
    assert_eq!(kit.state(job).await, "done");
}

pub(crate) async fn a_meaning_that_was_seen_makes_no_second_job<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let asks = || meant(1, vec![ensure("assist", user("u1"))]);
    let (code, jobs) = kit.event(asks()).await;
    assert_eq!((code.as_str(), jobs.len()), ("work", 1));
    kit.run(changed()).await;
    kit.pass(DAY);
    assert_eq!(kit.event(asks()).await, ("repeated".to_owned(), Vec::new()));
    kit.pass(SECOND);
    let (code, jobs) = kit.event(asks()).await;
    assert_eq!((code.as_str(), jobs.len()), ("work", 1), "a repetition does not lengthen the window");
}

pub(crate) async fn a_meaning_that_was_seen_merges_into_unfinished_work<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let steps = || vec![ensure("assist", user("u1")), ensure("tidy", user("u1"))];
    let (_, first) = kit.event(meant(1, steps())).await;
    kit.run(changed()).await;
    let (code, jobs) = kit.event(meant(1, steps())).await;
    assert_eq!((code.as_str(), jobs), ("repeated", vec![first[1]]), "the finished one is not made again");
}

pub(crate) async fn meanings_count_per_account_and_within_a_batch<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let asks = || meant(1, vec![ensure("assist", user("u1"))]);
    kit.event(asks()).await;
    assert_eq!(kit.event_for("bcc", asks()).await.0, "work");
    let other = || meant(2, vec![ensure("assist", user("u2"))]);
    let (a, b) = (kit.deliver().await, kit.deliver().await);
    let batch = vec![Kit::<H>::decision(a, "acc", other()), Kit::<H>::decision(b, "acc", other())];
    kit.store.record_plan(batch, kit.now).await.unwrap();
    assert!(matches!(kit.delivery_status(b).await, DeliveryStatus::Planned { code, .. } if code == "repeated"));
}

pub(crate) async fn events_without_a_meaning_are_never_repeated<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for _ in 0..2 {
        let (code, jobs) = kit.event(work(vec![ensure("assist", user("u1"))])).await;
        assert_eq!((code.as_str(), jobs.len()), ("work", 1));
        kit.run(changed()).await;
    }
}

pub(crate) async fn a_meaning_for_which_no_job_was_made_is_not_held_against_the_next<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.event(meant(1, vec![Step::Wake { subject: user("u1") }])).await;
    let (code, jobs) = kit.event(meant(1, vec![ensure("assist", user("u1"))])).await;
    assert_eq!((code.as_str(), jobs.len()), ("work", 1));
}

pub(crate) async fn a_meaning_is_remembered_over_a_restart<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let asks = || meant(1, vec![ensure("assist", user("u1"))]);
    kit.event(asks()).await;
    kit.run(changed()).await;
    kit.restart().await;
    assert_eq!(kit.event(asks()).await.0, "repeated");
}

pub(crate) async fn a_wake_lets_what_waits_go_on_and_makes_nothing<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let wake = || work(vec![Step::Wake { subject: meeting(1) }]);
    assert_eq!(kit.event(wake()).await, ("work".to_owned(), Vec::new()));
    let job = kit.ask(meeting(1)).await;
    assert_eq!(kit.event(wake()).await.1, [], "a due job is not touched");
    kit.run(Outcome::Snooze(Snooze::ForEvent(WaitReason::MeetingInProgress))).await;
    assert_eq!(kit.event_for("bcc", wake()).await.1, [], "another account's event wakes nothing");
    assert_eq!(kit.event(wake()).await.1, [job]);
    assert_eq!(kit.claim_one().await.job.id, job);
}

pub(crate) async fn a_wake_during_a_run_makes_the_job_run_once_more<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(meeting(1)).await;
    let leased = kit.started().await;
    let wake = || work(vec![Step::Wake { subject: meeting(1) }]);
    assert_eq!(kit.event(wake()).await.1, [job]);
    assert_eq!(kit.event(wake()).await.1, [], "the second changes nothing");
    let after = kit.settle(leased, Outcome::Snooze(Snooze::ForEvent(WaitReason::MeetingInProgress))).await;
    assert_eq!(after.state.name(), "due", "it does not wait for what has happened already");
}

pub(crate) async fn a_cancellation_ends_all_unfinished_work_for_its_subject_and_nothing_else<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let done = kit.ask(user("u1")).await;
    kit.run(changed()).await;
    let (_, mine) =
        kit.event(work(vec![ensure("assist", user("u1")), ensure("tidy", user_with_email("u1", "a@b.c"))])).await;
    let (other, elsewhere) = (kit.ask(user("u2")).await, kit.ask_for("bcc", user("u1")).await);
    let size = kit.log_size().await;
    let (code, jobs) = kit.event(work(vec![cancel(user("u1"))])).await;
    assert_eq!((code.as_str(), &jobs), ("work", &mine));
    for id in mine {
        assert_eq!(kit.state(id).await, "cancelled");
    }
    assert_eq!((kit.state(other).await, kit.state(elsewhere).await, kit.state(done).await), ("due", "due", "done"));
    let told = kit.told_since(size).await;
    assert_eq!(told, ["delivery stored", "decision work", "moved cancelled", "moved cancelled"]);
}

pub(crate) async fn a_cancellation_reaches_waiting_and_parked_work_too<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let waiting = kit.ask(user("u1")).await;
    kit.run(waits()).await;
    let (_, parked) = kit.event(work(vec![ensure("tidy", user("u1"))])).await;
    kit.run(Outcome::Park(ParkCause::NotFound)).await;
    kit.event(work(vec![cancel(user("u1"))])).await;
    assert_eq!((kit.state(waiting).await, kit.state(parked[0]).await), ("cancelled", "cancelled"));
}

pub(crate) async fn an_older_cancellation_leaves_what_a_newer_event_asked_for<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (older, newer) = (kit.now, kit.now.plus(SECOND));
    let asks = || vec![ensure("assist", user("u1"))];
    let (_, jobs) = kit.event(happened(newer, asks())).await;
    // What came last happened first, and does not make the job any older.
    kit.event(happened(older, asks())).await;
    kit.run(waits()).await;
    kit.restart().await;
    let (code, touched) = kit.event(happened(older, vec![cancel(user("u1"))])).await;
    assert_eq!((code.as_str(), touched), ("work", Vec::new()));
    assert_eq!(kit.state(jobs[0]).await, "waiting");
    kit.event(happened(newer, vec![cancel(user("u1"))])).await;
    assert_eq!(kit.state(jobs[0]).await, "cancelled", "of two in one millisecond the last to come counts");
}

pub(crate) async fn a_cancellation_leaves_a_run_that_a_newer_event_asked_for<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (older, newer) = (kit.now.plus(SECOND), kit.now.plus(2 * SECOND));
    let (_, jobs) = kit.event(happened(kit.now, vec![ensure("assist", user("u1"))])).await;
    let leased = kit.started().await;
    kit.event(happened(newer, vec![ensure("assist", user("u1"))])).await;
    kit.event(happened(older, vec![cancel(user("u1"))])).await;
    kit.settle(leased, waits()).await;
    assert_eq!(kit.state(jobs[0]).await, "due", "it looks again, since somebody asked while it ran");
    kit.run(changed()).await;
    assert_eq!(kit.state(jobs[0]).await, "done");
}

pub(crate) async fn where_an_event_does_not_say_when_it_happened_the_last_to_come_counts<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let later = kit.now.plus(SECOND);
    for (asked_at, cancelled_at) in [(None, Some(later)), (Some(later), None), (None, None)] {
        let verdict = |event_at, step| Verdict::Work { meaning: None, event_at, steps: vec![step] };
        let (_, jobs) = kit.event(verdict(asked_at, ensure("assist", user("u1")))).await;
        kit.event(verdict(cancelled_at, cancel(user("u1")))).await;
        assert_eq!(kit.state(jobs[0]).await, "cancelled");
    }
}

pub(crate) async fn steps_are_taken_in_order<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let old = kit.ask(user("u1")).await;
    let (_, jobs) = kit.event(work(vec![cancel(user("u1")), ensure("assist", user("u1"))])).await;
    assert_eq!(jobs.len(), 2);
    assert_eq!((kit.state(old).await, kit.state(jobs[1]).await), ("cancelled", "due"));
}

pub(crate) async fn a_cancellation_spares_what_its_own_event_is_to_begin<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let deleted = |spared: &[&str]| {
        let spared = spared.iter().map(|name| rule(name)).collect();
        Step::Cancel { subject: meeting(1), why: "meeting.deleted".to_owned(), spared }
    };
    let steps = || vec![deleted(&["recover"]), ensure("recover", meeting(1)), ensure("tidy", meeting(1))];
    let (_, first) = kit.event(work(steps())).await;
    let (_, again) = kit.event(work(steps())).await;
    assert_eq!(first[0], again[0], "the recovery goes on");
    assert_eq!((kit.state(first[0]).await, kit.state(first[1]).await), ("due", "cancelled"));
    kit.event(work(vec![deleted(&[])])).await;
    assert_eq!(kit.state(first[0]).await, "cancelled", "another event has no use for it");
}

pub(crate) async fn a_batch_with_one_bad_decision_writes_nothing<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let planned = kit.deliver().await;
    kit.plan(planned, Verdict::Nothing).await;
    let (good, other) = (kit.deliver().await, kit.deliver().await);
    let asks = |id| Kit::<H>::decision(id, "acc", work(vec![ensure("assist", user("u1"))]));
    let homeless = Decision { account: None, ..asks(other) };
    let unknown = asks(DeliveryId::from_number(u64::MAX));
    let size = kit.log_size().await;
    for bad in [asks(planned), asks(good), homeless] {
        assert_conflict(kit.store.record_plan(vec![asks(good), bad], kit.now).await);
    }
    let result = kit.store.record_plan(vec![asks(good), unknown], kit.now).await;
    assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
    assert_eq!(kit.log_size().await, size);
    assert_eq!(kit.store.status().await.unwrap().due, 0);
    assert_eq!(kit.store.unplanned(&[], 9).await.unwrap().len(), 2);
    kit.store.record_plan(vec![asks(good), asks(other)], kit.now).await.expect("the good ones can still be planned");
}

/// An account that may have two unfinished jobs, and has them.
async fn full<H: Harness>() -> (Kit<H>, [JobId; 2]) {
    let mut kit = Kit::<H>::with(Limits { backlog_max: 2, ..Limits::default() }).await;
    let jobs = [kit.ask(user("u1")).await, kit.ask(user("u2")).await];
    (kit, jobs)
}

pub(crate) async fn an_account_with_too_many_jobs_makes_no_more_and_others_go_on<H: Harness>() {
    let (mut kit, _) = full::<H>().await;
    let held = kit.deliver().await;
    let size = kit.log_size().await;
    // Of two steps none is taken, though one would only merge.
    kit.plan(held, meant(1, vec![ensure("assist", user("u1")), ensure("assist", user("u3"))])).await;
    assert_eq!(kit.told_since(size).await, ["decision backlog"]);
    assert_eq!(kit.delivery_status(held).await, DeliveryStatus::Parked { cause: "backlog".to_owned() });
    kit.ask_for("bcc", user("u3")).await;
    kit.restart().await;
    let status = kit.store.status().await.unwrap();
    assert_eq!((status.due, status.unplanned, status.parked_deliveries, status.held_deliveries), (3, 0, 1, 1));
}

pub(crate) async fn what_makes_no_job_is_never_held_back<H: Harness>() {
    let (mut kit, jobs) = full::<H>().await;
    kit.event(meant(1, vec![ensure("assist", user("u1"))])).await;
    assert_eq!(kit.event(meant(1, vec![ensure("tidy", user("u1"))])).await, ("repeated".to_owned(), Vec::new()));
    assert_eq!(kit.ask(user("u2")).await, jobs[1]);
    kit.event(work(vec![Step::Wake { subject: user("u2") }])).await;
    kit.event(work(vec![cancel(user("u2"))])).await;
    assert_eq!(kit.state(jobs[1]).await, "cancelled");
    kit.ask(user("u3")).await;
}

pub(crate) async fn what_was_held_back_goes_on_oldest_first_as_jobs_finish<H: Harness>() {
    let (mut kit, jobs) = full::<H>().await;
    let mut held = Vec::new();
    for n in 3..6 {
        held.push(kit.deliver().await);
        kit.plan(held[n - 3], work(vec![ensure("assist", user(&format!("u{n}")))])).await;
    }
    assert_eq!(kit.store.release_held(9, kit.now).await.unwrap(), 0);
    kit.event(work(vec![cancel(user("u1"))])).await;
    kit.restart().await;
    let size = kit.log_size().await;
    assert_eq!(kit.store.release_held(9, kit.now).await.unwrap(), 1, "there is room for one");
    assert_eq!(kit.told_since(size).await, ["moved released"]);
    assert_eq!(kit.delivery_status(held[0]).await, DeliveryStatus::Unplanned);
    kit.plan(held[0], work(vec![ensure("assist", user("u3"))])).await;
    kit.store.cancel_jobs(&account("acc"), None, "gone", kit.now).await.unwrap();
    assert_eq!(kit.store.release_held(1, kit.now).await.unwrap(), 1);
    assert_eq!(kit.delivery_status(held[1]).await, DeliveryStatus::Unplanned);
    // A person may be quicker.
    kit.store.replay(held[2], "jill", kit.now).await.unwrap();
    assert_eq!(kit.store.release_held(9, kit.now).await.unwrap(), 0);
    assert_eq!((kit.store.status().await.unwrap().held_deliveries, kit.state(jobs[0]).await), (0, "cancelled"));
}

pub(crate) async fn what_cannot_be_understood_or_has_no_home_is_set_aside<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (unreadable, unclaimed) = (kit.deliver().await, kit.deliver().await);
    kit.plan(unreadable, Verdict::Unreadable { why: "no JSON".to_owned() }).await;
    kit.plan(unclaimed, Verdict::Unclaimed { account: Some(account("acc")) }).await;
    for (id, cause) in [(unreadable, "unreadable"), (unclaimed, "unclaimed")] {
        assert_eq!(kit.delivery_status(id).await, DeliveryStatus::Parked { cause: cause.to_owned() });
    }
    let status = kit.store.status().await.unwrap();
    assert_eq!((status.deliveries, status.unplanned, status.parked_deliveries), (2, 0, 2));
}

pub(crate) async fn every_decision_is_told_once_with_its_code<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.deliver().await;
    kit.plan(first, work(vec![ensure("assist", user("u1"))])).await;
    let job = kit.store.jobs(adjutant::store::JobFilter { limit: 1, ..Default::default() }).await.unwrap().remove(0);
    for verdict in [
        Verdict::Nothing,
        Verdict::Duplicate { of: first },
        Verdict::Unreadable { why: String::new() },
        Verdict::Unclaimed { account: None },
        work(vec![ensure("assist", user("u1")), ensure("assist", user("u2"))]),
    ] {
        let delivery = kit.deliver().await;
        kit.plan(delivery, verdict).await;
    }
    let entries = kit.entries().await;
    let decisions: Vec<_> = entries.iter().filter(|entry| entry.kind == Kind::Decision).collect();
    let codes: Vec<&str> = decisions.iter().map(|entry| entry.code.as_str()).collect();
    assert_eq!(codes, ["work", "nothing", "duplicate", "unreadable", "unclaimed", "work"]);
    assert!(decisions.iter().all(|entry| entry.account == Some(account("acc")) && entry.app == Some(app("main"))));
    assert_eq!(
        (decisions[0].delivery, decisions[0].job, &decisions[0].rule),
        (Some(first), Some(job.id), &Some(job.rule))
    );
    assert_eq!((decisions[5].job, &decisions[5].rule), (None, &None), "more than one job");
}

pub(crate) async fn an_account_that_is_added_releases_what_waited_for_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (mine, other, nobodys) = (kit.deliver().await, kit.deliver().await, kit.deliver().await);
    let elsewhere = kit.deliver_to("other").await;
    for (id, named) in [(mine, Some("acc")), (other, Some("bcc")), (nobodys, None), (elsewhere, Some("acc"))] {
        kit.plan(id, Verdict::Unclaimed { account: named.map(account) }).await;
    }
    let size = kit.log_size().await;
    assert_eq!(kit.store.release(&app("main"), &account("acc"), kit.now).await.unwrap(), 1);
    assert_eq!(kit.told_since(size).await, ["moved released"]);
    let unplanned = kit.store.unplanned(&[], 9).await.unwrap();
    assert_eq!(unplanned.iter().map(|d| (d.id, d.replayed)).collect::<Vec<_>>(), [(mine, false)]);
    assert_eq!(kit.store.release(&app("main"), &account("acc"), kit.now).await.unwrap(), 0);
}

pub(crate) async fn what_waited_for_its_account_longer_than_seven_days_stays_set_aside<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let unclaimed = || Verdict::Unclaimed { account: Some(account("acc")) };
    let old = kit.deliver().await;
    kit.plan(old, unclaimed()).await;
    kit.pass(SECOND);
    let young = kit.deliver().await;
    kit.plan(young, unclaimed()).await;
    kit.pass(7 * DAY);
    kit.restart().await;
    assert_eq!(kit.store.release(&app("main"), &account("acc"), kit.now).await.unwrap(), 1);
    assert_eq!(kit.delivery_status(young).await, DeliveryStatus::Unplanned);
    assert_eq!(kit.delivery_status(old).await, DeliveryStatus::Parked { cause: "unclaimed".to_owned() });
}

pub(crate) async fn a_replayed_delivery_is_planned_whatever_was_decided_before<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let asks = || meant(1, vec![ensure("assist", user("u1"))]);
    let first = kit.deliver_body("{}").await;
    kit.plan(first, asks()).await;
    kit.run(changed()).await;
    let twin = kit.deliver_body("{}").await;
    kit.plan(twin, Verdict::Duplicate { of: first }).await;
    let size = kit.log_size().await;
    kit.store.replay(twin, "jill", kit.now).await.unwrap();
    assert_eq!(kit.told_since(size).await, ["moved replayed"]);
    let unplanned = kit.store.unplanned(&[], 9).await.unwrap();
    assert_eq!(unplanned.len(), 1);
    assert_eq!((unplanned[0].id, unplanned[0].replayed, unplanned[0].duplicate_of), (twin, true, None));
    kit.plan(twin, asks()).await;
    assert!(
        matches!(kit.delivery_status(twin).await, DeliveryStatus::Planned { code, jobs } if code == "work" && jobs.len() == 1),
        "the meaning that was seen does not count"
    );
    assert!(kit.delivery(twin).await.replayed);
}

pub(crate) async fn a_replay_of_an_unplanned_delivery_marks_it_and_of_an_unknown_one_is_refused<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let id = kit.deliver().await;
    kit.store.replay(id, "jill", kit.now).await.unwrap();
    kit.restart().await;
    assert!(kit.store.unplanned(&[], 9).await.unwrap()[0].replayed);
    let refused = kit.store.replay(DeliveryId::from_number(u64::MAX), "jill", kit.now).await;
    assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
}

pub(crate) async fn a_duplicate_that_was_replayed_since_it_was_read_is_not_ended_as_one<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.deliver_body("{}").await;
    let twin = kit.deliver_body("{}").await;
    kit.store.replay(twin, "jill", kit.now).await.unwrap();
    kit.plan(twin, Verdict::Duplicate { of: first }).await;
    assert_eq!(kit.delivery_status(twin).await, DeliveryStatus::Unplanned, "whoever read it before the replay");
    kit.restart().await;
    kit.plan(twin, work(vec![ensure("assist", user("u1"))])).await;
    assert!(matches!(kit.delivery_status(twin).await, DeliveryStatus::Planned { code, .. } if code == "work"));
}

pub(crate) async fn plans_of_the_past_outlive_a_restart<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let first = kit.ask(user("u1")).await;
    kit.run(waits()).await;
    let unplanned = kit.deliver().await;
    kit.pass(HOUR);
    kit.restart().await;
    assert_eq!(kit.store.unplanned(&[], 9).await.unwrap()[0].id, unplanned);
    assert_eq!(kit.ask(user("u1")).await, first, "the job that waits is found by its subject");
    let (_, second) = kit.event(work(vec![ensure("assist", user("u2"))])).await;
    assert!(second[0] > first, "ids go on growing");
}
