//! What Zoom documents of what events say. Bodies drift: where samples and schemas differ, either is taken.

use super::fields::Field::{Dyn, Number, Object, Objects, OneOf, Text, Time, Told};
use super::fields::Shape;
use super::subjects::STATED_MEETING;

/// What these events say something about; none where that is not known of one of them.
pub(super) fn told(events: &[String]) -> Vec<&'static Shape> {
    let mut all: Vec<&'static Shape> = Vec::new();
    for event in events {
        let of = shapes_of(event);
        if of.is_empty() {
            return Vec::new();
        }
        for shape in of {
            if !all.contains(&shape) {
                all.push(shape);
            }
        }
    }
    all
}

fn shapes_of(event: &str) -> Vec<&'static Shape> {
    match event {
        "user.activated"
        | "user.created"
        | "user.deactivated"
        | "user.deleted"
        | "user.disassociated"
        | "user.invitation_accepted"
        | "user.settings_updated"
        | "user.updated" => vec![&USER],
        "user.signed_in" | "user.signed_out" => vec![&SIGNING],
        "meeting.created"
        | "meeting.deleted"
        | "meeting.ended"
        | "meeting.permanently_deleted"
        | "meeting.recovered"
        | "meeting.started"
        | "meeting.updated" => vec![&OF_MEETING, &STATED_MEETING],
        "meeting.participant_joined" | "meeting.participant_left" => vec![&PARTICIPATION, &OF_MEETING, &STATED_MEETING],
        _ => vec![],
    }
}

pub(super) static PAYLOAD: Shape = Shape {
    title: "event.payload",
    fields: &[
        ("account_id", Text),
        ("creation_type", OneOf(&["create", "ssoCreate", "autoCreate", "custCreate"])),
        ("event_ts", Number),
        ("object", Told),
        ("old_object", Told),
        ("operation", Text),
        ("operator", Text),
        ("operator_id", Text),
        ("scope", Text),
        ("time_stamp", Number),
    ],
};

static USER: Shape = Shape {
    title: "event.payload.object",
    fields: &[
        ("company", Text),
        ("custom_attributes", Objects(&CUSTOM_ATTRIBUTES)),
        ("dept", Text),
        ("display_name", Text),
        ("email", Text),
        ("first_name", Text),
        ("host_key", Text),
        ("id", Text),
        ("language", Text),
        ("last_name", Text),
        ("phone_country", Text),
        ("phone_number", Text),
        ("pic_url", Text),
        ("pmi", Number),
        ("primary_group_id", Text),
        ("role", Dyn),
        // A tree of its own in each event.
        ("settings", Dyn),
        ("timezone", Text),
        ("type", Number),
        ("use_pmi", Dyn),
        ("vanity_name", Text),
    ],
};

static CUSTOM_ATTRIBUTES: Shape =
    Shape { title: "event.payload.object.custom_attributes", fields: &[("key", Text), ("name", Text), ("value", Dyn)] };

static SIGNING: Shape = Shape {
    title: "event.payload.object",
    fields: &[
        ("client_type", Text),
        ("date_time", Time),
        ("email", Text),
        ("id", Text),
        // A number by the schema, a text in the sample.
        ("login_type", Dyn),
        ("version", Text),
    ],
};

/// Where events say of a meeting something else than reading it does.
static OF_MEETING: Shape = Shape {
    title: "event.payload.object",
    fields: &[
        ("end_time", Time),
        // A number in some events and a text in others.
        ("id", Dyn),
        ("type", Number),
    ],
};

static PARTICIPATION: Shape = Shape { title: "event.payload.object", fields: &[("participant", Object(&PARTICIPANT))] };

static PARTICIPANT: Shape = Shape {
    title: "event.payload.object.participant",
    fields: &[
        ("customer_key", Text),
        ("email", Text),
        ("id", Text),
        ("join_time", Time),
        ("leave_reason", Text),
        ("leave_time", Time),
        ("participant_user_id", Text),
        ("participant_uuid", Text),
        ("phone_number", Text),
        ("registrant_id", Text),
        ("user_id", Text),
        ("user_name", Text),
    ],
};
