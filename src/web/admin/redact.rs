//! Bodies of deliveries, as they are shown: without what opens a meeting or an account.

use serde_json::Value;

pub(super) fn redact(value: &mut Value) {
    const SECRET: [&str; 10] = [
        "host_key",
        "password",
        "passcode",
        "plainToken",
        "token",
        "download_token",
        "start_url",
        "join_url",
        "h323_password",
        "encrypted_password",
    ];
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if SECRET.contains(&key.as_str()) {
                    *value = "***".into();
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}
