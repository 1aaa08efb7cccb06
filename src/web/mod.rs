//! The listeners: the [accept loop](accept) that both share, the [lanes] of the public one, the [webhook receiver](webhook), how apps are [installed](install), and the operators' [API](admin).

pub mod accept;
pub mod admin;
mod body;
mod connection;
pub mod install;
pub mod lanes;
mod page;
pub mod peer;
mod refusals;
pub mod webhook;

pub use refusals::RefusalKind;

/// Lets one pass a minute, so that a storm does not fill the log.
#[derive(Debug, Default)]
pub(crate) struct OncePerMinute(std::sync::atomic::AtomicI64);

impl OncePerMinute {
    pub(crate) fn pass(&self, now: crate::clock::Timestamp) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        let (now, last) = (now.as_millis(), self.0.load(Relaxed));
        (last == 0 || now.saturating_sub(last) >= 60_000 || now < last)
            && self.0.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }
}
