//! Tests of the simulated Zoom against the facts, each with a seeded world and a clock that stands still.

mod apps;
mod assistants;
mod deliveries;
mod events;
mod faults;
mod limits;
mod many;
mod meetings;
mod moving;
mod onboarding;
mod rooms;
mod school;
mod users;

use std::sync::Arc;

use base64::Engine;
use serde_json::{Value, json};

use crate::chance::SeededChance;
use crate::clock::{ManualClock, Timestamp};

use super::*;

/// The account of every test here.
const ACCOUNT: &str = "AAAAAABBBB";

struct Fixture {
    clock: ManualClock,
    world: World,
    token: String,
}

impl Fixture {
    /// One Business account with its owner, and a token for it.
    fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_secs(1_790_000_000));
        let world = World::new(Arc::new(clock.clone()), Arc::new(SeededChance::new(7)));
        world.add_account(NewAccount::named(ACCOUNT)).unwrap();
        let token = token_of(&world, ACCOUNT);
        Self { clock, world, token }
    }

    /// Licensed users of these names at `example.com`.
    fn with_licensed(names: &[&str]) -> Self {
        let fixture = Self::new();
        for name in names {
            fixture.world.add_user(ACCOUNT, NewUser::licensed(&email(name))).unwrap();
        }
        fixture
    }

    fn call(&self, method: &str, path_and_query: &str, body: &Value) -> Answer {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        self.world.handle(&Request {
            method: method.to_owned(),
            path: format!("/v2{path}"),
            query: query.to_owned(),
            authorization: Some(format!("Bearer {}", self.token)),
            body: if body.is_null() { bytes::Bytes::new() } else { body.to_string().into() },
        })
    }

    fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &Value::Null)
    }

    /// Grants `assistant` to `host` over REST, both by name.
    fn grant(&self, host: &str, assistant: &str) -> Answer {
        let body = json!({ "assistants": [{ "email": email(assistant) }] });
        self.call("POST", &format!("/users/{}/assistants", email(host)), &body)
    }

    fn id(&self, name: &str) -> String {
        self.world.user(ACCOUNT, &email(name)).unwrap().id
    }
}

fn email(name: &str) -> String {
    format!("{name}@example.com")
}

fn token_request(client: &str, secret: &str, form: &str) -> Request {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{client}:{secret}"));
    Request {
        method: "POST".to_owned(),
        path: "/oauth/token".to_owned(),
        authorization: Some(format!("Basic {basic}")),
        body: form.to_owned().into(),
        ..Request::default()
    }
}

fn token_of(world: &World, account: &str) -> String {
    let form = format!("grant_type=account_credentials&account_id={account}");
    let request = token_request(&format!("client-{account}"), &format!("client-secret-{account}"), &form);
    world.handle(&request).value()["access_token"].as_str().unwrap().to_owned()
}

/// Status, code and text of a refusal.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: u32, message: &str) {
    let body = answer.value();
    assert_eq!((answer.status, &body["code"], &body["message"]), (status, &json!(code), &json!(message)));
}
