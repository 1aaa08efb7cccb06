//! Onboardings: asked for, found again, looked after.
//!
//! Guarantees: a request is on disk before it is answered; the same key is the same onboarding; what was asked for and has no
//! job, because the process ended in between, gets one at the next start; who waits for an invitation is looked at once a day,
//! also where no event came.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Parts;
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::{AccountId, Email, OnboardingId, RuleName};
use crate::job::{Asker, Job, JobState, NewJob, Subject};
use crate::store::{JobFilter, Move, Selector, Shelf, StoreError, Write};
use crate::work::{
    self, Onboarding, Picture, RefusedFor, Row, RowRefused, Verdict, WithJobs, fault_of_key, id_of, jobs_about, would,
};
use crate::zoom::ZoomError;

/// Rows of one request.
pub const ROWS_MAX: usize = 1_000;
/// How long an onboarding is kept when it has ended, and its key with it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// How long who waits is left to events alone.
const LOOK_AGAIN: Duration = Duration::from_secs(86_400);
const JOBS_PAGE: usize = 1_000;

/// Takes requests, one after the other.
#[derive(Debug)]
pub struct Onboarder {
    parts: Parts,
    asking: Mutex<()>,
    count: AtomicU64,
}

/// What was asked for, row by row; an error is that of the store.
pub type Taken = Vec<Result<WithJobs, RowRefused>>;

impl Onboarder {
    pub fn new(parts: Parts) -> Self {
        Self { parts, asking: Mutex::default(), count: AtomicU64::new(0) }
    }

    /// Asks for these onboardings: on disk when it returns. A row that is wrong holds up no other.
    pub async fn ask(
        &self,
        account: &AccountId,
        rows: Vec<Row>,
        batch: Option<&str>,
        by: &str,
    ) -> Result<Taken, StoreError> {
        let _one_after_the_other = self.asking.lock().await;
        let roster = Arc::clone(&self.parts.roster.borrow());
        let Some(account) = roster.accounts().find(|one| one.id == *account) else {
            return Ok(rows.iter().map(|_| Err(no_account(account))).collect());
        };
        let (now, under_way) = (self.parts.clock.now(), self.under_way(&account.id).await?);
        let (mut taken, mut seen): (Taken, HashMap<Email, usize>) = (Vec::new(), HashMap::new());
        for (place, row) in rows.into_iter().enumerate() {
            let email = row.wanted.email.clone();
            let before = seen.get(&email).copied();
            let one = match before {
                Some(before) => {
                    Err(RowRefused::under_way(format!("row {} asks for {email} as well", before.saturating_add(1))))
                }
                None => self.one(account, row, &under_way, (batch, by, now)).await?,
            };
            if one.is_ok() {
                seen.entry(email).or_insert(place);
            }
            taken.push(one);
        }
        let new = || taken.iter().flatten().filter(|one| one.is_new).map(|one| &one.kept);
        let writes: Vec<Write> = new().map(|kept| Write::PutNew(kept.document())).collect();
        if !writes.is_empty() {
            let jobs = new().map(|kept| job_of(kept, now)).collect();
            self.parts.store.write_documents(writes, Vec::new(), now).await?;
            crate::breakpoint::reached("onboarding-kept");
            self.parts.store.ask(jobs, &format!("by {by}"), now).await?;
        }
        for one in taken.iter_mut().flatten() {
            one.jobs = jobs_about(&*self.parts.store, &one.kept).await?;
            // As in `read`.
            one.kept = self.kept(one.kept.id).await?.unwrap_or_else(|| one.kept.clone());
        }
        Ok(taken)
    }

    async fn one(
        &self,
        account: &Account,
        row: Row,
        under_way: &HashMap<Email, OnboardingId>,
        (batch, by, now): (Option<&str>, &str, Timestamp),
    ) -> Result<Result<WithJobs, RowRefused>, StoreError> {
        let Row { wanted, key } = row;
        let fault = wanted.fault().or_else(|| key.as_deref().and_then(fault_of_key));
        let fault = fault.or_else(|| {
            let to = wanted.notify.as_ref().filter(|to| !self.parts.feed.knows(to))?;
            Some(format!("notify names {to}, and there is no such consumer"))
        });
        if let Some(fault) = fault {
            return Ok(Err(RowRefused::invalid(fault)));
        }
        let id = key.as_deref().map_or_else(|| self.fresh(account, &wanted.email, now), |key| id_of(&account.id, key));
        if let Some(kept) = self.kept(id).await? {
            return Ok(if kept.wanted == wanted {
                Ok(WithJobs { kept, jobs: Vec::new(), is_new: false })
            } else {
                Err(RowRefused::invalid(format!("the key was used for another request, {id}")))
            });
        }
        if let Some(other) = under_way.get(&wanted.email) {
            return Ok(Err(RowRefused::under_way(format!("{} is being onboarded: {other}", wanted.email))));
        }
        let whose = (account.app.clone(), account.id.clone());
        let kept = Onboarding::new(id, whose, wanted, batch.map(str::to_owned), (by.to_owned(), now));
        Ok(Ok(WithJobs { kept, jobs: Vec::new(), is_new: true }))
    }

    /// An id without a key: nobody asks for it twice.
    fn fresh(&self, account: &Account, email: &Email, now: Timestamp) -> OnboardingId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        id_of(&account.id, &format!("\0{email}\0{}\0{count}", now.as_millis()))
    }

    async fn kept(&self, id: OnboardingId) -> Result<Option<Onboarding>, StoreError> {
        let found = self.parts.store.document(Shelf::Onboarding, &id.to_string()).await?;
        Ok(found.as_ref().and_then(Onboarding::read))
    }

    pub async fn read(&self, id: OnboardingId) -> Result<Option<WithJobs>, StoreError> {
        let Some(before) = self.kept(id).await? else { return Ok(None) };
        let jobs = jobs_about(&*self.parts.store, &before).await?;
        // Never older than the jobs: a step that was taken in between would make their state mean something else.
        Ok(self.kept(id).await?.map(|kept| WithJobs { kept, jobs, is_new: false }))
    }

    /// Those of an account, of a batch or all, by when they were asked for.
    pub async fn list(
        &self,
        account: Option<&AccountId>,
        batch: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WithJobs>, StoreError> {
        let mut found = self.all().await?;
        found.retain(|kept| {
            account.is_none_or(|account| kept.account == *account)
                && batch.is_none_or(|batch| kept.batch.as_deref() == Some(batch))
        });
        found.sort_by_key(|kept| (kept.asked_at, kept.id));
        let mut listed = Vec::new();
        for kept in found.into_iter().take(limit) {
            listed.extend(self.read(kept.id).await?);
        }
        Ok(listed)
    }

    async fn all(&self) -> Result<Vec<Onboarding>, StoreError> {
        Ok(self.parts.store.documents(Shelf::Onboarding).await?.iter().filter_map(Onboarding::read).collect())
    }

    /// What would become of each row now, by one look at Zoom for each. Asks for nothing.
    pub async fn look(&self, account: &AccountId, rows: &[Row]) -> Result<Vec<Result<String, RowRefused>>, String> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let found = roster.accounts().find(|one| one.id == *account).zip(self.parts.zooms.zoom(account));
        let Some((account, zoom)) = found else { return Err(no_account(account).why) };
        let rule = RuleName::onboard();
        let mut around = self.parts.facts.around(account, self.parts.clock.now());
        let mut looked = Vec::new();
        for row in rows {
            if let Some(fault) = row.wanted.fault() {
                looked.push(Err(RowRefused::invalid(fault)));
                continue;
            }
            if around.groups.is_none() && !row.wanted.groups.is_empty() {
                let groups = self.parts.facts.groups(&account.id, &*zoom, self.parts.clock.now()).await;
                around.groups = Some(groups.map_err(|error| error.to_string())?);
            }
            let of = UserKey::Email(row.wanted.email.clone());
            looked.push(Ok(match zoom.user(&of).await {
                Ok(user) => {
                    let picture = Picture { user: Some(user), ..Picture::default() };
                    would(&work::judge(&row.wanted.as_rule(rule.clone()), &around, &picture))
                }
                Err(ZoomError::Pending(_)) => would(&Verdict::Waits(crate::job::WaitReason::UserPending)),
                Err(ZoomError::NotFound(_)) => {
                    format!("create ({}, {})", row.wanted.action.name(), row.wanted.licence_in_words())
                }
                Err(error) => return Err(error.to_string()),
            }));
        }
        called(&self.parts, account, zoom.calls()).await.map_err(|error| error.to_string())?;
        Ok(looked)
    }

    /// Who has an unfinished onboarding.
    async fn under_way(&self, account: &AccountId) -> Result<HashMap<Email, OnboardingId>, StoreError> {
        let mut found = HashMap::new();
        for job in self.unfinished(Some(account)).await? {
            if let (Asker::Onboarding(id), Subject::User { email: Some(email), .. }) = (job.made_by, job.subject) {
                found.insert(email, id);
            }
        }
        Ok(found)
    }

    /// All unfinished jobs of onboardings.
    async fn unfinished(&self, account: Option<&AccountId>) -> Result<Vec<Job>, StoreError> {
        let mut found = Vec::new();
        for state in ["due", "running", "waiting", "parked"] {
            let mut before = None;
            loop {
                let filter = JobFilter {
                    state: Some(state.to_owned()),
                    account: account.cloned(),
                    before,
                    limit: JOBS_PAGE,
                    ..JobFilter::default()
                };
                let page = self.parts.store.jobs(filter).await?;
                let (count, last) = (page.len(), page.last().map(|job| job.id));
                found.extend(page.into_iter().filter(|job| job.rule.is_onboard()));
                if count < JOBS_PAGE {
                    break;
                }
                before = last;
            }
        }
        Ok(found)
    }

    /// Looks after all that are kept: at the start, and now and then.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let _nobody_asks_meanwhile = self.asking.lock().await;
        // First the jobs: whoever ends in between has ended in what is kept as well.
        let unfinished = self.unfinished(None).await?;
        let (now, kept) = (self.parts.clock.now(), self.all().await?);
        let id = |job: &Job| match job.made_by {
            Asker::Onboarding(id) => Some(id),
            _ => None,
        };
        let has_job: HashSet<OnboardingId> = unfinished.iter().filter_map(id).collect();
        let (mut writes, mut missing) = (Vec::new(), Vec::new());
        for one in kept {
            match &one.ended {
                Some(ended) if now.since(ended.at) > KEPT => {
                    writes.push(Write::Remove { shelf: Shelf::Onboarding, key: one.id.to_string() });
                }
                None if !has_job.contains(&one.id) => match self.own(&one).await?.map(|job| job.state) {
                    None => missing.push(job_of(&one, now)),
                    Some(JobState::Cancelled { at, why }) => {
                        writes.push(Write::Put(one.ended(at, Some(why)).document()));
                    }
                    Some(_) => writes.push(Write::Put(one.ended(now, None).document())),
                },
                _ => {}
            }
        }
        if !writes.is_empty() {
            self.parts.store.write_documents(writes, Vec::new(), now).await?;
        }
        if !missing.is_empty() {
            self.parts.store.ask(missing, "again: it had no job", now).await?;
        }
        self.look_again(&unfinished, now).await
    }

    async fn own(&self, kept: &Onboarding) -> Result<Option<Job>, StoreError> {
        Ok(jobs_about(&*self.parts.store, kept).await?.into_iter().find(|job| kept.is_of(job)))
    }

    async fn look_again(&self, unfinished: &[Job], now: Timestamp) -> Result<(), StoreError> {
        for job in unfinished {
            if matches!(&job.state, JobState::Waiting { since, .. } if now.since(*since) >= LOOK_AGAIN) {
                let by = "adjutant, which looks once a day";
                match self.parts.store.move_jobs(Selector::Job(job.id), Move::Retry, by, now).await {
                    Ok(_) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

fn no_account(account: &AccountId) -> RowRefused {
    RowRefused { code: RefusedFor::NoAccount, why: format!("no app holds account {account}") }
}

/// The job that does it.
fn job_of(kept: &Onboarding, now: Timestamp) -> NewJob {
    NewJob {
        app: kept.app.clone(),
        account: kept.account.clone(),
        rule: RuleName::onboard(),
        subject: kept.subject(),
        by: Asker::Onboarding(kept.id),
        // A late event about somebody who left under this address is older.
        event_at: Some(now),
        on: None,
    }
}

/// Calls beside any job are on record as well.
pub(super) async fn called(parts: &Parts, account: &Account, calls: Vec<crate::audit::Call>) -> Result<(), StoreError> {
    if calls.is_empty() {
        return Ok(());
    }
    let (app, id) = (account.app.clone(), account.id.clone());
    let record = crate::store::SweepRecord { app, account: id, step: crate::store::SweepStep::Called, calls };
    parts.store.record_sweep(record, parts.clock.now()).await.map(drop)
}
