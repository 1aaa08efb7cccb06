//! The Open Cybersecurity Schema Framework: a class where one fits, else the base event. What the class has no place for is
//! `unmapped`.

use serde_json::{Map, Value, json};

use super::{Item, Original};
use crate::clock::Timestamp;

/// Of the schema: what is used of it has not changed since.
const VERSION: &str = "1.3.0";

/// A class of events, and what happened, in its numbers.
struct Class {
    category: u32,
    uid: u32,
    name: &'static str,
    activity: u32,
}

impl Class {
    /// What the class has no number for.
    const OTHER: u32 = 99;
    const BASE: Self = Self { category: 0, uid: 0, name: "Base Event", activity: Self::OTHER };

    fn of(entry: &Value) -> Self {
        let text = |field| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let method = entry.pointer("/call/method").and_then(Value::as_str);
        match (text("kind"), text("code"), method) {
            ("call", _, Some(method)) => {
                let activity = match method {
                    "POST" => 1,
                    "GET" => 2,
                    "PUT" | "PATCH" => 3,
                    "DELETE" => 4,
                    _ => Self::OTHER,
                };
                Self { category: 6, uid: 6_003, name: "API Activity", activity }
            }
            ("outcome", "changed", _) if entity(text("subject")).is_some() => {
                Self { category: 3, uid: 3_004, name: "Entity Management", activity: 3 }
            }
            ("service", code, _) => {
                let activity = match code {
                    "started" => 3,
                    "stopped" => 4,
                    _ => Self::OTHER,
                };
                Self { category: 6, uid: 6_002, name: "Application Lifecycle", activity }
            }
            _ => Self::BASE,
        }
    }
}

pub(super) fn write(item: &Item<'_>) -> Value {
    let class = Class::of(item.entry);
    // What stays in here is unmapped.
    let mut left = item.entry.as_object().cloned().unwrap_or_default();
    let (kind, code) = (item.text("kind").unwrap_or_default(), item.text("code").unwrap_or_default());
    let time = item.text("at").and_then(Timestamp::parse).unwrap_or_default();
    let mut event = object(json!({
        "category_uid": class.category,
        "class_uid": class.uid,
        "class_name": class.name,
        "activity_id": class.activity,
        "type_uid": class.uid.saturating_mul(100).saturating_add(class.activity),
        "time": time.as_millis(),
        "severity_id": severity(kind, item.text("severity")),
        "message": item.text("note").map_or_else(|| format!("{kind} {code}"), str::to_owned),
        "metadata": metadata(item),
    }));
    if class.activity == Class::OTHER {
        event.insert("activity_name".to_owned(), format!("{kind} {code}").into());
    }
    event.extend(of_class(&class, item));
    for mapped in ["index", "at", "note", "severity", "account"] {
        left.remove(mapped);
    }
    match class.uid {
        6_003 => drop(left.remove("call")),
        3_004 => drop(left.remove("subject")),
        _ => {}
    }
    match item.body {
        Some(Original::Json(body)) => drop(event.insert("raw_data".to_owned(), body.to_string().into())),
        Some(Original::Bytes(bytes)) => {
            left.insert("body_base64".to_owned(), Original::encoded(bytes));
        }
        None => {}
    }
    left.retain(|_, value| !value.is_null());
    event.insert("unmapped".to_owned(), Value::Object(left));
    Value::Object(event)
}

/// What has no class: in words what happened, its id, its log, when it was, and all that is known of it.
pub(super) fn base(activity: &str, message: &str, (id, log, at): (&str, &str, Timestamp), unmapped: &Value) -> Value {
    let class = Class::BASE;
    json!({
        "category_uid": class.category,
        "class_uid": class.uid,
        "class_name": class.name,
        "activity_id": class.activity,
        "activity_name": activity,
        "type_uid": class.uid.saturating_mul(100).saturating_add(class.activity),
        "time": at.as_millis(),
        "severity_id": 1,
        "message": message,
        "metadata": { "version": VERSION, "product": product(), "uid": id, "log_name": log },
        "unmapped": unmapped,
    })
}

fn metadata(item: &Item<'_>) -> Value {
    let mut metadata = object(json!({
        "version": VERSION,
        "product": product(),
        "uid": item.id(),
        "sequence": item.index(),
        "log_name": item.log,
    }));
    for (name, field) in [("tenant_uid", "account"), ("correlation_uid", "job"), ("event_code", "code")] {
        if let Some(value) = item.text(field) {
            metadata.insert(name.to_owned(), value.into());
        }
    }
    Value::Object(metadata)
}

fn product() -> Value {
    json!({ "name": "adjutant", "vendor_name": "adjutant", "version": env!("CARGO_PKG_VERSION") })
}

/// What a class wants beside what all want.
fn of_class(class: &Class, item: &Item<'_>) -> Map<String, Value> {
    object(match class.uid {
        6_003 => called(item.entry.get("call").unwrap_or(&Value::Null)),
        6_002 => json!({ "app": product() }),
        3_004 => json!({ "entity": item.text("subject").and_then(entity), "actor": { "app_name": "adjutant" } }),
        _ => json!({}),
    })
}

fn called(call: &Value) -> Value {
    let text = |field| call.get(field).and_then(Value::as_str).unwrap_or_default();
    let status = call.get("status").and_then(Value::as_u64);
    let (status_id, name) = if matches!(status, Some(200..=399)) { (1, "Success") } else { (2, "Failure") };
    let mut event = json!({
        "actor": { "app_name": "adjutant" },
        "src_endpoint": { "svc_name": "adjutant" },
        "api": {
            "operation": format!("{} {}", text("method"), text("path")),
            "service": { "name": "Zoom REST API" },
            "response": { "code": status },
        },
        "duration": call.get("millis"),
        "status_id": status_id,
        "status": name,
        "status_code": status.map(|status| status.to_string()),
    });
    if let (None, Some(event)) = (status, event.as_object_mut()) {
        event.insert("status_detail".to_owned(), "no answer".into());
        event.remove("status_code");
        event.insert("api".to_owned(), json!({ "operation": format!("{} {}", text("method"), text("path")) }));
    }
    event
}

/// Who or what a subject such as `user:abc` is.
fn entity(subject: &str) -> Option<Value> {
    let (kind, id) = subject.split_once(':')?;
    let uid = id.split_whitespace().next()?;
    let kind = match kind {
        "user" => "User",
        "meeting" => "Meeting",
        _ => return None,
    };
    Some(json!({ "name": subject, "uid": uid, "type": kind }))
}

fn severity(kind: &str, of_rule: Option<&str>) -> u32 {
    match (kind, of_rule) {
        (_, Some("critical")) => 5,
        (_, Some("warning")) | ("attention", None) => 3,
        ("refusal", None) => 2,
        _ => 1,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
