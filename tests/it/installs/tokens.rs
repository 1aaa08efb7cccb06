//! Tokens that rotate: one refresh at a time, stored before use, and what becomes of one that is lost.

use adjutant::sim::{Fault, FaultKind, NewUser, OauthError, Target};
use serde_json::{Value, json};

use super::kit::{CLIENT, Platform, School, platform};

/// Zoom does not take the next access token, so that a refresh is needed.
fn spoil_the_next_call(platform: &Platform) {
    let body = r#"{"code":124,"message":"Invalid access token."}"#.to_owned();
    let kind = FaultKind::Error { status: 401, body };
    platform.world.fault(Fault { target: Target::any_api(), times: 1, kind });
}

fn installed(api_user: &str) -> (Platform, School) {
    let platform = platform(api_user, "open");
    let school = platform.school("school-x", 0);
    (standing(platform, &school), school)
}

fn standing(mut platform: Platform, school: &School) -> Platform {
    platform.install(school, "/install/platform");
    platform.until_stands(school, "active");
    platform.service.wait_until_idle();
    platform
}

#[test]
fn a_token_that_zoom_does_not_take_is_refreshed_once_and_work_goes_on() {
    let (mut platform, school) = installed("installer");
    for n in 0..3 {
        spoil_the_next_call(&platform);
        let teacher = platform.created(&school, &format!("t{n}@school-x.example"));
        assert!(platform.granted(&school).contains(&teacher));
    }
    assert_eq!(platform.account(&school)["standing"], "active");
    assert_eq!(platform.world.crossings(), []);
}

#[test]
fn a_crash_around_a_refresh_ends_in_a_working_account_or_in_a_clear_authorise_again() {
    // Before Zoom was asked, after it answered and before the answer was stored, and after that.
    for (place, standing_then) in
        [("refresh-asked", "active"), ("refresh-answered", "needs-authorising"), ("refresh-saved", "active")]
    {
        let (mut platform, school) = installed("installer");
        platform.service.kill();
        let place = format!("{place}:1");
        let mut platform = platform.started(&[("ADJUTANT_BREAK_AT", &place)]);
        spoil_the_next_call(&platform);
        let teacher = platform.world.create_user(&school.id, NewUser::licensed("new@x.example")).unwrap();
        while platform.service.is_running() {
            std::thread::yield_now();
        }
        platform.service.kill();
        let mut platform = platform.started(&[]);
        // Zoom knows a spent token also where it was cut off in the middle.
        spoil_the_next_call(&platform);
        if standing_then == "active" {
            platform.sweep(&school);
        }
        platform.until_stands(&school, standing_then);
        if standing_then != "active" {
            let alarms = platform.told(&["attention"], 0);
            let link = format!("http://{}/install/platform", platform.service.public);
            assert!(alarms.contains("needs-authorising") && alarms.contains(&link), "{alarms}");
            // Whoever found out may have come without a call to be spoiled, which would be the next one's.
            platform.world.clear_faults();
            platform.install(&school, "/install/platform");
            platform.until_stands(&school, "active");
            platform.sweep(&school);
        }
        platform.service.wait_until_idle();
        assert!(platform.granted(&school).contains(&teacher), "{place}: {}", platform.service.log());
    }
}

#[test]
fn an_answer_to_a_refresh_that_is_lost_is_told_and_installing_again_mends_it() {
    let (mut platform, school) = installed("installer");
    spoil_the_next_call(&platform);
    platform.world.fault(Fault { target: Target::Token, times: 1, kind: FaultKind::DropAfter });
    let event = platform.world.create_user(&school.id, NewUser::licensed("new@x.example")).unwrap();
    platform.until_stands(&school, "needs-authorising");
    let account = platform.account(&school);
    assert!(account["why"].as_str().unwrap().contains("Zoom refuses"), "{account}");
    assert!(account["install_url"].as_str().unwrap().ends_with("/install/platform"), "{account}");
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    platform.sweep(&school);
    platform.service.wait_until_idle();
    assert_eq!(platform.granted(&school), [event]);
}

#[test]
fn a_wrong_client_secret_is_ours_to_mend_and_gives_no_account_up() {
    let (mut platform, school) = installed("installer");
    for error in [OauthError::BadClient, OauthError::AppDisabled] {
        spoil_the_next_call(&platform);
        platform.world.fault(Fault { target: Target::Token, times: 1, kind: FaultKind::Oauth(error) });
        let teacher = platform.created(&school, &format!("{}@x.example", format!("{error:?}").to_lowercase()));
        assert_eq!(platform.account(&school)["standing"], "active");
        assert!(platform.told(&["attention"], 0).contains("credentials-refused"));
        // Mended, and started again: the refresh token was not used up.
        platform.world.clear_faults();
        platform = platform.killed().started(&[]);
        platform.sweep(&school);
        assert!(platform.granted(&school).contains(&teacher), "{error:?}");
    }
}

#[test]
fn the_account_lives_while_one_admins_installation_does() {
    let platform = platform("api@school-x.example", "open");
    let school = platform.school("school-x", 0);
    platform.world.add_user(&school.id, NewUser::licensed("api@school-x.example")).unwrap();
    let mut platform = standing(platform, &school);
    let second = School { admin: "admin-2@school-x.example".to_owned(), ..school.clone() };
    platform.world.add_user(&school.id, NewUser::licensed(&second.admin)).unwrap();
    platform.world.update_user(&school.id, &second.admin, &json!({ "role_id": "1" })).unwrap();
    platform.service.wait_until_idle();
    platform.install(&second, "/install/platform");
    platform.world.remove_app(CLIENT, &second.admin).unwrap();
    let is_lost = |one: &Value| !one["lost_at"].is_null();
    while !platform.account(&school)["installations"].as_array().unwrap().iter().any(is_lost) {
        std::thread::yield_now();
    }
    assert_eq!(platform.account(&school)["standing"], "active");
    platform.sweep(&school);
    platform.world.remove_app(CLIENT, &school.admin).unwrap();
    platform.until_stands(&school, "needs-authorising");
}
