use serde_json::json;

use super::*;
use crate::chance::{Chance as _, SeededChance};

const HOUR: i64 = 1_795_248_000;

fn at(minute: i64) -> String {
    Timestamp::from_secs(HOUR + minute * 60).to_string()
}

fn event(name: &str, minute: i64, more: &Value) -> Value {
    let mut object = json!({ "id": "77", "uuid": "run", "host_id": "jill", "topic": "Algebra" });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "event": name, "event_ts": (HOUR + minute * 60) * 1000, "payload": { "account_id": "a", "object": object } })
}

fn joined(minute: i64, who: &Value) -> Value {
    let mut who = who.clone();
    who["join_time"] = at(minute).into();
    event(JOINED, minute, &json!({ "participant": who }))
}

fn left(minute: i64, who: &Value) -> Value {
    let mut who = who.clone();
    who["leave_time"] = at(minute).into();
    // Told late, as Zoom does where somebody's line broke.
    event(LEFT, minute + 2, &json!({ "participant": who }))
}

fn ended(minute: i64) -> Value {
    event(LAST, minute, &json!({ "start_time": at(0), "end_time": at(minute) }))
}

/// Name, minutes, rejoined.
fn told(record: &Attendance) -> Vec<(String, u64, u64)> {
    let one = |who: &Participant| (who.name.clone().unwrap_or_default(), who.seconds / 60, who.rejoined);
    record.participants.iter().map(one).collect()
}

fn who(name: &str, device: u64, id: &str, email: &str) -> Value {
    json!({ "user_id": device.to_string(), "user_name": name, "id": id, "email": email, "participant_uuid": "" })
}

#[test]
fn a_record_says_who_was_there_when_and_for_how_long() {
    let (ann, bob) = (who("Ann", 1, "ann", "Ann@x.example"), who("Bob", 2, "", ""));
    let (again, events) =
        (who("Ann", 3, "ann", "ann@x.example"), |record: &Attendance| serde_json::to_value(record).unwrap());
    let all = [
        joined(1, &ann),
        left(11, &ann),
        joined(20, &again),
        left(30, &again),
        joined(5, &bob),
        left(40, &bob),
        ended(45),
    ];
    let record = attendance(&all);
    let stay = |from, to| json!({ "joined": at(from), "left": at(to) });
    let expected = json!({
        "meeting": "77", "instance": "run", "topic": "Algebra", "host_id": "jill", "start": at(0), "end": at(45),
        "participants": [
            { "id": "ann", "name": "Ann", "email": "ann@x.example", "seconds": 1200, "rejoined": 1,
              "stays": [stay(1, 11), stay(20, 30)] },
            { "id": null, "name": "Bob", "email": null, "seconds": 2100, "rejoined": 0, "stays": [stay(5, 40)] },
        ],
    });
    assert_eq!(events(&record), expected);
}

#[test]
fn two_devices_of_one_person_at_once_count_once_whatever_tells_that_they_are_the_same() {
    let same = |one: Value, other: Value| {
        let all = [joined(0, &one), left(20, &one), joined(10, &other), left(30, &other), ended(45)];
        told(&attendance(&all))
    };
    let with = |mut who: Value, key: &str, value: &str| {
        who[key] = value.into();
        who
    };
    let once = [("Ann".to_owned(), 30, 0)];
    assert_eq!(same(who("Ann", 1, "ann", ""), who("Ann", 2, "ann", "")), once);
    assert_eq!(same(who("Ann", 1, "", "a@x.example"), who("Ann", 2, "", "A@X.example")), once);
    let uuid = |device| with(who("Ann", device, "", ""), "participant_uuid", "p-1");
    assert_eq!(same(uuid(1), uuid(2)), once);
    // One device says the id, one the email, and a third both.
    let (id, email) = (who("Ann", 1, "ann", ""), who("Ann", 2, "", "a@x.example"));
    assert_eq!(same(id.clone(), email.clone()).len(), 2);
    let both = who("Ann", 3, "ann", "a@x.example");
    let three = [joined(0, &id), left(5, &id), joined(3, &email), left(9, &email), joined(9, &both), left(10, &both)];
    assert_eq!(told(&attendance(&three)), [("Ann".to_owned(), 10, 0)]);
    // Of two guests nothing is known but the name, and that is no proof.
    assert_eq!(same(who("iPad", 1, "", ""), who("iPad", 2, "", "")).len(), 2);
}

#[test]
fn what_no_event_told_is_left_open_or_ends_with_the_meeting() {
    let ann = who("Ann", 1, "ann", "");
    assert_eq!(told(&attendance(&[joined(5, &ann), ended(45)])), [("Ann".to_owned(), 40, 0)]);
    let open = attendance(&[joined(5, &ann)]);
    assert_eq!((open.end, open.start), (None, Some(at(5))));
    assert_eq!(open.participants[0].stays, [Stay { joined: Some(at(5)), left: None }]);
    let unseen = attendance(&[left(9, &ann)]);
    assert_eq!(unseen.participants[0].stays, [Stay { joined: None, left: Some(at(9)) }]);
    assert_eq!(told(&unseen), [("Ann".to_owned(), 0, 0)]);
    // Left and back in the same second.
    let back = [joined(1, &ann), left(5, &ann), joined(5, &ann), left(9, &ann)];
    assert_eq!(told(&attendance(&back)), [("Ann".to_owned(), 8, 0)]);
    // Who came after what is told as the end was there for no time.
    let after = attendance(&[joined(50, &ann), ended(45)]);
    assert_eq!(after.participants[0].stays, [Stay { joined: Some(at(50)), left: Some(at(50)) }]);
    // Of two starts the earlier, of two ends the later.
    let told_twice = [event(STARTED, 2, &json!({})), ended(45), event(LAST, 44, &json!({ "end_time": at(44) }))];
    let both = attendance(&told_twice);
    assert_eq!((both.start, both.end), (Some(at(0)), Some(at(45))));
    // Nothing that can be understood.
    assert_eq!(attendance(&[json!({}), json!({ "event": JOINED }), json!([])]), Attendance::default());
}

#[test]
fn numbers_and_texts_mean_the_same_and_a_missing_time_is_that_of_the_event() {
    let (as_text, as_number) = (json!({ "user_id": "9", "id": "", "user_name": "Ann" }), json!({ "user_id": 9 }));
    let told_of = |name: &str, minute: i64, who: &Value| event(name, minute, &json!({ "id": 77, "participant": who }));
    let record = attendance(&[told_of(JOINED, 1, &as_text), told_of(LEFT, 8, &as_number)]);
    assert_eq!((record.meeting.as_deref(), told(&record)), (Some("77"), vec![("Ann".to_owned(), 7, 0)]));
}

#[test]
fn in_what_order_events_come_and_how_often_makes_no_difference() {
    for seed in 0..200 {
        let chance = SeededChance::new(seed);
        let below = |end: u64| chance.next_u64() % end;
        let mut events = vec![event(STARTED, 0, &json!({ "start_time": at(0) })), ended(60)];
        for device in 0..6 {
            let (id, email) = (["", "ann", "bob"], ["", "a@x.example", "b@x.example"]);
            let pick = |of: [&'static str; 3]| of[usize::try_from(below(3)).unwrap()];
            let who = who(["Ann", "Bob"][usize::try_from(below(2)).unwrap()], device, pick(id), pick(email));
            for _ in 0..below(4) {
                let minute = i64::try_from(below(60)).unwrap();
                events.push(if below(2) == 0 { joined(minute, &who) } else { left(minute, &who) });
            }
        }
        let record = attendance(&events);
        for person in &record.participants {
            assert!(person.seconds <= 3600, "seed {seed}: {person:?}");
            assert_eq!(person.rejoined + 1, u64::try_from(person.stays.len()).unwrap());
        }
        for _ in 0..5 {
            let mut shuffled = events.clone();
            shuffled.extend(events.iter().filter(|_| below(3) == 0).cloned());
            for place in (1..shuffled.len()).rev() {
                let other = usize::try_from(below(u64::try_from(place + 1).unwrap())).unwrap();
                shuffled.swap(place, other);
            }
            assert_eq!(attendance(&shuffled), record, "seed {seed}");
        }
    }
}
