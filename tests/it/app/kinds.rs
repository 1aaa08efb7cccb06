//! Sweeps of settings and of meetings: what is in no list, each by a schedule of its own.

use std::time::Duration;

use adjutant::clock::{Clock as _, Timestamp};
use adjutant::ids::RuleName;
use adjutant::sim::NewUser;
use adjutant::store::SweepKind;
use adjutant::worker::Order;
use serde_json::{Value, json};

use super::{ACCOUNT, API_USER, TestApp};

const DAY: Duration = Duration::from_secs(86_400);

const ASSISTANT: &str =
    "name = \"assist\"\nfor = \"user\"\nmode = \"enforce\"\nensure = { assistants = [\"api-user\"] }\n";

/// Whoever the row of the list leaves out is not read.
const SETTINGS: &str = r#"
name = "rooms"
for = "user"
when = '!user.email.startsWith("owner") && !user.email.startsWith("guest")'
mode = "enforce"
ensure = { settings = { in_meeting = { waiting_room = true } } }
"#;

const MEETINGS: &str = r#"
name = "doors"
for = "meeting"
mode = "enforce"
except = ["owner@acme.example"]
ensure = { settings = { waiting_room = true } }
"#;

/// A sweep of what this rule wants, to the end of the work.
async fn sweep(app: &TestApp, rule: &str) {
    let order = Order { rule: Some(RuleName::parse(rule).unwrap()), is_dry: false };
    assert!(app.sweeper.ask(&app.account().id, order).await.unwrap());
    app.ticking(app.finish_sweep()).await;
    app.ticking(app.advance(Duration::from_secs(60))).await;
}

fn waiting_room(app: &TestApp, user: &str) -> Value {
    app.world.user_settings(ACCOUNT, user)["in_meeting"]["waiting_room"].clone()
}

#[tokio::test]
async fn settings_are_healed_by_sweeps_of_their_own_at_one_call_for_each_user() {
    let app = TestApp::start_patient(&[ASSISTANT, SETTINGS]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    let (off, on) =
        (json!({ "in_meeting": { "waiting_room": false } }), json!({ "in_meeting": { "waiting_room": true } }));
    for (user, settings) in [("jill", &off), ("jack", &on), ("guest", &off)] {
        let email = format!("{user}@acme.example");
        app.world.add_user(ACCOUNT, NewUser::licensed(&email)).unwrap();
        app.world.set_user_settings(ACCOUNT, &email, settings).unwrap();
    }
    app.sweep().await;
    assert_eq!((app.swept().await.last.unwrap().kind, app.calls("/settings")), (SweepKind::Users, 0));
    assert_eq!(waiting_room(&app, "jill@acme.example"), false);
    app.world.clear_calls();
    sweep(&app, "rooms").await;
    assert_eq!(app.swept().await.last.unwrap().kind, SweepKind::Settings);
    assert_eq!(waiting_room(&app, "jill@acme.example"), true);
    assert_eq!(waiting_room(&app, "guest@acme.example"), false);
    // The settings of Jill and Jack are read, Jill's are written and read back, and neither needs a call for the rest.
    assert_eq!((app.world.count_calls("GET", "/settings"), app.world.count_calls("PATCH", "/settings")), (3, 1));
    assert_eq!(app.calls(""), 1 + 3 + 1);
    // What was right yesterday is read again.
    app.world.clear_calls();
    sweep(&app, "rooms").await;
    assert_eq!(app.world.count_calls("GET", "/settings"), 2);
}

/// A meeting so many days from now, with the waiting room off.
fn meeting(app: &TestApp, host: &str, days: u32) -> u64 {
    let start = app.clock.now().plus(DAY * days).to_string();
    let fields = json!({ "topic": "x", "type": 2, "start_time": start, "settings": { "waiting_room": false } });
    app.world.create_meeting(ACCOUNT, host, &fields).unwrap()
}

fn is_open(app: &TestApp, meeting: u64) -> bool {
    app.world.meeting(ACCOUNT, meeting).unwrap().settings["waiting_room"] == false
}

#[tokio::test]
async fn meetings_of_the_next_days_are_healed_at_a_list_for_each_host_and_a_call_for_each_meeting() {
    let app = TestApp::start_patient(&[MEETINGS]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.add_user(ACCOUNT, NewUser::licensed("jill@acme.example")).unwrap();
    app.world.add_user(ACCOUNT, NewUser::basic("jack@acme.example")).unwrap();
    let [soon, sooner, late] = [13, 1, 15].map(|days| meeting(&app, "jill@acme.example", days));
    let of_api_user = meeting(&app, API_USER, 2);
    let excepted = meeting(&app, "owner@acme.example", 2);
    app.world.update_meeting(ACCOUNT, sooner, &json!({ "settings": { "waiting_room": true } })).unwrap();
    app.world.clear_calls();
    sweep(&app, "doors").await;
    assert_eq!(
        [soon, sooner, late, of_api_user, excepted].map(|id| is_open(&app, id)),
        [false, false, true, false, true]
    );
    let ends = |path: &str| app.world.calls().iter().filter(|call| call.path.ends_with(path)).count();
    assert_eq!((ends("/users"), ends("/meetings")), (1, 2), "Jill's and the API user's");
    // Three are read; two of them are written and read back.
    let calls = |method| app.world.count_calls(method, "/meetings/");
    assert_eq!((calls("GET"), calls("PATCH")), (5, 2));
}

#[tokio::test]
async fn a_meeting_rule_that_observes_says_each_night_what_it_would_do() {
    let app = TestApp::start_patient(&[&MEETINGS.replace("enforce", "observe")]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    let meeting = meeting(&app, API_USER, 9);
    for night in 1..=2 {
        sweep(&app, "doors").await;
        assert_eq!((is_open(&app, meeting), app.entries("would-change").await.len()), (true, night));
    }
}

#[tokio::test]
async fn each_kind_of_sweep_goes_by_its_own_schedule() {
    let app = TestApp::start_patient(&[ASSISTANT, SETTINGS, MEETINGS]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    let mut began: Vec<[Timestamp; 3]> = Vec::new();
    for wait in [Duration::ZERO, Duration::from_secs(3600), DAY] {
        app.clock.advance(wait);
        app.ticking(app.sweeper.run_due()).await.unwrap();
        app.ticking(app.advance(Duration::from_secs(10))).await;
        let whole = app.swept().await.whole;
        began.push(SweepKind::ALL.map(|kind| whole[&kind].started_at));
    }
    let is_new: Vec<[bool; 3]> =
        began.windows(2).map(|two| [0, 1, 2].map(|kind| two[1][kind] > two[0][kind])).collect();
    assert_eq!(is_new, [[true, false, false], [true, true, true]], "after an hour, and after a day");
    let kinds = app.sweeper.standing(&app.account()).await.unwrap().kinds;
    let next: Vec<String> = kinds.iter().map(|of| of.next.0.to_string().split_off(11)).collect();
    assert_eq!(next[1..], ["02:30:00.000Z", "03:30:00.000Z"]);
}
