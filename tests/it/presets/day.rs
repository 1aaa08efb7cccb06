//! A school day, played against the real binary.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adjutant::chance::SeededChance;
use adjutant::clock::{ManualClock, Stopwatch, Timestamp};
use adjutant::sim::{Attempt, Mischief, NewAccount, NewUser, Plan, Playing, School, Sim, Subscription, Truth, World};
use serde_json::{Value, json};

use crate::process::led::Led;
use crate::process::service::{ACCOUNT, SECRET, Service};

pub(super) const API_USERS: [&str; 4] =
    ["api-1@school.example", "api-2@school.example", "api-3@school.example", "api-4@school.example"];
/// Whom the presets name, as they are shipped.
pub(super) const SUBSTITUTE: &str = "substitute@example.com";
pub(super) const DEPUTY: &str = "deputy@example.com";

const HOST_WAITED_FOR: Duration = Duration::from_secs(5 * 60);
const FOR_EVER: [Duration; 2] = [Duration::from_secs(12 * 3600), Duration::from_secs(13 * 3600)];
/// While deliveries are on their way, time makes no longer steps.
const STEP: Duration = Duration::from_secs(10);
/// After the last lesson, until no record can be waited for any more.
const NIGHT: Duration = Duration::from_secs(34 * 3600);
/// Looks at the service, after which time passes: something waits for it.
const LOOKS: u32 = 40;
/// How long the service stays dead.
const DEAD_FOR: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);

/// What was, and what the presets made of it.
pub(super) struct Played {
    pub(super) world: World,
    pub(super) truth: Truth,
    /// Every try of Zoom's to deliver something, in order.
    pub(super) attempts: Vec<Attempt>,
    pub(super) jobs: Vec<Done>,
    /// Lines of the consumer of that name.
    pub(super) records: Vec<Value>,
    pub(super) ops: BTreeSet<String>,
    /// Ids of those in the group that a preset names.
    pub(super) teachers: BTreeSet<String>,
    /// Meetings whose waiting room somebody switched off, and who.
    pub(super) switched_off: Vec<(u64, String)>,
    /// In which the service was dead.
    pub(super) kills: Vec<(Timestamp, Timestamp)>,
    pub(super) service: Service,
    _zoom: Zoom,
}

/// A job that is over, or not.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) id: String,
    pub(super) rule: String,
    pub(super) subject: String,
    pub(super) state: String,
    /// When that began.
    pub(super) at: Timestamp,
    pub(super) why: String,
}

struct Zoom {
    sim: Option<Sim>,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Zoom {
    fn drop(&mut self) {
        drop(self.sim.take());
    }
}

struct Running {
    world: World,
    clock: Led,
    service: Service,
    environment: Vec<(String, String)>,
    zoom: Zoom,
    playing: Playing,
    teachers: BTreeSet<String>,
    switched_off: Vec<(u64, String)>,
    /// Moments at which a timer may be due: time stops there.
    stops: BTreeSet<Timestamp>,
    known: (usize, usize),
}

impl Played {
    /// Plays the day, with the service killed while the two of these steps are done.
    pub(super) fn play(school: &School, seed: u64, kills: [u64; 2]) -> Self {
        let mut running = Running::open(school, seed);
        let (mut kills, mut killed) = (running.kills(kills), Vec::new());
        while let Some(at) = running.next_at() {
            running.stop_at_all_until(at);
            if kills.first().is_some_and(|kill| *kill <= at) {
                kills.remove(0);
                killed.push(running.killed_during(at));
            } else {
                running.to(at);
            }
        }
        assert_eq!(killed.len(), 2, "seed {seed}");
        running.evening();
        running.night();
        running.end(killed)
    }
}

impl Played {
    /// The whole audit log.
    pub(super) fn entries(&self) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.service.admin("GET", &format!("/v1/audit?limit=1000{after}")).unwrap();
            let entries = page["entries"].as_array().unwrap();
            if entries.is_empty() {
                return all;
            }
            all.extend(entries.clone());
            after = format!("&after={}", page["next"].as_str().unwrap());
        }
    }
}

impl Running {
    fn open(school: &School, seed: u64) -> Self {
        let day = school.day(seed);
        let clock = ManualClock::at(day.opens_at());
        let world = World::new(Arc::new(clock.clone()), Arc::new(SeededChance::new(seed)));
        world.add_account(NewAccount { plan: Plan::Business, ..NewAccount::named(ACCOUNT) }).unwrap();
        for user in API_USERS.into_iter().chain([SUBSTITUTE, DEPUTY]) {
            world.add_user(ACCOUNT, NewUser::licensed(user)).unwrap();
        }
        world.set_mischief(Mischief {
            repeat_percent: 3,
            copy_percent: 3,
            shuffle: true,
            late_leave_percent: 10,
            overtaken_percent: 20,
            ..Mischief::default()
        });
        let mut service = Service::new("http://127.0.0.1:1/v2", "http://127.0.0.1:1/oauth");
        let url = format!("http://{}/webhooks/main", service.public);
        world.subscribe(ACCOUNT, Subscription::to_all(url, SECRET)).unwrap();
        let playing = day.open(&world, ACCOUNT, &API_USERS).unwrap();
        let group = world.add_group(ACCOUNT, "Teachers").unwrap();
        let mut teachers = BTreeSet::new();
        for user in world.users(ACCOUNT).into_iter().filter(|user| user.email.starts_with("teacher-")).step_by(2) {
            world.join_group(ACCOUNT, &group, &user.id).unwrap();
            teachers.insert(user.id);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sim = runtime.block_on(Sim::start(world.clone())).unwrap();
        let rules = configure(&service, &sim);
        let clock = Led::new(clock, service.folder());
        let mut environment = vec![clock.environment()];
        environment.extend(rules.iter().map(|rule| {
            (format!("ADJUTANT__RULE__{}__MODE", rule.to_uppercase().replace('-', "_")), "enforce".to_owned())
        }));
        assert!(start(&mut service, &environment), "{}", service.log());
        let zoom = Zoom { sim: Some(sim), runtime };
        let mut running = Self {
            world,
            clock,
            service,
            environment,
            zoom,
            playing,
            teachers,
            switched_off: Vec::new(),
            stops: BTreeSet::new(),
            known: (0, 0),
        };
        // What happened before the service was there is tried again after five minutes.
        let at = running.clock.now().plus(Duration::from_secs(301));
        running.to(at);
        running
    }

    /// One at any moment of the day, and one when lessons end, so that what ended them is told late.
    fn kills(&self, [any, end]: [u64; 2]) -> Vec<Timestamp> {
        let all = self.playing.moments();
        let nth = |of: &[Timestamp], number: u64| of[usize::try_from(number).unwrap() % of.len()];
        let minute = |at: &Timestamp| at.as_secs().rem_euclid(3600) / 60;
        let end = nth(&all.iter().copied().filter(|at| minute(at) == 44).collect::<Vec<_>>(), end);
        let others: Vec<Timestamp> =
            all.into_iter().filter(|at| at.since(end).max(end.since(*at)) > DEAD_FOR * 2).collect();
        let mut kills = vec![nth(&others, any), end];
        kills.sort_unstable();
        kills
    }

    fn next_at(&self) -> Option<Timestamp> {
        self.playing.next_at()
    }

    /// What people and Zoom do at this moment, and what the service makes of it.
    fn to(&mut self, at: Timestamp) {
        self.act(at);
        self.zoom.runtime.block_on(self.zoom.sim.as_ref().unwrap().settle());
        self.work_off();
    }

    fn act(&mut self, at: Timestamp) {
        self.clock.reach(at);
        self.playing.act();
        let record = self.world.record(ACCOUNT);
        let waits = record.waits.iter().skip(self.known.0).map(|wait| wait.from.plus(HOST_WAITED_FOR));
        let runs = record.instances.iter().skip(self.known.1);
        let runs = runs.flat_map(|run| FOR_EVER.map(|after| run.started_at.plus(after)));
        self.stops.extend(waits.chain(runs));
        self.known = (record.waits.len(), record.instances.len());
    }

    /// Goes through all moments before this one at which a timer may be due or a delivery is on its way.
    fn stop_at_all_until(&mut self, end: Timestamp) {
        loop {
            let waits = self.world.deliveries_waiting() > 0;
            let step = waits.then(|| self.clock.now().plus(STEP));
            let next = self.stops.first().copied().into_iter().chain(step).min().filter(|next| *next < end);
            let Some(next) = next else { return };
            self.stops.retain(|stop| *stop > next);
            self.to(next);
        }
    }

    /// The service dies while people do what they do at this moment, and is there again a minute later.
    fn killed_during(&mut self, at: Timestamp) -> (Timestamp, Timestamp) {
        self.act(at);
        self.service.kill();
        self.zoom.runtime.block_on(self.zoom.sim.as_ref().unwrap().settle());
        let back = at.plus(DEAD_FOR);
        while let Some(next) = self.next_at().filter(|next| *next < back) {
            self.act(next);
            self.zoom.runtime.block_on(self.zoom.sim.as_ref().unwrap().settle());
        }
        self.clock.reach(back);
        assert!(start(&mut self.service, &self.environment), "{}", self.service.log());
        self.to(back);
        (at, back)
    }

    /// Until nothing is left to plan, and nothing is due or running. What waits for time, as a call does for its turn, gets it.
    fn work_off(&mut self) {
        let mut passed = Stopwatch::start();
        for look in 0_u32.. {
            // What was due when it was looked for may run when that is asked, and the other way round.
            if self.is_at_rest() && !self.is_anything_due() && self.is_at_rest() {
                return;
            }
            assert!(self.service.is_running(), "it died: {}", self.service.log());
            // No faster than it does outside: on a slow machine what is due would be late.
            if look > LOOKS && passed.elapsed() >= TICK {
                self.clock.pass(TICK);
                passed = Stopwatch::start();
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let status = self.service.status().unwrap_or_else(|error| panic!("{error}: {}", self.service.log()));
        ["unplanned", "running"].iter().all(|key| status[*key] == 0)
    }

    /// Timers, and records that wait for an end, are due some time.
    fn is_anything_due(&self) -> bool {
        let due = self.service.admin("GET", "/v1/jobs?state=due&limit=1000").unwrap();
        let at = |job: &Value| Timestamp::parse(job["at"].as_str().unwrap()).unwrap();
        due.as_array().unwrap().iter().any(|job| at(job) <= self.clock.now())
    }

    /// In the evening some switch the waiting room of a meeting off.
    fn evening(&mut self) {
        let meetings = self.world.meetings(ACCOUNT);
        let left = meetings.iter().filter(|meeting| !meeting.deleted && !meeting.started && meeting.kind == 8);
        let off = json!({ "settings": { "waiting_room": false } });
        for meeting in left.filter(|meeting| meeting.settings.get("waiting_room") == Some(&true.into())).take(4) {
            let host = self.world.user(ACCOUNT, &meeting.host_id).unwrap();
            if host.is_active() {
                self.world.update_meeting_as(ACCOUNT, &host.id, meeting.id, &off).unwrap();
                self.switched_off.push((meeting.id, host.email));
            }
        }
    }

    fn night(&mut self) {
        let end = self.clock.now().plus(NIGHT);
        while self.clock.now() < end {
            let hour = self.clock.now().plus(Duration::from_secs(3600)).min(end);
            self.stop_at_all_until(hour);
            self.to(hour);
        }
    }

    fn end(self, kills: Vec<(Timestamp, Timestamp)>) -> Played {
        let Self { world, service, zoom, playing, teachers, switched_off, .. } = self;
        let jobs = jobs(&service);
        // What is sent is sent at least once: what a kill cut off comes again, as it was.
        let lines = |name: &str| -> BTreeSet<String> {
            let text = std::fs::read_to_string(service.folder().join(name)).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        let records = lines("records.jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (truth, attempts, ops) = (playing.truth(), world.attempts(), lines("ops.jsonl"));
        Played { world, truth, attempts, jobs, records, ops, teachers, switched_off, kills, service, _zoom: zoom }
    }
}

fn start(service: &mut Service, environment: &[(String, String)]) -> bool {
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    service.start(&environment)
}

/// All jobs, page by page.
fn jobs(service: &Service) -> Vec<Done> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let page = service.admin("GET", &format!("/v1/jobs?limit=1000{before}")).unwrap();
        let page = page.as_array().unwrap().clone();
        let Some(last) = page.last() else { return all };
        before = format!("&before={}", last["id"].as_str().unwrap());
        let text = |job: &Value, key: &str| job[key].as_str().unwrap_or_default().to_owned();
        all.extend(page.iter().map(|job| Done {
            id: text(job, "id"),
            rule: text(job, "rule"),
            subject: text(job, "subject"),
            state: text(job, "state"),
            at: Timestamp::parse(&text(job, "at")).unwrap(),
            why: text(job, "why"),
        }));
    }
}

/// The presets as they are shipped, with a file for each of those to whom they send; gives the names of the rules.
fn configure(service: &Service, sim: &Sim) -> Vec<String> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/presets/rules");
    let folder = service.folder().join("rules");
    std::fs::create_dir(&folder).unwrap();
    let mut rules = Vec::new();
    for entry in std::fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(folder.join(path.file_name().unwrap()), &text).unwrap();
        let table: toml::Table = text.parse().unwrap();
        rules.extend(table["rule"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_owned()));
    }
    let (public, admin, api_url, oauth_url) = (service.public, service.admin, sim.api_url(), sim.oauth_url());
    let owner = format!("owner@{ACCOUNT}.example");
    let config = format!(
        r#"
[server]
listen = "{public}"
[admin]
listen = "{admin}"
[store]
segment_bytes = 4194304
snapshot_every_bytes = 1048576
disk_reserve_bytes = 0
[zoom]
api_url = "{api_url}"
oauth_url = "{oauth_url}"
[rules]
folder = "rules"
[[app]]
name = "main"
kind = "server-to-server"
client_id = "client-{ACCOUNT}"
client_secret = "client-secret-{ACCOUNT}"
webhook_secrets = ["{SECRET}"]
[[app.account]]
id = "{ACCOUNT}"
plan = "business"
api_users = {API_USERS:?}
acts_as = ["{owner}"]
[[consumer]]
name = "ops"
kind = "file"
path = "ops.jsonl"
[[consumer]]
name = "records"
kind = "file"
path = "records.jsonl"
"#
    );
    std::fs::write(service.folder().join("config.toml"), config).unwrap();
    rules
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (runs, people) =
            (self.truth.instances.len(), self.truth.instances.iter().map(|run| run.stays.len()).sum::<usize>());
        let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
        for job in &self.jobs {
            *by_rule.entry(&job.rule).or_default() += 1;
        }
        let (attempts, kills) = (self.attempts.len(), &self.kills);
        write!(f, "{runs} runs, {people} stays, {attempts} deliveries, killed {kills:?}, jobs {by_rule:?}")
    }
}
