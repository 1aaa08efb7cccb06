//! How an account is let go: its app was removed, Zoom refuses every token, or a person removes it.
//!
//! In each case its jobs stand still at once, and are cancelled; where it is certain its tokens are given back and erased; and
//! after a delay its data is forgotten. What was only inferred may be wrong, as while an admin authorises the app again, which
//! ends the tokens of before: its jobs are cancelled later, and it keeps its tokens until it is forgotten. Each step can be
//! repeated: what is left to do follows from what is kept, so that a crash at any point is followed by the rest. And each
//! looks again whether the account stands as it did: an admin may install the app at any moment.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::kept::{Installation, KeptAccount, KeptApp, Standing};
use super::{Accounts, AddProblem, Kept, by_user, note};
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, AppName, Email, UserId};
use crate::store::{StoreError, Write};

/// What was under way when a person removed it has so long to end.
const LEAVES_AFTER: Duration = Duration::from_secs(5);
/// What was inferred stands so long before jobs are cancelled for it.
const STOPS_AFTER: Duration = Duration::from_secs(60);

/// What is to be done about an account that is not served any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToDo {
    /// Cancel its jobs, and nothing else: it may come back.
    Stop,
    /// Cancel its jobs, then take back what was lent, then [`Accounts::lending_ended`].
    EndLending,
    /// Cancel its jobs, then [`Accounts::erase_tokens`].
    Erase,
    /// Take back what was granted, then [`Accounts::taken_back`].
    TakeBack,
    /// [`Accounts::forgetting`] first, and [`Accounts::forgotten`] after.
    Forget,
    /// The configuration serves it by another app: [`Accounts::erase_tokens`], then [`Accounts::drop_unused`].
    Drop,
}

/// Nothing brings the account back while this is held.
#[derive(Debug)]
pub struct Forgetting {
    account: KeptAccount,
    all: Arc<Mutex<HashSet<AccountId>>>,
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.account.id);
    }
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
        let turn = self.turn().await;
        self.not_configured(id)?;
        let before = self.account(id).ok_or_else(|| AddProblem::NoAccount(id.clone()))?;
        if self.is_being_forgotten(id) {
            return Err(AddProblem::Leaving(id.clone()));
        }
        // Where no token is good any more, nothing can be taken back.
        let lends = match &before.standing {
            Standing::Lost { .. } => false,
            Standing::Leaving { lends, .. } => *lends,
            _ => true,
        };
        let since = match &before.standing {
            Standing::Leaving { take_back: true, .. } if take_back => return Ok(()),
            Standing::Leaving { take_back: false, .. } if take_back => {
                return Err(AddProblem::CannotTakeBack(id.clone(), "it is being removed without that".to_owned()));
            }
            Standing::Lost { why, .. } if take_back => {
                return Err(AddProblem::CannotTakeBack(id.clone(), why.clone()));
            }
            Standing::Leaving { since, .. } => *since,
            _ => self.now(),
        };
        let standing = Standing::Leaving { since, by: by.to_owned(), take_back, lends };
        let account = KeptAccount { standing, ..before };
        let notes = vec![note(id, &account.app, "account-removed", format!("by {by}"))];
        self.write(turn, vec![account.put()], notes, |kept| kept.account(account)).await?;
        Ok(())
    }

    /// What was granted in the account is taken back: what is left of removing it can go on.
    pub async fn taken_back(&self, id: &AccountId) -> Result<(), StoreError> {
        self.goes_on(id, |take_back, _| *take_back = false).await
    }

    /// What was lent in the account is taken back, as far as Zoom lets it be: what is left of removing it can go on.
    pub async fn lending_ended(&self, id: &AccountId) -> Result<(), StoreError> {
        self.goes_on(id, |_, lends| *lends = false).await
    }

    async fn goes_on(&self, id: &AccountId, step: fn(&mut bool, &mut bool)) -> Result<(), StoreError> {
        let turn = self.turn().await;
        let Some(mut account) = self.account(id) else { return Ok(()) };
        let Standing::Leaving { take_back, lends, .. } = &mut account.standing else { return Ok(()) };
        step(take_back, lends);
        self.write(turn, vec![account.put()], Vec::new(), |kept| kept.account(account)).await
    }

    /// Accounts that are not served any more, each with what is to be done about it now.
    pub fn to_do(&self, now: Timestamp) -> Vec<(KeptAccount, ToDo)> {
        let configured = lock(&self.configured).clone();
        let of = |kept: &Kept, account: &KeptAccount| {
            let (since, after, meanwhile) = match &account.standing {
                Standing::Active | Standing::NeedsApiUser { .. } => return None,
                Standing::Leaving { lends: true, .. } => (now, Duration::MAX, ToDo::EndLending),
                Standing::Leaving { take_back: true, .. } => (now, Duration::MAX, ToDo::TakeBack),
                Standing::Leaving { since, .. } => (*since, LEAVES_AFTER, ToDo::Erase),
                Standing::Lost { since, is_certain, .. } => {
                    (*since, self.kept_for(*is_certain), if *is_certain { ToDo::Erase } else { ToDo::Stop })
                }
            };
            let meanwhile = Some(meanwhile).filter(|to_do| *to_do != ToDo::Stop || now.since(since) >= STOPS_AFTER);
            match configured.get(&account.id) {
                // What the configuration holds is served by that, whatever was installed.
                Some(app) => return (*app != account.app).then_some(ToDo::Drop),
                // Somebody may say yet that the other app acts.
                None if account.is_lost() && kept.has_good_rival(account) => return meanwhile,
                None => {}
            }
            if now.since(since) >= after { Some(ToDo::Forget) } else { meanwhile }
        };
        self.read(|kept| {
            let all = kept.accounts.values();
            all.filter_map(|account| Some((account.clone(), of(kept, account)?))).collect()
        })
    }

    /// How long an account is kept that was lost.
    const fn kept_for(&self, is_certain: bool) -> Duration {
        let settings = &self.parts.settings;
        if is_certain { settings.forget_removed_after } else { settings.forget_lost_after }
    }

    /// When an account that was lost is forgotten, unless it comes back; none where another app may act for it yet.
    pub(super) fn forgotten_at(&self, account: &KeptAccount) -> Option<Timestamp> {
        let Standing::Lost { since, is_certain, .. } = account.standing else { return None };
        let is_kept = self.read(|kept| kept.has_good_rival(account));
        (!is_kept).then(|| since.plus(self.kept_for(is_certain)))
    }

    /// Gives the tokens of an account that is not served back, and erases them. Another app's stay as long as it may act.
    pub async fn erase_tokens(&self, account: &KeptAccount, to_do: ToDo) -> Result<(), StoreError> {
        let given_back = self.doomed(account, to_do);
        let mut not_given_back = 0_usize;
        for one in given_back.iter().filter(|one| one.lost.is_none()) {
            let is_given_back = match self.general_app(&one.app) {
                Some(app) => self.give_back(app, &one.granted).await,
                None => false,
            };
            not_given_back = not_given_back.saturating_add(usize::from(!is_given_back));
        }
        let turn = self.turn().await;
        let mut doomed = self.doomed(account, to_do);
        // One that was authorised again while Zoom was asked has other tokens.
        doomed.retain(|one| given_back.iter().any(|given| given.granted.are(&one.granted)));
        if doomed.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = doomed.iter().map(Installation::key).collect();
        let mut what = format!("{} of them", keys.len());
        if not_given_back > 0 {
            let why = "Zoom did not take them, or their app is not in the configuration any more";
            what = format!("{what}; {not_given_back} were not given back: {why}");
        }
        let notes = vec![note(&account.id, &account.app, "tokens-erased", what)];
        let writes = doomed.iter().map(Installation::remove).collect();
        let id = account.id.clone();
        self.write(turn, writes, notes, move |kept| {
            kept.installations.entry(id).or_default().retain(|one| !keys.contains(&one.key()));
        })
        .await
    }

    /// Installations whose tokens go, as long as the account stands as it did.
    fn doomed(&self, account: &KeptAccount, to_do: ToDo) -> Vec<Installation> {
        let (Some(since), true) = (account.standing.not_served_since(), self.stands_as(account)) else {
            return Vec::new();
        };
        let is_whole = to_do == ToDo::Forget || matches!(account.standing, Standing::Leaving { .. });
        let mut all = self.installations_of(&account.id);
        all.retain(|one| one.installed_at <= since && ((is_whole && to_do != ToDo::Drop) || one.app == account.app));
        all
    }

    /// Whether nothing happened to an account since it was looked at.
    fn stands_as(&self, account: &KeptAccount) -> bool {
        self.account(&account.id).is_some_and(|now| now.standing == account.standing && now.app == account.app)
    }

    pub(super) fn is_being_forgotten(&self, id: &AccountId) -> bool {
        lock(&self.forgetting).contains(id)
    }

    /// Begins to forget an account: nobody can install an app there until it is over. None where it is served again, or
    /// something else happened to it.
    pub async fn forgetting(&self, account: &KeptAccount) -> Option<Forgetting> {
        let _turn = self.turn().await;
        if account.standing.is_served() || !self.stands_as(account) {
            return None;
        }
        lock(&self.forgetting).insert(account.id.clone());
        Some(Forgetting { account: account.clone(), all: Arc::clone(&self.forgetting) })
    }

    /// Nothing of the account is left in the store: nor here, from now on.
    pub async fn forgotten(&self, forgetting: &Forgetting) -> Result<(), StoreError> {
        let turn = self.turn().await;
        let account = forgetting.account.clone();
        let writes = self.removal_of(&account);
        self.write(turn, writes, Vec::new(), move |kept| {
            kept.accounts.remove(&account.id);
            kept.paused.remove(&account.id);
            kept.installations.remove(&account.id);
            kept.apps.retain(|_, app| app.account != account.id);
            kept.invites.retain(|_, invite| invite.used.as_ref().is_none_or(|(_, by)| *by != account.id));
        })
        .await
    }

    /// A person who acts for an account no more is named by nothing that is kept of it: not as an API user of before, nor as who
    /// installed an app, nor by an installation that is lost.
    pub async fn forget_person(
        &self,
        id: &AccountId,
        (user, email): (Option<&UserId>, Option<&Email>),
    ) -> Result<(), StoreError> {
        let turn = self.turn().await;
        let is_theirs = |one: &Installation| {
            one.lost.is_some() && (user == Some(&one.user) || (one.email.is_some() && one.email.as_ref() == email))
        };
        let mut lost = self.installations_of(id);
        lost.retain(is_theirs);
        let mut writes: Vec<Write> = lost.iter().map(Installation::remove).collect();
        let before = self.account(id);
        let account = before.clone().map(|mut account| {
            account.former_api_users.retain(|key| !key.is(user, email));
            if user.is_some_and(|user| account.added_by == by_user(user)) {
                "somebody who is forgotten".clone_into(&mut account.added_by);
            }
            account
        });
        let account = account.filter(|account| before.as_ref() != Some(account));
        writes.extend(account.as_ref().map(KeptAccount::put));
        if writes.is_empty() {
            return Ok(());
        }
        let id = id.clone();
        self.write(turn, writes, Vec::new(), move |kept| {
            let is_lost = |one: &Installation| lost.iter().any(|lost| lost.key() == one.key());
            kept.installations.entry(id).or_default().retain(|one| !is_lost(one));
            if let Some(account) = account {
                kept.account(account);
            }
        })
        .await
    }

    /// What was installed in an account of the configuration is over: the account itself stays what it is.
    pub async fn drop_unused(&self, account: &KeptAccount) -> Result<(), StoreError> {
        let turn = self.turn().await;
        let all = self.installations_of(&account.id);
        let is_left = all.iter().any(|one| one.app == account.app && one.lost.is_none());
        if is_left || !self.stands_as(account) {
            return Ok(());
        }
        let (id, app) = (account.id.clone(), account.app.clone());
        let gone = all.iter().filter(|one| one.app == app).map(Installation::remove);
        let mut writes: Vec<Write> = gone.collect();
        writes.push(KeptAccount::remove(&id));
        writes.extend(self.kept_apps().iter().filter(|kept| kept.name == app).map(|kept| KeptApp::remove(&kept.name)));
        self.write(turn, writes, Vec::new(), move |kept| {
            kept.accounts.remove(&id);
            kept.apps.remove(&app);
            kept.installations.entry(id).or_default().retain(|one| one.app != app);
        })
        .await
    }
}

impl Kept {
    /// Whether an app that does not act could.
    fn has_good_rival(&self, account: &KeptAccount) -> bool {
        let installed = self.installations.get(&account.id).into_iter().flatten();
        installed.filter(|one| one.app != account.app).any(|one| one.lost.is_none())
    }
}
