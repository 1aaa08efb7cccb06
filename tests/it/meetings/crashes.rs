//! The process is killed at every step of making and moving a meeting: there is one meeting, hosted as asked, and nothing stays
//! lent.

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use serde_json::{Value, json};

use super::kit::{LENDING, email, school};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};
use crate::process::{long, say, seed};

/// What each of the five kinds comes to.
const PLACES: [&[&str]; 5] = [SCHEDULING, MOVING, LENDING_IT, SCHEDULING, RECREATING];
const SCHEDULING: &[&str] = &[
    "errand-kept:1",
    "attempt-started:1",
    "intent-recorded:1",
    "meeting-tried:1",
    "zoom-changed:1",
    "meeting-made:1",
    "job-settled:1",
];
const MOVING: &[&str] = &[
    "errand-kept:1",
    "attempt-started:1",
    "intent-recorded:1",
    "move-tried:1",
    "zoom-changed:1",
    "move-decided:1",
    "job-settled:1",
];
const LENDING_IT: &[&str] = &[
    "intent-recorded:1",
    "intent-recorded:2",
    "intent-recorded:3",
    "lend-kept:1",
    "zoom-changed:1",
    "lent:1",
    "move-tried:1",
    "zoom-changed:2",
    "move-decided:1",
    "zoom-changed:3",
    "taken-back:1",
    "job-settled:1",
];
const RECREATING: &[&str] = &[
    "intent-recorded:1",
    "intent-recorded:2",
    "meeting-tried:1",
    "zoom-changed:1",
    "meeting-made:1",
    "old-meeting-to-delete:1",
    "zoom-changed:2",
    "move-decided:1",
    "job-settled:1",
];

/// One thing that is asked for.
struct Asked {
    path: String,
    body: Value,
    first: String,
    new: String,
    topic: String,
    is_assisted: bool,
}

impl Asked {
    /// Five kinds, in turn.
    fn new(served: &Served, round: usize) -> Self {
        let (first, new, topic) = (format!("first-{round}"), format!("new-{round}"), format!("Lesson {round}"));
        for name in [&first, &new] {
            served.world.add_user(ACCOUNT, NewUser::licensed(&email(name))).unwrap();
        }
        let kind = round % PLACES.len();
        let is_assisted = kind < 2;
        if is_assisted {
            for name in [&first, &new] {
                served.world.grant(ACCOUNT, &email(name), API_USER).unwrap();
            }
        }
        let fields = json!({ "topic": topic, "start_time": "2037-01-01T09:00:00Z" });
        let key = format!("k-{round}");
        let (path, body) = match kind {
            0 | 3 => {
                let through = if kind == 0 { "movable" } else { "own" };
                ("meetings".to_owned(), json!({ "for": email(&new), "path": through, "meeting": fields, "key": key }))
            }
            kind => {
                let maker = if kind == 1 { API_USER.to_owned() } else { email(&first) };
                let mut own = fields;
                if kind == 1 {
                    own["schedule_for"] = json!(email(&first));
                }
                let id = served.world.create_meeting(ACCOUNT, &maker, &own).unwrap();
                let how = if kind == 2 { "lend" } else { "recreate" };
                (format!("meetings/{id}/move"), json!({ "to": email(&new), how: true, "key": key }))
            }
        };
        Self { path, body, first, new, topic, is_assisted }
    }

    fn send(&self, served: &Served) -> Option<String> {
        let path = format!("/v1/accounts/{ACCOUNT}/{}", self.path);
        let (_, told) = served.service.send("POST", &path, self.body.to_string().as_bytes()).ok()?;
        told["id"].as_str().map(str::to_owned)
    }

    /// As asked, once, and with the privileges of before.
    fn holds(&self, served: &Served, told: &Value) {
        assert_eq!(told["state"], "done", "{told}");
        let live = |meeting: &adjutant::sim::Meeting| meeting.topic == self.topic && !meeting.deleted;
        let meetings: Vec<_> = served.world.meetings(ACCOUNT).into_iter().filter(live).collect();
        assert_eq!(meetings.len(), 1, "{told}: {meetings:?}");
        assert_eq!(meetings[0].host_id, served.id(&email(&self.new)), "{told}");
        for name in [&self.first, &self.new] {
            let there = served.world.assistants(ACCOUNT, &email(name));
            let expected = if self.is_assisted { vec![API_USER.to_owned()] } else { Vec::new() };
            assert_eq!(there, expected, "{told}");
        }
    }
}

fn state(served: &Served, id: &str, wait: &str) -> Option<Value> {
    served.service.admin("GET", &format!("/v1/errands/{id}?wait={wait}")).ok()
}

/// Rounds at one school: its API user has 100 creates and changes a day, and what is beyond waits for the next.
const AT_ONE: usize = 25;

#[test]
fn wherever_the_process_is_killed_a_meeting_is_made_or_moved_once_and_nothing_stays_lent() {
    let seed = seed();
    let chance = SeededChance::new(seed);
    let rounds = if long() { 500 } else { AT_ONE };
    let mut served = school(LENDING, &[], &[]);
    let mut deaths = 0_usize;
    for round in 0..rounds {
        if round > 0 && round % AT_ONE == 0 {
            served = school(LENDING, &[], &[]);
        }
        let pick = |of: usize| usize::try_from(chance.next_u64() % of as u64).unwrap();
        let places = PLACES[round % PLACES.len()];
        let place = places[pick(places.len())];
        say(&format!("seed {seed}, round {round}: {place}"));
        let asked = Asked::new(&served, round);
        served.service.kill();
        assert!(served.service.start(&[("ADJUTANT_BREAK_AT", place)]), "{place}: {}", served.service.log());
        if pick(4) == 0 {
            // Zoom does it, and the answer is lost.
            let target = Target::api(["POST", "PATCH", "DELETE"][pick(3)], "meetings");
            served.world.fault(Fault { target, times: 1, kind: FaultKind::DropAfter });
        }
        let mut id = asked.send(&served);
        while served.service.is_running() {
            let Some(known) = &id else {
                id = asked.send(&served);
                continue;
            };
            let ended = state(&served, known, "1s").filter(|told| told["state"] == "done");
            if ended.is_some() {
                break;
            }
        }
        deaths += usize::from(!served.service.is_running());
        served.service.kill();
        served.world.clear_faults();
        assert!(served.service.start(&[]), "{place}: {}", served.service.log());
        let id = asked.send(&served).unwrap();
        let told = loop {
            let told = state(&served, &id, "60s").unwrap();
            if !["working", "waiting"].contains(&told["state"].as_str().unwrap()) {
                break told;
            }
        };
        asked.holds(&served, &told);
    }
    say(&format!("{deaths} deaths in {rounds} rounds"));
    assert!(deaths > rounds / 2, "it was killed {deaths} times only");
}
