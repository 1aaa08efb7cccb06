//! One signed request, verified.
//!
//! Zoom signs `v0:{x-zm-request-timestamp}:{raw body}` with HMAC-SHA256 under the app's webhook secret and sends
//! `x-zm-signature: v0={64 lower-case hex digits}` (developers.zoom.us, "Verify webhook events"). Guarantees:
//! - the timestamp is ten digits before anything is hashed: no byte can be moved across the colon;
//! - the bytes are hashed as they came, never parsed and printed again;
//! - all secrets are tried and compared in constant time;
//! - [`encrypted_token`], an HMAC under the same key, takes only a [`PlainToken`]: that has no colon, so what it signs is
//!   never the text of a delivery.
//!
//! Deliberately does not know what the body says, which app it is for, or what is answered.

use std::fmt;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

const SIGNATURE: &str = "x-zm-signature";
const TIMESTAMP: &str = "x-zm-request-timestamp";
const REQUEST_ID: &str = "x-zm-request-id";
const REQUEST_ID_BYTES_MAX: usize = 128;
/// How the request ids of our own tries begin; Zoom's begin with hexadecimal digits.
pub const OWN_REQUEST_ID: &str = "adjutant_";

/// A request whose signature was good: made by [`verify`], or read back from a store, and by nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    body: Bytes,
    /// The signed `x-zm-request-timestamp`, in seconds.
    signed_at_secs: i64,
    /// `x-zm-request-id`, which is not under the signature.
    request_id: Option<String>,
}

impl Verified {
    /// For stores alone: what was verified when it was stored. A test holds that nobody else calls it.
    pub fn reread(body: Bytes, signed_at_secs: i64, request_id: Option<String>) -> Self {
        Self { body, signed_at_secs, request_id }
    }

    /// The raw bytes, as they came.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    pub const fn signed_at_secs(&self) -> i64 {
        self.signed_at_secs
    }

    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Whether it says that we sent it ourselves, to try the way in. The id is not under the signature: only what people are
    /// shown may depend on it.
    pub fn is_own(&self) -> bool {
        self.request_id().is_some_and(|id| id.starts_with(OWN_REQUEST_ID))
    }
}

/// One webhook secret ("Secret Token") of an app. Never printed; the keyed HMAC is made once, so that a verify pays for no
/// key setup.
#[derive(Clone)]
pub struct Secret(Box<Hmac<Sha256>>);

/// Why a text is no webhook secret. It does not show the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    #[error("the webhook secret has {bytes} bytes; at least {} are needed", Secret::BYTES_MIN)]
    Short { bytes: usize },
    #[error("the webhook secret has spaces or control characters")]
    Unprintable,
}

impl Secret {
    pub const BYTES_MIN: usize = 16;

    pub fn new(text: &SecretString) -> Result<Self, WeakSecret> {
        let bytes = text.expose_secret().as_bytes();
        if bytes.len() < Self::BYTES_MIN {
            return Err(WeakSecret::Short { bytes: bytes.len() });
        }
        if !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(WeakSecret::Unprintable);
        }
        match Hmac::new_from_slice(bytes) {
            Ok(keyed) => Ok(Self(Box::new(keyed))),
            // HMAC takes keys of any length.
            Err(_) => Err(WeakSecret::Short { bytes: bytes.len() }),
        }
    }

    fn mac(&self, parts: [&[u8]; 4]) -> [u8; 32] {
        let mut mac = Hmac::clone(&self.0);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Tells whether a set of secrets is the set that it was, in any order, without telling the secrets.
pub fn fingerprint(secrets: &[Secret]) -> [u8; 16] {
    // No colon and no `v0`: this text is no delivery and, having spaces, no plain token.
    let mut macs: Vec<_> =
        secrets.iter().map(|secret| secret.mac([b"adjutant secret fingerprint", b"", b"", b""])).collect();
    macs.sort_unstable();
    let mut hash = Sha256::new();
    for mac in macs {
        hash.update(mac);
    }
    let [bytes, _] = halves(hash.finalize().into());
    bytes
}

fn halves(hash: [u8; 32]) -> [[u8; 16]; 2] {
    let mut both = [[0; 16]; 2];
    for (to, from) in both.as_flattened_mut().iter_mut().zip(hash) {
        *to = from;
    }
    both
}

/// How far the signed timestamp may be from our clock, in seconds; the edges are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How old it may be. Zoom retries up to 85 minutes later, perhaps with the first timestamp.
    pub past: u32,
    /// How far ahead of us it may be.
    pub future: u32,
}

/// Why a request is no verified delivery. Only for us: a stranger is never told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the signature fits none of the secrets")]
    Signature,
    /// The signature is good: one of the two clocks is wrong, or somebody repeats an old request.
    #[error("the signature is good but {skew_secs} s old")]
    Window {
        /// Our time less the signed one.
        skew_secs: i64,
    },
}

/// The headers of a request that claims to be signed, well formed: what can be said before the body is there.
#[derive(Debug)]
pub struct Stamp<'h> {
    digits: &'h [u8],
    secs: i64,
    /// None where it is not `v0=` and 64 lower-case hex digits: no signature that Zoom makes.
    mac: Option<[u8; 32]>,
    request_id: Option<&'h str>,
}

impl<'h> Stamp<'h> {
    /// Exactly one of each needed header, ASCII, the timestamp ten digits.
    pub fn read(headers: &'h HeaderMap) -> Result<Self, Refusal> {
        let signature = exactly_one(headers, SIGNATURE)?;
        let digits = exactly_one(headers, TIMESTAMP)?.as_bytes();
        if digits.len() != 10 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::Malformed("the timestamp is not ten digits"));
        }
        let secs = digits.iter().fold(0_i64, |secs, digit| secs * 10 + i64::from(digit - b'0'));
        Ok(Self { digits, secs, mac: read_mac(signature), request_id: request_id(headers) })
    }

    /// Checks the signature, then the window. The first secret that fits is handed back.
    pub fn verify<'s>(
        &self,
        body: Bytes,
        secrets: &'s [Secret],
        now_secs: i64,
        window: Window,
    ) -> Result<(Verified, &'s Secret), Refusal> {
        let claimed = self.mac.ok_or(Refusal::Signature)?;
        // All are tried and all of each is compared, so that time tells neither how much of one fitted nor which one.
        let (mut found, mut which) = (Choice::from(0), u32::MAX);
        for (index, secret) in (0_u32..).zip(secrets) {
            let fits = secret.mac([b"v0:", self.digits, b":", &body]).ct_eq(&claimed);
            which.conditional_assign(&index, fits & !found);
            found |= fits;
        }
        let secret = usize::try_from(which).ok().and_then(|which| secrets.get(which)).ok_or(Refusal::Signature)?;
        let skew_secs = now_secs.saturating_sub(self.secs);
        if skew_secs > i64::from(window.past) || skew_secs < -i64::from(window.future) {
            return Err(Refusal::Window { skew_secs });
        }
        let request_id = self.request_id.map(str::to_owned);
        Ok((Verified { body, signed_at_secs: self.secs, request_id }, secret))
    }
}

/// Verifies a whole request: [`Stamp::read`], then [`Stamp::verify`].
pub fn verify<'s>(
    headers: &HeaderMap,
    body: Bytes,
    secrets: &'s [Secret],
    now_secs: i64,
    window: Window,
) -> Result<(Verified, &'s Secret), Refusal> {
    Stamp::read(headers)?.verify(body, secrets, now_secs, window)
}

fn exactly_one<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Refusal> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        // `to_str` takes visible ASCII, spaces and tabs.
        (Some(value), None) => value.to_str().map_err(|_| Refusal::Malformed("a signature header is not ASCII")),
        (None, _) => Err(Refusal::Malformed("a signature header is missing")),
        (Some(_), Some(_)) => Err(Refusal::Malformed("a signature header is there more than once")),
    }
}

/// The id is unsigned and only a hint: what is wrong with it is no reason to lose a delivery.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = exactly_one(headers, REQUEST_ID).ok()?;
    let good = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(id)
}

fn read_mac(signature: &str) -> Option<[u8; 32]> {
    let digits = signature.strip_prefix("v0=")?.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut mac = [0; 32];
    let (pairs, _) = digits.as_chunks::<2>();
    for (byte, [high, low]) in mac.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(mac)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// What may be signed in answer to `endpoint.url_validation`: 1 to 128 of `A-Z a-z 0-9 _ + / = . -`. The colon that every
/// signed delivery has is not among them, and that is what keeps the answer from being a forged signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainToken(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plainToken is not 1 to 128 of A-Z a-z 0-9 _ + / = . -")]
pub struct NotPlain;

impl PlainToken {
    pub fn parse(text: &str) -> Result<Self, NotPlain> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+/=.-".contains(&byte);
        if (1..=128).contains(&text.len()) && text.bytes().all(plain) { Ok(Self(text.into())) } else { Err(NotPlain) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `encryptedToken`: lower-case hex of the HMAC of the plain token under the secret that verified the request.
pub fn encrypted_token(secret: &Secret, token: &PlainToken) -> String {
    hex::encode(secret.mac([token.as_str().as_bytes(), b"", b"", b""]))
}

/// Signs as Zoom does, for `trigger`, the simulator and tests: the value of `x-zm-signature`.
pub fn sign(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    format!("v0={}", hex::encode(secret.mac([b"v0:", timestamp.as_bytes(), b":", body])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_739_923_528;
    const WINDOW: Window = Window { past: 7200, future: 300 };

    fn secret(text: &str) -> Secret {
        Secret::new(&text.into()).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn signed(by: &Secret, at: i64, body: &[u8]) -> HeaderMap {
        headers(&[(SIGNATURE, &sign(by, &at.to_string(), body)), (TIMESTAMP, &at.to_string())])
    }

    #[test]
    fn the_vector_that_was_made_by_hand_comes_out() {
        let token = PlainToken::parse("qgg8vlvZRS6UYooatFL8Aw").unwrap();
        assert_eq!(
            encrypted_token(&secret("zoom-test-secret-token"), &token),
            "189bad60d71b25fc9705f43e5883e837f2d813ec93ba913b641fbe02d931744f"
        );
    }

    #[test]
    fn any_of_the_secrets_verifies_and_the_one_that_did_is_named() {
        let secrets = [secret("the-new-secret-0001"), secret("the-old-secret-0001")];
        for by in &secrets {
            let (verified, with) =
                verify(&signed(by, NOW, b"{}"), Bytes::from_static(b"{}"), &secrets, NOW, WINDOW).unwrap();
            assert!(std::ptr::eq(with, by));
            assert_eq!((verified.signed_at_secs(), &verified.body()[..]), (NOW, &b"{}"[..]));
        }
        let stranger = secret("a-stranger's-secret");
        let refused = verify(&signed(&stranger, NOW, b"{}"), Bytes::from_static(b"{}"), &secrets, NOW, WINDOW);
        assert_eq!(refused.unwrap_err(), Refusal::Signature);
        let refused = verify(&signed(&stranger, NOW, b"{}"), Bytes::from_static(b"{}"), &[], NOW, WINDOW);
        assert_eq!(refused.unwrap_err(), Refusal::Signature, "no secret at all");
    }

    #[test]
    fn the_window_holds_to_the_second_and_is_told_only_of_good_signatures() {
        let secrets = [secret("the-secret-of-tests")];
        for (at, good) in [(NOW - 7200, true), (NOW - 7201, false), (NOW + 300, true), (NOW + 301, false)] {
            let outcome = verify(&signed(&secrets[0], at, b"{}"), Bytes::from_static(b"{}"), &secrets, NOW, WINDOW);
            match outcome {
                Ok(_) => assert!(good, "{at} was taken"),
                Err(refusal) => {
                    assert!(!good, "{at}: {refusal}");
                    assert_eq!(refusal, Refusal::Window { skew_secs: NOW - at });
                }
            }
            let forged = verify(&signed(&secrets[0], at, b"[]"), Bytes::from_static(b"{}"), &secrets, NOW, WINDOW);
            assert_eq!(forged.unwrap_err(), Refusal::Signature);
        }
    }

    #[test]
    fn a_request_id_that_is_not_plain_is_absent() {
        let secrets = [secret("the-secret-of-tests")];
        let long = "a".repeat(129);
        let fits = "a".repeat(128);
        let table: [(&[&str], Option<&str>); 6] = [
            (&[], None),
            (&["6009d653_d487_445d_8406_42b654974899"], Some("6009d653_d487_445d_8406_42b654974899")),
            (&["one", "two"], None),
            (&["with space"], None),
            (&[&long], None),
            (&[&fits], Some(&fits)),
        ];
        for (ids, expected) in table {
            let mut headers = signed(&secrets[0], NOW, b"{}");
            for id in ids {
                headers.append(REQUEST_ID, id.parse().unwrap());
            }
            let (verified, _) = verify(&headers, Bytes::from_static(b"{}"), &secrets, NOW, WINDOW).unwrap();
            assert_eq!(verified.request_id(), expected);
        }
    }

    #[test]
    fn a_plain_token_has_no_colon_and_at_most_128_bytes() {
        for good in ["a", "qgg8vlvZRS6UYooatFL8Aw", "+/=._-", &"x".repeat(128)] {
            assert!(PlainToken::parse(good).is_ok(), "{good} was refused");
        }
        for bad in ["", "v0:1739923528:{}", "a b", "ä", "a\n", "{}", &"x".repeat(129)] {
            assert!(PlainToken::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_secret_is_long_enough_and_never_printed() {
        assert_eq!(Secret::new(&"short".into()).unwrap_err(), WeakSecret::Short { bytes: 5 });
        assert_eq!(Secret::new(&"sixteen bytes or so".into()).unwrap_err(), WeakSecret::Unprintable);
        assert_eq!(format!("{:?}", secret("zoom-test-secret-token")), "Secret(…)");
    }

    #[test]
    fn a_fingerprint_changes_with_the_set_and_not_with_its_order() {
        let (a, b) = (secret("aaaaaaaaaaaaaaaa"), secret("bbbbbbbbbbbbbbbb"));
        assert_eq!(fingerprint(&[a.clone(), b.clone()]), fingerprint(&[b.clone(), a.clone()]));
        assert_ne!(fingerprint(std::slice::from_ref(&a)), fingerprint(std::slice::from_ref(&b)));
        assert_ne!(fingerprint(std::slice::from_ref(&a)), fingerprint(&[a.clone(), b]));
    }
}
