//! Pages of the audit log that are waited for, of one kind, or of one time.

use std::time::Duration;

use adjutant::audit::{Detail, Kind};
use adjutant::store::{Note, Store as _};
use adjutant::web::admin::Role;
use serde_json::{Value, json};

use super::world::{NOW, OTHER, OWN, World, id};
use super::{Answer, Asked, Connection, FILE_TOKEN};

fn note(world: &World, words: &str, later: Duration) {
    let note =
        Note { kind: Kind::Service, app: None, account: None, code: "said".to_owned(), detail: Detail::note(words) };
    world.runtime.block_on(world.store.note(note, NOW.plus(later))).unwrap();
}

fn indexes(answer: &Answer) -> Vec<u64> {
    let json = answer.json();
    let entries = json["entries"].as_array().unwrap_or_else(|| panic!("{json}"));
    entries.iter().map(|entry| entry["index"].as_u64().unwrap()).collect()
}

/// Asks in a thread of its own, since the answer is waited for.
fn asked(world: &World, path: String) -> std::thread::JoinHandle<Answer> {
    asked_with(world, FILE_TOKEN.to_owned(), path)
}

fn asked_with(world: &World, token: String, path: String) -> std::thread::JoinHandle<Answer> {
    let mut connection = Connection::open(world.address);
    std::thread::spawn(move || connection.ask(&token, &Asked::new("GET", path)))
}

fn told(world: &World, (kind, code): (Kind, &str), account: Option<&str>) {
    let (code, detail) = (code.to_owned(), Detail::note("told"));
    let note = Note { kind, app: None, account: account.map(id), code, detail };
    world.runtime.block_on(world.store.note(note, NOW)).unwrap();
}

#[test]
fn a_token_that_is_revoked_while_its_page_is_waited_for_gets_none() {
    let world = World::new();
    let asks = Asked::new("POST", "/v1/tokens").with(json!({ "name": "siem", "role": "auditor" }));
    let made = world.ask(FILE_TOKEN, &asks).json();
    let (token, about) = (made["token"].as_str().unwrap(), made["about"]["id"].as_str().unwrap());
    let size = world.state().0;
    let waits = asked_with(&world, token.to_owned(), format!("/v1/audit?from={size}&kind=attention&wait_secs=60"));
    while world.readers.count() == 0 {
        std::thread::yield_now();
    }
    world.ask(FILE_TOKEN, &Asked::new("DELETE", format!("/v1/tokens/{about}")));
    // Of another kind than what says that it is revoked.
    for _ in 0..9 {
        told(&world, (Kind::Attention, "said"), None);
    }
    while !waits.is_finished() {
        world.clock.advance(Duration::from_secs(1));
        std::thread::yield_now();
    }
    let answer = waits.join().unwrap();
    assert!(answer.status == 401 && !answer.body.contains("entries"), "{}", answer.body);
}

#[test]
fn the_newest_so_many_of_an_account_are_those_that_the_whole_log_ends_with() {
    let world = World::new();
    for number in 0..2_600 {
        told(&world, (Kind::Service, "said"), [Some(OWN), Some(OTHER), None][number % 3]);
    }
    let all = world.runtime.block_on(world.store.entries(0, usize::MAX)).unwrap();
    let own: Vec<u64> = all.iter().filter(|entry| entry.account == Some(id(OWN))).map(|entry| entry.index).collect();
    for last in [1, 2, 333, 700, 100_000] {
        for limit in [1, 5, 1_000] {
            let page = world.get(FILE_TOKEN, &format!("/v1/audit?account={OWN}&last={last}&limit={limit}"));
            let newest = &own[own.len().saturating_sub(last)..];
            assert_eq!(indexes(&page), newest[..newest.len().min(limit)], "{last}, {limit}");
            let next = page.json()["next"].as_str().unwrap().to_owned();
            let rest = world.get(FILE_TOKEN, &format!("/v1/audit?account={OWN}&after={next}&limit=1"));
            assert_eq!(indexes(&rest).first(), newest.get(limit), "{last}, {limit}: it goes on");
        }
    }
}

#[test]
fn whoever_begins_among_entries_that_are_too_old_to_be_kept_is_told_so() {
    let world = World::new();
    for _ in 0..120 {
        told(&world, (Kind::Service, "said"), Some(OWN));
    }
    let size = world.state().0;
    for _ in 0..3 {
        told(&world, (Kind::Attention, "pruned"), None);
    }
    told(&world, (Kind::Service, "said"), Some(OWN));
    for account in [String::new(), format!("&account={OWN}")] {
        for (from, is_told) in [(0, false), (size, true), (size + 3, false)] {
            let to = size + 4;
            let page = world.get(FILE_TOKEN, &format!("/v1/audit?from={from}{account}&limit=2")).json();
            let stream = world.get(FILE_TOKEN, &format!("/v1/audit/stream?from={from}&to={to}{account}")).body;
            assert_eq!(page["has_pruned"] == true, is_told, "{from}{account}: {page}");
            assert_eq!(stream.starts_with(": the first entries are older"), is_told, "{from}{account}: {stream}");
            assert!(stream.contains("said"), "{stream}");
        }
    }
}

#[test]
fn a_page_that_is_waited_for_comes_with_the_next_entry_and_empty_at_the_end_of_the_wait() {
    let world = World::new();
    let size = world.state().0;
    let end = world.get(FILE_TOKEN, &format!("/v1/audit?from={size}")).json()["next"].as_str().unwrap().to_owned();
    let waits = asked(&world, format!("/v1/audit?after={end}&wait_secs=60"));
    let of_kind = asked(&world, format!("/v1/audit?after={end}&wait_secs=60&kind=outcome"));
    note(&world, "now", Duration::ZERO);
    while !waits.is_finished() {
        // It may not wait yet.
        world.clock.advance(Duration::from_millis(10));
        std::thread::yield_now();
    }
    assert_eq!(indexes(&waits.join().unwrap()), [size]);
    while !of_kind.is_finished() {
        world.clock.advance(Duration::from_secs(60));
        std::thread::yield_now();
    }
    let empty = of_kind.join().unwrap();
    assert!(indexes(&empty).is_empty(), "{}", empty.body);
    assert_ne!(empty.json()["next"], Value::from(end), "what is of another kind is passed by");
    let at_once = world.get(FILE_TOKEN, "/v1/audit?wait_secs=60&limit=3");
    assert_eq!(indexes(&at_once), [0, 1, 2], "nobody waits where there is something");
}

#[test]
fn pages_of_some_kinds_together_hold_what_all_pages_hold_of_them() {
    let world = World::new();
    let all = world.get(FILE_TOKEN, "/v1/audit?limit=1000").json()["entries"].clone();
    let is_wanted = |entry: &&Value| ["decision", "outcome"].contains(&entry["kind"].as_str().unwrap());
    let wanted: Vec<u64> =
        all.as_array().unwrap().iter().filter(is_wanted).map(|entry| entry["index"].as_u64().unwrap()).collect();
    assert!(wanted.len() > 4, "{wanted:?}");
    for limit in [1, 2, 3, 1000] {
        let (mut found, mut path) = (Vec::new(), format!("/v1/audit?kind=decision,outcome&limit={limit}"));
        loop {
            let page = world.get(FILE_TOKEN, &path);
            if indexes(&page).is_empty() {
                break;
            }
            found.extend(indexes(&page));
            let next = page.json()["next"].as_str().unwrap().to_owned();
            path = format!("/v1/audit?kind=decision,outcome&limit={limit}&after={next}");
        }
        assert_eq!(found, wanted, "by {limit}");
    }
    let newest = indexes(&world.get(FILE_TOKEN, "/v1/audit?kind=decision,outcome&last=3"));
    assert_eq!(newest, wanted[wanted.len() - 3..]);
}

#[test]
fn a_time_is_the_place_before_its_first_entry_and_parts_that_meet_there_leave_nothing_out() {
    let world = World::new();
    let size = world.state().0;
    for minutes in [1, 2, 2, 3] {
        note(&world, "timed", Duration::from_secs(60 * minutes));
    }
    let at = |minutes: u64| NOW.plus(Duration::from_secs(60 * minutes)).to_string();
    let of = |query: String| indexes(&world.get(FILE_TOKEN, &format!("/v1/audit?limit=1000&{query}")));
    assert_eq!(of(format!("from={}", at(2))), [size + 1, size + 2, size + 3]);
    assert_eq!(of(format!("from={}&to={}", at(1), at(2))), [size]);
    assert_eq!(of(format!("from={}", at(4))), [0; 0]);
    assert_eq!(of(format!("to={size}")).len(), usize::try_from(size).unwrap());
    let parts = [of(format!("to={}", at(2))), of(format!("from={}", at(2)))].concat();
    assert_eq!(parts, (0..size + 4).collect::<Vec<_>>());
    assert_eq!(of("from=2001-01-01".to_owned()).len(), usize::try_from(size + 4).unwrap());
}

#[test]
fn a_condition_chooses_among_entries_for_operators_of_all_accounts_alone() {
    let world = World::new();
    let condition = "entry.kind%20%3D%3D%20%22outcome%22%20%26%26%20entry.code%20%3D%3D%20%22parked%22";
    let all = world.get(FILE_TOKEN, "/v1/audit?limit=1000").json()["entries"].clone();
    let is_wanted = |entry: &&Value| entry["kind"] == "outcome" && entry["code"] == "parked";
    let wanted: Vec<u64> =
        all.as_array().unwrap().iter().filter(is_wanted).map(|entry| entry["index"].as_u64().unwrap()).collect();
    assert!(!wanted.is_empty() && wanted.len() < all.as_array().unwrap().len());
    let path = format!("/v1/audit?limit=1000&filter={condition}");
    assert_eq!(indexes(&world.get(FILE_TOKEN, &path)), wanted);
    let size = all.as_array().unwrap().len();
    let streamed = world.get(FILE_TOKEN, &format!("/v1/audit/stream?from=0&to={size}&filter={condition}"));
    let streamed: Vec<u64> =
        super::streams::data(&streamed.body).iter().map(|entry| entry["index"].as_u64().unwrap()).collect();
    assert_eq!(streamed, wanted);
    for (role, is_bound) in [(Role::Auditor, false), (Role::Auditor, true), (Role::Operator, true)] {
        for path in [path.clone(), path.replace("/v1/audit?", "/v1/audit/stream?").replace("limit=1000&", "")] {
            let answer = world.get(world.token_of(role, is_bound), &path);
            assert!(answer.status == 403 && answer.body.contains("filter is for operators"), "{path}: {}", answer.body);
        }
    }
    let wrong = world.get(FILE_TOKEN, "/v1/audit?filter=entry.knd%20%3D%3D%20%22call%22");
    assert!(wrong.status == 400 && wrong.body.contains("did you mean kind?"), "{}", wrong.body);
}
