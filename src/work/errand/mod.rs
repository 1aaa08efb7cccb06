//! Errands: what somebody asks to be done to one meeting, as a durable job beside a document.
//!
//! Guarantees: what may have been done at Zoom is on record before it is tried, so that after a lost answer it is looked for and
//! not done again; what cannot be is refused in a sentence that names the one thing that is missing, and leaves nothing behind.

mod find;
mod kept;
mod moving;
mod schedule;

pub use kept::{
    Ended as ErrandEnded, Errand, ErrandNow, ErrandRefused, ErrandStands, ErrandState, Errandry, Refusal,
    Result as ErrandResult,
};
pub use moving::{Checked, Looked, MoveAsked, Moving, Verdict as MoveVerdict, look as look_at_move, with_offers};
pub use schedule::{Making, ScheduleAsked, Scheduling, Through};

use super::{Ctx, End, Ended, Guard};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ErrandId, MeetingId};
use crate::job::{Asker, Change, DayOf, DayUse, Effect, Intent, Job, Outcome, ParkCause};
use crate::store::{Allowance, JobFilter, Shelf, Store, StoreError, Write};
use crate::zoom::{Zoom, ZoomError};

/// Jobs of one subject that are looked at for an errand's own.
const JOBS_MAX: usize = 200;

/// The id under which an errand is found again by its idempotency key: the same key is the same errand.
pub fn errand_id(account: &AccountId, key: &str) -> ErrandId {
    ErrandId::from_bytes(super::onboard::hashed(b"adjutant errand\0", account, key))
}

/// The job that does it.
pub async fn errand_job(store: &dyn Store, kept: &Errand) -> Result<Option<Job>, StoreError> {
    let filter = JobFilter {
        account: Some(kept.account.clone()),
        rule: Some(kept.what.rule()),
        subject: Some(kept.subject()),
        limit: JOBS_MAX,
        ..JobFilter::default()
    };
    Ok(store.jobs(filter).await?.into_iter().find(|job| kept.is_of(job)))
}

/// Whose day a refusal of Zoom's means, which does not name the user: who has used the most of it.
pub async fn fullest(
    store: &dyn Store,
    account: &AccountId,
    days: Vec<DayUse>,
    at: Timestamp,
) -> Result<Option<DayOf>, StoreError> {
    let mut found: Option<(u32, DayOf)> = None;
    for DayUse { of, .. } in days.into_iter().filter(|day| matches!(day.of, DayOf::Host(_))) {
        let used = store.day_used(account, &of, at).await?.used;
        if found.as_ref().is_none_or(|(most, _)| used > *most) {
            found = Some((used, of));
        }
    }
    Ok(found.map(|(_, of)| of))
}

/// One attempt.
pub(super) async fn run(
    job: &Job,
    account: &Account,
    zoom: &dyn Zoom,
    guard: &dyn Guard,
    ctx: &Ctx,
) -> Result<Outcome, StoreError> {
    let kept = match job.made_by {
        Asker::Errand(id) => ctx.store.document(Shelf::Errand, &id.to_string()).await?,
        _ => None,
    };
    let Some(kept) = kept.as_ref().and_then(Errand::read) else {
        let why = "what was asked for is not kept any more".to_owned();
        return Ok(Outcome::Done(Effect::NotApplicable { why }));
    };
    if let Some(kept::Ended { result, .. }) = &kept.ended {
        // The process ended before its job did.
        return Ok(Outcome::Done(match result {
            kept::Result::Done { meeting, .. } => Effect::Changed { what: format!("{} {meeting}", job.rule) },
            kept::Result::Refused(Refusal { code, why, .. }) => {
                Effect::Refused { code: code.clone(), why: why.clone() }
            }
            kept::Result::Cancelled(why) => Effect::NotApplicable { why: why.clone() },
        }));
    }
    let mut attempt = Attempt { job, account, zoom, guard, ctx, kept };
    let ended = match attempt.kept.what.clone() {
        Errandry::Schedule(scheduling) => schedule::run(&mut attempt, scheduling).await,
        Errandry::Move(moving) => moving::run(&mut attempt, moving).await,
    };
    ended.map_or_else(End::outcome, Ok)
}

/// One attempt at an errand.
#[derive(Debug)]
struct Attempt<'a> {
    job: &'a Job,
    account: &'a Account,
    zoom: &'a dyn Zoom,
    guard: &'a dyn Guard,
    ctx: &'a Ctx,
    kept: Errand,
}

impl Attempt<'_> {
    fn now(&self) -> Timestamp {
        self.ctx.clock.now()
    }

    /// On disk, before what it says may have been done.
    async fn keep(&mut self, what: Errandry) -> Ended<()> {
        self.kept.what = what;
        let write = vec![Write::Put(self.kept.document())];
        Ok(self.ctx.store.write_documents(write, Vec::new(), self.now()).await?)
    }

    async fn end(&mut self, result: kept::Result) -> Ended<()> {
        self.kept.ended = Some(kept::Ended { at: self.now(), result });
        let what = self.kept.what.clone();
        self.keep(what).await
    }

    /// It cannot be; nothing of it is left at Zoom.
    async fn refuse(&mut self, refusal: Refusal) -> Ended<Outcome> {
        let effect = Effect::Refused { code: refusal.code.clone(), why: refusal.why.clone() };
        self.end(kept::Result::Refused(refusal)).await?;
        Ok(Outcome::Done(effect))
    }

    /// It was read back. `what` is for the audit log.
    async fn done(&mut self, meeting: MeetingId, notes: Vec<String>, what: String) -> Ended<Outcome> {
        self.end(kept::Result::Done { meeting, notes }).await?;
        Ok(Outcome::Done(Effect::Changed { what }))
    }

    fn failed(&self, error: ZoomError) -> End {
        super::failed(self.job, self.now(), error)
    }

    /// Puts the intent on disk, within the day's budgets of Zoom's; which is full, else.
    async fn intend(&self, what: String, days: Vec<DayUse>) -> Ended<Result<Intent, Allowance>> {
        let change =
            Change { what, max_per_hour: u32::MAX, max_per_day: None, is_planned: false, marks: Vec::new(), days };
        match self.guard.intend(change).await? {
            Allowance::Granted(intent) => Ok(Ok(intent)),
            full @ Allowance::NextDay { .. } => Ok(Err(full)),
            Allowance::NextHour { .. } | Allowance::OverShare | Allowance::Contested { .. } => {
                Err(End::park(ParkCause::OverShare { rule: self.job.rule.to_string() }))
            }
        }
    }
}
