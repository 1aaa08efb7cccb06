//! What Zoom answers, read leniently: fields that are not known are ignored, ids and numbers come as number or text. A
//! list that is missing is an error, since nobody may take it for an empty one. Errors name places, never values.

use serde_json::Value;

use super::port::{
    Assistant, FailedDelivery, Group, Listed, Meeting, MeetingRow, MeetingStatus, Member, Object, Role, Scheduler,
    Status, User, UserPage, ZoomError,
};
use crate::clock::Timestamp;
use crate::ids::{Email, GroupId, MeetingId, UserId};

/// One object of an answer.
struct Row(Object);

impl Row {
    fn text(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn number(&self, key: &str) -> Option<i64> {
        match self.0.get(key)? {
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    fn count(&self, key: &str) -> Option<u64> {
        self.number(key).and_then(|number| u64::try_from(number).ok())
    }

    fn user_id(&self, key: &str) -> Option<UserId> {
        self.text(key).and_then(|id| UserId::parse(&id).ok())
    }

    fn email(&self, key: &str) -> Option<Email> {
        self.text(key).and_then(|email| Email::parse(email.trim()).ok())
    }

    /// `listed_as` is the status that was asked for, where a listing does not repeat it.
    fn user(self, listed_as: Option<Status>) -> User {
        let status = match self.text("status") {
            Some(word) => status(&word),
            None => listed_as.unwrap_or_default(),
        };
        let (id, email, kind, role) = (self.user_id("id"), self.email("email"), self.number("type"), self.role());
        User { id, email, kind, status, role, whole: self.0 }
    }

    /// 0 and 1 are the ids of owner and admin in every account \[M]; the names are those of Zoom's samples \[D].
    fn role(&self) -> Option<Role> {
        let of = |text: String| match text.to_ascii_lowercase().as_str() {
            "0" | "owner" => Role::Owner,
            "1" | "admin" => Role::Admin,
            _ => Role::Other,
        };
        self.text("role_id").or_else(|| self.text("role_name")).map(of)
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

pub(super) fn object(what: &str, body: &[u8]) -> Result<Object, ZoomError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(strange(what, "")),
    }
}

/// The rows of a list, the token of the next page, and how many there are in all.
fn list<T>(what: &str, key: &str, body: &[u8], read: impl Fn(Row) -> Option<T>) -> Result<Listed<T>, ZoomError> {
    let mut top = Row(object(what, body)?);
    let rows = match top.0.remove(key) {
        Some(Value::Array(rows)) => rows,
        Some(_) => return Err(strange(what, &format!(" at {key}"))),
        None => return Err(ZoomError::Unreadable(format!("{what}: missing field `{key}`"))),
    };
    let row = |(place, row): (usize, Value)| match row {
        Value::Object(row) => read(Row(row)).ok_or_else(|| strange(what, &format!(" at {key}[{place}]"))),
        _ => Err(strange(what, &format!(" at {key}[{place}]"))),
    };
    let rows = rows.into_iter().enumerate().map(row).collect::<Result<_, _>>()?;
    let next = top.text("next_page_token").filter(|token| !token.is_empty());
    Ok(Listed { rows, next, total: top.count("total_records") })
}

/// Says where, and not what: the body may name people.
fn strange(what: &str, place: &str) -> ZoomError {
    ZoomError::Unreadable(format!("{what}: is not what Zoom documents{place}"))
}

pub(super) fn user(body: &[u8]) -> Result<User, ZoomError> {
    let user = Row(object("a user", body)?).user(None);
    if user.id.is_none() && user.email.is_none() {
        return Err(ZoomError::Unreadable("a user has neither id nor email".to_owned()));
    }
    Ok(user)
}

pub(super) fn users(listed_as: Status, body: &[u8]) -> Result<UserPage, ZoomError> {
    let page = list("a list of users", "users", body, |row| Some(row.user(Some(listed_as))))?;
    Ok(UserPage { users: page.rows, next: page.next, total: page.total })
}

pub(super) fn assistants(body: &[u8]) -> Result<Vec<Assistant>, ZoomError> {
    let read = |row: Row| Some(Assistant { id: row.user_id("id"), email: row.email("email") });
    Ok(list("a list of assistants", "assistants", body, read)?.rows)
}

pub(super) fn schedulers(body: &[u8]) -> Result<Vec<Scheduler>, ZoomError> {
    let read = |row: Row| Some(Scheduler { id: row.user_id("id"), email: row.email("email") });
    Ok(list("a list of schedulers", "schedulers", body, read)?.rows)
}

pub(super) fn groups(body: &[u8]) -> Result<Listed<Group>, ZoomError> {
    list("a list of groups", "groups", body, |row| {
        let id = GroupId::parse(&row.text("id")?).ok()?;
        Some(Group { id, name: row.text("name").unwrap_or_default(), members: row.count("total_members") })
    })
}

pub(super) fn members(body: &[u8]) -> Result<Listed<Member>, ZoomError> {
    let read = |row: Row| Some(Member { id: row.user_id("id"), email: row.email("email") });
    list("a list of members", "members", body, read)
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp::from_millis(at.as_millisecond()))
}

/// The number of a meeting that was just made: all else of the answer is read back, since its host may be the wrong one \[C moodle].
pub(super) fn made(body: &[u8]) -> Result<MeetingId, ZoomError> {
    let made = Row(object("a new meeting", body)?);
    let id = made.text("id").and_then(|id| MeetingId::parse(&id).ok());
    id.ok_or_else(|| strange("a new meeting", " at id"))
}

pub(super) fn meetings(body: &[u8]) -> Result<Listed<MeetingRow>, ZoomError> {
    list("a list of meetings", "meetings", body, |row| {
        let id = MeetingId::parse(&row.text("id")?).ok()?;
        let at = |key: &str| row.text(key).and_then(|text| time(&text));
        let (host_id, kind, topic) = (row.user_id("host_id"), row.number("type"), row.text("topic"));
        Some(MeetingRow { id, host_id, topic, created_at: at("created_at"), kind, start: at("start_time") })
    })
}

/// The name of the list is inferred from the path \[I]; that of its fields is documented \[D].
pub(super) fn failed_deliveries(body: &[u8]) -> Result<Listed<FailedDelivery>, ZoomError> {
    list("a list of deliveries", "webhook_logs", body, |row| {
        // As text, which is what was signed; an object would have lost the order of its keys.
        let body = row.0.get("request_body").and_then(Value::as_str).map(str::to_owned);
        let (event, request_id) = (row.text("event"), row.text("request_id"));
        Some(FailedDelivery { event, request_id, retry: row.number("retry_num"), body, whole: row.0 })
    })
}

pub(super) fn meeting(asked: MeetingId, body: &[u8]) -> Result<Meeting, ZoomError> {
    let meeting = Meeting::try_from(object("a meeting", body)?)?;
    if meeting.id != asked {
        return Err(ZoomError::Unreadable("the meeting is not the one that was asked for".to_owned()));
    }
    Ok(meeting)
}

/// A user as Zoom states one.
impl From<Object> for User {
    fn from(whole: Object) -> Self {
        Row(whole).user(None)
    }
}

/// A meeting as Zoom states one.
impl TryFrom<Object> for Meeting {
    type Error = ZoomError;

    fn try_from(whole: Object) -> Result<Self, ZoomError> {
        let mut answer = Row(whole.clone());
        let id = answer.text("id").and_then(|id| MeetingId::parse(&id).ok());
        let id = id.ok_or_else(|| strange("a meeting", " at id"))?;
        let held = match answer.0.remove("settings") {
            Some(Value::Object(settings)) => settings,
            Some(Value::Null) | None => Object::new(),
            Some(_) => return Err(strange("a meeting", " at settings")),
        };
        Ok(Self {
            id,
            host_id: answer.user_id("host_id"),
            host_email: answer.email("host_email"),
            assistant_id: answer.user_id("assistant_id"),
            kind: answer.number("type"),
            status: match answer.text("status").unwrap_or_default().to_ascii_lowercase().as_str() {
                "waiting" => MeetingStatus::Waiting,
                "started" => MeetingStatus::Started,
                _ => MeetingStatus::Unknown,
            },
            settings: held,
            whole,
        })
    }
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
                    ..User::default()
                },
            ),
            (
                r#"{"id":42,"type":"1","status":"PENDING","email":null}"#,
                User { id: Some(id("42")), email: None, kind: Some(1), status: Status::Pending, ..User::default() },
            ),
            (
                r#"{"email":"a@b.c","type":true,"status":"frozen","id":""}"#,
                User { id: None, email: Some(email("a@b.c")), kind: None, status: Status::Unknown, ..User::default() },
            ),
        ] {
            let whole = object("", body.as_bytes()).unwrap();
            assert_eq!(user(body.as_bytes()), Ok(User { whole, ..expected }), "{body}");
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
        let whole = page.users[0].whole.clone();
        assert_eq!(Value::Object(whole.clone()), serde_json::json!({ "email": "a@b.c", "type": 1 }), "nothing is lost");
        let (email, status) = (Some(email("a@b.c")), Status::Pending);
        let row = User { email, kind: Some(1), status, whole, ..User::default() };
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
    fn a_role_is_known_by_its_id_or_its_name() {
        for (fields, expected) in [
            (r#""role_id":"0""#, Some(Role::Owner)),
            (r#""role_id":1"#, Some(Role::Admin)),
            (r#""role_id":"2","role_name":"Admin""#, Some(Role::Other)),
            (r#""role_name":"owner""#, Some(Role::Owner)),
            (r#""role_name":"Registrar""#, Some(Role::Other)),
            (r#""dept":"""#, None),
        ] {
            assert_eq!(user(format!(r#"{{"id":"u",{fields}}}"#).as_bytes()).unwrap().role, expected, "{fields}");
        }
    }

    #[test]
    fn a_row_that_names_nothing_is_an_error_and_not_skipped() {
        for strange in [r#"{"groups":[{"name":"a"}]}"#, r#"{"groups":[7]}"#, r#"{"groups":{}}"#, "{}"] {
            assert!(groups(strange.as_bytes()).is_err(), "{strange}");
        }
        assert!(meetings(br#"{"meetings":[{"id":"x"}]}"#).is_err());
        let rows = failed_deliveries(br#"{"webhook_logs":[{},{"event":"e"}]}"#).unwrap().rows;
        let events: Vec<_> = rows.into_iter().map(|row| row.event).collect();
        assert_eq!(events, [None, Some("e".to_owned())], "each row is judged by its signature");
        let page =
            groups(br#"{"groups":[{"id":"g","name":"Staff","total_members":3}],"next_page_token":"n"}"#).unwrap();
        let group = Group { id: GroupId::parse("g").unwrap(), name: "Staff".to_owned(), members: Some(3) };
        assert_eq!(page, Listed { rows: vec![group], next: Some("n".to_owned()), total: None });
    }

    #[test]
    fn a_meeting_states_the_settings_that_it_states() {
        let asked = MeetingId::from_number(123);
        let body = br#"{"id":"123","host_id":"h","status":"started","settings":{"waiting_room":true,"x":1}}"#;
        let read = meeting(asked, body).unwrap();
        assert_eq!(read.status, MeetingStatus::Started);
        assert_eq!(Value::Object(read.settings), serde_json::json!({ "waiting_room": true, "x": 1 }));
        assert!(meeting(asked, br#"{"id":123}"#).unwrap().settings.is_empty());
    }
}
