//! What a condition can speak of: names, fields and their types, as Zoom documents them.
//!
//! A field that is not here is refused, so that a slip of the finger is told when the rule is read and not found out when
//! it silently never holds.

use std::fmt;

use serde_json::Value;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    User,
    Meeting,
    Event,
}

/// A type, as far as it can be known before there are facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when there are facts: compared and called upon then.
    Dyn,
    Null,
    Bool,
    Number,
    Text,
    Time,
    Duration,
    List(Box<Self>),
    Object(&'static Shape),
}

/// An object whose fields are known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) title: &'static str,
    pub(super) fields: &'static [(&'static str, Field)],
}

/// The type of a field, in a form that a table can hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field {
    Dyn,
    Bool,
    Number,
    Text,
    /// A text that says a moment (RFC 3339); an empty one is as good as none.
    Time,
    Texts,
    Numbers,
    Object(&'static Shape),
    Objects(&'static Shape),
}

impl Field {
    pub(super) fn ty(&self) -> Type {
        match self {
            Self::Dyn => Type::Dyn,
            Self::Bool => Type::Bool,
            Self::Number => Type::Number,
            Self::Text => Type::Text,
            Self::Time => Type::Time,
            Self::Texts => Type::List(Box::new(Type::Text)),
            Self::Numbers => Type::List(Box::new(Type::Number)),
            Self::Object(shape) => Type::Object(shape),
            Self::Objects(shape) => Type::List(Box::new(Type::Object(shape))),
        }
    }
}

impl Shape {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }
}

/// As a message says it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("anything"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("true or false"),
            Self::Number => f.write_str("a number"),
            Self::Text => f.write_str("a text"),
            Self::Time => f.write_str("a time"),
            Self::Duration => f.write_str("a duration"),
            Self::List(of) => f.write_str(match **of {
                Self::Text => "a list of texts",
                Self::Number => "a list of numbers",
                _ => "a list",
            }),
            Self::Object(shape) => write!(f, "an object ({})", shape.title),
        }
    }
}

impl Type {
    /// Whether values of the two can be equal at all.
    pub(super) fn compares_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Null, _) | (_, Self::Dyn | Self::Null) => true,
            (Self::List(one), Self::List(other)) => one.compares_with(other),
            _ => self == other,
        }
    }

    /// The type of a value that is one of the two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, ty) | (ty, Self::Null) => ty,
            (one, other) if one == other => one,
            _ => Self::Dyn,
        }
    }
}

impl Topic {
    /// The names that a condition begins with.
    pub(super) const fn names(self) -> &'static Shape {
        match self {
            Self::User => &ABOUT_USER,
            Self::Meeting => &ABOUT_MEETING,
            Self::Event => &ABOUT_EVENT,
        }
    }
}

use Field::{Bool, Dyn, Number, Numbers, Object, Objects, Text, Texts, Time};

/// What Zoom documents at a place of a tree of settings.
#[derive(Debug, Clone, Copy)]
pub struct Documented(&'static Field);

impl Documented {
    /// Where nothing is known, so that anything may be.
    pub const ANYTHING: Self = Self(&Dyn);

    /// The settings of what a rule is about.
    pub fn settings_of(topic: Topic) -> Self {
        let subject = topic.names().fields.first().map(|(_, field)| field);
        Self(subject.unwrap_or(&Dyn)).branch("settings")
    }

    /// What is below that name; anything where nothing is known.
    #[must_use]
    pub fn branch(self, name: &str) -> Self {
        self.below(name).unwrap_or(Self::ANYTHING)
    }

    /// What is below that name, or what somebody probably meant by it.
    pub fn below(self, name: &str) -> Result<Self, String> {
        match self.0 {
            Object(shape) => {
                let names = shape.fields.iter().map(|(known, _)| *known);
                shape.field(name).map(Self).ok_or_else(|| super::check::expected(name, names))
            }
            _ => Ok(Self::ANYTHING),
        }
    }

    /// Whether there may be names below it.
    pub const fn is_branch(self) -> bool {
        matches!(self.0, Dyn | Object(_))
    }

    /// Whether a leaf of that name and value can be there. Alternative hosts may be a list: Zoom has them in one text.
    pub fn takes(self, name: &str, value: &Value) -> bool {
        match (self.0, value) {
            (Dyn, _) | (Bool, Value::Bool(_)) | (Number, Value::Number(_)) | (Text | Time, Value::String(_)) => true,
            (Texts, Value::Array(items)) => items.iter().all(Value::is_string),
            (Text, Value::Array(items)) => name == "alternative_hosts" && items.iter().all(Value::is_string),
            (Numbers, Value::Array(items)) => items.iter().all(Value::is_number),
            (Objects(_), Value::Array(items)) => items.iter().all(Value::is_object),
            _ => false,
        }
    }
}

/// As a message says it.
impl fmt::Display for Documented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.ty().fmt(f)
    }
}

static ABOUT_USER: Shape =
    Shape { title: "the condition", fields: &[("user", Object(&USER)), ("account", Text), ("now", Time)] };

static ABOUT_MEETING: Shape =
    Shape { title: "the condition", fields: &[("meeting", Object(&MEETING)), ("account", Text), ("now", Time)] };

static ABOUT_EVENT: Shape =
    Shape { title: "the condition", fields: &[("event", Object(&EVENT)), ("account", Text), ("now", Time)] };

static EVENT: Shape = Shape { title: "event", fields: &[("event", Text), ("event_ts", Number), ("payload", Dyn)] };

static MEETING: Shape = Shape {
    title: "meeting",
    fields: &[
        ("agenda", Text),
        ("assistant_id", Text),
        ("chat_join_url", Text),
        ("created_at", Time),
        ("creation_source", Text),
        ("duration", Number),
        ("dynamic_host_key", Text),
        ("encrypted_password", Text),
        ("h323_password", Text),
        ("host_email", Text),
        ("host_id", Text),
        ("id", Number),
        ("join_url", Text),
        ("occurrences", Objects(&MEETING_OCCURRENCES)),
        ("password", Text),
        ("pmi", Text),
        ("pre_schedule", Bool),
        ("pstn_password", Text),
        ("recurrence", Object(&MEETING_RECURRENCE)),
        ("settings", Object(&MEETING_SETTINGS)),
        ("start_time", Time),
        ("start_url", Text),
        ("status", Text),
        ("timezone", Text),
        ("topic", Text),
        ("tracking_fields", Objects(&MEETING_TRACKING_FIELDS)),
        ("type", Number),
        ("uuid", Text),
    ],
};

static MEETING_TRACKING_FIELDS: Shape =
    Shape { title: "meeting.tracking_fields", fields: &[("field", Text), ("value", Text), ("visible", Bool)] };

static MEETING_SETTINGS: Shape = Shape {
    title: "meeting.settings",
    fields: &[
        ("allow_host_control_participant_mute_state", Bool),
        ("allow_multiple_devices", Bool),
        ("alternative_host_update_polls", Bool),
        ("alternative_hosts", Text),
        ("alternative_hosts_email_notification", Bool),
        ("approval_type", Number),
        ("approved_or_denied_countries_or_regions", Object(&MEETING_SETTINGS_APPROVED_OR_DENIED_COUNTRIES_OR_REGIONS)),
        ("audio", Text),
        ("audio_conference_info", Text),
        ("authentication_domains", Text),
        ("authentication_exception", Objects(&MEETING_SETTINGS_AUTHENTICATION_EXCEPTION)),
        ("authentication_name", Text),
        ("authentication_option", Text),
        ("auto_recording", Text),
        ("auto_start_ai_companion_questions", Bool),
        ("auto_start_meeting_summary", Bool),
        ("breakout_room", Object(&MEETING_SETTINGS_BREAKOUT_ROOM)),
        ("calendar_type", Number),
        ("close_registration", Bool),
        ("cn_meeting", Bool),
        ("contact_email", Text),
        ("contact_name", Text),
        ("continuous_meeting_chat", Object(&MEETING_SETTINGS_CONTINUOUS_MEETING_CHAT)),
        ("custom_keys", Objects(&MEETING_SETTINGS_CUSTOM_KEYS)),
        ("device_testing", Bool),
        ("disable_participant_video", Bool),
        ("email_in_attendee_report", Bool),
        ("email_notification", Bool),
        ("encryption_type", Text),
        ("enforce_login", Bool),
        ("enforce_login_domains", Text),
        ("focus_mode", Bool),
        ("global_dial_in_countries", Texts),
        ("global_dial_in_numbers", Objects(&MEETING_SETTINGS_GLOBAL_DIAL_IN_NUMBERS)),
        ("host_save_video_order", Bool),
        ("host_video", Bool),
        ("in_meeting", Bool),
        ("internal_meeting", Bool),
        ("jbh_time", Number),
        ("join_before_host", Bool),
        ("language_interpretation", Object(&MEETING_SETTINGS_LANGUAGE_INTERPRETATION)),
        ("meeting_authentication", Bool),
        ("meeting_invitees", Objects(&MEETING_SETTINGS_MEETING_INVITEES)),
        ("mute_upon_entry", Bool),
        ("participant_focused_meeting", Bool),
        ("participant_video", Bool),
        ("private_meeting", Bool),
        ("push_change_to_calendar", Bool),
        ("question_and_answer", Object(&MEETING_SETTINGS_QUESTION_AND_ANSWER)),
        ("registrants_confirmation_email", Bool),
        ("registrants_email_notification", Bool),
        ("registration_type", Number),
        ("resources", Objects(&MEETING_SETTINGS_RESOURCES)),
        ("show_share_button", Bool),
        ("sign_language_interpretation", Object(&MEETING_SETTINGS_SIGN_LANGUAGE_INTERPRETATION)),
        ("summary_template_id", Text),
        ("use_pmi", Bool),
        ("waiting_room", Bool),
        ("watermark", Bool),
        ("who_can_ask_questions", Number),
        ("who_will_receive_summary", Number),
    ],
};

static MEETING_SETTINGS_SIGN_LANGUAGE_INTERPRETATION: Shape = Shape {
    title: "meeting.settings.sign_language_interpretation",
    fields: &[("enable", Bool), ("interpreters", Objects(&MEETING_SETTINGS_SIGN_LANGUAGE_INTERPRETATION_INTERPRETERS))],
};

static MEETING_SETTINGS_SIGN_LANGUAGE_INTERPRETATION_INTERPRETERS: Shape = Shape {
    title: "meeting.settings.sign_language_interpretation.interpreters",
    fields: &[("email", Text), ("sign_language", Text)],
};

static MEETING_SETTINGS_RESOURCES: Shape = Shape {
    title: "meeting.settings.resources",
    fields: &[("permission_level", Text), ("resource_id", Text), ("resource_type", Text)],
};

static MEETING_SETTINGS_QUESTION_AND_ANSWER: Shape = Shape {
    title: "meeting.settings.question_and_answer",
    fields: &[
        ("allow_anonymous_questions", Bool),
        ("allow_submit_questions", Bool),
        ("attendees_can_comment", Bool),
        ("attendees_can_upvote", Bool),
        ("enable", Bool),
        ("question_visibility", Text),
    ],
};

static MEETING_SETTINGS_MEETING_INVITEES: Shape =
    Shape { title: "meeting.settings.meeting_invitees", fields: &[("email", Text), ("internal_user", Bool)] };

static MEETING_SETTINGS_LANGUAGE_INTERPRETATION: Shape = Shape {
    title: "meeting.settings.language_interpretation",
    fields: &[("enable", Bool), ("interpreters", Objects(&MEETING_SETTINGS_LANGUAGE_INTERPRETATION_INTERPRETERS))],
};

static MEETING_SETTINGS_LANGUAGE_INTERPRETATION_INTERPRETERS: Shape = Shape {
    title: "meeting.settings.language_interpretation.interpreters",
    fields: &[("email", Text), ("interpreter_languages", Text), ("languages", Text)],
};

static MEETING_SETTINGS_GLOBAL_DIAL_IN_NUMBERS: Shape = Shape {
    title: "meeting.settings.global_dial_in_numbers",
    fields: &[("city", Text), ("country", Text), ("country_name", Text), ("number", Text), ("type", Text)],
};

static MEETING_SETTINGS_CUSTOM_KEYS: Shape =
    Shape { title: "meeting.settings.custom_keys", fields: &[("key", Text), ("value", Text)] };

static MEETING_SETTINGS_CONTINUOUS_MEETING_CHAT: Shape = Shape {
    title: "meeting.settings.continuous_meeting_chat",
    fields: &[
        ("auto_add_invited_external_users", Bool),
        ("auto_add_meeting_participants", Bool),
        ("channel_id", Text),
        ("enable", Bool),
        ("who_is_added", Text),
    ],
};

static MEETING_SETTINGS_BREAKOUT_ROOM: Shape = Shape {
    title: "meeting.settings.breakout_room",
    fields: &[("enable", Bool), ("rooms", Objects(&MEETING_SETTINGS_BREAKOUT_ROOM_ROOMS))],
};

static MEETING_SETTINGS_BREAKOUT_ROOM_ROOMS: Shape =
    Shape { title: "meeting.settings.breakout_room.rooms", fields: &[("name", Text), ("participants", Texts)] };

static MEETING_SETTINGS_AUTHENTICATION_EXCEPTION: Shape = Shape {
    title: "meeting.settings.authentication_exception",
    fields: &[("email", Text), ("join_url", Text), ("name", Text)],
};

static MEETING_SETTINGS_APPROVED_OR_DENIED_COUNTRIES_OR_REGIONS: Shape = Shape {
    title: "meeting.settings.approved_or_denied_countries_or_regions",
    fields: &[("approved_list", Texts), ("denied_list", Texts), ("enable", Bool), ("method", Text)],
};

static MEETING_RECURRENCE: Shape = Shape {
    title: "meeting.recurrence",
    fields: &[
        ("end_date_time", Time),
        ("end_times", Number),
        ("monthly_day", Number),
        ("monthly_week", Number),
        ("monthly_week_day", Number),
        ("repeat_interval", Number),
        ("type", Number),
        ("weekly_days", Text),
    ],
};

static MEETING_OCCURRENCES: Shape = Shape {
    title: "meeting.occurrences",
    fields: &[("duration", Number), ("occurrence_id", Text), ("start_time", Time), ("status", Text)],
};

static USER: Shape = Shape {
    title: "user",
    fields: &[
        ("account_id", Text),
        ("account_number", Number),
        ("cluster", Text),
        ("cms_user_id", Text),
        ("company", Text),
        ("cost_center", Text),
        ("created_at", Time),
        ("custom_attributes", Objects(&USER_CUSTOM_ATTRIBUTES)),
        ("dept", Text),
        ("display_name", Text),
        ("division_ids", Texts),
        ("email", Text),
        ("employee_unique_id", Text),
        ("first_name", Text),
        ("group_ids", Texts),
        // Not of Zoom's user: the names of the groups.
        ("groups", Texts),
        ("host_key", Text),
        ("id", Text),
        ("im_group_ids", Texts),
        ("jid", Text),
        ("job_title", Text),
        ("language", Text),
        ("last_client_version", Text),
        ("last_login_time", Time),
        ("last_name", Text),
        ("license_info_list", Dyn),
        ("location", Text),
        ("login_types", Numbers),
        ("manager", Text),
        ("personal_meeting_url", Text),
        ("phone_country", Text),
        ("phone_number", Text),
        ("phone_numbers", Objects(&USER_PHONE_NUMBERS)),
        ("pic_url", Text),
        ("plan_united_type", Text),
        ("pmi", Number),
        ("pronouns", Text),
        ("pronouns_option", Number),
        ("role_id", Text),
        ("role_name", Text),
        // Not of Zoom's user: what a call of its own says.
        ("settings", Dyn),
        ("status", Text),
        ("timezone", Text),
        ("type", Number),
        ("use_pmi", Bool),
        ("user_created_at", Time),
        ("vanity_url", Text),
        ("verified", Number),
        ("zoom_one_type", Number),
    ],
};

static USER_PHONE_NUMBERS: Shape = Shape {
    title: "user.phone_numbers",
    fields: &[("code", Text), ("country", Text), ("label", Text), ("number", Text), ("verified", Bool)],
};

static USER_CUSTOM_ATTRIBUTES: Shape =
    Shape { title: "user.custom_attributes", fields: &[("key", Text), ("name", Text), ("value", Text)] };
