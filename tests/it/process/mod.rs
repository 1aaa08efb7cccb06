//! What several tests need: the real binary as a process, and small HTTP.

pub(crate) mod http;
pub(crate) mod led;
pub(crate) mod proxy;
pub(crate) mod served;
pub(crate) mod service;
pub(crate) mod tls;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The seed of a random test: `ADJUTANT_SEED`, or the clock. Printed by whoever fails.
pub(crate) fn seed() -> u64 {
    match std::env::var("ADJUTANT_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("ADJUTANT_SEED is not a number: {text}")),
        Err(_) => u64::try_from(since_epoch().as_nanos() & u128::from(u32::MAX)).unwrap(),
    }
}

/// Whether `tests/run --long` runs.
pub(crate) fn long() -> bool {
    std::env::var_os("ADJUTANT_LONG").is_some()
}

#[expect(clippy::disallowed_methods, reason = "these tests run the real binary, which has the real clock")]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Median, 99th of a hundred and most, in milliseconds.
pub(crate) fn spread(mut of: Vec<Duration>) -> String {
    of.sort();
    let at = |percent: usize| of[((of.len() - 1) * percent).div_ceil(100)].as_millis();
    format!("median {} ms, p99 {} ms, most {} ms", at(50), at(99), at(100))
}

/// Says something that a person wants to see also where the test passes.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    let _closed = writeln!(std::io::stderr(), "{text}");
}
