//! `POST /oauth/token` for server-to-server apps, and the tokens that are out.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use serde_json::json;

use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::sim::account::fresh_id;
use crate::sim::answer::{Answer, Refusal};
use crate::sim::body::Object;
use crate::sim::call::{Request, form_value};
use crate::sim::world::State;

/// An hour \[D].
const EXPIRES_IN_SECS: u64 = 3600;

/// What a token allows.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) account: String,
    pub(crate) scopes: Vec<String>,
    expires: Timestamp,
}

/// Several tokens of one account live at once, since June 2023 \[D].
#[derive(Debug, Default)]
pub(crate) struct Tokens(HashMap<String, Grant>);

impl Tokens {
    pub(crate) fn check(&self, request: &Request, now: Timestamp) -> Result<Grant, Refusal> {
        let grant = self.of(request).ok_or(Refusal::InvalidToken)?;
        if grant.expires <= now { Err(Refusal::ExpiredToken) } else { Ok(grant.clone()) }
    }

    pub(crate) fn account_of(&self, request: &Request) -> Option<&str> {
        self.of(request).map(|grant| grant.account.as_str())
    }

    pub(crate) fn revoke(&mut self, account: &str) {
        self.0.retain(|_, grant| grant.account != account);
    }

    fn of(&self, request: &Request) -> Option<&Grant> {
        self.0.get(scheme(request, "bearer")?)
    }

    /// Long expired tokens are forgotten: they are invalid then, not expired.
    fn add(&mut self, token: String, grant: Grant, now: Timestamp) {
        let day_ago = now.minus(Duration::from_secs(86_400));
        self.0.retain(|_, grant| grant.expires > day_ago);
        self.0.insert(token, grant);
    }
}

/// What stands behind `Basic` or `Bearer`, in any case.
fn scheme<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let (scheme, rest) = request.authorization.as_deref()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then(|| rest.trim())
}

fn oauth_error(reason: &str, error: &str) -> Answer {
    Answer::object(400, Object::new().put("reason", reason).put("error", error))
}

impl State {
    pub(crate) fn give_token(&mut self, request: &Request, chance: &dyn Chance, now: Timestamp) -> Answer {
        if request.method != "POST" {
            return Answer::error(405, 405, "Request method is not supported."); // [I]
        }
        // Parameters are taken from the query or from the form [D].
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let param = |name: &str| request.param(name).or_else(|| form_value(&form, name));
        // Texts as seen in public issues of clients [C]; 4702/4704, 4705 and 4717 of the table are behind them [D].
        let bad_client = || oauth_error("Invalid client_id or client_secret", "invalid_client");
        let Some((client_id, secret)) = basic(request) else { return bad_client() };
        let known = |account: &&mut super::super::account::Account| account.client_id == client_id;
        if !self.accounts.values_mut().any(|account| known(&account) && account.client_secret == secret) {
            return bad_client();
        }
        if param("grant_type").as_deref() != Some("account_credentials") {
            return oauth_error("unsupported grant type", "unsupported_grant_type");
        }
        let wanted = param("account_id").unwrap_or_default();
        // The app is for its own account only [D]; the text is [I].
        let Some(account) = self.accounts.get_mut(&wanted).filter(known) else {
            return oauth_error("Bad Request", "invalid_request");
        };
        if !account.app_active {
            return oauth_error("The app has been disabled", "invalid_client"); // 4717 [D], text [I].
        }
        let token = format!("{}.{}", fresh_id(chance), fresh_id(chance));
        let scopes = account.scopes.clone();
        let body = json!({
            "access_token": token, "token_type": "bearer", "expires_in": EXPIRES_IN_SECS, "scope": scopes.join(" "),
            "api_url": self.api_url,
        });
        let expires = now.plus(Duration::from_secs(EXPIRES_IN_SECS));
        self.tokens.add(token, Grant { account: wanted, scopes, expires }, now);
        Answer::json(200, &body)
    }
}

fn basic(request: &Request) -> Option<(String, String)> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(scheme(request, "basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}
