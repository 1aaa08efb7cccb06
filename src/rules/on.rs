//! Rules about events: what an event asks of them.

use serde_json::Value;

use super::nearest::slip;
use super::{On, Rule, Step, SubjectKind, lower_emails};
use crate::clock::Timestamp;
use crate::event::{Event, What};
use crate::ids::{AccountId, DeliveryId, Email, MeetingId, RuleName, UserId};
use crate::job::Subject;

/// What an event asks of the rules about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OnEvent {
    pub steps: Vec<Step>,
    /// Rules whose condition this event neither meets nor fails, and why, or that cannot read it: they do nothing.
    pub unanswered: Vec<(RuleName, String)>,
}

/// What kind of subject an event of that name has.
pub fn kind_of(event: &str) -> Option<SubjectKind> {
    match event.split_once('.')?.0 {
        "user" => Some(SubjectKind::User),
        "meeting" => Some(SubjectKind::Meeting),
        _ => None,
    }
}

/// Events about users and meetings. Zoom adds others: one that is not here may be meant all the same, unless it looks like a
/// slip of the finger.
pub const EVENTS: [&str; 38] = [
    "user.activated",
    "user.created",
    "user.deactivated",
    "user.deleted",
    "user.disassociated",
    "user.invitation_accepted",
    "user.personal_notes_updated",
    "user.presence_status_updated",
    "user.settings_updated",
    "user.signed_in",
    "user.signed_out",
    "user.updated",
    "meeting.alert",
    "meeting.created",
    "meeting.deleted",
    "meeting.ended",
    "meeting.live_streaming_started",
    "meeting.live_streaming_stopped",
    "meeting.participant_admitted",
    "meeting.participant_jbh_joined",
    "meeting.participant_jbh_waiting",
    "meeting.participant_joined",
    "meeting.participant_joined_waiting_room",
    "meeting.participant_left",
    "meeting.participant_left_waiting_room",
    "meeting.participant_put_in_waiting_room",
    "meeting.participant_role_changed",
    "meeting.permanently_deleted",
    "meeting.recovered",
    "meeting.registration_approved",
    "meeting.registration_cancelled",
    "meeting.registration_created",
    "meeting.registration_denied",
    "meeting.risk_alert",
    "meeting.sharing_ended",
    "meeting.sharing_started",
    "meeting.started",
    "meeting.updated",
];

/// Events about neither, which can only be sent.
const OTHER_EVENTS: [&str; 20] = [
    "account.created",
    "account.disassociated",
    "account.lock_settings_updated",
    "account.settings_updated",
    "account.updated",
    "account.vanity_url_approved",
    "account.vanity_url_rejected",
    "app.authorization_request_created",
    "app_deauthorized",
    "group.admin_added",
    "group.admin_deleted",
    "group.created",
    "group.deleted",
    "group.lock_settings_updated",
    "group.member_added",
    "group.member_deleted",
    "group.settings_updated",
    "group.updated",
    "information_barriers.policy_created",
    "information_barriers.policy_updated",
];

/// The event that somebody meant who wrote this one, where it looks misspelt.
pub fn meant(event: &str) -> Option<&'static str> {
    if OTHER_EVENTS.contains(&event) { None } else { slip(event, EVENTS.into_iter().chain(OTHER_EVENTS)) }
}

/// Whether the subject of such an event is gone, so that nothing can be true of it.
pub fn gone_by_then(event: &str) -> bool {
    matches!(
        event,
        "user.deleted" | "user.deactivated" | "user.disassociated" | "meeting.deleted" | "meeting.permanently_deleted"
    )
}

/// What the event of a delivery asks of the rules that name it. `body` reads it whole, where one does.
pub fn on_event(
    (delivery, event): (DeliveryId, &Event),
    account: Option<&AccountId>,
    now: Timestamp,
    rules: &[Rule],
    body: impl FnOnce() -> Result<Value, String>,
) -> OnEvent {
    let about: Vec<(&Rule, &On)> = rules.iter().filter_map(|rule| Some((rule, rule.named_by(event)?))).collect();
    let mut asked = OnEvent::default();
    if about.is_empty() {
        return asked;
    }
    let whole = match body() {
        Ok(whole) => whole,
        Err(why) => {
            asked.unanswered = about.into_iter().map(|(rule, _)| (rule.name.clone(), why.clone())).collect();
            return asked;
        }
    };
    let subjects = subjects(event, &whole);
    let facts = facts(whole, account, now);
    let itself = [Subject::Event { delivery }];
    for (rule, on) in about {
        let subjects = if rule.subject == SubjectKind::Event { itself.as_slice() } else { &subjects };
        match on.when.as_ref().map_or(Ok(true), |when| when.holds(&facts)) {
            Ok(true) => asked.steps.extend(subjects.iter().map(|subject| Step::Ensure {
                rule: rule.name.clone(),
                subject: subject.clone(),
                on: rule.on_print(),
            })),
            Ok(false) => {}
            Err(error) => asked.unanswered.push((rule.name.clone(), error.to_string())),
        }
    }
    asked
}

/// What a rule's condition is asked of.
pub fn facts(mut whole: Value, account: Option<&AccountId>, now: Timestamp) -> Value {
    lower_emails(&mut whole);
    serde_json::json!({ "event": whole, "account": account, "now": now.to_string() })
}

impl Rule {
    /// What it says of such events, where it is about them.
    pub fn named_by(&self, event: &Event) -> Option<&On> {
        self.on.as_ref().filter(|on| on.events.contains(&event.name))
    }
}

/// Whom or what the event is about. Of events that nothing else is done about, the object names it.
pub fn subjects(event: &Event, whole: &Value) -> Vec<Subject> {
    match &event.what {
        What::User { user, .. } => vec![Subject::User { id: user.id.clone(), email: user.email.clone() }],
        What::GroupMembers { users } => {
            users.iter().map(|user| Subject::User { id: user.id.clone(), email: user.email.clone() }).collect()
        }
        What::Meeting { meeting, .. } => vec![Subject::Meeting { id: meeting.id }],
        What::UrlValidation { .. } | What::AppDeauthorized => Vec::new(),
        What::Other => named(event, whole).into_iter().collect(),
    }
}

fn named(event: &Event, whole: &Value) -> Option<Subject> {
    let object = whole.pointer("/payload/object")?;
    match kind_of(&event.name)? {
        SubjectKind::User => {
            let id = object.get("id").and_then(Value::as_str).and_then(|id| UserId::parse(id).ok());
            let email = object.get("email").and_then(Value::as_str).and_then(|email| Email::parse(email).ok());
            (id.is_some() || email.is_some()).then_some(Subject::User { id, email })
        }
        // A number in some events and a text in others.
        SubjectKind::Meeting => {
            let id = object.get("id")?;
            let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            Some(Subject::Meeting { id: MeetingId::parse(&id).ok()? })
        }
        SubjectKind::Event => None,
    }
}
