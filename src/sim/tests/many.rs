//! Many accounts in one world: nobody mixes them up, and there is room for thousands.

use std::time::Duration;

use super::*;

/// A world of three schools with an app installed in each, and the tokens of that.
fn schools() -> (World, ManualClock, Vec<String>) {
    let clock = ManualClock::at(Timestamp::from_secs(1_790_000_000));
    let world = World::schools(Arc::new(clock.clone()), 7, 3, 10).unwrap();
    world.add_app(NewApp::named("platform", "http://127.0.0.1:9/oauth/callback")).unwrap();
    let install = |number| world.install("client-platform", &format!("owner@school-{number}.example")).unwrap();
    let tokens = (1..=3).map(|number| install(number).access_token).collect();
    (world, clock, tokens)
}

fn call(world: &World, token: &str, method: &str, path_and_query: &str, body: &Value) {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    world.handle(&Request {
        method: method.to_owned(),
        path: format!("/v2{path}"),
        query: query.to_owned(),
        authorization: Some(format!("Bearer {token}")),
        body: if body.is_null() { bytes::Bytes::new() } else { body.to_string().into() },
    });
}

#[test]
fn a_call_that_names_something_of_another_account_is_on_record_however_it_names_it() {
    let (world, _, tokens) = schools();
    let user = |number: usize| format!("api-1@school-{number}.example");
    let id = |number: usize| world.user(&format!("school-{number}"), &user(number)).unwrap().id;
    let group = |number: usize| world.groups(&format!("school-{number}"))[0].id.clone();
    let meeting = |number: usize| world.create_meeting(&format!("school-{number}"), &user(number), &json!({})).unwrap();
    let named = |number: usize| {
        let (user, id, group, meeting) = (user(number), id(number), group(number), meeting(number));
        [
            ("GET", format!("/users/{user}"), Value::Null),
            ("GET", format!("/users/{id}/schedulers"), Value::Null),
            ("GET", format!("/meetings/{meeting}"), Value::Null),
            ("GET", format!("/groups/{group}/members"), Value::Null),
            ("DELETE", format!("/users/user-1@school-1.example?transfer_email={user}"), Value::Null),
            ("DELETE", format!("/users/me/assistants/{id}"), Value::Null),
            ("POST", "/users/me/assistants".to_owned(), json!({ "assistants": [{ "email": user }] })),
            ("POST", format!("/groups/{}/members", group_of(&world)), json!({ "members": [{ "id": id }] })),
            ("POST", "/users/me/meetings".to_owned(), json!({ "schedule_for": user })),
            ("PATCH", "/users/user-2@school-1.example".to_owned(), json!({ "group_id": group })),
        ]
    };
    for (method, path, body) in named(1) {
        call(&world, &tokens[0], method, &path, &body);
        let last = world.calls().pop().unwrap();
        assert_eq!((last.owner.as_deref(), last.crosses()), (Some("school-1"), false), "{method} {path}");
    }
    assert_eq!(world.crossings(), []);
    for (count, (method, path, body)) in named(2).into_iter().enumerate() {
        call(&world, &tokens[0], method, &path, &body);
        let crossings = world.crossings();
        let last = crossings.last().unwrap();
        assert_eq!(crossings.len(), count + 1, "{method} {path}");
        assert_eq!((last.account.as_deref(), last.owner.as_deref()), (Some("school-1"), Some("school-2")));
    }
    world.clear_calls();
    assert_eq!(world.crossings().len(), 10, "they are not forgotten with the other calls");
}

fn group_of(world: &World) -> String {
    world.groups("school-1")[0].id.clone()
}

#[test]
fn lists_what_is_gone_and_addresses_to_invite_cross_nothing() {
    let (world, _, tokens) = schools();
    call(&world, &tokens[0], "GET", "/users?page_size=300", &Value::Null);
    call(&world, &tokens[0], "GET", "/users/nobody@example.com", &Value::Null);
    call(&world, &tokens[0], "GET", "/meetings/123", &Value::Null);
    let info = json!({ "email": "user-1@school-2.example", "type": 1 });
    call(&world, &tokens[0], "POST", "/users", &json!({ "action": "create", "user_info": info }));
    call(&world, &tokens[0], "GET", "/users/user-1@school-2.example", &Value::Null);
    assert_eq!(world.calls().last().unwrap().owner.as_deref(), Some("school-1"), "the invitation is in this account");
    assert_eq!(world.crossings(), []);
}

#[test]
fn accounts_of_a_big_world_are_apart_and_follow_from_the_seed() {
    let clock = || Arc::new(ManualClock::at(Timestamp::from_secs(1_790_000_000)));
    let (one, same) = (World::schools(clock(), 3, 40, 20).unwrap(), World::schools(clock(), 3, 40, 20).unwrap());
    let other = World::schools(clock(), 4, 40, 20).unwrap();
    let ids = |world: &World| world.users("school-40").into_iter().map(|user| user.id).collect::<Vec<_>>();
    assert_eq!(ids(&one).len(), 22, "the owner, an API user and twenty others");
    assert_eq!(ids(&one), ids(&same));
    assert_ne!(ids(&one), ids(&other));
    let token = token_of(&one, "school-40");
    let me = one.handle(&Request {
        method: "GET".to_owned(),
        path: "/v2/users/me".to_owned(),
        authorization: Some(format!("Bearer {token}")),
        ..Request::default()
    });
    assert_eq!(me.value()["email"], "owner@school-40.example");
}

#[tokio::test]
async fn every_answer_takes_as_long_as_the_world_says() {
    let (world, clock, tokens) = schools();
    let sim = Sim::start(world.clone()).await.unwrap();
    let http = sender::client().unwrap();
    let get = || http.get(format!("{}/users/me", sim.api_url())).bearer_auth(&tokens[0]).send();
    assert_eq!(get().await.unwrap().status(), 200);
    world.set_latency(Duration::from_millis(50));
    let seen = world.calls_total();
    // It takes no time, and is used up when the request has arrived.
    world.fault(Fault { target: Target::any_api(), times: 1, kind: FaultKind::Delay(Duration::ZERO) });
    let lead = async {
        while world.faults_left() > 0 {
            tokio::task::yield_now().await;
        }
        for passed in [0, 49] {
            clock.advance(Duration::from_millis(passed));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(world.calls_total(), seen, "answered after {passed} ms");
        }
        clock.advance(Duration::from_millis(1));
    };
    let (answer, ()) = tokio::join!(get(), lead);
    assert_eq!((answer.unwrap().status().as_u16(), world.calls_total()), (200, seen + 1));
}
