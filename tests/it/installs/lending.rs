//! An account is let go while something is lent in it: it is taken back while Zoom takes calls for it, and named else.

use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use serde_json::json;

use super::kit::{CLIENT, Platform, School, unstarted};

/// A school of which two can be lent for: a move that holds what is lent to it, since Zoom fails what comes after.
fn lending() -> (Platform, School) {
    let lends = |config: &str| config.replace("[sweep]", "[moves]\nlend = true\n[sweep]");
    let mut platform = unstarted("installer", "open").configured(lends).started(&[]);
    let school = platform.school("school-x", 0);
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    platform.service.wait_until_idle();
    for name in ["first", "new"] {
        platform.world.add_user(&school.id, NewUser::licensed(&email(name))).unwrap();
    }
    let meeting = platform.world.create_meeting(&school.id, &email("first"), &json!({ "topic": "Own" })).unwrap();
    let kind = FaultKind::Error { status: 503, body: "{}".to_owned() };
    platform.world.fault(Fault { target: Target::api("PATCH", "/meetings/"), times: u32::MAX, kind });
    let body = json!({ "to": email("new"), "lend": true }).to_string();
    let path = format!("/v1/accounts/{}/meetings/{meeting}/move", school.id);
    let (status, told) = platform.service.send("POST", &path, body.as_bytes()).unwrap();
    assert!(status < 300, "{told}");
    platform.until(|platform| platform.world.count_calls("PATCH", "/meetings/") > 0);
    assert_eq!(platform.world.assistants(&school.id, &email("new")), [email("first")], "it is lent");
    (platform, school)
}

fn email(name: &str) -> String {
    format!("{name}@school-x.example")
}

#[test]
fn what_is_lent_in_an_account_that_a_person_removes_is_taken_back_before_its_tokens_are_erased() {
    let (mut platform, school) = lending();
    let told = platform.told(&["accounts", "remove", &school.id, "--yes"], 0);
    assert!(told.contains("first@school-x.example can schedule for new@school-x.example, lent at"), "{told}");
    assert!(told.contains("that is taken back first"), "{told}");
    platform.until(|platform| platform.accounts().is_empty());
    assert_eq!(platform.world.assistants(&school.id, &email("new")), Vec::<String>::new());
    assert_eq!(platform.world.installs(CLIENT), [], "its tokens were given back");
    assert_eq!(platform.world.crossings(), []);
}

#[test]
fn what_is_lent_in_an_account_is_taken_back_first_also_where_everything_else_is_taken_back_and_over_a_kill() {
    let (platform, school) = lending();
    platform.told(&["accounts", "remove", &school.id, "--take-back", "--yes"], 0);
    let mut platform = platform.killed().started(&[]);
    platform.until(|platform| platform.accounts().is_empty());
    assert_eq!(platform.world.assistants(&school.id, &email("new")), Vec::<String>::new());
}

#[test]
fn what_stays_lent_where_zoom_takes_no_calls_any_more_is_named_on_record_and_to_whoever_removes_the_account() {
    let (mut platform, school) = lending();
    platform.world.remove_app(CLIENT, &school.admin).unwrap();
    platform.until_stands(&school, "needs-authorising");
    let words = "first@school-x.example can schedule for new@school-x.example still: it was lent at";
    let log = |platform: &Platform| platform.told(&["audit", "tail", "--lines", "1000", "--json"], 0);
    platform.until(|platform| log(platform).contains(words));
    assert_eq!(platform.world.assistants(&school.id, &email("new")), [email("first")]);
    let lent = &platform.account(&school)["lent"][0];
    assert_eq!((&lent["assistant"], &lent["stays"]), (&json!(email("first")), &json!(true)));
    assert_eq!(log(&platform).matches(words).count(), 1, "once");
    let told = platform.told(&["accounts", "remove", &school.id, "--yes"], 0);
    assert!(told.contains("stays so at Zoom until an admin of the account takes it back"), "{told}");
    platform.until(|platform| platform.accounts().is_empty());
}

#[test]
fn what_stayed_lent_is_taken_back_when_the_app_is_authorised_again() {
    let (mut platform, school) = lending();
    platform.world.remove_app(CLIENT, &school.admin).unwrap();
    platform.until_stands(&school, "needs-authorising");
    platform.until(|platform| platform.account(&school)["installations"].as_array().unwrap().is_empty());
    platform.world.clear_faults();
    let mut platform = platform.killed().started(&[]);
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    platform.until(|platform| platform.world.assistants(&school.id, &email("new")).is_empty());
}
