//! Deliveries that wait, their retries, and the mischief that a test asks for. Pure: the sender does the sending.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::chance::{Chance, bytes};
use crate::clock::Timestamp;

use super::account::Subscription;
use super::event::LEFT;

/// After the first try: +5, +20, +60 minutes, and then never again \[DOC].
pub const RETRY_AFTER_MINS: [u64; 3] = [5, 20, 60];

/// What goes wrong with deliveries on the way, in percent of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mischief {
    /// Never sent.
    pub drop_percent: u8,
    /// Sent twice under one request id, as a retry whose first answer was lost.
    pub repeat_percent: u8,
    /// Sent twice under two request ids, as seen \[FORUM 128602].
    pub copy_percent: u8,
    /// Those that are due leave in any order: Zoom promises none \[FORUM 6498, 53977].
    pub shuffle: bool,
    /// Of `meeting.participant_left`: 60 to 90 seconds late, as where a connection broke \[FORUM 6498]. What it says stays
    /// true \[I].
    pub late_leave_percent: u8,
    /// Of what is about participants: up to 20 seconds late, so that it is overtaken \[FORUM 6498].
    pub overtaken_percent: u8,
    /// Retries carry the first try's timestamp and signature instead of fresh ones: sources contradict each other
    /// \[3P Nango's documents against its code].
    pub stale_signature_on_retry: bool,
}

/// One delivery on its way.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub account: String,
    /// Client id of the app that it is for.
    pub app: String,
    pub event: String,
    pub body: Bytes,
    /// Unchanged over retries \[DOC].
    pub request_id: String,
    /// 0 for the first try.
    pub attempt: usize,
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) signed_at: Option<Timestamp>,
}

/// How one try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Status(u16),
    /// No answer: refused, closed, or not within three seconds.
    Failed(String),
}

impl Sent {
    /// 200 or 204; any 2xx counts on a retry \[DOC].
    fn is_success(&self, attempt: usize) -> bool {
        match self {
            Self::Status(status) => matches!(status, 200 | 204) || (attempt > 0 && (200..300).contains(status)),
            Self::Failed(_) => false,
        }
    }

    /// 500 and above, and network errors; never a 3xx or 4xx \[DOC].
    fn is_retried(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500,
            Self::Failed(_) => true,
        }
    }
}

/// One try, for the record.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub at: Timestamp,
    pub delivery: Delivery,
    pub result: Sent,
}

impl Attempt {
    pub(crate) fn is_success(&self) -> bool {
        self.result.is_success(self.delivery.attempt)
    }
}

/// What became of deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub queued: u64,
    pub delivered: u64,
    /// Answered with something that is neither success nor retried: lost.
    pub refused: u64,
    /// Lost after the last retry.
    pub given_up: u64,
    /// Lost by mischief.
    pub dropped: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(Timestamp, u64), Delivery>,
    next: u64,
    in_flight: usize,
    attempts: VecDeque<Attempt>,
    /// Attempts that are not kept any more.
    gone: u64,
    pub(crate) mischief: Mischief,
    pub(crate) tally: Tally,
}

impl Outbox {
    const ATTEMPTS_MAX: usize = 100_000;

    pub(crate) fn post(
        &mut self,
        (account, app): (&str, &str),
        event: &str,
        body: &Bytes,
        to: &Subscription,
        (chance, now): (&dyn Chance, Timestamp),
    ) {
        self.tally.queued += 1;
        let delivery = Delivery {
            account: account.to_owned(),
            app: app.to_owned(),
            event: event.to_owned(),
            body: body.clone(),
            request_id: request_id(chance),
            attempt: 0,
            url: to.url.clone(),
            secret: to.secret.clone(),
            signed_at: None,
        };
        let hits = |percent: u8| percent > 0 && chance.next_u64() % 100 < u64::from(percent);
        let due = now.plus(Duration::from_millis(if event == LEFT && hits(self.mischief.late_leave_percent) {
            60_000 + chance.next_u64() % 30_000
        } else if event.starts_with("meeting.participant_") && hits(self.mischief.overtaken_percent) {
            chance.next_u64() % 20_000
        } else {
            0
        }));
        if hits(self.mischief.drop_percent) {
            self.tally.dropped += 1;
            return;
        }
        if hits(self.mischief.repeat_percent) {
            self.tally.queued += 1;
            self.queue(due, delivery.clone());
        }
        if hits(self.mischief.copy_percent) {
            self.tally.queued += 1;
            self.queue(due, Delivery { request_id: request_id(chance), ..delivery.clone() });
        }
        self.queue(due, delivery);
    }

    fn queue(&mut self, due: Timestamp, delivery: Delivery) {
        self.next += 1;
        self.waiting.insert((due, self.next), delivery);
    }

    /// The next delivery to send; whoever takes it must `settle` it.
    pub(crate) fn take_due(&mut self, chance: &dyn Chance, now: Timestamp) -> Option<Delivery> {
        let due = || (Timestamp::from_millis(i64::MIN), 0)..=(now, u64::MAX);
        let place = if self.mischief.shuffle {
            let count = u64::try_from(self.waiting.range(due()).count()).unwrap_or(u64::MAX);
            let skip = if count == 0 { 0 } else { chance.next_u64() % count };
            self.waiting.range(due()).nth(usize::try_from(skip).unwrap_or(0))
        } else {
            self.waiting.range(due()).next()
        };
        let place = *place?.0;
        let mut delivery = self.waiting.remove(&place)?;
        if delivery.signed_at.is_none() || !self.mischief.stale_signature_on_retry {
            delivery.signed_at = Some(now);
        }
        self.in_flight += 1;
        Some(delivery)
    }

    pub(crate) fn settle(&mut self, delivery: Delivery, result: Sent, now: Timestamp) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.attempts.len() >= Self::ATTEMPTS_MAX {
            self.attempts.pop_front();
            self.gone += 1;
        }
        if result.is_success(delivery.attempt) {
            self.tally.delivered += 1;
        } else if !result.is_retried() {
            self.tally.refused += 1;
        } else if let Some(mins) = RETRY_AFTER_MINS.get(delivery.attempt) {
            let due = now.plus(Duration::from_secs(mins * 60));
            self.queue(due, Delivery { attempt: delivery.attempt + 1, ..delivery.clone() });
        } else {
            self.tally.given_up += 1;
        }
        self.attempts.push_back(Attempt { at: now, delivery, result });
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    /// Whether nothing is due and nothing is on its way.
    pub(crate) fn is_idle(&self, now: Timestamp) -> bool {
        self.in_flight == 0 && self.next_due().is_none_or(|due| due > now)
    }

    /// Deliveries that wait for their moment, retries included.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The attempts for an app about an account, oldest first, each with a number that stays its own.
    pub(crate) fn attempts_of(&self, account: &str, app: &str) -> impl Iterator<Item = (u64, &Attempt)> {
        (self.gone.saturating_add(1)..)
            .zip(&self.attempts)
            .filter(move |(_, attempt)| attempt.delivery.account == account && attempt.delivery.app == app)
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.iter().cloned().collect()
    }
}

/// As in `6009d653_d487_445d_8406_42b654974899` \[DOC sample].
pub(crate) fn request_id(chance: &dyn Chance) -> String {
    let digits = hex::encode(bytes::<16>(chance));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}_{}_4{}_8{}_{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}
