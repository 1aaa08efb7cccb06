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
//! The RFC 6962 hash of a line of JSON, as [`crate::audit::leaf`] has it: what is sealed, a detail or a delivery's body, is in
//! it by hash, so that it can go without breaking the leaf. Logs that are older begin with leaves of version 1, which are
//! hashes of a byte 1 and the postcard of the line, sealed parts included.

mod delivery;

use serde::{Deserialize, Serialize};

use super::seal::Fingerprint;
use crate::alarm::Severity;
use crate::audit::leaf::{self, Hidden, LeafRef, Sha};
use crate::audit::tree::{Hash, leaf_hash};
use crate::audit::{Call, Detail, Kind, Saw};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};
use crate::job::Asker;
use crate::store::port::{AppState, QuotaUse, Shelf};

pub(super) use delivery::{Delivery, Head, Salted, StoredBody, Tail, line_of_delivery, said_of_delivery};

pub(super) const DELIVERY: u8 = 1;
pub(super) const CHANGES: u8 = 2;
/// Stands in a backup for a record that could not be read. Empty.
pub(super) const LOST: u8 = 3;
pub(super) const LOST_VERSION: u8 = 1;
/// The version of deliveries that is written. Version 2 is the same but for its body, and version 1 for its leaf, too.
pub(super) const DELIVERY_VERSION: u8 = 3;
/// The version of changes that is written.
pub(super) const CHANGES_VERSION: u8 = 4;
/// As changes were first written, with leaves of version 1.
const FIRST: u8 = 1;
/// Of version 1, of which something was forgotten since: read as those of today, as are those of version 3, in which no entry says
/// what led to it.
const REWRITTEN: u8 = 2;
const FIRST_LINE: u8 = 1;

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
    /// A sealed [`crate::audit::Detail`], as postcard: of lines of version 1.
    Sealed(Blob),
    /// Sealed: a salt, and the JSON of a [`crate::audit::Detail`], of both of which `salted` is the hash.
    Salted {
        salted: Hash,
        sealed: Blob,
    },
    /// What it was is forgotten.
    Gone {
        salted: Hash,
        sealed: Hash,
    },
}

impl Said {
    /// Its hashes, for the leaf.
    fn hidden(&self) -> Option<Hidden> {
        match self {
            Self::Nothing | Self::Plain(_) => None,
            Self::Sealed(Blob(sealed)) => Some(Hidden { salted: None, sealed: Sha::of(sealed) }),
            Self::Salted { salted, sealed: Blob(sealed) } => {
                Some(Hidden { salted: Some(Sha(*salted)), sealed: Sha::of(sealed) })
            }
            Self::Gone { salted, sealed } => Some(Hidden { salted: Some(Sha(*salted)), sealed: Sha(*sealed) }),
        }
    }

    /// What is sealed of it.
    pub(super) const fn sealed(&self) -> Option<&Blob> {
        match self {
            Self::Sealed(sealed) | Self::Salted { sealed, .. } => Some(sealed),
            Self::Nothing | Self::Plain(_) | Self::Gone { .. } => None,
        }
    }

    /// Without what is sealed, where the leaf holds without that.
    pub(super) fn without_detail(&self) -> Option<Self> {
        match self {
            Self::Salted { salted, sealed: Blob(sealed) } => {
                Some(Self::Gone { salted: *salted, sealed: Sha::of(sealed).0 })
            }
            Self::Nothing | Self::Plain(_) | Self::Sealed(_) | Self::Gone { .. } => None,
        }
    }
}

/// Of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commitment {
    /// As the leaf has it.
    pub(super) hash: Hash,
    /// Of what it is the hash of.
    pub(super) bytes: u64,
}

/// What a commitment is of: the sealed bytes, or a salt, the body and the request id.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(super) enum Committed {
    Sealed(Commitment),
    Salted(Commitment),
}

impl From<Committed> for leaf::Body {
    fn from(committed: Committed) -> Self {
        match committed {
            Committed::Sealed(Commitment { hash, bytes }) => Self { salted: None, sealed: Some(Sha(hash)), bytes },
            Committed::Salted(Commitment { hash, bytes }) => Self { salted: Some(Sha(hash)), sealed: None, bytes },
        }
    }
}

/// An entry, as it is stored: what its leaf commits to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(super) body: Option<Committed>,
    /// Beside the line: see [`Kept::Led`].
    #[serde(skip)]
    pub(super) led_by: Option<u64>,
}

impl<'a> LineRef<'a> {
    pub(super) const fn new(at: Timestamp, kind: Kind, code: &'a str, said: &'a Said) -> Self {
        Self {
            at,
            kind,
            app: None,
            account: None,
            delivery: None,
            job: None,
            rule: None,
            code,
            said,
            body: None,
            led_by: None,
        }
    }

    /// Adds what the leaf is the hash of.
    pub(super) fn put_leaf(&self, to: &mut Vec<u8>) {
        let Self { at, kind, code, app, account, delivery, job, rule, said, body, led_by } = *self;
        let note = if let Said::Plain(note) = said { Some(note.as_str()) } else { None };
        let body = body.map(leaf::Body::from);
        let detail = said.hidden();
        let v = leaf::VERSION;
        LeafRef { v, at, kind, code, app, account, delivery, job, rule, led_by, note, detail, body }.put(to);
    }

    /// The same of version 1.
    fn put_first_leaf(&self, to: &mut Vec<u8>) {
        to.push(FIRST_LINE);
        put(self, to);
    }

    /// Adds the entry as it is in a [`CHANGES`] record: a [`StoredEntry`].
    pub(super) fn put_entry(&self, leaf: &Hash, to: &mut Vec<u8>) {
        to.extend_from_slice(leaf);
        match self.led_by {
            Some(by) => put(&KeptRef::Led(by, self), to),
            None => put(&KeptRef::Told(self), to),
        }
    }
}

/// [`Kept`], to write it without copies. A test holds that they are the same.
#[derive(Debug, Serialize)]
enum KeptRef<'a> {
    #[expect(dead_code, reason = "it has the place that it has in what is read")]
    Line,
    #[expect(dead_code, reason = "it has the place that it has in what is read")]
    Forgotten,
    Told(&'a LineRef<'a>),
    #[expect(dead_code, reason = "it has the place that it has in what is read")]
    Pruned,
    Led(u64, &'a LineRef<'a>),
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
            body: self.body.map(Committed::Sealed),
            led_by: None,
        }
    }
}

/// An entry in a [`CHANGES`] record as it was [`FIRST`] written.
#[derive(Debug, Deserialize)]
struct FirstEntry {
    leaf: Hash,
    _line_version: u8,
    line: Line,
}

/// An entry in a [`CHANGES`] record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredEntry {
    pub(super) leaf: Hash,
    pub(super) kept: Kept,
}

/// What is kept of an entry. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kept {
    /// With a leaf of version 1.
    Line(Line),
    /// It named what was forgotten.
    Forgotten {
        at: Timestamp,
        kind: Kind,
    },
    Told(Line),
    /// It is older than entries are kept.
    Pruned {
        at: Timestamp,
        kind: Kind,
    },
    /// With the entry that led to it.
    Led(u64, Line),
}

impl StoredEntry {
    pub(super) const fn line(&self) -> Option<&Line> {
        match &self.kept {
            Kept::Line(line) | Kept::Told(line) | Kept::Led(_, line) => Some(line),
            Kept::Forgotten { .. } | Kept::Pruned { .. } => None,
        }
    }

    pub(super) const fn at(&self) -> Timestamp {
        match &self.kept {
            Kept::Line(line) | Kept::Told(line) | Kept::Led(_, line) => line.at,
            Kept::Forgotten { at, .. } | Kept::Pruned { at, .. } => *at,
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        match &self.kept {
            Kept::Line(line) | Kept::Told(line) | Kept::Led(_, line) => line.kind,
            Kept::Forgotten { kind, .. } | Kept::Pruned { kind, .. } => *kind,
        }
    }

    /// Its line with what led to it.
    pub(super) fn told(&self) -> Option<LineRef<'_>> {
        let led_by = if let Kept::Led(by, _) = self.kept { Some(by) } else { None };
        self.line().map(|line| LineRef { led_by, ..line.as_ref() })
    }

    /// What the leaf is the hash of. None where only the leaf is left.
    pub(super) fn put_leaf(&self, to: &mut Vec<u8>) -> Option<()> {
        match &self.kept {
            Kept::Line(line) => line.as_ref().put_first_leaf(to),
            Kept::Told(_) | Kept::Led(..) => self.told()?.put_leaf(to),
            Kept::Forgotten { .. } | Kept::Pruned { .. } => return None,
        }
        Some(())
    }

    /// The leaf hashed anew; that of a line that was forgotten as it stands.
    pub(super) fn hashed(&self) -> Hash {
        let mut data = Vec::with_capacity(LEAF_BYTES);
        self.put_leaf(&mut data).map_or(self.leaf, |()| leaf_hash(&data))
    }
}

/// A [`Said::Sealed`], opened.
pub(super) fn first_detail(mut plain: Vec<u8>) -> Option<Detail> {
    #[derive(Deserialize)]
    struct First {
        subject: Option<String>,
        note: String,
        call: Option<Call>,
        saw: Vec<Saw>,
        severity: Option<Severity>,
    }
    // Where it ends without a severity, there is none; else the byte is beyond its end, and is not read.
    plain.push(0);
    let First { subject, note, call, saw, severity } = postcard::from_bytes(&plain).ok()?;
    Some(Detail { subject, note, call, saw, severity, ..Detail::default() })
}

/// About as long is what most leaves are the hash of.
const LEAF_BYTES: usize = 512;

/// The line of which these bytes are what its leaf of version 1 is the hash of.
pub(super) fn line_of_first_leaf(data: &[u8]) -> Option<Line> {
    let (&FIRST_LINE, rest) = data.split_first()? else { return None };
    postcard::take_from_bytes(rest).ok().filter(|(_, left)| left.is_empty()).map(|(line, _)| line)
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
    Echo,
}

impl Decided {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Work => "work",
            Self::Repeated => "repeated",
            Self::Duplicate => "duplicate",
            Self::GivenUp => "given-up",
            Self::Echo => "echo",
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
    /// A job as it is now; no lease outlasts the process, so none is in it. Empty where it was forgotten.
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
    /// A rule's changes of a subject were read back.
    Made {
        of: Fingerprint,
        at: Timestamp,
        by: Asker,
        marks: Vec<Fingerprint>,
    },
    /// What was made so far of it does not count any more.
    MadeAnew {
        of: Fingerprint,
    },
    /// A change counts for the UTC day of a host, of a meeting or of the invitations.
    DayUsed {
        of: Fingerprint,
        day: i64,
        /// The number of the job, or, where each intent counts, that of its entry with the highest bit set.
        by: u64,
    },
    /// It was told that the UTC day is used up, by our count or because Zoom says so.
    DayTold {
        of: Fingerprint,
        day: i64,
        is_spent: bool,
    },
    /// Of a rule and a run of a meeting.
    Remembered {
        account: AccountId,
        print: Fingerprint,
        event_at: Option<Timestamp>,
    },
    /// A delivery belongs to the record of a run of a meeting.
    Folded {
        account: AccountId,
        print: Fingerprint,
        delivery: u64,
        job: u64,
    },
    /// A delivery stated what a meeting is.
    Told {
        account: AccountId,
        print: Fingerprint,
        delivery: u64,
        event_at: Option<Timestamp>,
        is_first: bool,
    },
    /// A document as it is now; none where it was removed. The print is that of its shelf and key, so that what does not
    /// open any more is known to be gone.
    Document {
        shelf: Shelf,
        print: Fingerprint,
        account: Option<AccountId>,
        /// Key and value.
        sealed: Option<Blob>,
    },
    /// An account or a person was taken out of all of this. What it was is forgotten with it.
    Forgotten {
        sealed: Option<Blob>,
    },
}

/// The payload of a [`CHANGES`] record as it was [`FIRST`] written.
#[derive(Deserialize)]
struct FirstChanges {
    first_index: u64,
    entries: Vec<FirstEntry>,
    made: Vec<Change>,
}

impl From<FirstChanges> for Changes {
    fn from(first: FirstChanges) -> Self {
        let entry = |FirstEntry { leaf, line, .. }| StoredEntry { leaf, kept: Kept::Line(line) };
        let FirstChanges { first_index, entries, made } = first;
        Self { first_index, entries: entries.into_iter().map(entry).collect(), made }
    }
}

/// The payload of a [`CHANGES`] record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changes {
    /// The index of the first entry.
    pub(super) first_index: u64,
    pub(super) entries: Vec<StoredEntry>,
    pub(super) made: Vec<Change>,
}

impl Changes {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(self, &mut bytes);
        bytes
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
            (DELIVERY, 1..=DELIVERY_VERSION) => {
                Delivery::decode(version, payload).map(|delivery| Self::Delivery(Box::new(delivery)))
            }
            (CHANGES, FIRST) => {
                postcard::from_bytes::<FirstChanges>(payload).ok().map(|first| Self::Changes(first.into()))
            }
            (CHANGES, REWRITTEN..=CHANGES_VERSION) => postcard::from_bytes(payload).ok().map(Self::Changes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
