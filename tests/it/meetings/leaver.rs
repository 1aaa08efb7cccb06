//! All meetings of somebody who leaves are given to another, with a plan before and a result for each.

use std::time::Duration;

use adjutant::clock::{Clock as _, SystemClock};
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
    let in_days = |days: u64| SystemClock.now().plus(Duration::from_secs(days * 86_400)).to_string();
    let soon = [20, 21].map(|days| made(API_USER, "Pool", &in_days(days)));
    let far = made(API_USER, "Far ahead", "2037-01-01T09:00:00Z");
    let own = made(&email("leaver"), "Own", "2037-01-01T09:00:00Z");
    let (from, to) = (email("leaver"), email("heir"));
    let words = ["meetings", "move", "--from", &from, "--to", &to];
    let plan = served.told(&[&words[..], &["--check"]].concat(), 1);
    for said in [
        &format!("{own} Own: no: leaver@school.example, who hosts it, is no assistant of heir"),
        "   what can be done: `adjutant assistants add --user heir@school.example leaver@school.example`",
        "3 of 4 meetings can be moved as asked (3 directly); it takes 3 of Zoom's creates and changes, of which 100 are left",
    ] {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    let once = ": yes, directly: api-user@school.example, who scheduled it for its host, is an assistant of heir";
    assert_eq!((plan.matches(once).count(), plan.matches(": yes, directly: as ").count()), (1, 2), "{plan}");
    let anew = served.told(&[&words[..], &["--check", "--recreate"]].concat(), 0);
    assert!(anew.contains("Own: yes, made anew: it would be made anew with another link"), "{anew}");
    assert!(anew.contains("4 of 4 meetings can be moved as asked (3 directly, 1 made anew); it takes 4 of"), "{anew}");
    let nobody = email("nobody");
    let bad = served.told(&["meetings", "move", "--from", &from, "--to", &nobody, "--check"], 1);
    assert_eq!(bad.matches("has no user nobody@school.example").count(), 1, "{bad}");
    assert_eq!((bad.matches(": no: as 1\n").count(), bad.contains("0 of 4 meetings")), (3, true), "{bad}");
    let refused = served.told(&words, 2);
    assert!(refused.contains("add --yes"), "nobody is there to be asked: {refused}");
    let upcoming = served.told(&["meetings", "list", "--for", &from], 0);
    assert!(
        upcoming.ends_with("\n2 meetings; 2 more are over or further ahead than six months: --all\n"),
        "{upcoming}"
    );
    assert_eq!(served.host(far), "leaver");
    let moved = served.told(&[&words[..], &["--yes"]].concat(), 1);
    assert!(moved.contains("3 of 4 meetings moved to heir@school.example"), "{moved}");
    for id in soon.into_iter().chain([far]) {
        assert_eq!(served.host(id), "heir");
        assert!(moved.contains(&format!("{id} done")), "{moved}");
    }
    let told = served.told(&[&words[..], &["--yes", "--json"]].concat(), 1);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told[0]["plan"]["meeting"], &told[0]["plan"]["code"]),
        (&json!(own), &json!("no-privilege")),
        "{told}"
    );
    assert_eq!((told.as_array().unwrap().len(), &told[0]["errand"]), (1, &json!(null)), "{told}");
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
    let (first, rest) = id.split_at(3);
    let (spaced, dashed) =
        (format!("{first} {} {}", &rest[..4], &rest[4..]), format!("{first}-{}-{}", &rest[..4], &rest[4..]));
    assert_eq!(
        served.told(&["meetings", "show", &spaced, "--json"], 0),
        served.told(&["meetings", "show", &id, "--json"], 0)
    );
    let later = ["--topic", "Geometry", "--start", "2037-01-02T10:00:00+01:00", "--duration", "45"];
    let changed = served.told(&[&["meetings", "update", &dashed][..], &later].concat(), 0);
    for said in ["Geometry", "2037-01-02T09:00:00Z", "45"] {
        assert!(changed.contains(said), "{said}: {changed}");
    }
    let no_time = served.told(&["meetings", "update", &id, "--fields", r#"{"start_time":"tomorrow"}"#], 2);
    assert!(no_time.contains("expected a time"), "{no_time}");
    served.told(&["meetings", "update", &id, "--start", "tomorrow"], 2);
    let one = served.told(&["meetings", "move", &id, "--to", &host, "--upcoming"], 2);
    assert!(one.contains("--upcoming"), "{one}");
    let wrong = served.told(&["meetings", "update", &id, "--fields", r#"{"schedule_for":"x"}"#], 2);
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
    for what in ["set duration, start_time, topic of meeting", "end meeting", "delete meeting"] {
        assert!(log.contains(&format!("{what} {id}, told by admin token")), "{what}: {log}");
    }
}
