//! Named places at which a test can end the process, as `SIGKILL` would.
//!
//! `ADJUTANT_BREAK_AT=name:3` kills the process when it comes to the place `name` for the third time. Builds without debug
//! assertions know no break points: there, [`reached`] is nothing.

/// The names of what every delivery comes to, so that a test can go through them.
pub const ALL: &[&str] = &[
    "journal-before-write",
    "journal-after-sync",
    "delivery-acknowledged",
    "plan-recorded",
    "onboarding-kept",
    "errand-kept",
    "meeting-tried",
    "meeting-made",
    "lend-kept",
    "lent",
    "move-tried",
    "move-denied",
    "move-decided",
    "taken-back",
    "old-meeting-to-delete",
    "attempt-started",
    "intent-recorded",
    "zoom-changed",
    "job-settled",
    "snapshot-written",
    "index-applied",
    "refresh-asked",
    "refresh-answered",
    "refresh-saved",
    "install-granted",
    "install-recorded",
];

/// Those of commands that seldom run.
pub const RARE: &[&str] = &[
    "checkpoint-signed",
    "log-key-made",
    "new-log-entered",
    "rekey-old-kept",
    "rekey-key-written",
    "rekey-resealed",
    "forgetting-begun",
    "forgetting-taken-out",
    "forgetting-segment",
    "forgetting-rewritten",
    "forgetting-key-dropped",
];

/// Ends the process here and now, if that is what the environment asks for.
#[cfg(debug_assertions)]
pub fn reached(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);

    debug_assert!(ALL.iter().chain(RARE).any(|known| *known == name), "break point {name} is not listed");
    let wanted = WANTED.get_or_init(|| {
        let value = std::env::var("ADJUTANT_BREAK_AT").ok()?;
        let (name, times) = value.split_once(':')?;
        Some((name.to_owned(), times.parse().ok()?))
    });
    if let Some((wanted, times)) = wanted
        && wanted == name
        && TIMES.fetch_add(1, Ordering::Relaxed).saturating_add(1) == *times
    {
        let _gone = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal takes a moment to arrive; nothing may happen in it.
        loop {
            std::thread::park();
        }
    }
}

/// Whether a test asks for a store that is wrong on purpose (`ADJUTANT_FAULT=name`), to see that it would be noticed.
#[cfg(debug_assertions)]
pub fn is_faulty(name: &str) -> bool {
    std::env::var("ADJUTANT_FAULT").is_ok_and(|asked| asked == name)
}

/// Never, in a build without debug assertions.
#[cfg(not(debug_assertions))]
pub const fn is_faulty(_name: &str) -> bool {
    false
}

/// Nothing, in a build without debug assertions.
#[cfg(not(debug_assertions))]
pub const fn reached(_name: &'static str) {}
