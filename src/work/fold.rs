//! The record of a run of a meeting, made of the deliveries that belong to it.

use serde::Serialize;
use serde_json::Value;

use crate::event::fold::{Attendance, attendance};
use crate::event::wire;
use crate::ids::DeliveryId;
use crate::job::Job;
use crate::rules::Fold;
use crate::store::{Collected, Store, StoreError};

/// What a rule that folds sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// From 1, for each run.
    pub number: u32,
    /// The number of the record that this one takes the place of.
    pub amends: Option<u32>,
    /// More events came than are kept for a run, or the bodies of some were pruned.
    pub is_cut_short: bool,
    pub attendance: Attendance,
}

/// What a job that folds comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folded {
    Record(Box<Record>),
    /// There is nothing to send, and why.
    Nothing(&'static str),
}

/// What the deliveries that belong to the job make. The same each time, whatever came since.
pub async fn fold(store: &dyn Store, job: &Job, how: Fold) -> Result<Folded, StoreError> {
    let Some(collected) = store.collected(job.id).await? else {
        return Ok(Folded::Nothing("what belongs to it is not known any more"));
    };
    let mut bodies = Vec::with_capacity(collected.deliveries.len());
    for delivery in &collected.deliveries {
        bodies.push(body(store, *delivery).await?);
    }
    Ok(made_of(&collected, bodies, how))
}

/// Of the bodies of what was collected; none where one was pruned.
fn made_of(collected: &Collected, bodies: Vec<Option<Value>>, how: Fold) -> Folded {
    let is_cut_short = collected.is_cut || bodies.contains(&None);
    let bodies: Vec<Value> = bodies.into_iter().map(Option::unwrap_or_default).collect();
    let of = |events: &[Value]| match how {
        Fold::Attendance => attendance(events),
    };
    let attendance = of(&bodies);
    let amends = collected.number.checked_sub(1).filter(|before| *before > 0);
    if amends.is_some() && bodies.get(..collected.of_before).map(of).as_ref() == Some(&attendance) {
        return Folded::Nothing("the late events say nothing new");
    }
    Folded::Record(Box::new(Record { number: collected.number, amends, is_cut_short, attendance }))
}

/// None where it was pruned, or is gone.
async fn body(store: &dyn Store, delivery: DeliveryId) -> Result<Option<Value>, StoreError> {
    let stored = store.delivery(delivery).await?;
    Ok(stored.and_then(|(delivery, _)| wire::body(delivery.verified.as_ref()?).ok()))
}

impl Record {
    /// Without a name.
    pub fn in_words(&self) -> String {
        let people = self.attendance.participants.len();
        let amends = self.amends.map_or_else(String::new, |before| format!(", amends record {before}"));
        let cut = if self.is_cut_short { ", cut short" } else { "" };
        format!(
            "record {}{amends}{cut}: {people} {}",
            self.number,
            if people == 1 { "participant" } else { "participants" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_that_it_is_cut_short_where_deliveries_were_too_many_or_a_body_was_pruned() {
        let deliveries = vec![DeliveryId::from_number(1), DeliveryId::from_number(2)];
        let whole = Collected { number: 1, deliveries, of_before: 0, is_cut: false };
        let told = |collected: &Collected, second: Option<Value>| match made_of(
            collected,
            vec![Some(Value::Null), second],
            Fold::Attendance,
        ) {
            Folded::Record(record) => (record.is_cut_short, record.in_words()),
            Folded::Nothing(why) => panic!("{why}"),
        };
        let cut = (true, "record 1, cut short: 0 participants".to_owned());
        assert_eq!(told(&whole, Some(Value::Null)), (false, "record 1: 0 participants".to_owned()));
        assert_eq!(told(&whole, None), cut);
        assert_eq!(told(&Collected { is_cut: true, ..whole }, Some(Value::Null)), cut);
    }
}
