//! Commands that ask a service, or the store of a stopped one.

use std::path::Path;

use super::serving::serving;
use super::{GOOD, folder_with, run, stderr, stdout};

#[test]
fn a_store_that_is_not_there_is_said_to_be_missing_and_a_backup_is_named_from_where_one_stands() {
    let folder = folder_with(GOOD);
    for words in [&["store", "verify"][..], &["store", "rebuild"], &["jobs", "list", "--offline"]] {
        let output = run(folder.path(), words);
        let expected = "error: there is no store at ./data: the service was never started with this configuration\n";
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), expected), "{words:?}");
    }
    let running = serving();
    let folder = &running.folder;
    assert_eq!(run(folder.path(), &["store", "backup", "copy"]).status.code(), Some(0));
    let output = run(folder.path(), &["store", "verify", "copy", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(found["findings"], serde_json::json!([]));
}

#[test]
fn trigger_posts_what_the_receiver_verifies_and_stores() {
    use adjutant::store::{DeliveryFilter, Limits, MemoryStore, Store as _};
    use adjutant::{clock::SystemClock, config, web::webhook};
    use std::sync::Arc;
    let folder = folder_with(GOOD);
    let read = config::load(&folder.path().join("config.toml"), &config::Env::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = MemoryStore::new(Limits::default());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/webhooks/main", listener.local_addr().unwrap());
    let apps = read.apps.iter().map(config::App::for_receiver).collect();
    let opened = webhook::Receiver::open(apps, Arc::new(store.clone()), Arc::new(SystemClock), read.server.receiver);
    let receiver = runtime.block_on(opened).unwrap();
    runtime.spawn(async move { axum::serve(listener, receiver.router()).await });
    for event in ["user.created", "user.updated", "user.deleted", "meeting.created", "meeting.updated", "meeting.ended"]
    {
        let output = run(folder.path(), &["trigger", event, "--url", &url, "--user", "jill@example.com"]);
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("200 stored"), "{}", stdout(&output));
    }
    let live = [
        "meeting.permanently_deleted",
        "meeting.recovered",
        "meeting.participant_jbh_waiting",
        "meeting.participant_jbh_waiting_left",
        "meeting.participant_joined_waiting_room",
        "meeting.participant_left_waiting_room",
        "meeting.participant_admitted",
        "meeting.participant_joined",
        "meeting.participant_left",
        "meeting.participant_role_changed",
        "meeting.live_streaming_started",
        "meeting.alert",
        "meeting.risk_alert",
    ];
    for event in live {
        let words = ["trigger", event, "--url", &url, "--meeting", "99", "--user", "abc", "--participant", "Ada"];
        let output = run(folder.path(), &words);
        assert_eq!(output.status.code(), Some(0), "{event}: {}{}", stdout(&output), stderr(&output));
    }
    let output = run(folder.path(), &["trigger", "user.created", "--times", "3", "--json", "--url", &url]);
    assert_eq!(stdout(&output).lines().count(), 3);
    let output = run(folder.path(), &["trigger", "endpoint.url_validation", "--url", &url]);
    assert!(stdout(&output).contains("encryptedToken"), "{}", stdout(&output));
    std::fs::write(folder.path().join("wrong"), "another-secret-of-the-test").unwrap();
    let output = run(folder.path(), &["trigger", "user.created", "--url", &url, "--secret-file", "wrong"]);
    assert_eq!(output.status.code(), Some(1));
    let output = run(folder.path(), &["trigger", "user.created", "--url", &url, "--app", "other"]);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(2), "error: no app is named \"other\". the configuration has main\n".into())
    );
    let stored =
        runtime.block_on(store.deliveries(DeliveryFilter { limit: 100, ..DeliveryFilter::default() })).unwrap();
    assert_eq!(stored.len(), 9 + live.len());
    let planned = runtime.block_on(store.unplanned(&[], 100)).unwrap();
    for delivery in planned {
        let event = adjutant::event::wire::parse(delivery.verified.as_ref().unwrap());
        let event = event.unwrap();
        let whole = adjutant::event::wire::body(delivery.verified.as_ref().unwrap()).unwrap();
        if live.contains(&event.name.as_str()) {
            let id = adjutant::ids::MeetingId::from_number(99);
            assert_eq!(adjutant::rules::subjects(&event, &whole), [adjutant::job::Subject::Meeting { id }]);
            assert_eq!(whole["payload"]["object"]["host_id"], "abc");
            let name = whole.pointer("/payload/object/participant/user_name");
            assert_eq!(name.is_some(), event.name.contains("participant"), "{}", event.name);
            assert!(name.is_none_or(|name| name == "Ada"));
        }
    }
}

/// The oldest file of the journal in the only store below a folder.
fn first_segment(folder: &Path) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    let mut segments = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "seg") {
                segments.push(path);
            }
        }
    }
    segments.into_iter().min().unwrap()
}

fn turn_a_bit(file: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 16], at).unwrap();
}

#[test]
fn the_commands_ask_the_running_service_and_move_its_jobs() {
    let running = serving();
    let told = |words: &[&str], code: i32| -> String {
        let output = run(running.folder.path(), words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output) + &stderr(&output)
    };
    assert_eq!(told(&["attention"], 0), "nothing needs a person\n");
    assert_eq!(told(&["jobs", "list"], 0), "JOB  STATE  AT  ACCOUNT  RULE  SUBJECT  CAUSE  WHY\n0 jobs\n");
    assert!(told(&["trigger", "user.created", "--user", "abc"], 0).contains("200 stored"));
    let listed = told(&["deliveries", "list"], 0);
    assert!(listed.ends_with("\n1 delivery\n") && listed.contains("  user.created  "), "{listed}");
    assert!(told(&["deliveries", "show", "dlv_1"], 0).contains("\"event\": \"user.created\""));
    while !told(&["jobs", "list", "--state", "due"], 0).contains("Connection refused") {
        std::thread::yield_now();
    }
    assert!(told(&["jobs", "show", "job_1"], 0).contains("subject   user:abc\n"));
    // Between two attempts: a job that runs cannot be set aside.
    while run(running.folder.path(), &["jobs", "park", "job_1"]).status.code() != Some(0) {
        std::thread::yield_now();
    }
    let attention = told(&["attention"], 0);
    assert!(attention.contains("then: adjutant jobs retry --cause by-person --account AAAAAABBBB"), "{attention}");
    assert!(attention.contains("   (one of them: job_1, of rule "), "{attention}");
    let parked: serde_json::Value = serde_json::from_str(&told(&["attention", "--json"], 0)).unwrap();
    assert_eq!(parked["parked"][0]["count"], 1);
    let none =
        |causes: &str| format!("error: no job is parked for nonsense. causes that jobs are parked for: {causes}\n");
    assert_eq!(told(&["jobs", "retry", "--cause", "nonsense"], 1), none("by-person"));
    assert_eq!(told(&["jobs", "retry", "--cause", "by-person"], 0), "1 job is tried again\n");
    assert_eq!(told(&["jobs", "retry", "--cause", "nonsense"], 1), none("none"));
    assert_eq!(told(&["jobs", "show", "job_99"], 1), "error: there is no job job_99\n");
    assert_eq!(told(&["deliveries", "replay", "dlv_1"], 0), "dlv_1 is planned again\n");
    let tail = told(&["audit", "tail", "-n", "1000"], 0);
    assert!(tail.starts_with("     0  ") && tail.contains("  delivery   stored  dlv_1"), "{tail}");
    assert!(told(&["audit", "verify"], 0).starts_with("the audit log is good: "));
    assert!(told(&["audit", "show", "0"], 0).contains("\nleaf "), "entry 0");
    // The first record is the delivery of entry 0.
    turn_a_bit(&first_segment(running.folder.path()), 200);
    let damaged = told(&["audit", "verify"], 1);
    assert!(damaged.starts_with("error: the audit log does not verify:\n  entry 0: "), "{damaged}");
    assert!(damaged.contains(".seg is damaged from byte "), "{damaged}");
    turn_a_bit(&first_segment(running.folder.path()), 200);
    assert!(told(&["audit", "verify"], 0).contains("\nhashed anew from all stored bytes: "));
    assert!(told(&["audit", "show", "100000"], 1).starts_with("error: there is no entry 100000: the log has "));
    std::fs::write(running.folder.path().join("admin.token"), "adj_another-token-that-is-not-it\n").unwrap();
    assert!(
        told(&["jobs", "list"], 77).starts_with("error: the service does not know the token of [admin] token_file")
    );
}

/// A store with so many entries in its audit log, where the configuration has it.
fn logged(folder: &Path, entries: u64) {
    use adjutant::audit::{Detail, Kind};
    use adjutant::chance::SystemChance;
    use adjutant::clock::{Clock as _, SystemClock};
    use adjutant::store::local::{MasterKey, Settings};
    use adjutant::store::{LocalStore, Note, Store as _};
    use std::sync::Arc;
    let key = MasterKey::File(folder.join("master.key"));
    let settings = Settings { disk_reserve_bytes: 0, ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let opened = LocalStore::open(
            &folder.join("data"),
            settings,
            key,
            Arc::new(SystemClock),
            Arc::new(SystemChance),
            &mut |_, _, _| {},
        );
        let store = opened.unwrap().0;
        while store.tree_head().await.unwrap().size < entries {
            let (code, detail) = ("started".to_owned(), Detail::note("for a test"));
            let note = Note { kind: Kind::Service, app: None, account: None, code, detail };
            store.note(note, SystemClock.now()).await.unwrap();
        }
        store.close().await.unwrap();
    });
}

#[test]
fn the_newest_entries_are_the_newest_however_many_are_asked_for() {
    let folder = folder_with(GOOD);
    logged(folder.path(), 1_100);
    let tail = |lines: &str| {
        let output = run(folder.path(), &["audit", "tail", "--offline", "--json", "-n", lines]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let index = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["index"].as_u64().unwrap();
        stdout(&output).lines().map(index).collect::<Vec<_>>()
    };
    for (lines, first) in [("1050", 50), ("2000", 0), ("1000", 100), ("3", 1_097), ("0", 1_100)] {
        assert_eq!(tail(lines), (first..1_100).collect::<Vec<_>>(), "{lines}");
    }
}

/// A service that was asked to sweep an account, and by the next look serves it no more.
#[test]
fn a_sweep_of_an_account_that_is_gone_meanwhile_comes_to_an_end() {
    use axum::Json;
    use serde_json::json;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let folder = folder_with(&GOOD.replace("127.0.0.1:1\"", &format!("{}\"", listener.local_addr().unwrap())));
    std::fs::write(folder.path().join("admin.token"), "adj_the-token-of-the-test-0123456789\n").unwrap();
    let taken = json!({ "account": "AAAAAABBBB", "taken": true, "why": null });
    let asked = json!({ "asked_at": "2026-01-01T00:00:00Z", "accounts": [taken] });
    let sweeps = axum::routing::get(|| async { Json(json!([])) }).post(|| async { Json(asked) });
    let router = axum::Router::new().route("/v1/sweeps", sweeps);
    runtime.spawn(async move { axum::serve(listener, router).await });
    let output = run(folder.path(), &["sweep"]);
    let told =
        "account AAAAAABBBB: the sweep did not begin: the service was restarted, or the account is no more in its";
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).starts_with(told), "{}", stdout(&output));
}
