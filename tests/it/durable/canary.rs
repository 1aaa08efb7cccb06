//! Nothing personal and no secret is on disk in plain.

use std::path::Path;

use adjutant::audit::{Call, Detail, Kind};
use adjutant::job::{Effect, Outcome, ParkCause};
use adjutant::store::{
    Decision, Limits, LocalStore, Note, Store, SweepCause, SweepKind, SweepRecord, SweepStep, Verdict,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::kit::{Folder, decision, deliver, new_delivery, settings, work_one};
use crate::contract::kit::{START, account, app, ensure, user_with_email, work};

const EMAIL: &str = "canary.person@school.example";
const USER: &str = "CanaryUserId0000000001";
const SECRET: &str = "canary-secret-3f9a1b7c5d";

/// The ways in which one could find a text.
pub(super) fn guises(text: &str) -> Vec<Vec<u8>> {
    let mut guises = vec![text.into(), text.to_uppercase().into(), hex::encode(text).into()];
    guises.push(text.bytes().rev().collect());
    guises.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    // Wherever it begins within a group of three bytes.
    for shift in 0..3 {
        let shifted = format!("{}{text}", "x".repeat(shift));
        for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = alphabet.encode(&shifted);
            guises.push(encoded.as_bytes()[4 * usize::from(shift > 0)..encoded.len() - 4].to_vec());
        }
    }
    guises
}

pub(super) fn search(folder: &Path, needles: &[Vec<u8>], found: &mut Vec<String>) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += search(&path, needles, found);
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        for needle in needles {
            if bytes.windows(needle.len()).any(|window| window == needle.as_slice()) {
                found.push(format!("{} holds {}", path.display(), String::from_utf8_lossy(needle)));
            }
        }
    }
    files
}

async fn plant(store: &LocalStore) {
    let text = format!("{EMAIL} {USER} {SECRET}");
    let body = format!("{{\"email\":\"{EMAIL}\",\"id\":\"{USER}\",\"token\":\"{SECRET}\"}}");
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(deliver(store, &format!("{body}{n}")).await.unwrap());
    }
    store.deliver(new_delivery("{}", Some(&text))).await.unwrap();
    store.deliver(new_delivery("{ }", Some(&text))).await.unwrap();
    let who = || user_with_email(USER, EMAIL);
    let named = Decision { event: text.clone(), ..decision(ids[3], Verdict::Nothing) };
    let unread = Decision { account: None, ..decision(ids[2], Verdict::Unreadable { why: text.clone() }) };
    let (first, second) = (decision(ids[0], work(vec![ensure("assist", who())])), ids[1]);
    store.record_plan(vec![first, unread, named], START).await.unwrap();
    store.replay(ids[2], EMAIL, START).await.unwrap();
    let effect = Effect::Changed { what: text.clone() };
    let settled = work_one(store, Outcome::Done(effect)).await.unwrap();
    assert!(settled.is_some());
    store.record_plan(vec![decision(second, work(vec![ensure("assist", who())]))], START).await.unwrap();
    work_one(store, Outcome::Park(ParkCause::Refused { status: 400, code: 1, message: text.clone() })).await.unwrap();
    let call = Call {
        method: "GET".into(),
        path: format!("/users/{EMAIL}"),
        category: "light".into(),
        status: None,
        millis: 1,
        intent: None,
    };
    for step in [
        SweepStep::Begin { kind: SweepKind::Users, why: SweepCause::Person, rule: None, is_dry: false },
        SweepStep::Page { users: 1, total: None, steps: Vec::new(), next: Some(SECRET.to_owned()), seen_at: START },
        SweepStep::GiveUp { why: text.clone() },
    ] {
        let record = SweepRecord { app: app("main"), account: account("acc"), step, calls: Vec::new() };
        store.record_sweep(record, START).await.unwrap();
    }
    let detail = Detail { subject: Some(EMAIL.to_owned()), note: text, call: Some(call), ..Detail::default() };
    store
        .note(
            Note { kind: Kind::Refusal, app: Some(app("main")), account: None, code: "refused".into(), detail },
            START,
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_the_store_holds_a_planted_email_id_or_secret() {
    let folder = Folder::new();
    let (store, _) = folder.try_open(settings(Limits::default())).unwrap();
    plant(&store).await;
    super::kit::fill(&store, "canary-fill-body", 20).await;
    store.close().await.unwrap();
    let mut needles: Vec<Vec<u8>> = [EMAIL, USER, SECRET].into_iter().flat_map(guises).collect();
    needles.push(b"canary-fill-body".to_vec());
    needles.push(super::kit::MASTER.to_vec());
    let mut found = Vec::new();
    let files = search(&folder.path(), &needles, &mut found);
    assert!(files >= 6, "only {files} files were searched");
    assert_eq!(found, Vec::<String>::new());
    // The search itself finds things.
    std::fs::write(folder.path().join("plain"), format!("x{}", hex::encode(EMAIL))).unwrap();
    search(&folder.path(), &needles, &mut found);
    assert_eq!(found.len(), 1);
}
