//! Zoom for looking only.

use super::port::{Assistant, Meeting, Page, Scheduler, Status, User, UserPage, Zoom, ZoomError};
use crate::account::UserKey;
use crate::audit::Call;
use crate::ids::MeetingId;
use crate::job::Intent;
use crate::rules::MeetingSettings;

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

    async fn add_assistant(&self, _intent: &Intent, _of: &UserKey, _who: &UserKey) -> Result<(), ZoomError> {
        Err(ZoomError::read_only())
    }

    async fn meeting(&self, id: MeetingId) -> Result<Meeting, ZoomError> {
        self.0.meeting(id).await
    }

    async fn set_meeting(&self, _intent: &Intent, _id: MeetingId, _to: MeetingSettings) -> Result<(), ZoomError> {
        Err(ZoomError::read_only())
    }

    fn calls(&self) -> Vec<Call> {
        self.0.calls()
    }
}
