//! Which entry leads to which: what of the log has to be remembered to say so of the next one. Pure.
//!
//! A delivery leads to the decision about it, a decision to the jobs that it made or asked for again, that to an attempt, an
//! attempt to its intents and its reads, an intent to the calls that were made under it, and the last of these, or else the attempt,
//! to the outcome. Whoever moves a job or a delivery comes in between. A sweep leads to its calls and to the jobs that it made or woke.
//!
//! What is remembered follows from entries and from what was planned, whatever of one record comes first, so that a replay
//! knows the same; but for attempts, which no process outlasts.

use std::collections::{BTreeMap, HashMap};

use super::Kind;
use crate::ids::{AccountId, DeliveryId, JobId};

/// What an entry is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub kind: Kind,
    pub code: &'a str,
    pub account: Option<&'a str>,
    pub delivery: Option<DeliveryId>,
    pub job: Option<JobId>,
    /// Known already: of a call that changes something, its intent; of a sweep's call, the beginning of that.
    pub led_by: Option<u64>,
}

/// As it is kept: deliveries, jobs and sweeps, each with the number of an entry.
pub type FrozenLeads = (Vec<(DeliveryId, u64)>, Vec<(JobId, u64)>, Vec<(AccountId, u64)>);

#[derive(Debug, Clone, Default)]
pub struct Leads {
    /// Of deliveries that are not planned: the newest entry about each.
    deliveries: BTreeMap<DeliveryId, u64>,
    /// Of unfinished jobs: what asked for each last, or moved it.
    jobs: BTreeMap<JobId, u64>,
    /// Of sweeps that run: their beginning, by account.
    sweeps: BTreeMap<String, u64>,
    attempts: HashMap<JobId, Attempt>,
}

/// An attempt that runs.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    entry: u64,
    /// The last call that changed something.
    answer: Option<u64>,
}

impl Leads {
    /// The entry that leads to one about this.
    pub fn to(&self, about: &About<'_>) -> Option<u64> {
        let of_delivery = |id: DeliveryId| self.deliveries.get(&id).copied();
        let of_job = |id: JobId| self.jobs.get(&id).copied();
        let of_attempt = |id: JobId| self.attempts.get(&id).map(|attempt| attempt.entry);
        let of_sweep = || about.account.and_then(|account| self.of_sweep(account));
        if about.led_by.is_some() {
            return about.led_by;
        }
        match (about.kind, about.delivery, about.job) {
            (Kind::Decision | Kind::Moved, Some(delivery), _) => of_delivery(delivery),
            (Kind::Decision, None, Some(_)) if matches!(about.code, "swept" | "woken") => of_sweep(),
            (Kind::Decision | Kind::Moved | Kind::Attempt, None, Some(job)) => of_job(job),
            (Kind::Intent | Kind::Call | Kind::Attention, None, Some(job)) => of_attempt(job).or_else(|| of_job(job)),
            (Kind::Outcome, None, Some(job)) => {
                let answer = self.attempts.get(&job).and_then(|attempt| attempt.answer);
                answer.or_else(|| of_attempt(job)).or_else(|| of_job(job))
            }
            (Kind::Sweep, None, None) if matches!(about.code, "ended" | "failed") => of_sweep(),
            _ => None,
        }
    }

    /// The beginning of the sweep of an account that runs.
    pub fn of_sweep(&self, account: &str) -> Option<u64> {
        self.sweeps.get(account).copied()
    }

    /// An entry about this was made.
    pub fn enter(&mut self, index: u64, about: &About<'_>) {
        match (about.kind, about.delivery, about.job) {
            (Kind::Delivery | Kind::Decision, Some(delivery), _) | (Kind::Moved, Some(delivery), None) => {
                self.came(delivery, index);
            }
            (Kind::Decision | Kind::Moved, None, Some(job)) if about.code != "cancelled" => {
                self.jobs.insert(job, index);
            }
            (Kind::Attempt, None, Some(job)) => {
                self.attempts.insert(job, Attempt { entry: index, answer: None });
            }
            (Kind::Call, None, Some(job)) if about.led_by.is_some() => {
                if let Some(attempt) = self.attempts.get_mut(&job) {
                    attempt.answer = Some(index);
                }
            }
            (Kind::Outcome, None, Some(job)) => drop(self.attempts.remove(&job)),
            (Kind::Sweep, None, None) => {
                let Some(account) = about.account else { return };
                match about.code {
                    "started" => drop(self.sweeps.insert(account.to_owned(), index)),
                    "ended" | "failed" => drop(self.sweeps.remove(account)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The newest entry about a delivery that is to be planned.
    pub fn came(&mut self, delivery: DeliveryId, index: u64) {
        self.deliveries.insert(delivery, index);
    }

    /// A delivery was decided on, and asked for these jobs.
    pub fn planned(&mut self, delivery: DeliveryId, unfinished: impl IntoIterator<Item = JobId>) {
        let Some(decision) = self.deliveries.remove(&delivery) else { return };
        for job in unfinished {
            let newest = self.jobs.entry(job).or_insert(decision);
            *newest = decision.max(*newest);
        }
    }

    /// A job has ended: nobody asks for it or moves it any more.
    pub fn ended(&mut self, job: JobId) {
        self.jobs.remove(&job);
    }

    /// Nothing of the account runs any more.
    pub fn forget(&mut self, account: &AccountId) {
        self.sweeps.remove(account.as_str());
    }

    pub fn freeze(&self, is_unfinished: impl Fn(JobId) -> bool) -> FrozenLeads {
        let jobs = self.jobs.iter().filter(|(job, _)| is_unfinished(**job));
        let sweeps = self.sweeps.iter().filter_map(|(account, entry)| Some((AccountId::parse(account).ok()?, *entry)));
        let deliveries = self.deliveries.iter().map(|(delivery, entry)| (*delivery, *entry));
        (deliveries.collect(), jobs.map(|(job, entry)| (*job, *entry)).collect(), sweeps.collect())
    }

    pub fn thaw((deliveries, jobs, sweeps): FrozenLeads) -> Self {
        let sweeps = sweeps.into_iter().map(|(account, entry)| (account.as_str().to_owned(), entry));
        Self {
            deliveries: deliveries.into_iter().collect(),
            jobs: jobs.into_iter().collect(),
            sweeps: sweeps.collect(),
            attempts: HashMap::new(),
        }
    }
}
