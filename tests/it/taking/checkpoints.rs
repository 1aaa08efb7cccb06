//! Checkpoints, with the real binary and its real log.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{event, service, size};
use crate::process::service::Service;

const TO_FILE: &str = "[[consumer]]\nname = \"lines\"\nkind = \"file\"\npath = \"lines.jsonl\"\n\
                       include = [\"audit\", \"checkpoints\"]\nfrom = \"start\"\n";

fn lines(service: &Service) -> Vec<Value> {
    let text = std::fs::read_to_string(service.folder().join("lines.jsonl")).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn checkpoints(service: &Service) -> Vec<Value> {
    lines(service).into_iter().filter(|line| line["type"] == "adjutant.audit.checkpoint.v1").collect()
}

/// Has all of now signed, and waits until that came.
fn sign(service: &Service) {
    let size = size(service);
    service.admin("GET", &format!("/v1/audit/proofs/{}", size - 1)).unwrap();
    while checkpoints(service).last().is_none_or(|last| last["data"]["size"].as_u64().unwrap() < size) {
        std::thread::yield_now();
    }
}

/// All that were signed, as the store keeps them.
fn kept(folder: &Path) -> String {
    let mut hours: Vec<_> = std::fs::read_dir(folder).unwrap().map(|hour| hour.unwrap().path()).collect();
    hours.sort();
    hours.iter().map(|hour| std::fs::read_to_string(hour).unwrap()).collect()
}

#[test]
fn each_checkpoint_that_is_signed_arrives_with_its_number_over_kills_and_stops() {
    let mut service = service(TO_FILE);
    for life in 0..4 {
        assert!(service.start(&[]), "{}", service.log());
        for id in life * 3..life * 3 + 3 {
            assert_eq!(service.deliver(&event(id)).unwrap(), 200);
        }
        sign(&service);
        if life % 2 == 0 {
            service.kill();
        } else {
            // It signs once more, which is told at the next start.
            assert_eq!(service.terminate(), Some(0));
        }
    }
    assert!(service.start(&[]), "{}", service.log());
    assert_eq!(service.deliver(&event(99)).unwrap(), 200);
    sign(&service);
    service.kill();
    // Those that came again are the same.
    let mut told = BTreeMap::new();
    for line in checkpoints(&service) {
        let number = line["data"]["number"].as_u64().unwrap();
        assert_eq!(told.entry(number).or_insert_with(|| line.clone()), &line);
    }
    let note = |line: &Value| line["data"]["note"].as_str().unwrap().to_owned();
    let written: Vec<String> = told.iter().map(|(number, line)| format!("{number}\n{}\n", note(line))).collect();
    let written = written.concat();
    let kept = kept(&service.folder().join("data/log/checkpoints"));
    assert!(told.len() >= 5 && kept.starts_with(&written), "{written}\n\nand kept are:\n{kept}");
}

#[test]
fn ids_name_the_log_also_after_its_key_changed_and_after_a_restore_began_another() {
    let mut service = service(TO_FILE);
    let run = |service: &Service, words: &[&str]| {
        let (code, out, err) = service.command(words);
        assert_eq!(code, 0, "{words:?}: {out}{err}");
        out
    };
    let name = |service: &Service| run(service, &["audit", "key"]).split('+').next().unwrap().to_owned();
    // Of lines from one on, each log that is named.
    let named = |service: &Service, from: usize| {
        let mut names: Vec<String> = lines(service)[from..]
            .iter()
            .inspect(|line| {
                let index = &line["data"]["index"];
                let id = if index.is_null() { "checkpoint".to_owned() } else { index.to_string() };
                let begins = format!("{}/{id}", line["source"].as_str().unwrap());
                assert!(line["id"].as_str().unwrap().starts_with(&begins), "{line}");
            })
            .map(|line| line["source"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    };
    assert!(service.start(&[]), "{}", service.log());
    let old = name(&service);
    let backup = service.folder().join("backup").to_str().unwrap().to_owned();
    run(&service, &["store", "backup", &backup]);
    run(&service, &["audit", "key", "--change"]);
    assert_eq!(service.deliver(&event(1)).unwrap(), 200);
    sign(&service);
    assert_eq!(named(&service, 0), std::slice::from_ref(&old), "another key is none of the name");
    service.kill();
    let before = lines(&service).len();
    std::fs::remove_dir_all(service.folder().join("data")).unwrap();
    run(&service, &["store", "restore", &backup, "--new-log"]);
    assert!(service.start(&[]), "{}", service.log());
    let new = name(&service);
    assert_ne!(new, old);
    sign(&service);
    service.kill();
    let after = named(&service, before);
    assert!(after.contains(&new), "{after:?}");
    // What was signed before stays of the log that it is of.
    let wrong = |line: &&Value| line["source"] == *old && line["type"] != "adjutant.audit.checkpoint.v1";
    assert_eq!(lines(&service)[before..].iter().find(wrong), None);
}
