//! Jobs: one piece of work with a state.
//!
//! Pure: [`Job::apply`] is the only way from one state to the next, has no clock, store or chance inside, and refuses an
//! illegal move with a typed error. Each state says who moves it on.

mod backoff;
mod day;
mod outcome;
mod state;

pub use backoff::{Backoff, BackoffError};
pub use day::{Counts, DayOf, DayUse};
pub use outcome::{Change, Effect, Intent, Mark, Outcome, ParkCause, Snooze, WaitReason};
pub use state::{IllegalMove, Input, JobState, Lease, Settled};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{
    AccountId, AppName, DeliveryId, Email, ErrandId, JobId, MeetingId, MeetingUuid, OnboardingId, RuleName, UserId,
};

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
    /// One run of a meeting, from its start to its end.
    Instance {
        meeting: MeetingId,
        uuid: MeetingUuid,
    },
    /// What a delivery says, and nothing at Zoom.
    Event {
        delivery: DeliveryId,
    },
    /// What somebody asked for, of which nothing is at Zoom yet.
    Errand {
        id: ErrandId,
    },
}

impl Subject {
    /// A short name for lists and logs: a user's id, else the lower-cased email. What orders and merges work is
    /// [`Subject::is_same`].
    pub fn key(&self) -> String {
        match self {
            Self::User { id: Some(id), .. } => format!("user:{id}"),
            Self::User { id: None, email: Some(email) } => format!("email:{email}"),
            Self::User { id: None, email: None } => "user:".to_owned(),
            Self::Meeting { id } => format!("meeting:{id}"),
            Self::Instance { uuid, .. } => format!("instance:{uuid}"),
            Self::Event { delivery } => format!("event:{delivery}"),
            Self::Errand { id } => format!("errand:{id}"),
        }
    }

    /// The subject that prints so; none where no subject does.
    pub fn read(text: &str) -> Option<Self> {
        let (first, more) = text.split_once(' ').map_or((text, None), |(first, more)| (first, Some(more)));
        let (kind, name) = first.split_once(':')?;
        let email = more.and_then(|email| Email::parse(email).ok());
        match kind {
            "user" => Some(Self::User { id: Some(UserId::parse(name).ok()?), email }),
            "email" => Some(Self::User { id: None, email: Some(Email::parse(name).ok()?) }),
            "meeting" => Some(Self::Meeting { id: MeetingId::parse(name).ok()? }),
            "instance" => Some(Self::Instance {
                meeting: MeetingId::parse(more?.strip_prefix("meeting:")?).ok()?,
                uuid: MeetingUuid::parse(name).ok()?,
            }),
            "event" => Some(Self::Event { delivery: name.parse().ok()? }),
            "errand" => Some(Self::Errand { id: name.parse().ok()? }),
            _ => None,
        }
    }

    /// Whether both are about one user or meeting: work for them goes through one lane. One event knows a user by id,
    /// another by email only, so the email is enough where one of the ids is not known. Where both are known they decide:
    /// whoever is made anew under the address of somebody who left is another user.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::User { id: a, email: x }, Self::User { id: b, email: y }) => {
                if a.is_some() && b.is_some() {
                    a == b
                } else {
                    x.is_some() && x == y
                }
            }
            (Self::Meeting { id: a }, Self::Meeting { id: b }) => a == b,
            (Self::Instance { uuid: a, .. }, Self::Instance { uuid: b, .. }) => a == b,
            (Self::Event { delivery: a }, Self::Event { delivery: b }) => a == b,
            (Self::Errand { id: a }, Self::Errand { id: b }) => a == b,
            _ => false,
        }
    }

    /// Whether it is the same, or a run of that meeting.
    pub fn is_part_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Instance { meeting, .. }, Self::Meeting { id }) => meeting == id,
            _ => self.is_same(other),
        }
    }

    /// Takes over the id or email that it lacks from the same user seen elsewhere; what it has stays.
    pub fn learn(&mut self, other: &Self) {
        if let (Self::User { id, email }, Self::User { id: other_id, email: other_email }) = (self, other) {
            *id = id.take().or_else(|| other_id.clone());
            *email = email.take().or_else(|| other_email.clone());
        }
    }
}

/// The key, and what is known beside it, email or meeting: for the audit log.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())?;
        match self {
            Self::User { id: Some(_), email: Some(email) } => write!(f, " {email}"),
            Self::Instance { meeting, .. } => write!(f, " meeting:{meeting}"),
            _ => Ok(()),
        }
    }
}

/// Who asks for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asker {
    Delivery(DeliveryId),
    /// A sweep over the account found the subject different from what a rule wants.
    Sweep,
    /// A person applied a plan, and nobody else has asked for it.
    Plan,
    /// Somebody wants a person to become a user, with all that the rules say of one.
    Onboarding(OnboardingId),
    /// Somebody wants a meeting to be made, or moved.
    Errand(ErrandId),
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(id) => fmt::Display::fmt(id, f),
            Self::Sweep => f.write_str("sweep"),
            Self::Plan => f.write_str("plan"),
            Self::Onboarding(id) => fmt::Display::fmt(id, f),
            Self::Errand(id) => fmt::Display::fmt(id, f),
        }
    }
}

/// What a person applied a plan for: the change that mends just this carries its own allowance, until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Of the rule and the differences.
    pub hash: [u8; 16],
    pub until: Timestamp,
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
    /// Who asked for it first.
    pub made_by: Asker,
    /// Who asked for it last.
    pub asked_by: Asker,
    /// The newest `event_ts` of the events that asked for it; none where none of them had one.
    pub event_at: Option<Timestamp>,
    /// Attempts started since it was made, last retried by a person, released by an event, or put to work once more
    /// because somebody asked while it ran; counted before the first call of each. A snooze gives its attempt back.
    pub attempts: u32,
    /// Somebody asked again while it ran: it runs once more when it ends.
    pub again: bool,
    /// The first of the snoozes that it has had in a row; none where its newest attempt came to something else. Those for
    /// the next budget are not counted, see [`Snooze`].
    pub snoozed_since: Option<Timestamp>,
    /// The UTC hour in which its change was last counted against its rule's limits: tried again, it is the same change.
    pub counted: Option<i64>,
    /// When a person last retried it.
    pub retried_at: Option<Timestamp>,
    /// What a person let it take away, as [`ParkCause::TakesAway`] told it, until it is done or parks again. Nothing else.
    pub allowed: Option<String>,
    /// What of events its rule asked for when it asked for this last, hashed: a rule of that name that asks for other events
    /// is not its rule. None where the rule was about subjects.
    pub on: Option<[u8; 16]>,
    pub planned: Option<Planned>,
    pub state: JobState,
}

impl Job {
    /// What its work is put off for.
    pub const TIMER_RUNS: &'static str = "its timer runs";

    /// Whether it heals what a sweep found, and no event has asked for it since. Such work lets events go first, and counts
    /// against the limit of the hour alone: a sweep that heals is no storm of events.
    pub fn is_of_sweep(&self) -> bool {
        self.asked_by == Asker::Sweep
    }

    /// Whether it is done where this app acts for the account: what no rule of the configuration asks for is no app's.
    pub fn is_done_by(&self, acting: &AppName) -> bool {
        self.app == *acting || self.rule.is_taken()
    }

    /// Whether it lets events go first, and uses the share of the account's rate that sweeps have.
    pub fn is_patient(&self) -> bool {
        matches!(self.asked_by, Asker::Sweep | Asker::Plan)
    }

    /// The order in which due jobs of an account are taken: what a sweep or a plan asked for comes last, and what has been due
    /// for longest first, so that many timers that come due keep nobody else waiting for longer than each other.
    pub fn place(&self) -> (bool, Option<Timestamp>, JobId) {
        let due = match self.state {
            JobState::Due { at, .. } => Some(at),
            _ => None,
        };
        (self.is_patient(), due, self.id)
    }

    /// Whether what a sweep sees of its subject can move it on: nothing that was announced would. What is due or runs reads
    /// Zoom anyway, and what is parked needs a person.
    pub fn is_moved_by_sweep(&self) -> bool {
        matches!(
            self.state,
            JobState::Waiting { .. } | JobState::Parked { cause: ParkCause::NotFound | ParkCause::RuleGone { .. }, .. }
        )
    }

    /// Whether it was asked for by an event that happened after this moment. Zoom sends an event again for up to 85 minutes,
    /// so an old one may come after a newer one. Where one of the two does not say when it happened, the order in which
    /// they came is all that is known, and it counts.
    pub fn is_asked_after(&self, event_at: Option<Timestamp>) -> bool {
        self.event_at.zip(event_at).is_some_and(|(asked, other)| asked > other)
    }
}

/// The task of a job without its state: what the store is asked to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    pub app: AppName,
    pub account: AccountId,
    pub rule: RuleName,
    pub subject: Subject,
    pub by: Asker,
    /// The `event_ts` of the event that asks for it.
    pub event_at: Option<Timestamp>,
    /// See [`Job::on`].
    pub on: Option<[u8; 16]>,
}

impl NewJob {
    /// The job as it begins, with a timer that runs until `due`.
    pub fn into_timer(self, id: JobId, at: Timestamp, due: Timestamp) -> Job {
        let why = (due > at).then(|| Job::TIMER_RUNS.to_owned());
        Job { state: JobState::Due { at: due, why }, ..self.into_job(id, at) }
    }

    /// The job as it begins: due now.
    pub fn into_job(self, id: JobId, at: Timestamp) -> Job {
        Job {
            id,
            app: self.app,
            account: self.account,
            rule: self.rule,
            subject: self.subject,
            made_at: at,
            made_by: self.by,
            asked_by: self.by,
            event_at: self.event_at,
            attempts: 0,
            again: false,
            snoozed_since: None,
            counted: None,
            retried_at: None,
            allowed: None,
            on: self.on,
            planned: None,
            state: JobState::Due { at, why: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: Option<&str>, email: Option<&str>) -> Subject {
        Subject::User { id: id.map(|id| UserId::parse(id).unwrap()), email: email.map(|e| Email::parse(e).unwrap()) }
    }

    #[test]
    fn a_user_is_the_same_by_id_or_by_email() {
        let both = user(Some("u1"), Some("jill@example.com"));
        assert!(both.is_same(&user(Some("u1"), None)));
        assert!(both.is_same(&user(None, Some("Jill@Example.com"))));
        assert!(both.is_same(&user(Some("u1"), Some("new@example.com"))));
        assert!(!both.is_same(&user(Some("u2"), None)));
        assert!(!both.is_same(&user(Some("u2"), Some("jill@example.com"))), "another has the address now");
        assert!(!user(Some("u1"), None).is_same(&user(None, Some("jill@example.com"))));
        assert!(!user(None, None).is_same(&user(None, None)), "nothing known is nobody");
        assert!(!both.is_same(&Subject::Meeting { id: MeetingId::from_number(1) }));
    }

    #[test]
    fn a_run_is_part_of_its_meeting_and_not_the_same() {
        let run = |meeting: u64, uuid: &str| Subject::Instance {
            meeting: MeetingId::from_number(meeting),
            uuid: MeetingUuid::parse(uuid).unwrap(),
        };
        let meeting = Subject::Meeting { id: MeetingId::from_number(1) };
        assert!(
            run(1, "a").is_part_of(&meeting) && !run(2, "a").is_part_of(&meeting) && !run(1, "a").is_same(&meeting)
        );
        assert!(run(1, "a").is_part_of(&run(1, "a")) && !run(1, "a").is_part_of(&run(1, "b")));
        assert!(!meeting.is_part_of(&run(1, "a")));
    }

    #[test]
    fn a_subject_is_read_back_from_what_it_prints() {
        let both = user(Some("u1"), Some("jill@example.com"));
        for subject in [
            both,
            user(Some("u1"), None),
            user(None, Some("jill@example.com")),
            Subject::Meeting { id: MeetingId::from_number(1) },
            Subject::Instance {
                meeting: MeetingId::from_number(1),
                uuid: MeetingUuid::parse("/4444AAAiAAAAAiAiAiiAii==").unwrap(),
            },
            Subject::Event { delivery: DeliveryId::from_number(7) },
            Subject::Errand { id: ErrandId::from_bytes([7; 16]) },
        ] {
            assert_eq!(Subject::read(&subject.to_string()), Some(subject));
        }
        assert_eq!(Subject::read("user:"), None);
        assert_eq!(Subject::read("the API user is gone"), None);
    }

    #[test]
    fn a_subject_learns_what_it_lacks_and_keeps_what_it_has() {
        let mut subject = user(None, Some("jill@example.com"));
        subject.learn(&user(Some("u1"), Some("other@example.com")));
        assert_eq!(subject, user(Some("u1"), Some("jill@example.com")));
        assert_eq!(subject.to_string(), "user:u1 jill@example.com");
    }
}
