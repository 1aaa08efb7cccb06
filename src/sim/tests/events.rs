use super::*;

/// The keys of a JSON text in their order, with kinds instead of values.
fn skeleton(json: &str) -> String {
    let (mut out, mut chars) = (String::new(), json.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let mut text = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    text.push(c);
                    if c == '\\' {
                        text.extend(chars.next());
                    }
                }
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                let is_key = chars.peek() == Some(&':');
                out.push_str(if is_key { &text } else { "text" });
            }
            c if c.is_ascii_digit() => {
                while chars.next_if(char::is_ascii_digit).is_some() {}
                out.push_str("number");
            }
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out.replace("true", "bool").replace("false", "bool")
}

/// A world whose events are kept in the outbox, with one user.
fn watched() -> Fixture {
    let fixture = Fixture::with_licensed(&["dana"]);
    fixture.world.subscribe(ACCOUNT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    fixture
}

/// The events that wait, oldest first.
pub(super) fn told(fixture: &Fixture) -> Vec<(String, String)> {
    let now = fixture.world.now();
    let chance = SeededChance::new(1);
    let mut told = Vec::new();
    while let Some(delivery) = fixture.world.state(|state| state.outbox.take_due(&chance, now)) {
        told.push((delivery.event, String::from_utf8(delivery.body.to_vec()).unwrap()));
    }
    told
}

#[track_caller]
fn assert_like(fixture: &Fixture, sample: &str) {
    let told = told(fixture);
    let [(name, body)] = told.as_slice() else { panic!("expected one event, not {told:?}") };
    assert_eq!(skeleton(body), skeleton(sample));
    let (ours, theirs): (Value, Value) = (serde_json::from_str(body).unwrap(), serde_json::from_str(sample).unwrap());
    assert_eq!((&ours["event"], &json!(name)), (&theirs["event"], &theirs["event"]));
    assert_eq!(ours["payload"]["account_id"], ACCOUNT);
    assert_eq!(ours["event_ts"], fixture.world.now().as_millis());
}

const OPERATED_USER: &str = r#"{"event":"NAME","event_ts":1626230691572,"payload":{"account_id":"A","operator":"a@b",
    "operator_id":"z","object":{"id":"x","first_name":"Dana","last_name":"Lee","email":"j@b","type":3}}}"#;

#[test]
fn user_created_comes_before_the_invitation_is_accepted() {
    let fixture = watched();
    fixture.world.create_user(ACCOUNT, NewUser::licensed("new@example.com").invited()).unwrap();
    assert_like(
        &fixture,
        r#"{"event":"user.created","event_ts":1,"payload":{"account_id":"A","operator":"a@b","operator_id":"z",
        "creation_type":"create","object":{"id":"x","first_name":"Jill","last_name":"Chill","display_name":"Jill Chill",
        "email":"j@b","type":3}}}"#,
    );
    assert!(!fixture.world.user(ACCOUNT, "new@example.com").unwrap().is_active());
    fixture.world.accept_invitation(ACCOUNT, "new@example.com").unwrap();
    assert_like(
        &fixture,
        r#"{"event":"user.invitation_accepted","event_ts":1,"payload":{"account_id":"A","object":{"id":"x",
        "first_name":"Jill","last_name":"Chill","email":"j@b","type":3}}}"#,
    );
}

#[test]
fn what_admins_do_to_users_has_an_operator() {
    let fixture = watched();
    let dana = "dana@example.com";
    fixture.world.deactivate(ACCOUNT, dana).unwrap();
    assert_like(&fixture, &OPERATED_USER.replace("NAME", "user.deactivated"));
    fixture.world.activate(ACCOUNT, dana).unwrap();
    assert_like(&fixture, &OPERATED_USER.replace("NAME", "user.activated"));
    fixture.world.disassociate(ACCOUNT, dana).unwrap();
    assert_like(&fixture, &OPERATED_USER.replace("NAME", "user.disassociated"));
    fixture.world.add_user(ACCOUNT, NewUser::basic(dana)).unwrap();
    fixture.world.delete_user(ACCOUNT, dana).unwrap();
    assert_like(&fixture, &OPERATED_USER.replace("NAME", "user.deleted"));
}

#[test]
fn who_is_made_deactivated_and_removed_over_rest_has_the_events_of_the_portal() {
    let fixture = watched();
    let events = || told(&fixture).into_iter().map(|(event, _)| event).collect::<Vec<_>>();
    let make = |action: &str, email: &str| {
        let info = json!({ "email": email, "first_name": "Kim", "last_name": "Park", "type": 2 });
        fixture.call("POST", "/users", &json!({ "action": action, "user_info": info }))
    };
    let (kim, answer) = ("kim@example.com", make("ssoCreate", "Kim@Example.com"));
    let id = fixture.id("kim");
    let expected = json!({ "id": id, "email": kim, "first_name": "Kim", "last_name": "Park", "type": 2 });
    assert_eq!((answer.status, answer.value()), (201, expected));
    assert_refused(&make("create", kim), 409, 1005, "Email \"kim@example.com\" has already been used.");
    assert_refused(&make("conjure", "lee@example.com"), 400, 300, "Validation Failed.");
    assert_refused(&make("create", "lee"), 400, 300, "Validation Failed.");
    assert_eq!(events(), ["user.created"]);

    let set = |action: &str| fixture.call("PUT", &format!("/users/{id}/status"), &json!({ "action": action }));
    for action in ["activate", "clock_in", "deactivate", "deactivate", "activate"] {
        assert_eq!(set(action).status, 200, "{action}");
    }
    assert_refused(&set("retire"), 400, 300, "Validation Failed.");
    assert_eq!(events(), ["user.deactivated", "user.activated"]);

    let remove = |key: &str| fixture.call("DELETE", &format!("/users/{key}"), &Value::Null);
    assert_eq!(remove(kim).status, 204);
    assert_refused(&remove(kim), 404, 1001, "User does not exist: kim@example.com.");
    assert_eq!(make("create", kim).status, 201);
    assert_refused(&remove("kim@example.com?action=delete"), 400, 300, "Validation Failed.");
    fixture.world.accept_invitation(ACCOUNT, kim).unwrap();
    assert_refused(&remove("kim@example.com?transfer_email=kim@example.com"), 400, 300, "Validation Failed.");
    assert_eq!(remove("kim@example.com?action=delete").status, 204);
    assert_eq!(events(), ["user.disassociated", "user.created", "user.invitation_accepted", "user.deleted"]);
}

#[test]
fn user_updated_tells_only_what_changed() {
    let fixture = watched();
    fixture.world.set_licence(ACCOUNT, "dana@example.com", 1).unwrap();
    assert_like(
        &fixture,
        r#"{"event":"user.updated","event_ts":1,"payload":{"account_id":"A","operator":"a@b","operator_id":"e",
        "time_stamp":1,"old_object":{"type":2,"id":"x"},"object":{"type":1,"id":"x"}}}"#,
    );
    fixture.world.set_licence(ACCOUNT, "dana@example.com", 1).unwrap();
    assert!(told(&fixture).is_empty(), "nothing changed");
    fixture.call("PATCH", "/users/dana@example.com", &json!({ "type": 2 }));
    assert_eq!(told(&fixture).len(), 1, "our own writes come back as events");
}

#[test]
fn meetings_have_number_ids_when_scheduled_and_text_ids_when_live() {
    let fixture = watched();
    let fields = json!({
        "type": 8, "start_time": "2030-07-13T21:44:51Z", "recurrence": { "type": 1, "repeat_interval": 2, "end_times": 1 },
        "settings": { "alternative_hosts": "a@b", "join_before_host": true, "jbh_time": 10,
            "meeting_invitees": [{ "email": "j@b" }] },
    });
    let id = fixture.world.create_meeting(ACCOUNT, "dana@example.com", &fields).unwrap();
    assert_like(
        &fixture,
        r#"{"event":"meeting.created","event_ts":1,"payload":{"account_id":"A","operator":"a@b","operator_id":"8",
        "operation":"single","object":{"uuid":"4","id":1234567890,"host_id":"x","topic":"My Meeting","type":8,
        "start_time":"2021","duration":60,"timezone":"A","join_url":"h","password":"P","occurrences":[{
        "duration":60,"occurrence_id":"A","start_time":"2021","status":"available"}],
        "recurrence":{"end_times":5,"repeat_interval":2,"type":1},
        "settings":{"use_pmi":false,"alternative_hosts":"a;b","join_before_host":true,"jbh_time":10,
        "meeting_invitees":[{"email":"j@b"}]}}}}"#,
    );
    fixture.world.update_meeting(ACCOUNT, id, &json!({ "topic": "New" })).unwrap();
    assert_like(
        &fixture,
        r#"{"event":"meeting.updated","event_ts":1,"payload":{"account_id":"A","operator":"a@b","operator_id":"8",
        "scope":"single","time_stamp":1,"object":{"id":9,"topic":"N"},"old_object":{"id":9,"topic":"O"}}}"#,
    );
    let live = r#"{"event":"NAME","payload":{"account_id":"W","object":{"id":"1234567890","uuid":"W","host_id":"W",
        "topic":"My Meeting","type":8,"start_time":"2021","timezone":"A","duration":60END}},"event_ts":1}"#;
    fixture.world.start_meeting(ACCOUNT, id).unwrap();
    assert_like(&fixture, &live.replace("NAME", "meeting.started").replace("END", ""));
    fixture.world.end_meeting(ACCOUNT, id).unwrap();
    assert_like(&fixture, &live.replace("NAME", "meeting.ended").replace("END", r#","end_time":"2021""#));
}

#[test]
fn a_deleted_instant_meeting_has_no_start() {
    let fixture = watched();
    let id = fixture.world.create_meeting(ACCOUNT, "dana@example.com", &json!({ "type": 1 })).unwrap();
    told(&fixture);
    fixture.world.delete_meeting(ACCOUNT, id).unwrap();
    assert_like(
        &fixture,
        r#"{"event":"meeting.deleted","event_ts":1,"payload":{"account_id":"V","operator":"s@e","operator_id":"8",
        "operation":"single","object":{"uuid":"5","id":98884753832,"host_id":"8","topic":"Z","type":1,"duration":60,
        "timezone":"A"}}}"#,
    );
}

#[test]
fn there_is_no_event_for_assistants_and_a_deauthorised_app_stops() {
    let fixture = watched();
    fixture.world.add_user(ACCOUNT, NewUser::licensed("api@example.com")).unwrap();
    assert_eq!(fixture.grant("dana", "api").status, 201);
    assert!(told(&fixture).is_empty());
    fixture.world.deauthorize(ACCOUNT).unwrap();
    assert_like(
        &fixture,
        r#"{"event":"app_deauthorized","event_ts":1,"payload":{"account_id":"A","client_id":"A","deauthorization_time":"2",
        "signature":"8","user_data_retention":null,"user_id":"a"}}"#,
    );
    assert_refused(&fixture.get("/users"), 401, 124, "Invalid access token.");
}

#[test]
fn a_subscription_gets_the_events_it_lists_and_overlapping_ones_get_each_once() {
    let fixture = watched();
    let events = Some(vec!["user.deactivated".to_owned()]);
    let second = Subscription { events, ..Subscription::to_all("http://127.0.0.1:9/two", "t") };
    fixture.world.subscribe(ACCOUNT, second).unwrap();
    fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    fixture.world.activate(ACCOUNT, "dana@example.com").unwrap();
    let names: Vec<String> = told(&fixture).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["user.deactivated", "user.deactivated", "user.activated"]);
}
