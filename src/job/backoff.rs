//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential backoff with full jitter on the upper half: attempt `n` waits between half and all of
/// `min(base × 2^(n−1), max)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    attempts_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackoffError {
    #[error("the first delay is zero")]
    NoDelay,
    #[error("the longest delay is below the first")]
    MaxBelowBase,
    #[error("no attempt is allowed")]
    NoAttempts,
}

impl Backoff {
    pub fn new(base: Duration, max: Duration, attempts_max: u32) -> Result<Self, BackoffError> {
        if base.is_zero() {
            Err(BackoffError::NoDelay)
        } else if max < base {
            Err(BackoffError::MaxBelowBase)
        } else if attempts_max == 0 {
            Err(BackoffError::NoAttempts)
        } else {
            Ok(Self { base, max, attempts_max })
        }
    }

    /// The delay after `attempts` attempts, or none where they are used up. `unit` is a random number in `0.0..1.0`.
    pub fn after(&self, attempts: u32, unit: f64) -> Option<Duration> {
        if attempts >= self.attempts_max {
            return None;
        }
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        Some(doubled.min(self.max).mul_f64(0.5 + unit.clamp(0.0, 1.0) / 2.0))
    }
}

impl Default for Backoff {
    /// 2 s to 15 min, 12 attempts: about an hour and a half in all.
    fn default() -> Self {
        Self { base: Duration::from_secs(2), max: Duration::from_secs(900), attempts_max: 12 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_doubles_up_to_its_limit_and_keeps_at_least_half() {
        let backoff = Backoff::default();
        for attempts in 1..12 {
            let whole = Duration::from_secs(2 << (attempts - 1)).min(Duration::from_secs(900));
            assert_eq!(backoff.after(attempts, 0.0), Some(whole / 2));
            assert_eq!(backoff.after(attempts, 1.0), Some(whole));
        }
    }

    #[test]
    fn attempts_end() {
        assert_eq!(Backoff::default().after(12, 0.5), None);
        assert_eq!(Backoff::default().after(u32::MAX, 0.5), None);
    }

    #[test]
    fn a_backoff_that_makes_no_sense_is_refused() {
        let (one, two) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(Backoff::new(Duration::ZERO, two, 1), Err(BackoffError::NoDelay));
        assert_eq!(Backoff::new(two, one, 1), Err(BackoffError::MaxBelowBase));
        assert_eq!(Backoff::new(one, two, 0), Err(BackoffError::NoAttempts));
    }
}
