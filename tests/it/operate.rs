//! What operators do with the real binary: stop it, copy its store, look at it while it is stopped.

use std::sync::Arc;

use adjutant::chance::SeededChance;
use adjutant::clock::SystemClock;
use adjutant::sim::{NewAccount, NewUser, Plan, Sim, World};

use tokio::runtime::Runtime;

use crate::process::service::{ACCOUNT, API_USER, Service};

/// No Zoom is needed: nobody listens there.
fn service() -> Service {
    Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth")
}

/// An event that no rule is about.
fn event(n: u32) -> String {
    format!(
        r#"{{"event":"user.signed_in","event_ts":{n},"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"u{n}"}}}}}}"#
    )
}

#[test]
fn a_store_is_copied_while_it_runs_and_the_copy_serves_after_a_restore() {
    let mut service = service();
    assert!(service.start(&[]));
    for n in 0..20 {
        assert_eq!(service.deliver(&event(n)).unwrap(), 200);
    }
    service.wait_until_idle();
    let copy = service.folder().join("copy");
    let copy = copy.to_str().unwrap();
    let (code, out, err) = service.command(&["store", "backup", copy]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("20 deliveries"), "{out}");
    let (code, _, err) = service.command(&["store", "backup", "/proc/nowhere"]);
    assert!(code == 74 && err.contains("/proc/nowhere: failed to make the folder: "), "{code} {err}");
    let (code, _, err) = service.command(&["store", "backup", copy]);
    assert_ne!(code, 0, "a folder that is not empty was written over");
    assert!(err.contains("is not empty"), "{err}");
    // Another process may not have the store meanwhile.
    let (code, _, err) = service.command(&["store", "verify"]);
    assert_eq!(code, 75, "{err}");
    assert_eq!(service.terminate(), Some(0), "{}", service.log());

    let (code, out, err) = service.command(&["store", "verify", copy]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("20 deliveries") && out.contains("whole"), "{out}");
    std::fs::remove_dir_all(service.folder().join("data")).unwrap();
    let (code, out, err) = service.command(&["store", "restore", copy]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = service.command(&["store", "rebuild"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = service.command(&["deliveries", "list", "--offline", "--json"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.matches("dlv_").count(), 20, "{out}");
    assert!(service.start(&[]));
    assert_eq!(service.status().unwrap()["deliveries"], 20);
}

#[test]
fn a_changed_byte_is_told_with_its_file_and_place() {
    let mut service = service();
    assert!(service.start(&[]));
    assert_eq!(service.deliver(&event(1)).unwrap(), 200);
    service.wait_until_idle();
    assert_eq!(service.terminate(), Some(0));
    let journal = service.folder().join("data/journal");
    let mut files: Vec<_> = std::fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    files.sort();
    let mut bytes = std::fs::read(&files[0]).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&files[0], bytes).unwrap();
    let (code, out, _) = service.command(&["store", "verify"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains(".seg") && out.contains("fault"), "{out}");
    assert!(!service.start(&[]), "it serves from a damaged journal");
    assert!(service.log().contains(".seg"), "{}", service.log());
}

#[test]
fn the_log_names_whom_a_trusted_proxy_asks_for_when_a_delivery_is_refused() {
    let mut service = service();
    assert!(service.start(&[("ADJUTANT__SERVER__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")]));
    let forged = [("x-forwarded-for", "192.0.2.1, 203.0.113.7")];
    for _ in 0..3 {
        assert_eq!(service.forge(&forged, "{}").unwrap(), 400);
    }
    assert_eq!(service.terminate(), Some(0));
    let log = service.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("refused a delivery")).collect();
    assert_eq!(lines.len(), 1, "one a minute: {log}");
    assert!(lines[0].contains("203.0.113.7") && lines[0].contains("malformed"), "{log}");
    assert!(!log.contains("192.0.2.1"), "that could be made up: {log}");
}

fn told(service: &Service, words: &[&str], code: i32) -> String {
    let (ended, out, err) = service.command(words);
    assert_eq!(ended, code, "{words:?}: {out}{err}{}", service.log());
    out + &err
}

/// A simulated Zoom with the account and its API user.
pub(crate) fn simulated() -> (Runtime, World, Sim) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(Arc::new(SystemClock), Arc::new(SeededChance::new(1)));
    world.add_account(NewAccount { plan: Plan::Business, ..NewAccount::named(ACCOUNT) }).unwrap();
    world.add_user(ACCOUNT, NewUser::licensed(API_USER)).unwrap();
    let sim = runtime.block_on(Sim::start(world.clone())).unwrap();
    (runtime, world, sim)
}

#[test]
fn all_grants_of_an_api_user_are_taken_back_once_no_rule_gives_them_and_a_person_agrees() {
    let (_runtime, world, sim) = simulated();
    for n in 0..3 {
        let teacher = format!("teacher-{n}@school.example");
        world.add_user(ACCOUNT, NewUser::licensed(&teacher)).unwrap();
        world.grant(ACCOUNT, &teacher, API_USER).unwrap();
    }
    // Nothing is left to the sweep of the first start.
    world.grant(ACCOUNT, &format!("owner@{ACCOUNT}.example"), API_USER).unwrap();
    let granted =
        || (0..3).filter(|n| !world.assistants(ACCOUNT, &format!("teacher-{n}@school.example")).is_empty()).count();
    let mut service = Service::new(&sim.api_url(), &sim.oauth_url());
    assert!(service.start(&[]), "{}", service.log());
    let take_back = ["assistants", "take-back", "--api-user", API_USER];
    let and = |more: &[&'static str]| [&take_back[..], more].concat();
    let shown = told(&service, &and(&["--plan"]), 0);
    let names = (0..3).all(|n| shown.contains(&format!("teacher-{n}@school.example")));
    assert!(names && shown.contains("rule api-user-assists-everyone would grant it again"), "{shown}");
    assert!(told(&service, &and(&["--yes"]), 1).contains("nothing was changed: rules are in force"));
    let config = service.folder().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"enforce\"", "\"observe\"")).unwrap();
    told(&service, &["reload"], 0);
    assert!(told(&service, &take_back, 2).contains("add --yes"), "nobody is there to ask");
    let query = format!("/v1/take-back?api_user={API_USER}&users_max=2");
    let (status, refused) = service.ask("POST", &query).unwrap();
    assert!(status == 409 && refused["detail"].as_str().unwrap().contains("more than the 2"), "{status} {refused}");
    assert_eq!(granted(), 3, "nothing was changed so far");
    assert!(told(&service, &and(&["--yes"]), 0).contains("begun"));
    while granted() > 0 || service.admin("GET", "/v1/attention").unwrap()["alarms"] != serde_json::json!([]) {
        std::thread::yield_now();
    }
    let audit = told(&service, &["audit", "tail", "-n", "100"], 0);
    assert!(audit.contains("admin token asked to take back all grants of") && audit.contains("4 users"), "{audit}");
}

#[test]
fn a_sweep_on_demand_says_what_it_found_and_a_dry_one_asks_for_nothing() {
    let (_runtime, world, sim) = simulated();
    let mut service = Service::new(&sim.api_url(), &sim.oauth_url());
    assert!(service.start(&[]), "{}", service.log());
    // The first start sweeps by itself.
    let standing = |service: &Service| {
        serde_json::from_str::<serde_json::Value>(&told(service, &["sweep", "list", "--json"], 0)).unwrap()
    };
    let is_swept = |view: &serde_json::Value| {
        let kinds = view["kinds"].as_array().unwrap();
        view["state"] == "waits" && kinds.len() == 2 && kinds.iter().all(|kind| kind["whole_at"].is_string())
    };
    while !is_swept(&standing(&service)[0]) {
        std::thread::yield_now();
    }
    // A sweep is over when its last page is compared, and its jobs may still be at work.
    service.wait_until_idle();
    for n in 0..2 {
        world.add_user(ACCOUNT, NewUser::licensed(&format!("teacher-{n}@school.example"))).unwrap();
    }
    let counts = "4 users compared, 2 differ (api-user-assists-everyone 2)";
    let dry = told(&service, &["sweep", "--dry-run"], 0);
    assert!(dry.ends_with(&format!("account {ACCOUNT}: {counts}; no job was made\n")), "{dry}");
    assert_eq!(world.assistants(ACCOUNT, "teacher-0@school.example"), [""; 0]);
    let swept = told(&service, &["sweep", "--account", ACCOUNT, "--rule", "api-user-assists-everyone"], 0);
    let expected = format!("{counts}: 2 jobs made, 0 woken, 0 under way already, 0 left for the next sweep\n");
    assert!(swept.ends_with(&expected), "{swept}");
    let nothing_yet = |line: &str| line.contains(": 0 ") && line.contains(" found to ");
    assert!(!dry.lines().chain(swept.lines()).any(nothing_yet), "{dry}{swept}");
    service.wait_until_idle();
    for n in 0..2 {
        assert_eq!(world.assistants(ACCOUNT, &format!("teacher-{n}@school.example")), [API_USER]);
    }
    assert!(told(&service, &["sweep", "list"], 0).contains(counts));
    assert!(told(&service, &["sweep", "--rule", "nothing"], 2).contains("there is no rule nothing"));
    let meetings = told(&service, &["sweep", "--rule", "waiting-room"], 0);
    assert!(meetings.contains("4 users compared, 0 are to be read"), "{meetings}");
    assert!(told(&service, &["sweep", "--account", "nobody"], 1).contains("no account nobody is served"));
    let (_, doctor, _) = service.command(&["doctor"]);
    assert!(doctor.contains("sweeps") && doctor.contains("last whole one 20"), "{doctor}");
    let json: serde_json::Value = serde_json::from_str(&told(&service, &["sweep", "--json"], 0)).unwrap();
    assert_eq!(
        (json[ACCOUNT]["ended"]["found"].clone(), json[ACCOUNT]["ended"]["why"].clone()),
        (0.into(), "person".into())
    );
}

#[test]
fn the_entry_of_an_outcome_is_shown_with_what_the_condition_saw() {
    let rule = "[[rule]]\nname = \"maths\"\nfor = \"user\"\nwhen = 'user.dept == \"Maths\"'\nensure = { type = \"licensed\" }\n";
    let mut served = crate::process::served::served(rule);
    served.settle();
    let id = served.created(NewUser::licensed("new@school.example"));
    let explained: serde_json::Value =
        serde_json::from_str(&served.told(&["rules", "explain", &id, "--json"], 0)).unwrap();
    let maths = explained["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "maths").unwrap();
    let shown = |entry: &serde_json::Value| served.told(&["audit", "show", &entry.to_string()], 0);
    let entries: Vec<String> = maths["entries"].as_array().unwrap().iter().map(shown).collect();
    let saw = "saw       user.dept == \"Maths\": false (user.dept was ";
    assert!(entries.iter().any(|entry| entry.lines().any(|line| line.starts_with(saw))), "{entries:#?}");
}

#[test]
fn a_page_of_the_audit_log_has_a_hundred_entries_and_never_more_than_a_thousand() {
    let mut service = service();
    assert!(service.start(&[]));
    for n in 0..130 {
        assert_eq!(service.deliver(&event(n)).unwrap(), 200);
    }
    service.wait_until_idle();
    for path in ["/v1/audit", "/v1/audit/verify"] {
        for limit in [0, 1_001] {
            let (status, problem) = service.ask("GET", &format!("{path}?limit={limit}")).unwrap();
            let detail = problem["detail"].as_str().unwrap();
            assert_eq!((status, detail), (400, format!("limit is {limit}, expected 1 to 1000").as_str()), "{path}");
        }
    }
    // However many are asked for, and of whomever; what did not fit comes with the next page.
    for asked in ["", "last=18446744073709551615", "account=test-account", "account=test-account&last=1000000"] {
        let page = service.admin("GET", &format!("/v1/audit?{asked}")).unwrap();
        let indexes = |page: &serde_json::Value| -> Vec<u64> {
            page["entries"].as_array().unwrap().iter().map(|entry| entry["index"].as_u64().unwrap()).collect()
        };
        let (mut all, mut next) = (indexes(&page), page["next"].as_str().unwrap().to_owned());
        assert_eq!(all.len(), 100, "{asked}");
        let of = if asked.contains("account") { "&account=test-account" } else { "" };
        loop {
            let page = service.admin("GET", &format!("/v1/audit?limit=1000&after={next}{of}")).unwrap();
            let more = indexes(&page);
            if more.is_empty() {
                break;
            }
            all.extend(more);
            page["next"].as_str().unwrap().clone_into(&mut next);
        }
        assert!(all.len() >= 130 && all.is_sorted_by(|one, other| one < other), "{asked}: {all:?}");
    }
}
