//! The two signals to stop: drain, then at once. A terminal that is closed, or a script that asks for a reload, sends
//! `SIGHUP`: that must not end a service that somebody relies on, so it is said in the log and nothing else. `SIGUSR1`,
//! `SIGUSR2` and `SIGALRM` come from tools that take this for another program, and do nothing at all.

use tokio::sync::watch;

/// How often the process was told to stop. Cheap to clone; tests make one of their own.
#[derive(Debug, Clone)]
pub struct Signals(watch::Receiver<u32>);

impl Signals {
    /// SIGTERM and SIGINT of this process; SIGHUP is only logged, and what else would end it by a mistake is ignored.
    pub fn of_process() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        for kind in [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm()] {
            // Once it was asked for, a signal no longer ends the process, whether anybody waits for it or not.
            let _nobody_waits = signal(kind)?;
        }
        let (tell, told) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = term.recv() => {}
                    Some(()) = int.recv() => {}
                    Some(()) = hangup.recv() => {
                        tracing::info!("SIGHUP changes nothing; restart the service to take in a changed configuration");
                        continue;
                    }
                    else => return,
                }
                tell.send_modify(|count: &mut u32| *count = count.saturating_add(1));
            }
        });
        Ok(Self(told))
    }

    /// Signals that a test gives.
    pub fn by_hand() -> (watch::Sender<u32>, Self) {
        let (tell, told) = watch::channel(0);
        (tell, Self(told))
    }

    pub(super) async fn first(&self) {
        self.wait(1).await;
    }

    pub(super) async fn second(&self) {
        self.wait(2).await;
    }

    async fn wait(&self, count: u32) {
        if self.0.clone().wait_for(|so_far| *so_far >= count).await.is_err() {
            // Nobody is left who could tell.
            std::future::pending::<()>().await;
        }
    }
}
