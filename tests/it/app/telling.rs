//! Rules that send to people through a notifier, over real sockets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adjutant::chance::SeededChance;
use adjutant::clock::Clock as _;
use adjutant::feed::notify::{Format, Memory, Notifier, Notify, Parts, To, Webhook};
use adjutant::store::StoreError;
use async_trait::async_trait;

use super::sending::{Hook, JILL, meeting, tell, told};
use super::{ACCOUNT, Left, TestApp};

const RULE: &str = r#"
name = "tell"
for = "event"
on = ["meeting.created"]
send = "ops"
mode = "enforce"
"#;

/// What outlasts a notifier.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl Memory for Kept {
    async fn keep(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(name).cloned()
    }
}

struct Ops {
    hook: Hook,
    notifier: Arc<Notifier>,
    kept: Arc<Kept>,
    notify: Notify,
}

impl Ops {
    /// As after a start of the process.
    fn begin_anew(&mut self, app: &TestApp) {
        let (memory, clock) = (Arc::<Kept>::clone(&self.kept), Arc::new(app.clock.clone()));
        let parts = Parts { memory, clock, chance: Arc::new(SeededChance::new(3)) };
        self.notifier = Arc::new(Notifier::new(self.notify.clone(), parts));
        app.consumers.replace_notifiers(vec![Arc::clone(&self.notifier)]);
    }

    fn texts(&self) -> Vec<String> {
        let got = self.hook.got.lock().unwrap();
        got.iter().map(|(_, body)| String::from_utf8(body.to_vec()).unwrap()).collect()
    }

    /// The words of the alarm about what waits.
    fn waits(&self) -> Vec<String> {
        self.notifier
            .alarms()
            .into_iter()
            .filter(|alarm| alarm.code == "messages-wait")
            .map(|alarm| alarm.what)
            .collect()
    }
}

async fn started(rule: &str, per_hour: u32) -> (TestApp, Ops) {
    let app = TestApp::start(&[rule]).await;
    app.world.add_user(ACCOUNT, adjutant::sim::NewUser::licensed(JILL)).unwrap();
    app.drain().await;
    let hook = Hook::default();
    let url = format!("{}/planted-secret", hook.open().await);
    let to = To::Webhook(Webhook { url: url.into(), format: Format::Plain, allow_private: true });
    let every = Duration::from_secs(86_400);
    let notify = Notify { name: "ops".to_owned(), to, only: vec!["clock"], every, rule_messages_per_hour: per_hour };
    let kept = Arc::<Kept>::default();
    let parts = Parts {
        memory: Arc::<Kept>::clone(&kept),
        clock: Arc::new(app.clock.clone()),
        chance: Arc::new(SeededChance::new(3)),
    };
    let notifier = Arc::new(Notifier::new(notify.clone(), parts));
    app.consumers.replace_notifiers(vec![Arc::clone(&notifier)]);
    (app, Ops { hook, notifier, kept, notify })
}

#[tokio::test]
async fn people_are_told_by_a_rule_in_a_sentence_with_ids_and_no_name() {
    let (app, ops) = started(&format!("{RULE}severity = \"warning\"\n"), 30).await;
    let made = meeting(&app, "Algebra");
    meeting(&app, "Biology");
    app.drain().await;
    let texts = ops.texts();
    assert_eq!(texts.len(), 2, "at once, whatever every_minutes says: {texts:?}");
    let begin = format!("warning: meeting.created in account {ACCOUNT} at 20");
    assert!(texts[0].starts_with(&begin) && texts[0].contains(&format!(": id {made}, ")), "{texts:?}");
    assert!(!texts[0].contains("Algebra") && !texts[0].contains("s3cret") && !texts[0].contains("http"), "{texts:?}");
    let entries = app.entries("sent").await;
    let detail = entries[0].detail.as_ref().unwrap();
    assert_eq!(detail.severity.map(adjutant::alarm::Severity::word), Some("warning"));
    assert!(detail.note.starts_with("meeting.created to ops, msg_") && detail.note.ends_with(": 204"), "{detail:?}");
}

#[tokio::test]
async fn a_template_for_people_is_text_in_which_a_topic_begins_no_line() {
    let template = "{\"{{ event.payload.object.topic }}\"} was made\n{{ severity }} in {{ account }}";
    let rule = format!("{RULE}severity = \"critical\"\ntemplate = '''{template}'''\n");
    let (app, ops) = started(&rule, 30).await;
    meeting(&app, "Maths \"A\"\nall is well");
    app.drain().await;
    assert_eq!(ops.texts(), [format!("critical: {{\"Maths \"A\" all is well\"}} was made\ncritical in {ACCOUNT}\n")]);
    app.set_rules(&[&format!("{RULE}template = '{{{{ event.nope.nope }}}}'\n")]);
    meeting(&app, "Algebra");
    app.drain().await;
    assert_eq!(app.state().await, "parked not-sendable");
    app.expect_left(Left { parked: 1, waiting: 0 });
}

#[tokio::test]
async fn a_rule_that_observes_tells_nobody_and_uses_up_nothing() {
    let (app, ops) = started(&RULE.replace("enforce", "observe"), 1).await;
    for topic in ["Algebra", "Biology", "Chemistry"] {
        meeting(&app, topic);
    }
    app.drain().await;
    assert_eq!((ops.texts().len(), app.entries("would-send").await.len(), ops.waits().len()), (0, 3, 0));
}

#[tokio::test]
async fn a_notifier_that_fails_is_tried_again_waits_as_it_says_and_parks_where_it_is_gone() {
    let (app, ops) = started(RULE, 1).await;
    ops.hook.answer(&[(500, None), (429, Some(("retry-after", "90"))), (410, None)]);
    meeting(&app, "Algebra");
    app.drain().await;
    let failed = app.entries("retries").await;
    let note = failed[0].detail.as_ref().unwrap().note.clone();
    assert_eq!(note, "ops: it answered 500", "without its URL");
    while ops.texts().len() < 2 {
        app.advance(Duration::from_secs(1)).await;
    }
    for (secs, tries) in [(88, 2), (2, 3)] {
        app.advance(Duration::from_secs(secs)).await;
        assert_eq!(ops.texts().len(), tries);
    }
    assert_eq!(app.state().await, "parked send-refused");
    assert_eq!(app.retry_parked("send-refused").await, 1);
    app.drain().await;
    assert_eq!(ops.texts().len(), 4, "what failed uses up no message of the hour");
    assert!(app.state().await.starts_with("sent meeting.created to ops"));
}

#[tokio::test]
async fn a_storm_is_told_in_so_many_messages_an_hour_also_over_a_restart_and_nothing_is_lost() {
    let (app, mut ops) = started(RULE, 30).await;
    for n in 0..70 {
        tell(&app, told("meeting.created", app.clock.now(), &serde_json::json!({ "id": 98_000_000_000_u64 + n })))
            .await;
    }
    assert_eq!(ops.texts().len(), 30);
    assert_eq!(ops.waits(), ["40 messages wait for notifier ops: it sends 30 messages of rules an hour"]);
    ops.begin_anew(&app);
    app.advance(Duration::from_secs(60)).await;
    meeting(&app, "one more");
    app.drain().await;
    assert_eq!(ops.texts().len(), 30, "a restart begins no new hour");
    for (hours, sent, waiting) in [(1, 60, 1), (2, 71, 0)] {
        app.advance(Duration::from_secs(3600)).await;
        assert_eq!((ops.texts().len(), ops.waits().len()), (sent, waiting), "after {hours} h");
    }
    let mut ids: Vec<String> = ops.texts().iter().map(|text| text.split(": id ").nth(1).unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 71, "each was told once");
    assert!(app.jobs().await.iter().all(|job| job.attempts == 1), "who waits loses no attempt");
}

#[tokio::test]
async fn what_waits_for_its_hour_asks_nothing_of_zoom_until_then() {
    let rule = format!("{RULE}template = '{{{{ meeting.topic }}}} {{{{ host.email }}}}'\n");
    let (app, ops) = started(&rule, 1).await;
    for n in 0..20 {
        app.world.create_meeting(ACCOUNT, JILL, &serde_json::json!({ "topic": format!("T{n}"), "type": 2 })).unwrap();
    }
    app.drain().await;
    let before = app.calls("/");
    for _ in 0..5 {
        app.advance(Duration::from_secs(3600)).await;
    }
    // The meeting and its host, for as many as run at once each hour, and not for all that wait.
    let calls = app.calls("/") - before;
    assert!(ops.texts().len() >= 5 && calls <= 2 * 4 * 5, "{calls} calls");
    app.cancel_all().await;
}
