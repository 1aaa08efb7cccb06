//! From stored deliveries to jobs.
//!
//! Whatever was stored gets a decision, and only one: a duplicate, something that cannot be read, or is for an account that
//! the app does not hold, is decided too. What a body claims is never enough: it counts for an account that the app, whose
//! secret verified it, holds.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pace;
use super::storm::Storm;
use super::{Parts, Roster};
use crate::account::Account;
use crate::audit::{Detail, Kind};
use crate::event::signature::Verified;
use crate::event::{Event, What, wire};
use crate::ids::{AccountId, AppName, RuleName};
use crate::rules;
use crate::store::{Decision, Note, StoreError, StoredDelivery, Verdict};
use crate::work::api_user_gone;

/// So many batches follow each other by reading ahead; then the oldest are looked for again, which a person may have replayed.
const AHEAD_MAX: u32 = 16;
/// So often in a row what was to be planned may be decided on by others, as by who forgets an account; then it waits.
const CONFLICTS_MAX: u32 = 16;
/// How long to wait before trying again where the store has no space, or an account is being forgotten.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// What was read while the batch before it was planned.
#[derive(Debug, Default)]
struct Ahead {
    deliveries: Vec<StoredDelivery>,
    /// Batches since the oldest were looked for.
    batches: u32,
}

/// What came of letting accounts go on.
#[derive(Debug, Default)]
struct Released {
    any: bool,
    /// Those that are just being forgotten: what comes for them is set aside until that is over.
    left: HashSet<AccountId>,
}

#[derive(Debug)]
pub struct Planner {
    parts: Parts,
}

impl Planner {
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Plans until `shutdown`. An error means that the store can take nothing more.
    pub async fn run(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let (mut changed, mut roster) = (self.parts.store.changed(), self.parts.roster.clone());
        let (mut released, mut looked) = (HashSet::new(), None);
        let (mut storm, mut ahead, mut conflicts) = (Storm::default(), Ahead::default(), 0_u32);
        loop {
            changed.borrow_and_update();
            storm.let_pass(&*self.parts.store, shutdown).await?;
            let mut now_held = roster.borrow_and_update().clone();
            let is_new = !looked.as_ref().is_some_and(|looked| Arc::ptr_eq(looked, &now_held));
            let release = async {
                if !is_new {
                    return Ok(Released::default());
                }
                self.release_new(&now_held, &mut released).await
            };
            let worked = match release.await {
                Ok(Released { any, left }) => {
                    looked = left.is_empty().then(|| Arc::clone(&now_held));
                    if any {
                        ahead = Ahead::default();
                    }
                    if !left.is_empty() {
                        now_held = Arc::new(now_held.without(&left));
                    }
                    self.plan_batch(&now_held, &mut ahead).await
                }
                Err(error) => Err(error),
            };
            conflicts = if matches!(worked, Err(StoreError::Conflict(_))) { conflicts.saturating_add(1) } else { 0 };
            let wait = match worked {
                Ok(0) => looked.is_none().then_some(FULL_WAIT),
                Ok(_) | Err(StoreError::Closed) if shutdown.is_cancelled() => return Ok(()),
                Ok(count) if count >= usize::from(self.parts.settings.plan_batch_max) => continue,
                Ok(_) => {
                    pace(&self.parts.settings, shutdown).await;
                    continue;
                }
                // Somebody decided meanwhile about what was read: nothing of the batch is written, and the rest is read anew.
                Err(StoreError::Conflict(why)) if conflicts < CONFLICTS_MAX => {
                    tracing::info!("a batch is planned anew: {why}");
                    continue;
                }
                // An account that is served, and yet was forgotten, is let go on again.
                Err(StoreError::Conflict(why)) => {
                    tracing::warn!("a batch cannot be planned yet: {why}");
                    released.clear();
                    looked = None;
                    Some(FULL_WAIT)
                }
                Err(StoreError::Full | StoreError::Behind(_) | StoreError::Backlog) => Some(FULL_WAIT),
                Err(error) => return Err(error),
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.pause(wait) => {}
                more = changed.changed(), if wait.is_none() => {
                    if more.is_err() {
                        return Err(StoreError::Closed);
                    }
                }
                () = moved(&mut roster), if wait.is_none() => {}
            }
        }
    }

    async fn pause(&self, wait: Option<Duration>) {
        match wait {
            Some(wait) => self.parts.clock.sleep_until(self.parts.clock.now().plus(wait)).await,
            None => std::future::pending().await,
        }
    }

    /// Lets go on what waited for accounts that are new in the roster.
    async fn release_new(
        &self,
        roster: &Roster,
        released: &mut HashSet<(AppName, AccountId)>,
    ) -> Result<Released, StoreError> {
        let mut came = Released::default();
        let held: HashSet<_> = roster.accounts().map(|account| (account.app.clone(), account.id.clone())).collect();
        // What is taken out and put back is released again.
        released.retain(|one| held.contains(one));
        for one in held {
            if !released.contains(&one) {
                let (app, account) = &one;
                let count = match self.parts.store.release(app, account, self.parts.clock.now()).await {
                    Err(StoreError::Conflict(_)) => {
                        came.left.insert(account.clone());
                        continue;
                    }
                    released => released?,
                };
                if count > 0 {
                    came.any = true;
                    tracing::info!(%app, %account, count, "deliveries that waited for the account are planned");
                }
                released.insert(one);
            }
        }
        Ok(came)
    }

    /// Decides about the oldest deliveries that nobody decided about, in turn over apps; returns how many. By the roster whose accounts were
    /// let go on: by another, a delivery could be set aside for an account that nobody sees come back.
    pub async fn plan_once(&self, roster: &Roster) -> Result<usize, StoreError> {
        self.plan_batch(roster, &mut Ahead::default()).await
    }

    /// The same, while the next are read: they are left in `ahead`.
    async fn plan_batch(&self, roster: &Roster, ahead: &mut Ahead) -> Result<usize, StoreError> {
        let (store, batch_max) = (&self.parts.store, usize::from(self.parts.settings.plan_batch_max));
        let Ahead { mut deliveries, mut batches } = std::mem::take(ahead);
        // What is let go on is older than what was read ahead.
        if store.release_held(batch_max, self.parts.clock.now()).await? > 0 || deliveries.is_empty() {
            (deliveries, batches) = (store.unplanned(&[], batch_max).await?, 0);
        }
        let (count, read) = (deliveries.len(), deliveries.iter().map(|delivery| delivery.id).collect::<Vec<_>>());
        let next = async {
            if count >= batch_max && batches < AHEAD_MAX {
                store.unplanned(&read, batch_max).await
            } else {
                Ok(Vec::new())
            }
        };
        let (next, decided) = tokio::join!(next, self.decide(roster, deliveries));
        decided?;
        *ahead = Ahead { deliveries: next?, batches: batches.saturating_add(1) };
        Ok(count)
    }

    async fn decide(&self, roster: &Roster, deliveries: Vec<StoredDelivery>) -> Result<(), StoreError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let (mut decisions, mut notes) = (Vec::with_capacity(deliveries.len()), Vec::new());
        self.let_go(&deliveries).await?;
        for delivery in deliveries {
            let (decision, more) = guarded(&delivery, || self.plan(roster, &delivery));
            self.count(&decision.verdict);
            decisions.push(decision);
            notes.extend(more);
        }
        let now = self.parts.clock.now();
        // First what a person should know: after a crash in between it is said again, which is better than never.
        for note in notes {
            self.parts.store.note(note, now).await?;
        }
        self.parts.store.record_plan(decisions, now).await
    }

    /// An account whose admin removed the app is let go before the delivery that says so is decided about: after a crash in
    /// between it is said again.
    async fn let_go(&self, deliveries: &[StoredDelivery]) -> Result<(), StoreError> {
        let Some(accounts) = &self.parts.accounts else { return Ok(()) };
        // One that comes again says nothing new, and the app may have been installed since.
        for delivery in deliveries.iter().filter(|delivery| delivery.duplicate_of.is_none() && !delivery.replayed) {
            // Parsed once more only where it may be one: the name with escapes would be missed, and Zoom's refusals say it too.
            let says_so = |verified: &&Verified| {
                std::str::from_utf8(verified.body()).is_ok_and(|body| body.contains("app_deauthorized"))
            };
            let event = delivery.verified.as_ref().filter(says_so).and_then(|verified| wire::parse(verified).ok());
            if let Some(Event { what: What::AppDeauthorized { user }, account: Some(account), at, .. }) = event {
                let at = at.unwrap_or(delivery.received_at);
                match accounts.deauthorized((&delivery.app, &account), user.as_ref(), at).await {
                    // It is being forgotten.
                    Ok(()) | Err(StoreError::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn plan(&self, roster: &Roster, delivery: &StoredDelivery) -> (Decision, Vec<Note>) {
        let decide = |account: Option<&AccountId>, event: String, verdict| Decision {
            delivery: delivery.id,
            account: account.cloned(),
            event,
            verdict,
        };
        let parsed = match &delivery.verified {
            Some(verified) => wire::parse(verified).map_err(|why| why.to_string()),
            None => Err("its body was pruned".to_owned()),
        };
        let duplicate = delivery.duplicate_of.filter(|_| !delivery.replayed);
        let event = match (parsed, duplicate) {
            (Ok(event), _) => event,
            (Err(_), Some(of)) => return (decide(None, String::new(), Verdict::Duplicate { of }), Vec::new()),
            (Err(why), None) => return (decide(None, String::new(), Verdict::Unreadable { why }), Vec::new()),
        };
        let account = match whose(roster, &delivery.app, &event) {
            Whose::Account(account) => Some(account),
            Whose::Nobody => None,
            Whose::Unclaimed => {
                let verdict = match duplicate {
                    Some(of) => Verdict::Duplicate { of },
                    None => Verdict::Unclaimed { account: event.account },
                };
                return (decide(None, event.name, verdict), Vec::new());
            }
        };
        let id = account.map(|account| &account.id);
        if let Some(of) = duplicate {
            return (decide(id, event.name, Verdict::Duplicate { of }), Vec::new());
        }
        let mut notes: Vec<Note> = account.and_then(|account| self.attention(account, &event)).into_iter().collect();
        let mut steps = rules::plan(&event, roster.rules());
        if let (Some(_), Some(verified)) = (id, &delivery.verified) {
            let body = || wire::body(verified).map_err(|why| why.to_string());
            let asked = rules::on_event((delivery.id, &event), id, self.parts.clock.now(), roster.rules(), body);
            steps.extend(asked.steps);
            if self.parts.settings.moves.watch_hosts {
                let kind = || wire::changed(verified)?.new.get("type")?.as_i64();
                steps.extend(rules::of_host(&event, kind));
            }
            notes.extend(asked.unanswered.iter().map(|(rule, why)| unanswered(delivery, rule, why)));
        }
        let echo = id.filter(|_| !steps.is_empty() && !delivery.replayed).and_then(|id| {
            let changed = || delivery.verified.as_ref().and_then(wire::changed);
            self.parts.facts.echo(id, &event, self.parts.clock.now(), changed)
        });
        steps.retain(|step| !echo.as_ref().is_some_and(|echo| echo.answers(step, roster.rules())));
        let verdict = if let (Some(echo), true) = (&echo, steps.is_empty()) {
            Verdict::Echo { of: echo.job }
        } else if steps.is_empty() {
            Verdict::Nothing
        } else {
            Verdict::Work { meaning: event.meaning, event_at: event.at, steps }
        };
        (decide(id, event.name, verdict), notes)
    }

    /// What a person should know of, and what is not to be trusted any more, because of this event.
    fn attention(&self, account: &Account, event: &Event) -> Option<Note> {
        match &event.what {
            What::User { change, user } => {
                let facts = &self.parts.facts;
                let key = facts.is_api_user(account, user.id.as_ref(), user.email.as_ref())?;
                facts.forget_api_user(&account.id, &key);
                if !change.is_gone() {
                    // Whatever else changed, the work for this user will see.
                    return None;
                }
                facts.set_reported(&account.id, &key);
                Some(api_user_gone(account, &key, user.id.as_ref(), &event.name))
            }
            // Of a general app others may be left who installed it; who serves accounts says so.
            What::AppDeauthorized { .. } if self.is_general(&account.app) => None,
            What::AppDeauthorized { .. } => Some(Note {
                kind: Kind::Attention,
                app: Some(account.app.clone()),
                account: Some(account.id.clone()),
                code: "app-deauthorized".to_owned(),
                detail: Detail::note("the account's admin removed the app: its calls will be refused"),
            }),
            _ => None,
        }
    }

    fn is_general(&self, app: &AppName) -> bool {
        self.parts.accounts.as_ref().is_some_and(|accounts| accounts.general_app(app).is_some())
    }

    fn count(&self, verdict: &Verdict) {
        self.parts.stats.count("planned");
        match verdict {
            Verdict::Nothing | Verdict::Work { .. } => {}
            Verdict::Duplicate { .. } => self.parts.stats.count("planned-duplicate"),
            Verdict::Echo { .. } => self.parts.stats.count("planned-echo"),
            Verdict::Unreadable { .. } => self.parts.stats.count("planned-unreadable"),
            Verdict::Unclaimed { .. } => self.parts.stats.count("planned-unclaimed"),
        }
    }
}

/// The entry about a rule that did nothing because its condition has no answer for this event.
fn unanswered(delivery: &StoredDelivery, rule: &RuleName, why: &str) -> Note {
    tracing::warn!(delivery = %delivery.id, %rule, "a rule's condition has no answer for an event: it does nothing");
    Note {
        kind: Kind::Attention,
        app: Some(delivery.app.clone()),
        account: None,
        code: "condition-unanswered".to_owned(),
        detail: Detail::note(format!("rule {rule} does nothing for {}: {why}", delivery.id)),
    }
}

/// Ends when another roster was sent; never, where none can be any more.
pub(super) async fn moved(roster: &mut watch::Receiver<Arc<Roster>>) {
    if roster.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// For which account an event counts.
pub(super) enum Whose<'a> {
    Account(&'a Account),
    /// It is about the app itself, or nothing is done about it.
    Nobody,
    Unclaimed,
}

pub(super) fn whose<'a>(roster: &'a Roster, app: &AppName, event: &Event) -> Whose<'a> {
    match (&event.account, &event.what) {
        (Some(claimed), _) => roster.account(app, claimed).map_or(Whose::Unclaimed, Whose::Account),
        // Nothing is done for a user or a meeting of nobody knows whose account.
        (None, What::User { .. } | What::Meeting { .. } | What::GroupMembers { .. }) => Whose::Unclaimed,
        (None, What::UrlValidation { .. } | What::AppDeauthorized { .. } | What::Other) => {
            roster.only_account(app).map_or(Whose::Nobody, Whose::Account)
        }
    }
}

/// A defect that a delivery brings to light sets that one aside, and not the batch.
pub(super) fn guarded(
    delivery: &StoredDelivery,
    plan: impl FnOnce() -> (Decision, Vec<Note>),
) -> (Decision, Vec<Note>) {
    // The plan is pure, so that nothing is left half changed by a panic.
    catch_unwind(AssertUnwindSafe(plan)).unwrap_or_else(|_| {
        tracing::error!(delivery = %delivery.id, "planning it panicked; it is set aside");
        let why = "a defect in adjutant: planning it panicked".to_owned();
        let verdict = Verdict::Unreadable { why };
        (Decision { delivery: delivery.id, account: None, event: String::new(), verdict }, Vec::new())
    })
}
