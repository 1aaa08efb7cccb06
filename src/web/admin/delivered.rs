//! A delivery, as an explanation looks into it: what it came to, whom it is about, and what conditions about its event saw.

use serde_json::Value;

use super::AdminState;
use super::caller::Caller;
use super::explained::AskedByView;
use super::problem::ApiProblem;
use crate::audit::Saw;
use crate::clock::Timestamp;
use crate::event::{Event, What, wire};
use crate::ids::{DeliveryId, JobId};
use crate::job::Subject;
use crate::rules::{self, Rule};
use crate::store::{DeliveryStatus, StoredDelivery};
use crate::work::saw;

/// A delivery that the caller may know of, and where it stands. Whose it is says its body, which Zoom signed for the app; it
/// counts where the app holds that account, as it does for the planner. One that was pruned says nothing any more.
pub(super) async fn seen(
    state: &AdminState,
    caller: &Caller,
    id: DeliveryId,
) -> Result<(StoredDelivery, DeliveryStatus), ApiProblem> {
    let is_seen = |delivery: &StoredDelivery| match &caller.account {
        None => true,
        Some(own) => {
            let named = delivery.verified.as_ref().and_then(wire::account);
            named.as_ref() == Some(own) && state.app_of(own).as_ref() == Some(&delivery.app)
        }
    };
    let found = state.store.delivery(id).await?.filter(|(delivery, _)| is_seen(delivery));
    found.ok_or_else(|| ApiProblem::not_found(format!("delivery {id}")))
}

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
    pub(super) async fn read(state: &AdminState, caller: &Caller, id: DeliveryId) -> Result<Self, ApiProblem> {
        let (delivery, status) = seen(state, caller, id).await?;
        let read = delivery.verified.as_ref().and_then(|verified| {
            let event = wire::parse(verified).ok()?;
            // What cannot be read further is null, as for a rule that is not asked.
            Some((event, wire::body(verified).unwrap_or_default()))
        });
        Ok(Self {
            id,
            received_at: delivery.received_at,
            status,
            duplicate_of: delivery.duplicate_of,
            told: read,
            is_pruned: delivery.verified.is_none(),
        })
    }

    /// Whom it is about; none where that is nobody, or many: `rules explain` is asked about one of them.
    pub(super) fn subject(&self) -> Option<Subject> {
        let (event, whole) = self.told.as_ref()?;
        let mut subjects = rules::subjects(event, whole);
        subjects.pop().filter(|_| subjects.is_empty())
    }

    /// `ended` is the work that it ended, as far as that is known.
    pub(super) fn view(&self, rules: &[Rule], ended: &[JobId]) -> AskedByView {
        let answer = match &self.status {
            DeliveryStatus::Unplanned => "it waits to be planned".to_owned(),
            DeliveryStatus::Parked { cause } => format!("it is set aside: {cause}"),
            DeliveryStatus::Planned { code, jobs } => self.planned(code, (jobs, ended), rules),
        };
        let answer = if self.is_pruned { format!("{answer}; its body was pruned") } else { answer };
        AskedByView {
            id: self.id.to_string(),
            event: self.told.as_ref().map(|(event, _)| event.name.clone()),
            received_at: self.received_at.to_string(),
            answer,
        }
    }

    fn planned(&self, code: &str, (jobs, ended): (&[JobId], &[JobId]), rules: &[Rule]) -> String {
        let listed = |is_ended: bool| {
            let ids = jobs.iter().filter(|id| ended.contains(id) == is_ended).map(ToString::to_string);
            ids.collect::<Vec<_>>().join(", ")
        };
        let (asked, ended) = (listed(false), listed(true));
        let is_no_rules = |(event, _): &(Event, Value)| {
            matches!(event.what, What::Other) && rules.iter().all(|rule| rule.named_by(event).is_none())
        };
        match (code, self.duplicate_of) {
            ("nothing", _) if self.told.as_ref().is_some_and(is_no_rules) => "no rule is about such events".to_owned(),
            ("nothing", _) => "no rule asked for work after it".to_owned(),
            ("duplicate", Some(of)) => format!("it is the same as {of}, so nothing new was asked for"),
            ("echo", _) => "it tells of our own change alone, so nothing was asked for".to_owned(),
            ("repeated", _) => format!("an event with the same meaning had asked already {asked}"),
            _ if jobs.is_empty() => format!("it was planned: {code}"),
            _ if ended.is_empty() => format!("it asked for {asked}"),
            _ if asked.is_empty() => format!("it ended {ended}"),
            _ => format!("it asked for {asked}, and ended {ended}"),
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
