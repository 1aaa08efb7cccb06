//! What Zoom allows so many of in a day, and what of it a change uses up.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{MeetingId, UserId};

/// What a change uses up of a limit of Zoom's: so many of something in a UTC day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUse {
    pub of: DayOf,
    pub counts: Counts,
    /// How much of the day may be used up before this change has to wait: those who may use a reserve have more.
    pub max_per_day: u32,
}

/// What counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counts {
    /// A job in a UTC day, however often it is tried. Where there is no job, each intent.
    Job,
    /// Each intent, also one after which the process ended before its call.
    Each,
}

/// Of what Zoom allows so many in a day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DayOf {
    /// Meetings of this host that are created or changed.
    Host(UserId),
    /// Users who are invited into the account.
    Invitations,
    /// Changes of this meeting. Zoom counts those of any 24 hours, so what of the UTC day before was used counts as well:
    /// too much, and never too little.
    Meeting(MeetingId),
}

impl DayOf {
    /// Of the notice that a day is used up.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Host(_) => "host-limit",
            Self::Invitations => "invite-limit",
            Self::Meeting(_) => "meeting-limit",
        }
    }

    /// The UTC days that count at this moment.
    pub fn days(&self, now: Timestamp) -> impl Iterator<Item = i64> {
        let today = now.utc_day();
        today.saturating_sub(i64::from(self.counts_the_day_before()))..=today
    }

    /// When there is room again for what has none at this moment. `is_used_today` says that the UTC day of `now` alone leaves
    /// none.
    pub fn goes_on_at(&self, is_used_today: bool, now: Timestamp) -> Timestamp {
        let midnight = now.next_utc_midnight();
        if is_used_today && self.counts_the_day_before() { midnight.next_utc_midnight() } else { midnight }
    }

    const fn counts_the_day_before(&self) -> bool {
        matches!(self, Self::Meeting(_))
    }
}
