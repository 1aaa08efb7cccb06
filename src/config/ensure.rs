//! What a rule ensures: `ensure` of a `[[rule]]`, with its trees of settings.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::form;
use super::problem::Place;
use super::section::{Section, shown};
use super::source::{Found, Reading};
use crate::ids::Email;
use crate::rules::{Documented, Ensure, Grantee, Leaves, Licence, MeetingState, Report, Topic};

pub(super) fn ensure(mut section: Section<'_, '_>, topic: Option<Topic>) -> Ensure {
    let who = "\"api-user\", or the email of somebody whom may_grant of [[app.account]] names";
    let assistants = section.list_in("assistants", form::grantee, who, |text| Grantee::try_from(text.to_owned()).ok());
    let groups = section.list_in(
        "groups",
        || form::text_like("."),
        "names or ids of groups",
        |text| (!text.is_empty()).then(|| text.to_owned()),
    );
    let licence = section.one_of("type", &[("licensed", Licence::Licensed), ("basic", Licence::Basic)]);
    let documented = topic.map_or(Documented::ANYTHING, Documented::settings_of);
    let checked = settings(&mut section, "settings", documented);
    let unchecked = settings(&mut section, "settings_unchecked", Documented::ANYTHING);
    if let Some(leaf) = checked.named_twice(&unchecked) {
        let what = format!("{}.settings and {0}.settings_unchecked both name {leaf}", section.title);
        section.reading.problem(section.place.clone(), what, "expected it once");
    }
    let settings = checked.with(unchecked);
    let feature = settings_below(&mut section, "feature", topic);
    let alternative_hosts = section.list_in("alternative_hosts", form::email, "emails", |text| Email::parse(text).ok());
    let report = section.one_of("report", &[("movable", Report::Movable)]);
    let choices = [MeetingState::Ended, MeetingState::Recovered].map(|state| (state.as_str(), state));
    let status = section.one_of("status", &choices);
    section.finish();
    Ensure { assistants, groups, licence, settings, feature, alternative_hosts, report, status }
}

/// Feature flags: settings of a user below that branch.
fn settings_below(section: &mut Section<'_, '_>, branch: &'static str, topic: Option<Topic>) -> Leaves {
    let documented = topic.filter(|topic| *topic == Topic::User).map_or(Documented::ANYTHING, Documented::settings_of);
    settings(section, branch, documented.branch(branch))
}

/// A part of a tree of settings. Variables do not speak of it.
fn settings(section: &mut Section<'_, '_>, key: &'static str, documented: Documented) -> Leaves {
    section.knows(key, || documented.schema());
    let Some(found) = section.in_file(key) else { return Leaves::default() };
    let title = format!("{}.{key}", section.title);
    let Some(table) = found.get_ref().as_table() else {
        section.wrong(key, &Found::File(found), "a table, as in { waiting_room = true }");
        return Leaves::default();
    };
    let leaves = Leaves::of(&tree(section.reading, &title, table, documented));
    section.note(key, Some(leaves.to_string()), Some(&Found::File(found)));
    leaves
}

fn tree(reading: &Reading<'_>, title: &str, table: &DeTable<'_>, documented: Documented) -> Map<String, Value> {
    let mut tree = Map::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let below = match documented.below(name) {
            Ok(below) => below,
            Err(help) => {
                let help = format!("{help} (ensure.settings_unchecked takes any name)");
                reading.problem(Place::File(key.span()), format!("{title} has no key {name}"), help);
                continue;
            }
        };
        if below.is_read_only() {
            let help = "expected another: Zoom documents no way to set it; settings_unchecked tries it all the same";
            reading.problem(Place::File(key.span()), format!("{title} {name} is read-only"), help);
            continue;
        }
        if let DeValue::Table(table) = value.get_ref()
            && below.is_branch()
        {
            let title = format!("{title}.{name}");
            if table.is_empty() {
                let help = "expected settings in it: an empty branch wants nothing";
                reading.problem(Place::File(value.span()), format!("{title} is empty"), help);
            }
            tree.insert(name.to_owned(), self::tree(reading, &title, table, below).into());
            continue;
        }
        let leaf = json(value.get_ref());
        if let Some(leaf) = leaf.clone().filter(|leaf| below.takes(leaf)) {
            tree.insert(name.to_owned(), leaf);
        } else {
            let what = format!("{title} {name} is {}", shown(value.get_ref()));
            let is_no_json = leaf.is_none() && below.is_branch();
            let help = if is_no_json { "expected what JSON has".to_owned() } else { format!("expected {below}") };
            reading.problem(Place::File(value.span()), what, help);
        }
    }
    tree
}

/// A value as Zoom would be sent it; none for what JSON does not have.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok()?.into(),
        DeValue::Float(number) => Number::from_f64(number.as_str().parse().ok()?)?.into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Option<Vec<_>>>()?.into(),
        DeValue::Table(table) => {
            let field = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| -> Option<(String, Value)> {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Some((key.to_string(), json(value.get_ref())?))
            };
            table.iter().map(field).collect::<Option<Map<_, _>>>()?.into()
        }
        DeValue::Datetime(_) => return None,
    })
}
