//! What people change of who is served, at run time.

use secrecy::SecretString;

use super::kept::{Installation, KeptAccount, KeptApp, Paused, Standing};
use super::{Accounts, note};
use crate::account::{Plan, UserKey};
use crate::clock::lock;
use crate::ids::{AccountId, AppName, Email};
use crate::store::{StoreError, Write};
use crate::zoom::{Status, User, Zoom, ZoomError, find_user};

/// An account with a server-to-server app of its own, as somebody adds it.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its webhooks come to the path of that name.
    pub app: AppName,
    pub client_id: String,
    pub client_secret: SecretString,
    pub webhook_secrets: Vec<SecretString>,
    pub id: AccountId,
    pub label: Option<String>,
    pub plan: Plan,
    pub api_users: Vec<UserKey>,
    pub may_grant: Vec<Email>,
}

/// What of an account is to be otherwise; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct Changed {
    pub label: Option<String>,
    pub plan: Option<Plan>,
    pub api_users: Option<Vec<UserKey>>,
    pub may_grant: Option<Vec<Email>>,
    pub invites_per_day: Option<u32>,
    /// Which of two apps acts.
    pub app: Option<AppName>,
    /// Of its own app, in the place of those that it has.
    pub client_secret: Option<SecretString>,
    pub webhook_secrets: Option<Vec<SecretString>>,
}

/// Why somebody's change was not made.
#[derive(Debug, thiserror::Error)]
pub enum AddProblem {
    #[error("no account {0} is served beside the configuration")]
    NoAccount(AccountId),
    #[error("account {0} is held by [[app]] {1} of the configuration: change it there, and reload")]
    Configured(AccountId, AppName),
    #[error("account {0} is served already, by app {1}")]
    Taken(AccountId, AppName),
    #[error("there is an app {0} already: choose another name")]
    AppTaken(AppName),
    #[error("app {app} is not installed on account {account}")]
    NotInstalled { account: AccountId, app: AppName },
    #[error("app {1} of account {0} was not added at run time: its secrets are in the configuration")]
    NoSecrets(AccountId, AppName),
    #[error("account {0} is being removed")]
    Leaving(AccountId),
    #[error(
        "what was granted in account {0} cannot be taken back: {1}. Remove it without that, or have the app authorised again first"
    )]
    CannotTakeBack(AccountId, String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account with all that is known of how it is served.
#[derive(Debug, Clone)]
pub struct Listed {
    pub account: KeptAccount,
    pub installations: Vec<Installation>,
    pub paused: Option<Paused>,
    /// The app of the configuration that holds it, whatever was installed.
    pub configured: Option<AppName>,
}

impl Accounts {
    /// By id.
    pub fn list(&self) -> Vec<Listed> {
        let configured = lock(&self.configured).clone();
        self.read(|kept| {
            let listed = kept.accounts.values().map(|account| Listed {
                account: account.clone(),
                installations: kept.installations.get(&account.id).cloned().unwrap_or_default(),
                paused: kept.paused.get(&account.id).cloned(),
                configured: configured.get(&account.id).cloned(),
            });
            listed.collect()
        })
    }

    /// Apps of the configuration take the place of those that were added at run time under the same name. `Some` is the first
    /// that does not hold the account of the other: two apps cannot have one name.
    pub async fn give_way(&self, configured: &[AppName]) -> Result<Option<(AppName, AccountId)>, StoreError> {
        let turn = self.turn().await;
        let mut twice = self.kept_apps();
        twice.retain(|kept| configured.contains(&kept.name));
        if let Some(other) = twice.iter().find(|kept| self.configured_by(&kept.account).as_ref() != Some(&kept.name)) {
            return Ok(Some((other.name.clone(), other.account.clone())));
        }
        if twice.is_empty() {
            return Ok(None);
        }
        let what = "the configuration has it now: the secrets that were given at run time are forgotten";
        let notes = twice.iter().map(|kept| note(&kept.account, &kept.name, "app-configured", what)).collect();
        let writes = twice.iter().map(|kept| KeptApp::remove(&kept.name)).collect();
        for KeptApp { name, account, .. } in &twice {
            tracing::info!(app = %name, %account, "{what}");
        }
        let is_gone = move |name: &AppName| twice.iter().any(|kept| kept.name == *name);
        self.write(turn, writes, notes, move |kept| kept.apps.retain(|name, _| !is_gone(name))).await?;
        Ok(None)
    }

    /// Serves an account by a server-to-server app of its own.
    pub async fn add(&self, new: NewAccount, by: &str, apps: &[AppName]) -> Result<(), AddProblem> {
        let turn = self.turn().await;
        self.not_configured(&new.id)?;
        if let Some(kept) = self.account(&new.id) {
            return Err(AddProblem::Taken(kept.id, kept.app));
        }
        if apps.contains(&new.app) || self.read(|kept| kept.apps.contains_key(&new.app)) {
            return Err(AddProblem::AppTaken(new.app));
        }
        let now = self.now();
        let app = KeptApp {
            name: new.app.clone(),
            account: new.id.clone(),
            client_id: new.client_id,
            client_secret: new.client_secret,
            webhook_secrets: new.webhook_secrets,
            added_at: now,
            added_by: by.to_owned(),
        };
        let account = KeptAccount {
            id: new.id,
            app: new.app,
            label: new.label,
            plan: new.plan,
            api_users: new.api_users,
            may_grant: new.may_grant,
            acts_as: Vec::new(),
            added_at: now,
            added_by: by.to_owned(),
            came_back_at: None,
            standing: Standing::not_looked("nobody has looked at it yet", now),
            invites_per_day: None,
            rival: None,
            former_api_users: Vec::new(),
        };
        let notes = vec![note(&account.id, &account.app, "account-added", format!("by {by}"))];
        self.write(turn, vec![app.put(), account.put()], notes, move |kept| {
            kept.apps.insert(app.name.clone(), app);
            kept.account(account);
        })
        .await?;
        Ok(())
    }

    pub async fn change(&self, id: &AccountId, changed: Changed, by: &str) -> Result<KeptAccount, AddProblem> {
        let turn = self.turn().await;
        self.not_configured(id)?;
        let before = self.account(id).ok_or_else(|| AddProblem::NoAccount(id.clone()))?;
        if matches!(before.standing, Standing::Leaving { .. }) || self.is_being_forgotten(id) {
            return Err(AddProblem::Leaving(id.clone()));
        }
        let Changed { label, plan, api_users, may_grant, invites_per_day, app, client_secret, webhook_secrets } =
            changed;
        let (now, told_before) = (self.now(), before.told());
        let mut account = before;
        account.label = label.or(account.label);
        account.plan = plan.unwrap_or(account.plan);
        account.may_grant = may_grant.unwrap_or(account.may_grant);
        account.invites_per_day = invites_per_day.or(account.invites_per_day);
        if let Some(api_users) = api_users {
            account = account.with_api_users(api_users, now);
        }
        if client_secret.is_some() && account.standing.waits_for_look() {
            // Its jobs wait for a look, which may come to something now.
            account.standing = Standing::not_looked("its secrets were changed, and nobody has looked at it yet", now);
        }
        if let Some(app) = app {
            self.has_installed(id, &app)?;
            // Whoever was asked has answered.
            account.rival = None;
            if app != account.app {
                account.came_back_at = (!account.standing.is_served()).then_some(now).or(account.came_back_at);
                // Also where the other one was lost: it is served by this one from now on.
                account.standing = Standing::not_looked("another app acts, and nobody has looked at it yet", now);
                account.app = app;
            }
        }
        let mut writes = vec![account.put()];
        let mut what = otherwise(&told_before, &account.told());
        let secrets = [("client_secret", client_secret.is_some()), ("webhook_secrets", webhook_secrets.is_some())];
        what.extend(secrets.iter().filter(|(_, is_new)| *is_new).map(|(name, _)| format!("{name} changed")));
        let what = if what.is_empty() { "nothing differs from before".to_owned() } else { what.join("; ") };
        let notes = vec![note(id, &account.app, "account-changed", format!("by {by}: {what}"))];
        let own = if client_secret.is_some() || webhook_secrets.is_some() {
            let no_secrets = || AddProblem::NoSecrets(id.clone(), account.app.clone());
            let own = self.read(|kept| kept.apps.get(&account.app).cloned()).ok_or_else(no_secrets)?;
            let client_secret = client_secret.unwrap_or(own.client_secret);
            let webhook_secrets = webhook_secrets.unwrap_or(own.webhook_secrets);
            Some(KeptApp { client_secret, webhook_secrets, ..own })
        } else {
            None
        };
        writes.extend(own.as_ref().map(KeptApp::put));
        let after = account.clone();
        self.write(turn, writes, notes, |kept| {
            kept.account(account);
            if let Some(own) = own {
                kept.apps.insert(own.name.clone(), own);
            }
        })
        .await?;
        Ok(after)
    }

    fn has_installed(&self, account: &AccountId, app: &AppName) -> Result<(), AddProblem> {
        let is_own = self.read(|kept| kept.apps.get(app).is_some_and(|kept| kept.account == *account));
        let is_good = |one: &Installation| one.app == *app && one.lost.is_none();
        if is_own || self.installations_of(account).iter().any(is_good) {
            return Ok(());
        }
        Err(AddProblem::NotInstalled { account: account.clone(), app: app.clone() })
    }

    pub(super) fn not_configured(&self, id: &AccountId) -> Result<(), AddProblem> {
        match lock(&self.configured).get(id) {
            Some(app) => Err(AddProblem::Configured(id.clone(), app.clone())),
            None => Ok(()),
        }
    }

    /// Stops an account's jobs and sweeps until they are resumed; deliveries are stored and planned as ever. Whether it ran.
    pub async fn pause(&self, id: &AccountId, app: &AppName, by: &str) -> Result<bool, StoreError> {
        let turn = self.turn().await;
        if self.read(|kept| kept.paused.contains_key(id)) {
            return Ok(false);
        }
        let paused = Paused { account: id.clone(), at: self.now(), by: by.to_owned() };
        let notes = vec![note(id, app, "account-paused", format!("by {by}"))];
        self.write(turn, vec![paused.put()], notes, |kept| {
            kept.paused.insert(paused.account.clone(), paused);
        })
        .await?;
        Ok(true)
    }

    /// Whether it was paused.
    pub async fn resume(&self, id: &AccountId, app: &AppName, by: &str) -> Result<bool, StoreError> {
        let turn = self.turn().await;
        if !self.read(|kept| kept.paused.contains_key(id)) {
            return Ok(false);
        }
        let notes = vec![note(id, app, "account-resumed", format!("by {by}"))];
        let gone = id.clone();
        self.write(turn, vec![Paused::remove(id)], notes, move |kept| drop(kept.paused.remove(&gone))).await?;
        Ok(true)
    }

    pub fn paused_by(&self, id: &AccountId) -> Option<Paused> {
        self.read(|kept| kept.paused.get(id).cloned())
    }

    /// Looks whether the account's API users can be anybody's assistant, and puts down what was found. An answer that says
    /// nothing changes nothing.
    pub async fn look_at_api_users(&self, id: &AccountId, zoom: &dyn Zoom) -> Result<(), ZoomError> {
        let Some(account) = self.account(id).filter(|account| account.standing.is_served()) else { return Ok(()) };
        let why = match account.api_users.as_slice() {
            [] => Some("it has no API user: name one (`adjutant accounts change`)".to_owned()),
            users => {
                let mut why = None;
                for key in users {
                    why = why.or(unfit(key, find_user(zoom, key).await)?);
                }
                why
            }
        };
        let now = self.now();
        let standing = match (why, &account.standing) {
            (None, _) => Standing::Active,
            (Some(why), Standing::NeedsApiUser { since, .. }) => {
                Standing::NeedsApiUser { why, since: *since, is_looked: true }
            }
            (Some(why), _) => Standing::NeedsApiUser { why, since: now, is_looked: true },
        };
        if standing == account.standing {
            return Ok(());
        }
        let turn = self.turn().await;
        // Changed meanwhile: whoever did sees to it that it is looked at again.
        let Some(account) = self.account(id).filter(|again| *again == account) else { return Ok(()) };
        let what = match &standing {
            Standing::NeedsApiUser { why, .. } => why.clone(),
            _ => "its API users are there, and licensed".to_owned(),
        };
        let notes = if standing.code() == account.standing.code() {
            Vec::new()
        } else {
            vec![note(id, &account.app, standing.code(), what)]
        };
        let account = KeptAccount { standing, ..account };
        let written = self.write(turn, vec![account.put()], notes, |kept| kept.account(account)).await;
        written.map_err(|error| ZoomError::Transient(format!("what was found cannot be stored: {error}")))
    }

    pub(super) fn removal_of(&self, account: &KeptAccount) -> Vec<Write> {
        let mut writes = vec![KeptAccount::remove(&account.id), Paused::remove(&account.id)];
        writes.extend(self.installations_of(&account.id).iter().map(Installation::remove));
        // Also one that does not act any more.
        let own = |app: &&KeptApp| app.account == account.id;
        writes.extend(self.kept_apps().iter().filter(own).map(|app| KeptApp::remove(&app.name)));
        writes
    }
}

/// Field by field, what is not as it was.
fn otherwise(before: &[(&str, String)], after: &[(&str, String)]) -> Vec<String> {
    let apart = before.iter().zip(after).filter(|(was, is)| was != is);
    apart.map(|((name, was), (_, is))| format!("{name} from {was} to {is}")).collect()
}

/// Why this user cannot be anybody's assistant.
fn unfit(key: &UserKey, found: Result<User, ZoomError>) -> Result<Option<String>, ZoomError> {
    match found {
        Ok(User { status: Status::Pending, .. }) | Err(ZoomError::Pending(_)) => {
            Ok(Some(format!("its API user {key} has not accepted the invitation")))
        }
        Ok(user) if user.status != Status::Active => Ok(Some(format!("its API user {key} is not active"))),
        Ok(user) if !user.is_licensed() => {
            Ok(Some(format!("its API user {key} has no licence: give it one, which uses one paid seat")))
        }
        Ok(_) => Ok(None),
        Err(ZoomError::NotFound(_)) => Ok(Some(format!("its API user {key} does not exist in the account"))),
        Err(error) => Err(error),
    }
}
