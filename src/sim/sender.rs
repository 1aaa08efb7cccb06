//! Sends the queued deliveries as Zoom does: signed, within three seconds, retried for server and network errors only.

use std::time::Duration;

use reqwest::redirect::Policy;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::{Clock, Timestamp};

use super::account::{Subscription, fresh_id};
use super::event;
use super::outbox::{Delivery, Sent, request_id};
use super::server::stopped;
use super::sign::{encrypted_token, sign};
use super::world::World;

/// An answer counts within this \[DOC].
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A client for loopback only: it needs no roots, but reqwest asks for a TLS provider before it builds any client.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    // An error means that one is installed already, which is as good.
    let _there_already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .redirect(Policy::none()) // Zoom does not follow redirects [DOC].
        .user_agent("Zoom Marketplace/1.0a")
        .build()
}

/// Runs until `stop` becomes true, `at_once` deliveries at a time; one at a time keeps their order.
pub(super) async fn run(world: World, client: reqwest::Client, at_once: usize, mut stop: watch::Receiver<bool>) {
    let mut sending = JoinSet::new();
    loop {
        let now = world.now();
        while sending.len() < at_once
            && let Some(delivery) = world.state(|state| state.outbox.take_due(world.chance(), now))
        {
            sending.spawn(send(world.clone(), client.clone(), delivery));
        }
        let next = world.state(|state| state.next_due()).filter(|_| sending.len() < at_once);
        tokio::select! {
            Some(_) = sending.join_next() => {}
            () = world.woken().notified() => {}
            () = until(world.clock().as_ref(), next) => {}
            () = stopped(&mut stop) => break,
        }
    }
    sending.shutdown().await;
}

async fn until(clock: &dyn Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn send(world: World, client: reqwest::Client, delivery: Delivery) {
    let signed_at = delivery.signed_at.unwrap_or_else(|| world.now());
    let deadline = world.clock().sleep_until(world.now().plus(ANSWER_WITHIN));
    let result = tokio::select! {
        result = post(&client, &delivery, signed_at) => {
            result.map_or_else(Sent::Failed, |response| Sent::Status(response.status().as_u16()))
        }
        () = deadline => Sent::Failed("no answer within three seconds".to_owned()),
    };
    world.state(|state| state.outbox.settle(delivery, result, world.now()));
    world.settled().notify_waiters();
}

async fn post(client: &reqwest::Client, delivery: &Delivery, at: Timestamp) -> Result<reqwest::Response, String> {
    let url = reqwest::Url::parse(&delivery.url).map_err(|error| error.to_string())?;
    if url.scheme() != "http" || !matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        return Err(format!(
            "{} is not plain http on loopback: the simulated Zoom never leaves the machine",
            delivery.url
        ));
    }
    // The headers of Zoom's sample; the timestamp is in seconds [DOC].
    let request = client
        .post(url)
        .header("content-type", "application/json; charset=utf-8")
        .header("x-zm-request-timestamp", at.as_secs().to_string())
        .header("x-zm-signature", sign(&delivery.secret, at.as_secs(), &delivery.body))
        .header("x-zm-request-id", &delivery.request_id)
        .body(delivery.body.clone());
    request.send().await.map_err(|error| error.to_string())
}

/// What is wrong with an endpoint's answer to `endpoint.url_validation`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    #[error("{0} has no subscription in the simulated Zoom")]
    NoSubscription(String),
    #[error("no answer: {0}")]
    NoAnswer(String),
    #[error("answered {0}, not 200")]
    Status(u16),
    #[error("the answer is not JSON with plainToken and encryptedToken")]
    NotJson,
    #[error("plainToken came back changed")]
    PlainToken,
    #[error("encryptedToken is not the HMAC of plainToken under the secret token")]
    EncryptedToken,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validated {
    plain_token: String,
    encrypted_token: String,
}

/// Asks each of the endpoints to prove that it knows the secret; the request is signed like any other \[DOC].
pub(super) async fn validate(
    world: &World,
    client: &reqwest::Client,
    whose: &str,
    to: Vec<Subscription>,
) -> Result<(), ValidationError> {
    if to.is_empty() {
        return Err(ValidationError::NoSubscription(whose.to_owned()));
    }
    for subscription in to {
        let (token, at) = (fresh_id(world.chance()), world.now());
        let delivery = Delivery {
            account: whose.to_owned(),
            app: String::new(),
            event: "endpoint.url_validation".to_owned(),
            body: event::url_validation(&token, at).into(),
            request_id: request_id(world.chance()),
            attempt: 0,
            url: subscription.url,
            secret: subscription.secret,
            signed_at: Some(at),
        };
        let answer = async {
            let response = post(client, &delivery, at).await?;
            let status = response.status().as_u16();
            response.bytes().await.map(|body| (status, body)).map_err(|error| error.to_string())
        };
        let (status, body) = tokio::select! {
            answer = answer => answer.map_err(ValidationError::NoAnswer)?,
            () = world.clock().sleep_until(at.plus(ANSWER_WITHIN)) => {
                return Err(ValidationError::NoAnswer("none within three seconds".to_owned()));
            }
        };
        // "200 or 204", but a body is required, so 204 cannot be right [DOC contradicts itself].
        if status != 200 {
            return Err(ValidationError::Status(status));
        }
        let answer: Validated = serde_json::from_slice(&body).map_err(|_| ValidationError::NotJson)?;
        if answer.plain_token != token {
            return Err(ValidationError::PlainToken);
        }
        if answer.encrypted_token != encrypted_token(&delivery.secret, &token) {
            return Err(ValidationError::EncryptedToken);
        }
    }
    Ok(())
}
