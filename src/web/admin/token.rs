//! The bearer token of the admin listener that is in a file; others are [`tokens`](super::tokens) of the store.
//!
//! Its file is made on the first start, mode 0600, and holds the token for the command line on this machine. The service
//! keeps only its SHA-256, and compares hashes in constant time. To change it, delete the file and restart.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::chance::{Chance, bytes};

/// What tells a token of ours from another's in a leaked text.
pub(super) const PREFIX: &str = "adj_";
const CHARS_MIN: usize = 20;
const FILE_BYTES_MAX: u64 = 4_096;

/// The hash of a token: enough to know it when it comes.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

impl TokenHash {
    pub fn of(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose_secret().as_bytes()).into())
    }

    pub(super) fn of_text(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Whether this is the token, in time that does not depend on it.
    pub fn matches(&self, token: &str) -> bool {
        self.0.ct_eq(&Self::of_text(token).0).into()
    }

    /// Whether this is the hash, in hex, in time that does not depend on it.
    pub(super) fn is(&self, hex: &str) -> bool {
        self.hex().as_bytes().ct_eq(hex.as_bytes()).into()
    }

    pub(super) fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// What the token is called by: the first 8 bytes of its hash, which tell nothing of it.
    pub(super) fn id(&self) -> String {
        format!("tok_{}", hex::encode(self.0.first_chunk::<8>().copied().unwrap_or_default()))
    }
}

/// Reads the token, or makes one where the file is not there yet.
pub fn read_or_create(path: &Path, chance: &dyn Chance) -> std::io::Result<SecretString> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => create(path, chance),
        other => other,
    }
}

/// Reads the token.
pub fn read(path: &Path) -> std::io::Result<SecretString> {
    let mut text = String::new();
    // A path that leads to a device never ends.
    File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    let token = text.trim();
    let plain = token.bytes().all(|b| b.is_ascii_graphic());
    if token.len() < CHARS_MIN || !plain {
        let what = format!("it holds no token; delete it, and the next start makes one of {PREFIX} and 43 characters");
        return Err(Error::new(ErrorKind::InvalidData, what));
    }
    Ok(token.into())
}

/// A token that there was never: 256 bits of randomness.
pub(super) fn fresh(chance: &dyn Chance) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes::<32>(chance)))
}

fn create(path: &Path, chance: &dyn Chance) -> std::io::Result<SecretString> {
    let token = fresh(chance);
    // Written aside and linked, so that nobody reads half a token and two starts agree on one.
    let aside = path.with_extension(format!("new-{:016x}", chance.next_u64()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(error),
        Ok(()) => Ok(token.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::chance::SeededChance;

    #[test]
    fn a_token_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        let first = read_or_create(&path, &SeededChance::new(1)).unwrap();
        let again = read_or_create(&path, &SeededChance::new(2)).unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        assert!(first.expose_secret().starts_with(PREFIX));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_the_token_matches_its_hash() {
        let hash = TokenHash::of(&"adj_right-right-right".into());
        assert!(hash.matches("adj_right-right-right"));
        assert!(!hash.matches("adj_wrong"));
        assert!(!hash.matches(""));
    }

    #[test]
    fn an_empty_file_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(read_or_create(&path, &SeededChance::new(1)).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
