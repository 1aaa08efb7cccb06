//! A host who can host no more: a person is told, with the meetings and the command that sees to them.

use adjutant::sim::{Fault, FaultKind, Target};
use serde_json::{Value, json};

use super::kit::{email, school};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};

pub(super) fn event(name: &str, (id, email): (&str, &str), kind: Option<i64>) -> String {
    let mut object = json!({ "id": id });
    if name != "user.updated" {
        object["email"] = json!(email);
    }
    if let Some(kind) = kind {
        object["type"] = json!(kind);
    }
    let payload =
        json!({ "account_id": ACCOUNT, "operator": "admin@school.example", "operator_id": "op", "object": object });
    json!({ "event": name, "event_ts": 1_790_000_000_000_i64, "payload": payload }).to_string()
}

impl Served {
    /// Zoom tells of a user, and what that leads to is done.
    fn tells(&mut self, name: &str, (id, email): (&str, &str), kind: Option<i64>) {
        assert_eq!(self.service.deliver(&event(name, (id, email), kind)).unwrap(), 200);
        self.service.wait_until_idle();
    }

    /// The alarm of this code.
    fn alarm(&self, code: &str) -> Option<Value> {
        let attention = self.service.admin("GET", "/v1/attention").unwrap();
        attention["alarms"].as_array().unwrap().iter().find(|alarm| alarm["code"] == code).cloned()
    }

    fn soon(&self, host: &str, topic: &str) -> u64 {
        let fields = json!({ "topic": topic, "start_time": "2026-12-10T09:00:00Z", "schedule_for": email(host) });
        self.world.create_meeting(ACCOUNT, API_USER, &fields).unwrap()
    }

    fn lists(&self, email: &str) -> usize {
        let id = self.id(email);
        let all = self.world.calls();
        let is_it = |path: &str| path.contains("/meetings") && (path.contains(&id) || path.contains(email));
        all.iter().filter(|call| call.method == "GET" && is_it(&call.path)).count()
    }
}

#[test]
fn a_host_who_is_deactivated_is_told_with_the_meetings_and_the_command_until_active_again_also_over_a_kill() {
    let mut served = school("", &["first"], &["first"]);
    let id = served.soon("first", "Algebra");
    let who = (served.id(&email("first")), email("first"));
    let who = (who.0.as_str(), who.1.as_str());
    served.world.deactivate(ACCOUNT, who.1).unwrap();
    served.tells("user.deactivated", who, Some(2));
    let alarm = served.alarm("lost-host").unwrap_or_else(|| panic!("{}", served.alarms()));
    let said = format!(
        "first@school.example is deactivated, and hosts 1 upcoming meeting: {id} Algebra at 2026-12-10T09:00:00"
    );
    assert!(alarm["what"].as_str().unwrap().contains(&said), "{alarm}");
    let command =
        format!("adjutant meetings move --account {ACCOUNT} --from first@school.example --to USER --upcoming");
    assert_eq!((&alarm["command"], &alarm["about"]), (&json!(command), &json!(who.1)), "{alarm}");
    let told = served.told(&["attention"], 0);
    assert!(told.contains(&said) && told.contains("--upcoming"), "{told}");
    served.service.kill();
    assert!(served.service.start(&[]), "{}", served.service.log());
    assert_eq!(served.alarm("lost-host").unwrap()["what"], alarm["what"], "it stands over a kill");
    served.world.activate(ACCOUNT, who.1).unwrap();
    served.world.set_licence(ACCOUNT, who.1, 2).unwrap();
    served.tells("user.activated", who, Some(2));
    assert_eq!(served.alarm("lost-host"), None, "{}", served.alarms());
}

#[test]
fn a_host_who_loses_the_licence_is_told_until_the_meetings_are_moved() {
    let mut served = school("", &["first", "heir"], &["first", "heir"]);
    let ids = ["Algebra", "Geometry"].map(|topic| served.soon("first", topic));
    let who = (served.id(&email("first")), email("first"));
    let who = (who.0.as_str(), who.1.as_str());
    served.tells("user.updated", who, None);
    assert_eq!((served.lists(who.1), served.alarm("lost-host")), (0, None), "another change asks for nothing");
    served.world.set_licence(ACCOUNT, who.1, 1).unwrap();
    served.tells("user.updated", who, Some(1));
    let alarm = served.alarm("lost-host").unwrap_or_else(|| panic!("{}", served.alarms()));
    let what = alarm["what"].as_str().unwrap();
    assert!(what.contains("first@school.example has no licence, and hosts 2 upcoming meetings: "), "{what}");
    assert!(ids.iter().all(|id| what.contains(&id.to_string())), "{what}");
    served.told(&["meetings", "move", &ids[0].to_string(), "--to", &email("heir")], 0);
    served.service.wait_until_idle();
    let what = served.alarm("lost-host").unwrap()["what"].to_string();
    assert!(what.contains("hosts 1 upcoming meeting: ") && !what.contains(&ids[0].to_string()), "{what}");
    let command = ["meetings", "move", "--from", who.1, "--to", &email("heir"), "--upcoming", "--yes"];
    served.told(&command, 0);
    served.service.wait_until_idle();
    assert_eq!(served.alarm("lost-host"), None, "{}", served.alarms());
}

#[test]
fn however_a_meeting_moved_who_hosted_it_before_is_looked_at_again() {
    let mut served = school("", &["first", "heir", "other"], &["first", "heir"]);
    let long = "L".repeat(100);
    let ids = ["Algebra", "Geometry", &long].map(|topic| served.soon("first", topic));
    let who = (served.id(&email("first")), email("first"));
    served.world.set_licence(ACCOUNT, &who.1, 1).unwrap();
    served.tells("user.updated", (&who.0, &who.1), Some(1));
    let what = |served: &Served| served.alarm("lost-host").unwrap()["what"].to_string();
    assert!(what(&served).contains("hosts 3 upcoming meetings"), "{}", what(&served));
    let cut = format!(" {}… at", "L".repeat(60));
    assert!(what(&served).contains(&cut), "a long topic is cut: {}", what(&served));
    // The answer is lost: what is read then is that it is done.
    let target = Target::api("PATCH", format!("/meetings/{}", ids[0]));
    served.world.fault(Fault { target, times: 1, kind: FaultKind::DropAfter });
    let moved = served.give(ids[0], "heir", &json!({}));
    assert_eq!((&moved["state"], served.world.faults_left()), (&json!("waiting"), 0), "{moved}");
    served.service.wait_until_idle();
    assert_eq!(served.host(ids[0]), "heir");
    assert!(what(&served).contains("hosts 2 upcoming meetings"), "{}", what(&served));
    let made = served.give(ids[1], "other", &json!({ "recreate": true }));
    assert_eq!(made["state"], "done", "{made}");
    assert_ne!(made["meeting"], ids[1], "{made}");
    served.service.wait_until_idle();
    assert!(what(&served).contains("hosts 1 upcoming meeting: "), "{}", what(&served));
}

#[test]
fn of_a_host_who_is_gone_it_says_that_zoom_lists_nothing_and_what_was_known_before() {
    let mut served = school("", &["first", "other", "basic"], &["first"]);
    let id = served.soon("first", "Algebra");
    let names = ["first", "other", "basic"].map(|name| (served.id(&email(name)), email(name)));
    let [first, other, basic] = [&names[0], &names[1], &names[2]].map(|(id, email)| (id.as_str(), email.as_str()));
    served.world.deactivate(ACCOUNT, first.1).unwrap();
    served.tells("user.deactivated", first, Some(2));
    for who in [first, other, basic] {
        served.world.delete_user(ACCOUNT, who.1).unwrap();
    }
    served.tells("user.deleted", first, Some(1));
    assert_eq!(served.alarm("lost-host"), None, "{}", served.alarms());
    let alarm = served.alarm("gone-host").unwrap_or_else(|| panic!("{}", served.alarms()));
    let what = alarm["what"].as_str().unwrap();
    assert!(
        what.contains(&format!("{id} Algebra")) && what.contains("Zoom lists no meetings of who is gone"),
        "{what}"
    );
    served.tells("user.deleted", basic, Some(1));
    assert!(
        !served.alarms().contains(basic.1),
        "whoever had no licence, and of whom nothing is known: {}",
        served.alarms()
    );
    served.tells("user.disassociated", other, Some(2));
    assert!(!served.alarms().contains(other.1), "nor who had one and hosted nothing: {}", served.alarms());
}

#[test]
fn of_whoever_hosts_nothing_one_call_says_so_and_where_it_is_switched_off_none_is_made() {
    for (more, lists) in [("", 1), ("[moves]\nwatch_hosts = false\n", 0)] {
        let mut served = school(more, &["first"], &[]);
        let who = (served.id(&email("first")), email("first"));
        if lists == 0 {
            served.world.create_meeting(ACCOUNT, &who.1, &json!({ "start_time": "2026-12-10T09:00:00Z" })).unwrap();
        }
        served.world.deactivate(ACCOUNT, &who.1).unwrap();
        let users = served.world.count_calls("GET", &format!("/users/{}", who.0));
        served.tells("user.deactivated", (&who.0, &who.1), Some(2));
        assert_eq!((served.lists(&who.1), served.alarm("lost-host")), (lists, None), "{more}");
        assert_eq!(served.world.count_calls("GET", &format!("/users/{}", who.0)) - users, lists, "{more}");
    }
}
