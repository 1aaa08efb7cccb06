//! Timers and records as people are told of them, and rules that change while they run.

use adjutant::clock::Clock as _;
use adjutant::sim::NewUser;
use adjutant::work::PlanScope;
use adjutant::worker::{self, ComeBack};

use super::explaining::{explained, of};
use super::timers::{MINUTE, SUBSTITUTE, WAITS, hosts, meeting, tell, with_host};
use super::{ACCOUNT, DEPUTY};

/// The same, told to a consumer.
const TELL: &str = r#"
name = "tell"
for = "event"
on = ["meeting.participant_jbh_waiting"]
after = "5m"
unless = ["meeting.started"]
send = "timetable"
"#;
const ATTENDANCE: &str = r#"
name = "attendance"
for = "event"
on = ["meeting.participant_joined", "meeting.ended"]
fold = "attendance"
send = "timetable"
"#;

#[tokio::test]
async fn of_a_timer_is_told_when_it_is_due_what_began_it_and_what_ended_it() {
    let rules = [SUBSTITUTE, TELL, ATTENDANCE];
    let app = with_host(&rules).await;
    let algebra = meeting(&app).await;
    let due = app.clock.now().plus(5 * MINUTE);
    tell(&app, WAITS, algebra, "run-1", app.clock.now()).await;
    tell(&app, "meeting.participant_joined", algebra, "run-1", app.clock.now()).await;
    let began = explained(&app, &rules, "dlv_2").await;
    assert_eq!(began.delivery.as_ref().unwrap().answer, "it asked for job_1, job_2");
    for rule in ["substitute", "tell"] {
        let of = of(&began, rule);
        assert_eq!((of.code.as_str(), of.since.as_ref()), ("put-off", Some(&due.to_string())), "{rule}");
        assert_eq!(of.answer, format!("it is put off until {due}: its timer runs"), "{rule}");
    }
    let when = "5m after the event, once for each run of the meeting, unless meeting.started comes";
    assert_eq!(of(&began, "tell").wants, format!("sent to timetable; {when}"));
    assert!(of(&began, "attendance").answer.starts_with("it is put off until "), "{began:?}");
    tell(&app, "meeting.started", algebra, "run-1", app.clock.now()).await;
    let ended = explained(&app, &rules, "dlv_4").await;
    assert_eq!(ended.delivery.as_ref().unwrap().answer, "it ended job_1, job_2");
    for rule in ["substitute", "tell"] {
        let of = of(&ended, rule);
        assert_eq!(
            (of.code.as_str(), of.answer.as_str()),
            ("cancelled", "it was cancelled: meeting.started"),
            "{rule}"
        );
        let all = app.entries("cancelled").await;
        assert!(all.iter().any(|entry| of.entries.contains(&entry.index)), "{rule}: {:?}", of.entries);
    }
    assert_eq!(of(&ended, "attendance").code, "put-off");
    // What began one still says so, and what another delivery ended.
    assert_eq!(explained(&app, &rules, "dlv_2").await.delivery.unwrap().answer, "it asked for job_1, job_2");
    // One that ends timers and belongs to a record.
    app.advance(MINUTE).await;
    tell(&app, WAITS, algebra, "run-2", app.clock.now()).await;
    app.set_rules(&[SUBSTITUTE, &TELL.replace("meeting.started", "meeting.ended"), ATTENDANCE]);
    tell(&app, "meeting.ended", algebra, "run-2", app.clock.now()).await;
    let answer = explained(&app, &rules, "dlv_6").await.delivery.unwrap().answer;
    assert_eq!(answer, "it asked for job_6, and ended job_5");
    app.cancel_all().await;
}

#[tokio::test]
async fn a_plan_since_a_moment_says_what_timers_and_records_would_have_done() {
    let rules = [SUBSTITUTE, TELL, ATTENDANCE];
    let app = with_host(&rules).await;
    let algebra = meeting(&app).await;
    let since = app.clock.now();
    for run in ["run-1", "run-2"] {
        tell(&app, WAITS, algebra, run, app.clock.now()).await;
        tell(&app, "meeting.participant_joined", algebra, run, app.clock.now()).await;
    }
    tell(&app, "meeting.started", algebra, "run-1", app.clock.now()).await;
    let scope = PlanScope { since: Some(since), ..PlanScope::default() };
    let planned = app.ticking(worker::plan(&app.parts, &app.account(), &scope, 30)).await.unwrap();
    let told = planned.to_string();
    for expected in [
        "1 meeting with events or work since",
        // A plan that is applied must do nothing before its time.
        "substitute: 0 meetings to be changed",
        "  2 events: an event of its timer, which looks when it is due, unless something ends it",
        "  2 events: a run of a meeting of which it sends a record",
    ] {
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
    assert!(!told.contains("ensures nothing"), "{told}");
    app.cancel_all().await;
}

#[tokio::test]
async fn a_timer_goes_by_the_rule_as_it_is_when_it_is_due_and_waits_for_one_that_is_gone() {
    let app = with_host(&[SUBSTITUTE]).await;
    let back = ComeBack::new(app.parts.clone());
    back.look().await.unwrap();
    let (gone, shorter, other) = (meeting(&app).await, meeting(&app).await, meeting(&app).await);
    tell(&app, WAITS, gone, "run-1", app.clock.now()).await;
    app.set_rules(&[]);
    app.advance(5 * MINUTE).await;
    assert_eq!((app.state().await.as_str(), hosts(&app, gone).as_str()), ("parked rule-gone", ""));
    app.set_rules(&[SUBSTITUTE]);
    back.look().await.unwrap();
    app.drain().await;
    assert_eq!((app.state().await.as_str(), hosts(&app, gone).as_str()), ("changed", DEPUTY));
    app.world.add_user(ACCOUNT, NewUser::licensed("other@acme.example")).unwrap();
    // Another time, another host, other ends: the timer that runs keeps its time, and what it does is what the rule wants.
    tell(&app, WAITS, shorter, "run-2", app.clock.now()).await;
    let changed =
        SUBSTITUTE.replace("5m", "1m").replace("deputy@", "other@").replace("meeting.started", "meeting.alert");
    app.set_rules(&[&changed]);
    tell(&app, "meeting.started", shorter, "run-2", app.clock.now()).await;
    app.advance(4 * MINUTE).await;
    assert_eq!(hosts(&app, shorter), "");
    app.advance(MINUTE).await;
    assert_eq!((app.state().await.as_str(), hosts(&app, shorter).as_str()), ("changed", "other@acme.example"));
    // Other events: nobody who waits met its condition.
    app.set_rules(&[SUBSTITUTE]);
    tell(&app, WAITS, other, "run-3", app.clock.now()).await;
    app.set_rules(&[&SUBSTITUTE.replace(WAITS, "meeting.participant_joined")]);
    app.advance(5 * MINUTE).await;
    assert_eq!((app.state().await.as_str(), hosts(&app, other).as_str()), ("parked rule-gone", ""));
    app.cancel_all().await;
}
