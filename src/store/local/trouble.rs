//! Why there is no index to ask, and when it is made again.
//!
//! To make one reads the whole journal. Where it cannot be made, because its folder cannot be written or the disk is full, it
//! is tried again after a while only, each time after twice as long: what does not heal costs next to nothing.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::port::IndexTrouble;

/// How long a failed try is left alone: doubled from the first to the last.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(300);

/// An index that is not there.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    since: Timestamp,
    why: String,
    /// Times that it could not be made.
    failed: u32,
    tried_at: Timestamp,
}

impl Trouble {
    pub(super) const fn new(why: String, now: Timestamp) -> Self {
        Self { since: now, why, failed: 0, tried_at: now }
    }

    /// It could not be made again; whether that is news.
    pub(super) fn failed(&mut self, why: &str, now: Timestamp) -> bool {
        (self.why, self.tried_at) = (why.to_owned(), now);
        self.failed = self.failed.saturating_add(1);
        self.failed == 1
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let Some(doublings) = self.failed.checked_sub(1) else { return true };
        let wait = WAIT_MIN.saturating_mul(2_u32.saturating_pow(doublings)).min(WAIT_MAX);
        // A clock that was set back must not put it off.
        now < self.tried_at || now.since(self.tried_at) >= wait
    }

    pub(super) fn told(&self) -> IndexTrouble {
        IndexTrouble { since: self.since, why: self.why.clone(), failed: self.failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_after_twice_as_long_and_at_most_five_minutes() {
        let mut now = Timestamp::from_secs(1_000_000);
        let mut trouble = Trouble::new("gone".to_owned(), now);
        assert!(trouble.is_due(now), "the first time at once");
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            trouble.failed("still gone", now);
            assert!(!trouble.is_due(now.plus(Duration::from_millis(wait * 1000 - 1))), "{wait} s");
            assert!(trouble.is_due(now.minus(Duration::from_secs(3600))), "the clock was set back");
            now = now.plus(Duration::from_secs(wait));
            assert!(trouble.is_due(now), "{wait} s");
        }
        assert_eq!((trouble.told().failed, trouble.told().since), (11, Timestamp::from_secs(1_000_000)));
    }
}
