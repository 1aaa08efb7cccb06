//! What of the days of hosts, meetings and invitations at Zoom is used.

use super::log::Line;
use super::world::{DayUses, UsedBy, World};
use crate::audit::Kind;
use crate::clock::Timestamp;
use crate::ids::AccountId;
use crate::job::{Counts, DayOf, DayUse, Intent};
use crate::store::port::{Allowance, DayUsed, Note, Spender, StoreError, day_notice};

impl DayUses {
    fn used(&self) -> DayUsed {
        DayUsed { used: u32::try_from(self.by.len()).unwrap_or(u32::MAX), is_spent: self.is_spent }
    }
}

impl World {
    pub(super) fn intend_as_told(
        &mut self,
        note: Note,
        days: &[DayUse],
        now: Timestamp,
    ) -> Result<Allowance, StoreError> {
        if let Some(account) = &note.account {
            let who = Spender::Person { app: note.app.as_ref(), account };
            if let Some(next_day) = self.use_days(who, days, now) {
                return Ok(next_day);
            }
        } else if !days.is_empty() {
            return Err(StoreError::Conflict("a day is used up in no account".to_owned()));
        }
        let entry = self.log.next();
        self.note(note, now);
        Ok(Allowance::Granted(Intent::recorded_by_store(entry)))
    }

    /// Some where one of the days is used up; else all are counted, and the entry that comes next is that of the intent.
    pub(super) fn use_days(&mut self, who: Spender<'_>, days: &[DayUse], now: Timestamp) -> Option<Allowance> {
        let intent = UsedBy::Intent(self.log.next());
        let by = |counts: Counts| match (who, counts) {
            (Spender::Job(job), Counts::Job) => UsedBy::Job(job.id),
            _ => intent,
        };
        for DayUse { of, counts, max_per_day } in days {
            let DayUsed { used, is_spent } = self.day_used(who.account(), of, now);
            let today = self.day(who.account(), of, now);
            if is_spent || (used >= *max_per_day && !today.by.contains(&by(*counts))) {
                let at = of.goes_on_at(today.is_spent || today.used().used >= *max_per_day, now);
                let notice = day_notice(of, (!is_spent).then_some(used), at);
                self.tell_day(who, of, &notice, now);
                return Some(Allowance::NextDay { of: of.clone(), at, notice });
            }
        }
        for DayUse { of, counts, .. } in days {
            self.day(who.account(), of, now).by.insert(by(*counts));
        }
        None
    }

    pub(super) fn day_spent(&mut self, who: Spender<'_>, of: &DayOf, now: Timestamp) {
        self.day(who.account(), of, now).is_spent = true;
        self.tell_day(who, of, &day_notice(of, None, of.goes_on_at(true, now)), now);
    }

    pub(super) fn day_used(&self, account: &AccountId, of: &DayOf, now: Timestamp) -> DayUsed {
        let days = of.days(now).filter_map(|day| self.days.get(&(account.clone(), of.clone(), day)));
        days.map(DayUses::used).fold(DayUsed::default(), DayUsed::and)
    }

    /// Tells once in a UTC day that it is used up.
    fn tell_day(&mut self, who: Spender<'_>, of: &DayOf, notice: &str, now: Timestamp) {
        if !std::mem::replace(&mut self.day(who.account(), of, now).is_told, true) {
            self.log.add(Line::new(now, Kind::Attention, of.code()).of_spender(who).saying(notice));
        }
    }

    fn day(&mut self, account: &AccountId, of: &DayOf, now: Timestamp) -> &mut DayUses {
        self.days.entry((account.clone(), of.clone(), now.utc_day())).or_default()
    }
}
