//! A meeting is not made or changed; and what is refused before anything is taken.

use adjutant::sim::NewUser;
use serde_json::{Value, json};

use super::{Row, all_hold, answers, is_problem, refuses, with};
use crate::meetings::kit::{email, school};
use crate::process::http;
use crate::process::service::{ACCOUNT, API_USER};

pub(super) const CODES: &[&str] = &[
    "account-unknown",
    "budget-used-up",
    "cannot-schedule-for",
    "host-elsewhere",
    "host-inactive",
    "host-pending",
    "host-unknown",
    "host-unlicensed",
    "in-progress",
    "invalid",
    "key-used",
    "may-not-host",
    "meeting-unknown",
    "no-api-user",
    "no-privilege",
    "not-movable",
    "under-way",
    "zoom-refuses",
];

fn make<'a>(
    case: &'a str,
    (host, path): (&str, &str),
    (status, code): (u16, &'static str),
    (said, advice): (&str, &'a str),
) -> Row<'a> {
    let host = email(host);
    let mut words = ["meetings", "create", "--for", &host, "--topic", case].map(str::to_owned).to_vec();
    words.extend((path == "own").then(|| "--own".to_owned()));
    let body = json!({ "for": host, "path": path, "meeting": { "topic": case } });
    let path = "meetings".to_owned();
    Row { case, path, body, words, faults: Vec::new(), status, code, said: said.to_owned(), advice }
}

#[test]
fn a_meeting_that_cannot_be_made_is_refused_with_the_one_thing_that_is_missing() {
    let served = school("", &["first", "idle", "basic", "bare"], &["first"]);
    let world = &served.world;
    world.set_licence(ACCOUNT, &email("basic"), 1).unwrap();
    world.deactivate(ACCOUNT, &email("idle")).unwrap();
    world.add_user(ACCOUNT, NewUser::licensed(&email("pending")).invited()).unwrap();
    let of = |user: &str| format!("/users/{}/meetings", served.id(user));
    let (own, pool) = (of(&email("first")), of(API_USER));
    let (first, first_id) = (email("first"), served.id(&email("first")));
    let elsewhere =
        json!({ "id": "x", "email": first, "type": 2, "status": "active", "account_id": "another-account" });
    let rows = [
        make("nobody", ("nobody", "own"), (404, "host-unknown"), ("has no user nobody@school.example", "")),
        make("pending", ("pending", "own"), (422, "host-pending"), ("has not accepted", "has accepted")),
        make("idle", ("idle", "own"), (422, "host-inactive"), ("is deactivated", "activate the user")),
        make("basic", ("basic", "movable"), (422, "host-unlicensed"), ("has no licence", "--own")),
        make("bare", ("bare", "movable"), (422, "no-privilege"), ("no API user of the account is", "assistants add")),
        with(
            make("elsewhere", ("first", "own"), (422, "host-elsewhere"), ("is a user of another account", "")),
            answers("GET", format!("/users/{first}"), 200, &elsewhere),
        ),
        with(
            make("3161", ("first", "own"), (422, "may-not-host"), ("is not allowed meeting hosting", "rights to host")),
            refuses("POST", &own, (400, 3161), "Your user account is not allowed meeting hosting."),
        ),
        with(
            make("3000", ("first", "movable"), (422, "not-movable"), ("schedule_for parameter", "")),
            refuses("POST", &pool, (400, 3000), "Instant meetings do not support the schedule_for parameter."),
        ),
        with(
            make("300", ("first", "own"), (422, "zoom-refuses"), ("Validation Failed.", "mend what Zoom's message")),
            refuses("POST", &own, (400, 300), "Validation Failed."),
        ),
    ];
    let mut codes = all_hold(&served, &rows);
    let named = make("3000, who", ("first", "movable"), (422, "cannot-schedule-for"), (&first, "assistants verify"));
    let said = format!("You cannot schedule a meeting for {first_id}");
    with(named, refuses("POST", &pool, (400, 3000), &said)).holds(&served);
    // All that this UTC day has is used up.
    let left = world.meeting_writes_left(ACCOUNT, &first);
    world.spend_meeting_writes(ACCOUNT, &first, left).unwrap();
    make("100 a day", ("first", "own"), (429, "budget-used-up"), ("used up", "ask again after")).holds_after(&served);
    assert!(world.meetings(ACCOUNT).is_empty(), "nothing was made");
    served
        .reload(|config| config.replace(&format!("api_users = [\"{API_USER}\"]"), "api_users = [\"gone@x.example\"]"));
    make("nobody's", ("first", "movable"), (422, "no-api-user"), ("no API user", "--own")).holds(&served);
    codes.extend([
        "budget-used-up",
        "cannot-schedule-for",
        "no-api-user",
        "in-progress",
        "invalid",
        "key-used",
        "under-way",
    ]);
    codes.extend(["meeting-unknown", "account-unknown"]);
    codes.sort_unstable();
    assert_eq!(codes, CODES);
}

impl Row<'_> {
    /// Once Zoom has said that the day is over, it is not asked any more.
    fn holds_after(&self, served: &crate::process::served::Served) {
        let (status, problem) = served.sent("POST", &format!("{}?wait=60s&no_wait=true", self.path), &self.body);
        assert_eq!((status, &problem["code"]), (self.status, &json!(self.code)), "{problem}");
        self.holds(served);
    }
}

/// Method, path and body; status and code; what is said and can be done; the same as a command, and its exit code.
struct Case {
    asked: (&'static str, String, Value),
    is: (u16, &'static str),
    said: (&'static str, &'static str),
    words: Vec<String>,
    exit: i32,
}

fn case(
    asked: (&'static str, &str, Value),
    is: (u16, &'static str),
    said: (&'static str, &'static str),
    (words, exit): (&[&str], i32),
) -> Case {
    let (method, path, body) = asked;
    let words = ["meetings"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    Case { asked: (method, path.to_owned(), body), is, said, words, exit }
}

/// `known` is a meeting, and `running` one that runs and waits to be moved.
fn cases(known: &str, running: &str) -> Vec<Case> {
    let (host, other) = (&email("first"), &email("new"));
    let (moved, soon) = (json!({ "schedule_for": other }), json!({ "start_time": "soon" }));
    let (bad_host, bad_start) = (format!("--fields={moved}"), format!("--fields={soon}"));
    let make = |meeting: &Value| ("POST", "meetings", json!({ "for": host, "meeting": meeting }));
    let (theirs, gone) = (format!("meetings/{known}"), "meetings/7");
    let (runs, topic) = (format!("meetings/{running}"), json!({ "topic": "Other" }));
    let again = json!({ "for": host, "meeting": topic, "key": "k" });
    let (time, over) = (("expected a time", ""), ("has no meeting 7", ""));
    vec![
        case(make(&moved), (422, "invalid"), ("leave it out", ""), (&["create", "--for", host, &bad_host], 2)),
        case(make(&soon), (422, "invalid"), time, (&["create", "--for", host, &bad_start], 2)),
        case(
            ("POST", "meetings", again),
            (422, "key-used"),
            ("used for another request", "a key of its own"),
            (&["create", "--for", host, "--topic", "Other", "--key", "k"], 2),
        ),
        case(
            ("POST", &format!("{runs}/move"), json!({ "to": other })),
            (409, "under-way"),
            ("is being moved", "has ended"),
            (&["move", running, "--to", other], 1),
        ),
        case(
            ("PATCH", &runs, topic.clone()),
            (409, "in-progress"),
            ("is running", "has ended"),
            (&["update", running, "--topic", "Other"], 1),
        ),
        case(("PATCH", gone, topic), (404, "meeting-unknown"), over, (&["update", "7", "--topic", "Other"], 1)),
        case(("PATCH", &theirs, soon), (422, "invalid"), time, (&["update", known, &bad_start], 2)),
        case(("PATCH", &theirs, moved), (422, "invalid"), ("meetings move", ""), (&["update", known, &bad_host], 2)),
    ]
}

#[test]
fn what_is_refused_before_it_is_taken_is_a_problem_without_an_errand_and_nothing_was_asked_for() {
    let served = school("", &["first", "new"], &["first", "new"]);
    let for_first = json!({ "schedule_for": email("first") });
    let meeting = || served.world.create_meeting(ACCOUNT, API_USER, &for_first).unwrap();
    let (known, running) = (meeting(), meeting());
    served.world.start_meeting(ACCOUNT, running).unwrap();
    let path = format!("meetings/{running}/move");
    let waits = served.sent("POST", &format!("{path}?wait=60s"), &json!({ "to": email("new"), "when_ended": true }));
    assert_eq!((waits.0, &waits.1["state"]), (202, &json!("waiting")), "{}", waits.1);
    let keyed = json!({ "for": email("first"), "meeting": { "topic": "Algebra" }, "key": "k" });
    assert_eq!(served.sent("POST", "meetings?wait=60s", &keyed).1["state"], "done");
    let before = served.service.admin("GET", "/v1/errands").unwrap();
    for Case { asked: (method, path, body), is: (status, code), said, words, exit } in
        cases(&known.to_string(), &running.to_string())
    {
        let (is, problem) = served.sent(method, &path, &body);
        assert_eq!(is, status, "{path}: {problem}");
        is_problem((&path, &problem), (status, code), said);
        assert!(problem.get("errand").is_none(), "{problem}");
        let told = served.told(&words.iter().map(String::as_str).collect::<Vec<_>>(), exit);
        assert!(told.starts_with("error: ") && told.contains(said.0) && told.contains(said.1), "{words:?}: {told}");
    }
    assert_eq!(served.world.count_calls("PATCH", "/meetings/"), 2, "only what is about the one that runs came to Zoom");
    let (status, problem) =
        served.service.send("POST", "/v1/accounts/nowhere/meetings", keyed.to_string().as_bytes()).unwrap();
    is_problem(("nowhere", &problem), (404, "account-unknown"), ("no app holds account nowhere", ""));
    assert_eq!(status, 404);
    let made = served.told(&["tokens", "create", "--name", "reader", "--role", "auditor", "--json"], 0);
    let token: Value = serde_json::from_str(&made).unwrap();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let path = format!("/v1/accounts/{ACCOUNT}/{path}");
    let denied = http::request(served.service.admin, "POST", &path, &headers, b"{}").unwrap();
    assert_eq!(denied.status, 403, "{}", denied.body);
    assert_eq!(served.service.admin("GET", "/v1/errands").unwrap(), before, "nothing was asked for");
}

#[test]
fn without_a_wait_a_refusal_is_found_at_the_errand() {
    let served = school("", &["first", "new"], &["new"]);
    let id = served.world.create_meeting(ACCOUNT, &email("first"), &json!({})).unwrap();
    let (status, asked) = served.sent("POST", &format!("meetings/{id}/move"), &json!({ "to": email("new") }));
    assert!(status == 202 && asked["errand"].is_null(), "{asked}");
    let path = format!("/v1/errands/{}?wait=60s", asked["id"].as_str().unwrap());
    let (status, found) = served.service.ask("GET", &path).unwrap();
    assert_eq!((status, &found["state"], &found["code"]), (200, &json!("refused"), &json!("no-privilege")), "{found}");
}

#[test]
fn a_change_beyond_the_day_is_refused_with_the_hosts_email_and_what_zoom_refuses_with_its_words() {
    let served = school("", &["first"], &["first"]);
    let id = served.world.create_meeting(ACCOUNT, &email("first"), &json!({})).unwrap();
    let path = format!("/meetings/{id}");
    served.world.fault(refuses("PATCH", &path, (400, 3161), "Your user account is not allowed meeting hosting."));
    let change = json!({ "topic": "Other" });
    let (status, problem) = served.sent("PATCH", &path[1..], &change);
    assert_eq!(status, 422, "{problem}");
    is_problem(("3161", &problem), (422, "may-not-host"), ("is not allowed meeting hosting", "rights to host"));
    served.world.clear_faults();
    let left = served.world.meeting_writes_left(ACCOUNT, &email("first"));
    served.world.spend_meeting_writes(ACCOUNT, &email("first"), left).unwrap();
    // Zoom's word, and then ours.
    for said in ["daily rate limit", &email("first")] {
        let (status, problem) = served.sent("PATCH", &path[1..], &change);
        assert_eq!(status, 429, "{problem}");
        is_problem(("a day", &problem), (429, "budget-used-up"), (said, "ask again after"));
    }
    let told = served.told(&["meetings", "update", &id.to_string(), "--topic", "Other"], 1);
    assert!(told.contains(&email("first")) && told.contains("what can be done: ask again after"), "{told}");
    let log = served.told(&["audit", "tail", "--lines", "1000", "--json"], 0);
    assert!(log.contains(&format!("set topic of meeting {id}: ")) && log.contains("host-limit"), "{log}");
}
