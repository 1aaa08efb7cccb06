//! Zoom's OAuth endpoints: tokens for an app's own account, for a code, and for a refresh token; and giving one back.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answers;
use super::client::{Shared, ZoomClients};
use super::errors::Said;
use super::port::{Object, User, ZoomError};
use super::settings::API_URL;
use super::throttled::retry_after;
use super::token::Credentials;
use super::transport::Answer;
use crate::clock::Timestamp;

/// After a 429 that names no time.
const LIMITED_HOLD: Duration = Duration::from_secs(60);
/// A token is renewed this long before it ends, or a tenth of its life if that is less.
const MARGIN: Duration = Duration::from_secs(60);
/// Where Zoom does not say how long a token lives.
const LIFE: Duration = Duration::from_secs(3600);

/// What Zoom gave: an access token, and for a general app a refresh token that is good once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Granted {
    #[serde(with = "crate::exposed::one")]
    pub(super) access: SecretString,
    pub fetched_at: Timestamp,
    pub life_secs: u64,
    pub scopes: BTreeSet<String>,
    /// The regional base of the API that Zoom named, where it counts.
    #[serde(default)]
    pub(super) api_url: Option<String>,
    #[serde(default, with = "crate::exposed::maybe")]
    pub(super) refresh: Option<SecretString>,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("fetched_at", &self.fetched_at).finish_non_exhaustive()
    }
}

impl Granted {
    /// Until when the access token is used.
    pub(super) fn use_until(&self) -> Timestamp {
        let life = Duration::from_secs(self.life_secs);
        self.fetched_at.plus(life.saturating_sub(MARGIN.min(life / 10)))
    }

    /// Whether these are the same tokens.
    pub fn are(&self, others: &Self) -> bool {
        self.is(&others.access)
    }

    pub(super) fn is(&self, access: &SecretString) -> bool {
        self.access.expose_secret() == access.expose_secret()
    }

    pub(super) fn without_refresh(self) -> Self {
        Self { refresh: None, ..self }
    }

    /// Whether it is for a whole account. A user-level app has scopes about its user alone, without `:admin` \[D U].
    pub fn is_for_account(&self) -> bool {
        self.scopes.iter().any(|scope| scope.ends_with(":admin") || scope.ends_with(":master"))
    }
}

/// Why the token endpoint gave nothing.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub error: ZoomError,
    /// The code or refresh token is no good, and never will be. Else what refuses it may pass, or be mended at the app.
    pub is_of_grant: bool,
}

impl Refusal {
    pub fn into_error(self) -> ZoomError {
        self.error
    }
}

impl From<ZoomError> for Refusal {
    fn from(error: ZoomError) -> Self {
        Self { error, is_of_grant: false }
    }
}

/// Asks the token endpoint.
pub(super) async fn token(
    shared: &Shared,
    credentials: &Credentials,
    form: &[(&str, &str)],
) -> Result<Granted, Refusal> {
    let asked_at = shared.clock.now();
    let answer = ask(shared, "token", credentials, form).await?;
    let regional = shared.settings.api_url.trim_end_matches('/') == API_URL;
    Ok(read(&answer.body?, asked_at, regional)?)
}

/// Uses a refresh token, which is worth nothing afterwards, whatever comes back.
pub(super) async fn refresh(shared: &Shared, credentials: &Credentials, old: &Granted) -> Result<Granted, Refusal> {
    let Some(token_of) = &old.refresh else {
        let error = ZoomError::Credentials("the installation has no refresh token".to_owned());
        return Err(Refusal { error, is_of_grant: true });
    };
    let form = [("grant_type", "refresh_token"), ("refresh_token", token_of.expose_secret())];
    let new = token(shared, credentials, &form).await?;
    // Where none is given the old one would be the only one there is.
    let refresh = new.refresh.clone().or_else(|| old.refresh.clone());
    Ok(Granted { refresh, ..new })
}

async fn ask(
    shared: &Shared,
    endpoint: &str,
    credentials: &Credentials,
    form: &[(&str, &str)],
) -> Result<Answer, Refusal> {
    let url = format!("{}/{endpoint}", shared.settings.oauth_url.trim_end_matches('/'));
    let secret = credentials.client_secret.expose_secret();
    let request = shared.http.client().post(url).basic_auth(&credentials.client_id, Some(secret)).form(form);
    let answer = shared.http.send(request).await?;
    if answer.is_success() {
        return Ok(answer);
    }
    let Refusal { error, is_of_grant } = refused(&answer, shared.clock.now());
    Err(Refusal { error: without_secrets(error, credentials, form), is_of_grant })
}

/// What Zoom, or something between us, says in its own words may hold what it was sent.
fn without_secrets(error: ZoomError, credentials: &Credentials, form: &[(&str, &str)]) -> ZoomError {
    let ZoomError::Credentials(mut words) = error else { return error };
    let secret = credentials.client_secret.expose_secret();
    let sent = form.iter().filter(|(name, _)| matches!(*name, "code" | "code_verifier" | "refresh_token" | "token"));
    let secrets: Vec<&str> = sent.map(|(_, value)| *value).chain([secret]).collect();
    let basic = STANDARD.encode(format!("{}:{secret}", credentials.client_id));
    for secret in secrets.into_iter().chain([basic.as_str()]).filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "***");
    }
    ZoomError::Credentials(words)
}

/// An admin's way to give a general app access to an account.
#[derive(Debug, Clone)]
pub struct OAuth(Arc<Shared>);

impl ZoomClients {
    pub fn oauth(&self) -> OAuth {
        OAuth(self.shared())
    }
}

impl OAuth {
    /// Where the browser of an admin is sent. No scopes are named: those of the app's page count \[F 138714].
    pub fn authorize_url(&self, client_id: &str, redirect_uri: &str, state: &str, challenge: &str) -> Option<String> {
        let base = format!("{}/authorize", self.0.settings.oauth_url.trim_end_matches('/'));
        let pairs = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("state", state),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ];
        Some(Url::parse_with_params(&base, pairs).ok()?.into())
    }

    /// Scheme, host and port of where browsers are sent.
    pub fn authorize_origin(&self) -> Option<String> {
        Some(Url::parse(&self.0.settings.oauth_url).ok()?.origin().ascii_serialization())
    }

    /// Tokens for a code, which is good once and for five minutes \[D].
    pub async fn exchange(
        &self,
        credentials: &Credentials,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Granted, Refusal> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        token(&self.0, credentials, &form).await
    }

    /// Who gave the access, with `account_id` among what is [`whole`](User::whole).
    pub async fn me(&self, granted: &Granted) -> Result<User, ZoomError> {
        answers::user(&self.get(granted, "/users/me").await?)
    }

    /// How many active users the account has. Needs a scope that reads all of them, as a user-level token has none.
    pub async fn users(&self, granted: &Granted) -> Result<Option<u64>, ZoomError> {
        let body = self.get(granted, "/users?status=active&page_size=1").await?;
        Ok(answers::users(super::port::Status::Active, &body)?.total)
    }

    async fn get(&self, granted: &Granted, path: &str) -> Result<Vec<u8>, ZoomError> {
        let shared = &self.0;
        let base = granted.api_url.as_deref().unwrap_or(&shared.settings.api_url);
        let url = format!("{}{path}", base.trim_end_matches('/'));
        let call = shared.http.client().get(url).bearer_auth(granted.access.expose_secret());
        let answer = shared.http.send(call.header(http::header::ACCEPT, "application/json")).await?;
        if answer.is_success() {
            return answer.body;
        }
        let said = Said::read(answer.error_body());
        let (code, message) = (said.code, said.message);
        Err(match answer.status {
            429 => {
                let now = shared.clock.now();
                let until = retry_after(&answer.headers, now).unwrap_or_else(|| now.plus(LIMITED_HOLD));
                ZoomError::Limited { until, why: message }
            }
            408 | 500.. => ZoomError::Transient(format!("Zoom answers {}", answer.status)),
            _ if code == 4711 || message.contains("scope") => ZoomError::ScopesMissing(message),
            401 => ZoomError::Credentials(message),
            status => ZoomError::Refused { status, code, message },
        })
    }

    /// Gives tokens back, so that they are good for nothing any more.
    pub async fn revoke(&self, credentials: &Credentials, granted: &Granted) -> Result<(), ZoomError> {
        let form = [("token", granted.access.expose_secret())];
        ask(&self.0, "revoke", credentials, &form).await.map(drop).map_err(Refusal::into_error)
    }
}

/// Reads a token. Nothing of the body enters an error.
fn read(body: &[u8], asked_at: Timestamp, regional: bool) -> Result<Granted, ZoomError> {
    let unreadable = || ZoomError::Unreadable("the token endpoint's answer holds no token".to_owned());
    let body: Object = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let secret = |key: &str| {
        let is_token = |token: &&str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        text(key).filter(is_token).map(|token| SecretString::from(token.to_owned()))
    };
    let life = match body.get("expires_in") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let scopes = text("scope").unwrap_or_default().split([' ', ',']).filter(|scope| !scope.is_empty());
    Ok(Granted {
        access: secret("access_token").ok_or_else(unreadable)?,
        fetched_at: asked_at,
        life_secs: life.unwrap_or(LIFE.as_secs()),
        scopes: scopes.map(str::to_owned).collect(),
        api_url: text("api_url").filter(|_| regional).and_then(regional_base),
        refresh: secret("refresh_token"),
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
fn refused(answer: &Answer, now: Timestamp) -> Refusal {
    let said = Said::read(answer.error_body());
    let code = if said.code == 0 { code_of(&said.message) } else { said.code };
    let status = answer.status;
    if status == 429 {
        let until = retry_after(&answer.headers, now).unwrap_or_else(|| now.plus(LIMITED_HOLD));
        return ZoomError::Limited { until, why: "Zoom limits how often tokens are fetched".to_owned() }.into();
    }
    if status >= 500 || status == 408 || code == 4732 {
        return ZoomError::Transient(format!("Zoom's token endpoint answers {status}")).into();
    }
    if status < 400 {
        let why = format!("the token endpoint answers {status}; redirects are not followed, check zoom.oauth_url");
        return ZoomError::Unreadable(why).into();
    }
    let words = said.message.to_lowercase();
    let (advice, is_of_grant) = match code {
        4702 | 4704 | 4706 => ("check client_id and client_secret", false),
        4705 => ("the app must be of the kind that [[app]] kind says: Server-to-Server OAuth, or a general app", false),
        4709 => (
            "add the redirect URI, [server] public_url and /oauth/callback, to the app's page in the Zoom Marketplace",
            false,
        ),
        4711 => (
            "the app's scopes are others now: add what it lacks in the Zoom Marketplace, and activate or authorise it again",
            true,
        ),
        4717 => ("the app is disabled: activate it in the Zoom Marketplace", false),
        4733 => ("the code was too old: begin again", true),
        4734 => ("the code is no good, or was used already: begin again", true),
        4735 => {
            ("who owns or installed the app is gone: make another admin its owner, or have it authorised again", true)
        }
        4737 | 4741 => {
            ("the authorization is gone or revoked: activate the app again, or have it authorised again", true)
        }
        4738 => ("the account's admin disabled the app: have it allowed again", true),
        4740 => (
            "too many tokens are alive, or a refresh token was used twice: find what else uses this app's credentials",
            true,
        ),
        _ if words.contains("disabled") || words.contains("deactivated") => {
            ("activate the app in the Zoom Marketplace", false)
        }
        // Of RFC 6749: the code or refresh token is invalid, expired, revoked, or was given to another.
        _ if said.error == "invalid_grant" || words.contains("invalid token") => {
            ("the refresh token is no good: have the app authorised again", true)
        }
        _ if words.contains("client") || status == 401 => ("check client_id and client_secret", false),
        _ if words.contains("account") => ("check account_id: it is shown beside the app's credentials", false),
        _ if !said.is_zooms => ("the answer is not Zoom's: check zoom.oauth_url", false),
        _ => ("check client_id, client_secret and account_id, and that the app is activated", false),
    };
    let named = if code == 0 { String::new() } else { format!(", code {code}") };
    let message = if said.message.is_empty() { "no message" } else { &said.message };
    let error = ZoomError::Credentials(format!("{message} ({status}{named}); {advice}"));
    Refusal { error, is_of_grant }
}

/// Zoom's table of OAuth errors, by its words: answers were seen without a code \[C].
const WORDS: [(&str, i64); 9] = [
    ("redirect uri mismatch", 4709),
    ("refresh token invalid", 4711),
    ("code is expired", 4733),
    ("invalid authorization code", 4734),
    ("owner of the token does not exist", 4735),
    ("can not find the authentication", 4737),
    ("disabled by admin", 4738),
    ("token tolerance", 4740),
    ("token has been revoked", 4741),
];

fn code_of(message: &str) -> i64 {
    let words = message.to_lowercase();
    let by_words = || WORDS.iter().find(|(part, _)| words.contains(part)).map(|(_, code)| *code);
    Some(code_in(message)).filter(|code| *code != 0).or_else(by_words).unwrap_or(0)
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
        refused(&answer, NOW).error
    }

    #[test]
    fn a_token_is_renewed_a_minute_or_a_tenth_early() {
        for (expires_in, secs) in [("3600", 3540), ("\"3599\"", 3539), ("100", 90), ("0", 0), ("null", 3540)] {
            let body = format!(r#"{{"access_token":"t","expires_in":{expires_in},"scope":"a:b c,d"}}"#);
            let token = read(body.as_bytes(), NOW, true).unwrap();
            assert_eq!(token.use_until(), NOW.plus(Duration::from_secs(secs)), "{expires_in}");
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
    fn what_was_sent_is_cut_out_of_what_is_said() {
        let credentials = Credentials { client_id: "id".to_owned(), client_secret: "hunter2".to_owned().into() };
        let echoed = format!("got Basic {} and hunter2 and rotten", STANDARD.encode("id:hunter2"));
        let error = without_secrets(ZoomError::Credentials(echoed), &credentials, &[("refresh_token", "rotten")]);
        assert_eq!(error.to_string(), "Zoom refuses the app's credentials: got Basic *** and *** and ***");
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
