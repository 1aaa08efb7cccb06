//! What is reported of the meetings of a host who is gone.

use std::path::Path;
use std::time::Duration;

use adjutant::feed::{Consumer, Kind, Rotate};
use adjutant::sim::NewUser;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ACCOUNT, API_USER, DEPUTY, TestApp};

const JILL: &str = "jill@acme.example";

const ORPHANED: &str = r#"
name = "orphaned"
for = "event"
on = ["user.deactivated", "user.deleted", "user.disassociated"]
report = "orphaned"
successor = "deputy@acme.example"
send = "desk"
mode = "enforce"
"#;

/// Who loses the licence.
const DOWNGRADED: &str = r#"
name = "orphaned"
for = "event"
on = ["user.updated"]
when = 'event.payload.object.type == 1'
report = "orphaned"
successor = "deputy@acme.example"
send = "desk"
mode = "enforce"
"#;

fn with(app: TestApp) -> (TestApp, TempDir) {
    for user in [JILL, DEPUTY] {
        app.world.add_user(ACCOUNT, NewUser::licensed(user)).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind::File { path: folder.path().join("lines"), rotate: Rotate::default() };
    app.consumers.replace(&[Consumer { name: "desk".parse().unwrap(), kind, push: None }]);
    (app, folder)
}

fn sent(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("lines")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn meeting(app: &TestApp, path_user: &str, more: &Value) -> u64 {
    let mut fields =
        json!({ "topic": "Algebra", "type": 2, "start_time": "2027-02-01T10:00:00Z", "password": "s3cret" });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.world.create_meeting(ACCOUNT, path_user, &fields).unwrap()
}

/// Calls that change something.
fn changes(app: &TestApp) -> usize {
    ["POST", "PATCH", "PUT", "DELETE"].map(|method| app.world.count_calls(method, "/v2/")).iter().sum()
}

#[tokio::test]
async fn what_can_become_of_each_meeting_of_a_deactivated_host_is_sent_and_nothing_is_changed() {
    let (app, folder) = with(TestApp::start(&[ORPHANED]).await);
    app.world.grant(ACCOUNT, JILL, API_USER).unwrap();
    let ours = meeting(&app, API_USER, &json!({ "schedule_for": JILL }));
    let theirs = meeting(&app, JILL, &json!({ "type": 3, "topic": "Choir" }));
    meeting(&app, DEPUTY, &json!({ "topic": "not hers" }));
    app.drain().await;
    app.world.deactivate(ACCOUNT, JILL).unwrap();
    app.drain().await;
    let lines = sent(folder.path());
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!(line["type"], "adjutant.orphaned");
    assert!(!line.to_string().contains("s3cret") && !line.to_string().contains("join_url"), "{line}");
    let record = &line["data"]["record"];
    let id = app.world.user(ACCOUNT, JILL).unwrap().id;
    assert_eq!(record["host"], json!({ "id": id, "email": JILL, "status": "inactive", "is_licensed": false }));
    assert_eq!(record["successor"], json!({ "email": DEPUTY, "can_host": true, "why_not": null }));
    assert_eq!((&record["is_cut_short"], &record["note"]), (&json!(false), &Value::Null));
    let mut meetings = record["meetings"].as_array().unwrap().clone();
    meetings.sort_by_key(|meeting| meeting["topic"].as_str().unwrap().to_owned());
    let move_it = format!("move to {DEPUTY}, whom API user {API_USER} has to assist");
    let not = "its host made it, and that is no API user";
    assert_eq!(
        json!(meetings),
        json!([
            { "id": ours, "topic": "Algebra", "type": 2, "start": "2027-02-01T10:00:00Z", "movable": true,
              "why": format!("movable: API user {API_USER} scheduled it"), "proposal": move_it },
            { "id": theirs, "topic": "Choir", "type": 3, "start": "2027-02-01T10:00:00Z", "movable": false,
              "why": format!("not movable: {not}"),
              "proposal": format!("make it anew for {DEPUTY}, with a new link. It cannot be moved: {not}") },
        ])
    );
    assert_eq!((changes(&app), app.entries("sent").await.len()), (0, 1));
}

#[tokio::test]
async fn a_template_sees_the_record_and_a_rule_that_observes_sends_nothing() {
    let template = "template = '{{ record.meetings | length }} of {{ record.host.email }}'";
    for (mode, state) in
        [("enforce", "sent adjutant.orphaned to desk"), ("observe", "would send adjutant.orphaned to desk")]
    {
        let rule = format!("{}{template}", ORPHANED.replace("enforce", mode));
        let (app, folder) = with(TestApp::start(&[&rule]).await);
        meeting(&app, JILL, &json!({}));
        app.drain().await;
        app.world.deactivate(ACCOUNT, JILL).unwrap();
        app.drain().await;
        let text = std::fs::read_to_string(folder.path().join("lines")).unwrap_or_default();
        let expected = if mode == "enforce" { format!("1 of {JILL}\n") } else { String::new() };
        assert_eq!(text, expected);
        assert!(app.state().await.starts_with(state), "{}", app.state().await);
    }
}

#[tokio::test]
async fn of_a_host_without_upcoming_meetings_nothing_is_sent() {
    let (app, folder) = with(TestApp::start(&[ORPHANED]).await);
    meeting(&app, JILL, &json!({ "start_time": "2030-01-01T00:00:00Z" }));
    app.drain().await;
    app.world.deactivate(ACCOUNT, JILL).unwrap();
    app.drain().await;
    assert_eq!((app.state().await.as_str(), sent(folder.path()).len()), ("no upcoming meetings", 0));
}

#[tokio::test]
async fn of_a_deleted_host_the_record_says_that_zoom_lists_nothing() {
    let (app, folder) = with(TestApp::start(&[ORPHANED]).await);
    meeting(&app, JILL, &json!({}));
    app.drain().await;
    let id = app.world.user(ACCOUNT, JILL).unwrap().id;
    app.expect_refusal("GET", "/users/", 404);
    app.world.delete_user(ACCOUNT, JILL).unwrap();
    app.drain().await;
    let lines = sent(folder.path());
    let record = &lines[0]["data"]["record"];
    assert_eq!(record["host"], json!({ "id": id, "email": JILL, "status": "unknown", "is_licensed": false }));
    assert_eq!(record["meetings"], json!([]));
    let note = record["note"].as_str().unwrap();
    assert!(note.contains("does not know the host") && note.contains("transfer_meeting"), "{note}");
}

#[tokio::test]
async fn a_host_who_loses_the_licence_gets_an_alternative_host_proposed_and_a_successor_without_one_nobody() {
    for (kind, can_host, proposal) in [
        (
            2,
            true,
            format!("make {DEPUTY} an alternative host. It cannot be moved: its host made it, and that is no API user"),
        ),
        (1, false, format!("find somebody else: {DEPUTY} cannot host it, since it has no licence")),
    ] {
        let (app, folder) = with(TestApp::start(&[DOWNGRADED]).await);
        meeting(&app, JILL, &json!({}));
        app.world.set_licence(ACCOUNT, DEPUTY, kind).unwrap();
        app.world.update_user(ACCOUNT, JILL, &json!({ "dept": "Maths" })).unwrap();
        app.drain().await;
        app.world.update_user(ACCOUNT, JILL, &json!({ "type": 1 })).unwrap();
        app.drain().await;
        let lines = sent(folder.path());
        assert_eq!(lines.len(), 1, "the deputy has no meetings, and another department asks for nothing: {lines:#?}");
        let record = &lines[0]["data"]["record"];
        assert_eq!((&record["host"]["email"], &record["host"]["status"]), (&json!(JILL), &json!("active")));
        assert_eq!(record["successor"]["can_host"], can_host);
        assert_eq!(record["meetings"][0]["proposal"], proposal);
    }
}

#[tokio::test]
async fn of_a_host_with_more_than_three_hundred_meetings_the_record_says_that_it_is_cut_short() {
    for (count, told, is_cut) in [(300, 300, false), (301, 300, true)] {
        let (app, folder) = with(TestApp::start_patient(&[ORPHANED]).await);
        for _ in 0..count {
            meeting(&app, JILL, &json!({ "type": 3 }));
        }
        app.ticking(app.drain()).await;
        app.world.deactivate(ACCOUNT, JILL).unwrap();
        app.ticking(app.advance(Duration::from_secs(60))).await;
        let lines = sent(folder.path());
        let record = &lines[0]["data"]["record"];
        let meetings = record["meetings"].as_array().unwrap().len();
        assert_eq!((meetings, &record["is_cut_short"]), (told, &json!(is_cut)));
    }
}
