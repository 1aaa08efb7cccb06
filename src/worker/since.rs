//! A plan over what happened since a moment: the users and meetings that stored deliveries and jobs of then name, each read by
//! itself. Rules about events are asked too, for what their events named: what they would have done.
//!
//! Bounded, the newest first; a plan over less than was asked for says so.

use std::collections::BTreeMap;

use super::come_back::is_about;
use super::look::Look;
use super::planner::{Whose, whose};
use super::{Parts, Roster};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::event::wire;
use crate::ids::{DeliveryId, RuleName};
use crate::job::Subject;
use crate::rules::{self, Rule, Step};
use crate::store::{DeliveryFilter, JobFilter, StoreError, StoredDelivery};
use crate::work::{Picture, PlannedAccount, PlannedOthers, PlannedRule, PlannedSince, WOULD_SEND};
use crate::zoom::ZoomError;

/// Each is read from disk.
const DELIVERIES_MAX: u64 = 10_000;
/// Each costs a few calls.
const SUBJECTS_MAX: usize = 1_000;
/// Rows of the store at a time.
const ROWS: usize = 500;
/// Why nothing is to be changed for a run of a meeting, whose events are collected.
const WOULD_RECORD: &str = "a run of a meeting of which it sends a record";
/// Why nothing can be said of what its timer would do.
const WOULD_WAIT: &str = "an event of its timer, which looks when it is due, unless something ends it";
const WOULD_REPORT: &str = "an event after which it reports on a user's meetings";

/// What happened in one account.
pub(super) struct Happened {
    since: Timestamp,
    /// Each once, with the rules about events that its events ask, and the newest of those for each.
    pub(super) subjects: Vec<(Subject, Vec<(RuleName, DeliveryId)>)>,
    /// Events that a rule's condition has no answer for.
    unanswered: BTreeMap<RuleName, u64>,
    /// Events that begin a rule's timer, or find it.
    timers: BTreeMap<RuleName, u64>,
    deliveries: u64,
    pub(super) is_cut: bool,
}

pub(super) async fn happened(
    parts: &Parts,
    roster: &Roster,
    account: &Account,
    since: Timestamp,
) -> Result<Happened, StoreError> {
    let mut found = Happened {
        since,
        subjects: Vec::new(),
        unanswered: BTreeMap::new(),
        timers: BTreeMap::new(),
        deliveries: 0,
        is_cut: false,
    };
    let mut filter = DeliveryFilter { app: Some(account.app.clone()), limit: ROWS, ..DeliveryFilter::default() };
    'all: loop {
        let rows = parts.store.deliveries(filter.clone()).await?;
        for row in &rows {
            if row.received_at < since {
                break 'all;
            }
            if found.deliveries >= DELIVERIES_MAX || found.subjects.len() >= SUBJECTS_MAX {
                found.is_cut = true;
                break 'all;
            }
            if let Some((delivery, _)) = parts.store.delivery(row.id).await? {
                found.take(&delivery, roster, account, parts.clock.now());
            }
        }
        let Some(last) = rows.last() else { break };
        filter.before = Some(last.id);
    }
    found.take_jobs(parts, account).await?;
    Ok(found)
}

impl Happened {
    fn take(&mut self, delivery: &StoredDelivery, roster: &Roster, account: &Account, now: Timestamp) {
        let Some(verified) = &delivery.verified else { return };
        let Ok(event) = wire::parse(verified) else { return };
        if !matches!(whose(roster, &delivery.app, &event), Whose::Account(of) if of.id == account.id) {
            return;
        }
        self.deliveries = self.deliveries.saturating_add(1);
        let body = || wire::body(verified).map_err(|why| why.to_string());
        for subject in body().map(|whole| rules::subjects(&event, &whole)).unwrap_or_default() {
            self.add(&subject, None);
        }
        let asked = rules::on_event((delivery.id, &event), Some(&account.id), now, roster.rules(), body);
        for step in asked.steps {
            match step {
                Step::Ensure { rule, subject, .. } | Step::Collect { rule, subject, .. } => {
                    self.add(&subject, Some((rule, delivery.id)));
                }
                // What its timer finds when it is due, and whether something ends it, nobody can say before.
                Step::Later { rule, .. } => {
                    let count = self.timers.entry(rule).or_default();
                    *count = count.saturating_add(1);
                }
                _ => {}
            }
        }
        for (rule, _) in asked.unanswered {
            let count = self.unanswered.entry(rule).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Also what sweeps asked for, that no event told.
    async fn take_jobs(&mut self, parts: &Parts, account: &Account) -> Result<(), StoreError> {
        let mut filter = JobFilter { account: Some(account.id.clone()), limit: ROWS, ..JobFilter::default() };
        loop {
            let jobs = parts.store.jobs(filter.clone()).await?;
            let Some(last) = jobs.last() else { return Ok(()) };
            filter.before = Some(last.id);
            for job in jobs {
                if job.made_at < self.since {
                    return Ok(());
                }
                if self.subjects.len() >= SUBJECTS_MAX {
                    self.is_cut = true;
                    return Ok(());
                }
                self.add(&job.subject, None);
            }
        }
    }

    fn add(&mut self, subject: &Subject, rule: Option<(RuleName, DeliveryId)>) {
        let known = self.subjects.iter().position(|(known, _)| known.is_same(subject));
        let known = known.unwrap_or_else(|| {
            self.subjects.push((subject.clone(), Vec::new()));
            self.subjects.len().saturating_sub(1)
        });
        if let Some((known, asked)) = self.subjects.get_mut(known) {
            known.learn(subject);
            asked.extend(rule.filter(|(rule, _)| !asked.iter().any(|(known, _)| known == rule)));
        }
    }
}

/// Whether the rule's work asks an event.
fn looks_at_event(rule: &Rule) -> bool {
    rule.on.is_some() && rule.asked().is_some() || rule.looks_further()
}

impl Look<'_> {
    /// What the rules would change for what something happened to.
    pub(super) async fn since(&self, rules: &[&Rule], happened: Happened) -> Result<PlannedAccount, ZoomError> {
        let mut around = self.parts.facts.around(self.account, self.parts.clock.now());
        let mut planned: Vec<PlannedRule> = rules.iter().map(|rule| PlannedRule::new(rule)).collect();
        let (mut users, mut meetings) = (0_u64, 0_u64);
        for (subject, asked) in &happened.subjects {
            let asked_by = |rule: &Rule| asked.iter().find(|(name, _)| *name == rule.name).map(|(_, by)| *by);
            let count = match subject {
                Subject::User { .. } => &mut users,
                Subject::Meeting { .. } => &mut meetings,
                // What happened needs no reading, but where a rule looks at what it is about, or ends it.
                Subject::Errand { .. } => continue,
                Subject::Event { .. } | Subject::Instance { .. } => {
                    for (rule, planned) in rules.iter().zip(&mut planned) {
                        let Some(by) = asked_by(rule) else { continue };
                        if rule.looks_further() || rule.ends() {
                            let verdict = self.told(rule, (subject, by), &mut around).await?;
                            planned.add(rule, subject.to_string(), &verdict);
                            continue;
                        }
                        let folds = rule.on.as_ref().is_some_and(|on| on.fold.is_some());
                        let why = match rule.orphaned() {
                            Some(_) => WOULD_REPORT,
                            None if folds => WOULD_RECORD,
                            None => WOULD_SEND,
                        };
                        let others = planned.others.entry(why.to_owned()).or_default();
                        others.count = others.count.saturating_add(1);
                    }
                    continue;
                }
            };
            *count = count.saturating_add(1);
            // What looks at the event as well is not asked with the others: each has one of its own.
            for (rule, planned) in rules.iter().zip(&mut planned).filter(|(rule, _)| looks_at_event(rule)) {
                if let Some(by) = asked_by(rule) {
                    let verdict = self.told(rule, (subject, by), &mut around).await?;
                    planned.add(rule, subject.to_string(), &verdict);
                }
            }
            let is_asked = |rule: &Rule| match rule.on {
                Some(_) => asked_by(rule).is_some() && !looks_at_event(rule),
                None => is_about(rule, subject),
            };
            let asked = rules.iter().copied().zip(&mut planned).filter(|(rule, _)| is_asked(rule));
            self.ask(asked, subject, &mut around, Picture::of(subject)).await?;
        }
        for planned in &mut planned {
            if let Some((_, count)) = happened.timers.iter().find(|(rule, _)| rule.as_str() == planned.rule) {
                let others = planned.others.entry(WOULD_WAIT.to_owned()).or_default();
                others.count = others.count.saturating_add(*count);
            }
            let unanswered = happened.unanswered.iter().find(|(rule, _)| rule.as_str() == planned.rule);
            if let Some((_, count)) = unanswered {
                let others = PlannedOthers { count: *count, named: Vec::new() };
                planned.others.insert("its condition has no answer for the event".to_owned(), others);
            }
        }
        let Happened { since, deliveries, is_cut, .. } = happened;
        Ok(PlannedAccount {
            account: self.account.id.to_string(),
            since: Some(PlannedSince { at: since.to_string(), deliveries, is_cut }),
            users,
            meetings: Some(meetings),
            rules: planned,
            ..PlannedAccount::default()
        })
    }
}
