
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
#![expect(
#[cfg(test)]
)]
//! The tests of the whole.
//! The tests of the whole: real sockets, real files, the real binary where it counts.
mod contract;
mod deploy;
mod hostile;
mod process;
mod receiver;
mod samples;
mod support;
mod tree;
