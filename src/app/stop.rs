//! What the system tells the process. Two signals to stop: drain, then at once. `SIGHUP` asks to read the configuration
//! again; a terminal that is closed sends it too, and neither ends a service that somebody relies on. `SIGUSR1`, `SIGUSR2`
//! and `SIGALRM` come from tools that take this for another program, and do nothing at all.

use tokio::sync::watch;

/// How often the process was told to stop, and to read its configuration again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Signals {
    stops: watch::Receiver<u32>,
    hangups: watch::Receiver<u32>,
}

/// A count of signals that only grows.
fn count_one(count: &mut u32) {
    *count = count.saturating_add(1);
}

impl Signals {
    /// SIGTERM, SIGINT and SIGHUP of this process, from now on; what else would end it by a mistake is ignored.
    pub fn of_process() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        for kind in [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm()] {
            // Once it was asked for, a signal no longer ends the process, whether anybody waits for it or not.
            let _nobody_waits = signal(kind)?;
        }
        let (stop, stops) = watch::channel(0);
        let (reload, hangups) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = term.recv() => stop.send_modify(count_one),
                    Some(()) = int.recv() => stop.send_modify(count_one),
                    Some(()) = hangup.recv() => reload.send_modify(count_one),
                    else => return,
                }
            }
        });
        Ok(Self { stops, hangups })
    }

    /// The hangups from the start of the process on: one that came before anybody could listen is not lost.
    pub(super) fn hangups(&self) -> Hangups {
        Hangups { told: self.hangups.clone(), seen: 0 }
    }

    pub(super) async fn first(&self) {
        wait(&mut self.stops.clone(), 1).await;
    }

    pub(super) async fn second(&self) {
        wait(&mut self.stops.clone(), 2).await;
    }
}

/// Several that come while one is worked off are one.
#[derive(Debug)]
pub(super) struct Hangups {
    told: watch::Receiver<u32>,
    seen: u32,
}

impl Hangups {
    pub(super) async fn next(&mut self) {
        wait(&mut self.told, self.seen.saturating_add(1)).await;
        self.seen = *self.told.borrow();
    }
}

async fn wait(told: &mut watch::Receiver<u32>, count: u32) {
    if told.wait_for(|so_far| *so_far >= count).await.is_err() {
        // Nobody is left who could tell.
        std::future::pending::<()>().await;
    }
}
