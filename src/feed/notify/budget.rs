//! How many messages of rules a notifier may send in an hour, and which wait: pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Of one notifier. What was sent is kept over a restart; what waits is known again when it is tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budget {
    hour: i64,
    sent: u32,
    /// The ids of messages, each with the hour in which it last had to wait.
    #[serde(skip)]
    waiting: BTreeMap<String, i64>,
}

impl Budget {
    /// Whether the message may go out now; it counts then.
    pub(super) fn take(&mut self, id: &str, per_hour: u32, now: Timestamp) -> bool {
        if self.is_spent(id, per_hour, now) {
            return false;
        }
        self.sent = self.sent.saturating_add(1);
        self.waiting.remove(id);
        true
    }

    /// Whether the message has to wait; it is known to wait then.
    pub(super) fn is_spent(&mut self, id: &str, per_hour: u32, now: Timestamp) -> bool {
        self.begin(now);
        let is_spent = self.sent >= per_hour;
        if is_spent {
            self.waiting.insert(id.to_owned(), self.hour);
        }
        is_spent
    }

    /// One that was to go out at `then` did not.
    pub(super) fn give_back(&mut self, then: Timestamp) {
        if self.hour == then.utc_hour() {
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// How many wait. One that was not tried again for a whole hour was cancelled, or its rule is gone.
    pub(super) fn waiting(&self, now: Timestamp) -> usize {
        let hour = now.utc_hour();
        self.waiting.values().filter(|at| **at >= hour.saturating_sub(1)).count()
    }

    fn begin(&mut self, now: Timestamp) {
        let hour = now.utc_hour();
        if self.hour != hour {
            (self.hour, self.sent) = (hour, 0);
            self.waiting.retain(|_, at| *at >= hour.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn beyond_its_number_messages_wait_for_the_next_hour_and_are_counted_once_each() {
        let (mut budget, start) = (Budget::default(), Timestamp::from_secs(3600 * 1000));
        let later = |secs| start.plus(Duration::from_secs(secs));
        assert!(budget.take("a", 2, start) && budget.take("b", 2, start));
        assert!(!budget.take("c", 2, start) && !budget.take("c", 2, later(60)) && !budget.take("d", 2, later(3599)));
        assert_eq!(budget.waiting(later(3599)), 2);
        assert_eq!(budget.waiting(later(3600)), 2, "at the turn of the hour they wait still");
        assert!(budget.take("c", 2, later(3600)));
        assert_eq!(budget.waiting(later(3600)), 1);
        assert_eq!(budget.waiting(later(7200)), 0, "nobody asked for it for an hour");
    }

    #[test]
    fn what_did_not_go_out_does_not_count_and_what_did_counts_over_a_restart() {
        let (mut budget, start) = (Budget::default(), Timestamp::from_secs(3600 * 1000));
        assert!(budget.take("a", 1, start));
        budget.give_back(start);
        assert!(budget.take("b", 1, start));
        let kept = serde_json::to_vec(&budget).unwrap();
        let mut again: Budget = serde_json::from_slice(&kept).unwrap();
        assert!(!again.take("c", 1, start));
        assert!(again.take("c", 1, start.plus(Duration::from_secs(3600))));
        again.give_back(start);
        assert!(!again.take("d", 1, start.plus(Duration::from_secs(3601))), "it was of another hour");
    }
}
