//! What people do, and what is remembered of apps.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::State;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, RuleName};
use crate::job::{Input, Job, JobState, ParkCause};
use crate::store::local::record::{Change, LineRef};
use crate::store::port::{AppState, Move, Note, Selector, StoreError};
use crate::store::wide;

impl State {
    pub(in crate::store::local) fn move_jobs(
        &mut self,
        which: &Selector,
        to: Move,
        actor: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let selected: Vec<Arc<Job>> = match which {
            Selector::Job(id) => {
                let job = self.jobs.get(*id).ok_or_else(|| StoreError::NotFound(format!("job {id}")))?;
                vec![Arc::clone(job)]
            }
            Selector::PutOff { .. } => {
                let waiting = self.jobs.due_at(now.next_utc_hour()).filter(|job| which.means(job, to, now));
                waiting.take(self.limits.moved_max).cloned().collect()
            }
            Selector::ParkedFor { .. } | Selector::HeldBy { .. } => {
                let parked = self.jobs.parked.iter().filter_map(|id| self.jobs.get(*id));
                parked.filter(|job| which.means(job, to, now)).take(self.limits.moved_max).cloned().collect()
            }
        };
        if let (Selector::HeldBy { rule, .. }, Move::Allow, true) = (which, to, selected.is_empty()) {
            return Err(StoreError::NotFound(format!("job of rule {rule} that would take something away")));
        }
        let (code, input) = to.input(actor, now);
        for job in &selected {
            let tried = Job::clone(job).apply(input.clone());
            tried.map_err(|illegal| StoreError::Conflict(format!("{}: {illegal}", job.id)))?;
        }
        if let (Selector::HeldBy { rule, account }, Move::Retry) = (which, to) {
            self.resume(rule, account.as_ref(), &selected, (actor, now))?;
        }
        for job in &selected {
            let resumes = matches!(&job.state, JobState::Parked { cause, .. } if cause.is_for_resume());
            if resumes && to == Move::Retry && !matches!(which, Selector::HeldBy { .. }) {
                self.change(Change::Resumed { account: job.account.clone(), rule: job.rule.clone() });
            }
            if to == Move::Retry && matches!(&job.state, JobState::Parked { cause: ParkCause::Contested { .. }, .. }) {
                self.made_anew(job);
            }
            // Before it has ended: then it is not known any more what led to it.
            self.enter_job(now, code, job, Kind::Moved, None, Detail::by(actor));
            self.move_on(job, input.clone());
        }
        Ok(wide(selected.len()))
    }

    /// Lets a rule go on where it is stopped or holds these jobs back.
    fn resume(
        &mut self,
        rule: &RuleName,
        account: Option<&AccountId>,
        held: &[Arc<Job>],
        (actor, now): (&str, Timestamp),
    ) -> Result<(), StoreError> {
        let stopped = self.budgets.iter().filter(|((of, name), budget)| {
            budget.is_stopped && name == rule && account.is_none_or(|account| of == account)
        });
        let mut accounts: BTreeSet<AccountId> = stopped.map(|((of, _), _)| of.clone()).collect();
        accounts.extend(held.iter().map(|job| job.account.clone()));
        if accounts.is_empty() {
            return Err(StoreError::NotFound(format!("rule {rule} that is stopped")));
        }
        for account in accounts {
            let said = self.sealed_detail(None, &Detail::by(actor));
            self.enter(&LineRef {
                account: Some(account.as_str()),
                rule: Some(rule.as_str()),
                ..LineRef::new(now, Kind::Moved, "resumed", &said)
            });
            self.change(Change::Resumed { account, rule: rule.clone() });
        }
        Ok(())
    }

    pub(in crate::store::local) fn cancel_jobs(
        &mut self,
        account: &AccountId,
        acting: Option<&AppName>,
        why: &str,
        now: Timestamp,
    ) -> u64 {
        let is_meant = |job: &&Arc<Job>| {
            !job.state.is_finished() && job.account == *account && acting.is_none_or(|acting| !job.is_done_by(acting))
        };
        let meant: Vec<Arc<Job>> = self.jobs.iter().filter(is_meant).take(self.limits.moved_max).cloned().collect();
        for job in &meant {
            self.enter_job(now, "cancelled", job, Kind::Moved, None, Detail::note(why));
            self.move_on(job, Input::Cancel { at: now, why: why.to_owned() });
        }
        wide(meant.len())
    }

    pub(in crate::store::local) fn note(&mut self, note: &Note, at: Timestamp) -> u64 {
        let said = self.sealed_detail(note.account.as_ref(), &note.detail);
        let index = self.enter(&LineRef {
            app: note.app.as_ref().map(AppName::as_str),
            account: note.account.as_ref().map(AccountId::as_str),
            ..LineRef::new(at, note.kind, &note.code, &said)
        });
        self.raise(note, at);
        index
    }

    pub(in crate::store::local) fn validated(&mut self, app: &AppName, at: Timestamp) {
        let before = self.app_state(app);
        let state = AppState { validated_at: before.validated_at.max(Some(at)), ..before };
        if state != before {
            self.change(Change::App { app: app.clone(), state });
        }
    }

    pub(in crate::store::local) fn secrets_seen(
        &mut self,
        app: &AppName,
        secrets: [u8; 16],
        at: Timestamp,
    ) -> AppState {
        let before = self.app_state(app);
        let mut state = before;
        if before.secrets.is_some_and(|seen| seen != secrets) {
            state.secrets_changed_at = Some(at);
        }
        state.secrets = Some(secrets);
        if state != before {
            self.change(Change::App { app: app.clone(), state });
        }
        state
    }
}
