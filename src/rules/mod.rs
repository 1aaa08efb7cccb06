//! What should be true: rules, and the pure step from an event to the work that it asks for.
//!
//! A rule is desired state about a subject. An event only says *which* subject to look at; what is wrong with it, the
//! worker finds out at Zoom. So a lost, repeated or overtaken event can never make a wrong change; that an overtaken one
//! cancels nothing which a newer one asked for, the store sees to.

mod condition;
mod ensure;
mod fingerprint;
mod leaves;
mod nearest;
mod on;
mod secret;
mod timer;

pub use ensure::{Contradiction, Ensure, Grantee, Licence, MeetingState, Report, RuleError, contradiction};
pub use leaves::Leaves;
pub use on::{EVENTS, MADE, OnEvent, facts as event_facts, gone_by_then, kind_of, meant, on_event, subjects};
pub use timer::Timer;

pub use secret::{NOT_KEPT, is_secret, is_secret_name, without_secrets};

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use condition::{Condition, ConditionError, Documented, EvaluationError, Leaf, Names, Seen, Topic, lower_emails};
pub(crate) use nearest::{alternatives, nearest};

use crate::account::Role;
use crate::alarm::Severity;
use crate::event::fold::LAST;
use crate::event::{Event, MeetingChange, UserChange, UserRef, What};
use crate::ids::{AccountId, AppName, ConsumerName, Email, MeetingId, MeetingUuid, RuleName};
use crate::job::{Asker, NewJob, Subject};

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
    /// The events that it is about. Without, it is about all its subjects: every event about one asks for it, and sweeps
    /// look for what no event told.
    #[serde(skip)]
    pub on: Option<On>,
    /// What becomes of such an event, where the rule makes nothing true.
    #[serde(skip)]
    pub send: Option<SendTo>,
    /// For people: what the rule is for.
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub ensure: Ensure,
    /// Whether it may take a licence away.
    #[serde(default)]
    pub allow_downgrade: bool,
    /// Whether it may end a meeting that runs.
    #[serde(default)]
    pub allow_end: bool,
    /// Events after which work goes on that met a meeting in progress.
    #[serde(default = "Rule::default_release")]
    pub release: Vec<String>,
    #[serde(default)]
    pub mode: Mode,
    /// Users that the rule leaves alone; for a meeting rule, hosts.
    #[serde(default)]
    pub except: Vec<Email>,
    /// Roles whose users it leaves alone: owner and admin, since an account names all others for itself.
    #[serde(default)]
    pub except_roles: Vec<Role>,
    /// Changes per account and UTC hour; beyond it additions wait for the next hour. A change that is tried again counts once.
    #[serde(default = "Rule::default_changes_per_hour")]
    pub max_changes_per_hour: u32,
    /// Share of the account's active users changed within 24 hours; beyond it everything parks until a person resumes it.
    #[serde(default = "Rule::default_changes_percent")]
    pub max_changes_percent: u8,
}

/// Events that a rule is about: it looks at what they name, once for each, and at nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct On {
    /// As in `meeting.created`.
    pub events: Vec<String>,
    /// Asked of the event, before there is work.
    pub when: Option<Condition>,
    /// What of its condition speaks of the event's subject as well: asked by the work, which reads that.
    pub later: Option<Condition>,
    /// Without one, its work is due at once.
    pub timer: Option<Timer>,
    /// All events of a run of a meeting make one record.
    pub fold: Option<Fold>,
    /// In place of the event, what is known of the meetings of the user whom it names.
    pub orphaned: Option<Orphaned>,
}

/// Who asks what becomes of the meetings of a host who is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphaned {
    /// Who could host them.
    pub successor: Email,
}

impl On {
    /// With this condition.
    #[must_use]
    pub fn asking(self, condition: Option<&Condition>) -> Self {
        let (when, later) = condition.map_or((None, None), Condition::parted);
        Self { when, later, ..self }
    }

    /// Its condition as it was written.
    fn condition(&self) -> Option<&str> {
        self.when.as_ref().or(self.later.as_ref()).map(Condition::as_str)
    }
}

/// What becomes of the events of a run of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fold {
    /// Who was there, and when ([`crate::event::fold::attendance`]).
    Attendance,
}

impl Fold {
    /// From the end of a meeting to its record: Zoom tells of somebody whose line broke 60 to 90 seconds late. And from a late
    /// event to the record that amends it.
    pub const GRACE: Duration = Duration::from_secs(120);
    /// From the first event to a record without an end: no meeting of Zoom's lasts longer than 30 hours.
    pub const GIVES_UP: Duration = Duration::from_secs(31 * 3600);
}

/// To whom an event is sent, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendTo {
    /// The name of a consumer, or of a notifier.
    pub consumer: ConsumerName,
    /// It is a notifier: people read it.
    pub is_to_people: bool,
    pub severity: Option<Severity>,
    /// A template of the body, checked; without one, the event as it came.
    pub template: Option<String>,
    /// What the template speaks of, as `event` or `meeting`.
    pub names: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    User,
    Meeting,
    /// What happened, and nothing that could be made true.
    Event,
}

impl SubjectKind {
    /// What a condition of such a rule speaks of.
    pub const fn topic(self) -> Topic {
        match self {
            Self::User => Topic::User,
            Self::Meeting => Topic::Meeting,
            Self::Event => Topic::Event,
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

impl Rule {
    /// What `max_changes_per_hour` may be.
    pub const CHANGES_PER_HOUR: RangeInclusive<u32> = 1..=1_000_000;
    /// What `max_changes_percent` may be.
    pub const CHANGES_PERCENT: RangeInclusive<u8> = 1..=100;

    pub fn default_release() -> Vec<String> {
        vec![LAST.to_owned()]
    }

    pub const fn default_changes_per_hour() -> u32 {
        500
    }

    pub const fn default_changes_percent() -> u8 {
        20
    }

    /// The condition in its words, of the subject or of the event.
    pub fn condition(&self) -> Option<&str> {
        self.when.as_ref().map(Condition::as_str).or_else(|| self.on.as_ref()?.condition())
    }

    /// What the work asks of its subject.
    pub fn asked(&self) -> Option<&Condition> {
        self.when.as_ref().or_else(|| self.on.as_ref()?.later.as_ref())
    }

    /// Whether what the work asks, or the template of what is sent, speaks of this: `meeting`, `host`, `user`.
    pub fn speaks_of(&self, fact: &str) -> bool {
        self.asked().is_some_and(|asked| asked.names(fact).is_some())
            || self.send.as_ref().is_some_and(|send| send.names.contains(fact))
    }

    /// Whether what the work asks looks at this field of that.
    pub fn looks_at(&self, fact: &str, field: &str) -> bool {
        self.asked().is_some_and(|asked| asked.looks_at(fact, field))
    }

    /// Whether it sends something only after a look at what the event is about, or at who did it.
    pub fn looks_further(&self) -> bool {
        self.subject == SubjectKind::Event
            && (self.asked().is_some() || ["meeting", "host", "user"].into_iter().any(|fact| self.speaks_of(fact)))
    }

    /// Whether it may ask for a meeting that Zoom does not know any more, or for who made one: what events tell of meetings
    /// has to be found again.
    pub fn looks_back(&self) -> bool {
        let may_be_gone = self.subject == SubjectKind::Event || self.recovers();
        (may_be_gone && (self.speaks_of("meeting") || self.speaks_of("host")))
            || self.looks_at("meeting", "by_api_user")
    }
}

/// What an event asks for. The store turns it into jobs made, merged, woken or cancelled, in one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the rule true for the subject: a new job, or the unfinished one again.
    Ensure {
        rule: RuleName,
        subject: Subject,
        /// What the rule asks of events ([`Rule::on_print`]).
        on: Option<[u8; 16]>,
    },
    /// Let what waits for this subject go on, and make nothing new.
    Wake { subject: Subject },
    /// The subject is gone: what is unfinished for it ends, but for that of rules which are about just that.
    Cancel { subject: Subject, why: String, spared: Vec<RuleName> },
    /// Make the rule true that long after the event, once for each run of a meeting: a timer, unless what ends it came.
    Later { rule: RuleName, subject: Subject, on: Option<[u8; 16]>, after: Duration },
    /// Timers of the rule end: those of this run, and those of the meeting that no newer event began. What is yet to come of
    /// an older event begins none.
    Unless { rule: RuleName, meeting: MeetingId, uuid: Option<MeetingUuid>, why: String },
    /// The event belongs to the record of the run of a meeting, which is made some time after its last event, and once more
    /// where one comes after that.
    Collect { rule: RuleName, subject: Subject, on: Option<[u8; 16]>, is_last: bool },
    /// Let what of this rule waits for the meeting, or a run of it, go on, and make nothing new.
    Release { rule: RuleName, meeting: MeetingId },
    /// The event states what the meeting is: it is found again by that, also when Zoom does not know the meeting any more.
    Remember { meeting: MeetingId, is_first: bool },
}

/// The code of the notice about a host who can host no more, and the name of the work that looks.
pub const LOST_HOST: &str = RuleName::LOST_HOST;

/// What an event asks for where it may say that a host can host no more, or can again, whatever the rules are. `kind` is the
/// user's, as the event states it.
pub fn of_host(event: &Event, kind: impl FnOnce() -> Option<i64>) -> Option<Step> {
    let What::User { change, user } = &event.what else { return None };
    let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
    let look = |subject| Step::Ensure { rule: RuleName::lost_host(), subject, on: None };
    match change {
        gone if gone.is_gone() => Some(look(subject)),
        UserChange::Updated => match kind()? {
            2 | 3 => Some(Step::Wake { subject }),
            _ => Some(look(subject)),
        },
        UserChange::Activated => Some(Step::Wake { subject }),
        _ => None,
    }
}

/// Another look at a host, which nothing told of.
pub fn look_at_host(app: &AppName, account: &AccountId, subject: Subject) -> NewJob {
    let (app, account, rule) = (app.clone(), account.clone(), RuleName::lost_host());
    NewJob { app, account, rule, subject, by: Asker::Sweep, event_at: None, on: None }
}

/// The work that an event asks for under these rules.
pub fn plan(event: &Event, rules: &[Rule]) -> Vec<Step> {
    match &event.what {
        What::User { change, user } => {
            let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
            match change {
                gone if gone.is_gone() => vec![cancel(subject, event, rules)],
                UserChange::SettingsUpdated => ensured(&subject, rules, Rule::is_about_user_settings),
                _ => {
                    let mut steps = for_subject(SubjectKind::User, &subject, rules);
                    // What a rule about other events waits for may have come, or whoever is made a user has been let in.
                    let is_let_in = matches!(change, UserChange::InvitationAccepted | UserChange::Activated);
                    if is_let_in || rules.iter().any(|rule| rule.subject == SubjectKind::User && rule.on.is_some()) {
                        steps.push(Step::Wake { subject });
                    }
                    steps
                }
            }
        }
        What::GroupMembers { users } => {
            let subject = |user: &UserRef| Subject::User { id: user.id.clone(), email: user.email.clone() };
            let of = |user| ensured(&subject(user), rules, Rule::is_about_groups);
            users.iter().flat_map(of).collect()
        }
        What::Meeting { change, meeting } => {
            let subject = Subject::Meeting { id: meeting.id };
            match change {
                MeetingChange::Deleted => vec![cancel(subject, event, rules)],
                MeetingChange::Ended if rules.iter().all(Rule::is_released_by_the_end) => vec![Step::Wake { subject }],
                // Whoever waits to move it waits for this, whatever rules say of their own.
                MeetingChange::Ended => vec![Step::Release { rule: RuleName::moving(), meeting: meeting.id }],
                MeetingChange::Started => Vec::new(),
                MeetingChange::Created | MeetingChange::Updated => for_subject(SubjectKind::Meeting, &subject, rules),
            }
        }
        What::UrlValidation { .. } | What::AppDeauthorized { .. } | What::Other => Vec::new(),
    }
}

/// What an event ends after which the subject is gone: not what its own rules begin, as to recover a meeting.
fn cancel(subject: Subject, event: &Event, rules: &[Rule]) -> Step {
    // Whoever moves a meeting finds out by itself that it is gone, and may have deleted it.
    let named = rules.iter().filter(|rule| rule.named_by(event).is_some()).map(|rule| rule.name.clone());
    // So is whether somebody who is gone had meetings.
    let spared = named.chain([RuleName::moving(), RuleName::lost_host()]);
    Step::Cancel { subject, why: event.name.clone(), spared: spared.collect() }
}

/// What the rules about such a subject ask for: of an event for its one, of a sweep for all.
pub fn for_subject(kind: SubjectKind, subject: &Subject, rules: &[Rule]) -> Vec<Step> {
    ensured(subject, rules, |rule| rule.subject == kind)
}

fn ensured(subject: &Subject, rules: &[Rule], asks: impl Fn(&Rule) -> bool) -> Vec<Step> {
    let about = rules.iter().filter(|rule| rule.on.is_none() && asks(rule));
    about.map(|rule| Step::Ensure { rule: rule.name.clone(), subject: subject.clone(), on: None }).collect()
}

#[cfg(test)]
mod tests;
