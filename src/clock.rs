//! Time: the one place that asks the machine what time it is.
//!
//! Everything else takes a [`Clock`], so that a test can stand still, jump to midnight UTC, or live through three days in
//! a millisecond.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const EPOCH: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long after `earlier` this is; zero where it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The next 00:00 UTC strictly after this moment: when Zoom's daily quotas start again.
    #[must_use]
    pub const fn next_utc_midnight(self) -> Self {
        const DAY: i64 = 86_400_000;
        Self(self.0.div_euclid(DAY).saturating_add(1).saturating_mul(DAY))
    }

    /// As RFC 3339 writes it, in any zone; none where it is no such moment.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }

    /// Adds it as it is shown. Entries of a second follow each other, so that its digits are known already.
    pub fn put(self, to: &mut Vec<u8>) {
        let second = self.0.div_euclid(1_000);
        let known = LAST.get().filter(|(of, _)| *of == second).map(|(_, text)| text);
        let text = known.or_else(|| {
            let text = jiff::Timestamp::from_second(second).ok().and_then(digits);
            LAST.set(text.map(|text| (second, text)));
            text
        });
        match (text, u16::try_from(self.0.rem_euclid(1_000))) {
            (Some(mut text), Ok(millis)) => {
                put_digits(millis, text.get_mut(..23).unwrap_or_default());
                to.extend_from_slice(&text);
            }
            _ => to.extend_from_slice(self.to_string().as_bytes()),
        }
    }

    /// The number of the UTC hour since the epoch.
    pub const fn utc_hour(self) -> i64 {
        self.0.div_euclid(3_600_000)
    }

    /// When the next UTC hour begins.
    #[must_use]
    pub const fn next_utc_hour(self) -> Self {
        Self(self.utc_hour().saturating_add(1).saturating_mul(3_600_000))
    }

    /// The number of the UTC day since the epoch.
    pub const fn utc_day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with milliseconds, as in `2026-11-21T08:00:00.123Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = jiff::Timestamp::from_millisecond(self.0) else { return write!(f, "{} ms", self.0) };
        match digits(at) {
            Some(text) => f.write_str(std::str::from_utf8(&text).unwrap_or_default()),
            None => write!(f, "{at:.3}"),
        }
    }
}

thread_local! {
    /// The second that was put last, and its digits.
    static LAST: Cell<Option<(i64, [u8; 24])>> = const { Cell::new(None) };
}

/// A year of our era by hand: jiff takes several times as long.
fn digits(at: jiff::Timestamp) -> Option<[u8; 24]> {
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let at = jiff::tz::Offset::UTC.to_datetime(at);
    let (date, time) = (at.date(), at.time());
    let parts = [
        (date.year(), 4),
        (date.month().into(), 7),
        (date.day().into(), 10),
        (time.hour().into(), 13),
        (time.minute().into(), 16),
        (time.second().into(), 19),
        (time.millisecond(), 23),
    ];
    for (number, end) in parts {
        put_digits(u16::try_from(number).ok()?, text.get_mut(..end)?);
    }
    Some(text)
}

/// Writes a number at the end of a text that has zeroes there.
fn put_digits(mut rest: u16, to: &mut [u8]) {
    for digit in to.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        // What is left of a division by ten is one byte.
        let [last, _] = (rest % 10).to_le_bytes();
        *digit = digit.saturating_add(last);
        rest /= 10;
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A future that ends when a moment has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    fn now(&self) -> Timestamp;

    /// Ends at `at` or later; at once where `at` is past.
    fn sleep_until(&self, at: Timestamp) -> Sleep;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, millis))
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(at.since(self.now())))
    }
}

/// The clock of this process: the machine's. Builds with debug assertions know another, for tests of the whole process over
/// days: the file that `ADJUTANT_CLOCK` names says what time it is, in milliseconds since 1970, and whoever writes it leads.
pub fn of_process() -> Arc<dyn Clock> {
    #[cfg(debug_assertions)]
    if let Some(path) = std::env::var_os("ADJUTANT_CLOCK") {
        return Arc::new(led::LedClock::new(path.into()));
    }
    Arc::new(SystemClock)
}

#[cfg(debug_assertions)]
mod led {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Clock, ManualClock, Sleep, Timestamp};

    /// Says what the file says, at once; who sleeps is woken a millisecond later.
    #[derive(Debug, Clone)]
    pub(super) struct LedClock {
        path: PathBuf,
        clock: ManualClock,
    }

    impl LedClock {
        pub(super) fn new(path: PathBuf) -> Self {
            let clock = Self { path, clock: ManualClock::at(Timestamp::EPOCH) };
            let waking = clock.clone();
            let _runs_to_the_end = std::thread::Builder::new().name("clock".to_owned()).spawn(move || {
                loop {
                    waking.now();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            clock
        }
    }

    impl Clock for LedClock {
        fn now(&self) -> Timestamp {
            let text = std::fs::read_to_string(&self.path).unwrap_or_default();
            self.clock.reach(text.trim().parse().map_or(Timestamp::EPOCH, Timestamp::from_millis));
            self.clock.now()
        }

        fn sleep_until(&self, at: Timestamp) -> Sleep {
            self.clock.sleep_until(at)
        }
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<tokio::sync::watch::Sender<Timestamp>>);

impl ManualClock {
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(tokio::sync::watch::Sender::new(start)))
    }

    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = now.plus(by));
    }

    pub fn set(&self, to: Timestamp) {
        self.0.send_replace(to);
    }

    /// Moves there, where that is ahead.
    pub fn reach(&self, to: Timestamp) {
        self.0.send_if_modified(|now| {
            let is_ahead = to > *now;
            *now = to.max(*now);
            is_ahead
        });
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let mut moved = self.0.subscribe();
        Box::pin(async move {
            // An error means that the clock is gone, and with it everybody who could wait.
            let _gone = moved.wait_for(|now| *now >= at).await;
        })
    }
}

/// Measures how long something took, for metrics and for people; never decides anything.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Locks a mutex whether or not a holder panicked: what it guards is valid between statements everywhere in this crate.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_626_230_691_572).to_string(), "2021-07-14T02:44:51.572Z");
    }

    #[test]
    fn a_timestamp_is_put_as_it_is_shown_whatever_came_before_it() {
        for millis in [0, 1, 999, 1_000, 1_007, -1, 1_795_248_000_123, 1_795_248_000_099, -62_200_000_000_000, i64::MAX]
        {
            let mut text = Vec::new();
            Timestamp::from_millis(millis).put(&mut text);
            assert_eq!(String::from_utf8(text).unwrap(), Timestamp::from_millis(millis).to_string(), "{millis}");
        }
    }

    #[test]
    fn midnight_is_strictly_after() {
        let midnight = Timestamp::from_secs(86_400);
        assert_eq!(Timestamp::from_millis(1).next_utc_midnight(), midnight);
        assert_eq!(midnight.next_utc_midnight(), Timestamp::from_secs(2 * 86_400));
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_when_it_reaches_their_moment() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let sleeper = clock.sleep_until(Timestamp::from_secs(10));
        clock.advance(Duration::from_secs(10));
        sleeper.await;
    }
}
