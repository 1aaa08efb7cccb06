//! Onboardings that are kept are looked after: at the start, and now and then.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Onboarder, job_of};
use crate::clock::Timestamp;
use crate::ids::{JobId, OnboardingId};
use crate::job::{Job, JobState, Outcome};
use crate::store::{Document, Move, Selector, Shelf, StoreError, Write};
use crate::work::{Beside, Onboarding, Step, jobs_about, own_job, stands, tell};

/// How long an onboarding is kept when it has ended, and its key with it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// How long who waits is left to events alone.
const LOOK_AGAIN: Duration = Duration::from_secs(86_400);

impl Onboarder {
    /// Looks after all that are kept. What has an unfinished job is the runner's, and is not written.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let _nobody_asks_meanwhile = self.asking.lock().await;
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        let documents = store.documents(Shelf::Onboarding).await?;
        let asking: HashSet<OnboardingId> = documents.iter().filter_map(Beside::read).flat_map(Beside::asks).collect();
        let (mut writes, mut missing, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for one in documents.iter().filter_map(Onboarding::read) {
            let own = own_job(&**store, &one).await?;
            match (own, &one.ended) {
                (Some(job), _) if !job.state.is_finished() => {
                    waiting.extend(Some(job.id).filter(|_| has_waited(&job, now)));
                }
                (_, Some(ended)) if now.since(ended.at) > KEPT => {
                    let keys = [one.id.to_string(), Beside::told_key(one.id)];
                    writes.extend(keys.map(|key| Write::Remove { shelf: Shelf::Onboarding, key }));
                }
                (_, Some(_)) => {}
                (None, None) if asking.contains(&one.id) => missing.push(one),
                // It ended: nobody writes what is kept of it but this. What was read before may be older than its job.
                (job, None) => {
                    let newest = self.kept(one.id).await?.filter(|newest| newest.ended.is_none());
                    writes.extend(newest.map(|newest| Write::Put(ended(newest, job, now).document())));
                }
            }
        }
        self.write(writes, now).await?;
        self.ask_again(&documents, &missing, now).await?;
        self.look_again(waiting, now).await
    }

    /// Those whose job was not made before the process ended, or for which there was no room.
    async fn ask_again(
        &self,
        documents: &[Document],
        missing: &[Onboarding],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut left = HashSet::new();
        if !missing.is_empty() {
            let jobs = missing.iter().map(|one| job_of(one, now)).collect();
            let made = self.parts.store.ask(jobs, "again: it had no job", now).await?;
            left = missing.iter().zip(made).filter(|(_, job)| job.is_none()).map(|(one, _)| one.id).collect();
        }
        let mut writes = Vec::new();
        for document in documents {
            if let Some(Beside::Asking { ids }) = Beside::read(document) {
                let still: Vec<OnboardingId> = ids.iter().copied().filter(|id| left.contains(id)).collect();
                writes
                    .extend(Some(Beside::Asking { ids: still.clone() }.in_place_of(document)).filter(|_| still != ids));
            }
        }
        self.write(writes, now).await
    }

    async fn look_again(&self, waiting: Vec<JobId>, now: Timestamp) -> Result<(), StoreError> {
        for job in waiting {
            let by = "adjutant, which looks once a day";
            match self.parts.store.move_jobs(Selector::Job(job), Move::Retry, by, now).await {
                Ok(_) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells consumers of those that were set aside, or cancelled: nothing of theirs runs that could. Each is told once; what
    /// cannot be told now is, the next time.
    pub async fn tell(&self) -> Result<(), StoreError> {
        if !self.notifies.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let told = self.tell_all().await;
        self.notifies.fetch_or(told.is_err(), Ordering::Relaxed);
        told
    }

    async fn tell_all(&self) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let documents = store.documents(Shelf::Onboarding).await?;
        let told: HashMap<OnboardingId, String> =
            documents.iter().filter_map(Beside::read).filter_map(Beside::told).collect();
        for one in documents.iter().filter_map(Onboarding::read).filter(|one| one.wanted.notify.is_some()) {
            self.notifies.store(true, Ordering::Relaxed);
            let Some(own) = own_job(&**store, &one).await? else { continue };
            let (JobState::Parked { at, .. } | JobState::Cancelled { at, .. }) = &own.state else { continue };
            let what = format!("{}_{}", own.state.name(), at.as_millis());
            if told.get(&one.id) == Some(&what) {
                continue;
            }
            let (now, jobs) = (self.parts.clock.now(), jobs_about(&**store, &one).await?);
            let said = stands(&one, &jobs, self.held(&one.account), now);
            if let Some(Outcome::Done(_)) = tell(&*self.parts.feed, &one, &own, (&said, &jobs, Some(&what))).await {
                let document = Beside::Told { of: one.id, what }.document(&one);
                store.write_documents(vec![Write::Put(document)], Vec::new(), now).await?;
            }
        }
        Ok(())
    }
}

fn has_waited(job: &Job, now: Timestamp) -> bool {
    matches!(&job.state, JobState::Waiting { since, .. } if now.since(*since) >= LOOK_AGAIN)
}

/// By what its job came to. One whose job is not kept any more was done where its rules had been asked.
fn ended(one: Onboarding, job: Option<Job>, now: Timestamp) -> Onboarding {
    match job.map(|job| job.state) {
        Some(JobState::Cancelled { at, why }) => one.ended(at, Some(why)),
        None if !matches!(one.step, Step::Rules { .. }) => {
            one.ended(now, Some("its job has ended, and is not kept any more".to_owned()))
        }
        _ => one.ended(now, None),
    }
}
