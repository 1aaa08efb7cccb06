//! `after`, `unless`, `fold` and `release` of a rule: what becomes of events in the course of time.

use super::form;
use super::problem::Place;
use super::section::{Section, quoted};
use crate::event::fold::LAST;
use crate::rules::{Fold, Rule, SubjectKind, Timer, kind_of, meant};

/// The rule's timer. `on` are its events, where it is about events.
pub(super) fn timer(section: &mut Section<'_, '_>, on: Option<&[String]>) -> Option<Timer> {
    let place =
        |section: &Section<'_, '_>, key| section.in_file(key).map_or(Place::Whole, |key| Place::File(key.span()));
    let (at, ends_at) = (place(section, "after"), place(section, "unless"));
    let has = (section.in_file("after").is_some(), section.in_file("unless").is_some());
    let expected = "a time from 1s to 7d, in s, m, h or d, as in \"5m\"";
    let span = || form::text_like("^[0-9]+[smhd]$");
    let after = section.optional_in("after", span, expected, Timer::span);
    let names = "names of events of meetings, as in [\"meeting.started\"]";
    let is_meetings = |text: &str| kind_of(text) == Some(SubjectKind::Meeting);
    let unless = section.list_in("unless", form::event, names, |text| is_meetings(text).then(|| text.to_owned()));
    let wrong = |at: &Place, what: &str, help: &str| {
        section.reading.problem(at.clone(), format!("{} {what}", section.title), help);
    };
    for event in &unless {
        if let Some(meant) = meant(event) {
            wrong(&ends_at, &format!("unless names {event}"), &format!("did you mean {meant}?"));
        } else if on.is_some_and(|on| on.contains(event)) {
            wrong(
                &ends_at,
                &format!("begins its timer and ends it with {event}"),
                "expected another event in one of the two",
            );
        }
    }
    match (on, has) {
        (_, (false, false)) => {}
        (_, (false, true)) => wrong(&ends_at, "has unless, and no after", "add after = \"5m\", or leave unless out"),
        (None, _) => wrong(&at, "has after, and no on", "add on = [\"…\"]: a timer begins with an event"),
        (Some(on), _) if on.iter().any(|event| kind_of(event) != Some(SubjectKind::Meeting)) => {
            wrong(
                &at,
                "has after, and is not about meetings alone",
                "expected events of meetings: a timer is about a run of one",
            );
        }
        _ => {}
    }
    Some(Timer { after: after?, unless })
}

/// What becomes of the events, where all of them make one record.
pub(super) fn fold(section: &mut Section<'_, '_>, on: Option<&[String]>) -> Option<Fold> {
    let choices = [("attendance", Fold::Attendance)];
    let found = section.find("fold", || form::one_of(&choices))?;
    let Some(fold) = section.in_file("fold").and_then(|fold| form::chosen(&choices, fold.get_ref().as_str()?)) else {
        section.wrong("fold", &found, &form::words(&choices));
        return None;
    };
    let place = section.in_file("fold").map_or(Place::Whole, |key| Place::File(key.span()));
    let wrong = |what: &str, help: &str| {
        section.reading.problem(place.clone(), format!("{} {what}", section.title), help);
    };
    let is_last = |event: &String| event == LAST;
    match on {
        None => wrong("has fold, and no on", "add on = [\"meeting.participant_joined\", \"meeting.ended\"]"),
        Some(on) if on.iter().any(|event| kind_of(event) != Some(SubjectKind::Meeting)) => {
            wrong("folds events that are not of meetings", "expected events that begin with meeting.");
        }
        Some(on) if !on.iter().any(is_last) => {
            wrong(&format!("has fold, and no {LAST} in on"), "add it: the record is made after it");
        }
        Some(_) => {}
    }
    if section.in_file("after").is_some() {
        wrong("has both after and fold", "expected one of the two");
    }
    if section.in_file("send").is_none() {
        wrong("has fold, and sends its record nowhere", "add send = \"…\", the name of a consumer");
    }
    Some(fold)
}

/// Events after which work goes on that met a meeting in progress.
pub(super) fn release(section: &mut Section<'_, '_>, subject: Option<SubjectKind>) -> Vec<String> {
    if !section.is_set("release") {
        section.knows("release", || form::list(&form::event()));
        let default = Rule::default_release();
        section.note(
            "release",
            Some(format!("[{}]", default.iter().map(|event| quoted(event)).collect::<Vec<_>>().join(", "))),
            None,
        );
        return default;
    }
    let place = section.in_file("release").map_or(Place::Whole, |key| Place::File(key.span()));
    let names = "names of events of meetings, as in [\"meeting.ended\"]";
    let is_meetings = |text: &str| kind_of(text) == Some(SubjectKind::Meeting);
    let release = section.list_in("release", form::event, names, |text| is_meetings(text).then(|| text.to_owned()));
    let wrong = |what: &str, help: &str| {
        section.reading.problem(place.clone(), format!("{} {what}", section.title), help);
    };
    for event in &release {
        if let Some(meant) = meant(event) {
            wrong(&format!("release names {event}"), &format!("did you mean {meant}?"));
        }
    }
    if subject == Some(SubjectKind::User) {
        wrong(
            "has release, and is about users",
            "leave it out: what waits for a user goes on by any event about the user",
        );
    }
    if release.is_empty() {
        wrong("has no events in release", &format!("expected {names}"));
    }
    release
}
