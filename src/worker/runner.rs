//! Claims jobs, runs them, settles them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::come_back::is_about;
use super::held::{Fenced, Held};
use super::pace;
use super::planner::moved;
use super::stats::code;
use super::{Parts, Roster};
use crate::account::Account;
use crate::clock::{Stopwatch, Timestamp};
use crate::job::{Job, JobState, Outcome, ParkCause, Snooze, Subject};
use crate::rules::{Mode, Rule};
use crate::store::{Claimable, Leased, Move, Selector, StoreError};
use crate::work::{self, Ctx};
use crate::zoom::Zoom;

/// How long to wait before trying again where the store has no space, or takes nothing for another reason that passes.
const STORE_WAIT: Duration = Duration::from_secs(1);
/// Attempts after which a job is not run any more. Those that fail end sooner, by the backoff; beyond it come only those
/// during which the process ended, and the job may be why.
const ATTEMPTS_MAX: u32 = 24;

#[derive(Debug, Clone)]
pub struct Runner {
    parts: Arc<Parts>,
}

/// Attempts that run. Dropping it ends them.
type Running = JoinSet<Result<(), StoreError>>;

impl Runner {
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Works until `shutdown`; then lets what runs go on for the time of the drain, and abandons what is left: its leases
    /// end by themselves. An error means that the store can take nothing more.
    pub async fn run(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let (mut running, stop) = (Running::new(), shutdown.child_token());
        let worked = self.work(&mut running, &stop).await;
        stop.cancel();
        let drained = self.drain(&mut running).await;
        worked.and(drained)
    }

    async fn work(&self, running: &mut Running, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let (mut changed, mut roster) = (self.parts.store.changed(), self.parts.roster.clone());
        roster.mark_changed();
        while !shutdown.is_cancelled() {
            if roster.has_changed().unwrap_or_default() {
                let standing_still = roster.borrow_and_update().standing_still();
                self.parts.store.pause(standing_still).await?;
            }
            changed.borrow_and_update();
            let now = self.parts.clock.now();
            let claimed = match self.start_due(running, shutdown).await {
                Ok(claimed) => Some(claimed),
                Err(error) if passes(&error) => None,
                Err(error) => return Err(error),
            };
            let full = running.len() >= usize::from(self.parts.settings.workers);
            let timer = match claimed {
                Some(1..) if !full => continue,
                Some(_) => self.timer(now).await?,
                None => now.plus(STORE_WAIT),
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = running.join_next() => self.ended(ended)?,
                more = changed.changed(), if !full => {
                    if more.is_err() {
                        return Err(StoreError::Closed);
                    }
                    // Who ends meanwhile makes room for what is due.
                    tokio::select! {
                        () = pace(&self.parts.settings, shutdown) => {}
                        Some(ended) = running.join_next() => self.ended(ended)?,
                    }
                }
                () = moved(&mut roster) => roster.mark_changed(),
                () = self.parts.clock.sleep_until(timer), if !full => {}
            }
        }
        Ok(())
    }

    /// When to look again although nothing was heard: when the next job is due, and at the latest when a lease that
    /// somebody else let go would have ended. A job that is due already, and was not to be had now, is no reason to hurry.
    async fn timer(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let at_latest = now.plus(self.parts.settings.lease());
        match self.parts.store.next_due().await {
            Ok(Some(due)) if due > now => Ok(due.min(at_latest)),
            Ok(_) => Ok(at_latest),
            Err(error) if passes(&error) => Ok(now.plus(STORE_WAIT)),
            Err(error) => Err(error),
        }
    }

    /// Runs what is due now, and what becomes due by that, until nothing is; returns how many attempts there were. For
    /// tools and tests: nothing waits for a later time.
    pub async fn run_due(&self) -> Result<usize, StoreError> {
        let (mut running, never) = (Running::new(), CancellationToken::new());
        let mut attempts = 0_usize;
        loop {
            let claimed = self.start_due(&mut running, &never).await?;
            attempts = attempts.saturating_add(claimed);
            match running.join_next().await {
                Some(ended) => self.ended(ended)?,
                None if claimed == 0 => return Ok(attempts),
                None => {}
            }
        }
    }

    /// Claims as many due jobs as there are free workers and starts them; returns how many.
    async fn start_due(&self, running: &mut Running, shutdown: &CancellationToken) -> Result<usize, StoreError> {
        let settings = &self.parts.settings;
        let jobs_max = usize::from(settings.workers).saturating_sub(running.len());
        if jobs_max == 0 {
            return Ok(0);
        }
        let wanted = Claimable { jobs_max, per_account_max: settings.per_account_max.into(), lease: settings.lease() };
        let claimed = self.parts.store.claim(wanted, self.parts.clock.now()).await?;
        let count = claimed.len();
        for leased in claimed {
            let (runner, shutdown) = (self.clone(), shutdown.clone());
            running.spawn(async move { runner.one(leased, &shutdown).await });
        }
        self.parts.stats.set_running(running.len());
        Ok(count)
    }

    async fn drain(&self, running: &mut Running) -> Result<(), StoreError> {
        let mut deadline = self.parts.clock.sleep_until(self.parts.clock.now().plus(self.parts.settings.drain()));
        let mut drained = Ok(());
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    Some(ended) => drained = drained.and(self.ended(ended)),
                    None => return drained,
                },
                () = &mut deadline => break,
            }
        }
        let count = running.len();
        tracing::warn!(count, "jobs still ran at the end of the drain; the next start takes them up again");
        self.parts.stats.add("abandoned", u64::try_from(count).unwrap_or(u64::MAX));
        running.shutdown().await;
        drained
    }

    fn ended(&self, ended: Result<Result<(), StoreError>, JoinError>) -> Result<(), StoreError> {
        match ended {
            Ok(ended) => ended,
            // A panic of a task is caught and parks its job; this one came from around it. The lease ends by itself.
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("a worker panicked around a job; its lease will end");
                    self.parts.stats.count("panicked");
                }
                Ok(())
            }
        }
    }

    /// One claimed job, from its start to its settling. An error means that the store can take nothing more.
    pub(super) async fn one(&self, leased: Leased, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let (parts, id) = (&self.parts, leased.job.id);
        // Who came just now is not paused yet.
        let is_early = |account: &Account| account.waits_for_look;
        if shutdown.is_cancelled() || parts.roster.borrow().by_id(&leased.job.account).is_some_and(is_early) {
            parts.stats.count("given-back");
            return lost_is_fine(id, parts.store.give_back(leased, parts.clock.now()).await);
        }
        let watch = Stopwatch::start();
        let tried = self.attempt(leased).await;
        parts.stats.took(watch.elapsed());
        match tried {
            Ok(()) => Ok(()),
            Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => {
                parts.stats.count("lease-lost");
                tracing::info!(job = %id, "the job was cancelled or taken by another worker while it ran");
                Ok(())
            }
            // Not settled: when its lease ends it is taken up again.
            Err(error) if passes(&error) => {
                tracing::warn!(job = %id, %error, "a job could not be recorded; it is taken up again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn attempt(&self, mut leased: Leased) -> Result<(), StoreError> {
        let parts = &self.parts;
        let roster = Arc::clone(&parts.roster.borrow());
        if let Err(error) = parts.store.start(&mut leased, parts.clock.now()).await {
            if passes(&error) {
                parts.clock.sleep_until(parts.clock.now().plus(STORE_WAIT)).await;
                parts.store.give_back(leased, parts.clock.now()).await?;
            }
            return Err(error);
        }
        let job = leased.job.clone();
        let (outcome, calls, leased) = match self.equip(&roster, &job) {
            Err(cause) => (Outcome::Park(cause), Vec::new(), leased),
            Ok((of, account, zoom)) => {
                leased.severity = of.rule().and_then(|rule| rule.send.as_ref()?.severity);
                let (store, clock) = (Arc::clone(&parts.store), Arc::clone(&parts.clock));
                let held = Held::new(leased, store, clock, parts.settings.lease());
                let tried = tokio::select! {
                    tried = self.tried(&job, (of, roster.rules()), account, &*zoom, &held) => tried,
                    lost = held.keep() => Err(lost),
                };
                if held.is_host_limited() {
                    parts.stats.count("host-limited");
                }
                (decided(tried)?, zoom.calls(), held.into_inner())
            }
        };
        let (now, unit) = (parts.clock.now(), parts.chance.unit());
        let outcome = unless_snoozed_too_long(outcome, &job, parts.settings.snooze_max(), now);
        // Who is looked at for settings is in no list that could be short.
        let is_by_lists = |rule: &Rule| rule.ensure.user_settings().is_empty() && rule.send.is_none();
        if let Some(rule) = roster.rule(&job.rule).filter(|rule| is_by_lists(rule)) {
            parts.facts.answered(&job, rule, &outcome, now);
        }
        self.log(&job, &outcome, calls.len());
        let settled = parts.store.settle(leased, outcome, calls, now, unit).await?;
        self.not_missed(&settled).await
    }

    /// What came back while its job was being parked would not be seen to come back; nor would a job be seen that was still
    /// planned for an app when a person said that another one acts.
    async fn not_missed(&self, job: &Job) -> Result<(), StoreError> {
        if !matches!(&job.state, JobState::Parked { cause: ParkCause::RuleGone { .. } | ParkCause::AccountGone, .. }) {
            return Ok(());
        }
        let roster = Arc::clone(&self.parts.roster.borrow());
        let is_for = |of: Of<'_>| of.rule().is_none_or(|rule| is_about(rule, &job.subject));
        let is_anothers = |account: &&Account| account.joined_at.is_some() && !job.is_done_by(&account.app);
        let (to, by) = if self.equip(&roster, job).is_ok_and(|(of, ..)| is_for(of)) {
            (Move::Retry, "the configuration, which was just read again".to_owned())
        } else if let Some(account) = roster.by_id(&job.account).filter(is_anothers) {
            (Move::Cancel, format!("app {}, which acts for the account now", account.app))
        } else {
            return Ok(());
        };
        self.parts.store.move_jobs(Selector::Job(job.id), to, &by, self.parts.clock.now()).await.map(drop)
    }

    /// What an attempt needs, or why there can be none.
    fn equip<'r>(&self, roster: &'r Roster, job: &Job) -> Result<(Of<'r>, &'r Account, Arc<dyn Zoom>), ParkCause> {
        if job.attempts > ATTEMPTS_MAX {
            let error = "the process ended, or the lease, while it ran".to_owned();
            return Err(ParkCause::AttemptsUsedUp { error });
        }
        let of = match &job.rule {
            rule if rule.is_onboard() => Of::Onboarding,
            rule if rule.is_errand() => Of::Errand,
            rule if rule.is_lost_host() => Of::LostHost,
            _ => Of::Rule(rule_of(roster, job)?),
        };
        let account = roster.by_id(&job.account).filter(|account| job.is_done_by(&account.app));
        let zooms = &self.parts.zooms;
        let zoom = account
            .and_then(|account| if job.is_patient() { zooms.sweeping(&account.id) } else { zooms.zoom(&account.id) });
        account.zip(zoom).map(|(account, zoom)| (of, account, zoom)).ok_or(ParkCause::AccountGone)
    }

    /// What the attempt came to. A panic is caught, and parks the job.
    async fn tried(
        &self,
        job: &Job,
        (of, rules): (Of<'_>, &[Rule]),
        account: &Account,
        zoom: &dyn Zoom,
        held: &Held,
    ) -> Result<Outcome, StoreError> {
        let parts = &self.parts;
        let ctx = Ctx {
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            facts: Arc::clone(&parts.facts),
            host_writes: parts.settings.host_writes,
            moves: parts.settings.moves,
            kin: if matches!(of, Of::Errand) { parts.kin(&account.id) } else { Vec::new() },
            feed: Arc::clone(&parts.feed),
        };
        let fenced = Fenced { zoom, held, call_max: parts.settings.call_max() };
        let zoom = fenced.of(of.rule().map_or(Mode::Enforce, |rule| rule.mode));
        let tried = async {
            match of {
                Of::Rule(rule) => work::run(job, (rule, rules), account, &*zoom, held, &ctx).await,
                Of::Onboarding => work::onboard(job, rules, account, &*zoom, held, &ctx).await,
                Of::Errand => work::errand(job, rules, account, &*zoom, held, &ctx).await,
                Of::LostHost => work::lost_host(job, account, &*zoom, &ctx).await,
            }
        };
        // It is large, and would be part of all that holds it.
        let tried = Box::pin(caught(tried)).await.unwrap_or_else(|message| {
            tracing::error!(job = %job.id, "the job panicked; it is parked");
            Ok(Outcome::Park(ParkCause::Panicked { message }))
        });
        parts.called_kin(&ctx.kin).await?;
        tried
    }

    fn log(&self, job: &Job, outcome: &Outcome, calls: usize) {
        let outcome = code(outcome);
        self.parts.stats.count(outcome);
        tracing::info!(
            job = %job.id, app = %job.app, account = %job.account, rule = %job.rule,
            attempt = job.attempts, calls, outcome, "attempt ended"
        );
    }
}

/// What an attempt is for.
#[derive(Clone, Copy)]
enum Of<'r> {
    Rule(&'r Rule),
    Onboarding,
    Errand,
    LostHost,
}

impl<'r> Of<'r> {
    const fn rule(self) -> Option<&'r Rule> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Onboarding | Self::Errand | Self::LostHost => None,
        }
    }
}

/// The rule that the job is for, as it is now.
fn rule_of<'r>(roster: &'r Roster, job: &Job) -> Result<&'r Rule, ParkCause> {
    let account = roster.account(&job.app, &job.account);
    let rules = account.map_or(roster.rules(), |account| roster.rules_of(account));
    let rule = rules.iter().find(|rule| rule.name == job.rule).ok_or(ParkCause::RuleGone { is_another: false })?;
    let fits = match &job.subject {
        Subject::Event { .. } => rule.send.is_some(),
        Subject::Errand { .. } => false,
        Subject::Instance { .. } => true,
        Subject::User { .. } | Subject::Meeting { .. } => rule.send.is_none(),
    };
    if rule.on_print() != job.on || !fits {
        return Err(ParkCause::RuleGone { is_another: true });
    }
    Ok(rule)
}

/// What is to be settled. Where the lease is lost or the disk full, the store may still take what was called so far, and
/// says where the job stands: cancelled, or due again.
fn decided(tried: Result<Outcome, StoreError>) -> Result<Outcome, StoreError> {
    match tried {
        Err(StoreError::Conflict(why)) => Ok(Outcome::Retry { error: format!("the lease was lost: {why}") }),
        Err(error) if passes(&error) => Ok(Outcome::Retry { error: error.to_string() }),
        other => other,
    }
}

/// What does not end in `max` does not end by itself: somebody is told, with the last reason.
fn unless_snoozed_too_long(outcome: Outcome, job: &Job, max: Duration, now: Timestamp) -> Outcome {
    match (outcome, job.snoozed_since.map(|since| now.since(since))) {
        (Outcome::Snooze(Snooze::Until { why, .. }), Some(age)) if age > max => {
            Outcome::Park(ParkCause::StillLimited { hours: age.as_secs() / 3600, why })
        }
        (outcome, _) => outcome,
    }
}

/// Whether the store will take it later.
const fn passes(error: &StoreError) -> bool {
    matches!(error, StoreError::Full | StoreError::Behind(_) | StoreError::Backlog)
}

fn lost_is_fine(id: crate::ids::JobId, given_back: Result<(), StoreError>) -> Result<(), StoreError> {
    match given_back {
        Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => Ok(()),
        Err(error) if passes(&error) => {
            tracing::warn!(job = %id, %error, "a job could not be given back; its lease will end");
            Ok(())
        }
        other => other,
    }
}

/// Runs a future and catches its panic: the message.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Ok(Poll::Pending) => Poll::Pending,
        // It is never polled again.
        Err(panic) => Poll::Ready(Err(message(&*panic))),
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").chars().take(200).collect()
}
