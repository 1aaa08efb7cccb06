//! One entry, proved by a small text: C2SP `tlog-proof`. And the two checks of RFC 6962 that need nothing but hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::note::Verifier;
use super::tree::{Hash, node_hash};

/// The first line of a proof.
const FIRST: &str = "c2sp.org/tlog-proof@v1";
/// Longer ones prove nothing: a path has at most 64 hashes.
pub const BYTES_MAX: usize = 1 << 20;

/// What shows that an entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What the entry is made from; not under any signature by itself.
    pub extra: Vec<u8>,
    pub index: u64,
    pub path: Vec<Hash>,
    /// The checkpoint as it was signed.
    pub checkpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("line {0}: {1}")]
    Malformed(usize, &'static str),
    #[error("the proof has more than {BYTES_MAX} bytes")]
    TooLong,
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("the entry is not number {index} of the {size} entries that the checkpoint of {origin} is of")]
    NotIncluded { index: u64, size: u64, origin: String },
}

impl Proof {
    pub fn to_text(&self) -> String {
        let extra = match self.extra.as_slice() {
            [] => String::new(),
            extra => format!("extra {}\n", STANDARD.encode(extra)),
        };
        let mut text = format!("{FIRST}\n{extra}index {}\n", self.index);
        for hash in &self.path {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Only in the form in which it is written: a text has one meaning.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        if text.len() > BYTES_MAX {
            return Err(ProofError::TooLong);
        }
        let wrong = ProofError::Malformed;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(wrong(1, "no empty line before the checkpoint"))?;
        let mut lines = head.lines().zip(1_usize..).peekable();
        match lines.next() {
            Some((FIRST, _)) => {}
            _ => return Err(wrong(1, "is not c2sp.org/tlog-proof@v1")),
        }
        let mut extra = Vec::new();
        if let Some((text, line)) = lines.next_if(|(line, _)| line.starts_with("extra ")) {
            let text = text.strip_prefix("extra ").unwrap_or_default();
            extra = STANDARD.decode(text).map_err(|_| wrong(line, "the extra data is no base64"))?;
        }
        let (text, line) = lines.next().ok_or(wrong(2, "no index"))?;
        let digits = text.strip_prefix("index ").ok_or(wrong(line, "is not the index"))?;
        let index: u64 = digits.parse().map_err(|_| wrong(line, "the index is no number"))?;
        if index.to_string() != digits {
            return Err(wrong(line, "the index is not written as a number is"));
        }
        let mut path = Vec::new();
        for (text, line) in lines {
            let hash = STANDARD.decode(text).ok().and_then(|bytes| Hash::try_from(bytes).ok());
            path.push(hash.ok_or(wrong(line, "is no hash"))?);
        }
        Ok(Self { extra, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// That this leaf is the entry, by one of these keys. Gives the checkpoint.
    pub fn verify(&self, leaf: &Hash, keys: &[Verifier]) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, keys)?;
        if is_included(leaf, self.index, (checkpoint.size, &checkpoint.root), &self.path) {
            return Ok(checkpoint);
        }
        Err(ProofError::NotIncluded { index: self.index, size: checkpoint.size, origin: checkpoint.origin })
    }
}

/// That a leaf is number `index` of the tree: RFC 9162, 2.1.3.2.
pub fn is_included(leaf: &Hash, index: u64, (size, root): (u64, &Hash), path: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size.saturating_sub(1), *leaf);
    for other in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = node_hash(other, &hash);
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, other);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// That the first leaves of a tree are those of an older one: RFC 9162, 2.1.4.2.
pub fn is_older((old, old_root): (u64, &Hash), (size, root): (u64, &Hash), path: &[Hash]) -> bool {
    if old == size {
        return path.is_empty() && old_root == root;
    }
    // Every log begins with the empty one.
    if old == 0 {
        return path.is_empty() && *old_root == super::tree::Frontier::default().root();
    }
    if old > size {
        return false;
    }
    let whole: Vec<Hash> = old.is_power_of_two().then_some(*old_root).into_iter().chain(path.iter().copied()).collect();
    let Some((first, rest)) = whole.split_first() else { return false };
    let (mut at, mut last) = (old.saturating_sub(1), size.saturating_sub(1));
    while at % 2 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut older, mut newer) = (*first, *first);
    for other in rest {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            older = node_hash(other, &older);
            newer = node_hash(other, &newer);
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            newer = node_hash(&newer, other);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && older == *old_root && newer == *root
}

#[cfg(test)]
mod tests {
    use super::super::note::Signer;
    use super::super::tree::leaf_hash;
    use super::*;

    fn proof() -> (Proof, Verifier, Hash) {
        let (leaf, other) = (leaf_hash(b"entry"), leaf_hash(b"other"));
        let root = node_hash(&other, &leaf);
        let signer = Signer::from_seed("example.com/log", &[3; 32]).unwrap();
        let checkpoint = Checkpoint { origin: "example.com/log".to_owned(), size: 2, root };
        let checkpoint = checkpoint.sign(&[&signer]);
        (Proof { extra: b"entry".to_vec(), index: 1, path: vec![other], checkpoint }, signer.verifier(), leaf)
    }

    #[test]
    fn a_proof_reads_back_as_it_was_written_and_holds_for_its_entry_alone() {
        let (proof, key, leaf) = proof();
        let read = Proof::parse(&proof.to_text()).unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(&leaf, std::slice::from_ref(&key)).unwrap().size, 2);
        assert!(matches!(read.verify(&leaf_hash(b"forged"), &[key]), Err(ProofError::NotIncluded { .. })));
        assert!(matches!(read.verify(&leaf, &[]), Err(ProofError::Checkpoint(_))));
    }

    #[test]
    fn every_changed_character_of_a_proof_is_found() {
        let (proof, key, leaf) = proof();
        let text = proof.to_text();
        for (place, old) in text.char_indices() {
            let new = if old == 'A' { 'B' } else { 'A' };
            let changed = format!("{}{new}{}", &text[..place], &text[place + old.len_utf8()..]);
            let read = Proof::parse(&changed).and_then(|read| {
                let leaf = if read.extra == b"entry" { leaf } else { leaf_hash(&read.extra) };
                read.verify(&leaf, std::slice::from_ref(&key))
            });
            assert!(read.is_err(), "at {place}: {changed}");
        }
    }
}
