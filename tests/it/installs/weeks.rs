//! What goes on over days and weeks in which nobody does anything.

use std::time::Duration;

use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use serde_json::Value;

use super::kit::{CLIENT, DAY, Platform, School, in_still_time, patient, unstarted_in_still_time};

impl Platform {
    /// A new school, installed, with nothing left to do.
    fn installed(&mut self, id: &str) -> School {
        let school = self.school(id, 0);
        self.install(&school, "/install/platform");
        self.until_stands(&school, "active");
        self.until_idle();
        school
    }

    fn has(&self, school: &School) -> bool {
        self.accounts().iter().any(|account| account["id"] == school.id.as_str())
    }

    /// How many installations of it are kept, with their tokens.
    fn kept(&self, school: &School) -> usize {
        self.account(school)["installations"].as_array().unwrap().len()
    }

    fn alarm(&self, code: &str) -> Option<Value> {
        let told = self.service.admin("GET", "/v1/attention").unwrap();
        told["alarms"].as_array().unwrap().iter().find(|alarm| alarm["code"] == code).cloned()
    }
}

#[test]
fn tokens_that_nobody_uses_are_refreshed_each_month_so_that_the_account_is_served_after_months() {
    let mut platform = in_still_time("installer", "open");
    let school = platform.installed("school-x");
    let refreshed = |platform: &Platform| platform.account(&school)["installations"][0]["refreshed_at"].clone();
    let began = platform.now();
    // Zoom ends what was not used for 90 days.
    while platform.now().since(began) < DAY * 120 {
        let before = refreshed(&platform);
        platform.pass(DAY * 31);
        platform.until(|platform| refreshed(platform) != before);
    }
    let teacher = platform.created(&school, "teacher@school-x.example");
    assert_eq!(platform.granted(&school), [teacher]);
    assert_eq!(platform.account(&school)["standing"], "active");
}

#[test]
fn what_was_only_inferred_is_kept_for_its_own_delay_and_said_and_what_was_certain_goes_before() {
    let mut platform = in_still_time("installer", "open");
    let lost = platform.installed("school-lost");
    // Its access token is over by then, and Zoom refuses the refresh for good.
    platform.world.allow_app(CLIENT, &lost.id, false).unwrap();
    platform.pass(Duration::from_secs(2 * 3_600));
    platform.created(&lost, "teacher@school-lost.example");
    platform.until_stands(&lost, "needs-authorising");
    let since = platform.now();
    let told = platform.told(&["attention"], 0);
    let day = since.plus(DAY * 30).to_string();
    assert!(told.contains(&format!("what is kept of it is forgotten at {}", day.split('T').next().unwrap())), "{told}");

    for round in 1..=3 {
        let removed = platform.installed(&format!("school-{round}"));
        platform.world.remove_app(CLIENT, &removed.admin).unwrap();
        platform.until_stands(&removed, "needs-authorising");
        // Its tokens go at once, the rest after seven days.
        platform.until(|platform| platform.kept(&removed) == 0);
        platform.pass(DAY * 6);
        platform.told(&["audit", "tail", "--account", &removed.id], 0);
        platform.pass(DAY * 2);
        platform.until(|platform| !platform.has(&removed));
        platform.told(&["audit", "tail", "--account", &removed.id], 1);
        assert_eq!(platform.kept(&lost), 1, "day {}", platform.now().since(since).as_secs() / 86_400);
    }
    let shown = platform.told(&["accounts", "show", &lost.id], 0);
    assert!(shown.contains("needs-authorising since") && shown.contains("; gone since "), "{shown}");
    platform.told(&["audit", "tail", "--account", &lost.id], 0);
    platform.pass(DAY * 6);
    platform.until(|platform| !platform.has(&lost));
    platform.told(&["audit", "tail", "--account", &lost.id], 1);
}

#[test]
fn an_account_that_cannot_be_let_go_is_told_until_it_can() {
    let mut platform = in_still_time("installer", "open");
    let school = platform.installed("school-x");
    platform.created(&school, "teacher@school-x.example");
    assert_eq!(platform.granted(&school).len(), 1);
    let kind = FaultKind::Error { status: 503, body: "{}".to_owned() };
    platform.world.fault(Fault { target: Target::api("GET", "schedulers"), times: 1_000_000, kind });
    platform.told(&["accounts", "remove", &school.id, "--take-back", "--yes"], 0);
    platform.until(|platform| platform.alarm("not-forgotten").is_some());
    let told = platform.told(&["attention"], 0);
    for words in
        ["account school-x is not let go yet, tried 3 times since ", "Zoom answers 503", "tried again by itself"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(platform.kept(&school), 1, "whoever takes back needs them");
    platform.world.clear_faults();
    platform.until(|platform| platform.alarm("not-forgotten").is_none());
    platform.until(|platform| !platform.has(&school));
    assert_eq!(platform.granted(&school), Vec::<String>::new());
    assert_eq!(platform.alarm("not-forgotten"), None);
}

/// Zoom does not answer these, and whoever asks waits for longer than a test lasts.
fn hang(platform: &Platform, target: Target, times: u32) {
    platform.world.fault(Fault { target, times, kind: FaultKind::Delay(DAY * 10_000) });
}

#[test]
fn a_refresh_that_zoom_does_not_answer_holds_up_nobody_elses() {
    let mut platform = unstarted_in_still_time("installer", "open").configured(patient).started(&[]);
    let schools = ["school-a", "school-b", "school-c"].map(|id| platform.installed(id));
    let refreshed = |platform: &Platform| {
        let at = |school| platform.account(school)["installations"][0]["refreshed_at"].to_string();
        schools.iter().map(at).collect::<Vec<_>>()
    };
    let before = refreshed(&platform);
    hang(&platform, Target::Token, 1);
    platform.pass(DAY * 31);
    let renewed =
        |platform: &Platform| refreshed(platform).iter().zip(&before).filter(|(now, then)| now != then).count();
    platform.until(|platform| renewed(platform) == 2);
    assert_eq!(platform.world.faults_left(), 0, "the third waits");
}

#[test]
fn an_api_user_whom_zoom_says_nothing_of_holds_up_nobody_elses() {
    let mut platform = unstarted_in_still_time("api@{domain}", "open").configured(patient).started(&[]);
    let schools = ["school-a", "school-b"].map(|id| platform.school(id, 0));
    for school in &schools {
        platform.world.add_user(&school.id, NewUser::licensed(&format!("api@{}.example", school.id))).unwrap();
    }
    let [silent, other] = schools;
    hang(&platform, Target::api("GET", "/users/api@school-a.example"), 1_000);
    platform.install(&silent, "/install/platform");
    platform.until(|platform| platform.world.faults_left() < 1_000);
    platform.install(&other, "/install/platform");
    platform.until_stands(&other, "active");
    let silent = platform.account(&silent);
    let why = silent["why"].as_str().unwrap();
    assert!(silent["standing"] == "needs-api-user" && why.contains("nobody has looked at it yet"), "{silent}");
}
