//! What is lent is closed by what is kept now, and the word that it is for good goes with the last loan.

use super::errands::{acme, errand, keys, moving, write};
use super::fake::uid;
use super::{Bench, START, app};
use crate::store::{Shelf, Store};
use crate::work::{
    Errand, ErrandEnded, ErrandResult, Errandry, Lent, Moving, errand_kept, granted_for_good, is_for_good,
};
use crate::worker::errands::Errands;
use crate::zoom::{Assistant, Status};

fn lent() -> Lent {
    let (of, to) = (uid("host"), uid("helper"));
    Lent { of, to, named: None, since: START, was_there: false, ended: None, stays: None, is_left: false }
}

/// A move that has it lent.
fn lending(meeting: u64, more: impl FnOnce(&mut Moving)) -> Errand {
    let Errandry::Move(mut moving) = moving(meeting) else { unreachable!() };
    moving.lent = Some(lent());
    more(&mut moving);
    errand(&format!("m-{meeting}"), Errandry::Move(moving), START)
}

async fn ends(bench: &Bench, errand: Errand) {
    let result = ErrandResult::Cancelled("by a test".to_owned());
    let ended = errand.into_ended(ErrandEnded { at: START, result });
    bench.store.write_documents(ended.end_writes(), Vec::new(), START).await.unwrap();
}

async fn is_word(bench: &Bench) -> bool {
    is_for_good(&bench.store, &lent()).await.unwrap()
}

async fn say_for_good(bench: &Bench) {
    let told = granted_for_good(&bench.store, &acme(), (&uid("host"), &uid("helper")), ("somebody", START)).await;
    assert!(told.unwrap(), "it is lent");
}

#[tokio::test]
async fn closing_changes_the_loan_alone_and_brings_back_nothing_that_has_ended() {
    let bench = Bench::new(&[]);
    let errands = Errands::new(bench.parts.clone());
    let [one, two, three] = [1, 2, 3].map(|meeting| lending(meeting, |_| {}));
    write(&bench.store, [&one, &two, &three].map(Errand::document)).await;
    say_for_good(&bench).await;
    let went_on = lending(1, |moving| moving.refused.push(uid("somebody")));
    write(&bench.store, [went_on.document()]).await;
    ends(&bench, three.clone()).await;
    for id in [one.id, three.id] {
        errands.closed(id, &lent()).await.unwrap();
    }
    let kept = errand_kept(&bench.store, one.id).await.unwrap().unwrap();
    let Errandry::Move(moving) = &kept.what else { unreachable!() };
    assert_eq!((moving.open(), &moving.refused), (None, &vec![uid("somebody")]));
    assert!(!keys(&bench.store, Shelf::Errand).await.contains(&three.id.to_string()), "it has ended");
    assert!(is_word(&bench).await, "another move has it lent");
    errands.closed(two.id, &lent()).await.unwrap();
    assert!(!is_word(&bench).await);
}

#[tokio::test]
async fn what_is_for_good_in_an_account_that_is_let_go_stays_at_zoom_and_is_lent_anew_when_it_comes_back() {
    let bench = Bench::new(&[]);
    let helper = Assistant { id: Some(uid("helper")), email: None };
    for user in ["host", "helper"] {
        bench.zoom.put_user(user, Status::Active, 2);
    }
    bench.zoom.put_assistant("host", helper);
    write(&bench.store, [1, 2].map(|meeting| lending(meeting, |_| {}).document())).await;
    say_for_good(&bench).await;
    let errands = Errands::new(bench.parts.clone());
    assert!(errands.give_back(&acme(), "a test").await.unwrap().is_ok());
    assert_eq!((bench.zoom.assistants_of("host").len(), is_word(&bench).await), (1, false));
    write(&bench.store, [lending(3, |_| {}).document()]).await;
    assert!(errands.give_back(&acme(), "a test").await.unwrap().is_ok());
    assert_eq!(bench.zoom.assistants_of("host").len(), 0, "nobody said it of this one");
}

#[tokio::test]
async fn what_stays_lent_is_named_of_what_has_not_ended_by_the_time_that_it_is_told() {
    let bench = Bench::new(&[]);
    let [one, two] = [1, 2].map(|meeting| lending(meeting, |_| {}));
    write(&bench.store, [&one, &two].map(Errand::document)).await;
    let turn = bench.parts.facts.lending(&acme());
    let held = turn.lock().await;
    let errands = Errands::new(bench.parts.clone());
    let tells = tokio::spawn(async move { errands.tell_left(&acme(), &app()).await });
    // Whoever does not wait has told it by then.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    ends(&bench, one.clone()).await;
    drop(held);
    tells.await.unwrap().unwrap();
    assert_eq!(bench.entries("stays-lent").await.len(), 1);
    let left = errand_kept(&bench.store, two.id).await.unwrap().unwrap();
    assert!(left.what.lent().is_some_and(|lent| lent.is_left));
    assert_eq!(keys(&bench.store, Shelf::Errand).await, [two.id.to_string()]);
}

#[tokio::test]
async fn a_word_goes_that_is_of_nothing_that_is_lent() {
    let bench = Bench::new(&[]);
    let errands = Errands::new(bench.parts.clone());
    let open = lending(1, |_| {});
    write(&bench.store, [open.document()]).await;
    say_for_good(&bench).await;
    errands.tidy().await.unwrap();
    assert!(is_word(&bench).await);
    let closed = lending(1, |moving| moving.lent = Some(Lent { ended: Some(START), ..lent() }));
    write(&bench.store, [closed.document()]).await;
    let turn = bench.parts.facts.lending(&acme());
    let held = turn.lock().await;
    errands.tidy().await.unwrap();
    assert!(is_word(&bench).await, "something is lent just now");
    drop(held);
    errands.tidy().await.unwrap();
    assert!(!is_word(&bench).await);
}
