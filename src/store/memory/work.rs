//! From due jobs to outcomes, and what people do to jobs.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::log::Line;
use super::world::{Claim, Made, World};
use crate::audit::{Call, Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, JobId, RuleName};
use crate::job::{Backoff, Change, Effect, Input, Intent, Job, JobState, Lease, Outcome, ParkCause, Settled, Snooze};
use crate::store::port::{Allowance, Claimable, Leased, Move, Selector, Spender, StoreError};

impl World {
    pub(super) fn claim(&mut self, wanted: Claimable, now: Timestamp) -> Vec<Leased> {
        let is_over = |job: &&Job| matches!(&job.state, JobState::Running { lease } if now >= lease.until);
        let over: Vec<JobId> = self.jobs.values().filter(is_over).map(|job| job.id).collect();
        for id in over {
            self.end_lease(id);
        }
        self.claimed_at = Some(now);
        let mut taken = Vec::new();
        while taken.len() < wanted.jobs_max
            && let Some(id) = self.next_to_take(wanted.per_account_max, now)
            && let Some(leased) = self.take_job(id, now.plus(wanted.lease))
        {
            taken.push(leased);
        }
        taken
    }

    /// The job that may be taken first, of the account whose turn it is.
    fn next_to_take(&self, per_account_max: usize, now: Timestamp) -> Option<JobId> {
        let is_due = |job: &&Job| matches!(job.state, JobState::Due { at, .. } if at <= now);
        let accounts: BTreeSet<&AccountId> = self.jobs.values().filter(is_due).map(|job| &job.account).collect();
        let after = self.served.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let turns = accounts.range::<AccountId, _>((after, Bound::Unbounded)).chain(&accounts);
        let mut turns =
            turns.filter(|account| self.running_of(account) < per_account_max && !self.paused.contains(**account));
        turns.find_map(|account| {
            let own = self.jobs.values().filter(|job| job.account == **account);
            let mut due: Vec<&Job> = own.filter(is_due).collect();
            due.sort_unstable_by_key(|job| job.place());
            due.into_iter().find(|job| !self.is_held_up(job, now)).map(|job| job.id)
        })
    }

    fn is_held_up(&self, job: &Job, now: Timestamp) -> bool {
        let lane = self
            .jobs
            .values()
            .filter(|other| other.id != job.id && other.account == job.account && other.subject.is_same(&job.subject));
        lane.into_iter().any(|other| match other.state {
            JobState::Running { .. } => true,
            JobState::Due { at, .. } => at <= now && other.id < job.id,
            _ => false,
        })
    }

    fn running_of(&self, account: &AccountId) -> usize {
        let running = |job: &&Job| job.account == *account && matches!(job.state, JobState::Running { .. });
        self.jobs.values().filter(running).count()
    }

    fn take_job(&mut self, id: JobId, until: Timestamp) -> Option<Leased> {
        let job = self.jobs.get_mut(&id)?;
        let JobState::Due { at: was_due_at, .. } = job.state else { return None };
        self.tokens += 1;
        let lease = Lease { token: self.tokens, until };
        job.apply(Input::Claim(lease)).ok()?;
        self.claims.insert(lease.token, Claim { job: id, started: false, was_due_at, marks: Vec::new() });
        self.served = Some(job.account.clone());
        Some(Leased { job: job.clone(), lease, saw: Vec::new(), severity: None })
    }

    fn end_lease(&mut self, id: JobId) {
        let Some(JobState::Running { lease }) = self.jobs.get(&id).map(|job| job.state.clone()) else { return };
        if let Some(claim) = self.claims.remove(&lease.token) {
            self.apply(id, Input::LeaseEnded { at: claim.was_due_at });
        }
    }

    pub(super) fn end_all_leases(&mut self) {
        let all: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in all {
            self.end_lease(id);
        }
        self.claims.clear();
        (self.served, self.claimed_at) = (None, None);
        self.paused = Arc::default();
    }

    /// The lease, as it is kept, where this worker still holds it.
    fn held(&self, leased: &Leased) -> Result<Lease, StoreError> {
        match self.jobs.get(&leased.job.id).map(|job| &job.state) {
            Some(JobState::Running { lease }) if lease.token == leased.lease.token => Ok(*lease),
            _ => Err(StoreError::Conflict(format!("the lease on {} is not held any more", leased.job.id))),
        }
    }

    /// Whether an attempt was started under the lease, where it is held and not over.
    fn held_now(&self, leased: &Leased, now: Timestamp) -> Result<bool, StoreError> {
        if now >= self.held(leased)?.until {
            return Err(StoreError::Conflict(format!("the lease on {} is over", leased.job.id)));
        }
        Ok(self.claims.get(&leased.lease.token).is_some_and(|claim| claim.started))
    }

    pub(super) fn renew(&mut self, leased: &mut Leased, until: Timestamp) -> Result<(), StoreError> {
        let held = self.held(leased)?;
        let lease = Lease { until: until.max(held.until), ..held };
        if let Some(job) = self.jobs.get_mut(&leased.job.id) {
            job.state = JobState::Running { lease };
            (leased.job, leased.lease) = (job.clone(), lease);
        }
        Ok(())
    }

    pub(super) fn start(&mut self, leased: &mut Leased, now: Timestamp) -> Result<(), StoreError> {
        let token = leased.lease.token;
        if self.held_now(leased, now)? {
            return Err(StoreError::Conflict(format!("an attempt at {} was started already", leased.job.id)));
        }
        self.apply(leased.job.id, Input::Start { token });
        if let Some(claim) = self.claims.get_mut(&token) {
            claim.started = true;
        }
        if let Some(job) = self.jobs.get(&leased.job.id) {
            leased.job = job.clone();
            let note = format!("attempt {}", job.attempts);
            self.log.add(Line::new(now, Kind::Attempt, "started").saying(note).of_job(job));
        }
        Ok(())
    }

    pub(super) fn intend(&mut self, leased: &Leased, change: &Change, now: Timestamp) -> Result<Allowance, StoreError> {
        if !self.held_now(leased, now)? {
            return Err(StoreError::Conflict(format!("no attempt at {} was started", leased.job.id)));
        }
        let Some(mut job) = self.jobs.get(&leased.job.id).cloned() else { return Ok(Allowance::OverShare) };
        if change.is_planned {
            if let Some(next_day) = self.use_days(Spender::Job(&job), &change.days, now) {
                return Ok(next_day);
            }
            let line = Line::new(now, Kind::Intent, "granted").of_job(&job);
            let entry = self.log.add(line.saying(format!("{}, as planned", change.what)));
            return Ok(Allowance::Granted(Intent::recorded_by_store(entry)));
        }
        let contested = self.contested(&job, &change.marks, now);
        let (hour, key) = (now.utc_hour(), (job.account.clone(), job.rule.clone()));
        let counted_within = |hours| job.counted.is_some_and(|at| (0..hours).contains(&(hour - at)));
        let (in_hour, in_day) = (counted_within(1), counted_within(24));
        let exempt = job.is_of_sweep() && change.max_per_day.is_none();
        let is_ahead = |other: &&Job| {
            other.account == job.account && other.rule == job.rule && matches!(other.state, JobState::Due { .. })
        };
        let ahead = self.jobs.values().filter(is_ahead).count();
        let budget = self.budgets.entry(key).or_default();
        let day = budget.share.range(hour - 23..=hour).fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        if budget.is_stopped || (!in_day && change.max_per_day.is_some_and(|max| day >= max)) {
            budget.is_stopped = true;
            return Ok(Allowance::OverShare);
        }
        if let Some(contested) = contested {
            return Ok(contested);
        }
        if !in_hour && budget.hours.get(&hour).is_some_and(|count| *count >= change.max_per_hour) {
            let at = now.next_utc_hour();
            let notice = notice(&job.rule, change.max_per_hour, ahead, at);
            if budget.noticed.replace(hour) != Some(hour) {
                let line = Line::new(now, Kind::Attention, "rule-limit").of_rule(job.rule.clone());
                let line = line.of_app(Some(job.app.clone()), Some(job.account.clone()));
                self.log.add(line.saying(notice.clone()));
            }
            return Ok(Allowance::NextHour { at, notice });
        }
        if let Some(next_day) = self.use_days(Spender::Job(&job), &change.days, now) {
            return Ok(next_day);
        }
        if !in_hour {
            let budget = self.budgets.entry((job.account.clone(), job.rule.clone())).or_default();
            *budget.hours.entry(hour).or_default() += 1;
            *budget.share.entry(hour).or_default() += u32::from(!in_day && !exempt);
            job.counted = Some(hour);
        }
        if let Some(claim) = self.claims.get_mut(&leased.lease.token) {
            claim.marks.extend(&change.marks);
        }
        let entry = self.log.add(Line::new(now, Kind::Intent, "granted").of_job(&job).saying(change.what.clone()));
        self.jobs.insert(job.id, job);
        Ok(Allowance::Granted(Intent::recorded_by_store(entry)))
    }

    pub(super) fn is_stopped(&self, account: &AccountId, rule: &RuleName) -> bool {
        self.budgets.get(&(account.clone(), rule.clone())).is_some_and(|budget| budget.is_stopped)
    }

    pub(super) fn settle(
        &mut self,
        leased: &Leased,
        outcome: Outcome,
        calls: Vec<Call>,
        now: Timestamp,
        unit: f64,
    ) -> Result<Job, StoreError> {
        let (id, token) = (leased.job.id, leased.lease.token);
        let not_held = || StoreError::Conflict(format!("the lease on {id} is not held any more"));
        let claim = self.claims.get(&token).filter(|claim| claim.job == id).ok_or_else(not_held)?;
        if !claim.started {
            return Err(StoreError::Conflict(format!("no attempt at {id} was started: give it back")));
        }
        let job = self.jobs.get(&id).cloned().unwrap_or_else(|| no_longer_kept(leased, now));
        let (code, note) = told(&outcome);
        let settled = settled(outcome, &job, self.limits.backoff, now, unit);
        let code = if matches!(settled, Settled::Parks(_)) { "parked" } else { code };
        if code == "changed" && job.is_of_sweep() {
            self.sweeps.entry(job.account.clone()).or_default().changed();
        }
        let marks = self.claims.remove(&token).map(|claim| claim.marks).unwrap_or_default();
        if code == "changed" {
            let (account, rule, subject) = (&job.account, &job.rule, job.subject.key());
            self.made.extend(marks.into_iter().collect::<BTreeSet<_>>().into_iter().map(|mark| Made {
                account: account.clone(),
                rule: rule.clone(),
                subject: subject.clone(),
                mark,
                at: now,
                by: job.asked_by,
            }));
        }
        for call in calls {
            self.count_call(&job.account, &call, now);
            let status = call.status.map_or_else(|| "no-answer".to_owned(), |status| status.to_string());
            let detail = Detail { call: Some(call), ..Detail::default() };
            self.log.add(Line::new(now, Kind::Call, status).with(detail).of_job(&job));
        }
        let detail = Detail { note, saw: leased.saw.clone(), severity: leased.severity, ..Detail::default() };
        self.log.add(Line::new(now, Kind::Outcome, code).with(detail).of_job(&job));
        let mut after = job;
        // Refused where the job was cancelled meanwhile: it stays so.
        let _cancelled = after.apply(Input::Settle { token, at: now, to: settled.clone() });
        self.apply(id, Input::Settle { token, at: now, to: settled });
        Ok(after)
    }

    pub(super) fn count_call(&mut self, account: &AccountId, call: &Call, now: Timestamp) {
        let used = self.quotas.entry((account.clone(), now.utc_day())).or_default();
        match call.category.as_str() {
            "light" => used.light += 1,
            "medium" => used.medium += 1,
            "heavy" => used.heavy += 1,
            _ => {}
        }
    }

    pub(super) fn give_back(&mut self, leased: &Leased) -> Result<(), StoreError> {
        self.held(leased)?;
        self.end_lease(leased.job.id);
        Ok(())
    }

    pub(super) fn move_jobs(
        &mut self,
        which: &Selector,
        to: Move,
        actor: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let selected: Vec<Job> = match which {
            Selector::Job(id) => {
                let job = self.jobs.get(id).ok_or_else(|| StoreError::NotFound(format!("job {id}")))?;
                vec![job.clone()]
            }
            Selector::ParkedFor { .. } | Selector::HeldBy { .. } | Selector::PutOff { .. } => {
                let meant = self.jobs.values().filter(|job| which.means(job, to, now));
                meant.take(self.limits.moved_max).cloned().collect()
            }
        };
        if let (Selector::HeldBy { rule, account }, Move::Retry) = (which, to) {
            self.resume(rule, account.as_ref(), &selected, (actor, now))?;
        }
        if let (Selector::HeldBy { rule, .. }, Move::Allow, true) = (which, to, selected.is_empty()) {
            return Err(StoreError::NotFound(format!("job of rule {rule} that would take something away")));
        }
        let (code, input) = to.input(actor, now);
        for job in &selected {
            let tried = job.clone().apply(input.clone());
            tried.map_err(|illegal| StoreError::Conflict(format!("{}: {illegal}", job.id)))?;
        }
        for job in &selected {
            let resumes = matches!(&job.state, JobState::Parked { cause, .. } if cause.is_for_resume());
            if resumes && to == Move::Retry && !matches!(which, Selector::HeldBy { .. }) {
                let budget = self.budgets.entry((job.account.clone(), job.rule.clone())).or_default();
                budget.share.clear();
                budget.is_stopped = false;
            }
            let is_contested = matches!(&job.state, JobState::Parked { cause: ParkCause::Contested { .. }, .. });
            if is_contested && to == Move::Retry {
                let is_of = |made: &Made| {
                    made.account == job.account && made.rule == job.rule && made.subject == job.subject.key()
                };
                self.made.retain(|made| !is_of(made));
            }
            self.apply(job.id, input.clone());
            self.log.add(Line::new(now, Kind::Moved, code).of_job(job).by(actor));
        }
        Ok(crate::store::wide(selected.len()))
    }

    fn resume(
        &mut self,
        rule: &RuleName,
        account: Option<&AccountId>,
        held: &[Job],
        (actor, now): (&str, Timestamp),
    ) -> Result<(), StoreError> {
        let is_meant = |of: &AccountId| account.is_none_or(|account| of == account);
        let stopped = self.budgets.iter().filter(|(_, budget)| budget.is_stopped).map(|(key, _)| key);
        let stopped = stopped.filter(|(of, name)| name == rule && is_meant(of)).map(|(of, _)| of);
        let accounts: BTreeSet<AccountId> = stopped.chain(held.iter().map(|job| &job.account)).cloned().collect();
        if accounts.is_empty() {
            return Err(StoreError::NotFound(format!("rule {rule} that is stopped")));
        }
        for of in accounts {
            let line = Line::new(now, Kind::Moved, "resumed").of_app(None, Some(of.clone())).of_rule(rule.clone());
            self.log.add(line.by(actor));
            let budget = self.budgets.entry((of, rule.clone())).or_default();
            budget.share.clear();
            budget.is_stopped = false;
        }
        Ok(())
    }

    pub(super) fn cancel_jobs(
        &mut self,
        account: &AccountId,
        acting: Option<&AppName>,
        why: &str,
        now: Timestamp,
    ) -> u64 {
        let is_meant = |job: &&Job| job.account == *account && acting.is_none_or(|acting| !job.is_done_by(acting));
        let meant: Vec<Job> = self.unfinished().filter(is_meant).take(self.limits.moved_max).cloned().collect();
        let mut count = 0;
        for job in meant {
            if self.apply(job.id, Input::Cancel { at: now, why: why.to_owned() }) {
                count += 1;
                self.log.add(Line::new(now, Kind::Moved, "cancelled").of_job(&job).saying(why));
            }
        }
        count
    }
}

fn notice(rule: &RuleName, per_hour: u32, ahead: usize, at: Timestamp) -> String {
    let waiting = crate::store::wide(ahead).saturating_add(1);
    let hours = waiting.div_ceil(u64::from(per_hour.max(1)));
    format!(
        "rule {rule} made its {per_hour} changes of this hour; {waiting} wait until {at}, for about {hours} h in all"
    )
}

/// A job that was cancelled while it ran, so long ago that it is kept no more.
fn no_longer_kept(leased: &Leased, now: Timestamp) -> Job {
    let mut job = leased.job.clone();
    let _was_running = job.apply(Input::Cancel { at: now, why: "cancelled while it ran".to_owned() });
    job
}

/// The code of an outcome and a sentence about it.
fn told(outcome: &Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Done(Effect::Changed { what }) => ("changed", what.clone()),
        Outcome::Done(Effect::AlreadyRight) => ("already-right", String::new()),
        Outcome::Done(Effect::WouldChange { what }) => ("would-change", what.clone()),
        Outcome::Done(Effect::NotApplicable { why }) => ("not-applicable", why.clone()),
        Outcome::Done(Effect::Reported { what }) => ("reported", what.clone()),
        Outcome::Done(Effect::Sent { what }) => ("sent", what.clone()),
        Outcome::Done(Effect::WouldSend { what }) => ("would-send", what.clone()),
        Outcome::Done(Effect::Refused { code, why }) => ("refused", format!("{code}: {why}")),
        Outcome::Snooze(Snooze::Until { at, why } | Snooze::NextBudget { at, why }) => {
            ("snoozed", format!("until {at}: {why}"))
        }
        Outcome::Snooze(Snooze::ForEvent(reason)) => ("waits", reason.to_string()),
        Outcome::Retry { error } => ("retries", error.clone()),
        Outcome::Park(cause) => ("parked", cause.to_string()),
    }
}

fn settled(outcome: Outcome, job: &Job, backoff: Backoff, now: Timestamp, unit: f64) -> Settled {
    match outcome {
        Outcome::Done(effect) => Settled::Done(effect),
        Outcome::Snooze(Snooze::Until { at, why }) => Settled::Snoozed { until: at, why },
        Outcome::Snooze(Snooze::NextBudget { at, why }) => Settled::NextBudget { until: at, why },
        Outcome::Snooze(Snooze::ForEvent(reason)) => Settled::Waits(reason),
        Outcome::Retry { error } => match backoff.after(job.attempts, unit) {
            Some(delay) => Settled::Retries { at: now.plus(delay), error },
            None => Settled::Parks(ParkCause::AttemptsUsedUp { error }),
        },
        Outcome::Park(cause) => Settled::Parks(cause),
    }
}
