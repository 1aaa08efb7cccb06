//! The largest branch of a user's settings: what there is in a meeting.

use crate::rules::condition::fields::Field::{Bool, Number, NumberOf, Object, Objects, OneOf, ReadOnly, Text, Texts};
use crate::rules::condition::fields::Shape;

pub(super) static IN_MEETING: Shape = Shape {
    title: "user.settings.in_meeting",
    fields: &[
        ("ai_companion_questions", ReadOnly(&Object(&IN_MEETING_AI_COMPANION_QUESTIONS))),
        ("allow_host_panelists_to_use_audible_clap", Bool),
        ("allow_host_to_enable_focus_mode", Bool),
        ("allow_live_streaming", Bool),
        ("allow_participants_chat_with", NumberOf(&[1, 2, 3, 4])),
        ("allow_show_zoom_windows", Bool),
        ("allow_users_save_chats", NumberOf(&[1, 2, 3])),
        ("allow_users_to_delete_messages_in_meeting_chat", Bool),
        ("annotation", Bool),
        ("attendee_on_hold", Bool),
        ("attention_mode_focus_mode", Bool),
        ("auto_saving_chat", Bool),
        ("breakout_room", Bool),
        ("breakout_room_schedule", Bool),
        ("chat", Bool),
        ("closed_caption", Bool),
        ("closed_captioning", Object(&IN_MEETING_CLOSED_CAPTIONING)),
        ("co_host", Bool),
        ("custom_data_center_regions", Bool),
        ("custom_live_streaming_service", Bool),
        ("custom_service_instructions", Text),
        ("data_center_regions", Texts),
        ("disable_screen_sharing_for_host_meetings", Bool),
        ("disable_screen_sharing_for_in_meeting_guests", Bool),
        ("e2e_encryption", Bool),
        ("entry_exit_chime", OneOf(&["host", "all", "none"])),
        ("far_end_camera_control", Bool),
        ("feedback", Bool),
        ("file_transfer", Bool),
        ("group_hd", Bool),
        ("join_from_desktop", Bool),
        ("join_from_mobile", Bool),
        ("language_interpretation", Object(&IN_MEETING_LANGUAGE_INTERPRETATION)),
        ("live_streaming_facebook", Bool),
        ("live_streaming_youtube", Bool),
        ("manual_captioning", Object(&IN_MEETING_MANUAL_CAPTIONING)),
        ("meeting_polling", Object(&IN_MEETING_MEETING_POLLING)),
        ("meeting_question_answer", Bool),
        ("meeting_reactions", Bool),
        ("meeting_reactions_emojis", OneOf(&["all", "selected"])),
        ("meeting_summary_with_ai_companion", ReadOnly(&Object(&IN_MEETING_MEETING_SUMMARY_WITH_AI_COMPANION))),
        ("meeting_survey", Bool),
        ("non_verbal_feedback", Bool),
        ("participants_share_simultaneously", OneOf(&["one", "multiple"])),
        ("polling", Bool),
        ("post_meeting_feedback", Bool),
        ("private_chat", Bool),
        ("record_play_voice", Bool),
        ("remote_control", Bool),
        ("remote_support", Bool),
        ("request_permission_to_unmute_participants", Bool),
        ("screen_sharing", Bool),
        ("share_dual_camera", Bool),
        ("show_a_join_from_your_browser_link", Bool),
        ("show_meeting_control_toolbar", Bool),
        ("sign_language_interpretation", Object(&IN_MEETING_SIGN_LANGUAGE_INTERPRETATION)),
        ("slide_control", Bool),
        ("transfer_meetings_between_devices", ReadOnly(&Bool)),
        ("unchecked_data_center_regions", ReadOnly(&Texts)),
        ("virtual_background", Bool),
        ("virtual_background_settings", Object(&IN_MEETING_VIRTUAL_BACKGROUND_SETTINGS)),
        ("waiting_room", Bool),
        ("webinar_chat", Object(&IN_MEETING_WEBINAR_CHAT)),
        ("webinar_group_hd", Bool),
        ("webinar_live_streaming", Object(&IN_MEETING_WEBINAR_LIVE_STREAMING)),
        ("webinar_polling", Object(&IN_MEETING_WEBINAR_POLLING)),
        ("webinar_reactions", Bool),
        ("webinar_survey", Bool),
        ("whiteboard", Bool),
        ("who_can_share_screen", OneOf(&["host", "all"])),
        ("who_can_share_screen_when_someone_is_sharing", OneOf(&["host", "all"])),
        ("workplace_by_facebook", Bool),
    ],
};

static IN_MEETING_WEBINAR_POLLING: Shape = Shape {
    title: "user.settings.in_meeting.webinar_polling",
    fields: &[
        ("advanced_polls", Bool),
        ("allow_alternative_host_to_add_edit", Bool),
        ("allow_host_to_upload_image", Bool),
        ("enable", Bool),
        ("require_answers_to_be_anonymous", Bool),
    ],
};

static IN_MEETING_WEBINAR_LIVE_STREAMING: Shape = Shape {
    title: "user.settings.in_meeting.webinar_live_streaming",
    fields: &[
        ("custom_service_instructions", Text),
        ("enable", Bool),
        ("live_streaming_reminder", Bool),
        ("live_streaming_service", Texts),
    ],
};

static IN_MEETING_WEBINAR_CHAT: Shape = Shape {
    title: "user.settings.in_meeting.webinar_chat",
    fields: &[
        ("allow_attendees_chat_with", NumberOf(&[1, 2, 3])),
        ("allow_auto_save_local_chat_file", Bool),
        ("allow_panelists_chat_with", NumberOf(&[1, 2])),
        ("allow_panelists_send_direct_message", Bool),
        ("allow_users_save_chats", NumberOf(&[0, 1, 2])),
        ("default_attendees_chat_with", NumberOf(&[1, 2])),
        ("enable", Bool),
    ],
};

static IN_MEETING_VIRTUAL_BACKGROUND_SETTINGS: Shape = Shape {
    title: "user.settings.in_meeting.virtual_background_settings",
    fields: &[
        ("allow_upload_custom", Bool),
        ("allow_videos", Bool),
        ("enable", Bool),
        ("files", Objects(&IN_MEETING_VIRTUAL_BACKGROUND_SETTINGS_FILES)),
    ],
};

static IN_MEETING_VIRTUAL_BACKGROUND_SETTINGS_FILES: Shape = Shape {
    title: "user.settings.in_meeting.virtual_background_settings.files",
    fields: &[("id", Text), ("is_default", Bool), ("name", Text), ("size", Number), ("type", Text)],
};

static IN_MEETING_SIGN_LANGUAGE_INTERPRETATION: Shape = Shape {
    title: "user.settings.in_meeting.sign_language_interpretation",
    fields: &[
        ("custom_languages", Texts),
        ("enable", Bool),
        ("enable_sign_language_interpretation_by_default", Bool),
        ("languages", Texts),
    ],
};

static IN_MEETING_MEETING_SUMMARY_WITH_AI_COMPANION: Shape = Shape {
    title: "user.settings.in_meeting.meeting_summary_with_ai_companion",
    fields: &[("auto_enable", Bool), ("enable", Bool), ("who_will_receive_summary", Number)],
};

static IN_MEETING_MEETING_POLLING: Shape = Shape {
    title: "user.settings.in_meeting.meeting_polling",
    fields: &[
        ("advanced_polls", Bool),
        ("allow_alternative_host_to_add_edit", Bool),
        ("allow_host_to_upload_image", Bool),
        ("enable", Bool),
        ("require_answers_to_be_anonymous", Bool),
    ],
};

static IN_MEETING_MANUAL_CAPTIONING: Shape = Shape {
    title: "user.settings.in_meeting.manual_captioning",
    fields: &[
        ("allow_to_type", Bool),
        ("auto_generated_captions", Bool),
        ("full_transcript", Bool),
        ("manual_captions", Bool),
        ("save_captions", Bool),
        ("third_party_captioning_service", Bool),
    ],
};

static IN_MEETING_LANGUAGE_INTERPRETATION: Shape = Shape {
    title: "user.settings.in_meeting.language_interpretation",
    fields: &[
        ("allow_participants_to_speak_in_listening_channel", Bool),
        ("allow_up_to_25_custom_languages_when_scheduling_meetings", Bool),
        ("custom_languages", Texts),
        ("enable", Bool),
        ("enable_language_interpretation_by_default", Bool),
        ("languages", ReadOnly(&Texts)),
    ],
};

static IN_MEETING_CLOSED_CAPTIONING: Shape = Shape {
    title: "user.settings.in_meeting.closed_captioning",
    fields: &[
        ("auto_transcribing", Bool),
        ("enable", Bool),
        ("save_caption", Bool),
        ("third_party_captioning_service", Bool),
        ("view_full_transcript", Bool),
    ],
};

static IN_MEETING_AI_COMPANION_QUESTIONS: Shape = Shape {
    title: "user.settings.in_meeting.ai_companion_questions",
    fields: &[("auto_enable", Bool), ("enable", Bool), ("who_can_ask_questions", Number)],
};
