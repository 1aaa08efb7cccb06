//! Entries as rows of CSV: RFC 4180, and nothing in it is a formula.

use csv::{Terminator, WriterBuilder};
use serde_json::Value;

use crate::cli::{Exit, Failure};
use crate::plain::clean;
use crate::web::admin::entry_schema;
use crate::web::admin::view::EntryView;

/// The columns that come first. Those that entries have besides follow by name, and what is in a part of an entry is `part.field`.
const FIRST: [&str; 21] = [
    "index",
    "at",
    "kind",
    "code",
    "app",
    "account",
    "delivery",
    "job",
    "rule",
    "subject",
    "actor",
    "attempt",
    "severity",
    "note",
    "call.method",
    "call.path",
    "call.category",
    "call.status",
    "call.millis",
    "saw",
    "leaf",
];

pub(super) struct Table {
    columns: Vec<String>,
}

impl Table {
    /// With every field that an entry can have.
    pub(super) fn new() -> Self {
        let schema = entry_schema();
        let names = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|fields| fields.keys());
        let is_more = |name: &&String| !FIRST.iter().any(|first| first.split('.').next() == Some(name));
        let more: Vec<String> = names.filter(is_more).cloned().collect();
        Self { columns: FIRST.into_iter().map(str::to_owned).chain(more).collect() }
    }

    pub(super) fn head(&self) -> Result<String, Failure> {
        record(&self.columns)
    }

    pub(super) fn row(&self, entry: &EntryView) -> Result<String, Failure> {
        let entry = serde_json::to_value(entry).map_err(|error| failed(&error))?;
        let cells = self.columns.iter().map(|column| {
            let value = column.split('.').try_fold(&entry, |value, part| value.get(part));
            cell(value.unwrap_or(&Value::Null))
        });
        record(&cells.collect::<Vec<_>>())
    }
}

/// What some spreadsheet takes for the beginning of a formula: signs, also in full width, and what may stand before one.
const FORMULAS: [char; 11] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'];

/// A text that a spreadsheet shows, and does not reckon.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => return other.to_string(),
    };
    let is_formula = text.starts_with(FORMULAS);
    format!("{}{}", if is_formula { "'" } else { "" }, clean(&text))
}

fn record(cells: &[String]) -> Result<String, Failure> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(cells).map_err(|error| failed(&error))?;
    let bytes = writer.into_inner().map_err(|error| failed(error.error()))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Io, format!("cannot write CSV: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_that_a_spreadsheet_would_reckon_begins_with_an_apostrophe() {
        for formula in ["=1+1", "+1", "-1", "@SUM(1)", "=cmd|' /C calc'!A0", "\n=1", "＝1+1", "＋1", "－1", "＠SUM(1)"]
        {
            assert_eq!(cell(&json!(formula)), format!("'{formula}"));
        }
        assert_eq!(cell(&json!("\t=1")), "'\u{fffd}=1");
        assert_eq!(cell(&json!("\r=1")), "'\u{fffd}=1");
        for plain in ["a=1", "", "job_7", "two\nlines"] {
            assert_eq!(cell(&json!(plain)), plain);
        }
        assert_eq!((cell(&json!(null)), cell(&json!(7)), cell(&json!([]))), (String::new(), "7".into(), "[]".into()));
    }

    #[test]
    fn rows_end_and_are_quoted_as_rfc_4180_says() {
        let row = record(&["plain".to_owned(), "a \"b\", c".to_owned(), "two\nlines".to_owned()]).unwrap();
        assert_eq!(row, "plain,\"a \"\"b\"\", c\",\"two\nlines\"\r\n");
    }

    #[test]
    fn every_field_of_an_entry_has_a_column() {
        let columns = Table::new().columns;
        for field in entry_schema()["properties"].as_object().unwrap().keys() {
            let is_its = |column: &&String| column.split('.').next() == Some(field);
            assert!(columns.iter().any(|column| is_its(&column)), "{field}");
        }
        for first in FIRST {
            let field = first.split('.').next().unwrap();
            assert!(entry_schema()["properties"].get(field).is_some(), "{first}");
        }
    }
}
