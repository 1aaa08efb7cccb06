//! Zoom for each account that is served.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Machine, ServeError};
use crate::config::Config;
use crate::ids::AccountId;
use crate::store::Store;
use crate::worker::ZoomFor;
use crate::zoom::{AccountClient, Credentials, Zoom, ZoomClients};

#[derive(Debug)]
pub(super) struct Zooms {
    clients: ZoomClients,
    accounts: BTreeMap<AccountId, AccountClient>,
}

impl Zooms {
    /// A client for each account, which knows what the account used of its daily limits before the start.
    pub(super) async fn build(config: &Config, store: &dyn Store, machine: &Machine) -> Result<Self, ServeError> {
        let Machine { clock, chance } = machine;
        let clients = ZoomClients::new(config.zoom.clone(), Arc::clone(clock), Arc::clone(chance))
            .map_err(|error| ServeError::Zoom(error.to_string()))?;
        let mut accounts = BTreeMap::new();
        for app in &config.apps {
            for account in &app.accounts {
                let credentials =
                    Credentials { client_id: app.client_id.clone(), client_secret: app.secrets.client.clone() };
                let client = clients.account(account, credentials);
                client.seed_today(store.quota_use(&account.id, clock.now()).await?);
                accounts.insert(account.id.clone(), client);
            }
        }
        Ok(Self { clients, accounts })
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
        let client = self.accounts.get(account)?;
        Some(Arc::new(client.handle()))
    }

    fn sweeping(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        let client = self.accounts.get(account)?;
        Some(Arc::new(client.sweeping_handle()))
    }
}
