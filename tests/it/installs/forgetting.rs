//! Why somebody is not forgotten by a command, and what to do then.

use std::time::Duration;

use adjutant::sim::{Fault, FaultKind, NewUser, Target};

use super::kit::{Platform, School, in_still_time};

/// Asks for somebody to be forgotten; that is refused, with each of these words, and nobody is.
fn is_refused(platform: &Platform, words: &[&str], code: i32, told: &[&str]) {
    let words = [&["users", "forget"], words].concat();
    let said = platform.told(&words, code);
    for part in told {
        assert!(said.contains(part), "{words:?}: {part}: {said}");
    }
    assert!(!said.contains("is forgotten"), "{said}");
    let log = platform.service.admin("GET", "/v1/audit?last=1000").unwrap().to_string();
    assert!(!log.contains("person-forgotten"), "{words:?}: {log}");
}

fn installed(api_user: &str) -> (Platform, School) {
    let mut platform = in_still_time(api_user, "open");
    let school = platform.school("school-x", 0);
    platform.world.add_user(&school.id, NewUser::licensed("api@school-x.example")).unwrap();
    platform.install(&school, "/install/platform");
    platform.until_stands(&school, "active");
    platform.until_idle();
    (platform, school)
}

#[test]
fn who_acts_for_an_account_is_not_forgotten_and_it_is_said_what_ends_that() {
    let (platform, school) = installed("api@{domain}");
    let until = [
        "installed app platform for the account, and it acts by that",
        "let another admin install it",
        "adjutant accounts remove school-x",
    ];
    let admin = platform.world.user(&school.id, &school.admin).unwrap().id;
    for who in [school.admin.as_str(), &admin] {
        is_refused(&platform, &[who, "--yes"], 1, &until);
    }
    // By either of what the person is known by.
    is_refused(&platform, &["nobody@school-x.example", "--also", &admin, "--yes"], 1, &until);
    let deputy = "deputy@school-x.example";
    platform.told(&["accounts", "change", &school.id, "--may-grant", deputy], 0);
    for who in ["api@school-x.example", deputy] {
        let named = format!("account school-x names {who} as an API user, in may_grant or in acts_as");
        is_refused(&platform, &[who, "--yes"], 1, &[&named, "say otherwise with `adjutant accounts change school-x`"]);
    }
    platform.told(&["accounts", "change", &school.id, "--no-may-grant"], 0);
    assert!(platform.told(&["users", "forget", deputy, "--yes"], 0).contains(&format!("{deputy} is forgotten")));
}

#[test]
fn who_is_at_work_for_is_not_forgotten_in_the_middle_of_it_and_can_be_after() {
    let (mut platform, school) = installed("installer");
    let hour = Duration::from_secs(3_600);
    platform.world.fault(Fault { target: Target::api("GET", "/assistants"), times: 1, kind: FaultKind::Delay(hour) });
    let email = "teacher@school-x.example";
    platform.world.create_user(&school.id, NewUser::licensed(email)).unwrap();
    platform.until(|platform| platform.world.faults_left() == 0);
    let told = [format!(" is at work for {email} just now"), "job_".to_owned(), "ask again in a moment".to_owned()];
    is_refused(&platform, &[email, "--yes"], 1, &told.each_ref().map(String::as_str));
    platform.pass(hour);
    platform.until_idle();
    let told = platform.told(&["users", "forget", email, "--yes"], 0);
    assert!(told.contains("1 job and 0 onboardings go") && told.contains("Zoom has the user still"), "{told}");
}

#[test]
fn nobody_is_forgotten_who_was_not_agreed_on_or_whose_account_is_not_known() {
    let (platform, school) = installed("installer");
    let who = "somebody@school-x.example";
    is_refused(&platform, &[who], 2, &["email  somebody@school-x.example", "nobody knows the id", "add --yes"]);
    is_refused(&platform, &[who, "--json"], 2, &["nobody is asked with --json: add --yes"]);
    is_refused(&platform, &["x y", "--yes"], 2, &["x y"]);
    let nobodys = "no app holds account nobodys, and nothing is kept of it";
    is_refused(&platform, &[who, "--account", "nobodys", "--yes"], 1, &[nobodys]);
    let other = platform.school("school-y", 0);
    platform.install(&other, "/install/platform");
    is_refused(&platform, &[who, "--yes"], 2, &["there is more than one account: say which one with --account"]);
    platform.told(&["users", "forget", who, "--account", &school.id, "--yes"], 0);
}
