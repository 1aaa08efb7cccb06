use std::time::Duration;

use super::*;

#[test]
fn a_token_lives_an_hour_beside_others() {
    let fixture = Fixture::new();
    let second = token_of(&fixture.world, ACCOUNT);
    assert_ne!(second, fixture.token);
    fixture.clock.advance(Duration::from_secs(3599));
    assert_eq!(fixture.get("/users").status, 200);
    fixture.clock.advance(Duration::from_secs(1));
    assert_refused(&fixture.get("/users"), 401, 124, "Access token is expired.");
}

#[test]
fn wrong_tokens_are_refused() {
    let mut fixture = Fixture::new();
    fixture.world.set_app_active(ACCOUNT, false).unwrap();
    assert_refused(&fixture.get("/users"), 401, 124, "Invalid access token.");
    fixture.world.set_app_active(ACCOUNT, true).unwrap();
    assert_eq!(fixture.get("/users").status, 200);
    fixture.world.revoke_tokens(ACCOUNT);
    assert_refused(&fixture.get("/users"), 401, 124, "Invalid access token.");
    fixture.token = "made-up".to_owned();
    assert_refused(&fixture.get("/users"), 401, 124, "Invalid access token.");
}

#[test]
fn a_token_is_given_for_the_right_credentials_only() {
    let fixture = Fixture::new();
    let (client, secret) = (format!("client-{ACCOUNT}"), format!("client-secret-{ACCOUNT}"));
    let form = format!("grant_type=account_credentials&account_id={ACCOUNT}");
    let answer = fixture.world.handle(&token_request(&client, &secret, &form));
    assert_eq!((&answer.value()["expires_in"], &answer.value()["token_type"]), (&json!(3600), &json!("bearer")));
    assert!(
        answer.value()["scope"].as_str().unwrap().starts_with("user:read:admin user:write:admin meeting:read:admin ")
    );
    let refused = |client: &str, secret: &str, form: &str| {
        let answer = fixture.world.handle(&token_request(client, secret, form));
        (answer.status, answer.value()["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(refused(&client, "wrong", &form), (400, "invalid_client".to_owned()));
    assert_eq!(refused("wrong", &secret, &form), (400, "invalid_client".to_owned()));
    assert_eq!(refused(&client, &secret, "grant_type=password"), (400, "unsupported_grant_type".to_owned()));
    let other = "grant_type=account_credentials&account_id=other";
    assert_eq!(refused(&client, &secret, other), (400, "invalid_request".to_owned()));
    // The parameters may stand in the query as well.
    let mut request = token_request(&client, &secret, "");
    request.query = form;
    assert_eq!(fixture.world.handle(&request).status, 200);
}

#[test]
fn a_missing_scope_is_named() {
    let mut fixture = Fixture::with_licensed(&["api", "dana"]);
    fixture.world.set_scopes(ACCOUNT, &["user:read:admin"]).unwrap();
    assert_eq!(fixture.grant("dana", "api").status, 201, "tokens keep the scopes they were given");
    fixture.token = token_of(&fixture.world, ACCOUNT);
    let text = "Invalid access token, does not contain scopes:[user:write:assistant, user:write:assistant:admin].";
    assert_refused(&fixture.grant("dana", "api"), 400, 4711, text);
    assert_eq!(fixture.get("/users/dana@example.com").status, 200);
    fixture.world.set_scopes(ACCOUNT, &["user:write:assistant:admin"]).unwrap();
    fixture.token = token_of(&fixture.world, ACCOUNT);
    assert_refused(
        &fixture.grant("dana", "api"),
        400,
        200,
        "User api@example.com has already granted scheduling privilege.",
    );
}

#[test]
fn pages_cover_everybody_once() {
    let fixture = Fixture::new();
    for number in 0..705 {
        fixture.world.add_user(ACCOUNT, NewUser::basic(&format!("u{number}@example.com"))).unwrap();
    }
    let (mut seen, mut token, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let body = fixture.get(&format!("/users?page_size=300&next_page_token={token}")).value();
        assert_eq!(body["total_records"], 706);
        assert_eq!(body["page_count"], 3);
        let rows = body["users"].as_array().unwrap().clone();
        sizes.push(rows.len());
        seen.extend(rows.into_iter().map(|row| row["email"].as_str().unwrap().to_owned()));
        token = body["next_page_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), sizes), (706, vec![300, 300, 106]));
}

#[test]
fn a_page_token_is_good_for_its_list_and_for_fifteen_minutes() {
    let fixture = Fixture::with_licensed(&["dana", "lee"]);
    let token = fixture.get("/users?page_size=1").value()["next_page_token"].as_str().unwrap().to_owned();
    let text = "The next page token is either invalid or has expired.";
    assert_refused(&fixture.get(&format!("/users?status=inactive&next_page_token={token}")), 400, 300, text);
    assert_refused(&fixture.get("/users?page_size=301"), 400, 300, "Validation Failed.");
    fixture.clock.advance(Duration::from_secs(15 * 60));
    assert_refused(&fixture.get(&format!("/users?next_page_token={token}")), 400, 300, text);
}

#[test]
fn a_pending_user_has_no_id_in_the_list_and_one_when_read() {
    let fixture = Fixture::new();
    let id = fixture.world.create_user(ACCOUNT, NewUser::licensed("New@Example.com").invited()).unwrap();
    assert_eq!(fixture.get("/users").value()["total_records"], 1);
    let row = fixture.get("/users?status=pending").value()["users"][0].clone();
    assert_eq!((row.get("id"), &row["email"], &row["status"]), (None, &json!("new@example.com"), &json!("pending")));
    for key in ["NEW%40example.com", id.as_str()] {
        let user = fixture.get(&format!("/users/{key}")).value();
        assert_eq!((&user["id"], &user["status"]), (&json!(id), &json!("pending")));
    }
    assert_eq!(fixture.call("PATCH", &format!("/users/{id}"), &json!({ "type": 1 })).status, 204);
    assert_eq!(fixture.world.user(ACCOUNT, &id).unwrap().kind, 2, "success, and nothing done");
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.pending_found_by_email = false).unwrap();
    assert_refused(&fixture.get("/users/new@example.com"), 404, 1001, "User does not exist: new@example.com.");
}

#[test]
fn a_licence_can_be_set_over_rest() {
    let fixture = Fixture::new();
    let id = fixture.world.add_user(ACCOUNT, NewUser::basic("dana@example.com")).unwrap();
    assert_eq!(fixture.call("PATCH", "/users/dana@example.com", &json!({ "type": 2 })).status, 204);
    assert!(fixture.world.user(ACCOUNT, &id).unwrap().is_licensed());
    assert_refused(
        &fixture.call("PATCH", &format!("/users/{id}"), &json!({ "type": 7 })),
        400,
        300,
        "Validation Failed.",
    );
    assert_eq!(fixture.get("/users/me").value()["email"], "owner@aaaaaabbbb.example");
    assert_refused(&fixture.get("/nothing"), 404, 2300, "This API endpoint is not recognized.");
}

#[test]
fn the_states_of_a_user_follow_each_other() {
    let Fixture { world, .. } = Fixture::with_licensed(&["dana", "lee"]);
    let dana = "dana@example.com";
    world.grant(ACCOUNT, "lee@example.com", dana).unwrap();
    assert!(world.activate(ACCOUNT, dana).is_err());
    world.deactivate(ACCOUNT, dana).unwrap();
    assert_eq!(world.user(ACCOUNT, dana).unwrap().kind, 1, "licences are stripped");
    world.activate(ACCOUNT, dana).unwrap();
    assert!(world.accept_invitation(ACCOUNT, dana).is_err());
    assert_eq!(world.add_user(ACCOUNT, NewUser::basic(dana)), Err(Refusal::EmailTaken(dana.to_owned()).into()));
    world.delete_user(ACCOUNT, dana).unwrap();
    assert!(world.assistants(ACCOUNT, "lee@example.com").is_empty());
    world.create_user(ACCOUNT, NewUser::basic(dana).invited()).unwrap();
    assert!(world.delete_user(ACCOUNT, dana).is_err(), "a pending user can only be disassociated");
    world.disassociate(ACCOUNT, dana).unwrap();
    assert!(world.user(ACCOUNT, dana).is_none());
}
