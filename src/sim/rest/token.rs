//! `POST /oauth/token`, and the tokens that are out.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use base64::Engine;
use serde_json::json;

use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::sim::account::{Account, fresh_id};
use crate::sim::answer::{Answer, Refusal};
use crate::sim::app::{EXPIRES_IN_SECS, Standing};
use crate::sim::body::Object;
use crate::sim::call::{Request, form_value};
use crate::sim::oauth::{ErrorForm, OauthError};
use crate::sim::world::{State, World};

/// What a token allows.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) account: String,
    /// Of the app that got it.
    pub(crate) client: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires: Timestamp,
    /// None for a server-to-server app.
    pub(crate) general: Option<General>,
}

/// What more there is to know of a general app's token.
#[derive(Debug, Clone)]
pub(crate) struct General {
    /// Who installed it: `me`.
    pub(crate) user: String,
    pub(crate) standing: Standing,
    /// A token of a user-managed app reaches nobody else.
    pub(crate) for_me_alone: bool,
}

/// Several tokens of one account live at once, since June 2023 \[D]; those of general apps count how many.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    grants: HashMap<String, Grant>,
    /// As they came: all live equally long.
    oldest: VecDeque<String>,
}

impl Tokens {
    pub(crate) fn check(&self, request: &Request, now: Timestamp) -> Result<Grant, Refusal> {
        let grant = self.of(request).ok_or(Refusal::InvalidToken)?;
        if grant.expires <= now { Err(Refusal::ExpiredToken) } else { Ok(grant.clone()) }
    }

    pub(crate) fn account_of(&self, request: &Request) -> Option<&str> {
        self.of(request).map(|grant| grant.account.as_str())
    }

    pub(crate) fn client_of(&self, request: &Request) -> Option<&str> {
        self.of(request).map(|grant| grant.client.as_str())
    }

    /// Those of the account's own app.
    pub(crate) fn revoke(&mut self, account: &str) {
        self.grants.retain(|_, grant| grant.account != account || grant.general.is_some());
    }

    /// What a general app's access token stands for.
    pub(super) fn general(&self, client: &str, token: &str) -> Option<&General> {
        self.grants.get(token).filter(|grant| grant.client == client)?.general.as_ref()
    }

    fn of(&self, request: &Request) -> Option<&Grant> {
        self.grants.get(scheme(request, "bearer")?)
    }

    /// Long expired tokens are forgotten: they are invalid then, not expired.
    pub(super) fn add(&mut self, token: String, grant: Grant, now: Timestamp) {
        let day_ago = now.minus(Duration::from_secs(86_400));
        while let Some(oldest) = self.oldest.front()
            && self.grants.get(oldest).is_none_or(|grant| grant.expires <= day_ago)
        {
            self.oldest.pop_front().map(|oldest| self.grants.remove(&oldest));
        }
        self.oldest.push_back(token.clone());
        self.grants.insert(token, grant);
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
    /// `/oauth/token` and `/oauth/revoke`, for apps of both kinds: a client id says which.
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
        if let Some(app) = self.apps.get(&client_id) {
            let (form, refused) = (app.quirks.error_form, app.quirks.refused_status);
            return match (app.about.client_secret == secret, request.is_token()) {
                (false, _) => OauthError::BadClient.answer(form, refused),
                (true, true) => self.give_general(&client_id, &param, chance, now),
                (true, false) => self.revoke_general(&client_id, &param, chance, now),
            };
        }
        let own = self.clients.get(&client_id).and_then(|account| self.accounts.get(account));
        let Some(own) = own.filter(|account| account.client_secret == secret && request.is_token()) else {
            return bad_client();
        };
        if param("grant_type").as_deref() != Some("account_credentials") {
            return oauth_error("unsupported grant type", "unsupported_grant_type");
        }
        // The app is for its own account only [D]; the text is [I].
        if param("account_id").as_deref() != Some(own.id.as_str()) {
            return oauth_error("Bad Request", "invalid_request");
        }
        if !own.app_active {
            return oauth_error("The app has been disabled", "invalid_client"); // 4717 [D], text [I].
        }
        let (token, grant) = own_grant(own, chance, now);
        let body = json!({
            "access_token": token, "token_type": "bearer", "expires_in": EXPIRES_IN_SECS,
            "scope": grant.scopes.join(" "), "api_url": self.api_url,
        });
        self.tokens.add(token, grant, now);
        Answer::json(200, &body)
    }
}

/// A token of the account's own app.
fn own_grant(account: &Account, chance: &dyn Chance, now: Timestamp) -> (String, Grant) {
    let grant = Grant {
        account: account.id.clone(),
        client: account.client_id.clone(),
        scopes: account.scopes.clone(),
        expires: now.plus(Duration::from_secs(EXPIRES_IN_SECS)),
        general: None,
    };
    (format!("{}.{}", fresh_id(chance), fresh_id(chance)), grant)
}

impl World {
    /// A refusal of the token endpoint in the form of the app that asks.
    pub(crate) fn oauth_refusal(&self, error: OauthError, request: &Request) -> Answer {
        let form = |state: &mut State| {
            let quirks = &state.apps.get(&basic(request)?.0)?.quirks;
            Some((quirks.error_form, quirks.refused_status))
        };
        let (form, refused) = self.state(form).unwrap_or((ErrorForm::Words, 400));
        error.answer(form, refused)
    }
}

fn basic(request: &Request) -> Option<(String, String)> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(scheme(request, "basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}
