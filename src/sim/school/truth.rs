//! What was really so, at some moment of a school day.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::sim::room::{Instance, Person, Record};

use super::day::{Loss, Meddling};

/// A host is late where nobody has started the meeting so long after the first one came.
const HOST_WITHIN: Duration = Duration::from_secs(5 * 60);
const RUNS_AT_MOST: Duration = Duration::from_secs(12 * 3_600);

/// Who was where, what went wrong, and who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// When it was so.
    pub at: Timestamp,
    /// Every run of a meeting, in the order of their starts, with who was there when.
    pub instances: Vec<Instance>,
    /// Runs that people waited for and that nobody started within five minutes, in the order of the first who came.
    pub unattended: Vec<Unattended>,
    /// Meetings of the API users that somebody else changed or deleted, in that order.
    pub meddled: Vec<Meddled>,
    pub lost: Vec<Lost>,
    /// What somebody could not do any more, as to come to a meeting that was deleted.
    pub refused: Vec<(Timestamp, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unattended {
    pub meeting: u64,
    pub uuid: String,
    /// When the first one came.
    pub since: Timestamp,
    /// Everybody who waited for this run, in the order in which they came, once a device.
    pub waited: Vec<Person>,
    /// None where it never started.
    pub started_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meddled {
    pub meeting: u64,
    pub what: Meddling,
    /// The operator of the event, by email.
    pub by: String,
    pub at: Timestamp,
}

/// A host who cannot host as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    pub host_id: String,
    pub email: String,
    pub what: Loss,
    pub at: Timestamp,
    /// Meetings of that host that were still to come.
    pub upcoming: Vec<u64>,
}

impl Truth {
    /// Runs that are longer than 12 hours, or were.
    pub fn overlong(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|run| run.ended_at.unwrap_or(self.at).since(run.started_at) > RUNS_AT_MOST)
    }
}

/// Runs without a host, out of the record; those whose five minutes are not over are none yet.
pub(super) fn unattended(record: &Record, now: Timestamp) -> Vec<Unattended> {
    let starts: BTreeMap<&str, Timestamp> =
        record.instances.iter().map(|run| (run.uuid.as_str(), run.started_at)).collect();
    let mut runs: Vec<Unattended> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for wait in &record.waits {
        let place = *places.entry(&wait.uuid).or_insert(runs.len());
        if place == runs.len() {
            runs.push(Unattended {
                meeting: wait.meeting,
                uuid: wait.uuid.clone(),
                since: wait.from,
                waited: Vec::new(),
                started_at: starts.get(wait.uuid.as_str()).copied(),
            });
        }
        if let Some(run) = runs.get_mut(place) {
            run.waited.push(wait.person.clone());
        }
    }
    runs.retain(|run| run.started_at.unwrap_or(now).since(run.since) > HOST_WITHIN);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::room::Wait;

    const NINE: Timestamp = Timestamp::from_secs(1_795_248_000);
    const MILLI: Duration = Duration::from_millis(1);

    fn run(started_at: Timestamp, ended_at: Option<Timestamp>) -> Instance {
        let (uuid, host_id) = ("run".to_owned(), "jill".to_owned());
        Instance { meeting: 1, uuid, host_id, started_at, ended_at, stays: Vec::new() }
    }

    #[test]
    fn a_host_may_come_after_five_minutes_to_the_millisecond_and_not_after() {
        let person = Person { name: "Ann".to_owned(), email: String::new(), id: String::new(), registrant_id: None };
        let wait = Wait { meeting: 1, uuid: "run".to_owned(), person, from: NINE, until: None };
        let told = |started_at: Option<Timestamp>, now: Timestamp| {
            let instances = started_at.map(|at| run(at, None)).into_iter().collect();
            unattended(&Record { instances, waits: vec![wait.clone()] }, now).len()
        };
        let five = NINE.plus(Duration::from_secs(300));
        assert_eq!((told(Some(five), five.plus(MILLI)), told(Some(five.plus(MILLI)), five.plus(MILLI))), (0, 1));
        assert_eq!((told(None, five), told(None, five.plus(MILLI))), (0, 1));
    }

    #[test]
    fn a_run_of_twelve_hours_is_long_enough_and_one_of_more_too_long() {
        let twelve = NINE.plus(Duration::from_secs(12 * 3_600));
        let overlong = |ended_at: Option<Timestamp>, at: Timestamp| {
            let instances = vec![run(NINE, ended_at)];
            let (unattended, meddled, lost, refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            Truth { at, instances, unattended, meddled, lost, refused }.overlong().count()
        };
        assert_eq!((overlong(Some(twelve), NINE), overlong(Some(twelve.plus(MILLI)), NINE)), (0, 1));
        assert_eq!((overlong(None, twelve), overlong(None, twelve.plus(MILLI))), (0, 1));
    }
}
