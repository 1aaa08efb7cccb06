//! What has to be done now and then: refused requests, counted by minute and kind, go to the audit log; bodies that were
//! kept long enough become stubs; notices whose reason is gone end.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::audit::{Detail, Kind};
use crate::clock::Clock;
use crate::store::local::{Before, Pruned};
use crate::store::{LocalStore, Note, Store as _};
use crate::web::webhook::Receiver;
use crate::worker::{self, Errands, LostHosts, Onboarder, Parts};

const EVERY: Duration = Duration::from_secs(60);

pub(super) struct House {
    pub(super) receiver: Arc<Receiver>,
    pub(super) parts: Parts,
    pub(super) onboarder: Arc<Onboarder>,
    pub(super) errands: Arc<Errands>,
    pub(super) store: LocalStore,
    /// How long bodies are kept.
    pub(super) body_days: u32,
    pub(super) entry_days: u32,
    pub(super) clock: Arc<dyn Clock>,
}

impl House {
    pub(super) async fn keep(self, stop: &CancellationToken) {
        let (mut stopping, mut pruned_on, mut tidied_at) = (false, None, None);
        let lost_hosts = LostHosts::new(self.parts.clone());
        self.tidy(&mut tidied_at).await;
        while !stopping {
            stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = self.clock.sleep_until(self.clock.now().plus(EVERY)) => false,
            };
            self.record_refusals().await;
            if let Err(error) = worker::mend(&self.parts).await {
                tracing::warn!(%error, "notices could not be looked at");
            }
            if !stopping {
                self.tidy(&mut tidied_at).await;
                if let Err(error) = self.errands.go_on().await {
                    tracing::warn!(%error, "what was lent, or called off, could not be looked at");
                }
                if let Err(error) = lost_hosts.look_again().await {
                    tracing::warn!(%error, "hosts who can host no more could not be looked at again");
                }
                if let Err(error) = self.onboarder.tell().await {
                    tracing::warn!(%error, "what became of onboardings could not be told");
                }
            }
            let day = self.clock.now().utc_day();
            if !stopping && pruned_on.replace(day) != Some(day) {
                self.prune().await;
            }
        }
    }

    /// At the start, and once an hour.
    async fn tidy(&self, last: &mut Option<i64>) {
        let hour = self.clock.now().utc_hour();
        if *last == Some(hour) {
            return;
        }
        if let Err(error) = self.errands.tidy().await {
            tracing::warn!(%error, "errands could not be looked after");
            return;
        }
        match self.onboarder.tidy().await {
            Ok(()) => *last = Some(hour),
            Err(error) => tracing::warn!(%error, "onboardings could not be looked after"),
        }
    }

    /// Once a day, and some time after a start.
    async fn prune(&self) {
        let ago = |days: u32| self.clock.now().minus(Duration::from_secs(u64::from(days) * 86_400));
        let before = Before { bodies: ago(self.body_days), entries: ago(self.entry_days) };
        match self.store.prune(before, |_, _| {}).await {
            Ok(pruned) if pruned.segments == 0 => {}
            Ok(Pruned { bodies, entries, bytes, .. }) => {
                tracing::info!(bodies, entries, bytes, "bodies became stubs, and entries leaves");
            }
            Err(error) => tracing::warn!(%error, "what is old could not be pruned"),
        }
    }

    async fn record_refusals(&self) {
        for (minute, kind, count) in self.receiver.drain_refusals() {
            let requests = if count == 1 { "request" } else { "requests" };
            let note = Note {
                kind: Kind::Refusal,
                app: None,
                account: None,
                code: kind.code().to_owned(),
                detail: Detail::note(format!("{count} {requests} in the minute of {minute}")),
            };
            if let Err(error) = self.store.note(note, self.clock.now()).await {
                tracing::warn!(%error, count, code = kind.code(), "refused requests could not be recorded");
            }
        }
    }
}
