//! The installations of an app in an account: which is used, what it was given, and when the last one is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::kept::{Installation, KeptAccount, Standing};
use super::{Accounts, Kept, note};
use crate::account::Account;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, AppName};
use crate::store::{Note, StoreError, Write};
use crate::zoom::{Access, Granted, Held, Installations, Renewed};

impl Accounts {
    /// Those of an app in an account, for its client.
    pub fn installations(self: &Arc<Self>, app: &AppName, account: &AccountId) -> Arc<dyn Installations> {
        Arc::new(OfAccount { accounts: Arc::clone(self), app: app.clone(), account: account.clone() })
    }

    /// Accounts with an installation of an app that does not act there, each as that app would reach it: their tokens end
    /// as well where nobody uses them.
    pub fn not_acting(self: &Arc<Self>) -> Vec<(Account, Access)> {
        let configured = lock(&self.configured).clone();
        let acts = |kept: &Kept, id: &AccountId| {
            configured.get(id).cloned().or_else(|| kept.accounts.get(id).map(|account| account.app.clone()))
        };
        let mut found: Vec<(AccountId, AppName)> = self.read(|kept| {
            let all = kept.installations.values().flatten().filter(|one| one.lost.is_none());
            let others = all.filter(|one| acts(kept, &one.account).as_ref() != Some(&one.app));
            others.map(|one| (one.account.clone(), one.app.clone())).collect()
        });
        found.sort();
        found.dedup();
        let access = |(id, name): (AccountId, AppName)| {
            let app = self.general_app(&name)?;
            let access = Access::Installed(app.credentials.clone(), self.installations(&name, &id));
            Some((Account::new(id, name, app.plan), access))
        };
        found.into_iter().filter_map(access).collect()
    }

    /// All of an account, of whatever app.
    pub fn installations_of(&self, account: &AccountId) -> Vec<Installation> {
        self.read(|kept| kept.installations.get(account).cloned().unwrap_or_default())
    }

    /// No installation counts any more, since its tokens may have been used up: each account has to be authorised again.
    pub async fn lose_all(&self, why: &str) -> Result<usize, StoreError> {
        let all: BTreeSet<(AppName, AccountId)> = self.read(|kept| {
            let installed = kept.installations.values().flatten().filter(|one| one.lost.is_none());
            installed.map(|one| (one.app.clone(), one.account.clone())).collect()
        });
        for (app, account) in &all {
            self.lose((app, account), |_| true, why, false).await?;
        }
        Ok(all.len())
    }

    /// An installation is gone: its admin removed the app, or Zoom refuses its tokens for good. Where it was the last one of
    /// the app that acts, the account is not served any more. One that is newer than `since` is another one, and stays.
    pub(super) async fn lose(
        &self,
        (app, account): (&AppName, &AccountId),
        is_meant: impl Fn(&Installation) -> bool,
        why: &str,
        is_certain: bool,
    ) -> Result<(), StoreError> {
        let turn = self.turn().await;
        let now = self.now();
        let is_it = |one: &Installation| one.app == *app && is_meant(one);
        let lost: Vec<Installation> = self
            .installations_of(account)
            .into_iter()
            .filter(|one| is_it(one) && one.lost.is_none())
            .map(|one| Installation { lost: Some((now, why.to_owned())), ..one })
            .collect();
        let mut writes: Vec<Write> = lost.iter().map(Installation::put).collect();
        let mut notes: Vec<Note> = Vec::new();
        for one in &lost {
            notes.push(note(account, app, "installation-lost", format!("user:{}: {why}", one.user)));
        }
        let is_last = self.read(|kept| {
            let of_app = kept.installations.get(account).into_iter().flatten().filter(|one| one.app == *app);
            !of_app.clone().any(|one| one.lost.is_none() && !lost.iter().any(|lost| lost.key() == one.key()))
        });
        let given_up = self.account(account).filter(|kept| is_last && kept.app == *app);
        let given_up = given_up.and_then(|kept| given_up_as(kept, why, is_certain, now));
        if let Some(account) = &given_up {
            let code = if account.is_lost() { account.standing.code() } else { "not-taken-back" };
            notes.push(note(&account.id, app, code, why));
        }
        // Nobody is asked any more which of the two acts.
        let alone = self.account(account).filter(|kept| is_last && kept.rival.as_ref() == Some(app));
        let given_up = given_up.or(alone.map(|kept| KeptAccount { rival: None, ..kept }));
        writes.extend(given_up.iter().map(KeptAccount::put));
        if writes.is_empty() {
            return Ok(());
        }
        self.write(turn, writes, notes, |kept| {
            for one in lost {
                kept.installed(one);
            }
            if let Some(account) = given_up {
                kept.account(account);
            }
        })
        .await
    }
}

/// The account without any installation, unless it is so already.
fn given_up_as(kept: KeptAccount, why: &str, is_certain: bool, now: Timestamp) -> Option<KeptAccount> {
    match &kept.standing {
        Standing::Leaving { take_back: false, lends: false, .. } => return None,
        // Nobody can take anything back any more, so the removal goes on without.
        Standing::Leaving { by, since, .. } => {
            let (account, since, by) = (&kept.id, *since, by.clone());
            tracing::warn!(%account, "it is removed, and what was granted there could not be taken back: {why}");
            let standing = Standing::Leaving { since, by, take_back: false, lends: false };
            return Some(KeptAccount { standing, ..kept });
        }
        // What was inferred may become certain; the other way round nothing is learned.
        Standing::Lost { is_certain: known, .. } if *known || !is_certain => return None,
        _ => {}
    }
    Some(KeptAccount { standing: Standing::Lost { why: why.to_owned(), since: now, is_certain }, ..kept })
}

impl Kept {
    pub(super) fn installed(&mut self, one: Installation) {
        let all = self.installations.entry(one.account.clone()).or_default();
        all.retain(|other| other.key() != one.key());
        all.push(one);
    }

    pub(super) fn account(&mut self, account: KeptAccount) {
        self.accounts.insert(account.id.clone(), account);
    }
}

/// The installations of one app in one account.
#[derive(Debug)]
struct OfAccount {
    accounts: Arc<Accounts>,
    app: AppName,
    account: AccountId,
}

impl OfAccount {
    fn is(&self, one: &Installation, held: &Held) -> bool {
        one.app == self.app && one.user == held.user && one.granted.are(&held.granted)
    }
}

#[async_trait]
impl Installations for OfAccount {
    /// The newest first: whoever installed it last is most likely still there.
    fn good(&self) -> Vec<Held> {
        let mut all = self.accounts.installations_of(&self.account);
        all.retain(|one| one.app == self.app && one.lost.is_none());
        all.sort_by_key(|one| std::cmp::Reverse(one.installed_at));
        all.into_iter().map(|one| Held { user: one.user, granted: one.granted }).collect()
    }

    async fn renewed(&self, old: &Held, new: &Granted) -> Result<Renewed, String> {
        let accounts = &self.accounts;
        // Shared with the renewals of others: nothing else may change meanwhile, and each waits for its own sync alone.
        let nothing_else_changes = accounts.changing.read().await;
        let all = accounts.installations_of(&self.account);
        let Some(one) = all.iter().find(|one| self.is(one, old)).cloned() else {
            // Nobody waits for Zoom.
            drop(nothing_else_changes);
            let is_authorised_again = all.iter().any(|one| one.app == self.app && one.user == old.user);
            if let Some(app) = accounts.general_app(&self.app).filter(|_| !is_authorised_again) {
                accounts.give_back(app, new).await;
            }
            return Ok(Renewed::Unwanted);
        };
        let one = Installation { granted: new.clone(), ..one };
        // No entry: this happens every hour, and says nothing.
        let writes = vec![one.put()];
        let written = accounts.parts.store.write_documents(writes, Vec::new(), accounts.now()).await;
        written.map_err(|error| error.to_string())?;
        lock(&accounts.kept).installed(one);
        Ok(Renewed::Kept)
    }

    async fn lost(&self, old: &Held, why: &str) {
        let lost = self.accounts.lose((&self.app, &self.account), |one| self.is(one, old), why, false).await;
        if let Err(error) = lost {
            // It is refused again when it is tried again.
            tracing::warn!(account = %self.account, %error, "that an installation is gone could not be recorded");
        }
    }
}
