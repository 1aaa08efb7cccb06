//! How an attempt ended. Every failure carries a decision: snooze, retry or park.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DayUse;
use crate::clock::Timestamp;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Done(Effect),
    /// Not now, through no fault of the job. Uses no attempt.
    Snooze(Snooze),
    /// Something that heals by itself: network, 5xx, a user that Zoom does not show yet. Backs off, and parks when the
    /// attempts are used up.
    Retry {
        error: String,
    },
    /// Something that does not heal by itself: a person must look.
    Park(ParkCause),
}

/// What is true now, by having been read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It was written, and reading it back showed it.
    Changed { what: String },
    /// Reading showed that nothing was to be done.
    AlreadyRight,
    /// The rule observes: this is what it would have done.
    WouldChange { what: String },
    /// The rule does not apply to this subject, and why (excepted, the API user itself, gone).
    NotApplicable { why: String },
    /// The rule changes nothing: this is what it says of the subject.
    Reported { what: String },
    /// A consumer took it, and what it answered.
    Sent { what: String },
    /// The rule observes: this is what it would have sent.
    WouldSend { what: String },
    /// What was asked for cannot be, and whoever asked is told why.
    Refused { code: String, why: String },
}

impl Effect {
    /// What is said of a subject for which nothing was, or would be, done.
    pub const ALREADY_RIGHT: &str = "already right";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Snooze {
    /// Again at this time, when what stops it should be over. It should end within seconds or minutes, so a row of these
    /// has an age limit: what has not ended after a day does not end by itself.
    Until { at: Timestamp, why: String },
    /// Again at this time, when a budget that is used up begins anew: the rule's changes of the hour, the account's calls of
    /// the day. No age limit: with every new budget the oldest jobs go on, and for a large account that may take days.
    NextBudget { at: Timestamp, why: String },
    /// Again when an event about the subject says that something changed.
    ForEvent(WaitReason),
}

/// What a waiting job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WaitReason {
    /// The invitation was not accepted yet.
    UserPending,
    /// Basic users can neither have nor be an assistant.
    UserUnlicensed,
    UserInactive,
    MeetingInProgress,
}

impl WaitReason {
    pub const fn code(self) -> &'static str {
        match self {
            Self::UserPending => "user-pending",
            Self::UserUnlicensed => "user-unlicensed",
            Self::UserInactive => "user-inactive",
            Self::MeetingInProgress => "meeting-in-progress",
        }
    }

    /// In words, without what ends it.
    pub const fn short(self) -> &'static str {
        match self {
            Self::UserPending => "the user has not accepted the invitation",
            Self::UserUnlicensed => "the user has no licence",
            Self::UserInactive => "the user is deactivated",
            Self::MeetingInProgress => "the meeting is running",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = match self {
            Self::UserPending => "user.invitation_accepted or user.activated",
            Self::UserUnlicensed => "user.updated with a licence",
            Self::UserInactive => "user.activated",
            Self::MeetingInProgress => "meeting.ended",
        };
        write!(f, "{}; {event} releases it", self.short())
    }
}

/// Why a job was set aside for a person. Jobs parked for one cause are shown as one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParkCause {
    /// The user has 30 assistants, Zoom's limit.
    AssistantsFull,
    /// The app's token lacks these scopes.
    ScopesMissing {
        scopes: String,
    },
    /// Zoom refuses the credentials.
    CredentialsRefused {
        detail: String,
    },
    /// Zoom refuses this for good.
    Refused {
        status: u16,
        code: i64,
        message: String,
    },
    /// Zoom does not know the subject, also after some tries.
    NotFound,
    /// Zoom said that it did it, and reading it back shows that it did not.
    NotEffective {
        detail: String,
    },
    /// None of the account's API users can be made an assistant.
    ApiUserUnusable {
        detail: String,
    },
    /// The rule changed more than its share of the account.
    OverShare {
        rule: String,
    },
    AttemptsUsedUp {
        error: String,
    },
    Panicked {
        message: String,
    },
    /// It was put off again and again for so many hours; the last reason.
    StillLimited {
        hours: u64,
        why: String,
    },
    /// The rule that the job is for is not in the configuration any more, or one of its name is that asks for something else.
    RuleGone {
        is_another: bool,
    },
    ByPerson,
    /// The condition of the rule has no answer for the subject: it neither holds nor does not.
    ConditionUnanswered {
        why: String,
    },
    /// The rule names a group that the account does not have, or a name that two groups have.
    GroupUnknown {
        name: String,
        is_twice: bool,
    },
    /// The account has no licence left to give.
    NoSeats {
        code: i64,
        message: String,
    },
    /// Somebody would lose something by it.
    TakesAway {
        what: String,
    },
    /// Another rule has just changed it to something else.
    RulesDisagree {
        about: String,
        other: String,
    },
    /// The app does not hold the account any more.
    AccountGone,
    /// Others change it back, again and again.
    Contested {
        what: String,
        /// As far as events say.
        who: Vec<String>,
    },
    /// The consumer says that it takes nothing more, ever.
    ConsumerGone {
        consumer: String,
    },
    /// What is to be sent cannot be made.
    NotSendable {
        why: String,
    },
    /// Whoever is to take a message says that this is in vain: a login, an address or a channel is wrong or gone.
    SendRefused {
        by: String,
        why: String,
    },
    /// Zoom makes no user of this email, of this kind or in this way.
    NotCreatable {
        code: i64,
        message: String,
    },
    /// A meeting may have been made whose number never came, and which it is nobody can tell.
    Ambiguous {
        what: String,
    },
}

impl ParkCause {
    /// Also of the alarm about such a group, which has no job.
    pub const GROUP_UNKNOWN_ADVICE: &'static str =
        "make the group in Zoom's admin pages or mend the rule's groups, then retry";

    /// Short and stable: what `jobs retry --cause` takes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AssistantsFull => "assistants-full",
            Self::ScopesMissing { .. } => "scopes-missing",
            Self::CredentialsRefused { .. } => "credentials-refused",
            Self::Refused { .. } => "refused",
            Self::NotFound => "not-found",
            Self::NotEffective { .. } => "not-effective",
            Self::ApiUserUnusable { .. } => "api-user-unusable",
            Self::OverShare { .. } => "over-share",
            Self::AttemptsUsedUp { .. } => "attempts-used-up",
            Self::Panicked { .. } => "panicked",
            Self::StillLimited { .. } => "still-limited",
            Self::RuleGone { .. } => "rule-gone",
            Self::ByPerson => "by-person",
            Self::ConditionUnanswered { .. } => "condition-unanswered",
            Self::GroupUnknown { .. } => "group-unknown",
            Self::NoSeats { .. } => "no-seats",
            Self::TakesAway { .. } => "takes-away",
            Self::RulesDisagree { .. } => "rules-disagree",
            Self::AccountGone => "account-gone",
            Self::Contested { .. } => "contested",
            Self::ConsumerGone { .. } => "consumer-gone",
            Self::NotSendable { .. } => "not-sendable",
            Self::SendRefused { .. } => "send-refused",
            Self::NotCreatable { .. } => "not-creatable",
            Self::Ambiguous { .. } => "ambiguous",
        }
    }

    /// Whether it is the rule that a person resumes, and not each job.
    pub const fn is_for_resume(&self) -> bool {
        matches!(self, Self::OverShare { .. })
    }

    /// Whether it is shown and ended rule by rule: what is stopped, what would take something away, and what has no rule.
    pub const fn is_by_rule(&self) -> bool {
        matches!(self, Self::OverShare { .. } | Self::TakesAway { .. } | Self::RuleGone { .. })
    }

    /// What a person can do about it.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::AssistantsFull => "remove one of the user's 30 assistants, then retry",
            Self::ScopesMissing { .. } => "add the scopes to the app in the Zoom Marketplace, then retry",
            Self::CredentialsRefused { .. } => {
                "check client id, secret and account id with `adjutant doctor`, then retry"
            }
            Self::Refused { .. } => "read Zoom's message; retry when its cause is gone",
            Self::NotFound => "the user or meeting may be gone; retry if it exists again",
            Self::NotEffective { .. } => "check the user in Zoom's admin pages, then retry",
            Self::ApiUserUnusable { .. } => {
                "make the user that it names active and licensed (`adjutant doctor` looks at API users), then retry"
            }
            Self::OverShare { .. } => "if so many changes are meant, resume the rule: adjutant rules resume",
            Self::AttemptsUsedUp { .. } => "look at the last error; retry when it is mended",
            Self::Panicked { .. } => "this is a defect in adjutant: report it with the audit entries of the job",
            Self::StillLimited { .. } => "see what uses up the limit that the reason names, then retry",
            Self::RuleGone { .. } => {
                "put the rule back and reload: they go on by themselves. if it is gone for good, cancel them"
            }
            Self::AccountGone => {
                "put the account back and reload: they go on by themselves. if it is gone for good, cancel them"
            }
            Self::ByPerson => "retry when it may run again",
            Self::ConsumerGone { .. } => {
                "ask whoever runs the consumer. mend its url and reload, then retry; or take the rule's send away, and cancel them"
            }
            Self::NotSendable { .. } => "mend the rule's template and reload, then retry. what was pruned: cancel it",
            Self::SendRefused { .. } => {
                "mend what [[notify]] says of it (`adjutant notify test` tries it), reload, then retry"
            }
            Self::ConditionUnanswered { .. } => {
                "let the rule's when say what holds where Zoom states nothing, as with has(user.dept) && …, then retry"
            }
            Self::GroupUnknown { .. } => Self::GROUP_UNKNOWN_ADVICE,
            Self::NotCreatable { code: 1009, .. } => {
                "the person has an active Zoom account elsewhere, and has to leave that or be invited from Zoom's admin pages; then retry"
            }
            Self::NotCreatable { code: 1107 | 1116 | 11_321, .. } => {
                "the email's domain belongs to another account or is not allowed: see Associated Domains in Zoom's admin pages, then retry"
            }
            Self::NotCreatable { code: 2002 | 2032, .. } => {
                "set up single sign-on in Zoom's admin pages, or ask anew with another action"
            }
            Self::NotCreatable { .. } => {
                "the account cannot have a user of this kind: ask anew with another licence or action"
            }
            Self::NoSeats { .. } => "free or buy a licence, then retry",
            Self::Ambiguous { .. } => {
                "look at the host's meetings in Zoom: delete what is too much there, then retry; or cancel it, if the meeting is there"
            }
            Self::TakesAway { .. } => {
                "if it is meant, let it through: adjutant rules resume --takes-away. to retry only looks again"
            }
            Self::RulesDisagree { .. } => "let only one of the two rules decide it, then retry",
            Self::Contested { .. } => "agree with whoever changes it back, or keep the rule off it, then retry",
        }
    }
}

impl fmt::Display for ParkCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AssistantsFull => f.write_str("the user already has 30 assistants, which is Zoom's limit"),
            Self::ScopesMissing { scopes } => write!(f, "the app lacks the scopes {scopes}"),
            Self::CredentialsRefused { detail } => write!(f, "Zoom refuses the app's credentials: {detail}"),
            Self::Refused { status, code, message } => write!(f, "Zoom refuses it: {status}, code {code}, {message}"),
            Self::NotFound => f.write_str("Zoom does not know it"),
            Self::NotEffective { detail } => write!(f, "Zoom answered success, but it did not happen: {detail}"),
            Self::ApiUserUnusable { detail } => write!(f, "who is to be granted cannot be: {detail}"),
            Self::OverShare { rule } => {
                write!(f, "rule {rule} came to its max_changes_percent of the account and is stopped")
            }
            Self::AttemptsUsedUp { error } => write!(f, "all attempts are used up; the last one: {error}"),
            Self::Panicked { message } => write!(f, "a defect in adjutant stopped it: {message}"),
            Self::StillLimited { hours, why } => write!(f, "still limited after {hours} h: {why}"),
            Self::RuleGone { is_another: false } => f.write_str("its rule is no longer configured"),
            Self::RuleGone { is_another: true } => f.write_str("the rule of its name asks for something else now"),
            Self::AccountGone => f.write_str("the app does not hold the account any more"),
            Self::ByPerson => f.write_str("set aside by a person"),
            Self::ConditionUnanswered { why } => write!(f, "the rule's condition has no answer: {why}"),
            Self::GroupUnknown { name, is_twice: false } => write!(f, "the account has no group {name:?}"),
            Self::GroupUnknown { name, is_twice: true } => write!(f, "more than one group is named {name:?}"),
            Self::ConsumerGone { consumer } => write!(f, "consumer {consumer} answered 410: it takes nothing more"),
            Self::NotSendable { why } => write!(f, "there is nothing that could be sent: {why}"),
            Self::SendRefused { by, why } => write!(f, "{by} takes no message: {why}"),
            Self::NotCreatable { code, message } => write!(f, "Zoom makes no such user: code {code}, {message}"),
            Self::Ambiguous { what } => {
                write!(f, "Zoom's answer was lost, and which meeting came of it cannot be told: {what}")
            }
            Self::NoSeats { code, message } => write!(f, "no licence is left to give: code {code}, {message}"),
            Self::TakesAway { what } => write!(f, "somebody would lose something by it: {what}"),
            Self::RulesDisagree { about, other } => write!(f, "rule {other} has just set {about} to something else"),
            Self::Contested { what, who } if who.is_empty() => {
                write!(f, "it was changed back again and again, and no event says by whom: {what}")
            }
            Self::Contested { what, who } => {
                write!(f, "it was changed back again and again, by {}: {what}", who.join(", "))
            }
        }
    }
}

/// What is about to be changed at Zoom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In words, for the audit log: `add assistant api-user@example.com`. May name a person: sealed at rest.
    pub what: String,
    /// The rule's limit per account and UTC hour.
    pub max_per_hour: u32,
    /// The most changes within 24 hours before everything parks; none where the account is too small for a share.
    pub max_per_day: Option<u32>,
    /// A person applied a plan in which it is: it carries its own allowance, and no limit of the rule counts it.
    pub is_planned: bool,
    /// What it changes to what, so that it is known again when others have changed it back.
    pub marks: Vec<Mark>,
    /// What of Zoom's limits for a day it uses up: it needs room in all of them.
    pub days: Vec<DayUse>,
}

/// Stands for one thing of a subject and what it is changed to. May be the hash of a secret: stores keep a keyed one.
pub type Mark = [u8; 16];

/// Proof that the intent to change something at Zoom is on disk and within the rule's limits. Every call that changes Zoom
/// asks for one, and only a store makes one.
#[derive(Debug)]
#[must_use = "an intent on disk that leads to no call is misleading"]
pub struct Intent(u64);

impl Intent {
    /// For stores alone, after the sync; a test holds that nobody else calls it.
    pub fn recorded_by_store(entry: u64) -> Self {
        Self(entry)
    }

    /// Its entry in the audit log.
    pub fn entry(&self) -> u64 {
        self.0
    }
}
