//! How an attempt stops before it reached its effect, and what an error of Zoom's decides.

use std::time::Duration;

use super::UNKNOWN_ATTEMPTS;
use crate::clock::Timestamp;
use crate::job::{Effect, Job, Outcome, ParkCause, Snooze, WaitReason};
use crate::store::StoreError;
use crate::zoom::ZoomError;

/// The shortest time that a rate limit puts a job off for: one that is over already must not spin.
const SNOOZE_MIN: Duration = Duration::from_millis(250);
/// A rate limit that lasts so long is a budget of the day: all others are over within minutes. In the last hour of the day
/// the two cannot be told apart, which is harmless: after midnight they can.
const OF_THE_DAY: Duration = Duration::from_secs(3600);

/// Why an attempt stops before it reached its effect.
#[derive(Debug)]
pub(super) enum End {
    Outcome(Outcome),
    /// The rule is at its limit for this hour.
    NextHour {
        at: Timestamp,
        notice: String,
    },
    Store(StoreError),
}

impl End {
    pub(super) const fn park(cause: ParkCause) -> Self {
        Self::Outcome(Outcome::Park(cause))
    }

    pub(super) fn retry(error: impl Into<String>) -> Self {
        Self::Outcome(Outcome::Retry { error: error.into() })
    }

    /// What becomes of the job.
    pub(super) fn outcome(self) -> Result<Outcome, StoreError> {
        match self {
            Self::Outcome(outcome) => Ok(outcome),
            Self::NextHour { at, notice } => Ok(Outcome::Snooze(Snooze::NextBudget { at, why: notice })),
            Self::Store(error) => Err(error),
        }
    }

    pub(super) const fn waits(reason: WaitReason) -> Self {
        Self::Outcome(Outcome::Snooze(Snooze::ForEvent(reason)))
    }

    pub(super) fn not_applicable(why: impl Into<String>) -> Self {
        Self::Outcome(Outcome::Done(Effect::NotApplicable { why: why.into() }))
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(super) type Ended<T> = Result<T, End>;

/// The decision about an error where the task knows nothing better.
pub(super) fn failed(job: &Job, now: Timestamp, error: ZoomError) -> End {
    match error {
        ZoomError::Limited { until, why } => {
            let at = until.max(now.plus(SNOOZE_MIN));
            let is_of_the_day = until.since(now) >= OF_THE_DAY;
            let snooze = if is_of_the_day { Snooze::NextBudget { at, why } } else { Snooze::Until { at, why } };
            End::Outcome(Outcome::Snooze(snooze))
        }
        ZoomError::HostDay { until, why } | ZoomError::InviteDay { until, why } => {
            let at = until.max(now.plus(SNOOZE_MIN));
            End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why }))
        }
        ZoomError::Transient(_) | ZoomError::Unreadable(_) | ZoomError::AlreadyGranted | ZoomError::Exists(_) => {
            End::retry(error.to_string())
        }
        // Zoom may not show yet what an event has just told of; later, nobody but a person can know what is wrong.
        ZoomError::NotFound(_) if job.attempts <= UNKNOWN_ATTEMPTS => End::retry(error.to_string()),
        ZoomError::NotFound(_) => End::park(ParkCause::NotFound),
        ZoomError::ScopesMissing(scopes) => End::park(ParkCause::ScopesMissing { scopes }),
        ZoomError::Credentials(detail) => End::park(ParkCause::CredentialsRefused { detail }),
        ZoomError::Oneself => End::not_applicable("the user is the API user itself"),
        ZoomError::Unlicensed(_) => End::waits(WaitReason::UserUnlicensed),
        ZoomError::Full(_) => End::park(ParkCause::AssistantsFull),
        ZoomError::InProgress => End::waits(WaitReason::MeetingInProgress),
        // Of these only what moves and makes meetings knows more.
        ZoomError::CannotScheduleFor(message) | ZoomError::NotMovable(message) | ZoomError::MayNotHost(message) => {
            End::park(ParkCause::Refused { status: 400, code: 3000, message })
        }
        ZoomError::Pending(_) => End::waits(WaitReason::UserPending),
        ZoomError::NoSeats { code, message } => End::park(ParkCause::NoSeats { code, message }),
        ZoomError::NotCreatable { code, message } => End::park(ParkCause::NotCreatable { code, message }),
        ZoomError::Refused { status, code, message } => End::park(ParkCause::Refused { status, code, message }),
    }
}
