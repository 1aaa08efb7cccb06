//! Errands: what somebody asks to be done to one meeting, as a durable job beside a document.
//!
//! Guarantees: what may have been done at Zoom is on record before it is tried, so that after a lost answer it is looked for and
//! not done again; what cannot be is refused in a sentence that names the one thing that is missing, and leaves nothing behind.

mod find;
mod kept;
mod making;
mod moving;
mod schedule;

pub use kept::{
    Ended as ErrandEnded, Errand, ErrandFilter, ErrandNow, ErrandRefused, ErrandStands, ErrandState, Errandry, Refusal,
    Result as ErrandResult,
};
pub use making::{Making, Scheduling};
pub use moving::{
    How, InPool, Lent, MoveAsked, Moving, Pool, Verdict as MoveVerdict, Way, Within, api_assistants, granted_for_good,
    idle_words, is_for_good, is_shared, lending, look as look_at_move, no_word, not_for_good, remembered_principal,
};
pub use schedule::{ScheduleAsked, Through, fault_of_start, told_no};

use super::{Ctx, End, Ended, Guard};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ErrandId, MeetingId, UserId};
use crate::job::{Asker, Change, DayOf, DayUse, Effect, Intent, Job, Outcome, ParkCause};
use crate::rules::Rule;
use crate::store::{Allowance, Shelf, Store, StoreError, Write};
use crate::zoom::{Zoom, ZoomError};

/// The id under which an errand is found again by its idempotency key: the same key is the same errand.
pub fn errand_id(account: &AccountId, key: &str) -> ErrandId {
    ErrandId::from_bytes(super::onboard::hashed(b"adjutant errand\0", account, key))
}

/// Also one that has ended.
pub async fn errand_kept(store: &dyn Store, id: ErrandId) -> Result<Option<Errand>, StoreError> {
    let key = id.to_string();
    // It goes from this shelf to that one, and never back.
    for shelf in [Shelf::Errand, Shelf::ErrandEnded] {
        if let Some(document) = store.document(shelf, &key).await? {
            return Ok(Errand::read(&document));
        }
    }
    Ok(None)
}

/// What is known of a meeting: whose errand made it, or whose privilege counted.
async fn known_of_meeting(store: &dyn Store, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    // Older programs kept it beside the errands themselves.
    for shelf in [Shelf::ErrandEnded, Shelf::Errand] {
        if let Some(document) = store.document(shelf, key).await? {
            return Ok(Some(document.value));
        }
    }
    Ok(None)
}

/// The job that does it.
pub async fn errand_job(store: &dyn Store, kept: &Errand) -> Result<Option<Job>, StoreError> {
    super::onboard::job_by(store, Asker::Errand(kept.id), (&kept.account, kept.what.rule()), kept.subject()).await
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

/// A text with people by the names that whoever asks knows them by: Zoom's refusals and ours name ids.
pub fn named<'a>(text: &str, people: impl IntoIterator<Item = (&'a UserId, String)>) -> String {
    people.into_iter().fold(text.to_owned(), |text, (id, name)| text.replace(id.as_str(), &name))
}

/// Of one that was called off too late.
fn done_before(why: &str) -> String {
    format!("it was done before it was called off: {why}")
}

/// One attempt.
pub(super) async fn run(
    job: &Job,
    rules: &[Rule],
    account: &Account,
    zoom: &dyn Zoom,
    guard: &dyn Guard,
    ctx: &Ctx,
) -> Result<Outcome, StoreError> {
    let kept = match job.made_by {
        Asker::Errand(id) => errand_kept(&*ctx.store, id).await?,
        _ => None,
    };
    let Some(kept) = kept else {
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
    let off = ctx.store.document(Shelf::Errand, &Errand::off_key(kept.id)).await?;
    let called_off = off.map(|off| String::from_utf8_lossy(&off.value).into_owned());
    let mut attempt = Attempt { job, rules, account, zoom, guard, ctx, kept, called_off };
    let ended = match (attempt.kept.what.clone(), attempt.called_off.clone()) {
        (Errandry::Schedule(scheduling), None) => schedule::run(&mut attempt, scheduling).await,
        (Errandry::Schedule(scheduling), Some(why)) => schedule::called_off(&mut attempt, scheduling, why).await,
        (Errandry::Move(moving), _) => moving::run(&mut attempt, moving).await,
    };
    ended.map_or_else(End::outcome, Ok)
}

/// One attempt at an errand.
#[derive(Debug)]
struct Attempt<'a> {
    job: &'a Job,
    rules: &'a [Rule],
    account: &'a Account,
    zoom: &'a dyn Zoom,
    guard: &'a dyn Guard,
    ctx: &'a Ctx,
    kept: Errand,
    /// Why nothing more is to be done of it.
    called_off: Option<String>,
}

impl Attempt<'_> {
    fn now(&self) -> Timestamp {
        self.ctx.clock.now()
    }

    /// On disk, before what it says may have been done.
    async fn keep(&mut self, what: Errandry) -> Ended<()> {
        self.keep_with(what, Vec::new()).await
    }

    async fn keep_with(&mut self, what: Errandry, mut writes: Vec<Write>) -> Ended<()> {
        self.kept.what = what;
        writes.push(Write::Put(self.kept.document()));
        Ok(self.ctx.store.write_documents(writes, Vec::new(), self.now()).await?)
    }

    async fn end(&mut self, result: kept::Result) -> Ended<()> {
        self.kept = self.kept.clone().into_ended(kept::Ended { at: self.now(), result });
        Ok(self.ctx.store.write_documents(self.kept.end_writes(), Vec::new(), self.now()).await?)
    }

    /// Somebody called it off, and nothing of it was done.
    async fn cancel(&mut self, why: String) -> Ended<Outcome> {
        self.end(kept::Result::Cancelled(why.clone())).await?;
        Ok(Outcome::Done(Effect::NotApplicable { why }))
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

    /// Whether there is no room for it in one of these days.
    async fn is_full(&self, days: &[DayUse]) -> Ended<bool> {
        for DayUse { of, max_per_day, .. } in days {
            let day = self.ctx.store.day_used(&self.account.id, of, self.now()).await?;
            if day.is_spent || day.used >= *max_per_day {
                return Ok(true);
            }
        }
        Ok(false)
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
