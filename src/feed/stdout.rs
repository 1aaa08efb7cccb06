//! A consumer that is told on standard output: a line for each message. The service's own log goes to standard error.

use std::io::Write as _;

use super::Sent;

/// A reader that does not read holds up this alone: neither another consumer nor the end of the service.
pub(super) async fn write(lines: Vec<String>) -> Sent {
    let (tell, told) = tokio::sync::oneshot::channel();
    let writing = std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        let mut out = std::io::stdout().lock();
        let text = lines.into_iter().map(|line| line + "\n").collect::<String>();
        let _nobody_waits = tell.send(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    });
    if let Err(error) = writing {
        return Sent::Failed(error.to_string());
    }
    match told.await {
        Ok(Ok(())) => Sent::Done("written".to_owned()),
        Ok(Err(error)) => Sent::Failed(format!("standard output cannot be written: {error}")),
        Err(_) => Sent::Failed("standard output cannot be written".to_owned()),
    }
}
