//! Signature and timestamp headers: missing, doubled, of every wrong shape, and of other people.

use adjutant::event::signature::sign;
use sha2::{Digest, Sha256};

use super::{Case, refused, stored};
use crate::support::request::{Request, SIGNATURE, TIMESTAMP, signed, signed_at, signed_by, unsigned};
use crate::support::{NOW, OLD_SECRET, OTHER_SECRET, SECRET, secret};

const BODY: &str = r#"{"event":"user.created","payload":{}}"#;

fn now() -> String {
    NOW.to_string()
}

fn good() -> Request {
    signed(BODY)
}

fn signature() -> String {
    sign(&secret(SECRET), &now(), BODY.as_bytes())
}

/// The good request with this signature instead.
fn with(signature: impl AsRef<[u8]>) -> Request {
    good().with(SIGNATURE, signature)
}

pub(super) fn cases() -> Vec<Case> {
    let (signature, hex) = (signature(), signature()[3..].to_owned());
    let mut cases = vec![
        refused("no signature", 400, &good().without(SIGNATURE)),
        refused("no timestamp", 400, &good().without(TIMESTAMP)),
        refused("neither signature nor timestamp", 400, &unsigned(BODY)),
        refused("the same signature twice", 400, &good().header(SIGNATURE, &signature)),
        refused("a good and a bad signature", 400, &good().header(SIGNATURE, "v0=00")),
        refused("a bad and a good signature", 400, &with("v0=00").header(SIGNATURE, &signature)),
        refused("a second signature in other case", 400, &good().header("X-ZM-Signature", &signature)),
        refused("the same timestamp twice", 400, &good().header(TIMESTAMP, now())),
        refused("two timestamps", 400, &good().header(TIMESTAMP, (NOW - 1).to_string())),
        refused("a signature that is not ASCII", 400, &with(b"v0=\xff\xfe")),
        refused("a signature with an umlaut", 400, &with(format!("{signature}ä"))),
        refused("the legacy token alone", 400, &unsigned(BODY).header("authorization", SECRET)),
        stored("header names in upper case", &good().without(SIGNATURE).header("X-ZM-SIGNATURE", &signature)),
        stored("a signature with spaces around it", &with(format!("  {signature}\t"))),
        stored("an authorization header beside a good signature", &good().header("authorization", "Basic eDp5")),
        stored("a traceparent and forwarding headers", &good().header("x-forwarded-for", "::1, ::2")),
        stored("a request id", &good().header("x-zm-request-id", "6009d653_d487_445d_8406_42b654974899")),
        stored("two request ids", &good().header("x-zm-request-id", "a").header("x-zm-request-id", "b")),
        stored("a request id that is not ASCII", &good().header("x-zm-request-id", b"\xff")),
        stored("a request id of 4,000 bytes", &good().header("x-zm-request-id", "a".repeat(4000))),
        stored("the older of two secrets", &signed_by(OLD_SECRET, &now(), BODY)),
        stored("no content type", &good().without("content-type")),
        stored("another content type", &good().with("content-type", "text/plain; charset-utf-8")),
    ];
    let digest = hex::encode(Sha256::digest(format!("v0:{NOW}:{BODY}")));
    let bad: [(&'static str, String); 19] = [
        ("an empty signature", String::new()),
        ("the signature in upper case", format!("v0={}", hex.to_uppercase())),
        ("one digit in upper case", signature.replacen(|c: char| c.is_ascii_lowercase() && c != 'v', "A", 1)),
        ("the version in upper case", format!("V0={hex}")),
        ("another version", format!("v1={hex}")),
        ("no version", hex.clone()),
        ("no equals sign", format!("v0{hex}")),
        ("the version twice", format!("v0={signature}")),
        ("63 digits", signature[..66].to_owned()),
        ("65 digits", format!("{signature}0")),
        ("the first half", signature[..35].to_owned()),
        ("a quoted signature", format!("\"{signature}\"")),
        ("a space inside", format!("v0= {hex}")),
        ("two signatures in one header", format!("{signature}, {signature}")),
        ("zeros", format!("v0={}", "0".repeat(64))),
        ("letters that are no digits", format!("v0={}", "g".repeat(64))),
        ("a digest without a key", format!("v0={digest}")),
        ("the word of a script", "v0=' OR '1'='1".to_owned()),
        ("sha256= as elsewhere", format!("sha256={hex}")),
    ];
    cases.extend(bad.into_iter().map(|(name, signature)| refused(name, 401, &with(signature))));
    let of = |with: &str, timestamp: &str, body: &str| sign(&secret(with), timestamp, body.as_bytes());
    cases.extend([
        refused("the secret of nobody", 401, &with(of("sixteen-bytes-or-more", &now(), BODY))),
        refused("the secret of another app", 401, &with(of(OTHER_SECRET, &now(), BODY))),
        refused("the signature of an empty body", 401, &with(of(SECRET, &now(), ""))),
        refused("the signature of another time", 401, &with(of(SECRET, &(NOW - 1).to_string(), BODY))),
        refused("the signature of the body alone", 401, &with(of(SECRET, "", BODY))),
        refused("a byte more in the body", 401, &good().body(format!("{BODY}\n"))),
        refused("a byte less in the body", 401, &good().body(&BODY[..BODY.len() - 1])),
        refused("a space before the body", 401, &good().body(format!(" {BODY}"))),
        refused("the same JSON printed anew", 401, &good().body(BODY.replace(':', ": "))),
        refused("an empty body under a signature", 401, &good().body("")),
    ]);
    cases
}

/// The signature fits each of these timestamps: only the shape refuses them.
pub(super) fn timestamps() -> Vec<Case> {
    let of = |timestamp: &str| signed_at(timestamp, BODY);
    let sig = |timestamp: &str, body: &str| sign(&secret(SECRET), timestamp, body.as_bytes());
    vec![
        refused("an empty timestamp", 400, &of("")),
        refused("a plus sign", 400, &of("+1739923528")),
        refused("a plus sign and nine digits", 400, &of("+739923528")),
        refused("a minus sign", 400, &of("-739923528")),
        refused("a space inside the timestamp", 400, &of("17399 3528")),
        refused("a tab inside the timestamp", 400, &of("17399\t3528")),
        refused("milliseconds", 400, &of("1739923528000")),
        refused("nine digits", 400, &of("739923528")),
        refused("eleven digits", 400, &of("01739923528")),
        refused("a fraction", 400, &of("1739923528.0")),
        refused("an exponent", 400, &of("1.739923e9")),
        refused("hexadecimal", 400, &of("0x67b52088")),
        refused("a letter for a digit", 400, &of("173992352a")),
        refused("an underscore", 400, &of("1739923_28")),
        refused("two timestamps in one header", 400, &of("1739923528,1739923528")),
        refused("full-width digits", 400, &of("１７３９９２３５２８")),
        refused("Arabic digits", 400, &of("١٧٣٩٩٢٣٥٢٨")),
        refused("one full-width digit", 400, &of("173992352８")),
        refused("a timestamp that is not UTF-8", 400, &good().with(TIMESTAMP, b"173992352\xb8")),
        refused("a date", 400, &of("2025-02-19T00:05:28Z")),
        refused("a colon after the timestamp", 400, &of("1739923528:")),
        refused(
            "the body moved across the colon",
            400,
            &good().with(TIMESTAMP, format!("{NOW}:{}", &BODY[..8])).body(&BODY[8..]),
        ),
        refused(
            "a body's own colon used as the separator",
            400,
            &signed("").with(SIGNATURE, sig(&now(), "9:{}")).with(TIMESTAMP, format!("{NOW}:9")).body("{}"),
        ),
        refused(
            "a digit moved into the body",
            400,
            &good().with(TIMESTAMP, &now()[..9]).body(format!("{}:{BODY}", &now()[9..])),
        ),
        stored("spaces around the timestamp", &good().with(TIMESTAMP, format!("  {NOW} "))),
    ]
}

pub(super) fn window() -> Vec<Case> {
    let at = |secs: i64| signed_at(&format!("{secs:010}"), BODY);
    vec![
        stored("as old as the window allows", &at(NOW - 7200)),
        refused("a second older", 503, &at(NOW - 7201)),
        stored("as far ahead as the window allows", &at(NOW + 300)),
        refused("a second further ahead", 503, &at(NOW + 301)),
        refused("a request of last month, repeated", 503, &at(NOW - 30 * 86_400)),
        refused("the epoch", 503, &at(0)),
        refused("the year 2286", 503, &at(9_999_999_999)),
        refused("an old request with another body", 401, &at(NOW - 30 * 86_400).body("{}")),
        refused("a future request with another body", 401, &at(NOW + 86_400).body("{}")),
    ]
}
