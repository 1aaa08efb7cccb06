//! One section, key by key: type, range and unit are checked where the key is read, a mistake is noted and reading goes
//! on with the default, so that one run names all mistakes.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::form::{self, Choices, Form};
use super::problem::Place;
use super::source::{Found, PREFIX, Reading};
use crate::rules::nearest;

/// A section that is being read.
pub(super) struct Section<'t, 'r> {
    pub(super) reading: &'r Reading<'t>,
    /// Its place among the sections, without names: `app.account`.
    path: String,
    /// As it is written in the file: `[server]`.
    pub(super) title: String,
    /// As it is written in a variable, with its ends: `ADJUTANT__SERVER__`.
    pub(super) vars: String,
    table: Option<&'t DeTable<'t>>,
    /// Where the section is, for keys that are missing.
    pub(super) place: Place,
    known: Vec<&'static str>,
}

impl<'t, 'r> Section<'t, 'r> {
    pub(super) fn new(
        reading: &'r Reading<'t>,
        path: String,
        (title, vars): (String, String),
        table: Option<&'t DeTable<'t>>,
        place: Place,
    ) -> Self {
        Self { reading, path, title, vars, table, place, known: Vec::new() }
    }

    /// The section `[name]` of the file; absent means empty.
    pub(super) fn top(reading: &'r Reading<'t>, name: &'static str) -> Self {
        let (title, vars) = (format!("[{name}]"), format!("{PREFIX}{}__", name.to_uppercase()));
        let (table, place) = match reading.root.get(name) {
            None => (None, Place::Whole),
            Some(value) => (as_table(reading, value, &title), Place::File(value.span())),
        };
        reading.knows("", name, || form::inner(name));
        Self::new(reading, name.to_owned(), (title, vars), table, place)
    }

    /// A key, with what may be written for it.
    pub(super) fn knows(&mut self, key: &'static str, form: impl FnOnce() -> Form) {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.reading.knows(&self.path, key, form);
    }

    /// What is set for a key: the environment beats the file.
    pub(super) fn find(&mut self, key: &'static str, form: impl FnOnce() -> Form) -> Option<Found<'t>> {
        self.knows(key, form);
        if let Some((name, text)) = self.variable(key) {
            return Some(Found::Env(name, text));
        }
        self.in_file(key).map(Found::File)
    }

    pub(super) fn in_file(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.and_then(|table| table.get(key))
    }

    pub(super) fn note(&self, key: &str, value: Option<String>, found: Option<&Found<'_>>) {
        let from = match found {
            None => "default",
            Some(Found::File(_)) => "file",
            Some(Found::Env(name, _)) => name.as_str(),
        };
        if let (None, Some(default)) = (found, &value) {
            self.reading.defaults_to(&self.path, key, default);
        }
        self.reading.record(&self.title, key, value, from);
    }

    pub(super) fn wrong(&self, key: &str, found: &Found<'_>, expected: &str) {
        let what = match found {
            Found::File(value) => format!("{} {key} is {}", self.title, shown(value.get_ref())),
            Found::Env(_, text) => format!("{} {key} is {text:?}", self.title),
        };
        self.reading.problem(found.place(), what, format!("expected {expected}"));
    }

    /// A text that `parse` takes.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.parsed_in(key, form::text, expected, parse)
    }

    fn parsed_in<T>(
        &mut self,
        key: &'static str,
        form: impl FnOnce() -> Form,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self.find(key, form)?;
        let text = match &found {
            Found::File(value) => value.get_ref().as_str(),
            Found::Env(_, text) => Some(text.as_str()),
        };
        let value = text.and_then(parse);
        match (&value, text) {
            (Some(_), Some(text)) => self.note(key, Some(quoted(text)), Some(&found)),
            _ => self.wrong(key, &found, expected),
        }
        value
    }

    /// One of these words.
    pub(super) fn one_of<T: Copy>(&mut self, key: &'static str, choices: Choices<'_, T>) -> Option<T> {
        self.parsed_in(key, || form::one_of(choices), &form::words(choices), |text| form::chosen(choices, text))
    }

    /// One of these words, or the default's.
    pub(super) fn one_of_or_default<T>(&mut self, key: &'static str, choices: Choices<'_, T>) -> T
    where
        T: Copy + Default + PartialEq,
    {
        let default = T::default();
        if !self.is_set(key) {
            let word = choices.iter().find(|(_, value)| *value == default).map(|(word, _)| quoted(word));
            self.note(key, word, None);
        }
        self.one_of(key, choices).unwrap_or(default)
    }

    /// One of these words; without one the configuration is refused.
    pub(super) fn required_of<T: Copy>(&mut self, key: &'static str, choices: Choices<'_, T>) -> Option<T> {
        if !self.is_set(key) {
            self.missing(key, &format!("add {key} = {}", form::words(choices)));
        }
        self.one_of(key, choices)
    }

    /// A text that `parse` takes, or the default.
    pub(super) fn parsed_or<T: Clone>(
        &mut self,
        key: &'static str,
        default: (&str, T),
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let absent = !self.is_set(key);
        if absent {
            self.note(key, Some(quoted(default.0)), None);
        }
        self.parsed(key, expected, parse).unwrap_or(default.1)
    }

    /// A text that `parse` takes; without one the configuration is refused.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let absent = !self.is_set(key);
        if absent {
            self.missing(key, &format!("add {key} = {expected}"));
        }
        self.parsed(key, expected, parse)
    }

    /// A text that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.optional_in(key, form::text, expected, parse)
    }

    /// A text of that form that may be left out.
    pub(super) fn optional_in<T>(
        &mut self,
        key: &'static str,
        form: impl FnOnce() -> Form,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if !self.is_set(key) {
            self.note(key, None, None);
        }
        self.parsed_in(key, form, expected, parse)
    }

    /// A text that may be left out, where what is expected of it depends on what is wrong.
    pub(super) fn explained<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let mut expected = "a text".to_owned();
        let Some(found) = self.find(key, form::text) else {
            self.note(key, None, None);
            return None;
        };
        let text = match &found {
            Found::File(value) => value.get_ref().as_str(),
            Found::Env(_, text) => Some(text.as_str()),
        };
        let value = text.and_then(|text| parse(text).map_err(|why| expected = why).ok());
        match (&value, text) {
            (Some(_), Some(text)) => self.note(key, Some(quoted(text)), Some(&found)),
            _ => self.wrong(key, &found, &expected),
        }
        value
    }

    pub(super) fn missing(&self, key: &str, help: &str) {
        self.reading.problem(self.place.clone(), format!("{} has no {key}", self.title), help);
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.variable(key).is_some() || self.in_file(key).is_some()
    }

    /// The variable of a key; a section that variables cannot speak of has none.
    fn variable(&self, key: &str) -> Option<(String, String)> {
        if self.vars.is_empty() {
            return None;
        }
        let name = format!("{}{}", self.vars, key.to_uppercase());
        self.reading.var(&name).map(|text| (name, text))
    }

    /// One of two words, or the default's.
    pub(super) fn flag_like(&mut self, key: &'static str, choices: Choices<'_, bool>, default: bool) -> bool {
        if !self.is_set(key) {
            let word = choices.iter().find(|(_, value)| *value == default).map(|(word, _)| quoted(word));
            self.note(key, word, None);
        }
        self.one_of(key, choices).unwrap_or(default)
    }

    /// Keys that belong to another kind of section.
    pub(super) fn foreign(&mut self, keys: &[&'static str], whose: &str) {
        for &key in keys {
            if let Some(found) = self.find(key, || form::NOTHING) {
                let what = format!("{} has {key}", self.title);
                self.reading.problem(found.place(), what, format!("expected it only with {whose}"));
            }
        }
    }

    /// A whole number within a range, both ends included.
    pub(super) fn number<N>(&mut self, key: &'static str, default: N, range: RangeInclusive<N>, unit: &str) -> N
    where
        N: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let form = || form::number(range.start(), range.end());
        let Some(found) = self.find(key, form) else {
            self.note(key, Some(default.to_string()), None);
            return default;
        };
        let number = match &found {
            Found::File(value) => match value.get_ref() {
                DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok(),
                _ => None,
            },
            Found::Env(_, text) => text.trim().replace('_', "").parse().ok(),
        };
        let Some(number) = number.and_then(|n| N::try_from(n).ok()).filter(|n| range.contains(n)) else {
            let expected = format!("a whole number of {unit} from {} to {}", range.start(), range.end());
            self.wrong(key, &found, &expected);
            return default;
        };
        self.note(key, Some(number.to_string()), Some(&found));
        number
    }

    /// A number of seconds.
    pub(super) fn secs(&mut self, key: &'static str, default: Duration, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(key, default.as_secs(), range, "seconds"))
    }

    pub(super) fn address(&mut self, key: &'static str, default: &'static str) -> SocketAddr {
        let parsed = default.parse().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let expected = format!("an address and a port, as in \"{default}\"");
        self.parsed_or(key, (default, parsed), &expected, |text| text.parse().ok())
    }

    /// A list of texts that `parse` takes. In a variable: parted by commas or lines.
    pub(super) fn list<T>(&mut self, key: &'static str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        self.list_in(key, form::text, expected, parse)
    }

    /// A list of some of these words.
    pub(super) fn list_of<T: Copy>(&mut self, key: &'static str, choices: Choices<'_, T>) -> Vec<T> {
        self.list_in(key, || form::one_of(choices), &form::words(choices), |text| form::chosen(choices, text))
    }

    /// A list of texts of that form.
    pub(super) fn list_in<T>(
        &mut self,
        key: &'static str,
        item: impl FnOnce() -> Form,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(found) = self.find(key, || form::list(&item())) else {
            self.note(key, Some("[]".to_owned()), None);
            return Vec::new();
        };
        let mut items = Vec::new();
        let mut texts = Vec::new();
        let mut take = |text: Option<&str>, place: Place, shown: String| {
            let Some(item) = text.and_then(&parse) else {
                let what = format!("{} {key} holds {shown}", self.title);
                self.reading.problem(place, what, format!("expected {expected}"));
                return;
            };
            texts.push(quoted(text.unwrap_or_default()));
            items.push(item);
        };
        match &found {
            Found::File(value) => match value.get_ref().as_array() {
                Some(array) => array.iter().for_each(|item| {
                    take(item.get_ref().as_str(), Place::File(item.span()), shown(item.get_ref()));
                }),
                None => self.wrong(key, &found, &format!("a list: [\"…\"], each {expected}")),
            },
            Found::Env(_, text) => {
                let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
                parts.for_each(|part| take(Some(part), found.place(), format!("{part:?}")));
            }
        }
        self.note(key, Some(format!("[{}]", texts.join(", "))), Some(&found));
        items
    }

    pub(super) fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        let Some(found) = self.find(key, form::flag) else {
            self.note(key, Some(default.to_string()), None);
            return default;
        };
        let value = match &found {
            Found::File(value) => value.get_ref().as_bool(),
            Found::Env(_, text) => text.trim().parse().ok(),
        };
        match value {
            Some(value) => self.note(key, Some(value.to_string()), Some(&found)),
            None => self.wrong(key, &found, "true or false"),
        }
        value.unwrap_or(default)
    }

    /// A table within this one.
    pub(super) fn inner(&mut self, key: &'static str) -> Option<Section<'t, 'r>> {
        let path = format!("{}.{key}", self.path);
        self.knows(key, || form::inner(&path));
        let title = format!("{}.{key}", self.title);
        let vars = format!("{}{}__", self.vars, key.to_uppercase());
        let (table, place) = match self.in_file(key) {
            None if !self.vars.is_empty() && self.reading.has_vars(&vars) => (None, self.place.clone()),
            None => return None,
            Some(value) => (as_table(self.reading, value, &title), Place::File(value.span())),
        };
        Some(Section::new(self.reading, path, (title, vars), table, place))
    }

    /// The tables of `[[key]]` within this section.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(&'t DeTable<'t>, Place)> {
        let path = format!("{}.{key}", self.path);
        self.knows(key, || form::list(&form::inner(&path)));
        self.in_file(key).map_or_else(Vec::new, |value| tables_of(self.reading, value, key))
    }

    /// Ends the section: keys that nobody asked for are mistakes.
    pub(super) fn finish(self) {
        for (key, _) in self.table.into_iter().flatten() {
            if !self.known.contains(&key.get_ref().as_ref()) {
                unknown(self.reading, &self.title, key, &self.known);
            }
        }
    }
}

/// Notes a key that means nothing, with the nearest that does.
pub(super) fn unknown(reading: &Reading<'_>, title: &str, key: &Spanned<std::borrow::Cow<'_, str>>, known: &[&str]) {
    let help = nearest(key.get_ref(), known.iter().copied())
        .map_or_else(|| format!("expected one of {}", known.join(", ")), |near| format!("did you mean {near}?"));
    reading.problem(Place::File(key.span()), format!("{title} has no key {}", key.get_ref()), help);
}

/// The tables of an array of tables.
pub(super) fn tables_of<'t>(
    reading: &Reading<'t>,
    value: &'t Spanned<DeValue<'t>>,
    key: &str,
) -> Vec<(&'t DeTable<'t>, Place)> {
    let wrong = |value: &Spanned<DeValue<'_>>| {
        let what = format!("{key} is {}", shown(value.get_ref()));
        reading.problem(Place::File(value.span()), what, format!("expected tables, each headed [[{key}]]"));
    };
    let Some(array) = value.get_ref().as_array() else {
        wrong(value);
        return Vec::new();
    };
    let tables = array.iter().filter_map(|item| {
        let table = item.get_ref().as_table().map(|table| (table, Place::File(item.span())));
        if table.is_none() {
            wrong(item);
        }
        table
    });
    tables.collect()
}

fn as_table<'t>(reading: &Reading<'t>, value: &'t Spanned<DeValue<'t>>, title: &str) -> Option<&'t DeTable<'t>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        let what = format!("{title} is {}", shown(value.get_ref()));
        reading.problem(Place::File(value.span()), what, format!("expected a table, headed {title}"));
    }
    table
}

/// A value in a message: what it is, and where it is short, its text.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 60 => format!("{text:?}"),
        DeValue::String(_) => "a long text".to_owned(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        DeValue::Array(array) if array.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
