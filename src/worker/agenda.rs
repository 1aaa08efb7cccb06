//! Which account is looked at when. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::clock::Timestamp;
use crate::ids::AccountId;

/// The accounts by when each is due. Of thousands, only those are touched that are due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    accounts: HashMap<AccountId, Entry>,
    by_time: BTreeSet<(Timestamp, AccountId)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    At(Timestamp),
    /// Somebody has it.
    Taken,
    /// The same, and it is due again as soon as it comes back.
    TakenAndWanted,
}

impl Agenda {
    /// These are all there are: who is new is due at once, who is gone is not any more.
    pub(super) fn meet<'a>(&mut self, all: impl Iterator<Item = &'a AccountId>) {
        let before = std::mem::take(&mut self.accounts);
        for account in all {
            let entry = before.get(account).copied().unwrap_or(Entry::At(Timestamp::EPOCH));
            self.accounts.insert(account.clone(), entry);
        }
        let due = |(account, entry): (&AccountId, &Entry)| match entry {
            Entry::At(at) => Some((*at, account.clone())),
            Entry::Taken | Entry::TakenAndWanted => None,
        };
        self.by_time = self.accounts.iter().filter_map(due).collect();
    }

    /// The one that is due for longest. It is not due again before it is put back.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<AccountId> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, account) = self.by_time.pop_first()?;
        self.accounts.insert(account.clone(), Entry::Taken);
        Some(account)
    }

    /// Back, and due again then; nothing where it is gone meanwhile.
    pub(super) fn put(&mut self, account: AccountId, at: Timestamp) {
        let Some(entry) = self.accounts.get_mut(&account) else { return };
        let at = if *entry == Entry::TakenAndWanted { Timestamp::EPOCH } else { at };
        *entry = Entry::At(at);
        self.by_time.insert((at, account));
    }

    /// Due at once.
    pub(super) fn hurry(&mut self, account: AccountId) {
        match self.accounts.get_mut(&account) {
            Some(entry @ (Entry::Taken | Entry::TakenAndWanted)) => *entry = Entry::TakenAndWanted,
            Some(entry @ Entry::At(_)) => {
                if let Entry::At(at) = *entry {
                    self.by_time.remove(&(at, account.clone()));
                }
                *entry = Entry::At(Timestamp::EPOCH);
                self.by_time.insert((Timestamp::EPOCH, account));
            }
            // It comes with the roster.
            None => {}
        }
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> AccountId {
        AccountId::parse(name).unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn of(names: &[&str]) -> Agenda {
        let (ids, mut agenda): (Vec<AccountId>, _) = (names.iter().map(|name| id(name)).collect(), Agenda::default());
        agenda.meet(ids.iter());
        agenda
    }

    #[test]
    fn who_is_due_for_longest_comes_first_and_is_due_again_when_it_was_put_back() {
        let mut agenda = of(&["a", "b"]);
        let (first, second) = (agenda.take(at(1)).unwrap(), agenda.take(at(1)).unwrap());
        assert_eq!((agenda.take(at(1)), agenda.next()), (None, None), "both are taken");
        agenda.put(first.clone(), at(20));
        agenda.put(second.clone(), at(10));
        assert_eq!((agenda.take(at(9)), agenda.next()), (None, Some(at(10))));
        assert_eq!((agenda.take(at(20)), agenda.take(at(20))), (Some(second), Some(first)));
    }

    #[test]
    fn one_that_somebody_wants_is_due_at_once_also_where_it_is_taken() {
        let mut agenda = of(&["a"]);
        let a = agenda.take(at(1)).unwrap();
        agenda.hurry(a.clone());
        assert_eq!(agenda.take(at(1)), None);
        agenda.put(a.clone(), at(100));
        assert_eq!(agenda.take(at(1)), Some(a.clone()));
        agenda.put(a.clone(), at(100));
        agenda.hurry(a.clone());
        agenda.hurry(id("nobody"));
        assert_eq!((agenda.take(at(1)), agenda.next()), (Some(a), None));
    }

    #[test]
    fn who_is_new_is_due_at_once_and_who_is_gone_never() {
        let mut agenda = of(&["a", "b"]);
        let (a, b) = (agenda.take(at(1)).unwrap(), agenda.take(at(1)).unwrap());
        agenda.put(a.clone(), at(100));
        agenda.meet([&b, &id("c")].into_iter());
        assert_eq!((agenda.take(at(1)), agenda.next()), (Some(id("c")), None), "b is still taken, a is gone");
        agenda.put(a, at(1));
        agenda.put(b.clone(), at(1));
        assert_eq!((agenda.take(at(1)), agenda.take(at(1))), (Some(b), None));
    }
}
