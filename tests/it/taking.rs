//! Consumers that take the audit log, with the real binary: what arrives, in which form, and over its sudden end.

mod checkpoints;
mod faults;
mod streams;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::Value;
use standardwebhooks::Webhook;

use crate::process::proxy::{Asked, Proxy, answer};
use crate::process::say;
use crate::process::service::{ACCOUNT, Service};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Answers every POST as the test says, and gives what came, with its answer.
fn inbox(act: impl Fn(&Asked) -> u16 + Send + 'static) -> (String, Receiver<(u16, Asked)>) {
    let (proxy, (tell, told)) = (Proxy::new(None), channel());
    let url = proxy.url();
    std::thread::spawn(move || {
        proxy.serve_all(|asked| {
            let status = act(&asked);
            let _test_is_over = tell.send((status, asked));
            answer(status, "", "")
        });
    });
    (url, told)
}

/// No Zoom is needed: nobody listens there.
fn service(more: &str) -> Service {
    let service = Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth");
    let path = service.folder().join("config.toml");
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + more).unwrap();
    service
}

fn hook(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[consumer]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{url}/in\"\nsecret = \"{KEY}\"\nallow_private = true\n\
         include = [\"audit\"]\nfrom = \"start\"\n{more}"
    )
}

fn event(id: u64) -> String {
    format!(
        r#"{{"event":"meeting.started","event_ts":{},"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"{id}","uuid":"u{id}==","host_id":"h","topic":"T","password":"planted-pw","join_url":"https://zoom.us/j/{id}?pwd=planted-pw"}}}}}}"#,
        1_790_000_000_000 + id
    )
}

fn size(service: &Service) -> u64 {
    service.admin("GET", "/v1/audit/head").unwrap()["size"].as_u64().unwrap()
}

fn consumer(service: &Service, name: &str) -> Value {
    service.admin("GET", &format!("/v1/consumers/{name}")).unwrap()
}

/// Until it has so many entries.
fn wait_for(service: &Service, name: &str, entries: u64) {
    while consumer(service, name)["next"].as_u64().unwrap() < entries {
        std::thread::yield_now();
    }
}

fn is_signed(asked: &Asked) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in &asked.headers {
        headers.insert(http::HeaderName::try_from(name.as_str()).unwrap(), value.parse().unwrap());
    }
    Webhook::new(KEY).unwrap().verify(&asked.body, &headers).is_ok()
}

#[test]
fn who_hangs_costs_nobody_else_anything_and_deliveries_come_without_secrets_unless_they_are_asked_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}", silent.local_addr().unwrap());
    let file = |name: &str, more: &str| {
        format!(
            "[[consumer]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{name}.jsonl\"\ninclude = [\"deliveries\"]\n\
             from = \"start\"\n{more}"
        )
    };
    let mut service =
        service(&format!("{}{}{}", hook("hangs", &hangs, ""), file("masked", ""), file("whole", "secrets = true\n")));
    assert!(service.start(&[]), "{}", service.log());
    for id in 0..10 {
        assert_eq!(service.deliver(&event(id)).unwrap(), 200);
    }
    let last = size(&service);
    wait_for(&service, "masked", last);
    wait_for(&service, "whole", last);
    assert_eq!(consumer(&service, "hangs")["sent"], 0);
    let lines = |name: &str| {
        let text = std::fs::read_to_string(service.folder().join(format!("{name}.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let (masked, whole) = (lines("masked"), lines("whole"));
    assert_eq!((masked.len(), whole.len()), (10, 10));
    for (id, (masked, whole)) in masked.iter().zip(&whole).enumerate() {
        assert_eq!((&masked["type"], &masked["id"]), (&"adjutant.delivery.v1".into(), &whole["id"]));
        assert_eq!(masked["data"]["payload"]["object"]["id"], id.to_string());
        assert_eq!(masked["data"]["payload"]["object"]["password"], "***");
        assert!(!masked.to_string().contains("planted"), "{masked}");
        let body = event(u64::try_from(id).unwrap());
        assert_eq!(whole["data_base64"], STANDARD.encode(body), "as it came");
    }
}

#[test]
fn a_person_sees_how_far_a_consumer_is_and_pauses_resumes_and_replays_it() {
    let (url, told) = inbox(|_| 200);
    let mut service = service(&hook("siem", &url, "filter = 'entry.kind == \"delivery\"'\n"));
    assert!(service.start(&[]), "{}", service.log());
    let run = |service: &Service, words: &[&str]| {
        let (code, out, err) = service.command(words);
        assert_eq!(code, 0, "{words:?}: {out}{err}");
        out
    };
    let out = run(&service, &["consumers", "pause", "siem"]);
    assert!(out.contains("paused since") && out.contains("paused by"), "{out}");
    let alarms = service.admin("GET", "/v1/attention").unwrap()["alarms"].to_string();
    assert!(alarms.contains("consumer-paused"), "{alarms}");
    for id in 0..3 {
        assert_eq!(service.deliver(&event(id)).unwrap(), 200);
    }
    let waits: Value = serde_json::from_str(&run(&service, &["consumers", "show", "siem", "--json"])).unwrap();
    assert_eq!((&waits["state"], &waits["sent"]), (&"paused".into(), &0.into()));
    run(&service, &["consumers", "resume", "siem"]);
    let index = |(_, asked): (u16, Asked)| {
        let event: Value = serde_json::from_slice(&asked.body).unwrap();
        event["data"]["index"].as_u64().unwrap()
    };
    let first: Vec<u64> = told.iter().take(3).map(index).collect();
    wait_for(&service, "siem", first[2] + 1);
    run(&service, &["consumers", "replay", "siem", "--from", &first[1].to_string()]);
    assert_eq!(told.iter().take(2).map(index).collect::<Vec<_>>(), first[1..]);
    let list: Value = serde_json::from_str(&run(&service, &["consumers", "list", "--json"])).unwrap();
    assert_eq!((&list[0]["include"][0], &list[0]["log"]["state"]), (&"audit".into(), &"running".into()), "{list}");
    let (code, _, err) = service.command(&["consumers", "replay", "siem", "--from", "1000000"]);
    assert!(code != 0 && err.contains("beyond the end of the log"), "{err}");
    let (code, _, err) = service.command(&["consumers", "show", "nobody"]);
    assert!(code != 0 && err.contains("nobody"), "{err}");
    let log = run(&service, &["audit", "tail"]);
    for code in ["consumer-paused", "consumer-resumed", "consumer-replayed"] {
        assert!(log.contains(code), "{code} in {log}");
    }
}

#[test]
fn one_that_was_taken_out_of_the_configuration_is_listed_until_a_person_has_it_forgotten() {
    let (url, _told) = inbox(|_| 200);
    let mut service = service("");
    let path = service.folder().join("config.toml");
    let bare = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, bare.clone() + &hook("siem", &url, "")).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    wait_for(&service, "siem", 1);
    let (code, _, err) = service.command(&["consumers", "forget", "siem", "--yes"]);
    assert!(code == 1 && err.contains("is in the configuration"), "{err}");
    std::fs::write(&path, bare).unwrap();
    assert_eq!(service.command(&["reload"]).0, 0);
    let (_, out, _) = service.command(&["consumers", "list"]);
    assert!(out.contains("siem") && out.contains("not configured"), "{out}");
    let (code, _, err) = service.command(&["consumers", "forget", "siem", "--json"]);
    assert!(code == 2 && err.contains("add --yes"), "{code}: {err}");
    let (code, out, err) = service.command(&["consumers", "forget", "siem", "--yes"]);
    assert!(code == 0 && out.contains("consumer siem is forgotten"), "{out}{err}");
    let (_, out, _) = service.command(&["consumers", "list"]);
    assert!(!out.contains("siem"), "{out}");
    let (code, _, err) = service.command(&["consumers", "forget", "siem", "--yes"]);
    assert!(code == 1 && err.contains("there is no consumer siem"), "{err}");
    assert!(service.command(&["audit", "tail"]).1.contains("consumer-forgotten"));
}

fn example(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples").join(name)).unwrap()
}

/// What a consumer of an example sends, with this in the place of the URL: what was asked for, and all entries, of which none
/// is missing.
fn sent_by(name: &str, consumer: &str, place: &str, header: &str) -> (Vec<Asked>, Vec<Value>) {
    let (url, told) = inbox(|_| 200);
    let consumer = consumer.replace(place, &url).replace("allow_private = true\n", "");
    let mut service = service(&format!("{consumer}allow_private = true\nfrom = \"start\"\n"));
    std::fs::write(service.folder().join(format!("{name}-headers")), format!("Authorization: {header}\n")).unwrap();
    assert!(service.start(&[]), "{}", service.log());
    for id in 0..5 {
        assert_eq!(service.deliver(&event(id)).unwrap(), 200);
    }
    let last = size(&service);
    wait_for(&service, name, last);
    let (_, config, _) = service.command(&["config"]);
    let secret = header.split_once(' ').unwrap().1;
    assert!(!config.contains(secret) && !service.log().contains(secret), "{config}");
    let all: Vec<Asked> = told.try_iter().map(|(_, asked)| asked).collect();
    let mut entries = Vec::new();
    for asked in &all {
        let had = |name: &str| asked.headers.iter().find(|(had, _)| had == name).map(|(_, value)| value.as_str());
        assert_eq!((had("authorization"), had("webhook-signature")), (Some(header), None));
        for line in std::str::from_utf8(&asked.body).unwrap().lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            assert_eq!(entry["index"], entries.len(), "{line}");
            entries.push(entry);
        }
    }
    assert!(u64::try_from(entries.len()).unwrap() >= last, "{} of {last}", entries.len());
    (all, entries)
}

#[test]
fn the_example_for_splunk_sends_what_its_event_collector_takes() {
    let (asked, entries) =
        sent_by("splunk", &example("splunk.toml"), "https://splunk.example:8088", "Splunk planted-token");
    for asked in asked {
        assert_eq!(asked.path, "/services/collector/raw?sourcetype=_json&source=adjutant");
    }
    assert!(entries.iter().all(|entry| entry["at"].is_string()), "{entries:?}");
}

/// Vector cannot be had from a registry: what it does with its configuration is read there, in its own source of 0.58.
#[test]
fn the_example_for_vector_sends_lines_with_what_its_sinks_are_told_to_take_from_them() {
    let text = example("vector.toml");
    let consumer: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    let (_, entries) = sent_by("vector", &(consumer.join("\n") + "\n"), "http://127.0.0.1:8686", "Basic cGxhbnRlZA==");
    let vector: toml::Table = text.parse().unwrap();
    let known = |name: &str| ["sources", "transforms"].iter().any(|kind| vector[*kind].get(name).is_some());
    for (name, sink) in vector["sinks"].as_table().unwrap() {
        // Else it answers 200 before anybody has the entries; the source's own setting has no effect.
        assert_eq!(sink["acknowledgements"]["enabled"].as_bool(), Some(true), "{name}");
        assert!(sink["inputs"].as_array().unwrap().iter().all(|input| known(input.as_str().unwrap())), "{name}");
    }
    let source = &vector["sources"]["adjutant"];
    assert_eq!(source["framing"]["method"].as_str(), Some("newline_delimited"));
    assert_eq!(source["decoding"]["codec"].as_str(), Some("json"));
    assert_eq!(vector["transforms"]["timed"]["source"].as_str(), Some(".timestamp = parse_timestamp!(.at, \"%+\")\n"));
    let id = vector["sinks"]["elastic"]["id_key"].as_str().unwrap();
    let ids: std::collections::BTreeSet<&str> = entries.iter().map(|entry| entry[id].as_str().unwrap()).collect();
    assert_eq!(ids.len(), entries.len(), "each has an id of its own");
    for entry in &entries {
        assert!(entry["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{entry}");
        assert!(entry.get("timestamp").is_none(), "it would be lost: {entry}");
    }
}

/// The official library for Python: `tests/run` prepares one that has it.
#[test]
fn the_official_library_for_python_accepts_what_is_signed_and_nothing_else() {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let python = std::env::var_os("ADJUTANT_WEBHOOKS_PYTHON").map_or(venv, PathBuf::from);
    if python == Path::new("none") {
        // `tests/run` says so at its end.
        return say("not tried: the library standardwebhooks could not be had from PyPI");
    }
    assert!(python.exists(), "there is no {}: `tests/run` makes it", python.display());
    let (url, told) = inbox(|_| 200);
    let mut service = service(&hook("siem", &url, "batch_max = 10\n"));
    assert!(service.start(&[]), "{}", service.log());
    let (_, asked) = told.recv().unwrap();
    let headers: BTreeMap<&str, &str> =
        asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let verified = |key: &str| {
        let script = "import json, sys\nfrom standardwebhooks.webhooks import Webhook\nasked = json.loads(sys.argv[1])\n\
                      Webhook(asked['key']).verify(asked['body'], asked['headers'])";
        let body = String::from_utf8(asked.body.clone()).unwrap();
        let asked = serde_json::json!({ "key": key, "body": body, "headers": headers }).to_string();
        let output = Command::new(&python).args(["-c", script, &asked]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (is_good, error) = verified(KEY);
    assert!(is_good, "{error}");
    let (is_good, error) = verified("whsec_plJ3nmyCDGBKInavdOK15jsl3Jz0Wk2nJ8VnTzQJmvI=");
    assert!(!is_good && error.contains("WebhookVerificationError"), "{error}");
}
