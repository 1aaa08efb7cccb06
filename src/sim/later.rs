//! What people will do of themselves, when the world's clock gets there.

use std::collections::BTreeMap;

use crate::chance::Chance;
use crate::clock::Timestamp;

use super::world::{State, WorldError};

/// Invitations that will be accepted: account and email, by when.
#[derive(Debug, Default)]
pub(crate) struct Later {
    rows: BTreeMap<(Timestamp, u64), (String, String)>,
    next: u64,
}

impl Later {
    pub(crate) fn accept(&mut self, at: Timestamp, account: &str, email: &str) {
        self.next += 1;
        self.rows.insert((at, self.next), (account.to_owned(), email.to_owned()));
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.rows.keys().next().map(|(at, _)| *at)
    }

    fn take(&mut self, now: Timestamp) -> Option<(String, String)> {
        let first = self.rows.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}

impl State {
    /// Into the account, and out of the one that the person was in.
    pub(crate) fn accept_invitation(
        &mut self,
        account: &str,
        key: &str,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> Result<(), WorldError> {
        let email = self.act(account, chance, now, |act| {
            let user = act.one(key)?;
            if user.invitation_is_over(now) {
                return Err(WorldError::State("the invitation has expired"));
            }
            Ok(user.email.clone())
        })?;
        let elsewhere = self.homes.get(&email).filter(|home| *home != account).cloned();
        if let Some(home) = elsewhere {
            self.act(&home, chance, now, |act| {
                let is_owner = act.one(&email)?.id == act.account.owner_id;
                if is_owner {
                    Err(WorldError::State("an owner cannot join another account"))
                } else {
                    act.remove_user(&email, false)
                }
            })?;
        }
        self.act(account, chance, now, |act| {
            act.accept_invitation(&email)?;
            act.homes.insert(email, act.account.id.clone());
            Ok(())
        })
    }

    /// When something happens next that nobody asks for at the time.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        [self.outbox.next_due(), self.later.next_due()].into_iter().flatten().min()
    }

    /// Does all that is due. Whoever was removed or has accepted meanwhile, and whose invitation has expired, does nothing.
    pub(crate) fn catch_up(&mut self, chance: &dyn Chance, now: Timestamp) {
        while let Some((account, email)) = self.later.take(now) {
            drop(self.accept_invitation(&account, &email, chance, now));
        }
    }
}
