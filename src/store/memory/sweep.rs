//! Sweeps, and plans that are applied.

use super::log::Line;
use super::world::World;
use crate::audit::{Call, Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, JobId, RuleName};
use crate::job::{Asker, Input, Job, NewJob, Subject};
use crate::rules::Step;
use crate::store::port::{Applied, AppliedChange, StoreError};
use crate::store::sweep::{SweepRecord, SweepRun, SweepState, SweepStep, Swept, backfill_told};

/// What became of one finding.
enum Found {
    Made(JobId),
    Woken,
    /// A job for it is due, runs, or needs a person.
    UnderWay,
    Left,
}

impl World {
    pub(super) fn sweep_state(&self, account: &AccountId) -> SweepState {
        self.sweeps.get(account).cloned().unwrap_or_default()
    }

    fn sweep_calls(
        &mut self,
        (app, account): (&AppName, &AccountId),
        led_by: Option<u64>,
        calls: Vec<Call>,
        at: Timestamp,
    ) {
        for call in calls {
            self.count_call(account, &call, at);
            let status = call.status.map_or_else(|| "no-answer".to_owned(), |status| status.to_string());
            let detail = Detail { call: Some(call), ..Detail::default() };
            let line = Line::new(at, Kind::Call, status).with(detail).led_by(led_by);
            self.log.add(line.of_app(Some(app.clone()), Some(account.clone())));
        }
    }

    pub(super) fn record_sweep(&mut self, record: SweepRecord, at: Timestamp) -> Result<Swept, StoreError> {
        let SweepRecord { app, account, step, calls } = record;
        let mut state = self.sweep_state(&account);
        match (&step, &state.run) {
            (SweepStep::Begin { .. }, Some(_)) => {
                return Err(StoreError::Conflict(format!("a sweep of {account} runs already")));
            }
            (SweepStep::Begin { .. } | SweepStep::Called | SweepStep::Backfilled { .. }, _) | (_, Some(_)) => {}
            (_, None) => return Err(StoreError::Conflict(format!("no sweep of {account} runs"))),
        }
        let of = || (Some(app.clone()), Some(account.clone()));
        let led_by = if step.is_of_run() { self.log.leads.of_sweep(account.as_str()) } else { None };
        self.sweep_calls((&app, &account), led_by, calls, at);
        let mut made = Vec::new();
        let told = match step {
            SweepStep::Begin { kind, why, rule, is_dry } => {
                state.begin((kind, why), rule.clone(), is_dry, at);
                let began = state.run.as_ref().map(SweepRun::began).unwrap_or_default();
                let line = Line::new(at, Kind::Sweep, "started").saying(began);
                Some(rule.into_iter().fold(line, Line::of_rule))
            }
            SweepStep::Page { users, total, steps, next, seen_at } => {
                if let Some(run) = &mut state.run {
                    run.page(users, total, next);
                    for step in steps {
                        let Step::Ensure { rule, subject, on } = step else { continue };
                        run.found(&rule);
                        if run.is_dry {
                            continue;
                        }
                        match self.sweep_one(&app, &account, (rule, subject, on), seen_at, at) {
                            Found::Made(id) => {
                                made.push(id);
                                run.made += 1;
                            }
                            Found::Woken => run.woken += 1,
                            Found::Left => run.left += 1,
                            Found::UnderWay => {}
                        }
                    }
                }
                None
            }
            SweepStep::Again => {
                state.again();
                None
            }
            SweepStep::End { with } => {
                let told = state.told();
                state.end(with, at);
                Some(Line::new(at, Kind::Sweep, "ended").saying(told))
            }
            SweepStep::GiveUp { why } => {
                state.give_up(why.clone(), at);
                Some(Line::new(at, Kind::Sweep, "failed").saying(why))
            }
            SweepStep::Backfilled { until, stored, refused } => {
                state.backfilled = Some(until);
                backfill_told(stored, refused).map(|told| Line::new(at, Kind::Sweep, "backfilled").saying(told))
            }
            SweepStep::Called => None,
        };
        if let Some(line) = told {
            self.log.add(line.of_app(of().0, of().1));
        }
        self.sweeps.insert(account, state.clone());
        Ok(Swept { state, made })
    }

    pub(super) fn apply_plan(&mut self, applied: Applied, at: Timestamp) -> Vec<Option<JobId>> {
        let Applied { app, account, changes, by } = applied;
        let mut jobs = Vec::new();
        for AppliedChange { rule, subject, on, planned } in changes {
            let mut same = self.unfinished_about(&account, &subject).into_iter();
            let id = if let Some(job) = same.find(|job| job.app == app && job.rule == rule) {
                self.apply(job.id, Input::Apply { at, planned, on });
                Some(job.id)
            } else if self.room_of(&account) <= self.limits.backlog_max / 2 {
                None
            } else {
                self.jobs_made += 1;
                let id = JobId::from_number(self.jobs_made);
                let (app, account, by) = (app.clone(), account.clone(), Asker::Plan);
                let new = NewJob { app, account, rule, subject, by, event_at: None, on };
                self.jobs.insert(id, Job { planned: Some(planned), ..new.into_job(id, at) });
                Some(id)
            };
            if let Some(job) = id.and_then(|id| self.jobs.get(&id)) {
                self.log.add(Line::new(at, Kind::Decision, "applied").of_job(job).by(&by));
            }
            jobs.push(id);
        }
        jobs
    }

    fn sweep_one(
        &mut self,
        app: &AppName,
        account: &AccountId,
        (rule, subject, on): (RuleName, Subject, Option<[u8; 16]>),
        seen_at: Timestamp,
        at: Timestamp,
    ) -> Found {
        let (by, event_at) = (Asker::Sweep, Some(seen_at));
        let mut same = self.unfinished_about(account, &subject).into_iter();
        let (id, code) = if let Some(job) = same.find(|job| job.app == *app && job.rule == rule) {
            if !job.is_moved_by_sweep() {
                return Found::UnderWay;
            }
            self.apply(job.id, Input::Ask { at, by, event_at, on });
            (job.id, "woken")
        } else if self.room_of(account) <= self.limits.backlog_max / 2 {
            return Found::Left;
        } else {
            self.jobs_made += 1;
            let id = JobId::from_number(self.jobs_made);
            let new = NewJob { app: app.clone(), account: account.clone(), rule, subject, by, event_at, on };
            self.jobs.insert(id, new.into_job(id, at));
            (id, "swept")
        };
        if let Some(job) = self.jobs.get(&id) {
            self.log.add(Line::new(at, Kind::Decision, code).of_job(job));
        }
        if code == "swept" { Found::Made(id) } else { Found::Woken }
    }
}
