//! An entry of the audit log in the form that its reader takes. Pure.
//!
//! Guarantees: the same entry of the same log always has the same id, whatever the form. An entry comes as the admin API
//! shows it, so that a field that is new there is in every form.

mod checkpoint;
mod cloudevents;
mod ocsf;
mod raw;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub use checkpoint::Head;

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As the admin API shows it.
    Raw,
    /// `CloudEvents` 1.0, in JSON.
    #[default]
    CloudEvents,
    /// The Open Cybersecurity Schema Framework.
    Ocsf,
}

impl Format {
    pub const CHOICES: [(&str, Self); 3] =
        [("raw", Self::Raw), ("cloudevents", Self::CloudEvents), ("ocsf", Self::Ocsf)];

    pub fn word(self) -> &'static str {
        Self::CHOICES.iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }

    pub fn write(self, item: &Item<'_>) -> Value {
        match self {
            Self::Raw => raw::write(item),
            Self::CloudEvents => cloudevents::write(item),
            Self::Ocsf => ocsf::write(item),
        }
    }
}

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The name of the log, as its checkpoints have it.
    pub log: &'a str,
    /// As the admin API shows it.
    pub entry: &'a Value,
    /// The body of the delivery that it is about, where its reader gets bodies.
    pub body: Option<&'a Original>,
}

/// The body of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Original {
    /// Without secrets.
    Json(Value),
    /// As it came.
    Bytes(Vec<u8>),
}

impl Item<'_> {
    /// Of the entry: the same for ever, and no other's.
    pub fn id(&self) -> String {
        format!("{}/{}", self.log, self.index())
    }

    fn index(&self) -> u64 {
        self.entry.get("index").and_then(Value::as_u64).unwrap_or_default()
    }

    /// A field that is a text, and not null.
    fn text(&self, field: &str) -> Option<&str> {
        self.entry.get(field)?.as_str()
    }
}

impl Original {
    /// As bytes are written in JSON.
    fn encoded(bytes: &[u8]) -> Value {
        STANDARD.encode(bytes).into()
    }
}

#[cfg(test)]
mod tests;
