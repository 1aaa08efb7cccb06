//! What others reverse, and what of a host's day at Zoom is used.

use super::log::Line;
use super::world::{Made, World};
use crate::audit::Kind;
use crate::clock::Timestamp;
use crate::job::{Asker, DayOf, DayUse, Job, Mark};
use crate::store::port::{Allowance, CONTESTED_AFTER, CONTESTED_WITHIN, day_notice};

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

    /// Some where the day is used up; else it is counted.
    pub(super) fn use_day(&mut self, job: &Job, day: Option<&DayUse>, now: Timestamp) -> Option<Allowance> {
        let DayUse { of, max_per_day } = day?;
        let day = self.days.entry((job.account.clone(), of.clone(), now.utc_day())).or_default();
        let used = u32::try_from(day.jobs.len()).unwrap_or(u32::MAX);
        if !day.is_spent && (used < *max_per_day || day.jobs.contains(&job.id)) {
            day.jobs.insert(job.id);
            return None;
        }
        let (used, at) = ((!day.is_spent).then_some(used), now.next_utc_midnight());
        let notice = day_notice(of, used, at);
        if !std::mem::replace(&mut day.is_told, true) {
            self.log.add(Line::new(now, Kind::Attention, of.code()).of_job(job).saying(notice.clone()));
        }
        Some(Allowance::NextDay { at, notice })
    }

    pub(super) fn day_spent(&mut self, job: &Job, of: &DayOf, now: Timestamp) {
        let day = self.days.entry((job.account.clone(), of.clone(), now.utc_day())).or_default();
        day.is_spent = true;
        self.use_day(job, Some(&DayUse { of: of.clone(), max_per_day: 0 }), now);
    }
}
