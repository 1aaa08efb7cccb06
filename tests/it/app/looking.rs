//! Rules about events that look at what the event is about, and rules for meetings that look at the host.

use std::time::Duration;

use adjutant::clock::Clock as _;
use adjutant::job::JobState;
use adjutant::sim::NewUser;
use adjutant::worker::Order;
use serde_json::{Value, json};

use super::sending::{Hook, hooked};
use super::{ACCOUNT, API_USER, Left, TestApp};

const JILL: &str = "jill@acme.example";

/// Meetings that an API user made, changed or deleted by somebody else.
const GUARD: &str = r#"
name = "timetable-guard"
for = "event"
on = ["meeting.updated", "meeting.deleted"]
when = 'meeting.by_api_user && !event.by_api_user'
send = "timetable"
template = '''{"text": "{{ meeting.topic }} was changed by {{ event.payload.operator }}", "host": "{{ meeting.host_id }}",
    "was": {{ event.payload.old_object | default(none) }}, "is": {{ event.payload.object }}}'''
mode = "enforce"
"#;

/// With an API user who may schedule for the host, and the host's id.
async fn guarded(rule: &str) -> (TestApp, Hook, String) {
    let (app, hook) = hooked(rule).await;
    app.world.grant(ACCOUNT, JILL, API_USER).unwrap();
    let host = app.world.user(ACCOUNT, JILL).unwrap().id;
    (app, hook, host)
}

fn lesson(schedule_for: &str) -> Value {
    json!({ "topic": "Algebra", "type": 2, "schedule_for": schedule_for, "password": "s3cret" })
}

#[tokio::test]
async fn who_changes_what_an_api_user_scheduled_is_told_with_old_and_new_and_the_api_user_is_not() {
    let (app, hook, host) = guarded(GUARD).await;
    let made = app.world.create_meeting(ACCOUNT, API_USER, &lesson(JILL)).unwrap();
    let own = app.world.create_meeting(ACCOUNT, JILL, &json!({ "topic": "Tea", "type": 2 })).unwrap();
    app.drain().await;
    app.world.update_meeting_as(ACCOUNT, API_USER, made, &json!({ "topic": "Algebra II" })).unwrap();
    app.world.update_meeting_as(ACCOUNT, JILL, own, &json!({ "topic": "Coffee" })).unwrap();
    app.drain().await;
    assert_eq!(hook.bodies(), [Value::Null; 0]);
    app.world.update_meeting_as(ACCOUNT, JILL, made, &json!({ "topic": "Break" })).unwrap();
    app.drain().await;
    let expected = json!({ "text": format!("Break was changed by {JILL}"), "host": host,
        "was": { "id": made, "topic": "Algebra II" }, "is": { "id": made, "topic": "Break" } });
    assert_eq!(hook.bodies(), [expected]);
    let sent = app.entries("sent").await;
    let saw = &sent[0].detail.as_ref().unwrap().saw;
    let saw: Vec<_> = saw.iter().map(|leaf| (leaf.text.as_str(), leaf.outcome.as_str())).collect();
    assert_eq!(saw, [("meeting.by_api_user", "true"), ("event.by_api_user", "false")]);
    assert_eq!(app.entries("not-applicable").await.len(), 2);
}

#[tokio::test]
async fn of_a_deleted_meeting_is_told_what_it_was_last_also_after_a_restart_and_without_secrets() {
    let (mut app, hook, host) = guarded(GUARD).await;
    let made = app.world.create_meeting_as(ACCOUNT, API_USER, API_USER, &lesson(JILL)).unwrap();
    let others = app.world.create_meeting_as(ACCOUNT, JILL, JILL, &json!({ "topic": "Tea", "type": 2 })).unwrap();
    app.drain().await;
    app.world.update_meeting_as(ACCOUNT, API_USER, made, &json!({ "agenda": "Groups", "password": "0th3r" })).unwrap();
    app.drain().await;
    app.restart().await;
    let whole = "{\"text\": \"{{ meeting.topic }}: {{ meeting.agenda }}\", \"all\": {{ meeting }}, \"host\": {{ host.email | tojson }}}";
    let start = GUARD.find("template").unwrap();
    let rule = format!("{}template = '''{whole}'''\nmode = \"enforce\"\n", &GUARD[..start]);
    app.set_rules(&[&rule]);
    let calls = app.calls("/meetings/");
    app.world.delete_meeting_as(ACCOUNT, JILL, made).unwrap();
    app.world.delete_meeting_as(ACCOUNT, JILL, others).unwrap();
    app.drain().await;
    let bodies = hook.bodies();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!((&bodies[0]["text"], &bodies[0]["host"]), (&"Algebra: Groups".into(), &JILL.into()));
    let all = &bodies[0]["all"];
    assert_eq!((&all["host_id"], &all["id"], all.get("password")), (&host.into(), &made.into(), None));
    assert_eq!(app.calls("/meetings/"), calls, "what is gone is not asked for");
}

#[tokio::test]
async fn a_meeting_that_zoom_does_not_know_is_what_its_events_said() {
    let rule = "name = \"tell\"\nfor = \"event\"\non = [\"meeting.updated\"]\nsend = \"timetable\"\nmode = \"enforce\"\n\
        when = 'meeting.topic == \"Algebra\" && meeting.type == 2'\ntemplate = '{\"host\": {{ host }}, \"is\": {{ meeting }}}'";
    let (app, hook) = hooked(rule).await;
    let told = |name: &str, object: Value| {
        let payload = json!({ "account_id": ACCOUNT, "operator": JILL, "object": object });
        let body = json!({ "event": name, "event_ts": 1_795_000_000_000_i64 + i64::from(name.len() == 15), "payload": payload });
        app.world.emit(ACCOUNT, name, body.to_string()).unwrap();
    };
    let made = |id: u64| json!({ "id": id, "topic": "Algebra", "type": 2, "settings": { "use_pmi": false } });
    told("meeting.created", made(93_000_000_001));
    app.drain().await;
    told("meeting.updated", json!({ "id": 93_000_000_001_u64, "duration": 30 }));
    // Of this one nothing else is known, so that the condition has no answer that counts.
    told("meeting.updated", json!({ "id": 93_000_000_002_u64, "topic": "Algebra" }));
    app.expect_refusal("GET", "/meetings/93000000001", 404);
    app.expect_refusal("GET", "/meetings/93000000002", 404);
    app.drain().await;
    let is = json!({ "id": 93_000_000_001_u64, "topic": "Algebra", "type": 2, "duration": 30, "settings": { "use_pmi": false } });
    assert_eq!(hook.bodies(), [json!({ "host": null, "is": is })]);
}

#[tokio::test]
async fn an_event_that_cannot_meet_its_part_of_the_condition_makes_no_job() {
    let rule = GUARD.replace("'meeting.by_api_user", "'event.payload.object.topic == \"Break\" && meeting.by_api_user");
    let (app, hook, _) = guarded(&rule).await;
    let made = app.world.create_meeting(ACCOUNT, API_USER, &lesson(JILL)).unwrap();
    app.drain().await;
    let before = (app.jobs().await.len(), app.calls("/meetings/"));
    app.world.update_meeting_as(ACCOUNT, JILL, made, &json!({ "topic": "Tea" })).unwrap();
    app.drain().await;
    assert_eq!((app.jobs().await.len(), app.calls("/meetings/")), before);
    app.world.update_meeting_as(ACCOUNT, JILL, made, &json!({ "topic": "Break" })).unwrap();
    app.drain().await;
    assert_eq!(hook.bodies().len(), 1);
}

/// Jill is a teacher, and Jack is not.
async fn school(rule: &str) -> TestApp {
    let app = TestApp::start(&[rule]).await;
    let group = app.world.add_group(ACCOUNT, "Teachers").unwrap();
    for user in [JILL, "jack@acme.example"] {
        app.world.add_user(ACCOUNT, NewUser::licensed(user)).unwrap();
    }
    app.world.join_group(ACCOUNT, &group, JILL).unwrap();
    app.drain().await;
    app
}

fn of(app: &TestApp, host: &str, kind: i64) -> u64 {
    let start = jiff::Timestamp::from_second(app.clock.now().as_secs() + 86_400).unwrap().to_string();
    let fields =
        json!({ "topic": "Algebra", "type": kind, "start_time": start, "settings": { "waiting_room": false } });
    app.world.create_meeting(ACCOUNT, host, &fields).unwrap()
}

fn waiting_room(app: &TestApp, meeting: u64) -> bool {
    app.world.meeting(ACCOUNT, meeting).unwrap().settings["waiting_room"].as_bool().unwrap()
}

#[tokio::test]
async fn a_rule_for_meetings_may_ask_for_the_groups_of_the_host_by_event_and_by_sweep() {
    let rule = "name = \"teachers\"\nfor = \"meeting\"\nwhen = '\"Teachers\" in host.groups && host.type == 2'\n\
        ensure = { settings = { waiting_room = true } }\nmode = \"enforce\"";
    let app = school(rule).await;
    let (hers, his) = (of(&app, JILL, 2), of(&app, "jack@acme.example", 2));
    app.drain().await;
    assert_eq!((waiting_room(&app, hers), waiting_room(&app, his)), (true, false));
    let saw = app.entries("changed").await[0].detail.as_ref().unwrap().saw.clone();
    assert_eq!(saw[0].facts, [("host.groups".to_owned(), "[\"Teachers\"]".to_owned())]);
    // What no event told, the sweep of the night finds.
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.update_meeting(ACCOUNT, hers, &json!({ "settings": { "waiting_room": false } })).unwrap();
    app.world.update_meeting(ACCOUNT, his, &json!({ "agenda": "x" })).unwrap();
    let order = Order { rule: Some("teachers".parse().unwrap()), is_dry: false };
    assert!(app.sweeper.ask(&app.account().id, order).await.unwrap());
    app.ticking(app.finish_sweep()).await;
    app.ticking(app.drain()).await;
    assert_eq!((waiting_room(&app, hers), waiting_room(&app, his)), (true, false));
}

#[tokio::test]
async fn a_rule_about_events_makes_something_true_only_where_the_meeting_and_its_host_are_as_it_asks() {
    let rule = "name = \"teachers\"\nfor = \"meeting\"\non = [\"meeting.created\"]\n\
        when = 'event.payload.object.type == 2 && \"Teachers\" in host.groups && meeting.settings.waiting_room == false'\n\
        ensure = { settings = { waiting_room = true } }\nmode = \"enforce\"";
    let app = school(rule).await;
    let calls = app.calls("/");
    let instant = of(&app, JILL, 3);
    app.drain().await;
    assert_eq!(app.calls("/"), calls, "the event alone answers");
    let (hers, his) = (of(&app, JILL, 2), of(&app, "jack@acme.example", 2));
    app.drain().await;
    let all = [instant, hers, his].map(|meeting| waiting_room(&app, meeting));
    assert_eq!(all, [false, true, false]);
    assert_eq!(app.entries("not-applicable").await.len(), 1);
}

#[tokio::test]
async fn a_timer_asks_what_the_meeting_is_when_it_fires() {
    let rule = "name = \"late\"\nfor = \"event\"\non = [\"meeting.started\"]\nafter = \"5m\"\n\
        when = 'meeting.settings.waiting_room'\nsend = \"timetable\"\nmode = \"enforce\"";
    let (app, hook) = hooked(rule).await;
    let (one, other) = (of(&app, JILL, 2), of(&app, JILL, 2));
    for meeting in [one, other] {
        app.world.start_meeting(ACCOUNT, meeting).unwrap();
    }
    app.drain().await;
    assert_eq!(app.calls("/meetings/"), 0);
    for meeting in [one, other] {
        app.world.end_meeting(ACCOUNT, meeting).unwrap();
    }
    app.world.update_meeting(ACCOUNT, one, &json!({ "settings": { "waiting_room": true } })).unwrap();
    app.advance(Duration::from_secs(301)).await;
    let told: Vec<_> = hook.bodies().iter().map(|body| body["data"]["event"]["object"]["id"].clone()).collect();
    assert_eq!(told, [Value::from(one.to_string())]);
    assert_eq!(app.calls("/meetings/"), 2);
}

#[tokio::test]
async fn an_event_of_a_user_may_be_asked_for_the_user_and_who_is_gone_is_what_the_event_says() {
    let rule = "name = \"tell\"\nfor = \"event\"\non = [\"user.updated\", \"user.deleted\"]\n\
        when = 'user.type == 2 && user.first_name != \"x\"'\nsend = \"timetable\"\nmode = \"enforce\"\n\
        template = '{\"who\": {{ user.email | tojson }}, \"what\": \"{{ type }}\"}'";
    let (app, hook) = hooked(rule).await;
    app.world.update_user(ACCOUNT, JILL, &json!({ "dept": "Maths" })).unwrap();
    app.drain().await;
    app.world.delete_user(ACCOUNT, JILL).unwrap();
    app.expect_refusal("GET", "/users/", 404);
    app.drain().await;
    let told = |what: &str| json!({ "who": JILL, "what": what });
    assert_eq!(hook.bodies(), [told("user.updated"), told("user.deleted")]);
}

#[tokio::test]
async fn without_an_answer_nothing_is_sent_and_a_person_is_asked() {
    let rule = "name = \"tell\"\nfor = \"event\"\non = [\"meeting.deleted\"]\nwhen = '\"Teachers\" in host.groups'\n\
        send = \"timetable\"\nmode = \"enforce\"";
    let (app, hook) = hooked(rule).await;
    let payload = json!({ "account_id": ACCOUNT, "object": { "id": 93_000_000_001_u64 } });
    let body = json!({ "event": "meeting.deleted", "event_ts": 1_795_000_000_000_i64, "payload": payload });
    app.world.emit(ACCOUNT, "meeting.deleted", body.to_string()).unwrap();
    app.drain().await;
    assert_eq!(hook.bodies(), [Value::Null; 0]);
    let jobs = app.jobs().await;
    assert!(
        matches!(&jobs[0].state, JobState::Parked { cause, .. } if cause.code() == "condition-unanswered"),
        "{jobs:?}"
    );
    app.expect_left(Left { parked: 1, ..Left::default() });
}

/// Sends something of its subject, after an event that does not say which that is; gives how that ended.
async fn unnamed(event: &str, rest: &str, object: Value) -> String {
    let rule = format!(
        "name = \"tell\"\nfor = \"event\"\non = [\"{event}\"]\nsend = \"timetable\"\nmode = \"enforce\"\n{rest}"
    );
    let (app, hook) = hooked(&rule).await;
    let payload = json!({ "account_id": ACCOUNT, "object": object });
    let body = json!({ "event": event, "event_ts": 1_795_000_000_000_i64, "payload": payload });
    app.world.emit(ACCOUNT, event, body.to_string()).unwrap();
    app.drain().await;
    app.expect_left(Left { parked: 1, ..Left::default() });
    assert_eq!((app.entries("parked").await.len(), hook.bodies().len()), (1, 0));
    app.state().await
}

#[tokio::test]
async fn an_event_that_does_not_say_what_it_is_about_parks_once() {
    let template = "template = '{\"text\": \"{{ meeting.topic }}\"}'";
    let meeting = unnamed("meeting.summary_completed", template, json!({ "meeting_topic": "Algebra" })).await;
    let user = unnamed("user.signed_in", "when = 'user.type == 2'", json!({ "client_type": "Browser" })).await;
    assert_eq!((meeting.as_str(), user.as_str()), ("parked condition-unanswered", "parked condition-unanswered"));
}

#[tokio::test]
async fn a_topic_that_looks_like_a_link_keeps_nobody_from_being_told() {
    let (app, hook, _) = guarded(GUARD).await;
    let made = app.world.create_meeting(ACCOUNT, API_USER, &lesson(JILL)).unwrap();
    app.drain().await;
    app.world.update_meeting_as(ACCOUNT, JILL, made, &json!({ "topic": "Break token=" })).unwrap();
    app.drain().await;
    assert_eq!(hook.bodies().len(), 1, "{}", app.state().await);
    assert!(!hook.bodies()[0].to_string().contains("token="));
}

#[tokio::test]
async fn a_timer_begins_with_a_deletion_where_its_rule_says_so() {
    let rule = "name = \"late\"\nfor = \"event\"\non = [\"meeting.deleted\"]\nafter = \"5m\"\n\
        unless = [\"meeting.recovered\"]\nsend = \"timetable\"\nmode = \"enforce\"";
    let (app, hook) = hooked(rule).await;
    let (stays, comes_back) = (of(&app, JILL, 2), of(&app, JILL, 2));
    app.drain().await;
    app.world.delete_meeting(ACCOUNT, stays).unwrap();
    app.world.delete_meeting(ACCOUNT, comes_back).unwrap();
    app.advance(Duration::from_secs(60)).await;
    app.world.recover_meeting(ACCOUNT, comes_back).unwrap();
    app.advance(Duration::from_secs(600)).await;
    assert_eq!(hook.bodies().len(), 1, "{}", app.state().await);
}
