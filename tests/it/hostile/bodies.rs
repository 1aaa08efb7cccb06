//! Bodies: of every size, nesting and encoding, framed in every way. What is signed is stored, whatever it says.

use super::{BODY_BYTES_MAX, Case, Expected, raw, refused, stored};
use crate::support::request::{chunks, signed, unsigned};

const BODY: &str = r#"{"event":"meeting.started","payload":{}}"#;

pub(super) fn cases() -> Vec<Case> {
    let deep = "[".repeat(100_000);
    let closed = format!("{{\"event\":\"user.created\",\"payload\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let huge = "9".repeat(BODY_BYTES_MAX);
    let twice = r#"{"event":"user.created","event":"user.deleted","payload":{},"payload":{"object":{"id":"a"}}}"#;
    vec![
        stored("an empty body, signed", &signed("")),
        refused("an empty body, unsigned", 400, &unsigned("")),
        stored("one byte", &signed("x")),
        stored("a NUL", &signed("\0")),
        stored("not UTF-8", &signed(b"{\"event\":\"\xff\xfe\"}")),
        stored("half a surrogate", &signed(r#"{"event":"\ud800"}"#)),
        stored("a byte order mark", &signed(format!("\u{feff}{BODY}"))),
        stored("UTF-16", &signed(b"{\0\"\0e\0\"\0}\0")),
        stored("emoji", &signed("{\"event\":\"user.created\",\"payload\":{\"object\":{\"first_name\":\"👩‍🏫\"}}}")),
        stored("JSON that does not end", &signed("{\"event\":")),
        stored("an array", &signed("[]")),
        stored("null", &signed("null")),
        stored("XML", &signed("<!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]><x>&y;</x>")),
        stored("duplicate keys", &signed(twice)),
        stored("100,000 open brackets", &signed(deep)),
        stored("50,000 closed brackets", &signed(closed)),
        stored("an event name of 100,000 bytes", &signed(format!("{{\"event\":\"{}\"}}", "x".repeat(100_000)))),
        stored("a number of 200,000 digits", &signed(format!("{{\"event_ts\":{}}}", &huge[..200_000]))),
        stored("as many bytes as may be", &signed(&huge)),
        refused("a byte more than may be", 413, &signed("").with("content-length", (BODY_BYTES_MAX + 1).to_string())),
        refused("a byte more than may be, unsigned", 413, &unsigned("").with("content-length", "300001")),
        refused("a declared exabyte", 413, &signed("").with("content-length", "1000000000000000000")),
        refused("gzip", 415, &signed(BODY).header("content-encoding", "gzip")),
        refused("brotli", 415, &signed(BODY).header("content-encoding", "br")),
        refused("gzip, unsigned", 415, &unsigned(BODY).header("content-encoding", "gzip")),
        refused("two encodings in one header", 415, &signed(BODY).header("content-encoding", "identity, gzip")),
        refused(
            "two encodings in two headers",
            415,
            &signed(BODY).header("content-encoding", "identity").header("content-encoding", "gzip"),
        ),
        refused("an empty encoding beside one", 415, &signed(BODY).header("content-encoding", ", gzip")),
        refused(
            "gzip to an app that is not there",
            404,
            &signed(BODY).path("/webhooks/x").header("content-encoding", "gzip"),
        ),
        stored("an empty encoding, which is none", &signed(BODY).header("content-encoding", "")),
        stored("no encoding, said aloud", &signed(BODY).header("content-encoding", "Identity")),
    ]
}

pub(super) fn framing() -> Vec<Case> {
    let body = BODY.as_bytes();
    let chunked = |framed: &[u8]| signed(BODY).chunked(framed);
    let both = signed(BODY).chunked(chunks(body, 7)).header("content-length", "3");
    let length_first = signed(BODY).without("content-length").header("content-length", "3");
    // The last chunk is announced and does not come: whatever was sent has been read when the answer is given.
    let mut over = format!("{:x}\r\n", BODY_BYTES_MAX + 1).into_bytes();
    over.resize(over.len() + BODY_BYTES_MAX + 1, b' ');
    vec![
        stored("one chunk", &chunked(&chunks(body, 4096))),
        stored("chunks of one byte", &chunked(&chunks(body, 1))),
        stored("a chunk extension", &chunked(format!("{:x};a=b\r\n{BODY}\r\n0\r\n\r\n", body.len()).as_bytes())),
        stored(
            "a trailer",
            &chunked(format!("{:x}\r\n{BODY}\r\n0\r\nx-zm-signature: v0=0\r\n\r\n", body.len()).as_bytes()),
        ),
        refused("chunks under the signature of another body", 401, &chunked(&chunks(b"{}", 1))),
        refused("chunks over the cap", 413, &signed(vec![b' '; BODY_BYTES_MAX + 1]).chunked(over)),
        refused("a chunk size that is no number", 400, &chunked(b"xyz\r\n{}\r\n0\r\n\r\n")),
        refused("a negative chunk size", 400, &chunked(b"-1\r\n{}\r\n0\r\n\r\n")),
        refused("a chunk size of 17 digits", 400, &chunked(b"11111111111111111\r\n{}\r\n0\r\n\r\n")),
        refused("a chunk longer than it says", 400, &chunked(b"1\r\n{}\r\n0\r\n\r\n")),
        refused("no length at all", 401, &signed(BODY).without("content-length")),
        refused("a length below the body's", 401, &signed(BODY).with("content-length", "3")),
        stored("the same length twice", &signed(BODY).header("content-length", body.len().to_string())),
        refused("two lengths", 400, &signed(BODY).header("content-length", "3")),
        refused("two lengths in one header", 400, &signed(BODY).with("content-length", "40, 3")),
        refused("a length with a sign", 400, &signed(BODY).with("content-length", "+40")),
        refused("a negative length", 400, &signed(BODY).with("content-length", "-1")),
        refused("a length beyond 2^64", 400, &signed(BODY).with("content-length", "99999999999999999999")),
        refused("a length in hexadecimal", 400, &signed(BODY).with("content-length", "0x28")),
        refused("an empty length", 400, &signed(BODY).with("content-length", "")),
        // Chunks win, as RFC 9112 says; what a proxy in front took for the end makes no difference to what is signed.
        stored("chunks and then a length", &both),
        stored(
            "a length and then chunks",
            &length_first.clone().header("transfer-encoding", "chunked").body_as_it_is(&chunks(body, 7)),
        ),
        refused(
            "an unsigned request smuggled behind chunks",
            401,
            &signed(BODY).chunked(format!("0\r\n\r\n{}", unsigned("{}").line("POST /webhooks/other HTTP/1.1").text())),
        ),
        refused(
            "gzip as a transfer coding",
            415,
            &chunked(&chunks(body, 7)).with("transfer-encoding", "gzip, chunked"),
        ),
        refused("chunked twice", 415, &chunked(&chunks(body, 7)).with("transfer-encoding", "chunked, chunked")),
        refused("a transfer coding that does not end", 400, &signed(BODY).header("transfer-encoding", "gzip")),
        refused("chunked in disguise", 400, &signed(BODY).header("transfer-encoding", "xchunked")),
        refused("identity as a transfer coding", 400, &signed(BODY).header("transfer-encoding", "identity")),
        raw(
            "chunks in HTTP/1.0",
            signed(BODY).chunked(chunks(body, 7)).line("POST /webhooks/main HTTP/1.0").bytes(),
            Expected::Refused(400),
        ),
    ]
}
