//! Plans with the real binary: made, kept in a file, applied.

use std::os::unix::fs::PermissionsExt as _;

use adjutant::sim::NewUser;
use serde_json::json;

use crate::process::served::served;
use crate::process::service;

#[test]
fn who_has_seen_a_plan_lets_the_rule_do_what_it_says() {
    let served = served("[rules]\nrequire_plan = true\n");
    let rule = "rule api-user-assists-everyone only observes";
    assert!(served.alarms().contains(rule), "{}", served.alarms());
    let file = served.service.folder().join("plan.json");
    let told = served.told(&["rules", "plan", "--out", file.to_str().unwrap()], 0);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a plan names people");
    let id = served.id("teacher-0@school.example");
    for expected in [
        "account test-account, 5 users",
        "api-user-assists-everyone: 4 users to be changed",
        &format!("user:{id} teacher-0@school.example: assistants [] -> \"{}\"", service::API_USER),
        &format!("    POST /users/{id}/assistants"),
        "  1 user: the user is an API user itself",
        "all changes together: 4 light, 12 medium and 0 heavy calls, about 1 s",
    ] {
        assert!(told.contains(expected), "{expected} is not in {told}");
    }
    assert!(!served.alarms().contains(rule), "{}", served.alarms());
    assert_eq!(served.world.assistant_writes(service::ACCOUNT, service::API_USER), 0);
    let saved: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((&saved["version"], saved["accounts"][0]["users"].clone()), (&json!(1), json!(5)));
    assert!(saved["rules"]["api-user-assists-everyone"].as_str().unwrap().len() == 32, "{saved}");
    let json: serde_json::Value = serde_json::from_str(&served.told(&["rules", "plan", "--json"], 0)).unwrap();
    assert_eq!(json["rules"], saved["rules"]);
    assert!(served.told(&["rules", "plan", "--account", "nobody"], 1).contains("no app holds such an account"));
    assert!(served.told(&["rules", "plan", "--rule", "waiting-room"], 1).contains("give --meetings or --host"));
    let meetings = served.told(&["rules", "plan", "--rule", "waiting-room", "--meetings"], 0);
    assert!(meetings.contains("5 users and 0 meetings") && served.alarms() == "[]", "{meetings} {}", served.alarms());
    assert!(served.told(&["rules", "plan", "--rule", "nothing"], 1).contains("there is no rule nothing"));
}

#[test]
fn a_rule_about_events_is_planned_by_those_of_a_day_and_one_that_changed_is_planned_anew() {
    let rule = "[[rule]]\nname = \"when-made\"\non = [\"meeting.created\"]\n\
                ensure = { settings = { waiting_room = true } }\nmode = \"enforce\"\n";
    let served = served(&format!("[rules]\nrequire_plan = true\n{rule}"));
    let is_told = |rule: &str| served.alarms().contains(&format!("rule {rule} only observes"));
    for how in ["waiting-room --meetings", "when-made --since 7d", "api-user-assists-everyone\""] {
        assert!(served.alarms().contains(&format!("adjutant rules plan --rule {how}")), "{}", served.alarms());
    }
    assert!(served.told(&["rules", "plan", "--rule", "when-made"], 1).contains("is about events: give --since"));
    assert!(served.told(&["rules", "plan", "--since", "yesterday"], 2).contains("expected a time that is over"));
    served.told(&["rules", "plan", "--rule", "when-made", "--since", "23h"], 0);
    assert!(is_told("when-made"), "a few hours show too little");
    let told = served.told(&["rules", "plan", "--since", "7d"], 0);
    assert!(told.contains("and 0 meetings with events or work since 20"), "{told}");
    assert!(!is_told("when-made") && is_told("api-user-assists-everyone"), "{}", served.alarms());
    served.reload(|config| config.replace("[\"meeting.created\"]", "[\"meeting.updated\"]"));
    assert!(is_told("when-made"), "it is another rule now");
    served.told(&["rules", "plan", "--rule", "when-made", "--since", "2026-01-01T00:00:00+01:00"], 0);
    assert!(!is_told("when-made"));
}

#[test]
fn a_plan_in_a_file_is_applied_once_somebody_says_yes() {
    let mut served = served("[sweep]\ncron = \"0 3 1 1 *\"\n");
    served.settle();
    served.world.add_user(service::ACCOUNT, NewUser::licensed("late@school.example")).unwrap();
    let file = served.service.folder().join("plan.json");
    let file = file.to_str().unwrap();
    served.told(&["rules", "plan", "--rule", "api-user-assists-everyone", "--out", file], 0);
    let asks = served.told(&["rules", "apply", file], 2);
    assert!(asks.contains("carry their own allowance") && asks.contains("add --yes"), "{asks}");
    let told = served.told(&["rules", "apply", file, "--yes"], 0);
    assert!(told.contains("account test-account, api-user-assists-everyone: "), "{told}");
    assert!(told.ends_with("1 of 1\n1 change: changed\n"), "{told}");
    assert_eq!(served.world.without_assistant(service::ACCOUNT, service::API_USER), [""; 0]);
    let again: serde_json::Value =
        serde_json::from_str(&served.told(&["rules", "apply", file, "--yes", "--json"], 0)).unwrap();
    assert_eq!(again["came"].as_object().unwrap().keys().collect::<Vec<_>>(), ["already right"], "{again}");
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, text.replace("late@school", "soon@school")).unwrap();
    assert!(served.told(&["rules", "apply", file, "--yes"], 1).contains("altered"));
    let large = "x".repeat((64 << 20) + 1);
    std::fs::write(file, text.replace("late@school", &large)).unwrap();
    let answer = served.told(&["rules", "apply", file, "--yes"], 1);
    assert!(answer.starts_with("error: the plan is larger than 64 MiB") && answer.contains("--account"), "{answer}");
    let (status, answer) = served.service.send("POST", "/v1/plan/apply", large.as_bytes()).unwrap();
    assert_eq!((status, &answer["status"]), (413, &json!(413)), "{answer}");
    std::fs::write(file, "{}").unwrap();
    assert!(served.told(&["rules", "apply", file, "--yes"], 2).contains("is no plan"));
}

#[test]
fn what_a_delivery_came_to_stands_beside_what_it_would_come_to_now() {
    let mut served = served("[sweep]\ncron = \"0 3 1 1 *\"\n");
    served.settle();
    let new = served.world.add_user(service::ACCOUNT, NewUser::licensed("new@school.example")).unwrap();
    let event = format!(
        r#"{{"event":"user.created","event_ts":1,"payload":{{"account_id":"{}","object":{{"id":"{new}","email":"new@school.example","type":2}}}}}}"#,
        service::ACCOUNT
    );
    assert_eq!(served.service.deliver(&event).unwrap(), 200);
    served.service.wait_until_idle();
    served.world.withdraw(service::ACCOUNT, "new@school.example", service::API_USER).unwrap();
    let told = served.told(&["deliveries", "replay", "dlv_1", "--diff"], 0);
    for expected in [
        "then  planned: work",
        "then  api-user-assists-everyone for user:",
        "is done (changed: add assistant",
        &format!("now   api-user-assists-everyone for user:{new} new@school.example: would add assistant"),
    ] {
        assert!(told.contains(expected), "{expected} is not in {told}");
    }
    assert_eq!(served.world.assistants(service::ACCOUNT, "new@school.example"), [""; 0], "nothing was done about it");
    served.world.grant(service::ACCOUNT, "new@school.example", service::API_USER).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&served.told(&["deliveries", "replay", "dlv_1", "--diff", "--json"], 0)).unwrap();
    assert_eq!(json["now"][0]["answer"], "already right");
}
