//! What a rule's condition saw of a subject, as the audit log keeps it: the facts that the condition names, cut short, and
//! none that opens a meeting or an account.

use serde_json::Value;

use super::around::Around;
use super::asked::facts;
use super::judge::Picture;
use crate::audit::Saw;
use crate::rules::{Condition, Leaf, NOT_KEPT, Rule, Seen, SubjectKind, is_secret, is_secret_name};

/// Parts of a condition that are kept.
const LEAVES_MAX: usize = 32;
/// Characters of a fact, and of a part of a condition.
const CHARS_MAX: usize = 120;

/// Every part of the rule's condition, as far as the picture answers it.
pub fn seen(rule: &Rule, around: &Around<'_>, picture: &Picture) -> Vec<Saw> {
    let Some(condition) = rule.asked() else { return Vec::new() };
    let is_read = match rule.subject {
        SubjectKind::User => picture.user.is_some(),
        SubjectKind::Meeting => picture.meeting.is_some(),
        SubjectKind::Event => picture.event.is_some(),
    };
    // What is not known is left out, and shown as such.
    if is_read { saw(condition, &facts(rule, around, picture).0) } else { Vec::new() }
}

/// Every part of a condition, as these facts answer it.
pub fn saw(condition: &Condition, facts: &Value) -> Vec<Saw> {
    condition.explain(facts).into_iter().take(LEAVES_MAX).map(kept).collect()
}

fn kept(leaf: Leaf) -> Saw {
    let outcome = match leaf.outcome {
        Ok(holds) => holds.to_string(),
        Err(error) => short(&error.to_string()),
    };
    Saw { text: short(&leaf.text), facts: leaf.saw.into_iter().map(fact).collect(), outcome }
}

fn fact(seen: Seen) -> (String, String) {
    let value = match seen.value {
        Ok(value) if is_secret(&seen.text, &value) || holds_object(&value) => NOT_KEPT.to_owned(),
        Ok(value) => short(&value.to_string()),
        Err(_) if is_secret_name(&seen.text) => NOT_KEPT.to_owned(),
        Err(error) => short(&error.to_string()),
    };
    (short(&seen.text), value)
}

/// A tree may hold secrets further down.
fn holds_object(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(holds_object),
        _ => false,
    }
}

fn short(text: &str) -> String {
    let mut kept: String = text.chars().take(CHARS_MAX).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_whole_subjects_are_not_kept_and_long_facts_are_cut() {
        let seen = |text: &str, value: &str| Seen { text: text.to_owned(), value: Ok(value.into()) };
        for name in ["meeting.password", "user.host_key", "meeting.settings[\"start_url\"]"] {
            assert_eq!(fact(seen(name, "abc")).1, "(not kept)", "{name}");
        }
        let whole = serde_json::json!([{ "host_key": "123456" }]);
        assert_eq!(fact(Seen { text: "user.all".to_owned(), value: Ok(whole) }).1, "(not kept)");
        assert_eq!(fact(seen("user.dept", "Maths")).1, "\"Maths\"");
        let (_, long) = fact(seen("user.dept", &"é".repeat(500)));
        assert_eq!(long.chars().count(), CHARS_MAX + 1);
    }
}
