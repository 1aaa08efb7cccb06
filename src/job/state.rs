//! The state machine of a job.

use serde::{Deserialize, Serialize};

use super::{Effect, Job, ParkCause, WaitReason};
use crate::clock::Timestamp;
use crate::ids::DeliveryId;

/// The right to run a job for a while. The token tells one claim from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub token: u64,
    pub until: Timestamp,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// A worker takes it at `at` or later. `why` says what it was put off for, if anything.
    Due { at: Timestamp, why: Option<String> },
    /// The worker that holds the lease settles it; when the lease ends, any worker may take it again.
    Running { lease: Lease },
    /// An event about its subject makes it due; so does a person.
    Waiting { since: Timestamp, reason: WaitReason },
    /// A person retries it.
    Parked { at: Timestamp, cause: ParkCause },
    /// Nobody: it is finished.
    Done { at: Timestamp, effect: Effect },
    /// Nobody: it is finished.
    Cancelled { at: Timestamp, why: String },
}

/// What can happen to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A worker takes it.
    Claim(Lease),
    /// The holder of the lease counts an attempt, before its first call.
    Start {
        token: u64,
    },
    Settle {
        token: u64,
        at: Timestamp,
        to: Settled,
    },
    /// The lease ended, was given back, or the process that held it ended. An attempt that was counted stays counted.
    LeaseEnded {
        at: Timestamp,
    },
    /// An event asks for the same work (`ensure`).
    Ask {
        at: Timestamp,
        by: DeliveryId,
    },
    /// An event says that something changed for what waits.
    Wake {
        at: Timestamp,
    },
    /// The subject is gone.
    Cancel {
        at: Timestamp,
        why: String,
    },
    /// A person wants it tried again.
    Retry {
        at: Timestamp,
    },
    /// A person, or a limit, sets it aside.
    Park {
        at: Timestamp,
        cause: ParkCause,
    },
}

/// What an attempt came to, with its due times worked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settled {
    Done(Effect),
    /// Uses no attempt.
    Snoozed {
        until: Timestamp,
        why: String,
    },
    /// Uses no attempt.
    Waits(WaitReason),
    Retries {
        at: Timestamp,
        error: String,
    },
    Parks(ParkCause),
}

/// A move that the state does not allow. The job is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {from} cannot take {input}")]
pub struct IllegalMove {
    pub from: &'static str,
    pub input: &'static str,
}

impl JobState {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Due { .. } => "due",
            Self::Running { .. } => "running",
            Self::Waiting { .. } => "waiting",
            Self::Parked { .. } => "parked",
            Self::Done { .. } => "done",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    pub const fn is_finished(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Cancelled { .. })
    }
}

impl Input {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Claim(_) => "claim",
            Self::Start { .. } => "start",
            Self::Settle { .. } => "settle",
            Self::LeaseEnded { .. } => "lease ended",
            Self::Ask { .. } => "ask",
            Self::Wake { .. } => "wake",
            Self::Cancel { .. } => "cancel",
            Self::Retry { .. } => "retry",
            Self::Park { .. } => "park",
        }
    }
}

impl Job {
    /// Moves the job on, or says that the move is illegal and leaves it as it was.
    pub fn apply(&mut self, input: Input) -> Result<(), IllegalMove> {
        let illegal = IllegalMove { from: self.state.name(), input: input.name() };
        let due = |at| JobState::Due { at, why: None };
        match (&self.state, input) {
            (JobState::Due { .. }, Input::Claim(lease)) => self.state = JobState::Running { lease },
            (JobState::Running { lease }, Input::Start { token }) if lease.token == token => {
                self.attempts = self.attempts.saturating_add(1);
            }
            (JobState::Running { lease }, Input::Settle { token, at, to }) if lease.token == token => {
                self.settle(at, to);
            }
            // The next run starts after whatever was asked meanwhile.
            (JobState::Running { .. }, Input::LeaseEnded { at }) => {
                self.again = false;
                self.state = due(at);
            }
            // Whoever asks while it runs may have seen something newer than what the run read.
            (JobState::Running { .. }, Input::Ask { by, .. }) => {
                self.asked_by = by;
                self.again = true;
            }
            (JobState::Running { .. }, Input::Wake { .. }) => self.again = true,
            (JobState::Waiting { .. }, Input::Ask { at, by }) => {
                self.asked_by = by;
                self.state = due(at);
            }
            (JobState::Waiting { .. }, Input::Wake { at }) => self.state = due(at),
            (JobState::Due { .. } | JobState::Parked { .. }, Input::Ask { by, .. }) => self.asked_by = by,
            (JobState::Due { .. } | JobState::Parked { .. }, Input::Wake { .. }) => {}
            (JobState::Due { .. } | JobState::Waiting { .. } | JobState::Parked { .. }, Input::Retry { at }) => {
                self.attempts = 0;
                self.state = due(at);
            }
            (
                JobState::Due { .. } | JobState::Running { .. } | JobState::Waiting { .. } | JobState::Parked { .. },
                Input::Cancel { at, why },
            ) => {
                self.again = false;
                self.state = JobState::Cancelled { at, why };
            }
            (JobState::Due { .. } | JobState::Waiting { .. }, Input::Park { at, cause }) => {
                self.state = JobState::Parked { at, cause };
            }
            _ => return Err(illegal),
        }
        Ok(())
    }

    fn settle(&mut self, at: Timestamp, to: Settled) {
        let again = std::mem::take(&mut self.again);
        self.state = match to {
            // It was asked for again meanwhile, so what it came to may be old news.
            Settled::Done(_) | Settled::Waits(_) if again => {
                self.attempts = 0;
                JobState::Due { at, why: Some("asked again while it ran".to_owned()) }
            }
            Settled::Done(effect) => JobState::Done { at, effect },
            Settled::Snoozed { until, why } => {
                self.attempts = self.attempts.saturating_sub(1);
                JobState::Due { at: until, why: Some(why) }
            }
            Settled::Waits(reason) => {
                self.attempts = self.attempts.saturating_sub(1);
                JobState::Waiting { since: at, reason }
            }
            Settled::Retries { at, error } => JobState::Due { at, why: Some(error) },
            Settled::Parks(cause) => JobState::Parked { at, cause },
        };
    }
}
