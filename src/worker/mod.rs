//! What turns stored deliveries into jobs ([`Planner`]) and jobs into what is true at Zoom ([`Runner`]).
//!
//! Guarantees: nothing is done that the store has not recorded before; a panic in one delivery or one job stays there; a
//! job runs only while its lease outlasts the call that it makes; at the end nothing that was started here still runs.
//! Both ask the store to be woken *before* they look for work, so that nothing is missed in between.
//!
//! Deliberately does not know how a task is done ([`crate::work`]), nor what an event means ([`crate::rules`]).

mod agenda;
mod apply;
mod assistants;
mod backfill;
mod by_hand;
mod come_back;
mod decide;
mod due;
mod errands;
mod forget;
mod held;
mod hosts;
mod lent;
mod lists;
mod look;
mod lost;
mod meetings;
mod mend;
mod movable;
mod onboard;
mod pages;
mod plan;
mod planner;
mod refused;
mod roster;
mod runner;
mod schedule;
mod settings;
mod silence;
mod since;
mod stats;
mod storm;
mod sweeper;
mod take_back;
#[cfg(test)]
mod tests;
mod users;
mod walk;

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use apply::apply;
pub use assistants::{Added, AddedOne, Assistants, Came, Grant, List, Removed, Verified, Withdraw};
pub use backfill::{Backfill, Backfilled};
pub use come_back::ComeBack;
pub use decide::decide;
pub use due::{KindStanding, Standing, SweepSettings};
pub use errands::Errands;
pub use forget::{ForgetError, Forgets, Person, Progress, Run};
pub use lost::LostHosts;
pub use meetings::{Budget, MeetingChange, Meetings, MeetingsError, Movable};
pub use mend::mend;
pub use movable::{InPoolPage, InPoolRow, Place};
pub use onboard::{Onboarder, Taken};
pub use plan::plan;
pub use planner::Planner;
pub use roster::Roster;
pub use runner::Runner;
pub use schedule::Schedule;
pub use settings::{Settings, SettingsError};
pub use stats::Stats;
pub use sweeper::{Order, Sweeper};
pub use take_back::{Grants, TAKE_BACK, TakeBack};
pub use users::{By, LetGo, Loss, Users, UsersError};

use crate::accounts::Accounts;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::ids::AccountId;
use crate::store::{Store, StoreError};
use crate::work::{Facts, Feed, Kin};
use crate::zoom::{AccountClient, Zoom};

/// Where a handle on Zoom comes from. Each attempt gets one of its own, so that its calls can be told from others'.
pub trait ZoomFor: fmt::Debug + Send + Sync {
    /// None where the account is not held.
    fn zoom(&self, account: &AccountId) -> Option<Arc<dyn Zoom>>;

    /// The same for a sweep and its jobs, which may use only a part of the account's rate.
    fn sweeping(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        self.zoom(account)
    }
}

impl<S: BuildHasher + Send + Sync> ZoomFor for HashMap<AccountId, AccountClient, S> {
    fn zoom(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        let client = self.get(account)?;
        Some(Arc::new(client.handle()))
    }

    fn sweeping(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        let client = self.get(account)?;
        Some(Arc::new(client.sweeping_handle()))
    }
}

/// What planner and runner work with.
#[derive(Debug, Clone)]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub zooms: Arc<dyn ZoomFor>,
    /// Who is served and by which rules; a reload sends a new one.
    pub roster: watch::Receiver<Arc<Roster>>,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    pub facts: Arc<Facts>,
    /// To whom rules send.
    pub feed: Arc<dyn Feed>,
    /// Who is served beside the configuration, where that can change.
    pub accounts: Option<Arc<Accounts>>,
    pub stats: Arc<Stats>,
    pub settings: Settings,
}

impl Parts {
    /// The others of an account's organisation, each with a handle of its own.
    fn kin(&self, account: &AccountId) -> Vec<Kin> {
        let roster = Arc::clone(&self.roster.borrow());
        let kin = roster
            .kin(account)
            .filter(|kin| !roster.paused().contains(&kin.id))
            .map(|kin| Some((kin.id.clone(), self.zooms.zoom(&kin.id)?)));
        kin.flatten().map(|(account, zoom)| Kin { account, zoom }).collect()
    }

    /// What was asked of them goes on record.
    async fn called_kin(&self, kin: &[Kin]) -> Result<(), StoreError> {
        let roster = Arc::clone(&self.roster.borrow());
        for Kin { account, zoom } in kin {
            if let Some(account) = roster.by_id(account) {
                onboard::called(self, account, zoom.calls()).await?;
            }
        }
        Ok(())
    }
}

/// Leaves the store alone for a while. Not by the [`Clock`]: nothing is decided by it.
async fn pace(settings: &Settings, shutdown: &CancellationToken) {
    if settings.pace_ms > 0 {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(std::time::Duration::from_millis(settings.pace_ms.into())) => {}
        }
    }
}

/// Plans and works until `shutdown`, then drains. An error means that the store can take nothing more.
pub async fn run(parts: &Parts, shutdown: &CancellationToken) -> Result<(), StoreError> {
    let (planner, runner) = (Planner::new(parts.clone()), Runner::new(parts.clone()));
    let come_back = ComeBack::new(parts.clone());
    // Where one of them fails, the others have nothing more to do either.
    let stop = shutdown.child_token();
    let planning = async { planner.run(&stop).await.inspect_err(|_| stop.cancel()) };
    let working = async { runner.run(&stop).await.inspect_err(|_| stop.cancel()) };
    let returning = async { come_back.run(&stop).await.inspect_err(|_| stop.cancel()) };
    let (plans, jobs, returns) = tokio::join!(planning, working, returning);
    plans.and(jobs).and(returns)
}
