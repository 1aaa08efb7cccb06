//! Why meetings are not made, moved or changed, by code: the one place that says with which status each is answered.

use axum::http::StatusCode;

/// Code, status, and what it means.
pub type Refused = (&'static str, StatusCode, &'static str);

const NOT_THERE: StatusCode = StatusCode::NOT_FOUND;
const NOT_AS_IT_IS: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
const NOT_NOW: StatusCode = StatusCode::CONFLICT;

/// All that have a meaning of their own.
pub const REFUSALS: &[Refused] = &[
    ("account-unknown", NOT_THERE, "no app holds the account"),
    ("meeting-unknown", NOT_THERE, "Zoom does not know the meeting"),
    ("host-unknown", NOT_THERE, "the account has no such user"),
    ("under-way", NOT_NOW, "the meeting is being moved already"),
    ("in-progress", NOT_NOW, "the meeting is running"),
    ("budget-used-up", StatusCode::TOO_MANY_REQUESTS, "what Zoom allows in a day is used up"),
    ("not-effective", NOT_NOW, "Zoom confirms it, and does not do it"),
    ("full", StatusCode::SERVICE_UNAVAILABLE, "the account has too much unfinished work"),
    ("too-many", StatusCode::SERVICE_UNAVAILABLE, "the account has too many meetings under way"),
    ("invalid", NOT_AS_IT_IS, "what is asked for cannot be"),
    ("key-used", NOT_AS_IT_IS, "the idempotency key stood for something else"),
    ("too-large", NOT_AS_IT_IS, "the meeting has more settings than can be taken over"),
    ("host-elsewhere", NOT_AS_IT_IS, "the user is of another account"),
    ("host-inactive", NOT_AS_IT_IS, "the user is deactivated"),
    ("host-pending", NOT_AS_IT_IS, "the user has not accepted the invitation"),
    ("host-unlicensed", NOT_AS_IT_IS, "the user has no licence"),
    ("no-api-user", NOT_AS_IT_IS, "no API user of the account can schedule"),
    ("no-privilege", NOT_AS_IT_IS, "whose privilege counts is no assistant of the new host"),
    ("principal-unknown", NOT_AS_IT_IS, "nobody knows whose privilege counts"),
    ("principal-gone", NOT_AS_IT_IS, "whose privilege counts is no user any more"),
    ("principal-inactive", NOT_AS_IT_IS, "whose privilege counts is deactivated"),
    ("principal-unlicensed", NOT_AS_IT_IS, "whose privilege counts has no licence"),
    ("assistants-full", NOT_AS_IT_IS, "the new host has as many assistants as Zoom allows"),
    ("not-licensed", NOT_AS_IT_IS, "Zoom says that a licence is missing"),
    ("lent-too-long", NOT_AS_IT_IS, "it could not be moved while the privilege was lent"),
    ("webinar", NOT_AS_IT_IS, "it is a webinar"),
    ("instant-meeting", NOT_AS_IT_IS, "it is an instant meeting"),
    ("not-movable", NOT_AS_IT_IS, "Zoom gives no such meeting another host"),
    ("cannot-schedule-for", NOT_AS_IT_IS, "Zoom does not let it be scheduled for the user"),
    ("may-not-host", NOT_AS_IT_IS, "Zoom does not let the user host"),
    ("zoom-refuses", NOT_AS_IT_IS, "Zoom refuses it in other words"),
];

/// With which status it is answered.
pub(super) fn status(code: &str) -> StatusCode {
    REFUSALS.iter().find(|(known, ..)| *known == code).map_or(NOT_AS_IT_IS, |(_, status, _)| *status)
}

/// For the document of the API.
pub(super) fn in_words() -> String {
    let each = REFUSALS.iter().map(|(code, status, what)| format!("`{code}` ({}) {what}", status.as_u16()));
    each.collect::<Vec<_>>().join(", ")
}
