//! Assistants and schedulers through the API and the command line of the real binary, before the simulated Zoom.

mod adding;
mod files;
mod refused;
mod removing;
mod verifying;

use adjutant::sim::{NewAccount, NewUser};
use serde_json::{Value, json};

use crate::process::http;
use crate::process::served::{Served, served};
use crate::process::service::{ACCOUNT, API_USER};

const RULE: &str = "api-user-assists-everyone";
const T0: &str = "teacher-0@school.example";
const T1: &str = "teacher-1@school.example";
const T2: &str = "teacher-2@school.example";

/// The path of a user's list.
fn path(user: &str, list: &str) -> String {
    format!("/v1/accounts/{ACCOUNT}/users/{}/{list}", user.replace('@', "%40"))
}

impl Served {
    /// Settled: the API user assists everybody.
    fn with_teachers() -> Self {
        let mut served = served("");
        served.settle();
        served
    }

    fn ask_json(&self, method: &str, path: &str, body: &Value, token: &str) -> (u16, Value) {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::request(self.service.admin, method, path, &headers, body.as_bytes()).unwrap();
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    fn admin_token(&self) -> String {
        std::fs::read_to_string(self.service.folder().join("admin.token")).unwrap().trim().to_owned()
    }

    /// Asks for these assistants of the user; gives the status and the answer.
    fn add(&self, user: &str, query: &str, who: &[&str]) -> (u16, Value) {
        let path = format!("{}{query}", path(user, "assistants"));
        self.ask_json("POST", &path, &json!({ "assistants": who }), &self.admin_token())
    }

    fn assistants(&self, user: &str) -> Vec<String> {
        let mut all = self.world.assistants(ACCOUNT, user);
        all.sort();
        all
    }

    fn token(&self, name: &str, role: &str, account: &str) -> String {
        let words = ["tokens", "create", "--name", name, "--role", role, "--account", account, "--json"];
        let made: Value = serde_json::from_str(&self.told(&words, 0)).unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    /// What stands on record of a kind about assistants and schedulers, but for what rules did, oldest first: the code and the words.
    fn recorded(&self, kind: &str) -> Vec<(String, String)> {
        let log = self.service.admin("GET", "/v1/audit?last=1000").unwrap();
        let text =
            |entry: &Value, pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
        let mut all: Vec<&Value> = log["entries"].as_array().unwrap().iter().collect();
        all.sort_by_key(|entry| entry["index"].as_u64());
        let all = all.into_iter().filter(|entry| entry["kind"] == kind && entry["job"].is_null());
        let all = all.map(|entry| (text(entry, "/code"), text(entry, "/note")));
        let begins = ["add assistant", "remove ", "Zoom confirmed to "];
        all.filter(|(_, note)| begins.iter().any(|begin| note.starts_with(begin))).collect()
    }
}

/// State and code of each person of an answer.
fn states(answer: &Value) -> Vec<String> {
    let all = answer["assistants"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let one = |one: &Value| match one["code"].as_str() {
        Some(code) => format!("{} {code}", one["state"].as_str().unwrap()),
        None => one["state"].as_str().unwrap().to_owned(),
    };
    all.iter().map(one).collect()
}

#[test]
fn what_a_person_tells_is_on_record_before_zoom_is_called_with_who_told_it_and_what_came_of_it() {
    let mut served = Served::with_teachers();
    let desk = served.token("desk", "onboarder", ACCOUNT);
    served.service.kill();
    assert!(served.service.start(&[("ADJUTANT_BREAK_AT", "zoom-changed:1")]), "{}", served.service.log());
    let (headers, body) = (format!("Bearer {desk}"), json!({ "assistants": [T1] }).to_string());
    let headers = [("authorization", headers.as_str()), ("content-type", "application/json")];
    let cut = http::request(served.service.admin, "POST", &path(T0, "assistants"), &headers, body.as_bytes());
    assert!(cut.is_err(), "it died when Zoom had answered: {cut:?}");
    served.service.kill();
    assert!(served.service.start(&[]), "{}", served.service.log());
    let intended = [("granted".to_owned(), format!("add assistant {T1}, told by token:desk"))];
    assert_eq!((served.recorded("intent"), served.recorded("outcome")), (intended.to_vec(), Vec::new()));
    assert_eq!(served.assistants(T0), [API_USER, T1]);
    // Whoever got no answer asks again.
    let (status, again) = served.ask_json("POST", &path(T0, "assistants"), &json!({ "assistants": [T1] }), &desk);
    assert_eq!((status, states(&again)), (200, vec!["already".to_owned()]), "{again}");
    let one = format!("{}/{}", path(T0, "assistants"), served.id(T1));
    assert_eq!(served.ask_json("DELETE", &one, &Value::Null, &desk).0, 200);
    let removed = format!("remove assistant {T1}");
    assert_eq!(served.recorded("intent")[1], ("granted".to_owned(), format!("{removed}, told by token:desk")));
    assert_eq!(served.recorded("outcome"), [("changed".to_owned(), removed)]);
    served.told(&["audit", "verify"], 0);
}

#[test]
fn a_token_of_another_account_finds_nothing_here_and_one_that_may_not_change_users_changes_nothing() {
    let second = r#"
[[app]]
name = "second"
kind = "server-to-server"
client_id = "client-second"
client_secret = "client-secret-second"
webhook_secrets = ["another-webhook-secret"]
[[app.account]]
id = "second"
plan = "business"
api_users = ["owner@second.example"]
"#;
    let mut served = served(second);
    served.world.add_account(NewAccount::named("second")).unwrap();
    served.service.wait_until_idle();
    served.world.grant(ACCOUNT, T0, T1).unwrap();
    let bound = served.token("second", "operator", "second");
    let reader = served.token("reader", "auditor", ACCOUNT);
    let id = served.id(T1);
    let body = json!({ "assistants": [T2] });
    for (method, list, is_change) in [
        ("GET", "assistants".to_owned(), false),
        ("GET", "assistants/verify".to_owned(), false),
        ("GET", "schedulers".to_owned(), false),
        ("POST", "assistants".to_owned(), true),
        ("DELETE", format!("assistants/{id}"), true),
        ("DELETE", "assistants".to_owned(), true),
        ("DELETE", format!("schedulers/{id}"), true),
        ("DELETE", "schedulers".to_owned(), true),
    ] {
        let body = if method == "POST" { &body } else { &Value::Null };
        let (status, answer) = served.ask_json(method, &path(T0, &list), body, &bound);
        assert_eq!((status, &answer["detail"]), (404, &json!("there is no account test-account")), "{method} {list}");
        let (status, answer) = served.ask_json(method, &path(T0, &list), body, &reader);
        assert_eq!(status, if is_change { 403 } else { 200 }, "{method} {list}: {answer}");
    }
    assert!(served.assistants(T0).contains(&T1.to_owned()) && !served.assistants(T0).contains(&T2.to_owned()));
}

#[test]
fn the_lists_of_a_user_are_those_of_zoom_and_the_help_says_from_which_side_one_is_added() {
    let served = Served::with_teachers();
    served.world.grant(ACCOUNT, T0, T1).unwrap();
    let listed = served.told(&["assistants", "list", "--user", T0], 0);
    assert!(listed.contains("2 assistants: they can schedule for teacher-0@school.example\n"), "{listed}");
    let api = listed.lines().find(|line| line.starts_with(API_USER)).unwrap();
    assert!(api.ends_with("api user"), "{listed}");
    let listed = served.told(&["schedulers", "list", "--user", T1], 0);
    assert!(listed.contains(T0) && listed.contains("1 scheduler: teacher-1@school.example can schedule for them\n"));
    let json: Value = serde_json::from_str(&served.told(&["schedulers", "list", "--user", T1, "--json"], 0)).unwrap();
    assert_eq!((&json["user"]["email"], &json["people"][0]["email"]), (&json!(T1), &json!(T0)), "{json}");
    assert_eq!(served.service.ask("GET", &path("nobody@school.example", "assistants")).unwrap().0, 404);
    assert!(served.told(&["assistants", "list", "--user", "nobody@school.example"], 1).contains("has no user nobody@"));
    let help = served.told(&["schedulers", "--help"], 0);
    assert!(help.contains("None can be added") && help.contains("adjutant assistants add --user"), "{help}");
    let help = served.told(&["assistants", "add", "--help"], 0);
    assert!(help.contains("can schedule meetings for the user, see and manage all meetings"), "{help}");
}

/// Somebody who cannot be an assistant, with the code of why.
fn people_who_cannot(served: &Served) -> [(&'static str, &'static str); 5] {
    served.world.add_user(ACCOUNT, NewUser::basic("basic@school.example")).unwrap();
    served.world.create_user(ACCOUNT, NewUser::licensed("new@school.example").invited()).unwrap();
    served.world.add_user(ACCOUNT, NewUser::licensed("left@school.example")).unwrap();
    served.world.deactivate(ACCOUNT, "left@school.example").unwrap();
    served.world.add_account(NewAccount::named("elsewhere")).unwrap();
    [
        ("basic@school.example", "unlicensed"),
        ("new@school.example", "pending"),
        ("left@school.example", "inactive"),
        ("owner@elsewhere.example", "unknown"),
        ("nobody@school.example", "unknown"),
    ]
}
