//! `rules check`, `rules test` and `rules record`, with the real binary.

use std::path::Path;
use std::process::{Command, Output};

use crate::process::service::{ACCOUNT, Service};

const CONFIG: &str = r#"
[[app]]
name = "main"
kind = "server-to-server"
client_id = "abcDEF123"
client_secret = "client-secret-of-the-test"
webhook_secrets = ["webhook-secret-of-the-test"]
[[app.account]]
id = "AAAAAABBBB"
api_users = ["api@example.com"]
[[rule]]
name = "assist"
for = "user"
when = 'user.dept != "Guests"'
ensure = { assistants = ["api-user"] }
mode = "enforce"
[[rule]]
name = "waiting-room"
for = "meeting"
ensure = { settings = { waiting_room = true } }
"#;

const CASES: &str = r#"
[[case]]
name = "a teacher without the API user gets it"
user = { id = "u1", email = "jill@example.com", type = 2, status = "active", dept = "Maths" }
assistants = []
[case.expect]
assist = "add assistant api@example.com"

[[case]]
name = "who has it is right"
user = { id = "u1", email = "jill@example.com", type = 2, status = "active", dept = "Maths" }
assistants = ["api@example.com"]
expect = { assist = "already right" }

[[case]]
name = "a basic user waits"
user = { id = "u1", email = "jill@example.com", type = 1, status = "active", dept = "Maths" }
expect = { assist = "waits" }

[[case]]
name = "a guest is left alone"
user = { id = "u1", email = "jill@example.com", type = 2, status = "active", dept = "Guests" }
expect = { assist = "nothing" }

[[case]]
name = "a deleted user asks for nothing"
event = { event = "user.deleted", event_ts = 1760000000000, payload = { account_id = "AAAAAABBBB", object = { id = "u1" } } }
user = { id = "u1", email = "jill@example.com", type = 2, status = "active" }
expect = { assist = "not asked" }

[[case]]
name = "a meeting without a waiting room gets one"
meeting = { id = 123456789, host_id = "u1", settings = { waiting_room = false } }
expect = { waiting-room = "set waiting_room on" }
"#;

fn run(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_adjutant"))
        .args(words)
        .current_dir(folder)
        .env_remove("ADJUTANT_CONFIG")
        .output()
        .unwrap()
}

fn folder(cases: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
    std::fs::create_dir_all(folder.path().join("tests/rules")).unwrap();
    std::fs::write(folder.path().join("tests/rules/all.toml"), cases).unwrap();
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn cases_pass_where_the_rules_say_what_is_expected() {
    let folder = folder(CASES);
    let output = run(folder.path(), &["rules", "test"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("pass a guest is left alone (tests/rules/all.toml)"), "{said}");
    assert!(said.ends_with("6 cases, 0 failed\n"), "{said}");
}

#[test]
fn a_case_that_fails_says_what_came_instead_and_the_exit_code_says_so() {
    let wrong = CASES
        .replace("{ assist = \"already right\" }", "{ assist = \"waits\" }")
        .replace("{ assist = \"nothing\" }", "{ no-such-rule = \"right\" }");
    let folder = folder(&wrong.replacen("assistants = []\n", "", 1));
    let output = run(folder.path(), &["rules", "test", "tests/rules/all.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    for line in [
        "     assist: expected \"add assistant api@example.com\", and the case does not give assistants",
        "     assist: expected \"waits\", came to \"already right\"",
        "     no-such-rule: there is no such rule about what the case gives",
        "6 cases, 3 failed",
    ] {
        let is_it = |had: &str| had.split_whitespace().eq(line.split_whitespace());
        assert!(said.lines().any(is_it), "{line} is missing in\n{said}");
    }
    let json = run(folder.path(), &["rules", "test", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json.as_array().unwrap().iter().filter(|case| case["passed"] == false).count(), 3);
    let none = folder.path().join("none");
    std::fs::create_dir(&none).unwrap();
    assert_eq!(run(folder.path(), &["rules", "test", "none"]).status.code(), Some(1), "no case is no success");
    std::fs::write(none.join("bad.toml"), "[[case]]\nname = \"x\"\nuser.typ = 2\nexpct = {}\n").unwrap();
    let output = run(folder.path(), &["rules", "test", "none"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("unknown field `expct`"), "{}", text(&output.stderr));
    for (field, told) in [
        ("user.typ = 2", "user.typ is no field of Zoom's. did you mean type?"),
        ("host.emial = \"a@b.c\"", "host.emial is no field of Zoom's. did you mean email?"),
        ("meeting.duratoin = 2", "meeting.duratoin is no field of Zoom's. did you mean duration?"),
    ] {
        std::fs::write(none.join("bad.toml"), format!("[[case]]\nname = \"x\"\n{field}\n")).unwrap();
        let output = run(folder.path(), &["rules", "test", "none"]);
        let expected = format!("error: none/bad.toml: case \"x\": {told}\n");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), expected));
    }
}

#[test]
fn the_rules_are_shown_with_what_they_want_and_what_is_wrong_with_them_is_told() {
    let folder = folder(CASES);
    let output = run(folder.path(), &["rules", "check"]);
    let said = text(&output.stdout);
    for line in [
        "assist (enforced, for users)",
        "wants the API users as assistants",
        "when user.dept != \"Guests\"",
        "waiting-room (observed, for meetings)",
        "wants settings waiting_room on",
        "2 rules, and nothing is wrong with config.toml",
    ] {
        let is_it = |had: &str| had.split_whitespace().eq(line.split_whitespace());
        assert!(said.lines().any(is_it), "{line} is missing in\n{said}");
    }
    assert!(said.contains(" % of the users a day (from 50 active users on)\n"), "{said}");
    std::fs::write(folder.path().join("config.toml"), CONFIG.replace("user.dept", "user.dpt")).unwrap();
    let output = run(folder.path(), &["rules", "check"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("dept"), "{}", text(&output.stderr));
}

#[test]
fn a_delivery_becomes_a_case_that_passes_and_names_nobody() {
    let mut service = Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth");
    assert!(service.start(&[]));
    let body = format!(
        r#"{{"event":"user.created","event_ts":1760000000123,"payload":{{"account_id":"{ACCOUNT}","operator":"boss@school.example",
            "object":{{"id":"uJILLu","first_name":"Jill","last_name":"Hill","email":"Jill.Hill@School.example","type":2,
            "dept":null,"client_type":1,"host_key":"998877"}}}}}}"#
    );
    assert_eq!(service.deliver(&body).unwrap(), 200);
    let cases = service.folder().join("tests/rules");
    std::fs::create_dir_all(&cases).unwrap();
    let file = cases.join("created.toml");
    let (code, out, err) = service.command(&["rules", "record", "dlv_1", "--out", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, _, err) = service.command(&["rules", "record", "dlv_1", "--out", file.to_str().unwrap()]);
    assert_eq!(code, 74, "a file was written over: {err}");
    let written = std::fs::read_to_string(&file).unwrap();
    for original in ["ill", "oss", "School", "school", "998877", ACCOUNT] {
        let rest = written.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        assert!(!rest.contains(original), "{original} is left in\n{rest}");
    }
    assert!(written.contains("add assistant"), "{written}");
    let (code, out, err) = service.command(&["rules", "test"]);
    assert_eq!(code, 0, "{out}{err}\n{written}");
    let (code, out, err) = service.command(&["rules", "explain", "dlv_1"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("dlv_1, user.created") && out.contains("user:uJILLu"), "{out}");
}

#[test]
fn a_rule_about_events_is_asked_by_events_alone_and_a_case_may_name_its_account() {
    let folder = folder(
        r#"
[[case]]
name = "as a sweep"
user = { id = "u1", email = "jill@example.com", type = 1, status = "active" }
expect = { licensed = "not asked", assist = "waits" }

[[case]]
name = "an event that does not say"
event = { event = "user.created", event_ts = 1760000000000, payload = { account_id = "AAAAAABBBB", object = { id = "u1" } } }
user = { id = "u1", email = "jill@example.com", type = 1, status = "active" }
expect = { licensed = "nothing", assist = "waits" }

[[case]]
name = "another account"
account = "CCCCCCDDDD"
user = { id = "u1", email = "jill@example.com", type = 2, status = "active" }
assistants = []
expect = { assist = "add assistant other@example.com" }

[[case]]
name = "no account"
account = "EEEE"
user = { id = "u1", email = "jill@example.com", type = 2, status = "active" }
expect = { assist = "nothing" }
"#,
    );
    let more = r#"
[[rule]]
name = "licensed"
on = ["user.created"]
when = 'event.payload.object.type < 2'
ensure = { type = "licensed" }
"#;
    let accounts = "[[app.account]]\nid = \"CCCCCCDDDD\"\napi_users = [\"other@example.com\"]\n[[rule]]";
    let config = CONFIG.replacen("[[rule]]", accounts, 1) + more;
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let output = run(folder.path(), &["rules", "test"]);
    let said = text(&output.stdout);
    assert!(said.contains("pass as a sweep") && said.contains("pass another account"), "{said}");
    assert!(said.contains("licensed: expected \"nothing\", came to \"unanswered: "), "{said}");
    assert!(said.contains("there is no such account; the configuration has AAAAAABBBB, CCCCCCDDDD"), "{said}");
    assert!(said.ends_with("4 cases, 2 failed\n"), "{said}");
}

#[test]
fn of_events_in_the_course_of_time_a_case_says_what_becomes_of_each() {
    let event = |name: &str| {
        let object = r#"{ id = "123456789", uuid = "run-1", type = 2 }"#;
        format!(
            "[[case]]\nname = \"{name}\"\nmeeting = {{ id = 123456789, host_id = \"u1\", settings = {{ waiting_room = false }} }}\n\
             event = {{ event = \"{name}\", event_ts = 1760000000000, payload = {{ account_id = \"AAAAAABBBB\", object = {object} }} }}\n"
        )
    };
    let began = "waiting-room = \"not asked\", in-time = \"set waiting_room on\", told = 'sends: {\"run\": \"run-1\"}'";
    let cases = [
        event("meeting.participant_jbh_waiting") + &format!("expect = {{ {began}, attendance = \"not asked\" }}\n"),
        event("meeting.started")
            + "expect = { in-time = \"not asked\", told = \"nothing\", attendance = \"not asked\" }\n",
        event("meeting.sharing_ended") + "expect = { in-time = \"not asked\", told = \"not asked\" }\n",
        event("meeting.ended") + "expect = { in-time = \"not asked\", attendance = \"collects\" }\n",
        event("meeting.ended").replace("uuid = \"run-1\", ", "") + "expect = { attendance = \"unanswered\" }\n",
    ];
    let folder = folder(&cases.concat());
    let more = r#"
[[consumer]]
name = "archive"
kind = "file"
path = "events.jsonl"
[[rule]]
name = "in-time"
on = ["meeting.participant_jbh_waiting"]
after = "5m"
unless = ["meeting.started"]
release = ["meeting.sharing_ended"]
ensure = { settings = { waiting_room = true } }
[[rule]]
name = "told"
on = ["meeting.participant_jbh_waiting"]
after = "5m"
unless = ["meeting.started"]
send = "archive"
template = '{"run": "{{ event.payload.object.uuid }}"}'
[[rule]]
name = "attendance"
on = ["meeting.participant_joined", "meeting.ended"]
fold = "attendance"
send = "archive"
"#;
    std::fs::write(folder.path().join("config.toml"), CONFIG.to_owned() + more).unwrap();
    let output = run(folder.path(), &["rules", "test"]);
    let said = text(&output.stdout);
    assert!(said.ends_with("5 cases, 0 failed\n"), "{said}{}", text(&output.stderr));
}

/// Of events that look at what they are about.
const GUARD: &str = r#"
[[consumer]]
name = "ops"
kind = "file"
path = "ops.jsonl"
[[rule]]
name = "timetable-guard"
on = ["meeting.updated", "meeting.deleted"]
when = 'meeting.by_api_user && !event.by_api_user && "Teachers" in host.groups'
send = "ops"
template = '{"text": "{{ meeting.topic }} by {{ event.payload.operator }}, of {{ host.email }}"}'
"#;

const GUARD_CASES: &str = r#"
[[case]]
name = "somebody deletes what the API user scheduled for a teacher"
event = { event = "meeting.deleted", event_ts = 1760000000000, payload = { account_id = "AAAAAABBBB", operator = "jill@example.com", object = { id = 7 } } }
meeting = { id = 7, topic = "Algebra", host_id = "u1", host_email = "jill@example.com", assistant_id = "api-id" }
host = { id = "u1", email = "jill@example.com", group_ids = ["g1"] }
groups = { g1 = "Teachers" }
api_users = ["api-id"]
expect = { timetable-guard = 'sends: {"text": "Algebra by jill@example.com, of jill@example.com"}' }

[[case]]
name = "the API user does"
event = { event = "meeting.updated", event_ts = 1760000000000, payload = { account_id = "AAAAAABBBB", operator = "API@example.com", object = { id = 7 } } }
meeting = { id = 7, topic = "Algebra", host_email = "api@example.com" }
host = { id = "u1", email = "api@example.com", group_ids = [] }
expect = { timetable-guard = "nothing" }

[[case]]
name = "what the case does not give"
event = { event = "meeting.updated", event_ts = 1760000000000, payload = { account_id = "AAAAAABBBB", object = { id = 7 } } }
expect = { timetable-guard = "needs: meeting" }
"#;

#[test]
fn a_case_of_an_event_gives_the_meeting_and_its_host_as_well() {
    let folder = folder(GUARD_CASES);
    std::fs::write(folder.path().join("config.toml"), format!("{CONFIG}{GUARD}")).unwrap();
    let output = run(folder.path(), &["rules", "test"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.ends_with("3 cases, 0 failed\n"), "{said}");
}

#[test]
fn cases_of_rules_that_end_recover_and_report_say_what_these_come_to() {
    let told = |event: &str, object: &str| {
        format!(
            "event = {{ event = \"{event}\", event_ts = 1760000000000, payload = {{ account_id = \"AAAAAABBBB\", \
             object = {{ {object} }} }} }}"
        )
    };
    let started = told("meeting.started", "id = \"123456789\", uuid = \"one\", host_id = \"u1\"");
    let deleted = told("meeting.deleted", "id = 123456789, uuid = \"one\", host_id = \"u1\"");
    let left = told("user.deactivated", "id = \"u1\", email = \"jill@example.com\", type = 1");
    let meeting = |status: &str, uuid: &str| {
        format!(
            "meeting = {{ id = 123456789, uuid = \"{uuid}\", host_id = \"u1\", status = \"{status}\", settings = {{}} }}"
        )
    };
    let mut cases = String::new();
    for (name, given, rule, expected) in [
        ("runs", format!("{started}\n{}", meeting("started", "one")), "forgotten", "end the meeting"),
        ("is over", format!("{started}\n{}", meeting("waiting", "two")), "forgotten", "already right"),
        ("runs again", format!("{started}\n{}", meeting("started", "two")), "forgotten", "not applicable"),
        ("is gone", deleted.clone(), "keep", "recover the meeting"),
        ("is there", format!("{deleted}\n{}", meeting("waiting", "one")), "keep", "already right"),
        ("left", left, "orphaned", "sends: what Zoom says of the user's upcoming meetings"),
    ] {
        let case = format!("[[case]]\nname = \"{name}\"\n{given}\nexpect = {{ {rule} = \"{expected}\" }}\n");
        cases.push_str(&case);
    }
    let folder = folder(&cases);
    let rules = r#"
[[rule]]
name = "forgotten"
on = ["meeting.started"]
after = "12h"
ensure = { status = "ended" }
allow_end = true
[[rule]]
name = "keep"
on = ["meeting.deleted"]
ensure = { status = "recovered" }
[[rule]]
name = "orphaned"
on = ["user.deactivated"]
report = "orphaned"
successor = "deputy@example.com"
send = "desk"
[[consumer]]
name = "desk"
kind = "file"
path = "lines"
"#;
    let config = CONFIG.split("[[rule]]").next().unwrap().to_owned() + rules;
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let output = run(folder.path(), &["rules", "test"]);
    let said = text(&output.stdout);
    assert!(said.ends_with("6 cases, 0 failed\n"), "{said}{}", text(&output.stderr));
    let said = text(&run(folder.path(), &["rules", "check"]).stdout);
    for line in [
        "wants the meeting ended; 12h after the event, once for each run of the meeting",
        "wants the meeting recovered",
        "wants a record of the user's upcoming meetings, and how deputy@example.com could host them; sent to desk",
    ] {
        let is_it = |had: &str| had.split_whitespace().eq(line.split_whitespace());
        assert!(said.lines().any(is_it), "{line} is missing in\n{said}");
    }
}
