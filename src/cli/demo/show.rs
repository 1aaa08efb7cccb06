//! What the demo shows, step by step. Each step changes the simulated account as people would, and then looks there for
//! the result: a line says "right" only when Zoom's side shows it, and what it says of jobs, attempts and deliveries only
//! when the service's own account of them agrees.

mod presets;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::out::{Out, count};
use super::super::remote::{Remote, client};
use super::super::{Exit, Failure};
use super::check;
use super::service::{ACCOUNT, API_USER, SECRET, Service};
use crate::chance::SystemChance;
use crate::clock::{Clock as _, Stopwatch, SystemClock};
use crate::sim::{Fault, FaultKind, NewAccount, NewUser, Sim, Subscription, Target, TooMany, World, sign};
use crate::web::admin::view::{EntriesView, EntryView, JobView, StatusView};

/// How long a step may take before it counts as gone wrong.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a step looks.
const GLANCE: Duration = Duration::from_millis(20);

pub(super) struct Show<'o> {
    out: &'o mut Out,
    watch: Stopwatch,
    service: Service,
    sim: Sim,
    client: reqwest::Client,
    right: u32,
    wrong: u32,
    over: bool,
}

/// A step's answer: what it came to, or what went wrong.
type Told = Result<String, String>;

impl<'o> Show<'o> {
    pub(super) async fn open(out: &'o mut Out) -> Result<Self, Failure> {
        let watch = Stopwatch::start();
        let world = World::new(Arc::new(SystemClock), Arc::new(SystemChance));
        let io = |what: &str, error: &dyn std::fmt::Display| Failure::new(Exit::Io, format!("cannot {what}: {error}"));
        world.add_account(NewAccount::named(ACCOUNT)).map_err(|error| io("make the account", &error))?;
        world.add_user(ACCOUNT, NewUser::licensed(API_USER)).map_err(|error| io("make the API user", &error))?;
        let sim = Sim::start(world).await.map_err(|error| io("start the simulated Zoom", &error))?;
        let service = Service::prepare(&sim.api_url(), &sim.oauth_url())?;
        let subscription = Subscription::to_all(format!("http://{}/webhooks/main", service.public), SECRET);
        sim.world().subscribe(ACCOUNT, subscription).map_err(|error| io("subscribe", &error))?;
        let client = client(Duration::from_secs(5))?;
        Ok(Self { out, watch, service, sim, client, right: 0, wrong: 0, over: false })
    }

    pub(super) const fn all_right(&self) -> bool {
        self.over && self.wrong == 0
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    fn world(&self) -> &World {
        self.sim.world()
    }

    fn say(&mut self, mark: &str, text: &str) -> Result<(), Failure> {
        let seconds = self.watch.elapsed().as_secs_f64();
        self.out.line(format!("{seconds:7.3} s  {mark:5}  {text}"))?;
        self.out.flush()
    }

    fn tell(&mut self, told: Told) -> Result<(), Failure> {
        match told {
            Ok(text) => {
                self.right = self.right.saturating_add(1);
                self.say("right", &text)
            }
            Err(text) => {
                self.wrong = self.wrong.saturating_add(1);
                self.service.keep();
                let log = self.service.log();
                self.say("WRONG", &format!("{text}; the service's log: {}", log.display()))
            }
        }
    }

    /// The whole show.
    pub(super) async fn play(&mut self) -> Result<(), Failure> {
        let (public, api) = (self.service.public, self.sim.api_url());
        self.say("", &format!("a simulated Zoom at {api}, adjutant at http://{public}; nothing leaves this machine"))?;
        self.say("", &format!("rules: {API_USER} assists everyone; every meeting has its waiting room on"))?;
        self.service.start()?;
        let told = self.comes_up().await;
        let is_up = told.is_ok();
        self.tell(told)?;
        if !is_up {
            return Ok(());
        }
        let told = self.licensed().await;
        self.tell(told)?;
        self.waiting_and_released().await?;
        let told = self.duplicates().await;
        self.tell(told)?;
        let told = self.forged().await;
        self.tell(told)?;
        let told = self.limited().await;
        self.tell(told)?;
        let told = self.killed().await;
        self.tell(told)?;
        let told = self.meeting().await;
        self.tell(told)?;
        self.presets().await?;
        self.close().await
    }

    async fn comes_up(&mut self) -> Told {
        let ready = format!("http://{}/readyz", self.service.admin);
        let mut good = false;
        while !good && self.watch.elapsed() < PATIENCE && !self.service.has_ended() {
            good = self.client.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success());
            tokio::time::sleep(GLANCE).await;
        }
        if !good {
            return Err("the service did not start".to_owned());
        }
        self.sim
            .validate(ACCOUNT)
            .await
            .map_err(|error| format!("Zoom could not validate the webhook address: {error}"))?;
        Ok("the service runs, and Zoom validated its webhook address".to_owned())
    }

    async fn licensed(&self) -> Told {
        let email = "ada@school.example";
        let watch = Stopwatch::start();
        self.create(NewUser::licensed(email))?;
        self.gets_assistant(email).await?;
        let took = watch.elapsed().as_millis();
        Ok(format!("{email} was created: the API user was made their assistant and read back, in {took} ms"))
    }

    async fn waiting_and_released(&mut self) -> Result<(), Failure> {
        let (invited, basic, stays) = ("ben@school.example", "cleo@school.example", "dora@school.example");
        let told = self.wait_for_their_turn(invited, basic, stays).await;
        self.tell(told)?;
        let told = async {
            self.world().accept_invitation(ACCOUNT, invited).map_err(|error| error.to_string())?;
            self.gets_assistant(invited).await?;
            Ok(format!("{invited} accepted the invitation, which released the job: assistant added, read back"))
        };
        let told = told.await;
        self.tell(told)?;
        let told = async {
            self.world().set_licence(ACCOUNT, basic, 2).map_err(|error| error.to_string())?;
            self.gets_assistant(basic).await?;
            Ok(format!("{basic} got a licence, which released the job: assistant added, read back"))
        };
        let told = told.await;
        self.tell(told)
    }

    async fn wait_for_their_turn(&self, invited: &str, basic: &str, stays: &str) -> Told {
        self.create(NewUser::licensed(invited).invited())?;
        self.create(NewUser::basic(basic))?;
        self.create(NewUser::basic(stays))?;
        self.until("three users wait", || async { self.jobs("waiting").await.is_ok_and(|jobs| jobs.len() == 3) })
            .await?;
        let attempts: u32 = self.jobs("waiting").await?.iter().map(|job| job.attempts).sum();
        if attempts != 0 {
            return Err(format!("waiting used {attempts} attempts"));
        }
        Ok(format!("{invited} (invited), {basic} and {stays} (no licence) wait; no attempt is used"))
    }

    async fn duplicates(&self) -> Told {
        let email = "eve@school.example";
        let body = self.silently_created(email)?;
        for _ in 0..3 {
            self.deliver(&body, SECRET).await?;
        }
        self.gets_assistant(email).await?;
        self.idle().await?;
        let duplicates = self.entries().await?.iter().filter(|entry| entry.code == "duplicate").count();
        let writes = self.world().assistant_writes(ACCOUNT, email);
        if (duplicates, writes) != (2, 1) {
            return Err(format!(
                "one delivery sent three times: {duplicates} duplicates found, {writes} writes to Zoom"
            ));
        }
        self.took_one_job_and_attempt(email).await?;
        Ok(format!("a delivery about {email} came three times: one job, one write to Zoom"))
    }

    async fn forged(&self) -> Told {
        let email = "mallory@school.example";
        let body = self.silently_created(email)?;
        let before = self.status().await?.store.deliveries;
        let status = self.post(&body, "a-secret-that-is-not-ours").await?;
        self.idle().await?;
        if status != 401 || !self.world().assistants(ACCOUNT, email).is_empty() {
            return Err(format!("a forged delivery was answered {status}"));
        }
        check::nothing_stored(before, self.status().await?.store.deliveries)?;
        Ok("a forged delivery was refused with 401; nothing of it was stored".to_owned())
    }

    async fn limited(&self) -> Told {
        let email = "finn@school.example";
        let target = Target::api("POST", "/assistants");
        self.world().fault(Fault { target, times: 1, kind: FaultKind::TooMany(TooMany::PerSecond) });
        self.create(NewUser::licensed(email))?;
        self.gets_assistant(email).await?;
        self.idle().await?;
        let snoozed = self.entries().await?.iter().any(|entry| entry.code == "snoozed");
        if !snoozed || self.world().faults_left() != 0 {
            return Err(format!("{email} has the assistant, but was not put off after a 429"));
        }
        self.took_one_job_and_attempt(email).await?;
        Ok(format!("Zoom answered 429 for {email}: put off, no attempt used, then done"))
    }

    async fn killed(&mut self) -> Told {
        let email = "gus@school.example";
        let body = self.silently_created(email)?;
        self.deliver(&body, SECRET).await?;
        self.service.kill();
        let before = self.world().assistant_writes(ACCOUNT, email);
        self.service.start().map_err(|failure| failure.to_string())?;
        self.gets_assistant(email).await?;
        self.idle().await?;
        let writes = self.world().assistant_writes(ACCOUNT, email);
        if writes != 1 {
            return Err(format!("{email} took {writes} writes"));
        }
        let when = if before == 0 { "before it acted" } else { "while it acted" };
        Ok(format!("SIGKILL right after the 200 for {email}, {when}; started again: done, once"))
    }

    async fn meeting(&self) -> Told {
        let fields = json!({"topic": "Mathematics", "type": 2, "duration": 45, "settings": {"waiting_room": false}});
        let meeting = self.world().create_meeting(ACCOUNT, "ada@school.example", &fields);
        let id = meeting.map_err(|error| error.to_string())?;
        let is_on = || {
            let settings = self.world().meeting(ACCOUNT, id).map(|meeting| meeting.settings);
            settings.is_some_and(|settings| settings.get("waiting_room") == Some(&Value::Bool(true)))
        };
        self.until("the waiting room is on", || async { is_on() }).await?;
        self.sim.settle().await;
        self.idle().await?;
        let writes = self.world().count_calls("PATCH", "/meetings/");
        if writes != 1 {
            return Err(format!("meeting {id} took {writes} writes"));
        }
        Ok(format!("meeting {id} was made without a waiting room: switched on, read back, written once"))
    }

    async fn close(&mut self) -> Result<(), Failure> {
        let told = match self.service.command_is_good(&["audit", "verify"]) {
            Ok(true) => Ok("the audit log verifies: no gap, and every entry hashes to the root".to_owned()),
            Ok(false) => Err("the audit log does not verify".to_owned()),
            Err(failure) => Err(failure.to_string()),
        };
        self.tell(told)?;
        let store = self.status().await.map_err(|error| Failure::new(Exit::Failed, error))?.store;
        let steps = count(self.right, "step", "steps");
        let result = format!(
            "{steps} right, {} wrong; {} done, {} waiting (for a licence), {} parked",
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

    // What steps are made of.

    fn create(&self, user: NewUser) -> Result<(), String> {
        self.world().create_user(ACCOUNT, user).map(drop).map_err(|error| error.to_string())
    }

    /// Makes a licensed user without an event, and gives the event's body, to be sent by hand.
    fn silently_created(&self, email: &str) -> Result<String, String> {
        let id = self.world().add_user(ACCOUNT, NewUser::licensed(email)).map_err(|error| error.to_string())?;
        let object = json!({"id": id, "first_name": "A", "last_name": "B", "email": email, "type": 2});
        let payload = json!({
            "account_id": ACCOUNT, "operator": "admin@school.example", "operator_id": "admin",
            "creation_type": "create", "object": object,
        });
        let at = SystemClock.now().as_millis();
        Ok(json!({"event": "user.created", "event_ts": at, "payload": payload}).to_string())
    }

    async fn deliver(&self, body: &str, secret: &str) -> Result<(), String> {
        match self.post(body, secret).await? {
            200 => Ok(()),
            other => Err(format!("a delivery was answered {other}")),
        }
    }

    async fn post(&self, body: &str, secret: &str) -> Result<u16, String> {
        let secs = SystemClock.now().as_secs();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-zm-request-timestamp", secs.to_string()),
            ("x-zm-signature", sign(secret, secs, body.as_bytes())),
            ("x-zm-request-id", "6009d653_d487_445d_8406_42b654974899".to_owned()),
            ("content-type", "application/json; charset=utf-8".to_owned()),
        ] {
            let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let url = format!("http://{}/webhooks/main", self.service.public);
        let answer = self.client.post(url).headers(headers).body(body.to_owned()).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
    }

    async fn gets_assistant(&self, email: &str) -> Result<(), String> {
        let has = || async { self.world().assistants(ACCOUNT, email) == [API_USER] };
        self.until(&format!("{email} has the assistant"), has).await
    }

    async fn idle(&self) -> Result<(), String> {
        let is_idle = || async {
            self.status().await.is_ok_and(|status| {
                let store = status.store;
                (store.unplanned, store.due, store.running) == (0, 0, 0)
            })
        };
        self.until("nothing is left to do", is_idle).await
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, mut is_so: impl FnMut() -> F) -> Result<(), String> {
        let watch = Stopwatch::start();
        while !is_so().await {
            if watch.elapsed() > PATIENCE {
                return Err(format!("waited {} s, but not: {what}", PATIENCE.as_secs()));
            }
            tokio::time::sleep(GLANCE).await;
        }
        Ok(())
    }

    // What the service says of itself.

    async fn ask<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, String> {
        let token = self.service.token().ok_or("the service has no token yet")?;
        let remote = Remote::Running { client: self.client.clone(), address: self.service.admin, token };
        remote.get(path, query).await.map_err(|failure| failure.to_string())
    }

    async fn status(&self) -> Result<StatusView, String> {
        self.ask("/v1/status", &[]).await
    }

    async fn jobs(&self, state: &str) -> Result<Vec<JobView>, String> {
        self.ask("/v1/jobs", &[("state", state.to_owned())]).await
    }

    async fn took_one_job_and_attempt(&self, email: &str) -> Result<(), String> {
        let user = self.world().user(ACCOUNT, email).ok_or_else(|| format!("{email} is gone from Zoom"))?;
        let all: Vec<JobView> = self.ask("/v1/jobs", &[("limit", "1000".to_owned())]).await?;
        check::one_job_and_attempt(&all, &user.id).map_err(|why| format!("of {email}: {why}"))
    }

    async fn entries(&self) -> Result<Vec<EntryView>, String> {
        let found: EntriesView = self.ask("/v1/audit", &[("limit", "1000".to_owned())]).await?;
        Ok(found.entries)
    }
}
