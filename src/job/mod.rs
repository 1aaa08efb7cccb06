//! Jobs: one piece of work with a state.
//!
//! Pure: [`Job::apply`] is the only way from one state to the next, has no clock, store or chance inside, and refuses an
//! illegal move with a typed error. Each state says who moves it on.

mod backoff;
mod outcome;
mod state;

pub use backoff::{Backoff, BackoffError};
pub use outcome::{Change, Effect, Intent, Outcome, ParkCause, Snooze, WaitReason};
pub use state::{IllegalMove, Input, JobState, Lease, Settled};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, Email, JobId, MeetingId, RuleName, UserId};

/// What a job is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// At least one of the two is known.
    User {
        id: Option<UserId>,
        email: Option<Email>,
    },
    Meeting {
        id: MeetingId,
    },
}

impl Subject {
    /// What orders and merges work: two jobs of one account with the same key never run at once. A user's id, else the
    /// lower-cased email.
    pub fn key(&self) -> String {
        match self {
            Self::User { id: Some(id), .. } => format!("user:{id}"),
            Self::User { id: None, email: Some(email) } => format!("email:{email}"),
            Self::User { id: None, email: None } => "user:".to_owned(),
            Self::Meeting { id } => format!("meeting:{id}"),
        }
    }
}

/// One piece of work: make this rule true for this subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub app: AppName,
    pub account: AccountId,
    pub rule: RuleName,
    pub subject: Subject,
    pub made_at: Timestamp,
    /// The delivery that asked for it first.
    pub made_by: DeliveryId,
    /// The newest delivery that was merged into it.
    pub asked_by: DeliveryId,
    /// Attempts started since it was made or last retried by a person, counted before the first call of each. A snooze
    /// gives its attempt back.
    pub attempts: u32,
    /// Somebody asked again while it ran: it runs once more when it ends.
    pub again: bool,
    pub state: JobState,
}

/// The task of a job without its state: what the store is asked to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    pub app: AppName,
    pub account: AccountId,
    pub rule: RuleName,
    pub subject: Subject,
    pub delivery: DeliveryId,
}
