//! Sweeps: what they ask for, how far they are, and what they may not hold up.

use adjutant::ids::{JobId, OnboardingId};
use adjutant::job::{Asker, Change, JobState, NewJob, Outcome, ParkCause, Planned, Snooze, Subject, WaitReason};
use adjutant::rules::Step;
use adjutant::store::{
    Allowance, Applied, AppliedChange, Limits, StoreError, SweepCause, SweepFailure, SweepKind, SweepRecord,
    SweepState, SweepStep, Swept, WholeSweep,
};

use crate::contract::Harness;
use crate::contract::kit::{
    Kit, SECOND, START, account, app, assert_conflict, call, change, changed, ensure, rule, user,
};

pub(crate) fn begin() -> SweepStep {
    SweepStep::Begin { kind: SweepKind::Users, why: SweepCause::Schedule, rule: None, is_dry: false }
}

impl<H: Harness> Kit<H> {
    async fn try_sweep(&self, step: SweepStep) -> Result<Swept, StoreError> {
        let (app, account) = (app("main"), account("acc"));
        self.store
            .record_sweep(SweepRecord { app, account, step, calls: vec![call("medium", Some(200))] }, self.now)
            .await
    }

    async fn sweep(&self, step: SweepStep) -> Swept {
        self.try_sweep(step).await.unwrap()
    }

    async fn page(&self, steps: Vec<Step>, next: Option<&str>) -> Swept {
        let next = next.map(str::to_owned);
        self.sweep(SweepStep::Page { users: 300, total: Some(900), steps, next, seen_at: self.now }).await
    }

    async fn swept(&self) -> SweepState {
        self.store.sweep_state(&account("acc")).await.unwrap()
    }
}

pub(crate) async fn a_sweep_makes_jobs_that_say_so_and_every_step_is_told<H: Harness>() {
    let kit = Kit::<H>::new().await;
    kit.sweep(begin()).await;
    let swept = kit.page(vec![ensure("assist", user("u1")), ensure("assist", user("u2"))], None).await;
    let job = kit.job(swept.made[0]).await;
    assert_eq!((job.made_by, job.asked_by, swept.made.len()), (Asker::Sweep, Asker::Sweep, 2));
    let state = kit.sweep(SweepStep::End { with: [1; 16] }).await.state;
    let whole = WholeSweep { started_at: kit.now, ended_at: kit.now, with: [1; 16] };
    assert_eq!((state.run, state.whole), (None, [(SweepKind::Users, whole)].into()));
    let last = state.last.unwrap();
    assert_eq!((last.users, last.found, last.made, last.ended_at), (300, 2, 2, Some(kit.now)));
    let told = ["call 200", "sweep started", "call 200", "decision swept", "decision swept", "call 200", "sweep ended"];
    assert_eq!(kit.told_since(0).await, told);
    assert_eq!(kit.store.quota_use(&account("acc"), kit.now).await.unwrap().medium, 3);
}

const PLANNED: Planned = Planned { hash: [7; 16], until: START };

fn planned(subject: Subject) -> AppliedChange {
    AppliedChange { rule: rule("assist"), subject, on: None, planned: PLANNED }
}

/// A person applies a plan with one change for each of these.
async fn applied<H: Harness>(kit: &Kit<H>, subjects: &[&str]) -> Vec<Option<JobId>> {
    let changes = subjects.iter().map(|subject| planned(user(subject))).collect();
    let applied = Applied { app: app("main"), account: account("acc"), changes, by: "a person".to_owned() };
    kit.store.apply_plan(applied, kit.now).await.unwrap()
}

pub(crate) async fn a_plan_that_is_applied_makes_jobs_or_moves_those_that_are_there<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let waiting = kit.ask_for("acc", user("u1")).await;
    kit.run(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))).await;
    let jobs: Vec<JobId> = applied(&kit, &["u1", "u2"]).await.into_iter().flatten().collect();
    assert_eq!((jobs.len(), jobs[0]), (2, waiting));
    kit.restart().await;
    let (old, new) = (kit.job(jobs[0]).await, kit.job(jobs[1]).await);
    assert_eq!((old.planned, new.planned, new.asked_by), (Some(PLANNED), Some(PLANNED), Asker::Plan));
    assert!(old.asked_by != Asker::Plan, "the event that asked for it still does");
    for job in [&old, &new] {
        assert!(matches!(job.state, JobState::Due { .. }), "{job:?}");
    }
    let told = kit.told_since(0).await;
    assert_eq!(told.iter().filter(|told| *told == "decision applied").count(), 2, "{told:?}");
}

pub(crate) async fn what_is_planned_is_granted_beside_the_limits_and_counts_against_none<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for subject in ["u1", "u2"] {
        applied(&kit, &[subject]).await;
        let change = Change { is_planned: true, ..change(0, Some(0)) };
        let leased = kit.started().await;
        assert!(matches!(kit.intend(&leased, change).await, Allowance::Granted(_)));
        kit.settle(leased, changed()).await;
    }
    kit.ask_for("acc", user("u3")).await;
    let leased = kit.started().await;
    assert!(matches!(kit.intend(&leased, change(1, Some(1))).await, Allowance::Granted(_)));
}

pub(crate) async fn a_dry_sweep_counts_and_asks_for_nothing<H: Harness>() {
    let kit = Kit::<H>::new().await;
    kit.sweep(SweepStep::Begin { kind: SweepKind::Users, why: SweepCause::Person, rule: None, is_dry: true }).await;
    let swept = kit.page(vec![ensure("assist", user("u1")), ensure("assist", user("u2"))], None).await;
    assert_eq!(swept.made, []);
    let state = kit.sweep(SweepStep::End { with: [1; 16] }).await.state;
    assert_eq!((state.last, state.whole), (None, [].into()), "it is no sweep that others could rely on");
    let dry = state.last_dry.unwrap();
    assert_eq!((dry.users, dry.total, dry.found, dry.made), (300, Some(900), 2, 0));
    assert_eq!(dry.found_by_rule, [(rule("assist"), 2)].into());
    let told = ["call 200", "sweep started", "call 200", "call 200", "sweep ended"];
    assert_eq!(kit.told_since(0).await, told);
}

pub(crate) async fn how_far_a_sweep_is_outlives_a_restart<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.sweep(begin()).await;
    kit.page(vec![ensure("assist", user("u1"))], Some("page-2")).await;
    kit.restart().await;
    let run = kit.swept().await.run.unwrap();
    assert_eq!((run.next.as_deref(), run.users, run.made), (Some("page-2"), 300, 1));
}

pub(crate) async fn one_sweep_of_an_account_runs_at_a_time<H: Harness>() {
    let kit = Kit::<H>::new().await;
    assert_conflict(kit.try_sweep(SweepStep::End { with: [0; 16] }).await);
    kit.sweep(SweepStep::Called).await;
    kit.sweep(begin()).await;
    assert_conflict(kit.try_sweep(begin()).await);
    kit.sweep(SweepStep::GiveUp { why: "no token".to_owned() }).await;
    let failed = SweepFailure { at: kit.now, is_dry: false, why: "no token".to_owned() };
    assert_eq!(kit.swept().await, SweepState { failed: Some(failed), ..SweepState::default() });
    kit.sweep(begin()).await;
}

pub(crate) async fn a_sweep_moves_what_waits_or_was_not_found_and_nothing_else<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (mut jobs, mut steps) = (Vec::new(), Vec::new());
    for (n, outcome) in [
        Outcome::Snooze(Snooze::ForEvent(WaitReason::UserUnlicensed)),
        Outcome::Park(ParkCause::NotFound),
        Outcome::Park(ParkCause::AssistantsFull),
        Outcome::Retry { error: "503".to_owned() },
    ]
    .into_iter()
    .enumerate()
    {
        jobs.push(kit.ask(user(&format!("u{n}"))).await);
        kit.run(outcome).await;
        steps.push(ensure("assist", user(&format!("u{n}"))));
    }
    let retries = kit.job(jobs[3]).await;
    kit.sweep(begin()).await;
    let swept = kit.page(steps, None).await;
    let run = swept.state.run.unwrap();
    assert_eq!((swept.made.len(), run.found, run.woken), (0, 4, 2));
    for (job, state) in jobs.iter().zip(["due", "due", "parked", "due"]) {
        assert_eq!(kit.state(*job).await, state);
    }
    assert_eq!((kit.job(jobs[0]).await.attempts, kit.job(jobs[3]).await), (0, retries));
}

pub(crate) async fn what_events_ask_for_goes_before_what_a_sweep_asked_for<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.sweep(begin()).await;
    let swept = kit.page(vec![ensure("assist", user("u1")), ensure("assist", user("u2"))], None).await.made;
    let asked = kit.ask(user("u3")).await;
    assert_eq!(kit.claim(1).await[0].job.id, asked);
    // An event asks for it as well.
    assert_eq!(kit.ask(user("u2")).await, swept[1]);
    let taken: Vec<_> = kit.claim(9).await.iter().map(|leased| leased.job.id).collect();
    assert_eq!(taken, [swept[1], swept[0]]);
}

pub(crate) async fn a_sweep_leaves_half_of_the_backlog_to_events<H: Harness>() {
    let mut kit = Kit::<H>::with(Limits { backlog_max: 4, ..Limits::default() }).await;
    kit.sweep(begin()).await;
    let steps = (0..4).map(|n| ensure("assist", user(&format!("u{n}")))).collect();
    let run = kit.page(steps, None).await.state.run.unwrap();
    assert_eq!((run.made, run.left), (2, 2));
    kit.ask(user("u9")).await;
}

pub(crate) async fn a_sweep_that_heals_counts_against_the_hour_and_not_against_the_share<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.sweep(begin()).await;
    kit.page((0..3).map(|n| ensure("assist", user(&format!("u{n}")))).collect(), None).await;
    let limits = change(2, None);
    for granted in [true, true, false] {
        let mut leased = kit.claim(1).await.remove(0);
        kit.store.start(&mut leased, kit.now).await.unwrap();
        let allowance = kit.intend(&leased, limits.clone()).await;
        match allowance {
            Allowance::Granted(_) if granted => drop(kit.settle(leased, changed()).await),
            Allowance::NextHour { at, .. } if !granted => {
                drop(kit.settle(leased, Outcome::Snooze(Snooze::NextBudget { at, why: "hour".to_owned() })).await);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kit.swept().await.run.unwrap().changed, 2);
    kit.pass(3600 * SECOND);
    kit.ask(user("u7")).await;
    let mut leased = kit.claim(1).await.remove(0);
    kit.store.start(&mut leased, kit.now).await.unwrap();
    kit.granted(&leased, 1, &change(2, Some(1))).await;
    let mut leased = kit.claim(1).await.remove(0);
    kit.store.start(&mut leased, kit.now).await.unwrap();
    let allowance = kit.intend(&leased, change(2, Some(1))).await;
    assert!(leased.job.is_of_sweep() && matches!(allowance, Allowance::OverShare), "a share that is stated counts");
}

pub(crate) async fn what_is_asked_for_by_itself_makes_a_job_or_asks_the_one_that_is_there<H: Harness>() {
    let limits = Limits { backlog_max: 3, ..Limits::default() };
    let mut kit = Kit::<H>::with(limits).await;
    let waiting = kit.ask_for("acc", user("u1")).await;
    kit.run(Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending))).await;
    let by = Asker::Onboarding(OnboardingId::from_bytes([7; 16]));
    let new = |account_id: &str, subject: &str| NewJob {
        app: app("main"),
        account: account(account_id),
        rule: rule("assist"),
        subject: user(subject),
        by,
        event_at: Some(START),
        on: None,
    };
    let asked = ["u1", "u2", "u3", "u4"].map(|subject| new("acc", subject)).to_vec();
    let size = kit.log_size().await;
    let jobs = kit.store.ask(asked, "by a person", kit.now).await.unwrap();
    assert_eq!((jobs[0], jobs[3]), (Some(waiting), None), "beyond the limit of the account nothing is made");
    assert_eq!(kit.told_since(size).await, ["decision asked"; 3]);
    kit.restart().await;
    for job in jobs.iter().flatten() {
        let job = kit.job(*job).await;
        assert_eq!((job.asked_by, job.event_at), (by, Some(START)));
        assert!(matches!(job.state, JobState::Due { .. }), "{job:?}");
    }
    assert_eq!(kit.store.ask(vec![new("bcc", "u1")], "", kit.now).await.unwrap().iter().flatten().count(), 1);
}
