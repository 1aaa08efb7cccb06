//! What the running parts counted, as the admin listener shows it.

use std::sync::Arc;

use super::reload::Reloader;
use super::zooms::Zooms;
use crate::web::admin::{Alarm, Counts, Stats};
use crate::web::webhook::Receiver;
use crate::worker;

#[derive(Debug)]
pub(super) struct Counted {
    pub(super) receiver: Arc<Receiver>,
    pub(super) jobs: Arc<worker::Stats>,
    pub(super) zooms: Arc<Zooms>,
    pub(super) reloader: Arc<Reloader>,
}

impl Stats for Counted {
    fn counts(&self) -> Counts {
        let received = self.receiver.stats();
        Counts {
            accepted: received.accepted(),
            validated: received.validated(),
            refused: received.refusals().into_iter().map(|(kind, count)| (kind.code(), count)).collect(),
            outcomes: self.jobs.snapshot(),
            zoom_calls: self.zooms.calls(),
            alarms: self
                .clock_alarm()
                .into_iter()
                .chain(self.reload_alarm())
                .chain(self.reloader.unplanned_alarms())
                .collect(),
        }
    }
}

impl Counted {
    fn reload_alarm(&self) -> Option<Alarm> {
        self.reloader.refused().map(|problem| Alarm {
            code: "reload".to_owned(),
            what: format!("a changed configuration was not taken in, and the rules before it run on: {problem}"),
            advice: "mend it, then `adjutant reload`; the next start would fail as well".to_owned(),
        })
    }

    fn clock_alarm(&self) -> Option<Alarm> {
        let (at, skew_secs) = self.receiver.stats().clock_alarm()?;
        Some(Alarm {
            code: "clock".to_owned(),
            what: format!(
                "at {at} a good signature was {skew_secs} s away from this machine's clock; it was answered 503"
            ),
            advice: "check this machine's clock (`timedatectl`); if it is right, somebody repeats old requests"
                .to_owned(),
        })
    }
}
