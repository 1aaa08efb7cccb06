//! Who is served beside the configuration: accounts that installed a general app, or were added at run time, with their
//! installations, tokens and invites.
//!
//! All of it is documents of the store, and in memory as they are. A change is on disk before anybody sees it; one is made
//! at a time. Who serves by this (the roster, the receiver, the clients of Zoom) is told by [`Accounts::changed`].
//!
//! Deliberately knows neither HTTP nor rules: what a page shows, and what a rule does, are others'.

mod alarms;
mod browsers;
mod install;
mod installed;
mod invites;
mod kept;
mod letting_go;
mod serving;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, Semaphore, watch};

pub use alarms::Failing;
pub use browsers::{Form, Ticket};
pub use install::{Begun, Called, Finished, InstallProblem, UnderWay};
pub use invites::Invited;
pub use kept::{Installation, Invite, KeptAccount, KeptApp, Paused, Standing};
pub use letting_go::{Forgetting, ToDo};
pub use serving::{AddProblem, Changed, Listed, NewAccount};

use crate::account::{Account, Plan, UserKey};
use crate::audit::{Detail, Kind};
use crate::chance::{self, Chance};
use crate::clock::{Clock, Timestamp, lock};
use crate::ids::{AccountId, AppName, Email, UserId};
use crate::store::{Document, Note, Shelf, Store, StoreError, Write};
use crate::zoom::{Credentials, OAuth};
use browsers::Spent;
use install::{COOKIE_LIVES, EXCHANGED_AT_ONCE};
use kept::OnShelf;

/// Who the API user of an account is that installs an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiUserIs {
    /// The admin who installs it.
    Installer,
    /// An email, in which `{domain}` stands for that of the admin's email.
    Template(String),
    /// The admin is asked.
    Ask,
}

/// A general app, as the configuration has it.
#[derive(Debug, Clone)]
pub struct GeneralApp {
    pub name: AppName,
    pub credentials: Credentials,
    pub api_user: ApiUserIs,
    /// Only who was invited may install it; else anybody.
    pub is_invited: bool,
    /// Of accounts that install it, until a person says otherwise.
    pub plan: Plan,
}

impl GeneralApp {
    /// The API user of an account whose admin has this id and email; none where nobody said.
    fn api_user(&self, installer: &UserKey, email: Option<&Email>, told: Option<&Email>) -> Option<UserKey> {
        match &self.api_user {
            ApiUserIs::Installer => Some(installer.clone()),
            ApiUserIs::Template(template) => {
                let domain = email.and_then(|email| email.as_str().rsplit_once('@')).map_or("", |(_, domain)| domain);
                Email::parse(&template.replace("{domain}", domain)).ok().map(UserKey::Email)
            }
            ApiUserIs::Ask => told.cloned().map(UserKey::Email),
        }
    }
}

/// `[accounts]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long an invite is good for.
    pub invite_life: Duration,
    /// Installations are refreshed when their tokens are older, also where nobody uses them.
    pub refresh_idle: Duration,
    /// An account whose app was removed is forgotten so long after.
    pub forget_removed_after: Duration,
    /// The same where it was only inferred, from what Zoom refuses.
    pub forget_lost_after: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Settings {
    fn default() -> Self {
        Self {
            invite_life: DAY.saturating_mul(14),
            refresh_idle: DAY.saturating_mul(30),
            forget_removed_after: DAY.saturating_mul(7),
            forget_lost_after: DAY.saturating_mul(30),
        }
    }
}

/// What [`Accounts`] works with.
#[derive(Debug, Clone)]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub oauth: OAuth,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    pub settings: Settings,
    pub apps: Vec<GeneralApp>,
    /// Where admins and Zoom reach the public listener, without a slash at the end; none where nobody said.
    pub public_url: Option<String>,
}

/// All that is kept.
#[derive(Debug, Default)]
struct Kept {
    apps: BTreeMap<AppName, KeptApp>,
    accounts: BTreeMap<AccountId, KeptAccount>,
    paused: BTreeMap<AccountId, Paused>,
    installations: HashMap<AccountId, Vec<Installation>>,
    invites: BTreeMap<String, Invite>,
}

/// The accounts that the store keeps.
#[derive(Debug)]
pub struct Accounts {
    parts: Parts,
    /// What signs the cookies of browsers that install.
    signs_with: SecretString,
    /// One change at a time; who renews tokens shares it, since each installation has one that does.
    changing: Arc<RwLock<()>>,
    kept: Arc<Mutex<Kept>>,
    /// Whom the configuration holds, and by which app.
    configured: Mutex<BTreeMap<AccountId, AppName>>,
    version: watch::Sender<u64>,
    exchanging: Semaphore,
    spent: Mutex<Spent>,
    /// What of letting go fails again and again.
    failing: Mutex<BTreeMap<AccountId, Failing>>,
    /// Accounts that are just being forgotten.
    forgetting: Arc<Mutex<HashSet<AccountId>>>,
}

/// Held by whoever changes something: from reading what there was until the change is in force.
#[derive(Debug)]
pub(super) struct Turn {
    _held: OwnedRwLockWriteGuard<()>,
}

/// Under which the key that signs cookies is kept.
const SIGNS: &str = "install-cookies";

impl Accounts {
    /// Reads what the store keeps.
    pub async fn open(parts: Parts, configured: &[Account]) -> Result<Arc<Self>, StoreError> {
        let signs_with = signing_key(&parts).await?;
        let mut kept = Kept::default();
        for document in parts.store.documents(Shelf::App).await? {
            let app: KeptApp = kept::read(&document)?;
            kept.apps.insert(app.name.clone(), app);
        }
        for document in parts.store.documents(Shelf::Account).await? {
            match kept::read(&document)? {
                OnShelf::Account(account) => drop(kept.accounts.insert(account.id.clone(), *account)),
                OnShelf::Paused(paused) => drop(kept.paused.insert(paused.account.clone(), paused)),
            }
        }
        for document in parts.store.documents(Shelf::Installation).await? {
            let one: Installation = kept::read(&document)?;
            kept.installations.entry(one.account.clone()).or_default().push(one);
        }
        for document in parts.store.documents(Shelf::Invite).await? {
            let invite: Invite = kept::read(&document)?;
            kept.invites.insert(invite.id.clone(), invite);
        }
        let accounts = Self {
            parts,
            signs_with,
            changing: Arc::default(),
            kept: Arc::new(Mutex::new(kept)),
            configured: Mutex::default(),
            version: watch::Sender::new(0),
            exchanging: Semaphore::new(EXCHANGED_AT_ONCE),
            spent: Mutex::default(),
            failing: Mutex::default(),
            forgetting: Arc::default(),
        };
        accounts.configure(configured);
        Ok(Arc::new(accounts))
    }

    /// Whom the configuration holds now.
    pub fn configure(&self, accounts: &[Account]) {
        let configured = accounts.iter().map(|account| (account.id.clone(), account.app.clone()));
        *lock(&self.configured) = configured.collect();
    }

    /// Counts changes of who is served.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub fn general_app(&self, name: &AppName) -> Option<&GeneralApp> {
        self.parts.apps.iter().find(|app| app.name == *name)
    }

    pub fn general_apps(&self) -> &[GeneralApp] {
        &self.parts.apps
    }

    /// Apps that were added at run time.
    pub fn kept_apps(&self) -> Vec<KeptApp> {
        self.read(|kept| kept.apps.values().cloned().collect())
    }

    /// The app of the configuration that holds an account.
    pub fn configured_by(&self, id: &AccountId) -> Option<AppName> {
        lock(&self.configured).get(id).cloned()
    }

    pub fn account(&self, id: &AccountId) -> Option<KeptAccount> {
        self.read(|kept| kept.accounts.get(id).cloned())
    }

    /// Those that wait for a look at their API users.
    pub fn to_look_at(&self) -> Vec<KeptAccount> {
        let configured = lock(&self.configured).clone();
        let waits = |account: &&KeptAccount| {
            matches!(account.standing, Standing::NeedsApiUser { .. }) && !configured.contains_key(&account.id)
        };
        self.read(|kept| kept.accounts.values().filter(waits).cloned().collect())
    }

    /// Those that are served beside the configuration's.
    pub fn served(&self) -> Vec<Account> {
        let configured = lock(&self.configured).clone();
        self.read(|kept| {
            let served = kept.accounts.values();
            served
                .filter(|account| account.standing.is_reached() && !configured.contains_key(&account.id))
                .map(|account| Account {
                    api_users: account.api_users.clone(),
                    may_grant: account.may_grant.clone(),
                    acts_as: kept.acts_as(account),
                    only_observes: account.standing != Standing::Active,
                    waits_for_look: account.standing.waits_for_look(),
                    invites_per_day: account.invites_per_day.unwrap_or(account.plan.invites_per_day()),
                    joined_at: Some(account.joined_at()),
                    ..Account::new(account.id.clone(), account.app.clone(), account.plan)
                })
                .collect()
        })
    }

    /// Accounts whose jobs and sweeps stand still: a person stopped them for a while, or they are leaving.
    pub fn paused(&self) -> Vec<AccountId> {
        let configured = lock(&self.configured).clone();
        self.read(|kept| {
            // What the configuration holds is served by that, whatever becomes of what was installed.
            let others = kept.accounts.values().filter(|account| !configured.contains_key(&account.id));
            let leaving = others.filter(|account| !account.standing.is_served());
            kept.paused.keys().chain(leaving.map(|account| &account.id)).cloned().collect()
        })
    }

    fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> T {
        read(&lock(&self.kept))
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    async fn turn(&self) -> Turn {
        Turn { _held: Arc::clone(&self.changing).write_owned().await }
    }

    /// Puts a change on disk, and then in force. What was read in this turn still holds.
    async fn write(
        &self,
        turn: Turn,
        writes: Vec<Write>,
        notes: Vec<Note>,
        change: impl FnOnce(&mut Kept) + Send + 'static,
    ) -> Result<(), StoreError> {
        let (store, kept, version, now) =
            (Arc::clone(&self.parts.store), Arc::clone(&self.kept), self.version.clone(), self.now());
        // On a task of its own: whoever asked may hang up at any moment, and what is on disk has to be in force.
        let writing = tokio::spawn(async move {
            store.write_documents(writes, notes, now).await?;
            change(&mut lock(&kept));
            version.send_modify(|version| *version = version.wrapping_add(1));
            drop(turn);
            Ok(())
        });
        writing.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Kept {
    /// A token acts as the admin who installed the app \[D].
    fn acts_as(&self, account: &KeptAccount) -> Vec<UserKey> {
        let installed = self.installations.get(&account.id).into_iter().flatten();
        let admins = installed.filter(|one| one.app == account.app).map(|one| UserKey::Id(one.user.clone()));
        account.acts_as.iter().cloned().chain(admins).collect()
    }
}

/// How an admin is named who did something.
fn by_user(user: &UserId) -> String {
    format!("user:{user}")
}

/// The entry about an app's invites.
fn note_of_service(app: &AppName, code: &str, what: impl Into<String>) -> Note {
    let detail = Detail::note(what);
    Note { kind: Kind::Service, app: Some(app.clone()), account: None, code: code.to_owned(), detail }
}

/// The entry about an account that changed.
fn note(account: &AccountId, app: &AppName, code: &str, what: impl Into<String>) -> Note {
    Note {
        kind: Kind::Service,
        app: Some(app.clone()),
        account: Some(account.clone()),
        code: code.to_owned(),
        detail: Detail::note(what),
    }
}

/// The key that signs cookies: made once, and kept, so that an admin who is at Zoom while we restart comes back to us.
async fn signing_key(parts: &Parts) -> Result<SecretString, StoreError> {
    let in_text = |value: Vec<u8>| SecretString::from(hex::encode(value));
    if parts.apps.is_empty() {
        // Nobody installs anything.
        return Ok(in_text(chance::bytes::<32>(&*parts.chance).to_vec()));
    }
    if let Some(found) = parts.store.document(Shelf::Service, SIGNS).await? {
        return Ok(in_text(found.value));
    }
    let value = chance::bytes::<32>(&*parts.chance).to_vec();
    let document = Document { shelf: Shelf::Service, key: SIGNS.to_owned(), account: None, value: value.clone() };
    parts.store.write_documents(vec![Write::Put(document)], Vec::new(), parts.clock.now()).await?;
    Ok(in_text(value))
}

#[cfg(test)]
mod tests;
