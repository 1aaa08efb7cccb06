//! What conditions are about: the fields of users, meetings and events that Zoom documents.

use super::fields::Field::{
    self, Bool, Dyn, Hosts, Number, NumberOf, Numbers, Object, Objects, OneOf, Payload, Text, Texts, Time,
};
use super::fields::Shape;
use super::user_settings::USER_SETTINGS;

pub(super) static ABOUT_USER: Shape =
    Shape { title: "the condition", fields: &[("user", Object(&USER)), ("account", Text), ("now", Time)] };

pub(super) static ABOUT_MEETING: Shape = Shape {
    title: "the condition",
    fields: &[("meeting", Object(&MEETING)), ("host", Object(&HOST)), ("account", Text), ("now", Time)],
};

pub(super) static ABOUT_EVENT: Shape =
    Shape { title: "the condition", fields: &[("event", Object(&EVENT)), ("account", Text), ("now", Time)] };

pub(super) static ABOUT_EVENT_OF_MEETING: Shape = Shape {
    title: "the condition",
    fields: &[
        ("event", Object(&EVENT)),
        ("meeting", Object(&MEETING)),
        ("host", Object(&HOST)),
        ("account", Text),
        ("now", Time),
    ],
};

pub(super) static ABOUT_EVENT_OF_USER: Shape = Shape {
    title: "the condition",
    fields: &[("event", Object(&EVENT)), ("user", Object(&USER)), ("account", Text), ("now", Time)],
};

static EVENT: Shape = Shape {
    title: "event",
    // Not of Zoom's event: whether an API user did it.
    fields: &[("by_api_user", Bool), ("event", Text), ("event_ts", Number), ("payload", Payload)],
};

pub(super) static MEETING: Shape = Shape { title: "meeting", fields: MEETING_FIELDS };

/// What Zoom states of a meeting: without what is ours, the last.
pub(super) static STATED_MEETING: Shape = Shape {
    title: "meeting",
    fields: match MEETING_FIELDS.split_last_chunk::<1>() {
        Some((stated, _)) => stated,
        None => &[],
    },
};

static MEETING_FIELDS: &[(&str, Field)] = &[
    ("agenda", Text),
    ("assistant_id", Text),
    ("chat_join_url", Text),
    ("created_at", Time),
    ("creation_source", OneOf(&["other", "open_api", "web_portal"])),
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
    ("status", OneOf(&["waiting", "started"])),
    ("timezone", Text),
    ("topic", Text),
    ("tracking_fields", Objects(&MEETING_TRACKING_FIELDS)),
    ("type", NumberOf(&[1, 2, 3, 4, 8, 10])),
    ("uuid", Text),
    // Not of Zoom's meeting: whether an API user scheduled or hosts it, or was the operator of its making.
    ("by_api_user", Bool),
];

static MEETING_TRACKING_FIELDS: Shape =
    Shape { title: "meeting.tracking_fields", fields: &[("field", Text), ("value", Text), ("visible", Bool)] };

static MEETING_SETTINGS: Shape = Shape {
    title: "meeting.settings",
    fields: &[
        ("allow_host_control_participant_mute_state", Bool),
        ("allow_multiple_devices", Bool),
        ("alternative_host_update_polls", Bool),
        ("alternative_hosts", Hosts),
        ("alternative_hosts_email_notification", Bool),
        ("approval_type", NumberOf(&[0, 1, 2])),
        ("approved_or_denied_countries_or_regions", Object(&MEETING_SETTINGS_APPROVED_OR_DENIED_COUNTRIES_OR_REGIONS)),
        ("audio", OneOf(&["both", "telephony", "voip", "thirdParty"])),
        ("audio_conference_info", Text),
        ("authentication_domains", Text),
        ("authentication_exception", Objects(&MEETING_SETTINGS_AUTHENTICATION_EXCEPTION)),
        ("authentication_name", Text),
        ("authentication_option", Text),
        ("auto_recording", OneOf(&["local", "cloud", "none"])),
        ("auto_start_ai_companion_questions", Bool),
        ("auto_start_meeting_summary", Bool),
        ("breakout_room", Object(&MEETING_SETTINGS_BREAKOUT_ROOM)),
        ("calendar_type", NumberOf(&[1, 2])),
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
        ("encryption_type", OneOf(&["enhanced_encryption", "e2ee"])),
        ("enforce_login", Bool),
        ("enforce_login_domains", Text),
        ("focus_mode", Bool),
        ("global_dial_in_countries", Texts),
        ("global_dial_in_numbers", Objects(&MEETING_SETTINGS_GLOBAL_DIAL_IN_NUMBERS)),
        ("host_save_video_order", Bool),
        ("host_video", Bool),
        ("in_meeting", Bool),
        ("internal_meeting", Bool),
        ("jbh_time", NumberOf(&[0, 5, 10, 15])),
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
        ("registration_type", NumberOf(&[1, 2, 3])),
        ("resources", Objects(&MEETING_SETTINGS_RESOURCES)),
        ("show_share_button", Bool),
        ("sign_language_interpretation", Object(&MEETING_SETTINGS_SIGN_LANGUAGE_INTERPRETATION)),
        ("summary_template_id", Text),
        ("use_pmi", Bool),
        ("waiting_room", Bool),
        ("watermark", Bool),
        ("who_can_ask_questions", NumberOf(&[1, 2, 3, 4, 5])),
        ("who_will_receive_summary", NumberOf(&[1, 2, 3, 4])),
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
        ("monthly_week", NumberOf(&[-1, 1, 2, 3, 4])),
        ("monthly_week_day", NumberOf(&[1, 2, 3, 4, 5, 6, 7])),
        ("repeat_interval", Number),
        ("type", NumberOf(&[1, 2, 3])),
        ("weekly_days", Text),
    ],
};

static MEETING_OCCURRENCES: Shape = Shape {
    title: "meeting.occurrences",
    fields: &[
        ("duration", Number),
        ("occurrence_id", Text),
        ("start_time", Time),
        ("status", OneOf(&["available", "deleted"])),
    ],
};

static USER: Shape = Shape { title: "user", fields: USER_FIELDS };

/// The same without the settings, which come last.
static HOST: Shape = Shape {
    title: "host",
    fields: match USER_FIELDS.split_last_chunk::<2>() {
        Some((host, _)) => host,
        None => &[],
    },
};

static USER_FIELDS: &[(&str, Field)] = &[
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
    ("pronouns_option", NumberOf(&[1, 2, 3])),
    ("role_id", Text),
    ("role_name", Text),
    ("status", OneOf(&["active", "inactive", "pending"])),
    ("timezone", Text),
    // 3 is On-prem, which older references name.
    ("type", NumberOf(&[1, 2, 3, 4, 99])),
    ("use_pmi", Bool),
    ("user_created_at", Time),
    ("vanity_url", Text),
    ("verified", NumberOf(&[0, 1])),
    ("zoom_one_type", Number),
    // Not of Zoom's user: what a call of its own says, and the same with names that are not checked.
    ("settings", Object(&USER_SETTINGS)),
    ("settings_unchecked", Dyn),
];

static USER_PHONE_NUMBERS: Shape = Shape {
    title: "user.phone_numbers",
    fields: &[("code", Text), ("country", Text), ("label", Text), ("number", Text), ("verified", Bool)],
};

static USER_CUSTOM_ATTRIBUTES: Shape =
    Shape { title: "user.custom_attributes", fields: &[("key", Text), ("name", Text), ("value", Text)] };
