//! The records of attendance against what was so.

use std::collections::BTreeMap;

use adjutant::clock::Timestamp;
use adjutant::sim::Instance;
use serde_json::Value;

use super::day::Played;

/// A person: name, email, and from when to when they were there.
type Presence = (String, String, Vec<(Timestamp, Option<Timestamp>)>);

/// Every run has a record that is exact, and the newest counts.
pub(super) fn check(played: &Played, seed: u64) -> String {
    let mut newest: BTreeMap<String, (u64, &Value)> = BTreeMap::new();
    for line in &played.records {
        let record = &line["data"]["record"];
        let (number, run) = (record["number"].as_u64().unwrap(), text(&record["attendance"]["instance"]));
        let before = newest.get(&run).map_or(0, |(number, _)| *number);
        assert_eq!(record["amends"].as_u64().unwrap_or(0), number - 1, "seed {seed}: {run} amends another");
        assert!(number != before, "seed {seed}: record {number} of {run} came twice");
        if number > before {
            newest.insert(run, (number, record));
        }
    }
    let (mut exact, mut people) = (0, 0);
    for run in &played.truth.instances {
        let (_, record) = newest.remove(&run.uuid).unwrap_or_else(|| panic!("seed {seed}: no record of {run:?}"));
        assert_eq!(record["is_cut_short"], false, "seed {seed}: {}", run.uuid);
        let (known, truth) = (recorded(&record["attendance"]), really(run));
        assert_eq!(known, truth, "seed {seed}: run {} of meeting {}", run.uuid, run.meeting);
        (exact, people) = (exact + 1, people + truth.len());
    }
    assert!(newest.is_empty(), "seed {seed}: records of runs that never were: {:?}", newest.keys());
    assert!(exact > 0 && people > exact, "seed {seed}: a day without lessons proves nothing");
    let amended = played.records.len() - exact;
    format!("attendance: {exact} runs exact, {people} people, {amended} records amended")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn recorded(attendance: &Value) -> Vec<Presence> {
    let moment = |value: &Value| value.as_str().map(|text| Timestamp::parse(text).unwrap());
    let mut all: Vec<Presence> = attendance["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|person| {
            let stays = person["stays"].as_array().unwrap().iter();
            let stays: Vec<_> = stays.map(|stay| (moment(&stay["joined"]).unwrap(), moment(&stay["left"]))).collect();
            let whole = |(from, to): &(Timestamp, Option<Timestamp>)| to.map_or(0, |to| to.since(*from).as_secs());
            assert_eq!(person["seconds"].as_u64().unwrap(), stays.iter().map(whole).sum::<u64>());
            assert_eq!(person["rejoined"].as_u64().unwrap(), u64::try_from(stays.len() - 1).unwrap());
            (text(&person["name"]), text(&person["email"]), stays)
        })
        .collect();
    all.sort();
    all
}

/// Who was there, with the devices of one person together where Zoom tells who that is.
fn really(run: &Instance) -> Vec<Presence> {
    let mut people: BTreeMap<(String, String), Presence> = BTreeMap::new();
    for stay in &run.stays {
        let person = &stay.person;
        let known = if person.id.is_empty() { person.email.clone() } else { person.id.clone() };
        let guest = if known.is_empty() { stay.user_id.clone() } else { String::new() };
        let whole = |at: Timestamp| Timestamp::from_secs(at.as_secs());
        let span = (whole(stay.joined_at), stay.left_at.or(run.ended_at).map(whole));
        let presence =
            people.entry((known, guest)).or_insert_with(|| (person.name.clone(), person.email.clone(), Vec::new()));
        presence.2.push(span);
    }
    let mut all: Vec<Presence> = people.into_values().collect();
    for (_, _, spans) in &mut all {
        spans.sort();
        let mut joined: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
        for span in spans.drain(..) {
            match joined.last_mut() {
                Some((_, to)) if to.is_none_or(|to| span.0 <= to) => {
                    *to = to.zip(span.1).map(|(one, other)| one.max(other));
                }
                _ => joined.push(span),
            }
        }
        *spans = joined;
    }
    all.sort();
    all
}
