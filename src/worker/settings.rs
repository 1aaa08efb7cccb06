//! How much is done at once, and for how long.

use std::time::Duration;

use serde::Deserialize;

use crate::work::{FactsSettings, HostWrites, Moves};

/// `[worker]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Jobs that run at once, 1 to 256.
    pub workers: u16,
    /// Jobs of one account that run at once, 1 to `workers`: what is left is for the others.
    pub per_account_max: u16,
    /// How long a claim on a job lasts, in seconds; it is renewed at a third. At least twice `call_secs_max`.
    pub lease_secs: u32,
    /// The longest that one call to Zoom takes, waiting for its turn included, in seconds. No call starts unless the lease
    /// outlasts it.
    pub call_secs_max: u32,
    /// How long jobs that run may go on after a shutdown was asked for, in seconds.
    pub drain_secs: u32,
    /// How long a job may be put off again and again, in hours, before a person is asked, 1 to 720. See
    /// [`crate::job::Snooze`] for what counts. Waiting for an event has no limit.
    pub snooze_max_hours: u32,
    /// Deliveries that are planned in one write, 1 to 4096.
    pub plan_batch_max: u16,
    /// How long planner and runner leave the store alone between two looks that found little, in milliseconds. Each look
    /// costs a lock, and each write a share of a sync, which deliveries that come in would wait for.
    pub pace_ms: u16,
    /// How long what is known of an account is trusted.
    pub cache: FactsSettings,
    /// What rules may change of the meetings of one host in a day. Set in `[zoom]`.
    pub host_writes: HostWrites,
    /// Of meetings that are given another host. Set in `[moves]`.
    pub moves: Moves,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 8,
            per_account_max: 4,
            lease_secs: 120,
            call_secs_max: 60,
            drain_secs: 10,
            snooze_max_hours: 24,
            plan_batch_max: 512,
            pace_ms: 4,
            cache: FactsSettings::default(),
            host_writes: HostWrites::default(),
            moves: Moves::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("workers is {0}, expected 1 to 256")]
    Workers(u16),
    #[error("per_account_max is {0}, expected 1 to workers ({1})")]
    PerAccount(u16, u16),
    #[error("lease_secs is {0}, expected at least twice call_secs_max ({1}) and at most 3600")]
    Lease(u32, u32),
    #[error("call_secs_max is {0}, expected at least the {1} s that one call to Zoom may take by [zoom]")]
    Call(u32, u64),
    #[error("plan_batch_max is {0}, expected 1 to 4096")]
    Batch(u16),
}

impl Settings {
    /// Whether the numbers fit each other, and the longest time of one call to Zoom.
    pub fn check(&self, call_longest: Duration) -> Result<(), SettingsError> {
        if !(1..=256).contains(&self.workers) {
            Err(SettingsError::Workers(self.workers))
        } else if !(1..=self.workers).contains(&self.per_account_max) {
            Err(SettingsError::PerAccount(self.per_account_max, self.workers))
        } else if self.call_max() < call_longest || self.call_secs_max == 0 {
            let longest = call_longest.as_secs().saturating_add(u64::from(call_longest.subsec_nanos() > 0));
            Err(SettingsError::Call(self.call_secs_max, longest.max(1)))
        } else if self.lease_secs < self.call_secs_max.saturating_mul(2) || self.lease_secs > 3600 {
            Err(SettingsError::Lease(self.lease_secs, self.call_secs_max))
        } else if !(1..=4096).contains(&self.plan_batch_max) {
            Err(SettingsError::Batch(self.plan_batch_max))
        } else {
            Ok(())
        }
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_secs.into())
    }

    pub(super) fn call_max(&self) -> Duration {
        Duration::from_secs(self.call_secs_max.into())
    }

    pub(super) fn snooze_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.snooze_max_hours).saturating_mul(3600))
    }

    pub(super) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_secs.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_contradict_each_other_are_refused() {
        let (good, longest) = (Settings::default(), crate::zoom::Settings::default().call_longest());
        assert_eq!(good.check(longest), Ok(()));
        for (bad, expected) in [
            (Settings { workers: 0, ..good }, SettingsError::Workers(0)),
            (Settings { per_account_max: 9, ..good }, SettingsError::PerAccount(9, 8)),
            (Settings { lease_secs: 119, ..good }, SettingsError::Lease(119, 60)),
            (Settings { call_secs_max: 42, ..good }, SettingsError::Call(42, 43)),
            (Settings { plan_batch_max: 0, ..good }, SettingsError::Batch(0)),
        ] {
            assert_eq!(bad.check(longest), Err(expected));
        }
        assert_eq!(Settings { call_secs_max: 0, ..good }.check(Duration::ZERO), Err(SettingsError::Call(0, 1)));
    }

    #[test]
    fn what_is_left_out_is_the_default_and_what_is_unknown_is_refused() {
        assert_eq!(toml::from_str::<Settings>("workers = 8").unwrap(), Settings::default());
        assert!(toml::from_str::<Settings>("worker = 8").is_err());
    }
}
