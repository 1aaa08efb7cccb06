//! Zoom for looking only.

use super::edit::{Edit, Made};
use super::port::{
    Assistant, FailedDelivery, Group, Listed, Meeting, MeetingRow, Member, Object, Page, Scheduler, Status, User,
    UserPage, Which, Zoom, ZoomError,
};
use crate::account::UserKey;
use crate::audit::Call;
use crate::clock::Timestamp;
use crate::ids::{GroupId, MarketplaceId, MeetingId};
use crate::job::Intent;

/// Reads through, and refuses whatever would change something at Zoom with [`ZoomError::read_only`].
#[derive(Debug)]
pub struct Observed<Z>(Z);

impl<Z: Zoom> Observed<Z> {
    pub const fn new(zoom: Z) -> Self {
        Self(zoom)
    }
}

#[async_trait::async_trait]
impl<Z: Zoom> Zoom for Observed<Z> {
    async fn user(&self, user: &UserKey) -> Result<User, ZoomError> {
        self.0.user(user).await
    }

    async fn users(&self, status: Status, page: Page) -> Result<UserPage, ZoomError> {
        self.0.users(status, page).await
    }

    async fn assistants(&self, of: &UserKey) -> Result<Vec<Assistant>, ZoomError> {
        self.0.assistants(of).await
    }

    async fn schedulers(&self, of: &UserKey) -> Result<Vec<Scheduler>, ZoomError> {
        self.0.schedulers(of).await
    }

    async fn user_settings(&self, of: &UserKey) -> Result<Object, ZoomError> {
        self.0.user_settings(of).await
    }

    async fn account_settings(&self) -> Result<Object, ZoomError> {
        self.0.account_settings().await
    }

    async fn groups(&self, page: Page) -> Result<Listed<Group>, ZoomError> {
        self.0.groups(page).await
    }

    async fn group_members(&self, group: &GroupId, page: Page) -> Result<Listed<Member>, ZoomError> {
        self.0.group_members(group, page).await
    }

    async fn meeting(&self, id: MeetingId) -> Result<Meeting, ZoomError> {
        self.0.meeting(id).await
    }

    async fn meetings(&self, of: &UserKey, which: Which, page: Page) -> Result<Listed<MeetingRow>, ZoomError> {
        self.0.meetings(of, which, page).await
    }

    async fn failed_deliveries(
        &self,
        app: &MarketplaceId,
        between: (Timestamp, Timestamp),
        page: Page,
    ) -> Result<Listed<FailedDelivery>, ZoomError> {
        self.0.failed_deliveries(app, between, page).await
    }

    async fn change(&self, _intent: &Intent, _edit: Edit) -> Result<Made, ZoomError> {
        Err(ZoomError::read_only())
    }

    fn calls(&self) -> Vec<Call> {
        self.0.calls()
    }
}
