//! Notifiers: they tell people what `attention` lists, as it begins and as it ends.
//!
//! Guarantees: each alarm is told once, however often its count changes and the service starts; no more than one message in
//! `every_minutes`; one notifier that fails, or is slow, holds up no other, nor the end of the service. A message may come
//! twice where the process dies between sending it and noting that. Deliberately knows nothing of where alarms come from.
//!
//! Rules send through them as well ([`Notifier::tell_for_rule`]): then each message is a job's, and goes out at once.

mod budget;
mod ledger;
mod message;
mod of_rules;
mod send;
#[cfg(test)]
mod tests;

pub use message::Message;
pub use of_rules::Told;
pub use send::{SendError, mailbox};

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alarm::Alarm;
use crate::chance::Chance;
use crate::clock::{Clock, Timestamp, lock};
use crate::job::Backoff;
use crate::store::StoreError;
use budget::Budget;
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
    /// How many messages of rules go out in a UTC hour; beyond it they wait.
    pub rule_messages_per_hour: u32,
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

    /// Whether the other says the same.
    pub fn is(&self, other: &Self) -> bool {
        // Debug output shows all but the secret.
        self.secret() == other.secret() && format!("{self:?}") == format!("{other:?}")
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
    /// None until it was read.
    budget: Mutex<Option<Budget>>,
}

impl Notifier {
    pub fn new(notify: Notify, parts: Parts) -> Self {
        let (sender, started) = (Sender::new(&notify.to), parts.clock.now());
        let (ledger, doing, budget) = (tokio::sync::Mutex::default(), Mutex::default(), Mutex::default());
        Self { notify, sender, parts, started, ledger, doing, budget }
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

    /// What of it a person should know.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.failing_alarm().into_iter().chain(self.waiting_alarm()).collect()
    }

    /// One that failed again and again is itself something to mend.
    fn failing_alarm(&self) -> Option<Alarm> {
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
        let bytes = self.parts.memory.kept(&place_of("notify", &self.notify.name)).await;
        let mut ledger: Ledger = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        ledger.keep(|alarm| self.wants(alarm));
        ledger
    }

    async fn keep(&self, ledger: &Ledger) {
        let bytes = serde_json::to_vec(ledger).unwrap_or_default();
        if let Err(error) = self.parts.memory.keep(&place_of("notify", &self.notify.name), bytes).await {
            let name = &self.notify.name;
            tracing::warn!(notify = %name, %error, "what was told could not be kept: after a restart it is told again");
        }
    }
}

fn place_of(what: &str, name: &str) -> String {
    format!("{what}-{name}")
}

const FAILING: &str = "notify-failing";

fn test_of(name: &str) -> String {
    format!("adjutant notify test {name}")
}

/// All notifiers of the configuration.
#[derive(Debug)]
pub struct Notifiers {
    all: watch::Sender<Vec<Arc<Notifier>>>,
    parts: Parts,
}

impl Notifiers {
    pub fn new(notify: &[Notify], parts: Parts) -> Self {
        let all = Self { all: watch::Sender::default(), parts };
        all.replace(notify);
        all
    }

    /// From now on these. One that stays as it is goes on as it was.
    pub fn replace(&self, notify: &[Notify]) {
        let before = self.all();
        let next = notify.iter().map(|notify| {
            let kept = before.iter().find(|notifier| notifier.notify.is(notify)).map(Arc::clone);
            kept.unwrap_or_else(|| Arc::new(Notifier::new(notify.clone(), self.parts.clone())))
        });
        self.all.send_replace(next.collect());
    }

    pub fn all(&self) -> Vec<Arc<Notifier>> {
        self.all.borrow().clone()
    }

    /// Runs each by itself, until this is dropped. One that is gone from the configuration ends after its message.
    pub async fn run(&self, watched: Arc<dyn Watched>) {
        let (mut running, mut seen) = (JoinSet::new(), self.all.subscribe());
        let mut runs: Vec<Arc<Notifier>> = Vec::new();
        loop {
            let now = seen.borrow_and_update().clone();
            for notifier in now.iter().filter(|notifier| !is_among(&runs, notifier)) {
                let (notifier, watched, all) = (Arc::clone(notifier), Arc::clone(&watched), self.all.subscribe());
                running.spawn(async move {
                    while is_among(&all.borrow(), &notifier) {
                        let clock = &notifier.parts.clock;
                        clock.sleep_until(clock.now().plus(LOOK_EVERY)).await;
                        match watched.alarms().await {
                            Ok(alarms) => notifier.look(&alarms).await,
                            Err(error) => tracing::debug!(%error, "what stands cannot be seen now"),
                        }
                    }
                });
            }
            runs = now;
            if seen.changed().await.is_err() {
                return;
            }
            while running.try_join_next().is_some() {}
        }
    }
}

fn is_among(all: &[Arc<Notifier>], one: &Arc<Notifier>) -> bool {
    all.iter().any(|other| Arc::ptr_eq(other, one))
}
