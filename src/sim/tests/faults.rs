use std::time::Duration;

use super::*;

/// A client of the running simulator, with a token.
struct Client {
    sim: Sim,
    http: reqwest::Client,
    fixture: Fixture,
}

impl Client {
    async fn new() -> Self {
        let fixture = Fixture::with_licensed(&["api", "dana"]);
        let sim = Sim::start(fixture.world.clone()).await.unwrap();
        Self { sim, http: sender::client().unwrap(), fixture }
    }

    fn plan(&self, target: Target, kind: FaultKind) {
        self.fixture.world.fault(Fault { target, times: 1, kind });
    }

    async fn grant(&self) -> reqwest::Result<(u16, String)> {
        let request = self
            .http
            .post(format!("{}/users/dana%40example.com/assistants", self.sim.api_url()))
            .bearer_auth(&self.fixture.token)
            .json(&json!({ "assistants": [{ "email": "api@example.com" }] }));
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, response.text().await?))
    }

    fn granted(&self) -> bool {
        !self.fixture.world.assistants(ACCOUNT, "dana@example.com").is_empty()
    }
}

fn assistants() -> Target {
    Target::api("POST", "/assistants")
}

#[tokio::test]
async fn the_api_answers_over_http() {
    let client = Client::new().await;
    let form = [("grant_type", "account_credentials"), ("account_id", ACCOUNT)];
    let request = client.http.post(format!("{}/token", client.sim.oauth_url())).form(&form);
    let basic = request.basic_auth(format!("client-{ACCOUNT}"), Some(format!("client-secret-{ACCOUNT}")));
    let token: Value = basic.send().await.unwrap().json().await.unwrap();
    assert_eq!(format!("{}/v2", token["api_url"].as_str().unwrap()), client.sim.api_url());
    assert_eq!(client.grant().await.unwrap().0, 201);
    let calls = client.fixture.world.calls();
    let call = calls.last().unwrap();
    assert_eq!((call.path.as_str(), call.status), ("/users/dana@example.com/assistants", Some(201)));
    assert_eq!((call.account.as_deref(), call.acted), (Some(ACCOUNT), true));
    let world = client.sim.stop().await;
    assert!(Sim::start(world).await.is_ok(), "a world can be served again");
}

#[tokio::test]
async fn a_connection_can_be_dropped_before_or_after_acting() {
    let client = Client::new().await;
    client.plan(assistants(), FaultKind::DropBefore);
    assert!(client.grant().await.is_err());
    assert!(!client.granted());
    client.plan(assistants(), FaultKind::DropAfter);
    assert!(client.grant().await.is_err());
    assert!(client.granted());
    let seen: Vec<_> = client.fixture.world.calls().into_iter().map(|call| (call.status, call.acted)).collect();
    assert_eq!(seen.get(1..), Some([(None, false), (None, true)].as_slice()));
    assert_eq!(client.fixture.world.count_calls("POST", "/assistants"), 2);
    assert_eq!(client.fixture.world.assistant_writes(ACCOUNT, "dana@example.com"), 1);
}

#[tokio::test]
async fn errors_on_demand_come_with_or_without_the_deed() {
    let client = Client::new().await;
    client.plan(assistants(), FaultKind::Error { status: 500, body: "{}".to_owned() });
    assert_eq!(client.grant().await.unwrap(), (500, "{}".to_owned()));
    client.plan(assistants(), FaultKind::TooMany(TooMany::Concurrent));
    assert!(client.grant().await.unwrap().1.contains("Too many concurrent requests."));
    assert!(!client.granted());
    client.plan(Target::any_api(), FaultKind::ErrorAfterActing { status: 504, body: String::new() });
    assert_eq!(client.grant().await.unwrap().0, 504);
    assert!(client.granted());
    client.plan(Target::Token, FaultKind::DropBefore);
    assert_eq!(client.grant().await.unwrap().0, 400, "another target's fault waits");
    assert_eq!(client.fixture.world.faults_left(), 1);
}

#[tokio::test]
async fn bodies_can_be_cut_or_huge() {
    let client = Client::new().await;
    client.plan(assistants(), FaultKind::Malformed);
    let (status, body) = client.grant().await.unwrap();
    assert!(status == 201 && serde_json::from_str::<Value>(&body).is_err());
    client.plan(assistants(), FaultKind::Oversized(3_000_000));
    assert_eq!(client.grant().await.unwrap().1.len(), 3_000_000);
}

#[tokio::test]
async fn a_delay_passes_with_the_worlds_clock() {
    let client = Client::new().await;
    client.plan(assistants(), FaultKind::Delay(Duration::from_secs(30)));
    client.plan(assistants(), FaultKind::Error { status: 503, body: String::new() });
    let (clock, world) = (client.fixture.clock.clone(), client.fixture.world.clone());
    let advance = async move {
        while world.faults_left() > 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(30));
    };
    let (answer, ()) = tokio::join!(client.grant(), advance);
    assert_eq!(answer.unwrap().0, 503);
    client.plan(assistants(), FaultKind::SlowAnswer(Duration::from_secs(30)));
    tokio::select! {
        _ = client.grant() => panic!("answered before its time"),
        () = async { while !client.granted() { tokio::task::yield_now().await; } } => {}
    }
}
