//! Our own changes come back as events; others change them back; and Zoom counts them by the host and day.

use std::sync::Arc;
use std::time::Duration;

use adjutant::clock::Clock as _;
use adjutant::ids::UserId;
use adjutant::job::{DayOf, JobState, ParkCause};
use adjutant::sim::NewUser;
use adjutant::store::DeliveryFilter;
use adjutant::worker::{Planner, Runner};
use serde_json::{Value, json};

use super::{ACCOUNT, API_USER, Left, TestApp};

const HOUR: Duration = Duration::from_secs(3600);
const JILL: &str = "jill@acme.example";
/// Who does what is done in the portal of the simulated Zoom.
const ADMIN: &str = "owner@acme.example";

const DOORS: &str = r#"
name = "doors"
for = "meeting"
ensure = { settings = { waiting_room = true } }
mode = "enforce"
"#;

const QUIET: &str = r#"
name = "quiet"
for = "meeting"
ensure = { settings = { mute_upon_entry = true } }
mode = "enforce"
"#;

fn user_rule(name: &str, ensure: &str) -> String {
    format!("name = \"{name}\"\nfor = \"user\"\nmode = \"enforce\"\nensure = {{ {ensure} }}\n")
}

async fn with(rules: &[&str]) -> TestApp {
    let app = TestApp::start(rules).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app
}

fn meeting(app: &TestApp) -> u64 {
    let fields = json!({ "topic": "Class", "type": 3, "settings": { "waiting_room": false } });
    app.world.create_meeting(ACCOUNT, JILL, &fields).unwrap()
}

fn set(app: &TestApp, meeting: u64, settings: &Value) {
    app.world.update_meeting(ACCOUNT, meeting, &json!({ "settings": settings })).unwrap();
}

fn setting(app: &TestApp, meeting: u64, name: &str) -> bool {
    app.world.meeting(ACCOUNT, meeting).unwrap().settings[name].as_bool().unwrap()
}

/// What was decided about each delivery, oldest first.
async fn decided(app: &TestApp) -> Vec<String> {
    let filter = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
    let newest_first = app.store.deliveries(filter).await.unwrap();
    let code = |status: &Value| status["code"].as_str().unwrap().to_owned();
    newest_first.iter().rev().map(|one| code(&serde_json::to_value(&one.status).unwrap())).collect()
}

#[tokio::test]
async fn an_echo_of_our_own_change_makes_no_job_and_no_call_and_is_labelled() {
    let app = with(&[DOORS, QUIET]).await;
    let made = meeting(&app);
    app.drain().await;
    assert!(setting(&app, made, "waiting_room") && setting(&app, made, "mute_upon_entry"));
    assert_eq!(decided(&app).await, ["work", "echo", "echo"]);
    let told = app.entries("echo").await;
    assert_eq!(told.len(), 2);
    assert!(told[0].detail.as_ref().unwrap().note.starts_with("meeting.updated: of the change by job_"), "{told:?}");
    // Two jobs: each reads, changes and reads back.
    assert_eq!((app.jobs().await.len(), app.calls("/meetings/")), (2, 6));
    assert!(app.parts.stats.get("planned-echo") == 2);
}

#[tokio::test]
async fn settings_groups_and_licences_of_users_come_back_as_echoes_too() {
    let rooms = user_rule("rooms", "settings = { in_meeting = { waiting_room = false, chat = false } }");
    let staff = user_rule("staff", "groups = [\"Teachers\"]");
    let paid = user_rule("paid", "type = \"licensed\"");
    for (rule, changes) in [(rooms, "/settings"), (staff, "/members"), (paid, "/users/")] {
        let app = TestApp::start(&[&rule]).await;
        app.world.add_group(ACCOUNT, "Teachers").unwrap();
        app.world.create_user(ACCOUNT, NewUser::basic(JILL)).unwrap();
        app.drain().await;
        let writes = ["PATCH", "POST"].map(|method| app.world.count_calls(method, changes)).iter().sum::<usize>();
        assert_eq!((decided(&app).await, writes), (vec!["work".to_owned(), "echo".to_owned()], 1), "{rule}");
        assert_eq!(app.jobs().await.len(), 1);
    }
}

#[tokio::test]
async fn what_somebody_else_changed_is_no_echo_whatever_it_looks_like() {
    let app = with(&[DOORS]).await;
    let made = meeting(&app);
    app.drain().await;
    let on = |more: &Value| {
        let (mut new, mut old) = (json!({ "id": made }), json!({ "id": made }));
        new["settings"] = json!({ "waiting_room": true });
        old["settings"] = json!({ "waiting_room": false });
        for (name, value) in more.as_object().unwrap() {
            new["settings"][name] = value.clone();
            old["settings"][name] = Value::Null;
        }
        (new, old)
    };
    let at = app.world.now().as_millis();
    let emit = |event_ts: Value, (new, old): (Value, Value)| {
        let payload = json!({ "account_id": ACCOUNT, "operator": ADMIN, "object": new, "old_object": old });
        let body = json!({ "event": "meeting.updated", "event_ts": event_ts, "payload": payload });
        app.world.emit(ACCOUNT, "meeting.updated", body.to_string()).unwrap();
    };
    let with_topic = |mut both: (Value, Value)| {
        both.0["topic"] = json!("Algebra");
        both
    };
    let unlike: [(Value, (Value, Value)); 7] = [
        (json!(at + 60_000), on(&json!({}))),
        (json!(at - 60_000), on(&json!({}))),
        (Value::Null, on(&json!({}))),
        (json!(at), on(&json!({ "mute_upon_entry": true }))),
        (json!(at), with_topic(on(&json!({})))),
        (json!(at), (on(&json!({})).0, Value::Null)),
        (json!(at), (on(&json!({})).1, on(&json!({})).0)),
    ];
    for (number, (event_ts, both)) in unlike.into_iter().enumerate() {
        emit(event_ts, both);
        app.drain().await;
        assert_eq!(decided(&app).await.last().unwrap(), "work", "{number}");
    }
    emit(json!(at + 1), on(&json!({})));
    app.drain().await;
    assert_eq!(decided(&app).await.last().unwrap(), "echo", "the control: just that is one");
    // Zoom's clock may be 2 s behind, and an event 10 s later than its change.
    for (millis, told) in [(-2_000, "echo"), (-2_001, "work"), (10_000, "echo"), (10_001, "work")] {
        emit(json!(at + millis), on(&json!({})));
        app.drain().await;
        assert_eq!(decided(&app).await.last().unwrap(), told, "{millis} ms");
    }
    // To a rule that is another one since, it is news; and after two hours to everybody.
    app.set_rules(&[&format!("{DOORS}max_changes_per_hour = 400\n")]);
    emit(json!(at + 2), on(&json!({})));
    app.drain().await;
    assert_eq!(decided(&app).await.last().unwrap(), "work");
    app.set_rules(&[DOORS]);
    for (left, told) in [(1, "echo"), (0, "work")] {
        app.clock.set(adjutant::clock::Timestamp::from_millis(at + 2 * 3_600_000 - left));
        emit(json!(at + 10 - left), on(&json!({})));
        app.drain().await;
        assert_eq!(decided(&app).await.last().unwrap(), told, "{left} ms before");
    }
}

#[tokio::test]
async fn after_a_restart_an_echo_costs_a_read_and_a_person_can_have_one_planned() {
    let mut app = with(&[DOORS]).await;
    let made = meeting(&app);
    app.deliver().await;
    let (planner, runner) = (Planner::new(app.parts.clone()), Runner::new(app.parts.clone()));
    assert_eq!(planner.plan_once(&Arc::clone(&app.roster.borrow())).await.unwrap(), 1);
    assert_eq!(runner.run_due().await.unwrap(), 1);
    app.restart().await;
    app.drain().await;
    assert_eq!((decided(&app).await, app.state().await.as_str()), (vec!["work".to_owned(); 2], "already right"));

    app.clock.advance(Duration::from_secs(1));
    set(&app, made, &json!({ "waiting_room": false }));
    app.drain().await;
    assert_eq!(decided(&app).await[2..], ["work", "echo"]);
    let filter = DeliveryFilter { limit: 1, ..DeliveryFilter::default() };
    let echo = app.store.deliveries(filter).await.unwrap().remove(0).id;
    app.store.replay(echo, "Ada", app.clock.now()).await.unwrap();
    app.drain().await;
    assert_eq!((decided(&app).await[3].as_str(), app.state().await.as_str()), ("work", "already right"));
}

#[tokio::test]
async fn an_echo_that_another_rule_looks_at_is_work_for_that_rule_alone() {
    let follows = QUIET.replace("for =", "when = 'meeting.settings.waiting_room == true'\nfor =");
    let app = with(&[&follows, DOORS]).await;
    let made = meeting(&app);
    app.drain().await;
    assert!(setting(&app, made, "mute_upon_entry"), "the first rule's condition holds since the second's change");
    assert_eq!(decided(&app).await, ["work", "work", "echo"]);
    assert_eq!(app.jobs().await.len(), 3);
}

#[tokio::test]
async fn what_an_admin_turns_off_again_and_again_is_mended_three_times_and_parks_with_the_admins_email() {
    let mut app = with(&[DOORS]).await;
    let made = meeting(&app);
    for mended in 1..=3 {
        app.drain().await;
        assert_eq!((setting(&app, made, "waiting_room"), app.state().await.as_str()), (true, "changed"));
        assert_eq!(app.world.count_calls("PATCH", "/meetings/"), mended);
        app.advance(HOUR).await;
        app.restart().await;
        set(&app, made, &json!({ "waiting_room": false }));
    }
    app.drain().await;
    assert_eq!((setting(&app, made, "waiting_room"), app.state().await.as_str()), (false, "parked contested"));
    let JobState::Parked { cause, .. } = app.jobs().await.remove(0).state else { panic!() };
    let (what, who) = ("set waiting_room on".to_owned(), vec![ADMIN.to_owned()]);
    assert_eq!(cause, ParkCause::Contested { what, who });
    let group = app.store.parked().await.unwrap().remove(0);
    assert_eq!((group.cause.as_str(), group.count), ("contested", 1));

    // Whoever retries it means it, three times more.
    assert_eq!(app.retry_parked("contested").await, 1);
    for _ in 0..3 {
        app.drain().await;
        assert!(setting(&app, made, "waiting_room"));
        app.clock.advance(Duration::from_secs(1));
        set(&app, made, &json!({ "waiting_room": false }));
    }
    app.drain().await;
    assert_eq!(app.state().await, "parked contested");
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn what_is_turned_off_less_often_is_mended_for_ever() {
    let app = with(&[DOORS]).await;
    let made = meeting(&app);
    for _ in 0..6 {
        app.drain().await;
        assert!(setting(&app, made, "waiting_room"));
        app.advance(9 * HOUR).await;
        set(&app, made, &json!({ "waiting_room": false }));
    }
    app.drain().await;
    assert!(setting(&app, made, "waiting_room"));
}

#[tokio::test]
async fn of_a_hundred_meetings_of_one_host_eighty_are_changed_today_and_the_rest_after_midnight_utc() {
    let app = with(&[DOORS]).await;
    let meetings: Vec<u64> = (0..100).map(|_| meeting(&app)).collect();
    let mended = || meetings.iter().filter(|id| setting(&app, **id, "waiting_room")).count();
    app.advance(HOUR).await;
    assert_eq!((mended(), app.entries("host-limit").await.len()), (80, 1));
    assert_eq!(app.world.meeting_writes_left(ACCOUNT, JILL), 20);
    let waiting = app.jobs().await.into_iter().find(|job| !job.state.is_finished()).unwrap();
    let JobState::Due { at, why: Some(why) } = waiting.state else { panic!("{:?}", waiting.state) };
    assert_eq!(at, app.world.now().next_utc_midnight());
    assert!(why.contains("used up, by 80 of ours"), "{why}");
    assert!(app.parts.stats.get("host-limited") >= 20);
    let left = app.world.now().next_utc_midnight().since(app.world.now());
    app.advance(left.saturating_sub(Duration::from_secs(1))).await;
    assert_eq!(mended(), 80);
    app.advance(Duration::from_secs(60)).await;
    assert_eq!((mended(), app.entries("host-limit").await.len()), (100, 1));
}

/// A meeting that the API user made for the host.
fn pooled(app: &TestApp) -> u64 {
    let fields = json!({ "type": 3, "schedule_for": JILL, "settings": { "waiting_room": false } });
    app.world.create_meeting(ACCOUNT, API_USER, &fields).unwrap()
}

/// What is counted of the day of this user.
async fn used(app: &TestApp, user: &str) -> (u32, bool) {
    let id = UserId::parse(&app.world.user(ACCOUNT, user).unwrap().id).unwrap();
    let day = app.store.day_used(&app.account().id, &DayOf::Host(id), app.clock.now()).await.unwrap();
    (day.used, day.is_spent)
}

#[tokio::test]
async fn a_rules_change_of_a_meeting_counts_for_the_host_and_for_whoever_made_it() {
    let app = with(&[DOORS]).await;
    app.world.grant(ACCOUNT, JILL, API_USER).unwrap();
    for _ in 0..3 {
        pooled(&app);
    }
    meeting(&app);
    app.advance(HOUR).await;
    assert_eq!((used(&app, JILL).await, used(&app, API_USER).await), ((4, false), (3, false)));
    assert_eq!(app.world.meeting_writes_left(ACCOUNT, API_USER), 97, "as Zoom counts them");
}

#[tokio::test]
async fn a_429_that_names_the_limit_is_about_who_has_used_the_most() {
    let app = with(&[DOORS]).await;
    app.world.grant(ACCOUNT, JILL, API_USER).unwrap();
    app.world.add_user(ACCOUNT, NewUser::licensed("dana@acme.example")).unwrap();
    app.world.grant(ACCOUNT, "dana@acme.example", API_USER).unwrap();
    let of_dana = json!({ "type": 3, "schedule_for": "dana@acme.example", "settings": { "waiting_room": false } });
    app.world.create_meeting(ACCOUNT, API_USER, &of_dana).unwrap();
    app.advance(HOUR).await;
    app.world.spend_meeting_writes(ACCOUNT, API_USER, 99).unwrap();
    app.expect_refusal("PATCH", "/meetings/", 429);
    pooled(&app);
    app.drain().await;
    assert_eq!((used(&app, JILL).await, used(&app, API_USER).await), ((1, false), (2, true)));
    app.advance(24 * HOUR).await;
}

#[tokio::test]
async fn what_others_have_used_up_of_a_hosts_day_zoom_says_once() {
    let app = with(&[DOORS]).await;
    app.world.spend_meeting_writes(ACCOUNT, JILL, 98).unwrap();
    let meetings: Vec<u64> = (0..9).map(|_| meeting(&app)).collect();
    app.expect_refusal("PATCH", "/meetings/", 429);
    app.advance(HOUR).await;
    let mended = || meetings.iter().filter(|id| setting(&app, **id, "waiting_room")).count();
    assert_eq!((mended(), app.entries("host-limit").await.len()), (2, 1));
    let asked = app.world.count_calls("PATCH", "/meetings/");
    assert!(asked <= 2 + 4, "those that were under way, and no others: {asked}");
    app.advance(24 * HOUR).await;
    assert_eq!(mended(), 9);
}
