//! The tests of the whole: real sockets, real files, the real binary where it counts.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test stops at the first surprise"
)]

mod access;
mod admin;
mod anchored;
mod apart;
mod app;
mod assistants;
mod cli;
mod config;
mod consumers;
mod contract;
mod crash;
mod deploy;
mod doctor;
mod documents;
mod durable;
mod examples;
mod exported;
mod hostile;
mod installs;
mod meetings;
mod notify;
mod operate;
mod plans;
mod presets;
mod process;
mod proofs;
mod pulling;
mod receiver;
mod reload;
mod rules;
mod rules_cases;
mod samples;
mod schema;
mod support;
mod taking;
mod timers;
mod traced;
mod tree;
mod users;
