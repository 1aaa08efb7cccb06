//! What a person was told and has to mend, and which rules a person looked at as they are.

use std::collections::BTreeMap;

use super::State;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AccountId, RuleName};
use crate::store::local::record::{self, Blob, Change, LineRef, Said};
use crate::store::local::seal::Purpose;
use crate::store::port::{Note, Notice};

impl State {
    /// All that stand, by account, code and subject.
    pub(in crate::store::local) fn list_notices(&self) -> Vec<Notice> {
        self.notices.values().flatten().cloned().collect()
    }

    /// The same of one account.
    pub(in crate::store::local) fn notices_of(&self, account: &AccountId) -> Vec<Notice> {
        self.notices.get(account).cloned().unwrap_or_default()
    }

    pub(super) fn raise(&mut self, note: &Note, at: Timestamp) {
        let Some(notice) = Notice::of(note, at) else { return };
        let mut standing = self.notices_of(&notice.account);
        if !notice.has_room(standing.iter(), self.limits.notices_bytes_max) {
            let (account, code) = (&notice.account, &notice.code);
            tracing::warn!(%account, code, "more notices stand than are kept of one account: this one is on record alone");
            return;
        }
        let account = notice.account.clone();
        match standing.binary_search_by(|other| other.key().cmp(&notice.key())) {
            Err(place) => standing.insert(place, notice),
            Ok(place) => match standing.get_mut(place) {
                Some(before) if before.what != notice.what => before.what = notice.what,
                _ => return,
            },
        }
        self.change_notices(account, &standing);
    }

    pub(in crate::store::local) fn mend(&mut self, notice: &Notice, at: Timestamp) -> bool {
        let mut standing = self.notices_of(&notice.account);
        let Ok(place) = standing.binary_search_by(|other| other.key().cmp(&notice.key())) else { return false };
        let gone = standing.remove(place);
        let detail = Detail { subject: gone.subject, ..Detail::note(gone.code) };
        let said = self.sealed_detail(Some(&gone.account), &detail);
        let account = Some(gone.account.as_str());
        self.enter(&LineRef { account, ..LineRef::new(at, Kind::Attention, "mended", &said) });
        self.change_notices(gone.account, &standing);
        true
    }

    /// Notices may name people, so they are sealed.
    fn change_notices(&mut self, account: AccountId, standing: &[Notice]) {
        self.scratch.clear();
        record::put(&standing, &mut self.scratch);
        let sealed = Blob(self.seal_for(Some(&account), Purpose::Detail, &self.scratch));
        self.change(Change::Notices { account, sealed });
    }

    pub(super) fn apply_notices(&mut self, account: AccountId, sealed: &[u8]) {
        let plain = self.keys.open_blob(Purpose::Detail, sealed);
        let standing: Vec<Notice> = plain.and_then(|plain| postcard::from_bytes(&plain).ok()).unwrap_or_default();
        if standing.is_empty() {
            self.notices.remove(&account);
        } else {
            self.notices.insert(account, standing);
        }
    }

    pub(in crate::store::local) fn record_planned(&mut self, rule: &RuleName, hash: [u8; 16], at: Timestamp) {
        if self.planned.get(rule) != Some(&hash) {
            let said = Said::Nothing;
            let name = Some(rule.as_str());
            self.enter(&LineRef { rule: name, ..LineRef::new(at, Kind::Service, "planned", &said) });
            self.change(Change::RulePlanned { rule: rule.clone(), hash });
        }
    }

    pub(in crate::store::local) fn planned_rules(&self) -> BTreeMap<RuleName, [u8; 16]> {
        self.planned.clone()
    }
}
