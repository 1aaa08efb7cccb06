//! A meeting is not given another host.

use adjutant::sim::NewUser;
use serde_json::{Value, json};

use super::{Row, all_hold, answers, is_problem, refuses, with};
use crate::meetings::kit::{LENDING, email, school};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};

pub(super) const CODES: &[&str] = &[
    "assistants-full",
    "budget-used-up",
    "cannot-schedule-for",
    "host-elsewhere",
    "host-inactive",
    "host-pending",
    "host-unknown",
    "host-unlicensed",
    "in-progress",
    "instant-meeting",
    "may-not-host",
    "meeting-unknown",
    "no-privilege",
    "not-licensed",
    "not-movable",
    "principal-gone",
    "principal-inactive",
    "principal-unknown",
    "principal-unlicensed",
    "too-large",
    "webinar",
    "zoom-refuses",
];

/// A move, as it is asked for in both ways. `how` is a field of the body, and an option with the same name.
fn give<'a>(
    case: &'a str,
    (meeting, to, how): (u64, &str, &str),
    (status, code): (u16, &'static str),
    (said, advice): (&str, &'a str),
) -> Row<'a> {
    let to = email(to);
    let mut body = json!({ "to": to });
    let mut words = ["meetings", "move", &meeting.to_string(), "--to", &to].map(str::to_owned).to_vec();
    if !how.is_empty() {
        body[how] = json!(true);
        words.push(format!("--{how}"));
    }
    let path = format!("meetings/{meeting}/move");
    Row { case, path, body, words, faults: Vec::new(), status, code, said: said.to_owned(), advice }
}

fn own(served: &Served, host: &str, fields: &Value) -> u64 {
    served.world.create_meeting(ACCOUNT, &email(host), fields).unwrap()
}

/// A user as Zoom shows one.
fn user(id: &str, kind: i64, status: &str, account: &str) -> Value {
    json!({ "id": id, "email": email("somebody"), "type": kind, "status": status, "account_id": account })
}

/// Status, code and words of Zoom's; status and code of ours, and what can be done. `USER` is the new host's id, and then their email.
type Answered = ((u16, u32, &'static str), (u16, &'static str), &'static str);

const ANSWERED: [Answered; 15] = [
    (
        (400, 3000, "You cannot schedule a meeting for USER"),
        (422, "cannot-schedule-for"),
        "`adjutant assistants verify` says",
    ),
    ((400, 3003, "Not meeting host."), (422, "cannot-schedule-for"), "`adjutant assistants verify` says"),
    ((400, 3000, "Instant meetings do not support the schedule_for parameter."), (422, "not-movable"), "--recreate"),
    ((400, 3000, "Cannot access webinar info."), (422, "not-movable"), "--recreate"),
    ((400, 3000, "This is a pre-schedule meeting."), (422, "not-movable"), "--recreate"),
    ((400, 3000, "The user is of a blocked domain."), (422, "not-movable"), "--recreate"),
    (
        (400, 3000, "They are outside of your account for a meeting with continuous chat."),
        (422, "not-movable"),
        "--recreate",
    ),
    ((400, 3161, "Your user account is not allowed meeting hosting."), (422, "may-not-host"), "rights to host"),
    ((400, 3002, "Meeting is in progress."), (409, "in-progress"), "--when-ended"),
    ((400, 300, "Validation Failed."), (422, "zoom-refuses"), "mend what Zoom's message names"),
    ((400, 300, "The value of schedule_for is invalid."), (422, "zoom-refuses"), "mend what Zoom's message names"),
    ((400, 300, "Request Body should be a valid JSON object."), (422, "zoom-refuses"), "mend"),
    ((400, 1000, "Can not access pending user settings."), (422, "zoom-refuses"), "mend"),
    ((400, 3000, "Something that nobody has seen before."), (422, "zoom-refuses"), "mend"),
    ((403, 403, "Authenticated user has not permitted access to the targeted resource"), (422, "zoom-refuses"), "mend"),
];

const DAY: &str = "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this \
                   particular user. You may resume these requests at GMT 00:00:00.";

#[test]
fn whatever_zoom_answers_to_a_move_that_looked_good_is_told_in_its_words_with_a_code_of_ours() {
    let served = school("", &["first", "new", "idle"], &["first", "new", "idle"]);
    served.world.grant(ACCOUNT, &email("new"), &email("first")).unwrap();
    let id = own(&served, "first", &json!({ "topic": "Algebra" }));
    let (user, path) = (served.id(&email("new")), format!("/meetings/{id}"));
    let row = |((zooms, zooms_code, message), (status, code), advice): Answered| {
        let said = if code == "in-progress" { "is running".to_owned() } else { message.replace("USER", &email("new")) };
        let faults = vec![refuses("PATCH", &path, (zooms, zooms_code), &message.replace("USER", &user))];
        Row { faults, ..give(message, (id, "new", ""), (status, code), (&said, advice)) }
    };
    all_hold(&served, &ANSWERED.map(row));
    let pool = served.world.create_meeting(ACCOUNT, API_USER, &json!({ "schedule_for": email("idle") })).unwrap();
    let cannot = ANSWERED[0].0.2;
    let said =
        format!("Zoom says: {}; idle@school.example, who hosts it, is no", cannot.replace("USER", &email("new")));
    let row = give("the next one", (pool, "new", ""), (422, "no-privilege"), (&said, "assistants add"));
    with(row, refuses("PATCH", format!("/meetings/{pool}"), (400, 3000), &cannot.replace("USER", &user)))
        .holds(&served);
    assert_eq!(served.host(id), "first", "nothing was done");
    // Zoom's own word once, and then it is not asked any more.
    served.world.fault(refuses("PATCH", &path, (429, 429), DAY));
    let (status, problem) =
        served.sent("POST", &format!("{path}/move?wait=60s&no_wait=true")[1..], &json!({ "to": email("new") }));
    served.world.clear_faults();
    is_problem(("Zoom's", &problem), (status, "budget-used-up"), ("daily rate limit (100)", "ask again after"));
    assert_eq!(status, 429);
    give("ours", (id, "new", ""), (429, "budget-used-up"), (&email("first"), "ask again after")).holds(&served);
}

/// What the facts are told of.
struct Facts {
    served: Served,
    /// Made by the API user, by somebody else, and by its host.
    pool: u64,
    theirs: u64,
    plain: u64,
}

impl Facts {
    fn new() -> Self {
        let names = ["first", "new", "idle", "basic", "bare", "heir", "full", "scheduler"];
        let served = school(LENDING, &names, &["first", "new"]);
        let world = &served.world;
        world.set_licence(ACCOUNT, &email("basic"), 1).unwrap();
        world.deactivate(ACCOUNT, &email("idle")).unwrap();
        world.add_user(ACCOUNT, NewUser::licensed(&email("pending")).invited()).unwrap();
        for host in ["first", "heir"] {
            world.grant(ACCOUNT, &email(host), &email("scheduler")).unwrap();
        }
        for n in 0..30 {
            let helper = email(&format!("helper-{n}"));
            world.add_user(ACCOUNT, NewUser::licensed(&helper)).unwrap();
            world.grant(ACCOUNT, &email("full"), &helper).unwrap();
        }
        let for_first = json!({ "schedule_for": email("first") });
        let pool = world.create_meeting(ACCOUNT, API_USER, &for_first).unwrap();
        let theirs = world.create_meeting(ACCOUNT, &email("scheduler"), &for_first).unwrap();
        let plain = own(&served, "first", &json!({}));
        Self { served, pool, theirs, plain }
    }

    fn of_meetings(&self) -> Vec<Row<'static>> {
        let Self { served, pool, .. } = self;
        let (instant, running) = (own(served, "first", &json!({ "type": 1 })), own(served, "first", &json!({})));
        let settings = json!({ "language_interpretation": "x".repeat(40 << 10) });
        let large = own(served, "first", &json!({ "settings": settings }));
        served.world.start_meeting(ACCOUNT, running).unwrap();
        let (get, webinar) = (format!("/meetings/{pool}"), "Cannot access webinar info.");
        let unknown = "Zoom does not know the meeting";
        vec![
            give("no meeting", (7, "new", ""), (404, "meeting-unknown"), (unknown, "")),
            with(
                give("3001", (*pool, "new", ""), (404, "meeting-unknown"), (unknown, "")),
                refuses("GET", &get, (404, 3001), "Meeting does not exist."),
            ),
            with(
                give("a webinar", (*pool, "new", ""), (422, "webinar"), (webinar, "")),
                refuses("GET", &get, (400, 3000), webinar),
            ),
            with(
                give("nobody made it", (*pool, "new", ""), (422, "principal-unknown"), ("who made", "--recreate")),
                answers("GET", &get, 200, &json!({ "id": pool, "type": 2, "status": "waiting" })),
            ),
            give("instant", (instant, "new", ""), (422, "instant-meeting"), ("is instant", "")),
            give("running", (running, "new", ""), (409, "in-progress"), ("is running", "--when-ended")),
            give(
                "large",
                (large, "bare", "recreate"),
                (422, "too-large"),
                ("in its place takes over", "meetings create"),
            ),
        ]
    }

    fn of_hosts(&self) -> Vec<Row<'static>> {
        let (pool, new) = (self.pool, format!("/users/{}", email("new")));
        let unknown = "has no user new@school.example";
        vec![
            give("nobody", (pool, "nobody", ""), (404, "host-unknown"), ("has no user nobody@school.example", "")),
            with(
                give("1010", (pool, "new", ""), (404, "host-unknown"), (unknown, "")),
                refuses("GET", &new, (404, 1010), "User does not belong to this account."),
            ),
            with(
                give("1001", (pool, "new", ""), (404, "host-unknown"), (unknown, "")),
                refuses("GET", &new, (404, 1001), "User does not exist."),
            ),
            with(
                give("elsewhere", (pool, "new", ""), (422, "host-elsewhere"), ("is a user of another account", "")),
                answers("GET", &new, 200, &user("elsewhere", 2, "active", "another-account")),
            ),
            give("pending", (pool, "pending", ""), (422, "host-pending"), ("has not accepted", "has accepted")),
            give("idle", (pool, "idle", ""), (422, "host-inactive"), ("is deactivated", "activate the user")),
            give("basic", (pool, "basic", ""), (422, "host-unlicensed"), ("has no licence", "give the user a licence")),
        ]
    }

    fn of_privileges(&self) -> Vec<Row<'static>> {
        let Self { served, theirs, plain, .. } = self;
        let scheduler = served.id(&email("scheduler"));
        let who = format!("/users/{scheduler}");
        let grant = format!("/users/{}/assistants", served.id(&email("bare")));
        let missing = "first@school.example, who hosts it, is no assistant of bare@school.example";
        vec![
            give("none", (*plain, "bare", ""), (422, "no-privilege"), (missing, "--lend grants")),
            give("full", (*plain, "full", ""), (422, "assistants-full"), ("who has 30 already", "remove one of those")),
            with(
                give("gone", (*theirs, "heir", ""), (422, "principal-gone"), ("is gone", "--recreate")),
                refuses("GET", &who, (404, 1001), "User does not exist."),
            ),
            with(
                give("inactive", (*theirs, "heir", ""), (422, "principal-inactive"), ("is not active", "activate")),
                answers("GET", &who, 200, &user(&scheduler, 2, "inactive", ACCOUNT)),
            ),
            with(
                give("basic", (*theirs, "heir", ""), (422, "principal-unlicensed"), ("has no licence", "a licence")),
                answers("GET", &who, 200, &user(&scheduler, 1, "active", ACCOUNT)),
            ),
            with(
                give(
                    "lent to nobody",
                    (*plain, "bare", "lend"),
                    (422, "not-licensed"),
                    ("cannot be lent", "--recreate"),
                ),
                refuses("POST", &grant, (400, 200), "The user must either be a Licensed user or an On-prem user : x."),
            ),
            with(
                give(
                    "lent, no room",
                    (*plain, "bare", "lend"),
                    (422, "assistants-full"),
                    ("no room for another", "--recreate"),
                ),
                refuses("POST", &grant, (400, 200), "The number of assistants exceeds the limit (30)."),
            ),
        ]
    }
}

#[test]
fn what_the_facts_say_against_a_move_is_told_before_the_call_with_the_one_thing_that_is_missing() {
    let facts = Facts::new();
    let rows = [facts.of_meetings(), facts.of_hosts(), facts.of_privileges()].concat();
    let mut codes = all_hold(&facts.served, &rows);
    let world = &facts.served.world;
    assert_eq!(world.count_calls("PATCH", "/meetings/"), 0, "nothing was sent that Zoom would refuse");
    assert!(world.assistants(ACCOUNT, &email("bare")).is_empty(), "nothing stays lent");
    codes.extend(ANSWERED.map(|(_, (_, code), _)| code));
    codes.push("budget-used-up");
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes, CODES);
}
