//! Errands are kept: so many, for so long, and no more of them than is needed.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, START, account, app};
use crate::chance::SystemChance;
use crate::clock::{ManualClock, Stopwatch, Timestamp};
use crate::ids::{AccountId, MeetingId};
use crate::job::Asker;
use crate::store::local::{MasterKey, Settings as Local};
use crate::store::{Document, JobFilter, LocalStore, Shelf, Store, Write, journal};
use crate::work::{
    Errand, ErrandEnded, ErrandFilter, ErrandRefused, ErrandResult, ErrandState, Errandry, MoveAsked, Moving,
    ScheduleAsked, Scheduling, Through, errand_id, errand_job,
};
use crate::worker::Settings;
use crate::worker::errands::{ENDED_MAX, Errands, PRINCIPALS_MAX, UNFINISHED_MAX};

const DAY: Duration = Duration::from_secs(86_400);

fn scheduling(topic: &str) -> Errandry {
    let fields = json!({ "topic": topic, "password": "secret-7", "start_time": "2037-01-01T09:00:00Z" });
    let Value::Object(fields) = fields else { unreachable!() };
    let host = "jill@example.com".parse().unwrap();
    Errandry::Schedule(Scheduling::new(ScheduleAsked { host, through: Through::Own, fields, no_wait: false }))
}

pub(super) fn moving(meeting: u64) -> Errandry {
    let asked = MoveAsked {
        meeting: MeetingId::from_number(meeting),
        to: "jill@example.com".parse().unwrap(),
        lend: false,
        alternative: false,
        recreate: false,
        when_ended: false,
        no_wait: false,
    };
    Errandry::Move(Moving::new(asked))
}

pub(super) fn acme() -> AccountId {
    AccountId::parse("acme").unwrap()
}

pub(super) fn errand(key: &str, what: Errandry, at: Timestamp) -> Errand {
    Errand::new(errand_id(&acme(), key), (app(), acme()), what, ("a test".to_owned(), at))
}

/// One that made a meeting of that number at that time.
fn done(number: u64, at: Timestamp) -> Errand {
    let result = ErrandResult::Done { meeting: MeetingId::from_number(number), notes: Vec::new() };
    errand(&format!("k-{number}"), scheduling("Algebra"), at).into_ended(ErrandEnded { at, result })
}

fn beside(shelf: Shelf, key: &str, value: &str) -> Document {
    Document { shelf, key: key.to_owned(), account: Some(acme()), value: value.as_bytes().to_vec() }
}

pub(super) async fn write(store: &dyn Store, documents: impl IntoIterator<Item = Document>) {
    let writes: Vec<Write> = documents.into_iter().map(Write::Put).collect();
    for some in writes.chunks(500) {
        store.write_documents(some.to_vec(), Vec::new(), START).await.unwrap();
    }
}

pub(super) async fn keys(store: &dyn Store, shelf: Shelf) -> Vec<String> {
    store.documents(shelf).await.unwrap().into_iter().map(|document| document.key).collect()
}

#[tokio::test]
async fn an_account_has_so_many_unfinished_errands_and_takes_more_when_one_has_ended() {
    let bench = Bench::with(vec![account("acme", &[]), account("other", &[])], &[], Settings::default());
    let errands = Errands::new(bench.parts.clone());
    let unfinished = |n: usize| errand(&format!("u-{n}"), scheduling("Algebra"), START).document();
    write(&bench.store, (0..UNFINISHED_MAX).map(unfinished)).await;
    let refused = errands.ask(&acme(), scheduling("Algebra"), None, "a test").await.unwrap_err();
    assert!(matches!(refused, ErrandRefused::TooMany(..)), "{refused}");
    assert!(refused.to_string().contains("2000 unfinished errands"), "{refused}");
    let known = errands.ask(&acme(), scheduling("Algebra"), Some("u-7"), "a test").await.unwrap();
    assert!(!known.is_new, "whoever asks again is answered");
    let other = AccountId::parse("other").unwrap();
    assert!(errands.ask(&other, scheduling("Algebra"), None, "a test").await.unwrap().is_new);
    let result = ErrandResult::Cancelled("by a test".to_owned());
    let ended = errand("u-0", scheduling("Algebra"), START).into_ended(ErrandEnded { at: START, result });
    bench.store.write_documents(ended.end_writes(), Vec::new(), START).await.unwrap();
    assert!(errands.ask(&acme(), scheduling("Algebra"), None, "a test").await.unwrap().is_new);
}

#[tokio::test]
async fn of_what_has_ended_the_oldest_goes_with_its_key_and_its_claim_where_there_are_too_many() {
    let bench = Bench::new(&[]);
    let all = u64::try_from(ENDED_MAX).unwrap() + 3;
    let at = |number: u64| START.plus(Duration::from_secs(number));
    let claim =
        |number: u64| beside(Shelf::ErrandEnded, &format!("made {number}"), &done(number, START).id.to_string());
    write(&bench.store, (0..all).map(|number| done(number, at(number)).document())).await;
    write(&bench.store, (0..all).map(claim)).await;
    bench.clock.set(at(all));
    let errands = Errands::new(bench.parts.clone());
    errands.tidy().await.unwrap();
    let left = keys(&bench.store, Shelf::ErrandEnded).await;
    assert_eq!(left.len(), 2 * ENDED_MAX);
    for number in 0..3 {
        assert!(!left.contains(&format!("made {number}")) && !left.contains(&done(number, START).id.to_string()));
    }
    let ask = async |key: &str, topic: &str| errands.ask(&acme(), scheduling(topic), Some(key), "a test").await;
    assert!(ask("k-0", "Geometry").await.unwrap().is_new, "its key is not known any more");
    assert!(!ask("k-3", "Algebra").await.unwrap().is_new);
    assert!(matches!(ask("k-3", "Geometry").await, Err(ErrandRefused::KeyUsed(_))), "another request");
    bench.clock.set(at(all).plus(7 * DAY));
    errands.tidy().await.unwrap();
    assert_eq!(keys(&bench.store, Shelf::ErrandEnded).await, [""; 0], "nothing for longer than seven days");
}

#[tokio::test]
async fn what_is_kept_beside_errands_goes_with_the_last_that_it_is_of() {
    let bench = Bench::new(&[]);
    let (unfinished, ended) = (errand("u", moving(1), START), done(2, START));
    let job = bench.store.ask(vec![unfinished.job(START)], "a test", START).await.unwrap();
    assert!(job[0].is_some());
    let needed = [
        beside(Shelf::ErrandEnded, "principal 1", "u-1"),
        // It is needed as long as the meeting is there, whenever it is moved again.
        beside(Shelf::ErrandEnded, "principal 9", "u-1"),
        beside(Shelf::ErrandEnded, "made 2", &ended.id.to_string()),
        beside(Shelf::ErrandEnded, "made 3", &unfinished.id.to_string()),
    ];
    let gone = errand("gone", moving(9), START);
    let orphans = [
        beside(Shelf::ErrandEnded, "made 9", &gone.id.to_string()),
        gone.asking(),
        gone.called_off("by a test".to_owned()),
    ];
    write(&bench.store, needed.iter().chain(&orphans).cloned().chain([unfinished.document(), ended.document()])).await;
    Errands::new(bench.parts.clone()).tidy().await.unwrap();
    assert_eq!(keys(&bench.store, Shelf::Errand).await, [unfinished.id.to_string()]);
    let mut expected: Vec<String> = needed.into_iter().map(|document| document.key).collect();
    expected.push(ended.id.to_string());
    expected.sort();
    assert_eq!(keys(&bench.store, Shelf::ErrandEnded).await, expected);
}

#[tokio::test]
async fn of_so_many_meetings_it_stays_known_whose_privilege_counted_and_of_those_that_are_moved_before_others() {
    let bench = Bench::new(&[]);
    let moved = errand("u", moving(99_999), START);
    bench.store.ask(vec![moved.job(START)], "a test", START).await.unwrap();
    let known = |number: usize| beside(Shelf::ErrandEnded, &format!("principal {number}"), "u-1");
    let elsewhere = Document { account: AccountId::parse("other").ok(), ..known(1) };
    write(&bench.store, (10_001..10_003 + PRINCIPALS_MAX).map(known)).await;
    write(&bench.store, [known(99_999), elsewhere, moved.document()]).await;
    Errands::new(bench.parts.clone()).tidy().await.unwrap();
    let left = keys(&bench.store, Shelf::ErrandEnded).await;
    assert_eq!(left.len(), PRINCIPALS_MAX + 2, "the other account's, and one more of what is moved");
    for key in ["principal 1", "principal 10001", "principal 99999"] {
        assert!(left.iter().any(|left| left == key), "{key}");
    }
}

#[tokio::test]
async fn what_an_older_program_kept_is_read_and_taken_over_without_what_was_asked() {
    let bench = Bench::new(&[]);
    let new = done(5, START);
    let old = json!({
        "form": 1, "id": new.id, "app": "main", "account": "acme", "by": "a test", "asked_at": START,
        "what": { "schedule": { "asked": match scheduling("Algebra") {
            Errandry::Schedule(scheduling) => json!(scheduling.asked),
            Errandry::Move(_) => unreachable!(),
        }, "making": { "made": { "id": 5, "path": "jill@example.com", "host": "jill" } } } },
        "ended": new.ended,
    });
    let left = [
        beside(Shelf::Errand, &new.id.to_string(), &old.to_string()),
        beside(Shelf::Errand, "made 5", &new.id.to_string()),
    ];
    write(&bench.store, left).await;
    let errands = Errands::new(bench.parts.clone());
    for round in ["as it was", "taken over"] {
        let known = errands.ask(&acme(), scheduling("Algebra"), Some("k-5"), "a test").await.unwrap();
        assert_eq!((known.is_new, known.stands(START).state), (false, ErrandState::Done), "{round}");
        let other = errands.ask(&acme(), scheduling("Geometry"), Some("k-5"), "a test").await;
        assert!(matches!(other, Err(ErrandRefused::KeyUsed(_))), "{round}");
        assert_eq!(errands.list(&ErrandFilter::default(), (None, 9)).await.unwrap().len(), 1, "{round}");
        errands.tidy().await.unwrap();
    }
    assert_eq!(keys(&bench.store, Shelf::Errand).await, [""; 0]);
    let kept = bench.store.documents(Shelf::ErrandEnded).await.unwrap();
    assert_eq!(kept.len(), 2);
    for document in kept {
        let text = String::from_utf8(document.value).unwrap();
        assert!(!text.contains("Algebra") && !text.contains("secret-7"), "{text}");
    }
}

#[tokio::test]
async fn with_5000_errands_that_have_ended_what_is_asked_often_costs_no_more_than_with_none() {
    let is_long = std::env::var_os("ADJUTANT_LONG").is_some();
    let count: u64 = if is_long { 5_000 } else { 50 };
    let folder = tempfile::tempdir().unwrap();
    let settings =
        Local { disk_reserve_bytes: 0, journal: journal::Settings { segment_bytes: 1 << 20 }, ..Local::default() };
    let (key, clock) = (MasterKey::Bytes([7; 32]), Arc::new(ManualClock::at(START)));
    let path = folder.path().join("data");
    let opened = LocalStore::open(&path, settings, key, clock, Arc::new(SystemChance), &mut |_, _, _| {});
    let store = opened.unwrap().0;
    let unfinished: Vec<Errand> = (0..20).map(|n| errand(&format!("u-{n}"), moving(n), START)).collect();
    write(&store, (0..count).map(|number| done(number, START).document())).await;
    write(&store, unfinished.iter().map(Errand::document)).await;
    for some in (0..count).collect::<Vec<_>>().chunks(500) {
        let jobs = some.iter().map(|number| errand(&format!("k-{number}"), scheduling("x"), START).job(START));
        store.ask(jobs.collect(), "a test", START).await.unwrap();
    }
    store.ask(unfinished.iter().map(|errand| errand.job(START)).collect(), "a test", START).await.unwrap();
    assert_eq!(store.documents(Shelf::Errand).await.unwrap().len(), unfinished.len(), "no other is read");
    let said = |what: &str, [before, after]: [Duration; 2]| {
        let ratio = before.as_secs_f64() / after.as_secs_f64();
        let _closed = writeln!(std::io::stderr(), "{what}: {before:?} before, {after:?} now, 1/{ratio:.0}");
    };
    let errand = &unfinished[0];
    let began = Stopwatch::start();
    let mut both = store.documents(Shelf::Errand).await.unwrap();
    both.extend(store.documents(Shelf::ErrandEnded).await.unwrap());
    assert_eq!(both.iter().filter_map(Errand::read).filter(|one| one.ended.is_none()).count(), unfinished.len());
    let before = began.elapsed();
    let began = Stopwatch::start();
    let few = store.documents(Shelf::Errand).await.unwrap();
    assert_eq!(few.iter().filter_map(Errand::read).count(), unfinished.len());
    said("all that have not ended", [before, began.elapsed()]);
    let began = Stopwatch::start();
    // Without an account all jobs are looked at.
    let filter = JobFilter {
        rule: Some(errand.what.rule()),
        subject: Some(errand.subject()),
        limit: 200,
        ..JobFilter::default()
    };
    let found = store.jobs(filter).await.unwrap();
    assert_eq!(found.iter().filter(|job| job.made_by == Asker::Errand(errand.id)).count(), 1);
    let before = began.elapsed();
    let began = Stopwatch::start();
    assert!(errand_job(&store, errand).await.unwrap().is_some());
    said("the job of one", [before, began.elapsed()]);
}
