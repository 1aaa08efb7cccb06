//! What admins and people do at Zoom, and what has become of it.

use std::time::Duration;

use adjutant::sim::{Fault, FaultKind, Mischief, NewUser, Target, TooMany};
use adjutant::store::{Limits, MemoryStore};
use serde_json::json;

use super::{ACCOUNT, API_USER, Left, TestApp};

const HOUR: Duration = Duration::from_secs(3600);
/// Enough for what our own rate limits put off.
const A_WHILE: Duration = Duration::from_secs(10);

const ASSISTANT: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
except = ["The.Boss@Acme.example"]
"#;

const WAITING_ROOM: &str = r#"
name = "waiting-room"
for = "meeting"
ensure = { settings = { waiting_room = true } }
mode = "enforce"
"#;

const JILL: &str = "jill.hill@acme.example";

fn licensed(app: &TestApp, email: &str) -> String {
    app.world.create_user(ACCOUNT, NewUser::licensed(email)).unwrap()
}

fn fault(app: &TestApp, times: u32, target: Target, kind: FaultKind) {
    app.world.fault(Fault { target, times, kind });
}

fn waiting_room(app: &TestApp, meeting: u64) -> bool {
    app.world.meeting(ACCOUNT, meeting).unwrap().settings["waiting_room"].as_bool().unwrap()
}

fn meeting_without(app: &TestApp) -> u64 {
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let fields = json!({ "topic": "Class", "type": 2, "settings": { "waiting_room": false } });
    app.world.create_meeting(ACCOUNT, JILL, &fields).unwrap()
}

#[tokio::test]
async fn a_new_licensed_user_gets_the_api_user_and_every_step_is_on_record() {
    let app = TestApp::start(&[ASSISTANT]).await;
    licensed(&app, JILL);
    app.drain().await;
    assert_eq!(app.assistants(JILL), [API_USER]);
    assert_eq!(app.state().await, "changed");
    let codes: Vec<_> = app.store.entries(0, 100).await.unwrap().into_iter().map(|entry| entry.code).collect();
    // The user, the assistants, the API user, the size of the account; the grant; the assistants again.
    let calls = ["200", "200", "200", "200", "201", "200"];
    assert_eq!(codes, [["stored", "work", "started", "granted"].as_slice(), &calls, &["changed"]].concat());
}

#[tokio::test]
async fn an_invited_user_waits_until_the_invitation_is_accepted() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL).invited()).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "waiting user-pending");
    app.advance(72 * HOUR).await;
    assert_eq!((app.jobs().await[0].attempts, app.world.assistant_writes(ACCOUNT, JILL)), (0, 0));
    app.world.accept_invitation(ACCOUNT, JILL).unwrap();
    app.drain().await;
    assert_eq!(app.assistants(JILL), [API_USER]);
    assert_eq!(app.jobs().await.len(), 1);
}

#[tokio::test]
async fn a_basic_user_waits_for_a_licence() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.world.create_user(ACCOUNT, NewUser::basic(JILL)).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "waiting user-unlicensed");
    app.world.update_user(ACCOUNT, JILL, &json!({ "first_name": "Gill" })).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "waiting user-unlicensed");
    app.world.set_licence(ACCOUNT, JILL, 2).unwrap();
    app.drain().await;
    assert_eq!((app.assistants(JILL).as_slice(), app.jobs().await.len()), ([API_USER.to_owned()].as_slice(), 1));
}

#[tokio::test]
async fn a_user_with_thirty_assistants_is_left_to_a_person() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    for n in 0..30 {
        let other = format!("other-{n}@acme.example");
        app.world.add_user(ACCOUNT, NewUser::licensed(&other)).unwrap();
        app.world.grant(ACCOUNT, JILL, &other).unwrap();
    }
    app.world.update_user(ACCOUNT, JILL, &json!({ "first_name": "Gill" })).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "parked assistants-full");
    app.world.withdraw(ACCOUNT, JILL, "other-0@acme.example").unwrap();
    assert_eq!(app.retry_parked("assistants-full").await, 1);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.assistants(JILL).len()), ("changed", 30));
}

#[tokio::test]
async fn who_has_it_already_is_right_and_the_api_user_itself_and_the_excepted_are_left_alone() {
    let app = TestApp::start(&[ASSISTANT]).await;
    licensed(&app, JILL);
    app.world.grant(ACCOUNT, JILL, API_USER).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "already right");
    app.world.update_user(ACCOUNT, API_USER, &json!({ "first_name": "Robot" })).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "the user is an API user itself");
    licensed(&app, "the.boss@acme.example");
    app.drain().await;
    assert_eq!(app.state().await, "the user is excepted by the rule");
    assert_eq!(app.world.count_calls("POST", "/assistants"), 0);
}

#[tokio::test]
async fn a_rule_that_observes_changes_nothing_until_it_enforces() {
    let app = TestApp::start(&[&ASSISTANT.replace("enforce", "observe")]).await;
    licensed(&app, JILL);
    app.drain().await;
    assert_eq!(app.state().await, format!("would add assistant {API_USER}"));
    assert_eq!((app.world.count_calls("POST", "/v2"), app.assistants(JILL).len()), (0, 0));
    app.set_rules(&[ASSISTANT]);
    app.world.update_user(ACCOUNT, JILL, &json!({ "first_name": "Gill" })).unwrap();
    app.drain().await;
    assert_eq!(app.assistants(JILL), [API_USER]);
}

#[tokio::test]
async fn a_deactivated_api_user_stops_its_work_and_a_person_is_told() {
    let app = TestApp::start(&[ASSISTANT]).await;
    licensed(&app, JILL);
    app.drain().await;
    app.world.deactivate(ACCOUNT, API_USER).unwrap();
    for n in 0..3 {
        licensed(&app, &format!("user-{n}@acme.example"));
    }
    app.drain().await;
    assert_eq!(app.entries("api-user-gone").await.len(), 1);
    assert_eq!(app.store.parked().await.unwrap()[0].count, 3);
    assert_eq!(app.world.count_calls("POST", "/assistants"), 1);

    app.world.activate(ACCOUNT, API_USER).unwrap();
    // Zoom takes the licence with the deactivation and does not give it back.
    app.world.set_licence(ACCOUNT, API_USER, 2).unwrap();
    app.drain().await;
    assert_eq!(app.retry_parked("api-user-unusable").await, 3);
    app.advance(A_WHILE).await;
    assert!(app.world.without_assistant(ACCOUNT, API_USER).iter().all(|email| email.starts_with("owner@")));
}

#[tokio::test]
async fn a_deleted_user_takes_the_waiting_work_along() {
    let app = TestApp::start(&[ASSISTANT]).await;
    for (n, leave) in ["user.deleted", "user.disassociated", "user.deactivated"].into_iter().enumerate() {
        let email = format!("user-{n}@acme.example");
        app.world.create_user(ACCOUNT, NewUser::basic(&email)).unwrap();
        app.drain().await;
        assert_eq!(app.state().await, "waiting user-unlicensed");
        match leave {
            "user.deleted" => app.world.delete_user(ACCOUNT, &email).unwrap(),
            "user.disassociated" => app.world.disassociate(ACCOUNT, &email).unwrap(),
            _ => app.world.deactivate(ACCOUNT, &email).unwrap(),
        }
        app.drain().await;
        assert_eq!(app.state().await, format!("cancelled {leave}"));
    }
}

#[tokio::test]
async fn a_deactivation_that_comes_late_does_not_undo_the_activation_after_it() {
    let mut app = TestApp::start(&[ASSISTANT]).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.close().await;
    app.world.deactivate(ACCOUNT, JILL).unwrap();
    app.drain().await;
    app.restart().await;
    app.clock.advance(Duration::from_secs(1));
    // Without the licence, which the deactivation took.
    app.world.activate(ACCOUNT, JILL).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "waiting user-unlicensed");
    let came = app.entries("stored").await.len();
    app.advance(Duration::from_secs(301)).await;
    assert_eq!(app.entries("stored").await.len(), came + 1, "Zoom delivered the deactivation after all");
    assert_eq!(app.state().await, "waiting user-unlicensed");
    app.world.set_licence(ACCOUNT, JILL, 2).unwrap();
    app.drain().await;
    assert_eq!((app.assistants(JILL).len(), app.jobs().await.len()), (1, 1));
}

#[tokio::test]
async fn a_creation_that_comes_after_the_end_of_the_user_grants_nothing() {
    let (waits, parks) = (Left { waiting: 1, parked: 0 }, Left { waiting: 0, parked: 1 });
    for (delete, state, left) in [(false, "waiting user-inactive", waits), (true, "parked not-found", parks)] {
        let mut app = TestApp::start(&[ASSISTANT]).await;
        app.close().await;
        app.expect_left(left);
        licensed(&app, JILL);
        app.drain().await;
        app.restart().await;
        app.clock.advance(Duration::from_secs(1));
        if delete {
            app.world.delete_user(ACCOUNT, JILL).unwrap();
            app.expect_refusal("GET", "/users/", 404);
        } else {
            app.world.deactivate(ACCOUNT, JILL).unwrap();
        }
        app.drain().await;
        assert_eq!(app.jobs().await.len(), 0);
        app.advance(Duration::from_secs(301)).await;
        app.advance(HOUR).await;
        assert_eq!((app.state().await.as_str(), app.world.count_calls("POST", "/assistants")), (state, 0));
    }
}

#[tokio::test]
async fn at_the_hours_limit_the_rest_waits_for_the_next_hour_with_one_notice() {
    let app = TestApp::start(&[&format!("{ASSISTANT}\nmax_changes_per_hour = 2")]).await;
    for n in 0..5 {
        licensed(&app, &format!("user-{n}@acme.example"));
    }
    app.drain().await;
    assert_eq!(app.world.count_calls("POST", "/assistants"), 2);
    assert_eq!(app.entries("rule-limit").await.len(), 1);
    app.advance(HOUR).await;
    assert_eq!(app.world.count_calls("POST", "/assistants"), 4);
    app.advance(HOUR).await;
    assert_eq!(app.world.without_assistant(ACCOUNT, API_USER), ["owner@acme.example"]);
    assert_eq!(app.world.count_calls("POST", "/assistants"), 5);
}

#[tokio::test]
async fn beyond_its_share_of_the_account_a_rule_parks_everything_until_a_person_resumes_it() {
    let mut app = TestApp::start(&[&format!("{ASSISTANT}\nmax_changes_percent = 5")]).await;
    for n in 0..60 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&format!("old-{n}@acme.example"))).unwrap();
    }
    for n in 0..8 {
        licensed(&app, &format!("new-{n}@acme.example"));
    }
    app.advance(A_WHILE).await;
    // 5 % of 60, 8, the API user and the owner.
    assert_eq!(app.world.count_calls("POST", "/assistants"), 3);
    assert_eq!(app.store.parked().await.unwrap()[0].count, 5);
    // However long that is ago, and whatever ended in between; and it costs no calls.
    app.advance(48 * HOUR).await;
    app.restart().await;
    let calls = app.world.calls_total();
    licensed(&app, "new-8@acme.example");
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.world.calls_total()), ("parked over-share", calls));
    assert_eq!(app.retry_parked("over-share").await, 6);
    app.advance(A_WHILE).await;
    assert_eq!(app.world.count_calls("POST", "/assistants"), 6);
    assert_eq!(app.retry_parked("over-share").await, 3);
    app.advance(A_WHILE).await;
    assert!(app.world.without_assistant(ACCOUNT, API_USER).iter().all(|email| !email.starts_with("new-")));
}

#[tokio::test]
async fn writes_that_fail_use_up_no_more_of_a_limit_than_those_that_succeed() {
    let app = TestApp::start(&[&format!("{ASSISTANT}\nmax_changes_per_hour = 2")]).await;
    let error = || FaultKind::Error { status: 503, body: "down".to_owned() };
    fault(&app, 5, Target::api("POST", "/assistants"), error());
    licensed(&app, JILL);
    licensed(&app, "joan@acme.example");
    app.advance(HOUR / 2).await;
    assert_eq!((app.assistants(JILL).len(), app.assistants("joan@acme.example").len()), (1, 1));
    assert_eq!(app.entries("rule-limit").await.len(), 0);
    licensed(&app, "jack@acme.example");
    app.drain().await;
    assert_eq!((app.assistants("jack@acme.example").len(), app.entries("rule-limit").await.len()), (0, 1));
    app.advance(HOUR).await;
    assert_eq!(app.assistants("jack@acme.example"), [API_USER]);
}

#[tokio::test]
async fn an_account_with_too_many_jobs_works_them_off_and_then_gets_to_the_rest() {
    let limits = Limits { backlog_max: 3, ..Limits::default() };
    let app = TestApp::start_on(Box::new(MemoryStore::new(limits)), &[ASSISTANT]).await;
    // Those that wait for a licence are unfinished.
    for n in 0..5 {
        app.world.create_user(ACCOUNT, NewUser::basic(&format!("user-{n}@acme.example"))).unwrap();
        app.drain().await;
    }
    assert_eq!((app.jobs().await.len(), app.store.status().await.unwrap().held_deliveries), (3, 2));
    for n in 0..3 {
        app.world.set_licence(ACCOUNT, &format!("user-{n}@acme.example"), 2).unwrap();
        app.drain().await;
        assert_eq!(app.assistants(&format!("user-{n}@acme.example")), [API_USER]);
    }
    let status = app.store.status().await.unwrap();
    assert_eq!((app.jobs().await.len(), status.waiting, status.held_deliveries), (5, 2, 0));
    app.expect_left(Left { waiting: 2, parked: 0 });
}

#[tokio::test]
async fn a_meeting_gets_its_waiting_room_and_our_own_write_comes_back_and_changes_nothing() {
    let app = TestApp::start(&[WAITING_ROOM]).await;
    let meeting = meeting_without(&app);
    app.drain().await;
    assert!(waiting_room(&app, meeting));
    assert_eq!(app.world.count_calls("PATCH", "/meetings/"), 1);
    // meeting.created, and meeting.updated from our own PATCH.
    assert_eq!((app.entries("stored").await.len(), app.entries("echo").await.len()), (2, 1));
    assert_eq!((app.jobs().await.len(), app.state().await.as_str()), (1, "changed"));
    app.world.update_meeting(ACCOUNT, meeting, &json!({ "settings": { "waiting_room": false } })).unwrap();
    app.drain().await;
    assert!(waiting_room(&app, meeting));
}

#[tokio::test]
async fn a_running_meeting_is_changed_when_it_has_ended() {
    let app = TestApp::start(&[WAITING_ROOM]).await;
    let meeting = meeting_without(&app);
    app.world.start_meeting(ACCOUNT, meeting).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "waiting meeting-in-progress");
    app.advance(5 * HOUR).await;
    assert!(!waiting_room(&app, meeting));
    app.world.end_meeting(ACCOUNT, meeting).unwrap();
    app.drain().await;
    assert!(waiting_room(&app, meeting));
}

#[tokio::test]
async fn a_deleted_meeting_is_no_longer_anybodys_work() {
    let app = TestApp::start(&[WAITING_ROOM]).await;
    let meeting = meeting_without(&app);
    app.world.delete_meeting(ACCOUNT, meeting).unwrap();
    app.advance(HOUR).await;
    assert_eq!(app.world.count_calls("PATCH", "/meetings/"), 0);
}

#[tokio::test]
async fn deliveries_doubled_copied_and_shuffled_come_to_one_change() {
    let app = TestApp::start(&[ASSISTANT]).await;
    let mischief = Mischief { repeat_percent: 100, copy_percent: 100, shuffle: true, ..Mischief::default() };
    app.world.set_mischief(mischief);
    app.world.create_user(ACCOUNT, NewUser::basic(JILL)).unwrap();
    app.world.set_licence(ACCOUNT, JILL, 2).unwrap();
    app.world.update_user(ACCOUNT, JILL, &json!({ "first_name": "Gill" })).unwrap();
    app.drain().await;
    assert_eq!(app.assistants(JILL), [API_USER]);
    assert_eq!((app.jobs().await.len(), app.world.assistant_writes(ACCOUNT, JILL)), (1, 1));
    assert!(app.entries("duplicate").await.len() >= 3);
}

#[tokio::test]
async fn a_429_puts_the_job_off_and_uses_no_attempt() {
    let app = TestApp::start(&[ASSISTANT]).await;
    fault(&app, 1, Target::api("GET", "/assistants"), FaultKind::TooMany(TooMany::PerSecond));
    licensed(&app, JILL);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.jobs().await[0].attempts), ("due", 0));
    app.advance(Duration::from_secs(60)).await;
    assert_eq!((app.assistants(JILL).len(), app.jobs().await[0].attempts), (1, 1));
}

#[tokio::test]
async fn errors_of_the_server_are_tried_again_and_given_to_a_person_when_they_do_not_end() {
    let app = TestApp::start(&[ASSISTANT]).await;
    let error = || FaultKind::Error { status: 503, body: "down".to_owned() };
    fault(&app, 3, Target::api("POST", "/assistants"), error());
    licensed(&app, JILL);
    app.advance(HOUR).await;
    assert_eq!((app.assistants(JILL).len(), app.jobs().await[0].attempts), (1, 4));

    fault(&app, 12, Target::api("GET", "/users/"), error());
    licensed(&app, "joan@acme.example");
    app.advance(3 * HOUR).await;
    assert_eq!(app.state().await, "parked attempts-used-up");
    assert_eq!(app.retry_parked("attempts-used-up").await, 1);
    app.drain().await;
    assert_eq!(app.assistants("joan@acme.example"), [API_USER]);
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_found_and_not_made_twice() {
    let app = TestApp::start(&[ASSISTANT]).await;
    fault(&app, 1, Target::api("POST", "/assistants"), FaultKind::DropAfter);
    licensed(&app, JILL);
    app.advance(HOUR).await;
    assert_eq!((app.state().await.as_str(), app.world.assistant_writes(ACCOUNT, JILL)), ("already right", 1));
    assert_eq!(app.assistants(JILL), [API_USER]);
}

#[tokio::test]
async fn what_was_received_before_a_restart_is_done_after_it_once() {
    let mut app = TestApp::start(&[ASSISTANT]).await;
    licensed(&app, JILL);
    app.deliver().await;
    app.restart().await;
    app.drain().await;
    assert_eq!((app.assistants(JILL).len(), app.world.assistant_writes(ACCOUNT, JILL)), (1, 1));
    // A job that waits goes on waiting, and one that was put off is still put off.
    app.world.create_user(ACCOUNT, NewUser::basic("joan@acme.example")).unwrap();
    app.drain().await;
    app.restart().await;
    assert_eq!(app.state().await, "waiting user-unlicensed");
    app.world.set_licence(ACCOUNT, "joan@acme.example", 2).unwrap();
    app.drain().await;
    assert_eq!(app.assistants("joan@acme.example"), [API_USER]);
}

#[tokio::test]
async fn what_zoom_could_not_deliver_comes_with_its_next_try() {
    let mut app = TestApp::start(&[ASSISTANT]).await;
    app.close().await;
    licensed(&app, JILL);
    app.drain().await;
    assert_eq!(app.jobs().await.len(), 0);
    app.restart().await;
    app.advance(Duration::from_secs(301)).await;
    assert_eq!(app.assistants(JILL), [API_USER]);
}

#[tokio::test]
async fn without_the_scope_the_work_parks_and_goes_on_once_the_scope_is_there() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.world.set_scopes(ACCOUNT, &["user:read:admin"]).unwrap();
    app.expect_refusal("POST", "/assistants", 400);
    app.expect_refusal("GET", "/users/", 401);
    licensed(&app, JILL);
    app.drain().await;
    assert_eq!(app.state().await, "parked scopes-missing");
    // Nothing is asked of Zoom for those that come after it: for them it would end the same way.
    let calls = app.world.calls_total();
    for n in 0..9 {
        licensed(&app, &format!("user-{n}@acme.example"));
    }
    app.drain().await;
    assert_eq!(app.world.calls_total(), calls);
    let groups = app.store.parked().await.unwrap();
    assert_eq!((groups.len(), groups[0].cause.as_str(), groups[0].count), (1, "scopes-missing", 10));

    // Retried before anything was mended, a few find out, and the rest parks with them.
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(app.retry_parked("scopes-missing").await, 10);
    app.advance(A_WHILE).await;
    assert_eq!(app.store.parked().await.unwrap()[0].count, 10);
    assert!(app.world.calls_total() < calls + 30, "{} calls", app.world.calls_total() - calls);

    app.world.set_scopes(ACCOUNT, &["user:read:admin", "user:write:admin"]).unwrap();
    app.world.revoke_tokens(ACCOUNT);
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(app.retry_parked("scopes-missing").await, 10);
    app.advance(A_WHILE).await;
    assert!(app.world.without_assistant(ACCOUNT, API_USER).iter().all(|email| email.starts_with("owner@")));
}

#[tokio::test]
async fn scopes_that_were_added_are_found_by_whoever_comes_an_hour_later() {
    let app = TestApp::start(&[ASSISTANT]).await;
    app.world.set_scopes(ACCOUNT, &["user:read:admin"]).unwrap();
    app.expect_refusal("POST", "/assistants", 400);
    licensed(&app, "joan@acme.example");
    app.drain().await;
    app.world.set_scopes(ACCOUNT, &["user:read:admin", "user:write:admin"]).unwrap();
    app.advance(HOUR).await;
    licensed(&app, JILL);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.assistants(JILL).len()), ("changed", 1));
    assert_eq!(app.store.parked().await.unwrap()[0].count, 1, "what parked stays for a person");
    app.expect_left(Left { waiting: 0, parked: 1 });
}

/// What the end of a test's app says is wrong.
fn wrong_at_the_end(app: TestApp) -> String {
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(app)));
    *dropped.unwrap_err().downcast::<String>().unwrap()
}

#[tokio::test]
async fn a_test_that_leaves_work_behind_fails() {
    let app = TestApp::start(&[ASSISTANT]).await;
    licensed(&app, JILL);
    app.deliver().await;
    let left = "left behind: unplanned, due, running, waiting, parked = ";
    let message = wrong_at_the_end(app);
    assert!(message.contains(&format!("{left}[1, 0, 0, 0, 0]")), "{message}");

    let app = TestApp::start(&[ASSISTANT]).await;
    app.world.create_user(ACCOUNT, NewUser::basic(JILL)).unwrap();
    app.drain().await;
    let message = wrong_at_the_end(app);
    assert!(message.contains(&format!("{left}[0, 0, 0, 1, 0]")), "{message}");
}

#[tokio::test]
async fn a_test_fails_with_a_refusal_that_nobody_expected_and_without_one_that_was_expected() {
    for expected in [false, true] {
        let app = TestApp::start(&[ASSISTANT]).await;
        licensed(&app, JILL);
        app.drain().await;
        if expected {
            app.expect_refusal("GET", "/users/", 401);
            app.expect_refusal("POST", "/assistants", 400);
        }
        app.world.revoke_tokens(ACCOUNT);
        licensed(&app, "joan@acme.example");
        app.drain().await;
        assert_eq!(app.assistants("joan@acme.example"), [API_USER]);
        let message = wrong_at_the_end(app);
        let wrong = if expected { "not refused: POST /assistants 400" } else { "calls that nobody expected: [" };
        assert!(message.contains(wrong), "{message}");
    }
}
