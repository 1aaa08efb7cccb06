//! `endpoint.url_validation` answers with an HMAC under the key of all signatures. These try to have something else signed.

use adjutant::event::signature::sign;

use super::{Case, Expected, case, refused, stored};
use crate::support::request::{SIGNATURE, signed, signed_at, signed_by, unsigned};
use crate::support::{NOW, OLD_SECRET, OTHER_SECRET, secret};

/// A url validation with this as its token, in JSON.
fn asking(token: &str) -> String {
    format!(r#"{{"payload":{{"plainToken":{token}}},"event_ts":1654503849680,"event":"endpoint.url_validation"}}"#)
}

pub(super) fn cases() -> Vec<Case> {
    let good = asking("\"qgg8vlvZRS6UYooatFL8Aw\"");
    let forged = format!(r#""v0:{NOW}:{{\"event\":\"user.created\"}}""#);
    let validated = |name, body: &str| case(name, &signed(body), Expected::Validated);
    let stays = |name, token: &str| stored(name, &signed(asking(token)));
    vec![
        validated("a signed url validation", &good),
        validated("a token of all the characters there are", &asking("\"AZaz09_+/=.-\"")),
        validated("a token of 128 bytes", &asking(&format!("\"{}\"", "x".repeat(128)))),
        validated("a plain token written with escapes", &asking(r#""a\u0062c""#)),
        case(
            "a url validation under the older secret",
            &signed_by(OLD_SECRET, &NOW.to_string(), &good),
            Expected::Validated,
        ),
        refused("an unsigned url validation", 400, &unsigned(&good)),
        refused("a url validation with a signature of zeros", 401, &signed(&good).with(SIGNATURE, "v0=0")),
        refused("a url validation signed by another app", 401, &signed_by(OTHER_SECRET, &NOW.to_string(), &good)),
        refused("a url validation under the signature of another body", 401, &signed("{}").body(&good)),
        refused("an old url validation", 503, &signed_at(&(NOW - 7201).to_string(), &good)),
        refused("an unsigned request to sign a forged event", 400, &unsigned(asking(&forged))),
        refused("a forged event under a wrong signature", 401, &signed(&good).body(asking(&forged))),
        refused(
            "a forged event that signs itself",
            401,
            &signed(&good).body(asking(&forged)).with(SIGNATURE, sign(&secret("1739923528-0123456"), "1", b"{}")),
        ),
        stays("a signed request to sign a forged event", &forged),
        stays("a token with one colon", "\"a:b\""),
        stays("a colon written as an escape", r#""v0\u003a1739923528\u003a{}""#),
        stays("an empty token", "\"\""),
        stays("a token of 129 bytes", &format!("\"{}\"", "x".repeat(129))),
        stays("a token with a space", "\"a b\""),
        stays("a token with a line feed", r#""a\nb""#),
        stays("a token with a NUL", r#""a\u0000b""#),
        stays("a token that is not ASCII", "\"ａ\""),
        stays("a token of quotes", r#""a\"b""#),
        stays("a number for a token", "1739923528"),
        stays("an array for a token", "[\"a\"]"),
        stays("null for a token", "null"),
        stays("two tokens", "\"a\",\"plainToken\":\"v0:1:{}\""),
        stored("no token at all", &signed(r#"{"event":"endpoint.url_validation","payload":{}}"#)),
        stored("a url validation as an array", &signed(r#"["endpoint.url_validation",1,{"plainToken":"a"}]"#)),
        stored("its name written with escapes", &signed(good.replace("url_", r"url\u005f"))),
        stored("its name in another field", &signed(r#"{"event":"x","payload":{"a":"endpoint.url_validation"}}"#)),
        stored("two names", &signed(good.replace("\"event\":", "\"event\":\"user.created\",\"event\":"))),
        stored("a url validation that does not end", &signed(&good[..good.len() - 1])),
        stored("two url validations in one body", &signed(format!("{good}{good}"))),
    ]
}
