//! What a rule says of a subject, by what is known of it so far: the one place where rules of all kinds are judged, so that a
//! job, a sweep, a plan and an explanation cannot disagree.
//!
//! Pure: whoever judges reads what is needed, wherever from, and judges again.

use serde_json::Value;

use super::around::Around;
use super::told::{Past, Told};
use super::{asked, meeting, user};
use crate::account::UserKey;
use crate::ids::{Email, GroupId, MeetingId, MeetingUuid};
use crate::job::{ParkCause, Subject, WaitReason};
use crate::rules::{Leaves, MeetingState, Rule, SubjectKind, without_secrets};
use crate::zoom::{Assistant, Edit, Endpoint, Meeting, Object, User};

/// What is known about a subject so far; what is none was not read.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    pub user: Option<User>,
    /// The user is a row of a list, which may lack what reading the user would say.
    pub is_listed_row: bool,
    /// The email that an event told, for where Zoom does not state any.
    pub told: Option<Email>,
    pub assistants: Option<Vec<Assistant>>,
    /// Groups that the user is in, where something else than the user says so: lists of members.
    pub groups: Option<Vec<GroupId>>,
    /// The user's settings.
    pub settings: Option<Object>,
    pub meeting: Option<Meeting>,
    /// The meeting, where Zoom does not know it.
    pub gone: Option<MeetingId>,
    /// The run of the meeting that an event told of.
    pub run: Option<MeetingUuid>,
    /// The host of the meeting.
    pub host: Option<User>,
    /// Neither Zoom nor any event says who hosts it.
    pub has_no_host: bool,
    /// The event that a rule about events is asked for.
    pub event: Option<Told>,
    /// What events told of the meeting.
    pub past: Option<Past>,
    /// Zoom does not know the user or meeting: it is what events stated.
    pub is_told: bool,
}

impl Picture {
    /// The event, where what it tells stands for what Zoom does not know: for a rule that makes something true, nothing does.
    pub fn told_instead(&self, rule: &Rule) -> Option<&Told> {
        self.event.as_ref().filter(|_| rule.subject == SubjectKind::Event)
    }

    /// What a template sees of it, without secrets.
    pub fn about(&self) -> Object {
        let wholes = [
            ("meeting", self.meeting.as_ref().map(|meeting| &meeting.whole)),
            ("host", self.host.as_ref().map(|host| &host.whole)),
            ("user", self.user.as_ref().map(|user| &user.whole)),
        ];
        let about = wholes.into_iter().filter_map(|(name, whole)| Some((name.to_owned(), whole?.clone().into())));
        let mut about = Value::Object(about.collect());
        without_secrets(&mut about, None);
        if let Value::Object(about) = about { about } else { Object::new() }
    }

    /// What a subject itself tells.
    pub fn of(subject: &Subject) -> Self {
        match subject {
            Subject::User { email, .. } => Self { told: email.clone(), ..Self::default() },
            Subject::Instance { uuid, .. } => Self { run: Some(uuid.clone()), ..Self::default() },
            Subject::Meeting { .. } | Subject::Event { .. } | Subject::Errand { .. } => Self::default(),
        }
    }
}

/// What has to be read before more can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    User,
    Assistants,
    Settings,
    /// All groups of the account: their names.
    Groups,
    Meeting,
    Host,
    /// What the store knows of the meeting by its events.
    Past,
    /// Somebody who is to be granted, or made an alternative host.
    ApiUser(UserKey),
}

impl Need {
    /// The call that reads it, which knows its rate-limit category and its scopes; none where Zoom is not asked.
    pub const fn endpoint(&self) -> Option<Endpoint> {
        Some(match self {
            Self::User | Self::Host | Self::ApiUser(_) => Endpoint::GetUser,
            Self::Assistants => Endpoint::ListAssistants,
            Self::Settings => Endpoint::GetUserSettings,
            Self::Groups => Endpoint::ListGroups,
            Self::Meeting => Endpoint::GetMeeting,
            Self::Past => return None,
        })
    }
}

/// One thing that is not as the rule wants it, and the change that mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `assistants`, `groups`, `type`, `settings.in_meeting.waiting_room`.
    pub about: String,
    pub is: Value,
    pub wanted: Value,
    pub edit: Edit,
    /// Somebody loses something by it.
    pub takes_away: bool,
}

impl Difference {
    /// Whether the rule may make it without a person.
    pub fn is_allowed(&self, rule: &Rule) -> bool {
        let is_allowed = match &self.edit {
            Edit::SetUserKind { .. } => rule.allow_downgrade,
            Edit::SetMeetingStatus { .. } => rule.allow_end,
            _ => false,
        };
        is_allowed || !self.takes_away
    }
}

/// What a rule says of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// In the order in which they are to be mended. What cannot be mended at the same time shows when these are.
    Differs(Vec<Difference>),
    /// The rule changes nothing, and says this.
    Reports(String),
    Waits(WaitReason),
    /// The rule is not about this subject, and why.
    NotApplicable(String),
    /// The rule's condition neither holds nor does not.
    Unanswered(String),
    /// Zoom does not say what has to be known; it may the next time.
    Unclear(String),
    /// It differs, and nobody but a person can mend it.
    Impossible(ParkCause),
    Needs(Need),
}

/// Why a rule leaves a subject alone that it excepts.
pub(super) const EXCEPTS_USER: &str = "the user is excepted by the rule";
pub(super) const EXCEPTS_ROLE: &str = "the rule excepts the user's role";
pub(super) const EXCEPTS_HOST: &str = "the host is excepted by the rule";
pub(super) const EXCEPTS_HOSTS_ROLE: &str = "the rule excepts the host's role";

/// Whether that is why a rule is not about a subject.
pub fn is_excepted(why: &str) -> bool {
    [EXCEPTS_USER, EXCEPTS_ROLE, EXCEPTS_HOST, EXCEPTS_HOSTS_ROLE].contains(&why)
}

/// A verdict that ends the judging early.
pub(super) type Judged<T> = Result<T, Verdict>;

pub fn judge(rule: &Rule, around: &Around<'_>, picture: &Picture) -> Verdict {
    let judged = match rule.subject {
        SubjectKind::User => user::judge(rule, around, picture),
        SubjectKind::Meeting => meeting::judge(rule, around, picture),
        SubjectKind::Event => asked::sends(rule, around, picture),
    };
    judged.unwrap_or_else(|early| early)
}

pub(super) fn not_applicable(why: &str) -> Verdict {
    Verdict::NotApplicable(why.to_owned())
}

/// What is wanted of settings and is not so, leaf by leaf.
pub(super) fn settings(wanted: &Leaves, is: &Object, edit: impl Fn(Leaves) -> Edit) -> Vec<Difference> {
    let differing = wanted.differing_from(is);
    let difference = |(path, leaf): (&[String], &Value)| {
        let now = Leaves::in_tree(is, path).cloned().unwrap_or(Value::Null);
        Difference {
            about: format!("settings.{}", path.join(".")),
            takes_away: Leaves::drops_hosts(path, &now, leaf),
            is: now,
            wanted: leaf.clone(),
            edit: edit(Leaves::one(path, leaf)),
        }
    };
    differing.iter().map(difference).collect()
}

/// The changes that mend these differences: settings of one subject are one change.
pub fn edits(differences: &[Difference]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for difference in differences {
        match (edits.last_mut(), &difference.edit) {
            (Some(Edit::SetUserSettings { to, .. }), Edit::SetUserSettings { to: more, .. })
            | (Some(Edit::SetMeeting { to, .. }), Edit::SetMeeting { to: more, .. }) => {
                *to = std::mem::take(to).with(more.clone());
            }
            (_, edit) => edits.push(edit.clone()),
        }
    }
    edits
}

/// What would be done, as in `add assistant api@example.com; set in_meeting.waiting_room on`.
pub fn in_words(differences: &[Difference]) -> String {
    let named = |about: &str| {
        let of = differences.iter().filter(|difference| difference.about == about);
        of.map(|difference| difference.wanted.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", ")
    };
    let (mut words, mut said) = (Vec::new(), Vec::new());
    for edit in edits(differences) {
        let (about, word) = match &edit {
            Edit::AddAssistants { .. } => ("assistants", "add assistant"),
            Edit::RemoveAssistant { .. } | Edit::RemoveAssistants { .. } => ("assistants", "remove assistant"),
            Edit::RemoveScheduler { .. } | Edit::RemoveSchedulers { .. } => ("schedulers", "remove scheduler"),
            Edit::CreateMeeting { .. }
            | Edit::UpdateMeeting { .. }
            | Edit::MoveMeeting { .. }
            | Edit::DeleteMeeting { .. } => ("meeting", "change"),
            Edit::AddToGroup { .. } | Edit::SetPendingGroup { .. } => ("groups", "add to group"),
            Edit::CreateUser(_) => ("user", "create"),
            Edit::RemoveUser { .. } => ("user", "remove"),
            Edit::SetUserActive { .. } => ("status", "make"),
            Edit::RemoveFromGroup { .. } => ("groups", "remove from group"),
            Edit::SetUserKind { .. } => ("type", "make"),
            Edit::SetUserSettings { to, .. } | Edit::SetMeeting { to, .. } => {
                words.push(format!("set {to}"));
                continue;
            }
            Edit::SetMeetingStatus { to, .. } => {
                let word = match to {
                    MeetingState::Ended => "end",
                    MeetingState::Recovered => "recover",
                };
                words.push(format!("{word} the meeting"));
                continue;
            }
        };
        if !said.contains(&word) {
            words.push(format!("{word} {}", named(about)));
            said.push(word);
        }
    }
    words.join("; ")
}
