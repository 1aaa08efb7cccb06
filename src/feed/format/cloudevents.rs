//! `CloudEvents` 1.0 in JSON, with its extension `sequence`. Of a delivery whose body is passed on, the data is that body.

use serde_json::{Map, Value};

use super::{Item, Original};

pub(super) fn write(item: &Item<'_>) -> Value {
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    put("specversion", "1.0".into());
    put("id", item.id().into());
    put("source", item.log.into());
    // Texts are compared as such: 20 digits hold every index.
    put("sequence", format!("{:020}", item.index()).into());
    if let Some(at) = item.text("at") {
        put("time", at.into());
    }
    let Some(body) = item.body else {
        put("type", format!("adjutant.audit.{}.v1", item.text("kind").unwrap_or("unknown")).into());
        if let Some(subject) = item.text("subject").filter(|subject| !subject.is_empty()) {
            put("subject", subject.into());
        }
        put("datacontenttype", "application/json".into());
        put("data", item.entry.clone());
        return Value::Object(event);
    };
    put("type", "adjutant.delivery.v1".into());
    for (name, field) in [("subject", "delivery"), ("adjutantapp", "app")] {
        if let Some(value) = item.text(field) {
            put(name, value.into());
        }
    }
    put("datacontenttype", "application/json".into());
    match body {
        Original::Json(body) => put("data", body.clone()),
        Original::Bytes(bytes) => put("data_base64", Original::encoded(bytes)),
    }
    Value::Object(event)
}
