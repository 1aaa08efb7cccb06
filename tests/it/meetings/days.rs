//! Over days, on a clock that the test moves: budgets that begin anew, and a privilege that stays lent for too long.

use std::sync::Arc;
use std::time::Duration;

use adjutant::chance::SeededChance;
use adjutant::clock::{ManualClock, Timestamp};
use adjutant::sim::{Fault, FaultKind, NewAccount, NewUser, Plan, Sim, Target, World};
use serde_json::{Value, json};

use super::kit::{LENDING, email};
use crate::process::led::Led;
use crate::process::service::{ACCOUNT, API_USER, Service};

/// Ten in the morning, UTC.
const MORNING: Timestamp = Timestamp::from_secs(1_790_071_200);
const TICK: Duration = Duration::from_millis(50);
const STEP: Duration = Duration::from_millis(500);

pub(super) struct School {
    _runtime: tokio::runtime::Runtime,
    _sim: Sim,
    pub(super) world: World,
    pub(super) service: Service,
    pub(super) clock: Led,
}

impl School {
    pub(super) fn new(more: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock = ManualClock::at(MORNING);
        let world = World::new(Arc::new(clock.clone()), Arc::new(SeededChance::new(1)));
        world.add_account(NewAccount { plan: Plan::Business, ..NewAccount::named(ACCOUNT) }).unwrap();
        for user in [API_USER, &email("first"), &email("new")] {
            world.add_user(ACCOUNT, NewUser::licensed(user)).unwrap();
        }
        let sim = runtime.block_on(Sim::start(world.clone())).unwrap();
        let mut service = Service::new(&sim.api_url(), &sim.oauth_url());
        let path = service.folder().join("config.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{config}[sweep]\ncron = \"0 0 1 1 *\"\njitter_secs = 0\n{more}")).unwrap();
        let clock = Led::new(clock, service.folder());
        let (name, file) = clock.environment();
        assert!(service.start(&[(name.as_str(), file.as_str())]), "{}", service.log());
        let mut school = Self { _runtime: runtime, _sim: sim, world, service, clock };
        school.until(|school| !school.service.admin("GET", "/v1/sweeps").unwrap()[0]["whole_at"].is_null());
        school.until(|school| {
            let status = school.service.status().unwrap();
            ["due", "running"].iter().all(|key| status[*key] == 0)
        });
        school
    }

    /// Time passes in small steps until it is so: calls wait for their turn.
    pub(super) fn until(&mut self, is_it: impl Fn(&Self) -> bool) {
        while !is_it(self) {
            assert!(self.service.is_running(), "it died: {}", self.service.log());
            self.clock.pass(TICK);
        }
    }

    /// So much time passes, slowly enough that calls that are on their way are answered before they are given up.
    pub(super) fn walk(&self, by: Duration) {
        let end = self.clock.now().plus(by);
        while self.clock.now() < end {
            self.service.status().unwrap();
            self.clock.pass(STEP);
        }
    }

    pub(super) fn sent(&self, path: &str, body: &Value) -> Value {
        let path = format!("/v1/accounts/{ACCOUNT}/{path}");
        self.service.send("POST", &path, body.to_string().as_bytes()).unwrap().1
    }

    pub(super) fn errand(&self, id: &Value) -> Value {
        self.service.admin("GET", &format!("/v1/errands/{}", id.as_str().unwrap())).unwrap()
    }

    /// How many errands are in this state.
    fn count(&self, state: &str) -> usize {
        let all = self.service.admin("GET", "/v1/errands?limit=1000").unwrap();
        all.as_array().unwrap().iter().filter(|one| one["state"] == state).count()
    }
}

#[test]
fn with_one_api_user_three_hundred_meetings_take_three_utc_days_and_none_is_lost_or_doubled() {
    let mut school = School::new("");
    for n in 0..300 {
        let meeting = json!({ "topic": format!("Lesson {n}"), "start_time": "2037-01-01T09:00:00Z" });
        let asked = school.sent("meetings", &json!({ "for": email("first"), "meeting": meeting }));
        assert!(asked["id"].is_string(), "{asked}");
    }
    for day in 1..=3_usize {
        school.until(|school| school.count("done") == 100 * day && school.count("working") == 0);
        assert_eq!(school.count("waiting"), 300 - 100 * day);
        assert_eq!(school.world.meetings(ACCOUNT).len(), 100 * day, "Zoom has so many");
        school.clock.reach(school.clock.now().next_utc_midnight());
    }
    let mut topics: Vec<String> = school.world.meetings(ACCOUNT).into_iter().map(|meeting| meeting.topic).collect();
    topics.sort();
    topics.dedup();
    assert_eq!(topics.len(), 300, "each is there once");
    assert!(school.world.calls().iter().all(|call| call.status != Some(429)), "Zoom refused none");
}

#[test]
fn whose_privilege_counted_is_known_after_a_week_too_where_zoom_names_that_user_nowhere() {
    let mut school = School::new("");
    school.world.set_quirks(ACCOUNT, |quirks| quirks.moved_names_path_user = false).unwrap();
    school.world.add_user(ACCOUNT, NewUser::licensed(&email("last"))).unwrap();
    for host in ["new", "last"] {
        school.world.grant(ACCOUNT, &email(host), &email("first")).unwrap();
    }
    let id = school.world.create_meeting(ACCOUNT, &email("first"), &json!({ "topic": "Algebra" })).unwrap();
    let path = format!("meetings/{id}/move");
    for to in ["new", "last"] {
        let body = json!({ "to": email(to) });
        let said = school.sent(&format!("{path}?check=true"), &body);
        assert_eq!((&said["can_move"], &said["how"]), (&json!(true), &json!("direct")), "{said}");
        let asked = school.sent(&path, &body);
        school
            .until(|school| !["working", "waiting"].contains(&school.errand(&asked["id"])["state"].as_str().unwrap()));
        assert_eq!(school.errand(&asked["id"])["state"], "done", "{}", school.errand(&asked["id"]));
        let host = school.world.user(ACCOUNT, &email(to)).unwrap().id;
        let meeting = school.world.meeting(ACCOUNT, id).unwrap();
        assert_eq!((meeting.host_id, meeting.assistant_id), (host, None));
        // What has ended is looked through at a start.
        school.service.kill();
        school.clock.pass(Duration::from_secs(8 * 86_400));
        let (name, file) = school.clock.environment();
        assert!(school.service.start(&[(name.as_str(), file.as_str())]), "{}", school.service.log());
        school.until(|school| school.count("done") == 0);
    }
}

#[test]
fn what_zoom_refuses_to_take_back_is_told_as_lent_too_long_and_taken_back_as_soon_as_it_can_be() {
    let mut school = School::new(LENDING);
    let id = school.world.create_meeting(ACCOUNT, &email("first"), &json!({ "topic": "Algebra" })).unwrap();
    let fault = Fault {
        target: Target::api("DELETE", "assistants"),
        times: u32::MAX,
        kind: FaultKind::Error { status: 503, body: "{}".to_owned() },
    };
    school.world.fault(fault);
    let before = school.world.assistants(ACCOUNT, &email("new"));
    let asked = school.sent(&format!("meetings/{id}/move"), &json!({ "to": email("new"), "lend": true }));
    let alarms = |school: &School| school.service.admin("GET", "/v1/attention").unwrap()["alarms"].to_string();
    school.until(|school| school.errand(&asked["id"])["state"] == "waiting");
    assert_ne!(
        school.world.meeting(ACCOUNT, id).unwrap().host_id,
        school.world.user(ACCOUNT, &email("first")).unwrap().id
    );
    assert_ne!(school.world.assistants(ACCOUNT, &email("new")), before, "it is lent");
    assert!(!alarms(&school).contains("lent-too-long"));
    school.clock.pass(Duration::from_secs(301));
    assert!(alarms(&school).contains("lent-too-long"), "{}", alarms(&school));
    school.world.clear_faults();
    school.walk(Duration::from_secs(61));
    school.until(|school| school.errand(&asked["id"])["state"] != "waiting");
    assert_eq!(school.errand(&asked["id"])["state"], "done");
    assert_eq!(school.world.assistants(ACCOUNT, &email("new")), before, "as before");
    assert!(!alarms(&school).contains("lent-too-long"));
}

#[test]
fn a_lost_host_is_looked_at_again_each_hour_at_first_so_that_what_zoom_did_not_tell_ends_it() {
    let mut school = School::new("");
    let host = email("first");
    let fields = json!({ "topic": "Algebra", "start_time": "2026-11-01T09:00:00Z" });
    let id = school.world.create_meeting(ACCOUNT, &host, &fields).unwrap();
    school.world.deactivate(ACCOUNT, &host).unwrap();
    let user = school.world.user(ACCOUNT, &host).unwrap().id;
    let secs = school.clock.now().as_millis() / 1000;
    let event = super::lost::event("user.deactivated", (&user, &host), Some(2));
    assert_eq!(school.service.deliver_at(secs, &event).unwrap(), 200);
    let alarms = |school: &School| school.service.admin("GET", "/v1/attention").unwrap()["alarms"].to_string();
    school.until(|school| alarms(school).contains("lost-host"));
    school.world.delete_meeting(ACCOUNT, id).unwrap();
    // Of this host alone: the first sweep, which may still go on, lists those of everybody who is active.
    school.service.wait_until_idle();
    let lists = |school: &School| school.world.count_calls("GET", &format!("/users/{user}/meetings"));
    let before = lists(&school);
    for _ in 0..50 {
        school.clock.pass(Duration::from_secs(61));
    }
    assert_eq!(lists(&school), before, "not within the hour");
    assert!(alarms(&school).contains("lost-host"));
    school.clock.pass(Duration::from_secs(900));
    school.until(|school| !alarms(school).contains("lost-host"));
}
