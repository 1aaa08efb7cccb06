//! Which bodies and request ids came before: keyed fingerprints, by generation of 65,536 deliveries.
//!
//! Generations follow from the numbers of deliveries, so they are the same however the store came to know them. The newest
//! are held here, as tables; older ones that still count are spilled to the index, and a Bloom filter here says when to
//! look there. What is decided is written into the delivery, so a replay never looks.

mod generation;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seal::Fingerprint;
use crate::clock::Timestamp;
use crate::store::wide;

pub(super) use generation::{Bloom, GENERATION, Generation, Looked, generation_of};

/// So many generations wait for the index at most.
const SPILLING_MAX: usize = 8;

/// What is known of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) body: Fingerprint,
    pub(super) request: Option<Fingerprint>,
    pub(super) received_at: Timestamp,
    /// No duplicate itself.
    pub(super) original: bool,
}

/// A delivery that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) delivery: u64,
    pub(super) seen: Seen,
}

/// A generation that is in the index.
#[derive(Debug, Clone)]
pub(super) struct Spilled {
    pub(super) number: u64,
    pub(super) first_record: u64,
    pub(super) newest_at: Timestamp,
    /// None until the index was opened.
    pub(super) bloom: Option<Arc<Bloom>>,
}

/// What only a file can answer: whether a spilled generation has the fingerprint. Files are not read under the lock of the
/// state, so it is answered outside, and then all is looked at again, with the [`Answers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) generation: u64,
    pub(super) what: Looked,
}

/// Stay true: a generation that was spilled does not change any more.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<(Question, Option<Before>)>);

impl Answers {
    pub(super) fn add(&mut self, question: Question, answer: Option<Before>) {
        self.0.push((question, answer));
    }

    fn to(&self, question: Question) -> Result<Option<Before>, Question> {
        let known = self.0.iter().find(|(known, _)| *known == question);
        known.map(|(_, answer)| *answer).ok_or(question)
    }
}

/// All that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Dedupe {
    /// Newest last; the last one still grows.
    generations: VecDeque<Arc<Generation>>,
    /// Given to the index, and kept until that has them.
    spilling: VecDeque<Arc<Generation>>,
    spilled: VecDeque<Spilled>,
}

impl Dedupe {
    pub(super) fn add(&mut self, delivery: u64, record: u64, seen: Seen) {
        let number = generation_of(delivery);
        if self.generations.back().is_none_or(|newest| newest.number != number) {
            self.generations.push_back(Arc::new(Generation::new(number, record)));
        }
        if let Some(newest) = self.generations.back_mut() {
            // Nobody else has the one that grows.
            Arc::make_mut(newest).add(delivery, seen);
        }
    }

    fn find(&self, what: Looked, print: &Fingerprint, answers: &Answers) -> Result<Option<Before>, Question> {
        let held = self.generations.iter().rev().chain(self.spilling.iter().rev());
        let mut found = held.filter_map(|generation| match what {
            Looked::Body => generation.body(print),
            Looked::Request => generation.request(print),
        });
        if let Some(newest) = found.next() {
            return Ok(Some(newest));
        }
        let may = |spilled: &&Spilled| spilled.bloom.as_ref().is_none_or(|bloom| bloom.may_have(print));
        for spilled in self.spilled.iter().rev().filter(may) {
            let answer = answers.to(Question { generation: spilled.number, what })?;
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    /// `duplicate_of` and `same_request_as` of a delivery that comes now; or what has to be answered before.
    pub(super) fn look(
        &self,
        body: &Fingerprint,
        request: Option<&Fingerprint>,
        now: Timestamp,
        window: Duration,
        answers: &Answers,
    ) -> Result<(Option<u64>, Option<u64>), Question> {
        let within = |before: &Before| now.since(before.seen.received_at) <= window;
        let duplicate = self.find(Looked::Body, body, answers)?.filter(within);
        let request = request.map_or(Ok(None), |request| self.find(Looked::Request, request, answers))?;
        let request = request.filter(|before| within(before) && before.seen.body != *body);
        Ok((duplicate.map(|before| before.delivery), request.map(|before| before.delivery)))
    }

    /// Where more than `deliveries_max` are held: takes the oldest whole generation out, to be spilled, or drops it where
    /// it counts no more. To be asked again until none comes.
    pub(super) fn overflow(
        &mut self,
        deliveries_max: u64,
        now: Timestamp,
        window: Duration,
    ) -> Option<Arc<Generation>> {
        while wide(self.generations.len()) > (deliveries_max / GENERATION).max(1) {
            let oldest = self.generations.pop_front()?;
            // Where the index takes nothing in, the oldest is forgotten: in doubt an event is planned.
            if now.since(oldest.newest_at) <= window && self.spilling.len() < SPILLING_MAX {
                self.spilling.push_back(Arc::clone(&oldest));
                return Some(oldest);
            }
        }
        None
    }

    /// The index has it.
    pub(super) fn spilled(&mut self, number: u64, bloom: Arc<Bloom>) {
        if let Some(at) = self.spilling.iter().position(|generation| generation.number == number)
            && let Some(generation) = self.spilling.remove(at)
        {
            let Generation { first_record, newest_at, .. } = *generation;
            self.spilled.push_back(Spilled { number, first_record, newest_at, bloom: Some(bloom) });
        } else if let Some(spilled) = self.spilled.iter_mut().find(|spilled| spilled.number == number) {
            spilled.bloom = Some(bloom);
        }
    }

    #[cfg(test)]
    pub(super) fn spilled_without_filter(&mut self, number: u64, newest_at: Timestamp) {
        self.spilled.push_back(Spilled { number, first_record: 1, newest_at, bloom: None });
    }

    /// What the index must have, or is about to have.
    pub(super) fn spilled_numbers(&self) -> Vec<u64> {
        let spilling = self.spilling.iter().map(|generation| generation.number);
        self.spilled.iter().map(|spilled| spilled.number).chain(spilling).collect()
    }

    /// Forgets spilled generations that count no more; returns the first that the index must keep, if any was forgotten.
    pub(super) fn expire(&mut self, now: Timestamp, window: Duration) -> Option<u64> {
        let mut expired = None;
        while let Some(oldest) = self.spilled.front().filter(|oldest| now.since(oldest.newest_at) > window) {
            expired = Some(oldest.number.saturating_add(1));
            self.spilled.pop_front();
        }
        expired
    }

    /// For a snapshot: the generations that are spilled, and where those that are held begin. What is in them comes from
    /// the journal again.
    pub(super) fn freeze(&self) -> Frozen {
        let spilled = self.spilled.iter().map(|spilled| (spilled.number, spilled.first_record, spilled.newest_at));
        let held = self.spilling.iter().chain(&self.generations);
        let held = held.map(|generation| (generation.number, generation.first_record));
        Frozen { spilled: spilled.collect(), held: held.collect() }
    }

    /// The generations that are held are empty yet: see [`refill`](Self::refill).
    pub(super) fn thaw(frozen: Frozen) -> Self {
        let spilled = |(number, first_record, newest_at)| Spilled { number, first_record, newest_at, bloom: None };
        let held = frozen.held.into_iter().map(|(number, record)| Arc::new(Generation::new(number, record)));
        Self {
            generations: held.collect(),
            spilling: VecDeque::new(),
            spilled: frozen.spilled.into_iter().map(spilled).collect(),
        }
    }

    /// The first record of what is held.
    pub(super) fn first_record(&self) -> Option<u64> {
        self.generations.front().map(|oldest| oldest.first_record)
    }

    /// Puts a delivery of before the snapshot back to where it was held.
    pub(super) fn refill(&mut self, delivery: u64, seen: Seen) {
        let number = generation_of(delivery);
        if let Some(held) = self.generations.iter_mut().find(|generation| generation.number == number) {
            Arc::make_mut(held).add(delivery, seen);
        }
    }
}

/// See [`Dedupe::freeze`]. Part of the format of snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Frozen {
    /// Number, first record, `received_at` of the newest.
    spilled: Vec<(u64, u64, Timestamp)>,
    /// Number, first record.
    held: Vec<(u64, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(n: u64) -> Fingerprint {
        let mut print = [0; 16];
        // Spread like keyed hashes.
        print[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        print[8..].copy_from_slice(&n.wrapping_mul(0xBF58_476D_1CE4_E5B9).to_le_bytes());
        print
    }

    fn seen(n: u64, original: bool) -> Seen {
        let received_at = Timestamp::from_secs(i64::try_from(n).unwrap());
        Seen { body: print(n), request: Some(print(n + 1_000_000)), received_at, original }
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_body_is_known_again_in_every_generation_and_after_a_spill() {
        let mut dedupe = Dedupe::default();
        let total = GENERATION * 3 + 7;
        for n in 1..=total {
            dedupe.add(n, n, Seen { received_at: Timestamp::EPOCH, ..seen(n, true) });
        }
        let none = &Answers::default();
        for n in [1, 2, GENERATION, GENERATION + 1, GENERATION * 3, total] {
            let (duplicate, request) =
                dedupe.look(&print(n), Some(&print(n + 1_000_000)), Timestamp::EPOCH, DAY, none).unwrap();
            assert_eq!((duplicate, request), (Some(n), None), "the same body under the same id");
            let (duplicate, request) =
                dedupe.look(&print(9_999_999), Some(&print(n + 1_000_000)), Timestamp::EPOCH, DAY, none).unwrap();
            assert_eq!((duplicate, request), (None, Some(n)));
        }
        let oldest = dedupe.overflow(GENERATION * 3, Timestamp::EPOCH, DAY).unwrap();
        assert_eq!(oldest.number, 0);
        assert!(dedupe.overflow(GENERATION * 3, Timestamp::EPOCH, DAY).is_none());
        let look = |dedupe: &Dedupe, answers: &Answers| dedupe.look(&print(5), None, Timestamp::EPOCH, DAY, answers);
        assert_eq!(look(&dedupe, none), Ok((Some(5), None)), "while it is being spilled");
        dedupe.spilled(0, Arc::new(Bloom::of(&oldest)));
        let question = Question { generation: 0, what: Looked::Body };
        assert_eq!(look(&dedupe, none), Err(question));
        let mut answers = Answers::default();
        answers.add(question, oldest.body(&print(5)));
        assert_eq!(look(&dedupe, &answers), Ok((Some(5), None)));
        let mut lost = Answers::default();
        lost.add(question, None);
        assert_eq!(look(&dedupe, &lost), Ok((None, None)), "in doubt it is none");
        assert_eq!(dedupe.expire(Timestamp::from_secs(86_400), DAY), None);
        assert_eq!(dedupe.expire(Timestamp::from_secs(86_401), DAY), Some(1));
    }

    #[test]
    fn a_duplicate_does_not_lengthen_the_window_and_the_newest_original_counts() {
        let mut generation = Generation::new(0, 1);
        let at = |secs| Seen { received_at: Timestamp::from_secs(secs), ..seen(1, true) };
        generation.add(1, at(0));
        generation.add(2, Seen { original: false, ..at(10) });
        assert_eq!(generation.body(&print(1)).unwrap().delivery, 1);
        assert_eq!(generation.request(&print(1_000_001)).unwrap().delivery, 2, "of request ids the newest counts");
        generation.add(3, at(100_000));
        assert_eq!(generation.body(&print(1)).unwrap().delivery, 3);
        let findable = generation.findable(Looked::Body);
        assert_eq!(findable.len(), 1);
        assert_eq!(findable[0].1.delivery, 3);
    }

    #[test]
    fn what_is_held_comes_back_from_the_records_and_a_filter_misses_nothing() {
        let mut dedupe = Dedupe::default();
        let first = GENERATION * 2 + 1;
        for n in first..first + 1000 {
            dedupe.add(n, n + 5, seen(n, n % 3 != 0));
        }
        let mut thawed = Dedupe::thaw(dedupe.freeze());
        assert_eq!(thawed.first_record(), Some(first + 5));
        for n in first..first + 1000 {
            thawed.refill(n, seen(n, n % 3 != 0));
        }
        let (before, after) = (&dedupe.generations[0], &thawed.generations[0]);
        let bloom = Bloom::from_bytes(&Bloom::of(before).to_bytes()).unwrap();
        for n in first..first + 1000 {
            assert_eq!(after.body(&print(n)), before.body(&print(n)));
            assert_eq!(after.body(&print(n)).is_some(), n % 3 != 0);
            assert_eq!(after.request(&print(n + 1_000_000)), before.request(&print(n + 1_000_000)));
            assert!(bloom.may_have(&print(n)));
        }
        let wrong = (0..10_000).filter(|n| bloom.may_have(&print(5_000_000 + n))).count();
        assert!(wrong < 300, "{wrong} of 10,000");
    }
}
