//! What is asked without changing anything.

use std::collections::BTreeMap;

use super::world::{Fate, World};
use crate::clock::Timestamp;
use crate::event::wire;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::{Job, JobState};
use crate::store::port::{
    AppState, DeliveryFilter, DeliveryStatus, DeliverySummary, FullBacklog, JobFilter, ParkedGroup, PutOff, QuotaUse,
    Status, StoredDelivery,
};
use crate::store::wide;

/// Cause, account, and the rule where a person decides by that.
type GroupKey<'a> = (&'a str, &'a AccountId, Option<&'a RuleName>);

impl World {
    pub(super) fn app_state(&self, app: &AppName) -> AppState {
        self.apps.get(app).copied().unwrap_or_default()
    }

    pub(super) fn quota_use(&self, account: &AccountId, at: Timestamp) -> QuotaUse {
        self.quotas.get(&(account.clone(), at.utc_day())).copied().unwrap_or_default()
    }

    pub(super) fn job(&self, id: JobId) -> Option<Job> {
        self.jobs.get(&id).cloned()
    }

    pub(super) fn list_jobs(&self, filter: &JobFilter) -> Vec<Job> {
        let matches = |job: &&Job| {
            let parked_for = match &job.state {
                JobState::Parked { cause, .. } => Some(cause.code()),
                _ => None,
            };
            filter.state.as_ref().is_none_or(|state| job.state.name() == state)
                && filter.account.as_ref().is_none_or(|account| job.account == *account)
                && filter.rule.as_ref().is_none_or(|rule| job.rule == *rule)
                && filter.subject.as_ref().is_none_or(|subject| job.subject.is_part_of(subject))
                && filter.cause.as_ref().is_none_or(|cause| parked_for == Some(cause))
                && filter.before.is_none_or(|before| job.id < before)
        };
        self.jobs.values().rev().filter(matches).take(filter.limit).cloned().collect()
    }

    pub(super) fn put_off(&self, now: Timestamp) -> Vec<PutOff> {
        let (hour, until) = (now.utc_hour(), now.next_utc_hour());
        let mut rules = Vec::new();
        for ((account, rule), budget) in &self.budgets {
            let waits = |job: &&Job| {
                job.account == *account
                    && job.rule == *rule
                    && matches!(job.state, JobState::Due { at, .. } if at == until)
            };
            let waiting = wide(self.jobs.values().filter(waits).count());
            if budget.noticed == Some(hour) && waiting > 0 {
                let made = budget.hours.get(&hour).copied().unwrap_or(0);
                rules.push(PutOff { account: account.clone(), rule: rule.clone(), made, waiting, until });
            }
        }
        rules
    }

    pub(super) fn parked(&self) -> Vec<ParkedGroup> {
        let mut groups: BTreeMap<GroupKey<'_>, Vec<(Timestamp, JobId)>> = BTreeMap::new();
        for job in self.jobs.values() {
            if let JobState::Parked { at, cause } = &job.state {
                let rule = cause.is_by_rule().then_some(&job.rule);
                groups.entry((cause.code(), &job.account, rule)).or_default().push((*at, job.id));
            }
        }
        let one = |((cause, account, rule), jobs): (GroupKey<'_>, Vec<(Timestamp, JobId)>)| {
            let (since, example) = *jobs.iter().min()?;
            Some(ParkedGroup {
                cause: cause.to_owned(),
                account: account.clone(),
                rule: rule.cloned(),
                count: wide(jobs.len()),
                example,
                since,
            })
        };
        groups.into_iter().filter_map(one).collect()
    }

    pub(super) fn delivery(&self, id: DeliveryId) -> Option<(StoredDelivery, DeliveryStatus)> {
        self.deliveries.get(&id).map(|kept| (kept.stored(id), kept.status()))
    }

    pub(super) fn list_deliveries(&self, filter: &DeliveryFilter) -> Vec<DeliverySummary> {
        let matching = self.deliveries.iter().rev().filter(|(id, kept)| {
            filter.app.as_ref().is_none_or(|app| kept.app == *app)
                && filter.account.as_ref().is_none_or(|of| wire::account(&kept.verified).as_ref() == Some(of))
                && (!filter.parked || kept.is_parked())
                && filter.before.is_none_or(|before| **id < before)
        });
        let summary = |(id, kept): (&DeliveryId, &super::world::Kept)| DeliverySummary {
            id: *id,
            app: kept.app.clone(),
            received_at: kept.received_at,
            event: wire::event_name(&kept.verified),
            bytes: wide(kept.verified.body().len()),
            is_backfilled: kept.is_backfilled,
            status: kept.status(),
        };
        matching.take(filter.limit).map(summary).collect()
    }

    pub(super) fn status(&self) -> Status {
        let jobs = |state: &str| wide(self.jobs.values().filter(|job| job.state.name() == state).count());
        let mut waiting_for = BTreeMap::new();
        for job in self.jobs.values() {
            if let JobState::Waiting { reason, .. } = job.state {
                *waiting_for.entry(reason).or_default() += 1;
            }
        }
        Status {
            deliveries: wide(self.deliveries.len()),
            unplanned: wide(self.deliveries.values().filter(|kept| kept.fate == Fate::Unplanned).count()),
            unplanned_max: Some(self.limits.backlog_max),
            parked_deliveries: wide(self.deliveries.values().filter(|kept| kept.is_parked()).count()),
            held_deliveries: wide(self.deliveries.values().filter(|kept| matches!(kept.fate, Fate::Held(_))).count()),
            due: jobs("due"),
            running: jobs("running"),
            waiting: jobs("waiting"),
            waiting_for,
            parked: jobs("parked"),
            done: self.done,
            cancelled: self.cancelled,
            index_lag: 0,
            index_trouble: None,
            disk_free_bytes: None,
            disk_reserve_bytes: None,
            refusing: None,
            full_backlogs: self.full_backlogs(),
            given_up: self.given_up,
        }
    }

    fn full_backlogs(&self) -> Vec<FullBacklog> {
        let mut backlogs: BTreeMap<&AppName, (u64, Timestamp)> = BTreeMap::new();
        for kept in self.deliveries.values().filter(|kept| kept.fate == Fate::Unplanned) {
            backlogs.entry(&kept.app).or_insert((0, kept.received_at)).0 += 1;
        }
        let full = backlogs.into_iter().filter(|(_, (unplanned, _))| *unplanned >= self.limits.backlog_max);
        full.map(|(app, (unplanned, since))| FullBacklog { app: app.clone(), unplanned, since }).collect()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let moment = |job: &Job| match &job.state {
            JobState::Due { at, .. } => Some(*at),
            JobState::Running { lease } => Some(lease.until),
            _ => None,
        };
        let moments = self.jobs.values().filter_map(moment);
        moments.filter(|at| self.claimed_at.is_none_or(|claimed_at| *at > claimed_at)).min()
    }
}
