//! What may be written for a key, in the words of JSON Schema: each key tells it where it is read.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::rules::alternatives;

/// Words, each with what it means.
pub(super) type Choices<'c, T> = &'c [(&'static str, T)];

pub(super) fn chosen<T: Copy>(choices: Choices<'_, T>, text: &str) -> Option<T> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

/// As a message says them.
pub(super) fn words<T>(choices: Choices<'_, T>) -> String {
    alternatives(choices.iter().map(|(word, _)| format!("{word:?}")))
}

/// A part of a schema.
pub(super) type Form = Value;

pub(super) fn text() -> Form {
    json!({ "type": "string" })
}

pub(super) fn text_like(pattern: &str) -> Form {
    json!({ "type": "string", "pattern": pattern })
}

pub(super) fn flag() -> Form {
    json!({ "type": "boolean" })
}

pub(super) fn number(from: &impl Display, to: &impl Display) -> Form {
    let number = |end: String| end.parse::<i64>().ok();
    json!({ "type": "integer", "minimum": number(from.to_string()), "maximum": number(to.to_string()) })
}

pub(super) fn one_of<T>(choices: Choices<'_, T>) -> Form {
    json!({ "enum": choices.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

pub(super) fn list(item: &Form) -> Form {
    json!({ "type": "array", "items": item })
}

/// A section of its own.
pub(super) fn inner(path: &str) -> Form {
    json!({ "$ref": format!("#/$defs/{path}") })
}

/// Looks like an email: which it is, the reader says.
pub(super) fn email() -> Form {
    text_like("@")
}

/// Whom a rule makes an assistant.
pub(super) fn grantee() -> Form {
    json!({ "anyOf": [{ "enum": ["api-user"] }, email()] })
}

/// The name of an event that a rule can be about. Zoom adds others to those that are known; only `app_deauthorized` has
/// no full stop.
pub(super) fn event() -> Form {
    json!({ "anyOf": [{ "enum": crate::rules::EVENTS.as_slice() }, { "const": "app_deauthorized" }, text_like(r"^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+$")] })
}

/// What is told when it is written, and not taken.
pub(super) const NOTHING: Form = Value::Bool(false);
