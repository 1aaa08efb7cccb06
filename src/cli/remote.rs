//! The service, as commands ask it: through the admin listener, or, while it is stopped, in the folder of its store. Both
//! give the same answers, because both go through the same routes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use clap::Args;
use http::{Method, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;

use super::signed::root;
use super::{Context, Exit, Failure};
use crate::chance::SystemChance;
use crate::clock::{Clock, SystemClock};
use crate::config::{Admin, Outline};
use crate::web::admin::errands::ErrandView;
use crate::web::admin::{
    AdminState, ApiProblem, Caller, Hosts, NoStats, NoSweeps, Readers, TokenHash, Tokens, api, token,
};

/// Where to look.
#[derive(Debug, Args, Clone, Copy)]
pub(super) struct Where {
    /// Open the store's folder instead of asking the running service, which must be stopped
    #[arg(long)]
    pub(super) offline: bool,
}

pub(super) enum Remote {
    Running {
        client: reqwest::Client,
        address: SocketAddr,
        token: SecretString,
        /// What to do where it does not answer.
        to_do: &'static str,
    },
    Stopped {
        router: Router,
        state: Arc<AdminState>,
    },
}

/// What is sent.
const JSON: (&str, &str) = ("content-type", "application/json");

const ANSWER_BYTES_MAX: usize = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(30);
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
const LONG_PATIENCE: Duration = Duration::from_secs(6 * 3600);

impl Remote {
    pub(super) async fn open(context: &Context, place: Where) -> Result<Self, Failure> {
        if place.offline {
            Self::stopped(&context.outline()?).await
        } else {
            Self::reached(&context.admin()?, [START_OR_OFFLINE, TO_DO_OR_OFFLINE])
        }
    }

    /// For what a stopped service cannot be asked.
    pub(super) fn running(admin: &Admin) -> Result<Self, Failure> {
        Self::reached(admin, ["start it with `adjutant serve`", TO_DO])
    }

    fn reached(admin: &Admin, [start, to_do]: [&'static str; 2]) -> Result<Self, Failure> {
        let file = &admin.token_file;
        let token = token::read(file).map_err(|error| {
            let shown = file.display();
            match error.kind() {
                std::io::ErrorKind::NotFound => Failure::new(
                    Exit::Unreachable,
                    format!(
                        "there is no admin token at {shown}: the service was never started with this configuration. {start}"
                    ),
                ),
                std::io::ErrorKind::PermissionDenied => Failure::new(
                    Exit::Denied,
                    format!("cannot read the admin token {shown}: {error}. run this as the user that runs the service"),
                ),
                _ => Failure::new(Exit::Io, format!("cannot read the admin token {shown}: {error}")),
            }
        })?;
        Ok(Self::Running { client: client(PATIENCE)?, address: reachable(admin.listen), token, to_do })
    }

    pub(super) async fn stopped(outline: &Outline) -> Result<Self, Failure> {
        let store = super::store::open(outline).await.map_err(|failure| match failure.exit {
            Exit::Held => {
                Failure::new(Exit::Held, format!("{failure}; a service that runs is asked without --offline"))
            }
            _ => failure,
        })?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state = Arc::new(AdminState {
            local: Some(store.clone()),
            store: Arc::new(store),
            readers: Readers::default(),
            started_at: clock.now(),
            clock,
            tokens: Tokens::new(TokenHash::of(&"offline".into()), Arc::new(SystemChance)),
            hosts: Hosts::new(outline.admin.listen, &[]),
            apps: tokio::sync::watch::Sender::default().subscribe(),
            reload: None,
            stats: Arc::new(NoStats),
            sweeps: Arc::new(NoSweeps),
            engine: Arc::new(outline.rules.clone()),
            take_back: None,
            accounts: None,
            onboards: None,
            errands: None,
            meetings: None,
            users: None,
            pushers: None,
        });
        let caller = Caller::operator("command line, offline");
        Ok(Self::Stopped { router: api(Arc::clone(&state), caller), state })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        self.call(Method::GET, path, query, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        self.call(Method::POST, path, query, None).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        self.call(Method::DELETE, path, query, None).await
    }

    pub(super) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.call(Method::POST, path, query, Some(json(body)?)).await
    }

    pub(super) async fn patch_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.call(Method::PATCH, path, &[], Some(json(body)?)).await
    }

    /// For what takes the service long: it reads whole accounts at Zoom.
    pub(super) fn patient(self) -> Result<Self, Failure> {
        self.waiting(LONG_PATIENCE)
    }

    /// For what is said if the service answers, and left out if not.
    pub(super) fn impatient(self) -> Result<Self, Failure> {
        self.waiting(SHORT_PATIENCE)
    }

    fn waiting(self, patience: Duration) -> Result<Self, Failure> {
        match self {
            Self::Running { address, token, to_do, .. } => {
                Ok(Self::Running { client: client(patience)?, address, token, to_do })
            }
            stopped @ Self::Stopped { .. } => Ok(stopped),
        }
    }

    /// Lets go of the store, if it was opened.
    pub(super) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Running { .. } => Ok(()),
            Self::Stopped { state, .. } => {
                state.store.close().await.map_err(|error| Failure::new(Exit::Io, format!("closing the store: {error}")))
            }
        }
    }

    /// What is asked of a meeting; one that was refused while it was waited for is in the problem that tells so.
    pub(super) async fn errand(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: &impl Serialize,
    ) -> Result<ErrandView, Failure> {
        let (status, body) = self.answer(Method::POST, path, query, Some(json(body)?)).await?;
        let refused = serde_json::from_slice::<ApiProblem>(&body).ok().and_then(|problem| problem.errand);
        refused.map_or_else(|| read(status, &body), |errand| Ok(*errand))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        how: Method,
        path: &str,
        query: &[(&str, String)],
        sent: Option<Vec<u8>>,
    ) -> Result<T, Failure> {
        let (status, body) = self.answer(how, path, query, sent).await?;
        read(status, &body)
    }

    async fn answer(
        &self,
        how: Method,
        path: &str,
        query: &[(&str, String)],
        sent: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let target = target(path, query);
        match self {
            Self::Running { client, address, token, to_do } => {
                let request =
                    client.request(how, format!("http://{address}{target}")).bearer_auth(token.expose_secret());
                let request = sent.into_iter().fold(request, |request, json| request.header(JSON.0, JSON.1).body(json));
                let silent = |error| unanswered("the service does not answer", address, &error, to_do);
                let answer = request.send().await.map_err(silent)?;
                let status = answer.status();
                Ok((status, answer.bytes().await.map_err(silent)?))
            }
            Self::Stopped { router, .. } => {
                let request = Request::builder()
                    .method(how)
                    .uri(target)
                    .header(JSON.0, JSON.1)
                    .body(sent.map_or_else(Body::empty, Body::from));
                let request = request.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
                let answer = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
                let status = answer.status();
                let body = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await;
                Ok((status, body.map_err(|error| Failure::new(Exit::Io, error.to_string()))?))
            }
        }
    }
}

fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Failure> {
    if !status.is_success() {
        return Err(refused(status, body));
    }
    serde_json::from_slice(body).map_err(|error| {
        Failure::new(Exit::Io, format!("the service's answer cannot be understood: {error}. is it another version?"))
    })
}

/// A value as it is sent.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| Failure::new(Exit::Io, format!("cannot write JSON: {error}")))
}

/// A client for plain HTTP to this machine.
pub(super) fn client(patience: Duration) -> Result<reqwest::Client, Failure> {
    client_for("http:", patience)
}

/// A client that goes nowhere but where it is sent: no redirect, and for plain HTTP no proxy and no root certificates,
/// which a machine may not have.
pub(super) fn client_for(url: &str, patience: Duration) -> Result<reqwest::Client, Failure> {
    // Fails where it is installed already, which is as well.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(patience);
    if url.starts_with("http:") {
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build().map_err(|error| Failure::new(Exit::Io, format!("cannot make an HTTP client: {error}")))
}

/// Where a listener is reached from this machine.
pub(super) const fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn target(path: &str, query: &[(&str, String)]) -> String {
    let escape =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// An id as a path segment.
pub(super) fn segment(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%5F", "_")
}

/// What to do where the admin listener does not answer.
const TO_DO: &str = "start it with `adjutant serve`, or check [admin] listen";
const START_OR_OFFLINE: &str = "start it with `adjutant serve`, or look at a stopped one with --offline";
const TO_DO_OR_OFFLINE: &str =
    "start it with `adjutant serve`, check [admin] listen, or look at a stopped one with --offline";

/// `what` went wrong at a place, with the cause and what to do.
pub(super) fn unanswered(what: &str, at: &impl std::fmt::Display, error: &reqwest::Error, to_do: &str) -> Failure {
    Failure::new(Exit::Unreachable, format!("{what} at {at}: {}. {to_do}", root(error)))
}

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<ApiProblem>(body) else {
        return failure(status, None, status.to_string());
    };
    let advice = problem.advice.map_or_else(String::new, |advice| format!("; what can be done: {advice}"));
    failure(status, problem.code.as_deref(), format!("{}{advice}", problem.detail)).with_code(problem.code)
}

/// What is wrong with the request is a mistake of usage; what the account, its meetings or a day are not fit for is none.
fn failure(status: StatusCode, code: Option<&str>, detail: String) -> Failure {
    match status.as_u16() {
        401 => {
            let text = "the service does not know the token of [admin] token_file: is it another service, or was the file \
                        changed after its start? name its configuration with --config, or restart it";
            Failure::new(Exit::Denied, text)
        }
        403 | 421 => Failure::new(Exit::Denied, format!("the service refuses this: {detail}")),
        422 if code.is_some_and(|code| !["invalid", "key-used"].contains(&code)) => Failure::new(Exit::Failed, detail),
        400 | 415 | 422 => Failure::new(Exit::Usage, detail),
        404 | 409 | 413 | 429 => Failure::new(Exit::Failed, detail),
        507 => Failure::new(Exit::Io, detail),
        _ => Failure::new(Exit::Unreachable, format!("the service cannot do this now: {detail}")),
    }
}
