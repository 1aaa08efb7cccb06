//! Meetings are made once, in the path that has room.

use adjutant::sim::NewUser;
use serde_json::{Value, json};

use super::kit::{email, school};
use crate::process::service::{ACCOUNT, API_USER};

#[test]
fn a_meeting_is_made_once_for_each_key_with_zooms_own_fields() {
    let served = school("", &["first"], &["first"]);
    let meeting = json!({ "topic": "Algebra", "type": 2, "start_time": "2037-01-01T09:00:00Z", "duration": 45,
        "settings": { "waiting_room": true } });
    let body = json!({ "for": email("first"), "meeting": meeting, "key": "lesson-7" });
    let (status, made) = served.sent("POST", "meetings?wait=60s", &body);
    assert_eq!((status, &made["state"]), (202, &json!("done")), "{made}");
    let (status, again) = served.sent("POST", "meetings?wait=60s", &body);
    assert_eq!((status, &again["id"], &again["meeting"]), (200, &made["id"], &made["meeting"]));
    let zoom = &made["zoom"];
    assert_eq!(
        (&zoom["topic"], &zoom["duration"], &zoom["host_email"]),
        (&json!("Algebra"), &json!(45), &json!(email("first")))
    );
    assert!(zoom["join_url"].is_string() && zoom["start_url"].is_string(), "{zoom}");
    assert_eq!(served.world.meetings(ACCOUNT).len(), 1);
    let (status, problem) =
        served.sent("POST", "meetings", &json!({ "for": email("other"), "meeting": {}, "key": "lesson-7" }));
    assert_eq!(status, 422, "{problem}");
    for (body, status) in [
        (json!({ "for": "nobody at all", "meeting": {} }), 422),
        (json!({ "for": email("first"), "meeting": { "schedule_for": "x" } }), 422),
        (json!({ "for": email("first"), "meeting": { "type": 1 } }), 422),
        (json!({ "for": email("first"), "meeting": { "type": 7 } }), 422),
        (json!({ "for": email("first"), "meeting": [] }), 422),
        (json!({ "for": email("first"), "meeting": { "start_time": "tomorrow" } }), 422),
        (json!({ "for": email("first"), "meeting": { "start_time": 7 } }), 422),
        (json!({ "for": email("first"), "meeting": {}, "pathh": "own" }), 422),
    ] {
        assert_eq!(served.sent("POST", "meetings", &body).0, status, "{body}");
    }
    let listed = served.service.admin("GET", "/v1/errands").unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &made["id"]));
}

/// Asks for so many, and waits for what becomes of each.
fn many(served: &crate::process::served::Served, count: usize, more: &str) -> Vec<Value> {
    let ids: Vec<String> = (0..count)
        .map(|n| {
            let meeting = json!({ "topic": format!("Lesson {n}"), "start_time": "2037-01-01T09:00:00Z" });
            let (status, asked) =
                served.sent("POST", &format!("meetings{more}"), &json!({ "for": email("first"), "meeting": meeting }));
            assert_eq!(status, 202, "{asked}");
            asked["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let wait = |id: &String| served.service.admin("GET", &format!("/v1/errands/{id}?wait=60s")).unwrap();
    ids.iter().map(wait).collect()
}

#[test]
fn three_hundred_meetings_in_a_day_fit_into_four_api_users_exactly() {
    let pool: Vec<String> = (1..4).map(|n| format!("pool-{n}@school.example")).collect();
    let mut served = school("", &["first"], &["first"]);
    for api in &pool {
        served.world.add_user(ACCOUNT, NewUser::licensed(api)).unwrap();
        served.world.grant(ACCOUNT, &email("first"), api).unwrap();
    }
    let all = format!("api_users = [\"{API_USER}\", \"{}\"]", pool.join("\", \""));
    served.reload(|config| config.replace(&format!("api_users = [\"{API_USER}\"]"), &all));
    served.service.wait_until_idle();
    let made = many(&served, 300, "");
    assert!(made.iter().all(|one| one["state"] == "done"), "{:?}", made.iter().find(|one| one["state"] != "done"));
    assert_eq!(served.world.meetings(ACCOUNT).len(), 300);
    assert!(served.world.calls().iter().all(|call| call.status != Some(429)), "nothing was refused");
    let budgets = served.service.admin("GET", "/v1/accounts/test-account/budgets").unwrap();
    let used: Vec<u64> = budgets.as_array().unwrap().iter().map(|one| one["used"].as_u64().unwrap()).collect();
    assert_eq!(used.iter().sum::<u64>(), 300, "{budgets}");
    assert_eq!(used.len(), 4);
    assert!(used.iter().all(|used| (70..=80).contains(used)), "each got its part: {used:?}");
}

#[test]
fn with_one_api_user_a_hundred_are_made_and_the_rest_waits_for_midnight_or_is_refused_at_once() {
    let served = school("", &["first"], &["first"]);
    let made = many(&served, 103, "");
    let states = |state: &str| made.iter().filter(|one| one["state"] == state).count();
    assert_eq!((states("done"), states("waiting")), (100, 3), "{:?}", made.last());
    let waits = made.iter().find(|one| one["state"] == "waiting").unwrap();
    assert!(waits["why"].as_str().unwrap().contains("T00:00:00.000Z"), "{waits}");
    assert!(served.world.calls().iter().all(|call| call.status != Some(429)), "nothing was refused by Zoom");
    let refused = many(&served, 1, "?no_wait=true").remove(0);
    assert_eq!((&refused["state"], &refused["code"]), (&json!("refused"), &json!("budget-used-up")), "{refused}");
    let told = served.told(&["meetings", "budgets"], 0);
    assert!(told.contains(API_USER) && told.contains("100"), "{told}");
    // The host's own path has a budget of its own.
    assert_eq!(served.schedule("first", "own", "Geometry")["state"], "done");
}
