//! A delivery as it is in the journal, and the line of its entry.

use serde::{Deserialize, Serialize};

use super::line::LEAF_BYTES;
use super::{Blob, Commitment, Committed, DELIVERY_VERSION, FIRST, LineRef, Said, put};
use crate::audit::Kind;
use crate::audit::leaf::{SALT_BYTES, Sha};
use crate::audit::tree::{Hash, leaf_hash};
use crate::clock::Timestamp;
use crate::ids::{AppName, DeliveryId};
use crate::store::local::seal::Fingerprint;
use crate::store::wide;

/// The first version with a salt.
const SALTED: u8 = 3;

/// A body on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) enum StoredBody {
    /// Sealed: postcard of the request id, then the raw body. Until version 2.
    Sealed(Blob),
    /// The body is gone.
    Stub(Commitment),
    /// Sealed: [`Salted`].
    Salted { commitment: Commitment, sealed: Blob },
}

impl StoredBody {
    /// What is sealed of it. None where it is gone.
    pub(in crate::store::local) const fn sealed(&self) -> Option<&Blob> {
        match self {
            Self::Sealed(sealed) | Self::Salted { sealed, .. } => Some(sealed),
            Self::Stub(_) => None,
        }
    }

    /// Where the body begins in what was sealed, and the request id.
    pub(in crate::store::local) fn split(&self, plain: &[u8]) -> Option<(Option<String>, usize)> {
        let salted = if matches!(self, Self::Salted { .. }) { SALT_BYTES } else { 0 };
        let (request_id, body) = postcard::take_from_bytes(plain.get(salted..)?).ok()?;
        Some((request_id, plain.len().checked_sub(body.len())?))
    }

    /// Whether this was sealed, so far as the leaf says what it was.
    pub(in crate::store::local) fn was(&self, plain: &[u8]) -> bool {
        let Self::Salted { commitment, .. } = self else { return true };
        let (salt, split) = (plain.first_chunk(), self.split(plain));
        let (Some(salt), Some((request_id, start))) = (salt, split) else { return false };
        let body = plain.get(start..).unwrap_or_default();
        Salted { salt: *salt, request_id: request_id.as_deref() }.commitment(&Sha::of(body), wide(body.len()))
            == *commitment
    }
}

/// What is kept with a body: with both, whoever has the body can show that it is what came.
#[derive(Debug, Serialize)]
pub(in crate::store::local) struct Salted<'a> {
    pub(in crate::store::local) salt: [u8; SALT_BYTES],
    pub(in crate::store::local) request_id: Option<&'a str>,
}

impl Salted<'_> {
    pub(in crate::store::local) fn commitment(&self, body: &Sha, bytes: u64) -> Commitment {
        Commitment { hash: Sha::of_body(&self.salt, body, self.request_id).0, bytes }
    }
}

/// The payload of a [`DELIVERY`](super::DELIVERY) record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct Delivery {
    /// Of the record, and of the leaf.
    #[serde(skip)]
    pub(in crate::store::local) version: u8,
    pub(in crate::store::local) head: Head,
    pub(in crate::store::local) tail: Tail,
}

/// What the store adds when it numbers a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct Head {
    pub(in crate::store::local) id: u64,
    /// Of its entry.
    pub(in crate::store::local) index: u64,
    pub(in crate::store::local) leaf: Hash,
    pub(in crate::store::local) duplicate_of: Option<u64>,
    pub(in crate::store::local) same_request_as: Option<u64>,
}

impl Head {
    /// Adds it. Where its leaf stands.
    pub(in crate::store::local) fn put(&self, to: &mut Vec<u8>) -> usize {
        put(&(self.id, self.index), to);
        let place = to.len();
        put(&(self.leaf, self.duplicate_of, self.same_request_as), to);
        place
    }
}

/// What is known of a delivery before it is numbered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct Tail {
    pub(in crate::store::local) app: AppName,
    pub(in crate::store::local) received_at: Timestamp,
    pub(in crate::store::local) signed_at_secs: i64,
    /// Of the raw body.
    pub(in crate::store::local) body_bytes: u64,
    pub(in crate::store::local) body_print: Fingerprint,
    pub(in crate::store::local) request_print: Option<Fingerprint>,
    /// From Zoom's log.
    pub(in crate::store::local) is_backfilled: bool,
    pub(in crate::store::local) body: StoredBody,
}

impl Tail {
    /// Of its entry.
    pub(in crate::store::local) const fn code(&self) -> &'static str {
        if self.is_backfilled { "backfilled" } else { "stored" }
    }
}

impl Delivery {
    pub(in crate::store::local) fn decode(version: u8, payload: &[u8]) -> Option<Self> {
        if !(FIRST..=DELIVERY_VERSION).contains(&version) {
            return None;
        }
        postcard::from_bytes(payload).ok().map(|delivery| Self { version, ..delivery })
    }

    /// The number alone: the first thing in the payload.
    pub(in crate::store::local) fn peek_id(payload: &[u8]) -> Option<u64> {
        postcard::take_from_bytes(payload).ok().map(|(id, _)| id)
    }

    pub(in crate::store::local) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(self, &mut bytes);
        bytes
    }

    pub(in crate::store::local) const fn is_pruned(&self) -> bool {
        matches!(self.tail.body, StoredBody::Stub(_))
    }

    pub(in crate::store::local) fn commitment(&self) -> Commitment {
        match &self.tail.body {
            StoredBody::Sealed(Blob(sealed)) => Commitment { hash: Sha::of(sealed).0, bytes: wide(sealed.len()) },
            StoredBody::Stub(commitment) | StoredBody::Salted { commitment, .. } => *commitment,
        }
    }

    fn committed(&self) -> Committed {
        let is_salted = self.version >= SALTED;
        if is_salted { Committed::Salted(self.commitment()) } else { Committed::Sealed(self.commitment()) }
    }

    pub(in crate::store::local) fn said(&self) -> Said {
        said_of_delivery(self.head.same_request_as)
    }

    /// What the leaf of its entry is the hash of.
    pub(in crate::store::local) fn put_leaf(&self, to: &mut Vec<u8>) {
        let said = self.said();
        let line = self.line(&said);
        if self.version == FIRST { line.put_first_leaf(to) } else { line.put_leaf(to) }
    }

    /// The leaf, hashed anew.
    pub(in crate::store::local) fn hashed(&self) -> Hash {
        let mut data = Vec::with_capacity(LEAF_BYTES);
        self.put_leaf(&mut data);
        leaf_hash(&data)
    }

    /// The line of its entry, which is not stored beside it.
    fn line<'a>(&'a self, said: &'a Said) -> LineRef<'a> {
        let (id, app) = (self.head.id, self.tail.app.as_str());
        line_of_delivery(id, app, (self.tail.received_at, self.tail.code()), said, self.committed())
    }
}

/// Part of the leaf, so part of the format.
pub(in crate::store::local) fn said_of_delivery(same_request_as: Option<u64>) -> Said {
    same_request_as.map_or(Said::Nothing, |other| {
        let other = DeliveryId::from_number(other);
        Said::Plain(format!("the request id came before with another body, as {other}"))
    })
}

pub(in crate::store::local) const fn line_of_delivery<'a>(
    id: u64,
    app: &'a str,
    (received_at, code): (Timestamp, &'a str),
    said: &'a Said,
    body: Committed,
) -> LineRef<'a> {
    LineRef {
        app: Some(app),
        delivery: Some(DeliveryId::from_number(id)),
        body: Some(body),
        ..LineRef::new(received_at, Kind::Delivery, code, said)
    }
}
