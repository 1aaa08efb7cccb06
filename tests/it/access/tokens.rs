//! Tokens: shown once, good until they are revoked or over, and on record.

use std::time::Duration;

use adjutant::store::{Shelf, Store as _};
use adjutant::web::admin::Role;
use serde_json::json;

use super::world::{OWN, World};
use super::{Asked, Connection, FILE_TOKEN};

fn create(world: &World, body: serde_json::Value) -> super::Answer {
    world.ask(FILE_TOKEN, &Asked::new("POST", "/v1/tokens").with(body))
}

#[test]
fn a_revoked_token_is_refused_at_the_next_request_also_on_a_connection_that_was_kept() {
    let world = World::new();
    let made = create(&world, json!({ "name": "school", "role": "auditor", "account": OWN })).json();
    let (token, id) = (made["token"].as_str().unwrap(), made["about"]["id"].as_str().unwrap());
    let mut kept = Connection::open(world.address);
    let jobs = Asked::new("GET", "/v1/jobs");
    assert_eq!(kept.ask(token, &jobs).status, 200);
    assert_eq!(world.ask(FILE_TOKEN, &Asked::new("DELETE", format!("/v1/tokens/{id}"))).status, 200);
    let refused = kept.ask(token, &jobs);
    assert_eq!(refused.status, 401, "{}", refused.body);
    assert_eq!(world.ask(FILE_TOKEN, &Asked::new("DELETE", format!("/v1/tokens/{id}"))).status, 404, "once is enough");
    let again = create(&world, json!({ "name": "school", "role": "auditor", "account": OWN }));
    assert_eq!(again.status, 201, "the name is free again");
    assert_eq!(kept.ask(token, &jobs).status, 401, "and the token is not good again");
}

#[test]
fn a_token_that_is_over_is_refused_and_one_for_good_is_not() {
    let world = World::new();
    let made = create(&world, json!({ "name": "short", "role": "auditor", "expires": "2h" })).json();
    let token = made["token"].as_str().unwrap();
    world.clock.advance(Duration::from_secs(2 * 3600 - 1));
    assert_eq!(world.get(token, "/v1/jobs").status, 200);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.get(token, "/v1/jobs").status, 401);
    world.clock.advance(Duration::from_secs(10 * 365 * 86_400));
    assert_eq!(world.get(world.token_of(Role::Auditor, false), "/v1/jobs").status, 200);
    assert_eq!(create(&world, json!({ "name": "short", "role": "auditor" })).status, 201, "its name is free");
}

#[test]
fn a_token_is_shown_once_and_kept_nowhere() {
    let world = World::new();
    let before = world.state().0;
    let made = create(&world, json!({ "name": "school", "role": "onboarder", "account": OWN, "expires": "90d" }));
    let made = made.json();
    let (token, id) = (made["token"].as_str().unwrap(), made["about"]["id"].as_str().unwrap());
    assert!(token.starts_with("adj_") && token.len() == 47, "{token}");
    world.get(token, "/v1/jobs");
    let secret = token.strip_prefix("adj_").unwrap();
    for path in ["/v1/tokens", "/v1/audit?limit=1000", "/v1/status", "/metrics"] {
        assert!(!world.get(FILE_TOKEN, path).body.contains(secret), "{path} shows it");
    }
    let kept = world.runtime.block_on(world.store.document(Shelf::AccessToken, id)).unwrap().unwrap();
    let value = String::from_utf8(kept.value).unwrap();
    assert!(!value.contains(secret) && value.contains("sha256"), "{value}");
    assert_eq!(kept.account.as_ref().map(ToString::to_string).as_deref(), Some(OWN), "it is gone with the account");
    let entry = world.get(FILE_TOKEN, "/v1/audit?last=1").json()["entries"][0].clone();
    assert_eq!((&entry["code"], &entry["account"]), (&"token-created".into(), &OWN.into()), "{entry}");
    let note = entry["note"].as_str().unwrap();
    let expected =
        format!("{id} (school), role onboarder, account {OWN}, until 2026-01-07T08:53:20.000Z; by admin token");
    assert_eq!(note, expected);
    world.ask(FILE_TOKEN, &Asked::new("DELETE", format!("/v1/tokens/{id}")));
    let entry = world.get(FILE_TOKEN, "/v1/audit?last=1").json()["entries"][0].clone();
    assert_eq!((&entry["code"], entry["note"].as_str()), (&"token-revoked".into(), Some(note)));
    assert_eq!(world.state().0, before + 2, "one entry each");
}

#[test]
fn tokens_are_known_after_a_restart_and_what_was_revoked_is_not() {
    let world = World::new();
    let made = create(&world, json!({ "name": "gone", "role": "auditor" })).json();
    world.ask(FILE_TOKEN, &Asked::new("DELETE", format!("/v1/tokens/{}", made["about"]["id"].as_str().unwrap())));
    let bound = world.token_of(Role::Auditor, true);
    let restarted = world.restarted();
    assert_eq!(world.status(&restarted, bound, "/v1/jobs"), 200);
    assert_eq!(world.status(&restarted, bound, "/v1/status"), 403, "it is bound as it was");
    assert_eq!(world.status(&restarted, made["token"].as_str().unwrap(), "/v1/jobs"), 401);
}

#[test]
fn only_an_operator_of_all_accounts_has_seen_a_plan_that_is_required() {
    let world = World::new();
    let seen = || world.seen.load(std::sync::atomic::Ordering::Relaxed);
    for (role, is_bound) in [(Role::Auditor, false), (Role::Auditor, true), (Role::Operator, true)] {
        assert_eq!(world.get(world.token_of(role, is_bound), "/v1/plan").status, 200);
        assert_eq!(seen(), 0, "{role}, bound {is_bound}");
    }
    assert_eq!(world.get(world.token_of(Role::Operator, false), "/v1/plan").status, 200);
    assert_eq!(seen(), 1);
}

#[test]
fn the_list_says_whose_tokens_there_are_and_when_each_was_used() {
    let world = World::new();
    let listed = |name: &str| {
        let all = world.get(FILE_TOKEN, "/v1/tokens").json();
        all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    create(&world, json!({ "name": "quiet", "role": "scheduler", "account": OWN }));
    let quiet = listed("quiet");
    assert_eq!((&quiet["last_used_at"], &quiet["created_by"]), (&json!(null), &json!("admin token")));
    assert_eq!((&quiet["account"], &quiet["is_revocable"]), (&json!(OWN), &json!(true)));
    world.clock.advance(Duration::from_secs(3600));
    world.get(world.token_of(Role::Auditor, true), "/v1/jobs");
    assert_eq!(listed("auditor-true")["last_used_at"], "2025-10-09T09:53:20.000Z");
    let file = listed("admin token");
    assert_eq!((&file["id"], &file["is_revocable"]), (&json!("file"), &json!(false)));
    let refused = world.ask(FILE_TOKEN, &Asked::new("DELETE", "/v1/tokens/file"));
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("delete the file and restart"), "{}", refused.body);
}

#[test]
fn a_token_that_cannot_be_made_is_told_as_a_problem_and_nothing_is_changed() {
    let world = World::new();
    let before = world.state();
    for (body, status, said) in [
        (json!({ "name": "", "role": "auditor" }), 400, "expected 1 to 64 letters"),
        (json!({ "name": "two words", "role": "auditor" }), 400, "expected 1 to 64 letters"),
        (json!({ "name": "x".repeat(65), "role": "auditor" }), 400, "expected 1 to 64 letters"),
        (json!({ "name": "spare", "role": "auditor" }), 409, "there is a token with the name spare"),
        (json!({ "name": "x", "role": "king" }), 422, "king"),
        (json!({ "name": "x" }), 422, "role"),
        (json!({ "name": "x", "role": "auditor", "accounts": [OWN] }), 422, "accounts"),
        (json!({ "name": "x", "role": "auditor", "account": "unheard-of" }), 404, "there is no account unheard-of"),
        (json!({ "name": "x", "role": "auditor", "account": "" }), 400, "account id"),
        (json!({ "name": "x", "role": "auditor", "expires": "0d" }), 400, "expected a time to come"),
        (json!({ "name": "x", "role": "auditor", "expires": "soon" }), 400, "expected a time to come"),
        (json!({ "name": "x", "role": "auditor", "expires": "2020-01-01T00:00:00Z" }), 400, "expected a time to come"),
    ] {
        let answer = create(&world, body.clone());
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.is_problem() && answer.body.contains(said), "{body}: {}", answer.body);
    }
    assert_eq!(world.state(), before);
}

#[test]
fn what_is_no_token_lets_nobody_in() {
    let world = World::new();
    let good = world.token_of(Role::Operator, false).to_owned();
    let id = world.spare.clone();
    let hash = world.runtime.block_on(world.store.document(Shelf::AccessToken, &id)).unwrap().unwrap();
    let hash: serde_json::Value = serde_json::from_slice(&hash.value).unwrap();
    let mut swapped = good.clone().into_bytes();
    let last = swapped.len() - 2;
    swapped[last] = if swapped[last] == b'A' { b'B' } else { b'A' };
    for bad in [
        "adj_",
        &id,
        hash["sha256"].as_str().unwrap(),
        &format!("adj_{}", hash["sha256"].as_str().unwrap()),
        &good[..good.len() - 1],
        &format!("{good}A"),
        std::str::from_utf8(&swapped).unwrap(),
        &good.to_uppercase(),
    ] {
        assert_eq!(world.get(bad, "/v1/jobs").status, 401, "{bad}");
    }
    assert_eq!(world.get(&good, "/v1/jobs").status, 200);
}
