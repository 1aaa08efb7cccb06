//! Every refusal of another host, and what a move leaves as it was.

use super::*;

const OTHER: &str = "CCCCCCDDDD";
const OUTSIDE: &str = "owner@ccccccdddd.example";

fn made(fixture: &Fixture, body: &Value) -> String {
    let answer = fixture.call("POST", "/users/api@example.com/meetings", body);
    assert_eq!(answer.status, 201, "{:?}", answer.value());
    format!("/meetings/{}", answer.value()["id"])
}

fn to(name: &str) -> Value {
    json!({ "schedule_for": email(name) })
}

/// The API user may schedule for both others.
fn pool() -> Fixture {
    let fixture = Fixture::with_licensed(&["api", "dana", "lee"]);
    fixture.grant("dana", "api");
    fixture.grant("lee", "api");
    fixture
}

#[test]
fn a_move_leaves_link_passcode_and_recurrence_and_names_who_may_move_it_on() {
    let fixture = pool();
    let recurrence = json!({ "type": 2, "repeat_interval": 1, "end_times": 7 });
    let mut fields = json!({ "type": 8, "start_time": "2030-01-01T10:00:00Z", "recurrence": recurrence });
    fields["schedule_for"] = json!(email("dana"));
    let path = made(&fixture, &fields);
    let before = fixture.get(&path).value();
    for host in ["lee", "dana", "lee"] {
        assert_eq!(fixture.call("PATCH", &path, &to(host)).status, 204);
        let after = fixture.get(&path).value();
        assert_eq!((&after["host_id"], &after["assistant_id"]), (&json!(fixture.id(host)), &json!(fixture.id("api"))));
        for same in ["id", "uuid", "join_url", "password", "recurrence", "occurrences", "settings"] {
            assert_eq!(after[same], before[same], "{same}");
        }
    }
    assert_ne!(fixture.get(&path).value()["start_url"], before["start_url"], "it is the new host's");
    assert_eq!(fixture.call("PATCH", &path, &to("api")).status, 204, "nobody needs a privilege for themselves");
    assert_eq!(fixture.get(&path).value()["assistant_id"], Value::Null);
    assert_eq!(fixture.world.meeting_writes_left(ACCOUNT, "api@example.com"), 95, "all count for the path user");
    assert_eq!(fixture.world.meeting_writes_left(ACCOUNT, "dana@example.com"), 100);
}

#[test]
fn both_users_need_a_licence_and_to_be_active_when_it_is_moved() {
    for (who, licensed) in [("lee", true), ("api", true), ("lee", false), ("api", false)] {
        let fixture = pool();
        let path = made(&fixture, &to("dana"));
        if licensed {
            fixture.world.set_licence(ACCOUNT, &email(who), 1).unwrap();
        } else {
            fixture.world.deactivate(ACCOUNT, &email(who)).unwrap();
        }
        let text = format!("You cannot schedule a meeting for {}", fixture.id("lee"));
        assert_refused(&fixture.call("PATCH", &path, &to("lee")), 400, 3000, &text);
        fixture.world.set_quirks(ACCOUNT, |quirks| quirks.lost_privilege_is_3003 = true).unwrap();
        assert_refused(&fixture.call("PATCH", &path, &to("lee")), 400, 3003, "Not meeting host");
    }
}

#[test]
fn nobody_who_is_pending_or_of_a_blocked_domain_is_scheduled_for() {
    let fixture = pool();
    let path = made(&fixture, &to("dana"));
    fixture.world.create_user(ACCOUNT, NewUser::licensed("new@example.com").invited()).unwrap();
    let text = format!("You cannot schedule a meeting for {}", fixture.id("new"));
    assert_refused(&fixture.call("PATCH", &path, &to("new")), 400, 3000, &text);
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.blocked_domain = Some("example.com".to_owned())).unwrap();
    let text = "You cannot schedule a meeting with lee@example.com, who is of a blocked domain.";
    assert_refused(&fixture.call("PATCH", &path, &to("lee")), 400, 3000, text);
}

#[test]
fn instant_and_pre_scheduled_meetings_have_one_host_and_webinars_are_no_meetings() {
    let fixture = pool();
    let instant = made(&fixture, &json!({ "type": 1 }));
    let text = "Instant meetings do not support the schedule_for parameter.";
    assert_refused(&fixture.call("PATCH", &instant, &to("dana")), 400, 3000, text);
    let pre_scheduled = made(&fixture, &json!({ "pre_schedule": true }));
    assert_eq!(fixture.get(&pre_scheduled).value()["pre_schedule"], true);
    let text = "Pre-scheduled meetings do not support the schedule_for parameter.";
    assert_refused(&fixture.call("PATCH", &pre_scheduled, &to("dana")), 400, 3000, text);
    let webinar = fixture.world.create_webinar(ACCOUNT, "dana@example.com", &json!({ "topic": "Open day" })).unwrap();
    let path = format!("/meetings/{webinar}");
    let none = Value::Null;
    for (method, body) in [("GET", &none), ("PATCH", &to("lee")), ("DELETE", &none)] {
        assert_refused(&fixture.call(method, &path, body), 400, 3000, "Cannot access webinar info.");
    }
    assert_eq!(fixture.get("/users/dana@example.com/meetings").value()["total_records"], 0);
}

#[test]
fn whoever_is_granted_twice_is_told_so_in_one_of_two_wordings() {
    let fixture = pool();
    let text = "User api@example.com has already granted scheduling privilege.";
    assert_refused(&fixture.grant("dana", "api"), 400, 200, text);
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.duplicates_in_old_words = true).unwrap();
    let text = "User api@example.com already has the scheduling privilege for you.";
    assert_refused(&fixture.grant("dana", "api"), 400, 200, text);
}

#[test]
fn a_day_has_a_hundred_creates_and_updates_and_moves_are_among_them() {
    let fixture = pool();
    let path = made(&fixture, &to("dana"));
    fixture.world.spend_meeting_writes(ACCOUNT, "api@example.com", 99).unwrap();
    let answer = fixture.call("PATCH", &path, &to("lee"));
    let text = "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this particular \
                user. You may resume these requests at GMT 00:00:00.";
    assert_refused(&answer, 429, 429, text);
    let told = ["Retry-After", "X-RateLimit-Category", "X-RateLimit-Remaining"].map(|name| answer.header(name));
    assert_eq!(told, [None, Some("Light"), Some("5893")]);
    assert_eq!(fixture.call("DELETE", &path, &Value::Null).status, 204, "deleting draws on nobody's");
}

/// Another account, whose owner is licensed, in one organisation with the first.
fn organisation(shares_privilege: bool) -> Fixture {
    let fixture = pool();
    fixture.world.add_account(NewAccount::named(OTHER)).unwrap();
    for account in [ACCOUNT, OTHER] {
        let organisation = Organisation { name: "district".to_owned(), shares_privilege };
        fixture.world.join(account, organisation).unwrap();
    }
    fixture
}

#[test]
fn in_an_organisation_whose_setting_allows_it_privilege_and_meetings_go_across_accounts() {
    let fixture = organisation(true);
    let path = made(&fixture, &to("dana"));
    let host = fixture.world.user(OTHER, OUTSIDE).unwrap().id;
    let to_them = json!({ "schedule_for": OUTSIDE });
    let text = format!("You cannot schedule a meeting for {host}");
    assert_refused(&fixture.call("PATCH", &path, &to_them), 400, 3000, &text);
    fixture.world.grant(OTHER, OUTSIDE, "api@example.com").unwrap();
    assert_eq!(fixture.world.assistants(OTHER, OUTSIDE), ["api@example.com"]);
    assert_eq!(fixture.get("/users/api@example.com/schedulers").value()["schedulers"][2]["email"], OUTSIDE);
    let chat = json!({ "settings": { "continuous_meeting_chat": { "enable": true } } });
    fixture.call("PATCH", &path, &chat);
    let text = "You cannot schedule a meeting for a user outside of your account for a meeting with continuous chat.";
    assert_refused(&fixture.call("PATCH", &path, &to_them), 400, 3000, text);
    fixture.call("PATCH", &path, &json!({ "settings": { "continuous_meeting_chat": { "enable": false } } }));
    assert_eq!(fixture.call("PATCH", &path, &to_them).status, 204);
    let after = fixture.get(&path).value();
    assert_eq!((&after["host_id"], &after["host_email"]), (&json!(host), &json!(OUTSIDE)));
    fixture.world.withdraw(OTHER, OUTSIDE, "api@example.com").unwrap();
    assert!(fixture.world.assistants(OTHER, OUTSIDE).is_empty());
}

#[test]
fn where_the_setting_is_off_another_account_of_the_organisation_is_as_any_other() {
    let fixture = organisation(false);
    let foreign = json!({ "assistants": [{ "email": OUTSIDE }] });
    let answer = fixture.call("POST", "/users/dana@example.com/assistants", &foreign);
    assert_refused(&answer, 400, 200, &format!("User {OUTSIDE} doesn't belong to current account."));
    let path = made(&fixture, &to("dana"));
    let text = "The value that you entered in the schedule_for field is invalid. Enter a valid value and try again.";
    assert_refused(&fixture.call("PATCH", &path, &json!({ "schedule_for": OUTSIDE })), 400, 300, text);
}
