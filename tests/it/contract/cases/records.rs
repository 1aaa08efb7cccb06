//! The audit log, what is remembered of apps, and the life of the store.

use std::collections::BTreeSet;

use adjutant::audit::tree::Frontier;
use adjutant::audit::{Detail, Kind};
use adjutant::job::{Outcome, ParkCause, Snooze, WaitReason};
use adjutant::store::{
    AppState, Claimable, DeliveryFilter, JobFilter, Limits, Move, Note, Selector, Shelf, StoreError, Verdict,
};

use crate::contract::Harness;
use crate::contract::kit::{
    HOUR, Kit, LEASE, Names, SECOND, account, app, call, change, changed, ensure, meant, put_off, rule, user, work,
};

/// A bit of everything.
async fn some_history<H: Harness>() -> Kit<H> {
    let mut kit = Kit::<H>::new().await;
    for (n, outcome) in [
        changed(),
        Outcome::Retry { error: "503".to_owned() },
        Outcome::Snooze(Snooze::ForEvent(WaitReason::UserPending)),
        Outcome::Park(ParkCause::NotFound),
        put_off(kit.now.plus(2 * HOUR)),
    ]
    .into_iter()
    .enumerate()
    {
        kit.event(meant(1, vec![ensure("assist", user(&format!("u{n}")))])).await;
        kit.event(work(vec![ensure("assist", user(&format!("u{n}")))])).await;
        let leased = kit.started().await;
        let _granted = kit.intend(&leased, change(3, None)).await;
        kit.store.settle(leased, outcome, vec![call("light", Some(200))], kit.now, 0.5).await.unwrap();
        kit.pass(SECOND / 10);
    }
    let delivery = kit.deliver().await;
    kit.plan(delivery, Verdict::Unreadable { why: "no JSON".to_owned() }).await;
    kit.deliver().await;
    kit.store.validated(&app("main"), kit.now).await.unwrap();
    kit.pass(HOUR);
    kit
}

pub(crate) async fn entries_have_no_gaps_and_their_leaves_make_the_tree_head<H: Harness>() {
    let mut kit = some_history::<H>().await;
    for _ in 0..2 {
        let entries = kit.entries().await;
        let mut tree = Frontier::default();
        for (place, entry) in entries.iter().enumerate() {
            assert_eq!(entry.index, u64::try_from(place).unwrap());
            assert_eq!(tree.push(entry.leaf), entry.index);
        }
        let head = kit.store.tree_head().await.unwrap();
        assert_eq!((head.size, head.root), (tree.size(), tree.root()));
        let leaves: BTreeSet<_> = entries.iter().map(|entry| entry.leaf).collect();
        assert_eq!(leaves.len(), entries.len(), "two entries have one leaf");
        kit.restart().await;
        kit.deliver().await;
    }
}

pub(crate) async fn an_empty_log_has_the_root_of_the_empty_tree<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let head = kit.store.tree_head().await.unwrap();
    assert_eq!((head.size, head.root), (0, Frontier::default().root()));
    assert!(kit.entries().await.is_empty());
}

pub(crate) async fn entries_are_read_in_pages<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for _ in 0..5 {
        kit.deliver().await;
    }
    let page = async |from, limit| -> Vec<u64> {
        kit.store.entries(from, limit).await.unwrap().into_iter().map(|entry| entry.index).collect()
    };
    assert_eq!(page(0, 2).await, [0, 1]);
    assert_eq!(page(2, 9).await, [2, 3, 4]);
    assert_eq!(page(5, 9).await, Vec::<u64>::new());
    assert_eq!(page(u64::MAX, 9).await, Vec::<u64>::new());
    assert_eq!(page(0, 0).await, Vec::<u64>::new());
}

pub(crate) async fn entries_of_an_account_are_read_in_pages_and_no_others<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for n in 0..4 {
        kit.event_for("acc", work(vec![ensure("assist", user(&format!("u{n}")))])).await;
        kit.event_for("other", work(vec![ensure("assist", user(&format!("o{n}")))])).await;
    }
    kit.restart().await;
    let own: Vec<_> = kit.entries().await.into_iter().filter(|entry| entry.account == Some(account("acc"))).collect();
    assert_eq!(own.len(), 4, "one decision for each event");
    let (mut from, mut found) = (0, Vec::new());
    loop {
        let (mut page, next) = kit.store.entries_of(&account("acc"), from..u64::MAX, 3).await.unwrap();
        assert!(page.len() <= 3 && next >= from);
        found.append(&mut page);
        if next == from {
            break;
        }
        from = next;
    }
    assert_eq!((found, from), (own.clone(), kit.log_size().await));
    assert_eq!(kit.store.entries_of(&account("nobody"), 0..u64::MAX, 9).await.unwrap(), (Vec::new(), from));
    assert_eq!(kit.store.entries_of(&account("acc"), u64::MAX..u64::MAX, 9).await.unwrap(), (Vec::new(), u64::MAX));
    assert_eq!(kit.store.entries_of(&account("acc"), 2..u64::MAX, 0).await.unwrap(), (Vec::new(), 2));
    let end = own[1].index + 1;
    let (first, next) = kit.store.entries_of(&account("acc"), 0..end, 9).await.unwrap();
    assert_eq!((first, next), (own[..2].to_vec(), end), "none from the end on is looked at");
    assert_eq!(kit.store.entries_of(&account("acc"), 2..2, 9).await.unwrap(), (Vec::new(), 2));
}

pub(crate) async fn an_entry_never_changes<H: Harness>() {
    let mut kit = some_history::<H>().await;
    let before = kit.entries().await;
    let parked = Selector::ParkedFor { cause: "not-found".to_owned(), rule: None, account: None };
    kit.store.move_jobs(parked, Move::Retry, "jill", kit.now).await.unwrap();
    kit.store.cancel_jobs(&account("acc"), None, "gone", kit.now).await.unwrap();
    kit.restart().await;
    assert_eq!(kit.entries().await[..before.len()], before);
}

pub(crate) async fn a_note_is_an_entry_as_it_was_given<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let detail = Detail { subject: Some("user:u1".to_owned()), ..Detail::note("the API user is gone") };
    let note = Note {
        kind: Kind::Attention,
        app: Some(app("main")),
        account: Some(account("acc")),
        code: "api-user-gone".to_owned(),
        detail: detail.clone(),
    };
    kit.store.note(note, kit.now).await.unwrap();
    let nobodys =
        Note { kind: Kind::Service, app: None, account: None, code: "started".to_owned(), detail: Detail::default() };
    kit.store.note(nobodys, kit.now).await.unwrap();
    let entries = kit.entries().await;
    let entry = &entries[0];
    assert_eq!((entry.kind, entry.code.as_str(), entry.at), (Kind::Attention, "api-user-gone", kit.now));
    assert_eq!((entry.app.clone(), entry.account.clone()), (Some(app("main")), Some(account("acc"))));
    assert_eq!((entry.delivery, entry.job, &entry.rule, &entry.detail), (None, None, &None, &Some(detail)));
    assert_eq!((entries[1].kind, &entries[1].app, &entries[1].account), (Kind::Service, &None, &None));
}

pub(crate) async fn what_a_person_tells_to_change_is_on_record_before_it_can_be_changed<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let detail = Detail::note("take the assistant api@example.com back, says jill");
    let (app, account) = (Some(app("main")), Some(account("acc")));
    let note = Note { kind: Kind::Intent, app, account, code: "take-back".to_owned(), detail: detail.clone() };
    let _may_be_changed = kit.store.intend_as_told(note, Vec::new(), kit.now).await.unwrap().unlimited().unwrap();
    kit.restart().await;
    let entries = kit.entries().await;
    let found: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.code.as_str(), entry.detail.as_ref())).collect();
    assert_eq!(found, [(Kind::Intent, "take-back", Some(&detail))]);
    kit.store.close().await.unwrap();
    let late = Note { kind: Kind::Intent, app: None, account: None, code: "late".to_owned(), detail };
    assert!(matches!(kit.store.intend_as_told(late, Vec::new(), kit.now).await, Err(StoreError::Closed)));
}

fn gone(of: &str, subject: &str) -> Note {
    Note {
        kind: Kind::Attention,
        app: Some(app("main")),
        account: Some(account(of)),
        code: "api-user-gone".to_owned(),
        detail: Detail { subject: Some(subject.to_owned()), ..Detail::note("gone") },
    }
}

pub(crate) async fn what_a_person_should_know_stands_until_it_is_mended<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let since = kit.now;
    for (of, subject) in [("bcc", "user:b"), ("acc", "user:b"), ("acc", "user:id a")] {
        kit.store.note(gone(of, subject), kit.now).await.unwrap();
    }
    kit.store.note(Note { account: None, ..gone("acc", "user:x") }, kit.now).await.unwrap();
    kit.store.note(Note { kind: Kind::Service, ..gone("acc", "user:y") }, kit.now).await.unwrap();
    kit.pass(HOUR);
    let gone_again =
        Note { detail: Detail { note: "still gone".to_owned(), ..gone("acc", "user:b").detail }, ..gone("acc", "") };
    kit.store.note(gone_again, kit.now).await.unwrap();
    let standing = kit.store.notices().await.unwrap();
    let words: Vec<_> = standing.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(words, ["still gone", "gone", "gone"]);
    let told: Vec<_> = standing.iter().map(|one| (one.account.as_str(), one.about(), one.since)).collect();
    assert_eq!(told, [("acc", "b", since), ("acc", "a", since), ("bcc", "b", since)]);
    assert_eq!(kit.store.notices_of(&account("acc")).await.unwrap(), standing[..2]);
    assert_eq!(kit.store.notices_of(&account("none")).await.unwrap(), []);
    kit.restart().await;
    assert_eq!(kit.store.notices().await.unwrap(), standing);
    let size = kit.log_size().await;
    assert!(kit.store.mend(&standing[1], kit.now).await.unwrap());
    assert!(!kit.store.mend(&standing[1], kit.now).await.unwrap(), "it is mended already");
    assert_eq!(kit.told_since(size).await, ["attention mended"]);
    let entry = kit.store.entries(size, 1).await.unwrap().remove(0);
    assert_eq!(entry.detail.unwrap().subject.as_deref(), Some("user:id a"));
    kit.restart().await;
    assert_eq!(kit.store.notices().await.unwrap(), [standing[0].clone(), standing[2].clone()]);
}

pub(crate) async fn what_would_stand_beyond_the_limit_of_an_account_is_on_record_and_changes_nothing_that_stands<
    H: Harness,
>() {
    let mut kit = Kit::<H>::with(Limits { notices_bytes_max: 5_400, ..Limits::default() }).await;
    let long = |of: &str, subject: &str, letter: &str, bytes: usize| {
        let note = letter.repeat(bytes);
        Note { detail: Detail { note, ..gone(of, subject).detail }, ..gone(of, subject) }
    };
    for n in 0..5 {
        kit.store.note(long("acc", &format!("user:{n}"), "a", 1_000), kit.now).await.unwrap();
    }
    let standing = kit.store.notices().await.unwrap();
    let size = kit.log_size().await;
    kit.store.note(long("acc", "user:5", "a", 1_000), kit.now).await.unwrap();
    kit.store.note(long("acc", "user:4", "b", 2_000), kit.now).await.unwrap();
    assert_eq!(kit.told_since(size).await, ["attention api-user-gone"; 2]);
    assert_eq!(kit.store.notices().await.unwrap(), standing);
    // What makes it no more stands, as does what is of another account.
    kit.store.note(long("acc", "user:4", "c", 999), kit.now).await.unwrap();
    kit.store.note(long("bcc", "user:1", "a", 1_000), kit.now).await.unwrap();
    kit.restart().await;
    assert!(kit.store.notices_of(&account("acc")).await.unwrap()[4].what.starts_with('c'));
    assert!(kit.store.mend(&standing[0], kit.now).await.unwrap());
    kit.store.note(long("acc", "user:5", "a", 1_000), kit.now).await.unwrap();
    let stand = [kit.store.notices_of(&account("acc")).await.unwrap().len(), kit.store.notices().await.unwrap().len()];
    assert_eq!(stand, [5, 6], "there is room again");
}

pub(crate) async fn a_rule_is_known_as_planned_by_its_newest_hash<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let size = kit.log_size().await;
    for (named, hash) in [("assist", 1), ("tidy", 2), ("assist", 3), ("assist", 3)] {
        kit.store.record_planned(&rule(named), [hash; 16], kit.now).await.unwrap();
    }
    assert_eq!(kit.told_since(size).await, ["service planned"; 3]);
    kit.restart().await;
    let planned = kit.store.planned().await.unwrap();
    assert_eq!(planned.into_iter().collect::<Vec<_>>(), [(rule("assist"), [3; 16]), (rule("tidy"), [2; 16])]);
}

pub(crate) async fn a_change_of_the_webhook_secrets_is_remembered<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let main = app("main");
    let first = kit.store.secrets_seen(&main, [1; 16], kit.now).await.unwrap();
    assert_eq!((first.secrets, first.secrets_changed_at), (Some([1; 16]), None), "the first look is no change");
    kit.pass(HOUR);
    let same = kit.store.secrets_seen(&main, [1; 16], kit.now).await.unwrap();
    assert_eq!(same, first);
    let other = kit.store.secrets_seen(&main, [2; 16], kit.now).await.unwrap();
    assert_eq!((other.secrets, other.secrets_changed_at), (Some([2; 16]), Some(kit.now)));
    kit.restart().await;
    kit.pass(HOUR);
    assert_eq!(kit.store.secrets_seen(&main, [2; 16], kit.now).await.unwrap(), other);
    assert_eq!(kit.store.app_state(&app("other")).await.unwrap(), AppState::default());
}

pub(crate) async fn an_answered_validation_is_remembered<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let main = app("main");
    kit.store.validated(&main, kit.now).await.unwrap();
    kit.store.validated(&main, kit.now.minus(HOUR)).await.unwrap();
    kit.restart().await;
    let state = kit.store.app_state(&main).await.unwrap();
    assert_eq!((state.validated_at, state.verified_at), (Some(kit.now), None));
}

pub(crate) async fn a_restart_changes_nothing_that_can_be_seen<H: Harness>() {
    let mut kit = some_history::<H>().await;
    let mut names = Names::default();
    names.learn(&*kit.store).await;
    let before = names.dump(&*kit.store, kit.now, 0).await;
    for _ in 0..2 {
        kit.restart().await;
        assert_eq!(names.dump(&*kit.store, kit.now, 0).await, before);
    }
}

pub(crate) async fn ids_and_tokens_are_not_used_twice_over_a_restart<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (delivery, job) = (kit.deliver().await, kit.ask(user("u1")).await);
    kit.run(changed()).await;
    kit.restart().await;
    assert!(kit.deliver().await > delivery);
    assert!(kit.ask(user("u1")).await > job);
}

pub(crate) async fn a_closed_store_says_so_whatever_it_is_asked<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let id = kit.deliver().await;
    let job = kit.ask(user("u1")).await;
    kit.ask(user("u2")).await;
    let mut leased = kit.claim(9).await;
    kit.store.start(&mut leased[1], kit.now).await.unwrap();
    let (mut first, second) = (leased.remove(0), leased.remove(0));
    let (store, now) = (&kit.store, kit.now);
    store.note(gone("acc", "user:a"), now).await.unwrap();
    let standing = store.notices().await.unwrap().remove(0);
    store.close().await.unwrap();
    store.close().await.expect("closing again is no error");
    let (main, acc) = (app("main"), account("acc"));
    let claimable = Claimable { jobs_max: 1, per_account_max: 1, lease: LEASE };
    let note = Note { kind: Kind::Service, app: None, account: None, code: "x".to_owned(), detail: Detail::default() };
    let answers: Vec<(&str, Option<StoreError>)> = vec![
        ("deliver", kit.try_deliver("main", "x", None).await.err()),
        ("unplanned", store.unplanned(&[], 1).await.err()),
        ("record_plan", store.record_plan(vec![Kit::<H>::decision(id, "acc", Verdict::Nothing)], now).await.err()),
        ("claim", store.claim(claimable, now).await.err()),
        ("renew", store.renew(&mut first, now.plus(HOUR)).await.err()),
        ("start", store.start(&mut first, now).await.err()),
        ("intend", store.intend(&second, change(1, None), now).await.err()),
        ("settle", store.settle(second, changed(), Vec::new(), now, 0.5).await.err()),
        ("give_back", store.give_back(first, now).await.err()),
        ("move_jobs", store.move_jobs(Selector::Job(job), Move::Park, "jill", now).await.err()),
        ("cancel_jobs", store.cancel_jobs(&acc, None, "x", now).await.err()),
        ("replay", store.replay(id, "jill", now).await.err()),
        ("release", store.release(&main, &acc, now).await.err()),
        ("note", store.note(note, now).await.err()),
        ("write_documents", store.write_documents(Vec::new(), Vec::new(), now).await.err()),
        ("documents", store.documents(Shelf::App).await.err()),
        ("document", store.document(Shelf::App, "x").await.err()),
        ("notices", store.notices().await.err()),
        ("notices_of", store.notices_of(&acc).await.err()),
        ("mend", store.mend(&standing, now).await.err()),
        ("record_planned", store.record_planned(&rule("assist"), [0; 16], now).await.err()),
        ("planned", store.planned().await.err()),
        ("validated", store.validated(&main, now).await.err()),
        ("secrets_seen", store.secrets_seen(&main, [0; 16], now).await.err()),
        ("app_state", store.app_state(&main).await.err()),
        ("quota_use", store.quota_use(&acc, now).await.err()),
        ("job", store.job(job).await.err()),
        ("jobs", store.jobs(JobFilter { limit: 1, ..JobFilter::default() }).await.err()),
        ("parked", store.parked().await.err()),
        ("delivery", store.delivery(id).await.err()),
        ("deliveries", store.deliveries(DeliveryFilter { limit: 1, ..DeliveryFilter::default() }).await.err()),
        ("entries", store.entries(0, 1).await.err()),
        ("entries_of", store.entries_of(&acc, 0..1, 1).await.err()),
        ("tree_head", store.tree_head().await.err()),
        ("status", store.status().await.err()),
        ("next_due", store.next_due().await.err()),
    ];
    for (name, answer) in answers {
        assert!(matches!(answer, Some(StoreError::Closed)), "{name} of a closed store: {answer:?}");
    }
}
