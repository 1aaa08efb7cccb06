//! The real binary before a simulated Zoom, in one account with a few people.

use std::sync::Arc;

use adjutant::chance::SeededChance;
use adjutant::clock::SystemClock;
use adjutant::sim::{NewAccount, NewUser, Plan, Sim, World};

use super::service::{self, Service};

/// The real binary before a simulated Zoom, with this added to its configuration.
pub(crate) struct Served {
    _runtime: tokio::runtime::Runtime,
    _sim: Sim,
    pub(crate) world: World,
    pub(crate) service: Service,
}

pub(crate) fn served(more: &str) -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(Arc::new(SystemClock), Arc::new(SeededChance::new(1)));
    world.add_account(NewAccount { plan: Plan::Business, ..NewAccount::named(service::ACCOUNT) }).unwrap();
    world.add_user(service::ACCOUNT, NewUser::licensed(service::API_USER)).unwrap();
    for n in 0..3 {
        world.add_user(service::ACCOUNT, NewUser::licensed(&format!("teacher-{n}@school.example"))).unwrap();
    }
    let sim = runtime.block_on(Sim::start(world.clone())).unwrap();
    let mut service = Service::new(&sim.api_url(), &sim.oauth_url());
    let path = service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, config + more).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    Served { _runtime: runtime, _sim: sim, world, service }
}

impl Served {
    pub(crate) fn told(&self, words: &[&str], code: i32) -> String {
        let (ended, out, err) = self.service.command(words);
        assert_eq!(ended, code, "{words:?}: {out}{err}{}", self.service.log());
        out + &err
    }

    /// The first start sweeps by itself, and what it finds is healed.
    pub(crate) fn settle(&mut self) {
        while self.service.admin("GET", "/v1/sweeps").unwrap()[0]["whole_at"].is_null() {
            std::thread::yield_now();
        }
        self.service.wait_until_idle();
    }

    pub(crate) fn id(&self, email: &str) -> String {
        self.world.user(service::ACCOUNT, email).unwrap().id
    }

    pub(crate) fn alarms(&self) -> String {
        self.service.admin("GET", "/v1/attention").unwrap()["alarms"].to_string()
    }
}

impl Served {
    /// Writes the configuration that this makes of what it is, and has it read again.
    pub(crate) fn reload(&self, change: impl FnOnce(String) -> String) {
        let path = self.service.folder().join("config.toml");
        std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
        self.told(&["reload"], 0);
    }

    /// Zoom delivers that a user was created.
    pub(crate) fn created(&mut self, user: NewUser) -> String {
        let email = user.email.clone();
        let id = self.world.add_user(service::ACCOUNT, user).unwrap();
        let event = format!(
            r#"{{"event":"user.created","event_ts":1,"payload":{{"account_id":"{}","object":{{"id":"{id}","email":"{email}"}}}}}}"#,
            service::ACCOUNT
        );
        assert_eq!(self.service.deliver(&event).unwrap(), 200);
        self.service.wait_until_idle();
        id
    }
}
