//! `adjutant audit verify --export`: a folder that `audit export --format tlog` wrote, with nothing else but the key of the log.
//!
//! Every tile is recomputed, every line hashed, and the tree compared with the checkpoint and with those that were kept elsewhere. A
//! part of the log is in memory at a time.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::tlog::{CHECKPOINT, KEYS};
use super::verify::{Anchor, FAULTS_MAX, Verified, Verify, keys_of};
use crate::audit::bundle;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::note::Verifier;
use crate::audit::tile::{Edge, Reader, TileId, Tiles, WIDTH, of_bytes, root_of};
use crate::audit::tree::{Frontier, Hash, leaf_hash};
use crate::cli::store::{bar, elsewhere};
use crate::cli::{Exit, Failure};
use crate::store::local::Elsewhere;

/// Of a file: a bundle of the longest lines has less.
const BYTES_MAX: u64 = 32 << 20;

pub(super) fn verify(folder: &Path, asked: &Verify) -> Result<Verified, Failure> {
    let mut check = Check { folder: folder.to_owned(), faults: Vec::new(), ranges: Vec::new() };
    let keys = match &asked.key {
        Some(keys) => keys.0.clone(),
        None => keys_of(&read(&folder.join(KEYS))?),
    };
    let note = read(&folder.join(CHECKPOINT))?;
    let head = match Checkpoint::open(&note, &keys) {
        Ok(head) => head,
        Err(error) => {
            check.tell(format!("{CHECKPOINT}: {error}"));
            // What it says is compared all the same, to name what is wrong.
            let unread = || Failure::new(Exit::Failed, format!("{}: {error}", folder.join(CHECKPOINT).display()));
            Checkpoint::parse_note(&note).ok_or_else(unread)?
        }
    };
    let mut anchors = check.anchors(&head, asked, &keys)?;
    let (mut tree, mut edge) = match &asked.since {
        Some(since) => check.before(since, &head, &anchors),
        None => (Frontier::default(), Edge::default()),
    };
    let from = tree.size();
    let bar = bar("verifying", "entries");
    let mut compare = |tree: &Frontier, check: &mut Check| {
        for fault in anchors.iter_mut().filter_map(|anchor| anchor.compare(tree)) {
            check.tell(fault);
        }
    };
    compare(&tree, &mut check);
    // What is said of a size may be a lie: nobody goes on for ever after what is not there.
    while tree.size() < head.size && check.faults.len() < FAULTS_MAX {
        for leaf in check.leaves(tree.size() / WIDTH, head.size) {
            tree.push(leaf);
            edge.push(leaf, |tile, hashes| check.compare(&tile.path(), tile, hashes));
            compare(&tree, &mut check);
        }
        bar.tell(tree.size(), head.size);
    }
    for level in 1_u8..8 {
        let hashes = edge.partial(level);
        let shift = u32::from(level).saturating_add(1).saturating_mul(8);
        let tile = TileId { level, index: head.size.checked_shr(shift).unwrap_or(0) };
        if !hashes.is_empty() {
            check.compare(&tile.partial_path(tile.width(head.size)), tile, hashes);
        }
    }
    let missing = anchors.iter().filter(|anchor| anchor.checkpoint.size >= from);
    let missing: Vec<String> = missing.filter_map(|anchor| anchor.missing(head.size)).collect();
    for fault in missing {
        check.tell(fault);
    }
    let met = anchors.iter().filter(|anchor| anchor.is_met);
    let checkpoints = met.map(|anchor| format!("{}, of {} entries", anchor.name, anchor.checkpoint.size)).collect();
    let Check { faults, ranges, .. } = check;
    let pruned = ranges.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1)).sum();
    let (good, entries, root) = (faults.is_empty(), head.size, hex::encode(tree.root()));
    Ok(Verified { good, from, entries, pruned, root, checkpoints, faults, by_hash_alone: Some(ranges) })
}

struct Check {
    folder: PathBuf,
    faults: Vec<String>,
    /// Of entries that are known by their hash alone: first and last.
    ranges: Vec<(u64, u64)>,
}

/// A file of the folder.
fn read(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| Failure::new(Exit::Io, format!("cannot read {}: {error}", path.display())))
}

impl Check {
    fn tell(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// What the tree has to agree with: what the folder says, and what was kept elsewhere.
    fn anchors(&mut self, head: &Checkpoint, asked: &Verify, keys: &[Verifier]) -> Result<Vec<Anchor>, Failure> {
        let by =
            if asked.key.is_some() { "" } else { ", by the key that lies beside it (--key takes the one you know)" };
        let own = Anchor { name: format!("its checkpoint{by}"), checkpoint: head.clone(), is_met: false };
        let mut anchors = vec![own];
        for path in [&asked.against, &asked.since].into_iter().flatten() {
            let Elsewhere { name, note, .. } = elsewhere(path, Vec::new())?;
            match Anchor::new(name, &note, keys) {
                Ok(anchor) => anchors.push(anchor),
                Err(fault) => self.tell(fault),
            }
        }
        Ok(anchors)
    }

    /// The tree up to the last full tile of what was verified before, as the tiles have it.
    fn before(&mut self, since: &Path, head: &Checkpoint, anchors: &[Anchor]) -> (Frontier, Edge) {
        let name = since.display().to_string();
        let known = anchors.iter().find(|anchor| anchor.name == name).map(|anchor| &anchor.checkpoint);
        let Some(known) = known.filter(|known| known.size <= head.size) else { return Default::default() };
        let mut files = Files { folder: &self.folder, size: head.size };
        let size = known.size.saturating_sub(known.size % WIDTH);
        let start = Reader::new(&mut files, size).frontier().and_then(|tree| Ok((tree, files.edge(size)?)));
        // Whether they are what was signed shows where the tree meets that.
        start.map_err(|fault| self.tell(fault)).unwrap_or_default()
    }

    /// The leaves of a tile: as it has them, and where it cannot be read, as the lines hash to.
    fn leaves(&mut self, index: u64, size: u64) -> Vec<Hash> {
        let tile = TileId { level: 0, index };
        let width = tile.width(size);
        let count = usize::try_from(width).unwrap_or(usize::MAX);
        let place = if width < WIDTH { tile.partial_path(width) } else { tile.path() };
        let hashes = Files { folder: &self.folder, size }.hashes(tile, width);
        let hashes = hashes.map_err(|fault| self.tell(fault)).ok();
        let path = bundle::path(index, width);
        let bytes = file(&self.folder, &path).map_err(|fault| self.tell(fault)).ok();
        let lines = bytes.as_deref().and_then(|bytes| bundle::read(bytes, count));
        if bytes.is_some() && lines.is_none() {
            self.tell(format!("{path}: it is no bundle of {width} entries"));
        }
        let first = index.saturating_mul(WIDTH);
        let Some(lines) = lines else { return hashes.unwrap_or_else(|| vec![[0; 32]; count]) };
        let mut leaves = Vec::with_capacity(count);
        for (entry, (at, line)) in (first..).zip(lines.into_iter().enumerate()) {
            let kept = hashes.as_ref().and_then(|hashes| hashes.get(at)).copied();
            if line.is_empty() {
                self.by_hash(entry);
                leaves.push(kept.unwrap_or_default());
                continue;
            }
            let hash = leaf_hash(line);
            if kept.is_some_and(|kept| kept != hash) {
                self.tell(format!("entry {entry}: its line in {path} does not hash to what {place} has"));
            }
            leaves.push(kept.unwrap_or(hash));
        }
        leaves
    }

    fn by_hash(&mut self, entry: u64) {
        match self.ranges.last_mut() {
            Some((_, last)) if last.saturating_add(1) == entry => *last = entry,
            _ => self.ranges.push((entry, entry)),
        }
    }

    /// A tile with what those below it make it.
    fn compare(&mut self, path: &str, tile: TileId, hashes: &[Hash]) {
        if tile.level == 0 {
            return;
        }
        let found = match tile_of(&self.folder, path, hashes.len()) {
            Ok(found) => found,
            Err(fault) => return self.tell(fault),
        };
        let Some(at) = found.iter().zip(hashes).position(|(found, hash)| found != hash) else { return };
        let at = tile.index.saturating_mul(WIDTH).saturating_add(u64::try_from(at).unwrap_or(0));
        let entries = 1_u128.checked_shl(u32::from(tile.level).saturating_mul(8)).unwrap_or(0);
        let first = u128::from(at).saturating_mul(entries);
        let last = first.saturating_add(entries).saturating_sub(1);
        self.tell(format!("{path}: the entries {first} to {last} do not hash to what it has"));
    }
}

/// The tiles of a folder that has so many entries.
struct Files<'a> {
    folder: &'a Path,
    size: u64,
}

impl Files<'_> {
    /// The right edge of a tree of so many entries, all of them in full tiles.
    fn edge(&mut self, size: u64) -> Result<Edge, String> {
        let mut levels = Vec::new();
        for level in 0_u8..8 {
            let shift = u32::from(level).saturating_add(1).saturating_mul(8);
            let full = size.checked_shr(shift).unwrap_or(0);
            if full == 0 {
                break;
            }
            let roots = (full.saturating_sub(full % WIDTH)..full)
                .map(|index| self.hashes(TileId { level, index }, WIDTH).map(|hashes| root_of(&hashes)));
            levels.push(roots.collect::<Result<Vec<Hash>, String>>()?);
        }
        Ok(Edge::resume(size, levels))
    }
}

impl Tiles for Files<'_> {
    type Error = String;

    fn hashes(&mut self, tile: TileId, width: u64) -> Result<Vec<Hash>, String> {
        let whole = tile.width(self.size);
        let path = if whole < WIDTH { tile.partial_path(whole) } else { tile.path() };
        let count = usize::try_from(whole).unwrap_or(usize::MAX);
        let mut hashes = tile_of(self.folder, &path, count)?;
        hashes.truncate(usize::try_from(width).unwrap_or(usize::MAX));
        Ok(hashes)
    }
}

fn tile_of(folder: &Path, path: &str, count: usize) -> Result<Vec<Hash>, String> {
    let hashes = of_bytes(&file(folder, path)?).filter(|hashes| hashes.len() == count);
    hashes.ok_or_else(|| format!("{path}: it is no tile of {count} hashes"))
}

fn file(folder: &Path, path: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(folder.join(path)).map_err(|error| format!("{path}: {error}"))?;
    let read = opened.take(BYTES_MAX).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::tlog::Written;
    use super::*;
    use crate::audit::note::Signer;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        asked: Verify,
    }

    fn signer() -> Signer {
        Signer::from_seed("example.com/log", &[3; 32]).unwrap()
    }

    /// Of so many entries; every seventh of the first 300 has no line.
    fn exported(folder: &Path, size: u64) {
        let mut written = Written::new(folder).unwrap();
        for number in 0..size {
            let line = format!("entry {number}");
            let is_kept = number >= 300 || number % 7 > 0;
            written.add(leaf_hash(line.as_bytes()), Some(line.as_bytes()).filter(|_| is_kept)).unwrap();
        }
        let checkpoint = Checkpoint { origin: "example.com/log".to_owned(), size, root: written.end().unwrap() };
        std::fs::write(folder.join(CHECKPOINT), checkpoint.sign(&[&signer()])).unwrap();
        std::fs::write(folder.join(KEYS), format!("{}\n", signer().verifier())).unwrap();
    }

    fn verified(folder: &Path, more: &[&str]) -> Verified {
        let words = [&["verify"], more].concat();
        verify(folder, &Words::try_parse_from(words).unwrap().asked).unwrap()
    }

    #[test]
    fn an_export_of_any_length_is_whole_and_is_verified_from_each_older_checkpoint_on() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [1, 255, 256, 257, 512, 70_000];
        for size in sizes {
            let this = folder.path().join(size.to_string());
            exported(&this, size);
            let found = verified(&this, &[]);
            assert_eq!((found.faults, found.entries), (Vec::new(), size), "{size}");
            assert_eq!(found.pruned, size.min(300).div_ceil(7), "{size}");
            for older in sizes.into_iter().filter(|older| *older <= size) {
                let kept = folder.path().join(older.to_string()).join(CHECKPOINT);
                let kept = kept.to_str().unwrap();
                let found = verified(&this, &["--since", kept]);
                assert_eq!((found.faults, found.from), (Vec::new(), older - older % 256), "{size} since {older}");
                assert_eq!(verified(&this, &["--against", kept]).checkpoints.len(), 2, "{size} against {older}");
            }
        }
        let wide = folder.path().join("70000");
        for (file, said) in [
            ("tile/1/000", "the entries 0 to 255 do not hash"),
            ("tile/1/001.p/17", "the entries 65536 to 65791 do not hash"),
            ("tile/2/000.p/1", "the entries 0 to 65535 do not hash"),
            ("tile/0/100", "entry 25600: its line"),
        ] {
            let path = wide.join(file);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, [&[!whole[0]], &whole[1..]].concat()).unwrap();
            let found = verified(&wide, &[]);
            assert!(
                found.faults.iter().any(|fault| fault.contains(file) && fault.contains(said)),
                "{:?}",
                found.faults
            );
            std::fs::write(&path, whole).unwrap();
        }
        assert!(verified(&wide, &[]).good);
    }
}
