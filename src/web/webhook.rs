//! The receiver: `POST /webhooks/{app}`. Verifies, stores, answers; plans nothing.
//!
//! Guarantees:
//! - 200 is made from a [`Receipt`], which a store gives only for what is on disk, or from the answer to a signed
//!   `endpoint.url_validation`, and from nothing else;
//! - nothing is parsed before its signature was verified, and nothing but a possible url validation before it is stored;
//! - what Zoom would forget is refused only where it is no delivery at all: Zoom retries a 5xx (+5, +20, +60 minutes) and
//!   forgets a 4xx, so a secret that is new or unproven, a wrong clock and a store that cannot take more are answered 503;
//! - no answer tells a stranger why: bodies are empty.
//!
//! The order of checks: path (404), method (405), content encoding (415), declared size (413), headers (400), size while
//! it is read (413), signature (401, or 503 within the grace), window (503), store (503). Headers are looked at before the
//! body is read, so that nobody unsigned makes us keep one for nothing.
//!
//! Deliberately does not know what events mean, which accounts an app holds, or what a duplicate is.

mod stats;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::BoxError;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::RefusalKind;
use super::accept::Site;
use super::body::{self, Deadlined, Room};
use super::peer::Proxies;
use crate::clock::{Clock, Timestamp};
use crate::event::signature::{self, PlainToken, Refusal, Secret, Stamp, Verified, Window};
use crate::event::{What, wire};
use crate::ids::AppName;
use crate::store::{AppState, NewDelivery, Receipt, Store, StoreError};

use stats::Moment;
pub use stats::ReceiverStats;

/// Where deliveries come in; the app's name follows.
const WEBHOOKS: &str = "/webhooks/";

/// Of `[server]` in the configuration, what the receiver goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiverSettings {
    /// The largest body that is taken, in bytes. A larger one is answered 413, and Zoom forgets it.
    pub body_bytes_max: usize,
    /// Memory for all bodies that come in more than one piece, in bytes. Beyond it 503.
    pub bodies_bytes_max: usize,
    /// How old the signed timestamp may be, in seconds. Zoom's last retry comes after 85 minutes.
    pub window_past_secs: u32,
    /// How far ahead of this machine's clock the signed timestamp may be, in seconds.
    pub window_future_secs: u32,
    /// For how long after a change of an app's secrets a bad signature is answered 503 instead of 401, in minutes.
    pub secret_grace_minutes: u32,
    /// What a 503 says in `Retry-After`, in seconds. Zoom keeps to its own schedule; proxies and tests look at it.
    pub retry_after_secs: u32,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            bodies_bytes_max: 64 << 20,
            window_past_secs: 7200,
            window_future_secs: 300,
            secret_grace_minutes: 120,
            retry_after_secs: 60,
        }
    }
}

/// An app as the receiver knows it: its name in the path, and its webhook secrets, the newest first.
#[derive(Debug, Clone)]
pub struct ReceiverApp {
    pub name: AppName,
    pub secrets: Vec<Secret>,
}

/// Receives the webhooks of all apps.
#[derive(Debug)]
pub struct Receiver {
    /// Replaced as a whole where apps come or go.
    apps: RwLock<Arc<Apps>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: ReceiverSettings,
    window: Window,
    retry_after: HeaderValue,
    room: Room,
    stats: ReceiverStats,
}

type Apps = BTreeMap<Box<str>, Arc<App>>;

#[derive(Debug)]
struct App {
    name: AppName,
    secrets: Vec<Secret>,
    verified_at: Moment,
    validated_at: Moment,
    secrets_changed_at: Option<Timestamp>,
}

/// How the receiver sees one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppView {
    /// The newest stored delivery.
    pub verified_at: Option<Timestamp>,
    /// The newest url validation that was answered, of those that we did not send ourselves.
    pub validated_at: Option<Timestamp>,
    /// A bad signature is answered 503 now.
    pub in_grace: bool,
}

impl Receiver {
    /// Tells the store which secrets are in use, and learns whether each app's are proven.
    pub async fn open(
        apps: Vec<ReceiverApp>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        settings: ReceiverSettings,
    ) -> Result<Arc<Self>, StoreError> {
        let receiver = Arc::new(Self {
            apps: RwLock::default(),
            store,
            clock,
            window: Window { past: settings.window_past_secs, future: settings.window_future_secs },
            retry_after: HeaderValue::from(settings.retry_after_secs),
            room: Room::new(settings.bodies_bytes_max),
            stats: ReceiverStats::new(),
            settings,
        });
        receiver.serve(apps).await?;
        Ok(receiver)
    }

    /// Takes deliveries of these apps, and of no others. One whose secrets stay goes on as it was.
    pub async fn serve(&self, apps: Vec<ReceiverApp>) -> Result<(), StoreError> {
        let (before, mut known) = (self.apps(), Apps::new());
        for ReceiverApp { name, secrets } in apps {
            let print = signature::fingerprint(&secrets);
            let same = before.get(name.as_str()).filter(|app| signature::fingerprint(&app.secrets) == print);
            let app = if let Some(app) = same {
                Arc::clone(app)
            } else {
                let state = self.store.secrets_seen(&name, print, self.clock.now()).await?;
                Arc::new(App::new(name.clone(), secrets, state))
            };
            known.insert(name.as_str().into(), app);
        }
        *self.apps.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    fn apps(&self) -> Arc<Apps> {
        Arc::clone(&self.apps.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// `POST /webhooks/{app}` and `GET /livez`; nothing else. To be merged with the other public routes, if any.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/webhooks/{app}", post(receive))
            .route("/livez", get(|| async { StatusCode::OK }))
            .method_not_allowed_fallback(wrong_method)
            .fallback(unknown_path)
            .with_state(Arc::clone(self))
    }

    /// What the public listener serves, with these routes beside its own. The proxies are those that may say for whom they ask.
    pub fn site(self: &Arc<Self>, others: Router, proxies: Proxies) -> PublicSite {
        let router = self.router().merge(others);
        PublicSite { receiver: Arc::clone(self), router, proxies: Arc::new(proxies) }
    }

    pub const fn stats(&self) -> &ReceiverStats {
        &self.stats
    }

    /// Takes the refusals that were counted since the last call: the start of the minute, the kind, how many.
    pub fn drain_refusals(&self) -> Vec<(Timestamp, RefusalKind, u64)> {
        self.stats.refusals.drain()
    }

    pub fn app(&self, name: &AppName) -> Option<AppView> {
        let apps = self.apps();
        let app = apps.get(name.as_str())?;
        Some(AppView {
            verified_at: app.verified_at.get(),
            validated_at: app.validated_at.get(),
            in_grace: self.in_grace(app, self.clock.now()),
        })
    }

    async fn receive<B>(&self, request: http::Request<B>) -> Result<Accepted, RefusalKind>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        let (parts, body) = request.into_parts();
        let name = parts.uri.path().strip_prefix(WEBHOOKS).ok_or(RefusalKind::UnknownApp)?;
        let app = self.apps().get(name).map(Arc::clone).ok_or(RefusalKind::UnknownApp)?;
        let app = &*app;
        if is_encoded(&parts.headers) {
            return Err(RefusalKind::Encoding);
        }
        let declared = body.size_hint().lower();
        if usize::try_from(declared).unwrap_or(usize::MAX) > self.settings.body_bytes_max {
            return Err(RefusalKind::TooLarge);
        }
        let stamp = Stamp::read(&parts.headers).map_err(|_| RefusalKind::Malformed)?;
        let (body, _share) = body::read(body, self.settings.body_bytes_max, &self.room).await?;
        let now = self.clock.now();
        let (verified, secret) = stamp
            .verify(body, &app.secrets, now.as_secs(), self.window)
            .map_err(|refusal| self.refused(app, refusal, now))?;
        if let Some(answer) = self.url_validation(app, &verified, secret, now) {
            return Ok(answer);
        }
        let delivery = NewDelivery { app: app.name.clone(), received_at: now, verified };
        match self.store.deliver(delivery).await {
            Ok(receipt) => {
                app.verified_at.set(now);
                self.stats.accepted.fetch_add(1, Ordering::Relaxed);
                Ok(Accepted::Stored(receipt))
            }
            Err(error) => {
                if self.stats.store_logged.pass(now) {
                    tracing::error!(app = %app.name, %error, "failed to store deliveries; Zoom is told to try again");
                }
                if matches!(error, StoreError::Backlog) {
                    self.stats.backlog_at.set(now);
                    return Err(RefusalKind::Backlog);
                }
                Err(RefusalKind::Unstored)
            }
        }
    }

    fn refused(&self, app: &App, refusal: Refusal, now: Timestamp) -> RefusalKind {
        if matches!(refusal, Refusal::Signature) {
            self.stats.refusals.bad_signature(&app.name, now);
        }
        match refusal {
            Refusal::Malformed(_) => RefusalKind::Malformed,
            Refusal::Signature if self.in_grace(app, now) => RefusalKind::SignatureInGrace,
            Refusal::Signature => RefusalKind::Signature,
            Refusal::Window { skew_secs } => {
                self.stats.last_skew_secs.store(skew_secs, Ordering::Relaxed);
                self.stats.clock_alarm_at.set(now);
                if self.stats.clock_logged.pass(now) {
                    tracing::warn!(app = %app.name, skew_secs, "a good signature is outside the window: check the clock");
                }
                RefusalKind::Window
            }
        }
    }

    /// Whether a bad signature may be our own fault: no delivery ever fitted the secrets, or they are new.
    fn in_grace(&self, app: &App, now: Timestamp) -> bool {
        let grace = Duration::from_secs(u64::from(self.settings.secret_grace_minutes) * 60);
        app.secrets.is_empty()
            || app.verified_at.get().is_none()
            || app.secrets_changed_at.is_some_and(|changed| now < changed.plus(grace))
    }

    /// Answers a url validation. One whose token is not plain is left to be stored like any other delivery: it is signed,
    /// so it is Zoom's, but what it asks for could be a forged signature.
    fn url_validation(&self, app: &App, verified: &Verified, secret: &Secret, now: Timestamp) -> Option<Accepted> {
        // A name written with JSON escapes slips through here, and is stored and not answered: safe.
        if !std::str::from_utf8(verified.body()).is_ok_and(|body| body.contains(wire::URL_VALIDATION)) {
            return None;
        }
        let What::UrlValidation { plain_token } = wire::parse(verified).ok()?.what else { return None };
        let Ok(token) = PlainToken::parse(&plain_token) else {
            self.stats.bad_plain_tokens.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.stats.validated.fetch_add(1, Ordering::Relaxed);
        let answer = Some(Accepted::Validated(Answer::new(secret, &token)));
        if verified.is_own() {
            // That we reach ourselves does not say that Zoom does.
            return answer;
        }
        app.validated_at.set(now);
        let (store, name) = (Arc::clone(&self.store), app.name.clone());
        // Off the way of the answer: Zoom waits 3 seconds, and nothing depends on this note.
        tokio::spawn(async move {
            if let Err(error) = store.validated(&name, now).await {
                tracing::warn!(app = %name, %error, "failed to note an answered url validation");
            }
        });
        answer
    }
}

impl App {
    fn new(name: AppName, secrets: Vec<Secret>, state: AppState) -> Self {
        Self {
            name,
            secrets,
            verified_at: Moment::new(state.verified_at),
            validated_at: Moment::new(state.validated_at),
            secrets_changed_at: state.secrets_changed_at,
        }
    }
}

/// What is answered 200, each with its proof.
enum Accepted {
    Stored(Receipt),
    Validated(Answer),
}

/// The documented JSON of an answered url validation.
struct Answer(String);

impl Answer {
    fn new(secret: &Secret, token: &PlainToken) -> Self {
        // Neither alphabet has anything that JSON escapes.
        let encrypted = signature::encrypted_token(secret, token);
        Self(format!(r#"{{"plainToken":"{}","encryptedToken":"{encrypted}"}}"#, token.as_str()))
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        match self {
            Self::Stored(_receipt) => StatusCode::OK.into_response(),
            Self::Validated(Answer(json)) => {
                let mut response = Response::new(Body::from(Bytes::from(json)));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
        }
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    match receiver.receive(request).await {
        Ok(accepted) => accepted.into_response(),
        Err(why) => receiver.refuse(why),
    }
}

async fn wrong_method(State(receiver): State<Arc<Receiver>>) -> Response {
    receiver.refuse(RefusalKind::Method)
}

async fn unknown_path(State(receiver): State<Arc<Receiver>>) -> Response {
    receiver.refuse(RefusalKind::UnknownPath)
}

/// The public listener's site: the router, and a way around it for what comes a thousand times a second.
#[derive(Debug, Clone)]
pub struct PublicSite {
    receiver: Arc<Receiver>,
    router: Router,
    proxies: Arc<Proxies>,
}

impl Site for PublicSite {
    async fn answer(&self, request: http::Request<Deadlined>, peer: IpAddr) -> Response {
        if request.method() != Method::POST || !request.uri().path().starts_with(WEBHOOKS) {
            return self.router.answer(request, peer).await;
        }
        let client = self.proxies.client(peer, request.headers());
        match self.receiver.receive(request).await {
            Ok(accepted) => accepted.into_response(),
            Err(why) => self.receiver.refuse_client(why, client),
        }
    }
}

impl Receiver {
    /// Somebody whose secret is wrong, or whose proxy changes the body, wants to see that it was they who were refused.
    fn refuse_client(&self, why: RefusalKind, client: IpAddr) -> Response {
        if self.stats.refusal_logged.pass(self.clock.now()) {
            tracing::info!(%client, why = why.code(), "refused a delivery; more within a minute are only counted");
        }
        self.refuse(why)
    }

    fn refuse(&self, kind: RefusalKind) -> Response {
        self.stats.refusals.count(kind, self.clock.now());
        let mut response = status(kind).into_response();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, self.retry_after.clone());
        }
        response
    }
}

const fn status(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::UnknownPath | RefusalKind::UnknownApp => StatusCode::NOT_FOUND,
        RefusalKind::Method => StatusCode::METHOD_NOT_ALLOWED,
        RefusalKind::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalKind::Malformed | RefusalKind::BrokenBody => StatusCode::BAD_REQUEST,
        RefusalKind::SlowBody => StatusCode::REQUEST_TIMEOUT,
        RefusalKind::Signature => StatusCode::UNAUTHORIZED,
        RefusalKind::Crowded
        | RefusalKind::SignatureInGrace
        | RefusalKind::Window
        | RefusalKind::Backlog
        | RefusalKind::Unstored => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Any coding but `identity`, which an empty header says as well, and, for the transfer, plain chunks.
fn is_encoded(headers: &HeaderMap) -> bool {
    let other_than = |name, plain: &[&str]| {
        let is = |value: &HeaderValue, word: &str| value.as_bytes().trim_ascii().eq_ignore_ascii_case(word.as_bytes());
        headers.get_all(name).iter().any(|value| !plain.iter().any(|word| is(value, word)))
    };
    other_than(CONTENT_ENCODING, &["identity", ""]) || other_than(TRANSFER_ENCODING, &["chunked"])
}
