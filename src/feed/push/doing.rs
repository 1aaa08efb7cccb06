//! How a consumer that takes the log does, and what of that a person should know. Pure.

use std::time::Duration;

use super::Push;
use super::cursor::{Cursor, Paused, Upto};
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
    /// The checkpoint that it had last, where it gets them, and how many it has not got.
    pub checkpoint: Option<u64>,
    pub checkpoints_behind: u64,
    /// Since when the first of all these is there.
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
    /// How far what it did not take would have brought it: it is tried as it was.
    pub(super) upto: Upto,
    pub(super) not_before: Timestamp,
}

impl Doing {
    /// It is as far as this says.
    pub(super) fn has(&mut self, cursor: &Cursor) {
        (self.next, self.checkpoint, self.paused) = (cursor.next, cursor.checkpoint, cursor.paused.clone());
    }

    /// What waits for it, in words.
    fn waiting(&self) -> String {
        match (self.behind, self.checkpoints_behind) {
            (behind, 0) => format!("{behind} entries"),
            (0, checkpoints) => format!("{checkpoints} checkpoints"),
            (behind, checkpoints) => format!("{behind} entries and {checkpoints} checkpoints"),
        }
    }

    pub fn behind_secs(&self, now: Timestamp) -> u64 {
        self.oldest.map_or(0, |oldest| now.since(oldest).as_secs())
    }

    pub(super) fn alarm(&self, now: Timestamp) -> Option<Alarm> {
        let (name, waiting) = (&self.name, self.waiting());
        if let Some(Paused { at, why }) = &self.paused {
            let what = format!("consumer {name} gets nothing since {at}, and {waiting} wait: {why}");
            let command = format!("adjutant consumers resume {name}");
            let advice = "mend it, and let it go on: nothing is lost meanwhile";
            return Some(Alarm::new("consumer-paused", what, advice, command).about(name).since(*at));
        }
        let oldest = self.oldest.filter(|oldest| now.since(*oldest) >= BEHIND_AFTER)?;
        let why = self.failing.as_ref().map_or_else(String::new, |failing| format!(": {}", failing.why));
        let what = format!("consumer {name} is behind by {waiting}, the oldest of {oldest}{why}");
        let advice = "see what it says; it is tried again by itself, and nothing is lost meanwhile";
        let command = format!("adjutant consumers show {name}");
        Some(Alarm::new("consumer-behind", what, advice, command).about(name).since(oldest))
    }
}
