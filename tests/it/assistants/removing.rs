//! Assistants and schedulers are removed: who loses what is said first, and which rule grants it again.

use adjutant::sim::{Fault, FaultKind, Target};
use serde_json::{Value, json};

use super::{RULE, T0, T1, T2, path};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};

/// Who loses what, as `assistant>user`.
fn lost(answer: &Value) -> Vec<String> {
    let email = |one: &Value, side: &str| one[side]["email"].as_str().unwrap().to_owned();
    let all = answer["lost"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let mut all: Vec<String> =
        all.iter().map(|one| format!("{}>{}", email(one, "assistant"), email(one, "user"))).collect();
    all.sort();
    all
}

fn pair(assistant: &str, user: &str) -> String {
    format!("{assistant}>{user}")
}

#[test]
fn removing_all_names_who_loses_access_and_the_rule_that_grants_it_again_and_asks_first() {
    let mut served = Served::with_teachers();
    served.world.grant(ACCOUNT, T0, T1).unwrap();
    let all = path(T0, "assistants");
    let checked = served.service.admin("DELETE", &format!("{all}?check=true")).unwrap();
    assert_eq!(lost(&checked), [pair(API_USER, T0), pair(T1, T0)]);
    assert_eq!((&checked["rules"], &checked["is_done"]), (&json!([RULE]), &json!(false)));
    let told = served.told(&["assistants", "remove-all", "--user", T0], 2);
    for said in [
        &format!("{API_USER} could no longer schedule for {T0}, nor manage"),
        &format!("{T1} could no longer schedule for {T0}, nor manage"),
        &format!("rule {RULE} grants it again"),
        "add --yes",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    served.told(&["assistants", "remove-all", "--user", T0, "--json"], 2);
    let (status, problem) = served.service.ask("DELETE", &format!("{all}?at_most=1")).unwrap();
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("has 2 assistants by now"), "{problem}");
    assert_eq!((served.assistants(T0), served.recorded("intent").len()), (vec![API_USER.to_owned(), T1.to_owned()], 0));

    let told = served.told(&["assistants", "remove-all", "--user", T0, "--yes"], 0);
    assert!(told.contains(&format!("{T1} can no longer schedule for {T0}")) && told.contains(RULE), "{told}");
    assert!(served.assistants(T0).is_empty());
    let (_, intended) = &served.recorded("intent")[0];
    assert!(intended.starts_with("remove all assistants: ") && intended.contains(T1) && intended.contains(API_USER));
    let told = served.told(&["assistants", "remove-all", "--user", T0], 0);
    assert!(told.contains("there is nothing to remove"), "{told}");
    assert_eq!(served.recorded("intent").len(), 1, "nothing is intended where nothing is to be done");
    // As it was said.
    let event = json!({ "event": "user.updated", "event_ts": 1, "payload": { "account_id": ACCOUNT,
        "object": { "id": served.id(T0), "email": T0 } } });
    assert_eq!(served.service.deliver(&event.to_string()).unwrap(), 200);
    served.service.wait_until_idle();
    assert_eq!(served.assistants(T0), [API_USER]);
}

#[test]
fn a_rule_is_named_only_where_it_is_about_this_user_and_grants_what_is_removed() {
    let served = Served::with_teachers();
    served.world.grant(ACCOUNT, T0, T1).unwrap();
    let rules = |who: &str| {
        let checked = format!("{}/{}?check=true", path(T0, "assistants"), who.replace('@', "%40"));
        served.service.admin("DELETE", &checked).unwrap()["rules"].clone()
    };
    assert_eq!((rules(API_USER), rules(T1)), (json!([RULE]), json!([])));
    let named = format!("name = \"{RULE}\"");
    served.reload(|config| config.replace(&named, &format!("{named}\nexcept = [\"{T0}\"]")));
    assert_eq!(rules(API_USER), json!([]), "the user is excepted");
    served.reload(|config| config.replace(&format!("except = [\"{T0}\"]"), "when = 'user.type == 1'"));
    assert_eq!(rules(API_USER), json!([]), "the condition does not hold");
    served.reload(|config| config.replace("user.type == 1", "user.type == 2"));
    assert_eq!(rules(API_USER), json!([RULE]), "it holds");
    served.reload(|config| config.replacen("mode = \"enforce\"", "mode = \"observe\"", 1));
    assert_eq!(rules(API_USER), json!([]), "it observes");
}

#[test]
fn one_assistant_is_removed_by_id_or_email_and_one_who_is_none_is_told() {
    let served = Served::with_teachers();
    for who in [T1, T2] {
        served.world.grant(ACCOUNT, T0, who).unwrap();
    }
    let one = |who: &str| format!("{}/{}", path(T0, "assistants"), who.replace('@', "%40"));
    assert_eq!(lost(&served.service.admin("DELETE", &one(&served.id(T1))).unwrap()), [pair(T1, T0)]);
    assert_eq!(served.assistants(T0), [API_USER, T2]);
    for nobody in [T1, "nobody@school.example"] {
        let (status, problem) = served.service.ask("DELETE", &one(nobody)).unwrap();
        let said = format!("{nobody} is no assistant of {T0}");
        assert_eq!((status, &problem["detail"]), (404, &json!(said)));
    }
    assert!(served.told(&["assistants", "remove", "--user", T0, T1, "--yes"], 1).contains("is no assistant of"));
    let asked = served.told(&["assistants", "remove", "--user", T0, T2], 2);
    assert!(asked.contains(&format!("{T2} could no longer schedule for {T0}")) && asked.contains("--yes"), "{asked}");
    let told = served.told(&["assistants", "remove", "--user", T0, T2, "--yes", "--json"], 0);
    assert_eq!(lost(&serde_json::from_str(&told).unwrap()), [pair(T2, T0)]);
    assert_eq!(served.assistants(T0), [API_USER]);
}

#[test]
fn schedulers_go_one_by_one_or_all_and_those_of_an_api_user_all_at_once_by_operators_alone() {
    let served = Served::with_teachers();
    for host in [T0, T2] {
        served.world.grant(ACCOUNT, host, T1).unwrap();
    }
    let one = |of: &str, who: &str| format!("{}/{}", path(of, "schedulers"), who.replace('@', "%40"));
    let (status, problem) = served.service.ask("DELETE", &one(T0, T1)).unwrap();
    assert!(status == 404 && problem["detail"].as_str().unwrap().contains("is no scheduler of"), "{problem}");
    // Zoom may cut the list short: who is not on it is asked.
    served.world.set_quirks(ACCOUNT, |quirks| quirks.schedulers_max = Some(1)).unwrap();
    let removed = served.service.admin("DELETE", &one(T1, T2)).unwrap();
    assert_eq!((lost(&removed), &removed["rules"]), (vec![pair(T1, T2)], &json!([])));
    served.world.set_quirks(ACCOUNT, |quirks| quirks.schedulers_max = None).unwrap();
    let checked = served.service.admin("DELETE", &format!("{}?check=true", one(API_USER, T2))).unwrap();
    assert_eq!((lost(&checked), &checked["rules"]), (vec![pair(API_USER, T2)], &json!([RULE])));
    let told = served.told(&["schedulers", "remove-all", "--user", T1, "--yes"], 0);
    assert!(told.contains(&format!("{T1} can no longer schedule for {T0}")), "{told}");
    assert_eq!(served.assistants(T0), [API_USER]);

    let desk = served.token("desk", "onboarder", ACCOUNT);
    let all = path(API_USER, "schedulers");
    let (status, problem) = served.ask_json("DELETE", &all, &Value::Null, &desk);
    assert!(status == 403 && problem["detail"].as_str().unwrap().contains("only an operator's token"), "{problem}");
    let id = path(&served.id(API_USER), "schedulers");
    assert_eq!(served.ask_json("DELETE", &id, &Value::Null, &desk).0, 403, "by its id, too");
    assert_eq!(
        served.ask_json("DELETE", &one(API_USER, T2), &Value::Null, &desk).0,
        200,
        "one of them is a user's own"
    );
    let told = served.told(&["schedulers", "remove-all", "--user", API_USER], 2);
    assert!(told.contains(T0) && told.contains(T1) && told.contains(&format!("rule {RULE} grants it again")), "{told}");
    served.told(&["schedulers", "remove-all", "--user", API_USER, "--yes"], 0);
    assert!([T0, T1, T2].iter().all(|user| served.assistants(user).is_empty()));
    let (_, outcome) = served.recorded("outcome").pop().unwrap();
    assert!(outcome.starts_with("remove all schedulers: ") && outcome.contains(T1), "{outcome}");
}

#[test]
fn what_zoom_confirms_and_does_not_do_is_no_success_and_names_who_is_left() {
    let served = Served::with_teachers();
    served.world.grant(ACCOUNT, T0, T1).unwrap();
    let nothing = FaultKind::Error { status: 204, body: String::new() };
    for (list, user) in [("assistants", T0), ("schedulers", T1)] {
        served.world.fault(Fault { target: Target::api("DELETE", "/users"), times: 1, kind: nothing.clone() });
        let (status, problem) = served.service.ask("DELETE", &path(user, list)).unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 409 && detail.contains("Zoom confirmed to") && detail.contains("shows still:"), "{problem}");
        let (code, note) = served.recorded("outcome").pop().unwrap();
        assert_eq!(code, "parked", "{note}");
    }
    assert_eq!(served.assistants(T0), [API_USER, T1]);
}
