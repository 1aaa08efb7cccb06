//! Templates of bodies, in the language of Jinja.
//!
//! Guarantees: what is not there is an error and never an empty text; nothing runs for ever or grows without end; nothing
//! but what is given is seen. A template that begins with `{` or `[` (and not with a tag) is JSON: what it inserts is
//! escaped, so that no topic of a meeting ends a text and adds a field, and what comes out is checked. For people, no
//! template is JSON, and what it inserts begins no line.

use std::collections::BTreeSet;
use std::io;

use minijinja::value::{Serde, Value as Seen, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::plain::one_line;

/// Far more than anybody writes.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// What may come out of one.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Steps of rendering.
const FUEL: u64 = 100_000;
/// Of a text that is inserted for people.
const INSERTED_CHARS_MAX: usize = 2000;
/// Filters whose numbers make texts of any length.
const WITHOUT: [&str; 2] = ["format", "indent"];

/// Why a template cannot be taken, or makes nothing of what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", at(*line))]
pub struct TemplateError {
    /// Of the template, from 1 on; none where it is about the whole.
    pub line: Option<usize>,
    pub what: String,
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(|| "the template: ".to_owned(), |line| format!("line {line} of the template: "))
}

/// What comes out of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Text,
    Words,
}

/// A template, checked.
#[derive(Debug)]
pub struct Template<'t> {
    text: &'t str,
    kind: Kind,
    engine: Environment<'t>,
}

impl<'t> Template<'t> {
    pub fn parse(text: &'t str) -> Result<Self, TemplateError> {
        let whole = |what: &str| Err(TemplateError { line: None, what: what.to_owned() });
        if text.trim().is_empty() {
            return whole("it is empty");
        }
        if text.len() > TEMPLATE_BYTES_MAX {
            return whole("it is longer than 65536 bytes");
        }
        let begin = text.trim_start();
        let is_tag = ["{{", "{%", "{#"].iter().any(|tag| begin.starts_with(tag));
        let kind = if begin.starts_with(['{', '[']) && !is_tag { Kind::Json } else { Kind::Text };
        let engine = engine(kind);
        engine.template_from_str(text).map_err(|error| told(&error))?;
        Ok(Self { text, kind, engine })
    }

    /// The same for people.
    #[must_use]
    pub fn in_words(self) -> Self {
        Self { kind: Kind::Words, engine: engine(Kind::Words), ..self }
    }

    pub fn is_json(&self) -> bool {
        self.kind == Kind::Json
    }

    /// What it speaks of, as `event`: the names that somebody has to give it.
    pub fn names(&self) -> BTreeSet<String> {
        let template = self.engine.template_from_str(self.text);
        template.map(|template| template.undeclared_variables(false).into_iter().collect()).unwrap_or_default()
    }

    pub fn render(&self, seen: Value) -> Result<String, TemplateError> {
        let template = self.engine.template_from_str(self.text).map_err(|error| told(&error))?;
        let mut capped = Capped::default();
        let rendered = template.render_captured_to(Seen::from(Serde(seen)), &mut capped).map(|_| ());
        let whole = |what: String| TemplateError { line: None, what };
        if capped.is_full {
            return Err(whole(format!("what comes out is longer than {OUTPUT_BYTES_MAX} bytes")));
        }
        rendered.map_err(|error| told(&error))?;
        let text = String::from_utf8(capped.bytes).map_err(|_| whole("what comes out is no text".to_owned()))?;
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(whole("nothing comes out".to_owned()));
        }
        if self.is_json() {
            let wrong = |error| whole(format!("what comes out is no JSON, {error}: texts stand in quotes"));
            serde_json::from_str::<IgnoredAny>(&text).map_err(wrong)?;
        }
        Ok(text)
    }
}

fn engine(kind: Kind) -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    for filter in WITHOUT {
        engine.remove_filter(filter);
    }
    match kind {
        Kind::Json => {
            engine.set_auto_escape_callback(|_| AutoEscape::Custom("json".into()));
            engine.set_formatter(in_json);
        }
        Kind::Words => {
            engine.set_auto_escape_callback(|_| AutoEscape::Custom("words".into()));
            engine.set_formatter(in_one_line);
        }
        Kind::Text => engine.set_auto_escape_callback(|_| AutoEscape::None),
    }
    engine
}

/// A text is escaped, and stands within the quotes of the template; anything else is JSON.
fn in_json(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Seen) -> Result<(), Error> {
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let written = match value.as_str() {
        Some(text) if value.is_safe() => write!(out, "{text}"),
        Some(text) => {
            let quoted = serde_json::to_string(text).map_err(failed)?;
            let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            write!(out, "{}", inside.unwrap_or_default())
        }
        None if value.kind() == ValueKind::Undefined => Ok(()),
        None => write!(out, "{}", serde_json::to_string(value).map_err(failed)?),
    };
    written.map_err(|error| Error::new(ErrorKind::WriteFailure, error.to_string()))
}

/// Whoever chose a topic begins no line with it.
fn in_one_line(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Seen) -> Result<(), Error> {
    let text = value.to_string();
    let written =
        if value.is_safe() { write!(out, "{text}") } else { write!(out, "{}", one_line(&text, INSERTED_CHARS_MAX)) };
    written.map_err(|error| Error::new(ErrorKind::WriteFailure, error.to_string()))
}

fn told(error: &Error) -> TemplateError {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("it takes more than {FUEL} steps"),
        (ErrorKind::SyntaxError, Some(detail)) => detail.to_owned(),
        (ErrorKind::UndefinedError, None) => "what it names is not there: `x is defined` asks".to_owned(),
        (kind, None) => kind.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
    };
    TemplateError { line: error.line(), what }
}

/// Takes so much and no more.
#[derive(Debug, Default)]
struct Capped {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > OUTPUT_BYTES_MAX {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(text: &str) -> Result<String, String> {
        let topic = "Maths\", \"admin\": \"yes\n";
        let seen = json!({ "topic": topic, "id": 93_398_114_182_u64, "list": [1, "a\"b"], "none": null, "yes": true });
        Template::parse(text).and_then(|template| template.render(seen)).map_err(|error| error.to_string())
    }

    #[test]
    fn in_json_what_is_inserted_ends_no_text() {
        assert_eq!(
            render("{\"text\": \"made: {{ topic }}\", \"id\": {{ id }}, \"all\": {{ list }}, \"n\": {{ none }}, \"y\": {{ yes }}}"),
            Ok(r#"{"text": "made: Maths\", \"admin\": \"yes\n", "id": 93398114182, "all": [1,"a\"b"], "n": null, "y": true}"#.to_owned())
        );
        let whole = render("[{{ topic | tojson }}]").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&whole).unwrap(), json!(["Maths\", \"admin\": \"yes\n"]));
        let whole = render("[\"{% set both %}{{ topic }}{{ topic }}{% endset %}{{ both }}\"]").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&whole).unwrap()[0].as_str().unwrap().matches("Maths").count(), 2);
        let error = render("[{{ topic }}]").unwrap_err();
        assert!(error.contains("what comes out is no JSON") && error.contains("texts stand in quotes"), "{error}");
    }

    #[test]
    fn other_texts_are_left_as_they_are() {
        assert_eq!(
            render("<b>{{ topic | upper | trim }}</b> {{ id }}"),
            Ok("<b>MATHS\", \"ADMIN\": \"YES</b> 93398114182".to_owned())
        );
        assert_eq!(render("{{ id }}: {% if yes %}on{% endif %}"), Ok("93398114182: on".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, why) in [
            ("", "the template: it is empty"),
            ("a\nb {{ c", "line 2 of the template: unexpected end of input"),
            ("a\n{% if yes %}", "line 2 of the template: unexpected end of input"),
            ("a\n\n{{ id | nope }}", "line 3 of the template: unknown filter"),
            ("a\n{{ id | indent }}", "line 2 of the template: unknown filter"),
            ("{{ missing }}", "line 1 of the template: "),
            ("a\n{{ topic.deep.er }}", "line 2 of the template: "),
            ("{% include 'x' %}", "line 1 of the template: "),
            ("{{ '' }}", "the template: nothing comes out"),
        ] {
            let error = render(text).unwrap_err();
            assert!(error.starts_with(why), "{text:?}: {error}");
        }
        assert!(render(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).unwrap_err().contains("longer than 65536"));
    }

    #[test]
    fn nothing_runs_for_ever_or_grows_without_end() {
        let loops = "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}x";
        assert_eq!(render(loops).unwrap_err().split(": ").last(), Some("it takes more than 100000 steps"));
        let grows = format!("{{% for a in range(1000) %}}{}{{% endfor %}}", "x".repeat(1000));
        assert_eq!(render(&grows).unwrap_err(), "the template: what comes out is longer than 262144 bytes");
        assert!(render("{{ 'x' * 1000000000 }}").is_err());
    }
}
