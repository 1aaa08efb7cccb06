//! What a condition can speak of: names, fields and their types, as Zoom documents them.
//!
//! A field that is not here is refused, so that a slip of the finger is told when the rule is read and not found out when
//! it silently never holds.

use std::fmt;

use super::entry::ABOUT_ENTRY;
use super::subjects::{ABOUT_EVENT, ABOUT_EVENT_OF_MEETING, ABOUT_EVENT_OF_USER, ABOUT_MEETING, ABOUT_USER};
use super::tree::Literal;
use crate::rules::{SubjectKind, alternatives, kind_of};

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    User,
    Meeting,
    Event,
    /// And the meeting that the event is about, with its host.
    EventOfMeeting,
    /// And the user that the event is about.
    EventOfUser,
    /// An entry of the audit log.
    Entry,
}

/// A type, as far as it can be known before there are facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when there are facts: compared and called upon then.
    Dyn,
    Null,
    Bool,
    Number,
    Text,
    Time,
    Duration,
    List(Box<Self>),
    /// With the fields of all of these; where several have one, the first counts.
    Object(Vec<&'static Shape>),
}

/// An object whose fields are known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) title: &'static str,
    pub(super) fields: &'static [(&'static str, Field)],
}

/// The type of a field, in a form that a table can hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field {
    Dyn,
    Bool,
    Number,
    Text,
    /// Emails in one text, as Zoom has them; a rule may list them.
    Hosts,
    /// A text that says a moment (RFC 3339); an empty one is as good as none.
    Time,
    Texts,
    Numbers,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these numbers.
    NumberOf(&'static [i64]),
    Object(&'static Shape),
    Objects(&'static Shape),
    /// Zoom shows it and documents no way to set it.
    ReadOnly(&'static Self),
    /// What an event says, and what it says it about: the events say what is in them.
    Payload,
    Told,
}

impl Field {
    pub(super) fn ty(&self) -> Type {
        match self {
            Self::Dyn | Self::Payload | Self::Told => Type::Dyn,
            Self::Bool => Type::Bool,
            Self::Number | Self::NumberOf(_) => Type::Number,
            Self::Text | Self::Hosts | Self::OneOf(_) => Type::Text,
            Self::Time => Type::Time,
            Self::Texts => Type::List(Box::new(Type::Text)),
            Self::Numbers => Type::List(Box::new(Type::Number)),
            Self::Object(shape) => Type::Object(vec![shape]),
            Self::Objects(shape) => Type::List(Box::new(Type::Object(vec![shape]))),
            Self::ReadOnly(field) => field.ty(),
        }
    }

    /// The texts that it can be, where those are all.
    pub(super) const fn texts(&self) -> &'static [&'static str] {
        match self {
            Self::OneOf(known) => known,
            Self::ReadOnly(field) => field.texts(),
            _ => &[],
        }
    }

    /// Whether a value can be one of the field's, whose type it has.
    pub(super) fn can_be(&self, value: &Literal) -> bool {
        match (self, value) {
            (Self::ReadOnly(field), _) => field.can_be(value),
            (Self::OneOf(known), Literal::Text(text)) => known.contains(&text.as_str()),
            (Self::NumberOf(known), Literal::Int(number)) => known.contains(number),
            (Self::NumberOf(known), Literal::Double(number)) => {
                known.iter().any(|known| known.to_string() == number.to_string())
            }
            _ => true,
        }
    }

    /// The values that it can be, as a message says it; its type where any can.
    pub(super) fn alternatives(&self) -> String {
        match self {
            Self::ReadOnly(field) => field.alternatives(),
            Self::OneOf(known) => alternatives(known.iter().map(|text| format!("{text:?}"))),
            Self::NumberOf(known) => alternatives(known.iter().map(ToString::to_string)),
            Self::Hosts => "emails, as in [\"jill@example.com\"]".to_owned(),
            _ => self.ty().to_string(),
        }
    }
}

impl Shape {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }
}

/// As a message says it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("anything"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("true or false"),
            Self::Number => f.write_str("a number"),
            Self::Text => f.write_str("a text"),
            Self::Time => f.write_str("a time"),
            Self::Duration => f.write_str("a duration"),
            Self::List(of) => f.write_str(match **of {
                Self::Text => "a list of texts",
                Self::Number => "a list of numbers",
                _ => "a list",
            }),
            Self::Object(shapes) => write!(f, "an object ({})", shapes.first().map_or("", |shape| shape.title)),
        }
    }
}

impl Type {
    /// Whether values of the two can be equal at all.
    pub(super) fn compares_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Null, _) | (_, Self::Dyn | Self::Null) => true,
            (Self::List(one), Self::List(other)) => one.compares_with(other),
            _ => self == other,
        }
    }

    /// Whether it is an object, or a list of some.
    pub(super) fn holds_objects(&self) -> bool {
        match self {
            Self::Object(_) => true,
            Self::List(of) => of.holds_objects(),
            _ => false,
        }
    }

    /// The type of a value that is one of the two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, ty) | (ty, Self::Null) => ty,
            (one, other) if one == other => one,
            _ => Self::Dyn,
        }
    }
}

impl Topic {
    /// Of a condition about these events.
    pub(super) fn of_events(events: &[String]) -> Self {
        let are_all = |kind| !events.is_empty() && events.iter().all(|event| kind_of(event) == Some(kind));
        match () {
            () if are_all(SubjectKind::Meeting) => Self::EventOfMeeting,
            () if are_all(SubjectKind::User) => Self::EventOfUser,
            () => Self::Event,
        }
    }

    /// The names that a condition begins with.
    pub(super) const fn names(self) -> &'static Shape {
        match self {
            Self::User => &ABOUT_USER,
            Self::Meeting => &ABOUT_MEETING,
            Self::Event => &ABOUT_EVENT,
            Self::EventOfMeeting => &ABOUT_EVENT_OF_MEETING,
            Self::EventOfUser => &ABOUT_EVENT_OF_USER,
            Self::Entry => &ABOUT_ENTRY,
        }
    }
}
