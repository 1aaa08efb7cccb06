//! The log: to standard error, as text for people or JSON for machines. It holds ids, codes and counts; never secrets,
//! emails or bodies, so nobody may log a value of Zoom's, only its id.
//!
//! A thread of its own writes it, and lines that it cannot write in time are left out and counted: a reader that has
//! stopped reading (a terminal that was paused, a stuck collector) must stop neither deliveries nor the end of the service.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat, LogLevel};

/// Lines that may wait to be written.
const LINES_MAX: usize = 4_096;
/// How long the end waits for the last of them.
const END_WAITS: Duration = Duration::from_secs(1);

enum Line {
    Text(Vec<u8>),
    End(SyncSender<()>),
}

/// Where lines are put: never waits.
#[derive(Clone)]
struct Queue {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if self.lines.try_send(Line::Text(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes what waits, as long as it can be written, when it is dropped.
#[must_use]
pub struct Logging(SyncSender<Line>);

impl std::fmt::Debug for Logging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logging")
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let (written, wait) = sync_channel(1);
        if self.0.try_send(Line::End(written)).is_ok() {
            let _late = wait.recv_timeout(END_WAITS);
        }
    }
}

fn write(lines: &Receiver<Line>, lost: &AtomicU64, mut to: impl Write) {
    for line in lines {
        // Nobody is left who could be told that the log fails.
        let _failed = match line {
            Line::Text(text) => to.write_all(&text),
            Line::End(written) => written.send(()).map_err(std::io::Error::other),
        };
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _failed = writeln!(to, "{lost} lines of the log are missing here: they could not be written in time");
        }
    }
}

/// Starts the log. A second start changes nothing.
pub fn start(log: Log) -> std::io::Result<Logging> {
    let (lines, written) = sync_channel(LINES_MAX);
    let lost = Arc::new(AtomicU64::new(0));
    let queue = Queue { lines: lines.clone(), lost: Arc::clone(&lost) };
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&written, &lost, std::io::stderr()))?;
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // Libraries may log what they send: no more of them than warnings, whatever the level.
    let others = if log.level == LogLevel::Error { "error" } else { "warn" };
    let filter = EnvFilter::new(format!("{others},adjutant={level}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || queue.clone())
        .with_ansi(false)
        .log_internal_errors(false)
        .with_span_events(FmtSpan::NONE);
    let _already = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(Logging(lines))
}
