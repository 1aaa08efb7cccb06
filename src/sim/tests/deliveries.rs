use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State;
use http::HeaderMap;

use crate::clock::lock;

use super::*;

const SECRET: &str = "zoom-test-secret-token";

/// One request that an endpoint got.
#[derive(Debug, Clone)]
struct Got {
    headers: HeaderMap,
    body: bytes::Bytes,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn event(&self) -> String {
        serde_json::from_slice::<Value>(&self.body).unwrap()["event"].as_str().unwrap().to_owned()
    }
}

/// An endpoint that answers with planned statuses, 200 after those, and proves the secret when asked.
#[derive(Debug, Clone)]
struct Endpoint {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
    statuses: Arc<Mutex<VecDeque<u16>>>,
    secret: Arc<Mutex<String>>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self {
            url: format!("http://{}/webhooks/main", listener.local_addr().unwrap()),
            got: Arc::default(),
            statuses: Arc::default(),
            secret: Arc::new(Mutex::new(SECRET.to_owned())),
        };
        let app = axum::Router::new().fallback(take).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        endpoint
    }

    fn got(&self) -> Vec<Got> {
        lock(&self.got).clone()
    }
}

async fn take(State(to): State<Endpoint>, headers: HeaderMap, body: bytes::Bytes) -> (http::StatusCode, String) {
    lock(&to.got).push(Got { headers, body: body.clone() });
    let status = lock(&to.statuses).pop_front().unwrap_or(200);
    let value: Value = serde_json::from_slice(&body).unwrap();
    let plain = value["payload"]["plainToken"].as_str().unwrap_or_default();
    let proof = encrypted_token(&lock(&to.secret), plain);
    let answer = json!({ "plainToken": plain, "encryptedToken": proof });
    (http::StatusCode::from_u16(status).unwrap(), answer.to_string())
}

async fn started() -> (Fixture, Sim, Endpoint) {
    let fixture = Fixture::with_licensed(&["dana"]);
    let endpoint = Endpoint::start().await;
    fixture.world.subscribe(ACCOUNT, Subscription::to_all(&endpoint.url, SECRET)).unwrap();
    let sim = Sim::start(fixture.world.clone()).await.unwrap();
    (fixture, sim, endpoint)
}

fn mins(mins: u64) -> Duration {
    Duration::from_secs(mins * 60)
}

#[tokio::test]
async fn a_delivery_is_signed_and_has_the_headers_of_zoom() {
    let (fixture, sim, endpoint) = started().await;
    fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    sim.settle().await;
    let got = endpoint.got();
    let [got] = got.as_slice() else { panic!("expected one delivery, not {}", got.len()) };
    assert_eq!(got.header("user-agent"), "Zoom Marketplace/1.0a");
    assert_eq!(got.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(got.header("x-zm-request-timestamp"), "1790000000");
    assert_eq!(got.header("x-zm-signature"), sign(SECRET, 1_790_000_000, &got.body));
    let lengths: Vec<usize> = got.header("x-zm-request-id").split('_').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
}

#[tokio::test]
async fn server_errors_are_retried_after_5_20_and_60_minutes_and_then_never() {
    let (fixture, sim, endpoint) = started().await;
    lock(&endpoint.statuses).extend([500; 9]);
    fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    for (after, count) in [(0, 1), (4, 1), (1, 2), (19, 2), (1, 3), (59, 3), (1, 4), (600, 4)] {
        fixture.clock.advance(mins(after));
        sim.settle().await;
        assert_eq!(endpoint.got().len(), count, "{after} minutes later");
    }
    let tally = Tally { queued: 1, given_up: 1, ..Tally::default() };
    assert_eq!((fixture.world.tally(), fixture.world.deliveries_waiting()), (tally, 0));
    let got = endpoint.got();
    let (first, last) = (got.first().unwrap(), got.last().unwrap());
    assert_eq!(first.header("x-zm-request-id"), last.header("x-zm-request-id"));
    assert_eq!(last.header("x-zm-request-timestamp"), (1_790_000_000 + 85 * 60).to_string(), "signed afresh");
    assert_eq!(last.header("x-zm-signature"), sign(SECRET, 1_790_000_000 + 85 * 60, &last.body));
}

#[tokio::test]
async fn neither_client_errors_nor_redirects_are_retried() {
    for status in [301, 400, 401, 404, 429, 201] {
        let (fixture, sim, endpoint) = started().await;
        lock(&endpoint.statuses).push_back(status);
        fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
        sim.settle().await;
        let tally = Tally { queued: 1, refused: 1, ..Tally::default() };
        assert_eq!((fixture.world.tally(), fixture.world.deliveries_waiting()), (tally, 0), "{status}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_retried_and_any_2xx_counts_then() {
    let (fixture, sim, endpoint) = started().await;
    fixture.world.unsubscribe(ACCOUNT).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    fixture.world.subscribe(ACCOUNT, Subscription::to_all(format!("http://{address}/"), SECRET)).unwrap();
    fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    sim.settle().await;
    assert!(matches!(fixture.world.attempts().last().unwrap().result, Sent::Failed(_)));
    let listener = TcpListener::bind(address).await.unwrap();
    lock(&endpoint.statuses).push_back(202);
    let app = axum::Router::new().fallback(take).with_state(endpoint.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    fixture.clock.advance(mins(5));
    sim.settle().await;
    assert_eq!(fixture.world.tally().delivered, 1);
}

#[tokio::test]
async fn nothing_is_sent_beyond_loopback() {
    let (fixture, sim, _) = started().await;
    fixture.world.unsubscribe(ACCOUNT).unwrap();
    fixture.world.subscribe(ACCOUNT, Subscription::to_all("https://example.com/", SECRET)).unwrap();
    fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    sim.settle().await;
    let Sent::Failed(text) = fixture.world.attempts().pop().unwrap().result else { panic!("it was sent") };
    assert!(text.contains("never leaves the machine"), "{text}");
}

#[tokio::test]
async fn an_endpoint_that_knows_the_secret_is_validated() {
    let (_, sim, endpoint) = started().await;
    assert_eq!(sim.validate(ACCOUNT).await, Ok(()));
    let got = endpoint.got();
    let token = serde_json::from_slice::<Value>(&got.first().unwrap().body).unwrap();
    assert_eq!(token["payload"]["plainToken"].as_str().map(str::len), Some(22));
    assert!(got.first().unwrap().body.starts_with(br#"{"payload":{"plainToken":"#));
    "other".clone_into(&mut lock(&endpoint.secret));
    assert_eq!(sim.validate(ACCOUNT).await, Err(ValidationError::EncryptedToken));
    lock(&endpoint.statuses).push_back(401);
    assert_eq!(sim.validate(ACCOUNT).await, Err(ValidationError::Status(401)));
    assert!(matches!(sim.validate("nobody").await, Err(ValidationError::NoSubscription(_))));
}

#[tokio::test]
async fn mischief_repeats_copies_and_drops() {
    let (fixture, sim, endpoint) = started().await;
    let flip = || {
        fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
        fixture.world.activate(ACCOUNT, "dana@example.com").unwrap();
    };
    fixture.world.set_mischief(Mischief { drop_percent: 100, ..Mischief::default() });
    flip();
    sim.settle().await;
    assert_eq!((endpoint.got().len(), fixture.world.tally().dropped), (0, 2));
    fixture.world.set_mischief(Mischief { repeat_percent: 100, copy_percent: 100, ..Mischief::default() });
    fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    sim.settle().await;
    let mut ids: Vec<String> = endpoint.got().iter().map(|got| got.header("x-zm-request-id").to_owned()).collect();
    assert_eq!(ids.len(), 3);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "one repeated, one copied under an id of its own");
}

#[tokio::test]
async fn shuffled_deliveries_all_arrive_in_another_order() {
    let fixture = Fixture::with_licensed(&["dana"]);
    let endpoint = Endpoint::start().await;
    fixture.world.subscribe(ACCOUNT, Subscription::to_all(&endpoint.url, SECRET)).unwrap();
    fixture.world.set_mischief(Mischief { shuffle: true, ..Mischief::default() });
    for _ in 0..5 {
        fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
        fixture.world.activate(ACCOUNT, "dana@example.com").unwrap();
    }
    let sim = Sim::start(fixture.world.clone()).await.unwrap();
    sim.settle().await;
    let names: Vec<String> = endpoint.got().iter().map(Got::event).collect();
    assert_eq!(names.iter().filter(|name| *name == "user.activated").count(), 5);
    assert!(names.windows(2).any(|pair| pair.first() == pair.last()), "{names:?}");
}

#[tokio::test]
async fn a_silent_endpoint_fails_after_three_seconds_of_the_worlds_clock() {
    let (fixture, sim, _) = started().await;
    fixture.world.unsubscribe(ACCOUNT).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    fixture.world.subscribe(ACCOUNT, Subscription::to_all(url, SECRET)).unwrap();
    fixture.world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    let accepted = silent.accept().await.unwrap();
    fixture.clock.advance(Duration::from_secs(3));
    sim.settle().await;
    drop(accepted);
    let last = fixture.world.attempts().pop().unwrap();
    assert_eq!(last.result, Sent::Failed("no answer within three seconds".to_owned()));
    assert_eq!(fixture.world.deliveries_waiting(), 1);
}

#[tokio::test]
async fn a_general_app_proves_its_secret_and_sees_its_own_deliveries_in_the_log() {
    let (fixture, sim, own) = started().await;
    let general = Endpoint::start().await;
    let world = &fixture.world;
    world.add_app(NewApp::named("platform", "http://127.0.0.1:9/oauth/callback")).unwrap();
    assert!(sim.validate_app("client-platform").await.is_err(), "there is nothing to validate");
    world.subscribe_app("client-platform", Subscription::to_all(&general.url, SECRET)).unwrap();
    sim.validate_app("client-platform").await.unwrap();
    let token = world.install("client-platform", "owner@aaaaaabbbb.example").unwrap().access_token;
    world.unsubscribe(ACCOUNT).unwrap();
    world.deactivate(ACCOUNT, "dana@example.com").unwrap();
    world.subscribe(ACCOUNT, Subscription::to_all(&own.url, SECRET)).unwrap();
    world.activate(ACCOUNT, "dana@example.com").unwrap();
    sim.settle().await;
    assert_eq!(
        general.got().iter().map(Got::event).collect::<Vec<_>>(),
        ["endpoint.url_validation", "user.deactivated", "user.activated"]
    );
    assert_eq!(own.got().iter().map(Got::event).collect::<Vec<_>>(), ["user.activated"]);
    let logged = |fixture: &Fixture, client: &str| {
        let answer = fixture.get(&format!("/marketplace/apps/{client}/webhook_logs?type=1")).value();
        let rows = answer["webhook_logs"].as_array().cloned().unwrap_or_default();
        rows.into_iter().map(|row| row["event"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(logged(&fixture, &format!("client-{ACCOUNT}")), ["user.activated"]);
    let general = Fixture { token, ..fixture };
    assert_eq!(logged(&general, "client-platform"), ["user.deactivated", "user.activated"]);
    assert_eq!(logged(&general, &format!("client-{ACCOUNT}")), Vec::<Value>::new(), "nobody reads another app's");
}
