//! What a consumer gets next: entries of a page and checkpoints, as it is to have them.

use std::collections::VecDeque;

use super::batch::{Batch, Room};
use super::cursor::{Pruned, Upto};
use super::held::GAP;
use super::one::Pusher;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::{Entry, Kind};
use crate::clock::lock;
use crate::event::wire;
use crate::feed::Parcel;
use crate::feed::format::{Head, Item, Original};
use crate::ids::DeliveryId;
use crate::rules::without_secrets;
use crate::store::StoreError;

/// What an entry says of itself where all else was pruned.
const PRUNED: &str = "pruned";

impl Pusher {
    /// What goes next of these entries. They are fewer then.
    pub(super) async fn gather(&self, left: &mut VecDeque<Entry>) -> Result<Batch, StoreError> {
        let end = match lock(&self.doing).failing.as_ref().map(|failing| failing.upto) {
            Some(Upto::Entry(end)) => Some(end),
            _ => None,
        };
        let singly_below = *lock(&self.singly_below);
        let room = Room { entries: self.push.batch_max, bytes: self.bytes_max() };
        let mut batch = Batch::new(Upto::Entry(left.front().map_or(0, |entry| entry.index)));
        while let Some(entry) = left.pop_front() {
            let index = entry.index;
            let is_over = end.is_some_and(|end| index >= end) || batch.first.is_some_and(|first| first < singly_below);
            if is_over && batch.first.is_some() {
                left.push_front(entry);
                break;
            }
            let is_gap = entry.code == GAP;
            let (parcel, is_pruned) = self.parcel(entry.clone()).await?;
            if let Some(parcel) = parcel {
                if !batch.takes(parcel.text.len(), room) {
                    left.push_front(entry);
                    break;
                }
                batch.add(index, parcel, is_gap);
            }
            if is_pruned {
                batch.pruned = Pruned::and(batch.pruned, Some(Pruned { first: index, last: index, count: 1 }));
            }
            batch.upto = Upto::Entry(index.saturating_add(1));
            if batch.parcels.len() >= self.push.batch_max {
                break;
            }
        }
        Ok(batch)
    }

    /// An entry as it is sent, none where it is not wanted; and whether it was pruned, or the body that it is to have.
    async fn parcel(&self, entry: Entry) -> Result<(Option<Parcel>, bool), StoreError> {
        let body_of = entry.delivery.filter(|_| entry.kind == Kind::Delivery && self.push.deliveries);
        if !self.push.audit && body_of.is_none() {
            return Ok((None, false));
        }
        let (at, kind, is_pruned) = (entry.at, entry.kind.code(), entry.code == PRUNED);
        let entry = (self.parts.show)(entry);
        if self.push.filter.as_ref().is_some_and(|filter| !filter.passes(&entry)) {
            // Nobody knows whether it would have passed.
            return Ok((None, is_pruned));
        }
        let (body, is_bare) = match body_of {
            Some(delivery) => self.original(delivery).await?,
            None => (None, false),
        };
        let item = Item { log: &self.parts.log, entry: &entry, body: body.as_ref() };
        let text = self.push.format.write(&item).to_string();
        Ok((Some(Parcel { at: Some(at), kind, text }), is_pruned || is_bare))
    }

    /// The body of a delivery, none where it is no JSON that secrets could be taken out of; and whether it was pruned.
    async fn original(&self, delivery: DeliveryId) -> Result<(Option<Original>, bool), StoreError> {
        let Some((found, _)) = self.parts.store.delivery(delivery).await? else { return Ok((None, false)) };
        let Some(verified) = found.verified else { return Ok((None, true)) };
        if self.push.secrets {
            return Ok((Some(Original::Bytes(verified.body().to_vec())), false));
        }
        let mut body = wire::body(&verified).ok();
        body.as_mut().into_iter().for_each(|body| without_secrets(body, Some("***")));
        Ok((body.map(Original::Json), false))
    }

    /// A checkpoint as it is sent. One that cannot be read is left out, which `audit verify` tells of.
    pub(super) async fn checkpoint(&self, number: u64, note: &str) -> Result<Batch, StoreError> {
        let Some(checkpoint) = Checkpoint::parse_note(note) else {
            tracing::error!(consumer = %self.name(), number, "a checkpoint cannot be read, and is left out");
            return Ok(Batch::new(Upto::Checkpoint(number)));
        };
        // When it was signed is not kept; this is the same each time.
        let last = self.parts.store.entries(checkpoint.size.saturating_sub(1), 1).await?;
        let at = last.first().map(|entry| entry.at);
        let head = Head { number, note, checkpoint: &checkpoint, at };
        let text = self.push.format.write_checkpoint(&head).to_string();
        Ok(Batch::of_checkpoint(number, Parcel { at, kind: "checkpoint", text }))
    }
}
