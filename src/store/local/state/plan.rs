//! From deliveries to jobs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::deliver::MEANING;
use super::runs::OfRun;
use super::{Aside, State};
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::event::Meaning;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::{Asker, Input, Job, JobState, NewJob, Subject};
use crate::rules::Step;
use crate::store::local::outbox::IndexOp;
use crate::store::local::record::{AsideFor, Change, Decided, LineRef, Said};
use crate::store::local::seal::Fingerprint;
use crate::store::port::{Decision, StoreError, Verdict};
use crate::store::{narrow, wide};

const RELEASED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the steps of one decision did.
#[derive(Default)]
pub(super) struct Done {
    /// Made, merged, woken, cancelled.
    pub(super) touched: BTreeSet<JobId>,
    pub(super) made_or_merged: bool,
    pub(super) cancelled: Vec<Arc<Job>>,
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

/// What becomes of a delivery.
pub(super) enum Fate {
    Planned(Decided),
    Aside(AsideFor),
}

/// Whether a name of an event is one that Zoom could give: it goes into the log as it is.
fn is_plain(event: &str) -> bool {
    event.len() <= 64 && event.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_'))
}

impl State {
    pub(in crate::store::local) fn record_plan(
        &mut self,
        decisions: Vec<Decision>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut seen: Vec<u64> = decisions.iter().map(|decision| decision.delivery.number()).collect();
        seen.sort_unstable();
        if let Some(twice) = seen.windows(2).find_map(|pair| (pair.first() == pair.last()).then(|| pair.first())) {
            let twice = DeliveryId::from_number(twice.copied().unwrap_or(0));
            return Err(StoreError::Conflict(format!("{twice} is decided on twice")));
        }
        for decision in &decisions {
            self.check(decision)?;
        }
        for decision in decisions {
            self.decide(decision, at);
        }
        Ok(())
    }

    fn check(&self, decision: &Decision) -> Result<(), StoreError> {
        let id = decision.delivery;
        if !self.unplanned.contains_key(&id.number()) {
            return Err(if (1..=self.deliveries).contains(&id.number()) {
                StoreError::Conflict(format!("{id} is planned already"))
            } else {
                StoreError::NotFound(format!("delivery {id}"))
            });
        }
        if let Some(account) = &decision.account {
            self.keys.may_write(account)?;
        }
        if matches!(decision.verdict, Verdict::Work { .. }) && decision.account.is_none() {
            return Err(StoreError::Conflict(format!("{id} asks for work without an account")));
        }
        Ok(())
    }

    fn decide(&mut self, decision: Decision, at: Timestamp) {
        let Decision { delivery, account, event, verdict } = decision;
        let Some(queued) = self.unplanned.get(&delivery.number()).copied() else { return };
        if matches!(verdict, Verdict::Duplicate { .. }) && self.replayed.contains(&delivery.number()) {
            return;
        }
        let Some(app) = self.app_at(queued.app).map(|app| app.name.clone()) else { return };
        let mut done = Done::default();
        let (code, said, fate) = match verdict {
            Verdict::Nothing => {
                let said = self.said_of(account.as_ref(), event.clone(), is_plain(&event));
                (Decided::Nothing.code(), said, Fate::Planned(Decided::Nothing))
            }
            Verdict::Duplicate { of } => {
                let plain = is_plain(&event);
                let said = self.said_of(account.as_ref(), format!("{event}: the same as {of}"), plain);
                (Decided::Duplicate.code(), said, Fate::Planned(Decided::Duplicate))
            }
            Verdict::Echo { of } => {
                let plain = is_plain(&event);
                let said = self.said_of(account.as_ref(), format!("{event}: of the change by {of}"), plain);
                (Decided::Echo.code(), said, Fate::Planned(Decided::Echo))
            }
            Verdict::Unreadable { why } => {
                ("unreadable", self.said_of(account.as_ref(), why, false), Fate::Aside(AsideFor::Unreadable))
            }
            Verdict::Unclaimed { account: named } => {
                let note = format!("{event}: for {}", named.as_ref().map_or("no account", AccountId::as_str));
                let said = self.said_of(account.as_ref(), note, false);
                ("unclaimed", said, Fate::Aside(AsideFor::Unclaimed(named)))
            }
            Verdict::Work { meaning, event_at, steps } => {
                let Some(account) = account.clone() else { return };
                let from = (delivery, queued.received_at);
                let work = self.work(from, &app, &account, (meaning, event_at), steps, at, &mut done);
                let (code, fate) = match work {
                    Some(decided) => (decided.code(), Fate::Planned(decided)),
                    None => ("backlog", Fate::Aside(AsideFor::Backlog(account.clone()))),
                };
                let said = match self.only_job(&done) {
                    Some(job) => self.sealed_detail(
                        Some(&account),
                        &Detail { subject: Some(job.subject.to_string()), ..Detail::note(event) },
                    ),
                    None => self.said_of(Some(&account), event.clone(), is_plain(&event)),
                };
                (code, said, fate)
            }
        };
        let only = self.only_job(&done);
        self.enter(&LineRef {
            app: Some(app.as_str()),
            account: account.as_ref().map(AccountId::as_str),
            delivery: Some(delivery),
            job: only.as_ref().map(|job| job.id),
            rule: only.as_ref().map(|job| job.rule.as_str()),
            ..LineRef::new(at, Kind::Decision, code, &said)
        });
        for job in std::mem::take(&mut done.cancelled) {
            self.enter_job(at, "cancelled", &job, Kind::Moved, Some(delivery), Detail::default());
        }
        let jobs: Vec<u64> = done.touched.into_iter().map(JobId::number).collect();
        self.settle_fate(delivery.number(), fate, jobs);
        self.give_up(at);
    }

    pub(super) fn settle_fate(&mut self, delivery: u64, fate: Fate, jobs: Vec<u64>) {
        match fate {
            Fate::Planned(decided) => {
                let op = IndexOp::Decided { delivery, decided, jobs: jobs.clone() };
                self.outbox.op(self.next_record, op);
                self.change(Change::Planned { delivery, decided, jobs });
            }
            Fate::Aside(why) => self.change(Change::SetAside { delivery, why }),
        }
    }

    /// Beyond the limit of strays, the oldest is decided on for good. What is held back is work, and never given up.
    fn give_up(&mut self, at: Timestamp) {
        while self.strays.len() > self.limits.parked_deliveries_max
            && let Some(oldest) = self.strays.first().copied()
        {
            let app = self.aside.get(&oldest).map(|aside| aside.app);
            let app = app.and_then(|app| self.app_at(app)).map(|app| app.name.clone());
            self.enter(&LineRef {
                app: app.as_ref().map(AppName::as_str),
                delivery: Some(DeliveryId::from_number(oldest)),
                ..LineRef::new(at, Kind::Moved, "given-up", &Said::Nothing)
            });
            self.settle_fate(oldest, Fate::Planned(Decided::GivenUp), Vec::new());
            self.change(Change::GaveUp { at });
        }
    }

    fn said_of(&mut self, account: Option<&AccountId>, note: String, plain: bool) -> Said {
        if plain { Said::Plain(note) } else { self.sealed_detail(account, &Detail::note(note)) }
    }

    fn only_job(&self, done: &Done) -> Option<Arc<Job>> {
        let mut touched = done.touched.iter();
        let (Some(only), None) = (touched.next(), touched.next()) else { return None };
        self.jobs.get(*only).cloned().or_else(|| done.cancelled.iter().find(|job| job.id == *only).cloned())
    }

    /// None where the account has too many jobs for it: nothing is done then.
    #[expect(clippy::too_many_arguments, reason = "the parts of one decision")]
    fn work(
        &mut self,
        (delivery, received_at): (DeliveryId, Timestamp),
        app: &AppName,
        account: &AccountId,
        (meaning, event_at): (Option<Meaning>, Option<Timestamp>),
        steps: Vec<Step>,
        at: Timestamp,
        done: &mut Done,
    ) -> Option<Decided> {
        let print = meaning.map(|meaning| {
            let parts = [app.as_str().as_bytes(), account.as_str().as_bytes(), &meaning.0];
            self.keys.prints().of(MEANING, &parts)
        });
        let replayed = self.replayed.contains(&delivery.number());
        let seen = print.is_some_and(|print| self.was_seen(&print, at));
        let fresh = replayed || !seen;
        let planning =
            Planning { delivery, app: app.clone(), account: account.clone(), fresh, event_at, received_at, at };
        if self.makes_too_many(&planning, &steps) {
            return None;
        }
        for step in steps {
            self.take(&planning, step, done);
        }
        if let (Some(print), true, false) = (print, done.made_or_merged, seen) {
            self.change(Change::Meaning { print, at });
        }
        Some(if fresh { Decided::Work } else { Decided::Repeated })
    }

    fn was_seen(&self, print: &Fingerprint, at: Timestamp) -> bool {
        self.meanings.get(print).is_some_and(|seen_at| at.since(*seen_at) <= self.limits.dedupe_window)
    }

    /// Moves a job on where its state allows it. Whether it moved.
    pub(super) fn move_on(&mut self, job: &Arc<Job>, input: Input) -> bool {
        let mut moved = Job::clone(job);
        if moved.apply(input).is_err() {
            return false;
        }
        self.change_job(moved);
        true
    }

    pub(super) fn wake(&mut self, job: &Arc<Job>, at: Timestamp, done: &mut Done) {
        let waits = matches!(job.state, JobState::Waiting { .. });
        let runs = matches!(job.state, JobState::Running { .. }) && !job.again;
        if (waits || runs) && self.move_on(job, Input::Wake { at }) {
            done.touched.insert(job.id);
        }
    }

    fn take(&mut self, planning: &Planning, step: Step, done: &mut Done) {
        let at = planning.at;
        match step {
            Step::Ensure { rule, subject, on } => self.ensure(planning, rule, (subject, on), done),
            Step::Wake { subject } => {
                for job in self.jobs.about(&planning.account, &subject) {
                    self.wake(&job, at, done);
                }
            }
            Step::Cancel { subject, why, spared } => {
                for job in self.jobs.about(&planning.account, &subject) {
                    if !spared.contains(&job.rule)
                        && !job.is_asked_after(planning.event_at)
                        && self.move_on(&job, Input::Cancel { at, why: why.clone() })
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
            Step::Remember { meeting, is_first } => self.keep_told(planning, meeting, is_first),
        }
    }

    /// Whether the steps would make a job, and the account has too many.
    fn makes_too_many(&self, planning: &Planning, steps: &[Step]) -> bool {
        let makes = |step: &Step| match step {
            Step::Ensure { rule, subject, .. } => {
                let same = self.jobs.about(&planning.account, subject);
                !same.iter().any(|job| job.app == planning.app && job.rule == *rule)
            }
            Step::Later { rule, subject: Subject::Instance { meeting, uuid }, .. } => {
                self.begins(planning, &OfRun { rule, meeting: *meeting, uuid })
            }
            Step::Collect { rule, subject: Subject::Instance { uuid, .. }, .. } => {
                self.collects_anew(planning, rule, uuid)
            }
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
        let mut same = self.jobs.about(&planning.account, &subject).into_iter();
        if let Some(job) = same.find(|job| job.app == planning.app && job.rule == rule) {
            let mut asked = Job::clone(&job);
            // Legal for every unfinished job.
            let _asked = asked.apply(Input::Ask { at, by: Asker::Delivery(delivery), event_at, on });
            asked.subject.learn(&subject);
            self.change_job(asked);
            done.touched.insert(job.id);
            done.made_or_merged = true;
        } else if planning.fresh {
            let id = self.jobs.next_id();
            let (app, account) = (planning.app.clone(), planning.account.clone());
            let by = Asker::Delivery(delivery);
            self.change_job(NewJob { app, account, rule, subject, by, event_at, on }.into_job(id, at));
            done.touched.insert(id);
            done.made_or_merged = true;
        }
    }

    /// Adds an entry about a job, with a note and a call.
    pub(super) fn enter_job(
        &mut self,
        at: Timestamp,
        code: &str,
        job: &Job,
        kind: Kind,
        delivery: Option<DeliveryId>,
        detail: Detail,
    ) -> u64 {
        let led_by = detail.call.as_ref().and_then(|call| call.intent);
        let said = self.sealed_detail(Some(&job.account), &detail.about(job, kind));
        self.enter(&LineRef {
            led_by,
            app: Some(job.app.as_str()),
            account: Some(job.account.as_str()),
            delivery,
            job: Some(job.id),
            rule: Some(job.rule.as_str()),
            ..LineRef::new(at, kind, code, &said)
        })
    }

    /// Plans a delivery again, which is in the record `place` and came at its time.
    pub(in crate::store::local) fn replay(
        &mut self,
        delivery: u64,
        app: AppName,
        place: (u64, Timestamp),
        by: (&str, Timestamp),
    ) {
        let ((record, received_at), (actor, now)) = (place, by);
        let said = self.sealed_detail(None, &Detail::by(actor));
        self.enter(&LineRef {
            app: Some(app.as_str()),
            delivery: Some(DeliveryId::from_number(delivery)),
            ..LineRef::new(now, Kind::Moved, "replayed", &said)
        });
        self.change(Change::Unplanned { delivery, record, app, received_at, replayed: true });
    }

    pub(in crate::store::local) fn release(&mut self, app: &AppName, account: &AccountId, now: Timestamp) -> u64 {
        let Some(number) = self.apps.iter().position(|known| known.name == *app) else { return 0 };
        let is_meant = |aside: &Aside| {
            usize::try_from(aside.app).is_ok_and(|of| of == number)
                && matches!(&aside.why, AsideFor::Unclaimed(Some(named)) if named == account)
                && now.since(aside.received_at) <= RELEASED_FOR
        };
        let meant: Vec<(u64, u64, Timestamp)> = self
            .aside
            .iter()
            .filter(|(_, aside)| is_meant(aside))
            .map(|(id, aside)| (*id, aside.record, aside.received_at))
            .collect();
        let released = wide(meant.len());
        for (delivery, record, received_at) in meant {
            self.release_one(delivery, app.clone(), account, (record, received_at), now);
        }
        released
    }

    pub(in crate::store::local) fn release_held(&mut self, limit: usize, now: Timestamp) -> u64 {
        let roomy = |(account, held): (&AccountId, &BTreeSet<u64>)| {
            let room = narrow(self.room_of(account));
            held.iter().take(room).map(|delivery| (*delivery, account.clone())).collect::<Vec<_>>()
        };
        let meant: Vec<(u64, AccountId)> = self.held.iter().flat_map(roomy).take(limit).collect();
        for (delivery, account) in &meant {
            let Some(Aside { record, app, received_at, .. }) = self.aside.get(delivery).cloned() else { continue };
            if let Some(app) = self.app_at(app).map(|app| app.name.clone()) {
                self.release_one(*delivery, app, account, (record, received_at), now);
            }
        }
        wide(meant.len())
    }

    fn release_one(
        &mut self,
        delivery: u64,
        app: AppName,
        account: &AccountId,
        (record, received_at): (u64, Timestamp),
        now: Timestamp,
    ) {
        self.enter(&LineRef {
            app: Some(app.as_str()),
            account: Some(account.as_str()),
            delivery: Some(DeliveryId::from_number(delivery)),
            ..LineRef::new(now, Kind::Moved, "released", &Said::Nothing)
        });
        self.change(Change::Unplanned { delivery, record, app, received_at, replayed: false });
    }
}
