//! Notifiers: they tell people what `attention` lists, as it begins and as it ends.
//!
//! Guarantees: each alarm is told once, however often its count changes and the service starts; no more than one message in
//! `every_minutes`; one notifier that fails, or is slow, holds up no other, nor the end of the service. A message may come
//! twice where the process dies between sending it and noting that. Deliberately knows nothing of where alarms come from.

mod ledger;
mod message;
mod send;
#[cfg(test)]
mod tests;

pub use message::Message;
pub use send::{SendError, mailbox};

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinSet;

use crate::alarm::Alarm;
use crate::chance::Chance;
use crate::clock::{Clock, Timestamp, lock};
use crate::job::Backoff;
use crate::store::StoreError;
use ledger::Ledger;
use send::Sender;

/// Between two looks at what stands.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After the first and after many failures in a row.
const RETRY_MIN: Duration = Duration::from_secs(60);
const RETRY_MAX: Duration = Duration::from_secs(3600);
/// One failure heals by itself; a person hears of as many in a row.
const TOLD_FROM: u32 = 2;

/// One `[[notify]]`.
#[derive(Debug, Clone)]
pub struct Notify {
    pub name: String,
    pub to: To,
    /// Codes of alarms; empty for all.
    pub only: Vec<&'static str>,
    pub every: Duration,
}

#[derive(Debug, Clone)]
pub enum To {
    Webhook(Webhook),
    Email(Email),
}

#[derive(Debug, Clone)]
pub struct Webhook {
    /// Whoever has it can post: a secret.
    pub url: SecretString,
    pub format: Format,
    pub allow_private: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    Slack,
    Teams,
    #[default]
    Plain,
}

#[derive(Debug, Clone)]
pub struct Email {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub login: Option<(String, SecretString)>,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
}

impl Email {
    fn smtp(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    #[default]
    Starttls,
    Implicit,
    /// To this machine only.
    None,
}

impl Notify {
    pub const fn kind(&self) -> &'static str {
        match self.to {
            To::Webhook(_) => "webhook",
            To::Email(_) => "email",
        }
    }

    /// What only it and the other side know.
    pub fn secret(&self) -> Option<&str> {
        match &self.to {
            To::Webhook(to) => Some(to.url.expose_secret()),
            To::Email(to) => to.login.as_ref().map(|(_, password)| password.expose_secret()),
        }
    }

    /// Sends a message that says that it is a test; what came back.
    pub async fn test(&self, now: Timestamp) -> Result<String, SendError> {
        Sender::new(&self.to).send(&Message::test(&self.name), now).await
    }
}

/// Who knows what stands.
#[async_trait]
pub trait Watched: fmt::Debug + Send + Sync {
    async fn alarms(&self) -> Result<Vec<Alarm>, StoreError>;
}

/// Where what was told is kept over a restart.
#[async_trait]
pub trait Memory: fmt::Debug + Send + Sync {
    async fn keep(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError>;

    async fn kept(&self, name: &str) -> Option<Vec<u8>>;
}

/// What notifiers work with.
#[derive(Debug, Clone)]
pub struct Parts {
    pub memory: Arc<dyn Memory>,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
}

/// How a notifier is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doing {
    /// Alarms that were told and stand.
    pub standing: usize,
    pub sent_at: Option<Timestamp>,
    pub failing: Option<Failing>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    pub since: Timestamp,
    pub times: u32,
    pub why: String,
    not_before: Timestamp,
}

#[derive(Debug)]
pub struct Notifier {
    notify: Notify,
    sender: Sender,
    parts: Parts,
    started: Timestamp,
    /// None until it was read.
    ledger: tokio::sync::Mutex<Option<Ledger>>,
    doing: Mutex<Doing>,
}

impl Notifier {
    pub fn new(notify: Notify, parts: Parts) -> Self {
        let (sender, started) = (Sender::new(&notify.to), parts.clock.now());
        Self { notify, sender, parts, started, ledger: tokio::sync::Mutex::default(), doing: Mutex::default() }
    }

    pub fn notify(&self) -> &Notify {
        &self.notify
    }

    pub fn doing(&self) -> Doing {
        lock(&self.doing).clone()
    }

    /// Tells what is new among these, where that is due.
    pub async fn look(&self, alarms: &[Alarm]) {
        let mut held = self.ledger.lock().await;
        let mut ledger = match held.take() {
            Some(ledger) => ledger,
            None => self.kept().await,
        };
        let standing: Vec<Alarm> = alarms.iter().filter(|alarm| self.wants(alarm)).cloned().collect();
        self.tell(&mut ledger, &standing).await;
        let mut doing = lock(&self.doing);
        (doing.standing, doing.sent_at) = (ledger.standing(), ledger.sent_at());
        *held = Some(ledger);
    }

    async fn tell(&self, ledger: &mut Ledger, standing: &[Alarm]) {
        let now = self.parts.clock.now();
        let news = ledger.news(standing, self.started, now);
        if news.is_empty() {
            // Nothing waits to be told any more.
            lock(&self.doing).failing = None;
            return;
        }
        let not_before = lock(&self.doing).failing.as_ref().map_or(Timestamp::EPOCH, |failing| failing.not_before);
        if now < not_before.max(ledger.next(self.notify.every)) {
            return;
        }
        match self.sender.send(&Message::of(&news), now).await {
            Ok(_) => {
                lock(&self.doing).failing = None;
                ledger.sent(news, now);
                self.keep(ledger).await;
            }
            Err(error) => self.failed(error),
        }
    }

    fn failed(&self, error: SendError) {
        let now = self.parts.clock.now();
        let (name, what) = (&self.notify.name, error.what);
        tracing::warn!(notify = %name, error = %what, "a message did not go out; it is tried again");
        let mut doing = lock(&self.doing);
        let (since, times) = doing.failing.as_ref().map_or((now, 0), |failing| (failing.since, failing.times));
        let times = times.saturating_add(1);
        let backoff = Backoff::new(RETRY_MIN, RETRY_MAX, u32::MAX).unwrap_or_default();
        let wait = backoff.after(times, self.parts.chance.unit()).unwrap_or(RETRY_MAX);
        let not_before = error.retry_after.map_or(now.plus(wait), |at| at.max(now.plus(wait)).min(now.plus(RETRY_MAX)));
        doing.failing = Some(Failing { since, times, why: what, not_before });
    }

    /// One that failed again and again is itself something to mend.
    pub fn alarm(&self) -> Option<Alarm> {
        let Failing { since, times, why, .. } = self.doing().failing.filter(|failing| failing.times >= TOLD_FROM)?;
        let name = &self.notify.name;
        let what = format!("notifier {name} failed {times} times since {since}: {why}");
        let alarm = Alarm::new(FAILING, what, "it is tried again by itself, at least every hour", test_of(name));
        Some(alarm.about(name).since(since))
    }

    /// Nobody hears through a notifier that it fails.
    fn wants(&self, alarm: &Alarm) -> bool {
        let is_own = alarm.code == FAILING && alarm.about.as_ref() == Some(&self.notify.name);
        !is_own && (self.notify.only.is_empty() || self.notify.only.contains(&alarm.code.as_str()))
    }

    async fn kept(&self) -> Ledger {
        let bytes = self.parts.memory.kept(&self.place()).await;
        let mut ledger: Ledger = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        ledger.keep(|alarm| self.wants(alarm));
        ledger
    }

    async fn keep(&self, ledger: &Ledger) {
        let bytes = serde_json::to_vec(ledger).unwrap_or_default();
        if let Err(error) = self.parts.memory.keep(&self.place(), bytes).await {
            let name = &self.notify.name;
            tracing::warn!(notify = %name, %error, "what was told could not be kept: after a restart it is told again");
        }
    }

    fn place(&self) -> String {
        format!("notify-{}", self.notify.name)
    }
}

const FAILING: &str = "notify-failing";

fn test_of(name: &str) -> String {
    format!("adjutant notify test {name}")
}

/// Runs each notifier by itself, until this is dropped.
pub async fn run(notifiers: Vec<Arc<Notifier>>, watched: Arc<dyn Watched>) {
    let mut running = JoinSet::new();
    for notifier in notifiers {
        let watched = Arc::clone(&watched);
        running.spawn(async move {
            let clock = Arc::clone(&notifier.parts.clock);
            loop {
                clock.sleep_until(clock.now().plus(LOOK_EVERY)).await;
                match watched.alarms().await {
                    Ok(alarms) => notifier.look(&alarms).await,
                    Err(error) => tracing::debug!(%error, "what stands cannot be seen now"),
                }
            }
        });
    }
    while running.join_next().await.is_some() {}
}
