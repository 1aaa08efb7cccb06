//! The tests of the whole: real sockets, real files, the real binary where it counts.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test stops at the first surprise"
)]

mod admin;
mod cli;
mod config;
mod deploy;
mod tree;
