//! What a store remembers of runs of meetings beside its jobs, for each account: that a rule's timer has run for one, and
//! which events ended timers that had not begun.
//!
//! Zoom's events overtake each other by more than an hour, and jobs that are finished are forgotten by their number. What
//! is remembered is bounded by number as well, by far more, and the oldest goes.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use crate::clock::Timestamp;

/// Things that are remembered of an account. A run of a meeting takes up to three.
pub(super) const REMEMBERED_MAX: usize = 300_000;

/// What is remembered of a rule and a run, or of a rule and a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Memo {
    /// The rule has had its timer for the run.
    Begun,
    /// What ends the rule's timers came for the run.
    EndedRun,
    /// What ends the rule's timers came for the meeting, the newest then.
    EndedMeeting,
}

impl Memo {
    /// Goes into fingerprints: part of the format.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Begun => 4,
            Self::EndedRun => 5,
            Self::EndedMeeting => 6,
        }
    }
}

/// What is remembered of an account, each with the newest moment at which it happened, where its events said so.
#[derive(Debug, Clone)]
pub(super) struct Remembered<K> {
    by: HashMap<K, (u64, Option<Timestamp>)>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K> Default for Remembered<K> {
    fn default() -> Self {
        Self { by: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash> Remembered<K> {
    /// None where it is not remembered.
    pub(super) fn get(&self, key: &K) -> Option<Option<Timestamp>> {
        self.by.get(key).map(|(_, event_at)| *event_at)
    }

    /// Whether remembering it would say more than is known.
    pub(super) fn is_news(&self, key: &K, event_at: Option<Timestamp>) -> bool {
        self.get(key).is_none_or(|known| known < event_at)
    }

    /// Beyond the limit, what was not told again for longest is forgotten.
    pub(super) fn put(&mut self, key: K, event_at: Option<Timestamp>) {
        let before = self.by.remove(&key);
        if let Some((place, _)) = before {
            self.order.remove(&place);
        }
        let newest = before.and_then(|(_, known)| known).max(event_at);
        self.next = self.next.saturating_add(1);
        self.order.insert(self.next, key.clone());
        self.by.insert(key, (self.next, newest));
        while self.order.len() > REMEMBERED_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.by.remove(&oldest);
        }
    }

    /// In the order in which it is forgotten.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Option<Timestamp>)> {
        self.order.values().filter_map(|key| Some((key.clone(), self.get(key)?)))
    }
}

/// Whether an event that ends timers does so for a timer that an event of `began` began, by what it says of the meeting
/// alone: not where it is older, or nobody knows.
pub(super) fn is_no_older(ended: Option<Timestamp>, began: Option<Timestamp>) -> bool {
    ended.zip(began).is_some_and(|(ended, began)| ended >= began)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_moment_is_kept_and_what_was_told_again_is_forgotten_last() {
        let at = |secs| Some(Timestamp::from_secs(secs));
        let mut remembered = Remembered::default();
        assert!(remembered.is_news(&0, None));
        for (key, event_at) in [(0, at(5)), (1, None), (0, at(3)), (1, at(7))] {
            remembered.put(key, event_at);
        }
        assert_eq!((remembered.get(&0), remembered.get(&1), remembered.get(&2)), (Some(at(5)), Some(at(7)), None));
        assert!(!remembered.is_news(&0, at(5)) && !remembered.is_news(&0, None) && remembered.is_news(&0, at(6)));
        remembered.put(0, None);
        let rest = u64::try_from(REMEMBERED_MAX).unwrap();
        (2..=rest).for_each(|key| remembered.put(key, None));
        assert_eq!((remembered.get(&1), remembered.get(&0)), (None, Some(at(5))));
        assert_eq!(remembered.iter().next(), Some((0, at(5))));
    }

    #[test]
    fn an_event_in_the_same_millisecond_is_no_older_and_one_without_a_time_says_nothing() {
        let at = |secs| Some(Timestamp::from_secs(secs));
        assert!(is_no_older(at(2), at(2)) && is_no_older(at(3), at(2)) && !is_no_older(at(1), at(2)));
        assert!(!is_no_older(None, at(2)) && !is_no_older(at(2), None));
    }
}
