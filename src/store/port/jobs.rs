//! Jobs: claimed, allowed to change something, moved, listed.

use std::time::Duration;

use serde::Serialize;

use super::StoreError;
use crate::alarm::Severity;
use crate::audit::Saw;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::{Asker, DayOf, Input, Intent, Job, JobState, Lease, Mark, ParkCause, Planned, Subject};

/// A job that this worker may run until the lease ends. Settling consumes it.
#[derive(Debug)]
pub struct Leased {
    pub job: Job,
    pub lease: Lease,
    /// How the rule's condition looked to the attempt, for the entry of its outcome.
    pub saw: Vec<Saw>,
    /// Of the rule, for the same entry.
    pub severity: Option<Severity>,
}

/// How much a worker can take.
#[derive(Debug, Clone, Copy)]
pub struct Claimable {
    /// Jobs at most.
    pub jobs_max: usize,
    /// Jobs of one account that may run at once, those that already run included.
    pub per_account_max: usize,
    pub lease: Duration,
}

/// The deliveries that a job makes a record of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// Of the record, from 1: those beyond the first amend the one before.
    pub number: u32,
    pub deliveries: Vec<DeliveryId>,
    /// So many of them, the first, were in the record before.
    pub of_before: usize,
    /// More came than are kept for a run.
    pub is_cut: bool,
}

/// Whether a change may be made now.
#[derive(Debug)]
pub enum Allowance {
    /// The intent is on disk and counts against the rule's limits.
    Granted(Intent),
    /// The rule is at its limit for this hour. Nothing was written, except one notice an hour. `notice` says the limit and
    /// how many jobs of the same rule and account wait already, for the reason of a snooze.
    NextHour { at: Timestamp, notice: String },
    /// The rule came to its share of the account, now or before, and is stopped there until a person resumes it.
    OverShare,
    /// The rule has made each of these changes of the subject [`CONTESTED_AFTER`] times within [`CONTESTED_WITHIN`], and
    /// somebody changed it back each time. `askers` asked for them, oldest first. Nothing was written.
    Contested { marks: Vec<Mark>, askers: Vec<Asker> },
    /// Of this, which the change uses up, nothing is left before `at`, a midnight UTC. Nothing was counted or written, except one
    /// notice for it and the day.
    NextDay { of: DayOf, at: Timestamp, notice: String },
}

impl Allowance {
    /// The intent to a change that is under no limit: nothing else can come of that.
    pub fn unlimited(self) -> Result<Intent, StoreError> {
        match self {
            Self::Granted(intent) => Ok(intent),
            _ => Err(StoreError::Conflict("a change that is under no limit was not granted".to_owned())),
        }
    }
}

/// Who uses up what of a day, for the entries that tell of it.
#[derive(Debug, Clone, Copy)]
pub enum Spender<'a> {
    Job(&'a Job),
    /// A person, beside all jobs.
    Person {
        app: Option<&'a AppName>,
        account: &'a AccountId,
    },
}

impl<'a> Spender<'a> {
    pub(in crate::store) const fn account(self) -> &'a AccountId {
        match self {
            Self::Job(job) => &job.account,
            Self::Person { account, .. } => account,
        }
    }
}

/// What of a day is used; for a meeting, of the UTC day before as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayUsed {
    /// As it was counted here.
    pub used: u32,
    /// Zoom says that nothing is left.
    pub is_spent: bool,
}

impl DayUsed {
    pub(in crate::store) fn and(self, other: Self) -> Self {
        Self { used: self.used.saturating_add(other.used), is_spent: self.is_spent || other.is_spent }
    }
}

/// A change that was made so often is not made again before a person says so.
pub const CONTESTED_AFTER: usize = 3;
/// How long a change that was made is remembered.
pub const CONTESTED_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// What is said of something whose day is used up: by so many changes, or by Zoom's own word.
pub(in crate::store) fn day_notice(of: &DayOf, used: Option<u32>, at: Timestamp) -> String {
    let why = used.map_or_else(|| "as Zoom says".to_owned(), |used| format!("by {used} of ours"));
    let what = match of {
        DayOf::Host(host) => format!("host {host}: what may be created and changed of meetings in this UTC day"),
        DayOf::Invitations => "invitations: what may be invited into the account in this UTC day".to_owned(),
        DayOf::Meeting(meeting) => format!("meeting {meeting}: what may be changed of it in 24 hours"),
    };
    format!("{what} is used up, {why}; it goes on at {at}")
}

/// What a person applies of a plan in one account.
#[derive(Debug, Clone)]
pub struct Applied {
    pub app: AppName,
    pub account: AccountId,
    pub changes: Vec<AppliedChange>,
    pub by: String,
}

/// One job to ask for, with what it takes over.
#[derive(Debug, Clone)]
pub struct AppliedChange {
    pub rule: RuleName,
    pub subject: Subject,
    /// See [`Job::on`].
    pub on: Option<[u8; 16]>,
    pub planned: Planned,
}

/// What a person does to jobs, or what follows from the configuration that the person changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Try again now, with all attempts. For jobs parked with `over-share` the rule goes on, and its count starts again.
    Retry,
    Park,
    /// Try again now, and let it take away what it was parked for, as it was told then. For jobs parked with `takes-away`.
    Allow,
    /// End it for good.
    Cancel,
}

impl Move {
    /// Whether it moves what a rule holds back for this cause.
    pub(in crate::store) const fn is_for(self, cause: &ParkCause) -> bool {
        match self {
            Self::Allow => matches!(cause, ParkCause::TakesAway { .. }),
            Self::Retry | Self::Park | Self::Cancel => cause.is_for_resume(),
        }
    }

    /// The code of its entries, and what it puts in.
    pub(in crate::store) fn input(self, actor: &str, at: Timestamp) -> (&'static str, Input) {
        match self {
            Self::Cancel => ("cancelled", Input::Cancel { at, why: format!("by {actor}") }),
            Self::Retry => ("retried", Input::Retry { at }),
            Self::Park => ("parked", Input::Park { at, cause: ParkCause::ByPerson }),
            Self::Allow => ("allowed", Input::Allow { at }),
        }
    }
}

/// Which jobs a person means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    Job(JobId),
    /// All parked jobs with this cause, as `jobs list` prints it.
    ParkedFor {
        cause: String,
        rule: Option<RuleName>,
        account: Option<AccountId>,
    },
    /// What waits for the next hour of the rule ([`PutOff`]): its jobs that are due when that begins.
    PutOff {
        rule: RuleName,
        account: AccountId,
    },
    /// What a rule that is stopped holds back: its jobs that are parked until a person resumes it; with [`Move::Allow`], those
    /// that would take something away.
    HeldBy {
        rule: RuleName,
        account: Option<AccountId>,
    },
}

impl Selector {
    /// Whether it means this job, for a move at `now`.
    pub(in crate::store) fn means(&self, job: &Job, to: Move, now: Timestamp) -> bool {
        let is_of = |rule: Option<&RuleName>, account: Option<&AccountId>| {
            rule.is_none_or(|rule| job.rule == *rule) && account.is_none_or(|account| job.account == *account)
        };
        match (self, &job.state) {
            (Self::Job(id), _) => job.id == *id,
            (Self::ParkedFor { cause, rule, account }, JobState::Parked { cause: parked, .. }) => {
                parked.code() == cause && is_of(rule.as_ref(), account.as_ref())
            }
            (Self::HeldBy { rule, account }, JobState::Parked { cause, .. }) => {
                to.is_for(cause) && is_of(Some(rule), account.as_ref())
            }
            (Self::PutOff { rule, account }, JobState::Due { at, .. }) => {
                *at == now.next_utc_hour() && is_of(Some(rule), Some(account))
            }
            _ => false,
        }
    }
}

/// A rule that came to its limit of this hour in an account, and what waits for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PutOff {
    pub account: AccountId,
    pub rule: RuleName,
    /// Changes of this hour.
    pub made: u32,
    pub waiting: u64,
    pub until: Timestamp,
}

#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// As [`crate::job::JobState::name`] says it.
    pub state: Option<String>,
    pub account: Option<AccountId>,
    pub rule: Option<RuleName>,
    /// Parked jobs with this cause.
    pub cause: Option<String>,
    /// Jobs about the same subject ([`Subject::is_part_of`]), whoever knows it by what, or about a run of that meeting.
    pub subject: Option<Subject>,
    /// Only jobs before this one: newest first.
    pub before: Option<JobId>,
    pub limit: usize,
}

/// Parked jobs of one cause and account, and where a person decides rule by rule, of one rule: one item for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedGroup {
    pub cause: String,
    pub account: AccountId,
    /// Where it is rule by rule that they are moved ([`ParkCause::is_by_rule`]).
    pub rule: Option<RuleName>,
    pub count: u64,
    /// The longest parked of them.
    pub example: JobId,
    pub since: Timestamp,
}
