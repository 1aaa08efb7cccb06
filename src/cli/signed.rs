//! A request as Zoom would send it, signed with an app's own secret.

use secrecy::{ExposeSecret, SecretString};

use crate::chance::{Chance, SystemChance};
use crate::clock::{Clock, SystemClock};
use crate::event::signature::OWN_REQUEST_ID;
use crate::sim::sign;

/// A signed body: sent again, it is the same request.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) request_id: String,
    body: String,
    timestamp: String,
    signature: String,
}

impl Signed {
    pub(super) fn now(secret: &SecretString, body: String) -> Self {
        let at = SystemClock.now().as_secs();
        let signature = sign(secret.expose_secret(), at, body.as_bytes());
        Self { request_id: request_id(), body, timestamp: at.to_string(), signature }
    }

    /// With the headers of Zoom's own.
    pub(super) fn to(&self, url: &str, client: &reqwest::Client) -> reqwest::RequestBuilder {
        let request = client.post(url).header("content-type", "application/json; charset=utf-8");
        let request = request.header("user-agent", "Zoom Marketplace/1.0a").header("x-zm-request-id", &self.request_id);
        let request = request.header("x-zm-request-timestamp", &self.timestamp);
        request.header("x-zm-signature", &self.signature).body(self.body.clone())
    }
}

/// As Zoom's, `6009d653_d487_445d_8406_42b654974899`, with word of whose it is before it.
fn request_id() -> String {
    let (a, b) = (SystemChance.next_u64(), SystemChance.next_u64());
    let hex = format!("{a:016x}{b:016x}");
    let mut rest = hex.as_str();
    let mut parts = Vec::new();
    for len in [8, 4, 4, 4, 12] {
        let (part, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        parts.push(part);
        rest = after;
    }
    format!("{OWN_REQUEST_ID}{}", parts.join("_"))
}

/// What is at the bottom of it: the rest only says that a request failed.
pub(super) fn root(error: &reqwest::Error) -> &dyn std::error::Error {
    let mut why: &dyn std::error::Error = error;
    while let Some(source) = why.source() {
        why = source;
    }
    why
}
