//! Onboardings: asked for, found again, looked after.
//!
//! Guarantees: a request is on disk before it is answered; the same key is the same onboarding; what was asked for and has no
//! job, because the process ended in between, gets one at the next start; who waits for an invitation is looked at once a day,
//! also where no event came.

mod look;
mod tend;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::Parts;
use crate::account::Account;
use crate::clock::Timestamp;
use crate::ids::{AccountId, Email, OnboardingId, RuleName};
use crate::job::{Asker, NewJob, Subject};
use crate::store::{Document, JobFilter, Shelf, StoreError, Write};
use crate::work::{Beside, Held, Onboarding, RefusedFor, Row, RowRefused, WithJobs, fault_of_key, id_of, jobs_about};

/// Of documents in one write.
const PORTION_BYTES: usize = 4 * Document::BYTES_MAX;
/// Onboardings of one person that are looked at.
const OF_ONE_MAX: usize = 200;

/// Takes requests, one after the other.
#[derive(Debug)]
pub struct Onboarder {
    parts: Parts,
    asking: Mutex<()>,
    count: AtomicU64,
    /// Whether there may be one of which a consumer is told.
    notifies: AtomicBool,
}

/// What was asked for, row by row; an error is that of the store.
pub type Taken = Vec<Result<WithJobs, RowRefused>>;

impl Onboarder {
    pub fn new(parts: Parts) -> Self {
        Self { parts, asking: Mutex::default(), count: AtomicU64::new(0), notifies: AtomicBool::new(true) }
    }

    /// Asks for these onboardings: on disk when it returns. A row that is wrong holds up no other.
    pub async fn ask(
        &self,
        account: &AccountId,
        rows: Vec<Row>,
        batch: Option<&str>,
        by: &str,
    ) -> Result<Taken, StoreError> {
        let mut taken = {
            let _one_after_the_other = self.asking.lock().await;
            let roster = Arc::clone(&self.parts.roster.borrow());
            let Some(account) = roster.accounts().find(|one| one.id == *account) else {
                return Ok(rows.iter().map(|_| Err(no_account(account))).collect());
            };
            let now = self.parts.clock.now();
            let taken = self.checked(account, rows, (batch, by, now)).await?;
            let new: Vec<&Onboarding> = taken.iter().flatten().filter(|one| one.is_new).map(|one| &one.kept).collect();
            let kept = self.keep(&new, by, now).await;
            // Also where it came half way: whoever looked before has not seen them.
            let notifies = new.iter().any(|one| one.wanted.notify.is_some());
            self.notifies.fetch_or(notifies, Ordering::Relaxed);
            kept?;
            taken
        };
        for one in taken.iter_mut().flatten() {
            if let Some(newer) = self.read(one.kept.id).await? {
                *one = WithJobs { is_new: one.is_new, ..newer };
            }
        }
        Ok(taken)
    }

    /// Puts them on disk, and asks for the job of each.
    async fn keep(&self, new: &[&Onboarding], by: &str, now: Timestamp) -> Result<(), StoreError> {
        let (store, Some(first)) = (&self.parts.store, new.first()) else { return Ok(()) };
        // Until their jobs are made: who has none, and is not in it, had one.
        let asking = Beside::Asking { ids: new.iter().map(|kept| kept.id).collect() };
        let mut writes = vec![Write::Put(asking.document(first))];
        writes.extend(new.iter().map(|kept| Write::PutNew(kept.document())));
        self.write(writes, now).await?;
        crate::breakpoint::reached("onboarding-kept");
        let made = store.ask(new.iter().map(|kept| job_of(kept, now)).collect(), &format!("by {by}"), now).await?;
        let without = new.iter().zip(made).filter(|(_, job)| job.is_none()).map(|(kept, _)| kept.id).collect();
        let write = Beside::Asking { ids: without }.put_or_remove(first);
        store.write_documents(vec![write], Vec::new(), now).await
    }

    /// As many at once as the store takes.
    async fn write(&self, writes: Vec<Write>, now: Timestamp) -> Result<(), StoreError> {
        let (mut portion, mut bytes) = (Vec::new(), 0_usize);
        for write in writes {
            let more = write.bytes();
            if bytes.saturating_add(more) > PORTION_BYTES && !portion.is_empty() {
                self.parts.store.write_documents(std::mem::take(&mut portion), Vec::new(), now).await?;
                bytes = 0;
            }
            bytes = bytes.saturating_add(more);
            portion.push(write);
        }
        if portion.is_empty() {
            return Ok(());
        }
        self.parts.store.write_documents(portion, Vec::new(), now).await
    }

    /// What can be said of rows without asking Zoom: what they would be, or are already.
    async fn checked(
        &self,
        account: &Account,
        rows: Vec<Row>,
        asked: (Option<&str>, &str, Timestamp),
    ) -> Result<Taken, StoreError> {
        let (mut taken, mut emails) = (Taken::new(), HashMap::<Email, usize>::new());
        let mut ids = HashMap::<OnboardingId, usize>::new();
        for (row, number) in rows.into_iter().zip(1_usize..) {
            let email = row.wanted.email.clone();
            let one = match emails.get(&email) {
                Some(before) => Err(RowRefused::under_way(format!("row {before} asks for {email} as well"))),
                None => self.one(account, row, asked).await?,
            };
            let one = one.and_then(|one| match ids.get(&one.kept.id) {
                Some(before) => Err(RowRefused::invalid(format!("row {before} has the same key"))),
                None => Ok(one),
            });
            if let Ok(one) = &one {
                emails.insert(email, number);
                ids.insert(one.kept.id, number);
            }
            taken.push(one);
        }
        Ok(taken)
    }

    async fn one(
        &self,
        account: &Account,
        row: Row,
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
                Ok(WithJobs { kept, jobs: Vec::new(), is_new: false, held: self.held(&account.id) })
            } else {
                Err(RowRefused::invalid(format!("the key was used for another request, {id}")))
            });
        }
        if let Some(other) = self.under_way(&account.id, &wanted.email).await? {
            return Ok(Err(RowRefused::under_way(format!("{} is being onboarded: {other}", wanted.email))));
        }
        let whose = (account.app.clone(), account.id.clone());
        let kept = Onboarding::new(id, whose, wanted, batch.map(str::to_owned), (by.to_owned(), now));
        Ok(Ok(WithJobs { kept, jobs: Vec::new(), is_new: true, held: self.held(&account.id) }))
    }

    /// The unfinished onboarding of the one who has this email.
    async fn under_way(&self, account: &AccountId, email: &Email) -> Result<Option<OnboardingId>, StoreError> {
        let filter = JobFilter {
            account: Some(account.clone()),
            rule: Some(RuleName::onboard()),
            subject: Some(Subject::User { id: None, email: Some(email.clone()) }),
            limit: OF_ONE_MAX,
            ..JobFilter::default()
        };
        let jobs = self.parts.store.jobs(filter).await?;
        let of = |by: Asker| if let Asker::Onboarding(id) = by { Some(id) } else { None };
        Ok(jobs.into_iter().filter(|job| !job.state.is_finished()).find_map(|job| of(job.made_by)))
    }

    /// What holds an account's work up, or keeps rules from changing anything.
    fn held(&self, account: &AccountId) -> Held {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let only_observes = roster.accounts().any(|one| one.id == *account && one.only_observes);
        Held { is_paused: roster.paused().contains(account), only_observes }
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
        let held = self.held(&before.account);
        Ok(self.kept(id).await?.map(|kept| WithJobs { kept, jobs, is_new: false, held }))
    }

    /// Those of an account, of a batch or all, by when they were asked for, and after one of them.
    pub async fn list(
        &self,
        account: Option<&AccountId>,
        batch: Option<&str>,
        (after, limit): (Option<OnboardingId>, usize),
    ) -> Result<Vec<WithJobs>, StoreError> {
        let mut found = self.all().await?;
        found.retain(|kept| {
            account.is_none_or(|account| kept.account == *account)
                && batch.is_none_or(|batch| kept.batch.as_deref() == Some(batch))
        });
        found.sort_by_key(|kept| (kept.asked_at, kept.id));
        let mut listed = Vec::new();
        let passed = after.and_then(|after| found.iter().position(|kept| kept.id == after));
        let from = match (after, passed) {
            (Some(after), None) => {
                return Err(StoreError::NotFound(format!("onboarding {after}, after which to go on")));
            }
            (_, passed) => passed.map_or(0, |passed| passed.saturating_add(1)),
        };
        for kept in found.into_iter().skip(from).take(limit) {
            listed.extend(self.read(kept.id).await?);
        }
        Ok(listed)
    }

    async fn all(&self) -> Result<Vec<Onboarding>, StoreError> {
        Ok(self.parts.store.documents(Shelf::Onboarding).await?.iter().filter_map(Onboarding::read).collect())
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
