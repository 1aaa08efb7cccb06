//! Consumers, and notifiers that rules send to: who is told of events, how, and what came of it.
//!
//! Guarantees: what is sent is at least once what a job asked for, under an id that stays the same however often it is
//! tried; a failure says whether to try again, and when. Deliberately does not know jobs and rules: those are the worker's.

mod addresses;
mod body;
mod file;
pub mod filter;
pub mod format;
pub mod notify;
pub mod post;
pub mod push;
mod signature;
mod stdout;
mod syslog;
mod template;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp, lock};
use crate::ids::ConsumerName;
use crate::job::{Effect, Outcome, ParkCause, Snooze};
use crate::work::{Feed, Message, Sending};
use notify::{Notifier, Told};

pub use body::Body;
pub use file::Rotate;
pub use signature::{Secret, SecretError};
pub use template::{TEMPLATE_BYTES_MAX, Template, TemplateError};

/// One `[[consumer]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    pub name: ConsumerName,
    pub kind: Kind,
    /// What it takes of the audit log, beside what rules send to it.
    pub push: Option<push::Push>,
}

/// How a consumer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Webhook(Webhook),
    /// A line for each message is appended to the file.
    File {
        path: PathBuf,
        rotate: Rotate,
    },
    /// A line for each message on standard output.
    Stdout,
    /// A message each, as RFC 5424 has it, over TCP.
    Syslog(Syslog),
}

/// Where a receiver of syslog listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    pub host: String,
    pub port: u16,
    /// In plain only within private networks.
    pub tls: bool,
}

/// One message, as it goes out.
#[derive(Debug)]
struct Parcel {
    /// When what it tells of happened, where that is known.
    at: Option<Timestamp>,
    /// What kind of thing that is: a word.
    kind: &'static str,
    /// In one line.
    text: String,
}

/// A consumer that is told as Standard Webhooks says.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What follows its host may be a secret. Empty where it stands in a file that was not read.
    pub url: String,
    /// All of them sign; more than one while they are changed.
    pub secrets: Vec<Secret>,
    pub allow_private: bool,
    /// What goes with each request beside what is ours: may be secrets.
    pub headers: HeaderMap,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, secrets, allow_private, headers } = self;
        let headers: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
        write!(f, "Webhook({}, {secrets:?}, {allow_private}, {headers:?})", post::origin(url))
    }
}

impl Kind {
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::File { .. } => "file",
            Self::Stdout => "stdout",
            Self::Syslog(_) => "syslog",
        }
    }

    /// Where it is, without what may be a secret: of a URL, only the host.
    pub fn place(&self) -> String {
        match self {
            Self::Webhook(webhook) if webhook.url.is_empty() => "in its url_file".to_owned(),
            Self::Webhook(webhook) => post::origin(&webhook.url),
            Self::File { path, .. } => path.display().to_string(),
            Self::Stdout => "standard output".to_owned(),
            Self::Syslog(Syslog { host, port, tls: true }) => format!("{host}:{port}"),
            Self::Syslog(Syslog { host, port, tls: false }) => format!("{host}:{port}, in plain"),
        }
    }
}

/// What a try at sending came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    Done(String),
    Later {
        at: Timestamp,
        why: String,
    },
    /// Its budget is used up until then.
    NextHour {
        at: Timestamp,
        why: String,
    },
    Failed(String),
    /// It answered that it does not take this, which it may say of something else as well.
    Rejected(String),
    /// It answered that this is too long.
    TooLong(String),
    Gone,
    /// It says that to try again is in vain.
    Refused(String),
}

/// A consumer with what it keeps between two messages.
#[derive(Debug)]
struct Line {
    consumer: Consumer,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Webhook(webhook::Sender),
    File(file::Appender),
    Stdout,
    Syslog(Box<syslog::Sender>),
}

impl Way {
    /// A line or message for each. A webhook posts them together, which is not done here.
    async fn take(&self, parcels: &[Parcel], now: Timestamp) -> Sent {
        let texts = || parcels.iter().map(|parcel| parcel.text.clone()).collect();
        match self {
            Self::Webhook(_) => Sent::Failed("nothing was posted".to_owned()),
            Self::File(file) => file.append(texts(), now).await,
            Self::Stdout => stdout::write(texts()).await,
            Self::Syslog(syslog) => syslog.send(parcels).await,
        }
    }
}

impl Line {
    fn new(consumer: Consumer) -> Self {
        let way = match &consumer.kind {
            Kind::Webhook(webhook) => Way::Webhook(webhook::Sender::new(webhook.clone())),
            Kind::File { path, rotate } => Way::File(file::Appender::new(path.clone(), *rotate)),
            Kind::Stdout => Way::Stdout,
            Kind::Syslog(syslog) => Way::Syslog(Box::new(syslog::Sender::new(syslog.clone()))),
        };
        Self { consumer, way }
    }
}

/// All consumers of the configuration, and its notifiers, as rules send to them.
#[derive(Debug)]
pub struct Consumers {
    lines: Mutex<BTreeMap<ConsumerName, Arc<Line>>>,
    /// Grows when they change.
    changed: watch::Sender<u64>,
    people: Mutex<Vec<Arc<Notifier>>>,
    clock: Arc<dyn Clock>,
}

impl Consumers {
    pub fn new(consumers: &[Consumer], clock: Arc<dyn Clock>) -> Self {
        let (lines, people, changed) = (Mutex::default(), Mutex::default(), watch::Sender::default());
        let all = Self { lines, changed, people, clock };
        all.replace(consumers);
        all
    }

    /// From now on these. One that stays as it is keeps its connections.
    pub fn replace(&self, consumers: &[Consumer]) {
        let mut lines = lock(&self.lines);
        let before = std::mem::take(&mut *lines);
        for consumer in consumers {
            let kept = before.get(&consumer.name).filter(|line| line.consumer == *consumer);
            let line = kept.map_or_else(|| Arc::new(Line::new(consumer.clone())), Arc::clone);
            lines.insert(consumer.name.clone(), line);
        }
        drop(lines);
        self.changed.send_modify(|times| *times = times.wrapping_add(1));
    }

    fn lines(&self) -> Vec<Arc<Line>> {
        lock(&self.lines).values().cloned().collect()
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// From now on rules send through these.
    pub fn replace_notifiers(&self, notifiers: Vec<Arc<Notifier>>) {
        *lock(&self.people) = notifiers;
    }

    fn to(&self, name: &ConsumerName) -> Option<To> {
        let line = lock(&self.lines).get(name).cloned().map(To::Line);
        line.or_else(|| {
            let people = lock(&self.people);
            people.iter().find(|notifier| notifier.notify().name == name.as_str()).cloned().map(To::People)
        })
    }

    /// The consumer and the body, or what becomes of the job without. No rule of the configuration lacks its consumer: where
    /// it is gone, the rule is as well, which the next attempt finds.
    fn prepared(&self, sending: Sending<'_>) -> Result<(To, Body), Outcome> {
        let to = self.to(sending.to).ok_or_else(|| {
            let error = format!("{}: there is no such consumer", sending.to);
            Outcome::Retry { error }
        })?;
        let of = if matches!(to, To::People(_)) { Body::in_words } else { Body::of };
        let body = of(sending.message, sending.template);
        let body = body.map_err(|why| Outcome::Park(ParkCause::NotSendable { why }))?;
        Ok((to, body))
    }
}

/// Where a message goes.
enum To {
    Line(Arc<Line>),
    People(Arc<Notifier>),
}

async fn tell(notifier: &Notifier, message: &Message, body: &Body) -> Sent {
    match notifier.tell_for_rule(&message.id, &notify::Message::of_rule(message, body)).await {
        Told::Sent(answer) => Sent::Done(answer),
        Told::NextHour { at, why } => Sent::NextHour { at, why },
        // What the other side said may be the URL itself.
        Told::Failed(error) => match error.retry_after {
            Some(at) => Sent::Later { at, why: error.what },
            None if error.is_for_good => Sent::Refused(error.what),
            None => Sent::Failed(error.what),
        },
    }
}

#[async_trait::async_trait]
impl Feed for Consumers {
    async fn holds_back(&self, to: &ConsumerName, id: &str) -> Option<Outcome> {
        let Some(To::People(notifier)) = self.to(to) else { return None };
        match notifier.holds_back(id).await? {
            Told::NextHour { at, why } => Some(Outcome::Snooze(Snooze::NextBudget { at, why })),
            Told::Sent(_) | Told::Failed(_) => None,
        }
    }

    fn knows(&self, to: &ConsumerName) -> bool {
        self.to(to).is_some()
    }

    async fn send(&self, sending: Sending<'_>) -> Outcome {
        let (to, body) = match self.prepared(sending) {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let what = in_words(sending, &body);
        let sent = match &to {
            To::People(notifier) => tell(notifier, sending.message, &body).await,
            To::Line(line) => match &line.way {
                Way::Webhook(webhook) => {
                    let (kind, text) = (body.content_type(), body.text.into_bytes());
                    webhook.send(&sending.message.id, kind, text, self.clock.now()).await
                }
                way => {
                    let parcel = Parcel { at: Some(sending.message.at), kind: "event", text: body.in_one_line() };
                    way.take(&[parcel], self.clock.now()).await
                }
            },
        };
        match sent {
            Sent::Done(answer) => Outcome::Done(Effect::Sent { what: format!("{what}: {answer}") }),
            Sent::Later { at, why } => Outcome::Snooze(Snooze::Until { at, why: format!("{}: {why}", sending.to) }),
            Sent::NextHour { at, why } => Outcome::Snooze(Snooze::NextBudget { at, why }),
            Sent::Refused(why) => Outcome::Park(ParkCause::SendRefused { by: sending.to.to_string(), why }),
            Sent::Failed(why) | Sent::Rejected(why) | Sent::TooLong(why) => {
                Outcome::Retry { error: format!("{}: {why}", sending.to) }
            }
            Sent::Gone => Outcome::Park(ParkCause::ConsumerGone { consumer: sending.to.to_string() }),
        }
    }

    fn would_send(&self, sending: Sending<'_>) -> Outcome {
        match self.prepared(sending) {
            Ok((_, body)) => Outcome::Done(Effect::WouldSend { what: in_words(sending, &body) }),
            Err(outcome) => outcome,
        }
    }
}

fn in_words(sending: Sending<'_>, body: &Body) -> String {
    let Message { id, event, .. } = sending.message;
    format!("{event} to {}, {id} of {} bytes", sending.to, body.text.len())
}
