//! Random operations on the model and on another store, which must come to the same at every step.
//!
//! Ids, tokens, leaves and the wording of notes are the stores' own; all else is compared: what each operation answers, and
//! all that can be seen of the store afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use adjutant::audit::{Detail, Kind};
use adjutant::chance::{Chance, SeededChance};
use adjutant::clock::Timestamp;
use adjutant::event::Meaning;
use adjutant::event::signature::Verified;
use adjutant::ids::{DeliveryId, JobId, MeetingId, MeetingUuid, UserId};
use adjutant::job::{
    Backoff, Change, Counts, DayOf, DayUse, Effect, Mark, Outcome, ParkCause, Planned, Snooze, Subject, WaitReason,
};
use adjutant::rules::Step;
use adjutant::store::{
    Allowance, Applied, AppliedChange, Claimable, Decision, Document, Leased, Limits, Move, NewDelivery, Note,
    Selector, Shelf, Spender, Store, StoreError, SweepCause, SweepKind, SweepRecord, SweepStep, Verdict, Write,
};

use super::kit::{
    DAY, HOUR, LEASE, Names, SECOND, START, account, app, call, change, email, ensure, instance, later, meeting, rule,
    user, user_with_email,
};
use super::{Harness, MemoryHarness};

fn planned(subject: &Subject, until: Timestamp) -> AppliedChange {
    let planned = Planned { hash: [3; 16], until };
    AppliedChange { rule: rule("assist"), subject: subject.clone(), on: Some([4; 16]), planned }
}

/// One operation, in names that mean the same in both stores: deliveries, jobs and leases by their number.
#[derive(Debug, Clone)]
enum Op {
    Pass(Duration),
    Reopen,
    Deliver {
        app: &'static str,
        body: u64,
        request: Option<u64>,
        is_backfilled: bool,
    },
    /// For each a delivery, an account, and what is decided.
    Plan(Vec<(usize, &'static str, Decided)>),
    Claim {
        jobs_max: usize,
        per_account_max: usize,
        lease: Duration,
    },
    Renew {
        lease: usize,
        by: Duration,
    },
    Start {
        lease: usize,
    },
    Intend {
        lease: usize,
        per_hour: u32,
        per_day: Option<u32>,
        marks: Vec<Mark>,
        days: Vec<DayUse>,
    },
    /// A person tells to change something.
    Told {
        of: &'static str,
        days: Vec<DayUse>,
    },
    DaySpent {
        /// Of a job, or of a person.
        lease: Option<usize>,
        of: DayOf,
    },
    Settle {
        lease: usize,
        outcome: Outcome,
        calls: usize,
        unit: f64,
    },
    GiveBack {
        lease: usize,
    },
    MoveJob {
        job: usize,
        to: Move,
    },
    MoveParked {
        cause: &'static str,
        account: Option<&'static str>,
        to: Move,
    },
    Cancel {
        account: &'static str,
        acting: Option<&'static str>,
    },
    Replay {
        delivery: usize,
    },
    Release {
        app: &'static str,
        account: &'static str,
    },
    ReleaseHeld {
        limit: usize,
    },
    Sweep {
        account: &'static str,
        step: SweepStep,
    },
    Apply {
        account: &'static str,
        subjects: Vec<Subject>,
    },
    Note,
    Documents(Vec<Write>),
    Validated {
        app: &'static str,
    },
    Secrets {
        app: &'static str,
        secrets: u8,
    },
}

#[derive(Debug, Clone)]
enum Decided {
    Nothing,
    Work {
        meaning: Option<u8>,
        event_at: Option<Timestamp>,
        steps: Vec<Step>,
    },
    /// Work that names no account.
    Homeless,
    Duplicate(usize),
    /// Of the change by the job of that number.
    Echo(u64),
    Unreadable,
    Unclaimed(Option<&'static str>),
}

impl Op {
    fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split([' ', '(']).next().unwrap_or_default().to_lowercase()
    }
}

/// Limits that are reached within a few dozen operations.
fn limits() -> Limits {
    let backoff = Backoff::new(SECOND, HOUR, 3).unwrap();
    let (moved_max, parked_deliveries_max) = (3, 5);
    Limits {
        dedupe_window: DAY,
        backlog_max: 8,
        finished_max: 12,
        moved_max,
        parked_deliveries_max,
        backoff,
        ..Limits::default()
    }
}

struct Generator(SeededChance);

impl Generator {
    fn below(&self, end: usize) -> usize {
        let random = usize::try_from(self.0.next_u64() >> 33).unwrap();
        random % end.max(1)
    }

    fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn maybe<T>(&self, percent: usize, what: T) -> Option<T> {
        (self.below(100) < percent).then_some(what)
    }

    fn account(&self) -> &'static str {
        self.pick(&["acc", "acc", "bcc", "ccc"])
    }

    fn app(&self) -> &'static str {
        self.pick(&["main", "main", "main", "other"])
    }

    fn subject(&self) -> Subject {
        match self.below(9) {
            0 | 1 => user("u1"),
            2 => user("u2"),
            7 => user("u3"),
            3 => email("u1@example.com"),
            4 => email("u2@example.com"),
            5 => user_with_email("u1", "u1@example.com"),
            6 => user_with_email("u2", "new@example.com"),
            _ => meeting(1),
        }
    }

    fn step(&self) -> Step {
        match self.below(17) {
            15 | 16 => Step::Remember {
                meeting: MeetingId::from_number(if self.below(3) == 0 { 2 } else { 1 }),
                is_first: self.maybe(20, true).unwrap_or(false),
            },
            10 | 11 => later("assist", self.run()),
            12 => self.unless(),
            13 => Step::Collect {
                rule: rule("tidy"),
                subject: self.run(),
                on: None,
                is_last: self.maybe(30, true).unwrap_or(false),
            },
            14 => Step::Release { rule: rule("assist"), meeting: MeetingId::from_number(1) },
            0 => Step::Cancel {
                subject: self.subject(),
                why: "user.deleted".to_owned(),
                spared: self.maybe(30, rule("tidy")).into_iter().collect(),
            },
            1 | 2 => Step::Wake { subject: self.subject() },
            _ => ensure(self.pick(&["assist", "assist", "tidy"]), self.subject()),
        }
    }

    fn run(&self) -> Subject {
        let meeting = if self.below(4) == 0 { 2 } else { 1 };
        instance(meeting, self.pick(&["r1", "r2", "r3", "r4"]))
    }

    fn unless(&self) -> Step {
        let uuid = MeetingUuid::parse(self.pick(&["r1", "r2", "r5"])).unwrap();
        let meeting = MeetingId::from_number(if self.below(2) == 0 { 1 } else { 2 });
        Step::Unless { rule: rule("assist"), meeting, uuid: self.maybe(60, uuid), why: "meeting.started".to_owned() }
    }

    fn decided(&self, deliveries: usize) -> Decided {
        match self.below(20) {
            0 | 1 => Decided::Nothing,
            2 => Decided::Duplicate(self.below(deliveries)),
            3 => self.maybe(50, Decided::Echo(1)).unwrap_or(Decided::Unreadable),
            4 | 5 => Decided::Unclaimed(self.pick(&[None, Some("acc"), Some("bcc")])),
            6 => self.maybe(10, Decided::Homeless).unwrap_or(Decided::Nothing),
            _ => {
                let meaning = u8::try_from(self.below(6)).unwrap();
                let steps = (0..self.below(4)).map(|_| self.step()).collect();
                let event_at = START.plus(SECOND * u32::try_from(self.below(4)).unwrap());
                Decided::Work { meaning: self.maybe(50, meaning), event_at: self.maybe(70, event_at), steps }
            }
        }
    }

    fn outcome(&self, now: Timestamp) -> Outcome {
        let what = || "x".to_owned();
        match self.below(15) {
            0 | 1 | 11 => Outcome::Done(Effect::Changed { what: what() }),
            2 => Outcome::Done(Effect::AlreadyRight),
            3 => Outcome::Done(Effect::NotApplicable { why: what() }),
            4 => {
                Outcome::Snooze(Snooze::Until { at: now.plus(self.pick(&[Duration::ZERO, SECOND, HOUR])), why: what() })
            }
            6 => Outcome::Snooze(Snooze::NextBudget { at: now.plus(SECOND), why: what() }),
            5 | 13 | 14 => Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending)),
            7 | 10 => Outcome::Retry { error: what() },
            8 => Outcome::Park(ParkCause::OverShare { rule: "assist".to_owned() }),
            9 => Outcome::Park(ParkCause::Contested { what: what(), who: Vec::new() }),
            _ => Outcome::Park(ParkCause::NotFound),
        }
    }

    fn sweep(&self, now: Timestamp) -> SweepStep {
        let rule = self.maybe(30, rule("assist"));
        match self.below(24) {
            0 | 1 | 20.. => {
                let kind = if rule.is_some() { SweepKind::Meetings } else { SweepKind::Users };
                let is_dry = self.maybe(5, true).unwrap_or(false);
                SweepStep::Begin { kind, why: SweepCause::Person, rule, is_dry }
            }
            2 => SweepStep::End { with: [2; 16] },
            3 => self.maybe(30, SweepStep::GiveUp { why: "x".to_owned() }).unwrap_or_else(|| {
                self.maybe(20, SweepStep::Backfilled { until: now, stored: 1, refused: 0 }).unwrap_or(SweepStep::Called)
            }),
            4 => SweepStep::Again,
            _ => {
                let steps = (0..self.below(4)).map(|_| self.step()).collect();
                SweepStep::Page { users: 3, total: None, steps, next: Some("next".to_owned()), seen_at: now }
            }
        }
    }

    fn write(&self) -> Write {
        let on = self.pick(&[Shelf::Account, Shelf::Invite]);
        let key = self.pick(&["a", "b", "c"]).to_owned();
        let account = self.maybe(70, account(self.account()));
        let value = self.0.next_u64().to_le_bytes()[..self.below(8)].to_vec();
        let document = Document { shelf: on, key, account, value };
        match self.below(6) {
            0 | 1 => Write::Put(document),
            2 | 3 => Write::PutNew(document),
            _ => Write::Remove { shelf: on, key: document.key },
        }
    }

    fn day_of(&self) -> DayOf {
        let host = |id| DayOf::Host(UserId::parse(id).unwrap());
        self.pick(&[host("h1"), host("h2"), DayOf::Meeting(MeetingId::from_number(1)), DayOf::Invitations])
    }

    fn days(&self) -> Vec<DayUse> {
        let day = |_| {
            let (of, counts) = (self.day_of(), self.pick(&[Counts::Job, Counts::Each]));
            DayUse { of, counts, max_per_day: self.pick(&[1, 2]) }
        };
        (0..self.pick(&[0, 0, 0, 1, 2])).map(day).collect()
    }

    fn deliver(&self) -> Op {
        let request = u64::try_from(self.below(8)).unwrap();
        let is_backfilled = self.maybe(10, true).unwrap_or(false);
        Op::Deliver { app: self.app(), body: self.0.next_u64() % 60, request: self.maybe(40, request), is_backfilled }
    }

    fn next(
        &self,
        step: usize,
        now: Timestamp,
        unplanned: &[usize],
        (deliveries, jobs): (usize, usize),
        leases: usize,
    ) -> Op {
        // Mostly one of the newest: many of the older are lost.
        let newest = leases.saturating_sub(1 + self.below(2));
        let lease = self.maybe(70, newest).unwrap_or_else(|| self.below(leases));
        match self.below(100) {
            // For a while nothing is planned.
            34..48 if step % 100 >= 70 => self.deliver(),
            0..4 => Op::Sweep { account: self.account(), step: self.sweep(now) },
            4..8 => Op::Pass(self.pick(&[SECOND / 1000, SECOND, SECOND, 10 * SECOND, LEASE])),
            8 => Op::Pass(self.pick(&[HOUR, HOUR, 5 * HOUR, DAY, DAY + SECOND, 6 * DAY])),
            9..11 => Op::Reopen,
            11..34 => self.deliver(),
            34..48 => {
                let mut chosen: Vec<usize> = unplanned.iter().take(1 + self.below(3)).copied().collect();
                chosen.extend(self.maybe(4, self.below(deliveries)));
                Op::Plan(chosen.into_iter().map(|number| (number, self.account(), self.decided(deliveries))).collect())
            }
            48..58 => Op::Claim {
                jobs_max: self.below(4),
                per_account_max: self.pick(&[1, 2, 9]),
                lease: self.pick(&[SECOND, LEASE, LEASE, HOUR]),
            },
            58..68 if leases > 0 => Op::Start { lease },
            68..79 if leases > 0 => Op::Intend {
                lease,
                per_hour: self.pick(&[1, 1, 1, 2]),
                // Rarely: it stops the rule until somebody retries what parked.
                per_day: self.maybe(30, 1),
                marks: self.maybe(80, [1; 16]).into_iter().chain(self.maybe(50, [2; 16])).collect(),
                days: self.days(),
            },
            79..87 if leases > 0 => {
                Op::Settle { lease, outcome: self.outcome(now), calls: self.below(4), unit: self.0.unit() }
            }
            87 if leases > 0 => self
                .maybe(90, Op::GiveBack { lease })
                .unwrap_or_else(|| Op::DaySpent { lease: self.maybe(50, lease), of: self.day_of() }),
            88 if leases > 0 => Op::Renew { lease, by: self.pick(&[Duration::ZERO, LEASE, HOUR]) },
            89 => Op::MoveJob { job: self.below(jobs), to: self.pick(&[Move::Retry, Move::Park, Move::Cancel]) },
            90..92 => Op::MoveParked {
                cause: self.pick(&[
                    "not-found",
                    "over-share",
                    "over-share",
                    "by-person",
                    "attempts-used-up",
                    "contested",
                ]),
                account: self.pick(&[None, Some("acc")]),
                to: self.pick(&[Move::Retry, Move::Park]),
            },
            92 => Op::Cancel { account: self.account(), acting: self.pick(&[Some("main"), Some("other"), None]) },
            93..95 => Op::Replay { delivery: self.below(deliveries + 1) },
            95 => Op::Release { app: self.app(), account: self.account() },
            96 => Op::ReleaseHeld { limit: 1 + self.below(3) },
            99 => {
                if self.below(2) == 0 {
                    return Op::Documents((0..=self.below(3)).map(|_| self.write()).collect());
                }
                self.maybe(30, Op::Note).unwrap_or_else(|| Op::Sweep { account: self.account(), step: self.sweep(now) })
            }
            97 => self.maybe(30, Op::Validated { app: self.app() }).unwrap_or_else(|| Op::Apply {
                account: self.account(),
                subjects: (0..=self.below(3)).map(|_| self.subject()).collect(),
            }),
            98 => {
                let secrets = u8::try_from(self.below(3)).unwrap();
                self.maybe(40, Op::Secrets { app: self.app(), secrets })
                    .unwrap_or_else(|| Op::Told { of: self.account(), days: self.days() })
            }
            _ => Op::Pass(SECOND),
        }
    }
}

/// One of the two stores, with the leases that its worker believes to hold.
struct Side<H> {
    harness: H,
    store: Arc<dyn Store>,
    names: Names,
    leases: Vec<Leased>,
    /// Entries that were compared.
    compared: u64,
}

fn kind_of(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full => "full",
        StoreError::Behind(_) => "behind",
        StoreError::Backlog => "backlog",
        StoreError::Failed(_) => "failed",
        StoreError::Damaged(_) => "damaged",
        StoreError::Conflict(_) => "conflict",
        StoreError::NotFound(_) => "not found",
        StoreError::Closed => "closed",
    }
}

fn told<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => kind_of(&error).to_owned(),
    }
}

fn allowed(allowance: Allowance) -> String {
    match allowance {
        Allowance::Granted(_) => "granted".to_owned(),
        Allowance::NextHour { at, .. } => format!("next hour {at}"),
        Allowance::OverShare => "over share".to_owned(),
        Allowance::Contested { marks, askers } => format!("contested {marks:?} {}", askers.len()),
        Allowance::NextDay { of, at, notice } => format!("next day {at} {of:?} {notice}"),
    }
}

impl<H: Harness> Side<H> {
    async fn new() -> Self {
        let harness = H::new(limits()).await;
        let store = harness.open().await;
        Self { harness, store, names: Names::default(), leases: Vec::new(), compared: 0 }
    }

    fn delivery(&self, number: usize) -> DeliveryId {
        self.names.nth_delivery(number).unwrap_or_else(|| DeliveryId::from_number(u64::MAX))
    }

    async fn unplanned(&self) -> Vec<usize> {
        let unplanned = self.store.unplanned(&[], usize::MAX).await.unwrap();
        unplanned.iter().filter_map(|delivery| self.names.number_of(delivery.id)).collect()
    }

    fn decision(&self, number: usize, of: &str, decided: &Decided) -> Decision {
        let work = |meaning: Option<u8>, event_at: Option<Timestamp>, steps: &[Step]| Verdict::Work {
            meaning: meaning.map(|meaning| Meaning([meaning; 16])),
            event_at,
            steps: steps.to_vec(),
        };
        let verdict = match decided {
            Decided::Nothing => Verdict::Nothing,
            Decided::Work { meaning, event_at, steps } => work(*meaning, *event_at, steps),
            Decided::Homeless => work(None, None, &[]),
            Decided::Echo(of) => Verdict::Echo { of: JobId::from_number(*of) },
            Decided::Duplicate(of) => Verdict::Duplicate { of: self.delivery(*of) },
            Decided::Unreadable => Verdict::Unreadable { why: "no JSON".to_owned() },
            Decided::Unclaimed(named) => Verdict::Unclaimed { account: named.map(account) },
        };
        let nobody = matches!(decided, Decided::Homeless | Decided::Unreadable | Decided::Unclaimed(_));
        let account = (!nobody).then(|| account(of));
        Decision { delivery: self.delivery(number), account, event: "user.created".to_owned(), verdict }
    }

    /// Does it, and says what came of it.
    async fn apply(&mut self, op: &Op, now: Timestamp) -> String {
        let store = Arc::clone(&self.store);
        match op {
            Op::Pass(_) => String::new(),
            Op::Reopen => {
                drop(store);
                self.store = self.harness.reopen().await;
                self.leases.clear();
                String::new()
            }
            Op::Deliver { app: to, body, request, is_backfilled } => {
                let (body, request) = (format!("{{\"n\":{body}}}"), request.map(|n| format!("request-{n}")));
                let verified = Verified::reread(body.into(), now.as_secs(), request);
                let new = NewDelivery { app: app(to), received_at: now, verified };
                let stored = match is_backfilled {
                    true => store.backfill(new).await,
                    false => store.deliver(new).await.map(Some),
                };
                self.names.learn(&*store).await;
                told(stored.map(|receipt| receipt.map(|receipt| self.names.delivery(receipt.delivery()))))
            }
            Op::Plan(decisions) => {
                let decisions = decisions.iter().map(|(number, of, decided)| self.decision(*number, of, decided));
                told(store.record_plan(decisions.collect(), now).await)
            }
            Op::MoveJob { job, to } => {
                let id = self.names.nth_job(*job).unwrap_or_else(|| JobId::from_number(u64::MAX));
                told(store.move_jobs(Selector::Job(id), *to, "jill", now).await)
            }
            Op::MoveParked { cause, account: of, to } => {
                let which = Selector::ParkedFor { cause: (*cause).to_owned(), rule: None, account: of.map(account) };
                told(store.move_jobs(which, *to, "jill", now).await)
            }
            Op::Cancel { account: of, acting } => {
                told(store.cancel_jobs(&account(of), acting.map(app).as_ref(), "gone", now).await)
            }
            Op::Replay { delivery } => told(store.replay(self.delivery(*delivery), "jill", now).await),
            Op::Release { app: to, account: of } => told(store.release(&app(to), &account(of), now).await),
            Op::ReleaseHeld { limit } => told(store.release_held(*limit, now).await),
            Op::Note => self.note(now).await,
            Op::Sweep { account: of, step } => {
                let (step, calls) = (step.clone(), vec![call("medium", Some(200))]);
                let record = SweepRecord { app: app("main"), account: account(of), step, calls };
                let swept = store.record_sweep(record, now).await;
                self.names.learn(&*store).await;
                told(swept.map(|swept| (swept.state, swept.made.len())))
            }
            Op::Apply { account: of, subjects } => {
                let changes = subjects.iter().map(|subject| planned(subject, now)).collect();
                let applied = Applied { app: app("main"), account: account(of), changes, by: "x".to_owned() };
                let jobs = store.apply_plan(applied, now).await;
                self.names.learn(&*store).await;
                told(jobs.map(|jobs| jobs.iter().map(|job| job.map(|job| self.names.job(job))).collect::<Vec<_>>()))
            }
            Op::Documents(writes) => {
                let (kind, code, detail) = (Kind::Service, "documents".to_owned(), Detail::default());
                let note = Note { kind, app: None, account: Some(account("ccc")), code, detail };
                told(store.write_documents(writes.clone(), vec![note], now).await)
            }
            Op::Told { of, days } => {
                let (kind, code, detail) = (Kind::Intent, "told".to_owned(), Detail::note("by jill"));
                let note = Note { kind, app: Some(app("main")), account: Some(account(of)), code, detail };
                told(store.intend_as_told(note, days.clone(), now).await.map(allowed))
            }
            Op::Validated { app: to } => told(store.validated(&app(to), now).await),
            Op::Secrets { app: to, secrets } => told(store.secrets_seen(&app(to), [*secrets; 16], now).await),
            _ => self.apply_to_lease(op, now).await,
        }
    }

    async fn note(&self, now: Timestamp) -> String {
        let store = &self.store;
        let (kind, code, detail) = (Kind::Service, "reloaded".to_owned(), Detail::note("new rules"));
        let note = Note { kind, app: Some(app("main")), account: None, code, detail };
        // What stands, ends and is known as planned follows from the moment alone.
        let turn = u8::try_from(now.as_secs() % 3).unwrap();
        let (kind, account) = (Kind::Attention, Some(account(["acc", "bcc", "ccc"][usize::from(turn)])));
        store.note(Note { kind, account, ..note.clone() }, now).await.unwrap();
        store.record_planned(&rule("assist"), [turn; 16], now).await.unwrap();
        if let Some(first) = store.notices().await.unwrap().first().filter(|_| turn == 2) {
            store.mend(first, now).await.unwrap();
        }
        told(store.note(note, now).await)
    }

    async fn apply_to_lease(&mut self, op: &Op, now: Timestamp) -> String {
        let store = Arc::clone(&self.store);
        self.names.learn(&*store).await;
        match op {
            Op::Claim { jobs_max, per_account_max, lease } => {
                let (jobs_max, per_account_max, lease) = (*jobs_max, *per_account_max, *lease);
                let claimed = store.claim(Claimable { jobs_max, per_account_max, lease }, now).await.unwrap();
                let lines = claimed.iter().map(|leased| self.names.job_line(&leased.job, now));
                let lines = format!("{:?}", lines.collect::<Vec<_>>());
                self.leases.extend(claimed);
                lines
            }
            Op::Renew { lease, by } => {
                let leased = &mut self.leases[*lease];
                let renewed = store.renew(leased, now.plus(*by)).await;
                told(renewed.map(|()| leased.lease.until))
            }
            Op::Start { lease } => {
                let leased = &mut self.leases[*lease];
                let started = store.start(leased, now).await;
                told(started.map(|()| leased.job.attempts))
            }
            Op::DaySpent { lease, of } => {
                let (app, account) = (app("main"), account("acc"));
                let person = Spender::Person { app: Some(&app), account: &account };
                let who = lease.map_or(person, |lease| Spender::Job(&self.leases[lease].job));
                told(store.day_spent(who, of, now).await)
            }
            Op::Intend { lease, per_hour, per_day, marks, days } => {
                let change = Change { marks: marks.clone(), days: days.clone(), ..change(*per_hour, *per_day) };
                told(store.intend(&self.leases[*lease], change, now).await.map(allowed))
            }
            Op::Settle { lease, outcome, calls, unit } => {
                let leased = self.leases.remove(*lease);
                let categories = ["light", "medium", "heavy"];
                let calls = categories.iter().take(*calls).map(|category| call(category, Some(200))).collect();
                let settled = store.settle(leased, outcome.clone(), calls, now, *unit).await;
                told(settled.map(|job| self.names.job_line(&job, now)))
            }
            Op::GiveBack { lease } => told(store.give_back(self.leases.remove(*lease), now).await),
            other => unreachable!("{other:?} is about no lease"),
        }
    }

    async fn look(&mut self, now: Timestamp) -> Vec<String> {
        self.names.learn(&*self.store).await;
        let lines = self.names.dump(&*self.store, now, self.compared).await;
        self.compared = self.store.tree_head().await.unwrap().size;
        lines
    }
}

/// What came up in a run: answers that are no plain success, and entries.
pub(crate) type CameUp = BTreeSet<String>;

/// Applies `steps` random operations to the model and to the other store. Says what came up, or where they first differ.
pub(crate) async fn run<H: Harness>(seed: u64, steps: usize) -> Result<CameUp, String> {
    let mut came_up = CameUp::new();
    let generator = Generator(SeededChance::new(seed));
    let (mut model, mut other) = (Side::<MemoryHarness>::new().await, Side::<H>::new().await);
    let mut now = START;
    for step in 0..steps {
        let unplanned = model.unplanned().await;
        let op = generator.next(step, now, &unplanned, model.names.len(), model.leases.len());
        if let Op::Pass(time) = op {
            now = now.plus(time);
        }
        let (expected, got) = (model.apply(&op, now).await, other.apply(&op, now).await);
        let differs = |what: &str, expected: &str, got: &str| {
            Err(format!("seed {seed}, step {step}, {op:?}: {what} differs\n  model: {expected}\n  other: {got}"))
        };
        if expected != got {
            return differs("the answer", &expected, &got);
        }
        let answer = expected.trim_matches('"').split(" 2026").next().unwrap_or_default();
        came_up.insert(format!("{} {}", op.name(), if answer.len() < 20 { answer } else { "…" }));
        for entry in model.store.entries(model.compared, usize::MAX).await.unwrap() {
            came_up.insert(format!("{} {}", entry.kind.code(), entry.code));
        }
        let (expected, got) = (model.look(now).await, other.look(now).await);
        let places = expected.len().max(got.len());
        for place in 0..places {
            let line = |lines: &[String]| lines.get(place).cloned().unwrap_or_default();
            if line(&expected) != line(&got) {
                return differs("what is seen afterwards", &line(&expected), &line(&got));
            }
        }
    }
    Ok(came_up)
}

/// As [`run`], for a test.
pub(crate) async fn run_or_panic<H: Harness>(seed: u64, steps: usize) {
    if let Err(difference) = run::<H>(seed, steps).await {
        panic!("{difference}");
    }
}

/// A comparison says nothing about what never came up.
#[tokio::test]
async fn the_operations_reach_every_answer_and_every_entry() {
    let mut came_up = CameUp::new();
    for seed in 0..48 {
        came_up.extend(run::<MemoryHarness>(seed, 400).await.unwrap());
    }
    for wanted in EVERYTHING {
        assert!(came_up.contains(*wanted), "{wanted} did not, but {came_up:#?}");
    }
}

const EVERYTHING: &[&str] = &[
    "deliver backlog",
    "plan ()",
    "plan conflict",
    "renew conflict",
    "start conflict",
    "intend granted",
    "intend next hour",
    "intend over share",
    "intend next day",
    "intend conflict",
    "told granted",
    "told next day",
    "dayspent ()",
    "settle conflict",
    "giveback ()",
    "giveback conflict",
    "movejob 1",
    "movejob conflict",
    "moveparked 1",
    "moveparked conflict",
    "cancel 1",
    "replay ()",
    "replay not found",
    "release 1",
    "releaseheld 1",
    "delivery stored",
    "decision nothing",
    "decision echo",
    "decision work",
    "decision repeated",
    "decision duplicate",
    "decision unreadable",
    "decision unclaimed",
    "decision backlog",
    "attempt started",
    "intent granted",
    "attention rule-limit",
    "attention host-limit",
    "attention meeting-limit",
    "attention invite-limit",
    "call 200",
    "outcome changed",
    "outcome already-right",
    "outcome not-applicable",
    "outcome snoozed",
    "outcome waits",
    "outcome retries",
    "outcome parked",
    "moved retried",
    "moved parked",
    "moved cancelled",
    "moved replayed",
    "moved released",
    "service reloaded",
    "service documents",
    "documents ()",
    "documents conflict",
    "sweep conflict",
    "sweep started",
    "sweep ended",
    "sweep failed",
    "decision swept",
    "decision woken",
];
