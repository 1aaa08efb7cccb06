//! Accounts that come back, and people who go.

use adjutant::sim::NewUser;

use super::kit::{Browser, CLIENT, platform};

#[test]
fn whoever_installs_the_app_again_after_a_loss_is_shown_what_it_would_change_now() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 1);
    let mut browser = Browser::default();
    for users in [2, 3] {
        let done = browser.install(&platform, &school, "/install/platform");
        let page = browser.until_the_end(&platform, &done);
        assert!(
            page.contains(&format!("<dd>{users}</dd>")) && page.contains("This first look changed nothing"),
            "{page}"
        );
        platform.until_stands(&school, "active");
        platform.service.wait_until_idle();
        assert_eq!(platform.granted(&school), Vec::<String>::new(), "nothing is changed before the schedule says so");
        platform.world.remove_app(CLIENT, &school.admin).unwrap();
        platform.until_stands(&school, "needs-authorising");
        platform.world.add_user(&school.id, NewUser::licensed(&format!("new-{users}@school-x.example"))).unwrap();
    }
}

#[test]
fn whoever_authorises_again_where_rules_are_in_force_is_not_told_of_a_first_look() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 1);
    let (mut browser, done) = platform.install(&school, "/install/platform");
    browser.until_the_end(&platform, &done);
    platform.sweep(&school);
    let done = browser.install(&platform, &school, "/install/platform");
    let page = browser.until_the_end(&platform, &done);
    assert!(page.contains("what the rules say is done for all of them"), "{page}");
    assert!(!page.contains("first look") && page.contains("<dd>2</dd>"), "{page}");
}

#[test]
fn an_api_user_of_before_is_forgotten_and_the_log_says_so_only_when_it_is_done() {
    let mut platform = platform("installer", "open");
    let school = platform.school("school-x", 0);
    platform.add_own(&school, "own");
    platform.until_stands(&school, "active");
    platform.world.add_user(&school.id, NewUser::licensed("api@school-x.example")).unwrap();
    platform.told(&["accounts", "change", &school.id, "--api-user", "api@school-x.example"], 0);
    platform.until_stands(&school, "active");
    platform.service.wait_until_idle();
    let forgotten = || {
        let log = platform.service.admin("GET", "/v1/audit?last=1000").unwrap()["entries"].to_string();
        log.matches("person-forgotten").count()
    };
    platform.told(&["users", "forget", "api@school-x.example", "--account", &school.id, "--yes"], 1);
    assert_eq!(forgotten(), 0, "whoever acts for the account is not forgotten");
    platform.told(&["users", "forget", &school.admin, "--account", &school.id, "--yes"], 0);
    assert_eq!(forgotten(), 1);
    let account = platform.account(&school);
    assert!(!account.to_string().contains(&school.admin), "{account}");
}
