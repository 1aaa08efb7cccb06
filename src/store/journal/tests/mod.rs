//! The journal on a simulated disk.

mod basics;
mod bits;
mod full;
mod power;
mod pruning;
mod snapshots;

use std::sync::Arc;

use super::files::Files;
use super::simulated::SimFiles;
use super::{Journal, OpenError, Reader, Record, RecordRef, Recovery, Settings};
use crate::chance::{Chance, SeededChance};

const DIR: &str = "journal";
/// Less than a block.
const SMALL: Settings = Settings { segment_bytes: 2048 };
/// Blocks that are written again and again as they fill, and no whole number of them.
const BLOCKS: Settings = Settings { segment_bytes: 30_000 };

fn open_with(files: &SimFiles, settings: Settings) -> Result<(Journal, Recovery), OpenError> {
    let files: Arc<dyn Files> = Arc::new(files.clone());
    Journal::open(files, DIR, settings, Arc::new(SeededChance::new(11)))
}

fn open(files: &SimFiles) -> (Journal, Recovery) {
    open_with(files, SMALL).unwrap()
}

fn refs(payloads: &[Vec<u8>]) -> Vec<RecordRef<'_>> {
    payloads.iter().map(|payload| RecordRef { kind: 7, version: 1, payload }).collect()
}

fn append(journal: &mut Journal, payloads: &[Vec<u8>]) -> std::ops::Range<u64> {
    journal.append(&refs(payloads)).unwrap()
}

/// A batch of one to five payloads of up to 300 bytes.
fn any_batch(chance: &SeededChance) -> Vec<Vec<u8>> {
    let payload = |_| {
        let mut bytes = vec![0; usize::try_from(chance.next_u64() % 300).unwrap()];
        chance.fill(&mut bytes);
        bytes
    };
    (0..=chance.next_u64() % 5).map(payload).collect()
}

/// All records, where none is damaged.
fn all(reader: &Reader) -> Vec<Record> {
    reader.scan(reader.first_number()).collect::<Result<_, _>>().unwrap()
}

fn payloads(reader: &Reader) -> Vec<Vec<u8>> {
    all(reader).into_iter().map(|record| record.payload).collect()
}
