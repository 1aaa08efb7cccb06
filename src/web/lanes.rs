//! Lanes: threads that each serve their share of the public connections, with a runtime of their own.
//!
//! A connection stays on its lane, and no lane takes work from another. In a runtime whose threads steal work, the thread
//! that woke up with all that had just been synced kept it, and the other one slept beside it on an idle core: that cost
//! a tenth of the deliveries per second (`benches/README.md`).

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// All lanes of a listener. They end, with whatever they still serve, when this is dropped.
#[derive(Debug)]
pub struct Lanes {
    handles: Vec<Handle>,
    next: AtomicUsize,
    _end: DropGuard,
}

impl Lanes {
    /// One for each processor that this process may use.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism()?.get();
        let end = CancellationToken::new();
        let handles = (0..count).map(|number| lane(number, end.clone())).collect::<io::Result<_>>()?;
        Ok(Self { handles, next: AtomicUsize::new(0), _end: end.drop_guard() })
    }

    /// The lane of the next connection: each in turn, since all connections do much the same.
    pub(super) fn next(&self) -> Option<&Handle> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.handles.get(turn.checked_rem(self.handles.len())?)
    }
}

fn lane(number: usize, end: CancellationToken) -> io::Result<Handle> {
    let (tell, told) = mpsc::channel();
    std::thread::Builder::new().name(format!("receiver-{number}")).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let handle = runtime.as_ref().map(|runtime| runtime.handle().clone());
        // Somebody waits for this, below.
        let _heard = tell.send(handle.map_err(|error| io::Error::new(error.kind(), error.to_string())));
        if let Ok(runtime) = runtime {
            runtime.block_on(end.cancelled());
            runtime.shutdown_background();
        }
    })?;
    told.recv().map_err(io::Error::other)?
}
