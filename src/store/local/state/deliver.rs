//! A delivery comes in.

use super::{DELIVERIES_A_MARK, Queued, State};
use crate::audit::leaf::Sha;
use crate::clock::Timestamp;
use crate::ids::{AppName, DeliveryId};
use crate::store::local::dedupe::{Answers, Looked, Question, Seen};
use crate::store::local::keys::{Keys, Owner};
use crate::store::local::outbox::IndexOp;
use crate::store::local::record::{
    self, Blob, Commitment, Committed, Delivery, Head, Salted, StoredBody, Tail, line_of_delivery, said_of_delivery,
};
use crate::store::local::seal::{Fingerprint, Key, Purpose};
use crate::store::port::{NewDelivery, StoreError};
use crate::store::wide;

/// What fingerprints are of.
const BODY: u8 = 1;
const REQUEST: u8 = 2;
pub(in crate::store::local) const MEANING: u8 = 3;

/// A delivery with all that costs time done: hashed, sealed, encoded. Made outside the lock.
#[derive(Debug)]
pub(in crate::store::local) struct Prepared {
    app: AppName,
    received_at: Timestamp,
    body: Fingerprint,
    request: Option<Fingerprint>,
    is_backfilled: bool,
    code: &'static str,
    commitment: Commitment,
    tail: Vec<u8>,
}

impl Prepared {
    /// `key` is the app's.
    pub(in crate::store::local) fn new(delivery: NewDelivery, is_backfilled: bool, keys: &Keys, key: &Key) -> Self {
        let NewDelivery { app, received_at, verified } = delivery;
        let (name, raw) = (app.as_str().as_bytes(), verified.body());
        // Hashed once, for the fingerprint and for the leaf.
        let hash = Sha::of(raw);
        let body = keys.prints().of(BODY, &[name, &hash.0]);
        let request = verified.request_id().map(|id| keys.prints().of(REQUEST, &[name, id.as_bytes()]));
        let salted = Salted { salt: keys.salt(), request_id: verified.request_id() };
        let commitment = salted.commitment(&hash, wide(raw.len()));
        let mut before = Vec::with_capacity(64);
        record::put(&salted, &mut before);
        let sealed = Blob(key.seal(Purpose::Body, &[&before, raw], keys.chance()));
        let tail = Tail {
            app,
            received_at,
            signed_at_secs: verified.signed_at_secs(),
            body_bytes: wide(raw.len()),
            body_print: body,
            request_print: request,
            is_backfilled,
            body: StoredBody::Salted { commitment, sealed },
        };
        let mut encoded = Vec::with_capacity(raw.len().saturating_add(160));
        record::put(&tail, &mut encoded);
        let code = tail.code();
        Self { app: tail.app, received_at, body, request, is_backfilled, code, commitment, tail: encoded }
    }

    /// What a question is about.
    pub(in crate::store::local) fn print(&self, what: Looked) -> Fingerprint {
        match what {
            Looked::Body => self.body,
            Looked::Request => self.request.unwrap_or_default(),
        }
    }

    /// Of its record, nearly.
    pub(in crate::store::local) const fn bytes(&self) -> u64 {
        self.commitment.bytes
    }

    pub(in crate::store::local) fn owner(app: &AppName) -> Owner {
        Owner::App(app.clone())
    }
}

impl State {
    /// The inner one is what has to be answered before, and then nothing was done; none where it is known, and one of
    /// Zoom's log.
    pub(in crate::store::local) fn deliver(
        &mut self,
        new: &Prepared,
        answers: &Answers,
    ) -> Result<Result<Option<DeliveryId>, Question>, StoreError> {
        let app = self.app_number(&new.app);
        let backlog = self.app_at(app).map_or(0, |app| wide(app.unplanned.len()));
        if backlog >= self.limits.backlog_max {
            return Err(StoreError::Backlog);
        }
        let window = self.limits.dedupe_window;
        let looked = self.dedupe.look(&new.body, new.request.as_ref(), new.received_at, window, answers);
        let (duplicate_of, same_request_as) = match looked {
            Ok(found) => found,
            Err(question) => return Ok(Err(question)),
        };
        if new.is_backfilled && duplicate_of.is_some() {
            return Ok(Ok(None));
        }
        let id = self.deliveries.saturating_add(1);
        let said = said_of_delivery(same_request_as);
        let line = line_of_delivery(
            id,
            new.app.as_str(),
            (new.received_at, new.code),
            &said,
            Committed::Salted(new.commitment),
        );
        let entry = self.add_line(&line);
        self.leads.came(DeliveryId::from_number(id), entry);
        let head = Head { id, index: entry, leaf: [0; 32], duplicate_of, same_request_as };
        let number = self.next_record;
        self.outbox.push(number, record::DELIVERY, record::DELIVERY_VERSION, |to, leaf_places| {
            leaf_places.push(head.put(to));
            to.extend_from_slice(&new.tail);
        });
        self.outbox.count_delivery();
        self.next_record += 1;
        if id.is_multiple_of(DELIVERIES_A_MARK) || id == 1 {
            self.outbox.op(number, IndexOp::Delivery { id, record: number });
        }
        let seen = Seen {
            body: new.body,
            request: new.request,
            received_at: new.received_at,
            original: duplicate_of.is_none(),
        };
        self.take_in(number, id, app, seen, new.is_backfilled);
        self.spill();
        Ok(Ok(Some(DeliveryId::from_number(id))))
    }

    /// What a delivery changes, when it comes and when it is replayed.
    fn take_in(&mut self, record: u64, id: u64, app: u32, seen: Seen, is_backfilled: bool) {
        let received_at = seen.received_at;
        self.deliveries = self.deliveries.max(id);
        self.newest_at = self.newest_at.max(received_at);
        self.dedupe.add(id, record, seen);
        self.queue(id, Queued { record, app, received_at });
        if let Some(app) = self.app_at(app).filter(|_| !is_backfilled) {
            app.state.verified_at = app.state.verified_at.max(Some(received_at));
        }
    }

    /// A delivery of before the snapshot: what is held to know it by is not in that.
    pub(in crate::store::local) fn refill(&mut self, delivery: &Delivery) {
        let Delivery { head, tail, .. } = delivery;
        let (body, request, received_at) = (tail.body_print, tail.request_print, tail.received_at);
        self.dedupe.refill(head.id, Seen { body, request, received_at, original: head.duplicate_of.is_none() });
    }

    /// The same from its record.
    pub(super) fn replay_delivery(&mut self, record: u64, delivery: &Delivery) {
        let (head, tail) = (&delivery.head, &delivery.tail);
        let app = self.app_number(&tail.app);
        self.replay_leaf(head.leaf);
        self.leads.came(DeliveryId::from_number(head.id), head.index);
        let (body, request, received_at) = (tail.body_print, tail.request_print, tail.received_at);
        let seen = Seen { body, request, received_at, original: head.duplicate_of.is_none() };
        self.take_in(record, head.id, app, seen, tail.is_backfilled);
    }
}
