//! When each account's next sweep is due, of which kind, and why.
//!
//! There are three kinds, each by a schedule of its own: users by lists, settings of users, upcoming meetings. Each looks at
//! the rules that it is of, and one account has one sweep at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Roster;
use super::lists::is_listable;
use super::schedule::Schedule;
use super::sweeper::{Order, Sweeper};
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::{AccountId, Email, RuleName};
use crate::rules::{Mode, Rule, SubjectKind};
use crate::store::{StoreError, SweepCause, SweepKind, SweepRun, SweepState, WholeSweep};

/// `[sweep]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepSettings {
    pub schedule: Schedule,
    /// When settings of users are read.
    pub settings: Schedule,
    /// When meetings are.
    pub meetings: Schedule,
    /// Each account's sweeps begin up to so long after the moments of the schedule, so that not all begin at once.
    pub jitter: Duration,
    /// Of accounts that have a schedule of their own, for what lists say.
    pub accounts: HashMap<AccountId, Schedule>,
}

impl SweepSettings {
    /// In UTC.
    pub const SETTINGS_CRON: &str = "30 2 * * *";
    pub const MEETINGS_CRON: &str = "30 3 * * *";

    pub(super) fn schedule_of(&self, account: &AccountId, kind: SweepKind) -> &Schedule {
        match kind {
            SweepKind::Users => self.accounts.get(account).unwrap_or(&self.schedule),
            SweepKind::Settings => &self.settings,
            SweepKind::Meetings => &self.meetings,
        }
    }
}

impl Default for SweepSettings {
    fn default() -> Self {
        let nightly = |cron| Schedule::new(cron, "UTC").unwrap_or_default();
        Self {
            schedule: Schedule::default(),
            settings: nightly(Self::SETTINGS_CRON),
            meetings: nightly(Self::MEETINGS_CRON),
            jitter: Duration::ZERO,
            accounts: HashMap::new(),
        }
    }
}

/// A sweep that is to begin.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) at: Timestamp,
    pub(super) kind: SweepKind,
    pub(super) why: SweepCause,
    pub(super) order: Order,
}

/// Where an account's sweeps stand.
#[derive(Debug, Clone)]
pub struct Standing {
    pub state: SweepState,
    /// Somebody wants one, and it did not begin yet.
    pub is_asked: bool,
    /// Of each kind that some rule is of.
    pub kinds: Vec<KindStanding>,
}

/// Where an account's sweeps of one kind stand.
#[derive(Debug, Clone)]
pub struct KindStanding {
    pub kind: SweepKind,
    /// When the last whole one ended.
    pub whole_at: Option<Timestamp>,
    /// When the next is due by what is known now, and why.
    pub next: (Timestamp, SweepCause),
    /// From then on the last whole one is older than two intervals of the schedule.
    pub stale_at: Timestamp,
}

/// Whether a sweep of the kind looks at the rule.
pub(super) fn is_of(kind: SweepKind, rule: &Rule) -> bool {
    // What an event missed is nothing that a rule about events wants.
    rule.on.is_none()
        && match kind {
            SweepKind::Users => is_listable(rule),
            SweepKind::Settings => rule.subject == SubjectKind::User && !rule.ensure.user_settings().is_empty(),
            SweepKind::Meetings => rule.subject == SubjectKind::Meeting,
        }
}

fn is_any_of(kind: SweepKind, roster: &Roster) -> bool {
    roster.rules().iter().any(|rule| is_of(kind, rule))
}

impl Sweeper {
    pub async fn standing(&self, account: &Account) -> Result<Standing, StoreError> {
        let (roster, now) = (Arc::clone(&self.parts.roster.borrow()), self.parts.clock.now());
        let state = self.parts.store.sweep_state(&account.id).await?;
        let (is_asked, not_before) = self.with(&account.id, |known| (known.asked.is_some(), known.not_before));
        let of = |kind: SweepKind| {
            let (at, why) = self.due_of(kind, account, &roster, &state, now);
            let (schedule, offset) = (self.settings.schedule_of(&account.id, kind), self.offset(account));
            let whole_at = state.whole.get(&kind).map(|whole| whole.ended_at);
            let stale_at = schedule.next(schedule.next(whole_at.unwrap_or(self.since), offset), offset);
            KindStanding { kind, whole_at, next: (at.max(not_before), why), stale_at }
        };
        let kinds = SweepKind::ALL.into_iter().filter(|kind| is_any_of(*kind, &roster)).map(of).collect();
        Ok(Standing { state, is_asked, kinds })
    }

    /// Why no sweep can look at the rule, or at any, if none can.
    pub fn is_not_swept(&self, rule: Option<&RuleName>) -> Option<String> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        match rule {
            None => {
                let is_of_none = SweepKind::ALL.into_iter().all(|kind| !is_any_of(kind, &roster));
                is_of_none.then(|| "there is no rule that a sweep could look at".to_owned())
            }
            Some(name) => match roster.rule(name) {
                None => Some(format!("there is no rule {name}")),
                Some(rule) if rule.on.is_some() => {
                    Some(format!("rule {name} is about events, and no sweep looks at it"))
                }
                Some(rule) => kind_for(rule).is_none().then(|| format!("no sweep looks at what rule {name} wants")),
            },
        }
    }

    fn offset(&self, account: &Account) -> Duration {
        let drawn = || self.settings.jitter.mul_f64(self.parts.chance.unit());
        self.with(&account.id, |known| *known.offset.get_or_insert_with(drawn))
    }

    /// The next sweep of the account; none where there are no rules.
    pub(super) fn due(&self, account: &Account, roster: &Roster, state: &SweepState, now: Timestamp) -> Option<Due> {
        if let Some(order) = self.with(&account.id, |known| known.asked.clone()) {
            if let Some(kind) = kind_of(&order, roster) {
                return Some(Due { at: now, kind, why: SweepCause::Person, order });
            }
            // Its rule went, or changed, since somebody asked.
            self.with(&account.id, |known| known.asked = None);
        }
        if let Some(first) = self.first(account, roster, state, now) {
            return Some(first);
        }
        let kinds = SweepKind::ALL.into_iter().filter(|kind| is_any_of(*kind, roster));
        let of = |kind| {
            let (at, why) = self.due_of(kind, account, roster, state, now);
            Due { at, kind, why, order: Order::default() }
        };
        kinds.map(of).min_by_key(|due| due.at)
    }

    /// An account that came while the service ran is only looked at first. What rules want of those who were there then
    /// comes with the schedule, so that somebody can read what was found, and pause it.
    fn first(&self, account: &Account, roster: &Roster, state: &SweepState, now: Timestamp) -> Option<Due> {
        let joined = account.joined_at?;
        let is_since = |run: &Option<SweepRun>| run.as_ref().is_some_and(|run| run.started_at >= joined);
        if is_since(&state.last_dry) || is_since(&state.last) {
            return None;
        }
        let order = Order { rule: None, is_dry: true };
        let kind = kind_of(&order, roster)?;
        let again = |failed: Timestamp| self.settings.schedule_of(&account.id, kind).next(failed, self.offset(account));
        let failed = state.failed.as_ref().filter(|failed| failed.at >= joined);
        let at = failed.map_or(now, |failed| again(failed.at));
        Some(Due { at, kind, why: SweepCause::First, order })
    }

    fn due_of(
        &self,
        kind: SweepKind,
        account: &Account,
        roster: &Roster,
        state: &SweepState,
        now: Timestamp,
    ) -> (Timestamp, SweepCause) {
        let (offset, tried) = (self.offset(account), self.with(&account.id, |known| known.tried.get(&kind).copied()));
        // Of an account that came back, what was before does not count.
        let is_since = |at: Timestamp| account.joined_at.is_none_or(|joined| at >= joined);
        let tried = tried.filter(|tried| is_since(*tried));
        let whole = state.whole.get(&kind).filter(|whole| is_since(whole.started_at));
        let schedule = self.settings.schedule_of(&account.id, kind);
        let Some(began) = whole.map(|whole| whole.started_at).max(tried) else {
            return account
                .joined_at
                .map_or((now, SweepCause::Outage), |at| (schedule.next(at, offset), SweepCause::First));
        };
        // One that failed is tried again by the schedule, whatever the rules are.
        let is_new = |whole: &WholeSweep| {
            tried.is_none_or(|tried| whole.ended_at >= tried) && whole.with != compared_with(kind, account, roster)
        };
        if whole.is_some_and(is_new) {
            return (now, SweepCause::NewRules);
        }
        let next = schedule.next(began, offset);
        let is_missed = schedule.next(next, offset) <= now;
        (next, if is_missed { SweepCause::Outage } else { SweepCause::Schedule })
    }
}

/// What is asked for without a kind: the one that looks at all that the rule wants; without a rule, the cheapest that some
/// rule is of.
fn kind_of(order: &Order, roster: &Roster) -> Option<SweepKind> {
    match &order.rule {
        Some(rule) => kind_for(roster.rule(rule)?),
        None => SweepKind::ALL.into_iter().find(|kind| is_any_of(*kind, roster)),
    }
}

fn kind_for(rule: &Rule) -> Option<SweepKind> {
    SweepKind::ALL.into_iter().rev().find(|kind| is_of(*kind, rule))
}

/// A hash of what the account is compared with, and by which app: what another one had to do still, nobody does after it. A
/// rule that observes is compared with only as much as one that enforces.
pub(super) fn compared_with(kind: SweepKind, account: &Account, roster: &Roster) -> [u8; 16] {
    let mut hash = Sha256::new_with_prefix(account.app.as_str());
    for rule in roster.rules_of(account).iter().filter(|rule| is_of(kind, rule)) {
        hash.update(rule.fingerprint());
        hash.update([u8::from(rule.mode == Mode::Enforce)]);
    }
    if kind == SweepKind::Users {
        let named = account.api_users.iter().map(UserKey::as_str);
        for name in named.chain(account.may_grant.iter().map(Email::as_str)) {
            hash.update(name);
            hash.update([0]);
        }
    }
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}
