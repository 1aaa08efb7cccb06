//! A lease that is held: what an attempt may do while it lasts, and not a moment longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::account::UserKey;
use crate::audit::{Call, Saw};
use crate::clock::{Clock, Timestamp};
use crate::ids::{GroupId, MarketplaceId, MeetingId};
use crate::job::{Change, DayOf, Intent};
use crate::rules::Mode;
use crate::store::{Allowance, Leased, Spender, Store, StoreError};
use crate::work::Guard;
use crate::zoom::{
    Assistant, Edit, FailedDelivery, Group, Listed, Made, Meeting, MeetingRow, Member, Object, Observed, Page,
    Scheduler, Status, User, UserPage, Which, Zoom, ZoomError,
};

/// The job that runs, shared between its task (which asks for intents) and the renewal of its lease.
#[derive(Debug)]
pub(super) struct Held {
    leased: Mutex<Leased>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    lease: Duration,
    is_host_limited: AtomicBool,
}

impl Held {
    pub(super) fn new(leased: Leased, store: Arc<dyn Store>, clock: Arc<dyn Clock>, lease: Duration) -> Self {
        Self { leased: Mutex::new(leased), store, clock, lease, is_host_limited: AtomicBool::new(false) }
    }

    /// Whether the day of a meeting's host was found used up.
    pub(super) fn is_host_limited(&self) -> bool {
        self.is_host_limited.load(Ordering::Relaxed)
    }

    pub(super) fn into_inner(self) -> Leased {
        self.leased.into_inner()
    }

    /// Renews the lease whenever a third of it is over; ends when it cannot be held any more.
    pub(super) async fn keep(&self) -> StoreError {
        loop {
            self.clock.sleep_until(self.clock.now().plus(self.lease / 3)).await;
            match self.outlast(self.lease.saturating_sub(self.lease / 3)).await {
                Ok(()) => {}
                // Space may come again while the lease still lasts; without it, no call starts and nobody is harmed.
                Err(StoreError::Full) => tracing::warn!("a lease cannot be renewed: the disk is full"),
                Err(error) => return error,
            }
        }
    }

    /// Makes sure that the lease lasts for `time`.
    async fn outlast(&self, time: Duration) -> Result<(), StoreError> {
        let mut leased = self.leased.lock().await;
        let now = self.clock.now();
        if leased.lease.until <= now.plus(time) {
            self.store.renew(&mut leased, now.plus(self.lease)).await?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Guard for Held {
    async fn intend(&self, change: Change) -> Result<Allowance, StoreError> {
        let leased = self.leased.lock().await;
        let allowance = self.store.intend(&leased, change, self.clock.now()).await?;
        if matches!(allowance, Allowance::NextDay { of: DayOf::Host(_), .. }) {
            self.is_host_limited.store(true, Ordering::Relaxed);
        }
        Ok(allowance)
    }

    async fn day_spent(&self, of: &DayOf, at: Timestamp) -> Result<(), StoreError> {
        let leased = self.leased.lock().await;
        if matches!(of, DayOf::Host(_)) {
            self.is_host_limited.store(true, Ordering::Relaxed);
        }
        self.store.day_spent(Spender::Job(&leased.job), of, at).await
    }

    async fn saw(&self, saw: Vec<Saw>) {
        self.leased.lock().await.saw = saw;
    }
}

/// Zoom, for as long as a lease is held: no call starts unless the lease outlasts it.
#[derive(Debug)]
pub(super) struct Fenced<'a> {
    pub(super) zoom: &'a dyn Zoom,
    pub(super) held: &'a Held,
    pub(super) call_max: Duration,
}

impl<'a> Fenced<'a> {
    /// What a rule of this mode may do: one that observes cannot change anything, whatever its task tries.
    pub(super) fn of(self, mode: Mode) -> Box<dyn Zoom + 'a> {
        match mode {
            Mode::Observe => Box::new(Observed::new(self)),
            Mode::Enforce => Box::new(self),
        }
    }

    async fn zoom(&self) -> Result<&dyn Zoom, ZoomError> {
        match self.held.outlast(self.call_max).await {
            Ok(()) => Ok(self.zoom),
            Err(error) => Err(ZoomError::Transient(format!("the lease would end before the call: {error}"))),
        }
    }
}

#[async_trait::async_trait]
impl Zoom for Fenced<'_> {
    async fn user(&self, user: &UserKey) -> Result<User, ZoomError> {
        self.zoom().await?.user(user).await
    }

    async fn users(&self, status: Status, page: Page) -> Result<UserPage, ZoomError> {
        self.zoom().await?.users(status, page).await
    }

    async fn assistants(&self, of: &UserKey) -> Result<Vec<Assistant>, ZoomError> {
        self.zoom().await?.assistants(of).await
    }

    async fn schedulers(&self, of: &UserKey) -> Result<Vec<Scheduler>, ZoomError> {
        self.zoom().await?.schedulers(of).await
    }

    async fn user_settings(&self, of: &UserKey) -> Result<Object, ZoomError> {
        self.zoom().await?.user_settings(of).await
    }

    async fn account_settings(&self) -> Result<Object, ZoomError> {
        self.zoom().await?.account_settings().await
    }

    async fn groups(&self, page: Page) -> Result<Listed<Group>, ZoomError> {
        self.zoom().await?.groups(page).await
    }

    async fn group_members(&self, group: &GroupId, page: Page) -> Result<Listed<Member>, ZoomError> {
        self.zoom().await?.group_members(group, page).await
    }

    async fn meeting(&self, id: MeetingId) -> Result<Meeting, ZoomError> {
        self.zoom().await?.meeting(id).await
    }

    async fn meetings(&self, of: &UserKey, which: Which, page: Page) -> Result<Listed<MeetingRow>, ZoomError> {
        self.zoom().await?.meetings(of, which, page).await
    }

    async fn failed_deliveries(
        &self,
        app: &MarketplaceId,
        between: (Timestamp, Timestamp),
        page: Page,
    ) -> Result<Listed<FailedDelivery>, ZoomError> {
        self.zoom().await?.failed_deliveries(app, between, page).await
    }

    async fn change(&self, intent: &Intent, edit: Edit) -> Result<Made, ZoomError> {
        self.zoom().await?.change(intent, edit).await
    }

    fn calls(&self) -> Vec<Call> {
        self.zoom.calls()
    }
}
