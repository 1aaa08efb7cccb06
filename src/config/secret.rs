//! Secrets: `x` or `x_file`, exactly one; never a placeholder, never short, never shown.

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;

use super::form;
use super::problem::Place;
use super::section::{Section, quoted};
use super::source::{Found, read_small};

/// Fewer bytes than this are no secret.
const BYTES_MIN: usize = 16;
/// A secrets file is small; something else was meant where it is not.
const FILE_BYTES_MAX: u64 = 65_536;

/// Whether a text stands for something that is still to be filled in.
pub(super) fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let begins = ["your-", "your_", "<", "…", "..."].iter().any(|start| text.starts_with(start));
    begins || text.is_empty() || text.contains("changeme") || text.contains("change-me")
}

/// Reads the secret `key` or `key_file`; notes what is wrong and gives none where there is none.
pub(super) fn one(section: &mut Section<'_, '_>, key: &'static str, file_key: &'static str) -> Option<SecretString> {
    let (place, mut secrets) = read(section, key, file_key, false)?;
    match secrets.len() {
        1 => check(section, key, &place, secrets.pop()?),
        n => {
            let what = format!("{} {key} has {n} lines", section.title);
            section.reading.problem(place, what, "expected one line");
            None
        }
    }
}

/// Reads the secret `key` or `key_file` that is not Zoom's, and so may be short: whoever asks says what it must be.
pub(super) fn plain(
    section: &mut Section<'_, '_>,
    key: &'static str,
    file_key: &'static str,
) -> Option<(Place, SecretString)> {
    let (place, mut secrets) = read(section, key, file_key, false)?;
    let secret = secrets.pop().filter(|secret| secrets.is_empty() && !is_placeholder(secret.expose_secret()));
    if secret.is_none() {
        let what = format!("{} {key} is empty, a placeholder, or more than one line", section.title);
        section.reading.problem(place.clone(), what, "expected it as whoever gave it shows it, on one line");
    }
    secret.map(|secret| (place, secret))
}

/// Reads the secrets `key` or `key_file` (one a line).
pub(super) fn many(section: &mut Section<'_, '_>, key: &'static str, file_key: &'static str) -> Vec<SecretString> {
    let Some((place, secrets)) = read(section, key, file_key, true) else { return Vec::new() };
    if secrets.is_empty() {
        section.reading.problem(place, format!("{} {key} is empty", section.title), "expected one secret or more");
        return Vec::new();
    }
    secrets.into_iter().filter_map(|secret| check(section, key, &place, secret)).collect()
}

/// Reads what is `key` or `key_file` (a line each), whatever it looks like.
pub(super) fn keys_of(section: &mut Section<'_, '_>, key: &'static str, file_key: &'static str) -> Read {
    read(section, key, file_key, false)
}

/// Reads the texts `key` (a list) or `key_file` (a line each), whatever they look like.
pub(super) fn lines(section: &mut Section<'_, '_>, key: &'static str, file_key: &'static str) -> Read {
    read(section, key, file_key, true)
}

fn check(section: &Section<'_, '_>, key: &str, place: &Place, secret: SecretString) -> Option<SecretString> {
    let text = secret.expose_secret();
    let fault = if text.is_empty() {
        "is empty".to_owned()
    } else if is_placeholder(text) {
        "is a placeholder".to_owned()
    } else if text.len() < BYTES_MIN {
        format!("has {} bytes", text.len())
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        "has spaces, control characters or letters beyond ASCII".to_owned()
    } else {
        return Some(secret);
    };
    let help = format!("expected the secret as Zoom shows it, {BYTES_MIN} bytes or more");
    section.reading.problem(place.clone(), format!("{} {key} {fault}", section.title), help);
    None
}

type Read = Option<(Place, Vec<SecretString>)>;

fn read(section: &mut Section<'_, '_>, key: &'static str, file_key: &'static str, list: bool) -> Read {
    let written = || if list { form::list(&form::text()) } else { form::text() };
    let (plain, file) = (section.find(key, written), section.find(file_key, form::text));
    // The environment beats the file for the pair: a variable for one sets the other aside.
    let (plain, file) = match (plain, file) {
        (Some(plain @ Found::Env(..)), Some(Found::File(_))) => (Some(plain), None),
        (Some(Found::File(_)), Some(file @ Found::Env(..))) => (None, Some(file)),
        pair => pair,
    };
    let masked = plain.as_ref().map(|_| "\"***\"".to_owned());
    section.note(key, masked, plain.as_ref());
    match (plain, file) {
        (Some(_), Some(file)) => {
            let what = format!("{} has both {key} and {file_key}", section.title);
            section.reading.problem(file.place(), what, "expected exactly one of the two");
            None
        }
        (None, None) => {
            section.note(file_key, None, None);
            section
                .missing(key, &format!("add {file_key} = \"…\" (or {key}, or {}{})", section.vars, key.to_uppercase()));
            None
        }
        (Some(plain), None) => {
            if matches!(plain, Found::File(_)) {
                section.reading.secrets_inline.set(true);
            }
            section.note(file_key, None, None);
            texts(section, key, &plain, list).map(|texts| (plain.place(), texts))
        }
        (None, Some(file)) => from_file(section, file_key, &file, list).map(|texts| (file.place(), texts)),
    }
}

fn texts(section: &Section<'_, '_>, key: &str, found: &Found<'_>, list: bool) -> Option<Vec<SecretString>> {
    let secrets: Option<Vec<SecretString>> = match found {
        Found::Env(_, text) if list => {
            Some(text.split([',', '\n']).map(str::trim).filter(|t| !t.is_empty()).map(SecretString::from).collect())
        }
        Found::Env(_, text) => Some(vec![text.trim().into()]),
        Found::File(value) => match value.get_ref() {
            DeValue::String(text) if !list => Some(vec![text.trim().into()]),
            DeValue::Array(array) if list => {
                array.iter().map(|item| item.get_ref().as_str().map(|text| text.trim().into())).collect()
            }
            _ => None,
        },
    };
    if secrets.is_none() {
        let expected = if list { "a list of texts: [\"…\"]" } else { "a text: \"…\"" };
        let what = format!("{} {key} has the wrong type", section.title);
        section.reading.problem(found.place(), what, format!("expected {expected}"));
    }
    secrets
}

fn from_file(section: &Section<'_, '_>, key: &str, found: &Found<'_>, list: bool) -> Option<Vec<SecretString>> {
    let name = match found {
        Found::Env(_, text) => Some(text.as_str()),
        Found::File(value) => value.get_ref().as_str(),
    };
    let Some(name) = name.filter(|name| !name.is_empty() && !is_placeholder(name)) else {
        let what = format!("{} {key} names no file", section.title);
        let expected = "expected the path of a file, relative to this configuration, or credential:NAME";
        section.reading.problem(found.place(), what, expected);
        return None;
    };
    section.note(key, Some(quoted(name)), Some(found));
    if !section.reading.with_secrets {
        return Some(vec!["not-read-not-needed".into()]);
    }
    let path = section.reading.file(name);
    section.reading.secret_files.borrow_mut().push(path.clone());
    match read_small(&path, FILE_BYTES_MAX) {
        Ok(text) if list => {
            Some(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(SecretString::from).collect())
        }
        Ok(text) => {
            Some(text.trim().lines().chain(text.trim().is_empty().then_some("")).map(SecretString::from).collect())
        }
        Err(error) => {
            let what = format!("{} {key}: cannot read {}: {error}", section.title, path.display());
            section.reading.problem(found.place(), what, "create the file, or correct its path");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_to_be_filled_in_is_known() {
        for text in ["", " ", "…", "...", "changeme", "CHANGEME", "your-secret", "<client secret>"] {
            assert!(is_placeholder(text), "{text:?} was taken");
        }
        assert!(!is_placeholder("4fxlS5zCRGyKpXpwf4hMXA"));
    }
}
