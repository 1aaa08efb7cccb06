//! The audit log: what an entry says ([`entry`]) and the Merkle tree over all entries ([`tree`]).
//!
//! Pure. Entries are kept by the store, in the same write as the change that they tell of.

pub mod entry;
pub mod tree;

pub use entry::{Call, Detail, Entry, Kind, Saw};
