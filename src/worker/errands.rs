//! Errands: asked for, found again, looked after.
//!
//! Guarantees: a request is on disk before it is answered; the same key is the same errand; what was asked for and has no job,
//! because the process ended in between, gets one at the next start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Parts;
use crate::alarm::Alarm;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ErrandId};
use crate::job::{Asker, Job, JobState, Subject};
use crate::store::{Document, JobFilter, Shelf, StoreError, Write};
use crate::store::{Move, Selector};
use crate::work::{
    Errand, ErrandEnded, ErrandNow, ErrandRefused, ErrandResult, Errandry, MoveVerdict, errand_id, errand_job,
    fault_of_key,
};

/// How long an errand is kept when it has ended, and its key with it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Jobs of one meeting that are looked at.
const OF_ONE_MAX: usize = 200;
/// Documents of one write.
const AT_ONCE: usize = 500;

/// Takes requests, one after the other.
#[derive(Debug)]
pub struct Errands {
    parts: Parts,
    asking: Mutex<()>,
    count: AtomicU64,
}

impl Errands {
    pub fn new(parts: Parts) -> Self {
        Self { parts, asking: Mutex::default(), count: AtomicU64::new(0) }
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
            if kept.what.asks_as(&what) {
                return Ok((id, false));
            }
            return Err(ErrandRefused::Invalid(format!("the key was used for another request, {id}")));
        }
        let errand = Errand::new(id, (account.app.clone(), account.id.clone()), what, (by.to_owned(), now));
        if let Subject::Meeting { id: meeting } = errand.subject()
            && let Some(other) = self.under_way(&errand).await?
        {
            return Err(ErrandRefused::UnderWay(meeting, other));
        }
        // Until its job is made: one that has none, and no such mark, had one.
        let mark = mark(&errand);
        let unmark = Write::Remove { shelf: mark.shelf, key: mark.key.clone() };
        store.write_documents(vec![Write::Put(mark), Write::PutNew(errand.document())], Vec::new(), now).await?;
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
    async fn under_way(&self, errand: &Errand) -> Result<Option<ErrandId>, StoreError> {
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
        // One that was cancelled has to take something back still, by a job that must not become another's.
        let holds = |other: &Errand| match &other.what {
            Errandry::Move(moving) => other.ended.is_none() && moving.open().is_some(),
            Errandry::Schedule(_) => false,
        };
        let is_same = |other: &Errand| other.account == errand.account && other.subject() == errand.subject();
        Ok(self.all().await?.into_iter().find(|other| is_same(other) && holds(other)).map(|other| other.id))
    }

    async fn kept(&self, id: ErrandId) -> Result<Option<Errand>, StoreError> {
        let found = self.parts.store.document(Shelf::Errand, &id.to_string()).await?;
        Ok(found.as_ref().and_then(Errand::read))
    }

    pub async fn read(&self, id: ErrandId) -> Result<Option<ErrandNow>, StoreError> {
        let Some(before) = self.kept(id).await? else { return Ok(None) };
        let job = errand_job(&*self.parts.store, &before).await?;
        // Never older than its job: what that came to is in it.
        let kept = self.kept(id).await?.unwrap_or(before);
        let is_paused = self.parts.roster.borrow().paused().contains(&kept.account);
        Ok(Some(ErrandNow { kept, job, is_new: false, is_paused }))
    }

    /// Those of an account or all, by when they were asked for, and after one of them.
    pub async fn list(
        &self,
        account: Option<&AccountId>,
        (after, limit): (Option<ErrandId>, usize),
    ) -> Result<Vec<ErrandNow>, StoreError> {
        let mut found = self.all().await?;
        found.retain(|kept| account.is_none_or(|account| kept.account == *account));
        found.sort_by_key(|kept| (kept.asked_at, kept.id));
        let from = match after {
            None => 0,
            Some(after) => match found.iter().position(|kept| kept.id == after) {
                Some(place) => place.saturating_add(1),
                None => return Err(StoreError::NotFound(format!("errand {after}, after which to go on"))),
            },
        };
        let mut listed = Vec::new();
        for kept in found.into_iter().skip(from).take(limit) {
            listed.extend(self.read(kept.id).await?);
        }
        Ok(listed)
    }

    async fn all(&self) -> Result<Vec<Errand>, StoreError> {
        Ok(self.parts.store.documents(Shelf::Errand).await?.iter().filter_map(Errand::read).collect())
    }

    /// Looks after all that are kept: at the start, and now and then.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let _nobody_asks_meanwhile = self.asking.lock().await;
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        let mut writes = Vec::new();
        for errand in self.all().await? {
            let job = errand_job(&**store, &errand).await?;
            let mark = mark(&errand).key;
            match (job, &errand.ended) {
                (Some(job), _) if !job.state.is_finished() => {}
                (_, Some(ended)) if now.since(ended.at) > KEPT => {
                    let made = match &ended.result {
                        ErrandResult::Done { meeting, .. } => Some(format!("made {meeting}")),
                        ErrandResult::Refused(_) | ErrandResult::Cancelled(_) => None,
                    };
                    let keys = [Some(errand.id.to_string()), made].into_iter().flatten();
                    writes.extend(keys.map(|key| Write::Remove { shelf: Shelf::Errand, key }));
                }
                (_, Some(_)) => {}
                (None, None) if store.document(Shelf::Errand, &mark).await?.is_some() => {
                    let made = store.ask(vec![errand.job(now)], "again: it had no job", now).await?;
                    if made.first().is_some_and(Option::is_some) {
                        writes.push(Write::Remove { shelf: Shelf::Errand, key: mark });
                    }
                }
                (job, None) => {
                    let why = match job.map(|job| job.state) {
                        Some(JobState::Cancelled { why, .. }) => why,
                        _ => "its job has ended, and is not kept any more".to_owned(),
                    };
                    if let Errandry::Move(moving) = &errand.what
                        && moving.open().is_some()
                    {
                        self.take_back(&errand, why, now).await?;
                        continue;
                    }
                    // What was read before may be older than its job.
                    if let Some(mut newest) = self.kept(errand.id).await?.filter(|newest| newest.ended.is_none()) {
                        let ended = Some(ErrandEnded { at: now, result: ErrandResult::Cancelled(why) });
                        newest.ended = ended;
                        writes.push(Write::Put(newest.document()));
                    }
                }
            }
        }
        for portion in writes.chunks(AT_ONCE) {
            store.write_documents(portion.to_vec(), Vec::new(), now).await?;
        }
        Ok(())
    }

    /// What was lent for a move that was cancelled is taken back by a job of its own.
    async fn take_back(&self, errand: &Errand, why: String, now: Timestamp) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let Some(mut newest) = self.kept(errand.id).await?.filter(|newest| newest.ended.is_none()) else {
            return Ok(());
        };
        if let Errandry::Move(moving) = &mut newest.what {
            moving.verdict.get_or_insert(MoveVerdict::Cancelled(why));
        }
        store.write_documents(vec![Write::Put(newest.document())], Vec::new(), now).await?;
        store.ask(vec![newest.job(now)], "to take back what was lent", now).await.map(drop)
    }

    /// Moves that hold something that was lent for longer than may be.
    async fn overdue(&self) -> Result<Vec<Errand>, StoreError> {
        let (now, max) = (self.parts.clock.now(), self.parts.settings.moves.lend_max);
        let is_overdue = |errand: &Errand| match &errand.what {
            Errandry::Move(moving) => moving.open().is_some_and(|lent| now.since(lent.since) >= max),
            Errandry::Schedule(_) => false,
        };
        Ok(self.all().await?.into_iter().filter(is_overdue).collect())
    }

    /// Lets those go on, so that they take it back.
    pub async fn end_lending(&self) -> Result<(), StoreError> {
        let _nobody_asks_meanwhile = self.asking.lock().await;
        let store = &self.parts.store;
        let roster = Arc::clone(&self.parts.roster.borrow());
        let can_work = |errand: &Errand| {
            let is_served = roster.accounts().any(|account| account.id == errand.account);
            is_served && !roster.paused().contains(&errand.account)
        };
        for errand in self.overdue().await?.into_iter().filter(can_work) {
            match errand_job(&**store, &errand).await? {
                Some(job) if matches!(job.state, JobState::Running { .. }) => {}
                Some(job) if !job.state.is_finished() => {
                    let by = "adjutant, which takes back what was lent";
                    match store.move_jobs(Selector::Job(job.id), Move::Retry, by, self.parts.clock.now()).await {
                        Ok(_) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                _ => self.take_back(&errand, "it was cancelled".to_owned(), self.parts.clock.now()).await?,
            }
        }
        Ok(())
    }

    /// What of lending a person should know.
    pub async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        let max = self.parts.settings.moves.lend_max.as_secs();
        let alarm = |errand: Errand| {
            let Errandry::Move(moving) = &errand.what else { return None };
            let lent = moving.open()?;
            let what = format!(
                "the privilege to schedule for {} was lent to user {} at {}, for longer than {max} s, and is not taken back",
                moving.asked.to, lent.to, lent.since
            );
            let advice = "it is tried again each minute; where that fails for good, take it back by hand";
            let command =
                format!("adjutant assistants remove --account {} --user {} {}", errand.account, lent.of, lent.to);
            let alarm = Alarm::new("lent-too-long", what, advice, command);
            Some(alarm.of_account(&errand.account).since(lent.since))
        };
        Ok(self.overdue().await?.into_iter().filter_map(alarm).collect())
    }
}

fn mark(errand: &Errand) -> Document {
    let (key, account) = (format!("asking {}", errand.id), Some(errand.account.clone()));
    Document { shelf: Shelf::Errand, key, account, value: Vec::new() }
}
