//! Everything that Zoom refuses of a move, said before it is asked: as a sentence, a code, an exit code, and on record.

use adjutant::sim::NewUser;
use serde_json::json;

use super::kit::{email, school};
use crate::process::service::{ACCOUNT, API_USER};

#[test]
fn each_refusal_names_the_one_thing_that_is_missing() {
    let served = school("", &["first", "new", "idle", "basic"], &["first", "new"]);
    served.world.set_licence(ACCOUNT, &email("basic"), 1).unwrap();
    served.world.deactivate(ACCOUNT, &email("idle")).unwrap();
    let meeting = |fields: serde_json::Value| served.world.create_meeting(ACCOUNT, API_USER, &fields).unwrap();
    let pool = meeting(json!({ "schedule_for": email("first"), "topic": "Algebra" }));
    let own = served.world.create_meeting(ACCOUNT, &email("first"), &json!({ "topic": "Own" })).unwrap();
    let instant = served.world.create_meeting(ACCOUNT, &email("first"), &json!({ "type": 1 })).unwrap();
    let running = meeting(json!({ "schedule_for": email("first") }));
    served.world.start_meeting(ACCOUNT, running).unwrap();
    for (id, to, code, said) in [
        (7, "new", "meeting-unknown", "meeting 7: Zoom does not know the meeting"),
        (instant, "new", "instant-meeting", "is instant"),
        (running, "new", "in-progress", "is running"),
        (pool, "nobody", "host-unknown", "has no user nobody@school.example"),
        (pool, "basic", "host-unlicensed", "basic@school.example has no licence"),
        (pool, "idle", "host-inactive", "idle@school.example is deactivated"),
        (own, "new", "no-privilege", "first@school.example, who hosts it, is no assistant of new@school.example"),
    ] {
        let view = served.check(id, to);
        assert_eq!((&view["can_move"], &view["code"]), (&json!(false), &json!(code)), "{view}");
        assert!(view["why"].as_str().unwrap().contains(said), "{view}");
        let refused = served.give(id, to, &json!({}));
        assert_eq!((&refused["state"], &refused["code"]), (&json!("refused"), &json!(code)), "{refused}");
        let to = email(to);
        let words = ["meetings", "move", &id.to_string(), "--to", &to, "--check"].map(str::to_owned);
        let told = served.told(&words.iter().map(String::as_str).collect::<Vec<_>>(), 1);
        assert!(told.starts_with("no: ") && told.contains(said), "{told}");
        let log = served.told(&["audit", "tail", "--lines", "1000", "--json"], 0);
        assert!(log.contains(&format!("{code}: ")), "{code} is on record: {log}");
    }
    assert_eq!(served.world.count_calls("PATCH", "/meetings/"), 0, "nothing was sent that Zoom would refuse");
}

#[test]
fn whose_privilege_counts_has_to_be_there_active_and_licensed() {
    for (what, code) in [("inactive", "principal-inactive"), ("basic", "principal-unlicensed")] {
        let served = school("", &["first", "new"], &["first", "new"]);
        let scheduler = email("scheduler");
        served.world.add_user(ACCOUNT, NewUser::licensed(&scheduler)).unwrap();
        served.world.grant(ACCOUNT, &email("first"), &scheduler).unwrap();
        served.world.grant(ACCOUNT, &email("new"), &scheduler).unwrap();
        let fields = json!({ "schedule_for": email("first") });
        let id = served.world.create_meeting(ACCOUNT, &scheduler, &fields).unwrap();
        if what == "basic" {
            served.world.set_licence(ACCOUNT, &scheduler, 1).unwrap();
        } else {
            served.world.deactivate(ACCOUNT, &scheduler).unwrap();
        }
        let view = served.check(id, "new");
        assert_eq!(view["code"], code, "{view}");
        assert!(view["why"].as_str().unwrap().contains(&scheduler), "{view}");
    }
}

#[test]
fn what_cannot_be_moved_gets_an_alternative_host_or_another_meeting_where_somebody_asks_for_it() {
    let served = school("", &["first", "new"], &["first", "new"]);
    let own = |topic: &str| {
        let fields = json!({ "topic": topic, "start_time": "2037-01-01T09:00:00Z", "password": "secret7" });
        served.world.create_meeting(ACCOUNT, &email("first"), &fields).unwrap()
    };
    let id = own("Shared");
    let shared = served.give(id, "new", &json!({ "alternative": true }));
    assert_eq!((&shared["state"], served.host(id).as_str()), (&json!("done"), "first"), "{shared}");
    let settings = served.world.meeting(ACCOUNT, id).unwrap().settings;
    assert_eq!(settings["alternative_hosts"], json!(email("new")));
    assert!(shared["notes"].to_string().contains("is now an alternative host"), "{shared}");
    let old = own("Anew");
    let anew = served.give(old, "new", &json!({ "recreate": true }));
    assert_eq!(anew["state"], "done", "{anew}");
    let new = anew["meeting"].as_u64().unwrap();
    assert_eq!((served.host(new).as_str(), new == old), ("new", false));
    assert!(served.world.meeting(ACCOUNT, old).is_none_or(|old| old.deleted), "the old one is gone");
    let made = served.world.meeting(ACCOUNT, new).unwrap();
    assert_eq!((made.topic.as_str(), made.password.as_str()), ("Anew", "secret7"));
    let notes = anew["notes"].to_string();
    assert!(notes.contains(&old.to_string()) && notes.matches("https://").count() == 2, "both links are told: {notes}");
}

#[test]
fn a_meeting_that_runs_is_moved_when_it_has_ended() {
    let served = school("", &["first", "new"], &["first", "new"]);
    let id = served.world.create_meeting(ACCOUNT, API_USER, &json!({ "schedule_for": email("first") })).unwrap();
    served.world.start_meeting(ACCOUNT, id).unwrap();
    let waits = served.give(id, "new", &json!({ "when_ended": true }));
    assert_eq!((&waits["state"], &waits["code"]), (&json!("waiting"), &json!("meeting-in-progress")), "{waits}");
    let (status, problem) = served.sent("POST", &format!("meetings/{id}/move"), &json!({ "to": email("new") }));
    assert_eq!(status, 409, "one at a time: {problem}");
    served.world.end_meeting(ACCOUNT, id).unwrap();
    let event = json!({ "event": "meeting.ended", "event_ts": 9_999_999_999_999_i64, "payload": { "account_id": ACCOUNT,
        "object": { "id": id.to_string(), "uuid": "x==", "host_id": served.id(&email("first")) } } });
    assert_eq!(served.service.deliver(&event.to_string()).unwrap(), 200);
    let path = format!("/v1/errands/{}?wait=60s", waits["id"].as_str().unwrap());
    while served.service.admin("GET", &path).unwrap()["state"] != "done" {
        std::thread::yield_now();
    }
    assert_eq!(served.host(id), "new");
}
