//! What an admin's browser is shown, and what it cannot be made to do.

use std::time::Duration;

use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use serde_json::Value;

use super::kit::{Browser, CLIENT, platform, token_in, unstarted, unstarted_in_still_time};

#[test]
fn a_link_does_not_say_who_the_api_user_is_and_only_a_form_that_this_browser_was_shown_does() {
    let platform = platform("ask", "open");
    let school = platform.school("school-x", 0);
    platform.world.add_user(&school.id, NewUser::licensed("api@school-x.example")).unwrap();
    let link = "/install/platform?api_user=teacher%40school-x.example";
    let mut browser = Browser::default();
    let asked = browser.get(&platform, link);
    assert_eq!((asked.status, asked.header("location")), (200, None));
    assert!(asked.body.contains("value=\"teacher@school-x.example\""), "{}", asked.body);
    let policy = asked.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' http://127.0.0.1:"), "{policy}");
    let mut stranger = Browser::default();
    let token = token_in(&stranger.get(&platform, link).body);
    for sent in [format!("token={token}&api_user=teacher%40school-x.example"), "api_user=a%40b.example".to_owned()] {
        let answer = browser.send(&platform, link, &sent);
        assert_eq!((answer.status, answer.header("location")), (200, None), "{sent}");
    }
    let chosen = browser.choose(&platform, link, "api@school-x.example");
    let done = browser.go_on(&platform, &school, &chosen);
    let page = browser.get(&platform, &done).body;
    assert!(page.contains("<dt>API user</dt><dd>api@school-x.example</dd>"), "{page}");
    // Asked again, another answer counts.
    let chosen = browser.choose(&platform, link, "owner@school-x.example");
    browser.go_on(&platform, &school, &chosen);
    assert_eq!(platform.account(&school)["api_users"][0], "owner@school-x.example");
}

#[test]
fn an_authorisation_that_came_back_is_taken_to_zoom_once() {
    let platform = platform("installer", "open");
    let mut browser = Browser::default();
    let begun = browser.get(&platform, "/install/platform");
    let state =
        begun.header("location").unwrap().split("&state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let exchanged = |platform: &super::kit::Platform| {
        platform.world.calls().iter().filter(|call| call.path == "/oauth/token").count()
    };
    let mut answered = Vec::new();
    for n in 0..3 {
        let back = format!("/oauth/callback?code=guessed-{n}&state={state}");
        answered.push(browser.try_get(&platform, &back).unwrap().status);
    }
    assert_eq!((answered, exchanged(&platform)), (vec![502, 409, 409], 1));
}

#[test]
fn a_zoom_that_is_busy_for_a_moment_ends_no_installation() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    let kind = FaultKind::Error { status: 503, body: "{}".to_owned() };
    platform.world.fault(Fault { target: Target::api("GET", "users"), times: 2, kind });
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
}

#[test]
fn the_page_at_the_end_is_for_the_browser_that_installed_the_app() {
    let platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    let (mut browser, done) = platform.install(&school, "/install/platform");
    assert!(browser.get(&platform, &done).body.contains("<dd>school-x</dd>"));
    let (mut other, _) = platform.install(&platform.school("school-y", 0), "/install/platform");
    for browser in [&mut Browser::default(), &mut other] {
        let page = browser.get(&platform, &done).body;
        assert!(page.contains("Begin again") && !page.contains("school-x"), "{page}");
    }
}

#[test]
fn who_declines_may_begin_again_with_the_same_invite() {
    let platform = platform("installer", "invited");
    let school = platform.school("school-x", 0);
    let link = platform.invite("School X");
    let mut browser = Browser::default();
    let begun = browser.get(&platform, &link);
    let back = platform.world.decline(begun.header("location").unwrap(), &school.admin).unwrap();
    let page = browser.get(&platform, &back).body;
    let path = link.split_once("/install").map(|(_, rest)| format!("/install{rest}")).unwrap();
    assert!(page.contains(&format!("href=\"{path}\"")), "{page}");
    browser.install(&platform, &school, &path);
}

#[test]
fn an_access_that_lacks_a_scope_is_told_so() {
    let platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    platform.world.change_app(CLIENT, |app| app.scopes.retain(|scope| !scope.starts_with("user"))).unwrap();
    let mut browser = Browser::default();
    let begun = browser.get(&platform, "/install/platform");
    let back = platform.world.allow(begun.header("location").unwrap(), &school.admin).unwrap();
    let page = browser.get(&platform, &back);
    assert_eq!(page.status, 422, "{}", page.body);
    assert!(page.body.contains("add the scope") && !page.body.contains("own user only"), "{}", page.body);
    assert_eq!(platform.accounts(), Vec::<Value>::new());
}

#[test]
fn a_page_that_waits_for_nothing_does_not_go_on_for_ever() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 1);
    let (mut browser, done) = platform.install(&school, "/install/platform");
    let page = browser.until_the_end(&platform, &done);
    assert!(page.contains("This first look changed nothing. From the next one, at 2"), "{page}");
    platform.told(&["accounts", "pause", &school.id], 0);
    platform.until_stands(&school, "active");
    let page = browser.get(&platform, &done).body;
    assert!(page.contains("has paused your account") && !page.contains("http-equiv=\"refresh\""), "{page}");
}

const GOES_ON: &str = "http-equiv=\"refresh\"";

#[test]
fn in_an_account_of_the_configuration_the_page_says_that_another_app_acts() {
    let own = r#"
[[app]]
name = "own"
kind = "server-to-server"
client_id = "client-school-x"
client_secret = "client-secret-school-x"
webhook_secrets = ["webhook-secret-of-own"]
[[app.account]]
id = "school-x"
plan = "business"
api_users = ["owner@school-x.example"]
[[rule]]"#;
    let platform = unstarted("installer", "open").configured(|config| config.replace("[[rule]]", own));
    let school = platform.school("school-x", 0);
    let platform = platform.started(&[]);
    let (mut browser, done) = platform.install(&school, "/install/platform");
    let page = browser.get(&platform, &done).body;
    assert!(page.contains("Installed, but not acting") && page.contains("Another app, own, acts"), "{page}");
    assert!(!page.contains(GOES_ON) && !page.contains("school-x"), "{page}");
    let account = platform.account(&school);
    assert_eq!((&account["app"], &account["origin"]), (&"own".into(), &"configuration".into()));
    assert!(platform.told(&["attention"], 0).contains("two-apps"));
}

#[test]
fn a_first_look_that_failed_is_told_with_why_and_the_next_one_that_did_not_as_well() {
    let often = |config: &str| config.replace("30 4 1 7 *", "*/10 * * * *");
    let mut platform = unstarted_in_still_time("installer", "open").configured(often).started(&[]);
    let school = platform.school("school-x", 1);
    // Who installs is read, and that there are users; nothing after that.
    let fault = |times, kind| platform.world.fault(Fault { target: Target::api("GET", "/users"), times, kind });
    fault(2, FaultKind::SlowAnswer(Duration::ZERO));
    let body = r#"{"code":1001,"message":"User does not exist."}"#.to_owned();
    fault(1_000_000, FaultKind::Error { status: 404, body });
    let (mut browser, done) = platform.install(&school, "/install/platform");
    let mut page = String::new();
    platform.until(|platform| {
        page = browser.get(platform, &done).body;
        !page.contains(GOES_ON)
    });
    assert!(page.contains("Your users could not be compared with the rules: "), "{page}");
    assert!(page.contains("User does not exist") && page.contains("It is tried again."), "{page}");
    platform.world.clear_faults();
    // By the schedule, and what that is put off by at most.
    platform.pass(Duration::from_secs(20 * 60));
    platform.until(|platform| {
        page = browser.get(platform, &done).body;
        page.contains("<dt>What the rules would change</dt>")
    });
    assert!(page.contains("<dt>Active users</dt><dd>2</dd>") && !page.contains("could not be compared"), "{page}");
}

#[test]
fn where_no_rule_looks_at_all_users_the_page_says_what_is_done_and_waits_for_nothing() {
    let without = |config: &str| config.split_once("[[rule]]").unwrap().0.to_owned();
    let platform = unstarted("installer", "open").configured(without).started(&[]);
    let school = platform.school("school-x", 0);
    let (mut browser, done) = platform.install(&school, "/install/platform");
    let page = browser.until_the_end(&platform, &done);
    assert!(page.contains("No rule looks at all your users: what the rules say is done when something"), "{page}");
}
