//! Errands: asked for, found again, looked after.
//!
//! Guarantees: a request is on disk before it is answered; the same key is the same errand, for as long as that is kept; what was
//! asked for and has no job, because the process ended in between, gets one at the next start. How many are kept is bounded.

mod tend;

#[cfg(test)]
pub(super) use tend::{ENDED_MAX, PRINCIPALS_MAX};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::Parts;
use crate::ids::{AccountId, ErrandId};
use crate::job::{Asker, Job, Subject};
use crate::store::{Document, JobFilter, Shelf, StoreError, Write};
use crate::work::{
    Errand, ErrandFilter, ErrandNow, ErrandRefused, Errandry, errand_id, errand_job, errand_kept, fault_of_key,
};

/// Errands of one account that have not ended: each may have [`crate::work::ScheduleAsked::FIELDS_BYTES_MAX`] in memory.
pub(super) const UNFINISHED_MAX: usize = 2_000;
/// So many new ones, and what has ended is looked through.
const PRUNE_EVERY: u64 = 500;
/// Jobs of one meeting that are looked at.
const OF_ONE_MAX: usize = 200;

/// Takes requests, one after the other.
#[derive(Debug)]
pub struct Errands {
    parts: Parts,
    asking: Mutex<()>,
    count: AtomicU64,
    /// Those that were new.
    asked: AtomicU64,
}

impl Errands {
    pub fn new(parts: Parts) -> Self {
        Self { parts, asking: Mutex::default(), count: AtomicU64::new(0), asked: AtomicU64::new(1) }
    }

    pub(super) const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Asks for it: on disk when it returns.
    pub async fn ask(
        &self,
        account: &AccountId,
        what: Errandry,
        key: Option<&str>,
        by: &str,
    ) -> Result<ErrandNow, ErrandRefused> {
        let (id, is_new) = {
            let _one_after_the_other = self.asking.lock().await;
            self.taken(account, what, key, by).await?
        };
        let found = self.read(id).await?;
        let gone = || StoreError::NotFound(format!("errand {id}"));
        Ok(ErrandNow { is_new, ..found.ok_or_else(gone)? })
    }

    async fn taken(
        &self,
        account: &AccountId,
        what: Errandry,
        key: Option<&str>,
        by: &str,
    ) -> Result<(ErrandId, bool), ErrandRefused> {
        let fault = key.and_then(fault_of_key).or_else(|| match &what {
            Errandry::Schedule(scheduling) => scheduling.asked.fault(),
            Errandry::Move(_) => None,
        });
        if let Some(fault) = fault {
            return Err(ErrandRefused::Invalid(fault));
        }
        let roster = Arc::clone(&self.parts.roster.borrow());
        let Some(account) = roster.accounts().find(|one| one.id == *account) else {
            return Err(ErrandRefused::NoAccount(account.clone()));
        };
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        let fresh = || format!("\0{}\0{}", now.as_millis(), self.count.fetch_add(1, Ordering::Relaxed));
        let id = errand_id(&account.id, &key.map_or_else(fresh, str::to_owned));
        if let Some(kept) = self.kept(id).await? {
            if kept.is_asked_by(&what) {
                return Ok((id, false));
            }
            return Err(ErrandRefused::KeyUsed(id));
        }
        let errand = Errand::new(id, (account.app.clone(), account.id.clone()), what, (by.to_owned(), now));
        let unfinished = self.unfinished(Some(&account.id)).await?;
        if unfinished.len() >= UNFINISHED_MAX {
            return Err(ErrandRefused::TooMany(account.id.clone(), UNFINISHED_MAX));
        }
        if let Subject::Meeting { id: meeting } = errand.subject()
            && let Some(other) = self.under_way(&errand, &unfinished).await?
        {
            return Err(ErrandRefused::UnderWay(meeting, other));
        }
        if self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(PRUNE_EVERY) {
            self.prune(now).await?;
        }
        let asking = Write::Put(errand.asking());
        let unmark = Write::Remove { shelf: Shelf::Errand, key: Errand::asking_key(id) };
        store.write_documents(vec![asking, Write::PutNew(errand.document())], Vec::new(), now).await?;
        crate::breakpoint::reached("errand-kept");
        let made = store.ask(vec![errand.job(now)], &format!("by {by}"), now).await?;
        if made.first().is_some_and(Option::is_some) {
            store.write_documents(vec![unmark], Vec::new(), now).await?;
            return Ok((id, true));
        }
        let gone = Write::Remove { shelf: Shelf::Errand, key: id.to_string() };
        store.write_documents(vec![unmark, gone], Vec::new(), now).await?;
        Err(ErrandRefused::Full)
    }

    /// The unfinished errand about the same meeting.
    async fn under_way(&self, errand: &Errand, unfinished: &[Errand]) -> Result<Option<ErrandId>, StoreError> {
        let filter = JobFilter {
            account: Some(errand.account.clone()),
            rule: Some(errand.what.rule()),
            subject: Some(errand.subject()),
            limit: OF_ONE_MAX,
            ..JobFilter::default()
        };
        let jobs = self.parts.store.jobs(filter).await?;
        let of = |job: Job| if let Asker::Errand(id) = job.made_by { Some(id) } else { None };
        if let Some(other) = jobs.into_iter().filter(|job| !job.state.is_finished()).find_map(of) {
            return Ok(Some(other));
        }
        // One that was cancelled has to take something back still, or to look, by a job that must not become another's.
        let holds = |other: &&Errand| other.what.lent().is_some() || other.what.may_be_done();
        let is_same = |other: &&Errand| other.subject() == errand.subject();
        Ok(unfinished.iter().filter(is_same).find(holds).map(|other| other.id))
    }

    /// Those that have not ended, of an account or all.
    async fn unfinished(&self, account: Option<&AccountId>) -> Result<Vec<Errand>, StoreError> {
        let is_meant = |document: &&Document| account.is_none_or(|only| document.account.as_ref() == Some(only));
        let documents = self.parts.store.documents(Shelf::Errand).await?;
        let errands = documents.iter().filter(is_meant).filter_map(Errand::read);
        // Older programs kept those that have ended there as well.
        Ok(errands.filter(|errand| errand.ended.is_none()).collect())
    }

    async fn kept(&self, id: ErrandId) -> Result<Option<Errand>, StoreError> {
        errand_kept(&*self.parts.store, id).await
    }

    pub async fn read(&self, id: ErrandId) -> Result<Option<ErrandNow>, StoreError> {
        let Some(before) = self.kept(id).await? else { return Ok(None) };
        let job = errand_job(&*self.parts.store, &before).await?;
        // Never older than its job: what that came to is in it.
        let kept = self.kept(id).await?.unwrap_or(before);
        let is_paused = self.parts.roster.borrow().paused().contains(&kept.account);
        Ok(Some(ErrandNow { kept, job, is_new: false, is_paused }))
    }

    /// Those that are meant, by when they were asked for, and after one of them.
    pub async fn list(
        &self,
        filter: &ErrandFilter,
        (after, limit): (Option<ErrandId>, usize),
    ) -> Result<Vec<ErrandNow>, StoreError> {
        let is_meant = |document: &&Document| filter.account.is_none() || document.account == filter.account;
        let mut found = BTreeMap::new();
        // In this order: one that ends meanwhile is on both, and not on none.
        for shelf in [Shelf::Errand, Shelf::ErrandEnded] {
            let documents = self.parts.store.documents(shelf).await?;
            let errands = documents.iter().filter(is_meant).filter_map(Errand::read);
            found.extend(errands.map(|kept| ((kept.asked_at, kept.id), kept)));
        }
        let mut found: Vec<Errand> = found.into_values().collect();
        if let Some(after) = after {
            let place = found.iter().position(|kept| kept.id == after);
            let gone = || StoreError::NotFound(format!("errand {after}, after which to go on"));
            found.drain(..=place.ok_or_else(gone)?);
        }
        found.retain(|kept| filter.user.as_ref().is_none_or(|user| kept.what.is_for(user)));
        let (mut listed, now) = (Vec::new(), self.parts.clock.now());
        for kept in found {
            if listed.len() >= limit {
                break;
            }
            let now_is = |one: &ErrandNow| filter.state.is_none_or(|state| one.stands(now).state == state);
            listed.extend(self.read(kept.id).await?.filter(now_is));
        }
        Ok(listed)
    }
}
