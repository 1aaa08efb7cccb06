//! The JSON Schema of the configuration, for editors: the keys as the reader itself tells them, with the comments of the
//! documented file.
//!
//! It knows no key by name but where one rule's keys depend on each other. It is about form: what a variable may still
//! supply is not required, and whether rules make sense together the reader alone knows.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use toml::de::DeTable;

use super::form;
use super::rules::OF_ENSURE;
use super::source::{Env, Key, Reading};
use crate::rules::{Documented, Topic};

/// The file that documents every key.
const SHIPPED: &str = include_str!("../../config.toml");

/// One of everything that has keys of its own.
const ONE_OF_ALL: &str = r#"
app = [{ name = "a", account = [{}] }, { name = "b", kind = "general" }]
rule = [
    { name = "user", for = "user", ensure = {} },
    { name = "meeting", for = "meeting", ensure = {} },
    { name = "event", on = ["meeting.created"], ensure = {} },
    { name = "sent", on = ["meeting.created"], send = "webhook" },
]
notify = [{ name = "a", kind = "webhook" }, { name = "b", kind = "email" }]
consumer = [
    { name = "webhook", kind = "webhook", include = ["audit", "deliveries"] },
    { name = "file", kind = "file" },
    { name = "syslog", kind = "syslog" },
]
"#;

/// The schema of the configuration, or of a file of rules alone.
pub fn schema(of_rules: bool) -> Value {
    let mut sections: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let said = comments();
    for Key { section, name, forms, default } in keys() {
        let mut form = either(forms);
        if form == form::NOTHING {
            continue;
        }
        if let Some(form) = form.as_object_mut() {
            let comment = said.get(&(section.clone(), name.clone()));
            form.extend(comment.map(|comment| ("description".to_owned(), json!(comment))));
            form.extend(default.and_then(|default| Some(("default".to_owned(), json_of(&default)?))));
        }
        sections.entry(section).or_default().insert(name, form);
    }
    let mut top = sections.remove("").unwrap_or_default();
    top.retain(|name, _| !of_rules || name == "rule");
    let mut defs: Map<String, Value> = sections.into_iter().map(|(name, keys)| (name, table(&keys))).collect();
    defs.retain(|name, _| !of_rules || name.starts_with("rule"));
    defs.extend(settings().map(|(name, tree)| (name.to_owned(), tree)));
    if let Some(Value::Object(rule)) = defs.get_mut("rule") {
        rule.extend(of_a_rule());
    }
    let title = if of_rules { "a file of adjutant's rules" } else { "adjutant's configuration" };
    let mut schema = Map::from_iter([
        ("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema")),
        ("title".to_owned(), json!(title)),
        ("$defs".to_owned(), defs.into()),
    ]);
    if let Value::Object(table) = table(&top) {
        schema.extend(table);
    }
    schema.into()
}

/// Every key that the reader knows, with its default.
fn keys() -> Vec<Key> {
    let (root, _) = DeTable::parse_recoverable(ONE_OF_ALL);
    let env = Env::default();
    let reading = Reading::new(ONE_OF_ALL, root.get_ref(), &env, Path::new("."), false).with_keys();
    // What is wrong with it does not matter: no key is left out for that.
    let _incomplete = super::resolve(Path::new("."), &reading, &root);
    reading.keys()
}

fn table(keys: &Map<String, Value>) -> Value {
    // A name is what variables go by, so that none can supply it.
    let required: Vec<&str> = keys.keys().map(String::as_str).filter(|key| *key == "name").collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": keys })
}

/// Settings have hundreds of leaves: each tree stands there once.
fn settings() -> [(&'static str, Value); 3] {
    let user = Documented::settings_of(Topic::User);
    [
        ("user.settings", user.schema()),
        ("user.feature", user.branch("feature").schema()),
        ("meeting.settings", Documented::settings_of(Topic::Meeting).schema()),
    ]
}

/// One form of several. Where one takes anything, the others say more.
fn either(mut forms: Vec<Value>) -> Value {
    for (name, tree) in settings() {
        forms.iter_mut().filter(|form| **form == tree).for_each(|form| *form = form::inner(name));
    }
    if forms.iter().any(|form| *form != form::NOTHING) {
        forms.retain(|form| *form != form::NOTHING);
    }
    if forms.len() > 1 {
        forms.retain(|form| *form != Documented::ANYTHING.schema());
    }
    let several = json!({ "anyOf": forms });
    if forms.len() == 1 { forms.pop().unwrap_or(several) } else { several }
}

/// What the keys of one rule have to do with each other: what it is about says which settings there are.
fn of_a_rule() -> Map<String, Value> {
    let about = |kind: &str, ensure: Value| {
        let subject = json!({ "properties": { "for": { "const": kind } }, "required": ["for"] });
        let events = json!({ "contains": { "pattern": format!(r"^{kind}\.") } });
        let events = json!({ "properties": { "on": events }, "required": ["on"] });
        json!({ "if": { "anyOf": [subject, events] }, "then": { "properties": { "ensure": { "properties": ensure } } } })
    };
    let user = json!({ "settings": form::inner("user.settings"), "feature": form::inner("user.feature") });
    let meeting = json!({ "settings": form::inner("meeting.settings") });
    Map::from_iter([
        ("required".to_owned(), json!(["name"])),
        ("oneOf".to_owned(), json!([{ "required": ["for"] }, { "required": ["on"] }])),
        ("dependentRequired".to_owned(), json!({ "report": ["successor"], "successor": ["report"] })),
        ("allOf".to_owned(), json!([about("user", user), about("meeting", meeting), is_sent()])),
    ])
}

/// Either something is made true, or an event is sent.
fn is_sent() -> Value {
    let never: Map<String, Value> = OF_ENSURE.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    json!({
        "oneOf": [{ "required": ["ensure"] }, { "required": ["send"] }],
        "if": { "required": ["send"] },
        "then": { "required": ["on"], "properties": never },
        "else": { "properties": { "template": false, "report": false, "successor": false } },
    })
}

fn json_of(value: &str) -> Option<Value> {
    let read: toml::Table = toml::from_str(&format!("value = {value}")).ok()?;
    serde_json::to_value(read.get("value")?).ok()
}

/// What the documented file says of each key, by section and key.
fn comments() -> BTreeMap<(String, String), String> {
    let mut said: BTreeMap<(String, String), String> = BTreeMap::new();
    let (mut section, mut key, mut above) = (String::new(), None, String::new());
    for line in SHIPPED.lines() {
        let code = line.strip_prefix("# ").unwrap_or(line);
        let comment = if let Some(name) = code.strip_prefix('[') {
            name.trim_matches(['[', ']']).clone_into(&mut section);
            key = None;
            // A section is a key of what is above it.
            let (outer, own) = section.rsplit_once('.').unwrap_or(("", &section));
            said.entry((outer.to_owned(), own.to_owned())).or_insert(std::mem::take(&mut above));
            continue;
        } else if let Some((name, rest)) = code.split_once(" = ").filter(|(name, _)| is_key(name)) {
            key = Some((section.clone(), name.to_owned()));
            // Of a key in several examples, each says something else.
            if let Some(text) = key.as_ref().and_then(|key| said.get_mut(key)) {
                text.push(';');
            }
            rest.split_once(" # ").map_or("", |(_, comment)| comment)
        } else {
            code.trim_start_matches(['#', ' '])
        };
        let is_continued = line.trim_start_matches('#').starts_with("     ");
        match key.clone().filter(|_| code.contains(" = ") || is_continued) {
            Some(key) => append(said.entry(key).or_default(), comment),
            None if line.is_empty() => above.clear(),
            None => append(&mut above, comment),
        }
    }
    let texts = said.into_iter().map(|(key, text)| (key, text.trim_matches(';').to_owned()));
    texts.filter(|(_, text)| !text.is_empty()).collect()
}

fn is_key(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more.trim());
}
