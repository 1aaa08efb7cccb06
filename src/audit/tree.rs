//! The Merkle tree of RFC 6962 over the entries, grown leaf by leaf.
//!
//! A [`Frontier`] holds the roots of the complete subtrees on the right edge: at most 64 hashes, from which the root of the
//! whole tree follows and to which a leaf is added in amortised constant time.

use serde::{Deserialize, Serialize};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

use super::tile::HEIGHT;

/// A SHA-256.
pub type Hash = [u8; 32];

/// What stands before the data of a leaf where it is hashed.
pub const LEAF: u8 = 0x00;

/// The hash of a leaf: `SHA-256(0x00 ‖ data)`.
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new().chain_update([LEAF]).chain_update(data).finalize().into()
}

/// The blocks of a node, with zeroes for its two subtrees: `0x01 ‖ left ‖ right`, a bit, zeroes, and 520, the length in bits.
const NODE: [u8; 128] = {
    let mut node = [0; 128];
    (node[0], node[65], node[126], node[127]) = (0x01, 0x80, 0x02, 0x08);
    node
};

/// The hash of two subtrees: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = NODE;
    let (to_left, rest) = node.split_at_mut(1).1.split_at_mut(32);
    to_left.copy_from_slice(left);
    rest.split_at_mut(32).0.copy_from_slice(right);
    of_blocks(node.as_chunks().0)
}

/// What leaves are the hashes of, one after the other, each filled up to whole blocks of SHA-256.
///
/// Two of them are hashed at a time: the steps of one wait for each other, and a processor does the other's meanwhile.
#[derive(Debug, Default)]
pub struct LeafData {
    blocks: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl LeafData {
    /// Adds what `put` adds.
    pub fn push(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let Self { blocks, ends } = self;
        let start = blocks.len();
        blocks.push(LEAF);
        put(blocks);
        // FIPS 180-4, 5.1.1.
        let bytes = blocks.len().saturating_sub(start);
        blocks.push(0x80);
        blocks.resize(start.saturating_add(bytes.saturating_add(9).next_multiple_of(64)), 0);
        if let Some(length) = blocks.last_chunk_mut() {
            *length = u64::try_from(bytes).unwrap_or(u64::MAX).wrapping_mul(8).to_be_bytes();
        }
        ends.push(blocks.len());
    }

    /// Bytes of memory, about.
    pub const fn capacity(&self) -> usize {
        self.blocks.capacity()
    }

    /// Gives the hash of each, in order, and forgets them all.
    pub fn hash(&mut self, mut each: impl FnMut(Hash)) {
        let mut start = 0;
        let mut all = self.ends.iter().map(|end| {
            let data = self.blocks.get(std::mem::replace(&mut start, *end)..*end);
            data.unwrap_or_default().as_chunks().0
        });
        while let Some(one) = all.next() {
            let Some(other) = all.next() else {
                each(of_blocks(one));
                break;
            };
            two_of_blocks(one, other).into_iter().for_each(&mut each);
        }
        self.blocks.clear();
        self.ends.clear();
    }
}

/// FIPS 180-4, 5.3.3.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Of whole blocks, without the buffer that a hasher has.
fn of_blocks(data: &[[u8; 64]]) -> Hash {
    let mut state = START;
    compress256(&mut state, data);
    to_hash(state)
}

fn two_of_blocks(one: &[[u8; 64]], other: &[[u8; 64]]) -> [Hash; 2] {
    let mut states = [START; 2];
    let [to_one, to_other] = &mut states;
    for (one, other) in one.iter().zip(other) {
        compress256(to_one, std::slice::from_ref(one));
        compress256(to_other, std::slice::from_ref(other));
    }
    let both = one.len().min(other.len());
    compress256(to_one, one.get(both..).unwrap_or_default());
    compress256(to_other, other.get(both..).unwrap_or_default());
    states.map(to_hash)
}

fn to_hash(state: [u32; 8]) -> Hash {
    let mut hash = [0; 32];
    for (to, from) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *to = from.to_be_bytes();
    }
    hash
}

/// The right edge of a tree: all that is needed to go on and to state the root.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    /// One root for each bit that is set in `size`, the largest subtree first.
    roots: Vec<Hash>,
}

impl Frontier {
    /// Of a tree of so many leaves, with one root for each bit that is set in that, the largest subtree first.
    pub const fn resume(size: u64, roots: Vec<Hash>) -> Self {
        Self { size, roots }
    }

    /// As [`resume`](Self::resume) takes them.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf and returns its index.
    pub fn push(&mut self, leaf: Hash) -> u64 {
        self.push_to_tiles(leaf, |_| {})
    }

    /// The same. `root` is given the root over each [tile](super::tile) that the leaf completes, the lowest level first.
    pub fn push_to_tiles(&mut self, leaf: Hash, mut root: impl FnMut(Hash)) -> u64 {
        let index = self.size;
        let mut hash = leaf;
        for height in 1..=index.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node_hash(&left, &hash);
            }
            if height.is_multiple_of(HEIGHT) {
                root(hash);
            }
        }
        self.roots.push(hash);
        self.size = self.size.saturating_add(1);
        index
    }

    /// Counts a leaf that is in no tree.
    #[cfg(test)]
    pub(crate) const fn skip(&mut self) {
        self.size += 1;
    }

    /// The root of the tree; of an empty tree, the SHA-256 of nothing.
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return Sha256::digest([]).into() };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1, word for word and without a frontier.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let split = 1 << (usize::BITS - 1 - (leaves.len() - 1).leading_zeros());
                node_hash(&root_by_definition(&leaves[..split]), &root_by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn a_frontier_has_the_root_that_the_rfc_defines_for_every_size() {
        let leaves: Vec<Hash> = (0..130_u8).map(|n| leaf_hash(&[n])).collect();
        let mut frontier = Frontier::default();
        for (n, leaf) in leaves.iter().enumerate() {
            assert_eq!(frontier.root(), root_by_definition(&leaves[..n]), "{n} leaves");
            assert_eq!(frontier.push(*leaf), u64::try_from(n).unwrap());
        }
        assert_eq!(frontier.root(), root_by_definition(&leaves));
    }

    #[test]
    fn data_of_any_length_has_the_hash_that_the_library_gives_it() {
        let mut all = LeafData::default();
        // Neighbours differ in how many blocks they have; the last has none beside it.
        let lengths = (0..=400).map(|n| if n % 2 == 0 { n } else { 400 - n });
        let known: Vec<Hash> = lengths
            .map(|length| {
                let data: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
                all.push(|to| to.extend_from_slice(&data));
                leaf_hash(&data)
            })
            .collect();
        for _again in 0..2 {
            let mut hashes = Vec::new();
            all.hash(|hash| hashes.push(hash));
            assert_eq!(hashes, known);
            all.hash(|_| panic!("they are forgotten"));
            for length in 0..=400_u16 {
                let length = if length % 2 == 0 { length } else { 400 - length };
                all.push(|to| to.extend((0..length).map(|at| u8::try_from(at % 251).unwrap())));
            }
        }
    }

    #[test]
    fn a_node_has_the_hash_that_the_library_gives_it() {
        let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
        let known: Hash = Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into();
        assert_eq!(node_hash(&left, &right), known);
    }

    #[test]
    fn the_empty_tree_and_a_leaf_hash_as_certificate_transparency_publishes_them() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(Frontier::default().root()), empty);
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(hex::encode(leaf_hash(&[])), leaf);
    }
}
