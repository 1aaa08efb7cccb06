//! A whole account by chance, with drift: what a rule would find wrong is there, and everything follows from one seed.

use std::sync::Arc;

use serde_json::json;

use crate::chance::{Chance, SeededChance};
use crate::clock::Clock;

use super::account::NewAccount;
use super::user::{Assistant, NewUser, UserStatus};
use super::world::{Act, World, WorldError};

/// How an account by chance is made up. The percentages are chances, user by user.
#[derive(Debug, Clone)]
pub struct Crowd {
    pub account: String,
    /// Of all addresses but the owner's.
    pub domain: String,
    /// Besides owner and API users.
    pub users: usize,
    /// Licensed and active, `api-1@DOMAIN` and so on.
    pub api_users: usize,
    pub groups: usize,
    pub licensed_percent: u8,
    pub pending_percent: u8,
    pub inactive_percent: u8,
    /// Of those who can have an assistant, who has each of the API users.
    pub assisted_percent: u8,
    /// Who has an assistant that is no API user.
    pub helped_percent: u8,
    /// Who is in one of the groups; some of them in a second one.
    pub grouped_percent: u8,
    /// Whose settings are not as everybody's.
    pub odd_settings_percent: u8,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            account: "CROWD".to_owned(),
            domain: "crowd.example".to_owned(),
            users: 100,
            api_users: 1,
            groups: 5,
            licensed_percent: 70,
            pending_percent: 5,
            inactive_percent: 5,
            assisted_percent: 60,
            helped_percent: 10,
            grouped_percent: 50,
            odd_settings_percent: 10,
        }
    }
}

impl Crowd {
    /// Account `school-7`, with `owner@school-7.example`, `api-1@school-7.example`, `user-1@school-7.example` and on.
    pub fn school(number: usize) -> Self {
        Self { account: format!("school-{number}"), domain: format!("school-{number}.example"), ..Self::default() }
    }
}

impl World {
    /// A world with one account by chance. The same seed and crowd make the same world.
    pub fn random(clock: Arc<dyn Clock>, seed: u64, crowd: &Crowd) -> Result<Self, WorldError> {
        let world = Self::new(clock, Arc::new(SeededChance::new(seed)));
        world.add_crowd(crowd)?;
        Ok(world)
    }

    /// Adds an account by chance to others. Addresses are in one account only, so each crowd needs a domain of its own.
    pub fn add_crowd(&self, crowd: &Crowd) -> Result<(), WorldError> {
        self.add_account(NewAccount::named(&crowd.account))?;
        self.act(&crowd.account, |act| act.fill(crowd))
    }

    /// A world of so many accounts with so many users each, [`Crowd::school`] 1 and on. The same seed makes the same world.
    /// 5,000 accounts of 100 users took 0.73 GB and, in a build for tests, 18 seconds.
    pub fn schools(clock: Arc<dyn Clock>, seed: u64, accounts: usize, users: usize) -> Result<Self, WorldError> {
        let world = Self::new(clock, Arc::new(SeededChance::new(seed)));
        for number in 1..=accounts {
            world.add_crowd(&Crowd { users, ..Crowd::school(number) })?;
        }
        Ok(world)
    }
}

fn hits(chance: &dyn Chance, percent: u8) -> bool {
    chance.next_u64() % 100 < u64::from(percent)
}

fn pick<'a>(chance: &dyn Chance, from: &'a [String]) -> Option<&'a String> {
    let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
    from.get(usize::try_from(chance.next_u64() % count).ok()?)
}

impl Act<'_> {
    fn fill(&mut self, crowd: &Crowd) -> Result<(), WorldError> {
        let api: Vec<String> = (1..=crowd.api_users)
            .map(|number| self.add_user(NewUser::licensed(&format!("api-{number}@{}", crowd.domain))))
            .collect::<Result<_, _>>()?;
        let groups: Vec<String> = (1..=crowd.groups).map(|number| self.add_group(&format!("group {number}"))).collect();
        let mut helper = None;
        for number in 1..=crowd.users {
            let id = self.add_one(crowd, number)?;
            let Some(user) = self.account.users.find(&id) else { continue };
            let (active, licensed) = (user.is_active(), user.is_licensed());
            if active && licensed {
                let mut assistants: Vec<&String> =
                    api.iter().filter(|_| hits(self.chance, crowd.assisted_percent)).collect();
                assistants.extend(helper.as_ref().filter(|_| hits(self.chance, crowd.helped_percent)));
                let assistant = |id: &String| Assistant { id: id.clone(), can_manage_host_private_event: false };
                let assistants: Vec<Assistant> = assistants.into_iter().map(assistant).collect();
                self.account.users.edit(&id, |user| user.assistants = assistants);
                helper = Some(id.clone());
            }
            if active && hits(self.chance, crowd.odd_settings_percent) {
                let odd =
                    json!({ "in_meeting": { "waiting_room": false }, "recording": { "auto_recording": "cloud" } });
                self.set_user_settings(&id, odd.as_object().unwrap_or(&serde_json::Map::new()))?;
            }
            for share in [1, 4] {
                if let Some(group) =
                    pick(self.chance, &groups).filter(|_| hits(self.chance, crowd.grouped_percent / share))
                {
                    self.join(group, std::slice::from_ref(&id))?;
                }
            }
        }
        Ok(())
    }

    fn add_one(&mut self, crowd: &Crowd, number: usize) -> Result<String, WorldError> {
        let email = format!("user-{number}@{}", crowd.domain);
        let new =
            if hits(self.chance, crowd.licensed_percent) { NewUser::licensed(&email) } else { NewUser::basic(&email) };
        if hits(self.chance, crowd.pending_percent) {
            return self.add_user(new.invited());
        }
        let id = self.add_user(new)?;
        if hits(self.chance, crowd.inactive_percent) {
            // Without a licence, as Zoom leaves those who were deactivated [D].
            self.account.users.edit(&id, |user| (user.status, user.kind) = (UserStatus::Inactive, 1));
        }
        Ok(id)
    }
}
