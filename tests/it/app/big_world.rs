//! A whole account with drift in assistants, groups and licences, and nobody told: one sweep makes right what rules can, at
//! its price, and within its part of the rate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::clock::{Clock as _, ManualClock, Timestamp};
use adjutant::sim::{Call, Crowd, World};
use adjutant::worker::Runner;
use adjutant::zoom::{Category, Endpoint};
use tokio_util::sync::CancellationToken;

use super::{ACCOUNT, START, TestApp};
use crate::process::{long, say, seed};

pub(super) const API_USER: &str = "api-1@crowd.example";
/// What sweeps may use of 80 light calls and 60 others a second, which a Business account may make: 30 %.
const LIGHT_MAX: usize = 24;
const MEDIUM_MAX: usize = 18;

/// Its condition, and that of the others, is one that rows of the list answer: whoever it leaves out costs nothing.
pub(super) const ASSISTANT: &str = r#"
name = "assist"
for = "user"
when = '!user.email.endsWith("3@crowd.example")'
ensure = { assistants = ["api-user"] }
mode = "enforce"
max_changes_per_hour = 1000000
"#;

pub(super) const GROUP: &str = r#"
name = "staff"
for = "user"
when = 'user.email.endsWith("0@crowd.example")'
ensure = { groups = ["group 1"] }
mode = "enforce"
max_changes_per_hour = 1000000
"#;

/// A licence is what an assistant needs first.
pub(super) const LICENCE: &str = r#"
name = "licence"
for = "user"
when = 'user.email.endsWith("3@crowd.example")'
ensure = { type = "licensed", assistants = ["api-user"] }
mode = "enforce"
max_changes_per_hour = 1000000
"#;

/// What is wrong at Zoom and a rule could mend, by what: emails. Somebody who is wrong in two ways is there twice.
pub(super) fn wrong(world: &World) -> BTreeMap<&'static str, Vec<String>> {
    let group = world.groups(ACCOUNT).into_iter().find(|group| group.name == "group 1").unwrap().id;
    let members = world.members(ACCOUNT, &group);
    let lacking = world.without_assistant(ACCOUNT, API_USER);
    let mut wrong: BTreeMap<&'static str, Vec<String>> = BTreeMap::from([("assistants", lacking)]);
    for user in world.users(ACCOUNT).into_iter().filter(|user| user.is_active() && user.email != API_USER) {
        if user.email.ends_with("0@crowd.example") && !members.contains(&user.email) {
            wrong.entry("groups").or_default().push(user.email.clone());
        }
        if user.email.ends_with("3@crowd.example") && !matches!(user.kind, 2 | 3) {
            wrong.entry("type").or_default().push(user.email.clone());
            // They can have no assistant before.
            wrong.entry("assistants").or_default().push(user.email);
        }
    }
    wrong.retain(|_, emails| !emails.is_empty());
    wrong
}

/// Calls of the API by category, and the most in any second, which begins at any moment.
fn busiest(app: &TestApp, category: Category) -> (usize, usize) {
    let is = |call: &Call| {
        let mut parts = call.path.split(['/', '?']).filter(|part| !part.is_empty() && *part != "v2");
        let parts: Vec<&str> = parts.by_ref().collect();
        let endpoint = match (call.method.as_str(), parts.as_slice()) {
            ("GET", ["users", _]) => Endpoint::GetUser,
            ("PATCH", ["users", _]) => Endpoint::UpdateUser,
            ("GET" | "POST", ["users" | "groups", ..]) => Endpoint::ListUsers,
            other => panic!("a call that nobody expected: {other:?}"),
        };
        endpoint.category() == category
    };
    let at = |call: Call| (!call.path.starts_with("/oauth") && is(&call)).then_some(call.at);
    let at: Vec<Timestamp> = app.world.calls().into_iter().filter_map(at).collect();
    let (mut first, mut most) = (0, 0);
    for last in 0..at.len() {
        while at[last].since(at[first]) >= Duration::from_secs(1) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    (at.len(), most)
}

/// Sweeps and works as the service does, until nothing is left. Time passes only while no call is on its way
/// and nobody is answered: whoever waits then waits for a turn. So a slow machine costs no time, and a call arrives in the
/// moment in which the limits let it go.
async fn sweep_and_work(app: &TestApp) {
    let shutdown = CancellationToken::new();
    let runner = Runner::new(app.parts.clone());
    let until_done = async {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut answered, mut quiet) = (0, 0);
        loop {
            tick.tick().await;
            let total = app.world.calls_total();
            let is_quiet = total == answered && app.zoom_stats.now().under_way() == 0;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet >= 2 {
                app.clock.advance(Duration::from_millis(5));
                // Seldom, since it counts all jobs.
                if quiet % 64 == 0 && app.swept().await.last.is_some() {
                    let status = app.store.status().await.unwrap();
                    if status.due + status.running == 0 {
                        break;
                    }
                }
            }
            answered = total;
        }
        shutdown.cancel();
    };
    let (swept, worked, ()) = tokio::join!(app.sweeper.run(&shutdown), runner.run(&shutdown), until_done);
    swept.and(worked).unwrap();
}

async fn one_sweep_heals(users: usize, seed: u64) {
    let clock = ManualClock::at(START);
    let crowd = Crowd { account: ACCOUNT.to_owned(), users, assisted_percent: 90, ..Crowd::default() };
    let world = World::random(Arc::new(clock.clone()), seed, &crowd).unwrap();
    let app = TestApp::start_in(world, clock, API_USER, &[ASSISTANT, GROUP, LICENCE]).await;
    app.world.unsubscribe(ACCOUNT).unwrap();
    let before = wrong(&app.world);
    let differing: usize = before.values().map(Vec::len).sum();
    let active = app.world.users(ACCOUNT).iter().filter(|user| user.is_active()).count();
    let group = app.world.groups(ACCOUNT).into_iter().find(|group| group.name == "group 1").unwrap().id;
    let members = app.world.members(ACCOUNT, &group).len();
    app.world.clear_calls();
    let began = app.clock.now();
    sweep_and_work(&app).await;
    let took = app.clock.now().since(began);

    assert_eq!(wrong(&app.world), BTreeMap::new(), "seed {seed}");
    let kinds = app.world.calls_by_kind();
    let ((light, light_most), (medium, medium_most)) =
        (busiest(&app, Category::Light), busiest(&app, Category::Medium));
    let lists = active.div_ceil(300) + 1 + members.div_ceil(300);
    let (calls, price) = (light + medium, lists + 3 * differing);
    let allowed = (light * 1000).div_ceil(LIGHT_MAX).max((medium * 1000).div_ceil(MEDIUM_MAX));
    let millis = usize::try_from(took.as_millis()).unwrap();
    say(&format!(
        "ADJUTANT_SEED={seed}: {users} users, {active} active; wrong in assistants, groups, type: {:?}; {calls} calls \
         (price {price}): {kinds:?}; {millis} ms, at the allowed rate {allowed} ms; at most {light_most} light calls and \
         {medium_most} others in one second",
        before.values().map(Vec::len).collect::<Vec<_>>(),
    ));
    assert!(calls <= price + price.div_ceil(100), "seed {seed}: {calls} calls, not {price} and 1 %: {kinds:?}");
    assert!(app.world.calls().iter().all(|call| call.status != Some(429)), "seed {seed}");
    let within = light_most <= LIGHT_MAX && medium_most <= MEDIUM_MAX;
    assert!(within, "seed {seed}: {light_most} light calls and {medium_most} others in one second");
    assert!(millis * 10 <= allowed * 11, "seed {seed}: {millis} ms, more than 10 % beyond {allowed} ms");
}

#[tokio::test]
async fn one_sweep_over_an_account_with_drift_leaves_nothing_that_a_rule_could_have_healed() {
    let users = if long() { 50_000 } else { 1_500 };
    one_sweep_heals(users, SeededChance::new(seed()).next_u64()).await;
}
