//! `after` and `unless` of a rule about events.

use super::form;
use super::problem::Place;
use super::section::Section;
use crate::rules::{SubjectKind, Timer, kind_of, meant};

/// The rule's timer. `on` are its events, where it is about events.
pub(super) fn timer(section: &mut Section<'_, '_>, on: Option<&[String]>) -> Option<Timer> {
    let place =
        |section: &Section<'_, '_>, key| section.in_file(key).map_or(Place::Whole, |key| Place::File(key.span()));
    let (at, named) = (place(section, "after"), place(section, "unless"));
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
            wrong(&named, &format!("unless names {event}"), &format!("did you mean {meant}?"));
        } else if on.is_some_and(|on| on.contains(event)) {
            wrong(
                &named,
                &format!("begins its timer and ends it with {event}"),
                "expected another event in one of the two",
            );
        }
    }
    match (on, has) {
        (_, (false, false)) => {}
        (_, (false, true)) => wrong(&named, "has unless, and no after", "add after = \"5m\", or leave unless out"),
        (None, _) => wrong(&at, "has after, and no on", "add on = [\"…\"]: a timer begins with an event"),
        (Some(on), _) if on.iter().any(|event| kind_of(event) == Some(SubjectKind::User)) => {
            wrong(&at, "has after, and is about users", "expected events of meetings: a timer is about a run of one");
        }
        _ => {}
    }
    Some(Timer { after: after?, unless })
}
