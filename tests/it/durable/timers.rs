//! As many timers as a large account has.

use adjutant::clock::Stopwatch;

use adjutant::ids::{MeetingId, MeetingUuid, RuleName};
use adjutant::job::Subject;
use adjutant::rules::Step;
use adjutant::store::{Claimable, Limits, Store as _};

use super::kit::Folder;
use crate::contract::kit::{DAY, Kit, LEASE, SECOND, START, app, happened};

const TIMERS: u64 = 100_000;
const OF_ONE_EVENT: u64 = 1_000;

/// A day after its event, but for the last: a minute and a second.
fn timer(number: u64) -> Step {
    let uuid = MeetingUuid::parse(&format!("run-{number}==")).unwrap();
    let subject = Subject::Instance { meeting: MeetingId::from_number(90_000_000_000 + number), uuid };
    let after = if number == TIMERS { LEASE + SECOND } else { DAY };
    Step::Later { rule: RuleName::parse("substitute").unwrap(), subject, on: None, after }
}

/// What it takes is printed: a start, and how late the one that is due is claimed among all that are not.
#[expect(clippy::print_stderr, reason = "what it measures")]
#[tokio::test]
async fn a_hundred_thousand_timers_run_over_a_restart_and_the_one_that_is_due_is_claimed_at_once() {
    let folder = Folder::new();
    let store = folder.open_with(Limits::default());
    for first in (1..=TIMERS).step_by(usize::try_from(OF_ONE_EVENT).unwrap()) {
        let verified = adjutant::event::signature::Verified::reread(format!("{{\"n\":{first}}}").into(), 0, None);
        let new = adjutant::store::NewDelivery { app: app("main"), received_at: START, verified };
        let delivery = store.deliver(new).await.unwrap().delivery();
        let steps = (first..first + OF_ONE_EVENT).map(timer).collect();
        let decision = Kit::<super::FolderHarness>::decision(delivery, "acc", happened(START, steps));
        store.record_plan(vec![decision], START).await.unwrap();
    }
    assert_eq!(store.status().await.unwrap().due, TIMERS);
    store.close().await.unwrap();
    let watch = Stopwatch::start();
    let store = folder.open_with(Limits::default());
    eprintln!("a start with {TIMERS} timers: {:?}", watch.elapsed());
    let claim = |now| store.claim(Claimable { jobs_max: 64, per_account_max: 64, lease: LEASE }, now);
    let due = START.plus(LEASE + SECOND);
    assert_eq!(claim(START).await.unwrap().len(), 0);
    assert_eq!(store.next_due().await.unwrap(), Some(due));
    let watch = Stopwatch::start();
    let claimed = claim(due).await.unwrap();
    eprintln!("a claim among them: {:?}", watch.elapsed());
    let claimed: Vec<Subject> = claimed.into_iter().map(|leased| leased.job.subject).collect();
    let Step::Later { subject, .. } = timer(TIMERS) else { unreachable!() };
    assert_eq!(claimed, [subject]);
    // Some of the others at once, as after an outage: none twice.
    let watch = Stopwatch::start();
    let wanted = Claimable { jobs_max: 2_000, per_account_max: usize::MAX, lease: DAY };
    let rest = store.claim(wanted, START.plus(DAY)).await.unwrap();
    eprintln!("2000 of all of them: {:?}", watch.elapsed());
    let ids: std::collections::BTreeSet<_> = rest.iter().map(|leased| leased.job.id).collect();
    assert_eq!((rest.len(), ids.len()), (2_000, 2_000));
    store.abandon();
}
