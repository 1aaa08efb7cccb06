//! How an account is let go: its app was removed, Zoom refuses every token, or a person removes it.
//!
//! In each case its jobs stop at once, its tokens are given back and erased, and after a delay its data is forgotten. What
//! was only inferred may be wrong, so it waits longer. Each step can be repeated: what is left to do follows from what is
//! kept, so that a crash at any point is followed by the rest.

use std::time::Duration;

use super::kept::{Installation, KeptAccount, Standing};
use super::{Accounts, AddProblem, note};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, UserId};
use crate::store::StoreError;

/// What was under way when a person removed it has so long to end.
const LEAVES_AFTER: Duration = Duration::from_secs(5);

/// What is to be done about an account that is not served any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToDo {
    /// Cancel its jobs, and give its tokens back.
    Stop,
    /// Take back what was granted, then [`Accounts::taken_back`].
    TakeBack,
    /// Forget it, then [`Accounts::forgotten`].
    Forget,
}

impl Accounts {
    /// Zoom says that an admin removed the app at this moment. Others of the account who installed it too keep it served, and so
    /// does who has installed it again since: Zoom may tell late, and tells of accesses that we gave back, too.
    pub async fn deauthorized(
        &self,
        of: (&AppName, &AccountId),
        user: Option<&UserId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let is_it = |one: &Installation| user.is_none_or(|user| one.user == *user) && one.installed_at <= at;
        self.lose(of, is_it, "the app was removed (app_deauthorized)", true).await
    }

    /// A person removes an account. It is not served from now on; the rest follows by itself.
    pub async fn remove(&self, id: &AccountId, take_back: bool, by: &str) -> Result<(), AddProblem> {
        let _one_at_a_time = self.changing.lock().await;
        self.not_configured(id)?;
        let before = self.account(id).ok_or_else(|| AddProblem::NoAccount(id.clone()))?;
        let can_take_back = take_back && before.standing.is_served();
        let standing = Standing::Leaving { since: self.now(), by: by.to_owned(), take_back: can_take_back };
        let account = KeptAccount { standing, ..before };
        let notes = vec![note(id, &account.app, "account-removed", format!("by {by}"))];
        self.write(vec![account.put()], notes, |kept| kept.account(account.clone())).await?;
        Ok(())
    }

    /// What was granted in the account is taken back: what is left of removing it can go on.
    pub async fn taken_back(&self, id: &AccountId) -> Result<(), StoreError> {
        let _one_at_a_time = self.changing.lock().await;
        let Some(account) = self.account(id) else { return Ok(()) };
        let Standing::Leaving { since, by, .. } = account.standing.clone() else { return Ok(()) };
        let account = KeptAccount { standing: Standing::Leaving { since, by, take_back: false }, ..account };
        self.write(vec![account.put()], Vec::new(), |kept| kept.account(account.clone())).await
    }

    /// Accounts that are not served any more, each with what is to be done about it now.
    pub fn to_do(&self, now: Timestamp) -> Vec<(KeptAccount, ToDo)> {
        let settings = &self.parts.settings;
        let of = |account: &KeptAccount| {
            let (since, after) = match &account.standing {
                Standing::Active | Standing::NeedsApiUser { .. } => return None,
                Standing::Leaving { take_back: true, .. } => return Some(ToDo::TakeBack),
                Standing::Leaving { since, .. } => (*since, LEAVES_AFTER),
                Standing::Lost { since, is_certain: true, .. } => (*since, settings.forget_removed_after),
                Standing::Lost { since, is_certain: false, .. } => (*since, settings.forget_lost_after),
            };
            Some(if now.since(since) >= after { ToDo::Forget } else { ToDo::Stop })
        };
        self.read(|kept| kept.accounts.values().filter_map(|account| Some((account.clone(), of(account)?))).collect())
    }

    /// Gives the tokens of an account that is not served back, and erases them. Another app's are its own.
    pub async fn erase_tokens(&self, account: &KeptAccount) -> Result<(), StoreError> {
        let all = self.installations_of(&account.id);
        let doomed: Vec<Installation> = all.into_iter().filter(|one| one.app == account.app).collect();
        for one in &doomed {
            if let Some(app) = self.general_app(&one.app).filter(|_| one.lost.is_none()) {
                self.give_back(app, &one.granted).await;
            }
        }
        if doomed.is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.changing.lock().await;
        let keys: Vec<String> = doomed.iter().map(Installation::key).collect();
        let notes = vec![note(&account.id, &account.app, "tokens-erased", format!("{} of them", keys.len()))];
        self.write(doomed.iter().map(Installation::remove).collect(), notes, |kept| {
            kept.installations.entry(account.id.clone()).or_default().retain(|one| !keys.contains(&one.key()));
        })
        .await
    }

    /// Nothing of the account is left in the store: nor here, from now on.
    pub async fn forgotten(&self, account: &KeptAccount) -> Result<(), StoreError> {
        let _one_at_a_time = self.changing.lock().await;
        let writes = self.removal_of(account);
        self.write(writes, Vec::new(), |kept| {
            kept.accounts.remove(&account.id);
            kept.paused.remove(&account.id);
            kept.installations.remove(&account.id);
            kept.apps.retain(|_, app| app.account != account.id);
            kept.invites.retain(|_, invite| invite.used.as_ref().is_none_or(|(_, by)| *by != account.id));
        })
        .await
    }
}
