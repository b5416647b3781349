//! Random bytes that a seed decides.
//!
//! A real machine never draws the same bytes twice, also after a crash, also from a copy: so every
//! machine of a simulation is given a stream of its own.

use crate::rng::Rng;
use fastness::RandomSource;
use std::io;
use std::sync::{Mutex, PoisonError};

/// A stream of random bytes.
#[derive(Debug)]
pub struct SimEntropy(Mutex<Rng>);

impl SimEntropy {
    /// Makes the stream of a seed.
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
