//! Nothing personal and no secret is on disk in plain.

use std::io::{Read as _, Write as _};
use std::path::Path;

use adjutant::audit::{Call, Detail, Kind};
use adjutant::job::{Effect, Outcome, ParkCause};
use adjutant::store::{
    Decision, Document, Limits, LocalStore, Note, Shelf, Store, SweepCause, SweepKind, SweepRecord, SweepStep, Verdict,
    Write,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::kit::{Folder, decision, deliver, new_delivery, settings, work_one};
use crate::contract::kit::{START, account, app, ensure, user_with_email, work};
use crate::process::{http, service::Service};

const EMAIL: &str = "canary.person@school.example";
const USER: &str = "CanaryUserId0000000001";
const SECRET: &str = "canary-secret-3f9a1b7c5d";

/// The ways in which one could find a text.
fn guises(text: &str) -> Vec<Vec<u8>> {
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

fn search(folder: &Path, needles: &[Vec<u8>], found: &mut Vec<String>) -> usize {
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
    };
    for step in [
        SweepStep::Begin { kind: SweepKind::Users, why: SweepCause::Person, rule: None, is_dry: false },
        SweepStep::Page { users: 1, total: None, steps: Vec::new(), next: Some(SECRET.to_owned()), seen_at: START },
        SweepStep::GiveUp { why: text.clone() },
    ] {
        let record = SweepRecord { app: app("main"), account: account("acc"), step, calls: Vec::new() };
        store.record_sweep(record, START).await.unwrap();
    }
    let detail =
        Detail { subject: Some(EMAIL.to_owned()), note: text, call: Some(call), saw: Vec::new(), severity: None };
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

/// A Zoom that refuses everything, and says back what it was asked but for the headers.
fn echo() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = vec![0; 16_384];
            let read = stream.read(&mut asked).unwrap_or(0);
            let said = String::from_utf8_lossy(&asked[..read]);
            let said = said.split("\r\n\r\n").last().unwrap_or_default().replace(['"', '\r', '\n', '\\'], " ");
            let body = format!(r#"{{"reason":"refused: {said}","error":"invalid_client","message":"{said}"}}"#);
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close";
            let _gone = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}")
}

const REFRESH: &str = "canary-refresh-token-77aa01";

/// An installation with a refresh token, as it is kept.
async fn plant_token(folder: &Path) {
    let clock = std::sync::Arc::new(adjutant::clock::SystemClock);
    let key = adjutant::store::local::MasterKey::File(folder.join("master.key"));
    let chance = std::sync::Arc::new(adjutant::chance::SystemChance);
    let opened =
        LocalStore::open(&folder.join("data"), settings(Limits::default()), key, clock, chance, &mut |_, _, _| {});
    let (store, _) = opened.unwrap();
    let granted =
        format!(r#"{{"access":"an-access-token","fetched_at":0,"life_secs":3600,"scopes":[],"refresh":"{REFRESH}"}}"#);
    let kept = format!(
        r#"{{"app":"gone","account":"{}","user":"u","installed_at":0,"granted":{granted}}}"#,
        crate::process::service::ACCOUNT
    );
    let value = kept.into_bytes();
    let of = Some(account(crate::process::service::ACCOUNT));
    let token = Document { shelf: Shelf::Installation, key: "canary".to_owned(), account: of, value };
    store.write_documents(vec![Write::Put(token)], Vec::new(), START).await.unwrap();
    store.close().await.unwrap();
}

/// What every page of both listeners answers, and what commands print.
fn ask_all(service: &Service, token: &str) -> Vec<String> {
    let mut answers = Vec::new();
    let authorization = format!("Bearer {token}");
    for path in [
        "/",
        "/metrics",
        "/livez",
        "/readyz",
        "/v1/status",
        "/v1/jobs",
        "/v1/jobs/job_1",
        "/v1/deliveries",
        "/v1/deliveries/dlv_1",
        "/v1/audit",
        "/v1/audit/head",
        "/v1/audit/verify",
        "/v1/sweeps",
        "/v1/plan",
        "/v1/take-back",
        "/v1/explain",
        "/v1/attention",
        "/v1/apps",
        "/v1/notify",
        "/v1/reload",
    ] {
        for (to, headers) in [(service.admin, &[("authorization", authorization.as_str())][..]), (service.public, &[])]
        {
            let answer = http::request(to, "GET", path, headers, b"").unwrap();
            answers.push(format!("{path} {} {}\n", answer.status, answer.body));
        }
    }
    for words in [&["config"][..], &["check-config"], &["doctor", "--offline"], &["jobs", "list"], &["attention"]] {
        let (_, out, err) = service.command(words);
        answers.push(format!("{out}{err}"));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_the_service_writes_or_answers_holds_a_secret_in_any_form() {
    let zoom = echo();
    let mut service = Service::new(&format!("{zoom}/v2"), &zoom);
    let config = service.folder().join("config.toml");
    let debug = format!("[log]\nlevel = \"trace\"\n{}", std::fs::read_to_string(&config).unwrap());
    std::fs::write(&config, &debug).unwrap();
    plant_token(service.folder()).await;
    assert!(service.start(&[]), "{}", service.log());
    let client = format!("client-secret-{}", crate::process::service::ACCOUNT);
    let token = std::fs::read_to_string(service.folder().join("admin.token")).unwrap().trim().to_owned();
    let master = std::fs::read_to_string(service.folder().join("master.key")).unwrap().trim().to_owned();
    for n in 0..3 {
        let object = format!(r#"{{"id":"u{n}","email":"u{n}@school.example","type":2}}"#);
        let body = format!(
            r#"{{"event":"user.created","event_ts":1700000000000,"payload":{{"account_id":"{}","object":{object}}}}}"#,
            crate::process::service::ACCOUNT
        );
        assert_eq!(service.deliver(&body).unwrap(), 200);
        assert_ne!(service.forge(&[("x-zm-signature", "v0=aa"), ("x-zm-request-timestamp", "1")], &body).unwrap(), 200);
    }
    service.wait_until_idle();
    std::fs::write(&config, debug.replace("kind = ", "knid = ")).unwrap();
    let (status, mut answers) =
        service.send("POST", "/v1/reload", b"").map(|(code, text)| (code, text.to_string())).unwrap();
    assert!(status >= 400, "{answers}");
    std::fs::write(&config, &debug).unwrap();
    let copy = service.folder().join("copy");
    let (code, out, err) = service.command(&["store", "backup", copy.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    answers.extend([out, err]);
    answers.extend(ask_all(&service, &token));
    let _code = service.terminate();
    assert!(answers.contains("\"due\"") && answers.contains("# HELP"), "nothing was asked: {answers}");
    assert!(service.log().contains("no token for Zoom"), "no token was asked for");
    let secrets = [client.as_str(), crate::process::service::SECRET, REFRESH, &token, &master];
    let needles: Vec<Vec<u8>> = secrets.into_iter().flat_map(guises).collect();
    std::fs::create_dir(service.folder().join("said")).unwrap();
    std::fs::write(service.folder().join("said/answers"), &answers).unwrap();
    std::fs::rename(service.folder().join("log"), service.folder().join("said/log")).unwrap();
    let mut found = Vec::new();
    for part in ["said", "data", "copy"] {
        assert!(search(&service.folder().join(part), &needles, &mut found) > 1);
    }
    assert_eq!(found, Vec::<String>::new());
    // The search itself finds things: what was configured.
    std::fs::write(service.folder().join("said/config"), debug).unwrap();
    search(&service.folder().join("said"), &needles, &mut found);
    assert!(found.len() >= 2, "{found:?}");
}
