//! Records as they are on disk.

use super::*;
use crate::audit::Kind;
use crate::audit::leaf::{SALT_BYTES, Sha};
use crate::audit::tree::leaf_hash;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::Asker;
use crate::store::port::{AppState, QuotaUse, Shelf};

const NOW: Timestamp = Timestamp::from_millis(1_795_248_000_123);

fn account() -> AccountId {
    AccountId::parse("acc").unwrap()
}

fn rule() -> RuleName {
    RuleName::parse("assist").unwrap()
}

fn delivery() -> Delivery {
    let head = Head { id: 300, index: 700, leaf: [7; 32], duplicate_of: Some(5), same_request_as: Some(6) };
    let tail = Tail {
        app: AppName::parse("main").unwrap(),
        received_at: NOW,
        signed_at_secs: 1_795_248_000,
        body_bytes: 2,
        body_print: [1; 16],
        request_print: Some([2; 16]),
        is_backfilled: false,
        body: StoredBody::Sealed(Blob(vec![0xB0; 46])),
    };
    Delivery { version: 2, head, tail }
}

fn salted() -> Delivery {
    let body =
        StoredBody::Salted { commitment: Commitment { hash: [0xC0; 32], bytes: 2 }, sealed: Blob(vec![0xB0; 46]) };
    let Delivery { head, tail, .. } = delivery();
    Delivery { version: DELIVERY_VERSION, head, tail: Tail { body, ..tail } }
}

fn all_changes() -> Vec<Change> {
    let app = AppName::parse("main").unwrap();
    let verified_at = Some(NOW);
    let state = AppState { verified_at, validated_at: None, secrets: Some([3; 16]), secrets_changed_at: None };
    vec![
        Change::Planned { delivery: 300, decided: Decided::Nothing, jobs: vec![] },
        Change::Planned { delivery: 301, decided: Decided::Work, jobs: vec![1, 2] },
        Change::Planned { delivery: 302, decided: Decided::Repeated, jobs: vec![1] },
        Change::Planned { delivery: 303, decided: Decided::Duplicate, jobs: vec![] },
        Change::SetAside { delivery: 304, why: AsideFor::Unreadable },
        Change::SetAside { delivery: 305, why: AsideFor::Unclaimed(None) },
        Change::SetAside { delivery: 306, why: AsideFor::Unclaimed(Some(account())) },
        Change::SetAside { delivery: 307, why: AsideFor::Backlog(account()) },
        Change::Unplanned { delivery: 304, record: 9, app: app.clone(), received_at: NOW, replayed: true },
        Change::Job { id: 1, sealed: Blob(vec![0xEE; 5]) },
        Change::Meaning { print: [4; 16], at: NOW },
        Change::Intended { account: account(), rule: rule(), hour: 498_680, job: 1, share: true },
        Change::Noticed { account: account(), rule: rule(), hour: 498_680 },
        Change::Stopped { account: account(), rule: rule() },
        Change::Resumed { account: account(), rule: rule() },
        Change::Called { account: account(), day: 20_778, calls: QuotaUse { light: 1, medium: 2, heavy: 3 } },
        Change::App { app, state },
        Change::Sweep { account: account(), sealed: Blob(vec![0xBB; 6]) },
        Change::Notices { account: account(), sealed: Blob(vec![0xCC; 4]) },
        Change::RulePlanned { rule: rule(), hash: [8; 16] },
        Change::GaveUp { at: NOW },
        Change::Planned { delivery: 308, decided: Decided::Echo, jobs: vec![] },
        Change::Made { of: [9; 16], at: NOW, by: Asker::Delivery(DeliveryId::from_number(300)), marks: vec![[5; 16]] },
        Change::MadeAnew { of: [9; 16] },
        Change::DayUsed { of: [6; 16], day: 20_778, by: 1 },
        Change::DayTold { of: [6; 16], day: 20_778, is_spent: true },
    ]
}

fn line() -> Line {
    Line {
        at: NOW,
        kind: Kind::Decision,
        app: Some(AppName::parse("main").unwrap()),
        account: Some(account()),
        delivery: Some(DeliveryId::from_number(300)),
        job: Some(JobId::from_number(1)),
        rule: Some(rule()),
        code: "work".to_owned(),
        said: Said::Sealed(Blob(vec![0xDD; 3])),
        body: None,
    }
}

fn changes() -> Vec<u8> {
    let lines = [line(), Line { said: Said::Plain("user.created".to_owned()), job: None, ..line() }];
    let mut bytes = Vec::new();
    put(&700_u64, &mut bytes);
    put(&2_u64, &mut bytes);
    for line in lines {
        let mut data = Vec::new();
        line.as_ref().put_first_leaf(&mut data);
        bytes.extend_from_slice(&leaf_hash(&data));
        bytes.extend_from_slice(&data);
    }
    put(&all_changes(), &mut bytes);
    bytes
}

/// Records of version 1, as they are on disk. These never change: a new shape is a new version.
const DELIVERY_V1: &str = include_str!("../fixtures/delivery-v1.hex");
const CHANGES_V1: &str = include_str!("../fixtures/changes-v1.hex");

fn bytes_of(fixture: &str) -> Vec<u8> {
    hex::decode(fixture.split_whitespace().collect::<String>()).unwrap()
}

#[test]
fn a_delivery_of_both_versions_is_written_and_read_as_ever() {
    assert_eq!(hex::encode(delivery().encode()), hex::encode(bytes_of(DELIVERY_V1)));
    for version in [1, 2] {
        let Some(Stored::Delivery(read)) = Stored::decode(DELIVERY, version, &bytes_of(DELIVERY_V1)) else {
            panic!("it is not read");
        };
        assert_eq!(*read, Delivery { version, ..delivery() });
    }
    assert_eq!(Delivery::peek_id(&bytes_of(DELIVERY_V1)), Some(300));
}

#[test]
fn a_delivery_of_version_3_is_written_and_read_as_ever() {
    let known = bytes_of(include_str!("../fixtures/delivery-v3.hex"));
    assert_eq!(hex::encode(salted().encode()), hex::encode(&known));
    let Some(Stored::Delivery(read)) = Stored::decode(DELIVERY, 3, &known) else { panic!("it is not read") };
    assert_eq!(*read, salted());
}

#[test]
fn a_body_is_what_its_commitment_says_with_its_salt_and_its_request_id() {
    let salted = Salted { salt: [5; SALT_BYTES], request_id: Some("7d1f") };
    let (mut plain, body) = (Vec::new(), b"{}");
    put(&salted, &mut plain);
    plain.extend_from_slice(body);
    let commitment = salted.commitment(&Sha::of(body), 2);
    let kept = StoredBody::Salted { commitment, sealed: Blob(Vec::new()) };
    assert_eq!(kept.split(&plain), Some((Some("7d1f".to_owned()), plain.len() - 2)));
    assert!(kept.was(&plain));
    for at in 0..plain.len() {
        let mut changed = plain.clone();
        changed[at] ^= 1;
        assert!(!kept.was(&changed), "byte {at}");
    }
    assert!(!kept.was(&plain[..10]) && !kept.was(&[&plain[..], b" "].concat()));
}

fn told() -> Vec<StoredEntry> {
    let salted = Said::Salted { salted: [9; 32], sealed: Blob(vec![0xDD; 3]) };
    let lines = [
        Line { said: salted.clone(), ..line() },
        Line { said: Said::Plain("user.created".to_owned()), job: None, ..line() },
        Line { said: salted.without_detail().unwrap(), ..line() },
    ];
    lines
        .map(|line| {
            let mut data = Vec::new();
            line.as_ref().put_leaf(&mut data);
            StoredEntry { leaf: leaf_hash(&data), kept: Kept::Told(line) }
        })
        .into()
}

#[test]
fn changes_of_version_3_are_written_and_read_as_ever() {
    let known = bytes_of(include_str!("../fixtures/changes-v3.hex"));
    let entries = told();
    let mut bytes = Vec::new();
    put(&700_u64, &mut bytes);
    put(&3_u64, &mut bytes);
    for entry in &entries {
        entry.line().unwrap().as_ref().put_entry(&entry.leaf, &mut bytes);
    }
    put(&all_changes(), &mut bytes);
    assert_eq!(hex::encode(&bytes), hex::encode(&known));
    let changes = Changes { first_index: 700, entries, made: all_changes() };
    assert_eq!(hex::encode(changes.encode()), hex::encode(&known), "what is written without copies is the same");
    let Some(Stored::Changes(read)) = Stored::decode(CHANGES, 3, &known) else { panic!("it is not read") };
    assert_eq!(read, changes);
    assert!(read.entries.iter().all(|entry| entry.hashed() == entry.leaf));
}

/// As those of version 3, with entries that say what led to them.
#[test]
fn changes_of_version_4_are_written_and_read_as_ever() {
    let known = bytes_of(include_str!("../fixtures/changes-v4.hex"));
    let [first, second, _]: [StoredEntry; 3] = told().try_into().unwrap();
    let mut entries = vec![first];
    let mut bytes = Vec::new();
    put(&700_u64, &mut bytes);
    put(&2_u64, &mut bytes);
    let line = second.line().unwrap().clone();
    let led = LineRef { led_by: Some(300), ..line.as_ref() };
    let mut data = Vec::new();
    led.put_leaf(&mut data);
    assert!(String::from_utf8(data.clone()).unwrap().contains(r#""led_by":300,"#));
    entries[0].told().unwrap().put_entry(&entries[0].leaf, &mut bytes);
    led.put_entry(&leaf_hash(&data), &mut bytes);
    put(&Vec::<Change>::new(), &mut bytes);
    assert_eq!(hex::encode(&bytes), hex::encode(&known));
    entries.push(StoredEntry { leaf: leaf_hash(&data), kept: Kept::Led(300, line) });
    let changes = Changes { first_index: 700, entries, made: Vec::new() };
    assert_eq!(hex::encode(changes.encode()), hex::encode(&known), "what is written without copies is the same");
    let Some(Stored::Changes(read)) = Stored::decode(CHANGES, 4, &known) else { panic!("it is not read") };
    assert_eq!(read, changes);
    assert!(read.entries.iter().all(|entry| entry.hashed() == entry.leaf));
}

#[test]
fn the_leaf_of_an_entry_is_the_same_once_its_detail_is_forgotten() {
    let [whole, _, without] = told().try_into().unwrap();
    assert_eq!(whole.leaf, without.leaf);
    let mut data = Vec::new();
    whole.put_leaf(&mut data).unwrap();
    assert_eq!(String::from_utf8(data).unwrap(), include_str!("../fixtures/entry-v2-leaf.json").trim_end());
}

#[test]
fn changes_of_version_1_are_read_as_ever() {
    assert_eq!(hex::encode(changes()), hex::encode(bytes_of(CHANGES_V1)));
    let Some(Stored::Changes(read)) = Stored::decode(CHANGES, 1, &bytes_of(CHANGES_V1)) else {
        panic!("it is not read");
    };
    assert_eq!((read.first_index, read.made), (700, all_changes()));
    assert_eq!(read.entries[0].line(), Some(&line()));
    for entry in &read.entries {
        assert_eq!(entry.hashed(), entry.leaf);
    }
}

/// Kinds of changes that came later, one after the other: these never change either.
#[test]
fn changes_about_runs_of_meetings_are_written_and_read_as_ever() {
    let remembered = |event_at| Change::Remembered { account: account(), print: [9; 16], event_at };
    let folded = Change::Folded { account: account(), print: [10; 16], delivery: 300, job: 1 };
    let (delivery, event_at) = (300, Some(NOW));
    let told = Change::Told { account: account(), print: [11; 16], delivery, event_at, is_first: true };
    let all = [remembered(Some(NOW)), remembered(None), folded, told];
    are_as_ever(&all, include_str!("../fixtures/changes-of-runs-v1.hex"));
}

#[test]
fn changes_of_which_something_was_forgotten_are_written_and_read_as_ever() {
    let forgotten = StoredEntry { leaf: [7; 32], kept: Kept::Forgotten { at: NOW, kind: Kind::Decision } };
    let mut data = Vec::new();
    line().as_ref().put_first_leaf(&mut data);
    let entries = vec![forgotten, StoredEntry { leaf: leaf_hash(&data), kept: Kept::Line(line()) }];
    let made = vec![
        Change::Forgotten { sealed: None },
        Change::Forgotten { sealed: Some(Blob(vec![0xAB; 2])) },
        Change::Job { id: 1, sealed: Blob::default() },
    ];
    let changes = Changes { first_index: 700, entries, made };
    let known = bytes_of(include_str!("../fixtures/changes-rewritten-v2.hex"));
    assert_eq!(hex::encode(changes.encode()), hex::encode(&known));
    let Some(Stored::Changes(read)) = Stored::decode(CHANGES, REWRITTEN, &known) else { panic!("it is not read") };
    assert!(read.entries.iter().all(|entry| entry.hashed() == entry.leaf));
    assert_eq!(read, changes);
}

fn are_as_ever(all: &[Change], fixture: &str) {
    let mut bytes = Vec::new();
    for change in all {
        put(change, &mut bytes);
    }
    let known = bytes_of(fixture);
    assert_eq!(hex::encode(&bytes), hex::encode(&known));
    let (mut rest, mut read) = (&known[..], Vec::new());
    while !rest.is_empty() {
        let (change, more) = postcard::take_from_bytes::<Change>(rest).unwrap();
        read.push(change);
        rest = more;
    }
    assert_eq!(read, all);
}

/// As those of runs.
#[test]
fn changes_of_documents_are_written_and_read_as_ever() {
    let document = |shelf, account, sealed| Change::Document { shelf, print: [12; 16], account, sealed };
    let shelves =
        [Shelf::App, Shelf::Account, Shelf::Installation, Shelf::Invite, Shelf::AccessToken, Shelf::Onboarding];
    let mut all: Vec<Change> = shelves.map(|shelf| document(shelf, None, None)).into();
    all.push(document(Shelf::Account, Some(account()), Some(Blob(vec![0xAA; 3]))));
    all.push(document(Shelf::Service, None, None));
    are_as_ever(&all, include_str!("../fixtures/changes-of-documents-v1.hex"));
}

#[test]
fn the_leaf_of_a_delivery_is_the_same_for_ever_and_without_its_body() {
    let whole = delivery();
    let stub = StoredBody::Stub(whole.commitment());
    let pruned = Delivery { tail: Tail { body: stub, ..whole.tail.clone() }, ..whole.clone() };
    for delivery in [whole, pruned] {
        let mut data = Vec::new();
        delivery.put_leaf(&mut data);
        assert_eq!(String::from_utf8(data).unwrap(), include_str!("../fixtures/delivery-v2-leaf.json").trim_end());
        let first = Delivery { version: 1, ..delivery };
        assert_eq!(hex::encode(first.hashed()), include_str!("../fixtures/delivery-v1-leaf.hex").trim());
    }
}

#[test]
fn the_leaf_of_a_delivery_says_since_version_3_what_the_body_was() {
    let stub = StoredBody::Stub(salted().commitment());
    let pruned = Delivery { tail: Tail { body: stub, ..salted().tail }, ..salted() };
    for delivery in [salted(), pruned] {
        let mut data = Vec::new();
        delivery.put_leaf(&mut data);
        assert_eq!(String::from_utf8(data).unwrap(), include_str!("../fixtures/delivery-v3-leaf.json").trim_end());
    }
}

#[test]
fn what_this_program_does_not_know_is_not_read() {
    let bytes = delivery().encode();
    assert!(Stored::decode(DELIVERY, 4, &bytes).is_none());
    assert!(Stored::decode(CHANGES, 5, &bytes).is_none());
    assert!(Stored::decode(9, 1, &bytes).is_none());
    assert!(Stored::decode(DELIVERY, 1, &bytes[..60]).is_none());
}

#[test]
fn the_head_of_a_delivery_is_written_as_it_is_read_and_says_where_its_leaf_stands() {
    let Delivery { head, .. } = delivery();
    let (mut by_hand, mut derived) = (vec![9; 3], vec![9; 3]);
    let place = head.put(&mut by_hand);
    put(&head, &mut derived);
    assert_eq!(by_hand, derived);
    assert_eq!(by_hand[place..place + 32], head.leaf);
}
