use super::*;
use crate::event::{MeetingRef, UserChange, UserRef};
use crate::ids::{MeetingId, UserId};

const GOOD: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
"#;

fn rule(text: &str) -> Rule {
    toml::from_str(text).unwrap()
}

fn meeting_rule() -> Rule {
    rule("name = \"waiting-room\"\nfor = \"meeting\"\nensure = { settings = { waiting_room = true } }")
}

fn event(name: &str, what: What) -> Event {
    Event { name: name.to_owned(), account: None, at: None, meaning: None, what }
}

fn user(change: UserChange) -> Event {
    let user = UserRef { id: Some(UserId::parse("jill").unwrap()), email: None };
    event("user.something", What::User { change, user })
}

fn meeting(change: MeetingChange) -> Event {
    let meeting = MeetingRef { id: MeetingId::from_number(1), uuid: None, host: None };
    event("meeting.something", What::Meeting { change, meeting })
}

#[test]
fn a_rule_observes_and_is_limited_unless_it_says_otherwise() {
    let rule = rule(GOOD);
    assert_eq!(rule.check(), Ok(()));
    assert_eq!((rule.mode, rule.max_changes_per_hour, rule.max_changes_percent), (Mode::Observe, 500, 20));
    assert!(rule.except.is_empty());
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_in_words() {
    let cases = [
        (GOOD.replace("[\"api-user\"]", "[]"), "needs ensure = { assistants = [\"api-user\"] }"),
        (GOOD.replace("\"user\"", "\"meeting\""), "ensure.assistants does not belong to for = \"meeting\""),
        (
            GOOD.replace("assistants = [\"api-user\"]", "report = \"movable\""),
            "ensure.report does not belong to for = \"user\"",
        ),
        (GOOD.replace("assistants = [\"api-user\"]", "type = \"basic\""), "needs allow_downgrade = true"),
        (GOOD.replace(" }", ", type = \"basic\" }\nallow_downgrade = true"), "a Basic user has no assistants"),
        (
            GOOD.replace(
                "assistants = [\"api-user\"]",
                "settings = { feature = { webinar = true } }, feature = { webinar = false }",
            ),
            "both name feature.webinar",
        ),
        (
            "name = \"a\"\nfor = \"meeting\"\nensure = { report = \"movable\", settings = { waiting_room = true } }"
                .to_owned(),
            "ensure.report changes nothing and stands alone",
        ),
        ("name = \"a\"\nfor = \"meeting\"\nensure = { settings = {} }".to_owned(), "needs ensure = { settings"),
        ("name = \"a\"\nfor = \"meeting\"\nensure = {}".to_owned(), "needs ensure = { settings"),
        (format!("{GOOD}max_changes_percent = 0"), "max_changes_percent is 0"),
        (format!("{GOOD}max_changes_percent = 101"), "max_changes_percent is 101"),
        (format!("{GOOD}max_changes_per_hour = 0"), "max_changes_per_hour is 0"),
    ];
    for (text, expected) in cases {
        let error = rule(&text).check().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn an_unknown_key_or_word_is_refused() {
    for text in [
        format!("{GOOD}limit = 1"),
        GOOD.replace("api-user", "everybody"),
        GOOD.replace("\"user\"", "\"group\""),
        format!("{GOOD}mode = \"force\""),
        format!("{GOOD}except = [\"no address\"]"),
    ] {
        assert!(toml::from_str::<Rule>(&text).is_err(), "{text} was taken");
    }
}

#[test]
fn each_change_asks_for_its_step() {
    let rules = [rule(GOOD), meeting_rule()];
    let steps = |event: &Event| -> Vec<String> {
        let word = |step: Step| match step {
            Step::Ensure { rule, subject, .. } => format!("ensure {rule} {}", subject.key()),
            Step::Wake { subject } => format!("wake {}", subject.key()),
            Step::Cancel { subject, why, .. } => format!("cancel {} {why}", subject.key()),
            more => format!("{more:?}"),
        };
        plan(event, &rules).into_iter().map(word).collect()
    };
    for change in [UserChange::Created, UserChange::Updated] {
        assert_eq!(steps(&user(change)), ["ensure assist user:jill"], "{change:?}");
    }
    // Whoever is onboarded may have waited for just this.
    for change in [UserChange::Activated, UserChange::InvitationAccepted] {
        assert_eq!(steps(&user(change)), ["ensure assist user:jill", "wake user:jill"], "{change:?}");
    }
    for change in [UserChange::Deleted, UserChange::Deactivated, UserChange::Disassociated] {
        assert_eq!(steps(&user(change)), ["cancel user:jill user.something"], "{change:?}");
    }
    for change in [MeetingChange::Created, MeetingChange::Updated] {
        assert_eq!(steps(&meeting(change)), ["ensure waiting-room meeting:1"], "{change:?}");
    }
    assert_eq!(steps(&meeting(MeetingChange::Started)), [""; 0]);
    assert_eq!(steps(&meeting(MeetingChange::Ended)), ["wake meeting:1"]);
    assert_eq!(steps(&meeting(MeetingChange::Deleted)), ["cancel meeting:1 meeting.something"]);
    for what in [What::Other, What::AppDeauthorized { user: None }] {
        assert_eq!(steps(&event("something", what)), [""; 0]);
    }
}

#[test]
fn a_condition_about_events_sees_emails_in_lower_case_and_a_body_that_cannot_be_read_is_told() {
    let text = "event.payload.operator == 'boss@x.example' && event.payload.object.email.endsWith('@x.example')";
    let events = vec!["user.something".to_owned()];
    let when = Some(Condition::about_events(text, &events).unwrap());
    let rules = [Rule { on: Some(On { events, when, ..On::default() }), ..rule(GOOD) }];
    let event = user(UserChange::Created);
    let delivery = crate::ids::DeliveryId::from_number(1);
    let now = crate::clock::Timestamp::EPOCH;
    let body = serde_json::json!({ "payload": { "operator": "Boss@X.example", "object": { "email": "J@X.Example" } } });
    assert_eq!(on_event((delivery, &event), None, now, &rules, || Ok(body)).steps.len(), 1);
    let asked = on_event((delivery, &event), None, now, &rules, || Err("the body is too deep".to_owned()));
    assert_eq!(asked.unanswered, [(rules[0].name.clone(), "the body is too deep".to_owned())]);
}

#[test]
fn every_rule_about_the_subject_is_asked_for_in_the_order_of_the_configuration() {
    let second = rule(&GOOD.replace("assist\"", "assist-too\""));
    let steps = plan(&user(UserChange::Created), &[rule(GOOD), meeting_rule(), second]);
    let names: Vec<_> = steps
        .iter()
        .map(|step| match step {
            Step::Ensure { rule, .. } => rule.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(names, ["assist", "assist-too"]);
}

#[test]
fn a_rule_is_another_once_it_would_change_something_else() {
    let before = rule(GOOD).fingerprint();
    let same = format!("{GOOD}mode = \"enforce\"\ndescription = \"for all\"");
    assert_eq!(rule(&same).fingerprint(), before);
    for other in [GOOD.replace("assist\"", "assists\""), format!("{GOOD}max_changes_per_hour = 1")] {
        assert_ne!(rule(&other).fingerprint(), before, "{other}");
    }
}
