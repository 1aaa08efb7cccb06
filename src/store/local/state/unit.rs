//! A unit in the making: changes and entries, and the records that say so.

use super::{ENTRIES_A_MARK, State, about};
use crate::audit::Detail;
use crate::audit::leaf::Sha;
use crate::chance;
use crate::ids::AccountId;
use crate::job::Job;
use crate::store::local::keys::Owner;
use crate::store::local::outbox::IndexOp;
use crate::store::local::record::{self, Blob, Change, LineRef, Said};
use crate::store::local::seal::{Key, Purpose};

/// A unit in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    first_index: u64,
    entries: Vec<u8>,
    /// Where in these the leaf of each belongs.
    leaf_places: Vec<usize>,
    changes: Vec<u8>,
    change_count: u64,
}

impl State {
    /// Makes a change and writes it down.
    pub(super) fn change(&mut self, change: Change) {
        record::put(&change, &mut self.draft.changes);
        self.draft.change_count += 1;
        self.apply(change);
        self.end_record_if_long();
    }

    /// Makes a job what it is now, and writes it down.
    pub(super) fn change_job(&mut self, job: Job) {
        let lasting = self.jobs.without_lease(&job);
        self.scratch.clear();
        record::put(&lasting, &mut self.scratch);
        let sealed = Blob(self.seal_for(Some(&job.account), Purpose::Job, &self.scratch));
        record::put(&Change::Job { id: job.id.number(), sealed }, &mut self.draft.changes);
        self.draft.change_count += 1;
        self.keep(job);
        self.end_record_if_long();
    }

    /// With the account's key; the caller has seen to it that there is one. Where that is gone, what came too late does not
    /// open: the store's key would keep what was to be forgotten.
    pub(super) fn seal_for(&self, account: Option<&AccountId>, purpose: Purpose, plain: &[u8]) -> Vec<u8> {
        let chance = self.keys.chance();
        let Some(account) = account else { return self.keys.store().seal(purpose, &[plain], chance) };
        if let Some(own) = self.keys.of(&Owner::Account(account.clone())) {
            return own.seal(purpose, &[plain], chance);
        }
        tracing::error!("something was to be kept of an account that has no key: it will not open");
        Key::new(u32::MAX, chance::bytes(chance)).seal(purpose, &[plain], chance)
    }

    pub(super) fn sealed_detail(&mut self, account: Option<&AccountId>, detail: &Detail) -> Said {
        let salt = self.keys.salt();
        self.scratch.clear();
        self.scratch.extend_from_slice(&salt);
        // Encoding plain data into memory has nothing that could fail.
        let _encoded = serde_json::to_writer(&mut self.scratch, detail);
        let salted = Sha::of(&self.scratch).0;
        Said::Salted { salted, sealed: Blob(self.seal_for(account, Purpose::Detail, &self.scratch)) }
    }

    /// Adds an entry to the log. Its number.
    pub(super) fn enter(&mut self, line: &LineRef<'_>) -> u64 {
        // Of a call its intent is known: that says that it changes something.
        let about = about(line);
        let line = &LineRef { led_by: self.leads.to(&about), ..line.clone() };
        let index = self.add_line(line);
        let draft = &mut self.draft;
        if draft.leaf_places.is_empty() {
            draft.first_index = index;
        }
        draft.leaf_places.push(draft.entries.len());
        line.put_entry(&[0; 32], &mut draft.entries);
        self.leads.enter(index, &about);
        index
    }

    /// Adds an entry to the log, in the record that is next. Its number; its leaf is hashed by the writer.
    pub(super) fn add_line(&mut self, line: &LineRef<'_>) -> u64 {
        let index = self.entries;
        self.entries += 1;
        self.outbox.line(self.next_record, |to| line.put_leaf(to));
        if index.is_multiple_of(ENTRIES_A_MARK) {
            self.outbox.op(self.next_record, IndexOp::Entry { index, record: self.next_record });
        }
        index
    }

    pub(super) fn end_record_if_long(&mut self) {
        if self.draft.entries.len() + self.draft.changes.len() >= self.record_bytes {
            self.end_record();
        }
    }

    pub(super) fn end_record(&mut self) {
        let Self { draft, outbox, .. } = self;
        let entry_count = draft.leaf_places.len();
        if entry_count == 0 && draft.change_count == 0 {
            return;
        }
        let first_index = if entry_count == 0 { self.entries } else { draft.first_index };
        outbox.push(self.next_record, record::CHANGES, record::CHANGES_VERSION, |to, leaf_places| {
            record::put(&first_index, to);
            record::put(&entry_count, to);
            leaf_places.extend(draft.leaf_places.iter().map(|place| to.len() + place));
            to.extend_from_slice(&draft.entries);
            record::put(&draft.change_count, to);
            to.extend_from_slice(&draft.changes);
        });
        self.next_record += 1;
        draft.entries.clear();
        draft.leaf_places.clear();
        draft.changes.clear();
        draft.change_count = 0;
    }

    /// Something was entered or changed that is in no record yet.
    pub(in crate::store::local) const fn is_in_unit(&self) -> bool {
        !self.draft.leaf_places.is_empty() || self.draft.change_count > 0
    }

    /// The unit is whole. Whether anything was to be written.
    pub(in crate::store::local) fn end_unit(&mut self) -> bool {
        self.end_record();
        self.outbox.end_unit(self.next_record);
        std::mem::replace(&mut self.unit_start, self.next_record) != self.next_record
    }
}
