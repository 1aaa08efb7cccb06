//! The JSON Schema of an entry of the audit log, as every reader of it gets one.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::openapi::without_links;
use super::view::EntryView;

/// Fields may be added to an entry. One that goes, or says another thing, makes another version.
const VERSION: u32 = 1;

const ABOUT: &str = "One entry of adjutant's audit log, as /v1/audit, /v1/audit/stream and `adjutant audit export` give it. Ids are text, \
                     times are in RFC 3339. Fields may be added: a reader passes over those that it does not know. One that goes, or \
                     says another thing, makes another version, which the id names.";

/// As `adjutant audit schema` prints it, and committed as `deploy/audit-entry.schema.json`.
pub fn entry_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<EntryView>();
    let mut schema = Value::from(schema);
    without_links(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$id".to_owned(), json!(format!("urn:adjutant:audit-entry:{VERSION}")));
        schema.insert("title".to_owned(), json!("an entry of adjutant's audit log"));
        schema.insert("version".to_owned(), json!(VERSION));
        schema.insert("description".to_owned(), json!(ABOUT));
    }
    schema
}
