//! Changes that were made and read back, and what of a host's day is used: what others reverse, and what Zoom limits.
//!
//! Known by fingerprints, since subjects and hosts are people, and what is wanted may be a secret.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::State;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::job::{Asker, DayOf, DayUse, Job, Mark};
use crate::store::local::record::Change;
use crate::store::local::seal::Fingerprint;
use crate::store::port::{Allowance, CONTESTED_AFTER, CONTESTED_WITHIN, day_notice};

/// What fingerprints are of, beside those of deliveries.
const MADE_OF: u8 = 4;
const MARK: u8 = 5;
const HOST: u8 = 6;
const INVITATIONS: u8 = 9;
/// Beyond so many changes that are remembered the oldest go: they may be made once more.
const MADE_MAX: usize = 200_000;

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct Made {
    pub(in crate::store::local) at: Timestamp,
    pub(in crate::store::local) by: Asker,
    pub(in crate::store::local) marks: Vec<Fingerprint>,
}

/// All of the last 24 hours, by rule and subject.
#[derive(Debug, Default)]
pub(in crate::store::local) struct Contest {
    by: BTreeMap<Fingerprint, Vec<Made>>,
    /// In the order in which they came.
    order: VecDeque<(Timestamp, Fingerprint)>,
}

impl Contest {
    pub(super) fn add(&mut self, of: Fingerprint, made: Made) {
        let now = made.at;
        self.order.push_back((now, of));
        self.by.entry(of).or_default().push(made);
        while let Some((at, of)) = self.order.front().copied()
            && (now.since(at) >= CONTESTED_WITHIN || self.order.len() > MADE_MAX)
        {
            self.order.pop_front();
            if let Some(list) = self.by.get_mut(&of) {
                list.retain(|made| made.at > at);
                if list.is_empty() {
                    self.by.remove(&of);
                }
            }
        }
    }

    pub(super) fn forget(&mut self, of: &Fingerprint) {
        self.by.remove(of);
    }

    fn of(&self, of: &Fingerprint, now: Timestamp) -> impl Iterator<Item = &Made> {
        self.by.get(of).into_iter().flatten().filter(move |made| now.since(made.at) < CONTESTED_WITHIN)
    }

    pub(in crate::store::local) fn freeze(&self) -> BTreeMap<Fingerprint, Vec<Made>> {
        self.by.clone()
    }

    pub(in crate::store::local) fn thaw(by: BTreeMap<Fingerprint, Vec<Made>>) -> Self {
        let mut order: Vec<_> = by.iter().flat_map(|(of, list)| list.iter().map(|made| (made.at, *of))).collect();
        order.sort_unstable();
        Self { by, order: order.into() }
    }
}

/// What of a host's day is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct HostUse {
    /// Each counts once, however often it is tried.
    jobs: BTreeSet<u64>,
    /// Zoom says that nothing is left.
    is_spent: bool,
    is_told: bool,
}

impl HostUse {
    pub(super) fn used_by(&mut self, job: u64) {
        self.jobs.insert(job);
    }

    pub(super) fn told(&mut self, is_spent: bool) {
        (self.is_told, self.is_spent) = (true, self.is_spent || is_spent);
    }
}

impl State {
    fn made_of(&self, job: &Job) -> Fingerprint {
        let key = job.subject.key();
        self.keys.prints().of(MADE_OF, &[job.account.as_str().as_bytes(), job.rule.as_str().as_bytes(), key.as_bytes()])
    }

    fn marked(&self, of: &Fingerprint, mark: &Mark) -> Fingerprint {
        self.keys.prints().of(MARK, &[&[*of, *mark].concat()])
    }

    /// Some where a change was made too often already.
    pub(super) fn contested(&self, job: &Job, marks: &[Mark], now: Timestamp) -> Option<Allowance> {
        let of = self.made_of(job);
        let has_each = |made: &Made, prints: &[Fingerprint]| made.marks.iter().any(|mark| prints.contains(mark));
        let is_often = |mark: &&Mark| {
            let print = [self.marked(&of, mark)];
            self.contest.of(&of, now).filter(|made| has_each(made, &print)).count() >= CONTESTED_AFTER
        };
        let marks: Vec<Mark> = marks.iter().filter(is_often).copied().collect();
        if marks.is_empty() {
            return None;
        }
        let prints: Vec<Fingerprint> = marks.iter().map(|mark| self.marked(&of, mark)).collect();
        let mut askers: Vec<Asker> = Vec::new();
        for made in self.contest.of(&of, now).filter(|made| has_each(made, &prints)) {
            if !askers.contains(&made.by) {
                askers.push(made.by);
            }
        }
        Some(Allowance::Contested { marks, askers })
    }

    /// The job's changes were read back.
    pub(super) fn made(&mut self, job: &Job, marks: &[Mark], at: Timestamp) {
        if marks.is_empty() {
            return;
        }
        let of = self.made_of(job);
        let mut marks: Vec<Fingerprint> = marks.iter().map(|mark| self.marked(&of, mark)).collect();
        marks.sort_unstable();
        marks.dedup();
        self.change(Change::Made { of, at, by: job.asked_by, marks });
    }

    /// A person wants it made all the same.
    pub(super) fn made_anew(&mut self, job: &Job) {
        let of = self.made_of(job);
        self.change(Change::MadeAnew { of });
    }

    /// Some where the day is used up; else it is counted.
    pub(super) fn use_day(&mut self, job: &Job, day: Option<&DayUse>, now: Timestamp) -> Option<Allowance> {
        let DayUse { of, max_per_day } = day?;
        let (print, day, id) = (self.day_of(job, of), now.utc_day(), job.id.number());
        let known = self.hosts.get(&(day, print));
        let (is_spent, is_told) = known.map_or((false, false), |known| (known.is_spent, known.is_told));
        let used = known.map_or(0, |known| u32::try_from(known.jobs.len()).unwrap_or(u32::MAX));
        let is_counted = known.is_some_and(|known| known.jobs.contains(&id));
        if !is_spent && (is_counted || used < *max_per_day) {
            if !is_counted {
                self.change(Change::HostUsed { host: print, day, job: id });
            }
            return None;
        }
        let at = now.next_utc_midnight();
        let notice = day_notice(of, (!is_spent).then_some(used), at);
        if !is_told {
            self.enter_job(now, of.code(), job, Kind::Attention, None, Detail::note(notice.clone()));
            self.change(Change::HostTold { host: print, day, is_spent });
        }
        Some(Allowance::NextDay { at, notice })
    }

    pub(in crate::store::local) fn day_spent(&mut self, job: &Job, of: &DayOf, now: Timestamp) {
        let (print, day) = (self.day_of(job, of), now.utc_day());
        let known = self.hosts.get(&(day, print));
        let is_told = known.is_some_and(|known| known.is_told);
        if known.is_some_and(|known| known.is_spent && is_told) {
            return;
        }
        if !is_told {
            let notice = day_notice(of, None, now.next_utc_midnight());
            self.enter_job(now, of.code(), job, Kind::Attention, None, Detail::note(notice));
        }
        self.change(Change::HostTold { host: print, day, is_spent: true });
    }

    /// What became of a host's day; of days before the last one nothing is kept.
    pub(super) fn keep_host(&mut self, host: Fingerprint, day: i64, keep: impl FnOnce(&mut HostUse)) {
        keep(self.hosts.entry((day, host)).or_default());
        self.hosts = self.hosts.split_off(&(day.saturating_sub(1), Fingerprint::default()));
    }

    fn day_of(&self, job: &Job, of: &DayOf) -> Fingerprint {
        let account = job.account.as_str().as_bytes();
        match of {
            DayOf::Host(host) => self.keys.prints().of(HOST, &[account, host.as_str().as_bytes()]),
            DayOf::Invitations => self.keys.prints().of(INVITATIONS, &[account]),
        }
    }
}
