use super::*;

#[test]
fn a_granted_assistant_is_there_and_the_host_is_among_the_schedulers() {
    let fixture = Fixture::with_licensed(&["api", "dana"]);
    let answer = fixture.grant("dana", "api");
    assert_eq!((answer.status, &answer.value()["ids"]), (201, &json!(fixture.id("api"))));
    let rows = fixture.get("/users/dana%40example.com/assistants").value();
    assert_eq!(rows["assistants"][0]["email"], "api@example.com");
    let rows = fixture.get(&format!("/users/{}/schedulers", fixture.id("api"))).value();
    assert_eq!(rows["schedulers"][0]["id"], json!(fixture.id("dana")));
    assert!(rows["schedulers"][0]["pmi"].is_u64());
    assert_eq!(fixture.world.assistant_writes(ACCOUNT, "dana@example.com"), 1);
}

#[test]
fn each_refusal_of_a_grant_has_the_words_of_zoom() {
    let fixture = Fixture::with_licensed(&["api", "dana"]);
    fixture.world.add_user(ACCOUNT, NewUser::basic("basic@example.com")).unwrap();
    fixture.world.add_account(NewAccount::named("other")).unwrap();
    fixture.grant("dana", "api");
    let basic = fixture.id("basic");
    assert_refused(
        &fixture.grant("dana", "api"),
        400,
        200,
        "User api@example.com has already granted scheduling privilege.",
    );
    assert_refused(&fixture.grant("dana", "dana"), 400, 200, "Can't assign scheduling privilege to yourself.");
    let text = format!("The user must either be a Licensed user or an On-prem user : {basic}.");
    assert_refused(&fixture.grant("basic", "api"), 400, 200, &text);
    let text = "The user must either be a Licensed user or an On-prem user : basic@example.com.";
    assert_refused(&fixture.grant("dana", "basic"), 400, 200, text);
    assert_refused(&fixture.grant("dana", "nobody"), 400, 200, "Can't find user nobody@example.com.");
    assert_refused(&fixture.grant("nobody", "api"), 404, 1001, "User does not exist: nobody@example.com.");
    let foreign = json!({ "assistants": [{ "email": "owner@other.example" }] });
    let answer = fixture.call("POST", "/users/dana@example.com/assistants", &foreign);
    assert_refused(&answer, 400, 200, "User owner@other.example doesn't belong to current account.");
    fixture.world.set_plan(ACCOUNT, Plan::Free).unwrap();
    let text = format!("Current account must be paid account: {}", fixture.id("dana"));
    assert_refused(&fixture.grant("dana", "api"), 400, 200, &text);
}

#[test]
fn a_body_that_is_no_object_or_names_nobody_is_refused() {
    let fixture = Fixture::with_licensed(&["dana"]);
    let path = "/users/dana@example.com/assistants";
    let text = "Request Body should be a valid JSON object.";
    assert_refused(&fixture.call("POST", path, &json!([1])), 400, 300, text);
    assert_refused(&fixture.call("POST", path, &json!({ "assistants": [] })), 400, 300, "Validation Failed.");
    assert_refused(&fixture.call("POST", path, &json!({ "assistants": [{}] })), 400, 300, "Validation Failed.");
}

#[test]
fn a_grant_to_a_pending_user_is_answered_with_success_and_does_nothing() {
    let fixture = Fixture::with_licensed(&["api"]);
    fixture.world.create_user(ACCOUNT, NewUser::licensed("new@example.com").invited()).unwrap();
    let answer = fixture.grant("new", "api");
    assert_eq!((answer.status, &answer.value()["ids"]), (201, &json!(fixture.id("api"))));
    assert!(fixture.world.assistants(ACCOUNT, "new@example.com").is_empty());
    fixture.world.accept_invitation(ACCOUNT, "new@example.com").unwrap();
    assert_eq!(fixture.world.without_assistant(ACCOUNT, "api@example.com").len(), 2, "the owner and the new one");
    fixture.grant("new", "api");
    assert_eq!(fixture.world.assistants(ACCOUNT, "new@example.com"), ["api@example.com"]);
}

#[test]
fn more_than_thirty_in_a_request_or_on_the_list_are_refused() {
    let names: Vec<String> = (0..32).map(|number| format!("u{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fixture = Fixture::with_licensed(&names);
    let items = |from: usize, to: usize| json!({ "assistants": (from..to).map(|n| json!({ "email": format!("u{n}@example.com") })).collect::<Vec<_>>() });
    let path = "/users/u0@example.com/assistants";
    assert_refused(&fixture.call("POST", path, &items(1, 32)), 400, 300, "Validation Failed.");
    assert_eq!(fixture.call("POST", path, &items(1, 31)).status, 201);
    assert_refused(&fixture.call("POST", path, &items(31, 32)), 400, 300, "Validation Failed.");
    assert_eq!(fixture.world.assistants(ACCOUNT, "u0@example.com").len(), 30);
}

#[test]
fn assistants_and_schedulers_go_one_by_one_or_all_at_once() {
    let fixture = Fixture::with_licensed(&["api", "two", "dana", "lee"]);
    for host in ["dana", "lee"] {
        fixture.grant(host, "api");
        fixture.grant(host, "two");
    }
    let (api, two) = (fixture.id("api"), fixture.id("two"));
    let path = format!("/users/dana@example.com/assistants/{api}");
    assert_eq!(fixture.call("DELETE", &path, &Value::Null).status, 204);
    assert_eq!(fixture.world.assistants(ACCOUNT, "dana@example.com"), ["two@example.com"]);
    assert_eq!(fixture.call("DELETE", "/users/dana@example.com/assistants", &Value::Null).status, 204);
    assert!(fixture.world.assistants(ACCOUNT, "dana@example.com").is_empty());
    let path = format!("/users/{two}/schedulers/lee@example.com");
    assert_eq!(fixture.call("DELETE", &path, &Value::Null).status, 204);
    assert_eq!(fixture.world.assistants(ACCOUNT, "lee@example.com"), ["api@example.com"]);
    fixture.call("DELETE", &format!("/users/{api}/schedulers"), &Value::Null);
    assert!(fixture.world.assistants(ACCOUNT, "lee@example.com").is_empty());
}

#[test]
fn the_list_of_schedulers_can_be_cut_short() {
    let fixture = Fixture::with_licensed(&["api", "dana", "lee"]);
    fixture.world.grant(ACCOUNT, "dana@example.com", "api@example.com").unwrap();
    fixture.world.grant(ACCOUNT, "lee@example.com", "api@example.com").unwrap();
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.schedulers_max = Some(1)).unwrap();
    let rows = fixture.get("/users/api@example.com/schedulers").value();
    assert_eq!(rows["schedulers"].as_array().map(Vec::len), Some(1));
}
