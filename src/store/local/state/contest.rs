//! Changes that were made and read back: what others reverse.
//!
//! Known by fingerprints, since subjects are people, and what is wanted may be a secret.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::State;
use crate::clock::Timestamp;
use crate::job::{Asker, Job, Mark};
use crate::store::local::record::Change;
use crate::store::local::seal::Fingerprint;
use crate::store::port::{Allowance, CONTESTED_AFTER, CONTESTED_WITHIN};

/// What fingerprints are of, beside those of deliveries.
const MADE_OF: u8 = 4;
const MARK: u8 = 5;
/// Beyond so many changes that are remembered the oldest go: they may be made once more.
const MADE_MAX: usize = 200_000;

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct Made {
    pub(in crate::store::local) at: Timestamp,
    pub(in crate::store::local) by: Asker,
    pub(in crate::store::local) marks: Vec<Fingerprint>,
}

/// All of the last 24 hours, by rule and subject.
#[derive(Debug, Default)]
pub(in crate::store::local) struct Contest {
    by: BTreeMap<Fingerprint, Vec<Made>>,
    /// In the order in which they came.
    order: VecDeque<(Timestamp, Fingerprint)>,
}

impl Contest {
    pub(super) fn add(&mut self, of: Fingerprint, made: Made) {
        let now = made.at;
        self.order.push_back((now, of));
        self.by.entry(of).or_default().push(made);
        while let Some((at, of)) = self.order.front().copied()
            && (now.since(at) >= CONTESTED_WITHIN || self.order.len() > MADE_MAX)
        {
            self.order.pop_front();
            if let Some(list) = self.by.get_mut(&of) {
                list.retain(|made| made.at > at);
                if list.is_empty() {
                    self.by.remove(&of);
                }
            }
        }
    }

    pub(super) fn forget(&mut self, of: &Fingerprint) {
        self.by.remove(of);
    }

    fn of(&self, of: &Fingerprint, now: Timestamp) -> impl Iterator<Item = &Made> {
        self.by.get(of).into_iter().flatten().filter(move |made| now.since(made.at) < CONTESTED_WITHIN)
    }

    pub(in crate::store::local) fn freeze(&self) -> BTreeMap<Fingerprint, Vec<Made>> {
        self.by.clone()
    }

    pub(in crate::store::local) fn thaw(by: BTreeMap<Fingerprint, Vec<Made>>) -> Self {
        let mut order: Vec<_> = by.iter().flat_map(|(of, list)| list.iter().map(|made| (made.at, *of))).collect();
        order.sort_unstable();
        Self { by, order: order.into() }
    }
}

impl State {
    fn made_of(&self, job: &Job) -> Fingerprint {
        let key = job.subject.key();
        self.keys.prints().of(MADE_OF, &[job.account.as_str().as_bytes(), job.rule.as_str().as_bytes(), key.as_bytes()])
    }

    fn marked(&self, of: &Fingerprint, mark: &Mark) -> Fingerprint {
        self.keys.prints().of(MARK, &[&[*of, *mark].concat()])
    }

    /// Some where a change was made too often already.
    pub(super) fn contested(&self, job: &Job, marks: &[Mark], now: Timestamp) -> Option<Allowance> {
        let of = self.made_of(job);
        let has_each = |made: &Made, prints: &[Fingerprint]| made.marks.iter().any(|mark| prints.contains(mark));
        let is_often = |mark: &&Mark| {
            let print = [self.marked(&of, mark)];
            self.contest.of(&of, now).filter(|made| has_each(made, &print)).count() >= CONTESTED_AFTER
        };
        let marks: Vec<Mark> = marks.iter().filter(is_often).copied().collect();
        if marks.is_empty() {
            return None;
        }
        let prints: Vec<Fingerprint> = marks.iter().map(|mark| self.marked(&of, mark)).collect();
        let mut askers: Vec<Asker> = Vec::new();
        for made in self.contest.of(&of, now).filter(|made| has_each(made, &prints)) {
            if !askers.contains(&made.by) {
                askers.push(made.by);
            }
        }
        Some(Allowance::Contested { marks, askers })
    }

    /// The job's changes were read back.
    pub(super) fn made(&mut self, job: &Job, marks: &[Mark], at: Timestamp) {
        if marks.is_empty() {
            return;
        }
        let of = self.made_of(job);
        let mut marks: Vec<Fingerprint> = marks.iter().map(|mark| self.marked(&of, mark)).collect();
        marks.sort_unstable();
        marks.dedup();
        self.change(Change::Made { of, at, by: job.asked_by, marks });
    }

    /// A person wants it made all the same.
    pub(super) fn made_anew(&mut self, job: &Job) {
        let of = self.made_of(job);
        self.change(Change::MadeAnew { of });
    }
}
