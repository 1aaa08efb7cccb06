//! What the cases are written with: a store, a moment, and short words for common steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adjutant::audit::{Call, Entry, Kind};
use adjutant::clock::Timestamp;
use adjutant::event::Meaning;
use adjutant::event::signature::Verified;
use adjutant::ids::{AccountId, AppName, DeliveryId, Email, JobId, MeetingId, MeetingUuid, RuleName, UserId};
use adjutant::job::{Asker, Change, DayOf, Effect, Job, JobState, Outcome, Snooze, Subject};
use adjutant::rules::Step;
use adjutant::store::{
    Allowance, Claimable, Collected, Decision, DeliveryFilter, DeliveryStatus, JobFilter, Leased, Limits, NewDelivery,
    Shelf, Store, StoreError, StoredDelivery, Verdict,
};

use super::Harness;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const SHELVES: [Shelf; 9] = [
    Shelf::App,
    Shelf::Account,
    Shelf::Installation,
    Shelf::Invite,
    Shelf::AccessToken,
    Shelf::Onboarding,
    Shelf::Service,
    Shelf::Errand,
    Shelf::ErrandEnded,
];
/// 2026-11-21T08:00:00Z: the start of an hour.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_795_248_000);

pub(crate) fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

pub(crate) fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

pub(crate) fn rule(name: &str) -> RuleName {
    RuleName::parse(name).unwrap()
}

pub(crate) fn user(id: &str) -> Subject {
    Subject::User { id: Some(UserId::parse(id).unwrap()), email: None }
}

pub(crate) fn email(email: &str) -> Subject {
    Subject::User { id: None, email: Some(Email::parse(email).unwrap()) }
}

pub(crate) fn user_with_email(id: &str, email: &str) -> Subject {
    Subject::User { id: Some(UserId::parse(id).unwrap()), email: Some(Email::parse(email).unwrap()) }
}

pub(crate) fn meeting(id: u64) -> Subject {
    Subject::Meeting { id: MeetingId::from_number(id) }
}

pub(crate) fn instance(meeting: u64, uuid: &str) -> Subject {
    Subject::Instance { meeting: MeetingId::from_number(meeting), uuid: MeetingUuid::parse(uuid).unwrap() }
}

/// A timer of a minute.
pub(crate) fn later(rule_name: &str, subject: Subject) -> Step {
    Step::Later { rule: rule(rule_name), subject, on: None, after: LEASE }
}

pub(crate) fn ensure(rule_name: &str, subject: Subject) -> Step {
    Step::Ensure { rule: rule(rule_name), subject, on: None }
}

pub(crate) fn work(steps: Vec<Step>) -> Verdict {
    Verdict::Work { meaning: None, event_at: None, steps }
}

pub(crate) fn meant(meaning: u8, steps: Vec<Step>) -> Verdict {
    Verdict::Work { meaning: Some(Meaning([meaning; 16])), event_at: None, steps }
}

/// Of an event that happened then.
pub(crate) fn happened(event_at: Timestamp, steps: Vec<Step>) -> Verdict {
    Verdict::Work { meaning: None, event_at: Some(event_at), steps }
}

pub(crate) fn call(category: &str, status: Option<u16>) -> Call {
    let (method, path) = ("GET".to_owned(), "/users/u1".to_owned());
    Call { method, path, category: category.to_owned(), status, millis: 12, intent: None }
}

pub(crate) fn changed() -> Outcome {
    Outcome::Done(Effect::Changed { what: "added".to_owned() })
}

pub(crate) fn put_off(at: Timestamp) -> Outcome {
    Outcome::Snooze(Snooze::Until { at, why: "later".to_owned() })
}

pub(crate) fn change(max_per_hour: u32, max_per_day: Option<u32>) -> Change {
    Change {
        what: "add assistant api@example.com".to_owned(),
        max_per_hour,
        max_per_day,
        is_planned: false,
        marks: Vec::new(),
        days: Vec::new(),
    }
}

pub(crate) fn ids(leased: &[Leased]) -> Vec<JobId> {
    leased.iter().map(|leased| leased.job.id).collect()
}

#[track_caller]
pub(crate) fn assert_conflict<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    let error = result.expect_err("expected a conflict");
    assert!(matches!(error, StoreError::Conflict(_)), "expected a conflict, got {error:?}");
}

pub(crate) struct Kit<H> {
    pub(crate) harness: H,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) now: Timestamp,
    bodies: u64,
}

impl<H: Harness> Kit<H> {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let harness = H::new(limits).await;
        let store = harness.open().await;
        Self { harness, store, now: START, bodies: 0 }
    }

    /// Up to a second before this much time has passed.
    pub(crate) fn almost_pass(&mut self, time: Duration) {
        self.now = self.now.plus(time).minus(SECOND);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    pub(crate) async fn restart(&mut self) {
        self.store = self.harness.reopen().await;
    }

    pub(crate) async fn try_deliver(
        &self,
        to: &str,
        body: &str,
        request: Option<&str>,
    ) -> Result<DeliveryId, StoreError> {
        let verified = Verified::reread(body.to_owned().into(), self.now.as_secs(), request.map(str::to_owned));
        let new = NewDelivery { app: app(to), received_at: self.now, verified };
        self.store.deliver(new).await.map(adjutant::store::Receipt::delivery)
    }

    /// Delivers these bytes to `main`.
    pub(crate) async fn deliver_body(&self, body: &str) -> DeliveryId {
        self.try_deliver("main", body, None).await.unwrap()
    }

    /// Delivers a body that nobody sent before.
    pub(crate) async fn deliver_to(&mut self, to: &str) -> DeliveryId {
        self.bodies += 1;
        let body = format!("{{\"number\":{}}}", self.bodies);
        self.try_deliver(to, &body, None).await.unwrap()
    }

    pub(crate) async fn deliver(&mut self) -> DeliveryId {
        self.deliver_to("main").await
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> StoredDelivery {
        self.store.delivery(id).await.unwrap().expect("the delivery is there").0
    }

    pub(crate) async fn delivery_status(&self, id: DeliveryId) -> DeliveryStatus {
        self.store.delivery(id).await.unwrap().expect("the delivery is there").1
    }

    pub(crate) fn decision(delivery: DeliveryId, of: &str, verdict: Verdict) -> Decision {
        Decision { delivery, account: Some(account(of)), event: "user.created".to_owned(), verdict }
    }

    pub(crate) async fn plan(&self, delivery: DeliveryId, verdict: Verdict) {
        self.plan_for(delivery, "acc", verdict).await;
    }

    pub(crate) async fn plan_for(&self, delivery: DeliveryId, of: &str, verdict: Verdict) {
        self.store.record_plan(vec![Self::decision(delivery, of, verdict)], self.now).await.unwrap();
    }

    /// A new event asks for this; the code and the jobs of its plan.
    pub(crate) async fn event_for(&mut self, of: &str, verdict: Verdict) -> (String, Vec<JobId>) {
        let delivery = self.deliver().await;
        self.plan_for(delivery, of, verdict).await;
        match self.delivery_status(delivery).await {
            DeliveryStatus::Planned { code, jobs } => (code, jobs),
            other => panic!("{delivery} should be planned and is {other:?}"),
        }
    }

    pub(crate) async fn event(&mut self, verdict: Verdict) -> (String, Vec<JobId>) {
        self.event_for("acc", verdict).await
    }

    /// A new event asks rule `assist` for the subject: its one job.
    pub(crate) async fn ask_for(&mut self, of: &str, subject: Subject) -> JobId {
        let (_, jobs) = self.event_for(of, work(vec![ensure("assist", subject)])).await;
        assert_eq!(jobs.len(), 1);
        jobs[0]
    }

    pub(crate) async fn ask(&mut self, subject: Subject) -> JobId {
        self.ask_for("acc", subject).await
    }

    pub(crate) async fn claim(&self, jobs_max: usize) -> Vec<Leased> {
        self.claim_capped(jobs_max, usize::MAX).await
    }

    pub(crate) async fn claim_capped(&self, jobs_max: usize, per_account_max: usize) -> Vec<Leased> {
        self.store.claim(Claimable { jobs_max, per_account_max, lease: LEASE }, self.now).await.unwrap()
    }

    /// The one job that can be claimed now.
    pub(crate) async fn claim_one(&self) -> Leased {
        let mut leased = self.claim(10).await;
        assert_eq!(leased.len(), 1, "expected one job to claim, got {:?}", ids(&leased));
        leased.remove(0)
    }

    /// The one job that can be claimed now, with its attempt started.
    pub(crate) async fn started(&self) -> Leased {
        let mut leased = self.claim_one().await;
        self.store.start(&mut leased, self.now).await.unwrap();
        leased
    }

    pub(crate) async fn settle(&self, leased: Leased, outcome: Outcome) -> Job {
        self.store.settle(leased, outcome, Vec::new(), self.now, 0.5).await.unwrap()
    }

    /// Runs the one job that can be claimed now.
    pub(crate) async fn run(&self, outcome: Outcome) -> Job {
        let leased = self.started().await;
        self.settle(leased, outcome).await
    }

    pub(crate) async fn intend(&self, leased: &Leased, change: Change) -> Allowance {
        self.store.intend(leased, change, self.now).await.unwrap()
    }

    /// Asks for this many changes under one attempt, each granted.
    pub(crate) async fn granted(&self, leased: &Leased, times: u32, limits: &Change) {
        for _ in 0..times {
            let allowance = self.intend(leased, limits.clone()).await;
            assert!(matches!(allowance, Allowance::Granted(_)), "{allowance:?}");
        }
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.store.job(id).await.unwrap().expect("the job is there")
    }

    pub(crate) async fn state(&self, id: JobId) -> &'static str {
        self.job(id).await.state.name()
    }

    pub(crate) async fn entries(&self) -> Vec<Entry> {
        self.store.entries(0, usize::MAX).await.unwrap()
    }

    /// Kind and code of the entries from this one on.
    pub(crate) async fn told_since(&self, size: u64) -> Vec<String> {
        let entries = self.store.entries(size, usize::MAX).await.unwrap();
        entries.iter().map(|entry| format!("{} {}", entry.kind.code(), entry.code)).collect()
    }

    pub(crate) async fn log_size(&self) -> u64 {
        self.store.tree_head().await.unwrap().size
    }

    pub(crate) async fn count(&self, kind: Kind, code: &str) -> usize {
        self.entries().await.iter().filter(|entry| entry.kind == kind && entry.code == code).count()
    }
}

/// Names for the ids of one store in the order in which they came to be, so that two stores can be compared.
#[derive(Debug, Default)]
pub(crate) struct Names {
    deliveries: BTreeMap<DeliveryId, usize>,
    jobs: BTreeMap<JobId, usize>,
}

impl Names {
    /// Gives names to what is new. Ids grow, so whatever is new is newer than all that have names.
    pub(crate) async fn learn(&mut self, store: &dyn Store) {
        let all = DeliveryFilter { limit: usize::MAX, ..DeliveryFilter::default() };
        for delivery in store.deliveries(all).await.unwrap().into_iter().rev() {
            let next = self.deliveries.len();
            self.deliveries.entry(delivery.id).or_insert(next);
        }
        let all = JobFilter { limit: usize::MAX, ..JobFilter::default() };
        for job in store.jobs(all).await.unwrap().into_iter().rev() {
            let next = self.jobs.len();
            self.jobs.entry(job.id).or_insert(next);
        }
    }

    pub(crate) fn delivery(&self, id: DeliveryId) -> String {
        self.deliveries.get(&id).map_or_else(|| format!("unknown {id}"), |number| format!("d{number}"))
    }

    fn asker(&self, asker: Asker) -> String {
        match asker {
            Asker::Delivery(id) => self.delivery(id),
            Asker::Sweep => "sweep".to_owned(),
            Asker::Plan => "plan".to_owned(),
            Asker::Onboarding(id) => id.to_string(),
            Asker::Errand(id) => id.to_string(),
        }
    }

    pub(crate) fn job(&self, id: JobId) -> String {
        self.jobs.get(&id).map_or_else(|| format!("unknown {id}"), |number| format!("j{number}"))
    }

    pub(crate) fn number_of(&self, id: DeliveryId) -> Option<usize> {
        self.deliveries.get(&id).copied()
    }

    pub(crate) fn nth_delivery(&self, number: usize) -> Option<DeliveryId> {
        self.deliveries.keys().nth(number).copied()
    }

    pub(crate) fn nth_job(&self, number: usize) -> Option<JobId> {
        self.jobs.keys().nth(number).copied()
    }

    pub(crate) fn len(&self) -> (usize, usize) {
        (self.deliveries.len(), self.jobs.len())
    }

    /// A job as a line. What was due before now is just due: why and since when it was put off is of no more interest.
    pub(crate) fn job_line(&self, job: &Job, now: Timestamp) -> String {
        let state = match &job.state {
            JobState::Due { at, .. } if *at <= now => "due now".to_owned(),
            JobState::Running { lease } => format!("running until {}", lease.until),
            other => format!("{other:?}"),
        };
        format!(
            "{} {} {} {} {:?} made {} by {} asked by {} of {:?} attempts {} again {} snoozed since {:?} counted {:?} retried {:?} allowed {:?} on {:?} planned {:?}: {state}",
            self.job(job.id),
            job.app,
            job.account,
            job.rule,
            job.subject,
            job.made_at,
            self.asker(job.made_by),
            self.asker(job.asked_by),
            job.event_at,
            job.attempts,
            job.again,
            job.snoozed_since,
            job.counted,
            job.retried_at,
            job.allowed,
            job.on,
            job.planned,
        )
    }

    fn entry_line(&self, entry: &Entry) -> String {
        let detail = entry.detail.as_ref();
        format!(
            "{} {} {} {} app {:?} account {:?} delivery {:?} job {:?} rule {:?} led by {:?} subject {:?} call {:?}",
            entry.index,
            entry.at,
            entry.kind.code(),
            entry.code,
            entry.app,
            entry.account,
            entry.delivery.map(|id| self.delivery(id)),
            entry.job.map(|id| self.job(id)),
            entry.rule,
            entry.led_by,
            detail.and_then(|detail| detail.subject.as_ref()),
            detail.and_then(|detail| detail.call.as_ref()),
        )
    }

    fn delivery_line(&self, delivery: &StoredDelivery, status: &DeliveryStatus) -> String {
        let status = match status {
            DeliveryStatus::Planned { code, jobs } => {
                format!("{code} {:?}", jobs.iter().map(|id| self.job(*id)).collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        };
        format!(
            "{} {} {} {:?} duplicate of {:?} request of {:?} replayed {} backfilled {}: {status}",
            self.delivery(delivery.id),
            delivery.app,
            delivery.received_at,
            delivery.verified,
            delivery.duplicate_of.map(|id| self.delivery(id)),
            delivery.same_request_as.map(|id| self.delivery(id)),
            delivery.replayed,
            delivery.is_backfilled,
        )
    }

    /// All that can be seen of a store, as lines: entries from `from` on only, without leaves and notes.
    pub(crate) async fn dump(&self, store: &dyn Store, now: Timestamp, from: u64) -> Vec<String> {
        let mut lines = Vec::new();
        let all = DeliveryFilter { limit: usize::MAX, ..DeliveryFilter::default() };
        for summary in store.deliveries(all).await.unwrap() {
            let (delivery, status) = store.delivery(summary.id).await.unwrap().expect("a listed delivery is there");
            lines.push(format!("{} bytes: {}", summary.bytes, self.delivery_line(&delivery, &status)));
        }
        let unplanned = store.unplanned(&[], usize::MAX).await.unwrap();
        lines.push(format!("unplanned: {:?}", unplanned.iter().map(|d| self.delivery(d.id)).collect::<Vec<_>>()));
        let all = JobFilter { limit: usize::MAX, ..JobFilter::default() };
        for job in store.jobs(all).await.unwrap() {
            lines.push(self.job_line(&job, now));
            if let Some(Collected { number, deliveries, of_before, is_cut }) = store.collected(job.id).await.unwrap() {
                let deliveries: Vec<_> = deliveries.iter().map(|id| self.delivery(*id)).collect();
                lines.push(format!("record {number} of {deliveries:?}, {of_before} before, cut {is_cut}"));
            }
        }
        for (to, of, meeting) in [("main", "acc", 1), ("main", "acc", 2), ("main", "bcc", 1), ("other", "acc", 1)] {
            let told = store.told_of(&app(to), &account(of), MeetingId::from_number(meeting)).await.unwrap();
            let told: Vec<_> = told.iter().map(|id| self.delivery(*id)).collect();
            lines.push(format!("told of {meeting} to {to} for {of}: {told:?}"));
        }
        for group in store.parked().await.unwrap() {
            let example = self.job(group.example);
            lines.push(format!("{} {} {} {example} {}", group.cause, group.account, group.count, group.since));
        }
        lines.push(format!("put off: {:?}", store.put_off(now).await.unwrap()));
        let mut status = store.status().await.unwrap();
        (status.index_lag, status.disk_free_bytes, status.disk_reserve_bytes) = (0, None, None);
        lines.push(format!("{status:?}"));
        let next = store.next_due().await.unwrap().map(|at| if at <= now { Timestamp::EPOCH } else { at });
        lines.push(format!("next due: {next:?}"));
        for name in ["main", "other"] {
            lines.push(format!("{name}: {:?}", store.app_state(&app(name)).await.unwrap()));
        }
        for id in ["acc", "bcc", "ccc"] {
            lines.push(format!("{id}: {:?}", store.quota_use(&account(id), now).await.unwrap()));
            let host = DayOf::Host(UserId::parse("h1").unwrap());
            for of in [host, DayOf::Meeting(MeetingId::from_number(1)), DayOf::Invitations] {
                lines.push(format!("{id}: {of:?} {:?}", store.day_used(&account(id), &of, now).await.unwrap()));
            }
            lines.push(format!("{:?} {:?}", store.notices().await.unwrap(), store.planned().await.unwrap()));
            lines.push(format!("{id}: {:?}", store.sweep_state(&account(id)).await.unwrap()));
        }
        for shelf in SHELVES {
            for document in store.documents(shelf).await.unwrap() {
                assert_eq!(store.document(shelf, &document.key).await.unwrap().as_ref(), Some(&document));
                lines.push(format!("{document:?} {:?}", document.value));
            }
        }
        for (of, named) in [("acc", "assist"), ("acc", "tidy"), ("bcc", "assist"), ("ccc", "assist")] {
            let stopped = store.is_stopped(&account(of), &rule(named)).await.unwrap();
            lines.push(format!("{of} {named} stopped: {stopped}"));
        }
        lines.extend(store.entries(from, usize::MAX).await.unwrap().iter().map(|entry| self.entry_line(entry)));
        lines
    }
}
