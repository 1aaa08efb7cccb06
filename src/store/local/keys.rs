//! The key file: the keys that seal everything else, themselves sealed by the master key.
//!
//! One key of the store (snapshots, fingerprints), one for each app (bodies, before anybody has parsed whose they are),
//! one for each account (jobs, entries). A key is on disk before it is used. The file is replaced as a whole.
//!
//! # File `keys`
//! ```text
//!    0  magic            8 bytes  "ADJKEYS\0"
//!    8  format version   u16      1, little-endian
//!   10  crc32c           u32      over what follows
//!   14  sealed blob: postcard of [(key id u32, owner, 32 bytes)]
//! ```
//! The checksum tells a damaged file from a wrong master key.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::place;
use super::seal::{self, Key, Prints, Purpose, Salts};
use crate::audit::leaf::SALT_BYTES;
use crate::chance::{self, Chance};
use crate::clock::lock;
use crate::ids::{AccountId, AppName};
use crate::store::journal::files::Files;
use crate::store::port::StoreError;

const FILE: &str = "keys";
const MAGIC: &[u8; 8] = b"ADJKEYS\0";
const VERSION: u16 = 1;

/// Whose data a key seals. Part of the format on disk: add at the end only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Owner {
    Store,
    App(AppName),
    Account(AccountId),
    /// Seals nothing: it is the seed of the key that signs the audit log, of the first.
    Log,
    /// The same, of those that came later: so many logs were begun by this store before, and so many keys signed this one.
    LogKey {
        log: u32,
        turn: u32,
    },
}

/// Where the master key is.
#[derive(Clone)]
pub enum MasterKey {
    Bytes([u8; 32]),
    /// 64 hexadecimal digits. Made, readable by its owner only, when the store is made; never again.
    File(PathBuf),
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(_) => f.write_str("Bytes(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the file with the master key, {}, is missing: without it nothing of the store can be read; put it back",
        .0.display()
    )]
    MasterMissing(PathBuf),
    #[error("{}: expected 64 hexadecimal digits", .0.display())]
    MasterMalformed(PathBuf),
    #[error(
        "the master key is not the one that this store is sealed with. look which file [store] master_key_file, or \
         ADJUTANT__STORE__MASTER_KEY_FILE, names: after `adjutant store rekey --to FILE` that is FILE, and what is older than a \
         rekey opens with the key of then, mostly kept as FILE.old. where a rekey was interrupted, run it again"
    )]
    MasterWrong,
    #[error("the master key is in no file: say with --to which file the new one is in, or is to be written to")]
    NoFile,
    #[error(
        "{} holds the master key from before an earlier change, which backups of that time need: move it away first",
        .0.display()
    )]
    OldKept(PathBuf),
    #[error("{} holds the master key that the store is sealed with already: name a file that is not there, or another key", .0.display())]
    Same(PathBuf),
    #[error("the key file of the store, keys, is missing: put it back from a backup")]
    Missing,
    #[error("the key file of the store, keys, is damaged: put it back from a backup")]
    Damaged,
    #[error("the key file has format version {found}, this program knows {known}: use a newer one")]
    Newer { found: u16, known: u16 },
    #[error("failed to {doing}")]
    Io { doing: &'static str, source: io::Error },
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> KeyError {
    move |source| KeyError::Io { doing, source }
}

impl MasterKey {
    /// From 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).ok().map(|()| Self::Bytes(bytes))
    }

    pub(super) fn load(&self, may_make: bool, chance: &dyn Chance) -> Result<[u8; 32], KeyError> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(*bytes),
            Self::File(path) => path,
        };
        match std::fs::read_to_string(path) {
            Ok(text) => match Self::parse(&text) {
                Some(Self::Bytes(bytes)) => Ok(bytes),
                _ => Err(KeyError::MasterMalformed(path.clone())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_make => {
                let bytes = chance::bytes(chance);
                write_master(path, bytes).map(|()| bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KeyError::MasterMissing(path.clone())),
            Err(error) => Err(io_error("read the master key")(error)),
        }
    }
}

pub(super) fn write_master(path: &Path, bytes: [u8; 32]) -> Result<(), KeyError> {
    write_secret(path, &hex::encode(bytes)).map_err(io_error("write the master key"))
}

/// In place of what is there, on disk when this returns.
pub(super) fn put_in_place(new: &Path, path: &Path) -> Result<(), KeyError> {
    let put = std::fs::rename(new, path).and_then(|()| sync_folder_of(path));
    put.map_err(io_error("put the new master key in its place"))
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

/// A new file that only its owner can read, on disk when this returns.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut aside = path.as_os_str().to_owned();
    aside.push(".tmp");
    let _from_an_interrupted_start = std::fs::remove_file(&aside);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    sync_folder_of(path)
}

#[derive(Debug, Default)]
struct Ring {
    by_owner: HashMap<Owner, Arc<Key>>,
    by_id: HashMap<u32, Arc<Key>>,
}

impl Ring {
    fn add(&mut self, owner: Owner, key: Key) {
        let key = Arc::new(key);
        self.by_id.insert(key.id(), Arc::clone(&key));
        self.by_owner.insert(owner, key);
    }
}

/// How far an account, or an app that was its alone, is forgotten. Known as long as the process lasts, and so is what is under way for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    Going,
    /// Nothing is left of it.
    Gone,
}

/// All keys of a store.
#[derive(Debug)]
pub(super) struct Keys {
    files: Arc<dyn Files>,
    chance: Arc<dyn Chance>,
    master: Key,
    ring: RwLock<Ring>,
    /// Held while keys are added.
    adding: Mutex<()>,
    /// No key is made for these: what is still under way for them must not bring them back.
    gone: Mutex<HashMap<Owner, Gone>>,
    store: Arc<Key>,
    prints: Prints,
    salts: Salts,
}

impl Keys {
    /// Reads the key file, or makes it where `may_make`.
    pub(super) fn open(
        files: Arc<dyn Files>,
        chance: Arc<dyn Chance>,
        master: [u8; 32],
        may_make: bool,
    ) -> Result<Self, KeyError> {
        let master = Key::new(0, master);
        let found = place::read(files.as_ref(), FILE).map_err(io_error("read the key file"))?;
        let mut ring = Ring::default();
        match found {
            Some(bytes) => {
                for (id, owner, bytes) in decode(&master, &bytes)? {
                    ring.add(owner, Key::new(id, bytes));
                }
            }
            None if may_make => {
                ring.add(Owner::Store, Key::new(1, chance::bytes(chance.as_ref())));
                let bytes = encode(&master, &ring, chance.as_ref());
                place::replace(files.as_ref(), FILE, &bytes).map_err(io_error("write the key file"))?;
            }
            None => return Err(KeyError::Missing),
        }
        let store = ring.by_owner.get(&Owner::Store).cloned().ok_or(KeyError::Damaged)?;
        // A key of its own for fingerprints, derived, so that it never meets the cipher.
        let derived = Prints::new(store.bytes());
        let mut print_key = [0; 32];
        for (half, to) in (0_u8..).zip(print_key.chunks_mut(16)) {
            to.copy_from_slice(&derived.of(0, &[&[half]]));
        }
        let prints = Prints::new(&print_key);
        Ok(Self {
            files,
            chance,
            master,
            ring: RwLock::new(ring),
            adding: Mutex::new(()),
            gone: Mutex::default(),
            store,
            prints,
            salts: Salts::default(),
        })
    }

    pub(super) const fn prints(&self) -> &Prints {
        &self.prints
    }

    pub(super) fn store(&self) -> &Key {
        &self.store
    }

    /// Another one each time, which nobody guesses.
    pub(super) fn salt(&self) -> [u8; SALT_BYTES] {
        self.salts.next(self.chance())
    }

    pub(super) fn chance(&self) -> &dyn Chance {
        self.chance.as_ref()
    }

    /// The key of an owner, where there is one already.
    pub(super) fn of(&self, owner: &Owner) -> Option<Arc<Key>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).by_owner.get(owner).cloned()
    }

    /// Those that sign the audit log: which log it is, and the how manyth key of it.
    pub(super) fn of_log(&self) -> Vec<((u32, u32), [u8; 32])> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let place = |owner: &Owner| match owner {
            Owner::Log => Some((0, 0)),
            Owner::LogKey { log, turn } => Some((*log, *turn)),
            Owner::Store | Owner::App(_) | Owner::Account(_) => None,
        };
        ring.by_owner.iter().filter_map(|(owner, key)| Some((place(owner)?, *key.bytes()))).collect()
    }

    /// Makes the keys that are missing, on disk when this returns. Writes and syncs a file: not for an async task.
    pub(super) fn ensure(&self, owners: &[Owner]) -> io::Result<()> {
        let _one_at_a_time = lock(&self.adding);
        let is_missing = |owner: &&Owner| self.of(owner).is_none() && self.gone(owner).is_none();
        let missing: Vec<&Owner> = owners.iter().filter(is_missing).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut grown = Ring::default();
        {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            grown.by_owner.clone_from(&ring.by_owner);
            grown.by_id.clone_from(&ring.by_id);
        }
        let mut id = grown.by_id.keys().max().copied().unwrap_or(0);
        for owner in missing {
            if !grown.by_owner.contains_key(owner) {
                id = id.saturating_add(1);
                grown.add(owner.clone(), Key::new(id, chance::bytes(self.chance.as_ref())));
            }
        }
        place::replace(self.files.as_ref(), FILE, &encode(&self.master, &grown, self.chance.as_ref()))?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = grown;
        Ok(())
    }

    pub(super) fn gone(&self, owner: &Owner) -> Option<Gone> {
        lock(&self.gone).get(owner).copied()
    }

    pub(super) fn set_gone(&self, owner: Owner, gone: Gone) {
        lock(&self.gone).insert(owner, gone);
    }

    /// An account that was forgotten is there again. One that is being forgotten is not, before that is done.
    pub(super) fn welcome(&self, account: &AccountId) {
        let mut all = lock(&self.gone);
        let owner = Owner::Account(account.clone());
        if all.get(&owner) == Some(&Gone::Gone) {
            all.remove(&owner);
        }
    }

    /// A key may be made for this owner again.
    pub(super) fn spare(&self, owner: &Owner) {
        lock(&self.gone).remove(owner);
    }

    /// Whether anything may be written about the account: [`StoreError::Conflict`] where it is being forgotten, or was.
    pub(super) fn may_write(&self, account: &AccountId) -> Result<(), StoreError> {
        // Mostly none is.
        if lock(&self.gone).is_empty() { Ok(()) } else { self.may_use(&Owner::Account(account.clone())) }
    }

    /// Whether anything may be sealed with the owner's key.
    pub(super) fn may_use(&self, owner: &Owner) -> Result<(), StoreError> {
        let Some(gone) = self.gone(owner) else { return Ok(()) };
        let whose = match owner {
            Owner::Store => "the store".to_owned(),
            Owner::App(app) => format!("app {app}"),
            Owner::Account(account) => format!("account {account}"),
            Owner::Log | Owner::LogKey { .. } => "the audit log".to_owned(),
        };
        Err(StoreError::Conflict(match gone {
            Gone::Going => format!("{whose} is being forgotten: try again in some minutes"),
            Gone::Gone => format!("{whose} was forgotten"),
        }))
    }

    /// Whose keys there are, as in the key file.
    pub(super) fn owners(&self) -> Vec<u8> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        format!("{:?}", ring.by_owner.keys()).into_bytes()
    }

    /// What is sealed with the owner's key does not open any more, on disk when this returns.
    pub(super) fn drop_key(&self, owner: &Owner) -> io::Result<()> {
        let _one_at_a_time = lock(&self.adding);
        let mut left = Ring::default();
        {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            left.by_owner.clone_from(&ring.by_owner);
            left.by_id.clone_from(&ring.by_id);
        }
        let Some(key) = left.by_owner.remove(owner) else { return Ok(()) };
        left.by_id.remove(&key.id());
        place::replace(self.files.as_ref(), FILE, &encode(&self.master, &left, self.chance.as_ref()))?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = left;
        Ok(())
    }

    /// Opens a blob with the key that it names. None where that key is gone, or the blob is not as it was sealed.
    pub(super) fn open_blob(&self, purpose: Purpose, blob: &[u8]) -> Option<Vec<u8>> {
        let id = seal::key_id(blob)?;
        let key = self.ring.read().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).cloned()?;
        key.open(purpose, blob)
    }

    /// The key file's bytes, for a backup.
    pub(super) fn file_bytes(&self) -> io::Result<Vec<u8>> {
        let _still = lock(&self.adding);
        place::read(self.files.as_ref(), FILE)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Seals the key file with another master key. False where it is already; then nothing is written.
pub(super) fn reseal(files: &dyn Files, old: [u8; 32], new: [u8; 32], chance: &dyn Chance) -> Result<bool, KeyError> {
    let (old, new) = (Key::new(0, old), Key::new(0, new));
    let bytes = place::read(files, FILE).map_err(io_error("read the key file"))?.ok_or(KeyError::Missing)?;
    if decode(&new, &bytes).is_ok() {
        return Ok(false);
    }
    let mut ring = Ring::default();
    for (id, owner, bytes) in decode(&old, &bytes)? {
        ring.add(owner, Key::new(id, bytes));
    }
    let bytes = encode(&new, &ring, chance);
    place::replace(files, FILE, &bytes).map_err(io_error("write the key file")).map(|()| true)
}

fn encode(master: &Key, ring: &Ring, chance: &dyn Chance) -> Vec<u8> {
    let mut keys: Vec<(u32, &Owner, &[u8; 32])> =
        ring.by_owner.iter().map(|(owner, key)| (key.id(), owner, key.bytes())).collect();
    keys.sort_unstable_by_key(|(id, _, _)| *id);
    // Encoding plain data into memory has nothing that could fail.
    let plain = postcard::to_stdvec(&keys).unwrap_or_default();
    let sealed = master.seal(Purpose::Keys, &[&plain], chance);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&sealed).to_le_bytes());
    bytes.extend_from_slice(&sealed);
    bytes
}

fn decode(master: &Key, bytes: &[u8]) -> Result<Vec<(u32, Owner, [u8; 32])>, KeyError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(KeyError::Damaged)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(KeyError::Damaged)?;
    let found = u16::from_le_bytes(*version);
    if found > VERSION {
        return Err(KeyError::Newer { found, known: VERSION });
    }
    let (crc, sealed) = rest.split_first_chunk::<4>().ok_or(KeyError::Damaged)?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(sealed) {
        return Err(KeyError::Damaged);
    }
    let plain = master.open(Purpose::Keys, sealed).ok_or(KeyError::MasterWrong)?;
    postcard::from_bytes(&plain).map_err(|_| KeyError::Damaged)
}
