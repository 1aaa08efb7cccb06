//! What events told: the one that asks for work, and of a meeting what it was, where Zoom does not know it any more.

use serde_json::Value;

use super::Facts;
use crate::clock::Timestamp;
use crate::event::{Event, wire};
use crate::ids::{AccountId, AppName, DeliveryId, Email, MeetingId, UserId};
use crate::job::{Asker, Job, Subject};
use crate::rules::{MADE, gone_by_then};
use crate::store::{Store, StoreError, StoredDelivery};
use crate::zoom::{Meeting, Object, User};

/// An event, read back.
#[derive(Debug, Clone)]
pub struct Told {
    pub event: Event,
    /// All that it says.
    pub whole: Value,
    /// When it happened; where Zoom does not say, when it came.
    pub at: Timestamp,
    /// For sure it tells of a change of ours alone.
    pub is_echo: bool,
}

/// The delivery that a job is about: itself, or that which began its timer; else the last that asked for it.
pub(super) const fn told_by(job: &Job) -> Option<DeliveryId> {
    let by = match &job.subject {
        Subject::Event { delivery } => return Some(*delivery),
        Subject::Instance { .. } => (job.made_by, job.asked_by),
        Subject::User { .. } | Subject::Meeting { .. } | Subject::Errand { .. } => (job.asked_by, job.made_by),
    };
    match by {
        (Asker::Delivery(delivery), _) | (_, Asker::Delivery(delivery)) => Some(delivery),
        _ => None,
    }
}

impl Told {
    /// None where the body was pruned.
    pub fn of(delivery: &StoredDelivery, account: &AccountId, facts: &Facts, now: Timestamp) -> Option<Self> {
        let verified = delivery.verified.as_ref()?;
        let (event, whole) = (wire::parse(verified).ok()?, wire::body(verified).ok()?);
        let is_echo = facts.echo(account, &event, now, || wire::changed(verified)).is_some();
        Some(Self { at: event.at.unwrap_or(delivery.received_at), event, whole, is_echo })
    }

    /// None where it is not kept any more.
    pub async fn read(
        store: &dyn Store,
        delivery: DeliveryId,
        account: &AccountId,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let stored = store.delivery(delivery).await?;
        Ok(stored.and_then(|(stored, _)| Self::of(&stored, account, facts, now)))
    }

    /// Whom or what it is about; none where that is nobody, or many.
    pub fn subject(&self) -> Option<Subject> {
        let mut subjects = crate::rules::subjects(&self.event, &self.whole);
        subjects.pop().filter(|_| subjects.is_empty())
    }

    /// Whether its subject cannot be read at Zoom any more.
    pub fn is_last(&self) -> bool {
        gone_by_then(&self.event.name)
    }

    /// Whether Zoom may not show yet what it tells of.
    pub fn is_first(&self) -> bool {
        matches!(self.event.name.as_str(), MADE | "user.created")
    }

    /// Who did it, as far as Zoom says.
    pub fn operator(&self) -> Person {
        operator(&self.whole)
    }

    /// The user as the event states one.
    pub fn user(&self) -> Option<User> {
        object(&self.whole).cloned().map(User::from)
    }
}

/// Somebody, by what is known.
pub type Person = (Option<UserId>, Option<Email>);

fn operator(whole: &Value) -> Person {
    let text = |key: &str| whole.get("payload")?.get(key)?.as_str().map(str::trim);
    let id = text("operator_id").and_then(|id| UserId::parse(id).ok());
    (id, text("operator").and_then(|email| Email::parse(email).ok()))
}

fn object(whole: &Value) -> Option<&Object> {
    whole.pointer("/payload/object")?.as_object()
}

/// What events told of a meeting.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// What they said of it, the newer over the older.
    meeting: Object,
    /// Who made it, as far as an event said.
    pub made_by: Option<Person>,
}

impl Past {
    /// What is kept of it.
    pub async fn read(
        store: &dyn Store,
        (app, account): (&AppName, &AccountId),
        meeting: MeetingId,
    ) -> Result<Self, StoreError> {
        let mut events = Vec::new();
        for delivery in store.told_of(app, account, meeting).await? {
            let stored = store.delivery(delivery).await?;
            let read = |delivery: StoredDelivery| {
                let verified = delivery.verified.as_ref()?;
                Some((wire::parse(verified).ok()?.at.unwrap_or(delivery.received_at), wire::body(verified).ok()?))
            };
            events.extend(stored.and_then(|(delivery, _)| read(delivery)));
        }
        Ok(Self::of(events))
    }

    /// What these events say together, each with its moment.
    pub fn of(mut events: Vec<(Timestamp, Value)>) -> Self {
        let mut past = Self::default();
        events.sort_by_key(|(at, _)| *at);
        for (_, whole) in &events {
            past.lay(whole);
            if whole.get("event").and_then(Value::as_str) == Some(MADE) {
                past.made_by = Some(operator(whole));
            }
        }
        past
    }

    fn lay(&mut self, whole: &Value) {
        for (name, value) in object(whole).into_iter().flatten() {
            match (self.meeting.get_mut(name), value) {
                // An update states those of the settings that changed.
                (Some(Value::Object(known)), Value::Object(more)) if name == "settings" => {
                    known.extend(more.clone());
                }
                _ => drop(self.meeting.insert(name.clone(), value.clone())),
            }
        }
    }

    /// The meeting as it was last, with what the event says of it on top; none where nothing that can be read says what it is.
    pub fn meeting(&self, told: Option<&Told>) -> Option<Meeting> {
        let mut all = self.clone();
        if let Some(told) = told {
            all.lay(&told.whole);
        }
        Meeting::try_from(all.meeting).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(secs: i64, name: &str, object: &Value) -> (Timestamp, Value) {
        let payload = json!({ "operator": "API@example.com", "operator_id": "u1", "object": object });
        (Timestamp::from_secs(secs), json!({ "event": name, "payload": payload }))
    }

    #[test]
    fn a_meeting_is_what_its_events_stated_the_newer_over_the_older() {
        let made =
            json!({ "id": 7, "topic": "Algebra", "host_id": "h", "settings": { "use_pmi": false, "jbh_time": 5 } });
        let moved = json!({ "id": 7, "topic": "Geometry", "settings": { "jbh_time": 10 } });
        let late = json!({ "id": 7, "topic": "Arithmetic", "duration": 30 });
        let past = Past::of(vec![
            event(30, "meeting.updated", &moved),
            event(10, "meeting.created", &made),
            event(20, "meeting.updated", &late),
        ]);
        assert_eq!(past.made_by, Some((UserId::parse("u1").ok(), Email::parse("api@example.com").ok())));
        let expected = json!({ "id": 7, "topic": "Geometry", "host_id": "h", "duration": 30,
            "settings": { "use_pmi": false, "jbh_time": 10 } });
        assert_eq!(Value::Object(past.meeting(None).unwrap().whole), expected);
        assert!(Past::of(vec![event(1, "meeting.updated", &json!({ "settings": 1 }))]).meeting(None).is_none());
    }
}
