//! `adjutant serve`

use std::sync::Arc;

use super::{Context, Exit, Failure, check_config, logging};
use crate::app::{self, Machine, ServeError, Signals};
use crate::chance::SystemChance;
use crate::clock;
use crate::config::Config;
use crate::store::StoreError;
use crate::store::local::OpenReport;

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Io, format!("cannot start: {error}")))?;
    // First of all, so that no hangup ends what is still starting.
    let signals = runtime.block_on(async { Signals::of_process() });
    let signals = signals.map_err(|error| Failure::new(Exit::Io, format!("cannot listen for signals: {error}")))?;
    let config = context.config()?;
    let log = logging::start(config.log);
    let _log = log.map_err(|error| Failure::new(Exit::Io, format!("cannot start the log: {error}")))?;
    open_the_limits();
    use_small_pages();
    let served = runtime.block_on(serve(&config, signals));
    // What still runs after a second signal is not waited for.
    runtime.shutdown_background();
    served.map(|()| Exit::Good)
}

/// As many file descriptors as this process may have, which by default are far more than it has.
fn open_the_limits() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Where the system says no, there are fewer connections: see the accept loop.
    let _as_before = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The allocator asks for huge pages, and the system then backs with 2 MB whatever is touched once: after a million
/// deliveries that was twice the memory, and no more speed.
fn use_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::info!(%error, "huge pages stay on: the service takes more memory");
    }
}

async fn serve(config: &Config, signals: Signals) -> Result<(), Failure> {
    let machine = Machine { clock: clock::of_process(), chance: Arc::new(SystemChance) };
    let (store, report) = super::store::open_local(config.store.clone()).await?;
    told(&report);
    if let Some(note) = check_config::note(config) {
        tracing::info!("{note}");
    }
    let ready = |public, admin| {
        tracing::info!(%public, %admin, version = env!("CARGO_PKG_VERSION"), "ready: deliveries are taken");
        tell_addresses(config);
        // Only under systemd is there somebody to tell.
        let _nobody = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    };
    Ok(app::serve(config, store, machine, signals, ready).await?)
}

/// Where Zoom and browsers are to be sent, so that it can be compared with the app's page.
fn tell_addresses(config: &Config) {
    let Some(base) = &config.server.public_url else {
        return tracing::info!("[server] public_url is not set: where Zoom reaches this listener is not known here");
    };
    for app in &config.apps {
        let webhooks = format!("{base}/webhooks/{}", app.name);
        if app.general.is_some() {
            let (redirect, install) = (format!("{base}/oauth/callback"), format!("{base}/install/{}", app.name));
            tracing::info!(app = %app.name, webhooks, redirect, install, "Zoom and admins reach the app here");
        } else {
            tracing::info!(app = %app.name, webhooks, "Zoom reaches the app here");
        }
    }
}

/// What opening the store found, for the log.
fn told(report: &OpenReport) {
    let OpenReport { clean, torn_bytes, replayed, rebuilt_index, damaged_snapshots, damage } = report;
    tracing::info!(clean, torn_bytes, replayed, "the store is open");
    if let Some(why) = rebuilt_index {
        tracing::warn!(%why, "the index was built anew from the journal, which is harmless: nothing was lost");
    }
    for problem in damaged_snapshots {
        tracing::warn!(%problem, "a snapshot is damaged; what it held was read from elsewhere");
    }
    for problem in damage {
        tracing::error!(%problem, "damage was accepted");
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let exit = match &error {
            ServeError::Zoom(_) | ServeError::AppTwice { .. } => Exit::Config,
            ServeError::Store(StoreError::Damaged(_)) => Exit::Failed,
            ServeError::Listen { .. } | ServeError::Token { .. } | ServeError::Thread(_) | ServeError::Store(_) => {
                Exit::Io
            }
        };
        Self::new(exit, error.to_string())
    }
}
