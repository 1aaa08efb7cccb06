//! Users through the API and the command line of the real binary: made, looked at, let go; and over kills.

use adjutant::chance::SystemChance;
use adjutant::clock::SystemClock;
use adjutant::sim::{NewUser, UserStatus};
use adjutant::store::LocalStore;
use serde_json::{Value, json};

use crate::process::http;
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
        assert_eq!(self.say_accepted(email), Some(200));
    }

    /// None where the service does not take it.
    fn say_accepted(&self, email: &str) -> Option<u16> {
        let id = self.id(email);
        let event = json!({ "event": "user.invitation_accepted", "event_ts": 1, "payload": { "account_id": ACCOUNT,
            "object": { "id": id, "email": email, "type": 2 } } });
        self.service.deliver(&event.to_string()).ok()
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
    let nobody = "action=delete&transfer_to=nobody";
    assert_eq!(served.service.ask("DELETE", &format!("{USERS}/{pending}?{nobody}")).unwrap().0, 409);
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
    assert!(looked.contains("looked at 4 of 4 rows\n"), "{looked}");
    assert_eq!(served.creations(), 0);
    for known in ["", "; 2 asked for already"] {
        let told = served.told(&["users", "onboard", "--file", path, "--wait", "60"], 1);
        assert!(told.contains("line 2: ada@school.example done: created\n"), "{told}");
        assert!(told.contains("line 3: bea@school.example refused: licence is \"gold\", expected"), "{told}");
        assert!(told.contains("line 4: nobody refused: email \"nobody\" is not valid"), "{told}");
        assert!(told.contains(&format!("4 rows: 2 done, 2 refused{known}\n")), "{told}");
        assert_eq!(served.creations(), 2);
    }
    assert_eq!(served.world.assistants(ACCOUNT, "dan@school.example"), [API_USER]);
    // A row that was corrected is another.
    let file = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, file.replace("gold", "licensed")).unwrap();
    let told = served.told(&["users", "onboard", "--file", path, "--wait", "60"], 1);
    assert!(told.contains("line 3: bea@school.example done: created\n"), "{told}");
    let listed = served.told(&["users", "onboardings", "--batch", "teachers.csv"], 0);
    assert!(listed.contains("bea@school.example") && listed.ends_with("3 onboardings\n"), "{listed}");
    assert!(served.told(&["users", "onboard"], 2).contains("--file"), "both ways are shown");

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
    let places = ["attempt-started", "intent-recorded", "zoom-changed", "job-settled"];
    let twice = places.iter().flat_map(|place| (1..=2).map(move |nth| format!("{place}:{nth}")));
    // Rows of one request are kept at once.
    for (round, place) in std::iter::once("onboarding-kept:1".to_owned()).chain(twice).enumerate() {
        served.service.kill();
        // What the start itself finds to do may come to the place already.
        let _is_up = served.service.start(&[("ADJUTANT_BREAK_AT", place.as_str())]);
        let email = format!("new-{round}@school.example");
        let row = json!({ "email": email, "licence": "licensed", "key": email });
        let before = served.creations();
        let body = row.to_string();
        let mut answered = served.service.send("POST", USERS, body.as_bytes()).is_ok();
        // It works until it is dead: the place is one that it comes to, the second time when the person has accepted.
        let mut is_accepted = false;
        while served.service.is_running() {
            let Ok(status) = served.service.status() else { continue };
            let is_idle = ["unplanned", "due", "running"].iter().all(|key| status[*key] == 0);
            if is_idle && place.ends_with(":2") && !is_accepted {
                served.world.accept_invitation(ACCOUNT, &email).unwrap();
                is_accepted = true;
                let _nobody_may_be_there = served.say_accepted(&email);
            } else if is_idle {
                // Whoever settled a job may be at the place just now; at the end of a stop nobody is.
                assert_eq!(served.service.terminate(), None, "{place} was never come to");
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
        assert!(is_accepted || told["state"] == "invited", "{place}: {told}");
        assert_eq!(served.creations() - before, 1, "{place}");
        if is_accepted {
            assert_eq!(served.say_accepted(&email), Some(200));
        } else {
            served.accept(&email);
        }
        while served.onboarding(&again["id"])["state"] != "done" {
            std::thread::yield_now();
        }
        assert_eq!(served.world.assistants(ACCOUNT, &email), [API_USER], "{place}");
    }
}

#[test]
fn nobody_is_deleted_before_it_is_said_who_gets_what_they_leave_and_that_one_is_there() {
    let mut served = served("");
    served.settle();
    let teacher = "teacher-0%40school.example";
    let delete = |more: &str| served.service.ask("DELETE", &format!("{USERS}/{teacher}?action=delete{more}")).unwrap();
    let (status, problem) = delete("");
    assert!(status == 400 && problem["detail"].as_str().unwrap().contains("transfer_to=nobody"), "{problem}");
    assert_eq!(delete("&check=true").0, 200);
    let (status, problem) = delete("&transfer_to=nobody%40school.example");
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("has no active user nobody@"), "{problem}");
    let told = served.told(&["users", "remove", "teacher-0@school.example", "--delete", "--yes"], 2);
    assert!(told.contains("--transfer-to-nobody"), "{told}");
    assert_eq!(served.world.user(ACCOUNT, "teacher-0@school.example").unwrap().status, UserStatus::Active);
    let to = ["--delete", "--transfer-to", "teacher-1@school.example", "--yes"];
    served.told(&[&["users", "remove", "teacher-0@school.example"], &to[..]].concat(), 0);
    let told =
        served.told(&["users", "remove", "teacher-2@school.example", "--delete", "--transfer-to-nobody", "--yes"], 0);
    assert!(told.contains("webinars and recordings\n"), "no advice when it is done: {told}");
    assert!(served.world.user(ACCOUNT, "teacher-0@school.example").is_none());
}

#[test]
fn whom_the_app_acts_as_is_let_go_by_nobody_and_owners_and_admins_by_operators_alone() {
    let mut served = served("");
    served.settle();
    let owner = served.world.users(ACCOUNT).into_iter().find(|user| user.role_id == "0").unwrap();
    let path = served.service.folder().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let acts = format!("api_users = [\"{API_USER}\"]\nacts_as = [\"teacher-0@school.example\"]");
    std::fs::write(&path, config.replace(&format!("api_users = [\"{API_USER}\"]"), &acts)).unwrap();
    served.told(&["reload"], 0);
    let told = served.told(&["users", "deactivate", "teacher-0@school.example", "--yes"], 1);
    assert!(told.contains("is whom the app acts as"), "{told}");
    let words = ["tokens", "create", "--name", "school", "--role", "onboarder", "--account", ACCOUNT, "--json"];
    let made: Value = serde_json::from_str(&served.told(&words, 0)).unwrap();
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let (headers, deactivate) = ([("authorization", bearer.as_str())], format!("{USERS}/{}/deactivate", owner.id));
    let asked = http::request(served.service.admin, "POST", &deactivate, &headers, b"").unwrap();
    assert!(asked.status == 403 && asked.body.contains("is the owner of the account"), "{}", asked.body);
    assert_eq!(served.world.user(ACCOUNT, &owner.email).unwrap().status, UserStatus::Active);
    assert_eq!(served.service.ask("POST", &format!("{deactivate}?check=true")).unwrap().0, 200);
}

#[test]
fn a_file_that_stops_half_way_tells_what_was_answered_and_how_to_go_on() {
    let mut served = served("");
    served.settle();
    let path = served.service.folder().join("many.csv");
    let row = |n: usize| format!("new-{n}@school.example,ssoCreate\n");
    let rows: String = (0..250).map(row).collect();
    std::fs::write(&path, format!("email,action\n{rows}")).unwrap();
    // The second hundred is kept, and then there is nobody who answers.
    served.service.kill();
    assert!(served.service.start(&[("ADJUTANT_BREAK_AT", "onboarding-kept:2")]));
    let (code, out, err) =
        served.service.command(&["users", "onboard", "--file", path.to_str().unwrap(), "--wait", "0"]);
    assert_ne!(code, 0);
    assert!(out.contains("line 101: new-99@school.example ") && out.contains("100 rows: "), "{out}");
    assert!(err.contains("100 of 250 rows were answered. give the same file again to go on"), "{err}");
    served.service.kill();
    assert!(served.service.start(&[]), "{}", served.service.log());
    let told = served.told(&["users", "onboard", "--file", path.to_str().unwrap(), "--wait", "0"], 0);
    assert!(told.contains("; 200 asked for already\n") && told.contains("give the same file again to see"), "{told}");
    served.service.wait_until_idle();
    assert_eq!(served.creations(), 250);
}

#[test]
fn an_account_that_is_paused_is_not_swept_and_one_that_is_not_served_is_none() {
    let served = served("");
    served.told(&["accounts", "pause", ACCOUNT], 0);
    for dry in [&[][..], &["--dry-run"]] {
        let told = served.told(&[&["sweep", "--account", ACCOUNT], dry].concat(), 1);
        assert!(told.contains("is paused: `adjutant accounts resume test-account`"), "{told}");
    }
    assert!(served.told(&["sweep", "--account", "nope"], 1).contains("no account nope is served"));
    assert!(served.told(&["accounts", "change", ACCOUNT], 2).contains("--label"));
}

/// What the data folder of the stopped service still has of these, with all its keys.
fn traces(served: &Served, texts: &[&str]) -> Vec<String> {
    let vars: [(String, String); 0] = [];
    let path = served.service.folder().join("config.toml");
    let outline = adjutant::config::load_outline(&path, &adjutant::config::Env::from_vars(vars)).unwrap();
    let adjutant::config::StoreSection { folder, master_key, settings, .. } = outline.store;
    let (clock, chance) = (std::sync::Arc::new(SystemClock), std::sync::Arc::new(SystemChance));
    let (store, _) = LocalStore::open(&folder, settings, master_key, clock, chance, &mut |_, _, _| {}).unwrap();
    let texts = texts.iter().map(ToString::to_string).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(store.traces(texts)).unwrap();
    store.close_now().unwrap();
    found
}

#[test]
fn a_person_is_forgotten_by_the_command_and_nothing_in_the_data_folder_names_them_while_the_log_verifies() {
    let mut served = served("");
    served.settle();
    let forget = |served: &Served, who: &str, code| served.told(&["users", "forget", who, "--yes"], code);
    let told = forget(&served, API_USER, 1);
    assert!(told.contains("the configuration names api-user@school.example for account test-account"), "{told}");
    // Somebody who is invited is under way.
    let kim = json!({ "email": "kim@school.example", "first_name": "Kimberley", "licence": "licensed" });
    let (_, invited) = served.post(&format!("{USERS}?wait=60s"), &kim);
    let told = forget(&served, "kim@school.example", 1);
    let job = invited["job"].as_str().unwrap();
    assert!(told.contains(&format!("is being onboarded ({})", invited["id"].as_str().unwrap())), "{told}");
    assert!(told.contains(&format!("adjutant jobs cancel {job}")), "{told}");
    served.accept("kim@school.example");
    while served.onboarding(&invited["id"])["state"] != "done" {
        std::thread::yield_now();
    }
    served.service.wait_until_idle();
    let id = served.id("kim@school.example");
    let teacher = served.id("teacher-0@school.example");
    served.service.terminate().unwrap();
    for name in ["kim@school.example", &id, "Kimberley"] {
        assert!(!traces(&served, &[name]).is_empty(), "the search finds {name}");
    }
    assert!(served.service.start(&[]), "{}", served.service.log());
    served.told(&["users", "remove", "kim@school.example", "--yes"], 0);
    served.service.wait_until_idle();
    let (checked, asked) = served.service.ask("POST", &format!("{USERS}/{id}/forget?check=true")).unwrap();
    assert_eq!((checked, &asked["state"], &asked["email"]), (200, &json!("check"), &json!("kim@school.example")));
    assert_eq!((&asked["onboardings"], &asked["is_at_zoom"]), (&json!(1), &json!(false)), "{asked}");
    let told = forget(&served, &id, 0);
    assert!(told.contains("email  kim@school.example") && told.contains("is forgotten"), "{told}");
    assert!(told.contains("1 onboarding go, "), "{told}");
    assert_eq!(
        served.service.ask("GET", &format!("/v1/onboardings/{}", invited["id"].as_str().unwrap())).unwrap().0,
        404
    );
    served.told(&["audit", "verify"], 0);
    let log = served.service.admin("GET", "/v1/audit?last=1000").unwrap()["entries"].to_string();
    assert!(log.contains("person-forgotten") && log.contains("told by admin token"), "{log}");
    served.service.terminate().unwrap();
    assert_eq!(traces(&served, &["kim@school.example", &id, "Kimberley"]), Vec::<String>::new());
    assert!(!traces(&served, &[&teacher]).is_empty(), "who stays is there");
    served.told(&["store", "verify"], 0);
}
