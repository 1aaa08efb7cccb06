//! The settings of a user that Zoom documents, as reading them without any `option` returns them. Source: Users
//! specification, "Get user settings" and "Update user settings"; what the second does not name is read-only.

mod in_meeting;

use self::in_meeting::IN_MEETING;
use super::fields::Field::{Bool, Dyn, Number, NumberOf, Numbers, Object, Objects, OneOf, ReadOnly, Text, Texts};
use super::fields::Shape;

pub(super) static USER_SETTINGS: Shape = Shape {
    title: "user.settings",
    fields: &[
        ("audio_conferencing", ReadOnly(&Object(&AUDIO_CONFERENCING))),
        ("email_notification", Object(&EMAIL_NOTIFICATION)),
        ("feature", Object(&FEATURE)),
        ("in_meeting", Object(&IN_MEETING)),
        ("profile", Object(&PROFILE)),
        ("recording", Object(&RECORDING)),
        ("schedule_meeting", Object(&SCHEDULE_MEETING)),
        ("telephony", Object(&TELEPHONY)),
        ("tsp", Object(&TSP)),
        ("whiteboard", ReadOnly(&Object(&WHITEBOARD))),
    ],
};

static WHITEBOARD: Shape = Shape {
    title: "user.settings.whiteboard",
    fields: &[("in_meeting_advanced_whiteboard", Bool), ("out_meeting_advanced_whiteboard", Bool)],
};

static TSP: Shape = Shape {
    title: "user.settings.tsp",
    fields: &[("call_out", Bool), ("call_out_countries", Dyn), ("show_international_numbers_link", Bool)],
};

static TELEPHONY: Shape = Shape {
    title: "user.settings.telephony",
    fields: &[
        ("audio_conference_info", Text),
        ("show_international_numbers_link", Bool),
        ("telephony_regions", Object(&TELEPHONY_TELEPHONY_REGIONS)),
        ("third_party_audio", Bool),
    ],
};

static TELEPHONY_TELEPHONY_REGIONS: Shape = Shape {
    title: "user.settings.telephony.telephony_regions",
    fields: &[("allowed_values", ReadOnly(&Texts)), ("selection_values", Text)],
};

static SCHEDULE_MEETING: Shape = Shape {
    title: "user.settings.schedule_meeting",
    fields: &[
        ("audio_type", OneOf(&["both", "telephony", "voip", "thirdParty"])),
        ("continuous_meeting_chat", ReadOnly(&Object(&SCHEDULE_MEETING_CONTINUOUS_MEETING_CHAT))),
        ("default_password_for_scheduled_meetings", Text),
        ("embed_password_in_join_link", Bool),
        ("force_pmi_jbh_password", Bool),
        ("host_video", Bool),
        ("join_before_host", Bool),
        ("meeting_password_requirement", Object(&SCHEDULE_MEETING_MEETING_PASSWORD_REQUIREMENT)),
        ("participants_video", Bool),
        ("personal_meeting", Bool),
        ("pmi_password", Text),
        ("pstn_password_protected", Bool),
        ("require_password_for_instant_meetings", Bool),
        ("require_password_for_pmi_meetings", Text),
        ("require_password_for_scheduled_meetings", Bool),
        ("require_password_for_scheduling_new_meetings", Bool),
        ("use_pmi_for_instant_meetings", Bool),
        ("use_pmi_for_scheduled_meetings", Bool),
    ],
};

static SCHEDULE_MEETING_MEETING_PASSWORD_REQUIREMENT: Shape = Shape {
    title: "user.settings.schedule_meeting.meeting_password_requirement",
    fields: &[
        ("consecutive_characters_length", Number),
        ("have_letter", Bool),
        ("have_number", Bool),
        ("have_special_character", Bool),
        ("have_upper_and_lower_characters", Bool),
        ("length", Number),
        ("only_allow_numeric", Bool),
        ("weak_enhance_detection", Bool),
    ],
};

static SCHEDULE_MEETING_CONTINUOUS_MEETING_CHAT: Shape = Shape {
    title: "user.settings.schedule_meeting.continuous_meeting_chat",
    fields: &[("auto_add_invited_external_users", Bool), ("can_add_external_users", Bool), ("enable", Bool)],
};

static RECORDING: Shape = Shape {
    title: "user.settings.recording",
    fields: &[
        ("ask_host_to_confirm_disclaimer", Bool),
        ("ask_participants_to_consent_disclaimer", Bool),
        ("auto_delete_cmr", Bool),
        ("auto_delete_cmr_days", NumberOf(&[30, 60, 90, 120])),
        ("auto_recording", OneOf(&["local", "cloud", "none"])),
        ("cloud_recording", Bool),
        ("display_participant_name", Bool),
        ("host_pause_stop_recording", Bool),
        ("ip_address_access_control", Object(&RECORDING_IP_ADDRESS_ACCESS_CONTROL)),
        ("local_recording", Bool),
        ("optimize_recording_for_3rd_party_video_editor", Bool),
        ("record_audio_file", Bool),
        ("record_files_separately", Object(&RECORDING_RECORD_FILES_SEPARATELY)),
        ("record_gallery_view", Bool),
        ("record_speaker_view", Bool),
        ("recording_audio_transcript", Bool),
        ("recording_disclaimer", Bool),
        ("recording_highlight", Bool),
        ("recording_password_requirement", Object(&RECORDING_RECORDING_PASSWORD_REQUIREMENT)),
        ("recording_thumbnails", Bool),
        ("save_chat_text", Bool),
        ("save_close_caption", Bool),
        ("save_panelist_chat", Bool),
        ("save_poll_results", Bool),
        ("show_timestamp", Bool),
        ("smart_recording", Object(&RECORDING_SMART_RECORDING)),
    ],
};

static RECORDING_SMART_RECORDING: Shape = Shape {
    title: "user.settings.recording.smart_recording",
    fields: &[("create_next_steps", Bool), ("create_recording_highlights", Bool), ("create_smart_chapters", Bool)],
};

static RECORDING_RECORDING_PASSWORD_REQUIREMENT: Shape = Shape {
    title: "user.settings.recording.recording_password_requirement",
    fields: &[
        ("have_letter", Bool),
        ("have_number", Bool),
        ("have_special_character", Bool),
        ("length", Number),
        ("only_allow_numeric", Bool),
    ],
};

static RECORDING_RECORD_FILES_SEPARATELY: Shape = Shape {
    title: "user.settings.recording.record_files_separately",
    fields: &[("active_speaker", Bool), ("gallery_view", Bool), ("shared_screen", Bool)],
};

static RECORDING_IP_ADDRESS_ACCESS_CONTROL: Shape = Shape {
    title: "user.settings.recording.ip_address_access_control",
    fields: &[("enable", Bool), ("ip_addresses_or_ranges", Text)],
};

static PROFILE: Shape = Shape {
    title: "user.settings.profile",
    fields: &[("recording_storage_location", Object(&PROFILE_RECORDING_STORAGE_LOCATION))],
};

static PROFILE_RECORDING_STORAGE_LOCATION: Shape = Shape {
    title: "user.settings.profile.recording_storage_location",
    fields: &[("allowed_values", Texts), ("value", Text)],
};

static FEATURE: Shape = Shape {
    title: "user.settings.feature",
    fields: &[
        ("cn_meeting", ReadOnly(&Bool)),
        ("concurrent_meeting", OneOf(&["Basic", "Plus", "None"])),
        ("in_meeting", ReadOnly(&Bool)),
        ("large_meeting", Bool),
        ("large_meeting_capacity", Number),
        ("meeting_capacity", Number),
        ("webinar", Bool),
        ("webinar_capacity", Number),
        ("zoom_clips_plus", Bool),
        ("zoom_compliance_management", Bool),
        ("zoom_customer_managed_key", Bool),
        ("zoom_docs", Bool),
        ("zoom_events", Bool),
        ("zoom_events_capacity", Number),
        ("zoom_events_pay_per_attendee", Bool),
        ("zoom_events_unlimited", Bool),
        ("zoom_events_unlimited_capacities", Numbers),
        ("zoom_huddles", Bool),
        ("zoom_iq_for_sales", Bool),
        ("zoom_mail_calendar", Bool),
        ("zoom_phone", Bool),
        ("zoom_quality_management", Bool),
        ("zoom_revenue_accelerator", Bool),
        ("zoom_scheduler", Bool),
        ("zoom_sessions_pay_per_attendee", Bool),
        ("zoom_sessions_unlimited", Bool),
        ("zoom_sessions_unlimited_capacities", Numbers),
        ("zoom_translated_captions", Bool),
        ("zoom_whiteboard", Bool),
        ("zoom_whiteboard_plus", Bool),
        ("zoom_workforce_management", Bool),
    ],
};

static EMAIL_NOTIFICATION: Shape = Shape {
    title: "user.settings.email_notification",
    fields: &[
        ("alternative_host_reminder", Bool),
        ("cancel_meeting_reminder", Bool),
        ("cloud_recording_available_reminder", Bool),
        ("jbh_reminder", Bool),
        ("recording_available_reminder_alternative_hosts", Bool),
        ("recording_available_reminder_schedulers", Bool),
        ("schedule_for_reminder", Bool),
    ],
};

static AUDIO_CONFERENCING: Shape = Shape {
    title: "user.settings.audio_conferencing",
    fields: &[("toll_free_and_fee_based_toll_call", Object(&AUDIO_CONFERENCING_TOLL_FREE_AND_FEE_BASED_TOLL_CALL))],
};

static AUDIO_CONFERENCING_TOLL_FREE_AND_FEE_BASED_TOLL_CALL: Shape = Shape {
    title: "user.settings.audio_conferencing.toll_free_and_fee_based_toll_call",
    fields: &[
        ("allow_webinar_attendees_dial", Bool),
        ("enable", Bool),
        ("numbers", Objects(&AUDIO_CONFERENCING_TOLL_FREE_AND_FEE_BASED_TOLL_CALL_NUMBERS)),
    ],
};

static AUDIO_CONFERENCING_TOLL_FREE_AND_FEE_BASED_TOLL_CALL_NUMBERS: Shape = Shape {
    title: "user.settings.audio_conferencing.toll_free_and_fee_based_toll_call.numbers",
    fields: &[
        ("code", Text),
        ("country_code", Text),
        ("country_name", Text),
        ("display_number", Text),
        ("number", Text),
    ],
};
