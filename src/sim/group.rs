//! Groups of users: who is in them, and the events of that.

use std::collections::{BTreeMap, BTreeSet};

use super::account::fresh_id;
use super::answer::Refusal;
use super::event;
use super::user::UserStatus;
use super::world::{Act, World, WorldError};

/// One group.
#[derive(Debug, Clone)]
pub struct Group {
    pub id: String,
    pub name: String,
    /// Places of its members among the account's users.
    pub(crate) members: BTreeSet<u64>,
}

/// All groups of an account, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    rows: BTreeMap<u64, Group>,
    ids: BTreeMap<String, u64>,
}

impl Groups {
    pub(crate) fn find(&self, id: &str) -> Result<&Group, Refusal> {
        let place = self.ids.get(id);
        place.and_then(|place| self.rows.get(place)).ok_or_else(|| Refusal::NoSuchGroup(id.to_owned()))
    }

    fn find_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.rows.get_mut(self.ids.get(id)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Groups after a place, with their places.
    pub(crate) fn after(&self, place: u64) -> impl Iterator<Item = (u64, &Group)> {
        self.rows.range(place.saturating_add(1)..).map(|(place, group)| (*place, group))
    }

    /// Takes somebody who left the account out of every group.
    pub(crate) fn forget(&mut self, place: Option<u64>) {
        for group in self.rows.values_mut() {
            place.map(|place| group.members.remove(&place));
        }
    }
}

impl Act<'_> {
    pub(crate) fn add_group(&mut self, name: &str) -> String {
        let (id, groups) = (fresh_id(self.chance), &mut self.account.groups);
        let place = groups.rows.keys().next_back().map_or(1, |last| last + 1);
        groups.ids.insert(id.clone(), place);
        groups.rows.insert(place, Group { id: id.clone(), name: name.to_owned(), members: BTreeSet::new() });
        id
    }

    /// All or nobody \[I]. Whoever is in the group already stays so \[I]; a pending user is not added, and nobody says so
    /// \[C `SailPoint`, of entitlements]. Gives the ids of all who were named.
    pub(crate) fn join(&mut self, group: &str, keys: &[String]) -> Result<Vec<String>, Refusal> {
        self.account.groups.find(group)?;
        let (mut named, mut joined) = (Vec::new(), Vec::new());
        for key in keys {
            let user = self.account.users.find(key).ok_or_else(|| Refusal::NoSuchUser(key.clone()))?;
            named.push(user.id.clone());
            if user.status != UserStatus::Pending && !user.groups.contains(group) {
                joined.push((user.id.clone(), user.email.clone()));
            }
        }
        for (id, _) in &joined {
            let place = self.account.users.place(id);
            self.account.users.edit(id, |user| user.groups.insert(group.to_owned()));
            if let (Some(group), Some(place)) = (self.account.groups.find_mut(group), place) {
                group.members.insert(place);
            }
        }
        self.tell_of_members("group.member_added", group, &joined);
        Ok(named)
    }

    /// Nothing happens where there was no such member \[I].
    pub(crate) fn leave(&mut self, group: &str, key: &str) -> Result<(), Refusal> {
        self.account.groups.find(group)?;
        let user = self.account.users.find(key).ok_or_else(|| Refusal::NoSuchUser(key.to_owned()))?;
        let (id, email, place) = (user.id.clone(), user.email.clone(), self.account.users.place(key));
        let was = self.account.users.edit(&id, |user| user.groups.remove(group)).unwrap_or(false);
        if let (Some(group), Some(place)) = (self.account.groups.find_mut(group), place) {
            group.members.remove(&place);
        }
        let left = if was { vec![(id, email)] } else { Vec::new() };
        let plural = self.account.quirks.leavers_in_plural;
        let name = if plural { "group.members_deleted" } else { "group.member_deleted" };
        self.tell_of_members(name, group, &left);
        Ok(())
    }

    fn tell_of_members(&mut self, name: &'static str, group: &str, who: &[(String, String)]) {
        if !who.is_empty() {
            let body = event::group_members(name, self.account, group, who, self.now);
            self.emit(name, body);
        }
    }
}

impl World {
    /// Adds a group as if it had been there for ever. Gives the id.
    pub fn add_group(&self, account: &str, name: &str) -> Result<String, WorldError> {
        self.act(account, |act| Ok(act.add_group(name)))
    }

    /// An admin puts a user into a group: `group.member_added`.
    pub fn join_group(&self, account: &str, group: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.join(group, &[user.to_owned()]).map(drop)?))
    }

    /// An admin takes a user out of a group: `group.member_deleted`.
    pub fn leave_group(&self, account: &str, group: &str, user: &str) -> Result<(), WorldError> {
        self.act(account, |act| Ok(act.leave(group, user)?))
    }

    pub fn groups(&self, account: &str) -> Vec<Group> {
        let all = |groups: &Groups| groups.rows.values().cloned().collect();
        self.state(|state| state.accounts.get(account).map(|account| all(&account.groups)).unwrap_or_default())
    }

    /// Emails of a group's members, sorted.
    pub fn members(&self, account: &str, group: &str) -> Vec<String> {
        let found = self.groups(account).into_iter().find(|one| one.id == group);
        let places = found.map(|group| group.members).unwrap_or_default();
        let email = |users: &super::user::Users, place: &u64| users.at(*place).map(|user| user.email.clone());
        let mut emails: Vec<String> =
            self.look(account, |users| places.iter().filter_map(|place| email(users, place)).collect());
        emails.sort();
        emails
    }
}
