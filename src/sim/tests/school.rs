use std::collections::BTreeMap;

use super::*;

const API: [&str; 4] = ["api-1@x.example", "api-2@x.example", "api-3@x.example", "api-4@x.example"];

fn small() -> School {
    School { teachers: 8, meetings: 40, participants: 600, ..School::default() }
}

/// An account with API users, its clock at the opening of the day, and the day.
fn open(school: &School, seed: u64) -> (Fixture, Playing) {
    let fixture = Fixture::new();
    let day = school.day(seed);
    fixture.clock.set(day.opens_at());
    for user in API {
        fixture.world.add_user(ACCOUNT, NewUser::licensed(user)).unwrap();
    }
    fixture.world.subscribe(ACCOUNT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    let playing = day.open(&fixture.world, ACCOUNT, &API).unwrap();
    (fixture, playing)
}

/// What waits to be sent, in the order in which it is due, with the moment.
fn deliveries(fixture: &Fixture) -> Vec<(Timestamp, Delivery)> {
    let chance = SeededChance::new(1);
    fixture.world.state(|state| {
        let mut all = Vec::new();
        while let Some(due) = state.outbox.next_due() {
            all.push((due, state.outbox.take_due(&chance, due).unwrap()));
        }
        all
    })
}

fn played(school: &School, seed: u64) -> (Fixture, Truth) {
    let (fixture, mut playing) = open(school, seed);
    playing.to_the_end(&fixture.clock);
    let truth = playing.truth();
    (fixture, truth)
}

fn seconds(text: &Value) -> Timestamp {
    Timestamp::parse(text.as_str().unwrap()).unwrap()
}

#[test]
fn the_same_seed_plays_the_same_day_and_another_one_another() {
    let school = small();
    assert_eq!(school.day(3), school.day(3));
    assert_ne!(school.day(3), school.day(4));
    let run = || {
        let (fixture, truth) = played(&school, 3);
        let bodies = deliveries(&fixture).into_iter().map(|(due, delivery)| (due, delivery.body, delivery.request_id));
        (truth, bodies.collect::<Vec<_>>())
    };
    let (one, other) = (run(), run());
    assert!(one == other, "two plays of one seed differ");
}

/// What somebody who reads the events, in order, knows: for each run its start and end, and who was in it from when to when.
type Known = BTreeMap<String, (Timestamp, Option<Timestamp>, BTreeMap<String, (String, Timestamp, Option<Timestamp>)>)>;

fn read(deliveries: &[(Timestamp, Delivery)]) -> Known {
    let mut known = Known::new();
    for (_, delivery) in deliveries {
        let body: Value = serde_json::from_slice(&delivery.body).unwrap();
        let (object, at) = (&body["payload"]["object"], Timestamp::from_millis(body["event_ts"].as_i64().unwrap()));
        let participant = &object["participant"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let run = || text(&object["uuid"]);
        match delivery.event.as_str() {
            "meeting.started" => assert!(known.insert(run(), (at, None, BTreeMap::new())).is_none(), "started twice"),
            "meeting.ended" => {
                assert_eq!(known.get_mut(&run()).unwrap().1.replace(seconds(&object["end_time"])), None, "ended twice");
            }
            "meeting.participant_joined" => {
                let stay = (text(&participant["user_name"]), seconds(&participant["join_time"]), None);
                let before = known.get_mut(&run()).unwrap().2.insert(text(&participant["user_id"]), stay);
                assert_eq!(before, None, "joined twice");
            }
            "meeting.participant_left" => {
                let stays = &mut known.get_mut(&run()).unwrap().2;
                let stay = stays.get_mut(&text(&participant["user_id"])).unwrap();
                assert_eq!(stay.2.replace(seconds(&participant["leave_time"])), None, "left twice");
            }
            _ => {}
        }
    }
    known
}

fn as_known(truth: &Truth) -> Known {
    let stays = |run: &Instance| {
        run.stays
            .iter()
            .map(|stay| (stay.user_id.clone(), (stay.person.name.clone(), stay.joined_at, stay.left_at)))
            .collect()
    };
    truth.instances.iter().map(|run| (run.uuid.clone(), (run.started_at, run.ended_at, stays(run)))).collect()
}

#[test]
fn the_truth_of_a_day_is_what_its_events_say_in_order() {
    for seed in 1..=5 {
        let (fixture, truth) = played(&small(), seed);
        let deliveries = deliveries(&fixture);
        assert_eq!(read(&deliveries), as_known(&truth), "seed {seed}");
        assert!(truth.instances.len() > 40, "seed {seed}: series ran twice");
        for (_, delivery) in deliveries {
            use crate::event::{signature::Verified, wire};
            let event = wire::parse(&Verified::reread(delivery.body, 0, None)).unwrap();
            assert_eq!(event.name, delivery.event, "seed {seed}");
        }
    }
}

#[test]
fn who_waited_more_than_five_minutes_is_told_by_the_events_as_well() {
    let school = School { hostless_percent: 10, late_host_percent: 10, lost_percent: 30, ..small() };
    let (fixture, truth) = played(&school, 8);
    let (mut firsts, mut starts) = (BTreeMap::new(), BTreeMap::new());
    for (_, delivery) in deliveries(&fixture) {
        let body: Value = serde_json::from_slice(&delivery.body).unwrap();
        let (uuid, at) = (body["payload"]["object"]["uuid"].as_str().map(str::to_owned), &body["event_ts"]);
        match delivery.event.as_str() {
            "meeting.participant_jbh_waiting" => drop(firsts.entry(uuid.unwrap()).or_insert(at.as_i64().unwrap())),
            "meeting.started" => drop(starts.insert(uuid.unwrap(), at.as_i64().unwrap())),
            _ => {}
        }
    }
    let started = |uuid: &String, first: i64| starts.get(uuid).is_some_and(|at| at - first <= 300_000);
    firsts.retain(|uuid, first| !started(uuid, *first));
    let told: BTreeMap<String, i64> =
        truth.unattended.iter().map(|run| (run.uuid.clone(), run.since.as_millis())).collect();
    assert_eq!(told, firsts);
    let (never, late): (Vec<_>, Vec<_>) = truth.unattended.iter().partition(|run| run.started_at.is_none());
    assert!(!never.is_empty() && !late.is_empty(), "{} never, {} late", never.len(), late.len());
    assert!(truth.unattended.iter().all(|run| !run.waited.is_empty()));
}

#[test]
fn a_day_has_all_that_goes_wrong_and_a_quiet_one_nothing() {
    let school =
        School { meddled_percent: 30, endless_percent: 30, lost_percent: 50, waiting_room_percent: 60, ..small() };
    let (fixture, truth) = played(&school, 2);
    let count = |wanted: Meddling| truth.meddled.iter().filter(|one| one.what == wanted).count();
    assert!(count(Meddling::Changed) > 0 && count(Meddling::Deleted) > 0, "{:?}", truth.meddled);
    let deleted = truth.meddled.iter().find(|one| one.what == Meddling::Deleted).unwrap();
    assert!(fixture.world.meeting(ACCOUNT, deleted.meeting).unwrap().deleted);
    assert!(!truth.refused.is_empty(), "nobody comes to what was deleted");
    for lost in [Loss::Deactivated, Loss::Downgraded] {
        assert!(
            truth.lost.iter().any(|one| one.what == lost && !one.upcoming.is_empty()),
            "{lost:?}: {:?}",
            truth.lost
        );
    }
    assert!(truth.overlong().next().is_some_and(|run| run.ended_at.is_none()));
    let names: Vec<String> = deliveries(&fixture).into_iter().map(|(_, delivery)| delivery.event).collect();
    for event in Moment::ALL.map(Moment::event) {
        assert!(names.iter().any(|name| name == event), "{event} was never told");
    }

    let quiet = School {
        hostless_percent: 0,
        late_host_percent: 0,
        endless_percent: 0,
        meddled_percent: 0,
        lost_percent: 0,
        ..small()
    };
    let (fixture, truth) = played(&quiet, 2);
    assert_eq!((truth.unattended.len(), truth.meddled.len(), truth.lost.len(), truth.refused.len()), (0, 0, 0, 0));
    assert_eq!(truth.overlong().count(), 0);
    assert!(truth.instances.iter().all(|run| run.ended_at.is_some()));
    assert!(fixture.world.meetings(ACCOUNT).iter().all(|meeting| !meeting.started));
}

#[test]
fn whoever_ends_a_meeting_over_rest_changes_the_truth() {
    let (fixture, mut playing) = open(&School { endless_percent: 100, twice_percent: 0, ..small() }, 1);
    playing.to_the_end(&fixture.clock);
    let before = playing.truth();
    let run = before.instances.iter().find(|run| run.ended_at.is_none()).unwrap();
    let token = token_of(&fixture.world, ACCOUNT);
    let fixture = Fixture { token, ..fixture };
    let ended = fixture.call("PUT", &format!("/meetings/{}/status", run.meeting), &json!({ "action": "end" }));
    assert_eq!(ended.status, 204);
    let after = playing.truth();
    let ended = after.instances.iter().find(|other| other.uuid == run.uuid).unwrap();
    assert_eq!(ended.ended_at, Some(fixture.world.now()));
    assert!(ended.stays.iter().all(|stay| stay.left_at.is_some()));
}

/// The shares of `participant_left` that come late, and of all that is about participants that is overtaken; in percent.
fn lateness(mischief: Mischief) -> (f64, f64) {
    let (fixture, mut playing) = open(&small(), 5);
    deliveries(&fixture);
    fixture.world.set_mischief(mischief);
    playing.to_the_end(&fixture.clock);
    let (mut left, mut late, mut all, mut held) = (0, 0, 0, 0);
    for (due, delivery) in deliveries(&fixture) {
        let body: Value = serde_json::from_slice(&delivery.body).unwrap();
        let by = due.since(Timestamp::from_millis(body["event_ts"].as_i64().unwrap())).as_millis();
        assert!(by == 0 || delivery.event.starts_with("meeting.participant_"), "{} is late", delivery.event);
        assert!(by < 90_000);
        all += i32::from(delivery.event.starts_with("meeting.participant_"));
        held += i32::from((1..20_000).contains(&by));
        left += i32::from(delivery.event == "meeting.participant_left");
        late += i32::from(by >= 60_000);
        assert!(by < 60_000 || delivery.event == "meeting.participant_left");
    }
    let percent = |part: i32, whole: i32| f64::from(part) * 100.0 / f64::from(whole);
    (percent(late, left), percent(held, all))
}

#[test]
fn lateness_comes_at_the_rate_asked_for_and_never_when_it_is_off() {
    let near = |is: f64, wanted: f64| assert!((is - wanted).abs() < 8.0, "{is} is not near {wanted}");
    assert_eq!(lateness(Mischief::default()), (0.0, 0.0));
    let (late, _) = lateness(Mischief { late_leave_percent: 30, ..Mischief::default() });
    near(late, 30.0);
    let (late, overtaken) = lateness(Mischief { overtaken_percent: 50, ..Mischief::default() });
    assert_eq!(late.to_bits(), 0.0_f64.to_bits());
    near(overtaken, 50.0);
}

#[test]
fn copies_have_another_request_id_repeats_have_the_same_and_two_addresses_get_one_each() {
    let ids = |mischief: Mischief, addresses: usize| {
        // Two devices of one person give up with the same words.
        let (fixture, mut playing) = open(&School { two_devices_percent: 0, ..small() }, 5);
        for address in 1..addresses {
            let url = format!("http://127.0.0.1:9/hook-{address}");
            fixture.world.subscribe(ACCOUNT, Subscription::to_all(url, "s")).unwrap();
        }
        deliveries(&fixture);
        fixture.world.set_mischief(mischief);
        playing.to_the_end(&fixture.clock);
        let mut ids: BTreeMap<bytes::Bytes, Vec<String>> = BTreeMap::new();
        for (_, delivery) in deliveries(&fixture) {
            ids.entry(delivery.body).or_default().push(delivery.request_id);
        }
        ids.into_values()
            .map(|mut ids| {
                let all = ids.len();
                ids.sort();
                ids.dedup();
                (all, ids.len())
            })
            .collect::<Vec<_>>()
    };
    assert!(ids(Mischief::default(), 1).iter().all(|sent| *sent == (1, 1)), "each event once");
    assert!(ids(Mischief { copy_percent: 100, ..Mischief::default() }, 1).iter().all(|sent| *sent == (2, 2)));
    assert!(ids(Mischief { repeat_percent: 100, ..Mischief::default() }, 1).iter().all(|sent| *sent == (2, 1)));
    assert!(ids(Mischief::default(), 2).iter().all(|sent| *sent == (2, 2)));
}

#[test]
fn a_large_school_plays_its_day() {
    let school = School::default();
    let (fixture, truth) = played(&school, 1);
    let people: std::collections::BTreeSet<&str> = truth
        .instances
        .iter()
        .flat_map(|run| &run.stays)
        .map(|stay| stay.person.name.as_str())
        .chain(truth.unattended.iter().flat_map(|run| &run.waited).map(|person| person.name.as_str()))
        .filter(|name| name.starts_with("Pupil"))
        .collect();
    assert!(truth.instances.len() > 300, "{} runs", truth.instances.len());
    assert!(people.len() > 5_700, "{} people: the others came to what was deleted", people.len());
    assert_eq!(read(&deliveries(&fixture)), as_known(&truth));
}
