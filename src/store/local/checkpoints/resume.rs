//! What a start finds of the log: its tiles, its checkpoints, and what they say of the journal.

use std::io;
use std::sync::Arc;

use super::kept::last;
use super::{ALL, Log, NEWEST, newest};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::tile::Reader;
use crate::audit::tree::Hash;
use crate::clock::lock;
use crate::store::journal::FIRST_NUMBER;
use crate::store::local::core::Core;
use crate::store::local::log_keys::LogKeys;
use crate::store::local::outbox::Leaves;
use crate::store::local::place;
use crate::store::local::record::Stored;
use crate::store::local::tiles::{LOG, TileFiles};
use crate::store::port::StoreError;

impl Core {
    /// An error where the checkpoint that is kept elsewhere covers what this log has not.
    fn compare_elsewhere(&self, tiles: &mut TileFiles, keys: &LogKeys) -> Result<(), StoreError> {
        let Some(path) = self.checkpoints.elsewhere.as_ref().map(|elsewhere| elsewhere.path()) else { return Ok(()) };
        let damaged = |what: String| StoreError::Damaged(format!("{}: {what}", path.display()));
        let note = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))?,
        };
        let name = keys.signer()?.name();
        if Checkpoint::parse_note(&note).is_some_and(|other| other.origin != name) {
            // Of a log before this one, which a restore ended; maybe of one whose keys went with it.
            return Ok(());
        }
        let checkpoint = Checkpoint::open(&note, &keys.all_verifiers()).map_err(|error| damaged(error.to_string()))?;
        let (covered, size) = (checkpoint.size, tiles.size());
        if covered > size {
            return Err(damaged(format!(
                "it covers {covered} entries, and the log has {size}: what came after was lost. `adjutant store restore \
                 --new-log` begins another log"
            )));
        }
        let root = Reader::new(tiles, covered).root().map_err(|error| damaged(error.to_string()))?;
        if root != checkpoint.root {
            return Err(damaged(format!(
                "the first {covered} entries of the log are not those that it was signed for"
            )));
        }
        Ok(())
    }

    /// The tiles as they are on disk, and what of the journal they lack.
    pub(super) fn resume_log(&self, size: u64) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::Failed(format!("the folder of the audit log, {LOG}: {error}"));
        self.files.make_dir(LOG).and_then(|()| self.files.make_dir(ALL)).map_err(failed)?;
        let keys = self.keys_of_log()?;
        let files = self.files.as_ref();
        let (mut newest, mut count) = (newest(files).map_err(failed)?, 0);
        if let Some((last, is_among)) = last(files, newest.as_deref()).map_err(failed)? {
            count = last.number;
            // A kill came between the two. What is among none of them stays: it may cover what was lost.
            if is_among && newest.as_ref() != Some(&last.note) {
                place::replace_in(files, LOG, NEWEST, last.note.as_bytes()).map_err(failed)?;
                newest = Some(last.note);
            }
        }
        let mut covering = None;
        if let Some(note) = newest {
            let checkpoint = Checkpoint::open(&note, &keys.all_verifiers());
            let checkpoint = checkpoint.map_err(|error| StoreError::Damaged(format!("{LOG}/{NEWEST}: {error}")))?;
            covering = Some((checkpoint, note));
        }
        let newest = covering;
        if newest.is_none() && size > 0 {
            tracing::warn!(
                entries = size,
                "no checkpoint of the audit log is there, and it has entries: what is there is signed now, and whether something was \
                 cut off before is shown by a checkpoint that was kept elsewhere alone"
            );
        }
        let covered = newest.as_ref().map_or(0, |(newest, _)| newest.size);
        if covered > size {
            return Err(StoreError::Damaged(format!(
                "the newest checkpoint covers {covered} entries, and the log has {size}: it was rolled back"
            )));
        }
        let mut tiles = TileFiles::of_log(Arc::clone(&self.files)).map_err(failed)?;
        if let Err(error) = tiles.resume(covered) {
            tracing::warn!(%error, "the tiles of the audit log are made anew from the journal");
            tiles = TileFiles::of_log(Arc::clone(&self.files)).map_err(failed)?;
        }
        self.read_leaves(&mut tiles, size)?;
        if let Some((newest, _)) = &newest {
            let is_signed =
                |tiles: &mut TileFiles| Reader::new(tiles, newest.size).root().map(|root| root == newest.root);
            if !is_signed(&mut tiles).map_err(failed)? {
                // A tile may be another, where the journal is as it was.
                tiles = TileFiles::of_log(Arc::clone(&self.files)).map_err(failed)?;
                self.read_leaves(&mut tiles, size)?;
                if !is_signed(&mut tiles).map_err(failed)? {
                    let covered = newest.size;
                    return Err(StoreError::Damaged(format!(
                        "the first {covered} entries of the log are not those that {LOG}/{NEWEST} was signed for"
                    )));
                }
                tracing::warn!("a tile of the audit log was not as it was written: all are made anew from the journal");
            }
        }
        // Not before: where the journal is another, the tiles still prove what it was.
        tiles.write().map_err(failed)?;
        self.compare_elsewhere(&mut tiles, &keys)?;
        *lock(&self.checkpoints.log) = Some(Log { tiles, taken: Leaves::default(), newest, count });
        Ok(())
    }

    /// The leaves that the journal has beyond these.
    fn read_leaves(&self, tiles: &mut TileFiles, size: u64) -> Result<(), StoreError> {
        let from = tiles.size();
        let start = self.index.ask(|found| found.before_entry(from)).flatten();
        let start = start.unwrap_or(FIRST_NUMBER).max(self.reader.first_number());
        let mut take = |index: u64, leaf: Hash| {
            // What could not be read has an empty place, as it has in the tree of a store that was opened all the same.
            while tiles.size() < index.min(size) && index >= from {
                tiles.push_unread();
            }
            if index == tiles.size() && index < size {
                tiles.push(leaf);
            }
        };
        for read in self.reader.scan(start) {
            // What is damaged was accepted when the store was opened.
            let Ok(record) = read else { continue };
            match Stored::decode(record.kind, record.version, &record.payload) {
                Some(Stored::Delivery(delivery)) => take(delivery.head.index, delivery.head.leaf),
                Some(Stored::Changes(changes)) => {
                    for (index, entry) in (changes.first_index..).zip(&changes.entries) {
                        take(index, entry.leaf);
                    }
                }
                None => {}
            }
        }
        let found = tiles.size();
        if found < size {
            return Err(StoreError::Damaged(format!("of {size} entries only {found} are in the journal")));
        }
        Ok(())
    }
}
