//! `adjutant serve`

use super::{Context, Exit, Failure, logging};
use crate::config::Config;

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    logging::start(config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Io, format!("cannot start: {error}")))?;
    runtime.block_on(serve(config)).map(|()| Exit::Good)
}

/// Runs until it is told to stop, and drains.
#[expect(clippy::unused_async, reason = "what it calls is not there yet")]
async fn serve(config: Config) -> Result<(), Failure> {
    let text = format!("cannot serve {} yet: this build has no service", config.path.display());
    Err(Failure::new(Exit::Failed, text))
}
