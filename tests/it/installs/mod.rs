//! Accounts whose admins install a general app, before the real binary and a simulated Zoom: with a browser that follows
//! what it is told, and nothing else.

mod again;
mod busy;
mod forgetting;
mod kit;
mod leaving;
mod lending;
mod looking;
mod many;
mod pages;
mod run_time;
mod tokens;
mod weeks;

use serde_json::Value;

use kit::{Browser, CLIENT, platform};

#[test]
fn an_admin_installs_the_app_with_an_invite_and_is_shown_what_was_found_and_what_rules_would_do() {
    let mut platform = platform("installer", "invited");
    let school = platform.school("school-x", 3);
    let link = platform.invite("School X");
    let (mut browser, page) = platform.install(&school, &link);
    let page = browser.until_the_end(&platform, &page);
    for fact in [
        "The app is installed",
        "<dd>school-x</dd>",
        "<dd>School X</dd>",
        "owner@school-x.example, who installed the app",
        "it uses one paid seat",
        "<dt>Active users</dt><dd>4</dd>",
        "<dt>What the rules would change</dt><dd>api-user-assists-everyone: 3 of them",
    ] {
        assert!(page.contains(fact), "{fact}: {page}");
    }
    assert_eq!(
        platform.granted(&school),
        [] as [&str; 0],
        "who is there waits for the schedule, so that somebody can look"
    );
    // From then on the rules do what they say.
    let teacher = platform.created(&school, "new-teacher@school-x.example");
    assert!(platform.granted(&school).contains(&teacher));
}

#[test]
fn who_presses_add_in_the_marketplace_or_was_not_invited_is_led_to_the_beginning_and_installs_nothing() {
    let platform = platform("installer", "invited");
    let school = platform.school("school-x", 0);
    let mut browser = Browser::default();
    let location = platform.world.add_from_marketplace("client-platform", &school.admin).unwrap();
    let answer = browser.get(&platform, &location);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/install/platform")));
    let answer = browser.get(&platform, "/install/platform");
    let at_zoom = answer.header("location").unwrap().to_owned();
    assert!(!at_zoom.contains("scope="), "{at_zoom}");
    let back = platform.world.allow(&at_zoom, &school.admin).unwrap();
    let page = browser.get(&platform, &back);
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(page.body.contains("An invite is needed"), "{}", page.body);
    assert_eq!(platform.accounts(), Vec::<Value>::new());
    assert_eq!(platform.world.installs("client-platform"), [], "the access was given back");
}

#[test]
fn an_invite_is_good_once_and_for_one_account() {
    let platform = platform("installer", "invited");
    let (one, other) = (platform.school("school-x", 0), platform.school("school-y", 0));
    let link = platform.invite("<b>School</b>");
    let (mut browser, done) = platform.install(&one, &link);
    let page = browser.get(&platform, &done).body;
    assert!(page.contains("&#60;b&#62;School") && !page.contains("<b>"), "{page}");
    let mut stranger = Browser::default();
    let begun = stranger.get(&platform, &link);
    let back = platform.world.allow(begun.header("location").unwrap(), &other.admin).unwrap();
    assert_eq!(stranger.get(&platform, &back).status, 403);
    // Who is known comes in without one.
    let answer = Browser::default().install(&platform, &one, "/install/platform");
    assert!(answer.contains("done="), "{answer}");
    let listed = platform.told(&["accounts", "invites"], 0);
    assert!(listed.contains("used") && listed.contains("school-x") && listed.contains("1 invite"), "{listed}");
    let link = platform.invite("School Y");
    let invites: Vec<Value> = serde_json::from_str(&platform.told(&["accounts", "invites", "--json"], 0)).unwrap();
    let open = invites.iter().find(|invite| invite["state"] == "open").unwrap()["id"].as_str().unwrap().to_owned();
    platform.told(&["accounts", "revoke-invite", &open], 0);
    platform.told(&["accounts", "revoke-invite", &open], 1);
    assert_eq!(stranger.get(&platform, &link).status, 403, "it was revoked, and nobody has to go to Zoom to hear it");
}

#[test]
fn a_callback_that_another_browser_began_or_that_was_altered_installs_nothing() {
    let platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    let mut browser = Browser::default();
    let begun = browser.get(&platform, "/install/platform");
    let back = platform.world.allow(begun.header("location").unwrap(), &school.admin).unwrap();
    // Somebody who leads an admin here has the state, but not the cookie.
    for mut other in [Browser::default(), browser.altered()] {
        let answer = other.get(&platform, &back);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/install/platform")));
    }
    assert_eq!(platform.accounts(), Vec::<Value>::new());
    let answer = browser.get(&platform, &back);
    assert!(answer.header("location").unwrap().starts_with("/install/platform?done="));
    // A code is good once: whoever loads the address again is led to the beginning, since the cookie is gone.
    assert_eq!(browser.get(&platform, &back).header("location"), Some("/install/platform"));
}

#[test]
fn pages_run_no_script_and_are_neither_kept_nor_framed() {
    let platform = platform("ask", "invited");
    let mut browser = Browser::default();
    for (path, status) in [
        ("/install/platform", 200),
        ("/install/platform?invite=x", 403),
        ("/install/platform?invite=x&invite=y", 400),
        ("/oauth/callback?code=x&code=y", 400),
        ("/install/nobody", 404),
        ("/install/platform?done=forged", 200),
        ("/install/platform?api_user=no-email", 200),
    ] {
        let answer = browser.get(&platform, path);
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("form-action 'self'"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(!answer.body.contains("<script"), "{}", answer.body);
    }
}

#[test]
fn where_the_admin_is_asked_for_the_api_user_rules_observe_until_it_is_licensed() {
    let mut platform = platform("ask", "open");
    let school = platform.school("school-x", 1);
    platform.world.add_user(&school.id, adjutant::sim::NewUser::basic("api@school-x.example")).unwrap();
    let mut browser = Browser::default();
    let asked = browser.get(&platform, "/install/platform");
    assert!(asked.body.contains("uses one paid seat") && asked.body.contains("name=\"api_user\""), "{}", asked.body);
    let chosen = browser.choose(&platform, "/install/platform", "api@school-x.example");
    let done = browser.go_on(&platform, &school, &chosen);
    let page = browser.until_the_end(&platform, &done);
    assert!(page.contains("has no licence"), "{page}");
    assert!(page.contains("nothing is changed in your account"), "{page}");
    platform.until_stands(&school, "needs-api-user");
    let teacher = platform.created(&school, "t@school-x.example");
    let api = platform.world.user(&school.id, "api@school-x.example").unwrap().id;
    let has_it = |platform: &kit::Platform| platform.world.user(&school.id, &teacher).unwrap().has_assistant(&api);
    assert!(!has_it(&platform), "rules only observe");
    let alarms = platform.told(&["attention"], 0);
    assert!(alarms.contains("needs-api-user") && alarms.contains("school-x"), "{alarms}");
    platform.world.set_licence(&school.id, "api@school-x.example", 2).unwrap();
    platform.until_stands(&school, "active");
    while !has_it(&platform) {
        assert!(platform.service.is_running(), "{}", platform.service.log());
        std::thread::yield_now();
    }
}

#[test]
fn an_app_that_is_its_users_alone_and_an_admin_who_declines_are_told_so() {
    let platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    let mut browser = Browser::default();
    let begun = browser.get(&platform, "/install/platform");
    let back = platform.world.decline(begun.header("location").unwrap(), &school.admin).unwrap();
    let page = browser.get(&platform, &back).body;
    assert!(page.contains("The app was not installed"), "{page}");
    platform.world.change_app(CLIENT, |app| *app = app.clone().user_managed()).unwrap();
    let begun = browser.get(&platform, "/install/platform");
    let back = platform.world.allow(begun.header("location").unwrap(), &school.admin).unwrap();
    let answer = browser.get(&platform, &back);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("admin-managed"), "{}", answer.body);
    assert_eq!(platform.accounts(), Vec::<Value>::new());
}

#[test]
fn a_crash_while_an_admin_installs_ends_in_a_working_account_or_in_another_try() {
    for place in ["install-granted:1", "install-recorded:1"] {
        let platform = kit::unstarted("installer", "invited");
        let school = platform.school("school-x", 0);
        let platform = platform.started(&[("ADJUTANT_BREAK_AT", place)]);
        let link = platform.invite("School X");
        let mut browser = Browser::default();
        let begun = browser.get(&platform, &link);
        let back = platform.world.allow(begun.header("location").unwrap(), &school.admin).unwrap();
        assert!(browser.try_get(&platform, &back).is_none(), "it died");
        let mut platform = platform.killed().started(&[]);
        if place.starts_with("install-granted") {
            assert_eq!(platform.accounts(), Vec::<Value>::new());
            // The same address again, with the same cookie: the code is spent.
            let again = browser.get(&platform, &back);
            assert!(again.body.contains("Begin again"), "{}", again.body);
            browser.install(&platform, &school, &link);
        }
        platform.until_stands(&school, "active");
        let teacher = platform.created(&school, "t@school-x.example");
        assert_eq!(platform.granted(&school), [teacher], "{place}");
    }
}

#[test]
fn two_apps_never_act_at_once_and_a_person_says_which() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    platform.add_own(&school, "own");
    platform.install(&school, "/install/platform");
    let account = platform.account(&school);
    assert_eq!((&account["app"], &account["rival"]), (&"own".into(), &"platform".into()), "{account}");
    let alarms = platform.told(&["attention"], 0);
    assert!(alarms.contains("two-apps"), "{alarms}");
    let before = platform.world.calls_total();
    platform.sweep(&school);
    let calls = |platform: &kit::Platform, before: u64| -> Vec<String> {
        let calls = platform.world.calls().into_iter().skip(usize::try_from(before).unwrap());
        calls.filter_map(|call| call.client).collect()
    };
    let own = format!("client-{}", school.id);
    let made = calls(&platform, before);
    assert!(!made.is_empty() && made.iter().all(|client| *client == own), "{made:?}");
    platform.told(&["accounts", "change", &school.id, "--app", "platform"], 0);
    let account = platform.account(&school);
    assert_eq!((&account["app"], &account["rival"]), (&"platform".into(), &Value::Null), "{account}");
    platform.until_stands(&school, "active");
    let before = platform.world.calls_total();
    platform.sweep(&school);
    let made = calls(&platform, before);
    assert!(!made.is_empty() && made.iter().all(|client| client == CLIENT), "{made:?}");
    platform.told(&["accounts", "change", &school.id, "--app", "nobody"], 1);
}
