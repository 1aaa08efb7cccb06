//! What people do to meetings in the web portal. `fields` are those of Zoom's POST and PATCH.

use serde_json::Value;

use super::meeting::Meeting;
use super::world::{World, WorldError};

impl World {
    /// Somebody makes a meeting in the web portal: `meeting.created`.
    pub fn create_meeting(&self, account: &str, path_user: &str, fields: &Value) -> Result<u64, WorldError> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.act(account, |act| Ok(act.create_meeting(path_user, &fields, false)?))
    }

    /// Somebody makes a webinar in the web portal.
    pub fn create_webinar(&self, account: &str, host: &str, fields: &Value) -> Result<u64, WorldError> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.act(account, |act| Ok(act.create_webinar(host, &fields)?))
    }

    /// A user makes a meeting, in that path, and is the operator of `meeting.created`.
    pub fn create_meeting_as(&self, account: &str, by: &str, path: &str, fields: &Value) -> Result<u64, WorldError> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.act_as(account, by, |act| Ok(act.create_meeting(path, &fields, false)?))
    }

    pub fn update_meeting(&self, account: &str, id: u64, fields: &Value) -> Result<(), WorldError> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.act(account, |act| Ok(act.update_meeting(id, &fields, false)?))
    }

    /// A user changes a meeting in the web portal, and is the operator of `meeting.updated`.
    pub fn update_meeting_as(&self, account: &str, by: &str, id: u64, fields: &Value) -> Result<(), WorldError> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.act_as(account, by, |act| Ok(act.update_meeting(id, &fields, false)?))
    }

    /// A user deletes a meeting in the web portal, and is the operator of `meeting.deleted`.
    pub fn delete_meeting_as(&self, account: &str, by: &str, id: u64) -> Result<(), WorldError> {
        self.act_as(account, by, |act| Ok(act.delete_meeting(id)?))
    }

    pub fn delete_meeting(&self, account: &str, id: u64) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.delete_meeting(id)?))
    }

    /// Somebody brings it back out of the trash: `meeting.recovered`.
    pub fn recover_meeting(&self, account: &str, id: u64) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.recover_meeting(id)?))
    }

    /// Somebody empties the trash: `meeting.permanently_deleted`.
    pub fn purge_meeting(&self, account: &str, id: u64) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.purge_meeting(id)?))
    }

    pub fn start_meeting(&self, account: &str, id: u64) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.start_meeting(id)?))
    }

    pub fn end_meeting(&self, account: &str, id: u64) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.end_meeting(id)?))
    }

    pub fn meeting(&self, account: &str, id: u64) -> Option<Meeting> {
        self.state(|state| state.accounts.get(account)?.meetings.get(id).cloned())
    }

    pub fn meetings(&self, account: &str) -> Vec<Meeting> {
        self.state(|state| {
            state.accounts.get(account).map(|a| a.meetings.iter().cloned().collect()).unwrap_or_default()
        })
    }
}
