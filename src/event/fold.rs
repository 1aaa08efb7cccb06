//! Events of one run of a meeting, folded into one record.
//!
//! Pure, and a matter of sets: in what order events come, and how often each, makes no difference.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::ids::Email;

/// The event after which a record is made.
pub const LAST: &str = "meeting.ended";
const JOINED: &str = "meeting.participant_joined";
const LEFT: &str = "meeting.participant_left";
const STARTED: &str = "meeting.started";

/// Who was in one run of a meeting, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Attendance {
    /// The number of the meeting.
    pub meeting: Option<String>,
    /// The uuid of the run.
    pub instance: Option<String>,
    pub topic: Option<String>,
    pub host_id: Option<String>,
    /// As Zoom says it, else when the first came.
    pub start: Option<String>,
    /// None where nobody said that it ended.
    pub end: Option<String>,
    /// In the order in which they came.
    pub participants: Vec<Participant>,
}

/// One person, on however many devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// Zoom's id of the user; none for guests.
    pub id: Option<String>,
    pub name: Option<String>,
    /// Zoom leaves it out of most guests.
    pub email: Option<String>,
    /// How long in all, in seconds: two devices at once count once.
    pub seconds: u64,
    /// How often the person came back.
    pub rejoined: u64,
    pub stays: Vec<Stay>,
}

/// From coming to leaving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stay {
    /// None where no event told of it: then the stay counts for nothing.
    pub joined: Option<String>,
    /// Where no event told of it, the end of the meeting; none where that is not known either.
    pub left: Option<String>,
}

/// What one device said.
#[derive(Debug, Default)]
struct Device {
    /// What the person is known by: any of these is enough to be the same.
    known_by: BTreeSet<String>,
    joins: BTreeSet<Timestamp>,
    leaves: BTreeSet<Timestamp>,
    /// What was stated, and when: the newest counts.
    id: Option<(Timestamp, String)>,
    name: Option<(Timestamp, String)>,
    email: Option<(Timestamp, String)>,
}

/// A stay before it is in words.
type Span = (Option<Timestamp>, Option<Timestamp>);

/// Folds whole bodies of deliveries about one run; others than those about coming, leaving, start and end say nothing.
pub fn attendance<'e>(events: impl IntoIterator<Item = &'e Value>) -> Attendance {
    let (mut record, mut devices) = (Attendance::default(), BTreeMap::<String, Device>::new());
    let (mut start, mut end): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    for event in events {
        let (Some(name), Some(object)) = (text(event, "/event"), event.pointer("/payload/object")) else { continue };
        if ![JOINED, LEFT, STARTED, LAST].contains(&name.as_str()) {
            continue;
        }
        let happened = event.get("event_ts").and_then(millis);
        // Of several the smallest, so that their order says nothing.
        let stated = |to: &mut Option<String>, at: &str| {
            let text = text(object, at);
            if text.is_some() && (to.is_none() || text < *to) {
                *to = text;
            }
        };
        stated(&mut record.meeting, "/id");
        stated(&mut record.instance, "/uuid");
        stated(&mut record.topic, "/topic");
        stated(&mut record.host_id, "/host_id");
        if [STARTED, LAST].contains(&name.as_str()) {
            let began = moment(object, "/start_time").or(happened.filter(|_| name == STARTED));
            start = [start, began].into_iter().flatten().min();
            end = end.max(moment(object, "/end_time").or(happened).filter(|_| name == LAST));
            continue;
        }
        let Some(participant) = object.get("participant") else { continue };
        let field = if name == JOINED { "/join_time" } else { "/leave_time" };
        let Some(at) = moment(participant, field).or(happened) else { continue };
        let Some(key) = device_of(participant) else { continue };
        devices.entry(key).or_default().learn(participant, name == JOINED, at);
    }
    let first = devices.values().filter_map(|device| device.joins.first()).min().copied();
    record.start = start.or(first).map(|at| at.to_string());
    record.end = end.map(|at| at.to_string());
    let mut people: Vec<(Span, Participant)> = people(devices).into_iter().map(|of| person(&of, end)).collect();
    people.sort_by(|(one, who), (other, whom)| {
        let place = |(joined, left): &Span| (joined.or(*left), *left);
        (place(one), &who.name, &who.id, &who.email).cmp(&(place(other), &whom.name, &whom.id, &whom.email))
    });
    record.participants = people.into_iter().map(|(_, person)| person).collect();
    record
}

/// What tells one device in the meeting from another.
fn device_of(participant: &Value) -> Option<String> {
    let keys = ["/user_id", "/participant_uuid", "/id", "/participant_user_id", "/email", "/user_name"];
    keys.into_iter().find_map(|key| Some(format!("{key}={}", text(participant, key)?)))
}

impl Device {
    fn learn(&mut self, participant: &Value, is_join: bool, at: Timestamp) {
        if is_join {
            self.joins.insert(at)
        } else {
            self.leaves.insert(at)
        };
        let id = text(participant, "/id").or_else(|| text(participant, "/participant_user_id"));
        let email =
            text(participant, "/email").and_then(|email| Email::parse(&email).ok()).map(|email| email.to_string());
        let known = [
            id.as_ref().map(|id| format!("i{id}")),
            text(participant, "/participant_uuid").map(|uuid| format!("p{uuid}")),
            email.as_ref().map(|email| format!("e{email}")),
        ];
        self.known_by.extend(known.into_iter().flatten());
        let newest = |to: &mut Option<(Timestamp, String)>, text: Option<String>| {
            *to = to.take().max(text.map(|text| (at, text)));
        };
        newest(&mut self.id, id);
        newest(&mut self.name, text(participant, "/user_name"));
        newest(&mut self.email, email);
    }

    /// An event about leaving may be lost or still on its way, and so may one about coming.
    fn stays(&self, end: Option<Timestamp>) -> Vec<Span> {
        let (mut stays, mut inside) = (Vec::new(), None);
        for at in self.joins.union(&self.leaves).copied() {
            let (joins, leaves) = (self.joins.contains(&at), self.leaves.contains(&at));
            match (inside, joins, leaves) {
                (Some(since), _, true) => {
                    stays.push((Some(since), Some(at)));
                    inside = joins.then_some(at);
                }
                (None, true, true) => stays.push((Some(at), Some(at))),
                (None, true, false) => inside = Some(at),
                (None, false, _) => stays.push((None, Some(at))),
                (Some(_), _, false) => {}
            }
        }
        stays.extend(inside.map(|since| (Some(since), end.map(|end| end.max(since)))));
        stays
    }
}

/// Devices of one person together.
fn people(devices: BTreeMap<String, Device>) -> Vec<Vec<Device>> {
    let mut people: Vec<(BTreeSet<String>, Vec<Device>)> = Vec::new();
    for device in devices.into_values() {
        let (same, others): (Vec<_>, Vec<_>) =
            people.into_iter().partition(|(known, _)| !known.is_disjoint(&device.known_by));
        let mut known = device.known_by.clone();
        let mut of = vec![device];
        for (more, theirs) in same {
            known.extend(more);
            of.extend(theirs);
        }
        people = others;
        people.push((known, of));
    }
    people.into_iter().map(|(_, devices)| devices).collect()
}

fn person(devices: &[Device], end: Option<Timestamp>) -> (Span, Participant) {
    let mut spans: Vec<Span> = devices.iter().flat_map(|device| device.stays(end)).collect();
    spans.sort_by_key(|(joined, left)| (joined.or(*left), *left));
    let mut stays: Vec<Span> = Vec::new();
    for (joined, left) in spans {
        match stays.last_mut() {
            // On another device they were there when they came to this one. One that nobody saw leaving is there still.
            Some((Some(_), until)) if joined.is_some() && until.is_none_or(|until| joined <= Some(until)) => {
                *until = until.zip(left).map(|(one, other)| one.max(other));
            }
            // Leaving that was told by a second device, or twice.
            Some((_, until)) if joined.is_none() && until.is_none_or(|until| left <= Some(until)) => {}
            _ => stays.push((joined, left)),
        }
    }
    let seconds = |(joined, left): &Span| joined.zip(*left).map_or(0, |(joined, left)| left.since(joined).as_secs());
    let newest = |of: fn(&Device) -> &Option<(Timestamp, String)>| {
        devices.iter().filter_map(|device| of(device).clone()).max().map(|(_, text)| text)
    };
    let in_words = |(joined, left): &Span| {
        let words = |at: &Option<Timestamp>| at.map(|at| at.to_string());
        Stay { joined: words(joined), left: words(left) }
    };
    let participant = Participant {
        id: newest(|device| &device.id),
        name: newest(|device| &device.name),
        email: newest(|device| &device.email),
        seconds: stays.iter().map(seconds).sum(),
        rejoined: u64::try_from(stays.len().saturating_sub(1)).unwrap_or(u64::MAX),
        stays: stays.iter().map(in_words).collect(),
    };
    (stays.first().copied().unwrap_or_default(), participant)
}

/// A text that is not empty, or a number: ids are either.
fn text(value: &Value, at: &str) -> Option<String> {
    match value.pointer(at)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn moment(value: &Value, at: &str) -> Option<Timestamp> {
    value.pointer(at).and_then(Value::as_str).and_then(Timestamp::parse)
}

fn millis(value: &Value) -> Option<Timestamp> {
    let millis = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    millis.map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests;
