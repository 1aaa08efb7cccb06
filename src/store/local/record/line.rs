//! The line of an entry, and how it is kept in the journal.

use serde::{Deserialize, Serialize};

use super::{Blob, put};
use crate::alarm::Severity;
use crate::audit::leaf::{self, Hidden, LeafRef, Sha};
use crate::audit::tree::{Hash, leaf_hash};
use crate::audit::{Call, Detail, Kind, Saw};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName, DeliveryId, JobId, RuleName};

const FIRST_LINE: u8 = 1;

/// The detail of an entry, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) enum Said {
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
    pub(in crate::store::local) const fn sealed(&self) -> Option<&Blob> {
        match self {
            Self::Sealed(sealed) | Self::Salted { sealed, .. } => Some(sealed),
            Self::Nothing | Self::Plain(_) | Self::Gone { .. } => None,
        }
    }

    /// Without what is sealed, where the leaf holds without that.
    pub(in crate::store::local) fn without_detail(&self) -> Option<Self> {
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
pub(in crate::store::local) struct Commitment {
    /// As the leaf has it.
    pub(in crate::store::local) hash: Hash,
    /// Of what it is the hash of.
    pub(in crate::store::local) bytes: u64,
}

/// What a commitment is of: the sealed bytes, or a salt, the body and the request id.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(in crate::store::local) enum Committed {
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
pub(in crate::store::local) struct Line {
    pub(in crate::store::local) at: Timestamp,
    pub(in crate::store::local) kind: Kind,
    pub(in crate::store::local) app: Option<AppName>,
    pub(in crate::store::local) account: Option<AccountId>,
    pub(in crate::store::local) delivery: Option<DeliveryId>,
    pub(in crate::store::local) job: Option<JobId>,
    pub(in crate::store::local) rule: Option<RuleName>,
    pub(in crate::store::local) code: String,
    pub(in crate::store::local) said: Said,
    pub(in crate::store::local) body: Option<Commitment>,
}

/// The same, borrowed, to write it without copies.
#[derive(Debug, Clone, Serialize)]
pub(in crate::store::local) struct LineRef<'a> {
    pub(in crate::store::local) at: Timestamp,
    pub(in crate::store::local) kind: Kind,
    pub(in crate::store::local) app: Option<&'a str>,
    pub(in crate::store::local) account: Option<&'a str>,
    pub(in crate::store::local) delivery: Option<DeliveryId>,
    pub(in crate::store::local) job: Option<JobId>,
    pub(in crate::store::local) rule: Option<&'a str>,
    pub(in crate::store::local) code: &'a str,
    pub(in crate::store::local) said: &'a Said,
    pub(in crate::store::local) body: Option<Committed>,
    /// Beside the line: see [`Kept::Led`].
    #[serde(skip)]
    pub(in crate::store::local) led_by: Option<u64>,
}

impl<'a> LineRef<'a> {
    pub(in crate::store::local) const fn new(at: Timestamp, kind: Kind, code: &'a str, said: &'a Said) -> Self {
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
    pub(in crate::store::local) fn put_leaf(&self, to: &mut Vec<u8>) {
        let Self { at, kind, code, app, account, delivery, job, rule, said, body, led_by } = *self;
        let note = if let Said::Plain(note) = said { Some(note.as_str()) } else { None };
        let body = body.map(leaf::Body::from);
        let detail = said.hidden();
        let v = leaf::VERSION;
        LeafRef { v, at, kind, code, app, account, delivery, job, rule, led_by, note, detail, body }.put(to);
    }

    /// The same of version 1.
    pub(super) fn put_first_leaf(&self, to: &mut Vec<u8>) {
        to.push(FIRST_LINE);
        put(self, to);
    }

    /// Adds the entry as it is in a [`CHANGES`](super::CHANGES) record: a [`StoredEntry`].
    pub(in crate::store::local) fn put_entry(&self, leaf: &Hash, to: &mut Vec<u8>) {
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
    pub(in crate::store::local) fn as_ref(&self) -> LineRef<'_> {
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

/// An entry in a [`CHANGES`](super::CHANGES) record as it was [`FIRST`](super::FIRST) written.
#[derive(Debug, Deserialize)]
pub(super) struct FirstEntry {
    pub(super) leaf: Hash,
    _line_version: u8,
    pub(super) line: Line,
}

/// An entry in a [`CHANGES`](super::CHANGES) record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct StoredEntry {
    pub(in crate::store::local) leaf: Hash,
    pub(in crate::store::local) kept: Kept,
}

/// What is kept of an entry. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) enum Kept {
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
    pub(in crate::store::local) const fn line(&self) -> Option<&Line> {
        match &self.kept {
            Kept::Line(line) | Kept::Told(line) | Kept::Led(_, line) => Some(line),
            Kept::Forgotten { .. } | Kept::Pruned { .. } => None,
        }
    }

    pub(in crate::store::local) const fn at(&self) -> Timestamp {
        match &self.kept {
            Kept::Line(line) | Kept::Told(line) | Kept::Led(_, line) => line.at,
            Kept::Forgotten { at, .. } | Kept::Pruned { at, .. } => *at,
        }
    }

    pub(in crate::store::local) const fn kind(&self) -> Kind {
        match &self.kept {
            Kept::Line(line) | Kept::Told(line) | Kept::Led(_, line) => line.kind,
            Kept::Forgotten { kind, .. } | Kept::Pruned { kind, .. } => *kind,
        }
    }

    /// Its line with what led to it.
    pub(in crate::store::local) fn told(&self) -> Option<LineRef<'_>> {
        let led_by = if let Kept::Led(by, _) = self.kept { Some(by) } else { None };
        self.line().map(|line| LineRef { led_by, ..line.as_ref() })
    }

    /// What the leaf is the hash of. None where only the leaf is left.
    pub(in crate::store::local) fn put_leaf(&self, to: &mut Vec<u8>) -> Option<()> {
        match &self.kept {
            Kept::Line(line) => line.as_ref().put_first_leaf(to),
            Kept::Told(_) | Kept::Led(..) => self.told()?.put_leaf(to),
            Kept::Forgotten { .. } | Kept::Pruned { .. } => return None,
        }
        Some(())
    }

    /// The leaf hashed anew; that of a line that was forgotten as it stands.
    pub(in crate::store::local) fn hashed(&self) -> Hash {
        let mut data = Vec::with_capacity(LEAF_BYTES);
        self.put_leaf(&mut data).map_or(self.leaf, |()| leaf_hash(&data))
    }
}

/// A [`Said::Sealed`], opened.
pub(in crate::store::local) fn first_detail(mut plain: Vec<u8>) -> Option<Detail> {
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
pub(super) const LEAF_BYTES: usize = 512;

/// The line of which these bytes are what its leaf of version 1 is the hash of.
pub(in crate::store::local) fn line_of_first_leaf(data: &[u8]) -> Option<Line> {
    let (&FIRST_LINE, rest) = data.split_first()? else { return None };
    postcard::take_from_bytes(rest).ok().filter(|(_, left)| left.is_empty()).map(|(line, _)| line)
}
