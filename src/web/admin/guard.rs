//! Who may ask: the host name that was asked for, then the bearer token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminState;
use super::problem::ApiProblem;

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
pub(super) async fn guard(State(state): State<Arc<AdminState>>, request: Request, next: Next) -> Response {
    let id = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let method = request.method().clone();
    // The route, not the path: that may name an account.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = match check(&state, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    tracing::debug!(request = id, %method, route, status = response.status().as_u16(), "admin request");
    response.headers_mut().insert("x-request-id", HeaderValue::from(id));
    response
}

fn check(state: &AdminState, headers: &HeaderMap) -> Result<(), ApiProblem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    if hosts.next().is_some() || !state.hosts.hold(host) {
        let detail = "this listener is not reached under that host name; add it to [admin] hosts if it should be";
        return Err(ApiProblem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let token = given.next().and_then(|value| value.to_str().ok()).and_then(bearer);
    if given.next().is_none() && token.is_some_and(|token| state.token.matches(token)) {
        Ok(())
    } else {
        let detail = "send the token of [admin] token_file as `Authorization: Bearer …`";
        Err(ApiProblem::new(StatusCode::UNAUTHORIZED, detail))
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
