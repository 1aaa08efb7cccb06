//! From deliveries to jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::log::Line;
use super::runs::told_key;
use super::world::{Fate, World};
use crate::audit::Kind;
use crate::clock::Timestamp;
use crate::event::Meaning;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::{Asker, Input, Job, JobState, NewJob, Subject};
use crate::rules::Step;
use crate::store::port::{Decision, GivenUp, StoreError, StoredDelivery, Verdict};

const RELEASED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the steps of one decision did.
#[derive(Default)]
pub(super) struct Done {
    /// Made, merged, woken, cancelled.
    pub(super) touched: BTreeSet<JobId>,
    pub(super) made_or_merged: bool,
    pub(super) cancelled: Vec<Job>,
}

/// What is known while the steps of one decision are taken.
pub(super) struct Planning {
    pub(super) delivery: DeliveryId,
    pub(super) app: AppName,
    pub(super) account: AccountId,
    /// Whether jobs may be made: not where the event's meaning was seen before.
    pub(super) fresh: bool,
    pub(super) event_at: Option<Timestamp>,
    received_at: Timestamp,
    pub(super) at: Timestamp,
}

impl Planning {
    /// So long after the event, and not before now. A clock of Zoom's that runs ahead puts nothing off.
    pub(super) fn after(&self, span: Duration) -> Timestamp {
        let happened = self.event_at.map_or(self.received_at, |event_at| event_at.min(self.received_at));
        happened.plus(span).max(self.at)
    }
}

impl World {
    pub(super) fn unplanned(&self, but: &[DeliveryId], limit: usize) -> Vec<StoredDelivery> {
        let waits = self.deliveries.iter().filter(|(id, kept)| !but.contains(id) && kept.fate == Fate::Unplanned);
        let mut before: BTreeMap<&AppName, (DeliveryId, usize)> = BTreeMap::new();
        let mut in_turn: Vec<_> = waits
            .map(|(id, kept)| {
                let (oldest, turn) = before.entry(&kept.app).or_insert((*id, 0));
                *turn += 1;
                (*turn, *oldest, *id)
            })
            .collect();
        in_turn.sort_unstable();
        let chosen: BTreeSet<DeliveryId> = in_turn.into_iter().take(limit).map(|(_, _, id)| id).collect();
        chosen.into_iter().filter_map(|id| Some(self.deliveries.get(&id)?.stored(id))).collect()
    }

    pub(super) fn record_plan(&mut self, decisions: Vec<Decision>, at: Timestamp) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        for decision in &decisions {
            self.check(decision)?;
            if !seen.insert(decision.delivery) {
                return Err(StoreError::Conflict(format!("{} is decided on twice", decision.delivery)));
            }
        }
        for decision in decisions {
            self.decide(decision, at);
        }
        Ok(())
    }

    fn check(&self, decision: &Decision) -> Result<(), StoreError> {
        let id = decision.delivery;
        let kept = self.deliveries.get(&id).ok_or_else(|| StoreError::NotFound(format!("delivery {id}")))?;
        if kept.fate != Fate::Unplanned {
            return Err(StoreError::Conflict(format!("{id} is planned already")));
        }
        if matches!(decision.verdict, Verdict::Work { .. }) && decision.account.is_none() {
            return Err(StoreError::Conflict(format!("{id} asks for work without an account")));
        }
        Ok(())
    }

    fn decide(&mut self, decision: Decision, at: Timestamp) {
        let Decision { delivery, account, event, verdict } = decision;
        let Some(kept) = self.deliveries.get(&delivery) else { return };
        let (app, replayed, received_at) = (kept.app.clone(), kept.replayed, kept.received_at);
        if matches!(verdict, Verdict::Duplicate { .. }) && replayed {
            return;
        }
        let mut done = Done::default();
        let (code, note, parked) = match verdict {
            Verdict::Nothing => ("nothing", event, None),
            Verdict::Duplicate { of } => ("duplicate", format!("{event}: the same as {of}"), None),
            Verdict::Echo { of } => ("echo", format!("{event}: of the change by {of}"), None),
            Verdict::Unreadable { why } => ("unreadable", why, Some(Fate::Unreadable)),
            Verdict::Unclaimed { account } => {
                let named = account.as_ref().map_or("no account", AccountId::as_str);
                ("unclaimed", format!("{event}: for {named}"), Some(Fate::Unclaimed(account)))
            }
            Verdict::Work { meaning, event_at, steps } => match &account {
                Some(account) => {
                    let (app, account) = (app.clone(), account.clone());
                    let fresh = replayed || !self.was_seen(&app, &account, meaning, at);
                    let planning = Planning { delivery, app, account, fresh, event_at, received_at, at };
                    if self.makes_too_many(&planning, &steps) {
                        ("backlog", event, Some(Fate::Held(planning.account)))
                    } else {
                        for step in steps {
                            self.take(&planning, step, &mut done);
                        }
                        if done.made_or_merged {
                            self.remember(&planning, meaning);
                        }
                        (if fresh { "work" } else { "repeated" }, event, None)
                    }
                }
                None => return,
            },
        };
        let jobs: Vec<JobId> = done.touched.into_iter().collect();
        let mut line = Line::new(at, Kind::Decision, code).saying(note);
        if let [only] = *jobs
            && let Some(job) = self.jobs.get(&only).or_else(|| done.cancelled.iter().find(|job| job.id == only))
        {
            line = line.of_job(job);
        }
        self.log.add(line.of_delivery(delivery).of_app(Some(app), account));
        for job in done.cancelled {
            self.log.add(Line::new(at, Kind::Moved, "cancelled").of_job(&job).of_delivery(delivery));
        }
        if parked.is_none() {
            self.log.leads.planned(delivery, jobs.iter().copied());
        }
        if let Some(kept) = self.deliveries.get_mut(&delivery) {
            kept.fate = parked.unwrap_or_else(|| Fate::Planned { code: code.to_owned(), jobs });
        }
        self.give_up(at);
    }

    /// Beyond the limit of those that nothing lets go on by itself, the oldest is decided on for good.
    fn give_up(&mut self, at: Timestamp) {
        let is_stray = |fate: &Fate| matches!(fate, Fate::Unreadable | Fate::Unclaimed(_));
        let strays: Vec<DeliveryId> =
            self.deliveries.iter().filter(|(_, kept)| is_stray(&kept.fate)).map(|(id, _)| *id).collect();
        for id in strays.iter().take(strays.len().saturating_sub(self.limits.parked_deliveries_max)) {
            if let Some(kept) = self.deliveries.get_mut(id) {
                kept.fate = Fate::Planned { code: "given-up".to_owned(), jobs: Vec::new() };
                let app = Some(kept.app.clone());
                self.given_up = Some(GivenUp::one_more(self.given_up, at));
                self.log.add(Line::new(at, Kind::Moved, "given-up").of_delivery(*id).of_app(app, None));
                self.log.leads.planned(*id, []);
            }
        }
    }

    fn was_seen(&self, app: &AppName, account: &AccountId, meaning: Option<Meaning>, at: Timestamp) -> bool {
        let key = meaning.map(|meaning| (app.clone(), account.clone(), meaning));
        key.and_then(|key| self.meanings.get(&key)).is_some_and(|seen_at| self.within_window(*seen_at, at))
    }

    /// Remembers a meaning from now on, unless it is remembered.
    fn remember(&mut self, planning: &Planning, meaning: Option<Meaning>) {
        let Planning { app, account, at, .. } = planning;
        if let Some(meaning) = meaning
            && !self.was_seen(app, account, Some(meaning), *at)
        {
            self.meanings.insert((app.clone(), account.clone(), meaning), *at);
        }
    }

    pub(super) fn wake(&mut self, before: &Job, at: Timestamp, done: &mut Done) {
        let waits = matches!(before.state, JobState::Waiting { .. });
        let runs = matches!(before.state, JobState::Running { .. }) && !before.again;
        if self.apply(before.id, Input::Wake { at }) && (waits || runs) {
            done.touched.insert(before.id);
        }
    }

    fn take(&mut self, planning: &Planning, step: Step, done: &mut Done) {
        let at = planning.at;
        match step {
            Step::Ensure { rule, subject, on } => self.ensure(planning, rule, (subject, on), done),
            Step::Wake { subject } => {
                for before in self.unfinished_about(&planning.account, &subject) {
                    self.wake(&before, at, done);
                }
            }
            Step::Cancel { subject, why, spared } => {
                for job in self.unfinished_about(&planning.account, &subject) {
                    if !spared.contains(&job.rule)
                        && !job.is_asked_after(planning.event_at)
                        && self.apply(job.id, Input::Cancel { at, why: why.clone() })
                    {
                        done.touched.insert(job.id);
                        done.cancelled.push(job);
                    }
                }
            }
            Step::Later { rule, subject, on, after } => {
                self.later(planning, rule, (subject, on), planning.after(after), done);
            }
            Step::Unless { rule, meeting, uuid, why } => {
                self.unless(planning, &rule, (meeting, uuid.as_ref()), &why, done);
            }
            Step::Collect { rule, subject, on, is_last } => self.collect(planning, rule, (subject, on), is_last, done),
            Step::Release { rule, meeting } => self.release_rule(planning, &rule, meeting, done),
            Step::Remember { meeting, is_first } => {
                let key = told_key(&planning.app, meeting);
                let of_account = self.told.entry(planning.account.clone()).or_default();
                of_account.add(key, planning.delivery, planning.event_at, is_first);
            }
        }
    }

    /// Whether the steps would make a job, and the account has too many.
    fn makes_too_many(&self, planning: &Planning, steps: &[Step]) -> bool {
        let makes = |step: &Step| match step {
            Step::Ensure { rule, subject, .. } => {
                let mut same = self.unfinished_about(&planning.account, subject).into_iter();
                !same.any(|job| job.app == planning.app && job.rule == *rule)
            }
            Step::Later { rule, subject, .. } => self.begins(planning, rule, subject),
            Step::Collect { rule, subject, .. } => self.collects_anew(planning, rule, subject),
            _ => false,
        };
        planning.fresh && self.room_of(&planning.account) == 0 && steps.iter().any(makes)
    }

    fn ensure(
        &mut self,
        planning: &Planning,
        rule: RuleName,
        (subject, on): (Subject, Option<[u8; 16]>),
        done: &mut Done,
    ) {
        let Planning { delivery, event_at, at, .. } = *planning;
        let (app, account) = (planning.app.clone(), planning.account.clone());
        let mut same = self.unfinished_about(&account, &subject).into_iter();
        if let Some(job) = same.find(|job| job.app == app && job.rule == rule) {
            self.apply(job.id, Input::Ask { at, by: Asker::Delivery(delivery), event_at, on });
            if let Some(job) = self.jobs.get_mut(&job.id) {
                job.subject.learn(&subject);
            }
            done.touched.insert(job.id);
            done.made_or_merged = true;
        } else if planning.fresh {
            let id = self.next_job();
            let new = NewJob { app, account, rule, subject, by: Asker::Delivery(delivery), event_at, on };
            self.jobs.insert(id, new.into_job(id, at));
            done.touched.insert(id);
            done.made_or_merged = true;
        }
    }

    pub(super) fn next_job(&mut self) -> JobId {
        self.jobs_made += 1;
        JobId::from_number(self.jobs_made)
    }

    /// By id.
    pub(super) fn unfinished_about(&self, account: &AccountId, subject: &Subject) -> Vec<Job> {
        let about = self.unfinished().filter(|job| job.account == *account && job.subject.is_same(subject));
        about.cloned().collect()
    }

    pub(super) fn replay(&mut self, id: DeliveryId, actor: &str, now: Timestamp) -> Result<(), StoreError> {
        let kept = self.deliveries.get_mut(&id).ok_or_else(|| StoreError::NotFound(format!("delivery {id}")))?;
        kept.replayed = true;
        kept.fate = Fate::Unplanned;
        let line = Line::new(now, Kind::Moved, "replayed").of_delivery(id).of_app(Some(kept.app.clone()), None);
        self.log.add(line.by(actor));
        Ok(())
    }

    pub(super) fn release(&mut self, app: &AppName, account: &AccountId, now: Timestamp) -> u64 {
        let waits_for = Fate::Unclaimed(Some(account.clone()));
        let mut released = 0;
        for (id, kept) in &mut self.deliveries {
            if kept.app == *app && kept.fate == waits_for && now.since(kept.received_at) <= RELEASED_FOR {
                kept.fate = Fate::Unplanned;
                released += 1;
                let line = Line::new(now, Kind::Moved, "released").of_delivery(*id);
                self.log.add(line.of_app(Some(app.clone()), Some(account.clone())));
            }
        }
        released
    }

    pub(super) fn release_held(&mut self, limit: usize, now: Timestamp) -> u64 {
        let mut by_account: BTreeMap<AccountId, Vec<DeliveryId>> = BTreeMap::new();
        for (id, kept) in &self.deliveries {
            if let Fate::Held(account) = &kept.fate {
                by_account.entry(account.clone()).or_default().push(*id);
            }
        }
        let mut released = Vec::new();
        for (account, held) in by_account {
            let room = usize::try_from(self.room_of(&account)).unwrap_or(usize::MAX);
            released.extend(held.into_iter().take(room).map(|id| (id, account.clone())));
        }
        released.truncate(limit);
        for (id, account) in &released {
            if let Some(kept) = self.deliveries.get_mut(id) {
                kept.fate = Fate::Unplanned;
                let line = Line::new(now, Kind::Moved, "released").of_delivery(*id);
                self.log.add(line.of_app(Some(kept.app.clone()), Some(account.clone())));
            }
        }
        crate::store::wide(released.len())
    }
}
