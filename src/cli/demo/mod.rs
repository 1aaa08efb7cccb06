//! `adjutant demo`: the real service, as a process of its own, beside a simulated Zoom.

mod service;
mod show;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::out::Out;
use super::{Exit, Failure, wait};
use show::Show;

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// End when the show is over; 0 only if everything came out right
    #[arg(long)]
    once: bool,
}

pub(super) fn run(asked: &Asked, out: &mut Out) -> Result<Exit, Failure> {
    wait(demo(asked.once, out))
}

async fn demo(once: bool, out: &mut Out) -> Result<Exit, Failure> {
    let mut told =
        Told::listen().map_err(|error| Failure::new(Exit::Io, format!("cannot listen for signals: {error}")))?;
    let mut show = Show::open(out).await?;
    // A signal ends it at any time; the service ends with `show`, and its folder goes with it.
    let played = tokio::select! {
        played = show.play() => played,
        () = told.wait() => Ok(()),
    };
    played?;
    if !once && show.is_over() {
        show.stay_open()?;
        told.wait().await;
    }
    Ok(if show.all_right() { Exit::Good } else { Exit::Failed })
}

/// The signals that end the demo: Ctrl-C, `SIGTERM`, and the terminal that is closed. Whichever it is, the service of the
/// demo must not stay behind.
struct Told {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Told {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
