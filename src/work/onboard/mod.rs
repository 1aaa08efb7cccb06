//! A person becomes a user: found or created, given licence and groups, then handed to the account's rules.
//!
//! Guarantees: nobody is created who is there; before somebody is created it is on record that this may have happened, and
//! after a lost answer the user is looked for, among the pending ones too; every step is taken up where it was left. What
//! cannot be done while an invitation is open waits for its acceptance. That a person is a user is read, never concluded from an
//! answer.

mod asked;
mod kept;
mod wanted;

use std::time::Duration;

use serde_json::Value;

pub use asked::{RefusedFor, Row, RowRefused, WithJobs};
pub use kept::{Beside, Came, Held, Onboarding, Standing, Stands, Step, of_rules, stands};
pub(in crate::work) use wanted::hashed;
pub use wanted::{Wanted, fault_of_key, id_of, would};

use super::ensure::ensure;
use super::send::{Feed, Message};
use super::{Ctx, End, Ended, Guard, Hand, Sending, Task};
use crate::account::{Account, UserKey};
use crate::audit::Saw;
use crate::clock::Timestamp;
use crate::ids::{AccountId, RuleName, UserId};
use crate::job::{
    Asker, Change, Counts, DayOf, DayUse, Effect, Intent, Job, JobState, NewJob, Outcome, ParkCause, Snooze, Subject,
    WaitReason,
};
use crate::rules::{Rule, Step as RuleStep, SubjectKind, for_subject};
use crate::store::{Allowance, JobFilter, Shelf, Store, StoreError, Write};
use crate::zoom::{Edit, Group, Status, User, Zoom, ZoomError, find_pending};

/// Jobs about one user that are looked at.
const JOBS_MAX: usize = 200;
/// How long the work of rules is waited for, before it is told as it stands.
const RULES_WAIT: Duration = Duration::from_secs(900);
const LOOK_AGAIN_MIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(60);

/// One attempt at an onboarding, whose rules are those of the account.
pub(super) async fn run(
    job: &Job,
    rules: &[Rule],
    account: &Account,
    zoom: &dyn Zoom,
    guard: &dyn Guard,
    ctx: &Ctx,
) -> Result<Outcome, StoreError> {
    let kept = match job.made_by {
        Asker::Onboarding(id) => ctx.store.document(Shelf::Onboarding, &id.to_string()).await?,
        _ => None,
    };
    let Some(mut kept) = kept.as_ref().and_then(Onboarding::read) else {
        let why = "what was asked for is not kept any more".to_owned();
        return Ok(Outcome::Done(Effect::NotApplicable { why }));
    };
    let rule = kept.wanted.as_rule(job.rule.clone());
    let task = Task { job, rule: &rule, rules, account, zoom, hand: Hand::Enforce(guard), ctx };
    let mut saw = Vec::new();
    let ended = One { task: &task, guard, kept: &mut kept }.run(&mut saw).await;
    guard.saw(saw).await;
    ended.map_or_else(End::outcome, Ok)
}

/// Where somebody was found.
enum Found {
    Here(Box<User>),
    /// In this account, and has not accepted the invitation.
    /// Zoom does not say the account of somebody whom another one holds until they join.
    Pending {
        id: Option<UserId>,
        is_from_elsewhere: bool,
    },
    Nowhere,
}

struct One<'a> {
    task: &'a Task<'a>,
    guard: &'a dyn Guard,
    kept: &'a mut Onboarding,
}

impl One<'_> {
    async fn run(mut self, saw: &mut Vec<Saw>) -> Ended<Outcome> {
        if !matches!(self.kept.step, Step::Rules { .. }) {
            let was_there = self.kept.step == Step::There;
            match self.find().await? {
                Found::Here(user) => self.comes(Came::Adopted, user.id.clone()).await?,
                Found::Pending { id, is_from_elsewhere } => {
                    let came = if is_from_elsewhere { Came::Elsewhere } else { Came::Adopted };
                    return self.stays_pending(came, id).await;
                }
                Found::Nowhere if was_there && !self.is_to_be_renewed() => return Err(self.is_gone().await?),
                Found::Nowhere => {
                    if let Some((came, pending)) = self.create().await? {
                        return self.stays_pending(came, pending).await;
                    }
                }
            }
            ensure(self.task, saw).await?;
            self.ask_rules().await?;
        }
        self.follow().await?;
        self.tell().await?;
        let at = self.now();
        *self.kept = self.kept.clone().ended(at, None);
        self.keep().await?;
        let what = self.kept.came.unwrap_or(Came::Adopted).in_words().to_owned();
        Ok(Outcome::Done(Effect::Changed { what }))
    }

    /// Nobody is invited again, or made anew, before a person retries it.
    fn is_to_be_renewed(&self) -> bool {
        self.kept.gone_at.zip(self.task.job.retried_at).is_some_and(|(gone, retried)| retried > gone)
    }

    async fn is_gone(&mut self) -> Ended<End> {
        if self.kept.came == Some(Came::Elsewhere) && self.kept.user.is_none() {
            return Ok(waits());
        }
        if self.kept.gone_at.is_none() {
            self.kept.gone_at = Some(self.now());
            self.keep().await?;
        }
        Ok(self.task.failed(ZoomError::NotFound("the user is gone, or the invitation is over".to_owned())))
    }

    fn now(&self) -> Timestamp {
        self.task.ctx.clock.now()
    }

    async fn keep(&self) -> Ended<()> {
        let write = vec![Write::Put(self.kept.document())];
        Ok(self.task.ctx.store.write_documents(write, Vec::new(), self.now()).await?)
    }

    /// By email; and among those who are pending, whom Zoom may not show by it \[F], where there may be one of ours.
    async fn find(&self) -> Ended<Found> {
        let (task, email) = (self.task, &self.kept.wanted.email);
        match task.zoom.user(&UserKey::Email(email.clone())).await {
            Ok(user) => {
                let home = user.whole.get("account_id").and_then(Value::as_str);
                if home.is_some_and(|home| home != task.account.id.as_str()) {
                    return Ok(Found::Nowhere);
                }
                return Ok(match user.status {
                    Status::Pending => Found::Pending { id: user.id, is_from_elsewhere: home.is_none() },
                    _ => Found::Here(Box::new(user)),
                });
            }
            Err(ZoomError::Pending(_)) => return Ok(Found::Pending { id: None, is_from_elsewhere: false }),
            Err(ZoomError::NotFound(_)) if self.kept.step == Step::Asked => return Ok(Found::Nowhere),
            Err(ZoomError::NotFound(_)) => {}
            Err(error) => return Err(task.failed(error)),
        }
        let found = find_pending(task.zoom, &UserKey::Email(email.clone())).await;
        Ok(match found.map_err(|error| task.failed(error))? {
            Some(user) => Found::Pending { id: user.id, is_from_elsewhere: false },
            None => Found::Nowhere,
        })
    }

    /// Some where the user is pending then.
    async fn create(&mut self) -> Ended<Option<(Came, Option<UserId>)>> {
        let task = self.task;
        self.knows_groups().await?;
        (self.kept.step, self.kept.gone_at) = (Step::Creating, None);
        self.keep().await?;
        let new = self.kept.wanted.new_user();
        let max_per_day = task.account.invites_per_day;
        let day = DayUse { of: DayOf::Invitations, counts: Counts::Job, max_per_day };
        let days = new.action.invites().then_some(day).into_iter().collect();
        let what = format!("create user {} ({})", new.email, new.action.name());
        let intent = self.intend(what, days).await?;
        let began = self.now();
        let came = match task.zoom.change(&intent, Edit::CreateUser(new)).await {
            Ok(_) => Came::Created,
            Err(ZoomError::Exists(_)) => Came::Adopted,
            Err(ZoomError::InviteDay { why, .. }) => {
                // Its answer may have come after midnight.
                self.guard.day_spent(&DayOf::Invitations, began).await?;
                return Err(task.failed(ZoomError::InviteDay { until: began.next_utc_midnight(), why }));
            }
            Err(error) => return Err(task.failed(error)),
        };
        match (self.find().await?, came) {
            (Found::Here(user), came) => {
                self.kept.came = self.kept.came.or(Some(came));
                self.comes(came, user.id.clone()).await.map(|()| None)
            }
            (Found::Pending { id, is_from_elsewhere: true }, _) => Ok(Some((Came::Elsewhere, id))),
            (Found::Pending { id, .. }, came) => {
                self.kept.came = self.kept.came.or(Some(came));
                Ok(Some((came, id)))
            }
            (Found::Nowhere, Came::Created) => {
                Err(task.not_effective(format!("create user {}", self.kept.wanted.email)))
            }
            // The email has a user, and not here.
            (Found::Nowhere, _) => {
                (self.kept.came, self.kept.step) = (Some(Came::Elsewhere), Step::There);
                self.keep().await?;
                Err(waits())
            }
        }
    }

    /// Before anybody is made: who names a group that is not there may have meant other things otherwise, too.
    async fn knows_groups(&self) -> Ended<()> {
        let (task, wanted) = (self.task, &self.kept.wanted.groups);
        if wanted.is_empty() {
            return Ok(());
        }
        let groups = task.ctx.facts.groups(&task.account.id, task.zoom, self.now()).await;
        let groups = groups.map_err(|error| task.failed(error))?;
        unknown_group(wanted, &groups).map_or(Ok(()), |cause| Err(End::park(cause)))
    }

    async fn intend(&self, what: String, days: Vec<DayUse>) -> Ended<Intent> {
        let change =
            Change { what, max_per_hour: u32::MAX, max_per_day: None, is_planned: false, marks: Vec::new(), days };
        match self.guard.intend(change).await? {
            Allowance::Granted(intent) => Ok(intent),
            Allowance::NextHour { at, notice } | Allowance::NextDay { at, notice, .. } => {
                Err(End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why: notice })))
            }
            Allowance::OverShare | Allowance::Contested { .. } => {
                Err(End::park(ParkCause::OverShare { rule: RuleName::ONBOARD.to_owned() }))
            }
        }
    }

    /// The user was read in this account. Who may have been created, and is there, was.
    async fn comes(&mut self, otherwise: Came, id: Option<UserId>) -> Ended<()> {
        let came = match (self.kept.came, self.kept.step, otherwise) {
            (Some(came), ..) => came,
            (None, Step::Creating, Came::Adopted) => Came::Created,
            (None, ..) => otherwise,
        };
        let user = id.or_else(|| self.kept.user.clone());
        let before = (self.kept.came, self.kept.step, self.kept.user.clone());
        (self.kept.came, self.kept.step, self.kept.user) = (Some(came), Step::There, user);
        if before != (self.kept.came, self.kept.step, self.kept.user.clone()) {
            self.keep().await?;
        }
        Ok(())
    }

    /// A group can be given now, the rest waits.
    async fn stays_pending(mut self, came: Came, id: Option<UserId>) -> Ended<Outcome> {
        self.comes(came, id).await?;
        if let (Some(name), false) = (self.kept.wanted.groups.first().cloned(), self.kept.pending_group) {
            self.give_group(&name).await?;
            self.kept.pending_group = true;
            self.keep().await?;
        }
        Err(waits())
    }

    /// One that is not known shows when the user is active; whether it had an effect as well.
    async fn give_group(&self, name: &str) -> Ended<()> {
        let (task, now) = (self.task, self.now());
        let groups = task.ctx.facts.groups(&task.account.id, task.zoom, now).await;
        let groups = groups.map_err(|error| task.failed(error))?;
        let Some(group) = groups.iter().find(|group| group.name == name || group.id.as_str() == name) else {
            return Ok(());
        };
        let email = Some(&self.kept.wanted.email);
        let Some(of) = UserKey::of(self.kept.user.as_ref(), email) else { return Ok(()) };
        let intent = self.intend(format!("add to group {name}, while pending"), Vec::new()).await?;
        match task.zoom.change(&intent, Edit::SetPendingGroup { of, group: group.id.clone() }).await {
            // It is given again, and read back, when the user is active.
            Ok(_) | Err(ZoomError::Pending(_) | ZoomError::NotFound(_) | ZoomError::Refused { .. }) => Ok(()),
            Err(error) => Err(task.failed(error)),
        }
    }

    /// As `user.created` would, so that a lost webhook costs nothing.
    async fn ask_rules(&mut self) -> Ended<()> {
        let (task, at) = (self.task, self.now());
        let subject = self.kept.subject();
        let new = |step: RuleStep| match step {
            RuleStep::Ensure { rule, subject, on } => Some(NewJob {
                app: task.account.app.clone(),
                account: task.job.account.clone(),
                rule,
                subject,
                by: Asker::Onboarding(self.kept.id),
                event_at: Some(at),
                on,
            }),
            _ => None,
        };
        let asked: Vec<NewJob> =
            for_subject(SubjectKind::User, &subject, task.rules).into_iter().filter_map(new).collect();
        if !asked.is_empty() {
            let jobs = task.ctx.store.ask(asked, &format!("of {}", self.kept.id), at).await?;
            if jobs.iter().any(Option::is_none) {
                let why = "the account has too many unfinished jobs".to_owned();
                let at = at.plus(LOOK_AGAIN_MAX);
                return Err(End::Outcome(Outcome::Snooze(Snooze::Until { at, why })));
            }
        }
        self.kept.step = Step::Rules { at };
        self.keep().await
    }

    /// Waits for what the rules do now. What waits for an event or a person is told as such.
    async fn follow(&self) -> Ended<()> {
        let (now, Step::Rules { at }) = (self.now(), self.kept.step) else { return Ok(()) };
        let age = now.since(at);
        if age >= RULES_WAIT {
            return Ok(());
        }
        let jobs = jobs_about(&*self.task.ctx.store, self.kept).await?;
        let is_at_work = |job: &&Job| matches!(job.state, JobState::Due { .. } | JobState::Running { .. });
        if let Some(job) = of_rules(self.kept, &jobs).into_iter().find(is_at_work) {
            let at = now.plus((age / 4).clamp(LOOK_AGAIN_MIN, LOOK_AGAIN_MAX));
            let why = format!("rule {} is at work for the user", job.rule);
            return Err(End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why })));
        }
        Ok(())
    }

    /// Tells the consumer how it stands at the end.
    async fn tell(&self) -> Ended<()> {
        let (task, kept) = (self.task, &*self.kept);
        if kept.wanted.notify.is_none() {
            return Ok(());
        }
        // Its own job runs to tell this.
        let jobs = jobs_about(&*task.ctx.store, kept).await?;
        let others: Vec<Job> = jobs.into_iter().filter(|job| !kept.is_of(job)).collect();
        let (now, held) = (self.now(), Held { is_paused: false, only_observes: task.account.only_observes });
        let ended = kept.clone().ended(now, None);
        let said = stands(&ended, &others, held, now);
        match tell(&*task.ctx.feed, &ended, task.job, (&said, &others, None)).await {
            None | Some(Outcome::Done(_)) => Ok(()),
            Some(outcome) => Err(End::Outcome(outcome)),
        }
    }
}

/// Tells the consumer how an onboarding stands, by its own job; none where nobody is to be told. `news` tells it from what was
/// told of the same one before.
pub async fn tell(
    feed: &dyn Feed,
    kept: &Onboarding,
    own: &Job,
    (said, jobs, news): (&Stands, &[Job], Option<&str>),
) -> Option<Outcome> {
    let to = kept.wanted.notify.as_ref()?;
    let message = Message {
        id: news.map_or_else(|| format!("msg_{}", kept.id), |news| format!("msg_{}_{news}", kept.id)),
        event: "adjutant.onboarding".to_owned(),
        record: Some(told(kept, said, &of_rules(kept, jobs))),
        delivery: None,
        ..super::send::blank(own, None)
    };
    Some(feed.send(Sending { to, template: None, message: &message }).await)
}

fn waits() -> End {
    End::waits(WaitReason::UserPending)
}

/// The first of the names or ids that names no group, or more than one.
pub fn unknown_group(wanted: &[String], groups: &[Group]) -> Option<ParkCause> {
    let count = |name: &str| groups.iter().filter(|group| group.name == name || group.id.as_str() == name).count();
    let wrong = wanted.iter().map(|name| (name, count(name))).find(|(_, count)| *count != 1);
    wrong.map(|(name, count)| ParkCause::GroupUnknown { name: name.clone(), is_twice: count > 1 })
}

/// Jobs about the user of an onboarding, its own among them, newest first.
pub async fn jobs_about(store: &dyn Store, kept: &Onboarding) -> Result<Vec<Job>, StoreError> {
    let filter = JobFilter {
        account: Some(kept.account.clone()),
        subject: Some(kept.subject()),
        limit: JOBS_MAX,
        ..JobFilter::default()
    };
    store.jobs(filter).await
}

/// The job that does it.
pub async fn own_job(store: &dyn Store, kept: &Onboarding) -> Result<Option<Job>, StoreError> {
    // Whoever was removed and made anew has another id.
    let subject = Subject::User { id: None, email: Some(kept.wanted.email.clone()) };
    job_by(store, Asker::Onboarding(kept.id), (&kept.account, RuleName::onboard()), subject).await
}

/// The newest of an account's jobs of a rule about a subject that this one asked for first.
pub(in crate::work) async fn job_by(
    store: &dyn Store,
    asker: Asker,
    (account, rule): (&AccountId, RuleName),
    subject: Subject,
) -> Result<Option<Job>, StoreError> {
    let filter = JobFilter {
        account: Some(account.clone()),
        rule: Some(rule),
        subject: Some(subject),
        limit: JOBS_MAX,
        ..JobFilter::default()
    };
    Ok(store.jobs(filter).await?.into_iter().find(|job| job.made_by == asker))
}

/// What a consumer is told, and what the API says of it beside.
pub fn told(kept: &Onboarding, stands: &Stands, rules: &[&Job]) -> Value {
    let rules = rules
        .iter()
        .map(|job| serde_json::json!({ "rule": job.rule, "job": job.id.to_string(), "state": job.state.name() }));
    serde_json::json!({
        "id": kept.id.to_string(),
        "account": kept.account,
        "email": kept.wanted.email,
        "user": kept.user,
        "label": kept.wanted.label,
        "batch": kept.batch,
        "state": stands.standing.name(),
        "came": kept.came.map(Came::in_words),
        "why": stands.why,
        "cause": stands.cause,
        "advice": stands.advice,
        "rules": rules.collect::<Vec<_>>(),
    })
}
