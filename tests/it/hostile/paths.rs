//! Paths, methods, and what is hardly HTTP.

use super::{Case, Expected, case, raw, refused, stored};
use crate::support::request::{signed, signed_by, unsigned};
use crate::support::{NOW, OTHER_SECRET};

const BODY: &str = r#"{"event":"group.created","payload":{}}"#;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("an app that is not there", "/webhooks/nobody"),
        ("no app", "/webhooks/"),
        ("no app and no slash", "/webhooks"),
        ("a slash at the end", "/webhooks/main/"),
        ("an encoded letter", "/webhooks/%6dain"),
        ("an encoded slash", "/webhooks%2fmain"),
        ("an encoded slash at the end", "/webhooks/main%2f"),
        ("an encoded NUL", "/webhooks/main%00"),
        ("a dot", "/webhooks/./main"),
        ("two dots", "/webhooks/../webhooks/main"),
        ("encoded dots", "/webhooks/%2e%2e/webhooks/main"),
        ("two dots to the app's own name", "/webhooks/x/../main"),
        ("two slashes at the start", "//webhooks/main"),
        ("two slashes in the middle", "/webhooks//main"),
        ("a path parameter", "/webhooks/main;v=1"),
        ("the app in upper case", "/webhooks/MAIN"),
        ("the folder in upper case", "/WEBHOOKS/main"),
        ("a space at the end", "/webhooks/main%20"),
        ("an app name of 20,000 bytes", LONG.as_str()),
        ("the root", "/"),
        ("the metrics", "/metrics"),
        ("the readiness", "/readyz"),
        ("the admin's jobs", "/v1/jobs"),
        ("a script", "/cgi-bin/php?-d+allow_url_include=1"),
        ("a dotted file", "/.env"),
    ]
    .map(|(name, path)| refused(name, 404, &signed(BODY).path(path)))
    .into();
    cases.extend([
        refused("another app under this app's secret", 401, &signed(BODY).path("/webhooks/other")),
        stored(
            "another app under its own secret",
            &signed_by(OTHER_SECRET, &NOW.to_string(), BODY).path("/webhooks/other"),
        ),
        stored("a query", &signed(BODY).path("/webhooks/main?app=other&x=%00")),
        stored("an absolute address", &signed(BODY).path("http://elsewhere.example/webhooks/main")),
        stored("another host", &signed(BODY).with("host", "elsewhere.example")),
        stored("no host", &signed(BODY).without("host")),
        refused("a header of 40,000 bytes", 431, &signed(BODY).header("x-long", "x".repeat(40_000))),
        refused("an unknown app that is told nothing more than others", 404, &unsigned("").path("/webhooks/nobody")),
    ]);
    cases
}

static LONG: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| format!("/webhooks/{}", "a".repeat(20_000)));

pub(super) fn methods() -> Vec<Case> {
    let line = |line: &str| signed(BODY).line(line);
    let mut cases: Vec<Case> = [
        ("GET", "GET /webhooks/main HTTP/1.1"),
        ("HEAD", "HEAD /webhooks/main HTTP/1.1"),
        ("PUT", "PUT /webhooks/main HTTP/1.1"),
        ("PATCH", "PATCH /webhooks/main HTTP/1.1"),
        ("DELETE", "DELETE /webhooks/main HTTP/1.1"),
        ("OPTIONS", "OPTIONS /webhooks/main HTTP/1.1"),
        ("TRACE", "TRACE /webhooks/main HTTP/1.1"),
        ("a method of their own", "FORGE /webhooks/main HTTP/1.1"),
        ("the method in lower case", "post /webhooks/main HTTP/1.1"),
        ("GET of an app that is not there", "GET /webhooks/nobody HTTP/1.1"),
        ("POST to the liveness", "POST /livez HTTP/1.1"),
    ]
    .map(|(name, of)| refused(name, 405, &line(of).body("").without("content-length")))
    .into();
    cases.extend([
        raw("the liveness", "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", Expected::Fine),
        raw("all of it", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", Expected::Refused(404)),
        raw("a tunnel", "CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: x\r\n\r\n", Expected::Refused(404)),
        stored("HTTP/1.0", &line("POST /webhooks/main HTTP/1.0")),
        stored("an expectation", &signed(BODY).header("expect", "100-continue")),
        stored("an expectation of something else", &signed(BODY).header("expect", "the-unexpected")),
        stored("an upgrade", &signed(BODY).header("connection", "upgrade").header("upgrade", "websocket")),
        stored("another method in a header", &signed(BODY).header("x-http-method-override", "DELETE")),
    ]);
    cases
}

pub(super) fn protocol() -> Vec<Case> {
    let bad = |name, bytes: &[u8]| raw(name, bytes, Expected::Refused(400));
    let crowded = (0..150).fold(signed(BODY), |request, _| request.header("x-more", "x"));
    vec![
        bad("rubbish", b"rubbish\r\n\r\n"),
        bad("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        bad("HTTP/0.9", b"GET /livez\r\n\r\n"),
        bad("HTTP/9.9", b"GET /livez HTTP/9.9\r\n\r\n"),
        bad("a method with a space", b"PO ST /livez HTTP/1.1\r\n\r\n"),
        bad("a path with a space", b"GET /li vez HTTP/1.1\r\n\r\n"),
        bad("a NUL in a header", b"GET /livez HTTP/1.1\r\nx: \0\r\n\r\n"),
        bad("a space before a colon", b"GET /livez HTTP/1.1\r\nx : y\r\n\r\n"),
        bad("a header without a colon", b"GET /livez HTTP/1.1\r\nx\r\n\r\n"),
        bad("a folded header", b"GET /livez HTTP/1.1\r\nx: a\r\n b\r\n\r\n"),
        bad("a carriage return in a header", b"GET /livez HTTP/1.1\r\nx: a\rb\r\n\r\n"),
        case("150 headers", &crowded, Expected::Refused(431)),
    ]
}
