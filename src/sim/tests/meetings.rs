use super::*;

const CREATE: &str = "/users/api@example.com/meetings";

fn create(fixture: &Fixture, body: &Value) -> u64 {
    let answer = fixture.call("POST", CREATE, body);
    assert_eq!(answer.status, 201, "{:?}", answer.value());
    answer.value()["id"].as_u64().unwrap()
}

#[test]
fn a_meeting_made_for_a_host_says_who_scheduled_it() {
    let fixture = Fixture::with_licensed(&["api", "dana"]);
    fixture.grant("dana", "api");
    let answer = fixture.call("POST", CREATE, &json!({ "schedule_for": "dana@example.com", "topic": "Maths" })).value();
    assert_eq!(answer["host_id"], json!(fixture.id("api")), "the answer of a create can name the creator");
    let meeting = fixture.get(&format!("/meetings/{}", answer["id"])).value();
    assert_eq!(
        (&meeting["host_id"], &meeting["assistant_id"]),
        (&json!(fixture.id("dana")), &json!(fixture.id("api")))
    );
    assert_eq!(
        (&meeting["topic"], &meeting["status"], &meeting["type"]),
        (&json!("Maths"), &json!("waiting"), &json!(2))
    );
    let rows = fixture.get("/users/dana@example.com/meetings").value();
    assert_eq!((&rows["total_records"], &rows["meetings"][0]["id"]), (&json!(1), &answer["id"]));
    assert_eq!(fixture.get(&format!("{CREATE}?type=live")).value()["total_records"], 0);
}

#[test]
fn a_meeting_moves_only_where_its_creator_is_an_assistant_of_the_new_host() {
    let fixture = Fixture::with_licensed(&["api", "dana", "lee"]);
    fixture.grant("dana", "api");
    let id = create(&fixture, &json!({ "schedule_for": "dana@example.com" }));
    let before = fixture.get(&format!("/meetings/{id}")).value();
    let to_lee = json!({ "schedule_for": fixture.id("lee") });
    let text = format!("You cannot schedule a meeting for {}", fixture.id("lee"));
    fixture.world.grant(ACCOUNT, "lee@example.com", "dana@example.com").unwrap();
    let path = format!("/meetings/{id}");
    assert_refused(&fixture.call("PATCH", &path, &to_lee), 400, 3000, &text);
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.move_needs = Principal::Host).unwrap();
    assert_eq!(
        fixture.call("PATCH", &path, &to_lee).status,
        204,
        "under the other reading the host's privilege counts"
    );
    let after = fixture.get(&path).value();
    assert_eq!(after["host_id"], json!(fixture.id("lee")));
    for same in ["id", "join_url", "password", "uuid"] {
        assert_eq!(after[same], before[same]);
    }
    assert_ne!(after["start_url"], before["start_url"]);
}

#[test]
fn nobody_schedules_for_the_unlicensed_the_unknown_or_at_once() {
    let fixture = Fixture::with_licensed(&["api", "dana"]);
    fixture.grant("dana", "api");
    fixture.world.set_licence(ACCOUNT, "dana@example.com", 1).unwrap();
    let text = format!("You cannot schedule a meeting for {}", fixture.id("dana"));
    let dana = json!({ "schedule_for": "dana@example.com" });
    assert_refused(&fixture.call("POST", CREATE, &dana), 400, 3000, &text);
    let text = "The value that you entered in the schedule_for field is invalid. Enter a valid value and try again.";
    assert_refused(&fixture.call("POST", CREATE, &json!({ "schedule_for": "x@example.com" })), 400, 300, text);
    let instant = json!({ "type": 1, "schedule_for": "dana@example.com" });
    assert_eq!(fixture.call("POST", CREATE, &instant).value()["code"], 3000);
    fixture.world.deactivate(ACCOUNT, "api@example.com").unwrap();
    let text = "Your user account is not allowed meeting hosting and scheduling capabilities.";
    assert_refused(&fixture.call("POST", CREATE, &json!({})), 400, 3161, text);
}

#[test]
fn a_meeting_in_progress_is_left_alone_until_it_ends() {
    let fixture = Fixture::with_licensed(&["api"]);
    let id = create(&fixture, &json!({}));
    let (path, topic) = (format!("/meetings/{id}"), json!({ "topic": "New" }));
    let uuid = fixture.world.meeting(ACCOUNT, id).unwrap().uuid;
    fixture.world.start_meeting(ACCOUNT, id).unwrap();
    let text = "You cannot update or delete meetings that have started using this method";
    assert_refused(&fixture.call("PATCH", &path, &topic), 400, 3002, text);
    assert_refused(&fixture.call("DELETE", &path, &Value::Null), 400, 3002, text);
    assert_eq!(fixture.call("PUT", &format!("{path}/status"), &json!({ "action": "end" })).status, 204);
    assert_ne!(fixture.world.meeting(ACCOUNT, id).unwrap().uuid, uuid, "the next instance has another UUID");
    assert_eq!(fixture.call("PATCH", &path, &topic).status, 204);
    assert_eq!(fixture.call("DELETE", &path, &Value::Null).status, 204);
    assert_refused(&fixture.get(&path), 404, 3001, &format!("Meeting does not exist: {id}."));
    assert_eq!(fixture.call("PUT", &format!("{path}/status"), &json!({ "action": "recover" })).status, 204);
    assert_eq!(fixture.get(&path).value()["topic"], "New");
    assert_refused(&fixture.get("/meetings/12x"), 404, 3001, "Meeting does not exist: 12x.");
}

#[test]
fn settings_merge_and_a_start_in_the_past_is_ignored() {
    let fixture = Fixture::with_licensed(&["api"]);
    let id = create(&fixture, &json!({ "start_time": "2030-01-01T10:00:00Z", "settings": { "waiting_room": true } }));
    let change = json!({ "start_time": "2001-01-01T10:00:00Z", "duration": 45, "settings": { "jbh_time": 10 } });
    fixture.call("PATCH", &format!("/meetings/{id}"), &change);
    let meeting = fixture.get(&format!("/meetings/{id}")).value();
    assert_eq!((&meeting["start_time"], &meeting["duration"]), (&json!("2030-01-01T10:00:00Z"), &json!(45)));
    let settings = &meeting["settings"];
    assert_eq!((&settings["waiting_room"], &settings["jbh_time"]), (&json!(true), &json!(10)));
}

#[test]
fn a_meeting_in_progress_is_ended_and_one_that_is_not_stays_as_it_is() {
    let fixture = Fixture::with_licensed(&["api"]);
    let id = create(&fixture, &json!({}));
    let (path, end) = (format!("/meetings/{id}/status"), json!({ "action": "end" }));
    let (uuid, left) = (fixture.world.meeting(ACCOUNT, id).unwrap().uuid, || {
        fixture.world.meeting_writes_left(ACCOUNT, "api@example.com")
    });
    let before = left();
    fixture.world.subscribe(ACCOUNT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    assert_eq!(fixture.call("PUT", &path, &end).status, 204, "Zoom answers success, and nothing ends");
    assert_eq!(fixture.world.meeting(ACCOUNT, id).unwrap().uuid, uuid);
    fixture.world.start_meeting(ACCOUNT, id).unwrap();
    assert_eq!(fixture.call("PUT", &path, &end).status, 204);
    assert!(!fixture.world.meeting(ACCOUNT, id).unwrap().started);
    let told: Vec<String> = events::told(&fixture).into_iter().map(|(name, _)| name).collect();
    assert_eq!(told, ["meeting.started", "meeting.ended"]);
    assert_eq!(left(), before, "it draws on no user's day");
    assert_refused(&fixture.call("PUT", "/meetings/99/status", &end), 404, 3001, "Meeting does not exist: 99.");
    assert_eq!(fixture.call("PUT", &path, &json!({ "action": "start" })).value()["code"], 300);
}

#[test]
fn a_meeting_is_recovered_until_it_is_deleted_for_good() {
    let fixture = Fixture::with_licensed(&["api"]);
    let id = create(&fixture, &json!({ "topic": "Algebra" }));
    let (path, recover) = (format!("/meetings/{id}"), json!({ "action": "recover" }));
    let status = format!("{path}/status");
    fixture.world.subscribe(ACCOUNT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    assert_eq!(fixture.call("PUT", &status, &recover).status, 204, "one that is not deleted stays as it is");
    let before = fixture.get(&path).value();
    fixture.world.delete_meeting(ACCOUNT, id).unwrap();
    assert_eq!(fixture.call("PUT", &status, &recover).status, 204);
    assert_eq!(fixture.get(&path).value(), before, "with its link, its host and its settings");
    fixture.world.purge_meeting(ACCOUNT, id).unwrap();
    assert_refused(&fixture.call("PUT", &status, &recover), 404, 3001, &format!("Meeting does not exist: {id}."));
    let told: Vec<String> = events::told(&fixture).into_iter().map(|(name, _)| name).collect();
    let all = ["meeting.deleted", "meeting.recovered", "meeting.deleted", "meeting.permanently_deleted"];
    assert_eq!(told, all);
}
