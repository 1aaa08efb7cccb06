//! Changes that were made and read back, and what of a host's day is used: what others reverse, and what Zoom limits.
//!
//! Known by fingerprints, since subjects and hosts are people, and what is wanted may be a secret.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::State;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::job::{Asker, HostDay, Job, Mark};
use crate::store::local::record::Change;
use crate::store::local::seal::Fingerprint;
use crate::store::port::{Allowance, CONTESTED_AFTER, CONTESTED_WITHIN, host_notice};

/// What fingerprints are of, beside those of deliveries.
const MADE_OF: u8 = 4;
const MARK: u8 = 5;
const HOST: u8 = 6;
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct HostUse {
    pub(in crate::store::local) used: u32,
    /// Zoom says that nothing is left.
    pub(in crate::store::local) is_spent: bool,
    pub(in crate::store::local) is_told: bool,
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

    /// Some where the host's day is used up; else it is counted.
    pub(super) fn use_host(&mut self, job: &Job, day: Option<&HostDay>, now: Timestamp) -> Option<Allowance> {
        let HostDay { host, max_per_day } = day?;
        let (print, day) = (self.host(job, host), now.utc_day());
        let mut state = self.hosts.get(&(day, print)).copied().unwrap_or_default();
        if !state.is_spent && state.used < *max_per_day {
            state.used = state.used.saturating_add(1);
            self.change(Change::Host { host: print, day, state });
            return None;
        }
        let (used, at) = ((!state.is_spent).then_some(state.used), now.next_utc_midnight());
        let notice = host_notice(host, used, at);
        if !state.is_told {
            self.enter_job(now, "host-limit", job, Kind::Attention, None, Detail::note(notice.clone()));
            state.is_told = true;
            self.change(Change::Host { host: print, day, state });
        }
        Some(Allowance::NextDay { at, notice })
    }

    pub(in crate::store::local) fn host_spent(&mut self, job: &Job, host: &UserId, now: Timestamp) {
        let (print, day) = (self.host(job, host), now.utc_day());
        let state = self.hosts.get(&(day, print)).copied().unwrap_or_default();
        if !state.is_spent {
            self.change(Change::Host { host: print, day, state: HostUse { is_spent: true, ..state } });
        }
        self.use_host(job, Some(&HostDay { host: host.clone(), max_per_day: 0 }), now);
    }

    fn host(&self, job: &Job, host: &UserId) -> Fingerprint {
        self.keys.prints().of(HOST, &[job.account.as_str().as_bytes(), host.as_str().as_bytes()])
    }
}
