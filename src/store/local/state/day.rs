//! What of the days of hosts, meetings and invitations at Zoom is used.
//!
//! Known by fingerprints, since hosts are people.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::State;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AppName};
use crate::job::{Counts, DayOf, DayUse, Intent};
use crate::store::local::record::{Change, LineRef};
use crate::store::local::seal::Fingerprint;
use crate::store::port::{Allowance, DayUsed, Note, Spender, StoreError, day_notice};

/// What fingerprints are of, beside all others.
const HOST: u8 = 6;
const INVITATIONS: u8 = 9;
const MEETING: u8 = 10;
/// Set in the number of an entry, which tells it from that of a job.
const OF_ENTRY: u64 = 1 << 63;

/// What of one UTC day is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::local) struct DayUses {
    /// Jobs that count once, by their numbers; and intents, by the numbers of their entries with [`OF_ENTRY`].
    by: BTreeSet<u64>,
    /// Zoom says that nothing is left.
    is_spent: bool,
    is_told: bool,
}

impl DayUses {
    pub(super) fn used_by(&mut self, by: u64) {
        self.by.insert(by);
    }

    pub(super) fn told(&mut self, is_spent: bool) {
        (self.is_told, self.is_spent) = (true, self.is_spent || is_spent);
    }

    fn used(&self) -> DayUsed {
        DayUsed { used: u32::try_from(self.by.len()).unwrap_or(u32::MAX), is_spent: self.is_spent }
    }
}

impl State {
    /// As [`Store::intend_as_told`](crate::store::Store::intend_as_told).
    pub(in crate::store::local) fn intend_as_told(
        &mut self,
        note: &Note,
        days: &[DayUse],
        now: Timestamp,
    ) -> Result<Allowance, StoreError> {
        let who = note.account.as_ref().map(|account| Spender::Person { app: note.app.as_ref(), account });
        let next_day = match who {
            Some(who) => self.use_days(who, days, now),
            None if days.is_empty() => None,
            None => return Err(StoreError::Conflict("a day is used up in no account".to_owned())),
        };
        if let Some(next_day) = next_day {
            return Ok(next_day);
        }
        let entry = self.note(note, now);
        Ok(Allowance::Granted(Intent::recorded_by_store(entry)))
    }

    /// Some where one of the days is used up; else all are counted, and the entry that comes next is that of the intent.
    pub(super) fn use_days(&mut self, who: Spender<'_>, days: &[DayUse], now: Timestamp) -> Option<Allowance> {
        let (day, mut counted) = (now.utc_day(), Vec::new());
        for DayUse { of, counts, max_per_day } in days {
            let by = match (who, counts) {
                (Spender::Job(job), Counts::Job) => job.id.number(),
                _ => OF_ENTRY | self.entries,
            };
            let print = self.day_print(who.account(), of);
            let today = self.days.get(&(day, print));
            let is_counted = today.is_some_and(|today| today.by.contains(&by));
            let DayUsed { used, is_spent } = self.day_used(who.account(), of, now);
            if is_spent || (!is_counted && used >= *max_per_day) {
                let today = today.map(DayUses::used).unwrap_or_default();
                let at = of.goes_on_at(today.is_spent || today.used >= *max_per_day, now);
                let notice = day_notice(of, (!is_spent).then_some(used), at);
                self.tell_day(who, (of, false), &notice, now);
                return Some(Allowance::NextDay { of: of.clone(), at, notice });
            }
            counted.extend((!is_counted).then_some(Change::DayUsed { of: print, day, by }));
        }
        for change in counted {
            self.change(change);
        }
        None
    }

    pub(in crate::store::local) fn day_spent(&mut self, who: Spender<'_>, of: &DayOf, now: Timestamp) {
        let notice = day_notice(of, None, of.goes_on_at(true, now));
        self.tell_day(who, (of, true), &notice, now);
    }

    pub(in crate::store::local) fn day_used(&self, account: &AccountId, of: &DayOf, now: Timestamp) -> DayUsed {
        let print = self.day_print(account, of);
        let days = of.days(now).filter_map(|day| self.days.get(&(day, print)));
        days.map(DayUses::used).fold(DayUsed::default(), DayUsed::and)
    }

    /// Keeps what Zoom says of the day, and tells once in it that it is used up.
    fn tell_day(&mut self, who: Spender<'_>, (of, is_spent): (&DayOf, bool), notice: &str, now: Timestamp) {
        let (print, day) = (self.day_print(who.account(), of), now.utc_day());
        let (is_told, was_spent) =
            self.days.get(&(day, print)).map_or((false, false), |known| (known.is_told, known.is_spent));
        if !is_told {
            self.enter_spender(now, of.code(), who, Detail::note(notice));
        }
        if !is_told || (is_spent && !was_spent) {
            self.change(Change::DayTold { of: print, day, is_spent });
        }
    }

    fn enter_spender(&mut self, at: Timestamp, code: &str, who: Spender<'_>, detail: Detail) {
        let (app, account) = match who {
            Spender::Job(job) => {
                self.enter_job(at, code, job, Kind::Attention, None, detail);
                return;
            }
            Spender::Person { app, account } => (app.map(AppName::as_str), account),
        };
        let said = self.sealed_detail(Some(account), &detail);
        let account = Some(account.as_str());
        self.enter(&LineRef { app, account, ..LineRef::new(at, Kind::Attention, code, &said) });
    }

    /// What became of a day; of days before the last one nothing is kept.
    pub(super) fn keep_day(&mut self, of: Fingerprint, day: i64, keep: impl FnOnce(&mut DayUses)) {
        keep(self.days.entry((day, of)).or_default());
        self.days = self.days.split_off(&(day.saturating_sub(1), Fingerprint::default()));
    }

    fn day_print(&self, account: &AccountId, of: &DayOf) -> Fingerprint {
        let (prints, account) = (self.keys.prints(), account.as_str().as_bytes());
        match of {
            DayOf::Host(host) => prints.of(HOST, &[account, host.as_str().as_bytes()]),
            DayOf::Invitations => prints.of(INVITATIONS, &[account]),
            DayOf::Meeting(meeting) => prints.of(MEETING, &[account, &meeting.number().to_le_bytes()]),
        }
    }
}
