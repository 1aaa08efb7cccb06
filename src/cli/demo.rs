//! `adjutant demo`

use clap::Args;

use super::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// End when the show is over; 0 only if everything came out right
    #[arg(long)]
    once: bool,
}

pub(super) fn run(asked: &Asked) -> Result<Exit, Failure> {
    demo(asked.once)
}

/// Runs service and simulator together. With `once` it ends by itself.
fn demo(once: bool) -> Result<Exit, Failure> {
    let text = format!("cannot show anything yet (once: {once}): this build has no demo");
    Err(Failure::new(Exit::Failed, text))
}
