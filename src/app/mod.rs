//! Puts the parts together, runs them, and takes them apart again.
//!
//! **Start**: the store opens (and says what it found), the listeners are bound, the receiver learns which secrets are new,
//! then everything runs and the service manager is told so. **Stop** has two stages. At the first signal nothing new is
//! taken: the listeners finish what is in flight, running jobs get the time of the drain, the store closes cleanly. A
//! second signal ends the process where it stands, which is safe at any moment, since nothing is acknowledged that is not
//! on disk. **Failure**: when the disk fails, everything stops at once and nothing more is acknowledged.

mod assistants;
mod background;
mod counts;
mod engine;
mod failed;
mod house;
mod meetings;
mod new_log;
mod notify;
mod reload;
mod serving;
mod stop;
mod sweeps;
mod take_back;
mod tending;
mod users;
mod zooms;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::Config;
use crate::feed::notify::Notifiers;
use crate::feed::push::{self, Pushers};
use crate::ids::{AccountId, AppName};
use crate::store::{LocalStore, Store, StoreError};
use crate::web::accept::{AcceptSettings, Acceptor};
use crate::web::admin::{self, AdminState, Hosts, Readers, Reload as _, TokenHash, Tokens};
use crate::web::install::{Failures, Install};
use crate::web::lanes::Lanes;
use crate::web::peer::Proxies;
use crate::web::webhook::{PublicSite, Receiver};
use crate::work::Facts;
use crate::worker::{Backfill, Errands, Onboarder, Parts, Sweeper, TakeBack, ZoomFor};
use background::Besides;
use counts::Counted;
use failed::FailedBefore;
use reload::Reloader;
use serving::Serving;
use sweeps::Swept;
use tending::Tending;

pub use stop::Signals;

/// Why the service did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "cannot listen at [{section}] listen = \"{address}\": {source}. choose another address, or stop who holds it"
    )]
    Listen { section: &'static str, address: SocketAddr, source: std::io::Error },
    #[error("cannot read or make the admin token {path}: {source}")]
    Token { path: String, source: std::io::Error },
    #[error(
        "[[app]] {app}: an app of that name was added at run time, for account {account}. Let the one of the configuration \
         hold that account, or give it another name"
    )]
    AppTwice { app: AppName, account: AccountId },
    #[error("cannot set up the client for Zoom: {0}")]
    Zoom(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Connections of operators and their scripts at once.
const OPERATORS_MAX: u32 = 128;
/// A plan of many megabytes, over a slow line. Who may send or read one has shown the token.
const OPERATORS_PATIENCE_SECS: u32 = 600;

/// The machine: where time and randomness come from.
#[derive(Debug, Clone)]
pub struct Machine {
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
}

/// Serves until the signals say to stop, then drains and closes the store. `ready` is told the two addresses once
/// deliveries are taken.
pub async fn serve(
    config: &Config,
    local: LocalStore,
    machine: Machine,
    signals: Signals,
    ready: impl FnOnce(SocketAddr, SocketAddr) + Send,
) -> Result<(), ServeError> {
    let public = listen("server", config.server.listen).await?;
    let private = listen("admin", config.admin.listen).await?;
    let addresses = (bound(&public, config.server.listen), bound(&private, config.admin.listen));
    let (store, mut failure): (Arc<dyn Store>, _) = (Arc::new(local.clone()), local.failure());
    let running = Running::build(config, &local, &machine).await?;
    let drain = config.server.drain;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let operators = AcceptSettings {
        connections_max: OPERATORS_MAX,
        body_secs: OPERATORS_PATIENCE_SECS,
        answer_secs: OPERATORS_PATIENCE_SECS,
        ..config.server.accept.clone()
    };
    let acceptor = Acceptor::new(config.server.accept.clone()).on(Lanes::start().map_err(ServeError::Thread)?);
    let (site, until) =
        (running.site(Proxies::new(config.server.trusted_proxies.clone())), stop.clone().cancelled_owned());
    tasks.spawn(async move {
        acceptor.serve(public, site, until, drain).await;
    });
    let acceptor = Acceptor::new(operators);
    let (router, until) = (running.admin_router(), stop.clone().cancelled_owned());
    tasks.spawn(async move {
        acceptor.serve(private, router, until, drain).await;
    });
    tasks.spawn(running.admin.readers.clone().end_after(stop.clone().cancelled_owned()));
    let worked =
        background::work(running.parts.clone(), running.besides(config), stop.clone()).map_err(ServeError::Thread)?;
    tasks.spawn(async move {
        if let Ok(Err(error)) = worked.await {
            tracing::error!(%error, "the store takes nothing more; stopping");
        }
    });
    for work in running.keeping(&stop) {
        tasks.spawn(work);
    }
    {
        let (reloader, signals, stop) = (Arc::clone(&running.reloader), signals.clone(), stop.clone());
        tasks.spawn(async move { stop.run_until_cancelled(reload_on(&signals, &reloader)).await.unwrap_or_default() });
    }
    let _ends_with_this = running.telling();
    ready(addresses.0, addresses.1);
    let by_signal = tokio::select! {
        () = signals.first() => true,
        // Each of them runs until it is told to stop: one that ends before leaves the service deaf or idle.
        ended = tasks.join_next() => {
            tracing::error!(?ended, "a part of the service ended by itself; stopping");
            false
        }
        Ok(why) = failure.wait_for(Option::is_some) => {
            // Nothing can be finished any more: whoever waits for an answer gets none, and Zoom asks again.
            let why = why.clone().unwrap_or_default();
            FailedBefore::leave(&local, &why, machine.clock.now()).await;
            return Err(StoreError::Failed(why).into());
        }
    };
    tracing::info!("stopping: taking nothing new, finishing what runs");
    stop.cancel();
    let drained = async {
        while tasks.join_next().await.is_some() {}
        // A refreshed token that nobody stored would be lost.
        running.serving.zooms().settled().await;
        store.close().await
    };
    tokio::select! {
        closed = drained => if by_signal { Ok(closed?) } else { closed.and(Err(StoreError::Failed("a part of the service ended by itself; see the log".to_owned())))? },
        () = signals.second() => {
            tracing::warn!("a second signal: stopping at once");
            Ok(())
        }
    }
}

/// Reads the configuration again whenever `SIGHUP` says so. What came of it is in the log, and with the alarms.
async fn reload_on(signals: &Signals, reloader: &Reloader) {
    let mut hangups = signals.hangups();
    loop {
        hangups.next().await;
        let _logged = reloader.reload().await;
    }
}

async fn listen(section: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { section, address, source })
}

fn bound(listener: &TcpListener, otherwise: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(otherwise)
}

/// What planner and runner work with.
fn parts(
    config: &Config,
    machine: &Machine,
    (store, serving, reloader): (&Arc<dyn Store>, &Serving, &Reloader),
) -> Parts {
    let zooms: Arc<dyn ZoomFor> = serving.zooms();
    Parts {
        store: Arc::clone(store),
        zooms,
        roster: reloader.roster(),
        clock: Arc::clone(&machine.clock),
        chance: Arc::clone(&machine.chance),
        facts: Arc::new(Facts::new(config.worker.cache)),
        feed: reloader.feed(),
        accounts: Some(serving.accounts()),
        stats: Arc::default(),
        settings: config.worker,
    }
}

/// Consumers that take the audit log, as the admin listener shows it.
async fn pushers(local: &LocalStore, reloader: &Reloader, machine: &Machine) -> Result<Arc<Pushers>, StoreError> {
    let keys = local.log_keys().await?;
    let parts = push::Parts {
        store: Arc::new(local.clone()),
        clock: Arc::clone(&machine.clock),
        chance: Arc::clone(&machine.chance),
        log: keys.first().map(|key| key.name().to_owned()).unwrap_or_default(),
        show: |entry| serde_json::to_value(admin::view::EntryView::from(entry)).unwrap_or_default(),
    };
    Ok(Arc::new(Pushers::new(reloader.feed(), parts)))
}

fn token(config: &Config, machine: &Machine) -> Result<SecretString, ServeError> {
    let path = &config.admin.token_file;
    let failed = |source| ServeError::Token { path: path.display().to_string(), source };
    admin::token::read_or_create(path, &*machine.chance).map_err(failed)
}

/// What runs.
struct Running {
    receiver: Arc<Receiver>,
    parts: Parts,
    sweeper: Arc<Sweeper>,
    take_back: Arc<TakeBack>,
    onboarder: Arc<Onboarder>,
    errands: Arc<Errands>,
    admin: Arc<AdminState>,
    notifiers: Arc<Notifiers>,
    pushers: Arc<Pushers>,
    machine: Machine,
    local: LocalStore,
    body_days: u32,
    entry_days: u32,
    reloader: Arc<Reloader>,
    serving: Arc<Serving>,
    refresh_idle: std::time::Duration,
}

impl Running {
    async fn build(config: &Config, local: &LocalStore, machine: &Machine) -> Result<Self, ServeError> {
        let store: Arc<dyn Store> = Arc::new(local.clone());
        let token = token(config, machine)?;
        let serving = Arc::new(Serving::open(config, Arc::clone(&store), machine).await?);
        let (zooms, accounts, receiver) = (serving.zooms(), serving.accounts(), serving.receiver());
        new_log::enter(local, &accounts, machine.clock.now()).await?;
        let notifiers = notify::notifiers(config, local, machine);
        let clock = || Arc::clone(&machine.clock);
        let reloader = Reloader::open(config, Arc::clone(&serving), Arc::clone(&store), clock()).await?;
        let reloader = Arc::new(reloader.with_notifiers(Arc::clone(&notifiers)));
        let parts = parts(config, machine, (&store, &serving, &reloader));
        let sweeper = Arc::new(Sweeper::new(parts.clone(), config.sweep.clone()));
        let pushers = pushers(local, &reloader, machine).await?;
        let (jobs, reloads) = (Arc::clone(&parts.stats), Arc::clone(&reloader));
        let (take_back, people) = (Arc::new(TakeBack::new(parts.clone())), users::People::new(&parts, local));
        let errands = Arc::new(Errands::new(parts.clone()));
        let running = Arc::new(meetings::Running::new(&errands, &parts));
        let counted = Counted {
            receiver: Arc::clone(&receiver),
            jobs,
            zooms,
            reloader: reloads,
            notifiers: Arc::clone(&notifiers),
            pushers: Arc::clone(&pushers),
            accounts: Arc::clone(&accounts),
            local: local.clone(),
            failed_before: FailedBefore::read(local).await,
            clock: clock(),
        };
        let swept = Swept { sweeper: Arc::clone(&sweeper), clock: clock() };
        let admin = Arc::new(AdminState {
            local: Some(local.clone()),
            store,
            clock: Arc::clone(&machine.clock),
            tokens: Tokens::new(TokenHash::of(&token), Arc::clone(&machine.chance)),
            hosts: Hosts::new(config.admin.listen, &config.admin.hosts),
            apps: reloader.apps(),
            reload: Some(Arc::<Reloader>::clone(&reloader)),
            stats: Arc::new(counted),
            sweeps: Arc::new(swept),
            engine: Arc::new(engine::Deciding { parts: parts.clone(), share_percent: config.zoom.sweep_share_percent }),
            take_back: Some(Arc::new(take_back::Taking(Arc::clone(&take_back)))),
            accounts: Some(Arc::clone(&accounts)),
            onboards: Some(Arc::new(users::Onboarding(Arc::clone(&people.onboarder)))),
            errands: Some(Arc::<meetings::Running>::clone(&running)),
            meetings: Some(running),
            users: Some(Arc::new(people.known)),
            readers: Readers::default(),
            pushers: Some(Arc::clone(&pushers)),
            started_at: machine.clock.now(),
        });
        Ok(Self {
            receiver,
            parts,
            sweeper,
            take_back,
            onboarder: people.onboarder,
            errands,
            admin,
            notifiers,
            pushers,
            machine: machine.clone(),
            local: local.clone(),
            body_days: config.store.body_days,
            entry_days: config.store.entry_days,
            reloader,
            serving,
            refresh_idle: config.accounts.refresh_idle,
        })
    }

    /// Notifiers, which may end, fail or hang: nothing waits for them, and they end when this is dropped.
    fn telling(&self) -> JoinSet<()> {
        let mut telling = JoinSet::new();
        let attention = Arc::new(notify::Attention(Arc::clone(&self.admin)));
        let notifiers = Arc::clone(&self.notifiers);
        telling.spawn(async move { notifiers.run(attention).await });
        telling
    }

    /// What the public listener serves: webhooks, and installing where there is an app that can be.
    fn site(&self, proxies: Proxies) -> PublicSite {
        let accounts = self.serving.accounts();
        let routes = if accounts.general_apps().is_empty() {
            axum::Router::new()
        } else {
            let (sweeps, clock) = (Arc::clone(&self.admin.sweeps), Arc::clone(&self.machine.clock));
            Arc::new(Install { accounts, sweeps, clock, failures: Failures::default() }).router()
        };
        self.receiver.site(routes, proxies)
    }

    /// What has to be done now and then, until it is told to stop.
    fn keeping(&self, stop: &CancellationToken) -> [Pin<Box<dyn Future<Output = ()> + Send>>; 3] {
        let (house, tending, pushers) = (self.house(), Arc::new(self.tending()), Arc::clone(&self.pushers));
        let (first, second, third) = (stop.clone(), stop.clone(), stop.clone());
        [
            Box::pin(async move { house.keep(&first).await }),
            Box::pin(async move { tending.run(&second).await }),
            Box::pin(async move { pushers.run(&third).await }),
        ]
    }

    fn tending(&self) -> Tending {
        Tending {
            accounts: self.serving.accounts(),
            serving: Arc::clone(&self.serving),
            reloader: Arc::clone(&self.reloader),
            sweeper: Arc::clone(&self.sweeper),
            take_back: Arc::clone(&self.take_back),
            onboarder: Arc::clone(&self.onboarder),
            errands: Arc::clone(&self.errands),
            local: self.local.clone(),
            clock: Arc::clone(&self.machine.clock),
            refresh_idle: self.refresh_idle,
            forgets: tokio_util::task::TaskTracker::new(),
            later: std::sync::Mutex::default(),
            to_retry: std::sync::Mutex::default(),
        }
    }

    fn admin_router(&self) -> axum::Router {
        admin::router(Arc::clone(&self.admin))
    }

    fn besides(&self, config: &Config) -> Besides {
        let (sweeper, take_back) = (Arc::clone(&self.sweeper), Arc::clone(&self.take_back));
        Besides { sweeper, take_back, backfill: self.backfill(config) }
    }

    fn backfill(&self, config: &Config) -> Backfill {
        let bytes_max = config.server.receiver.body_bytes_max;
        let known_for = config.store.settings.limits.dedupe_window;
        let apps = config.apps.iter().filter_map(|app| app.for_backfill(bytes_max, known_for)).collect();
        Backfill::new(self.parts.clone(), config.sweep.clone(), apps)
    }

    fn house(&self) -> house::House {
        house::House {
            receiver: Arc::clone(&self.receiver),
            parts: self.parts.clone(),
            onboarder: Arc::clone(&self.onboarder),
            errands: Arc::clone(&self.errands),
            store: self.local.clone(),
            body_days: self.body_days,
            entry_days: self.entry_days,
            clock: Arc::clone(&self.machine.clock),
        }
    }
}
