//! What admins and people do to users, and what is known of them.

use std::time::Duration;

use serde_json::Value;

use super::account::Account;
use super::meeting::writes_left;
use super::user::{NewUser, User, UserStatus, Users};
use super::world::{World, WorldError};

impl World {
    /// Adds a user as if they had been there for ever: no event. Gives the id.
    pub fn add_user(&self, account: &str, new: NewUser) -> Result<String, WorldError> {
        self.act(account, |act| act.add_user(new))
    }

    /// An admin adds a user: `user.created`. Gives the id.
    pub fn create_user(&self, account: &str, new: NewUser) -> Result<String, WorldError> {
        self.act(account, |act| act.create_user(new))
    }

    /// A pending user answers the mail. Whoever has a user in another account leaves that one: `user.disassociated` there.
    pub fn accept_invitation(&self, account: &str, user: &str) -> Result<(), WorldError> {
        let now = self.now();
        let done = self.state(|state| state.accept_invitation(account, user, self.chance(), now));
        self.woken().notify_one();
        done
    }

    /// The same after so long, by the world's clock. Nothing happens then if the user is gone, or has accepted, or the
    /// invitation has expired.
    pub fn accept_invitation_after(&self, account: &str, email: &str, after: Duration) -> Result<(), WorldError> {
        let at = self.now().plus(after);
        self.act(account, |act| {
            act.one(email)?;
            act.later.accept(at, &act.account.id, email);
            Ok(())
        })
    }

    /// The mail of a pending user is too old from now on: Zoom refuses the user with 1120.
    pub fn expire_invitation(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| {
            let now = act.now;
            act.account
                .users
                .edit(user, |user| user.invited_until = Some(now))
                .ok_or_else(|| WorldError::NoUser(user.to_owned()))
        })
    }

    /// How many more users the account may invite today.
    pub fn invites_left(&self, account: &str) -> u32 {
        let now = self.now();
        let left = |account: &Account| account.plan.invites_per_day().saturating_sub(account.invites.used(now));
        self.state(|state| state.accounts.get(account).map_or(0, left))
    }

    /// Somebody invites so many others in the portal, which count for today.
    pub fn spend_invites(&self, account: &str, count: u32) -> Result<(), WorldError> {
        let now = self.now();
        self.edit(account, |account| (0..count).for_each(|_| account.invites.take(now)))
    }

    /// 1 Basic, 2 Licensed: `user.updated`.
    pub fn set_licence(&self, account: &str, user: &str, kind: i64) -> Result<(), WorldError> {
        self.update_user(account, user, &serde_json::json!({ "type": kind }))
    }

    /// Any fields under Zoom's names: `user.updated` with those that changed.
    pub fn update_user(&self, account: &str, user: &str, fields: &Value) -> Result<(), WorldError> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.act(account, |act| act.update_user(user, &fields))
    }

    pub fn deactivate(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.deactivate(user))
    }

    pub fn activate(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.activate(user))
    }

    pub fn delete_user(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.remove_user(user, true))
    }

    pub fn disassociate(&self, account: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| act.remove_user(user, false))
    }

    /// A person grants the privilege in the web portal, under the same rules: no event, Zoom has none for it \[DOC].
    pub fn grant(&self, account: &str, host: &str, assistant: &str) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.grant(host, &[(assistant.to_owned(), false)]).map(|_| ())?))
    }

    /// A person takes the privilege back: no event.
    pub fn withdraw(&self, account: &str, host: &str, assistant: &str) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.withdraw(host, assistant)?))
    }

    /// One user, by id or email.
    pub fn user(&self, account: &str, key: &str) -> Option<User> {
        self.state(|state| state.accounts.get(account)?.users.find(key).cloned())
    }

    pub fn users(&self, account: &str) -> Vec<User> {
        self.state(|state| state.accounts.get(account).map(|a| a.users.iter().cloned().collect()).unwrap_or_default())
    }

    /// Looks at the users of an account; none where there is no such account.
    pub(crate) fn look<T: Default>(&self, account: &str, look: impl FnOnce(&Users) -> T) -> T {
        self.state(|state| state.accounts.get(account).map(|account| look(&account.users)).unwrap_or_default())
    }

    /// Emails of a user's assistants, sorted.
    pub fn assistants(&self, account: &str, key: &str) -> Vec<String> {
        let mut emails: Vec<String> = self.state(|state| {
            let email = |id: &str| Some(state.accounts.values().find_map(|other| other.users.find(id))?.email.clone());
            let user = state.accounts.get(account).and_then(|account| account.users.find(key));
            user.into_iter().flat_map(|user| &user.assistants).filter_map(|one| email(&one.id)).collect()
        });
        emails.sort();
        emails
    }

    /// Emails of active licensed users without that assistant, itself aside: empty when everybody has it.
    pub fn without_assistant(&self, account: &str, assistant: &str) -> Vec<String> {
        self.look(account, |users| {
            let Some(assistant) = users.find(assistant) else { return Vec::new() };
            let lacks = |user: &&User| {
                user.status == UserStatus::Active
                    && user.is_licensed()
                    && user.id != assistant.id
                    && !user.has_assistant(&assistant.id)
            };
            users.iter().filter(lacks).map(|user| user.email.clone()).collect()
        })
    }

    /// How many requests tried to change that user's assistants.
    pub fn assistant_writes(&self, account: &str, key: &str) -> u64 {
        self.user(account, key).map_or(0, |user| user.assistant_writes)
    }

    /// What the user has left of 100 creates and updates of meetings today.
    pub fn meeting_writes_left(&self, account: &str, key: &str) -> u32 {
        self.user(account, key).map_or(0, |user| writes_left(user.meeting_writes, self.now()))
    }

    /// Somebody else's app creates or updates so many meetings that count for the user.
    pub fn spend_meeting_writes(&self, account: &str, key: &str, count: u32) -> Result<(), WorldError> {
        let now = self.now();
        let spend = |user: &mut User| (0..count).for_each(|_| user.meeting_writes.take(now));
        self.act(account, |act| act.account.users.edit(key, spend).ok_or_else(|| WorldError::NoUser(key.to_owned())))
    }
}
