//! A consumer that is told on standard output: a line for each message. The service's own log goes to standard error.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::sync::Mutex;

use super::Sent;

/// There is one standard output, and one writes at a time: also after nobody waits for that any more.
static TURN: Mutex<()> = Mutex::const_new(());
/// So long a reader may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A reader that does not read holds up this alone, and not for long: neither another consumer, nor a job, nor the end of the
/// service.
pub(super) async fn write(lines: Vec<String>) -> Sent {
    let Ok(turn) = tokio::time::timeout(PATIENCE, TURN.lock()).await else {
        return Sent::Failed("nobody reads standard output".to_owned());
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    let writing = std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        let text = lines.into_iter().map(|line| line + "\n").collect::<String>();
        // Not by the handle that all share: whoever waits here would hold its lock, which the end of the process takes.
        let out = std::io::stdout().as_fd().try_clone_to_owned();
        let written = out.and_then(|out| File::from(out).write_all(text.as_bytes()));
        drop(turn);
        let _nobody_waits = tell.send(written);
    });
    if let Err(error) = writing {
        return Sent::Failed(error.to_string());
    }
    let Ok(told) = tokio::time::timeout(PATIENCE, told).await else {
        return Sent::Failed("nobody reads standard output".to_owned());
    };
    match told {
        Ok(Ok(())) => Sent::Done("written".to_owned()),
        Ok(Err(error)) => Sent::Failed(format!("standard output cannot be written: {error}")),
        Err(_) => Sent::Failed("standard output cannot be written".to_owned()),
    }
}
