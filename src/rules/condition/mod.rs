//! The language of conditions: `when`, in CEL (the Common Expression Language).
//!
//! A condition is read once, and checked against the fields that Zoom documents: what could only ever be false by mistake
//! is refused. Evaluating it is pure and bounded, and a condition that cannot be evaluated says so: it is neither true
//! nor false, and nobody may act on it. What Zoom leaves out is null.
//!
//! Deliberately does not know where facts come from: they are one JSON object whose keys are the names that a condition
//! begins with.

mod alike;
mod call;
mod check;
mod documented;
mod emails;
mod entry;
mod eval;
mod explain;
mod fields;
mod names;
mod parse;
mod parted;
mod subjects;
mod told;
mod tree;
mod user_settings;

use std::ops::Range;

use serde_json::Value;

pub use documented::Documented;
pub use emails::lower_emails;
pub use explain::{Leaf, Seen};
pub use fields::Topic;
pub use names::Names;

/// A condition that was read and checked.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    topic: Topic,
    root: tree::Node,
    /// Of what it begins with and looks at.
    names: Vec<(&'static str, Names)>,
}

/// Two are the same where they were written the same.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.topic) == (&other.text, other.topic)
    }
}

impl Eq for Condition {}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {help}")]
pub struct ConditionError {
    /// The bytes of the condition that it is about.
    pub span: Range<usize>,
    /// What is wrong, without a full stop.
    pub what: String,
    /// What was expected.
    pub help: String,
}

impl ConditionError {
    fn new(span: Range<usize>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span, what: what.into(), help: help.into() }
    }

    /// Where it is in the condition, as a person counts: from 1, in characters.
    pub fn column(&self, text: &str) -> usize {
        text.get(..self.span.start).map_or(0, |before| before.chars().count()).saturating_add(1)
    }
}

/// Why there is no answer. Names parts of the condition and never values of the facts: those may name people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    #[error("{text} is null: Zoom does not state it")]
    Absent { text: String },
    #[error("{text} is {is}, and {expected} is needed")]
    Kind { text: String, is: &'static str, expected: &'static str },
    #[error("{text} compares {one} with {other}")]
    Compares { text: String, one: &'static str, other: &'static str },
    #[error("{text} is no number of 64 bits")]
    Overflow { text: String },
    #[error("{text} divides by zero")]
    DividesByZero { text: String },
    #[error("{text} is behind the end of the list")]
    NoSuchItem { text: String },
    #[error("{text} cannot be read as {expected}")]
    Unreadable { text: String, expected: &'static str },
    #[error("it takes more than {steps} steps")]
    TooLong { steps: u32 },
}

impl Condition {
    /// Reads and checks a condition.
    pub fn compile(text: &str, topic: Topic) -> Result<Self, ConditionError> {
        Self::read(text, topic, &[])
    }

    /// The same about these events: what is known of them is checked. Where all are about meetings, or all about users, it
    /// may speak of those as well.
    pub fn about_events(text: &str, events: &[String]) -> Result<Self, ConditionError> {
        Self::read(text, Topic::of_events(events), events)
    }

    fn read(text: &str, topic: Topic, events: &[String]) -> Result<Self, ConditionError> {
        let parsed = parse::parse(text)?;
        let root = check::check(text, &parsed, topic, events)?;
        Ok(Self::of(text.to_owned(), topic, root))
    }

    fn of(text: String, topic: Topic, root: tree::Node) -> Self {
        let of = |(fact, _): &(&'static str, _)| (*fact, Names::of(fact, &root));
        let names = topic.names().fields.iter().map(of).filter(|(_, names)| !names.is_nothing()).collect();
        Self { text, topic, root, names }
    }

    /// Whether it holds for these facts.
    pub fn holds(&self, facts: &Value) -> Result<bool, EvaluationError> {
        eval::Run::new(&self.text, facts).truth(&self.root)
    }

    /// Every leaf of the condition, with what it saw and what came of it, also those that `holds` need not look at.
    pub fn explain(&self, facts: &Value) -> Vec<Leaf> {
        explain::leaves(&self.text, &self.root, facts)
    }

    /// Whether it holds for whatever there is.
    pub const fn is_always(&self) -> bool {
        matches!(self.root.kind, tree::Kind::Literal(tree::Literal::Bool(true)))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it looks at of one of the things that it can begin with, as `user` or `host`; none where it does not name that.
    pub fn names(&self, fact: &str) -> Option<&Names> {
        self.names.iter().find(|(known, _)| *known == fact).map(|(_, names)| names)
    }

    /// Whether it looks at this field of that.
    pub fn looks_at(&self, fact: &str, field: &str) -> bool {
        self.names(fact).is_some_and(|names| names.below(field).is_some())
    }
}

#[cfg(test)]
mod tests;
