//! Work that is asked for by itself: neither an event nor a sweep told of it.

use super::log::Line;
use super::world::World;
use crate::audit::Kind;
use crate::clock::Timestamp;
use crate::ids::JobId;
use crate::job::{Input, NewJob};

impl World {
    pub(super) fn ask(&mut self, asked: Vec<NewJob>, why: &str, at: Timestamp) -> Vec<Option<JobId>> {
        let mut jobs = Vec::new();
        for new in asked {
            let mut same = self.unfinished_about(&new.account, &new.subject).into_iter();
            let id = if let Some(job) = same.find(|job| job.app == new.app && job.rule == new.rule) {
                self.apply(job.id, Input::Ask { at, by: new.by, event_at: new.event_at, on: new.on });
                if let Some(job) = self.jobs.get_mut(&job.id) {
                    job.subject.learn(&new.subject);
                }
                Some(job.id)
            } else if self.room_of(&new.account) == 0 {
                None
            } else {
                self.jobs_made += 1;
                let id = JobId::from_number(self.jobs_made);
                self.jobs.insert(id, new.into_job(id, at));
                Some(id)
            };
            if let Some(job) = id.and_then(|id| self.jobs.get(&id)) {
                self.log.add(Line::new(at, Kind::Decision, "asked").of_job(job).saying(why.to_owned()));
            }
            jobs.push(id);
        }
        jobs
    }
}
