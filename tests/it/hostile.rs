//! Hostile input: what strangers send, over a real socket, to the real receiver.
//!
//! Every case has a name, the bytes, the status, and whether something may be stored. An answer's body is empty unless a
//! url validation was answered.

mod bodies;
mod headers;
mod paths;
mod tokens;

use std::time::Duration;

use adjutant::event::signature::{Window, sign, verify};
use adjutant::web::accept::AcceptSettings;
use adjutant::web::webhook::ReceiverSettings;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use crate::support::request::{Request, SIGNATURE, TIMESTAMP, signed, unsigned};
use crate::support::{NOW, PATIENCE, Recorder, SECRET, Service, secret};

/// What must come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This status, and nothing stored.
    Refused(u16),
    /// 200, and stored as it was signed.
    Stored,
    /// 200 without being stored.
    Fine,
    /// The documented answer to a url validation, and nothing stored.
    Validated,
}

pub(crate) struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    expected: Expected,
}

pub(crate) fn case(name: &'static str, request: &Request, expected: Expected) -> Case {
    Case { name, bytes: request.bytes(), expected }
}

pub(crate) fn refused(name: &'static str, status: u16, request: &Request) -> Case {
    case(name, request, Expected::Refused(status))
}

pub(crate) fn stored(name: &'static str, request: &Request) -> Case {
    case(name, request, Expected::Stored)
}

pub(crate) fn raw(name: &'static str, bytes: impl Into<Vec<u8>>, expected: Expected) -> Case {
    Case { name, bytes: bytes.into(), expected }
}

/// The largest body of the service that the table runs against.
pub(crate) const BODY_BYTES_MAX: usize = 300_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_request_is_answered_as_the_table_says_and_stores_nothing_else() {
    let settings = ReceiverSettings { body_bytes_max: BODY_BYTES_MAX, ..ReceiverSettings::default() };
    let service = Service::with(Recorder::proven(), settings, AcceptSettings::default()).await;
    let cases: Vec<Case> = [
        headers::cases(),
        headers::timestamps(),
        headers::window(),
        tokens::cases(),
        bodies::cases(),
        bodies::framing(),
        paths::cases(),
        paths::methods(),
        paths::protocol(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    assert!(cases.len() >= 100, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for Case { name, bytes, expected } in cases {
        let mut client = service.connect().await;
        client.write(&bytes).await;
        let answer = loop {
            match client.answer().await {
                Some(answer) if answer.status == 100 => {}
                answer => break answer,
            }
        };
        let stored = service.store.take().len();
        let answer = answer.map(|answer| (answer.status, answer.body));
        let good = match (&answer, expected) {
            (Some((status, body)), Expected::Refused(wanted)) => *status == wanted && body.is_empty() && stored == 0,
            (Some((200, body)), Expected::Stored) => body.is_empty() && stored == 1,
            (Some((200, body)), Expected::Fine) => body.is_empty() && stored == 0,
            (Some((200, body)), Expected::Validated) => body.contains("\"encryptedToken\":") && stored == 0,
            _ => false,
        };
        if !good {
            wrong.push(format!("{name}: {answer:?}, {stored} stored, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // It still works, for everybody else.
    assert_eq!(service.send(&signed("{}").bytes()).await.status, 200);
}

#[tokio::test]
async fn a_header_that_does_not_end_is_cut_off() {
    let accept = AcceptSettings { header_secs: 1, ..AcceptSettings::default() };
    let service = Service::with(Recorder::proven(), ReceiverSettings::default(), accept).await;
    let mut fresh = service.connect().await;
    let mut kept = service.connect().await;
    // The deadline also holds on a connection that behaved before.
    kept.write(&signed("{}").bytes()).await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    for client in [&mut fresh, &mut kept] {
        client.write(b"POST /webhooks/main HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    }
    assert_eq!(fresh.closed().await, "");
    assert_eq!(kept.closed().await, "");
    let silent = service.connect().await;
    assert_eq!(silent.closed().await, "");
    until("all three are counted as late", || service.accepted.late() == 3).await;
    assert_eq!(service.store.take().len(), 1);
}

#[tokio::test]
async fn a_body_that_does_not_end_is_answered_408_and_cut_off() {
    let accept = AcceptSettings { body_secs: 1, ..AcceptSettings::default() };
    let service = Service::with(Recorder::proven(), ReceiverSettings::default(), accept).await;
    let request = signed(r#"{"event":"user.created"}"#);
    let bytes = request.bytes();
    let mut client = service.connect().await;
    client.write(&bytes[..bytes.len() - 1]).await;
    assert_eq!(client.answer().await.unwrap().status, 408);
    assert_eq!(client.closed().await, "");
    let mut drop_by_drop = service.connect().await;
    drop_by_drop.write(&signed("x".repeat(1000)).chunked("1\r\nx\r\n1\r\nx\r\n").bytes()).await;
    assert_eq!(drop_by_drop.answer().await.unwrap().status, 408);
    assert_eq!(service.store.take(), []);
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed() {
    let accept = AcceptSettings { idle_secs: 1, ..AcceptSettings::default() };
    let service = Service::with(Recorder::proven(), ReceiverSettings::default(), accept).await;
    let mut client = service.connect().await;
    client.write(&signed("{}").bytes()).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(client.closed().await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_its_answers_is_cut_off_while_others_are_answered() {
    // Nothing else ends it: it goes on asking.
    let accept =
        AcceptSettings { answer_secs: 1, idle_secs: 3600, keep_alive_requests_max: u32::MAX, ..Default::default() };
    let service = Service::with(Recorder::proven(), ReceiverSettings::default(), accept).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut deaf = socket.connect(service.address).await.unwrap();
    let asking = tokio::spawn(async move {
        let many = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
        while deaf.write_all(many.as_bytes()).await.is_ok() {}
    });
    until("its window is full and nobody waits for it any more", || service.accepted.late() == 1).await;
    timeout(PATIENCE, asking).await.unwrap().unwrap();
    assert_eq!(service.send(&signed("{}").bytes()).await.status, 200);
    // One that reads, however much it asks for, is not.
    let mut client = service.connect().await;
    for _ in 0..1000 {
        client.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    assert_eq!(service.accepted.late(), 1);
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused_and_not_stored() {
    let service = Service::start().await;
    for bytes in [
        signed("{}").with("content-length", "3").bytes(),
        signed("{}").chunked("2\r\n{}\r\n").bytes(),
        signed("{}").chunked("5\r\n{}").bytes(),
    ] {
        let mut client = service.connect().await;
        client.write(&bytes).await;
        client.finish_writing().await;
        let answer = client.closed().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(service.store.take(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_request_is_answered_within_a_second_beside_a_thousand_idle_connections() {
    let service = Service::start().await;
    let mut idle = Vec::new();
    for number in 0..1000 {
        let mut client = service.connect().await;
        if number % 2 == 0 {
            client.write(b"POST /webhooks/main HTTP/1.1\r\n").await;
        }
        idle.push(client);
    }
    let begun = Instant::now();
    assert_eq!(service.send(&signed("{}").bytes()).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
    assert_eq!((service.accepted.open() >= 1000, service.accepted.evicted()), (true, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_connection_cap_the_longest_idle_connection_makes_room() {
    let accept = AcceptSettings { connections_max: 4, ..AcceptSettings::default() };
    let service = Service::with(Recorder::proven(), ReceiverSettings::default(), accept).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut client = service.connect().await;
        client.write(&signed("{}").bytes()).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        idle.push(client);
    }
    let mut new = service.connect().await;
    new.write(&signed("{}").bytes()).await;
    assert_eq!(new.answer().await.unwrap().status, 200);
    assert_eq!(idle.remove(0).closed().await, "");
    assert_eq!(service.accepted.evicted(), 1);
    // The others were left alone.
    for mut client in idle {
        client.write(&signed("{}").bytes()).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_in_the_middle_of_a_request_is_not_closed_for_another() {
    let accept = AcceptSettings { connections_max: 1, ..AcceptSettings::default() };
    let service = Service::with(Recorder::proven(), ReceiverSettings::default(), accept).await;
    let request = signed("{}");
    let mut busy = service.connect().await;
    busy.write(&request.clone().header("expect", "100-continue").head()).await;
    // It is in the middle of its request from here on.
    assert_eq!(busy.answer().await.unwrap().status, 100);
    let mut waiting = service.connect().await;
    waiting.write(&request.bytes()).await;
    busy.write(b"{}").await;
    assert_eq!(busy.answer().await.unwrap().status, 200);
    assert_eq!(waiting.answer().await.unwrap().status, 200, "the idle one makes room by now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_keep_their_bodies_back_make_room_for_one_that_does_not() {
    let accept = AcceptSettings { connections_max: 4, body_secs: 60, ..AcceptSettings::default() };
    let service = Service::with(Recorder::proven(), ReceiverSettings::default(), accept).await;
    let request = signed("{}");
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut client = service.connect().await;
        client.write(&request.clone().header("expect", "100-continue").head()).await;
        assert_eq!(client.answer().await.unwrap().status, 100);
        slow.push(client);
    }
    let begun = Instant::now();
    assert_eq!(service.send(&request.bytes()).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(3), "Zoom does not wait {:?}", begun.elapsed());
    assert_eq!(slow.remove(0).closed().await, "");
    let mut last = slow.pop().unwrap();
    last.write(b"{}").await;
    assert_eq!(last.answer().await.unwrap().status, 200, "only as many were closed as had to be");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_turn_and_nothing_after_a_bad_one() {
    let service = Service::start().await;
    let mut client = service.connect().await;
    let mut bytes = signed("{\"n\":1}").bytes();
    bytes.extend(signed("{\"n\":2}").body("{\"n\":3}").bytes());
    bytes.extend(signed("{\"n\":4}").bytes());
    bytes.extend(b"rubbish\r\n\r\n");
    bytes.extend(signed("{\"n\":5}").bytes());
    client.write(&bytes).await;
    for status in [200, 401, 200, 400] {
        assert_eq!(client.answer().await.unwrap().status, status);
    }
    assert_eq!(client.closed().await, "");
    let bodies: Vec<_> = service.store.take().into_iter().map(|(_, verified)| verified.body().clone()).collect();
    assert_eq!(bodies, ["{\"n\":1}", "{\"n\":4}"]);
}

#[tokio::test]
async fn an_unsigned_request_is_refused_before_its_body_is_asked_for() {
    let service = Service::start().await;
    let mut client = service.connect().await;
    client.write(&unsigned("{}").header("expect", "100-continue").head()).await;
    assert_eq!(client.answer().await.unwrap().status, 400, "and not 100 before it");
    let mut client = service.connect().await;
    client.write(&signed("{}").with("content-length", "1048577").header("expect", "100-continue").head()).await;
    assert_eq!(client.answer().await.unwrap().status, 413);
}

#[tokio::test]
async fn bodies_on_their_way_take_no_more_memory_than_is_set_aside() {
    let settings = ReceiverSettings { bodies_bytes_max: 100_000, ..ReceiverSettings::default() };
    let service = Service::with(Recorder::proven(), settings, AcceptSettings::default()).await;
    let body = vec![b' '; 200_000];
    let answer = service.send(&signed(&body).bytes()).await;
    assert_eq!((answer.status, service.store.take().len()), (503, 0));
    assert_eq!(service.send(&signed(&body[..50_000]).bytes()).await.status, 200, "the memory was given back");
}

/// The client may see what happened before it is counted.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never so: {what}");
        tokio::task::yield_now().await;
    }
}

/// Runs itself once more with few file descriptors.
#[test]
fn running_out_of_file_descriptors_is_survived() {
    const FEW: &str = "ADJUTANT_TEST_FEW_FILES";
    if std::env::var_os(FEW).is_none() {
        let exe = std::env::current_exe().unwrap();
        let name = "hostile::running_out_of_file_descriptors_is_survived";
        let script = format!("ulimit -n 64; exec \"$0\" --exact {name}");
        let output = std::process::Command::new("sh").arg("-c").arg(script).arg(exe).env(FEW, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let service = Service::start().await;
        let mut files = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            files.push(file);
        }
        assert!(files.len() > 20, "only {} files", files.len());
        // The connection takes the only one that is left, so there is none to accept it with.
        files.pop();
        let mut client = service.connect().await;
        until("an accept failed", || service.accepted.accept_errors() > 0).await;
        drop(files);
        client.write(&signed("{}").bytes()).await;
        assert_eq!(client.answer().await.unwrap().status, 200, "it waited in the kernel's queue");
        assert_eq!(service.send(&signed("{}").bytes()).await.status, 200);
    });
}

const WINDOW: Window = Window { past: 7200, future: 300 };

fn verifies(timestamp: &[u8], signature: &[u8], body: &[u8]) -> bool {
    let (Ok(timestamp), Ok(signature)) = (HeaderValue::from_bytes(timestamp), HeaderValue::from_bytes(signature))
    else {
        return false;
    };
    let headers = [(TIMESTAMP, timestamp), (SIGNATURE, signature)];
    let headers: HeaderMap = headers.map(|(name, value)| (HeaderName::from_static(name), value)).into_iter().collect();
    verify(&headers, Bytes::copy_from_slice(body), &[secret(SECRET)], NOW, WINDOW).is_ok()
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// All bits of timestamp and signature, and all of a random body, one at a time.
    #[test]
    fn a_request_with_any_one_bit_changed_is_refused(
        body in prop::collection::vec(any::<u8>(), 0..48),
        skew in -300_i64..7200,
    ) {
        let timestamp = (NOW - skew).to_string();
        let signature = sign(&secret(SECRET), &timestamp, &body);
        let (timestamp, signature) = (timestamp.as_bytes(), signature.as_bytes());
        prop_assert!(verifies(timestamp, signature, &body));
        for bit in 0..timestamp.len() * 8 {
            prop_assert!(!verifies(&flipped(timestamp, bit), signature, &body), "bit {bit} of the timestamp");
        }
        for bit in 0..signature.len() * 8 {
            prop_assert!(!verifies(timestamp, &flipped(signature, bit), &body), "bit {bit} of the signature");
        }
        for bit in 0..body.len() * 8 {
            prop_assert!(!verifies(timestamp, signature, &flipped(&body, bit)), "bit {bit} of the body");
        }
    }

    /// Bytes moved from one side of the colon to the other sign to the same, and are refused all the same.
    #[test]
    fn no_byte_moves_across_the_colon(body in "[0-9:{}\"a-z]{1,40}", moved in 1_usize..40) {
        let moved = moved.min(body.len());
        let timestamp = NOW.to_string();
        let signature = sign(&secret(SECRET), &timestamp, body.as_bytes());
        let longer = format!("{timestamp}:{}", &body[..moved]);
        let rest = body[moved..].strip_prefix(':').unwrap_or(&body[moved..]);
        prop_assert!(!verifies(longer.as_bytes(), signature.as_bytes(), rest.as_bytes()));
    }
}
