//! `[[consumer]]`.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use super::apps::{check_variables, named};
use super::form;
use super::problem::Place;
use super::secret::{keys_of, plain};
use super::section::{Section, tables_of};
use super::source::Reading;
use crate::feed::{Consumer, Kind, Secret, Webhook, post};
use crate::ids::ConsumerName;

/// One for each side of a rotation, and one to spare.
const SECRETS_MAX: usize = 3;

#[derive(Clone, Copy)]
enum Form {
    Webhook,
    File,
}

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
        if let Kind::File { path } = &consumer.kind
            && let Some(other) = all.iter().find(|other| matches!(&other.kind, Kind::File { path: its } if its == path))
        {
            let what = format!("[[consumer]] {} and {} write to {}", other.name, consumer.name, path.display());
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
    let kind = match section.required_of("kind", &[("webhook", Form::Webhook), ("file", Form::File)]) {
        Some(Form::File) => {
            section.foreign(&["url", "url_file", "secret", "secret_file", "allow_private"], "kind = \"webhook\"");
            file(&mut section)
        }
        Some(Form::Webhook) => {
            section.foreign(&["path"], "kind = \"file\"");
            webhook(&mut section)
        }
        None => {
            // Which of them belong to it is not known.
            for key in ["url", "url_file", "secret", "secret_file", "allow_private", "path"] {
                let _any = section.find(key, || form::NOTHING);
            }
            None
        }
    };
    section.finish();
    Some(Consumer { name: name?, kind: kind? })
}

fn file(section: &mut Section<'_, '_>) -> Option<Kind> {
    let folder = section.reading.folder;
    let path = section.required("path", "a file, as in \"events.jsonl\", relative to this one", |text| {
        (!text.is_empty() && !text.ends_with('/') && !text.contains('\0')).then(|| folder.join(text))
    });
    Some(Kind::File { path: path? })
}

fn webhook(section: &mut Section<'_, '_>) -> Option<Kind> {
    let allow_private = section.flag_or("allow_private", false);
    let mut why = None;
    if section.is_set("url_file") {
        let url = url_of_file(section, allow_private);
        let secrets = secrets(section);
        return Some(Kind::Webhook(Webhook { url: url?, secrets: secrets?, allow_private }));
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
    let secrets = secrets(section);
    Some(Kind::Webhook(Webhook { url: taken?, secrets: secrets?, allow_private }))
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

fn secrets(section: &mut Section<'_, '_>) -> Option<Vec<Secret>> {
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
