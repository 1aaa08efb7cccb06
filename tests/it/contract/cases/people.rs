//! What people do to jobs, and what they are shown.

use std::collections::BTreeMap;
use std::time::Duration;

use adjutant::audit::Kind;
use adjutant::ids::{ErrandId, JobId, RuleName};
use adjutant::job::{Asker, Effect, JobState, NewJob, Outcome, ParkCause, Snooze, Subject, WaitReason};
use adjutant::store::{DeliveryStatus, GivenUp, JobFilter, Limits, Move, ParkedGroup, Selector, StoreError, Verdict};

use crate::contract::Harness;
use crate::contract::kit::{
    HOUR, Kit, SECOND, account, app, assert_conflict, changed, ensure, instance, meeting, put_off, rule, user, work,
};

impl<H: Harness> Kit<H> {
    async fn move_to(&self, which: Selector, to: Move) -> Result<u64, StoreError> {
        self.store.move_jobs(which, to, "jill", self.now).await
    }

    async fn parked_job(&mut self, of: &str, subject: &str, cause: ParkCause) -> JobId {
        self.ask_for(of, user(subject)).await;
        self.run(Outcome::Park(cause)).await.id
    }
}

fn parked_for(cause: &str, of: Option<&str>) -> Selector {
    Selector::ParkedFor { cause: cause.to_owned(), rule: None, account: of.map(account) }
}

pub(crate) async fn a_person_retries_a_parked_job_with_all_its_attempts<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.parked_job("acc", "u1", ParkCause::NotFound).await;
    assert_eq!(kit.job(job).await.attempts, 1);
    let size = kit.log_size().await;
    assert_eq!(kit.move_to(Selector::Job(job), Move::Retry).await.unwrap(), 1);
    let after = kit.job(job).await;
    assert_eq!((after.attempts, after.state), (0, JobState::Due { at: kit.now, why: None }));
    let entry = kit.store.entries(size, 9).await.unwrap().remove(0);
    assert_eq!((entry.kind, entry.code.as_str(), entry.job), (Kind::Moved, "retried", Some(job)));
    assert!(entry.detail.unwrap().note.contains("jill"));
}

pub(crate) async fn a_person_hurries_what_is_put_off_or_waits<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let put_off_job = kit.ask(user("u1")).await;
    kit.run(put_off(kit.now.plus(HOUR))).await;
    let waiting = kit.ask(user("u2")).await;
    kit.run(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))).await;
    for job in [put_off_job, waiting] {
        kit.move_to(Selector::Job(job), Move::Retry).await.unwrap();
    }
    assert_eq!(kit.claim(9).await.len(), 2);
}

pub(crate) async fn all_jobs_parked_for_one_cause_are_retried_together<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let mine = kit.parked_job("acc", "u1", ParkCause::NotFound).await;
    let also = kit.parked_job("acc", "u2", ParkCause::NotFound).await;
    let other_cause = kit.parked_job("acc", "u3", ParkCause::AssistantsFull).await;
    let elsewhere = kit.parked_job("bcc", "u1", ParkCause::NotFound).await;
    assert_eq!(kit.move_to(parked_for("not-found", Some("acc")), Move::Retry).await.unwrap(), 2);
    assert_eq!((kit.state(mine).await, kit.state(also).await), ("due", "due"));
    assert_eq!((kit.state(other_cause).await, kit.state(elsewhere).await), ("parked", "parked"));
    assert_eq!(kit.move_to(parked_for("not-found", None), Move::Retry).await.unwrap(), 1);
    assert_eq!(kit.move_to(parked_for("no-such-cause", None), Move::Retry).await.unwrap(), 0);
    assert_eq!(kit.count(Kind::Moved, "retried").await, 3);
}

pub(crate) async fn a_person_sets_jobs_aside<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let due = kit.ask(user("u1")).await;
    kit.move_to(Selector::Job(due), Move::Park).await.unwrap();
    let cause = ParkCause::ByPerson;
    assert_eq!(kit.job(due).await.state, JobState::Parked { at: kit.now, cause });
    assert!(kit.claim(9).await.is_empty());
    assert_eq!(kit.count(Kind::Moved, "parked").await, 1);
}

pub(crate) async fn a_person_ends_jobs_for_good_one_by_one_or_by_cause_and_rule<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let gone = kit.parked_job("acc", "u1", ParkCause::RuleGone { is_another: false }).await;
    let elsewhere = kit.parked_job("bcc", "u1", ParkCause::RuleGone { is_another: false }).await;
    let other_cause = kit.parked_job("acc", "u2", ParkCause::NotFound).await;
    let told: Vec<_> = kit.store.parked().await.unwrap().into_iter().map(|one| (one.cause, one.rule)).collect();
    let (rule_gone, assist) = ("rule-gone".to_owned(), Some(rule("assist")));
    assert_eq!(
        told,
        [("not-found".to_owned(), None), (rule_gone.clone(), assist.clone()), (rule_gone.clone(), assist)]
    );
    let of = |named: &str| Selector::ParkedFor {
        cause: "rule-gone".to_owned(),
        rule: Some(rule(named)),
        account: Some(account("acc")),
    };
    assert_eq!(kit.move_to(of("tidy"), Move::Cancel).await.unwrap(), 0);
    let size = kit.log_size().await;
    assert_eq!(kit.move_to(of("assist"), Move::Cancel).await.unwrap(), 1);
    assert_eq!(kit.told_since(size).await, ["moved cancelled"]);
    assert_eq!(kit.job(gone).await.state, JobState::Cancelled { at: kit.now, why: "by jill".to_owned() });
    assert_eq!((kit.state(elsewhere).await, kit.state(other_cause).await), ("parked", "parked"));
    let running = kit.ask(user("u3")).await;
    let held = kit.started().await;
    kit.move_to(Selector::Job(running), Move::Cancel).await.unwrap();
    assert_eq!(kit.settle(held, changed()).await.state.name(), "cancelled");
    assert_conflict(kit.move_to(Selector::Job(running), Move::Cancel).await);
}

pub(crate) async fn a_move_that_the_state_does_not_allow_moves_none<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let parked = kit.parked_job("acc", "u1", ParkCause::NotFound).await;
    let done = kit.ask(user("u2")).await;
    kit.run(changed()).await;
    let running = kit.ask(user("u3")).await;
    let _held = kit.claim_one().await;
    let size = kit.log_size().await;
    for (which, to) in [
        (Selector::Job(done), Move::Retry),
        (Selector::Job(done), Move::Park),
        (Selector::Job(running), Move::Retry),
        (Selector::Job(running), Move::Park),
        (Selector::Job(parked), Move::Park),
        (parked_for("not-found", None), Move::Park),
    ] {
        assert_conflict(kit.move_to(which, to).await);
    }
    let unknown = kit.move_to(Selector::Job(JobId::from_number(u64::MAX)), Move::Retry).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
    assert_eq!(kit.log_size().await, size);
}

pub(crate) async fn all_unfinished_work_of_an_account_is_cancelled<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let done = kit.ask(user("u0")).await;
    kit.run(changed()).await;
    let parked = kit.parked_job("acc", "u1", ParkCause::NotFound).await;
    let asked = kit.ask(user("u2")).await;
    let running = kit.started().await;
    let elsewhere = kit.ask_for("bcc", user("u1")).await;
    let acc = account("acc");
    assert_eq!(kit.store.cancel_jobs(&acc, None, "gone", kit.now).await.unwrap(), 2);
    assert_eq!(kit.store.cancel_jobs(&acc, None, "gone", kit.now).await.unwrap(), 0);
    assert_eq!(kit.job(asked).await.state, JobState::Cancelled { at: kit.now, why: "gone".to_owned() });
    assert_eq!((kit.state(parked).await, kit.state(done).await), ("cancelled", "done"));
    assert_eq!(kit.state(elsewhere).await, "due");
    assert_eq!(kit.count(Kind::Moved, "cancelled").await, 2);
    assert_conflict(kit.store.renew(&mut { running }, kit.now.plus(HOUR)).await);
}

pub(crate) async fn what_another_app_than_the_acting_one_asked_for_is_cancelled_but_for_onboardings<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let parked = kit.parked_job("acc", "u1", ParkCause::NotFound).await;
    let due = kit.ask(user("u2")).await;
    let delivery = kit.deliver_to("other").await;
    kit.plan(delivery, work(vec![ensure("assist", user("u2"))])).await;
    let (acc, acting, of) = (account("acc"), app("other"), |name: RuleName| NewJob {
        app: app("main"),
        account: account("acc"),
        rule: name,
        subject: user("u3"),
        by: Asker::Delivery(delivery),
        event_at: None,
        on: None,
    });
    let asked = kit.store.ask(vec![of(RuleName::onboard())], "by jill", kit.now).await.unwrap();
    assert_eq!(kit.store.cancel_jobs(&acc, Some(&acting), "other acts", kit.now).await.unwrap(), 2);
    assert_eq!(kit.store.cancel_jobs(&acc, Some(&acting), "other acts", kit.now).await.unwrap(), 0);
    assert_eq!((kit.state(parked).await, kit.state(due).await), ("cancelled", "cancelled"));
    assert_eq!(kit.state(asked[0].unwrap()).await, "due", "an onboarding is no app's");
    let DeliveryStatus::Planned { jobs, .. } = kit.delivery_status(delivery).await else { panic!("not planned") };
    assert_eq!(kit.state(jobs[0]).await, "due");
}

pub(crate) async fn jobs_are_listed_newest_first_in_pages_and_by_every_filter<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let parked = kit.parked_job("acc", "u1", ParkCause::NotFound).await;
    let full = kit.parked_job("bcc", "u1", ParkCause::AssistantsFull).await;
    let due = [kit.ask(user("u2")).await, kit.ask(user("u3")).await];
    let list = async |filter: JobFilter| -> Vec<_> {
        kit.store.jobs(filter).await.unwrap().into_iter().map(|job| job.id).collect()
    };
    let all = JobFilter { limit: 9, ..JobFilter::default() };
    assert_eq!(list(all.clone()).await, [due[1], due[0], full, parked]);
    assert_eq!(list(JobFilter { limit: 2, before: Some(due[1]), ..all.clone() }).await, [due[0], full]);
    assert_eq!(list(JobFilter { state: Some("parked".to_owned()), ..all.clone() }).await, [full, parked]);
    assert_eq!(list(JobFilter { cause: Some("not-found".to_owned()), ..all.clone() }).await, [parked]);
    assert_eq!(list(JobFilter { account: Some(account("acc")), ..all.clone() }).await, [due[1], due[0], parked]);
    let state = Some("due".to_owned());
    assert_eq!(list(JobFilter { state, account: Some(account("bcc")), ..all.clone() }).await, []);
    assert_eq!(list(JobFilter { state: Some("no-such-state".to_owned()), ..all.clone() }).await, []);
    let subject = kit.job(due[0]).await.subject;
    assert_eq!(list(JobFilter { subject: Some(subject), ..all.clone() }).await, [due[0]]);
    assert_eq!(list(JobFilter { subject: Some(user("nobody")), ..all.clone() }).await, []);
    assert_eq!(list(JobFilter { limit: 0, ..all }).await, []);
}

pub(crate) async fn jobs_are_found_by_what_they_are_about_finished_or_not_and_a_meeting_with_its_runs<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let errand = |id: u8| Subject::Errand { id: ErrandId::from_bytes([id; 16]) };
    let about = [
        user("u1"),
        meeting(1),
        meeting(2),
        instance(1, "a"),
        instance(1, "b"),
        instance(2, "c"),
        errand(1),
        errand(2),
    ];
    let new = |subject: &Subject| NewJob {
        app: app("main"),
        account: account("acc"),
        rule: rule("assist"),
        subject: subject.clone(),
        by: Asker::Plan,
        event_at: None,
        on: None,
    };
    let asked = kit.store.ask(about.iter().map(new).collect(), "by jill", kit.now).await.unwrap();
    let jobs: Vec<JobId> = asked.into_iter().flatten().collect();
    let expected: [(Subject, &[usize]); 8] = [
        (user("u1"), &[0]),
        (meeting(1), &[4, 3, 1]),
        (meeting(2), &[5, 2]),
        (instance(1, "a"), &[3]),
        (instance(9, "b"), &[4]),
        (errand(1), &[6]),
        (errand(3), &[]),
        (meeting(3), &[]),
    ];
    for ended in [false, true] {
        if ended {
            for id in &jobs {
                kit.move_to(Selector::Job(*id), Move::Cancel).await.unwrap();
            }
        }
        for (subject, places) in &expected {
            let filter = JobFilter {
                account: Some(account("acc")),
                subject: Some(subject.clone()),
                limit: 9,
                ..JobFilter::default()
            };
            let found: Vec<JobId> = kit.store.jobs(filter).await.unwrap().into_iter().map(|job| job.id).collect();
            assert_eq!(found, places.iter().map(|place| jobs[*place]).collect::<Vec<_>>(), "{subject} {ended}");
        }
    }
}

pub(crate) async fn parked_work_of_one_cause_is_one_item_with_a_count<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    assert!(kit.store.parked().await.unwrap().is_empty());
    let since = kit.now;
    let example = kit.parked_job("acc", "u1", ParkCause::ScopesMissing { scopes: "a".to_owned() }).await;
    kit.pass(SECOND);
    kit.parked_job("acc", "u2", ParkCause::ScopesMissing { scopes: "b".to_owned() }).await;
    let other = kit.parked_job("bcc", "u1", ParkCause::ScopesMissing { scopes: "a".to_owned() }).await;
    let full = kit.parked_job("acc", "u3", ParkCause::AssistantsFull).await;
    let group = |cause: &str, of: &str, count, example, since| ParkedGroup {
        cause: cause.to_owned(),
        account: account(of),
        rule: None,
        count,
        example,
        since,
    };
    assert_eq!(
        kit.store.parked().await.unwrap(),
        [
            group("assistants-full", "acc", 1, full, kit.now),
            group("scopes-missing", "acc", 2, example, since),
            group("scopes-missing", "bcc", 1, other, kit.now),
        ]
    );
}

pub(crate) async fn the_status_counts_what_is_there<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.parked_job("acc", "u1", ParkCause::NotFound).await;
    kit.ask(user("u2")).await;
    kit.run(Outcome::Done(Effect::AlreadyRight)).await;
    kit.ask(user("u3")).await;
    kit.run(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))).await;
    kit.ask(user("u4")).await;
    let _held = kit.claim_one().await;
    kit.ask(user("u5")).await;
    kit.deliver().await;
    let status = kit.store.status().await.unwrap();
    assert_eq!((status.deliveries, status.unplanned, status.parked_deliveries), (6, 1, 0));
    assert_eq!((status.due, status.running, status.waiting), (1, 1, 1));
    assert_eq!(status.waiting_for, BTreeMap::from([(WaitReason::UserPending, 1)]));
    assert_eq!((status.parked, status.done, status.cancelled), (1, 1, 0));
    assert_eq!(status.refusing, None);
}

pub(crate) async fn waiting_jobs_are_counted_by_what_they_wait_for<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for (who, reason) in
        [("u1", WaitReason::UserPending), ("u2", WaitReason::UserUnlicensed), ("u3", WaitReason::UserUnlicensed)]
    {
        kit.ask(user(who)).await;
        kit.run(Outcome::Snooze(Snooze::ForEvent(reason))).await;
    }
    let counted = BTreeMap::from([(WaitReason::UserPending, 1), (WaitReason::UserUnlicensed, 2)]);
    assert_eq!(kit.store.status().await.unwrap().waiting_for, counted);
    kit.restart().await;
    assert_eq!(kit.store.status().await.unwrap().waiting_for, counted);
    // One goes on, and with the last of a reason the reason goes.
    kit.ask(user("u1")).await;
    kit.ask(user("u2")).await;
    let left = BTreeMap::from([(WaitReason::UserUnlicensed, 1)]);
    assert_eq!(kit.store.status().await.unwrap().waiting_for, left);
}

pub(crate) async fn of_too_many_jobs_the_oldest_are_moved_and_asking_again_moves_the_rest<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { moved_max: 2, ..Limits::default() }).await;
    let mut jobs = Vec::new();
    for who in ["u1", "u2", "u3", "u4", "u5"] {
        jobs.push(kit.parked_job("acc", who, ParkCause::AssistantsFull).await);
    }
    let mut moved = Vec::new();
    for _ in 0..4 {
        moved.push(kit.move_to(parked_for("assistants-full", None), Move::Retry).await.unwrap());
        if moved.len() == 1 {
            assert!(matches!(kit.job(jobs[1]).await.state, JobState::Due { .. }));
            assert!(matches!(kit.job(jobs[2]).await.state, JobState::Parked { .. }));
        }
    }
    assert_eq!(moved, [2, 2, 1, 0]);
    let mut cancelled = Vec::new();
    for _ in 0..4 {
        cancelled.push(kit.store.cancel_jobs(&account("acc"), None, "gone", kit.now).await.unwrap());
    }
    assert_eq!(cancelled, [2, 2, 1, 0]);
}

pub(crate) async fn beyond_the_limit_the_oldest_delivery_that_is_set_aside_is_given_up<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { parked_deliveries_max: 2, ..Limits::default() }).await;
    let mut aside = Vec::new();
    for _ in 0..4 {
        let delivery = kit.deliver().await;
        kit.plan(delivery, Verdict::Unclaimed { account: Some(account("new")) }).await;
        aside.push(delivery);
    }
    let given_up = kit.entries().await.into_iter().filter(|entry| entry.code == "given-up");
    let given_up: Vec<_> = given_up.map(|entry| (entry.kind, entry.delivery)).collect();
    assert_eq!(given_up, [(Kind::Moved, Some(aside[0])), (Kind::Moved, Some(aside[1]))]);
    let first = kit.now;
    kit.restart().await;
    let status = kit.store.status().await.unwrap();
    assert_eq!(status.parked_deliveries, 2);
    assert_eq!(status.given_up, Some(GivenUp { count: 2, since: first, last: first }));
    let planned = DeliveryStatus::Planned { code: "given-up".to_owned(), jobs: Vec::new() };
    assert_eq!(kit.delivery_status(aside[1]).await, planned);
    let main = adjutant::ids::AppName::parse("main").unwrap();
    assert_eq!(kit.store.release(&main, &account("new"), kit.now).await.unwrap(), 2);
    // What was given up is still there for a person.
    kit.store.replay(aside[0], "jill", kit.now).await.unwrap();
    assert_eq!(kit.delivery_status(aside[0]).await, DeliveryStatus::Unplanned);
}

pub(crate) async fn deliveries_that_were_given_up_count_together_until_a_week_was_quiet<H: Harness>() {
    const WEEK: Duration = GivenUp::TOLD_FOR;
    let mut kit = Kit::<H>::with(Limits { parked_deliveries_max: 0, ..Limits::default() }).await;
    assert_eq!(kit.store.status().await.unwrap().given_up, None);
    let start = kit.now;
    for (pass, expected) in [
        (Duration::ZERO, GivenUp { count: 1, since: start, last: start }),
        (WEEK, GivenUp { count: 2, since: start, last: start.plus(WEEK) }),
        (
            WEEK + SECOND,
            GivenUp { count: 1, since: start.plus(WEEK * 2 + SECOND), last: start.plus(WEEK * 2 + SECOND) },
        ),
    ] {
        kit.pass(pass);
        let delivery = kit.deliver().await;
        kit.plan(delivery, Verdict::Unreadable { why: "no JSON".to_owned() }).await;
        kit.restart().await;
        assert_eq!(kit.store.status().await.unwrap().given_up, Some(expected));
    }
}
