//! What a store remembers of runs of meetings beside its jobs, for each account: that a rule's timer has run for one,
//! which events ended timers that had not begun, and which deliveries belong to a record.
//!
//! Zoom's events overtake each other by more than an hour, and jobs that are finished are forgotten by their number. What
//! is remembered is bounded by number as well, by far more, and the oldest goes.

use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::port::Collected;
use super::recent::Recent;
use crate::clock::Timestamp;
use crate::ids::{DeliveryId, JobId};
use crate::job::{Job, JobState};

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
    /// The rule's record of the run: see [`Fold`].
    Record,
    /// Of no rule: what a meeting is, see [`Told`].
    Told,
}

impl Memo {
    /// Goes into fingerprints: part of the format.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Begun => 4,
            Self::EndedRun => 5,
            Self::EndedMeeting => 6,
            Self::Record => 7,
            Self::Told => 8,
        }
    }
}

/// The newest moment at which something happened; none where no event said when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) struct Happened(pub(super) Option<Timestamp>);

/// What is remembered of an account.
#[derive(Debug, Clone)]
pub(super) struct Remembered<K>(Recent<K, Option<Timestamp>>);

impl<K> Default for Remembered<K> {
    fn default() -> Self {
        Self(Recent::default())
    }
}

impl<K: Clone + Eq + Hash> Remembered<K> {
    /// None where it is not remembered.
    pub(super) fn get(&self, key: &K) -> Option<Happened> {
        self.0.get(key).copied().map(Happened)
    }

    /// Whether remembering it would say more than is known.
    pub(super) fn is_news(&self, key: &K, event_at: Option<Timestamp>) -> bool {
        self.get(key).is_none_or(|Happened(known)| known < event_at)
    }

    /// Beyond the limit, what was not told again for longest is forgotten.
    pub(super) fn put(&mut self, key: K, event_at: Option<Timestamp>) {
        let newest = self.0.get(&key).copied().flatten().max(event_at);
        self.0.put(key, newest);
        while self.0.len() > REMEMBERED_MAX {
            self.0.take_oldest();
        }
    }

    /// In the order in which it is forgotten.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Option<Timestamp>)> {
        self.0.iter().map(|(key, event_at)| (key.clone(), *event_at))
    }
}

/// Whether an event that ends timers does so for a timer that an event of `began` began, by what it says of the meeting
/// alone: not where it is older, or nobody knows.
pub(super) fn is_no_older(ended: Option<Timestamp>, began: Option<Timestamp>) -> bool {
    ended.zip(began).is_some_and(|(ended, began)| ended >= began)
}

/// Deliveries of one run that a record is made of; beyond it the record is cut short, and says so.
pub(super) const FOLDED_MAX: usize = 20_000;
/// Deliveries of all runs of an account that are known to belong to one; beyond it the oldest runs are forgotten.
const FOLDED_OF_ACCOUNT_MAX: usize = 2_000_000;

/// The deliveries of a run, for one rule, and the jobs that make its records: the first, and those that amend it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fold {
    jobs: Vec<JobId>,
    /// Each with the number of the first record that it is in, from 1.
    deliveries: Vec<(DeliveryId, u32)>,
    /// The number of the first record that lacks some; 0 where none does.
    cut_from: u32,
}

impl Fold {
    /// The job that made, or will make, the newest record.
    pub(super) fn newest(&self) -> Option<JobId> {
        self.jobs.last().copied()
    }

    fn add(&mut self, delivery: DeliveryId, job: JobId) -> bool {
        if self.newest() != Some(job) {
            self.jobs.push(job);
        }
        // A person had it planned again.
        if self.deliveries.iter().any(|(known, _)| *known == delivery) {
            return false;
        }
        let number = u32::try_from(self.jobs.len()).unwrap_or(u32::MAX);
        if self.deliveries.len() >= FOLDED_MAX {
            // What was sent before stays as it was.
            self.cut_from = if self.cut_from == 0 { number } else { self.cut_from };
            return false;
        }
        self.deliveries.push((delivery, number));
        true
    }

    /// What the job is to make a record of.
    pub(super) fn of(&self, job: JobId) -> Option<Collected> {
        let place = self.jobs.iter().position(|known| *known == job)?;
        let number = u32::try_from(place.saturating_add(1)).unwrap_or(u32::MAX);
        let up_to = |number: u32| self.deliveries.iter().filter(move |(_, first)| *first <= number);
        Some(Collected {
            number,
            deliveries: up_to(number).map(|(delivery, _)| *delivery).collect(),
            of_before: up_to(number.saturating_sub(1)).count(),
            is_cut: (1..=number).contains(&self.cut_from),
        })
    }
}

/// The runs of an account that records are made of, the oldest first.
#[derive(Debug, Clone)]
pub(super) struct Folds<K> {
    runs: Recent<K, Fold>,
    deliveries: usize,
}

impl<K> Default for Folds<K> {
    fn default() -> Self {
        Self { runs: Recent::default(), deliveries: 0 }
    }
}

impl<K: Clone + Eq + Hash> Folds<K> {
    pub(super) fn get(&self, key: &K) -> Option<&Fold> {
        self.runs.get(key)
    }

    pub(super) fn add(&mut self, key: &K, delivery: DeliveryId, job: JobId) {
        if self.get(key).is_none() {
            self.put(key.clone(), Fold::default());
        }
        if let Some(fold) = self.runs.get_mut(key) {
            self.deliveries = self.deliveries.saturating_add(usize::from(fold.add(delivery, job)));
        }
        while self.deliveries > FOLDED_OF_ACCOUNT_MAX
            && let Some(fold) = self.runs.take_oldest()
        {
            self.deliveries = self.deliveries.saturating_sub(fold.deliveries.len());
        }
    }

    /// One that is not there yet.
    pub(super) fn put(&mut self, key: K, fold: Fold) {
        self.deliveries = self.deliveries.saturating_add(fold.deliveries.len());
        self.runs.put(key, fold);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Fold)> {
        self.runs.iter().map(|(key, fold)| (key.clone(), fold.clone()))
    }
}

/// Deliveries that are remembered of a meeting: the first, and the newest of the others.
pub(super) const TOLD_MAX: usize = 16;
/// Meetings of an account of which any are; beyond it those of which nothing was told for longest are forgotten.
const TOLD_MEETINGS_MAX: usize = 100_000;

/// The deliveries that stated what a meeting is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    first: Option<DeliveryId>,
    /// By when it happened.
    others: Vec<(Option<Timestamp>, DeliveryId)>,
}

impl Told {
    fn add(&mut self, delivery: DeliveryId, event_at: Option<Timestamp>, is_first: bool) {
        if is_first {
            self.first = Some(delivery);
        } else if let Err(place) = self.others.binary_search(&(event_at, delivery)) {
            self.others.insert(place, (event_at, delivery));
            self.others.drain(..self.others.len().saturating_sub(TOLD_MAX.saturating_sub(1)));
        }
    }

    /// The first, then the others as they happened.
    pub(super) fn deliveries(&self) -> Vec<DeliveryId> {
        self.first.into_iter().chain(self.others.iter().map(|(_, delivery)| *delivery)).collect()
    }
}

/// The meetings of an account of which events told what they are.
#[derive(Debug, Clone)]
pub(super) struct Tellings<K>(Recent<K, Told>);

impl<K> Default for Tellings<K> {
    fn default() -> Self {
        Self(Recent::default())
    }
}

impl<K: Clone + Eq + Hash> Tellings<K> {
    pub(super) fn get(&self, key: &K) -> Option<&Told> {
        self.0.get(key)
    }

    pub(super) fn add(&mut self, key: K, delivery: DeliveryId, event_at: Option<Timestamp>, is_first: bool) {
        let mut told = self.0.take(&key).unwrap_or_default();
        told.add(delivery, event_at, is_first);
        self.put(key, told);
    }

    pub(super) fn put(&mut self, key: K, told: Told) {
        self.0.put(key, told);
        while self.0.len() > TOLD_MEETINGS_MAX {
            self.0.take_oldest();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Told)> {
        self.0.iter().map(|(key, told)| (key.clone(), told.clone()))
    }
}

/// Whether an event may still be put to what the job makes: nothing of it was told to anybody.
pub(super) fn is_open(job: &Job) -> bool {
    let is_idle = matches!(job.state, JobState::Due { .. } | JobState::Waiting { .. } | JobState::Parked { .. });
    is_idle && job.attempts == 0 && job.retried_at.is_none()
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
        let happened = |secs| Some(Happened(at(secs)));
        assert_eq!((remembered.get(&0), remembered.get(&1), remembered.get(&2)), (happened(5), happened(7), None));
        assert!(!remembered.is_news(&0, at(5)) && !remembered.is_news(&0, None) && remembered.is_news(&0, at(6)));
        remembered.put(0, None);
        let rest = u64::try_from(REMEMBERED_MAX).unwrap();
        for key in 2..=rest {
            remembered.put(key, None);
        }
        assert_eq!((remembered.get(&1), remembered.get(&0)), (None, happened(5)));
        assert_eq!(remembered.iter().next(), Some((0, at(5))));
    }

    #[test]
    fn of_a_meeting_the_first_telling_and_the_newest_are_remembered_and_of_an_account_so_many_meetings() {
        let (at, delivery) = (|secs| Some(Timestamp::from_secs(secs)), DeliveryId::from_number);
        let mut tellings = Tellings::default();
        tellings.add(0, delivery(1), at(1), true);
        for n in (2..=40).rev().chain([40, 3]) {
            tellings.add(0, delivery(n), at(i64::try_from(n).unwrap()), false);
        }
        let of: Vec<u64> = tellings.get(&0).unwrap().deliveries().into_iter().map(DeliveryId::number).collect();
        assert_eq!(of, std::iter::once(1).chain(26..=40).collect::<Vec<_>>());
        for meeting in 1..=TOLD_MEETINGS_MAX {
            tellings.add(meeting, delivery(1), None, false);
            tellings.add(1, delivery(1), None, false);
        }
        assert!(tellings.get(&0).is_none() && tellings.get(&2).is_some() && tellings.get(&1).is_some());
    }

    #[test]
    fn a_record_is_cut_at_its_limit_and_those_before_stay_whole() {
        let (one, two) = (JobId::from_number(1), JobId::from_number(2));
        let of = |number: usize| DeliveryId::from_number(u64::try_from(number).unwrap());
        let mut fold = Fold::default();
        assert!((1..FOLDED_MAX).all(|number| fold.add(of(number), one)));
        assert!(!fold.add(of(1), one), "it is there already");
        assert!(fold.add(of(FOLDED_MAX), two) && !fold.of(two).unwrap().is_cut);
        assert!(!fold.add(of(FOLDED_MAX + 1), two));
        let (first, second) = (fold.of(one).unwrap(), fold.of(two).unwrap());
        assert_eq!((first.deliveries.len(), first.is_cut), (FOLDED_MAX - 1, false));
        assert_eq!((second.deliveries.len(), second.of_before, second.is_cut), (FOLDED_MAX, FOLDED_MAX - 1, true));
        fold.add(of(FOLDED_MAX + 2), JobId::from_number(3));
        assert!(fold.of(two).unwrap().is_cut && !fold.of(one).unwrap().is_cut);
    }

    #[test]
    fn beyond_the_limit_of_an_account_the_oldest_runs_are_forgotten() {
        let mut folds = Folds { deliveries: FOLDED_OF_ACCOUNT_MAX - 2, ..Folds::default() };
        let add = |folds: &mut Folds<u8>, key: u8, number: u64| {
            folds.add(&key, DeliveryId::from_number(number), JobId::from_number(u64::from(key)));
        };
        for (key, number) in [(1, 1), (2, 2), (2, 2)] {
            add(&mut folds, key, number);
        }
        assert!(folds.get(&1).is_some() && folds.get(&2).is_some(), "as many as may be");
        add(&mut folds, 2, 3);
        assert_eq!((folds.get(&1), folds.iter().count()), (None, 1));
        add(&mut folds, 3, 4);
        add(&mut folds, 4, 5);
        assert_eq!(folds.iter().map(|(key, _)| key).collect::<Vec<_>>(), [3, 4], "both places of the second are free");
    }

    #[test]
    fn an_event_in_the_same_millisecond_is_no_older_and_one_without_a_time_says_nothing() {
        let at = |secs| Some(Timestamp::from_secs(secs));
        assert!(is_no_older(at(2), at(2)) && is_no_older(at(3), at(2)) && !is_no_older(at(1), at(2)));
        assert!(!is_no_older(None, at(2)) && !is_no_older(at(2), None));
    }
}
