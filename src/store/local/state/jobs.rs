//! Jobs, and the ways to find one: by due time, by turn, by lane, by rule.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Bound;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::ids::{AccountId, JobId, MeetingId, MeetingUuid, RuleName};
use crate::job::{Input, Job, JobState, Mark, Subject, WaitReason};
use crate::store::wide;

/// A claim of a running job, or of one that was cancelled while it ran. In memory only: a start ends all.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) job: JobId,
    pub(super) started: bool,
    /// When the job was due before it was claimed.
    pub(super) was_due_at: Timestamp,
    /// Of the changes that were granted under it.
    pub(super) marks: Vec<Mark>,
}

/// The order in which ready jobs are taken ([`Job::place`]).
type Place = (bool, Option<Timestamp>, JobId);

const fn is_due(job: &Job, now: Timestamp) -> bool {
    matches!(job.state, JobState::Due { at, .. } if at.as_millis() <= now.as_millis())
}

/// What runs and what is ready in one account.
#[derive(Debug, Default)]
struct Turns {
    /// Due jobs whose time has come, by some claim, but for those that were found held up.
    ready: BTreeSet<Place>,
    running: usize,
}

/// All jobs that are kept.
#[derive(Debug, Default)]
pub(in crate::store::local) struct Jobs {
    all: BTreeMap<JobId, Arc<Job>>,
    pub(super) made: u64,
    /// Finished jobs in the order in which they finished.
    finished: VecDeque<JobId>,
    /// The same by a hash of what their subject is known by.
    ended: BTreeSet<(u64, JobId)>,
    pub(super) done: u64,
    pub(super) cancelled: u64,
    /// Of due jobs.
    due: BTreeSet<(Timestamp, JobId)>,
    /// Of running jobs: when their lease is over.
    leases: BTreeSet<(Timestamp, JobId)>,
    waiting: BTreeMap<WaitReason, u64>,
    pub(super) parked: BTreeSet<JobId>,
    turns: BTreeMap<AccountId, Turns>,
    /// Due jobs that were found held up, by the one that holds them up: nobody looks at them before that one moves.
    held_up: HashMap<JobId, BTreeSet<JobId>>,
    /// Unfinished jobs by what their subject is known by.
    lanes: HashMap<(AccountId, String), Vec<JobId>>,
    due_by_rule: HashMap<(AccountId, RuleName), u64>,
    unfinished: HashMap<AccountId, u64>,
    pub(super) claims: HashMap<u64, Claim>,
    tokens: u64,
    /// The account that was served last.
    pub(super) served: Option<AccountId>,
    /// Accounts whose jobs nobody takes.
    pub(in crate::store::local) paused: Arc<BTreeSet<AccountId>>,
    /// The `now` of the newest claim.
    pub(super) claimed_at: Option<Timestamp>,
}

/// What a subject is known by: any of these is enough to be the same.
fn known_by(subject: &Subject) -> Vec<String> {
    match subject {
        Subject::User { id, email } => {
            let (id, email) = (id.as_ref().map(|id| format!("u{id}")), email.as_ref().map(|email| format!("e{email}")));
            id.into_iter().chain(email).collect()
        }
        Subject::Meeting { id } => vec![format!("m{id}")],
        // By the meeting its runs are found, which are not the same.
        Subject::Instance { meeting, uuid } => vec![format!("i{uuid}"), run_of(*meeting)],
        Subject::Event { delivery } => vec![format!("d{delivery}")],
        Subject::Errand { id } => vec![format!("x{id}")],
    }
}

/// What a subject and its runs are found by.
fn sought_by(subject: &Subject) -> Vec<String> {
    let mut keys = known_by(subject);
    match subject {
        Subject::Meeting { id } => keys.push(run_of(*id)),
        // By its uuid alone: a meeting may have had thousands.
        Subject::Instance { .. } => keys.truncate(1),
        Subject::User { .. } | Subject::Event { .. } | Subject::Errand { .. } => {}
    }
    keys
}

/// The same in a few bytes, for the many that have ended: another subject may have the same.
fn print(job_of: &AccountId, name: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    (job_of.as_str(), name).hash(&mut hash);
    hash.finish()
}

fn prints(job_of: &AccountId, subject: &Subject) -> impl Iterator<Item = u64> {
    known_by(subject).into_iter().map(move |name| print(job_of, &name))
}

fn run_of(meeting: MeetingId) -> String {
    format!("r{meeting}")
}

impl Jobs {
    pub(in crate::store::local) fn get(&self, id: JobId) -> Option<&Arc<Job>> {
        self.all.get(&id)
    }

    pub(in crate::store::local) fn is_unfinished(&self, id: JobId) -> bool {
        self.get(id).is_some_and(|job| !job.state.is_finished())
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Job>> {
        self.all.values()
    }

    pub(super) fn before(&self, id: Option<JobId>) -> impl Iterator<Item = &Arc<Job>> {
        let end = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.all.range((Bound::Unbounded, end)).rev().map(|(_, job)| job)
    }

    /// Those that are kept of the account, finished or not, about a subject or a run of it; others may be among them.
    pub(super) fn kept_about(&self, account: &AccountId, subject: &Subject) -> Vec<Arc<Job>> {
        let mut ids = BTreeSet::new();
        for key in sought_by(subject) {
            let print = print(account, &key);
            let ended = (print, JobId::from_number(0))..=(print, JobId::from_number(u64::MAX));
            ids.extend(self.ended.range(ended).map(|(_, id)| *id));
            ids.extend(self.lanes.get(&(account.clone(), key)).into_iter().flatten());
        }
        ids.into_iter().filter_map(|id| self.get(id)).cloned().collect()
    }

    pub(super) fn next_id(&mut self) -> JobId {
        self.made = self.made.saturating_add(1);
        JobId::from_number(self.made)
    }

    /// There was one with this id, of which nothing is known any more.
    pub(super) fn was_made(&mut self, id: JobId) {
        self.made = self.made.max(id.number());
    }

    /// Takes these out, as if they had never been: what still runs for one has nothing to settle. Nor has what runs for a
    /// job that is kept no more, of which nobody knows whose it was.
    pub(super) fn erase(&mut self, is_meant: impl Fn(&Job) -> bool) {
        let meant: Vec<Arc<Job>> = self.all.values().filter(|job| is_meant(job)).cloned().collect();
        for job in &meant {
            self.all.remove(&job.id);
            self.forget(job);
        }
        self.finished.retain(|id| self.all.contains_key(id));
        self.claims.retain(|_, claim| self.all.contains_key(&claim.job));
    }

    /// Puts a job in place of what it was. Finished ones beyond `finished_max` are forgotten, oldest first.
    pub(super) fn put(&mut self, job: Job, finished_max: usize) {
        let id = job.id;
        self.made = self.made.max(id.number());
        if let Some(before) = self.all.remove(&id) {
            self.forget(&before);
            if before.state.is_finished() {
                self.finished.retain(|finished| *finished != id);
            }
        }
        match job.state {
            JobState::Done { .. } => self.done = self.done.saturating_add(1),
            JobState::Cancelled { .. } => self.cancelled = self.cancelled.saturating_add(1),
            _ => {}
        }
        self.place(Arc::new(job));
        while self.finished.len() > finished_max {
            if let Some(oldest) = self.finished.pop_front().and_then(|oldest| self.all.remove(&oldest)) {
                self.forget(&oldest);
            }
        }
    }

    /// Puts a job into all that it can be found by.
    fn place(&mut self, job: Arc<Job>) {
        let id = job.id;
        match &job.state {
            JobState::Due { at, .. } => {
                self.due.insert((*at, id));
                *self.due_by_rule.entry((job.account.clone(), job.rule.clone())).or_default() += 1;
                if self.claimed_at.is_some_and(|claimed_at| *at <= claimed_at) {
                    self.ready(&job.account, job.place());
                }
            }
            JobState::Running { lease } => {
                self.leases.insert((lease.until, id));
                self.turns.entry(job.account.clone()).or_default().running += 1;
            }
            JobState::Waiting { reason, .. } => *self.waiting.entry(*reason).or_default() += 1,
            JobState::Parked { .. } => {
                self.parked.insert(id);
            }
            JobState::Done { .. } | JobState::Cancelled { .. } => {
                self.finished.push_back(id);
                self.ended.extend(prints(&job.account, &job.subject).map(|print| (print, id)));
            }
        }
        if !job.state.is_finished() {
            *self.unfinished.entry(job.account.clone()).or_default() += 1;
            for key in known_by(&job.subject) {
                let lane = self.lanes.entry((job.account.clone(), key)).or_default();
                let at = lane.partition_point(|other| *other < id);
                lane.insert(at, id);
            }
        }
        self.all.insert(id, job);
    }

    /// Takes a job out of all that it can be found by.
    fn forget(&mut self, job: &Job) {
        let id = job.id;
        self.let_go(id);
        match &job.state {
            JobState::Due { at, .. } => {
                self.due.remove(&(*at, id));
                let key = (job.account.clone(), job.rule.clone());
                if let Some(count) = self.due_by_rule.get_mut(&key) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.due_by_rule.remove(&key);
                    }
                }
                self.turns.get_mut(&job.account).map(|turns| turns.ready.remove(&job.place()));
                self.tidy(&job.account);
            }
            JobState::Running { lease } => {
                self.leases.remove(&(lease.until, id));
                if let Some(turns) = self.turns.get_mut(&job.account) {
                    turns.running = turns.running.saturating_sub(1);
                }
                self.tidy(&job.account);
            }
            JobState::Waiting { reason, .. } => {
                if let Some(count) = self.waiting.get_mut(reason) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.waiting.remove(reason);
                    }
                }
            }
            JobState::Parked { .. } => drop(self.parked.remove(&id)),
            JobState::Done { .. } | JobState::Cancelled { .. } => {
                for print in prints(&job.account, &job.subject) {
                    self.ended.remove(&(print, id));
                }
                return;
            }
        }
        if let Some(count) = self.unfinished.get_mut(&job.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.unfinished.remove(&job.account);
            }
        }
        for key in known_by(&job.subject) {
            let key = (job.account.clone(), key);
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.retain(|other| *other != id);
                if lane.is_empty() {
                    self.lanes.remove(&key);
                }
            }
        }
    }

    /// What this job held up, if anything, may be taken as far as this one knows.
    fn let_go(&mut self, id: JobId) {
        for held in self.held_up.remove(&id).into_iter().flatten() {
            let Some(job) = self.get(held).cloned() else { continue };
            if let JobState::Due { at, .. } = job.state
                && self.claimed_at.is_some_and(|claimed_at| at <= claimed_at)
            {
                self.ready(&job.account, job.place());
            }
        }
    }

    fn hold_up(&mut self, id: JobId, by: JobId) {
        let Some(job) = self.get(id).cloned() else { return };
        if let Some(turns) = self.turns.get_mut(&job.account) {
            turns.ready.remove(&job.place());
        }
        self.tidy(&job.account);
        self.held_up.entry(by).or_default().insert(id);
    }

    fn ready(&mut self, account: &AccountId, place: Place) {
        if let Some(turns) = self.turns.get_mut(account) {
            turns.ready.insert(place);
        } else {
            self.turns.insert(account.clone(), Turns { ready: BTreeSet::from([place]), running: 0 });
        }
    }

    fn tidy(&mut self, account: &AccountId) {
        if self.turns.get(account).is_some_and(|turns| turns.ready.is_empty() && turns.running == 0) {
            self.turns.remove(account);
        }
    }

    /// Unfinished jobs of the account about the same subject, by id.
    pub(super) fn about(&self, account: &AccountId, subject: &Subject) -> Vec<Arc<Job>> {
        let mut ids = BTreeSet::new();
        let keys = known_by(subject);
        // The first is enough for a run: a meeting may have had thousands.
        let enough = if matches!(subject, Subject::Instance { .. }) { 1 } else { keys.len() };
        for key in keys.into_iter().take(enough) {
            if let Some(lane) = self.lanes.get(&(account.clone(), key)) {
                ids.extend(lane);
            }
        }
        let jobs = ids.into_iter().filter_map(|id| self.get(id));
        jobs.filter(|job| job.subject.is_same(subject)).cloned().collect()
    }

    /// Unfinished jobs of the account about a run of the meeting, or about the run with that uuid, by id.
    pub(super) fn about_runs(
        &self,
        account: &AccountId,
        meeting: MeetingId,
        uuid: Option<&MeetingUuid>,
    ) -> Vec<Arc<Job>> {
        let keys = [Some(run_of(meeting)), uuid.map(|uuid| format!("i{uuid}"))];
        let lanes = keys.into_iter().flatten().filter_map(|key| self.lanes.get(&(account.clone(), key)));
        let ids: BTreeSet<JobId> = lanes.flatten().copied().collect();
        ids.into_iter().filter_map(|id| self.get(id)).cloned().collect()
    }

    /// Takes the time to be `now`: leases that are over, by job.
    pub(super) fn over(&self, now: Timestamp) -> Vec<JobId> {
        self.leases.iter().take_while(|(until, _)| *until <= now).map(|(_, id)| *id).collect()
    }

    /// What became due since the claim before.
    pub(super) fn ripen(&mut self, now: Timestamp) {
        let from = self.claimed_at.filter(|before| *before <= now);
        self.claimed_at = Some(now);
        if from.is_none() {
            // By a clock that went back, what holds somebody up may be due only later, and all are looked at anew.
            self.held_up.clear();
        }
        let start = from.map_or(Bound::Unbounded, |from| Bound::Included((from, JobId::from_number(0))));
        let end = Bound::Included((now, JobId::from_number(u64::MAX)));
        let ripe: Vec<JobId> = self.due.range((start, end)).map(|(_, id)| *id).collect();
        for id in ripe {
            if let Some((account, place)) = self.get(id).map(|job| (job.account.clone(), job.place())) {
                self.ready(&account, place);
            }
        }
    }

    /// The job that may be taken first, of the account whose turn it is. What it finds held up is out of its way until that
    /// may have changed: of thousands, a claim looks at few.
    pub(super) fn next_to_take(&mut self, per_account_max: usize, now: Timestamp) -> Option<JobId> {
        let after = self.served.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut turns = self.turns.range::<AccountId, _>((after, Bound::Unbounded)).chain(&self.turns);
        let mut held_up = Vec::new();
        let found = turns.find_map(|(account, turns)| {
            if turns.running >= per_account_max || self.paused.contains(account) {
                return None;
            }
            let due = turns.ready.iter().filter_map(|(.., id)| self.get(*id)).filter(|job| is_due(job, now));
            due.map(|job| (job, self.holder_of(job, now))).find_map(|(job, holder)| match holder {
                None => Some(job.id),
                Some(holder) => {
                    held_up.push((job.id, holder));
                    None
                }
            })
        });
        for (id, holder) in held_up {
            self.hold_up(id, holder);
        }
        found
    }

    /// The job of its lane that has to come first, if any.
    fn holder_of(&self, job: &Job, now: Timestamp) -> Option<JobId> {
        let lane = self.about(&job.account, &job.subject);
        let holds = |other: &&Arc<Job>| match other.state {
            JobState::Running { .. } => true,
            JobState::Due { .. } => other.id < job.id && is_due(other, now),
            _ => false,
        };
        lane.iter().find(holds).map(|other| other.id)
    }

    pub(super) fn next_token(&mut self) -> u64 {
        self.tokens = self.tokens.saturating_add(1);
        self.tokens
    }

    pub(super) fn unfinished_of(&self, account: &AccountId) -> u64 {
        self.unfinished.get(account).copied().unwrap_or(0)
    }

    /// How many jobs of a rule and account are due, now or later.
    pub(super) fn due_of(&self, account: &AccountId, rule: &RuleName) -> u64 {
        self.due_by_rule.get(&(account.clone(), rule.clone())).copied().unwrap_or(0)
    }

    /// Jobs that are due at just this moment, by id.
    pub(super) fn due_at(&self, at: Timestamp) -> impl Iterator<Item = &Arc<Job>> {
        let place = |id| (at, JobId::from_number(id));
        self.due.range(place(0)..=place(u64::MAX)).filter_map(|(_, id)| self.get(*id))
    }

    /// The first moment after the newest claim at which something becomes due or a lease is over.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let last = JobId::from_number(u64::MAX);
        let start = self.claimed_at.map_or(Bound::Unbounded, |at| Bound::Excluded((at, last)));
        let first = |set: &BTreeSet<(Timestamp, JobId)>| set.range((start, Bound::Unbounded)).next().map(|(at, _)| *at);
        [first(&self.due), first(&self.leases)].into_iter().flatten().min()
    }

    /// The job as a start would find it.
    pub(super) fn without_lease(&self, job: &Job) -> Job {
        let mut job = job.clone();
        if let JobState::Running { lease } = job.state {
            let at = self.claims.get(&lease.token).map_or(Timestamp::EPOCH, |claim| claim.was_due_at);
            // Legal for every running job.
            let _ended = job.apply(Input::LeaseEnded { at });
        }
        job
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            due: wide(self.due.len()),
            running: wide(self.leases.len()),
            waiting: self.waiting.clone(),
            parked: wide(self.parked.len()),
        }
    }

    /// For a snapshot: all jobs as a start would find them, the finished ones in their order, and the counters.
    pub(in crate::store::local) fn freeze(&self) -> FrozenJobs {
        let lasting = |job: &Arc<Job>| match job.state {
            JobState::Running { .. } => Arc::new(self.without_lease(job)),
            _ => Arc::clone(job),
        };
        let unfinished = self.all.values().filter(|job| !job.state.is_finished()).map(lasting).collect();
        let finished = self.finished.iter().filter_map(|id| self.get(*id).cloned()).collect();
        FrozenJobs { unfinished, finished, made: self.made, done: self.done, cancelled: self.cancelled }
    }

    pub(in crate::store::local) fn thaw(
        unfinished: Vec<Job>,
        finished: Vec<Job>,
        made: u64,
        counts: (u64, u64),
    ) -> Self {
        let mut jobs = Self::default();
        for job in unfinished.into_iter().chain(finished) {
            jobs.place(Arc::new(job));
        }
        (jobs.made, (jobs.done, jobs.cancelled)) = (made, counts);
        jobs
    }
}

/// How many jobs are in each unfinished state.
pub(super) struct Counts {
    pub(super) due: u64,
    pub(super) running: u64,
    pub(super) waiting: BTreeMap<WaitReason, u64>,
    pub(super) parked: u64,
}

/// See [`Jobs::freeze`].
#[derive(Debug)]
pub(in crate::store::local) struct FrozenJobs {
    pub(in crate::store::local) unfinished: Vec<Arc<Job>>,
    pub(in crate::store::local) finished: Vec<Arc<Job>>,
    pub(in crate::store::local) made: u64,
    pub(in crate::store::local) done: u64,
    pub(in crate::store::local) cancelled: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AppName, DeliveryId, UserId};
    use crate::job::{Asker, Effect, NewJob};

    const NOW: Timestamp = Timestamp::from_secs(100);
    const USERS: u64 = 1_000;

    fn job(number: u64, by: Asker) -> Job {
        let id = UserId::parse(&format!("u{}", number % USERS)).unwrap();
        let new = NewJob {
            app: AppName::parse("main").unwrap(),
            account: AccountId::parse("acc").unwrap(),
            rule: RuleName::parse(if by == Asker::Sweep { "one" } else { "other" }).unwrap(),
            subject: Subject::User { id: Some(id), email: None },
            by,
            event_at: None,
            on: None,
        };
        new.into_job(JobId::from_number(number), NOW)
    }

    #[test]
    fn what_is_held_up_is_looked_at_once_and_again_when_that_has_moved() {
        let mut jobs = Jobs::default();
        jobs.ripen(NOW);
        let swept = (1..=USERS).map(|number| job(number, Asker::Sweep));
        let event = Asker::Delivery(DeliveryId::from_number(1));
        swept.chain((USERS + 1..=2 * USERS).map(|number| job(number, event))).for_each(|job| jobs.put(job, 9));
        let ready = |jobs: &Jobs| jobs.turns.values().map(|turns| turns.ready.len()).sum::<usize>();
        assert_eq!((ready(&jobs), jobs.next_to_take(9, NOW)), (2_000, Some(JobId::from_number(1))));
        assert_eq!((ready(&jobs), jobs.next_to_take(9, NOW)), (1_000, Some(JobId::from_number(1))));
        jobs.put(Job { state: JobState::Done { at: NOW, effect: Effect::AlreadyRight }, ..job(1, Asker::Sweep) }, 9);
        let freed = JobId::from_number(USERS + 1);
        assert_eq!((ready(&jobs), jobs.next_to_take(9, NOW)), (1_000, Some(freed)), "events go first");
        // By a clock that went back, nothing is due.
        let earlier = Timestamp::from_secs(99);
        jobs.ripen(earlier);
        assert_eq!(jobs.next_to_take(9, earlier), None);
        jobs.ripen(NOW);
        assert_eq!(jobs.next_to_take(9, NOW), Some(freed));
    }

    #[test]
    fn a_job_is_found_by_whom_it_is_about_for_as_long_as_it_is_kept() {
        let mut jobs = Jobs::default();
        let done = JobState::Done { at: NOW, effect: Effect::AlreadyRight };
        let about = |jobs: &Jobs, number| {
            let Job { account, subject, .. } = job(number, Asker::Sweep);
            jobs.kept_about(&account, &subject).iter().map(|job| job.id.number()).collect::<Vec<_>>()
        };
        for number in [1, 2, USERS + 1] {
            jobs.put(job(number, Asker::Sweep), 2);
            assert!(about(&jobs, number).contains(&number), "before it has ended");
            jobs.put(Job { state: done.clone(), ..job(number, Asker::Sweep) }, 2);
        }
        assert_eq!((about(&jobs, 1), about(&jobs, 2)), (vec![USERS + 1], vec![2]), "the first is not kept any more");
        jobs.erase(|job| job.id.number() == 2);
        assert_eq!((about(&jobs, 1), about(&jobs, 2)), (vec![USERS + 1], vec![]));
        assert_eq!(jobs.ended.len(), 1);
    }
}
