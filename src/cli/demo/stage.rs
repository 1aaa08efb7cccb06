//! Where a demo plays: the service, the simulated Zoom, the clock, and what is right and wrong so far. It knows no play.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::super::out::{Out, count};
use super::super::remote::{Remote, client};
use super::super::{Exit, Failure};
use super::service::Service;
use crate::chance::SystemChance;
use crate::clock::{Stopwatch, SystemClock};
use crate::sim::{Sim, ValidationError, World};
use crate::web::admin::view::{AttentionView, StatusView};

/// How long a step may take before it counts as gone wrong.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How often a step looks.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

pub(super) struct Stage<'o> {
    out: &'o mut Out,
    watch: Stopwatch,
    pub(super) service: Service,
    pub(super) sim: Sim,
    pub(super) client: reqwest::Client,
    right: u32,
    wrong: u32,
    over: bool,
}

/// A step's answer: what it came to, or what went wrong.
pub(super) type Told = Result<String, String>;

/// What went wrong, in words.
pub(super) fn told<T>(done: Result<T, impl std::fmt::Display>) -> Result<T, String> {
    done.map_err(|error| error.to_string())
}

/// A world in which nobody is yet.
pub(super) fn new_world() -> World {
    World::new(Arc::new(SystemClock), Arc::new(SystemChance))
}

pub(super) fn failed(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Io, format!("cannot {what}: {error}"))
}

impl<'o> Stage<'o> {
    /// `prepare` writes the configuration of a service for this Zoom. Nothing is started but the simulated Zoom.
    pub(super) async fn open(
        out: &'o mut Out,
        world: World,
        prepare: impl FnOnce(&Sim) -> Result<Service, Failure>,
    ) -> Result<Self, Failure> {
        let watch = Stopwatch::start();
        let sim = Sim::start(world).await.map_err(|error| failed("start the simulated Zoom", &error))?;
        let service = prepare(&sim)?;
        let client = client(Duration::from_secs(5))?;
        Ok(Self { out, watch, service, sim, client, right: 0, wrong: 0, over: false })
    }

    pub(super) const fn all_right(&self) -> bool {
        self.over && self.wrong == 0
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn world(&self) -> &World {
        self.sim.world()
    }

    pub(super) fn say(&mut self, mark: &str, text: &str) -> Result<(), Failure> {
        let seconds = self.watch.elapsed().as_secs_f64();
        self.out.line(format!("{seconds:7.3} s  {mark:5}  {text}"))?;
        self.out.flush()
    }

    /// Whether it was right.
    pub(super) fn tell(&mut self, told: Told) -> Result<bool, Failure> {
        match told {
            Ok(text) => {
                self.right = self.right.saturating_add(1);
                self.say("right", &text)?;
                Ok(true)
            }
            Err(text) => {
                self.wrong = self.wrong.saturating_add(1);
                self.service.keep();
                let log = self.service.log();
                self.say("WRONG", &format!("{text}; the service's log: {}", log.display()))?;
                Ok(false)
            }
        }
    }

    /// Starts the service; whether it runs and Zoom accepts where its events go, as `validated` finds out.
    pub(super) async fn begins(
        &mut self,
        validated: impl AsyncFnOnce(&Sim) -> Result<(), ValidationError>,
    ) -> Result<bool, Failure> {
        self.service.start()?;
        let told = async {
            self.is_ready().await?;
            let refused = |error| format!("Zoom could not validate the webhook address: {error}");
            validated(&self.sim).await.map_err(refused)?;
            Ok("the service runs, and Zoom validated its webhook address".to_owned())
        };
        let told = told.await;
        self.tell(told)
    }

    /// Waits until the service that was started answers.
    pub(super) async fn is_ready(&mut self) -> Result<(), String> {
        let (watch, ready) = (Stopwatch::start(), format!("http://{}/readyz", self.service.admin));
        while watch.elapsed() < PATIENCE && !self.service.has_ended() {
            if self.client.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(GLANCE).await;
        }
        Err("the service did not start".to_owned())
    }

    /// The last step, and what all of them came to.
    pub(super) async fn close(&mut self) -> Result<(), Failure> {
        let told = match self.service.command_is_good(&["audit", "verify"]).await {
            Ok(true) => Ok("the audit log verifies: no gap, and every entry hashes to the root".to_owned()),
            Ok(false) => Err("the audit log does not verify".to_owned()),
            Err(failure) => Err(failure.to_string()),
        };
        self.tell(told)?;
        let store = self.status().await.map_err(|error| Failure::new(Exit::Failed, error))?.store;
        let attention: AttentionView =
            self.ask("/v1/attention", &[]).await.map_err(|error| Failure::new(Exit::Failed, error))?;
        let waiting: Vec<_> = attention.waiting.iter().map(|one| format!("{} {}", one.count, one.reason)).collect();
        let waiting = if waiting.is_empty() { String::new() } else { format!(" ({})", waiting.join(", ")) };
        let steps = count(self.right, "step", "steps");
        let result = format!(
            "{steps} right, {} wrong; {} done, {} waiting{waiting}, {} parked",
            self.wrong,
            count(store.done, "job", "jobs"),
            store.waiting,
            store.parked
        );
        self.say("", &result)?;
        self.say("", "for your own account: adjutant setup")?;
        self.over = true;
        Ok(())
    }

    pub(super) fn stay_open(&mut self) -> Result<(), Failure> {
        let config = self.service.config();
        // As it was called: whoever comes from `cargo run` has not installed it.
        let binary = std::env::args().next().unwrap_or_else(|| "adjutant".to_owned());
        let command = format!("{binary} --config {} audit tail", config.display());
        self.say(
            "",
            &format!("it keeps running, to look around with `{command}`; Ctrl-C ends it and removes its folder"),
        )
    }

    pub(super) async fn idle(&self) -> Result<(), String> {
        let is_idle = || async {
            self.status().await.is_ok_and(|status| {
                let store = status.store;
                (store.unplanned, store.due, store.running) == (0, 0, 0)
            })
        };
        self.until("nothing is left to do", is_idle).await
    }

    pub(super) async fn until<F: Future<Output = bool>>(
        &self,
        what: &str,
        mut is_so: impl FnMut() -> F,
    ) -> Result<(), String> {
        let watch = Stopwatch::start();
        while !is_so().await {
            if watch.elapsed() > PATIENCE {
                return Err(format!("waited {} s, but not: {what}", PATIENCE.as_secs()));
            }
            tokio::time::sleep(GLANCE).await;
        }
        Ok(())
    }

    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, String> {
        let token = self.service.token().ok_or("the service has no token yet")?;
        let (client, address) = (self.client.clone(), self.service.admin);
        let remote = Remote::Running { client, address, token, to_do: "begin the demo again" };
        remote.get(path, query).await.map_err(|failure| failure.to_string())
    }

    pub(super) async fn status(&self) -> Result<StatusView, String> {
        self.ask("/v1/status", &[]).await
    }
}
