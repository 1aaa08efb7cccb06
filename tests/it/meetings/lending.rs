//! What is lent while others grant, move, kill and let go: it is taken back once, by whoever needs it last, and what somebody
//! granted for good stays.

use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use serde_json::{Value, json};

use super::kit::{LENDING, email, school};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};

const EVENTS: &str = r#"
[[rule]]
name = "first-assists-who-is-changed"
on = ["user.updated"]
ensure = { assistants = ["first@school.example"] }
mode = "enforce"
"#;

/// From now on Zoom fails whoever changes a meeting, so that moves hold what is lent to them.
fn hold(served: &Served) {
    let kind = FaultKind::Error { status: 503, body: "{}".to_owned() };
    served.world.fault(Fault { target: Target::api("PATCH", "/meetings/"), times: u32::MAX, kind });
}

impl Served {
    fn lends(&self, meeting: u64, to: &str) -> String {
        let body = json!({ "to": email(to), "lend": true, "key": format!("move {meeting}") });
        let (status, told) = self.sent("POST", &format!("meetings/{meeting}/move"), &body);
        assert!(status < 300, "{told}");
        told["id"].as_str().unwrap().to_owned()
    }

    fn until_tried(&self, meetings: &[u64]) {
        let is_tried = |id: &u64| self.world.count_calls("PATCH", &format!("/meetings/{id}")) > 0;
        while !meetings.iter().all(is_tried) {
            assert!(self.world.calls_total() < 100_000, "{}", self.service.log());
            std::thread::yield_now();
        }
    }

    fn until_done(&self, id: &str) -> Value {
        loop {
            let told = self.service.admin("GET", &format!("/v1/errands/{id}?wait=60s")).unwrap();
            if !["working", "waiting"].contains(&told["state"].as_str().unwrap()) {
                assert_eq!(told["state"], "done", "{told}");
                return told;
            }
        }
    }

    fn own(&self, host: &str) -> u64 {
        self.world.create_meeting(ACCOUNT, &email(host), &json!({ "topic": "Own" })).unwrap()
    }

    fn assisting(&self, user: &str) -> Vec<String> {
        let mut all = self.world.assistants(ACCOUNT, &email(user));
        all.sort();
        all
    }
}

#[test]
fn what_somebody_grants_for_good_while_it_is_lent_stays_and_what_is_lent_after_that_does_not() {
    let served = school(LENDING, &["first", "new"], &["new"]);
    let id = served.own("first");
    hold(&served);
    let errand = served.lends(id, "new");
    served.until_tried(&[id]);
    let both = [API_USER.to_owned(), email("first")];
    assert_eq!(served.assisting("new"), both, "it is lent");
    let added = served.told(&["assistants", "add", "--user", &email("new"), &email("first")], 0);
    assert!(added.contains("already"), "{added}");
    served.world.clear_faults();
    let told = served.until_done(&errand);
    assert!(told["notes"].to_string().contains("and stays: "), "{told}");
    assert_eq!(served.assisting("new"), both, "it was granted for good");
    let log = served.told(&["audit", "tail", "--lines", "1000", "--json"], 0);
    assert!(log.contains("to whom it was lent, stays assistant, told by"), "{log}");
    served.told(&["assistants", "remove", "--user", &email("new"), &email("first"), "--yes"], 0);
    let told = served.until_done(&served.lends(served.own("first"), "new"));
    assert!(told["notes"].to_string().contains("and taken back"), "{told}");
    assert_eq!(served.assisting("new"), [API_USER]);
}

#[test]
fn what_is_granted_for_good_and_removed_again_while_it_is_lent_is_taken_back_after() {
    let served = school(LENDING, &["first", "new"], &[]);
    for removed in [["assistants", "remove", "new", "first"], ["schedulers", "remove", "first", "new"]] {
        let id = served.own("first");
        hold(&served);
        let errand = served.lends(id, "new");
        served.until_tried(&[id]);
        let added = served.told(&["assistants", "add", "--user", &email("new"), &email("first")], 0);
        assert!(added.contains("already"), "{added}");
        let [list, verb, user, who] = removed;
        served.told(&[list, verb, "--user", &email(user), &email(who), "--yes"], 0);
        served.world.clear_faults();
        let told = served.until_done(&errand);
        assert!(told["notes"].to_string().contains("and taken back"), "{removed:?}: {told}");
        assert_eq!((served.assisting("new"), served.host(id).as_str()), (Vec::new(), "new"));
    }
}

#[test]
fn where_nothing_is_left_of_the_day_nothing_is_lent() {
    let served = school(LENDING, &["first", "new"], &[]);
    let message = "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this \
                   particular user. You may resume these requests at GMT 00:00:00.";
    let body = json!({ "code": 429, "message": message }).to_string();
    let kind = FaultKind::Error { status: 429, body };
    served.world.fault(Fault { target: Target::api("PATCH", "/meetings/"), times: 1, kind });
    let granted = || served.world.count_calls("POST", "/assistants");
    let before = granted();
    for _ in 0..3 {
        let path = format!("meetings/{}/move?wait=60s&no_wait=true", served.own("first"));
        let (status, told) = served.sent("POST", &path, &json!({ "to": email("new"), "lend": true }));
        assert_eq!((status, &told["code"]), (429, &json!("budget-used-up")), "{told}");
        assert_eq!((granted() - before, served.assisting("new")), (1, Vec::new()), "once: {told}");
    }
}

#[test]
fn what_a_rule_of_the_account_grants_is_lent_and_stays() {
    let served = school(LENDING, &["first", "new"], &["first"]);
    let pool = served.world.create_meeting(ACCOUNT, API_USER, &json!({ "schedule_for": email("first") })).unwrap();
    let told = served.until_done(&served.lends(pool, "new"));
    assert!(told["notes"].to_string().contains("stays: rule api-user-assists-everyone grants it"), "{told}");
    assert_eq!((served.assisting("new"), served.host(pool).as_str()), (vec![API_USER.to_owned()], "new"));
}

#[test]
fn what_an_event_has_a_rule_grant_while_it_is_lent_stays() {
    let served = school(LENDING, &["first", "new"], &["new"]);
    let may = "may_grant = [\"first@school.example\"]\napi_users = [";
    served.reload(|config| config.replace("api_users = [", may) + EVENTS);
    let id = served.own("first");
    hold(&served);
    let errand = served.lends(id, "new");
    served.until_tried(&[id]);
    let user = json!({ "id": served.id(&email("new")), "email": email("new"), "dept": "x" });
    let event = json!({ "event": "user.updated", "event_ts": 1, "payload": { "account_id": ACCOUNT, "object": user,
        "old_object": { "id": user["id"], "dept": "y" } } });
    assert_eq!(served.service.deliver(&event.to_string()).unwrap(), 200);
    let is_done = |job: &Value| job["rule"] == "first-assists-who-is-changed" && job["state"] == "done";
    while !served.service.admin("GET", "/v1/jobs").unwrap().as_array().unwrap().iter().any(is_done) {
        std::thread::yield_now();
    }
    served.world.clear_faults();
    let told = served.until_done(&errand);
    assert!(told["notes"].to_string().contains("rule first-assists-who-is-changed granted it for good"), "{told}");
    assert_eq!(served.assisting("new"), [API_USER.to_owned(), email("first")]);
}

#[test]
fn of_many_moves_at_once_each_pair_is_granted_once_and_taken_back_once_by_the_last() {
    let served = school(LENDING, &["first", "second", "new", "heir"], &[]);
    let before = served.world.count_calls("POST", "/assistants");
    let wanted = [("first", "new", 5), ("second", "new", 3), ("first", "heir", 3)];
    hold(&served);
    let moves = wanted.iter().flat_map(|(host, to, count)| (0..*count).map(|_| (served.own(host), *to)));
    let moves: Vec<(u64, &str)> = moves.collect();
    let errands: Vec<String> = std::thread::scope(|scope| {
        let asked: Vec<_> = moves.iter().map(|(id, to)| scope.spawn(|| served.lends(*id, to))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    served.until_tried(&moves.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let writes = || {
        let [granted, taken] = ["POST", "DELETE"].map(|method| served.world.count_calls(method, "/assistants"));
        (granted - before, taken)
    };
    assert_eq!(writes(), (3, 0), "each pair once");
    assert_eq!(served.assisting("new"), [email("first"), email("second")]);
    served.world.clear_faults();
    for ((id, to), errand) in moves.iter().zip(&errands) {
        let told = served.until_done(errand);
        assert_eq!(served.host(*id), *to, "{told}");
    }
    assert_eq!(writes(), (3, 3));
    assert_eq!((served.assisting("new"), served.assisting("heir")), (Vec::new(), Vec::new()));
}

#[test]
fn wherever_the_process_is_killed_among_moves_that_share_what_is_lent_nothing_stays_lent() {
    let mut served = school(LENDING, &["first", "second"], &[]);
    for (round, place) in
        ["lend-kept:2", "lent:1", "move-tried:3", "zoom-changed:2", "move-decided:1", "move-decided:3", "taken-back:1"]
            .into_iter()
            .enumerate()
    {
        let new = format!("new-{round}");
        served.world.add_user(ACCOUNT, NewUser::licensed(&email(&new))).unwrap();
        let meetings: Vec<u64> = ["first", "first", "first", "second"].map(|host| served.own(host)).into();
        if place.starts_with("move-decided") || place.starts_with("taken") {
            // All of them hold it when the first is moved.
            hold(&served);
            for id in &meetings {
                served.lends(*id, &new);
            }
            served.until_tried(&meetings);
        }
        served.service.kill();
        served.world.clear_faults();
        assert!(served.service.start(&[("ADJUTANT_BREAK_AT", place)]), "{place}: {}", served.service.log());
        let ask = |served: &Served, id: u64| {
            let body = json!({ "to": email(&new), "lend": true, "key": format!("move {id}") });
            let path = format!("/v1/accounts/{ACCOUNT}/meetings/{id}/move");
            served.service.send("POST", &path, body.to_string().as_bytes()).ok()
        };
        for id in &meetings {
            ask(&served, *id);
        }
        while served.service.is_running() {
            std::thread::yield_now();
        }
        served.service.kill();
        assert!(served.service.start(&[]), "{place}: {}", served.service.log());
        for id in meetings {
            let (_, told) = ask(&served, id).unwrap();
            served.until_done(told["id"].as_str().unwrap());
            assert_eq!(served.host(id), new, "{place}");
        }
        assert_eq!(served.assisting(&new), Vec::<String>::new(), "{place}");
    }
}
