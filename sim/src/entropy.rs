//! Seeded random bytes.
//!
//! A real machine never draws the same bytes twice, even after a crash or from a copy, so every
//! simulated machine has its own stream.

use crate::Rng;
use fastness::RandomSource;
use std::io;
use std::sync::{Mutex, PoisonError};

/// A seeded stream of random bytes.
#[derive(Debug)]
pub struct SimEntropy(Mutex<Rng>);

impl SimEntropy {
    /// Creates the stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(Rng::new(seed)))
    }
}

impl RandomSource for SimEntropy {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            let word = rng.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}
