//! Forgetting an account or a person: what is on disk afterwards names it nowhere, nor does anything that a key there opens.
//!
//! # The steps
//! 1. What is forgotten is written aside, sealed, into the file `forgetting`: from here on it is on record, and a start
//!    goes on with it. Every step may be done twice.
//! 2. One unit takes it out of the live state; the writer then closes its segment, and a snapshot is taken as of there.
//! 3. All closed segments are rewritten: bodies become stubs, entries their leaves, changes are left out.
//! 4. Older snapshots, what others keep aside and names it, and the keys of an account and of the apps that were added for it
//!    alone go.
//! 5. The file `forgetting` goes.
//!
//! What is stored meanwhile is not looked at: whoever forgets somebody sees to it that nothing more comes. Of an account,
//! nothing is taken from the first step on ([`Keys::may_write`](super::keys::Keys::may_write)), so that what is still under
//! way for it ends without a trace; it may come again when this is done.

use std::collections::HashSet;
use std::io;
use std::sync::{PoisonError, mpsc};
use std::time::Duration;

use super::LocalStore;
use super::core::{Core, Phase};
use super::forgotten::Forgotten;
use super::housekeeper::{SNAPSHOTS, with_source};
use super::keys::{Gone, Owner};
use super::open::OpenError;
use super::place;
use super::record::{self, AsideFor, Blob, Change, Changes, Delivery, Kept, Said, Stored, StoredBody, StoredEntry};
use super::seal::Purpose;
use super::state::is_of;
use crate::audit::Detail;
use crate::breakpoint;
use crate::clock::{Timestamp, lock};
use crate::event::signature::Verified;
use crate::event::wire;
use crate::ids::{AccountId, AppName, DeliveryId};
use crate::job::Job;
use crate::store::journal::{Record, Rewrite, SegmentInfo, snapshot};
use crate::store::port::{Notice, StoreError};
use crate::store::sweep::SweepState;
use crate::store::wide;

/// On disk while something is being forgotten.
pub(super) const FILE: &str = "forgetting";
/// What was begun before a start, and fails, is tried again so soon, and ever less often.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_LAST: Duration = Duration::from_secs(600);
/// A stop is heard after so many records, at the latest.
const LOOK_EVERY: u64 = 1024;

/// What is being forgotten, as it is on disk.
struct Begun {
    what: Forgotten,
    at: Timestamp,
    /// Those that were added at run time for the account alone.
    apps: Vec<AppName>,
}

impl Begun {
    /// Whose keys go.
    fn owners(&self) -> impl Iterator<Item = Owner> {
        let account = Some(&self.what).filter(|what| what.is_account()).map(|what| what.account().clone());
        account.map(Owner::Account).into_iter().chain(self.apps.iter().cloned().map(Owner::App))
    }
}

/// What forgetting came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Records that were rewritten: deliveries, and what follows from them.
    pub records: u64,
    /// Files of the journal that were rewritten.
    pub segments: u64,
}

/// What was begun to be forgotten before the start, and is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotForgotten {
    /// The start.
    pub since: Timestamp,
    pub why: String,
}

impl LocalStore {
    /// Where what was begun before the start fails: it is tried again by itself.
    pub fn not_forgotten(&self) -> Option<NotForgotten> {
        lock(&self.core().not_forgotten).clone()
    }

    /// Forgets an account or a person, while the store goes on. [`StoreError::Conflict`] where an account has unfinished
    /// jobs ([`cancel_jobs`](crate::store::Store::cancel_jobs) first), or a document of the account names the person; those of
    /// errands that are over go. What waits to be planned and names it is given up; unfinished jobs of a person are cancelled.
    /// Entries keep their place and their leaf in the log, and say only `forgotten`. Backups from before keep it. Interrupted,
    /// it is finished after the next start, beside all else, or by the next call.
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
}

impl Core {
    /// Whether something was begun to be forgotten before the last stop. From here on nothing is taken about the account.
    pub(super) fn goes_on_forgetting(&self) -> Result<bool, OpenError> {
        let begun = self.begun_forgetting();
        let begun = begun.map_err(|source| OpenError::Io { doing: "read what is forgotten", source })?;
        begun.iter().flat_map(Begun::owners).for_each(|owner| self.keys.set_gone(owner, Gone::Going));
        Ok(begun.is_some())
    }

    /// Finishes what was begun before the last stop; what fails is tried again, ever less often, until the store ends: then the
    /// next start goes on. Blocks.
    pub(super) fn finish_forgetting(&self) {
        let (mut wait, since) = (AGAIN_FIRST, self.clock.now());
        while let Err(error) = self.try_to_finish() {
            *lock(&self.not_forgotten) = Some(NotForgotten { since, why: error.to_string() });
            if !self.is_open_after(wait) {
                return;
            }
            tracing::warn!(%error, "what was begun to be forgotten is still there; it is tried again");
            wait = wait.saturating_mul(2).min(AGAIN_LAST);
        }
        *lock(&self.not_forgotten) = None;
    }

    fn try_to_finish(&self) -> Result<(), StoreError> {
        let _one_at_a_time = lock(&self.forgetting);
        match self.begun_forgetting() {
            Ok(Some(begun)) => self.go_on_forgetting(&begun, &mut |_, _| {}).map(drop),
            // Somebody else was quicker, and it may be there again by now.
            Ok(None) => Ok(()),
            Err(error) => Err(StoreError::Damaged(error.to_string())),
        }
    }

    /// Waits; whether the store is open then.
    fn is_open_after(&self, wait: Duration) -> bool {
        let guarded = lock(&self.guarded);
        let waited = self.wake.wait_timeout_while(guarded, wait, |guarded| guarded.phase == Phase::Open);
        let (guarded, _timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
        guarded.phase == Phase::Open
    }

    fn begun_forgetting(&self) -> io::Result<Option<Begun>> {
        let Some(sealed) = place::read(self.files.as_ref(), FILE)? else { return Ok(None) };
        let plain = self.keys.open_blob(Purpose::Aside, &sealed);
        let begun = plain.and_then(|plain| {
            let ((what, at), more) = postcard::take_from_bytes(&plain).ok()?;
            let apps = if more.is_empty() { Vec::new() } else { postcard::from_bytes(more).ok()? };
            Some(Begun { what, at, apps })
        });
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
        let mut begun = self.begun_forgetting().map_err(io_error)?;
        if let Some(other) = begun.take_if(|begun| begun.what != *what) {
            self.go_on_forgetting(&other, progress)?;
        }
        let known = begun.take().map(|begun| begun.apps);
        let is_new = known.is_none();
        let begun = self.read(|state| {
            state.may_forget(what)?;
            let apps = known.unwrap_or_else(|| state.apps_of(what));
            let begun = Begun { what: what.clone(), at, apps };
            begun.owners().for_each(|owner| self.keys.set_gone(owner, Gone::Going));
            Ok::<_, StoreError>(begun)
        })??;
        let mut plain = Vec::new();
        record::put(&(what, at, &begun.apps), &mut plain);
        let sealed = self.keys.store().seal(Purpose::Aside, &[&plain], self.keys.chance());
        let written = place::replace(self.files.as_ref(), FILE, &sealed).map_err(io_error);
        if written.is_err() && is_new {
            begun.owners().for_each(|owner| self.keys.spare(&owner));
        }
        written?;
        breakpoint::reached("forgetting-begun");
        self.go_on_forgetting(&begun, progress)
    }

    fn go_on_forgetting(&self, begun: &Begun, progress: &mut dyn FnMut(u64, u64)) -> Result<Erased, StoreError> {
        let what = &begun.what;
        let erasing = Erasing { core: self, what, ours: self.deliveries_of(what)?, apps: &begun.apps };
        let (fresh, before) = self.take_out(&erasing, begun.at)?;
        breakpoint::reached("forgetting-taken-out");
        let erased = self.rewrite_all(&erasing, before, progress)?;
        let failed = |error: &dyn std::fmt::Display| StoreError::Failed(format!("cannot forget: {error}"));
        snapshot::remove_before(self.files.as_ref(), SNAPSHOTS, fresh).map_err(|error| failed(&error))?;
        breakpoint::reached("forgetting-rewritten");
        self.remove_asides(what).map_err(|error| failed(&error))?;
        for owner in begun.owners() {
            self.keys.drop_key(&owner).map_err(|error| failed(&error))?;
        }
        breakpoint::reached("forgetting-key-dropped");
        // What the index went up to may read otherwise now, and the next start would take it for another journal's.
        drop(self.begin(false, |state| {
            state.mark_index();
            Ok(())
        })?);
        let root = place::ROOT;
        let gone = self.files.remove(&format!("{root}/{FILE}")).and_then(|()| self.files.sync_dir(root));
        gone.map_err(|error| failed(&error))?;
        for owner in begun.owners() {
            match owner {
                Owner::Account(_) => self.keys.set_gone(owner, Gone::Gone),
                // Another of that name may be in the configuration.
                Owner::App(_) | Owner::Store | Owner::Log | Owner::LogKey { .. } => self.keys.spare(&owner),
            }
        }
        Ok(erased)
    }

    /// Deliveries that were decided on for the account.
    fn deliveries_of(&self, what: &Forgotten) -> Result<HashSet<u64>, StoreError> {
        let mut ours = HashSet::new();
        for found in self.reader.scan(self.reader.first_number()) {
            let record = found.map_err(|error| StoreError::Damaged(with_source(&error)))?;
            if record.number.is_multiple_of(LOOK_EVERY) {
                drop(self.open()?);
            }
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
    fn take_out(&self, erasing: &Erasing<'_>, at: Timestamp) -> Result<(u64, u64), StoreError> {
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
            state.forget(erasing.what, &waiting, at);
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
            if self.has_any(segment, erasing)? {
                let _held = lock(&self.rewriting);
                drop(self.open()?);
                let rewritten = self.pruner.rewrite_segment(segment.first, |record| erasing.rewrite(record));
                let rewritten = rewritten.map_err(|error| self.prune_trouble(&error))?;
                erased.records = erased.records.saturating_add(rewritten.replaced);
                erased.segments = erased.segments.saturating_add(u64::from(rewritten.replaced > 0));
            }
            breakpoint::reached("forgetting-segment");
            progress(done, wide(meant.len()));
        }
        Ok(erased)
    }

    /// Whether anything in a segment is to be rewritten: to read it costs less than to copy it. What cannot be read is left
    /// to the copy to tell.
    fn has_any(&self, segment: &SegmentInfo, erasing: &Erasing<'_>) -> Result<bool, StoreError> {
        for found in self.reader.scan(segment.first) {
            let Ok(record) = found else { return Ok(true) };
            if record.number >= segment.next {
                break;
            }
            if record.number.is_multiple_of(LOOK_EVERY) {
                drop(self.open()?);
            }
            if erasing.rewrite(&record) != Rewrite::Keep {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Of what others keep, what names it goes: an item of a list, or the file where it is in nothing smaller. None of it is
    /// what must not be lost.
    fn remove_asides(&self, what: &Forgotten) -> io::Result<()> {
        let root = place::ROOT;
        for name in self.files.list(root)?.iter().filter(|name| name.starts_with("aside-")) {
            let sealed = place::read(self.files.as_ref(), name)?.unwrap_or_default();
            let plain = self.keys.open_blob(Purpose::Aside, &sealed).filter(|_| !what.is_in_text(name));
            if plain.as_ref().is_some_and(|plain| !what.is_in_bytes(plain)) {
                continue;
            }
            match plain.and_then(|plain| what.rest_of(&plain)) {
                Some(rest) => {
                    let sealed = self.keys.store().seal(Purpose::Aside, &[&rest], self.keys.chance());
                    place::replace(self.files.as_ref(), name, &sealed)?;
                }
                None => self.files.remove(&format!("{root}/{name}"))?,
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
    apps: &'a [AppName],
}

impl Erasing<'_> {
    fn rewrite(&self, record: &Record) -> Rewrite {
        match Stored::decode(record.kind, record.version, &record.payload) {
            Some(Stored::Delivery(mut delivery)) if !delivery.is_pruned() && self.is_named_by(&delivery) => {
                delivery.tail.body = StoredBody::Stub(delivery.commitment());
                Rewrite::Replace { kind: record::DELIVERY, version: record.version, payload: delivery.encode() }
            }
            Some(Stored::Changes(changes)) => self.changes(changes),
            _ => Rewrite::Keep,
        }
    }

    /// One that was decided on for the account, or says that it is its own. In what is another's its id is theirs.
    fn is_named_by(&self, delivery: &Delivery) -> bool {
        let Some(Blob(sealed)) = delivery.tail.body.sealed() else { return false };
        let is_ours = self.ours.contains(&delivery.head.id);
        if (is_ours && self.what.is_account()) || self.apps.contains(&delivery.tail.app) {
            return true;
        }
        let Some(plain) = self.core.keys.open_blob(Purpose::Body, sealed) else { return false };
        let start = delivery.tail.body.split(&plain).map_or(0, |(_, start)| start);
        let body = plain.get(start..).unwrap_or_default();
        self.what.is_in_bytes(body) && (is_ours || self.is_its_own(body))
    }

    /// What says of no account that it is its own, as what cannot be read, may be of any that it names.
    fn is_its_own(&self, body: &[u8]) -> bool {
        let account = self.what.account();
        let verified = Verified::reread(bytes::Bytes::copy_from_slice(body), 0, None);
        Forgotten::Account(account.clone()).is_in_bytes(body)
            && wire::account(&verified).is_none_or(|own| own == *account)
    }

    fn changes(&self, changes: Changes) -> Rewrite {
        let Changes { first_index, mut entries, made } = changes;
        let mut has_changed = false;
        for entry in &mut entries {
            if let Some(kept) = self.kept(entry) {
                entry.kept = kept;
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
        Rewrite::Replace { kind: record::CHANGES, version: record::CHANGES_VERSION, payload }
    }

    /// What is kept of an entry from now on, where that is less. Without an account it names nothing of it; without its
    /// detail it names no person.
    fn kept(&self, entry: &StoredEntry) -> Option<Kept> {
        let line = entry.line()?;
        let is_of_account = self.is_of_account(line.account.as_ref());
        if !is_of_account && !self.is_said(line.account.as_ref(), &line.said) {
            return None;
        }
        let without = line.said.without_detail().filter(|_| !is_of_account);
        Some(match (without, &entry.kept) {
            (Some(said), Kept::Told(line)) => Kept::Told(record::Line { said, ..line.clone() }),
            (Some(said), Kept::Led(by, line)) => Kept::Led(*by, record::Line { said, ..line.clone() }),
            _ => Kept::Forgotten { at: line.at, kind: line.kind },
        })
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
            Said::Nothing | Said::Gone { .. } => false,
            Said::Plain(note) => self.what.is_in_text(note),
            Said::Sealed(_) | Said::Salted { .. } => {
                self.core.detail(said).is_some_and(|detail: Detail| self.what.is_in(&detail))
            }
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
            Change::Sweep { account, .. } | Change::Notices { account, .. } if of(account) => Becomes::Nothing,
            // Without what is in it, it reads as of one that was never swept: as it is in the live state.
            Change::Sweep { account, sealed } if self.opened::<SweepState>(account, sealed).is_some() => {
                Becomes::Another(Change::Sweep { account: account.clone(), sealed: Blob::default() })
            }
            Change::Notices { account, sealed } => match self.opened::<Vec<Notice>>(account, sealed) {
                Some(standing) => Becomes::Another(self.notices_but_its(account, standing)),
                None => Becomes::Kept,
            },
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
            Change::App { app, .. } => drop_if(self.apps.contains(app)),
            Change::Forgotten { sealed: Some(_) } => Becomes::Another(Change::Forgotten { sealed: None }),
            _ => Becomes::Kept,
        }
    }

    /// What is sealed of the account, where it names the person.
    fn opened<T>(&self, account: &AccountId, sealed: &Blob) -> Option<T>
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        let plain = (account == self.what.account()).then(|| self.core.keys.open_blob(Purpose::Detail, &sealed.0));
        postcard::from_bytes::<T>(&plain.flatten()?).ok().filter(|thing| self.what.is_in(thing))
    }

    /// The notices that do not name the person.
    fn notices_but_its(&self, account: &AccountId, mut standing: Vec<Notice>) -> Change {
        standing.retain(|notice| !self.what.is_in(notice));
        let mut plain = Vec::new();
        record::put(&standing, &mut plain);
        let keys = &self.core.keys;
        // It was opened with it.
        let key = keys.of(&Owner::Account(account.clone()));
        let sealed = key.map(|key| Blob(key.seal(Purpose::Detail, &[&plain], keys.chance()))).unwrap_or_default();
        Change::Notices { account: account.clone(), sealed }
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
