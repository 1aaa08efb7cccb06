//! What operators do with the real binary: stop it, copy its store, look at it while it is stopped.

use std::sync::Arc;

use adjutant::chance::SeededChance;
use adjutant::clock::SystemClock;
use adjutant::sim::{NewAccount, NewUser, Plan, Sim, World};

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

#[test]
fn a_sweep_on_demand_says_what_it_found_and_a_dry_one_asks_for_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(Arc::new(SystemClock), Arc::new(SeededChance::new(1)));
    world.add_account(NewAccount { plan: Plan::Business, ..NewAccount::named(ACCOUNT) }).unwrap();
    world.add_user(ACCOUNT, NewUser::licensed(API_USER)).unwrap();
    let sim = runtime.block_on(Sim::start(world.clone())).unwrap();
    let mut service = Service::new(&sim.api_url(), &sim.oauth_url());
    assert!(service.start(&[]), "{}", service.log());
    // The first start sweeps by itself.
    let standing = |service: &Service| {
        serde_json::from_str::<serde_json::Value>(&told(service, &["sweep", "list", "--json"], 0)).unwrap()
    };
    while standing(&service)[0]["state"] != "waits" || standing(&service)[0]["whole_at"].is_null() {
        std::thread::yield_now();
    }
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
    service.wait_until_idle();
    for n in 0..2 {
        assert_eq!(world.assistants(ACCOUNT, &format!("teacher-{n}@school.example")), [API_USER]);
    }
    assert!(told(&service, &["sweep", "list"], 0).contains(counts));
    assert!(
        told(&service, &["sweep", "--rule", "waiting-room"], 2)
            .contains("rule waiting-room wants nothing that lists say")
    );
    assert!(told(&service, &["sweep", "--account", "nobody"], 1).contains("there is no account nobody"));
    let (_, doctor, _) = service.command(&["doctor"]);
    assert!(doctor.contains("sweeps") && doctor.contains("last whole one 20"), "{doctor}");
    let json: serde_json::Value = serde_json::from_str(&told(&service, &["sweep", "--json"], 0)).unwrap();
    assert_eq!(
        (json[ACCOUNT]["ended"]["found"].clone(), json[ACCOUNT]["ended"]["why"].clone()),
        (0.into(), "person".into())
    );
}
