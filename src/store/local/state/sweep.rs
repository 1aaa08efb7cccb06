//! Sweeps, and plans that are applied.

use super::State;
use super::work::count_call;
use crate::audit::{Call, Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, JobId, RuleName};
use crate::job::{Asker, Input, Job, NewJob, Subject};
use crate::rules::Step;
use crate::store::local::record::{self, Blob, Change, LineRef, Said};
use crate::store::local::seal::Purpose;
use crate::store::port::{Applied, AppliedChange, QuotaUse, StoreError};
use crate::store::sweep::{SweepRecord, SweepRun, SweepState, SweepStep, Swept, backfill_told};

/// Whose sweep it is.
struct Whose<'a> {
    app: &'a AppName,
    account: &'a AccountId,
    at: Timestamp,
}

impl State {
    pub(in crate::store::local) fn sweep_state(&self, account: &AccountId) -> SweepState {
        self.sweeps.get(account).cloned().unwrap_or_default()
    }

    pub(super) fn sweep_changed(&mut self, account: &AccountId) {
        let mut state = self.sweep_state(account);
        state.changed();
        self.change_sweeps(account, &state);
    }

    /// Page tokens and Zoom's words, which may name people, are in it, so it is sealed.
    fn change_sweeps(&mut self, account: &AccountId, state: &SweepState) {
        self.scratch.clear();
        record::put(state, &mut self.scratch);
        let sealed = Blob(self.seal_for(Some(account), Purpose::Detail, &self.scratch));
        self.change(Change::Sweep { account: account.clone(), sealed });
    }

    pub(super) fn apply_sweeps(&mut self, account: AccountId, sealed: &[u8]) {
        let plain = self.keys.open_blob(Purpose::Detail, sealed);
        let state = plain.and_then(|plain| postcard::from_bytes(&plain).ok());
        self.sweeps.insert(account, state.unwrap_or_default());
    }

    pub(in crate::store::local) fn record_sweep(
        &mut self,
        record: SweepRecord,
        at: Timestamp,
    ) -> Result<Swept, StoreError> {
        let SweepRecord { app, account, step, calls } = record;
        self.keys.may_write(&account)?;
        let mut state = self.sweep_state(&account);
        match (&step, &state.run) {
            (SweepStep::Begin { .. }, Some(_)) => {
                return Err(StoreError::Conflict(format!("a sweep of {account} runs already")));
            }
            (SweepStep::Begin { .. } | SweepStep::Called | SweepStep::Backfilled { .. }, _) | (_, Some(_)) => {}
            (_, None) => return Err(StoreError::Conflict(format!("no sweep of {account} runs"))),
        }
        let whose = Whose { app: &app, account: &account, at };
        let led_by = if step.is_of_run() { self.leads.of_sweep(account.as_str()) } else { None };
        self.sweep_calls(&whose, led_by, calls);
        let mut made = Vec::new();
        match step {
            SweepStep::Begin { kind, why, rule, is_dry } => {
                state.begin((kind, why), rule.clone(), is_dry, at);
                let began = state.run.as_ref().map(SweepRun::began).unwrap_or_default();
                self.sweep_entry(&whose, "started", rule.as_ref(), began);
            }
            SweepStep::Page { users, total, steps, next, seen_at } => {
                if let Some(run) = &mut state.run {
                    run.page(users, total, next);
                    for step in steps {
                        if let Step::Ensure { rule, subject, on } = step {
                            made.extend(self.sweep_one(&whose, run, (rule, subject, on), seen_at));
                        }
                    }
                }
            }
            SweepStep::Again => state.again(),
            SweepStep::End { with } => {
                self.sweep_entry(&whose, "ended", None, state.told());
                state.end(with, at);
            }
            SweepStep::GiveUp { why } => {
                self.sweep_entry(&whose, "failed", None, why.clone());
                state.give_up(why, at);
            }
            SweepStep::Backfilled { until, stored, refused } => {
                if let Some(told) = backfill_told(stored, refused) {
                    self.sweep_entry(&whose, "backfilled", None, told);
                }
                state.backfilled = Some(until);
            }
            SweepStep::Called => {}
        }
        self.change_sweeps(&account, &state);
        Ok(Swept { state, made })
    }

    fn sweep_calls(&mut self, whose: &Whose<'_>, led_by: Option<u64>, calls: Vec<Call>) {
        let mut used = QuotaUse::default();
        for call in calls {
            count_call(&mut used, &call);
            let status = call.status.map_or_else(|| "no-answer".to_owned(), |status| status.to_string());
            let said = self.sealed_detail(Some(whose.account), &Detail { call: Some(call), ..Detail::default() });
            self.enter(&LineRef { led_by, ..whose.line(Kind::Call, &status, &said) });
            self.end_record_if_long();
        }
        if used != QuotaUse::default() {
            let (account, day) = (whose.account.clone(), whose.at.utc_day());
            self.change(Change::Called { account, day, calls: used });
        }
    }

    fn sweep_entry(&mut self, whose: &Whose<'_>, code: &str, rule: Option<&RuleName>, note: String) {
        let said = self.sealed_detail(Some(whose.account), &Detail::note(note));
        let rule = rule.map(RuleName::as_str);
        self.enter(&LineRef { rule, ..whose.line(Kind::Sweep, code, &said) });
    }

    /// One finding; the job, where one was made for it.
    fn sweep_one(
        &mut self,
        whose: &Whose<'_>,
        run: &mut SweepRun,
        (rule, subject, on): (RuleName, Subject, Option<[u8; 16]>),
        seen_at: Timestamp,
    ) -> Option<JobId> {
        let Whose { app, account, at } = *whose;
        run.found(&rule);
        if run.is_dry {
            return None;
        }
        let (by, event_at) = (Asker::Sweep, Some(seen_at));
        let mut same = self.jobs.about(account, &subject).into_iter();
        if let Some(job) = same.find(|job| job.app == *app && job.rule == rule) {
            if job.is_moved_by_sweep() && self.move_on(&job, Input::Ask { at, by, event_at, on }) {
                run.woken = run.woken.saturating_add(1);
                self.enter_job(at, "woken", &job, Kind::Decision, None, Detail::default());
            }
            return None;
        }
        if self.room_of(account) <= self.limits.backlog_max / 2 {
            run.left = run.left.saturating_add(1);
            return None;
        }
        let id = self.jobs.next_id();
        let new = NewJob { app: app.clone(), account: account.clone(), rule, subject, by, event_at, on };
        let job = new.into_job(id, at);
        self.enter_job(at, "swept", &job, Kind::Decision, None, Detail::default());
        self.change_job(job);
        run.made = run.made.saturating_add(1);
        Some(id)
    }
}

impl State {
    pub(in crate::store::local) fn apply_plan(&mut self, applied: Applied, at: Timestamp) -> Vec<Option<JobId>> {
        let Applied { app, account, changes, by } = applied;
        let mut jobs = Vec::with_capacity(changes.len());
        for AppliedChange { rule, subject, on, planned } in changes {
            let mut same = self.jobs.about(&account, &subject).into_iter();
            let before = same.find(|job| job.app == app && job.rule == rule).map(|job| Job::clone(&job));
            let job = match before {
                // Legal for every unfinished job.
                Some(mut job) => job.apply(Input::Apply { at, planned, on }).is_ok().then_some(job),
                None if self.room_of(&account) <= self.limits.backlog_max / 2 => None,
                None => {
                    let (app, account, by) = (app.clone(), account.clone(), Asker::Plan);
                    let new = NewJob { app, account, rule, subject, by, event_at: None, on };
                    Some(Job { planned: Some(planned), ..new.into_job(self.jobs.next_id(), at) })
                }
            };
            jobs.push(job.as_ref().map(|job| job.id));
            if let Some(job) = job {
                self.enter_job(at, "applied", &job, Kind::Decision, None, Detail::by(&by));
                self.change_job(job);
            }
        }
        jobs
    }
}

impl Whose<'_> {
    fn line<'l>(&'l self, kind: Kind, code: &'l str, said: &'l Said) -> LineRef<'l> {
        LineRef {
            app: Some(self.app.as_str()),
            account: Some(self.account.as_str()),
            ..LineRef::new(self.at, kind, code, said)
        }
    }
}
