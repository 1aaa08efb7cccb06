//! What is told over a stream: syslog, in plain and with TLS, and standard output.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::channel;

use rustls::{ServerConnection, StreamOwned};
use serde_json::Value;

use super::{consumer, event, service, size, wait_for};
use crate::process::tls;

/// Messages with their length before them.
pub(super) fn framed(stream: impl std::io::Read) -> impl Iterator<Item = String> {
    let mut stream = BufReader::new(stream);
    std::iter::from_fn(move || {
        let mut length = Vec::new();
        // Whoever was killed leaves half a message.
        stream.read_until(b' ', &mut length).ok()?;
        let length: usize = String::from_utf8(length).unwrap().trim().parse().ok()?;
        let mut message = vec![0; length];
        stream.read_exact(&mut message).ok()?;
        Some(String::from_utf8(message).unwrap())
    })
}

#[test]
fn syslog_gets_each_entry_as_rfc_5424_has_it_after_its_length_also_over_a_connection_that_ended() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut service = service(&format!(
        "[[consumer]]\nname = \"collector\"\nkind = \"syslog\"\naddress = \"{}\"\ntls = false\ninclude = [\"audit\"]\n\
         from = \"start\"\nformat = \"raw\"\n",
        listener.local_addr().unwrap()
    ));
    assert!(service.start(&[]), "{}", service.log());
    let check = |message: &str, index: u64| {
        let parts: Vec<&str> = message.splitn(8, ' ').collect();
        let [head, at, _, app, _, kind, data, json] = parts[..] else { panic!("{message}") };
        let entry: Value = serde_json::from_str(json).unwrap();
        assert_eq!((head, app, data, entry["index"].as_u64()), ("<110>1", "adjutant", "-", Some(index)), "{message}");
        assert_eq!((at, kind), (entry["at"].as_str().unwrap(), entry["kind"].as_str().unwrap()));
    };
    let (stream, _) = listener.accept().unwrap();
    let last = size(&service);
    for (index, message) in (0..last).zip(framed(&stream)) {
        check(&message, index);
    }
    wait_for(&service, "collector", last);
    drop(stream);
    assert_eq!(service.deliver(&event(1)).unwrap(), 200);
    let (stream, _) = listener.accept().unwrap();
    let message = framed(&stream).next().unwrap();
    assert!(message.starts_with("<110>1 "), "{message}");
}

/// The index of the entry that a message tells of, which is `raw`.
pub(super) fn index_of(message: &str) -> u64 {
    let entry: Value = serde_json::from_str(message.splitn(8, ' ').nth(7).unwrap()).unwrap();
    entry["index"].as_u64().unwrap()
}

#[test]
fn syslog_over_tls_reaches_whoever_has_a_good_certificate_and_nobody_else() {
    let (listener, (trusted, server), (_, other)) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), tls::self_signed(), tls::self_signed());
    let mut service = service(&format!(
        "[[consumer]]\nname = \"collector\"\nkind = \"syslog\"\naddress = \"{}\"\ninclude = [\"audit\"]\n\
         from = \"start\"\nformat = \"raw\"\n",
        listener.local_addr().unwrap()
    ));
    let roots = service.folder().join("roots.pem");
    tls::write_roots(&roots, &trusted);
    let environment = [("SSL_CERT_FILE", roots.to_str().unwrap()), ("SSL_CERT_DIR", "")];
    assert!(service.start(&environment), "{}", service.log());
    let (stream, _) = listener.accept().unwrap();
    let last = size(&service);
    let messages = framed(StreamOwned::new(ServerConnection::new(server).unwrap(), stream));
    assert!(messages.take(usize::try_from(last).unwrap()).map(|message| index_of(&message)).eq(0..last));
    wait_for(&service, "collector", last);
    service.kill();
    // Nobody vouches for this one.
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut got = Vec::new();
            let server = ServerConnection::new(Arc::clone(&other)).unwrap();
            let _refused = StreamOwned::new(server, stream.unwrap()).read_to_end(&mut got);
            let _test_is_over = tell.send(got);
        }
    });
    assert!(service.start(&environment), "{}", service.log());
    assert_eq!(service.deliver(&event(1)).unwrap(), 200);
    while consumer(&service, "collector")["state"] != "failing" {
        std::thread::yield_now();
    }
    let why = consumer(&service, "collector")["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("no TLS: invalid peer certificate"), "{why}");
    service.kill();
    assert!(told.try_iter().all(|got| got.is_empty()), "nothing is told to it");
}

const TO_STDOUT: &str = "[[consumer]]\nname = \"out\"\nkind = \"stdout\"\ninclude = [\"audit\"]\nfrom = \"start\"\n";

#[test]
fn standard_output_gets_a_line_for_each_entry_and_nothing_else() {
    let mut service = service(TO_STDOUT);
    let out = service.start_piped();
    for id in 0..5 {
        assert_eq!(service.deliver(&event(id)).unwrap(), 200);
    }
    let last = size(&service);
    let lines = BufReader::new(out).lines().take(usize::try_from(last).unwrap());
    for (index, line) in (0..).zip(lines) {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!((event["data"]["index"].as_u64(), &event["specversion"]), (Some(index), &"1.0".into()));
    }
    wait_for(&service, "out", last);
}

#[test]
fn standard_output_that_nobody_reads_holds_up_neither_another_consumer_nor_the_end_of_the_service() {
    let file = "[[consumer]]\nname = \"lines\"\nkind = \"file\"\npath = \"lines.jsonl\"\ninclude = [\"audit\"]\n\
                from = \"start\"\n";
    let mut service = service(&format!("{TO_STDOUT}{file}"));
    let unread = service.start_piped();
    // More than a pipe holds.
    for id in 0..150 {
        assert_eq!(service.deliver(&event(id)).unwrap(), 200);
    }
    let last = size(&service);
    wait_for(&service, "lines", last);
    let told = std::fs::read_to_string(service.folder().join("lines.jsonl")).unwrap();
    assert!(told.len() > 100_000 && told.lines().count() as u64 >= last, "{} bytes", told.len());
    assert!(consumer(&service, "out")["next"].as_u64().unwrap() < last, "it is held up itself");
    assert_eq!(service.terminate(), Some(0));
    drop(unread);
}
