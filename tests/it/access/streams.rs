//! The audit log as server-sent events: nothing is left out, nothing is told to whoever may not read it, and nobody is held up.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use adjutant::audit::{Detail, Kind};
use adjutant::store::{Note, Store as _};
use adjutant::web::admin::Role;
use serde_json::{Value, json};

use super::world::{NOW, OTHER, OWN, World, id};
use super::{Asked, FILE_TOKEN};

/// What a body in chunks says, once its end is there.
pub(crate) fn whole(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).unwrap(), 16).unwrap();
        let chunk = chunks.get(end + 2..end + 4 + length)?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..length]);
        chunks = &chunks[end + 4 + length..];
    }
}

/// The entries of a stream.
pub(crate) fn data(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Somebody who reads a stream.
pub(crate) struct Reader {
    from: BufReader<TcpStream>,
    pub(crate) status: u16,
    pub(crate) head: String,
    left: String,
}

impl Reader {
    pub(crate) fn open(address: SocketAddr, token: &str, path: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        // Only so that a hanging server fails the test instead of stopping it.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (mut from, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(from.read_line(&mut head).unwrap() > 0, "closed: {head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { from, status, head: head.to_lowercase(), left: String::new() }
    }

    /// The next block: an event, or a heartbeat. None at the end of the stream; a stream that is cut off has none.
    pub(crate) fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, left)) = self.left.split_once("\n\n") {
                let block = block.to_owned();
                self.left = left.to_owned();
                return Some(block);
            }
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "it was cut off");
            let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            self.from.read_exact(&mut chunk).unwrap();
            if length == 0 {
                return None;
            }
            self.left.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
    }

    /// The next event: its id and entry. None at the end.
    pub(crate) fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.block()?;
            if let Some(entry) = data(&block).pop() {
                return Some((of_id(&block), entry));
            }
        }
    }
}

fn of_id(block: &str) -> String {
    block.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned()
}

fn open(world: &World, token: &str, path: &str) -> Reader {
    let reader = Reader::open(world.address, token, path, None);
    assert_eq!(reader.status, 200, "{}", reader.head);
    reader
}

fn note(world: &World, account: &str, words: &str) {
    let detail = Detail::note(words);
    let note = Note { kind: Kind::Service, app: None, account: Some(id(account)), code: "said".to_owned(), detail };
    world.runtime.block_on(world.store.note(note, NOW)).unwrap();
}

/// So that those who wait look.
fn passes(world: &World, secs: u64) {
    world.clock.advance(Duration::from_secs(secs));
}

#[test]
fn every_entry_is_told_once_and_in_order_also_over_streams_that_broke_off() {
    let world = World::new();
    let size = world.state().0;
    let mut told = Vec::new();
    let mut last: Option<String> = None;
    while told.len() < usize::try_from(size).unwrap() {
        let mut reader = Reader::open(world.address, FILE_TOKEN, "/v1/audit/stream?from=0", None);
        if last.is_some() {
            reader = Reader::open(world.address, FILE_TOKEN, "/v1/audit/stream", last.as_deref());
        }
        assert!(reader.head.contains("content-type: text/event-stream"), "{}", reader.head);
        for _ in 0..7_usize.min(usize::try_from(size).unwrap() - told.len()) {
            let (id, entry) = reader.event().unwrap();
            told.push(entry);
            last = Some(id);
        }
    }
    let wanted = world.get(FILE_TOKEN, "/v1/audit?limit=1000").json()["entries"].clone();
    assert_eq!(Value::from(told), wanted, "each as a page of the log has it");
}

#[test]
fn what_is_entered_is_told_to_whoever_reads_and_a_heartbeat_shows_that_nothing_was() {
    let world = World::new();
    let mut reader = open(&world, FILE_TOKEN, "/v1/audit/stream");
    let mut of_kind = open(&world, FILE_TOKEN, "/v1/audit/stream?kind=attention,outcome");
    note(&world, OWN, "now");
    passes(&world, 1);
    assert_eq!(reader.event().unwrap().1["note"], "now");
    passes(&world, 15);
    let (beat, other) = (reader.block().unwrap(), of_kind.block().unwrap());
    assert!(beat.starts_with(": heartbeat\nid: ") && !beat.contains("data"), "{beat}");
    assert_eq!(beat, other, "what is not told is passed by");
    note(&world, OWN, "later");
    passes(&world, 1);
    let again = Reader::open(world.address, FILE_TOKEN, "/v1/audit/stream", Some(&of_id(&other))).event();
    assert_eq!(again, reader.event(), "a heartbeat is a place to go on from");
    assert_eq!(again.unwrap().1["note"], "later");
}

#[test]
fn a_token_of_one_account_reads_its_entries_alone_and_its_stream_ends_when_it_is_revoked() {
    let world = World::new();
    let made = world.ask(
        FILE_TOKEN,
        &Asked::new("POST", "/v1/tokens").with(json!({ "name": "siem", "role": "auditor", "account": OWN })),
    );
    let made = made.json();
    let mut reader = open(&world, made["token"].as_str().unwrap(), "/v1/audit/stream");
    note(&world, OTHER, "of the other");
    note(&world, OWN, "of ours");
    passes(&world, 1);
    assert_eq!(reader.event().unwrap().1["note"], "of ours");
    world.ask(FILE_TOKEN, &Asked::new("DELETE", format!("/v1/tokens/{}", made["about"]["id"].as_str().unwrap())));
    note(&world, OWN, "after the end");
    passes(&world, 1);
    assert_eq!(reader.block(), None, "it ends, and tells nothing more");
    let bound = world.token_of(Role::Auditor, true);
    let path = format!("/v1/audit/stream?account={OTHER}");
    assert_eq!(Reader::open(world.address, bound, &path, None).status, 404);
    assert_eq!(
        Reader::open(world.address, world.token_of(Role::Scheduler, false), "/v1/audit/stream", None).status,
        403
    );
}

#[test]
fn one_token_takes_a_part_of_the_places_and_leaves_room_for_others() {
    let world = World::new();
    let bound = world.token_of(Role::Auditor, true);
    let mut readers: Vec<Reader> = (0..16).map(|_| open(&world, bound, "/v1/audit/stream")).collect();
    let completeness = format!("/v1/accounts/{OWN}/completeness");
    for path in ["/v1/audit/stream", "/v1/audit?wait_secs=1", "/v1/audit/trace?of=job_1", &completeness] {
        let refused = world.get(bound, path);
        assert!(refused.status == 503 && refused.is_problem(), "{path}: {}", refused.body);
        assert!(refused.json()["detail"].as_str().unwrap().contains("16 readers with this token"), "{}", refused.body);
    }
    assert_eq!(world.get(bound, "/v1/audit").status, 200, "whoever does not wait needs no place");
    let mut other = open(&world, FILE_TOKEN, "/v1/audit/stream");
    drop(readers.pop());
    // The listener hears of it when it hears of it.
    while Reader::open(world.address, bound, "/v1/audit/stream", None).status == 503 {
        std::thread::yield_now();
    }
    note(&world, OWN, "for all");
    passes(&world, 1);
    for reader in readers.iter_mut().chain([&mut other]) {
        assert_eq!(reader.event().unwrap().1["note"], "for all");
    }
}

#[test]
fn whoever_does_not_read_holds_up_nobody_and_misses_nothing() {
    let world = World::new();
    let first = world.state().0;
    // More than the buffers of a connection take.
    let words = "x".repeat(8_000);
    for _ in 0..2_000 {
        note(&world, OWN, &words);
    }
    let end = world.state().0;
    let path = format!("/v1/audit/stream?from=0&to={end}");
    let slow = open(&world, FILE_TOKEN, &path);
    for mut reader in [open(&world, FILE_TOKEN, &path), slow] {
        for index in 0..end {
            let (_, entry) = reader.event().unwrap();
            assert_eq!(entry["index"], index);
            assert!(index < first || entry["note"] == words, "{index}");
        }
        assert_eq!(reader.block(), None);
    }
}
