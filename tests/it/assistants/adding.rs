//! Assistants are added, by id or email, and each who cannot be one is named with the cause.

use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use serde_json::{Value, json};

use super::{T0, T1, T2, path, people_who_cannot, states};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};

fn refusal(message: &str, times: u32) -> Fault {
    let body = json!({ "code": 200, "message": message }).to_string();
    Fault { target: Target::api("POST", "/assistants"), times, kind: FaultKind::Error { status: 400, body } }
}

#[test]
fn several_are_made_assistants_in_one_call_and_who_is_one_already_stays_one() {
    let served = Served::with_teachers();
    let id = served.id(T2);
    let (status, looked) = served.add(T0, "?check=true", &[T1, &id, API_USER]);
    assert_eq!((status, states(&looked)), (200, ["would", "would", "already"].map(str::to_owned).to_vec()), "{looked}");
    assert_eq!((&looked["is_done"], served.assistants(T0)), (&json!(false), vec![API_USER.to_owned()]));
    served.world.clear_calls();
    let (status, added) = served.add(T0, "", &[T1, &id, API_USER]);
    assert_eq!((status, states(&added)), (200, ["added", "added", "already"].map(str::to_owned).to_vec()), "{added}");
    assert_eq!(
        (&added["assistants"][1]["asked"], &added["assistants"][1]["person"]["email"]),
        (&json!(id), &json!(T2))
    );
    let may = added["may"].as_str().unwrap();
    assert!(
        may.contains("schedule meetings for teacher-0@school.example") && may.contains("alternative host"),
        "{may}"
    );
    assert_eq!(served.assistants(T0), [API_USER, T1, T2]);
    assert_eq!(served.world.count_calls("POST", "/assistants"), 1);
    let (_, again) = served.add(T0, "", &[T1, &id]);
    assert_eq!(states(&again), ["already", "already"]);
    assert_eq!(served.world.count_calls("POST", "/assistants"), 1, "nothing is written that is right already");

    let told = served.told(&["assistants", "add", "--user", T1, T2], 0);
    assert!(told.starts_with(&format!("{T2} for {T1}: added\nan assistant can schedule")), "{told}");
    assert_eq!(served.told(&["assistants", "add", "--user", T1, T2], 0), format!("{T2} for {T1}: already\n"));
    let told = served.told(&["assistants", "add", "--user", T1, T0, "--dry-run"], 0);
    assert!(told.starts_with(&format!("{T0} for {T1}: would\n")), "{told}");
    assert_eq!(served.assistants(T1), [API_USER, T2]);
    let json = served.told(&["assistants", "add", "--user", T1, T2, "--json"], 0);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["assistants"][0]["state"], "already");
    for words in [&["assistants", "add"][..], &["assistants", "add", "--user", T0], &["assistants", "add", T0]] {
        served.told(words, 2);
    }
}

#[test]
fn each_who_cannot_be_an_assistant_is_told_with_the_cause_and_keeps_out_no_other() {
    let served = Served::with_teachers();
    let mut asked: Vec<(String, &str)> =
        people_who_cannot(&served).into_iter().map(|(who, code)| (who.to_owned(), code)).collect();
    asked.extend([(T0.to_owned(), "oneself"), (served.id(T0), "oneself")]);
    let id = served.id(T1);
    let who: Vec<&str> = asked.iter().map(|(who, _)| who.as_str()).chain([T1, &id, T2]).collect();
    let (status, answer) = served.add(T0, "", &who);
    let mut expected: Vec<String> = asked.iter().map(|(_, code)| format!("refused {code}")).collect();
    expected.extend(["added", "refused twice", "added"].map(str::to_owned));
    assert_eq!((status, states(&answer)), (200, expected), "{answer}");
    assert_eq!(served.assistants(T0), [API_USER, T1, T2]);
    let told = served.told(&["assistants", "add", "--user", T1, "basic@school.example", T2], 1);
    assert!(
        told.contains("basic@school.example for teacher-1@school.example: refused: has no licence: give"),
        "{told}"
    );
    assert_eq!(served.assistants(T1), [API_USER, T2]);
}

#[test]
fn a_user_who_can_have_no_assistants_is_told_with_what_to_do_and_zoom_is_not_asked_to_add_any() {
    let served = Served::with_teachers();
    people_who_cannot(&served);
    served.world.clear_calls();
    for (user, status, code, said) in [
        (
            "basic@school.example",
            409,
            "unlicensed",
            "has no licence, and can have no assistants: give the user a licence",
        ),
        ("new@school.example", 409, "pending", "has not accepted the invitation, and can have"),
        ("left@school.example", 409, "inactive", "is deactivated, and can have no assistants: activate"),
        ("nobody@school.example", 404, "unknown", "account test-account has no user nobody@school.example"),
        ("owner@elsewhere.example", 404, "unknown", "account test-account has no user owner@elsewhere.example"),
    ] {
        let (got, answer) = served.add(user, "", &[T1]);
        assert_eq!(answer["code"], code, "{user}: {answer}");
        assert!(got == status && answer["detail"].as_str().unwrap().contains(said), "{user}: {answer}");
    }
    assert_eq!(served.world.count_calls("POST", "/assistants"), 0);
    for (body, status) in [
        (json!({ "assistants": [] }), 400),
        (json!({ "assistants": vec![T1; 31] }), 400),
        (json!({ "assistants": [""] }), 400),
        (json!({ "assistant": [T1] }), 422),
    ] {
        let (got, answer) = served.ask_json("POST", &path(T0, "assistants"), &body, &served.admin_token());
        assert_eq!(got, status, "{answer}");
    }
    let nowhere = path(T0, "assistants").replace(ACCOUNT, "nowhere");
    assert_eq!(served.ask_json("POST", &nowhere, &json!({ "assistants": [T1] }), &served.admin_token()).0, 404);
}

#[test]
fn nobody_is_added_where_not_all_fit_and_how_many_do_is_said() {
    let served = Served::with_teachers();
    for n in 0..28 {
        let email = format!("helper-{n}@school.example");
        served.world.add_user(ACCOUNT, NewUser::licensed(&email)).unwrap();
        served.world.grant(ACCOUNT, T0, &email).unwrap();
    }
    let (_, answer) = served.add(T0, "", &[T1, API_USER, T2]);
    assert_eq!(states(&answer), ["refused full", "already", "refused full"]);
    let why = answer["assistants"][0]["why"].as_str().unwrap();
    assert!(why.contains("has 29 assistants, and Zoom allows 30: 1 more fit, and not 2"), "{why}");
    assert_eq!(served.assistants(T0).len(), 29);
    assert_eq!(states(&served.add(T0, "", &[T1]).1), ["added"]);
    assert_eq!(states(&served.add(T0, "", &[T2]).1), ["refused full"]);
}

#[test]
fn whom_zoom_alone_refuses_is_named_in_its_words_and_the_others_are_added() {
    let served = Served::with_teachers();
    let words = "The user must either be a Licensed user or an On-prem user : x.";
    // The call for both, and then that for the first.
    served.world.fault(refusal(words, 2));
    let (status, answer) = served.add(T0, "", &[T1, T2]);
    assert_eq!((status, states(&answer)), (200, vec!["refused unlicensed".to_owned(), "added".to_owned()]), "{answer}");
    assert!(answer["assistants"][0]["why"].as_str().unwrap().contains(words), "{answer}");
    assert_eq!(served.assistants(T0), [API_USER, T2]);
    let came: Vec<String> = served.recorded("outcome").into_iter().map(|(code, _)| code).collect();
    assert_eq!(
        (served.recorded("intent").len(), came),
        (3, ["parked", "parked", "changed"].map(str::to_owned).to_vec())
    );
    // Somebody else was faster.
    let faster = "User teacher-2@school.example has already granted scheduling privilege.";
    served.world.fault(refusal(faster, 1));
    served.world.grant(ACCOUNT, T1, T0).unwrap();
    assert_eq!(states(&served.add(T1, "", &[T2]).1), ["refused not-effective"], "it is said, and is not so");
}

#[test]
fn what_keeps_all_calls_from_being_made_is_told_as_such_and_not_of_a_person() {
    let served = Served::with_teachers();
    served.world.set_scopes(ACCOUNT, &["user:read:admin"]).unwrap();
    served.world.revoke_tokens(ACCOUNT);
    let (status, answer) = served.add(T0, "", &[T1, T2]);
    assert!(status == 502 && answer["detail"].as_str().unwrap().contains("lacks the scopes"), "{answer}");
    assert_eq!(served.assistants(T0), [API_USER]);
    let [(code, note)] = &served.recorded("outcome")[..] else { panic!("one call, and no more") };
    assert!(code == "parked" && note.contains("lacks the scopes"), "{note}");
}
