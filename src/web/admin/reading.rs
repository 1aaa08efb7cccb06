//! What of the audit log somebody reads: which entries, and from where on. A page at a time, each after one bounded look.

use std::ops::Range;

use axum::http::StatusCode;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;

use super::caller::{Caller, Role};
use super::problem::ApiProblem;
use super::view::EntryView;
use crate::audit::{Entry, Kind};
use crate::clock::Timestamp;
use crate::feed::filter::Filter;
use crate::ids::AccountId;
use crate::store::{PRUNED, Store, StoreError};

/// Entries that one look reads at once.
const LOOK: u64 = 1_000;
/// Entries that one page looks at.
const LOOKED_MAX: u64 = 100_000;

/// Entries that are looked at to see whether a page begins among pruned ones: among those are deliveries, which are not.
const PRUNED_LOOK: u64 = 100;

/// Whether entries at the beginning of these are older than entries are kept.
pub(super) async fn is_pruned(store: &dyn Store, among: Range<u64>) -> Result<bool, StoreError> {
    let count = among.end.saturating_sub(among.start).min(PRUNED_LOOK);
    let entries = store.entries(among.start, usize::try_from(count).unwrap_or(usize::MAX)).await?;
    Ok(entries.iter().any(|entry| entry.code == PRUNED))
}

/// Which entries are meant.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// None for those of all accounts, and of none.
    pub(super) account: Option<AccountId>,
    /// Empty for all of them.
    pub(super) kinds: Vec<Kind>,
    /// A condition that they have to meet.
    pub(super) filter: Option<Filter>,
    /// Only those before this one.
    pub(super) to: u64,
}

/// The condition of a list, which operators of all accounts may give: it is evaluated for each entry.
pub(super) fn filter(text: Option<&str>, caller: &Caller) -> Result<Option<Filter>, ApiProblem> {
    let Some(text) = text else { return Ok(None) };
    if caller.role != Role::Operator || caller.account.is_some() {
        let why = "filter is for operators of all accounts: this token may choose by account and kind";
        return Err(ApiProblem::new(StatusCode::FORBIDDEN, why));
    }
    Filter::parse(text).map(Some).map_err(|error| {
        let column = error.column(text);
        ApiProblem::bad_request(format!("filter, at column {column}: {error}"))
    })
}

/// The kinds of a list, as in `intent,outcome`.
pub(super) fn kinds(text: Option<&str>) -> Result<Vec<Kind>, ApiProblem> {
    let kind = |word: &str| {
        let read = Kind::deserialize(word.into_deserializer());
        read.map_err(|error: serde::de::value::Error| ApiProblem::bad_request(format!("kind: {error}")))
    };
    text.into_iter().flat_map(|text| text.split(',')).map(|word| kind(word.trim())).collect()
}

/// A place in the log, as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Entry(u64),
    /// Before the first entry of this moment or later.
    Time(Timestamp),
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(index) = text.parse() {
            return Ok(Self::Entry(index));
        }
        let at = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
        at.map(Self::Time).ok_or_else(|| {
            format!("{text:?} is no place in the log: expected the number of an entry, or a time as in 2026-11-21 or 2026-11-21T08:00:00Z")
        })
    }
}

impl Place {
    /// The entry at which it is. Entries are in the order of their times, but for a clock that was set back.
    pub(super) async fn index(self, store: &dyn Store) -> Result<u64, StoreError> {
        let wanted = match self {
            Self::Entry(index) => return Ok(index),
            Self::Time(at) => at,
        };
        let Range { mut start, mut end } = 0..store.tree_head().await?.size;
        while start < end {
            let middle = start.midpoint(end);
            let entry = store.entries(middle, 1).await?.pop();
            if entry.is_some_and(|entry| entry.at < wanted) {
                start = middle.saturating_add(1);
            } else {
                end = middle;
            }
        }
        Ok(start)
    }
}

impl Reading {
    fn takes(&self, entry: &Entry) -> bool {
        let passes = |filter: &Filter| {
            let shown = serde_json::to_value(EntryView::from(entry.clone()));
            shown.is_ok_and(|shown| filter.passes(&shown))
        };
        let is_kind = self.kinds.is_empty() || self.kinds.contains(&entry.kind);
        is_kind && self.filter.as_ref().is_none_or(passes)
    }

    /// As many as `limit` from an entry on, and where to go on: that may be before the end also where none was found.
    pub(super) async fn page(
        &self,
        store: &dyn Store,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        let end = from.saturating_add(LOOKED_MAX).min(self.to);
        let (mut found, mut next) = (Vec::new(), from);
        while next < end && found.len() < limit {
            let room = limit.saturating_sub(found.len());
            let (entries, after) = self.look(store, next..end, room).await?;
            if after <= next {
                break;
            }
            next = after;
            let mut taken = entries.into_iter().filter(|entry| self.takes(entry));
            found.extend(taken.by_ref().take(room));
            if let Some(more) = taken.next() {
                next = more.index;
            }
        }
        Ok((found, next))
    }

    /// Of any kind.
    async fn look(&self, store: &dyn Store, among: Range<u64>, room: usize) -> Result<(Vec<Entry>, u64), StoreError> {
        let rows = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let takes_each = self.kinds.is_empty() && self.filter.is_none();
        let count = if takes_each { room } else { rows(LOOK) };
        if let Some(account) = &self.account {
            return store.entries_of(account, among, count).await;
        }
        let entries = store.entries(among.start, count.min(rows(among.end.saturating_sub(among.start)))).await?;
        let next = entries.last().map_or(among.start, |entry| entry.index.saturating_add(1));
        Ok((entries, next))
    }

    /// Whether nothing is left out.
    fn takes_all(&self) -> bool {
        self.account.is_none() && self.kinds.is_empty() && self.filter.is_none()
    }

    /// The `last` newest, where some are left out of the newest 100,000 entries of all, and where to go on: `limit` of them at
    /// once.
    pub(super) async fn newest(
        &self,
        store: &dyn Store,
        last: usize,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        let size = store.tree_head().await?.size;
        if self.takes_all() {
            let last = u64::try_from(last).unwrap_or(u64::MAX);
            return self.page(store, size.saturating_sub(last), limit).await;
        }
        // Back to where the first of them is, of which a part at a time is in memory.
        let (mut count, mut start) = (0_usize, size);
        while start > size.saturating_sub(LOOKED_MAX) && count < last {
            let within = Self { to: start, ..self.clone() };
            start = start.saturating_sub(LOOK);
            count = count.saturating_add(within.page(store, start, usize::MAX).await?.0.len());
        }
        let older = count.saturating_sub(last);
        let whole = Self { to: size, ..self.clone() };
        let (mut newest, next) = whole.page(store, start, limit.saturating_add(older)).await?;
        newest.drain(..older.min(newest.len()));
        Ok((newest, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_from_a_list_and_another_word_is_told() {
        assert_eq!(kinds(None), Ok(Vec::new()));
        assert_eq!(kinds(Some("intent, outcome")), Ok(vec![Kind::Intent, Kind::Outcome]));
        let why = kinds(Some("intent,nothing")).unwrap_err().detail;
        assert!(why.contains("nothing") && why.contains("`moved`"), "{why}");
    }

    #[test]
    fn a_place_is_a_number_a_day_or_a_moment() {
        let midnight = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        assert_eq!("4711".parse(), Ok(Place::Entry(4711)));
        assert_eq!("2026-11-21".parse(), Ok(Place::Time(midnight)));
        assert_eq!("2026-11-21T01:00:00+01:00".parse(), Ok(Place::Time(midnight)));
        for wrong in ["", "-1", "yesterday", "2026-13-01"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
