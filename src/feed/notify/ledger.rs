//! What was told to somebody, and what is news: pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alarm::Alarm;
use crate::clock::Timestamp;

/// What is known from memory alone is called over only so long after a start.
const SETTLES: Duration = Duration::from_secs(3600);

/// What one notifier told. Kept over a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    told: Vec<Told>,
    sent_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    at: Timestamp,
    alarm: Alarm,
}

/// What is to be told, and was not yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) begun: Vec<Alarm>,
    pub(super) over: Vec<Alarm>,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.over.is_empty()
    }
}

impl Ledger {
    /// What differs between what stands and what was told; `started` is the start of the process.
    pub(super) fn news(&self, standing: &[Alarm], started: Timestamp, now: Timestamp) -> News {
        let is_told = |alarm: &&Alarm| self.told.iter().any(|told| told.alarm.key() == alarm.key());
        let is_over = |told: &&Told| {
            let is_unknown = told.alarm.is_from_memory() && told.at < started && now.since(started) < SETTLES;
            !is_unknown && standing.iter().all(|alarm| alarm.key() != told.alarm.key())
        };
        let mut begun: Vec<Alarm> = Vec::new();
        for alarm in standing.iter().filter(|alarm| !is_told(alarm)) {
            if begun.iter().all(|had| had.key() != alarm.key()) {
                begun.push(alarm.clone());
            }
        }
        News { begun, over: self.told.iter().filter(is_over).map(|told| told.alarm.clone()).collect() }
    }

    /// When the next message may go out.
    pub(super) fn next(&self, every: Duration) -> Timestamp {
        self.sent_at.map_or(Timestamp::EPOCH, |at| at.plus(every))
    }

    /// The news went out.
    pub(super) fn sent(&mut self, news: News, now: Timestamp) {
        self.told.retain(|told| news.over.iter().all(|over| over.key() != told.alarm.key()));
        self.told.extend(news.begun.into_iter().map(|alarm| Told { at: now, alarm }));
        self.sent_at = Some(now);
    }

    /// Of what nobody wants to hear any more nobody hears that it is over.
    pub(super) fn keep(&mut self, is_wanted: impl Fn(&Alarm) -> bool) {
        self.told.retain(|told| is_wanted(&told.alarm));
    }

    /// What was told and still stands, as far as is known.
    pub(super) fn standing(&self) -> usize {
        self.told.len()
    }

    pub(super) const fn sent_at(&self) -> Option<Timestamp> {
        self.sent_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(code: &str, what: &str) -> Alarm {
        Alarm::new(code, what, "", "").of_account("acme")
    }

    const START: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn an_alarm_is_news_once_whatever_its_count_says_later() {
        let mut ledger = Ledger::default();
        let news = ledger.news(&[alarm("parked", "1 job"), alarm("parked", "1 job")], START, START);
        assert_eq!((news.begun.len(), news.over.len()), (1, 0));
        ledger.sent(news, START);
        assert!(ledger.news(&[alarm("parked", "500 jobs")], START, START).is_empty());
        let news = ledger.news(&[], START, START);
        assert_eq!((news.begun.len(), news.over.len()), (0, 1));
        ledger.sent(news, START);
        assert!(ledger.news(&[], START, START).is_empty());
    }

    #[test]
    fn what_only_memory_knew_is_not_called_over_right_after_a_start() {
        let mut ledger = Ledger::default();
        let both = [alarm("clock", "off"), alarm("sweep-failed", "refused")];
        ledger.sent(ledger.news(&both, START, START), START);
        let again = START.plus(Duration::from_secs(60));
        let codes = |now| {
            let over = ledger.news(&[], again, now).over;
            over.into_iter().map(|alarm| alarm.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(again), ["sweep-failed"]);
        assert_eq!(codes(again.plus(SETTLES)), ["clock", "sweep-failed"]);
        let told_since = ledger.news(&[], START, START).over.len();
        assert_eq!(told_since, 2, "what was told since the start is known");
    }
}
