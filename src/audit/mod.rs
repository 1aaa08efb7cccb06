//! The audit log: what an entry says ([`entry`]), the line that proves it ([`leaf`]), which
//! entry leads to which ([`leads`]), the Merkle tree over all entries ([`tree`], in files [`tile`], with
//! what its leaves are of in [`bundle`]), its signed heads
//! ([`checkpoint`], a [`note`]), and what shows that an entry is in it ([`proof`]).
//!
//! Pure. Entries are kept by the store, in the same write as the change that they tell of.

pub mod bundle;
pub mod checkpoint;
pub mod entry;
pub mod leads;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;

pub use entry::{Call, Detail, Entry, Kind, Saw};
