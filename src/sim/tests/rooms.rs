use super::events::told;
use super::*;

fn person(name: &str) -> Person {
    Person { name: name.to_owned(), ..Person::default() }
}

/// A world with one teacher and a meeting of theirs, whose events are kept in the outbox.
fn class(settings: &Value) -> (Fixture, u64, Person) {
    let fixture = Fixture::with_licensed(&["dana", "lee"]);
    let fields = json!({ "topic": "Class", "settings": settings });
    let id = fixture.world.create_meeting(ACCOUNT, &email("dana"), &fields).unwrap();
    fixture.world.subscribe(ACCOUNT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    let dana = Person { name: "Dana".to_owned(), email: email("dana"), id: fixture.id("dana"), registrant_id: None };
    (fixture, id, dana)
}

fn names(fixture: &Fixture) -> Vec<String> {
    let short = |event: String| event.trim_start_matches("meeting.").trim_start_matches("participant_").to_owned();
    told(fixture).into_iter().map(|(event, _)| short(event)).collect()
}

#[test]
fn pupils_wait_for_the_host_come_in_with_them_and_are_put_out_at_the_end() {
    let (fixture, id, dana) = class(&json!({}));
    let world = &fixture.world;
    world.arrive(ACCOUNT, id, person("Ada")).unwrap();
    let ben = world.arrive(ACCOUNT, id, person("Ben")).unwrap();
    world.depart(ACCOUNT, id, ben).unwrap();
    assert_eq!(names(&fixture), ["jbh_waiting", "jbh_waiting", "jbh_waiting_left"]);
    world.arrive(ACCOUNT, id, dana).unwrap();
    assert_eq!(names(&fixture), ["started", "jbh_waiting_left", "joined", "joined"]);
    assert!(world.visits(ACCOUNT, id).iter().all(|visit| visit.place == Place::Inside));
    world.end_meeting(ACCOUNT, id).unwrap();
    assert_eq!(names(&fixture), ["left", "left", "ended"]);
    let record = world.record(ACCOUNT);
    let [run] = record.instances.as_slice() else { panic!("{record:?}") };
    assert_eq!(run.stays.iter().map(|stay| stay.person.name.as_str()).collect::<Vec<_>>(), ["Ada", "Dana"]);
    assert!(run.ended_at.is_some() && run.stays.iter().all(|stay| stay.left_at.is_some()));
    assert_eq!(record.waits.len(), 2);
    assert_ne!(world.meeting(ACCOUNT, id).unwrap().uuid, run.uuid, "the next run has a UUID of its own");
}

#[test]
fn a_waiting_room_holds_everybody_but_hosts_until_they_are_admitted() {
    let (fixture, id, dana) = class(&json!({ "waiting_room": true, "alternative_hosts": email("lee") }));
    let world = &fixture.world;
    let ada = world.arrive(ACCOUNT, id, person("Ada")).unwrap();
    let lee = Person { email: email("lee").to_uppercase(), ..person("Lee") };
    world.arrive(ACCOUNT, id, lee).unwrap();
    assert_eq!(names(&fixture), ["jbh_waiting", "started", "jbh_waiting_left", "joined_waiting_room", "joined"]);
    world.admit(ACCOUNT, id, ada).unwrap();
    assert_eq!(names(&fixture), ["admitted", "joined"]);
    world.admit(ACCOUNT, id, ada).unwrap();
    world.arrive(ACCOUNT, id, dana).unwrap();
    world.make_co_host(ACCOUNT, id, ada).unwrap();
    let ben = world.arrive(ACCOUNT, id, person("Ben")).unwrap();
    world.make_co_host(ACCOUNT, id, ben).unwrap();
    world.depart(ACCOUNT, id, ben).unwrap();
    let expected = ["joined", "role_changed", "joined_waiting_room", "left_waiting_room"];
    assert_eq!(names(&fixture), expected, "who is inside is not admitted again, and who waits has no role");
}

#[test]
fn an_open_meeting_is_started_by_whoever_comes_and_ended_by_the_last_who_goes() {
    let (fixture, id, _) = class(&json!({ "join_before_host": true }));
    let world = &fixture.world;
    let (ada, ben) =
        (world.arrive(ACCOUNT, id, person("Ada")).unwrap(), world.arrive(ACCOUNT, id, person("Ben")).unwrap());
    world.depart(ACCOUNT, id, ada).unwrap();
    assert_eq!(names(&fixture), ["started", "joined", "joined", "left"]);
    world.depart(ACCOUNT, id, ben).unwrap();
    world.depart(ACCOUNT, id, ben).unwrap();
    assert_eq!(names(&fixture), ["left", "ended"]);
    let soon = json!({ "start_time": "2030-01-01T10:00:00Z", "settings": { "jbh_time": 5 } });
    world.update_meeting(ACCOUNT, id, &soon).unwrap();
    world.arrive(ACCOUNT, id, person("Ada")).unwrap();
    assert_eq!(names(&fixture), ["updated", "jbh_waiting"], "five minutes before its start, and not earlier");
}

#[test]
fn what_is_told_of_people_has_the_shape_of_the_samples() {
    let (fixture, id, dana) = class(&json!({}));
    let world = &fixture.world;
    world.arrive(ACCOUNT, id, person("Ada")).unwrap();
    world.arrive(ACCOUNT, id, dana).unwrap();
    world.end_meeting(ACCOUNT, id).unwrap();
    let bodies: Vec<Value> = told(&fixture).iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    let [waits, started, gives_up, ada, _, left, ..] = bodies.as_slice() else { panic!("{bodies:?}") };
    let object = |body: &Value| body["payload"]["object"].clone();
    assert_eq!(object(waits)["id"], json!(id.to_string()));
    assert_eq!(object(gives_up)["id"], json!(id), "a number, as in the sample");
    assert_eq!(object(waits)["participant"], json!({ "id": "", "user_name": "Ada" }));
    let (joined, gone) = (object(ada)["participant"].clone(), object(left)["participant"].clone());
    assert_eq!((&joined["email"], &joined["id"], &joined["user_name"]), (&json!(""), &json!(""), &json!("Ada")));
    assert_eq!((&joined["user_id"], &joined["participant_uuid"]), (&gone["user_id"], &gone["participant_uuid"]));
    assert!(joined["join_time"].is_string() && joined["leave_time"].is_null());
    assert_eq!(gone["leave_reason"], "Ada left the meeting.<br>Reason: Host ended the meeting.");
    let uuid = &object(started)["uuid"];
    assert!(bodies.iter().all(|body| object(body)["uuid"] == *uuid), "all of one run");
}

#[test]
fn every_event_about_a_running_meeting_is_read_by_the_parser() {
    use crate::event::signature::Verified;
    use crate::event::wire;
    let (fixture, id, dana) = class(&json!({}));
    let meeting = fixture.world.meeting(ACCOUNT, id).unwrap();
    let visit = Visit { person: dana, place: Place::Inside, user_id: "1".to_owned(), participant_uuid: "2".to_owned() };
    let at = fixture.world.now();
    let scene = Scene { account: ACCOUNT, operator: ("a@b.example", "x"), meeting: &meeting, at };
    let people = Moment::ALL.map(|moment| (moment.event(), scene.of(moment, &visit)));
    let notices = Notice::ALL.map(|notice| (notice.event(), scene.noticed(notice)));
    for (name, body) in people.into_iter().chain(notices) {
        let verified = Verified::reread(body.into(), 0, None);
        let event = wire::parse(&verified).unwrap();
        assert_eq!((event.name.as_str(), event.at), (name, Some(at)));
        assert_eq!(event.account.as_ref().unwrap().as_str(), ACCOUNT);
        let of = crate::rules::subjects(&event, &wire::body(&verified).unwrap());
        assert_eq!(of, [crate::job::Subject::Meeting { id: crate::ids::MeetingId::from_number(id) }], "{name}");
    }
}

#[test]
fn a_meeting_goes_to_the_trash_comes_back_and_is_gone_for_good() {
    let (fixture, id, _) = class(&json!({}));
    let status = |action: &str| fixture.call("PUT", &format!("/meetings/{id}/status"), &json!({ "action": action }));
    fixture.world.delete_meeting_as(ACCOUNT, &email("lee"), id).unwrap();
    assert_eq!(status("recover").status, 204);
    assert_eq!(status("recover").status, 204, "what is there already stays");
    let bodies = told(&fixture);
    let operators: Vec<Value> = bodies.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(
        bodies.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["meeting.deleted", "meeting.recovered"]
    );
    assert_eq!(operators[0]["payload"]["operator"], email("lee"), "who did it is the operator");
    assert_ne!(operators[1]["payload"]["operator"], email("lee"), "and of nothing after it");
    fixture.world.purge_meeting(ACCOUNT, id).unwrap();
    assert_eq!(names(&fixture), ["deleted", "permanently_deleted"]);
    assert_refused(&status("recover"), 404, 3001, &format!("Meeting does not exist: {id}."));
}

#[test]
fn what_zoom_refuses_of_settings_is_refused_and_changes_nothing() {
    let (fixture, id, _) = class(&json!({}));
    fixture.world.add_user(ACCOUNT, NewUser::basic("basic@example.com")).unwrap();
    let set = |settings: Value| fixture.call("PATCH", &format!("/meetings/{id}"), &json!({ "settings": settings }));
    for wrong in [
        json!({ "alternative_hosts": "lee@example.com;nobody@example.com" }),
        json!({ "alternative_hosts": "basic@example.com" }),
        json!({ "alternative_hosts": ["lee@example.com"] }),
        json!({ "waiting_room": "on" }),
        json!({ "join_before_host": 1 }),
        json!({ "meeting_authentication": "true" }),
        json!({ "jbh_time": 7 }),
        json!([]),
    ] {
        assert_refused(&set(wrong), 400, 300, "Validation Failed.");
    }
    assert!(told(&fixture).is_empty(), "nothing changed");
    let good = json!({
        "alternative_hosts": "lee@example.com", "waiting_room": true, "join_before_host": false, "jbh_time": 10,
        "meeting_authentication": true,
    });
    assert_eq!(set(good.clone()).status, 204);
    let settings = fixture.get(&format!("/meetings/{id}")).value()["settings"].clone();
    for (name, value) in good.as_object().unwrap() {
        assert_eq!(settings[name], *value, "{name}");
    }
}

#[test]
fn quirks_change_what_is_told_and_only_where_they_are_asked_for() {
    let (fixture, _, dana) = class(&json!({}));
    let world = &fixture.world;
    let group = world.add_group(ACCOUNT, "staff").unwrap();
    let once = || {
        let id = world.create_meeting(ACCOUNT, &email("dana"), &json!({ "type": 1 })).unwrap();
        world.arrive(ACCOUNT, id, dana.clone()).unwrap();
        world.join_group(ACCOUNT, &group, &email("lee")).unwrap();
        world.leave_group(ACCOUNT, &group, &email("lee")).unwrap();
        names(&fixture)
    };
    assert_eq!(once(), ["created", "started", "joined", "group.member_added", "group.member_deleted"]);
    world
        .set_quirks(ACCOUNT, |quirks| (quirks.instant_starts_untold, quirks.leavers_in_plural) = (true, true))
        .unwrap();
    assert_eq!(once(), ["created", "joined", "group.member_added", "group.members_deleted"]);
}
