//! JSON objects that keep the order of their keys.
//!
//! Zoom's order of keys differs from event to event \[FORUM 74755], and a receiver that parses and prints again before it
//! checks the signature is only found out when the order is not alphabetical.

use serde::Serialize;

/// A JSON object, as text, in the order in which its keys were put.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub(crate) fn put(self, key: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned());
        self.text(key, &value)
    }

    /// Leaves the key out where there is no value.
    #[must_use]
    pub(crate) fn put_some(self, key: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    #[must_use]
    pub(crate) fn nest(self, key: &str, value: Self) -> Self {
        self.text(key, &value.finish())
    }

    #[must_use]
    pub(crate) fn list(self, key: &str, values: impl IntoIterator<Item = Self>) -> Self {
        let values: Vec<String> = values.into_iter().map(Self::finish).collect();
        self.text(key, &format!("[{}]", values.join(",")))
    }

    pub(crate) fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }

    fn text(mut self, key: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&serde_json::Value::from(key).to_string());
        self.0.push(':');
        self.0.push_str(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_in_the_order_in_which_they_were_put() {
        let inner = Object::new().put("b", 1).put("a", "x\"y");
        let text = Object::new().nest("z", inner).put_some("none", None::<u8>).list("l", [Object::new()]).finish();
        assert_eq!(text, r#"{"z":{"b":1,"a":"x\"y"},"l":[{}]}"#);
    }
}
