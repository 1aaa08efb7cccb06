//! Randomness: the one place that asks the machine for it.
//!
//! Salts, nonces, keys, jitter and API tokens come from a [`Chance`], so that a test can print one seed and be repeated.

use std::fmt;
use std::sync::Mutex;

use crate::clock::lock;

/// Where random bytes come from.
pub trait Chance: fmt::Debug + Send + Sync {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// Any 64 bits.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number in `0.0..1.0`.
    fn unit(&self) -> f64 {
        let high = u32::try_from(self.next_u64() >> 32).unwrap_or(0);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

/// An array of random bytes.
pub fn bytes<const N: usize>(chance: &dyn Chance) -> [u8; N] {
    let mut bytes = [0; N];
    chance.fill(&mut bytes);
    bytes
}

/// The machine's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    #[expect(
        clippy::panic,
        reason = "a machine without randomness can make no key and no salt: nothing safe is left to do"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            panic!("the operating system gives no randomness: {error}");
        }
    }
}

/// Repeatable bytes from a seed (`SplitMix64`), for tests and simulations only: never for a key.
#[derive(Debug)]
pub struct SeededChance(Mutex<u64>);

impl SeededChance {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Chance for SeededChance {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = lock(&self.0);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            for (to, from) in chunk.iter_mut().zip(mixed.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (a, b): ([u8; 13], [u8; 13]) = (bytes(&SeededChance::new(7)), bytes(&SeededChance::new(7)));
        assert_eq!(a, b);
    }

    #[test]
    fn a_unit_stays_below_one() {
        let chance = SeededChance::new(1);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&chance.unit())));
    }
}
