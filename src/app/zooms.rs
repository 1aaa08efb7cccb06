//! Zoom for each account that is served.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::{Machine, ServeError};
use crate::account::Account;
use crate::clock::{Timestamp, lock};
use crate::config::{App, Config};
use crate::ids::AccountId;
use crate::store::{Store, StoreError};
use crate::worker::ZoomFor;
use crate::zoom::{AccountClient, Zoom, ZoomClients};

#[derive(Debug)]
pub(super) struct Zooms {
    clients: ZoomClients,
    accounts: Mutex<BTreeMap<AccountId, AccountClient>>,
}

impl Zooms {
    /// A client for each account, which knows what the account used of its daily limits before the start.
    pub(super) async fn build(config: &Config, store: &dyn Store, machine: &Machine) -> Result<Self, ServeError> {
        let Machine { clock, chance } = machine;
        let clients = ZoomClients::new(config.zoom.clone(), Arc::clone(clock), Arc::clone(chance))
            .map_err(|error| ServeError::Zoom(error.to_string()))?;
        let zooms = Self { clients, accounts: Mutex::default() };
        for app in &config.apps {
            for account in &app.accounts {
                zooms.client_for(account, Some(app), store, clock.now()).await?;
            }
        }
        Ok(zooms)
    }

    /// Sees to it that the account has a client. One that is there stays, and what it knows of used up limits with it.
    pub(super) async fn client_for(
        &self,
        account: &Account,
        app: Option<&App>,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(app) = app.filter(|_| !lock(&self.accounts).contains_key(&account.id)) else { return Ok(()) };
        let client = self.clients.account(account, app.credentials());
        client.seed_today(store.quota_use(&account.id, now).await?);
        lock(&self.accounts).insert(account.id.clone(), client);
        Ok(())
    }

    /// Calls since the start, by the class of their answers.
    pub(super) fn calls(&self) -> Vec<(&'static str, u64)> {
        let now = self.clients.stats().now();
        vec![
            ("2xx", now.success),
            ("4xx", now.refused),
            ("429", now.throttled),
            ("5xx", now.failed),
            ("none", now.unanswered),
        ]
    }
}

impl ZoomFor for Zooms {
    fn zoom(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        Some(Arc::new(lock(&self.accounts).get(account)?.handle()))
    }

    fn sweeping(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        Some(Arc::new(lock(&self.accounts).get(account)?.sweeping_handle()))
    }
}
