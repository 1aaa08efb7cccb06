//! The JSON Schema of the configuration says what the reader says: the same keys, the same defaults, the same mistakes of form.

use std::collections::BTreeSet;
use std::path::Path;

use adjutant::config::{Env, parse, schema};
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Map, Value};

use crate::config::filled;
use crate::rules::bad_files;

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new(schema: Value) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("file:///schema.json", schema).unwrap();
        let index = compiler.compile("file:///schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    /// What is wrong with a text that is TOML.
    fn fault(&self, text: &str) -> Option<String> {
        let table: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let value = serde_json::to_value(table).unwrap();
        self.schemas.validate(&value, self.index).err().map(|error| format!("{error:#}"))
    }
}

/// The keys of each section: of the settings of users and meetings, and of conditions, others speak.
fn sections(schema: &Value) -> Vec<(&str, &Map<String, Value>)> {
    let defs = schema["$defs"].as_object().unwrap().iter();
    let sections = defs.filter(|(name, _)| !name.starts_with("user.") && !name.starts_with("meeting."));
    sections.map(|(name, def)| (name.as_str(), def["properties"].as_object().unwrap())).collect()
}

const APP: &str = "[[app]]\nname = \"a\"\n";
const RULE: &str = "[[rule]]\nname = \"r\"\nfor = \"user\"\n";

/// The same sections, each as the last of a text.
fn head_of(section: &str) -> String {
    match section {
        "app" => APP.to_owned(),
        "app.account" => format!("{APP}[[app.account]]\n"),
        "rule" => "[[rule]]\nname = \"r\"\n".to_owned(),
        "notify" => "[[notify]]\nname = \"n\"\n".to_owned(),
        "rule.ensure" => format!("{RULE}[rule.ensure]\n"),
        "consumer" => "[[consumer]]\nname = \"c\"\n".to_owned(),
        one => format!("[{one}]\n"),
    }
}

fn read(text: &str) -> Result<adjutant::config::Config, String> {
    parse(Path::new("config.toml"), text, &Env::default()).map_err(|error| error.to_string())
}

#[test]
fn every_key_of_the_schema_is_one_that_the_reader_knows() {
    let schema = schema(false);
    let mut checked = 0;
    for (section, keys) in sections(&schema) {
        for key in keys.keys().filter(|key| *key != "name") {
            // Nothing takes a date, so that each key is told, and none as unknown.
            let error = read(&format!("{}{key} = 2026-01-01\n", head_of(section))).unwrap_err();
            let unknown = error.contains(&format!("has no key {key}"));
            assert!(!unknown, "[{section}] {key} is in the schema, and the reader says\n{error}");
            checked += 1;
        }
        let error = read(&format!("{}nothing = 1\n", head_of(section))).unwrap_err();
        assert!(error.contains("has no key nothing"), "[{section}]: {error}");
    }
    assert!(checked > 90, "only {checked} keys were found");
}

/// `[[rule]] r.ensure` is the section `rule.ensure`.
fn without_names(section: &str) -> String {
    let bare = section.replace("[[app]] a [[app.account]]", "app.account");
    bare.replace("[[notify]] hook", "notify")
        .replace("[[notify]] mail", "notify")
        .replace("[[app]] a", "app")
        .replace("[[app]] b", "app")
        .replace("[[rule]] r", "rule")
        .replace("[[consumer]] c1", "consumer")
        .replace("[[consumer]] c2", "consumer")
        .replace("[[consumer]] c3", "consumer")
        .replace("[[consumer]] c", "consumer")
        .replace(['[', ']'], "")
}

#[test]
fn every_key_that_the_reader_knows_is_in_the_schema_with_the_readers_default() {
    let schema = schema(false);
    let app = "kind = \"server-to-server\"\nclient_id = \"id\"\nclient_secret = \"a-long-client-secret\"\n";
    let account = "webhook_secrets = [\"a-long-webhook-secret\"]\n[[app.account]]\nid = \"a\"\n";
    let consumer = "[[consumer]]\nname = \"c\"\nkind = \"webhook\"\nurl = \"https://c.example\"\n\
                    secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let taking = "[[consumer]]\nname = \"c1\"\nkind = \"webhook\"\nurl = \"https://c.example\"\n\
                  secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\ninclude = [\"audit\", \"deliveries\"]\n\
                  [[consumer]]\nname = \"c2\"\nkind = \"file\"\npath = \"a\"\n\
                  [[consumer]]\nname = \"c3\"\nkind = \"syslog\"\naddress = \"a.example:6514\"\n";
    let consumer = format!("{consumer}{taking}");
    let hook = "[[notify]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"https://a.example\"\n";
    let mail = "[[notify]]\nname = \"mail\"\nkind = \"email\"\nsmtp = \"a.example:25\"\nfrom = \"a@b.example\"\n\
                to = [\"c@d.example\"]\n";
    let general = "[[app]]\nname = \"b\"\nkind = \"general\"\nclient_id = \"id\"\n\
                   client_secret = \"a-long-client-secret\"\nwebhook_secrets = [\"a-long-webhook-secret\"]\n\
                   api_user = \"ask\"\n[server]\npublic_url = \"https://b.example\"\n";
    let config =
        read(&format!("{APP}{app}{account}{general}{consumer}{RULE}ensure = {{ type = \"licensed\" }}\n{hook}{mail}"))
            .unwrap();
    let mut of_reader = BTreeSet::new();
    for key in &config.effective {
        let section = without_names(&key.section);
        let known = schema["$defs"][&section]["properties"].get(&key.key);
        assert!(known.is_some(), "{} {} is not in the schema", key.section, key.key);
        if let ("default", Some(value)) = (key.from.as_str(), &key.value) {
            let value: toml::Table = toml::from_str(&format!("v = {value}")).unwrap();
            of_reader.insert((section, key.key.clone(), serde_json::to_value(&value["v"]).unwrap().to_string()));
        }
    }
    let mut of_schema = BTreeSet::new();
    for (section, keys) in sections(&schema) {
        let defaults = keys.iter().filter_map(|(key, form)| Some((key, form.get("default")?.to_string())));
        of_schema.extend(defaults.map(|(key, default)| (section.to_owned(), key.clone(), default)));
    }
    assert!(of_reader.len() > 60, "only {} defaults were compared", of_reader.len());
    assert_eq!(of_schema, of_reader);
}

#[test]
fn the_sections_of_the_schema_are_those_that_the_reader_expects() {
    let error = read("unheard_of = 1").unwrap_err();
    let expected = error.lines().find_map(|line| line.split_once("expected one of ")).unwrap().1;
    let schema = schema(false);
    let sections: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(sections, expected.split(", ").collect());
}

#[test]
fn the_shipped_file_and_every_example_are_good_by_the_schema() {
    let (whole, rules) = (Validator::new(schema(false)), Validator::new(schema(true)));
    let shipped = include_str!("../../config.toml");
    assert_eq!(whole.fault(shipped), None);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(whole.fault(&filled(folder.path())), None);
    let mut checked = 0;
    for document in ["README.md", "deploy/README.md", "src/README.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
        let blocks = text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
        for block in blocks.filter(|block| !block.contains("[[case]]")) {
            assert_eq!(whole.fault(block), None, "{document}:\n{block}");
            assert_eq!(rules.fault(block), None, "{document}:\n{block}");
            checked += 1;
        }
    }
    assert!(checked > 0, "there is no example");
}

/// Mistakes that are none of form: what rules mean, alone and together, and how texts are written.
const OF_MEANING: &[&str] = &[
    "empty",
    "only space",
    "a name twice",
    "a name that the configuration has",
    "ensure nothing for users",
    "ensure nothing for meetings",
    "assistants for meetings",
    "groups for meetings",
    "a type for meetings",
    "a licence taken away without a word",
    "a report for users",
    "a report and a setting",
    "alternative hosts for users",
    "alternative hosts twice",
    "a feature twice",
    "features for meetings",
    "a condition on a field that is none",
    "a condition on a meeting in a rule for users",
    "a condition that ends too early",
    "an empty condition",
    "a condition over lines",
    "on nothing",
    "send",
    "a template that is none",
    "a record that looks at the host",
    "a template that shows what not all events have",
    "a condition on what not all events have",
    "a status for users",
    "a status and a setting",
    "meetings ended without a word",
    "every meeting ended",
    "a meeting ended after it was deleted",
    "every meeting recovered",
    "recovered after another event",
    "recovered what is gone for good",
    "recovered later",
    "recovered but for some hosts",
    "a name that is taken",
];

#[test]
fn every_bad_file_of_rules_that_is_wrong_in_form_is_refused_by_the_schema_too() {
    let validator = Validator::new(schema(true));
    let is_toml = |text: &str| toml::from_str::<toml::Table>(text).is_ok();
    let taken: Vec<&str> = bad_files()
        .into_iter()
        .filter(|(_, text, _)| is_toml(text) && validator.fault(text).is_none())
        .map(|(name, ..)| name)
        .collect();
    assert_eq!(taken, OF_MEANING);
}

#[test]
fn the_schema_speaks_of_what_the_file_says_in_its_comments() {
    let schema = schema(false);
    let said = |section: &str, key: &str| {
        schema["$defs"][section]["properties"][key]["description"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(said("server", "idle_secs"), "seconds, 1 to 3600: for a connection between two requests");
    let lines = "of all three, as in \"Europe/Berlin\". An hour that a clock change skips runs after it, one that comes \
                 twice runs once; what runs every hour goes on evenly";
    assert_eq!(said("sweep", "time_zone"), lines);
    assert_eq!(said("app.account", "sweep_cron"), "when this account is swept. Default: `cron` of [sweep]");
    let ensure = said("rule", "ensure");
    let examples =
        "become everyone's assistant; those that are left out are left alone; each is optional. Groups by name";
    assert!(ensure.contains(examples), "{ensure}");
    assert!(said("rule", "when").contains("Default: all; over the event, and where all"));
    assert!(said("rule", "name").ends_with("0-9 and -"), "an example without a comment adds nothing");
    let server = schema["properties"]["server"]["description"].as_str().unwrap();
    assert_eq!(
        server,
        "The public listener: POST /webhooks/{app}, GET /livez and, for general apps, GET /install/{app} and /oauth/callback. TLS is the proxy's."
    );
    for section in ["server", "admin", "store", "zoom", "worker", "sweep", "log", "app.account", "rules"] {
        let keys = schema["$defs"][section]["properties"].as_object().unwrap();
        let silent: Vec<_> = keys.keys().filter(|key| said(section, key).is_empty()).collect();
        let known = match section {
            "zoom" => vec!["api_url", "oauth_url"],
            "store" => vec!["master_key"],
            _ => Vec::new(),
        };
        assert_eq!(silent, known, "[{section}]");
    }
}
