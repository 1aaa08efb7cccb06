//! What each task comes to.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Trouble, email, uid};
use super::{ASSISTANTS, Bench, START, WAITING_ROOM, account, in_a_line};
use crate::clock::Clock;
use crate::job::JobState;
use crate::store::{Move, Selector, Store};
use crate::worker::Settings;
use crate::zoom::{Assistant, MeetingStatus, Status, ZoomError};

fn off() -> Value {
    json!({ "waiting_room": false, "join_before_host": true })
}

fn on() -> Value {
    json!({ "waiting_room": true, "join_before_host": true })
}

fn bench() -> Bench {
    let bench = Bench::new(&[ASSISTANTS]);
    bench.zoom.put_user("jill", Status::Active, 2);
    bench
}

fn someone(n: usize) -> Assistant {
    Assistant { id: Some(uid(&format!("a-{n}"))), email: None }
}

#[tokio::test]
async fn a_licensed_user_gets_the_whole_pool_of_api_users_and_it_is_read_back() {
    let accounts = vec![account("acme", &["api@example.com", "api-2"])];
    let bench = Bench::with(accounts, &[ASSISTANTS], Settings::default());
    bench.zoom.put_user("api-2", Status::Active, 2);
    bench.zoom.put_user("jill", Status::Active, 2);
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "done changed: add assistant api@example.com, api-2");
    assert_eq!(bench.zoom.assistants_of("jill"), ["api@example.com", "api-2@example.com"]);
    assert_eq!(bench.zoom.log().last().unwrap(), "acme assistants jill");
    assert_eq!(bench.entries("granted").await.len(), 1, "to change one user is one change");
}

#[tokio::test]
async fn a_second_look_changes_nothing() {
    let bench = bench();
    bench.create("jill").await;
    bench.user_event("user.updated", "jill").await;
    bench.drain().await;
    assert_eq!(bench.state().await, "done already-right");
    assert_eq!(bench.zoom.changes(), 1);
}

#[tokio::test]
async fn a_user_who_cannot_have_an_assistant_yet_waits_without_using_attempts_until_an_event_says_otherwise() {
    let cases = [
        (Status::Pending, 1, "waiting user-pending"),
        (Status::Active, 1, "waiting user-unlicensed"),
        (Status::Inactive, 2, "waiting user-inactive"),
    ];
    for (status, kind, waits) in cases {
        let bench = bench();
        bench.zoom.put_user("jill", status, kind);
        let job = bench.create("jill").await;
        assert_eq!((in_a_line(&job.state).as_str(), job.attempts), (waits, 0));
        assert_eq!(bench.zoom.changes(), 0);
        bench.zoom.put_user("jill", Status::Active, 2);
        bench.user_event("user.updated", "jill").await;
        bench.drain().await;
        assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
        assert_eq!(bench.jobs().await.len(), 1, "the waiting job goes on; none is made beside it");
    }
}

#[tokio::test]
async fn a_full_list_parks_and_a_list_with_room_for_one_takes_one() {
    let bench = bench();
    for n in 0..30 {
        bench.zoom.put_assistant("jill", someone(n));
    }
    let job = bench.create("jill").await;
    assert_eq!((in_a_line(&job.state).as_str(), bench.zoom.changes()), ("parked assistants-full", 0));

    let accounts = vec![account("acme", &["api@example.com", "api-2"])];
    let bench = Bench::with(accounts, &[ASSISTANTS], Settings::default());
    bench.zoom.put_user("api-2", Status::Active, 2);
    bench.zoom.put_user("jill", Status::Active, 2);
    for n in 0..29 {
        bench.zoom.put_assistant("jill", someone(n));
    }
    let job = bench.create("jill").await;
    assert_eq!((in_a_line(&job.state).as_str(), bench.zoom.changes()), ("parked assistants-full", 1));
}

#[tokio::test]
async fn who_is_excepted_or_an_api_user_is_never_granted_anything() {
    let bench = bench();
    bench.zoom.put_user("boss", Status::Active, 2);
    let job = bench.create("boss").await;
    assert_eq!(in_a_line(&job.state), "done not-applicable: the user is excepted by the rule");
    let job = bench.create("api").await;
    assert_eq!(in_a_line(&job.state), "done not-applicable: the user is an API user itself");
    assert_eq!(bench.zoom.changes(), 0);
}

#[tokio::test]
async fn whoever_might_be_excepted_is_granted_nothing_before_it_is_known() {
    let bench = bench();
    bench.zoom.hide_emails();
    bench.deliver(&bench.event("acme", "user.created", &json!({ "id": "jill" }))).await;
    bench.drain().await;
    assert_eq!((bench.state().await.as_str(), bench.zoom.changes()), ("due", 0));
    // The event may say what Zoom does not.
    bench.user_event("user.updated", "joan").await;
    bench.zoom.put_user("joan", Status::Active, 2);
    bench.drain().await;
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
}

#[tokio::test]
async fn whoever_might_have_an_excepted_role_is_left_alone_until_it_is_known() {
    let bench = Bench::new(&[&format!("{ASSISTANTS}except_roles = [\"owner\"]")]);
    bench.zoom.put_user("jill", Status::Active, 2);
    let job = bench.create("jill").await;
    let state = in_a_line(&job.state);
    assert_eq!((state.as_str(), bench.zoom.changes()), ("parked attempts-used-up", 0), "this Zoom states no role");
}

#[tokio::test]
async fn an_api_user_that_is_known_by_another_name_is_not_granted_to_itself() {
    for mode in ["enforce", "observe"] {
        let rule = ASSISTANTS.replace("enforce", mode).replace("except = [\"Boss@Example.com\"]", "");
        let bench = Bench::new(&[&rule]);
        bench.zoom.hide_emails();
        bench.deliver(&bench.event("acme", "user.updated", &json!({ "id": "api" }))).await;
        bench.drain().await;
        assert_eq!(bench.state().await, "done not-applicable: the user is an API user itself");
        assert_eq!(bench.zoom.count("add_assistant"), 0);
    }
}

#[tokio::test]
async fn a_rule_that_observes_says_what_it_would_do_and_does_nothing() {
    let bench = Bench::new(&[&ASSISTANTS.replace("enforce", "observe"), &WAITING_ROOM.replace("enforce", "observe")]);
    bench.zoom.put_user("jill", Status::Active, 2);
    bench.zoom.put_meeting(1, "jill", MeetingStatus::Waiting, &off());
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "done would-change: add assistant api@example.com");
    bench.meeting_event("meeting.created", 1).await;
    bench.drain().await;
    assert_eq!(bench.state().await, "done would-change: set waiting_room on");
    assert_eq!(bench.zoom.changes(), 0);
    assert!(bench.entries("granted").await.is_empty());
}

#[tokio::test]
async fn an_assistant_listed_by_id_alone_is_recognised_though_configured_by_email() {
    let bench = bench();
    bench.zoom.put_assistant("jill", Assistant { id: Some(uid("api")), email: None });
    let job = bench.create("jill").await;
    assert_eq!((in_a_line(&job.state).as_str(), bench.zoom.changes()), ("done already-right", 0));
    let bench = super::tasks::bench();
    bench.zoom.put_assistant("jill", Assistant { id: None, email: Some(email("API@example.com")) });
    let job = bench.create("jill").await;
    assert_eq!((in_a_line(&job.state).as_str(), bench.zoom.changes()), ("done already-right", 0));
}

#[tokio::test]
async fn every_error_of_zoom_is_a_decision() {
    let refused = ZoomError::Refused { status: 400, code: 300, message: "Validation Failed.".to_owned() };
    let text = String::new;
    // The error, what came of it at first, and where it ends when it never heals.
    let cases = [
        (ZoomError::Transient(text()), "due", "parked attempts-used-up"),
        (ZoomError::Unreadable(text()), "due", "parked attempts-used-up"),
        (ZoomError::NotFound(text()), "due", "parked not-found"),
        (ZoomError::ScopesMissing(text()), "parked scopes-missing", "parked scopes-missing"),
        (ZoomError::Credentials(text()), "parked credentials-refused", "parked credentials-refused"),
        (ZoomError::Full(text()), "parked assistants-full", "parked assistants-full"),
        (ZoomError::Pending(text()), "waiting user-pending", "waiting user-pending"),
        (refused, "parked refused", "parked refused"),
    ];
    for call in ["user", "assistants"] {
        for (error, first, last) in &cases {
            let bench = bench();
            bench.zoom.trouble(call, u32::MAX, Trouble::Fail(error.clone()));
            bench.user_event("user.created", "jill").await;
            bench.drain().await;
            assert_eq!(&bench.state().await, first, "{call}: {error:?}");
            bench.exhaust().await;
            assert_eq!(&bench.state().await, last, "{call}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_rate_limit_puts_a_job_off_until_it_is_over_and_uses_no_attempt() {
    let bench = bench();
    let until = START.plus(Duration::from_secs(90));
    bench.zoom.trouble("assistants", 40, Trouble::Fail(ZoomError::Limited { until, why: "qps".to_owned() }));
    bench.user_event("user.created", "jill").await;
    bench.drain().await;
    assert_eq!((bench.state().await.as_str(), bench.newest().await.attempts), ("due", 0));
    assert_eq!(bench.store.next_due().await.unwrap(), Some(until));
    // A limit that is over already puts it off for a moment all the same.
    bench.exhaust().await;
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
    assert!(bench.clock.now() >= until.plus(Duration::from_secs(9)));
}

#[tokio::test]
async fn a_hosts_day_that_zoom_calls_used_up_puts_off_all_of_that_host_and_nobody_else() {
    let bench = Bench::new(&[WAITING_ROOM]);
    let until = START.next_utc_midnight();
    let trouble = ZoomError::HostDay { until, why: "100 a day".to_owned() };
    bench.zoom.trouble("set_meeting", 1, Trouble::Fail(trouble));
    for id in [7, 8] {
        bench.zoom.put_meeting(id, "host", MeetingStatus::Waiting, &off());
        bench.meeting_event("meeting.created", id).await;
        bench.drain().await;
    }
    assert_eq!((bench.zoom.changes(), bench.entries("host-limit").await.len()), (1, 1), "the one that was refused");
    assert_eq!(bench.parts.stats.get("host-limited"), 2);
    assert_eq!((bench.store.next_due().await.unwrap(), bench.newest().await.attempts), (Some(until), 0));
    bench.clock.set(until);
    bench.drain().await;
    assert_eq!((bench.zoom.changes(), bench.state().await.starts_with("done changed")), (3, true));
}

#[tokio::test]
async fn a_limit_that_does_not_end_is_given_to_a_person_after_a_day_with_its_reason() {
    let bench = bench();
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    for n in 0..=49 {
        assert_eq!(bench.state().await, "due", "after {n} half hours");
        let until = bench.clock.now().plus(Duration::from_secs(1800));
        bench.zoom.trouble("assistants", 1, Trouble::Fail(ZoomError::Limited { until, why: "qps".to_owned() }));
        bench.drain().await;
        bench.clock.set(until);
    }
    let JobState::Parked { cause, .. } = bench.newest().await.state else { panic!("it is not parked") };
    assert_eq!(cause.to_string(), "still limited after 24 h: qps");
    let (which, now) = (Selector::Job(bench.newest().await.id), bench.clock.now());
    bench.store.move_jobs(which, Move::Retry, "jill", now).await.unwrap();
    bench.drain().await;
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
}

#[tokio::test]
async fn whatever_waits_for_the_quota_of_the_next_day_or_for_an_event_is_never_too_old() {
    let bench = bench();
    bench.user_event("user.created", "jill").await;
    for _ in 0..7 {
        let until = bench.clock.now().next_utc_midnight();
        bench.zoom.trouble("assistants", 1, Trouble::Fail(ZoomError::Limited { until, why: "daily".to_owned() }));
        bench.drain().await;
        assert_eq!(bench.state().await, "due");
        bench.clock.set(until);
    }
    bench.drain().await;
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
    bench.zoom.put_user("joan", Status::Pending, 2);
    bench.create("joan").await;
    bench.advance(Duration::from_secs(90 * 24 * 3600)).await;
    assert_eq!(bench.state().await, "waiting user-pending");
}

#[tokio::test]
async fn a_user_whom_zoom_did_not_show_is_looked_for_again_when_an_event_tells_of_them() {
    let bench = Bench::new(&[ASSISTANTS]);
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "parked not-found");
    bench.zoom.put_user("jill", Status::Active, 2);
    bench.user_event("user.invitation_accepted", "jill").await;
    bench.drain().await;
    assert_eq!(bench.state().await, "done changed: add assistant api@example.com");
    assert_eq!((bench.jobs().await.len(), bench.newest().await.attempts), (1, 1));
}

#[tokio::test]
async fn a_user_whom_zoom_does_not_show_yet_is_looked_for_again() {
    let bench = bench();
    bench.zoom.trouble("user", 3, Trouble::Fail(ZoomError::NotFound(String::new())));
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "done changed: add assistant api@example.com");
}

#[tokio::test]
async fn what_zoom_did_without_saying_so_is_found_and_not_done_again() {
    let bench = bench();
    bench.zoom.trouble("add_assistant", 1, Trouble::ActThenFail(ZoomError::Transient("dropped".to_owned())));
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "done already-right");
    assert_eq!((bench.zoom.changes(), bench.zoom.assistants_of("jill").len()), (1, 1));
}

#[tokio::test]
async fn already_granted_is_read_back_like_any_grant() {
    let bench = bench();
    bench.zoom.trouble("add_assistant", 1, Trouble::ActThenFail(ZoomError::AlreadyGranted));
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "done changed: add assistant api@example.com");
}

#[tokio::test]
async fn a_write_that_zoom_confirms_and_does_not_do_is_tried_again_and_then_parked() {
    let bench = bench();
    bench.zoom.trouble("add_assistant", u32::MAX, Trouble::Ignore);
    let job = bench.create("jill").await;
    assert_eq!((in_a_line(&job.state).as_str(), bench.zoom.changes()), ("parked not-effective", 3));

    let bench = super::tasks::bench();
    bench.zoom.trouble("add_assistant", 1, Trouble::Ignore);
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "done changed: add assistant api@example.com");
}

#[tokio::test]
async fn not_licensed_is_laid_at_the_door_of_the_right_user() {
    let unlicensed = || Trouble::Fail(ZoomError::Unlicensed(String::new()));
    // Both look well: it is tried again.
    let bench = bench();
    bench.zoom.trouble("add_assistant", 2, unlicensed());
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "done changed: add assistant api@example.com");

    // The API user lost its licence since it was last read.
    let bench = super::tasks::bench();
    bench.create("jill").await;
    bench.zoom.put_user("api", Status::Active, 1);
    for id in ["joan", "june"] {
        bench.zoom.put_user(id, Status::Active, 2);
        let job = bench.create(id).await;
        assert_eq!(in_a_line(&job.state), "parked api-user-unusable");
    }
    assert_eq!(bench.entries("api-user-gone").await.len(), 1, "told once");
    assert_eq!(bench.zoom.count("add_assistant joan"), 1);
    assert_eq!(bench.zoom.count("add_assistant june"), 0, "nobody is asked to grant what cannot be granted");

    // It is licensed again, and a person says so.
    bench.zoom.put_user("api", Status::Active, 2);
    bench.clock.advance(Duration::from_secs(61));
    let which = Selector::ParkedFor { cause: "api-user-unusable".to_owned(), rule: None, account: None };
    assert_eq!(bench.store.move_jobs(which, Move::Retry, "op", bench.clock.now()).await.unwrap(), 2);
    bench.drain().await;
    assert_eq!(bench.zoom.assistants_of("june"), ["api@example.com"]);
}

#[tokio::test]
async fn one_unusable_api_user_of_a_pool_keeps_the_others_from_nobody() {
    let accounts = vec![account("acme", &["gone@example.com", "api@example.com"])];
    let bench = Bench::with(accounts, &[ASSISTANTS], Settings::default());
    bench.zoom.put_user("jill", Status::Active, 2);
    let job = bench.create("jill").await;
    assert_eq!(in_a_line(&job.state), "parked api-user-unusable");
    assert_eq!(bench.zoom.assistants_of("jill"), ["api@example.com"]);
}

#[tokio::test]
async fn the_hours_limit_puts_off_with_one_notice_and_the_next_hour_goes_on() {
    let bench = Bench::new(&[&format!("{ASSISTANTS}\nmax_changes_per_hour = 2")]);
    let ids = ["u-1", "u-2", "u-3", "u-4", "u-5"];
    for id in ids {
        bench.zoom.put_user(id, Status::Active, 2);
        bench.user_event("user.created", id).await;
    }
    bench.drain().await;
    assert_eq!(bench.zoom.changes(), 2);
    assert_eq!(bench.entries("rule-limit").await.len(), 1);
    bench.advance(Duration::from_secs(3000)).await;
    assert_eq!((bench.zoom.changes(), bench.entries("rule-limit").await.len()), (4, 2));
    bench.advance(Duration::from_secs(3600)).await;
    assert_eq!(bench.zoom.changes(), 5);
    assert!(ids.iter().all(|id| bench.zoom.assistants_of(id).len() == 1));
}

#[tokio::test]
async fn of_many_that_the_hours_limit_puts_off_few_ask_zoom_again_each_hour() {
    let bench = Bench::new(&[&format!("{ASSISTANTS}\nmax_changes_per_hour = 2")]);
    for n in 0..40 {
        bench.zoom.put_user(&format!("u-{n}"), Status::Active, 2);
        bench.user_event("user.created", &format!("u-{n}")).await;
    }
    bench.drain().await;
    assert_eq!(bench.zoom.count("acme user u-"), 40);
    for hour in 1..20 {
        bench.advance(Duration::from_secs(3600)).await;
        assert_eq!(bench.zoom.changes(), 2 + 2 * hour);
    }
    let asked = bench.zoom.count("acme user u-");
    assert!(asked <= 40 + 19 * 6, "{asked}");
    assert!(bench.jobs().await.iter().all(|job| job.attempts == 1));
}

#[tokio::test]
async fn the_share_of_a_large_account_parks_everything_until_a_person_resumes() {
    for says_total in [true, false] {
        let bench = Bench::new(&[&format!("{ASSISTANTS}\nmax_changes_percent = 1")]);
        bench.zoom.set_active_users(399, says_total);
        let ids = ["u-1", "u-2", "u-3", "u-4", "u-5", "u-6"];
        for id in ids {
            bench.zoom.put_user(id, Status::Active, 2);
            bench.user_event("user.created", id).await;
        }
        bench.drain().await;
        assert_eq!(bench.zoom.changes(), 3, "1 % of 399");
        assert_eq!(bench.store.parked().await.unwrap()[0].count, 3);
        let which = Selector::ParkedFor { cause: "over-share".to_owned(), rule: None, account: None };
        bench.store.move_jobs(which, Move::Retry, "op", bench.clock.now()).await.unwrap();
        bench.drain().await;
        assert!(ids.iter().all(|id| bench.zoom.assistants_of(id).len() == 1));
        assert_eq!(bench.zoom.count("users"), if says_total { 1 } else { 3 }, "the size is asked for once an hour");
    }
}

#[tokio::test]
async fn the_limits_count_users_and_not_the_api_users_that_each_of_them_gets() {
    let accounts = vec![account("acme", &["api@example.com", "api-2@example.com"])];
    let bench = Bench::with(accounts, &[&format!("{ASSISTANTS}\nmax_changes_percent = 1")], Settings::default());
    bench.zoom.put_user("api-2", Status::Active, 2);
    bench.zoom.set_active_users(399, true);
    for id in ["u-1", "u-2", "u-3", "u-4"] {
        bench.zoom.put_user(id, Status::Active, 2);
        bench.user_event("user.created", id).await;
    }
    bench.drain().await;
    assert_eq!(bench.zoom.changes(), 6, "two for each of 1 % of 399");
    assert_eq!(bench.store.parked().await.unwrap()[0].count, 1);
}

#[tokio::test]
async fn a_small_account_has_no_share() {
    let bench = Bench::new(&[&format!("{ASSISTANTS}\nmax_changes_percent = 1")]);
    bench.zoom.set_active_users(49, true);
    for id in ["u-1", "u-2", "u-3"] {
        bench.zoom.put_user(id, Status::Active, 2);
        bench.create(id).await;
    }
    assert_eq!(bench.zoom.changes(), 3);
}

#[tokio::test]
async fn a_user_who_is_gone_ends_the_work_that_waits() {
    for gone in ["user.deleted", "user.deactivated", "user.disassociated"] {
        let bench = bench();
        bench.zoom.put_user("jill", Status::Pending, 1);
        bench.create("jill").await;
        bench.user_event(gone, "jill").await;
        bench.drain().await;
        assert_eq!(bench.state().await, format!("cancelled {gone}"));
    }
}

#[tokio::test]
async fn a_meeting_gets_only_the_settings_that_are_named_and_differ() {
    let bench = Bench::new(&[WAITING_ROOM]);
    bench.zoom.put_meeting(1, "jill", MeetingStatus::Waiting, &off());
    bench.meeting_event("meeting.created", 1).await;
    bench.drain().await;
    assert_eq!(bench.state().await, "done changed: set waiting_room on");
    assert_eq!(bench.zoom.settings(1), on());
    assert_eq!(bench.zoom.count("set_meeting 1 waiting_room on"), 1);
    // Our own write comes back as an event.
    bench.meeting_event("meeting.updated", 1).await;
    bench.drain().await;
    assert_eq!((bench.state().await.as_str(), bench.zoom.changes()), ("done already-right", 1));
}

#[tokio::test]
async fn a_running_meeting_waits_for_its_end_whether_it_shows_or_zoom_says_so() {
    for shows in [true, false] {
        let bench = Bench::new(&[WAITING_ROOM]);
        let status = if shows { MeetingStatus::Started } else { MeetingStatus::Waiting };
        bench.zoom.put_meeting(1, "jill", status, &off());
        bench.zoom.trouble("set_meeting", u32::from(!shows), Trouble::Fail(ZoomError::InProgress));
        bench.meeting_event("meeting.created", 1).await;
        bench.drain().await;
        assert_eq!(bench.state().await, "waiting meeting-in-progress");
        bench.zoom.put_meeting(1, "jill", MeetingStatus::Waiting, &off());
        bench.meeting_event("meeting.ended", 1).await;
        bench.drain().await;
        assert_eq!(bench.state().await, "done changed: set waiting_room on");
    }
}

#[tokio::test]
async fn a_meeting_that_is_gone_concerns_nobody() {
    let bench = Bench::new(&[WAITING_ROOM]);
    bench.meeting_event("meeting.created", 1).await;
    bench.exhaust().await;
    let gone = "done not-applicable: Zoom does not know the meeting: it is over or was deleted";
    assert_eq!(bench.state().await, gone);
    bench.meeting_event("meeting.created", 2).await;
    bench.drain().await;
    bench.meeting_event("meeting.deleted", 2).await;
    bench.exhaust().await;
    assert_eq!(bench.state().await, "cancelled meeting.deleted");
}

#[tokio::test]
async fn an_excepted_host_is_found_though_the_meeting_names_no_email() {
    let bench = Bench::new(&[&format!("{WAITING_ROOM}\nexcept = [\"HOST@example.com\"]")]);
    bench.zoom.put_user("host", Status::Active, 2);
    bench.zoom.put_user("jill", Status::Active, 2);
    bench.zoom.put_meeting(1, "host", MeetingStatus::Waiting, &off());
    bench.zoom.put_meeting(2, "jill", MeetingStatus::Waiting, &off());
    bench.meeting_event("meeting.created", 1).await;
    bench.drain().await;
    assert_eq!(bench.state().await, "done not-applicable: the host is excepted by the rule");
    bench.meeting_event("meeting.created", 2).await;
    bench.drain().await;
    assert_eq!((bench.zoom.settings(1), bench.zoom.settings(2)), (off(), on()));
}

#[tokio::test]
async fn a_setting_that_does_not_take_is_parked() {
    let bench = Bench::new(&[WAITING_ROOM]);
    bench.zoom.put_meeting(1, "jill", MeetingStatus::Waiting, &off());
    bench.zoom.trouble("set_meeting", u32::MAX, Trouble::Ignore);
    bench.meeting_event("meeting.created", 1).await;
    bench.exhaust().await;
    assert_eq!(bench.state().await, "parked not-effective");
}

#[tokio::test]
async fn a_condition_is_looked_at_before_anything_is_changed() {
    for (when, expected, changes) in [
        ("user.type == 2", "done changed: add assistant api@example.com", 1),
        ("user.type == 1", "done not-applicable: the rule's condition does not hold", 0),
        ("user.dept.startsWith('x')", "parked condition-unanswered", 0),
        (
            "now > timestamp('2020-01-01T00:00:00Z') && account == 'acme'",
            "done changed: add assistant api@example.com",
            1,
        ),
    ] {
        let rule = format!("{ASSISTANTS}\nwhen = \"{when}\"");
        let bench = Bench::new(&[rule.as_str()]);
        bench.zoom.put_user("jill", Status::Active, 2);
        let job = bench.create("jill").await;
        assert_eq!(in_a_line(&job.state), expected, "{when}");
        assert_eq!(bench.zoom.changes(), changes, "{when}");
    }
}
