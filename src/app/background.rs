//! Planner and workers on a thread of their own, below the receiver in rank: Zoom waits three seconds for an answer, and
//! nobody waits for a plan. What they fall behind in a storm is bounded by the store, and made up for after it.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::worker::{self, Backfill, Parts, Sweeper, TakeBack};

/// `nice` of the thread, where the system allows it.
const RANK: i32 = 5;

/// What goes on beside planning and jobs.
pub(super) struct Besides {
    pub(super) sweeper: Arc<Sweeper>,
    pub(super) backfill: Backfill,
    pub(super) take_back: Arc<TakeBack>,
}

/// Starts it; the receiver ends when the work does.
pub(super) fn work(
    parts: Parts,
    besides: Besides,
    stop: CancellationToken,
) -> io::Result<oneshot::Receiver<Result<(), StoreError>>> {
    let (tell, told) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("worker".to_owned());
    thread.spawn(move || {
        // On Linux a rank is the thread's, whatever its name says. Without it, work is done all the same.
        let _as_before = rustix::process::setpriority_process(None, RANK);
        // Nobody listens any more where the service ends at once.
        let _gone = tell.send(runtime.block_on(all(&parts, &besides, &stop)));
    })?;
    Ok(told)
}

async fn all(parts: &Parts, besides: &Besides, stop: &CancellationToken) -> Result<(), StoreError> {
    let all = stop.child_token();
    // Where one of them fails, the others have nothing more to do either.
    let working = async { worker::run(parts, &all).await.inspect_err(|_| all.cancel()) };
    let sweeping = async { besides.sweeper.run(&all).await.inspect_err(|_| all.cancel()) };
    let filling = async { besides.backfill.run(&all).await.inspect_err(|_| all.cancel()) };
    let taking = async { besides.take_back.run(&all).await.inspect_err(|_| all.cancel()) };
    let (worked, swept, filled, taken) = tokio::join!(working, sweeping, filling, taking);
    worked.and(swept).and(filled).and(taken)
}
