//! A clock that stands still until a test moves it, for the simulated Zoom and the real binary alike.

use std::path::{Path, PathBuf};
use std::time::Duration;

use adjutant::clock::{Clock as _, ManualClock, Timestamp};

/// How far ahead a signed request may be: `window_future_secs`.
const WINDOW: Duration = Duration::from_secs(300);

pub(crate) struct Led {
    clock: ManualClock,
    file: PathBuf,
}

impl Led {
    /// The service reads the time from a file in this folder.
    pub(crate) fn new(clock: ManualClock, folder: &Path) -> Self {
        let led = Self { clock, file: folder.join("clock") };
        led.tell(led.now());
        led
    }

    /// What the service is to be started with.
    pub(crate) fn environment(&self) -> (String, String) {
        ("ADJUTANT_CLOCK".to_owned(), self.file.display().to_string())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, by: Duration) {
        self.reach(self.now().plus(by));
    }

    /// Moves there, where that is ahead: Zoom first, since a service that is ahead ends there what is not as old yet; but what
    /// Zoom sends from too far ahead is refused.
    pub(crate) fn reach(&self, at: Timestamp) {
        let now = at.max(self.now());
        if now.since(self.now()) <= WINDOW {
            self.clock.set(now);
            self.tell(now);
        } else {
            self.tell(now);
            self.clock.set(now);
        }
    }

    /// All of it at once, for whoever reads it meanwhile.
    fn tell(&self, now: Timestamp) {
        let aside = self.file.with_extension("next");
        std::fs::write(&aside, now.as_millis().to_string()).unwrap();
        std::fs::rename(&aside, &self.file).unwrap();
    }
}
