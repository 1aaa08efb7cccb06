//! Work that is asked for by itself: neither an event nor a sweep told of it.

use super::State;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::JobId;
use crate::job::{Input, Job, NewJob};

impl State {
    pub(in crate::store::local) fn ask(&mut self, asked: Vec<NewJob>, why: &str, at: Timestamp) -> Vec<Option<JobId>> {
        let mut jobs = Vec::with_capacity(asked.len());
        for new in asked {
            let mut same = self.jobs.about(&new.account, &new.subject).into_iter();
            let before = same.find(|job| job.app == new.app && job.rule == new.rule).map(|job| Job::clone(&job));
            let job = match before {
                Some(mut job) => {
                    // Legal for every unfinished job.
                    let _asked = job.apply(Input::Ask { at, by: new.by, event_at: new.event_at, on: new.on });
                    job.subject.learn(&new.subject);
                    Some(job)
                }
                None if self.room_of(&new.account) == 0 => None,
                None => Some(new.into_job(self.jobs.next_id(), at)),
            };
            jobs.push(job.as_ref().map(|job| job.id));
            if let Some(job) = job {
                self.enter_job(at, "asked", &job, Kind::Decision, None, Detail::note(why));
                self.change_job(job);
                self.end_record_if_long();
            }
        }
        jobs
    }
}
