//! How much a rule may change.

use adjutant::audit::Kind;
use adjutant::job::{Outcome, ParkCause};
use adjutant::store::{Allowance, Leased, Move, Selector};

use crate::contract::Harness;
use crate::contract::kit::{DAY, HOUR, Kit, LEASE, SECOND, assert_conflict, change, ensure, user, work};

/// A started attempt under a lease of days.
async fn long_lease<H: Harness>(kit: &mut Kit<H>, of: &str, rule: &str, subject: &str) -> Leased {
    kit.event_for(of, work(vec![ensure(rule, user(subject))])).await;
    let mut leased = kit.started().await;
    kit.store.renew(&mut leased, kit.now.plus(10 * DAY)).await.unwrap();
    leased
}

pub(crate) async fn a_change_is_on_record_before_it_is_made<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist", "u1").await;
    let size = kit.log_size().await;
    kit.granted(&leased, 1, &change(5, Some(5))).await;
    let entry = kit.store.entries(size, 9).await.unwrap().remove(0);
    assert_eq!((entry.kind, entry.code.as_str(), entry.job), (Kind::Intent, "granted", Some(leased.job.id)));
    assert_eq!(entry.detail.unwrap().note, "add assistant api@example.com");
}

pub(crate) async fn beyond_the_limit_of_the_hour_changes_wait_for_the_next_with_one_notice<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist", "u1").await;
    kit.pass(20 * SECOND);
    kit.granted(&leased, 2, &change(2, None)).await;
    let size = kit.log_size().await;
    for _ in 0..3 {
        let allowance = kit.intend(&leased, change(2, None)).await;
        let Allowance::NextHour { at, notice } = allowance else { panic!("{allowance:?}") };
        assert_eq!(at.as_millis(), (kit.now.utc_hour() + 1) * 3_600_000);
        assert!(notice.contains("assist"), "{notice:?} does not name the rule");
    }
    assert_eq!(kit.told_since(size).await, ["attention rule-limit"]);
    let entry = kit.store.entries(size, 1).await.unwrap().remove(0);
    assert_eq!((entry.job, entry.rule, entry.account), (None, Some(leased.job.rule), Some(leased.job.account)));
}

pub(crate) async fn a_new_utc_hour_has_room_again_and_a_notice_of_its_own<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist", "u1").await;
    for hour in 1..4 {
        kit.granted(&leased, 1, &change(1, None)).await;
        kit.almost_pass(HOUR);
        let allowance = kit.intend(&leased, change(1, None)).await;
        assert!(matches!(allowance, Allowance::NextHour { at, .. } if at == kit.now.plus(SECOND)), "{allowance:?}");
        assert_eq!(kit.count(Kind::Attention, "rule-limit").await, hour);
        kit.pass(SECOND);
    }
}

pub(crate) async fn beyond_the_share_of_the_account_nothing_is_changed_or_written<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 2, &change(2, Some(2))).await;
    let size = kit.log_size().await;
    let allowance = kit.intend(&leased, change(2, Some(2))).await;
    assert!(matches!(allowance, Allowance::OverShare), "the share goes before the hour: {allowance:?}");
    assert_eq!(kit.log_size().await, size);
}

pub(crate) async fn the_share_counts_the_last_24_utc_hours<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &change(9, Some(2))).await;
    kit.pass(HOUR);
    kit.granted(&leased, 1, &change(9, Some(2))).await;
    kit.almost_pass(23 * HOUR);
    assert!(matches!(kit.intend(&leased, change(9, Some(2))).await, Allowance::OverShare));
    kit.pass(SECOND);
    kit.granted(&leased, 1, &change(9, Some(2))).await;
    assert!(matches!(kit.intend(&leased, change(9, Some(2))).await, Allowance::OverShare), "the second still counts");
}

pub(crate) async fn limits_are_per_account_and_rule<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let once = change(1, Some(1));
    for (of, rule, subject) in [("acc", "assist", "u1"), ("bcc", "assist", "u1"), ("acc", "tidy", "u2")] {
        let leased = long_lease(&mut kit, of, rule, subject).await;
        kit.granted(&leased, 1, &once).await;
    }
    let leased = long_lease(&mut kit, "acc", "assist", "u3").await;
    assert!(matches!(kit.intend(&leased, once).await, Allowance::OverShare));
}

pub(crate) async fn resuming_a_rule_that_is_over_its_share_counts_the_share_anew_but_not_the_hour<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 3, &change(4, Some(3))).await;
    let job = leased.job.id;
    kit.settle(leased, Outcome::Park(ParkCause::OverShare { rule: "assist".to_owned() })).await;
    let which = Selector::ParkedFor { cause: "over-share".to_owned(), account: None };
    assert_eq!(kit.store.move_jobs(which, Move::Retry, "jill", kit.now).await.unwrap(), 1);
    kit.restart().await;
    let leased = kit.started().await;
    assert_eq!(leased.job.id, job);
    kit.granted(&leased, 1, &change(4, Some(3))).await;
    let allowance = kit.intend(&leased, change(4, Some(3))).await;
    assert!(matches!(allowance, Allowance::NextHour { .. }), "{allowance:?}");
}

pub(crate) async fn retrying_a_job_that_is_parked_for_something_else_leaves_the_count<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &change(9, Some(1))).await;
    let job = kit.settle(leased, Outcome::Park(ParkCause::NotFound)).await.id;
    kit.store.move_jobs(Selector::Job(job), Move::Retry, "jill", kit.now).await.unwrap();
    let leased = kit.started().await;
    assert!(matches!(kit.intend(&leased, change(9, Some(1))).await, Allowance::OverShare));
}

pub(crate) async fn no_change_is_granted_without_a_started_attempt_and_a_lease_that_lasts<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.event(work(vec![ensure("assist", user("u1"))])).await;
    let mut leased = kit.claim_one().await;
    let size = kit.log_size().await;
    assert_conflict(kit.store.intend(&leased, change(9, None), kit.now).await);
    assert_eq!(kit.log_size().await, size);
    kit.store.start(&mut leased, kit.now).await.unwrap();
    kit.pass(LEASE);
    assert_conflict(kit.store.intend(&leased, change(9, None), kit.now).await);
    assert_eq!(kit.count(Kind::Intent, "granted").await, 0);
}

pub(crate) async fn counts_and_the_notice_of_the_hour_outlive_a_restart<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 2, &change(2, None)).await;
    assert!(matches!(kit.intend(&leased, change(2, None)).await, Allowance::NextHour { .. }));
    kit.restart().await;
    let leased = kit.started().await;
    assert!(matches!(kit.intend(&leased, change(2, None)).await, Allowance::NextHour { .. }));
    assert!(matches!(kit.intend(&leased, change(2, Some(2))).await, Allowance::OverShare));
    assert_eq!(kit.count(Kind::Attention, "rule-limit").await, 1);
}
