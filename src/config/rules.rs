//! `[[rule]]`, in the configuration itself and in the files of `[rules] folder`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::apps::{Placed, check_variables, named};
use super::ensure::ensure;
use super::form;
use super::orphaned::orphaned;
use super::problem::{Invalid, Place, Problem, not_toml};
use super::section::{Section, tables_of, unknown};
use super::source::{Found, Reading, read_small};
use super::timer::{fold, release, timer};
use crate::account::Role;
use crate::alarm::Severity;
use crate::feed::Template;
use crate::ids::{ConsumerName, Email, RuleName};
use crate::rules::{
    Condition, ConditionError, Ensure, MeetingState, Mode, On, Rule, SendTo, SubjectKind, Topic, contradiction,
    gone_by_then, kind_of, meant, nearest,
};

/// Far more than anybody keeps apart.
const FILES_MAX: usize = 1000;

/// What the configuration says of rules.
pub(super) struct Rules {
    /// Those of the configuration itself first.
    pub(super) all: Vec<Rule>,
    /// Where the others are.
    pub(super) folder: Option<PathBuf>,
    /// A rule that was never planned only observes.
    pub(super) require_plan: bool,
    /// What is wrong in other files.
    pub(super) invalid: Vec<Invalid>,
}

/// `takers` are those that there are.
pub(super) fn all(reading: &Reading<'_>, takers: &Takers) -> Rules {
    let mut seen = BTreeSet::new();
    let mut rules = here(reading, takers, &mut seen);
    let mut section = Section::top(reading, "rules");
    let at = section.in_file("folder").map_or(Place::Whole, |value| Place::File(value.span()));
    let folder = section
        .optional("folder", "a folder, as in \"rules\"", |text| (!text.is_empty()).then(|| reading.folder.join(text)));
    let require_plan = section.flag_or("require_plan", false);
    section.finish();
    let (mut invalid, mut read) = (Vec::new(), Vec::new());
    for path in folder.as_ref().map(|folder| files(reading, folder, &at)).unwrap_or_default() {
        match read_small(&path, super::FILE_BYTES_MAX) {
            Ok(text) => {
                reading.took(&path, &text);
                match file((reading, takers), &path, &text, &mut seen) {
                    Ok(more) => {
                        read.push(File { path, text, first: rules.len() });
                        rules.extend(more);
                    }
                    Err(error) => invalid.push(error),
                }
            }
            Err(error) => {
                let what = format!("cannot read {}: {error}", path.display());
                reading.problem(at.clone(), what, "expected a file of [[rule]]s");
            }
        }
    }
    check_variables(reading, "rule", &seen);
    let (all, places): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
    invalid.extend(contradicted(reading, &all, &places, read));
    Rules { all, folder, require_plan, invalid }
}

/// A file of rules that was read, and how many rules were read before it.
struct File {
    path: PathBuf,
    text: String,
    first: usize,
}

/// Tells of a rule that contradicts one before it, at its own place; where that is in another file, as what is wrong there.
fn contradicted(reading: &Reading<'_>, rules: &[Rule], places: &[Place], files: Vec<File>) -> Option<Invalid> {
    let contradiction = contradiction(rules)?;
    let at = rules.iter().position(|rule| rule.name == contradiction.other)?;
    let (place, what) = (places.get(at)?.clone(), contradiction.to_string());
    let help = "expected one of the two, or a when that parts them";
    let Some(File { path, text, .. }) = files.into_iter().rfind(|file| file.first <= at) else {
        reading.problem(place, what, help);
        return None;
    };
    Some(Invalid::new(path, text, vec![Problem { place, what, help: help.to_owned() }]))
}

/// The files of rules in the order of their names. What editors leave behind begins with a dot or ends otherwise.
fn files(reading: &Reading<'_>, folder: &Path, at: &Place) -> Vec<PathBuf> {
    let is_rules = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.extension().is_some_and(|end| end == "toml") && !name.starts_with(['.', '#'])
    };
    let listed = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>());
    let mut paths: Vec<_> = match listed {
        Ok(paths) => paths.into_iter().filter(is_rules).collect(),
        Err(error) => {
            let what = format!("[rules] folder {} cannot be read: {error}", folder.display());
            reading.problem(at.clone(), what, "expected a folder, relative to this file");
            return Vec::new();
        }
    };
    paths.sort();
    if paths.len() > FILES_MAX {
        let what = format!("[rules] folder {} holds {} files", folder.display(), paths.len());
        reading.problem(at.clone(), what, format!("expected {FILES_MAX} or fewer"));
        paths.clear();
    }
    paths
}

/// The rules of one file, or everything that is wrong with it.
fn file(
    (main, takers): (&Reading<'_>, &Takers),
    path: &Path,
    text: &str,
    seen: &mut BTreeSet<String>,
) -> Result<Placed<Rule>, Invalid> {
    let invalid = |problems| Invalid::new(path.to_owned(), text.to_owned(), problems);
    if text.trim().is_empty() {
        // What an editor or a full disk cut off, more likely than what somebody meant.
        let (what, help) = ("this file of rules is empty".to_owned(), "write a [[rule]], or remove it".to_owned());
        return Err(invalid(vec![Problem { place: Place::Whole, what, help }]));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        return Err(invalid(vec![not_toml(text, error)]));
    }
    let reading = Reading::new(text, root.get_ref(), main.env, main.folder, main.with_secrets);
    for (key, _) in root.get_ref() {
        if key.get_ref() != "rule" {
            unknown(&reading, "a file of rules", key, &["rule"]);
        }
    }
    let rules = here(&reading, takers, seen);
    let problems = main.absorb(&reading);
    if problems.is_empty() { Ok(rules) } else { Err(invalid(problems)) }
}

/// The rules of the file that is being read.
fn here(reading: &Reading<'_>, takers: &Takers, seen: &mut BTreeSet<String>) -> Placed<Rule> {
    let tables = reading.root.get("rule").map(|value| tables_of(reading, value, "rule")).unwrap_or_default();
    let rules = tables.into_iter().filter_map(|table| {
        let (place, told) = (table.1.clone(), reading.told());
        let rule = rule(named(reading, "rule", table, seen)?, takers)?;
        if reading.told() > told {
            // Whether it makes sense as a whole cannot be known.
            return None;
        }
        match rule.check() {
            Ok(()) => Some((rule, place)),
            Err(error) => {
                reading.problem(place, error.to_string(), "change the rule");
                None
            }
        }
    });
    rules.collect()
}

fn rule(mut section: Section<'_, '_>, takers: &Takers) -> Option<Rule> {
    let name = section.in_file("name").and_then(|name| name.get_ref().as_str()).and_then(|n| RuleName::parse(n).ok());
    if let (Some(taken), Some(written)) = (name.as_ref().filter(|name| name.is_taken()), section.in_file("name")) {
        let under = match taken {
            _ if taken.is_onboard() => "people are made users",
            _ if taken.is_lost_host() => "hosts are looked at who can host no more",
            _ => "meetings are scheduled and moved",
        };
        let what = format!("[[rule]] is named {:?}, under which {under}", taken.as_str());
        section.reading.problem(Place::File(written.span()), what, "expected another name");
    }
    let description = section.optional("description", "a text", |text| Some(text.to_owned()));
    let on = events(&mut section);
    let (timer, fold) = (timer(&mut section, on.as_deref()), fold(&mut section, on.as_deref()));
    let orphaned = orphaned(&mut section, on.as_deref());
    let is_sent = section.is_set("send");
    let subject = match &on {
        Some(events) if is_sent => Some(spelt(&section, events)),
        Some(events) => subject_of(&mut section, events),
        None => section.required_of("for", &[("user", SubjectKind::User), ("meeting", SubjectKind::Meeting)]),
    };
    let topic = if on.is_some() { Some(Topic::Event) } else { subject.map(SubjectKind::topic) };
    let when = condition(&mut section, topic, on.as_deref().unwrap_or_default());
    let (on, when) = match on {
        Some(events) => (Some(On { events, timer, fold, orphaned, ..On::default() }.asking(when.as_ref())), None),
        None => (None, when),
    };
    let release = release(&mut section, subject);
    let mode = section.one_of_or_default("mode", &[("observe", Mode::Observe), ("enforce", Mode::Enforce)]);
    let except =
        section.list_in("except", form::email, "emails, as in [\"jill@example.com\"]", |text| Email::parse(text).ok());
    let except_roles = section.list_of("except_roles", &[("owner", Role::Owner), ("admin", Role::Admin)]);
    let (per_hour, percent) = (Rule::default_changes_per_hour(), Rule::default_changes_percent());
    let max_changes_per_hour = section.number("max_changes_per_hour", per_hour, Rule::CHANGES_PER_HOUR, "changes");
    let max_changes_percent = section.number("max_changes_percent", percent, Rule::CHANGES_PERCENT, "percent");
    let topic = subject.map(SubjectKind::topic);
    let send = send(&mut section, takers, on.is_some());
    if let Some(on) = &on {
        check_subject(&section, on, send.as_ref());
    }
    let ensure = if is_sent { None } else { section.inner("ensure").map(|inner| ensure(inner, topic)) };
    if ensure.is_none() && !is_sent {
        let forms = "{ assistants = [\"api-user\"] } or { settings = { waiting_room = true } }";
        section.missing("ensure", &format!("add ensure = {forms}"));
    }
    let allow_downgrade = section.flag_or("allow_downgrade", false);
    let allow_end = section.flag_or("allow_end", false);
    section.finish();
    Some(Rule {
        name: name?,
        subject: subject?,
        when,
        on,
        send,
        description,
        ensure: if is_sent { Ensure::default() } else { ensure? },
        allow_downgrade,
        allow_end,
        release,
        mode,
        except,
        except_roles,
        max_changes_per_hour,
        max_changes_percent,
    })
}

/// The events that the rule is about, where it is about events.
fn events(section: &mut Section<'_, '_>) -> Option<Vec<String>> {
    let on = section.in_file("on")?;
    let names = "names of events, as in [\"meeting.created\"]";
    let is_name = |text: &str| {
        let mut words = text.split(['.', '_']);
        let is_whole = text.contains('.') || text == "app_deauthorized";
        is_whole && words.all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()))
    };
    if on.get_ref().as_array().is_some_and(|on| on.is_empty()) {
        section.missing("events in on", &format!("expected {names}"));
    }
    if let Some(kind) = section.in_file("for") {
        let what = format!("{} has both for and on", section.title);
        let help = "expected for, or on: events say themselves whether they are about a user or a meeting";
        section.reading.problem(Place::File(kind.span()), what, help);
        section.knows("for", || form::NOTHING);
    }
    Some(section.list_in("on", form::event, names, |text| is_name(text).then(|| text.to_owned())))
}

/// To whom rules may send, by name; true for people.
pub(super) type Takers = BTreeMap<String, bool>;

/// To whom these events are sent, and as what.
fn send(section: &mut Section<'_, '_>, takers: &Takers, is_on: bool) -> Option<SendTo> {
    if !section.is_set("send") {
        if is_on {
            section.knows("send", form::text);
            section.note("send", None, None);
        }
        for key in ["severity", "template"] {
            if is_on || section.is_set(key) {
                section.foreign(&[key], "send");
            }
        }
        return None;
    }
    let found = section.find("send", form::text)?;
    let names = "the name of a [[consumer]] or [[notify]]";
    let consumer = section.optional("send", names, |text| ConsumerName::parse(text).ok());
    if !is_on {
        let what = format!("{} sends, and says no events", section.title);
        section.reading.problem(found.place(), what, "expected on = [\"…\"] in place of for: events are sent");
    }
    section.foreign(&["ensure"], "no send: write a rule for each of the two");
    section.foreign(&OF_ENSURE, "ensure");
    let is_to_people = consumer.as_ref().and_then(|consumer| takers.get(consumer.as_str())).copied();
    if let (Some(consumer), None) = (&consumer, is_to_people) {
        let help = nearest(consumer.as_str(), takers.keys().map(String::as_str)).map_or_else(
            || format!("add [[consumer]] or [[notify]] with name = \"{consumer}\""),
            |near| format!("did you mean {near}?"),
        );
        let what = format!("{} sends to {consumer}, and there is no such [[consumer]] or [[notify]]", section.title);
        section.reading.problem(found.place(), what, help);
    }
    if !section.is_set("severity") {
        section.note("severity", None, None);
    }
    let severity = section.one_of("severity", &Severity::CHOICES);
    let (template, names) = template(section)?;
    Some(SendTo { consumer: consumer?, is_to_people: is_to_people.unwrap_or_default(), severity, template, names })
}

/// What is asked, or shown, of the subject of these events has to be of all of them, and of no record of many.
fn check_subject(section: &Section<'_, '_>, on: &On, send: Option<&SendTo>) {
    let wrong = |key: &'static str, what: &str, help: &str| {
        let place = section.in_file(key).map_or(Place::Whole, |found| Place::File(found.span()));
        section.reading.problem(place, format!("{} {what}", section.title), help);
    };
    if on.fold.is_some() && on.later.is_some() {
        let help = "expected what the event itself says: a record is of many events";
        wrong("when", "has fold, and its when speaks of the meeting, its host or who did it", help);
    }
    let of_record = on.fold.is_some() || on.orphaned.is_some();
    for name in ["event", "meeting", "host", "user"] {
        if of_record && send.is_some_and(|send| send.names.contains(name)) {
            wrong("template", &format!("template speaks of {name}, and what it sends is a record"), "expected record");
        }
    }
    let are_all = |kind| on.events.iter().all(|event| kind_of(event) == Some(kind));
    let of = [("meeting", SubjectKind::Meeting), ("host", SubjectKind::Meeting), ("user", SubjectKind::User)];
    for (name, kind) in of {
        if send.is_some_and(|send| send.names.contains(name)) && !of_record && !are_all(kind) {
            let what = format!("template speaks of {name}, which its events do not all have");
            wrong("template", &what, "expected event, or other events in on");
        }
    }
}

/// What only rules have that make something true.
pub(super) const OF_ENSURE: [&str; 6] =
    ["allow_downgrade", "allow_end", "except", "except_roles", "max_changes_per_hour", "max_changes_percent"];

/// With what it speaks of. None where it is wrong.
fn template(section: &mut Section<'_, '_>) -> Option<(Option<String>, BTreeSet<String>)> {
    let Some(found) = section.find("template", form::text) else {
        section.note("template", None, None);
        return Some((None, BTreeSet::new()));
    };
    let Some(text) = found.text() else {
        section.wrong("template", &found, "a template in a text");
        return None;
    };
    match Template::parse(text) {
        Ok(template) => {
            section.note("template", Some(super::section::quoted(text)), Some(&found));
            Some((Some(text.to_owned()), template.names()))
        }
        Err(error) => {
            let place = place_in(section.reading, &found, text, &line_of(text, error.line));
            let what = format!("{} template cannot be used, {error}", section.title);
            section.reading.problem(place, what, "expected a template in the language of Jinja");
            None
        }
    }
}

/// The place of a line in a text.
fn line_of(text: &str, line: Option<usize>) -> Range<usize> {
    let before = text.split_inclusive('\n').take(line.unwrap_or(1).saturating_sub(1)).map(str::len).sum::<usize>();
    let length = text.get(before..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
    before..before.saturating_add(length)
}

/// Any event can be sent, if it is one.
fn spelt(section: &Section<'_, '_>, events: &[String]) -> SubjectKind {
    let place = section.in_file("on").map_or(Place::Whole, |on| Place::File(on.span()));
    for event in events {
        if let Some(meant) = meant(event) {
            let what = format!("{} on names {event}", section.title);
            section.reading.problem(place.clone(), what, format!("did you mean {meant}?"));
        }
    }
    SubjectKind::Event
}

/// What these events are about: all of them the same.
fn subject_of(section: &mut Section<'_, '_>, events: &[String]) -> Option<SubjectKind> {
    let place = section.in_file("on").map_or(Place::Whole, |on| Place::File(on.span()));
    let wrong = |what: String, help: &str| section.reading.problem(place.clone(), what, help);
    let mut kind = None;
    for event in events {
        let of = kind_of(event);
        if of.is_none() {
            wrong(
                format!("{} ensures something, and {event} is about neither a user nor a meeting", section.title),
                "expected events that begin with user. or meeting.",
            );
        } else if kind.is_some() && kind != of {
            wrong(
                format!("{} is about events of users and of meetings", section.title),
                "expected a rule for each of the two",
            );
        } else if let Some(meant) = meant(event) {
            wrong(format!("{} on names {event}", section.title), &format!("did you mean {meant}?"));
        } else if gone_by_then(event) && !recovers(section) {
            wrong(
                format!("{} ensures something after {event}, and its subject is gone by then", section.title),
                "expected another event",
            );
        }
        kind = kind.or(of);
    }
    kind
}

/// Whether it is about meetings that are gone: what else is wrong with that, the rule as a whole says.
fn recovers(section: &Section<'_, '_>) -> bool {
    let status = section.in_file("ensure").and_then(|ensure| ensure.get_ref().as_table()?.get("status"));
    status.and_then(|status| status.get_ref().as_str()) == Some(MeetingState::Recovered.as_str())
}

/// The condition of a rule. Without a topic it cannot be checked, and what is wrong with that was told.
fn condition(section: &mut Section<'_, '_>, topic: Option<Topic>, events: &[String]) -> Option<Condition> {
    conditioned(section, "when", "a condition in a text, as in 'user.type == 2'", |text| {
        Some(match topic? {
            Topic::Event => Condition::about_events(text, events),
            topic => Condition::compile(text, topic),
        })
    })
}

/// What `read` makes of a condition that may be left out; what is wrong with it is told with its place.
pub(super) fn conditioned<T>(
    section: &mut Section<'_, '_>,
    key: &'static str,
    expected: &str,
    read: impl FnOnce(&str) -> Option<Result<T, ConditionError>>,
) -> Option<T> {
    let Some(found) = section.find(key, form::text) else {
        section.note(key, None, None);
        return None;
    };
    let Some(text) = found.text() else {
        section.wrong(key, &found, expected);
        return None;
    };
    match read(text)? {
        Ok(condition) => {
            section.note(key, Some(super::section::quoted(text)), Some(&found));
            Some(condition)
        }
        Err(error) => {
            let what = format!("{} {key}, column {}: {}", section.title, error.column(text), error.what);
            let place = place_in(section.reading, &found, text, &error.span);
            section.reading.problem(place, what, error.help);
            None
        }
    }
}

/// The place of a part of a text; the text as a whole where it is written with escapes.
fn place_in(reading: &Reading<'_>, found: &Found<'_>, text: &str, part: &Range<usize>) -> Place {
    let Found::File(value) = found else { return found.place() };
    let whole = value.span();
    let written = reading.text.get(whole.clone()).unwrap_or_default();
    match written.find(text) {
        Some(at) if !text.is_empty() => {
            let start = whole.start.saturating_add(at);
            Place::File(start.saturating_add(part.start)..start.saturating_add(part.end))
        }
        _ => Place::File(whole),
    }
}
