//! Accounts that are let go: by their admin, by Zoom's refusals, by a person.

use std::time::Duration;

use adjutant::clock::{Clock as _, SystemClock, Timestamp};
use adjutant::sim::{NewUser, sign};

use super::kit::{CLIENT, Platform, School, platform};
use crate::process::http;
use crate::process::service::SECRET;

#[test]
fn an_account_whose_admin_removes_the_app_is_let_go_and_its_jobs_stop() {
    let mut platform = platform("installer", "open");
    let (school, other) = (platform.school("school-x", 0), platform.school("school-y", 0));
    for school in [&school, &other] {
        platform.install(school, "/install/platform");
        platform.until_stands(school, "active");
    }
    platform.service.wait_until_idle();
    platform.told(&["accounts", "pause", &school.id], 0);
    platform.world.create_user(&school.id, NewUser::licensed("t@school-x.example")).unwrap();
    while platform.service.status().unwrap()["due"] != 1 {
        std::thread::yield_now();
    }
    platform.world.remove_app(CLIENT, &school.admin).unwrap();
    platform.until_stands(&school, "needs-authorising");
    while platform.service.status().unwrap()["due"] != 0 {
        std::thread::yield_now();
    }
    while !platform.account(&school)["installations"].as_array().unwrap().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(platform.account(&other)["standing"], "active");
    let teacher = platform.created(&other, "t@school-y.example");
    assert_eq!(platform.granted(&other), [teacher]);
    // Installed again, it is served as before; the pause was a person's, and stays.
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    platform.told(&["accounts", "resume", &school.id], 0);
    platform.sweep(&school);
    platform.service.wait_until_idle();
    assert_eq!(platform.granted(&school).len(), 1);
}

/// A school of which two teachers have granted the admin.
fn granted_to_two() -> (Platform, School) {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 2);
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    platform.sweep(&school);
    platform.service.wait_until_idle();
    assert_eq!(platform.granted(&school).len(), 2);
    (platform, school)
}

fn until_forgotten(platform: &mut Platform) {
    while !platform.accounts().is_empty() {
        assert!(platform.service.is_running(), "{}", platform.service.log());
        std::thread::yield_now();
    }
}

#[test]
fn removing_an_account_takes_back_what_its_api_user_was_granted_first() {
    let (mut platform, school) = granted_to_two();
    let unasked = platform.service.command(&["accounts", "remove", &school.id]);
    assert_eq!(unasked.0, 2, "{unasked:?}");
    platform.told(&["accounts", "remove", &school.id, "--take-back", "--yes"], 0);
    until_forgotten(&mut platform);
    assert_eq!(platform.granted(&school), Vec::<String>::new());
    assert_eq!(platform.world.installs(CLIENT), [], "its tokens were given back");
    assert_eq!(platform.world.crossings(), []);
}

/// Zoom tells now of a removal that happened then.
fn tells_of_a_removal(platform: &mut Platform, school: &School, at: Timestamp) {
    let user = platform.world.user(&school.id, &school.admin).unwrap().id;
    let payload = serde_json::json!({ "account_id": school.id, "user_id": user, "client_id": CLIENT });
    let body = serde_json::json!({ "event": "app_deauthorized", "event_ts": at.as_millis(), "payload": payload });
    let (body, secs) = (body.to_string(), SystemClock.now().as_secs());
    let (signature, secs) = (sign(SECRET, secs, body.as_bytes()), secs.to_string());
    let headers = [("x-zm-signature", signature.as_str()), ("x-zm-request-timestamp", secs.as_str())];
    let answer = http::request(platform.service.public, "POST", "/webhooks/platform", &headers, body.as_bytes());
    assert_eq!(answer.unwrap().status, 200);
    platform.service.wait_until_idle();
}

#[test]
fn a_removal_that_is_told_late_leaves_who_has_installed_the_app_since_served() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    let before = SystemClock.now().minus(Duration::from_millis(1));
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    tells_of_a_removal(&mut platform, &school, before);
    assert_eq!(platform.account(&school)["standing"], "active");
    assert_eq!(platform.account(&school)["installations"][0]["lost_at"], serde_json::Value::Null);
    tells_of_a_removal(&mut platform, &school, SystemClock.now());
    assert_eq!(platform.account(&school)["standing"], "needs-authorising");
}

#[test]
fn removing_an_account_takes_back_also_what_an_api_user_of_before_was_granted() {
    let (mut platform, school) = granted_to_two();
    platform.world.add_user(&school.id, NewUser::licensed("api@school-x.example")).unwrap();
    let changed = platform.told(&["accounts", "change", &school.id, "--api-user", "api@school-x.example"], 0);
    assert!(changed.contains("keeps what was granted before") && changed.contains("take-back --api-user"), "{changed}");
    platform.until_stands(&school, "active");
    for _ in 0..2 {
        platform.told(&["accounts", "remove", &school.id, "--take-back", "--yes"], 0);
    }
    until_forgotten(&mut platform);
    assert_eq!(platform.granted(&school), Vec::<String>::new());
}

#[test]
fn what_cannot_be_taken_back_is_refused_and_not_left_in_silence() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    platform.world.remove_app(CLIENT, &school.admin).unwrap();
    platform.until_stands(&school, "needs-authorising");
    let refused = platform.told(&["accounts", "remove", &school.id, "--take-back", "--yes"], 1);
    assert!(refused.contains("cannot be taken back"), "{refused}");
    platform.told(&["accounts", "remove", &school.id, "--yes"], 0);
    until_forgotten(&mut platform);
    // It is forgotten, so its admin may come again.
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
}
