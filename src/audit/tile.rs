//! The Merkle tree in tiles of C2SP `tlog-tiles`: files of 256 hashes, from which every proof follows.
//!
//! A full tile never changes. [`Edge`] is the right edge of the tree: all tiles that are not full yet, to which leaves are
//! added, and which gives out each tile as it becomes full.

use std::collections::HashMap;

use super::tree::{Frontier, Hash, node_hash};

/// Hashes of a full tile.
pub const WIDTH: u64 = 256;
/// A tile is a subtree of this height.
pub(super) const HEIGHT: u32 = 8;
/// Of a full tile.
pub const BYTES: usize = 8_192;

/// Which tile: hashes of complete subtrees of `256^level` leaves, from number `256 * index` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    pub level: u8,
    pub index: u64,
}

impl TileId {
    /// Below the log's prefix, as in `tile/0/x001/234`.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, number_in_path(self.index))
    }

    /// The same of one that has so many hashes as yet.
    pub fn partial_path(self, width: u64) -> String {
        format!("{}.p/{width}", self.path())
    }

    /// How many hashes it has in a tree of so many leaves: 256 where it is full, 0 where it is not there.
    pub fn width(self, size: u64) -> u64 {
        let shift = HEIGHT.saturating_mul(u32::from(self.level));
        let hashes = size.checked_shr(shift).unwrap_or(0);
        hashes.saturating_sub(self.index.saturating_mul(WIDTH)).min(WIDTH)
    }
}

/// A number as three digits in each part of a path: `x001/x234/067`.
pub fn number_in_path(number: u64) -> String {
    let (mut rest, mut path) = (number / 1_000, format!("{:03}", number % 1_000));
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    path
}

/// The number that a path means; none where it is not written as [`number_in_path`] writes it.
pub fn number_of_path(path: &str) -> Option<u64> {
    let mut number = 0_u64;
    for part in path.split('/') {
        let digits = part.strip_prefix('x').unwrap_or(part);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        number = number.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    (number_in_path(number) == path).then_some(number)
}

/// The right edge of a tree: of each level the tile that is not full yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// Of a tree of so many leaves, all of them in full tiles: with the roots of those that no full tile above has.
    pub fn resume(size: u64, roots: Vec<Vec<Hash>>) -> Self {
        let mut levels = vec![Vec::new()];
        levels.extend(roots);
        Self { size, levels }
    }

    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf. `full` is given each tile that it completes, the lowest level first.
    pub fn push(&mut self, leaf: Hash, full: impl FnMut(TileId, &[Hash])) {
        self.push_with(leaf, &mut std::iter::empty(), full);
    }

    /// The same. `roots` are those over the tiles that become full, where they are known already.
    pub fn push_with(
        &mut self,
        leaf: Hash,
        roots: &mut impl Iterator<Item = Hash>,
        mut full: impl FnMut(TileId, &[Hash]),
    ) {
        let number = self.size;
        self.size = self.size.saturating_add(1);
        let (mut hash, mut shift) = (leaf, HEIGHT);
        for level in 0_u8.. {
            let place = usize::from(level);
            if self.levels.len() <= place {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(place) else { return };
            hashes.push(hash);
            if hashes.len() < 256 {
                return;
            }
            full(TileId { level, index: number.checked_shr(shift).unwrap_or(0) }, hashes);
            hash = roots.next().unwrap_or_else(|| root_of(hashes));
            debug_assert_eq!(hash, root_of(hashes));
            hashes.clear();
            shift = shift.saturating_add(HEIGHT);
        }
    }

    /// The hashes of the tile at the edge of this level.
    pub fn partial(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }
}

/// The root over a power of two of hashes.
pub fn root_of(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                [one] => Some(*one),
                _ => None,
            })
            .collect();
    }
    row.first().copied().unwrap_or_default()
}

/// The bytes of a tile.
pub const fn to_bytes(hashes: &[Hash]) -> &[u8] {
    hashes.as_flattened()
}

/// The hashes of a tile's bytes; none where they are not whole.
pub fn of_bytes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

/// Where hashes of tiles come from.
pub trait Tiles {
    type Error;

    /// The first `width` hashes of a tile. Never fewer.
    fn hashes(&mut self, tile: TileId, width: u64) -> Result<Vec<Hash>, Self::Error>;
}

/// A tree of so many leaves, read tile by tile: each once.
#[derive(Debug)]
pub struct Reader<'a, T> {
    tiles: &'a mut T,
    size: u64,
    known: HashMap<TileId, Vec<Hash>>,
}

impl<'a, T: Tiles> Reader<'a, T> {
    pub fn new(tiles: &'a mut T, size: u64) -> Self {
        Self { tiles, size, known: HashMap::new() }
    }

    /// The root of the tree.
    pub fn root(&mut self) -> Result<Hash, T::Error> {
        self.hash_of(0, self.size)
    }

    /// The hashes that lead from a leaf up to the root: RFC 6962, 2.1.1. Empty where there is no such leaf.
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, T::Error> {
        let (mut from, mut until, mut path) = (0, self.size, Vec::new());
        if index >= self.size {
            return Ok(path);
        }
        while until.saturating_sub(from) > 1 {
            let middle = middle(from, until);
            if index < middle {
                path.push(self.hash_of(middle, until)?);
                until = middle;
            } else {
                path.push(self.hash_of(from, middle)?);
                from = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// What shows that the first `old` leaves are those of an older tree: RFC 6962, 2.1.2. Empty where there is nothing to show.
    pub fn consistency(&mut self, old: u64) -> Result<Vec<Hash>, T::Error> {
        let (mut from, mut until, mut path) = (0, self.size, Vec::new());
        if old == 0 || old >= self.size {
            return Ok(path);
        }
        while until != old {
            let middle = middle(from, until);
            if old <= middle {
                path.push(self.hash_of(middle, until)?);
                until = middle;
            } else {
                path.push(self.hash_of(from, middle)?);
                from = middle;
            }
        }
        if from > 0 {
            path.push(self.hash_of(from, until)?);
        }
        path.reverse();
        Ok(path)
    }

    /// The right edge of the tree, to go on from it.
    pub fn frontier(&mut self) -> Result<Frontier, T::Error> {
        let (mut from, mut roots, size) = (0, Vec::new(), self.size);
        for height in (0..u64::BITS).rev().filter(|height| size & (1 << height) != 0) {
            roots.push(self.complete(height, from)?);
            from = from.saturating_add(1 << height);
        }
        Ok(Frontier::resume(size, roots))
    }

    /// Over the leaves of a part of the tree, as the RFC parts it.
    fn hash_of(&mut self, from: u64, until: u64) -> Result<Hash, T::Error> {
        let leaves = until.saturating_sub(from);
        if leaves == 0 {
            return Ok(Frontier::default().root());
        }
        if leaves.is_power_of_two() {
            return self.complete(leaves.trailing_zeros(), from);
        }
        let middle = middle(from, until);
        let (left, right) = (self.hash_of(from, middle)?, self.hash_of(middle, until)?);
        Ok(node_hash(&left, &right))
    }

    /// Of the complete subtree of this height that begins at a leaf.
    fn complete(&mut self, height: u32, from: u64) -> Result<Hash, T::Error> {
        let level = height / HEIGHT;
        let below = height % HEIGHT;
        let first = from.checked_shr(level.saturating_mul(HEIGHT)).unwrap_or(0);
        let tile = TileId { level: u8::try_from(level).unwrap_or(u8::MAX), index: first / WIDTH };
        if !self.known.contains_key(&tile) {
            let hashes = self.tiles.hashes(tile, tile.width(self.size))?;
            self.known.insert(tile, hashes);
        }
        let place = usize::try_from(first % WIDTH).unwrap_or(usize::MAX);
        let hashes = self.known.get(&tile).and_then(|hashes| hashes.get(place..place.saturating_add(1 << below)));
        Ok(hashes.map(root_of).unwrap_or_default())
    }
}

/// Where the RFC parts a tree of more than one leaf: the left side has the greatest power of two that leaves something.
fn middle(from: u64, until: u64) -> u64 {
    let last = until.saturating_sub(from).saturating_sub(1);
    from.saturating_add(1_u64.checked_shl(last.checked_ilog2().unwrap_or(0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::tree::leaf_hash;
    use super::*;

    #[derive(Clone, Default)]
    struct Kept {
        full: HashMap<TileId, Vec<Hash>>,
        edge: Edge,
    }

    impl Kept {
        fn of(leaves: u64) -> Self {
            let mut kept = Self::default();
            for n in 0..leaves {
                let full = &mut kept.full;
                kept.edge.push(leaf_hash(&n.to_be_bytes()), |id, hashes| drop(full.insert(id, hashes.to_vec())));
            }
            kept
        }
    }

    impl Tiles for Kept {
        type Error = Infallible;

        fn hashes(&mut self, tile: TileId, width: u64) -> Result<Vec<Hash>, Infallible> {
            let hashes = self.full.get(&tile).map_or_else(|| self.edge.partial(tile.level), Vec::as_slice);
            Ok(hashes[..usize::try_from(width).unwrap()].to_vec())
        }
    }

    /// The roots of the trees of 0 leaves, 1, 2 …
    fn roots(leaves: u64) -> Vec<Hash> {
        let mut tree = Frontier::default();
        let mut roots = vec![tree.root()];
        for n in 0..leaves {
            tree.push(leaf_hash(&n.to_be_bytes()));
            roots.push(tree.root());
        }
        roots
    }

    fn of(roots: &[Hash], size: u64) -> Hash {
        roots[usize::try_from(size).unwrap()]
    }

    #[test]
    fn numbers_in_paths_are_three_digits_each_and_read_back_only_as_they_are_written() {
        for (number, path) in [(0, "000"), (67, "067"), (999, "999"), (1_000, "x001/000"), (1_234_067, "x001/x234/067")]
        {
            assert_eq!((number_in_path(number).as_str(), number_of_path(path)), (path, Some(number)));
        }
        for wrong in ["", "1", "0000", "x000/001", "001/067", "x001/x067", "-01", "x001//067", "９９９"] {
            assert_eq!(number_of_path(wrong), None, "{wrong}");
        }
        assert_eq!(TileId { level: 2, index: 1_234 }.partial_path(7), "tile/2/x001/234.p/7");
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_that_the_specification_counts() {
        let kept = Kept::of(70_000);
        let full = |level| kept.full.keys().filter(|id| id.level == level).count();
        assert_eq!((full(0), full(1), full(2)), (273, 1, 0));
        assert_eq!([0, 1, 2].map(|level| kept.edge.partial(level).len()), [112, 17, 1]);
        let width = |level, index| TileId { level, index }.width(70_000);
        assert_eq!([width(0, 0), width(0, 273), width(1, 1), width(2, 0), width(3, 0)], [256, 112, 17, 1, 0]);
    }

    #[test]
    fn a_frontier_from_tiles_is_the_one_of_the_leaves() {
        let mut kept = Kept::of(70_000);
        for size in [0, 1, 2, 255, 256, 257, 65_535, 65_536, 69_999, 70_000] {
            let mut tree = Frontier::default();
            for n in 0_u64..size {
                tree.push(leaf_hash(&n.to_be_bytes()));
            }
            assert_eq!(Reader::new(&mut kept, size).frontier(), Ok(tree), "of {size}");
        }
    }

    #[test]
    fn an_edge_goes_on_from_full_tiles_as_if_it_had_never_stopped() {
        let whole = Kept::of(70_000);
        for size in [256, 512, 65_536, 66_048, 69_888] {
            let mut kept = Kept::of(size);
            let roots = [0, 1, 2].map(|level| kept.edge.partial(level + 1).to_vec());
            assert_eq!(kept.edge.partial(0).len(), 0);
            let mut edge = Edge::resume(size, roots.to_vec());
            for n in size..70_000 {
                let full = &mut kept.full;
                edge.push(leaf_hash(&n.to_be_bytes()), |id, hashes| drop(full.insert(id, hashes.to_vec())));
            }
            assert_eq!(kept.full, whole.full);
            assert_eq!([0, 1, 2].map(|level| edge.partial(level)), [0, 1, 2].map(|level| whole.edge.partial(level)));
        }
    }

    #[test]
    fn tiles_have_the_root_and_prove_every_leaf_and_every_older_tree_at_every_edge() {
        // The tiles of a tree begin as those of each older one.
        let (mut kept, roots) = (Kept::of(70_000), roots(70_000));
        for size in [1, 2, 3, 5, 8, 255, 256, 257, 511, 513, 65_535, 65_536, 65_537, 70_000] {
            let mut reader = Reader::new(&mut kept, size);
            let head = reader.root().unwrap();
            assert_eq!(head, of(&roots, size), "{size}");
            for index in [0, 1, size / 3, size / 2, size.saturating_sub(2), size - 1] {
                let index = index.min(size - 1);
                let path = reader.inclusion(index).unwrap();
                let leaf = leaf_hash(&index.to_be_bytes());
                assert!(super::super::proof::is_included(&leaf, index, (size, &head), &path), "{index} of {size}");
                let other = leaf_hash(b"other");
                assert!(!super::super::proof::is_included(&other, index, (size, &head), &path));
            }
            for old in [1, 2, size / 3, size / 2, size - 1, size] {
                let old = old.clamp(1, size);
                let path = reader.consistency(old).unwrap();
                assert!(
                    super::super::proof::is_older((old, &of(&roots, old)), (size, &head), &path),
                    "{old} of {size}"
                );
                assert!(!super::super::proof::is_older((old, &[7; 32]), (size, &head), &path), "{old} of {size}");
            }
        }
    }

    #[test]
    fn every_pair_of_small_trees_is_consistent_and_every_leaf_of_them_included_and_nothing_else() {
        let (mut kept, roots) = (Kept::of(40), roots(40));
        for size in 1..=40 {
            let head = of(&roots, size);
            let mut reader = Reader::new(&mut kept, size);
            for index in 0..size {
                let path = reader.inclusion(index).unwrap();
                for claimed in 0..size {
                    let leaf = leaf_hash(&index.to_be_bytes());
                    let is = super::super::proof::is_included(&leaf, claimed, (size, &head), &path);
                    assert_eq!(is, claimed == index, "{index} as {claimed} of {size}");
                }
            }
            for old in 1..=size {
                let path = reader.consistency(old).unwrap();
                for claimed in 1..=size {
                    let is = super::super::proof::is_older((claimed, &of(&roots, old)), (size, &head), &path);
                    assert_eq!(is, claimed == old, "{old} as {claimed} of {size}");
                }
            }
        }
    }
}
