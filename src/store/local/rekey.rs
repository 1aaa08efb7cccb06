//! Another master key. The keys that seal the data stay: only the file that holds them is sealed anew.
//!
//! Each step is one file that is replaced as a whole, and the new key is on disk before anything is sealed with it: at any
//! moment the old key or the new one opens the store, and the same call again goes on where an earlier one was interrupted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::LocalStore;
use super::keys::{self, KeyError, MasterKey};
use super::maintain::held;
use super::open::OpenError;
use crate::breakpoint;
use crate::chance::SystemChance;
use crate::store::journal::files::RealFiles;

/// What became of the old key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rekeyed {
    /// The new one took its place, and it is kept here: backups from before are sealed with it.
    InPlace { old: PathBuf },
    /// Whoever starts the store has to name the new one from now on.
    Beside { new: PathBuf },
}

impl LocalStore {
    /// Seals the keys of a store that no process uses with another master key: the one in the file `to`, which is made
    /// where there is none; else a new one, which takes the place of the old in its file.
    pub fn rekey(folder: &Path, master: &MasterKey, to: Option<&Path>) -> Result<Rekeyed, OpenError> {
        let _held = held(folder)?;
        let before = master.load(false, &SystemChance)?;
        let file = match (to, master) {
            (Some(to), _) => {
                reseal(folder, before, to)?;
                return Ok(Rekeyed::Beside { new: to.to_owned() });
            }
            (None, MasterKey::Bytes(_)) => return Err(KeyError::NoFile.into()),
            (None, MasterKey::File(file)) => file,
        };
        let (new, old) = (beside(file, ".new"), beside(file, ".old"));
        if !old.exists() {
            keys::write_master(&old, before)?;
        } else if MasterKey::File(old.clone()).load(false, &SystemChance)? != before {
            return Err(KeyError::OldKept(old).into());
        }
        breakpoint::reached("rekey-old-kept");
        reseal(folder, before, &new)?;
        keys::put_in_place(&new, file)?;
        Ok(Rekeyed::InPlace { old })
    }
}

fn reseal(folder: &Path, old: [u8; 32], new: &Path) -> Result<(), OpenError> {
    let file = new;
    let new = MasterKey::File(file.to_owned()).load(true, &SystemChance)?;
    if new == old {
        return Err(KeyError::Same(file.to_owned()).into());
    }
    breakpoint::reached("rekey-key-written");
    keys::reseal(&RealFiles::new(folder), old, new, &SystemChance)?;
    breakpoint::reached("rekey-resealed");
    Ok(())
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(extension);
    name.into()
}
