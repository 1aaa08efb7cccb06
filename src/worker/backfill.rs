//! What Zoom tried to deliver in vain: its own log of the last seven days is read, and what is not known yet goes the way
//! of every delivery.
//!
//! Guarantees: a row of the log counts only where it bears a signature under one of the app's secrets, as every delivery;
//! what is known is not stored again; how far the log was read outlives a restart. Its calls use a sweep's part of the rate.
//!
//! Deliberately does not look at what a delivery says.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::sweeper::Fault;
use super::walk::Pages;
use super::{Parts, SweepSettings};
use crate::audit::{Call, Detail, Kind};
use crate::clock::{Timestamp, lock};
use crate::event::signature::{Secret, Verified, Window, verify};
use crate::ids::{AccountId, AppName, MarketplaceId};
use crate::store::{NewDelivery, Note, StoreError, SweepKind, SweepRecord, SweepStep};
use crate::zoom::{FailedDelivery, Object, Zoom, ZoomError};

/// How far back Zoom's log goes.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// What was read before is read again, since nothing says how soon a delivery is in the log.
const OVERLAP: Duration = Duration::from_secs(3600);
/// Rows in a page: each holds a body, and an answer has a limit.
const PAGE_ROWS: u32 = 30;
/// Where even that is too much.
const PAGE_ROWS_MIN: u32 = 1;
/// Of one look; the next goes on from the beginning, and skips what is known.
const PAGES_MAX: u32 = 10_000;
const RETRY: Duration = Duration::from_secs(60);
/// After what does not heal by itself.
const RETRY_REFUSED: Duration = Duration::from_secs(3600);
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How far the signed moment of a row may be before now: the log's age, and Zoom's retries before.
const SIGNED_SECS: u32 = 8 * 86_400;
const FUTURE_SECS: u32 = 300;

/// The code of the notice that an app's log cannot be read.
pub(super) const FAILED: &str = "backfill-failed";

/// An app whose log at Zoom is read.
#[derive(Debug, Clone)]
pub struct Backfilled {
    pub app: AppName,
    /// With whose token.
    pub account: AccountId,
    pub marketplace_id: MarketplaceId,
    pub secrets: Vec<Secret>,
    /// As the receiver takes them.
    pub body_bytes_max: usize,
    /// How long a delivery is known again: what is older is not fetched, since it may have come by itself.
    pub known_for: Duration,
}

#[derive(Debug)]
pub struct Backfill {
    parts: Parts,
    settings: SweepSettings,
    apps: Vec<Backfilled>,
    not_before: Mutex<HashMap<AppName, Timestamp>>,
}

/// What one look came to.
#[derive(Debug, Default)]
struct Found {
    stored: u64,
    refused: u64,
}

impl Backfill {
    pub fn new(parts: Parts, settings: SweepSettings, apps: Vec<Backfilled>) -> Self {
        Self { parts, settings, apps, not_before: Mutex::default() }
    }

    /// Reads the log at the start, and then by the schedule of sweeps, until `shutdown`. An error means that the store can
    /// take nothing more.
    pub async fn run(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        self.mend_what_is_read_no_more().await?;
        loop {
            // A look that is cut off begins where this one did, and skips what it stored.
            let Some(looked) = shutdown.run_until_cancelled(self.look_all()).await else { return Ok(()) };
            looked?;
            let clock = &self.parts.clock;
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = clock.sleep_until(clock.now().plus(LOOK_EVERY)) => {}
            }
        }
    }

    /// Nobody need mend a log that is not to be read any more.
    async fn mend_what_is_read_no_more(&self) -> Result<(), StoreError> {
        for notice in self.parts.store.notices().await? {
            if notice.code == FAILED && self.apps.iter().all(|app| app.account != notice.account) {
                self.parts.store.mend(&notice, self.parts.clock.now()).await?;
            }
        }
        Ok(())
    }

    /// Looks for each app for which that is due.
    pub async fn look_all(&self) -> Result<(), StoreError> {
        for app in &self.apps {
            let now = self.parts.clock.now();
            if lock(&self.not_before).get(&app.app).is_some_and(|at| *at > now) {
                continue;
            }
            let Some(zoom) = self.parts.zooms.sweeping(&app.account) else { continue };
            let next = match self.look(app, &*zoom, now).await {
                Ok(()) => Ok(self.settings.schedule_of(&app.account, SweepKind::Users).after(now).plus(self.jitter())),
                Err(Fault::Store(StoreError::Full | StoreError::Behind(_) | StoreError::Backlog)) => {
                    self.record(app, SweepStep::Called, zoom.calls()).await.map(|()| now.plus(RETRY))
                }
                Err(Fault::Store(error)) => Err(error),
                Err(Fault::Zoom(error) | Fault::Endless(error) | Fault::List(_, error)) => {
                    self.failed(app, &error, zoom.calls()).await
                }
            };
            let next = match next {
                // The account is being forgotten.
                Err(StoreError::Conflict(_)) => now.plus(RETRY),
                next => next?,
            };
            lock(&self.not_before).insert(app.app.clone(), next);
        }
        Ok(())
    }

    fn jitter(&self) -> Duration {
        self.settings.jitter.mul_f64(self.parts.chance.unit())
    }

    async fn look(&self, app: &Backfilled, zoom: &dyn Zoom, now: Timestamp) -> Result<(), Fault> {
        let last = self.parts.store.sweep_state(&app.account).await?.backfilled;
        let from = last.map_or(Timestamp::EPOCH, |until| until.minus(OVERLAP)).max(now.minus(KEPT.min(app.known_for)));
        let mut found = Found::default();
        let is_whole = match self.read(app, zoom, (from, now), PAGE_ROWS, &mut found).await {
            // A page of long bodies is more than is read of an answer.
            Err(Fault::Zoom(ZoomError::Unreadable(_))) => {
                found.refused = 0;
                self.read(app, zoom, (from, now), PAGE_ROWS_MIN, &mut found).await?
            }
            read => read?,
        };
        let Found { stored, refused } = found;
        if stored > 0 || refused > 0 {
            tracing::info!(app = %app.app, stored, refused, "deliveries that Zoom could not deliver were fetched");
        }
        // What was not read to its end is read again.
        let until = if is_whole { now } else { last.unwrap_or(from) };
        self.record(app, SweepStep::Backfilled { until, stored, refused }, zoom.calls()).await?;
        if !is_whole {
            self.tell(app, "no end", "it was not read to its end, and the rest is left for the next look").await?;
        }
        Ok(())
    }

    /// Whether that was all.
    async fn read(
        &self,
        app: &Backfilled,
        zoom: &dyn Zoom,
        between: (Timestamp, Timestamp),
        size: u32,
        found: &mut Found,
    ) -> Result<bool, Fault> {
        let mut pages = Pages::of(size);
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.wanted() else { return Ok(true) };
            let page = zoom.failed_deliveries(&app.marketplace_id, between, page).await?;
            let read = pages.read(page.rows.len(), page.next, None);
            for row in page.rows {
                self.take(app, row, found).await?;
            }
            if read.is_err() {
                return Ok(false);
            }
        }
        Ok(pages.wanted().is_none())
    }

    async fn take(&self, app: &Backfilled, row: FailedDelivery, found: &mut Found) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        let Some(verified) = signed(app, row, now) else {
            found.refused = found.refused.saturating_add(1);
            return Ok(());
        };
        let delivery = NewDelivery { app: app.app.clone(), received_at: now, verified };
        if self.parts.store.backfill(delivery).await?.is_some() {
            found.stored = found.stored.saturating_add(1);
        }
        Ok(())
    }

    /// When to look again.
    async fn failed(&self, app: &Backfilled, error: &ZoomError, calls: Vec<Call>) -> Result<Timestamp, StoreError> {
        let now = self.parts.clock.now();
        self.record(app, SweepStep::Called, calls).await?;
        Ok(match error {
            ZoomError::Limited { until, .. } => *until,
            ZoomError::Transient(_) => now.plus(RETRY),
            error => {
                self.tell(app, error.kind(), &error.to_string()).await?;
                now.plus(RETRY_REFUSED)
            }
        })
    }

    /// Zoom's own words may name a user, so they are for the sealed note alone.
    async fn tell(&self, app: &Backfilled, error: &str, why: &str) -> Result<(), StoreError> {
        tracing::warn!(app = %app.app, error, "Zoom's log of deliveries that failed could not be read");
        let note = Note {
            kind: Kind::Attention,
            app: Some(app.app.clone()),
            account: Some(app.account.clone()),
            code: FAILED.to_owned(),
            detail: Detail::note(format!("Zoom's log of deliveries that failed could not be read: {why}")),
        };
        self.parts.store.note(note, self.parts.clock.now()).await
    }

    async fn record(&self, app: &Backfilled, step: SweepStep, calls: Vec<Call>) -> Result<(), StoreError> {
        let record = SweepRecord { app: app.app.clone(), account: app.account.clone(), step, calls };
        self.parts.store.record_sweep(record, self.parts.clock.now()).await.map(drop)
    }
}

/// The delivery of a row, where the row shows that it is one of Zoom's to this app.
fn signed(app: &Backfilled, row: FailedDelivery, now: Timestamp) -> Option<Verified> {
    let body = row.body.filter(|body| body.len() <= app.body_bytes_max)?;
    let headers = headers(row.whole.get("request_headers")?)?;
    let past = u32::try_from(app.known_for.as_secs())
        .map_or(SIGNED_SECS, |secs| SIGNED_SECS.min(secs.saturating_sub(FUTURE_SECS)));
    let window = Window { past, future: FUTURE_SECS };
    let verified = verify(&headers, body.into(), &app.secrets, now.as_secs(), window);
    verified.ok().map(|(verified, _)| verified)
}

/// The headers of a row: an object, or the text of one.
fn headers(stated: &Value) -> Option<HeaderMap> {
    let parsed: Object = match stated {
        Value::Object(object) => object.clone(),
        Value::String(text) => serde_json::from_str(text).ok()?,
        _ => return None,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &parsed {
        if let (Ok(name), Some(Ok(value))) = (name.parse::<HeaderName>(), value.as_str().map(HeaderValue::from_str)) {
            headers.append(name, value);
        }
    }
    Some(headers)
}
