//! Rules about events.

use serde_json::json;

use super::{ACCOUNT, TestApp};

const JILL: &str = "jill@acme.example";

/// Meetings get a waiting room when they are made, if they are scheduled ones.
const WHEN_MADE: &str = r#"
name = "when-made"
for = "meeting"
on = ["meeting.created"]
when = 'event.payload.object.type == 2'
ensure = { settings = { waiting_room = true } }
mode = "enforce"
"#;

async fn with_host(rules: &[&str]) -> TestApp {
    let app = TestApp::start(rules).await;
    app.world.add_user(ACCOUNT, adjutant::sim::NewUser::licensed(JILL)).unwrap();
    app
}

fn meeting(app: &TestApp, kind: i64) -> u64 {
    let fields = json!({ "topic": "Algebra", "type": kind, "settings": { "waiting_room": false } });
    app.world.create_meeting(ACCOUNT, JILL, &fields).unwrap()
}

fn waiting_room(app: &TestApp, meeting: u64) -> bool {
    app.world.meeting(ACCOUNT, meeting).unwrap().settings["waiting_room"].as_bool().unwrap()
}

#[tokio::test]
async fn a_rule_about_events_looks_at_what_its_events_name_and_only_where_its_condition_holds_for_them() {
    let app = with_host(&[WHEN_MADE]).await;
    let (scheduled, recurring) = (meeting(&app, 2), meeting(&app, 3));
    app.drain().await;
    assert_eq!((waiting_room(&app, scheduled), waiting_room(&app, recurring)), (true, false));
    // Another event about the same meeting asks for nothing: who switched it off afterwards meant it.
    app.world.update_meeting(ACCOUNT, scheduled, &json!({ "settings": { "waiting_room": false } })).unwrap();
    app.drain().await;
    assert!(!waiting_room(&app, scheduled));
}

#[tokio::test]
async fn a_condition_without_an_answer_for_an_event_does_nothing_and_is_on_record() {
    let rule =
        WHEN_MADE.replace("event.payload.object.type == 2", "dyn(event.payload).object.no_such_thing.size() > 2");
    let app = with_host(&[&rule]).await;
    let made = meeting(&app, 2);
    app.drain().await;
    assert!(!waiting_room(&app, made));
    let told = app.entries("condition-unanswered").await;
    assert_eq!(told.len(), 1);
    assert!(told[0].detail.as_ref().unwrap().note.starts_with("rule when-made does nothing for dlv_"), "{told:?}");
}

#[tokio::test]
async fn an_event_that_nothing_else_is_done_about_can_be_named() {
    let rule = WHEN_MADE.replace("meeting.created", "meeting.participant_joined").replace("when = ", "# ");
    let app = with_host(&[&rule]).await;
    let made = meeting(&app, 2);
    app.drain().await;
    assert!(!waiting_room(&app, made));
    let body = json!({ "event": "meeting.participant_joined", "event_ts": 1_795_000_000_000_i64,
        "payload": { "account_id": ACCOUNT, "object": { "id": made.to_string(), "type": 2 } } });
    app.world.emit(ACCOUNT, "meeting.participant_joined", body.to_string()).unwrap();
    app.drain().await;
    assert!(waiting_room(&app, made));
}

#[tokio::test]
async fn what_a_rule_about_an_event_waits_for_comes_by_another_event() {
    let rule = "name = \"welcome\"\nfor = \"user\"\non = [\"user.created\"]\nensure = { assistants = [\"api-user\"] }\n\
                mode = \"enforce\"";
    let app = TestApp::start(&[rule]).await;
    app.world.create_user(ACCOUNT, adjutant::sim::NewUser::licensed(JILL).invited()).unwrap();
    app.drain().await;
    assert_eq!(app.assistants(JILL), [""; 0]);
    app.world.accept_invitation(ACCOUNT, JILL).unwrap();
    app.drain().await;
    assert_eq!(app.assistants(JILL), [super::API_USER]);
}

#[tokio::test]
async fn a_body_behind_a_byte_order_mark_asks_the_rules_about_its_event_and_one_that_cannot_be_read_is_on_record() {
    let rule = WHEN_MADE.replace("meeting.created", "meeting.participant_joined");
    let app = with_host(&[&rule]).await;
    let made = meeting(&app, 3);
    app.drain().await;
    let joined = |topic: &str| {
        format!(
            r#"{{"event":"meeting.participant_joined","event_ts":1795000000000,"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"{made}","type":2,"topic":"{topic}"}}}}}}"#
        )
    };
    app.world.emit(ACCOUNT, "meeting.participant_joined", joined(r"\ud800")).unwrap();
    app.drain().await;
    assert!(!waiting_room(&app, made));
    let told = app.entries("condition-unanswered").await;
    assert!(told[0].detail.as_ref().unwrap().note.contains("the body is not JSON"), "{told:?}");
    app.world.emit(ACCOUNT, "meeting.participant_joined", format!("\u{feff}{}", joined("Algebra"))).unwrap();
    app.drain().await;
    assert!(waiting_room(&app, made));
}
