//! Consumers: what the service tells others.

mod addresses;
pub mod post;
