//! Which entries of the audit log a reader wants: a condition over `entry`, in the language of rules.
//!
//! Guarantees: what cannot be evaluated is passed on, so that nothing is lost by a mistake; evaluating is bounded.

use serde_json::{Value, json};

use crate::rules::{Condition, ConditionError, Topic, lower_emails};

/// A condition that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Condition);

impl Filter {
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        Condition::compile(text, Topic::Entry).map(Self)
    }

    /// Whether the entry, as the admin API shows it, is passed on.
    pub fn passes(&self, entry: &Value) -> bool {
        let mut facts = json!({ "entry": entry });
        lower_emails(&mut facts);
        self.0.holds(&facts).unwrap_or(true)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rules::Documented;
    use crate::web::admin::view::EntryView;

    fn passes(filter: &str, entry: &Value) -> bool {
        Filter::parse(filter).unwrap().passes(entry)
    }

    #[test]
    fn an_entry_passes_where_the_condition_holds_or_has_no_answer() {
        let entry = json!({ "index": 7, "kind": "call", "code": "called", "account": null,
            "call": { "method": "POST", "path": "/users", "category": "light", "status": 201, "millis": 12 } });
        for (filter, passed) in [
            ("entry.kind == \"call\"", true),
            ("entry.kind != \"call\"", false),
            ("entry.call.method in [\"POST\", \"PATCH\"] && entry.call.status >= 200", true),
            ("entry.call.status == 429", false),
            ("has(entry.account)", false),
            ("entry.account == \"a1\"", false),
            // No answer: null has no beginning.
            ("entry.account.startsWith(\"a\")", true),
            ("entry.severity == \"critical\"", false),
        ] {
            assert_eq!(passes(filter, &entry), passed, "{filter}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_told_with_its_place_and_what_was_meant() {
        for (filter, column, words) in [
            ("entry.knd == \"call\"", 7, "entry has no field knd: did you mean kind?"),
            ("event.kind == \"call\"", 1, "nothing is named event"),
            ("entry.index", 1, "the condition is a number"),
            ("entry.severity == \"bad\"", 19, "\"warning\""),
        ] {
            let error = Filter::parse(filter).unwrap_err();
            let text = error.to_string();
            assert!(
                error.column(filter) == column && text.contains(words),
                "{filter}: {}, {text}",
                error.column(filter)
            );
        }
        let long = format!("entry.code == \"{}\"", "x".repeat(1_000));
        assert!(Filter::parse(&long).unwrap_err().what.contains("bytes long"));
    }

    /// The names of an object's fields, in a schema.
    fn names(schema: &Value) -> BTreeSet<String> {
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn a_filter_can_speak_of_every_field_that_the_api_shows_and_of_no_other() {
        let shown = schemars::schema_for!(EntryView).to_value();
        let known = Documented::subject_of(Topic::Entry);
        assert_eq!(names(&known.schema()), names(&shown));
        assert_eq!(names(&known.branch("call").schema()), names(&shown["$defs"]["Call"]));
    }
}
