//! Whatever becomes of the webhooks, the account comes to the same: without any by one sweep, and with ten of each in any
//! order, without anything being done twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use adjutant::chance::{Chance as _, SeededChance};
use adjutant::clock::ManualClock;
use adjutant::sim::{Crowd, Mischief, NewUser, World};
use serde_json::json;

use super::big_world::{API_USER, ASSISTANT, GROUP, LICENCE, wrong};
use super::{ACCOUNT, START, TestApp};
use crate::process::{long, say, seed};

const USERS: u64 = 40;
const DEEDS: usize = 40;

async fn start(seed: u64) -> TestApp {
    let clock = ManualClock::at(START);
    let users = usize::try_from(USERS).unwrap();
    let crowd = Crowd { account: ACCOUNT.to_owned(), users, ..Crowd::default() };
    let world = World::random(Arc::new(clock.clone()), seed, &crowd).unwrap();
    TestApp::start_in(world, clock, API_USER, &[ASSISTANT, GROUP, LICENCE]).await
}

/// Somebody does something at Zoom, by chance; it may be impossible as things are. Gives who loses by it what a rule gave.
fn deed(app: &TestApp, chance: &SeededChance) -> Option<String> {
    let (what, who) = (chance.next_u64() % 9, chance.next_u64());
    let email = format!("user-{}@crowd.example", 1 + who % USERS);
    let group = app.world.groups(ACCOUNT).into_iter().find(|group| group.name == "group 1").unwrap().id;
    let (world, loses) = (&app.world, Some(email.clone()));
    match what {
        0 | 1 => {
            let email = format!("new-{}@crowd.example", who % 1000);
            let new = if what == 0 { NewUser::licensed(&email) } else { NewUser::basic(&email) };
            world.create_user(ACCOUNT, new).ok().and(None)
        }
        2 => world.deactivate(ACCOUNT, &email).ok().and(loses),
        3 => world.activate(ACCOUNT, &email).ok().and(None),
        4 => world.set_licence(ACCOUNT, &email, 1).ok().and(loses),
        5 => world.set_licence(ACCOUNT, &email, 2).ok().and(None),
        6 => world.withdraw(ACCOUNT, &email, API_USER).ok().and(loses),
        7 => world.leave_group(ACCOUNT, &group, &email).ok().and(loses),
        _ => world.update_user(ACCOUNT, &email, &json!({ "first_name": "Gill" })).ok().and(None),
    }
}

/// What rules are about, of all whom they can be about: who is no longer active keeps what they had.
fn state(world: &World) -> BTreeMap<String, (i64, Vec<String>, bool)> {
    let group = world.groups(ACCOUNT).into_iter().find(|group| group.name == "group 1").unwrap().id;
    let members = world.members(ACCOUNT, &group);
    let of = |user: adjutant::sim::User| {
        let assistants = if user.is_licensed() { world.assistants(ACCOUNT, &user.email) } else { Vec::new() };
        let state = (user.kind, assistants, members.contains(&user.email));
        (user.email, state)
    };
    world.users(ACCOUNT).into_iter().filter(adjutant::sim::User::is_active).map(of).collect()
}

#[tokio::test]
async fn without_webhooks_and_with_ten_of_each_in_any_order_the_world_comes_to_the_same() {
    let (first, rounds) = (seed(), if long() { 100 } else { 4 });
    for seed in (first..).take(rounds) {
        let (deaf, told) = (start(seed).await, start(seed).await);
        deaf.world.unsubscribe(ACCOUNT).unwrap();
        told.world.set_mischief(Mischief { shuffle: true, ..Mischief::default() });
        (1..10).for_each(|_| told.subscribe());
        let (one, other, when) = (SeededChance::new(seed), SeededChance::new(seed), SeededChance::new(!seed));
        let mut lost: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..DEEDS {
            deed(&deaf, &one);
            if let Some(email) = deed(&told, &other) {
                *lost.entry(email).or_default() += 1;
            }
            match when.next_u64() % 6 {
                0 => told.ticking(told.drain()).await,
                1 => told.sweep().await,
                _ => {}
            }
        }
        deaf.sweep().await;
        told.ticking(told.drain()).await;
        told.sweep().await;
        for app in [&deaf, &told] {
            assert_eq!(wrong(&app.world), BTreeMap::new(), "ADJUTANT_SEED={seed}");
        }
        assert_eq!(state(&deaf.world), state(&told.world), "ADJUTANT_SEED={seed}");
        for user in told.world.users(ACCOUNT) {
            let most = 1 + lost.get(&user.email).copied().unwrap_or_default();
            let writes = told.world.assistant_writes(ACCOUNT, &user.email);
            assert!(writes <= most, "ADJUTANT_SEED={seed}: {} was given an assistant {writes} times", user.email);
        }
        deaf.cancel_all().await;
        told.cancel_all().await;
    }
    say(&format!("ADJUTANT_SEED={first}: {rounds} worlds came to the same with and without webhooks"));
}
