//! What was done since the start, in numbers: for metrics and for the log of a shutdown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::job::{Effect, Outcome, ParkCause, Snooze};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Counters that only grow.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* $name: AtomicU64,)*
            running: AtomicU64,
            attempt_micros: AtomicU64,
        }

        impl Stats {
            /// Each counter with its code, as it may be printed.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$(($code, self.$name.load(Ordering::Relaxed)),)*]
            }

            fn counter(&self, code: &str) -> Option<&AtomicU64> {
                match code {
                    $($code => Some(&self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

stats! {
    planned = "planned",
    planned_duplicate = "planned-duplicate",
    /// What tells of our own changes.
    planned_echo = "planned-echo",
    planned_unreadable = "planned-unreadable",
    planned_unclaimed = "planned-unclaimed",
    changed = "changed",
    already_right = "already-right",
    would_change = "would-change",
    not_applicable = "not-applicable",
    sent = "sent",
    would_send = "would-send",
    snoozed = "snoozed",
    waiting = "waiting",
    retried = "retried",
    parked = "parked",
    panicked = "panicked",
    /// Put off, since the day of the meeting's host is used up.
    host_limited = "host-limited",
    /// The lease was gone: the job was cancelled, or somebody else has it.
    lease_lost = "lease-lost",
    given_back = "given-back",
    /// Left running at the end of a drain.
    abandoned = "abandoned",
}

impl Stats {
    /// One counter by its code; 0 where there is none of that name.
    pub fn get(&self, code: &str) -> u64 {
        self.counter(code).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Jobs that run now.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// The time spent in attempts.
    pub fn attempts_time(&self) -> Duration {
        Duration::from_micros(self.attempt_micros.load(Ordering::Relaxed))
    }

    pub(super) fn count(&self, code: &str) {
        self.add(code, 1);
    }

    pub(super) fn add(&self, code: &str, number: u64) {
        if let Some(counter) = self.counter(code) {
            counter.fetch_add(number, Ordering::Relaxed);
        }
    }

    pub(super) fn took(&self, time: Duration) {
        self.attempt_micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn set_running(&self, number: usize) {
        self.running.store(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A short, stable word for what an attempt came to.
pub(super) const fn code(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(Effect::Changed { .. }) => "changed",
        Outcome::Done(Effect::AlreadyRight) => "already-right",
        Outcome::Done(Effect::WouldChange { .. }) => "would-change",
        Outcome::Done(Effect::NotApplicable { .. }) => "not-applicable",
        Outcome::Done(Effect::Reported { .. }) => "reported",
        Outcome::Done(Effect::Sent { .. }) => "sent",
        Outcome::Done(Effect::WouldSend { .. }) => "would-send",
        Outcome::Done(Effect::Refused { .. }) => "refused",
        Outcome::Snooze(Snooze::Until { .. } | Snooze::NextBudget { .. }) => "snoozed",
        Outcome::Snooze(Snooze::ForEvent(_)) => "waiting",
        Outcome::Retry { .. } => "retried",
        Outcome::Park(ParkCause::Panicked { .. }) => "panicked",
        Outcome::Park(_) => "parked",
    }
}
