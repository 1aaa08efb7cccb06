//! What others reverse, and what of a host's day at Zoom is used.

use super::log::Line;
use super::world::{Made, World};
use crate::audit::Kind;
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::job::{Asker, HostDay, Job, Mark};
use crate::store::port::{Allowance, CONTESTED_AFTER, CONTESTED_WITHIN, host_notice};

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

    /// Some where the host's day is used up; else it is counted.
    pub(super) fn use_host(&mut self, job: &Job, day: Option<&HostDay>, now: Timestamp) -> Option<Allowance> {
        let HostDay { host, max_per_day } = day?;
        let day = self.hosts.entry((job.account.clone(), host.clone(), now.utc_day())).or_default();
        let used = u32::try_from(day.jobs.len()).unwrap_or(u32::MAX);
        if !day.is_spent && (used < *max_per_day || day.jobs.contains(&job.id)) {
            day.jobs.insert(job.id);
            return None;
        }
        let (used, at) = ((!day.is_spent).then_some(used), now.next_utc_midnight());
        let notice = host_notice(host, used, at);
        if !std::mem::replace(&mut day.is_told, true) {
            self.log.add(Line::new(now, Kind::Attention, "host-limit").of_job(job).saying(notice.clone()));
        }
        Some(Allowance::NextDay { at, notice })
    }

    pub(super) fn host_spent(&mut self, job: &Job, host: &UserId, now: Timestamp) {
        let day = self.hosts.entry((job.account.clone(), host.clone(), now.utc_day())).or_default();
        day.is_spent = true;
        self.use_host(job, Some(&HostDay { host: host.clone(), max_per_day: 0 }), now);
    }
}
