//! `report` and `successor` of a rule: what is said, in place of its events, of the user whom each names.

use super::form;
use super::problem::Place;
use super::section::Section;
use crate::ids::Email;
use crate::rules::{Orphaned, SubjectKind, kind_of};

/// `on` are the rule's events, where it is about events.
pub(super) fn orphaned(section: &mut Section<'_, '_>, on: Option<&[String]>) -> Option<Orphaned> {
    let place = section.in_file("report").map_or_else(|| section.place.clone(), |key| Place::File(key.span()));
    let (is_set, has_successor) = (section.is_set("report"), section.is_set("successor"));
    if !is_set {
        section.note("report", None, None);
    }
    let reports = section.one_of("report", &[("orphaned", ())]);
    let expected = "the email of who could host the meetings, as in successor = \"deputy@example.com\"";
    let successor = section.optional_in("successor", form::email, expected, |text| Email::parse(text).ok());
    if !is_set && has_successor {
        section.foreign(&["successor"], "report = \"orphaned\"");
    }
    reports?;
    let wrong = |what: &str, help: &str| {
        section.reading.problem(place.clone(), format!("{} {what}", section.title), help);
    };
    match on {
        None => wrong("has report, and no on", "add on = [\"user.deactivated\", \"user.deleted\"]"),
        Some(on) if on.iter().any(|event| kind_of(event) != Some(SubjectKind::User)) => {
            wrong("reports on the meetings of users, after events of others", "expected events that begin with user.");
        }
        Some(_) => {}
    }
    if let Some(other) = ["after", "fold"].into_iter().find(|other| section.in_file(other).is_some()) {
        wrong(&format!("has both {other} and report"), "expected one of the two");
    }
    if !section.is_set("send") {
        wrong("has report, and sends it nowhere", "add send = \"…\", the name of a consumer");
    }
    if !has_successor {
        section.missing("successor", &format!("add {expected}"));
    }
    Some(Orphaned { successor: successor? })
}
