//! What was called off, or lent too long, when Zoom may have done it already: it is told as Zoom has it.

use std::time::Duration;

use adjutant::sim::{Fault, FaultKind, Target};
use serde_json::{Value, json};

use super::days::School;
use super::kit::{LENDING, email};
use crate::process::service::{ACCOUNT, API_USER};

/// So long after something happened, it is looked at.
const LOOKED: Duration = Duration::from_secs(61);

impl School {
    fn fails(&self, method: &'static str, path: &str, (times, kind): (u32, FaultKind)) {
        self.world.fault(Fault { target: Target::api(method, path), times, kind });
    }

    fn is_down_for(&self, path: &str) {
        let kind = FaultKind::Error { status: 503, body: "{}".to_owned() };
        self.fails("GET", path, (u32::MAX, kind));
    }

    /// Asks for it, and cancels its job when the first call that changes something failed.
    fn asked_and_cancelled(&mut self, path: &str, body: &Value) -> Value {
        let id = self.sent(path, body)["id"].clone();
        self.until(|school| school.errand(&id)["state"] == "waiting");
        self.cancel(&id);
        let told = self.errand(&id);
        assert_eq!(told["state"], "working", "{told}");
        assert!(told["why"].as_str().unwrap().contains("whether Zoom had done it by then is looked at"), "{told}");
        id
    }

    fn cancel(&self, id: &Value) {
        let path = format!("/v1/jobs/{}/cancel", self.errand(id)["job"].as_str().unwrap());
        assert_eq!(self.service.send("POST", &path, b"").unwrap().0, 200);
    }

    fn comes_to(&mut self, id: &Value, state: &str) -> Value {
        self.walk(LOOKED);
        let ends = [state, "done", "refused", "cancelled"];
        self.until(|school| ends.contains(&school.errand(id)["state"].as_str().unwrap()));
        let told = self.errand(id);
        assert_eq!(told["state"], state, "{told}");
        told
    }

    fn host_of(&self, meeting: u64) -> String {
        self.world.meeting(ACCOUNT, meeting).unwrap().host_id
    }
}

#[test]
fn a_move_that_is_cancelled_after_it_was_sent_is_told_as_done_where_zoom_has_done_it() {
    let mut school = School::new("");
    for (kind, state, host) in [(FaultKind::DropAfter, "done", "new"), (FaultKind::DropBefore, "cancelled", "first")] {
        let fields = json!({ "topic": "Algebra", "schedule_for": email("first") });
        let meeting = school.world.create_meeting(ACCOUNT, API_USER, &fields).unwrap();
        school.fails("PATCH", "meetings", (1, kind));
        let before = school.world.count_calls("PATCH", "meetings");
        let id = school.asked_and_cancelled(&format!("meetings/{meeting}/move"), &json!({ "to": email("new") }));
        let told = school.comes_to(&id, state);
        let said = format!("{}{}", told["notes"], told["why"]);
        assert!(said.contains("by admin token") && !said.contains("not known"), "{told}");
        assert_eq!(school.host_of(meeting), school.world.user(ACCOUNT, &email(host)).unwrap().id);
        assert_eq!(school.world.count_calls("PATCH", "meetings"), before + 1, "it is looked at, and not moved again");
    }
}

#[test]
fn a_meeting_whose_making_is_cancelled_after_it_was_sent_is_told_as_made_where_zoom_has_made_it() {
    let mut school = School::new("");
    for (kind, state, count) in [(FaultKind::DropAfter, "done", 1), (FaultKind::DropBefore, "cancelled", 1)] {
        school.fails("POST", "meetings", (1, kind));
        let meeting = json!({ "topic": state, "start_time": "2037-01-01T09:00:00Z" });
        let id = school.asked_and_cancelled("meetings", &json!({ "for": email("first"), "meeting": meeting }));
        let told = school.comes_to(&id, state);
        assert_eq!(told["meeting"].is_null(), state == "cancelled", "{told}");
        assert_eq!(school.world.meetings(ACCOUNT).len(), count, "{told}");
    }
}

#[test]
fn where_zoom_cannot_be_asked_and_the_look_is_cancelled_too_it_is_told_that_nobody_knows() {
    let mut school = School::new("");
    let fields = json!({ "topic": "Algebra", "schedule_for": email("first") });
    let meeting = school.world.create_meeting(ACCOUNT, API_USER, &fields).unwrap();
    school.fails("PATCH", "meetings", (1, FaultKind::DropAfter));
    let id = school.asked_and_cancelled(&format!("meetings/{meeting}/move"), &json!({ "to": email("new") }));
    school.is_down_for("/meetings/");
    school.comes_to(&id, "waiting");
    school.cancel(&id);
    let told = school.comes_to(&id, "cancelled");
    assert!(told["why"].as_str().unwrap().contains("it is not known whether Zoom had done it by then"), "{told}");
}

#[test]
fn what_was_lent_too_long_is_refused_only_where_zoom_has_not_moved_it() {
    let mut school = School::new(LENDING);
    let assistants = |school: &School| school.world.assistants(ACCOUNT, &email("new"));
    let before = assistants(&school);
    for (down, state) in [("/users/", "done"), ("/meetings/", "refused")] {
        let meeting = school.world.create_meeting(ACCOUNT, &email("first"), &json!({ "topic": "Algebra" })).unwrap();
        let first = school.host_of(meeting);
        school.fails("PATCH", "meetings", (1, FaultKind::DropAfter));
        let body = json!({ "to": email("new"), "lend": true });
        let id = school.sent(&format!("meetings/{meeting}/move"), &body)["id"].clone();
        school.until(|school| school.host_of(meeting) != first);
        school.is_down_for(down);
        let told = |school: &School| school.errand(&id);
        school.walk(Duration::from_secs(301) + LOOKED);
        school.until(|school| ["waiting", "refused"].contains(&told(school)["state"].as_str().unwrap()));
        school.world.clear_faults();
        let told = school.comes_to(&id, state);
        assert_eq!(assistants(&school), before, "as before: {told}");
        if state == "refused" {
            assert_eq!(told["code"], "lent-too-long", "{told}");
            assert!(told["why"].as_str().unwrap().contains("it is not known whether it was moved"), "{told}");
        }
    }
}
