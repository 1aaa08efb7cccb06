//! How a consumer that takes the log does, and what of that a person should know. Pure.

use std::time::Duration;

use super::Push;
use super::cursor::Paused;
use crate::alarm::Alarm;
use crate::clock::Timestamp;
use crate::ids::ConsumerName;

/// An entry that waits longer is told.
const BEHIND_AFTER: Duration = Duration::from_secs(900);

/// How a consumer does.
#[derive(Debug, Clone)]
pub struct Doing {
    pub name: ConsumerName,
    pub kind: &'static str,
    pub place: String,
    pub push: Push,
    /// The entry that it gets next.
    pub next: u64,
    /// Entries that it has not got.
    pub behind: u64,
    /// Since when the first of them is there.
    pub oldest: Option<Timestamp>,
    pub paused: Option<Paused>,
    pub failing: Option<Failing>,
    pub sent_at: Option<Timestamp>,
    /// Since the start.
    pub sent: u64,
}

/// It did not take the same entries again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    pub since: Timestamp,
    pub times: u32,
    /// Of these, the last ones, in a row, that it refused.
    pub(super) refused: u32,
    pub why: String,
    /// The last entry of what it did not take: it is tried as it was.
    pub(super) until: u64,
    pub(super) not_before: Timestamp,
}

impl Doing {
    pub fn behind_secs(&self, now: Timestamp) -> u64 {
        self.oldest.map_or(0, |oldest| now.since(oldest).as_secs())
    }

    pub(super) fn alarm(&self, now: Timestamp) -> Option<Alarm> {
        let (name, behind) = (&self.name, self.behind);
        if let Some(Paused { at, why }) = &self.paused {
            let what = format!("consumer {name} gets nothing since {at}, and {behind} entries wait: {why}");
            let command = format!("adjutant consumers resume {name}");
            let advice = "mend it, and let it go on: nothing is lost meanwhile";
            return Some(Alarm::new("consumer-paused", what, advice, command).about(name).since(*at));
        }
        let oldest = self.oldest.filter(|oldest| now.since(*oldest) >= BEHIND_AFTER)?;
        let why = self.failing.as_ref().map_or_else(String::new, |failing| format!(": {}", failing.why));
        let what = format!("consumer {name} is behind by {behind} entries, the oldest of {oldest}{why}");
        let advice = "see what it says; it is tried again by itself, and nothing is lost meanwhile";
        let command = format!("adjutant consumers show {name}");
        Some(Alarm::new("consumer-behind", what, advice, command).about(name).since(oldest))
    }
}
