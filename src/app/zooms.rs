//! Zoom for each account that is served.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Machine, ServeError};
use crate::account::Account;
use crate::alarm::Alarm;
use crate::clock::{Timestamp, lock};
use crate::config::{App, Config};
use crate::ids::AccountId;
use crate::store::{Store, StoreError};
use crate::worker::ZoomFor;
use crate::zoom::{AccountClient, Zoom, ZoomClients};

/// A call that fails is tried again: for so long nobody need know.
const UNREACHED: Duration = Duration::from_secs(300);

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

    /// Accounts whose credentials Zoom refuses, and Zoom itself where it does not answer.
    pub(super) fn alarms(&self, now: Timestamp) -> Vec<Alarm> {
        let standings: Vec<_> =
            lock(&self.accounts).iter().map(|(account, client)| (account.clone(), client.standing())).collect();
        let refused = standings.iter().filter_map(|(account, standing)| {
            let (since, why) = standing.refused.as_ref()?;
            let what = format!("account {account}: Zoom refuses the app's credentials: {why}");
            let advice =
                "authorise the app again or correct its credentials; then retry what is parked for credentials-refused";
            Some(Alarm::new("needs-authorising", what, advice, "adjutant doctor").of_account(account).since(*since))
        });
        let mut alarms: Vec<Alarm> = refused.collect();
        let unanswered = standings.iter().filter_map(|(account, standing)| {
            let row = standing.unanswered.as_ref().filter(|row| row.calls >= 3 && now.since(row.since) >= UNREACHED)?;
            Some((account, row))
        });
        let unanswered: Vec<_> = unanswered.collect();
        if let Some((account, row)) = unanswered.iter().min_by_key(|(_, row)| row.since) {
            let accounts = match unanswered.len() {
                1 => format!("account {account}"),
                many => format!("{many} accounts (the first: {account})"),
            };
            let what = format!("since {} Zoom answers no call for {accounts}: {}", row.since, row.why);
            let advice =
                "nothing is lost, and work goes on by itself when Zoom answers: see status.zoom.us and the network";
            alarms.push(Alarm::new("zoom-unreachable", what, advice, "adjutant doctor").since(row.since));
        }
        alarms
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
