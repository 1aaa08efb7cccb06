//! What it costs to look whether one rule is about one user (the promise is less than 20 µs), and what a plan costs once the
//! account is read (2 s for 10,000 users).
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench stops at the first surprise, and prints")]

use std::collections::HashMap;
use std::sync::Arc;

use adjutant::account::{Account, Plan};
use adjutant::clock::{Stopwatch, Timestamp};
use adjutant::ids::{AccountId, AppName, Email, UserId};
use adjutant::job::Subject;
use adjutant::rules::{Condition, Rule, Topic};
use adjutant::work::{ApiUser, Around, Picture, PlannedAccount, PlannedRule, Verdict, judge};
use adjutant::zoom::{Status, User};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Map, Value, json};

const WHEN: &str = r#"user.type == 2 && !user.email.lowerAscii().endsWith("@contractor.example")
    && user.group_ids.exists(g, g in ["staff", "fellows"]) && now - user.created_at > duration("24h")"#;

const ASSIST: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
"#;

const SETTINGS: &str = r#"
name = "settings"
for = "user"
ensure = { settings = { in_meeting = { chat = false, waiting_room = true, polling = false } }, feature = { webinar = true } }
mode = "enforce"
"#;

/// Rules and users of a plan.
const USERS: usize = 10_000;
const NOW: Timestamp = Timestamp::from_secs(1_795_248_000);

fn account() -> Account {
    Account {
        api_users: vec!["api@acme.example".parse().unwrap()],
        invites_per_day: 50,
        ..Account::new(AccountId::parse("acme").unwrap(), AppName::parse("main").unwrap(), Plan::Business)
    }
}

fn around(account: &Account) -> Around<'_> {
    let key = account.api_users.first().unwrap().clone();
    let api = ApiUser {
        key: key.clone(),
        id: Some(UserId::parse("api").unwrap()),
        email: Some(Email::parse("api@acme.example").unwrap()),
        unusable: None,
    };
    Around { account, now: NOW, known: HashMap::from([(key, api)]), ids: HashMap::new(), groups: Some(Arc::default()) }
}

/// As a row of Zoom's list, and, where it is whole, with assistants and settings.
fn picture(n: usize, is_whole: bool) -> Picture {
    let (id, email) = (format!("user{n}"), format!("user-{n}@acme.example"));
    let whole = json!({
        "id": id, "email": email, "type": 2, "status": "active", "first_name": "Jill", "last_name": "Hill",
        "display_name": "Jill Hill", "dept": "Maths", "created_at": "2026-11-01T08:00:00Z", "timezone": "Europe/Berlin",
        "group_ids": ["guests", "visitors", "fellows"], "language": "en-US", "role_id": "2", "verified": 1,
    });
    let whole = whole.as_object().unwrap().clone();
    let (id, email) = (Some(UserId::parse(&id).unwrap()), Some(Email::parse(&email).unwrap()));
    let user = User { id, email, kind: Some(2), status: Status::Active, role: None, whole };
    // Zoom states some 230 settings of a user.
    let others: Map<String, Value> = (0..220).map(|n| (format!("setting_number_{n}"), json!(n % 3 == 0))).collect();
    let settings = json!({
        "in_meeting": { "chat": n.is_multiple_of(2), "waiting_room": true, "polling": false, "annotation": true },
        "feature": { "webinar": true, "large_meeting": false },
        "schedule_meeting": { "host_video": true, "participants_video": false, "join_before_host": false },
        "telephony": others,
    });
    let settings = if is_whole { settings.as_object().cloned() } else { None };
    let assistants = Some(Vec::new());
    Picture { user: Some(user), is_listed_row: !is_whole, assistants, settings, ..Picture::default() }
}

fn conditions(criterion: &mut Criterion) {
    let condition = Condition::compile(WHEN, Topic::User).unwrap();
    let facts = json!({
        "user": {
            "id": "KDc", "email": "Jill@Example.com", "type": 2, "created_at": "2026-11-01T08:00:00Z",
            "group_ids": ["guests", "visitors", "fellows"],
        },
        "account": "acme",
        "now": "2026-11-21T08:00:00Z",
    });
    criterion.bench_function("one rule on one user", |bench| bench.iter(|| condition.holds(&facts)));
    criterion.bench_function("reading one condition", |bench| bench.iter(|| Condition::compile(WHEN, Topic::User)));
}

fn rule(text: &str, when: Option<&str>) -> Rule {
    let when = when.map(|when| Condition::compile(when, Topic::User).unwrap());
    Rule { when, ..toml::from_str(text).unwrap() }
}

fn judging(criterion: &mut Criterion) {
    let account = account();
    let (around, row, whole) = (around(&account), picture(1, false), picture(2, true));
    let listed = rule(ASSIST, Some(r#"user.type == 2 && user.dept != "Guests" && "fellows" in user.group_ids"#));
    let settings = rule(SETTINGS, Some(WHEN));
    for (what, rule, picture) in [("a row of a list", &listed, &row), ("a whole user with settings", &settings, &whole)]
    {
        let verdict = judge(rule, &around, picture);
        assert!(matches!(verdict, Verdict::Differs(_)), "{what} is not judged to the end: {verdict:?}");
        criterion.bench_function(&format!("judging {what}"), |bench| bench.iter(|| judge(rule, &around, picture)));
    }
}

/// Once, since it is seconds: five rules over all users, and the text that a person reads.
fn planning(_: &mut Criterion) {
    let account = account();
    let (around, when) = (around(&account), Some(WHEN));
    let named = |text: &str, n: usize| text.replacen("name = \"", &format!("name = \"r{n}-"), 1);
    let texts = [(ASSIST, when), (ASSIST, None), (SETTINGS, when), (SETTINGS, None), (SETTINGS, None)];
    let rules: Vec<Rule> = texts.iter().enumerate().map(|(n, (text, when))| rule(&named(text, n), *when)).collect();
    let pictures: Vec<Picture> = (0..USERS).map(|n| picture(n, true)).collect();
    let began = Stopwatch::start();
    let mut planned: Vec<PlannedRule> = rules.iter().map(PlannedRule::new).collect();
    for picture in &pictures {
        let user = picture.user.as_ref().unwrap();
        let subject = Subject::User { id: user.id.clone(), email: user.email.clone() }.to_string();
        for (rule, planned) in rules.iter().zip(&mut planned) {
            planned.add(rule, subject.clone(), &judge(rule, &around, picture));
        }
    }
    let planned = PlannedAccount { account: "acme".to_owned(), rules: planned, ..PlannedAccount::default() };
    let text = planned.priced(Plan::Business, 30).to_string();
    let (secs, lines) = (began.elapsed().as_secs_f64(), text.lines().count());
    println!("planning {USERS} users by 5 rules, with {lines} lines of text: {secs:.2} s");
}

criterion_group!(benches, conditions, judging, planning);
criterion_main!(benches);
