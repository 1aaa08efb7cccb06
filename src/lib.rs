//! adjutant keeps Zoom accounts the way their admins asked for.
#![doc = include_str!("README.md")]

pub mod account;
pub mod accounts;
pub mod alarm;
pub mod app;
pub mod audit;
pub mod breakpoint;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod event;
mod exposed;
pub mod feed;
pub mod ids;
pub mod job;
pub mod plain;
pub mod rules;
pub mod sim;
pub mod store;
pub mod web;
pub mod work;
pub mod worker;
pub mod zoom;
