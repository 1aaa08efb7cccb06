//! Users through the API and the command line of the real binary: made, looked at, let go; and over kills.

use adjutant::sim::{NewUser, UserStatus};
use serde_json::{Value, json};

use crate::process::served::{Served, served};
use crate::process::service::{ACCOUNT, API_USER};

const USERS: &str = "/v1/accounts/test-account/users";

impl Served {
    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.service.send("POST", path, body.to_string().as_bytes()).unwrap()
    }

    /// `POST /users` that Zoom took.
    fn creations(&self) -> usize {
        let is_creation = |call: &&adjutant::sim::Call| call.method == "POST" && call.path.ends_with("/users");
        self.world.calls().iter().filter(is_creation).count()
    }

    fn onboarding(&self, id: &Value) -> Value {
        self.service.admin("GET", &format!("/v1/onboardings/{}?wait=30s", id.as_str().unwrap())).unwrap()
    }

    /// The person accepts, and Zoom says so.
    fn accept(&self, email: &str) {
        self.world.accept_invitation(ACCOUNT, email).unwrap();
        let id = self.id(email);
        let event = json!({ "event": "user.invitation_accepted", "event_ts": 1, "payload": { "account_id": ACCOUNT,
            "object": { "id": id, "email": email, "type": 2 } } });
        assert_eq!(self.service.deliver(&event.to_string()).unwrap(), 200);
    }
}

fn jill() -> Value {
    json!({ "email": "jill@school.example", "first_name": "Jill", "licence": "licensed", "action": "ssoCreate" })
}

#[test]
fn one_request_makes_a_user_with_all_that_the_rules_say_and_waits_for_it() {
    let served = served("");
    let (status, done) = served.post(&format!("{USERS}?wait=60s"), &jill());
    assert_eq!((status, &done["state"], &done["came"]), (202, &json!("done"), &json!("created")), "{done}");
    assert_eq!(served.world.assistants(ACCOUNT, "jill@school.example"), [API_USER]);
    assert_eq!(done["rules"][0]["rule"], "api-user-assists-everyone");
    assert_eq!(served.onboarding(&done["id"]), done);
    // By invitation: it is told at once, and goes on when the person accepts.
    let kim = json!({ "email": "kim@school.example", "licence": "licensed", "label": "row 7", "key": "kim" });
    let (status, invited) = served.post(&format!("{USERS}?wait=60s&batch=autumn"), &kim);
    assert_eq!((status, &invited["state"], &invited["label"]), (202, &json!("invited"), &json!("row 7")), "{invited}");
    served.accept("kim@school.example");
    while served.onboarding(&invited["id"])["state"] != "done" {
        std::thread::yield_now();
    }
    assert_eq!(served.world.assistants(ACCOUNT, "kim@school.example"), [API_USER]);
    let listed = served.service.admin("GET", "/v1/onboardings?account=test-account&batch=autumn").unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &invited["id"]));
}

#[test]
fn a_request_is_answered_row_by_row_and_the_same_key_is_the_same_onboarding() {
    let served = served("");
    let keyed = |row: Value| {
        let mut row = row;
        row["key"] = json!("k-1");
        row
    };
    let (first, one) = served.post(USERS, &keyed(jill()));
    let (second, two) = served.post(&format!("{USERS}?wait=60s"), &keyed(jill()));
    assert_eq!((first, second, &one["id"]), (202, 200, &two["id"]));
    let (status, problem) = served.post(USERS, &keyed(json!({ "email": "other@school.example" })));
    assert_eq!((status, &problem["status"]), (422, &json!(422)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("the key was used for another request"));
    for (body, status) in [
        (json!({ "email": "nobody" }), 422),
        (json!({ "email": "a@school.example", "licens": "basic" }), 422),
        (json!({ "email": "a@school.example", "notify": "nobody" }), 422),
        (json!([]), 400),
        (json!("x"), 400),
    ] {
        assert_eq!(served.post(USERS, &body).0, status, "{body}");
    }
    assert_eq!(served.post("/v1/accounts/nobody/users", &jill()).0, 404);
    for (query, status) in [("wait=61s", 400), ("wait=x", 400), ("unknown=1", 400)] {
        assert_eq!(served.post(&format!("{USERS}?{query}"), &jill()).0, status, "{query}");
    }
    assert_eq!(served.service.ask("GET", "/v1/onboardings/onb_1").unwrap().0, 400);
    assert_eq!(served.service.ask("GET", &format!("/v1/onboardings/onb_{}", "0".repeat(32))).unwrap().0, 404);
    let rows = json!([{ "email": "a@school.example", "action": "ssoCreate" }, { "email": 7 }, { "email": "a@school.example" }]);
    let (status, view) = served.post(&format!("{USERS}?dry_run=true"), &rows);
    assert_eq!((status, &view["rows"][0]["would"]), (200, &json!("create (ssoCreate, Basic)")), "{view}");
    let (status, view) = served.post(&format!("{USERS}?wait=60s"), &rows);
    assert_eq!((status, &view["taken"], &view["refused"]), (200, &json!(1), &json!(2)));
    let row = |n: usize| (&view["rows"][n]["onboarding"]["state"], &view["rows"][n]["error"]["code"]);
    // What has only just been made waits for the licence that its rule needs.
    assert_eq!(row(0), (&json!("waiting"), &Value::Null));
    assert_eq!((row(1).1, row(2).1), (&json!("invalid"), &json!("under-way")));
}

#[test]
fn users_are_listed_shown_and_let_go_but_no_api_user_and_what_is_lost_is_said() {
    let mut served = served("");
    served.settle();
    served.world.create_user(ACCOUNT, NewUser::basic("new@school.example").invited()).unwrap();
    let listed = served.service.admin("GET", &format!("{USERS}?limit=2")).unwrap();
    assert_eq!(listed["users"].as_array().unwrap().len(), 2);
    let next = listed["next"].as_str().unwrap();
    let rest = served.service.admin("GET", &format!("{USERS}?limit=300&next={next}")).unwrap();
    assert!(rest["next"].is_null() && !rest["users"].as_array().unwrap().is_empty());
    let pending = served.service.admin("GET", &format!("{USERS}?status=pending")).unwrap();
    assert_eq!(pending["users"][0]["email"], "new@school.example");
    let teacher = "teacher-0%40school.example";
    let shown = served.service.admin("GET", &format!("{USERS}/{teacher}")).unwrap();
    assert_eq!(
        (&shown["status"], &shown["licence"], &shown["is_api_user"]),
        (&json!("active"), &json!("licensed"), &json!(false))
    );
    assert_eq!(served.service.ask("GET", &format!("{USERS}/nobody%40school.example")).unwrap().0, 404);

    let api = "api-user%40school.example";
    let (status, problem) = served.service.ask("DELETE", &format!("{USERS}/{api}")).unwrap();
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("is an API user"));
    assert_eq!(served.service.ask("POST", &format!("{USERS}/{api}/deactivate")).unwrap().0, 409);
    // By the id, too.
    let id = served.id(API_USER);
    assert_eq!(served.service.ask("DELETE", &format!("{USERS}/{id}")).unwrap().0, 409);

    let checked = served.service.admin("DELETE", &format!("{USERS}/{teacher}?check=true")).unwrap();
    assert_eq!(checked["is_done"], json!(false));
    let lost = checked["lost"].to_string();
    assert!(lost.contains("the licence") && lost.contains("all meetings") && lost.contains("transfer_to"), "{lost}");
    assert_eq!(served.world.user(ACCOUNT, "teacher-0@school.example").unwrap().status, UserStatus::Active);
    let done = served.service.admin("POST", &format!("{USERS}/{teacher}/deactivate")).unwrap();
    assert_eq!(done["is_done"], json!(true));
    assert_eq!(served.world.user(ACCOUNT, "teacher-0@school.example").unwrap().status, UserStatus::Inactive);
    served.service.admin("DELETE", &format!("{USERS}/{teacher}?action=disassociate")).unwrap();
    assert!(served.world.user(ACCOUNT, "teacher-0@school.example").is_none());
    let pending = "new%40school.example";
    assert_eq!(served.service.ask("DELETE", &format!("{USERS}/{pending}?action=delete")).unwrap().0, 409);
    served.service.admin("DELETE", &format!("{USERS}/{pending}")).unwrap();
    assert!(served.world.user(ACCOUNT, "new@school.example").is_none());
    // Each was intended before, with who told it.
    let log = served.service.admin("GET", "/v1/audit?last=1000").unwrap()["entries"].to_string();
    for said in ["deactivate the user, told by admin token", "take the user out of the account, told by admin token"] {
        assert!(log.contains(said), "{said}");
    }
}

#[test]
fn coverage_says_who_has_what_who_waits_for_what_and_what_was_set_aside() {
    let mut served = served("");
    served.settle();
    served.world.add_user(ACCOUNT, NewUser::basic("basic@school.example")).unwrap();
    served.world.add_user(ACCOUNT, NewUser::licensed("late@school.example")).unwrap();
    let view = served.service.admin("GET", "/v1/accounts/test-account/coverage").unwrap();
    let rule = &view["rules"][0];
    assert_eq!((&rule["rule"], &rule["have"]), (&json!("api-user-assists-everyone"), &json!(4)), "{view}");
    assert_eq!(rule["lack"]["count"], json!(1));
    assert!(rule["lack"]["named"][0].as_str().unwrap().contains("late@school.example"));
    let waits =
        rule["others"].as_array().unwrap().iter().find(|group| group["why"] == "waits: the user has no licence");
    assert!(waits.unwrap()["named"].to_string().contains("basic@school.example"), "{view}");
    let told = served.told(&["users", "coverage"], 0);
    assert!(told.contains("rule api-user-assists-everyone: 4 have it\n  1: lack it\n"), "{told}");
    assert_eq!(served.service.ask("GET", "/v1/accounts/nobody/coverage").unwrap().0, 409);
}

#[test]
fn a_file_of_people_is_onboarded_and_given_again_it_asks_for_nothing_twice() {
    let served = served("");
    let path = served.service.folder().join("teachers.csv");
    let path = path.to_str().unwrap();
    std::fs::write(
        path,
        "email,first_name,last_name,licence,action\n\
        ada@school.example,Ada,One,licensed,ssoCreate\n\
        bea@school.example,Bea,Two,gold,ssoCreate\n\
        nobody,Cy,Three,,\n\
        dan@school.example,Dan,Four,licensed,ssoCreate\n",
    )
    .unwrap();
    let looked = served.told(&["users", "onboard", "--file", path, "--dry-run"], 1);
    assert!(looked.contains("line 2: ada@school.example would: create (ssoCreate, Licensed)\n"), "{looked}");
    assert_eq!(served.creations(), 0);
    for _twice in 0..2 {
        let told = served.told(&["users", "onboard", "--file", path, "--wait", "60"], 1);
        assert!(told.contains("line 2: ada@school.example done: created\n"), "{told}");
        assert!(told.contains("line 3: bea@school.example refused: unknown variant `gold`"), "{told}");
        assert!(told.contains("line 4: nobody refused: email \"nobody\" is not valid"), "{told}");
        assert!(told.contains("4 rows: 2 done, 2 refused\n"), "{told}");
        assert_eq!(served.creations(), 2);
    }
    assert_eq!(served.world.assistants(ACCOUNT, "dan@school.example"), [API_USER]);

    let bad = served.service.folder().join("bad.csv");
    std::fs::write(&bad, "email,fist_name\nada@school.example,Ada\n").unwrap();
    let told = served.told(&["users", "onboard", "--file", bad.to_str().unwrap()], 1);
    assert!(told.contains("no column named \"fist_name\": did you mean first_name?"), "{told}");

    let one =
        ["users", "onboard", "eva@school.example", "--first", "Eva", "--licence", "licensed", "--action", "ssoCreate"];
    assert_eq!(served.told(&one, 0), "eva@school.example done: created\n");
    assert_eq!(served.world.user(ACCOUNT, "eva@school.example").unwrap().first_name, "Eva");
    let listed = served.told(&["users", "list", "--json"], 0);
    assert!(listed.contains("eva@school.example"), "{listed}");
    assert!(served.told(&["users", "show", "eva@school.example"], 0).contains("licence   licensed"));
    assert!(served.told(&["users", "deactivate", "eva@school.example"], 2).contains("--yes"));
    let gone = served.told(&["users", "remove", "eva@school.example", "--yes"], 0);
    assert!(gone.contains("eva@school.example is removed\nlost the licence"), "{gone}");
    assert!(served.told(&["users", "remove", API_USER, "--yes"], 1).contains("is an API user"));
}

#[test]
fn wherever_the_process_is_killed_there_is_one_user_one_invitation_and_an_onboarding_that_ends() {
    let mut served = served("");
    served.settle();
    let places = ["onboarding-kept", "attempt-started", "intent-recorded", "zoom-changed", "job-settled"];
    for (round, place) in places.iter().flat_map(|place| (1..=2).map(move |nth| format!("{place}:{nth}"))).enumerate() {
        served.service.kill();
        // What the start itself finds to do may come to the place already.
        let _is_up = served.service.start(&[("ADJUTANT_BREAK_AT", place.as_str())]);
        let email = format!("new-{round}@school.example");
        let row = json!({ "email": email, "licence": "licensed", "key": email });
        let before = served.creations();
        let body = row.to_string();
        let mut answered = served.service.send("POST", USERS, body.as_bytes()).is_ok();
        // It works until it is dead, or waits for the person.
        while served.service.is_running() {
            let Ok(status) = served.service.status() else { continue };
            if ["unplanned", "due", "running"].iter().all(|key| status[*key] == 0) {
                break;
            }
        }
        served.service.kill();
        assert!(served.service.start(&[]), "{place}: {}", served.service.log());
        // Whoever got no answer asks again.
        while !answered {
            answered = served.service.send("POST", USERS, body.as_bytes()).is_ok();
        }
        served.service.wait_until_idle();
        let (_, again) = served.post(USERS, &row);
        let told = served.onboarding(&again["id"]);
        assert_eq!(told["state"], "invited", "{place}: {told}");
        assert_eq!(served.creations() - before, 1, "{place}");
        served.accept(&email);
        while served.onboarding(&again["id"])["state"] != "done" {
            std::thread::yield_now();
        }
        assert_eq!(served.world.assistants(ACCOUNT, &email), [API_USER], "{place}");
    }
}
