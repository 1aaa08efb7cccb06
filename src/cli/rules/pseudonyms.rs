//! People and secrets, replaced: the same one always by the same pseudonym, so that a case means what the delivery meant.
//!
//! What is kept is listed, and all other text is replaced: a field that is not known may name somebody.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use crate::rules::is_secret;

/// Fields whose text is a word of Zoom's or a moment, and so names nobody, where it looks like one.
const KEPT: [&str; 18] = [
    "approval_type",
    "audio",
    "auto_recording",
    "created_at",
    "creation_type",
    "encryption_type",
    "end_time",
    "event",
    "language",
    "operation",
    "scope",
    "start_time",
    "status",
    "time_stamp",
    "timezone",
    "last_login_time",
    "join_time",
    "leave_time",
];
/// Numbers from here on may be somebody's: a phone, a meeting. Digits in a text always may.
const NUMBER_MIN: u64 = 100_000;
/// But for these, which are moments.
const MOMENTS: [&str; 2] = ["event_ts", "time_stamp"];

#[derive(Debug, Default)]
pub(super) struct Pseudonyms {
    known: BTreeMap<String, String>,
    numbers: BTreeMap<u64, u64>,
    counts: BTreeMap<&'static str, u64>,
}

impl Pseudonyms {
    /// Replaces what is in a tree; `key` is the field in which it is.
    pub(super) fn replace(&mut self, key: &str, value: Value) -> Value {
        match value {
            Value::String(text) if text.is_empty() || text == "***" => text.into(),
            Value::String(text) if is_secret(key, &Value::String(text.clone())) => self.named("secret", text).into(),
            Value::Number(number) if is_secret(key, &Value::Number(number.clone())) => {
                self.named("secret", number.to_string()).into()
            }
            Value::Object(map) => {
                let replaced = map.into_iter().map(|(key, value)| {
                    let value = self.replace(&key, value);
                    (key, value)
                });
                Value::Object(replaced.collect())
            }
            Value::Array(items) => items.into_iter().map(|item| self.replace(key, item)).collect(),
            Value::String(text) if KEPT.contains(&key) && (is_word(&text) || is_moment(&text)) => text.into(),
            Value::String(text) => self.text(key, &text).into(),
            Value::Number(number) if !MOMENTS.contains(&key) => self.number(number),
            value => value,
        }
    }

    fn text(&mut self, key: &str, text: &str) -> String {
        // Lists of people come as one text.
        if text.contains('@') && text.contains([';', ',']) {
            let parts = text.split([';', ',']).map(|part| self.text(key, part.trim()));
            return parts.collect::<Vec<_>>().join(";");
        }
        // The number of a meeting comes as a number here and as text there.
        if let Ok(number) = text.parse::<u64>() {
            return self.number_for(number).to_string();
        }
        let (kind, known_as) = match key {
            _ if text.contains('@') => ("user", text.to_lowercase()),
            _ if matches!(key, "id" | "uuid") || key.ends_with("_id") || key.ends_with("_ids") => {
                ("id", text.to_owned())
            }
            _ if text.contains("://") => ("url", text.to_owned()),
            "topic" | "agenda" => ("topic", text.to_owned()),
            _ if key.ends_with("name") => ("name", text.to_owned()),
            _ => ("text", text.to_owned()),
        };
        self.named(kind, known_as)
    }

    fn named(&mut self, kind: &'static str, known_as: String) -> String {
        if let Some(known) = self.known.get(&known_as) {
            return known.clone();
        }
        let number = self.count(kind);
        let made = match kind {
            "user" => format!("user-{number}@example.com"),
            "url" => format!("https://example.com/{number}"),
            kind => format!("{kind}-{number}"),
        };
        self.known.insert(known_as, made.clone());
        made
    }

    fn number(&mut self, number: Number) -> Value {
        match number.as_u64() {
            Some(whole) if whole >= NUMBER_MIN => self.number_for(whole).into(),
            Some(_) => Value::Number(number),
            // Below nothing, or with a fraction: no such field is known.
            None => 0.into(),
        }
    }

    fn number_for(&mut self, number: u64) -> u64 {
        if let Some(known) = self.numbers.get(&number) {
            return *known;
        }
        let made = 90_000_000_000_u64.saturating_add(self.count("number"));
        self.numbers.insert(number, made);
        made
    }

    fn count(&mut self, kind: &'static str) -> u64 {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

fn is_word(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.:/+".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.contains("://") && text.chars().all(is_part)
}

/// As in `2025-02-19T09:30:00Z`.
fn is_moment(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || "TZ-:.+".contains(c);
    text.as_bytes().get(4) == Some(&b'-') && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_of_digits_are_replaced_and_words_and_moments_are_kept_only_where_they_look_like_that() {
        let body = json!({
            "password": "054321", "pmi_password": 54_322, "dialling": "54323", "status": "active",
            "timezone": "Europe/Berlin", "start_time": "2025-02-19T09:30:00Z", "type": 2, "duration": 45,
            "audio": "ask Jill Hill", "operation": "jill@school.example", "end_time": "54324",
        });
        let replaced = Pseudonyms::default().replace("", body);
        let text = replaced.to_string();
        for original in ["54321", "54322", "54323", "54324", "Jill", "jill"] {
            assert!(!text.contains(original), "{original} is left in {text}");
        }
        assert_eq!((&replaced["status"], &replaced["timezone"]), (&json!("active"), &json!("Europe/Berlin")));
        assert_eq!(replaced["start_time"], "2025-02-19T09:30:00Z");
        assert_eq!((&replaced["type"], &replaced["duration"]), (&json!(2), &json!(45)));
    }

    #[test]
    fn nobody_is_left_and_who_was_the_same_stays_the_same() {
        let body = json!({
            "event": "meeting.created",
            "event_ts": 1_739_923_528_123_u64,
            "payload": {
                "account_id": "AbC-account",
                "operator": "Boss@School.example",
                "object": {
                    "id": 98_765_432_101_u64, "uuid": "uu/id==", "host_id": "hOsT", "topic": "Maths with Jill",
                    "type": 2, "password": "s3cret", "join_url": "https://zoom.us/j/98765432101?pwd=abc",
                    "phone_number": "+4912345", "dept": "Maths",
                    "settings": { "alternative_hosts": "boss@school.example;jill@school.example", "waiting_room": true },
                },
                "old_object": { "id": "98765432101", "host_id": "hOsT" },
            },
        });
        let replaced = Pseudonyms::default().replace("", body);
        let text = replaced.to_string();
        for original in [
            "AbC",
            "Boss",
            "boss",
            "school",
            "98765432101",
            "uu/id",
            "hOsT",
            "Maths",
            "Jill",
            "jill",
            "s3cret",
            "pwd",
            "+4912345",
        ] {
            assert!(!text.contains(original), "{original} is left in {text}");
        }
        let object = &replaced["payload"]["object"];
        assert_eq!(object["id"].to_string(), replaced["payload"]["old_object"]["id"].as_str().unwrap());
        assert_eq!(object["host_id"], replaced["payload"]["old_object"]["host_id"]);
        let hosts = object["settings"]["alternative_hosts"].as_str().unwrap();
        assert_eq!(hosts.split(';').next(), replaced["payload"]["operator"].as_str(), "the same person");
        assert_eq!(object["settings"]["waiting_room"], true);
        assert_eq!((&replaced["event"], &object["type"]), (&json!("meeting.created"), &json!(2)));
        assert_eq!(replaced["event_ts"], 1_739_923_528_123_u64);
    }
}
