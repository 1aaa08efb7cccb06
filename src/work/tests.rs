use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::account::Plan;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, Email, GroupId, JobId};
use crate::job::{Asker, NewJob, Subject};
use crate::rules::Condition;
use crate::zoom::{Endpoint, Group, Object, User};

fn account() -> Account {
    Account {
        api_users: vec!["api@acme.example".parse().unwrap()],
        ..Account::new(AccountId::parse("acme").unwrap(), AppName::parse("main").unwrap(), Plan::Business)
    }
}

fn rule(subject: &str, when: &str, ensure: &str) -> Rule {
    let text = format!("name = \"r\"\nfor = \"{subject}\"\nallow_downgrade = true\nensure = {{ {ensure} }}");
    let rule: Rule = toml::from_str(&text).unwrap();
    let when = (!when.is_empty()).then(|| Condition::compile(when, rule.subject.topic()).unwrap());
    Rule { when, ..rule }
}

fn group(id: &str, name: &str) -> Group {
    Group { id: GroupId::parse(id).unwrap(), name: name.to_owned(), members: None }
}

fn object(value: &Value) -> Object {
    value.as_object().unwrap().clone()
}

/// An active Basic user of the department `maths`, with these fields more.
fn jill(more: &Value) -> User {
    let mut whole = object(&json!({ "id": "jill", "email": "jill@acme.example", "type": 1, "status": "active" }));
    whole.insert("dept".to_owned(), json!("maths"));
    whole.extend(object(more));
    User::from(whole)
}

fn row(more: &Value) -> Picture {
    Picture { user: Some(jill(more)), is_listed_row: true, ..Picture::default() }
}

/// Where the groups `Staff` (s) and `Pupils` (p) are known.
fn verdict(rule: &Rule, picture: &Picture) -> Verdict {
    let (account, groups) = (account(), vec![group("s", "Staff"), group("p", "Pupils")]);
    let around = Around {
        account: &account,
        now: Timestamp::EPOCH,
        known: HashMap::new(),
        ids: HashMap::new(),
        groups: Some(Arc::new(groups)),
    };
    judge(rule, &around, picture)
}

fn in_a_word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Differs(differences) => in_words(differences),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_row_of_a_list_is_asked_only_for_what_it_states_and_the_user_is_read_for_the_rest() {
    let group = json!({ "group_ids": ["s"] });
    for (when, more, expected) in [
        ("user.dept == 'maths'", json!({}), "make Licensed"),
        ("user.dept == 'maths' && user.type == 1", json!({}), "make Licensed"),
        ("user.dept == 'arts'", json!({}), "NotApplicable(\"the rule's condition does not hold\")"),
        // The row may lack what the user has, and some fields are in no row.
        ("user.dept == 'maths' && user.role_id != '0'", json!({}), "Needs(User)"),
        ("user.dept == 'maths' && user.role_id != '0'", json!({ "role_id": "2" }), "make Licensed"),
        ("user.role_name != 'Owner'", json!({ "role_name": "Member" }), "Needs(User)"),
        ("user != null", json!({}), "Needs(User)"),
        // Groups by name, from the row's own field.
        ("'Staff' in user.groups", json!({}), "Needs(User)"),
        ("'Staff' in user.groups", group.clone(), "make Licensed"),
        ("'Pupils' in user.groups", group, "NotApplicable(\"the rule's condition does not hold\")"),
        // Settings are never in a row, and a call of their own reads them.
        ("user.settings.in_meeting.chat == true", json!({}), "Needs(Settings)"),
        ("user.settings_unchecked.anything.new == true", json!({}), "Needs(Settings)"),
    ] {
        let rule = rule("user", when, "type = \"licensed\"");
        assert_eq!(in_a_word(&verdict(&rule, &row(&more))), expected, "{when}");
    }
}

#[test]
fn what_lists_of_members_say_of_groups_counts_for_more_than_the_row() {
    let with = |groups: &[&str]| Picture {
        groups: Some(groups.iter().map(|id| GroupId::parse(id).unwrap()).collect()),
        ..row(&json!({ "group_ids": ["p"] }))
    };
    let by_condition = rule("user", "'Staff' in user.groups", "type = \"licensed\"");
    let to_be_in = rule("user", "", "groups = [\"Staff\"]");
    for (groups, condition, member) in [
        (["s"].as_slice(), "make Licensed", "Right"),
        (&[], "NotApplicable(\"the rule's condition does not hold\")", "add to group Staff"),
        (&["p", "s"], "make Licensed", "Right"),
    ] {
        assert_eq!(in_a_word(&verdict(&by_condition, &with(groups))), condition, "{groups:?}");
        assert_eq!(in_a_word(&verdict(&to_be_in, &with(groups))), member, "{groups:?}");
    }
    assert_eq!(in_a_word(&verdict(&to_be_in, &row(&json!({})))), "Needs(User)", "nobody has said it");
}

#[test]
fn a_condition_sees_settings_under_both_names() {
    let settings = json!({ "in_meeting": { "chat": true }, "anything": { "new": true } });
    let picture = Picture { settings: Some(object(&settings)), ..row(&json!({})) };
    for when in ["user.settings.in_meeting.chat", "user.settings_unchecked.anything.new"] {
        let rule = rule("user", when, "type = \"licensed\"");
        assert_eq!(in_a_word(&verdict(&rule, &picture)), "make Licensed", "{when}");
    }
}

#[test]
fn each_rule_says_which_calls_it_can_lead_to() {
    use Endpoint::{
        AddAssistants, AddGroupMembers, GetMeeting, GetUser, GetUserSettings, ListAssistants, ListGroupMembers,
        ListGroups, ListMeetings, ListSchedulers, ListUsers, UpdateMeeting, UpdateUser, UpdateUserSettings,
    };
    let user = [GetUser, ListUsers];
    for (subject, when, ensure, more) in [
        ("user", "", "assistants = [\"api-user\"]", [ListAssistants, ListSchedulers, AddAssistants].as_slice()),
        ("user", "", "type = \"licensed\"", &[UpdateUser]),
        ("user", "", "groups = [\"Staff\"]", &[ListGroups, ListGroupMembers, AddGroupMembers]),
        ("user", "", "settings = { in_meeting = { chat = true } }", &[GetUserSettings, UpdateUserSettings]),
        ("user", "", "feature = { webinar = true }", &[GetUserSettings, UpdateUserSettings]),
        ("user", "'Staff' in user.groups", "type = \"basic\"", &[UpdateUser, ListGroups]),
        ("user", "user.settings.in_meeting.chat", "type = \"basic\"", &[UpdateUser, GetUserSettings]),
        ("user", "user.settings_unchecked.a.b", "type = \"basic\"", &[UpdateUser, GetUserSettings]),
        ("meeting", "", "settings = { waiting_room = true }", &[ListUsers, ListMeetings, GetMeeting, UpdateMeeting]),
        (
            "meeting",
            "'Teachers' in host.groups",
            "settings = { waiting_room = true }",
            &[GetUser, ListUsers, ListMeetings, ListGroups, GetMeeting, UpdateMeeting],
        ),
        (
            "meeting",
            "meeting.by_api_user",
            "settings = { waiting_room = true }",
            &[GetUser, ListUsers, ListMeetings, GetMeeting, UpdateMeeting],
        ),
        ("meeting", "", "report = \"movable\"", &[GetUser, ListUsers, ListMeetings, GetMeeting]),
    ] {
        let mut expected = more.to_vec();
        if subject == "user" {
            expected.extend(user);
        }
        expected.sort_unstable();
        assert_eq!(needs(&rule(subject, when, ensure)), expected, "{when} {ensure}");
    }
    let excepting = Rule {
        except: vec![Email::parse("boss@acme.example").unwrap()],
        ..rule("meeting", "", "settings = { waiting_room = true }")
    };
    let expected = [GetUser, ListUsers, ListMeetings, GetMeeting, UpdateMeeting];
    assert_eq!(needs(&excepting), expected, "the host may have to be read");
}

/// Read by a call of its own.
fn read(more: &Value) -> Picture {
    Picture { is_listed_row: false, ..row(more) }
}

#[test]
fn a_group_that_the_list_does_not_name_could_be_any_and_nothing_is_changed() {
    for when in ["!('Pupils' in user.groups)", "user.groups.exists(g, g == 'Staff')"] {
        let rule = rule("user", when, "type = \"licensed\"");
        let new = verdict(&rule, &read(&json!({ "group_ids": ["s", "new"] })));
        assert!(matches!(new, Verdict::Unclear(_)), "{when}: {new:?}");
        assert_eq!(in_a_word(&verdict(&rule, &read(&json!({ "group_ids": ["s"] })))), "make Licensed", "{when}");
    }
}

#[test]
fn who_is_in_no_group_has_none_of_them_by_id_and_by_name() {
    for when in [
        "!('p' in user.group_ids)",
        "!user.group_ids.exists(g, g == 'p')",
        "user.group_ids.size() == 0",
        "user.groups == []",
    ] {
        let rule = rule("user", when, "type = \"licensed\"");
        assert_eq!(in_a_word(&verdict(&rule, &read(&json!({})))), "make Licensed", "{when}");
        assert_eq!(in_a_word(&verdict(&rule, &row(&json!({})))), "Needs(User)", "{when}: a row may leave it out");
        let account = account();
        let around = Around {
            account: &account,
            now: Timestamp::EPOCH,
            known: HashMap::new(),
            ids: HashMap::new(),
            groups: None,
        };
        let saw = &seen(&rule, &around, &read(&json!({})))[0];
        assert!(saw.outcome.parse::<bool>().is_ok() && saw.facts[0].1 == "[]", "{when}: {saw:?}");
    }
}

#[test]
fn ids_of_groups_may_be_numbers_and_what_is_no_list_of_ids_says_nothing() {
    let conditions = [
        rule("user", "!('Pupils' in user.groups)", "type = \"licensed\""),
        rule("user", "!('7' in user.group_ids)", "type = \"licensed\""),
        rule("user", "", "groups = [\"Pupils\"]"),
    ];
    let out = "NotApplicable(\"the rule's condition does not hold\")";
    let numbers = read(&json!({ "group_ids": [7] }));
    assert_eq!(in_a_word(&verdict(&conditions[1], &numbers)), out);
    assert!(matches!(verdict(&conditions[0], &numbers), Verdict::Unclear(_)), "no group has that id");
    assert_eq!(in_a_word(&verdict(&rule("user", "", "groups = [\"7\"]"), &numbers)), "Right");
    for rule in &conditions {
        for odd in [json!(null), json!("p"), json!({ "p": true }), json!(["s", null])] {
            let more = json!({ "group_ids": odd });
            let unclear = verdict(rule, &read(&more));
            assert!(matches!(unclear, Verdict::Unclear(_)), "{odd}: {unclear:?}");
            assert_eq!(verdict(rule, &row(&more)), Verdict::Needs(Need::User), "{odd}");
        }
    }
}

#[test]
fn a_condition_sees_emails_in_lower_case() {
    let by_user = rule("user", "!user.email.endsWith('@contractor.example')", "type = \"licensed\"");
    let typed = json!({ "email": "Jo@Contractor.Example" });
    for picture in [row(&typed), read(&typed)] {
        assert_eq!(in_a_word(&verdict(&by_user, &picture)), "NotApplicable(\"the rule's condition does not hold\")");
        let (account, known) = (account(), HashMap::new());
        let around = Around { account: &account, now: Timestamp::EPOCH, known, ids: HashMap::new(), groups: None };
        assert_eq!(seen(&by_user, &around, &picture)[0].outcome, "true", "of the part that is not to hold");
    }
    let meeting = json!({ "id": 123_456_789, "host_email": "Jo@Contractor.Example", "settings": {} });
    let picture = Picture { meeting: Some(object(&meeting).try_into().unwrap()), ..Picture::default() };
    let by_host =
        rule("meeting", "meeting.host_email == 'jo@contractor.example'", "settings = { waiting_room = true }");
    assert_eq!(in_a_word(&verdict(&by_host, &picture)), "set waiting_room on");
}

#[test]
fn a_row_that_states_no_kind_says_nothing_about_the_licence() {
    let no_kind = json!({ "type": null });
    let assist = rule("user", "", "assistants = [\"api-user\"]");
    assert_eq!(verdict(&assist, &row(&no_kind)), Verdict::Needs(Need::User));
    let (facts, account, key) = (Facts::default(), account(), "api@acme.example".parse().unwrap());
    facts.saw_api_user(&account.id, &key, jill(&json!({ "type": 2 })), Timestamp::EPOCH);
    facts.saw_api_user(&account.id, &key, jill(&no_kind), Timestamp::EPOCH);
    assert!(facts.saw_usable(&account.id, &key, Timestamp::EPOCH));
    facts.saw_api_user(&account.id, &key, jill(&json!({ "type": 1 })), Timestamp::EPOCH);
    assert!(!facts.saw_usable(&account.id, &key, Timestamp::EPOCH));
}

#[test]
fn what_a_sweep_saw_is_taken_for_its_own_jobs_alone_and_never_after_a_newer_event() {
    let seen_at = Timestamp::from_secs(100);
    for (asked_by, event_at, is_taken) in [
        (Asker::Sweep, None, true),
        (Asker::Sweep, Some(99), true),
        (Asker::Sweep, Some(101), false),
        (Asker::Delivery(DeliveryId::from_number(1)), None, false),
        (Asker::Plan, None, false),
    ] {
        let new = NewJob {
            app: AppName::parse("main").unwrap(),
            account: account().id,
            rule: "r".parse().unwrap(),
            subject: Subject::User { id: None, email: Some(Email::parse("jill@acme.example").unwrap()) },
            by: asked_by,
            event_at: event_at.map(Timestamp::from_secs),
            on: None,
        };
        let job = new.into_job(JobId::from_number(1), seen_at);
        let facts = Facts::default();
        facts.listed(&job.account, job.id, jill(&json!({})), seen_at);
        assert_eq!(facts.take_listed(&job, seen_at).is_some(), is_taken, "{asked_by:?} {event_at:?}");
    }
}
