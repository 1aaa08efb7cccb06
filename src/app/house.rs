//! What has to be done now and then: refused requests, counted by minute and kind, go to the audit log.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::audit::{Detail, Kind};
use crate::clock::Clock;
use crate::store::{Note, Store};
use crate::web::webhook::Receiver;

const EVERY: Duration = Duration::from_secs(60);

pub(super) struct House {
    pub(super) receiver: Arc<Receiver>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
}

impl House {
    pub(super) async fn keep(self, stop: &CancellationToken) {
        let mut stopping = false;
        while !stopping {
            stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = self.clock.sleep_until(self.clock.now().plus(EVERY)) => false,
            };
            self.record_refusals().await;
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
