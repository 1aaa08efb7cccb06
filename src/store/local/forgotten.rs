//! What is to be forgotten, and how it is known where it is named: pure.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{AccountId, Email, UserId};

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forgotten {
    Account(AccountId),
    /// A person of an account, known by either or both. What other accounts know of them stays: that is theirs.
    Person {
        account: AccountId,
        id: Option<UserId>,
        email: Option<Email>,
    },
}

impl Forgotten {
    pub const fn account(&self) -> &AccountId {
        match self {
            Self::Account(account) | Self::Person { account, .. } => account,
        }
    }

    pub(super) const fn is_account(&self) -> bool {
        matches!(self, Self::Account(_))
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Self::Account(account) => vec![account.as_str()],
            Self::Person { id, email, .. } => {
                id.as_ref().map(UserId::as_str).into_iter().chain(email.as_ref().map(Email::as_str)).collect()
            }
        }
    }

    /// Whether it is named in a text, and not only a part of a longer name.
    pub(super) fn is_in_text(&self, text: &str) -> bool {
        // As in a path.
        let unescaped = text.contains('%').then(|| percent_decode_str(text).decode_utf8_lossy());
        let in_unescaped = |name| unescaped.as_ref().is_some_and(|text| is_named(text, name));
        self.names().into_iter().any(|name| is_named(text, name) || in_unescaped(name))
    }

    fn is_in_value(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_in_text(text),
            Value::Array(items) => items.iter().any(|item| self.is_in_value(item)),
            Value::Object(fields) => fields.iter().any(|(key, value)| self.is_in_text(key) || self.is_in_value(value)),
            Value::Number(_) | Value::Bool(_) | Value::Null => false,
        }
    }

    /// In anything with texts in it. What cannot be looked into may name it.
    pub(super) fn is_in(&self, thing: &impl Serialize) -> bool {
        serde_json::to_value(thing).map_or(true, |value| self.is_in_value(&value))
    }

    /// In bytes, mostly JSON; else any occurrence counts.
    pub(super) fn is_in_bytes(&self, bytes: &[u8]) -> bool {
        let occurs = self.names().into_iter().any(|name| occurs(bytes, name.as_bytes()));
        // Escaped, a name may look like anything.
        (occurs || bytes.iter().any(|byte| matches!(byte, b'\\' | b'%')))
            && serde_json::from_slice(bytes).map_or(occurs, |value| self.is_in_value(&value))
    }

    /// JSON without the items of lists that name it; none where it is no JSON, or names it elsewhere as well.
    pub(super) fn rest_of(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut value: Value = serde_json::from_slice(bytes).ok()?;
        self.take_out_of(&mut value);
        if self.is_in_value(&value) { None } else { serde_json::to_vec(&value).ok() }
    }

    fn take_out_of(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.retain(|item| !self.is_in_value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.take_out_of(value)),
            _ => {}
        }
    }
}

pub(super) fn occurs(bytes: &[u8], name: &[u8]) -> bool {
    !name.is_empty() && bytes.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name))
}

fn is_named(text: &str, name: &str) -> bool {
    let (bytes, name) = (text.as_bytes(), name.as_bytes());
    let goes_on = |at: Option<&u8>, more: &[u8]| at.is_some_and(|b| b.is_ascii_alphanumeric() || more.contains(b));
    bytes.windows(name.len().max(1)).enumerate().any(|(at, window)| {
        let end = at.saturating_add(name.len());
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let (after, later) = (bytes.get(end), bytes.get(end.saturating_add(1)));
        // A full stop may end a sentence, or be within a name that is longer.
        let is_longer = goes_on(after, b"_-") || (after == Some(&b'.') && goes_on(later, b""));
        window.eq_ignore_ascii_case(name) && !is_longer && !goes_on(before, b"._+-")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> Forgotten {
        let account = AccountId::parse("acc").unwrap();
        Forgotten::Person { account, id: UserId::parse("u-1").ok(), email: Email::parse("ann@x.example").ok() }
    }

    #[test]
    fn a_person_is_known_by_the_whole_name_and_not_by_a_part_of_another() {
        for text in [
            "ann@x.example",
            "to ANN@X.example.",
            "user:u-1 ann@x.example",
            "/users/u-1/assistants",
            "u-1",
            "/users/ann%40x.example?a",
            "(ann@x.example)",
            "ann@x.example, jim@x.example",
        ] {
            assert!(person().is_in_text(text), "{text}");
        }
        for text in ["", "joann@x.example", "jo.ann@x.example", "ann@x.example.org", "ann@x.example-a", "u-12", "xu-1"]
        {
            assert!(!person().is_in_text(text), "{text}");
        }
    }

    #[test]
    fn a_person_is_known_in_a_path_however_the_name_is_escaped_there() {
        let jill = Email::parse("jill+x@y.example").ok();
        let jill = Forgotten::Person { account: AccountId::parse("acc").unwrap(), id: None, email: jill };
        for text in ["/users/jill%2Bx%40y.example/assistants", "/users/jill%2bx@y.example", "jill+x@y.example"] {
            assert!(jill.is_in_text(text) && jill.is_in_bytes(format!("{{\"path\":\"{text}\"}}").as_bytes()), "{text}");
        }
        for text in ["/users/jill%2Bxx%40y.example", "/users/%2Bx%40y.example", "100%"] {
            assert!(!jill.is_in_text(text), "{text}");
        }
    }

    #[test]
    fn in_json_escapes_hide_nobody_and_elsewhere_any_occurrence_counts() {
        for bytes in [r#"{"a":[{"email":"ann\u0040x.example"}]}"#, r#"{"\u0075-1":1}"#, "no JSON xann@x.exampley"] {
            assert!(person().is_in_bytes(bytes.as_bytes()), "{bytes}");
        }
        for bytes in [r#"{"email":"joann@x.example"}"#, r#"{"a":"\n"}"#, "no JSON"] {
            assert!(!person().is_in_bytes(bytes.as_bytes()), "{bytes}");
        }
    }
}
