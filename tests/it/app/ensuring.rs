//! Everything that can be ensured: each is read, compared, written only where it differs, and read back.

use std::time::Duration;

use adjutant::clock::Clock as _;
use adjutant::job::Subject;
use adjutant::rules::Step;
use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use adjutant::store::{Move, Selector, SweepCause, SweepKind, SweepRecord, SweepStep};
use serde_json::json;

use super::{ACCOUNT, API_USER, DEPUTY, Left, TestApp};

const JILL: &str = "jill.hill@acme.example";
/// Longer than names of groups are trusted.
const A_WHILE: Duration = Duration::from_secs(61);

fn user_rule(name: &str, ensure: &str) -> String {
    format!("name = \"{name}\"\nfor = \"user\"\nmode = \"enforce\"\nensure = {{ {ensure} }}\n")
}

fn meeting_rule(ensure: &str) -> String {
    user_rule("meetings", ensure).replace("\"user\"", "\"meeting\"")
}

async fn with(rules: &[String]) -> TestApp {
    TestApp::start(&rules.iter().map(String::as_str).collect::<Vec<_>>()).await
}

fn basic(app: &TestApp) {
    app.world.create_user(ACCOUNT, NewUser::basic(JILL)).unwrap();
}

fn licensed(app: &TestApp) {
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
}

fn kind(app: &TestApp) -> i64 {
    app.world.user(ACCOUNT, JILL).unwrap().kind
}

#[tokio::test]
async fn a_user_is_put_into_the_group_and_put_back_when_taken_out() {
    let app = with(&[user_rule("staff", "groups = [\"Teachers\"]")]).await;
    let group = app.world.add_group(ACCOUNT, "Teachers").unwrap();
    basic(&app);
    app.drain().await;
    assert_eq!(app.world.members(ACCOUNT, &group), [JILL]);
    app.world.leave_group(ACCOUNT, &group, JILL).unwrap();
    app.drain().await;
    assert_eq!(app.world.members(ACCOUNT, &group), [JILL]);
    assert_eq!(app.world.count_calls("POST", "/members"), 2);
    assert_eq!(app.world.count_calls("GET", "/groups"), 1, "the names are read once");
}

#[tokio::test]
async fn a_group_that_is_not_there_is_never_made() {
    let app = with(&[user_rule("staff", "groups = [\"Teachers\"]")]).await;
    basic(&app);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.world.groups(ACCOUNT).len()), ("parked group-unknown", 0));
    let one = app.world.add_group(ACCOUNT, "Teachers").unwrap();
    let other = app.world.add_group(ACCOUNT, "Teachers").unwrap();
    app.advance(A_WHILE).await;
    assert_eq!(app.retry_parked("group-unknown").await, 1);
    app.drain().await;
    assert_eq!(app.state().await, "parked group-unknown", "a name that two groups have says nothing");
    let members = [one, other].map(|group| app.world.members(ACCOUNT, &group).len());
    assert_eq!(members, [0, 0]);
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn a_licence_is_given_and_what_needs_one_follows() {
    let app = with(&[user_rule("all", "type = \"licensed\", assistants = [\"api-user\"]")]).await;
    basic(&app);
    app.drain().await;
    assert_eq!((kind(&app), app.assistants(JILL)), (2, vec![API_USER.to_owned()]));
    assert_eq!(app.world.count_calls("PATCH", "/users/"), 1);
}

#[tokio::test]
async fn without_a_licence_to_give_the_reason_is_told() {
    let app = with(&[user_rule("all", "type = \"licensed\"")]).await;
    app.world.set_seats(ACCOUNT, Some(1)).unwrap();
    app.expect_refusal("PATCH", "/users/", 400);
    basic(&app);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), kind(&app)), ("parked no-seats", 1));
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn a_licence_is_taken_away_only_by_a_rule_that_may() {
    let app = with(&[format!("{}allow_downgrade = true", user_rule("leavers", "type = \"basic\""))]).await;
    licensed(&app);
    app.drain().await;
    assert_eq!(kind(&app), 1);

    let app = with(&[user_rule("leavers", "type = \"basic\"")]).await;
    licensed(&app);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), kind(&app)), ("parked takes-away", 2));
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn what_takes_away_is_one_item_and_goes_through_when_a_person_lets_just_that_through() {
    let hosts = |hosts: &str| json!({ "topic": "Class", "type": 2, "settings": { "alternative_hosts": hosts } });
    let app = with(&[meeting_rule(&format!("settings = {{ alternative_hosts = [\"{API_USER}\"] }}"))]).await;
    for email in [JILL, DEPUTY] {
        app.world.add_user(ACCOUNT, NewUser::licensed(email)).unwrap();
    }
    let meeting = |of: &str| app.world.create_meeting(ACCOUNT, JILL, &hosts(of)).unwrap();
    let (one, other) = (meeting(DEPUTY), meeting(DEPUTY));
    app.drain().await;
    let parked = app.store.parked().await.unwrap();
    assert_eq!((parked.len(), parked[0].cause.as_str(), parked[0].count), (1, "takes-away", 2));
    app.retry_parked("takes-away").await;
    app.drain().await;
    assert_eq!(app.store.parked().await.unwrap()[0].count, 2, "to retry only looks again");
    let which = Selector::HeldBy { rule: parked[0].rule.clone().unwrap(), account: None };
    assert_eq!(app.store.move_jobs(which, Move::Allow, "Ada", app.clock.now()).await.unwrap(), 2);
    // Somebody else would lose it by now: nobody agreed to that.
    let now = format!("{DEPUTY};{JILL}");
    app.world.update_meeting(ACCOUNT, other, &json!({ "settings": { "alternative_hosts": now } })).unwrap();
    app.drain().await;
    let of = |id| app.world.meeting(ACCOUNT, id).unwrap().settings["alternative_hosts"].clone();
    assert_eq!((of(one), of(other)), (json!(API_USER), json!(now)));
    assert_eq!(app.store.parked().await.unwrap()[0].count, 1);
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn two_rules_that_disagree_about_a_user_park_and_do_not_flip() {
    let up = format!("{}when = 'user.dept != \"x\"'", user_rule("up", "type = \"licensed\""));
    let down = format!("{}allow_downgrade = true\nwhen = 'user.dept != \"y\"'", user_rule("down", "type = \"basic\""));
    let app = with(&[up, down]).await;
    basic(&app);
    app.drain().await;
    assert_eq!(app.world.count_calls("PATCH", "/users/"), 1, "the first one's change");
    assert_eq!(kind(&app), 2);
    assert_eq!(app.store.parked().await.unwrap()[0].cause, "rules-disagree");

    // While both are in force, to retry is of no use.
    app.retry_parked("rules-disagree").await;
    app.drain().await;
    assert_eq!((app.store.parked().await.unwrap()[0].count, kind(&app)), (1, 2));
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn a_rule_that_was_changed_since_stands_in_no_other_rules_way() {
    let up = format!("{}when = 'user.dept != \"x\"'", user_rule("up", "type = \"licensed\""));
    let down = format!("{}allow_downgrade = true\nwhen = 'user.dept == \"x\"'", user_rule("down", "type = \"basic\""));
    for changed in
        [up.replace("dept !=", "dept =="), up.replace("enforce", "observe"), up.replace("\"up\"", "\"other\"")]
    {
        let app = with(&[up.clone(), down.clone()]).await;
        basic(&app);
        app.drain().await;
        app.set_rules(&[&changed, &down]);
        app.world.update_user(ACCOUNT, JILL, &json!({ "dept": "x" })).unwrap();
        app.drain().await;
        assert_eq!(kind(&app), 1, "{changed}");
        app.cancel_all().await;
    }
}

#[tokio::test]
async fn only_the_settings_that_are_named_are_held() {
    let ensure = "settings = { in_meeting = { waiting_room = true, chat = false } }, feature = { webinar = true }";
    let app = with(&[user_rule("settings", ensure)]).await;
    basic(&app);
    app.drain().await;
    let settings = app.world.user_settings(ACCOUNT, JILL);
    assert_eq!((&settings["in_meeting"]["chat"], &settings["feature"]["webinar"]), (&json!(false), &json!(true)));
    assert_eq!(settings["in_meeting"]["polling"], json!(false), "nobody named it");
    assert_eq!(app.world.count_calls("PATCH", "/settings"), 1, "one call for all of them");
    app.world.set_user_settings(ACCOUNT, JILL, &json!({ "in_meeting": { "chat": true, "polling": true } })).unwrap();
    app.drain().await;
    let settings = app.world.user_settings(ACCOUNT, JILL);
    assert_eq!((&settings["in_meeting"]["chat"], &settings["in_meeting"]["polling"]), (&json!(false), &json!(true)));
    assert_eq!(app.world.count_calls("PATCH", "/settings"), 2);
}

#[tokio::test]
async fn a_rule_that_observes_says_everything_that_it_would_do() {
    let ensure = "type = \"licensed\", groups = [\"Staff\"], settings = { in_meeting = { chat = false } }";
    let app = with(&[user_rule("all", ensure).replace("enforce", "observe")]).await;
    app.world.add_group(ACCOUNT, "Staff").unwrap();
    basic(&app);
    app.drain().await;
    assert_eq!(app.state().await, "would make Licensed; add to group Staff; set in_meeting.chat off");
    assert_eq!(app.world.count_calls("PATCH", "/v2") + app.world.count_calls("POST", "/v2"), 0);
}

#[tokio::test]
async fn owners_and_admins_are_left_alone_where_the_rule_excepts_their_roles() {
    let roles = "except_roles = [\"owner\", \"admin\"]";
    let app = with(&[format!("{}{roles}", user_rule("all", "type = \"licensed\""))]).await;
    for (email, role) in [("dean@acme.example", "0"), ("admin@acme.example", "1"), ("clerk@acme.example", "22")] {
        app.world.add_user(ACCOUNT, NewUser::basic(email)).unwrap();
        app.world.update_user(ACCOUNT, email, &json!({ "role_id": role })).unwrap();
    }
    app.drain().await;
    let kind = |email| app.world.user(ACCOUNT, email).unwrap().kind;
    assert_eq!(["dean@acme.example", "admin@acme.example", "clerk@acme.example"].map(kind), [1, 1, 2]);
    assert_eq!(app.entries("not-applicable").await.len(), 2);
    let waiting_room = meeting_rule("settings = { waiting_room = true }");
    app.set_rules(&[&format!("{waiting_room}{roles}")]);
    let host = |email| app.world.create_meeting(ACCOUNT, email, &json!({ "topic": "Class", "type": 2 })).unwrap();
    let of = ["dean@acme.example", "clerk@acme.example"].map(host);
    app.drain().await;
    let has_room = |id| app.world.meeting(ACCOUNT, id).unwrap().settings["waiting_room"].clone();
    assert_eq!(of.map(has_room), [json!(false), json!(true)]);
}

#[tokio::test]
async fn somebody_whom_the_account_allows_is_granted_by_name() {
    let app = with(&[user_rule("deputies", &format!("assistants = [\"{DEPUTY}\"]"))]).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(DEPUTY)).unwrap();
    licensed(&app);
    app.drain().await;
    assert_eq!(app.assistants(JILL), [DEPUTY]);
    app.world.update_user(ACCOUNT, DEPUTY, &json!({ "first_name": "Dee" })).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "already right", "nobody is their own assistant");

    let app = with(&[user_rule("deputies", "assistants = [\"eve@acme.example\"]")]).await;
    licensed(&app);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), app.assistants(JILL).len()), ("parked api-user-unusable", 0));
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn a_condition_can_ask_for_groups_and_settings() {
    let when = "when = '\"Staff\" in user.groups && user.settings.in_meeting.chat == true'";
    let app = with(&[format!("{}{when}", user_rule("staff", "type = \"licensed\""))]).await;
    let group = app.world.add_group(ACCOUNT, "Staff").unwrap();
    basic(&app);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), kind(&app)), ("the rule's condition does not hold", 1));
    app.world.join_group(ACCOUNT, &group, JILL).unwrap();
    app.drain().await;
    assert_eq!(kind(&app), 2);
}

#[tokio::test]
async fn any_setting_of_a_meeting_is_held_and_alternative_hosts_are_a_set_that_nobody_is_dropped_from() {
    let hosts =
        format!("settings = {{ auto_recording = \"cloud\", alternative_hosts = [\"{DEPUTY}\", \"{API_USER}\"] }}");
    let app = with(&[meeting_rule(&hosts)]).await;
    for email in [JILL, DEPUTY] {
        app.world.add_user(ACCOUNT, NewUser::licensed(email)).unwrap();
    }
    let meeting = |hosts: &str| {
        let fields = json!({ "topic": "Class", "type": 2, "settings": { "alternative_hosts": hosts } });
        app.world.create_meeting(ACCOUNT, JILL, &fields).unwrap()
    };
    let of = |id| app.world.meeting(ACCOUNT, id).unwrap().settings;
    let same = meeting(&format!("{API_USER};{DEPUTY}"));
    app.drain().await;
    assert_eq!(of(same)["alternative_hosts"], json!(format!("{API_USER};{DEPUTY}")), "the order says nothing");
    assert_eq!(of(same)["auto_recording"], json!("cloud"));
    let fewer = meeting(DEPUTY);
    app.drain().await;
    assert_eq!(of(fewer)["alternative_hosts"], json!(format!("{DEPUTY};{API_USER}")));
    assert_eq!(app.world.count_calls("PATCH", "/meetings/"), 2);
    let other = meeting(JILL);
    app.drain().await;
    assert_eq!(of(other)["alternative_hosts"], json!(JILL), "to drop a host is a person's");
    assert_eq!(app.store.parked().await.unwrap()[0].cause, "takes-away");
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn alternative_hosts_are_added_to_those_who_are_there_and_nobody_is_taken_off() {
    let app = with(&[meeting_rule(&format!("alternative_hosts = [\"{DEPUTY}\"]"))]).await;
    for email in [JILL, DEPUTY] {
        app.world.add_user(ACCOUNT, NewUser::licensed(email)).unwrap();
    }
    let meeting = |host: &str, hosts: &str| {
        let fields = json!({ "topic": "Class", "type": 2, "settings": { "alternative_hosts": hosts } });
        app.world.create_meeting(ACCOUNT, host, &fields).unwrap()
    };
    let of = |id| app.world.meeting(ACCOUNT, id).unwrap().settings["alternative_hosts"].clone();
    let (none, another) = (meeting(JILL, ""), meeting(JILL, API_USER));
    app.drain().await;
    assert_eq!((of(none), of(another)), (json!(DEPUTY), json!(format!("{API_USER};{DEPUTY}"))));
    assert_eq!(app.world.count_calls("PATCH", "/meetings/"), 2);
    let there = meeting(JILL, &format!("{},{API_USER}", DEPUTY.to_uppercase()));
    let own = meeting(DEPUTY, "");
    app.drain().await;
    assert_eq!(
        (of(own), app.world.count_calls("PATCH", "/meetings/")),
        (json!(""), 2),
        "nobody stands in for themselves"
    );
    assert_eq!(of(there), json!(format!("{},{API_USER}", DEPUTY.to_uppercase())));
}

#[tokio::test]
async fn an_alternative_host_without_a_licence_is_told_and_what_else_is_wanted_is_done() {
    let wanted = format!("alternative_hosts = [\"{DEPUTY}\", \"{API_USER}\"], settings = {{ waiting_room = true }}");
    let app = with(&[meeting_rule(&wanted)]).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.world.add_user(ACCOUNT, NewUser::basic(DEPUTY)).unwrap();
    let id = app.world.create_meeting(ACCOUNT, JILL, &json!({ "topic": "Class", "type": 2 })).unwrap();
    app.drain().await;
    let settings = || app.world.meeting(ACCOUNT, id).unwrap().settings;
    assert_eq!((&settings()["alternative_hosts"], &settings()["waiting_room"]), (&json!(API_USER), &json!(true)));
    let parked = app.store.parked().await.unwrap();
    assert_eq!((parked.len(), parked[0].cause.as_str()), (1, "api-user-unusable"));
    app.world.set_licence(ACCOUNT, DEPUTY, 2).unwrap();
    // What is known of them is trusted for a while.
    app.advance(A_WHILE).await;
    app.retry_parked("api-user-unusable").await;
    app.drain().await;
    assert_eq!(settings()["alternative_hosts"], json!(format!("{API_USER};{DEPUTY}")));
}

#[tokio::test]
async fn a_report_says_which_meetings_can_be_given_another_host_and_writes_nothing() {
    let app = with(&[meeting_rule("report = \"movable\"")]).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let fields = json!({ "topic": "Class", "type": 2 });
    app.world.create_meeting(ACCOUNT, JILL, &fields).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, "not movable: its host made it, and that is no API user");
    app.world.create_meeting(ACCOUNT, API_USER, &fields).unwrap();
    app.drain().await;
    assert_eq!(app.state().await, format!("movable: API user {API_USER} hosts it"));
    assert_eq!(app.entries("reported").await.len(), 2);
    assert_eq!(app.world.count_calls("PATCH", "/v2"), 0);
}

#[tokio::test]
async fn what_events_tell_of_groups_and_settings_asks_only_for_the_rules_about_those() {
    let groups = user_rule("groups", "groups = [\"Teachers\"]");
    let settings = user_rule("settings", "settings = { in_meeting = { chat = false } }");
    let app = with(&[groups, settings, user_rule("licences", "type = \"licensed\"")]).await;
    let group = app.world.add_group(ACCOUNT, "Teachers").unwrap();
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.world.join_group(ACCOUNT, &group, JILL).unwrap();
    app.drain().await;
    assert_eq!(rules_of_jobs(&app).await, ["groups"]);
    app.world.leave_group(ACCOUNT, &group, JILL).unwrap();
    app.drain().await;
    assert_eq!(app.world.members(ACCOUNT, &group), [JILL]);
    app.world.set_user_settings(ACCOUNT, JILL, &json!({ "in_meeting": { "chat": false } })).unwrap();
    app.drain().await;
    let mut rules = rules_of_jobs(&app).await;
    rules.dedup();
    assert_eq!(rules, ["settings", "groups"], "newest first, and nobody looked at licences");
    assert_eq!(app.world.count_calls("PATCH", "/settings"), 0);
}

async fn rules_of_jobs(app: &TestApp) -> Vec<String> {
    app.jobs().await.iter().map(|job| job.rule.to_string()).collect()
}

/// A sweep may add to as many as it finds; what takes away counts for the share of the account, whoever asked.
#[tokio::test]
async fn licences_that_a_sweep_would_take_away_stop_at_the_share_of_the_account() {
    let down = format!("{}allow_downgrade = true\nmax_changes_percent = 5", user_rule("leavers", "type = \"basic\""));
    let app = with(&[down]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    let email = |n: usize| format!("user-{n}@acme.example");
    // With the owner, somebody else and the API user, over 60: the share is three.
    (0..62).for_each(|n| drop(app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap()));
    let account = app.account();
    let ensure = |n: usize| Step::Ensure {
        rule: "leavers".parse().unwrap(),
        subject: Subject::User { id: None, email: Some(email(n).parse().unwrap()) },
        on: None,
    };
    let (why, now) = (SweepCause::Schedule, app.clock.now());
    let begin = SweepStep::Begin { kind: SweepKind::Users, why, rule: None, is_dry: false };
    let steps = (0..10).map(ensure).collect();
    let page = SweepStep::Page { users: 62, total: Some(62), steps, next: None, seen_at: now };
    for step in [begin, page, SweepStep::End { with: [0; 16] }] {
        let (app_name, id) = (account.app.clone(), account.id.clone());
        let record = SweepRecord { app: app_name, account: id, step, calls: Vec::new() };
        app.store.record_sweep(record, now).await.unwrap();
    }
    app.advance(A_WHILE).await;
    assert_eq!(app.entries("granted").await.len(), 3);
    let basic = (0..62).filter(|n| app.world.user(ACCOUNT, &email(*n)).unwrap().kind == 1).count();
    assert!((1..=3).contains(&basic), "{basic}");
    // Also who was granted a change and has to wait for Zoom's rate limit finds the rule stopped then.
    let parked = app.store.parked().await.unwrap();
    assert!(parked.len() == 1 && parked[0].cause.as_str() == "over-share" && parked[0].count >= 7, "{parked:?}");
    app.expect_left(Left { waiting: 0, parked: parked[0].count });
}

#[tokio::test]
async fn what_zoom_confirms_and_does_not_do_is_given_to_a_person() {
    let app = with(&[user_rule("settings", "settings = { in_meeting = { chat = false } }")]).await;
    basic(&app);
    for _ in 0..3 {
        let kind = FaultKind::Error { status: 204, body: String::new() };
        app.world.fault(Fault { target: Target::api("PATCH", "/settings"), times: 1, kind });
    }
    app.advance(Duration::from_secs(3600)).await;
    assert_eq!(app.state().await, "parked not-effective");
    assert_eq!(app.world.user_settings(ACCOUNT, JILL)["in_meeting"]["chat"], json!(true));
    app.expect_left(Left { waiting: 0, parked: 1 });
}

#[tokio::test]
async fn a_condition_without_an_answer_changes_nothing_and_is_told() {
    let rule = format!("{}when = 'user.dept.startsWith(\"x\")'", user_rule("all", "type = \"licensed\""));
    let app = with(&[rule]).await;
    basic(&app);
    app.drain().await;
    assert_eq!((app.state().await.as_str(), kind(&app)), ("parked condition-unanswered", 1));
    app.expect_left(Left { waiting: 0, parked: 1 });
}
