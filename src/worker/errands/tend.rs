//! Errands that are kept are looked after: at the start, and now and then.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Errands;
use crate::alarm::Alarm;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ErrandId};
use crate::job::{Job, JobState};
use crate::store::{Document, Move, Selector, Shelf, StoreError, Write};
use crate::work::{Errand, ErrandEnded, ErrandResult, Errandry, errand_job};

/// How long an errand is kept when it has ended, and its key with it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Those of one account that have ended: the oldest go first.
pub(in crate::worker) const ENDED_MAX: usize = 20_000;
/// Meetings of one account of which it is known whose privilege counted: more than are moved twice.
pub(in crate::worker) const PRINCIPALS_MAX: usize = 20_000;
/// Documents of one write.
const AT_ONCE: usize = 500;

impl Errands {
    /// Looks after all that are kept: at the start, and now and then.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let _nobody_asks_meanwhile = self.asking.lock().await;
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        for errand in self.unfinished(None).await? {
            match errand_job(&**store, &errand).await? {
                Some(job) if !job.state.is_finished() => {}
                None if store.document(Shelf::Errand, &Errand::asking_key(errand.id)).await?.is_some() => {
                    let made = store.ask(vec![errand.job(now)], "again: it had no job", now).await?;
                    if made.first().is_some_and(Option::is_some) {
                        let unmark = Write::Remove { shelf: Shelf::Errand, key: Errand::asking_key(errand.id) };
                        store.write_documents(vec![unmark], Vec::new(), now).await?;
                    }
                }
                job => self.without_end(errand.id, job, now).await?,
            }
        }
        self.prune(now).await
    }

    /// Its job has ended, or is not kept any more, and does not say what it came to. Where Zoom may have done it already, or
    /// something is lent still, a job of its own sees to that; once, unless it is to take something back.
    async fn without_end(&self, id: ErrandId, job: Option<Job>, now: Timestamp) -> Result<(), StoreError> {
        let store = &self.parts.store;
        // What was read before may be older than its job.
        let Some(errand) = self.kept(id).await?.filter(|newest| newest.ended.is_none()) else { return Ok(()) };
        let mut why = match job.map(|job| job.state) {
            Some(JobState::Cancelled { why, .. }) => why,
            _ => "its job has ended, and is not kept any more".to_owned(),
        };
        let is_served = self.parts.roster.borrow().accounts().any(|account| account.id == errand.account);
        let (is_lent, may_be_done) = (errand.what.lent().is_some(), errand.what.may_be_done());
        if is_lent && !is_served {
            // Nobody can take it back before the account is served again; where it is forgotten, this goes as well.
            return Ok(());
        }
        let is_off = store.document(Shelf::Errand, &Errand::off_key(id)).await?.is_some();
        if is_lent || (may_be_done && is_served && !is_off) {
            if !is_off {
                store.write_documents(vec![Write::Put(errand.called_off(why))], Vec::new(), now).await?;
            }
            let what = "to see what Zoom had done of it by then, and take back what was lent";
            let made = store.ask(vec![errand.job(now)], what, now).await?;
            if !is_off && made.first().is_none_or(Option::is_none) {
                let anew = Write::Remove { shelf: Shelf::Errand, key: Errand::off_key(id) };
                store.write_documents(vec![anew], Vec::new(), now).await?;
            }
            return Ok(());
        }
        if may_be_done {
            why.push_str("; it is not known whether Zoom had done it by then");
        }
        let ended = errand.into_ended(ErrandEnded { at: now, result: ErrandResult::Cancelled(why) });
        store.write_documents(ended.end_writes(), Vec::new(), now).await
    }

    /// What has ended goes after a while, and the oldest where there are too many; what is known of an errand goes with it, and
    /// of a meeting where that is known of too many. Only while nobody asks.
    pub(super) async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        let store = &self.parts.store;
        // In this order: one that ends meanwhile is on both, and not on none.
        let mut documents = store.documents(Shelf::Errand).await?;
        documents.extend(store.documents(Shelf::ErrandEnded).await?);
        let (mut errands, mut beside) = (HashMap::new(), Vec::new());
        for document in &documents {
            match Errand::read(document) {
                Some(errand) => drop(errands.insert(errand.id, (errand, document.shelf))),
                None => beside.push(document),
            }
        }
        let mut writes = Vec::new();
        for id in self.too_old(errands.values().map(|(errand, _)| errand), now).await? {
            if let Some((_, shelf)) = errands.remove(&id) {
                writes.push(Write::Remove { shelf, key: id.to_string() });
            }
        }
        let mut kept = Kept::of(errands.values().map(|(errand, _)| errand));
        for document in beside {
            writes.extend(kept.write(document));
        }
        // As older programs left them.
        let left = errands.into_values().filter(|(errand, shelf)| *shelf == Shelf::Errand && errand.ended.is_some());
        for (mut errand, _) in left {
            if let Some(ended) = errand.ended.take() {
                writes.extend(errand.into_ended(ended).end_writes());
            }
        }
        for portion in writes.chunks(AT_ONCE) {
            store.write_documents(portion.to_vec(), Vec::new(), now).await?;
        }
        self.prune_words(now).await
    }

    async fn too_old(
        &self,
        errands: impl Iterator<Item = &Errand>,
        now: Timestamp,
    ) -> Result<Vec<ErrandId>, StoreError> {
        let mut ended: Vec<(Timestamp, &Errand)> =
            errands.filter_map(|errand| Some((errand.ended.as_ref()?.at, errand))).collect();
        ended.sort_by_key(|(at, errand)| Reverse((*at, errand.id)));
        let (mut of_account, mut old) = (HashMap::<&AccountId, usize>::new(), Vec::new());
        for (at, errand) in ended {
            let newer = of_account.entry(&errand.account).or_default();
            *newer = newer.saturating_add(1);
            if *newer <= ENDED_MAX && now.since(at) <= KEPT {
                continue;
            }
            // Its job reads it once more, where the process ended in between.
            let job = errand_job(&*self.parts.store, errand).await?;
            old.extend(Some(errand.id).filter(|_| job.is_none_or(|job| job.state.is_finished())));
        }
        Ok(old)
    }

    /// Moves that hold something that was lent for longer than may be.
    fn is_overdue(&self, errand: &Errand) -> bool {
        let (now, max) = (self.parts.clock.now(), self.parts.settings.moves.lend_max);
        errand.what.lent().is_some_and(|lent| now.since(lent.since) >= max)
    }

    /// Each minute: what Zoom may have done of errands whose jobs were cancelled is looked at, and what is lent too long goes on,
    /// so that it is taken back.
    pub async fn go_on(&self) -> Result<(), StoreError> {
        let _nobody_asks_meanwhile = self.asking.lock().await;
        let store = &self.parts.store;
        let roster = Arc::clone(&self.parts.roster.borrow());
        let can_work = |errand: &Errand| {
            let is_served = roster.accounts().any(|account| account.id == errand.account);
            is_served && !roster.paused().contains(&errand.account)
        };
        for errand in self.unfinished(None).await?.into_iter().filter(can_work) {
            let is_overdue = self.is_overdue(&errand);
            if !is_overdue && !errand.what.may_be_done() {
                continue;
            }
            let now = self.parts.clock.now();
            match errand_job(&**store, &errand).await? {
                Some(job) if !job.state.is_finished() => {
                    if !is_overdue || matches!(job.state, JobState::Running { .. }) {
                        continue;
                    }
                    let by = "adjutant, which takes back what was lent";
                    match store.move_jobs(Selector::Job(job.id), Move::Retry, by, now).await {
                        Ok(_) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                job => self.without_end(errand.id, job, now).await?,
            }
        }
        Ok(())
    }

    /// What of lending a person should know.
    pub async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        let max = self.parts.settings.moves.lend_max.as_secs();
        let alarm = |errand: &Errand| {
            let lent = errand.what.lent()?;
            let what = format!(
                "the privilege to schedule for {} was lent to user {} at {}, for longer than {max} s, and is not taken back",
                errand.what.host(),
                lent.to,
                lent.since
            );
            let (advice, command) = if lent.is_left {
                let advice = "Zoom takes no calls for the account: an admin of it takes it back in Zoom's pages, or authorises the app again";
                (advice, format!("adjutant accounts show {}", errand.account))
            } else {
                let advice = "it is tried again each minute; where that fails for good, take it back by hand";
                (
                    advice,
                    format!("adjutant assistants remove --account {} --user {} {}", errand.account, lent.of, lent.to),
                )
            };
            let alarm = Alarm::new("lent-too-long", what, advice, command);
            Some(alarm.of_account(&errand.account).since(lent.since))
        };
        let unfinished = self.unfinished(None).await?;
        Ok(unfinished.iter().filter(|errand| self.is_overdue(errand)).filter_map(alarm).collect())
    }
}

/// What the errands that are kept need of what is kept beside them.
#[derive(Debug, Default)]
struct Kept {
    all: HashSet<String>,
    unfinished: HashSet<String>,
    /// Meetings that they move.
    meetings: HashSet<String>,
    /// Of so many meetings of an account it is known whose privilege counted.
    principals: HashMap<Option<AccountId>, usize>,
}

impl Kept {
    fn of<'a>(errands: impl Iterator<Item = &'a Errand>) -> Self {
        let mut kept = Self::default();
        for errand in errands {
            kept.all.insert(errand.id.to_string());
            if errand.ended.is_none() {
                kept.unfinished.insert(errand.id.to_string());
            }
            if let Errandry::Move(moving) = &errand.what {
                kept.meetings.insert(moving.asked.meeting.to_string());
            }
        }
        kept
    }

    /// What has to be done about a document that is no errand.
    fn write(&mut self, document: &Document) -> Vec<Write> {
        let Some((kind, of)) = document.key.split_once(' ') else { return Vec::new() };
        let is_needed = match kind {
            "asking" | "off" => self.unfinished.contains(of),
            "made" => std::str::from_utf8(&document.value).is_ok_and(|id| self.all.contains(id)),
            "principal" => {
                let count = self.principals.entry(document.account.clone()).or_default();
                *count = count.saturating_add(1);
                *count <= PRINCIPALS_MAX || self.meetings.contains(of)
            }
            // Of what is lent, or of a newer program.
            _ => return Vec::new(),
        };
        let remove = Write::Remove { shelf: document.shelf, key: document.key.clone() };
        let is_of_meeting = matches!(kind, "made" | "principal");
        match (is_needed, document.shelf) {
            (false, _) => vec![remove],
            // As older programs left it.
            (true, Shelf::Errand) if is_of_meeting => {
                vec![remove, Write::Put(Document { shelf: Shelf::ErrandEnded, ..document.clone() })]
            }
            (true, _) => Vec::new(),
        }
    }
}
