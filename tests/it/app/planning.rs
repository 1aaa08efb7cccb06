//! Plans: what rules would change, said before anything changes.

use std::time::Duration;

use adjutant::audit::Kind;
use adjutant::chance::{Chance as _, SeededChance};
use adjutant::clock::Clock as _;
use adjutant::ids::RuleName;
use adjutant::sim::{NewUser, UserStatus};
use adjutant::work::{
    AppliedAccount, Cost, PlanScope, PlannedAccount, PlannedChange, PlannedDifference, PlannedMeetings, SavedPlan,
};
use adjutant::worker;
use serde_json::json;

use super::{ACCOUNT, API_USER, Left, TestApp};

const JILL: &str = "jill.hill@acme.example";
const SHARE_PERCENT: u8 = 30;

const ASSIST: &str = r#"
name = "assist"
for = "user"
ensure = { assistants = ["api-user"] }
mode = "enforce"
except = ["the.boss@acme.example"]
when = 'user.dept != "guests"'
"#;

const SETTINGS: &str = r#"
name = "settings"
for = "user"
ensure = { settings = { in_meeting = { chat = false, polling = true } }, type = "licensed" }
mode = "observe"
"#;

impl TestApp {
    async fn plan(&self, rule: Option<&str>) -> PlannedAccount {
        let rule = rule.map(|rule| RuleName::parse(rule).unwrap());
        self.plan_scope(PlanScope { rule, ..PlanScope::default() }).await
    }

    pub(crate) async fn plan_scope(&self, scope: PlanScope) -> PlannedAccount {
        let account = self.account();
        self.ticking(worker::plan(&self.parts, &account, &scope, SHARE_PERCENT)).await.unwrap()
    }

    fn id(&self, email: &str) -> String {
        self.world.user(ACCOUNT, email).unwrap().id
    }

    fn writes(&self) -> Vec<String> {
        let calls = self.world.calls().into_iter().filter(|call| call.method != "GET");
        let api = calls.filter(|call| !call.path.starts_with("/oauth"));
        api.map(|call| format!("{} {}", call.method, call.path.trim_start_matches("/v2"))).collect()
    }
}

/// Nobody is told of anything. Who owns the account is as the rule about assistants wants it.
fn quiet(app: &TestApp) -> String {
    app.world.unsubscribe(ACCOUNT).unwrap();
    let owner = app.world.users(ACCOUNT).into_iter().find(|user| user.email != API_USER).unwrap().email;
    app.world.grant(ACCOUNT, &owner, API_USER).unwrap();
    owner
}

/// One of each sort that a rule about assistants meets. Nobody is told.
fn all_sorts(app: &TestApp) {
    quiet(app);
    let add = |new: NewUser| app.world.add_user(ACCOUNT, new).unwrap();
    for email in [JILL, "right@acme.example", "full@acme.example", "the.boss@acme.example", "gone@acme.example"] {
        add(NewUser::licensed(email));
    }
    add(NewUser::basic("basic@acme.example"));
    add(NewUser::licensed("invited@acme.example").invited());
    add(NewUser::licensed("guest@acme.example"));
    app.world.update_user(ACCOUNT, "guest@acme.example", &json!({ "dept": "guests" })).unwrap();
    app.world.deactivate(ACCOUNT, "gone@acme.example").unwrap();
    app.world.grant(ACCOUNT, "right@acme.example", API_USER).unwrap();
    for n in 0..30 {
        let helper = format!("helper-{n}@acme.example");
        add(NewUser::licensed(&helper));
        app.world.grant(ACCOUNT, &helper, API_USER).unwrap();
        app.world.grant(ACCOUNT, "full@acme.example", &helper).unwrap();
    }
    app.world.clear_calls();
}

#[tokio::test]
async fn a_plan_says_who_is_changed_how_and_why_others_are_not_and_changes_nothing() {
    let app = TestApp::start_patient(&[ASSIST]).await;
    all_sorts(&app);
    let planned = app.plan(None).await;
    assert_eq!((planned.account.as_str(), planned.users, planned.rules.len()), (ACCOUNT, 40, 1));
    let rule = &planned.rules[0];
    assert_eq!((rule.rule.as_str(), rule.is_enforced), ("assist", true));
    let jill = app.id(JILL);
    let change = &rule.changes[0];
    assert_eq!((rule.changes.len(), change.subject.clone()), (1, format!("user:{jill} {JILL}")));
    let difference = PlannedDifference { about: "assistants".to_owned(), is: json!([]), wanted: json!(API_USER) };
    assert_eq!(change.differences, [difference]);
    assert_eq!(change.calls, [format!("POST /users/{jill}/assistants")]);
    let others = [
        ("its condition does not hold", "the rule's condition does not hold", 1),
        ("excepted", "the user is excepted by the rule", 1),
        ("the API user", "the user is an API user itself", 1),
        ("full", "parks: the user already has 30 assistants, which is Zoom's limit", 1),
        ("right", "already right", 32),
        ("deactivated", "waits: the user is deactivated", 1),
        ("invited", "waits: the user has not accepted the invitation", 1),
        ("basic", "waits: the user has no licence", 1),
    ];
    for (who, reason, users) in others {
        let count = rule.others.get(reason).map(|others| others.count);
        assert_eq!(count, Some(users), "{who}: {:?}", rule.others);
    }
    let named = |reason: &str| rule.others[reason].named.clone();
    let gone = format!("user:{} gone@acme.example", app.id("gone@acme.example"));
    assert_eq!((named("waits: the user is deactivated"), named("already right").len()), (vec![gone.clone()], 0));
    assert!(rule.to_string().contains(&format!("1 user: waits: the user is deactivated\n    {gone}")), "{rule}");
    let counted: u64 = rule.others.values().map(|others| others.count).sum();
    assert_eq!(counted + 1, planned.users, "everybody is somewhere: {:?}", rule.others);
    assert_eq!(app.writes(), [""; 0]);
    let read = app.entries("200").await.len();
    assert_eq!(read, app.calls(""), "what was asked for it is on record");
}

#[tokio::test]
async fn settings_of_one_user_are_one_call() {
    let app = TestApp::start_patient(&[ASSIST, SETTINGS]).await;
    let owner = quiet(&app);
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    app.world.add_user(ACCOUNT, NewUser::basic("basic@acme.example")).unwrap();
    let planned = app.plan(None).await;
    let calls = planned.rules.iter().flat_map(|rule| rule.changes.iter().flat_map(|change| change.calls.clone()));
    let mut calls: Vec<String> = calls.collect();
    calls.sort();
    let (jill, basic, owner) = (app.id(JILL), app.id("basic@acme.example"), app.id(&owner));
    let mut expected = vec![
        format!("POST /users/{jill}/assistants"),
        format!("PATCH /users/{jill}/settings"),
        format!("PATCH /users/{basic}"),
        format!("PATCH /users/{basic}/settings"),
        format!("PATCH /users/{owner}/settings"),
    ];
    expected.sort();
    assert_eq!(calls, expected);
}

#[tokio::test]
async fn one_rule_is_planned_alone_and_one_that_observes_says_so() {
    let app = TestApp::start_patient(&[ASSIST, SETTINGS]).await;
    all_sorts(&app);
    let planned = app.plan(Some("settings")).await;
    assert_eq!(planned.rules.iter().map(|rule| rule.rule.as_str()).collect::<Vec<_>>(), ["settings"]);
    assert!(!planned.rules[0].is_enforced);
    let of_basic = |change: &&PlannedChange| change.subject.ends_with("basic@acme.example");
    let basic = planned.rules[0].changes.iter().find(of_basic).unwrap();
    let about: Vec<_> = basic.differences.iter().map(|one| one.about.as_str()).collect();
    assert_eq!(about[0], "type");
    assert!(about.contains(&"settings.in_meeting.polling"), "{about:?}");
    assert_eq!(app.calls("/assistants"), 0, "nobody asked about assistants");
}

#[tokio::test]
async fn a_plan_has_a_price_and_takes_as_long_as_the_limits_make_it() {
    let app = TestApp::start_patient(&[&format!("{ASSIST}max_changes_per_hour = 10\n")]).await;
    quiet(&app);
    for n in 0..25 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&format!("user-{n}@acme.example"))).unwrap();
    }
    let planned = app.plan(None).await;
    assert_eq!(planned.rules[0].changes.len(), 25);
    // For each the user, the list of assistants before and after, and the write.
    assert_eq!(planned.cost, Cost { light: 25, medium: 75, heavy: 0 });
    assert_eq!(planned.secs, 2 * 3600, "ten in each hour");
}

/// What a plan is applied to in the tests of that.
const LICENCES: &str = r#"
name = "licences"
for = "user"
ensure = { settings = { in_meeting = { chat = false, polling = true } }, type = "licensed" }
mode = "enforce"
when = 'user.dept != "guests"'
"#;

const STAFF: &str = r#"
name = "staff"
for = "user"
ensure = { groups = ["Staff"] }
mode = "enforce"
max_changes_per_hour = 1
"#;

impl TestApp {
    async fn saved(&self) -> SavedPlan {
        let planned = self.plan(None).await;
        SavedPlan::new(self.roster.borrow().hashes(), vec![planned], self.clock.now())
    }

    async fn try_apply(&self, plan: &SavedPlan) -> Result<AppliedAccount, String> {
        worker::apply(&self.parts, plan, "a test", false).await.map(|mut accounts| accounts.swap_remove(0))
    }

    /// Applies the plan and works until nothing is due; what each change came to.
    pub(crate) async fn apply(&self, plan: &SavedPlan) -> Vec<String> {
        self.world.clear_calls();
        let applied = self.try_apply(plan).await.unwrap();
        self.ticking(self.drain()).await;
        self.ticking(self.advance(Duration::from_secs(120))).await;
        let mut came = Vec::new();
        for id in applied.jobs {
            let job = self.store.job(id.parse().unwrap()).await.unwrap().unwrap();
            came.push(format!("{:?}", job.state));
        }
        came
    }
}

fn calls_of<'c>(changes: impl IntoIterator<Item = &'c PlannedChange>) -> Vec<String> {
    let mut calls: Vec<String> = changes.into_iter().flat_map(|change| change.calls.clone()).collect();
    calls.sort();
    calls
}

fn changes_of(plan: &PlannedAccount) -> Vec<(&str, &PlannedChange)> {
    plan.rules.iter().flat_map(|rule| rule.changes.iter().map(|change| (rule.rule.as_str(), change))).collect()
}

fn email(n: u64) -> String {
    format!("user-{n}@acme.example")
}

fn below(chance: &SeededChance, end: u64) -> u64 {
    (chance.next_u64() >> 33) % end
}

/// Something becomes otherwise at Zoom, and nobody is told.
fn drift(app: &TestApp, chance: &SeededChance, group: &str, user: &str) {
    let settings = json!({ "in_meeting": { "chat": below(chance, 2) == 0, "polling": below(chance, 2) == 0 } });
    let is_pending = app.world.user(ACCOUNT, user).unwrap().status == UserStatus::Pending;
    // Some of it is so already, or cannot be done to a user like this, and then nothing happens.
    let _drifted = match below(chance, 8) {
        0 => app.world.grant(ACCOUNT, user, API_USER),
        1 => app.world.withdraw(ACCOUNT, user, API_USER),
        2 => app.world.join_group(ACCOUNT, group, user),
        3 => app.world.leave_group(ACCOUNT, group, user),
        4 => app.world.update_user(ACCOUNT, user, &json!({ "dept": "guests" })),
        5 if !is_pending => app.world.set_licence(ACCOUNT, user, 1 + i64::from(below(chance, 2) == 0)),
        6 if !is_pending => app.world.deactivate(ACCOUNT, user),
        _ => app.world.set_user_settings(ACCOUNT, user, &settings),
    };
}

async fn random(seed: u64) -> (TestApp, SeededChance, String) {
    let (app, chance) = (TestApp::start_patient(&[ASSIST, LICENCES, STAFF]).await, SeededChance::new(seed));
    quiet(&app);
    let group = app.world.add_group(ACCOUNT, "Staff").unwrap();
    for n in 0..15 {
        let new = if below(&chance, 3) == 0 { NewUser::basic(&email(n)) } else { NewUser::licensed(&email(n)) };
        app.world.add_user(ACCOUNT, if below(&chance, 6) == 0 { new.invited() } else { new }).unwrap();
        for _ in 0..below(&chance, 3) {
            drift(&app, &chance, &group, &email(n));
        }
    }
    (app, chance, group)
}

#[tokio::test]
async fn what_is_applied_changes_exactly_what_was_planned() {
    for seed in 0..12 {
        let (app, ..) = random(seed).await;
        let plan = app.saved().await;
        let changes = changes_of(&plan.accounts[0]);
        assert!(!changes.is_empty(), "seed {seed}: nothing differs");
        let came = app.apply(&plan).await;
        let mut writes = app.writes();
        writes.sort();
        assert_eq!(writes, calls_of(changes.iter().map(|(_, change)| *change)), "seed {seed}: {came:#?}");
        assert!(came.iter().all(|state| state.contains("Changed")), "seed {seed}: {came:#?}");
    }
}

#[tokio::test]
async fn what_changed_since_the_plan_is_left_alone_and_all_else_is_done() {
    let mut left = 0;
    for seed in 0..12 {
        let (app, chance, group) = random(seed).await;
        let plan = app.saved().await;
        for _ in 0..10 {
            drift(&app, &chance, &group, &email(below(&chance, 15)));
        }
        let now = app.plan(None).await;
        let roster = app.roster.borrow().clone();
        let is_still = |(rule, change): &(&str, &PlannedChange)| {
            let same = |(name, other): &(&str, &PlannedChange)| {
                let of = roster.rule(&rule.parse().unwrap()).unwrap();
                name == rule && other.subject == change.subject && other.hash(of) == change.hash(of)
            };
            changes_of(&now).iter().any(same)
        };
        let (still, gone): (Vec<_>, Vec<_>) = changes_of(&plan.accounts[0]).into_iter().partition(is_still);
        let came = app.apply(&plan).await;
        let mut writes = app.writes();
        writes.sort();
        assert_eq!(writes, calls_of(still.iter().map(|(_, change)| *change)), "seed {seed}: {came:#?}");
        let ended = |what: &str| came.iter().filter(|state| state.contains(what)).count();
        assert_eq!(ended("Changed"), still.len(), "seed {seed}: {came:#?}");
        assert_eq!(ended("changed since the plan") + ended("AlreadyRight"), gone.len(), "seed {seed}: {came:#?}");
        left += gone.len();
    }
    assert!(left > 10, "the worlds hardly changed: {left}");
}

#[tokio::test]
async fn a_plan_has_an_allowance_of_its_own_and_the_log_says_who_applied_it() {
    let app = TestApp::start_patient(&[&format!("{ASSIST}max_changes_per_hour = 1\n")]).await;
    quiet(&app);
    for n in 0..4 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
    }
    let plan = app.saved().await;
    assert_eq!(app.apply(&plan).await.len(), 4);
    assert_eq!(app.world.without_assistant(ACCOUNT, API_USER), [""; 0]);
    let applied = app.entries("applied").await;
    let note = format!("by a test, of the plan {}", &plan.hash[..12]);
    assert!(applied.len() == 4 && applied.iter().all(|entry| entry.detail.as_ref().unwrap().note == note));
    let granted = app.entries("granted").await;
    let is_told = |entry: &adjutant::audit::Entry| entry.detail.as_ref().unwrap().note.ends_with(", as planned");
    assert!(granted.len() == 4 && granted.iter().all(is_told));
    // The hour's one change is still there for an event.
    app.subscribe();
    app.world.create_user(ACCOUNT, NewUser::licensed("new@acme.example")).unwrap();
    app.ticking(app.drain()).await;
    assert_eq!(app.state().await, "changed");
    assert_eq!(app.entries("rule-limit").await.len(), 0);
}

#[tokio::test]
async fn a_plan_reaches_what_the_limit_of_its_rule_holds_up() {
    let app = TestApp::start_patient(&[&format!("{ASSIST}max_changes_per_hour = 1\n")]).await;
    for n in 0..3 {
        app.world.create_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
    }
    app.ticking(app.drain()).await;
    assert_eq!(app.world.without_assistant(ACCOUNT, API_USER).len(), 3, "with the owner");
    let plan = app.saved().await;
    app.apply(&plan).await;
    assert_eq!(app.world.without_assistant(ACCOUNT, API_USER), [""; 0]);
    assert_eq!(app.jobs().await.len(), 4, "those that were put off went on");
}

#[tokio::test]
async fn what_a_plan_allows_ends_with_the_rule_that_was_planned_and_after_a_day() {
    let limited = |max: u32| format!("{ASSIST}max_changes_per_hour = {max}\n");
    let app = TestApp::start_patient(&[&limited(9)]).await;
    quiet(&app);
    for n in 0..3 {
        app.world.add_user(ACCOUNT, NewUser::licensed(&email(n))).unwrap();
    }
    let plan = app.saved().await;
    app.try_apply(&plan).await.unwrap();
    app.set_rules(&[&limited(1)]);
    app.ticking(app.drain()).await;
    assert_eq!(app.state().await, "changed since the plan");
    app.set_rules(&[&limited(9)]);
    app.try_apply(&plan).await.unwrap();
    app.clock.advance(Duration::from_secs(24 * 3600 + 1));
    app.ticking(app.drain()).await;
    assert_eq!(app.state().await, "the plan was over before its turn came");
    assert_eq!(app.world.without_assistant(ACCOUNT, API_USER).len(), 3);
}

#[tokio::test]
async fn a_plan_that_is_old_altered_or_of_other_rules_is_refused() {
    let app = TestApp::start_patient(&[ASSIST]).await;
    quiet(&app);
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let plan = app.saved().await;
    let mut altered = plan.clone();
    altered.accounts[0].rules[0].changes[0].subject = "user:somebody".to_owned();
    assert!(app.try_apply(&altered).await.unwrap_err().contains("altered"));
    let elsewhere = PlannedAccount { account: "other".to_owned(), ..plan.accounts[0].clone() };
    let elsewhere = SavedPlan::new(plan.rules.clone(), vec![elsewhere], app.clock.now());
    assert!(app.try_apply(&elsewhere).await.unwrap_err().contains("account other of the plan is not served"));
    app.set_rules(&["name = \"assist\"\nfor = \"user\"\nensure = { assistants = [\"api-user\"] }"]);
    assert!(app.try_apply(&plan).await.unwrap_err().contains("rule assist is not what it was"));
    app.clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert!(app.try_apply(&plan).await.unwrap_err().contains("more than 24 h ago"));
    assert_eq!(app.jobs().await.len(), 0, "nothing was asked for");
}

#[tokio::test]
async fn of_a_rule_that_observes_nothing_is_applied() {
    let app = TestApp::start_patient(&[SETTINGS]).await;
    quiet(&app);
    app.world.add_user(ACCOUNT, NewUser::basic(JILL)).unwrap();
    let applied = app.try_apply(&app.saved().await).await.unwrap();
    assert!(applied.rules[0].observes && applied.rules[0].changes > 0 && applied.jobs.is_empty(), "{applied:?}");
}

#[tokio::test]
async fn an_event_about_a_planned_change_is_worked_off_in_its_own_right() {
    let app = TestApp::start_patient(&[ASSIST]).await;
    let owner = quiet(&app);
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let plan = app.saved().await;
    app.world.withdraw(ACCOUNT, &owner, API_USER).unwrap();
    app.subscribe();
    app.try_apply(&plan).await.unwrap();
    // Before its turn comes, she waits for a licence: what was planned is not to be done, but the event asks for more.
    app.world.set_licence(ACCOUNT, JILL, 1).unwrap();
    app.ticking(app.drain()).await;
    assert_eq!(app.state().await, "waiting user-unlicensed");
    app.expect_left(Left { waiting: 1, parked: 0 });
}

#[tokio::test]
async fn meetings_are_planned_for_a_host_or_for_all_and_applied_like_users() {
    let rule =
        "name = \"rooms\"\nfor = \"meeting\"\nmode = \"enforce\"\nensure = { settings = { waiting_room = true } }\n";
    let app = TestApp::start_patient(&[rule]).await;
    quiet(&app);
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let open = json!({ "topic": "Maths", "type": 2, "start_time": "2027-01-16T10:00:00Z", "duration": 60, "settings": { "waiting_room": false } });
    let of_jill = app.world.create_meeting(ACCOUNT, JILL, &open).unwrap();
    let other = app.world.create_meeting(ACCOUNT, API_USER, &open).unwrap();
    assert_eq!((app.plan(None).await.meetings, app.calls("/meetings")), (None, 0), "nobody asked for them");
    let meetings = PlannedMeetings::Of(JILL.parse().unwrap());
    let planned = app.plan_scope(PlanScope { meetings, ..PlanScope::default() }).await;
    assert_eq!((planned.users, planned.meetings), (0, Some(1)));
    assert_eq!(planned.rules[0].changes[0].calls, [format!("PATCH /meetings/{of_jill}")]);
    let all = app.plan_scope(PlanScope { meetings: PlannedMeetings::All, ..PlanScope::default() }).await;
    assert_eq!((all.meetings, all.rules[0].changes.len()), (Some(2), 2));
    let plan = SavedPlan::new(app.roster.borrow().hashes(), vec![all], app.clock.now());
    app.world.update_meeting(ACCOUNT, other, &json!({ "settings": { "waiting_room": true } })).unwrap();
    app.apply(&plan).await;
    assert_eq!(app.writes(), [format!("PATCH /meetings/{of_jill}")]);
}

/// Asked by the events of scheduled meetings alone.
const WHEN_MADE: &str = r#"
name = "when-made"
for = "meeting"
on = ["meeting.created"]
when = 'event.payload.object.type == 2'
ensure = { settings = { waiting_room = true } }
mode = "enforce"
"#;

#[tokio::test]
async fn a_plan_since_a_moment_is_about_what_something_happened_to_and_what_its_events_asked() {
    let observing = [ASSIST, WHEN_MADE].map(|rule| rule.replace("enforce", "observe"));
    let app = TestApp::start_patient(&[&observing[0], &observing[1]]).await;
    app.world.add_user(ACCOUNT, NewUser::licensed("nobody.told@acme.example")).unwrap();
    app.world.create_user(ACCOUNT, NewUser::licensed("before@acme.example")).unwrap();
    app.ticking(app.drain()).await;
    app.clock.advance(Duration::from_secs(7200));
    let since = app.clock.now();
    app.world.create_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    let meeting = |kind: i64| {
        let fields = json!({ "topic": "Algebra", "type": kind, "settings": { "waiting_room": false } });
        app.world.create_meeting(ACCOUNT, JILL, &fields).unwrap()
    };
    let (scheduled, _recurring) = (meeting(2), meeting(3));
    app.ticking(app.drain()).await;
    app.set_rules(&[ASSIST, WHEN_MADE]);
    app.world.clear_calls();
    let planned = app.plan_scope(PlanScope { since: Some(since), ..PlanScope::default() }).await;
    assert_eq!((planned.users, planned.meetings), (1, Some(2)));
    assert!(!planned.since.as_ref().unwrap().is_cut);
    let subjects: Vec<_> =
        changes_of(&planned).into_iter().map(|(rule, change)| (rule, change.subject.clone())).collect();
    let jill = format!("user:{} {JILL}", app.id(JILL));
    assert_eq!(subjects, [("assist", jill), ("when-made", format!("meeting:{scheduled}"))]);
    let told = planned.to_string();
    assert!(told.contains(&format!("1 user and 2 meetings with events or work since {since}, of ")), "{told}");
    assert!(app.world.calls().iter().all(|call| call.path != "/v2/users"), "it lists nobody");
    let plan = SavedPlan::new(app.roster.borrow().hashes(), vec![planned.clone()], app.clock.now());
    let came = app.apply(&plan).await;
    assert!(came.len() == 2 && came.iter().all(|state| state.contains("Changed")), "{came:#?}");
    let mut writes = app.writes();
    writes.sort();
    assert_eq!(writes, calls_of(changes_of(&planned).into_iter().map(|(_, change)| change)));
}

#[tokio::test]
async fn a_plan_since_a_moment_asks_rules_about_events_also_what_they_ask_of_the_meeting_and_can_be_applied() {
    let rule = WHEN_MADE.replace("when = '", "when = 'host.type == 2 && !event.by_api_user && ");
    let sends = "name = \"tell\"\nfor = \"event\"\non = [\"meeting.created\"]\nsend = \"timetable\"\n\
        when = 'meeting.topic == \"Algebra\"'";
    let app = TestApp::start_patient(&[]).await;
    let since = app.clock.now();
    app.world.add_user(ACCOUNT, NewUser::licensed(JILL)).unwrap();
    for (by, topic) in [(JILL, "Algebra"), (API_USER, "Geometry")] {
        let fields = json!({ "topic": topic, "type": 2, "settings": { "waiting_room": false } });
        app.world.create_meeting_as(ACCOUNT, by, JILL, &fields).unwrap();
    }
    app.ticking(app.drain()).await;
    app.set_rules(&[&rule, sends]);
    app.world.clear_calls();
    let planned = app.plan_scope(PlanScope { since: Some(since), ..PlanScope::default() }).await;
    assert_eq!(changes_of(&planned).len(), 1, "{planned}");
    let others = |name: &str| {
        let of = planned.rules.iter().find(|rule| rule.rule == name).unwrap();
        of.others.iter().map(|(why, others)| (why.clone(), others.count)).collect::<Vec<_>>()
    };
    let not = ("the rule's condition does not hold".to_owned(), 1);
    assert_eq!(others("when-made"), std::slice::from_ref(&not));
    assert_eq!(others("tell"), [("an event that it sends".to_owned(), 1), not]);
    let plan = SavedPlan::new(app.roster.borrow().hashes(), vec![planned], app.clock.now());
    let came = app.apply(&plan).await;
    assert!(came.len() == 1 && came[0].contains("Changed"), "{came:#?}");
}

async fn calls_on_record(app: &TestApp) -> usize {
    let all = app.store.entries(0, usize::MAX).await.unwrap();
    all.iter().filter(|entry| entry.kind == Kind::Call).count()
}

#[tokio::test]
async fn a_plan_that_nobody_waits_for_is_on_record_and_there_is_one_at_a_time() {
    let app = TestApp::start(&[ASSIST]).await;
    quiet(&app);
    app.world.clear_calls();
    let (account, scope) = (app.account(), PlanScope::default());
    let before = calls_on_record(&app).await;
    {
        let mut gone = Box::pin(worker::plan(&app.parts, &account, &scope, SHARE_PERCENT));
        tokio::select! {
            biased;
            _ = &mut gone => panic!("it waits for Zoom"),
            () = std::future::ready(()) => {}
        }
        let second = worker::plan(&app.parts, &account, &scope, SHARE_PERCENT).await;
        assert_eq!(second, Err("a plan of it is being made already".to_owned()));
    }
    let over = async {
        while app.parts.facts.begin_plan(&account.id).is_none() {
            tokio::task::yield_now().await;
        }
    };
    app.ticking(over).await;
    assert!(app.calls("") > 0);
    assert_eq!(calls_on_record(&app).await - before, app.calls(""));
}
