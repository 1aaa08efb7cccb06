//! What is forgotten is looked for in every byte of the folder, and in all that a key there opens.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audit::{Call, Entry};
use crate::breakpoint;
use crate::chance::SystemChance;
use crate::clock::ManualClock;
use crate::event::signature::Verified;
use crate::ids::{AppName, Email, MeetingId, MeetingUuid, RuleName, UserId};
use crate::job::{Effect, Outcome, Subject};
use crate::rules::Step;
use crate::store::journal;
use crate::store::local::{MasterKey, Settings};
use crate::store::port::{
    Claimable, Decision, DeliveryFilter, Document, JobFilter, NewDelivery, Note, Shelf, Store, Verdict, Write,
};
use crate::store::sweep::{SweepCause, SweepKind, SweepRecord, SweepStep};

mod again;
mod late;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const ONE: &str = "First-School-Account";
const OTHER: &str = "Other-School-Account";
const ANN: (&str, &str) = ("AnnUserId00000001", "ann.canary@first.example");
const JIM: (&str, &str) = ("JimUserId00000001", "jim.canary@first.example");
const KIM: (&str, &str) = ("KimUserId00000001", "kim.canary@other.example");

fn open(folder: &Path) -> LocalStore {
    let (clock, chance) = (Arc::new(ManualClock::at(NOW)), Arc::new(SystemChance));
    let journal = journal::Settings { segment_bytes: 256 << 10 };
    let settings = Settings { disk_reserve_bytes: 0, journal, snapshot_every_bytes: 64 << 10, ..Settings::default() };
    let key = MasterKey::Bytes([7; 32]);
    LocalStore::open(&folder.join("data"), settings, key, clock, chance, &mut |_, _, _| {}).unwrap().0
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

fn person((id, email): (&str, &str)) -> Forgotten {
    let (id, email) = (UserId::parse(id).ok(), Email::parse(email).ok());
    Forgotten::Person { account: account(ONE), id, email }
}

async fn deliver(store: &LocalStore, body: String) -> DeliveryId {
    let verified = Verified::reread(body.into(), NOW.as_secs(), None);
    let new = NewDelivery { app: AppName::parse("main").unwrap(), received_at: NOW, verified };
    store.deliver(new).await.unwrap().delivery()
}

fn body(of: &str, (id, email): (&str, &str), n: usize) -> String {
    let padding = "p".repeat(3_000);
    format!(
        r#"{{"n":{n},"payload":{{"account_id":"{of}","object":{{"id":"{id}","email":"{email}"}}}},"p":"{padding}"}}"#
    )
}

/// Two events about a person: one job is done, the other parks its delivery's timer; and an entry, a notice, a record.
async fn tell(store: &LocalStore, of: &str, who: (&str, &str), n: usize) {
    let (rule, app) = (RuleName::parse("assist").unwrap(), AppName::parse("main").unwrap());
    let subject = Subject::User { id: UserId::parse(who.0).ok(), email: Email::parse(who.1).ok() };
    let run = Subject::Instance {
        meeting: MeetingId::from_number(u64::try_from(n).unwrap()),
        uuid: MeetingUuid::parse(&format!("{n}")).unwrap(),
    };
    let steps = vec![
        Step::Ensure { rule: rule.clone(), subject, on: None },
        Step::Later { rule: rule.clone(), subject: run.clone(), on: None, after: Duration::from_secs(900) },
        Step::Collect { rule, subject: run, on: None, is_last: false },
        Step::Remember { meeting: MeetingId::from_number(1), is_first: n == 0 },
    ];
    let delivery = deliver(store, body(of, who, n)).await;
    let verdict = Verdict::Work { meaning: None, event_at: Some(NOW), steps };
    let decision = Decision { delivery, account: Some(account(of)), event: "user.created".to_owned(), verdict };
    store.record_plan(vec![decision], NOW).await.unwrap();
    let wanted = Claimable { jobs_max: 1, per_account_max: 9, lease: Duration::from_secs(60) };
    for mut leased in store.claim(wanted, NOW).await.unwrap() {
        store.start(&mut leased, NOW).await.unwrap();
        let path = format!("/users/{}/assistants", who.1);
        let call =
            Call { method: "GET".into(), path, category: "light".into(), status: Some(200), millis: 1, intent: None };
        let what = format!("made the API user {}'s assistant", who.1);
        let outcome = Outcome::Done(Effect::Changed { what });
        store.settle(leased, outcome, vec![call], NOW, 0.5).await.unwrap();
    }
    let detail = Detail { subject: Some(format!("user:{}", who.0)), ..Detail::note(format!("see {}.", who.1)) };
    let note = Note {
        kind: crate::audit::Kind::Attention,
        app: Some(app),
        account: Some(account(of)),
        code: "gone".to_owned(),
        detail,
    };
    let value = format!(r#"{{"account":"{of}","installer":"{}"}}"#, who.1).into_bytes();
    let put =
        Write::Put(Document { shelf: Shelf::Onboarding, key: who.1.to_owned(), account: Some(account(of)), value });
    store.write_documents(vec![put], vec![note], NOW).await.unwrap();
}

async fn plant(store: &LocalStore) {
    for n in 0..60 {
        tell(store, ONE, ANN, n * 3).await;
        tell(store, ONE, JIM, n * 3 + 1).await;
        tell(store, OTHER, KIM, n * 3 + 2).await;
    }
    for of in [ONE, OTHER] {
        for step in [
            SweepStep::Begin { kind: SweepKind::Users, why: SweepCause::Person, rule: None, is_dry: false },
            SweepStep::GiveUp { why: format!("{of} has {}", ANN.1) },
        ] {
            let record =
                SweepRecord { app: AppName::parse("main").unwrap(), account: account(of), step, calls: vec![] };
            if of == ONE {
                store.record_sweep(record, NOW).await.unwrap();
            }
        }
    }
    let ledger = format!(r#"{{"told":[{{"of":"{ONE}","who":"{}"}},{{"of":"{OTHER}"}}],"at":1}}"#, ANN.1);
    store.keep_aside("ledger", ledger.into_bytes()).await.unwrap();
    store.keep_aside("note", format!("{{\"of\":\"{ONE}\"}}").into_bytes()).await.unwrap();
    store.keep_aside("other", b"[\"nobody\"]".to_vec()).await.unwrap();
    // Set aside, and still to be planned.
    let stray = deliver(store, body(ONE, ANN, 1_000)).await;
    let verdict = Verdict::Unclaimed { account: Some(account(ONE)) };
    let decision = Decision { delivery: stray, account: None, event: "user.created".to_owned(), verdict };
    store.record_plan(vec![decision], NOW).await.unwrap();
    deliver(store, body(ONE, ANN, 1_001)).await;
    deliver(store, body(OTHER, KIM, 1_002)).await;
    // What the documents named is gone by now, but in the journal.
    let removals = [ANN, JIM].map(|who| Write::Remove { shelf: Shelf::Onboarding, key: who.1.to_owned() });
    store.write_documents(removals.into(), vec![], NOW).await.unwrap();
    store.write_documents(vec![Write::Put(installed())], vec![], NOW).await.unwrap();
}

/// The document of an account that is served.
fn installed() -> Document {
    let value = format!(r#"{{"of":"{ONE}"}}"#).into_bytes();
    Document { shelf: Shelf::Account, key: ONE.to_owned(), account: Some(account(ONE)), value }
}

/// Waits for what a start does beside all else.
async fn is_finished(folder: &Path) {
    while folder.join("data/forgetting").exists() {
        tokio::task::yield_now().await;
    }
}

/// Every place in the folder where a text is, in plain or where a key there opens it.
async fn traces(store: &LocalStore, folder: &Path, name: &str) -> Vec<String> {
    let mut found = store.traces(vec![name.to_owned()]).await.unwrap();
    for dir in ["", "journal", "snapshots", "index"] {
        for file in std::fs::read_dir(folder.join("data").join(dir)).unwrap().map(|file| file.unwrap().path()) {
            if file.is_file() && super::super::forgotten::occurs(&std::fs::read(&file).unwrap(), name.as_bytes()) {
                found.push(format!("plain in {}", file.display()));
            }
        }
    }
    found
}

fn all() -> (DeliveryFilter, JobFilter) {
    (
        DeliveryFilter { limit: usize::MAX, ..DeliveryFilter::default() },
        JobFilter { limit: usize::MAX, ..JobFilter::default() },
    )
}

/// All that the store says that names this.
async fn said(store: &LocalStore, name: &str) -> Vec<String> {
    let (deliveries, jobs) = all();
    let mut said = Vec::new();
    for summary in store.deliveries(deliveries).await.unwrap() {
        let (stored, status) = store.delivery(summary.id).await.unwrap().unwrap();
        let body = stored.verified.as_ref().map(|verified| String::from_utf8_lossy(verified.body()).into_owned());
        said.push(format!("{} {body:?} {status:?}", summary.id));
    }
    said.extend(store.jobs(jobs).await.unwrap().iter().map(|job| format!("{job:?}")));
    said.extend(store.entries(0, usize::MAX).await.unwrap().iter().map(|entry| format!("{entry:?}")));
    said.extend(store.notices().await.unwrap().iter().map(|notice| format!("{notice:?}")));
    for shelf in [Shelf::Account, Shelf::Onboarding] {
        let documents = store.documents(shelf).await.unwrap();
        said.extend(documents.iter().map(|one| format!("{one:?} {}", String::from_utf8_lossy(&one.value))));
    }
    said.retain(|line| line.contains(name));
    said
}

async fn leaves(store: &LocalStore) -> Vec<[u8; 32]> {
    store.entries(0, usize::MAX).await.unwrap().iter().map(|entry: &Entry| entry.leaf).collect()
}

/// The log verifies and has the leaves of before, also after a restart and with another index.
async fn is_whole(store: LocalStore, folder: &Path, before: &[[u8; 32]]) -> LocalStore {
    assert_eq!(store.verify(|_, _| {}).await.unwrap().findings, vec![]);
    assert_eq!(leaves(&store).await[..before.len()], *before);
    let (head, kim) = (store.tree_head().await.unwrap(), said(&store, KIM.1).await);
    store.close().await.unwrap();
    std::fs::remove_dir_all(folder.join("data/index")).unwrap();
    let store = open(folder);
    assert_eq!(store.tree_head().await.unwrap(), head);
    assert_eq!(store.verify(|_, _| {}).await.unwrap().findings, vec![]);
    assert_eq!(said(&store, KIM.1).await, kim);
    store
}

async fn planted() -> (tempfile::TempDir, LocalStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    plant(&store).await;
    assert!(store.core().reader.segments().len() > 2, "it is to be in several files");
    (folder, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_forgotten_account_nothing_is_left_that_a_key_opens_and_all_else_stays() {
    let (folder, store) = planted().await;
    let kim = said(&store, KIM.1).await;
    let forgotten = Forgotten::Account(account(ONE));
    let refused = store.forget(&forgotten, NOW, |_, _| {}).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert!(traces(&store, folder.path(), ANN.1).await.len() > 100, "the search finds what is there");
    while store.cancel_jobs(&account(ONE), None, "the school left", NOW).await.unwrap() > 0 {}
    let before = leaves(&store).await;
    let (hear, heard) = mpsc::channel();
    let erased = store.forget(&forgotten, NOW, move |done, of| hear.send((done, of)).unwrap()).await.unwrap();
    assert!(erased.records > 200 && erased.segments > 1, "{erased:?}");
    assert!(heard.iter().last().is_some_and(|(done, of)| done == of && of > 1));
    for name in [ONE, ANN.0, ANN.1, JIM.1] {
        assert_eq!(traces(&store, folder.path(), name).await, Vec::<String>::new(), "{name}");
    }
    let now = said(&store, KIM.1).await;
    assert_eq!(now, kim, "another account is as it was");
    assert!(store.kept_aside("other").await.is_some() && store.kept_aside("note").await.is_none());
    let ledger: serde_json::Value = serde_json::from_slice(&store.kept_aside("ledger").await.unwrap()).unwrap();
    assert_eq!(ledger, serde_json::json!({"told": [{"of": OTHER}], "at": 1}), "what was told of others stays");
    assert_eq!(store.unplanned(&[], 9).await.unwrap().len(), 1, "what names it and waits is given up");
    let store = is_whole(store, folder.path(), &before).await;
    assert!(said(&store, ONE).await.is_empty() && said(&store, ANN.1).await.is_empty());
    let told = store.entries(0, usize::MAX).await.unwrap();
    assert!(told.iter().filter(|entry| entry.code == "forgotten").count() > 300);
    // The account may come again.
    store.write_documents(vec![Write::Put(installed())], vec![], NOW).await.unwrap();
    tell(&store, ONE, JIM, 5_000).await;
    assert!(!said(&store, JIM.1).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_forgotten_person_nothing_is_left_that_a_key_opens_and_others_of_the_account_stay() {
    let (folder, store) = planted().await;
    // Another school knows the same person: that is theirs.
    tell(&store, OTHER, ANN, 6_000).await;
    let (jim, theirs) = (said(&store, JIM.1).await, said(&store, OTHER).await);
    let value = ANN.1.as_bytes().to_vec();
    let named = Document { shelf: Shelf::Installation, key: "x".to_owned(), account: Some(account(ONE)), value };
    store.write_documents(vec![Write::Put(named)], vec![], NOW).await.unwrap();
    let refused = store.forget(&person(ANN), NOW, |_, _| {}).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let removal = Write::Remove { shelf: Shelf::Installation, key: "x".to_owned() };
    store.write_documents(vec![removal], vec![], NOW).await.unwrap();
    // Of what is over, and was made for her or for another.
    let over = |key: &str, who: (&str, &str)| {
        let value = format!(r#"{{"for":"{}"}}"#, who.1).into_bytes();
        Write::Put(Document { shelf: Shelf::ErrandEnded, key: key.to_owned(), account: Some(account(ONE)), value })
    };
    store.write_documents(vec![over("erd_1", ANN), over("erd_2", JIM)], vec![], NOW).await.unwrap();
    let before = leaves(&store).await;
    store.forget(&person(ANN), NOW, |_, _| {}).await.unwrap();
    let kept: Vec<String> =
        store.documents(Shelf::ErrandEnded).await.unwrap().iter().map(|one| one.key.clone()).collect();
    assert_eq!(kept, ["erd_2"]);
    store
        .write_documents(vec![Write::Remove { shelf: Shelf::ErrandEnded, key: "erd_2".to_owned() }], vec![], NOW)
        .await
        .unwrap();
    assert_eq!(said(&store, JIM.1).await, jim);
    assert_eq!(said(&store, OTHER).await, theirs);
    // All that is left of her is what the other school knows.
    let left = said(&store, ANN.1).await;
    assert!(!left.is_empty() && left.iter().all(|line| theirs.contains(line)), "{left:#?}");
    while store.cancel_jobs(&account(OTHER), None, "x", NOW).await.unwrap() > 0 {}
    store.forget(&Forgotten::Account(account(OTHER)), NOW, |_, _| {}).await.unwrap();
    for name in [ANN.0, ANN.1, OTHER] {
        assert_eq!(traces(&store, folder.path(), name).await, Vec::<String>::new(), "{name}");
    }
    assert!(traces(&store, folder.path(), JIM.1).await.len() > 50);
    is_whole(store, folder.path(), &before).await;
}

/// Runs in a process of its own, which is to be killed; does nothing elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgets_in_the_folder_that_the_environment_names() {
    let Some(folder) = std::env::var_os("ADJUTANT_FORGET_IN") else { return };
    let store = open(Path::new(&folder));
    let _killed = store.forget(&Forgotten::Account(account(ONE)), NOW, |_, _| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgetting_that_is_killed_anywhere_is_finished_by_the_next_start() {
    let points = breakpoint::RARE.iter().filter(|name| name.starts_with("forgetting-"));
    for (at, times) in
        points.flat_map(|at| [(at, 1), (at, 2)]).filter(|(at, n)| *n == 1 || **at == "forgetting-segment")
    {
        let (folder, store) = planted().await;
        while store.cancel_jobs(&account(ONE), None, "the school left", NOW).await.unwrap() > 0 {}
        let before = leaves(&store).await;
        store.close().await.unwrap();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::local::forget::tests::forgets_in_the_folder_that_the_environment_names"])
            .env("ADJUTANT_FORGET_IN", folder.path())
            .env("ADJUTANT_BREAK_AT", format!("{at}:{times}"))
            .output()
            .unwrap();
        assert_eq!(child.status.signal(), Some(9), "{at}: {}", String::from_utf8_lossy(&child.stdout));
        assert!(folder.path().join("data/forgetting").exists(), "{at}");
        let store = open(folder.path());
        is_finished(folder.path()).await;
        for name in [ONE, ANN.1] {
            assert_eq!(traces(&store, folder.path(), name).await, Vec::<String>::new(), "{at}: {name}");
        }
        is_whole(store, folder.path(), &before).await;
    }
}
