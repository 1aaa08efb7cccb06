//! Timers of runs of meetings: begun once for each rule and run, ended by what its rule names, in whatever order the events
//! come.

use std::sync::Arc;

use super::State;
use super::plan::{Done, Planning};
use crate::clock::Timestamp;
use crate::ids::{MeetingId, MeetingUuid, RuleName};
use crate::job::{Asker, Input, Job, JobState, NewJob, Subject};
use crate::store::local::record::Change;
use crate::store::local::seal::Fingerprint;
use crate::store::runs::{Memo, is_no_older};

/// A rule and a run of a meeting.
pub(super) struct OfRun<'a> {
    pub(super) rule: &'a RuleName,
    pub(super) meeting: MeetingId,
    pub(super) uuid: &'a MeetingUuid,
}

impl State {
    /// The timer begins, or is there, or was. The oldest event counts: another one of the same run may have overtaken it.
    pub(super) fn later(
        &mut self,
        planning: &Planning,
        rule: RuleName,
        (subject, on): (Subject, Option<[u8; 16]>),
        due: Timestamp,
        done: &mut Done,
    ) {
        let Subject::Instance { meeting, uuid } = &subject else { return };
        let run = OfRun { rule: &rule, meeting: *meeting, uuid };
        let Planning { delivery, event_at, at, .. } = *planning;
        if let Some(job) = self.timer(planning, &run) {
            if let JobState::Due { at: due_before, .. } = job.state
                && job.attempts == 0
                && job.is_asked_after(event_at)
                && self.move_on(&job, Input::Reschedule { at: due.min(due_before), event_at })
            {
                done.touched.insert(job.id);
                done.made_or_merged = true;
                if let Some(job) = self.jobs.get(job.id).cloned().filter(|_| self.has_ended(planning, &run)) {
                    self.end_timer(planning, &job, "what ends it had come before", done);
                }
            }
            return;
        }
        if !planning.fresh || self.remembers(planning, Memo::Begun, &rule, uuid.as_str()).is_some() {
            return;
        }
        let has_ended = self.has_ended(planning, &run);
        self.remember(planning, Memo::Begun, &rule, uuid.as_str());
        if !has_ended {
            let id = self.jobs.next_id();
            let (app, account) = (planning.app.clone(), planning.account.clone());
            let by = Asker::Delivery(delivery);
            let new = NewJob { app, account, rule, subject, by, event_at, on };
            self.change_job(new.into_timer(id, at, due));
            done.touched.insert(id);
            done.made_or_merged = true;
        }
    }

    pub(super) fn unless(
        &mut self,
        planning: &Planning,
        rule: &RuleName,
        (meeting, uuid): (MeetingId, Option<&MeetingUuid>),
        why: &str,
        done: &mut Done,
    ) {
        for job in self.jobs.about_runs(&planning.account, meeting, uuid) {
            let Subject::Instance { uuid: of, .. } = &job.subject else { continue };
            let is_its = job.rule == *rule && job.app == planning.app;
            if is_its && (uuid == Some(of) || !job.is_asked_after(planning.event_at)) {
                self.end_timer(planning, &job, why, done);
            }
        }
        if let Some(uuid) = uuid {
            self.remember(planning, Memo::EndedRun, rule, uuid.as_str());
        }
        self.remember(planning, Memo::EndedMeeting, rule, &meeting.to_string());
    }

    /// Whether the timer would make a job.
    pub(super) fn begins(&self, planning: &Planning, run: &OfRun<'_>) -> bool {
        self.timer(planning, run).is_none()
            && self.remembers(planning, Memo::Begun, run.rule, run.uuid.as_str()).is_none()
            && !self.has_ended(planning, run)
    }

    fn end_timer(&mut self, planning: &Planning, job: &Arc<Job>, why: &str, done: &mut Done) {
        if self.move_on(job, Input::Cancel { at: planning.at, why: why.to_owned() }) {
            done.touched.insert(job.id);
            done.cancelled.push(Arc::clone(job));
        }
    }

    fn timer(&self, planning: &Planning, run: &OfRun<'_>) -> Option<Arc<Job>> {
        let of = Subject::Instance { meeting: run.meeting, uuid: run.uuid.clone() };
        let mut jobs = self.jobs.about(&planning.account, &of).into_iter();
        jobs.find(|job| job.app == planning.app && job.rule == *run.rule)
    }

    /// Whether what ends the timer came already.
    fn has_ended(&self, planning: &Planning, run: &OfRun<'_>) -> bool {
        let of_meeting = self.remembers(planning, Memo::EndedMeeting, run.rule, &run.meeting.to_string());
        self.remembers(planning, Memo::EndedRun, run.rule, run.uuid.as_str()).is_some()
            || is_no_older(of_meeting.flatten(), planning.event_at)
    }

    fn remembers(&self, planning: &Planning, memo: Memo, rule: &RuleName, of: &str) -> Option<Option<Timestamp>> {
        self.remembered.get(&planning.account)?.get(&self.print_of(planning, memo, rule, of))
    }

    fn remember(&mut self, planning: &Planning, memo: Memo, rule: &RuleName, of: &str) {
        let (account, event_at) = (planning.account.clone(), planning.event_at);
        let print = self.print_of(planning, memo, rule, of);
        if self.remembered.get(&account).is_none_or(|known| known.is_news(&print, event_at)) {
            self.change(Change::Remembered { account, print, event_at });
        }
    }

    fn print_of(&self, planning: &Planning, memo: Memo, rule: &RuleName, of: &str) -> Fingerprint {
        let parts = [planning.app.as_str(), planning.account.as_str(), rule.as_str(), of];
        self.keys.prints().of(memo.number(), &parts.map(str::as_bytes))
    }
}
