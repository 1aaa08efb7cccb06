//! Timers of runs of meetings.

use super::plan::{Done, Planning};
use super::world::World;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, MeetingId, MeetingUuid, RuleName};
use crate::job::{Asker, Input, Job, JobState, NewJob, Subject};
use crate::rules::Fold;
use crate::store::port::Collected;
use crate::store::runs::{Happened, Memo, Told, is_no_older, is_open};

/// A memo, the app, the rule, and the run or meeting.
pub(super) type Key = (Memo, String, String, String);

impl World {
    pub(super) fn later(
        &mut self,
        planning: &Planning,
        rule: RuleName,
        (subject, on): (Subject, Option<[u8; 16]>),
        due: Timestamp,
        done: &mut Done,
    ) {
        let Subject::Instance { meeting, uuid } = subject.clone() else { return };
        let Planning { delivery, event_at, at, .. } = *planning;
        if let Some(job) = self.timer(planning, &rule, &subject) {
            if let JobState::Due { at: due_before, .. } = job.state
                && job.attempts == 0
                && job.is_asked_after(event_at)
            {
                self.apply(job.id, Input::Reschedule { at: due.min(due_before), event_at });
                done.touched.insert(job.id);
                done.made_or_merged = true;
                if self.has_ended(planning, &rule, meeting, &uuid) {
                    self.end_timer(planning, job, "what ends it had come before", done);
                }
            }
            return;
        }
        if !planning.fresh || self.remembers(planning, Memo::Begun, &rule, uuid.as_str()).is_some() {
            return;
        }
        let has_ended = self.has_ended(planning, &rule, meeting, &uuid);
        self.remember_run(planning, Memo::Begun, &rule, uuid.as_str());
        if !has_ended {
            let id = self.next_job();
            let (app, account) = (planning.app.clone(), planning.account.clone());
            let new = NewJob { app, account, rule, subject, by: Asker::Delivery(delivery), event_at, on };
            self.jobs.insert(id, new.into_timer(id, at, due));
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
        let of_account = self.unfinished().filter(|job| job.account == planning.account);
        let of_rule = of_account.filter(|job| job.rule == *rule && job.app == planning.app);
        let of_rule = of_rule.filter(|job| !matches!(job.state, JobState::Running { .. }));
        let ends = |job: &&Job| match &job.subject {
            Subject::Instance { uuid: of, .. } if uuid == Some(of) => true,
            Subject::Instance { meeting: of, .. } => *of == meeting && !job.is_asked_after(planning.event_at),
            _ => false,
        };
        let ended: Vec<Job> = of_rule.filter(ends).cloned().collect();
        for job in ended {
            self.end_timer(planning, job, why, done);
        }
        if let Some(uuid) = uuid {
            self.remember_run(planning, Memo::EndedRun, rule, uuid.as_str());
        }
        self.remember_run(planning, Memo::EndedMeeting, rule, &meeting.to_string());
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
        let (key, at) = (key_of(planning, Memo::Record, &rule, uuid.as_str()), planning.at);
        let newest = self.newest_of(planning, &key);
        let grace = planning.after(Fold::GRACE);
        let open = newest.and_then(|id| self.jobs.get(&id)).filter(|job| is_open(job));
        let id = match open.map(|job| (job.id, job.event_at)) {
            Some((id, event_at)) => {
                if is_last {
                    self.apply(id, Input::Reschedule { at: grace, event_at });
                }
                id
            }
            None if planning.fresh => {
                let due = match newest {
                    Some(_) => at.plus(Fold::GRACE),
                    None if is_last => grace,
                    None => planning.after(Fold::GIVES_UP),
                };
                let id = self.next_job();
                let (app, account) = (planning.app.clone(), planning.account.clone());
                let by = Asker::Delivery(planning.delivery);
                let new = NewJob { app, account, rule, subject, by, event_at: planning.event_at, on };
                self.jobs.insert(id, new.into_timer(id, at, due));
                id
            }
            None => return,
        };
        self.folds.entry(planning.account.clone()).or_default().add(&key, planning.delivery, id);
        done.touched.insert(id);
        done.made_or_merged = true;
    }

    fn newest_of(&self, planning: &Planning, key: &Key) -> Option<JobId> {
        self.folds.get(&planning.account)?.get(key)?.newest()
    }

    /// Whether collecting would make a job.
    pub(super) fn collects_anew(&self, planning: &Planning, rule: &RuleName, subject: &Subject) -> bool {
        let Subject::Instance { uuid, .. } = subject else { return false };
        let newest = self.newest_of(planning, &key_of(planning, Memo::Record, rule, uuid.as_str()));
        !newest.and_then(|id| self.jobs.get(&id)).is_some_and(is_open)
    }

    pub(super) fn collected(&self, job: JobId) -> Option<Collected> {
        let job = self.jobs.get(&job)?;
        let Subject::Instance { uuid, .. } = &job.subject else { return None };
        let key = (Memo::Record, job.app.to_string(), job.rule.to_string(), uuid.to_string());
        self.folds.get(&job.account)?.get(&key)?.of(job.id)
    }

    pub(super) fn told_of(&self, app: &AppName, account: &AccountId, meeting: MeetingId) -> Vec<DeliveryId> {
        let told = self.told.get(account).and_then(|of| of.get(&told_key(app, meeting)));
        told.map(Told::deliveries).unwrap_or_default()
    }

    pub(super) fn release_rule(&mut self, planning: &Planning, rule: &RuleName, meeting: MeetingId, done: &mut Done) {
        let is_of = |job: &&Job| match &job.subject {
            Subject::Meeting { id } => *id == meeting,
            Subject::Instance { meeting: of, .. } => *of == meeting,
            _ => false,
        };
        let of_rule = |job: &&Job| job.rule == *rule && job.app == planning.app && job.account == planning.account;
        let jobs: Vec<Job> = self.unfinished().filter(of_rule).filter(is_of).cloned().collect();
        for job in jobs {
            self.wake(&job, planning.at, done);
        }
    }

    /// Whether the timer would make a job.
    pub(super) fn begins(&self, planning: &Planning, rule: &RuleName, subject: &Subject) -> bool {
        let Subject::Instance { meeting, uuid } = subject else { return false };
        self.timer(planning, rule, subject).is_none()
            && self.remembers(planning, Memo::Begun, rule, uuid.as_str()).is_none()
            && !self.has_ended(planning, rule, *meeting, uuid)
    }

    fn end_timer(&mut self, planning: &Planning, job: Job, why: &str, done: &mut Done) {
        if self.apply(job.id, Input::Cancel { at: planning.at, why: why.to_owned() }) {
            done.touched.insert(job.id);
            done.cancelled.push(job);
        }
    }

    fn timer(&self, planning: &Planning, rule: &RuleName, subject: &Subject) -> Option<Job> {
        let mut about = self.unfinished_about(&planning.account, subject).into_iter();
        about.find(|job| job.app == planning.app && job.rule == *rule)
    }

    fn has_ended(&self, planning: &Planning, rule: &RuleName, meeting: MeetingId, uuid: &MeetingUuid) -> bool {
        let of_meeting = self.remembers(planning, Memo::EndedMeeting, rule, &meeting.to_string());
        self.remembers(planning, Memo::EndedRun, rule, uuid.as_str()).is_some()
            || of_meeting.is_some_and(|Happened(ended)| is_no_older(ended, planning.event_at))
    }

    fn remembers(&self, planning: &Planning, memo: Memo, rule: &RuleName, of: &str) -> Option<Happened> {
        self.remembered.get(&planning.account)?.get(&key_of(planning, memo, rule, of))
    }

    fn remember_run(&mut self, planning: &Planning, memo: Memo, rule: &RuleName, of: &str) {
        let known = self.remembered.entry(planning.account.clone()).or_default();
        let key = key_of(planning, memo, rule, of);
        if known.is_news(&key, planning.event_at) {
            known.put(key, planning.event_at);
        }
    }
}

pub(super) fn told_key(app: &AppName, meeting: MeetingId) -> Key {
    (Memo::Told, app.to_string(), String::new(), meeting.to_string())
}

fn key_of(planning: &Planning, memo: Memo, rule: &RuleName, of: &str) -> Key {
    (memo, planning.app.to_string(), rule.to_string(), of.to_owned())
}
