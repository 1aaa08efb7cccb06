//! One generation of fingerprints: deliveries that follow each other, with tables to find them by, and a filter.

use super::{Before, Seen};
use crate::clock::Timestamp;
use crate::store::local::seal::Fingerprint;
use crate::store::{narrow, wide};

/// Deliveries of one generation.
pub(in crate::store::local) const GENERATION: u64 = 1 << 16;
/// Slots of a table: half of them stay empty.
const SLOTS: u64 = GENERATION * 2;

/// Which generation a delivery is of. Deliveries are numbered from 1.
pub(in crate::store::local) const fn generation_of(delivery: u64) -> u64 {
    delivery.saturating_sub(1) / GENERATION
}

fn low(print: &Fingerprint) -> u64 {
    print.first_chunk().map_or(0, |low| u64::from_le_bytes(*low))
}

/// A table from fingerprint to place: fingerprints are keyed, so their bits are as good as random.
#[derive(Debug, Clone, Default)]
struct Table(Vec<u32>);

impl Table {
    /// The slot of the thing that `is_it` finds, or the empty one where it belongs.
    fn slot(&self, print: &Fingerprint, is_it: impl Fn(u32) -> bool) -> usize {
        let mut at = low(print) % SLOTS;
        loop {
            let slot = narrow(at);
            match self.0.get(slot) {
                Some(place) if *place != 0 && !is_it(*place - 1) => at = (at + 1) % SLOTS,
                _ => return slot,
            }
        }
    }

    fn get(&self, print: &Fingerprint, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.0.get(self.slot(print, is_it)).and_then(|place| place.checked_sub(1))
    }

    fn set(&mut self, print: &Fingerprint, place: u32, is_it: impl Fn(u32) -> bool) {
        if self.0.is_empty() {
            self.0 = vec![0; narrow(SLOTS)];
        }
        let slot = self.slot(print, is_it);
        if let Some(to) = self.0.get_mut(slot) {
            *to = place.saturating_add(1);
        }
    }
}

/// [`Seen`] in 40 bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Packed {
    body: Fingerprint,
    request: Fingerprint,
    /// Milliseconds × 8, and the three bits below.
    at: i64,
}

impl Packed {
    const PRESENT: i64 = 1;
    const HAS_REQUEST: i64 = 2;
    const ORIGINAL: i64 = 4;

    fn of(seen: Seen) -> Self {
        let mut at = seen.received_at.as_millis().saturating_mul(8) | Self::PRESENT;
        at |= if seen.request.is_some() { Self::HAS_REQUEST } else { 0 };
        at |= if seen.original { Self::ORIGINAL } else { 0 };
        Self { body: seen.body, request: seen.request.unwrap_or_default(), at }
    }

    const fn has(&self, bit: i64) -> bool {
        self.at & bit != 0
    }

    fn request(&self) -> Option<Fingerprint> {
        self.has(Self::HAS_REQUEST).then_some(self.request)
    }

    fn seen(&self) -> Option<Seen> {
        let received_at = Timestamp::from_millis(self.at >> 3);
        let (body, request, original) = (self.body, self.request(), self.has(Self::ORIGINAL));
        self.has(Self::PRESENT).then_some(Seen { body, request, received_at, original })
    }
}

/// Deliveries that follow each other.
#[derive(Debug, Clone)]
pub(in crate::store::local) struct Generation {
    pub(in crate::store::local) number: u64,
    /// The record of its first delivery.
    pub(in crate::store::local) first_record: u64,
    seen: Vec<Packed>,
    bodies: Table,
    requests: Table,
    pub(in crate::store::local) newest_at: Timestamp,
}

impl Generation {
    pub(in crate::store::local) fn new(number: u64, first_record: u64) -> Self {
        let (bodies, requests) = (Table::default(), Table::default());
        let newest_at = Timestamp::from_millis(i64::MIN);
        Self { number, first_record, seen: Vec::with_capacity(narrow(GENERATION)), bodies, requests, newest_at }
    }

    fn first(&self) -> u64 {
        self.number.saturating_mul(GENERATION).saturating_add(1)
    }

    fn at(&self, place: u32) -> Option<&Packed> {
        self.seen.get(usize::try_from(place).ok()?)
    }

    pub(in crate::store::local) fn add(&mut self, delivery: u64, seen: Seen) {
        let place = delivery.saturating_sub(self.first());
        let Ok(short) = u32::try_from(place) else { return };
        // Numbers that are missing were damaged, and that was accepted.
        self.seen.resize(narrow(place), Packed::default());
        self.seen.push(Packed::of(seen));
        self.newest_at = self.newest_at.max(seen.received_at);
        let Self { seen: all, bodies, requests, .. } = self;
        let at = |place: u32| usize::try_from(place).ok().and_then(|place| all.get(place));
        if seen.original {
            bodies.set(&seen.body, short, |place| at(place).is_some_and(|other| other.body == seen.body));
        }
        if let Some(request) = seen.request {
            requests.set(&request, short, |place| at(place).and_then(Packed::request) == Some(request));
        }
    }

    /// The newest original with this body.
    pub(in crate::store::local) fn body(&self, print: &Fingerprint) -> Option<Before> {
        let place = self.bodies.get(print, |at| self.at(at).is_some_and(|seen| seen.body == *print))?;
        self.before(place)
    }

    /// The newest with this request id.
    pub(in crate::store::local) fn request(&self, print: &Fingerprint) -> Option<Before> {
        let place = self.requests.get(print, |at| self.at(at).and_then(Packed::request) == Some(*print))?;
        self.before(place)
    }

    fn before(&self, place: u32) -> Option<Before> {
        let seen = self.at(place)?.seen()?;
        Some(Before { delivery: self.first().saturating_add(u64::from(place)), seen })
    }

    /// All that can be found by body, or by request id: for the index.
    pub(in crate::store::local) fn findable(&self, what: Looked) -> Vec<(Fingerprint, Before)> {
        let table = match what {
            Looked::Body => &self.bodies,
            Looked::Request => &self.requests,
        };
        let places = table.0.iter().filter_map(|place| place.checked_sub(1));
        let befores = places.filter_map(|place| self.before(place));
        let mut all: Vec<_> = befores.filter_map(|before| Some((before.seen.print(what)?, before))).collect();
        all.sort_unstable_by_key(|(print, _)| *print);
        all
    }
}

impl Seen {
    fn print(&self, what: Looked) -> Option<Fingerprint> {
        match what {
            Looked::Body => Some(self.body),
            Looked::Request => self.request,
        }
    }
}

/// By what something is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::local) enum Looked {
    Body,
    Request,
}

/// Says of a fingerprint that it is not in a generation, or may be: 1 % of the time it may and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::local) struct Bloom(Vec<u64>);

impl Bloom {
    const HASHES: u64 = 7;
    const BITS: u64 = GENERATION * 2 * 10;
    /// Of a filter on disk: [`Self::BITS`] / 8.
    pub(in crate::store::local) const BYTES: usize = 163_840;

    pub(in crate::store::local) fn of(generation: &Generation) -> Self {
        let mut bloom = Self(vec![0; narrow(Self::BITS / 64)]);
        for seen in generation.seen.iter().filter_map(Packed::seen) {
            bloom.add(&seen.body);
            if let Some(request) = &seen.request {
                bloom.add(request);
            }
        }
        bloom
    }

    fn bits(print: &Fingerprint) -> impl Iterator<Item = (usize, u64)> {
        let both = u128::from_le_bytes(*print);
        let (a, b) = (low(print), u64::try_from(both >> 64).unwrap_or(0) | 1);
        (0..Self::HASHES).map(move |n| {
            let bit = a.wrapping_add(b.wrapping_mul(n)) % Self::BITS;
            (narrow(bit / 64), 1 << (bit % 64))
        })
    }

    fn add(&mut self, print: &Fingerprint) {
        for (word, bit) in Self::bits(print) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    pub(in crate::store::local) fn may_have(&self, print: &Fingerprint) -> bool {
        Self::bits(print).all(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }

    pub(in crate::store::local) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(in crate::store::local) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        (wide(words.len()) == Self::BITS / 64).then_some(Self(words))
    }
}
