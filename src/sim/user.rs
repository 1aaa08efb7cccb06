//! People of an account, and what an admin or the person does to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::clock::Timestamp;

use super::account::{fresh_id, fresh_number};
use super::answer::Refusal;
use super::event;
use super::limit::DayQuota;
use super::world::{Act, WorldError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserStatus {
    Active,
    Inactive,
    /// Invited, and has not accepted.
    Pending,
}

impl UserStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Pending => "pending",
        }
    }
}

/// How a user was made \[DOC, the `creation_type` of `user.created`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreationType {
    /// A mail goes out, and the user is pending until it is answered.
    Create,
    AutoCreate,
    CustCreate,
    SsoCreate,
}

impl CreationType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::AutoCreate => "autoCreate",
            Self::CustCreate => "custCreate",
            Self::SsoCreate => "ssoCreate",
        }
    }
}

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    /// First and last name where there is none.
    pub display_name: Option<String>,
    /// 1 Basic, 2 Licensed, 3 On-prem (historic).
    pub kind: i64,
    pub creation: CreationType,
}

impl NewUser {
    /// A Basic user, named after the address, created by single sign-on: active at once.
    pub fn basic(email: &str) -> Self {
        let name = email.split('@').next().unwrap_or(email);
        let (first, last) = name.split_once('.').unwrap_or((name, "Example"));
        Self {
            email: email.to_owned(),
            first_name: first.to_owned(),
            last_name: last.to_owned(),
            display_name: None,
            kind: 1,
            creation: CreationType::SsoCreate,
        }
    }

    pub fn licensed(email: &str) -> Self {
        Self { kind: 2, ..Self::basic(email) }
    }

    /// By invitation: pending until it is accepted.
    #[must_use]
    pub fn invited(self) -> Self {
        Self { creation: CreationType::Create, ..self }
    }
}

/// Someone who may schedule for a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assistant {
    pub id: String,
    pub can_manage_host_private_event: bool,
}

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    /// Lower case: Zoom compares without case \[C moodle #295].
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub display_name: String,
    /// Zoom's `type`.
    pub kind: i64,
    pub status: UserStatus,
    pub creation: CreationType,
    pub pmi: u64,
    pub created_at: Timestamp,
    pub assistants: Vec<Assistant>,
    /// POST and DELETE requests on this user's assistants that the world looked at, refused ones too.
    pub assistant_writes: u64,
    /// Zoom's ids 0 owner, 1 admin, 2 member \[M].
    pub role_id: String,
    /// Ids of the groups that the user is in.
    pub groups: BTreeSet<String>,
    /// Settings that are not as everybody's, as a tree.
    pub settings: Map<String, Value>,
    /// Anything else that was patched.
    pub fields: Map<String, Value>,
    /// Until when the invitation can be accepted.
    pub(crate) invited_until: Option<Timestamp>,
    /// Has a user in another account, and joins this one by accepting.
    pub(crate) joins: bool,
    pub(crate) meeting_writes: DayQuota,
}

impl User {
    /// Licensed or On-prem: both sides of the scheduling privilege must be \[D U].
    pub const fn is_licensed(&self) -> bool {
        matches!(self.kind, 2 | 3)
    }

    /// The owner or an admin.
    pub fn is_admin(&self) -> bool {
        matches!(self.role_id.as_str(), "0" | "1")
    }

    pub fn is_active(&self) -> bool {
        self.status == UserStatus::Active
    }

    /// Whether the user was invited and did not accept in time.
    pub(crate) fn invitation_is_over(&self, now: Timestamp) -> bool {
        self.status == UserStatus::Pending && self.invited_until.is_some_and(|until| until <= now)
    }

    pub fn has_assistant(&self, id: &str) -> bool {
        self.assistants.iter().any(|assistant| assistant.id == id)
    }
}

/// All users of an account, in the order in which they came, with what finds them: an account may have 50,000.
#[derive(Debug, Default)]
pub(crate) struct Users {
    /// Boxed: a node of the map is often half empty.
    rows: BTreeMap<u64, Box<User>>,
    ids: HashMap<String, u64>,
    emails: HashMap<String, u64>,
    by_status: HashMap<UserStatus, BTreeSet<u64>>,
    /// Places of those whom an assistant, by id, may schedule for.
    assisted: HashMap<String, BTreeSet<u64>>,
    licensed: usize,
    next: u64,
}

impl Users {
    /// By id, where case counts, or by email, where it does not.
    pub(crate) fn find(&self, key: &str) -> Option<&User> {
        self.at(self.place(key)?)
    }

    pub(crate) fn at(&self, place: u64) -> Option<&User> {
        self.rows.get(&place).map(Box::as_ref)
    }

    /// Changes a user; the id and the email must stay.
    pub(crate) fn edit<T>(&mut self, key: &str, change: impl FnOnce(&mut User) -> T) -> Option<T> {
        let place = self.place(key)?;
        let mut user = self.rows.remove(&place)?;
        self.forget(place, &user);
        let done = change(&mut user);
        self.keep(place, user);
        Some(done)
    }

    pub(crate) fn place(&self, key: &str) -> Option<u64> {
        if key.contains('@') { self.emails.get(&key.to_lowercase()) } else { self.ids.get(key) }.copied()
    }

    pub(crate) fn add(&mut self, user: User) {
        self.next += 1;
        self.ids.insert(user.id.clone(), self.next);
        self.emails.insert(user.email.clone(), self.next);
        self.keep(self.next, Box::new(user));
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Box<User>> {
        // Whoever leaves assists nobody any more [I].
        self.end_assisting(id);
        let place = self.ids.remove(id)?;
        let user = self.rows.remove(&place)?;
        self.forget(place, &user);
        self.emails.remove(&user.email);
        Some(user)
    }

    /// Takes an assistant from everybody.
    pub(crate) fn end_assisting(&mut self, assistant: &str) {
        let hosts: Vec<String> = self.assisted_by(assistant).map(|host| host.id.clone()).collect();
        for host in hosts {
            self.edit(&host, |host| host.assistants.retain(|other| other.id != assistant));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &User> {
        self.rows.values().map(Box::as_ref)
    }

    /// Those whom a user may schedule for.
    pub(crate) fn assisted_by(&self, assistant: &str) -> impl Iterator<Item = &User> {
        self.assisted.get(assistant).into_iter().flatten().filter_map(|place| self.at(*place))
    }

    pub(crate) fn count(&self, status: UserStatus) -> usize {
        self.by_status.get(&status).map_or(0, BTreeSet::len)
    }

    /// Users of a status after a place, with their places.
    pub(crate) fn after(&self, status: UserStatus, place: u64) -> impl Iterator<Item = (u64, &User)> {
        let places = self.by_status.get(&status).into_iter();
        let places = places.flat_map(move |places| places.range(place.saturating_add(1)..));
        places.filter_map(|place| Some((*place, self.at(*place)?)))
    }

    /// How many licences are in use.
    pub(crate) const fn licensed(&self) -> usize {
        self.licensed
    }

    fn keep(&mut self, place: u64, user: Box<User>) {
        self.by_status.entry(user.status).or_default().insert(place);
        for assistant in &user.assistants {
            self.assisted.entry(assistant.id.clone()).or_default().insert(place);
        }
        self.licensed += usize::from(user.is_licensed());
        self.rows.insert(place, user);
    }

    fn forget(&mut self, place: u64, user: &User) {
        if let Some(places) = self.by_status.get_mut(&user.status) {
            places.remove(&place);
        }
        for assistant in &user.assistants {
            if let Some(places) = self.assisted.get_mut(&assistant.id) {
                places.remove(&place);
            }
        }
        self.licensed = self.licensed.saturating_sub(usize::from(user.is_licensed()));
    }
}

/// A change of a user, key by key, as `user.updated` tells it.
pub(crate) type Changes = Vec<(String, Value, Value)>;

impl Act<'_> {
    /// Adds the user, without an event.
    pub(crate) fn add_user(&mut self, new: NewUser) -> Result<String, WorldError> {
        let email = new.email.to_lowercase();
        if self.account.users.find(&email).is_some() {
            return Err(Refusal::EmailTaken(email).into());
        }
        let quirks = &self.account.quirks;
        let joins = self.homes.contains_key(&email);
        if joins && !(quirks.invites_from_elsewhere && new.creation == CreationType::Create) {
            return Err(Refusal::ActiveElsewhere(email).into());
        }
        if !joins {
            self.homes.insert(email.clone(), self.account.id.clone());
        }
        // Who lives elsewhere has to accept in any case [I].
        let pending = joins || (new.creation == CreationType::Create && quirks.create_is_pending);
        let invited_until = pending.then(|| self.now.plus(quirks.invitation_lives));
        let id = fresh_id(self.chance);
        self.account.users.add(User {
            id: id.clone(),
            email,
            display_name: new.display_name.unwrap_or_else(|| format!("{} {}", new.first_name, new.last_name)),
            first_name: new.first_name,
            last_name: new.last_name,
            kind: new.kind,
            status: if pending { UserStatus::Pending } else { UserStatus::Active },
            creation: new.creation,
            pmi: fresh_number(self.chance, 1_000_000_000, 9_999_999_999),
            created_at: self.now,
            assistants: Vec::new(),
            assistant_writes: 0,
            role_id: "2".to_owned(),
            groups: BTreeSet::new(),
            settings: Map::new(),
            fields: Map::new(),
            invited_until,
            joins,
            meeting_writes: DayQuota::default(),
        });
        Ok(id)
    }

    /// `user.created` comes when the user is added, so before an invited one is active \[DOC, DED].
    pub(crate) fn create_user(&mut self, new: NewUser) -> Result<String, WorldError> {
        let creation = new.creation;
        let id = self.add_user(new)?;
        self.tell_of_user("user.created", &id, Some(creation))?;
        Ok(id)
    }

    /// The event has no operator \[DOC].
    pub(crate) fn accept_invitation(&mut self, key: &str) -> Result<(), WorldError> {
        let id = self.turn(key, UserStatus::Pending, "only a pending user can accept an invitation", |user| {
            user.status = UserStatus::Active;
            (user.joins, user.invited_until) = (false, None);
        })?;
        self.tell_of_user("user.invitation_accepted", &id, None)?;
        // Groups that were set while the user was pending count from now on [I].
        let groups = self.account.users.edit(&id, |user| std::mem::take(&mut user.groups)).unwrap_or_default();
        for group in groups {
            self.join(&group, std::slice::from_ref(&id))?;
        }
        Ok(())
    }

    /// Takes the licences away, as Zoom does \[D].
    pub(crate) fn deactivate(&mut self, key: &str) -> Result<(), WorldError> {
        let keep = self.account.quirks.unlicensed_keep_assistants;
        let id = self.turn(key, UserStatus::Active, "only an active user can be deactivated", |user| {
            (user.status, user.kind) = (UserStatus::Inactive, 1);
            if !keep {
                user.assistants.clear();
            }
        })?;
        self.tell_of_user("user.deactivated", &id, None)
    }

    /// `user.activated` is for those who were deactivated, not for the first time \[DOC].
    pub(crate) fn activate(&mut self, key: &str) -> Result<(), WorldError> {
        let id = self.turn(key, UserStatus::Inactive, "only a deactivated user can be activated", |user| {
            user.status = UserStatus::Active;
        })?;
        self.tell_of_user("user.activated", &id, None)
    }

    /// `permanently`: gone with all meetings; else only out of this account. A pending user can only be disassociated \[D].
    pub(crate) fn remove_user(&mut self, key: &str, permanently: bool) -> Result<(), WorldError> {
        let user = self.one(key)?;
        if permanently && user.status == UserStatus::Pending {
            return Err(WorldError::State("a pending user can only be disassociated"));
        }
        let (id, email) = (user.id.clone(), user.email.clone());
        self.tell_of_user(if permanently { "user.deleted" } else { "user.disassociated" }, &id, None)?;
        let place = self.account.users.place(&id);
        self.account.users.remove(&id);
        self.account.groups.forget(place);
        if self.homes.get(&email).is_some_and(|home| *home == self.account.id) {
            self.homes.remove(&email);
        }
        self.account.meetings.remove_of(&id);
        Ok(())
    }

    /// Sets fields of a user, and tells of those that changed and of no others \[DOC].
    pub(crate) fn update_user(&mut self, key: &str, wanted: &Map<String, Value>) -> Result<(), WorldError> {
        let keep = self.account.quirks.unlicensed_keep_assistants;
        let set = |user: &mut User| {
            let mut changes = Changes::new();
            for (name, new) in wanted {
                let old = user.set(name, new);
                if old != *new {
                    changes.push((name.clone(), old, new.clone()));
                }
            }
            if !keep && !user.is_licensed() {
                user.assistants.clear();
            }
            (user.id.clone(), changes)
        };
        let (id, changes) = self.account.users.edit(key, set).ok_or_else(|| WorldError::NoUser(key.to_owned()))?;
        if !changes.is_empty() {
            let body = event::user_updated(self.account, &id, &changes, self.now);
            self.emit("user.updated", body);
        }
        Ok(())
    }

    pub(crate) fn one(&self, key: &str) -> Result<&User, WorldError> {
        self.account.users.find(key).ok_or_else(|| WorldError::NoUser(key.to_owned()))
    }

    /// Changes a user who is in a status, and gives the id.
    fn turn(
        &mut self,
        key: &str,
        from: UserStatus,
        or_else: &'static str,
        change: impl FnOnce(&mut User),
    ) -> Result<String, WorldError> {
        let user = self.one(key)?;
        if user.status != from {
            return Err(WorldError::State(or_else));
        }
        let id = user.id.clone();
        self.account.users.edit(&id, change);
        Ok(id)
    }

    fn tell_of_user(&mut self, name: &'static str, id: &str, made: Option<CreationType>) -> Result<(), WorldError> {
        let user = self.account.users.find(id).ok_or_else(|| WorldError::NoUser(id.to_owned()))?;
        let body = event::user(name, self.account, user, made, self.now);
        self.emit(name, body);
        Ok(())
    }
}

impl User {
    /// Sets a field under Zoom's name for it, and gives what it was.
    fn set(&mut self, name: &str, value: &Value) -> Value {
        let text = match name {
            "type" => {
                let old = Value::from(self.kind);
                self.kind = value.as_i64().unwrap_or(self.kind);
                return old;
            }
            "first_name" => &mut self.first_name,
            "last_name" => &mut self.last_name,
            "role_id" => &mut self.role_id,
            "display_name" => &mut self.display_name,
            _ => return self.fields.insert(name.to_owned(), value.clone()).unwrap_or(Value::Null),
        };
        let old = Value::from(text.as_str());
        value.as_str().unwrap_or_default().clone_into(text);
        old
    }
}
