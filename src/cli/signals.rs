//! The signals that end a command which has something to put in order first.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Failure};

/// Ctrl-C, `SIGTERM`, and the terminal that is closed. Whichever it is, the service of a demo must not stay behind, nor a
/// terminal that shows nothing.
pub(super) struct Told {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Told {
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::new(Exit::Io, format!("cannot listen for signals: {error}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
