//! The log: to standard error, as text for people or JSON for machines. It holds ids, codes and counts; never secrets,
//! emails or bodies, so nobody may log a value of Zoom's, only its id.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat, LogLevel};

/// Starts the log. A second start changes nothing.
pub fn start(log: Log) {
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
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // It would be told on standard error, with a panic where that fails: a log that nobody reads any more, or a full
        // disk, is no reason to stop receiving.
        .log_internal_errors(false)
        .with_span_events(FmtSpan::NONE);
    let _already = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
