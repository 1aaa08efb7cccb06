use serde_json::{Value, json};

use super::*;

fn facts() -> Value {
    json!({
        "user": {
            "id": "KDc", "email": "jill@example.com", "type": 2, "created_at": "2026-11-01T08:00:00Z", "verified": 1,
            "dept": "Physics", "group_ids": ["a", "b"], "last_login_time": "",
            "phone_numbers": [{"country": "CH", "verified": true}, {"country": "FR", "verified": false}],
        },
        "account": "acme",
        "now": "2026-11-21T08:00:00Z",
    })
}

fn outcome(text: &str) -> String {
    let condition = Condition::compile(text, Topic::User).unwrap_or_else(|error| panic!("{text}: {error}"));
    match condition.holds(&facts()) {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_condition_holds_where_its_facts_say_so() {
    for (text, expected) in [
        ("user.type == 2", "true"),
        ("user.type != 2", "false"),
        ("user.type in [1, 3]", "false"),
        ("user.type == 2.0 && user.type < 2.5", "true"),
        ("user.email.lowerAscii().endsWith('@example.com')", "true"),
        ("user.email.startsWith(\"jill\") && user.email.contains('@')", "true"),
        (r#"user.email.matches("^[A-Za-z]+@") && user.email.matches(r"(?i)^J\S+$")"#, "true"),
        (r#"user.email.matches(r"^(?P<Name>[^A-Z]+)@\p{L}") && user.dept.matches("^P")"#, "true"),
        (r#"user.email.matches(r"^\d")"#, "false"),
        ("size(user.group_ids) == 2 && user.dept.size() == 7", "true"),
        ("'b' in user.group_ids", "true"),
        ("user.group_ids[1] == 'b'", "true"),
        ("user.group_ids.exists(g, g == 'b')", "true"),
        ("user.group_ids.all(g, g == 'b')", "false"),
        ("user.group_ids.exists_one(g, g == 'b')", "true"),
        ("user.phone_numbers.filter(p, p.verified).map(p, p.country) == ['CH']", "true"),
        ("user.phone_numbers.exists(p, user.group_ids.exists(g, g == p.country))", "false"),
        ("has(user.dept) && !has(user.company) && has(user.last_login_time)", "true"),
        ("user.phone_numbers != [] && user != null && user.dept in [null, 'Physics']", "true"),
        ("(user.verified == 1 ? 'a' : dyn(2)) == 'a'", "true"),
        ("user.company == null && user.last_login_time == null", "true"),
        ("user.company == 'x' ? user.pmi > 1 : true", "true"),
        ("now - user.created_at > duration('72h')", "true"),
        ("user.created_at < timestamp('2026-11-02T00:00:00Z')", "true"),
        ("now - duration('24h') > user.created_at", "true"),
        ("user.type * 2 + 1 == 5 && -user.type == -2 && 7 / 2 == 3 && 7 % 2 == 1", "true"),
        ("account == 'acme'", "true"),
        // What Zoom documents of these is a closed set, and both go around it.
        ("dyn(user.type) == 7 || dyn(user.type) in [7, 8]", "false"),
        ("dyn(user.type) == 2 && size(dyn(user.dept)) == 7", "true"),
        ("user.type < 7 && user.type == 2.0", "true"),
        // The side that decides, decides.
        ("user.company.startsWith('x') || user.type == 2", "true"),
        ("user.company.startsWith('x') && user.type == 1", "false"),
    ] {
        assert_eq!(outcome(text), expected, "{text}");
    }
}

#[test]
fn a_condition_that_has_no_answer_says_why_and_names_no_value() {
    for (text, expected) in [
        ("user.company.startsWith('x')", "user.company is null: Zoom does not state it"),
        ("!user.company.startsWith('x')", "user.company is null: Zoom does not state it"),
        ("user.pmi > 5", "user.pmi is null: Zoom does not state it"),
        ("user.type / (user.verified - 1) == 1", "user.type / (user.verified - 1) divides by zero"),
        ("9223372036854775807 + user.type > 0", "9223372036854775807 + user.type is no number of 64 bits"),
        ("user.group_ids[2] == 'a'", "user.group_ids[2] is behind the end of the list"),
        ("user.settings_unchecked.feature == 'x'", "false"),
        (
            "user.settings_unchecked.feature.startsWith('x')",
            "user.settings_unchecked.feature is null: Zoom does not state it",
        ),
        ("'a' in user.groups", "user.groups is null: Zoom does not state it"),
        ("timestamp(user.email) > now", "user.email cannot be read as a time"),
    ] {
        assert_eq!(outcome(text), expected, "{text}");
    }
}

#[test]
fn what_only_facts_can_show_to_be_of_two_kinds_has_no_answer_rather_than_the_answer_no() {
    let condition = Condition::compile("user.settings_unchecked.feature.size == '10'", Topic::User).unwrap();
    let facts = json!({"user": {"settings_unchecked": {"feature": {"size": 10}}}});
    let error = condition.holds(&facts).unwrap_err().to_string();
    assert_eq!(error, "user.settings_unchecked.feature.size == '10' compares a number with a text");
    let condition = Condition::compile("event.payload.object.type == 2", Topic::Event).unwrap();
    assert_eq!(condition.holds(&json!({"event": {"payload": {"object": {"type": 2}}}})), Ok(true));
    assert_eq!(condition.holds(&json!({})), Ok(false));
}

#[test]
fn an_explanation_has_every_leaf_with_what_it_saw() {
    let text = "(user.type == 2 || user.dept == 'x') && has(user.dept) && !user.company.startsWith('y') && size(user.group_ids) + 1 > 2";
    let leaves = Condition::compile(text, Topic::User).unwrap().explain(&facts());
    let told: Vec<_> = leaves
        .iter()
        .map(|leaf| {
            let saw: Vec<_> = leaf.saw.iter().map(|s| format!("{}={}", s.text, s.value.as_ref().unwrap())).collect();
            let outcome = leaf.outcome.as_ref().map_or_else(ToString::to_string, ToString::to_string);
            format!("{} [{}] {outcome}", leaf.text, saw.join(" "))
        })
        .collect();
    assert_eq!(
        told,
        [
            "user.type == 2 [user.type=2] true",
            "user.dept == 'x' [user.dept=\"Physics\"] false",
            "has(user.dept) [user.dept=\"Physics\"] true",
            "user.company.startsWith('y') [user.company=null] user.company is null: Zoom does not state it",
            "size(user.group_ids) + 1 > 2 [user.group_ids=[\"a\",\"b\"]] true",
        ]
    );
}

#[test]
fn an_evaluation_ends_however_much_there_is_to_walk() {
    let text = "user.group_ids.all(a, user.group_ids.all(b, a != b || true))";
    let condition = Condition::compile(text, Topic::User).unwrap();
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let error = condition.holds(&json!({"user": {"group_ids": many}})).unwrap_err();
    assert_eq!(error.to_string(), "it takes more than 20000 steps");
}

#[test]
fn the_caps_keep_the_parser_within_a_threads_stack() {
    let nested = |n: usize| format!("{}user.type == 2{}", "(".repeat(n), ")".repeat(n));
    assert!(Condition::compile(&nested(parse::NESTING_MAX), Topic::User).is_ok());
    let error = Condition::compile(&nested(parse::NESTING_MAX + 1), Topic::User).unwrap_err();
    assert_eq!(error.what, "brackets are nested more than 12 deep");
    for text in ["a.".repeat(499) + "a", "1+".repeat(499) + "1", "!".repeat(999) + "a", "-".repeat(999) + "a"] {
        assert!(Condition::compile(&text, Topic::User).is_err());
    }
    let many = vec!["user.type == 2"; 55].join(" || ");
    assert!(Condition::compile(&many, Topic::User).is_ok(), "a row of || is balanced");
    let error = Condition::compile(&"a".repeat(parse::BYTES_MAX + 1), Topic::User).unwrap_err();
    assert_eq!(error.what, "it is 1001 bytes long");
}

/// A condition has to see as much of a subject as it names, and need not be given more.
#[test]
fn a_condition_is_given_what_it_names_and_all_below_what_it_looks_into() {
    let user = json!({
        "type": 2, "dept": "Maths", "email": "jill@example.com",
        "settings": { "in_meeting": { "chat": true, "polling": false }, "recording": { "local_recording": true } },
    });
    for (text, given) in [
        ("user.type == 2", json!({ "type": 2 })),
        ("has(user.dept) || user.type == 1", json!({ "dept": "Maths", "type": 2 })),
        ("user.settings.in_meeting.chat", json!({ "settings": { "in_meeting": { "chat": true } } })),
        (
            "user.settings.in_meeting.chat && user.settings.in_meeting != null",
            json!({ "settings": { "in_meeting": { "chat": true, "polling": false } } }),
        ),
        ("user.settings_unchecked[\"a\"] == true && user.dept.size() == 5", json!({ "dept": "Maths" })),
        ("[1, 2].exists(n, n == user.type && user.dept != \"\")", json!({ "type": 2, "dept": "Maths" })),
        ("user.first_name == null", json!({})),
        ("account == \"acme\"", json!({})),
    ] {
        let condition = Condition::compile(text, Topic::User).unwrap_or_else(|error| panic!("{text}: {error}"));
        let names = condition.names("user");
        let picked = names.map(|names| names.pick(user.as_object().unwrap())).unwrap_or_default();
        assert_eq!(Value::Object(picked), given, "{text}");
    }
    let both = Condition::compile("\"Staff\" in host.groups && meeting.type == 2", Topic::Meeting).unwrap();
    assert!(both.looks_at("host", "groups") && both.looks_at("meeting", "type") && !both.looks_at("meeting", "groups"));
    assert!(both.names("user").is_none() && both.names("now").is_none());
}

#[test]
fn a_condition_about_events_has_two_parts_what_the_event_alone_answers_and_the_rest() {
    let events = |events: &[&str]| events.iter().map(|event| (*event).to_owned()).collect::<Vec<_>>();
    let facts = json!({ "event": { "event": "meeting.updated", "by_api_user": true }, "meeting": { "type": 8 },
        "account": "acme", "now": "2026-01-01T00:00:00Z", "host": { "type": 2 } });
    // The text, and what its parts come to for these facts.
    for (text, alone, rest) in [
        ("event.event == \"meeting.updated\" && account == \"acme\"", Some(true), None),
        ("meeting.type == 2", None, Some(false)),
        ("event.event == \"x\" && meeting.type == 8 && account == \"acme\" && host.type == 2", Some(false), Some(true)),
        (
            "(event.event == \"x\" && meeting.type == 2) && (host.type == 2 || account == \"x\")",
            Some(false),
            Some(false),
        ),
        ("event.event == \"x\" || meeting.type == 8", None, Some(true)),
        ("!(event.event == \"x\" && meeting.type == 2)", None, Some(true)),
        ("event.by_api_user && event.event == \"meeting.updated\"", Some(true), Some(true)),
        ("dyn(event).by_api_user && account == \"x\"", Some(false), Some(true)),
    ] {
        let whole = Condition::about_events(text, &events(&["meeting.updated", "meeting.deleted"])).unwrap();
        let (one, other) = whole.parted();
        let came = |part: &Option<Condition>| part.as_ref().map(|part| part.holds(&facts).unwrap());
        assert_eq!((came(&one), came(&other)), (alone, rest), "{text}");
        assert_eq!(whole.holds(&facts).unwrap(), alone.unwrap_or(true) && rest.unwrap_or(true), "{text}");
        assert!([&one, &other].into_iter().flatten().all(|part| part.as_str() == text));
    }
}

#[test]
fn what_a_condition_about_events_may_name_is_what_all_of_them_are_about() {
    let told = |events: &[&str], text: &str| {
        let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
        Condition::about_events(text, &events).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(told(&["meeting.updated"], "host.email == \"a@b.example\""), Ok(()));
    assert_eq!(told(&["user.updated"], "\"Staff\" in user.groups && event.by_api_user"), Ok(()));
    for (events, text) in [
        (&["meeting.updated"][..], "user.type == 2"),
        (&["user.updated"], "meeting.type == 2"),
        (&["user.updated", "meeting.updated"], "meeting.type == 2"),
        (&["group.updated"], "user.type == 2"),
        (&["meeting.updated"], "host.settings.in_meeting.chat"),
        (&["meeting.updated"], "event.payload.object.by_api_user"),
    ] {
        assert!(told(events, text).is_err(), "{events:?}: {text}");
    }
}
