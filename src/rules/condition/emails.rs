//! Emails in lower case: Zoom keeps them as somebody typed them, and to compare those would leave out, or not, by the case
//! of a letter. So facts have them in lower case, and conditions are held to the same.

use std::ops::Range;

use serde_json::Value;

use super::ConditionError;
use super::check::Checker;
use super::tree::{Function, Kind, Literal, Node};

type Checked<T> = Result<T, ConditionError>;

/// All emails in facts, in lower case.
pub fn lower_emails(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Value::String(text) if holds_emails(name) => *text = text.to_lowercase(),
            value => lower_emails(value),
        }),
        Value::Array(items) => items.iter_mut().for_each(lower_emails),
        _ => {}
    }
}

fn holds_emails(field: &str) -> bool {
    field == "email" || field.ends_with("_email") || matches!(field, "alternative_hosts" | "operator")
}

/// Why what stands there is in lower case, where it is.
fn is_lowered(node: &Node) -> Option<&'static str> {
    let named = |name: &str| holds_emails(name).then_some("emails are in lower case here");
    match &node.kind {
        Kind::Field(_, name, _) => named(name),
        Kind::Index(_, at) => match &at.kind {
            Kind::Literal(Literal::Text(name)) => named(name),
            _ => None,
        },
        Kind::Call(Function::LowerAscii, ..) => Some("lowerAscii() leaves no capitals"),
        _ => None,
    }
}

impl Checker<'_> {
    /// That no capital is looked for where there is none; lists by each item.
    pub(super) fn can_hold(&self, field: &Node, value: &Node) -> Checked<()> {
        let text = match &value.kind {
            Kind::Literal(Literal::Text(text)) => text,
            Kind::List(items) => return items.iter().try_for_each(|item| self.can_hold(field, item)),
            _ => return Ok(()),
        };
        // Others than those of ASCII are the same after lowerAscii().
        let is_ascii = matches!(field.kind, Kind::Call(..));
        match is_lowered(field) {
            Some(why) if text.chars().any(|c| c.is_uppercase() && (!is_ascii || c.is_ascii())) => {
                Err(ConditionError::new(
                    value.span.clone(),
                    format!("{} has a capital", self.said(value)),
                    format!("{why}: write {:?}", text.to_lowercase()),
                ))
            }
            _ => Ok(()),
        }
    }

    /// The same of a pattern, which is in the text at `place`.
    pub(super) fn can_match(&self, of: &Node, pattern: &str, place: &Range<usize>) -> Checked<()> {
        match is_lowered(of) {
            Some(why) if wants_capitals(pattern) => Err(ConditionError::new(
                place.clone(),
                format!("{} has a capital", self.text.get(place.clone()).unwrap_or_default()),
                format!("{why}: write it small, or (?i) before it"),
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a pattern has a capital that stands for itself. Those of classes as `[A-Za-z]` and `\S` do not.
fn wants_capitals(pattern: &str) -> bool {
    if pattern.contains("(?i") {
        return false;
    }
    let mut rest = pattern.chars().peekable();
    let (mut in_class, mut capital, mut small) = (false, false, false);
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                let class = rest.next();
                if matches!(class, Some('p' | 'P' | 'x')) && rest.peek() == Some(&'{') {
                    rest.by_ref().find(|c| *c == '}');
                }
            }
            '[' if !in_class => (in_class, capital, small) = (true, false, false),
            ']' if in_class && capital && !small => return true,
            ']' => in_class = false,
            // A group's name or flags.
            '(' if rest.peek() == Some(&'?') => _ = rest.by_ref().find(|c| matches!(c, ':' | '>' | ')')),
            c if in_class => {
                capital = capital || c.is_ascii_uppercase();
                small = small || c.is_ascii_lowercase() || c == '^';
            }
            c if c.is_ascii_uppercase() => return true,
            _ => {}
        }
    }
    false
}
