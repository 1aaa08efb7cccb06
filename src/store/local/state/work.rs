//! From due jobs to outcomes.

use std::sync::Arc;

use super::State;
use super::jobs::Claim;
use crate::audit::{Call, Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{JobId, RuleName};
use crate::job::{
    Backoff, Change as Wanted, Effect, Input, Intent, Job, JobState, Lease, Outcome, ParkCause, Settled, Snooze,
};
use crate::store::local::record::{Change, LineRef, Said};
use crate::store::port::{Allowance, Claimable, Leased, QuotaUse, Spender, StoreError};

impl State {
    pub(in crate::store::local) fn claim(&mut self, wanted: Claimable, now: Timestamp) -> Vec<Leased> {
        for id in self.jobs.over(now) {
            self.end_lease(id);
        }
        self.jobs.ripen(now);
        let mut taken = Vec::new();
        while taken.len() < wanted.jobs_max
            && let Some(id) = self.jobs.next_to_take(wanted.per_account_max, now)
            && let Some(leased) = self.take_job(id, now.plus(wanted.lease))
        {
            taken.push(leased);
        }
        taken
    }

    fn take_job(&mut self, id: JobId, until: Timestamp) -> Option<Leased> {
        let mut job = Job::clone(self.jobs.get(id)?);
        let JobState::Due { at: was_due_at, .. } = job.state else { return None };
        let lease = Lease { token: self.jobs.next_token(), until };
        job.apply(Input::Claim(lease)).ok()?;
        self.jobs.claims.insert(lease.token, Claim { job: id, started: false, was_due_at, marks: Vec::new() });
        self.jobs.served = Some(job.account.clone());
        self.keep(job.clone());
        Some(Leased { job, lease, saw: Vec::new(), severity: None })
    }

    /// In memory only: on disk the job never ran.
    fn end_lease(&mut self, id: JobId) {
        let Some(mut job) = self.jobs.get(id).map(|job| Job::clone(job)) else { return };
        let JobState::Running { lease } = job.state else { return };
        if let Some(claim) = self.jobs.claims.remove(&lease.token)
            && job.apply(Input::LeaseEnded { at: claim.was_due_at }).is_ok()
        {
            self.keep(job);
        }
    }

    /// The job and the lease, as they are kept, where this worker still holds it.
    fn held(&self, leased: &Leased) -> Result<(Arc<Job>, Lease), StoreError> {
        let job = self.jobs.get(leased.job.id);
        match job.map(|job| (job, &job.state)) {
            Some((job, JobState::Running { lease })) if lease.token == leased.lease.token => {
                Ok((Arc::clone(job), *lease))
            }
            _ => Err(StoreError::Conflict(format!("the lease on {} is not held any more", leased.job.id))),
        }
    }

    /// The job, and whether an attempt was started under the lease, where it is held and not over.
    fn held_now(&self, leased: &Leased, now: Timestamp) -> Result<(Arc<Job>, bool), StoreError> {
        let (job, lease) = self.held(leased)?;
        if now >= lease.until {
            return Err(StoreError::Conflict(format!("the lease on {} is over", leased.job.id)));
        }
        Ok((job, self.jobs.claims.get(&lease.token).is_some_and(|claim| claim.started)))
    }

    pub(in crate::store::local) fn renew(&mut self, leased: &mut Leased, until: Timestamp) -> Result<(), StoreError> {
        let (job, held) = self.held(leased)?;
        let lease = Lease { until: until.max(held.until), ..held };
        let job = Job { state: JobState::Running { lease }, ..Job::clone(&job) };
        self.keep(job.clone());
        (leased.job, leased.lease) = (job, lease);
        Ok(())
    }

    pub(in crate::store::local) fn give_back(&mut self, leased: &Leased) -> Result<(), StoreError> {
        self.held(leased)?;
        self.end_lease(leased.job.id);
        Ok(())
    }

    pub(in crate::store::local) fn start(&mut self, leased: &Leased, now: Timestamp) -> Result<Job, StoreError> {
        let (job, started) = self.held_now(leased, now)?;
        if started {
            return Err(StoreError::Conflict(format!("an attempt at {} was started already", job.id)));
        }
        let token = leased.lease.token;
        if let Some(claim) = self.jobs.claims.get_mut(&token) {
            claim.started = true;
        }
        let mut job = Job::clone(&job);
        // Legal: the lease is held.
        let _counted = job.apply(Input::Start { token });
        let note = format!("attempt {}", job.attempts);
        self.enter_job(now, "started", &job, Kind::Attempt, None, Detail::note(note));
        self.change_job(job.clone());
        Ok(job)
    }

    pub(in crate::store::local) fn intend(
        &mut self,
        leased: &Leased,
        change: &Wanted,
        now: Timestamp,
    ) -> Result<Allowance, StoreError> {
        let (job, started) = self.held_now(leased, now)?;
        if !started {
            return Err(StoreError::Conflict(format!("no attempt at {} was started", job.id)));
        }
        if change.is_planned {
            if let Some(next_day) = self.use_days(Spender::Job(&job), &change.days, now) {
                return Ok(next_day);
            }
            let detail = Detail::note(format!("{}, as planned", change.what));
            let entry = self.enter_job(now, "granted", &job, Kind::Intent, None, detail);
            return Ok(Allowance::Granted(Intent::recorded_by_store(entry)));
        }
        let (hour, key) = (now.utc_hour(), (job.account.clone(), job.rule.clone()));
        let counted_within = |hours: i64| job.counted.is_some_and(|at| (0..hours).contains(&hour.saturating_sub(at)));
        let (in_hour, in_day) = (counted_within(1), counted_within(24));
        let exempt = job.is_of_sweep() && change.max_per_day.is_none();
        let budget = self.budgets.get(&key).cloned().unwrap_or_default();
        let day = budget.share.range(hour.saturating_sub(23)..=hour);
        let day = day.fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        let (account, rule) = key;
        if budget.is_stopped {
            return Ok(Allowance::OverShare);
        }
        if !in_day && change.max_per_day.is_some_and(|max| day >= max) {
            self.change(Change::Stopped { account, rule });
            return Ok(Allowance::OverShare);
        }
        if let Some(contested) = self.contested(&job, &change.marks, now) {
            return Ok(contested);
        }
        if !in_hour && budget.hours.get(&hour).is_some_and(|count| *count >= change.max_per_hour) {
            let at = now.next_utc_hour();
            let notice = notice(&rule, change.max_per_hour, self.jobs.due_of(&account, &rule), at);
            if budget.noticed != Some(hour) {
                self.enter(&LineRef {
                    app: Some(job.app.as_str()),
                    account: Some(account.as_str()),
                    rule: Some(rule.as_str()),
                    ..LineRef::new(now, Kind::Attention, "rule-limit", &Said::Plain(notice.clone()))
                });
                self.change(Change::Noticed { account, rule, hour });
            }
            return Ok(Allowance::NextHour { at, notice });
        }
        if let Some(next_day) = self.use_days(Spender::Job(&job), &change.days, now) {
            return Ok(next_day);
        }
        if let Some(claim) = self.jobs.claims.get_mut(&leased.lease.token) {
            claim.marks.extend(&change.marks);
        }
        let entry = self.enter_job(now, "granted", &job, Kind::Intent, None, Detail::note(change.what.clone()));
        if !in_hour {
            self.change(Change::Intended { account, rule, hour, job: job.id.number(), share: !in_day && !exempt });
        }
        Ok(Allowance::Granted(Intent::recorded_by_store(entry)))
    }

    pub(in crate::store::local) fn settle(
        &mut self,
        leased: &Leased,
        outcome: Outcome,
        calls: Vec<Call>,
        now: Timestamp,
        unit: f64,
    ) -> Result<Job, StoreError> {
        let (id, token) = (leased.job.id, leased.lease.token);
        let not_held = || StoreError::Conflict(format!("the lease on {id} is not held any more"));
        let claim = self.jobs.claims.get(&token).filter(|claim| claim.job == id).ok_or_else(not_held)?;
        if !claim.started {
            return Err(StoreError::Conflict(format!("no attempt at {id} was started: give it back")));
        }
        let job = self.jobs.get(id).map_or_else(|| Arc::new(no_longer_kept(leased, now)), Arc::clone);
        let (code, note) = told(&outcome);
        let settled = settled(outcome, &job, self.limits.backoff, now, unit);
        let code = if matches!(settled, Settled::Parks(_)) { "parked" } else { code };
        let mut used = QuotaUse::default();
        let made_calls = !calls.is_empty();
        for call in calls {
            count_call(&mut used, &call);
            let status = call.status.map_or_else(|| "no-answer".to_owned(), |status| status.to_string());
            self.enter_job(now, &status, &job, Kind::Call, None, Detail { call: Some(call), ..Detail::default() });
            self.end_record_if_long();
        }
        if made_calls {
            self.change(Change::Called { account: job.account.clone(), day: now.utc_day(), calls: used });
        }
        let marks = self.jobs.claims.remove(&token).map(|claim| claim.marks).unwrap_or_default();
        if code == "changed" {
            self.made(&job, &marks, now);
        }
        if code == "changed" && job.is_of_sweep() {
            self.sweep_changed(&job.account);
        }
        self.enter_job(
            now,
            code,
            &job,
            Kind::Outcome,
            None,
            Detail { note, saw: leased.saw.clone(), severity: leased.severity, ..Detail::default() },
        );
        let mut after = Job::clone(&job);
        // Refused where the job was cancelled meanwhile: it stays so.
        if after.apply(Input::Settle { token, at: now, to: settled }).is_ok() {
            self.change_job(after.clone());
        }
        Ok(after)
    }
}

pub(super) fn count_call(used: &mut QuotaUse, call: &Call) {
    match call.category.as_str() {
        "light" => used.light += 1,
        "medium" => used.medium += 1,
        "heavy" => used.heavy += 1,
        _ => {}
    }
}

fn notice(rule: &RuleName, per_hour: u32, ahead: u64, at: Timestamp) -> String {
    let waiting = ahead.saturating_add(1);
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
