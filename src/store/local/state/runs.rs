//! Timers of runs of meetings: begun once for each rule and run, ended by what its rule names, in whatever order the events
//! come.

use std::sync::Arc;

use super::State;
use super::plan::{Done, Planning};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, MeetingId, MeetingUuid, RuleName};
use crate::job::{Asker, Input, Job, JobState, NewJob, Subject};
use crate::rules::Fold;
use crate::store::local::record::Change;
use crate::store::local::seal::Fingerprint;
use crate::store::port::Collected;
use crate::store::runs::{Happened, Memo, Told, is_no_older, is_open};

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
            // It has fired: what ends it now may be what it does.
            let runs = matches!(job.state, JobState::Running { .. });
            if is_its && !runs && (uuid == Some(of) || !job.is_asked_after(planning.event_at)) {
                self.end_timer(planning, &job, why, done);
            }
        }
        if let Some(uuid) = uuid {
            self.remember(planning, Memo::EndedRun, rule, uuid.as_str());
        }
        self.remember(planning, Memo::EndedMeeting, rule, &meeting.to_string());
    }

    pub(super) fn collect(
        &mut self,
        planning: &Planning,
        rule: RuleName,
        (subject, on): (Subject, Option<[u8; 16]>),
        is_last: bool,
        done: &mut Done,
    ) {
        let Subject::Instance { uuid, .. } = &subject else { return };
        let print = self.print_of(planning, Memo::Record, &rule, uuid.as_str());
        let (newest, at) = (self.newest_of(planning, &print), planning.at);
        let grace = planning.after(Fold::GRACE);
        let id =
            if let Some(job) = newest.as_ref().and_then(|id| self.jobs.get(*id)).filter(|job| is_open(job)).cloned() {
                if is_last {
                    // Only what is due is put off.
                    let _moved = self.move_on(&job, Input::Reschedule { at: grace, event_at: job.event_at });
                }
                job.id
            } else if planning.fresh {
                let due = match newest {
                    Some(_) => at.plus(Fold::GRACE),
                    None if is_last => grace,
                    None => planning.after(Fold::GIVES_UP),
                };
                let id = self.jobs.next_id();
                let (app, account) = (planning.app.clone(), planning.account.clone());
                let by = Asker::Delivery(planning.delivery);
                let new = NewJob { app, account, rule, subject, by, event_at: planning.event_at, on };
                self.change_job(new.into_timer(id, at, due));
                id
            } else {
                return;
            };
        let (account, delivery) = (planning.account.clone(), planning.delivery.number());
        self.change(Change::Folded { account, print, delivery, job: id.number() });
        done.touched.insert(id);
        done.made_or_merged = true;
    }

    /// The newest job that makes a record of it.
    fn newest_of(&self, planning: &Planning, print: &Fingerprint) -> Option<JobId> {
        self.folds.get(&planning.account)?.get(print)?.newest()
    }

    /// Whether collecting would make a job.
    pub(super) fn collects_anew(&self, planning: &Planning, rule: &RuleName, uuid: &MeetingUuid) -> bool {
        let print = self.print_of(planning, Memo::Record, rule, uuid.as_str());
        let newest = self.newest_of(planning, &print).and_then(|id| self.jobs.get(id));
        !newest.is_some_and(|job| is_open(job))
    }

    pub(in crate::store::local) fn collected(&self, job: JobId) -> Option<Collected> {
        let job = self.jobs.get(job)?;
        let Subject::Instance { uuid, .. } = &job.subject else { return None };
        let parts = [job.app.as_str(), job.account.as_str(), job.rule.as_str(), uuid.as_str()];
        let print = self.keys.prints().of(Memo::Record.number(), &parts.map(str::as_bytes));
        self.folds.get(&job.account)?.get(&print)?.of(job.id)
    }

    pub(super) fn keep_told(&mut self, planning: &Planning, meeting: MeetingId, is_first: bool) {
        let (account, delivery, event_at) = (planning.account.clone(), planning.delivery.number(), planning.event_at);
        let print = self.print_of_told(&planning.app, &account, meeting);
        self.change(Change::Told { account, print, delivery, event_at, is_first });
    }

    pub(in crate::store::local) fn told_of(
        &self,
        app: &AppName,
        account: &AccountId,
        meeting: MeetingId,
    ) -> Vec<DeliveryId> {
        let told = self.told.get(account).and_then(|of| of.get(&self.print_of_told(app, account, meeting)));
        told.map(Told::deliveries).unwrap_or_default()
    }

    fn print_of_told(&self, app: &AppName, account: &AccountId, meeting: MeetingId) -> Fingerprint {
        let meeting = meeting.to_string();
        let parts = [app.as_str(), account.as_str(), meeting.as_str()];
        self.keys.prints().of(Memo::Told.number(), &parts.map(str::as_bytes))
    }

    pub(super) fn release_rule(&mut self, planning: &Planning, rule: &RuleName, meeting: MeetingId, done: &mut Done) {
        let mut jobs = self.jobs.about(&planning.account, &Subject::Meeting { id: meeting });
        jobs.extend(self.jobs.about_runs(&planning.account, meeting, None));
        for job in jobs.into_iter().filter(|job| job.rule == *rule && job.app == planning.app) {
            self.wake(&job, planning.at, done);
        }
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
            || of_meeting.is_some_and(|Happened(ended)| is_no_older(ended, planning.event_at))
    }

    fn remembers(&self, planning: &Planning, memo: Memo, rule: &RuleName, of: &str) -> Option<Happened> {
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
