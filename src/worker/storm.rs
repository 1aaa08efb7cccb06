//! When deliveries pour in, planning waits a little: an answer has three seconds, a plan has not.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Stopwatch;
use crate::store::{Store, StoreError};

/// More deliveries than this in a second are a storm: beyond what one machine plans beside receiving them.
const STORM_PER_SEC: f64 = 10_000.0;
/// From this share of the unplanned deliveries that the store allows on, planning goes on in any storm. As many are planned
/// within seconds after it.
const BACKLOG_PERCENT: u64 = 50;
/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// How many deliveries there were when it last looked.
#[derive(Debug, Default)]
pub(super) struct Storm(Option<(Stopwatch, u64)>);

impl Storm {
    /// Ends when there is no storm, or planning can wait no longer.
    pub(super) async fn let_pass(&mut self, store: &dyn Store, stop: &CancellationToken) -> Result<(), StoreError> {
        loop {
            let elapsed = self.0.as_ref().map(|(since, _)| since.elapsed());
            if elapsed.is_some_and(|elapsed| elapsed < LOOK) {
                return Ok(());
            }
            let status = store.status().await?;
            let last = self.0.replace((Stopwatch::start(), status.deliveries));
            let came = status.deliveries.saturating_sub(last.map_or(status.deliveries, |(_, deliveries)| deliveries));
            let per_sec = f64::from(u32::try_from(came).unwrap_or(u32::MAX)) / elapsed.unwrap_or(LOOK).as_secs_f64();
            let room = status.unplanned_max.map_or(0, |max| max.saturating_mul(BACKLOG_PERCENT) / 100);
            if per_sec < STORM_PER_SEC || status.unplanned >= room || stop.is_cancelled() {
                return Ok(());
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
