//! A disk in memory that can lose power, fill up and fail, for tests and simulations.
//!
//! As mean as a real one: what was not synced is, after a [cut](SimFiles::cut), there, missing or torn in pieces of 512
//! bytes, in any combination; a name made, changed or taken away without a sync of its folder may be as before; a failed
//! sync drops some of what it should have written and the next one says nothing of it. All of it follows from one seed.
//!
//! What it does not simulate: a folder that is lost (making one is durable at once), and a disk that reorders across a sync.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::files::{File, FileSystem, Files};
use crate::chance::{Chance, SeededChance};
use crate::clock::lock;
use crate::store::{narrow, wide};

const SECTOR_BYTES: usize = 512;
const EIO: i32 = 5;

/// The simulated disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimFiles {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug)]
struct Disk {
    chance: SeededChance,
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    folders: BTreeSet<String>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    free: u64,
    copy_on_write: bool,
    failing_syncs: u32,
    lying_syncs: bool,
    changes_left: Option<u64>,
    off: bool,
    syncs: u64,
}

#[derive(Debug, Default)]
struct Node {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
    /// A sync of the whole file system failed for it: its own tells that as well, once.
    failed: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Len(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Made { path: String, node: u64 },
    Renamed { from: String, to: String, node: u64 },
    Removed { path: String },
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Len(len) => content.resize(*len, 0),
            Self::Write { at, bytes } => write(content, *at, bytes),
        }
    }

    /// What a cut may leave of it: all, nothing, or some sectors.
    fn apply_by_chance(&self, content: &mut Vec<u8>, chance: &SeededChance) {
        match (chance.next_u64() % 3, self) {
            (0, _) => {}
            (1, Self::Write { at, bytes }) => {
                let (mut at, mut rest) = (*at, bytes.as_slice());
                while !rest.is_empty() {
                    let len = (SECTOR_BYTES - at % SECTOR_BYTES).min(rest.len());
                    let (sector, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
                    if chance.next_u64().is_multiple_of(2) {
                        write(content, at, sector);
                    }
                    (at, rest) = (at + len, after);
                }
            }
            _ => self.apply(content),
        }
    }
}

fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    content.resize(content.len().max(at + bytes.len()), 0);
    if let Some(place) = content.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Made { path, node } => drop(names.insert(path.clone(), *node)),
            Self::Removed { path } => drop(names.remove(path)),
            Self::Renamed { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }

    fn is_in(&self, dir: &str) -> bool {
        let (Self::Made { path, .. } | Self::Renamed { to: path, .. } | Self::Removed { path }) = self;
        path.rsplit_once('/').is_some_and(|(folder, _)| folder == dir)
    }
}

impl SimFiles {
    /// An empty disk with plenty of room.
    pub fn new(seed: u64) -> Self {
        Self::with(Disk {
            chance: SeededChance::new(seed),
            nodes: BTreeMap::new(),
            next_node: 0,
            folders: BTreeSet::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            free: u64::MAX / 2,
            copy_on_write: false,
            failing_syncs: 0,
            lying_syncs: false,
            changes_left: None,
            off: false,
            syncs: 0,
        })
    }

    fn with(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    /// The disk after a power cut: what was synced, and of the rest what chance left. This one stays as it is.
    #[must_use]
    pub fn cut(&self) -> Self {
        let disk = self.disk();
        let mut names = disk.durable_names.clone();
        for change in &disk.name_changes {
            if disk.chance.next_u64().is_multiple_of(2) {
                change.apply(&mut names);
            }
        }
        let mut nodes = BTreeMap::new();
        for id in names.values() {
            if let Some(node) = disk.nodes.get(id) {
                let bytes = node.after_cut(&disk.chance);
                nodes.insert(*id, Node { durable: bytes.clone(), bytes, changes: Vec::new(), failed: false });
            }
        }
        let after = Self::new(disk.chance.next_u64());
        {
            let mut fresh = after.disk();
            (fresh.nodes, fresh.next_node, fresh.folders) = (nodes, disk.next_node, disk.folders.clone());
            (fresh.durable_names, fresh.names) = (names.clone(), names);
        }
        after
    }

    /// The power goes off at the `changes`th change from now (0: the next one); of that one, too, anything may be left.
    pub fn power_off_after(&self, changes: u64) {
        self.disk().changes_left = Some(changes);
    }

    /// Whether the power went off.
    pub fn is_off(&self) -> bool {
        self.disk().off
    }

    /// Leaves so many bytes to write.
    pub fn set_free(&self, bytes: u64) {
        self.disk().free = bytes;
    }

    /// From now on every write takes room, also over what is there, as on a file system that copies on write.
    pub fn set_copy_on_write(&self, on: bool) {
        self.disk().copy_on_write = on;
    }

    /// The next `count` syncs of files or folders fail with EIO.
    pub fn fail_syncs(&self, count: u32) {
        self.disk().failing_syncs = count;
    }

    /// Syncs of content say that they are done and do nothing: the null control of a test of durability.
    pub fn set_lying_syncs(&self, on: bool) {
        self.disk().lying_syncs = on;
    }

    /// How many syncs of content were asked for.
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// Turns one bit round, on the disk and in the cache; `false` where there is no such bit.
    pub fn flip_bit(&self, path: &str, byte: u64, bit: u8) -> bool {
        self.change(path, |content| {
            content.get_mut(narrow(byte)).map(|byte| *byte ^= 1_u8.rotate_left(u32::from(bit))).is_some()
        })
    }

    /// Writes over a file, on the disk and in the cache, as damage does; what goes beyond its end is lost.
    pub fn scribble(&self, path: &str, at: u64, bytes: &[u8]) -> bool {
        self.change(path, |content| {
            let place = content.iter_mut().skip(narrow(at));
            place.zip(bytes).for_each(|(to, from)| *to = *from);
            true
        })
    }

    /// Cuts a file off, on the disk and in the cache.
    pub fn shorten(&self, path: &str, bytes: u64) -> bool {
        self.change(path, |content| {
            content.truncate(narrow(bytes));
            true
        })
    }

    /// A file's content as a reader sees it.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.nodes.get(disk.names.get(path)?).map(|node| node.bytes.clone())
    }

    fn change(&self, path: &str, change: impl Fn(&mut Vec<u8>) -> bool) -> bool {
        let mut disk = self.disk();
        let id = disk.names.get(path).copied();
        let node = id.and_then(|id| disk.nodes.get_mut(&id));
        node.is_some_and(|node| change(&mut node.bytes) & change(&mut node.durable))
    }

    fn file(&self, node: u64) -> Arc<dyn File> {
        Arc::new(SimFile { disk: Arc::clone(&self.disk), node })
    }
}

impl Node {
    /// The unsynced changes in any order, each of them there, missing or torn.
    fn after_cut(&self, chance: &SeededChance) -> Vec<u8> {
        let mut content = self.durable.clone();
        let mut changes: Vec<_> = self.changes.iter().map(|change| (chance.next_u64(), change)).collect();
        changes.sort_by_key(|(order, _)| *order);
        for (_, change) in changes {
            change.apply_by_chance(&mut content, chance);
        }
        content
    }
}

impl Disk {
    /// Before a change or a sync. `Ok(true)`: this is the one at which the power goes off.
    fn tick(&mut self) -> io::Result<bool> {
        self.powered()?;
        if let Some(left) = &mut self.changes_left {
            if *left == 0 {
                self.off = true;
                return Ok(true);
            }
            *left -= 1;
        }
        Ok(false)
    }

    fn powered(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn done(dying: bool) -> io::Result<()> {
        if dying { Err(io::Error::other("the power went off")) } else { Ok(()) }
    }

    fn node(&mut self, id: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn named(&self, path: &str) -> io::Result<u64> {
        self.powered()?;
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Changes a file, as far as there is room.
    fn change(&mut self, id: u64, change: Change) -> io::Result<()> {
        let dying = self.tick()?;
        let len = self.node(id)?.bytes.len();
        let (copy_on_write, free, luck) = (self.copy_on_write, narrow(self.free), self.chance.next_u64());
        let (wanted, fitting) = match &change {
            Change::Len(to) => (to.saturating_sub(len), None),
            Change::Write { at, bytes } if copy_on_write => (bytes.len(), Some((*at, bytes))),
            Change::Write { at, bytes } => ((at + bytes.len()).saturating_sub(len), Some((*at, bytes))),
        };
        if wanted > free {
            // Some of the write may have gone in before there was no more room.
            if let Some((at, bytes)) = fitting {
                let room = narrow(luck) % (bytes.len() - (wanted - free) + 1);
                let part = Change::Write { at, bytes: bytes.get(..room).unwrap_or_default().to_vec() };
                self.record(id, part)?;
            }
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.free = self.free.saturating_sub(wide(wanted));
        if let Change::Len(to) = &change {
            self.free = self.free.saturating_add(wide(len.saturating_sub(*to)));
        }
        self.record(id, change)?;
        Self::done(dying)
    }

    fn record(&mut self, id: u64, change: Change) -> io::Result<()> {
        let node = self.node(id)?;
        change.apply(&mut node.bytes);
        node.changes.push(change);
        Ok(())
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        let dying = self.tick()?;
        Self::done(dying)?;
        self.syncs = self.syncs.saturating_add(1);
        if self.lying_syncs {
            return Ok(());
        }
        let failing = self.failing_syncs > 0;
        self.failing_syncs = self.failing_syncs.saturating_sub(1);
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        if std::mem::take(&mut node.failed) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        if failing {
            // Some of it is lost, and nobody will try again: the cache believes that it is clean.
            node.durable = node.after_cut(&self.chance);
            node.changes.clear();
            return Err(io::Error::from_raw_os_error(EIO));
        }
        for change in node.changes.drain(..) {
            change.apply(&mut node.durable);
        }
        Ok(())
    }

    fn rename(&mut self, change: NameChange) -> io::Result<()> {
        let dying = self.tick()?;
        // Taking away the last name of a file gives its room back.
        let gone = match &change {
            NameChange::Removed { path } | NameChange::Renamed { to: path, .. } => self.names.get(path),
            NameChange::Made { .. } => None,
        };
        let freed = gone.and_then(|id| self.nodes.get(id)).map_or(0, |node| wide(node.bytes.len()));
        self.free = self.free.saturating_add(freed);
        change.apply(&mut self.names);
        self.name_changes.push(change);
        Self::done(dying)
    }
}

impl Files for SimFiles {
    fn make_dir(&self, dir: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.powered()?;
        disk.folders.insert(dir.to_owned());
        Ok(())
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !disk.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if let Ok(node) = disk.named(path) {
            disk.change(node, Change::Len(0))?;
            return Ok(self.file(node));
        }
        let node = disk.next_node;
        disk.next_node = node.saturating_add(1);
        disk.nodes.insert(node, Node::default());
        disk.rename(NameChange::Made { path: path.to_owned(), node })?;
        Ok(self.file(node))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let node = self.disk().named(path)?;
        Ok(self.file(node))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let disk = self.disk();
        disk.powered()?;
        let inside = |path: &String| path.strip_prefix(dir)?.strip_prefix('/').map(str::to_owned);
        Ok(disk.names.keys().filter_map(inside).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        let node = disk.named(from)?;
        disk.rename(NameChange::Renamed { from: from.to_owned(), to: to.to_owned(), node })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.named(path)?;
        disk.rename(NameChange::Removed { path: path.to_owned() })
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut disk = self.disk();
        let dying = disk.tick()?;
        Disk::done(dying)?;
        let failing = disk.failing_syncs > 0;
        disk.failing_syncs = disk.failing_syncs.saturating_sub(1);
        let changes = std::mem::take(&mut disk.name_changes);
        for change in changes {
            if !change.is_in(dir) {
                disk.name_changes.push(change);
            } else if !failing || disk.chance.next_u64().is_multiple_of(2) {
                change.apply(&mut disk.durable_names);
            }
        }
        if failing { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }

    fn file_system(&self, _dir: &str) -> io::Result<Option<Box<dyn FileSystem>>> {
        Ok(Some(Box::new(self.clone())))
    }

    fn free_space(&self) -> io::Result<u64> {
        Ok(self.disk().free)
    }
}

impl FileSystem for SimFiles {
    fn sync(&self) -> io::Result<()> {
        let (nodes, folders) = {
            let disk = self.disk();
            (disk.nodes.keys().copied().collect::<Vec<_>>(), disk.folders.clone())
        };
        // All of it, whatever fails on the way.
        let mut done = Ok(());
        for id in nodes {
            let synced = self.disk().sync(id);
            if let (true, Ok(node)) = (synced.is_err(), self.disk().node(id)) {
                node.failed = true;
            }
            done = done.and(synced);
        }
        for folder in folders {
            done = done.and(self.sync_dir(&folder));
        }
        done
    }
}

#[derive(Debug)]
struct SimFile {
    disk: Arc<Mutex<Disk>>,
    node: u64,
}

impl File for SimFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        lock(&self.disk).change(self.node, Change::Write { at: narrow(offset), bytes: bytes.to_vec() })
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        disk.powered()?;
        let start = narrow(offset);
        let content = disk.node(self.node)?.bytes.get(start..start.saturating_add(bytes.len()));
        bytes.copy_from_slice(content.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(wide(lock(&self.disk).node(self.node)?.bytes.len()))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        lock(&self.disk).change(self.node, Change::Len(narrow(bytes)))
    }

    fn sync_data(&self) -> io::Result<()> {
        lock(&self.disk).sync(self.node)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
