//! `[[consumer]]`.

use std::collections::BTreeSet;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;

use super::apps::{check_variables, named};
use super::form;
use super::notify::host_port;
use super::problem::Place;
use super::rules::conditioned;
use super::secret::{keys_of, lines, plain};
use super::section::{Section, tables_of};
use super::source::Reading;
use crate::feed::filter::Filter;
use crate::feed::format::Format;
use crate::feed::push::{From, OnRefused, Push};
use crate::feed::{Consumer, Kind, Rotate, Secret, Syslog, Webhook, post};
use crate::ids::ConsumerName;

/// One for each side of a rotation, and one to spare.
const SECRETS_MAX: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Webhook,
    File,
    Stdout,
    Syslog,
}

const FORMS: [(&str, Form); 4] =
    [("webhook", Form::Webhook), ("file", Form::File), ("stdout", Form::Stdout), ("syslog", Form::Syslog)];

/// The keys that belong to one kind alone.
const KEYS: [(Form, &str, &[&str]); 3] = [
    (
        Form::Webhook,
        "kind = \"webhook\"",
        &["url", "url_file", "secret", "secret_file", "headers", "headers_file", "allow_private", "batch_max"],
    ),
    (Form::File, "kind = \"file\"", &["path", "rotate_mib", "rotate_daily", "keep"]),
    (Form::Syslog, "kind = \"syslog\"", &["address", "tls"]),
];
/// The keys of what a consumer takes of the log.
const OF_PUSH: [&str; 5] = ["format", "filter", "on_refused", "secrets", "from"];
/// Entries in one request, and files that are kept.
const BATCH_MAX: usize = 1_000;
const KEEP_MAX: u32 = 1_000;
const HEADERS_MAX: usize = 20;

/// What the configuration says of consumers.
pub(super) struct Consumers {
    pub(super) all: Vec<Consumer>,
    /// Also of those with mistakes.
    pub(super) names: BTreeSet<String>,
}

pub(super) fn consumers(reading: &Reading<'_>) -> Consumers {
    let mut names = BTreeSet::new();
    let tables = reading.root.get("consumer").map(|value| tables_of(reading, value, "consumer")).unwrap_or_default();
    let mut all: Vec<Consumer> = Vec::new();
    for table in tables {
        let place = table.1.clone();
        let Some(consumer) = named(reading, "consumer", table, &mut names).and_then(consumer) else { continue };
        let place_of = |consumer: &Consumer| match &consumer.kind {
            Kind::File { .. } | Kind::Stdout => Some(consumer.kind.place()),
            Kind::Webhook(_) | Kind::Syslog(_) => None,
        };
        let own = place_of(&consumer);
        let same = |other: &&Consumer| own.is_some() && place_of(other) == own;
        if let (Some(other), Some(own)) = (all.iter().find(same), &own) {
            let what = format!("[[consumer]] {} and {} write to {own}", other.name, consumer.name);
            reading.problem(place, what, "expected a file for each, or one consumer for both rules");
        }
        all.push(consumer);
    }
    check_variables(reading, "consumer", &names);
    Consumers { all, names }
}

fn consumer(mut section: Section<'_, '_>) -> Option<Consumer> {
    let name = section.in_file("name").and_then(|name| name.get_ref().as_str());
    let name = name.and_then(|name| ConsumerName::parse(name).ok());
    let form = section.required_of("kind", &FORMS);
    for (of, whose, keys) in KEYS {
        match form {
            Some(form) if form != of => section.foreign(keys, whose),
            Some(_) => {}
            // Which of them belong to it is not known.
            None => keys.iter().for_each(|key| drop(section.find(key, || form::NOTHING))),
        }
    }
    let kind = match form {
        Some(Form::File) => file(&mut section),
        Some(Form::Webhook) => webhook(&mut section),
        Some(Form::Stdout) => Some(Kind::Stdout),
        Some(Form::Syslog) => syslog(&mut section),
        None => None,
    };
    let push = push(&mut section, form);
    section.finish();
    Some(Consumer { name: name?, kind: kind?, push })
}

/// What of the log it takes.
fn push(section: &mut Section<'_, '_>, form: Option<Form>) -> Option<Push> {
    let include =
        section.list_of("include", &[("audit", "audit"), ("deliveries", "deliveries"), ("checkpoints", "checkpoints")]);
    if include.is_empty() {
        let whose = "include = [\"audit\"], [\"deliveries\"] or [\"checkpoints\"]";
        section.foreign(&OF_PUSH, whose);
        if form == Some(Form::Webhook) {
            section.foreign(&["batch_max"], whose);
        }
        return None;
    }
    let example = "a condition in a text, as in 'entry.kind == \"outcome\"'";
    let filter = conditioned(section, "filter", example, |text| Some(Filter::parse(text)));
    let has = |what: &str| include.contains(&what);
    let batch_max =
        if form == Some(Form::Webhook) { section.number("batch_max", 1, 1..=BATCH_MAX, "entries") } else { 1 };
    if filter.is_some() && !has("audit") && !has("deliveries") {
        section.foreign(&["filter"], "include = [\"audit\"] or [\"deliveries\"]");
    }
    if !has("deliveries") {
        section.foreign(&["secrets"], "include = [\"deliveries\"]");
    }
    Some(Push {
        audit: has("audit"),
        deliveries: has("deliveries"),
        checkpoints: has("checkpoints"),
        format: section.one_of_or_default("format", &Format::CHOICES),
        filter,
        on_refused: section.one_of_or_default("on_refused", &OnRefused::CHOICES),
        batch_max,
        secrets: has("deliveries") && section.flag_or("secrets", false),
        from: section.one_of_or_default("from", &From::CHOICES),
    })
}

fn syslog(section: &mut Section<'_, '_>) -> Option<Kind> {
    let expected = "the host and port of a receiver, as in \"siem.example:6514\"";
    let address = section.required("address", expected, host_port);
    let tls = section.flag_or("tls", true);
    let (host, port) = address?;
    Some(Kind::Syslog(Syslog { host, port, tls }))
}

fn file(section: &mut Section<'_, '_>) -> Option<Kind> {
    let folder = section.reading.folder;
    let path = section.required("path", "a file, as in \"events.jsonl\", relative to this one", |text| {
        (!text.is_empty() && !text.ends_with('/') && !text.contains('\0')).then(|| folder.join(text))
    });
    let mib = section.is_set("rotate_mib").then(|| section.number("rotate_mib", 1, 1..=1_000_000_u32, "MiB"));
    if mib.is_none() {
        section.knows("rotate_mib", || form::number(&1, &1_000_000));
        section.note("rotate_mib", None, None);
    }
    let daily = section.flag_or("rotate_daily", false);
    if mib.is_none() && !daily && section.is_set("keep") {
        section.foreign(&["keep"], "rotate_mib or rotate_daily");
    }
    let keep = section.number("keep", 7, 0..=KEEP_MAX, "files");
    Some(Kind::File { path: path?, rotate: Rotate { mib, daily, keep } })
}

fn webhook(section: &mut Section<'_, '_>) -> Option<Kind> {
    let allow_private = section.flag_or("allow_private", false);
    let mut why = None;
    if section.is_set("url_file") {
        let url = url_of_file(section, allow_private);
        let (headers, secrets) = (headers(section), secrets(section));
        return Some(Kind::Webhook(Webhook { url: url?, secrets: secrets?, allow_private, headers: headers? }));
    }
    section.knows("url_file", form::text);
    section.note("url_file", None, None);
    let url = section.find("url", form::text);
    let text = url.as_ref().and_then(super::source::Found::text).map(str::to_owned);
    let taken = text.filter(|text| match post::address(text, allow_private) {
        Ok(_) => true,
        Err(error) => {
            why = Some(error);
            false
        }
    });
    match (&url, &taken, why) {
        (None, ..) => section
            .missing("url", "add url = \"https://…\" (or url_file, where it is a secret): where events are posted"),
        (Some(found), Some(text), _) => {
            // Whatever stands behind the host may be a secret.
            section.note("url", Some(super::section::quoted(&post::origin(text))), Some(found));
        }
        (Some(found), None, Some(why)) => {
            let what = format!("{} url cannot be posted to: {why}", section.title);
            section.reading.problem(found.place(), what, "expected https://…");
        }
        (Some(found), None, None) => section.wrong("url", found, "a URL in a text, as in \"https://…\""),
    }
    let (headers, secrets) = (headers(section), secrets(section));
    Some(Kind::Webhook(Webhook { url: taken?, secrets: secrets?, allow_private, headers: headers? }))
}

/// Some services give URLs that whoever has one can post to. Empty where no secrets are read.
fn url_of_file(section: &mut Section<'_, '_>, allow_private: bool) -> Option<String> {
    let (place, url) = plain(section, "url", "url_file")?;
    if !section.reading.with_secrets {
        return Some(String::new());
    }
    match post::address(url.expose_secret(), allow_private) {
        Ok(_) => Some(url.expose_secret().to_owned()),
        Err(error) => {
            let what = format!("{} url cannot be posted to: {error}", section.title);
            section.reading.problem(place, what, "expected https://…");
            None
        }
    }
}

/// What goes with each request, as in `Authorization: Splunk …`. None where it is wrong, which was told.
fn headers(section: &mut Section<'_, '_>) -> Option<HeaderMap> {
    if !section.is_set("headers") && !section.is_set("headers_file") {
        section.knows("headers", || form::list(&form::text()));
        section.knows("headers_file", form::text);
        section.note("headers", None, None);
        section.note("headers_file", None, None);
        return Some(HeaderMap::new());
    }
    let (place, lines) = lines(section, "headers", "headers_file")?;
    let mut headers = HeaderMap::new();
    if !section.reading.with_secrets && section.is_set("headers_file") {
        return Some(headers);
    }
    let tell = |what: &str| {
        let expected = "expected a name, a colon and a value each, as in \"Authorization: Splunk …\"";
        section.reading.problem(place.clone(), format!("{} headers {what}", section.title), expected);
    };
    for (number, line) in lines.iter().enumerate() {
        let header = line.expose_secret().split_once(':').and_then(|(name, value)| {
            let value = HeaderValue::try_from(value.trim()).ok().filter(|value| !value.is_empty());
            Some((HeaderName::try_from(name.trim()).ok()?, value?))
        });
        let Some((name, mut value)) = header else {
            tell(&format!("has as its number {} what is no header", number.saturating_add(1)));
            return None;
        };
        let is_ours = name.as_str().starts_with("webhook-");
        if is_ours || [CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING].contains(&name) {
            tell(&format!("sets {name}, which is not for it to say"));
            return None;
        }
        value.set_sensitive(true);
        headers.append(name, value);
    }
    if headers.is_empty() || headers.len() > HEADERS_MAX {
        tell(&format!("has {} headers", headers.len()));
        return None;
    }
    Some(headers)
}

/// None are needed by who is known by a header.
fn secrets(section: &mut Section<'_, '_>) -> Option<Vec<Secret>> {
    let is_set = |keys: [&str; 2]| keys.iter().any(|key| section.is_set(key));
    if !is_set(["secret", "secret_file"]) && is_set(["headers", "headers_file"]) {
        for key in ["secret", "secret_file"] {
            section.knows(key, form::text);
            section.note(key, None, None);
        }
        return Some(Vec::new());
    }
    let (place, texts) = keys_of(section, "secret", "secret_file")?;
    if !section.reading.with_secrets {
        return Some(Vec::new());
    }
    let help = "expected whsec_ and 24 to 64 random bytes in base64, as `openssl rand -base64 32` makes them; two of them, \
                with a space between, while they are changed";
    let tell = |place: Place, what: String| {
        section.reading.problem(place, format!("{} secret {what}", section.title), help);
    };
    let texts: Vec<&str> = texts.iter().flat_map(|text| text.expose_secret().split_whitespace()).collect();
    if texts.is_empty() || texts.len() > SECRETS_MAX {
        tell(place, format!("has {} secrets", texts.len()));
        return None;
    }
    let secrets: Result<Vec<Secret>, _> = texts.into_iter().map(Secret::parse).collect();
    secrets.map_err(|error| tell(place, error.to_string())).ok()
}
