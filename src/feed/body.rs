//! What is sent of a message: the event in an envelope, or what a template makes of it.

use serde_json::{Value, json};

use super::template::Template;
use crate::work::Message;

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
}

/// As Standard Webhooks has it.
fn envelope(message: &Message) -> Value {
    let (key, what) = match &message.record {
        Some(record) => ("record", Some(record)),
        None => ("event", message.whole.get("payload")),
    };
    json!({
        "type": message.event,
        "timestamp": message.at.to_string(),
        "data": {
            "account": message.account,
            "app": message.app,
            "rule": message.rule,
            "delivery": message.delivery.to_string(),
            key: what,
        },
    })
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
        "delivery": message.delivery.to_string(),
        "event": message.whole,
        "record": message.record,
    })
}
