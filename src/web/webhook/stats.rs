//! What the receiver counts.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock::Timestamp;
use crate::ids::AppName;
use crate::web::refusals::Refusals;
use crate::web::{OncePerMinute, RefusalKind};

/// A moment that many write and read; none until the first.
#[derive(Debug)]
pub(super) struct Moment(AtomicI64);

impl Moment {
    const NEVER: i64 = i64::MIN;

    pub(super) fn new(at: Option<Timestamp>) -> Self {
        Self(AtomicI64::new(at.map_or(Self::NEVER, Timestamp::as_millis)))
    }

    pub(super) fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<Timestamp> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at != Self::NEVER).map(Timestamp::from_millis)
    }
}

/// What the receiver did since it started.
#[derive(Debug)]
pub struct ReceiverStats {
    pub(super) accepted: AtomicU64,
    pub(super) validated: AtomicU64,
    pub(super) bad_plain_tokens: AtomicU64,
    pub(super) last_skew_secs: AtomicI64,
    pub(super) clock_alarm_at: Moment,
    pub(super) backlog_at: Moment,
    pub(super) refusals: Refusals,
    pub(super) clock_logged: OncePerMinute,
    pub(super) refusal_logged: OncePerMinute,
    pub(super) store_logged: OncePerMinute,
}

impl ReceiverStats {
    pub(super) fn new() -> Self {
        Self {
            accepted: AtomicU64::new(0),
            validated: AtomicU64::new(0),
            bad_plain_tokens: AtomicU64::new(0),
            last_skew_secs: AtomicI64::new(0),
            clock_alarm_at: Moment::new(None),
            backlog_at: Moment::new(None),
            refusals: Refusals::default(),
            clock_logged: OncePerMinute::default(),
            refusal_logged: OncePerMinute::default(),
            store_logged: OncePerMinute::default(),
        }
    }

    /// Deliveries that were stored, duplicates included: those are found when planning.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Url validations that were answered.
    pub fn validated(&self) -> u64 {
        self.validated.load(Ordering::Relaxed)
    }

    /// Signed url validations whose token is not plain: stored as deliveries, never signed.
    pub fn bad_plain_tokens(&self) -> u64 {
        self.bad_plain_tokens.load(Ordering::Relaxed)
    }

    /// Every kind of refusal with its count since the start.
    pub fn refusals(&self) -> Vec<(RefusalKind, u64)> {
        self.refusals.totals()
    }

    /// For each app the requests with a bad signature within the hour before, and when the first of them came.
    pub fn bad_signatures(&self, now: Timestamp) -> Vec<(AppName, u64, Timestamp)> {
        self.refusals.bad_signatures(now)
    }

    /// When a delivery was last refused because its app's backlog was full.
    pub fn backlog_at(&self) -> Option<Timestamp> {
        self.backlog_at.get()
    }

    /// When a good signature was last outside the window, and by how many seconds: our time less the signed one.
    pub fn clock_alarm(&self) -> Option<(Timestamp, i64)> {
        self.clock_alarm_at.get().map(|at| (at, self.last_skew_secs.load(Ordering::Relaxed)))
    }
}
