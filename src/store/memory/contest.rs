//! What others reverse.

use super::world::{Made, World};
use crate::clock::Timestamp;
use crate::job::{Asker, Job, Mark};
use crate::store::port::{Allowance, CONTESTED_AFTER, CONTESTED_WITHIN};

impl World {
    /// Some where a change was made too often already.
    pub(super) fn contested(&self, job: &Job, marks: &[Mark], now: Timestamp) -> Option<Allowance> {
        let is_of = |made: &&Made| {
            made.account == job.account
                && made.rule == job.rule
                && made.subject == job.subject.key()
                && now.since(made.at) < CONTESTED_WITHIN
        };
        let times = |mark: &Mark| self.made.iter().filter(is_of).filter(|made| made.mark == *mark).count();
        let marks: Vec<Mark> = marks.iter().copied().filter(|mark| times(mark) >= CONTESTED_AFTER).collect();
        let mut askers: Vec<Asker> = Vec::new();
        for made in self.made.iter().filter(is_of).filter(|made| marks.contains(&made.mark)) {
            if !askers.contains(&made.by) {
                askers.push(made.by);
            }
        }
        (!marks.is_empty()).then_some(Allowance::Contested { marks, askers })
    }
}
