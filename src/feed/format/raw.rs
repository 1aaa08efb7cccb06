//! As the admin API shows an entry, with the body of its delivery as one field more.

use serde_json::Value;

use super::{Item, Original};

pub(super) fn write(item: &Item<'_>) -> Value {
    let mut entry = item.entry.clone();
    if let (Value::Object(fields), Some(body)) = (&mut entry, item.body) {
        match body {
            Original::Json(body) => fields.insert("body".to_owned(), body.clone()),
            Original::Bytes(bytes) => fields.insert("body_base64".to_owned(), Original::encoded(bytes)),
        };
    }
    entry
}
