//! What is done in place of a move: where Zoom says no, and not where nothing is to be done.

use adjutant::sim::{Fault, FaultKind, Target};
use serde_json::{Value, json};

use super::kit::{email, school};
use crate::process::served::Served;
use crate::process::service::ACCOUNT;

/// What no check foresees, for both kinds of a refusal.
const REFUSED: [&str; 2] = ["You cannot schedule a meeting for somebody", "This is a pre-schedule meeting."];

impl Served {
    /// A meeting that can be moved from the one to the other, as far as anybody knows; Zoom refuses it once.
    fn refused_once(&self, message: &str) -> u64 {
        let id = self.world.create_meeting(ACCOUNT, &email("first"), &json!({ "topic": "Algebra" })).unwrap();
        let body = json!({ "code": 3000, "message": message }).to_string();
        let target = Target::api("PATCH", format!("/meetings/{id}"));
        self.world.fault(Fault { target, times: 1, kind: FaultKind::Error { status: 400, body } });
        assert_eq!(self.check(id, "new")["how"], "direct");
        id
    }

    fn alternatives(&self, meeting: u64) -> Value {
        let meeting = self.world.meeting(ACCOUNT, meeting).unwrap();
        meeting.settings.get("alternative_hosts").cloned().unwrap_or_default()
    }
}

fn two() -> Served {
    let served = school("", &["first", "new"], &[]);
    served.world.grant(ACCOUNT, &email("new"), &email("first")).unwrap();
    served
}

#[test]
fn whoever_hosts_a_meeting_already_keeps_it_whatever_they_lack_and_whatever_is_asked_for() {
    let served = two();
    let id = served.world.create_meeting(ACCOUNT, &email("first"), &json!({ "topic": "Algebra" })).unwrap();
    served.world.set_licence(ACCOUNT, &email("first"), 1).unwrap();
    let made = served.world.meetings(ACCOUNT).len();
    assert_eq!(served.check(id, "first")["can_move"], true);
    let told = served.give(id, "first", &json!({ "recreate": true, "alternative": true }));
    assert_eq!((&told["state"], &told["meeting"]), (&json!("done"), &json!(id)), "{told}");
    assert!(told["notes"].to_string().contains("hosts it already"), "{told}");
    assert_eq!((served.host(id).as_str(), served.world.meetings(ACCOUNT).len()), ("first", made));
    assert_eq!(served.world.count_calls("DELETE", "/meetings/"), 0);
}

#[test]
fn what_was_asked_for_where_it_cannot_be_moved_is_done_where_zoom_alone_says_no() {
    let served = two();
    for message in REFUSED {
        let id = served.refused_once(message);
        let told = served.give(id, "new", &json!({ "alternative": true }));
        assert_eq!((&told["state"], served.host(id).as_str()), (&json!("done"), "first"), "{told}");
        assert_eq!(served.alternatives(id), json!(email("new")));
        assert!(told["notes"].to_string().contains(message), "{told}");
        let id = served.refused_once(message);
        let told = served.give(id, "new", &json!({ "recreate": true }));
        let new = told["meeting"].as_u64().unwrap_or_else(|| panic!("{told}"));
        assert_eq!((&told["state"], served.host(new).as_str()), (&json!("done"), "new"), "{told}");
        assert_ne!(new, id);
        let id = served.refused_once(message);
        let told = served.give(id, "new", &json!({}));
        assert_eq!((&told["state"], served.host(id).as_str()), (&json!("refused"), "first"), "{told}");
        let offers = told["advice"].as_str().unwrap();
        assert!(offers.contains("--alternative") && offers.contains("--recreate"), "{told}");
    }
}

#[test]
fn it_comes_to_the_same_where_the_process_is_killed_after_zoom_said_no() {
    let mut served = two();
    for (message, code) in REFUSED.into_iter().zip(["cannot-schedule-for", "not-movable"]) {
        for (how, state) in [("lend", "refused"), ("alternative", "done")] {
            let id = served.refused_once(message);
            served.service.kill();
            assert!(served.service.start(&[("ADJUTANT_BREAK_AT", "move-denied:1")]), "{}", served.service.log());
            let body = json!({ "to": email("new"), how: true, "key": format!("{message} {how}") });
            let path = format!("/v1/accounts/{ACCOUNT}/meetings/{id}/move");
            let _died = served.service.send("POST", &path, body.to_string().as_bytes());
            while served.service.is_running() {
                std::thread::yield_now();
            }
            served.service.kill();
            assert!(served.service.start(&[]), "{}", served.service.log());
            let before = served.world.count_calls("PATCH", &format!("/meetings/{id}"));
            let told = served.give(id, "new", &json!({ how: true, "key": format!("{message} {how}") }));
            assert_eq!((&told["state"], served.host(id).as_str()), (&json!(state), "first"), "{how}: {told}");
            if state == "refused" {
                assert_eq!(told["code"], code, "{told}");
                assert_eq!(served.world.count_calls("PATCH", &format!("/meetings/{id}")), before, "not tried again");
            } else {
                assert_eq!(served.alternatives(id), json!(email("new")), "{told}");
            }
        }
    }
}
