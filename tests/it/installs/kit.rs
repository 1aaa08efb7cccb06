//! A platform with a general app, and schools that install it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adjutant::chance::SeededChance;
use adjutant::clock::{Clock, ManualClock, SystemClock, Timestamp};
use adjutant::sim::{NewAccount, NewApp, NewUser, Plan, Sim, Subscription, World};
use serde_json::Value;

use crate::process::http::{self, Answer};
use crate::process::led::Led;
use crate::process::service::{SECRET, Service};
use crate::process::since_epoch;

pub(crate) const CLIENT: &str = "client-platform";
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Some November: the sweeps of all are seven months away.
const START: Timestamp = Timestamp::from_secs(1_795_176_000);
/// Looks after which time passes where it stands still: something waits for it.
const LOOKS: u32 = 40;
const TICK: Duration = Duration::from_millis(50);

pub(crate) struct Platform {
    _runtime: tokio::runtime::Runtime,
    _sim: Sim,
    pub(crate) world: World,
    pub(crate) service: Service,
    /// Leads the time of Zoom and of the service; none where both have the machine's.
    led: Option<Led>,
}

/// One account, with its admin.
#[derive(Debug, Clone)]
pub(crate) struct School {
    pub(crate) id: String,
    pub(crate) admin: String,
}

pub(crate) fn platform(api_user: &str, install: &str) -> Platform {
    let platform = unstarted(api_user, install);
    platform.started(&[])
}

pub(crate) fn unstarted(api_user: &str, install: &str) -> Platform {
    by_clock(Arc::new(SystemClock), api_user, install)
}

/// Time stands still until it is moved.
pub(crate) fn unstarted_in_still_time(api_user: &str, install: &str) -> Platform {
    let clock = ManualClock::at(START);
    let platform = by_clock(Arc::new(clock.clone()), api_user, install);
    let led = Led::new(clock, platform.service.folder());
    Platform { led: Some(led), ..platform }
}

pub(crate) fn in_still_time(api_user: &str, install: &str) -> Platform {
    unstarted_in_still_time(api_user, install).started(&[])
}

/// Of a configuration: calls to Zoom may take longer than any test does.
pub(crate) fn patient(config: &str) -> String {
    let long = "[worker]\ncall_secs_max = 610\nlease_secs = 1300\n[zoom]\ncall_timeout_secs = 300\n";
    config.replace("[zoom]\n", long)
}

fn by_clock(clock: Arc<dyn Clock>, api_user: &str, install: &str) -> Platform {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(clock, Arc::new(SeededChance::new(1)));
    let sim = runtime.block_on(Sim::start(world.clone())).unwrap();
    let (api, oauth) = (sim.api_url(), sim.oauth_url());
    let service = Service::with(|public, admin| {
        format!(
            r#"
[server]
listen = "{public}"
public_url = "http://{public}"
[admin]
listen = "{admin}"
[store]
segment_bytes = 4194304
snapshot_every_bytes = 1048576
disk_reserve_bytes = 0
[zoom]
api_url = "{api}"
oauth_url = "{oauth}"
[sweep]                     # by themselves once a year
cron = "30 4 1 7 *"
[[app]]
name = "platform"
kind = "general"
client_id = "{CLIENT}"
client_secret = "client-secret-platform"
webhook_secrets = ["{SECRET}"]
api_user = "{api_user}"
install = "{install}"
plan = "business"
[[rule]]
name = "api-user-assists-everyone"
for = "user"
ensure = {{ assistants = ["api-user"] }}
mode = "enforce"
max_changes_per_hour = 1000000
max_changes_percent = 100
"#
        )
    });
    let public = service.public;
    world.add_app(NewApp::named("platform", &format!("http://{public}/oauth/callback"))).unwrap();
    world.subscribe_app(CLIENT, Subscription::to_all(format!("http://{public}/webhooks/platform"), SECRET)).unwrap();
    Platform { _runtime: runtime, _sim: sim, world, service, led: None }
}

impl Platform {
    pub(crate) fn started(mut self, environment: &[(&str, &str)]) -> Self {
        let led = self.led.as_ref().map(Led::environment);
        let led = led.as_ref().map(|(key, value)| (key.as_str(), value.as_str()));
        let environment: Vec<_> = environment.iter().copied().chain(led).collect();
        assert!(self.service.start(&environment), "{}", self.service.log());
        self
    }

    /// With another configuration, before it is started.
    pub(crate) fn configured(self, change: impl FnOnce(&str) -> String) -> Self {
        let path = self.service.folder().join("config.toml");
        let before = std::fs::read_to_string(&path).unwrap();
        let after = change(&before);
        assert_ne!(before, after);
        std::fs::write(&path, after).unwrap();
        self
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.led.as_ref().map_or_else(|| SystemClock.now(), Led::now)
    }

    /// Time passes, where it stands still.
    pub(crate) fn pass(&self, by: Duration) {
        self.led.as_ref().unwrap().pass(by);
    }

    /// Looks until it is so. Where time stands still it passes slowly after some looks.
    pub(crate) fn until(&mut self, mut is_so: impl FnMut(&Self) -> bool) {
        let given_up = since_epoch() + Duration::from_secs(240);
        for look in 0_u32.. {
            if is_so(self) {
                return;
            }
            assert!(self.service.is_running(), "it died: {}", self.service.log());
            assert!(since_epoch() < given_up, "it never comes to it: {}", self.service.log());
            match &self.led {
                Some(led) if look > LOOKS => led.pass(TICK),
                _ => std::thread::yield_now(),
            }
        }
    }

    /// Until nothing is left to plan, and nothing is due or running.
    pub(crate) fn until_idle(&mut self) {
        self.until(|platform| {
            let status = platform.service.status().unwrap();
            ["unplanned", "due", "running"].iter().all(|key| status[*key] == 0)
        });
    }

    /// `SIGKILL`, or nothing where it died already.
    pub(crate) fn killed(mut self) -> Self {
        self.service.kill();
        self
    }

    /// The account is served by a server-to-server app of its own as well.
    pub(crate) fn add_own(&self, school: &School, app: &str) -> String {
        let folder = self.service.folder();
        std::fs::write(folder.join("own-client"), format!("client-secret-{}\n", school.id)).unwrap();
        std::fs::write(folder.join("own-webhook"), format!("webhook-secret-of-{app}\n")).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        let (client, webhook) = (file("own-client"), file("own-webhook"));
        let id = format!("client-{}", school.id);
        let words = [
            "accounts",
            "add",
            &school.id,
            "--app",
            app,
            "--client-id",
            &id,
            "--client-secret-file",
            &client,
            "--webhook-secrets-file",
            &webhook,
            "--plan",
            "business",
            "--api-user",
            &school.admin,
        ];
        self.told(&words, 0)
    }

    /// An account with an admin, who is licensed, and so many licensed teachers.
    pub(crate) fn school(&self, id: &str, teachers: usize) -> School {
        self.world.add_account(NewAccount { plan: Plan::Business, ..NewAccount::named(id) }).unwrap();
        for n in 0..teachers {
            self.world.add_user(id, NewUser::licensed(&format!("teacher-{n}@{id}.example"))).unwrap();
        }
        School { id: id.to_owned(), admin: format!("owner@{id}.example") }
    }

    pub(crate) fn told(&self, words: &[&str], code: i32) -> String {
        let (ended, out, err) = self.service.command(words);
        assert_eq!(ended, code, "{words:?}: {out}{err}{}", self.service.log());
        out + &err
    }

    /// Sweeps the account and waits until what was found is done. One that runs already is waited for.
    pub(crate) fn sweep(&mut self, school: &School) {
        loop {
            let (ended, out, err) = self.service.command(&["sweep", "--account", &school.id]);
            if ended == 0 {
                break;
            }
            assert!(
                err.contains("is being swept") || err.contains("is asked for already"),
                "{out}{err}{}",
                self.service.log()
            );
            std::thread::yield_now();
        }
        self.service.wait_until_idle();
    }

    /// The link of a new invite.
    pub(crate) fn invite(&self, label: &str) -> String {
        let invited = self.told(&["accounts", "invite", "--label", label, "--json"], 0);
        let invited: Value = serde_json::from_str(&invited).unwrap();
        invited["link"].as_str().unwrap().to_owned()
    }

    /// Goes the whole way with a new browser; gives the address of the page at its end.
    pub(crate) fn install(&self, school: &School, link: &str) -> (Browser, String) {
        let mut browser = Browser::default();
        let done = browser.install(self, school, link);
        (browser, done)
    }

    pub(crate) fn accounts(&self) -> Vec<Value> {
        self.service.admin("GET", "/v1/accounts").unwrap().as_array().unwrap().clone()
    }

    pub(crate) fn account(&self, school: &School) -> Value {
        self.service.admin("GET", &format!("/v1/accounts/{}", school.id)).unwrap()
    }

    /// Waits until the account stands so.
    pub(crate) fn until_stands(&mut self, school: &School, standing: &str) {
        self.until(|platform| platform.account(school)["standing"] == standing);
    }

    /// The ids of those for whom the school's admin can schedule.
    pub(crate) fn granted(&self, school: &School) -> Vec<String> {
        let admin = self.world.user(&school.id, &school.admin).unwrap().id;
        let users = self.world.users(&school.id).into_iter();
        let mut granted: Vec<String> = users.filter(|user| user.has_assistant(&admin)).map(|user| user.id).collect();
        granted.sort();
        granted
    }

    /// Zoom makes a licensed teacher and tells of it; waits until what follows is done. Their id.
    pub(crate) fn created(&mut self, school: &School, email: &str) -> String {
        let before = self.accepted();
        let id = self.world.create_user(&school.id, NewUser::licensed(email)).unwrap();
        self.until(|platform| platform.accepted() != before);
        self.until_idle();
        id
    }

    fn accepted(&self) -> u64 {
        self.service.admin("GET", "/v1/status").unwrap()["accepted"].as_u64().unwrap()
    }
}

/// Keeps cookies, and follows nothing by itself.
#[derive(Debug, Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A page of the public listener, by its address or its path.
    pub(crate) fn get(&mut self, platform: &Platform, url: &str) -> Answer {
        let base = format!("http://{}", platform.service.public);
        let path = url.strip_prefix(&base).unwrap_or(url);
        assert!(path.starts_with('/'), "the browser was sent elsewhere: {url}");
        let answer = http::request(platform.service.public, "GET", path, &[("cookie", &self.kept())], b"").unwrap();
        self.keep(&answer);
        answer
    }

    /// Goes to the form at this link, and says who the API user is.
    pub(crate) fn choose(&mut self, platform: &Platform, link: &str, api_user: &str) -> Answer {
        let page = self.get(platform, link);
        let token = token_in(&page.body);
        self.send(platform, link, &format!("token={token}&api_user={}", api_user.replace('@', "%40")))
    }

    /// Sends a form to the path.
    pub(crate) fn send(&mut self, platform: &Platform, path: &str, form: &str) -> Answer {
        let path = path.split('?').next().unwrap();
        let headers = [("cookie", self.kept()), ("content-type", "application/x-www-form-urlencoded".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = http::request(platform.service.public, "POST", path, &headers, form.as_bytes()).unwrap();
        self.keep(&answer);
        answer
    }

    fn kept(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        if let Some(set) = answer.header("set-cookie") {
            let (name, rest) = set.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// None where no answer came.
    pub(crate) fn try_get(&mut self, platform: &Platform, url: &str) -> Option<Answer> {
        let path = url.strip_prefix(&format!("http://{}", platform.service.public)).unwrap_or(url);
        http::request(platform.service.public, "GET", path, &[("cookie", &self.kept())], b"").ok()
    }

    /// The same, with a cookie that somebody changed.
    pub(crate) fn altered(&self) -> Self {
        let alter = |value: &String| value.replacen(|c: char| c.is_ascii_lowercase(), "A", 1);
        Self { cookies: self.cookies.iter().map(|(name, value)| (name.clone(), alter(value))).collect() }
    }

    /// From a link to the page at the end.
    pub(crate) fn install(&mut self, platform: &Platform, school: &School, link: &str) -> String {
        let answer = self.get(platform, link);
        self.go_on(platform, school, &answer)
    }

    /// From where it is sent to Zoom to the page at the end.
    pub(crate) fn go_on(&mut self, platform: &Platform, school: &School, answer: &Answer) -> String {
        assert_eq!(answer.status, 303, "{}", answer.body);
        let back = platform.world.allow(answer.header("location").unwrap(), &school.admin).unwrap();
        let answer = self.get(platform, &back);
        assert_eq!(answer.status, 303, "{}{}", answer.body, platform.service.log());
        answer.header("location").unwrap().to_owned()
    }

    /// Looks again for as long as the page asks for it: what it says before may be half of it.
    pub(crate) fn until_the_end(&mut self, platform: &Platform, url: &str) -> String {
        loop {
            let page = self.get(platform, url).body;
            if !page.contains("http-equiv=\"refresh\"") {
                return page;
            }
            std::thread::yield_now();
        }
    }
}

/// The token of the form on a page.
pub(crate) fn token_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap().to_owned()
}
