//! Forgetting an account or a person in the live state.

use std::sync::Arc;

use super::State;
use super::plan::Fate;
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{AppName, DeliveryId};
use crate::job::{Input, Job};
use crate::store::local::forgotten::Forgotten;
use crate::store::local::outbox::IndexOp;
use crate::store::local::record::{self, AsideFor, Blob, Change, Decided, LineRef, Said};
use crate::store::local::seal::Purpose;
use crate::store::port::{Document, Shelf, StoreError};

impl State {
    /// Why it cannot be forgotten now.
    pub(in crate::store::local) fn may_forget(&self, what: &Forgotten) -> Result<(), StoreError> {
        let unfinished = self.jobs.unfinished_of(what.account());
        if what.is_account() && unfinished > 0 {
            let why = format!("{unfinished} jobs of the account are unfinished: cancel them first");
            return Err(StoreError::Conflict(why));
        }
        let stays = |document: &&Arc<Document>| document.shelf != Shelf::ErrandEnded && names(what, document);
        match self.documents.values().find(stays).filter(|_| !what.is_account()) {
            Some(document) => Err(StoreError::Conflict(match document.shelf {
                Shelf::Errand => "what was asked to be done to a meeting names the person, and is not done: \
                                  `adjutant meetings errands` lists it"
                    .to_owned(),
                other => format!("a document on shelf {other:?} names the person: change or remove it first"),
            })),
            None => Ok(()),
        }
    }

    /// Apps that were added at run time for the account alone, and go with it.
    pub(in crate::store::local) fn apps_of(&self, what: &Forgotten) -> Vec<AppName> {
        let is_its = |document: &&Arc<Document>| {
            what.is_account() && document.shelf == Shelf::App && document.account.as_ref() == Some(what.account())
        };
        self.documents.values().filter(is_its).filter_map(|document| AppName::parse(&document.key).ok()).collect()
    }

    /// Deliveries that wait to be planned, or are set aside, each with its record.
    pub(in crate::store::local) fn waiting_deliveries(&self) -> Vec<(u64, u64)> {
        let unplanned = self.unplanned.iter().map(|(id, queued)| (*id, queued.record));
        unplanned.chain(self.aside.iter().map(|(id, aside)| (*id, aside.record))).collect()
    }

    /// Ends what is under way for it, gives up these deliveries, which name it and wait, and takes it out of all else.
    pub(in crate::store::local) fn forget(&mut self, what: &Forgotten, waiting: &[u64], at: Timestamp) {
        let set_aside_for = |why: &AsideFor| match why {
            AsideFor::Unclaimed(of) => of.as_ref() == Some(what.account()),
            AsideFor::Backlog(of) => of == what.account(),
            AsideFor::Unreadable => false,
        };
        let aside = self.aside.iter().filter(|(_, aside)| what.is_account() && set_aside_for(&aside.why));
        let mut given_up: Vec<u64> = aside.map(|(id, _)| *id).collect();
        let waits = |id: &&u64| self.unplanned.contains_key(id) || self.aside.contains_key(id);
        given_up.extend(waiting.iter().filter(waits));
        given_up.sort_unstable();
        given_up.dedup();
        for id in given_up {
            let delivery = Some(DeliveryId::from_number(id));
            self.enter(&LineRef { delivery, ..LineRef::new(at, Kind::Moved, "given-up", &Said::Nothing) });
            self.settle_fate(id, Fate::Planned(Decided::GivenUp), Vec::new());
        }
        let meant = |job: &&Arc<Job>| !job.state.is_finished() && is_of(what, job);
        let unfinished: Vec<Arc<Job>> = self.jobs.iter().filter(meant).cloned().collect();
        for job in &unfinished {
            let why = "forgotten".to_owned();
            self.enter_job(at, "cancelled", job, Kind::Moved, None, Detail::note(&why));
            self.move_on(job, Input::Cancel { at, why });
        }
        self.enter(&LineRef::new(at, Kind::Service, "forgotten", &Said::Nothing));
        self.scratch.clear();
        record::put(what, &mut self.scratch);
        let sealed = self.keys.store().seal(Purpose::Detail, &[&self.scratch], self.keys.chance());
        self.change(Change::Forgotten { sealed: Some(Blob(sealed)) });
    }

    /// The index goes up to here, with a record that is not rewritten.
    pub(in crate::store::local) fn mark_index(&mut self) {
        self.outbox.op(self.next_record, IndexOp::Mark);
        self.change(Change::Forgotten { sealed: None });
    }

    pub(super) fn apply_forgotten(&mut self, sealed: Option<Blob>) {
        let plain = sealed.and_then(|Blob(sealed)| self.keys.open_blob(Purpose::Detail, &sealed));
        let Some(what) = plain.and_then(|plain| postcard::from_bytes::<Forgotten>(&plain).ok()) else { return };
        self.jobs.erase(|job| is_of(&what, job));
        let account = what.account();
        if what.is_account() {
            self.leads.forget(account);
            self.notices.remove(account);
            self.sweeps.remove(account);
            self.budgets.retain(|(of, _), _| of != account);
            self.quotas.retain(|(of, _), _| of != account);
            self.remembered.remove(account);
            self.folds.remove(account);
            self.told.remove(account);
            let apps = self.apps_of(&what);
            self.documents.retain(|_, document| document.account.as_ref() != Some(account));
            for app in &apps {
                self.drop_app(app);
            }
            return;
        }
        if let Some(standing) = self.notices.get_mut(account) {
            standing.retain(|notice| !what.is_in(notice));
            if standing.is_empty() {
                self.notices.remove(account);
            }
        }
        // What is over goes with the person.
        self.documents.retain(|_, document| document.shelf != Shelf::ErrandEnded || !names(&what, document));
        // Another sweep begins it anew.
        if self.sweeps.get(account).is_some_and(|sweeps| what.is_in(sweeps)) {
            self.sweeps.remove(account);
        }
    }
}

fn names(what: &Forgotten, document: &Document) -> bool {
    document.account.as_ref() == Some(what.account())
        && (what.is_in_text(&document.key) || what.is_in_bytes(&document.value))
}

/// Whether a job is of the account, or of the person in it.
pub(in crate::store::local) fn is_of(what: &Forgotten, job: &Job) -> bool {
    job.account == *what.account() && (what.is_account() || what.is_in(job))
}
