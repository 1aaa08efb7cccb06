//! Webhooks about a meeting that runs, or should: who comes, waits and goes, and what Zoom notices of it.
//!
//! Shapes \[DOC samples, 3P `ZoomNet`'s copies of them]: the id is text in what is about participants, but for
//! `participant_jbh_waiting_left`, and a number in what Zoom notices itself.

use serde_json::json;

use crate::clock::Timestamp;
use crate::sim::answer::rfc3339;
use crate::sim::body::Object;
use crate::sim::meeting::Meeting;
use crate::sim::room::Visit;

use super::event_first;

/// What is told of, and when.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub account: &'a str,
    /// Email and id of who acts, where somebody does.
    pub operator: (&'a str, &'a str),
    pub meeting: &'a Meeting,
    pub at: Timestamp,
}

/// What a participant does, or what happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    AwaitsHost,
    GivesUp,
    EntersWaitingRoom,
    LeavesWaitingRoom,
    Admitted,
    Joins,
    Leaves { host_ended: bool },
    BecomesCoHost,
}

impl Moment {
    /// One of each.
    pub const ALL: [Self; 8] = [
        Self::AwaitsHost,
        Self::GivesUp,
        Self::EntersWaitingRoom,
        Self::LeavesWaitingRoom,
        Self::Admitted,
        Self::Joins,
        Self::Leaves { host_ended: false },
        Self::BecomesCoHost,
    ];

    /// Zoom's name of the event.
    pub const fn event(self) -> &'static str {
        match self {
            Self::AwaitsHost => "meeting.participant_jbh_waiting",
            Self::GivesUp => "meeting.participant_jbh_waiting_left",
            Self::EntersWaitingRoom => "meeting.participant_joined_waiting_room",
            Self::LeavesWaitingRoom => "meeting.participant_left_waiting_room",
            Self::Admitted => "meeting.participant_admitted",
            Self::Joins => "meeting.participant_joined",
            Self::Leaves { .. } => LEFT,
            Self::BecomesCoHost => "meeting.participant_role_changed",
        }
    }
}

/// The event that comes late where somebody's connection broke.
pub(crate) const LEFT: &str = "meeting.participant_left";

/// What Zoom notices of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    StreamStarted,
    Alert,
    RiskAlert,
}

impl Notice {
    /// One of each.
    pub const ALL: [Self; 3] = [Self::StreamStarted, Self::Alert, Self::RiskAlert];

    /// Zoom's name of the event.
    pub const fn event(self) -> &'static str {
        match self {
            Self::StreamStarted => "meeting.live_streaming_started",
            Self::Alert => "meeting.alert",
            Self::RiskAlert => "meeting.risk_alert",
        }
    }
}

impl Scene<'_> {
    fn payload(&self) -> Object {
        Object::new().put("account_id", self.account)
    }

    fn operated(&self) -> Object {
        let (email, id) = self.operator;
        self.payload().put("operator", email).put("operator_id", id)
    }

    fn start_time(&self) -> String {
        rfc3339(self.meeting.start_time.unwrap_or(self.at))
    }

    /// What all that is about a running meeting says of it, after the id.
    fn running(&self, object: Object) -> Object {
        let Meeting { uuid, host_id, topic, kind, timezone, duration, .. } = self.meeting;
        let object = object.put("uuid", uuid).put("host_id", host_id).put("topic", topic).put("type", kind);
        object.put("start_time", self.start_time()).put("timezone", timezone).put("duration", duration)
    }

    fn with_text_id(&self) -> Object {
        self.running(Object::new().put("id", self.meeting.id.to_string()))
    }

    fn with_number_id(&self) -> Object {
        self.running(Object::new().put("id", self.meeting.id))
    }

    /// `meeting.started` and `meeting.ended`: no operator \[DOC]; `ended` has been seen with the payload before `event_ts`
    /// \[3P ZoomNet#349].
    pub(crate) fn ran(&self, name: &str) -> String {
        let object = self.with_text_id();
        let object = object.put_some("end_time", (name == "meeting.ended").then(|| rfc3339(self.at)));
        let payload = self.payload().nest("object", object);
        Object::new().put("event", name).nest("payload", payload).put("event_ts", self.at.as_millis()).finish()
    }

    /// The body of the event about a participant.
    pub fn of(&self, moment: Moment, visit: &Visit) -> String {
        let participant = self.participant(moment, visit);
        let object = if moment == Moment::GivesUp { self.with_number_id() } else { self.with_text_id() };
        let payload = match moment {
            Moment::Admitted => self.operated().put("operation", "single"),
            _ => self.payload(),
        };
        event_first(moment.event(), payload.nest("object", object.nest("participant", participant)), self.at)
    }

    fn participant(&self, moment: Moment, visit: &Visit) -> Object {
        let (person, now) = (&visit.person, rfc3339(self.at));
        let registrant = |object: Object| object.put_some("registrant_id", person.registrant_id.as_ref());
        if matches!(moment, Moment::AwaitsHost | Moment::GivesUp) {
            // Nobody has a connection yet, and the address is not told.
            return registrant(Object::new().put("id", &person.id).put("user_name", &person.name));
        }
        if moment == Moment::BecomesCoHost {
            let object = Object::new().put("user_id", &visit.user_id).put("participant_uuid", &visit.participant_uuid);
            let object = registrant(object.put("user_name", &person.name).put("email", &person.email));
            let object = object.put("participant_user_id", &person.id).put("date_time", now);
            return object.put("old_role", "attendee").put("new_role", "co-host");
        }
        let object = Object::new().put("user_id", &visit.user_id).put("user_name", &person.name);
        let object = object.put("id", &person.id).put("participant_uuid", &visit.participant_uuid);
        let object = match moment {
            Moment::Joins => object.put("join_time", now),
            Moment::Leaves { host_ended } => {
                let why = if host_ended { "Host ended the meeting." } else { "left the meeting." }; // The second [M].
                let reason = format!("{} left the meeting.<br>Reason: {why}", person.name);
                object.put("leave_time", now).put("leave_reason", reason)
            }
            _ => object.put("date_time", now),
        };
        registrant(object.put("email", &person.email)).put("participant_user_id", &person.id)
    }

    /// The body of what Zoom notices.
    pub fn noticed(&self, notice: Notice) -> String {
        let id = self.meeting.id;
        let (payload, object) = match notice {
            Notice::StreamStarted => {
                let settings = json!({
                    "stream_url": "https://example.com/livestream", "stream_key": "ABCDEFG12345HIJ6789",
                    "page_url": format!("https://example.com/livestream/{id}"), "resolution": "1080p",
                });
                let stream = Object::new().put("service", "Custom_Live_Streaming_Service");
                let stream = stream.put("custom_live_streaming_settings", settings).put("date_time", rfc3339(self.at));
                (self.operated(), self.with_number_id().nest("live_streaming", stream))
            }
            Notice::Alert => (self.payload(), self.with_number_id().put("issues", ["Unstable audio quality"])),
            Notice::RiskAlert => {
                let details = json!({
                    "post_platform": "twitter", "social_link": "https://example.com/user/status/1", "post_user": "user",
                    "post_time": rfc3339(self.at), "meeting_url": format!("https://example.com/j/{id}"),
                    "recommended_enable_settings": ["enablePassword", "enableWaitingRoom"],
                    "recommended_disable_settings": ["enableMeetingChat"],
                });
                (self.payload(), self.with_number_id().put("armn_details", details))
            }
        };
        event_first(notice.event(), payload.nest("object", object), self.at)
    }
}
