//! A look at Zoom from outside of the service, for `adjutant doctor`: one token, what it may do, what time it is there,
//! and one user at a time. It waits for no rate limit, repeats nothing and changes nothing.

use std::collections::BTreeSet;
use std::fmt;

use http::header::DATE;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Status, User};
use crate::account::UserKey;
use crate::clock::Timestamp;
use crate::ids::{AccountId, Email, UserId};

/// Why Zoom did not say. Holds neither secrets nor tokens.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("no answer from {host}: {why}")]
    NoAnswer { host: String, why: String },
    #[error("Zoom answers {status}: {reason}")]
    Refused { status: u16, reason: String },
    #[error("Zoom's answer cannot be understood: {0}")]
    Unreadable(String),
}

/// A token, and what came with it.
pub struct Token {
    token: SecretString,
    pub scopes: BTreeSet<String>,
    /// What time it was at Zoom, to the second; none where Zoom did not say.
    pub at: Option<Timestamp>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("scopes", &self.scopes).field("at", &self.at).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    scope: String,
}

/// Asks for a token of the account.
pub async fn token(
    client: &reqwest::Client,
    oauth_url: &str,
    (client_id, client_secret): (&str, &SecretString),
    account: &AccountId,
) -> Result<Token, ProbeError> {
    let request = client.post(format!("{oauth_url}/token")).basic_auth(client_id, Some(client_secret.expose_secret()));
    let form = [("grant_type", "account_credentials"), ("account_id", account.as_str())];
    let answer = request.form(&form).send().await.map_err(|error| no_answer(oauth_url, &error))?;
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    let at = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let at = at.map(|at| Timestamp::from_secs(at.timestamp().as_second()));
    let Granted { access_token, scope } = read(oauth_url, answer).await?;
    let scopes = scope.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    Ok(Token { token: access_token.into(), scopes, at })
}

#[derive(Deserialize)]
struct Row {
    id: Option<String>,
    email: Option<String>,
    #[serde(rename = "type")]
    kind: Option<i64>,
    status: Option<String>,
}

/// Reads one user; none where Zoom does not know them.
pub async fn user(
    client: &reqwest::Client,
    api_url: &str,
    token: &Token,
    user: &UserKey,
) -> Result<Option<User>, ProbeError> {
    let segment = utf8_percent_encode(user.as_str(), NON_ALPHANUMERIC);
    let request = client.get(format!("{api_url}/users/{segment}")).bearer_auth(token.token.expose_secret());
    let answer = request.send().await.map_err(|error| no_answer(api_url, &error))?;
    if answer.status().as_u16() == 404 {
        return Ok(None);
    }
    let Row { id, email, kind, status } = read(api_url, answer).await?;
    let status = match status.as_deref() {
        Some("active") => Status::Active,
        Some("inactive") => Status::Inactive,
        Some("pending") => Status::Pending,
        _ => Status::Unknown,
    };
    let id = id.and_then(|id| UserId::parse(&id).ok());
    let email = email.and_then(|email| Email::parse(&email).ok());
    Ok(Some(User { id, email, kind, status }))
}

/// The words of a refusal: the API says `message`, the OAuth endpoints say `reason`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    reason: Option<String>,
    message: Option<String>,
    error: Option<String>,
}

async fn read<T: serde::de::DeserializeOwned>(url: &str, answer: reqwest::Response) -> Result<T, ProbeError> {
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| no_answer(url, &error))?;
    if status.is_success() {
        // The text of the error may quote the answer, and with it a token.
        return serde_json::from_slice(&body).map_err(|_| ProbeError::Unreadable(format!("{} bytes", body.len())));
    }
    let said: Said = serde_json::from_slice(&body).unwrap_or_default();
    let reason = said.reason.or(said.message).or(said.error).unwrap_or_else(|| "without a reason".to_owned());
    Err(ProbeError::Refused { status: status.as_u16(), reason: reason.chars().take(300).collect() })
}

fn no_answer(url: &str, error: &reqwest::Error) -> ProbeError {
    let mut why: &dyn std::error::Error = error;
    while let Some(source) = why.source() {
        why = source;
    }
    ProbeError::NoAnswer { host: url.to_owned(), why: why.to_string() }
}
