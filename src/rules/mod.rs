//! What should be true: rules, and the pure step from an event to the work that it asks for.
//!
//! A rule is desired state about a subject. An event only says *which* subject to look at; what is wrong with it, the
//! worker finds out at Zoom. So a lost, repeated or overtaken event can never make a wrong change; that an overtaken one
//! cancels nothing which a newer one asked for, the store sees to.

mod condition;
mod leaves;
mod nearest;

use std::fmt;

pub use leaves::Leaves;

use serde::{Deserialize, Serialize};

pub use condition::{Condition, ConditionError, EvaluationError, Leaf, Seen, Topic};
pub(crate) use nearest::nearest;

use crate::event::{Event, MeetingChange, What};
use crate::ids::{Email, RuleName};
use crate::job::Subject;

/// One `[[rule]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: RuleName,
    /// What kind of subject the rule is about.
    #[serde(rename = "for")]
    pub subject: SubjectKind,
    /// Which subjects it is about; without one, all.
    #[serde(skip)]
    pub when: Option<Condition>,
    /// For people: what the rule is for.
    #[serde(default)]
    pub description: Option<String>,
    pub ensure: Ensure,
    #[serde(default)]
    pub mode: Mode,
    /// Users that the rule leaves alone; for a meeting rule, hosts.
    #[serde(default)]
    pub except: Vec<Email>,
    /// Changes per account and UTC hour; beyond it additions wait for the next hour. A change that is tried again counts once.
    #[serde(default = "default_changes_per_hour")]
    pub max_changes_per_hour: u32,
    /// Share of the account's active users changed within 24 hours; beyond it everything parks until a person resumes it.
    #[serde(default = "default_changes_percent")]
    pub max_changes_percent: u8,
}

const fn default_changes_per_hour() -> u32 {
    500
}

const fn default_changes_percent() -> u8 {
    20
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    User,
    Meeting,
}

impl SubjectKind {
    /// What a condition of such a rule speaks of.
    pub const fn topic(self) -> Topic {
        match self {
            Self::User => Topic::User,
            Self::Meeting => Topic::Meeting,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Say and record what would be done; change nothing.
    #[default]
    Observe,
    Enforce,
}

/// Desired state. Which fields make sense depends on the rule's `for`; [`Rule::check`] says so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Ensure {
    /// For users: who must be their assistant. Only `api-user`: the account's configured API users.
    #[serde(default)]
    pub assistants: Vec<Grantee>,
    /// For meetings: the settings to hold.
    #[serde(default)]
    pub settings: Option<MeetingSettings>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grantee {
    ApiUser,
}

/// The meeting settings that a rule may name; one that is not named is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct MeetingSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_room: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_before_host: Option<bool>,
}

impl MeetingSettings {
    /// Those of these settings that are named and not as `actual` has them.
    #[must_use]
    pub fn differing_from(self, actual: Self) -> Self {
        let differing = |wanted: Option<bool>, is: Option<bool>| wanted.filter(|_| wanted != is);
        Self {
            waiting_room: differing(self.waiting_room, actual.waiting_room),
            join_before_host: differing(self.join_before_host, actual.join_before_host),
        }
    }
}

/// As in `waiting_room on, join_before_host off`.
impl fmt::Display for MeetingSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [("waiting_room", self.waiting_room), ("join_before_host", self.join_before_host)];
        let mut between = "";
        for (name, value) in named {
            if let Some(value) = value {
                write!(f, "{between}{name} {}", if value { "on" } else { "off" })?;
                between = ", ";
            }
        }
        Ok(())
    }
}

/// Why a rule makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("rule {0}: for = \"user\" needs ensure = {{ assistants = [\"api-user\"] }}")]
    NothingForUsers(RuleName),
    #[error("rule {0}: for = \"meeting\" needs ensure = {{ settings = {{ waiting_room = true }} }} or another setting")]
    NothingForMeetings(RuleName),
    #[error("rule {0}: {1} does not belong to for = \"{2}\"")]
    WrongSubject(RuleName, &'static str, &'static str),
    #[error("rule {0}: max_changes_percent is {1}, expected 1 to 100")]
    Percent(RuleName, u8),
    #[error("rule {0}: max_changes_per_hour is 0, expected 1 or more (to change nothing, use mode = \"observe\")")]
    PerHour(RuleName),
}

impl Rule {
    /// Whether what the rule wants fits what it is for.
    pub fn check(&self) -> Result<(), RuleError> {
        let (assistants, settings) = (!self.ensure.assistants.is_empty(), self.ensure.settings.is_some());
        let named = self.ensure.settings.is_some_and(|s| s != MeetingSettings::default());
        match self.subject {
            SubjectKind::User if settings => Err(RuleError::WrongSubject(self.name.clone(), "ensure.settings", "user")),
            SubjectKind::User if !assistants => Err(RuleError::NothingForUsers(self.name.clone())),
            SubjectKind::Meeting if assistants => {
                Err(RuleError::WrongSubject(self.name.clone(), "ensure.assistants", "meeting"))
            }
            SubjectKind::Meeting if !named => Err(RuleError::NothingForMeetings(self.name.clone())),
            _ if !(1..=100).contains(&self.max_changes_percent) => {
                Err(RuleError::Percent(self.name.clone(), self.max_changes_percent))
            }
            _ if self.max_changes_per_hour == 0 => Err(RuleError::PerHour(self.name.clone())),
            _ => Ok(()),
        }
    }
}

/// What an event asks for. The store turns it into jobs made, merged, woken or cancelled, in one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the rule true for the subject: a new job, or the unfinished one again.
    Ensure { rule: RuleName, subject: Subject },
    /// Let what waits for this subject go on, and make nothing new.
    Wake { subject: Subject },
    /// The subject is gone: what is unfinished for it ends.
    Cancel { subject: Subject, why: String },
}

/// The work that an event asks for under these rules.
pub fn plan(event: &Event, rules: &[Rule]) -> Vec<Step> {
    match &event.what {
        What::User { change, user } => {
            let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
            if change.is_gone() {
                vec![Step::Cancel { subject, why: event.name.clone() }]
            } else {
                for_subject(SubjectKind::User, &subject, rules)
            }
        }
        What::Meeting { change, meeting } => {
            let subject = Subject::Meeting { id: meeting.id };
            match change {
                MeetingChange::Deleted => vec![Step::Cancel { subject, why: event.name.clone() }],
                MeetingChange::Started => Vec::new(),
                MeetingChange::Ended => vec![Step::Wake { subject }],
                MeetingChange::Created | MeetingChange::Updated => for_subject(SubjectKind::Meeting, &subject, rules),
            }
        }
        What::UrlValidation { .. } | What::AppDeauthorized | What::Other => Vec::new(),
    }
}

/// What the rules about such a subject ask for: of an event for its one, of a sweep for all.
pub fn for_subject(kind: SubjectKind, subject: &Subject, rules: &[Rule]) -> Vec<Step> {
    let about = rules.iter().filter(|rule| rule.subject == kind);
    about.map(|rule| Step::Ensure { rule: rule.name.clone(), subject: subject.clone() }).collect()
}

#[cfg(test)]
mod tests;
