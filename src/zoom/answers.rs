//! What Zoom answers, read leniently: fields that are not known are ignored, ids and numbers come as number or text. A
//! list that is missing is an error, since nobody may take it for an empty one. Errors name places, never values.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::port::{Assistant, Meeting, MeetingStatus, Scheduler, Status, User, UserPage, ZoomError};
use crate::ids::{Email, MeetingId, UserId};
use crate::rules::MeetingSettings;

#[derive(Debug, Deserialize)]
struct Person {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    email: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "number")]
    kind: Option<i64>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
}

impl Person {
    fn id(&self) -> Option<UserId> {
        self.id.as_deref().and_then(|id| UserId::parse(id).ok())
    }

    fn email(&self) -> Option<Email> {
        self.email.as_deref().and_then(|email| Email::parse(email.trim()).ok())
    }

    /// `listed_as` is the status that was asked for, where a listing does not repeat it.
    fn user(&self, listed_as: Option<Status>) -> User {
        let status = match &self.status {
            Some(word) => status(word),
            None => listed_as.unwrap_or(Status::Unknown),
        };
        User { id: self.id(), email: self.email(), kind: self.kind, status, raw: Value::Null }
    }
}

fn status(word: &str) -> Status {
    match word.to_ascii_lowercase().as_str() {
        "active" => Status::Active,
        "inactive" => Status::Inactive,
        "pending" => Status::Pending,
        _ => Status::Unknown,
    }
}

pub(super) fn user(body: &[u8]) -> Result<User, ZoomError> {
    let raw = parse("a user", body)?;
    let user = User { raw, ..parse::<Person>("a user", body)?.user(None) };
    if user.id.is_none() && user.email.is_none() {
        return Err(ZoomError::Unreadable("a user has neither id nor email".to_owned()));
    }
    Ok(user)
}

pub(super) fn users(listed_as: Status, body: &[u8]) -> Result<UserPage, ZoomError> {
    #[derive(Deserialize)]
    struct Page {
        users: Vec<Person>,
        #[serde(default, deserialize_with = "text")]
        next_page_token: Option<String>,
        #[serde(default, deserialize_with = "number")]
        total_records: Option<i64>,
    }
    let page: Page = parse("a list of users", body)?;
    Ok(UserPage {
        users: page.users.iter().map(|row| row.user(Some(listed_as))).collect(),
        next: page.next_page_token.filter(|token| !token.is_empty()),
        total: page.total_records.and_then(|total| u64::try_from(total).ok()),
    })
}

pub(super) fn assistants(body: &[u8]) -> Result<Vec<Assistant>, ZoomError> {
    #[derive(Deserialize)]
    struct List {
        assistants: Vec<Person>,
    }
    let list: List = parse("a list of assistants", body)?;
    Ok(list.assistants.iter().map(|row| Assistant { id: row.id(), email: row.email() }).collect())
}

pub(super) fn schedulers(body: &[u8]) -> Result<Vec<Scheduler>, ZoomError> {
    #[derive(Deserialize)]
    struct List {
        schedulers: Vec<Person>,
    }
    let list: List = parse("a list of schedulers", body)?;
    Ok(list.schedulers.iter().map(|row| Scheduler { id: row.id(), email: row.email() }).collect())
}

pub(super) fn meeting(asked: MeetingId, body: &[u8]) -> Result<Meeting, ZoomError> {
    #[derive(Deserialize, Default)]
    struct Held {
        #[serde(default, deserialize_with = "flag")]
        waiting_room: Option<bool>,
        #[serde(default, deserialize_with = "flag")]
        join_before_host: Option<bool>,
    }
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default, deserialize_with = "text")]
        id: Option<String>,
        #[serde(default, deserialize_with = "text")]
        host_id: Option<String>,
        #[serde(default, deserialize_with = "text")]
        host_email: Option<String>,
        #[serde(default, deserialize_with = "text")]
        status: Option<String>,
        #[serde(default)]
        settings: Option<Held>,
    }
    let answer: Answer = parse("a meeting", body)?;
    let raw = parse("a meeting", body)?;
    let id = answer.id.as_deref().and_then(|id| MeetingId::parse(id).ok());
    if id != Some(asked) {
        return Err(ZoomError::Unreadable("the meeting is not the one that was asked for".to_owned()));
    }
    let held = answer.settings.unwrap_or_default();
    Ok(Meeting {
        id: asked,
        host_id: answer.host_id.and_then(|id| UserId::parse(&id).ok()),
        host_email: answer.host_email.and_then(|email| Email::parse(email.trim()).ok()),
        status: match answer.status.unwrap_or_default().to_ascii_lowercase().as_str() {
            "waiting" => MeetingStatus::Waiting,
            "started" => MeetingStatus::Started,
            _ => MeetingStatus::Unknown,
        },
        settings: MeetingSettings { waiting_room: held.waiting_room, join_before_host: held.join_before_host },
        raw,
    })
}

/// The error says where, and not what: the body may name people.
fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, ZoomError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = match error.path().to_string() {
            place if place == "." => String::new(),
            place => format!(" at {place}"),
        };
        let inner = error.inner().to_string();
        // Of serde's sentences, this alone holds no value from the body.
        let field = inner.starts_with("missing field").then(|| inner.split(" at line").next().unwrap_or_default());
        let fault = field.unwrap_or("is not what Zoom documents");
        ZoomError::Unreadable(format!("{what}: {fault}{place}"))
    })
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    })
}

fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(flag) => Some(flag),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> UserId {
        UserId::parse(text).unwrap()
    }

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    #[test]
    fn a_user_is_read_in_every_shape() {
        for (body, expected) in [
            (
                r#"{"id":"KDc","email":"Jill@Example.com","type":2,"status":"active","new_field":{"a":[1]}}"#,
                User {
                    id: Some(id("KDc")),
                    email: Some(email("jill@example.com")),
                    kind: Some(2),
                    status: Status::Active,
                    raw: Value::Null,
                },
            ),
            (
                r#"{"id":42,"type":"1","status":"PENDING","email":null}"#,
                User { id: Some(id("42")), email: None, kind: Some(1), status: Status::Pending, raw: Value::Null },
            ),
            (
                r#"{"email":"a@b.c","type":true,"status":"frozen","id":""}"#,
                User { id: None, email: Some(email("a@b.c")), kind: None, status: Status::Unknown, raw: Value::Null },
            ),
        ] {
            let read = user(body.as_bytes()).unwrap();
            assert_eq!(read.raw, serde_json::from_str::<Value>(body).unwrap(), "all of it is kept");
            assert_eq!(User { raw: Value::Null, ..read }, expected, "{body}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_understood_is_an_error_that_quotes_nothing() {
        let page = |body: &[u8]| users(Status::Active, body).map(drop);
        let errors = [
            user(b"").map(drop),
            user(b"{}").map(drop),
            user(br#"["hunter2@example.com"]"#).map(drop),
            user(br#""hunter2@example.com""#).map(drop),
            page(b"{}"),
            page(br#"{"users":null}"#),
            page(br#"{"users":"hunter2@example.com"}"#),
            page(br#"{"users":[{"id":"a"}"#),
            page(br#"{"users":["hunter2@example.com"]}"#),
            assistants(br#"{"schedulers":[]}"#).map(drop),
            schedulers(br#"{"assistants":[]}"#).map(drop),
            meeting(MeetingId::from_number(1), br#"{"host_id":"a"}"#).map(drop),
            meeting(MeetingId::from_number(1), br#"{"id":2}"#).map(drop),
        ];
        for error in errors {
            let Err(ZoomError::Unreadable(why)) = error else { panic!("{error:?}") };
            assert!(!why.contains("hunter2"), "{why}");
        }
        let missing = assistants(b"{}").unwrap_err().to_string();
        assert_eq!(missing, "Zoom's answer cannot be understood: a list of assistants: missing field `assistants`");
        let place = page(br#"{"users":[{"id":"a"},7]}"#).unwrap_err().to_string();
        assert!(place.ends_with("at users[1]"), "{place}");
    }

    #[test]
    fn a_pending_row_has_no_id_and_the_status_that_was_asked_for() {
        let body = br#"{"users":[{"email":"a@b.c","type":1}],"next_page_token":"","total_records":"7"}"#;
        let page = users(Status::Pending, body).unwrap();
        let row =
            User { id: None, email: Some(email("a@b.c")), kind: Some(1), status: Status::Pending, raw: Value::Null };
        assert_eq!(page, UserPage { users: vec![row], next: None, total: Some(7) });
    }

    #[test]
    fn an_empty_list_is_empty() {
        assert_eq!(assistants(br#"{"assistants":[]}"#), Ok(Vec::new()));
        assert_eq!(schedulers(br#"{"schedulers":[]}"#), Ok(Vec::new()));
        let rows = assistants(br#"{"assistants":[{"id":7,"email":"a@b.c"}]}"#).unwrap();
        assert_eq!(rows, [Assistant { id: Some(id("7")), email: Some(email("a@b.c")) }]);
    }

    #[test]
    fn a_meeting_states_the_settings_that_it_states() {
        let asked = MeetingId::from_number(123);
        let body = br#"{"id":"123","host_id":"h","status":"started","settings":{"waiting_room":true,"x":1}}"#;
        let read = meeting(asked, body).unwrap();
        assert_eq!(read.status, MeetingStatus::Started);
        assert_eq!(read.settings, MeetingSettings { waiting_room: Some(true), join_before_host: None });
        assert_eq!(meeting(asked, br#"{"id":123}"#).unwrap().settings, MeetingSettings::default());
    }
}
