//! Zoom for each account that is served.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Machine, ServeError};
use crate::account::{Account, Plan};
use crate::alarm::Alarm;
use crate::clock::{Timestamp, lock};
use crate::config::Config;
use crate::ids::{AccountId, AppName};
use crate::store::{Store, StoreError};
use crate::worker::ZoomFor;
use crate::zoom::{Access, AccountClient, OAuth, Zoom, ZoomClients};

/// A call that fails is tried again: for so long nobody need know.
const UNREACHED: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct Zooms {
    clients: ZoomClients,
    accounts: Mutex<BTreeMap<AccountId, Served>>,
    /// Of apps that do not act: what Zoom gave and the store did not take yet is with them.
    apart: Mutex<BTreeMap<(AccountId, AppName), Served>>,
}

/// A client, and what it was made for.
#[derive(Debug)]
struct Served {
    app: AppName,
    plan: Plan,
    access: Access,
    client: AccountClient,
}

impl Zooms {
    /// Without any account: see [`Zooms::serve`].
    pub(super) fn new(config: &Config, machine: &Machine) -> Result<Self, ServeError> {
        let Machine { clock, chance } = machine;
        let clients = ZoomClients::new(config.zoom.clone(), Arc::clone(clock), Arc::clone(chance))
            .map_err(|error| ServeError::Zoom(error.to_string()))?;
        Ok(Self { clients, accounts: Mutex::default(), apart: Mutex::default() })
    }

    pub(super) fn oauth(&self) -> OAuth {
        self.clients.oauth()
    }

    /// Ends when no token is being fetched.
    pub(super) async fn settled(&self) {
        self.clients.settled().await;
    }

    /// Sees to it that these accounts, and no others, have clients, which know what each used of its daily limits before. One
    /// that is there for the same app, plan and credentials stays, and what it knows of used up limits with it.
    pub(super) async fn serve(
        &self,
        accounts: &[Account],
        access: impl Fn(&Account) -> Option<Access>,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for account in accounts {
            let Some(access) = access(account) else { continue };
            let before = lock(&self.accounts).get(&account.id).and_then(|served| {
                let is_by_it = served.app == account.app && served.access.is(&access);
                is_by_it.then(|| (served.plan, served.client.clone()))
            });
            let client = match before {
                Some((plan, _)) if plan == account.plan => continue,
                Some((_, client)) => self.clients.again(account, &client),
                None => self.clients.account(account, access.clone()),
            };
            client.seed_today(store.quota_use(&account.id, now).await?);
            let served = Served { app: account.app.clone(), plan: account.plan, access, client };
            lock(&self.accounts).insert(account.id.clone(), served);
        }
        let served: HashSet<&AccountId> = accounts.iter().map(|account| &account.id).collect();
        lock(&self.accounts).retain(|id, _| served.contains(id));
        self.clients.retain(|id| served.contains(id));
        Ok(())
    }

    /// The client of an account, for what is no attempt.
    pub(super) fn client(&self, account: &AccountId) -> Option<AccountClient> {
        lock(&self.accounts).get(account).map(|served| served.client.clone())
    }

    /// Clients of apps that do not act, to look after their tokens: these and no others. One that is there stays.
    pub(super) fn apart(&self, all: Vec<(Account, Access)>) -> Vec<AccountClient> {
        let mut apart = lock(&self.apart);
        let mut before = std::mem::take(&mut *apart);
        for (account, access) in all {
            let whose = (account.id.clone(), account.app.clone());
            let served = before.remove(&whose).filter(|served| served.access.is(&access)).unwrap_or_else(|| {
                let client = self.clients.account(&account, access.clone());
                Served { app: account.app, plan: account.plan, access, client }
            });
            apart.insert(whose, served);
        }
        apart.values().map(|served| served.client.clone()).collect()
    }

    pub(super) fn clients(&self) -> Vec<AccountClient> {
        lock(&self.accounts).values().map(|served| served.client.clone()).collect()
    }

    /// Accounts whose credentials Zoom refuses, and Zoom itself where it does not answer.
    pub(super) fn alarms(&self, now: Timestamp) -> Vec<Alarm> {
        let standings: Vec<_> =
            lock(&self.accounts).iter().map(|(account, served)| (account.clone(), served.client.standing())).collect();
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
        Some(Arc::new(self.client(account)?.handle()))
    }

    fn sweeping(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        Some(Arc::new(self.client(account)?.sweeping_handle()))
    }
}

#[cfg(test)]
mod tests {
    mod keeping;

    use std::path::Path;

    use super::*;
    use crate::account::UserKey;
    use crate::chance::SeededChance;
    use crate::clock::ManualClock;
    use crate::config::{self, Env};
    use crate::sim::{Fault, FaultKind, NewAccount, Sim, Target, World};
    use crate::store::MemoryStore;
    use crate::zoom::{Credentials, ZoomError};

    const SECRET: &str = "client-secret-acme";
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_600);

    struct Bench {
        zooms: Zooms,
        world: World,
        sim: Sim,
        id: AccountId,
    }

    impl Bench {
        async fn new() -> Self {
            let machine = Machine { clock: Arc::new(ManualClock::at(NOW)), chance: Arc::new(SeededChance::new(1)) };
            let world = World::new(Arc::clone(&machine.clock), Arc::new(SeededChance::new(2)));
            world.add_account(NewAccount::named("acme")).unwrap();
            let sim = Sim::start(world.clone()).await.unwrap();
            let text = format!(
                "[zoom]\napi_url = \"{}\"\noauth_url = \"{}\"\n[[app]]\nname = \"main\"\n\
                 kind = \"server-to-server\"\nclient_id = \"a\"\nclient_secret = \"{SECRET}\"\n\
                 webhook_secrets = [\"a-long-secret-too\"]\n[[app.account]]\nid = \"acme\"\n",
                sim.api_url(),
                sim.oauth_url(),
            );
            let config = config::parse(Path::new("config.toml"), &text, &Env::default()).unwrap();
            let zooms = Zooms::new(&config, &machine).unwrap();
            Self { zooms, world, sim, id: AccountId::parse("acme").unwrap() }
        }

        async fn serve(&self, app: &str, plan: Plan, secret: &str) {
            let account = Account::new(self.id.clone(), AppName::parse(app).unwrap(), plan);
            let own = |_: &Account| {
                let client_id = "client-acme".to_owned();
                Some(Access::Own(Credentials { client_id, client_secret: secret.to_owned().into() }))
            };
            self.zooms.serve(&[account], own, &MemoryStore::default(), NOW).await.unwrap();
        }

        /// Reads somebody; gives how often a token was fetched until now.
        async fn read(&self) -> Result<usize, ZoomError> {
            let zoom = self.zooms.client(&self.id).unwrap().handle();
            zoom.user(&"owner@acme.example".parse::<UserKey>().unwrap()).await?;
            Ok(self.tokens())
        }

        fn tokens(&self) -> usize {
            self.world.calls().iter().filter(|call| call.path == "/oauth/token").count()
        }

        /// One call fails: the client remembers it until another is answered.
        async fn fail(&self) {
            let kind = FaultKind::Error { status: 503, body: "{}".to_owned() };
            self.world.fault(Fault { target: Target::any_api(), times: 1, kind });
            self.read().await.unwrap_err();
            assert!(self.remembers());
        }

        fn remembers(&self) -> bool {
            self.zooms.client(&self.id).unwrap().standing().unanswered.is_some()
        }
    }

    #[tokio::test]
    async fn a_client_goes_on_where_nothing_changed_and_is_another_where_plan_secret_or_app_did() {
        let bench = Bench::new().await;
        bench.serve("main", Plan::Business, SECRET).await;
        assert_eq!(bench.read().await.unwrap(), 1);
        bench.fail().await;
        bench.serve("main", Plan::Business, SECRET).await;
        assert!(bench.remembers(), "it is the same");
        // By other limits, and by the tokens that it has: only one may refresh them.
        bench.serve("main", Plan::Pro, SECRET).await;
        assert!(!bench.remembers());
        assert_eq!(bench.read().await.unwrap(), 1);
        bench.serve("main", Plan::Pro, "a-secret-that-is-wrong").await;
        assert!(matches!(bench.read().await, Err(ZoomError::Credentials(_))));
        bench.serve("main", Plan::Pro, SECRET).await;
        assert_eq!(bench.read().await.unwrap(), 3);
        bench.serve("other", Plan::Pro, SECRET).await;
        assert_eq!(bench.read().await.unwrap(), 4);
        bench.zooms.serve(&[], |_: &Account| None, &MemoryStore::default(), NOW).await.unwrap();
        assert!(bench.zooms.client(&bench.id).is_none());
        drop(bench.sim);
    }
}
