//! The keys that sign the audit log.
//!
//! A log is named by its first key, and keeps its name when it gets another: the checkpoint of that moment is signed by both,
//! and what was signed before verifies as ever. A store that was restored behind what it had signed begins another log, with
//! a key and a name of its own: no two checkpoints of a name disagree.

use super::keys::{Keys, Owner};
use crate::audit::note::{Signer, Verifier};
use crate::store::port::StoreError;

/// The name that a key gives to the log that it begins.
fn origin(key: &[u8; 32]) -> String {
    use sha2::Digest as _;
    let hash: [u8; 32] = sha2::Sha256::new().chain_update(b"adjutant log\0").chain_update(key).finalize().into();
    format!("adjutant/{}", hex::encode(hash.get(..8).unwrap_or_default()))
}

/// The keys of all logs that this store has signed, the newest last.
#[derive(Debug)]
pub(super) struct LogKeys {
    signers: Vec<((u32, u32), Signer)>,
}

/// The log that a store has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThisLog {
    /// As its checkpoints call it.
    pub name: String,
    /// No other was before it.
    pub is_first: bool,
    /// All that is entered, also what no reader is shown yet.
    pub size: u64,
}

impl super::LocalStore {
    pub fn this_log(&self) -> Result<ThisLog, StoreError> {
        let core = self.core();
        let (keys, size) = (core.keys_of_log()?, core.read(|state| state.entries)?);
        let is_first = keys.signers.iter().all(|((log, _), _)| *log == 0);
        Ok(ThisLog { name: keys.signer()?.name().to_owned(), is_first, size })
    }
}

fn failed(what: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("the key of the audit log: {what}"))
}

impl LogKeys {
    /// Those that there are.
    pub(super) fn read(keys: &Keys) -> Result<Self, StoreError> {
        let mut found = keys.of_log();
        found.sort_unstable_by_key(|(at, _)| *at);
        let (mut signers, mut name) = (Vec::new(), (0, String::new()));
        for (at, key) in found {
            if name.1.is_empty() || name.0 != at.0 {
                name = (at.0, origin(&key));
            }
            signers.push((at, Signer::from_seed(&name.1, &key).map_err(failed)?));
        }
        Ok(Self { signers })
    }

    /// The same, and the first, which is made where there is none.
    pub(super) fn ensure(keys: &Keys) -> Result<Self, StoreError> {
        let found = Self::read(keys)?;
        if !found.signers.is_empty() {
            return Ok(found);
        }
        keys.ensure(&[Owner::Log]).map_err(failed)?;
        Self::read(keys)
    }

    /// Whose the next key of this log is.
    pub(super) fn next_turn(&self) -> Owner {
        let (log, turn) = self.signers.last().map_or((0, 0), |(at, _)| *at);
        Owner::LogKey { log, turn: turn.saturating_add(1) }
    }

    /// Whose the first key of another log is.
    pub(super) fn next_log(&self) -> Owner {
        let (log, _) = self.signers.last().map_or((0, 0), |(at, _)| *at);
        Owner::LogKey { log: log.saturating_add(1), turn: 0 }
    }

    /// The one that signs.
    pub(super) fn signer(&self) -> Result<&Signer, StoreError> {
        self.signers.last().map(|(_, signer)| signer).ok_or_else(|| failed("it is missing"))
    }

    /// The one before it, of this log.
    pub(super) fn before(&self) -> Option<&Signer> {
        let ((log, _), _) = self.signers.last()?;
        let ((of, _), signer) = self.signers.iter().rev().nth(1)?;
        (of == log).then_some(signer)
    }

    /// What verifies this log, the newest first.
    pub(super) fn verifiers(&self) -> Vec<Verifier> {
        let Some(((log, _), _)) = self.signers.last() else { return Vec::new() };
        self.signers.iter().rev().filter(|((of, _), _)| of == log).map(|(_, signer)| signer.verifier()).collect()
    }

    /// What verifies this log and those before it.
    pub(super) fn all_verifiers(&self) -> Vec<Verifier> {
        self.signers.iter().rev().map(|(_, signer)| signer.verifier()).collect()
    }
}
