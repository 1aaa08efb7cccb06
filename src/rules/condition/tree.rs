//! A condition after it was checked: what is evaluated.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::fields::Type;

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Its bytes in the condition, with brackets that belong to it.
    pub(super) span: Range<usize>,
    pub(super) ty: Type,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Literal(Literal),
    /// One of the names that a condition begins with.
    Fact(&'static str, As),
    /// A name that a macro brings, counted from the outermost.
    Local(usize),
    Field(Box<Node>, String, As),
    /// Whether a field is there and not null.
    Has(Box<Node>),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Compare(Compare, Box<Node>, Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Call(Function, Box<Node>, Option<Box<Node>>),
    Matches(Box<Node>, regex::Regex),
    Macro(Macro, Box<Node>, Box<Node>),
}

/// How a value of the facts is read: a moment is a text there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    Itself,
    Time,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Time(Timestamp),
    Duration(SignedDuration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    StartsWith,
    EndsWith,
    Contains,
    LowerAscii,
    Size,
    Timestamp,
    Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Node {
    /// The nodes directly below, in the order of the text.
    pub(super) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Literal(_) | Kind::Fact(..) | Kind::Local(_) => Vec::new(),
            Kind::Field(of, ..) | Kind::Has(of) | Kind::Not(of) | Kind::Negate(of) | Kind::Matches(of, _) => {
                vec![of]
            }
            Kind::Index(one, other)
            | Kind::And(one, other)
            | Kind::Or(one, other)
            | Kind::Compare(_, one, other)
            | Kind::Arithmetic(_, one, other)
            | Kind::In(one, other)
            | Kind::Macro(_, one, other) => vec![one, other],
            Kind::If(one, two, three) => vec![one, two, three],
            Kind::List(items) => items.iter().collect(),
            Kind::Call(_, of, argument) => std::iter::once(of).chain(argument).map(|node| &**node).collect(),
        }
    }
}
