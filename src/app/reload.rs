//! Takes in a changed configuration while the service runs: rules and accounts, all of them or none.
//!
//! A reading counts once two in a row agree, a moment apart: a file that is just being written, or renamed into its place,
//! is neither half a rule nor a rule less. With any mistake what runs stays, and [`Stats`](super::counts::Counted) tells it
//! until a reload is good. What only a start can take in is named, and the rest is taken in all the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::serving::Serving;
use crate::account::Account;
use crate::alarm::Alarm;
use crate::audit::{Detail, Kind};
use crate::clock::{Clock, lock};
use crate::config::{self, Config, ConfigError};
use crate::feed::Consumers;
use crate::feed::notify::{Notifiers, Notify};
use crate::ids::RuleName;
use crate::rules::{Mode, Rule, SubjectKind};
use crate::store::{Note, Store, StoreError};
use crate::web::admin::{AdminApp, DifferenceView, Reload, ReloadView};
use crate::worker::Roster;

/// Between two readings: longer than an editor takes to put a file in its place.
const BETWEEN: Duration = Duration::from_millis(100);
/// Readings until two must have agreed.
const READINGS_MAX: u32 = 20;
/// Places of mistakes that a line of the log names.
const PLACES_MAX: usize = 50;

#[derive(Debug)]
pub(super) struct Reloader {
    /// What runs: as it started, with the rules and accounts of the last good reload. Held while one goes on.
    running: tokio::sync::Mutex<Config>,
    roster: watch::Sender<Arc<Roster>>,
    apps: watch::Sender<Vec<AdminApp>>,
    serving: Arc<Serving>,
    consumers: Arc<Consumers>,
    /// None in tests that tell nobody.
    notifiers: Option<Arc<Notifiers>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    refused: Mutex<Option<String>>,
    /// Up to which of the changes of the accounts the roster is.
    renewed: Mutex<Option<u64>>,
}

impl Reloader {
    pub(super) async fn open(
        config: &Config,
        serving: Arc<Serving>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let accounts = serving.all(config, config.accounts().cloned().collect()).await?;
        let roster = serving.roster(accounts, config.rules.clone(), config.require_plan, &*store).await?;
        let apps = serving.apps(config);
        Ok(Self {
            running: tokio::sync::Mutex::new(config.clone()),
            roster: watch::Sender::new(Arc::new(roster)),
            apps: watch::Sender::new(apps),
            serving,
            consumers: Arc::new(Consumers::new(&config.consumers, Arc::clone(&clock))),
            notifiers: None,
            store,
            clock,
            refused: Mutex::default(),
            renewed: Mutex::default(),
        })
    }

    /// Rules send through these as well, and a reload takes in what is said of them.
    pub(super) fn with_notifiers(self, notifiers: Arc<Notifiers>) -> Self {
        self.consumers.replace_notifiers(notifiers.all());
        Self { notifiers: Some(notifiers), ..self }
    }

    /// Who is served by which rules, now and after each good reload.
    pub(super) fn roster(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.subscribe()
    }

    /// To whom the rules send, now and after each good reload.
    pub(super) fn feed(&self) -> Arc<Consumers> {
        Arc::clone(&self.consumers)
    }

    pub(super) fn apps(&self) -> watch::Receiver<Vec<AdminApp>> {
        self.apps.subscribe()
    }

    /// Why the last reload was refused.
    pub(super) fn refused(&self) -> Option<String> {
        lock(&self.refused).clone()
    }

    /// A rule that may not do what it says is told, or somebody relies on it.
    pub(super) fn unplanned_alarms(&self) -> Vec<Alarm> {
        let roster = Arc::clone(&self.roster.borrow());
        let more = |rule: &RuleName| match roster.rule(rule) {
            Some(rule) if rule.on.is_some() => " --since 7d",
            Some(rule) if rule.subject == SubjectKind::Meeting => " --meetings",
            _ => "",
        };
        let alarm = |rule: &RuleName| {
            let what = format!("rule {rule} only observes: nobody has planned it as it is now ([rules] require_plan)");
            let command = format!("adjutant rules plan --rule {rule}{}", more(rule));
            let advice = format!("look at what it would change, and it does what its mode says: {command}");
            Alarm::new("rule-unplanned", what, advice, command).of_rule(rule)
        };
        roster.unplanned().iter().map(alarm).collect()
    }

    async fn take_in(&self) -> Result<ReloadView, Refused> {
        let mut running = self.running.lock().await;
        let new = self.settled(&running).await?;
        let needs_restart = config::apart_from_rules(&running, &new);
        let accounts = accounts_of(&running, &new);
        let taken = |error| Refused::Other(format!("cannot take in what is new: {error}"));
        let served = self.serving.all(&running, accounts.clone()).await.map_err(|error| taken(error.to_string()))?;
        let next = self.serving.roster(served, new.rules.clone(), new.require_plan, &*self.store).await;
        let next = next.map_err(|error| taken(error.to_string()))?;
        let note = Note {
            kind: Kind::Service,
            app: None,
            account: None,
            code: "reloaded".to_owned(),
            detail: Detail::note(format!("{} rules, {} accounts", new.rules.len(), accounts.len())),
        };
        self.store.note(note, self.clock.now()).await.map_err(|error| taken(error.to_string()))?;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let enforced = next.rules().iter().filter(|rule| rule.mode == Mode::Enforce).count();
        let (added, kept): (Vec<&Rule>, Vec<&Rule>) =
            new.rules.iter().partition(|rule| named(&running.rules, &rule.name).is_none());
        let names = |rules: &[&Rule]| rules.iter().map(|rule| rule.name.to_string()).collect::<Vec<_>>();
        let changed: Vec<&Rule> = kept.into_iter().filter(|rule| !running.rules.contains(rule)).collect();
        let gone: Vec<&Rule> = running.rules.iter().filter(|rule| named(&new.rules, &rule.name).is_none()).collect();
        let view = ReloadView {
            rules: count(new.rules.len()),
            enforced: count(enforced),
            observed: count(new.rules.len().saturating_sub(enforced)),
            added: names(&added),
            changed: names(&changed),
            gone: names(&gone),
            accounts: count(accounts.len()),
            needs_restart,
        };
        for app in &mut running.apps {
            app.accounts = accounts.iter().filter(|account| account.app == app.name).cloned().collect();
        }
        running.sources = new.sources;
        // Before the rules that send to them.
        self.consumers.replace(&new.consumers);
        if let Some(notifiers) = &self.notifiers {
            notifiers.replace(&new.notify);
            self.consumers.replace_notifiers(notifiers.all());
        }
        (running.consumers, running.notify) = (new.consumers, new.notify);
        (running.rules, running.rules_folder, running.require_plan) = (new.rules, new.rules_folder, new.require_plan);
        self.apps.send_replace(self.serving.apps(&running));
        self.roster.send_replace(Arc::new(next));
        Ok(view)
    }

    /// Takes in who is served by now beside the configuration. What several ask for at once is done once: with thousands of
    /// accounts it takes some milliseconds.
    pub(super) async fn renew(&self) -> Result<(), StoreError> {
        let changes = self.serving.accounts().changed();
        let wanted = *changes.borrow();
        let running = self.running.lock().await;
        if lock(&self.renewed).is_some_and(|renewed| renewed >= wanted) {
            return Ok(());
        }
        let taken = *changes.borrow();
        let accounts = self.serving.all(&running, running.accounts().cloned().collect()).await?;
        let next = self.serving.roster(accounts, running.rules.clone(), running.require_plan, &*self.store).await?;
        put(&self.apps, self.serving.apps(&running));
        put(&self.roster, Arc::new(next));
        *lock(&self.renewed) = Some(taken);
        Ok(())
    }

    /// The configuration as two readings in a row have it.
    async fn settled(&self, running: &Config) -> Result<Config, Refused> {
        let mut first = read(running).await?;
        let mut why = String::new();
        for _ in 1..READINGS_MAX {
            self.clock.sleep_until(self.clock.now().plus(BETWEEN)).await;
            let second = read(running).await?;
            match config::agree(running, &first, &second) {
                Ok(()) => return Ok(second?),
                Err(unsettled) => why = unsettled.to_string(),
            }
            first = second;
        }
        Err(Refused::Other(format!("{why}, again and again: try again when nobody writes them")))
    }
}

/// Why a configuration was not taken in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Names no person.
    #[error("{0}")]
    Other(String),
}

impl Refused {
    /// As the log may have it: a configuration is full of emails, so of its mistakes only their places.
    fn for_log(&self) -> String {
        match self {
            Self::Config(ConfigError::Invalid(invalid)) => {
                let places: Vec<String> = invalid.places().take(PLACES_MAX).collect();
                let (all, places) = (invalid.count(), places.join(", "));
                format!("{all} mistakes, at {places}; `adjutant attention` says which")
            }
            refused => refused.to_string(),
        }
    }
}

/// What of rules and accounts is otherwise than it runs.
fn apart_in_rules(running: &Config, new: &Config) -> Vec<String> {
    let mut apart = Vec::new();
    for (one, other) in [(&new.rules, &running.rules), (&running.rules, &new.rules)] {
        for rule in one.iter().filter(|rule| !other.contains(rule)) {
            apart.push(format!("[[rule]] {}", rule.name));
        }
    }
    for (one, other) in [(&new.consumers, &running.consumers), (&running.consumers, &new.consumers)] {
        for consumer in one.iter().filter(|consumer| !other.contains(consumer)) {
            apart.push(format!("[[consumer]] {}", consumer.name));
        }
    }
    let says_otherwise = |notify: &&Notify, all: &[Notify]| !all.iter().any(|other| other.is(notify));
    for (one, other) in [(&new.notify, &running.notify), (&running.notify, &new.notify)] {
        let apart_from_it = one.iter().filter(|notify| says_otherwise(notify, other));
        apart.extend(apart_from_it.map(|notify| format!("[[notify]] {}", notify.name)));
    }
    let served: Vec<&Account> = running.accounts().collect();
    let next = accounts_of(running, new);
    apart.extend(next.iter().filter(|account| !served.contains(account)).map(|new| format!("account {}", new.id)));
    let is_gone = |account: &&&Account| next.iter().all(|new| new.id != account.id);
    apart.extend(served.iter().filter(is_gone).map(|old| format!("account {}", old.id)));
    if running.require_plan != new.require_plan {
        apart.push("[rules] require_plan".to_owned());
    }
    // One that changed is in both.
    apart.sort();
    apart.dedup();
    apart
}

/// Whoever waits for a change is woken by one only.
fn put<T: PartialEq>(to: &watch::Sender<T>, new: T) {
    to.send_if_modified(|old| {
        let is_new = *old != new;
        *old = new;
        is_new
    });
}

fn named<'r>(rules: &'r [Rule], name: &RuleName) -> Option<&'r Rule> {
    rules.iter().find(|rule| rule.name == *name)
}

/// One reading, on a thread that may wait for a disk.
async fn read(running: &Config) -> Result<Result<Config, ConfigError>, Refused> {
    let (path, env) = (running.path.clone(), running.env.clone());
    let reading = tokio::task::spawn_blocking(move || config::load(&path, &env));
    reading.await.map_err(|error| Refused::Other(format!("reading the configuration failed: {error}")))
}

/// The accounts to serve: the new ones of the apps that run. What an account has of its app or plan stays as it started.
fn accounts_of(running: &Config, new: &Config) -> Vec<Account> {
    let mut accounts = Vec::new();
    for account in new.accounts() {
        let before = running.accounts().find(|old| old.id == account.id);
        let (app, plan) = before.map_or((&account.app, account.plan), |old| (&old.app, old.plan));
        if running.app(app).is_some() {
            accounts.push(Account { app: app.clone(), plan, ..account.clone() });
        }
    }
    // An app that is gone from the file serves its accounts until the next start.
    let gone = running.apps.iter().filter(|app| new.app(&app.name).is_none());
    for account in gone.flat_map(|app| &app.accounts) {
        if accounts.iter().all(|taken| taken.id != account.id) {
            accounts.push(account.clone());
        }
    }
    accounts
}

#[async_trait]
impl Reload for Reloader {
    async fn planned(&self, rules: &BTreeMap<RuleName, String>) -> Result<(), StoreError> {
        let running = self.running.lock().await;
        let is_as_seen = |rule: &&Rule| rules.get(&rule.name) == Some(&hex::encode(rule.fingerprint()));
        for rule in running.rules.iter().filter(is_as_seen) {
            self.store.record_planned(&rule.name, rule.fingerprint(), self.clock.now()).await?;
        }
        let accounts = self.serving.all(&running, running.accounts().cloned().collect()).await?;
        let next = self.serving.roster(accounts, running.rules.clone(), running.require_plan, &*self.store).await?;
        self.roster.send_replace(Arc::new(next));
        Ok(())
    }

    async fn difference(&self) -> Result<DifferenceView, String> {
        let running = self.running.lock().await;
        // One reading is enough to look: nothing follows from it.
        let new = read(&running).await.and_then(|new| Ok(new?)).map_err(|refused| refused.to_string())?;
        let needs_restart = config::apart_from_rules(&running, &new);
        Ok(DifferenceView { needs_reload: apart_in_rules(&running, &new), needs_restart })
    }

    async fn reload(&self) -> Result<ReloadView, String> {
        let taken = self.take_in().await;
        match &taken {
            Ok(ReloadView { rules, accounts, needs_restart, .. }) => {
                tracing::info!(rules, accounts, "the configuration was read again and is in force");
                if !needs_restart.is_empty() {
                    tracing::warn!(keys = needs_restart.join(", "), "changes that wait for a restart");
                }
            }
            Err(refused) => {
                tracing::error!("the configuration was not taken in, and what ran goes on: {}", refused.for_log());
            }
        }
        let taken = taken.map_err(|refused| refused.to_string());
        *lock(&self.refused) = taken.as_ref().err().cloned();
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::path::Path;
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;
    use crate::app::Machine;
    use crate::chance::SeededChance;
    use crate::clock::{ManualClock, Timestamp};
    use crate::config::Env;
    use crate::ids::{AccountId, AppName};
    use crate::store::MemoryStore;

    fn limited(max: u32) -> Config {
        let app = "[[app]]\nname = \"main\"\nkind = \"server-to-server\"\nclient_id = \"a\"\n\
                   client_secret = \"a-long-client-secret\"\nwebhook_secrets = [\"a-long-secret-too\"]\n\
                   [[app.account]]\nid = \"acme\"\napi_users = [\"a@b.example\"]\n";
        let rule = "[[rule]]\nname = \"assist\"\nfor = \"user\"\nmode = \"enforce\"\n\
                    ensure = { assistants = [\"api-user\"] }\nmax_changes_per_hour = ";
        let text = format!("[rules]\nrequire_plan = true\n{app}{rule}{max}\n");
        config::parse(Path::new("config.toml"), &text, &Env::default()).unwrap()
    }

    #[tokio::test]
    async fn a_plan_that_a_reload_overtook_lets_no_rule_enforce_that_nobody_saw() {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let machine = Machine { clock, chance: Arc::new(SeededChance::new(1)) };
        let (store, running) = (Arc::new(MemoryStore::default()), limited(2));
        let serving = Serving::open(&running, store.clone(), &machine).await.unwrap();
        let reloader = Reloader::open(&running, Arc::new(serving), store, machine.clock).await.unwrap();
        for (max, unplanned) in [(1, 1), (2, 0)] {
            let seen = Roster::new([], limited(max).rules).hashes();
            reloader.planned(&seen).await.unwrap();
            assert_eq!(reloader.unplanned_alarms().len(), unplanned, "planned with {max} an hour");
        }
    }

    /// Polls it once.
    async fn begin<F: Future<Output = Result<(), StoreError>>>(asking: &mut Pin<Box<F>>) {
        poll_fn(|context| {
            assert!(asking.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn renewals_that_are_asked_for_at_once_are_one_and_one_after_a_change_is_another() {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let machine = Machine { clock, chance: Arc::new(SeededChance::new(1)) };
        let (store, running) = (Arc::new(MemoryStore::default()), limited(2));
        let serving = Arc::new(Serving::open(&running, store.clone(), &machine).await.unwrap());
        let reloader = Reloader::open(&running, Arc::clone(&serving), store, machine.clock).await.unwrap();
        // Whatever takes in who is served puts another in its place.
        let empty = || drop(reloader.roster.send_replace(Arc::new(Roster::new([], Vec::new()))));
        let is_taken_in = || reloader.roster.borrow().accounts().count() == 1;
        let running = reloader.running.lock().await;
        let (mut first, mut second) = (Box::pin(reloader.renew()), Box::pin(reloader.renew()));
        begin(&mut first).await;
        begin(&mut second).await;
        drop(running);
        empty();
        first.await.unwrap();
        assert!(is_taken_in());
        empty();
        second.await.unwrap();
        reloader.renew().await.unwrap();
        assert!(!is_taken_in(), "nothing changed since the first");
        let (acme, main) = (AccountId::parse("acme").unwrap(), AppName::parse("main").unwrap());
        serving.accounts().pause(&acme, &main, "a test").await.unwrap();
        reloader.renew().await.unwrap();
        assert!(is_taken_in() && reloader.roster.borrow().paused().contains(&acme));
    }
}
