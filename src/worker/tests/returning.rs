//! What a changed configuration lets go on, and what it does not touch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::engine::{bench, settle, stuck};
use super::fake::Trouble;
use super::{ASSISTANTS, Bench, account, rule};
use crate::account::Account;
use crate::chance::Chance;
use crate::clock::{Clock, Timestamp};
use crate::ids::AppName;
use crate::store::{Limits, MemoryStore, Move, Selector, Store};
use crate::worker::since::happened;
use crate::worker::{ComeBack, Roster, Runner, Settings};
use crate::zoom::{Status, ZoomError};

const RIGHT: &str = "done changed: add assistant api@example.com";

#[tokio::test]
async fn an_attempt_keeps_the_rules_that_it_began_with_over_a_reload() {
    let bench = bench();
    let (shutdown, service) = stuck(&bench).await;
    bench.set_rules(&[]);
    settle().await;
    bench.zoom.open();
    settle().await;
    assert_eq!(bench.state().await, RIGHT);
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

/// Sends another roster while an attempt is being settled, which is when its jitter is drawn.
#[derive(Debug)]
struct Reloads(watch::Sender<Arc<Roster>>, Arc<Roster>);

impl Chance for Reloads {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        self.0.send_replace(Arc::clone(&self.1));
    }
}

#[tokio::test]
async fn a_rule_that_comes_back_while_its_job_is_being_parked_is_not_missed() {
    let bench = bench();
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    let back = Arc::clone(&bench.roster.borrow());
    bench.set_rules(&[]);
    let mut parts = bench.parts.clone();
    parts.chance = Arc::new(Reloads(bench.roster.clone(), back));
    Runner::new(parts).run_due().await.unwrap();
    assert_eq!(bench.state().await, RIGHT);
    assert_eq!(bench.entries("parked").await.len(), 1);
}

#[tokio::test]
async fn an_account_that_comes_back_takes_its_jobs_up_again() {
    let bench = bench();
    let back = ComeBack::new(bench.parts.clone());
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    let with = bench.roster.send_replace(Roster::new([], vec![rule(ASSISTANTS)]).into());
    bench.drain().await;
    assert!(back.look().await.unwrap());
    assert_eq!(bench.state().await, "parked account-gone");
    bench.roster.send_replace(with);
    assert!(back.look().await.unwrap());
    bench.drain().await;
    assert_eq!(bench.state().await, RIGHT);
}

#[tokio::test]
async fn jobs_of_an_app_that_does_not_act_any_more_stay_where_they_are() {
    let bench = bench();
    let back = ComeBack::new(bench.parts.clone());
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    let now = Arc::clone(&bench.roster.borrow());
    let other = |account: &Account| Account { app: AppName::parse("other").unwrap(), ..account.clone() };
    let others: Vec<Account> = now.accounts().map(other).collect();
    bench.roster.send_replace(Roster::new(others, vec![rule(ASSISTANTS)]).into());
    bench.drain().await;
    assert_eq!(bench.state().await, "parked account-gone");
    assert!(back.look().await.unwrap());
    bench.drain().await;
    assert_eq!(bench.state().await, "parked account-gone");
    assert_eq!(bench.entries("parked").await.len(), 1, "it did not go on only to stop again");
}

#[tokio::test]
async fn jobs_go_on_once_zoom_takes_the_credentials_which_costs_one_call_to_know() {
    let bench = bench();
    bench.zoom.put_user("joan", Status::Active, 2);
    let back = ComeBack::new(bench.parts.clone());
    let refused = || Trouble::Fail(ZoomError::Credentials("invalid client".to_owned()));
    for user in ["jill", "joan"] {
        bench.zoom.trouble("assistants", 1, refused());
        bench.user_event("user.created", user).await;
    }
    bench.drain().await;
    bench.zoom.trouble("users", 1, refused());
    assert!(back.look().await.unwrap());
    assert_eq!(bench.state().await, "parked credentials-refused");
    bench.zoom.trouble("users", 1, Trouble::Fail(ZoomError::Transient("no answer".to_owned())));
    assert!(!back.look().await.unwrap(), "nobody knows: it asks again");
    assert_eq!(bench.state().await, "parked credentials-refused");
    let before = bench.zoom.log().len();
    assert!(back.look().await.unwrap());
    assert_eq!(bench.zoom.log().len() - before, 1);
    bench.drain().await;
    assert_eq!(bench.zoom.changes(), 2);
    assert_eq!(bench.entries("retried").await.len(), 2);
}

#[tokio::test]
async fn what_is_put_off_goes_on_when_its_rule_may_change_more_and_as_far_as_it_may() {
    let limited = |max: u32| format!("{ASSISTANTS}max_changes_per_hour = {max}\n");
    // However few the store moves in one write.
    let store = MemoryStore::new(Limits { moved_max: 1, ..Limits::default() });
    let accounts = vec![account("acme", &["api@example.com"])];
    let bench = Bench::on(store, accounts, &[&limited(1)], Settings::default());
    let back = ComeBack::new(bench.parts.clone());
    for user in ["u-1", "u-2", "u-3", "u-4"] {
        bench.zoom.put_user(user, Status::Active, 2);
        bench.user_event("user.created", user).await;
    }
    bench.drain().await;
    let waiting = || async {
        let told = bench.store.put_off(bench.clock.now()).await.unwrap();
        told.iter().map(|one| (one.made, one.waiting)).collect::<Vec<_>>()
    };
    assert_eq!((bench.zoom.changes(), waiting().await), (1, vec![(1, 3)]));
    for (max, changed, left) in [(1, 1, vec![(1, 3)]), (2, 2, vec![(2, 2)]), (100, 4, vec![])] {
        bench.set_rules(&[&limited(max)]);
        back.look().await.unwrap();
        bench.drain().await;
        assert_eq!((bench.zoom.changes(), waiting().await), (changed, left), "{max} an hour");
    }
}

#[tokio::test]
async fn what_is_parked_for_another_cause_stays() {
    let bench = bench();
    let back = ComeBack::new(bench.parts.clone());
    bench.user_event("user.created", "jill").await;
    bench.plan().await;
    let (which, now) = (Selector::Job(bench.newest().await.id), bench.clock.now());
    bench.store.move_jobs(which, Move::Park, "jill", now).await.unwrap();
    bench.set_rules(&[]);
    bench.set_rules(&[ASSISTANTS]);
    back.look().await.unwrap();
    assert_eq!(bench.state().await, "parked by-person");
}

#[tokio::test]
async fn of_more_than_a_plan_looks_at_it_takes_the_newest_and_says_so() {
    let bench = bench();
    for n in 0..1_010 {
        bench.user_event("user.updated", &format!("u-{n}")).await;
    }
    let (roster, acme) = (Arc::clone(&bench.roster.borrow()), account("acme", &[]));
    let since = |at| happened(&bench.parts, &roster, &acme, at);
    let found = since(Timestamp::EPOCH).await.unwrap();
    assert!(found.is_cut);
    assert_eq!((found.subjects.len(), found.subjects[0].0.key()), (1_000, "user:u-1009".to_owned()));
    let later = bench.clock.now().plus(Duration::from_secs(1));
    assert_eq!(since(later).await.unwrap().subjects.len(), 0);
}
