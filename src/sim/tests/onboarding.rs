//! Users that an app makes: invitations, what they need, how many there may be, and what becomes of who leaves.

use std::time::Duration;

use super::events::told;
use super::*;

const KIM: &str = "kim@example.com";
const DAY: Duration = Duration::from_secs(86_400);

fn make(fixture: &Fixture, action: &str, email: &str) -> Answer {
    let info =
        json!({ "email": email, "first_name": "Kim", "last_name": "Park", "type": 1, "password": "Long-enough1" });
    fixture.call("POST", "/users", &json!({ "action": action, "user_info": info }))
}

fn status(fixture: &Fixture, email: &str) -> Option<UserStatus> {
    fixture.world.user(ACCOUNT, email).map(|user| user.status)
}

/// A second account with its owner and Kim.
fn with_kim_elsewhere() -> Fixture {
    let fixture = Fixture::with_licensed(&["dana"]);
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.limits = false).unwrap();
    fixture.world.add_account(NewAccount::named("other")).unwrap();
    fixture.world.add_user("other", NewUser::licensed(KIM)).unwrap();
    fixture
}

#[test]
fn an_action_needs_what_the_account_has() {
    let fixture = Fixture::new();
    fixture
        .world
        .set_offers(ACCOUNT, |offers| {
            *offers = Offers { managed_domain: false, custom_users: false, single_sign_on: false };
        })
        .unwrap();
    assert_refused(&make(&fixture, "autoCreate", KIM), 400, 1107, "The email's domain is not managed by this account.");
    assert_refused(&make(&fixture, "custCreate", KIM), 400, 200, "This account may not create custom users.");
    assert_refused(&make(&fixture, "ssoCreate", KIM), 400, 2002, "Single sign-on is not enabled for this account.");
    fixture.world.set_offers(ACCOUNT, |offers| *offers = Offers::default()).unwrap();
    for (action, email) in [("autoCreate", "a@x.example"), ("custCreate", "b@x.example"), ("ssoCreate", "c@x.example")]
    {
        assert_eq!(make(&fixture, action, email).status, 201);
        assert_eq!(status(&fixture, email), Some(UserStatus::Active), "{action}");
    }
    assert_eq!(make(&fixture, "create", KIM).status, 201);
    assert_eq!(status(&fixture, KIM), Some(UserStatus::Pending));
}

#[test]
fn a_user_to_be_is_checked_field_by_field() {
    let fixture = Fixture::new();
    let wrong = |action: &str, change: &str, value: Value| {
        let mut info = json!({ "email": KIM, "type": 1, "password": "Long-enough1" });
        info[change] = value;
        let body = fixture.call("POST", "/users", &json!({ "action": action, "user_info": info })).value();
        assert_eq!((&body["code"], &body["errors"][0]["field"]), (&json!(300), &json!(change)), "{body}");
    };
    wrong("create", "email", json!("kim"));
    wrong("create", "email", json!(format!("{}@x.example", "k".repeat(128))));
    wrong("create", "type", json!(3));
    wrong("create", "type", json!(99));
    wrong("create", "first_name", json!("k".repeat(65)));
    wrong("create", "last_name", json!(7));
    wrong("create", "display_name", json!("k".repeat(129)));
    wrong("autoCreate", "password", json!("short"));
    wrong("autoCreate", "password", json!("l".repeat(33)));
    let info = json!({ "email": KIM, "type": 99, "display_name": "Kimmy" });
    assert_eq!(fixture.call("POST", "/users", &json!({ "action": "ssoCreate", "user_info": info })).status, 201);
    assert_eq!(fixture.world.user(ACCOUNT, KIM).unwrap().display_name, "Kimmy");
}

#[test]
fn whoever_is_in_the_account_already_is_not_made_again() {
    let fixture = Fixture::with_licensed(&["dana"]);
    let text = "Email \"dana@example.com\" has already been used.";
    for action in ["create", "autoCreate", "custCreate", "ssoCreate"] {
        assert_refused(&make(&fixture, action, "Dana@Example.com"), 409, 1005, text);
    }
    assert_eq!(fixture.get("/users/dana@example.com").value()["account_id"], ACCOUNT);
    assert_eq!(fixture.world.invites_left(ACCOUNT), 10_000, "a refusal costs nothing");
}

#[test]
fn whoever_is_in_another_account_is_invited_and_moves_by_accepting() {
    let fixture = with_kim_elsewhere();
    fixture.world.subscribe("other", Subscription::to_all("http://127.0.0.1:9/other", "s")).unwrap();
    fixture.world.subscribe(ACCOUNT, Subscription::to_all("http://127.0.0.1:9/here", "s")).unwrap();
    assert_refused(
        &make(&fixture, "ssoCreate", KIM),
        400,
        1009,
        &format!("The user already holds an active account: {KIM}."),
    );
    let id = make(&fixture, "create", KIM).value()["id"].as_str().unwrap().to_owned();
    let read = fixture.get(&format!("/users/{KIM}")).value();
    assert_eq!((&read["status"], &read["id"], read.get("account_id")), (&json!("pending"), &json!(id), None));
    assert_eq!(fixture.get("/users?status=pending").value()["users"][0]["email"], KIM);
    assert!(fixture.world.user("other", KIM).unwrap().is_active(), "nothing has changed there");
    fixture.world.accept_invitation(ACCOUNT, KIM).unwrap();
    assert!(fixture.world.user("other", KIM).is_none());
    let read = fixture.get(&format!("/users/{KIM}")).value();
    assert_eq!((&read["status"], &read["id"], &read["account_id"]), (&json!("active"), &json!(id), &json!(ACCOUNT)));
    let names: Vec<String> = told(&fixture).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["user.created", "user.disassociated", "user.invitation_accepted"]);
    assert_eq!(make(&fixture, "create", KIM).value()["code"], 1005);
    // The switches of the other readings.
    fixture
        .world
        .set_quirks(ACCOUNT, |quirks| {
            (quirks.invites_from_elsewhere, quirks.joining_hides_account) = (false, false);
        })
        .unwrap();
    let owner = "owner@other.example";
    assert_eq!(make(&fixture, "create", owner).value()["code"], 1009);
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.invites_from_elsewhere = true).unwrap();
    assert_eq!(make(&fixture, "create", owner).status, 201);
    assert_eq!(fixture.get(&format!("/users/{owner}")).value()["account_id"], ACCOUNT);
    assert!(fixture.world.accept_invitation(ACCOUNT, owner).is_err(), "an owner cannot leave");
}

#[test]
fn an_invitation_that_is_withdrawn_leaves_the_other_account_alone() {
    let fixture = with_kim_elsewhere();
    assert_eq!(make(&fixture, "create", KIM).status, 201);
    assert_eq!(fixture.call("DELETE", &format!("/users/{KIM}"), &Value::Null).status, 204);
    assert!(fixture.world.user("other", KIM).is_some());
    assert_eq!(make(&fixture, "ssoCreate", KIM).value()["code"], 1009, "the address still lives there");
}

#[test]
fn an_invitation_expires_and_can_be_sent_again() {
    let fixture = Fixture::new();
    let id = make(&fixture, "create", KIM).value()["id"].as_str().unwrap().to_owned();
    assert_eq!(make(&fixture, "create", KIM).value()["code"], 1005, "it is still good");
    fixture.clock.advance(30 * DAY);
    let fixture = Fixture { token: token_of(&fixture.world, ACCOUNT), ..fixture };
    for (method, path) in
        [("GET", "/users/{}"), ("PATCH", "/users/{}"), ("DELETE", "/users/{}"), ("GET", "/users/{}/assistants")]
    {
        for key in [KIM, &id] {
            let answer = fixture.call(method, &path.replace("{}", key), &json!({ "type": 2 }));
            assert_refused(&answer, 400, 1120, "Invite not found.");
        }
    }
    assert!(fixture.world.accept_invitation(ACCOUNT, KIM).is_err());
    assert_eq!(make(&fixture, "create", KIM).value()["id"], json!(id));
    assert_eq!(fixture.get(&format!("/users/{KIM}")).status, 200);
    fixture.world.expire_invitation(ACCOUNT, KIM).unwrap();
    assert_eq!(fixture.get(&format!("/users/{KIM}")).value()["code"], 1120);
    assert_eq!(make(&fixture, "create", KIM).status, 201);
    fixture.world.accept_invitation(ACCOUNT, KIM).unwrap();
    fixture.clock.advance(31 * DAY);
    assert_eq!(status(&fixture, KIM), Some(UserStatus::Active));
}

#[tokio::test]
async fn people_accept_in_their_own_time_and_the_world_tells_of_it() {
    let fixture = Fixture::new();
    let sim = Sim::start(fixture.world.clone()).await.unwrap();
    fixture.world.subscribe(ACCOUNT, Subscription::to_all("http://127.0.0.1:9/hook", "s")).unwrap();
    fixture.world.set_quirks(ACCOUNT, |quirks| quirks.accepted_after = Some(DAY)).unwrap();
    assert_eq!(make(&fixture, "create", KIM).status, 201);
    fixture.world.create_user(ACCOUNT, NewUser::basic("lee@example.com").invited()).unwrap();
    fixture.world.accept_invitation_after(ACCOUNT, "lee@example.com", 2 * DAY).unwrap();
    fixture.world.create_user(ACCOUNT, NewUser::basic("gone@example.com").invited()).unwrap();
    fixture.world.accept_invitation_after(ACCOUNT, "gone@example.com", DAY).unwrap();
    fixture.world.disassociate(ACCOUNT, "gone@example.com").unwrap();
    sim.settle().await;
    let accepted = || {
        let is =
            |attempt: &Attempt| attempt.delivery.event == "user.invitation_accepted" && attempt.delivery.attempt == 0;
        fixture.world.attempts().iter().filter(|attempt| is(attempt)).count()
    };
    fixture.clock.advance(Duration::from_secs(86_399));
    sim.settle().await;
    assert_eq!((accepted(), status(&fixture, KIM)), (0, Some(UserStatus::Pending)));
    fixture.clock.advance(Duration::from_secs(1));
    sim.settle().await;
    assert_eq!((accepted(), status(&fixture, KIM)), (1, Some(UserStatus::Active)));
    fixture.clock.advance(DAY);
    sim.settle().await;
    assert_eq!((accepted(), status(&fixture, "lee@example.com")), (2, Some(UserStatus::Active)));
}

#[test]
fn an_account_invites_so_many_a_day_by_its_plan() {
    for (plan, most) in [(Plan::Free, 50), (Plan::Pro, 1_500), (Plan::Business, 10_000)] {
        let mut fixture = with_kim_elsewhere();
        fixture.world.set_plan(ACCOUNT, plan).unwrap();
        fixture.world.spend_invites(ACCOUNT, most - 1).unwrap();
        assert_eq!(make(&fixture, "create", "last@example.com").status, 201);
        assert_eq!(fixture.world.invites_left(ACCOUNT), 0);
        let text = format!(
            "You have exceeded the daily rate limit ({most}) of user invite requests permitted for this account. You may \
             resume these requests at GMT 00:00:00."
        );
        assert_refused(&make(&fixture, "create", "late@example.com"), 429, 429, &text);
        assert_eq!(make(&fixture, "ssoCreate", "sso@example.com").status, 201, "who gets no mail does not count");
        fixture.clock.set(fixture.world.now().next_utc_midnight());
        fixture.token = token_of(&fixture.world, ACCOUNT);
        assert_eq!(make(&fixture, "create", "late@example.com").status, 201);
    }
}

#[test]
fn a_group_of_a_pending_user_counts_once_they_accept() {
    let fixture = Fixture::new();
    let group = fixture.world.add_group(ACCOUNT, "staff").unwrap();
    make(&fixture, "create", KIM);
    let patch = |body: Value| fixture.call("PATCH", &format!("/users/{KIM}"), &body);
    assert_eq!(patch(json!({ "group_id": "none" })).value()["code"], 4130);
    assert_eq!(patch(json!({ "group_id": group, "type": 2 })).status, 204);
    assert!(fixture.world.members(ACCOUNT, &group).is_empty());
    assert_eq!(fixture.world.user(ACCOUNT, KIM).unwrap().kind, 1, "nothing else is set");
    fixture.world.accept_invitation(ACCOUNT, KIM).unwrap();
    assert_eq!(fixture.world.members(ACCOUNT, &group), [KIM]);
    let other = fixture.world.add_group(ACCOUNT, "others").unwrap();
    assert_eq!(patch(json!({ "group_id": other })).status, 204);
    assert!(fixture.world.members(ACCOUNT, &other).is_empty(), "that is for pending users only");
}

#[test]
fn licences_run_out_under_the_code_that_is_set() {
    let fixture = Fixture::new();
    fixture.world.set_seats(ACCOUNT, Some(1)).unwrap();
    let licensed = json!({ "action": "create", "user_info": { "email": KIM, "type": 2 } });
    for code in [3412, 2033, 2034] {
        fixture.world.set_quirks(ACCOUNT, |quirks| quirks.no_seats_code = code).unwrap();
        assert_refused(
            &fixture.call("POST", "/users", &licensed),
            400,
            code,
            "You have reached the maximum number of licensed users.",
        );
    }
    assert!(fixture.world.user(ACCOUNT, KIM).is_none());
    assert_eq!(fixture.world.invites_left(ACCOUNT), 10_000);
}

#[test]
fn meetings_of_who_leaves_go_to_whom_the_call_names() {
    let fixture = Fixture::with_licensed(&["dana", "lee", "kim"]);
    let meet = |host: &str| fixture.world.create_meeting(ACCOUNT, &email(host), &json!({})).unwrap();
    let (danas, lees) = (meet("dana"), meet("lee"));
    let remove =
        |user: &str, query: &str| fixture.call("DELETE", &format!("/users/{}?{query}", email(user)), &Value::Null);
    for wrong in ["transfer_meeting=true", "transfer_meeting=true&transfer_email=dana@example.com"] {
        assert_refused(&remove("dana", wrong), 400, 300, "Validation Failed.");
    }
    let nobody = remove("dana", "transfer_meeting=true&transfer_email=nobody@example.com");
    assert_refused(&nobody, 404, 1001, "User does not exist: nobody@example.com.");
    assert!(fixture.world.user(ACCOUNT, &email("dana")).is_some());
    let link = fixture.world.meeting(ACCOUNT, danas).unwrap().join_url();
    let answer = remove("dana", "action=delete&transfer_meeting=true&transfer_email=lee%40example.com");
    assert_eq!(answer.status, 204);
    let moved = fixture.world.meeting(ACCOUNT, danas).unwrap();
    assert_eq!((&moved.host_id, &moved.path_user, moved.join_url()), (&fixture.id("lee"), &fixture.id("lee"), link));
    assert_eq!(fixture.get("/users/lee@example.com/meetings").value()["total_records"], 2);
    assert_eq!(remove("lee", "transfer_email=kim@example.com").status, 204);
    assert!(fixture.world.meeting(ACCOUNT, lees).is_none(), "without transfer_meeting they are gone");
}

#[test]
fn an_installed_app_schedules_through_the_api_user_of_a_school() {
    let fixture = Fixture::new();
    let world = &fixture.world;
    world.add_account(NewAccount::named("school")).unwrap();
    world.add_app(NewApp::named("platform", "http://127.0.0.1:9/oauth/callback")).unwrap();
    for name in ["api", "teacher"] {
        world.add_user("school", NewUser::licensed(&format!("{name}@school.example"))).unwrap();
    }
    let token = world.install("client-platform", "owner@school.example").unwrap().access_token;
    let school = Fixture { token, ..fixture };
    let body = json!({ "assistants": [{ "email": "api@school.example" }] });
    assert_eq!(school.call("POST", "/users/teacher@school.example/assistants", &body).status, 201);
    let create = json!({ "topic": "Maths", "schedule_for": "teacher@school.example" });
    let id = school.call("POST", "/users/api@school.example/meetings", &create).value()["id"].as_u64().unwrap();
    let read = school.get(&format!("/meetings/{id}")).value();
    assert_eq!(read["host_email"], "teacher@school.example");
    assert_eq!(
        school.call("PATCH", &format!("/meetings/{id}"), &json!({ "schedule_for": "api@school.example" })).status,
        204
    );
    assert_eq!(school.get(&format!("/meetings/{id}")).value()["host_email"], "api@school.example");
}
