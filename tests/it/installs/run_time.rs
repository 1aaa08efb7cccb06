//! Accounts that are added, changed, paused and let go while the service runs.

use std::time::Duration;

use adjutant::clock::{Clock as _, SystemClock};
use adjutant::sim::{Fault, FaultKind, NewUser, Subscription, Target, sign};
use serde_json::Value;

use super::kit::{Platform, School, platform};
use crate::process::http;

fn own() -> (Platform, School) {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    platform.add_own(&school, "own");
    let url = format!("http://{}/webhooks/own", platform.service.public);
    platform.world.subscribe(&school.id, Subscription::to_all(url, "webhook-secret-of-own")).unwrap();
    platform.until_stands(&school, "active");
    platform.service.wait_until_idle();
    (platform, school)
}

#[test]
fn an_account_with_an_app_of_its_own_is_served_at_once_and_after_a_restart() {
    let (mut platform, school) = own();
    let one = platform.created(&school, "one@school-x.example");
    assert_eq!(platform.granted(&school), std::slice::from_ref(&one));
    let mut platform = platform.killed().started(&[]);
    let other = platform.created(&school, "other@school-x.example");
    let mut both = vec![one, other];
    both.sort();
    assert_eq!(platform.granted(&school), both);
    let again = platform.service.command(&[
        "accounts",
        "add",
        &school.id,
        "--app",
        "another",
        "--client-id",
        "x",
        "--client-secret-file",
        &platform.service.folder().join("own-client").display().to_string(),
        "--webhook-secrets-file",
        &platform.service.folder().join("own-webhook").display().to_string(),
    ]);
    assert_eq!(again.0, 1, "{again:?}");
    assert!(again.2.contains("is served already, by app own"), "{again:?}");
}

#[test]
fn a_paused_account_keeps_its_deliveries_and_jobs_until_it_goes_on_also_over_a_restart() {
    let (mut platform, school) = own();
    let other = platform.school("school-y", 0);
    platform.install(&other, "/install/platform");
    platform.until_stands(&other, "active");
    platform.told(&["accounts", "pause", &school.id], 0);
    let teacher = platform.world.create_user(&school.id, NewUser::licensed("t@school-x.example")).unwrap();
    let due = |platform: &Platform| platform.service.status().unwrap()["due"].as_u64().unwrap();
    while due(&platform) == 0 {
        std::thread::yield_now();
    }
    // Another account is not held up by it.
    let before = platform.granted(&other).len();
    platform.world.create_user(&other.id, NewUser::licensed("t@school-y.example")).unwrap();
    while platform.granted(&other).len() == before {
        std::thread::yield_now();
    }
    let mut platform = platform.killed().started(&[]);
    assert!(due(&platform) >= 1, "its job waits");
    assert_eq!(platform.granted(&school), Vec::<String>::new());
    let listed = platform.told(&["accounts", "list"], 0);
    assert!(listed.contains("active, paused"), "{listed}");
    let told = platform.told(&["attention"], 0);
    assert!(told.contains("paused   account school-x since ") && !told.contains("ALARM"), "{told}");
    platform.told(&["accounts", "resume", &school.id], 0);
    platform.service.wait_until_idle();
    assert_eq!(platform.granted(&school), [teacher]);
}

#[test]
fn the_webhook_secrets_of_an_app_that_was_added_are_changed_without_a_restart() {
    let (mut platform, school) = own();
    let file = platform.service.folder().join("new-webhook");
    std::fs::write(&file, "another-webhook-secret\n").unwrap();
    let file = file.display().to_string();
    platform.told(&["accounts", "change", &school.id, "--webhook-secrets-file", &file], 0);
    let secs = SystemClock.now().as_secs().to_string();
    let answered = |platform: &Platform, secret: &str| {
        let signature = sign(secret, secs.parse().unwrap(), b"{}");
        let headers = [("x-zm-signature", signature.as_str()), ("x-zm-request-timestamp", secs.as_str())];
        http::request(platform.service.public, "POST", "/webhooks/own", &headers, b"{}").unwrap().status
    };
    while answered(&platform, "another-webhook-secret") != 200 {
        assert!(platform.service.is_running(), "{}", platform.service.log());
        std::thread::yield_now();
    }
    assert_ne!(answered(&platform, "webhook-secret-of-own"), 200);
    let other = platform.school("school-y", 0);
    platform.install(&other, "/install/platform");
    let refused = platform.told(&["accounts", "change", &other.id, "--webhook-secrets-file", &file], 1);
    assert!(refused.contains("its secrets are in the configuration"), "{refused}");
}

#[test]
fn an_account_is_changed_and_its_app_ends_with_it() {
    let (platform, school) = own();
    let unknown = platform.service.command(&["accounts", "show", "nobody"]);
    assert_eq!((unknown.0, unknown.2.contains("there is no account nobody")), (1, true), "{unknown:?}");
    let changed = platform.told(&["accounts", "change", &school.id, "--label", "School X", "--plan", "pro"], 0);
    assert!(changed.contains("School X") && changed.contains("pro"), "{changed}");
    let wrong = platform.service.command(&["accounts", "change", &school.id, "--plan", "gold"]);
    assert_eq!(wrong.0, 2, "{wrong:?}");
    // An app that is gone is as unknown as one that never was.
    platform.told(&["accounts", "remove", &school.id, "--yes"], 0);
    loop {
        let answer = http::request(platform.service.public, "POST", "/webhooks/own", &[], b"").unwrap();
        if answer.status == 404 {
            break;
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_client_secret_of_an_app_that_was_added_is_changed_without_a_restart() {
    let (mut platform, school) = own();
    platform.world.set_client_secret(&school.id, "another-client-secret").unwrap();
    platform.world.revoke_tokens(&school.id);
    let (ended, ..) = platform.service.command(&["sweep", "--account", &school.id]);
    assert_ne!(ended, 0, "Zoom refuses the one that it has");
    assert!(platform.told(&["attention"], 0).contains("refuses the app's credentials"));
    let file = platform.service.folder().join("new-client");
    std::fs::write(&file, "another-client-secret\n").unwrap();
    platform.told(&["accounts", "change", &school.id, "--client-secret-file", &file.display().to_string()], 0);
    platform.sweep(&school);
    assert!(!platform.told(&["attention"], 0).contains("refuses the app's credentials"));
}

#[test]
fn what_an_event_asks_for_before_anybody_has_looked_at_a_new_account_is_done_when_somebody_has() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    let url = format!("http://{}/webhooks/own", platform.service.public);
    platform.world.subscribe(&school.id, Subscription::to_all(url, "webhook-secret-of-own")).unwrap();
    // The look takes so long.
    let (target, kind) = (Target::api("GET", "users/owner@"), FaultKind::Delay(Duration::from_secs(2)));
    platform.world.fault(Fault { target, times: u32::MAX, kind });
    platform.add_own(&school, "own");
    let teacher = platform.created(&school, "t@school-x.example");
    platform.world.clear_faults();
    platform.until_stands(&school, "active");
    assert_eq!(platform.granted(&school), [teacher]);
}

#[test]
fn the_jobs_of_an_app_that_does_not_act_any_more_end_with_a_cause_and_the_other_one_does_their_work() {
    let (mut platform, school) = own();
    platform.sweep(&school);
    platform.install(&school, "/install/platform");
    platform.told(&["accounts", "pause", &school.id], 0);
    let silent = platform.world.add_user(&school.id, NewUser::licensed("silent@school-x.example")).unwrap();
    let teacher = platform.world.create_user(&school.id, NewUser::licensed("t@school-x.example")).unwrap();
    let jobs = |platform: &Platform| -> Vec<Value> {
        let all = platform.service.admin("GET", "/v1/jobs").unwrap().as_array().unwrap().clone();
        all.into_iter().filter(|job| job["app"] == "own" && job["state"] != "done").collect()
    };
    while jobs(&platform).is_empty() {
        std::thread::yield_now();
    }
    let parked = jobs(&platform)[0]["id"].as_str().unwrap().to_owned();
    platform.told(&["jobs", "park", &parked], 0);
    platform.told(&["accounts", "change", &school.id, "--app", "platform"], 0);
    platform.until_stands(&school, "active");
    assert!(jobs(&platform).iter().all(|job| job["state"] == "cancelled"), "{:?}", jobs(&platform));
    let told = platform.told(&["jobs", "show", &parked], 0);
    assert!(told.contains("app platform acts for account school-x now"), "{told}");
    let log = platform.told(&["audit", "tail", "--account", &school.id, "--lines", "100"], 0);
    assert!(log.contains("app platform acts for account school-x now"), "{log}");
    platform.told(&["accounts", "resume", &school.id], 0);
    while platform.granted(&school).len() < 2 {
        assert!(platform.service.is_running(), "{}", platform.service.log());
        std::thread::yield_now();
    }
    let mut both = vec![silent, teacher];
    both.sort();
    assert_eq!(platform.granted(&school), both);
}
