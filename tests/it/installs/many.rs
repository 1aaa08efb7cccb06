//! As many accounts as a platform may have: what installing, holding, starting and serving them takes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adjutant::clock::Stopwatch;
use adjutant::sim::{Crowd, NewUser};

use super::kit::{Browser, Platform, School, unstarted};
use crate::process::{long, say, spread};

/// Of each account, beside its owner and its API user.
const USERS: usize = 100;
/// Admins who install at the same time.
const AT_ONCE: usize = 4;

/// Schools whose users have their assistants already: a sweep finds nothing to do.
fn schools(platform: &Platform, count: usize) -> Vec<School> {
    let school = |number| {
        let crowd = Crowd { users: USERS, assisted_percent: 100, ..Crowd::school(number) };
        platform.world.add_crowd(&crowd).unwrap();
        School { admin: format!("owner@{}", crowd.domain), id: crowd.account }
    };
    (1..=count).map(school).collect()
}

fn install(platform: &Platform, schools: &[School]) -> Duration {
    let (watch, next) = (Stopwatch::start(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(school) = schools.get(next.fetch_add(1, Ordering::Relaxed)) {
                    Browser::default().install(platform, school, "/install/platform");
                }
            });
        }
    });
    watch.elapsed()
}

/// Until each account's API user was looked at, and its first sweep is over.
fn wait_until_ready(platform: &mut Platform, count: usize) -> Duration {
    let watch = Stopwatch::start();
    loop {
        let sweeps = platform.service.admin("GET", "/v1/sweeps").unwrap();
        let is_swept = |sweep: &&serde_json::Value| sweep["last_dry"].is_object() && sweep["run"].is_null();
        let is_active = |account: &&serde_json::Value| account["standing"] == "active";
        let active = platform.accounts().iter().filter(is_active).count();
        if active == count && sweeps.as_array().unwrap().iter().filter(is_swept).count() == count {
            platform.service.wait_until_idle();
            return watch.elapsed();
        }
        assert!(platform.service.is_running(), "it died: {}", platform.service.log());
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// From the making of a user at Zoom to what the rule wants of them, in each of these accounts in turn. The simulated Zoom
/// answers at once, so that all of it is adjutant's, but for the simulator's own work.
fn effects(platform: &Platform, schools: &[School], round: usize) -> Vec<Duration> {
    let effect = |school: &School| {
        let api_user = school.admin.replacen("owner", "api-1", 1);
        let email = school.admin.replacen("owner", &format!("new-{round}"), 1);
        let watch = Stopwatch::start();
        platform.world.create_user(&school.id, NewUser::licensed(&email)).unwrap();
        while platform.world.assistants(&school.id, &email) != [api_user.as_str()] {
            std::thread::yield_now();
        }
        watch.elapsed()
    };
    schools.iter().map(effect).collect()
}

/// What it takes is printed; what is asserted holds on any machine.
fn serves(count: usize) {
    let platform = unstarted("api-1@{domain}", "open");
    let all = schools(&platform, count);
    let mut platform = platform.started(&[]);
    say(&format!(
        "{count} accounts of {USERS} users; before the first, {} MB resident",
        platform.service.resident_mb()
    ));

    let took = install(&platform, &all);
    say(&format!("installed in {took:?}, {} MB resident", platform.service.resident_mb()));
    let took = wait_until_ready(&mut platform, count);
    say(&format!("ready {took:?} later, {} MB resident", platform.service.resident_mb()));

    // Spread over all of them.
    let some: Vec<School> = all.iter().step_by(count.div_ceil(200)).cloned().collect();
    say(&format!("from event to effect, in {} accounts: {}", some.len(), spread(effects(&platform, &some, 1))));
    platform.service.wait_until_idle();
    say(&format!("{} MB resident", platform.service.resident_mb()));

    for how in ["a kill", "a stop"] {
        if how == "a kill" {
            platform.service.kill();
        } else {
            assert_eq!(platform.service.terminate(), Some(0), "{}", platform.service.log());
        }
        let watch = Stopwatch::start();
        assert!(platform.service.start(&[]), "{}", platform.service.log());
        say(&format!("a start after {how} took {:?}, {} MB resident", watch.elapsed(), platform.service.resident_mb()));
    }
    say(&format!("then from event to effect: {}", spread(effects(&platform, &some, 2))));
    platform.service.wait_until_idle();
    say(&format!("at the end {} MB resident", platform.service.resident_mb()));

    let served: BTreeSet<String> =
        platform.accounts().iter().map(|account| account["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(served, all.iter().map(|school| school.id.clone()).collect());
    assert_eq!(platform.world.crossings(), []);
}

#[test]
fn accounts_by_the_hundred_are_installed_swept_and_served_and_no_call_crosses() {
    if long() {
        serves(300);
        serves(5_000);
    } else {
        serves(40);
    }
}
