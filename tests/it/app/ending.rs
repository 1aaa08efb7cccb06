//! Rules that end meetings, and rules that recover them.

use std::time::Duration;

use adjutant::clock::Clock as _;
use adjutant::job::{JobState, ParkCause};
use adjutant::sim::{Fault, FaultKind, NewUser, Target, TooMany};
use adjutant::work::{PlanScope, SavedPlan};
use serde_json::json;

use super::{ACCOUNT, Left, TestApp};

const HOUR: Duration = Duration::from_secs(3600);
const JILL: &str = "jill@acme.example";
const LEE: &str = "lee@acme.example";

/// What runs for twelve hours was forgotten.
const FORGOTTEN: &str = r#"
name = "forgotten"
for = "meeting"
on = ["meeting.started"]
after = "12h"
unless = ["meeting.ended"]
ensure = { status = "ended" }
allow_end = true
mode = "enforce"
"#;

const KEEP: &str = r#"
name = "keep"
for = "meeting"
on = ["meeting.deleted"]
ensure = { status = "recovered" }
mode = "enforce"
"#;

const DOORS: &str = r#"
name = "doors"
for = "meeting"
ensure = { settings = { waiting_room = true } }
mode = "enforce"
"#;

async fn with(rules: &[&str]) -> TestApp {
    let app = TestApp::start(rules).await;
    for user in [JILL, LEE] {
        app.world.add_user(ACCOUNT, NewUser::licensed(user)).unwrap();
    }
    app
}

async fn meeting(app: &TestApp) -> u64 {
    let made = app.world.create_meeting(ACCOUNT, JILL, &json!({ "topic": "Algebra", "type": 3 })).unwrap();
    app.drain().await;
    made
}

fn runs(app: &TestApp, meeting: u64) -> bool {
    app.world.meeting(ACCOUNT, meeting).unwrap().started
}

fn is_there(app: &TestApp, meeting: u64) -> bool {
    app.world.meeting(ACCOUNT, meeting).is_some_and(|meeting| !meeting.deleted)
}

fn ends(app: &TestApp) -> usize {
    app.world.count_calls("PUT", "/status")
}

#[tokio::test]
async fn a_meeting_that_runs_for_twelve_hours_is_ended_and_one_that_is_over_is_left_alone() {
    let app = with(&[FORGOTTEN]).await;
    let (forgotten, over) = (meeting(&app).await, meeting(&app).await);
    for id in [forgotten, over] {
        app.world.start_meeting(ACCOUNT, id).unwrap();
    }
    app.drain().await;
    app.world.end_meeting(ACCOUNT, over).unwrap();
    app.advance(Duration::from_secs(12 * 3600 - 1)).await;
    assert!(runs(&app, forgotten));
    app.advance(Duration::from_secs(1)).await;
    assert!(!runs(&app, forgotten));
    assert_eq!(ends(&app), 1);
    let told = app.entries("changed").await;
    assert_eq!(told.len(), 1);
    assert!(told[0].detail.as_ref().unwrap().note.contains("end the meeting"), "{told:?}");
    // Its own end comes back as an event, and begins nothing.
    app.advance(24 * HOUR).await;
    assert_eq!((ends(&app), app.jobs().await.len()), (1, 2));
}

#[tokio::test]
async fn a_meeting_that_ended_unheard_is_right_already_and_a_rule_that_observes_ends_none() {
    for (mode, state) in [("enforce", "already right"), ("observe", "would end the meeting")] {
        let app = with(&[&FORGOTTEN.replace("enforce", mode)]).await;
        let algebra = meeting(&app).await;
        app.world.start_meeting(ACCOUNT, algebra).unwrap();
        app.drain().await;
        if mode == "enforce" {
            app.world.unsubscribe(ACCOUNT).unwrap();
            app.world.end_meeting(ACCOUNT, algebra).unwrap();
        }
        app.advance(12 * HOUR).await;
        assert_eq!((app.state().await.as_str(), ends(&app)), (state, 0));
    }
}

#[tokio::test]
async fn a_later_run_of_a_meeting_is_not_ended_for_an_earlier_one() {
    // Zoom's word that the first run is over got lost; without a timer, a delivery may come that late.
    for rule in [FORGOTTEN.to_owned(), FORGOTTEN.replace("after = ", "# ").replace("unless = ", "# ")] {
        let app = with(&[&rule]).await;
        let algebra = meeting(&app).await;
        app.world.start_meeting(ACCOUNT, algebra).unwrap();
        if rule == FORGOTTEN {
            app.drain().await;
        } else {
            app.deliver().await;
        }
        app.world.unsubscribe(ACCOUNT).unwrap();
        app.world.end_meeting(ACCOUNT, algebra).unwrap();
        app.world.start_meeting(ACCOUNT, algebra).unwrap();
        app.advance(12 * HOUR).await;
        let why = "another run of the meeting is in progress than the one it is about";
        assert_eq!((app.state().await.as_str(), ends(&app), runs(&app, algebra)), (why, 0, true), "{rule}");
    }
}

#[tokio::test]
async fn a_rule_without_a_timer_ends_the_run_that_its_event_tells_of() {
    let rule = FORGOTTEN.replace("after = ", "# ").replace("unless = ", "# ");
    let app = with(&[&rule]).await;
    let algebra = meeting(&app).await;
    app.world.start_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    assert_eq!((app.state().await.as_str(), runs(&app, algebra)), ("changed", false));
}

#[tokio::test]
async fn a_meeting_is_ended_though_the_hosts_day_is_used_up_for_changes() {
    let app = with(&[FORGOTTEN, DOORS]).await;
    let algebra = meeting(&app).await;
    app.world.start_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    app.world.spend_meeting_writes(ACCOUNT, JILL, 99).unwrap();
    app.expect_refusal("PATCH", "/meetings/", 429);
    let other = meeting(&app).await;
    assert_eq!(app.state().await, "due", "Zoom says that the host's day is used up");
    app.advance(12 * HOUR).await;
    assert_eq!((runs(&app, algebra), app.entries("changed").await.len()), (false, 2));
    app.advance(12 * HOUR).await;
    assert_eq!(app.world.meeting(ACCOUNT, other).unwrap().settings["waiting_room"], true);
}

#[tokio::test]
async fn work_that_was_about_a_meeting_under_another_rule_ends_no_run_of_it() {
    let before = FORGOTTEN.replace("status = \"ended\"", "settings = { waiting_room = true }");
    let [before, after] =
        [before.as_str(), FORGOTTEN].map(|rule| rule.replace("after = ", "# ").replace("unless = ", "# "));
    let app = with(&[&before]).await;
    let algebra = meeting(&app).await;
    app.world.start_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "waiting meeting-in-progress");
    app.set_rules(&[&after]);
    app.world.end_meeting(ACCOUNT, algebra).unwrap();
    app.deliver().await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.start_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    let why = "it was asked for under another rule, about no run of the meeting";
    assert_eq!((app.state().await.as_str(), runs(&app, algebra)), (why, true));
}

#[tokio::test]
async fn a_plan_since_a_moment_is_about_runs_and_what_is_gone_and_ends_no_later_run_when_it_is_applied() {
    // What a timer would do, nobody can say before it is due.
    let at_once = FORGOTTEN.replace("after = ", "# ").replace("unless = ", "# ");
    let observing = [&at_once, KEEP].map(|rule| rule.replace("enforce", "observe"));
    let app = with(&[&observing[0], &observing[1]]).await;
    let (algebra, music, gone) = (meeting(&app).await, meeting(&app).await, meeting(&app).await);
    let since = app.clock.now();
    for id in [algebra, music] {
        app.world.start_meeting(ACCOUNT, id).unwrap();
    }
    app.world.delete_meeting(ACCOUNT, gone).unwrap();
    app.expect_refusal("GET", "/meetings/", 404);
    app.drain().await;
    let planned = app.plan_scope(PlanScope { since: Some(since), ..PlanScope::default() }).await;
    let mut changes: Vec<_> = planned.rules.iter().flat_map(|rule| &rule.changes).collect();
    changes.sort_by_key(|change| change.subject.clone());
    let wanted: Vec<_> = changes.iter().map(|change| &change.differences[0].wanted).collect();
    assert_eq!(wanted, ["ended", "ended", "recovered"], "{planned}");
    // One of the two begins anew before the plan is applied.
    app.world.end_meeting(ACCOUNT, music).unwrap();
    app.world.start_meeting(ACCOUNT, music).unwrap();
    app.drain().await;
    app.cancel_all().await;
    app.set_rules(&[&at_once, KEEP]);
    let plan = SavedPlan::new(app.roster.borrow().hashes(), vec![planned], app.clock.now());
    app.apply(&plan).await;
    assert_eq!((runs(&app, algebra), runs(&app, music), is_there(&app, gone)), (false, true, true));
    app.cancel_all().await;
}

#[tokio::test]
async fn an_end_that_zoom_refuses_for_the_hosts_day_waits_for_the_next() {
    let app = with(&[FORGOTTEN]).await;
    let algebra = meeting(&app).await;
    app.world.start_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    let kind = FaultKind::TooMany(TooMany::UserDaily);
    app.world.fault(Fault { target: Target::api("PUT", "/status"), times: 1, kind });
    app.advance(12 * HOUR).await;
    assert!(runs(&app, algebra));
    assert_eq!(app.state().await, "due");
    app.advance(24 * HOUR).await;
    assert_eq!((app.state().await.as_str(), runs(&app, algebra)), ("changed", false));
}

#[tokio::test]
async fn a_meeting_that_somebody_deletes_is_there_again_as_it_was() {
    let app = with(&[KEEP]).await;
    let algebra = meeting(&app).await;
    let before = app.world.meeting(ACCOUNT, algebra).unwrap();
    app.expect_refusal("GET", "/meetings/", 404);
    app.world.delete_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "changed");
    let after = app.world.meeting(ACCOUNT, algebra).unwrap();
    assert!(is_there(&app, algebra));
    assert_eq!((after.join_url(), after.host_id), (before.join_url(), before.host_id));
    let told = app.entries("changed").await;
    assert!(told[0].detail.as_ref().unwrap().note.contains("recover the meeting"), "{told:?}");
    // Somebody was faster.
    app.clock.advance(Duration::from_secs(1));
    app.world.delete_meeting(ACCOUNT, algebra).unwrap();
    app.deliver().await;
    app.world.recover_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.world.count_calls("PUT", "/status")), ("already right", 1));
}

#[tokio::test]
async fn a_recovery_outlives_what_its_deletion_ends_also_when_it_is_told_twice() {
    let app = with(&[KEEP, DOORS]).await;
    let made = app.world.create_meeting(ACCOUNT, JILL, &json!({ "topic": "Algebra", "type": 3 })).unwrap();
    app.world.delete_meeting(ACCOUNT, made).unwrap();
    app.world.recover_meeting(ACCOUNT, made).unwrap();
    app.clock.advance(Duration::from_secs(1));
    app.world.delete_meeting(ACCOUNT, made).unwrap();
    app.expect_refusal("GET", "/meetings/", 404);
    app.drain().await;
    let states: Vec<_> = app.jobs().await.iter().map(|job| (job.rule.to_string(), job.state.name())).collect();
    assert_eq!(states, [("keep".to_owned(), "done"), ("doors".to_owned(), "cancelled")]);
    assert!(is_there(&app, made));
}

#[tokio::test]
async fn what_is_deleted_for_good_is_not_recovered() {
    let app = with(&[KEEP]).await;
    let algebra = meeting(&app).await;
    app.world.delete_meeting(ACCOUNT, algebra).unwrap();
    app.world.purge_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.calls("/meetings/")), ("cancelled meeting.permanently_deleted", 0));
    // Where only Zoom knows that, it is set aside with Zoom's words.
    let gone = meeting(&app).await;
    app.world.delete_meeting(ACCOUNT, gone).unwrap();
    app.deliver().await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.purge_meeting(ACCOUNT, gone).unwrap();
    app.expect_refusal("GET", "/meetings/", 404);
    app.expect_refusal("PUT", "/status", 404);
    app.drain().await;
    let JobState::Parked { cause, .. } = app.jobs().await.remove(0).state else { panic!("{}", app.state().await) };
    let message = format!("Meeting does not exist: {gone}.");
    assert_eq!(cause, ParkCause::Refused { status: 404, code: 3001, message });
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn a_meeting_that_others_delete_again_and_again_is_set_aside_with_who_does() {
    let app = with(&[KEEP]).await;
    let algebra = meeting(&app).await;
    app.expect_refusal("GET", "/meetings/", 404);
    for by in [LEE, JILL, JILL] {
        app.world.delete_meeting_as(ACCOUNT, by, algebra).unwrap();
        app.drain().await;
        assert!(is_there(&app, algebra));
        app.advance(HOUR).await;
    }
    app.world.delete_meeting_as(ACCOUNT, JILL, algebra).unwrap();
    app.drain().await;
    assert!(!is_there(&app, algebra));
    let JobState::Parked { cause, .. } = app.jobs().await.remove(0).state else { panic!("{}", app.state().await) };
    let who = vec![LEE.to_owned(), JILL.to_owned()];
    assert_eq!(cause, ParkCause::Contested { what: "recover the meeting".to_owned(), who });
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn a_recovery_asks_what_older_events_told_of_the_meeting() {
    let rule = KEEP.replace("mode =", "when = 'meeting.agenda == \"Groups\"'\nmode =");
    let app = with(&[&rule]).await;
    app.expect_refusal("GET", "/meetings/", 404);
    let made = app.world.create_meeting_as(ACCOUNT, JILL, JILL, &json!({ "topic": "Algebra", "type": 3 })).unwrap();
    app.drain().await;
    app.world.update_meeting_as(ACCOUNT, JILL, made, &json!({ "agenda": "Groups" })).unwrap();
    app.drain().await;
    app.world.delete_meeting_as(ACCOUNT, LEE, made).unwrap();
    app.drain().await;
    assert!(is_there(&app, made), "{}", app.state().await);
}

#[tokio::test]
async fn an_instant_meeting_that_is_gone_with_its_end_was_ended() {
    let app = with(&[FORGOTTEN]).await;
    app.expect_refusal("GET", "/meetings/", 404);
    let made = app.world.create_meeting(ACCOUNT, JILL, &json!({ "topic": "Now", "type": 1 })).unwrap();
    app.drain().await;
    app.world.start_meeting(ACCOUNT, made).unwrap();
    app.drain().await;
    app.advance(Duration::from_secs(14 * 3600)).await;
    assert_eq!((ends(&app), app.entries("changed").await.len()), (1, 1), "{}", app.state().await);
}
