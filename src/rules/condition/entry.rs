//! What a condition can speak of where it is about an entry of the audit log: the fields that the admin API shows of one.

use super::fields::Field::{Dyn, Number, Object, Objects, OneOf, Text, Time};
use super::fields::Shape;

pub(super) static ABOUT_ENTRY: Shape = Shape { title: "the condition", fields: &[("entry", Object(&ENTRY))] };

static ENTRY: Shape = Shape {
    title: "entry",
    fields: &[
        ("account", Text),
        ("actor", Text),
        ("app", Text),
        ("at", Time),
        ("attempt", Number),
        ("led_by", Number),
        ("call", Object(&CALL)),
        ("code", Text),
        ("delivery", Text),
        ("index", Number),
        ("job", Text),
        ("kind", Text),
        ("leaf", Text),
        ("note", Text),
        ("rule", Text),
        ("saw", Objects(&SAW)),
        ("severity", OneOf(&["info", "warning", "critical"])),
        ("subject", Text),
    ],
};

static CALL: Shape = Shape {
    title: "entry.call",
    fields: &[("category", Text), ("method", Text), ("millis", Number), ("path", Text), ("status", Number)],
};

static SAW: Shape = Shape { title: "entry.saw", fields: &[("facts", Dyn), ("outcome", Text), ("text", Text)] };
