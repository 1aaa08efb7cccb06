//! What a browser keeps while its user installs an app: one cookie, signed, that says how far it is. First the form that asks
//! who the API user is, then the way to Zoom, then the page about what became of it.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Accounts, COOKIE_LIVES};
use crate::chance;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName};

/// So many authorisations that came back are remembered; the oldest give way.
const SPENT_MAX: usize = 10_000;

/// What a browser may look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ticket {
    pub account: AccountId,
    pub app: AppName,
    /// As in the cookie of the browser that it is for.
    pub(super) browser: String,
    pub(super) until: Timestamp,
}

/// A form that only the browser can send that was shown it.
#[derive(Debug, Clone)]
pub struct Form {
    pub cookie: String,
    /// In a hidden field.
    pub token: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    nonce: String,
    until: Timestamp,
}

/// Authorisations that came back: each counts once, so that nobody makes us ask Zoom again and again with one.
#[derive(Debug, Default)]
pub(super) struct Spent(VecDeque<(String, Timestamp)>);

impl Spent {
    /// Whether it was not spent before.
    pub(super) fn spend(&mut self, state: &str, now: Timestamp) -> bool {
        while self.0.front().is_some_and(|(_, until)| *until <= now) || self.0.len() >= SPENT_MAX {
            self.0.pop_front();
        }
        let is_new = !self.0.iter().any(|(spent, _)| spent == state);
        if is_new {
            self.0.push_back((state.to_owned(), now.plus(COOKIE_LIVES)));
        }
        is_new
    }
}

impl Accounts {
    pub fn form(&self) -> Form {
        let shown = Shown { nonce: self.nonce(), until: self.now().plus(COOKIE_LIVES) };
        Form { token: self.token_of(&shown), cookie: self.signed("form", &shown) }
    }

    /// Whether the browser with this cookie was shown the form with this token.
    pub fn was_shown(&self, cookie: Option<&str>, token: &str) -> bool {
        let shown = cookie.and_then(|cookie| self.opened::<Shown>("form", cookie));
        shown.is_some_and(|shown| self.now() < shown.until && same(&self.token_of(&shown), token))
    }

    fn token_of(&self, shown: &Shown) -> String {
        URL_SAFE_NO_PAD.encode(self.mac("form-token", shown.nonce.as_bytes()))
    }

    /// What a ticket lets the browser with this cookie look at.
    pub fn ticket(&self, text: &str, cookie: Option<&str>) -> Option<Ticket> {
        let browser: String = self.opened("done", cookie?)?;
        let fits = |ticket: &Ticket| self.now() < ticket.until && same(&ticket.browser, &browser);
        self.opened("ticket", text).filter(fits)
    }

    pub(super) fn nonce(&self) -> String {
        URL_SAFE_NO_PAD.encode(chance::bytes::<32>(&*self.parts.chance))
    }

    /// For the authorisation with this state.
    pub(super) fn verifier(&self, state: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac("verifier", state.as_bytes()))
    }

    fn mac(&self, what_for: &str, text: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.signs_with.expose_secret().as_bytes()) else {
            return Vec::new();
        };
        mac.update(what_for.as_bytes());
        mac.update(&[0]);
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    }

    pub(super) fn signed<T: Serialize>(&self, what_for: &str, thing: &T) -> String {
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(thing).unwrap_or_default());
        let mac = URL_SAFE_NO_PAD.encode(self.mac(what_for, text.as_bytes()));
        format!("{text}.{mac}")
    }

    pub(super) fn opened<T: DeserializeOwned>(&self, what_for: &str, signed: &str) -> Option<T> {
        let (text, mac) = signed.split_once('.')?;
        let expected = URL_SAFE_NO_PAD.encode(self.mac(what_for, text.as_bytes()));
        if !same(&expected, mac) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

pub(super) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorisation_counts_once_until_it_is_too_old_anyway_and_only_so_many_are_remembered() {
        let (mut spent, at) = (Spent::default(), Timestamp::from_secs(1_000));
        assert!(spent.spend("one", at));
        assert!(!spent.spend("one", at.plus(COOKIE_LIVES).minus(std::time::Duration::from_millis(1))));
        assert!(spent.spend("one", at.plus(COOKIE_LIVES)));
        for n in 0..2 * SPENT_MAX {
            assert!(spent.spend(&n.to_string(), at));
        }
        assert!(spent.0.len() <= SPENT_MAX);
    }
}
