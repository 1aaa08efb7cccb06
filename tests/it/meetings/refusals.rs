//! What Zoom would refuse of a move is said before it is asked; and what else can be had.

use adjutant::sim::NewUser;
use serde_json::json;

use super::kit::{LENDING, email, school};
use crate::process::service::{ACCOUNT, API_USER};

#[test]
fn a_check_names_the_one_thing_that_is_missing() {
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
        let to = email(to);
        let words = ["meetings", "move", &id.to_string(), "--to", &to, "--check"].map(str::to_owned);
        let told = served.told(&words.iter().map(String::as_str).collect::<Vec<_>>(), 1);
        assert!(told.starts_with("no: ") && told.contains(said), "{told}");
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
fn a_check_says_how_it_would_be_done_as_it_is_asked_for() {
    let served = school(LENDING, &["first", "new"], &["first", "new"]);
    let own = served.world.create_meeting(ACCOUNT, &email("first"), &json!({ "topic": "Own" })).unwrap();
    let running = served.world.create_meeting(ACCOUNT, &email("first"), &json!({})).unwrap();
    let pool = served.world.create_meeting(ACCOUNT, API_USER, &json!({ "schedule_for": email("first") })).unwrap();
    served.world.start_meeting(ACCOUNT, running).unwrap();
    for (id, to, asked, how, said) in [
        (pool, "new", "", "direct", "api-user@school.example, who scheduled it for its host, is an assistant of new@"),
        (pool, "first", "", "", "first@school.example hosts it already"),
        (own, "new", "lend", "lend", "is lent to first@school.example, who hosts it"),
        (own, "new", "alternative", "alternative", "new@school.example would become alternative host"),
        (own, "new", "recreate", "recreate", "would be made anew with another link"),
        (running, "new", "when_ended", "when_ended", "when it has ended it is looked at again"),
    ] {
        let mut body = json!({ "to": email(to) });
        if !asked.is_empty() {
            body[asked] = json!(true);
        }
        let (status, view) = served.sent("POST", &format!("meetings/{id}/move?check=true"), &body);
        assert_eq!((status, &view["can_move"], &view["code"]), (200, &json!(true), &json!(null)), "{view}");
        assert_eq!(view["how"].as_str().unwrap_or(""), how, "{view}");
        assert_eq!(view["left_today"], 100, "{view}");
        assert!(view["why"].as_str().unwrap().contains(said), "{view}");
        let (id, to) = (id.to_string(), email(to));
        let option = format!("--{}", asked.replace('_', "-"));
        let mut words = vec!["meetings", "move", &id, "--to", &to, "--check"];
        words.extend((!asked.is_empty()).then_some(option.as_str()));
        let told = served.told(&words, 0);
        assert!(told.starts_with("yes: meeting ") && told.contains(said), "{told}");
    }
    let refused = served.sent(
        "POST",
        &format!("meetings/{running}/move?check=true"),
        &json!({ "to": email("new"), "recreate": true }),
    );
    assert_eq!((&refused.1["can_move"], &refused.1["code"]), (&json!(false), &json!("in-progress")), "{}", refused.1);
    assert!(served.world.count_calls("PATCH", "") + served.world.count_calls("POST", "/meetings") == 0);
}

#[test]
fn a_meeting_with_more_settings_than_a_document_holds_is_moved() {
    let served = school("", &["first", "new"], &["first", "new"]);
    let many: serde_json::Map<String, serde_json::Value> =
        (0..2_000).map(|n| (format!("setting-{n}"), json!("x".repeat(50)))).collect();
    for settings in [json!({ "language_interpretation": "x".repeat(70 << 10) }), many.into()] {
        let fields = json!({ "schedule_for": email("first"), "settings": settings });
        let id = served.world.create_meeting(ACCOUNT, API_USER, &fields).unwrap();
        let moved = served.give(id, "new", &json!({}));
        assert_eq!((&moved["state"], served.host(id).as_str()), (&json!("done"), "new"), "{moved}");
        assert_eq!(moved["notes"], json!([]), "all of it is as before");
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
