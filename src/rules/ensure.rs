//! What can be ensured: the state that a rule wants, and whether it makes sense.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Condition, Leaves, Rule, SubjectKind};
use crate::ids::{Email, RuleName};

/// After which a meeting can be recovered.
const DELETED: &str = "meeting.deleted";

/// Desired state. Which fields make sense depends on the rule's `for`; [`Rule::check`] says so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Ensure {
    /// For users: who must be their assistant.
    #[serde(default)]
    pub assistants: Vec<Grantee>,
    /// For users: groups to be in, by name or id. None is ever made.
    #[serde(default)]
    pub groups: Vec<String>,
    /// For users: the licence to have.
    #[serde(default, rename = "type")]
    pub licence: Option<Licence>,
    /// Settings of the user or the meeting to hold; those that are not named are left alone.
    #[serde(default)]
    pub settings: Leaves,
    /// For users: feature flags, which are settings of the branch `feature`.
    #[serde(default)]
    pub feature: Leaves,
    /// For meetings: who must be among the alternative hosts. Nobody is ever taken off.
    #[serde(default)]
    pub alternative_hosts: Vec<Email>,
    /// For meetings: what to say of them. Such a rule changes nothing.
    #[serde(default)]
    pub report: Option<Report>,
    /// For meetings: how they must stand. Stands alone.
    #[serde(default)]
    pub status: Option<MeetingState>,
}

impl Ensure {
    /// All settings of a user that are named, feature flags among them.
    pub fn user_settings(&self) -> Leaves {
        self.settings.clone().with(self.feature.below("feature"))
    }
}

/// Who is granted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Grantee {
    /// The account's configured API users.
    ApiUser,
    /// Somebody whom the account's `may_grant` names.
    Named(Email),
}

impl TryFrom<String> for Grantee {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "api-user" {
            return Ok(Self::ApiUser);
        }
        Email::parse(&text).map(Self::Named).map_err(|_| "expected \"api-user\" or an email")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Licence {
    Licensed,
    Basic,
}

impl Licence {
    /// Zoom's `type`.
    pub const fn kind(self) -> i64 {
        match self {
            Self::Basic => 1,
            Self::Licensed => 2,
        }
    }
}

impl fmt::Display for Licence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Licensed => "Licensed",
            Self::Basic => "Basic",
        })
    }
}

/// What a rule can say of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// Whether the meeting can be given another host.
    Movable,
}

/// How a meeting must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeetingState {
    /// The run that the rule's event was about is over.
    Ended,
    /// It is there again, though somebody deleted it.
    Recovered,
}

impl MeetingState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Recovered => "recovered",
        }
    }
}

/// Why a rule makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error(
        "rule {0}: for = \"user\" needs ensure = {{ assistants = [\"api-user\"] }}, or groups, type, settings or feature"
    )]
    NothingForUsers(RuleName),
    #[error(
        "rule {0}: for = \"meeting\" needs ensure = {{ settings = {{ waiting_room = true }} }} or another setting, alternative_hosts, report or status"
    )]
    NothingForMeetings(RuleName),
    #[error("rule {0}: a rule about events alone does nothing without send")]
    NothingForEvents(RuleName),
    #[error("rule {0}: {1} does not belong to for = \"{2}\"")]
    WrongSubject(RuleName, &'static str, &'static str),
    #[error("rule {0}: ensure.type = \"basic\" takes licences away, which needs allow_downgrade = true")]
    Downgrade(RuleName),
    #[error("rule {0}: ensure.type = \"basic\" and ensure.assistants cannot both be: a Basic user has no assistants")]
    BasicWithAssistants(RuleName),
    #[error("rule {0}: ensure.report changes nothing and stands alone")]
    ReportAlone(RuleName),
    #[error("rule {0}: ensure.status stands alone")]
    StatusAlone(RuleName),
    #[error(
        "rule {0}: ensure.status = \"ended\" ends meetings for everybody who is in them, which needs allow_end = true"
    )]
    Ends(RuleName),
    #[error(
        "rule {0}: ensure.status = \"ended\" with for = \"meeting\" would end every meeting that a sweep sees; it needs on, as in on = [\"meeting.started\"] with after = \"12h\""
    )]
    EndsAll(RuleName),
    #[error("rule {0}: ensure.status = \"recovered\" needs on = [\"meeting.deleted\"], and no other event")]
    RecoversAfter(RuleName),
    #[error("rule {0}: what meeting.permanently_deleted tells of cannot be recovered: Zoom keeps nothing of it")]
    GoneForGood(RuleName),
    #[error("rule {0}: ensure.status = \"recovered\" has after, and the deletion itself ends timers of the meeting")]
    RecoversLater(RuleName),
    #[error(
        "rule {0}: ensure.status = \"recovered\" has {1}, and Zoom does not say who hosts a meeting that is deleted"
    )]
    RecoversExcept(RuleName, &'static str),
    #[error("rule {0}: ensure.settings.feature and ensure.feature both name {1}")]
    FeatureTwice(RuleName, String),
    #[error("rule {0}: ensure.settings and ensure.alternative_hosts both name alternative hosts")]
    HostsTwice(RuleName),
    #[error("rule {0}: max_changes_percent is {1}, expected 1 to 100")]
    Percent(RuleName, u8),
    #[error("rule {0}: max_changes_per_hour is {1}, expected 1 to 1000000 (to change nothing, use mode = \"observe\")")]
    PerHour(RuleName, u32),
}

/// Two rules that no subject can be right for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rules {one} and {other} want different values of {about} for every {subject}")]
pub struct Contradiction {
    pub one: RuleName,
    pub other: RuleName,
    pub about: String,
    subject: &'static str,
}

/// The first two rules about all subjects of a kind that want different things of them.
pub fn contradiction(rules: &[Rule]) -> Option<Contradiction> {
    // No others contradict each other, and of these there are few.
    let can = |rule: &&Rule| rule.ensure.licence.is_some() || !rule.ensure.user_settings().is_empty();
    let about_all =
        rules.iter().filter(|rule| rule.when.as_ref().is_none_or(Condition::is_always) && rule.on.is_none());
    let about_all: Vec<&Rule> = about_all.filter(can).collect();
    about_all.iter().enumerate().find_map(|(n, one)| {
        about_all.iter().skip(n.saturating_add(1)).find_map(|other| {
            let about = one.contradicts(other)?;
            let subject = if one.subject == SubjectKind::User { "user" } else { "meeting" };
            Some(Contradiction { one: one.name.clone(), other: other.name.clone(), about, subject })
        })
    })
}

impl Rule {
    /// Whether it is about runs of meetings that are to end.
    pub fn ends(&self) -> bool {
        self.ensure.status == Some(MeetingState::Ended)
    }

    /// Whether it is about meetings that Zoom does not know any more.
    pub fn recovers(&self) -> bool {
        self.ensure.status == Some(MeetingState::Recovered)
    }

    /// Whether an event about settings of a user asks for it.
    pub fn is_about_user_settings(&self) -> bool {
        self.subject == SubjectKind::User && (!self.ensure.user_settings().is_empty() || self.asks_for_settings())
    }

    /// Whether an event about members of a group asks for it.
    pub fn is_about_groups(&self) -> bool {
        let asks = || ["groups", "group_ids"].into_iter().any(|field| self.asks_for(field));
        self.subject == SubjectKind::User && (!self.ensure.groups.is_empty() || asks())
    }

    /// Whether its condition looks at this field of its subject.
    pub fn asks_for(&self, field: &str) -> bool {
        let subject = if self.subject == SubjectKind::Meeting { "meeting" } else { "user" };
        self.looks_at(subject, field)
    }

    /// Whether its condition looks at settings, which a call of its own reads.
    pub fn asks_for_settings(&self) -> bool {
        ["settings", "settings_unchecked"].into_iter().any(|field| self.asks_for(field))
    }

    fn contradicts(&self, other: &Self) -> Option<String> {
        if self.subject != other.subject {
            return None;
        }
        if let (Some(one), Some(two)) = (self.ensure.licence, other.ensure.licence)
            && one != two
        {
            return Some("type".to_owned());
        }
        let (one, two) = (self.ensure.user_settings(), other.ensure.user_settings());
        let (path, _) =
            one.iter().find(|(path, leaf)| two.leaf(path).is_some_and(|other| !Leaves::agree(path, leaf, other)))?;
        Some(format!("settings.{}", path.join(".")))
    }

    /// Whether what the rule wants fits what it is for.
    pub fn check(&self) -> Result<(), RuleError> {
        let (ensure, name) = (&self.ensure, || self.name.clone());
        match self.subject {
            SubjectKind::User => self.check_user()?,
            SubjectKind::Meeting => self.check_meeting()?,
            // Nothing can be true of what happened.
            SubjectKind::Event if self.send.is_some() => {}
            SubjectKind::Event => return Err(RuleError::NothingForEvents(name())),
        }
        if let Some(leaf) = ensure.settings.named_twice(&ensure.feature.below("feature")) {
            return Err(RuleError::FeatureTwice(name(), leaf));
        }
        if !Self::CHANGES_PERCENT.contains(&self.max_changes_percent) {
            return Err(RuleError::Percent(name(), self.max_changes_percent));
        }
        if !Self::CHANGES_PER_HOUR.contains(&self.max_changes_per_hour) {
            return Err(RuleError::PerHour(name(), self.max_changes_per_hour));
        }
        Ok(())
    }

    fn check_user(&self) -> Result<(), RuleError> {
        let name = || self.name.clone();
        if self.ensure.report.is_some() {
            return Err(RuleError::WrongSubject(name(), "ensure.report", "user"));
        }
        if !self.ensure.alternative_hosts.is_empty() {
            return Err(RuleError::WrongSubject(name(), "ensure.alternative_hosts", "user"));
        }
        if self.ensure.status.is_some() {
            return Err(RuleError::WrongSubject(name(), "ensure.status", "user"));
        }
        if self.of_users().is_none() && self.ensure.settings.is_empty() {
            return Err(RuleError::NothingForUsers(name()));
        }
        let is_basic = self.ensure.licence == Some(Licence::Basic);
        if is_basic && !self.ensure.assistants.is_empty() {
            return Err(RuleError::BasicWithAssistants(name()));
        }
        if is_basic && !self.allow_downgrade { Err(RuleError::Downgrade(name())) } else { Ok(()) }
    }

    fn check_meeting(&self) -> Result<(), RuleError> {
        let name = || self.name.clone();
        if let Some(key) = self.of_users() {
            return Err(RuleError::WrongSubject(name(), key, "meeting"));
        }
        if !self.ensure.alternative_hosts.is_empty() && self.ensure.settings.alternative_hosts().is_some() {
            return Err(RuleError::HostsTwice(name()));
        }
        let sets_nothing = self.ensure.settings.is_empty() && self.ensure.alternative_hosts.is_empty();
        if let Some(status) = self.ensure.status {
            let is_alone = sets_nothing && self.ensure.report.is_none();
            return if is_alone { self.check_status(status) } else { Err(RuleError::StatusAlone(name())) };
        }
        match (self.ensure.report, sets_nothing) {
            (None, true) => Err(RuleError::NothingForMeetings(name())),
            (Some(_), false) => Err(RuleError::ReportAlone(name())),
            _ => Ok(()),
        }
    }

    fn check_status(&self, status: MeetingState) -> Result<(), RuleError> {
        let (name, on) = (self.name.clone(), self.on.as_ref());
        if status == MeetingState::Ended {
            return match (on, self.allow_end) {
                (None, _) => Err(RuleError::EndsAll(name)),
                (Some(_), false) => Err(RuleError::Ends(name)),
                (Some(_), true) => Ok(()),
            };
        }
        let is_named = |event: &str| on.is_some_and(|on| on.events.iter().any(|named| named == event));
        if is_named("meeting.permanently_deleted") {
            return Err(RuleError::GoneForGood(name));
        }
        if on.is_none_or(|on| on.events.iter().any(|event| event != DELETED)) {
            return Err(RuleError::RecoversAfter(name));
        }
        let excepts = [("except", !self.except.is_empty()), ("except_roles", !self.except_roles.is_empty())];
        match excepts.into_iter().find(|(_, excepts)| *excepts) {
            Some((key, _)) => Err(RuleError::RecoversExcept(name, key)),
            None if on.is_some_and(|on| on.timer.is_some()) => Err(RuleError::RecoversLater(name)),
            None => Ok(()),
        }
    }

    /// The first thing that it names which only users have.
    fn of_users(&self) -> Option<&'static str> {
        let ensure = &self.ensure;
        let named = [
            ("ensure.assistants", !ensure.assistants.is_empty()),
            ("ensure.groups", !ensure.groups.is_empty()),
            ("ensure.type", ensure.licence.is_some()),
            ("ensure.feature", !ensure.feature.is_empty()),
        ];
        named.into_iter().find_map(|(key, is_named)| is_named.then_some(key))
    }
}
