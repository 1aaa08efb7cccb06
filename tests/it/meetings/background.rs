//! What was written in Zoom's forum about changing hosts, step by step.

use serde_json::json;

use super::kit::{LENDING, email, school};
use crate::process::service::{ACCOUNT, API_USER};

#[test]
fn a_meeting_of_the_hosts_own_path_moves_only_by_a_privilege_that_is_lent_and_taken_back() {
    let served = school(LENDING, &["first", "new"], &["first", "new"]);
    let made = served.schedule("first", "own", "Algebra");
    let id = made["meeting"].as_u64().unwrap_or_else(|| panic!("{made}"));
    assert_eq!((served.host(id).as_str(), &made["state"]), ("first", &json!("done")));
    // The API user is everyone's assistant, and Zoom refuses all the same.
    for name in ["first", "new"] {
        assert_eq!(served.world.assistants(ACCOUNT, &email(name)), [API_USER]);
    }
    let said = served.check(id, "new");
    assert_eq!((&said["can_move"], &said["code"]), (&json!(false), &json!("no-privilege")), "{said}");
    let why = said["why"].as_str().unwrap();
    assert!(why.contains("first@school.example, who hosts it, is no assistant of new@school.example"), "{why}");
    assert!(said["advice"].as_str().unwrap().contains("--lend grants the privilege for this move alone"), "{said}");
    let refused = served.give(id, "new", &json!({}));
    assert_eq!((&refused["state"], &refused["code"]), (&json!("refused"), &json!("no-privilege")), "{refused}");
    assert_eq!(served.world.count_calls("PATCH", "/meetings/"), 0, "what Zoom would refuse is not sent");
    let before = served.world.meeting(ACCOUNT, id).unwrap();
    let moved = served.give(id, "new", &json!({ "lend": true }));
    assert_eq!((&moved["state"], served.host(id).as_str()), (&json!("done"), "new"), "{moved}");
    let notes = moved["notes"].to_string();
    assert!(notes.contains("the privilege was lent for") && notes.contains("taken back"), "{notes}");
    assert_eq!(served.world.assistants(ACCOUNT, &email("new")), [API_USER], "as before");
    let after = served.world.meeting(ACCOUNT, id).unwrap();
    assert_eq!((before.join_url(), &before.password), (after.join_url(), &after.password));
    assert!(moved["zoom"]["start_url"].as_str().unwrap().contains(&served.id(&email("new"))), "{moved}");
    let log = served.told(&["audit", "tail", "--lines", "1000", "--json"], 0);
    assert!(log.contains("lend the privilege to schedule for new@school.example"), "{log}");
    assert!(log.contains("link, passcode, settings and recurrence as before"), "{log}");
}

#[test]
fn a_meeting_of_the_pool_moves_directly_and_back_and_forth() {
    let served = school("", &["first", "new"], &["first", "new"]);
    let made = served.schedule("first", "movable", "Algebra");
    let id = made["meeting"].as_u64().unwrap_or_else(|| panic!("{made}"));
    assert_eq!(served.host(id), "first");
    let grants = served.world.count_calls("POST", "/assistants");
    assert_eq!(served.world.meeting(ACCOUNT, id).unwrap().path_user, served.id(API_USER));
    for to in ["new", "first", "new"] {
        let said = served.check(id, to);
        assert_eq!(said["can_move"], true, "{said}");
        let moved = served.give(id, to, &json!({}));
        assert_eq!((&moved["state"], served.host(id).as_str()), (&json!("done"), to), "{moved}");
        assert_eq!(moved["notes"], json!([]), "nothing but the host is otherwise");
    }
    let again = served.give(id, "new", &json!({}));
    assert!(again["notes"].to_string().contains("hosts it already"), "{again}");
    assert_eq!(served.world.count_calls("POST", "/assistants"), grants, "nothing was lent");
}

#[test]
fn where_another_users_privilege_counts_than_the_facts_favour_that_one_is_tried_and_remembered() {
    let served = school("", &["first", "new", "last"], &["first"]);
    served.world.set_quirks(ACCOUNT, |quirks| quirks.move_needs = adjutant::sim::Principal::Host).unwrap();
    for (host, assistant) in [("new", "first"), ("new", "api-user"), ("last", "new"), ("last", "api-user")] {
        served.world.grant(ACCOUNT, &email(host), &email(assistant)).unwrap();
    }
    let id = served.schedule("first", "movable", "Algebra")["meeting"].as_u64().unwrap();
    for to in ["new", "last"] {
        let moved = served.give(id, to, &json!({}));
        assert_eq!((&moved["state"], served.host(id).as_str()), (&json!("done"), to), "{moved}");
    }
}
