//! Many admins at once, and a Zoom that fails them.

use std::time::Duration;

use adjutant::sim::{Fault, FaultKind, Target};

use super::kit::{Browser, Platform, in_still_time, patient, unstarted_in_still_time};

/// Installs that exchange codes at once.
const AT_ONCE: u32 = 16;

/// A browser that an admin has just allowed the app in, with the link back.
fn allowed(platform: &Platform, n: u32) -> (Browser, String) {
    let school = platform.school(&format!("school-{n}"), 0);
    let mut browser = Browser::default();
    let begun = browser.get(platform, "/install/platform");
    let back = platform.world.allow(begun.header("location").unwrap(), &school.admin).unwrap();
    (browser, back)
}

#[test]
fn the_seventeenth_who_comes_back_at_once_is_asked_to_wait_and_can_go_on_with_the_same_link() {
    let platform = unstarted_in_still_time("installer", "open").configured(patient).started(&[]);
    let (mut last, link) = allowed(&platform, 0);
    let mut others: Vec<_> = (1..=AT_ONCE).map(|n| allowed(&platform, n)).collect();
    // Zoom takes a minute to answer each.
    let minute = Duration::from_secs(60);
    platform.world.fault(Fault { target: Target::Token, times: AT_ONCE, kind: FaultKind::Delay(minute) });
    std::thread::scope(|scope| {
        for (browser, back) in &mut others {
            let platform = &platform;
            scope.spawn(move || {
                let answer = browser.get(platform, back);
                assert_eq!(answer.status, 303, "{}", answer.body);
            });
        }
        while platform.world.faults_left() > 0 {
            std::thread::yield_now();
        }
        let busy = last.get(&platform, &link);
        assert_eq!((busy.status, busy.header("retry-after")), (503, Some("10")), "{}", busy.body);
        assert!(busy.body.contains("Too many at once") && busy.body.contains("Load this page again"), "{}", busy.body);
        platform.pass(minute);
    });
    assert_eq!(platform.accounts().len(), 16);
    let done = last.get(&platform, &link);
    assert_eq!(done.status, 303, "{}", done.body);
    assert_eq!(platform.accounts().len(), 17);
}

/// So many come back with a code that Zoom does not know.
fn fail(platform: &Platform, times: usize) {
    for n in 0..times {
        let mut browser = Browser::default();
        let begun = browser.get(platform, "/install/platform");
        let (_, state) = begun.header("location").unwrap().split_once("&state=").unwrap();
        let state = state.split('&').next().unwrap();
        let answer = browser.get(platform, &format!("/oauth/callback?code=guessed-{n}&state={state}"));
        assert_eq!(answer.status, 502, "{}", answer.body);
    }
}

/// How many each line of the log tells of.
fn told(platform: &Platform) -> Vec<String> {
    let log = platform.service.log();
    let lines = log.lines().filter(|line| line.contains("installations failed at Zoom"));
    let count = |line: &str| line.split_once("count=").unwrap().1.split(' ').next().unwrap().to_owned();
    lines.inspect(|line| assert!(line.contains(" WARN "), "{line}")).map(count).collect()
}

#[test]
fn what_fails_at_zoom_is_counted_and_told_once_a_minute() {
    let mut platform = in_still_time("installer", "open");
    for (times, secs_after) in [(4, 59), (1, 1), (2, 60), (1, 0)] {
        fail(&platform, times);
        platform.pass(Duration::from_secs(secs_after));
    }
    // The log is written beside all else, in order.
    platform.until(|platform| told(platform).len() >= 3);
    assert_eq!(told(&platform), ["1", "5", "2"], "each with those that nobody was told of");
}
