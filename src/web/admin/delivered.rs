//! A delivery, as an explanation looks into it: what it came to, whom it is about, and what conditions about its event saw.

use serde_json::Value;

use super::AdminState;
use super::explained::AskedByView;
use crate::audit::Saw;
use crate::clock::Timestamp;
use crate::event::{Event, What, wire};
use crate::ids::{DeliveryId, JobId};
use crate::job::Subject;
use crate::rules::{self, Rule};
use crate::store::{DeliveryStatus, StoreError};
use crate::work::saw;

pub(super) struct Delivered {
    pub(super) id: DeliveryId,
    pub(super) received_at: Timestamp,
    status: DeliveryStatus,
    duplicate_of: Option<DeliveryId>,
    /// What it says; none where that was pruned, or cannot be read.
    told: Option<(Event, Value)>,
    is_pruned: bool,
}

/// What a rule about events comes to for one of them.
pub(super) struct OnDelivery {
    pub(super) saw: Vec<Saw>,
    /// A code and a sentence, where the rule asks for nothing.
    pub(super) not_asked: Option<(&'static str, String)>,
}

impl Delivered {
    pub(super) async fn read(state: &AdminState, id: DeliveryId) -> Result<Option<Self>, StoreError> {
        let Some((delivery, status)) = state.store.delivery(id).await? else { return Ok(None) };
        let read = delivery.verified.as_ref().and_then(|verified| {
            let event = wire::parse(verified).ok()?;
            // What cannot be read further is null, as for a rule that is not asked.
            Some((event, wire::body(verified).unwrap_or_default()))
        });
        Ok(Some(Self {
            id,
            received_at: delivery.received_at,
            status,
            duplicate_of: delivery.duplicate_of,
            told: read,
            is_pruned: delivery.verified.is_none(),
        }))
    }

    /// Whom it is about; none where that is nobody, or many: `rules explain` is asked about one of them.
    pub(super) fn subject(&self) -> Option<Subject> {
        let (event, whole) = self.told.as_ref()?;
        let mut subjects = rules::subjects(event, whole);
        subjects.pop().filter(|_| subjects.is_empty())
    }

    pub(super) fn view(&self, rules: &[Rule]) -> AskedByView {
        let answer = match &self.status {
            DeliveryStatus::Unplanned => "it waits to be planned".to_owned(),
            DeliveryStatus::Parked { cause } => format!("it is set aside: {cause}"),
            DeliveryStatus::Planned { code, jobs } => self.planned(code, jobs, rules),
        };
        let answer = if self.is_pruned { format!("{answer}; its body was pruned") } else { answer };
        AskedByView {
            id: self.id.to_string(),
            event: self.told.as_ref().map(|(event, _)| event.name.clone()),
            received_at: self.received_at.to_string(),
            answer,
        }
    }

    fn planned(&self, code: &str, jobs: &[JobId], rules: &[Rule]) -> String {
        let ids: Vec<_> = jobs.iter().map(ToString::to_string).collect();
        let is_no_rules = |(event, _): &(Event, Value)| {
            matches!(event.what, What::Other) && rules.iter().all(|rule| rule.named_by(event).is_none())
        };
        match (code, self.duplicate_of) {
            ("nothing", _) if self.told.as_ref().is_some_and(is_no_rules) => "no rule is about such events".to_owned(),
            ("nothing", _) => "no rule asked for work after it".to_owned(),
            ("duplicate", Some(of)) => format!("it is the same as {of}, so nothing new was asked for"),
            ("echo", _) => "it tells of our own change alone, so nothing was asked for".to_owned(),
            ("repeated", _) => format!("an event with the same meaning had asked already {}", ids.join(" ")),
            (_, _) if ids.is_empty() => format!("it was planned: {code}"),
            _ => format!("it asked for {}", ids.join(", ")),
        }
    }

    /// Asks a rule about such events as it is now, at the time of the delivery; none where it is about others.
    pub(super) fn on(&self, rule: &Rule) -> Option<OnDelivery> {
        let (event, whole) = self.told.as_ref()?;
        let Some(when) = &rule.named_by(event)?.when else {
            return Some(OnDelivery { saw: Vec::new(), not_asked: None });
        };
        let facts = rules::event_facts(whole.clone(), event.account.as_ref(), self.received_at);
        let not_asked = match when.holds(&facts) {
            Ok(true) => None,
            Ok(false) => Some(("not-met", format!("its condition does not hold for {}", self.id))),
            Err(why) => Some(("unanswered", format!("its condition has no answer for {}: {why}", self.id))),
        };
        Some(OnDelivery { saw: saw(when, &facts), not_asked })
    }
}
