//! Sweeps: what webhooks missed is found and healed, at a known price.

use std::time::Duration;

use adjutant::chance::{Chance, SeededChance};
use adjutant::clock::Clock as _;
use adjutant::ids::RuleName;
use adjutant::sim::{Fault, FaultKind, Mischief, NewUser, Target};
use adjutant::store::SweepCause;
use adjutant::worker::{Order, Schedule, SweepSettings, Sweeper, mend};
use serde_json::json;

use super::{ACCOUNT, API_USER, TestApp};

const HOUR: Duration = Duration::from_secs(3600);

const ASSISTANT: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
max_changes_per_hour = 100000
except = ["the.boss@acme.example"]
"#;

fn email(n: usize) -> String {
    format!("user-{n}@acme.example")
}

/// A random account: licensed and basic, invited and deactivated, with and without the API user. Nobody is told.
fn people(app: &TestApp, chance: &SeededChance, count: usize) {
    for n in 0..count {
        let email = email(n);
        match chance.next_u64() % 8 {
            0 => drop(app.world.add_user(ACCOUNT, NewUser::basic(&email)).unwrap()),
            1 => drop(app.world.add_user(ACCOUNT, NewUser::licensed(&email).invited()).unwrap()),
            2 => {
                app.world.add_user(ACCOUNT, NewUser::licensed(&email)).unwrap();
                app.world.deactivate(ACCOUNT, &email).unwrap();
            }
            3 | 4 => {
                app.world.add_user(ACCOUNT, NewUser::licensed(&email)).unwrap();
                app.world.grant(ACCOUNT, &email, API_USER).unwrap();
            }
            _ => drop(app.world.add_user(ACCOUNT, NewUser::licensed(&email)).unwrap()),
        }
    }
    app.world.add_user(ACCOUNT, NewUser::licensed("the.boss@acme.example")).unwrap();
}

/// Eligible users without the API user.
fn wrong(app: &TestApp) -> Vec<String> {
    let all = app.world.without_assistant(ACCOUNT, API_USER);
    all.into_iter().filter(|email| !email.starts_with("the.boss")).collect()
}

#[tokio::test]
async fn without_any_webhook_one_sweep_makes_everybody_right_at_its_price() {
    for seed in 0..4_u64 {
        let app = TestApp::start_patient(&[ASSISTANT]).await;
        app.world.unsubscribe(ACCOUNT).unwrap();
        let count = 40 + usize::try_from(seed).unwrap() * 220;
        people(&app, &SeededChance::new(seed), count);
        let differing = wrong(&app).len();
        let active = app.world.users(ACCOUNT).iter().filter(|user| user.is_active()).count();
        app.world.clear_calls();
        app.sweep().await;
        assert_eq!(wrong(&app), [""; 0], "seed {seed}");
        assert!(!app.assistants("the.boss@acme.example").contains(&API_USER.to_owned()));
        let calls = app.calls("");
        let price = active.div_ceil(300) + 1 + 3 * differing;
        assert!(calls <= price + price.div_ceil(100), "seed {seed}: {calls} calls, expected {price} and 1 %");
        let refused = app.world.calls().iter().filter(|call| call.status == Some(429)).count();
        assert_eq!(refused, 0, "seed {seed}");
        let last = app.swept().await.last.unwrap();
        let differing = u64::try_from(differing).unwrap();
        assert_eq!((last.found, last.made, last.changed), (differing, differing, differing), "seed {seed}");

        // Where all is well, a sweep costs its lists and nothing else.
        app.world.clear_calls();
        app.sweep().await;
        assert_eq!(app.calls(""), active.div_ceil(300) + 1, "seed {seed}");
    }
}

#[tokio::test]
async fn a_sweep_that_a_restart_cuts_off_goes_on_where_it_was() {
    let mut app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    for n in 0..700 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
        if n % 50 != 0 {
            app.world.grant(ACCOUNT, &email(n), API_USER).unwrap();
        }
    }
    // The beginning, and the first page.
    app.sweeper.step_all().await.unwrap();
    app.sweeper.step_all().await.unwrap();
    let began = app.swept().await.run.unwrap();
    assert_eq!(began.users, 300);
    app.restart().await;
    app.world.clear_calls();
    app.ticking(app.finish_sweep()).await;
    let last = app.swept().await.last.unwrap();
    assert_eq!((last.started_at, app.calls("/users") - app.calls("/users/")), (began.started_at, 2));
    app.ticking(app.advance(Duration::from_secs(60))).await;
    assert_eq!(wrong(&app), [""; 0]);
}

#[tokio::test]
async fn a_restart_after_the_page_tokens_are_over_reads_from_the_first_page_again() {
    let mut app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    for n in 0..400 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
        app.world.grant(ACCOUNT, &email(n), API_USER).unwrap();
    }
    app.world.withdraw(ACCOUNT, &email(399), API_USER).unwrap();
    app.sweeper.step_all().await.unwrap();
    app.sweeper.step_all().await.unwrap();
    app.restart().await;
    app.clock.advance(HOUR / 3);
    app.expect_refusal("GET", "/users", 400);
    app.ticking(app.finish_sweep()).await;
    app.ticking(app.advance(Duration::from_secs(60))).await;
    assert_eq!(wrong(&app), [""; 0]);
}

#[tokio::test]
async fn webhooks_ten_times_over_in_any_order_with_sweeps_between_come_to_the_same_world() {
    for seed in 0..3 {
        let app = TestApp::start_patient(&[ASSISTANT]).await;
        let chance = SeededChance::new(seed);
        app.world.set_mischief(Mischief { shuffle: true, ..Mischief::default() });
        (1..10).for_each(|_| app.subscribe());
        for n in 0..30 {
            let _id = app.world.create_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
            match chance.next_u64() % 6 {
                0 | 1 => app.world.deactivate(ACCOUNT, &email(n)).unwrap(),
                2 => app.world.update_user(ACCOUNT, &email(n), &json!({ "first_name": "Gill" })).unwrap(),
                3 => app.ticking(app.drain()).await,
                4 => app.sweep().await,
                _ => {}
            }
        }
        app.sweep().await;
        app.ticking(app.advance(HOUR)).await;
        app.sweep().await;
        assert_eq!(wrong(&app), [""; 0], "seed {seed}");
        for user in app.world.users(ACCOUNT) {
            assert!(app.world.assistant_writes(ACCOUNT, &user.email) <= 1, "seed {seed}: {} twice", user.email);
        }
        app.cancel_all().await;
    }
}

#[tokio::test]
async fn who_waits_is_woken_when_the_list_shows_the_change_and_costs_nothing_until_then() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.create_user(ACCOUNT, NewUser::basic(&email(1))).unwrap();
    app.ticking(app.drain()).await;
    assert_eq!(app.state().await, "waiting user-unlicensed");
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.sweep().await;
    app.world.clear_calls();
    for _ in 0..24 {
        app.sweep().await;
        app.ticking(app.advance(HOUR)).await;
    }
    assert_eq!(app.calls(&email(1)) + app.world.count_calls("POST", "/assistants"), 0);
    app.world.set_licence(ACCOUNT, &email(1), 2).unwrap();
    app.sweep().await;
    let job = app.jobs().await.swap_remove(0);
    assert_eq!((app.assistants(&email(1)), job.attempts), (vec![API_USER.to_owned()], 1));
}

#[tokio::test]
async fn the_first_start_an_outage_and_new_rules_each_lead_to_one_sweep() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(&email(1))).unwrap();
    let mut began = Vec::new();
    for (wait, rules, why) in [
        (Duration::ZERO, ASSISTANT, "outage"),
        (Duration::ZERO, ASSISTANT, "outage"),
        (HOUR, ASSISTANT, "schedule"),
        (12 * HOUR, ASSISTANT, "outage"),
        (Duration::ZERO, &ASSISTANT.replace("enforce", "observe"), "new-rules"),
    ] {
        app.clock.advance(wait);
        app.set_rules(&[rules]);
        app.sweep_due().await;
        let last = app.swept().await.last.unwrap();
        assert_eq!(last.why.code(), why);
        began.push(last.started_at);
    }
    began.dedup();
    assert_eq!((began.len(), app.entries("ended").await.len()), (4, 4));
}

#[tokio::test]
async fn a_rule_that_observes_says_once_a_day_what_it_would_do() {
    let app = TestApp::start_patient(&[&ASSISTANT.replace("enforce", "observe")]).await;
    app.world.add_user(ACCOUNT, NewUser::licensed(&email(1))).unwrap();
    for _ in 0..10 {
        app.ticking(app.sweeper.run_due()).await.unwrap();
        app.ticking(app.advance(HOUR)).await;
    }
    assert_eq!(app.entries("would-change").await.len(), 1 + 1, "the user and the account's owner");
    assert_eq!(app.assistants(&email(1)), [""; 0]);
}

/// A row of the list has no `role_name`: judged by that, the owner would pass for anybody else.
#[tokio::test]
async fn a_condition_is_never_judged_by_the_list_of_a_sweep() {
    let rule = format!("{ASSISTANT}\nwhen = \"user.role_name != 'Owner'\"");
    let app = TestApp::start_patient(&[&rule]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.add_user(ACCOUNT, NewUser::licensed(&email(1))).unwrap();
    app.sweep().await;
    assert_eq!(app.assistants(&email(1)), [API_USER]);
    assert_eq!(app.assistants("owner@acme.example"), [""; 0], "the owner is excepted by the condition");
}

/// Nobody was told of the change, and the list of the sweep is a minute old.
#[tokio::test]
async fn who_leaves_the_condition_after_the_list_was_read_is_not_changed() {
    let rule = format!("{ASSISTANT}\nwhen = \"user.dept == 'maths'\"");
    let app = TestApp::start_patient(&[&rule]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    for n in 1..3 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
        app.world.update_user(ACCOUNT, &email(n), &json!({ "dept": "maths" })).unwrap();
    }
    // The beginning, and the page.
    app.sweeper.step_all().await.unwrap();
    app.sweeper.step_all().await.unwrap();
    assert_eq!(app.jobs().await.len(), 2);
    app.world.update_user(ACCOUNT, &email(1), &json!({ "dept": "arts" })).unwrap();
    app.clock.advance(Duration::from_secs(61));
    app.sweep().await;
    assert_eq!((app.assistants(&email(1)).len(), app.assistants(&email(2)).len()), (0, 1));
}

#[tokio::test]
async fn there_are_never_two_sweeps_of_an_account_and_a_dry_one_changes_nothing() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.sweep().await;
    app.world.add_user(ACCOUNT, NewUser::licensed(&email(1))).unwrap();
    let (account, dry) = (app.account(), Order { is_dry: true, ..Order::default() });
    assert!(app.sweeper.ask(&account.id, dry).await.unwrap());
    assert!(!app.sweeper.ask(&account.id, Order::default()).await.unwrap(), "one is asked for");
    app.sweeper.step_all().await.unwrap();
    assert!(app.swept().await.run.unwrap().is_dry);
    assert!(!app.sweeper.ask(&account.id, Order::default()).await.unwrap(), "one runs");
    app.ticking(app.finish_sweep()).await;
    let state = app.swept().await;
    let (dry, last) = (state.last_dry.unwrap(), state.last.unwrap());
    assert_eq!((dry.users, dry.total, dry.found, dry.made), (3, Some(3), 1, 0));
    assert_eq!((last.users, last.found), (2, 1), "the one before, and not the dry one");
    assert_eq!((app.jobs().await.len(), app.assistants(&email(1))), (1, Vec::new()));
    app.sweep().await;
    assert_eq!(app.assistants(&email(1)), [API_USER]);
}

#[tokio::test]
async fn a_sweep_is_stale_when_the_last_whole_one_is_two_intervals_old() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    let account = app.account();
    let stale_at = app.sweeper.standing(&account).await.unwrap().kinds[0].stale_at;
    assert_eq!(stale_at, app.clock.now().plus(Duration::from_secs(6_600)), "never swept");
    app.sweep().await;
    let standing = app.sweeper.standing(&account).await.unwrap();
    let users = standing.kinds[0].clone();
    assert!(users.stale_at > stale_at || stale_at.since(users.whole_at.unwrap()) > HOUR);
    // One over a single rule, or a dry one, makes nothing fresher.
    app.clock.advance(HOUR);
    let rule = Some(RuleName::parse("assist").unwrap());
    app.sweeper.ask(&account.id, Order { rule, is_dry: false }).await.unwrap();
    app.ticking(app.finish_sweep()).await;
    assert_eq!(app.sweeper.standing(&account).await.unwrap().kinds[0].stale_at, users.stale_at);
    app.set_rules(&[]);
    assert_eq!(app.sweeper.standing(&account).await.unwrap().kinds.len(), 0, "nothing is swept");
}

#[tokio::test]
async fn an_account_is_swept_by_a_schedule_of_its_own() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    let account = app.account();
    let nightly = Schedule::new("0 3 * * *", "UTC").unwrap();
    let settings = SweepSettings { accounts: [(account.id.clone(), nightly)].into(), ..SweepSettings::default() };
    let sweeper = Sweeper::new(app.parts.clone(), settings);
    app.ticking(sweeper.run_due()).await.unwrap();
    let (at, why) = sweeper.standing(&account).await.unwrap().kinds[0].next;
    assert_eq!((at.to_string().as_str(), why), ("2027-01-16T03:00:00.000Z", SweepCause::Schedule));
    app.ticking(app.advance(Duration::from_secs(60))).await;
}

const TYPE: &str = r#"
name = "type"
for = "user"
ensure = { type = "licensed" }
mode = "observe"
"#;

#[tokio::test]
async fn a_sweep_whose_pages_lead_nowhere_is_given_up_and_says_why() {
    let page = json!({ "users": [], "next_page_token": "same", "total_records": 0 }).to_string();
    let refused = json!({ "code": 300, "message": "The next page token is invalid or expired." }).to_string();
    let same = [(200, &page), (200, &page)];
    let over = [(200, &page), (400, &refused)].repeat(3);
    for (answers, expected) in [(&same[..], "a page names itself as the next"), (&over, "token is invalid")] {
        let app = TestApp::start(&[TYPE]).await;
        app.world.clear_calls();
        for (status, body) in answers {
            let kind = FaultKind::Error { status: *status, body: (*body).clone() };
            app.world.fault(Fault { target: Target::api("GET", "/users"), times: 1, kind });
        }
        assert!(app.sweeper.ask(&app.account().id, Order::default()).await.unwrap());
        app.ticking(app.finish_sweep()).await;
        let failed = app.swept().await.failed.expect("it is given up").why;
        assert!(failed.contains(expected), "{failed}");
        assert_eq!(app.calls("/users"), answers.len());
    }
}

#[tokio::test]
async fn what_no_sweep_looks_at_is_refused_and_an_order_whose_rule_went_holds_up_no_other() {
    let on_events = "name = \"told\"\nfor = \"user\"\nmode = \"enforce\"\non = [\"user.created\"]\n\
                     ensure = { assistants = [\"api-user\"] }\n";
    let app = TestApp::start_patient(&[ASSISTANT, on_events]).await;
    let name = |name: &str| RuleName::parse(name).unwrap();
    let refused = app.sweeper.is_not_swept(Some(&name("told"))).unwrap();
    assert_eq!(refused, "rule told is about events, and no sweep looks at it");
    assert_eq!(app.sweeper.is_not_swept(Some(&name("assist"))), None);
    // Such an order may stand all the same: the rule was another when somebody asked.
    let account = app.account().id;
    for gone in ["told", "nobody"] {
        let order = Order { rule: Some(name(gone)), is_dry: false };
        assert!(app.sweeper.ask(&account, order).await.unwrap(), "{gone}");
        app.clock.advance(3 * HOUR);
        app.sweep_due().await;
        let last = app.swept().await.last.unwrap();
        assert_eq!((last.rule, last.why), (None, SweepCause::Outage), "{gone}");
    }
    app.set_rules(&[on_events]);
    assert!(app.sweeper.is_not_swept(None).is_some());
}

#[tokio::test]
async fn new_rules_are_swept_although_a_sweep_over_one_rule_came_between() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.sweep_due().await;
    app.world.add_user(ACCOUNT, NewUser::licensed(&email(1))).unwrap();
    app.set_rules(&[ASSISTANT, TYPE]);
    let order = Order { rule: Some(RuleName::parse("assist").unwrap()), is_dry: false };
    assert!(app.sweeper.ask(&app.account().id, order).await.unwrap());
    app.sweep_due().await;
    let last = app.swept().await.last.unwrap();
    assert_eq!((last.rule, last.why), (None, SweepCause::NewRules));
}

/// Two pages of users with the API user and the deputy, of which a sweep has compared the first.
async fn two_pages(app: &TestApp) {
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.add_user(ACCOUNT, NewUser::licensed("deputy@acme.example")).unwrap();
    for n in 0..400 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
        app.world.grant(ACCOUNT, &email(n), API_USER).unwrap();
        app.world.grant(ACCOUNT, &email(n), "deputy@acme.example").unwrap();
    }
    // The beginning, and the first page.
    app.sweeper.step_all().await.unwrap();
    app.sweeper.step_all().await.unwrap();
    assert_eq!(app.swept().await.run.unwrap().users, 300);
}

const DEPUTY: &str = r#"
name = "deputy"
for = "user"
when = 'user.email.startsWith("user-")'
ensure = { assistants = ["deputy@acme.example"] }
mode = "observe"
"#;

#[tokio::test]
async fn rules_that_change_in_the_middle_of_a_sweep_are_compared_with_everybody_and_by_new_lists() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    two_pages(&app).await;
    for n in [1, 398] {
        app.world.withdraw(ACCOUNT, &email(n), "deputy@acme.example").unwrap();
    }
    app.set_rules(&[ASSISTANT, DEPUTY]);
    app.ticking(app.finish_sweep()).await;
    let last = app.swept().await.last.unwrap();
    let found = last.found_by_rule.get(&RuleName::parse("deputy").unwrap()).copied();
    assert_eq!((last.users, found), (403, Some(2)), "{last:?}");
    app.sweep_due().await;
    assert_eq!(app.swept().await.last.unwrap().started_at, last.started_at, "none is due by new rules");
}

#[tokio::test]
async fn rules_that_change_at_a_restart_in_the_middle_of_a_sweep_lead_to_one_more() {
    for (rules, why) in [(&[ASSISTANT, DEPUTY][..], "new-rules"), (&[ASSISTANT], "schedule")] {
        let mut app = TestApp::start_patient(&[ASSISTANT]).await;
        app.sweep_due().await;
        app.clock.advance(HOUR);
        two_pages(&app).await;
        app.restart().await;
        app.set_rules(rules);
        app.sweep_due().await;
        assert_eq!(app.swept().await.last.unwrap().why.code(), why);
    }
}

#[tokio::test]
async fn what_a_job_said_against_the_lists_hides_no_drift_from_the_next_sweep() {
    let rule = format!("{ASSISTANT}\nwhen = \"user.email == '{}' || user.dept == 'Maths'\"", email(2));
    let app = TestApp::start_patient(&[&rule]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    for n in 1..3 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
    }
    // The list was read before the grant.
    app.world.grant(ACCOUNT, &email(2), API_USER).unwrap();
    let body = json!({ "schedulers": [] }).to_string();
    let target = Target::api("GET", "/schedulers");
    app.world.fault(Fault { target, times: 1, kind: FaultKind::Error { status: 200, body } });
    app.sweep_due().await;
    assert_eq!(app.entries("already-right").await.len(), 1);
    app.world.withdraw(ACCOUNT, &email(2), API_USER).unwrap();
    app.world.update_user(ACCOUNT, &email(1), &json!({ "dept": "Maths" })).unwrap();
    app.clock.advance(HOUR);
    app.sweep_due().await;
    assert_eq!(app.swept().await.last.unwrap().why, SweepCause::Schedule);
    assert_eq!((app.assistants(&email(1)).len(), app.assistants(&email(2)).len()), (1, 1));
}

/// Rows that wait grow old, and each is held in memory.
#[tokio::test]
async fn pages_are_read_no_further_ahead_of_the_work_than_a_hundred_jobs_of_all_pages_together() {
    let app = TestApp::start_patient(&[ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    for n in 0..1_000 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
        if n % 4 != 0 {
            app.world.grant(ACCOUNT, &email(n), API_USER).unwrap();
        }
    }
    let stepping = async {
        for _ in 0..12 {
            app.sweeper.step_all().await.unwrap();
        }
    };
    app.ticking(stepping).await;
    let status = app.store.status().await.unwrap();
    assert!((140..=160).contains(&status.due), "of two pages, and not of four: {status:?}");
    app.ticking(app.finish_sweep()).await;
    app.ticking(app.advance(HOUR)).await;
    assert_eq!(wrong(&app), [""; 0]);
}

async fn told_of_lists(app: &TestApp) -> Vec<String> {
    mend(&app.parts).await.unwrap();
    let notices = app.store.notices().await.unwrap();
    notices.into_iter().filter(|notice| notice.code == "list-refused").map(|notice| notice.what).collect()
}

#[tokio::test]
async fn a_list_that_is_refused_leaves_out_the_rules_that_need_it_and_no_other() {
    let of_group = r#"
name = "staff"
for = "user"
ensure = { groups = ["Teachers"] }
"#;
    let app = TestApp::start_patient(&[of_group, ASSISTANT]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    app.world.add_group(ACCOUNT, "Teachers").unwrap();
    app.world.set_scopes(ACCOUNT, &["user:read:admin", "user:write:admin"]).unwrap();
    app.world.add_user(ACCOUNT, NewUser::licensed(&email(0))).unwrap();
    app.expect_refusal("GET", "/groups", 400);
    app.sweep().await;
    assert_eq!(wrong(&app), [""; 0]);
    let told = "groups cannot be read: the app lacks the scopes group:read:list_groups, group:read:list_groups:admin; sweeps \
                of users leave rule staff out until they can";
    assert_eq!(told_of_lists(&app).await, [told]);
    assert!(app.swept().await.failed.is_none());

    app.set_rules(&[ASSISTANT]);
    assert_eq!(told_of_lists(&app).await, [""; 0], "the rule is gone");
    app.set_rules(&[of_group, ASSISTANT]);
    app.sweep().await;
    assert_eq!(told_of_lists(&app).await, [told]);
    app.world.set_scopes(ACCOUNT, &["user:read:admin", "user:write:admin", "group:read:admin"]).unwrap();
    app.world.revoke_tokens(ACCOUNT);
    app.expect_refusal("GET", "/schedulers", 401);
    app.sweep().await;
    assert_eq!(told_of_lists(&app).await, [""; 0]);
    assert_eq!(app.jobs().await[0].rule.as_str(), "staff");
}
