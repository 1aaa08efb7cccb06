//! Reading back: deliveries and entries from the journal, with the index to find them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::core::Core;
use super::record::{self, Blob, Delivery, Kept, Line, Said, Stored, StoredEntry};
use super::seal::Purpose;
use super::state::Where;
use crate::audit::leaf::{Leaf, SALT_BYTES};
use crate::audit::{Detail, Entry};
use crate::clock::lock;
use crate::event::signature::Verified;
use crate::event::wire;
use crate::ids::{AccountId, DeliveryId, JobId};
use crate::store::journal::{FIRST_NUMBER, ReadError};
use crate::store::port::{
    DeliveryFilter, DeliveryStatus, DeliverySummary, ENTRIES_LOOKED_MAX, StoreError, StoredDelivery,
};
use crate::store::{PRUNED, wide};

/// A scan that would step over more records than this begins anew.
const STEP_OVER_MAX: u64 = 256;
/// How long a listing waits for the index to catch up.
const INDEX_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// What was found before entries that cannot be read; where there is nothing, what is wrong.
fn lost(
    found: Vec<Entry>,
    (from, next): (u64, u64),
    why: &str,
    goes_on: Option<u64>,
) -> Result<(Vec<Entry>, u64), StoreError> {
    if next > from {
        return Ok((found, next));
    }
    Err(StoreError::Damaged(match goes_on {
        Some(first) => format!("{why}; no entry from {next} on can be read: the log goes on from entry {first}"),
        None => format!("{why}; no entry from {next} on can be read"),
    }))
}

fn damaged(error: &ReadError) -> StoreError {
    StoreError::Damaged(super::housekeeper::with_source(error))
}

/// A delivery as it is found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) record: u64,
    pub(super) delivery: Delivery,
}

/// The entry of which this is what its leaf is the hash of, without what is sealed in it. None where it is none.
pub fn entry_of_leaf(index: u64, data: &[u8]) -> Option<Entry> {
    let leaf = crate::audit::tree::leaf_hash(data);
    if let Some(read) = Leaf::read(data) {
        let (at, delivery, job) = (read.at()?, read.delivery(), read.job());
        let Leaf { kind, app, account, rule, code, led_by, note, .. } = read;
        let detail = note.map(Detail::note);
        return Some(Entry { index, at, kind, app, account, delivery, job, rule, code, detail, led_by, leaf });
    }
    let Line { at, kind, app, account, delivery, job, rule, code, said, .. } = record::line_of_first_leaf(data)?;
    let detail = if let Said::Plain(note) = said { Some(Detail::note(note)) } else { None };
    Some(Entry { index, at, kind, app, account, delivery, job, rule, code, detail, led_by: None, leaf })
}

impl Core {
    /// What is in a record; none where it is not synced yet.
    fn record(&self, number: u64) -> Result<Option<Stored>, StoreError> {
        let Some(record) = self.reader.read(number).map_err(|error| damaged(&error))? else { return Ok(None) };
        let stored = Stored::decode(record.kind, record.version, &record.payload);
        stored.map(Some).ok_or_else(|| StoreError::Damaged(format!("record {number} cannot be understood")))
    }

    pub(super) fn delivery_at(&self, record: u64) -> Result<Option<Found>, StoreError> {
        match self.record(record)? {
            Some(Stored::Delivery(delivery)) => Ok(Some(Found { record, delivery: *delivery })),
            Some(Stored::Changes(_)) => Err(StoreError::Damaged(format!("record {record} is no delivery"))),
            None => Ok(None),
        }
    }

    /// A delivery as it was stored.
    pub(super) fn stored(&self, delivery: Delivery, replayed: bool) -> Result<StoredDelivery, StoreError> {
        let Delivery { head, tail, .. } = delivery;
        let id = DeliveryId::from_number(head.id);
        let verified = match tail.body.sealed() {
            None => None,
            Some(Blob(sealed)) => {
                let plain = self.keys.open_blob(Purpose::Body, sealed).filter(|plain| tail.body.was(plain));
                let opened = plain.and_then(|plain| {
                    let (request_id, start) = tail.body.split(&plain)?;
                    let body = bytes::Bytes::from(plain).slice(start..);
                    Some(Verified::reread(body, tail.signed_at_secs, request_id))
                });
                let opened = opened.ok_or_else(|| StoreError::Damaged(format!("the body of {id} does not open")));
                Some(opened?)
            }
        };
        let duplicate_of = if replayed { None } else { head.duplicate_of.map(DeliveryId::from_number) };
        Ok(StoredDelivery {
            id,
            app: tail.app,
            received_at: tail.received_at,
            verified,
            duplicate_of,
            same_request_as: head.same_request_as.map(DeliveryId::from_number),
            replayed,
            is_backfilled: tail.is_backfilled,
        })
    }

    pub(super) fn unplanned(&self, but: &HashSet<u64>, limit: usize) -> Result<Vec<StoredDelivery>, StoreError> {
        let wanted: Vec<(u64, bool)> = self.read(|state| {
            let chosen = state.next_to_plan(but, limit).into_iter();
            let queued = chosen.filter_map(|id| state.unplanned.get(&id).map(|queued| (id, queued.record)));
            queued.map(|(id, record)| (record, state.replayed.contains(&id))).collect()
        })?;
        let mut found = Vec::with_capacity(wanted.len());
        let mut scan = None;
        for (record, replayed) in wanted {
            let read = self.next_of(&mut scan, record)?;
            // Not synced yet: nothing after it is either, but what a person replayed.
            if let Some(delivery) = read {
                found.push(self.stored(delivery, replayed)?);
            }
        }
        Ok(found)
    }

    /// The delivery in a record, by going on with a scan where that is near.
    fn next_of(
        &self,
        scan: &mut Option<crate::store::journal::Scan>,
        record: u64,
    ) -> Result<Option<Delivery>, StoreError> {
        let near = |at: u64| at <= record && record.saturating_sub(at) <= STEP_OVER_MAX;
        let going_on = scan.take().filter(|scan| near(scan.position()));
        let mut going = going_on.unwrap_or_else(|| self.reader.scan(record));
        while let Some(next) = going.next() {
            let next = next.map_err(|error| damaged(&error))?;
            if next.number == record {
                *scan = Some(going);
                let not_one = || StoreError::Damaged(format!("record {record} is no delivery"));
                return Delivery::decode(next.version, &next.payload).map(Some).ok_or_else(not_one);
            }
            if next.number > record {
                break;
            }
        }
        Ok(None)
    }

    /// Finds a delivery of which only the number is known. Reads files.
    fn locate(&self, id: u64) -> Result<Option<Found>, StoreError> {
        let start = self.index.ask(|index| index.before_delivery(id)).flatten();
        let start = start.unwrap_or(FIRST_NUMBER).max(self.reader.first_number());
        for found in self.reader.scan(start) {
            let record = found.map_err(|error| damaged(&error))?;
            // Most of what is on the way need not be read whole.
            let at = (record.kind == record::DELIVERY).then(|| Delivery::peek_id(&record.payload)).flatten();
            match at {
                Some(at) if at == id => {
                    let not_one = || StoreError::Damaged(format!("record {} is no delivery", record.number));
                    let delivery = Delivery::decode(record.version, &record.payload).ok_or_else(not_one)?;
                    return Ok(Some(Found { record: record.number, delivery }));
                }
                Some(at) if at > id => break,
                _ => {}
            }
        }
        Ok(None)
    }

    /// A delivery and where it stands. Reads files.
    pub(super) fn find(&self, id: DeliveryId) -> Result<Option<(Found, Where, bool)>, StoreError> {
        let (place, replayed) =
            self.read(|state| (state.whereabouts(id.number()), state.replayed.contains(&id.number())))?;
        let found = match place {
            Where::Unknown => None,
            Where::Unplanned { record } | Where::Aside { record, .. } => self.delivery_at(record)?,
            Where::Planned => self.locate(id.number())?,
        };
        Ok(found.map(|found| (found, place, replayed)))
    }

    /// Waits until the index has taken in all that is on disk now.
    pub(super) async fn index_caught_up(&self) -> Result<(), StoreError> {
        if let Some(trouble) = self.index.trouble().filter(|trouble| trouble.failed > 0) {
            return Err(StoreError::Behind(format!("the index cannot be built: {}", trouble.why)));
        }
        let target = self.synced_next();
        let mut applied = self.applied.subscribe();
        let _hurry = self.index.hurry();
        let caught_up = applied.wait_for(|next| *next >= target);
        match tokio::time::timeout(INDEX_WAIT, caught_up).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::Behind("the index is being built".to_owned())),
        }
    }

    fn status_of(&self, id: u64, place: Where) -> DeliveryStatus {
        match place {
            Where::Aside { cause, .. } => DeliveryStatus::Parked { cause: cause.to_owned() },
            Where::Unplanned { .. } | Where::Unknown => DeliveryStatus::Unplanned,
            Where::Planned => match self.index.ask(|index| index.decided(id)).flatten() {
                Some((decided, jobs)) => DeliveryStatus::Planned {
                    code: decided.code().to_owned(),
                    jobs: jobs.into_iter().map(JobId::from_number).collect(),
                },
                // Its decision is not on disk yet.
                None => DeliveryStatus::Unplanned,
            },
        }
    }

    pub(super) fn delivery(&self, id: DeliveryId) -> Result<Option<(StoredDelivery, DeliveryStatus)>, StoreError> {
        let Some((found, place, replayed)) = self.find(id)? else { return Ok(None) };
        let status = self.status_of(id.number(), place);
        Ok(Some((self.stored(found.delivery, replayed)?, status)))
    }

    fn summary(&self, delivery: Delivery, place: Where) -> DeliverySummary {
        let (number, bytes) = (delivery.head.id, delivery.tail.body_bytes);
        let (app, received_at, is_backfilled) =
            (delivery.tail.app.clone(), delivery.tail.received_at, delivery.tail.is_backfilled);
        // A body that does not open is told to whoever reads it, and keeps nobody from the list.
        let verified = self.stored(delivery, false).ok().and_then(|delivery| delivery.verified);
        DeliverySummary {
            id: DeliveryId::from_number(number),
            app,
            received_at,
            event: verified.as_ref().and_then(wire::event_name),
            bytes,
            is_backfilled,
            status: self.status_of(number, place),
        }
    }

    pub(super) fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliverySummary>, StoreError> {
        let is_meant = |delivery: &Delivery| {
            filter.app.as_ref().is_none_or(|app| delivery.tail.app == *app)
                && filter.account.as_ref().is_none_or(|of| self.account_named(delivery).as_ref() == Some(of))
        };
        let before = filter.before.map_or(u64::MAX, DeliveryId::number);
        let mut found = Vec::new();
        if filter.parked {
            let parked: Vec<(u64, Where)> = self.read(|state| {
                let parked = state.aside.range(..before).rev();
                parked.map(|(id, _)| (*id, state.whereabouts(*id))).collect()
            })?;
            for (_, place) in parked {
                if found.len() >= filter.limit {
                    break;
                }
                if let Where::Aside { record, .. } = place
                    && let Some(Found { delivery, .. }) = self.delivery_at(record)?
                    && is_meant(&delivery)
                {
                    found.push(self.summary(delivery, place));
                }
            }
            return Ok(found);
        }
        // Backwards in pieces of which each is read forwards.
        let mut end = before.min(self.read(|state| state.deliveries)?.saturating_add(1));
        let piece = wide(filter.limit).clamp(64, 1024);
        while end > 1 && found.len() < filter.limit {
            let start = end.saturating_sub(piece).max(1);
            let mut some = self.piece(start, end)?;
            some.retain(|delivery| is_meant(delivery));
            for delivery in some.into_iter().rev().take(filter.limit.saturating_sub(found.len())) {
                let place = self.read(|state| state.whereabouts(delivery.head.id))?;
                found.push(self.summary(delivery, place));
            }
            end = start;
        }
        Ok(found)
    }

    /// None also where the body does not open.
    fn account_named(&self, delivery: &Delivery) -> Option<AccountId> {
        self.stored(delivery.clone(), false).ok()?.verified.as_ref().and_then(wire::account)
    }

    /// The deliveries from one number up to before another.
    fn piece(&self, start: u64, end: u64) -> Result<Vec<Delivery>, StoreError> {
        let mut piece = Vec::new();
        let Some(Found { record, .. }) = self.locate(start)? else { return Ok(piece) };
        for found in self.reader.scan(record) {
            let record = found.map_err(|error| damaged(&error))?;
            if record.kind != record::DELIVERY {
                continue;
            }
            let Some(delivery) = Delivery::decode(record.version, &record.payload) else { continue };
            let id = delivery.head.id;
            if id < end {
                piece.push(delivery);
            }
            if id.saturating_add(1) >= end {
                break;
            }
        }
        Ok(piece)
    }

    pub(super) fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.entries_where(from..u64::MAX, limit, |_| true).map(|(found, _)| found)
    }

    pub(super) fn entries_of(
        &self,
        account: &AccountId,
        among: Range<u64>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        let end = among.start.saturating_add(wide(ENTRIES_LOOKED_MAX)).min(among.end);
        self.entries_where(among.start..end, limit, |of| of == Some(account))
    }

    /// Entries whose account is meant, and where to go on. Those before what cannot be read are given first; then an error says
    /// what that is, and where it goes on.
    fn entries_where(
        &self,
        Range { start: from, end }: Range<u64>,
        limit: usize,
        is_meant: impl Fn(Option<&AccountId>) -> bool,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        let (mut found, mut next) = (Vec::new(), from);
        if limit == 0 || from >= end {
            return Ok((found, next));
        }
        let start = self.index.ask(|index| index.before_entry(from)).flatten();
        let start = start.unwrap_or(FIRST_NUMBER).max(self.reader.first_number());
        // On the way, and it is not known yet whether anything that is asked for was in it.
        let mut unread = None;
        for read in self.reader.scan(start) {
            let stored = match read {
                Ok(record) => Stored::decode(record.kind, record.version, &record.payload)
                    .ok_or_else(|| format!("record {} cannot be understood", record.number)),
                Err(ReadError::Damaged(gap)) => Err(gap.to_string()),
                Err(error) => return Err(damaged(&error)),
            };
            let stored = match stored {
                Ok(stored) => stored,
                Err(why) => {
                    unread.get_or_insert(why);
                    continue;
                }
            };
            // Records have entries in their order: what lies between these two was in it.
            let first = stored.first_index();
            if let Some(why) = unread.take().filter(|_| first > next) {
                return lost(found, (from, next), &why, Some(first));
            }
            match stored {
                Stored::Delivery(delivery) => {
                    let index = delivery.head.index;
                    if (from..end).contains(&index) {
                        next = index.saturating_add(1);
                        if is_meant(None) {
                            found.push(self.delivery_entry(&delivery));
                        }
                    }
                }
                Stored::Changes(changes) => {
                    for (index, entry) in (changes.first_index..).zip(changes.entries) {
                        if (from..end).contains(&index) && found.len() < limit {
                            next = index.saturating_add(1);
                            if is_meant(entry.line().and_then(|line| line.account.as_ref())) {
                                found.push(self.entry(index, entry));
                            }
                        }
                    }
                }
            }
            if found.len() >= limit || next >= end {
                break;
            }
        }
        match unread.filter(|_| next < end.min(lock(&self.synced).tree.size())) {
            Some(why) => lost(found, (from, next), &why, None),
            None => Ok((found, next)),
        }
    }

    fn delivery_entry(&self, delivery: &Delivery) -> Entry {
        let said = delivery.said();
        let app = Some(delivery.tail.app.clone());
        Entry {
            index: delivery.head.index,
            at: delivery.tail.received_at,
            kind: crate::audit::Kind::Delivery,
            app,
            account: None,
            delivery: Some(DeliveryId::from_number(delivery.head.id)),
            job: None,
            rule: None,
            code: delivery.tail.code().to_owned(),
            detail: self.detail(&said),
            led_by: None,
            leaf: delivery.head.leaf,
        }
    }

    fn entry(&self, index: u64, entry: StoredEntry) -> Entry {
        let StoredEntry { leaf, kept } = entry;
        let (led_by, line) = match kept.clone() {
            Kept::Line(line) | Kept::Told(line) => (None, line),
            Kept::Led(by, line) => (Some(by), line),
            Kept::Forgotten { at, kind } | Kept::Pruned { at, kind } => {
                let (app, account, delivery, job, rule, led_by) = (None, None, None, None, None, None);
                let code = if matches!(kept, Kept::Pruned { .. }) { PRUNED } else { "forgotten" }.to_owned();
                return Entry { index, at, kind, app, account, delivery, job, rule, code, detail: None, led_by, leaf };
            }
        };
        let detail = self.detail(&line.said);
        let Line { at, kind, app, account, delivery, job, rule, code, .. } = line;
        Entry { index, at, kind, app, account, delivery, job, rule, code, detail, led_by, leaf }
    }

    /// None where its key is gone: it was forgotten.
    pub(super) fn detail(&self, said: &Said) -> Option<Detail> {
        match said {
            Said::Nothing | Said::Gone { .. } => None,
            Said::Plain(note) => Some(Detail::note(note.clone())),
            Said::Sealed(Blob(sealed)) => record::first_detail(self.keys.open_blob(Purpose::Detail, sealed)?),
            Said::Salted { sealed: Blob(sealed), .. } => {
                let plain = self.keys.open_blob(Purpose::Detail, sealed)?;
                serde_json::from_slice(plain.get(SALT_BYTES..)?).ok()
            }
        }
    }

    /// The same on a thread that may block.
    pub(super) async fn reading<T: Send + 'static>(
        self: &Arc<Self>,
        what: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        drop(self.open()?);
        let core = Arc::clone(self);
        self.apart(move || what(&core)).await?
    }
}
