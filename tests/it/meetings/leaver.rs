//! All meetings of somebody who leaves are given to another, with a plan before and a result for each.

use serde_json::json;

use super::kit::{email, school};
use crate::process::service::{ACCOUNT, API_USER};

#[test]
fn all_meetings_of_a_leaver_are_moved_with_a_plan_before_and_a_result_for_each() {
    let served = school("", &["leaver", "heir"], &["leaver", "heir"]);
    let made = |maker: &str, topic: &str, start: &str| {
        let mut fields = json!({ "topic": topic, "start_time": start });
        if maker == API_USER {
            fields["schedule_for"] = json!(email("leaver"));
        }
        served.world.create_meeting(ACCOUNT, maker, &fields).unwrap()
    };
    let soon = ["2026-12-10T09:00:00Z", "2026-12-11T09:00:00Z"].map(|start| made(API_USER, "Pool", start));
    let far = made(API_USER, "Far ahead", "2037-01-01T09:00:00Z");
    let own = made(&email("leaver"), "Own", "2037-01-01T09:00:00Z");
    let (from, to) = (email("leaver"), email("heir"));
    let words = ["meetings", "move", "--from", &from, "--to", &to];
    let plan = served.told(&[&words[..], &["--check"]].concat(), 1);
    assert!(plan.contains("3 of 4 meetings can be moved as asked") && plan.contains("are left today"), "{plan}");
    assert!(
        plan.contains(&format!("{own} Own: no: leaver@school.example, who hosts it, is no assistant of heir")),
        "{plan}"
    );
    let refused = served.told(&words, 2);
    assert!(refused.contains("add --yes"), "nobody is there to be asked: {refused}");
    assert_eq!(served.host(far), "leaver");
    let moved = served.told(&[&words[..], &["--yes"]].concat(), 1);
    assert!(moved.contains("3 of 4 meetings moved to heir@school.example"), "{moved}");
    for id in soon.into_iter().chain([far]) {
        assert_eq!(served.host(id), "heir");
        assert!(moved.contains(&format!("{id} done")), "{moved}");
    }
    let rest = served.told(&[&words[..], &["--yes", "--recreate"]].concat(), 0);
    assert!(rest.contains("1 of 1 meeting moved") && rest.contains("a new meeting: https://"), "{rest}");
    let listed = served.told(&["meetings", "list", "--for", &from, "--all"], 0);
    assert!(listed.contains("0 meetings"), "{listed}");
}

#[test]
fn a_meeting_is_made_shown_changed_ended_and_deleted_by_commands() {
    let served = school("", &["first"], &["first"]);
    let host = email("first");
    let start = "2037-01-01T09:00:00Z";
    let made =
        served.told(&["meetings", "create", "--for", &host, "--topic", "Algebra", "--start", start, "--json"], 0);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let id = made["meeting"].as_u64().unwrap().to_string();
    let shown = served.told(&["meetings", "show", &id], 0);
    assert!(shown.contains("Algebra") && shown.contains(&host) && shown.contains("https://"), "{shown}");
    let changed = served.told(&["meetings", "update", &id, "--fields", r#"{"topic":"Geometry"}"#], 0);
    assert!(changed.contains("Geometry"), "{changed}");
    let wrong = served.told(&["meetings", "update", &id, "--fields", r#"{"schedule_for":"x"}"#], 1);
    assert!(wrong.contains("meetings move"), "{wrong}");
    served.world.start_meeting(ACCOUNT, id.parse().unwrap()).unwrap();
    let running = served.told(&["meetings", "delete", &id, "--yes"], 1);
    assert!(running.contains("is running"), "{running}");
    served.told(&["meetings", "end", &id, "--yes"], 0);
    served.told(&["meetings", "delete", &id, "--yes"], 0);
    let gone = served.told(&["meetings", "show", &id], 1);
    assert!(gone.contains("or it is over"), "{gone}");
    let errands = served.told(&["meetings", "errands"], 0);
    assert!(errands.contains("schedule") && errands.contains("1 errand"), "{errands}");
    let used = served.service.admin("GET", &format!("/v1/accounts/{ACCOUNT}/budgets?users={host}")).unwrap();
    assert_eq!(
        used[0]["used"], 1,
        "one change of the host's meeting, and the API user's create is not the host's: {used}"
    );
    let log = served.told(&["audit", "tail", "--lines", "1000", "--json"], 0);
    for what in ["set topic of meeting", "end meeting", "delete meeting"] {
        assert!(log.contains(&format!("{what} {id}, told by admin token")), "{what}: {log}");
    }
}
