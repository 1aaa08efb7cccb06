//! A POST to where an operator said: one request and its answer.
//!
//! Guarantees: it goes to an address that was checked, over a connection to just that address; no redirect is followed and
//! no proxy asked, since either would choose another; nothing is repeated; the whole takes no longer than its time, and no
//! more of the answer is read than is shown to somebody. Deliberately does not know what is sent, and whether to try again.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::LOCATION;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Response, Url, redirect, retry};

use super::addresses::Reach;
use crate::clock::Timestamp;
use crate::zoom::{retry_after, root_cause};

/// From the look-up of the name to the end of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of an answer.
const ANSWER_BYTES_MAX: usize = 4096;
/// What is shown of it.
const SHOWN_CHARS_MAX: usize = 200;
/// What a URL may have.
pub const URL_BYTES_MAX: usize = 2000;
/// Idle connections are dropped before the other side is likely to.
const IDLE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    #[error("{host} is at {address}, a private address: set allow_private = true if it is meant")]
    Private { host: String, address: IpAddr },
    #[error("{host} is at {address}, which is not in a private network: use https")]
    InPlain { host: String, address: IpAddr },
    #[error("{host} is at {address}, where nothing is ever sent")]
    Nowhere { host: String, address: IpAddr },
    #[error("{0}")]
    Url(&'static str),
    #[error("no answer: {0}")]
    NoAnswer(String),
    #[error("failed to set up TLS, are root certificates (ca-certificates) installed: {0}")]
    Tls(String),
}

/// An answer, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    /// When `Retry-After` ends: a second from now or later, and at most an hour after the next midnight UTC.
    pub retry_after: Option<Timestamp>,
    /// Where a redirect would have led.
    pub location: Option<String>,
    /// The beginning of the body, in one line that can be shown; empty where it could not be read.
    pub said: String,
}

impl Answered {
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// Sends POSTs. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Poster {
    tls: Result<Client, PostError>,
    /// For http, which no address but a private one gets.
    plain: Option<Client>,
    timeout: Duration,
}

impl Poster {
    /// With `allow_private`, addresses of this machine and its networks are allowed, and http to those.
    pub fn new(allow_private: bool) -> Self {
        // An error means that the process has a provider already, which is just as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let failed = |error: reqwest::Error| PostError::Tls(root_cause(&error));
        let tls = client(Reach::of(allow_private)).https_only(true).build().map_err(failed);
        // In plain, nobody needs root certificates, which may be missing.
        let plain = client(Reach::OnlyPrivate).tls_certs_only([]).build().ok().filter(|_| allow_private);
        Self { tls, plain, timeout: TIMEOUT }
    }

    #[must_use]
    pub const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// An error means that no answer came; the other side may have got it all the same, where it is [`PostError::NoAnswer`].
    pub async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<Answered, PostError> {
        let url = address(url, self.plain.is_some())?;
        let client = match (&self.plain, url.scheme()) {
            (Some(plain), "http") => plain,
            _ => self.tls.as_ref().map_err(Clone::clone)?,
        };
        let request = client.post(url).headers(headers).body(body).timeout(self.timeout);
        let response = request.send().await.map_err(|error| self.unanswered(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let location = headers.get(LOCATION).map(|to| shown(to.as_bytes())).filter(|_| matches!(status, 300..=399));
        Ok(Answered { status, retry_after: retry_after(&headers, now), location, said: said(response).await })
    }

    /// The URL is left out: some have a secret in them.
    fn unanswered(&self, error: &reqwest::Error) -> PostError {
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            if let Some(refused) = cause.downcast_ref::<PostError>() {
                return refused.clone();
            }
            next = cause.source();
        }
        PostError::NoAnswer(if error.is_timeout() {
            format!("none within {} ms", self.timeout.as_millis())
        } else {
            root_cause(error)
        })
    }
}

/// A URL that can be posted to, as far as it says itself: https; where `allows_private`, http to what is private.
pub fn address(text: &str, allows_private: bool) -> Result<Url, PostError> {
    let url = Url::parse(text).map_err(|_| PostError::Url("it is not a URL"))?;
    let no = |why| Err(PostError::Url(why));
    match url.scheme() {
        "https" => {}
        "http" if allows_private => {}
        "http" => return no("http is for private addresses alone: use https, or set allow_private = true"),
        _ => return no("it begins with neither https:// nor http://"),
    }
    if text.len() > URL_BYTES_MAX {
        return no("it is longer than 2000 bytes");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return no("it holds a user name or a password");
    }
    // No resolver is asked about what is an address already.
    let host = url.host_str().unwrap_or_default();
    if let Ok(literal) = host.trim_matches(['[', ']']).parse() {
        let reach = if url.scheme() == "http" { Reach::OnlyPrivate } else { Reach::of(allows_private) };
        reach.check(host, &[literal])?;
    }
    if url.fragment().is_some() {
        return no("it has a # in it, and what follows one is never sent");
    }
    Ok(url)
}

/// The part of a URL that is no secret.
pub fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "no URL".to_owned(), |url| url.origin().ascii_serialization())
}

fn client(reach: Reach) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("adjutant/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .pool_idle_timeout(IDLE)
        .dns_resolver(Arc::new(Checked(reach)))
}

/// Resolves a name once, and gives the addresses that it checked to whoever connects.
#[derive(Debug)]
struct Checked(Reach);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Vec<_> = found.iter().map(std::net::SocketAddr::ip).collect();
            reach.check(name.as_str(), &addresses)?;
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// The beginning of an answer: what it says beyond its status matters to people alone, so that a fault ends it.
async fn said(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(chunk.get(..ANSWER_BYTES_MAX.min(chunk.len())).unwrap_or_default());
    }
    shown(&body)
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(SHOWN_CHARS_MAX).collect()
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(location) = &self.location {
            write!(f, ", a redirect to {location}, which is not followed")?;
        }
        if self.said.is_empty() { Ok(()) } else { write!(f, ": {}", self.said) }
    }
}

#[cfg(test)]
mod tests;
