//! How much a rule may change.

use adjutant::audit::Kind;
use adjutant::job::{Change, Outcome, ParkCause, Snooze};
use adjutant::store::{Allowance, Leased, Move, PutOff, Selector, StoreError};

use crate::contract::Harness;
use crate::contract::kit::{
    DAY, HOUR, Kit, LEASE, SECOND, account, assert_conflict, change, changed, ensure, rule, user, work,
};

fn over_share() -> Outcome {
    Outcome::Park(ParkCause::OverShare { rule: "assist".to_owned() })
}

/// A started attempt at a new job, under a lease of days.
async fn long_lease<H: Harness>(kit: &mut Kit<H>, of: &str, rule: &str) -> Leased {
    let subject = format!("u{}", kit.log_size().await);
    kit.event_for(of, work(vec![ensure(rule, user(&subject))])).await;
    let mut leased = kit.started().await;
    kit.store.renew(&mut leased, kit.now.plus(10 * DAY)).await.unwrap();
    leased
}

/// So many jobs of the rule make their change.
async fn spend<H: Harness>(kit: &mut Kit<H>, of: &str, rule: &str, times: usize, limits: &Change) {
    for _ in 0..times {
        let leased = long_lease(kit, of, rule).await;
        kit.granted(&leased, 1, limits).await;
        kit.settle(leased, changed()).await;
    }
}

async fn resume<H: Harness>(kit: &Kit<H>) {
    let which = Selector::ParkedFor { cause: "over-share".to_owned(), rule: None, account: None };
    assert_eq!(kit.store.move_jobs(which, Move::Retry, "jill", kit.now).await.unwrap(), 1);
}

pub(crate) async fn a_change_is_on_record_before_it_is_made<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    let size = kit.log_size().await;
    kit.granted(&leased, 1, &change(5, Some(5))).await;
    let entry = kit.store.entries(size, 9).await.unwrap().remove(0);
    assert_eq!((entry.kind, entry.code.as_str(), entry.job), (Kind::Intent, "granted", Some(leased.job.id)));
    assert_eq!(entry.detail.unwrap().note, "add assistant api@example.com");
}

pub(crate) async fn beyond_the_limit_of_the_hour_changes_wait_for_the_next_with_one_notice<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.pass(20 * SECOND);
    spend(&mut kit, "acc", "assist", 2, &change(2, None)).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
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
    for hour in 1..4 {
        spend(&mut kit, "acc", "assist", 1, &change(1, None)).await;
        let leased = long_lease(&mut kit, "acc", "assist").await;
        kit.almost_pass(HOUR);
        let allowance = kit.intend(&leased, change(1, None)).await;
        assert!(matches!(allowance, Allowance::NextHour { at, .. } if at == kit.now.plus(SECOND)), "{allowance:?}");
        assert_eq!(kit.count(Kind::Attention, "rule-limit").await, hour);
        kit.settle(leased, changed()).await;
        kit.pass(SECOND);
    }
}

pub(crate) async fn beyond_the_share_of_the_account_nothing_is_changed_or_told<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    spend(&mut kit, "acc", "assist", 2, &change(2, Some(2))).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    let size = kit.log_size().await;
    let allowance = kit.intend(&leased, change(2, Some(2))).await;
    assert!(matches!(allowance, Allowance::OverShare), "the share goes before the hour: {allowance:?}");
    assert_eq!(kit.log_size().await, size);
}

pub(crate) async fn the_share_counts_the_last_24_utc_hours<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let limits = change(9, Some(3));
    spend(&mut kit, "acc", "assist", 1, &limits).await;
    kit.pass(HOUR);
    spend(&mut kit, "acc", "assist", 1, &limits).await;
    kit.pass(23 * HOUR);
    spend(&mut kit, "acc", "assist", 2, &limits).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    let allowance = kit.intend(&leased, limits).await;
    assert!(matches!(allowance, Allowance::OverShare), "the second still counts: {allowance:?}");
}

pub(crate) async fn a_rule_that_came_to_its_share_is_stopped_until_a_person_resumes_it<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let limits = change(9, Some(1));
    spend(&mut kit, "acc", "assist", 1, &limits).await;
    assert!(!kit.store.is_stopped(&account("acc"), &rule("assist")).await.unwrap());
    let leased = long_lease(&mut kit, "acc", "assist").await;
    assert!(matches!(kit.intend(&leased, limits.clone()).await, Allowance::OverShare));
    kit.settle(leased, over_share()).await;
    kit.pass(9 * DAY);
    kit.restart().await;
    assert!(kit.store.is_stopped(&account("acc"), &rule("assist")).await.unwrap());
    for (of, named) in [("acc", "tidy"), ("bcc", "assist")] {
        assert!(!kit.store.is_stopped(&account(of), &rule(named)).await.unwrap(), "{of} {named}");
    }
    let leased = long_lease(&mut kit, "acc", "assist").await;
    let allowance = kit.intend(&leased, change(9, None)).await;
    assert!(matches!(allowance, Allowance::OverShare), "also where the account has no share any more: {allowance:?}");
    kit.settle(leased, changed()).await;
    resume(&kit).await;
    assert!(!kit.store.is_stopped(&account("acc"), &rule("assist")).await.unwrap());
    let leased = kit.started().await;
    kit.granted(&leased, 1, &limits).await;
}

pub(crate) async fn a_change_that_is_tried_again_counts_once_an_hour_and_once_a_day<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let limits = change(2, Some(3));
    let tried = long_lease(&mut kit, "acc", "assist").await;
    kit.granted(&tried, 9, &limits).await;
    let job = kit.settle(tried, Outcome::Retry { error: "503".to_owned() }).await.id;
    kit.pass(HOUR);
    kit.restart().await;
    let mut tried = kit.started().await;
    assert_eq!(tried.job.id, job);
    kit.store.renew(&mut tried, kit.now.plus(10 * DAY)).await.unwrap();
    kit.granted(&tried, 9, &limits).await;
    spend(&mut kit, "acc", "assist", 1, &limits).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    let allowance = kit.intend(&leased, limits.clone()).await;
    assert!(matches!(allowance, Allowance::NextHour { .. }), "it counts in each hour: {allowance:?}");
    kit.granted(&tried, 1, &limits).await;
    kit.pass(HOUR);
    kit.granted(&leased, 1, &limits).await;
    kit.settle(leased, changed()).await;
    let last = long_lease(&mut kit, "acc", "assist").await;
    let allowance = kit.intend(&last, limits).await;
    assert!(matches!(allowance, Allowance::OverShare), "one, one and one are three: {allowance:?}");
}

pub(crate) async fn a_job_that_is_asked_again_makes_another_change<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let asks = || work(vec![ensure("assist", user("u1"))]);
    kit.event(asks()).await;
    let leased = kit.started().await;
    kit.granted(&leased, 1, &change(1, None)).await;
    kit.event(asks()).await;
    kit.settle(leased, changed()).await;
    let leased = kit.started().await;
    assert!(matches!(kit.intend(&leased, change(1, None)).await, Allowance::NextHour { .. }));
}

pub(crate) async fn limits_are_per_account_and_rule<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let once = change(1, Some(1));
    for (of, rule) in [("acc", "assist"), ("bcc", "assist"), ("acc", "tidy")] {
        spend(&mut kit, of, rule, 1, &once).await;
    }
    let leased = long_lease(&mut kit, "acc", "assist").await;
    assert!(matches!(kit.intend(&leased, once).await, Allowance::OverShare));
}

pub(crate) async fn resuming_a_rule_that_is_over_its_share_counts_the_share_anew_but_not_the_hour<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let limits = change(4, Some(3));
    spend(&mut kit, "acc", "assist", 3, &limits).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    assert!(matches!(kit.intend(&leased, limits.clone()).await, Allowance::OverShare));
    let job = leased.job.id;
    kit.settle(leased, over_share()).await;
    resume(&kit).await;
    kit.restart().await;
    let leased = kit.started().await;
    assert_eq!(leased.job.id, job);
    kit.granted(&leased, 1, &limits).await;
    kit.settle(leased, changed()).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    let allowance = kit.intend(&leased, limits).await;
    assert!(matches!(allowance, Allowance::NextHour { .. }), "{allowance:?}");
}

pub(crate) async fn resuming_a_rule_moves_all_that_it_holds_back_and_is_on_record<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let held_by =
        |account: Option<&str>| Selector::HeldBy { rule: rule("assist"), account: account.map(self::account) };
    let nothing = kit.store.move_jobs(held_by(None), Move::Retry, "jill", kit.now).await;
    assert!(matches!(nothing, Err(StoreError::NotFound(_))), "{nothing:?}");
    for (of, named) in [("acc", "assist"), ("acc", "assist"), ("acc", "tidy"), ("bcc", "assist")] {
        let leased = long_lease(&mut kit, of, named).await;
        assert!(matches!(kit.intend(&leased, change(9, Some(0))).await, Allowance::OverShare));
        kit.settle(leased, over_share()).await;
    }
    let groups = kit.store.parked().await.unwrap();
    let told: Vec<_> = groups.iter().map(|group| (group.account.as_str(), group.rule.clone(), group.count)).collect();
    let (assist, tidy) = (Some(rule("assist")), Some(rule("tidy")));
    assert_eq!(told, [("acc", assist.clone(), 2), ("acc", tidy, 1), ("bcc", assist, 1)]);
    let size = kit.log_size().await;
    assert_eq!(kit.store.move_jobs(held_by(Some("acc")), Move::Retry, "jill", kit.now).await.unwrap(), 2);
    assert_eq!(kit.told_since(size).await, ["moved resumed", "moved retried", "moved retried"]);
    kit.restart().await;
    for (of, named, stopped) in [("acc", "assist", false), ("acc", "tidy", true), ("bcc", "assist", true)] {
        assert_eq!(kit.store.is_stopped(&account(of), &rule(named)).await.unwrap(), stopped, "{of} {named}");
    }
    // Also where nothing is held back any more.
    kit.store.cancel_jobs(&account("bcc"), None, "gone", kit.now).await.unwrap();
    assert_eq!(kit.store.move_jobs(held_by(None), Move::Retry, "jill", kit.now).await.unwrap(), 0);
    assert!(!kit.store.is_stopped(&account("bcc"), &rule("assist")).await.unwrap());
}

pub(crate) async fn what_would_take_something_away_is_let_through_rule_by_rule_and_changes_no_count<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let held_by = |named: &str| Selector::HeldBy { rule: rule(named), account: None };
    let takes_away = || Outcome::Park(ParkCause::TakesAway { what: "a licence".to_owned() });
    for named in ["assist", "assist", "tidy"] {
        let leased = long_lease(&mut kit, "acc", named).await;
        kit.settle(leased, takes_away()).await;
    }
    let leased = long_lease(&mut kit, "acc", "assist").await;
    assert!(matches!(kit.intend(&leased, change(9, Some(0))).await, Allowance::OverShare));
    let stopped = kit.settle(leased, over_share()).await.id;
    let groups = kit.store.parked().await.unwrap();
    let told: Vec<_> = groups.iter().map(|one| (one.cause.as_str(), one.rule.clone(), one.count)).collect();
    let (assist, tidy) = (Some(rule("assist")), Some(rule("tidy")));
    assert_eq!(told, [("over-share", assist.clone(), 1), ("takes-away", assist, 2), ("takes-away", tidy, 1)]);
    kit.store.move_jobs(held_by("tidy"), Move::Allow, "jill", kit.now).await.unwrap();
    kit.restart().await;
    let leased = kit.started().await;
    assert_eq!(leased.job.allowed.as_deref(), Some("a licence"));
    assert_eq!(kit.settle(leased, changed()).await.allowed, None);
    let size = kit.log_size().await;
    assert_eq!(kit.store.move_jobs(held_by("assist"), Move::Allow, "jill", kit.now).await.unwrap(), 2);
    assert_eq!(kit.told_since(size).await, ["moved allowed", "moved allowed"]);
    assert!(kit.store.is_stopped(&account("acc"), &rule("assist")).await.unwrap(), "that is another resume");
    let none = kit.store.move_jobs(held_by("assist"), Move::Allow, "jill", kit.now).await;
    assert!(matches!(none, Err(StoreError::NotFound(_))), "{none:?}");
    assert_conflict(kit.store.move_jobs(Selector::Job(stopped), Move::Allow, "jill", kit.now).await);
}

pub(crate) async fn retrying_a_job_that_is_parked_for_something_else_leaves_the_count<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    spend(&mut kit, "acc", "assist", 1, &change(9, Some(1))).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
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
    spend(&mut kit, "acc", "assist", 2, &change(2, None)).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    assert!(matches!(kit.intend(&leased, change(2, None)).await, Allowance::NextHour { .. }));
    kit.restart().await;
    let leased = kit.started().await;
    assert!(matches!(kit.intend(&leased, change(2, None)).await, Allowance::NextHour { .. }));
    assert!(matches!(kit.intend(&leased, change(2, Some(2))).await, Allowance::OverShare));
    assert_eq!(kit.count(Kind::Attention, "rule-limit").await, 1);
}

pub(crate) async fn what_waits_for_the_next_hour_is_told_and_can_be_hurried<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    spend(&mut kit, "acc", "assist", 2, &change(2, None)).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    let Allowance::NextHour { at, notice } = kit.intend(&leased, change(2, None)).await else { panic!() };
    assert_eq!(kit.store.put_off(kit.now).await.unwrap(), [], "it runs");
    kit.settle(leased, Outcome::Snooze(Snooze::NextBudget { at, why: notice })).await;
    // Neither another rule's nor what is due at another time.
    let leased = long_lease(&mut kit, "acc", "tidy").await;
    kit.settle(leased, Outcome::Snooze(Snooze::NextBudget { at, why: "the day".to_owned() })).await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    kit.settle(leased, Outcome::Snooze(Snooze::NextBudget { at: at.plus(SECOND), why: "the day".to_owned() })).await;
    let expected = [PutOff { account: account("acc"), rule: rule("assist"), made: 2, waiting: 1, until: at }];
    assert_eq!(kit.store.put_off(kit.now).await.unwrap(), expected);
    kit.restart().await;
    assert_eq!(kit.store.put_off(kit.now).await.unwrap(), expected);
    let which = || Selector::PutOff { rule: rule("assist"), account: account("acc") };
    assert_eq!(kit.store.move_jobs(which(), Move::Retry, "jill", kit.now).await.unwrap(), 1);
    assert_eq!(kit.store.move_jobs(which(), Move::Retry, "jill", kit.now).await.unwrap(), 0);
    assert_eq!(kit.claim(9).await.len(), 1);
    assert_eq!(kit.store.put_off(kit.now).await.unwrap(), []);
}

pub(crate) async fn cancelling_what_a_stopped_rule_holds_back_leaves_it_stopped<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = long_lease(&mut kit, "acc", "assist").await;
    assert!(matches!(kit.intend(&leased, change(9, Some(0))).await, Allowance::OverShare));
    let stopped = kit.settle(leased, over_share()).await.id;
    kit.store.move_jobs(Selector::Job(stopped), Move::Cancel, "jill", kit.now).await.unwrap();
    assert!(kit.store.is_stopped(&account("acc"), &rule("assist")).await.unwrap());
}
