//! Rules that send events to consumers, over real sockets and to real files.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adjutant::clock::{Clock as _, SystemClock};
use adjutant::feed::{Consumer, Consumers, Kind, Rotate, Secret, Webhook};
use adjutant::job::{Effect, Outcome};
use adjutant::store::DeliveryFilter;
use adjutant::work::{Feed as _, Message, Sending};
use adjutant::worker::{Planner, Roster};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{ACCOUNT, Left, TestApp};

pub(super) const JILL: &str = "jill@acme.example";
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_KEY: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl3Jz0Wk2nJ8VnTzQJmvI=";
const RULE: &str = r#"
name = "tell"
for = "event"
on = ["meeting.created", "meeting.deleted"]
when = 'event.payload.object.type == 2'
send = "timetable"
mode = "enforce"
"#;

/// What a consumer answers: a status, and a header.
pub(super) type Answer = (u16, Option<(&'static str, &'static str)>);

/// A consumer's side: answers as it is told, then 204.
#[derive(Clone, Default)]
pub(super) struct Hook {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    pub(super) got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> Response {
    hook.got.lock().unwrap().push((headers, body));
    let (status, header) = hook.answers.lock().unwrap().pop_front().unwrap_or((204, None));
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

impl Hook {
    /// Where it listens.
    pub(super) async fn open(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    pub(super) fn answer(&self, answers: &[Answer]) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn ids(&self) -> Vec<String> {
        let id = |(headers, _): &(HeaderMap, Bytes)| headers["webhook-id"].to_str().unwrap().to_owned();
        self.got.lock().unwrap().iter().map(id).collect()
    }

    pub(super) fn bodies(&self) -> Vec<Value> {
        self.got.lock().unwrap().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }
}

fn webhook(url: &str, keys: &[&str], allow_private: bool) -> Consumer {
    let secrets = keys.iter().map(|key| Secret::parse(key).unwrap()).collect();
    let kind = Kind::Webhook(Webhook { url: url.to_owned(), secrets, allow_private, headers: HeaderMap::new() });
    Consumer { name: "timetable".parse().unwrap(), kind, push: None }
}

fn file(path: &Path) -> Consumer {
    Consumer {
        name: "timetable".parse().unwrap(),
        kind: Kind::File { path: path.to_owned(), rotate: Rotate::default() },
        push: None,
    }
}

async fn with(consumer: Consumer, rule: &str) -> TestApp {
    let app = TestApp::start(&[rule]).await;
    app.world.add_user(ACCOUNT, adjutant::sim::NewUser::licensed(JILL)).unwrap();
    app.drain().await;
    app.consumers.replace(&[consumer]);
    app
}

pub(super) async fn hooked(rule: &str) -> (TestApp, Hook) {
    let hook = Hook::default();
    let app = with(webhook(&hook.open().await, &[KEY], true), rule).await;
    (app, hook)
}

pub(super) fn meeting(app: &TestApp, topic: &str) -> u64 {
    app.world.create_meeting(ACCOUNT, JILL, &json!({ "topic": topic, "type": 2, "password": "s3cret" })).unwrap()
}

#[tokio::test]
async fn an_event_is_posted_with_signatures_that_the_official_library_takes_and_without_secrets() {
    let hook = Hook::default();
    let app = with(webhook(&hook.open().await, &[OTHER_KEY, KEY], true), RULE).await;
    let made = meeting(&app, "Algebra");
    let instant = json!({ "topic": "not asked for", "type": 3 });
    app.world.create_meeting(ACCOUNT, JILL, &instant).unwrap();
    app.drain().await;
    let got = hook.got.lock().unwrap().clone();
    let [(headers, body)] = got.as_slice() else { panic!("{} messages", got.len()) };
    let (id, at) = (headers["webhook-id"].to_str().unwrap(), headers["webhook-timestamp"].to_str().unwrap());
    assert_eq!(at.parse::<i64>().unwrap(), app.clock.now().as_secs());
    let signatures = headers["webhook-signature"].to_str().unwrap();
    for (key, found) in [OTHER_KEY, KEY].into_iter().zip(signatures.split(' ')) {
        let official = standardwebhooks::Webhook::new(key).unwrap();
        assert_eq!(official.sign(id, at.parse().unwrap(), body).unwrap(), found);
    }
    assert_eq!(headers["content-type"], "application/json");
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(!text.contains("s3cret") && !text.contains("join_url"), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["type"], "meeting.created");
    assert!(body["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{text}");
    let data = &body["data"];
    assert_eq!((&data["account"], &data["app"], &data["rule"]), (&ACCOUNT.into(), &"main".into(), &"tell".into()));
    assert!(data["delivery"].as_str().unwrap().starts_with("dlv_"), "{text}");
    assert_eq!((&data["event"]["object"]["topic"], &data["event"]["object"]["id"]), (&"Algebra".into(), &made.into()));
    let told = app.entries("sent").await;
    assert_eq!(told.len(), 1);
    let note = &told[0].detail.as_ref().unwrap().note;
    assert!(note.starts_with("meeting.created to timetable, msg_") && note.ends_with(": 204"), "{note}");
    let deliveries = app.store.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.unwrap();
    let mut said = Vec::new();
    for delivery in &deliveries {
        let (stored, _) = app.store.delivery(delivery.id).await.unwrap().unwrap();
        said.extend(adjutant::worker::decide(&app.parts, &stored).await.unwrap().into_iter().map(|one| one.answer));
    }
    assert!(said.contains(&"would send it to timetable".to_owned()), "{said:?}");
    assert_eq!(app.calls("/"), 0, "nothing at Zoom is asked");
}

#[tokio::test]
async fn the_official_library_takes_what_is_sent_by_the_clock_of_the_machine() {
    let (hook, clock) = (Hook::default(), SystemClock);
    let consumer = webhook(&hook.open().await, &[OTHER_KEY, KEY], true);
    let consumers = Consumers::new(std::slice::from_ref(&consumer), Arc::new(clock));
    let message = Message {
        id: "msg_1_2".to_owned(),
        event: "meeting.created".to_owned(),
        at: clock.now(),
        account: ACCOUNT.parse().unwrap(),
        app: "main".parse().unwrap(),
        rule: "tell".parse().unwrap(),
        severity: None,
        delivery: Some("dlv_1".parse().unwrap()),
        whole: json!({ "payload": { "object": { "topic": "Größe" } } }),
        about: serde_json::Map::new(),
        record: None,
    };
    let sent = consumers.send(Sending { to: &consumer.name, template: None, message: &message }).await;
    assert!(matches!(sent, Outcome::Done(Effect::Sent { .. })), "{sent:?}");
    let (headers, body) = hook.got.lock().unwrap()[0].clone();
    for key in [OTHER_KEY, KEY] {
        standardwebhooks::Webhook::new(key).unwrap().verify(&body, &headers).unwrap();
    }
    let stranger = standardwebhooks::Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    assert!(stranger.verify(&body, &headers).is_err());
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id_until_it_is_taken() {
    let (app, hook) = hooked(RULE).await;
    hook.answer(&[(500, None), (302, Some(("location", "http://127.0.0.1:9/"))), (404, None)]);
    meeting(&app, "Algebra");
    app.advance(Duration::from_secs(3600)).await;
    let ids = hook.ids();
    assert_eq!((ids.len(), ids.iter().all(|id| *id == ids[0])), (4, true), "{ids:?}");
    let told: Vec<String> =
        app.entries("retries").await.iter().map(|entry| entry.detail.as_ref().unwrap().note.clone()).collect();
    assert_eq!(
        told,
        [
            "timetable: it answered 500",
            "timetable: it answered 302, a redirect to http://127.0.0.1:9/, which is not followed",
            "timetable: it answered 404",
        ]
    );
    assert!(app.state().await.starts_with("sent meeting.created to timetable"));
}

#[tokio::test]
async fn who_never_answers_is_left_to_a_person_and_goes_on_when_it_does() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let app = with(webhook(&format!("http://{closed}/"), &[KEY], true), RULE).await;
    meeting(&app, "Algebra");
    app.advance(Duration::from_secs(7 * 86_400)).await;
    assert_eq!(app.state().await, "parked attempts-used-up");
    let hook = Hook::default();
    app.consumers.replace(&[webhook(&hook.open().await, &[KEY], true)]);
    assert_eq!(app.retry_parked("attempts-used-up").await, 1);
    app.drain().await;
    assert_eq!(hook.ids().len(), 1);
}

#[tokio::test]
async fn a_consumer_that_is_gone_parks_at_once_and_one_that_is_busy_is_asked_again_when_it_says() {
    let (app, hook) = hooked(RULE).await;
    hook.answer(&[(429, Some(("retry-after", "90"))), (503, Some(("retry-after", "30"))), (410, None)]);
    meeting(&app, "Algebra");
    for (secs, tries) in [(89, 1), (1, 2), (29, 2), (1, 3)] {
        app.advance(Duration::from_secs(secs)).await;
        assert_eq!(hook.ids().len(), tries);
    }
    assert_eq!(app.state().await, "parked consumer-gone");
    assert_eq!(app.jobs().await[0].attempts, 1, "who is asked to wait loses no attempt");
    assert_eq!(app.retry_parked("consumer-gone").await, 1);
    app.drain().await;
    assert_eq!(hook.ids().len(), 4);
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_gets_nothing() {
    let hook = Hook::default();
    let url = hook.open().await.replace("http:", "https:").replace("127.0.0.1", "localhost");
    let app = with(webhook(&url, &[KEY], false), RULE).await;
    meeting(&app, "Algebra");
    app.drain().await;
    let told = app.entries("retries").await;
    let note = &told[0].detail.as_ref().unwrap().note;
    assert!(note.starts_with("timetable: localhost is at ") && note.contains("a private address"), "{note}");
    assert!(hook.ids().is_empty());
    app.cancel_all().await;
}

#[tokio::test]
async fn what_was_planned_before_the_end_of_the_process_is_sent_after_it() {
    let (mut app, hook) = hooked(RULE).await;
    meeting(&app, "Algebra");
    app.deliver().await;
    let roster: Arc<Roster> = Arc::clone(&app.roster.borrow());
    assert_eq!(Planner::new(app.parts.clone()).plan_once(&roster).await.unwrap(), 1);
    assert!(hook.ids().is_empty(), "it is only planned");
    app.restart().await;
    app.drain().await;
    assert_eq!(hook.ids().len(), 1);
}

#[tokio::test]
async fn the_same_meaning_is_sent_once_and_a_replay_again_under_another_id() {
    let (app, hook) = hooked(RULE).await;
    app.subscribe();
    meeting(&app, "Algebra");
    app.drain().await;
    let rows = app.store.deliveries(DeliveryFilter { limit: 10, ..DeliveryFilter::default() }).await.unwrap();
    let created: Vec<_> = rows.iter().filter(|row| row.event.as_deref() == Some("meeting.created")).collect();
    assert_eq!((created.len(), hook.ids().len()), (2, 1), "two deliveries of one event");
    app.clock.advance(Duration::from_secs(1));
    app.store.replay(created[0].id, "a test", app.clock.now()).await.unwrap();
    app.drain().await;
    let ids = hook.ids();
    assert_eq!((ids.len(), ids[0] == ids[1]), (2, false), "{ids:?}");
}

#[tokio::test]
async fn a_rule_that_observes_says_what_it_would_send_and_sends_nothing() {
    let (app, hook) = hooked(&RULE.replace("enforce", "observe")).await;
    meeting(&app, "Algebra");
    app.drain().await;
    assert!(app.state().await.starts_with("would send meeting.created to timetable, msg_"), "{}", app.state().await);
    assert!(hook.ids().is_empty());
    assert_eq!(app.entries("would-send").await.len(), 1);
}

#[tokio::test]
async fn a_template_makes_the_body_and_one_that_cannot_parks_until_it_is_mended() {
    let template = |text: &str| format!("{RULE}template = '{text}'\n");
    let (app, hook) = hooked(&template(r#"{"text": "{{ event.payload.object.nope }}"}"#)).await;
    meeting(&app, "\", \"admin\": \"yes");
    app.drain().await;
    assert_eq!(app.state().await, "parked not-sendable");
    let told = app.entries("parked").await;
    let note = &told[0].detail.as_ref().unwrap().note;
    assert!(note.starts_with("there is nothing that could be sent: line 1 of the template: "), "{note}");
    app.set_rules(&[&template(r#"{"text": "{{ event.payload.object.topic }} in {{ account }}", "{{ rule }}": 1}"#)]);
    assert_eq!(app.retry_parked("not-sendable").await, 1);
    app.drain().await;
    assert_eq!(hook.bodies(), [json!({ "text": "\", \"admin\": \"yes in acme", "tell": 1 })]);
}

#[tokio::test]
async fn a_send_whose_rule_or_consumer_is_gone_waits_for_it() {
    let (app, hook) = hooked(RULE).await;
    app.consumers.replace(&[]);
    meeting(&app, "Algebra");
    app.drain().await;
    // A reload takes in consumers a moment before rules.
    assert_eq!(app.entries("retries").await.len(), 1);
    app.set_rules(&[]);
    app.advance(Duration::from_secs(60)).await;
    assert_eq!(app.state().await, "parked rule-gone");
    let other = RULE.replace("for = \"event\"", "for = \"meeting\"").replace("send = \"timetable\"", "");
    app.set_rules(&[&format!("{other}ensure = {{ settings = {{ waiting_room = true }} }}")]);
    app.retry_parked("rule-gone").await;
    app.drain().await;
    assert_eq!(app.state().await, "parked rule-gone", "a rule of its name that sends nothing is another");
    app.expect_left(Left { parked: 1, waiting: 0 });
    assert!(hook.ids().is_empty());
}

#[tokio::test]
async fn a_file_gets_a_line_for_each_event_whatever_was_cut_off_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/events.jsonl");
    let app = with(file(&path), RULE).await;
    let first = meeting(&app, "Algebra");
    app.drain().await;
    let told = app.entries("retries").await;
    assert!(told[0].detail.as_ref().unwrap().note.contains("events.jsonl cannot be written: "), "{told:?}");
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    app.advance(Duration::from_secs(60)).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // As a process leaves it that is killed while it writes.
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{{\"type\":\"meeti")).unwrap();
    app.world.delete_meeting(ACCOUNT, first).unwrap();
    app.set_rules(&[&RULE.replace("when", "# when")]);
    app.drain().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[1], text.ends_with('\n')), (3, "{\"type\":\"meeti", true), "{text}");
    let types: Vec<Value> =
        [lines[0], lines[2]].map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone()).into();
    assert_eq!(types, ["meeting.created", "meeting.deleted"]);
}

#[tokio::test]
async fn what_is_no_plain_file_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let app = with(file(&path), RULE).await;
    meeting(&app, "Algebra");
    app.drain().await;
    let told = app.entries("retries").await;
    assert!(told[0].detail.as_ref().unwrap().note.ends_with("it is not a plain file"), "{told:?}");
    app.cancel_all().await;
}

pub(super) fn told(event: &str, at: adjutant::clock::Timestamp, more: &Value) -> (String, String) {
    let mut object = json!({ "id": "98000000001", "uuid": "run/1==", "host_id": "jill", "topic": "Algebra" });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let payload = json!({ "account_id": ACCOUNT, "object": object });
    (event.to_owned(), json!({ "event": event, "event_ts": at.as_millis(), "payload": payload }).to_string())
}

pub(super) async fn tell(app: &TestApp, (event, body): (String, String)) {
    app.world.emit(ACCOUNT, &event, body).unwrap();
    app.drain().await;
}

#[tokio::test]
async fn who_waits_for_a_host_is_told_of_after_five_minutes_and_only_where_nobody_came() {
    const MINUTE: Duration = Duration::from_secs(60);
    let rule = r#"
name = "nobody-came"
for = "event"
on = ["meeting.participant_jbh_waiting"]
after = "5m"
unless = ["meeting.started"]
send = "timetable"
mode = "enforce"
"#;
    let (mut app, hook) = hooked(rule).await;
    let start = app.clock.now();
    let waits = |uuid: &str, at| told("meeting.participant_jbh_waiting", at, &json!({ "uuid": uuid }));
    tell(&app, waits("run/1==", start)).await;
    tell(&app, waits("run/1==", start)).await;
    app.advance(4 * MINUTE).await;
    app.restart().await;
    assert_eq!(hook.bodies().len(), 0);
    app.advance(MINUTE).await;
    let bodies = hook.bodies();
    assert_eq!((bodies.len(), &bodies[0]["type"]), (1, &"meeting.participant_jbh_waiting".into()));
    assert_eq!(bodies[0]["data"]["event"]["object"]["topic"], "Algebra");
    // The next lesson begins in time.
    let next = app.clock.now();
    tell(&app, waits("run/2==", next)).await;
    app.advance(2 * MINUTE).await;
    tell(&app, told("meeting.started", app.clock.now(), &json!({ "uuid": "run/2==" }))).await;
    app.advance(60 * MINUTE).await;
    assert_eq!(hook.bodies().len(), 1);
}

#[tokio::test]
async fn the_attendance_of_a_run_is_sent_as_one_record() {
    const MINUTE: Duration = Duration::from_secs(60);
    let rule = r#"
name = "attendance"
for = "event"
on = ["meeting.participant_joined", "meeting.participant_left", "meeting.ended"]
fold = "attendance"
send = "timetable"
template = '{"people": {{ record.attendance.participants | length }}, "first": "{{ record.attendance.participants[0].name }}"}'
mode = "enforce"
"#;
    for with_template in [false, true] {
        let rule = if with_template { rule.to_owned() } else { rule.replace("template", "description") };
        let (mut app, hook) = hooked(&rule).await;
        let start = app.clock.now();
        let who = |name: &str, key: &str, at: adjutant::clock::Timestamp| json!({ "participant": { "user_id": name, "user_name": name, "id": "", "email": "", key: at.to_string() } });
        tell(&app, told("meeting.participant_joined", start, &who("Ann \"A\"", "join_time", start))).await;
        let end = start.plus(45 * MINUTE);
        app.advance(45 * MINUTE).await;
        tell(&app, told("meeting.participant_left", end, &who("Ann \"A\"", "leave_time", end))).await;
        tell(&app, told("meeting.ended", end, &json!({ "end_time": end.to_string() }))).await;
        app.restart().await;
        app.advance(2 * MINUTE).await;
        let bodies = hook.bodies();
        assert_eq!(bodies.len(), 1, "{with_template}");
        if with_template {
            assert_eq!(bodies[0], json!({ "people": 1, "first": "Ann \"A\"" }));
        } else {
            assert_eq!(bodies[0]["type"], "adjutant.attendance");
            let record = &bodies[0]["data"]["record"];
            assert_eq!((&record["number"], &record["amends"]), (&1.into(), &Value::Null));
            assert_eq!(record["attendance"]["participants"][0]["seconds"], 2700);
        }
    }
}

#[tokio::test]
async fn events_of_groups_and_accounts_are_sent_as_those_of_meetings_are() {
    let events = ["group.member_added", "group.members_deleted", "account.settings_updated", "app_deauthorized"];
    let rule = format!("name = \"tell\"\nfor = \"event\"\non = {events:?}\nsend = \"timetable\"\nmode = \"enforce\"\n");
    let (app, hook) = hooked(&rule).await;
    let objects = [
        json!({ "id": "g1", "name": "Maths", "members": [{ "id": "u1", "email": JILL, "display_name": "Jill" }] }),
        json!({ "id": "g1", "name": "Maths", "deletion_time": "2026-01-01T00:00:00Z" }),
        json!({ "id": "acc", "settings": { "schedule_meeting": { "host_video": true, "pstn_password": "s3cret" } } }),
        json!({}),
    ];
    for (event, object) in events.into_iter().zip(objects) {
        let mut payload = json!({ "account_id": ACCOUNT, "operator_id": "op" });
        if event != "app_deauthorized" {
            payload["object"] = object;
        }
        let body = json!({ "event": event, "event_ts": app.clock.now().as_millis(), "payload": payload });
        tell(&app, (event.to_owned(), body.to_string())).await;
    }
    let bodies = hook.bodies();
    let types: Vec<&str> = bodies.iter().map(|body| body["type"].as_str().unwrap()).collect();
    assert_eq!(types, events);
    assert!(bodies.iter().all(|body| body["data"]["account"] == ACCOUNT), "{bodies:?}");
    assert_eq!(bodies[0]["data"]["event"]["object"]["members"][0]["email"], JILL);
    let settings = &bodies[2]["data"]["event"]["object"]["settings"]["schedule_meeting"];
    assert_eq!(*settings, json!({ "host_video": true }), "without its secret");
}
