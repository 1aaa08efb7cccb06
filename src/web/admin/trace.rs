//! One thing through the audit log, both ways: what led to it, and what it led to. From the store alone, in one bounded look.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::caller::Caller;
use super::chain::{Link, asked_by, chain};
use super::problem::ApiProblem;
use super::reading::Place;
use super::routes::{Answer, Asked, Shared, asked, maybe, parsed};
use super::view::EntryView;
use super::{delivered, explain};
use crate::audit::{Entry, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, DeliveryId, JobId, OnboardingId, RuleName};
use crate::job::{Asker, Job, Subject};
use crate::store::{DeliveryStatus, JobFilter, StoreError};

/// Entries that one look takes in.
const LOOK: u64 = 100_000;
/// Entries that are read at once.
const PAGE: u64 = 1_000;
/// Entries in one answer.
const LINES: usize = 1_000;
/// Jobs about one subject, or of one rule, that are followed back to what asked for them, the newest first.
const JOBS: usize = 100;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceAsked {
    /// A delivery, job, onboarding or errand by its id, an entry by its number, a user by id or email, a meeting by its number,
    /// a rule by its name, or a subject as it is printed.
    of: String,
    /// Only entries of this account.
    account: Option<String>,
    /// Begin to look here: the number of an entry, or a time.
    from: Option<String>,
}

/// One thing through the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceView {
    /// What was asked about, as it was understood.
    pub of: String,
    /// Each behind what led to it.
    pub lines: Vec<TraceLineView>,
    /// Entries were looked at from this one on,
    pub from: u64,
    /// and up to this one, without it.
    pub to: u64,
    /// Entries before `from` may be about it too.
    pub has_earlier: bool,
    /// There are entries from `to` on: give that as `from`.
    pub has_later: bool,
}

/// An entry, and what led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceLineView {
    /// How many entries led to it, one after the other.
    pub depth: usize,
    /// The entry that did, by its number.
    pub led_by: Option<u64>,
    pub entry: EntryView,
}

impl From<Link> for TraceLineView {
    fn from(Link { depth, led_by, entry }: Link) -> Self {
        Self { depth, led_by, entry: entry.into() }
    }
}

pub(super) async fn trace(State(state): Shared, caller: Caller, query: Asked<TraceAsked>) -> Answer<TraceView> {
    let TraceAsked { of, account, from } = asked(query)?;
    let account = caller.scope(maybe(account.as_ref())?)?;
    let _seat = state.readers.enter(&caller.actor)?;
    let caller = Caller { account, ..caller };
    let mut trail = Trail { state: &state, caller: &caller, followed: Followed::default() };
    let understood = trail.begin(of.trim()).await?;
    let size = state.store.tree_head().await?.size;
    let known = trail.followed.begins(&state).await?;
    // Of what may be older than what is known of it, the newest entries are looked at at least.
    let newest = if trail.followed.is_open || known.is_none() { size.saturating_sub(LOOK) } else { size };
    let start = match from {
        Some(from) => parsed::<Place>(&from)?.index(&*state.store).await?.min(size),
        None => known.unwrap_or(size).min(newest),
    };
    let end = start.saturating_add(LOOK).min(size);
    // What leads to a job may stand before anything names the job.
    trail.learn(start, end).await?;
    let (entries, end) = trail.collect(start, end).await?;
    let lines = chain(entries, &trail.followed.asked).into_iter().map(Into::into).collect();
    let first = known.filter(|_| !trail.followed.is_open).unwrap_or(0);
    let (has_earlier, has_later) = (start > first, end < size);
    Ok(Json(TraceView { of: understood, lines, from: start, to: end, has_earlier, has_later }))
}

/// What is followed.
#[derive(Debug, Default)]
struct Followed {
    entries: BTreeSet<u64>,
    /// What led to any of it.
    before: BTreeSet<u64>,
    /// With all that they led to.
    deliveries: BTreeSet<DeliveryId>,
    /// Only by what they themselves are.
    led: BTreeSet<DeliveryId>,
    jobs: BTreeSet<JobId>,
    asked: BTreeMap<JobId, DeliveryId>,
    subject: Option<Subject>,
    rule: Option<RuleName>,
    /// The oldest of them that is known.
    since: Option<Timestamp>,
    /// There may be older ones.
    is_open: bool,
}

impl Followed {
    /// The first entry that is known to be about any of it.
    async fn begins(&self, state: &AdminState) -> Result<Option<u64>, StoreError> {
        let first = self.entries.first().copied();
        match self.since {
            Some(since) => {
                let at = Place::Time(since).index(&*state.store).await?;
                Ok(Some(first.map_or(at, |first| first.min(at))))
            }
            None => Ok(None),
        }
    }

    fn was_there(&mut self, at: Timestamp) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
    }

    fn job(&mut self, job: &Job) {
        self.jobs.insert(job.id);
        self.was_there(job.made_at);
        for asker in [job.asked_by, job.made_by] {
            if let Asker::Delivery(id) = asker {
                self.led.insert(id);
                self.asked.insert(job.id, id);
            }
        }
    }

    fn is_meant(&self, entry: &Entry) -> bool {
        let named = || entry.detail.as_ref().and_then(|detail| Subject::read(detail.subject.as_ref()?));
        self.entries.contains(&entry.index)
            || entry.led_by.is_some_and(|by| self.entries.contains(&by))
            || entry.job.is_some_and(|id| self.jobs.contains(&id))
            || entry.delivery.is_some_and(|id| self.deliveries.contains(&id))
            || (self.rule.is_some() && entry.rule == self.rule)
            || self.subject.as_ref().is_some_and(|subject| named().is_some_and(|named| named.is_part_of(subject)))
    }

    fn takes(&self, entry: &Entry) -> bool {
        let is_itself = entry.job.is_none() || entry.kind == Kind::Decision;
        self.is_meant(entry)
            || self.before.contains(&entry.index)
            || (is_itself && entry.delivery.is_some_and(|id| self.led.contains(&id)))
    }
}

struct Trail<'a> {
    state: &'a AdminState,
    caller: &'a Caller,
    followed: Followed,
}

impl Trail<'_> {
    /// Finds out what is meant, and what is known of it beside the log. What it is, in words.
    async fn begin(&mut self, text: &str) -> Result<String, ApiProblem> {
        let size = self.state.store.tree_head().await?.size;
        if let Ok(index) = text.parse::<u64>()
            && index < size
        {
            return self.entry(index).await;
        }
        if let Ok(id) = text.parse::<DeliveryId>() {
            self.delivery(id).await?;
            return Ok(format!("delivery {id}"));
        }
        if let Ok(id) = text.parse::<JobId>() {
            self.job(id).await?;
            return Ok(format!("job {id}"));
        }
        if let Ok(id) = text.parse::<OnboardingId>() {
            let none = || ApiProblem::not_found(format!("onboarding {id}"));
            let stopped = || ApiProblem::bad_request("the service is stopped: ask for the user instead");
            let found = self.state.onboards.as_ref().ok_or_else(stopped)?.read(id).await?;
            let kept = found.map(|found| found.kept).filter(|kept| self.caller.sees(&kept.account)).ok_or_else(none)?;
            return self.subject(Subject::User { id: kept.user, email: Some(kept.wanted.email) }).await;
        }
        if let Ok(id) = text.parse() {
            return self.subject(Subject::Errand { id }).await;
        }
        let is_rule = self.state.engine.rules().iter().any(|rule| rule.name.as_str() == text);
        match explain::subject_named(text).filter(|_| !is_rule) {
            Some(subject) => self.subject(subject).await,
            None => self.rule(text).await,
        }
    }

    async fn entry(&mut self, index: u64) -> Result<String, ApiProblem> {
        let found = self.state.store.entries(index, 1).await?.pop().filter(|entry| self.sees(entry));
        let entry = found.ok_or_else(|| ApiProblem::not_found(format!("entry {index}")))?;
        self.followed.entries.insert(index);
        let mut is_known = entry.job.is_none();
        if let Some(id) = entry.job {
            is_known = self.job(id).await.is_ok();
            self.followed.jobs.insert(id);
        }
        if let Some(id) = entry.delivery {
            let found = self.delivery(id).await;
            is_known &= found.is_ok();
            self.followed.deliveries.insert(id);
        }
        self.followed.was_there(entry.at);
        self.followed.is_open = !is_known;
        Ok(format!("entry {index}"))
    }

    async fn delivery(&mut self, id: DeliveryId) -> Result<(), ApiProblem> {
        let (delivery, status) = delivered::seen(self.state, self.caller, id).await?;
        self.followed.deliveries.insert(id);
        self.followed.was_there(delivery.received_at);
        if let DeliveryStatus::Planned { jobs, .. } = status {
            for job in jobs {
                if let Some(found) = self.state.store.job(job).await?.filter(|job| self.caller.sees(&job.account)) {
                    self.followed.job(&found);
                }
                self.followed.jobs.insert(job);
                self.followed.asked.entry(job).or_insert(id);
            }
        }
        Ok(())
    }

    async fn job(&mut self, id: JobId) -> Result<(), ApiProblem> {
        let job = super::jobs::seen(self.state, self.caller, id).await?;
        self.followed.job(&job);
        for id in self.followed.led.clone() {
            match delivered::seen(self.state, self.caller, id).await {
                Ok((delivery, _)) => self.followed.was_there(delivery.received_at),
                Err(problem) if problem.status == StatusCode::NOT_FOUND => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(())
    }

    /// The newest jobs that meet a filter, and what asked for them. What is older is in the log alone.
    async fn jobs(&mut self, filter: JobFilter) -> Result<(), ApiProblem> {
        let filter = JobFilter { account: self.caller.account.clone(), limit: JOBS, ..filter };
        for job in self.state.store.jobs(filter).await? {
            if let (Some(subject), of) = (self.followed.subject.as_mut(), &job.subject) {
                subject.learn(of);
            }
            self.followed.job(&job);
        }
        self.followed.is_open = true;
        Ok(())
    }

    async fn subject(&mut self, subject: Subject) -> Result<String, ApiProblem> {
        self.followed.subject = Some(subject.clone());
        self.jobs(JobFilter { subject: Some(subject), ..JobFilter::default() }).await?;
        Ok(self.followed.subject.as_ref().map(ToString::to_string).unwrap_or_default())
    }

    async fn rule(&mut self, text: &str) -> Result<String, ApiProblem> {
        let expected = "expected a delivery, job, onboarding or errand by its id, the number of an entry, a user's email or id, the \
                        number of a meeting, or the name of a rule";
        let rule = RuleName::parse(text)
            .map_err(|_| ApiProblem::bad_request(format!("{text:?} names nothing: {expected}")))?;
        self.jobs(JobFilter { rule: Some(rule.clone()), ..JobFilter::default() }).await?;
        let said = format!("rule {rule}");
        self.followed.rule = Some(rule);
        Ok(said)
    }

    fn sees(&self, entry: &Entry) -> bool {
        let is_own = |own: &AccountId| entry.account.as_ref() == Some(own);
        self.caller.account.as_ref().is_none_or(is_own)
    }

    async fn page(&self, start: u64, end: u64) -> Result<Vec<Entry>, StoreError> {
        let count = usize::try_from(end.saturating_sub(start).min(PAGE)).unwrap_or(usize::MAX);
        let mut page = self.state.store.entries(start, count).await?;
        page.retain(|entry| self.sees(entry));
        Ok(page)
    }

    /// Which jobs and deliveries belong to it, as entries say.
    async fn learn(&mut self, start: u64, end: u64) -> Result<(), StoreError> {
        let mut next = start;
        while next < end {
            for entry in self.page(next, end).await? {
                if !self.followed.is_meant(&entry) {
                    continue;
                }
                self.followed.jobs.extend(entry.job);
                self.followed.before.extend(entry.led_by);
                self.followed.led.extend(asked_by(&entry));
                if let Some(id) = entry.delivery {
                    self.followed.led.insert(id);
                    if let (Some(job), Kind::Decision) = (entry.job, entry.kind) {
                        self.followed.asked.entry(job).or_insert(id);
                    }
                }
            }
            next = next.saturating_add(PAGE);
        }
        Ok(())
    }

    /// The entries that belong to it, and up to where.
    async fn collect(&self, start: u64, end: u64) -> Result<(Vec<Entry>, u64), StoreError> {
        let (mut found, mut next) = (Vec::new(), start);
        while next < end {
            for entry in self.page(next, end).await? {
                if !self.followed.takes(&entry) {
                    continue;
                }
                if found.len() >= LINES {
                    return Ok((found, entry.index));
                }
                found.push(entry);
            }
            next = next.saturating_add(PAGE);
        }
        Ok((found, end))
    }
}
