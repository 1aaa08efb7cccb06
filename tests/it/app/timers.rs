//! Timers of rules about events.

use std::collections::BTreeMap;
use std::time::Duration;

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::clock::{Clock as _, Timestamp};
use adjutant::job::{JobState, Subject};
use serde_json::json;

use super::{ACCOUNT, DEPUTY, TestApp};

pub(super) const JILL: &str = "jill@acme.example";
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const WAITS: &str = "meeting.participant_jbh_waiting";

/// Who waits for five minutes gets a substitute.
pub(super) const SUBSTITUTE: &str = r#"
name = "substitute"
for = "meeting"
on = ["meeting.participant_jbh_waiting"]
after = "5m"
unless = ["meeting.started"]
ensure = { settings = { alternative_hosts = ["deputy@acme.example"] } }
mode = "enforce"
"#;

pub(super) async fn with_host(rules: &[&str]) -> TestApp {
    let app = TestApp::start(rules).await;
    for user in [JILL, DEPUTY] {
        app.world.add_user(ACCOUNT, adjutant::sim::NewUser::licensed(user)).unwrap();
    }
    app
}

pub(super) async fn meeting(app: &TestApp) -> u64 {
    let made = app.world.create_meeting(ACCOUNT, JILL, &json!({ "topic": "Algebra", "type": 2 })).unwrap();
    app.drain().await;
    made
}

pub(super) fn hosts(app: &TestApp, meeting: u64) -> String {
    app.world.meeting(ACCOUNT, meeting).unwrap().settings["alternative_hosts"].as_str().unwrap_or_default().to_owned()
}

fn body(event: &str, meeting: u64, uuid: &str, at: Timestamp) -> String {
    let object = json!({ "id": meeting.to_string(), "uuid": uuid, "host_id": "jill", "topic": "Algebra", "type": 2 });
    let payload = json!({ "account_id": ACCOUNT, "object": object });
    json!({ "event": event, "event_ts": at.as_millis(), "payload": payload }).to_string()
}

pub(super) async fn tell(app: &TestApp, event: &str, meeting: u64, uuid: &str, at: Timestamp) {
    app.world.emit(ACCOUNT, event, body(event, meeting, uuid, at)).unwrap();
    app.drain().await;
}

#[tokio::test]
async fn who_waits_for_five_minutes_gets_a_substitute_once_and_not_before() {
    let app = with_host(&[SUBSTITUTE]).await;
    let algebra = meeting(&app).await;
    let start = app.clock.now();
    tell(&app, WAITS, algebra, "run-1", start).await;
    assert_eq!(app.state().await, "due");
    app.advance(4 * MINUTE).await;
    tell(&app, WAITS, algebra, "run-1", app.clock.now()).await;
    app.advance(Duration::from_secs(59)).await;
    assert_eq!(hosts(&app, algebra), "");
    app.advance(Duration::from_secs(1)).await;
    assert_eq!((hosts(&app, algebra).as_str(), app.state().await.as_str()), (DEPUTY, "changed"));
    // Who waits later in the same run begins nothing; in another run of the meeting, they do.
    tell(&app, WAITS, algebra, "run-1", app.clock.now()).await;
    assert_eq!(app.jobs().await.len(), 1);
    tell(&app, WAITS, algebra, "run-2", app.clock.now()).await;
    app.advance(5 * MINUTE).await;
    assert_eq!((app.jobs().await.len(), app.state().await.as_str()), (2, "already right"));
}

#[tokio::test]
async fn a_timer_counts_from_when_the_event_happened_and_is_never_due_in_the_past() {
    let app = with_host(&[SUBSTITUTE]).await;
    let (late, later) = (meeting(&app).await, meeting(&app).await);
    tell(&app, WAITS, late, "late", app.clock.now().minus(3 * MINUTE)).await;
    app.advance(2 * MINUTE).await;
    assert_eq!(hosts(&app, late), DEPUTY);
    tell(&app, WAITS, later, "later", app.clock.now().minus(60 * MINUTE)).await;
    assert_eq!(hosts(&app, later), DEPUTY);
    // A clock of Zoom's that runs ahead puts nothing off.
    let ahead = meeting(&app).await;
    tell(&app, WAITS, ahead, "ahead", app.clock.now().plus(60 * MINUTE)).await;
    app.advance(5 * MINUTE).await;
    assert_eq!(hosts(&app, ahead), DEPUTY);
}

#[tokio::test]
async fn a_timer_ends_by_its_run_and_by_its_meeting_where_the_event_is_no_older() {
    for (uuid, minutes_ago, ends) in [
        ("run-1", 0, true),
        // Another uuid than they waited for.
        ("run-2", 0, true),
        // An earlier run of the meeting, told late.
        ("run-0", 30, false),
        ("run-1", 30, true),
    ] {
        for is_first in [false, true] {
            let app = with_host(&[SUBSTITUTE]).await;
            let algebra = meeting(&app).await;
            let (now, case) = (app.clock.now(), format!("{uuid} {minutes_ago} first: {is_first}"));
            let started = now.minus(MINUTE * minutes_ago);
            if is_first {
                tell(&app, "meeting.started", algebra, uuid, started).await;
            }
            tell(&app, WAITS, algebra, "run-1", now).await;
            if !is_first {
                tell(&app, "meeting.started", algebra, uuid, started).await;
            }
            app.advance(5 * MINUTE).await;
            assert_eq!(hosts(&app, algebra), if ends { "" } else { DEPUTY }, "{case}");
            if ends && !is_first {
                assert_eq!(app.state().await, "cancelled meeting.started", "{case}");
                assert_eq!(app.entries("cancelled").await.len(), 1);
            }
            // Nor does one more of the same run begin any.
            let jobs = app.jobs().await.len();
            tell(&app, WAITS, algebra, "run-1", app.clock.now()).await;
            assert_eq!((jobs, app.jobs().await.len()), (usize::from(!ends || !is_first), jobs), "{case}");
        }
    }
}

#[tokio::test]
async fn a_timer_and_what_ended_one_outlive_a_restart() {
    let mut app = with_host(&[SUBSTITUTE]).await;
    let (waited, started) = (meeting(&app).await, meeting(&app).await);
    tell(&app, WAITS, waited, "run-1", app.clock.now()).await;
    tell(&app, "meeting.started", started, "run-2", app.clock.now()).await;
    app.restart().await;
    tell(&app, WAITS, started, "run-3", app.clock.now().minus(MINUTE)).await;
    app.advance(5 * MINUTE).await;
    assert_eq!((hosts(&app, waited).as_str(), hosts(&app, started).as_str()), (DEPUTY, ""));
    app.restart().await;
    tell(&app, WAITS, waited, "run-1", app.clock.now()).await;
    assert_eq!(app.jobs().await.len(), 1);
}

#[tokio::test]
async fn a_timer_of_a_meeting_that_is_deleted_ends_unasked() {
    let app = with_host(&[SUBSTITUTE]).await;
    let algebra = meeting(&app).await;
    tell(&app, WAITS, algebra, "run-1", app.clock.now()).await;
    app.world.delete_meeting(ACCOUNT, algebra).unwrap();
    app.advance(5 * MINUTE).await;
    assert_eq!(app.state().await, "cancelled meeting.deleted");
}

#[tokio::test]
async fn a_meeting_that_came_back_has_its_timers() {
    let app = with_host(&[SUBSTITUTE]).await;
    let algebra = meeting(&app).await;
    app.world.delete_meeting(ACCOUNT, algebra).unwrap();
    app.drain().await;
    app.world.recover_meeting(ACCOUNT, algebra).unwrap();
    app.advance(MINUTE).await;
    let run = app.world.meeting(ACCOUNT, algebra).unwrap().uuid;
    tell(&app, WAITS, algebra, &run, app.clock.now()).await;
    app.advance(5 * MINUTE).await;
    assert_eq!(hosts(&app, algebra), DEPUTY);
}

#[tokio::test]
async fn an_event_without_a_uuid_begins_no_timer_and_is_on_record_and_ends_one_by_its_meeting() {
    let app = with_host(&[SUBSTITUTE]).await;
    let algebra = meeting(&app).await;
    let without = |event: &str| {
        let at = app.clock.now().as_millis();
        format!(
            r#"{{"event":"{event}","event_ts":{at},"payload":{{"account_id":"{ACCOUNT}","object":{{"id":{algebra}}}}}}}"#
        )
    };
    app.world.emit(ACCOUNT, WAITS, without(WAITS)).unwrap();
    app.drain().await;
    assert_eq!(app.jobs().await.len(), 0);
    let told = app.entries("condition-unanswered").await;
    let note = &told[0].detail.as_ref().unwrap().note;
    assert!(note.ends_with("the event names no run of a meeting"), "{note}");
    tell(&app, WAITS, algebra, "run-1", app.clock.now()).await;
    app.world.emit(ACCOUNT, "meeting.started", without("meeting.started")).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "cancelled meeting.started");
}

#[tokio::test]
async fn what_met_a_meeting_in_progress_goes_on_after_the_events_that_its_rule_names() {
    const SHARED: &str = "meeting.sharing_ended";
    let timed = SUBSTITUTE.replace("meeting.started", "meeting.alert");
    let at_once = timed.replace("after = \"5m\"\n", "").replace("unless = [\"meeting.alert\"]\n", "");
    for rule in [timed, at_once] {
        for release in ["", "release = [\"meeting.sharing_ended\"]"] {
            let app = with_host(&[&format!("{rule}{release}")]).await;
            let algebra = meeting(&app).await;
            app.world.start_meeting(ACCOUNT, algebra).unwrap();
            tell(&app, WAITS, algebra, "run-1", app.clock.now()).await;
            app.advance(5 * MINUTE).await;
            let mut attempts = Vec::new();
            for event in [SHARED, "meeting.ended", SHARED] {
                assert_eq!(app.state().await, "waiting meeting-in-progress", "{rule}{release}");
                if event == SHARED {
                    app.advance(MINUTE).await;
                    tell(&app, SHARED, algebra, "run-1", app.clock.now()).await;
                } else {
                    app.world.end_meeting(ACCOUNT, algebra).unwrap();
                    app.drain().await;
                }
                attempts.push(app.entries("started").await.len());
                if app.state().await == "changed" {
                    break;
                }
            }
            assert_eq!(attempts, if release.is_empty() { vec![1, 2] } else { vec![2, 2, 3] }, "{rule}{release}");
            assert_eq!((hosts(&app, algebra).as_str(), app.state().await.as_str()), (DEPUTY, "changed"));
        }
    }
}

/// An event of a random run: whether it begins a timer, its uuid, when it happened and when it came.
#[derive(Debug, Clone)]
struct Told {
    begins: bool,
    meeting: usize,
    uuid: String,
    at: Timestamp,
    comes: Timestamp,
}

/// A timer by the words of the documents: what it was begun by first, when it is due, and what became of it.
#[derive(Debug, Clone)]
struct Expected {
    meeting: usize,
    began: Timestamp,
    due: Timestamp,
    ended: bool,
    fired: bool,
}

/// Which runs have a timer that fires, by the order in which the events come.
fn expected(told: &[Told], end: Timestamp) -> BTreeMap<String, bool> {
    let mut timers: BTreeMap<String, Expected> = BTreeMap::new();
    let ends = |ended: &Told, uuid: &str, began: Timestamp| ended.uuid == uuid || ended.at >= began;
    for (place, event) in told.iter().enumerate() {
        for timer in timers.values_mut().filter(|timer| !timer.ended && timer.due <= event.comes) {
            timer.fired = true;
        }
        if !event.begins {
            for (uuid, timer) in timers.iter_mut().filter(|(_, timer)| timer.meeting == event.meeting && !timer.fired) {
                timer.ended |= ends(event, uuid, timer.began);
            }
            continue;
        }
        let due = event.at.plus(5 * MINUTE).max(event.comes);
        let new = Expected { meeting: event.meeting, began: event.at, due, ended: false, fired: false };
        let timer = timers.entry(event.uuid.clone()).or_insert(new);
        if timer.fired || timer.ended {
            continue;
        }
        (timer.began, timer.due) = (timer.began.min(event.at), timer.due.min(due));
        let mut before = told.iter().take(place).filter(|one| !one.begins && one.meeting == event.meeting);
        timer.ended = before.any(|one| ends(one, &event.uuid, timer.began));
    }
    timers.into_iter().map(|(uuid, timer)| (uuid, timer.fired || (!timer.ended && timer.due <= end))).collect()
}

fn random(chance: &SeededChance, start: Timestamp, meetings: usize) -> Vec<Told> {
    let below = |end: u64| chance.next_u64() % end;
    let mut told = Vec::new();
    for _ in 0..30 {
        let meeting = usize::try_from(below(u64::try_from(meetings).unwrap())).unwrap();
        let at = start.plus(Duration::from_secs(below(1200)));
        // Many come at once, some much later, as Zoom's retries do.
        let late = [0, 0, 0, 20, 300, 1500, 5100][usize::try_from(below(7)).unwrap()];
        let comes = at.plus(Duration::from_secs(late));
        let one = Told { begins: below(5) < 3, meeting, uuid: format!("run-{meeting}-{}", below(3)), at, comes };
        if below(4) == 0 {
            told.push(Told { comes: comes.plus(Duration::from_secs(below(2000))), ..one.clone() });
        }
        told.push(one);
    }
    told.sort_by_key(|one| one.comes);
    told
}

#[tokio::test]
async fn timers_fire_once_each_where_they_should_and_nowhere_else_whatever_order_events_come_in() {
    for seed in 0..12 {
        let chance = SeededChance::new(seed);
        let rule = SUBSTITUTE.replace("enforce", "observe");
        let mut app = with_host(&[&rule]).await;
        let meetings = [meeting(&app).await, meeting(&app).await, meeting(&app).await];
        let told = random(&chance, app.clock.now(), meetings.len());
        for one in &told {
            app.advance(one.comes.since(app.clock.now())).await;
            if chance.next_u64().is_multiple_of(6) {
                app.restart().await;
            }
            let event = if one.begins { WAITS } else { "meeting.started" };
            tell(&app, event, meetings[one.meeting], &one.uuid, one.at).await;
        }
        app.advance(10 * MINUTE).await;
        let mut fired: BTreeMap<String, usize> = BTreeMap::new();
        for job in app.jobs().await {
            let Subject::Instance { uuid, .. } = &job.subject else { panic!("{job:?}") };
            assert!(matches!(job.state, JobState::Done { .. } | JobState::Cancelled { .. }), "{job:?}");
            *fired.entry(uuid.to_string()).or_default() += usize::from(matches!(job.state, JobState::Done { .. }));
        }
        for (uuid, fires) in expected(&told, app.clock.now()) {
            assert_eq!(fired.remove(&uuid).unwrap_or(0), usize::from(fires), "seed {seed} {uuid}\n{told:#?}");
        }
        assert!(fired.is_empty(), "seed {seed}: {fired:?} that nothing began");
    }
}
