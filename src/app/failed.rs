//! The store failed, as by a sync that did: nothing is acknowledged any more and the process ends at once. The next one tells
//! of it, where the disk could still take that much.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alarm::Alarm;
use crate::clock::Timestamp;
use crate::store::LocalStore;

const NAME: &str = "failed";
/// For so long a person should know.
const TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// A disk that fails may never answer.
const WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FailedBefore {
    at: Timestamp,
    why: String,
}

impl FailedBefore {
    pub(super) async fn read(store: &LocalStore) -> Option<Self> {
        serde_json::from_slice(&store.kept_aside(NAME).await?).ok()
    }

    /// Leaves word for the next start, if that can be.
    pub(super) async fn leave(store: &LocalStore, why: &str, at: Timestamp) {
        let bytes = serde_json::to_vec(&Self { at, why: why.to_owned() }).unwrap_or_default();
        match tokio::time::timeout(WITHIN, store.keep_aside(NAME, bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the next start will not know why this one ended"),
            Err(_) => tracing::warn!("the disk does not answer: the next start will not know why this one ended"),
        }
    }

    pub(super) fn alarm(&self, now: Timestamp) -> Option<Alarm> {
        let Self { at, why } = self;
        (now.since(*at) <= TOLD_FOR).then(|| {
            let what = format!("at {at} the store failed and the service ended: {why}");
            let advice = "nothing that was acknowledged is lost; look at the disk and the system's log, and verify the store \
                          when the service is stopped";
            Alarm::new("store-failed", what, advice, "adjutant store verify").about(at).since(*at)
        })
    }
}
