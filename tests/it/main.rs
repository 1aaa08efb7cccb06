//! The tests of the whole.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod durable;
