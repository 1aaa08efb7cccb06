//! Verifying: every byte of the journal, every leaf, every number, and the tree against the snapshots.

mod signed;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::Settings;
use super::core::Core;
use super::housekeeper::{SNAPSHOTS, with_source};
use super::keys::Keys;
use super::log_keys::LogKeys;
use super::record::{Blob, Delivery, Head, Stored};
use super::seal::Purpose;
use super::state::State;
use crate::audit::tree::{Frontier, Hash};
use crate::clock::lock;
use crate::store::journal::files::Files;
use crate::store::journal::{FIRST_NUMBER, ReadError, Reader, Report, snapshot};
use crate::store::port::{StoreError, TreeHead};
use crate::store::wide;

pub use signed::Elsewhere;

use signed::Signed;

/// How many pieces wait for who hashes them, and how long one is: so many records or bytes.
const AHEAD: usize = 4;
const PIECE_RECORDS: usize = 1_024;
const PIECE_BYTES: usize = 1 << 20;

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A file and a byte, or the number of a record.
    pub place: String,
    pub what: String,
}

/// What a verification read and found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub records: u64,
    pub deliveries: u64,
    pub entries: u64,
    pub bytes: u64,
    /// Of the entries, deliveries whose body was pruned, hashed from its hash, which stays.
    pub pruned: u64,
    /// Of the entries, those of which only the leaf is left: something was forgotten.
    pub forgotten: u64,
    /// Tiles and checkpoints that were compared with the entries.
    pub tiles: u64,
    pub checkpoints: u64,
    /// The log as recomputed.
    pub head: TreeHead,
    pub findings: Vec<Finding>,
}

/// Tells how far it is: records done, of how many.
pub type VerifyProgress<'a> = &'a mut dyn FnMut(u64, u64);

struct Check {
    tree: Frontier,
    signed: Signed,
    deliveries: u64,
    pruned: u64,
    forgotten: u64,
    findings: Vec<Finding>,
    /// The trees that snapshots have, by the first record that is not in them.
    snapshots: BTreeMap<u64, Frontier>,
}

impl Check {
    fn tell(&mut self, record: u64, what: impl Into<String>) {
        self.findings.push(Finding { place: format!("record {record}"), what: what.into() });
    }

    fn leaf(&mut self, record: u64, index: u64, stored: Hash, computed: Hash) {
        if index != self.tree.size() {
            let expected = self.tree.size();
            self.tell(record, format!("has entry {index} where entry {expected} should be"));
            // So that one gap is told once.
            while self.tree.size() < index {
                self.push([0; 32]);
            }
        }
        if stored != computed {
            self.tell(record, format!("the leaf of entry {index} is not the hash of what is stored"));
        }
        self.push(computed);
    }

    fn push(&mut self, leaf: Hash) {
        self.tree.push(leaf);
        self.signed.leaf(leaf, &self.tree, &mut self.findings);
    }

    /// With what is wrong with the body, if it has one.
    fn record(&mut self, number: u64, (stored, fault): (Stored, Option<String>)) {
        self.compare(number);
        match stored {
            Stored::Delivery(delivery) => {
                let (id, expected) = (delivery.head.id, self.deliveries.saturating_add(1));
                if id != expected {
                    self.tell(number, format!("has delivery {id} where delivery {expected} should be"));
                }
                self.deliveries = id;
                self.pruned = self.pruned.saturating_add(u64::from(delivery.is_pruned()));
                self.leaf(number, delivery.head.index, delivery.head.leaf, delivery.hashed());
                if let Some(fault) = fault {
                    self.tell(number, fault);
                }
            }
            Stored::Changes(changes) => {
                for (index, entry) in (changes.first_index..).zip(&changes.entries) {
                    self.forgotten = self.forgotten.saturating_add(u64::from(entry.line().is_none()));
                    self.leaf(number, index, entry.leaf, entry.hashed());
                }
            }
        }
    }

    /// The tree before a record, with that of a snapshot.
    fn compare(&mut self, number: u64) {
        if let Some(kept) = self.snapshots.remove(&number)
            && kept != self.tree
        {
            self.tell(number, format!("the log before it is not the one that snapshot {number} has"));
        }
    }
}

/// What is wrong with a body: the leaf has only its commitment.
fn fault_of_body(delivery: &Delivery, keys: &Keys) -> Option<String> {
    let (body, Head { id, index, .. }) = (&delivery.tail.body, &delivery.head);
    let Blob(sealed) = body.sealed()?;
    match keys.open_blob(Purpose::Body, sealed) {
        None => Some(format!("the body of delivery {id} does not open")),
        Some(plain) if body.was(&plain) => None,
        Some(_) => Some(format!("the body of delivery {id} is not the one that entry {index} says")),
    }
}

/// Verifies all that a reader can read, what was signed of it, and that it agrees with what was kept elsewhere.
pub(super) fn verify(
    reader: &Reader,
    bytes: &Report,
    (files, keys): (&Arc<dyn Files>, &Arc<Keys>),
    elsewhere: &[Elsewhere],
    progress: VerifyProgress<'_>,
) -> Verified {
    let mut findings = Vec::new();
    let verifiers = match LogKeys::read(keys) {
        Ok(keys) => keys.all_verifiers(),
        Err(error) => {
            findings.push(Finding { place: "keys".to_owned(), what: error.to_string() });
            Vec::new()
        }
    };
    let signed = Signed::read(files, &verifiers, elsewhere, &mut findings);
    let (tree, snapshots) = (Frontier::default(), BTreeMap::new());
    let mut check = Check { tree, signed, deliveries: 0, pruned: 0, forgotten: 0, findings, snapshots };
    for problem in &bytes.problems {
        let text = problem.to_string();
        let (place, what) = text.split_once(": ").unwrap_or((&text, ""));
        check.findings.push(Finding { place: place.to_owned(), what: what.to_owned() });
    }
    read_snapshots(&mut check, files.as_ref(), keys);
    let (first, next) = (reader.first_number(), reader.next_number());
    let records = read_all(&mut check, reader, keys, first..next, progress);
    check.compare(next);
    for number in std::mem::take(&mut check.snapshots).into_keys().filter(|number| *number > next) {
        check.tell(number.saturating_sub(1), format!("is missing: a snapshot goes up to it, the journal to {next}"));
    }
    progress(next.saturating_sub(first), next.saturating_sub(first));
    let Check { tree, mut signed, deliveries, pruned, forgotten, mut findings, .. } = check;
    let head = TreeHead { size: tree.size(), root: tree.root() };
    let (tiles, checkpoints) = (signed.tiles, signed.checkpoints);
    signed.meet(&tree, &mut findings);
    signed.end(&tree, &mut findings);
    let (bytes, entries) = (bytes.bytes, head.size);
    Verified { records, deliveries, entries, bytes, pruned, forgotten, tiles, checkpoints, head, findings }
}

/// Checks these records: one thread reads and opens while this one hashes. How many there were.
fn read_all(check: &mut Check, reader: &Reader, keys: &Keys, numbers: Range<u64>, progress: VerifyProgress<'_>) -> u64 {
    let Range { start, end } = numbers;
    let mut records = 0_u64;
    let mut take = |some: Piece| {
        for (number, read) in some {
            match read {
                Ok(Some(stored)) => check.record(number, stored),
                Ok(None) => check.tell(number, "cannot be understood"),
                Err(error) => {
                    check.findings.push(Finding { place: "journal".to_owned(), what: error.to_string() });
                    return false;
                }
            }
            records = records.saturating_add(1);
            if number.is_multiple_of(4096) {
                progress(number.saturating_sub(start), end.saturating_sub(start));
            }
        }
        true
    };
    let is_with_a_thread = std::thread::scope(|scope| {
        let (ahead, pieces) = sync_channel(AHEAD);
        let thread = std::thread::Builder::new().name("verify-reads".to_owned());
        let started = thread.spawn_scoped(scope, move || {
            read_pieces(reader, keys, start..end, |some| ahead.send(some).is_ok());
        });
        if started.is_ok() {
            let _all_were_taken = pieces.into_iter().all(&mut take);
        }
        started.is_ok()
    });
    if !is_with_a_thread {
        read_pieces(reader, keys, start..end, take);
    }
    records
}

/// Records by their numbers, each with what is wrong with its body: none where it cannot be understood. An error is the last.
type Piece = Vec<(u64, Result<Option<(Stored, Option<String>)>, ReadError>)>;

/// Reads records and gives them, some at a time, for as long as they are taken.
fn read_pieces(reader: &Reader, keys: &Keys, numbers: Range<u64>, mut give: impl FnMut(Piece) -> bool) {
    let (mut some, mut bytes) = (Vec::new(), 0);
    for found in reader.scan(numbers.start) {
        match found {
            Ok(record) if record.number >= numbers.end => break,
            Ok(record) => {
                bytes += record.payload.len();
                let stored = Stored::decode(record.kind, record.version, &record.payload);
                let with_fault = stored.map(|stored| {
                    let fault = match &stored {
                        Stored::Delivery(delivery) => fault_of_body(delivery, keys),
                        Stored::Changes(_) => None,
                    };
                    (stored, fault)
                });
                some.push((record.number, Ok(with_fault)));
            }
            // The bytes were told before.
            Err(ReadError::Damaged(_)) => {}
            Err(error) => {
                some.push((numbers.end, Err(error)));
                break;
            }
        }
        if some.len() >= PIECE_RECORDS || bytes >= PIECE_BYTES {
            bytes = 0;
            if !give(std::mem::take(&mut some)) {
                return;
            }
        }
    }
    give(some);
}

fn read_snapshots(check: &mut Check, files: &dyn Files, keys: &Arc<Keys>) {
    let mut tell = |place: String, what: String| check.findings.push(Finding { place, what });
    let numbers = match snapshot::numbers(files, SNAPSHOTS) {
        Ok(numbers) => numbers,
        Err(error) => return tell(SNAPSHOTS.to_owned(), error.to_string()),
    };
    for number in numbers {
        match snapshot::read(files, SNAPSHOTS, number) {
            Ok(Ok(sealed)) => {
                let mut state = State::new(&Settings::default(), Arc::clone(keys));
                if state.read_snapshot(number, &sealed) {
                    check.snapshots.insert(number, state.tree);
                } else {
                    tell(format!("snapshot {number}"), "does not open with the store's key".to_owned());
                }
            }
            Ok(Err(problem)) => tell(problem.file.clone(), problem.to_string()),
            Err(error) => tell(format!("snapshot {number}"), error.to_string()),
        }
    }
}

/// Some leaves of the log, hashed anew from what is on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaves {
    /// Of the entries from the one on that was asked for; none where one cannot be read.
    pub leaves: Vec<Option<Hash>>,
    /// What each of them is the hash of, where that is asked for; none where only the leaf is left.
    pub lines: Vec<Option<Vec<u8>>>,
    /// Of these, deliveries whose body was pruned, hashed from its commitment, which stays; and entries that were forgotten, of
    /// which only the leaf is left.
    pub pruned: u64,
    /// The tree before them, as the tiles have it: whoever trusts its root goes on from it. None where they do not have it.
    pub before: Option<Frontier>,
    pub findings: Vec<Finding>,
}

/// Hashes a stretch of the log anew, and tells which entries are missing from it.
struct Stretch {
    /// Lines are asked for too.
    with_lines: bool,
    next: u64,
    end: u64,
    /// What could not be read since the last entry.
    unread: Vec<String>,
    found: Leaves,
}

impl Stretch {
    fn record(&mut self, stored: &Stored, keys: &Keys) {
        match stored {
            Stored::Delivery(delivery) => {
                let taken = self.entry(delivery.head.index, delivery.head.leaf, || delivery.hashed());
                if let Some(fault) = Some(delivery).filter(|_| taken).and_then(|delivery| fault_of_body(delivery, keys))
                {
                    self.tell(format!("entry {}", delivery.head.index), fault);
                }
                if taken && self.with_lines {
                    let mut line = Vec::new();
                    delivery.put_leaf(&mut line);
                    self.found.lines.push(Some(line));
                }
                if taken && delivery.is_pruned() {
                    self.found.pruned = self.found.pruned.saturating_add(1);
                }
            }
            Stored::Changes(changes) => {
                for (index, entry) in (changes.first_index..).zip(&changes.entries) {
                    let taken = self.entry(index, entry.leaf, || entry.hashed());
                    if taken && self.with_lines {
                        let mut line = Vec::new();
                        let line = entry.put_leaf(&mut line).map(|()| line);
                        self.found.lines.push(line);
                    }
                    if taken && entry.line().is_none() {
                        self.found.pruned = self.found.pruned.saturating_add(1);
                    }
                }
            }
        }
    }

    /// Whether the entry belongs to the stretch.
    fn entry(&mut self, index: u64, stored: Hash, compute: impl FnOnce() -> Hash) -> bool {
        if index < self.next {
            // What could not be read was before it, so before the stretch.
            self.unread.clear();
            return false;
        }
        self.without(index.min(self.end));
        if index >= self.end {
            return false;
        }
        let computed = compute();
        if stored != computed {
            self.tell(format!("entry {index}"), "its leaf is not the hash of what is stored".to_owned());
        }
        self.found.leaves.push(Some(computed));
        self.next = index.saturating_add(1);
        true
    }

    /// The entries up to this one are not there.
    fn without(&mut self, until: u64) {
        let unread = std::mem::take(&mut self.unread).join("; ");
        let (next, last) = (self.next, until.saturating_sub(1));
        match until.saturating_sub(next) {
            0 if unread.is_empty() => {}
            // A record without entries, which is part of the store's bytes all the same.
            0 => self.tell(format!("before entry {next}"), unread),
            _ if unread.is_empty() => self.tell(format!("entries {next} to {last}"), "not there".to_owned()),
            1 => self.tell(format!("entry {next}"), unread),
            _ => self.tell(format!("entries {next} to {last}"), unread),
        }
        while self.next < until {
            self.found.leaves.push(None);
            if self.with_lines {
                self.found.lines.push(None);
            }
            self.next = self.next.saturating_add(1);
        }
    }

    fn tell(&mut self, place: String, what: String) {
        self.found.findings.push(Finding { place, what });
    }
}

impl Core {
    /// Reads and hashes entries anew, from one on. Blocks for as long as that takes, and holds no lock meanwhile.
    pub(super) fn leaves(&self, from: u64, limit: usize, with_lines: bool) -> Result<Leaves, StoreError> {
        let (size, next_record) = {
            let synced = lock(&self.synced);
            (synced.tree.size(), synced.next)
        };
        let end = size.min(from.saturating_add(wide(limit)));
        let before = self.frontier(from)?;
        let found = Leaves { before, ..Leaves::default() };
        let mut stretch = Stretch { with_lines, next: from, end, unread: Vec::new(), found };
        if from >= end {
            return Ok(stretch.found);
        }
        let start = self.index.ask(|index| index.before_entry(from)).flatten();
        let start = start.unwrap_or(FIRST_NUMBER).max(self.reader.first_number());
        for read in self.reader.scan(start) {
            // At the end of the log, what comes after its last entry is read as well.
            if stretch.next >= end && end < size {
                break;
            }
            match read {
                Ok(record) if record.number >= next_record => break,
                Ok(record) => match Stored::decode(record.kind, record.version, &record.payload) {
                    Some(stored) => stretch.record(&stored, &self.keys),
                    None => stretch.unread.push(format!("record {} cannot be understood", record.number)),
                },
                Err(ReadError::Damaged(gap)) => stretch.unread.push(gap.to_string()),
                Err(error) => return Err(StoreError::Damaged(with_source(&error))),
            }
        }
        stretch.without(end);
        let mut found = stretch.found;
        match self.leaves_of_tiles(from, wide(found.leaves.len())) {
            Ok(tiles) => {
                for ((index, leaf), tile) in (from..).zip(&found.leaves).zip(tiles) {
                    if leaf.is_some_and(|leaf| leaf != tile) {
                        let (place, what) =
                            (format!("entry {index}"), "it is not the one that its tile has".to_owned());
                        found.findings.push(Finding { place, what });
                    }
                }
            }
            Err(error) => {
                found.findings.push(Finding { place: format!("entries from {from} on"), what: error.to_string() });
            }
        }
        Ok(found)
    }

    /// While the store is in use: all that is on disk when it begins. Blocks.
    pub(super) fn verify(&self, progress: VerifyProgress<'_>) -> Result<Verified, StoreError> {
        drop(self.open()?);
        let bytes = self.reader.verify(|| self.open().is_ok());
        drop(self.open()?);
        Ok(verify(&self.reader, &bytes, (&self.files, &self.keys), &[], progress))
    }
}

#[cfg(test)]
mod tests;
