//! The bodies of webhooks, in Zoom's shapes: which keys, in which order, and which ids are numbers.

mod live;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::clock::Timestamp;

use super::account::{Account, fresh_id};
use super::answer::rfc3339;
use super::body::Object;
use super::meeting::Meeting;
use super::user::{Changes, CreationType, User};

pub(crate) use live::LEFT;
pub use live::{Moment, Notice, Scene};

/// Most events: `event`, `event_ts`, `payload` \[DOC samples].
fn event_first(name: &str, payload: Object, at: Timestamp) -> String {
    Object::new().put("event", name).put("event_ts", at.as_millis()).nest("payload", payload).finish()
}

fn payload(account: &Account) -> Object {
    Object::new().put("account_id", &account.id)
}

/// The payload of what somebody did.
fn operated(account: &Account) -> Object {
    let (email, id) = account.operator();
    payload(account).put("operator", email).put("operator_id", id)
}

impl Account {
    /// What is told of a meeting now.
    pub(crate) fn scene<'a>(&'a self, meeting: &'a Meeting, at: Timestamp) -> Scene<'a> {
        Scene { account: &self.id, operator: self.operator(), meeting, at }
    }
}

/// `user.created`, `activated`, `deactivated`, `deleted`, `disassociated` and `invitation_accepted` \[DOC].
pub(crate) fn user(
    name: &'static str,
    account: &Account,
    user: &User,
    made: Option<CreationType>,
    at: Timestamp,
) -> String {
    // Only whoever accepts does it without an operator [DOC].
    let head = if name == "user.invitation_accepted" { payload(account) } else { operated(account) };
    let head = head.put_some("creation_type", made.map(CreationType::as_str));
    let object =
        Object::new().put("id", &user.id).put("first_name", &user.first_name).put("last_name", &user.last_name);
    // display_name is in `user.created` only [DOC].
    let object = object.put_some("display_name", made.map(|_| &user.display_name));
    event_first(name, head.nest("object", object.put("email", &user.email).put("type", user.kind)), at)
}

/// `user.updated`: the id and what changed, `old_object` before `object` \[DOC sample].
pub(crate) fn user_updated(account: &Account, id: &str, changes: &Changes, at: Timestamp) -> String {
    let (mut old, mut new) = (Object::new(), Object::new());
    for (name, before, after) in changes {
        old = old.put(name, before);
        new = new.put(name, after);
    }
    let payload = operated(account).put("time_stamp", at.as_millis());
    event_first("user.updated", payload.nest("old_object", old.put("id", id)).nest("object", new.put("id", id)), at)
}

/// `user.settings_updated`: the branches that changed, before and after \[DOC].
pub(crate) fn user_settings_updated(account: &Account, id: &str, old: &Value, new: &Value, at: Timestamp) -> String {
    let payload = operated(account).put("time_stamp", at.as_millis());
    let object = |settings: &Value| Object::new().put("id", id).put("settings", settings);
    event_first("user.settings_updated", payload.nest("object", object(new)).nest("old_object", object(old)), at)
}

/// `group.member_added` and `group.member_deleted`, or `group.members_deleted` \[DOC the names, 3P the shape].
pub(crate) fn group_members(
    name: &str,
    account: &Account,
    group: &str,
    who: &[(String, String)],
    at: Timestamp,
) -> String {
    let members = who.iter().map(|(id, email)| Object::new().put("id", id).put("email", email));
    let object = Object::new().put("id", group).list("members", members);
    event_first(name, operated(account).nest("object", object).put("time_stamp", at.as_millis()), at)
}

/// `meeting.created` and `meeting.deleted` and its kin: the id is a number \[REPO].
pub(crate) fn meeting_scheduled(name: &str, account: &Account, meeting: &Meeting, at: Timestamp) -> String {
    let payload = operated(account).put("operation", "single");
    let object = Object::new()
        .put("uuid", &meeting.uuid)
        .put("id", meeting.id)
        .put("host_id", &meeting.host_id)
        .put("topic", &meeting.topic)
        .put("type", meeting.kind)
        .put_some("start_time", meeting.start_time.map(rfc3339))
        .put("duration", meeting.duration)
        .put("timezone", &meeting.timezone);
    if name != "meeting.created" {
        return event_first(name, payload.nest("object", object), at);
    }
    let setting = |key: &str, missing: Value| meeting.settings.get(key).cloned().unwrap_or(missing);
    // Both are required of the settings, the others are there when set [REPO].
    let mut settings = Object::new()
        .put("use_pmi", setting("use_pmi", json!(false)))
        .put("alternative_hosts", setting("alternative_hosts", json!("")));
    for key in ["join_before_host", "jbh_time", "meeting_invitees"] {
        settings = settings.put_some(key, meeting.settings.get(key));
    }
    let object = object
        .put("join_url", meeting.join_url())
        .put("password", &meeting.password)
        .put_some("occurrences", meeting.occurrences())
        .put_some("recurrence", meeting.recurrence.as_ref())
        .nest("settings", settings);
    event_first(name, payload.nest("object", object), at)
}

/// `meeting.updated`: number id and what changed; neither uuid nor host \[3P sample].
pub(crate) fn meeting_updated(account: &Account, id: u64, changes: &Changes, at: Timestamp) -> String {
    let (mut new, mut old) = (Object::new().put("id", id), Object::new().put("id", id));
    for (name, before, after) in changes {
        old = old.put(name, before);
        new = new.put(name, after);
    }
    let payload = operated(account).put("scope", "single").put("time_stamp", at.as_millis());
    event_first("meeting.updated", payload.nest("object", new).nest("old_object", old), at)
}

/// `app_deauthorized`, as real ones of 2025 look: with a top-level `event_ts` and a null `user_data_retention` \[FORUM 133778].
/// Its `signature` is an id and no MAC \[DOC].
///
/// Or as Zoom's sample has it, with `event_ts` as a text `inside` the payload and nowhere else \[DOC sample].
pub(crate) fn app_deauthorized(
    (account, client_id, user): (&str, &str, &str),
    inside: bool,
    chance: &dyn Chance,
    at: Timestamp,
) -> String {
    let payload = Object::new().put("account_id", account);
    if inside {
        let written = rfc3339(at).replace('T', " ").replace('Z', "");
        let payload = payload
            .put("user_id", user)
            .put("signature", fresh_id(chance))
            .put("deauthorization_time", at.to_string())
            .put("client_id", client_id)
            .put("event_ts", written);
        return Object::new().put("event", "app_deauthorized").nest("payload", payload).finish();
    }
    let payload = payload
        .put("client_id", client_id)
        .put("deauthorization_time", at.to_string())
        .put("signature", fresh_id(chance))
        .put("user_data_retention", Value::Null)
        .put("user_id", user);
    event_first("app_deauthorized", payload, at)
}

/// `endpoint.url_validation`: payload first, and no account \[DOC].
pub(crate) fn url_validation(plain_token: &str, at: Timestamp) -> String {
    Object::new()
        .nest("payload", Object::new().put("plainToken", plain_token))
        .put("event_ts", at.as_millis())
        .put("event", "endpoint.url_validation")
        .finish()
}
