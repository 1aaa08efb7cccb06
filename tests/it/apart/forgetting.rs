//! The real planner, while an account is really forgotten.

use std::sync::atomic::{AtomicBool, Ordering};

use adjutant::store::Forgotten;
use tokio_util::sync::CancellationToken;

use super::*;

/// Deliveries of each account that are planned before, and as many that wait.
const EACH: usize = 200;

/// The event of a new user; those of the account that goes have a name to look for.
fn created(n: usize, count: usize) -> (usize, String) {
    (n, event("user.created", &account(n), &format!("{}-user-{count}", if n == 0 { "gone" } else { "here" })))
}

impl Bench {
    /// As whoever looks after accounts does: what the planner makes a job of meanwhile is cancelled as well.
    async fn forget(&self, id: &AccountId) {
        let kept = self.accounts.account(id).unwrap();
        let forgetting = self.accounts.forgetting(&kept).await.unwrap();
        loop {
            while self.store.cancel_jobs(id, None, "it is let go", NOW).await.unwrap() > 0 {}
            match self.store.forget(&Forgotten::Account(id.clone()), NOW, |_, _| {}).await {
                Ok(_) => break,
                Err(StoreError::Conflict(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        self.accounts.forgotten(&forgetting).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_an_account_is_forgotten_the_planner_goes_on_for_others_and_nothing_of_the_account_is_left() {
    let bench = Bench::of(2).await;
    bench.deliver((0..2 * EACH).map(|count| created(count % 2, count)).collect()).await;
    bench.plan().await;
    assert_eq!(bench.jobs().await.len(), 2 * EACH);
    bench.deliver((2 * EACH..4 * EACH).map(|count| created(count % 2, count)).collect()).await;
    assert!(!bench.store.traces(vec!["gone-user".to_owned()]).await.unwrap().is_empty());

    let stop = CancellationToken::new();
    let few = Settings { plan_batch_max: 8, ..bench.parts.settings };
    let planner = Planner::new(Parts { settings: few, ..bench.parts.clone() });
    let planning = tokio::spawn({
        let stop = stop.clone();
        async move { planner.run(&stop).await }
    });
    bench.accounts.remove(&account(0), false, "a test").await.unwrap();
    bench.accounts.lending_ended(&account(0)).await.unwrap();
    bench.roster.send_replace(Arc::new(Roster::new(bench.accounts.served(), vec![rule()])));
    let is_over = AtomicBool::new(false);
    let forgetting = async {
        bench.forget(&account(0)).await;
        is_over.store(true, Ordering::Relaxed);
    };
    // The other account goes on to send for as long.
    let sending = async {
        let mut count = 4 * EACH;
        while !is_over.load(Ordering::Relaxed) {
            bench.deliver((count..count + 20).map(|count| created(1, count)).collect()).await;
            count += 20;
        }
        count
    };
    let ((), count) = tokio::join!(forgetting, sending);
    while bench.store.status().await.unwrap().unplanned > 0 {
        assert!(!planning.is_finished(), "the planner gave up");
        tokio::task::yield_now().await;
    }
    stop.cancel();
    planning.await.unwrap().unwrap();

    let others = 2 * EACH + count - 4 * EACH;
    assert_eq!(bench.jobs().await, vec![("app-1".to_owned(), "account-1".to_owned()); others]);
    for name in ["gone-user", "account-0"] {
        assert_eq!(bench.store.traces(vec![name.to_owned()]).await.unwrap(), Vec::<String>::new(), "{name}");
    }
    assert_eq!(bench.store.verify(|_, _| {}).await.unwrap().findings, vec![]);
}
