//! What this process did at Zoom, in numbers, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow. All accounts of the process together.
#[derive(Debug, Default)]
pub struct ZoomStats {
    begun: AtomicU64,
    success: AtomicU64,
    refused: AtomicU64,
    throttled: AtomicU64,
    failed: AtomicU64,
    unanswered: AtomicU64,
    held_back: AtomicU64,
    tokens_fetched: AtomicU64,
    tokens_failed: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatsNow {
    /// Calls that a rate limit let go, whether they are answered yet or not.
    pub begun: u64,
    /// Calls answered with 2xx.
    pub success: u64,
    /// Calls answered with anything else that is no 429 and below 500.
    pub refused: u64,
    /// Calls answered with 429.
    pub throttled: u64,
    /// Calls answered with 5xx.
    pub failed: u64,
    /// Calls without an answer: time-outs, broken connections, and what was cut off.
    pub unanswered: u64,
    /// Calls that were not made because a rate limit, ours or one that Zoom told of, left no room.
    pub held_back: u64,
    pub tokens_fetched: u64,
    pub tokens_failed: u64,
}

impl ZoomStats {
    pub fn now(&self) -> StatsNow {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StatsNow {
            begun: get(&self.begun),
            success: get(&self.success),
            refused: get(&self.refused),
            throttled: get(&self.throttled),
            failed: get(&self.failed),
            unanswered: get(&self.unanswered),
            held_back: get(&self.held_back),
            tokens_fetched: get(&self.tokens_fetched),
            tokens_failed: get(&self.tokens_failed),
        }
    }

    /// A call is on its way until what this returns is dropped.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        add(&self.begun);
        UnderWay { stats: self, status: None }
    }

    pub(super) fn held_back(&self) {
        add(&self.held_back);
    }

    pub(super) fn token(&self, fetched: bool) {
        add(if fetched { &self.tokens_fetched } else { &self.tokens_failed });
    }
}

impl StatsNow {
    /// Calls that were begun and did not end yet.
    pub fn under_way(&self) -> u64 {
        let ended = [self.success, self.refused, self.throttled, self.failed, self.unanswered];
        self.begun.saturating_sub(ended.iter().sum())
    }
}

/// A call that was begun. It counts by its status when it ends, also where it is cut off.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    stats: &'a ZoomStats,
    /// None while no answer came.
    pub(super) status: Option<u16>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        add(match self.status {
            None => &self.stats.unanswered,
            Some(200..=299) => &self.stats.success,
            Some(429) => &self.stats.throttled,
            Some(0..=499) => &self.stats.refused,
            Some(_) => &self.stats.failed,
        });
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
