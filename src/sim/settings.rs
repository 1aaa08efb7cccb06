//! Settings of users and of the account: trees, of which only what is not as everybody's is kept.

use serde_json::{Map, Value, json};

use super::answer::Refusal;
use super::event;
use super::user::UserStatus;
use super::world::{Act, World, WorldError};

/// Some of the branches and leaves that Zoom documents \[D U]; the values are \[I].
fn of_users() -> Value {
    json!({
        "schedule_meeting": {
            "host_video": false, "participants_video": false, "join_before_host": false, "audio_type": "both",
            "use_pmi_for_scheduled_meetings": false, "require_password_for_scheduling_new_meetings": true,
        },
        "in_meeting": {
            "waiting_room": true, "co_host": true, "chat": true, "polling": false, "breakout_room": true,
            "who_can_share_screen": "host", "data_center_regions": ["EU"],
        },
        "recording": { "auto_recording": "none", "cloud_recording": true, "local_recording": true },
        "feature": {
            "meeting_capacity": 100, "large_meeting": false, "webinar": false, "zoom_phone": false,
            "zoom_whiteboard": true,
        },
    })
}

/// The account has branches of the same names \[M].
fn of_accounts() -> Value {
    json!({
        "schedule_meeting": { "join_before_host": false },
        "in_meeting": { "co_host": true, "waiting_room": true },
    })
}

/// `tree` with everything that `over` names.
fn overlaid(mut tree: Value, over: &Map<String, Value>) -> Value {
    if let Value::Object(tree) = &mut tree {
        overlay(tree, over);
    }
    tree
}

fn overlay(tree: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (name, value) in over {
        match (tree.get_mut(name), value) {
            (Some(Value::Object(below)), Value::Object(over)) => overlay(below, over),
            _ => _ = tree.insert(name.clone(), value.clone()),
        }
    }
}

/// What `wanted` names and `is` has otherwise: before and after.
fn changed(is: &Map<String, Value>, wanted: &Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    let (mut old, mut new) = (Map::new(), Map::new());
    for (name, wanted) in wanted {
        match (is.get(name), wanted) {
            (Some(Value::Object(is)), Value::Object(wanted)) => {
                let (before, after) = changed(is, wanted);
                if !after.is_empty() {
                    old.insert(name.clone(), before.into());
                    new.insert(name.clone(), after.into());
                }
            }
            (Some(is), wanted) if is == wanted => {}
            (is, wanted) => {
                old.insert(name.clone(), is.cloned().unwrap_or(Value::Null));
                new.insert(name.clone(), wanted.clone());
            }
        }
    }
    (old, new)
}

impl Act<'_> {
    pub(crate) fn account_settings(&self) -> Value {
        overlaid(of_accounts(), &self.account.settings)
    }

    /// Those of a pending user can be neither read nor set \[E18].
    pub(crate) fn user_settings(&self, key: &str) -> Result<Value, Refusal> {
        let user = self.account.users.find(key).ok_or_else(|| Refusal::NoSuchUser(key.to_owned()))?;
        if user.status == UserStatus::Pending {
            return Err(Refusal::PendingSettings);
        }
        Ok(overlaid(of_users(), &user.settings))
    }

    /// Sets what is named and leaves the rest alone \[D]; tells of what changed \[DOC].
    pub(crate) fn set_user_settings(&mut self, key: &str, wanted: &Map<String, Value>) -> Result<(), Refusal> {
        let is = self.user_settings(key)?;
        let (old, new) = changed(is.as_object().unwrap_or(&Map::new()), wanted);
        if new.is_empty() {
            return Ok(());
        }
        let set = |user: &mut super::user::User| {
            overlay(&mut user.settings, &new);
            user.id.clone()
        };
        let id = self.account.users.edit(key, set).unwrap_or_default();
        let body = event::user_settings_updated(self.account, &id, &old.into(), &new.into(), self.now);
        self.emit("user.settings_updated", body);
        Ok(())
    }
}

impl World {
    /// A user's settings; null where they cannot be read.
    pub fn user_settings(&self, account: &str, user: &str) -> Value {
        self.act(account, |act| Ok::<_, WorldError>(act.user_settings(user)?)).unwrap_or(Value::Null)
    }

    /// Somebody changes settings of a user in the web portal: `user.settings_updated`.
    pub fn set_user_settings(&self, account: &str, user: &str, settings: &Value) -> Result<(), WorldError> {
        let settings = settings.as_object().cloned().unwrap_or_default();
        self.act(account, |act| Ok(act.set_user_settings(user, &settings)?))
    }

    /// The admin changes settings of the account: what is named, and nothing else.
    pub fn set_account_settings(&self, account: &str, settings: &Value) -> Result<(), WorldError> {
        let settings = settings.as_object().cloned().unwrap_or_default();
        self.edit(account, |account| overlay(&mut account.settings, &settings))
    }
}
