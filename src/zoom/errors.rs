//! What Zoom's errors mean: from an answer to a decision, pure.
//!
//! Zoom reuses codes (200 and 3000 mean half a dozen things each) and its words changed over the years, so that status,
//! code and words are looked at together, and words without regard to case. What is not known is refused for good: a person
//! reads the message.

use http::HeaderMap;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::port::ZoomError;
use super::throttled::throttled;
use crate::clock::Timestamp;

/// Characters of a message that are kept.
const MESSAGE_CHARS_MAX: usize = 400;

/// A rate limit that Zoom told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limited {
    pub(super) until: Timestamp,
    pub(super) why: String,
    /// Whether it holds for every call of the category; else for the subject of this one alone.
    pub(super) all: bool,
    /// Of what that has for a day; none where it is another limit.
    pub(super) day: Option<DayOf>,
}

/// What has a limit of its own for a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayOf {
    /// Meetings of one host.
    Host,
    Invitations,
}

/// Why a call failed, and what the client itself can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The token is not taken: a new one may be. `is_sure` where Zoom's words are about the token and not about the call.
    Token {
        said: String,
        is_sure: bool,
    },
    /// The token lacks scopes: a new one has them if the app was given them since.
    Scopes(String),
    Limited(Limited),
    Other(ZoomError),
}

impl From<Failure> for ZoomError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Token { said, .. } => Self::Credentials(format!(
                "a new token is refused as well ({said}); check that the app is activated and may act for this account"
            )),
            Failure::Scopes(scopes) => Self::ScopesMissing(scopes),
            Failure::Limited(Limited { until, why, day: Some(DayOf::Host), .. }) => Self::HostDay { until, why },
            Failure::Limited(Limited { until, why, day: Some(DayOf::Invitations), .. }) => {
                Self::InviteDay { until, why }
            }
            Failure::Limited(Limited { until, why, .. }) => Self::Limited { until, why },
            Failure::Other(error) => error,
        }
    }
}

/// The body of an error, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// 0 where there is none.
    pub(super) code: i64,
    /// Empty where there is none.
    pub(super) message: String,
    /// Whether it was a JSON object with a code or a message, as Zoom sends them.
    pub(super) is_zooms: bool,
    /// The word of RFC 6749, from an OAuth endpoint; empty where there is none.
    pub(super) error: String,
}

impl Said {
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let number = |key: &str| match body.get(key)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let code = ["code", "errorCode", "error_code"].into_iter().find_map(number);
        let keys = ["message", "errorMessage", "reason", "error_description", "error"];
        let mut message = keys.into_iter().find_map(text).unwrap_or_default().to_owned();
        for fault in body.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |key: &str| fault.get(key).and_then(Value::as_str).unwrap_or_default();
            message = format!("{message} ({}: {})", part("field"), part("message"));
        }
        let is_zooms = code.is_some() || !message.is_empty();
        let error = text("error").map(tidy).unwrap_or_default();
        Self { code: code.unwrap_or(0), message: tidy(&message), is_zooms, error }
    }

    fn shown(&self) -> String {
        if self.message.is_empty() { "no message".to_owned() } else { self.message.clone() }
    }
}

/// A message as it may stand in a log: one line, not too long.
fn tidy(message: &str) -> String {
    let line: Vec<&str> =
        message.split(|c: char| c.is_control() || c.is_whitespace()).filter(|w| !w.is_empty()).collect();
    line.join(" ").chars().take(MESSAGE_CHARS_MAX).collect()
}

/// Words to look for, in lower case.
struct Words(String);

impl Words {
    fn any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.0.contains(word))
    }
}

/// The decision about an answer that is no success. `unit` is a random number in `0.0..1.0`.
pub(super) fn classify(
    endpoint: Endpoint,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
    unit: f64,
) -> Failure {
    let said = Said::read(body);
    let words = Words(said.message.to_lowercase().replace('\u{2019}', "'"));
    if status == 429 || (said.code == 429 && (400..500).contains(&status)) {
        return Failure::Limited(throttled(&said.message, headers, now, unit));
    }
    if status >= 500 || status == 408 {
        return Failure::Other(ZoomError::Transient(format!("Zoom answers {status}: {}", said.shown())));
    }
    if status < 400 {
        let why = format!("{status} instead of a result; redirects are not followed, check zoom.api_url");
        return Failure::Other(ZoomError::Unreadable(why));
    }
    if said.code == 4711 || (words.any(&["scope"]) && matches!((status, said.code), (401, _) | (_, 4700 | 124))) {
        return Failure::Scopes(scopes(&said.message).unwrap_or_else(|| endpoint.scopes().granular.to_owned()));
    }
    if status == 401 || said.code == 124 {
        let is_sure = said.code == 124 || words.any(&["access token"]);
        return Failure::Token { said: said.shown(), is_sure };
    }
    // Seats of licences. Before the words, since they speak of licensed users as well. That licences were moved too often
    // is no such, and has no code that is known.
    if matches!(said.code, 2033 | 2034 | 2038 | 3412) {
        return Failure::Other(ZoomError::NoSeats { code: said.code, message: said.message });
    }
    if let Some(error) = by_words(endpoint, &said, &words) {
        return Failure::Other(error);
    }
    Failure::Other(by_code(endpoint, status, said))
}

/// What words decide, whatever the code.
fn by_words(endpoint: Endpoint, said: &Said, words: &Words) -> Option<ZoomError> {
    let message = || said.message.clone();
    if endpoint == Endpoint::AddAssistants {
        if words.any(&["already"]) && words.any(&["scheduling privilege", "assistant", "granted"]) {
            return Some(ZoomError::AlreadyGranted);
        }
        if words.any(&["yourself", "themselves", "to oneself"]) {
            return Some(ZoomError::Oneself);
        }
        // Zoom documents the limit of 30 and not what it says there, so that this is a guess at words.
        let full = ["maximum", "exceed", "limit", "at most", "more than 30", "up to 30", "too many"];
        if words.any(&full) && words.any(&["assistant", "scheduling privilege"]) {
            return Some(ZoomError::Full(message()));
        }
    }
    if endpoint == Endpoint::CreateUser && is_taken(said, words) {
        return Some(ZoomError::Exists(message()));
    }
    if endpoint.is_about_meeting() {
        // What a host lacks is for a person: no event about a meeting tells when it is there.
        if words.any(&["in progress", "have started", "has started", "already started"]) {
            return Some(ZoomError::InProgress);
        }
        if words.any(&["cannot schedule a meeting for", "can't schedule a meeting for", "not meeting host"]) {
            return Some(ZoomError::CannotScheduleFor(message()));
        }
        let kinds = ["instant meeting", "webinar info", "pre-schedule", "continuous chat", "blocked domain"];
        return (said.code == 3000 && words.any(&kinds)).then(|| ZoomError::NotMovable(message()));
    }
    if words.any(&["licensed user", "on-prem user", "must be licensed", "not licensed", "not a licensed"]) {
        return Some(ZoomError::Unlicensed(message()));
    }
    let unfound = ["can't find", "cannot find", "can not find", "could not find", "unable to find"];
    if words.any(&unfound) && words.any(&["user"]) {
        return Some(ZoomError::NotFound(message()));
    }
    if words.any(&["pending user", "user is pending", "user is in pending"]) {
        return Some(ZoomError::Pending(message()));
    }
    None
}

/// Seen in two wordings \[D, C moodle]; that somebody has an active account elsewhere is another refusal.
fn is_taken(said: &Said, words: &Words) -> bool {
    said.code == 1005 || (said.code != 1009 && words.any(&["has already been used", "already in the account"]))
}

/// What the code decides, where words did not.
fn by_code(endpoint: Endpoint, status: u16, said: Said) -> ZoomError {
    let locked = said.message.to_lowercase().contains("locked");
    match (status, said.code) {
        // A deleted meeting is not found before it is recovered, so that this is Zoom's refusal to.
        (404, code) if endpoint == Endpoint::UpdateMeetingStatus && said.is_zooms => {
            ZoomError::Refused { status, code, message: said.shown() }
        }
        (_, code @ (1009 | 1107 | 1108 | 1109 | 1116 | 2002 | 2032 | 11_321)) if endpoint == Endpoint::CreateUser => {
            ZoomError::NotCreatable { code, message: said.shown() }
        }
        (_, 1001 | 1010 | 1120 | 3001 | 4130) => ZoomError::NotFound(said.message),
        (_, 1000) if !locked && !endpoint.is_about_meeting() => ZoomError::Pending(said.message),
        (_, 3002) => ZoomError::InProgress,
        // Not the host any more: the privilege is gone, or one of the two has no licence [KB].
        (_, 3003) => ZoomError::CannotScheduleFor(said.shown()),
        (_, 3161) => ZoomError::MayNotHost(said.shown()),
        // "This API endpoint is not recognized": nothing is missing but the path.
        (404, 2300) => ZoomError::Refused { status, code: said.code, message: said.message },
        (404, _) if said.is_zooms => ZoomError::NotFound(said.message),
        (404, _) => ZoomError::Unreadable("404 without Zoom's words; check zoom.api_url".to_owned()),
        _ if said.is_zooms => ZoomError::Refused { status, code: said.code, message: said.shown() },
        _ => ZoomError::Refused { status, code: 0, message: "the answer has no readable message".to_owned() },
    }
}

/// The scopes that a message names: `… does not contain scopes:[a, b].`
fn scopes(message: &str) -> Option<String> {
    let lower = message.to_ascii_lowercase();
    let after = message.get(lower.find("scope")?..)?;
    let list = match after.split_once('[') {
        Some((_, rest)) => rest.split(']').next()?,
        None => after.split_once(':')?.1,
    };
    let is_scope = |word: &&str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'-' | b'.'))
    };
    let words = list.split([',', ' ', ';']).map(|word| word.trim_matches(['.', '"', '\'', '`']));
    let found: Vec<&str> = words.filter(is_scope).collect();
    (!found.is_empty()).then(|| found.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ZoomError as E;

    const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

    fn classified(endpoint: Endpoint, status: u16, body: &str) -> Failure {
        classify(endpoint, status, &HeaderMap::new(), body.as_bytes(), NOW, 0.5)
    }

    fn body(code: i64, message: &str) -> String {
        serde_json::json!({ "code": code, "message": message }).to_string()
    }

    /// What a row of the table should come to, without its texts.
    #[derive(Debug, PartialEq, Eq, Clone, Copy)]
    enum Class {
        Token,
        Scopes,
        Limited,
        Transient,
        NotFound,
        Already,
        Oneself,
        Unlicensed,
        Full,
        NoSeats,
        InProgress,
        CannotScheduleFor,
        NotMovable,
        MayNotHost,
        Pending,
        Exists,
        NotCreatable,
        Refused,
        Unreadable,
    }

    fn class(failure: &Failure) -> Class {
        match failure {
            Failure::Token { .. } => Class::Token,
            Failure::Scopes(_) => Class::Scopes,
            Failure::Limited(_) => Class::Limited,
            Failure::Other(error) => match error {
                E::Transient(_) => Class::Transient,
                E::NotFound(_) => Class::NotFound,
                E::AlreadyGranted => Class::Already,
                E::Oneself => Class::Oneself,
                E::Unlicensed(_) => Class::Unlicensed,
                E::Full(_) => Class::Full,
                E::NoSeats { .. } => Class::NoSeats,
                E::InProgress => Class::InProgress,
                E::CannotScheduleFor(_) => Class::CannotScheduleFor,
                E::NotMovable(_) => Class::NotMovable,
                E::MayNotHost(_) => Class::MayNotHost,
                E::Pending(_) => Class::Pending,
                E::Exists(_) => Class::Exists,
                E::NotCreatable { .. } => Class::NotCreatable,
                E::Refused { .. } => Class::Refused,
                E::Unreadable(_) => Class::Unreadable,
                E::Limited { .. }
                | E::HostDay { .. }
                | E::InviteDay { .. }
                | E::ScopesMissing(_)
                | E::Credentials(_) => {
                    panic!("{error:?} is not for classify")
                }
            },
        }
    }

    type Row = (&'static str, Endpoint, u16, i64, &'static str, Class);
    const USER: Endpoint = Endpoint::GetUser;
    const ADD: Endpoint = Endpoint::AddAssistants;
    const MEET: Endpoint = Endpoint::UpdateMeeting;
    const SET: Endpoint = Endpoint::UpdateUser;
    const MAKE: Endpoint = Endpoint::CreateUser;
    const JOIN: Endpoint = Endpoint::AddGroupMembers;
    const DROP: Endpoint = Endpoint::RemoveAssistant;

    /// The error table of the facts page, row by row, in every wording that is known.
    const TABLE: &[Row] = &[
        ("token invalid", USER, 401, 124, "Invalid access token.", Class::Token),
        ("token expired", USER, 401, 124, "Access token is expired.", Class::Token),
        ("token invalid as 400", USER, 400, 124, "Invalid access token.", Class::Token),
        ("401 with another code", USER, 401, 300, "Unauthorized", Class::Token),
        ("401 for a mix-up of me and an id", USER, 401, 0, "This API does not support me", Class::Token),
        ("scopes as 400", ADD, 400, 4711, "Invalid access token, does not contain scopes:[a, b].", Class::Scopes),
        ("scopes as 401", ADD, 401, 4711, "Invalid access token, does not contain scopes:[a, b].", Class::Scopes),
        ("scopes as 403", ADD, 403, 4711, "invalid ACCESS token, does not contain SCOPES: [a]", Class::Scopes),
        ("scopes, older code", ADD, 400, 4700, "Invalid access token, does not contain scopes.", Class::Scopes),
        ("scopes with the token's code", ADD, 401, 124, "Token does not contain scope user:read", Class::Scopes),
        ("4700 that is no scope", ADD, 401, 4700, "Token cannot be empty.", Class::Token),
        ("account not paid", ADD, 400, 200, "Current account must be paid account: a@b.c", Class::Refused),
        (
            "unlicensed by id",
            ADD,
            400,
            200,
            "The user must either be a Licensed user or an On-prem user : abc.",
            Class::Unlicensed,
        ),
        (
            "unlicensed by email",
            ADD,
            400,
            200,
            "the user must either be a licensed user or an on-prem user: a@b.c",
            Class::Unlicensed,
        ),
        ("oneself", ADD, 400, 200, "Can't assign scheduling privilege to yourself.", Class::Oneself),
        ("oneself, curly", ADD, 400, 200, "Can’t assign scheduling privilege to yourself", Class::Oneself),
        ("assistant unknown", ADD, 400, 200, "Can't find user a@b.c.", Class::NotFound),
        ("assistant unknown, curly", ADD, 400, 200, "Can’t find user a@b.c.", Class::NotFound),
        ("assistant unknown, spelled out", ADD, 400, 200, "Cannot find user a@b.c.", Class::NotFound),
        (
            "already granted, 2022",
            ADD,
            400,
            200,
            "User a@b.c has already granted scheduling privilege.",
            Class::Already,
        ),
        (
            "already granted, 2018",
            ADD,
            400,
            200,
            "User a@b.c already has the scheduling privilege for you.",
            Class::Already,
        ),
        ("already granted, with another code", ADD, 409, 300, "The user is already an assistant.", Class::Already),
        (
            "assistant of another account, 2018",
            ADD,
            400,
            200,
            "User a@b.c doesn't belong to current account.",
            Class::Refused,
        ),
        ("list full, in unknown words", ADD, 400, 200, "The number of assistants exceeds the limit (30).", Class::Full),
        ("list full, as validation", ADD, 400, 300, "Validation Failed. (assistants: at most 30 items)", Class::Full),
        ("code 200 without a known wording", ADD, 400, 200, "Something else.", Class::Refused),
        ("validation", MEET, 400, 300, "Validation Failed.", Class::Refused),
        ("body refused", MEET, 400, 300, "Request Body should be a valid JSON object.", Class::Refused),
        ("schedule_for invalid", MEET, 400, 300, "The value of schedule_for is invalid.", Class::Refused),
        ("cannot schedule for", MEET, 400, 3000, "You cannot schedule a meeting for abc", Class::CannotScheduleFor),
        ("instant meeting", MEET, 400, 3000, "Instant meetings do not support schedule_for.", Class::NotMovable),
        ("webinar", MEET, 400, 3000, "Cannot access webinar info.", Class::NotMovable),
        (
            "continuous chat",
            MEET,
            400,
            3000,
            "outside of your account for a meeting with continuous chat",
            Class::NotMovable,
        ),
        (
            "hosting not allowed",
            MEET,
            400,
            3161,
            "Your user account is not allowed meeting hosting.",
            Class::MayNotHost,
        ),
        ("not meeting host", MEET, 400, 3003, "Not meeting host.", Class::CannotScheduleFor),
        ("in progress", MEET, 400, 3002, "Meeting is in progress.", Class::InProgress),
        ("in progress, code alone", MEET, 400, 3002, "", Class::InProgress),
        (
            "in progress, words alone",
            MEET,
            400,
            3000,
            "You cannot update or delete meetings that have started using this method.",
            Class::InProgress,
        ),
        (
            "unlicensed host",
            MEET,
            400,
            200,
            "The user must either be a Licensed user or an On-prem user : abc.",
            Class::Refused,
        ),
        ("pending host", MEET, 400, 1000, "Can not access pending user settings.", Class::Refused),
        ("meeting gone", MEET, 404, 3001, "Meeting does not exist: 123.", Class::NotFound),
        ("meeting expired", MEET, 404, 3001, "The meeting with this 123 is not found or has expired.", Class::NotFound),
        ("meeting gone as 400", MEET, 400, 3001, "Meeting 123 is not found or has expired.", Class::NotFound),
        ("user gone", USER, 404, 1001, "User does not exist: abc.", Class::NotFound),
        ("user gone as 400", USER, 400, 1001, "User does not exist: abc.", Class::NotFound),
        ("user of another account", USER, 404, 1010, "User does not belong to this account: abc.", Class::NotFound),
        ("user of another account as 400", USER, 400, 1010, "User not found on this account: abc.", Class::NotFound),
        ("404 with a code of its own", USER, 404, 300, "Unknown", Class::NotFound),
        ("path unknown", USER, 404, 2300, "This API endpoint is not recognized.", Class::Refused),
        ("invitation expired", USER, 400, 1120, "The invitation does not exist.", Class::NotFound),
        ("pending", USER, 400, 1000, "Can not access pending user settings.", Class::Pending),
        ("pending, words alone", ADD, 400, 300, "The user is pending.", Class::Pending),
        ("pending, code alone", USER, 400, 1000, "", Class::Pending),
        ("locked", USER, 400, 1000, "The setting is locked by the admin.", Class::Refused),
        ("email in use", USER, 409, 1005, "Email a@b.c has already been used", Class::Refused),
        ("active elsewhere", USER, 400, 1009, "The user already holds an active account", Class::Refused),
        ("email in use, by Zoom's reference", MAKE, 409, 1005, "Email a@b.c has already been used", Class::Exists),
        ("email in use, as moodle saw it", MAKE, 409, 0, "User already in the account: a@b.c", Class::Exists),
        (
            "active elsewhere, on creation",
            MAKE,
            400,
            1009,
            "The user already holds an active account",
            Class::NotCreatable,
        ),
        ("domain, managed elsewhere", MAKE, 400, 1107, "", Class::NotCreatable),
        ("domain, not of the account", MAKE, 400, 1116, "", Class::NotCreatable),
        ("domain, of single sign-on", MAKE, 400, 11_321, "", Class::NotCreatable),
        ("kind of user", MAKE, 400, 1108, "", Class::NotCreatable),
        ("kind of user, other", MAKE, 400, 1109, "", Class::NotCreatable),
        ("single sign-on is not set up", MAKE, 400, 2002, "", Class::NotCreatable),
        ("single sign-on, other", MAKE, 400, 2032, "", Class::NotCreatable),
        ("seats, on creation", MAKE, 400, 2034, "", Class::NoSeats),
        ("seats", SET, 400, 3412, "You have reached the seat limit.", Class::NoSeats),
        (
            "seats, of licensed users",
            SET,
            400,
            3412,
            "The maximum number of licensed users is reached.",
            Class::NoSeats,
        ),
        ("seats, older code", SET, 400, 2033, "You can not add more paid users.", Class::NoSeats),
        ("seats, of an add-on", SET, 400, 2034, "", Class::NoSeats),
        ("seats, of rooms", SET, 400, 2038, "", Class::NoSeats),
        ("group missing", JOIN, 400, 4130, "Group does not exist: abc.", Class::NotFound),
        ("group missing as 404", JOIN, 404, 4130, "Group does not exist: abc.", Class::NotFound),
        ("group's name taken", JOIN, 400, 4100, "The group name already exists.", Class::Refused),
        ("members refused", JOIN, 400, 300, "Validation Failed. (members: at most 30 items)", Class::Refused),
        ("pending user's settings", SET, 400, 1000, "Can not access pending user settings.", Class::Pending),
        ("member unknown", JOIN, 404, 1001, "User does not exist: abc.", Class::NotFound),
        ("take-back of nobody", DROP, 404, 1001, "User does not exist: abc.", Class::NotFound),
        (
            "licence shuffling frozen",
            SET,
            400,
            200,
            "You have exceeded the limit of license assignments for your account.",
            Class::Refused,
        ),
        (
            "not shared",
            USER,
            403,
            403,
            "Authenticated user has not permitted access to the targeted resource",
            Class::Refused,
        ),
        ("role", ADD, 403, 403, "No permission: User:Edit", Class::Refused),
        ("unknown 4xx", USER, 418, 7, "I'm a teapot", Class::Refused),
        ("429", USER, 429, 429, "You have reached the maximum per-second rate limit for this API.", Class::Limited),
        (
            "429 in the body alone",
            USER,
            400,
            429,
            "You have reached the maximum daily rate limit for this API.",
            Class::Limited,
        ),
        ("408", USER, 408, 0, "", Class::Transient),
        ("500", ADD, 500, 500, "Internal Server Error", Class::Transient),
        ("503 with words of another class", ADD, 503, 200, "already granted scheduling privilege", Class::Transient),
        ("redirect", USER, 302, 0, "", Class::Unreadable),
    ];

    #[test]
    fn every_row_of_the_table_comes_to_its_decision() {
        for (name, endpoint, status, code, message, expected) in TABLE {
            let failure = classified(*endpoint, *status, &body(*code, message));
            assert_eq!(class(&failure), *expected, "{name}: {failure:?}");
            let shouted = classified(*endpoint, *status, &body(*code, &message.to_uppercase()));
            assert_eq!(class(&shouted), *expected, "{name}, shouted: {shouted:?}");
        }
    }

    #[test]
    fn words_of_the_assistant_calls_mean_nothing_elsewhere() {
        let failure = classified(MEET, 400, &body(200, "User a@b.c has already granted scheduling privilege."));
        assert_eq!(class(&failure), Class::Refused);
        let failure = classified(USER, 400, &body(300, "The import is in progress."));
        assert_eq!(class(&failure), Class::Refused);
    }

    #[test]
    fn missing_scopes_are_named() {
        for (message, expected) in [
            (
                "Invalid access token, does not contain scopes:[user:write:assistant, user:write:assistant:admin].",
                "user:write:assistant, user:write:assistant:admin",
            ),
            ("does not contain scopes:[user:write:admin]", "user:write:admin"),
            ("does not contain scopes: user:write:admin.", "user:write:admin"),
            ("does not contain scopes.", "user:write:assistant:admin"),
            ("", "user:write:assistant:admin"),
            ("does not contain scopes:[].", "user:write:assistant:admin"),
        ] {
            let failure = classified(ADD, 400, &body(4711, message));
            assert_eq!(failure, Failure::Scopes(expected.to_owned()), "{message}");
        }
    }

    #[test]
    fn a_body_that_cannot_be_read_decides_by_status_alone() {
        for junk in ["", "<html>gone</html>", "null", "[]", "{}", "\"code\"", "{\"code\":", "{\"message\":7}"] {
            for (status, expected) in [
                (400, Class::Refused),
                (401, Class::Token),
                (403, Class::Refused),
                (404, Class::Unreadable),
                (429, Class::Limited),
                (500, Class::Transient),
                (502, Class::Transient),
            ] {
                let failure = classified(USER, status, junk);
                assert_eq!(class(&failure), expected, "{status} {junk}: {failure:?}");
            }
        }
    }

    #[test]
    fn a_code_is_read_as_number_or_text_and_faults_of_fields_are_told() {
        assert_eq!(class(&classified(USER, 404, r#"{"code":"1001","message":"x"}"#)), Class::NotFound);
        let faults =
            r#"{"code":300,"message":"Validation Failed.","errors":[{"field":"settings","message":"Invalid."}]}"#;
        let Failure::Other(E::Refused { message, .. }) = classified(MEET, 400, faults) else { panic!() };
        assert_eq!(message, "Validation Failed. (settings: Invalid.)");
    }

    #[test]
    fn a_message_is_one_line_and_not_long() {
        let Failure::Other(E::Refused { message, .. }) =
            classified(USER, 400, &body(7, &format!("a\n\u{1b}[31m b {}", "é".repeat(1000))))
        else {
            panic!()
        };
        assert!(message.starts_with("a [31m b é"), "{message}");
        assert_eq!(message.chars().count(), MESSAGE_CHARS_MAX);
    }
}
