//! Sealing: nothing that may name a person, and no body, is on disk in plain.
//!
//! A sealed blob is `key id (u32) | nonce (24 bytes) | ciphertext and tag` of XChaCha20-Poly1305, with what it is for as
//! associated data. It names its key, so keys for smaller circles (one user) can come later without a new format.
//!
//! The first 16 bytes of the long nonce are turned into a key of its own by `HChaCha20`, as `XChaCha20` is defined; the rest is
//! ring's, which is twice as fast as other implementations here. A test holds that together they are XChaCha20-Poly1305.
//!
//! Each [`Key`] draws those 16 bytes once and counts in the other 8, so that a blob costs neither a system call nor a
//! derivation. No nonce comes twice under a key: of one start because it is counted, of two starts because their 16 bytes
//! are random.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use chacha20::{R20, hchacha};
use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

use crate::chance::{self, Chance};

const ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const DRAWN_BYTES: usize = 16;
/// How much longer a blob is than what is in it.
pub(super) const OVERHEAD_BYTES: usize = ID_BYTES + NONCE_BYTES + 16;

/// What a blob is for. A blob of one purpose does not open as another. Part of the format on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Body,
    Detail,
    Job,
    Snapshot,
    Keys,
    Aside,
    Document,
}

impl Purpose {
    const fn code(self) -> [u8; 1] {
        match self {
            Self::Body => [1],
            Self::Detail => [2],
            Self::Job => [3],
            Self::Snapshot => [4],
            Self::Keys => [5],
            Self::Aside => [6],
            Self::Document => [7],
        }
    }
}

/// A key with its number.
pub(super) struct Key {
    id: u32,
    bytes: [u8; 32],
    /// Drawn when it first seals.
    nonces: OnceLock<Nonces>,
}

/// What a key seals with since the start.
struct Nonces {
    drawn: [u8; DRAWN_BYTES],
    key: LessSafeKey,
    used: AtomicU64,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, …)", self.id)
    }
}

impl Key {
    pub(super) const fn new(id: u32, bytes: [u8; 32]) -> Self {
        Self { id, bytes, nonces: OnceLock::new() }
    }

    /// The key that `XChaCha20` makes of ours and the first bytes of a nonce.
    #[expect(clippy::expect_used, reason = "ring takes any key of 32 bytes for this cipher")]
    fn derived(&self, drawn: &[u8; DRAWN_BYTES]) -> LessSafeKey {
        let derived: [u8; 32] = hchacha::<R20>(&self.bytes.into(), &(*drawn).into()).into();
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &derived).expect("a key has 32 bytes"))
    }

    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Seals `parts`, one after the other.
    pub(super) fn seal(&self, purpose: Purpose, parts: &[&[u8]], chance: &dyn Chance) -> Vec<u8> {
        let nonces = self.nonces.get_or_init(|| {
            let drawn = chance::bytes(chance);
            Nonces { drawn, key: self.derived(&drawn), used: AtomicU64::new(0) }
        });
        let count = nonces.used.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let plain: usize = parts.iter().map(|part| part.len()).sum();
        let mut blob = Vec::with_capacity(plain.saturating_add(OVERHEAD_BYTES));
        blob.extend_from_slice(&self.id.to_le_bytes());
        blob.extend_from_slice(&nonces.drawn);
        blob.extend_from_slice(&count);
        for part in parts {
            blob.extend_from_slice(part);
        }
        let (_, text) = blob.split_at_mut(ID_BYTES + NONCE_BYTES);
        // Refused only for more than 256 GiB. A blob without a tag would never open.
        if let Ok(tag) = nonces.key.seal_in_place_separate_tag(short(count), Aad::from(purpose.code()), text) {
            blob.extend_from_slice(tag.as_ref());
        }
        blob
    }

    /// None where the blob is not as it was sealed, or for something else.
    pub(super) fn open(&self, purpose: Purpose, blob: &[u8]) -> Option<Vec<u8>> {
        let (head, text) = blob.split_at_checked(ID_BYTES + NONCE_BYTES)?;
        let (drawn, count) = (head.get(ID_BYTES..)?.first_chunk()?, head.last_chunk()?);
        let mut plain = text.to_vec();
        let length =
            self.derived(drawn).open_in_place(short(*count), Aad::from(purpose.code()), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

/// The nonce of the cipher beneath: four zeroes, and the last bytes of the long one.
fn short(count: [u8; 8]) -> Nonce {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().skip(4).zip(count) {
        *to = from;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// The key that a blob names.
pub(super) fn key_id(blob: &[u8]) -> Option<u32> {
    blob.first_chunk::<ID_BYTES>().map(|id| u32::from_le_bytes(*id))
}

/// 16 bytes that say whether two things are the same, and nothing to who has not the key.
pub(super) type Fingerprint = [u8; 16];

/// Makes salts: hashes of a number that was drawn once, and of a count, which cost no system call.
#[derive(Default)]
pub(super) struct Salts {
    drawn: OnceLock<[u8; 32]>,
    used: AtomicU64,
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts(…)")
    }
}

impl Salts {
    pub(super) fn next<const N: usize>(&self, chance: &dyn Chance) -> [u8; N] {
        let drawn = self.drawn.get_or_init(|| chance::bytes(chance));
        let count = self.used.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let hash: [u8; 32] = Sha256::new().chain_update(drawn).chain_update(count).finalize().into();
        hash.first_chunk().copied().unwrap_or([0; N])
    }
}

/// Makes fingerprints.
#[derive(Clone)]
pub(super) struct Prints(Hmac<Sha256>);

impl fmt::Debug for Prints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prints(…)")
    }
}

impl Prints {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        // HMAC itself fills up a key with zeroes.
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Self(<Hmac<Sha256> as KeyInit>::new(&block.into()))
    }

    /// Of a thing with parts; `domain` keeps different kinds of things apart. No part but the last may be empty or hold a
    /// zero byte, so that no two lists of parts read the same.
    pub(super) fn of(&self, domain: u8, parts: &[&[u8]]) -> Fingerprint {
        let mut mac = self.0.clone();
        mac.update(&[domain]);
        for part in parts {
            mac.update(part);
            mac.update(&[0]);
        }
        let whole = mac.finalize().into_bytes();
        whole.first_chunk::<16>().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::SeededChance;

    #[test]
    fn a_blob_opens_with_its_key_and_for_its_purpose_only() {
        let chance = SeededChance::new(1);
        let (key, other) = (Key::new(1, [1; 32]), Key::new(1, [2; 32]));
        let blob = key.seal(Purpose::Body, &[b"hello ", b"there"], &chance);
        assert_eq!(blob.len(), 11 + OVERHEAD_BYTES);
        assert_eq!(key_id(&blob), Some(1));
        assert_eq!(key.open(Purpose::Body, &blob).unwrap(), b"hello there");
        assert!(key.open(Purpose::Detail, &blob).is_none());
        assert!(other.open(Purpose::Body, &blob).is_none());
        for at in 4..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            assert!(key.open(Purpose::Body, &changed).is_none(), "byte {at}");
        }
        assert!(key.open(Purpose::Body, &blob[..20]).is_none());
    }

    #[test]
    fn a_blob_is_what_another_implementation_of_xchacha20_poly1305_makes_of_it() {
        use chacha20poly1305::aead::AeadInOut;
        let blob = Key::new(1, [3; 32]).seal(Purpose::Job, &[b"hello there"], &SeededChance::new(2));
        let (nonce, mut text) = (<[u8; 24]>::try_from(&blob[4..28]).unwrap(), blob[28..].to_vec());
        let cipher = <chacha20poly1305::XChaCha20Poly1305 as KeyInit>::new(&[3; 32].into());
        cipher.decrypt_in_place(&nonce.into(), &Purpose::Job.code(), &mut text).unwrap();
        assert_eq!(text, b"hello there");
    }

    #[test]
    fn no_two_blobs_have_the_same_nonce() {
        let chance = SeededChance::new(3);
        let nonces = |key: &Key| -> Vec<Vec<u8>> {
            (0..100).map(|_| key.seal(Purpose::Body, &[b"same"], &chance)[4..28].to_vec()).collect()
        };
        // As two starts with the same key.
        let mut all = [nonces(&Key::new(1, [1; 32])), nonces(&Key::new(1, [1; 32]))].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 200);
    }

    #[test]
    fn a_fingerprint_depends_on_key_domain_and_parts() {
        let prints = Prints::new(&[7; 32]);
        let one = prints.of(1, &[b"main", b"body"]);
        assert_eq!(one, prints.of(1, &[b"main", b"body"]));
        assert_ne!(one, prints.of(2, &[b"main", b"body"]));
        assert_ne!(one, prints.of(1, &[b"mainb", b"ody"]));
        assert_ne!(one, Prints::new(&[8; 32]).of(1, &[b"main", b"body"]));
    }
}
