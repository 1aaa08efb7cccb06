//! Bad rules, each with exactly what is said about it, and that no text whatever makes the language panic.

use std::path::Path;

use adjutant::config::{Env, parse};
use adjutant::rules::{Condition, Topic};
use proptest::prelude::*;
use serde_json::{Value, json};

mod bad;

const CONFIG: &str = r#"[[app]]
name = "main"
kind = "server-to-server"
client_id = "id"
client_secret = "a-long-client-secret"
webhook_secrets = ["a-long-webhook-secret"]
[[app.account]]
id = "acme"
api_users = ["api@example.com"]
"#;

const ENSURE: &str = "ensure = { assistants = [\"api-user\"] }";

/// What is said of a configuration with this added.
fn said(rules: &str) -> String {
    let parsed = parse(Path::new("adjutant.toml"), &format!("{CONFIG}{rules}"), &Env::default());
    parsed.map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
}

fn rule(topic: &str, when: &str) -> String {
    let ensure = if topic == "user" { ENSURE } else { "ensure = { settings = { waiting_room = true } }" };
    let quote = if when.contains('\'') { "'''" } else { "'" };
    format!("[[rule]]\nname = \"r\"\nfor = \"{topic}\"\nwhen = {quote}{when}{quote}\n{ensure}\n")
}

/// The message without the quoted line: what is wrong, where, and what was expected.
fn in_short(message: &str) -> String {
    let what = message.lines().next().unwrap().trim_start_matches("error: [[rule]] r when, ");
    let help = message.lines().nth(4).unwrap().split_once('^').unwrap().1.trim_start_matches('^');
    format!("{what}:{help}")
}

#[test]
fn every_bad_condition_is_refused_with_its_own_words() {
    assert!(bad::CONDITIONS.len() >= 100);
    let mut wrong = Vec::new();
    for (topic, when, expected) in bad::CONDITIONS {
        let message = said(&rule(topic, when));
        assert!(message.starts_with("error: [[rule]] r when, column "), "{when}: {message}");
        assert_eq!(message.matches("error: ").count(), 1, "{when}: {message}");
        let found = in_short(&message);
        if found != *expected {
            wrong.push(format!("    ({topic:?}, {when:?}, {found:?}),"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_message_has_rule_column_file_line_and_caret() {
    let message = said(&rule("user", "user.typ == 2"));
    let expected = "error: [[rule]] r when, column 6: user has no field typ\n  --> adjutant.toml:13:14\n   |\n\
                    13 | when = 'user.typ == 2'\n   |              ^^^ did you mean type?";
    assert_eq!(message, expected);
}

const ON: &str =
    "[[rule]]\nname = \"r\"\non = [\"meeting.created\"]\nensure = { settings = { waiting_room = true } }\n";

#[test]
fn a_rule_that_is_wrong_around_its_condition_is_refused_too() {
    let good = rule("user", "user.type == 2");
    assert_eq!(said(&good), "nothing");
    let on = ON;
    for (text, expected) in [
        (good.replace("when", "whn"), "[[rule]] r has no key whn"),
        (good.replace("'user.type == 2'", "2"), "[[rule]] r when is 2"),
        (good.replace("name = \"r\"", "name = \"r\"\ndescription = 5"), "[[rule]] r description is 5"),
        (format!("{on}send = \"timetable\""), "[[rule]] r has ensure"),
        (format!("{on}for = \"user\""), "[[rule]] r has both for and on"),
        (on.replace("meeting.created", "created"), "[[rule]] r on holds \"created\""),
        (on.replace("\"meeting.created\"", ""), "[[rule]] r has no events in on"),
        (
            on.replace("meeting.", "webinar."),
            "[[rule]] r ensures something, and webinar.created is about neither a user nor a meeting",
        ),
        (on.replace("d\"]", "d\", \"user.created\"]"), "[[rule]] r is about events of users and of meetings"),
        (
            on.replace("created", "permanently_deleted"),
            "[[rule]] r ensures something after meeting.permanently_deleted, and its subject is gone by then",
        ),
        (
            on.replace("created", "deleted"),
            "[[rule]] r ensures something after meeting.deleted, and its subject is gone by then",
        ),
        (on.replace("created", "creatd"), "[[rule]] r on names meeting.creatd"),
        (format!("{on}when = 'event.pay == 1'"), "[[rule]] r when, column 7: event has no field pay"),
    ] {
        let message = said(&text);
        assert!(message.contains(&format!("error: {expected}\n")), "{text}\n{message}");
    }
}

#[test]
fn what_events_do_not_say_and_settings_that_want_nothing_are_refused() {
    let (on, good) = (ON, rule("user", "user.type == 2"));
    let participant = "event.payload.object.participant.email == \"j@b.example\" && event.payload.object.topic != \"\"";
    for (events, when) in [
        ("meeting.created", "event.payload.object.type == 7 && event.payload.object.settings.waiting_room"),
        ("meeting.created", "dyn(event.payload).obejct.typ == 2"),
        ("meeting.something_new", "event.payload.obejct.typ == 2"),
        ("meeting.participant_joined\", \"meeting.ended", participant),
        ("meeting.participant_joined\", \"meeting.alert", "event.payload.object.anything"),
    ] {
        let text = format!("{}when = '{when}'", on.replace("meeting.created", events));
        assert_eq!(said(&text), "nothing", "{text}");
    }
    for (text, expected) in [
        (
            format!("{on}when = 'event.payload.obejct.typ == 2'"),
            "[[rule]] r when, column 15: event.payload has no field obejct",
        ),
        (
            format!("{on}when = 'event.payload.object.settings.waiting_rom'"),
            "[[rule]] r when, column 31: event.payload.object.settings has no field waiting_rom",
        ),
        (
            format!("{on}when = 'event.payload.object.participant != null'"),
            "[[rule]] r when, column 22: event.payload.object has no field participant",
        ),
        (
            on.replace("waiting_room = true", "waiting_room = true, breakout_room = {}"),
            "[[rule]] r.ensure.settings.breakout_room is empty",
        ),
        (
            on.replace("settings = { waiting_room = true }", "settings_unchecked = { x = nan }"),
            "[[rule]] r.ensure.settings_unchecked x is nan",
        ),
        (
            on.replace("waiting_room = true", "alternative_hosts = [\"not an email\"]"),
            "[[rule]] r.ensure.settings alternative_hosts is a list",
        ),
        (
            on.replace("waiting_room = true", "alternative_hosts = \"a@b.example;nobody\""),
            "[[rule]] r.ensure.settings alternative_hosts is \"a@b.example;nobody\"",
        ),
        (
            format!(
                "{good}[[rule]]\nname = \"up\"\nfor = \"user\"\nensure = {{ type = \"licensed\" }}\n\
                     [[rule]]\nname = \"down\"\nfor = \"user\"\nwhen = 'true'\nallow_downgrade = true\n\
                     ensure = {{ type = \"basic\" }}\n"
            ),
            "rules up and down want different values of type for every user",
        ),
    ] {
        let message = said(&text);
        assert!(message.contains(&format!("error: {expected}\n")), "{text}\n{message}");
    }
}

#[test]
fn settings_that_are_not_checked_are_held_like_the_others() {
    let settings = "settings = { in_meeting = { chat = false } }";
    let unchecked = "settings_unchecked = { in_meeting = { quite_new = true }, a.b = [1] }";
    let text = rule("user", "user.settings_unchecked.a.b == 1")
        .replace(ENSURE, &format!("ensure = {{ {settings}, {unchecked} }}"));
    let parsed = parse(Path::new("adjutant.toml"), &format!("{CONFIG}{text}"), &Env::default()).unwrap();
    let held = parsed.rules[0].ensure.settings.to_string();
    assert_eq!(held, "a.b [1], in_meeting.chat off, in_meeting.quite_new on");
}

#[test]
fn rules_are_read_from_the_files_of_a_folder_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join("rules").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let load = || {
        let text = format!("{CONFIG}[rules]\nfolder = \"rules\"\n");
        parse(&folder.path().join("adjutant.toml"), &text, &Env::default()).map_err(|error| error.to_string())
    };
    assert!(load().unwrap_err().starts_with("error: [rules] folder "), "a folder that is not there is told");
    let named = |name: &str| rule("user", "user.type == 2").replace("\"r\"", &format!("{name:?}"));
    write("b.toml", &named("second"));
    write("a.toml", &format!("{}{}", named("first"), named("and-more")));
    for left_behind in [".a.toml.swp", ".hidden.toml", "a.toml~", "#a.toml", "notes.txt"] {
        write(left_behind, "no rule");
    }
    let order: Vec<_> = load().unwrap().rules.iter().map(|rule| rule.name.to_string()).collect();
    assert_eq!(order, ["first", "and-more", "second"]);
    let licence = |name: &str, kind: &str| {
        let ensure = format!("ensure = {{ type = \"{kind}\" }}\nallow_downgrade = true");
        format!("[[rule]]\nname = {name:?}\nfor = \"user\"\n{ensure}\n")
    };
    write("c.toml", &licence("up", "licensed"));
    write("d.toml", &format!("{}{}", named("third"), licence("down", "basic")));
    let error = load().unwrap_err();
    let at = format!("{}:6:1", folder.path().join("rules").join("d.toml").display());
    let expected = format!("error: rules up and down want different values of type for every user\n --> {at}\n");
    assert!(error.starts_with(&expected), "the place is in the file of the second: {error}");
    write("c.toml", &named("first"));
    write("d.toml", "rule = ");
    write("e.toml", "[server]\nlisten = 1");
    let error = load().unwrap_err();
    let place = |name: &str, spot: &str| format!("{}:{spot}", folder.path().join("rules").join(name).display());
    for part in [
        "error: two [[rule]] are named \"first\"",
        &place("c.toml", "2:8"),
        "error: this is not TOML",
        &place("d.toml", "1:8"),
        "error: a file of rules has no key server",
        &place("e.toml", "1:2"),
    ] {
        assert!(error.contains(part), "{part} is not in\n{error}");
    }
    for when in ["\"user.dept == \"Maths\"\"", "user.type == 2"] {
        write("d.toml", &format!("[[rule]]\nwhen = {when}\n"));
        let error = load().unwrap_err();
        assert!(error.contains("; put the condition in single quotes, as in when = 'user.type == 2'"), "{error}");
    }
}

/// Words of the language, so that a text has a chance to mean something.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "user",
        "meeting",
        "event",
        ".type",
        ".email",
        ".group_ids",
        ".payload",
        ".created_at",
        "now",
        "account",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "?",
        ":",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "in",
        "null",
        "true",
        "1",
        "0",
        "2.5",
        "'a'",
        "\"é\"",
        "r'\\d'",
        ".startsWith",
        ".matches",
        ".exists",
        ".map",
        "x",
        "size",
        "has",
        "duration",
        "timestamp",
        "9223372036854775807",
        "// c\n",
        "`",
        "\\",
        "'''",
        "b'a'",
        ".?",
        "9u",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

fn survives(text: &str) {
    let facts = [
        json!({}),
        json!({"user": {"type": 2, "email": "a", "group_ids": ["a"], "created_at": "x"}, "now": "2026-01-01T00:00:00Z"}),
        json!({"user": 5, "meeting": [], "event": {"payload": {"a": [1, "b", null, 1.5]}}, "now": 0}),
        Value::Null,
    ];
    for topic in [Topic::User, Topic::Meeting, Topic::Event] {
        match Condition::compile(text, topic) {
            Ok(condition) => facts.iter().for_each(|facts| {
                let _either = condition.holds(facts);
                let _leaves = condition.explain(facts);
            }),
            Err(error) => {
                assert!(text.get(error.span.clone()).is_some(), "{text:?}: {error:?} is not within it");
                assert!(error.column(text) >= 1);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_words_of_the_language_makes_it_panic(text in words()) {
        survives(&text);
    }

    #[test]
    fn no_text_at_all_makes_it_panic(text in "\\PC{0,60}") {
        survives(&text);
    }
}

/// Each problem as `file:line:column what: what was expected`, one a line.
fn problems(message: &str, folder: &str) -> String {
    let short = |block: &str| {
        let lines: Vec<&str> = block.lines().collect();
        let place = lines[1].trim().trim_start_matches("--> ").replace(folder, "");
        let last = lines.last().unwrap();
        let help =
            last.split_once('^').map_or(*last, |(_, help)| help.trim_start_matches('^')).trim_start_matches(" = ");
        format!("{} {}: {}", place.trim_start_matches('/'), &lines[0]["error: ".len()..], help.trim())
            .replace(folder, "")
    };
    message.split("\n\n").map(short).collect::<Vec<_>>().join("\n")
}

/// What is said of a configuration whose folder of rules holds this file.
fn said_of_file(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/r.toml"), bytes).unwrap();
    let taken = rule("meeting", "true").replace("\"r\"", "\"taken\"");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, format!("{CONFIG}[rules]\nfolder = \"rules\"\n{taken}")).unwrap();
    let loaded = adjutant::config::load(&path, &Env::default());
    loaded.map_or_else(|error| problems(&error.to_string(), folder.path().to_str().unwrap()), |_| "nothing".to_owned())
}

/// Each with its name, its text, and what is said of it.
pub(crate) fn bad_files() -> Vec<(&'static str, &'static str, &'static str)> {
    let cases = include_str!("rules/files.txt").split("\n### ").skip(1);
    let parts = cases.map(|case| {
        let (name, rest) = case.split_once('\n').unwrap();
        let (text, expected) = rest.split_once("--->\n").unwrap();
        (name, text, expected)
    });
    parts.collect()
}

#[test]
fn every_bad_file_of_rules_is_refused_with_its_own_words_and_place() {
    let cases = bad_files();
    assert!(cases.len() >= 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for (name, text, expected) in cases {
        let found = said_of_file(text.as_bytes());
        if found != expected.trim_end() {
            wrong.push(format!("{name}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(said_of_file(rule("user", "user.type == 2").as_bytes()), "nothing");
}

#[test]
fn a_file_of_rules_that_is_no_text_or_far_too_large_is_refused() {
    let good = rule("user", "user.type == 2");
    let not_text = [good.as_bytes(), b"# \xff\n"].concat();
    let large = format!("{good}{}", "# a comment\n".repeat(1 << 20));
    for (bytes, expected) in [
        (not_text.as_slice(), "stream did not contain valid UTF-8"),
        (large.as_bytes(), "it is larger than 1048576 bytes"),
    ] {
        let expected = format!("config.toml:11:10 cannot read /rules/r.toml: {expected}: expected a file of [[rule]]s");
        assert_eq!(said_of_file(bytes), expected);
    }
}
