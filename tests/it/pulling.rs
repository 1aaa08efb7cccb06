//! The audit log pulled by those who read it, from the real binary: followed, streamed, exported.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use adjutant::web::admin::entry_schema;
use boon::{Compiler, Schemas};
use serde_json::Value;

use crate::access::streams::Reader;
use crate::process::served::{Served, served};
use crate::process::service::{ACCOUNT, Service};

/// With some entries in its log.
fn worked() -> Served {
    let mut served = served("");
    served.settle();
    served
}

fn token(service: &Service) -> String {
    std::fs::read_to_string(service.folder().join("admin.token")).unwrap().trim().to_owned()
}

fn size(service: &Service) -> u64 {
    service.admin("GET", "/v1/audit/head").unwrap()["size"].as_u64().unwrap()
}

/// Entries as lines of JSON.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn indexes(entries: &[Value]) -> Vec<u64> {
    entries.iter().map(|entry| entry["index"].as_u64().unwrap()).collect()
}

fn exported(service: &Service, words: &[&str]) -> String {
    let (code, out, err) = service.command(&[&["audit", "export", "--format", "jsonl"], words].concat());
    assert!(code == 0 && err.contains("go on with --from "), "{words:?}: {err}");
    out
}

#[test]
fn a_stream_ends_at_its_end_when_the_service_stops_and_holds_up_no_stop() {
    let mut served = worked();
    let token = token(&served.service);
    let mut reader = Reader::open(served.service.admin, &token, "/v1/audit/stream?from=0", None);
    assert_eq!(reader.event().unwrap().1["index"], 0);
    assert_eq!(served.service.terminate(), Some(0));
    let mut last = 0;
    while let Some((_, entry)) = reader.event() {
        assert_eq!(entry["index"], last + 1);
        last += 1;
    }
}

#[test]
fn tail_follows_the_log_without_a_pause() {
    let served = worked();
    let config = served.service.folder().join("config.toml");
    let mut tail = Command::new(env!("CARGO_BIN_EXE_adjutant"))
        .arg("--config")
        .arg(config)
        .args(["audit", "tail", "-n", "1", "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next =
        || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["index"].as_u64().unwrap();
    let first = next();
    let event = format!(
        r#"{{"event":"meeting.started","event_ts":1,"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"7"}}}}}}"#
    );
    assert_eq!(served.service.deliver(&event).unwrap(), 200);
    assert_eq!(next(), first + 1);
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn exports_that_meet_hold_every_entry_once_also_of_a_stopped_service() {
    let mut served = worked();
    let size = size(&served.service);
    assert!(size > 20, "{size}");
    // Later ones may still come.
    let end = size.to_string();
    let all = lines(&exported(&served.service, &["--to", &end]));
    assert_eq!(indexes(&all), (0..size).collect::<Vec<_>>());
    let page = served.service.admin("GET", &format!("/v1/audit?limit=1000&to={end}")).unwrap();
    assert_eq!(page["entries"], Value::from(all.clone()), "each as a page of the log has it");
    let time = all[11]["at"].as_str().unwrap();
    let parts = [
        exported(&served.service, &["--to", "7"]),
        exported(&served.service, &["--from", "7", "--to", time]),
        exported(&served.service, &["--from", time, "--to", &end]),
    ];
    assert_eq!(lines(&parts.concat()), all, "up to a number or a time, and from there on");
    let of = lines(&exported(&served.service, &["--account", ACCOUNT, "--kind", "outcome,intent", "--to", &end]));
    let is_its =
        |entry: &&Value| entry["account"] == ACCOUNT && (entry["kind"] == "outcome" || entry["kind"] == "intent");
    assert_eq!(of, all.iter().filter(is_its).cloned().collect::<Vec<_>>());
    assert!(of.len() > 3, "{of:?}");
    let condition = "entry.kind in [\"outcome\", \"intent\"] && has(entry.account)";
    assert_eq!(lines(&exported(&served.service, &["--filter", condition, "--to", &end])), of);
    assert_eq!(served.service.terminate(), Some(0));
    let offline = lines(&exported(&served.service, &["--offline", "--to", &end]));
    assert_eq!(offline, all);
}

#[test]
fn an_export_goes_on_after_its_first_page() {
    let mut served = worked();
    for number in 0..500 {
        let body = format!(r#"{{"event":"meeting.started","event_ts":{number},"payload":{{"account_id":"nobody"}}}}"#);
        assert_eq!(served.service.deliver(&body).unwrap(), 200);
    }
    served.service.wait_until_idle();
    let size = size(&served.service);
    assert!(size > 1_000, "{size}");
    let to = size.to_string();
    let whole = lines(&exported(&served.service, &["--to", &to]));
    assert_eq!(indexes(&whole), (0..size).collect::<Vec<_>>());
    let mut chosen = whole;
    chosen.retain(|entry| entry["kind"] == "delivery");
    assert_eq!(lines(&exported(&served.service, &["--to", &to, "--kind", "delivery"])), chosen);
}

#[test]
fn an_export_to_a_file_is_there_when_it_is_whole_and_a_wrong_one_leaves_nothing() {
    let served = worked();
    let file = served.service.folder().join("export.jsonl");
    let path = file.to_str().unwrap();
    let told = served.told(&["audit", "export", "--format", "jsonl", "--output", path, "--to", "9"], 0);
    assert_eq!(told, "exported 9 entries, of those from 0 to 8; go on with --from 9\n");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(indexes(&lines(&text)), (0..9).collect::<Vec<_>>());
    for (wrong, code) in [
        (&["--from", "9", "--to", "3"][..], 2),
        (&["--from", "yesterday"], 2),
        (&["--kind", "nothing"], 2),
        (&["--output", "/nowhere/at/all"], 74),
    ] {
        let words = [&["audit", "export", "--format", "csv", "--output", path], wrong].concat();
        let words = if wrong[0] == "--output" { [&words[..4], wrong].concat() } else { words };
        served.told(&words, code);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{wrong:?}");
    }
    let left = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    assert!(std::fs::read_dir(served.service.folder()).unwrap().map(left).all(|name| !name.contains(".new-")));
}

#[test]
fn an_account_that_is_not_there_and_a_place_behind_the_end_are_told_and_no_empty_log() {
    let served = worked();
    for path in ["/v1/audit?account=nope", "/v1/audit?account=nope&last=5", "/v1/audit/stream?account=nope"] {
        let (status, told) = served.service.ask("GET", path).unwrap();
        assert_eq!((status, told["detail"].as_str()), (404, Some("there is no account nope")), "{path}: {told}");
    }
    for path in ["/v1/audit?from=900000", "/v1/audit?from=900000&wait_secs=5", "/v1/audit/stream?from=900000"] {
        let (status, told) = served.service.ask("GET", path).unwrap();
        let is_told = told["detail"].as_str().unwrap().starts_with("from is 900000, beyond the end: the log has ");
        assert!(status == 400 && is_told, "{path}: {status}, {told}");
    }
    let told = served.told(&["audit", "export", "--account", "nope", "--format", "jsonl"], 1);
    assert!(told.contains("there is no account nope"), "{told}");
    served.told(&["audit", "tail", "--account", "nope"], 1);
    assert!(!lines(&exported(&served.service, &["--account", ACCOUNT])).is_empty());
    let told = served.told(&["audit", "export", "--from", "900000", "--format", "jsonl"], 1);
    assert!(told.contains("--from is entry 900000, and the log has "), "{told}");
    // Where an export ended, the next one goes on.
    let end = size(&served.service).to_string();
    assert_eq!(exported(&served.service, &["--from", &end, "--to", &end]), "");
}

#[test]
fn a_row_of_csv_says_what_the_entry_says() {
    let served = worked();
    let end = size(&served.service).to_string();
    let (code, text, _) = served.service.command(&["audit", "export", "--format", "csv", "--to", &end]);
    assert_eq!(code, 0);
    let mut read = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = read.headers().unwrap().iter().map(str::to_owned).collect();
    let all = lines(&exported(&served.service, &["--to", &end]));
    let mut rows = 0;
    for (row, entry) in read.records().zip(&all) {
        let row = row.unwrap();
        for (name, cell) in head.iter().zip(row.iter()) {
            let value = name.split('.').try_fold(entry, |value, part| value.get(part)).unwrap_or(&Value::Null);
            let wanted = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(cell.trim_start_matches('\''), wanted, "{name} of {entry}");
        }
        rows += 1;
    }
    assert_eq!(rows, all.len());
}

#[test]
fn an_export_in_the_words_of_others_has_each_entry_once_under_the_name_of_the_log() {
    let served = worked();
    let size = size(&served.service);
    let to = size.to_string();
    let key = served.told(&["audit", "key"], 0);
    let log = key.split('+').next().unwrap();
    let (code, out, _) = served.service.command(&["audit", "export", "--format", "cloudevents", "--to", &to]);
    let ids: Vec<String> = lines(&out).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((code, ids), (0, (0..size).map(|index| format!("{log}/{index}")).collect()));
    let (code, out, _) = served.service.command(&["audit", "export", "--format", "ocsf", "--to", &to]);
    let events = lines(&out);
    assert!(code == 0 && events.iter().all(|event| event["class_uid"].is_u64()), "{out}");
    assert_eq!(u64::try_from(events.len()).unwrap(), size);
}

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

#[test]
fn the_committed_schema_of_an_entry_is_the_one_of_the_program_and_says_what_each_field_is() {
    let schema = entry_schema();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::fs::read_to_string(committed("audit-entry.schema.json")).ok().as_deref() != Some(text.as_str()) {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-entry.schema.json");
        std::fs::write(&fresh, text).unwrap();
        panic!(
            "entries are not what deploy/audit-entry.schema.json says. if that is meant: cp {} deploy/",
            fresh.display()
        );
    }
    assert!(schema["$id"].as_str().unwrap().ends_with(&format!(":{}", schema["version"])), "{schema}");
    let parts = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for (name, field) in parts.flat_map(|part| part["properties"].as_object().into_iter().flatten()) {
        assert!(field["description"].is_string() || field["$ref"].is_string(), "{name} is not described: {field}");
    }
}

#[test]
fn every_entry_of_a_log_is_as_the_schema_says_and_another_form_is_found() {
    let served = worked();
    let printed: Value = serde_json::from_str(&served.told(&["audit", "schema"], 0)).unwrap();
    assert_eq!(printed, entry_schema());
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("file:///entry.json", printed).unwrap();
    let index = compiler.compile("file:///entry.json", &mut schemas).unwrap();
    let all = lines(&exported(&served.service, &[]));
    for entry in &all {
        let fault = schemas.validate(entry, index).err().map(|error| format!("{error:#}"));
        assert_eq!(fault, None, "{entry}");
    }
    let mut wrong = all[0].clone();
    wrong["index"] = "0".into();
    assert!(schemas.validate(&wrong, index).is_err(), "a number as text");
    wrong.as_object_mut().unwrap().remove("index");
    assert!(schemas.validate(&wrong, index).is_err(), "a field that is missing");
}
