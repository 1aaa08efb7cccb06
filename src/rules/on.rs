//! Rules about events: what an event asks of them.

use serde_json::Value;

use super::nearest::slip;
use super::{Fold, On, Orphaned, Rule, Step, SubjectKind, Timer, lower_emails};
use crate::clock::Timestamp;
use crate::event::fold::LAST;
use crate::event::{Event, What};
use crate::ids::{AccountId, DeliveryId, Email, MeetingId, MeetingUuid, RuleName, UserId};
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

/// The event of a new meeting, which names who made it.
pub const MADE: &str = "meeting.created";
/// Events that state what a meeting is.
const STATES: [&str; 3] = [MADE, "meeting.updated", "meeting.recovered"];

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
    let ended: Vec<&Rule> = rules.iter().filter(|rule| rule.is_ended_by(event)).collect();
    let released: Vec<&Rule> = rules.iter().filter(|rule| rule.is_released_by(event, rules)).collect();
    let mut asked = OnEvent::default();
    let is_kept = STATES.contains(&event.name.as_str()) && rules.iter().any(Rule::looks_back);
    if about.is_empty() && ended.is_empty() && released.is_empty() && !is_kept {
        return asked;
    }
    let whole = match body() {
        Ok(whole) => whole,
        Err(why) => {
            let about = about.into_iter().map(|(rule, _)| rule).chain(ended).chain(released);
            asked.unanswered = about.map(|rule| (rule.name.clone(), why.clone())).collect();
            return asked;
        }
    };
    let (subjects, run) = (subjects(event, &whole), run_of(event, &whole));
    if let Some((meeting, uuid)) = &run {
        // A meeting that comes back has the same uuid, and its run has not been.
        let uuid = uuid.as_ref().filter(|_| !gone_by_then(&event.name));
        asked.steps.extend(ended.into_iter().map(|rule| Step::Unless {
            rule: rule.name.clone(),
            meeting: *meeting,
            uuid: uuid.cloned(),
            why: event.name.clone(),
        }));
        let release = |rule: &Rule| Step::Release { rule: rule.name.clone(), meeting: *meeting };
        asked.steps.extend(released.into_iter().map(release));
        let is_first = event.name == MADE;
        asked.steps.extend(is_kept.then_some(Step::Remember { meeting: *meeting, is_first }));
    }
    let facts = facts(whole, account, now);
    let itself = [Subject::Event { delivery }];
    for (rule, on) in about {
        let subjects = if rule.subject == SubjectKind::Event { itself.as_slice() } else { &subjects };
        let met = on.when.as_ref().map_or(Ok(true), |when| when.holds(&facts)).map_err(|error| error.to_string());
        match met.and_then(|met| if met { rule.asks(event, on, (subjects, run.as_ref())) } else { Ok(Vec::new()) }) {
            Ok(steps) => asked.steps.extend(steps),
            Err(why) => asked.unanswered.push((rule.name.clone(), why)),
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

    /// When its work is due, where that is not at once; and what lets it go on, where that is not the end of a meeting.
    pub fn in_time(&self) -> Option<String> {
        let on = self.on.as_ref();
        let timer = on.and_then(|on| on.timer.as_ref()).map(|timer| {
            let unless = timer.unless.join(" or ");
            let unless = if unless.is_empty() { unless } else { format!(", unless {unless} comes") };
            format!("{} after the event, once for each run of the meeting{unless}", Timer::in_words(timer.after))
        });
        let fold = on.and_then(|on| on.fold).map(|Fold::Attendance| {
            "one record of who was there for each run of the meeting, 2m after its end".to_owned()
        });
        let release = (self.release != Self::default_release())
            .then(|| format!("where a meeting is in progress, after {}", self.release.join(" or ")));
        let words: Vec<String> = [timer, fold, release].into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Whether its work is about runs of meetings, whatever it does.
    pub fn is_about_runs(&self) -> bool {
        self.on.as_ref().is_some_and(|on| on.timer.is_some() || on.fold.is_some())
    }

    /// What it reports of whom its events name, where it does.
    pub fn orphaned(&self) -> Option<&Orphaned> {
        self.on.as_ref()?.orphaned.as_ref()
    }

    /// Whether such an event ends its timers: one that it names, or one after which nothing could be made true.
    fn is_ended_by(&self, event: &Event) -> bool {
        let timer = self.on.as_ref().and_then(|on| on.timer.as_ref());
        let begins = self.named_by(event).is_some();
        timer.is_some_and(|timer| {
            timer.unless.contains(&event.name)
                || (!begins && gone_by_then(&event.name) && kind_of(&event.name) == Some(SubjectKind::Meeting))
        })
    }

    /// Whether such an event lets it go on, and [`Step::Wake`] does not: that lets all go on that waits for the meeting
    /// itself, where every rule has it so.
    fn is_released_by(&self, event: &Event, rules: &[Self]) -> bool {
        let is_woken = event.name == LAST && rules.iter().all(Self::is_released_by_the_end);
        let has_runs = self.on.as_ref().is_some_and(|on| on.timer.is_some());
        self.subject == SubjectKind::Meeting && self.release.contains(&event.name) && (has_runs || !is_woken)
    }

    /// Whether the end of a meeting lets go on what waits for that.
    pub(super) fn is_released_by_the_end(&self) -> bool {
        self.subject != SubjectKind::Meeting || self.release.iter().any(|event| event == LAST)
    }

    /// The work that an event asks for that meets its condition, or why that cannot be said.
    fn asks(&self, event: &Event, on: &On, (subjects, run): (&[Subject], Option<&Run>)) -> Result<Vec<Step>, String> {
        let (rule, print) = (self.name.clone(), self.on_print());
        // What is ended is that run, and no later one.
        let is_of_run = on.timer.is_some() || on.fold.is_some() || self.ends();
        if !is_of_run {
            let ensure = |subject: &Subject| Step::Ensure { rule: rule.clone(), subject: subject.clone(), on: print };
            return Ok(subjects.iter().map(ensure).collect());
        }
        let Some((meeting, Some(uuid))) = run else { return Err("the event names no run of a meeting".to_owned()) };
        let subject = Subject::Instance { meeting: *meeting, uuid: uuid.clone() };
        Ok(vec![match (&on.timer, on.fold) {
            (Some(Timer { after, .. }), _) => Step::Later { rule, subject, on: print, after: *after },
            (None, Some(_)) => Step::Collect { rule, subject, on: print, is_last: event.name == LAST },
            (None, None) => Step::Ensure { rule, subject, on: print },
        }])
    }
}

/// A meeting, and the uuid of its run where the event states it.
type Run = (MeetingId, Option<MeetingUuid>);

/// The run of a meeting that the event is about.
fn run_of(event: &Event, whole: &Value) -> Option<Run> {
    if let What::Meeting { meeting, .. } = &event.what {
        return Some((meeting.id, meeting.uuid.clone()));
    }
    let Some(Subject::Meeting { id }) = named(event, whole) else { return None };
    let uuid = whole.pointer("/payload/object/uuid").and_then(Value::as_str);
    Some((id, uuid.and_then(|uuid| MeetingUuid::parse(uuid).ok())))
}

/// Whom or what the event is about. Of events that nothing else is done about, the object names it.
pub fn subjects(event: &Event, whole: &Value) -> Vec<Subject> {
    match &event.what {
        What::User { user, .. } => vec![Subject::User { id: user.id.clone(), email: user.email.clone() }],
        What::GroupMembers { users } => {
            users.iter().map(|user| Subject::User { id: user.id.clone(), email: user.email.clone() }).collect()
        }
        What::Meeting { meeting, .. } => vec![Subject::Meeting { id: meeting.id }],
        What::UrlValidation { .. } | What::AppDeauthorized { .. } => Vec::new(),
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
