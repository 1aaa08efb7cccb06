//! Attempts and what they come to.

use adjutant::audit::{Kind, Saw};
use adjutant::clock::Timestamp;
use adjutant::job::{Backoff, Effect, JobState, Outcome, ParkCause, Snooze, WaitReason};
use adjutant::rules::Step;
use adjutant::store::{JobFilter, Limits, QuotaUse};

use crate::contract::Harness;
use crate::contract::kit::{
    DAY, HOUR, Kit, LEASE, SECOND, account, app, assert_conflict, call, change, changed, put_off, rule, user,
    user_with_email, work,
};

fn retry() -> Outcome {
    Outcome::Retry { error: "503".to_owned() }
}

pub(crate) async fn an_attempt_counts_before_its_first_call<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let size = kit.log_size().await;
    let leased = kit.started().await;
    assert_eq!((leased.job.attempts, kit.job(job).await.attempts), (1, 1));
    assert_eq!(kit.told_since(size).await, ["attempt started"]);
    kit.restart().await;
    assert_eq!(kit.job(job).await.attempts, 1);
}

pub(crate) async fn entries_about_a_job_name_it_and_its_subject<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user_with_email("u1", "jill@example.com")).await;
    let size = kit.log_size().await;
    let leased = kit.started().await;
    let _granted = kit.intend(&leased, change(9, None)).await;
    kit.store.settle(leased, changed(), vec![call("light", Some(200))], kit.now, 0.5).await.unwrap();
    let entries = kit.store.entries(size, 9).await.unwrap();
    assert_eq!(
        entries.iter().map(|entry| entry.kind).collect::<Vec<_>>(),
        [Kind::Attempt, Kind::Intent, Kind::Call, Kind::Outcome]
    );
    for entry in entries {
        assert_eq!((entry.job, entry.rule, entry.at), (Some(job), Some(rule("assist")), kit.now));
        assert_eq!((entry.app, entry.account), (Some(app("main")), Some(account("acc"))));
        assert_eq!(entry.detail.unwrap().subject.unwrap(), "user:u1 jill@example.com");
    }
}

pub(crate) async fn an_outcome_tells_what_the_condition_saw_also_after_a_restart<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    let mut leased = kit.started().await;
    let saw = Saw {
        text: "user.type == 2".to_owned(),
        facts: vec![("user.type".to_owned(), "1".to_owned())],
        outcome: "false".to_owned(),
    };
    leased.saw = vec![saw.clone()];
    let until = kit.now.plus(2 * LEASE);
    kit.store.renew(&mut leased, until).await.unwrap();
    kit.settle(leased, changed()).await;
    kit.restart().await;
    let last = kit.entries().await.pop().unwrap();
    assert_eq!((last.kind, last.detail.unwrap().saw), (Kind::Outcome, vec![saw]));
}

pub(crate) async fn an_attempt_is_started_once_and_only_under_a_lease_that_lasts<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let mut leased = kit.started().await;
    assert_conflict(kit.store.start(&mut leased, kit.now).await);
    kit.settle(leased, put_off(kit.now)).await;
    let mut leased = kit.claim_one().await;
    kit.pass(LEASE);
    assert_conflict(kit.store.start(&mut leased, kit.now).await);
    assert_eq!(kit.job(job).await.attempts, 0);
}

pub(crate) async fn nothing_is_settled_that_was_not_started<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let leased = kit.claim_one().await;
    let size = kit.log_size().await;
    assert_conflict(kit.store.settle(leased, changed(), Vec::new(), kit.now, 0.5).await);
    assert_eq!((kit.state(job).await, kit.log_size().await), ("running", size));
}

pub(crate) async fn every_outcome_leads_to_its_state_and_is_told_by_its_code<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let what = || "x".to_owned();
    let outcomes = [
        (Outcome::Done(Effect::Changed { what: what() }), "done", "changed"),
        (Outcome::Done(Effect::AlreadyRight), "done", "already-right"),
        (Outcome::Done(Effect::WouldChange { what: what() }), "done", "would-change"),
        (Outcome::Done(Effect::NotApplicable { why: what() }), "done", "not-applicable"),
        (Outcome::Done(Effect::Sent { what: what() }), "done", "sent"),
        (Outcome::Done(Effect::WouldSend { what: what() }), "done", "would-send"),
        (put_off(kit.now.plus(DAY)), "due", "snoozed"),
        (Outcome::Snooze(Snooze::NextBudget { at: kit.now.plus(DAY), why: what() }), "due", "snoozed"),
        (Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending)), "waiting", "waits"),
        (retry(), "due", "retries"),
        (Outcome::Park(ParkCause::RuleGone { is_another: true }), "parked", "parked"),
    ];
    for (n, (outcome, state, code)) in outcomes.into_iter().enumerate() {
        let job = kit.ask(user(&format!("u{n}"))).await;
        let leased = kit.started().await;
        let size = kit.log_size().await;
        let after = kit.settle(leased, outcome).await;
        assert_eq!((after.id, after.state.name()), (job, state), "{code}");
        assert_eq!(kit.job(job).await, after);
        assert_eq!(kit.told_since(size).await, [format!("outcome {code}")]);
    }
}

pub(crate) async fn a_retry_backs_off_with_jitter_and_parks_when_the_attempts_are_used_up<H: Harness>() {
    let backoff = Backoff::new(2 * SECOND, HOUR, 3).unwrap();
    let mut kit = Kit::<H>::with(Limits { backoff, ..Limits::default() }).await;
    let job = kit.ask(user("u1")).await;
    for (unit, wait) in [(0.0, SECOND), (1.0, 4 * SECOND)] {
        let leased = kit.started().await;
        let after = kit.store.settle(leased, retry(), Vec::new(), kit.now, unit).await.unwrap();
        let why = Some("503".to_owned());
        assert_eq!(after.state, JobState::Due { at: kit.now.plus(wait), why });
        kit.pass(wait);
    }
    let leased = kit.started().await;
    let size = kit.log_size().await;
    let after = kit.settle(leased, retry()).await;
    let cause = ParkCause::AttemptsUsedUp { error: "503".to_owned() };
    assert_eq!((after.state, after.attempts), (JobState::Parked { at: kit.now, cause }, 3));
    assert_eq!(kit.told_since(size).await, ["outcome parked"]);
    assert_eq!(kit.state(job).await, "parked");
}

pub(crate) async fn a_row_of_snoozes_goes_on_over_a_restart_and_ends_with_anything_else<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    let first = kit.now;
    assert_eq!(kit.run(put_off(kit.now)).await.snoozed_since, Some(first));
    kit.pass(HOUR);
    kit.restart().await;
    assert_eq!(kit.run(put_off(kit.now)).await.snoozed_since, Some(first));
    let budget = Snooze::NextBudget { at: kit.now, why: "the hour".to_owned() };
    assert_eq!(kit.run(Outcome::Snooze(budget)).await.snoozed_since, None);
}

pub(crate) async fn snoozing_and_waiting_give_the_attempt_back<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    assert_eq!(kit.run(put_off(kit.now)).await.attempts, 0);
    assert_eq!(kit.run(retry()).await.attempts, 1);
    kit.pass(HOUR);
    assert_eq!(kit.run(put_off(kit.now)).await.attempts, 1);
    assert_eq!(kit.run(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))).await.attempts, 1);
}

pub(crate) async fn work_that_took_longer_than_its_lease_still_counts_where_nobody_else_took_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    let leased = kit.started().await;
    kit.pass(2 * LEASE);
    assert_eq!(kit.settle(leased, changed()).await.state.name(), "done");
}

pub(crate) async fn a_settle_under_a_lost_lease_writes_nothing<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let lost = kit.started().await;
    kit.pass(LEASE);
    let held = kit.claim_one().await;
    let size = kit.log_size().await;
    let calls = vec![call("light", Some(200))];
    assert_conflict(kit.store.settle(lost, changed(), calls, kit.now, 0.5).await);
    assert_eq!((kit.log_size().await, kit.job(job).await), (size, held.job));
    assert_eq!(kit.store.quota_use(&account("acc"), kit.now).await.unwrap(), QuotaUse::default());
}

pub(crate) async fn what_a_cancelled_run_did_is_recorded_and_the_job_stays_cancelled<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let mut leased = kit.started().await;
    let subject = user("u1");
    kit.event(work(vec![Step::Cancel { subject, why: "user.deleted".to_owned(), spared: Vec::new() }])).await;
    assert_conflict(kit.store.intend(&leased, change(9, None), kit.now).await);
    assert_conflict(kit.store.renew(&mut leased, kit.now.plus(HOUR)).await);
    let size = kit.log_size().await;
    let calls = vec![call("light", Some(204))];
    let after = kit.store.settle(leased, changed(), calls, kit.now, 0.5).await.unwrap();
    assert_eq!((after.state.name(), kit.state(job).await), ("cancelled", "cancelled"));
    assert_eq!(kit.told_since(size).await, ["call 204", "outcome changed"]);
    assert_eq!(kit.store.quota_use(&account("acc"), kit.now).await.unwrap().light, 1);
    let status = kit.store.status().await.unwrap();
    assert_eq!((status.done, status.cancelled), (0, 1));
}

pub(crate) async fn calls_are_told_in_order_with_their_answers<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    let leased = kit.started().await;
    let size = kit.log_size().await;
    let calls = vec![call("light", Some(200)), call("medium", Some(429)), call("light", None)];
    kit.store.settle(leased, retry(), calls.clone(), kit.now, 0.5).await.unwrap();
    assert_eq!(kit.told_since(size).await, ["call 200", "call 429", "call no-answer", "outcome retries"]);
    let told = kit.store.entries(size, 3).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|entry| entry.detail.unwrap().call.unwrap()).collect();
    assert_eq!(told, calls);
}

pub(crate) async fn calls_count_by_account_category_and_utc_day<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let quota = async |kit: &Kit<H>, of: &str, at: Timestamp| kit.store.quota_use(&account(of), at).await.unwrap();
    kit.ask(user("u1")).await;
    let leased = kit.started().await;
    let calls = ["light", "light", "medium", "heavy", "unheard-of"].map(|category| call(category, Some(200)));
    kit.store.settle(leased, put_off(kit.now), calls.to_vec(), kit.now, 0.5).await.unwrap();
    let today = QuotaUse { light: 2, medium: 1, heavy: 1 };
    let midnight = kit.now.next_utc_midnight();
    kit.restart().await;
    assert_eq!(quota(&kit, "acc", midnight.minus(SECOND)).await, today);
    assert_eq!(quota(&kit, "acc", midnight).await, QuotaUse::default());
    assert_eq!(quota(&kit, "bcc", kit.now).await, QuotaUse::default());
    kit.now = midnight;
    let leased = kit.started().await;
    kit.store.settle(leased, changed(), vec![call("light", None)], kit.now, 0.5).await.unwrap();
    assert_eq!(quota(&kit, "acc", kit.now).await.light, 1);
    assert_eq!(quota(&kit, "acc", midnight.minus(SECOND)).await, today, "yesterday is still known");
}

pub(crate) async fn only_the_newest_finished_jobs_are_kept_and_all_are_counted<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { finished_max: 2, ..Limits::default() }).await;
    let waiting = kit.ask(user("w")).await;
    kit.run(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))).await;
    let mut made = Vec::new();
    for n in 0..4 {
        made.push(kit.ask(user(&format!("u{n}"))).await);
        kit.run(changed()).await;
    }
    kit.restart().await;
    let all = JobFilter { limit: 9, ..JobFilter::default() };
    let kept: Vec<_> = kit.store.jobs(all).await.unwrap().into_iter().map(|job| job.id).collect();
    assert_eq!(kept, [made[3], made[2], waiting]);
    assert!(kit.store.job(made[0]).await.unwrap().is_none());
    let status = kit.store.status().await.unwrap();
    assert_eq!((status.done, status.waiting), (4, 1));
}
