//! Access tokens of a server-to-server app: fetched when needed, by one caller at a time, and renewed early.
//!
//! Guarantees: callers who wait while a token is fetched share its result, also a failure; a token or secret is in no
//! error, log or debug output.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;

use super::client::Shared;
use super::errors::Said;
use super::port::ZoomError;
use super::settings::API_URL;
use super::throttled::retry_after;
use super::transport::Answer;
use crate::clock::Timestamp;
use crate::ids::AccountId;

/// How long refused credentials are not tried again: whoever asks meanwhile gets the same answer.
const REFUSED_HOLD: Duration = Duration::from_secs(10);
/// After a 429 that names no time.
const LIMITED_HOLD: Duration = Duration::from_secs(60);
/// A token is renewed this long before it ends, or a tenth of its life if that is less.
const MARGIN: Duration = Duration::from_secs(60);
/// Where Zoom does not say how long a token lives.
const LIFE: Duration = Duration::from_secs(3600);

/// What an app needs for its tokens.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub client_id: String,
    pub client_secret: SecretString,
}

/// An access token.
pub(super) struct Token {
    pub(super) secret: SecretString,
    pub(super) fetched_at: Timestamp,
    use_until: Timestamp,
    pub(super) scopes: BTreeSet<String>,
    /// The regional base of the API that Zoom named, where it counts.
    pub(super) api_url: Option<String>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("fetched_at", &self.fetched_at).finish_non_exhaustive()
    }
}

/// The tokens of one app for one account.
#[derive(Debug)]
pub(super) struct Tokens {
    shared: Arc<Shared>,
    account: AccountId,
    credentials: Credentials,
    /// Fetches that ended.
    rounds: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Arc<Token>>,
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    error: ZoomError,
    /// Until when nobody tries again.
    until: Timestamp,
}

impl Tokens {
    pub(super) fn new(shared: Arc<Shared>, account: AccountId, credentials: Credentials) -> Self {
        Self { shared, account, credentials, rounds: AtomicU64::new(0), state: Mutex::default() }
    }

    /// A token that is good for a while.
    pub(super) async fn get(&self) -> Result<Arc<Token>, ZoomError> {
        let seen = self.rounds.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        let now = self.shared.clock.now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.use_until) {
            return Ok(Arc::clone(token));
        }
        if let Some(failed) = &state.failed
            && (now < failed.until || self.rounds.load(Ordering::Acquire) != seen)
        {
            return Err(failed.error.clone());
        }
        let fetched = self.fetch().await;
        self.rounds.fetch_add(1, Ordering::Release);
        self.shared.stats.token(fetched.is_ok());
        match fetched {
            Ok(token) => {
                let token = Arc::new(token);
                *state = State { token: Some(Arc::clone(&token)), failed: None };
                Ok(token)
            }
            Err(error) => {
                let now = self.shared.clock.now();
                let until = match &error {
                    ZoomError::Limited { until, .. } => *until,
                    ZoomError::Credentials(_) => now.plus(REFUSED_HOLD),
                    _ => now,
                };
                tracing::warn!(account = %self.account, %error, "no token for Zoom");
                *state = State { token: None, failed: Some(Failed { error: error.clone(), until }) };
                Err(error)
            }
        }
    }

    /// Zoom does not take this token any more. One that was fetched since stays. Where a new one is certain to be refused as
    /// well, `refused` is what callers get for a while, so that many jobs do not fetch many tokens.
    pub(super) async fn discard(&self, token: &Arc<Token>, refused: Option<ZoomError>) {
        let mut state = self.state.lock().await;
        if state.token.take_if(|held| Arc::ptr_eq(held, token)).is_some() {
            let until = self.shared.clock.now().plus(REFUSED_HOLD);
            state.failed = refused.map(|error| Failed { error, until });
        }
    }

    async fn fetch(&self) -> Result<Token, ZoomError> {
        let url = format!("{}/token", self.shared.settings.oauth_url.trim_end_matches('/'));
        let form = [("grant_type", "account_credentials"), ("account_id", self.account.as_str())];
        let secret = self.credentials.client_secret.expose_secret();
        let request =
            self.shared.http.client().post(url).basic_auth(&self.credentials.client_id, Some(secret)).form(&form);
        let asked_at = self.shared.clock.now();
        let answer = self.shared.http.send(request).await?;
        if !answer.is_success() {
            return Err(refused(&answer, self.shared.clock.now()));
        }
        let regional = self.shared.settings.api_url.trim_end_matches('/') == API_URL;
        read(&answer.body?, asked_at, regional)
    }
}

/// Reads a token. Nothing of the body enters an error.
fn read(body: &[u8], asked_at: Timestamp, regional: bool) -> Result<Token, ZoomError> {
    let unreadable = || ZoomError::Unreadable("the token endpoint's answer holds no token".to_owned());
    let body: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let token = text("access_token").filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
    let life = match body.get("expires_in") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let life = life.map_or(LIFE, Duration::from_secs);
    let scopes = text("scope").unwrap_or_default().split([' ', ',']).filter(|scope| !scope.is_empty());
    Ok(Token {
        secret: SecretString::from(token.ok_or_else(unreadable)?.to_owned()),
        fetched_at: asked_at,
        use_until: asked_at.plus(life.saturating_sub(MARGIN.min(life / 10))),
        scopes: scopes.map(str::to_owned).collect(),
        api_url: text("api_url").filter(|_| regional).and_then(regional_base),
    })
}

/// A base of the API that Zoom names beside a token, if it is Zoom's: nobody else gets the token.
fn regional_base(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let zooms = host == "zoom.us" || host.ends_with(".zoom.us");
    let plain =
        url.scheme() == "https" && url.port().is_none() && url.username().is_empty() && url.password().is_none();
    let bare = matches!(url.path(), "/" | "/v2" | "/v2/") && url.query().is_none();
    (zooms && plain && bare).then(|| format!("https://{host}/v2"))
}

/// What a refusal of the token endpoint means, with what an operator should do (Zoom's table of OAuth errors).
fn refused(answer: &Answer, now: Timestamp) -> ZoomError {
    let said = Said::read(answer.error_body());
    let code = if said.code == 0 { code_in(&said.message) } else { said.code };
    let status = answer.status;
    if status == 429 {
        let until = retry_after(&answer.headers, now).unwrap_or_else(|| now.plus(LIMITED_HOLD));
        return ZoomError::Limited { until, why: "Zoom limits how often tokens are fetched".to_owned() };
    }
    if status >= 500 || status == 408 || code == 4732 {
        return ZoomError::Transient(format!("Zoom's token endpoint answers {status}"));
    }
    if status < 400 {
        let why = format!("the token endpoint answers {status}; redirects are not followed, check zoom.oauth_url");
        return ZoomError::Unreadable(why);
    }
    let words = said.message.to_lowercase();
    let advice = match code {
        4702 | 4704 | 4706 => "check client_id and client_secret",
        4705 => "the app must be of the kind Server-to-Server OAuth",
        4711 => "add the app's scopes in the Zoom Marketplace and activate it again",
        4717 => "the app is disabled: activate it in the Zoom Marketplace",
        4735 => "the app's owner is gone: make another admin its owner",
        4737 | 4741 => "the authorization is gone or revoked: activate the app again",
        4738 => "the account's admin disabled the app: have it allowed again",
        4740 => "too many tokens are alive: find what else uses this app's credentials",
        _ if words.contains("disabled") || words.contains("deactivated") => "activate the app in the Zoom Marketplace",
        _ if words.contains("client") || status == 401 => "check client_id and client_secret",
        _ if words.contains("account") => "check account_id: it is shown beside the app's credentials",
        _ if !said.is_zooms => "the answer is not Zoom's: check zoom.oauth_url",
        _ => "check client_id, client_secret and account_id, and that the app is activated",
    };
    let named = if code == 0 { String::new() } else { format!(", code {code}") };
    let message = if said.message.is_empty() { "no message" } else { &said.message };
    ZoomError::Credentials(format!("{message} ({status}{named}); {advice}"))
}

/// Zoom sometimes writes the code into the message.
fn code_in(message: &str) -> i64 {
    let runs = message.split(|c: char| !c.is_ascii_digit());
    runs.filter(|run| run.len() == 4 && run.starts_with("47")).find_map(|run| run.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

    fn refusal(status: u16, body: &str) -> ZoomError {
        let answer = Answer { status, headers: HeaderMap::new(), body: Ok(body.as_bytes().to_vec()) };
        refused(&answer, NOW)
    }

    #[test]
    fn a_token_is_renewed_a_minute_or_a_tenth_early() {
        for (expires_in, secs) in [("3600", 3540), ("\"3599\"", 3539), ("100", 90), ("0", 0), ("null", 3540)] {
            let body = format!(r#"{{"access_token":"t","expires_in":{expires_in},"scope":"a:b c,d"}}"#);
            let token = read(body.as_bytes(), NOW, true).unwrap();
            assert_eq!(token.use_until, NOW.plus(Duration::from_secs(secs)), "{expires_in}");
            assert_eq!(token.scopes.iter().map(String::as_str).collect::<Vec<_>>(), ["a:b", "c", "d"]);
        }
    }

    #[test]
    fn an_answer_without_a_token_is_unreadable_and_quotes_nothing() {
        for body in
            ["", "hunter2", "{}", r#"{"access_token":""}"#, r#"{"access_token":7}"#, "{\"access_token\":\"hun ter2\"}"]
        {
            let error = read(body.as_bytes(), NOW, true).unwrap_err();
            assert!(matches!(&error, ZoomError::Unreadable(why) if !why.contains("hun")), "{body}: {error}");
        }
    }

    #[test]
    fn a_token_shows_itself_to_nobody() {
        let token = read(br#"{"access_token":"hunter2"}"#, NOW, true).unwrap();
        assert!(!format!("{token:?}").contains("hunter2"));
        let credentials = Credentials { client_id: "id".to_owned(), client_secret: "hunter2".to_owned().into() };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }

    #[test]
    fn a_regional_base_counts_only_where_it_is_zooms() {
        for good in ["https://api-us.zoom.us", "https://api-eu.zoom.us/", "https://api-eu.zoom.us/v2"] {
            assert!(regional_base(good).is_some_and(|base| base.ends_with(".zoom.us/v2")), "{good}");
        }
        for bad in [
            "",
            "http://api-us.zoom.us",
            "https://zoom.us.evil.example",
            "https://evilzoom.us",
            "https://api.zoom.us:444",
            "https://a@api.zoom.us",
            "https://api.zoom.us/other",
            "https://evil.example/.zoom.us",
        ] {
            assert_eq!(regional_base(bad), None, "{bad}");
        }
        let body = br#"{"access_token":"t","api_url":"https://api-us.zoom.us"}"#;
        assert!(read(body, NOW, true).unwrap().api_url.is_some());
        assert_eq!(read(body, NOW, false).unwrap().api_url, None, "a base that was configured is kept");
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for (name, status, body, expected) in [
            (
                "bad secret",
                400,
                r#"{"reason":"Invalid client_id or client_secret","error":"invalid_client"}"#,
                "check client_id",
            ),
            (
                "bad secret, 401",
                401,
                r#"{"reason":"Invalid client_id or client_secret","error":"invalid_client"}"#,
                "check client_id",
            ),
            ("4702", 400, r#"{"code":4702,"message":"x"}"#, "check client_id"),
            ("4704 as text", 400, r#"{"code":"4704","message":"x"}"#, "check client_id"),
            ("4705", 400, r#"{"reason":"unsupported grant type","errorCode":4705}"#, "Server-to-Server"),
            ("4706", 400, r#"{"code":4706}"#, "check client_id"),
            ("4711", 400, r#"{"code":4711}"#, "scopes"),
            ("4717", 400, r#"{"code":4717}"#, "activate it"),
            ("4717 in words", 400, r#"{"reason":"The app has been disabled by 4717"}"#, "activate it"),
            ("4735", 400, r#"{"code":4735}"#, "another admin"),
            ("4737", 400, r#"{"code":4737}"#, "activate the app again"),
            ("4738", 400, r#"{"code":4738}"#, "have it allowed"),
            ("4740", 400, r#"{"code":4740}"#, "too many tokens"),
            ("4741", 400, r#"{"code":4741}"#, "activate the app again"),
            (
                "disabled",
                400,
                r#"{"reason":"This app has been disabled","error":"invalid_request"}"#,
                "activate the app",
            ),
            (
                "account",
                400,
                r#"{"reason":"Bad Request: account does not exist","error":"invalid_request"}"#,
                "check account_id",
            ),
            ("not Zoom's", 404, "<html>", "zoom.oauth_url"),
            ("other", 400, r#"{"reason":"Bad Request"}"#, "is activated"),
        ] {
            let error = refusal(status, body);
            let ZoomError::Credentials(detail) = &error else { panic!("{name}: {error:?}") };
            assert!(detail.contains(expected), "{name}: {detail}");
        }
        assert!(matches!(refusal(503, ""), ZoomError::Transient(_)));
        assert!(matches!(refusal(400, r#"{"code":4732}"#), ZoomError::Transient(_)));
        assert!(matches!(refusal(302, ""), ZoomError::Unreadable(_)));
        let limited = refusal(429, "");
        assert!(matches!(limited, ZoomError::Limited { until, .. } if until == NOW.plus(LIMITED_HOLD)), "{limited:?}");
    }
}
