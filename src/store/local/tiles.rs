//! The tiles of the audit log as files, as C2SP `tlog-tiles` names them: `log/tile/0/x001/234`.
//!
//! They follow from the journal, and outlast it: where entries are pruned, tiles still prove those that are left. A full tile is
//! written once; those that are not full yet are in memory, and made anew at a start.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::outbox::Leaves;
use crate::audit::tile::{BYTES, Edge, TileId, Tiles, WIDTH, of_bytes, root_of, to_bytes};
use crate::audit::tree::Hash;
use crate::store::journal::files::{FileSystem, Files};
use crate::store::wide;

/// So many written files take less of the processor and the disk in one sync of their whole file system than each in its own.
/// Fewer are not to wait for what others write there.
const MANY_TILES: usize = 64;

/// Folder of all that others may read of the log: tiles and checkpoints.
pub(super) const LOG: &str = "log";

fn path(tile: TileId) -> String {
    format!("{LOG}/{}", tile.path())
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The tree in tiles: full ones in files, the others in memory.
#[derive(Debug)]
pub(super) struct TileFiles {
    files: Arc<dyn Files>,
    edge: Edge,
    /// Full, and not written yet.
    waiting: BTreeMap<TileId, Vec<Hash>>,
    /// Written, and not synced yet.
    unsynced: Vec<TileId>,
    /// By which many are synced at once. None where each is by itself.
    file_system: Option<Box<dyn FileSystem>>,
    folders: BTreeSet<String>,
    /// Entries that cannot be read have empty places: roots that know them do not fit.
    has_gaps: bool,
}

impl TileFiles {
    /// Each tile is synced by itself.
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        let (edge, waiting, folders) = (Edge::default(), BTreeMap::new(), BTreeSet::new());
        Self { files, edge, waiting, unsynced: Vec::new(), file_system: None, folders, has_gaps: false }
    }

    /// Many are synced at once. The folder has to be there.
    pub(super) fn of_log(files: Arc<dyn Files>) -> io::Result<Self> {
        let file_system = files.file_system(LOG)?;
        Ok(Self { file_system, ..Self::new(files) })
    }

    /// From now on each is synced by itself: nobody waits for what others write.
    pub(super) fn sync_each(&mut self) {
        self.file_system = None;
    }

    /// With what the full tiles of a tree of so many leaves say: the edge as it was at the last leaf that one of them has.
    /// Where one is missing or not whole, an error.
    pub(super) fn resume(&mut self, size: u64) -> io::Result<()> {
        let mut levels = Vec::new();
        for level in 0_u8.. {
            // So many tiles of this level are full; those of the level above have their roots.
            let shift = u32::from(level).saturating_add(1).saturating_mul(8);
            let full = size.checked_shr(shift).unwrap_or(0);
            if full == 0 {
                break;
            }
            let mut hashes = Vec::new();
            for index in full.saturating_sub(full % WIDTH)..full {
                hashes.push(root_of(&self.full(TileId { level, index })?));
            }
            levels.push(hashes);
        }
        self.edge = Edge::resume(size.saturating_sub(size % WIDTH), levels);
        Ok(())
    }

    pub(super) const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Adds a leaf.
    pub(super) fn push(&mut self, leaf: Hash) {
        let Self { edge, waiting, .. } = self;
        edge.push(leaf, |tile, hashes| drop(waiting.insert(tile, hashes.to_vec())));
    }

    /// Adds an empty place.
    pub(super) fn push_unread(&mut self) {
        self.has_gaps = true;
        self.push([0; 32]);
    }

    /// Takes all leaves out, and writes the tiles that they complete. What cannot be written waits in memory.
    pub(super) fn take(&mut self, leaves: &mut Leaves) {
        let Self { files, edge, waiting, unsynced, folders, has_gaps, .. } = self;
        let Leaves { hashes, roots } = leaves;
        let mut roots = roots.drain(..).filter(|_| !*has_gaps);
        for leaf in hashes.drain(..) {
            edge.push_with(leaf, &mut roots, |tile, hashes| {
                if waiting.is_empty() && put(files.as_ref(), folders, tile, hashes).is_ok() {
                    unsynced.push(tile);
                } else {
                    waiting.insert(tile, hashes.to_vec());
                }
            });
        }
    }

    /// Writes the tiles that wait. What fails is tried again the next time.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let Self { files, waiting, unsynced, folders, .. } = self;
        while let Some(next) = waiting.first_entry() {
            put(files.as_ref(), folders, *next.key(), next.get())?;
            unsynced.push(*next.key());
            next.remove();
        }
        Ok(())
    }

    /// All full tiles are on disk when this returns.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        let synced = self.sync_written();
        if synced.is_err() {
            // Another sync could succeed without them: the system takes for written what it failed to write.
            self.sync_each();
            for tile in std::mem::take(&mut self.unsynced) {
                match self.full(tile) {
                    Ok(hashes) => drop(self.waiting.insert(tile, hashes)),
                    Err(_) => self.unsynced.push(tile),
                }
            }
        }
        synced
    }

    fn sync_written(&mut self) -> io::Result<()> {
        let mut folders = BTreeSet::new();
        // What failed need not be a tile: then each is asked for by itself.
        if self.unsynced.len() >= MANY_TILES && self.file_system.as_ref().is_some_and(|all| all.sync().is_ok()) {
            self.unsynced.clear();
        }
        for tile in &self.unsynced {
            let path = path(*tile);
            self.files.open(&path)?.sync_all()?;
            folders.insert(folder(&path).to_owned());
        }
        for folder in folders {
            self.files.sync_dir(&folder)?;
        }
        self.unsynced.clear();
        Ok(())
    }

    fn full(&self, tile: TileId) -> io::Result<Vec<Hash>> {
        read_tile(self.files.as_ref(), tile)
    }
}

/// Writes one.
fn put(files: &dyn Files, folders: &mut BTreeSet<String>, tile: TileId, hashes: &[Hash]) -> io::Result<()> {
    let path = path(tile);
    make_folders(files, folders, &path)?;
    files.create(&path)?.write_all_at(to_bytes(hashes), 0)
}

/// Makes those that a file is in, but for those that are known to be there.
fn make_folders(files: &dyn Files, known: &mut BTreeSet<String>, path: &str) -> io::Result<()> {
    for (place, _) in path.match_indices('/') {
        let folder = path.get(..place).unwrap_or_default();
        if !known.contains(folder) {
            files.make_dir(folder)?;
            known.insert(folder.to_owned());
        }
    }
    Ok(())
}

/// A full tile, from its file.
pub(super) fn read_tile(files: &dyn Files, tile: TileId) -> io::Result<Vec<Hash>> {
    let path = path(tile);
    let damaged = || io::Error::other(format!("{path} is not a whole tile"));
    let file = files.open(&path)?;
    if file.size()? != wide(BYTES) {
        return Err(damaged());
    }
    let mut bytes = vec![0; BYTES];
    file.read_exact_at(&mut bytes, 0)?;
    of_bytes(&bytes).ok_or_else(damaged)
}

/// Copies all full tiles of a tree of so many leaves. One that is damaged is not there in the copy either.
pub(super) fn copy(files: &dyn Files, to: &Arc<dyn Files>, size: u64) -> io::Result<()> {
    let mut copy = TileFiles::new(Arc::clone(to));
    for level in 0_u8.. {
        let full = size.checked_shr(u32::from(level).saturating_add(1).saturating_mul(8)).unwrap_or(0);
        if full == 0 {
            break;
        }
        for index in 0..full {
            let tile = TileId { level, index };
            if let Ok(hashes) = read_tile(files, tile) {
                copy.waiting.insert(tile, hashes);
            }
            // So that memory holds a few.
            if index % WIDTH == 0 {
                copy.sync()?;
            }
        }
    }
    copy.sync()
}

impl Tiles for TileFiles {
    type Error = io::Error;

    fn hashes(&mut self, tile: TileId, width: u64) -> io::Result<Vec<Hash>> {
        let mut hashes = match self.waiting.get(&tile) {
            Some(hashes) => hashes.clone(),
            None if tile.width(self.edge.size()) < WIDTH => self.edge.partial(tile.level).to_vec(),
            None => self.full(tile)?,
        };
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        if hashes.len() < width {
            return Err(io::Error::other(format!("{} has {} hashes, and not {width}", tile.path(), hashes.len())));
        }
        hashes.truncate(width);
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::simulated::SimFiles;

    fn leaf(number: u64) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    /// All tiles of so many leaves are on the disk, also after a power cut.
    fn holds(disk: &SimFiles, leaves: u64) {
        let after = disk.cut();
        for index in 0..leaves / WIDTH {
            let hashes = read_tile(&after, TileId { level: 0, index }).unwrap();
            assert!(hashes.into_iter().zip(index * WIDTH..).all(|(hash, number)| hash == leaf(number)), "tile {index}");
        }
    }

    #[test]
    fn a_tile_whose_sync_failed_is_written_again_before_another_counts() {
        for (seed, count) in (0..20).flat_map(|seed| [(seed, 1), (seed, wide(MANY_TILES))]) {
            let disk = SimFiles::new(seed);
            disk.make_dir(LOG).unwrap();
            let mut tiles = TileFiles::of_log(Arc::new(disk.clone())).unwrap();
            (0..count * WIDTH).for_each(|number| tiles.push(leaf(number)));
            disk.fail_syncs(1);
            let synced = (0..10).find(|_| tiles.sync().is_ok());
            assert!(synced > Some(0), "seed {seed}: some failed: {synced:?}");
            holds(&disk, count * WIDTH);
        }
    }

    #[test]
    fn tiles_that_find_no_room_wait_and_are_written_when_there_is_some() {
        let disk = SimFiles::new(3);
        disk.make_dir(LOG).unwrap();
        let mut tiles = TileFiles::of_log(Arc::new(disk.clone())).unwrap();
        let mut next = 0;
        let mut take = |tiles: &mut TileFiles, count: u64| {
            let hashes = (next..next + count).map(leaf).collect();
            next += count;
            tiles.take(&mut Leaves { hashes, roots: Vec::new() });
        };
        take(&mut tiles, 3 * WIDTH);
        assert_eq!((tiles.unsynced.len(), tiles.waiting.len()), (3, 0));
        disk.set_free(wide(BYTES) + 100);
        take(&mut tiles, 3 * WIDTH + 7);
        assert_eq!((tiles.unsynced.len(), tiles.waiting.len()), (4, 2), "and what comes later waits behind it");
        assert!(tiles.sync().is_err());
        disk.set_free(u64::MAX / 2);
        take(&mut tiles, WIDTH);
        tiles.sync().unwrap();
        holds(&disk, 7 * WIDTH);
    }
}
