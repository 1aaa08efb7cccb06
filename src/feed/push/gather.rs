//! What a consumer gets next: entries of a page, as it is to have them.

use std::collections::VecDeque;

use super::batch::Batch;
use super::one::{GAP, Pusher};
use crate::audit::{Entry, Kind};
use crate::clock::lock;
use crate::event::wire;
use crate::feed::Parcel;
use crate::feed::format::{Item, Original};
use crate::ids::DeliveryId;
use crate::rules::without_secrets;
use crate::store::StoreError;

impl Pusher {
    /// What goes next of these entries. They are fewer then.
    pub(super) async fn gather(&self, left: &mut VecDeque<Entry>) -> Result<Batch, StoreError> {
        let until = lock(&self.doing).failing.as_ref().map(|failing| failing.until);
        let singly_below = *lock(&self.singly_below);
        let mut batch = Batch::default();
        while let Some(entry) = left.pop_front() {
            let index = entry.index;
            let is_over =
                until.is_some_and(|until| index > until) || batch.of.is_some_and(|(first, _)| first < singly_below);
            if is_over && batch.of.is_some() {
                left.push_front(entry);
                break;
            }
            let is_gap = entry.code == GAP;
            if let Some(parcel) = self.parcel(entry.clone()).await? {
                if !batch.takes(parcel.text.len(), self.push.batch_max) {
                    left.push_front(entry);
                    break;
                }
                batch.add(index, parcel, is_gap);
            }
            batch.end = index.saturating_add(1);
            if batch.parcels.len() >= self.push.batch_max {
                break;
            }
        }
        Ok(batch)
    }

    /// An entry as it is sent; none where it is not wanted.
    async fn parcel(&self, entry: Entry) -> Result<Option<Parcel>, StoreError> {
        let body_of = entry.delivery.filter(|_| entry.kind == Kind::Delivery && self.push.deliveries);
        if !self.push.audit && body_of.is_none() {
            return Ok(None);
        }
        let (at, kind) = (entry.at, entry.kind.code());
        let entry = (self.parts.show)(entry);
        if self.push.filter.as_ref().is_some_and(|filter| !filter.passes(&entry)) {
            return Ok(None);
        }
        let body = match body_of {
            Some(delivery) => self.original(delivery).await?,
            None => None,
        };
        let item = Item { log: &self.parts.log, entry: &entry, body: body.as_ref() };
        Ok(Some(Parcel { at, kind, text: self.push.format.write(&item).to_string() }))
    }

    /// The body of a delivery; none where it was pruned, or is no JSON that secrets could be taken out of.
    async fn original(&self, delivery: DeliveryId) -> Result<Option<Original>, StoreError> {
        let found = self.parts.store.delivery(delivery).await?;
        let Some(verified) = found.and_then(|(delivery, _)| delivery.verified) else { return Ok(None) };
        if self.push.secrets {
            return Ok(Some(Original::Bytes(verified.body().to_vec())));
        }
        let mut body = wire::body(&verified).ok();
        body.as_mut().into_iter().for_each(|body| without_secrets(body, Some("***")));
        Ok(body.map(Original::Json))
    }
}
