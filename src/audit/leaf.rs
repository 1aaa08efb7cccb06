//! What the leaf of an entry is the hash of: a line of JSON that anybody can read.
//!
//! ```text
//! {"v":2,"at":"2026-11-22T10:00:00.000Z","kind":"call","code":"204","app":"main","account":"acc","job":"job_4",
//!  "rule":"assist","led_by":41,"detail":{"salted":"…","sealed":"…"}}
//! ```
//! The keys stand in this order, without blanks; what an entry has not is left out. `led_by` is the number of the
//! entry that led to it. `note` is a sentence that names nobody.
//! What may name a person is not in it but by two SHA-256 in hex: `salted` is that of 16 random bytes and the JSON of the
//! [detail](super::Detail), so that whoever is shown both can tell that they are genuine, and whoever is not learns nothing;
//! `sealed` is that of the bytes as they are stored, so that the log can be verified by who has no key.
//!
//! `body` is of a delivery. `salted` is there the SHA-256 of 16 random bytes, the SHA-256 of the body as it came, and the
//! request id, if any; `bytes` is the length of the body. In older lines it is `sealed`, with the length of what is stored.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Kind;
use super::tree::Hash;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};

pub const VERSION: u8 = 2;
/// How many random bytes stand before a detail.
pub const SALT_BYTES: usize = 16;

/// A hash, in the line as hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha(pub Hash);

impl Sha {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a body, by its hash, with a salt before it and the request id behind it.
    pub fn of_body(salt: &[u8; SALT_BYTES], body: &Self, request_id: Option<&str>) -> Self {
        let request_id = request_id.unwrap_or_default();
        Self(Sha256::new().chain_update(salt).chain_update(body.0).chain_update(request_id).finalize().into())
    }

    /// Of a detail with its salt before it.
    pub fn of_salted(salt: &[u8; SALT_BYTES], json: &[u8]) -> Self {
        Self(Sha256::new().chain_update(salt).chain_update(json).finalize().into())
    }
}

impl<'de> Deserialize<'de> for Sha {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut hash = [0; 32];
        hex::decode_to_slice(&text, &mut hash).map_err(serde::de::Error::custom)?;
        Ok(Self(hash))
    }
}

/// Of a detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hidden {
    pub salted: Option<Sha>,
    pub sealed: Sha,
}

/// Of a body: one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    pub salted: Option<Sha>,
    pub sealed: Option<Sha>,
    pub bytes: u64,
}

/// The line, borrowed where that saves a copy.
#[derive(Debug)]
pub struct LeafRef<'a> {
    pub v: u8,
    pub at: Timestamp,
    pub kind: Kind,
    pub code: &'a str,
    pub app: Option<&'a str>,
    pub account: Option<&'a str>,
    pub delivery: Option<DeliveryId>,
    pub job: Option<JobId>,
    pub rule: Option<&'a str>,
    pub led_by: Option<u64>,
    pub note: Option<&'a str>,
    pub detail: Option<Hidden>,
    pub body: Option<Body>,
}

impl LeafRef<'_> {
    /// Adds the line. By hand: every entry has one, and serde takes four times as long.
    pub fn put(&self, to: &mut Vec<u8>) {
        let Self { v, at, kind, code, app, account, delivery, job, rule, led_by, note, detail, body } = *self;
        let mut line = Writing(to);
        line.raw("{\"v\":");
        line.number(v.into());
        line.raw(",\"at\":\"");
        at.put(line.0);
        line.raw("\",\"kind\":\"");
        line.raw(kind.code());
        line.raw("\",\"code\":");
        line.text(code);
        line.field(",\"app\":", app, Writing::text);
        line.field(",\"account\":", account, Writing::text);
        line.field(",\"delivery\":", delivery, |line, id| line.id(DeliveryId::PREFIX, id.number()));
        line.field(",\"job\":", job, |line, id| line.id(JobId::PREFIX, id.number()));
        line.field(",\"rule\":", rule, Writing::text);
        line.field(",\"led_by\":", led_by, Writing::number);
        line.field(",\"note\":", note, Writing::text);
        line.field(",\"detail\":{", detail, |line, Hidden { salted, sealed }| {
            line.hashes(salted, Some(sealed));
            line.raw("}");
        });
        line.field(",\"body\":{", body, |line, Body { salted, sealed, bytes }| {
            line.hashes(salted, sealed);
            let has_hash = salted.is_some() || sealed.is_some();
            line.field(if has_hash { ",\"bytes\":" } else { "\"bytes\":" }, Some(bytes), Writing::number);
            line.raw("}");
        });
        line.raw("}");
    }
}

/// A line in the making.
struct Writing<'a>(&'a mut Vec<u8>);

impl Writing<'_> {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A name and what it is of, where there is something.
    fn field<T>(&mut self, name: &str, of: Option<T>, put: impl FnOnce(&mut Self, T)) {
        if let Some(of) = of {
            self.raw(name);
            put(self, of);
        }
    }

    fn text(&mut self, text: &str) {
        // All bytes, not up to the first: so the processor takes many at once.
        let escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if text.bytes().fold(false, |any, byte| any | escaped(byte)) {
            // Encoding into memory has nothing that could fail.
            let _encoded = serde_json::to_writer(&mut *self.0, text);
        } else {
            self.raw("\"");
            self.raw(text);
            self.raw("\"");
        }
    }

    fn number(&mut self, number: u64) {
        let _encoded = serde_json::to_writer(&mut *self.0, &number);
    }

    fn id(&mut self, prefix: &str, number: u64) {
        self.raw("\"");
        self.raw(prefix);
        self.number(number);
        self.raw("\"");
    }

    fn hashes(&mut self, salted: Option<Sha>, sealed: Option<Sha>) {
        self.field("\"salted\":", salted, Self::hash);
        self.field(if salted.is_some() { ",\"sealed\":" } else { "\"sealed\":" }, sealed, Self::hash);
    }

    fn hash(&mut self, Sha(hash): Sha) {
        const fn digit(nibble: u8) -> u8 {
            if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
        }
        // The crate `hex` takes five times as long.
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(hash) {
            if let [high, low] = pair {
                (*high, *low) = (digit(byte >> 4), digit(byte & 15));
            }
        }
        self.raw("\"");
        self.0.extend_from_slice(&text);
        self.raw("\"");
    }
}

/// What a detail was, for whoever is to check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosed {
    /// In hex.
    pub salt: String,
    /// The JSON of the detail, just as it was hashed.
    pub detail: String,
}

impl Disclosed {
    /// Of what is sealed.
    pub fn read(plain: &[u8]) -> Option<Self> {
        let (salt, detail) = plain.split_at_checked(SALT_BYTES)?;
        Some(Self { salt: hex::encode(salt), detail: String::from_utf8(detail.to_vec()).ok()? })
    }

    /// Whether it is what this leaf is of.
    pub fn is_of(&self, leaf: &Leaf) -> bool {
        let mut salt = [0; SALT_BYTES];
        let is_salt = hex::decode_to_slice(&self.salt, &mut salt).is_ok();
        let salted = Sha::of_salted(&salt, self.detail.as_bytes());
        is_salt && leaf.detail.and_then(|detail| detail.salted) == Some(salted)
    }
}

/// The line, read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    v: u8,
    at: String,
    pub kind: Kind,
    pub code: String,
    pub app: Option<AppName>,
    pub account: Option<AccountId>,
    delivery: Option<String>,
    job: Option<String>,
    pub rule: Option<RuleName>,
    pub led_by: Option<u64>,
    pub note: Option<String>,
    pub detail: Option<Hidden>,
    pub body: Option<Body>,
}

impl Leaf {
    /// Only in the form in which it is written: a line has one meaning.
    pub fn read(data: &[u8]) -> Option<Self> {
        let leaf: Self = serde_json::from_slice(data).ok()?;
        let mut again = Vec::with_capacity(data.len());
        leaf.borrowed()?.put(&mut again);
        (leaf.v == VERSION && again == data).then_some(leaf)
    }

    pub fn at(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.at)
    }

    pub fn delivery(&self) -> Option<DeliveryId> {
        self.delivery.as_deref().and_then(|id| id.parse().ok())
    }

    pub fn job(&self) -> Option<JobId> {
        self.job.as_deref().and_then(|id| id.parse().ok())
    }

    fn borrowed(&self) -> Option<LeafRef<'_>> {
        Some(LeafRef {
            v: self.v,
            at: self.at()?,
            kind: self.kind,
            code: &self.code,
            app: self.app.as_ref().map(AppName::as_str),
            account: self.account.as_ref().map(AccountId::as_str),
            delivery: self.delivery(),
            job: self.job(),
            rule: self.rule.as_ref().map(RuleName::as_str),
            led_by: self.led_by,
            note: self.note.as_deref(),
            detail: self.detail,
            body: self.body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Vec<u8> {
        let leaf = LeafRef {
            v: VERSION,
            at: Timestamp::from_millis(1_795_248_000_123),
            kind: Kind::Decision,
            code: "work",
            app: Some("main"),
            account: Some("a\"c/c"),
            delivery: Some(DeliveryId::from_number(300)),
            job: Some(JobId::from_number(1)),
            rule: Some("assist"),
            led_by: Some(41),
            note: Some("user.created → \u{1}"),
            detail: Some(Hidden { salted: Some(Sha([1; 32])), sealed: Sha([2; 32]) }),
            body: Some(Body { salted: None, sealed: Some(Sha([3; 32])), bytes: 46 }),
        };
        let mut data = Vec::new();
        leaf.put(&mut data);
        data
    }

    #[test]
    fn a_line_is_json_with_its_keys_in_one_order() {
        let text = String::from_utf8(whole()).unwrap();
        let (one, two, three) = ("01".repeat(32), "02".repeat(32), "03".repeat(32));
        let known = format!(
            r#"{{"v":2,"at":"2026-11-21T08:00:00.123Z","kind":"decision","code":"work","app":"main","account":"a\"c/c","delivery":"dlv_300","job":"job_1","rule":"assist","led_by":41,"note":"user.created → \u0001","detail":{{"salted":"{one}","sealed":"{two}"}},"body":{{"sealed":"{three}","bytes":46}}}}"#
        );
        assert_eq!(text, known);
    }

    #[test]
    fn a_text_is_written_as_any_json_library_writes_it() {
        let texts = (0..0x300).filter_map(char::from_u32).map(|char| format!("a{char}b"));
        for text in texts.chain([String::new(), "\u{2028}".to_owned(), "\u{10ffff}".to_owned()]) {
            let mut line = Vec::new();
            Writing(&mut line).text(&text);
            assert_eq!(String::from_utf8(line).unwrap(), serde_json::to_string(&text).unwrap(), "{text:?}");
        }
    }

    #[test]
    fn a_kind_is_written_as_it_is_read() {
        let kinds: Vec<Kind> = (0..=u8::MAX).map_while(|number| postcard::from_bytes(&[number]).ok()).collect();
        assert!(kinds.contains(&Kind::Sweep));
        for kind in kinds {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.code()));
        }
    }

    #[test]
    fn a_line_is_read_back_and_any_other_form_of_it_is_not() {
        let text = String::from_utf8(whole()).unwrap();
        let read = Leaf::read(text.as_bytes()).unwrap();
        assert_eq!((read.delivery(), read.job()), (Some(DeliveryId::from_number(300)), Some(JobId::from_number(1))));
        assert_eq!(read.at(), Some(Timestamp::from_millis(1_795_248_000_123)));
        for other in [
            text.replace("{\"v\"", "{ \"v\""),
            text.replace("\"v\":2", "\"v\":3"),
            text.replace("dlv_300", "dlv_0300"),
            text.replace("dlv_300", "300"),
            text.replace("\"led_by\":41", "\"led_by\":\"41\""),
            text.replace(".123Z", ".1230Z"),
            text.replace("0303", "0A03"),
            text.replace("\"app\":\"main\",", "\"app\":null,"),
            text.replace("\"bytes\":46", "\"bytes\":46,\"more\":1"),
            format!("{text}\n"),
        ] {
            assert_ne!(other, text);
            assert!(Leaf::read(other.as_bytes()).is_none(), "{other}");
        }
    }
}
