//! What Zoom documents at a place of a tree of settings, for whoever reads wanted ones.

use std::fmt;

use serde_json::{Map, Value, json};

use super::fields::Field::{
    self, Bool, Dyn, Hosts, Number, NumberOf, Numbers, Object, Objects, OneOf, Payload, ReadOnly, Text, Texts, Time,
    Told,
};
use super::fields::{Shape, Topic};
use crate::ids::Email;

/// A place of a tree of settings.
#[derive(Debug, Clone, Copy)]
pub struct Documented(&'static Field);

impl Documented {
    /// Where nothing is known, so that anything may be.
    pub const ANYTHING: Self = Self(&Dyn);

    /// What a rule is about.
    pub fn subject_of(topic: Topic) -> Self {
        let subject = topic.names().fields.first().map(|(_, field)| field);
        Self(subject.unwrap_or(&Dyn))
    }

    /// The settings of what a rule is about.
    pub fn settings_of(topic: Topic) -> Self {
        Self::subject_of(topic).branch("settings")
    }

    /// What is below that name; anything where nothing is known.
    #[must_use]
    pub fn branch(self, name: &str) -> Self {
        self.below(name).unwrap_or(Self::ANYTHING)
    }

    /// What is below that name, or what somebody probably meant by it.
    pub fn below(self, name: &str) -> Result<Self, String> {
        match self.0 {
            Object(shape) => shape.field(name).map(Self).ok_or_else(|| meant(shape, name)),
            _ => Ok(Self::ANYTHING),
        }
    }

    /// Whether there may be names below it.
    pub const fn is_branch(self) -> bool {
        matches!(self.0, Dyn | Object(_))
    }

    /// Whether Zoom shows it and documents no way to set it.
    pub const fn is_read_only(self) -> bool {
        matches!(self.0, ReadOnly(_))
    }

    /// What is taken here, in the words of JSON Schema.
    pub fn schema(self) -> Value {
        schema_of(self.0, true)
    }

    /// Whether a leaf of that value can be there.
    pub fn takes(self, value: &Value) -> bool {
        match (self.0, value) {
            (Dyn, _) | (Bool, Value::Bool(_)) | (Number, Value::Number(_)) | (Text | Time, Value::String(_)) => true,
            (OneOf(known), Value::String(text)) => known.contains(&text.as_str()),
            (NumberOf(known), Value::Number(number)) => number.as_i64().is_some_and(|number| known.contains(&number)),
            (Texts, Value::Array(items)) => items.iter().all(Value::is_string),
            (Hosts, Value::String(hosts)) => {
                hosts.split([';', ',']).map(str::trim).all(|one| one.is_empty() || is_email(one))
            }
            (Hosts, Value::Array(items)) => items.iter().all(|item| item.as_str().is_some_and(is_email)),
            (Numbers, Value::Array(items)) => items.iter().all(Value::is_number),
            (Objects(_), Value::Array(items)) => items.iter().all(Value::is_object),
            _ => false,
        }
    }
}

fn is_email(text: &str) -> bool {
    Email::parse(text).is_ok()
}

fn schema_of(field: &Field, is_whole: bool) -> Value {
    match field {
        Dyn if is_whole => json!({ "type": "object" }),
        Dyn | Payload | Told => json!({}),
        // Zoom documents no way to set it.
        ReadOnly(_) => json!(false),
        Bool => json!({ "type": "boolean" }),
        Number => json!({ "type": "number" }),
        Hosts => json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        Text | Time => json!({ "type": "string" }),
        OneOf(known) => json!({ "enum": known }),
        NumberOf(known) => json!({ "enum": known }),
        Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Numbers => json!({ "type": "array", "items": { "type": "number" } }),
        Objects(_) => json!({ "type": "array", "items": { "type": "object" } }),
        Object(shape) => {
            let settable = shape.fields.iter().filter(|(_, field)| !matches!(field, ReadOnly(_)));
            let properties: Map<_, _> =
                settable.map(|(name, field)| ((*name).to_owned(), schema_of(field, false))).collect();
            json!({ "type": "object", "additionalProperties": false, "properties": properties })
        }
    }
}

/// As a message says it.
impl fmt::Display for Documented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.alternatives())
    }
}

/// What a message about an unknown name ends with: the same name in another branch, or one that is written alike.
fn meant(shape: &'static Shape, name: &str) -> String {
    match elsewhere(shape, name) {
        Some(path) => format!("did you mean {path}?"),
        None => super::check::expected(name, shape.fields.iter().map(|(known, _)| *known)),
    }
}

/// The path of the first field of that name in the branches of a shape.
fn elsewhere(shape: &'static Shape, name: &str) -> Option<String> {
    shape.fields.iter().find_map(|(branch, field)| {
        let Object(below) = field else { return None };
        let path = if below.field(name).is_some() { name.to_owned() } else { elsewhere(below, name)? };
        Some(format!("{branch}.{path}"))
    })
}
