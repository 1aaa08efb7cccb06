//! Who is served: the accounts of the configuration and those that the store keeps, with what each needs.

use std::collections::HashMap;
use std::sync::Arc;

use super::zooms::Zooms;
use super::{Machine, ServeError};
use crate::account::{Account, AppKind};
use crate::accounts::{self, Accounts, KeptApp};
use crate::clock::Clock;
use crate::config::{App, Config};
use crate::event::signature::Secret;
use crate::ids::{AccountId, AppName};
use crate::rules::Rule;
use crate::store::{Store, StoreError};
use crate::web::admin::AdminApp;
use crate::web::webhook::{Receiver, ReceiverApp};
use crate::worker::Roster;
use crate::zoom::{Access, Credentials};

#[derive(Debug)]
pub(super) struct Serving {
    accounts: Arc<Accounts>,
    zooms: Arc<Zooms>,
    receiver: Arc<Receiver>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    organisations: Arc<[Vec<AccountId>]>,
}

impl Serving {
    pub(super) async fn open(config: &Config, store: Arc<dyn Store>, machine: &Machine) -> Result<Self, ServeError> {
        let zooms = Zooms::new(config, machine)?;
        let parts = accounts::Parts {
            store: Arc::clone(&store),
            oauth: zooms.oauth(),
            clock: Arc::clone(&machine.clock),
            chance: Arc::clone(&machine.chance),
            settings: config.accounts.clone(),
            apps: config.apps.iter().filter_map(App::for_install).collect(),
            public_url: config.server.public_url.clone(),
        };
        let configured: Vec<Account> = config.accounts().cloned().collect();
        let accounts = Accounts::open(parts, &configured).await?;
        let names: Vec<AppName> = config.apps.iter().map(|app| app.name.clone()).collect();
        if let Some((app, account)) = accounts.give_way(&names).await? {
            return Err(ServeError::AppTwice { app, account });
        }
        let clock = Arc::clone(&machine.clock);
        let apps = receiver_apps(config, &accounts);
        let receiver = Receiver::open(apps, Arc::clone(&store), clock, config.server.receiver.clone()).await?;
        let clock = Arc::clone(&machine.clock);
        let organisations = config.organisations.clone().into();
        Ok(Self { accounts, zooms: Arc::new(zooms), receiver, store, clock, organisations })
    }

    pub(super) fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.accounts)
    }

    pub(super) fn zooms(&self) -> Arc<Zooms> {
        Arc::clone(&self.zooms)
    }

    pub(super) fn receiver(&self) -> Arc<Receiver> {
        Arc::clone(&self.receiver)
    }

    /// All that are served, where the configuration holds these: each has a client, and its app's webhooks are taken.
    pub(super) async fn all(&self, config: &Config, configured: Vec<Account>) -> Result<Vec<Account>, StoreError> {
        self.accounts.configure(&configured);
        let mut all = configured;
        all.extend(self.accounts.served());
        let kept = self.accounts.kept_apps().into_iter().map(|app| (app.name.clone(), app)).collect();
        let access = |account: &Account| self.access(config, &kept, account);
        self.zooms.serve(&all, access, &*self.store, self.clock.now()).await?;
        self.receiver.serve(receiver_apps(config, &self.accounts)).await?;
        Ok(all)
    }

    /// How an account's tokens are had; none where its app is gone.
    fn access(&self, config: &Config, kept: &HashMap<AppName, KeptApp>, account: &Account) -> Option<Access> {
        if let Some(app) = config.app(&account.app) {
            return Some(match app.general {
                Some(_) => Access::Installed(app.credentials(), self.accounts.installations(&app.name, &account.id)),
                None => Access::Own(app.credentials()),
            });
        }
        let app = kept.get(&account.app)?;
        let (client_id, client_secret) = (app.client_id.clone(), app.client_secret.clone());
        Some(Access::Own(Credentials { client_id, client_secret }))
    }

    /// What runs by these rules. Where a plan is required, a rule that nobody has planned as it is only observes.
    pub(super) async fn roster(
        &self,
        accounts: Vec<Account>,
        rules: Vec<Rule>,
        require_plan: bool,
        store: &dyn Store,
    ) -> Result<Roster, StoreError> {
        let roster = Roster::new(accounts, rules).with_paused(self.accounts.paused());
        let roster = roster.with_organisations(Arc::clone(&self.organisations));
        Ok(if require_plan { roster.observing_unplanned(&store.planned().await?) } else { roster })
    }

    /// As the admin listener shows them.
    pub(super) fn apps(&self, config: &Config) -> Vec<AdminApp> {
        let mut apps: Vec<AdminApp> = config.apps.iter().map(App::for_admin).collect();
        let kept = self.accounts.kept_apps().into_iter().map(|app| AdminApp {
            name: app.name,
            kind: AppKind::ServerToServer,
            accounts: Vec::new(),
        });
        apps.extend(kept);
        let places: HashMap<AppName, usize> =
            apps.iter().enumerate().map(|(place, app)| (app.name.clone(), place)).collect();
        for account in self.accounts.served() {
            if let Some(app) = places.get(&account.app).and_then(|place| apps.get_mut(*place)) {
                app.accounts.push(account);
            }
        }
        apps
    }
}

/// Whose webhooks are taken.
fn receiver_apps(config: &Config, accounts: &Accounts) -> Vec<ReceiverApp> {
    let is_other = |kept: &KeptApp| config.app(&kept.name).is_none();
    let kept = accounts.kept_apps().into_iter().filter(is_other).map(|KeptApp { name, webhook_secrets, .. }| {
        // What is no secret was refused when it was added.
        let secrets = webhook_secrets.iter().filter_map(|secret| Secret::new(secret).ok()).collect();
        ReceiverApp { name, secrets }
    });
    config.apps.iter().map(App::for_receiver).chain(kept).collect()
}
