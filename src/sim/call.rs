//! One request to the simulated Zoom, and the log of them all.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::clock::Timestamp;

use super::answer::Refusal;

/// An HTTP request, as far as the world looks at it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// As on the wire, with `/v2`, without the query.
    pub path: String,
    pub query: String,
    pub authorization: Option<String>,
    pub body: Bytes,
}

impl Request {
    pub(crate) fn is_token(&self) -> bool {
        self.path == "/oauth/token"
    }

    pub(crate) fn is_oauth(&self) -> bool {
        self.path.starts_with("/oauth/")
    }

    /// The parts of the path after `/v2`, each decoded once.
    pub(crate) fn segments(&self) -> Vec<String> {
        let path = self.path.strip_prefix("/v2/").unwrap_or(&self.path);
        path.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
    }

    /// What kind of call it is: its method and path, with `{id}` for each id.
    pub(crate) fn kind(&self) -> String {
        if self.is_oauth() {
            return format!("{} {}", if self.is_token() { "POST" } else { &self.method }, self.path);
        }
        let segments = self.segments();
        let is_fixed = |place: usize| match segments.first().map(String::as_str) {
            Some("" | "groups" | "users" | "meetings") => place.is_multiple_of(2),
            Some("accounts") => true, // There is only `me`.
            _ => place == 0 || !place.is_multiple_of(2),
        };
        let shown = |(place, part): (usize, &String)| if is_fixed(place) { part.clone() } else { "{id}".to_owned() };
        let path: Vec<String> = segments.iter().enumerate().map(shown).collect();
        format!("{} /{}", self.method, path.join("/"))
    }

    pub(crate) fn decoded_path(&self) -> String {
        format!("/{}", self.segments().join("/"))
    }

    /// One parameter of the query.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        form_value(&self.query, name)
    }

    pub(crate) fn object(&self) -> Result<Map<String, Value>, Refusal> {
        serde_json::from_slice(&self.body).map_err(|_| Refusal::NotAnObject)
    }
}

/// One value of a form or query.
pub(crate) fn form_value(form: &str, name: &str) -> Option<String> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(value))
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub at: Timestamp,
    /// The account that the token belongs to.
    pub account: Option<String>,
    /// The app that the token was given to.
    pub client: Option<String>,
    /// The account that owns the user, group or meeting that it named, another one first: see [`Call::crosses`]. None where
    /// it named nothing that there is.
    pub owner: Option<String>,
    pub method: String,
    /// Decoded, without `/v2` and without the query; whole for those under `/oauth`.
    pub path: String,
    pub query: String,
    /// None where the connection was dropped.
    pub status: Option<u16>,
    /// Whether the world looked at the request at all, whatever it then answered: false where a fault came first.
    pub acted: bool,
}

impl Call {
    /// Whether it named something of another account than its token's.
    pub fn crosses(&self) -> bool {
        self.owner.is_some() && self.account.is_some() && self.owner != self.account
    }
}

/// Every request, newest last.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: VecDeque<Call>,
    by_kind: BTreeMap<String, u64>,
    total: u64,
    /// The oldest of those that crossed accounts: kept for as long as the world.
    crossings: Vec<Call>,
}

impl CallLog {
    /// So many are kept: a benchmark must not fill the memory.
    const CALLS_MAX: usize = 200_000;
    const CROSSINGS_MAX: usize = 1_000;

    pub(crate) fn add(&mut self, call: Call, kind: String) {
        *self.by_kind.entry(kind).or_default() += 1;
        if self.calls.len() >= Self::CALLS_MAX {
            self.calls.pop_front();
        }
        self.total += 1;
        if call.crosses() && self.crossings.len() < Self::CROSSINGS_MAX {
            self.crossings.push(call.clone());
        }
        self.calls.push_back(call);
    }

    pub(crate) fn crossings(&self) -> &[Call] {
        &self.crossings
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn by_kind(&self) -> &BTreeMap<String, u64> {
        &self.by_kind
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
        self.by_kind.clear();
        self.total = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_names_no_id() {
        for (path, kind) in [
            ("/v2/users", "GET /users"),
            ("/v2/users/a%40x.example", "GET /users/{id}"),
            ("/v2/users/u/assistants/v", "GET /users/{id}/assistants/{id}"),
            ("/v2/accounts/me/settings", "GET /accounts/me/settings"),
            ("/v2/marketplace/apps/client/webhook_logs", "GET /marketplace/apps/{id}/webhook_logs"),
        ] {
            let request = Request { method: "GET".to_owned(), path: path.to_owned(), ..Request::default() };
            assert_eq!(request.kind(), kind);
        }
    }

    #[test]
    fn a_path_is_decoded_part_by_part() {
        let request = Request { path: "/v2/users/a%40x.example/assistants%2F1".to_owned(), ..Request::default() };
        assert_eq!(request.segments(), ["users", "a@x.example", "assistants/1"]);
        assert_eq!(form_value("a=1&b=x+y%26z", "b").as_deref(), Some("x y&z"));
    }
}
