//! Who may ask: the host name that was asked for, then the bearer token, then what the token may.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminState;
use super::caller::Caller;
use super::described::Argument;
use super::problem::{self, ApiProblem};
use super::table::{About, Who};

/// The names under which the listener answers. A page in a browser that reaches it under a name of its own (DNS
/// rebinding) is turned away.
#[derive(Debug, Clone)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Loopback names, the address that is listened on, and the names of the configuration.
    pub fn new(listen: SocketAddr, names: &[String]) -> Self {
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        hosts.push(listen.ip().to_string());
        hosts.extend(names.iter().map(|name| name.to_ascii_lowercase()));
        Self(hosts)
    }

    /// Whether a `Host` header names one of them, with any port.
    pub fn hold(&self, header: &str) -> bool {
        let bare = match header.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
            None => header.rsplit_once(':').map_or(header, |(name, _)| name),
        };
        self.0.contains(&bare.to_ascii_lowercase())
    }
}

/// The number of the next request, which is its id in the log.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// Lets a request through that names us and holds the token. Every answer bears a request id, under which it is logged.
pub(super) async fn guard(State(state): State<Arc<AdminState>>, mut request: Request, next: Next) -> Response {
    let id = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let method = request.method().clone();
    // The route, not the path: that may name an account.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = match check(&state, request.headers()).await {
        Ok(caller) => {
            let actor = caller.actor.clone();
            request.extensions_mut().insert(caller);
            let response = next.run(request).await;
            tracing::debug!(request = id, actor, %method, route, status = response.status().as_u16(), "admin request");
            problem::as_problem(response).await
        }
        Err(problem) => {
            tracing::debug!(request = id, %method, route, status = problem.status, "admin request refused");
            problem.into_response()
        }
    };
    response.headers_mut().insert("x-request-id", HeaderValue::from(id));
    response
}

async fn check(state: &AdminState, headers: &HeaderMap) -> Result<Caller, ApiProblem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    if hosts.next().is_some() || !state.hosts.hold(host) {
        let detail = "this listener is not reached under that host name; add it to [admin] hosts if it should be";
        return Err(ApiProblem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let token = given.next().and_then(|value| value.to_str().ok()).and_then(bearer);
    let known = match token.filter(|_| given.next().is_none()) {
        Some(token) => state.tokens.caller(&*state.store, token, state.clock.now()).await?,
        None => None,
    };
    known.ok_or_else(|| {
        let detail = "send the token of [admin] token_file, or one of `adjutant tokens create` that is not revoked or over, as \
                      `Authorization: Bearer …`";
        ApiProblem::new(StatusCode::UNAUTHORIZED, detail)
    })
}

/// What a request showed of who asks, for whoever has to ask again while it is answered.
pub(super) struct Credentials(HeaderMap);

impl Credentials {
    /// Who it is now; refused where the token is not good any more.
    pub(super) async fn caller(&self, state: &AdminState) -> Result<Caller, ApiProblem> {
        check(state, &self.0).await
    }
}

impl Argument for Credentials {}

impl<S: Sync> FromRequestParts<S> for Credentials {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let shown = |name: header::HeaderName| {
            parts.headers.get_all(&name).iter().map(move |value| (name.clone(), value.clone()))
        };
        Ok(Self([header::HOST, header::AUTHORIZATION].into_iter().flat_map(shown).collect()))
    }
}

/// What a route asks of a caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permit {
    pub(super) who: Who,
    pub(super) about: About,
}

/// Lets through who may ask this route.
pub(super) async fn permit(
    State(permit): State<Permit>,
    caller: Caller,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let account = params.iter().find(|(name, _)| *name == "account").map(|(_, value)| value);
    match permit.refuses(&caller, account) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

impl Permit {
    fn refuses(self, caller: &Caller, in_path: Option<&str>) -> Option<ApiProblem> {
        let forbidden = |why: String| Some(ApiProblem::new(StatusCode::FORBIDDEN, why));
        if !self.who.contains(&caller.role) {
            let roles: Vec<&str> = self.who.iter().map(|role| role.word()).collect();
            let (roles, role) = (roles.join(" or "), caller.role);
            return forbidden(format!("this wants a token with the role {roles}, and this one has the role {role}"));
        }
        let own = caller.account.as_ref()?;
        match self.about {
            About::Service => {
                forbidden("this is about the whole service, and the token is bound to one account".to_owned())
            }
            About::InPath if in_path != Some(own.as_str()) => Some(ApiProblem::no_account(in_path.unwrap_or_default())),
            About::InPath | About::Nothing | About::Chosen | About::Read => None,
        }
    }
}

/// The token of a `Bearer` header; the scheme's case does not count.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AccountId;
    use crate::web::admin::Role;

    #[test]
    fn another_account_in_a_path_is_not_there_for_whoever_is_bound_and_is_for_all_others() {
        let permit = Permit { who: &[Role::Auditor], about: About::InPath };
        let free = Caller { actor: "token:x".to_owned(), role: Role::Auditor, account: None };
        let bound = Caller { account: Some(AccountId::parse("own").unwrap()), ..free.clone() };
        let status = |caller: &Caller, path| permit.refuses(caller, path).map(|problem| problem.status);
        assert_eq!((status(&free, Some("own")), status(&free, Some("other"))), (None, None));
        assert_eq!((status(&bound, Some("own")), status(&bound, Some("other"))), (None, Some(404)));
        assert_eq!(status(&bound, None), Some(404), "a route that names none is a mistake, and closed");
        assert_eq!(permit.refuses(&bound, Some("other")), Some(ApiProblem::no_account("other")));
        let onboarder = Caller { role: Role::Onboarder, ..free };
        assert_eq!(status(&onboarder, Some("own")), Some(403));
    }

    #[test]
    fn a_host_is_known_with_any_port_and_in_any_case() {
        let hosts = Hosts::new("10.1.2.3:8081".parse().unwrap(), &["Admin.Internal".to_owned()]);
        for good in
            ["localhost", "LOCALHOST:1", "127.0.0.1:8081", "[::1]:8081", "[::1]", "10.1.2.3", "admin.internal:80"]
        {
            assert!(hosts.hold(good), "{good} was refused");
        }
        for bad in
            ["", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.1.2.4", "[::2]:1", "[", ":80"]
        {
            assert!(!hosts.hold(bad), "{bad} was taken");
        }
    }
}
