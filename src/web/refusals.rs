//! Refused requests, counted: strangers can make any number of them, so the audit log gets one entry a minute and kind.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::clock::{Timestamp, lock};
use crate::ids::AppName;

/// Why a request was refused. Told to us alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// No such path. 404.
    UnknownPath,
    /// No such app. 404.
    UnknownApp,
    /// 405.
    Method,
    /// A content or transfer coding, under which the signed bytes would be guesswork. 415.
    Encoding,
    /// 413.
    TooLarge,
    /// A needed header is missing, doubled or of a wrong shape. 400.
    Malformed,
    /// The body ended early or its chunks are broken. 400.
    BrokenBody,
    /// The body did not come in time. 408.
    SlowBody,
    /// Other bodies that are on their way fill the memory set aside for them. 503.
    Crowded,
    /// 401.
    Signature,
    /// A bad signature while the secret is unproven or new. 503.
    SignatureInGrace,
    /// A good signature, too old or too new: a wrong clock or a repeated request. 503.
    Window,
    /// The app has as many unplanned deliveries as it may. 503.
    Backlog,
    /// The store could not take it. 503.
    Unstored,
}

impl RefusalKind {
    pub const ALL: [Self; 14] = [
        Self::UnknownPath,
        Self::UnknownApp,
        Self::Method,
        Self::Encoding,
        Self::TooLarge,
        Self::Malformed,
        Self::BrokenBody,
        Self::SlowBody,
        Self::Crowded,
        Self::Signature,
        Self::SignatureInGrace,
        Self::Window,
        Self::Backlog,
        Self::Unstored,
    ];

    /// A short, stable word for the audit log and the metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownPath => "unknown-path",
            Self::UnknownApp => "unknown-app",
            Self::Method => "method",
            Self::Encoding => "encoding",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::BrokenBody => "broken-body",
            Self::SlowBody => "slow-body",
            Self::Crowded => "crowded",
            Self::Signature => "signature",
            Self::SignatureInGrace => "signature-in-grace",
            Self::Window => "window",
            Self::Backlog => "backlog",
            Self::Unstored => "unstored",
        }
    }
}

/// Rows that nobody drained yet. Beyond it counts go to the newest minute that is there.
const MINUTES_MAX: usize = 120;

#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Counts>);

/// How far back it is known when signatures were bad.
const RECENT_MINUTES: i64 = 60;

#[derive(Debug, Default)]
struct Counts {
    /// Bad signatures of the last hour by app, and by the minute's number since the epoch.
    bad_signatures: BTreeMap<AppName, BTreeMap<i64, u64>>,
    totals: BTreeMap<RefusalKind, u64>,
    /// By the minute's number since the epoch.
    minutes: BTreeMap<i64, BTreeMap<RefusalKind, u64>>,
}

impl Refusals {
    pub(super) fn count(&self, kind: RefusalKind, at: Timestamp) {
        let mut counts = lock(&self.0);
        one_more(counts.totals.entry(kind).or_default());
        let mut minute = minute_of(at);
        if counts.minutes.len() >= MINUTES_MAX && !counts.minutes.contains_key(&minute) {
            minute = counts.minutes.keys().next_back().copied().unwrap_or(minute);
        }
        one_more(counts.minutes.entry(minute).or_default().entry(kind).or_default());
    }

    /// A signature did not fit the secrets of this app, which is one of the configuration.
    pub(super) fn bad_signature(&self, app: &AppName, at: Timestamp) {
        let (mut counts, minute) = (lock(&self.0), minute_of(at));
        let of_app = counts.bad_signatures.entry(app.clone()).or_default();
        one_more(of_app.entry(minute).or_default());
        of_app.retain(|had, _| minute.saturating_sub(*had) < RECENT_MINUTES);
    }

    /// Bad signatures within the hour before, by app, and the minute of the first.
    pub(super) fn bad_signatures(&self, now: Timestamp) -> Vec<(AppName, u64, Timestamp)> {
        let (counts, now) = (lock(&self.0), minute_of(now));
        let of_app = |(app, minutes): (&AppName, &BTreeMap<i64, u64>)| {
            let is_recent = |(minute, _): &(&i64, &u64)| now.saturating_sub(**minute) < RECENT_MINUTES;
            let mut recent = minutes.iter().filter(is_recent).peekable();
            let first = Timestamp::from_millis(recent.peek()?.0.saturating_mul(60_000));
            Some((app.clone(), recent.map(|(_, count)| count).sum(), first))
        };
        counts.bad_signatures.iter().filter_map(of_app).collect()
    }

    pub(super) fn totals(&self) -> Vec<(RefusalKind, u64)> {
        let counts = lock(&self.0);
        RefusalKind::ALL.into_iter().map(|kind| (kind, counts.totals.get(&kind).copied().unwrap_or(0))).collect()
    }

    /// Takes what was counted, oldest first, each row with the start of its minute.
    pub(super) fn drain(&self) -> Vec<(Timestamp, RefusalKind, u64)> {
        let minutes = std::mem::take(&mut lock(&self.0).minutes);
        let rows = minutes.into_iter().flat_map(|(minute, kinds)| {
            let start = Timestamp::from_millis(minute.saturating_mul(60_000));
            kinds.into_iter().map(move |(kind, count)| (start, kind, count))
        });
        rows.collect()
    }
}

fn one_more(count: &mut u64) {
    *count = count.saturating_add(1);
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_signatures_are_counted_for_an_hour_each_for_its_app() {
        let (refusals, minutes) = (Refusals::default(), |minutes: i64| Timestamp::from_secs(minutes * 60));
        let [main, other] = ["main", "other"].map(|name| AppName::parse(name).unwrap());
        assert_eq!(refusals.bad_signatures(minutes(0)), []);
        refusals.bad_signature(&main, minutes(10));
        refusals.bad_signature(&main, minutes(30));
        refusals.bad_signature(&other, minutes(30));
        refusals.count(RefusalKind::Malformed, minutes(5));
        let others = (other, 1, minutes(30));
        assert_eq!(refusals.bad_signatures(minutes(69)), [(main.clone(), 2, minutes(10)), others.clone()]);
        assert_eq!(refusals.bad_signatures(minutes(70)), [(main, 1, minutes(30)), others]);
        assert_eq!(refusals.bad_signatures(minutes(90)), []);
    }

    #[test]
    fn refusals_are_drained_by_minute_and_kind_and_the_totals_stay() {
        let refusals = Refusals::default();
        for (millis, kind) in [
            (0, RefusalKind::Signature),
            (59_999, RefusalKind::Signature),
            (60_000, RefusalKind::Signature),
            (60_001, RefusalKind::Malformed),
        ] {
            refusals.count(kind, Timestamp::from_millis(millis));
        }
        let minute = Timestamp::from_secs(60);
        let rows = refusals.drain();
        assert_eq!(
            rows,
            [
                (Timestamp::EPOCH, RefusalKind::Signature, 2),
                (minute, RefusalKind::Malformed, 1),
                (minute, RefusalKind::Signature, 1)
            ]
        );
        assert_eq!(refusals.drain(), []);
        assert!(refusals.totals().contains(&(RefusalKind::Signature, 3)));
    }

    #[test]
    fn what_nobody_drains_stays_bounded_and_counted() {
        let refusals = Refusals::default();
        for minute in 0..1000 {
            refusals.count(RefusalKind::Signature, Timestamp::from_secs(minute * 60));
        }
        let rows = refusals.drain();
        assert_eq!(rows.len(), MINUTES_MAX);
        assert_eq!(rows.iter().map(|(_, _, count)| count).sum::<u64>(), 1000);
    }
}
