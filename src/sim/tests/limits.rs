use std::time::Duration;

use super::*;

fn headers<'a>(answer: &'a Answer, names: [&str; 5]) -> [&'a str; 5] {
    names.map(|name| answer.header(name).unwrap_or("-"))
}

const NAMES: [&str; 5] =
    ["x-ratelimit-category", "x-ratelimit-type", "x-ratelimit-limit", "x-ratelimit-remaining", "retry-after"];

#[test]
fn the_second_limit_has_its_text_and_headers_and_passes_with_the_clock() {
    let fixture = Fixture::new();
    let first = fixture.get("/users");
    assert_eq!(headers(&first, NAMES), ["Medium", "QPS", "60", "59", "-"]);
    for _ in 1..60 {
        assert_eq!(fixture.get("/users").status, 200);
    }
    let refused = fixture.get("/users");
    let text = "You have reached the maximum per-second rate limit for this API. Try again later.";
    assert_refused(&refused, 429, 429, text);
    assert_eq!(headers(&refused, NAMES), ["Medium", "QPS", "60", "0", "-"]);
    assert_eq!(fixture.get("/users/me").status, 200, "light calls have their own");
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.get("/users").status, 200);
}

#[test]
fn plans_have_their_own_limits_and_accounts_do_not_share_them() {
    for (plan, light, medium) in [(Plan::Free, 4, 2), (Plan::Pro, 30, 20), (Plan::Business, 80, 60)] {
        let fixture = Fixture::new();
        fixture.world.set_plan(ACCOUNT, plan).unwrap();
        let count = |path: &str| (0..200).filter(|_| fixture.get(path).status == 200).count();
        assert_eq!((count("/users/me"), count("/users")), (light, medium));
        fixture.world.add_account(NewAccount::named("other")).unwrap();
        let other = Fixture { token: token_of(&fixture.world, "other"), ..fixture };
        assert_eq!(other.get("/users").status, 200);
    }
}

#[test]
fn a_free_account_meets_its_daily_limit_with_a_moment_to_come_back() {
    let mut fixture = Fixture::new();
    fixture.world.set_plan(ACCOUNT, Plan::Free).unwrap();
    fixture.clock.set(Timestamp::from_secs(1_790_035_200)); // 2026-09-22T00:00:00Z
    fixture.token = token_of(&fixture.world, ACCOUNT);
    for _ in 0..2_000 {
        assert_eq!(fixture.get("/users").status, 200);
        fixture.clock.advance(Duration::from_millis(500));
    }
    let refused = fixture.get("/users");
    let text = "You have reached the maximum daily rate limit for this API. Refer to the response header for details on \
                when you can make another request.";
    assert_refused(&refused, 429, 429, text);
    assert_eq!(headers(&refused, NAMES), ["Medium", "Daily-limit", "2000", "0", "2026-09-23T00:00:00Z"]);
}

#[test]
fn a_user_has_a_hundred_creates_and_updates_a_day() {
    let fixture = Fixture::with_licensed(&["api", "dana"]);
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.limits = false).unwrap();
    let create = || fixture.call("POST", "/users/api@example.com/meetings", &json!({}));
    let id = create().value()["id"].as_u64().unwrap();
    for _ in 0..98 {
        assert_eq!(create().status, 201);
    }
    assert_eq!(fixture.world.meeting_writes_left(ACCOUNT, "api@example.com"), 1);
    let update = || fixture.call("PATCH", &format!("/meetings/{id}"), &json!({ "topic": "New" }));
    assert_eq!(update().status, 204);
    let refused = update();
    let text = "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this \
                particular user. You may resume these requests at GMT 00:00:00.";
    assert_refused(&refused, 429, 429, text);
    assert_eq!(headers(&refused, NAMES), ["Light", "Daily-limit", "6000", "5893", "-"]);
    assert_eq!(create().status, 429);
    let dana = fixture.call("POST", "/users/dana@example.com/meetings", &json!({}));
    assert_eq!(dana.status, 201, "others have their own hundred");
    assert_eq!(fixture.call("DELETE", &format!("/meetings/{id}"), &Value::Null).status, 204, "deleting is free");
    fixture.clock.set(fixture.world.now().next_utc_midnight());
    let later = Fixture { token: token_of(&fixture.world, ACCOUNT), ..fixture };
    assert_eq!(later.call("POST", "/users/api@example.com/meetings", &json!({})).status, 201);
}
