//! The audit log: entries in order, and the tree over them.

use std::ops::Range;

use serde::Serialize;

use crate::audit::leads::{About, Leads};
use crate::audit::tree::{Frontier, leaf_hash};
use crate::audit::{Detail, Entry, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::Job;
use crate::store::port::{ENTRIES_LOOKED_MAX, Spender, TreeHead};

/// An entry before it has its place. Its postcard bytes, after the index, are the leaf's data.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    at: Timestamp,
    kind: Kind,
    app: Option<AppName>,
    account: Option<AccountId>,
    delivery: Option<DeliveryId>,
    job: Option<JobId>,
    rule: Option<RuleName>,
    code: String,
    detail: Option<Detail>,
    /// Where it is known already.
    #[serde(skip)]
    led_by: Option<u64>,
}

impl Line {
    pub(super) fn new(at: Timestamp, kind: Kind, code: impl Into<String>) -> Self {
        let code = code.into();
        let (app, account, delivery, job, rule) = (None, None, None, None, None);
        Self { at, kind, app, account, delivery, job, rule, code, detail: None, led_by: None }
    }

    pub(super) fn of_app(mut self, app: Option<AppName>, account: Option<AccountId>) -> Self {
        (self.app, self.account) = (app, account);
        self
    }

    pub(super) const fn led_by(mut self, entry: Option<u64>) -> Self {
        self.led_by = entry;
        self
    }

    pub(super) fn of_delivery(mut self, delivery: DeliveryId) -> Self {
        self.delivery = Some(delivery);
        self
    }

    pub(super) fn of_rule(mut self, rule: RuleName) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Of the job, or of the person's app and account.
    pub(super) fn of_spender(self, who: Spender<'_>) -> Self {
        match who {
            Spender::Job(job) => self.of_job(job),
            Spender::Person { app, account } => self.of_app(app.cloned(), Some(account.clone())),
        }
    }

    /// App, account, rule, id and subject of the job.
    pub(super) fn of_job(mut self, job: &Job) -> Self {
        self.job = Some(job.id);
        self.rule = Some(job.rule.clone());
        self.detail = Some(self.detail.unwrap_or_default().about(job, self.kind));
        self.of_app(Some(job.app.clone()), Some(job.account.clone()))
    }

    pub(super) fn saying(mut self, note: impl Into<String>) -> Self {
        self.detail.get_or_insert_default().note = note.into();
        self
    }

    pub(super) fn by(self, actor: &str) -> Self {
        let detail = self.detail.clone().unwrap_or_default();
        let Detail { actor, note, .. } = Detail::by(actor);
        self.with(Detail { actor, note, ..detail })
    }

    pub(super) fn with(mut self, detail: Detail) -> Self {
        self.detail = Some(detail);
        self
    }
}

#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
    tree: Frontier,
    pub(super) leads: Leads,
}

impl Log {
    /// The index of the entry.
    pub(super) fn add(&mut self, mut line: Line) -> u64 {
        let intent = line.detail.as_mut().and_then(|detail| detail.call.as_mut()?.intent.take());
        let (account, code) = (line.account.clone(), line.code.clone());
        let Line { kind, delivery, job, led_by, .. } = line;
        let account = account.as_ref().map(AccountId::as_str);
        let about = About { kind, code: &code, account, delivery, job, led_by: led_by.or(intent) };
        let led_by = self.leads.to(&about);
        self.leads.enter(self.tree.size(), &about);
        // Encoding plain data into memory has nothing that could fail.
        let data = postcard::to_stdvec(&(self.tree.size(), &line)).unwrap_or_default();
        let leaf = leaf_hash(&data);
        let index = self.tree.push(leaf);
        let Line { at, kind, app, account, delivery, job, rule, code, detail, .. } = line;
        self.entries.push(Entry { index, at, kind, app, account, delivery, job, rule, code, detail, led_by, leaf });
        index
    }

    /// The index of the next entry.
    pub(super) fn next(&self) -> u64 {
        self.tree.size()
    }

    pub(super) fn entries(&self, from: u64, limit: usize) -> Vec<Entry> {
        self.entries.iter().filter(|entry| entry.index >= from).take(limit).cloned().collect()
    }

    pub(super) fn entries_of(&self, account: &AccountId, among: Range<u64>, limit: usize) -> (Vec<Entry>, u64) {
        let mut found = Vec::new();
        let mut next = among.start;
        for entry in self.entries.iter().filter(|entry| among.contains(&entry.index)).take(ENTRIES_LOOKED_MAX) {
            if found.len() >= limit {
                break;
            }
            found.extend(Some(entry).filter(|entry| entry.account.as_ref() == Some(account)).cloned());
            next = entry.index.saturating_add(1);
        }
        (found, next)
    }

    pub(super) fn head(&self) -> TreeHead {
        TreeHead { size: self.tree.size(), root: self.tree.root() }
    }
}
