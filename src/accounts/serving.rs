//! What people change of who is served, at run time.

use secrecy::SecretString;

use super::kept::{Installation, KeptAccount, KeptApp, Paused, Standing};
use super::{Accounts, note};
use crate::account::{Plan, UserKey};
use crate::clock::lock;
use crate::ids::{AccountId, AppName, Email};
use crate::store::{StoreError, Write};
use crate::zoom::{Status, User, Zoom, ZoomError};

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
    #[error("account {0} is being removed")]
    Leaving(AccountId),
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

    /// Serves an account by a server-to-server app of its own.
    pub async fn add(&self, new: NewAccount, by: &str, apps: &[AppName]) -> Result<(), AddProblem> {
        let _one_at_a_time = self.changing.lock().await;
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
            standing: Standing::NeedsApiUser { why: "nobody has looked at it yet".to_owned(), since: now },
            invites_per_day: None,
            rival: None,
        };
        let notes = vec![note(&account.id, &account.app, "account-added", format!("by {by}"))];
        self.write(vec![app.put(), account.put()], notes, |kept| {
            kept.apps.insert(app.name.clone(), app);
            kept.account(account);
        })
        .await?;
        Ok(())
    }

    pub async fn change(&self, id: &AccountId, changed: Changed, by: &str) -> Result<KeptAccount, AddProblem> {
        let _one_at_a_time = self.changing.lock().await;
        self.not_configured(id)?;
        let before = self.account(id).ok_or_else(|| AddProblem::NoAccount(id.clone()))?;
        if matches!(before.standing, Standing::Leaving { .. }) {
            return Err(AddProblem::Leaving(id.clone()));
        }
        let Changed { label, plan, api_users, may_grant, invites_per_day, app } = changed;
        let now = self.now();
        let mut account = before.clone();
        account.label = label.or(account.label);
        account.plan = plan.unwrap_or(account.plan);
        account.may_grant = may_grant.unwrap_or(account.may_grant);
        account.invites_per_day = invites_per_day.or(account.invites_per_day);
        if let Some(api_users) = api_users.filter(|api_users| *api_users != before.api_users) {
            account.api_users = api_users;
            if account.standing.is_served() {
                let why = "its API users were changed, and nobody has looked at them yet".to_owned();
                account.standing = Standing::NeedsApiUser { why, since: now };
            }
        }
        if let Some(app) = app {
            self.has_installed(id, &app)?;
            // Whoever was asked has answered.
            account.rival = None;
            account.app = app;
        }
        let notes = vec![note(id, &account.app, "account-changed", format!("by {by}"))];
        self.write(vec![account.put()], notes, |kept| kept.account(account.clone())).await?;
        Ok(account)
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
        let _one_at_a_time = self.changing.lock().await;
        if self.read(|kept| kept.paused.contains_key(id)) {
            return Ok(false);
        }
        let paused = Paused { account: id.clone(), at: self.now(), by: by.to_owned() };
        let notes = vec![note(id, app, "account-paused", format!("by {by}"))];
        self.write(vec![paused.put()], notes, |kept| {
            kept.paused.insert(id.clone(), paused);
        })
        .await?;
        Ok(true)
    }

    /// Whether it was paused.
    pub async fn resume(&self, id: &AccountId, app: &AppName, by: &str) -> Result<bool, StoreError> {
        let _one_at_a_time = self.changing.lock().await;
        if !self.read(|kept| kept.paused.contains_key(id)) {
            return Ok(false);
        }
        let notes = vec![note(id, app, "account-resumed", format!("by {by}"))];
        self.write(vec![Paused::remove(id)], notes, |kept| drop(kept.paused.remove(id))).await?;
        Ok(true)
    }

    pub fn paused_by(&self, id: &AccountId) -> Option<Paused> {
        self.read(|kept| kept.paused.get(id).cloned())
    }

    /// Looks whether the account's API users can be anybody's assistant, and puts down what was found. An answer that says
    /// nothing changes nothing. Returns what a person should know of them.
    pub async fn look_at_api_users(&self, id: &AccountId, zoom: &dyn Zoom) -> Result<(), ZoomError> {
        let Some(account) = self.account(id).filter(|account| account.standing.is_served()) else { return Ok(()) };
        let why = match account.api_users.as_slice() {
            [] => Some("it has no API user: name one (`adjutant accounts change`)".to_owned()),
            users => {
                let mut why = None;
                for key in users {
                    why = why.or(unfit(key, zoom.user(key).await)?);
                }
                why
            }
        };
        let now = self.now();
        let standing = match (why, &account.standing) {
            (None, _) => Standing::Active,
            (Some(why), Standing::NeedsApiUser { since, .. }) => Standing::NeedsApiUser { why, since: *since },
            (Some(why), _) => Standing::NeedsApiUser { why, since: now },
        };
        if standing == account.standing {
            return Ok(());
        }
        let _one_at_a_time = self.changing.lock().await;
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
        let written = self.write(vec![account.put()], notes, |kept| kept.account(account.clone())).await;
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

/// Why this user cannot be anybody's assistant.
fn unfit(key: &UserKey, found: Result<User, ZoomError>) -> Result<Option<String>, ZoomError> {
    match found {
        Ok(user) if user.status != Status::Active => Ok(Some(format!("its API user {key} is not active"))),
        Ok(user) if !user.is_licensed() => {
            Ok(Some(format!("its API user {key} has no licence: give it one, which uses one paid seat")))
        }
        Ok(_) => Ok(None),
        Err(ZoomError::NotFound(_)) => Ok(Some(format!("its API user {key} does not exist in the account"))),
        Err(error) => Err(error),
    }
}
