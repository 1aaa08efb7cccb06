//! What is asked without changing anything.

use std::collections::BTreeMap;

use super::State;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, JobId, RuleName};
use crate::job::{Job, JobState};
use crate::store::port::{AppState, JobFilter, ParkedGroup, PutOff, QuotaUse, Status};
use crate::store::wide;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::local) enum Where {
    Unplanned {
        record: u64,
    },
    Aside {
        record: u64,
        cause: &'static str,
    },
    /// The index knows what was decided.
    Planned,
    Unknown,
}

/// Cause, account, and the rule where a person decides by that.
type GroupKey<'a> = (&'a str, &'a AccountId, Option<&'a RuleName>);

impl State {
    pub(in crate::store::local) fn whereabouts(&self, delivery: u64) -> Where {
        if let Some(queued) = self.unplanned.get(&delivery) {
            Where::Unplanned { record: queued.record }
        } else if let Some(aside) = self.aside.get(&delivery) {
            Where::Aside { record: aside.record, cause: aside.why.cause() }
        } else if (1..=self.deliveries).contains(&delivery) {
            Where::Planned
        } else {
            Where::Unknown
        }
    }

    pub(in crate::store::local) fn app_state(&self, app: &AppName) -> AppState {
        self.app(app).map(|app| app.state).unwrap_or_default()
    }

    pub(in crate::store::local) fn is_stopped(&self, account: &AccountId, rule: &RuleName) -> bool {
        self.budgets.get(&(account.clone(), rule.clone())).is_some_and(|budget| budget.is_stopped)
    }

    pub(in crate::store::local) fn quota_use(&self, account: &AccountId, at: Timestamp) -> QuotaUse {
        self.quotas.get(&(account.clone(), at.utc_day())).copied().unwrap_or_default()
    }

    pub(in crate::store::local) fn list_jobs(&self, filter: &JobFilter) -> Vec<Job> {
        let matches = |job: &&std::sync::Arc<Job>| {
            let parked_for = match &job.state {
                JobState::Parked { cause, .. } => Some(cause.code()),
                _ => None,
            };
            filter.state.as_ref().is_none_or(|state| job.state.name() == state)
                && filter.account.as_ref().is_none_or(|account| job.account == *account)
                && filter.rule.as_ref().is_none_or(|rule| job.rule == *rule)
                && filter.subject.as_ref().is_none_or(|subject| job.subject.is_part_of(subject))
                && filter.cause.as_ref().is_none_or(|cause| parked_for == Some(cause))
        };
        if let (Some(account), Some(subject)) = (&filter.account, &filter.subject) {
            // Unfinished jobs may be a million, and what is asked of a person or a meeting is looked for often.
            let mut found = self.jobs.kept_about(account, subject);
            found.retain(|job| filter.before.is_none_or(|before| job.id < before) && matches(&job));
            found.sort_by_key(|job| std::cmp::Reverse(job.id));
            return found.into_iter().take(filter.limit).map(|job| Job::clone(&job)).collect();
        }
        self.jobs.before(filter.before).filter(matches).take(filter.limit).map(|job| Job::clone(job)).collect()
    }

    pub(in crate::store::local) fn put_off(&self, now: Timestamp) -> Vec<PutOff> {
        let (hour, until) = (now.utc_hour(), now.next_utc_hour());
        let mut rules: BTreeMap<(&AccountId, &RuleName), PutOff> = BTreeMap::new();
        for ((account, rule), budget) in self.budgets.iter().filter(|(_, budget)| budget.noticed == Some(hour)) {
            let made = budget.hours.get(&hour).copied().unwrap_or(0);
            let put_off = PutOff { account: account.clone(), rule: rule.clone(), made, waiting: 0, until };
            rules.insert((account, rule), put_off);
        }
        if rules.is_empty() {
            return Vec::new();
        }
        for job in self.jobs.due_at(until) {
            if let Some(put_off) = rules.get_mut(&(&job.account, &job.rule)) {
                put_off.waiting += 1;
            }
        }
        rules.into_values().filter(|put_off| put_off.waiting > 0).collect()
    }

    pub(in crate::store::local) fn parked(&self) -> Vec<ParkedGroup> {
        let mut groups: BTreeMap<GroupKey<'_>, (u64, Timestamp, JobId)> = BTreeMap::new();
        for job in self.jobs.parked.iter().filter_map(|id| self.jobs.get(*id)) {
            if let JobState::Parked { at, cause } = &job.state {
                let rule = cause.is_by_rule().then_some(&job.rule);
                let group = groups.entry((cause.code(), &job.account, rule)).or_insert((0, *at, job.id));
                group.0 += 1;
                (group.1, group.2) = (group.1, group.2).min((*at, job.id));
            }
        }
        let one = |((cause, account, rule), (count, since, example)): (GroupKey<'_>, _)| ParkedGroup {
            cause: cause.to_owned(),
            account: account.clone(),
            rule: rule.cloned(),
            count,
            example,
            since,
        };
        groups.into_iter().map(one).collect()
    }

    pub(in crate::store::local) fn status(&self) -> Status {
        let counts = self.jobs.counts();
        Status {
            deliveries: self.deliveries,
            unplanned: wide(self.unplanned.len()),
            parked_deliveries: wide(self.aside.len()),
            held_deliveries: self.held.values().map(|held| wide(held.len())).sum(),
            due: counts.due,
            running: counts.running,
            waiting: counts.waiting.values().sum(),
            waiting_for: counts.waiting,
            parked: counts.parked,
            done: self.jobs.done,
            cancelled: self.jobs.cancelled,
            full_backlogs: self.full_backlogs(),
            given_up: self.given_up,
            ..Status::default()
        }
    }

    pub(in crate::store::local) fn next_due(&self) -> Option<Timestamp> {
        self.jobs.next_due()
    }
}
