//! Users who cannot be given anything yet: what they cost until they can.

use std::time::Duration;

use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use serde_json::json;

use super::{ACCOUNT, API_USER, TestApp};

const HOUR: Duration = Duration::from_secs(3600);
const DAYS: usize = 3;
const SWEEPS_A_DAY: usize = 24;
/// Users who wait.
const WAITING: usize = 60;
/// Of one user on one day.
const EVENTS: usize = 5;

const ASSISTANT: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
max_changes_percent = 100
"#;

const JILL: &str = "jill.hill@acme.example";

fn email(n: usize) -> String {
    format!("user-{n}@acme.example")
}

/// A day of hourly sweeps, and of everything that they ask for.
async fn day(app: &TestApp) {
    for _ in 0..SWEEPS_A_DAY {
        app.ticking(app.sweeper.run_due()).await.unwrap();
        app.ticking(app.advance(HOUR)).await;
    }
}

/// Calls about single users, by email or id.
fn about_single_users(app: &TestApp) -> usize {
    app.calls("/users/") - app.calls("/schedulers")
}

/// Zoom says that the user was activated, whether reading the user shows it or not.
fn tell_activated(app: &TestApp, user: &str) {
    let id = app.world.user(ACCOUNT, user).unwrap().id;
    let body = json!({
        "event": "user.activated",
        "event_ts": app.world.now().as_millis(),
        "payload": { "account_id": ACCOUNT, "object": { "id": id, "email": user, "type": 2 } },
    });
    app.world.emit(ACCOUNT, "user.activated", body.to_string()).unwrap();
}

#[tokio::test]
async fn who_waits_costs_one_look_at_first_and_then_nothing_but_the_lists_of_the_sweeps() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    for n in 0..WAITING {
        let new = if n % 2 == 0 { NewUser::basic(&email(n)) } else { NewUser::licensed(&email(n)).invited() };
        app.world.create_user(ACCOUNT, new).unwrap();
    }
    app.ticking(app.drain()).await;
    assert_eq!(about_single_users(&app), WAITING, "each was read once");
    app.sweep().await;
    for day_of in 0..DAYS {
        app.world.clear_calls();
        day(&app).await;
        assert_eq!(about_single_users(&app), 0, "day {day_of}");
        let sweeps = app.calls("/schedulers");
        assert!(sweeps <= SWEEPS_A_DAY && sweeps + 1 >= SWEEPS_A_DAY, "{sweeps} sweeps on day {day_of}");
        assert_eq!(app.calls(""), 2 * sweeps, "a page of active users and whom the API user assists, day {day_of}");
    }

    // They become eligible, and nobody says so.
    app.world.unsubscribe(ACCOUNT).unwrap();
    for n in 0..WAITING {
        match n % 2 {
            0 => app.world.set_licence(ACCOUNT, &email(n), 2).unwrap(),
            _ => app.world.accept_invitation(ACCOUNT, &email(n)).unwrap(),
        }
    }
    app.world.clear_calls();
    app.sweep().await;
    assert_eq!(app.world.without_assistant(ACCOUNT, API_USER), [""; 0]);
    let calls = about_single_users(&app);
    assert!(calls <= 4 * WAITING, "{calls} calls for {WAITING} users who became eligible");
}

#[tokio::test]
async fn where_reading_the_user_lags_behind_the_events_each_event_costs_one_look() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    // All others are right from now on.
    app.sweep().await;
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL).invited()).unwrap();
    app.ticking(app.drain()).await;
    for day_of in 0..DAYS {
        app.world.clear_calls();
        for _ in 0..EVENTS {
            tell_activated(&app, JILL);
            app.ticking(app.advance(HOUR)).await;
        }
        day(&app).await;
        assert_eq!(app.state().await, "waiting user-pending");
        assert_eq!(about_single_users(&app), EVENTS, "day {day_of}");
    }
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.accept_invitation(ACCOUNT, JILL).unwrap();
    day(&app).await;
    assert_eq!(app.assistants(JILL), [API_USER]);
    assert_eq!(app.jobs().await.iter().filter(|job| job.attempts > 1).count(), 0, "to wait is no failure");
}

#[tokio::test]
async fn where_the_list_runs_ahead_of_what_zoom_allows_each_sweep_costs_a_few_calls() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    let id = app.world.add_user(ACCOUNT, NewUser::licensed(JILL).invited()).unwrap();
    // All others are right from now on.
    app.sweep().await;
    app.world.clear_calls();
    for _ in 0..SWEEPS_A_DAY {
        let row = json!({ "id": id, "email": JILL, "type": 2, "status": "active" });
        let list = json!({ "page_size": 300, "total_records": 1, "users": [row] }).to_string();
        // The first is used up before the second is met.
        for (path, body) in [("/schedulers", r#"{"schedulers":[]}"#.to_owned()), ("/users", list)] {
            let kind = FaultKind::Error { status: 200, body };
            app.world.fault(Fault { target: Target::api("GET", path), times: 1, kind });
        }
        app.sweep().await;
    }
    let calls = app.calls(&id) + app.calls(JILL);
    assert!(
        (SWEEPS_A_DAY..=SWEEPS_A_DAY + 3).contains(&calls),
        "a look for each sweep, and the first tries more: {calls}"
    );
    assert_eq!(app.state().await, "waiting user-pending");
    app.cancel_all().await;
}
