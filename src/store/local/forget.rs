//! Forgetting an account or a person: what is on disk afterwards names it nowhere, nor does anything that a key there opens.
//!
//! # The steps
//! 1. What is forgotten is written aside, sealed, into the file `forgetting`: from here on it is on record, and a start
//!    goes on with it. Every step may be done twice.
//! 2. One unit takes it out of the live state; the writer then closes its segment, and a snapshot is taken as of there.
//! 3. All closed segments are rewritten: bodies become stubs, entries their leaves, changes are left out.
//! 4. Older snapshots, what others keep aside and names it, and the key of an account go.
//! 5. The file `forgetting` goes.
//!
//! What is stored meanwhile is not looked at: whoever forgets somebody sees to it that nothing more comes.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc;

use super::LocalStore;
use super::core::Core;
use super::forgotten::Forgotten;
use super::housekeeper::{SNAPSHOTS, with_source};
use super::keys::Owner;
use super::open::OpenError;
use super::place;
use super::record::{self, AsideFor, Blob, Change, Changes, Delivery, Kept, Said, Stored, StoredBody, StoredEntry};
use super::seal::Purpose;
use super::state::is_of;
use crate::audit::Detail;
use crate::breakpoint;
use crate::clock::{Timestamp, lock};
use crate::ids::{AccountId, DeliveryId};
use crate::job::Job;
use crate::store::journal::{Record, Rewrite, SegmentInfo, snapshot};
use crate::store::port::{Notice, StoreError};
use crate::store::sweep::SweepState;
use crate::store::wide;

/// On disk while something is being forgotten.
const FILE: &str = "forgetting";

/// What forgetting came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Records that were rewritten: deliveries, and what follows from them.
    pub records: u64,
    /// Files of the journal that were rewritten.
    pub segments: u64,
}

impl LocalStore {
    /// Forgets an account or a person, while the store goes on. [`StoreError::Conflict`] where an account has unfinished
    /// jobs ([`cancel_jobs`](crate::store::Store::cancel_jobs) first), or a document of the account names the person. What
    /// waits to be planned and names it is given up; unfinished jobs of a person are cancelled. Entries keep their place and
    /// their leaf in the log, and say only `forgotten`. Backups from before keep it. Interrupted, it is finished by the next
    /// start, or the next call.
    ///
    /// `progress` hears of files that are done, of how many.
    pub async fn forget(
        &self,
        what: &Forgotten,
        at: Timestamp,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Erased, StoreError> {
        let what = what.clone();
        self.core().reading(move |core| core.forget(&what, at, &mut progress)).await
    }

    /// Finishes what was begun before the last stop.
    pub(super) fn finish_forgetting(&self) -> Result<(), OpenError> {
        let core = self.core();
        let begun =
            core.begun_forgetting().map_err(|source| OpenError::Io { doing: "read what is forgotten", source })?;
        let Some((what, at)) = begun else { return Ok(()) };
        let _one_at_a_time = lock(&core.forgetting);
        if let Err(error) = core.go_on_forgetting(&what, at, &mut |_, _| {}) {
            tracing::warn!(%error, "what was begun to be forgotten is still there; it is tried again at the next start");
        }
        Ok(())
    }
}

impl Core {
    fn begun_forgetting(&self) -> io::Result<Option<(Forgotten, Timestamp)>> {
        let Some(sealed) = place::read(self.files.as_ref(), FILE)? else { return Ok(None) };
        let plain = self.keys.open_blob(Purpose::Aside, &sealed);
        let begun = plain.and_then(|plain| postcard::from_bytes(&plain).ok());
        begun.map(Some).ok_or_else(|| io::Error::other("the file forgetting is damaged"))
    }

    /// Blocks.
    fn forget(
        &self,
        what: &Forgotten,
        at: Timestamp,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Erased, StoreError> {
        let _one_at_a_time = lock(&self.forgetting);
        let io_error = |error: io::Error| StoreError::Failed(format!("cannot write what is forgotten: {error}"));
        if let Some((begun, at)) = self.begun_forgetting().map_err(io_error)?
            && begun != *what
        {
            self.go_on_forgetting(&begun, at, progress)?;
        }
        self.read(|state| state.may_forget(what))??;
        let mut plain = Vec::new();
        record::put(&(what, at), &mut plain);
        let sealed = self.keys.store().seal(Purpose::Aside, &[&plain], self.keys.chance());
        place::replace(self.files.as_ref(), FILE, &sealed).map_err(io_error)?;
        breakpoint::reached("forgetting-begun");
        self.go_on_forgetting(what, at, progress)
    }

    fn go_on_forgetting(
        &self,
        what: &Forgotten,
        at: Timestamp,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Erased, StoreError> {
        let ours = self.deliveries_of(what)?;
        let (fresh, before) = self.take_out(what, &ours, at)?;
        breakpoint::reached("forgetting-taken-out");
        let erasing = Erasing { core: self, what, ours };
        let erased = self.rewrite_all(&erasing, before, progress)?;
        let failed = |error: &dyn std::fmt::Display| StoreError::Failed(format!("cannot forget: {error}"));
        snapshot::remove_before(self.files.as_ref(), SNAPSHOTS, fresh).map_err(|error| failed(&error))?;
        breakpoint::reached("forgetting-rewritten");
        self.remove_asides(what).map_err(|error| failed(&error))?;
        if what.is_account() {
            let owner = Owner::Account(what.account().clone());
            self.keys.drop_key(&owner).map_err(|error| failed(&error))?;
        }
        breakpoint::reached("forgetting-key-dropped");
        let root = place::ROOT;
        let gone = self.files.remove(&format!("{root}/{FILE}")).and_then(|()| self.files.sync_dir(root));
        gone.map_err(|error| failed(&error))?;
        Ok(erased)
    }

    /// Deliveries that were decided on for the account.
    fn deliveries_of(&self, what: &Forgotten) -> Result<HashSet<u64>, StoreError> {
        let mut ours = HashSet::new();
        for found in self.reader.scan(self.reader.first_number()) {
            let record = found.map_err(|error| StoreError::Damaged(with_source(&error)))?;
            let Some(Stored::Changes(changes)) = Stored::decode(record.kind, record.version, &record.payload) else {
                continue;
            };
            let lines = changes.entries.iter().filter_map(StoredEntry::line);
            let decided = lines.filter(|line| line.account.as_ref() == Some(what.account()));
            ours.extend(decided.filter_map(|line| line.delivery).map(DeliveryId::number));
        }
        Ok(ours)
    }

    /// Takes it out of the live state. Returns the snapshot as of then, and the first record that is in a later segment.
    fn take_out(&self, what: &Forgotten, ours: &HashSet<u64>, at: Timestamp) -> Result<(u64, u64), StoreError> {
        let erasing = Erasing { core: self, what, ours: ours.clone() };
        let mut waiting = Vec::new();
        for (id, record) in self.read(super::state::State::waiting_deliveries)? {
            if let Some(found) = self.delivery_at(record)?
                && erasing.is_named_by(&found.delivery)
            {
                waiting.push(id);
            }
        }
        let (tell, told) = mpsc::channel();
        let ((), _written) = self.begin(false, |state| {
            state.forget(what, &waiting, at);
            *lock(&self.wanted) = Some(tell);
            Ok(())
        })?;
        self.bump();
        // Whoever was to tell is gone where there was no room, or the store ends.
        told.recv().map_err(|_| match self.open() {
            Ok(_) => StoreError::Full,
            Err(error) => error,
        })
    }

    fn rewrite_all(
        &self,
        erasing: &Erasing<'_>,
        before: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Erased, StoreError> {
        let is_meant = |segment: &SegmentInfo| segment.sealed && segment.next <= before;
        let meant: Vec<SegmentInfo> = self.reader.segments().into_iter().filter(is_meant).collect();
        let mut erased = Erased::default();
        for (done, segment) in (1_u64..).zip(&meant) {
            let _held = lock(&self.rewriting);
            drop(self.open()?);
            let rewritten = self.pruner.rewrite_segment(segment.first, |record| erasing.rewrite(record));
            let rewritten = rewritten.map_err(|error| self.prune_trouble(&error))?;
            erased.records = erased.records.saturating_add(rewritten.replaced);
            erased.segments = erased.segments.saturating_add(u64::from(rewritten.replaced > 0));
            breakpoint::reached("forgetting-segment");
            progress(done, wide(meant.len()));
        }
        Ok(erased)
    }

    /// What others keep is no part of what must not be lost: a file that names it goes.
    fn remove_asides(&self, what: &Forgotten) -> io::Result<()> {
        let root = place::ROOT;
        for name in self.files.list(root)?.iter().filter(|name| name.starts_with("aside-")) {
            let sealed = place::read(self.files.as_ref(), name)?.unwrap_or_default();
            let plain = self.keys.open_blob(Purpose::Aside, &sealed);
            let is_kept = plain.is_some_and(|plain| !what.is_in_bytes(&plain) && !what.is_in_text(name));
            if !is_kept {
                self.files.remove(&format!("{root}/{name}"))?;
            }
        }
        self.files.sync_dir(root)
    }
}

/// Says what becomes of each record.
struct Erasing<'a> {
    core: &'a Core,
    what: &'a Forgotten,
    ours: HashSet<u64>,
}

impl Erasing<'_> {
    fn rewrite(&self, record: &Record) -> Rewrite {
        match Stored::decode(record.kind, record.version, &record.payload) {
            Some(Stored::Delivery(mut delivery)) if !delivery.is_pruned() && self.is_named_by(&delivery) => {
                delivery.tail.body = StoredBody::Stub(delivery.commitment());
                Rewrite::Replace { kind: record::DELIVERY, version: record::VERSION, payload: delivery.encode() }
            }
            Some(Stored::Changes(changes)) => self.changes(changes),
            _ => Rewrite::Keep,
        }
    }

    /// One that was decided on for the account; else its body must name the account as well.
    fn is_named_by(&self, delivery: &Delivery) -> bool {
        let StoredBody::Sealed(Blob(sealed)) = &delivery.tail.body else { return false };
        let is_ours = self.ours.contains(&delivery.head.id);
        if is_ours && self.what.is_account() {
            return true;
        }
        let Some(plain) = self.core.keys.open_blob(Purpose::Body, sealed) else { return false };
        let body = postcard::take_from_bytes::<Option<String>>(&plain).map_or(&plain[..], |(_, body)| body);
        let account = Forgotten::Account(self.what.account().clone());
        self.what.is_in_bytes(body) && (is_ours || account.is_in_bytes(body))
    }

    fn changes(&self, changes: Changes) -> Rewrite {
        let Changes { first_index, mut entries, made } = changes;
        let mut has_changed = false;
        for entry in &mut entries {
            if let Kept::Line(line) = &entry.kept
                && (self.is_of_account(line.account.as_ref()) || self.is_said(line.account.as_ref(), &line.said))
            {
                entry.kept = Kept::Forgotten { at: line.at, kind: line.kind };
                has_changed = true;
            }
        }
        let before = made.len();
        let mut kept = Vec::with_capacity(before);
        for change in made {
            match self.change(&change) {
                Becomes::Kept => kept.push(change),
                Becomes::Another(other) => {
                    has_changed = true;
                    kept.push(other);
                }
                Becomes::Nothing => has_changed = true,
            }
        }
        if !has_changed {
            return Rewrite::Keep;
        }
        let payload = Changes { first_index, entries, made: kept }.encode();
        Rewrite::Replace { kind: record::CHANGES, version: record::REWRITTEN, payload }
    }

    fn is_of_account(&self, account: Option<&AccountId>) -> bool {
        self.what.is_account() && account == Some(self.what.account())
    }

    /// Whether a detail names it, in an entry of the account or of none.
    fn is_said(&self, account: Option<&AccountId>, said: &Said) -> bool {
        if account.is_some_and(|account| account != self.what.account()) {
            return false;
        }
        match said {
            Said::Nothing => false,
            Said::Plain(note) => self.what.is_in_text(note),
            Said::Sealed(_) => self.core.detail(said).is_some_and(|detail: Detail| self.what.is_in(&detail)),
        }
    }

    fn change(&self, change: &Change) -> Becomes {
        let of = |account: &AccountId| self.is_of_account(Some(account));
        let drop_if = |is_meant: bool| if is_meant { Becomes::Nothing } else { Becomes::Kept };
        match change {
            Change::Job { id, sealed: Blob(sealed) } => {
                let plain = self.core.keys.open_blob(Purpose::Job, sealed);
                let job = plain.and_then(|plain| postcard::from_bytes::<Job>(&plain).ok());
                if job.is_some_and(|job| is_of(self.what, &job)) {
                    return Becomes::Another(Change::Job { id: *id, sealed: Blob::default() });
                }
                Becomes::Kept
            }
            Change::SetAside { delivery, why: AsideFor::Unclaimed(Some(account)) | AsideFor::Backlog(account) }
                if of(account) =>
            {
                Becomes::Another(Change::SetAside { delivery: *delivery, why: AsideFor::Unreadable })
            }
            Change::Intended { account, .. }
            | Change::Noticed { account, .. }
            | Change::Stopped { account, .. }
            | Change::Resumed { account, .. }
            | Change::Called { account, .. }
            | Change::Remembered { account, .. }
            | Change::Folded { account, .. }
            | Change::Told { account, .. } => drop_if(of(account)),
            Change::Sweep { account, sealed } => {
                drop_if(of(account) || self.is_sealed_in::<SweepState>(account, Purpose::Detail, sealed))
            }
            Change::Notices { account, sealed } => {
                drop_if(of(account) || self.is_sealed_in::<Vec<Notice>>(account, Purpose::Detail, sealed))
            }
            Change::Document { shelf: on, print, account: Some(account), sealed: Some(Blob(sealed)) } => {
                let plain = || self.core.keys.open_blob(Purpose::Document, sealed);
                let names = |plain: Vec<u8>| {
                    let parts = postcard::from_bytes::<(String, Vec<u8>)>(&plain);
                    parts.is_ok_and(|(key, value)| self.what.is_in_text(&key) || self.what.is_in_bytes(&value))
                };
                if of(account) || (account == self.what.account() && plain().is_some_and(names)) {
                    let gone = Change::Document { shelf: *on, print: *print, account: None, sealed: None };
                    return Becomes::Another(gone);
                }
                Becomes::Kept
            }
            Change::Forgotten { sealed: Some(_) } => Becomes::Another(Change::Forgotten { sealed: None }),
            _ => Becomes::Kept,
        }
    }

    fn is_sealed_in<T>(&self, account: &AccountId, purpose: Purpose, sealed: &Blob) -> bool
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        let open = || self.core.keys.open_blob(purpose, &sealed.0);
        account == self.what.account()
            && open().is_some_and(|plain| postcard::from_bytes::<T>(&plain).is_ok_and(|thing| self.what.is_in(&thing)))
    }
}

/// What becomes of a change.
enum Becomes {
    Kept,
    Another(Change),
    Nothing,
}

#[cfg(test)]
mod tests;
