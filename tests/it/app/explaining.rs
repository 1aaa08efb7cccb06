//! Why somebody did, or did not, get what the rules want, told from the store alone.

use std::sync::Arc;

use adjutant::chance::SystemChance;
use adjutant::clock::Clock as _;
use adjutant::sim::NewUser;
use adjutant::store::DeliveryFilter;
use adjutant::web::admin::explained::{ExplainView, ExplainedView};
use adjutant::web::admin::{AdminState, Caller, Hosts, NoStats, TokenHash, Tokens, api};
use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::json;
use tower::ServiceExt as _;

use super::{ACCOUNT, API_USER, Left, TestApp, rule};

const TEACHERS: &str = r#"
name = "teachers"
for = "user"
when = 'user.type == 2 && user.dept == "Maths" && user.host_key != "1"'
ensure = { assistants = ["api-user"] }
mode = "enforce"
"#;
const EVERYONE: &str = r#"
name = "everyone"
for = "user"
ensure = { assistants = ["api-user"] }
except = ["boss@acme.example"]
"#;
const JILL: &str = "jill.hill@acme.example";

async fn asked(app: &TestApp, rules: &[&str], subject: &str) -> (StatusCode, String) {
    let state = AdminState {
        store: Arc::clone(&app.store),
        local: None,
        clock: Arc::new(app.clock.clone()),
        tokens: Tokens::new(TokenHash::of(&"unused".into()), Arc::new(SystemChance)),
        hosts: Hosts::new(app.address, &[]),
        apps: tokio::sync::watch::Sender::default().subscribe(),
        reload: None,
        sweeps: Arc::new(adjutant::web::admin::NoSweeps),
        stats: Arc::new(NoStats),
        engine: Arc::new(rules.iter().map(|text| rule(text)).collect::<Vec<_>>()),
        take_back: None,
        accounts: None,
        onboards: None,
        errands: None,
        meetings: None,
        users: None,
        readers: adjutant::web::admin::Readers::default(),
        pushers: None,
        started_at: app.clock.now(),
    };
    let path = format!("/v1/explain?subject={}", subject.replace('@', "%40"));
    let answer = api(Arc::new(state), Caller::operator("a test"))
        .oneshot(Request::get(path).body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

pub(super) async fn explained(app: &TestApp, rules: &[&str], subject: &str) -> ExplainView {
    let (status, text) = asked(app, rules, subject).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

pub(super) fn of<'a>(view: &'a ExplainView, rule: &str) -> &'a ExplainedView {
    view.rules.iter().find(|one| one.rule == rule).unwrap()
}

#[tokio::test]
async fn a_condition_that_did_not_hold_is_told_leaf_by_leaf_with_the_entries_that_prove_it() {
    let rules = [TEACHERS, EVERYONE];
    let app = TestApp::start(&rules).await;
    let id = app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.drain().await;
    // What has become of the user since does not change what was seen.
    app.world.update_user(ACCOUNT, JILL, &json!({ "dept": "Maths" })).unwrap();
    let calls = app.calls("/");
    for subject in [JILL, &id, "dlv_1", "job_1"] {
        let view = explained(&app, &rules, subject).await;
        let teachers = of(&view, "teachers");
        assert_eq!(teachers.answer, "not applicable: the rule's condition does not hold", "{subject}");
        let saw: Vec<_> = teachers.saw.iter().map(|leaf| (leaf.text.as_str(), leaf.outcome.as_str())).collect();
        assert_eq!(saw[0], ("user.type == 2", "true"));
        assert_eq!((saw[1].0, saw[1].1), ("user.dept == \"Maths\"", "false"));
        assert_eq!(teachers.saw[0].facts, [("user.type".to_owned(), "2".to_owned())]);
        assert_eq!(teachers.saw[2].facts, [("user.host_key".to_owned(), "(not kept)".to_owned())]);
        let entries = app.store.entries(0, 1_000).await.unwrap();
        let proof: Vec<_> = teachers.entries.iter().map(|index| &entries[usize::try_from(*index).unwrap()]).collect();
        let codes: Vec<_> = proof.iter().map(|entry| entry.code.as_str()).collect();
        assert_eq!(codes, ["work", "started", "200", "not-applicable"]);
        assert!(proof.iter().skip(1).all(|entry| entry.job.unwrap().to_string() == teachers.job.clone().unwrap()));
        assert!(of(&view, "everyone").answer.starts_with("would change: add assistant"), "{view:?}");
        assert_eq!(view.looked_back_to, None);
    }
    assert_eq!(app.calls("/"), calls, "Zoom was asked");
    let told = explained(&app, &rules, "dlv_1").await.delivery.unwrap();
    assert_eq!((told.event.unwrap().as_str(), told.answer.as_str()), ("user.created", "it asked for job_1, job_2"));
    app.drain().await;
    assert_eq!(app.assistants(JILL), [API_USER]);
}

#[tokio::test]
async fn who_waits_who_is_excepted_and_who_was_never_asked_for_is_told_apart() {
    let rules = [TEACHERS.replace("when", "#"), EVERYONE.to_owned()];
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let app = TestApp::start(&rules).await;
    app.world.create_user(ACCOUNT, NewUser::basic(JILL)).unwrap();
    app.drain().await;
    let view = explained(&app, &rules, JILL).await;
    assert_eq!((of(&view, "teachers").code.as_str(), of(&view, "everyone").code.as_str()), ("waits", "waits"));
    assert!(of(&view, "teachers").answer.contains("the user has no licence"), "{view:?}");
    let view = explained(&app, &rules, "boss@acme.example").await;
    assert_eq!(of(&view, "everyone").answer, "the rule excepts boss@acme.example");
    assert_eq!((of(&view, "teachers").code.as_str(), of(&view, "teachers").job.as_deref()), ("no-job", None));
    let later = EVERYONE.replace("boss@acme.example", JILL);
    let view = explained(&app, &[&later], JILL).await;
    let answer = format!("the rule excepts {JILL}; before that: it waits: ");
    assert_eq!(of(&view, "everyone").code, "excepted");
    assert!(of(&view, "everyone").answer.starts_with(&answer), "{view:?}");
    let (status, text) = asked(&app, &rules, "dlv_99").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{text}");
    let (status, text) = asked(&app, &rules, "Jill%20Hill").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    app.expect_left(Left { waiting: 2, parked: 0 });
}

#[tokio::test]
async fn a_subject_is_taken_as_it_is_printed_and_who_is_not_known_is_told_as_such() {
    let rules = [EVERYONE];
    let app = TestApp::start(&rules).await;
    let id = app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.drain().await;
    for subject in [format!("user:{id}"), format!("email:{JILL}"), format!("user:{id}%20{JILL}")] {
        let view = explained(&app, &rules, &subject).await;
        assert!(view.is_known && of(&view, "everyone").job.is_some(), "{subject}: {view:?}");
    }
    for subject in ["user:nobody-knows", "meeting:98765432101", "jack@acme.example"] {
        let view = explained(&app, &rules, subject).await;
        assert!(!view.is_known, "{subject}: {view:?}");
    }
    let view = explained(&app, &rules, "jack@acme.example").await;
    let answer = &of(&view, "everyone").answer;
    assert!(
        answer.starts_with("no event and no sweep asked for work: `adjutant rules plan` judges it now"),
        "{answer}"
    );
    assert!(explained(&app, &rules, "boss@acme.example").await.is_known, "a rule names them");
    for nonsense in ["nonsense", "KDcuGIm1QgePTO8WbOqwI!", "98765432101x"] {
        let (status, text) = asked(&app, &rules, nonsense).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    }
}

#[tokio::test]
async fn the_last_change_is_told_also_where_a_newer_event_found_it_right() {
    let enforced = format!("{EVERYONE}mode = \"enforce\"\n");
    let rules = [enforced.as_str()];
    let app = TestApp::start(&rules).await;
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.drain().await;
    app.world.update_user(ACCOUNT, JILL, &json!({ "dept": "Maths" })).unwrap();
    app.drain().await;
    let view = explained(&app, &rules, JILL).await;
    let everyone = of(&view, "everyone");
    let change = everyone.last_change.clone().unwrap();
    assert_ne!(everyone.job.as_deref(), Some(change.job.as_str()));
    assert!(change.what.contains("add assistant"), "{change:?}");
    let entries = app.store.entries(0, 1_000).await.unwrap();
    let proof: Vec<_> = change.entries.iter().map(|index| &entries[usize::try_from(*index).unwrap()]).collect();
    assert!(proof.iter().all(|entry| entry.job.unwrap().to_string() == change.job), "{proof:?}");
    assert_eq!((proof[0].code.as_str(), proof.last().unwrap().code.as_str()), ("started", "changed"));
}

const WHEN_MADE: &str = r#"
name = "when-made"
for = "meeting"
on = ["meeting.created", "meeting.participant_joined"]
when = 'event.payload.object.type == 2 && event.payload.object.topic.contains("Algebra")'
ensure = { settings = { waiting_room = true } }
mode = "enforce"
"#;

#[tokio::test]
async fn of_a_rule_about_events_every_leaf_is_told_as_the_delivery_says_it() {
    let rules = [WHEN_MADE];
    let app = TestApp::start(&rules).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let made = |kind: i64, topic: &str| {
        let fields = json!({ "topic": topic, "type": kind, "settings": { "waiting_room": false } });
        app.world.create_meeting(ACCOUNT, JILL, &fields).unwrap()
    };
    made(2, "Algebra");
    made(3, "Algebra");
    app.drain().await;
    let joined = |object: serde_json::Value| {
        let body = json!({ "event": "meeting.participant_joined", "event_ts": 1_795_000_000_000_i64,
            "payload": { "account_id": ACCOUNT, "object": object } });
        app.world.emit(ACCOUNT, "meeting.participant_joined", body.to_string()).unwrap();
    };
    let other = made(3, "Sport");
    joined(json!({ "id": other.to_string(), "type": 2 }));
    joined(json!({ "id": other.to_string(), "type": 2, "topic": "Algebra" }));
    app.drain().await;
    let mut told = std::collections::BTreeMap::new();
    let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    for delivery in app.store.deliveries(filter).await.unwrap() {
        let view = explained(&app, &rules, &delivery.id.to_string()).await;
        let Some(rule) = view.rules.first() else { continue };
        let leaves: Vec<_> = rule.saw.iter().map(|leaf| format!("{} {}", leaf.facts[0].1, leaf.outcome)).collect();
        let code = rule.code.clone();
        told.insert(format!("{code}: {}", leaves.join(", ")), (rule.answer.clone(), view.delivery.unwrap().answer));
    }
    let no_answer = "event.payload.object.topic is null: Zoom does not state it";
    for (expected, answer, delivery) in [
        ("done: 2 true, \"Algebra\" true", "changed: set waiting_room on", "it asked for job_"),
        (
            "not-met: 3 false, \"Algebra\" true",
            "its condition does not hold for dlv_",
            "no rule asked for work after it",
        ),
        (&format!("unanswered: 2 true, null {no_answer}"), "its condition has no answer for dlv_", "no rule asked"),
    ] {
        let found = told.get(expected).unwrap_or_else(|| panic!("{expected} is not in {told:#?}"));
        assert!(found.0.starts_with(answer) && found.1.starts_with(delivery), "{expected}: {found:?}");
    }
    // Asked about the meeting alone, it is the delivery that asked.
    let view = explained(&app, &rules, &other.to_string()).await;
    assert_eq!(view.rules[0].saw[1].facts[0].1, "\"Algebra\"");
}

#[tokio::test]
async fn of_a_rule_that_looks_at_the_host_as_well_the_parts_that_the_work_asked_are_told_behind_those_of_the_event() {
    let rule = WHEN_MADE.replace("mode", "#").replace("when = '", "when = 'host.type == 2 && ");
    let rules = [rule.as_str()];
    let app = TestApp::start(&rules).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let fields = json!({ "topic": "Algebra", "type": 2, "settings": { "waiting_room": false } });
    let made = app.world.create_meeting(ACCOUNT, JILL, &fields).unwrap();
    app.drain().await;
    let saw = explained(&app, &rules, &made.to_string()).await.rules[0].saw.clone();
    let saw: Vec<_> = saw.into_iter().map(|leaf| (leaf.facts[0].0.clone(), leaf.outcome)).collect();
    let expected = ["event.payload.object.type", "event.payload.object.topic", "host.type"];
    assert_eq!(saw, expected.map(|fact| (fact.to_owned(), "true".to_owned())));
}

#[tokio::test]
async fn who_is_excepted_by_a_role_is_told_so() {
    let rules = [EVERYONE.replace("except = [\"boss@acme.example\"]", "except_roles = [\"owner\"]")];
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let app = TestApp::start(&rules).await;
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.world.update_user(ACCOUNT, JILL, &json!({ "role_id": "0", "role_name": "Owner" })).unwrap();
    app.drain().await;
    let view = explained(&app, &rules, JILL).await;
    assert_eq!(of(&view, "everyone").code, "excepted", "{view:?}");
    assert_eq!(of(&view, "everyone").answer, "not applicable: the rule excepts the user's role");
    let view = explained(&app, &rules, "nobody@acme.example").await;
    assert!(of(&view, "everyone").answer.ends_with("; it leaves alone who has the role owner"), "{view:?}");
}
