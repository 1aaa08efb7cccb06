//! What Zoom allows so many of in a day: of the meetings of a host, of one meeting, of invitations.

use adjutant::audit::{Detail, Entry, Kind};
use adjutant::ids::{MeetingId, UserId};
use adjutant::job::{Change, Counts, DayOf, DayUse, JobState};
use adjutant::store::{Allowance, DayUsed, Leased, Note, Spender, StoreError};

use super::contests::asked;
use crate::contract::Harness;
use crate::contract::kit::{DAY, HOUR, Kit, account, app, assert_conflict, change, changed, put_off};

fn host(id: &str) -> DayOf {
    DayOf::Host(UserId::parse(id).unwrap())
}

fn meeting(number: u64) -> DayOf {
    DayOf::Meeting(MeetingId::from_number(number))
}

fn once_a_job(of: DayOf, max_per_day: u32) -> DayUse {
    DayUse { of, counts: Counts::Job, max_per_day }
}

fn each(of: DayOf, max_per_day: u32) -> DayUse {
    DayUse { of, counts: Counts::Each, max_per_day }
}

fn using(days: Vec<DayUse>) -> Change {
    Change { days, ..change(1_000, None) }
}

fn of_host(id: &str, max_per_day: u32) -> Change {
    using(vec![once_a_job(host(id), max_per_day)])
}

/// What jill tells to change in the account.
fn told_by_jill(of: &str) -> Note {
    Note {
        kind: Kind::Intent,
        app: Some(app("main")),
        account: Some(account(of)),
        code: "granted".to_owned(),
        detail: Detail::note("move meeting 1, told by jill"),
    }
}

async fn told<H: Harness>(kit: &Kit<H>, days: Vec<DayUse>) -> Allowance {
    kit.store.intend_as_told(told_by_jill("acc"), days, kit.now).await.unwrap()
}

async fn used<H: Harness>(kit: &Kit<H>, of: &DayOf) -> u32 {
    let DayUsed { used, is_spent } = kit.store.day_used(&account("acc"), of, kit.now).await.unwrap();
    assert!(!is_spent, "{of:?} is spent");
    used
}

/// What is full, and until when.
#[track_caller]
fn full(allowance: Allowance) -> (DayOf, adjutant::clock::Timestamp) {
    let Allowance::NextDay { of, at, .. } = allowance else { panic!("{allowance:?}") };
    (of, at)
}

pub(crate) async fn beyond_what_is_left_of_a_hosts_day_changes_wait_for_the_next_with_one_notice<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    // What a person applied a plan for counts as well: the limit is Zoom's.
    for (number, is_planned) in [false, true, false].into_iter().enumerate() {
        let leased = asked(&mut kit, "acc", "assist", &format!("u{number}")).await;
        // Tried again, it is the same change.
        kit.granted(&leased, 3, &Change { is_planned, ..of_host("h1", 3) }).await;
        kit.settle(leased, changed()).await;
    }
    kit.restart().await;
    let leased = asked(&mut kit, "acc", "assist", "u4").await;
    let size = kit.log_size().await;
    for is_planned in [false, true, false, true] {
        let allowance = kit.intend(&leased, Change { is_planned, ..of_host("h1", 3) }).await;
        let Allowance::NextDay { of, at, notice } = allowance else { panic!("{allowance:?}") };
        assert_eq!((of, at), (host("h1"), kit.now.next_utc_midnight()));
        assert!(notice.contains("h1"), "{notice}");
    }
    assert_eq!(kit.told_since(size).await, ["attention host-limit"]);
    kit.granted(&leased, 1, &of_host("h2", 1)).await;
    kit.granted(&leased, 1, &of_host("h1", 4)).await;
    kit.granted(&leased, 1, &of_host("h1", 3)).await;
    kit.settle(leased, changed()).await;
    let leased = asked(&mut kit, "bcc", "assist", "u1").await;
    kit.granted(&leased, 1, &of_host("h1", 1)).await;
}

pub(crate) async fn a_hosts_day_begins_anew_at_midnight_utc_with_a_notice_of_its_own<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for day in 1..=3 {
        let leased = asked(&mut kit, "acc", "assist", "u1").await;
        kit.granted(&leased, 1, &of_host("h1", 1)).await;
        kit.settle(leased, changed()).await;
        let leased = asked(&mut kit, "acc", "assist", "u2").await;
        assert!(matches!(kit.intend(&leased, of_host("h1", 1)).await, Allowance::NextDay { .. }));
        assert_eq!(kit.count(Kind::Attention, "host-limit").await, day);
        kit.settle(leased, changed()).await;
        kit.now = kit.now.next_utc_midnight();
    }
}

pub(crate) async fn a_hosts_day_that_zoom_calls_used_up_is_so_whatever_was_counted<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &of_host("h1", 80)).await;
    let size = kit.log_size().await;
    for _ in 0..2 {
        kit.store.day_spent(Spender::Job(&leased.job), &host("h1"), kit.now).await.unwrap();
    }
    assert_eq!(kit.told_since(size).await, ["attention host-limit"]);
    kit.restart().await;
    let leased = kit.started().await;
    assert!(matches!(kit.intend(&leased, of_host("h1", 10_000)).await, Allowance::NextDay { .. }));
    kit.granted(&leased, 1, &of_host("h2", 80)).await;
    kit.settle(leased, changed()).await;
    kit.now = kit.now.next_utc_midnight();
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &of_host("h1", 1)).await;
}

pub(crate) async fn what_waits_for_a_hosts_day_counts_against_no_limit_of_its_rule<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    let once = |host| Change { max_per_hour: 1, max_per_day: Some(1), ..of_host(host, 0) };
    assert!(matches!(kit.intend(&leased, once("h1")).await, Allowance::NextDay { .. }));
    kit.settle(leased, put_off(kit.now.next_utc_midnight())).await;
    let leased = asked(&mut kit, "acc", "assist", "u2").await;
    kit.granted(&leased, 1, &Change { days: Vec::new(), ..once("h1") }).await;
    let state = kit.job(leased.job.id).await.state;
    assert!(matches!(state, JobState::Running { .. }), "{state:?}");
}

pub(crate) async fn the_invitations_of_a_day_are_counted_for_each_account_and_zoom_may_call_them_used_up<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let invite = |max_per_day| using(vec![once_a_job(DayOf::Invitations, max_per_day)]);
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 2, &invite(1)).await;
    kit.settle(leased, changed()).await;
    let leased = asked(&mut kit, "acc", "assist", "u2").await;
    let size = kit.log_size().await;
    let Allowance::NextDay { at, .. } = kit.intend(&leased, invite(1)).await else { panic!("one a day") };
    assert_eq!(
        (at, kit.told_since(size).await),
        (kit.now.next_utc_midnight(), vec!["attention invite-limit".to_owned()])
    );
    kit.granted(&leased, 1, &invite(2)).await;
    kit.granted(&leased, 1, &of_host("h1", 1)).await;
    kit.store.day_spent(Spender::Job(&leased.job), &DayOf::Invitations, kit.now).await.unwrap();
    kit.restart().await;
    let leased = kit.started().await;
    assert!(matches!(kit.intend(&leased, invite(10_000)).await, Allowance::NextDay { .. }));
    kit.settle(leased, changed()).await;
    let leased = asked(&mut kit, "bcc", "assist", "u1").await;
    kit.granted(&leased, 1, &invite(1)).await;
    kit.settle(leased, changed()).await;
    kit.now = kit.now.next_utc_midnight();
    let leased = asked(&mut kit, "acc", "assist", "u3").await;
    kit.granted(&leased, 1, &invite(1)).await;
}

pub(crate) async fn a_change_that_uses_up_two_days_needs_room_in_both_and_else_counts_in_neither<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let both = || vec![each(host("h1"), 2), each(meeting(1), 1)];
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &using(both())).await;
    assert_eq!((used(&kit, &host("h1")).await, used(&kit, &meeting(1)).await), (1, 1));
    let size = kit.log_size().await;
    for change in [using(both()), Change { is_planned: true, ..using(both()) }] {
        assert_eq!(full(kit.intend(&leased, change).await).0, meeting(1), "the host has room");
        assert_eq!(full(told(&kit, both()).await).0, meeting(1));
    }
    assert_eq!(kit.told_since(size).await, ["attention meeting-limit"]);
    kit.restart().await;
    assert_eq!((used(&kit, &host("h1")).await, used(&kit, &meeting(1)).await), (1, 1), "nothing was counted");
    let leased = kit.started().await;
    kit.granted(&leased, 1, &using(vec![each(host("h1"), 2), each(meeting(2), 1)])).await;
    // Both are full now: the first is told.
    let size = kit.log_size().await;
    assert_eq!(full(kit.intend(&leased, using(both())).await).0, host("h1"));
    assert_eq!(kit.told_since(size).await, ["attention host-limit"]);
}

pub(crate) async fn what_another_limit_refuses_uses_up_no_day<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let change = |max_per_hour| Change { max_per_hour, ..using(vec![each(host("h1"), 9)]) };
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &change(1)).await;
    kit.settle(leased, changed()).await;
    let leased = asked(&mut kit, "acc", "assist", "u2").await;
    assert!(matches!(kit.intend(&leased, change(1)).await, Allowance::NextHour { .. }));
    assert_eq!(used(&kit, &host("h1")).await, 1);
    kit.granted(&leased, 1, &change(2)).await;
    assert_eq!(used(&kit, &host("h1")).await, 2);
}

pub(crate) async fn where_each_intent_counts_a_job_that_is_tried_again_uses_up_more<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 2, &using(vec![each(host("h1"), 4), once_a_job(meeting(1), 1)])).await;
    // The process ended between the intent and the call: Zoom may have counted it.
    kit.restart().await;
    let leased = kit.started().await;
    kit.granted(&leased, 2, &using(vec![each(host("h1"), 4), once_a_job(meeting(1), 1)])).await;
    assert_eq!((used(&kit, &host("h1")).await, used(&kit, &meeting(1)).await), (4, 1));
    kit.restart().await;
    assert_eq!((used(&kit, &host("h1")).await, used(&kit, &meeting(1)).await), (4, 1));
    let leased = kit.started().await;
    assert_eq!(full(kit.intend(&leased, using(vec![each(host("h1"), 4)])).await).0, host("h1"));
    // One call is one use, whatever it is named for.
    kit.granted(&leased, 1, &using(vec![each(host("h2"), 1), each(host("h2"), 1)])).await;
    assert_eq!(used(&kit, &host("h2")).await, 1);
}

pub(crate) async fn of_a_meeting_what_was_used_the_day_before_counts_as_well<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let changes = |max| using(vec![each(meeting(1), max)]);
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 2, &changes(3)).await;
    kit.settle(leased, changed()).await;
    let midnight = kit.now.next_utc_midnight();
    kit.now = midnight;
    kit.restart().await;
    assert_eq!(used(&kit, &meeting(1)).await, 2);
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &changes(3)).await;
    assert_eq!(used(&kit, &meeting(1)).await, 3);
    assert_eq!(full(kit.intend(&leased, changes(3)).await), (meeting(1), midnight.plus(DAY)));
    // What today alone has used up counts tomorrow, too.
    assert_eq!(full(kit.intend(&leased, changes(1)).await), (meeting(1), midnight.plus(DAY * 2)));
    kit.settle(leased, changed()).await;
    kit.now = midnight.plus(DAY);
    assert_eq!(used(&kit, &meeting(1)).await, 1);
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 2, &changes(3)).await;
    assert_eq!(full(kit.intend(&leased, changes(3)).await).0, meeting(1));
    assert_eq!(kit.count(Kind::Attention, "meeting-limit").await, 2, "one a day");
}

pub(crate) async fn what_of_a_day_is_used_is_told_by_account_and_day<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    let all = vec![each(host("h1"), 9), each(meeting(1), 9), once_a_job(DayOf::Invitations, 9)];
    kit.granted(&leased, 2, &using(all)).await;
    let looked = |of: &'static str, what: DayOf, now| {
        let store = std::sync::Arc::clone(&kit.store);
        async move { store.day_used(&account(of), &what, now).await.unwrap() }
    };
    let (now, some) = (kit.now, |used| DayUsed { used, is_spent: false });
    assert_eq!(looked("acc", host("h1"), now).await, some(2));
    assert_eq!(looked("acc", meeting(1), now).await, some(2));
    assert_eq!(looked("acc", DayOf::Invitations, now).await, some(1));
    assert_eq!(looked("acc", host("h2"), now).await, some(0));
    assert_eq!(looked("acc", meeting(2), now).await, some(0));
    assert_eq!(looked("bcc", host("h1"), now).await, some(0));
    let tomorrow = now.next_utc_midnight();
    assert_eq!(looked("acc", host("h1"), tomorrow).await, some(0));
    assert_eq!(looked("acc", meeting(1), tomorrow).await, some(2));
    assert_eq!(looked("acc", meeting(1), tomorrow.plus(DAY)).await, some(0));
}

pub(crate) async fn what_a_person_tells_to_change_counts_in_the_same_days<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &of_host("h1", 2)).await;
    let of_day = |max| vec![each(host("h1"), max)];
    let size = kit.log_size().await;
    assert!(matches!(told(&kit, of_day(3)).await, Allowance::Granted(_)));
    // No job is there that could count once.
    assert!(matches!(told(&kit, vec![once_a_job(host("h1"), 3)]).await, Allowance::Granted(_)));
    kit.restart().await;
    assert_eq!(used(&kit, &host("h1")).await, 3);
    for _ in 0..2 {
        assert_eq!(full(told(&kit, of_day(3)).await), (host("h1"), kit.now.next_utc_midnight()));
    }
    assert_eq!(kit.told_since(size).await, ["intent granted", "intent granted", "attention host-limit"]);
    let entry: Entry = kit.entries().await.pop().unwrap();
    assert_eq!(
        (entry.app, entry.account, entry.job, entry.rule),
        (Some(app("main")), Some(account("acc")), None, None)
    );
    assert!(entry.detail.unwrap().note.contains("h1"));
    assert!(kit.store.notices().await.unwrap().is_empty(), "it ends by itself");
    // The job was counted before.
    let leased = kit.started().await;
    kit.granted(&leased, 1, &of_host("h1", 3)).await;
    kit.settle(leased, changed()).await;
    let leased = asked(&mut kit, "acc", "assist", "u2").await;
    assert_eq!(full(kit.intend(&leased, of_host("h1", 3)).await).0, host("h1"));
    let nobodys = Note { account: None, ..told_by_jill("acc") };
    let size = kit.log_size().await;
    assert_conflict(kit.store.intend_as_told(nobodys.clone(), of_day(9), kit.now).await);
    assert_eq!(kit.log_size().await, size);
    let _intent = kit.store.intend_as_told(nobodys, Vec::new(), kit.now).await.unwrap().unlimited().unwrap();
    kit.store.close().await.unwrap();
    let late = kit.store.intend_as_told(told_by_jill("acc"), of_day(9), kit.now).await;
    assert!(matches!(late, Err(StoreError::Closed)));
}

pub(crate) async fn what_zoom_says_of_a_day_holds_for_jobs_and_for_people<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (of, main) = (account("acc"), app("main"));
    let both = || vec![each(host("h1"), 10_000), each(meeting(1), 10_000)];
    let spent = |used| DayUsed { used, is_spent: true };
    assert!(matches!(told(&kit, both()).await, Allowance::Granted(_)));
    let leased: Leased = asked(&mut kit, "acc", "assist", "u1").await;
    kit.granted(&leased, 1, &using(both())).await;
    let size = kit.log_size().await;
    let jill = Spender::Person { app: Some(&main), account: &of };
    for who in [jill, Spender::Job(&leased.job)] {
        kit.store.day_spent(who, &meeting(1), kit.now).await.unwrap();
    }
    kit.store.day_spent(Spender::Job(&leased.job), &host("h1"), kit.now).await.unwrap();
    let entries = kit.store.entries(size, 9).await.unwrap();
    let about: Vec<_> = entries.iter().map(|entry| (entry.code.as_str(), entry.account.as_ref(), entry.job)).collect();
    let job = Some(leased.job.id);
    assert_eq!(about, [("meeting-limit", Some(&of), None), ("host-limit", Some(&of), job)]);
    kit.restart().await;
    for what in [meeting(1), host("h1")] {
        assert_eq!(kit.store.day_used(&of, &what, kit.now).await.unwrap(), spent(2));
    }
    let leased = kit.started().await;
    assert_eq!(full(kit.intend(&leased, using(both())).await).0, host("h1"));
    assert_eq!(full(told(&kit, both()).await).0, host("h1"));
    kit.settle(leased, changed()).await;
    // Zoom's word about the meeting holds for 24 hours, and no longer than the day after.
    kit.now = kit.now.next_utc_midnight().plus(HOUR);
    let until = kit.now.next_utc_midnight();
    assert_eq!(full(told(&kit, both()).await), (meeting(1), until));
    assert_eq!(used(&kit, &host("h1")).await, 0);
    kit.now = until;
    kit.restart().await;
    assert!(matches!(told(&kit, both()).await, Allowance::Granted(_)));
}
