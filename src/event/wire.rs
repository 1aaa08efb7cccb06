//! The only place that knows the JSON of webhooks.
//!
//! Lenient, because Zoom's own samples break Zoom's own schemas: ids are numbers or text, `event_ts` is a number, text, in
//! the payload or missing, fields come and go, unknown events are [`What::Other`]. Strict where leniency would be a guess:
//! a body that is not one JSON object in UTF-8 (a byte order mark before it is skipped), or that says something that is read
//! here twice, is [`Unreadable`]: it is set aside for a person and never acted on. The raw body stays what is stored.
//!
//! [`Event::meaning`] costs a parse of the whole payload, so it is worked out only for events about users and meetings,
//! the ones that something is done about; for others it is none.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::signature::Verified;
use super::{Event, Meaning, MeetingChange, MeetingRef, UserChange, UserRef, What};
use crate::clock::Timestamp;
use crate::ids::{AccountId, Email, MeetingId, MeetingUuid, UserId};

/// The one event that is answered with something: see [`What::UrlValidation`].
pub const URL_VALIDATION: &str = "endpoint.url_validation";

const NAME_BYTES_MAX: usize = 128;

/// Fields of a payload, at any depth, that may differ between two deliveries of one event: when it was sent
/// (`time_stamp`), and tokens made for each delivery (`download_token`, seen by Zoom's forum 128602).
const VOLATILE: [&str; 2] = ["download_token", "time_stamp"];

/// A signed body that cannot be understood. The text holds nothing from the body but names of fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(Cow<'static, str>);

impl Unreadable {
    const fn because(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }

    /// Of serde's text only the place: the rest may quote the body.
    fn json(part: &str, error: &serde_json::Error) -> Self {
        let what = if error.to_string().starts_with("duplicate field") {
            "says something twice"
        } else if error.to_string().starts_with("recursion limit") {
            "is nested too deeply"
        } else {
            "is not JSON of the expected shape"
        };
        Self(Cow::Owned(format!("{part} {what} (line {}, column {})", error.line(), error.column())))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    event_ts: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Payload<'a> {
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
    #[serde(borrow)]
    event_ts: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow, rename = "plainToken")]
    plain_token: Option<&'a RawValue>,
    /// Of an app that was removed: by whom.
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    email: Option<&'a RawValue>,
    #[serde(borrow)]
    uuid: Option<&'a RawValue>,
    #[serde(borrow)]
    host_id: Option<&'a RawValue>,
    #[serde(borrow)]
    members: Option<&'a RawValue>,
}

/// The name of the event that a verified request is about.
pub fn event_name(verified: &Verified) -> Option<String> {
    envelope(verified).ok().map(|(_, name)| name.into_owned())
}

/// The account that a verified request names. Not all events do.
pub fn account(verified: &Verified) -> Option<AccountId> {
    parse(verified).ok()?.account
}

/// Who did what it tells of, as the event names them: the email, else the id. Not all events do.
pub fn operator(verified: &Verified) -> Option<String> {
    let body = body(verified).ok()?;
    let payload = body.get("payload")?;
    let named = |key| payload.get(key).and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty());
    let name = named("operator").or_else(|| named("operator_id"))?;
    Some(name.chars().filter(|c| !c.is_control()).take(NAME_BYTES_MAX).collect())
}

/// What an event says has changed of its object: fields as they are now, and as they were.
#[derive(Debug)]
pub struct Changed {
    /// Of the object.
    pub id: Option<String>,
    /// Without what only says which object it is.
    pub new: Map<String, Value>,
    /// None where the event does not say.
    pub old: Option<Map<String, Value>>,
}

/// What has changed by an event; none where it says nothing of it.
pub fn changed(verified: &Verified) -> Option<Changed> {
    let mut body = body(verified).ok()?;
    let payload = body.get_mut("payload")?;
    let mut taken = |name: &str| match payload.get_mut(name).map(Value::take) {
        Some(Value::Object(mut fields)) => {
            let id = fields.remove("id");
            fields.remove("uuid");
            Some((id.and_then(|id| id.as_str().map(str::to_owned)), fields))
        }
        _ => None,
    };
    let ((id, new), old) = (taken("object")?, taken("old_object").map(|(_, old)| old));
    Some(Changed { id, new, old })
}

/// All that a verified request says, for whoever looks further than [`parse`] does.
pub fn body(verified: &Verified) -> Result<Value, Unreadable> {
    object(text(verified)?, "the body")?.ok_or(Unreadable::because("the body is not an object"))
}

fn text(verified: &Verified) -> Result<&str, Unreadable> {
    let text = std::str::from_utf8(verified.body()).map_err(|_| Unreadable::because("the body is not UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn envelope(verified: &Verified) -> Result<(Envelope<'_>, Cow<'_, str>), Unreadable> {
    let envelope: Envelope<'_> =
        object(text(verified)?, "the body")?.ok_or(Unreadable::because("the body is not an object"))?;
    let name = envelope.event.and_then(text_of).ok_or(Unreadable::because("the body names no event"))?;
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Unreadable::because("the event's name is empty, too long or not printable"));
    }
    Ok((envelope, name))
}

/// Reads what a verified request says.
pub fn parse(verified: &Verified) -> Result<Event, Unreadable> {
    let (envelope, name) = envelope(verified)?;
    let raw_payload = envelope.payload.map_or("", RawValue::get);
    let payload: Payload<'_> = object(raw_payload, "the payload")?.unwrap_or_default();
    let account = payload.account_id.and_then(scalar).and_then(|id| AccountId::parse(&id).ok());
    let at = envelope.event_ts.and_then(millis).or_else(|| payload.event_ts.and_then(millis));
    let what = what(&name, &payload)?;
    let meaning = match (&what, at) {
        (What::User { .. } | What::Meeting { .. } | What::GroupMembers { .. }, Some(at)) => {
            Some(meaning(account.as_ref(), &name, at, raw_payload)?)
        }
        _ => None,
    };
    Ok(Event { name: name.into_owned(), account, at, meaning, what })
}

fn what(name: &str, payload: &Payload<'_>) -> Result<What, Unreadable> {
    let user = |change| Ok(user(payload)?.map_or(What::Other, |user| What::User { change, user }));
    let meeting = |change| Ok(meeting(payload)?.map_or(What::Other, |meeting| What::Meeting { change, meeting }));
    match name {
        URL_VALIDATION => match payload.plain_token.and_then(text_of) {
            Some(token) => Ok(What::UrlValidation { plain_token: token.into_owned() }),
            None => Err(Unreadable::because("the url validation has no plainToken")),
        },
        "user.created" => user(UserChange::Created),
        "user.activated" => user(UserChange::Activated),
        "user.invitation_accepted" => user(UserChange::InvitationAccepted),
        "user.updated" => user(UserChange::Updated),
        "user.settings_updated" => user(UserChange::SettingsUpdated),
        "user.deleted" => user(UserChange::Deleted),
        "user.deactivated" => user(UserChange::Deactivated),
        "user.disassociated" => user(UserChange::Disassociated),
        "meeting.created" => meeting(MeetingChange::Created),
        "meeting.updated" => meeting(MeetingChange::Updated),
        "meeting.started" => meeting(MeetingChange::Started),
        "meeting.ended" => meeting(MeetingChange::Ended),
        "meeting.deleted" | "meeting.permanently_deleted" => meeting(MeetingChange::Deleted),
        // Two names are documented for leaving, and one sample for each [DOC].
        "group.member_added" | "group.members_added" | "group.member_deleted" | "group.members_deleted" => {
            members(payload)
        }
        "app_deauthorized" => {
            Ok(What::AppDeauthorized { user: payload.user_id.and_then(scalar).and_then(|id| UserId::parse(&id).ok()) })
        }
        _ => Ok(What::Other),
    }
}

/// None where the payload has no object: then nothing can be said, and nothing is done.
fn user(payload: &Payload<'_>) -> Result<Option<UserRef>, Unreadable> {
    let Some(object) = payload.object.map(|raw| object::<Object<'_>>(raw.get(), "the object")).transpose()?.flatten()
    else {
        return Ok(None);
    };
    user_of(&object).ok_or(Unreadable::because("the user has neither a valid id nor a valid email")).map(Some)
}

fn user_of(object: &Object<'_>) -> Option<UserRef> {
    let id = object.id.and_then(scalar).and_then(|id| UserId::parse(&id).ok());
    let email = object.email.and_then(text_of).and_then(|email| Email::parse(&email).ok());
    (id.is_some() || email.is_some()).then_some(UserRef { id, email })
}

/// Members who cannot be told are left out: the lists of a sweep show them.
fn members(payload: &Payload<'_>) -> Result<What, Unreadable> {
    let group = payload.object.map(|raw| object::<Object<'_>>(raw.get(), "the object")).transpose()?.flatten();
    let rows = group.and_then(|group| group.members).map_or("[]", RawValue::get);
    if !rows.trim_ascii_start().starts_with('[') {
        return Ok(What::Other);
    }
    let rows: Vec<&RawValue> = serde_json::from_str(rows).map_err(|error| Unreadable::json("the members", &error))?;
    let mut users = Vec::new();
    for row in rows {
        users.extend(object::<Object<'_>>(row.get(), "a member")?.as_ref().and_then(user_of));
    }
    Ok(if users.is_empty() { What::Other } else { What::GroupMembers { users } })
}

fn meeting(payload: &Payload<'_>) -> Result<Option<MeetingRef>, Unreadable> {
    let Some(object) = payload.object.map(|raw| object::<Object<'_>>(raw.get(), "the object")).transpose()?.flatten()
    else {
        return Ok(None);
    };
    let id = object.id.and_then(scalar).and_then(|id| MeetingId::parse(&id).ok());
    let id = id.ok_or(Unreadable::because("the meeting has no valid id"))?;
    let uuid = object.uuid.and_then(text_of).and_then(|uuid| MeetingUuid::parse(&uuid).ok());
    let host = object.host_id.and_then(scalar).and_then(|host| UserId::parse(&host).ok());
    Ok(Some(MeetingRef { id, uuid, host }))
}

/// Reads an object; none where it is something else. (serde would take an array for a struct.)
fn object<'a, T: Deserialize<'a>>(text: &'a str, part: &str) -> Result<Option<T>, Unreadable> {
    if !text.trim_ascii_start().starts_with('{') {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).map_err(|error| Unreadable::json(part, &error))
}

/// A JSON string; none for anything else.
fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = raw.get();
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(quoted).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// A JSON string, or a whole number as text.
fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    text_of(raw).or_else(|| whole(raw.get()).map(Cow::Borrowed))
}

/// The digits of a whole number, also where it is written as in `1.0`.
fn whole(number: &str) -> Option<&str> {
    let whole = match number.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return None,
        None => number,
    };
    (!whole.is_empty() && whole.bytes().all(|digit| digit.is_ascii_digit())).then_some(whole)
}

/// Milliseconds, as a number or as text; none for a date or anything else.
fn millis(raw: &RawValue) -> Option<Timestamp> {
    let text = scalar(raw)?;
    whole(text.trim_ascii())?.parse().ok().map(Timestamp::from_millis)
}

fn meaning(account: Option<&AccountId>, name: &str, at: Timestamp, payload: &str) -> Result<Meaning, Unreadable> {
    let payload: Value = serde_json::from_str(payload).map_err(|error| Unreadable::json("the payload", &error))?;
    let mut hash = Sha256::new();
    text_into(&mut hash, b'a', account.map_or("", AccountId::as_str));
    text_into(&mut hash, b'e', name);
    hash.update(at.as_millis().to_be_bytes());
    canonical_into(&mut hash, &payload);
    let whole: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(whole) {
        *to = from;
    }
    Ok(Meaning(half))
}

/// Feeds a value in a form in which equal values are equal and different ones differ: each part with its kind and length,
/// keys in order, numbers as Zoom wrote them but for `.0`. The depth is bounded by that of the parser, 128.
fn canonical_into(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Number(number) => {
            let number = number.to_string();
            text_into(hash, b'0', whole(&number).unwrap_or(&number));
        }
        Value::String(text) => text_into(hash, b's', text),
        Value::Array(items) => {
            length_into(hash, b'[', items.len());
            for item in items {
                canonical_into(hash, item);
            }
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().filter(|(key, _)| !VOLATILE.contains(&key.as_str())).collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            length_into(hash, b'{', fields.len());
            for (key, value) in fields {
                text_into(hash, b'k', key);
                canonical_into(hash, value);
            }
        }
    }
}

fn text_into(hash: &mut Sha256, kind: u8, text: &str) {
    length_into(hash, kind, text.len());
    hash.update(text);
}

fn length_into(hash: &mut Sha256, kind: u8, length: usize) {
    hash.update([kind]);
    hash.update(u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: impl AsRef<[u8]>) -> Result<Event, Unreadable> {
        parse(&Verified::reread(bytes::Bytes::copy_from_slice(body.as_ref()), 0, None))
    }

    fn user_event(rest: &str) -> Event {
        parsed(format!(r#"{{"event":"user.created","event_ts":1626230691572,"payload":{rest}}}"#)).unwrap()
    }

    #[test]
    fn ids_and_times_are_numbers_or_text() {
        let at = Some(Timestamp::from_millis(1_626_230_691_572));
        for ts in ["1626230691572", "\"1626230691572\"", "1626230691572.0"] {
            for id in ["98884753832", "\"98884753832\"", "98884753832.0"] {
                let body = format!(
                    r#"{{"event":"meeting.ended","event_ts":{ts},"payload":{{"account_id":12,"object":{{"id":{id},"host_id":7}}}}}}"#
                );
                let event = parsed(body).unwrap();
                assert_eq!(event.at, at);
                assert_eq!(event.account.unwrap().as_str(), "12");
                let What::Meeting { meeting, .. } = event.what else { panic!("{:?}", event.what) };
                assert_eq!(meeting.id.number(), 98_884_753_832);
                assert_eq!(meeting.host.unwrap().as_str(), "7");
            }
        }
    }

    #[test]
    fn a_time_that_is_no_number_is_no_time() {
        for ts in ["\"2024-09-08 15:58:40\"", "1.5", "-1", "true", "[]", "1e3", "99999999999999999999"] {
            let event = parsed(format!(r#"{{"event":"x","event_ts":{ts},"payload":{{}}}}"#)).unwrap();
            assert_eq!(event.at, None, "{ts}");
        }
        let inside = parsed(r#"{"event":"app_deauthorized","payload":{"event_ts":1749365726209}}"#).unwrap();
        assert_eq!(inside.at, Some(Timestamp::from_millis(1_749_365_726_209)));
    }

    #[test]
    fn an_event_without_an_object_is_recorded_and_not_acted_on() {
        for payload in ["{}", "[]", "null", r#"{"object":null}"#, r#"{"object":["a"]}"#, "7"] {
            assert_eq!(user_event(payload).what, What::Other, "{payload}");
        }
        assert_eq!(parsed(r#"{"event":"user.created"}"#).unwrap().what, What::Other);
        assert_eq!(parsed(r#"{"event":"group.members_deleted","payload":{"object":{}}}"#).unwrap().what, What::Other);
    }

    #[test]
    fn what_cannot_be_understood_says_why() {
        let deep = format!(
            r#"{{"event":"user.created","event_ts":1,"payload":{{"object":{{"id":"a"}},"x":{}{}}}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        let table: [(&[u8], &str); 14] = [
            (b"", "the body is not an object"),
            (b"[\"user.created\",1,{}]", "the body is not an object"),
            (b"\"user.created\"", "the body is not an object"),
            (b"{", "the body is not JSON of the expected shape (line 1, column 1)"),
            (b"{}{}", "the body is not JSON of the expected shape (line 1, column 3)"),
            (b"\xff", "the body is not UTF-8"),
            (b"{}", "the body names no event"),
            (b"{\"event\":7}", "the body names no event"),
            (b"{\"event\":\"\"}", "the event's name is empty, too long or not printable"),
            (b"{\"event\":\"a\",\"event\":\"b\"}", "the body says something twice (line 1, column 20)"),
            (
                b"{\"event\":\"user.created\",\"payload\":{\"object\":{\"id\":\"a\",\"id\":\"b\"}}}",
                "the object says something twice (line 1, column 14)",
            ),
            (
                b"{\"event\":\"user.created\",\"payload\":{\"object\":{\"id\":\"me\"}}}",
                "the user has neither a valid id nor a valid email",
            ),
            (b"{\"event\":\"meeting.ended\",\"payload\":{\"object\":{}}}", "the meeting has no valid id"),
            (deep.as_bytes(), "the payload is nested too deeply (line 1, column 152)"),
        ];
        for (body, why) in table {
            assert_eq!(parsed(body).unwrap_err().to_string(), why, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_byte_order_mark_and_spaces_before_the_body_are_skipped() {
        assert_eq!(parsed("\u{feff}{\"event\":\"x\"}").unwrap().name, "x");
        assert_eq!(parsed(" \n{\"event\":\"x\\u002ey\"}").unwrap().name, "x.y");
    }

    #[test]
    fn the_whole_body_is_read_behind_a_byte_order_mark_and_what_cannot_be_is_told() {
        let read = |body_of: &str| body(&Verified::reread(bytes::Bytes::copy_from_slice(body_of.as_bytes()), 0, None));
        let plain = r#"{"event":"user.created","payload":{"object":{"id":"u"}}}"#;
        assert_eq!(read(&format!("\u{feff}{plain}")), read(plain));
        assert_eq!(read(plain).unwrap()["payload"]["object"]["id"], "u");
        let half = r#"{"event":"a.b","payload":"\ud800"}"#;
        assert!(read(half).unwrap_err().to_string().starts_with("the body is not JSON"), "{:?}", read(half));
    }

    #[test]
    fn who_did_it_and_what_has_changed_is_read_as_far_as_the_event_says() {
        let of = |payload: &str| {
            let body = format!(r#"{{"event":"meeting.updated","payload":{payload}}}"#);
            Verified::reread(bytes::Bytes::from(body), 0, None)
        };
        let whole =
            of(r#"{"operator":" a@example.com\n","operator_id":"o1","object":{"id":7,"uuid":"u","topic":"new"},
            "old_object":{"id":7,"topic":"old"}}"#);
        assert_eq!(operator(&whole).as_deref(), Some("a@example.com"));
        let told = changed(&whole).unwrap();
        assert_eq!(
            (Value::from(told.new), told.old.map(Value::from)),
            (serde_json::json!({ "topic": "new" }), Some(serde_json::json!({ "topic": "old" })),)
        );
        let little = of(r#"{"operator":"","operator_id":"o1","object":{"id":"g1"},"old_object":[]}"#);
        assert_eq!(operator(&little).as_deref(), Some("o1"));
        let told = changed(&little).unwrap();
        assert_eq!((told.id.as_deref(), told.new.len(), told.old), (Some("g1"), 0, None));
        let nothing = of("{}");
        assert!(operator(&nothing).is_none() && changed(&nothing).is_none());
    }

    #[test]
    fn meaning_ignores_order_spaces_and_volatile_fields_and_nothing_else() {
        let one = user_event(r#"{"account_id":"a","time_stamp":1,"object":{"id":"u","type":1,"dept":"é"}}"#).meaning;
        assert!(one.is_some());
        for same in [
            r#"{"object":{"type":1.0,"dept":"\u00e9","id":"u"},"account_id":"a","time_stamp":2}"#,
            r#"{ "object": {"type":1, "dept":"é", "id":"u", "download_token":"x"}, "account_id":"a"}"#,
        ] {
            assert_eq!(user_event(same).meaning, one, "{same}");
        }
        for other in [
            r#"{"account_id":"b","object":{"id":"u","type":1,"dept":"é"}}"#,
            r#"{"account_id":"a","object":{"id":"u","type":"1","dept":"é"}}"#,
            r#"{"account_id":"a","object":{"id":"u","type":1}}"#,
            r#"{"account_id":"a","object":{"id":"u","type":1,"dept":["é"]}}"#,
        ] {
            assert_ne!(user_event(other).meaning, one, "{other}");
        }
        let timeless = parsed(r#"{"event":"user.created","payload":{"object":{"id":"u"}}}"#).unwrap();
        assert_eq!(timeless.meaning, None);
    }
}
