//! What in Zoom's objects opens a meeting or an account: it is neither shown nor kept.

use serde_json::Value;

/// A field with one of these in its name, in lower case.
const IN_NAMES: [&str; 13] = [
    "password",
    "passcode",
    "passwd",
    "pwd",
    "_url",
    "host_key",
    "stream_key",
    "token",
    "secret",
    "pin",
    "zak",
    "pstn",
    "h323",
];
/// A text with one of these in it, as links have them.
const IN_TEXTS: [&str; 3] = ["pwd=", "zak=", "token="];

/// Whether what stands in that field is kept to oneself. That one is asked for opens nothing.
pub fn is_secret(name: &str, value: &Value) -> bool {
    match value {
        Value::Bool(_) => false,
        Value::String(text) => is_secret_name(name) || IN_TEXTS.iter().any(|word| text.contains(word)),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => is_secret_name(name),
    }
}

/// In the place of a secret.
pub const NOT_KEPT: &str = "(not kept)";

/// A tree without secrets: in the place of each stands `mark`; without one, fields with such a name are left out. A text that
/// only looks like one stays a field: anybody can write that into the topic of a meeting.
pub fn without_secrets(value: &mut Value, mark: Option<&str>) {
    match value {
        Value::Object(map) => {
            if mark.is_none() {
                map.retain(|name, value| matches!(value, Value::Bool(_)) || !is_secret_name(name));
            }
            for (name, value) in map {
                match mark {
                    _ if is_secret(name, value) => *value = mark.unwrap_or(NOT_KEPT).into(),
                    _ => without_secrets(value, mark),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                // A text in a list has no name of its own.
                if is_secret("", item) {
                    *item = mark.unwrap_or(NOT_KEPT).into();
                } else {
                    without_secrets(item, mark);
                }
            }
        }
        _ => {}
    }
}

/// The same by the name alone.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    IN_NAMES.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_opens_a_meeting_or_an_account_is_a_secret_and_that_it_is_asked_for_is_none() {
        for name in [
            "password",
            "pmi_password",
            "pstn_password",
            "h323_passcode",
            "encrypted_passcode",
            "dynamic_host_key",
            "zak",
            "chat_join_url",
            "personal_meeting_url",
            "start_url",
            "plainToken",
            "download_token",
            "pin",
        ] {
            assert!(is_secret(name, &"054321".into()), "{name}");
            assert!(is_secret(name, &54_321.into()), "{name}");
        }
        assert!(is_secret("link", &"https://zoom.us/j/1?pwd=abc".into()));
        assert!(!is_secret("require_password_for_instant_meetings", &true.into()));
        for name in ["topic", "id", "host_id", "start_time", "email"] {
            assert!(!is_secret(name, &"054321".into()), "{name}");
        }
    }
}
