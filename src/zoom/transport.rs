//! The one HTTP client of the process: TLS with ring, no redirects, no hidden repeats, and a limit on everything.

use std::error::Error;
use std::time::Duration;

use http::HeaderMap;
use reqwest::{Client, RequestBuilder, Response, redirect, retry};

use super::Settings;
use super::port::ZoomError;

/// Idle connections are dropped before the other side is likely to.
const IDLE: Duration = Duration::from_secs(30);

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up TLS, are root certificates (ca-certificates) installed: {0}")]
pub struct TlsError(#[source] reqwest::Error);

#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    body_bytes_max: u64,
    timeout: Duration,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// An error where it was cut off or too large.
    pub(super) body: Result<Vec<u8>, ZoomError>,
}

impl Answer {
    pub(super) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The body of an error; one that could not be read is as good as none.
    pub(super) fn error_body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }
}

impl Http {
    pub(super) fn new(settings: &Settings) -> Result<Self, TlsError> {
        // An error means that the process has a provider already, which is just as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("adjutant/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(settings.connect_timeout())
            .timeout(settings.call_timeout())
            .pool_idle_timeout(IDLE);
        if settings.is_all_plain() {
            // A machine without root certificates can still talk to a simulated Zoom, and no proxy is between them.
            builder = builder.tls_certs_only([]).no_proxy();
        }
        let client = builder.build().map_err(TlsError)?;
        Ok(Self { client, body_bytes_max: settings.response_bytes_max, timeout: settings.call_timeout() })
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request. An error means that no answer came, so that nobody knows what happened.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, ZoomError> {
        let response = request.send().await.map_err(|error| self.unanswered(error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.read(response).await;
        Ok(Answer { status, headers, body })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, ZoomError> {
        let too_large = || ZoomError::Unreadable(format!("the answer is larger than {} bytes", self.body_bytes_max));
        if response.content_length().is_some_and(|length| length > self.body_bytes_max) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unanswered(error))? {
            let bytes = u64::try_from(body.len().saturating_add(chunk.len())).unwrap_or(u64::MAX);
            if bytes > self.body_bytes_max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The address is left out: it may name a person.
    fn unanswered(&self, error: reqwest::Error) -> ZoomError {
        let kind = if error.is_connect() { "cannot connect to Zoom" } else { "Zoom's answer did not arrive" };
        if error.is_timeout() {
            let within = if error.is_connect() { "in time".to_owned() } else { format!("within {:?}", self.timeout) };
            return ZoomError::Transient(format!("{kind} {within}"));
        }
        ZoomError::Transient(format!("{kind}: {}", root_cause(&error.without_url())))
    }
}

/// What an error came from in the end. The URL is left out: it may name a person, or hold a secret.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut last: Option<&dyn Error> = error.source();
    while let Some(next) = last.and_then(Error::source) {
        last = Some(next);
    }
    last.map_or_else(|| error.to_string(), ToString::to_string)
}
