//! What the demo shows, step by step. Each step changes the simulated account as people would, and then looks there for
//! the result: a line says "right" only when Zoom's side shows it, and what it says of jobs, attempts and deliveries only
//! when the service's own account of them agrees.

mod presets;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::super::Failure;
use super::super::out::Out;
use super::check;
use super::service::{ACCOUNT, API_USER, SECRET, Service, configuration};
use super::stage::{Stage, Told, failed, new_world};
use crate::clock::{Clock as _, Stopwatch, SystemClock};
use crate::sim::{Fault, FaultKind, NewAccount, NewUser, Sim, Subscription, Target, TooMany, sign};
use crate::web::admin::view::{EntriesView, EntryView, JobView};

/// One account with an API user, whose events come to the service.
pub(super) async fn open(out: &mut Out) -> Result<Stage<'_>, Failure> {
    let world = new_world();
    world.add_account(NewAccount::named(ACCOUNT)).map_err(|error| failed("make the account", &error))?;
    world.add_user(ACCOUNT, NewUser::licensed(API_USER)).map_err(|error| failed("make the API user", &error))?;
    let prepare = |sim: &Sim| {
        let (api, oauth) = (sim.api_url(), sim.oauth_url());
        let service = Service::prepare(|public, admin| configuration(public, admin, &api, &oauth))?;
        service.write_presets()?;
        Ok(service)
    };
    let stage = Stage::open(out, world, prepare).await?;
    let subscription = Subscription::to_all(format!("http://{}/webhooks/main", stage.service.public), SECRET);
    stage.world().subscribe(ACCOUNT, subscription).map_err(|error| failed("subscribe", &error))?;
    Ok(stage)
}

impl Stage<'_> {
    /// The whole show.
    pub(super) async fn play(&mut self) -> Result<(), Failure> {
        let (public, api) = (self.service.public, self.sim.api_url());
        self.say("", &format!("a simulated Zoom at {api}, adjutant at http://{public}; nothing leaves this machine"))?;
        self.say("", &format!("rules: {API_USER} assists everyone; every meeting has its waiting room on"))?;
        if !self.begins(async |sim| sim.validate(ACCOUNT).await).await? {
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
        self.tell(told).map(drop)
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

    // What the service says of itself.

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
