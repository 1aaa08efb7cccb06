//! Planner and workers on a thread of their own, below the receiver in rank: Zoom waits three seconds for an answer, and
//! nobody waits for a plan. What they fall behind in a storm is bounded by the store, and made up for after it.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::worker::{self, Backfill, Parts, Sweeper};

/// `nice` of the thread, where the system allows it.
const RANK: i32 = 5;

/// Starts it; the receiver ends when the work does.
pub(super) fn work(
    parts: Parts,
    sweeper: Arc<Sweeper>,
    backfill: Backfill,
    stop: CancellationToken,
) -> io::Result<oneshot::Receiver<Result<(), StoreError>>> {
    let (tell, told) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("worker".to_owned());
    thread.spawn(move || {
        // On Linux a rank is the thread's, whatever its name says. Without it, work is done all the same.
        let _as_before = rustix::process::setpriority_process(None, RANK);
        // Nobody listens any more where the service ends at once.
        let _gone = tell.send(runtime.block_on(work_and_sweep(&parts, &sweeper, &backfill, &stop)));
    })?;
    Ok(told)
}

async fn work_and_sweep(
    parts: &Parts,
    sweeper: &Sweeper,
    backfill: &Backfill,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let both = stop.child_token();
    // Where one of them fails, the others have nothing more to do either.
    let working = async { worker::run(parts, &both).await.inspect_err(|_| both.cancel()) };
    let sweeping = async { sweeper.run(&both).await.inspect_err(|_| both.cancel()) };
    let filling = async { backfill.run(&both).await.inspect_err(|_| both.cancel()) };
    let (worked, swept, filled) = tokio::join!(working, sweeping, filling);
    worked.and(swept).and(filled)
}
