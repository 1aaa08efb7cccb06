//! Records of runs of meetings.

use std::time::Duration;

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::clock::{Clock as _, Timestamp};
use adjutant::event::fold::attendance;
use adjutant::job::{Job, JobState};
use adjutant::rules::Fold;
use adjutant::work::{Folded, Record, fold};
use serde_json::{Value, json};

use super::{ACCOUNT, TestApp};

const MINUTE: Duration = Duration::from_secs(60);
const MEETING: u64 = 98_000_000_001;

const ATTENDANCE: &str = r#"
name = "attendance"
for = "meeting"
on = ["meeting.participant_joined", "meeting.participant_left", "meeting.ended"]
fold = "attendance"
ensure = { settings = { waiting_room = true } }
"#;

fn body(event: &str, at: Timestamp, more: &Value) -> Value {
    let mut object = json!({ "id": MEETING.to_string(), "uuid": "run/1==", "host_id": "jill", "topic": "Algebra" });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "event": event, "event_ts": at.as_millis(), "payload": { "account_id": ACCOUNT, "object": object } })
}

fn joined(at: Timestamp, who: &str) -> Value {
    let who = json!({ "user_id": who, "user_name": who, "id": "", "email": "", "join_time": at.to_string() });
    body("meeting.participant_joined", at, &json!({ "participant": who }))
}

fn left(at: Timestamp, who: &str) -> Value {
    let who = json!({ "user_id": who, "user_name": who, "id": "", "email": "", "leave_time": at.to_string() });
    body("meeting.participant_left", at, &json!({ "participant": who }))
}

fn ended(at: Timestamp) -> Value {
    body("meeting.ended", at, &json!({ "end_time": at.to_string() }))
}

async fn tell(app: &TestApp, body: &Value) {
    app.world.emit(ACCOUNT, body["event"].as_str().unwrap(), body.to_string()).unwrap();
    app.drain().await;
}

async fn record(app: &TestApp, job: &Job) -> Record {
    match fold(&*app.store, job, Fold::Attendance).await.unwrap() {
        Folded::Record(record) => *record,
        Folded::Nothing(why) => panic!("{} has no record: {why}", job.id),
    }
}

fn who(record: &Record) -> Vec<(String, u64)> {
    record.attendance.participants.iter().map(|who| (who.name.clone().unwrap(), who.seconds / 60)).collect()
}

#[tokio::test]
async fn a_record_is_made_two_minutes_after_the_end_and_amended_by_what_comes_late() {
    let mut app = TestApp::start(&[ATTENDANCE]).await;
    let start = app.clock.now();
    let at = |minute: u32| start.plus(MINUTE * minute);
    for event in [joined(at(0), "Ann"), joined(at(1), "Bob"), left(at(20), "Ann")] {
        tell(&app, &event).await;
    }
    app.clock.set(at(45));
    tell(&app, &ended(at(45))).await;
    app.advance(Duration::from_secs(90)).await;
    // His line broke: Zoom says so late.
    tell(&app, &left(at(44), "Bob")).await;
    assert_eq!(app.state().await, "due");
    app.restart().await;
    app.advance(Duration::from_secs(29)).await;
    assert_eq!(app.state().await, "due");
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(app.state().await, "record 1: 2 participants");
    let first = app.jobs().await.remove(0);
    assert_eq!(who(&record(&app, &first).await), [("Ann".to_owned(), 20), ("Bob".to_owned(), 43)]);
    // Later still, and all at once: one record more.
    tell(&app, &joined(at(30), "Ann")).await;
    tell(&app, &left(at(40), "Ann")).await;
    app.advance(2 * MINUTE).await;
    assert_eq!(app.state().await, "record 2, amends record 1: 2 participants");
    let second = app.jobs().await.remove(0);
    let amended = record(&app, &second).await;
    assert_eq!((amended.number, amended.amends, amended.is_cut_short), (2, Some(1), false));
    assert_eq!(who(&amended), [("Ann".to_owned(), 30), ("Bob".to_owned(), 43)]);
    assert_eq!(who(&record(&app, &first).await), [("Ann".to_owned(), 20), ("Bob".to_owned(), 43)], "as it was sent");
    // What says nothing new amends nothing: the same event with another time of sending.
    let mut again = left(at(40), "Ann");
    again["event_ts"] = json!(at(41).as_millis());
    tell(&app, &again).await;
    app.advance(2 * MINUTE).await;
    assert_eq!(app.state().await, "the late events say nothing new");
}

#[tokio::test]
async fn a_record_is_the_same_in_whatever_order_its_events_come_and_over_restarts() {
    for seed in 0..8 {
        let chance = SeededChance::new(seed);
        let below = |end: u64| chance.next_u64() % end;
        let mut app = TestApp::start(&[ATTENDANCE]).await;
        let start = app.clock.now();
        let mut events = vec![ended(start.plus(60 * MINUTE))];
        for _ in 0..12 {
            let (who, at) = (
                ["Ann", "Bob", "Eve"][usize::try_from(below(3)).unwrap()],
                start.plus(Duration::from_secs(below(3600))),
            );
            events.push(if below(2) == 0 { joined(at, who) } else { left(at, who) });
        }
        let expected = attendance(&events);
        let mut told = events.clone();
        told.extend(events.iter().filter(|_| below(3) == 0).cloned());
        for place in (1..told.len()).rev() {
            told.swap(place, usize::try_from(below(u64::try_from(place + 1).unwrap())).unwrap());
        }
        for event in &told {
            tell(&app, event).await;
            if below(5) == 0 {
                app.restart().await;
            }
            app.advance(Duration::from_secs(below(90))).await;
        }
        // Before `ended` came, only that it did not come ends the waiting.
        app.advance(32 * 60 * MINUTE).await;
        let jobs = app.jobs().await;
        assert!(jobs.iter().all(|job| matches!(job.state, JobState::Done { .. })), "seed {seed}: {jobs:#?}");
        let mut newest = None;
        for job in jobs.iter().rev() {
            if let Folded::Record(record) = fold(&*app.store, job, Fold::Attendance).await.unwrap() {
                newest = Some(record);
            }
        }
        let newest = newest.unwrap_or_else(|| panic!("seed {seed}: no record"));
        assert_eq!(newest.attendance, expected, "seed {seed}");
        assert_eq!(newest.amends, newest.number.checked_sub(1).filter(|before| *before > 0), "seed {seed}");
    }
}
