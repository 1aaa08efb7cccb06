//! What led to what, among entries of the audit log: by the entry that each of them names, and where none
//! is named, from what it says of deliveries, jobs and who asked. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::{Entry, Kind};
use crate::ids::{DeliveryId, JobId};

/// An entry in its place: how many led to it, one after the other, and the one that did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) depth: usize,
    pub(super) led_by: Option<u64>,
    pub(super) entry: Entry,
}

/// Entries in their order, each behind what led to it. `asked` is by which delivery a job was asked for, where its entries
/// do not say so.
pub(super) fn chain(entries: Vec<Entry>, asked: &BTreeMap<JobId, DeliveryId>) -> Vec<Link> {
    let mut seen = Seen { asked, stored: BTreeMap::new(), decided: BTreeMap::new(), jobs: BTreeMap::new() };
    let shown: BTreeSet<u64> = entries.iter().map(|entry| entry.index).collect();
    // Older entries do not say it, and what does may be none of these.
    let said = |entry: &Entry| entry.led_by.filter(|by| shown.contains(by));
    let known = |entry: &Entry, seen: &mut Seen<'_>| {
        let by_ids = seen.led_by(entry);
        Some((entry.index, said(entry).or(by_ids)?))
    };
    let led_by: BTreeMap<u64, u64> = entries.iter().filter_map(|entry| known(entry, &mut seen)).collect();
    let mut children: BTreeMap<Option<u64>, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        children.entry(led_by.get(&entry.index).copied()).or_default().push(entry);
    }
    let mut links = Vec::new();
    // What comes next is at the end.
    let mut next: Vec<(usize, Option<u64>, Entry)> = Vec::new();
    let of = |led_by: Option<u64>, depth: usize, children: &mut BTreeMap<Option<u64>, Vec<Entry>>| {
        let found = children.remove(&led_by).unwrap_or_default();
        found.into_iter().rev().map(move |entry| (depth, led_by, entry)).collect::<Vec<_>>()
    };
    next.extend(of(None, 0, &mut children));
    while let Some((depth, led_by, entry)) = next.pop() {
        next.extend(of(Some(entry.index), depth.saturating_add(1), &mut children));
        links.push(Link { depth, led_by, entry });
    }
    links
}

/// The delivery for which it was done, where the entry names one.
pub(super) fn asked_by(entry: &Entry) -> Option<DeliveryId> {
    entry.detail.as_ref()?.actor.as_ref()?.parse().ok()
}

/// The entries so far, by what later ones name.
struct Seen<'a> {
    asked: &'a BTreeMap<JobId, DeliveryId>,
    stored: BTreeMap<DeliveryId, u64>,
    decided: BTreeMap<DeliveryId, u64>,
    jobs: BTreeMap<JobId, OfJob>,
}

#[derive(Default)]
struct OfJob {
    /// What it was made by.
    origin: Option<u64>,
    /// Its newest attempt.
    attempt: Option<u64>,
    /// Of that attempt.
    intents: Vec<u64>,
}

impl Seen<'_> {
    /// The entry that led to this one, and this one is seen.
    fn led_by(&mut self, entry: &Entry) -> Option<u64> {
        let delivered = entry.delivery.and_then(|id| self.stored.get(&id)).copied();
        let decided = entry.delivery.and_then(|id| self.decided.get(&id)).copied();
        match entry.kind {
            Kind::Delivery => {
                self.stored.extend(entry.delivery.map(|id| (id, entry.index)));
                return None;
            }
            Kind::Decision => {
                self.decided.extend(entry.delivery.map(|id| (id, entry.index)));
                let Some(job) = entry.job else { return delivered };
                let origin = &mut self.jobs.entry(job).or_default().origin;
                let first = *origin.get_or_insert(entry.index);
                return delivered.or((first != entry.index).then_some(first));
            }
            _ => {}
        }
        let Some(job) = entry.job else { return decided.or(delivered) };
        let asked = asked_by(entry).or_else(|| self.asked.get(&job).copied());
        let asked = asked.and_then(|id| self.decided.get(&id)).copied();
        let of = self.jobs.entry(job).or_default();
        let origin = of.origin.or(asked);
        match entry.kind {
            Kind::Attempt => {
                (of.attempt, of.intents) = (Some(entry.index), Vec::new());
                asked.or(origin)
            }
            Kind::Moved => decided.or(origin),
            kind => {
                let attempt = of.attempt.or(origin);
                if kind == Kind::Intent {
                    of.intents.push(entry.index);
                }
                let reads = entry.detail.as_ref().and_then(|detail| detail.call.as_ref());
                let changes = kind == Kind::Call && reads.is_some_and(|call| call.method != "GET");
                // Of several intents an entry does not say which of them a call is for.
                match of.intents.as_slice() {
                    [intent] if changes => Some(*intent),
                    _ => attempt,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Call, Detail};
    use crate::clock::Timestamp;

    fn entry(index: u64, kind: Kind, delivery: Option<u64>, job: Option<u64>) -> Entry {
        Entry {
            index,
            at: Timestamp::EPOCH,
            kind,
            app: None,
            account: None,
            delivery: delivery.map(DeliveryId::from_number),
            job: job.map(JobId::from_number),
            rule: None,
            code: String::new(),
            detail: None,
            led_by: None,
            leaf: [0; 32],
        }
    }

    fn call(index: u64, method: &str) -> Entry {
        let call = Call {
            method: method.to_owned(),
            path: String::new(),
            category: String::new(),
            status: None,
            millis: 0,
            intent: None,
        };
        let detail = Detail { call: Some(call), ..Detail::default() };
        Entry { detail: Some(detail), ..entry(index, Kind::Call, None, Some(1)) }
    }

    fn shape(entries: Vec<Entry>, asked: &[(u64, u64)]) -> Vec<(u64, usize, Option<u64>)> {
        let asked = asked.iter().map(|(job, delivery)| (JobId::from_number(*job), DeliveryId::from_number(*delivery)));
        let links = chain(entries, &asked.collect());
        links.into_iter().map(|link| (link.entry.index, link.depth, link.led_by)).collect()
    }

    #[test]
    fn a_delivery_leads_to_its_decision_that_to_a_job_and_an_attempt_to_what_was_done() {
        let entries = vec![
            entry(0, Kind::Delivery, Some(7), None),
            entry(1, Kind::Decision, Some(7), Some(1)),
            entry(2, Kind::Attempt, None, Some(1)),
            entry(3, Kind::Intent, None, Some(1)),
            call(4, "GET"),
            call(5, "POST"),
            entry(6, Kind::Outcome, None, Some(1)),
            entry(7, Kind::Moved, None, Some(1)),
        ];
        let wanted =
            [(0, 0, None), (1, 1, Some(0)), (2, 2, Some(1)), (3, 3, Some(2)), (5, 4, Some(3)), (4, 3, Some(2))];
        let rest = [(6, 3, Some(2)), (7, 2, Some(1))];
        assert_eq!(shape(entries, &[]), [&wanted[..], &rest].concat());
    }

    #[test]
    fn jobs_of_one_decision_are_told_apart_and_what_has_no_beginning_stands_alone() {
        let entries = vec![
            entry(0, Kind::Decision, Some(7), None),
            entry(1, Kind::Attempt, None, Some(1)),
            entry(2, Kind::Attempt, None, Some(2)),
            entry(3, Kind::Outcome, None, Some(1)),
            entry(4, Kind::Outcome, None, Some(2)),
            entry(5, Kind::Outcome, None, Some(3)),
            entry(6, Kind::Moved, Some(7), Some(3)),
        ];
        let wanted = [(0, 0, None), (1, 1, Some(0)), (3, 2, Some(1)), (2, 1, Some(0)), (4, 2, Some(2))];
        let rest = [(6, 1, Some(0)), (5, 0, None)];
        assert_eq!(shape(entries, &[(1, 7), (2, 7)]), [&wanted[..], &rest].concat());
    }

    #[test]
    fn another_try_is_beside_the_first_and_a_job_that_is_woken_under_what_made_it() {
        let entries = vec![
            entry(0, Kind::Decision, None, Some(1)),
            entry(1, Kind::Attempt, None, Some(1)),
            entry(2, Kind::Intent, None, Some(1)),
            entry(3, Kind::Decision, None, Some(1)),
            entry(4, Kind::Attempt, None, Some(1)),
            call(5, "POST"),
        ];
        let wanted =
            [(0, 0, None), (1, 1, Some(0)), (2, 2, Some(1)), (3, 1, Some(0)), (4, 1, Some(0)), (5, 2, Some(4))];
        assert_eq!(shape(entries, &[]), wanted);
    }

    #[test]
    fn what_an_entry_says_led_to_it_counts_before_what_is_made_out_by_ids() {
        let led = |entry: Entry, by: u64| Entry { led_by: Some(by), ..entry };
        let entries = vec![
            entry(0, Kind::Sweep, None, None),
            led(entry(1, Kind::Decision, None, Some(1)), 0),
            entry(2, Kind::Attempt, None, Some(1)),
            entry(3, Kind::Intent, None, Some(1)),
            entry(4, Kind::Intent, None, Some(1)),
            led(call(5, "POST"), 3),
            // Of one that is not among them, ids say.
            led(entry(6, Kind::Outcome, None, Some(1)), 77),
        ];
        let wanted = [(0, 0, None), (1, 1, Some(0)), (2, 2, Some(1)), (3, 3, Some(2)), (5, 4, Some(3))];
        assert_eq!(shape(entries, &[]), [&wanted[..], &[(4, 3, Some(2)), (6, 3, Some(2))]].concat());
    }
}
