//! What is sent of a message: the event in an envelope, or what a template makes of it.

use serde_json::{Value, json};

use super::template::Template;
use crate::plain::one_line;
use crate::work::Message;

/// Longer than any id of Zoom's.
const ID_CHARS_MAX: usize = 64;

/// The text that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub text: String,
    pub is_json: bool,
}

impl Body {
    /// An error says why the template makes nothing of it.
    pub fn of(message: &Message, template: Option<&str>) -> Result<Self, String> {
        let Some(template) = template else {
            return Ok(Self { text: envelope(message).to_string(), is_json: true });
        };
        let template = Template::parse(template).map_err(|error| error.to_string())?;
        let text = template.render(seen(message)).map_err(|error| error.to_string())?;
        Ok(Self { text, is_json: template.is_json() })
    }

    pub(super) const fn content_type(&self) -> &'static str {
        if self.is_json { "application/json" } else { "text/plain; charset=utf-8" }
    }

    /// In JSON, ends of lines mean nothing between texts, and there are none within.
    pub(super) fn in_one_line(&self) -> String {
        let lines = self.text.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join(" ")
    }

    /// For people: what the template makes of it as text, or a sentence. It begins with how much it matters.
    pub fn in_words(message: &Message, template: Option<&str>) -> Result<Self, String> {
        let text = match template {
            None => Ok(sentence(message)),
            Some(template) => Template::parse(template).and_then(|template| template.in_words().render(seen(message))),
        };
        let text = text.map_err(|error| error.to_string())?;
        let severity = message.severity.map_or_else(String::new, |severity| format!("{}: ", severity.word()));
        Ok(Self { text: format!("{severity}{text}"), is_json: false })
    }
}

/// The sentence of an event that no template puts in words: what Zoom's ids say, and no name.
fn sentence(message: &Message) -> String {
    const IDS: [&str; 4] = ["/object/id", "/object/uuid", "/object/host_id", "/object/participant/user_id"];
    let Message { event, account, at, whole, record, .. } = message;
    let id = |path: &&str| {
        let found = whole.get("payload")?.pointer(path)?;
        let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        Some(format!("{} {}", path.trim_start_matches("/object/").replace('/', " "), one_line(&text, ID_CHARS_MAX)))
    };
    let mut parts: Vec<String> = IDS.iter().filter_map(id).collect();
    let people = record.as_ref().and_then(|record| record.pointer("/attendance/participants")?.as_array());
    parts.extend(people.map(|people| format!("{} participants", people.len())));
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("{event} in account {account} at {at}{parts}")
}

/// As Standard Webhooks has it.
fn envelope(message: &Message) -> Value {
    let (key, what) = match &message.record {
        Some(record) => ("record", Some(record)),
        None => ("event", message.whole.get("payload")),
    };
    let mut data = json!({
        "account": message.account,
        "app": message.app,
        "rule": message.rule,
        "delivery": message.delivery.map(|id| id.to_string()),
        key: what,
    });
    if let (Some(severity), Value::Object(data)) = (message.severity, &mut data) {
        data.insert("severity".to_owned(), severity.word().into());
    }
    json!({ "type": message.event, "timestamp": message.at.to_string(), "data": data })
}

/// What a template sees: `event` is what the rule's condition sees, without secrets and with emails as they came.
fn seen(message: &Message) -> Value {
    json!({
        "meeting": message.about.get("meeting"),
        "host": message.about.get("host"),
        "user": message.about.get("user"),
        "type": message.event,
        "timestamp": message.at.to_string(),
        "account": message.account,
        "app": message.app,
        "rule": message.rule,
        "delivery": message.delivery.map(|id| id.to_string()),
        "severity": message.severity,
        "event": message.whole,
        "record": message.record,
    })
}
