//! Verifying: every byte of the journal, every leaf, every number, and the tree against the snapshots.

use std::collections::BTreeMap;

use super::Settings;
use super::core::Core;
use super::housekeeper::SNAPSHOTS;
use super::index::IndexCell;
use super::keys::Keys;
use super::record::{Stored, leaf_of};
use super::state::State;
use crate::audit::tree::{Frontier, Hash};
use crate::store::journal::files::Files;
use crate::store::journal::{ReadError, Reader, Report, snapshot};
use crate::store::port::{StoreError, TreeHead};

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
    /// The log as recomputed.
    pub head: TreeHead,
    pub findings: Vec<Finding>,
}

/// Tells how far it is: records done, of how many.
pub type VerifyProgress<'a> = &'a mut dyn FnMut(u64, u64);

struct Check {
    tree: Frontier,
    deliveries: u64,
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
                self.tree.push([0; 32]);
            }
        }
        if stored != computed {
            self.tell(record, format!("the leaf of entry {index} is not the hash of what is stored"));
        }
        self.tree.push(computed);
    }

    fn record(&mut self, number: u64, stored: Stored) {
        self.compare(number);
        match stored {
            Stored::Delivery(delivery) => {
                let (id, expected) = (delivery.head.id, self.deliveries.saturating_add(1));
                if id != expected {
                    self.tell(number, format!("has delivery {id} where delivery {expected} should be"));
                }
                self.deliveries = id;
                let said = delivery.said();
                self.leaf(number, delivery.head.index, delivery.head.leaf, leaf_of(&delivery.line(&said)));
            }
            Stored::Changes(changes) => {
                for (index, entry) in (changes.first_index..).zip(&changes.entries) {
                    self.leaf(number, index, entry.leaf, leaf_of(&entry.line.as_ref()));
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

/// Verifies all that a reader can read.
pub(super) fn verify(
    reader: &Reader,
    bytes: &Report,
    files: &dyn Files,
    keys: &std::sync::Arc<Keys>,
    progress: VerifyProgress<'_>,
) -> Verified {
    let mut check =
        Check { tree: Frontier::default(), deliveries: 0, findings: Vec::new(), snapshots: BTreeMap::new() };
    for problem in &bytes.problems {
        let text = problem.to_string();
        let (place, what) = text.split_once(": ").unwrap_or((&text, ""));
        check.findings.push(Finding { place: place.to_owned(), what: what.to_owned() });
    }
    read_snapshots(&mut check, files, keys);
    let (first, next) = (reader.first_number(), reader.next_number());
    let mut records = 0;
    for found in reader.scan(first) {
        match found {
            Ok(record) if record.number >= next => break,
            Ok(record) => {
                match Stored::decode(record.kind, record.version, &record.payload) {
                    Some(stored) => check.record(record.number, stored),
                    None => check.tell(record.number, "cannot be understood"),
                }
                records += 1;
                if record.number.is_multiple_of(4096) {
                    progress(record.number.saturating_sub(first), next.saturating_sub(first));
                }
            }
            // The bytes were told above.
            Err(ReadError::Damaged(_)) => {}
            Err(error) => {
                check.findings.push(Finding { place: "journal".to_owned(), what: error.to_string() });
                break;
            }
        }
    }
    check.compare(next);
    for number in std::mem::take(&mut check.snapshots).into_keys().filter(|number| *number > next) {
        check.tell(number.saturating_sub(1), format!("is missing: a snapshot goes up to it, the journal to {next}"));
    }
    progress(next.saturating_sub(first), next.saturating_sub(first));
    let head = TreeHead { size: check.tree.size(), root: check.tree.root() };
    let (deliveries, entries) = (check.deliveries, check.tree.size());
    Verified { records, deliveries, entries, bytes: bytes.bytes, head, findings: check.findings }
}

fn read_snapshots(check: &mut Check, files: &dyn Files, keys: &std::sync::Arc<Keys>) {
    let mut tell = |place: String, what: String| check.findings.push(Finding { place, what });
    let numbers = match snapshot::numbers(files, SNAPSHOTS) {
        Ok(numbers) => numbers,
        Err(error) => return tell(SNAPSHOTS.to_owned(), error.to_string()),
    };
    for number in numbers {
        match snapshot::read(files, SNAPSHOTS, number) {
            Ok(Ok(sealed)) => {
                let index = std::sync::Arc::new(IndexCell::default());
                let mut state = State::new(&Settings::default(), std::sync::Arc::clone(keys), index);
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

impl Core {
    /// While the store is in use: all that is on disk when it begins. Blocks.
    pub(super) fn verify(&self, progress: VerifyProgress<'_>) -> Result<Verified, StoreError> {
        drop(self.open()?);
        let bytes = self.reader.verify();
        Ok(verify(&self.reader, &bytes, self.files.as_ref(), &self.keys, progress))
    }
}
