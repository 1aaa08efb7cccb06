//! Who may run which job, and for how long.

use std::collections::BTreeSet;
use std::sync::Arc;

use adjutant::job::{Effect, Outcome, ParkCause, Snooze, WaitReason};
use adjutant::store::{Claimable, Move, Selector, StoreError};

use crate::contract::Harness;
use crate::contract::kit::{
    DAY, HOUR, Kit, LEASE, SECOND, account, app, assert_conflict, changed, email, ensure, ids, put_off, user,
    user_with_email, work,
};

pub(crate) async fn a_claimed_job_runs_and_nobody_else_gets_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let leased = kit.claim_one().await;
    assert_eq!((leased.job.id, leased.lease.until), (job, kit.now.plus(LEASE)));
    assert_eq!(leased.job, kit.job(job).await);
    assert_eq!(kit.state(job).await, "running");
    assert!(kit.claim(9).await.is_empty());
}

pub(crate) async fn a_claim_is_no_attempt_and_no_entry<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let size = kit.log_size().await;
    kit.claim_one().await;
    assert_eq!(kit.job(job).await.attempts, 0);
    assert_eq!(kit.log_size().await, size);
}

pub(crate) async fn a_job_that_is_put_off_is_claimed_at_its_time_and_not_before<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    kit.run(put_off(kit.now.plus(HOUR))).await;
    kit.almost_pass(HOUR);
    assert!(kit.claim(9).await.is_empty());
    kit.pass(SECOND);
    kit.claim_one().await;
}

pub(crate) async fn a_claim_brings_no_more_than_was_asked_for_oldest_first<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(kit.ask(user(&format!("u{n}"))).await);
    }
    assert!(kit.claim(0).await.is_empty());
    assert_eq!(ids(&kit.claim(2).await), made[..2]);
    assert_eq!(ids(&kit.claim(9).await), made[2..]);
}

pub(crate) async fn accounts_take_turns_whoever_came_first<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for n in 0..20 {
        kit.ask_for("bcc", user(&format!("storm{n}"))).await;
    }
    for id in ["ccc", "acc"] {
        for n in 0..2 {
            kit.ask_for(id, user(&format!("u{n}"))).await;
        }
    }
    let order: Vec<String> = kit.claim(8).await.iter().map(|leased| leased.job.account.to_string()).collect();
    assert_eq!(order, ["acc", "bcc", "ccc", "acc", "bcc", "ccc", "bcc", "bcc"]);
}

pub(crate) async fn turns_go_on_from_claim_to_claim<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for id in ["acc", "bcc", "ccc"] {
        for n in 0..2 {
            kit.ask_for(id, user(&format!("u{n}"))).await;
        }
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(kit.claim(1).await[0].job.account.to_string());
    }
    assert_eq!(order, ["acc", "bcc", "ccc", "acc", "bcc", "ccc"]);
}

pub(crate) async fn no_account_has_more_running_than_its_cap_those_that_already_run_included<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for n in 0..4 {
        kit.ask_for("acc", user(&format!("u{n}"))).await;
        kit.ask_for("bcc", user(&format!("u{n}"))).await;
    }
    assert_eq!(kit.claim_capped(9, 1).await.len(), 2);
    assert_eq!(kit.claim_capped(9, 1).await.len(), 0);
    let more = kit.claim_capped(9, 3).await;
    assert_eq!(more.iter().filter(|leased| leased.job.account == account("acc")).count(), 2);
    assert_eq!(more.len(), 4);
    assert!(kit.claim_capped(9, 0).await.is_empty());
}

pub(crate) async fn jobs_of_one_subject_run_one_at_a_time_in_order<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let steps = ["r1", "r2", "r3"].map(|rule| ensure(rule, user("u1")));
    let (_, jobs) = kit.event(work(steps.to_vec())).await;
    for id in jobs {
        let leased = kit.started().await;
        assert_eq!(leased.job.id, id);
        assert!(kit.claim(9).await.is_empty(), "two of one subject at once");
        kit.settle(leased, changed()).await;
    }
}

pub(crate) async fn one_user_by_id_and_by_email_is_one_lane<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let both = kit.ask(user_with_email("u1", "jill@example.com")).await;
    let (_, by_email) = kit.event(work(vec![ensure("tidy", email("jill@example.com"))])).await;
    let (_, by_id) = kit.event(work(vec![ensure("sort", user("u1"))])).await;
    assert_eq!(kit.run(changed()).await.id, both);
    let mut free = ids(&kit.claim(9).await);
    free.sort_unstable();
    assert_eq!(free, [by_email[0], by_id[0]], "these two have nothing in common");
}

pub(crate) async fn lanes_are_per_account_and_join_apps<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let main = kit.ask(user("u1")).await;
    let elsewhere = kit.ask_for("bcc", user("u1")).await;
    let delivery = kit.deliver_to("other").await;
    kit.plan(delivery, work(vec![ensure("assist", user("u1"))])).await;
    assert_eq!(ids(&kit.claim(9).await), [main, elsewhere]);
}

pub(crate) async fn an_older_job_that_is_put_off_holds_nobody_up_before_its_time<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (_, jobs) = kit.event(work(vec![ensure("r1", user("u1")), ensure("r2", user("u1"))])).await;
    assert_eq!(kit.run(put_off(kit.now.plus(HOUR))).await.id, jobs[0]);
    assert_eq!(kit.run(put_off(kit.now.plus(HOUR))).await.id, jobs[1], "another rule for the user need not wait");
    kit.pass(HOUR);
    for id in jobs {
        let leased = kit.started().await;
        assert_eq!(leased.job.id, id);
        assert!(kit.claim(9).await.is_empty(), "both are due, and the older goes first");
        kit.settle(leased, changed()).await;
    }
}

pub(crate) async fn waiting_and_parked_jobs_hold_nobody_up<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let steps = ["r1", "r2", "r3"].map(|rule| ensure(rule, user("u1")));
    let (_, jobs) = kit.event(work(steps.to_vec())).await;
    kit.run(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))).await;
    kit.run(Outcome::Park(ParkCause::NotFound)).await;
    assert_eq!(kit.claim_one().await.job.id, jobs[2]);
}

pub(crate) async fn a_job_that_comes_back_waits_for_a_younger_one_that_runs<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (_, jobs) = kit.event(work(vec![ensure("r1", user("u1")), ensure("r2", user("u1"))])).await;
    kit.run(Outcome::Park(ParkCause::NotFound)).await;
    let younger = kit.started().await;
    kit.store.move_jobs(Selector::Job(jobs[0]), Move::Retry, "jill", kit.now).await.unwrap();
    assert!(kit.claim(9).await.is_empty());
    kit.settle(younger, changed()).await;
    assert_eq!(kit.claim_one().await.job.id, jobs[0]);
}

pub(crate) async fn a_lease_that_is_over_lets_another_worker_in_and_keeps_the_attempt<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let first = kit.started().await;
    kit.almost_pass(LEASE);
    assert!(kit.claim(9).await.is_empty());
    kit.pass(SECOND);
    let mut second = kit.claim_one().await;
    assert_ne!(first.lease.token, second.lease.token);
    assert_eq!((second.job.id, second.job.attempts), (job, 1));
    kit.store.start(&mut second, kit.now).await.unwrap();
    assert_eq!(kit.job(job).await.attempts, 2);
    assert_conflict(kit.store.settle(first, changed(), Vec::new(), kit.now, 0.5).await);
    kit.settle(second, changed()).await;
}

pub(crate) async fn a_lease_that_ends_forgets_that_somebody_asked_again<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let job = kit.ask(user("u1")).await;
    let _lost = kit.started().await;
    kit.ask(user("u1")).await;
    kit.pass(LEASE);
    assert!(!kit.claim_one().await.job.again, "the new run reads what is true now");
    assert_eq!(kit.state(job).await, "running");
}

pub(crate) async fn a_renewed_lease_lasts_and_is_never_shortened<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    let mut leased = kit.claim_one().await;
    let until = kit.now.plus(3 * LEASE);
    kit.store.renew(&mut leased, until).await.unwrap();
    kit.store.renew(&mut leased, kit.now).await.unwrap();
    assert_eq!(leased.lease.until, until);
    kit.pass(2 * LEASE);
    assert!(kit.claim(9).await.is_empty());
    kit.store.start(&mut leased, kit.now).await.unwrap();
    kit.settle(leased, changed()).await;
}

pub(crate) async fn a_lease_that_is_over_can_be_renewed_until_somebody_claims<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    let mut leased = kit.claim_one().await;
    kit.pass(LEASE);
    kit.store.renew(&mut leased, kit.now.plus(LEASE)).await.unwrap();
    assert!(kit.claim(9).await.is_empty());
    kit.pass(LEASE);
    kit.claim_one().await;
    assert_conflict(kit.store.renew(&mut leased, kit.now.plus(LEASE)).await);
}

pub(crate) async fn a_job_given_back_is_as_it_was<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    let leased = kit.claim_one().await;
    let size = kit.log_size().await;
    kit.store.give_back(leased, kit.now).await.unwrap();
    let again = kit.claim_one().await;
    assert_eq!((again.job.attempts, kit.log_size().await), (0, size));
}

pub(crate) async fn a_job_that_is_not_held_any_more_cannot_be_given_back<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.ask(user("u1")).await;
    let lost = kit.claim_one().await;
    kit.pass(LEASE);
    let held = kit.claim_one().await;
    assert_conflict(kit.store.give_back(lost, kit.now).await);
    assert_eq!(kit.state(held.job.id).await, "running");
}

pub(crate) async fn a_restart_ends_all_leases_and_keeps_the_attempts<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (a, b) = (kit.ask(user("u1")).await, kit.ask(user("u2")).await);
    let mut leased = kit.claim(9).await;
    kit.store.start(&mut leased[0], kit.now).await.unwrap();
    kit.restart().await;
    assert_eq!((kit.state(a).await, kit.state(b).await), ("due", "due"));
    let again = kit.claim(9).await;
    assert_eq!(again.iter().map(|leased| leased.job.attempts).collect::<Vec<_>>(), [1, 0]);
    let old = leased.remove(0);
    if old.lease.token != again[0].lease.token {
        assert_conflict(kit.store.settle(old, changed(), Vec::new(), kit.now, 0.5).await);
    }
}

pub(crate) async fn two_handles_see_one_store<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let other = kit.harness.open().await;
    let job = kit.ask(user("u1")).await;
    let claimable = Claimable { jobs_max: 9, per_account_max: 9, lease: LEASE };
    let mut leased = other.claim(claimable, kit.now).await.unwrap().remove(0);
    assert_eq!(kit.state(job).await, "running");
    kit.store.start(&mut leased, kit.now).await.unwrap();
    other.settle(leased, changed(), Vec::new(), kit.now, 0.5).await.unwrap();
    assert_eq!(kit.state(job).await, "done");
    other.close().await.unwrap();
    assert!(matches!(kit.store.status().await, Err(StoreError::Closed)));
}

pub(crate) async fn concurrent_claims_never_overlap<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for n in 0..30 {
        kit.ask_for(["acc", "bcc", "ccc"][n % 3], user(&format!("u{n}"))).await;
    }
    let now = kit.now;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = kit.harness.open().await;
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let claimable = Claimable { jobs_max: 2, per_account_max: 4, lease: LEASE };
                let leased = store.claim(claimable, now).await.unwrap();
                if leased.is_empty() && store.status().await.unwrap().due == 0 {
                    return done;
                }
                for mut leased in leased {
                    done.push((leased.job.id, leased.lease.token));
                    store.start(&mut leased, now).await.unwrap();
                    tokio::task::yield_now().await;
                    let effect = Outcome::Done(Effect::AlreadyRight);
                    store.settle(leased, effect, Vec::new(), now, 0.5).await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let all: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 30, "each job ran once");
    assert_eq!(all.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), 30);
    assert_eq!(all.iter().map(|(_, token)| token).collect::<BTreeSet<_>>().len(), 30, "a token came twice");
    assert_eq!(kit.store.status().await.unwrap().done, 30);
}

pub(crate) async fn concurrent_deliveries_all_get_ids_of_their_own<H: Harness>() {
    let kit = Arc::new(Kit::<H>::new().await);
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..8 {
        let kit = Arc::clone(&kit);
        senders.spawn(async move {
            let mut made = Vec::new();
            for n in 0..10 {
                made.push(kit.deliver_body(&format!("{sender}-{n}")).await);
            }
            made
        });
    }
    let ids: BTreeSet<_> = senders.join_all().await.into_iter().flatten().collect();
    assert_eq!(ids.len(), 80);
    assert_eq!(kit.store.unplanned(&[], 99).await.unwrap().len(), 80);
    assert_eq!(kit.log_size().await, 80);
}

pub(crate) async fn the_next_moment_is_that_of_the_first_job_put_off_or_lease_over<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    assert_eq!(kit.store.next_due().await.unwrap(), None);
    kit.ask(user("u1")).await;
    assert_eq!(kit.store.next_due().await.unwrap(), Some(kit.now), "nobody has claimed yet");
    let leased = kit.started().await;
    assert_eq!(kit.store.next_due().await.unwrap(), Some(kit.now.plus(LEASE)));
    kit.settle(leased, put_off(kit.now.plus(HOUR))).await;
    assert_eq!(kit.store.next_due().await.unwrap(), Some(kit.now.plus(HOUR)));
    kit.pass(DAY);
    kit.ask(user("u1")).await;
    assert!(kit.claim_capped(9, 0).await.is_empty());
    assert_eq!(kit.store.next_due().await.unwrap(), None, "what is due but held up is no moment to wait for");
}

pub(crate) async fn whoever_waits_for_a_change_hears_of_all_that_can_make_work<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let mut changed_at = kit.store.changed();
    let mut heard = |what: &str| {
        assert!(changed_at.has_changed().unwrap(), "nothing was heard of {what}");
        changed_at.mark_unchanged();
    };
    let delivery = kit.deliver().await;
    heard("a delivery");
    kit.plan(delivery, work(vec![ensure("assist", user("u1"))])).await;
    heard("a plan");
    let leased = kit.claim_one().await;
    kit.store.give_back(leased, kit.now).await.unwrap();
    heard("a job given back");
    let job = kit.run(Outcome::Park(ParkCause::NotFound)).await;
    heard("a settled job");
    kit.store.move_jobs(Selector::Job(job.id), Move::Retry, "jill", kit.now).await.unwrap();
    heard("a retry");
    kit.store.cancel_jobs(&account("acc"), None, "gone", kit.now).await.unwrap();
    heard("a cancellation");
    kit.store.replay(delivery, "jill", kit.now).await.unwrap();
    heard("a replay");
    kit.plan(delivery, adjutant::store::Verdict::Unclaimed { account: Some(account("acc")) }).await;
    heard("a plan");
    kit.store.release(&app("main"), &account("acc"), kit.now).await.unwrap();
    heard("a release");
    kit.store.close().await.unwrap();
    heard("the end");
}
