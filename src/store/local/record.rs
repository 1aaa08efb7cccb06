//! What is in the journal: two kinds of records, each with a version, as postcard.
//!
//! - [`DELIVERY`]: one delivery with its entry. Written by hand in two pieces (the second is made before the delivery has
//!   its number), read as one [`Delivery`].
//! - [`CHANGES`]: entries and changes of the live state, of one atomic unit or of a part of one.
//! - [`LOST`]: in a copy of a damaged journal, in the place of what was lost.
//!
//! Records say what *became* true (a job as it is now), not what was asked: old records read the same however the rules of
//! the state machine change. Order of fields and variants is the format: add at the end, with a new version and a fixture.
//!
//! # The leaf of an entry
//! `SHA-256(0x00 ‖ version of the line (1 byte) ‖ postcard of the line)`. The line of a delivery commits to the SHA-256 of
//! the sealed body and its length, so the body can go without breaking the leaf. The nonce in every sealed part is its salt.

use serde::{Deserialize, Serialize};

use super::seal::Fingerprint;
use crate::audit::Kind;
use crate::audit::tree::{Hash, leaf_hash};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::store::port::{AppState, QuotaUse};
use crate::store::wide;

pub(super) const DELIVERY: u8 = 1;
pub(super) const CHANGES: u8 = 2;
/// Stands in a backup for a record that could not be read. Empty.
pub(super) const LOST: u8 = 3;
/// The version of both kinds that is written.
pub(super) const VERSION: u8 = 1;
const LINE_VERSION: u8 = 1;

/// Bytes, as one piece.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Blob(pub(super) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Visitor)
    }
}

/// Adds the postcard of a thing.
pub(super) fn put<T: Serialize + ?Sized>(thing: &T, to: &mut Vec<u8>) {
    // Encoding plain data into memory has nothing that could fail.
    let _encoded = postcard::to_io(thing, to);
}

/// The detail of an entry, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    Nothing,
    /// A note that can name nobody.
    Plain(String),
    /// A sealed [`crate::audit::Detail`].
    Sealed(Blob),
}

/// Of a sealed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commitment {
    /// SHA-256 of the sealed bytes.
    pub(super) hash: Hash,
    /// How many those are.
    pub(super) bytes: u64,
}

/// An entry, as it is stored: what its leaf commits to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) kind: Kind,
    pub(super) app: Option<AppName>,
    pub(super) account: Option<AccountId>,
    pub(super) delivery: Option<DeliveryId>,
    pub(super) job: Option<JobId>,
    pub(super) rule: Option<RuleName>,
    pub(super) code: String,
    pub(super) said: Said,
    pub(super) body: Option<Commitment>,
}

/// The same, borrowed, to write it without copies.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LineRef<'a> {
    pub(super) at: Timestamp,
    pub(super) kind: Kind,
    pub(super) app: Option<&'a str>,
    pub(super) account: Option<&'a str>,
    pub(super) delivery: Option<DeliveryId>,
    pub(super) job: Option<JobId>,
    pub(super) rule: Option<&'a str>,
    pub(super) code: &'a str,
    pub(super) said: &'a Said,
    pub(super) body: Option<Commitment>,
}

impl<'a> LineRef<'a> {
    pub(super) const fn new(at: Timestamp, kind: Kind, code: &'a str, said: &'a Said) -> Self {
        Self { at, kind, app: None, account: None, delivery: None, job: None, rule: None, code, said, body: None }
    }

    /// Adds what the leaf is the hash of.
    pub(super) fn put(&self, to: &mut Vec<u8>) {
        to.push(LINE_VERSION);
        put(self, to);
    }
}

impl Line {
    pub(super) fn as_ref(&self) -> LineRef<'_> {
        LineRef {
            at: self.at,
            kind: self.kind,
            app: self.app.as_ref().map(AppName::as_str),
            account: self.account.as_ref().map(AccountId::as_str),
            delivery: self.delivery,
            job: self.job,
            rule: self.rule.as_ref().map(RuleName::as_str),
            code: &self.code,
            said: &self.said,
            body: self.body,
        }
    }
}

/// An entry in a [`CHANGES`] record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct StoredEntry {
    pub(super) leaf: Hash,
    pub(super) line_version: u8,
    pub(super) line: Line,
}

/// The leaf of a line.
pub(super) fn leaf_of(line: &LineRef<'_>) -> Hash {
    let mut data = Vec::with_capacity(128);
    line.put(&mut data);
    leaf_hash(&data)
}

/// What was decided about a delivery. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Decided {
    Nothing,
    Work,
    Repeated,
    Duplicate,
    /// It was set aside, and then there were too many of these.
    GivenUp,
}

impl Decided {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Work => "work",
            Self::Repeated => "repeated",
            Self::Duplicate => "duplicate",
            Self::GivenUp => "given-up",
        }
    }
}

/// Why a delivery was set aside. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AsideFor {
    Unreadable,
    /// The body named this account.
    Unclaimed(Option<AccountId>),
    /// This account had too many unfinished jobs.
    Backlog(AccountId),
}

impl AsideFor {
    pub(super) const fn cause(&self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Unclaimed(_) => "unclaimed",
            Self::Backlog(_) => "backlog",
        }
    }
}

/// What became true. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    Planned {
        delivery: u64,
        decided: Decided,
        jobs: Vec<u64>,
    },
    SetAside {
        delivery: u64,
        why: AsideFor,
    },
    /// To be planned (again). `record` is where the delivery is.
    Unplanned {
        delivery: u64,
        record: u64,
        app: AppName,
        received_at: Timestamp,
        replayed: bool,
    },
    /// A job as it is now; no lease outlasts the process, so none is in it.
    Job {
        id: u64,
        sealed: Blob,
    },
    /// A job was made or merged for an event with this meaning.
    Meaning {
        print: Fingerprint,
        at: Timestamp,
    },
    /// The job's change was counted against the limit of the hour, and where `share` against that of 24 hours.
    Intended {
        account: AccountId,
        rule: RuleName,
        hour: i64,
        job: u64,
        share: bool,
    },
    Noticed {
        account: AccountId,
        rule: RuleName,
        hour: i64,
    },
    /// The rule came to its limit of 24 hours.
    Stopped {
        account: AccountId,
        rule: RuleName,
    },
    /// A person resumed the rule.
    Resumed {
        account: AccountId,
        rule: RuleName,
    },
    Called {
        account: AccountId,
        day: i64,
        calls: QuotaUse,
    },
    App {
        app: AppName,
        state: AppState,
    },
    /// Where the sweeps of an account stand.
    Sweep {
        account: AccountId,
        sealed: Blob,
    },
    /// What stands of an account for a person to mend: all of it.
    Notices {
        account: AccountId,
        sealed: Blob,
    },
    /// Somebody saw what the rule would change.
    RulePlanned {
        rule: RuleName,
        hash: [u8; 16],
    },
    /// A delivery was given up.
    GaveUp {
        at: Timestamp,
    },
}

/// The payload of a [`CHANGES`] record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Changes {
    /// The index of the first entry.
    pub(super) first_index: u64,
    pub(super) entries: Vec<StoredEntry>,
    pub(super) made: Vec<Change>,
}

/// A body on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StoredBody {
    /// Sealed: postcard of the request id, then the raw body.
    Sealed(Blob),
    Stub(Commitment),
}

/// The payload of a [`DELIVERY`] record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) head: Head,
    pub(super) tail: Tail,
}

/// What the store adds when it numbers a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) id: u64,
    /// Of its entry.
    pub(super) index: u64,
    pub(super) leaf: Hash,
    pub(super) duplicate_of: Option<u64>,
    pub(super) same_request_as: Option<u64>,
}

/// What is known of a delivery before it is numbered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    pub(super) app: AppName,
    pub(super) received_at: Timestamp,
    pub(super) signed_at_secs: i64,
    /// Of the raw body.
    pub(super) body_bytes: u64,
    pub(super) body_print: Fingerprint,
    pub(super) request_print: Option<Fingerprint>,
    /// From Zoom's log.
    pub(super) is_backfilled: bool,
    pub(super) body: StoredBody,
}

impl Tail {
    /// Of its entry.
    pub(super) const fn code(&self) -> &'static str {
        if self.is_backfilled { "backfilled" } else { "stored" }
    }
}

impl Delivery {
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        postcard::from_bytes(payload).ok()
    }

    /// The number alone: the first thing in the payload.
    pub(super) fn peek_id(payload: &[u8]) -> Option<u64> {
        postcard::take_from_bytes(payload).ok().map(|(id, _)| id)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(self, &mut bytes);
        bytes
    }

    pub(super) const fn is_pruned(&self) -> bool {
        matches!(self.tail.body, StoredBody::Stub(_))
    }

    pub(super) fn commitment(&self) -> Commitment {
        match &self.tail.body {
            StoredBody::Sealed(Blob(sealed)) => commitment(sealed),
            StoredBody::Stub(commitment) => *commitment,
        }
    }

    pub(super) fn said(&self) -> Said {
        said_of_delivery(self.head.same_request_as)
    }

    /// The line of its entry, which is not stored beside it.
    pub(super) fn line<'a>(&'a self, said: &'a Said) -> LineRef<'a> {
        let (id, app) = (self.head.id, self.tail.app.as_str());
        line_of_delivery(id, app, (self.tail.received_at, self.tail.code()), said, self.commitment())
    }
}

pub(super) fn commitment(sealed: &[u8]) -> Commitment {
    use sha2::Digest as _;
    Commitment { hash: sha2::Sha256::digest(sealed).into(), bytes: wide(sealed.len()) }
}

/// Part of the leaf, so part of the format.
pub(super) fn said_of_delivery(same_request_as: Option<u64>) -> Said {
    same_request_as.map_or(Said::Nothing, |other| {
        let other = DeliveryId::from_number(other);
        Said::Plain(format!("the request id came before with another body, as {other}"))
    })
}

pub(super) const fn line_of_delivery<'a>(
    id: u64,
    app: &'a str,
    (received_at, code): (Timestamp, &'a str),
    said: &'a Said,
    body: Commitment,
) -> LineRef<'a> {
    LineRef {
        app: Some(app),
        delivery: Some(DeliveryId::from_number(id)),
        body: Some(body),
        ..LineRef::new(received_at, Kind::Delivery, code, said)
    }
}

/// A record, read.
#[derive(Debug)]
pub(super) enum Stored {
    Delivery(Box<Delivery>),
    Changes(Changes),
}

impl Stored {
    /// None for what this program does not know.
    pub(super) fn decode(kind: u8, version: u8, payload: &[u8]) -> Option<Self> {
        match (kind, version) {
            (DELIVERY, VERSION) => Delivery::decode(payload).map(|delivery| Self::Delivery(Box::new(delivery))),
            (CHANGES, VERSION) => postcard::from_bytes(payload).ok().map(Self::Changes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_248_000_123);

    fn account() -> AccountId {
        AccountId::parse("acc").unwrap()
    }

    fn rule() -> RuleName {
        RuleName::parse("assist").unwrap()
    }

    fn delivery() -> Delivery {
        let head = Head { id: 300, index: 700, leaf: [7; 32], duplicate_of: Some(5), same_request_as: Some(6) };
        let tail = Tail {
            app: AppName::parse("main").unwrap(),
            received_at: NOW,
            signed_at_secs: 1_795_248_000,
            body_bytes: 2,
            body_print: [1; 16],
            request_print: Some([2; 16]),
            is_backfilled: false,
            body: StoredBody::Sealed(Blob(vec![0xB0; 46])),
        };
        Delivery { head, tail }
    }

    fn all_changes() -> Vec<Change> {
        let app = AppName::parse("main").unwrap();
        let verified_at = Some(NOW);
        let state = AppState { verified_at, validated_at: None, secrets: Some([3; 16]), secrets_changed_at: None };
        vec![
            Change::Planned { delivery: 300, decided: Decided::Nothing, jobs: vec![] },
            Change::Planned { delivery: 301, decided: Decided::Work, jobs: vec![1, 2] },
            Change::Planned { delivery: 302, decided: Decided::Repeated, jobs: vec![1] },
            Change::Planned { delivery: 303, decided: Decided::Duplicate, jobs: vec![] },
            Change::SetAside { delivery: 304, why: AsideFor::Unreadable },
            Change::SetAside { delivery: 305, why: AsideFor::Unclaimed(None) },
            Change::SetAside { delivery: 306, why: AsideFor::Unclaimed(Some(account())) },
            Change::SetAside { delivery: 307, why: AsideFor::Backlog(account()) },
            Change::Unplanned { delivery: 304, record: 9, app: app.clone(), received_at: NOW, replayed: true },
            Change::Job { id: 1, sealed: Blob(vec![0xEE; 5]) },
            Change::Meaning { print: [4; 16], at: NOW },
            Change::Intended { account: account(), rule: rule(), hour: 498_680, job: 1, share: true },
            Change::Noticed { account: account(), rule: rule(), hour: 498_680 },
            Change::Stopped { account: account(), rule: rule() },
            Change::Resumed { account: account(), rule: rule() },
            Change::Called { account: account(), day: 20_778, calls: QuotaUse { light: 1, medium: 2, heavy: 3 } },
            Change::App { app, state },
            Change::Sweep { account: account(), sealed: Blob(vec![0xBB; 6]) },
            Change::Notices { account: account(), sealed: Blob(vec![0xCC; 4]) },
            Change::RulePlanned { rule: rule(), hash: [8; 16] },
            Change::GaveUp { at: NOW },
        ]
    }

    fn line() -> Line {
        Line {
            at: NOW,
            kind: Kind::Decision,
            app: Some(AppName::parse("main").unwrap()),
            account: Some(account()),
            delivery: Some(DeliveryId::from_number(300)),
            job: Some(JobId::from_number(1)),
            rule: Some(rule()),
            code: "work".to_owned(),
            said: Said::Sealed(Blob(vec![0xDD; 3])),
            body: None,
        }
    }

    fn changes() -> Vec<u8> {
        let lines = [line(), Line { said: Said::Plain("user.created".to_owned()), job: None, ..line() }];
        let mut bytes = Vec::new();
        put(&700_u64, &mut bytes);
        put(&2_u64, &mut bytes);
        for line in lines {
            bytes.extend_from_slice(&leaf_of(&line.as_ref()));
            line.as_ref().put(&mut bytes);
        }
        put(&all_changes(), &mut bytes);
        bytes
    }

    /// Records of version 1, as they are on disk. These never change: a new shape is a new version.
    const DELIVERY_V1: &str = include_str!("fixtures/delivery-v1.hex");
    const CHANGES_V1: &str = include_str!("fixtures/changes-v1.hex");

    fn bytes_of(fixture: &str) -> Vec<u8> {
        hex::decode(fixture.split_whitespace().collect::<String>()).unwrap()
    }

    #[test]
    fn a_delivery_of_version_1_is_written_and_read_as_ever() {
        assert_eq!(hex::encode(delivery().encode()), hex::encode(bytes_of(DELIVERY_V1)));
        let Some(Stored::Delivery(read)) = Stored::decode(DELIVERY, 1, &bytes_of(DELIVERY_V1)) else {
            panic!("it is not read");
        };
        assert_eq!(*read, delivery());
        assert_eq!(Delivery::peek_id(&bytes_of(DELIVERY_V1)), Some(300));
    }

    #[test]
    fn changes_of_version_1_are_written_and_read_as_ever() {
        assert_eq!(hex::encode(changes()), hex::encode(bytes_of(CHANGES_V1)));
        let Some(Stored::Changes(read)) = Stored::decode(CHANGES, 1, &bytes_of(CHANGES_V1)) else {
            panic!("it is not read");
        };
        assert_eq!((read.first_index, read.made), (700, all_changes()));
        assert_eq!(read.entries[0].line, line());
        for entry in &read.entries {
            assert_eq!(leaf_of(&entry.line.as_ref()), entry.leaf);
        }
    }

    #[test]
    fn the_leaf_of_a_delivery_is_the_same_for_ever_and_without_its_body() {
        let whole = delivery();
        let stub = StoredBody::Stub(whole.commitment());
        let pruned = Delivery { tail: Tail { body: stub, ..whole.tail.clone() }, ..whole.clone() };
        for delivery in [whole, pruned] {
            let said = delivery.said();
            let leaf = leaf_of(&delivery.line(&said));
            assert_eq!(hex::encode(leaf), include_str!("fixtures/delivery-v1-leaf.hex").trim());
        }
    }

    #[test]
    fn what_this_program_does_not_know_is_not_read() {
        let bytes = delivery().encode();
        assert!(Stored::decode(DELIVERY, 2, &bytes).is_none());
        assert!(Stored::decode(9, 1, &bytes).is_none());
        assert!(Stored::decode(DELIVERY, 1, &bytes[..60]).is_none());
    }
}
