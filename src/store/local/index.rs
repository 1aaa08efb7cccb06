//! The index: what is derived from the journal, so that it need not be read from the start. In sled, and never trusted.
//!
//! It holds where some deliveries and entries are, what was decided about deliveries, and the record up to which it goes,
//! in the same batch; beside sled, spilled generations of fingerprints ([`prints`](super::prints)). All of it can be
//! deleted at any time. Decisions of the store never depend on it, but for duplicates of spilled generations, and in doubt
//! an event is planned.
//!
//! Rules: one thread writes, one batch for a group of records, few keys in rising order, small values, no flush while it
//! runs. Every value ends in a checksum over key and value. Whatever sled panics at is an error here.

mod cell;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::dedupe::Bloom;
use super::outbox::IndexOp;
use super::prints::PrintFiles;
use super::record::{self, Decided};
use super::state::{DELIVERIES_A_MARK, ENTRIES_A_MARK};
use crate::clock::lock;

pub(super) use cell::IndexCell;

/// Deliveries whose decisions are in one value.
const PACK: u64 = 64;
const SEGMENT_BYTES: usize = 8 << 20;
const VERSION: u32 = 1;
const META: &[u8] = b"m";
/// So many keys are compared with point reads when it is opened; of a larger index, as many of each end.
const CHECKED: usize = 100_000;

/// The index cannot be used: it is to be made anew.
#[derive(Debug, thiserror::Error)]
#[error("the index is unusable: {0}")]
pub(super) struct Broken(pub(super) String);

/// Up to where the index goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Applied {
    version: u32,
    /// One past the last record that is in.
    pub(super) next: u64,
    /// Checksum of that record, to know the journal by.
    pub(super) crc: u32,
}

impl Applied {
    pub(super) const fn new(next: u64, crc: u32) -> Self {
        Self { version: VERSION, next, crc }
    }
}

/// What was decided, of some deliveries that follow each other: by place.
type Pack = Vec<(u8, Decided, Vec<u64>)>;

#[derive(Debug)]
pub(super) struct Index {
    db: sled::Db,
    prints: PrintFiles,
    /// The pack that was written last, to add to it without reading.
    newest: Mutex<Option<(u64, Pack)>>,
}

fn guarded<T>(what: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Broken(text.unwrap_or_else(|| "it panicked".to_owned())))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn sled_error(error: sled::Error) -> Broken {
    Broken(error.to_string())
}

fn key(prefix: u8, number: u64) -> Vec<u8> {
    let mut key = vec![prefix];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn checked(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value);
    value.extend_from_slice(&crc.to_le_bytes());
    value
}

fn check<'a>(key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], Broken> {
    let (value, crc) = stored.split_last_chunk::<4>().ok_or_else(|| Broken("a value is too short".to_owned()))?;
    let good = crc32c::crc32c_append(crc32c::crc32c(key), value) == u32::from_le_bytes(*crc);
    if good { Ok(value) } else { Err(Broken("a value is damaged".to_owned())) }
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Broken> {
    postcard::from_bytes(bytes).map_err(|_| Broken("a value cannot be read".to_owned()))
}

impl Index {
    /// Opens what is in a folder that is the index's alone, or makes it.
    pub(super) fn open(folder: &Path, cache_bytes: u64) -> Result<Self, Broken> {
        let prints = PrintFiles::open(folder.join("prints"))?;
        let config = sled::Config::new()
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(None)
            .print_profile_on_drop(false)
            .path(folder.join("sled"));
        let db = guarded(|| config.open().map_err(sled_error))?;
        Ok(Self { db, prints, newest: Mutex::new(None) })
    }

    /// Removes all of it.
    pub(super) fn remove(folder: &Path) -> std::io::Result<()> {
        match folder.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Ok(found) if !found.is_dir() => std::fs::remove_file(folder),
            _ => std::fs::remove_dir_all(folder),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, Broken> {
        guarded(|| {
            let stored = self.db.get(key).map_err(sled_error)?;
            stored.map(|stored| check(key, &stored).map(sled::IVec::from)).transpose()
        })
    }

    /// Up to where it goes; none where it is empty.
    pub(super) fn applied(&self) -> Result<Option<Applied>, Broken> {
        let Some(meta) = self.get(META)? else { return Ok(None) };
        let applied: Applied = decode(&meta)?;
        if applied.version == VERSION { Ok(Some(applied)) } else { Err(Broken("it is of another version".to_owned())) }
    }

    /// Compares a scan with point reads, and checks every value on the way.
    pub(super) fn check(&self) -> Result<(), Broken> {
        guarded(|| {
            let one = |item: sled::Result<(sled::IVec, sled::IVec)>| {
                let (key, stored) = item.map_err(sled_error)?;
                check(&key, &stored)?;
                let read = self.db.get(&key).map_err(sled_error)?;
                if read.as_ref() == Some(&stored) {
                    Ok(key)
                } else {
                    Err(Broken("a scan disagrees with a read".to_owned()))
                }
            };
            let mut last = None;
            for item in self.db.iter().take(CHECKED) {
                let key = one(item)?;
                if last.replace(key.clone()).is_some_and(|last| last >= key) {
                    return Err(Broken("its keys are not in order".to_owned()));
                }
            }
            for item in self.db.iter().rev().take(CHECKED) {
                one(item)?;
            }
            Ok(())
        })
    }

    /// Takes in what some records say. Returns the filters of the generations that it took.
    pub(super) fn apply(&self, ops: Vec<IndexOp>, applied: Applied) -> Result<Vec<(u64, Arc<Bloom>)>, Broken> {
        let mut batch = sled::Batch::default();
        let mut filters = Vec::new();
        let mut newest = lock(&self.newest);
        let mut packs: BTreeMap<u64, Pack> = newest.take().into_iter().collect();
        let write = |batch: &mut sled::Batch, key: Vec<u8>, value: Vec<u8>| {
            let value = checked(&key, value);
            batch.insert(key, value);
        };
        for op in ops {
            match op {
                IndexOp::Delivery { id, record } => {
                    write(&mut batch, key(b'd', id / DELIVERIES_A_MARK), record.to_le_bytes().to_vec());
                }
                IndexOp::Entry { index, record } => {
                    write(&mut batch, key(b'e', index / ENTRIES_A_MARK), record.to_le_bytes().to_vec());
                }
                IndexOp::Decided { delivery, decided, jobs } => {
                    let pack = match packs.entry(delivery / PACK) {
                        Entry::Occupied(held) => held.into_mut(),
                        Entry::Vacant(free) => {
                            let held = self.pack(*free.key())?;
                            free.insert(held)
                        }
                    };
                    let place = u8::try_from(delivery % PACK).unwrap_or(0);
                    pack.retain(|(other, _, _)| *other != place);
                    pack.push((place, decided, jobs));
                }
                IndexOp::Spill(generation) => {
                    let bloom = Arc::new(Bloom::of(&generation));
                    self.prints.write(&generation, &bloom)?;
                    filters.push((generation.number, bloom));
                }
                IndexOp::DropBefore(first) => self.prints.remove_before(first)?,
                IndexOp::Mark => {}
            }
        }
        for (number, pack) in &packs {
            let mut value = Vec::new();
            record::put(pack, &mut value);
            write(&mut batch, key(b'p', *number), value);
        }
        write(&mut batch, META.to_vec(), postcard::to_stdvec(&applied).unwrap_or_default());
        self.db_apply(batch)?;
        *newest = packs.pop_last();
        Ok(filters)
    }

    fn db_apply(&self, batch: sled::Batch) -> Result<(), Broken> {
        guarded(|| self.db.apply_batch(batch).map_err(sled_error))
    }

    fn pack(&self, number: u64) -> Result<Pack, Broken> {
        self.get(&key(b'p', number))?.map_or_else(|| Ok(Pack::new()), |value| decode(&value))
    }

    fn mark(&self, prefix: u8, number: u64) -> Result<Option<u64>, Broken> {
        guarded(|| {
            let last = self.db.range(key(prefix, 0)..=key(prefix, number)).next_back();
            let Some((key, stored)) = last.transpose().map_err(sled_error)? else { return Ok(None) };
            let value = check(&key, &stored)?;
            Ok(value.first_chunk().map(|record| u64::from_le_bytes(*record)))
        })
    }

    /// A record at or before the one of a delivery.
    pub(super) fn before_delivery(&self, id: u64) -> Result<Option<u64>, Broken> {
        self.mark(b'd', id / DELIVERIES_A_MARK)
    }

    /// A record at or before the one of an entry.
    pub(super) fn before_entry(&self, index: u64) -> Result<Option<u64>, Broken> {
        self.mark(b'e', index / ENTRIES_A_MARK)
    }

    /// What was decided about a delivery last.
    pub(super) fn decided(&self, delivery: u64) -> Result<Option<(Decided, Vec<u64>)>, Broken> {
        let mut pack = self.pack(delivery / PACK)?.into_iter();
        let found = pack.find(|(place, _, _)| u64::from(*place) == delivery % PACK);
        Ok(found.map(|(_, decided, jobs)| (decided, jobs)))
    }

    pub(super) fn filter(&self, generation: u64) -> Result<Option<Bloom>, Broken> {
        self.prints.filter(generation)
    }

    /// A hash of everything in it but how far it goes.
    pub(super) fn digest(&self) -> Result<[u8; 32], Broken> {
        use sha2::Digest as _;
        guarded(|| {
            let mut hash = sha2::Sha256::new();
            for item in self.db.iter() {
                let (key, value) = item.map_err(sled_error)?;
                if key != META {
                    hash.update([u8::try_from(key.len()).unwrap_or(u8::MAX)]);
                    hash.update(&key);
                    hash.update(&value);
                }
            }
            self.prints.each(|path, bytes| {
                hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
                hash.update(bytes);
            })?;
            Ok(hash.finalize().into())
        })
    }

    /// Lets sled write what it holds. What it does not get to comes from the journal again.
    pub(super) fn flush(&self) {
        let _flushed = guarded(|| self.db.flush().map_err(sled_error));
    }
}
