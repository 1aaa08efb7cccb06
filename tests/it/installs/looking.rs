//! What is said of accounts that came at run time.

use serde_json::Value;

use super::kit::{CLIENT, Platform, platform};

/// The checks of that name: verdict, what was found and what to do.
fn checks(platform: &Platform, name: &str) -> Vec<(String, String, String)> {
    let (_, out, err) = platform.service.command(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let all = report["checks"].as_array().unwrap().iter().filter(|check| check["name"] == name);
    all.map(|check| (text(check, "verdict"), text(check, "found"), text(check, "hint"))).collect()
}

#[test]
fn doctor_tells_how_each_account_that_came_at_run_time_stands_and_never_that_a_failed_sweep_is_well() {
    let mut platform = platform("installer", "open");
    assert!(checks(&platform, "accounts")[0].1.contains("`adjutant accounts invite`"));
    let (good, refused) = (platform.school("school-x", 1), platform.school("school-y", 0));
    platform.install(&good, "/install/platform");
    platform.until_stands(&good, "active");
    platform.sweep(&good);
    let told = checks(&platform, "accounts");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].0 == "ok" && told[0].1.starts_with("account school-x, app platform: active; tokens refreshed "),
        "{told:?}"
    );
    platform.add_own(&refused, "own");
    platform.until_stands(&refused, "active");
    platform.service.wait_until_idle();
    platform.world.set_client_secret("school-y", "another-than-was-given").unwrap();
    platform = platform.killed().started(&[]);
    let (ended, ..) = platform.service.command(&["sweep", "--account", "school-y"]);
    assert_ne!(ended, 0, "Zoom refuses the credentials");
    let told = checks(&platform, "accounts");
    let of_refused = told.iter().find(|told| told.1.contains("school-y")).unwrap();
    assert!(of_refused.0 == "fail" && of_refused.1.contains("Zoom refuses the app's credentials"), "{told:?}");
    assert!(of_refused.2.contains("compare its id, client id and secret"), "{told:?}");
    assert_eq!(platform.service.command(&["doctor"]).0, 1);
    let swept = checks(&platform, "sweeps");
    let of_refused = swept.iter().find(|told| told.1.contains("school-y")).unwrap();
    assert!(of_refused.0 == "warn" && of_refused.1.contains("failed: "), "{swept:?}");
}

#[test]
fn doctor_names_the_scopes_that_an_installed_app_lacks() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    let granular = ["user:read:user:admin", "user:read:list_users:admin", "user:read:list_assistants:admin"];
    platform.world.change_app(CLIENT, |app| app.scopes = granular.map(str::to_owned).to_vec()).unwrap();
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    let told = checks(&platform, "accounts");
    let missing =
        "scopes are missing: user:read:list_schedulers:admin (classic: user:read:admin), user:write:assistant:admin";
    assert!(told[0].0 == "fail" && told[0].1.contains(missing), "{told:?}");
}

#[test]
fn where_no_account_is_served_yet_the_next_step_is_told() {
    let platform = platform("installer", "invited");
    assert!(platform.told(&["accounts", "list"], 0).contains("`adjutant accounts invite`"));
    for words in [&["sweep"][..], &["users", "list"], &["rules", "plan"]] {
        let told = platform.told(words, 1);
        assert!(told.contains("no account is served yet") && told.contains("accounts invite"), "{words:?}: {told}");
    }
}

#[test]
fn an_event_that_we_send_to_a_general_app_names_its_account_and_what_is_set_aside_is_told_with_a_cure() {
    let mut platform = platform("installer", "open");
    let (code, _, err) = platform.service.command(&["trigger", "user.created"]);
    assert!(code == 2 && err.contains("say which with --account"), "{code} {err}");
    platform.told(&["trigger", "user.created", "--account", "nobodys"], 0);
    platform.service.wait_until_idle();
    let told = platform.told(&["attention"], 0);
    for words in [
        "PARKED  1 delivery is set aside",
        "`unclaimed`: have the app installed on the account",
        "deliveries list --parked",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn the_log_says_who_came_who_was_refused_who_went_and_where_the_apps_are_reached_and_names_nobody() {
    let mut platform = platform("installer", "invited");
    let (school, stranger) = (platform.school("school-x", 0), platform.school("school-y", 0));
    let link = platform.invite("School X");
    platform.install(&school, &link);
    let mut browser = super::Browser::default();
    let begun = browser.get(&platform, "/install/platform");
    let back = platform.world.allow(begun.header("location").unwrap(), &stranger.admin).unwrap();
    assert_eq!(browser.get(&platform, &back).status, 403);
    platform.told(&["accounts", "remove", &school.id, "--yes"], 0);
    // It is written beside all else, in order.
    platform.until(|platform| platform.service.log().contains("an account is let go"));
    let log = platform.service.log();
    for words in [
        "Zoom and admins reach the app here",
        "/webhooks/platform",
        "/oauth/callback",
        "the app was installed on an account app=platform account=school-x",
        "an installation was refused, and its access given back app=platform why=an invite is needed",
        "an account is let go account=school-x",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(!log.contains(&school.admin) && !log.contains(&stranger.admin), "{log}");
}

#[test]
fn entries_about_an_account_name_it_and_one_that_nothing_is_about_is_no_empty_answer() {
    let platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    platform.install(&school, "/install/platform");
    let all = platform.told(&["audit", "tail", "--lines", "100"], 0);
    assert!(all.contains("installed  account school-x"), "{all}");
    let own = platform.told(&["audit", "tail", "--account", "school-x"], 0);
    assert!(own.contains("account school-x"), "{own}");
    let none = platform.told(&["audit", "tail", "--account", "school-z"], 1);
    assert!(none.contains("there is no account school-z"), "{none}");
}

#[test]
fn an_account_that_cannot_be_read_keeps_no_other_from_being_planned_or_looked_at() {
    let mut platform = platform("installer", "open");
    let (good, refused) = (platform.school("school-x", 1), platform.school("school-y", 0));
    platform.install(&good, "/install/platform");
    platform.until_stands(&good, "active");
    platform.add_own(&refused, "own");
    platform.until_stands(&refused, "active");
    platform.world.set_client_secret("school-y", "another-than-was-given").unwrap();
    let platform = platform.killed().started(&[]);
    let told = platform.told(&["rules", "plan"], 1);
    assert!(told.contains("account school-x") && told.contains("account school-y: not planned: "), "{told}");
    let one = platform.told(&["rules", "plan", "--account", "school-y"], 1);
    assert!(one.contains("account school-y: "), "{one}");
    let told = platform.told(&["assistants", "take-back", "--api-user", &good.admin, "--plan"], 1);
    assert!(told.contains("account school-x: ") && told.contains("account school-y: who granted"), "{told}");
}

#[test]
fn whoever_adds_an_account_is_told_what_its_app_needs_and_one_of_the_configuration_is_not_asked_about() {
    let platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    let told = platform.add_own(&school, "own");
    let url = format!("  http://{}/webhooks/own\n", platform.service.public);
    for words in [url.as_str(), "user:write:assistant:admin", "user.created"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let (code, _, err) = platform.service.command(&["accounts", "remove", &school.id]);
    assert!(code == 2 && err.contains("add --yes, and nobody is asked"), "{code} {err}");
    let told = platform.told(&["accounts", "remove", &school.id, "--yes"], 0);
    assert!(told.contains("takes some seconds"), "{told}");
}

#[test]
fn who_may_be_granted_is_told_of_every_account_and_an_api_user_is_named_by_the_email_that_is_known() {
    let platform = super::kit::unstarted("installer", "open");
    let path = platform.service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let configured = "[[app]]\nname = \"main\"\nkind = \"server-to-server\"\nclient_id = \"client-school-z\"\n\
                      client_secret = \"client-secret-school-z\"\nwebhook_secrets = [\"webhook-secret-of-main\"]\n\
                      [[app.account]]\nid = \"school-z\"\napi_users = [\"owner@school-z.example\"]\n\
                      may_grant = [\"deputy@school-z.example\"]\n";
    std::fs::write(path, format!("{config}{configured}")).unwrap();
    let (school, of_configuration) = (platform.school("school-x", 0), platform.school("school-z", 0));
    let platform = platform.started(&[]);
    platform.install(&school, "/install/platform");
    assert_eq!(platform.account(&school)["api_users"], serde_json::json!(["owner@school-x.example"]));
    assert_eq!(platform.account(&of_configuration)["may_grant"], serde_json::json!(["deputy@school-z.example"]));
    let listed = platform.told(&["accounts", "list"], 0);
    assert!(listed.contains("owner@school-x.example") && listed.contains("owner@school-z.example"), "{listed}");
}
