//! How a message goes out: a POST, or mail over SMTP. One try, within a time; what came back is said.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue as MailValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as SmtpTls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::message::Message;
use super::{Email, Tls, To, Webhook};
use crate::clock::Timestamp;
use crate::feed::post::Poster;

/// For all of one message to go out.
const WITHIN: Duration = Duration::from_secs(30);

/// Why a message did not go out. Holds no secret, and nothing that the other side said: that may be the URL itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError {
    pub what: String,
    /// What the other side said, for whoever tests it.
    pub said: Option<String>,
    /// When it wants to hear of us again.
    pub retry_after: Option<Timestamp>,
    /// It says that to try again is in vain.
    pub is_for_good: bool,
}

impl SendError {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), said: None, retry_after: None, is_for_good: false }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.said.as_ref().map_or(Ok(()), |said| write!(f, ": {said}"))
    }
}

/// Where messages go, ready to send.
#[derive(Debug)]
pub(super) enum Sender {
    Webhook { poster: Poster, to: Webhook },
    Email(Email),
}

impl Sender {
    pub(super) fn new(to: &To) -> Self {
        match to {
            To::Webhook(to) => Self::Webhook { poster: Poster::new(to.allow_private), to: to.clone() },
            To::Email(to) => Self::Email(to.clone()),
        }
    }

    /// Sends it; what the other side answered.
    pub(super) async fn send(&self, message: &Message, now: Timestamp) -> Result<String, SendError> {
        match self {
            Self::Webhook { poster, to } => post(poster, to, message, now).await,
            Self::Email(to) => tokio::time::timeout(WITHIN, mail(to, message, now)).await.unwrap_or_else(|_| {
                Err(SendError::new(format!("{} was not done within {} s", to.smtp(), WITHIN.as_secs())))
            }),
        }
    }
}

async fn post(poster: &Poster, to: &Webhook, message: &Message, now: Timestamp) -> Result<String, SendError> {
    let (body, kind) = message.body(to.format);
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
    let answered = poster.post(to.url.expose_secret(), headers, body, now).await;
    let answered = answered.map_err(|error| SendError::new(error.to_string()))?;
    if answered.is_success() {
        return Ok(answered.to_string());
    }
    Err(SendError {
        what: format!("it answered {}", answered.status),
        said: answered
            .location
            .map(|to| format!("a redirect to {to}"))
            .or(Some(answered.said))
            .filter(|said| !said.is_empty()),
        retry_after: answered.retry_after,
        is_for_good: answered.status == 410,
    })
}

async fn mail(to: &Email, message: &Message, now: Timestamp) -> Result<String, SendError> {
    let mail =
        mail_of(to, message, now).map_err(|error| SendError::new(format!("the mail cannot be made: {error}")))?;
    let transport = transport(to).map_err(|error| SendError::new(format!("failed to set up TLS: {error}")))?;
    match transport.send(mail).await {
        Ok(response) => Ok(response.message().fold(response.code().to_string(), |said, line| format!("{said} {line}"))),
        Err(error) => {
            let what = match error.status() {
                Some(code) => format!("{} answered {code}", to.smtp()),
                None if error.is_timeout() => format!("{} did not answer in time", to.smtp()),
                None if error.is_tls() => format!("TLS with {} failed", to.smtp()),
                None => format!("{} cannot be talked to", to.smtp()),
            };
            let (said, is_for_good) = (Some(crate::plain::one_line(&error.to_string(), 300)), error.is_permanent());
            Err(SendError { said, is_for_good, ..SendError::new(what) })
        }
    }
}

/// The subject has no names; the body is text.
fn mail_of(to: &Email, message: &Message, now: Timestamp) -> Result<lettre::Message, lettre::error::Error> {
    let sent_at = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    let mut mail = lettre::Message::builder()
        .date(sent_at)
        .from(to.from.clone())
        .subject(message.head.clone())
        .header(ContentType::TEXT_PLAIN)
        // Nobody's absence is to be told to a machine.
        .raw_header(MailValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    for one in &to.to {
        mail = mail.to(one.clone());
    }
    mail.body(message.text())
}

fn transport(to: &Email) -> Result<AsyncSmtpTransport<Tokio1Executor>, lettre::transport::smtp::Error> {
    // An error means that the process has a provider already, which is just as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let tls = match to.tls {
        Tls::None => SmtpTls::None,
        Tls::Starttls => SmtpTls::Required(TlsParameters::new(to.host.clone())?),
        Tls::Implicit => SmtpTls::Wrapper(TlsParameters::new(to.host.clone())?),
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&to.host).port(to.port).tls(tls);
    let builder = builder.timeout(Some(WITHIN));
    Ok(match &to.login {
        Some((user, password)) => builder.credentials(credentials(user, password)).build(),
        None => builder.build(),
    })
}

fn credentials(user: &str, password: &SecretString) -> Credentials {
    Credentials::new(user.to_owned(), password.expose_secret().to_owned())
}

/// An address of a mail, as in `adjutant@example.com`.
pub fn mailbox(text: &str) -> Option<Mailbox> {
    let address: lettre::Address = text.parse().ok()?;
    Some(Mailbox::new(None, address))
}
