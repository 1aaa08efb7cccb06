//! All that the store holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Limits;
use super::log::{Line, Log};
use super::runs::Key;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::event::Meaning;
use crate::event::signature::Verified;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::{Asker, DayOf, Input, Job, JobState, Mark};
use crate::store::port::{
    AppState, DeliveryStatus, Document, GivenUp, NewDelivery, Note, Notice, QuotaUse, Shelf, StoreError,
    StoredDelivery, Write,
};
use crate::store::runs::{Folds, Remembered, Tellings};
use crate::store::sweep::SweepState;

#[derive(Debug)]
pub(super) struct World {
    pub(super) limits: Limits,
    pub(super) log: Log,
    /// Checkpoints, from number 1.
    pub(super) signed: Vec<String>,
    pub(super) deliveries: BTreeMap<DeliveryId, Kept>,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) jobs_made: u64,
    /// Finished jobs in the order in which they finished.
    pub(super) finished: VecDeque<JobId>,
    pub(super) done: u64,
    pub(super) cancelled: u64,
    /// When a job was first made or merged for an event with this meaning.
    pub(super) meanings: BTreeMap<(AppName, AccountId, Meaning), Timestamp>,
    pub(super) budgets: BTreeMap<(AccountId, RuleName), Budget>,
    pub(super) quotas: BTreeMap<(AccountId, i64), QuotaUse>,
    /// Changes that were made and read back.
    pub(super) made: Vec<Made>,
    /// By what they are of, and UTC day.
    pub(super) days: BTreeMap<(AccountId, DayOf, i64), DayUses>,
    pub(super) apps: BTreeMap<AppName, AppState>,
    pub(super) sweeps: BTreeMap<AccountId, SweepState>,
    /// By account, code and subject.
    pub(super) notices: Vec<Notice>,
    pub(super) planned: BTreeMap<RuleName, [u8; 16]>,
    pub(super) documents: BTreeMap<(Shelf, String), Document>,
    pub(super) given_up: Option<GivenUp>,
    pub(super) remembered: BTreeMap<AccountId, Remembered<Key>>,
    pub(super) folds: BTreeMap<AccountId, Folds<Key>>,
    pub(super) told: BTreeMap<AccountId, Tellings<Key>>,
    // What a start forgets.
    /// By token: claims of running jobs, and of jobs that were cancelled while they ran.
    pub(super) claims: BTreeMap<u64, Claim>,
    pub(super) tokens: u64,
    /// The account that was served last.
    pub(super) served: Option<AccountId>,
    /// Accounts whose jobs nobody takes.
    pub(super) paused: Arc<BTreeSet<AccountId>>,
    /// The `now` of the newest claim.
    pub(super) claimed_at: Option<Timestamp>,
}

/// A delivery and what became of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) app: AppName,
    pub(super) received_at: Timestamp,
    pub(super) verified: Verified,
    pub(super) body_hash: [u8; 32],
    pub(super) duplicate_of: Option<DeliveryId>,
    pub(super) same_request_as: Option<DeliveryId>,
    pub(super) replayed: bool,
    pub(super) is_backfilled: bool,
    pub(super) fate: Fate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Unplanned,
    Planned {
        code: String,
        jobs: Vec<JobId>,
    },
    Unreadable,
    /// The body named this account.
    Unclaimed(Option<AccountId>),
    /// The account has too many unfinished jobs.
    Held(AccountId),
}

#[derive(Debug)]
pub(super) struct Claim {
    pub(super) job: JobId,
    pub(super) started: bool,
    /// When the job was due before it was claimed.
    pub(super) was_due_at: Timestamp,
    /// Of the changes that were granted under it.
    pub(super) marks: Vec<Mark>,
}

/// A change that was made of a subject for a rule.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) account: AccountId,
    pub(super) rule: RuleName,
    /// As its key says it.
    pub(super) subject: String,
    pub(super) mark: Mark,
    pub(super) at: Timestamp,
    pub(super) by: Asker,
}

/// What of one UTC day is used.
#[derive(Debug, Default)]
pub(super) struct DayUses {
    pub(super) by: BTreeSet<UsedBy>,
    /// Zoom says that nothing is left.
    pub(super) is_spent: bool,
    pub(super) is_told: bool,
}

/// What counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UsedBy {
    Job(JobId),
    /// The intent with this entry.
    Intent(u64),
}

/// Intents of one account and rule, by UTC hour.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Against the limit of the hour.
    pub(super) hours: BTreeMap<i64, u32>,
    /// Against the limit of 24 hours: emptied when a person resumes the rule.
    pub(super) share: BTreeMap<i64, u32>,
    /// The hour of the last notice.
    pub(super) noticed: Option<i64>,
    /// It came to the limit of 24 hours, and no person has resumed it.
    pub(super) is_stopped: bool,
}

impl Kept {
    pub(super) fn stored(&self, id: DeliveryId) -> StoredDelivery {
        StoredDelivery {
            id,
            app: self.app.clone(),
            received_at: self.received_at,
            verified: Some(self.verified.clone()),
            duplicate_of: if self.replayed { None } else { self.duplicate_of },
            same_request_as: self.same_request_as,
            replayed: self.replayed,
            is_backfilled: self.is_backfilled,
        }
    }

    pub(super) fn status(&self) -> DeliveryStatus {
        match &self.fate {
            Fate::Unplanned => DeliveryStatus::Unplanned,
            Fate::Planned { code, jobs } => DeliveryStatus::Planned { code: code.clone(), jobs: jobs.clone() },
            Fate::Unreadable => DeliveryStatus::Parked { cause: "unreadable".to_owned() },
            Fate::Unclaimed(_) => DeliveryStatus::Parked { cause: "unclaimed".to_owned() },
            Fate::Held(_) => DeliveryStatus::Parked { cause: "backlog".to_owned() },
        }
    }

    pub(super) const fn is_parked(&self) -> bool {
        matches!(self.fate, Fate::Unreadable | Fate::Unclaimed(_) | Fate::Held(_))
    }
}

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            log: Log::default(),
            signed: Vec::new(),
            deliveries: BTreeMap::new(),
            jobs: BTreeMap::new(),
            jobs_made: 0,
            finished: VecDeque::new(),
            done: 0,
            cancelled: 0,
            meanings: BTreeMap::new(),
            budgets: BTreeMap::new(),
            quotas: BTreeMap::new(),
            made: Vec::new(),
            days: BTreeMap::new(),
            apps: BTreeMap::new(),
            sweeps: BTreeMap::new(),
            notices: Vec::new(),
            planned: BTreeMap::new(),
            documents: BTreeMap::new(),
            given_up: None,
            remembered: BTreeMap::new(),
            folds: BTreeMap::new(),
            told: BTreeMap::new(),
            claims: BTreeMap::new(),
            tokens: 0,
            served: None,
            paused: Arc::default(),
            claimed_at: None,
        }
    }

    pub(super) fn within_window(&self, earlier: Timestamp, now: Timestamp) -> bool {
        now.since(earlier) <= self.limits.dedupe_window
    }

    pub(super) fn unfinished(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|job| !job.state.is_finished())
    }

    /// How many jobs may still be made for the account.
    pub(super) fn room_of(&self, account: &AccountId) -> u64 {
        let unfinished = self.unfinished().filter(|job| job.account == *account).count();
        self.limits.backlog_max.saturating_sub(crate::store::wide(unfinished))
    }

    pub(super) fn deliver(&mut self, new: NewDelivery) -> Result<DeliveryId, StoreError> {
        let known = || StoreError::Failed("a delivery that came by itself is always stored".to_owned());
        self.store_delivery(new, false)?.ok_or_else(known)
    }

    /// None where it is known, and one of Zoom's log.
    pub(super) fn store_delivery(
        &mut self,
        new: NewDelivery,
        is_backfilled: bool,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let NewDelivery { app, received_at, verified } = new;
        let unplanned = self.deliveries.values().filter(|kept| kept.app == app && kept.fate == Fate::Unplanned).count();
        if crate::store::wide(unplanned) >= self.limits.backlog_max {
            return Err(StoreError::Backlog);
        }
        let body_hash: [u8; 32] = Sha256::digest(verified.body()).into();
        let newest_first = || self.deliveries.iter().rev().filter(|(_, kept)| kept.app == app);
        let duplicate_of = newest_first()
            .find(|(_, kept)| kept.body_hash == body_hash && kept.duplicate_of.is_none())
            .filter(|(_, kept)| self.within_window(kept.received_at, received_at))
            .map(|(id, _)| *id);
        let same_request_as = newest_first()
            .find(|(_, kept)| verified.request_id().is_some() && kept.verified.request_id() == verified.request_id())
            .filter(|(_, kept)| self.within_window(kept.received_at, received_at) && kept.body_hash != body_hash)
            .map(|(id, _)| *id);

        if is_backfilled && duplicate_of.is_some() {
            return Ok(None);
        }
        let id = DeliveryId::from_number(self.deliveries.last_key_value().map_or(1, |(id, _)| id.number() + 1));
        let mut line = Line::new(received_at, Kind::Delivery, if is_backfilled { "backfilled" } else { "stored" });
        line = line.of_delivery(id).of_app(Some(app.clone()), None);
        if let Some(other) = same_request_as {
            line = line.saying(format!("the request id came before with another body, as {other}"));
        }
        self.log.add(line);
        if !is_backfilled {
            let state = self.apps.entry(app.clone()).or_default();
            state.verified_at = state.verified_at.max(Some(received_at));
        }
        let (replayed, fate) = (false, Fate::Unplanned);
        let kept = Kept {
            app,
            received_at,
            verified,
            body_hash,
            duplicate_of,
            same_request_as,
            replayed,
            is_backfilled,
            fate,
        };
        self.deliveries.insert(id, kept);
        Ok(Some(id))
    }

    pub(super) fn note(&mut self, note: Note, at: Timestamp) {
        let max = self.limits.notices_bytes_max;
        let of_account = || self.notices.iter().filter(|notice| Some(&notice.account) == note.account.as_ref());
        if let Some(notice) = Notice::of(&note, at).filter(|notice| notice.has_room(of_account(), max)) {
            if let Some(standing) = self.notices.iter_mut().find(|other| other.key() == notice.key()) {
                standing.what = notice.what;
            } else {
                self.notices.push(notice);
                self.notices.sort_by(|one, other| one.key().cmp(&other.key()));
            }
        }
        let Note { kind, app, account, code, detail } = note;
        self.log.add(Line::new(at, kind, code).of_app(app, account).with(detail));
    }

    pub(super) fn write_documents(
        &mut self,
        writes: Vec<Write>,
        notes: Vec<Note>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        Write::check(&writes, |shelf, key| self.documents.contains_key(&(shelf, key.to_owned())))?;
        for write in writes {
            match write {
                Write::Put(document) | Write::PutNew(document) => {
                    self.documents.insert((document.shelf, document.key.clone()), document);
                }
                Write::Remove { shelf, key } => drop(self.documents.remove(&(shelf, key))),
            }
        }
        for note in notes {
            self.note(note, at);
        }
        Ok(())
    }

    pub(super) fn mend(&mut self, notice: &Notice, at: Timestamp) -> bool {
        let Some(place) = self.notices.iter().position(|other| other.key() == notice.key()) else { return false };
        let Notice { account, code, subject, .. } = self.notices.remove(place);
        let detail = Detail { subject, ..Detail::note(code) };
        self.log.add(Line::new(at, Kind::Attention, "mended").of_app(None, Some(account)).with(detail));
        true
    }

    pub(super) fn record_planned(&mut self, rule: &RuleName, hash: [u8; 16], at: Timestamp) {
        if self.planned.insert(rule.clone(), hash) != Some(hash) {
            self.log.add(Line::new(at, Kind::Service, "planned").of_rule(rule.clone()));
        }
    }

    pub(super) fn validated(&mut self, app: &AppName, at: Timestamp) {
        let state = self.apps.entry(app.clone()).or_default();
        state.validated_at = state.validated_at.max(Some(at));
    }

    pub(super) fn secrets_seen(&mut self, app: &AppName, secrets: [u8; 16], at: Timestamp) -> AppState {
        let state = self.apps.entry(app.clone()).or_default();
        if state.secrets.is_some_and(|before| before != secrets) {
            state.secrets_changed_at = Some(at);
        }
        state.secrets = Some(secrets);
        *state
    }

    /// Moves a job on where its state allows it, and keeps count of those that finish. Whether it moved.
    pub(super) fn apply(&mut self, id: JobId, input: Input) -> bool {
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        if job.apply(input).is_err() {
            return false;
        }
        match job.state {
            JobState::Done { .. } => self.done += 1,
            JobState::Cancelled { .. } => self.cancelled += 1,
            _ => return true,
        }
        self.finished.push_back(id);
        while self.finished.len() > self.limits.finished_max {
            if let Some(oldest) = self.finished.pop_front() {
                self.jobs.remove(&oldest);
            }
        }
        true
    }
}
